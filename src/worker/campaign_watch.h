/* campaign_watch: whether the index still fits the events: how many campaigns an event makes it
 * look at, against what it was after the index was built. Pure; the owner locks.
 */
#ifndef WORKER_CAMPAIGN_WATCH_H
#define WORKER_CAMPAIGN_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is valid: nothing known yet. */
struct campaign_watch {
    uint64_t events, candidates; /* of the window under way */
    double after_build;          /* candidates an event, of the first window; 0: not known yet */
    size_t samples;              /* events that the index was built with */
};

/* A new index, built with that many sample events. */
void campaign_watch_reset(struct campaign_watch *w, size_t samples);

/* Adds what matching some events cost. samples: events that a new index could be built with now.
 * true: a new index is worth its cost. */
bool campaign_watch_note(struct campaign_watch *w, uint64_t events, uint64_t candidates,
                         size_t samples);

#endif
