/* rounds: what the queue has, batch by batch.
 *
 *   few wait   receive ▸ decide ▸ settle ▸ ack ▸ pace
 *   many wait  receive ▸ decide ▸ begin to settle ▸ receive the next ▸ decide ▸ wait for the first
 * ▸ …
 *
 * Batches are settled in the order of the queue, one at a time, each in one transaction, whoever
 * does it. The next one is decided as if the first were settled; if it was not, it is decided
 * again.
 */
#include "common/clock.h"
#include "common/error.h"
#include "worker/campaigns.h"
#include "worker/retry.h"
#include "worker/worker_private.h"

/* Waits for messages, but no longer than until something else is to be done. */
static bool receive(struct worker *w)
{
    struct lane *lane = w->lane;
    GError *error = NULL;
    int64_t wait_ms =
        w->settling != NULL ? 0 : (retries_wait_us(w, WORKER_IDLE_MS * 1000) + 999) / 1000;

    arena_reset(&lane->arena);
    lane->batch = (struct queue_batch){0};
    while (
        !queue_receive(w->queue, w->options.batch_max, wait_ms, &lane->arena, &lane->batch, &error))
        if (!worker_recover(w, &error))
            return false;
    return true;
}

/* Tells the queue how far it may forget. Passing trouble is no matter: the next ack says it too.
 * What lies behind the position stays unacknowledged: after a restart it comes again. */
static bool ack(struct worker *w, const struct queue_batch *batch)
{
    int64_t seq = MIN(w->position, batch->messages[batch->count - 1].seq);
    g_autoptr(GError) error = NULL;

    if (seq < batch->messages[0].seq || queue_ack(w->queue, seq, &error) ||
        worker_is_passing(error) || g_error_matches(error, EF_ERROR, EF_ERROR_STOPPED))
        return true;
    worker_die(w, error->message);
    return false;
}

/* A message up to the position comes again after a lost ack or a restart: it has its end. */
static void load_batch(struct worker *w)
{
    struct lane *lane = w->lane;

    pipeline_begin(&lane->pipeline, true);
    for (size_t i = 0; i < lane->batch.count; i++) {
        const struct queue_message *message = &lane->batch.messages[i];

        pipeline_load(&lane->pipeline, message, 1, 0)->is_settled = message->seq <= w->position;
        if (++w->unsampled < CAMPAIGNS_SAMPLE_STRIDE)
            continue;
        w->unsampled = 0;
        campaigns_sample(w->options.campaigns, message->body);
    }
    metric_observe(w->metrics.batch_size, (double)lane->batch.count);
}

/* Under steady load every small batch would cost a sync of its own, and the CPU that the front door
 * needs. So the next round waits until the pace is up and takes what came meanwhile. An event that
 * arrives after a quiet moment is processed at once. */
static void keep_pace(struct worker *w, int64_t began_us)
{
    int64_t wait_us = began_us + w->options.pace_ms * 1000 - clock_monotonic_us();

    if (wait_us > 0)
        worker_pause(w, wait_us);
}

/* The batch in hand, after nothing else is under way. */
static bool run_alone(struct worker *w, bool one_by_one)
{
    bool is_whole = batch_run(w, one_by_one);

    return ack(w, &w->lane->batch) && is_whole;
}

bool rounds_finish(struct worker *w, bool *is_clean)
{
    struct lane *next = w->lane;
    GError *error = NULL;
    bool may_go_on;

    if (is_clean != NULL)
        *is_clean = true;
    if (w->settling == NULL)
        return true;
    w->lane = g_steal_pointer(&w->settling);
    settler_wait(w->settler, &error);
    if (is_clean != NULL)
        *is_clean = error == NULL;
    may_go_on = batch_conclude(w, error);
    may_go_on = ack(w, &w->lane->batch) && may_go_on;
    /* Its next batch may be far, and its set the last one of an old base. */
    pipeline_use(&w->lane->pipeline, NULL);
    w->lane = next;
    return may_go_on;
}

/* A full batch: more is waiting, so it is decided while the one before is settled, and handed to
 * the settler when that is through. What goes wrong is mended here, with nothing under way. */
static bool run_overlapped(struct worker *w)
{
    struct lane *lane = w->lane;
    const struct pipeline *before = w->settling != NULL ? &w->settling->pipeline : NULL;
    GError *error = NULL;
    bool is_clean, is_whole;

    pipeline_decide(&lane->pipeline, 0, lane->pipeline.count, before, &error);
    if (!rounds_finish(w, &is_clean)) {
        g_clear_error(&error);
        return false;
    }
    if (!is_clean) {
        g_clear_error(&error);
        return run_alone(w, false);
    }
    if (error != NULL) {
        is_whole = batch_conclude(w, error);
        return ack(w, &lane->batch) && is_whole;
    }
    settler_begin(w->settler, &lane->pipeline);
    w->settling = lane;
    w->lane = lane == &w->lanes[0] ? &w->lanes[1] : &w->lanes[0];
    return true;
}

bool rounds_run(struct worker *w)
{
    bool one_by_one = w->suspects_received;
    int64_t began_us;

    if (!receive(w))
        return false;
    w->suspects_received = false; /* even when nothing waited: what comes now is new */
    /* After the wait, so that a change made meanwhile holds for this batch. */
    if (!worker_refresh_campaigns(w))
        return false;
    if (w->lane->batch.count == 0)
        return rounds_finish(w, NULL);
    began_us = clock_monotonic_us();
    load_batch(w);
    if (w->lane->batch.count == w->options.batch_max && !one_by_one)
        return run_overlapped(w);
    if (!rounds_finish(w, NULL) || !run_alone(w, one_by_one))
        return false;
    if (w->lane->batch.count < w->options.batch_max)
        keep_pace(w, began_us);
    return true;
}
