/* campaign_load: from the store's documents to a set that events are matched against.
 *
 *   store ──all, page by page──▶ a new base       (seconds for 100,000 campaigns)
 *         ──what changed──▶ the set with changes  (microseconds a change)
 *
 * What it guarantees: documents take the memory of one page at a time. What is gathered of them for
 * a base is measured after each page, so a load that cannot fit ends before everything is read. A
 * stored campaign that cannot be read any more is logged and left out; it does not stop the others.
 */
#ifndef WORKER_CAMPAIGN_LOAD_H
#define WORKER_CAMPAIGN_LOAD_H

#include <stdbool.h>

#include <glib.h>

#include "core/campaign_set.h"
#include "store/store.h"
#include "worker/event_sample.h"

/* Borrowed for the call. */
struct campaign_load {
    struct store *store;
    struct event_sample *sample; /* NULL: none */
    size_t base_max;             /* bytes of a new base; 0: no limit */
    size_t changes_max;          /* bytes of a set that changes were added to; 0: no limit */
    int *is_stopping;            /* atomic: ends a load of all; NULL: never */
};

enum campaign_load_end {
    CAMPAIGN_LOAD_DONE,
    CAMPAIGN_LOAD_REFUSED, /* the set would take more than its limit; the error says how much */
    CAMPAIGN_LOAD_FAILED,  /* errors: those of the store; STOPPED */
};

/* Every campaign in a new base, and what changed meanwhile; where only that does not fit,
 * everything again, a few times. *set is set when it is done, and then owned by caller; *generation
 * when it is refused: the state that was. Both are untouched otherwise. */
enum campaign_load_end campaign_load_all(const struct campaign_load *load,
                                         struct campaign_set **set, int64_t *generation,
                                         GError **error);

/* Replaces *set by one that has everything the store knows now; it stays when that is the same, and
 * when it is not done. *changes: how many campaigns changed. */
enum campaign_load_end campaign_load_changes(const struct campaign_load *load,
                                             struct campaign_set **set, size_t *changes,
                                             GError **error);

#endif
