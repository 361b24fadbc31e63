/* The language itself is tested case by case in tests/conformance; here: what its users see
 * (problems and their places, limits, paths) and what no single case can show. */
#include "core/pattern_internal.h"

#include <math.h>

/* ---- helpers ----------------------------------------------------------------------------------
 */

static struct pattern *parse_with(const char *text, const struct pattern_limits *limits,
                                  char **problems_out)
{
    struct problems problems;
    struct pattern *pattern;

    problems_init(&problems);
    pattern = pattern_parse(slice_text(text), limits, "#/rules", &problems);
    *problems_out = problems_text(&problems);
    g_assert_cmpint(pattern == NULL, ==, problems.total > 0);
    problems_done(&problems);
    return pattern;
}

static struct pattern *parse(const char *text)
{
    g_autofree char *problems = NULL;
    struct pattern *pattern = parse_with(text, &PATTERN_LIMITS, &problems);

    g_assert_cmpstr(problems, ==, "");
    return pattern;
}

static bool matches_text(const struct pattern *pattern, const char *event)
{
    struct flat flat;
    size_t used;
    bool matches;

    flat_init(&flat);
    g_assert_true(flat_parse(&flat, slice_text(event), 0, &used, NULL));
    matches = pattern_matches(pattern, &flat);
    flat_done(&flat);
    return matches;
}

/* ---- problems ---------------------------------------------------------------------------------
 */

static void test_problem_names_place_and_remedy(void)
{
    static const struct {
        const char *pattern;
        const char *problems;
    } cases[] = {
        {"{\"a\":5}", "#/rules/a: must be an array of values, e.g. [5], or an object of fields"},
        {"{}", "#/rules: must name at least one field, e.g. {\"event_type\": [\"purchase\"]}"},
        {"[1]", "#/rules: must be an object, e.g. {\"event_type\": [\"purchase\"]}, not an array"},
        {"{\"payload\":{\"amount\":[]}}",
         "#/rules/payload/amount: must have at least one value, e.g. [50]"},
        {"{\"payload\":{\"amount\":[1,{\"numeric\":[\">\",\"5\"]}]}}",
         "#/rules/payload/amount/1/numeric/1: must be a number, e.g. 50, not a string"},
        {"{\"a\":[{\"numeric\":[\">\",1,\"<\",\"5\"]}]}",
         "#/rules/a/0/numeric/3: must be a number, e.g. 50, not a string"},
        {"{\"a\":[{\"numeric\":[\">\",1,\"!\",5]}]}",
         "#/rules/a/0/numeric/2: must be \"=\", \"<\", \"<=\", \">\" or \">=\", followed by a number"},
        {"{\"a\":[{\"sufix\":\"x\"}]}",
         "#/rules/a/0/sufix: unknown operator; did you mean \"suffix\"?"},
        {"{\"a/b\":[{\"prefix\":{\"equals-ignore-case\":5}}]}",
         "#/rules/a~1b/0/prefix/equals-ignore-case: must be a string, e.g. \"abc\", not a number"},
        {"{\"a\":[{\"anything-but\":{\"suffix\":[\"x\",\"\"]}}]}",
         "#/rules/a/0/anything-but/suffix/1: must not be empty: every string would be excluded"},
        {"{\"$or\":[{\"a\":[1]},{\"b\":{\"c\":null}}]}",
         "#/rules/$or/1/b/c: must be an array of values, e.g. [null], or an object of fields"},
        {"{\"a\":{\"prefix\":\"x\"}}",
         "#/rules/a/prefix: is an operator outside of an array: write [{\"prefix\": \"x\"}] as the field's value"},
        {"{\"a.b\":[1],\"a\":{\"b\":[2]}}",
         "#/rules/a/b: the field \"a.b\" is named twice; put its values into one array"},
        /* Although no way through the $or still has the first. */
        {"{\"a\":{\"b\":[1]},\"$or\":[{\"a.b\":[2]},{\"a.b\":[3]}],\"a.b\":[4]}",
         "#/rules/a.b: the field \"a.b\" is named twice; put its values into one array"},
        {"{\"a\":[{\"cidr\":\"::/128\"}]}",
         "#/rules/a/0/cidr: must have a prefix length from 0 to 127 (one address alone is a plain value, e.g. [\"2001:db8::1\"])"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *problems = NULL;

        g_assert_null(parse_with(cases[i].pattern, &PATTERN_LIMITS, &problems));
        g_assert_cmpstr(problems, ==, cases[i].problems);
    }
}

/* Names in place and text alike: the first 100 bytes, less what is left of a character. */
static void test_long_name_is_cut(void)
{
    g_autofree char *name = g_strnfill(99, 'n');
    g_autofree char *pattern = g_strdup_printf("{\"%sä.x\":[1],\"%sä\":{\"x\":[1]}}", name, name);
    g_autofree char *expected = g_strdup_printf(
        "#/rules/%s%%E2%%80%%A6/x: the field \"%s…\" is named twice; put its values into one array",
        name, name);
    g_autofree char *problems = NULL;

    g_assert_null(parse_with(pattern, &PATTERN_LIMITS, &problems));
    g_assert_cmpstr(problems, ==, expected);
}

static void test_all_problems_are_reported(void)
{
    g_autofree char *problems = NULL;

    g_assert_null(parse_with("{\"a\":5,\"b\":[],\"c\":[{\"exists\":1},{\"x\":1}]}", &PATTERN_LIMITS,
                             &problems));
    g_assert_nonnull(strstr(problems, "#/rules/a: "));
    g_assert_nonnull(strstr(problems, "; #/rules/b: "));
    g_assert_nonnull(strstr(problems, "; #/rules/c/0/exists: "));
    g_assert_nonnull(strstr(problems, "; #/rules/c/1/x: "));
}

static void test_bad_json_has_line_and_column(void)
{
    g_autofree char *problems = NULL;

    g_assert_null(parse_with("{\"a\":\n [\"x\",]}", &PATTERN_LIMITS, &problems));
    g_assert_true(g_str_has_prefix(problems, "#/rules: "));
    g_assert_nonnull(strstr(problems, "line 2, column 7"));
}

static void test_earlier_problems_do_not_refuse(void)
{
    struct problems problems;
    struct pattern *pattern;

    problems_init(&problems);
    problems_add(&problems, "#/name", "is required");
    pattern = pattern_parse(SLICE("{\"a\":[1]}"), &PATTERN_LIMITS, "#", &problems);
    g_assert_nonnull(pattern);
    g_assert_cmpuint(problems.total, ==, 1);
    g_assert_true(matches_text(pattern, "{\"a\":1}"));
    pattern_free(pattern);
    problems_done(&problems);
}

/* ---- limits -----------------------------------------------------------------------------------
 */

/* What comes behind the limit is not multiplied out any more: with thousands of values that would
 * take seconds. So the path that is named twice there is not found either. */
static void test_a_passed_limit_ends_the_work(void)
{
    static const struct pattern_limits small = {
        .text_max = 200, .values_max = 3, .depth_max = 4, .conjunctions_max = 4, .stars_max = 2};
    static const char text[] = "{\"a\":[1,2,3,4],\"b.c\":[1],\"b\":{\"c\":[1]}}";
    struct problems problems;
    g_autofree char *all = NULL;

    problems_init(&problems);
    g_assert_null(pattern_parse(SLICE(text), &small, "#/rules", &problems));
    all = problems_text(&problems);
    g_assert_nonnull(strstr(all, "the limit is 3"));
    g_assert_null(strstr(all, "#/rules/b"));
    problems_done(&problems);
}

static void test_limits_refuse_one_more(void)
{
    static const struct pattern_limits small = {
        .text_max = 60, .values_max = 3, .depth_max = 2, .conjunctions_max = 4, .stars_max = 2};
    static const struct {
        const char *within;
        const char *beyond;
        const char *problem;
    } cases[] = {
        {"{\"a\":[1,2,3]}", "{\"a\":[1,2],\"b\":[3,4]}",
         "#/rules/b/1: is value 4 of the pattern; the limit is 3"},
        {"{\"a\":[{\"anything-but\":[1,2,3]}]}", "{\"a\":[{\"anything-but\":[1,2,3,4]}]}",
         "#/rules/a/0/anything-but/3: is value 4 of the pattern; the limit is 3"},
        {"{\"a\":{\"b\":[1]}}", "{\"a\":{\"b\":{\"c\":[1]}}}",
         "#/rules/a/b: is nested deeper than 2 objects"},
        {"{\"a\":[{\"wildcard\":\"*a*\"}]}", "{\"a\":[{\"wildcard\":\"*a*a*\"}]}",
         "#/rules/a/0/wildcard: has 3 stars; a wildcard may have at most 2"},
        {"{\"a\":[1]}                                                   ",
         "{\"a\":[1]}                                                    ",
         "#/rules: has 61 bytes; a pattern may have at most 60"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *none = NULL;
        g_autofree char *problems = NULL;
        struct pattern *pattern = parse_with(cases[i].within, &small, &none);

        g_assert_cmpstr(none, ==, "");
        pattern_free(pattern);
        g_assert_null(parse_with(cases[i].beyond, &small, &problems));
        g_assert_cmpstr(problems, ==, cases[i].problem);
    }
}

/* {"x0":{"$or":[2 branches]}, …}: 2 to the power of count. */
static char *make_product(size_t count)
{
    GString *text = g_string_new("{");

    for (size_t i = 0; i < count; i++)
        g_string_append_printf(text, "%s\"x%zu\":{\"$or\":[{\"a\":[1]},{\"b\":[2]}]}",
                               i == 0 ? "" : ",", i);
    g_string_append_c(text, '}');
    return g_string_free(text, FALSE);
}

static void test_product_of_or_is_capped(void)
{
    g_autofree char *within = make_product(9);
    g_autofree char *beyond = make_product(10);
    g_autofree char *far_beyond = make_product(200);
    g_autofree char *problems = NULL;
    g_autofree char *more_problems = NULL;

    pattern_free(parse(within));
    g_assert_null(parse_with(beyond, &PATTERN_LIMITS, &problems));
    g_assert_cmpstr(
        problems, ==,
        "#/rules/x9/$or/1: multiplied out, the pattern has more than 1000 combinations of $or branches");
    g_assert_null(parse_with(far_beyond, &PATTERN_LIMITS, &more_problems));
    g_assert_cmpstr(more_problems, ==, problems);
}

/* ---- paths ------------------------------------------------------------------------------------
 */

static void test_paths_are_named_once(void)
{
    struct pattern *p = parse(
        "{\"a\":{\"b\":[1]},\"$or\":[{\"a.b\":[2]},{\"c\":[3],\"$or\":[{\"d\":[4]},{\"c\":[5]}]}]}");
    static const char *const paths[] = {"a.b", "c", "d"};

    g_assert_cmpuint(pattern_path_count(p), ==, G_N_ELEMENTS(paths));
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
        g_assert_true(slice_equal(pattern_path(p, i), slice_text(paths[i])));
    pattern_free(p);
}

static void test_pattern_outlives_its_text(void)
{
    char *text = g_strdup(
        "{\"abc\":[\"x\",{\"suffix\":\"yz\"},{\"wildcard\":\"q*\"}],\"n\":[12345678901234567890]}");
    struct pattern *p = parse(text);

    memset(text, 'x', strlen(text));
    g_free(text);
    g_assert_true(matches_text(p, "{\"abc\":\"x\",\"n\":12345678901234567890}"));
    g_assert_true(matches_text(p, "{\"abc\":\"yyz\",\"n\":12345678901234567890}"));
    g_assert_true(matches_text(p, "{\"abc\":\"q1\",\"n\":12345678901234567890}"));
    pattern_free(p);
}

static void test_free_accepts_null(void)
{
    pattern_free(NULL);
}

/* ---- numbers ----------------------------------------------------------------------------------
 */

/* The fewest digits that give the double again. */
static void shortest_form(double value, char text[G_ASCII_DTOSTR_BUF_SIZE])
{
    for (int digits = 0; digits <= 16; digits++) {
        g_autofree char *format = g_strdup_printf("%%.%de", digits);

        g_ascii_formatd(text, G_ASCII_DTOSTR_BUF_SIZE, format, value);
        if (g_ascii_strtod(text, NULL) == value)
            return;
    }
}

static bool is_equal_number(const char *wanted, const char *given)
{
    g_autofree char *pattern = g_strdup_printf("{\"a\":[{\"numeric\":[\"=\",%s]}]}", wanted);
    g_autofree char *event = g_strdup_printf("{\"a\":%s}", given);
    struct pattern *p = parse(pattern);
    bool is_equal = matches_text(p, event);

    pattern_free(p);
    return is_equal;
}

static void test_shortest_form_equals_itself_only(void)
{
    for (size_t i = 0; i < 2000; i++) {
        char text[G_ASCII_DTOSTR_BUF_SIZE], next_text[G_ASCII_DTOSTR_BUF_SIZE];
        /* mantissa and exponent at random, between 2^-1000 and 2^1000 */
        double value = ldexp(g_test_rand_double_range(-2, 2), g_test_rand_int_range(-1000, 1000));

        shortest_form(value, text);
        shortest_form(nextafter(value, INFINITY), next_text);
        g_assert_true(is_equal_number(text, text));
        g_assert_false(is_equal_number(text, next_text));
    }
}

static void test_long_numbers_are_compared(void)
{
    g_autofree char *zeros = g_strnfill(70000, '0');
    g_autofree char *one = g_strdup_printf("1.%s", zeros);
    g_autofree char *above = g_strdup_printf("1.%s1", zeros);
    g_autofree char *huge = g_strdup_printf("1%se-70000", zeros);
    g_autofree char *tiny = g_strdup_printf("0.%s5e70000", zeros);

    g_assert_true(is_equal_number("1", one));
    g_assert_false(is_equal_number("1", above));
    g_assert_true(is_equal_number("1", huge));
    g_assert_true(is_equal_number("0.5", tiny));
    g_assert_false(is_equal_number("0", "1e-99999999999999999999"));
    g_assert_true(is_equal_number("0", "0e99999999999999999999"));
}

/* ---- work -------------------------------------------------------------------------------------
 */

/* In every element a and b have many values; c is in the first, where they are not, and if wanted
 * in the last, where they are. */
static char *make_items(size_t count, bool has_match)
{
    static const char VALUES[] = "[{\"v\":1},{\"v\":1},{\"v\":1},{\"v\":1},{\"v\":1},{\"v\":1}]";
    GString *text = g_string_new("{\"items\":[{\"c\":1}");

    for (size_t i = 0; i < count; i++)
        g_string_append_printf(text, ",{\"a\":%s,\"b\":%s}", VALUES, VALUES);
    if (has_match)
        g_string_append_printf(text, ",{\"a\":%s,\"b\":%s,\"c\":1}", VALUES, VALUES);
    g_string_append(text, "]}");
    return g_string_free(text, FALSE);
}

/* Trying each a with each b passes the limit of work before it comes to the last element. */
/* The digits of the number without zeros at the ends, as a number. */
static uint64_t digits_of(const char *text)
{
    uint64_t digits = 0;

    for (; *text != 'e'; text++)
        if (g_ascii_isdigit(*text))
            digits = digits * 10 + (uint64_t)(*text - '0');
    while (digits != 0 && digits % 10 == 0)
        digits /= 10;
    return digits;
}

/* Plain decimals are read in one step, others with care: a sign or an exponent makes the same
 * number one of those. Around 2^52 and 2^53, and anywhere, with the point at every place. */
static void test_plain_numbers_are_read_as_with_care(void)
{
    GRand *random = g_rand_new_with_seed(7);

    for (int i = 0; i < 200000; i++) {
        uint64_t digits = (uint64_t)g_rand_int(random) << 32 | g_rand_int(random);
        g_autoptr(GString) plain = g_string_new(NULL);
        g_autofree char *careful = NULL;
        struct pattern_number a, b;

        if (i % 3 == 0)
            digits = (UINT64_C(1) << (51 + i % 4)) - 500 + digits % 1000;
        else
            digits >>= i % 64;
        g_string_printf(plain, "%" G_GUINT64_FORMAT, digits);
        if (i % 5 != 0)
            g_string_insert_c(plain, 1 + (gssize)(digits % plain->len), '.');
        if (plain->str[plain->len - 1] == '.')
            g_string_append_c(plain, '5');
        careful = g_strdup_printf("%se0", plain->str);
        a = pattern_number_parse(slice_text(plain->str));
        b = pattern_number_parse(slice_text(careful));
        g_assert_cmpint(a.is_exact, ==, b.is_exact);
        g_assert_true(!a.is_exact || a.value == b.value);
    }
    g_rand_free(random);
}

/* The value of the text when no shorter decimal and no nearer one of its length gives it. */
static struct pattern_number read_by_library(const char *text)
{
    double value = g_ascii_strtod(text, NULL);

    for (int size = 1; size <= 17; size++) {
        g_autofree char *form = g_strdup_printf("%%.%de", size - 1);
        char shortest[G_ASCII_DTOSTR_BUF_SIZE];

        g_ascii_formatd(shortest, sizeof(shortest), form, value);
        if (g_ascii_strtod(shortest, NULL) == value)
            return (struct pattern_number){.value = value,
                                           .is_exact = digits_of(shortest) == digits_of(text)};
    }
    g_assert_not_reached();
}

/* 16 and 17 digits, of which some are doubles and some are not; half-way between two, too. */
static void test_long_numbers_are_read_as_by_the_library(void)
{
    GRand *random = g_rand_new_with_seed(8);

    for (int i = 0; i < 200000; i++) {
        uint64_t ten = UINT64_C(100000000000000000), any;
        g_autofree char *text = NULL;
        struct pattern_number ours, theirs;

        any = ((uint64_t)g_rand_int(random) << 32 | g_rand_int(random)) % ten;
        if (i % 8 == 0) /* two digits of a double, one more or less */
            any = (UINT64_C(1) << (53 + i / 8 % 4)) + any % 4096;
        if (i % 8 == 1)
            any = ten / (i % 16 == 1 ? 1 : 10) - any % 100;
        if (i % 8 > 5)
            any /= 10;
        text = g_strdup_printf("%s%" G_GUINT64_FORMAT "e-%d", i % 5 == 0 ? "-" : "", any,
                               i % 4 == 0 ? 0 : i / 4 % 25);
        ours = pattern_number_parse(slice_text(text));
        theirs = read_by_library(text);
        if (ours.is_exact != theirs.is_exact || (ours.is_exact && ours.value != theirs.value))
            g_error("%s is read as %.17g, %d", text, ours.value, ours.is_exact);
    }
    g_rand_free(random);
}

static void test_big_arrays_are_searched_to_the_end(void)
{
    struct pattern *p = parse("{\"items\":{\"a\":{\"v\":[1]},\"b\":{\"v\":[1]},\"c\":[1]}}");
    struct pattern *q = parse("{\"items\":{\"a\":{\"v\":[1]},\"c\":[{\"exists\":false}]}}");
    g_autofree char *without = make_items(20000, false);
    g_autofree char *with = make_items(20000, true);

    g_assert_false(matches_text(p, without));
    g_assert_true(matches_text(p, with));
    g_assert_true(matches_text(q, with));
    pattern_free(p);
    pattern_free(q);
}

/* Each element but the last fails only once absence is judged; what lies behind it must then be
 * left out in one step. */
static void test_big_arrays_are_left_in_one_step(void)
{
    struct pattern *p = parse("{\"items\":{\"a\":[1],\"b\":[1],\"c\":[{\"exists\":false}]}}");
    GString *event = g_string_new("{\"items\":[");

    for (size_t i = 0; i < 20000; i++)
        g_string_append(event, "{\"a\":1,\"b\":1,\"c\":1},");
    g_string_append(event, "{\"a\":1,\"b\":1}]}");
    g_assert_true(matches_text(p, event->str));
    g_string_free(event, TRUE);
    pattern_free(p);
}

/* A backtracking matcher would need 2^16 steps and more for each start. */
static void test_wildcards_do_not_explode(void)
{
    g_autofree char *a = g_strnfill(60000, 'a');
    g_autofree char *event = g_strdup_printf("{\"a\":\"%s\"}", a);
    struct pattern *p = parse("{\"a\":[{\"wildcard\":\"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab*\"}]}");

    g_assert_false(matches_text(p, event));
    pattern_free(p);
}

/* 70 fields do not fit where the few of a usual pattern do. */
static void test_many_fields_in_arrays_match(void)
{
    GString *text = g_string_new("{\"i\":{\"f0\":[0]");
    GString *event = g_string_new("{\"i\":[{\"f0\":1},{\"f0\":0");
    struct pattern *p;

    for (int i = 1; i < 70; i++) {
        g_string_append_printf(text, ",\"f%d\":[%d,{\"exists\":false}]", i, i);
        g_string_append_printf(event, ",\"f%d\":[9,%d]", i, i);
    }
    g_string_append(text, "}}");
    g_string_append(event, "},{\"f1\":5}]}");
    p = parse(text->str);
    g_assert_true(matches_text(p, event->str));
    g_string_insert(event, 1, "\"x\":{},\"i\":[{\"f7\":1}],");
    g_assert_true(matches_text(p, event->str));
    g_string_free(text, TRUE);
    g_string_free(event, TRUE);
    pattern_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pattern/problem_names_place_and_remedy", test_problem_names_place_and_remedy);
    g_test_add_func("/pattern/long_name_is_cut_in_problems", test_long_name_is_cut);
    g_test_add_func("/pattern/all_problems_are_reported", test_all_problems_are_reported);
    g_test_add_func("/pattern/bad_json_has_line_and_column", test_bad_json_has_line_and_column);
    g_test_add_func("/pattern/earlier_problems_do_not_refuse", test_earlier_problems_do_not_refuse);
    g_test_add_func("/pattern/a_passed_limit_ends_the_work", test_a_passed_limit_ends_the_work);
    g_test_add_func("/pattern/limits_refuse_one_more", test_limits_refuse_one_more);
    g_test_add_func("/pattern/product_of_or_is_capped", test_product_of_or_is_capped);
    g_test_add_func("/pattern/paths_are_named_once", test_paths_are_named_once);
    g_test_add_func("/pattern/pattern_outlives_its_text", test_pattern_outlives_its_text);
    g_test_add_func("/pattern/free_accepts_null", test_free_accepts_null);
    g_test_add_func("/pattern/shortest_form_equals_itself_only",
                    test_shortest_form_equals_itself_only);
    g_test_add_func("/pattern/long_numbers_are_compared", test_long_numbers_are_compared);
    g_test_add_func("/pattern/plain_numbers_are_read_as_with_care",
                    test_plain_numbers_are_read_as_with_care);
    g_test_add_func("/pattern/long_numbers_are_read_as_by_the_library",
                    test_long_numbers_are_read_as_by_the_library);
    g_test_add_func("/pattern/big_arrays_are_searched_to_the_end",
                    test_big_arrays_are_searched_to_the_end);
    g_test_add_func("/pattern/big_arrays_are_left_in_one_step",
                    test_big_arrays_are_left_in_one_step);
    g_test_add_func("/pattern/wildcards_do_not_explode", test_wildcards_do_not_explode);
    g_test_add_func("/pattern/many_fields_in_arrays_match", test_many_fields_in_arrays_match);
    return g_test_run();
}
