/* campaign_load: from the store's documents to a set that events are matched against.
 *
 *   store ──all, page by page──▶ a new base       (seconds for 100,000 campaigns)
 *         ──what changed──▶ the set with changes  (microseconds a change)
 *
 * What it guarantees: bounded memory beside the set itself: one page of documents at a time. A
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
    size_t memory_max;           /* of a base, and half as much again for changes; 0: no limit */
    int *is_stopping;            /* atomic: ends a load of all; NULL: never */
};

enum campaign_load_end {
    CAMPAIGN_LOAD_DONE,
    CAMPAIGN_LOAD_REFUSED, /* the set would take more than memory_max; the error says how much */
    CAMPAIGN_LOAD_FAILED,  /* errors: those of the store; STOPPED */
};

/* Every campaign in a new base, and what changed meanwhile. *set is set when it is done, and then
 * owned by caller; *generation, the state that was read, also when it is refused. */
enum campaign_load_end campaign_load_all(const struct campaign_load *load,
                                         struct campaign_set **set, int64_t *generation,
                                         GError **error);

/* Replaces *set by one that has everything the store knows now; it stays when that is the same, and
 * when it is not done. *changes: how many campaigns changed. */
enum campaign_load_end campaign_load_changes(const struct campaign_load *load,
                                             struct campaign_set **set, size_t *changes,
                                             GError **error);

#endif
