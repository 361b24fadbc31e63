/* handle_status: what the process says about itself: health, metrics, documents.
 *
 * Live and ready look at two flags in memory and answer even when disk and store hang; health
 * asks the parts and may wait for them, so it runs on an executor.
 * Deliberately missing: deep checks. Integrity is the doctor's business, not that of a probe. */
#include "api/handlers.h"

#include "api/problem.h"
#include "api/resources.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/metrics.h"

/* Units: microseconds; a double, since it divides to fractions. */
#define SECOND_US 1000000.0

/* So that somebody who finds the port finds the way. */
void handle_root(struct api *api, struct request *req, struct response *res)
{
    static const char *const links[][2] = {
        {"events", "/events"},
        {"campaigns", "/campaigns"},
        {"matches", "/matches"},
        {"failed_events", "/failed-events"},
        {"health", "/health"},
        {"metrics", "/metrics"},
        {"docs", "/docs"},
        {"summary", "/metrics/summary"},
        {"openapi", "/openapi.json"},
    };
    struct json_writer w;

    (void)req;
    json_writer_init(&w, res->body);
    json_open_object(&w);
    json_put_string(&w, "name", "eventflow");
    json_put_string(&w, "version", EVENTFLOW_VERSION);
    json_put_time(&w, "started_at", api->started_us);
    json_key(&w, "links");
    json_open_object(&w);
    for (size_t i = 0; i < G_N_ELEMENTS(links); i++)
        json_put_string(&w, links[i][0], links[i][1]);
    json_close_object(&w);
    json_close_object(&w);
}

/* No look at anything: a process that is alive but in trouble must not be restarted by its
 * supervisor. */
void handle_health_live(struct api *api, struct request *req, struct response *res)
{
    (void)api;
    (void)req;
    g_string_append(res->body, "{\"status\":\"ok\"}");
}

/* Why no new events are taken, NULL when they are. Static text. */
static const char *unready_reason(struct api *api)
{
    if (atomic_load(&api->is_broken))
        return "a commit failed; the process is ending";
    if (atomic_load(&api->is_draining))
        return "shutting down";
    if (disk_watch_is_full(api->disk))
        return "disk_full: the disk takes no writes; make room, it goes on by itself";
    return NULL;
}

/* While draining the main door takes no new connections; probes then come through the metrics
 * door. */
void handle_health_ready(struct api *api, struct request *req, struct response *res)
{
    const char *reason = unready_reason(api);

    if (reason != NULL)
        response_problem(res, req, 503, "not-ready", NULL, "%s", reason);
    else
        g_string_append(res->body, "{\"status\":\"ready\"}");
}

/* One member: status, how long the look took, and what was wrong. */
static void write_dependency(struct json_writer *w, const char *name, int64_t began_us,
                             const GError *error)
{
    json_key(w, name);
    json_open_object(w);
    json_put_string(w, "status", error == NULL ? "ok" : "failed");
    json_put_number(w, "latency_ms", (double)(clock_monotonic_us() - began_us) / 1000.0);
    if (error != NULL)
        json_put_string(w, "error", error->message);
    json_close_object(w);
}

/* Both are asked even when the first one failed: an operator wants to see all that is broken. A
 * PING reports through its error; problems stays empty. */
void handle_health(struct api *api, struct request *req, struct response *res)
{
    g_autoptr(GError) queue_error = NULL;
    g_autoptr(GError) store_error = NULL;
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    const char *reason = unready_reason(api);
    struct json_writer w;
    int64_t began_us = clock_monotonic_us();
    bool is_ok;

    (void)req;
    json_writer_init(&w, res->body);
    json_open_object(&w);
    json_key(&w, "dependencies");
    json_open_object(&w);
    is_ok = queue_check(api->queue, QUEUE_CHECK_PING, problems, &queue_error);
    write_dependency(&w, "queue", began_us, queue_error);
    began_us = clock_monotonic_us();
    is_ok = store_check(api->store, STORE_CHECK_PING, problems, &store_error) && is_ok;
    write_dependency(&w, "store", began_us, store_error);
    json_close_object(&w);
    is_ok = is_ok && reason == NULL;
    json_put_string(&w, "status", is_ok ? "ok" : "failed");
    if (reason != NULL)
        json_put_string(&w, "reason", reason);
    json_put_string(&w, "version", EVENTFLOW_VERSION);
    json_put_string(&w, "durability", api->durability);
    json_put_bool(&w, "disk_full", disk_watch_is_full(api->disk));
    json_put_number(&w, "uptime_seconds",
                    (double)(clock_monotonic_us() - api->started_monotonic_us) / SECOND_US);
    json_close_object(&w);
    res->status = is_ok ? 200 : 503;
}

/* Source: the text exposition format of Prometheus, version 0.0.4. */
void handle_metrics(struct api *api, struct request *req, struct response *res)
{
    (void)api;
    (void)req;
    res->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_render(res->body);
}

/* Events a second, averaged over 1, 5 and 15 minutes. */
static void write_rates(struct json_writer *w, const char *name, struct rate *rate)
{
    json_key(w, name);
    json_open_object(w);
    json_put_number(w, "1m", rate_get(rate, 60));
    json_put_number(w, "5m", rate_get(rate, 300));
    json_put_number(w, "15m", rate_get(rate, 900));
    json_close_object(w);
}

/* Units: seconds. */
static double oldest_age_seconds(const struct queue_stats *stats)
{
    int64_t age_us = clock_now_us() - stats->oldest_waiting_us;

    if (stats->oldest_waiting_us == 0 || age_us < 0)
        return 0; /* nothing waits, or the clock was set back */
    return (double)age_us / SECOND_US;
}

/* received = processed + failed + duplicate + waiting, always: waiting is counted against the
 * position up to which the other three have counted. */
void handle_metrics_summary(struct api *api, struct request *req, struct response *res)
{
    struct store_summary summary;
    struct queue_stats stats;
    struct json_writer w;
    g_autoptr(GError) error = NULL;

    if (!store_get_summary(api->store, &summary, &error)) {
        response_error(res, req, error);
        return;
    }
    /* After the summary: the log only grows, so received is never below what the summary
     * counted. */
    queue_get_stats(api->queue, &stats);
    json_writer_init(&w, res->body);
    json_open_object(&w);
    json_put_integer(&w, "received", stats.last_seq);
    json_put_integer(&w, "processed", summary.processed);
    json_put_integer(&w, "failed", summary.failed);
    json_put_integer(&w, "duplicate", summary.duplicate);
    /* A retry lies before the position but has no end yet. */
    json_put_integer(&w, "waiting", stats.last_seq - summary.position + summary.retrying);
    json_put_integer(&w, "replayed", summary.replayed);
    json_put_integer(&w, "matches", summary.matches);
    json_put_integer(&w, "queue_depth", stats.waiting);
    json_put_integer(&w, "pending_messages", summary.retrying);
    json_put_number(&w, "oldest_waiting_age_seconds", oldest_age_seconds(&stats));
    json_put_integer(&w, "failed_open", summary.failures_open);
    json_put_integer(&w, "campaigns_active", summary.campaigns_active);
    json_key(&w, "rates_per_second");
    json_open_object(&w);
    write_rates(&w, "received", api->received_rate);
    write_rates(&w, "processed", api->processed_rate);
    json_close_object(&w);
    json_put_string(&w, "dedupe_index", summary.dedupe_on_disk ? "disk" : "memory");
    json_put_string(&w, "durability", api->durability);
    json_close_object(&w);
}

/* Inline: the file is part of the binary. */
void handle_openapi(struct api *api, struct request *req, struct response *res)
{
    (void)api;
    (void)req;
    resource_append(res->body, "openapi.json");
}

void handle_docs(struct api *api, struct request *req, struct response *res)
{
    (void)api;
    (void)req;
    res->content_type = "text/html; charset=utf-8";
    resource_append(res->body, "docs.html");
}

/* The type of a problem is a link; this is where it leads. */
void handle_problem_type(struct api *api, struct request *req, struct response *res)
{
    g_autofree char *slug = g_strndup(req->params[0].data, req->params[0].size);
    const struct problem_type *type = problem_type_find(slug);
    struct json_writer w;

    (void)api;
    if (type == NULL) {
        response_problem(res, req, 404, "not-found", NULL, "no problem type is called '%s'", slug);
        return;
    }
    json_writer_init(&w, res->body);
    json_open_object(&w);
    json_put_string(&w, "type", type->slug);
    json_put_string(&w, "meaning", type->meaning);
    json_close_object(&w);
}
