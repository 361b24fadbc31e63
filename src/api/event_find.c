/* event_find: see the header. The order of the looks is what makes it safe: an event that is
 * settled between two of them is found by a later one. */
#include "api/event_find.h"

#include "common/json.h"
#include "core/event.h"

#define RETRIES_MAX 1000 /* waiting retries searched for the id: there is no index by event id */
#define ROWS_MAX    16   /* events or failures with the id that are looked at */

/* Rows and batches are borrowed; this makes a slice of theirs last. */
static struct slice keep(struct found_event *event, struct slice s)
{
    return s.size == 0 ? s : arena_copy(event->arena, s);
}

/* The source of a waiting message stands in its body only. scratch is used up. */
static struct slice source_of(const struct queue_message *m, struct arena *scratch)
{
    return json_get_text(json_parse_any(m->body, scratch, NULL), "source");
}

static void take_body(struct found_event *event, const struct queue_message *m)
{
    event->seq = m->seq;
    event->received_at_us = m->published_at_us;
    event->body = keep(event, m->body);
    event->has_body = true;
    event->correlation = keep(event, m->correlation);
}

/* The first message with the id and, when one was given, the source. */
static void take_message(struct found_event *event, const struct queue_batch *batch)
{
    for (size_t i = 0; i < batch->count && event->state == NULL; i++) {
        const struct queue_message *m = &batch->messages[i];
        struct arena scratch;
        struct slice source;

        if (!slice_equal(m->key, event->event_id))
            continue;
        arena_init(&scratch);
        source = source_of(m, &scratch);
        if (!event->has_source || slice_equal(source, event->source)) {
            take_body(event, m);
            event->shown_source = keep(event, source);
            event->state = "queued";
        }
        arena_done(&scratch);
    }
}

/* One body at a time: together they could be as large as the memory. */
static bool find_retrying(struct api *api, struct found_event *event, GError **error)
{
    struct arena list, scratch;
    struct store_retry *retries;
    struct queue_batch batch;
    size_t count = 0;
    bool is_ok;

    arena_init(&list);
    arena_init(&scratch);
    /* INT64_MAX: whenever they are due. */
    is_ok = store_retries(api->store, INT64_MAX, RETRIES_MAX, &list, &retries, &count, error);
    for (size_t i = 0; is_ok && event->state == NULL && i < count; i++) {
        arena_reset(&scratch);
        is_ok = queue_read(api->queue, &retries[i].seq, 1, &scratch, &batch, error);
        if (is_ok)
            take_message(event, &batch);
    }
    arena_done(&scratch);
    arena_done(&list);
    return is_ok;
}

/* From now on only what is of this source counts. */
static void take_source(struct found_event *event, struct slice source)
{
    event->source = event->shown_source = keep(event, source);
    event->has_source = true;
}

/* For store_list, newest first: the newest is the one. */
static void take_processed(const struct store_row *row, void *user)
{
    struct found_event *event = user;

    if (event->is_processed)
        return;
    event->is_processed = true;
    event->state = "processed";
    event->row = *row;
    event->row.worker_id = keep(event, row->worker_id);
    take_source(event, row->source);
    event->seq = row->seq;
    event->received_at_us = row->received_at_us;
    event->ended_at_us = row->processed_at_us;
    event->has_body = false; /* a copy that waits may have another body */
}

/* For store_list, newest first: an open one goes before those that were replayed. Only asked when
 * there is nothing else. */
static void take_failure(const struct store_row *row, void *user)
{
    struct found_event *event = user;
    bool is_open = row->replayed_at_us == 0;

    if (event->state != NULL && (!is_open || g_str_equal(event->state, "failed")))
        return;
    event->state = is_open ? "failed" : "replayed";
    take_source(event, row->source);
    event->seq = row->seq;
    event->received_at_us = row->received_at_us;
    event->ended_at_us = row->last_failed_at_us;
    event->reason = keep(event, row->reason);
    event->error = keep(event, row->error);
    event->body = keep(event, row->body);
    event->has_body = row->body.size > 0;
    event->correlation = keep(event, row->correlation_id);
}

static bool list_into(struct api *api, struct found_event *event, enum store_view view,
                      store_row_fn take, GError **error)
{
    struct store_query query = {
        .view = view,
        .event_id = event->event_id,
        .has_source = event->has_source,
        .source = event->source,
        .limit = ROWS_MAX,
    };
    struct store_page page;

    return store_list(api->store, &query, event->arena, take, event, &page, error);
}

/* A queue that has dropped the bytes leaves the event without: no error. */
static bool read_body(struct api *api, struct found_event *event, GError **error)
{
    struct queue_batch batch;
    struct arena scratch;
    bool is_ok;

    arena_init(&scratch);
    is_ok = queue_read(api->queue, &event->seq, 1, &scratch, &batch, error);
    if (is_ok && batch.count == 1)
        take_body(event, &batch.messages[0]);
    arena_done(&scratch);
    return is_ok;
}

bool event_find(struct api *api, struct found_event *event, GError **error)
{
    struct queue_batch batch;
    struct arena scratch;
    bool is_ok;

    arena_init(&scratch);
    is_ok = queue_find(api->queue, event->event_id, ROWS_MAX, &scratch, &batch, error);
    if (is_ok)
        take_message(event, &batch);
    arena_done(&scratch);
    if (!is_ok || (event->state == NULL && !find_retrying(api, event, error)) ||
        !list_into(api, event, STORE_EVENTS, take_processed, error))
        return false;
    if (event->is_processed)
        return read_body(api, event, error);
    return event->state != NULL || list_into(api, event, STORE_FAILURES, take_failure, error);
}

/* An id that is too long cannot exist, so nobody is asked. */
bool event_find_asked(struct api *api, struct request *req, struct response *res,
                      struct found_event *event)
{
    g_autoptr(GError) error = NULL;

    *event = (struct found_event){.event_id = req->params[0], .arena = &req->arena};
    event->has_source = request_query(req, "source", &event->source);
    if (event->event_id.size > EVENT_ID_MAX)
        response_problem(res, req, 404, "not-found", NULL, "an event id has at most %d bytes",
                         EVENT_ID_MAX);
    else if (!event_find(api, event, &error))
        response_error(res, req, error);
    else if (event->state == NULL)
        response_problem(res, req, 404, "not-found", NULL, "no event with the id '%.*s'",
                         SLICE_ARG(event->event_id));
    else
        return true;
    return false;
}
