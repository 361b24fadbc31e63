/* check_skim: the skimming reader against the whole one, for fuzz_skim and test_skim.
 *
 * Any bytes may be given. They are read from memory that ends where they end, so that the address
 * sanitizer sees a look behind them; what is said of them counts where they keep the contract of
 * matcher_find_trusted.
 */
#ifndef FUZZ_CHECK_SKIM_H
#define FUZZ_CHECK_SKIM_H

#include <stdbool.h>

#include <glib.h>

#include "core/matcher/matcher.h"

/* Whether matcher_find_trusted promises an answer about the text. */
bool check_skim_is_trusted(struct slice text);

/* Asks matcher_find_trusted about the text in each way of skipping that this machine has, and
 * matcher_find if there is a promise. NULL, or the difference: text owned by caller. */
char *check_skim(const struct matcher *m, struct matcher_run *run, struct slice text);

#endif
