/* worker: takes messages in batches and gives each exactly one end.
 *
 *   receive ─▶ decode ▸ validate ▸ dedupe ▸ enrich ▸ match ▸ settle (ONE transaction) ─▶ ack
 *
 * What it guarantees: every message ends as processed, duplicate or failed, once; a message that
 * cannot be processed never blocks the others (a failing batch is split until the culprit stands
 * alone; 3 attempts with exponential backoff and jitter, then failed_events; invalid at once).
 * Trouble of the infrastructure never counts as an attempt. After an unclean end the first batch is
 * tried one by one, with the attempt noted before, so that an event that crashes the process is
 * found and set aside.
 * What it does not do: seek the queue (whoever opens it does), run twice on one store.
 * Threads: start and stop from the main thread; the rest is the worker's own thread.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/disk_watch.h"
#include "queue/queue.h"
#include "store/store.h"

struct campaigns;
struct worker;

struct worker_options {
    const char *id;     /* "worker-1"; borrowed until stop */
    size_t batch_max;   /* messages a transaction */
    int64_t pace_ms;    /* a round that was not full is followed by the next one this long after it
                           began; 0 = at once */
    int attempts_max;   /* 3 */
    int64_t backoff_ms; /* first retry after this, doubled each time, +-25 % jitter */
    struct campaigns *campaigns; /* in force; borrowed until stop */
    bool is_suspicious;      /* the last process ended uncleanly: try the first batch one by one */
    struct disk_watch *disk; /* told what settling finds; borrowed, may be NULL */
    /* Called once, on the worker's thread, when it cannot go on (FATAL, CORRUPT). May be NULL. */
    void (*on_fatal)(void *user, const char *message);
    void *user;
    /* Tests: called for each event before matching; an error fails that event's attempt. */
    bool (*probe)(void *user, struct slice event_id, GError **error);
    void *probe_user;
};

/* Starts the thread. Borrows queue and store until worker_stop has returned. */
struct worker *worker_start(struct queue *queue, struct store *store,
                            const struct worker_options *options);

/* Ends after the batch in hand (its transaction is completed; in trouble of the infrastructure the
 * rest of the batch is left and comes again), frees. Call queue_stop first, else it may take half
 * a second, and campaigns_halt, else it may wait for a load of all campaigns. Accepts NULL. */
void worker_stop(struct worker *w);

#endif
