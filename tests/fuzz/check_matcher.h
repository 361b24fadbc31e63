/* check_matcher: the index against the reference evaluator, for fuzz_matcher and test_matcher.
 *
 * What is compared: the places that matcher_find gives of each event, with what pattern_matches
 * says of each pattern by itself; for the set as it is, in other orders, learnt from a sample of
 * the events, with one pattern alone; twice with the same run, and with one run for all the
 * indexes.
 */
#ifndef FUZZ_CHECK_MATCHER_H
#define FUZZ_CHECK_MATCHER_H

#include <stdint.h>

#include <glib.h>

#include "core/matcher/matcher.h"

/* Patterns and events that can be used, with the right answers. */
struct check_set {
    GPtrArray *texts;    /* of the patterns, as written */
    GPtrArray *patterns; /* struct pattern */
    GPtrArray *documents;
    GArray *events;    /* struct flat, one for each document */
    GArray *trusted;   /* bool, one for each document: matcher_find_trusted may read it */
    uint8_t *expected; /* a row for each event, a byte for each pattern */
};

/* Reads the texts (char *); those that are no good are left out. The texts are copied. */
void check_set_init(struct check_set *set, const GPtrArray *patterns, const GPtrArray *events);
void check_set_done(struct check_set *set);

/* Whether the reference says that the pattern matches the event. */
bool check_set_expects(const struct check_set *set, guint event, guint pattern);

/* The index of the patterns of those numbers, which get places in this order. */
struct matcher *check_build(const struct check_set *set, const GArray *order, bool has_sample);

/* The numbers 0 to count - 1, shuffled; seed 0: as they are, 1: the other way round. */
GArray *check_order(guint count, uint64_t seed);

/* NULL when the index that was built in that order is right about all events. Otherwise what it
 * says: text owned by caller. */
char *check_answers(const struct check_set *set, const GArray *order, const struct matcher *m,
                    struct matcher_run *run);

/* All the comparisons named above; seed chooses orders. NULL, or the first difference. */
char *check_matcher(const struct check_set *set, uint64_t seed);

/* ---- for unit tests ---------------------------------------------------------------------------
 */

/* A list of texts that owns them. */
GPtrArray *check_list_new(void);
void check_list_add(GPtrArray *list, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* before, then count times the form with each '#' made the number, and commas between, then behind.
 * Owned by caller. */
char *check_repeat(const char *before, int count, const char *form, const char *behind);

/* Fails the test when wrong is not NULL. Takes it. */
void check_assert(char *wrong);

/* All texts are good, and one index of all patterns is right about all events. Takes both lists. */
void check_assert_set(GPtrArray *patterns, GPtrArray *events, bool has_sample);

/* check_matcher finds nothing. Takes both lists. */
void check_assert_in_all_ways(GPtrArray *patterns, GPtrArray *events, uint64_t seed);

#endif
