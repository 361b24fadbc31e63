/* routes: the one table of what the front door answers, and how a handler is run.
 *
 * /openapi.json describes exactly this table; a test compares both ways.
 */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "api/http.h"
#include "api/request.h"

struct api;

enum route_kind {
    ROUTE_INLINE, /* answers at once on the loop thread: no I/O, no locks held by others for long */
    ROUTE_BLOCKING, /* runs on an executor thread; may use store and queue */
    ROUTE_INTAKE,   /* POST /events: decoded on the loop, answered by the committer */
};

enum route_doors { ROUTE_MAIN = 1, ROUTE_METRICS = 2 }; /* which listeners serve it */

/* Fills res; req is the handler's for the call. The thread depends on the route's kind. */
typedef void (*route_fn)(struct api *api, struct request *req, struct response *res);

/* One row of the table; static storage, so pointers to it are valid for ever. */
struct route {
    enum http_method method; /* GET also answers HEAD */
    const char *path; /* template: "/campaigns/{id}/versions"; {…} is one non-empty segment */
    enum route_kind kind;
    unsigned doors;    /* bits of enum route_doors */
    route_fn handle;   /* NULL for ROUTE_INTAKE */
    const char *media; /* accepted Content-Types, space-separated; NULL = takes no body */
    const char *query; /* known query parameters, space-separated; NULL = none */
};

/* In routes.c; a route's index is its place here. */
extern const struct route ROUTES[];
extern const size_t ROUTE_COUNT;

/* The route for a method and an encoded path on that door. NULL: *status is 404, or 405 with
 * *allowed a bit set (1 << enum http_method) of what the path would take. params are the still
 * encoded segments (at most REQUEST_PARAMS_MAX). */
const struct route *route_find(enum http_method method, struct slice path, unsigned door,
                               struct slice *params, int *status, unsigned *allowed);

#endif
