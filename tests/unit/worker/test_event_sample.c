#include "worker/event_sample.h"

static void test_keeps_the_last_ones(void)
{
    struct event_sample *s = event_sample_new();
    g_autoptr(GPtrArray) events = event_sample_get(s);
    unsigned newest = 0;

    g_assert_cmpuint(events->len, ==, 0);
    for (int i = 0; i < EVENT_SAMPLE_MAX + 100; i++) {
        g_autofree char *text = g_strdup_printf("event %d", i);

        event_sample_put(s, slice_text(text));
        g_assert_cmpuint(event_sample_count(s), ==, MIN(i + 1, EVENT_SAMPLE_MAX));
    }
    g_clear_pointer(&events, g_ptr_array_unref);
    events = event_sample_get(s);
    g_assert_cmpuint(events->len, ==, EVENT_SAMPLE_MAX);
    for (guint i = 0; i < events->len; i++) {
        g_autofree char *text = NULL;
        gsize size;
        const char *data = g_bytes_get_data(g_ptr_array_index(events, i), &size);

        text = g_strndup(data, size);
        newest += g_ascii_strtoull(text + 6, NULL, 10) >= 100;
    }
    g_assert_cmpuint(newest, ==, EVENT_SAMPLE_MAX);
    event_sample_free(s);
    event_sample_free(NULL);
}

static void test_leaves_large_ones_out(void)
{
    struct event_sample *s = event_sample_new();
    g_autofree char *large = g_strnfill(EVENT_SAMPLE_BYTES + 1, 'x');

    event_sample_put(s, slice_of(large, EVENT_SAMPLE_BYTES + 1));
    event_sample_put(s, SLICE(""));
    g_assert_cmpuint(event_sample_count(s), ==, 0);
    event_sample_put(s, slice_of(large, EVENT_SAMPLE_BYTES));
    g_assert_cmpuint(event_sample_count(s), ==, 1);
    event_sample_free(s);
}

static void test_what_was_got_outlives_the_sample(void)
{
    struct event_sample *s = event_sample_new();
    g_autoptr(GPtrArray) events = NULL;
    gsize size;

    event_sample_put(s, SLICE("one"));
    events = event_sample_get(s);
    for (int i = 0; i < EVENT_SAMPLE_MAX; i++)
        event_sample_put(s, SLICE("other"));
    event_sample_free(s);
    g_assert_cmpmem(g_bytes_get_data(g_ptr_array_index(events, 0), &size), 3, "one", 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/event_sample/keeps_the_last_ones", test_keeps_the_last_ones);
    g_test_add_func("/event_sample/leaves_large_ones_out", test_leaves_large_ones_out);
    g_test_add_func("/event_sample/what_was_got_outlives_the_sample",
                    test_what_was_got_outlives_the_sample);
    return g_test_run();
}
