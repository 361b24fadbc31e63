/* The file queue.db: its layout, how it is opened, and what SQLite's errors mean for us.
 *
 * Layout, version 2 (application_id and user_version in the file's head say so; the program trusts
 * those, the table `meta` is for people):
 *
 *   raw_events       one row a message, seq = 1, 2, 3, … without gaps, only ever appended.
 *     seq            INTEGER, the key
 *     received_at    INTEGER, microseconds UTC since 1970
 *     event_id       TEXT
 *     correlation_id TEXT, '' = none
 *     traceparent    TEXT, NULL = none
 *     replay_of      INTEGER, id of the failure that is replayed, NULL = none
 *     body           TEXT as it came (BLOB when it contains a NUL byte, as any other text here)
 *     checksum       INTEGER over the others (embedded_checksum); NULL in rows of version 1, which
 *                    had none
 *   events_received  the same as a view, with received_at as RFC 3339 text
 *   meta             name, value: schema_version, created_at, created_by
 *
 * There is no second index: one on random event ids costs more than everything else together. Who
 * still waits is found through memory (backlog.h), who is processed through the store.
 */
#include "queue/embedded_internal.h"

#include "common/clock.h"
#include "common/error.h"
#include "common/rfc3339.h"
#include "common/sqlite_uri.h"
#include "common/wal_keeper.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define APPLICATION_ID 0x45764671 /* "EvFq" */
/* Raised with every change of the layout above; an older program then refuses the file
 * (check_version). */
#define SCHEMA_VERSION   2
#define BUSY_MS          2000 /* how long to wait for a foreign writer, e.g. somebody's sqlite3 shell */
#define HEAD_SIZE        100 /* of an SQLite file, https://www.sqlite.org/fileformat.html 1.3 */
#define HEAD_VERSION     60  /* offset of user_version, big-endian */
#define HEAD_APPLICATION 68  /* offset of application_id */

/* Two steps, so that the macro's value becomes text and not its name. */
#define TEXT_OF(x)  #x
#define VALUE_OF(x) TEXT_OF(x)

static const char schema_sql[] =
    "CREATE TABLE raw_events ("
    " seq INTEGER PRIMARY KEY,"
    " received_at INTEGER NOT NULL,"
    " event_id TEXT NOT NULL,"
    " correlation_id TEXT NOT NULL,"
    " traceparent TEXT,"
    " replay_of INTEGER,"
    " body TEXT NOT NULL);"
    "CREATE VIEW events_received AS SELECT seq, event_id,"
    " strftime('%Y-%m-%dT%H:%M:%S', received_at / 1000000, 'unixepoch')"
    " || printf('.%06dZ', received_at % 1000000) AS received_at,"
    " correlation_id, traceparent, replay_of, body FROM raw_events;"
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "PRAGMA application_id = " VALUE_OF(APPLICATION_ID) ";"
                                                        "PRAGMA user_version = 1;";

/* Version 1 to 2. No row is rewritten. A new file takes the same way, so that the text of the
 * schema is the same in all. */
static const char checksum_sql[] = "ALTER TABLE raw_events ADD COLUMN checksum INTEGER;"
                                   "PRAGMA user_version = " VALUE_OF(SCHEMA_VERSION) ";";

/* page_size must come before the first write, journal_mode creates the file. synchronous=FULL is
 * the promise of publish: one sync of the log for every commit. The log is cut to 64 MiB after a
 * burst. */
static const char writer_sql[] = "PRAGMA page_size = 4096;"
                                 "PRAGMA journal_mode = WAL;"
                                 "PRAGMA synchronous = FULL;"
                                 "PRAGMA journal_size_limit = 67108864;"
                                 "PRAGMA cache_size = -4096;"
                                 "PRAGMA mmap_size = 0;"
                                 "PRAGMA temp_store = MEMORY;";

/* A reader needs a page or two at a time, and there may be several of them: little cache. mmap is
 * off in both, because a read error of a mapped file kills the process instead of returning. */
static const char reader_sql[] = "PRAGMA cache_size = -1024;"
                                 "PRAGMA mmap_size = 0;"
                                 "PRAGMA temp_store = MEMORY;";

/* Read by number: enum row_column in embedded_read.c lists the same columns. */
#define ROW_COLUMNS                                                                                \
    "SELECT seq, received_at, event_id, correlation_id, traceparent, replay_of, body, checksum"    \
    " FROM raw_events "

/* ---- errors ---------------------------------------------------------------------------------- */

/* What the caller should do about an SQLite error; everything else is FATAL (a bug, or a file that
 * changed under us). */
struct verdict {
    int rc; /* primary code, or an extended one that differs from its primary */
    int code;
    const char *advice;
};

/* An extended code must stand before its primary one: the first match wins. */
static const struct verdict verdicts[] = {
    {SQLITE_IOERR_NOMEM, EF_ERROR_RETRY, ""},
    {SQLITE_READONLY_DBMOVED, EF_ERROR_FATAL, " (the file was moved away while it was in use)"},
    {SQLITE_BUSY, EF_ERROR_RETRY, " (another program writes to the file)"},
    {SQLITE_LOCKED, EF_ERROR_RETRY, ""},
    {SQLITE_PROTOCOL, EF_ERROR_RETRY, ""},
    {SQLITE_NOMEM, EF_ERROR_RETRY, ""},
    {SQLITE_FULL, EF_ERROR_FULL, " (nothing was stored: make room)"},
    {SQLITE_READONLY, EF_ERROR_FULL, " (nothing was stored: the file or its folder is read-only)"},
    {SQLITE_CANTOPEN, EF_ERROR_FULL, " (nothing was stored: the file cannot be opened)"},
    {SQLITE_PERM, EF_ERROR_FULL, " (nothing was stored: access is denied)"},
    {SQLITE_TOOBIG, EF_ERROR_INPUT, ""},
    {SQLITE_CORRUPT, EF_ERROR_CORRUPT, " (the file is damaged)"},
    {SQLITE_NOTADB, EF_ERROR_CORRUPT, " (the file is damaged)"},
    {SQLITE_ERROR, EF_ERROR_CORRUPT, " (the tables are not what this program made)"},
};

/* NULL: not listed, so FATAL. */
static const struct verdict *find_verdict(int rc)
{
    for (size_t i = 0; i < G_N_ELEMENTS(verdicts); i++)
        if (verdicts[i].rc == rc || verdicts[i].rc == (rc & 0xff))
            return &verdicts[i];
    return NULL;
}

/* A write that met a quota is "no room" although SQLite calls it an I/O error: it failed before the
 * sync, so nothing is in doubt. (A full disk it reports as SQLITE_FULL itself.) */
static bool is_over_quota(sqlite3 *db, int rc)
{
    return rc == SQLITE_IOERR_WRITE && wal_errno(db) == EDQUOT;
}

/* A file that cannot be made for want of room (or inodes): SQLite says "unable to open" only. Not
 * for other I/O errors at work: of a sync that failed so, nobody knows what is on the disk. */
static bool is_out_of_room(const struct embedded *e, sqlite3 *db, int rc)
{
    int number = db != NULL ? sqlite3_system_errno(db) : 0;
    int primary = rc & 0xff;

    return (number == ENOSPC || number == EDQUOT) &&
           (primary == SQLITE_CANTOPEN || (primary == SQLITE_IOERR && !e->is_open));
}

/* The message names the file and what SQLite said; the advice is only for errors at work, since
 * those of the start go to somebody who sits before the terminal. */
int embedded_fail(const struct embedded *e, sqlite3 *db, int rc, const char *doing, GError **error)
{
    bool is_full = is_over_quota(db, rc) || is_out_of_room(e, db, rc);
    const struct verdict *verdict = find_verdict(is_full ? SQLITE_FULL : rc);
    int code = verdict != NULL ? verdict->code : EF_ERROR_FATAL;
    const char *text = is_full      ? sqlite3_errstr(SQLITE_FULL)
                       : db != NULL ? sqlite3_errmsg(db)
                                    : sqlite3_errstr(rc);

    /* Before the first success a file that cannot be used is a wrong setting, not a full disk. */
    if (!e->is_open && code == EF_ERROR_FULL && !is_full && (rc & 0xff) != SQLITE_FULL)
        code = EF_ERROR_INPUT;
    g_set_error(error, EF_ERROR, code, "cannot %s %s: %s%s", doing, e->path, text,
                verdict != NULL && e->is_open ? verdict->advice : "");
    return code;
}

/* The reset comes at once, since a statement that stands open holds its lock. */
int embedded_run(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);

    sqlite3_reset(statement);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Big-endian, as all numbers of the file format. */
static uint32_t read_u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Units: bytes; -1 when there is no such file, or it cannot be looked at. */
static int64_t file_size(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 ? info.st_size : -1;
}

/* Errors: NEWER; an older one is brought up by embedded_open_writer, or MISSING for a reader. */
static bool check_version(const struct embedded *e, uint32_t version, GError **error)
{
    if (version > 0 && version < SCHEMA_VERSION && e->is_read_only) {
        g_set_error(error, EF_ERROR, EF_ERROR_MISSING,
                    "%s has an older schema; start the server once to migrate it", e->path);
        return false;
    }
    if (version <= SCHEMA_VERSION)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_NEWER,
                "%s was written by a newer program (schema %u, this one knows up to %d): it was "
                "left untouched",
                e->path, version, SCHEMA_VERSION);
    return false;
}

/* An existing file: an SQLite file, ours (or never finished), and not newer. An application id of 0
 * is a file whose first transaction never became complete. Errors: CORRUPT, NEWER. */
static bool check_head(const struct embedded *e, const unsigned char *head, GError **error)
{
    static const char magic[16] = "SQLite format 3";
    /* Both numbers stand at fixed places of the first page, in every version of the format. */
    uint32_t application = read_u32(head + HEAD_APPLICATION);

    if (memcmp(head, magic, sizeof(magic)) != 0 ||
        (application != 0 && application != APPLICATION_ID)) {
        g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT, "%s is damaged, or no queue of EventFlow",
                    e->path);
        return false;
    }
    return check_version(e, read_u32(head + HEAD_VERSION), error);
}

/* There is no file, or an empty one. A log beside it holds messages that were acknowledged, and
 * SQLite would delete it. Errors: CORRUPT, MISSING. */
static bool check_absent(const struct embedded *e, GError **error)
{
    g_autofree char *wal = g_strconcat(e->path, "-wal", NULL);

    if (file_size(wal) > 0) {
        g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT,
                    "%s is missing or empty, but its log %s is there: put the file back", e->path,
                    wal);
        return false;
    }
    if (e->is_read_only) {
        g_set_error(error, EF_ERROR, EF_ERROR_MISSING, "%s does not exist", e->path);
        return false;
    }
    return true;
}

/* Plain reads, because opening through SQLite may recover a log, and so change what is not ours. */
bool embedded_look(const struct embedded *e, GError **error)
{
    unsigned char head[HEAD_SIZE] = {0};
    FILE *file;
    size_t got;

    if (file_size(e->path) <= 0)
        return check_absent(e, error);
    file = fopen(e->path, "rbe");
    if (file == NULL) {
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT, "cannot open %s: %s", e->path,
                    g_strerror(errno));
        return false;
    }
    got = fread(head, 1, sizeof(head), file);
    fclose(file);
    if (got < sizeof(head))
        memset(head, 0, sizeof(head)); /* shorter than a head: garbage */
    return check_head(e, head, error);
}

/* The single integer that a query gives. SQLITE_OK, SQLITE_DONE when there is no row, or an error
 * code. */
static int query_integer(sqlite3 *db, const char *sql, int64_t *value)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        *value = sqlite3_column_int64(statement, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return rc;
}

/* Opens the file with extended error codes and a time-out for foreign locks. SQLite's code; *db
 * must be closed by the caller, after an error as well. */
static int connect_file(const struct embedded *e, int flags, sqlite3 **db)
{
    /* A doctor's look at a folder at rest must leave nothing behind, not even an empty log. */
    g_autofree char *uri = e->is_read_only ? sqlite_reader_uri(e->path, NULL) : sqlite_uri(e->path);
    int rc = sqlite3_open_v2(uri, db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);

    if (rc != SQLITE_OK)
        return rc;
    sqlite3_extended_result_codes(*db, 1);
    return sqlite3_busy_timeout(*db, BUSY_MS);
}

/* For people who open the file with a shell; nothing reads it back. SQLite's code. */
static int insert_meta(sqlite3 *db)
{
    char now[RFC3339_SIZE];
    char *sql;
    int rc;

    rfc3339_format(clock_now_us(), now);
    sql = sqlite3_mprintf("INSERT INTO meta VALUES ('schema_version', '%d'), ('created_at', %Q), "
                          "('created_by', 'eventflow %s')",
                          SCHEMA_VERSION, now, EVENTFLOW_VERSION);
    rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return rc;
}

int embedded_make_schema(sqlite3 *db)
{
    int rc = sqlite3_exec(db, schema_sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? sqlite3_exec(db, checksum_sql, NULL, NULL, NULL) : rc;
}

/* Makes the tables in one transaction, when there are none. After an error the caller closes the
 * connection, which rolls back. */
static int create_schema(sqlite3 *db)
{
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    if (rc == SQLITE_OK)
        rc = embedded_make_schema(db);
    if (rc == SQLITE_OK)
        rc = insert_meta(db);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    return rc;
}

/* Brings a file of version 1 to the newest one, in one transaction. */
static int add_checksums(sqlite3 *db)
{
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, checksum_sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "UPDATE meta SET value = '2' WHERE name = 'schema_version'", NULL,
                          NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    return rc;
}

/* The version once more, now through SQLite: after an unclean end the newest head is in the log.
 * *version 0 means that the tables are still to be made. Errors: CORRUPT, NEWER, those of
 * reading. */
static bool check_schema(const struct embedded *e, sqlite3 *db, int64_t *version, GError **error)
{
    int64_t tables = 0;
    int rc = query_integer(db, "PRAGMA user_version", version);

    if (rc == SQLITE_OK)
        rc = query_integer(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc != SQLITE_OK) {
        embedded_fail(e, db, rc, "open", error);
        return false;
    }
    if (*version == 0 && (tables > 0 || e->is_read_only)) {
        g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT, "%s is no queue of EventFlow", e->path);
        return false;
    }
    return check_version(e, (uint32_t)*version, error);
}

/* For statements that live as long as their connection. SQLite's code. */
static int prepare(sqlite3 *db, const char *sql, sqlite3_stmt **statement)
{
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
}

/* The four statements of a publish are prepared once: parsing SQL would cost more than the
 * insert. */
static int prepare_writer(struct embedded_writer *w)
{
    int rc = prepare(w->db, "BEGIN IMMEDIATE", &w->begin);

    if (rc == SQLITE_OK)
        rc = prepare(w->db, "INSERT INTO raw_events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                     &w->insert);
    if (rc == SQLITE_OK)
        rc = prepare(w->db, "COMMIT", &w->commit);
    if (rc == SQLITE_OK)
        rc = prepare(w->db, "ROLLBACK", &w->rollback);
    return rc;
}

/* Every step hangs on the one before; after false embedded_close_writer takes the half-built
 * rest. */
bool embedded_open_writer(struct embedded *e, GError **error)
{
    struct embedded_writer *w = &e->writer;
    int64_t version = 0;
    int rc = connect_file(e, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &w->db);

    /* Until the version is known, closing must not move the log into the file. */
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(w->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (rc == SQLITE_OK && !check_schema(e, w->db, &version, error))
        return false;
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(w->db, writer_sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK && version == 0)
        rc = create_schema(w->db);
    if (rc == SQLITE_OK && version == 1)
        rc = add_checksums(w->db);
    if (rc == SQLITE_OK)
        rc = prepare_writer(w);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(w->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    if (rc != SQLITE_OK)
        embedded_fail(e, w->db, rc, "open", error);
    return rc == SQLITE_OK;
}

/* Accepts a half-built writer: NULL statements and a NULL connection are fine for SQLite. */
void embedded_close_writer(struct embedded *e)
{
    struct embedded_writer *w = &e->writer;

    wal_keeper_close(w->keeper);
    /* After a failed commit nothing more is written: the next start recovers from the log. */
    if (w->db != NULL && backlog_is_dead(&e->backlog))
        sqlite3_db_config(w->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_finalize(w->begin);
    sqlite3_finalize(w->insert);
    sqlite3_finalize(w->commit);
    sqlite3_finalize(w->rollback);
    sqlite3_close(w->db);
    if (w->entries != NULL)
        g_array_unref(w->entries);
    *w = (struct embedded_writer){0};
}

/* The schema is checked for every connection: a doctor has no writer that did it. */
struct embedded_reader *embedded_reader_new(const struct embedded *e, GError **error)
{
    struct embedded_reader *r = g_new0(struct embedded_reader, 1);
    int64_t version;
    int rc = connect_file(e, SQLITE_OPEN_READONLY, &r->db);

    if (rc == SQLITE_OK)
        rc = sqlite3_exec(r->db, reader_sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = embedded_add_checksum(r->db);
    if (rc == SQLITE_OK && !check_schema(e, r->db, &version, error)) {
        embedded_reader_free(r);
        return NULL;
    }
    if (rc == SQLITE_OK)
        rc = prepare(r->db, ROW_COLUMNS "WHERE seq = ?1", &r->one);
    if (rc == SQLITE_OK)
        rc = prepare(r->db, ROW_COLUMNS "WHERE seq > ?1 AND seq <= ?2 ORDER BY seq", &r->range);
    if (rc == SQLITE_OK)
        return r;
    embedded_fail(e, r->db, rc, "open", error);
    embedded_reader_free(r);
    return NULL;
}

/* Accepts a half-built reader, for the same reason. */
void embedded_reader_free(struct embedded_reader *r)
{
    if (r == NULL)
        return;
    sqlite3_finalize(r->one);
    sqlite3_finalize(r->range);
    sqlite3_close(r->db);
    g_free(r);
}
