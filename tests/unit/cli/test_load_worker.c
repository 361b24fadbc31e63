#include "cli/load_worker.h"

#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <string.h>

#include "cli/load_report.h"
#include "common/clock.h"

#include "fake_server.h"

#define DEADLINE_US (20 * G_USEC_PER_SEC) /* of what should happen at once */
#define WORKERS_MAX 4
#define ACCEPTED    FAKE_ANSWER("202 Accepted", "Content-Length: 2\r\n", "{}")
#define BUSY        FAKE_ANSWER("503 Busy", "Content-Length: 1\r\nRetry-After: 0\r\n", "x")

/* One run against a server that gives these answers. */
struct world {
    struct fake_server server;
    struct load_target target;
    struct load_events *events;
    struct load_run run;
    struct load_worker *workers[WORKERS_MAX];
    struct load_totals totals;
};

/* The address behind a listening socket. */
static void aim_at(struct world *w, int fd)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(load_target_init(&w->target, "http://127.0.0.1:1", &error));
    w->target.address_size = sizeof(struct sockaddr_in);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&w->target.address, &w->target.address_size),
                    ==, 0);
}

/* Connections are begun, and waited for until until_us. What run leaves out gets a value that no
 * test runs into. */
static void prepare(struct world *w, struct load_run run, int64_t until_us)
{
    const struct load_events_options options = {
        .mix = "purchase", .seed = 1, .customers = 9, .run = 1, .step_us = 1};
    g_autoptr(GError) error = NULL;

    w->events = load_events_new(&options, &error);
    w->run = run;
    w->run.target = &w->target;
    w->run.events = w->events;
    w->run.threads = MAX(run.threads, 1);
    w->run.connections = MAX(run.connections, w->run.threads);
    w->run.timeout_us = run.timeout_us > 0 ? run.timeout_us : DEADLINE_US;
    w->run.drain_us = run.drain_us > 0 ? run.drain_us : DEADLINE_US;
    w->run.away_us = run.away_us > 0 ? run.away_us : DEADLINE_US;
    for (uint64_t i = 0; i < w->run.threads; i++) {
        w->workers[i] = load_worker_new(&w->run, i, until_us, &error);
        g_assert_no_error(error);
    }
}

static void begin_at(struct world *w, int64_t start_us)
{
    w->run.start_us = start_us;
    w->run.end_us = INT64_MAX;
    for (uint64_t i = 0; i < w->run.threads; i++)
        load_worker_start(w->workers[i]);
}

static void begin(struct world *w)
{
    begin_at(w, clock_monotonic_us());
}

/* Waits for all threads and frees them. */
static void finish(struct world *w)
{
    for (uint64_t i = 0; i < w->run.threads; i++) {
        load_worker_join(w->workers[i]);
        g_assert_true(load_worker_is_over(w->workers[i]));
        load_totals_add(&w->totals, load_worker_counts(w->workers[i]));
        load_worker_free(w->workers[i]);
    }
}

static struct world *run_world(const char *const *answers, struct load_run run)
{
    struct world *w = g_new0(struct world, 1);

    fake_server_start(&w->server, answers);
    aim_at(w, w->server.fd);
    prepare(w, run, clock_monotonic_us() + DEADLINE_US);
    begin(w);
    finish(w);
    fake_server_stop(&w->server);
    return w;
}

static void free_world(struct world *w)
{
    if (w->server.url != NULL)
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
    g_assert_cmpuint(w->totals.latency.count, ==, 2); /* the lost one has waited, too */
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

/* ---- servers that do not answer -------------------------------------------------------------- */

/* Takes connections and requests (the system does), and answers none. */
static int listen_silently(int backlog)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(fd, backlog), ==, 0);
    return fd;
}

/* The next connection of a listener, which must come. */
static int accept_soon(int fd)
{
    struct pollfd door = {.fd = fd, .events = POLLIN};

    g_assert_cmpint(poll(&door, 1, DEADLINE_US / 1000), ==, 1);
    return accept(fd, NULL, NULL);
}

/* Waits for a request on a connection, and gives one answer. */
static void answer_one(int fd, const char *answer)
{
    g_autoptr(GString) request = g_string_new(NULL);

    g_assert_true(fake_server_read(fd, request));
    g_assert_cmpint(send(fd, answer, strlen(answer), MSG_NOSIGNAL), ==, (gssize)strlen(answer));
}

static struct world *silent_world(int *fd, struct load_run run)
{
    struct world *w = g_new0(struct world, 1);

    *fd = listen_silently(64);
    aim_at(w, *fd);
    prepare(w, run, clock_monotonic_us() + DEADLINE_US);
    return w;
}

static void test_a_request_without_an_answer_is_in_the_latency(void)
{
    int fd;
    struct world *w = silent_world(
        &fd, (struct load_run){.batch = 1, .events_max = 3, .connections = 3, .timeout_us = 40000});

    begin(w);
    finish(w);
    g_assert_cmpuint(w->totals.requests, ==, 3);
    g_assert_cmpuint(w->totals.timeouts, ==, 3);
    g_assert_cmpuint(load_totals_failed(&w->totals), ==, 3);
    g_assert_cmpuint(w->totals.latency.count, ==, 3);
    g_assert_cmpint(latency_percentile(&w->totals.latency, 0.0), >=, 40000);
    close(fd);
    free_world(w);
}

/* The same when the time for the last answers ends before the time-out. */
static void test_what_the_end_cuts_off_is_a_timeout(void)
{
    int fd;
    struct world *w =
        silent_world(&fd, (struct load_run){.batch = 1, .events_max = 1, .drain_us = 30000});

    begin(w);
    finish(w);
    g_assert_cmpuint(w->totals.timeouts, ==, 1);
    g_assert_cmpuint(w->totals.unanswered, ==, 0);
    g_assert_cmpuint(w->totals.latency.count, ==, 1);
    g_assert_cmpint(latency_percentile(&w->totals.latency, 1.0), >=, 30000);
    close(fd);
    free_world(w);
}

/* One is on its way, the others were due and found no connection: all of them are counted, none as
 * a failure, since nobody gave them their time. */
static void test_a_run_that_is_stopped_counts_what_it_owes(void)
{
    int fd;
    struct world *w = silent_world(
        &fd, (struct load_run){.batch = 1, .events_max = 1000000, .rate = 1000, .drain_us = 20000});
    int64_t until_us;

    begin(w);
    until_us = w->run.start_us + 50000;
    while (clock_monotonic_us() < until_us)
        g_usleep(1000);
    atomic_store(&w->run.is_stopping, true);
    finish(w);
    g_assert_cmpuint(w->totals.requests, ==, 1);
    g_assert_cmpuint(w->totals.unanswered, ==, 1);
    g_assert_cmpuint(w->totals.unsent, >=, 49);
    g_assert_cmpuint(w->totals.latency.count, ==, w->totals.unsent + 1);
    g_assert_cmpuint(load_totals_failed(&w->totals), ==, 0);
    close(fd);
    free_world(w);
}

/* Its words and its end come with the connection, in one event that never comes again. */
static void test_a_server_that_hangs_up_at_once_is_asked_again(void)
{
    struct world *w = g_new0(struct world, 1);
    int fd = listen_silently(64);
    int full;
    int free_again;

    aim_at(w, fd);
    prepare(w, (struct load_run){.batch = 1, .events_max = 1, .timeout_us = DEADLINE_US / 4}, 0);
    full = accept_soon(fd);
    g_assert_cmpint(send(full, BUSY, strlen(BUSY), MSG_NOSIGNAL), >, 0);
    g_assert_cmpint(shutdown(full, SHUT_WR), ==, 0);
    begin(w);
    free_again = accept_soon(fd);
    answer_one(free_again, ACCEPTED);
    finish(w);
    g_assert_cmpuint(w->totals.requests, ==, 1);
    g_assert_cmpuint(w->totals.accepted, ==, 1);
    g_assert_cmpuint(w->totals.connect_errors, ==, 1);
    g_assert_cmpuint(load_totals_failed(&w->totals), ==, 0);
    close(full);
    close(free_again);
    close(fd);
    free_world(w);
}

/* The same a moment later: it stood and had not been asked anything. Nothing is due meanwhile. */
static void test_an_unused_connection_that_ends_is_a_failed_one(void)
{
    int fd;
    struct world *w = silent_world(&fd, (struct load_run){.batch = 1, .events_max = 1, .rate = 1});
    int first = accept_soon(fd);
    int second;

    close(first);
    begin_at(w, clock_monotonic_us() + DEADLINE_US);
    second = accept_soon(fd);
    atomic_store(&w->run.is_stopping, true);
    finish(w);
    g_assert_cmpuint(w->totals.connect_errors, ==, 1);
    g_assert_cmpuint(w->totals.requests, ==, 0);
    close(second);
    close(fd);
    free_world(w);
}

/* ---- the schedule ---------------------------------------------------------------------------- */

/* Each event says when it happened, and no server should get one from the future. */
static void test_a_batch_is_due_with_its_last_event(void)
{
    static const char *const answers[] = {ACCEPTED, ACCEPTED, NULL};
    struct world *w =
        run_world(answers, (struct load_run){.batch = 10, .events_max = 15, .rate = 100});

    g_assert_cmpuint(w->totals.accepted, ==, 15);
    g_assert_cmpint(w->totals.last_us - w->run.start_us, >=, 140000); /* event 14 at 100/s */
    free_world(w);
}

static void test_a_pause_that_was_asked_for_is_kept(void)
{
    static const char *const answers[] = {
        FAKE_ANSWER("503 Busy", "Content-Length: 0\r\nRetry-After: 1\r\n", ""), ACCEPTED, NULL};
    struct world *w = run_world(answers, (struct load_run){.batch = 1, .events_max = 1});

    g_assert_cmpuint(load_totals_refused(&w->totals), ==, 1);
    g_assert_cmpuint(w->totals.accepted, ==, 1);
    g_assert_cmpint(w->server.connections, ==, 1); /* it stays */
    g_assert_cmpint(w->totals.last_us - w->run.start_us, >=, G_USEC_PER_SEC);
    free_world(w);
}

/* ---- several threads ------------------------------------------------------------------------- */

/* Answers requests of one connection until it ends; the first answer waits for the gate. */
struct door {
    int listener;
    _Atomic uint64_t *gate; /* NULL: none */
    GPtrArray *requests;    /* char *, of this connection */
};

static gpointer keep_door(gpointer data)
{
    struct door *d = data;
    int fd = accept_soon(d->listener);
    int64_t until_us = clock_monotonic_us() + DEADLINE_US / 2;

    for (;;) {
        GString *request = g_string_new(NULL);

        if (!fake_server_read(fd, request)) {
            g_string_free(request, TRUE);
            break;
        }
        while (d->gate != NULL && atomic_load(d->gate) == 0 && clock_monotonic_us() < until_us)
            g_usleep(1000);
        g_ptr_array_add(d->requests, g_string_free(request, FALSE));
        if (send(fd, ACCEPTED, strlen(ACCEPTED), MSG_NOSIGNAL) < 0)
            break;
    }
    close(fd);
    return NULL;
}

static void test_threads_share_the_events(void)
{
    struct world *w = g_new0(struct world, 1);
    int fd = listen_silently(64);
    struct door doors[3];
    GThread *threads[3];
    guint lines = 0;

    aim_at(w, fd);
    for (size_t i = 0; i < 3; i++) {
        doors[i] = (struct door){fd, NULL, g_ptr_array_new_with_free_func(g_free)};
        threads[i] = g_thread_new("door", keep_door, &doors[i]);
    }
    prepare(w, (struct load_run){.batch = 10, .events_max = 995, .threads = 3, .connections = 3},
            clock_monotonic_us() + DEADLINE_US);
    begin(w);
    finish(w);
    for (size_t i = 0; i < 3; i++) {
        g_thread_join(threads[i]);
        lines += doors[i].requests->len;
        g_assert_cmpuint(doors[i].requests->len, >=, 33);
        g_ptr_array_unref(doors[i].requests);
    }
    g_assert_cmpuint(lines, ==, 100);
    g_assert_cmpuint(w->totals.requests, ==, 100);
    g_assert_cmpuint(w->totals.accepted, ==, 995);
    g_assert_cmpuint(w->totals.latency.count, ==, 100);
    g_assert_false(w->run.is_unreachable);
    close(fd);
    free_world(w);
}

/* Connects until the system takes no more for a listener that accepts nothing. */
static void fill_backlog(const struct world *w, GArray *fds)
{
    for (int i = 0; i < 100; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct pollfd wait = {.fd = fd, .events = POLLOUT};

        connect(fd, (const struct sockaddr *)&w->target.address, w->target.address_size);
        g_array_append_val(fds, fd);
        if (poll(&wait, 1, 50) == 0)
            return;
    }
    g_assert_not_reached();
}

static void close_all(GArray *fds)
{
    for (guint i = 0; i < fds->len; i++)
        close(g_array_index(fds, int, i));
    g_array_unref(fds);
}

/* The second thread gets no connection and gives the server up; the first one has one, and its two
 * requests to send. Only when that has ended, too, nobody reaches the server any more. */
static void test_one_thread_without_a_connection_does_not_end_the_others(void)
{
    struct world *w = g_new0(struct world, 1);
    GArray *crowd = g_array_new(FALSE, FALSE, sizeof(int));
    int fd = listen_silently(0);
    struct door door = {fd, &w->run.threads_away, g_ptr_array_new_with_free_func(g_free)};
    g_autoptr(GError) error = NULL;
    int64_t until_us = clock_monotonic_us() + DEADLINE_US;
    GThread *thread;

    aim_at(w, fd);
    prepare(w, (struct load_run){.batch = 1, .events_max = 4, .threads = 1, .away_us = 50000},
            until_us);
    load_worker_free(w->workers[0]);
    close(accept_soon(fd)); /* of the worker that was only made for its run */
    w->run.threads = 2;
    w->run.connections = 2;
    w->workers[0] = load_worker_new(&w->run, 0, until_us, &error);
    thread = g_thread_new("door", keep_door, &door);
    while (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 1)
        g_usleep(1000); /* until the door has taken it */
    fill_backlog(w, crowd);
    w->workers[1] = load_worker_new(&w->run, 1, 0, &error);
    begin(w);
    finish(w);
    g_thread_join(thread);
    g_assert_cmpuint(door.requests->len, ==, 2);
    g_assert_cmpuint(w->totals.accepted, ==, 2);
    g_assert_true(w->run.is_unreachable); /* two events are left, and nobody to take them */
    g_ptr_array_unref(door.requests);
    close_all(crowd);
    close(fd);
    free_world(w);
}

/* A server that lets nobody in holds the start up once, not once a thread. */
static void test_all_threads_share_the_deadline_of_the_start(void)
{
    struct world *w = g_new0(struct world, 1);
    GArray *crowd = g_array_new(FALSE, FALSE, sizeof(int));
    int fd = listen_silently(0);
    int64_t until_us;

    aim_at(w, fd);
    fill_backlog(w, crowd);
    until_us = clock_monotonic_us() + 20000;
    prepare(w, (struct load_run){.batch = 1, .events_max = 4, .threads = 4, .away_us = 30000},
            until_us);
    g_assert_cmpint(clock_monotonic_us() - until_us, <, DEADLINE_US / 2);
    begin(w);
    finish(w);
    g_assert_true(w->run.is_unreachable);
    g_assert_cmpuint(w->totals.requests, ==, 0);
    close_all(crowd);
    close(fd);
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
    g_test_add_func("/load_worker/a_request_without_an_answer_is_in_the_latency",
                    test_a_request_without_an_answer_is_in_the_latency);
    g_test_add_func("/load_worker/what_the_end_cuts_off_is_a_timeout",
                    test_what_the_end_cuts_off_is_a_timeout);
    g_test_add_func("/load_worker/a_run_that_is_stopped_counts_what_it_owes",
                    test_a_run_that_is_stopped_counts_what_it_owes);
    g_test_add_func("/load_worker/a_server_that_hangs_up_at_once_is_asked_again",
                    test_a_server_that_hangs_up_at_once_is_asked_again);
    g_test_add_func("/load_worker/an_unused_connection_that_ends_is_a_failed_one",
                    test_an_unused_connection_that_ends_is_a_failed_one);
    g_test_add_func("/load_worker/a_batch_is_due_with_its_last_event",
                    test_a_batch_is_due_with_its_last_event);
    g_test_add_func("/load_worker/a_pause_that_was_asked_for_is_kept",
                    test_a_pause_that_was_asked_for_is_kept);
    g_test_add_func("/load_worker/threads_share_the_events", test_threads_share_the_events);
    g_test_add_func("/load_worker/one_thread_without_a_connection_does_not_end_the_others",
                    test_one_thread_without_a_connection_does_not_end_the_others);
    g_test_add_func("/load_worker/all_threads_share_the_deadline_of_the_start",
                    test_all_threads_share_the_deadline_of_the_start);
    return g_test_run();
}
