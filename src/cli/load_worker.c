/* The loop of one thread: what is due is sent, what comes is read, and once in a while somebody
 * looks at time-outs.
 *
 * Idle connections stand in a ring and send in turn, so that all of them are used. Answers are read
 * before anything new is sent: their time is taken as they are read.
 */
#include "cli/load_worker.h"

#include <errno.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/load_conn.h"
#include "common/clock.h"
#include "common/error.h"

#define WORKER_EVENTS       256
#define WORKER_ANSWER_SIZE  65536
#define WORKER_LATE_US      10000000 /* how long behind its end a schedule is still worked off */
#define WORKER_STOP_US      1000000  /* for the last answers after Ctrl-C */
#define WORKER_SWEEP_US     1000000  /* between two looks at time-outs */
#define WORKER_DELAYED_US   10000    /* the same while connections wait to go on */
#define WORKER_WAIT_US      100000   /* a wait is never longer: somebody may want the end */
#define WORKER_CONNECTS_MAX 128      /* at a time: no more than any server's backlog */

/* ---- schedule -------------------------------------------------------------------------------- */

/* When a request is due: with its last event, so that none is sent ahead of its own timestamp. The
 * product stays exact for years of events. */
static int64_t worker_due(const struct load_worker *w, uint64_t request)
{
    uint64_t first = (request * w->lane.count + w->lane.index) * w->run->batch;
    double event = (double)(MIN(first + w->run->batch, w->run->events_max) - 1);

    if (w->run->rate <= 0)
        return w->run->start_us;
    return w->run->start_us + (int64_t)(event * 1e6 / w->run->rate);
}

/* Relaxed: a round later is early enough. */
static bool worker_is_stopped(const struct load_worker *w)
{
    return atomic_load_explicit(&w->run->is_stopping, memory_order_relaxed) ||
           atomic_load_explicit(&w->run->is_unreachable, memory_order_relaxed);
}

/* When sending ends at the latest. A schedule that has fallen behind is finished late rather than
 * cut: what was never sent has no latency, and leaving it out would flatter the server. */
static int64_t worker_end_us(const struct load_worker *w)
{
    bool may_be_late = w->run->rate > 0 && w->run->end_us < INT64_MAX;

    return w->run->end_us + (may_be_late ? WORKER_LATE_US : 0);
}

static bool worker_may_send(const struct load_worker *w, int64_t now_us)
{
    return !worker_is_stopped(w) && now_us < worker_end_us(w) &&
           (w->next < w->request_count || w->retries > 0);
}

/* ---- idle connections ------------------------------------------------------------------------ */

/* One that was closed and opened again may still stand in the ring: once is enough. */
void load_worker_put_idle(struct load_worker *w, struct load_conn *c)
{
    if (c->is_queued)
        return;
    c->is_queued = true;
    w->idle[(w->idle_first + w->idle_count++) % w->conn_count] = c;
}

/* The ring is as large as there are connections, and each stands in it once. */
static void worker_drop_idle(struct load_worker *w)
{
    w->idle[w->idle_first]->is_queued = false;
    w->idle_first = (w->idle_first + 1) % w->conn_count;
    w->idle_count--;
}

/* The one that waited longest, still in the ring; NULL when there is none. */
static struct load_conn *worker_first_idle(struct load_worker *w)
{
    while (w->idle_count > 0 && w->idle[w->idle_first]->state != LOAD_CONN_IDLE)
        worker_drop_idle(w);
    return w->idle_count > 0 ? w->idle[w->idle_first] : NULL;
}

/* A connection that has nothing more to send leaves the ring: others in it may have to repeat
 * something. */
static void worker_send_due(struct load_worker *w, int64_t now_us)
{
    struct load_conn *c;

    while (worker_may_send(w, now_us) && (c = worker_first_idle(w)) != NULL) {
        uint64_t request = c->is_retry ? c->request : w->next;
        int64_t due_us = worker_due(w, request);

        if (due_us > now_us)
            return;
        worker_drop_idle(w);
        if (!c->is_retry && w->next >= w->request_count)
            continue;
        w->next += !c->is_retry;
        load_conn_send(w, c, request, w->run->rate > 0 ? due_us : 0);
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Units: microseconds, at least 0. Only a due request wants to be met exactly. */
static int64_t worker_wait_us(struct load_worker *w, int64_t now_us)
{
    int64_t wait_us = w->delayed > 0 ? WORKER_DELAYED_US : WORKER_WAIT_US;

    if (worker_may_send(w, now_us) && w->next < w->request_count && worker_first_idle(w) != NULL)
        wait_us = MIN(wait_us, worker_due(w, w->next) - now_us);
    if (w->run->end_us > now_us)
        wait_us = MIN(wait_us, w->run->end_us - now_us);
    return MAX(wait_us, 0);
}

/* epoll_wait counts in milliseconds; ppoll, on the epoll itself, in nanoseconds. */
static void worker_wait(struct load_worker *w, int64_t wait_us)
{
    struct epoll_event events[WORKER_EVENTS];
    struct pollfd door = {.fd = w->epoll_fd, .events = POLLIN};
    struct timespec wait = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000};
    int count;

    if (w->run->rate > 0 && wait_us > 0) {
        ppoll(&door, 1, &wait, NULL);
        wait_us = 0;
    }
    count = epoll_wait(w->epoll_fd, events, WORKER_EVENTS, (int)((wait_us + 999) / 1000));
    for (int i = 0; i < count; i++)
        load_conn_ready(w, events[i].data.ptr, events[i].events);
}

/* Rare while all goes well; every 10 ms while somebody waits for its time. Short time-outs are
 * looked at more often, so that they are met at least by a quarter. */
static void worker_sweep(struct load_worker *w, int64_t now_us)
{
    int64_t calm_us = MIN(WORKER_SWEEP_US, w->run->timeout_us / 4);

    if (now_us - w->swept_us < (w->delayed > 0 ? WORKER_DELAYED_US : calm_us))
        return;
    w->swept_us = now_us;
    for (size_t i = 0; i < w->conn_count; i++)
        load_conn_sweep(w, &w->conns[i], now_us);
}

/* Counted once a thread, and taken back when it finds the server again. */
static void worker_set_away(struct load_worker *w, bool is_away)
{
    if (is_away == w->is_away)
        return;
    w->is_away = is_away;
    if (is_away)
        atomic_fetch_add(&w->run->threads_away, 1);
    else
        atomic_fetch_sub(&w->run->threads_away, 1);
}

/* A server that restarts is away for less; one that is gone would be tried for ever. Only the last
 * thread that sees none of it ends the run: a server too busy to take one thread's few connections
 * may serve the others. */
static void worker_watch_reach(struct load_worker *w, int64_t now_us)
{
    if (w->connected > 0)
        w->reached_us = now_us;
    worker_set_away(w, now_us - w->reached_us > w->run->away_us);
    if (w->is_away && atomic_load(&w->run->threads_away) == w->run->threads)
        atomic_store(&w->run->is_unreachable, true);
}

/* What was due and has not been sent. Its latency is at least its age: that much is known of it. */
static void worker_count_unsent(struct load_worker *w, int64_t now_us)
{
    if (w->run->rate <= 0)
        return;
    now_us = MIN(now_us, worker_end_us(w));
    for (; w->next < w->request_count && worker_due(w, w->next) <= now_us; w->next++) {
        uint64_t first = (w->next * w->lane.count + w->lane.index) * w->lane.batch;

        load_count(&w->counts.unsent, MIN(w->lane.batch, w->run->events_max - first));
        latency_add(&w->counts.latency, now_us - worker_due(w, w->next));
    }
}

/* Who is still without an answer when the time for the last ones is over, or when somebody wanted
 * the end: then they were not given their time and are no failure, but their age is known, too. */
static void worker_count_unanswered(struct load_worker *w, int64_t now_us)
{
    load_count(worker_is_stopped(w) ? &w->counts.unanswered : &w->counts.timeouts, w->busy);
    for (size_t i = 0; i < w->conn_count; i++)
        if (w->conns[i].state == LOAD_CONN_BUSY)
            latency_add(&w->counts.latency, now_us - w->conns[i].from_us);
}

/* After Ctrl-C somebody sits there and waits. */
static int64_t worker_drain_us(const struct load_worker *w)
{
    return worker_is_stopped(w) ? MIN(w->run->drain_us, WORKER_STOP_US) : w->run->drain_us;
}

/* Ends when nothing may be sent any more and the last answers are there, or had their time. */
static void worker_loop(struct load_worker *w)
{
    int64_t now_us = clock_monotonic_us();
    int64_t drain_until_us = INT64_MAX;

    w->reached_us = now_us;
    while (worker_may_send(w, now_us) || (w->busy > 0 && now_us < drain_until_us)) {
        worker_send_due(w, now_us);
        worker_wait(w, worker_wait_us(w, now_us));
        now_us = clock_monotonic_us();
        worker_sweep(w, now_us);
        worker_watch_reach(w, now_us);
        if (worker_may_send(w, now_us))
            drain_until_us = INT64_MAX;
        else
            drain_until_us = MIN(drain_until_us, now_us + worker_drain_us(w));
    }
    worker_set_away(w, true); /* those that still try must not wait for this one */
    worker_count_unsent(w, now_us);
    worker_count_unanswered(w, now_us);
}

/* The processor time is read at the end, from inside: nobody else can ask for one thread. */
static void *worker_main(void *data)
{
    struct load_worker *w = data;
    struct rusage used;

    prctl(PR_SET_TIMERSLACK, 1000UL); /* nanoseconds; 50 us otherwise */
    worker_loop(w);
    getrusage(RUSAGE_THREAD, &used);
    w->user_us = (int64_t)used.ru_utime.tv_sec * 1000000 + used.ru_utime.tv_usec;
    w->system_us = (int64_t)used.ru_stime.tv_sec * 1000000 + used.ru_stime.tv_usec;
    atomic_store(&w->is_over, true);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* Until all of the first opened connections stand or have failed, or the time is over. */
static void worker_await_connects(struct load_worker *w, size_t opened, int64_t until_us)
{
    while (clock_monotonic_us() < until_us) {
        size_t settled = 0;

        for (size_t i = 0; i < opened; i++)
            settled += w->conns[i].state != LOAD_CONN_CONNECTING;
        if (settled == opened)
            return;
        worker_wait(w, WORKER_DELAYED_US);
    }
}

/* A server's backlog must hold them, so they come in portions. */
static void worker_connect(struct load_worker *w, int64_t until_us)
{
    for (size_t i = 0; i < w->conn_count; i++) {
        load_conn_open(w, &w->conns[i]);
        if ((i + 1) % WORKER_CONNECTS_MAX == 0)
            worker_await_connects(w, i + 1, until_us);
    }
    worker_await_connects(w, w->conn_count, until_us);
}

/* Requests index, index + threads, … of those that the events make. */
static uint64_t worker_request_count(const struct load_run *run, uint64_t index)
{
    uint64_t requests;

    if (run->events_max == UINT64_MAX)
        return UINT64_MAX;
    requests = (run->events_max + run->batch - 1) / run->batch;
    return requests > index ? (requests - index - 1) / run->threads + 1 : 0;
}

/* The head is the same for all requests but for the length, which is therefore its last line. */
static void worker_make_head(struct load_worker *w)
{
    const struct load_run *run = w->run;

    w->head = g_strdup_printf(
        "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: eventflow/" EVENTFLOW_VERSION "\r\n"
        "Content-Type: %s\r\nContent-Length: ",
        run->target->path, run->target->host,
        run->batch > 1 ? "application/x-ndjson" : "application/json");
    w->head_size = strlen(w->head);
    w->request = g_malloc(w->head_size + 24 + run->batch * (LOAD_EVENT_MAX + 1));
    w->answer = g_malloc(WORKER_ANSWER_SIZE);
}

/* A lane may get no connection only if there are more threads than connections, which is refused
 * before. */
struct load_worker *load_worker_new(struct load_run *run, uint64_t index, int64_t until_us,
                                    GError **error)
{
    struct load_worker *w = g_new0(struct load_worker, 1);

    w->run = run;
    w->lane = (struct load_lane){.index = index, .count = run->threads, .batch = run->batch};
    w->request_count = worker_request_count(run, index);
    w->conn_count = (size_t)((run->connections - index - 1) / run->threads + 1);
    w->conns = g_new0(struct load_conn, w->conn_count);
    w->idle = g_new0(struct load_conn *, w->conn_count);
    w->delayed = w->conn_count; /* all begin in CLOSED */
    for (size_t i = 0; i < w->conn_count; i++)
        w->conns[i].fd = -1;
    worker_make_head(w);
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (w->epoll_fd < 0) {
        g_set_error(error, EF_ERROR, EF_ERROR_FATAL, "cannot start an event loop: %s",
                    g_strerror(errno));
        load_worker_free(w);
        return NULL;
    }
    worker_connect(w, until_us);
    return w;
}

/* Half-built workers have no epoll, but everything else. */
void load_worker_free(struct load_worker *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; i < w->conn_count; i++)
        load_conn_done(&w->conns[i]);
    if (w->epoll_fd >= 0)
        close(w->epoll_fd);
    g_free(w->conns);
    g_free(w->idle);
    g_free(w->head);
    g_free(w->request);
    g_free(w->answer);
    g_free(w);
}

/* The name is what top and gdb show. */
void load_worker_start(struct load_worker *w)
{
    g_autofree char *name = g_strdup_printf("load-%" G_GUINT64_FORMAT, w->lane.index);

    w->thread = g_thread_new(name, worker_main, w);
}

bool load_worker_is_over(const struct load_worker *w)
{
    return atomic_load(&w->is_over);
}

void load_worker_join(struct load_worker *w)
{
    if (w->thread != NULL)
        g_thread_join(w->thread);
    w->thread = NULL;
}

const struct load_counts *load_worker_counts(const struct load_worker *w)
{
    return &w->counts;
}

void load_worker_cpu(const struct load_worker *w, int64_t *user_us, int64_t *system_us)
{
    *user_us = w->user_us;
    *system_us = w->system_us;
}
