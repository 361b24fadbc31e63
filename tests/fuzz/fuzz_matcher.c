/* matcher: a set of patterns and some events; the index must say of each what the reference says,
 * whatever the order, the sample, and the company (check_matcher.h).
 *
 * An input that begins with "set" is text: "set SEED", then a pattern a line, an empty line, and an
 * event a line. The bytes of any other are choices (grammar_set.h). A difference is printed as such
 * a text, to be tried again. EF_SHOW in the environment prints every set. */
#include <stdint.h>
#include <stdio.h>

#include <glib.h>

#include "check_matcher.h"
#include "grammar_set.h"

#define TEXT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not through g_printerr, which writes '?' for letters that the locale lacks. */
static void print_list(const GPtrArray *list)
{
    for (guint i = 0; i < list->len; i++)
        fprintf(stderr, "%s\n", (char *)list->pdata[i]);
}

static void compare(const GPtrArray *patterns, const GPtrArray *events, uint64_t seed)
{
    struct check_set set;
    char *wrong;

    check_set_init(&set, patterns, events);
    wrong = check_matcher(&set, seed);
    if (wrong != NULL || g_getenv("EF_SHOW") != NULL) {
        fprintf(stderr, "set %" G_GUINT64_FORMAT "\n", seed);
        print_list(set.texts);
        fputc('\n', stderr);
        print_list(set.documents);
    }
    if (wrong != NULL) {
        fputs(wrong, stderr);
        g_assert_not_reached();
    }
    check_set_done(&set);
}

static void compare_text(struct slice input)
{
    g_autofree char *text = g_strndup(input.data, input.size);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GPtrArray) patterns = g_ptr_array_new();
    g_autoptr(GPtrArray) events = g_ptr_array_new();
    size_t i = 1;

    for (; lines[0] != NULL && lines[i] != NULL && *lines[i] != '\0'; i++)
        g_ptr_array_add(patterns, lines[i]);
    for (; lines[0] != NULL && lines[i] != NULL; i++) {
        if (*lines[i] != '\0')
            g_ptr_array_add(events, lines[i]);
    }
    compare(patterns, events, g_ascii_strtoull(text + strlen("set"), NULL, 10));
}

/* The first bytes say how much of everything. Mostly a few patterns, as these are quick; in large
 * sets, most choices are made of a seed. */
static struct grammar_plan plan_of(const uint8_t head[4])
{
    static const unsigned PATTERNS[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 40, 5, 7, 10, 30, 120, 320};
    unsigned patterns = PATTERNS[head[0] % 16];

    return (struct grammar_plan){
        .patterns = patterns,
        .events = patterns > 100 ? 6 : 1 + head[0] / 16 % 4,
        .fields = 1 + head[1] % 16,
        .values = 1 + (head[1] / 16 < 12 ? head[1] / 16 : 6U * (head[1] / 16)),
        .seed = patterns > 100 || head[2] % 4 != 0 ? head[3] + 1U : 0,
    };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GPtrArray) patterns = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) events = g_ptr_array_new_with_free_func(g_free);
    struct grammar_plan plan;

    if (size < 5 || size > TEXT_MAX)
        return 0;
    if (memcmp(data, "set", 3) == 0) {
        compare_text(slice_of(data, size));
        return 0;
    }
    plan = plan_of(data);
    grammar_set_derive(slice_of(data + 4, size - 4), &plan, patterns, events);
    compare(patterns, events, data[2]);
    return 0;
}
