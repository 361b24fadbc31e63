/* decode: from the bytes of a body to messages and rejections; pure, on the loop's thread.
 *
 * Each event is parsed where it stands: the message's body is a slice of the request's, nothing
 * is copied but what had to be unescaped. Array and lines differ in what a syntax error costs:
 * in an array nothing behind it can be trusted, so the request is refused; a line ends at its
 * newline, so only that line is.
 * Deliberately missing: a tree of the document. One event at a time is in memory, whatever the
 * size. */
#include "intake/intake.h"

#include <stdint.h>

#include "common/error.h"
#include "common/json.h"
#include "core/event.h"
#include "core/trace_context.h"

/* What the steps of one request share. Lives on the stack for one call. */
struct intake_decoder {
    struct intake_job *job;
    struct flat *flat;
    const struct intake_limits *limits;
    struct slice body;        /* the whole request, to which all positions refer */
    struct slice trace;       /* valid, in the job's arena; empty: none */
    struct slice trace_id;    /* inside trace */
    struct slice correlation; /* valid, in the job's arena; empty: none */
    int64_t arrived_us;       /* wall clock; every event of the request gets it */
    size_t message_room;      /* entries that fit into job->messages */
    size_t rejection_room;    /* the same for job->rejections */
    size_t index;             /* of the next event in the request */
};

/* A line of an NDJSON body. */
struct intake_line {
    size_t number;     /* from 1, empty ones counted: as an editor shows it */
    const char *start; /* its first byte */
    struct slice text; /* without white space at both ends */
};

/* Makes room for one more entry, from one on, since most requests bring one event. The old list
 * stays in the arena. Returns the list, larger when it was full; *room is in entries. The growth is
 * fourfold, so all old lists together are a third of the last one. */
static void *intake_grow(struct arena *a, void *list, size_t count, size_t *room, size_t item_size)
{
    void *larger;

    if (count < *room)
        return list;
    *room = *room == 0 ? 1 : *room * 4;
    larger = arena_alloc(a, *room * item_size);
    if (count > 0)
        memcpy(larger, list, count * item_size);
    return larger;
}

/* Takes the problems: they belong to the job from now on. */
static void intake_reject(struct intake_decoder *d, const struct problems *problems)
{
    struct intake_job *job = d->job;
    struct intake_rejection *rejection;

    job->rejections = intake_grow(&job->arena, job->rejections, job->rejected, &d->rejection_room,
                                  sizeof(*job->rejections));
    rejection = &job->rejections[job->rejected++];
    rejection->index = d->index;
    rejection->problems = ARENA_NEW(&job->arena, struct problems, 1);
    *rejection->problems = *problems;
}

/* Text that was unescaped lives in the flat only until the next event; the rest is in the body.
 * Returns a slice that lives as long as the job. */
static struct slice intake_keep(struct intake_decoder *d, struct slice text)
{
    uintptr_t at = (uintptr_t)text.data;
    uintptr_t start = (uintptr_t)d->body.data;

    if (text.size == 0 || (at >= start && at < start + d->body.size))
        return text;
    return arena_copy(&d->job->arena, text);
}

/* The event's own, else the request's, else one that a resend will get again. Lives as long as the
 * job; never empty. */
static struct slice intake_correlation(struct intake_decoder *d, const struct event *event)
{
    char made[EVENT_CORRELATION_BUFFER];

    if (event->correlation_id.size > 0)
        return intake_keep(d, event->correlation_id);
    if (d->correlation.size > 0)
        return d->correlation;
    if (d->trace_id.size > 0)
        return d->trace_id;
    event_correlation(event, d->trace_id, made);
    return arena_copy(&d->job->arena, slice_text(made));
}

/* Adds the event's message to the job. Its seq comes later, from the queue. */
static void intake_accept(struct intake_decoder *d, const struct event *event)
{
    struct intake_job *job = d->job;

    job->messages = intake_grow(&job->arena, job->messages, job->count, &d->message_room,
                                sizeof(*job->messages));
    job->messages[job->count++] = (struct queue_message){
        .published_at_us = d->arrived_us,
        .key = intake_keep(d, event->event_id),
        .correlation = intake_correlation(d, event),
        .trace = d->trace,
        .body = event->body,
    };
    job->bytes += event->body.size;
}

/* The queue refuses a whole batch for one message that is too large, so it must not get there. Adds
 * the problem when it is too large; white space around the event does not count. */
static bool intake_check_size(struct slice text, const char *pointer, struct problems *problems)
{
    size_t size = event_trim(text).size;

    if (size <= QUEUE_MESSAGE_MAX)
        return true;
    problems_add(problems, pointer, "has %zu bytes; an event may have at most %d", size,
                 QUEUE_MESSAGE_MAX);
    return false;
}

/* Judges the event that was just parsed. pointer: its place in the document. It ends in the job, as
 * a message or as a rejection; never an error of the request. */
static void intake_decode_event(struct intake_decoder *d, struct slice text, const char *pointer)
{
    struct problems problems;
    struct event event;

    problems_init(&problems);
    if (intake_check_size(text, pointer, &problems) &&
        event_decode(d->flat, text, d->arrived_us, pointer, &event, &problems)) {
        intake_accept(d, &event);
        problems_done(&problems);
    } else {
        intake_reject(d, &problems);
    }
    d->index++;
}

/* Refuses the request when one more event would pass the limit. Asked before the event is parsed,
 * so what is beyond the limit costs nothing. Errors: FULL. */
static bool intake_check_room(const struct intake_decoder *d, GError **error)
{
    if (d->index < d->limits->events_max)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_FULL,
                "the request has more than %zu events; send it in parts", d->limits->events_max);
    return false;
}

/* Reports what is wrong at p, with its position in the whole body. Always false, so that callers
 * can return it. Errors: INPUT. */
static bool intake_fail_at(const struct intake_decoder *d, const char *p, const char *why,
                           GError **error)
{
    json_set_error(error, d->body, p, why);
    return false;
}

/* One event is the whole body. Errors: INPUT, FULL. */
static bool intake_decode_single(struct intake_decoder *d, GError **error)
{
    const char *end = d->body.data + d->body.size;
    const char *rest;
    size_t used;

    if (!intake_check_room(d, error) || !flat_parse(d->flat, d->body, 0, &used, error))
        return false;
    rest = json_scan_space(d->body.data + used, end);
    if (rest != end)
        return intake_fail_at(d, rest, "there is something behind the event's closing brace",
                              error);
    intake_decode_event(d, slice_of(d->body.data, used), "#");
    return true;
}

/* Takes a reader's error "<why> at line L, column C (byte B)" (common/json.h) apart: the reader
 * saw only a part of the body, and users want the place in the whole. Owned by caller. */
static char *intake_split_error(const GError *error, size_t *byte)
{
    const char *place = g_strrstr(error->message, " at line ");
    const char *number = g_strrstr(error->message, "(byte ");

    g_assert(place != NULL && number != NULL);
    *byte = (size_t)g_ascii_strtoull(number + strlen("(byte "), NULL, 10);
    return g_strndup(error->message, (gsize)(place - error->message));
}

/* Reads the event at the start of text; an error tells its place in the body. text ends where the
 * body ends; *used says how much of it was the event. */
static bool intake_parse(struct intake_decoder *d, struct slice text, unsigned depth, size_t *used,
                         GError **error)
{
    g_autoptr(GError) inner = NULL;
    g_autofree char *why = NULL;
    size_t byte;

    if (flat_parse(d->flat, text, depth, used, &inner))
        return true;
    why = intake_split_error(inner, &byte);
    return intake_fail_at(d, text.data + byte, why, error);
}

/* Reads the element at p; NULL when the request must be refused, else the byte behind it. */
static const char *intake_decode_element(struct intake_decoder *d, const char *p, const char *end,
                                         GError **error)
{
    char pointer[32];
    size_t used;

    if (!intake_check_room(d, error))
        return NULL;
    if (!intake_parse(d, slice_of(p, (size_t)(end - p)), 1, &used, error))
        return NULL;
    g_snprintf(pointer, sizeof(pointer), "#/%zu", d->index);
    intake_decode_event(d, slice_of(p, used), pointer);
    return json_scan_space(p + used, end);
}

/* The body begins with '['. The brackets and commas are read here, each element by the flattener,
 * so no array is ever held in memory as a whole. After false the job may hold events of the part
 * that was good; intake_decode forgets them. */
static bool intake_decode_array(struct intake_decoder *d, GError **error)
{
    const char *end = d->body.data + d->body.size;
    const char *p = json_scan_space(json_scan_space(d->body.data, end) + 1, end);

    if (p < end && *p == ']') {
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT, "the array has no events; send at least one");
        return false;
    }
    for (;;) {
        p = intake_decode_element(d, p, end, error);
        if (p == NULL)
            return false;
        if (p == end || *p != ',')
            break;
        p = json_scan_space(p + 1, end);
    }
    if (p == end || *p != ']')
        return intake_fail_at(d, p, "expected ',' or ']' behind an array's element", error);
    p = json_scan_space(p + 1, end);
    return p == end ||
           intake_fail_at(d, p, "there is something behind the array's closing bracket", error);
}

/* The position is put together here: counting lines from the body's start for every bad line would
 * take the square of a body full of them. */
static void intake_reject_line(struct intake_decoder *d, const struct intake_line *line,
                               const char *bad, const char *why)
{
    struct problems problems;

    problems_init(&problems);
    problems_add(&problems, "#", "%s at line %zu, column %zu (byte %zu)", why, line->number,
                 (size_t)(bad - line->start) + 1, (size_t)(bad - d->body.data));
    intake_reject(d, &problems);
    d->index++;
}

/* A line that cannot be read is that line's fault alone. Empty lines never get here. */
static void intake_decode_line(struct intake_decoder *d, const struct intake_line *line)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *why = NULL;
    size_t byte;
    size_t used;

    if (!flat_parse(d->flat, line->text, 0, &used, &error)) {
        why = intake_split_error(error, &byte);
        intake_reject_line(d, line, line->text.data + byte, why);
    } else if (used != line->text.size) {
        intake_reject_line(
            d, line, json_scan_space(line->text.data + used, line->text.data + line->text.size),
            "there is something behind the event's closing brace");
    } else {
        intake_decode_event(d, line->text, "#");
    }
}

/* One pass over the body. A CR before the newline is white space and goes with the trim.
 * Errors: FULL only: whatever else is wrong belongs to a line. */
static bool intake_decode_lines(struct intake_decoder *d, GError **error)
{
    const char *end = d->body.data + d->body.size;
    struct intake_line line = {.number = 1, .start = d->body.data};

    for (; line.start < end; line.number++) {
        const char *newline = memchr(line.start, '\n', (size_t)(end - line.start));
        const char *stop = newline != NULL ? newline : end;

        line.text = event_trim(slice_of(line.start, (size_t)(stop - line.start)));
        if (line.text.size > 0 && !intake_check_room(d, error))
            return false;
        if (line.text.size > 0)
            intake_decode_line(d, &line);
        line.start = newline != NULL ? newline + 1 : end;
    }
    return true;
}

/* Headers from outside are used only when they are well formed, and must outlive the request.
 * Version 00 of a traceparent has a fixed size; what a later version appends is cut off. */
static void intake_read_headers(struct intake_decoder *d, struct slice trace,
                                struct slice correlation)
{
    struct slice ignored;

    if (trace_context_parse(trace, &ignored)) {
        d->trace = arena_copy(&d->job->arena, slice_of(trace.data, TRACE_PARENT_SIZE));
        d->trace_id = slice_of(d->trace.data + (ignored.data - trace.data), ignored.size);
    }
    if (event_correlation_is_valid(correlation))
        d->correlation = arena_copy(&d->job->arena, correlation);
}

/* The messages' memory is the arena's; the problems have their own. */
static void intake_forget(struct intake_job *job)
{
    for (size_t i = 0; i < job->rejected; i++)
        problems_done(job->rejections[i].problems);
    job->messages = NULL;
    job->rejections = NULL;
    job->count = job->rejected = job->bytes = 0;
}

bool intake_decode(struct intake_job *job, enum intake_format format, struct slice body,
                   struct slice trace, struct slice correlation, int64_t arrived_us,
                   const struct intake_limits *limits, struct flat *flat, GError **error)
{
    struct intake_decoder d = {
        .job = job, .flat = flat, .limits = limits, .body = body, .arrived_us = arrived_us};
    struct slice trimmed = event_trim(body);
    bool is_array = format == INTAKE_JSON && trimmed.size > 0 && trimmed.data[0] == '[';
    bool is_good;

    if (trimmed.size == 0) {
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT, "the body has no events; send at least one");
        return false;
    }
    /* From the shape of the body and not from the number of events: an array of one is answered as
     * one. */
    job->is_batch = format == INTAKE_NDJSON || is_array;
    intake_read_headers(&d, trace, correlation);
    if (format == INTAKE_NDJSON)
        is_good = intake_decode_lines(&d, error);
    else
        is_good = is_array ? intake_decode_array(&d, error) : intake_decode_single(&d, error);
    if (!is_good)
        intake_forget(job);
    return is_good;
}

/* The arena takes no memory before the first event. */
void intake_job_init(struct intake_job *job)
{
    *job = (struct intake_job){0};
    arena_init(&job->arena);
}

/* The job may be given an intake_job_init again. */
void intake_job_done(struct intake_job *job)
{
    if (job == NULL)
        return;
    intake_forget(job);
    arena_done(&job->arena);
}
