/* request: one HTTP request and its answer, as the handlers see them.
 *
 *   server ──request──▶ route's handler ──response──▶ server
 *
 * A handler reads the request, fills the response, returns. It knows nothing of sockets. Everything
 * with the lifetime of the exchange lives in request->arena.
 */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "api/http.h"
#include "common/arena.h"
#include "common/slice.h"
#include "core/problem.h"

/* {…} in one template. */
#define REQUEST_PARAMS_MAX   2
#define REQUEST_QUERY_MAX    16 /* parameters in one query */
#define RESPONSE_HEADERS_MAX 8

/* One parameter of a query, both parts decoded. */
struct request_parameter {
    struct slice name;
    struct slice value;
};

struct route;
struct response;

/* Touched by one thread at a time: the loop, then (blocking routes) an executor thread, then the
 * loop again. Slices are valid until the answer has been sent. */
struct request {
    enum http_method method;                 /* HTTP_OTHER without a parsed head */
    struct slice target;                     /* as sent: path and query */
    struct slice path;                       /* as sent, still percent-encoded */
    struct slice query;                      /* behind '?', still encoded */
    const struct http_head *head;            /* all headers; request_header looks one up */
    struct slice body;                       /* complete before the handler runs */
    struct slice params[REQUEST_PARAMS_MAX]; /* values of the template's {…}, percent-decoded */
    struct request_parameter *parameters;    /* of the query, checked against the route */
    size_t parameter_count;
    struct slice correlation_id; /* X-Correlation-Id, else traceparent's trace id, else made */
    bool has_correlation_id;     /* the client gave it (header or traceparent) */
    struct slice trace;          /* a valid traceparent header, or empty */
    int64_t arrived_us;          /* wall clock */
    const struct route *route;   /* NULL until it was found */
    struct arena arena;          /* reset for the next request */
};

/* The value of a header, case-insensitively; empty slice when absent. */
struct slice request_header(const struct request *r, const char *name);

/* The decoded value of a query parameter; false when absent. A name given twice, or a name that
 * the route does not know, has been refused before the handler runs (400 with the nearest one). */
bool request_query(const struct request *r, const char *name, struct slice *value);

/* What the server does before the handler: decodes the query into the arena and checks it against
 * the route's list. false: res holds the 400. */
bool request_read_query(struct request *r, struct response *res);

/* Filled by the handler. */
struct response {
    int status;               /* 200 unless set */
    const char *content_type; /* "application/json" unless set; static storage */
    GString *body;            /* made by the server, empty */
    struct {
        const char *name;   /* static storage */
        struct slice value; /* in the request's arena */
    } headers[RESPONSE_HEADERS_MAX];
    size_t header_count;
};

/* Adds a header. The name is static, the value lives in the request's arena; at most
 * RESPONSE_HEADERS_MAX. */
void response_header(struct response *res, const char *name, struct slice value);

/* Makes the answer an RFC 9457 problem+json: title is derived from status, detail is for people,
 * problems (may be NULL) become "errors":[{"pointer","detail"}]. type is "/problems/<slug>" of
 * api/problem.c's table, e.g. "invalid-document". Adds correlation_id and instance. */
void response_problem(struct response *res, const struct request *req, int status, const char *slug,
                      const struct problems *problems, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* The answer for a GError of store or queue: RETRY 503 + Retry-After, FULL 507, MISSING 404,
 * CONFLICT 409, INPUT 400, STOPPED 503, others 500. Internal texts are logged, not shown, for 5xx.
 */
void response_error(struct response *res, const struct request *req, const GError *error);

#endif
