/* problem: every answer that is not a success is made here, so that all have the same members.
 *
 * Three tables: what a slug means, what a status is called, and which answer an error of store
 * or queue becomes. Source: RFC 9457 (members and media type of a problem).
 * Deliberately missing: translations. Clients branch on type and status, the texts are for
 * people. */
#include "api/problem.h"

#include <stdarg.h>
#include <string.h>

#include "common/error.h"
#include "common/log.h"

/* In alphabetical order. A slug, once published, keeps its meaning: clients branch on it. */
const struct problem_type PROBLEM_TYPES[] = {
    {"bad-request", "The bytes are no well-formed HTTP request; the connection is closed."},
    {"broken", "A commit failed and its outcome is unknown; the process ends and starts anew."},
    {"conflict", "It exists already, or it changed meanwhile."},
    {"head-too-large", "The request line and headers pass the limit."},
    {"http-version", "The HTTP version is not spoken here."},
    {"insufficient-storage", "The disk or a configured limit is full; nothing was stored."},
    {"internal", "Something failed inside; the log has the details under the correlation id."},
    {"invalid-campaign", "The campaign breaks its schema; errors point to the places."},
    {"invalid-document", "The document breaks its schema; errors point to the places."},
    {"invalid-event", "An event breaks the field rules; errors point to the places."},
    {"invalid-header", "A header of the request has a value that makes no sense here."},
    {"invalid-json", "The body is no valid JSON; the detail names the place."},
    {"invalid-path", "A part of the path is not well-formed."},
    {"invalid-query", "A query parameter is unknown, repeated or has a bad value."},
    {"invalid-request", "What was asked for makes no sense as it stands."},
    {"method-not-allowed", "The path exists but does not take this method; see Allow."},
    {"not-found", "Nothing is known under this path or id."},
    {"not-ready",
     "The process is starting or ending; another instance, or a later try, will answer."},
    {"precondition-failed", "If-Match names another version than the current one."},
    {"request-timeout", "The request did not arrive within its deadline."},
    {"temporarily-unavailable", "A part is busy; the same request may work later."},
    {"too-large", "The body passes the limit."},
    {"too-many-connections", "The limit of connections is reached."},
    {"too-many-events", "The request holds more events than one request may."},
    {"too-many-in-flight", "Too many requests are waiting; the same request may work later."},
    {"unsupported-media-type",
     "The Content-Type is not taken here; the detail names those that are."},
};
const size_t PROBLEM_TYPE_COUNT = G_N_ELEMENTS(PROBLEM_TYPES);

/* Source: the HTTP status code registry of IANA. */
static const struct {
    int status;
    const char *reason;
} REASONS[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

/* Linear: asked for /problems/{slug} only. */
const struct problem_type *problem_type_find(const char *slug)
{
    for (size_t i = 0; i < PROBLEM_TYPE_COUNT; i++)
        if (strcmp(PROBLEM_TYPES[i].slug, slug) == 0)
            return &PROBLEM_TYPES[i];
    return NULL;
}

/* Nobody may rely on a reason phrase (RFC 9112 section 4); it helps who reads with telnet. */
const char *problem_reason(int status)
{
    for (size_t i = 0; i < G_N_ELEMENTS(REASONS); i++)
        if (REASONS[i].status == status)
            return REASONS[i].reason;
    return "Unknown";
}

/* The type is a reference relative to the server, so that it holds behind any proxy. */
void problem_open(struct json_writer *w, struct response *res, const struct request *req,
                  int status, const char *slug, const char *detail)
{
    char type[64];

    res->status = status;
    res->content_type = PROBLEM_MEDIA;
    g_string_truncate(res->body, 0);
    g_snprintf(type, sizeof(type), "/problems/%s", slug);
    json_writer_init(w, res->body);
    json_open_object(w);
    json_put_string(w, "type", type);
    json_put_string(w, "title", problem_reason(status));
    json_put_integer(w, "status", status);
    if (detail != NULL)
        json_put_string(w, "detail", detail);
    if (req->path.size > 0)
        json_put_text(w, "instance", req->path);
    if (req->correlation_id.size > 0)
        json_put_text(w, "correlation_id", req->correlation_id);
}

/* The pointers are JSON pointers as URI fragments ("#/then/0"), relative to the body that was
 * sent. */
void problem_add_errors(struct json_writer *w, const struct problems *problems)
{
    json_key(w, "errors");
    json_open_array(w);
    for (size_t i = 0; i < problems->count; i++) {
        json_open_object(w);
        json_put_string(w, "pointer", problems->items[i].pointer);
        json_put_string(w, "detail", problems->items[i].detail);
        json_close_object(w);
    }
    json_close_array(w);
    if (problems->total > problems->count)
        json_put_integer(w, "errors_total", (int64_t)problems->total);
}

/* Replaces whatever the handler had written before. */
void response_problem(struct response *res, const struct request *req, int status, const char *slug,
                      const struct problems *problems, const char *format, ...)
{
    struct json_writer w;
    g_autofree char *detail = NULL;
    va_list args;

    va_start(args, format);
    detail = g_strdup_vprintf(format, args);
    va_end(args);
    problem_open(&w, res, req, status, slug, detail);
    if (problems != NULL)
        problem_add_errors(&w, problems);
    json_close_object(&w);
}

/* 507 without Retry-After: it takes a person to make room. */
void response_disk_full(struct response *res, const struct request *req)
{
    struct json_writer w;

    problem_open(&w, res, req, 507, "insufficient-storage",
                 "the disk is full or read-only; nothing was stored");
    json_put_string(&w, "code", "disk_full");
    json_close_object(&w);
}

/* ---- errors of store and queue --------------------------------------------------------------- */

/* What the client is told for each code. Texts of passing trouble name files and settings, which
 * are the operator's business, so they are replaced. */
static const struct error_answer {
    int code; /* of EF_ERROR */
    int status;
    const char *slug;
    const char *text; /* shown instead of the error's own text; NULL = show that */
    bool can_retry;   /* adds Retry-After */
} ERROR_ANSWERS[] = {
    {EF_ERROR_RETRY, 503, "temporarily-unavailable", "busy, please try again", true},
    {EF_ERROR_STOPPED, 503, "not-ready", "the process is ending", true},
    {EF_ERROR_FULL, 507, "insufficient-storage", NULL, false},
    {EF_ERROR_FATAL, 503, "broken", "a write failed; whether it was stored is unknown", true},
    {EF_ERROR_MISSING, 404, "not-found", NULL, false},
    {EF_ERROR_CONFLICT, 409, "conflict", NULL, false},
    {EF_ERROR_INPUT, 400, "invalid-request", NULL, false},
};

/* Damage and programming errors: the client can do nothing about them, the operator must look. Its
 * text tells nothing of the inside: paths and SQL are no business of a client. */
static const struct error_answer INTERNAL = {
    -1, 500, "internal", "something failed inside; the log has it under this correlation id", false,
};

/* Never NULL. */
static const struct error_answer *find_error_answer(const GError *error)
{
    if (error->domain == EF_ERROR)
        for (size_t i = 0; i < G_N_ELEMENTS(ERROR_ANSWERS); i++)
            if (ERROR_ANSWERS[i].code == error->code)
                return &ERROR_ANSWERS[i];
    return &INTERNAL;
}

/* The one place where a failed look-up is logged: store and queue only return their errors. 5xx
 * only: what the client did wrong is in its answer already. */
static void log_failure(const struct error_answer *answer, const struct request *req,
                        const GError *error)
{
    enum log_level level = answer->status == 500 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN;

    log_write(level, (const struct log_field[]){LOG_MSG("a request failed"),
                                                LOG_STRING("error", error->message),
                                                LOG_INT("status", answer->status),
                                                LOG_TEXT("path", req->path),
                                                LOG_TEXT("correlation_id", req->correlation_id),
                                                {0}});
}

/* Retry-After says one second: passing trouble is over by then, or will say so again. */
void response_error(struct response *res, const struct request *req, const GError *error)
{
    const struct error_answer *answer = find_error_answer(error);

    if (answer->status >= 500)
        log_failure(answer, req, error);
    if (answer->status == 507) {
        response_disk_full(res, req);
        return;
    }
    response_problem(res, req, answer->status, answer->slug, NULL, "%s",
                     answer->text != NULL ? answer->text : error->message);
    if (answer->can_retry)
        response_header(res, "Retry-After", SLICE("1"));
}
