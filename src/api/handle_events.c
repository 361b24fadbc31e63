/* handle_events: one event wherever it is, and the lists of events and matches.
 *
 * An event lives in up to four places: the queue, the retry table, the table of processed
 * events, the failures. One view is gathered from all of them before anything is written, so
 * that the answer is either whole or an error.
 * Deliberately missing: a search in the raw log. Without an outcome an id is found only while it
 * waits. */
#include "api/handlers.h"

#include "api/listing.h"
#include "common/json.h"
#include "core/event.h"

#define EVENT_ROWS_MAX    16   /* events with one id but different sources that are looked at */
#define EVENT_RETRIES_MAX 1000 /* waiting retries searched for an id */

/* What is known about one event id, gathered before anything is written. The slices live in the
 * request's arena. */
struct event_view {
    struct slice event_id;
    struct slice source;
    bool has_source;              /* chosen by the client, or by the first thing found */
    const char *state;            /* NULL: not found */
    struct queue_message message; /* the raw event */
    bool has_message;             /* message is set: at least body, seq and times */
    struct store_row row;         /* processed: its slices live in the request's arena */
    bool is_processed;            /* row is set */
    GString *matches;             /* JSON rows, comma-separated */
    GString *failures;            /* JSON rows, comma-separated */
    struct arena *arena;
};

/* Rows are borrowed for the call of their function; this makes a slice of theirs last. */
static struct slice keep(struct arena *a, struct slice s)
{
    return s.size == 0 ? s : arena_copy(a, s);
}

/* For store_list, newest first. */
static void take_processed(const struct store_row *row, void *user)
{
    struct event_view *view = user;

    if (view->is_processed)
        return; /* another source with the same id: the newest one is shown */
    view->is_processed = true;
    view->row = *row;
    view->row.worker_id = keep(view->arena, row->worker_id);
    view->source = keep(view->arena, row->source);
    view->has_source = true;
}

/* One row of GET /matches, and of the matches inside an event. */
static void write_match(struct json_writer *w, const struct store_row *row)
{
    json_open_object(w);
    json_put_text(w, "campaign_id", row->campaign_id);
    json_put_integer(w, "campaign_version", row->campaign_version);
    json_put_text(w, "event_id", row->event_id);
    json_put_text(w, "source", row->source);
    json_put_text(w, "event_type", row->event_type);
    if (row->customer_id.size > 0)
        json_put_text(w, "customer_id", row->customer_id);
    json_put_text(w, "outcome", row->outcome);
    json_put_raw(w, "then", row->rewards);
    json_put_time(w, "timestamp", row->at_us);
    json_put_time(w, "matched_at", row->matched_at_us);
    json_close_object(w);
}

/* Goes on writing a list that began in an earlier call: the writer is new each time, the text is
 * not. */
static void begin_row(struct json_writer *w, GString *rows)
{
    json_writer_init(w, rows);
    w->needs_comma = rows->len > 0;
}

/* For store_list. */
static void take_match(const struct store_row *row, void *user)
{
    struct event_view *view = user;
    struct json_writer w;

    begin_row(&w, view->matches);
    write_match(&w, row);
}

/* For store_list. The first one with a body also gives the raw event, unless a waiting message
 * did. */
static void take_failure(const struct store_row *row, void *user)
{
    struct event_view *view = user;
    struct json_writer w;

    if (row->replayed_at_us == 0 && view->state == NULL)
        view->state = "failed";
    if (!view->has_message && row->body.size > 0) {
        view->message.body = keep(view->arena, row->body);
        view->message.seq = row->seq;
        view->message.published_at_us = row->received_at_us;
        view->message.correlation = keep(view->arena, row->correlation_id);
        view->has_message = true;
    }
    begin_row(&w, view->failures);
    json_open_object(&w);
    json_put_integer(&w, "id", row->id);
    json_put_text(&w, "reason", row->reason);
    json_put_text(&w, "error", row->error);
    json_put_integer(&w, "attempts", row->attempt);
    json_put_string(&w, "status", row->replayed_at_us == 0 ? "open" : "replayed");
    json_put_time(&w, "last_failed_at", row->last_failed_at_us);
    json_close_object(&w);
}

/* The source stands in the body only: a waiting message is bytes to the queue. Whether the message
 * is of the source that was asked for; any will do when none was. */
static bool message_is_from(const struct queue_message *m, const struct event_view *view)
{
    struct arena scratch;
    const struct json_value *body;
    bool is_same;

    if (!view->has_source)
        return true;
    arena_init(&scratch);
    body = json_parse_any(m->body, &scratch, NULL);
    is_same = slice_equal(json_get_text(body, "source"), view->source);
    arena_done(&scratch);
    return is_same;
}

/* The oldest one that fits. Its slices live in the request's arena already. */
static void take_message(struct event_view *view, const struct queue_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct queue_message *m = &batch->messages[i];

        if (!slice_equal(m->key, view->event_id) || !message_is_from(m, view))
            continue;
        view->message = *m;
        view->has_message = true;
        view->state = "queued";
        return;
    }
}

/* Moves what is shown of the message to the request's arena. */
static void keep_message(struct event_view *view)
{
    view->message.correlation = keep(view->arena, view->message.correlation);
    view->message.body = keep(view->arena, view->message.body);
}

/* Messages that wait for their next attempt have left the queue but have no outcome yet. At most
 * EVENT_RETRIES_MAX of them are looked at: there is no index by event id. */
static bool find_retrying(struct api *api, struct event_view *view, GError **error)
{
    struct store_retry *retries;
    struct queue_batch batch;
    struct arena scratch;
    size_t count;
    bool is_ok;

    /* INT64_MAX: whenever they are due. */
    if (!store_retries(api->store, INT64_MAX, EVENT_RETRIES_MAX, view->arena, &retries, &count,
                       error))
        return false;
    /* One at a time: together their bodies could be as large as the memory. */
    arena_init(&scratch);
    is_ok = true;
    for (size_t i = 0; is_ok && view->state == NULL && i < count; i++) {
        arena_reset(&scratch);
        is_ok = queue_read(api->queue, &retries[i].seq, 1, &scratch, &batch, error);
        if (is_ok)
            take_message(view, &batch);
    }
    if (view->has_message)
        keep_message(view);
    arena_done(&scratch);
    return is_ok;
}

/* Gives each row of one of the store's views about this event to row. Matches are found by the seq
 * of the processed message, as an id alone may stand for events of several sources. */
static bool list_into(struct api *api, struct event_view *view, enum store_view what,
                      store_row_fn row, GError **error)
{
    struct store_query query = {
        .view = what,
        .event_id = view->event_id,
        .has_source = view->has_source && what != STORE_MATCHES,
        .source = view->source,
        .limit = what == STORE_EVENTS ? EVENT_ROWS_MAX : LISTING_LIMIT_MAX,
    };
    struct store_page page;

    if (what == STORE_MATCHES)
        query.seq = view->row.seq;
    return store_list(api->store, &query, view->arena, row, view, &page, error);
}

/* The bytes as they came. A queue that has dropped them leaves the view without: no error. */
static bool read_raw(struct api *api, struct event_view *view, GError **error)
{
    struct queue_batch batch;

    if (!queue_read(api->queue, &view->row.seq, 1, view->arena, &batch, error))
        return false;
    if (batch.count == 1) {
        view->message = batch.messages[0];
        view->has_message = true;
    }
    return true;
}

/* An event only moves forward (queue, retry table, outcome), so looking in that order and at the
 * outcomes last can never miss it. After false something could not be read; nothing was
 * answered. */
static bool gather(struct api *api, struct event_view *view, GError **error)
{
    struct queue_batch batch;

    /* First where an event is youngest: it may be settled between two looks, and is then found
     * below. */
    if (!queue_find(api->queue, view->event_id, EVENT_ROWS_MAX, view->arena, &batch, error))
        return false;
    take_message(view, &batch);
    if (view->state == NULL && !find_retrying(api, view, error))
        return false;
    if (!list_into(api, view, STORE_EVENTS, take_processed, error))
        return false;
    if (view->is_processed) {
        view->state = "processed";
        if (!read_raw(api, view, error) || !list_into(api, view, STORE_MATCHES, take_match, error))
            return false;
    }
    return list_into(api, view, STORE_FAILURES, take_failure, error);
}

/* The fields that stand in the body: shown for every state, whatever the store knows. They are
 * copied as they stand, without being checked: a failed event may have any type there. */
static void write_body_fields(struct json_writer *w, struct event_view *view)
{
    /* Names as in the event's envelope. */
    static const char *const fields[] = {"source", "event_type", "customer_id", "timestamp"};
    const struct json_value *body = json_parse_any(view->message.body, view->arena, NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        const struct json_value *field = json_get(body, slice_text(fields[i]));

        if (field != NULL)
            json_put_raw(w, fields[i], field->source);
    }
    json_put_text(w, "correlation_id", view->message.correlation);
    json_put_time(w, "received_at", view->message.published_at_us);
    json_put_integer(w, "seq", view->message.seq);
}

/* The state, then the raw fields, then what the engine made of it. */
static void write_event(struct json_writer *w, struct event_view *view)
{
    json_open_object(w);
    json_put_text(w, "event_id", view->event_id);
    json_put_string(w, "state", view->state);
    if (view->has_message)
        write_body_fields(w, view);
    if (view->is_processed) {
        json_put_time(w, "processed_at", view->row.processed_at_us);
        json_put_number(w, "processing_ms", (double)view->row.processing_us / 1000.0);
        json_put_text(w, "worker_id", view->row.worker_id);
        json_put_integer(w, "attempt", view->row.attempt);
    }
    json_put_integer(w, "duplicates", view->row.duplicates);
    json_key(w, "matches");
    json_open_array(w);
    if (view->matches->len > 0)
        json_add_raw(w, slice_of(view->matches->str, view->matches->len));
    json_close_array(w);
    json_key(w, "failures");
    json_open_array(w);
    if (view->failures->len > 0)
        json_add_raw(w, slice_of(view->failures->str, view->failures->len));
    json_close_array(w);
    json_put_raw(w, "event", view->has_message ? view->message.body : SLICE("null"));
    json_close_object(w);
}

/* An id that is too long cannot exist, so nobody is asked. */
void handle_event_show(struct api *api, struct request *req, struct response *res)
{
    /* Rows are collected as text, because the store hands them out before the answer's head is
     * known. */
    g_autoptr(GString) matches = g_string_new(NULL);
    g_autoptr(GString) failures = g_string_new(NULL);
    struct event_view view = {
        .event_id = req->params[0],
        .matches = matches,
        .failures = failures,
        .arena = &req->arena,
    };
    struct json_writer w;
    g_autoptr(GError) error = NULL;

    view.has_source = request_query(req, "source", &view.source);
    if (view.event_id.size > EVENT_ID_MAX) {
        response_problem(res, req, 404, "not-found", NULL, "an event id has at most %d bytes",
                         EVENT_ID_MAX);
        return;
    }
    if (!gather(api, &view, &error)) {
        response_error(res, req, error);
        return;
    }
    /* All its failures were replayed, and what became of the replay is filed under its own
     * message. */
    if (view.state == NULL && failures->len > 0)
        view.state = "replayed";
    if (view.state == NULL) {
        response_problem(res, req, 404, "not-found", NULL, "no event with the id '%.*s'",
                         SLICE_ARG(view.event_id));
        return;
    }
    json_writer_init(&w, res->body);
    write_event(&w, &view);
}

/* One row of GET /events. */
static void write_event_row(struct json_writer *w, const struct store_row *row)
{
    json_open_object(w);
    json_put_text(w, "event_id", row->event_id);
    json_put_text(w, "source", row->source);
    json_put_text(w, "event_type", row->event_type);
    if (row->customer_id.size > 0)
        json_put_text(w, "customer_id", row->customer_id);
    json_put_time(w, "timestamp", row->at_us);
    json_put_time(w, "received_at", row->received_at_us);
    json_put_time(w, "processed_at", row->processed_at_us);
    json_put_string(w, "state", "processed");
    json_put_integer(w, "duplicates", row->duplicates);
    json_put_integer(w, "match_count", row->match_count);
    json_put_text(w, "correlation_id", row->correlation_id);
    json_close_object(w);
}

/* An empty source is one of its own: has_source tells it from none given. */
void handle_event_list(struct api *api, struct request *req, struct response *res)
{
    struct store_query query = {.view = STORE_EVENTS};

    if (!listing_read(req, res, 'e', &query))
        return;
    listing_text(req, "customer_id", &query.customer_id);
    listing_text(req, "event_type", &query.event_type);
    query.has_source = request_query(req, "source", &query.source);
    listing_answer(api, req, res, "events", &query, write_event_row);
}

/* The filters may be combined; the store chooses the index. */
void handle_match_list(struct api *api, struct request *req, struct response *res)
{
    struct store_query query = {.view = STORE_MATCHES};

    if (!listing_read(req, res, 'm', &query))
        return;
    listing_text(req, "campaign_id", &query.campaign_id);
    listing_text(req, "customer_id", &query.customer_id);
    listing_text(req, "event_id", &query.event_id);
    listing_answer(api, req, res, "matches", &query, write_match);
}
