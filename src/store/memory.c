/* The store in memory. See memory_internal.h.
 *
 * settle is all or nothing without any undoing: it first looks at the whole batch as if it were
 * applied, in a scratch set of ids and seqs, and changes the tables only when nothing is wrong.
 * Every answer, including the refusals and their codes, equals that of the SQLite store: the
 * contract suite runs on both.
 *
 * Deliberately missing: freeing. Replaced retries and rows stay in the arena until close, so memory
 * grows with every settled message. Nothing survives the process.
 */
#include "store/memory_internal.h"

#include "common/error.h"

/* ---- orders and keys ------------------------------------------------------------------------- */

/* Not a - b: that overflows for numbers far apart. */
static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* The order of the lists, backwards: by key, one event's matches by campaign. Events and failures
 * have an empty campaign id, so a probe with the key alone finds them. */
static int compare_rows(gconstpointer a, gconstpointer b, gpointer user)
{
    const struct memory_row *x = a;
    const struct memory_row *y = b;
    int order = compare_numbers(x->key, y->key);

    (void)user;
    return order != 0 ? order : slice_compare(x->row.campaign_id, y->row.campaign_id);
}

/* The keys point into the values (store_retry.seq), so a retry needs no key of its own. */
static int compare_seqs(gconstpointer a, gconstpointer b, gpointer user)
{
    (void)user;
    return compare_numbers(*(const int64_t *)a, *(const int64_t *)b);
}

/* Bytewise, as SQLite's BINARY collation does: both backends list campaigns in the same order. */
static int compare_names(gconstpointer a, gconstpointer b, gpointer user)
{
    (void)user;
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* Rows hash by what makes an event a duplicate: source and id. */
static guint id_hash(gconstpointer key)
{
    const struct memory_row *r = key;

    return (guint)hash64_pair(r->row.source, r->row.event_id);
}

/* A hash that agrees is not enough here either: the texts decide. */
static gboolean id_equal(gconstpointer a, gconstpointer b)
{
    const struct memory_row *x = a;
    const struct memory_row *y = b;

    return slice_equal(x->row.source, y->row.source) &&
           slice_equal(x->row.event_id, y->row.event_id);
}

/* NULL when that message was never processed. Under lock, as everything below but the ops. */
static struct memory_row *find_event(const struct store_memory *s, int64_t seq)
{
    struct memory_row probe = {.key = seq};

    return g_tree_lookup(s->events, &probe);
}

/* NULL when that id was never processed. A probe row on the stack serves as the key. */
static struct memory_row *find_id(const struct store_memory *s, struct slice source,
                                  struct slice event_id)
{
    struct memory_row probe = {.row = {.source = source, .event_id = event_id}};

    return g_hash_table_lookup(s->ids, &probe);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* The texts belong to the store's arena and end with it. */
static void free_campaign(void *data)
{
    struct memory_campaign *campaign = data;

    g_array_unref(campaign->versions);
    g_free(campaign);
}

/* Cannot fail. No option applies: there is no folder, and memory is not limited. */
static struct store *memory_open(const struct store_options *options, GError **error)
{
    struct store_memory *s = g_new0(struct store_memory, 1);

    (void)options;
    (void)error;
    s->store.ops = &store_memory_ops;
    g_mutex_init(&s->lock);
    arena_init(&s->arena);
    s->events = g_tree_new_full(compare_rows, NULL, NULL, NULL);
    s->matches = g_tree_new_full(compare_rows, NULL, NULL, NULL);
    s->failures = g_tree_new_full(compare_rows, NULL, NULL, NULL);
    s->ids = g_hash_table_new(id_hash, id_equal);
    s->retries = g_tree_new_full(compare_seqs, NULL, NULL, NULL);
    s->campaigns = g_tree_new_full(compare_names, NULL, NULL, free_campaign);
    return &s->store;
}

/* The trees first: their free functions run before the arena under their rows is gone. */
static void memory_close(struct store *store)
{
    struct store_memory *s = (struct store_memory *)store;

    g_tree_unref(s->events);
    g_tree_unref(s->matches);
    g_tree_unref(s->failures);
    g_hash_table_unref(s->ids);
    g_tree_unref(s->retries);
    g_tree_unref(s->campaigns);
    arena_done(&s->arena);
    g_mutex_clear(&s->lock);
    g_free(s);
}

/* One look-up a key, all at one moment. The digest tells a repetition from another event that
 * carries the same id. */
static bool memory_seen(struct store *store, const struct store_key *keys, size_t count,
                        struct store_seen *out, GError **error)
{
    struct store_memory *s = (struct store_memory *)store;

    (void)error;
    g_mutex_lock(&s->lock);
    for (size_t i = 0; i < count; i++) {
        const struct memory_row *row = find_id(s, keys[i].source, keys[i].event_id);

        out[i] = (struct store_seen){.kind = STORE_SEEN_NEW};
        if (row == NULL)
            continue;
        out[i].seq = row->key;
        out[i].kind = memcmp(&row->digest, &keys[i].digest, sizeof(row->digest)) == 0
                          ? STORE_SEEN_SAME
                          : STORE_SEEN_CONFLICT;
    }
    g_mutex_unlock(&s->lock);
    return true;
}

/* ---- settle: first look at everything, then change everything -------------------------------- */

/* What the outcomes looked at so far would add. The probes in it are owned by ids and point to the
 * caller's texts; rows only borrows them. */
struct batch {
    GHashTable *ids; /* struct memory_row */
    GTree *rows;     /* struct memory_row: events */
};

/* A campaign grants an event at most once; SQLite's primary key refuses it with the same code.
 * Quadratic, but an event matches few campaigns. */
static bool check_matches(const struct store_outcome *o, GError **error)
{
    for (size_t i = 0; i < o->match_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (!slice_equal(o->matches[i].campaign_id, o->matches[j].campaign_id))
                continue;
            g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                        "message %" G_GINT64_FORMAT " matches one campaign twice", o->seq);
            return false;
        }
    }
    return true;
}

/* The probe stands for the row that will be: later outcomes of the batch must see it. An id that is
 * taken is a CONFLICT (the caller skipped seen); a seq that is taken under another id cannot be
 * stored at all (INPUT). The id is looked at first, as the SQLite store does. */
static bool check_processed(const struct store_memory *s, struct batch *batch,
                            const struct store_outcome *o, GError **error)
{
    struct memory_row *probe = g_new0(struct memory_row, 1);

    probe->key = o->seq;
    probe->row.source = o->source;
    probe->row.event_id = o->event_id;
    if (find_id(s, o->source, o->event_id) != NULL || g_hash_table_contains(batch->ids, probe)) {
        g_set_error(error, EF_ERROR, EF_ERROR_CONFLICT,
                    "event '%.*s' of message %" G_GINT64_FORMAT " was processed already",
                    SLICE_ARG(o->event_id), o->seq);
        g_free(probe);
        return false;
    }
    if (find_event(s, o->seq) != NULL || g_tree_lookup(batch->rows, probe) != NULL) {
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                    "message %" G_GINT64_FORMAT " was processed already", o->seq);
        g_free(probe);
        return false;
    }
    g_hash_table_add(batch->ids, probe);
    g_tree_insert(batch->rows, probe, probe);
    return check_matches(o, error);
}

/* The first one is in the table or earlier in this batch; one that comes later does not count,
 * since outcomes are applied in order. */
static bool check_duplicate(const struct store_memory *s, const struct batch *batch,
                            const struct store_outcome *o, GError **error)
{
    struct memory_row probe = {.key = o->duplicate_of};

    if (find_event(s, o->duplicate_of) != NULL || g_tree_lookup(batch->rows, &probe) != NULL)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                "message %" G_GINT64_FORMAT " cannot be a duplicate of message %" G_GINT64_FORMAT
                ", which was never processed",
                o->seq, o->duplicate_of);
    return false;
}

/* Would the whole batch go in? Changes nothing. Failures and retries always fit: their keys are
 * numbered here or replaced. */
static bool check_settlement(const struct store_memory *s, const struct store_settlement *what,
                             GError **error)
{
    struct batch batch = {
        .ids = g_hash_table_new_full(id_hash, id_equal, g_free, NULL),
        .rows = g_tree_new_full(compare_rows, NULL, NULL, NULL),
    };
    bool ok = true;

    for (size_t i = 0; ok && i < what->count; i++) {
        const struct store_outcome *o = &what->outcomes[i];

        if (o->kind == STORE_PROCESSED)
            ok = check_processed(s, &batch, o, error);
        else if (o->kind == STORE_DUPLICATE)
            ok = check_duplicate(s, &batch, o, error);
    }
    g_tree_unref(batch.rows);
    g_hash_table_unref(batch.ids);
    return ok;
}

/* The columns that events and failures have in common, copied: the batch's texts die with its
 * arena. Not yet in any tree. */
static struct memory_row *new_row(struct store_memory *s, const struct store_outcome *o)
{
    struct memory_row *r = arena_zalloc(&s->arena, sizeof(*r));

    r->key = o->seq;
    r->digest = o->digest;
    r->row = (struct store_row){
        .seq = o->seq,
        .event_id = arena_copy(&s->arena, o->event_id),
        .source = arena_copy(&s->arena, o->source),
        .event_type = arena_copy(&s->arena, o->event_type),
        .customer_id = arena_copy(&s->arena, o->customer_id),
        .correlation_id = arena_copy(&s->arena, o->correlation_id),
        .received_at_us = o->received_at_us,
        .attempt = o->attempt,
    };
    return r;
}

/* A match carries its event's columns, as the join does in SQL. The texts are shared with the event
 * row, which is never freed before. */
static void put_match(struct store_memory *s, const struct memory_row *event,
                      const struct store_match *m)
{
    struct memory_row *r = arena_zalloc(&s->arena, sizeof(*r));

    *r = *event;
    r->row.campaign_id = arena_copy(&s->arena, m->campaign_id);
    r->row.campaign_version = m->campaign_version;
    r->row.outcome = SLICE("granted");
    r->row.rewards = arena_copy(&s->arena, m->rewards);
    r->row.matched_at_us = event->row.processed_at_us;
    g_tree_insert(s->matches, r, r);
    s->counters.matches++;
}

/* The row, the id and the matches appear together, since nobody else holds the lock. The same
 * pointer stands in the tree and in the set of ids. */
static void put_processed(struct store_memory *s, const struct store_outcome *o)
{
    struct memory_row *r = new_row(s, o);

    r->row.at_us = o->at_us;
    r->row.processed_at_us = o->finished_at_us;
    r->row.processing_us = o->processing_us;
    r->row.worker_id = arena_copy(&s->arena, slice_text(o->worker_id));
    r->row.match_count = (int64_t)o->match_count;
    g_tree_insert(s->events, r, r);
    g_hash_table_add(s->ids, r);
    for (size_t i = 0; i < o->match_count; i++)
        put_match(s, r, &o->matches[i]);
    s->counters.processed++;
}

/* Nothing is kept of the second one but the count. The first one exists: the check has seen it, or
 * an earlier outcome has just put it. */
static void put_duplicate(struct store_memory *s, const struct store_outcome *o)
{
    find_event(s, o->duplicate_of)->row.duplicates++;
    s->counters.duplicate++;
}

/* Failures are numbered by their own counter: a message may fail again after its replay. Counter
 * and last id are the same number, as no failure is ever removed. */
static void put_failed(struct store_memory *s, const struct store_outcome *o)
{
    struct memory_row *r = new_row(s, o);

    r->key = r->row.id = ++s->counters.failed;
    r->row.reason = arena_copy(&s->arena, slice_text(o->reason));
    r->row.error = arena_copy(&s->arena, slice_text(o->error));
    r->row.body = arena_copy(&s->arena, o->body);
    r->row.first_failed_at_us = o->first_failed_at_us;
    r->row.last_failed_at_us = o->finished_at_us;
    g_tree_insert(s->failures, r, r);
}

/* Replaces what was noted for that message before. The old row stays in the arena; the key must be
 * replaced with it, because it points into the row. */
static void put_retry(struct store_memory *s, const struct store_outcome *o)
{
    struct store_retry *r = arena_zalloc(&s->arena, sizeof(*r));

    r->seq = o->seq;
    r->attempt = o->attempt;
    r->due_us = o->retry_at_us;
    r->first_failed_at_us = o->first_failed_at_us;
    r->error = arena_copy(&s->arena, slice_text(o->error));
    g_tree_replace(s->retries, &r->seq, r);
}

/* The first replay that ends stands; a second one finds the mark and leaves it. An unknown id is no
 * error: the message ends all the same. */
static void mark_replayed(struct store_memory *s, const struct store_outcome *o)
{
    struct memory_row probe = {.key = o->replay_of};
    struct memory_row *r = g_tree_lookup(s->failures, &probe);

    if (r == NULL || r->row.replayed_at_us != 0)
        return;
    r->row.replayed_at_us = o->finished_at_us;
    r->row.replay_seq = o->seq;
    s->counters.replayed++;
}

/* By enum store_outcome_kind. */
static void (*const outcome_putters[])(struct store_memory *s, const struct store_outcome *o) = {
    [STORE_PROCESSED] = put_processed,
    [STORE_DUPLICATE] = put_duplicate,
    [STORE_FAILED] = put_failed,
    [STORE_RETRY] = put_retry,
};

/* Cannot fail: everything was looked at before. An end of any kind takes the message out of the
 * retry table. The position never goes back, and 0 leaves it as it is. */
static void put_settlement(struct store_memory *s, const struct store_settlement *what)
{
    for (size_t i = 0; i < what->count; i++) {
        const struct store_outcome *o = &what->outcomes[i];

        outcome_putters[o->kind](s, o);
        if (o->kind == STORE_RETRY)
            continue;
        g_tree_remove(s->retries, &o->seq);
        if (o->replay_of != 0)
            mark_replayed(s, o);
    }
    s->counters.position = MAX(s->counters.position, what->position);
}

/* One lock from the first look to the last change, so no reader sees half a batch. */
static bool memory_settle(struct store *store, const struct store_settlement *what, GError **error)
{
    struct store_memory *s = (struct store_memory *)store;
    bool ok;

    g_mutex_lock(&s->lock);
    ok = check_settlement(s, what, error);
    if (ok)
        put_settlement(s, what);
    g_mutex_unlock(&s->lock);
    return ok;
}

/* ---- attempts and retries -------------------------------------------------------------------- */

/* Not durable, like everything here; but counted as if. The row is due at once, so a message whose
 * attempt never ends is found again by retries. */
static bool memory_begin_attempt(struct store *store, int64_t seq, int64_t at_us, int *attempt,
                                 GError **error)
{
    struct store_memory *s = (struct store_memory *)store;
    struct store_retry *r;

    (void)error;
    g_mutex_lock(&s->lock);
    r = g_tree_lookup(s->retries, &seq);
    if (r == NULL) {
        r = arena_zalloc(&s->arena, sizeof(*r));
        r->seq = seq;
        r->first_failed_at_us = at_us;
        g_tree_insert(s->retries, &r->seq, r);
    }
    r->due_us = at_us;
    *attempt = ++r->attempt;
    g_mutex_unlock(&s->lock);
    return true;
}

/* Those that have waited longest first; at one time in the order of the queue, as ORDER BY due_us,
 * seq gives it. */
static int compare_due(gconstpointer a, gconstpointer b)
{
    const struct store_retry *x = a;
    const struct store_retry *y = b;
    int order = compare_numbers(x->due_us, y->due_us);

    return order != 0 ? order : compare_numbers(x->seq, y->seq);
}

/* Copies, since the row may change as soon as the lock is gone. All due rows are gathered before
 * max cuts, because the tree is sorted by seq and not by due time. */
static bool memory_retries(struct store *store, int64_t until_us, size_t max, struct arena *a,
                           struct store_retry **out, size_t *count, GError **error)
{
    struct store_memory *s = (struct store_memory *)store;
    g_autoptr(GArray) due = g_array_new(FALSE, FALSE, sizeof(struct store_retry));

    (void)error;
    g_mutex_lock(&s->lock);
    for (GTreeNode *n = g_tree_node_first(s->retries); n != NULL; n = g_tree_node_next(n)) {
        struct store_retry row = *(const struct store_retry *)g_tree_node_value(n);

        if (row.due_us > until_us)
            continue;
        row.error = arena_copy(a, row.error);
        g_array_append_val(due, row);
    }
    g_mutex_unlock(&s->lock);
    g_array_sort(due, compare_due);
    *count = MIN(max, due->len);
    *out = ARENA_NEW(a, struct store_retry, *count);
    if (*count > 0)
        memcpy(*out, due->data, *count * sizeof(**out));
    return true;
}

/* ---- campaigns ------------------------------------------------------------------------------- */

/* Deleting counts as an update for the reader, without a version of its own. */
struct store_campaign store_memory_current(const struct memory_campaign *campaign)
{
    struct store_campaign c =
        g_array_index(campaign->versions, struct store_campaign, campaign->versions->len - 1);

    c.is_deleted = campaign->deleted_at_us != 0;
    if (c.is_deleted)
        c.updated_at_us = campaign->deleted_at_us;
    return c;
}

/* A copy whose texts live in the arena. c's own may be borrowed from anywhere. */
static struct store_campaign copy_campaign(struct arena *a, const struct store_campaign *c)
{
    struct store_campaign copy = *c;

    copy.id = arena_copy(a, c->id);
    copy.name = arena_copy(a, c->name);
    copy.status = arena_copy(a, c->status);
    copy.document = arena_copy(a, c->document);
    return copy;
}

/* May the change be made on what is there now (NULL: nothing)? A deleted campaign counts as
 * absent, and only CREATE may bring it back. */
static bool check_change(const struct store_campaign_write *w, const struct memory_campaign *now,
                         GError **error)
{
    bool is_live = now != NULL && now->deleted_at_us == 0;
    int64_t version = is_live ? store_memory_current(now).version : 0;

    if (w->change == STORE_CAMPAIGN_CREATE && is_live) {
        g_set_error(error, EF_ERROR, EF_ERROR_CONFLICT, "campaign '%.*s' exists already",
                    SLICE_ARG(w->id));
        return false;
    }
    if (w->change != STORE_CAMPAIGN_CREATE && !is_live) {
        g_set_error(error, EF_ERROR, EF_ERROR_MISSING, "there is no campaign '%.*s'",
                    SLICE_ARG(w->id));
        return false;
    }
    if (w->change == STORE_CAMPAIGN_CREATE || w->expected_version == 0 ||
        w->expected_version == version)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_CONFLICT,
                "campaign '%.*s' is at version %" G_GINT64_FORMAT ", not %" G_GINT64_FORMAT,
                SLICE_ARG(w->id), version, w->expected_version);
    return false;
}

/* Filed under its id and still empty; the caller puts the first version under the same lock, so
 * nobody meets a campaign without versions. */
static struct memory_campaign *new_campaign(struct store_memory *s, struct slice id)
{
    struct memory_campaign *campaign = g_new0(struct memory_campaign, 1);
    struct slice *name = ARENA_NEW(&s->arena, struct slice, 1);

    *name = arena_copy(&s->arena, id);
    campaign->versions = g_array_new(FALSE, FALSE, sizeof(struct store_campaign));
    g_tree_insert(s->campaigns, name, campaign);
    return campaign;
}

/* Versions count on across deletion, so "version 3 of big" names one document for ever. Only an
 * UPDATE keeps the time of creation; a campaign made again begins anew. */
static void put_version(struct store_memory *s, struct memory_campaign *campaign,
                        const struct store_campaign_write *w)
{
    struct store_campaign version = {
        .id = w->id,
        .name = w->name,
        .status = w->status,
        .document = w->document,
        .version = (int64_t)campaign->versions->len + 1,
        .created_at_us = w->at_us,
        .updated_at_us = w->at_us,
    };

    if (w->change == STORE_CAMPAIGN_UPDATE)
        version.created_at_us = store_memory_current(campaign).created_at_us;
    version = copy_campaign(&s->arena, &version);
    g_array_append_val(campaign->versions, version);
    campaign->deleted_at_us = 0;
}

/* Refusals change nothing: the generation, which makes workers reload, moves only with a change. */
static bool memory_write_campaign(struct store *store, const struct store_campaign_write *write,
                                  struct arena *a, struct store_campaign *result, GError **error)
{
    struct store_memory *s = (struct store_memory *)store;
    struct memory_campaign *campaign;
    bool ok;

    g_mutex_lock(&s->lock);
    campaign = g_tree_lookup(s->campaigns, &write->id);
    ok = check_change(write, campaign, error);
    if (ok) {
        if (campaign == NULL)
            campaign = new_campaign(s, write->id);
        if (write->change == STORE_CAMPAIGN_DELETE)
            campaign->deleted_at_us = write->at_us;
        else
            put_version(s, campaign, write);
        campaign->generation = ++s->counters.campaign_generation;
    }
    if (ok && result != NULL) {
        struct store_campaign current = store_memory_current(campaign);

        *result = copy_campaign(a, &current);
    }
    g_mutex_unlock(&s->lock);
    return ok;
}

static int compare_generations(gconstpointer a, gconstpointer b)
{
    const struct memory_campaign *x = *(const struct memory_campaign *const *)a;
    const struct memory_campaign *y = *(const struct memory_campaign *const *)b;

    return compare_numbers(x->generation, y->generation);
}

/* Those of the range, in its order; max is not looked at yet. Owned by caller. */
static GPtrArray *find_range(const struct store_memory *s, const struct store_campaign_range *range)
{
    bool is_all = range->since == STORE_CAMPAIGNS_ALL;
    GPtrArray *found = g_ptr_array_new();

    for (GTreeNode *n = g_tree_node_first(s->campaigns); n != NULL; n = g_tree_node_next(n)) {
        struct memory_campaign *campaign = g_tree_node_value(n);
        const struct slice *id = g_tree_node_key(n);

        if (is_all ? campaign->deleted_at_us == 0 && slice_compare(*id, range->after) > 0
                   : campaign->generation > range->since)
            g_ptr_array_add(found, campaign);
    }
    if (!is_all)
        g_ptr_array_sort(found, compare_generations);
    return found;
}

/* The usual question finds nothing new and walks nowhere. */
static bool memory_load_campaigns(struct store *store, const struct store_campaign_range *range,
                                  struct arena *a, struct store_campaign_page *page, GError **error)
{
    struct store_memory *s = (struct store_memory *)store;
    GPtrArray *found;

    (void)error;
    g_mutex_lock(&s->lock);
    *page = (struct store_campaign_page){.generation = s->counters.campaign_generation};
    if (page->generation != range->since) {
        found = find_range(s, range);
        page->count = MIN(found->len, range->max);
        page->has_more = found->len > range->max;
        page->campaigns = ARENA_NEW(a, struct store_campaign, page->count);
        for (size_t i = 0; i < page->count; i++) {
            const struct memory_campaign *campaign = g_ptr_array_index(found, i);
            struct store_campaign current = store_memory_current(campaign);

            page->campaigns[i] = copy_campaign(a, &current);
            if (page->has_more && range->since != STORE_CAMPAIGNS_ALL)
                page->generation = campaign->generation;
        }
        g_ptr_array_unref(found);
    }
    g_mutex_unlock(&s->lock);
    return true;
}

/* ---- summary and check ----------------------------------------------------------------------- */

/* What settle does not count is counted here: by a walk, as there are few campaigns. */
static bool memory_summary(struct store *store, struct store_summary *out, GError **error)
{
    struct store_memory *s = (struct store_memory *)store;

    (void)error;
    g_mutex_lock(&s->lock);
    *out = s->counters;
    out->failures_open = out->failed - out->replayed;
    for (GTreeNode *n = g_tree_node_first(s->retries); n != NULL; n = g_tree_node_next(n))
        out->retrying += ((const struct store_retry *)g_tree_node_value(n))->seq <= out->position;
    out->dedupe_entries = g_hash_table_size(s->ids);
    for (GTreeNode *n = g_tree_node_first(s->campaigns); n != NULL; n = g_tree_node_next(n)) {
        struct store_campaign current = store_memory_current(g_tree_node_value(n));

        if (!current.is_deleted && slice_equal(current.status, SLICE("active")))
            out->campaigns_active++;
    }
    g_mutex_unlock(&s->lock);
    return true;
}

/* Nothing can be damaged here except by a bug, which the counters would show. The cheap levels have
 * nothing to look at. */
static bool memory_check(struct store *store, enum store_check level, GPtrArray *problems,
                         GError **error)
{
    struct store_memory *s = (struct store_memory *)store;

    (void)error;
    if (level != STORE_CHECK_FULL)
        return true;
    g_mutex_lock(&s->lock);
    if (s->counters.processed != g_tree_nnodes(s->events) ||
        s->counters.matches != g_tree_nnodes(s->matches) ||
        s->counters.failed != g_tree_nnodes(s->failures))
        g_ptr_array_add(problems, g_strdup("the counters differ from the rows"));
    g_mutex_unlock(&s->lock);
    return true;
}

const struct store_ops store_memory_ops = {
    .name = "memory",
    .open = memory_open,
    .seen = memory_seen,
    .begin_attempt = memory_begin_attempt,
    .settle = memory_settle,
    .retries = memory_retries,
    .write_campaign = memory_write_campaign,
    .load_campaigns = memory_load_campaigns,
    .list = store_memory_list,
    .summary = memory_summary,
    .check = memory_check,
    .close = memory_close,
};
