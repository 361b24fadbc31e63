/* batch: brings a loaded batch to its end, whatever happens on the way.
 *
 *   [0 ........................ n)   run all of it; settled: done
 *   [0 ... n/2)[n/2 ........... n)   INPUT: one of them cannot be processed: halve
 *        [i][...                     alone: the culprit; its failure is settled instead
 *
 * Ranges are settled in order, so the position never passes what is not settled; after a success
 * the next range is twice as large.
 */
#include "common/clock.h"
#include "common/error.h"
#include "worker/retry.h"
#include "worker/worker_private.h"

enum range_end {
    RANGE_SETTLED,
    RANGE_TOO_LARGE, /* one of several is the culprit: try fewer */
    RANGE_AGAIN,     /* something changed: try the same range again */
    RANGE_LEFT,      /* the thread must end */
};

/* A batch on its way. */
struct batch {
    struct worker *w;
    bool one_by_one;
    bool is_decided_again; /* the range was run again after a CONFLICT already */
};

/* What came from outside stays out of this text; the step's error is for the operator. */
#define ERROR_TEXT_MAX 1000 /* bytes */

/* A copy in the worker's arena, which outlives the run whose error it was. Cut at
 * ERROR_TEXT_MAX, between two characters. */
static const char *keep_text(struct worker *w, const char *text)
{
    return arena_printf(&w->lane->arena, "%.*s",
                        SLICE_ARG(slice_cut(slice_text(text), ERROR_TEXT_MAX)));
}

/* The culprit stands alone: it is tried again later, or, after its last attempt, set aside. */
static void condemn(struct worker *w, struct item *item, const char *message)
{
    bool is_last = item->attempt >= w->options.attempts_max;

    item_set_verdict(item, is_last ? STORE_FAILED : STORE_RETRY, "processing_failed",
                     keep_text(w, message));
    if (is_last)
        return;
    item->retry_at_us = clock_now_us() + retry_delay_us(w->options.backoff_ms, RETRY_EVENT_LIMIT_MS,
                                                        item->attempt, g_random_int());
}

/* INPUT. Even its failure may be refused; then a row without anything of it is the last resort.
 * Each call goes one step further, so three runs at most deal with one culprit. */
static enum range_end isolate(struct batch *b, struct item *items, size_t count,
                              const char *message)
{
    if (count > 1)
        return RANGE_TOO_LARGE;
    if (!items[0].has_verdict) {
        condemn(b->w, &items[0], message);
        return RANGE_AGAIN;
    }
    if (!items[0].is_bare) {
        items[0].is_bare = true;
        item_set_verdict(&items[0], STORE_FAILED, "unstorable", "its failure cannot be stored");
        return RANGE_AGAIN;
    }
    worker_die(b->w, message);
    return RANGE_LEFT;
}

/* A received message is settled when the position has passed it. */
static bool note_position(struct worker *w, const struct store_summary *summary)
{
    w->position = MAX(w->position, summary->position);
    for (size_t i = 0; i < w->lane->pipeline.count; i++)
        if (w->lane->pipeline.items[i].message->seq <= w->position)
            w->lane->pipeline.items[i].is_settled = true;
    return true;
}

/* Retries are few at a time, so a linear search is enough. */
static bool has_row(const struct store_retry *rows, size_t count, int64_t seq)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].seq == seq)
            return true;
    return false;
}

/* A retry is settled when its row is gone. One that is still there is tried again: at worst its
 * row is written a second time, the same. */
static bool note_retries(struct worker *w, const struct store_summary *summary, GError **error)
{
    struct store_retry *rows = NULL;
    struct arena arena;
    size_t count = 0;
    bool is_ok;

    arena_init(&arena);
    /* One more than are counted: the row of a message that is being tried singly. */
    is_ok = store_retries(w->store, INT64_MAX, (size_t)summary->retrying + 1, &arena, &rows, &count,
                          error);
    for (size_t i = 0; is_ok && i < w->lane->pipeline.count; i++)
        if (!has_row(rows, count, w->lane->pipeline.items[i].message->seq))
            w->lane->pipeline.items[i].is_settled = true;
    arena_done(&arena);
    return is_ok;
}

/* After trouble nobody knows whether the commit went through: the store does. Without this look an
 * ambiguous commit would count its duplicates and failures twice. */
static bool note_progress(struct worker *w, GError **error)
{
    struct store_summary summary = {0};

    w->next_retry_us = 0; /* a retry may have been written that we were not told of */
    if (!store_get_summary(w->store, &summary, error))
        return false;
    return w->lane->pipeline.moves_position ? note_position(w, &summary)
                                            : note_retries(w, &summary, error);
}

/* Passing trouble: wait, see what the store has, try the rest of the range again. */
static enum range_end recover(struct worker *w, GError **error)
{
    do {
        if (!worker_recover(w, error))
            return RANGE_LEFT;
    } while (!note_progress(w, error));
    return RANGE_AGAIN;
}

/* Nothing of the range was settled (as far as we were told). A CONFLICT is decided anew once; a
 * second one in a row is treated as the fault of an item. */
static enum range_end react(struct batch *b, struct item *items, size_t count, GError **error)
{
    if (g_error_matches(*error, EF_ERROR, EF_ERROR_CONFLICT) && !b->is_decided_again) {
        b->is_decided_again = true;
        return RANGE_AGAIN;
    }
    if (g_error_matches(*error, EF_ERROR, EF_ERROR_INPUT) ||
        g_error_matches(*error, EF_ERROR, EF_ERROR_CONFLICT))
        return isolate(b, items, count, (*error)->message);
    return recover(b->w, error);
}

/* After a settled range: what the rest of the worker has to know of it. */
static void note_settled(struct batch *b, const struct item *items, size_t count)
{
    struct worker *w = b->w;

    b->is_decided_again = false;
    w->failures = 0;
    disk_watch_note(w->options.disk, DISK_WRITER_STORE, false);
    if (w->lane->pipeline.moves_position) /* what comes a second time must not take it back */
        w->position = MAX(w->position, items[count - 1].message->seq);
    for (size_t i = 0; i < count && w->lane->pipeline.tally.retried > 0; i++)
        if (items[i].state == ITEM_ENDED && items[i].kind == STORE_RETRY)
            w->next_retry_us = MIN(w->next_retry_us, retries_look_at_us(items[i].retry_at_us));
    report_settled(w, items, count);
}

/* Notes durably that the message is about to be tried, so that its attempts are counted even when
 * it ends the process each time. */
static bool begin_attempt(struct worker *w, struct item *item)
{
    GError *error = NULL;

    while (!item->has_begun && !item->is_settled) {
        if (store_begin_attempt(w->store, item->message->seq, clock_now_us(), &item->attempt,
                                &error))
            item->has_begun = true;
        else if (!worker_recover(w, &error))
            return false;
    }
    if (item->has_verdict || item->attempt <= w->options.attempts_max)
        return true;
    item->attempt--; /* this one is not made */
    item_set_verdict(
        item, STORE_FAILED, "crashed_the_worker",
        arena_printf(&w->lane->arena, "the process ended in each of %d attempts", item->attempt));
    return true;
}

/* What a run of the range means; its error, NULL when it was settled, is taken. */
static enum range_end conclude(struct batch *b, size_t from, size_t count, GError *error)
{
    struct item *items = b->w->lane->pipeline.items + from;
    enum range_end end = RANGE_SETTLED;

    if (error == NULL)
        note_settled(b, items, count);
    else
        end = react(b, items, count, &error);
    g_clear_error(&error);
    return end;
}

/* One try of one range. */
static enum range_end run_range(struct batch *b, size_t from, size_t count)
{
    struct pipeline *p = &b->w->lane->pipeline;
    GError *error = NULL;

    if (b->one_by_one && !begin_attempt(b->w, &p->items[from]))
        return RANGE_LEFT;
    pipeline_run(p, from, count, &error);
    return conclude(b, from, count, error);
}

/* All ranges, the first of which has that size at most. */
static bool run_ranges(struct batch *b, size_t size)
{
    size_t total = b->w->lane->pipeline.count;
    size_t size_max = b->one_by_one ? 1 : total;
    size_t from = 0;

    while (from < total) {
        size_t count = MIN(size, total - from);
        enum range_end end = run_range(b, from, count);

        if (end == RANGE_LEFT)
            return false;
        if (end == RANGE_SETTLED) {
            from += count;
            /* Doubling finds one culprit in 2 log n runs and n culprits in 3 n. */
            size = MIN(size * 2, size_max);
        } else if (end == RANGE_TOO_LARGE) {
            size = count / 2;
        }
    }
    return true;
}

bool batch_run(struct worker *w, bool one_by_one)
{
    struct batch b = {.w = w, .one_by_one = one_by_one};

    return run_ranges(&b, one_by_one ? 1 : w->lane->pipeline.count);
}

bool batch_conclude(struct worker *w, GError *error)
{
    struct batch b = {.w = w};
    size_t count = w->lane->pipeline.count;
    enum range_end end = conclude(&b, 0, count, error);

    if (end == RANGE_SETTLED || end == RANGE_LEFT)
        return end == RANGE_SETTLED;
    return run_ranges(&b, end == RANGE_TOO_LARGE ? count / 2 : count);
}
