/* examples: three campaigns that a new data folder starts with, so that the first event matches. */
#ifndef CLI_EXAMPLES_H
#define CLI_EXAMPLES_H

#include <stdbool.h>

#include <glib.h>

#include "store/store.h"

/* Saves the examples that do not exist yet. For a new data folder only: who deleted an example must
 * not get it back. Errors: those of store_write_campaign, but CONFLICT; the ones before it stay. */
bool examples_load(struct store *store, GError **error);

/* Prints what to try next on standard output. listen: host:port of the API. */
void examples_print_hint(const char *listen);

#endif
