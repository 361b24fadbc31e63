/* handle_events: one event wherever it is, and the lists of events and matches.
 *
 * An event lives in up to four places: the queue, the retry table, the table of processed
 * events, the failures. One view is gathered from all of them before anything is written, so
 * that the answer is either whole or an error.
 * Deliberately missing: a search in the raw log. Without an outcome an id is found only while it
 * waits. */
#include "api/handlers.h"

#include "api/event_find.h"
#include "api/listing.h"
#include "common/json.h"

/* What is known about one event id, gathered before anything is written. */
struct event_view {
    struct found_event found;
    GString *matches;  /* JSON rows, comma-separated */
    GString *failures; /* JSON rows, comma-separated */
};

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

/* For store_list. */
static void take_failure(const struct store_row *row, void *user)
{
    struct event_view *view = user;
    struct json_writer w;

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

/* Gives each row of one of the store's views about this event to row. Matches are found by the seq
 * of the processed message, as an id alone may stand for events of several sources. */
static bool list_into(struct api *api, struct event_view *view, enum store_view what,
                      store_row_fn row, GError **error)
{
    const struct found_event *found = &view->found;
    struct store_query query = {
        .view = what,
        .event_id = found->event_id,
        .has_source = found->has_source && what != STORE_MATCHES,
        .source = found->source,
        .limit = LISTING_LIMIT_MAX,
    };
    struct store_page page;

    if (what == STORE_MATCHES)
        query.seq = found->seq;
    return store_list(api->store, &query, found->arena, row, view, &page, error);
}

/* The lists beside the event. After false something could not be read. */
static bool gather(struct api *api, struct event_view *view, GError **error)
{
    return (!view->found.is_processed || list_into(api, view, STORE_MATCHES, take_match, error)) &&
           list_into(api, view, STORE_FAILURES, take_failure, error);
}

/* The fields that stand in the body: shown for every state, whatever the store knows. They are
 * copied as they stand, without being checked: a failed event may have any type there. */
static void write_body_fields(struct json_writer *w, const struct found_event *event)
{
    /* Names as in the event's envelope. */
    static const char *const fields[] = {"source", "event_type", "customer_id", "timestamp"};
    const struct json_value *body = json_parse_any(event->body, event->arena, NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        const struct json_value *field = json_get(body, slice_text(fields[i]));

        if (field != NULL)
            json_put_raw(w, fields[i], field->source);
    }
    json_put_text(w, "correlation_id", event->correlation);
    json_put_time(w, "received_at", event->received_at_us);
    json_put_integer(w, "seq", event->seq);
}

/* The state, then the raw fields, then what the engine made of it. */
static void write_event(struct json_writer *w, const struct event_view *view)
{
    const struct found_event *event = &view->found;

    json_open_object(w);
    json_put_text(w, "event_id", event->event_id);
    json_put_string(w, "state", event->state);
    if (event->has_body)
        write_body_fields(w, event);
    if (event->is_processed) {
        json_put_time(w, "processed_at", event->row.processed_at_us);
        json_put_number(w, "processing_ms", (double)event->row.processing_us / 1000.0);
        json_put_text(w, "worker_id", event->row.worker_id);
        json_put_integer(w, "attempt", event->row.attempt);
    }
    json_put_integer(w, "duplicates", event->row.duplicates);
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
    json_put_raw(w, "event", event->has_body ? event->body : SLICE("null"));
    json_close_object(w);
}

void handle_event_show(struct api *api, struct request *req, struct response *res)
{
    /* Rows are collected as text, because the store hands them out before the answer's head is
     * known. */
    g_autoptr(GString) matches = g_string_new(NULL);
    g_autoptr(GString) failures = g_string_new(NULL);
    struct event_view view = {.matches = matches, .failures = failures};
    struct json_writer w;
    g_autoptr(GError) error = NULL;

    if (!event_find_asked(api, req, res, &view.found))
        return;
    if (!gather(api, &view, &error)) {
        response_error(res, req, error);
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
