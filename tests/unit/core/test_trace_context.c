#include "core/trace_context.h"

#include <glib.h>

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static bool is_valid(const char *header)
{
    struct slice trace_id;

    return trace_context_parse(slice_text(header), &trace_id);
}

static void test_reads_the_trace_id(void)
{
    struct slice trace_id = {0};

    g_assert_true(trace_context_parse(SLICE("00-" TRACE "-" PARENT "-01"), &trace_id));
    g_assert_true(slice_equal(trace_id, SLICE(TRACE)));
}

static void test_reads_higher_versions_as_far_as_known(void)
{
    g_assert_true(is_valid("cc-" TRACE "-" PARENT "-01"));
    g_assert_true(is_valid("cc-" TRACE "-" PARENT "-01-what-the-future-brings"));
    g_assert_false(is_valid("cc-" TRACE "-" PARENT "-01.what-the-future-brings"));
}

static void test_ignores_invalid_headers(void)
{
    static const char *const BAD[] = {
        "",
        "00",
        "ff-" TRACE "-" PARENT "-01", /* the version that is never used */
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-" TRACE "-00F067AA0BA902B7-01",
        "00-" TRACE "-" PARENT "-0G",
        "0x-" TRACE "-" PARENT "-01",
        "00-" TRACE "-" PARENT "-01-more", /* version 00 ends there */
        "00-" TRACE "-" PARENT "-011",
        "00-" TRACE "-" PARENT "-0",
        "00_" TRACE "-" PARENT "-01",
        "00-" TRACE "_" PARENT "-01",
        "00-" TRACE "-" PARENT "_01",
        " 00-" TRACE "-" PARENT "-01",
        "00-" TRACE "0-" PARENT "-1",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        if (is_valid(BAD[i]))
            g_error("accepted: %s", BAD[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/trace_context/reads_the_trace_id", test_reads_the_trace_id);
    g_test_add_func("/trace_context/reads_higher_versions_as_far_as_known",
                    test_reads_higher_versions_as_far_as_known);
    g_test_add_func("/trace_context/ignores_invalid_headers", test_ignores_invalid_headers);
    return g_test_run();
}
