#include "common/json.h"

#include <math.h>
#include <string.h>

#include <glib.h>

#include "common/error.h"

/* ---- helpers --------------------------------------------------------------------------------- */

/* Compact text of the parsed document, or NULL when it is refused. */
static char *dump(struct slice text, struct arena *a)
{
    const struct json_value *value = json_parse(text, a, NULL);
    struct json_writer w;
    GString *out;

    if (value == NULL)
        return NULL;
    out = g_string_new(NULL);
    json_writer_init(&w, out);
    json_add_value(&w, value);
    return g_string_free(out, FALSE);
}

/* Asserts that text reads and is written again as wanted; NULL wants a refusal. The text stands
 * in memory of exactly its size, so a sanitizer sees a read behind its end. */
static void check_dump(struct slice text, const char *wanted)
{
    struct arena a = {0};
    g_autofree char *exact = g_memdup2(text.data, text.size);
    g_autofree char *result = dump(slice_of(exact, text.size), &a);
    g_autofree char *shown = g_strndup(exact != NULL ? exact : "", text.size);
    g_autofree char *escaped = g_strescape(shown, NULL);

    g_test_message("%.200s", escaped);
    g_assert_cmpstr(result, ==, wanted);
    arena_done(&a);
}

static void check_error(struct slice text, const char *wanted)
{
    struct arena a = {0};
    g_autoptr(GError) error = NULL;

    g_assert_null(json_parse(text, &a, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_INPUT);
    g_assert_cmpstr(error->message, ==, wanted);
    arena_done(&a);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void test_reads_every_kind_of_value(void)
{
    check_dump(SLICE("null"), "null");
    check_dump(SLICE(" true "), "true");
    check_dump(SLICE("\tfalse\r\n"), "false");
    check_dump(SLICE("\"\""), "\"\"");
    check_dump(SLICE("[]"), "[]");
    check_dump(SLICE("{ }"), "{}");
    check_dump(SLICE("[ [ ] , { } , \"x\" ]"), "[[],{},\"x\"]");
    check_dump(SLICE("{\"a\" : 1 , \"b\":[true,null]}"), "{\"a\":1,\"b\":[true,null]}");
    check_dump(SLICE("{\"\":{\"\":0}}"), "{\"\":{\"\":0}}");
}

static void test_keeps_number_text(void)
{
    static const char *const numbers[] = {
        "0",
        "-0",
        "10",
        "-1",
        "0.5",
        "1.0",
        "100.00",
        "1e5",
        "1E+5",
        "1e-05",
        "0e0",
        "-0.0E-0",
        "12345678901234567890123456789",
        "1e400",
        "3.141592653589793238462643383279",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        check_dump(slice_text(numbers[i]), numbers[i]);
}

static void test_refuses_bad_numbers(void)
{
    static const char *const numbers[] = {
        "-",   "+1",  ".5",  "1.",  "1.e5", "01",  "-01", "00",        "1e", "1e+",  "--1",
        "0x1", "1_0", "1,0", "1 2", "NaN",  "nan", "inf", "-Infinity", "1a", "0.-1", "1e1.5",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        check_dump(slice_text(numbers[i]), NULL);
}

static void test_refuses_broken_structure(void)
{
    static const char *const texts[] = {
        "",           " ",           "[",
        "]",          "{",           "}",
        "[1",         "[1,",         "[1,]",
        "[,1]",       "[1 1]",       "[1}",
        "{\"a\"",     "{\"a\":",     "{\"a\":1",
        "{\"a\":1,",  "{1:1}",       "{a:1}",
        "{'a':1}",    "{\"a\" 1}",   "{\"a\":}",
        "{\"a\":1,}", "{,}",         "{\"a\":1]",
        "tru",        "TRUE",        "nul",
        "truefalse",  "[] []",       "1 1",
        "{}x",        "//c\n1",      "1/**/",
        "[1;2]",      "\"a\" \"b\"", "\xEF\xBB\xBF{}",
        "\f1",        "\v1",         "{\"a\":1 \"b\":2}",
        "{null:1}",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        check_dump(slice_text(texts[i]), NULL);
    check_dump(SLICE("1\0"), NULL);
    check_dump(SLICE("\0"), NULL);
    check_dump((struct slice){0}, NULL);
}

static void test_reads_escapes(void)
{
    check_dump(SLICE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "\"\\\"\\\\/\\b\\f\\n\\r\\t\"");
    check_dump(SLICE("\"\\u0041\\u00e9\\u20AC\""), "\"A\xC3\xA9\xE2\x82\xAC\"");
    check_dump(SLICE("\"x\\uD83D\\ude00y\""), "\"x\xF0\x9F\x98\x80y\"");
    check_dump(SLICE("\"\\uD800\\uDC00\\uDBFF\\uDFFF\""), "\"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\"");
    check_dump(SLICE("\"\\u0000\\u001f\\u007F\""), "\"\\u0000\\u001f\x7F\"");
    check_dump(SLICE("{\"\\u0061\":1}"), "{\"a\":1}");
}

static void test_refuses_bad_escapes(void)
{
    static const char *const texts[] = {
        "\"\\x41\"",
        "\"\\a\"",
        "\"\\'\"",
        "\"\\U0041\"",
        "\"\\u004\"",
        "\"\\u00g0\"",
        "\"\\u\"",
        "\"\\",
        "\"\\\"",
        "\"\\u12",
        "\"\\uD800\"",
        "\"\\uDC00\"",
        "\"\\uDFFF\\uD800\"",
        "\"\\uD800x\"",
        "\"\\uD800/uDC00\"",
        "\"\\uD800\\xDC00\"",
        "\"\\uD800\\n\"",
        "\"\\uD800\\uD800\"",
        "\"\\uD800\\u0041\"",
        "\"\\uD800\\uDC0\"",
        "\"\\uD800\\uE000\"",
        "\"\\uD800\\",
        "\"\\ \"",
        "\"\\u 041\"",
        "\"\\u+041\"",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        check_dump(slice_text(texts[i]), NULL);
    check_dump(SLICE("\"\\\0\""), NULL);
}

static void test_checks_utf8(void)
{
    static const char *const good[] = {
        "\"\x7F\"",         "\"\xC2\x80\"",         "\"\xDF\xBF\"",
        "\"\xE0\xA0\x80\"", "\"\xED\x9F\xBF\"",     "\"\xEE\x80\x80\"",
        "\"\xEF\xBF\xBF\"", "\"\xF0\x90\x80\x80\"", "\"\xF4\x8F\xBF\xBF\"",
    };
    static const char *const bad[] = {
        "\"\x80\"",
        "\"\xBF\"",
        "\"\xC0\x80\"",
        "\"\xC1\xBF\"",
        "\"\xC2\"",
        "\"\xC2\x41\"",
        "\"\xE0\x80\x80\"",
        "\"\xE0\x9F\xBF\"",
        "\"\xED\xA0\x80\"",
        "\"\xED\xBF\xBF\"",
        "\"\xE1\x80\"",
        "\"\xE1\x80\x41\"",
        "\"\xF0\x80\x80\x80\"",
        "\"\xF0\x8F\xBF\xBF\"",
        "\"\xF4\x90\x80\x80\"",
        "\"\xF5\x80\x80\x80\"",
        "\"\xF8\x88\x80\x80\x80\"",
        "\"\xFE\"",
        "\"\xFF\"",
        "\"\xF1\x80\x80\"",
        "\"\xF1\x80\x80\x41\"",
        "{\"\xFF\":1}",
        "\xC3\xA9",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
        check_dump(slice_text(good[i]), good[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        check_dump(slice_text(bad[i]), NULL);
}

/* The scanner works on blocks of 16 and 8 bytes: a special byte must be seen at every place. */
static void test_sees_special_bytes_at_every_place(void)
{
    static const char specials[] = {'\x01', '\x1F', '\n', '\x80', '\xFF', '\0'};

    for (size_t size = 1; size <= 40; size++)
        for (size_t at = 0; at < size; at++)
            for (size_t i = 0; i < G_N_ELEMENTS(specials); i++) {
                char text[64];

                memset(text, 'a', size + 2);
                text[0] = '"';
                text[size + 1] = '"';
                g_assert_true(g_utf8_validate_len(text, size + 2, NULL));
                text[at + 1] = specials[i];
                check_dump(slice_of(text, size + 2), NULL);
                text[at + 1] = '"'; /* ends the string early: something follows it */
                check_dump(slice_of(text, size + 2), NULL);
            }
}

static void test_refuses_control_characters(void)
{
    for (char c = 0; c < 0x20; c++) {
        char text[] = {'"', 'a', c, '"'};

        check_dump(slice_of(text, sizeof(text)), NULL);
    }
}

static char *nested(size_t depth, char open, char close)
{
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < depth; i++)
        g_string_append(text, open == '{' ? "{\"a\":" : "[");
    g_string_append_c(text, '1');
    for (size_t i = 0; i < depth; i++)
        g_string_append_c(text, close);
    return g_string_free(text, FALSE);
}

static void test_limits_nesting(void)
{
    g_autofree char *deepest = nested(JSON_DEPTH_MAX, '[', ']');
    g_autofree char *too_deep = nested(JSON_DEPTH_MAX + 1, '[', ']');
    g_autofree char *objects = nested(JSON_DEPTH_MAX, '{', '}');
    g_autofree char *too_many = nested(JSON_DEPTH_MAX + 1, '{', '}');
    g_autofree char *endless = g_strnfill(100000, '[');

    check_dump(slice_text(deepest), deepest);
    check_dump(slice_text(objects), objects);
    check_error(slice_text(too_deep),
                "nesting deeper than 64 brackets at line 1, column 65 (byte 64)");
    check_dump(slice_text(too_many), NULL);
    check_dump(slice_text(endless), NULL);
}

static void test_errors_say_where(void)
{
    check_error(SLICE("{\"a\":1,}"), "a name in quotes was expected at line 1, column 8 (byte 7)");
    check_error(SLICE("{\n\"a\" 1}"), "':' was expected at line 2, column 5 (byte 6)");
    check_error(SLICE("[1,\r\n\n  x]"), "a value was expected at line 3, column 3 (byte 8)");
    check_error(SLICE("[1 2]"), "',' or ']' was expected at line 1, column 4 (byte 3)");
    check_error(SLICE("{\"a\":1 2}"), "',' or '}' was expected at line 1, column 8 (byte 7)");
    check_error(SLICE("[1"), "the text ends too early at line 1, column 3 (byte 2)");
    check_error(SLICE(""), "the text ends too early at line 1, column 1 (byte 0)");
    check_error(SLICE("{}\n{}"), "nothing may follow the document at line 2, column 1 (byte 3)");
    check_error(SLICE("\"a\tb\""),
                "a control character inside a string at line 1, column 3 (byte 2)");
    check_error(SLICE("-x"), "a digit was expected in a number at line 1, column 2 (byte 1)");
    check_error(SLICE("007"), "a number may not begin with 0 at line 1, column 1 (byte 0)");
    check_error(SLICE("\"\\uDC00\""),
                "a surrogate escape without its other half at line 1, column 2 (byte 1)");
    check_error(SLICE("\"\xFF\""), "a string that is not valid UTF-8 at line 1, column 2 (byte 1)");
}

static void test_refuses_duplicate_names(void)
{
    check_error(SLICE("{\"a\":1,\n\"\\u0061\":2}"),
                "a name that stands twice in its object at line 2, column 1 (byte 8)");
    check_dump(SLICE("{\"a\":{\"a\":1},\"b\":{\"a\":1}}"), "{\"a\":{\"a\":1},\"b\":{\"a\":1}}");
    check_dump(SLICE("{\"a\":1,\"A\":1,\"\":1,\"a \":1}"), "{\"a\":1,\"A\":1,\"\":1,\"a \":1}");
    check_dump(SLICE("{\"\":1,\"\":1}"), NULL);
}

/* Large objects use another search than small ones. */
static void test_refuses_duplicate_names_in_large_objects(void)
{
    for (int twin = 0; twin < 100; twin++) {
        g_autoptr(GString) text = g_string_new("[{\"x\":{");

        for (int i = 0; i < 100; i++)
            g_string_append_printf(text, "%s\"name%d\":%d", i > 0 ? "," : "", i, i);
        g_string_append(text, "}}]");
        check_dump(slice_of(text->str, text->len), text->str);
        g_string_truncate(text, text->len - 3);
        g_string_append_printf(text, ",\"name%d\":1}}]", twin);
        check_dump(slice_of(text->str, text->len), NULL);
    }
}

static void test_values_know_their_source(void)
{
    struct slice text = SLICE(" {\"a\" : [ 1, {\"b\":\"x\\n\"} ] , \"c\":-1.50 } ");
    struct arena arena = {0};
    const struct json_value *root = json_parse(text, &arena, NULL);
    const struct json_value *list = json_get(root, SLICE("a"));
    const struct json_value *inner = list->first->next;

    g_assert_cmpuint(root->count, ==, 2);
    g_assert_true(slice_equal(root->source, slice_of(text.data + 1, text.size - 2)));
    g_assert_true(slice_equal(list->source, SLICE("[ 1, {\"b\":\"x\\n\"} ]")));
    g_assert_cmpuint(list->count, ==, 2);
    g_assert_true(slice_equal(inner->source, SLICE("{\"b\":\"x\\n\"}")));
    g_assert_true(slice_equal(inner->first->text, SLICE("x\n")));
    g_assert_true(slice_equal(inner->first->source, SLICE("\"x\\n\"")));
    g_assert_true(slice_equal(json_get(root, SLICE("c"))->text, SLICE("-1.50")));
    g_assert_null(json_get(root, SLICE("b")));
    g_assert_null(json_get(list, SLICE("b")));
    g_assert_null(json_get(NULL, SLICE("b")));
    g_assert_true(slice_equal(json_get_text(inner, "b"), SLICE("x\n")));
    g_assert_cmpuint(json_get_text(root, "c").size, ==, 0);
    arena_done(&arena);
}

static void test_integers_are_exact_or_refused(void)
{
    static const struct {
        const char *text;
        bool fits;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"42", true, 42},
        {"-17", true, -17},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"1.0", false, 0},
        {"1e2", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
    };
    struct arena a = {0};
    int64_t value = 7;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const struct json_value *number = json_parse(slice_text(cases[i].text), &a, NULL);

        g_test_message("%s", cases[i].text);
        value = 7;
        g_assert_true(json_integer(number, INT64_MIN, INT64_MAX, &value) == cases[i].fits);
        g_assert_cmpint(value, ==, cases[i].fits ? cases[i].value : 7);
    }
    g_assert_false(json_integer(NULL, 0, 1, &value));
    g_assert_false(json_integer(json_parse(SLICE("11"), &a, NULL), 0, 10, &value));
    g_assert_false(json_integer(json_parse(SLICE("-1"), &a, NULL), 0, 10, &value));
    g_assert_true(json_integer(json_parse(SLICE("10"), &a, NULL), 0, 10, &value));
    arena_done(&a);
}

static void test_merges_patches(void)
{
    /* The table of RFC 7396, appendix A, and some of our own at the end. */
    static const struct {
        const char *target, *patch, *result;
    } cases[] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
        {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
        {"{\"a\":\"foo\"}", "null", "null"},
        {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
        {"{\"x\":1,\"y\":2,\"z\":{\"k\":1.50}}", "{\"y\":3,\"w\":[null]}",
         "{\"x\":1,\"y\":3,\"z\":{\"k\":1.50},\"w\":[null]}"},
        {"{\"x\":1}", "{}", "{\"x\":1}"},
        {"{\"x\":[1,{\"a\":null}]}", "{\"x\":{\"y\":1}}", "{\"x\":{\"y\":1}}"},
    };
    struct arena a = {0};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const struct json_value *target = json_parse(slice_text(cases[i].target), &a, NULL);
        const struct json_value *patch = json_parse(slice_text(cases[i].patch), &a, NULL);
        g_autoptr(GString) out = g_string_new(NULL);
        g_autofree char *before = dump(slice_text(cases[i].target), &a);
        struct json_writer w;

        json_writer_init(&w, out);
        json_add_value(&w, json_merge_patch(target, patch, &a));
        g_assert_cmpstr(out->str, ==, cases[i].result);
        g_string_truncate(out, 0);
        json_writer_init(&w, out);
        json_add_value(&w, target);
        g_assert_cmpstr(out->str, ==, before); /* the target itself is unchanged */
    }
    arena_done(&a);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void test_writer_places_commas(void)
{
    g_autoptr(GString) out = g_string_new(NULL);
    struct json_writer w;

    json_writer_init(&w, out);
    json_open_object(&w);
    json_put_integer(&w, "i", INT64_MIN);
    json_put_text(&w, "t", SLICE("a\"b"));
    json_put_string(&w, "s", "x");
    json_put_string(&w, "n", NULL);
    json_put_bool(&w, "b", true);
    json_put_number(&w, "d", 0.1);
    json_put_time(&w, "at", 1);
    json_put_time(&w, "never", 0);
    json_put_raw(&w, "raw", SLICE("[1]"));
    json_put_raw(&w, "none", (struct slice){0});
    json_key(&w, "list");
    json_open_array(&w);
    json_open_object(&w);
    json_close_object(&w);
    json_open_array(&w);
    json_close_array(&w);
    json_add_bool(&w, false);
    json_add_null(&w);
    json_add_text(&w, (struct slice){0});
    json_add_raw(&w, SLICE("1.0"));
    json_close_array(&w);
    json_key_slice(&w, SLICE("k\0y"));
    json_add_integer(&w, 1);
    json_close_object(&w);
    g_assert_cmpstr(out->str, ==,
                    "{\"i\":-9223372036854775808,\"t\":\"a\\\"b\",\"s\":\"x\",\"n\":null,"
                    "\"b\":true,\"d\":0.1,\"at\":\"1970-01-01T00:00:00.000001Z\",\"never\":null,"
                    "\"raw\":[1],\"none\":null,\"list\":[{},[],false,null,\"\",1.0],"
                    "\"k\\u0000y\":1}");
}

static void check_text(struct slice text, const char *wanted)
{
    g_autoptr(GString) out = g_string_new(NULL);
    struct json_writer w;

    json_writer_init(&w, out);
    json_add_text(&w, text);
    g_assert_cmpstr(out->str, ==, wanted);
}

static void test_writer_escapes_text(void)
{
    check_text(SLICE("a/b\\c\"d\n\r\t\b\f\x01\x1F\x7F"),
               "\"a/b\\\\c\\\"d\\n\\r\\t\\b\\f\\u0001\\u001f\x7F\"");
    check_text(SLICE("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"),
               "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
}

static void test_writer_replaces_invalid_utf8(void)
{
    check_text(SLICE("a\xFF"
                     "b"),
               "\"a\xEF\xBF\xBD"
               "b\"");
    check_text(SLICE("\xC3"), "\"\xEF\xBF\xBD\"");
    check_text(SLICE("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

static void check_number(double value, const char *wanted)
{
    g_autoptr(GString) out = g_string_new(NULL);
    struct json_writer w;

    json_writer_init(&w, out);
    json_add_number(&w, value);
    g_assert_cmpstr(out->str, ==, wanted);
}

static void test_numbers_are_short_and_exact(void)
{
    check_number(0.1, "0.1");
    check_number(1.0, "1");
    check_number(-2.5, "-2.5");
    check_number(-0.0, "-0");
    check_number(1e300, "1e+300");
    check_number(0.1 + 0.2, "0.30000000000000004");
    check_number(5e-324, "4.94065645841247e-324");
    check_number(9007199254740993.0, "9007199254740992");
    check_number(1.0 / 3.0, "0.3333333333333333");
    check_number(INFINITY, "null");
    check_number(-INFINITY, "null");
    check_number((double)NAN, "null");
}

static void test_type_names_are_words(void)
{
    g_assert_cmpstr(json_type_name(JSON_NULL), ==, "null");
    g_assert_cmpstr(json_type_name(JSON_TRUE), ==, "a boolean");
    g_assert_cmpstr(json_type_name(JSON_FALSE), ==, "a boolean");
    g_assert_cmpstr(json_type_name(JSON_NUMBER), ==, "a number");
    g_assert_cmpstr(json_type_name(JSON_TEXT), ==, "a string");
    g_assert_cmpstr(json_type_name(JSON_ARRAY), ==, "an array");
    g_assert_cmpstr(json_type_name(JSON_OBJECT), ==, "an object");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        {"/json/reads_every_kind_of_value", test_reads_every_kind_of_value},
        {"/json/keeps_number_text", test_keeps_number_text},
        {"/json/refuses_bad_numbers", test_refuses_bad_numbers},
        {"/json/refuses_broken_structure", test_refuses_broken_structure},
        {"/json/reads_escapes", test_reads_escapes},
        {"/json/refuses_bad_escapes", test_refuses_bad_escapes},
        {"/json/checks_utf8", test_checks_utf8},
        {"/json/sees_special_bytes_at_every_place", test_sees_special_bytes_at_every_place},
        {"/json/refuses_control_characters", test_refuses_control_characters},
        {"/json/limits_nesting", test_limits_nesting},
        {"/json/errors_say_where", test_errors_say_where},
        {"/json/refuses_duplicate_names", test_refuses_duplicate_names},
        {"/json/refuses_duplicate_names_in_large_objects",
         test_refuses_duplicate_names_in_large_objects},
        {"/json/values_know_their_source", test_values_know_their_source},
        {"/json/integers_are_exact_or_refused", test_integers_are_exact_or_refused},
        {"/json/merges_patches", test_merges_patches},
        {"/json/writer_places_commas", test_writer_places_commas},
        {"/json/writer_escapes_text", test_writer_escapes_text},
        {"/json/writer_replaces_invalid_utf8", test_writer_replaces_invalid_utf8},
        {"/json/numbers_are_short_and_exact", test_numbers_are_short_and_exact},
        {"/json/type_names_are_words", test_type_names_are_words},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_func(tests[i].name, tests[i].run);
    return g_test_run();
}
