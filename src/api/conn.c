/* conn: one connection, moved by a table of steps, one for each state.
 *
 * A step either waits for an event (CONN_WAIT) or has changed something (CONN_GO), and then the
 * step of the new state follows; there is no recursion, however many requests are pipelined.
 * After CONN_TURN_STEPS the connection goes to the end of the loop's list, so that a client
 * which always has the next request ready does not starve the others.
 * Deliberately missing: locks. Everything here runs on the thread of the connection's loop. */
#include "api/conn.h"

#include <errno.h>

#include <sys/epoll.h>

#include "api/exchange.h"

/* ---- life ------------------------------------------------------------------------------------ */

/* The state is the list in which the deadline stands; moving it starts the new state's time. */
void conn_set_state(struct conn *c, enum conn_state state)
{
    deadlines_move(&c->loop->deadlines, &c->deadline, state, c->loop->now_us);
}

/* A client that shut only its own side (RDHUP) still waits for its answer: no reason to close. An
 * error, or both sides shut, is. Both kinds of events come together at every edge; which one is of
 * use, the state's step finds out. */
static void conn_ready(struct watch *w, uint32_t events)
{
    struct conn *c = (struct conn *)w;

    /* An event of the same round, taken from epoll before the close: the memory still lives. */
    if (c->deadline.state == CONN_CLOSED)
        return;
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
        conn_close(c);
        return;
    }
    c->has_hung_up |= (events & EPOLLRDHUP) != 0;
    c->is_readable |= (events & (EPOLLIN | EPOLLRDHUP)) != 0;
    conn_run(c);
}

/* Never NULL: one that could not be watched comes back closed, and every function here accepts
 * that. */
struct conn *conn_open(struct loop *loop, int fd, unsigned door, uint64_t peer, bool is_counted)
{
    struct conn *c = g_new0(struct conn, 1);

    c->watch = (struct watch){conn_ready, fd};
    c->loop = loop;
    c->ops = &conn_plain_ops;
    c->door = door;
    c->peer = peer;
    c->is_counted = is_counted;
    c->is_probe = loop->is_draining && door == ROUTE_METRICS;
    loop->probes += c->is_probe;
    c->deadline.link.data = c;
    c->again_link.data = c;
    deadlines_add(&loop->deadlines, &c->deadline, CONN_IDLE, loop->now_us);
    metric_change(loop->server->connections_gauge, 1);
    if (!loop_watch(loop, &c->watch, false))
        conn_close(c);
    return c;
}

/* The request goes on without us: the other thread still reads what lies in our buffers. in and
 * body move to the exchange, which gives them back when the other thread has returned it. */
static void conn_abandon(struct conn *c)
{
    struct exchange *x = c->exchange;

    x->conn = NULL;
    x->in = c->in;
    x->body = c->body;
    c->in = NULL;
    c->body = NULL;
}

/* Frees all but the struct itself, to which this round's events may still point; conn_free
 * follows. */
void conn_close(struct conn *c)
{
    if (c->deadline.state == CONN_CLOSED)
        return;
    /* At another thread: it must not lose the bytes it reads, so the exchange lives on without
     * us. */
    if (c->exchange != NULL && c->exchange->is_away)
        conn_abandon(c);
    else if (c->exchange != NULL)
        exchange_give(c->exchange);
    c->exchange = NULL;
    loop_give_buffer(c->loop, c->in);
    c->in = NULL;
    g_free(c->body);
    c->body = NULL;
    c->ops->close(c);
    conn_set_state(c, CONN_CLOSED);
}

/* The counters go down only now, so that a loop which drains waits for its connections' memory. */
void conn_free(struct conn *c)
{
    struct loop *loop = c->loop;

    g_assert(c->deadline.state == CONN_CLOSED);
    deadlines_remove(&loop->deadlines, &c->deadline);
    if (c->is_again)
        g_queue_unlink(&loop->again, &c->again_link);
    if (c->is_counted)
        peers_leave(loop->server->peers, c->peer);
    loop->probes -= c->is_probe;
    metric_change(loop->server->connections_gauge, -1);
    atomic_fetch_sub(&loop->server->connections, 1);
    atomic_fetch_sub_explicit(&loop->connections, 1, memory_order_relaxed);
    g_free(c);
}

/* ---- bytes in -------------------------------------------------------------------------------- */

/* EAGAIN and a short read both clear is_readable: the next edge sets it again. */
enum conn_fill conn_fill(struct conn *c, char *to, size_t *size)
{
    size_t asked = *size;
    ssize_t got;

    if (!c->is_readable)
        return CONN_FILL_NOTHING;
    do {
        got = c->ops->read(c, to, asked);
    } while (got < 0 && errno == EINTR);
    if (got == 0)
        return CONN_FILL_END;
    if (got < 0) {
        c->is_readable = false;
        return errno == EAGAIN ? CONN_FILL_NOTHING : CONN_FILL_END;
    }
    /* A short read means that the socket is empty now, and the next bytes make a new edge. Only an
     * end of the stream that was reported already would not: so read on to it. */
    if ((size_t)got < asked && !c->has_hung_up)
        c->is_readable = false;
    *size = (size_t)got;
    return CONN_FILL_DATA;
}

/* An idle connection keeps no buffer; neither does one whose bytes are all used. Accepts that there
 * is none. */
static void conn_drop_buffer(struct conn *c)
{
    loop_give_buffer(c->loop, c->in);
    c->in = NULL;
    c->in_start = c->in_end = c->scanned = 0;
}

/* Before a head is read no slice points into the buffer. Keeping heads in its first part leaves
 * room behind them for a body. A slow pipeliner would otherwise move towards the end of the buffer,
 * request by request. */
static void conn_compact(struct conn *c)
{
    if (c->in_start <= HTTP_HEAD_MAX)
        return;
    memmove(c->in, c->in + c->in_start, c->in_end - c->in_start);
    c->in_end -= c->in_start;
    c->in_start = 0;
}

/* Reads behind what is there. The buffer is taken only when there is something to read; an empty
 * one goes back at once. */
static enum conn_fill conn_fill_head(struct conn *c)
{
    enum conn_fill fill;
    size_t size;

    if (!c->is_readable)
        return CONN_FILL_NOTHING;
    if (c->in == NULL)
        c->in = loop_take_buffer(c->loop);
    size = LOOP_BUFFER_SIZE - c->in_end;
    fill = conn_fill(c, c->in + c->in_end, &size);
    if (fill == CONN_FILL_DATA)
        c->in_end += size;
    else if (c->in_end == c->in_start)
        conn_drop_buffer(c);
    return fill;
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* While draining every answer is the last one of its connection, and says so. */
void conn_answer(struct conn *c)
{
    struct exchange *x = c->exchange;

    if (loop_is_draining(c->loop))
        c->closes = true;
    render_answer(x, c->closes);
    c->sent = 0;
    conn_set_state(c, CONN_WRITE);
}

/* A refused head has no exchange yet, so one without a request is made for the answer. A connection
 * that is closed already stays so. */
void conn_refuse(struct conn *c, int status, const char *slug, const char *why)
{
    if (c->deadline.state == CONN_CLOSED)
        return;
    if (c->exchange == NULL) {
        c->exchange = exchange_take(c->loop);
        c->exchange->conn = c;
        exchange_open_empty(c->exchange);
    }
    c->closes = true;
    response_problem(&c->exchange->response, &c->exchange->request, status, slug, NULL, "%s", why);
    /* The only refusal that a later try may escape. */
    if (status == 503)
        response_header(&c->exchange->response, "Retry-After", SLICE("1"));
    conn_answer(c);
}

/* The answer is out: on to the next request, or to the end. Bytes that are here already begin the
 * next request without waiting for epoll, since their edge has been seen. */
static enum conn_step conn_finish(struct conn *c)
{
    struct exchange *x = c->exchange;

    exchange_count(x);
    body_finish(c, &x->head);
    exchange_give(x);
    c->exchange = NULL;
    /* A close that leaves bytes unread would be a reset: first our side is shut, then the rest is
     * read. */
    if (c->closes) {
        conn_drop_buffer(c);
        c->ops->shut(c);
        conn_set_state(c, CONN_LINGER);
        return CONN_GO;
    }
    if (c->in_start == c->in_end)
        conn_drop_buffer(c);
    c->scanned = 0;
    conn_set_state(c, c->in_end > c->in_start ? CONN_HEAD : CONN_IDLE);
    return CONN_GO;
}

/* What is left to send; at most two parts. Head and body go out together, without being copied into
 * one. Returns how many parts, 0 = all sent. */
static int conn_left(const struct conn *c, struct iovec parts[2])
{
    const struct exchange *x = c->exchange;
    const GString *strings[] = {x->answer, x->response.body};
    size_t string_count = x->is_bare ? 1 : 2;
    size_t skip = c->sent;
    int count = 0;

    for (size_t i = 0; i < string_count; i++) {
        const GString *s = strings[i];

        if (s->len > skip)
            parts[count++] = (struct iovec){s->str + skip, s->len - skip};
        skip -= MIN(skip, s->len);
    }
    return count;
}

/* The kernel takes all of it in one go, except when the client reads slower than we answer. EAGAIN
 * waits for the next edge of EPOLLOUT; the deadline of CONN_WRITE is running meanwhile. */
static enum conn_step step_write(struct conn *c)
{
    struct iovec parts[2];
    int count;

    while ((count = conn_left(c, parts)) > 0) {
        ssize_t sent = c->ops->write(c, parts, count);

        if (sent >= 0) {
            c->sent += (size_t)sent;
        } else if (errno == EAGAIN) {
            return CONN_WAIT;
        } else if (errno != EINTR) {
            conn_close(c);
            return CONN_WAIT;
        }
    }
    return conn_finish(c);
}

/* ---- the request ----------------------------------------------------------------------------- */

/* From here to the answer nothing is read: that is the pipelining order and the back-pressure. The
 * state is BUSY while the exchange is away: no deadline runs, since the wait is ours. */
static enum conn_step conn_dispatch(struct conn *c)
{
    c->exchange->is_away = !exchange_dispatch(c->exchange);
    if (c->exchange->is_away) {
        conn_set_state(c, CONN_BUSY);
        return CONN_WAIT;
    }
    conn_answer(c);
    return CONN_GO;
}

/* RFC 9110 section 10.1.1: a client that has begun with the body does not wait for us. false = the
 * connection was closed. */
static bool conn_send_continue(struct conn *c, const struct http_head *head)
{
    static char LINE[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct iovec part = {LINE, sizeof(LINE) - 1};

    if (!head->expects_continue || c->in_end > c->head_end || c->body_size > 0)
        return true;
    /* Nothing was sent before on this request, so there is room for a line, or the peer is gone. */
    if (c->ops->write(c, &part, 1) == (ssize_t)part.iov_len)
        return true;
    conn_close(c);
    return false;
}

/* What the head alone can refuse is refused before the body is read, and before a 100. The head is
 * parsed and c->exchange holds it. */
static enum conn_step conn_begin(struct conn *c)
{
    struct exchange *x = c->exchange;
    bool is_good;

    x->conn = c;
    c->closes = !x->head.is_keep_alive;
    is_good = exchange_open(x, c->door);
    body_start(c, &x->head);
    if (!is_good) {
        /* A body that is still to come would have to be read to find the next request. */
        c->closes |= !body_is_here(c, &x->head);
        conn_answer(c);
        return CONN_GO;
    }
    if (body_is_here(c, &x->head)) {
        const char *why;

        body_read(c, &x->head, &x->request.body, &why);
        return conn_dispatch(c);
    }
    conn_set_state(c, CONN_BODY);
    return conn_send_continue(c, &x->head) ? CONN_GO : CONN_WAIT;
}

/* A head that is complete is never shown to the parser twice, one that is not only from where the
 * last look ended. After IDLE and HEAD alike. Entering HEAD starts its deadline with the first
 * byte, and no later byte extends it: that is the answer to clients that dribble. */
static enum conn_step step_head(struct conn *c)
{
    static const struct {
        int status;
        const char *slug;
    } REFUSALS[] = {
        [HTTP_PARSE_BAD] = {400, "bad-request"},
        [HTTP_PARSE_LARGE] = {431, "head-too-large"},
        [HTTP_PARSE_VERSION] = {505, "http-version"},
    };
    struct exchange *x;
    enum http_parse result;
    const char *why;
    size_t used;

    conn_compact(c);
    if (c->in_end - c->in_start == c->scanned) {
        enum conn_fill fill = conn_fill_head(c);

        if (fill == CONN_FILL_END)
            conn_close(c);
        if (fill != CONN_FILL_DATA)
            return CONN_WAIT;
    }
    /* The head is parsed into the exchange's own memory; an incomplete one gives it straight
     * back. */
    x = exchange_take(c->loop);
    result = http_parse_head(slice_of(c->in + c->in_start, c->in_end - c->in_start), &c->scanned,
                             &x->head, &used, &why);
    if (result == HTTP_PARSE_DONE) {
        c->exchange = x;
        c->head_end = c->in_start + used;
        return conn_begin(c);
    }
    exchange_give(x);
    conn_set_state(c, CONN_HEAD);
    if (result != HTTP_PARSE_MORE)
        conn_refuse(c, REFUSALS[result].status, REFUSALS[result].slug, why);
    return CONN_GO;
}

/* Broken framing ends the connection, since nobody can say where the next request would begin. */
static enum conn_step step_body(struct conn *c)
{
    struct exchange *x = c->exchange;
    const char *why = NULL;

    switch (body_read(c, &x->head, &x->request.body, &why)) {
    case BODY_DONE:
        return conn_dispatch(c);
    case BODY_WAIT:
        return CONN_WAIT;
    case BODY_CLOSED:
        conn_close(c);
        return CONN_WAIT;
    case BODY_BAD:
        conn_refuse(c, 400, "bad-request", why);
        return CONN_GO;
    case BODY_LARGE:
        conn_refuse(c, 413, "too-large", "the body passes the limit");
        return CONN_GO;
    }
    g_assert_not_reached();
}

/* Reads and forgets, so that the client sees our answer before our close (a close with unread bytes
 * is a reset, which may destroy the answer on its way). It ends with the client's own close, after
 * CONN_LINGER_MS, or after too many bytes. Source: RFC 9112 section 9.6. */
static enum conn_step step_linger(struct conn *c)
{
    char rest[16384];
    size_t size = sizeof(rest);
    enum conn_fill fill = conn_fill(c, rest, &size);

    if (fill == CONN_FILL_NOTHING)
        return CONN_WAIT;
    c->dropped += size;
    if (fill == CONN_FILL_DATA && c->dropped <= CONN_LINGER_SIZE_MAX)
        return CONN_GO;
    conn_close(c);
    return CONN_WAIT;
}

/* BUSY waits for the inbox, CLOSED for its burial. */
static enum conn_step step_nothing(struct conn *c)
{
    (void)c;
    return CONN_WAIT;
}

/* ---- moving on ------------------------------------------------------------------------------- */

/* IDLE and HEAD differ in their deadline only, so they share a step. */
static enum conn_step (*const STEPS[CONN_STATES])(struct conn *c) = {
    [CONN_IDLE] = step_head,      [CONN_HEAD] = step_head,   [CONN_BODY] = step_body,
    [CONN_BUSY] = step_nothing,   [CONN_WRITE] = step_write, [CONN_LINGER] = step_linger,
    [CONN_CLOSED] = step_nothing,
};

/* A connection that waits for its next turn is not moved by an event: the turn will look at it. */
void conn_run(struct conn *c)
{
    if (c->is_again)
        return; /* it has its turn in the next round */
    for (int i = 0; i < CONN_TURN_STEPS; i++)
        if (STEPS[c->deadline.state](c) == CONN_WAIT)
            return;
    c->is_again = true;
    g_queue_push_tail_link(&c->loop->again, &c->again_link);
}

/* An idle client is waiting for nothing, and one that does not read would not read a word more. */
static void expire_close(struct conn *c)
{
    conn_close(c);
}

/* A client that began a request is told why it failed. */
static void expire_head(struct conn *c)
{
    conn_refuse(c, 408, "request-timeout", "the request's head did not arrive in time");
    conn_run(c);
}

/* What of the body came in time is dropped with the connection. */
static void expire_body(struct conn *c)
{
    conn_refuse(c, 408, "request-timeout", "the request's body did not arrive in time");
    conn_run(c);
}

/* BUSY and CLOSED have no deadline, hence no entry. */
void conn_expire(struct conn *c)
{
    static void (*const EXPIRE[CONN_STATES])(struct conn *) = {
        [CONN_IDLE] = expire_close,  [CONN_HEAD] = expire_head,    [CONN_BODY] = expire_body,
        [CONN_WRITE] = expire_close, [CONN_LINGER] = expire_close,
    };

    g_assert(EXPIRE[c->deadline.state] != NULL);
    EXPIRE[c->deadline.state](c);
}

/* is_readable is set without an edge, which costs one read that may find nothing. */
void conn_close_idle(struct conn *c)
{
    /* Looks once more: a request may have arrived since the last round. */
    c->is_readable = true;
    conn_run(c);
    if (c->deadline.state == CONN_IDLE)
        conn_close(c);
}
