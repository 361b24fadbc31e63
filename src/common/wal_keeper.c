#include "common/wal_keeper.h"

#include <errno.h>

#include "common/fault_point.h"

#include <sqlite3.h>

#define PASSES      2    /* the second copies what came in during the first */
#define RETRY_PAGES 1000 /* when readers were in the way: pages until the next try */
#define BUSY_MS     2000 /* waiting for another program, e.g. somebody's sqlite3 shell */

/* The life of one copy. */
enum keeper_state {
    KEEPER_RESTING, /* the log is small */
    KEEPER_COPYING, /* the thread's turn */
    KEEPER_ENDING,  /* the writer's turn, for the rest */
    KEEPER_BROKEN,  /* a write failed: nothing is copied any more */
};

struct wal_keeper {
    struct wal_keeper_options options; /* immutable; path and name are not used after open */
    sqlite3 *db;                       /* keeper thread only */
    GThread *thread;
    GMutex lock;
    GCond wake;
    enum keeper_state state; /* under lock, like the next one */
    bool is_stopping;
    int last_pages; /* writer only, like the next one */
    int copy_at;    /* pages at which the next copy begins */
};

/* Only the state is guarded; nothing is copied under the lock. */
static void set_state(struct wal_keeper *k, enum keeper_state state)
{
    g_mutex_lock(&k->lock);
    k->state = state;
    g_cond_signal(&k->wake);
    g_mutex_unlock(&k->lock);
}

static enum keeper_state get_state(struct wal_keeper *k)
{
    enum keeper_state state;

    g_mutex_lock(&k->lock);
    state = k->state;
    g_mutex_unlock(&k->lock);
    return state;
}

/* A quota that is used up is as good as a full disk, but SQLite has no code of its own for it: the
 * write failed, and nothing was synced yet. */
static bool met_quota(sqlite3 *db, int rc)
{
    int number = 0;

    return rc == SQLITE_IOERR_WRITE &&
           sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &number) == SQLITE_OK &&
           number == EDQUOT;
}

/* One PASSIVE pass: copies what no reader stands in the way of and waits for nobody. Trouble that
 * leaves the file as it was (no room, another program at the same work) is left to the next try.
 * Returns the state that follows: next, or why not. */
static enum keeper_state copy(struct wal_keeper *k, sqlite3 *db, enum keeper_state next)
{
    int rc = EF_FAULT("wal_keeper.copy")
                 ? SQLITE_IOERR_FSYNC
                 : sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

    if (rc == SQLITE_OK)
        return next;
    if (((rc & 0xff) != SQLITE_IOERR && (rc & 0xff) != SQLITE_CORRUPT) || met_quota(db, rc))
        return KEEPER_RESTING;
    k->options.on_failure(k->options.user, rc, sqlite3_errstr(rc));
    return KEEPER_BROKEN;
}

/* false = stopped. */
static bool wait_for_work(struct wal_keeper *k)
{
    bool answer;

    g_mutex_lock(&k->lock);
    while (k->state != KEEPER_COPYING && !k->is_stopping)
        g_cond_wait(&k->wake, &k->lock);
    answer = !k->is_stopping;
    g_mutex_unlock(&k->lock);
    return answer;
}

static void *keeper_main(void *user)
{
    struct wal_keeper *k = user;

    while (wait_for_work(k)) {
        enum keeper_state state = KEEPER_ENDING;

        for (int i = 0; i < PASSES && state == KEEPER_ENDING; i++)
            state = copy(k, k->db, KEEPER_ENDING);
        set_state(k, state);
    }
    return NULL;
}

/* A log that has shrunk has started anew: back to the usual threshold. One that goes on growing
 * after a copy has a reader in the way. When it started anew by itself, nothing is left to end, and
 * the next bulk is the thread's again. */
void wal_keeper_note(struct wal_keeper *k, sqlite3 *db, int pages)
{
    enum keeper_state state = get_state(k);

    if (pages < k->last_pages)
        k->copy_at = k->options.pages;
    k->last_pages = pages;
    if (state == KEEPER_ENDING && pages >= k->copy_at) {
        k->copy_at = pages + RETRY_PAGES;
        set_state(k, copy(k, db, KEEPER_RESTING));
    } else if (state == KEEPER_ENDING) {
        set_state(k, KEEPER_RESTING);
    } else if (state == KEEPER_RESTING && pages >= k->copy_at) {
        set_state(k, KEEPER_COPYING);
    }
}

/* Small: the pages that are copied do not pass through the connection's cache. NOMUTEX: one thread
 * at a time. The schema must exist, so that the connection finds a log to copy. */
static int open_connection(struct wal_keeper *k)
{
    int rc =
        sqlite3_open_v2(k->options.path, &k->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(k->db, BUSY_MS);
    /* FULL: the checkpoint syncs the log, copies, and syncs the file. NO_CKPT_ON_CLOSE: after a
     * failure nothing more is written, and otherwise the writer closes last. */
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(k->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(k->db,
                          "PRAGMA synchronous = FULL; PRAGMA mmap_size = 0;"
                          "PRAGMA wal_autocheckpoint = 0; SELECT count(*) FROM sqlite_schema",
                          NULL, NULL, NULL);
    return rc;
}

struct wal_keeper *wal_keeper_open(const struct wal_keeper_options *options, int *rc)
{
    struct wal_keeper *k = g_new0(struct wal_keeper, 1);

    k->options = *options;
    k->copy_at = options->pages;
    g_mutex_init(&k->lock);
    g_cond_init(&k->wake);
    *rc = open_connection(k);
    if (*rc == SQLITE_OK) {
        k->thread = g_thread_new(options->name, keeper_main, k);
        return k;
    }
    wal_keeper_close(k);
    return NULL;
}

void wal_keeper_close(struct wal_keeper *k)
{
    if (k == NULL)
        return;
    if (k->thread != NULL) {
        g_mutex_lock(&k->lock);
        k->is_stopping = true;
        g_cond_signal(&k->wake);
        g_mutex_unlock(&k->lock);
        g_thread_join(k->thread);
    }
    sqlite3_close(k->db);
    g_mutex_clear(&k->lock);
    g_cond_clear(&k->wake);
    g_free(k);
}

int wal_errno(sqlite3 *db)
{
    sqlite3_file *wal = NULL;
    int number = 0;

    if (db == NULL ||
        sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) != SQLITE_OK ||
        wal == NULL || wal->pMethods == NULL)
        return 0;
    wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &number);
    return number;
}
