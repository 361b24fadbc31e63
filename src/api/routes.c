/* routes: the table of what the front door answers.
 *
 * A row is: method, template, how the handler runs, which doors serve it, the handler, the media
 * types it takes, the query parameters it knows. The checks before a handler read all of it from
 * here.
 * Deliberately missing: access control. There are no users yet; see --allow-open. */
#include "api/routes.h"

#include "api/handlers.h"

/* The first type of a list is the one a body without Content-Type is taken for. */
#define JSON_MEDIA   "application/json"
#define INTAKE_MEDIA "application/json application/x-ndjson"
/* A merge patch has a type of its own (RFC 7396 section 4); plain JSON is let in for people with
 * curl. */
#define PATCH_MEDIA "application/merge-patch+json application/json"
#define PAGE_QUERY  "limit cursor"
/* Filters by columns of the view; what is not named here is refused. */
#define EVENTS_QUERY   PAGE_QUERY " from until customer_id event_type source"
#define MATCHES_QUERY  PAGE_QUERY " from until campaign_id customer_id event_id"
#define FAILURES_QUERY PAGE_QUERY " from until customer_id event_type event_id reason status"

/* The order is without meaning: templates without parameters go before those with, wherever they
 * stand. */
const struct route ROUTES[] = {
    {HTTP_GET, "/", ROUTE_INLINE, ROUTE_MAIN, handle_root, NULL, NULL},
    /* The one route without a handler: decoded on the loop, answered by the committer. */
    {HTTP_POST, "/events", ROUTE_INTAKE, ROUTE_MAIN, NULL, INTAKE_MEDIA, "atomic"},
    {HTTP_GET, "/events", ROUTE_BLOCKING, ROUTE_MAIN, handle_event_list, NULL, EVENTS_QUERY},
    {HTTP_GET, "/events/{id}", ROUTE_BLOCKING, ROUTE_MAIN, handle_event_show, NULL, "source"},
    {HTTP_GET, "/events/{id}/explain", ROUTE_BLOCKING, ROUTE_MAIN, handle_event_explain, NULL,
     PAGE_QUERY " campaign source version"},
    {HTTP_GET, "/matches", ROUTE_BLOCKING, ROUTE_MAIN, handle_match_list, NULL, MATCHES_QUERY},
    {HTTP_POST, "/campaigns", ROUTE_BLOCKING, ROUTE_MAIN, handle_campaign_create, JSON_MEDIA, NULL},
    /* Blocking although nothing is read from the store: a hard pattern takes milliseconds. */
    {HTTP_POST, "/campaigns:test", ROUTE_BLOCKING, ROUTE_MAIN, handle_campaign_test, JSON_MEDIA,
     NULL},
    {HTTP_GET, "/campaigns", ROUTE_BLOCKING, ROUTE_MAIN, handle_campaign_list, NULL,
     PAGE_QUERY " status"},
    {HTTP_GET, "/campaigns/{id}", ROUTE_BLOCKING, ROUTE_MAIN, handle_campaign_show, NULL, NULL},
    {HTTP_PUT, "/campaigns/{id}", ROUTE_BLOCKING, ROUTE_MAIN, handle_campaign_replace, JSON_MEDIA,
     NULL},
    {HTTP_PATCH, "/campaigns/{id}", ROUTE_BLOCKING, ROUTE_MAIN, handle_campaign_patch, PATCH_MEDIA,
     NULL},
    {HTTP_DELETE, "/campaigns/{id}", ROUTE_BLOCKING, ROUTE_MAIN, handle_campaign_delete, NULL,
     NULL},
    {HTTP_GET, "/campaigns/{id}/versions", ROUTE_BLOCKING, ROUTE_MAIN, handle_campaign_versions,
     NULL, PAGE_QUERY},
    {HTTP_GET, "/failed-events", ROUTE_BLOCKING, ROUTE_MAIN, handle_failure_list, NULL,
     FAILURES_QUERY},
    {HTTP_POST, "/failed-events/replay", ROUTE_BLOCKING, ROUTE_MAIN, handle_failure_replay_many,
     JSON_MEDIA, NULL},
    {HTTP_GET, "/failed-events/{id}", ROUTE_BLOCKING, ROUTE_MAIN, handle_failure_show, NULL, NULL},
    {HTTP_POST, "/failed-events/{id}/replay", ROUTE_BLOCKING, ROUTE_MAIN, handle_failure_replay,
     NULL, NULL},
    {HTTP_GET, "/metrics/summary", ROUTE_BLOCKING, ROUTE_MAIN, handle_metrics_summary, NULL, NULL},
    /* From memory. Also on the second door, which may be open to a monitoring network. */
    {HTTP_GET, "/metrics", ROUTE_INLINE, ROUTE_MAIN | ROUTE_METRICS, handle_metrics, NULL, NULL},
    /* Blocking, as it reads from queue and store; live and ready must answer even when those
     * hang. */
    {HTTP_GET, "/health", ROUTE_BLOCKING, ROUTE_MAIN | ROUTE_METRICS, handle_health, NULL, NULL},
    {HTTP_GET, "/health/live", ROUTE_INLINE, ROUTE_MAIN | ROUTE_METRICS, handle_health_live, NULL,
     NULL},
    {HTTP_GET, "/health/ready", ROUTE_INLINE, ROUTE_MAIN | ROUTE_METRICS, handle_health_ready, NULL,
     NULL},
    {HTTP_GET, "/openapi.json", ROUTE_INLINE, ROUTE_MAIN, handle_openapi, NULL, NULL},
    {HTTP_GET, "/docs", ROUTE_INLINE, ROUTE_MAIN, handle_docs, NULL, NULL},
    {HTTP_GET, "/problems/{slug}", ROUTE_INLINE, ROUTE_MAIN, handle_problem_type, NULL, NULL},
};

const size_t ROUTE_COUNT = G_N_ELEMENTS(ROUTES);
