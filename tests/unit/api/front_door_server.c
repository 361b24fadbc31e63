/* front_door_server: the front door with routes of its own, for
 * tests/integration/test_front_door.py.
 *
 * Takes the flags of `eventflow serve` that concern the front door. POST /events goes through the
 * real intake to the memory queue, whose commits take --publish-delay; GET /slow holds an executor
 * thread for ?ms= milliseconds.
 */
#include "api/routes.h"
#include "api/server.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/log.h"
#include "common/metrics.h"

#define FILLER_SIZE (256 * 1024) /* of the large answer */

struct flags {
    char *listen, *metrics_listen, *data;
    bool allow_open;
    int64_t head_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms, drain_timeout_ms;
    int64_t connections_max, connections_per_ip_max, body_max, inflight_max, loops, executors,
        executor_queue_max, events_max, publish_delay_ms;
};

#define AT(member) offsetof(struct flags, member)

static const struct config_setting FLAGS[] = {
    {"listen", CONFIG_ADDRESS, "127.0.0.1:8080", "", 0, 0, NULL, AT(listen), false},
    {"metrics-listen", CONFIG_ADDRESS, "127.0.0.1:9091", "", 0, 0, NULL, AT(metrics_listen), false},
    {"data", CONFIG_TEXT, "", "", 0, 0, NULL, AT(data), false},
    {"allow-open", CONFIG_BOOL, "false", "", 0, 0, NULL, AT(allow_open), false},
    {"head-timeout", CONFIG_DURATION, "10s", "", 0, 0, NULL, AT(head_timeout_ms), false},
    {"body-timeout", CONFIG_DURATION, "30s", "", 0, 0, NULL, AT(body_timeout_ms), false},
    {"idle-timeout", CONFIG_DURATION, "75s", "", 0, 0, NULL, AT(idle_timeout_ms), false},
    {"write-timeout", CONFIG_DURATION, "30s", "", 0, 0, NULL, AT(write_timeout_ms), false},
    {"drain-timeout", CONFIG_DURATION, "15s", "", 0, 0, NULL, AT(drain_timeout_ms), false},
    {"connections-max", CONFIG_INTEGER, "16000", "", 0, 0, NULL, AT(connections_max), false},
    {"connections-per-ip-max", CONFIG_INTEGER, "16000", "", 0, 0, NULL, AT(connections_per_ip_max),
     false},
    {"body-max", CONFIG_SIZE, "1MiB", "", 0, 0, NULL, AT(body_max), false},
    {"inflight-max", CONFIG_INTEGER, "65536", "", 0, 0, NULL, AT(inflight_max), false},
    {"loops", CONFIG_INTEGER, "2", "", 0, 0, NULL, AT(loops), false},
    {"executors", CONFIG_INTEGER, "2", "", 0, 0, NULL, AT(executors), false},
    {"executor-queue-max", CONFIG_INTEGER, "256", "", 0, 0, NULL, AT(executor_queue_max), false},
    {"publish-delay", CONFIG_DURATION, "0s", "", 0, 0, NULL, AT(publish_delay_ms), false},
    {"events-max", CONFIG_INTEGER, "1000", "", 0, 0, NULL, AT(events_max), false},
};

/* ---- routes ---------------------------------------------------------------------------------- */

static void handle_live(struct api *api, struct request *req, struct response *res)
{
    (void)api;
    (void)req;
    g_string_append(res->body, "{\"status\":\"alive\"}");
}

static void handle_echo(struct api *api, struct request *req, struct response *res)
{
    (void)api;
    res->content_type = "application/octet-stream";
    g_string_append_len(res->body, req->body.data, (gssize)req->body.size);
}

static void handle_large(struct api *api, struct request *req, struct response *res)
{
    (void)api;
    (void)req;
    for (size_t i = 0; i < FILLER_SIZE / 16; i++)
        g_string_append(res->body, "[\"0123456789\"]\r\n");
}

static void handle_metrics(struct api *api, struct request *req, struct response *res)
{
    (void)api;
    (void)req;
    res->content_type = "text/plain; version=0.0.4";
    metrics_render(res->body);
}

static void handle_slow(struct api *api, struct request *req, struct response *res)
{
    struct slice ms = SLICE("0");
    int64_t until_us;

    (void)api;
    request_query(req, "ms", &ms);
    until_us = clock_monotonic_us() + 1000 * g_ascii_strtoll(ms.data, NULL, 10);
    while (clock_monotonic_us() < until_us)
        g_usleep(1000);
    g_string_append(res->body, "{\"items\":[]}");
}

static void handle_empty(struct api *api, struct request *req, struct response *res)
{
    (void)api;
    (void)req;
    res->status = 204;
}

const struct route ROUTES[] = {
    {HTTP_GET, "/health/live", ROUTE_INLINE, ROUTE_MAIN | ROUTE_METRICS, handle_live, NULL, NULL},
    {HTTP_GET, "/metrics", ROUTE_INLINE, ROUTE_MAIN | ROUTE_METRICS, handle_metrics, NULL, NULL},
    {HTTP_GET, "/openapi.json", ROUTE_INLINE, ROUTE_MAIN, handle_large, NULL, NULL},
    {HTTP_POST, "/echo", ROUTE_INLINE, ROUTE_MAIN, handle_echo, "application/octet-stream", NULL},
    {HTTP_PUT, "/echo", ROUTE_BLOCKING, ROUTE_MAIN, handle_echo, "application/octet-stream", NULL},
    {HTTP_DELETE, "/things/{id}", ROUTE_INLINE, ROUTE_MAIN, handle_empty, NULL, NULL},
    {HTTP_GET, "/campaigns", ROUTE_BLOCKING, ROUTE_MAIN, handle_slow, NULL, "limit cursor status"},
    {HTTP_GET, "/slow", ROUTE_BLOCKING, ROUTE_MAIN, handle_slow, NULL, "ms"},
    {HTTP_POST, "/events", ROUTE_INTAKE, ROUTE_MAIN, NULL, "application/json application/x-ndjson",
     "atomic"},
};

const size_t ROUTE_COUNT = G_N_ELEMENTS(ROUTES);

/* ---- the queue ------------------------------------------------------------------------------- */

/* The memory queue, with commits that take their time. */
struct slow_queue {
    struct queue_ops ops;
    int64_t delay_ms;
};

static bool slow_publish(struct queue *q, struct queue_message *messages, size_t count,
                         GError **error)
{
    const struct slow_queue *slow = (const struct slow_queue *)q->ops;

    g_usleep((gulong)slow->delay_ms * 1000);
    return queue_memory_ops.publish(q, messages, count, error);
}

static struct queue *open_queue(struct slow_queue *slow, int64_t delay_ms)
{
    g_autoptr(GError) error = NULL;
    struct queue *q = queue_open(&queue_memory_ops, &(struct queue_options){0}, &error);

    g_assert_no_error(error);
    slow->ops = queue_memory_ops;
    slow->ops.publish = slow_publish;
    slow->delay_ms = delay_ms;
    q->ops = &slow->ops;
    return q;
}

/* ---- the process ----------------------------------------------------------------------------- */

static struct server *start(struct api *api, const struct flags *f, GError **error)
{
    struct server_options options = {
        .listen = f->listen,
        .metrics_listen = f->metrics_listen,
        .allow_open = f->allow_open,
        .loops = (int)f->loops,
        .executors = (int)f->executors,
        .executor_queue_max = (size_t)f->executor_queue_max,
        .connections_max = f->connections_max,
        .connections_per_ip_max = f->connections_per_ip_max,
        .body_max = f->body_max,
        .head_timeout_ms = f->head_timeout_ms,
        .body_timeout_ms = f->body_timeout_ms,
        .idle_timeout_ms = f->idle_timeout_ms,
        .write_timeout_ms = f->write_timeout_ms,
        .drain_timeout_ms = f->drain_timeout_ms,
    };
    struct server *server;

    server = server_open(api, &options, error);
    if (server != NULL)
        server_start(server);
    return server;
}

static bool serve(const struct flags *f)
{
    struct api api = {.intake_limits = {.events_max = (size_t)f->events_max}};
    g_autoptr(GError) error = NULL;
    struct server *server = NULL;
    struct slow_queue slow;
    sigset_t signals;
    int number;

    /* Blocked before any thread starts, so that only sigwait sees them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    api.queue = open_queue(&slow, f->publish_delay_ms);
    api.intake = intake_start(api.queue, &(struct intake_options){
                                             .batch_max = 1024,
                                             .inflight_max = (size_t)f->inflight_max,
                                             .inflight_bytes_max = 64 << 20,
                                         });
    server = start(&api, f, &error);
    if (server != NULL) {
        sigwait(&signals, &number);
        atomic_store(&api.is_draining, true);
        server_drain(server);
        server_stop(server);
    } else {
        fprintf(stderr, "front_door_server: %s\n", error->message);
    }
    intake_stop(api.intake);
    queue_close(api.queue);
    return server != NULL;
}

int main(int argc, char **argv)
{
    g_autoptr(GPtrArray) operands = g_ptr_array_new();
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    static const char *const NOTHING[] = {NULL};
    struct flags flags = {0};
    bool is_good;

    is_good = config_load(FLAGS, G_N_ELEMENTS(FLAGS), &flags, NOTHING, argc - 1,
                          (const char *const *)argv + 1, operands, errors);
    for (guint i = 0; i < errors->len; i++)
        fprintf(stderr, "front_door_server: %s\n", (const char *)g_ptr_array_index(errors, i));
    is_good = is_good && serve(&flags);
    config_done(FLAGS, G_N_ELEMENTS(FLAGS), &flags);
    return is_good ? 0 : 78;
}
