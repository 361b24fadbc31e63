#include <unistd.h>

#include <glib/gstdio.h>

#include "common/sqlite_uri.h"

#define IMMUTABLE "?immutable=1"

/* Folder and file of one test. */
struct world {
    char *folder, *path;
};

static void world_init(struct world *w, const char *name)
{
    w->folder = g_dir_make_tmp("eventflow-uri-XXXXXX", NULL);
    w->path = g_build_filename(w->folder, name, NULL);
    g_assert_true(g_file_set_contents(w->path, "x", -1, NULL));
}

static void make_log(const struct world *w, const char *content)
{
    g_autofree char *log = g_strconcat(w->path, "-wal", NULL);

    g_assert_true(g_file_set_contents(log, content, -1, NULL));
}

static void world_done(struct world *w)
{
    g_autofree char *log = g_strconcat(w->path, "-wal", NULL);

    g_unlink(log);
    g_unlink(w->path);
    g_assert_cmpint(g_rmdir(w->folder), ==, 0);
    g_free(w->path);
    g_free(w->folder);
}

static void assert_rest(const char *path, bool wanted)
{
    bool is_at_rest = !wanted;
    g_autofree char *uri = sqlite_reader_uri(path, &is_at_rest);

    g_assert_cmpint(is_at_rest, ==, wanted);
    g_assert_cmpint(g_str_has_suffix(uri, IMMUTABLE), ==, wanted);
    g_assert_cmpint(sqlite_has_log(path), ==, !wanted);
}

static void test_a_file_without_a_log_is_at_rest(void)
{
    struct world w;

    world_init(&w, "a.db");
    assert_rest(w.path, true);
    world_done(&w);
}

/* A program that has just started has written nothing to it yet. */
static void test_an_empty_log_is_a_log(void)
{
    struct world w;

    world_init(&w, "a.db");
    make_log(&w, "");
    assert_rest(w.path, false);
    make_log(&w, "content");
    assert_rest(w.path, false);
    world_done(&w);
}

static void test_the_log_is_looked_for_where_a_link_leads(void)
{
    struct world w;
    g_autofree char *link = NULL;

    world_init(&w, "a.db");
    link = g_build_filename(w.folder, "link.db", NULL);
    g_assert_cmpint(symlink(w.path, link), ==, 0);
    assert_rest(link, true);
    make_log(&w, "");
    assert_rest(link, false);
    g_unlink(link);
    world_done(&w);
}

/* "Not a folder" is no answer to whether there is a log. */
static void test_what_cannot_be_seen_is_not_at_rest(void)
{
    struct world w;
    g_autofree char *below = NULL;

    world_init(&w, "a.db");
    below = g_build_filename(w.path, "b.db", NULL);
    assert_rest(below, false);
    world_done(&w);
}

static void test_a_name_is_no_parameter(void)
{
    g_autofree char *uri = sqlite_uri("/a b/c?mode=rw&x#y%20.db");
    g_autofree char *relative = sqlite_uri("file:x");
    g_autofree char *folder = g_get_current_dir();

    g_assert_cmpstr(uri, ==, "file:///a%20b/c%3Fmode%3Drw%26x%23y%2520.db");
    g_assert_true(g_str_has_prefix(relative, "file:///"));
    g_assert_true(g_str_has_suffix(relative, "/file%3Ax"));
    g_assert_cmpuint(strlen(folder), <, strlen(relative));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sqlite_uri/a_file_without_a_log_is_at_rest",
                    test_a_file_without_a_log_is_at_rest);
    g_test_add_func("/sqlite_uri/an_empty_log_is_a_log", test_an_empty_log_is_a_log);
    g_test_add_func("/sqlite_uri/the_log_is_looked_for_where_a_link_leads",
                    test_the_log_is_looked_for_where_a_link_leads);
    g_test_add_func("/sqlite_uri/what_cannot_be_seen_is_not_at_rest",
                    test_what_cannot_be_seen_is_not_at_rest);
    g_test_add_func("/sqlite_uri/a_name_is_no_parameter", test_a_name_is_no_parameter);
    return g_test_run();
}
