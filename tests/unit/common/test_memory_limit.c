#include <glib.h>
#include <glib/gstdio.h>

#include "common/memory_limit.h"

#define MIB (UINT64_C(1) << 20)

/* A root with files of our own. */
struct world {
    char *root;
    GPtrArray *made; /* paths, in the order of their making */
};

static void world_init(struct world *w)
{
    w->root = g_dir_make_tmp("eventflow-limit-XXXXXX", NULL);
    w->made = g_ptr_array_new_with_free_func(g_free);
}

static void put(struct world *w, const char *path, const char *text)
{
    char *file = g_strconcat(w->root, path, NULL);
    g_autofree char *folder = g_path_get_dirname(file);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, text, -1, NULL));
    g_ptr_array_add(w->made, file);
}

static void world_done(struct world *w)
{
    for (guint i = 0; i < w->made->len; i++) {
        char *path = g_ptr_array_index(w->made, i);

        g_remove(path);
        while (g_str_has_prefix(path, w->root) && !g_str_equal(path, w->root)) {
            *g_strrstr(path, "/") = '\0';
            g_rmdir(path); /* when it is empty */
        }
    }
    g_ptr_array_unref(w->made);
    g_free(w->root);
}

static void test_version_2(void)
{
    struct world w;

    world_init(&w);
    put(&w, "/proc/self/cgroup", "0::/system.slice/eventflow.service\n");
    put(&w, "/sys/fs/cgroup/system.slice/eventflow.service/memory.max", "max\n");
    g_assert_cmpuint(memory_limit(w.root), ==, memory_limit("/nowhere/at/all"));
    put(&w, "/sys/fs/cgroup/system.slice/memory.max", "134217728\n"); /* one above */
    g_assert_cmpuint(memory_limit(w.root), ==, 128 * MIB);
    put(&w, "/sys/fs/cgroup/system.slice/eventflow.service/memory.max", "67108864\n");
    g_assert_cmpuint(memory_limit(w.root), ==, 64 * MIB);
    put(&w, "/sys/fs/cgroup/memory.max", "1048576\n"); /* a container's own root */
    g_assert_cmpuint(memory_limit(w.root), ==, MIB);
    world_done(&w);
}

static void test_version_1(void)
{
    struct world w;

    world_init(&w);
    put(&w, "/proc/self/cgroup", "5:cpu:/b\n4:memory:/a\n0::/c\n");
    put(&w, "/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "134217728\n");
    put(&w, "/sys/fs/cgroup/memory/b/memory.limit_in_bytes", "1\n"); /* somebody else's */
    put(&w, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    g_assert_cmpuint(memory_limit(w.root), ==, 128 * MIB);
    world_done(&w);
}

static void test_nonsense(void)
{
    struct world w;

    world_init(&w);
    put(&w, "/proc/self/cgroup", "\n:\n0::\n0::/a\nx");
    put(&w, "/sys/fs/cgroup/a/memory.max", "many");
    g_assert_cmpuint(memory_limit(w.root), ==, memory_limit("/nowhere/at/all"));
    g_assert_cmpuint(memory_limit(""), >, MIB);
    world_done(&w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/memory_limit/smallest_one_up_to_the_root_counts", test_version_2);
    g_test_add_func("/memory_limit/version_1_is_read_for_memory_only", test_version_1);
    g_test_add_func("/memory_limit/without_a_number_it_is_the_machines", test_nonsense);
    return g_test_run();
}
