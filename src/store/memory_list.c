/* The lists of the memory store: a walk over a tree from its newest row.
 *
 * There are no indexes, but the answers, page ends included, must be those of a store that has
 * them. So conditions are told apart as there: candidates are the rows an index would lead to, and
 * only they count as looked at.
 *
 * Everything runs under the store's lock, and rows are given to the callback where they lie.
 */
#include "store/memory_internal.h"

/* ---- filters --------------------------------------------------------------------------------- */

/* An empty slice and 0 mean any. The source cannot use this: its empty value is a value. */
static bool fits_text(struct slice wanted, struct slice is)
{
    return wanted.size == 0 || slice_equal(wanted, is);
}

static bool fits_number(int64_t wanted, int64_t is)
{
    return wanted == 0 || wanted == is;
}

/* Half-open: from is in, until is out, so adjoining ranges share no row. */
static bool fits_time(const struct store_query *q, int64_t at_us)
{
    return (q->from_us == 0 || at_us >= q->from_us) && (q->until_us == 0 || at_us < q->until_us);
}

/* The conditions that a store with indexes answers without looking at the row. The list must agree
 * with is_indexed in the SQLite store's filter table, or scan_max would end pages elsewhere. */
static bool is_candidate(const struct store_query *q, const struct memory_row *r)
{
    if ((q->before != 0 && r->key >= q->before) || !fits_number(q->seq, r->key) ||
        !fits_text(q->event_id, r->row.event_id))
        return false;
    if (q->view == STORE_MATCHES)
        return fits_text(q->campaign_id, r->row.campaign_id);
    return q->view != STORE_FAILURES || fits_text(q->reason, r->row.reason);
}

/* The conditions for which a row must be looked at. Failures are dated by their last attempt,
 * everything else by the event's own time. */
static bool is_hit(const struct store_query *q, const struct memory_row *r)
{
    bool is_failure = q->view == STORE_FAILURES;
    struct slice status = r->row.replayed_at_us == 0 ? SLICE("open") : SLICE("replayed");

    return (!q->has_source || slice_equal(q->source, r->row.source)) &&
           fits_text(q->customer_id, r->row.customer_id) &&
           fits_text(q->event_type, r->row.event_type) &&
           fits_time(q, is_failure ? r->row.last_failed_at_us : r->row.at_us) &&
           (!is_failure || fits_text(q->status, status));
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* One call of list on its way through a tree. */
struct walk {
    const struct store_query *query;
    store_row_fn row;
    void *user;
    struct store_page *page;
    size_t looked;  /* candidates looked at */
    int64_t lowest; /* key of the last of them */
};

/* One candidate; false when the page ends before it. The matches of one event stay together, so
 * both limits are tried only where the key changes. A query that is exact (one seq or id) is never
 * cut short by scan_max. */
static bool look(struct walk *w, const struct memory_row *r)
{
    const struct store_query *q = w->query;
    bool is_bounded = q->scan_max > 0 && q->seq == 0 && q->event_id.size == 0;
    struct store_page *page = w->page;

    if (is_bounded && w->looked >= q->scan_max && r->key != w->lowest) {
        page->has_more = true;
        page->next = w->lowest;
        return false;
    }
    w->looked++;
    w->lowest = r->key;
    if (!is_hit(q, r))
        return true;
    if (page->count >= q->limit && (q->view != STORE_MATCHES || r->key != page->next)) {
        page->has_more = true;
        return false;
    }
    w->row(&r->row, w->user);
    page->count++;
    page->next = r->key;
    return true;
}

/* Newest first. Reaching the oldest row ends the list: then there is no cursor. */
static void list_rows(struct walk *w, GTree *rows)
{
    for (GTreeNode *n = g_tree_node_last(rows); n != NULL; n = g_tree_node_previous(n)) {
        const struct memory_row *r = g_tree_node_value(n);

        if (is_candidate(w->query, r) && !look(w, r))
            return;
    }
    w->page->next = 0;
}

/* ---- campaigns ------------------------------------------------------------------------------- */

/* Deleted campaigns show only when asked for by id. The empty cursor is smaller than every id. */
static bool fits_campaign(const struct store_query *q, const struct store_campaign *c)
{
    if (q->campaign_id.size > 0 ? !slice_equal(q->campaign_id, c->id) : c->is_deleted)
        return false;
    return slice_compare(c->id, q->after) > 0 && fits_text(q->status, c->status);
}

/* Ascending, from the first id after the cursor. One row beyond the page must be seen to know that
 * there is more; the cursor is copied, as the lock ends with the call. */
static void list_campaigns(struct walk *w, GTree *campaigns, struct arena *a)
{
    struct slice last = {0};

    for (GTreeNode *n = g_tree_node_first(campaigns); n != NULL; n = g_tree_node_next(n)) {
        struct store_row row = {.campaign = store_memory_current(g_tree_node_value(n))};

        if (!fits_campaign(w->query, &row.campaign))
            continue;
        if (w->page->count >= w->query->limit) {
            w->page->has_more = true;
            w->page->next_after = arena_copy(a, last);
            return;
        }
        w->row(&row, w->user);
        w->page->count++;
        last = row.campaign.id;
    }
}

/* Newest first, straight from the array, in which version n stands at n - 1. An unknown campaign
 * has no versions, which is an empty page and no error. */
static void list_versions(struct walk *w, GTree *campaigns)
{
    const struct memory_campaign *c = g_tree_lookup(campaigns, &w->query->campaign_id);

    for (guint i = c != NULL ? c->versions->len : 0; i > 0; i--) {
        struct store_row row = {.campaign =
                                    g_array_index(c->versions, struct store_campaign, i - 1)};

        if (w->query->before != 0 && row.campaign.version >= w->query->before)
            continue;
        if (w->page->count >= w->query->limit) {
            w->page->has_more = true;
            return;
        }
        w->row(&row, w->user);
        w->page->count++;
        w->page->next = row.campaign.version;
    }
    w->page->next = 0;
}

/* The callback runs under the lock: it must not call the store. The first three views have trees of
 * rows, indexed by their enum value. */
bool store_memory_list(struct store *store, const struct store_query *query, struct arena *a,
                       store_row_fn row, void *user, struct store_page *page, GError **error)
{
    struct store_memory *s = (struct store_memory *)store;
    struct walk w = {.query = query, .row = row, .user = user, .page = page};
    GTree *rows[] = {s->events, s->matches, s->failures};

    (void)error;
    *page = (struct store_page){0};
    g_mutex_lock(&s->lock);
    if (query->view == STORE_CAMPAIGNS)
        list_campaigns(&w, s->campaigns, a);
    else if (query->view == STORE_VERSIONS)
        list_versions(&w, s->campaigns);
    else
        list_rows(&w, rows[query->view]);
    g_mutex_unlock(&s->lock);
    return true;
}
