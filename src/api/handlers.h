/* handlers: the functions behind the route table, one file a group. Each reads the request, fills
 * the response and returns; failures become problem+json.
 */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api/api.h"
#include "api/request.h"

/* ---- handle_events.c ------------------------------------------------------------------------- */

/* GET /events/{id}: everything known about one event, wherever it is on its way. */
void handle_event_show(struct api *api, struct request *req, struct response *res);

/* GET /events: processed events, newest first. */
void handle_event_list(struct api *api, struct request *req, struct response *res);

/* GET /matches: which campaign matched which event, newest first. */
void handle_match_list(struct api *api, struct request *req, struct response *res);

/* ---- handle_campaigns.c ---------------------------------------------------------------------- */

/* POST /campaigns: 201, or 409 when the id is taken. */
void handle_campaign_create(struct api *api, struct request *req, struct response *res);

/* GET /campaigns: in the order of their ids, optionally of one status. */
void handle_campaign_list(struct api *api, struct request *req, struct response *res);

/* GET /campaigns/{id}: the document with its version as the ETag. */
void handle_campaign_show(struct api *api, struct request *req, struct response *res);

/* PUT /campaigns/{id}: the whole document; makes it when there is none (unless If-Match is
 * given). */
void handle_campaign_replace(struct api *api, struct request *req, struct response *res);

/* PATCH /campaigns/{id}: a merge patch (RFC 7396), checked as a whole document. */
void handle_campaign_patch(struct api *api, struct request *req, struct response *res);

/* DELETE /campaigns/{id}: 204; its versions stay readable. */
void handle_campaign_delete(struct api *api, struct request *req, struct response *res);

/* GET /campaigns/{id}/versions: newest first, also of a deleted one. */
void handle_campaign_versions(struct api *api, struct request *req, struct response *res);

/* ---- handle_explain.c ------------------------------------------------------------------------ */

/* GET /events/{id}/explain: why the event matches or does not: one campaign of any version, or all
 * active ones. */
void handle_event_explain(struct api *api, struct request *req, struct response *res);

/* POST /campaigns:test: a campaign and an event of the request; nothing is stored. */
void handle_campaign_test(struct api *api, struct request *req, struct response *res);

/* ---- handle_failed_events.c ------------------------------------------------------------------ */

/* GET /failed-events: newest first. */
void handle_failure_list(struct api *api, struct request *req, struct response *res);

/* GET /failed-events/{id}: one of them, open or replayed. */
void handle_failure_show(struct api *api, struct request *req, struct response *res);

/* POST /failed-events/{id}/replay: 202 when the event is in the queue again. */
void handle_failure_replay(struct api *api, struct request *req, struct response *res);

/* POST /failed-events/replay: all open ones that pass the filters. */
void handle_failure_replay_many(struct api *api, struct request *req, struct response *res);

/* ---- handle_status.c ------------------------------------------------------------------------- */

/* GET /: name, version and links. */
void handle_root(struct api *api, struct request *req, struct response *res);

/* GET /health: asks queue and store; 503 when one of them does not answer. */
void handle_health(struct api *api, struct request *req, struct response *res);

/* GET /health/live: this process answers, no more is said. */
void handle_health_live(struct api *api, struct request *req, struct response *res);

/* GET /health/ready: whether new events are taken; 503 while ending. */
void handle_health_ready(struct api *api, struct request *req, struct response *res);

/* GET /metrics: the text exposition format. */
void handle_metrics(struct api *api, struct request *req, struct response *res);

/* GET /metrics/summary: the counters that matter, as JSON, with rates. */
void handle_metrics_summary(struct api *api, struct request *req, struct response *res);

/* GET /openapi.json: the embedded description of this API. */
void handle_openapi(struct api *api, struct request *req, struct response *res);

/* GET /docs: the same for people. */
void handle_docs(struct api *api, struct request *req, struct response *res);

/* GET /problems/{slug}: what a problem's type means. */
void handle_problem_type(struct api *api, struct request *req, struct response *res);

#endif
