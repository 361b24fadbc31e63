#include "cli/top_sample.h"

#include <math.h>

#include <glib.h>

static const char metrics[] =
    "# HELP http_requests_total Requests answered.\n"
    "# TYPE http_requests_total counter\n"
    "http_requests_total{method=\"POST\",route=\"/events\",status=\"202\"} 17\n"
    "http_requests_total{method=\"POST\",route=\"/events\",status=\"503\"} 4\n"
    "http_requests_total{method=\"GET\",route=\"/events\",status=\"404\"} 9\n"
    "http_connections 12\n"
    "process_start_time_seconds 1795271533.5\n"
    "process_resident_memory_bytes 5.5e+07\n"
    "queue_commit_duration_seconds_bucket{le=\"0.001\"} 1\n"
    "queue_commit_duration_seconds_bucket{le=\"0.01\"} 8\n"
    "queue_commit_duration_seconds_bucket{le=\"+Inf\"} 9\n"
    "queue_commit_duration_seconds_count 9\n";

static void test_the_metrics_that_are_shown_are_found(void)
{
    struct top_sample s = {0};

    top_sample_read_metrics(&s, SLICE(metrics));
    g_assert_cmpint(s.status_count, ==, 2);
    g_assert_cmpint(s.statuses[1].status, ==, 503);
    g_assert_cmpfloat(s.statuses[1].count, ==, 4);
    g_assert_cmpfloat(s.connections, ==, 12);
    g_assert_cmpfloat(s.started_seconds, ==, 1795271533.5);
    g_assert_cmpfloat(s.memory_bytes, ==, 5.5e7);
    g_assert_cmpint(s.commit.size, ==, 3);
    g_assert_cmpfloat(s.commit.bounds[1], ==, 0.01);
    g_assert_true(isinf(s.commit.bounds[2]));
    g_assert_cmpfloat(s.commit.counts[2], ==, 9);
    g_assert_cmpint(s.settle.size, ==, 0);
}

/* Cut anywhere, as an answer that breaks off. */
static void test_any_text_is_read_without_harm(void)
{
    static const char *const odd[] = {"",
                                      "\n\n",
                                      "{",
                                      "}",
                                      "a{",
                                      "a{}",
                                      "a{} ",
                                      "a} {b",
                                      "event_lag_seconds_bucket{le=\"",
                                      "http_requests_total{route=\"/events",
                                      " ",
                                      "x"};

    for (size_t size = 0; size < sizeof(metrics); size++) {
        struct top_sample s = {0};
        g_autofree char *copy = g_memdup2(metrics, size); /* its end is guarded by the sanitizer */

        top_sample_read_metrics(&s, slice_of(copy, size));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(odd); i++) {
        struct top_sample s = {0};

        top_sample_read_metrics(&s, slice_text(odd[i]));
        top_sample_read_matches(&s, slice_text(odd[i]));
        g_assert_false(top_sample_read_summary(&s, slice_text(odd[i])));
        g_assert_cmpint(s.commit.size + s.status_count + s.matches_seen, ==, 0);
    }
}

static void test_a_histogram_with_too_many_buckets_is_cut(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    struct top_sample s = {0};

    for (int i = 0; i < 100; i++)
        g_string_append_printf(text, "event_lag_seconds_bucket{le=\"%d\"} %d\n", i, i);
    top_sample_read_metrics(&s, slice_of(text->str, text->len));
    g_assert_cmpint(s.lag.size, ==, TOP_BUCKETS_MAX);
}

static void test_the_summary_needs_all_its_numbers(void)
{
    struct top_sample s = {0};

    g_assert_true(top_sample_read_summary(
        &s, SLICE("{\"received\":10,\"processed\":5,\"failed\":1,\"duplicate\":1,\"waiting\":3,"
                  "\"matches\":4,\"pending_messages\":2,\"failed_open\":1,\"campaigns_active\":7,"
                  "\"oldest_waiting_age_seconds\":1.5,\"more\":{}}")));
    g_assert_cmpint(s.received, ==, 10);
    g_assert_cmpint(s.retrying, ==, 2);
    g_assert_cmpint(s.campaigns_active, ==, 7);
    g_assert_cmpfloat(s.oldest_seconds, ==, 1.5);
    g_assert_false(top_sample_read_summary(&s, SLICE("{\"received\":10}")));
}

static void test_campaigns_are_counted_and_made_safe(void)
{
    struct top_sample s = {0};

    top_sample_read_matches(
        &s,
        SLICE("{\"matches\":[{\"campaign_id\":\"b\"},{\"campaign_id\":\"a\"},"
              "{\"campaign_id\":\"b\"},{\"campaign_id\":\"\\u001b[2J\"}],\"next_cursor\":null}"));
    g_assert_cmpint(s.matches_seen, ==, 4);
    g_assert_cmpint(s.campaign_count, ==, 3);
    g_assert_cmpstr(s.campaigns[0].name, ==, "b");
    g_assert_cmpint(s.campaigns[0].matches, ==, 2);
    for (int i = 0; i < 3; i++)
        g_assert_null(strchr(s.campaigns[i].name, '\033'));
}

static void test_a_count_that_fell_began_anew(void)
{
    g_assert_cmpfloat(top_growth(10, 15), ==, 5);
    g_assert_cmpfloat(top_growth(100, 15), ==, 15);
}

static void test_quantiles_lie_within_their_bucket(void)
{
    struct top_histogram none = {{0}, {0}, 0};
    struct top_histogram before = {{1, 2, 4, INFINITY}, {10, 10, 10, 10}, 4};
    struct top_histogram now = {{1, 2, 4, INFINITY}, {10, 110, 110, 110}, 4};
    struct top_histogram above = {{1, 2, 4, INFINITY}, {10, 10, 10, 20}, 4};
    struct top_histogram anew = {{1, 2, 4, INFINITY}, {4, 4, 4, 4}, 4};

    g_assert_cmpfloat_with_epsilon(top_quantile(&before, &now, 0.99), 1.99, 1e-9);
    g_assert_cmpfloat_with_epsilon(top_quantile(&before, &now, 0.5), 1.5, 1e-9);
    g_assert_cmpfloat(top_quantile(&before, &before, 0.99), <, 0);
    g_assert_cmpfloat(top_quantile(&before, &above, 0.99), ==, 4);
    g_assert_cmpfloat_with_epsilon(top_quantile(&before, &anew, 0.5), 0.5, 1e-9);
    g_assert_cmpfloat_with_epsilon(top_quantile(&none, &anew, 0.5), 0.5, 1e-9);
    g_assert_cmpfloat(top_quantile(&none, &none, 0.5), <, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/top_sample/the_metrics_that_are_shown_are_found",
                    test_the_metrics_that_are_shown_are_found);
    g_test_add_func("/top_sample/any_text_is_read_without_harm",
                    test_any_text_is_read_without_harm);
    g_test_add_func("/top_sample/a_histogram_with_too_many_buckets_is_cut",
                    test_a_histogram_with_too_many_buckets_is_cut);
    g_test_add_func("/top_sample/the_summary_needs_all_its_numbers",
                    test_the_summary_needs_all_its_numbers);
    g_test_add_func("/top_sample/campaigns_are_counted_and_made_safe",
                    test_campaigns_are_counted_and_made_safe);
    g_test_add_func("/top_sample/a_count_that_fell_began_anew", test_a_count_that_fell_began_anew);
    g_test_add_func("/top_sample/quantiles_lie_within_their_bucket",
                    test_quantiles_lie_within_their_bucket);
    return g_test_run();
}
