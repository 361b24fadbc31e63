#include <glib.h>
#include <glib/gstdio.h>

#include "common/disk_watch.h"

static void test_bits(void)
{
    struct disk_watch *d = disk_watch_new("/nowhere/at/all");

    g_assert_false(disk_watch_is_full(d));
    disk_watch_note(d, DISK_WRITER_QUEUE, true);
    disk_watch_note(d, DISK_WRITER_STORE, true);
    disk_watch_note(d, DISK_WRITER_QUEUE, false);
    g_assert_true(disk_watch_is_full(d)); /* the other one still is */
    disk_watch_note(d, DISK_WRITER_STORE, false);
    g_assert_false(disk_watch_is_full(d));
    disk_watch_free(d);
}

static void test_probe(void)
{
    g_autofree char *folder = g_dir_make_tmp("eventflow-disk-XXXXXX", NULL);
    struct disk_watch *d = disk_watch_new(folder);

    disk_watch_note(d, DISK_WRITER_QUEUE, true);
    disk_watch_note(d, DISK_WRITER_STORE, true);
    disk_watch_probe(d);
    g_assert_false(disk_watch_is_full(d));
    disk_watch_free(d);
    g_assert_cmpint(g_rmdir(folder), ==, 0); /* nothing was left in it */
}

static void test_probe_without_room(void)
{
    struct disk_watch *d = disk_watch_new("/nowhere/at/all");

    disk_watch_note(d, DISK_WRITER_QUEUE, true);
    disk_watch_probe(d);
    g_assert_true(disk_watch_is_full(d));
    disk_watch_free(d);
}

static void test_null(void)
{
    disk_watch_note(NULL, DISK_WRITER_STORE, true);
    disk_watch_probe(NULL);
    g_assert_false(disk_watch_is_full(NULL));
    disk_watch_free(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/disk_watch/full_until_every_writer_succeeds", test_bits);
    g_test_add_func("/disk_watch/probe_ends_it_and_leaves_nothing", test_probe);
    g_test_add_func("/disk_watch/probe_that_fails_changes_nothing", test_probe_without_room);
    g_test_add_func("/disk_watch/null_is_a_disk_with_room", test_null);
    return g_test_run();
}
