/* Campaigns: every version is a row that never changes, and a head says which one counts.
 *
 * A change reads the head, decides, makes the next generation, writes version and head, in one
 * transaction: two writers with the same expected version cannot both win. Deleting only marks the
 * head, so the versions stay readable and their numbers go on if the id is made again.
 *
 * Documents are not parsed here: the api has validated them, the worker compiles them.
 */
#include "store/sqlite_internal.h"

#include "common/error.h"

/* What goes into and comes out of the transaction of a change. */
struct change {
    const struct store_campaign_write *write;
    struct arena *a;               /* NULL: nobody wants the result */
    struct store_campaign *result; /* set in the transaction */
};

/* Columns as in SQLITE_STORE_VERSION_COLUMNS and the two behind them. */
struct store_campaign store_sqlite_read_campaign(sqlite3_stmt *statement)
{
    return (struct store_campaign){
        .version = sqlite3_column_int64(statement, 0),
        .id = store_db_column(statement, 1),
        .name = store_db_column(statement, 2),
        .status = store_db_column(statement, 3),
        .document = store_db_column(statement, 4),
        .created_at_us = sqlite3_column_int64(statement, 5),
        .updated_at_us = sqlite3_column_int64(statement, 6),
        .is_deleted = sqlite3_column_int(statement, 7) != 0,
    };
}

/* All texts are copied into the arena: the columns die with the next step. */
static struct store_campaign copy_campaign(sqlite3_stmt *statement, struct arena *a)
{
    struct store_campaign c = store_sqlite_read_campaign(statement);

    c.id = arena_copy(a, c.id);
    c.name = arena_copy(a, c.name);
    c.status = arena_copy(a, c.status);
    c.document = arena_copy(a, c.document);
    return c;
}

/* The current version, also of a deleted campaign; version 0 when the id was never used, which is
 * no error. false: it could not be read. */
static bool read_current(struct store_db *c, struct slice id, struct arena *a,
                         struct store_campaign *out, GError **error)
{
    struct store_value values[] = {VALUE_TEXT(id)};
    sqlite3_stmt *statement = store_db_bind(c, ST_CAMPAIGN_CURRENT, values, 1, error);
    int code;

    *out = (struct store_campaign){0};
    if (statement == NULL)
        return false;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *out = copy_campaign(statement, a);
    return store_db_end(c, statement, code, error);
}

/* May the change be made on what is there now? CONFLICT and MISSING say why not. A deleted campaign
 * counts as absent, so deleting twice is MISSING and creating over it is allowed. */
static bool check_change(const struct store_campaign_write *w, const struct store_campaign *now,
                         GError **error)
{
    bool is_live = now->version > 0 && !now->is_deleted;

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
        w->expected_version == now->version)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_CONFLICT,
                "campaign '%.*s' is at version %" G_GINT64_FORMAT ", not %" G_GINT64_FORMAT,
                SLICE_ARG(w->id), now->version, w->expected_version);
    return false;
}

/* The next version becomes the current one; a campaign made again starts with a new creation time.
 * Replacing the head also clears its mark of deletion. */
static bool write_version(struct store_sqlite *s, const struct store_campaign_write *w,
                          const struct store_campaign *now, int64_t generation, GError **error)
{
    int64_t created = w->change == STORE_CAMPAIGN_CREATE ? w->at_us : now->created_at_us;
    struct store_value head[] = {VALUE_TEXT(w->id), VALUE_INTEGER(now->version + 1),
                                 VALUE_INTEGER(generation)};
    struct store_value values[8] = {
        VALUE_TEXT(w->id),       VALUE_INTEGER(now->version + 1), VALUE_TEXT(w->name),
        VALUE_TEXT(w->status),   VALUE_TEXT(w->document),         VALUE_INTEGER(created),
        VALUE_INTEGER(w->at_us),
    };

    values[7] = VALUE_INTEGER(store_db_checksum(values, 7, s->scratch));
    return store_db_run(s->writer, ST_INSERT_VERSION, values, 8, error) &&
           store_db_run(s->writer, ST_PUT_HEAD, head, 3, error);
}

/* The version row stays as it is: its checksum covers what was valid then. */
static bool write_deleted(struct store_sqlite *s, const struct store_campaign_write *w,
                          int64_t generation, GError **error)
{
    struct store_value values[] = {VALUE_TEXT(w->id), VALUE_INTEGER(w->at_us),
                                   VALUE_INTEGER(generation)};

    return store_db_run(s->writer, ST_DELETE_HEAD, values, 3, error);
}

static bool count_up(struct store_sqlite *s, const char *name, int64_t by, GError **error)
{
    struct store_value values[] = {VALUE_TEXT(slice_text(name)), VALUE_INTEGER(by)};

    return by == 0 || store_db_run(s->writer, ST_COUNT_UP, values, 2, error);
}

/* 1 or 0: what the campaign adds to the count of the active ones. */
static int64_t active_count(const struct store_campaign *c)
{
    return c->version > 0 && !c->is_deleted && slice_equal(c->status, SLICE("active"));
}

/* A body of store_sqlite_write. Between reading and writing nobody else writes, since the
 * transaction began IMMEDIATE. The result is read back, so it is what the next reader will see. */
static bool change_body(struct store_sqlite *s, void *user, GError **error)
{
    struct change *change = user;
    const struct store_campaign_write *w = change->write;
    struct store_campaign now;
    int64_t generation = 0;

    if (!read_current(s->writer, w->id, change->a, &now, error) || !check_change(w, &now, error))
        return false;
    if (!count_up(s, "campaign_generation", 1, error) ||
        !store_db_get(s->writer, ST_GENERATION, NULL, 0, NULL, &generation, error))
        return false;
    if (w->change == STORE_CAMPAIGN_DELETE ? !write_deleted(s, w, generation, error)
                                           : !write_version(s, w, &now, generation, error))
        return false;
    return read_current(s->writer, w->id, change->a, change->result, error) &&
           count_up(s, "campaigns_active", active_count(change->result) - active_count(&now),
                    error);
}

/* Without an arena of the caller's the result goes into one that is dropped. result is set after
 * the commit only: a change that was rolled back is never shown. */
bool store_sqlite_write_campaign(struct store *store, const struct store_campaign_write *write,
                                 struct arena *a, struct store_campaign *result, GError **error)
{
    struct store_sqlite *s = (struct store_sqlite *)store;
    struct store_campaign written;
    struct arena own;
    struct change change = {.write = write, .a = a != NULL ? a : &own, .result = &written};
    bool ok;

    arena_init(&own);
    ok = store_sqlite_write(s, change_body, &change, error);
    arena_done(&own);
    if (ok && result != NULL)
        *result = written;
    return ok;
}

/* Appends the rows of the range, and one more when there are more. By id, or by generation: then
 * *last is that of the max-th. */
static bool read_range(struct store_db *c, const struct store_campaign_range *range,
                       struct arena *a, GArray *rows, int64_t *last, GError **error)
{
    bool is_all = range->since == STORE_CAMPAIGNS_ALL;
    struct store_value values[] = {
        is_all ? VALUE_TEXT(range->after) : VALUE_INTEGER(range->since),
        VALUE_INTEGER((int64_t)MIN(range->max, INT32_MAX) + 1),
    };
    sqlite3_stmt *statement =
        store_db_bind(c, is_all ? ST_LIVE_CAMPAIGNS : ST_CHANGED_CAMPAIGNS, values, 2, error);
    int code;

    if (statement == NULL)
        return false;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct store_campaign row = copy_campaign(statement, a);

        g_array_append_val(rows, row);
        if (!is_all && rows->len <= range->max)
            *last = sqlite3_column_int64(statement, 8);
    }
    return store_db_end(c, statement, code, error);
}

/* Generation and rows are of one read transaction: they belong together. The usual call finds the
 * generation it knows and reads one row. */
bool store_sqlite_load_campaigns(struct store *store, const struct store_campaign_range *range,
                                 struct arena *a, struct store_campaign_page *page, GError **error)
{
    struct store_sqlite *s = (struct store_sqlite *)store;
    g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(struct store_campaign));
    struct store_db *c = store_sqlite_begin_read(s, error);
    int64_t current = 0, last = 0;
    bool ok, has_more;

    if (c == NULL)
        return false;
    ok = store_db_get(c, ST_GENERATION, NULL, 0, NULL, &current, error) &&
         (current == range->since || read_range(c, range, a, rows, &last, error));
    store_sqlite_end_read(s, c);
    if (!ok)
        return false;
    has_more = rows->len > range->max;
    *page = (struct store_campaign_page){
        .count = MIN(rows->len, range->max),
        .has_more = has_more,
        .generation = has_more && range->since != STORE_CAMPAIGNS_ALL ? last : current,
    };
    page->campaigns = ARENA_NEW(a, struct store_campaign, page->count);
    if (page->count > 0)
        memcpy(page->campaigns, rows->data, page->count * sizeof(*page->campaigns));
    return true;
}
