/* client: a small blocking HTTP client for the commands that talk to a running server.
 *
 * One connection, kept open between requests. Any answer of the server, also a 4xx or 5xx, is a
 * success here: the caller judges the status. The only file that knows libcurl.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "common/slice.h"

#define CLIENT_ANSWER_MAX (64 * 1024 * 1024) /* bytes; a larger answer is an error */

/* One thread. */
struct client;

/* One request. Everything is borrowed for the call. */
struct client_request {
    const char *method;         /* "GET", … */
    const char *path;           /* from '/' on, with the query; escaped already */
    const char *content_type;   /* NULL: no body is sent */
    struct slice body;          /* borrowed for the call */
    const char *const *headers; /* further "Name: value" lines, NULL at the end; or NULL */
    int64_t timeout_ms;         /* for the whole exchange; 0: a minute */
};

/* One answer of the server, of any status. */
struct client_response {
    int status;             /* 100..599 */
    GString *body;          /* at most CLIENT_ANSWER_MAX bytes; never NULL, may be empty */
    char *etag;             /* NULL when the answer has none */
    int64_t retry_after_ms; /* -1 when the answer has none */
};

/* base_url: "http://host:port", a path in front of ours is allowed. NULL when it is no http(s)
 * address. Errors: EF_ERROR_INPUT. */
struct client *client_new(const char *base_url, GError **error);
void client_free(struct client *c); /* accepts NULL */

/* Sends one request and waits for the answer. Owns: client_response_done frees the response, which
 * is filled only on success. Errors: EF_ERROR_RETRY when the server was not reached, did not
 * answer in time or hung up (whether it has done the work is then unknown); EF_ERROR_INPUT for what
 * no repetition can mend. */
bool client_send(struct client *c, const struct client_request *request,
                 struct client_response *response, GError **error);

void client_response_done(struct client_response *response);

/* Appends text to a path as one segment or value, escaped (RFC 3986: all but unreserved). */
void client_append_escaped(GString *path, const char *text);

/* Appends "?name=value" or "&name=value"; nothing when value is NULL or "". */
void client_append_query(GString *path, const char *name, const char *value);

#endif
