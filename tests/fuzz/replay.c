/* replay: runs a fuzz target over every file of the folders given, without a fuzzer.
 *
 * Prints TAP, one line per file. A target that finds something aborts; the comment line before
 * then names the file. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <glib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static gint compare_paths(gconstpointer a, gconstpointer b)
{
    const char *const *left = a;
    const char *const *right = b;

    return g_strcmp0(*left, *right);
}

/* The paths of the files in the folder, sorted, so that two runs print the same. */
static GPtrArray *list_folder(const char *folder)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL)
        if (name[0] != '.')
            g_ptr_array_add(names, g_build_filename(folder, name, NULL));
    g_ptr_array_sort(names, compare_paths);
    return names;
}

static bool replay_file(const char *path)
{
    g_autofree char *content = NULL;
    g_autofree uint8_t *exact = NULL;
    gsize size;

    if (!g_file_get_contents(path, &content, &size, NULL))
        return false;
    /* A copy of exactly this size: a sanitizer then sees a step behind the end. */
    exact = g_memdup2(content, size);
    LLVMFuzzerTestOneInput(exact, size);
    return true;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    unsigned failed = 0;

    for (int i = 1; i < argc; i++) {
        g_autoptr(GPtrArray) paths = list_folder(argv[i]);

        failed += paths->len == 0; /* a folder without files is a mistake in the build */
        for (guint j = 0; j < paths->len; j++) {
            const char *path = paths->pdata[j];
            bool ok;

            g_print("# %s\n", path);
            fflush(stdout);
            ok = replay_file(path);
            failed += !ok;
            g_print("%sok %u - %s\n", ok ? "" : "not ", ++count, path);
        }
    }
    g_print("1..%u\n", count);
    return failed > 0 || count == 0;
}
