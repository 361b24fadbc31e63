/* The SQLite store: opening, migrating, transactions, closing. See sqlite_internal.h for the map.
 *
 * Files: eventflow.db, and while it is open -wal (the log of what was committed last) and -shm.
 * Settings: WAL with synchronous=FULL, so that every commit is one append and one fsync; pages of
 * 4096 bytes; a checkpoint (the log is carried into the file) every 1000 pages.
 *
 * Failure: a body that fails is rolled back and nothing of it stays. A commit that meets a full
 * disk or a busy file may be tried again as well. A commit that fails otherwise, and every I/O
 * error of a write, makes the store dead: an fsync that failed once may succeed the second time
 * although the pages are lost, so nothing is tried again.
 *
 * Deliberately missing: deleting old rows, and migrating down.
 */
#include "store/sqlite_internal.h"

#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/fault_point.h"
#include "common/log.h"
#include "common/sqlite_uri.h"
#include "common/wal_keeper.h"

#include "sqlite_schema.h"

#define SCHEMA_VERSION   ((int)G_N_ELEMENTS(embedded_files))
#define CHECKPOINT_PAGES 1000 /* 4 MiB of log: syncing more holds the disk, decision 15 */

/* ---- transactions ---------------------------------------------------------------------------- */

/* SQLite calls this after each commit, in the thread that holds write_lock. */
static int note_pages(void *user, sqlite3 *db, const char *schema, int pages)
{
    struct store_sqlite *s = user;

    (void)schema;
    wal_keeper_note(s->keeper, db, pages);
    return SQLITE_OK;
}

/* No further write is accepted, and the owner knows at once: with no event under way nobody else
 * would notice. Reading goes on: what was committed is still true. */
static void die(struct store_sqlite *s, const char *why)
{
    if (g_atomic_int_exchange(&s->is_dead, 1) == 0 && s->on_fatal != NULL)
        s->on_fatal(s->user, why);
}

/* What is committed is safe in the log. But a checkpoint that cannot write or sync the main file
 * must not be tried again as if nothing had happened: the kernel may have dropped the pages. */
static void keeper_failed(void *user, int rc, const char *message)
{
    struct store_sqlite *s = user;
    g_autofree char *why = g_strdup_printf("cannot write %s: %s", s->path, message);

    (void)rc;
    die(s, why);
}

/* Always false. */
static bool set_dead(struct store_sqlite *s, const char *why, GError **error)
{
    g_set_error(error, EF_ERROR, EF_ERROR_FATAL,
                "%s: a write failed and what is on disk is unknown: %s", s->path, why);
    die(s, why);
    return false;
}

/* A full disk and a busy file leave nothing behind; anything else is not to be trusted, and becomes
 * FATAL whatever SQLite called it. */
static bool commit(struct store_sqlite *s, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (EF_FAULT("store.commit"))
        return set_dead(s, "failed on purpose", error);
    if (store_db_run(s->writer, ST_COMMIT, NULL, 0, &problem))
        return !EF_FAULT("store.committed") || set_dead(s, "failed on purpose", error);
    if (!g_error_matches(problem, EF_ERROR, EF_ERROR_RETRY) &&
        !g_error_matches(problem, EF_ERROR, EF_ERROR_FULL))
        return set_dead(s, problem->message, error);
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

/* Some errors roll back by themselves, so the connection is asked first. One that stays in its
 * transaction would put the next batch into it: then the store is dead. */
static void roll_back(struct store_sqlite *s)
{
    if (sqlite3_get_autocommit(s->writer->db) == 0)
        store_db_run(s->writer, ST_ROLLBACK, NULL, 0, NULL);
    if (sqlite3_get_autocommit(s->writer->db) == 0)
        die(s, "a transaction cannot be rolled back");
}

/* The body of store_sqlite_write, under write_lock. BEGIN IMMEDIATE takes the file's write lock at
 * once: a transaction that reads first cannot find the file changed when it comes to write. */
static bool write_locked(struct store_sqlite *s, store_sqlite_body body, void *user, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (g_atomic_int_get(&s->is_dead))
        return set_dead(s, "refused after the first failure", error);
    if (store_db_run(s->writer, ST_BEGIN_WRITE, NULL, 0, &problem) && body(s, user, &problem) &&
        commit(s, &problem))
        return true;
    roll_back(s);
    if (g_error_matches(problem, EF_ERROR, EF_ERROR_FATAL))
        die(s, problem->message);
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

/* The lock is held across the fsync: one writer at a time is SQLite's own rule, and waiting here is
 * fair where waiting in its busy handler is not. */
bool store_sqlite_write(struct store_sqlite *s, store_sqlite_body body, void *user, GError **error)
{
    bool ok;

    if (s->writer == NULL) {
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT, "%s is open for reading only", s->path);
        return false;
    }
    g_mutex_lock(&s->write_lock);
    ok = write_locked(s, body, user, error);
    g_mutex_unlock(&s->write_lock);
    return ok;
}

/* Opens the file so that not a byte of the folder changes, not even side files appear: it may
 * belong to a newer program, or to none of ours. NULL on error. */
static struct store_db *open_untouched(const char *path, GError **error)
{
    g_autofree char *name = sqlite_reader_uri(path, NULL);

    return store_db_open(name, path, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, error);
}

/* An idle connection, or a new one: readers never wait for each other. Opened outside the lock, as
 * that is I/O. */
static struct store_db *take_reader(struct store_sqlite *s, GError **error)
{
    struct store_db *c = NULL;

    g_mutex_lock(&s->pool_lock);
    if (s->idle->len > 0)
        c = g_ptr_array_steal_index_fast(s->idle, s->idle->len - 1);
    g_mutex_unlock(&s->pool_lock);
    if (c != NULL)
        return c;
    /* A doctor's look at a folder at rest leaves nothing behind. */
    return s->read_only ? open_untouched(s->path, error)
                        : store_db_open(s->path, s->path, SQLITE_OPEN_READONLY, error);
}

/* SQLite takes the snapshot at the first read and keeps it until the transaction ends. */
struct store_db *store_sqlite_begin_read(struct store_sqlite *s, GError **error)
{
    struct store_db *c = take_reader(s, error);

    if (c != NULL && !store_db_run(c, ST_BEGIN_READ, NULL, 0, error)) {
        store_db_close(c);
        return NULL;
    }
    return c;
}

/* A connection that cannot even end its transaction is not used again. Closing is I/O and happens
 * outside the lock; c is NULL when the pool took it. */
void store_sqlite_end_read(struct store_sqlite *s, struct store_db *c)
{
    if (store_db_run(c, ST_COMMIT, NULL, 0, NULL)) {
        g_mutex_lock(&s->pool_lock);
        if (s->idle->len < SQLITE_STORE_READERS_MAX)
            g_ptr_array_add(s->idle, g_steal_pointer(&c));
        g_mutex_unlock(&s->pool_lock);
    }
    store_db_close(c);
}

/* ---- looking before touching ---------------------------------------------------------------- */

/* One number from text that is not worth a prepared statement. Also the first read of the file:
 * what is no database shows here, as CORRUPT. */
static bool get_number(struct store_db *c, const char *sql, int64_t *out, GError **error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(c->db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    else
        store_db_fail(c, code, "cannot read", error);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW;
}

/* Ours, or new and empty; and not from the future. Else CORRUPT or NEWER, and nothing was written.
 * A file without our id passes only while it has no table, so nobody else's database is migrated.
 */
static bool check_header(struct store_db *c, int64_t *version, GError **error)
{
    int64_t application = 0, tables = 0;

    if (!get_number(c, "PRAGMA application_id", &application, error) ||
        !get_number(c, "PRAGMA user_version", version, error) ||
        !get_number(c, "SELECT count(*) FROM sqlite_schema", &tables, error))
        return false;
    if (application != SQLITE_STORE_APPLICATION_ID && (application != 0 || tables != 0)) {
        g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT, "%s is not a database of EventFlow",
                    c->path);
        return false;
    }
    if (*version <= SCHEMA_VERSION)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_NEWER,
                "%s has schema version %" G_GINT64_FORMAT ", this program knows %d: it was "
                "written by a newer EventFlow and is left untouched",
                c->path, *version, SCHEMA_VERSION);
    return false;
}

/* The schema version of the file, 0 when there is none. false: it is not one that we may open. */
static bool peek(struct store_sqlite *s, int64_t *version, GError **error)
{
    struct store_db *c;
    bool ok;

    *version = 0;
    if (access(s->path, F_OK) != 0)
        return true;
    c = open_untouched(s->path, error);
    if (c == NULL)
        return false;
    ok = check_header(c, version, error);
    store_db_close(c);
    return ok;
}

/* ---- migrations ------------------------------------------------------------------------------ */

/* A body of store_sqlite_write: one numbered file and the record of it, in one transaction.
 * user_version and application_id are part of the file and so of the transaction: a crash leaves
 * the schema of before or of after. The name is ours, embedded at build time, so it needs no
 * quoting. The record has a checksum from the second file on. */
static bool migrate_one(struct store_sqlite *s, void *user, GError **error)
{
    const struct embedded_file *file = user;
    int64_t now_us = clock_now_us();
    g_autofree char *checksum = g_strdup_printf(", row_checksum(%d, '%s', %" G_GINT64_FORMAT ")",
                                                file->number, file->name, now_us);
    g_autofree char *record =
        g_strdup_printf("INSERT INTO migrations VALUES (%d, '%s', %" G_GINT64_FORMAT "%s); "
                        "PRAGMA user_version = %d; PRAGMA application_id = %d",
                        file->number, file->name, now_us, file->number > 1 ? checksum : "",
                        file->number, SQLITE_STORE_APPLICATION_ID);

    return store_db_execute(s->writer, file->text, error) &&
           store_db_execute(s->writer, record, error);
}

/* Brings the schema from that version to the newest one, a transaction each. After a failure the
 * next open goes on with the one that failed. */
static bool migrate(struct store_sqlite *s, int64_t version, GError **error)
{
    for (int i = (int)version; i < SCHEMA_VERSION; i++) {
        struct embedded_file file = embedded_files[i];

        if (!store_sqlite_write(s, migrate_one, &file, error))
            return false;
        log_info(LOG_MSG("schema migrated"), LOG_STRING("file", s->path),
                 LOG_INT("version", file.number), LOG_STRING("name", file.name));
    }
    return true;
}

/* The order matters: the page size must stand before the first page, WAL before the first write.
 * Temporary files, not memory: making the index on disk sorts all ids, just when memory is scarce.
 * Setting a pragma never fails, so what it is afterwards is asked: without the log or the sync,
 * "durable on return" would be untrue, and the store refuses to open. */
static bool set_pragmas(struct store_sqlite *s, GError **error)
{
    int64_t is_safe = 0;

    if (!store_db_execute(s->writer,
                          "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; "
                          "PRAGMA synchronous = FULL; PRAGMA cache_size = -8000; "
                          "PRAGMA temp_store = FILE",
                          error) ||
        !get_number(s->writer,
                    "SELECT journal_mode = 'wal' AND synchronous = 2 "
                    "FROM pragma_journal_mode, pragma_synchronous",
                    &is_safe, error))
        return false;
    if (is_safe != 0)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_FATAL,
                "%s: the file system does not allow a write-ahead log", s->path);
    return false;
}

/* After the schema is there: the log that the migrations leave is small. The hook replaces SQLite's
 * own checkpoints. */
static bool open_keeper(struct store_sqlite *s, GError **error)
{
    int rc;
    struct wal_keeper_options options = {
        .path = s->path,
        .name = "store-keeper",
        .pages = CHECKPOINT_PAGES,
        .on_failure = keeper_failed,
        .user = s,
    };

    s->keeper = wal_keeper_open(&options, &rc);
    if (s->keeper == NULL)
        return store_db_fail(s->writer, rc, "cannot open", error);
    sqlite3_wal_hook(s->writer->db, note_pages, s);
    return true;
}

/* Half-built is closed by the caller. */
static bool open_writer(struct store_sqlite *s, int64_t version, GError **error)
{
    s->writer = store_db_open(s->path, s->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, error);
    if (s->writer == NULL || !set_pragmas(s, error))
        return false;
    return migrate(s, version, error) && open_keeper(s, error);
}

/* The newest schema in an empty database, as every file of this version has it. */
bool store_sqlite_make_schema(struct store_db *c, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(embedded_files); i++)
        if (!store_db_execute(c, embedded_files[i].text, error))
            return false;
    return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* Also ends what open_parts left half-built. */
static void sqlite_close(struct store *store)
{
    struct store_sqlite *s = (struct store_sqlite *)store;

    g_ptr_array_unref(s->idle);
    wal_keeper_close(s->keeper);
    /* After a failed write nothing more is written: the next start recovers from the log. */
    if (s->writer != NULL && s->writer->db != NULL && g_atomic_int_get(&s->is_dead))
        sqlite3_db_config(s->writer->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    store_db_close(s->writer); /* last: it checkpoints and removes the log */
    store_dedupe_done(s);
    g_string_free(s->scratch, TRUE);
    g_mutex_clear(&s->pool_lock);
    g_mutex_clear(&s->write_lock);
    g_free(s->path);
    g_free(s);
}

/* For the pool's array. */
static void close_reader(void *reader)
{
    store_db_close(reader);
}

/* Everything that needs no file. Never NULL; sqlite_close accepts it from here on. */
static struct store_sqlite *new_store(const struct store_options *options)
{
    struct store_sqlite *s = g_new0(struct store_sqlite, 1);

    s->store.ops = &store_sqlite_ops;
    s->path = g_build_filename(options->folder, SQLITE_STORE_FILE, NULL);
    s->read_only = options->read_only;
    s->on_fatal = options->on_fatal;
    s->user = options->user;
    s->scratch = g_string_sized_new(1024);
    s->idle = g_ptr_array_new_with_free_func(close_reader);
    g_mutex_init(&s->write_lock);
    g_mutex_init(&s->pool_lock);
    store_dedupe_init(s, options->dedupe_memory_max);
    return s;
}

/* Looks first, and writes only when the file is ours and of a known version. A reader cannot
 * migrate, so an older schema is MISSING for it, with the way out in the text. */
static bool open_parts(struct store_sqlite *s, GError **error)
{
    int64_t version = 0;

    if (!peek(s, &version, error))
        return false;
    if (!s->read_only)
        return open_writer(s, version, error) && store_dedupe_load(s, error);
    if (version == SCHEMA_VERSION)
        return store_dedupe_load(s, error);
    g_set_error(error, EF_ERROR, EF_ERROR_MISSING,
                version == 0 ? "%s does not exist or is empty"
                             : "%s has an older schema; start the server once to migrate it",
                s->path);
    return false;
}

/* Half-built is closed like whole, so every part below only returns. */
static struct store *sqlite_open(const struct store_options *options, GError **error)
{
    struct store_sqlite *s = new_store(options);

    if (open_parts(s, error))
        return &s->store;
    sqlite_close(&s->store);
    return NULL;
}

const struct store_ops store_sqlite_ops = {
    .name = "sqlite",
    .open = sqlite_open,
    .seen = store_sqlite_seen,
    .begin_attempt = store_sqlite_begin_attempt,
    .settle = store_sqlite_settle,
    .retries = store_sqlite_retries,
    .write_campaign = store_sqlite_write_campaign,
    .load_campaigns = store_sqlite_load_campaigns,
    .list = store_sqlite_list,
    .summary = store_sqlite_summary,
    .check = store_sqlite_check,
    .close = sqlite_close,
};
