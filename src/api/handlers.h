/* handlers: the functions behind the route table, one file a group. Each reads the request, fills
 * the response and returns; failures become problem+json.
 */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api/api.h"
#include "api/request.h"

/* handle_events.c */
void handle_event_show(struct api *api, struct request *req, struct response *res);
void handle_event_list(struct api *api, struct request *req, struct response *res);
void handle_match_list(struct api *api, struct request *req, struct response *res);

/* handle_campaigns.c */
void handle_campaign_create(struct api *api, struct request *req, struct response *res);
void handle_campaign_list(struct api *api, struct request *req, struct response *res);
void handle_campaign_show(struct api *api, struct request *req, struct response *res);
void handle_campaign_replace(struct api *api, struct request *req, struct response *res);
void handle_campaign_patch(struct api *api, struct request *req, struct response *res);
void handle_campaign_delete(struct api *api, struct request *req, struct response *res);
void handle_campaign_versions(struct api *api, struct request *req, struct response *res);

/* handle_failed_events.c */
void handle_failure_list(struct api *api, struct request *req, struct response *res);
void handle_failure_show(struct api *api, struct request *req, struct response *res);
void handle_failure_replay(struct api *api, struct request *req, struct response *res);
void handle_failure_replay_many(struct api *api, struct request *req, struct response *res);

/* handle_status.c */
void handle_root(struct api *api, struct request *req, struct response *res);
void handle_health(struct api *api, struct request *req, struct response *res);
void handle_health_live(struct api *api, struct request *req, struct response *res);
void handle_health_ready(struct api *api, struct request *req, struct response *res);
void handle_metrics(struct api *api, struct request *req, struct response *res);
void handle_metrics_summary(struct api *api, struct request *req, struct response *res);
void handle_openapi(struct api *api, struct request *req, struct response *res);
void handle_docs(struct api *api, struct request *req, struct response *res);
void handle_problem_type(struct api *api, struct request *req, struct response *res);

#endif
