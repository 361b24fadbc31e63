/* pipeline: the slots of a batch and the run over them.
 *
 * A slot belongs to one message of the batch in hand. A run resets what the steps decide and goes,
 * part by part, through the table of steps; the first one that fails ends it, and since settle is
 * the last step and the only one that writes, nothing has happened then. */
#include "worker/pipeline.h"

#include "common/clock.h"
#include "worker/steps.h"

/* A flat keeps its buffers only while they are small: a few large events must not leave
 * PIPELINE_PART times their size behind. 256 leaves are 22 KiB. */
#define FLAT_KEEP_LEAVES 256
#define FLAT_KEEP_BODY   (16 * 1024)

/* Order matters: the identity that dedupe compares is read by validate; enrich comes before match
 * so that a match can look at everything known. They decide and write nothing. */
static const struct pipeline_step deciding_steps[] = {
    {"decode", step_decode}, {"validate", step_validate}, {"dedupe", step_dedupe},
    {"enrich", step_enrich}, {"match", step_match},
};

/* Comes last and is the only one that writes. */
static const struct pipeline_step last_step = {"settle", step_settle};

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
        .matching = matcher_run_new(),
        .firsts = g_hash_table_new(item_hash, item_is_same_event),
        .names = flat_names_new(),
    };
    arena_init(&p->arena);
    arena_init(&p->texts);
    problems_init(&p->problems);
    for (size_t i = 0; i < PIPELINE_PART; i++)
        flat_init_with(&p->flats[i], p->names);
}

void pipeline_done(struct pipeline *p)
{
    for (size_t i = 0; i < PIPELINE_PART; i++)
        flat_done(&p->flats[i]);
    flat_names_free(p->names);
    campaign_set_unref(p->campaigns);
    matcher_run_free(p->matching);
    g_hash_table_destroy(p->firsts);
    problems_done(&p->problems);
    arena_done(&p->texts);
    arena_done(&p->arena);
    g_free(p->items);
}

void pipeline_use(struct pipeline *p, struct campaign_set *campaigns)
{
    if (p->campaigns == campaigns)
        return;
    campaign_set_unref(p->campaigns);
    p->campaigns = campaigns != NULL ? campaign_set_ref(campaigns) : NULL;
}

void pipeline_begin(struct pipeline *p, bool moves_position)
{
    arena_reset(&p->texts);
    p->count = 0;
    p->moves_position = moves_position;
    p->begun_us = clock_monotonic_us();
}

struct item *pipeline_load(struct pipeline *p, const struct queue_message *message, int attempt,
                           int64_t first_failed_at_us)
{
    struct item *item = &p->items[p->count];

    g_assert(p->count < p->items_max);
    item->message = message;
    item->attempt = attempt;
    item->first_failed_at_us = first_failed_at_us;
    item->is_settled = false;
    item->has_begun = false;
    item->has_verdict = false;
    item->is_bare = false;
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

static bool run_step(struct pipeline *p, const struct pipeline_step *step, struct item *items,
                     size_t count, GError **error)
{
    if (step->fn(p, items, count, error))
        return true;
    g_prefix_error(error, "%s: ", step->name);
    return false;
}

/* The flats are lent for the time between decode and match. */
static bool decide_part(struct pipeline *p, struct item *items, size_t count, GError **error)
{
    bool is_ok = true;

    for (size_t i = 0; i < count; i++) {
        item_reset(&items[i]);
        items[i].flat = &p->flats[i];
    }
    for (size_t i = 0; is_ok && i < G_N_ELEMENTS(deciding_steps); i++)
        is_ok = run_step(p, &deciding_steps[i], items, count, error);
    for (size_t i = 0; i < count; i++) {
        items[i].flat = NULL;
        if (items[i].message->body.size <= FLAT_KEEP_BODY &&
            p->flats[i].leaf_count <= FLAT_KEEP_LEAVES)
            continue;
        flat_done(&p->flats[i]);
        flat_init_with(&p->flats[i], p->names);
    }
    flat_names_tidy(p->names);
    return is_ok;
}

bool pipeline_decide(struct pipeline *p, size_t from, size_t count, const struct pipeline *before,
                     GError **error)
{
    struct item *items = p->items + from;

    g_assert(from + count <= p->count);
    /* Everything the last run decided is forgotten, texts and matches with it; verdicts are not
     * ours and live in the worker's arena. */
    arena_reset(&p->arena);
    g_hash_table_remove_all(p->firsts);
    p->before = before;
    p->tally = (struct pipeline_tally){0};
    /* One time for the whole run: events that are settled together were processed at the same
     * moment. */
    p->now_us = clock_now_us();
    for (size_t i = 0; i < count; i += PIPELINE_PART)
        if (!decide_part(p, items + i, MIN(count - i, PIPELINE_PART), error))
            return false;
    return true;
}

bool pipeline_settle(struct pipeline *p, size_t from, size_t count, GError **error)
{
    return run_step(p, &last_step, p->items + from, count, error);
}

bool pipeline_run(struct pipeline *p, size_t from, size_t count, GError **error)
{
    return pipeline_decide(p, from, count, NULL, error) && pipeline_settle(p, from, count, error);
}
