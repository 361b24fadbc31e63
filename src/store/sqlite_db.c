/* One SQLite connection: statements prepared once, values bound from tables, errors translated.
 *
 * A statement is named by its number in enum store_statement; its text stands in the table below
 * and it is prepared on first use, per connection. Values travel as arrays of struct store_value,
 * so the checksum of a row is computed from the very array that is bound.
 *
 * No locks here: whoever holds a connection is alone with it.
 */
#include "store/sqlite_internal.h"

#include <errno.h>

#include "common/error.h"
#include "common/wal_keeper.h"

#define BUSY_MS             5000 /* for other programs that hold the file, e.g. a shell */
#define CHECKSUM_VALUES_MAX 32   /* of one row; twice the widest */

/* Order of the parameters = order of the values in the one function that runs the statement.
 * ST_FIND_BY_ID needs the index processed_by_id, or it would read every row: it runs only while the
 * ids are on disk. */
static const char *const statement_texts[ST_COUNT] = {
    [ST_BEGIN_READ] = "BEGIN",
    [ST_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    /* The ids are selected too: a candidate is compared before it counts. */
    [ST_FIND_BY_SEQ] = "SELECT seq, source, event_id, digest FROM processed WHERE seq = ?1",
    [ST_FIND_BY_ID] = "SELECT seq, source, event_id, digest FROM processed "
                      "WHERE event_id = ?1 AND source = ?2",
    [ST_INSERT_PROCESSED] =
        "INSERT INTO processed (seq, event_id, source, event_type, customer_id, correlation_id, "
        "at_us, received_at_us, processed_at_us, processing_us, worker_id, attempt, match_count, "
        "digest, checksum) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
    [ST_INSERT_MATCH] =
        "INSERT INTO matches (campaign_id, seq, campaign_version, outcome, rewards, "
        "matched_at_us, checksum) VALUES (?1,?2,?3,?4,?5,?6,?7)",
    [ST_INSERT_FAILED] =
        "INSERT INTO failed (seq, event_id, source, event_type, customer_id, correlation_id, "
        "reason, error, attempts, body, received_at_us, first_failed_at_us, last_failed_at_us, "
        "checksum) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)",
    [ST_COUNT_DUPLICATE] = "UPDATE processed SET duplicates = duplicates + 1 WHERE seq = ?1",
    /* The first replay that ends stands. */
    [ST_MARK_REPLAYED] = "UPDATE failed SET replayed_at_us = ?2, replay_seq = ?3, "
                         "replay_checksum = row_checksum(id, ?2, ?3) "
                         "WHERE id = ?1 AND replayed_at_us IS NULL",
    [ST_HAS_RETRIES] = "SELECT EXISTS (SELECT 1 FROM retries)",
    [ST_DELETE_RETRY] = "DELETE FROM retries WHERE seq = ?1",
    [ST_PUT_RETRY] = "INSERT OR REPLACE INTO retries (seq, attempt, due_us, first_failed_at_us, "
                     "reason, error, checksum) VALUES (?1,?2,?3,?4,?5,?6,"
                     "row_checksum(?1,?2,?3,?4,?5,?6))",
    /* Due at once: if the process dies in the attempt, the next one finds the message again. */
    [ST_BEGIN_ATTEMPT] =
        "INSERT INTO retries (seq, attempt, due_us, first_failed_at_us, reason, error, checksum) "
        "VALUES (?1, 1, ?2, ?2, '', '', row_checksum(?1, 1, ?2, ?2, '', '')) "
        "ON CONFLICT (seq) DO UPDATE SET attempt = attempt + 1, due_us = ?2, checksum = "
        "row_checksum(seq, attempt + 1, ?2, first_failed_at_us, reason, error) RETURNING attempt",
    [ST_DUE_RETRIES] = "SELECT seq, attempt, due_us, first_failed_at_us, error FROM retries "
                       "WHERE due_us <= ?1 ORDER BY due_us, seq LIMIT ?2",
    [ST_COUNT_UP] = "UPDATE counters SET value = value + ?2, "
                    "checksum = row_checksum(name, value + ?2) WHERE name = ?1",
    [ST_SET_POSITION] = "UPDATE counters SET value = max(value, ?1), "
                        "checksum = row_checksum(name, max(value, ?1)) WHERE name = 'position'",
    [ST_GENERATION] = "SELECT value FROM counters WHERE name = 'campaign_generation'",
    [ST_CAMPAIGN_CURRENT] =
        "SELECT " SQLITE_STORE_CAMPAIGN_COLUMNS
        " FROM campaign_heads AS h JOIN campaign_versions AS v "
        "ON v.campaign_id = h.campaign_id AND v.version = h.version WHERE h.campaign_id = ?1",
    [ST_INSERT_VERSION] =
        "INSERT INTO campaign_versions (campaign_id, version, name, status, document, "
        "created_at_us, updated_at_us, checksum) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
    /* REPLACE, so that deleted_at_us becomes NULL again. */
    [ST_PUT_HEAD] =
        "INSERT OR REPLACE INTO campaign_heads (campaign_id, version, generation, checksum) "
        "VALUES (?1, ?2, ?3, row_checksum(?1, ?2, NULL, ?3))",
    [ST_DELETE_HEAD] = "UPDATE campaign_heads SET deleted_at_us = ?2, generation = ?3, "
                       "checksum = row_checksum(campaign_id, version, ?2, ?3) "
                       "WHERE campaign_id = ?1",
    /* CROSS JOIN walks the heads, which are few, in the order asked for; versions are many. */
    [ST_LIVE_CAMPAIGNS] = "SELECT " SQLITE_STORE_CAMPAIGN_COLUMNS
                          " FROM campaign_heads AS h CROSS JOIN campaign_versions AS v "
                          "ON v.campaign_id = h.campaign_id AND v.version = h.version "
                          "WHERE h.campaign_id > ?1 AND h.deleted_at_us IS NULL "
                          "ORDER BY h.campaign_id LIMIT ?2",
    [ST_CHANGED_CAMPAIGNS] = "SELECT " SQLITE_STORE_CAMPAIGN_COLUMNS ", h.generation"
                             " FROM campaign_heads AS h CROSS JOIN campaign_versions AS v "
                             "ON v.campaign_id = h.campaign_id AND v.version = h.version "
                             "WHERE h.generation > ?1 ORDER BY h.generation LIMIT ?2",
    /* What no counter holds is counted: the table is small. */
    [ST_SUMMARY] = "SELECT name, value FROM counters UNION ALL "
                   "SELECT 'retrying', count(*) FROM retries WHERE seq <= "
                   "(SELECT value FROM counters WHERE name = 'position')",
};

/* ---- errors ---------------------------------------------------------------------------------- */

/* What a result code means for the caller. Whatever is not in the table (I/O errors first of all)
 * is FATAL when writing, since nobody knows what reached the disk, and RETRY when reading. A
 * read-only file is FULL: both mean that nothing can be written until a person acts. */
struct meaning {
    int code; /* primary result code */
    enum ef_error means;
};

static const struct meaning meanings[] = {
    {SQLITE_BUSY, EF_ERROR_RETRY},      {SQLITE_LOCKED, EF_ERROR_RETRY},
    {SQLITE_NOMEM, EF_ERROR_RETRY},     {SQLITE_INTERRUPT, EF_ERROR_RETRY},
    {SQLITE_CANTOPEN, EF_ERROR_RETRY},  {SQLITE_PROTOCOL, EF_ERROR_RETRY},
    {SQLITE_FULL, EF_ERROR_FULL},       {SQLITE_READONLY, EF_ERROR_FULL},
    {SQLITE_CORRUPT, EF_ERROR_CORRUPT}, {SQLITE_NOTADB, EF_ERROR_CORRUPT},
    {SQLITE_TOOBIG, EF_ERROR_INPUT},    {SQLITE_CONSTRAINT, EF_ERROR_INPUT},
    {SQLITE_MISMATCH, EF_ERROR_INPUT},
};

/* Extended codes share their low byte with the primary one, so one row covers the whole family. */
static enum ef_error error_of(int code, bool is_writer)
{
    for (size_t i = 0; i < G_N_ELEMENTS(meanings); i++)
        if (meanings[i].code == (code & 0xff))
            return meanings[i].means;
    return is_writer ? EF_ERROR_FATAL : EF_ERROR_RETRY;
}

/* Why, where SQLite's code does not say it: a file that cannot be opened for want of room or
 * inodes, and a write to the log that met a quota (it failed before the sync, so nothing is in
 * doubt). Both are as good as a full disk. 0 = the code says all. */
static int hidden_errno(const struct store_db *c, int code)
{
    if (c->db != NULL && (code & 0xff) == SQLITE_CANTOPEN)
        return sqlite3_system_errno(c->db);
    return code == SQLITE_IOERR_WRITE && wal_errno(c->db) == EDQUOT ? EDQUOT : 0;
}

/* SQLite's own words belong to the connection's last call; for an older code its general text. c
 * may be half-open: then there are no words of its own. */
bool store_db_fail(struct store_db *c, int code, const char *what, GError **error)
{
    enum ef_error means = error_of(code, c->is_writer);
    int number = hidden_errno(c, code);

    if (number == ENOSPC || number == EDQUOT)
        means = EF_ERROR_FULL;
    g_set_error(error, EF_ERROR, (int)means, "%s%s: %s: %s%s%s", c->path,
                means == EF_ERROR_CORRUPT ? " is damaged" : "", what,
                c->db != NULL && sqlite3_extended_errcode(c->db) == code ? sqlite3_errmsg(c->db)
                                                                         : sqlite3_errstr(code),
                number != 0 ? ": " : "", number != 0 ? g_strerror(number) : "");
    return false;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* What is hashed in front of a value's bytes, little-endian everywhere. The length keeps
 * ("ab", "c") apart from ("a", "bc"). The checksums on disk depend on this layout and on the
 * numbers of the types: changing either takes a migration. */
struct hashed_head {
    int64_t number; /* the integer, or the length of the bytes */
    int64_t type;
};

/* All of it is put together and hashed in one go, since thirty small updates would take half as
 * long as SQLite's insert. SQLite's integers are signed; the bits are what counts. */
int64_t store_db_checksum(const struct store_value *values, size_t count, GString *scratch)
{
    size_t size = 0;
    char *to;

    for (size_t i = 0; i < count; i++)
        size += sizeof(struct hashed_head) + values[i].bytes.size;
    g_string_set_size(scratch, size);
    to = scratch->str;
    for (size_t i = 0; i < count; i++) {
        const struct store_value *v = &values[i];
        int64_t number = v->type == STORE_VALUE_INTEGER ? v->integer : (int64_t)v->bytes.size;
        struct hashed_head head = {GINT64_TO_LE(number), GINT64_TO_LE((int64_t)v->type)};

        memcpy(to, &head, sizeof(head));
        to += sizeof(head);
        if (v->bytes.size > 0)
            memcpy(to, v->bytes.data, v->bytes.size);
        to += v->bytes.size;
    }
    return (int64_t)hash64(slice_of(scratch->str, scratch->len));
}

/* NULL reads as an empty text: a column that may be NULL is never an empty text. */
static struct store_value value_of(sqlite3_value *value)
{
    int type = sqlite3_value_type(value);
    const void *bytes;

    if (type == SQLITE_INTEGER)
        return VALUE_INTEGER(sqlite3_value_int64(value));
    bytes = sqlite3_value_blob(value); /* before its size, which this call settles */
    return (struct store_value){
        .type = type == SQLITE_BLOB ? STORE_VALUE_BLOB : STORE_VALUE_TEXT,
        .bytes = slice_of(bytes, (size_t)sqlite3_value_bytes(value)),
    };
}

/* SQL: row_checksum(value, …). Has a buffer of its own, as it runs on any connection. */
static void row_checksum(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct store_value converted[CHECKSUM_VALUES_MAX];
    GString *scratch;

    if (count > CHECKSUM_VALUES_MAX) {
        sqlite3_result_error(context, "row_checksum: too many values", -1);
        return;
    }
    scratch = g_string_sized_new(512);
    for (int i = 0; i < count; i++)
        converted[i] = value_of(values[i]);
    sqlite3_result_int64(context, store_db_checksum(converted, (size_t)count, scratch));
    g_string_free(scratch, TRUE);
}

/* An empty text has no pointer in a slice, and NULL would bind SQL's NULL. STATIC: no copy is made,
 * so the bytes must live until the statement has run. */
static int bind_value(sqlite3_stmt *statement, int at, const struct store_value *v)
{
    const char *bytes = v->bytes.data != NULL ? v->bytes.data : "";

    if (v->type == STORE_VALUE_INTEGER)
        return sqlite3_bind_int64(statement, at, v->integer);
    if (v->type == STORE_VALUE_BLOB)
        return sqlite3_bind_blob64(statement, at, bytes, v->bytes.size, SQLITE_STATIC);
    return sqlite3_bind_text64(statement, at, bytes, v->bytes.size, SQLITE_STATIC, SQLITE_UTF8);
}

/* Stops at the first value that does not fit, e.g. a text beyond SQLite's limit (TOOBIG). */
int store_db_bind_values(sqlite3_stmt *statement, const struct store_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int code = bind_value(statement, (int)i + 1, &values[i]);

        if (code != SQLITE_OK)
            return code;
    }
    return SQLITE_OK;
}

struct slice store_db_column(sqlite3_stmt *statement, int column)
{
    const void *data = sqlite3_column_blob(statement, column); /* no conversion, no added NUL */

    return slice_of(data, data != NULL ? (size_t)sqlite3_column_bytes(statement, column) : 0);
}

/* ---- statements ------------------------------------------------------------------------------ */

/* Old bindings need no clearing: every statement is always bound in full. One that was left in the
 * middle cannot come here, because store_db_end resets. */
sqlite3_stmt *store_db_bind(struct store_db *c, enum store_statement id,
                            const struct store_value *values, size_t count, GError **error)
{
    sqlite3_stmt **statement = &c->statements[id];
    int code = SQLITE_OK;

    /* Persistent: it lives as long as the connection, outside the look-aside memory. */
    if (*statement == NULL)
        code = sqlite3_prepare_v3(c->db, statement_texts[id], -1, SQLITE_PREPARE_PERSISTENT,
                                  statement, NULL);
    if (code == SQLITE_OK)
        code = store_db_bind_values(*statement, values, count);
    if (code == SQLITE_OK)
        return *statement;
    store_db_fail(c, code, "cannot prepare a statement", error);
    return NULL;
}

/* Also resets, as an open statement would keep its read transaction alive. Its bindings stay and
 * may dangle until the next bind; nothing looks at them. */
bool store_db_end(struct store_db *c, sqlite3_stmt *statement, int code, GError **error)
{
    bool ok = code == SQLITE_DONE || code == SQLITE_ROW;

    if (!ok)
        store_db_fail(c, code, c->is_writer ? "cannot write" : "cannot read", error);
    sqlite3_reset(statement);
    return ok;
}

/* Steps to the end even when one row is expected: a statement that writes is only done then. With
 * several rows *out is of the last one. */
bool store_db_get(struct store_db *c, enum store_statement id, const struct store_value *values,
                  size_t count, bool *found, int64_t *out, GError **error)
{
    sqlite3_stmt *statement = store_db_bind(c, id, values, count, error);
    bool has_row = false;
    int code;

    if (statement == NULL)
        return false;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        has_row = true;
        if (out != NULL)
            *out = sqlite3_column_int64(statement, 0);
    }
    if (found != NULL)
        *found = has_row;
    return store_db_end(c, statement, code, error);
}

bool store_db_run(struct store_db *c, enum store_statement id, const struct store_value *values,
                  size_t count, GError **error)
{
    return store_db_get(c, id, values, count, NULL, NULL, error);
}

/* For schema and pragmas: several statements may stand in one text. */
bool store_db_execute(struct store_db *c, const char *sql, GError **error)
{
    int code = sqlite3_exec(c->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK || store_db_fail(c, code, "cannot run a statement", error);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* The busy timeout is for other programs only; our own writers queue on write_lock. row_checksum is
 * made on every connection, because the checks run on readers. */
struct store_db *store_db_open(const char *name, const char *path, int flags, GError **error)
{
    struct store_db *c = g_new0(struct store_db, 1);
    int code;

    c->path = path;
    /* NOMUTEX: one thread at a time is our own rule. Extended codes tell fsync from read errors. */
    c->is_writer = (flags & SQLITE_OPEN_READWRITE) != 0;
    code = sqlite3_open_v2(name, &c->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(c->db, BUSY_MS);
    if (code == SQLITE_OK)
        code = sqlite3_create_function_v2(c->db, "row_checksum", -1,
                                          SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, row_checksum,
                                          NULL, NULL, NULL);
    if (code == SQLITE_OK)
        return c;
    store_db_fail(c, code, "cannot open", error);
    store_db_close(c);
    return NULL;
}

/* Statements go first: SQLite does not close a connection that still has some. Half-open is fine.
 */
void store_db_close(struct store_db *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < ST_COUNT; i++)
        sqlite3_finalize(c->statements[i]);
    sqlite3_close(c->db);
    g_free(c);
}
