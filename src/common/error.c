#include "common/error.h"

G_DEFINE_QUARK(eventflow, ef_error)
