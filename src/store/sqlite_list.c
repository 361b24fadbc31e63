/* The lists and the summary: everything that reads rows for people.
 *
 * A query is one SELECT, newest first, that is stepped until the page is full. Its conditions are
 * of two kinds: those that an index answers (they decide where to look), and those that every row
 * must be looked at for. For the latter scan_max bounds the rows looked at: the key of the
 * scan_max'th row is found first (the floor), and the SELECT does not go below.
 *
 * Every page is of one read transaction, and the next page of a later one: rows that arrive in
 * between are newer than the cursor and do not shift it. Texts from outside are bound, never
 * written into the SQL.
 */
#include "store/sqlite_internal.h"

/* ---- reading rows ---------------------------------------------------------------------------- */

/* Columns in the order of EVENT_COLUMNS; slices are valid until the next step, which is after the
 * callback. */
static void read_event(sqlite3_stmt *st, struct store_row *row)
{
    row->seq = sqlite3_column_int64(st, 0);
    row->event_id = store_db_column(st, 1);
    row->source = store_db_column(st, 2);
    row->event_type = store_db_column(st, 3);
    row->customer_id = store_db_column(st, 4);
    row->correlation_id = store_db_column(st, 5);
    row->at_us = sqlite3_column_int64(st, 6);
    row->received_at_us = sqlite3_column_int64(st, 7);
    row->processed_at_us = sqlite3_column_int64(st, 8);
    row->processing_us = sqlite3_column_int64(st, 9);
    row->worker_id = store_db_column(st, 10);
    row->attempt = sqlite3_column_int(st, 11);
    row->match_count = sqlite3_column_int64(st, 12);
    row->duplicates = sqlite3_column_int64(st, 13);
}

#define EVENT_COLUMNS                                                                              \
    "p.seq, p.event_id, p.source, p.event_type, p.customer_id, p.correlation_id, p.at_us, "        \
    "p.received_at_us, p.processed_at_us, p.processing_us, p.worker_id, p.attempt, "               \
    "p.match_count, p.duplicates"

/* An event's columns and behind them the match's own. */
static void read_match(sqlite3_stmt *st, struct store_row *row)
{
    read_event(st, row);
    row->campaign_id = store_db_column(st, 14);
    row->campaign_version = sqlite3_column_int64(st, 15);
    row->outcome = store_db_column(st, 16);
    row->rewards = store_db_column(st, 17);
    row->matched_at_us = sqlite3_column_int64(st, 18);
}

#define MATCH_COLUMNS                                                                              \
    EVENT_COLUMNS ", m.campaign_id, m.campaign_version, m.outcome, m.rewards, m.matched_at_us"

/* Columns in the order of FAILURE_COLUMNS. NULL reads as 0: not replayed. */
static void read_failure(sqlite3_stmt *st, struct store_row *row)
{
    row->id = sqlite3_column_int64(st, 0);
    row->seq = sqlite3_column_int64(st, 1);
    row->event_id = store_db_column(st, 2);
    row->source = store_db_column(st, 3);
    row->event_type = store_db_column(st, 4);
    row->customer_id = store_db_column(st, 5);
    row->correlation_id = store_db_column(st, 6);
    row->reason = store_db_column(st, 7);
    row->error = store_db_column(st, 8);
    row->attempt = sqlite3_column_int(st, 9);
    row->body = store_db_column(st, 10);
    row->received_at_us = sqlite3_column_int64(st, 11);
    row->first_failed_at_us = sqlite3_column_int64(st, 12);
    row->last_failed_at_us = sqlite3_column_int64(st, 13);
    row->replayed_at_us = sqlite3_column_int64(st, 14);
    row->replay_seq = sqlite3_column_int64(st, 15);
}

#define FAILURE_COLUMNS                                                                            \
    "f.id, f.seq, f.event_id, f.source, f.event_type, f.customer_id, f.correlation_id, "           \
    "f.reason, f.error, f.attempts, f.body, f.received_at_us, f.first_failed_at_us, "              \
    "f.last_failed_at_us, f.replayed_at_us, f.replay_seq"

/* The same for the current version and for old ones: both have the columns of a version. */
static void read_campaign(sqlite3_stmt *st, struct store_row *row)
{
    row->campaign = store_sqlite_read_campaign(st);
}

/* ---- views and filters ----------------------------------------------------------------------- */

/* What a list of one kind is made of. All members are SQL text. */
struct view {
    const char *columns; /* the first one is the key */
    const char *from;    /* CROSS JOIN: the left table is walked, in this order */
    const char *key;     /* what the cursor compares; NULL: a text key */
    const char *order;   /* an index gives it: no page is sorted first */
    const char *base;    /* the table alone, for the floor; NULL: no floor */
    void (*read)(sqlite3_stmt *st, struct store_row *row);
};

static const struct view views[] = {
    [STORE_EVENTS] = {EVENT_COLUMNS, "processed AS p", "p.seq", "p.seq DESC", "processed AS p",
                      read_event},
    [STORE_MATCHES] = {MATCH_COLUMNS, "matches AS m CROSS JOIN processed AS p ON p.seq = m.seq",
                       "m.seq", "m.seq DESC, m.campaign_id DESC", "matches AS m", read_match},
    [STORE_FAILURES] = {FAILURE_COLUMNS, "failed AS f", "f.id", "f.id DESC", "failed AS f",
                        read_failure},
    [STORE_CAMPAIGNS] = {SQLITE_STORE_CAMPAIGN_COLUMNS,
                         "campaign_heads AS h CROSS JOIN campaign_versions AS v "
                         "ON v.campaign_id = h.campaign_id AND v.version = h.version",
                         NULL, "h.campaign_id", NULL, read_campaign},
    [STORE_VERSIONS] = {SQLITE_STORE_VERSION_COLUMNS "v.updated_at_us, 0", "campaign_versions AS v",
                        "v.version", "v.version DESC", NULL, read_campaign},
};

enum filter_type { FILTER_TEXT, FILTER_INTEGER };

/* A member of the query that, when set, adds a condition. */
struct filter {
    enum store_view view;
    const char *condition; /* with one '?' */
    enum filter_type type; /* of the member */
    size_t offset;         /* of the member in struct store_query */
    bool is_indexed;       /* an index or the key answers it; no scan */
    bool is_exact;         /* it leaves so few rows that nothing else matters */
};

#define TEXT(member)    FILTER_TEXT, offsetof(struct store_query, member)
#define INTEGER(member) FILTER_INTEGER, offsetof(struct store_query, member)

/* A filter is marked as indexed when it narrows the walk itself: through the key, through
 * failed_by_event or failed_by_reason, or as the first column of the primary key of matches. */
static const struct filter filters[] = {
    {STORE_EVENTS, "p.customer_id = ?", TEXT(customer_id)},
    {STORE_EVENTS, "p.event_type = ?", TEXT(event_type)},
    {STORE_EVENTS, "p.at_us >= ?", INTEGER(from_us)},
    {STORE_EVENTS, "p.at_us < ?", INTEGER(until_us)},
    {STORE_EVENTS, "p.seq = ?", INTEGER(seq), true, true},
    {STORE_EVENTS, "p.seq < ?", INTEGER(before), true},
    {STORE_MATCHES, "p.customer_id = ?", TEXT(customer_id)},
    {STORE_MATCHES, "p.event_type = ?", TEXT(event_type)},
    {STORE_MATCHES, "p.at_us >= ?", INTEGER(from_us)},
    {STORE_MATCHES, "p.at_us < ?", INTEGER(until_us)},
    {STORE_MATCHES, "m.seq = ?", INTEGER(seq), true, true},
    {STORE_MATCHES, "m.seq < ?", INTEGER(before), true},
    {STORE_MATCHES, "m.campaign_id = ?", TEXT(campaign_id), true},
    {STORE_FAILURES, "f.event_id = ?", TEXT(event_id), true, true},
    {STORE_FAILURES, "f.customer_id = ?", TEXT(customer_id)},
    {STORE_FAILURES, "f.event_type = ?", TEXT(event_type)},
    {STORE_FAILURES, "f.last_failed_at_us >= ?", INTEGER(from_us)},
    {STORE_FAILURES, "f.last_failed_at_us < ?", INTEGER(until_us)},
    {STORE_FAILURES, "f.id = ?", INTEGER(seq), true, true},
    {STORE_FAILURES, "f.id < ?", INTEGER(before), true},
    {STORE_FAILURES, "f.reason = ?", TEXT(reason), true},
    {STORE_FAILURES, "CASE WHEN f.replayed_at_us IS NULL THEN 'open' ELSE 'replayed' END = ?",
     TEXT(status)},
    {STORE_CAMPAIGNS, "h.campaign_id = ?", TEXT(campaign_id), true, true},
    {STORE_CAMPAIGNS, "h.campaign_id > ?", TEXT(after), true},
    {STORE_CAMPAIGNS, "v.status = ?", TEXT(status)},
    {STORE_VERSIONS, "v.campaign_id = ?", TEXT(campaign_id), true},
    {STORE_VERSIONS, "v.version < ?", INTEGER(before), true},
};

/* ---- conditions ------------------------------------------------------------------------------ */

/* One kind of conditions, as it grows. */
struct conditions {
    GString *sql;   /* " AND …" for each */
    GArray *values; /* struct store_value, one for each '?' */
};

/* One call of list on its way. */
struct list_run {
    const struct store_query *query;
    const struct view *view;
    struct arena *a;
    struct conditions indexed, scanned;
    bool is_exact;   /* so few rows that scan_max does not apply */
    int64_t floor;   /* keys below it are not looked at; 0: no floor */
    bool has_deeper; /* rows exist below the floor */
    size_t limit;    /* the query's, or scan_max when that is less */
    store_row_fn row;
    void *user;
    struct store_page *page;
};

/* Text and values grow together; a value is bound where its '?' stands. done frees both. */
static void conditions_init(struct conditions *c)
{
    c->sql = g_string_new(NULL);
    c->values = g_array_new(FALSE, FALSE, sizeof(struct store_value));
}

static void conditions_done(struct conditions *c)
{
    g_string_free(c->sql, TRUE);
    g_array_unref(c->values);
}

/* The value's bytes are borrowed from the query until the SELECT has run. */
static void conditions_add(struct conditions *c, const char *condition, struct store_value value)
{
    g_string_append_printf(c->sql, " AND %s", condition);
    g_array_append_val(c->values, value);
}

/* Adds the filter's condition if the query asks for it. Members that are empty or 0 add nothing: a
 * VALUE_TEXT has integer 0 and a VALUE_INTEGER no bytes, so one test serves both. */
static void add_filter(struct list_run *run, const struct filter *f)
{
    const char *member = (const char *)run->query + f->offset;
    struct store_value value;

    if (f->type == FILTER_TEXT)
        value = VALUE_TEXT(*(const struct slice *)(const void *)member);
    else
        value = VALUE_INTEGER(*(const int64_t *)(const void *)member);
    if (value.bytes.size == 0 && value.integer == 0)
        return;
    conditions_add(f->is_indexed ? &run->indexed : &run->scanned, f->condition, value);
    run->is_exact |= f->is_exact;
}

/* Our own numbers, not anybody's text: they may stand in the SQL. No seqs: IN () finds nothing. */
static void append_seqs(GString *sql, const char *key, const GArray *seqs)
{
    g_string_append_printf(sql, " AND %s IN (", key);
    for (guint i = 0; i < seqs->len; i++)
        g_string_append_printf(sql, "%s%" G_GINT64_FORMAT, i > 0 ? "," : "",
                               g_array_index(seqs, int64_t, i));
    g_string_append_c(sql, ')');
}

/* Events are found by id through the dedupe index, and every candidate row is compared, so a wrong
 * candidate only costs a look. Without either index the id is one more condition of a scan. */
static void add_event_id(struct list_run *run, struct store_sqlite *s)
{
    const struct store_query *q = run->query;
    g_autoptr(GArray) seqs = g_array_new(FALSE, FALSE, sizeof(int64_t));
    struct store_value id = VALUE_TEXT(q->event_id);
    g_autofree char *search = NULL;

    switch (store_dedupe_candidates(s, q->event_id, q->has_source, q->source, seqs)) {
    case STORE_WAY_SEQS:
        append_seqs(run->indexed.sql, run->view->key, seqs);
        run->is_exact = true;
        break;
    case STORE_WAY_SQL:
        search = g_strconcat(run->view->key, " IN (SELECT seq FROM processed INDEXED BY ",
                             "processed_by_id WHERE event_id = ?)", NULL);
        conditions_add(&run->indexed, search, id);
        run->is_exact = true;
        break;
    case STORE_WAY_SCAN:
        break;
    }
    conditions_add(&run->scanned, "p.event_id = ?", id);
}

/* Everything the query says, sorted into the two kinds. The source stands outside of the table, as
 * its empty value filters too. */
static void add_filters(struct list_run *run, struct store_sqlite *s)
{
    const struct store_query *q = run->query;
    bool has_events = q->view == STORE_EVENTS || q->view == STORE_MATCHES;

    for (size_t i = 0; i < G_N_ELEMENTS(filters); i++)
        if (filters[i].view == q->view)
            add_filter(run, &filters[i]);
    if (q->has_source && (has_events || q->view == STORE_FAILURES))
        conditions_add(&run->scanned, has_events ? "p.source = ?" : "f.source = ?",
                       VALUE_TEXT(q->source));
    if (q->event_id.size > 0 && has_events)
        add_event_id(run, s);
    if (q->view == STORE_CAMPAIGNS && q->campaign_id.size == 0)
        g_string_append(run->indexed.sql, " AND h.deleted_at_us IS NULL");
}

/* ---- running --------------------------------------------------------------------------------- */

/* Prepared anew for each list: the combinations are many, and preparing takes some 20 us. NULL on
 * error; the caller finalizes. The values' bytes must live as long. */
static sqlite3_stmt *prepare(struct store_db *c, const GString *sql, const GArray *values,
                             GError **error)
{
    sqlite3_stmt *st = NULL;
    int code = sqlite3_prepare_v2(c->db, sql->str, (int)sql->len, &st, NULL);

    if (code == SQLITE_OK)
        code = store_db_bind_values(st, (const struct store_value *)(const void *)values->data,
                                    values->len);
    if (code == SQLITE_OK)
        return st;
    store_db_fail(c, code, "cannot prepare a list", error);
    sqlite3_finalize(st);
    return NULL;
}

/* Finds the key of the last row that may be looked at, and whether there are more below it. Counts
 * keys without looking into the rows. Fewer rows than scan_max: the floor stays 0. Further matches
 * of the floor's own event belong to this page and are passed over; they are few. */
static bool find_floor(struct list_run *run, struct store_db *c, GError **error)
{
    const struct view *v = run->view;
    g_autoptr(GString) sql = g_string_new(NULL);
    sqlite3_stmt *st;
    int code;

    g_string_printf(sql,
                    "SELECT %s FROM %s WHERE 1%s ORDER BY %s DESC LIMIT -1 OFFSET %" G_GSIZE_FORMAT,
                    v->key, v->base, run->indexed.sql->str, v->key, run->query->scan_max - 1);
    st = prepare(c, sql, run->indexed.values, error);
    if (st == NULL)
        return false;
    code = sqlite3_step(st);
    if (code == SQLITE_ROW) {
        run->floor = sqlite3_column_int64(st, 0);
        do
            code = sqlite3_step(st);
        while (code == SQLITE_ROW && sqlite3_column_int64(st, 0) == run->floor);
        run->has_deeper = code == SQLITE_ROW;
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        store_db_fail(c, code, "cannot read", error);
    sqlite3_finalize(st);
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

/* The SELECT and its values. Parameters are bound in the order of their '?': those of the indexed
 * conditions first. CROSS JOIN and INDEXED BY keep the planner from another order, which would sort
 * everything first. The floor is a number of ours and stands in the text. */
static void build(const struct list_run *run, GString *sql, GArray *values)
{
    const struct view *v = run->view;
    bool by_seq = run->query->view == STORE_MATCHES && run->query->campaign_id.size == 0;

    g_string_printf(sql, "SELECT %s FROM %s WHERE 1%s", v->columns,
                    by_seq ? "matches AS m INDEXED BY matches_by_seq "
                             "CROSS JOIN processed AS p ON p.seq = m.seq"
                           : v->from,
                    run->indexed.sql->str);
    g_array_append_vals(values, run->indexed.values->data, run->indexed.values->len);
    if (run->floor > 0)
        g_string_append_printf(sql, " AND %s >= %" G_GINT64_FORMAT, v->key, run->floor);
    g_string_append_printf(sql, "%s ORDER BY %s", run->scanned.sql->str, v->order);
    g_array_append_vals(values, run->scanned.values->data, run->scanned.values->len);
}

/* One row to the callback; false when the page is full. The matches of one event stay together,
 * since the cursor can only stand between events. */
static bool take_row(struct list_run *run, sqlite3_stmt *st)
{
    struct store_page *page = run->page;
    int64_t key = sqlite3_column_int64(st, 0);
    struct store_row row = {0};

    if (page->count >= run->limit && (run->query->view != STORE_MATCHES || key != page->next)) {
        page->has_more = true;
        return false;
    }
    run->view->read(st, &row);
    run->row(&row, run->user);
    page->count++;
    page->next = key;
    if (run->query->view == STORE_CAMPAIGNS && page->count == run->limit)
        page->next_after = arena_copy(run->a, row.campaign.id);
    return true;
}

/* No LIMIT: the rows come one by one, and stepping simply stops when the page is full. The row that
 * does not fit is what proves that there is more. */
static bool take_rows(struct list_run *run, struct store_db *c, GError **error)
{
    g_autoptr(GString) sql = g_string_new(NULL);
    g_autoptr(GArray) values = g_array_new(FALSE, FALSE, sizeof(struct store_value));
    sqlite3_stmt *st;
    int code;

    build(run, sql, values);
    st = prepare(c, sql, values, error);
    if (st == NULL)
        return false;
    while ((code = sqlite3_step(st)) == SQLITE_ROW)
        if (!take_row(run, st))
            break;
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        store_db_fail(c, code, "cannot read", error);
    sqlite3_finalize(st);
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

/* The page may have ended at the floor: then the list goes on below it. Cursors that lead nowhere
 * are taken back. */
static void finish_page(struct list_run *run)
{
    struct store_page *page = run->page;

    if (!page->has_more && run->has_deeper) {
        page->has_more = true;
        page->next = run->floor;
    }
    if (!page->has_more || run->query->view == STORE_CAMPAIGNS)
        page->next = 0;
    if (!page->has_more)
        page->next_after = (struct slice){0};
}

/* Without conditions that need a look at each row, every row looked at is a row of the page: then a
 * smaller limit does what the floor would do, for nothing. */
static bool run_list(struct list_run *run, struct store_db *c, GError **error)
{
    const struct store_query *q = run->query;
    bool is_bounded = q->scan_max > 0 && run->view->base != NULL && !run->is_exact;

    run->limit = is_bounded ? MIN(q->limit, q->scan_max) : q->limit;
    if (is_bounded && run->scanned.values->len > 0 && !find_floor(run, c, error))
        return false;
    if (!take_rows(run, c, error))
        return false;
    finish_page(run);
    return true;
}

/* The candidates by id are taken before the read transaction begins, so every one of them is
 * committed for it; what comes later is the next reader's. */
bool store_sqlite_list(struct store *store, const struct store_query *query, struct arena *a,
                       store_row_fn row, void *user, struct store_page *page, GError **error)
{
    struct store_sqlite *s = (struct store_sqlite *)store;
    struct list_run run = {
        .query = query, .view = &views[query->view], .a = a, .row = row, .user = user};
    struct store_page filled = {0};
    struct store_db *c;
    bool ok = false;

    run.page = &filled;
    conditions_init(&run.indexed);
    conditions_init(&run.scanned);
    add_filters(&run, s);
    c = store_sqlite_begin_read(s, error);
    if (c != NULL) {
        ok = run_list(&run, c, error);
        store_sqlite_end_read(s, c);
    }
    conditions_done(&run.indexed);
    conditions_done(&run.scanned);
    if (ok)
        *page = filled;
    return ok;
}

/* ---- summary --------------------------------------------------------------------------------- */

/* Which row of ST_SUMMARY fills which member; all of them are int64_t. */
static const struct {
    const char *name;
    size_t offset;
} summary_members[] = {
    {"position", offsetof(struct store_summary, position)},
    {"processed", offsetof(struct store_summary, processed)},
    {"failed", offsetof(struct store_summary, failed)},
    {"duplicate", offsetof(struct store_summary, duplicate)},
    {"matches", offsetof(struct store_summary, matches)},
    {"replayed", offsetof(struct store_summary, replayed)},
    {"retrying", offsetof(struct store_summary, retrying)},
    {"campaigns_active", offsetof(struct store_summary, campaigns_active)},
    {"campaign_generation", offsetof(struct store_summary, campaign_generation)},
};

/* Rows of ST_SUMMARY that no member asks for are left alone. memcpy, since the offset has lost the
 * member's type. */
static void set_member(struct store_summary *out, struct slice name, int64_t value)
{
    for (size_t i = 0; i < G_N_ELEMENTS(summary_members); i++)
        if (slice_equal(name, slice_text(summary_members[i].name)))
            memcpy((char *)out + summary_members[i].offset, &value, sizeof(value));
}

/* One statement, so the numbers are of one moment. A counter that is missing stays 0; the full
 * check would name it. */
static bool read_summary(struct store_db *c, struct store_summary *out, GError **error)
{
    sqlite3_stmt *st = store_db_bind(c, ST_SUMMARY, NULL, 0, error);
    int code;

    if (st == NULL)
        return false;
    while ((code = sqlite3_step(st)) == SQLITE_ROW)
        set_member(out, store_db_column(st, 0), sqlite3_column_int64(st, 1));
    return store_db_end(c, st, code, error);
}

/* Open failures follow from two counters, and the check proves them against the rows. */
bool store_sqlite_summary(struct store *store, struct store_summary *out, GError **error)
{
    struct store_sqlite *s = (struct store_sqlite *)store;
    struct store_summary filled = {0};
    struct store_db *c = store_sqlite_begin_read(s, error);
    bool ok;

    if (c == NULL)
        return false;
    ok = read_summary(c, &filled, error);
    store_sqlite_end_read(s, c);
    if (!ok)
        return false;
    filled.failures_open = filled.failed - filled.replayed;
    store_dedupe_describe(s, &filled);
    *out = filled;
    return true;
}
