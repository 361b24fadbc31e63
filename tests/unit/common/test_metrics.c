/* The registry lives as long as the process, so every test uses names of its own. */
#include "common/metrics.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static const double bounds[] = {0.1, 1, 10};

static char *render(void)
{
    GString *out = g_string_new(NULL);

    metrics_render(out);
    return g_string_free(out, FALSE);
}

static void expect_lines(const char *lines)
{
    g_autofree char *text = render();

    if (strstr(text, lines) == NULL)
        g_error("the lines\n%s are missing in\n%s", lines, text);
}

static void test_counter_is_rendered_as_an_integer(void)
{
    struct metric *m = metrics_counter("t_whole_total", "Whole numbers.", NULL);

    metric_add(m, G_GUINT64_CONSTANT(12345678901234567));
    metric_add(m, 1);
    expect_lines("# HELP t_whole_total Whole numbers.\n"
                 "# TYPE t_whole_total counter\n"
                 "t_whole_total 12345678901234568\n");
}

static void test_gauge_is_set_and_changed(void)
{
    struct metric *m = metrics_gauge("t_depth", "Depth.", NULL);

    metric_set(m, 10);
    metric_change(m, -2.75);
    g_assert_cmpfloat(metric_value(m), ==, 7.25);
    expect_lines("# TYPE t_depth gauge\nt_depth 7.25\n");
    metric_set(m, 0.1);
    expect_lines("\nt_depth 0.1\n");
    metric_set(m, INFINITY);
    expect_lines("\nt_depth +Inf\n");
    metric_set(m, NAN);
    expect_lines("\nt_depth NaN\n");
}

static void test_histogram_is_cumulative_and_bounds_are_included(void)
{
    struct metric *m = metrics_histogram("t_wait_seconds", "Wait.", NULL, bounds, 3);

    metric_observe(m, 0.05);
    metric_observe(m, 1); /* le means less or equal */
    metric_observe_n(m, 2, 3);
    metric_observe(m, 100);
    g_assert_cmpfloat(metric_value(m), ==, 6);
    expect_lines("# HELP t_wait_seconds Wait.\n"
                 "# TYPE t_wait_seconds histogram\n"
                 "t_wait_seconds_bucket{le=\"0.1\"} 1\n"
                 "t_wait_seconds_bucket{le=\"1\"} 2\n"
                 "t_wait_seconds_bucket{le=\"10\"} 5\n"
                 "t_wait_seconds_bucket{le=\"+Inf\"} 6\n"
                 "t_wait_seconds_sum 107.05\n"
                 "t_wait_seconds_count 6\n");
}

static void test_labels_of_a_histogram_stand_before_le(void)
{
    struct metric *m = metrics_histogram("t_size", "Size.", "route=\"/events\"", bounds, 1);

    metric_observe(m, 0.1);
    expect_lines("t_size_bucket{route=\"/events\",le=\"0.1\"} 1\n"
                 "t_size_bucket{route=\"/events\",le=\"+Inf\"} 1\n"
                 "t_size_sum{route=\"/events\"} 0.1\n"
                 "t_size_count{route=\"/events\"} 1\n");
}

static void test_same_name_and_labels_give_the_same_metric(void)
{
    struct metric *plain = metrics_counter("t_same_total", "Same.", NULL);
    struct metric *labelled = metrics_counter("t_same_total", "Same.", "a=\"1\"");

    g_assert_true(metrics_counter("t_same_total", "Same.", NULL) == plain);
    g_assert_true(metrics_counter("t_same_total", "Same.", "") == plain);
    g_assert_true(metrics_counter("t_same_total", "Same.", "a=\"1\"") == labelled);
    g_assert_true(plain != labelled);
    g_assert_true(metrics_histogram("t_same_size", "Same.", NULL, bounds, 3) ==
                  metrics_histogram("t_same_size", "Same.", NULL, bounds, 3));
}

static void test_family_stands_together_with_one_head(void)
{
    metrics_counter("t_first_total", "First.", "a=\"1\"");
    metrics_counter("t_between_total", "Between.", NULL);
    metrics_counter("t_first_total", "First.", "a=\"2\"");
    expect_lines("# TYPE t_first_total counter\n"
                 "t_first_total{a=\"1\"} 0\n"
                 "t_first_total{a=\"2\"} 0\n"
                 "# HELP t_between_total Between.\n");
}

static void test_help_is_escaped(void)
{
    metrics_gauge("t_escaped", "One \\ and\nanother line.", NULL);
    expect_lines("# HELP t_escaped One \\\\ and\\nanother line.\n# TYPE t_escaped gauge\n");
}

static void test_one_name_of_two_kinds_is_a_bug(void)
{
    if (g_test_subprocess()) {
        metrics_counter("t_kind_total", "Kind.", NULL);
        metrics_gauge("t_kind_total", "Kind.", NULL);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
}

static void test_histogram_with_other_bounds_is_a_bug(void)
{
    static const double some[] = {1, 2, 3}, others[] = {1, 2, 4};

    if (g_test_subprocess()) {
        struct metric *m = metrics_histogram("t_bounds", "Bounds.", NULL, some, 3);

        g_assert_true(metrics_histogram("t_bounds", "Bounds.", NULL, some, 3) == m);
        metrics_histogram("t_bounds", "Bounds.", "other=\"1\"", others, 3);
        g_printerr("so far so good\n");
        metrics_histogram("t_bounds", "Bounds.", NULL, others, 3);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*so far so good*bound_count == count*");
}

static void test_histogram_with_fewer_bounds_is_a_bug(void)
{
    static const double some[] = {1, 2, 3};

    if (g_test_subprocess()) {
        metrics_histogram("t_fewer", "Bounds.", NULL, some, 3);
        metrics_histogram("t_fewer", "Bounds.", NULL, some, 2);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
}

#define THREADS 4
#define ROUNDS  20000

struct shared {
    struct metric *counter, *gauge, *histogram;
};

static gpointer update_thread(gpointer data)
{
    const struct shared *shared = data;

    for (int i = 0; i < ROUNDS; i++) {
        metric_add(shared->counter, 2);
        metric_change(shared->gauge, 0.5);
        metric_observe(shared->histogram, i % 2 == 0 ? 0.5 : 5);
    }
    return NULL;
}

static void test_updates_of_many_threads_are_not_lost(void)
{
    struct shared shared = {
        .counter = metrics_counter("t_threads_total", "Threads.", NULL),
        .gauge = metrics_gauge("t_threads", "Threads.", NULL),
        .histogram = metrics_histogram("t_threads_size", "Threads.", NULL, bounds, 3),
    };
    GThread *threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("update", update_thread, &shared);
    for (int i = 0; i < 20; i++)
        g_free(render());
    for (int i = 0; i < THREADS; i++)
        g_thread_join(threads[i]);
    g_assert_cmpfloat(metric_value(shared.counter), ==, 2.0 * THREADS * ROUNDS);
    g_assert_cmpfloat(metric_value(shared.gauge), ==, 0.5 * THREADS * ROUNDS);
    expect_lines("t_threads_size_bucket{le=\"1\"} 40000\n"
                 "t_threads_size_bucket{le=\"10\"} 80000\n"
                 "t_threads_size_bucket{le=\"+Inf\"} 80000\n"
                 "t_threads_size_sum 220000\n"
                 "t_threads_size_count 80000\n");
}

static void test_bounds_ascend(void)
{
    for (size_t i = 1; i < METRICS_SECONDS_COUNT; i++)
        g_assert_cmpfloat(METRICS_SECONDS[i - 1], <, METRICS_SECONDS[i]);
    for (size_t i = 1; i < METRICS_BATCH_COUNT; i++)
        g_assert_cmpfloat(METRICS_BATCH[i - 1], <, METRICS_BATCH[i]);
    g_assert_cmpfloat(METRICS_SECONDS[0], ==, 0.00005);
    g_assert_cmpfloat(METRICS_SECONDS[METRICS_SECONDS_COUNT - 1], ==, 60);
    g_assert_cmpfloat(METRICS_BATCH[METRICS_BATCH_COUNT - 1], ==, 8192);
}

/* Names as the program has them: promtool also checks units and suffixes. */
static void test_promtool_accepts_the_output(void)
{
    g_autofree char *promtool = g_find_program_in_path("promtool");
    g_autofree char *path = NULL;
    g_autofree char *command = NULL;
    g_autofree char *text = NULL;
    g_autofree char *output = NULL;
    const char *argv[] = {"sh", "-c", NULL, NULL};
    int status;
    int fd;

    if (promtool == NULL) {
        g_test_skip("promtool (Debian package prometheus) is not installed");
        return;
    }
    metric_add(metrics_counter("events_received_total", "Events accepted.", "source=\"a\""), 3);
    metric_observe_n(metrics_histogram("event_processing_duration_seconds", "Time.", "w=\"1\"",
                                       METRICS_SECONDS, METRICS_SECONDS_COUNT),
                     0.003, 7);
    text = render();
    fd = g_file_open_tmp("metrics-XXXXXX", &path, NULL);
    g_assert_cmpint(write(fd, text, strlen(text)), ==, strlen(text));
    close(fd);
    command = g_strdup_printf("exec promtool check metrics <'%s' 2>&1", path);
    argv[2] = command;
    g_assert_true(g_spawn_sync(NULL, (char **)(uintptr_t)argv, NULL, G_SPAWN_SEARCH_PATH, NULL,
                               NULL, &output, NULL, &status, NULL));
    unlink(path);
    g_assert_cmpstr(output, ==, "");
    g_assert_cmpint(status, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* First, while only names in the program's own style are registered. */
    g_test_add_func("/metrics/promtool_accepts_the_output", test_promtool_accepts_the_output);
    g_test_add_func("/metrics/counter_is_rendered_as_an_integer",
                    test_counter_is_rendered_as_an_integer);
    g_test_add_func("/metrics/gauge_is_set_and_changed", test_gauge_is_set_and_changed);
    g_test_add_func("/metrics/histogram_is_cumulative_and_bounds_are_included",
                    test_histogram_is_cumulative_and_bounds_are_included);
    g_test_add_func("/metrics/labels_of_a_histogram_stand_before_le",
                    test_labels_of_a_histogram_stand_before_le);
    g_test_add_func("/metrics/same_name_and_labels_give_the_same_metric",
                    test_same_name_and_labels_give_the_same_metric);
    g_test_add_func("/metrics/family_stands_together_with_one_head",
                    test_family_stands_together_with_one_head);
    g_test_add_func("/metrics/help_is_escaped", test_help_is_escaped);
    g_test_add_func("/metrics/one_name_of_two_kinds_is_a_bug", test_one_name_of_two_kinds_is_a_bug);
    g_test_add_func("/metrics/histogram_with_other_bounds_is_a_bug",
                    test_histogram_with_other_bounds_is_a_bug);
    g_test_add_func("/metrics/histogram_with_fewer_bounds_is_a_bug",
                    test_histogram_with_fewer_bounds_is_a_bug);
    g_test_add_func("/metrics/updates_of_many_threads_are_not_lost",
                    test_updates_of_many_threads_are_not_lost);
    g_test_add_func("/metrics/bounds_ascend", test_bounds_ascend);
    return g_test_run();
}
