/* campaigns: the campaigns in force, kept up to date while events flow.
 *
 *   store ──changes, before every batch──▶ worker ──publish──▶ the set in force ──▶ other workers
 *         ──everything, in the background─▶ thread "campaigns" ──▲ (a new base)
 *                  sample of the events ───────┘
 *
 * What it guarantees: an event that was accepted after the answer to a campaign's change is matched
 * with that change: workers ask the store before every batch, which costs one row, and take what
 * changed themselves, which costs microseconds a campaign. What takes long (the first load, a new
 * index when much changed or the events have become others) happens on a thread of its own, and no
 * lock is held meanwhile. A base that would take more than memory_max is refused whole: the set in
 * force stays, without further changes; the log and a metric say so, and a base is tried again when
 * campaigns change. Changes may take half as much again beside their base: until a new one has
 * them, or, when that is refused, until it fits. The first base may be as large, so that what was
 * in force comes back after a restart.
 * What it does not do: match (core/campaign_set.h).
 * Threads: start and stop from the main thread; the rest from any.
 */
#ifndef WORKER_CAMPAIGNS_H
#define WORKER_CAMPAIGNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "common/slice.h"
#include "core/campaign_set.h"
#include "store/store.h"

struct campaigns;

struct campaigns_options {
    struct store *store; /* borrowed until stop */
    size_t memory_max;   /* bytes of a base; the first one, and any with its changes, may have half
                            as much again, see above; 0 = no limit */
    int64_t retry_ms;    /* a refused set is tried again at the earliest after this; 0 = 5000 */
};

/* Starts the thread, which begins to load. */
struct campaigns *campaigns_start(const struct campaigns_options *options);

/* Asks to end and does not wait: the load that may be under way ends after a page, and who waits
 * for one is told STOPPED. Changes go on coming in force where nobody has to wait. To be called
 * before whoever may wait is joined. Accepts NULL. */
void campaigns_halt(struct campaigns *c);

/* Halts, and ends the thread, after the index that it may be building. Nobody may use it any more;
 * sets live on with their references. Accepts NULL. */
void campaigns_stop(struct campaigns *c);

/* Waits until the first set is there, at most wait_ms. false without an error: not yet. Errors,
 * each once: those of the store, RETRY when the set was refused, which is tried again meanwhile;
 * STOPPED: halted. */
bool campaigns_await(struct campaigns *c, int64_t wait_ms, GError **error);

/* Replaces *set (the caller's reference; NULL at first) by the newest one. After campaigns_await
 * was true. Waits for a new base where only that can have the changes. Errors: those of the store;
 * STOPPED: halted while it would have to wait. *set is then as before. */
bool campaigns_refresh(struct campaigns *c, struct campaign_set **set, GError **error);

/* An event as they come. Every SAMPLE_STRIDE-th will do. */
#define CAMPAIGNS_SAMPLE_STRIDE 31
void campaigns_sample(struct campaigns *c, struct slice body);

/* What matching some events cost: a new base is built when it has become much. */
void campaigns_note(struct campaigns *c, uint64_t events, uint64_t candidates);

#endif
