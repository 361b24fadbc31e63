/* pipeline: the slots of a batch and the run over them.
 *
 * A slot belongs to one message of the batch in hand and keeps its buffers for the next. A run
 * resets what the steps decide and goes through the table of steps; the first one that fails
 * ends it, and since settle is the last step and the only one that writes, nothing has happened
 * then. */
#include "worker/pipeline.h"

#include "common/clock.h"
#include "worker/steps.h"

/* A slot keeps its flat's buffers only while they are small: a few large events must not leave
 * batch_max times their size behind. 256 leaves are 16 KiB. */
#define FLAT_KEEP_LEAVES 256
#define FLAT_KEEP_BODY   (16 * 1024)

/* Order matters: the identity that dedupe compares is read by validate; enrich comes before match
 * so that a match can look at everything known; settle is last and the only one that writes. */
static const struct pipeline_step pipeline_steps[] = {
    {"decode", step_decode}, {"validate", step_validate}, {"dedupe", step_dedupe},
    {"enrich", step_enrich}, {"match", step_match},       {"settle", step_settle},
};

/* Items as keys of their identity. The fingerprint only finds candidates: equality is exact. */
static guint item_hash(gconstpointer key)
{
    const struct item *item = key;

    return (guint)item->fingerprint;
}

/* The identity of an event is (source, event_id), compared byte by byte. */
static gboolean item_is_same_event(gconstpointer a, gconstpointer b)
{
    const struct event *left = &((const struct item *)a)->event;
    const struct event *right = &((const struct item *)b)->event;

    return slice_equal(left->event_id, right->event_id) && slice_equal(left->source, right->source);
}

void pipeline_init(struct pipeline *p, struct store *store, const struct worker_options *options)
{
    *p = (struct pipeline){
        .store = store,
        .options = *options,
        .items_max = options->batch_max,
        .items = g_new0(struct item, options->batch_max),
        .firsts = g_hash_table_new(item_hash, item_is_same_event),
    };
    arena_init(&p->arena);
    problems_init(&p->problems);
}

void pipeline_done(struct pipeline *p)
{
    for (size_t i = 0; i < p->flats_ready; i++)
        flat_done(&p->items[i].flat);
    campaign_set_unref(p->campaigns);
    g_hash_table_destroy(p->firsts);
    problems_done(&p->problems);
    arena_done(&p->arena);
    g_free(p->items);
}

void pipeline_begin(struct pipeline *p, bool moves_position)
{
    for (size_t i = 0; i < p->count; i++) {
        struct item *item = &p->items[i];

        /* Its message is gone already: only what load noted about it may be looked at. */
        if (!item->is_large && item->flat.leaf_count <= FLAT_KEEP_LEAVES)
            continue;
        flat_done(&item->flat);
        flat_init(&item->flat);
    }
    p->count = 0;
    p->moves_position = moves_position;
    p->begun_us = clock_monotonic_us();
}

struct item *pipeline_load(struct pipeline *p, const struct queue_message *message, int attempt,
                           int64_t first_failed_at_us)
{
    struct item *item = &p->items[p->count];

    g_assert(p->count < p->items_max);
    if (p->count == p->flats_ready)
        flat_init(&p->items[p->flats_ready++].flat);
    item->message = message;
    item->attempt = attempt;
    item->first_failed_at_us = first_failed_at_us;
    item->is_settled = false;
    item->has_begun = false;
    item->has_verdict = false;
    item->is_bare = false;
    item->is_large = message->body.size > FLAT_KEEP_BODY;
    item->has_event = false;
    p->count++;
    return item;
}

void item_set_verdict(struct item *item, enum store_outcome_kind kind, const char *reason,
                      const char *error)
{
    item->has_verdict = true;
    item->kind = kind;
    item->reason = reason;
    item->error = error;
}

void item_fail(struct item *item, const char *reason, const char *error)
{
    item->state = ITEM_ENDED;
    item->kind = STORE_FAILED;
    item->reason = reason;
    item->error = error;
}

/* An item with a verdict keeps the event of the run that brought it: its failure row shows what
 * was known. */
static void item_reset(struct item *item)
{
    item->state = item->is_settled ? ITEM_SETTLED : item->has_verdict ? ITEM_ENDED : ITEM_OPEN;
    item->matches = NULL;
    item->match_count = 0;
    item->duplicate_of = 0;
    if (item->state == ITEM_OPEN)
        item->has_event = false;
}

bool pipeline_run(struct pipeline *p, size_t from, size_t count, GError **error)
{
    struct item *items = p->items + from;

    g_assert(from + count <= p->count);
    /* Everything the last run decided is forgotten, texts and matches with it; verdicts are not
     * ours and live in the worker's arena. */
    arena_reset(&p->arena);
    p->tally = (struct pipeline_tally){0};
    /* One time for the whole run: events that are settled together were processed at the same
     * moment. */
    p->now_us = clock_now_us();
    for (size_t i = 0; i < count; i++)
        item_reset(&items[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(pipeline_steps); i++) {
        if (pipeline_steps[i].fn(p, items, count, error))
            continue;
        g_prefix_error(error, "%s: ", pipeline_steps[i].name);
        return false;
    }
    return true;
}
