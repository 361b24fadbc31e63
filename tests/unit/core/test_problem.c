#include "core/problem.h"

static void test_keeps_pointer_and_detail(void)
{
    struct problems p;

    problems_init(&p);
    problems_add(&p, "#/a", "must be %d", 5);
    g_assert_cmpuint(p.count, ==, 1);
    g_assert_cmpuint(p.total, ==, 1);
    g_assert_cmpstr(p.items[0].pointer, ==, "#/a");
    g_assert_cmpstr(p.items[0].detail, ==, "must be 5");
    problems_done(&p);
    g_assert_cmpuint(p.count, ==, 0);
}

static void test_counts_past_limit(void)
{
    struct problems p;
    g_autofree char *text = NULL;

    problems_init(&p);
    for (size_t i = 0; i < PROBLEMS_MAX + 3; i++)
        problems_add(&p, "#", "problem %zu", i);
    g_assert_cmpuint(p.count, ==, PROBLEMS_MAX);
    g_assert_cmpuint(p.total, ==, PROBLEMS_MAX + 3);
    g_assert_cmpstr(p.items[PROBLEMS_MAX - 1].detail, ==, "problem 31");
    text = problems_text(&p);
    g_assert_true(g_str_has_suffix(text, "#: problem 31; and 3 more"));
    problems_done(&p);
}

static void test_text_joins_all(void)
{
    struct problems p;
    g_autofree char *empty = NULL;
    g_autofree char *both = NULL;

    problems_init(&p);
    empty = problems_text(&p);
    g_assert_cmpstr(empty, ==, "");
    problems_add(&p, "#/a", "must be a number");
    problems_add(&p, "#/b/0", "must be 100%% right");
    both = problems_text(&p);
    g_assert_cmpstr(both, ==, "#/a: must be a number; #/b/0: must be 100% right");
    problems_done(&p);
}

static void test_pointer_escapes_key(void)
{
    static const struct {
        struct slice key;
        const char *pointer;
    } cases[] = {
        {{"amount", 6}, "#/rules/amount"}, {{"", 0}, "#/rules/"},
        {{"a/b", 3}, "#/rules/a~1b"},      {{"a~b", 3}, "#/rules/a~0b"},
        {{"~1", 2}, "#/rules/~01"},        {{"a b", 3}, "#/rules/a%20b"},
        {{"100%", 4}, "#/rules/100%25"},   {{"a#b\"", 4}, "#/rules/a%23b%22"},
        {{"$or", 3}, "#/rules/$or"},       {{"\xc3\xa4", 2}, "#/rules/%C3%A4"},
        {{"a\0b", 3}, "#/rules/a%00b"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *pointer = problem_pointer("#/rules", cases[i].key);

        g_assert_cmpstr(pointer, ==, cases[i].pointer);
    }
}

/* Up to PROBLEM_NAME_MAX bytes whole; beyond it cut between two characters, and marked. */
static void test_long_name_is_cut(void)
{
    g_autofree char *whole = g_strnfill(100, 'n');
    g_autofree char *longer = g_strconcat(whole, "n", NULL);
    g_autofree char *shown_whole = problem_show(slice_text(whole));
    g_autofree char *shown = problem_show(slice_text(longer));
    g_autofree char *expected = g_strconcat(whole, "…", NULL);
    g_autofree char *pointer = NULL;
    g_autofree char *expected_pointer = g_strconcat("#/a/", whole, "%E2%80%A6", NULL);

    g_assert_cmpstr(shown_whole, ==, whole);
    g_assert_cmpstr(shown, ==, expected);
    pointer = problem_pointer("#/a", slice_text(longer));
    g_assert_cmpstr(pointer, ==, expected_pointer);
    g_free(longer);
    longer = g_strdup_printf("%.99sä", whole); /* the limit lies inside the last character */
    g_free(shown);
    shown = problem_show(slice_text(longer));
    g_free(expected);
    expected = g_strdup_printf("%.99s…", whole);
    g_assert_cmpstr(shown, ==, expected);
}

static void test_pointer_names_element(void)
{
    g_autofree char *pointer = problem_pointer_index("#/then", 12);

    g_assert_cmpstr(pointer, ==, "#/then/12");
}

static void test_done_accepts_null(void)
{
    problems_done(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/problem/keeps_pointer_and_detail", test_keeps_pointer_and_detail);
    g_test_add_func("/problem/counts_past_limit", test_counts_past_limit);
    g_test_add_func("/problem/text_joins_all", test_text_joins_all);
    g_test_add_func("/problem/pointer_escapes_key", test_pointer_escapes_key);
    g_test_add_func("/problem/pointer_names_element", test_pointer_names_element);
    g_test_add_func("/problem/long_name_is_cut", test_long_name_is_cut);
    g_test_add_func("/problem/done_accepts_null", test_done_accepts_null);
    return g_test_run();
}
