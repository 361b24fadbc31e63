/* exchange: the pool, the checks that need only the head, and the three ways to run a handler.
 *
 * The checks stand in the order of exchange_open; the first that fails has written the answer,
 * and the body is never read. Whatever way a handler runs, its answer comes back to the loop of
 * the request, which alone talks to the socket.
 * Deliberately missing: cancelling. When the client goes away, the work goes on without an
 * answer. */
#include "api/exchange.h"

#include "api/conn.h"
#include "common/log.h"
#include "core/event.h"
#include "core/trace_context.h"

#define EXCHANGES_MAX      256         /* spare ones a loop keeps */
#define EXCHANGE_BODY_MAX  (64 * 1024) /* a string that grew beyond is not kept */
#define EXCHANGE_ARENA_MAX (64 * 1024) /* the same for arenas */
/* Bytes, as in the queue (QUEUE_KEY_MAX). */

/* ---- the pool -------------------------------------------------------------------------------- */

/* An exchange is large (a parsed head, two arenas) and lives for microseconds, so it is kept. The
 * last one given back is taken first: its memory is still in the cache. Owned by its loop, whose
 * pool it returns to. */
static struct exchange *exchange_new(struct loop *loop)
{
    struct exchange *x = g_new0(struct exchange, 1);

    x->loop = loop;
    x->answer = g_string_sized_new(512);
    x->response.body = g_string_sized_new(512);
    arena_init(&x->request.arena);
    intake_job_init(&x->job);
    return x;
}

void exchange_free(struct exchange *x)
{
    if (x == NULL)
        return;
    /* The job's problems own memory outside of its arena. */
    intake_job_done(&x->job);
    arena_done(&x->request.arena);
    g_string_free(x->answer, TRUE);
    g_string_free(x->response.body, TRUE);
    g_free(x->in);
    g_free(x->body);
    g_free(x);
}

/* Loop thread only, like exchange_give: the pool has no lock. */
struct exchange *exchange_take(struct loop *loop)
{
    if (loop->exchanges->len == 0)
        return exchange_new(loop);
    return g_ptr_array_steal_index_fast(loop->exchanges, loop->exchanges->len - 1);
}

/* A reset arena holds one block; one that a large request left behind is given back. Returns it by
 * value, for the struct that is set to zero around it. */
static struct arena reuse_arena(struct arena *a)
{
    arena_reset(a);
    if (a->end - a->next > EXCHANGE_ARENA_MAX)
        arena_done(a);
    return *a;
}

/* Makes the job as new. Its arena is kept, except when problems were collected: those own memory
 * that only intake_job_done knows how to free. A job that was never begun has nothing to reset,
 * which is the case for all routes but one. */
static void exchange_reset_job(struct exchange *x)
{
    struct arena arena;

    if (x->job.done == NULL)
        return; /* never was a job */
    if (x->job.rejected > 0) {
        intake_job_done(&x->job);
        intake_job_init(&x->job);
        return;
    }
    arena = reuse_arena(&x->job.arena);
    x->job = (struct intake_job){.arena = arena};
}

/* As new, but with its memory. Buffers of a client that went away are given back here. */
static void exchange_reset(struct exchange *x)
{
    struct arena arena;

    arena = reuse_arena(&x->request.arena);
    x->request = (struct request){.arena = arena};
    x->response = (struct response){.body = x->response.body};
    g_string_truncate(x->response.body, 0);
    exchange_reset_job(x);
    loop_give_buffer(x->loop, x->in);
    g_free(x->body);
    x->in = x->body = NULL;
    x->conn = NULL;
    x->group = NULL;
    x->is_bare = x->is_away = false;
    /* The parser sets the head's fields itself; these are looked at even without a parsed head. */
    x->head.header_count = 0;
    x->head.content_length = 0;
}

/* One whose answer was large is freed: the pool must not keep the size of the largest answers. */
void exchange_give(struct exchange *x)
{
    struct loop *loop = x->loop;

    if (loop->exchanges->len >= EXCHANGES_MAX ||
        x->response.body->allocated_len > EXCHANGE_BODY_MAX) {
        loop_give_buffer(loop, x->in);
        x->in = NULL;
        exchange_free(x);
        return;
    }
    exchange_reset(x);
    g_ptr_array_add(loop->exchanges, x);
}

/* ---- reading the head ------------------------------------------------------------------------ */

/* It lives in the exchange itself. */
static void exchange_make_correlation(struct exchange *x)
{
    loop_make_id(x->loop, x->correlation);
    x->request.correlation_id = slice_of(x->correlation, 32);
}

/* X-Correlation-Id, else the trace id, else a made one. What is not well-formed is ignored.
 * Source: W3C Trace Context, section 3.2.2 (traceparent). */
static void read_correlation(struct exchange *x)
{
    struct request *r = &x->request;
    struct slice given = http_find_header(&x->head, "x-correlation-id");
    struct slice trace = http_find_header(&x->head, "traceparent");
    struct slice trace_id = {0};

    if (trace.size > 0 && trace_context_parse(trace, &trace_id))
        r->trace = trace;
    if (event_correlation_is_valid(given))
        r->correlation_id = given;
    else if (r->trace.size > 0)
        r->correlation_id = trace_id;
    r->has_correlation_id = r->correlation_id.size > 0;
    if (!r->has_correlation_id)
        exchange_make_correlation(x);
}

/* Splits at the first '?'; a later one belongs to the query (RFC 3986 section 3.4). */
static void read_target(struct exchange *x)
{
    struct request *r = &x->request;
    const char *mark;

    r->method = x->head.method;
    r->target = r->path = x->head.target;
    mark = memchr(r->target.data, '?', r->target.size);
    if (mark == NULL)
        return;
    r->path.size = (size_t)(mark - r->target.data);
    r->query = slice_of(mark + 1, r->target.size - r->path.size - 1);
}

/* ---- checks before the body ------------------------------------------------------------------ */

/* 405 with the Allow header that RFC 9110 section 15.5.6 demands. allowed: bits as in
 * route_find. */
static void answer_not_allowed(struct exchange *x, unsigned allowed)
{
    GString *names = g_string_new(NULL);

    for (int m = 0; m < HTTP_OTHER; m++)
        if ((allowed & 1U << m) != 0)
            g_string_append_printf(names, "%s%s", names->len > 0 ? ", " : "",
                                   http_method_name((enum http_method)m));
    response_problem(&x->response, &x->request, 405, "method-not-allowed", NULL,
                     "this path takes: %s", names->str);
    response_header(&x->response, "Allow",
                    arena_copy(&x->request.arena, slice_of(names->str, names->len)));
    g_string_free(names, TRUE);
}

/* The checks are made in this order by exchange_open; the first that fails has answered. */

/* Sets request.route and the encoded params; 404 or 405 otherwise. */
static bool check_route(struct exchange *x, unsigned door)
{
    struct request *r = &x->request;
    unsigned allowed = 0;
    int status = 0;

    r->route = route_find(r->method, r->path, door, r->params, &status, &allowed);
    if (r->route != NULL)
        return true;
    if (status == 405)
        answer_not_allowed(x, allowed);
    else
        response_problem(&x->response, r, 404, "not-found", NULL, "there is nothing at %.*s",
                         SLICE_ARG(r->path));
    return false;
}

/* "%2F" in a segment is a slash in an id, not a border of segments: hence decoded only now. A bad
 * escape is 400: no id could be meant by it. */
static bool check_params(struct exchange *x)
{
    struct request *r = &x->request;

    for (size_t i = 0; i < REQUEST_PARAMS_MAX && r->params[i].size > 0; i++) {
        char *text = arena_alloc(&r->arena, r->params[i].size);
        size_t size;

        if (!http_decode(r->params[i], false, text, &size)) {
            response_problem(&x->response, r, 400, "invalid-path", NULL,
                             "the path holds a bad percent-escape");
            return false;
        }
        r->params[i] = slice_of(text, size);
    }
    return true;
}

/* As the head declares it, be it here or not. */
static bool has_body(const struct http_head *head)
{
    return head->is_chunked || head->content_length > 0;
}

/* Chunked bodies declare nothing; body.c counts them. 413 by the declared size alone, so that the
 * body need not be read. */
static bool check_size(struct exchange *x)
{
    int64_t max = x->loop->server->options.body_max;

    if (x->head.content_length <= max)
        return true;
    response_problem(&x->response, &x->request, 413, "too-large", NULL,
                     "the body has %" G_GINT64_FORMAT " bytes, the limit is %" G_GINT64_FORMAT,
                     x->head.content_length, max);
    return false;
}

static bool equals_ignoring_case(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || g_ascii_strncasecmp(a.data, b.data, a.size) == 0);
}

/* ASCII is UTF-8. us-ascii is let in because its bytes are the same; latin-1 is not. */
static bool is_utf8_name(struct slice s)
{
    return equals_ignoring_case(s, SLICE("utf-8")) || equals_ignoring_case(s, SLICE("\"utf-8\"")) ||
           equals_ignoring_case(s, SLICE("us-ascii"));
}

/* Without blanks and tabs at both ends. */
static struct slice trim_space(struct slice s)
{
    while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = slice_of(s.data + 1, s.size - 1);
    while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

/* Cuts the parameters off a Content-Type. false when they name another charset than UTF-8. *media
 * is cut down to type/subtype. Source: RFC 9110 section 8.3.1; other parameters are ignored. */
static bool read_media(struct slice *media)
{
    struct slice rest = *media;
    const char *mark = memchr(rest.data, ';', rest.size);
    bool is_utf8 = true;

    if (mark != NULL)
        media->size = (size_t)(mark - rest.data);
    *media = trim_space(*media);
    while (mark != NULL) {
        struct slice one;

        rest = slice_of(mark + 1, rest.size - (size_t)(mark + 1 - rest.data));
        mark = rest.size > 0 ? memchr(rest.data, ';', rest.size) : NULL;
        one =
            trim_space(slice_of(rest.data, mark != NULL ? (size_t)(mark - rest.data) : rest.size));
        /* 8 = strlen("charset="). */
        if (one.size > 8 && equals_ignoring_case(slice_of(one.data, 8), SLICE("charset=")))
            is_utf8 = is_utf8_name(slice_of(one.data + 8, one.size - 8));
    }
    return is_utf8;
}

/* Looks media up in a route's list. The list is separated by single spaces; types are compared
 * ignoring case (RFC 9110 section 8.3.1). */
static bool is_listed(const char *list, struct slice media)
{
    const char *p = list;

    while (*p != '\0') {
        size_t size = strcspn(p, " ");

        if (equals_ignoring_case(slice_of(p, size), media))
            return true;
        p += size + (p[size] == ' ');
    }
    return false;
}

/* 415 with the list of what the route takes. */
static void answer_media(struct exchange *x)
{
    g_auto(GStrv) types = g_strsplit(x->request.route->media, " ", -1);
    g_autofree char *list = g_strjoinv(", ", types);

    response_problem(&x->response, &x->request, 415, "unsupported-media-type", NULL,
                     "accepted here, in UTF-8: %s", list);
}

/* Guessing what bytes are meant to be is how wrong data gets in, so the type must be listed. A
 * route that takes no body ignores one: it is read and dropped. */
static bool check_media(struct exchange *x)
{
    struct request *r = &x->request;
    struct slice media = http_find_header(&x->head, "content-type");
    struct slice coding = http_find_header(&x->head, "content-encoding");

    if (r->route->media == NULL || !has_body(&x->head))
        return true;
    if (coding.size > 0 && !equals_ignoring_case(coding, SLICE("identity"))) {
        response_problem(&x->response, r, 415, "unsupported-media-type", NULL,
                         "bodies are taken as they are, without Content-Encoding");
        return false;
    }
    /* Without a Content-Type the body is taken for the first of the list. */
    if (media.size == 0 || (read_media(&media) && is_listed(r->route->media, media)))
        return true;
    answer_media(x);
    return false;
}

/* New events are refused early while nothing can become durable. A request that arrives while
 * draining, on a connection that was open already, is served: the committer outlives the loops.
 * Relaxed: the flag is set once and a request that just misses it is refused by the committer. */
static bool check_intake(struct exchange *x)
{
    if (x->request.route->kind != ROUTE_INTAKE ||
        !atomic_load_explicit(&x->loop->api->is_broken, memory_order_relaxed))
        return true;
    response_problem(&x->response, &x->request, 503, "broken", NULL,
                     "a commit failed; nothing is accepted until the process has started anew");
    response_header(&x->response, "Retry-After", SLICE("1"));
    return false;
}

/* Both times are the round's: requests of one round arrived together. */
static void exchange_begin(struct exchange *x)
{
    x->started_us = x->loop->now_us;
    x->request.arrived_us = x->loop->wall_us;
    x->request.head = &x->head;
    x->response.status = 200;
    x->response.content_type = "application/json";
}

/* Each check may rely on those before it; the query needs the route, the media the route's list. */
bool exchange_open(struct exchange *x, unsigned door)
{
    exchange_begin(x);
    read_target(x);
    read_correlation(x);
    x->is_bare = x->request.method == HTTP_HEAD;
    return check_route(x, door) && check_params(x) &&
           request_read_query(&x->request, &x->response) && check_size(x) && check_media(x) &&
           check_intake(x);
}

/* HTTP_OTHER, so that the answer has its body: a HEAD could not be told from the rest. */
void exchange_open_empty(struct exchange *x)
{
    exchange_begin(x);
    exchange_make_correlation(x);
    x->request.method = HTTP_OTHER;
}

/* ---- running the handler --------------------------------------------------------------------- */

/* The handler promises not to wait. Always true: the response is ready. */
static bool dispatch_inline(struct exchange *x)
{
    x->request.route->handle(x->loop->api, &x->request, &x->response);
    return true;
}

/* From a successful submit on, the exchange is the executor's. A full queue answers 503 at once: a
 * client that waits longer than it is worth helps nobody. */
static bool dispatch_blocking(struct exchange *x)
{
    if (executor_submit(x->loop->server->executor, x)) {
        x->loop->outstanding++;
        return false;
    }
    log_warn(LOG_MSG("a look-up was refused: too many are waiting for an executor"),
             LOG_TEXT("correlation_id", x->request.correlation_id));
    response_problem(&x->response, &x->request, 503, "too-many-in-flight", NULL,
                     "too many requests are waiting, please try again");
    response_header(&x->response, "Retry-After", SLICE("1"));
    return true;
}

/* On the loop's thread again. conn is NULL when the client went away meanwhile: then the answer is
 * counted and dropped. */
static void exchange_arrive(struct loop *loop, struct loop_mail *mail)
{
    struct exchange *x = (struct exchange *)mail;
    struct conn *c = x->conn;

    /* Whatever became of the client, this request is back: the drain counts on it. */
    loop->outstanding--;
    x->is_away = false;
    if (c == NULL) {
        exchange_count(x);
        exchange_give(x);
        return;
    }
    conn_answer(c);
    conn_run(c);
}

/* A table by the route's kind; mail.run is set before another thread can send the exchange back. */
bool exchange_dispatch(struct exchange *x)
{
    static bool (*const DISPATCH[])(struct exchange *) = {
        [ROUTE_INLINE] = dispatch_inline,
        [ROUTE_BLOCKING] = dispatch_blocking,
        [ROUTE_INTAKE] = intake_route_dispatch,
    };

    x->mail.run = exchange_arrive;
    return DISPATCH[x->request.route->kind](x);
}

/* Wakes the loop unless it has mail already. */
void exchange_return(struct exchange *x)
{
    loop_put(x->loop, &x->mail);
}

/* The exchange is this thread's until exchange_return, and must not be touched after it. */
void exchange_run_blocking(void *user, void *item)
{
    struct exchange *x = item;

    x->request.route->handle(user, &x->request, &x->response);
    exchange_return(x);
}

/* ---- counting -------------------------------------------------------------------------------- */

/* ROUTE_COUNT stands for requests that found no route. */
static size_t route_index(const struct exchange *x)
{
    return x->request.route != NULL ? (size_t)(x->request.route - ROUTES) : ROUTE_COUNT;
}

/* The counter for (method, route, status); asked for once, then cached by those three. The key
 * packs the three into one number: 10 bits of status, 4 of method, the route above them. */
static struct metric *find_counter(struct exchange *x)
{
    size_t route = route_index(x);
    size_t key = (route << 4 | x->request.method) << 10 | (size_t)x->response.status;
    struct metric *m = g_hash_table_lookup(x->loop->counters, GSIZE_TO_POINTER(key));
    g_autofree char *labels = NULL;

    if (m != NULL)
        return m;
    labels = g_strdup_printf("method=\"%s\",route=\"%s\",status=\"%d\"",
                             http_method_name(x->request.method),
                             route < ROUTE_COUNT ? ROUTES[route].path : "none", x->response.status);
    m = metrics_counter("http_requests_total", "Requests answered.", labels);
    g_hash_table_insert(x->loop->counters, GSIZE_TO_POINTER(key), m);
    return m;
}

/* Refusals are the client's business and logged for debugging only; what is ours has been logged
 * where it happened. The duration ends with the last byte handed to the kernel; a round's clock is
 * exact enough. */
void exchange_count(struct exchange *x)
{
    metric_add(find_counter(x), 1);
    metric_observe(x->loop->durations[route_index(x)],
                   (double)(x->loop->now_us - x->started_us) / 1e6);
    if (x->response.status < 400)
        return;
    log_debug(LOG_MSG("a request was refused"), LOG_INT("status", x->response.status),
              LOG_TEXT("path", x->request.path),
              LOG_TEXT("correlation_id", x->request.correlation_id));
}
