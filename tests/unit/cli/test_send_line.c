#include "cli/send_line.h"

#include <glib.h>

#include "common/error.h"

/* Appends one line to an empty text; NULL when it was refused. Owned by caller. */
static char *append(const char *text, struct send_line *info, GError **error)
{
    struct flat flat;
    GString *out = g_string_new(NULL);
    bool is_good;

    flat_init(&flat);
    is_good = send_line_append(slice_text(text), &flat, out, info, error);
    flat_done(&flat);
    if (!is_good)
        g_assert_cmpuint(out->len, ==, 0);
    return g_string_free(out, !is_good);
}

static void expect_unchanged(const char *text)
{
    struct send_line info;
    g_autofree char *line = append(text, &info, NULL);

    g_assert_cmpstr(line, ==, text);
    g_assert_false(info.has_made_id);
}

static void expect_error(const char *text, const char *expected)
{
    struct send_line info;
    g_autoptr(GError) error = NULL;

    g_assert_null(append(text, &info, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_INPUT);
    g_assert_nonnull(strstr(error->message, expected));
    g_assert_null(strstr(error->message, "line 1"));
}

static void test_line_with_an_id_is_unchanged(void)
{
    expect_unchanged("{\"event_id\":\"a\",\"event_type\":\"x\"}");
    expect_unchanged("{\"event_type\":\"x\",\"event_id\":\"\"}");
    expect_unchanged("{\"event_id\":7}");
    expect_unchanged("{\"\\u0065vent_id\":\"a\"}");
}

static void test_line_without_an_id_gets_one_behind_its_brace(void)
{
    struct send_line info;
    g_autofree char *line = append("{ \"event_type\":\"x\"}", &info, NULL);

    g_assert_true(info.has_made_id);
    g_assert_true(g_str_has_prefix(line, "{\"event_id\":\"line-"));
    g_assert_true(g_str_has_suffix(line, "\", \"event_type\":\"x\"}"));
    g_assert_cmpuint(strlen(line), ==,
                     strlen("{ \"event_type\":\"x\"}") + strlen("\"event_id\":\"line-\",") + 32);
}

/* The made id is what makes a second send harmless, so it may never change. */
static void test_made_id_never_changes(void)
{
    struct send_line info;
    g_autofree char *line = append("{\"event_type\":\"x\"}", &info, NULL);

    g_assert_cmpstr(
        line, ==, "{\"event_id\":\"line-a76411f180fc18284278a6ab507e6e04\",\"event_type\":\"x\"}");
}

static void test_empty_object_stays_json(void)
{
    struct send_line info;
    g_autofree char *line = append("{}", &info, NULL);

    g_assert_true(g_str_has_suffix(line, "\"}"));
    g_assert_null(strchr(line, ','));
}

static void test_id_inside_the_payload_does_not_count(void)
{
    struct send_line info;
    g_autofree char *line = append("{\"payload\":{\"event_id\":\"a\"}}", &info, NULL);

    g_assert_true(info.has_made_id);
    g_assert_nonnull(strstr(line, "\"event_id\":\"line-"));
}

static void test_same_line_gets_the_same_id_and_another_line_another(void)
{
    struct send_line info[3];
    g_autofree char *a = append("{\"n\":1}", &info[0], NULL);
    g_autofree char *b = append("{\"n\":1}", &info[1], NULL);
    g_autofree char *c = append("{\"n\":2}", &info[2], NULL);

    g_assert_cmpstr(a, ==, b);
    g_assert_cmpmem(info[0].digest.bytes, HASH_DIGEST_SIZE, info[1].digest.bytes, HASH_DIGEST_SIZE);
    g_assert_cmpint(memcmp(info[0].digest.bytes, info[2].digest.bytes, HASH_DIGEST_SIZE), !=, 0);
    g_assert_cmpstr(a, !=, c);
}

static void test_line_that_is_no_object_is_refused_with_its_reason(void)
{
    expect_error("[1]", "an event is an object, not an array");
    expect_error("7", "an event is an object, not a number");
    expect_error("nonsense", "column 1");
    expect_error("{\"a\":1", "column");
    expect_error("{\"a\":1} {\"b\":2}", "behind the event's closing brace");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/send_line/line_with_an_id_is_unchanged", test_line_with_an_id_is_unchanged);
    g_test_add_func("/send_line/line_without_an_id_gets_one_behind_its_brace",
                    test_line_without_an_id_gets_one_behind_its_brace);
    g_test_add_func("/send_line/made_id_never_changes", test_made_id_never_changes);
    g_test_add_func("/send_line/empty_object_stays_json", test_empty_object_stays_json);
    g_test_add_func("/send_line/id_inside_the_payload_does_not_count",
                    test_id_inside_the_payload_does_not_count);
    g_test_add_func("/send_line/same_line_gets_the_same_id_and_another_line_another",
                    test_same_line_gets_the_same_id_and_another_line_another);
    g_test_add_func("/send_line/line_that_is_no_object_is_refused_with_its_reason",
                    test_line_that_is_no_object_is_refused_with_its_reason);
    return g_test_run();
}
