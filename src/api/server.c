/* server: puts the parts of the front door together, starts them and takes them apart.
 *
 * Two steps, so that a port in use is found before anything else of the engine begins: open
 * binds and makes the loops, start lets threads run. The end is the other way round: drain is
 * announced, the loops end by themselves, then everything is freed.
 * Deliberately missing: reloading. Another address or limit means another process. */
#include "api/server.h"

#include "api/exchange.h"
#include "api/loop.h"
#include "common/clock.h"
#include "common/log.h"

#include <sys/resource.h>

/* After false server_free closes what is open. */
static bool server_bind(struct server *s, GError **error)
{
    const struct server_options *o = &s->options;

    /* The ports are kept apart: the first loop closes the doors when it drains. */
    if (!listener_open(&s->main_door, o->listen, o->allow_open, error))
        return false;
    s->main_port = s->main_door.port;
    if (o->metrics_listen == NULL || *o->metrics_listen == '\0')
        return true;
    if (!listener_open(&s->metrics_door, o->metrics_listen, o->allow_open, error))
        return false;
    s->metrics_port = s->metrics_door.port;
    return true;
}

/* After false server_free frees those that were made. */
static bool server_make_loops(struct server *s, GError **error)
{
    s->loops = g_new0(struct loop *, s->options.loops);
    for (int i = 0; i < s->options.loops; i++) {
        s->loops[i] = loop_new(s, error);
        if (s->loops[i] == NULL)
            return false;
        s->loop_count++;
    }
    return true;
}

/* Also of a half-built one: each part accepts that it never was. The loops first: their connections
 * count in peers, and their exchanges may be at the executor. */
static void server_free(struct server *s)
{
    for (int i = 0; i < s->loop_count; i++)
        loop_free(s->loops[i]);
    g_free(s->loops);
    executor_close(s->executor);
    peers_free(s->peers);
    listener_close(&s->main_door);
    listener_close(&s->metrics_door);
    g_free(s);
}

/* Registered at the start, so that they show 0 before the first request. */
static void server_find_metrics(struct server *s)
{
    s->connections_gauge = metrics_gauge("http_connections", "Open connections.", NULL);
    s->events_received = metrics_counter("events_received_total",
                                         "Events accepted: durable and answered 202.", NULL);
}

/* Every connection is a descriptor, and the usual soft limit of 1024 is far below our own. Raising
 * the soft limit to the hard one needs no rights. Too low a limit is no error: beyond it the
 * acceptor pauses. */
static void server_raise_descriptor_limit(const struct server *s)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        (int64_t)MIN(limit.rlim_cur, (rlim_t)INT64_MAX) >= s->options.connections_max)
        return;
    log_warn(
        LOG_MSG("the limit of open files is below connections-max; beyond it connections wait"),
        LOG_INT("open_files_max", (int64_t)limit.rlim_cur),
        LOG_INT("connections_max", s->options.connections_max));
}

/* The peers and metrics cannot fail, so they come first. */
struct server *server_open(struct api *api, const struct server_options *options, GError **error)
{
    struct server *s = g_new0(struct server, 1);

    g_assert(options->loops > 0 && options->executors > 0);
    s->api = api;
    s->options = *options;
    s->peers = peers_new(options->connections_per_ip_max);
    server_find_metrics(s);
    server_raise_descriptor_limit(s);
    if (server_bind(s, error) && server_make_loops(s, error))
        return s;
    server_free(s);
    return NULL;
}

/* The executor comes before the loops: their first request may need it. */
void server_start(struct server *s)
{
    s->executor = executor_open(s->options.executors, s->options.executor_queue_max,
                                exchange_run_blocking, s->api);
    /* Before the threads start, so that nobody else looks at that loop's epoll yet. */
    s->loops[0]->acceptor = acceptor_open(s->loops[0]);
    for (int i = 0; i < s->loop_count; i++)
        loop_start(s->loops[i], i);
    log_info(LOG_MSG("listening"), LOG_STRING("address", s->options.listen),
             LOG_INT("port", s->main_port), LOG_INT("metrics_port", s->metrics_port),
             LOG_INT("loops", s->loop_count));
}

/* Kept apart from the listener, which is all zero once the door is closed. */
int server_port(const struct server *s)
{
    return s->main_port;
}

int server_metrics_port(const struct server *s)
{
    return s->metrics_port;
}

/* Any thread, any number of times. */
void server_drain(struct server *s)
{
    int64_t until_us = clock_monotonic_us() + s->options.drain_timeout_ms * 1000;
    int64_t not_draining = 0;

    /* The first call sets the deadline; answers are marked from this moment on, in every loop. */
    if (!atomic_compare_exchange_strong(&s->drain_until_us, &not_draining, until_us))
        return;
    log_info(LOG_MSG("draining: no new connections, requests in flight are finished"));
    for (int i = 0; i < s->loop_count; i++)
        loop_drain(s->loops[i]);
}

/* Main thread. The doors are closed by the first loop when it ends. */
void server_stop(struct server *s)
{
    if (s == NULL)
        return;
    /* Does nothing when the owner has begun the drain before. */
    server_drain(s);
    /* The loops end last of all: they wait for what executors and committer still have. */
    for (int i = 0; i < s->loop_count; i++)
        loop_join(s->loops[i]);
    server_free(s);
}
