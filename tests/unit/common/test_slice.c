#include "common/slice.h"

#include <glib.h>

static void test_cut_keeps_whole_characters(void)
{
    static const struct {
        const char *text;
        size_t max;
        const char *cut;
    } cases[] = {
        {"abc", 4, "abc"}, {"abc", 3, "abc"}, {"abc", 2, "ab"}, {"abc", 0, ""},  {"", 0, ""},
        {"aä", 3, "aä"},   {"aä", 2, "a"},    {"ää", 2, "ä"},   {"€x", 3, "€"},  {"€x", 2, ""},
        {"€x", 1, ""},     {"x😀y", 5, "x😀"},  {"x😀y", 4, "x"},  {"x😀y", 2, "x"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct slice cut = slice_cut(slice_text(cases[i].text), cases[i].max);

        g_assert_cmpmem(cut.data, cut.size, cases[i].cut, strlen(cases[i].cut));
    }
}

/* Nothing but later parts of characters: there is no place to cut, and nothing is kept. */
static void test_cut_ends_at_the_start(void)
{
    g_assert_cmpuint(slice_cut(SLICE("\x80\x80\x80"), 2).size, ==, 0);
}

static void test_cut_takes_the_empty_slice(void)
{
    g_assert_cmpuint(slice_cut((struct slice){0}, 10).size, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/slice/cut_keeps_whole_characters", test_cut_keeps_whole_characters);
    g_test_add_func("/slice/cut_ends_at_the_start", test_cut_ends_at_the_start);
    g_test_add_func("/slice/cut_takes_the_empty_slice", test_cut_takes_the_empty_slice);
    return g_test_run();
}
