#include "cli/campaign_apply.h"

#include <glib.h>

static bool compare(bool (*same)(const struct json_value *, const struct json_value *),
                    const char *a, const char *b)
{
    struct arena arena = {0};
    const struct json_value *left = json_parse(slice_text(a), &arena, NULL);
    const struct json_value *right = json_parse(slice_text(b), &arena, NULL);
    bool is_same;

    g_assert_nonnull(left);
    g_assert_nonnull(right);
    is_same = same(left, right);
    arena_done(&arena);
    return is_same;
}

static bool equal(const char *a, const char *b)
{
    return compare(campaign_json_equal, a, b);
}

static bool applied(const char *document, const char *stored)
{
    return compare(campaign_is_applied, document, stored);
}

static void test_order_of_members_does_not_matter(void)
{
    g_assert_true(equal("{\"a\":1,\"b\":[1,{\"c\":null}]}", " {\"b\":[1,{\"c\":null}],\"a\":1}"));
}

static void test_every_difference_is_seen(void)
{
    g_assert_false(equal("{\"a\":1}", "{\"a\":2}"));
    g_assert_false(equal("{\"a\":1}", "{\"b\":1}"));
    g_assert_false(equal("{\"a\":1}", "{\"a\":1,\"b\":1}"));
    g_assert_false(equal("{\"a\":1,\"b\":1}", "{\"a\":1}"));
    g_assert_false(equal("[1,2]", "[2,1]"));
    g_assert_false(equal("[1]", "[1,1]"));
    g_assert_false(equal("{}", "[]"));
    g_assert_false(equal("\"1\"", "1"));
    g_assert_false(equal("true", "false"));
    g_assert_false(equal("1", "1.0"));
    g_assert_true(equal("\"\\u0061\"", "\"a\""));
}

static void test_fields_the_server_makes_do_not_count(void)
{
    g_assert_true(
        applied("{\"name\":\"A\",\"rules\":{\"x\":[1]}}",
                "{\"id\":\"a\",\"name\":\"A\",\"status\":\"active\",\"rules\":{\"x\":[1]},"
                "\"version\":3,\"created_at\":\"t\",\"updated_at\":\"t\"}"));
}

static void test_field_that_left_the_file_counts(void)
{
    g_assert_false(applied("{\"name\":\"A\"}", "{\"name\":\"A\",\"description\":\"old\"}"));
    g_assert_false(applied("{\"name\":\"A\"}", "{\"name\":\"A\",\"status\":\"paused\"}"));
}

static void test_field_that_the_server_lacks_counts(void)
{
    g_assert_false(applied("{\"name\":\"A\",\"labels\":{}}", "{\"name\":\"A\"}"));
    g_assert_false(applied("[]", "{}"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/campaign_apply/order_of_members_does_not_matter",
                    test_order_of_members_does_not_matter);
    g_test_add_func("/campaign_apply/every_difference_is_seen", test_every_difference_is_seen);
    g_test_add_func("/campaign_apply/fields_the_server_makes_do_not_count",
                    test_fields_the_server_makes_do_not_count);
    g_test_add_func("/campaign_apply/field_that_left_the_file_counts",
                    test_field_that_left_the_file_counts);
    g_test_add_func("/campaign_apply/field_that_the_server_lacks_counts",
                    test_field_that_the_server_lacks_counts);
    return g_test_run();
}
