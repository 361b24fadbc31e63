/* The quark behind EF_ERROR; the codes and what to do about each are in the header. */
#include "common/error.h"

G_DEFINE_QUARK(eventflow, ef_error)
