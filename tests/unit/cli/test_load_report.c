#include "cli/load_report.h"

#include <glib.h>
#include <string.h>

#include "common/json.h"

/* A run with a bit of everything. */
static struct load_result *make_result(struct load_run *run)
{
    struct load_result *r = g_new0(struct load_result, 1);

    *run = (struct load_run){.connections = 4, .threads = 1, .batch = 10, .rate = 1000};
    r->url = "http://127.0.0.1:1";
    r->run = run;
    r->seconds = 2;
    r->totals.requests = 100;
    r->totals.events = 1000;
    r->totals.accepted = 900;
    r->totals.statuses[202] = 90;
    r->totals.statuses[503] = 7;
    r->totals.statuses[507] = 1;
    r->totals.statuses[400] = 2;
    r->totals.lost = 3;
    r->totals.connect_errors = 5;
    r->totals.unanswered = 8; /* of a run that was cut short: no failures */
    latency_add(&r->totals.latency, 1500);
    return r;
}

static void test_refused_and_failed_are_told_apart(void)
{
    struct load_run run;
    g_autofree struct load_result *r = make_result(&run);

    g_assert_cmpuint(load_totals_refused(&r->totals), ==, 8);
    g_assert_cmpuint(load_totals_failed(&r->totals), ==, 6); /* 507, two 400, three lost */
}

static void test_json_is_one_object_with_all_numbers(void)
{
    struct load_run run;
    g_autofree struct load_result *r = make_result(&run);
    g_autoptr(GString) out = g_string_new(NULL);
    struct arena a = {0};
    g_autoptr(GError) error = NULL;
    const struct json_value *json;
    int64_t value = 0;

    load_report_json(out, r);
    json = json_parse(slice_of(out->str, out->len), &a, &error);
    g_assert_no_error(error);
    g_assert_true(slice_equal(json_get_text(json, "latency_from"), SLICE("intended send time")));
    g_assert_true(
        json_integer(json_get(json_get(json, SLICE("refused")), SLICE("503")), 7, 7, &value));
    g_assert_true(
        json_integer(json_get(json_get(json, SLICE("failed")), SLICE("400")), 2, 2, &value));
    g_assert_cmpint(json_get(json, SLICE("processed"))->type, ==, JSON_NULL);
    g_assert_true(json_integer(json_get(json, SLICE("accepted_per_second")), 450, 450, &value));
    g_assert_true(json_integer(json_get(json, SLICE("connection_errors")), 5, 5, &value));
    g_assert_true(json_integer(json_get(json, SLICE("lost_requests")), 3, 3, &value));
    g_assert_true(json_integer(json_get(json, SLICE("unanswered_requests")), 8, 8, &value));
    g_assert_true(slice_equal(json_get(json_get(json, SLICE("latency_ms")), SLICE("p99"))->text,
                              SLICE("1.5")));
    arena_done(&a);
}

static void test_text_says_where_latency_counts_from(void)
{
    struct load_run run;
    g_autofree struct load_result *r = make_result(&run);
    g_autoptr(GString) open = g_string_new(NULL);
    g_autoptr(GString) closed = g_string_new(NULL);

    load_report_text(open, r);
    run.rate = 0;
    load_report_text(closed, r);
    g_assert_nonnull(strstr(open->str, "intended send time"));
    g_assert_null(strstr(closed->str, "intended"));
    g_assert_nonnull(strstr(open->str, "status 503"));
    g_assert_nonnull(strstr(open->str, "connection broke"));
    g_assert_nonnull(strstr(open->str, "8 requests without an answer when the run was cut short"));
    g_assert_null(strstr(open->str, "processed"));
}

/* 0.00 ms would be the best server there is. */
static void test_nothing_measured_is_no_latency_of_zero(void)
{
    struct load_run run;
    g_autofree struct load_result *r = make_result(&run);
    g_autofree struct load_totals *before = g_new0(struct load_totals, 1);
    g_autoptr(GString) out = g_string_new(NULL);

    r->totals.latency = (struct latency){0};
    load_report_text(out, r);
    g_assert_nonnull(strstr(out->str, "latency    none was measured\n"));
    g_assert_null(strstr(out->str, "p50"));
    g_assert_null(strstr(out->str, "intended"));
    g_string_truncate(out, 0);
    load_report_json(out, r);
    g_assert_nonnull(strstr(out->str, "\"latency_ms\":null"));
    g_string_truncate(out, 0);
    load_report_live(out, 1, before, before, -1);
    g_assert_cmpstr(out->str, ==, "accepted 0/s  no answers");
}

static void test_live_line_is_about_the_interval(void)
{
    g_autofree struct load_totals *before = g_new0(struct load_totals, 1);
    g_autofree struct load_totals *now = g_new0(struct load_totals, 1);
    g_autoptr(GString) out = g_string_new(NULL);

    before->accepted = 1000;
    latency_add(&before->latency, 900000);
    latency_merge(&now->latency, &before->latency);
    latency_add(&now->latency, 100);
    now->accepted = 1500;
    now->statuses[503] = 4;
    load_report_live(out, 0.5, now, before, 400);
    g_assert_cmpstr(out->str, ==,
                    "accepted 1000/s  processed 400/s  p50 0.10 ms  p99 0.10 ms  refused 4");
}

/* What the server did not say is not shown, instead of a 0. */
static void test_waiting_line_has_what_is_known(void)
{
    g_autoptr(GString) out = g_string_new(NULL);

    load_report_waiting(out, -1, 7);
    g_assert_cmpstr(out->str, ==, "all sent, waiting for the server");
    g_string_truncate(out, 0);
    load_report_waiting(out, 400, 7);
    g_assert_cmpstr(out->str, ==,
                    "all sent, waiting for the server: processed 400/s, 7 events left");
}

static void test_totals_are_sums(void)
{
    g_autofree struct load_counts *counts = g_new0(struct load_counts, 1);
    g_autofree struct load_totals *totals = g_new0(struct load_totals, 1);

    load_count(&counts->accepted, 3);
    load_count(&counts->statuses[202], 1);
    load_count(&counts->unanswered, 2);
    counts->last_us = 9;
    load_totals_add(totals, counts);
    counts->last_us = 5;
    load_totals_add(totals, counts);
    g_assert_cmpuint(totals->accepted, ==, 6);
    g_assert_cmpuint(totals->statuses[202], ==, 2);
    g_assert_cmpuint(totals->unanswered, ==, 4);
    g_assert_cmpuint(load_totals_failed(totals), ==, 0);
    g_assert_cmpint(totals->last_us, ==, 9);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/load_report/refused_and_failed_are_told_apart",
                    test_refused_and_failed_are_told_apart);
    g_test_add_func("/load_report/json_is_one_object_with_all_numbers",
                    test_json_is_one_object_with_all_numbers);
    g_test_add_func("/load_report/text_says_where_latency_counts_from",
                    test_text_says_where_latency_counts_from);
    g_test_add_func("/load_report/nothing_measured_is_no_latency_of_zero",
                    test_nothing_measured_is_no_latency_of_zero);
    g_test_add_func("/load_report/waiting_line_has_what_is_known",
                    test_waiting_line_has_what_is_known);
    g_test_add_func("/load_report/live_line_is_about_the_interval",
                    test_live_line_is_about_the_interval);
    g_test_add_func("/load_report/totals_are_sums", test_totals_are_sums);
    return g_test_run();
}
