#include "common/memory_limit.h"

#include <unistd.h>

#include <glib.h>

/* Where one version of control groups keeps its limits. Source: cgroups(7), and the kernel's
 * admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1/memory.rst. */
struct group_version {
    const char *controllers; /* second field of its line in /proc/self/cgroup */
    const char *mount;
    const char *file;
};

static const struct group_version versions[] = {
    {"", "/sys/fs/cgroup", "memory.max"},
    {"memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
};

/* UINT64_MAX when there is no number: no such file, or "max". */
static uint64_t read_limit(const char *root, const struct group_version *v, const char *group)
{
    g_autofree char *path = g_strconcat(root, v->mount, "/", group, "/", v->file, NULL);
    g_autofree char *text = NULL;
    guint64 limit;

    if (!g_file_get_contents(path, &text, NULL, NULL) ||
        !g_ascii_string_to_unsigned(g_strstrip(text), 10, 1, G_MAXUINT64, &limit, NULL))
        return UINT64_MAX;
    return limit;
}

/* The smallest limit from the group up to the root. group is shortened on the way. In a container
 * the path may be that outside, of which only the end exists here: the missing ones limit nothing.
 */
static uint64_t smallest_limit(const char *root, const struct group_version *v, char *group)
{
    uint64_t smallest = read_limit(root, v, "");

    while (*group != '\0') {
        char *end = g_strrstr(group, "/");

        smallest = MIN(smallest, read_limit(root, v, group));
        if (end == NULL)
            break;
        *end = '\0';
    }
    return smallest;
}

/* A line is "number:controllers:/path"; version 2 has no controllers. */
static uint64_t limit_of_line(const char *root, const char *line)
{
    g_auto(GStrv) fields = g_strsplit(line, ":", 3);

    if (g_strv_length(fields) != 3)
        return UINT64_MAX;
    for (size_t i = 0; i < G_N_ELEMENTS(versions); i++)
        if (g_str_equal(fields[1], versions[i].controllers))
            return smallest_limit(root, &versions[i], fields[2]);
    return UINT64_MAX;
}

uint64_t memory_limit(const char *root)
{
    uint64_t limit = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    g_autofree char *path = g_strconcat(root, "/proc/self/cgroup", NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return limit;
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++)
        limit = MIN(limit, limit_of_line(root, *line));
    return limit;
}
