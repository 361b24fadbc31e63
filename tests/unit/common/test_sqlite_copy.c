#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <sqlite3.h>

#include "common/error.h"
#include "common/sqlite_copy.h"

#define OFFSET 12288 /* where copies begin */
#define ROWS   3000  /* of 2000 bytes each: more than one step of a copy */
#define MORE   500   /* what a writer adds */

/* A database in a folder of its own, and a file to copy it to. */
struct world {
    char *folder, *path, *copy_path;
    sqlite3 *db; /* NULL: at rest */
    int fd;
    int touches; /* how many more times somebody writes meanwhile */
    int calls;   /* of progress */
};

static void run_sql(sqlite3 *db, const char *sql)
{
    g_assert_cmpint(sqlite3_exec(db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
}

static void add_rows(sqlite3 *db, int count)
{
    g_autofree char *sql = g_strdup_printf(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
        "INSERT INTO t SELECT NULL, zeroblob(2000) FROM n",
        count);

    run_sql(db, sql);
}

static void open_db(struct world *w)
{
    g_assert_cmpint(sqlite3_open(w->path, &w->db), ==, SQLITE_OK);
    run_sql(w->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
}

static void rest(struct world *w)
{
    g_assert_cmpint(sqlite3_close(w->db), ==, SQLITE_OK);
    w->db = NULL;
}

static void world_init(struct world *w)
{
    *w = (struct world){.folder = g_dir_make_tmp("eventflow-copy-XXXXXX", NULL)};
    w->path = g_build_filename(w->folder, "source?x.db", NULL); /* a name that must be escaped */
    w->copy_path = g_build_filename(w->folder, "copy", NULL);
    w->fd = open(w->copy_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    g_assert_cmpint(w->fd, >=, 0);
    g_assert_cmpint(pwrite(w->fd, "before", 6, 0), ==, 6);
    open_db(w);
    run_sql(w->db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)");
    add_rows(w->db, ROWS);
}

static void world_done(struct world *w)
{
    static const char *const names[] = {"source?x.db", "source?x.db-wal", "source?x.db-shm", "copy",
                                        "taken.db"};

    sqlite3_close(w->db);
    close(w->fd);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(w->folder, names[i], NULL);

        g_unlink(path);
    }
    g_assert_cmpint(g_rmdir(w->folder), ==, 0);
    g_free(w->copy_path);
    g_free(w->path);
    g_free(w->folder);
}

static bool has_file(const struct world *w, const char *name)
{
    g_autofree char *path = g_build_filename(w->folder, name, NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* Another program comes, writes and goes: the file is at rest again, and another one. */
static void touch(struct world *w)
{
    sqlite3 *db = NULL;

    if (w->touches <= 0)
        return;
    w->touches--;
    g_assert_cmpint(sqlite3_open(w->path, &db), ==, SQLITE_OK);
    add_rows(db, MORE);
    g_assert_cmpint(sqlite3_close(db), ==, SQLITE_OK);
}

static bool touch_meanwhile(void *user, int64_t done, int64_t total, GError **error)
{
    struct world *w = user;

    (void)error;
    g_assert_cmpint(done, <=, total);
    w->calls++;
    touch(w);
    return true;
}

static bool stop_it(void *user, int64_t done, int64_t total, GError **error)
{
    (void)user;
    (void)done;
    (void)total;
    g_set_error_literal(error, EF_ERROR, EF_ERROR_STOPPED, "enough");
    return false;
}

/* What a copy answers, and how it went. */
struct outcome {
    bool is_good;
    int64_t counted; /* by the query of the same moment */
    int64_t size;
};

static struct outcome copy(struct world *w, GError **error)
{
    struct sqlite_copy_query query = {.sql = "SELECT count(*) FROM t"};
    struct sqlite_copy c = {.path = w->path,
                            .fd = w->fd,
                            .offset = OFFSET,
                            .queries = &query,
                            .query_count = 1,
                            .progress = touch_meanwhile,
                            .user = w};
    bool is_good = sqlite_copy_run(&c, error);

    return (struct outcome){.is_good = is_good, .counted = query.value, .size = c.size};
}

static int64_t ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t value;

    g_assert_cmpint(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_step(statement), ==, SQLITE_ROW);
    value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

/* Takes the copy out of its file; it must be a sound database with so many rows. */
static void assert_copied(const struct world *w, int64_t size, int64_t rows)
{
    g_autofree char *path = g_build_filename(w->folder, "taken.db", NULL);
    g_autofree char *content = NULL;
    gsize all;
    sqlite3 *db;

    g_assert_true(g_file_get_contents(w->copy_path, &content, &all, NULL));
    g_assert_cmpint((int64_t)all, ==, OFFSET + size);
    g_assert_cmpmem(content, 6, "before", 6);
    /* Bytes 18 and 19 say that the file has a write-ahead log: as its source. */
    g_assert_cmpmem(content + OFFSET + 18, 2, "\2\2", 2);
    g_assert_true(g_file_set_contents(path, content + OFFSET, (gssize)size, NULL));
    g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
    g_assert_cmpint(ask(db, "SELECT count(*) FROM t"), ==, rows);
    g_assert_cmpint(
        ask(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), ==,
        0);
    sqlite3_close(db);
}

static void test_a_copy_is_a_whole_database_in_the_middle_of_a_file(void)
{
    struct world w;
    struct outcome o;

    world_init(&w);
    o = copy(&w, NULL);
    g_assert_true(o.is_good);
    g_assert_cmpint(w.calls, >, 1);
    g_assert_cmpint(o.counted, ==, ROWS);
    assert_copied(&w, o.size, ROWS);
    world_done(&w);
}

static void test_writers_go_on_and_the_copy_is_of_the_first_moment(void)
{
    struct world w;
    struct outcome o;

    world_init(&w);
    w.touches = 2;
    o = copy(&w, NULL);
    g_assert_true(o.is_good);
    g_assert_cmpint(w.touches, ==, 0);
    g_assert_cmpint(ask(w.db, "SELECT count(*) FROM t"), ==, ROWS + 2 * MORE);
    g_assert_cmpint(o.counted, ==, ROWS);
    assert_copied(&w, o.size, ROWS);
    world_done(&w);
}

static void test_a_source_at_rest_gets_no_files_beside_it(void)
{
    struct world w;
    struct outcome o;

    world_init(&w);
    rest(&w);
    o = copy(&w, NULL);
    g_assert_true(o.is_good);
    assert_copied(&w, o.size, ROWS);
    g_assert_false(has_file(&w, "source?x.db-wal"));
    g_assert_false(has_file(&w, "source?x.db-shm"));
    world_done(&w);
}

/* It was read without locks, so what was read may be of two moments. */
static void test_a_source_that_was_not_at_rest_after_all_is_copied_again(void)
{
    struct world w;
    struct outcome o;

    world_init(&w);
    rest(&w);
    w.touches = 1;
    o = copy(&w, NULL);
    g_assert_true(o.is_good);
    g_assert_cmpint(o.counted, ==, ROWS + MORE);
    assert_copied(&w, o.size, ROWS + MORE);
    world_done(&w);
}

static void test_a_source_that_never_rests_is_given_up(void)
{
    struct world w;
    g_autoptr(GError) error = NULL;

    world_init(&w);
    rest(&w);
    w.touches = 100;
    g_assert_false(copy(&w, &error).is_good);
    g_assert_error(error, EF_ERROR, EF_ERROR_RETRY);
    g_assert_cmpint(w.touches, >, 0);
    world_done(&w);
}

static void test_progress_can_end_it_with_its_own_error(void)
{
    struct world w;
    g_autoptr(GError) error = NULL;

    world_init(&w);
    {
        struct sqlite_copy c = {.path = w.path, .fd = w.fd, .progress = stop_it};

        g_assert_false(sqlite_copy_run(&c, &error));
    }
    g_assert_error(error, EF_ERROR, EF_ERROR_STOPPED);
    world_done(&w);
}

static void test_a_copy_that_cannot_be_written_is_full_and_says_why(void)
{
    struct world w;
    g_autoptr(GError) error = NULL;

    world_init(&w);
    close(w.fd);
    w.fd = open(w.copy_path, O_RDONLY | O_CLOEXEC);
    g_assert_false(copy(&w, &error).is_good);
    g_assert_error(error, EF_ERROR, EF_ERROR_FULL);
    g_assert_nonnull(strstr(error->message, "cannot write the copy"));
    world_done(&w);
}

static void test_what_is_no_source_is_told_apart(void)
{
    struct world w;
    struct sqlite_copy_query query = {.sql = "SELECT count(*) FROM t"};
    g_autoptr(GError) error = NULL;
    g_autofree char *nothing = NULL;

    world_init(&w);
    nothing = g_build_filename(w.folder, "nothing.db", NULL);
    g_assert_false(sqlite_copy_ask(nothing, &query, 1, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_MISSING);
    g_clear_error(&error);
    g_assert_false(sqlite_copy_ask(w.copy_path, &query, 1, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_CORRUPT);
    g_clear_error(&error);
    query.sql = "SELECT 1 FROM t WHERE a < 0"; /* no row is no answer */
    g_assert_false(sqlite_copy_ask(w.path, &query, 1, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_CORRUPT);
    world_done(&w);
}

/* ---- a query during which somebody writes ---------------------------------------------------- */

/* SQLite's hook for new connections has no place for a pointer of ours. */
static struct world *touched;

static void sql_touch(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    (void)values;
    touch(touched);
    sqlite3_result_int(context, 0);
}

static int add_touch(sqlite3 *db, char **message, const void *api)
{
    (void)message;
    (void)api;
    return sqlite3_create_function_v2(db, "touch", 0, SQLITE_UTF8, NULL, sql_touch, NULL, NULL,
                                      NULL);
}

/* count, somebody writes, count: the counts are equal whichever way the file was opened. */
static void ask_around_a_touch(struct world *w, int64_t wanted)
{
    struct sqlite_copy_query queries[] = {{.sql = "SELECT count(*) FROM t"},
                                          {.sql = "SELECT touch()"},
                                          {.sql = "SELECT count(*) FROM t"}};

    touched = w;
    w->touches = 1;
    g_assert_cmpint(sqlite3_auto_extension((void (*)(void))add_touch), ==, SQLITE_OK);
    g_assert_true(sqlite_copy_ask(w->path, queries, G_N_ELEMENTS(queries), NULL));
    sqlite3_reset_auto_extension();
    g_assert_cmpint(w->touches, ==, 0);
    g_assert_cmpint(queries[0].value, ==, wanted);
    g_assert_cmpint(queries[2].value, ==, wanted);
}

static void test_answers_are_all_of_one_moment(void)
{
    struct world w;

    world_init(&w);
    ask_around_a_touch(&w, ROWS);
    rest(&w);
    ask_around_a_touch(&w, ROWS + 2 * MORE);
    world_done(&w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sqlite_copy/a_copy_is_a_whole_database_in_the_middle_of_a_file",
                    test_a_copy_is_a_whole_database_in_the_middle_of_a_file);
    g_test_add_func("/sqlite_copy/writers_go_on_and_the_copy_is_of_the_first_moment",
                    test_writers_go_on_and_the_copy_is_of_the_first_moment);
    g_test_add_func("/sqlite_copy/a_source_at_rest_gets_no_files_beside_it",
                    test_a_source_at_rest_gets_no_files_beside_it);
    g_test_add_func("/sqlite_copy/a_source_that_was_not_at_rest_after_all_is_copied_again",
                    test_a_source_that_was_not_at_rest_after_all_is_copied_again);
    g_test_add_func("/sqlite_copy/a_source_that_never_rests_is_given_up",
                    test_a_source_that_never_rests_is_given_up);
    g_test_add_func("/sqlite_copy/progress_can_end_it_with_its_own_error",
                    test_progress_can_end_it_with_its_own_error);
    g_test_add_func("/sqlite_copy/a_copy_that_cannot_be_written_is_full_and_says_why",
                    test_a_copy_that_cannot_be_written_is_full_and_says_why);
    g_test_add_func("/sqlite_copy/what_is_no_source_is_told_apart",
                    test_what_is_no_source_is_told_apart);
    g_test_add_func("/sqlite_copy/answers_are_all_of_one_moment",
                    test_answers_are_all_of_one_moment);
    return g_test_run();
}
