#include <glib/gstdio.h>
#include <sqlite3.h>

#include "common/wal_keeper.h"

#define PAGES      50
#define COMMITS    200000 /* far more than it takes; the loop ends when the condition holds */
#define SECONDS_US (60 * G_USEC_PER_SEC)

/* A database in a folder of its own, written as the backends write. */
struct world {
    char *folder, *path;
    sqlite3 *db;
    struct wal_keeper *keeper;
    int pages;     /* after the last commit */
    int restarted; /* how often the log was found shorter than before */
    int failures;  /* atomic */
};

static void note_failure(void *user, int rc, const char *message)
{
    struct world *w = user;

    g_assert_cmpint(rc, !=, SQLITE_OK);
    g_assert_nonnull(message);
    g_atomic_int_inc(&w->failures);
}

static int note_pages(void *user, sqlite3 *db, const char *schema, int pages)
{
    struct world *w = user;

    (void)schema;
    if (pages < w->pages)
        w->restarted++;
    w->pages = pages;
    wal_keeper_note(w->keeper, db, pages);
    return SQLITE_OK;
}

static void run_sql(sqlite3 *db, const char *sql)
{
    g_assert_cmpint(sqlite3_exec(db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
}

static void world_init(struct world *w)
{
    int rc = SQLITE_ERROR;

    *w = (struct world){.folder = g_dir_make_tmp("eventflow-keeper-XXXXXX", NULL)};
    w->path = g_build_filename(w->folder, "test.db", NULL);
    g_assert_cmpint(sqlite3_open(w->path, &w->db), ==, SQLITE_OK);
    /* Without syncs, as this is not about durability. */
    run_sql(w->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;"
                   "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)");
    w->keeper = wal_keeper_open(&(struct wal_keeper_options){.path = w->path,
                                                             .name = "test-keeper",
                                                             .pages = PAGES,
                                                             .on_failure = note_failure,
                                                             .user = w},
                                &rc);
    g_assert_nonnull(w->keeper);
    sqlite3_wal_hook(w->db, note_pages, w);
}

static void world_done(struct world *w)
{
    static const char *const endings[] = {"", "-wal", "-shm"};

    wal_keeper_close(w->keeper);
    sqlite3_close(w->db);
    for (size_t i = 0; i < G_N_ELEMENTS(endings); i++) {
        g_autofree char *path = g_strconcat(w->path, endings[i], NULL);

        g_unlink(path);
    }
    g_rmdir(w->folder);
    g_free(w->path);
    g_free(w->folder);
}

static void commit_one(struct world *w)
{
    run_sql(w->db, "INSERT INTO t (b) VALUES (hex(randomblob(1500)))");
}

/* Without the writer's own part the log would only grow while it writes. */
static void test_log_starts_anew(void)
{
    struct world w;
    int64_t until_us = g_get_monotonic_time() + SECONDS_US;

    world_init(&w);
    for (int i = 0; i < COMMITS && w.restarted < 3; i++) {
        commit_one(&w);
        g_assert_cmpint(g_get_monotonic_time(), <, until_us);
    }
    g_assert_cmpint(w.restarted, >=, 3);
    g_assert_cmpint(g_atomic_int_get(&w.failures), ==, 0);
    world_done(&w);
}

/* A reader keeps its state; the log is copied when the reader has gone. */
static void test_reader_in_the_way(void)
{
    struct world w;
    sqlite3 *reader;

    world_init(&w);
    g_assert_cmpint(sqlite3_open(w.path, &reader), ==, SQLITE_OK);
    run_sql(reader, "BEGIN; SELECT count(*) FROM t");
    for (int i = 0; i < 20 * PAGES; i++)
        commit_one(&w);
    g_assert_cmpint(w.restarted, ==, 0);
    run_sql(reader, "COMMIT");
    for (int i = 0; i < COMMITS && w.restarted == 0; i++)
        commit_one(&w);
    g_assert_cmpint(w.restarted, >, 0);
    sqlite3_close(reader);
    world_done(&w);
}

static goffset size_of(const char *path)
{
    GStatBuf about;

    g_assert_cmpint(g_stat(path, &about), ==, 0);
    return about.st_size;
}

/* The keeper copies; then the log starts anew by itself (one page), before the writer was asked. */
static void copy_and_restart(struct world *w, sqlite3 *writer)
{
    int64_t until_us = g_get_monotonic_time() + SECONDS_US;
    goffset before = size_of(w->path);

    for (int i = 0; i < PAGES; i++)
        commit_one(w);
    wal_keeper_note(w->keeper, writer, PAGES);
    while (size_of(w->path) == before)
        g_assert_cmpint(g_get_monotonic_time(), <, until_us);
    /* The thread is at its end, but maybe not past it. */
    for (int i = 0; i < 50; i++) {
        wal_keeper_note(w->keeper, writer, 1);
        g_usleep(1000);
    }
}

/* A writer of another file is named in the notes: when that file grows, the writer has copied. A
 * few tries, as the thread may be slow; a keeper that is wrong is wrong every time. */
static void test_bulk_is_never_the_writers(void)
{
    struct world w, other;
    bool has_writer_copied = true;

    world_init(&w);
    world_init(&other);
    sqlite3_wal_hook(w.db, NULL, NULL);
    sqlite3_wal_hook(other.db, NULL, NULL);
    for (int i = 0; i < 20 && has_writer_copied; i++) {
        goffset before;

        copy_and_restart(&w, other.db);
        for (int page = 0; page < PAGES; page++)
            commit_one(&other);
        before = size_of(other.path);
        wal_keeper_note(w.keeper, other.db, PAGES);
        has_writer_copied = size_of(other.path) != before;
    }
    g_assert_false(has_writer_copied);
    world_done(&w);
    world_done(&other);
}

static void test_missing_folder(void)
{
    int rc = SQLITE_OK;
    struct wal_keeper_options options = {.path = "/nowhere/at/all.db", .name = "t", .pages = 1};

    g_assert_null(wal_keeper_open(&options, &rc));
    g_assert_cmpint(rc, !=, SQLITE_OK);
    wal_keeper_close(NULL);
}

#ifdef EF_TEST_HOOKS
static void test_failure_is_reported_once(void)
{
    struct world w;
    int64_t until_us = g_get_monotonic_time() + SECONDS_US;

    g_setenv("EVENTFLOW_TEST_FAULT", "wal_keeper.copy=fail@1+", TRUE);
    if (!g_test_subprocess()) { /* of its own, as the rules are read once a process */
        g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
        g_test_trap_assert_passed();
        g_unsetenv("EVENTFLOW_TEST_FAULT");
        return;
    }
    world_init(&w);
    while (g_atomic_int_get(&w.failures) == 0) {
        commit_one(&w);
        g_assert_cmpint(g_get_monotonic_time(), <, until_us);
    }
    for (int i = 0; i < 20 * PAGES; i++)
        commit_one(&w);
    world_done(&w); /* waits for the thread: nothing can come after it */
    g_assert_cmpint(w.failures, ==, 1);
    g_assert_cmpint(w.restarted, ==, 0);
}
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wal_keeper/log_starts_anew_under_steady_writing", test_log_starts_anew);
    g_test_add_func("/wal_keeper/waits_for_readers_without_blocking", test_reader_in_the_way);
    g_test_add_func("/wal_keeper/bulk_after_a_restart_of_the_log_is_the_threads",
                    test_bulk_is_never_the_writers);
    g_test_add_func("/wal_keeper/missing_file_is_an_error", test_missing_folder);
#ifdef EF_TEST_HOOKS
    g_test_add_func("/wal_keeper/failure_is_reported_once_and_ends_copying",
                    test_failure_is_reported_once);
#endif
    return g_test_run();
}
