#include "cli/load_worker.h"

#include <glib.h>
#include <string.h>

#include "cli/load_report.h"
#include "common/clock.h"

#include "fake_server.h"

#define ACCEPTED FAKE_ANSWER("202 Accepted", "Content-Length: 2\r\n", "{}")
#define BUSY     FAKE_ANSWER("503 Busy", "Content-Length: 1\r\nRetry-After: 0\r\n", "x")

/* One run of one connection against a server that gives these answers. */
struct world {
    struct fake_server server;
    struct load_target target;
    struct load_events *events;
    struct load_run run;
    struct load_totals totals;
};

static struct world *run_world(const char *const *answers, struct load_run run)
{
    struct world *w = g_new0(struct world, 1);
    const struct load_events_options options = {
        .mix = "purchase", .seed = 1, .customers = 9, .run = 1, .step_us = 1};
    g_autoptr(GError) error = NULL;
    struct load_worker *worker;

    fake_server_start(&w->server, answers);
    g_assert_true(load_target_init(&w->target, w->server.url, &error));
    w->target.address_size = sizeof(struct sockaddr_in);
    g_assert_cmpint(
        getsockname(w->server.fd, (struct sockaddr *)&w->target.address, &w->target.address_size),
        ==, 0);
    w->events = load_events_new(&options, &error);
    w->run = run;
    w->run.target = &w->target;
    w->run.events = w->events;
    w->run.connections = 1;
    w->run.threads = 1;
    worker = load_worker_new(&w->run, 0, &error);
    g_assert_no_error(error);
    w->run.start_us = clock_monotonic_us();
    w->run.end_us = INT64_MAX;
    load_worker_start(worker);
    load_worker_join(worker);
    g_assert_true(load_worker_is_over(worker));
    load_totals_add(&w->totals, load_worker_counts(worker));
    load_worker_free(worker);
    fake_server_stop(&w->server);
    return w;
}

static void free_world(struct world *w)
{
    fake_server_done(&w->server);
    load_events_free(w->events);
    load_target_done(&w->target);
    g_free(w);
}

static void test_sends_every_event_once_on_one_connection(void)
{
    static const char *const answers[] = {ACCEPTED, ACCEPTED, ACCEPTED, NULL};
    struct world *w = run_world(answers, (struct load_run){.batch = 2, .events_max = 5});
    const char *last = fake_server_request(&w->server, 2);

    g_assert_cmpuint(w->totals.requests, ==, 3);
    g_assert_cmpuint(w->totals.accepted, ==, 5);
    g_assert_cmpint(w->server.connections, ==, 1);
    g_assert_nonnull(strstr(fake_server_request(&w->server, 0), "POST /events HTTP/1.1\r\n"));
    g_assert_nonnull(strstr(fake_server_request(&w->server, 0), "application/x-ndjson"));
    g_assert_nonnull(strstr(fake_server_request(&w->server, 1), "-000000000003\""));
    /* The last one is not full. */
    g_assert_nonnull(strstr(last, "-000000000004\""));
    g_assert_null(strstr(last, "-000000000005\""));
    free_world(w);
}

static void test_closed_loop_repeats_what_was_refused(void)
{
    static const char *const answers[] = {BUSY, ACCEPTED, ACCEPTED, NULL};
    struct world *w = run_world(answers, (struct load_run){.batch = 1, .events_max = 2});

    g_assert_cmpuint(w->totals.requests, ==, 3);
    g_assert_cmpuint(w->totals.accepted, ==, 2);
    g_assert_cmpuint(load_totals_refused(&w->totals), ==, 1);
    g_assert_cmpuint(load_totals_failed(&w->totals), ==, 0);
    g_assert_cmpstr(fake_server_request(&w->server, 0), ==, fake_server_request(&w->server, 1));
    free_world(w);
}

static void test_open_loop_does_not_repeat(void)
{
    static const char *const answers[] = {BUSY, ACCEPTED, NULL};
    struct world *w =
        run_world(answers, (struct load_run){.batch = 1, .events_max = 2, .rate = 1000});

    g_assert_cmpuint(w->totals.requests, ==, 2);
    g_assert_cmpuint(w->totals.accepted, ==, 1);
    g_assert_cmpstr(fake_server_request(&w->server, 0), !=, fake_server_request(&w->server, 1));
    free_world(w);
}

/* Hanging up counts the request as lost; the run goes on with a new connection. */
static void test_a_broken_connection_is_counted_and_made_again(void)
{
    static const char *const answers[] = {"", ACCEPTED, NULL};
    struct world *w = run_world(answers, (struct load_run){.batch = 1, .events_max = 2});

    g_assert_cmpuint(w->totals.lost, ==, 1);
    g_assert_cmpuint(w->totals.accepted, ==, 1);
    g_assert_cmpuint(load_totals_failed(&w->totals), ==, 1);
    g_assert_cmpint(w->server.connections, ==, 2);
    free_world(w);
}

static void test_connection_close_is_no_error(void)
{
    static const char *const answers[] = {
        FAKE_ANSWER("202 Accepted", "Content-Length: 0\r\nConnection: close\r\n", ""), ACCEPTED,
        NULL};
    struct world *w = run_world(answers, (struct load_run){.batch = 1, .events_max = 2});

    g_assert_cmpuint(w->totals.accepted, ==, 2);
    g_assert_cmpuint(load_totals_failed(&w->totals), ==, 0);
    g_assert_cmpint(w->server.connections, ==, 2);
    free_world(w);
}

static void test_answers_that_are_none_are_counted(void)
{
    static const char *const answers[] = {"SSH-2.0\r\n\r\n", ACCEPTED, NULL};
    struct world *w = run_world(answers, (struct load_run){.batch = 1, .events_max = 2});

    g_assert_cmpuint(w->totals.bad_answers, ==, 1);
    g_assert_cmpuint(w->totals.accepted, ==, 1);
    free_world(w);
}

/* Larger than a socket takes at once and than it is read at once. */
static void test_large_requests_and_answers_pass_whole(void)
{
    g_autofree char *body = g_strnfill(300000, 'x');
    g_autofree char *answer =
        g_strdup_printf("HTTP/1.1 202 Accepted\r\nContent-Length: 300000\r\n\r\n%s", body);
    const char *const answers[] = {answer, answer, NULL};
    struct world *w = run_world(answers, (struct load_run){.batch = 1000, .events_max = 2000});

    g_assert_cmpuint(w->totals.accepted, ==, 2000);
    g_assert_cmpuint(load_totals_failed(&w->totals), ==, 0);
    g_assert_nonnull(strstr(fake_server_request(&w->server, 1), "-000000001999\""));
    free_world(w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/load_worker/sends_every_event_once_on_one_connection",
                    test_sends_every_event_once_on_one_connection);
    g_test_add_func("/load_worker/closed_loop_repeats_what_was_refused",
                    test_closed_loop_repeats_what_was_refused);
    g_test_add_func("/load_worker/open_loop_does_not_repeat", test_open_loop_does_not_repeat);
    g_test_add_func("/load_worker/a_broken_connection_is_counted_and_made_again",
                    test_a_broken_connection_is_counted_and_made_again);
    g_test_add_func("/load_worker/connection_close_is_no_error", test_connection_close_is_no_error);
    g_test_add_func("/load_worker/answers_that_are_none_are_counted",
                    test_answers_that_are_none_are_counted);
    g_test_add_func("/load_worker/large_requests_and_answers_pass_whole",
                    test_large_requests_and_answers_pass_whole);
    return g_test_run();
}
