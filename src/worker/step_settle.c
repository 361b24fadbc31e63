/* step_settle: writes every end of the range, and the position, in one transaction.
 *
 * That is what makes the engine exact: an event's effects, the mark that it was seen and the
 * place in the queue become durable together or not at all, so no crash can separate them. */
#include "common/clock.h"
#include "worker/steps.h"

/* The envelope, as far as it is known; what could not be decoded is filed under the message's key.
 */
static void put_event(struct store_outcome *o, const struct item *item)
{
    o->event_id = item->message->key;
    o->correlation_id = item->correlation;
    o->at_us = item->message->published_at_us;
    if (!item->has_event)
        return;
    o->event_id = item->event.event_id;
    o->source = item->event.source;
    o->event_type = item->event.event_type;
    o->customer_id = item->event.customer_id;
    o->at_us = item->event.at_us;
    o->digest = item->event.digest;
}

/* A retry keeps the time of its first failure; the last one is finished_at. */
static void put_failure(struct store_outcome *o, const struct item *item)
{
    o->reason = item->reason;
    o->error = item->error;
    o->retry_at_us = item->kind == STORE_RETRY ? item->retry_at_us : 0;
    o->first_failed_at_us =
        item->first_failed_at_us != 0 ? item->first_failed_at_us : item->processed_at_us;
    if (!item->is_bare)
        o->body = item->message->body;
}

/* A final end of a replayed message closes the failure it came from; a retry is not final. */
static void put_outcome(const struct pipeline *p, const struct item *item, int64_t processing_us,
                        struct store_outcome *o)
{
    *o = (struct store_outcome){
        .kind = item->kind,
        .seq = item->message->seq,
        .received_at_us = item->message->published_at_us,
        .finished_at_us = MAX(item->processed_at_us, item->first_failed_at_us),
        .processing_us = processing_us,
        .worker_id = p->options.id,
        .attempt = item->attempt,
        .duplicate_of = item->duplicate_of,
        .replay_of = item->kind == STORE_RETRY ? 0 : item->message->reference,
        .matches = item->matches,
        .match_count = item->match_count,
    };
    if (!item->is_bare)
        put_event(o, item);
    if (item->kind == STORE_FAILED || item->kind == STORE_RETRY)
        put_failure(o, item);
}

/* Sums without branches: every item of a range passes here. */
static void count_outcome(struct pipeline_tally *tally, const struct item *item)
{
    tally->processed += item->kind == STORE_PROCESSED;
    tally->failed += item->kind == STORE_FAILED;
    tally->duplicate += item->kind == STORE_DUPLICATE;
    tally->retried += item->kind == STORE_RETRY;
    tally->matches += item->match_count;
}

bool step_settle(struct pipeline *p, struct item *items, size_t count, GError **error)
{
    struct store_outcome *outcomes = ARENA_NEW(&p->arena, struct store_outcome, count);
    /* A range in which everything was settled before has nothing to write: its position is durable,
     * too. */
    struct store_settlement what = {.outcomes = outcomes};
    /* What the event waited in the worker for its decision; the commit is not part of it, since it
     * is written by it. */
    int64_t processing_us = clock_monotonic_us() - p->begun_us;

    /* The last item's seq, settled or not: ranges go in order, so everything before it has its
     * end. */
    if (p->moves_position)
        what.position = items[count - 1].message->seq;
    for (size_t i = 0; i < count; i++) {
        if (items[i].state == ITEM_SETTLED)
            continue;
        g_assert(items[i].state == ITEM_ENDED);
        put_outcome(p, &items[i], processing_us, &outcomes[what.count++]);
        count_outcome(&p->tally, &items[i]);
    }
    return what.count == 0 || store_settle(p->store, &what, error);
}
