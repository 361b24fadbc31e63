/* intake_route: POST /events: decoded here, made durable by the committer, answered on its
 * thread.
 *
 * The jobs of one round form a group: the first exchange counts how many are not answered yet,
 * and whoever answers the last one sends them all back, so a loop is woken once for a whole
 * group and not once for each request. A group is closed at GROUP_EVENTS_MAX, so that nobody
 * waits for more than about one commit beyond his own.
 * Deliberately missing: a copy of the events. They stay in the buffers they arrived in. */
#include "api/exchange.h"
#include "api/problem.h"
#include "common/error.h"
#include "common/log.h"

/* Events; a single larger request still is one group. */
#define GROUP_EVENTS_MAX 1024

/* ---- answers --------------------------------------------------------------------------------- */

/* "rejected":[{"index","errors"}], in the order of the request. */
static void add_rejections(struct json_writer *w, const struct intake_job *job)
{
    json_key(w, "rejected");
    json_open_array(w);
    for (size_t i = 0; i < job->rejected; i++) {
        json_open_object(w);
        json_put_integer(w, "index", (int64_t)job->rejections[i].index);
        problem_add_errors(w, job->rejections[i].problems);
        json_close_object(w);
    }
    json_close_array(w);
}

/* For arrays and lines, also when nothing of them was rejected. */
static void answer_counts(struct exchange *x)
{
    struct json_writer w;

    x->response.status = 202;
    json_writer_init(&w, x->response.body);
    json_open_object(&w);
    json_put_integer(&w, "accepted", (int64_t)x->job.count);
    add_rejections(&w, &x->job);
    json_close_object(&w);
}

/* The answer's correlation id is the event's own when the client named none for the request. */
static void answer_single(struct exchange *x)
{
    const struct queue_message *m = &x->job.messages[0];
    struct json_writer w;

    if (!x->request.has_correlation_id && m->correlation.size > 0)
        x->request.correlation_id = m->correlation;
    x->response.status = 202;
    json_writer_init(&w, x->response.body);
    json_open_object(&w);
    json_put_text(&w, "event_id", m->key);
    json_put_text(&w, "correlation_id", m->correlation);
    json_close_object(&w);
}

/* On the committer's thread, like all of ANSWERS: rendering is kept off the loop. The one place
 * where an event counts as received: it is durable now. */
static void answer_accepted(struct exchange *x)
{
    metric_add(x->loop->server->events_received, x->job.count);
    if (x->job.is_batch)
        answer_counts(x);
    else
        answer_single(x);
}

/* None is good, or one is not and all or nothing was asked for. */
static void answer_rejected(struct exchange *x)
{
    struct json_writer w;
    const char *detail = x->job.is_batch && x->job.count > 0
                             ? "not all events are valid; nothing was stored (atomic)"
                             : "no event is valid; nothing was stored";

    if (!x->job.is_batch)
        detail = "the event is not valid";
    problem_open(&w, &x->response, &x->request, 422, "invalid-event", detail);
    if (x->job.is_batch)
        add_rejections(&w, &x->job);
    else
        problem_add_errors(&w, x->job.rejections[0].problems);
    json_close_object(&w);
}

/* 503 with Retry-After: the same request may be sent again, as nothing of it was stored. */
static void answer_busy(struct exchange *x, const char *slug, const char *why)
{
    response_problem(&x->response, &x->request, 503, slug, NULL,
                     "%s; nothing was stored, please try again", why);
    response_header(&x->response, "Retry-After", SLICE("1"));
}

static void answer_passing_trouble(struct exchange *x)
{
    answer_busy(x, "temporarily-unavailable",
                x->job.error != NULL ? x->job.error : "events are not taken right now");
}

static void answer_disk_full(struct exchange *x)
{
    response_disk_full(&x->response, &x->request);
}

/* The only answer that leaves the outcome open. Sending the event again is safe: the worker drops
 * copies. */
static void answer_broken(struct exchange *x)
{
    response_problem(&x->response, &x->request, 503, "broken", NULL,
                     "a commit failed; whether the events were stored is unknown");
    response_header(&x->response, "Retry-After", SLICE("1"));
}

/* By intake_result. */
static void (*const ANSWERS[])(struct exchange *) = {
    [INTAKE_ACCEPTED] = answer_accepted,
    [INTAKE_BUSY] = answer_passing_trouble,
    [INTAKE_DISK_FULL] = answer_disk_full,
    [INTAKE_BROKEN] = answer_broken,
};

/* ---- back from the committer ----------------------------------------------------------------- */

/* group_left was set before the jobs were handed over and is the committer's alone since then. */
static void intake_route_done(struct intake_job *job)
{
    struct exchange *x = job->owner;
    struct exchange *group = x->group;

    ANSWERS[job->result](x);
    mail_list_append(&group->group_mails, &x->mail.mail);
    if (--group->group_left == 0) {
        /* Copied first: once they are put, the loop may free the group's exchange. */
        struct mail_list mails = group->group_mails;

        mailbox_put(x->loop->inbox, &mails);
    }
}

/* ---- to the committer ------------------------------------------------------------------------ */

/* Loop thread. From the end of the round on the job is the committer's. */
static void intake_route_collect(struct exchange *x)
{
    struct loop *loop = x->loop;

    if (loop->group == NULL) {
        loop->group = x;
        x->group_left = 0;
        x->group_mails = (struct mail_list){0};
        loop->group_events = 0;
    }
    x->group = loop->group;
    x->group->group_left++;
    mail_list_append(&loop->jobs, &x->job.mail);
    loop->outstanding++;
    loop->group_events += x->job.count;
    if (loop->group_events >= GROUP_EVENTS_MAX)
        loop->group = NULL; /* the next job begins another one */
}

/* The group is closed with the round, since its count must not change at the committer. */
void intake_route_submit(struct loop *loop)
{
    loop->group = NULL;
    if (loop->jobs.count > 0)
        intake_submit(loop->api->intake, &loop->jobs);
}

/* The route lists the formats with JSON first; whatever ends in "ndjson" is lines. */
static enum intake_format read_format(const struct request *r)
{
    struct slice media = request_header(r, "content-type");
    const char *mark = media.size > 0 ? memchr(media.data, ';', media.size) : NULL;

    if (mark != NULL)
        media.size = (size_t)(mark - media.data);
    while (media.size > 0 &&
           (media.data[media.size - 1] == ' ' || media.data[media.size - 1] == '\t'))
        media.size--;
    if (media.size >= 6 && g_ascii_strncasecmp(media.data + media.size - 6, "ndjson", 6) == 0)
        return INTAKE_NDJSON;
    return INTAKE_JSON;
}

/* Anything but the two words is a mistake that would store half a batch. */
static bool read_atomic(struct exchange *x, bool *is_atomic)
{
    struct slice value = SLICE("false");

    request_query(&x->request, "atomic", &value);
    *is_atomic = slice_equal(value, SLICE("true"));
    if (*is_atomic || slice_equal(value, SLICE("false")))
        return true;
    response_problem(&x->response, &x->request, 400, "invalid-query", NULL,
                     "atomic must be true or false");
    return false;
}

/* The body stays where it is: messages point into the connection's buffer, which outlives the job
 * (conn_abandon sees to it). false: 400 or 413 has been answered; the job is empty then. */
static bool decode(struct exchange *x)
{
    struct request *r = &x->request;
    struct slice correlation = r->has_correlation_id ? r->correlation_id : (struct slice){0};
    g_autoptr(GError) error = NULL;

    x->job.owner = x;
    x->job.done = intake_route_done;
    if (intake_decode(&x->job, read_format(r), r->body, r->trace, correlation, r->arrived_us,
                      &x->loop->api->intake_limits, &x->loop->flat, &error))
        return true;
    if (g_error_matches(error, EF_ERROR, EF_ERROR_FULL))
        response_problem(&x->response, r, 413, "too-many-events", NULL, "%s", error->message);
    else
        response_problem(&x->response, r, 400, "invalid-json", NULL, "%s", error->message);
    return false;
}

/* Room is reserved last, when it is certain that the job will be handed over. */
bool intake_route_dispatch(struct exchange *x)
{
    bool is_atomic;

    if (!read_atomic(x, &is_atomic) || !decode(x))
        return true;
    if (x->job.rejected > 0 && (x->job.count == 0 || is_atomic)) {
        answer_rejected(x);
        return true;
    }
    if (x->job.count == 0) {
        answer_counts(x); /* an empty array: nothing to store */
        return true;
    }
    if (!intake_reserve(x->loop->api->intake, &x->job)) {
        log_warn(LOG_MSG("events were refused: too many are waiting for their commit"),
                 LOG_TEXT("correlation_id", x->request.correlation_id));
        answer_busy(x, "too-many-in-flight", "too many events are in flight");
        return true;
    }
    intake_route_collect(x);
    return false;
}
