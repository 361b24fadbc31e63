/* The reading half of the embedded queue: receive, read, find, check.
 *
 * The consumer has a connection of its own; everybody else takes one out of a small pool, so
 * that a slow reader never stands in the consumer's way. Every read ends its transaction at
 * once: an open one would keep the log from starting anew and let it grow.
 * Deliberately missing: a search by key in the file. Who waits is found in memory (backlog.h). */
#include "queue/embedded_internal.h"

#include "common/error.h"
#include "common/sqlite_compare.h"

/* Bytes of bodies in one batch; the last one may pass it, so a batch is below 9 MiB. */
#define RECEIVE_BYTES_MAX (8 * 1024 * 1024)
#define POOL_MAX          4 /* idle connections that are kept */

/* The columns of every query for whole rows (ROW_COLUMNS in embedded_sql.c), in that order. */
enum row_column {
    ROW_SEQ,
    ROW_RECEIVED_AT,
    ROW_EVENT_ID,
    ROW_CORRELATION_ID,
    ROW_TRACEPARENT,
    ROW_REPLAY_OF,
    ROW_BODY,
    ROW_CHECKSUM,
};

/* ---- rows ------------------------------------------------------------------------------------ */

/* Borrowed until the statement moves. NULL reads as empty. */
static struct slice column_slice(sqlite3_stmt *row, int column)
{
    const void *data = sqlite3_column_blob(row, column);

    return slice_of(data, (size_t)sqlite3_column_bytes(row, column));
}

/* The row as a message whose slices live in the arena. */
static struct queue_message copy_row(sqlite3_stmt *row, struct arena *a)
{
    struct queue_message m = {
        .seq = sqlite3_column_int64(row, ROW_SEQ),
        .published_at_us = sqlite3_column_int64(row, ROW_RECEIVED_AT),
        .key = arena_copy(a, column_slice(row, ROW_EVENT_ID)),
        .correlation = arena_copy(a, column_slice(row, ROW_CORRELATION_ID)),
        .trace = arena_copy(a, column_slice(row, ROW_TRACEPARENT)),
        .reference = sqlite3_column_int64(row, ROW_REPLAY_OF),
        .body = arena_copy(a, column_slice(row, ROW_BODY)),
    };

    /* Rows of version 1 have none. */
    m.is_damaged = sqlite3_column_type(row, ROW_CHECKSUM) != SQLITE_NULL &&
                   sqlite3_column_int64(row, ROW_CHECKSUM) != embedded_checksum(&m, m.seq);
    return m;
}

/* Sets the error for a seq that should be there and is not. Always false. */
static bool gap_found(const struct embedded *e, int64_t seq, GError **error)
{
    g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT,
                "%s is damaged: message %" G_GINT64_FORMAT " is missing", e->path, seq);
    return false;
}

/* Appends the messages after `after` up to last to batch, which has room for them; stops early at
 * RECEIVE_BYTES_MAX. */
static bool read_range(const struct embedded *e, struct embedded_reader *r, int64_t after,
                       int64_t last, struct arena *a, struct queue_batch *batch, GError **error)
{
    size_t bytes = 0;
    int rc = SQLITE_DONE;

    sqlite3_bind_int64(r->range, 1, after);
    sqlite3_bind_int64(r->range, 2, last);
    while (after + (int64_t)batch->count < last && bytes < RECEIVE_BYTES_MAX &&
           (rc = sqlite3_step(r->range)) == SQLITE_ROW) {
        struct queue_message m = copy_row(r->range, a);

        /* Not dense: what came before the gap is still good and is given out first. */
        if (m.seq != after + 1 + (int64_t)batch->count)
            break;
        bytes += m.body.size;
        batch->messages[batch->count++] = m;
    }
    sqlite3_reset(r->range); /* ends the read transaction: the log can start anew */
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        embedded_fail(e, r->db, rc, "read", error);
        return false;
    }
    if (batch->count == 0 && after < last)
        return gap_found(e, after + 1, error);
    return true; /* a gap further on shows itself next time, when it is the first */
}

/* Steps r->one to the row with that seq. SQLITE_ROW, SQLITE_DONE (missing) or an error; the caller
 * resets it. */
static int seek_row(struct embedded_reader *r, int64_t seq)
{
    sqlite3_bind_int64(r->one, 1, seq);
    return sqlite3_step(r->one);
}

/* ---- the pool -------------------------------------------------------------------------------- */

/* The last one given back is taken first: its page cache is the warmest. */
struct embedded_reader *embedded_take_reader(struct embedded *e, GError **error)
{
    struct embedded_reader *r = NULL;

    g_mutex_lock(&e->pool_lock);
    if (e->pool->len > 0)
        r = g_ptr_array_steal_index_fast(e->pool, e->pool->len - 1);
    g_mutex_unlock(&e->pool_lock);
    return r != NULL ? r : embedded_reader_new(e, error);
}

/* Closed outside of the lock, since closing does I/O. */
void embedded_put_reader(struct embedded *e, struct embedded_reader *r)
{
    g_mutex_lock(&e->pool_lock);
    if (e->pool->len < POOL_MAX) {
        g_ptr_array_add(e->pool, r);
        r = NULL;
    }
    g_mutex_unlock(&e->pool_lock);
    embedded_reader_free(r);
}

/* ---- the ops --------------------------------------------------------------------------------- */

/* received moves only after a good read: a failed receive gives the same messages next time. */
bool embedded_receive(struct queue *q, size_t max, int64_t wait_ms, struct arena *a,
                      struct queue_batch *out, GError **error)
{
    struct embedded *e = embedded_of(q);
    struct queue_batch batch = {0};
    int64_t last_seq;
    size_t want;

    g_assert(e->is_sought);
    if (!backlog_wait(&e->backlog, e->received, wait_ms, &last_seq, error))
        return false;
    want = MIN(max, (size_t)(last_seq - e->received));
    batch.messages = ARENA_NEW(a, struct queue_message, want);
    if (!read_range(e, e->consumer, e->received, e->received + (int64_t)want, a, &batch, error))
        return false;
    e->received += (int64_t)batch.count;
    *out = batch;
    return true;
}

/* Which rows are wanted. */
struct row_request {
    const int64_t *seqs;
    size_t count;
    const struct slice *key; /* only rows with exactly this key; NULL = any */
    size_t max;              /* at most this many */
};

/* The fingerprint that led here may belong to another key, so the row's own key decides. */
static bool is_wanted(sqlite3_stmt *row, const struct row_request *want)
{
    return want->key == NULL || slice_equal(column_slice(row, ROW_EVENT_ID), *want->key);
}

/* Copies the wanted rows that exist into the arena, in the order of want->seqs. Any thread: works
 * on a pooled reader. After false *out is unchanged. */
static bool read_rows(struct embedded *e, const struct row_request *want, struct arena *a,
                      struct queue_batch *out, GError **error)
{
    struct queue_batch batch = {0};
    struct embedded_reader *r = embedded_take_reader(e, error);
    int rc = SQLITE_DONE;

    if (r == NULL)
        return false;
    batch.messages = ARENA_NEW(a, struct queue_message, MIN(want->count, want->max));
    for (size_t i = 0; i < want->count && batch.count < want->max; i++) {
        /* One look-up by primary key each: the seqs asked for are few and may lie far apart. */
        rc = seek_row(r, want->seqs[i]);
        /* A seq without a row is no error: an event may be asked for that never was. */
        if (rc == SQLITE_ROW && is_wanted(r->one, want))
            batch.messages[batch.count++] = copy_row(r->one, a);
        sqlite3_reset(r->one);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            break;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        embedded_fail(e, r->db, rc, "read", error);
    else
        *out = batch;
    embedded_put_reader(e, r);
    return rc == SQLITE_ROW || rc == SQLITE_DONE;
}

bool embedded_read(struct queue *q, const int64_t *seqs, size_t count, struct arena *a,
                   struct queue_batch *out, GError **error)
{
    return read_rows(embedded_of(q),
                     &(struct row_request){.seqs = seqs, .count = count, .max = count}, a, out,
                     error);
}

bool embedded_find(struct queue *q, struct slice key, size_t max, struct arena *a,
                   struct queue_batch *out, GError **error)
{
    struct embedded *e = embedded_of(q);
    struct row_request want = {.key = &key, .max = max};
    int64_t *seqs;

    want.count = backlog_find(&e->backlog, key, a, &seqs);
    want.seqs = seqs;
    /* Most look-ups find nothing that waits and never touch the file. */
    if (want.count > 0)
        return read_rows(e, &want, a, out, error);
    *out = (struct queue_batch){0};
    return true;
}

/* One look at the right end of the table's tree, whatever its size. */
bool embedded_last_seq(const struct embedded *e, struct embedded_reader *r, int64_t *seq,
                       GError **error)
{
    sqlite3_stmt *newest = NULL;
    int rc = sqlite3_prepare_v2(r->db, "SELECT max(seq) FROM raw_events", -1, &newest, NULL);

    if (rc == SQLITE_OK && (rc = sqlite3_step(newest)) == SQLITE_ROW)
        *seq = sqlite3_column_int64(newest, 0); /* NULL, an empty table, reads as 0 */
    else
        embedded_fail(e, r->db, rc, "read", error);
    sqlite3_finalize(newest);
    return rc == SQLITE_ROW;
}

/* Appends one entry a row to the backlog; the rows must be dense from seq on. Errors: CORRUPT at
 * the first gap. */
static bool load_entries(struct embedded *e, sqlite3_stmt *rows, int64_t seq, GError **error)
{
    int rc;

    while ((rc = sqlite3_step(rows)) == SQLITE_ROW) {
        struct backlog_entry entry =
            backlog_entry_of(column_slice(rows, 2), sqlite3_column_int64(rows, 1));

        if (sqlite3_column_int64(rows, 0) != seq)
            return gap_found(e, seq, error);
        backlog_append(&e->backlog, &entry, 1);
        seq++;
    }
    if (rc == SQLITE_DONE)
        return true;
    embedded_fail(e, sqlite3_db_handle(rows), rc, "read", error);
    return false;
}

/* Runs once, at the start, on the consumer's connection. The bodies are not read, so a backlog of a
 * million costs seconds and 24 bytes each. */
bool embedded_load_backlog(struct embedded *e, int64_t position, GError **error)
{
    sqlite3_stmt *rows = NULL;
    bool is_good = false;
    int rc = sqlite3_prepare_v2(e->consumer->db,
                                "SELECT seq, received_at, event_id FROM raw_events"
                                " WHERE seq > ?1 ORDER BY seq",
                                -1, &rows, NULL);

    /* Before the first append, which counts on from there. */
    backlog_start(&e->backlog, position);
    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(rows, 1, position);
        is_good = load_entries(e, rows, position + 1, error);
    } else {
        embedded_fail(e, e->consumer->db, rc, "read", error);
    }
    sqlite3_finalize(rows);
    return is_good;
}

/* ---- check ----------------------------------------------------------------------------------- */

/* Appends a finding; the list owns the text. */
static void add_problem(const struct embedded *e, GPtrArray *problems, const char *text)
{
    g_ptr_array_add(problems, g_strdup_printf("%s: %s", e->path, text));
}

/* Runs a query whose rows are texts: every one but "ok" is a problem. Damage that stops the query
 * is one more finding, other trouble is an error. */
static bool check_query(const struct embedded *e, sqlite3 *db, const char *sql, GPtrArray *problems,
                        GError **error)
{
    sqlite3_stmt *rows = NULL;
    g_autoptr(GError) trouble = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &rows, NULL);

    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(rows);
        if (rc == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(rows, 0), "ok") != 0)
            add_problem(e, problems, (const char *)sqlite3_column_text(rows, 0));
    }
    if (rc != SQLITE_DONE)
        embedded_fail(e, db, rc, "check", &trouble);
    sqlite3_finalize(rows);
    if (g_error_matches(trouble, EF_ERROR, EF_ERROR_CORRUPT))
        add_problem(e, problems, trouble->message);
    else if (trouble != NULL)
        g_propagate_error(error, g_steal_pointer(&trouble));
    return trouble != NULL || rc == SQLITE_DONE;
}

/* A dead queue is sick even though its file can still be read. */
static bool check_ping(struct embedded *e, struct embedded_reader *r, GError **error)
{
    int64_t seq;

    if (backlog_is_dead(&e->backlog)) {
        g_set_error(error, EF_ERROR, EF_ERROR_FATAL, "a commit to %s failed: restart the process",
                    e->path);
        return false;
    }
    return embedded_last_seq(e, r, &seq, error);
}

/* What each level runs; SQLite stops after 20 findings. A level runs every query that bears its
 * name; PING has none and is done by check_ping. */
static const struct {
    enum queue_check level;
    const char *sql;
} check_queries[] = {
    {QUEUE_CHECK_QUICK, "PRAGMA quick_check(20)"},
    {QUEUE_CHECK_FULL, "PRAGMA integrity_check(20)"},
    {QUEUE_CHECK_FULL, "SELECT printf('%d messages are missing between %d and %d',"
                       " max(seq) - min(seq) + 1 - count(*), min(seq), max(seq))"
                       " FROM raw_events HAVING max(seq) - min(seq) + 1 != count(*)"},
    {QUEUE_CHECK_FULL, "SELECT 'the first message is ' || min(seq) || ', not 1' FROM raw_events"
                       " HAVING min(seq) <> 1"},
    {QUEUE_CHECK_FULL, "SELECT 'message ' || seq || ' does not fit its checksum' FROM raw_events"
                       " WHERE checksum <> message_checksum(seq, received_at, event_id,"
                       " correlation_id, traceparent, replay_of, body) LIMIT 20"},
    /* Only rows of version 1 have none, and they come first. */
    {QUEUE_CHECK_FULL, "SELECT 'message ' || seq || ' has lost its checksum' FROM raw_events"
                       " WHERE checksum IS NULL AND seq >"
                       " (SELECT min(seq) FROM raw_events WHERE checksum IS NOT NULL) LIMIT 20"},
};

/* The schema against that of a new file. */
static bool check_schema(const struct embedded *e, sqlite3 *db, GPtrArray *problems, GError **error)
{
    sqlite3 *fresh = NULL;
    int rc = sqlite3_open(":memory:", &fresh);

    if (rc == SQLITE_OK)
        rc = embedded_make_schema(fresh);
    if (rc == SQLITE_OK)
        rc = sqlite_compare_schema(db, fresh, e->path, problems);
    sqlite3_close(fresh);
    if (rc != SQLITE_OK)
        embedded_fail(e, NULL, rc, "check", error);
    return rc == SQLITE_OK;
}

/* On a pooled reader, so that a full check of a large file does not hold the consumer up. */
bool embedded_check(struct queue *q, enum queue_check level, GPtrArray *problems, GError **error)
{
    struct embedded *e = embedded_of(q);
    struct embedded_reader *r = embedded_take_reader(e, error);
    bool is_good;

    if (r == NULL)
        return false;
    is_good = (level != QUEUE_CHECK_PING || check_ping(e, r, error)) &&
              (level != QUEUE_CHECK_FULL || check_schema(e, r->db, problems, error));
    for (size_t i = 0; is_good && i < G_N_ELEMENTS(check_queries); i++)
        if (check_queries[i].level == level)
            is_good = check_query(e, r->db, check_queries[i].sql, problems, error);
    embedded_put_reader(e, r);
    return is_good;
}
