/* retries: messages that failed before and are due again.
 *
 * The store knows when; the queue still has the messages. The table is looked at only when
 * something can be due, so a worker without failures never reads it.
 */
#include <stdlib.h>

#include "common/clock.h"
#include "worker/retry.h"
#include "worker/worker_private.h"

/* Bodies are read whole: at most this many of QUEUE_MESSAGE_MAX at once. */
#define RETRIES_MAX 64

/* A due row of a message that has not been received again yet (it was being tried when the process
 * ended) is not ours to take: look again after this. */
#define LOOK_AGAIN_US (INT64_C(500) * 1000)

int64_t retries_wait_us(const struct worker *w, int64_t limit_us)
{
    int64_t now_us;

    if (w->next_retry_us == INT64_MAX)
        return limit_us;
    now_us = clock_monotonic_us();
    if (w->next_retry_us <= now_us)
        return 0;
    return MIN(limit_us, w->next_retry_us - now_us);
}

int64_t retries_look_at_us(int64_t due_us)
{
    return clock_monotonic_us() + MAX(0, due_us - clock_now_us());
}

/* Due times are wall clock, since they outlive the process. One that is farther away than any wait
 * can be was written before the clock was set back: it is due now, not in an hour. */
static bool is_due(const struct worker *w, const struct store_retry *row, int64_t now_us)
{
    int64_t longest_us =
        retry_delay_us(w->options.backoff_ms, RETRY_EVENT_LIMIT_MS, row->attempt, UINT32_MAX);

    return row->due_us <= now_us || row->due_us - now_us > longest_us;
}

/* Moves what can be tried now to the front; returns how many, and when to look again. *next_us:
 * monotonic, INT64_MAX when nothing is left to wait for. */
static size_t choose_due(const struct worker *w, struct store_retry *rows, size_t count,
                         int64_t *next_us)
{
    int64_t now_us = clock_now_us();
    size_t due = 0;

    *next_us = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        if (rows[i].seq > w->position)
            *next_us = MIN(*next_us, clock_monotonic_us() + LOOK_AGAIN_US);
        else if (!is_due(w, &rows[i], now_us))
            *next_us = MIN(*next_us, retries_look_at_us(rows[i].due_us));
        else
            rows[due++] = rows[i];
    }
    /* A full answer may have left out others that are due as well. */
    if (count == MIN(w->options.batch_max, RETRIES_MAX) && due > 0)
        *next_us = 0;
    return due;
}

/* For qsort; a difference of two int64_t could overflow an int. */
static int compare_seq(const void *a, const void *b)
{
    int64_t left = ((const struct store_retry *)a)->seq;
    int64_t right = ((const struct store_retry *)b)->seq;

    return (left > right) - (left < right);
}

/* The message is gone from the queue; it still gets its end. */
static void load_lost(struct worker *w, const struct store_retry *row)
{
    struct queue_message *nothing = arena_zalloc(&w->lane->arena, sizeof(*nothing));

    nothing->seq = row->seq;
    item_set_verdict(
        pipeline_load(&w->lane->pipeline, nothing, row->attempt, row->first_failed_at_us),
        STORE_FAILED, "message_lost", "the queue does not have the message any more");
}

/* Both ascend by seq. A row without its message is loaded as lost, so that every row leaves the
 * table in the end. */
static void load_all(struct worker *w, const struct store_retry *rows, size_t count,
                     const struct queue_batch *messages)
{
    size_t next = 0;

    pipeline_begin(&w->lane->pipeline, false);
    for (size_t i = 0; i < count; i++) {
        if (next < messages->count && messages->messages[next].seq == rows[i].seq)
            pipeline_load(&w->lane->pipeline, &messages->messages[next++], rows[i].attempt + 1,
                          rows[i].first_failed_at_us);
        else
            load_lost(w, &rows[i]);
    }
}

/* All rows in the order of their due time, not only the due ones: the first that is not due says
 * when to look again. */
static bool fetch_rows(struct worker *w, struct store_retry **rows, size_t *count)
{
    GError *error = NULL;

    while (!store_retries(w->store, INT64_MAX, MIN(w->options.batch_max, RETRIES_MAX),
                          &w->lane->arena, rows, count, &error))
        if (!worker_recover(w, &error))
            return false;
    return true;
}

/* The bodies are the queue's; the store keeps only who has to be tried again. */
static bool fetch_messages(struct worker *w, const struct store_retry *rows, size_t count,
                           struct queue_batch *messages)
{
    int64_t *seqs = ARENA_NEW(&w->lane->arena, int64_t, count);
    GError *error = NULL;

    for (size_t i = 0; i < count; i++)
        seqs[i] = rows[i].seq;
    while (!queue_read(w->queue, seqs, count, &w->lane->arena, messages, &error))
        if (!worker_recover(w, &error))
            return false;
    return true;
}

bool retries_run(struct worker *w)
{
    struct queue_batch messages = {0};
    struct store_retry *rows = NULL;
    bool one_by_one = w->suspects_retries;
    size_t count = 0;

    if (retries_wait_us(w, 1) > 0)
        return true;
    /* What is being settled may be one of them, or write one. */
    if (!rounds_finish(w, NULL))
        return false;
    arena_reset(&w->lane->arena);
    if (!fetch_rows(w, &rows, &count))
        return false;
    /* Only the first look after an unclean end is suspicious; what fails later has a verdict of its
     * own. */
    w->suspects_retries = false;
    count = choose_due(w, rows, count, &w->next_retry_us);
    if (count == 0)
        return true;
    /* In the order of arrival, so that of two copies the first one stands. */
    qsort(rows, count, sizeof(*rows), compare_seq);
    if (!fetch_messages(w, rows, count, &messages) || !worker_refresh_campaigns(w))
        return false;
    load_all(w, rows, count, &messages);
    return batch_run(w, one_by_one);
}
