#include "cli/table.h"

#include <glib.h>

static const struct table_column columns[] = {
    {"ID", "id", TABLE_TEXT, 6},
    {"WHEN", "at", TABLE_TIME, 0},
    {"N", "n", TABLE_TEXT, 0},
};

/* The table of a JSON array of objects. Owned by caller. */
static char *print(const char *rows)
{
    struct arena a = {0};
    struct table t;
    GString *out = g_string_new(NULL);
    const struct json_value *list = json_parse(slice_text(rows), &a, NULL);

    g_assert_nonnull(list);
    table_init(&t, columns, G_N_ELEMENTS(columns));
    for (const struct json_value *row = list->first; row != NULL; row = row->next)
        table_add(&t, row);
    table_print(&t, "  ", out);
    table_done(&t);
    arena_done(&a);
    return g_string_free(out, FALSE);
}

static void expect_table(const char *rows, const char *expected)
{
    g_autofree char *text = print(rows);

    g_assert_cmpstr(text, ==, expected);
}

static void test_columns_are_aligned(void)
{
    expect_table("[{\"id\":\"a\",\"at\":\"2026-11-21T10:00:00.123456Z\",\"n\":1},"
                 "{\"id\":\"äöü\",\"n\":20,\"at\":null}]",
                 "  ID   WHEN                  N\n"
                 "  a    2026-11-21T10:00:00Z  1\n"
                 "  äöü  -                     20\n");
}

static void test_table_without_rows_is_empty(void)
{
    expect_table("[]", "");
}

static void test_long_cells_are_cut_by_characters(void)
{
    expect_table("[{\"id\":\"äöüäöüä\",\"at\":\"x\",\"n\":true},{\"id\":\"123456\"}]",
                 "  ID      WHEN  N\n"
                 "  äöüäö…  x     true\n"
                 "  123456  -     -\n");
}

static void test_terminal_commands_in_data_are_made_harmless(void)
{
    g_autofree char *safe = table_safe_text(SLICE("a\x1b[2J\n\x7f\xff\xc2\x9b"
                                                  "b\0c"));

    g_assert_cmpstr(safe, ==,
                    "a?[2J??\357\277\275?b\357\277\275"
                    "c");
}

static void expect_json(const char *text, const char *expected)
{
    struct arena a = {0};
    g_autoptr(GString) out = g_string_new(NULL);

    table_append_json(out, json_parse(slice_text(text), &a, NULL), 0);
    g_assert_cmpstr(out->str, ==, expected);
    arena_done(&a);
}

static void test_json_is_indented(void)
{
    expect_json("{\"a\":[1,{\"b\\n\":\"c\"}],\"d\":{},\"e\":[]}", "{\n"
                                                                  "  \"a\": [\n"
                                                                  "    1,\n"
                                                                  "    {\n"
                                                                  "      \"b\\n\": \"c\"\n"
                                                                  "    }\n"
                                                                  "  ],\n"
                                                                  "  \"d\": {},\n"
                                                                  "  \"e\": []\n"
                                                                  "}");
    expect_json("1.50", "1.50");
    expect_json("[{ }, [\n]]", "[\n  {},\n  []\n]");
}

/* DEL and U+009B (as long as ESC [) stand in JSON as they are. */
static void test_terminal_commands_in_json_are_made_harmless(void)
{
    expect_json("\"a\x7f\xc2\x9b"
                "2J\"",
                "\"a??2J\"");
    expect_json("{\"k\xc2\x9b\":{\"\\u009b\":\"\\u009b\"}}",
                "{\n  \"k?\": {\n    \"?\": \"\\u009b\"\n  }\n}");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/table/columns_are_aligned", test_columns_are_aligned);
    g_test_add_func("/table/table_without_rows_is_empty", test_table_without_rows_is_empty);
    g_test_add_func("/table/long_cells_are_cut_by_characters",
                    test_long_cells_are_cut_by_characters);
    g_test_add_func("/table/terminal_commands_in_data_are_made_harmless",
                    test_terminal_commands_in_data_are_made_harmless);
    g_test_add_func("/table/json_is_indented", test_json_is_indented);
    g_test_add_func("/table/terminal_commands_in_json_are_made_harmless",
                    test_terminal_commands_in_json_are_made_harmless);
    return g_test_run();
}
