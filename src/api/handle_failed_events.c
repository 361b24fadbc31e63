/* handle_failed_events: the failures, and how they get a second chance.
 *
 * A replay is a new message with the same body, which refers to the failure (reference). It
 * takes the way of every event, through the committer and the queue, so it is as durable as any;
 * the worker marks the failure when that message has its end. The executor's thread waits for
 * the committer's answer.
 * Deliberately missing: editing. What is replayed is what came in; a mended event is a new
 * event. */
#include "api/handlers.h"

#include "api/listing.h"
#include "api/replays.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/json.h"

#define REPLAY_PAGE  100           /* failures handed to the committer at once, */
#define REPLAY_BYTES (1024 * 1024) /* and their bytes: no more than a request may hold */
#define REPLAY_MAX   100000        /* "limit" of one bulk replay */

/* One row of GET /failed-events, and the whole answer for one id. Times that are not set are
 * null. */
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

/* A misspelt status is refused: it would answer with an empty list. false: answered. */
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

/* All filters narrow the list; they may be combined. */
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

/* The id of the path; false: 404 has been answered. Digits only; anything else cannot be the id of
 * a failure, hence no 400. */
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

/* For store_list; user is the answer's body. */
static void take_one(const struct store_row *row, void *user)
{
    struct json_writer w;

    json_writer_init(&w, user);
    write_failure(&w, row);
}

/* The row is written while the store hands it out; a 404 replaces an empty body. */
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
        response_problem(res, req, 404, "not-found", NULL, "no failed event with the id '%.*s'",
                         SLICE_ARG(req->params[0]));
}

/* ---- replay: through the committer and the queue, like any other event ------------------------
 */

/* A job and the executor thread that waits for it. */
struct replay {
    struct intake_job job;
    struct replays *replays; /* borrowed */
    GArray *messages;        /* struct queue_message; their slices live in job.arena */
    bool was_replayed;       /* a failure was skipped: its row is marked already */
    bool is_on_its_way;      /* a failure was skipped: another request has queued it */
    bool has_no_body;        /* a failure was skipped: nothing of its event is left */
    int64_t cut_before;      /* the page was cut behind this failure; 0 = it was not */
    int64_t last;            /* the failure looked at last */
    GMutex lock;
    GCond answered;
    bool is_done; /* under lock */
};

/* On the committer's thread. The signal is given under the lock, since the waiting thread frees the
 * struct as soon as it has the lock. */
static void replay_done(struct intake_job *job)
{
    struct replay *r = job->owner;

    g_mutex_lock(&r->lock);
    r->is_done = true;
    g_cond_signal(&r->answered);
    g_mutex_unlock(&r->lock);
}

/* The struct must not move afterwards: the job points to it. */
static void replay_init(struct replay *r, struct replays *replays)
{
    *r = (struct replay){.replays = replays};
    intake_job_init(&r->job);
    r->job.owner = r;
    r->job.done = replay_done;
    r->messages = g_array_new(FALSE, FALSE, sizeof(struct queue_message));
    g_mutex_init(&r->lock);
    g_cond_init(&r->answered);
}

/* The job must have been answered, or never submitted. */
static void replay_clear(struct replay *r)
{
    g_cond_clear(&r->answered);
    g_mutex_clear(&r->lock);
    g_array_free(r->messages, TRUE);
    intake_job_done(&r->job);
}

/* The arrival time is now: a replay has its own place in the log. */
static void add_message(struct replay *r, const struct store_row *row)
{
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

/* For store_list. A claim that is made here is given back when nothing was queued. */
static void take_replay(const struct store_row *row, void *user)
{
    struct replay *r = user;

    if (r->cut_before == 0 && r->messages->len > 0 && r->job.bytes + row->body.size > REPLAY_BYTES)
        r->cut_before = r->last;
    if (r->cut_before != 0)
        return;
    r->last = row->id;
    if (row->body.size == 0)
        r->has_no_body = true;
    else if (row->replayed_at_us != 0)
        r->was_replayed = true;
    else if (!replays_claim(r->replays, row->id))
        r->is_on_its_way = true;
    else
        add_message(r, row);
}

/* Nothing was queued: others may try. */
static void release_all(struct replay *r)
{
    for (guint i = 0; i < r->messages->len; i++)
        replays_release(r->replays, g_array_index(r->messages, struct queue_message, i).reference);
}

/* Hands the gathered failures to the committer and waits for its answer. The messages are queued
 * together or not at all. Errors: RETRY, FULL. Blocks as long as a commit takes. */
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

/* What became of one page of failures. */
struct replayed_page {
    struct store_page page;
    size_t count; /* queued */
    bool was_replayed;
    bool is_on_its_way;
    bool has_no_body;
};

/* Reads one page and queues it. After false nothing of the page was queued. */
static bool replay_page(struct api *api, const struct store_query *query, struct replayed_page *out,
                        GError **error)
{
    struct replay r;
    bool is_ok;

    *out = (struct replayed_page){0};
    replay_init(&r, api->replays);
    is_ok = store_list(api->store, query, &r.job.arena, take_replay, &r, &out->page, error) &&
            replay_publish(api, &r, error);
    if (!is_ok)
        release_all(&r);
    out->count = r.messages->len;
    out->was_replayed = r.was_replayed;
    out->is_on_its_way = r.is_on_its_way;
    out->has_no_body = r.has_no_body;
    if (r.cut_before != 0) {
        out->page.has_more = true;
        out->page.next = r.cut_before;
    }
    replay_clear(&r);
    return is_ok;
}

/* true: the 503 has been answered. */
static bool refuse_when_closing(struct api *api, struct request *req, struct response *res)
{
    if (!atomic_load(&api->is_draining) && !atomic_load(&api->is_broken))
        return false;
    response_problem(res, req, 503, "not-ready", NULL, "nothing is accepted while shutting down");
    return true;
}

/* 202: queued durably, not processed yet. */
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
    struct replayed_page done;
    g_autoptr(GError) error = NULL;

    if (!read_id(req, res, &query.seq) || refuse_when_closing(api, req, res))
        return;
    if (!replay_page(api, &query, &done, &error))
        response_error(res, req, error);
    else if (done.was_replayed)
        response_problem(res, req, 409, "conflict", NULL, "this failure was replayed already");
    else if (done.is_on_its_way)
        response_problem(res, req, 409, "conflict", NULL, "this failure is being replayed already");
    else if (done.has_no_body)
        response_problem(res, req, 409, "conflict", NULL,
                         "nothing of this event is left to be replayed");
    else if (done.count == 0)
        response_problem(res, req, 404, "not-found", NULL, "no failed event with the id '%.*s'",
                         SLICE_ARG(req->params[0]));
    else
        answer_replayed(res, done.count, false);
}

/* Reads the filters of a bulk replay: a closed object. false: answered. A misspelt filter would
 * replay everything, so unknown members are refused. */
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
        } else if (!slice_equal(m->key, SLICE("limit")) || !json_integer(m, 1, REPLAY_MAX, limit)) {
            response_problem(res, req, 422, "invalid-document", NULL,
                             "'%.*s': known are reason, event_type, customer_id, event_id (texts) "
                             "and limit (1 to %d)",
                             SLICE_ARG(m->key), REPLAY_MAX);
            return false;
        }
    }
    return true;
}

/* The error of a later page. How many earlier ones queued becomes a member of the problem: without
 * it, a client could take the error for "nothing was done". */
static void answer_stopped(struct request *req, struct response *res, const GError *error,
                           size_t replayed)
{
    struct json_writer w;

    response_error(res, req, error);
    g_string_truncate(res->body, res->body->len - 1); /* the brace that closes the problem */
    json_writer_init(&w, res->body);
    w.needs_comma = true;
    json_put_integer(&w, "replayed", (int64_t)replayed);
    json_close_object(&w);
}

/* Page by page, so that memory and one commit stay small. What earlier pages queued stays queued
 * when a later one fails. */
void handle_failure_replay_many(struct api *api, struct request *req, struct response *res)
{
    struct store_query query = {.view = STORE_FAILURES, .status = SLICE("open")};
    struct replayed_page done;
    int64_t limit = REPLAY_MAX;
    size_t total = 0;
    g_autoptr(GError) error = NULL;

    if (refuse_when_closing(api, req, res) || !read_filters(req, res, &query, &limit))
        return;
    do {
        query.limit = MIN((size_t)limit - total, REPLAY_PAGE);
        if (!replay_page(api, &query, &done, &error)) {
            answer_stopped(req, res, error, total);
            return;
        }
        total += done.count;
        query.before = done.page.next;
    } while (done.page.has_more && total < (size_t)limit);
    answer_replayed(res, total, done.page.has_more);
}
