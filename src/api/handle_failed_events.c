#include "api/handlers.h"

#include "api/listing.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/json.h"

#define REPLAY_PAGE 500    /* messages handed to the committer at once */
#define REPLAY_MAX  100000 /* "limit" of one bulk replay */

static void write_failure(struct json_writer *w, const struct store_row *row)
{
    json_open_object(w);
    json_put_integer(w, "id", row->id);
    json_put_text(w, "event_id", row->event_id);
    json_put_text(w, "source", row->source);
    json_put_text(w, "event_type", row->event_type);
    if (row->customer_id.size > 0)
        json_put_text(w, "customer_id", row->customer_id);
    json_put_text(w, "correlation_id", row->correlation_id);
    json_put_text(w, "reason", row->reason);
    json_put_text(w, "error", row->error);
    json_put_integer(w, "attempts", row->attempt);
    json_put_time(w, "received_at", row->received_at_us);
    json_put_time(w, "first_failed_at", row->first_failed_at_us);
    json_put_time(w, "last_failed_at", row->last_failed_at_us);
    json_put_string(w, "status", row->replayed_at_us == 0 ? "open" : "replayed");
    json_put_time(w, "replayed_at", row->replayed_at_us);
    json_put_integer(w, "seq", row->seq);
    if (row->replay_seq != 0)
        json_put_integer(w, "replay_seq", row->replay_seq);
    json_put_text(w, "body", row->body); /* as text: it may be no valid JSON at all */
    json_close_object(w);
}

static bool read_status(const struct request *req, struct response *res, struct slice *status)
{
    listing_text(req, "status", status);
    if (status->size == 0 || slice_equal(*status, SLICE("open")) ||
        slice_equal(*status, SLICE("replayed")))
        return true;
    response_problem(res, req, 400, "invalid-query", NULL,
                     "status must be open or replayed, not '%.*s'", SLICE_ARG(*status));
    return false;
}

void handle_failure_list(struct api *api, struct request *req, struct response *res)
{
    struct store_query query = {.view = STORE_FAILURES};

    if (!listing_read(req, res, 'f', &query) || !read_status(req, res, &query.status))
        return;
    listing_text(req, "customer_id", &query.customer_id);
    listing_text(req, "event_type", &query.event_type);
    listing_text(req, "event_id", &query.event_id);
    listing_text(req, "reason", &query.reason);
    listing_answer(api, req, res, "failed_events", &query, write_failure);
}

/* The id of the path; false: 404 has been answered. */
static bool read_id(const struct request *req, struct response *res, int64_t *id)
{
    g_autofree char *text = g_strndup(req->params[0].data, req->params[0].size);
    guint64 value;

    if (g_ascii_string_to_unsigned(text, 10, 1, INT64_MAX, &value, NULL)) {
        *id = (int64_t)value;
        return true;
    }
    response_problem(res, req, 404, "not-found", NULL, "no failed event with the id '%.*s'",
                     SLICE_ARG(req->params[0]));
    return false;
}

static void take_one(const struct store_row *row, void *user)
{
    struct json_writer w;

    json_writer_init(&w, user);
    write_failure(&w, row);
}

void handle_failure_show(struct api *api, struct request *req, struct response *res)
{
    struct store_query query = {.view = STORE_FAILURES, .limit = 1};
    struct store_page page;
    g_autoptr(GError) error = NULL;

    if (!read_id(req, res, &query.seq))
        return;
    if (!store_list(api->store, &query, &req->arena, take_one, res->body, &page, &error))
        response_error(res, req, error);
    else if (page.count == 0)
        response_problem(res, req, 404, "not-found", NULL,
                         "no failed event with the id '%.*s'", SLICE_ARG(req->params[0]));
}

/* ---- replay: through the committer and the queue, like any other event ------------------------ */

/* A job and the executor thread that waits for it. */
struct replay {
    struct intake_job job;
    GArray *messages; /* struct queue_message; their slices live in job.arena */
    GMutex lock;
    GCond answered;
    bool is_done; /* under lock */
};

static void replay_done(struct intake_job *job)
{
    struct replay *r = job->owner;

    g_mutex_lock(&r->lock);
    r->is_done = true;
    g_cond_signal(&r->answered);
    g_mutex_unlock(&r->lock);
}

static void replay_init(struct replay *r)
{
    *r = (struct replay){0};
    intake_job_init(&r->job);
    r->job.owner = r;
    r->job.done = replay_done;
    r->messages = g_array_new(FALSE, FALSE, sizeof(struct queue_message));
    g_mutex_init(&r->lock);
    g_cond_init(&r->answered);
}

static void replay_clear(struct replay *r)
{
    g_cond_clear(&r->answered);
    g_mutex_clear(&r->lock);
    g_array_free(r->messages, TRUE);
    intake_job_done(&r->job);
}

static void take_replay(const struct store_row *row, void *user)
{
    struct replay *r = user;
    struct queue_message message = {
        .published_at_us = clock_now_us(),
        .key = arena_copy(&r->job.arena, row->event_id),
        .correlation = arena_copy(&r->job.arena, row->correlation_id),
        .body = arena_copy(&r->job.arena, row->body),
        .reference = row->id,
    };

    g_array_append_val(r->messages, message);
    r->job.bytes += message.body.size;
}

/* Hands the gathered failures to the committer and waits for its answer. */
static bool replay_publish(struct api *api, struct replay *r, GError **error)
{
    struct mail_list list = {0};

    r->job.messages = &g_array_index(r->messages, struct queue_message, 0);
    r->job.count = r->messages->len;
    if (r->job.count == 0)
        return true;
    if (!intake_reserve(api->intake, &r->job)) {
        g_set_error(error, EF_ERROR, EF_ERROR_RETRY, "too many events are in flight");
        return false;
    }
    mail_list_append(&list, &r->job.mail);
    intake_submit(api->intake, &list);
    g_mutex_lock(&r->lock);
    while (!r->is_done)
        g_cond_wait(&r->answered, &r->lock);
    g_mutex_unlock(&r->lock);
    if (r->job.result == INTAKE_ACCEPTED)
        return true;
    g_set_error(error, EF_ERROR, r->job.result == INTAKE_DISK_FULL ? EF_ERROR_FULL : EF_ERROR_RETRY,
                "%s", r->job.error != NULL ? r->job.error : "the queue did not take the events");
    return false;
}

/* Replays one page of failures; *count = how many were queued. */
static bool replay_page(struct api *api, struct store_query *query, size_t *count,
                        struct store_page *page, GError **error)
{
    struct replay r;
    bool is_ok;

    replay_init(&r);
    is_ok = store_list(api->store, query, &r.job.arena, take_replay, &r, page, error) &&
            replay_publish(api, &r, error);
    *count = r.messages->len;
    replay_clear(&r);
    return is_ok;
}

static bool refuse_when_closing(struct api *api, struct request *req, struct response *res)
{
    if (!atomic_load(&api->is_draining) && !atomic_load(&api->is_broken))
        return false;
    response_problem(res, req, 503, "not-ready", NULL, "nothing is accepted while shutting down");
    return true;
}

static void answer_replayed(struct response *res, size_t count, bool has_more)
{
    struct json_writer w;

    json_writer_init(&w, res->body);
    json_open_object(&w);
    json_put_integer(&w, "replayed", (int64_t)count);
    json_put_bool(&w, "has_more", has_more);
    json_close_object(&w);
    res->status = 202;
}

void handle_failure_replay(struct api *api, struct request *req, struct response *res)
{
    struct store_query query = {.view = STORE_FAILURES, .limit = 1};
    struct store_page page;
    size_t count;
    g_autoptr(GError) error = NULL;

    if (!read_id(req, res, &query.seq) || refuse_when_closing(api, req, res))
        return;
    if (!replay_page(api, &query, &count, &page, &error))
        response_error(res, req, error);
    else if (count == 0)
        response_problem(res, req, 404, "not-found", NULL,
                         "no failed event with the id '%.*s'", SLICE_ARG(req->params[0]));
    else
        answer_replayed(res, count, false);
}

/* Reads the filters of a bulk replay: a closed object. false: answered. */
static bool read_filters(struct request *req, struct response *res, struct store_query *query,
                         int64_t *limit)
{
    static const char *const names[] = {"reason", "event_type", "customer_id", "event_id"};
    struct slice *const targets[] = {&query->reason, &query->event_type, &query->customer_id,
                                     &query->event_id};
    const struct json_value *body;
    g_autoptr(GError) error = NULL;

    body = json_parse(req->body, &req->arena, &error);
    if (body == NULL || body->type != JSON_OBJECT) {
        response_problem(res, req, 400, "invalid-json", NULL, "%s",
                         error != NULL ? error->message : "the filters must be an object");
        return false;
    }
    for (const struct json_value *m = body->first; m != NULL; m = m->next) {
        size_t i = 0;

        while (i < G_N_ELEMENTS(names) && !slice_equal(m->key, slice_text(names[i])))
            i++;
        if (i < G_N_ELEMENTS(names) && m->type == JSON_TEXT && m->text.size > 0) {
            *targets[i] = m->text;
        } else if (!slice_equal(m->key, SLICE("limit")) ||
                   !json_integer(m, 1, REPLAY_MAX, limit)) {
            response_problem(res, req, 422, "invalid-document", NULL,
                             "'%.*s': known are reason, event_type, customer_id, event_id (texts) "
                             "and limit (1 to %d)",
                             SLICE_ARG(m->key), REPLAY_MAX);
            return false;
        }
    }
    return true;
}

void handle_failure_replay_many(struct api *api, struct request *req, struct response *res)
{
    struct store_query query = {.view = STORE_FAILURES, .status = SLICE("open")};
    struct store_page page = {0};
    int64_t limit = REPLAY_MAX;
    size_t total = 0;
    size_t count;
    g_autoptr(GError) error = NULL;

    if (refuse_when_closing(api, req, res) || !read_filters(req, res, &query, &limit))
        return;
    do {
        query.limit = MIN((size_t)limit - total, REPLAY_PAGE);
        if (!replay_page(api, &query, &count, &page, &error)) {
            response_error(res, req, error);
            return;
        }
        total += count;
        query.before = page.next;
    } while (page.has_more && total < (size_t)limit);
    answer_replayed(res, total, page.has_more);
}
