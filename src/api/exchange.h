/* exchange: one request with its answer, from the parsed head to the last byte sent.
 *
 *   open (route, checks) ─▶ dispatch ─┬─ inline: answered at once
 *                                     ├─ executor thread ─▶ inbox ─▶ answered
 *                                     └─ committer thread ─▶ inbox ─▶ answered
 *
 * Exchanges are pooled per loop with their arenas and strings, so a request needs no allocation.
 * Between dispatch and return the exchange belongs to the other thread, except conn, in and body:
 * those stay with the loop, which sets conn to NULL when the client has gone (the work goes on).
 */
#ifndef API_EXCHANGE_H
#define API_EXCHANGE_H

#include <stdbool.h>

#include "api/loop.h"
#include "api/request.h"
#include "intake/intake.h"

/* In the pool or on its way; everything that a request needs besides its connection. */
struct exchange {
    struct loop_mail mail; /* first: comes back through the inbox */
    struct loop *loop;
    struct conn *conn;            /* loop thread only; NULL when the client has gone */
    struct http_head head;        /* slices point into the connection's read buffer */
    struct request request;       /* with the arena of everything the handler makes */
    struct response response;     /* its body is kept from request to request */
    GString *answer;              /* the rendered head of the answer */
    struct intake_job job;        /* POST /events only */
    struct exchange *group;       /* jobs handed over together come back together */
    size_t group_left;            /* in the group's first: jobs not answered yet (committer) */
    struct mail_list group_mails; /* the same: answered ones */
    char correlation[33];         /* when the client gave none */
    int64_t started_us;           /* monotonic */
    bool is_bare;                 /* the answer goes out without its body (HEAD, 204, 304) */
    bool is_away;                 /* at another thread */
    char *in;                     /* the connection's buffers, once it is gone */
    char *body;                   /* the same, for a body of its own */
};

/* From the pool; response is empty, request zero. */
struct exchange *exchange_take(struct loop *loop);

/* Back into the pool. Counts nothing. */
void exchange_give(struct exchange *x);
/* Accepts NULL. */
void exchange_free(struct exchange *x);

/* The head is parsed: reads route, query and headers and refuses what can be refused before the
 * body. false: response holds the refusal. */
bool exchange_open(struct exchange *x, unsigned door);

/* For answers without a parsed request. */
void exchange_open_empty(struct exchange *x);

/* The body is in request.body: runs the handler. true: response is ready; false: it comes back
 * through the inbox. */
bool exchange_dispatch(struct exchange *x);

/* Sends the exchange back to its loop. The thread that has it. */
void exchange_return(struct exchange *x);

/* On an executor thread. user: the api. */
void exchange_run_blocking(void *user, void *item);

/* Counts the finished request. */
void exchange_count(struct exchange *x);

/* ---- render.c -------------------------------------------------------------------------------- */

/* Writes status line and headers into answer. */
void render_answer(struct exchange *x, bool closes);

/* ---- intake_route.c -------------------------------------------------------------------------- */

/* POST /events: as exchange_dispatch. The job goes to the committer at the end of the round. */
bool intake_route_dispatch(struct exchange *x);

/* End of the round: hands the collected jobs to the committer. */
void intake_route_submit(struct loop *loop);

#endif
