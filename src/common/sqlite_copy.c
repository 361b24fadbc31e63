/* The copy is SQLite's own online backup; what is ours is where the bytes go.
 *
 * SQLite writes the copy through a VFS (its layer below files) that has a single file: a window of
 * the caller's file. It has no journal and no locks, because nobody else sees the copy before it is
 * complete.
 *
 * The source is opened in one of two ways. With a log beside it a program runs, or has crashed:
 * then as any reader, with locks. Without a log nothing happens to the file: then as "immutable",
 * which leaves no log behind and works in a folder that may not be written. Should a program have
 * started meanwhile, that shows afterwards, and the copy is made again.
 */
#include "common/sqlite_copy.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/sqlite_uri.h"

#include <sqlite3.h>

#define STEP_PAGES 1024 /* between two looks at progress: 4 MiB */
#define BUSY_MS    5000 /* for a foreign writer that holds the file */
#define TRIES      3    /* of a source that was at rest and then was not */

/* ---- the window: a VFS with one file --------------------------------------------------------- */

/* A part of the caller's file, from offset to its end. */
struct window {
    int fd;
    int64_t offset, size; /* bytes */
    int error;            /* errno of the first failure; SQLite keeps only its kind */
};

/* SQLite's name for an open file; it allocates szOsFile bytes and calls through the first member.
 */
struct window_file {
    sqlite3_file file;
    struct window *window;
};

/* file is the first member, so the pointers are the same. */
static struct window *window_of(sqlite3_file *file)
{
    return ((struct window_file *)file)->window;
}

/* Notes errno; what it means to SQLite only decides its message, as ours is made from errno. */
static int window_fail(struct window *w, int code)
{
    if (w->error == 0)
        w->error = errno;
    return code;
}

static int window_close(sqlite3_file *file)
{
    (void)file;
    return SQLITE_OK;
}

/* What lies beyond the end reads as zeroes, and SQLite must be told so. */
static int window_read(sqlite3_file *file, void *buffer, int count, sqlite3_int64 at)
{
    struct window *w = window_of(file);
    size_t size = at < w->size ? (size_t)MIN((int64_t)count, w->size - at) : 0;
    size_t done = 0;

    while (done < size) {
        ssize_t got = pread(w->fd, (char *)buffer + done, size - done,
                            (off_t)(w->offset + at + (int64_t)done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return window_fail(w, SQLITE_IOERR_READ);
        done += (size_t)got;
    }
    if (size == (size_t)count)
        return SQLITE_OK;
    memset((char *)buffer + size, 0, (size_t)count - size);
    return SQLITE_IOERR_SHORT_READ;
}

static int window_write(sqlite3_file *file, const void *buffer, int count, sqlite3_int64 at)
{
    struct window *w = window_of(file);
    size_t done = 0;

    while (done < (size_t)count) {
        ssize_t got = pwrite(w->fd, (const char *)buffer + done, (size_t)count - done,
                             (off_t)(w->offset + at + (int64_t)done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return window_fail(w, SQLITE_FULL);
        done += (size_t)got;
    }
    w->size = MAX(w->size, at + count);
    return SQLITE_OK;
}

static int window_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct window *w = window_of(file);

    if (ftruncate(w->fd, (off_t)(w->offset + size)) != 0)
        return window_fail(w, SQLITE_IOERR_TRUNCATE);
    w->size = size;
    return SQLITE_OK;
}

/* The caller syncs once, at the end. */
static int window_sync(sqlite3_file *file, int flags)
{
    (void)file;
    (void)flags;
    return SQLITE_OK;
}

static int window_get_size(sqlite3_file *file, sqlite3_int64 *size)
{
    *size = window_of(file)->size;
    return SQLITE_OK;
}

static int window_lock(sqlite3_file *file, int level)
{
    (void)file;
    (void)level;
    return SQLITE_OK;
}

static int window_is_reserved(sqlite3_file *file, int *is_reserved)
{
    (void)file;
    *is_reserved = 0;
    return SQLITE_OK;
}

static int window_control(sqlite3_file *file, int operation, void *argument)
{
    (void)file;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int window_sector_size(sqlite3_file *file)
{
    (void)file;
    return 4096;
}

static int window_properties(sqlite3_file *file)
{
    (void)file;
    return 0;
}

static const sqlite3_io_methods window_methods = {
    .iVersion = 1, /* without the shared memory of later versions: the copy itself has no log */
    .xClose = window_close,
    .xRead = window_read,
    .xWrite = window_write,
    .xTruncate = window_truncate,
    .xSync = window_sync,
    .xFileSize = window_get_size,
    .xLock = window_lock,
    .xUnlock = window_lock,
    .xCheckReservedLock = window_is_reserved,
    .xFileControl = window_control,
    .xSectorSize = window_sector_size,
    .xDeviceCharacteristics = window_properties,
};

/* Only the database itself can be opened: there is no place for a journal. */
static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *given)
{
    struct window_file *f = (struct window_file *)file;

    (void)name;
    f->file.pMethods = NULL;
    if ((flags & SQLITE_OPEN_MAIN_DB) == 0)
        return SQLITE_CANTOPEN;
    f->file.pMethods = &window_methods;
    f->window = vfs->pAppData;
    if (given != NULL)
        *given = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    (void)vfs;
    (void)name;
    (void)sync_folder;
    return SQLITE_OK;
}

/* There is no journal of an earlier life, and nothing else either. */
static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *is_there)
{
    (void)vfs;
    (void)name;
    (void)flags;
    *is_there = 0;
    return SQLITE_OK;
}

static int vfs_full_name(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    (void)vfs;
    g_strlcpy(out, name, (gsize)size);
    return SQLITE_OK;
}

/* A database whose only file is the window; clock and chance are those of the default VFS. The VFS
 * is registered for the time of the call: SQLite finds one by name only. SQLite's code; *db must be
 * closed by the caller in any case, before vfs ends. */
static int window_connect(struct window *w, sqlite3_vfs *vfs, const char *name, sqlite3 **db)
{
    int rc;

    *vfs = *sqlite3_vfs_find(NULL);
    vfs->pNext = NULL;
    vfs->zName = name;
    vfs->szOsFile = sizeof(struct window_file);
    vfs->pAppData = w;
    vfs->xOpen = vfs_open;
    vfs->xDelete = vfs_delete;
    vfs->xAccess = vfs_access;
    vfs->xFullPathname = vfs_full_name;
    rc = sqlite3_vfs_register(vfs, 0);
    if (rc == SQLITE_OK)
        rc = sqlite3_open_v2("copy", db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, name);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(*db, "PRAGMA journal_mode = OFF", NULL, NULL, NULL);
    sqlite3_vfs_unregister(vfs);
    return rc;
}

/* ---- the source ------------------------------------------------------------------------------ */

/* The database that is copied. */
struct source {
    const char *path;
    sqlite3 *db;
    bool is_at_rest;  /* opened as immutable */
    struct stat info; /* of the file, before it was opened */
};

/* What a result code means for somebody who only reads. */
static int meaning_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_NOMEM:
        return EF_ERROR_RETRY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:
        return EF_ERROR_CORRUPT;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return EF_ERROR_MISSING;
    default:
        return EF_ERROR_FULL;
    }
}

/* Always false. */
static bool source_fail(const struct source *s, int rc, GError **error)
{
    int code = meaning_of(rc);
    const char *words =
        s->db != NULL && sqlite3_errcode(s->db) != SQLITE_OK ? sqlite3_errmsg(s->db) : NULL;

    g_set_error(error, EF_ERROR, code, "cannot read %s%s: %s", s->path,
                code == EF_ERROR_CORRUPT ? ", which is damaged or no database of ours" : "",
                words != NULL ? words : sqlite3_errstr(rc));
    return false;
}

/* The file is what it was when the source was opened, and nobody has come since. */
static bool source_is_untouched(const struct source *s)
{
    struct stat now;

    return !s->is_at_rest || (!sqlite_has_log(s->path) && stat(s->path, &now) == 0 &&
                              now.st_size == s->info.st_size && now.st_ino == s->info.st_ino &&
                              now.st_mtim.tv_sec == s->info.st_mtim.tv_sec &&
                              now.st_mtim.tv_nsec == s->info.st_mtim.tv_nsec);
}

static void source_close(struct source *s)
{
    sqlite3_close(s->db);
    s->db = NULL;
}

/* The one integer of a query. */
static bool source_ask(const struct source *s, struct sqlite_copy_query *query, GError **error)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(s->db, query->sql, -1, &statement, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        query->value = sqlite3_column_int64(statement, 0);
    else
        source_fail(s, rc != SQLITE_DONE ? rc : SQLITE_CORRUPT, error);
    sqlite3_finalize(statement);
    return rc == SQLITE_ROW;
}

/* Opens the file, and begins the read transaction that stays until it is closed: the first query
 * fixes the moment. After false the caller closes as well. */
static bool source_open(struct source *s, const char *path, GError **error)
{
    g_autofree char *uri = NULL;
    struct sqlite_copy_query first = {.sql = "SELECT count(*) FROM sqlite_schema"};
    int rc;

    *s = (struct source){.path = path};
    if (stat(path, &s->info) != 0) {
        g_set_error(error, EF_ERROR, EF_ERROR_MISSING, "cannot read %s: %s", path,
                    g_strerror(errno));
        return false;
    }
    uri = sqlite_reader_uri(path, &s->is_at_rest);
    rc = sqlite3_open_v2(uri, &s->db,
                         SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(s->db, BUSY_MS);
    /* mmap stays off: a read error of a mapped file would kill the process. */
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(s->db, "PRAGMA mmap_size = 0; BEGIN", NULL, NULL, NULL);
    return rc == SQLITE_OK ? source_ask(s, &first, error) : source_fail(s, rc, error);
}

/* ---- copying --------------------------------------------------------------------------------- */

/* What of both sides went wrong. Always false. */
static bool copy_fail(const struct source *s, const struct window *w, int rc, GError **error)
{
    if (w->error == 0)
        return source_fail(s, rc, error);
    g_set_error(error, EF_ERROR, EF_ERROR_FULL, "cannot write the copy of %s: %s", s->path,
                g_strerror(w->error));
    return false;
}

/* Steps to the end. The source's transaction is open, so no write of others makes it begin anew. */
static bool copy_pages(struct sqlite_copy *c, const struct source *s, struct window *w,
                       sqlite3_backup *backup, int64_t page_size, GError **error)
{
    int rc;

    do {
        rc = sqlite3_backup_step(backup, STEP_PAGES);
        if (rc != SQLITE_OK && rc != SQLITE_DONE)
            return copy_fail(s, w, rc, error);
        if (c->progress != NULL) {
            int64_t total = sqlite3_backup_pagecount(backup) * page_size;

            if (!c->progress(c->user, total - sqlite3_backup_remaining(backup) * page_size, total,
                             error))
                return false;
        }
    } while (rc != SQLITE_DONE);
    return true;
}

/* From an open source into the window of an empty database. */
static bool copy_database(struct sqlite_copy *c, const struct source *s, struct window *w,
                          GError **error)
{
    g_autofree char *name = g_strdup_printf("eventflow-copy-%p", (void *)w);
    struct sqlite_copy_query page_size = {.sql = "PRAGMA page_size"};
    sqlite3_vfs vfs;
    sqlite3 *db = NULL;
    sqlite3_backup *backup = NULL;
    int rc = window_connect(w, &vfs, name, &db);
    bool is_good = false;

    if (rc == SQLITE_OK)
        backup = sqlite3_backup_init(db, "main", s->db, "main");
    if (backup == NULL)
        copy_fail(s, w, rc != SQLITE_OK ? rc : sqlite3_errcode(db), error);
    else
        is_good =
            source_ask(s, &page_size, error) && copy_pages(c, s, w, backup, page_size.value, error);
    rc = sqlite3_backup_finish(backup); /* the last pages may be written here */
    if (is_good && rc != SQLITE_OK)
        is_good = copy_fail(s, w, rc, error);
    sqlite3_close(db);
    return is_good;
}

static bool copy_into(struct sqlite_copy *c, const struct source *s, struct window *w,
                      GError **error)
{
    /* An earlier try may have left more than this one will. */
    if (ftruncate(c->fd, (off_t)c->offset) == 0)
        return copy_database(c, s, w, error);
    window_fail(w, SQLITE_IOERR_TRUNCATE);
    return copy_fail(s, w, SQLITE_IOERR, error);
}

/* One try. Without a file to copy to only the queries are answered. */
static bool copy_once(struct sqlite_copy *c, bool *is_untouched, GError **error)
{
    struct window w = {.fd = c->fd, .offset = c->offset};
    struct source s;
    bool is_good = source_open(&s, c->path, error);

    for (size_t i = 0; is_good && i < c->query_count; i++)
        is_good = source_ask(&s, &c->queries[i], error);
    is_good = is_good && (c->fd < 0 || copy_into(c, &s, &w, error));
    *is_untouched = source_is_untouched(&s);
    source_close(&s);
    c->size = w.size;
    return is_good;
}

/* A program that started in the middle is met at most a few times. */
static bool copy_untouched(struct sqlite_copy *c, GError **error)
{
    for (int i = 0; i < TRIES; i++) {
        g_autoptr(GError) problem = NULL;
        bool is_untouched = true;
        bool is_good = copy_once(c, &is_untouched, &problem);

        if (is_untouched || g_error_matches(problem, EF_ERROR, EF_ERROR_STOPPED)) {
            if (!is_good)
                g_propagate_error(error, g_steal_pointer(&problem));
            return is_good;
        }
    }
    g_set_error(error, EF_ERROR, EF_ERROR_RETRY,
                "%s was changed while it was read, although no program seemed to use it: try again",
                c->path);
    return false;
}

bool sqlite_copy_run(struct sqlite_copy *c, GError **error)
{
    g_assert(c->fd >= 0);
    return copy_untouched(c, error);
}

bool sqlite_copy_ask(const char *path, struct sqlite_copy_query *queries, size_t count,
                     GError **error)
{
    struct sqlite_copy c = {.path = path, .fd = -1, .queries = queries, .query_count = count};

    return copy_untouched(&c, error);
}
