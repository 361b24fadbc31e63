/* One connection: all that touches its socket.
 *
 * Sockets are watched edge-triggered and never changed again. A request is one write and its answer
 * one read: an answer that has come whole is not read after, since nothing can follow it (requests
 * are not pipelined) and the end of a connection is an edge of its own.
 *
 * Each way a connection can end has one place: conn_fail (it never worked), conn_break (a request
 * was on its way, or it ended between two), load_conn_close (all else). A server that is full is in
 * all three: it hangs up at once, after a moment, or answers 503 to what was sent in between.
 */
#include "cli/load_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "common/clock.h"

#define CONN_ANSWER_SIZE  65536    /* read at once */
#define CONN_REOPEN_US    200000   /* after a failure; a loop of refused connects helps nobody */
#define CONN_PAUSE_US     100000   /* refused without Retry-After */
#define CONN_PAUSE_MAX_US 10000000 /* a run has an end */

/* ---- states ---------------------------------------------------------------------------------- */

/* PAUSED as well: the server holds its end and is not asked for a while. */
static bool conn_is_connected(enum load_conn_state state)
{
    return state == LOAD_CONN_IDLE || state == LOAD_CONN_BUSY || state == LOAD_CONN_PAUSED;
}

/* Both wait for resume_us, one to be opened, the other to be used. */
static bool conn_is_delayed(enum load_conn_state state)
{
    return state == LOAD_CONN_CLOSED || state == LOAD_CONN_PAUSED;
}

/* The only place where a state changes, so that the worker's counts are always right. */
static void conn_set(struct load_worker *w, struct load_conn *c, enum load_conn_state state)
{
    w->connected += (size_t)conn_is_connected(state) - (size_t)conn_is_connected(c->state);
    w->delayed += (size_t)conn_is_delayed(state) - (size_t)conn_is_delayed(c->state);
    w->busy += (size_t)(state == LOAD_CONN_BUSY) - (size_t)(c->state == LOAD_CONN_BUSY);
    c->state = state;
    if (state == LOAD_CONN_IDLE)
        load_worker_put_idle(w, c);
}

/* Counted, because a lane with something to repeat is not over. */
static void conn_set_retry(struct load_worker *w, struct load_conn *c, bool is_retry)
{
    w->retries += (size_t)is_retry - (size_t)c->is_retry;
    c->is_retry = is_retry;
}

/* The buffer of a split head is kept: whoever split one answer splits the next. */
static void conn_forget_exchange(struct load_conn *c)
{
    g_clear_pointer(&c->unsent, g_free);
    c->has_head = false;
    if (c->head != NULL)
        g_string_truncate(c->head, 0);
}

/* Also for half-made connections: all members are looked at. */
void load_conn_done(struct load_conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    conn_forget_exchange(c);
    if (c->head != NULL)
        g_string_free(c->head, TRUE);
    c->head = NULL;
}

/* Closing the descriptor takes it out of the epoll, too. What is to be repeated stays so. */
void load_conn_close(struct load_worker *w, struct load_conn *c, int64_t delay_us)
{
    load_conn_done(c);
    conn_set(w, c, LOAD_CONN_CLOSED);
    c->resume_us = clock_monotonic_us() + delay_us;
}

/* Running out of descriptors or of local ports is counted here as well. */
static void conn_fail(struct load_worker *w, struct load_conn *c)
{
    load_count(&w->counts.connect_errors, 1);
    load_conn_close(w, c, CONN_REOPEN_US);
}

/* The answer will never come: what became of the request is not known, but that it had not ended
 * until now is. Between two requests a server may hang up, and nothing is lost; on a connection
 * that never gave an answer it says that it is full, and at once would be too soon to ask again. */
static void conn_break(struct load_worker *w, struct load_conn *c, _Atomic uint64_t *counter)
{
    if (c->state == LOAD_CONN_BUSY) {
        load_count(counter, 1);
        latency_add(&w->counts.latency, clock_monotonic_us() - c->from_us);
        load_conn_close(w, c, CONN_REOPEN_US);
    } else if (c->is_proven) {
        load_conn_close(w, c, 0);
    } else {
        conn_fail(w, c);
    }
}

/* ---- connecting ------------------------------------------------------------------------------ */

/* sent_us is borrowed for the time-out of the connect. */
void load_conn_open(struct load_worker *w, struct load_conn *c)
{
    const struct load_target *t = w->run->target;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    int one = 1;

    c->fd = socket(t->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        conn_fail(w, c);
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if ((connect(c->fd, (const struct sockaddr *)&t->address, t->address_size) != 0 &&
         errno != EINPROGRESS) ||
        epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        conn_fail(w, c);
        return;
    }
    c->sent_us = clock_monotonic_us();
    c->is_proven = false;
    conn_set(w, c, LOAD_CONN_CONNECTING);
}

/* An event without EPOLLOUT and without an error is none for a socket that connects. A server that
 * speaks or hangs up before it was asked anything is full; its edge does not come again. */
static void conn_finish_connect(struct load_worker *w, struct load_conn *c, uint32_t events)
{
    int problem = 0;
    socklen_t size = sizeof(problem);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0 || problem != 0 ||
        (events & (EPOLLIN | EPOLLRDHUP)) != 0) {
        conn_fail(w, c);
    } else if ((events & EPOLLOUT) != 0) {
        w->reached_us = clock_monotonic_us();
        conn_set(w, c, LOAD_CONN_IDLE);
    }
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Writes the lines of a request behind the room for its head. Returns the body's size. */
static size_t conn_render_body(struct load_worker *w, struct load_conn *c, char *body)
{
    uint64_t position = c->request * w->run->batch;
    uint64_t duplicates = 0;
    char *p = body;

    for (uint32_t i = 0; i < c->count; i++) {
        bool is_duplicate;
        uint64_t number = load_events_pick(w->run->events, &w->lane, position + i, &is_duplicate);

        p += load_events_write(w->run->events, number, p);
        duplicates += is_duplicate;
        if (w->run->batch > 1)
            *p++ = '\n';
    }
    load_count(&w->counts.duplicates, duplicates);
    return (size_t)(p - body);
}

/* The head ends with the length of the body, so it is put in front of the body from the right: its
 * first byte is returned. */
static char *conn_render(struct load_worker *w, struct load_conn *c, size_t *size)
{
    char *body = w->request + w->head_size + 24; /* 20 digits and two line ends */
    size_t body_size = conn_render_body(w, c, body);
    char *p = body;

    memcpy(p -= 4, "\r\n\r\n", 4);
    for (size_t left = body_size; left > 0; left /= 10)
        *--p = (char)('0' + left % 10);
    memcpy(p -= w->head_size, w->head, w->head_size);
    *size = (size_t)(body + body_size - p);
    return p;
}

/* A socket that takes only a part gets the rest when it has room again. */
static void conn_keep_rest(struct load_conn *c, const char *data, size_t size)
{
    c->unsent = g_memdup2(data, size);
    c->unsent_size = size;
    c->unsent_done = 0;
}

void load_conn_send(struct load_worker *w, struct load_conn *c, uint64_t request, int64_t from_us)
{
    uint64_t first = (request * w->lane.count + w->lane.index) * w->run->batch;
    size_t size;
    char *data;
    ssize_t done;

    c->request = request;
    c->count = (uint32_t)MIN(w->run->batch, w->run->events_max - first);
    conn_set_retry(w, c, false);
    data = conn_render(w, c, &size);
    c->sent_us = clock_monotonic_us();
    c->from_us = from_us != 0 ? from_us : c->sent_us;
    conn_set(w, c, LOAD_CONN_BUSY);
    load_count(&w->counts.requests, 1);
    load_count(&w->counts.events, c->count);
    done = send(c->fd, data, size, MSG_NOSIGNAL);
    if (done < 0 && errno != EAGAIN)
        conn_break(w, c, &w->counts.lost);
    else if ((size_t)MAX(done, 0) < size)
        conn_keep_rest(c, data + MAX(done, 0), size - (size_t)MAX(done, 0));
}

/* One write for each time that there is room: edges come again. */
static void conn_send_rest(struct load_worker *w, struct load_conn *c)
{
    ssize_t done =
        send(c->fd, c->unsent + c->unsent_done, c->unsent_size - c->unsent_done, MSG_NOSIGNAL);

    if (done < 0 && errno != EAGAIN)
        conn_break(w, c, &w->counts.lost);
    else if (done > 0 && (c->unsent_done += (size_t)done) == c->unsent_size)
        g_clear_pointer(&c->unsent, g_free);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* At full speed a refused request is sent again after the time that the server asked for. At a rate
 * its time has passed, and the next one's comes. */
static void conn_pause(struct load_worker *w, struct load_conn *c, int64_t now_us)
{
    int64_t wait_us =
        c->answer.retry_after_ms >= 0 ? c->answer.retry_after_ms * 1000 : CONN_PAUSE_US;

    conn_set_retry(w, c, true);
    c->resume_us = now_us + CLAMP(wait_us, 10000, CONN_PAUSE_MAX_US);
}

/* Only successes have a latency: refusals are quick and would flatter the server. */
static void conn_count_answer(struct load_worker *w, struct load_conn *c, int64_t now_us)
{
    load_count(&w->counts.statuses[c->answer.status], 1);
    atomic_store_explicit(&w->counts.last_us, now_us, memory_order_relaxed);
    if (c->answer.status >= 300)
        return;
    load_count(&w->counts.accepted, c->count);
    latency_add(&w->counts.latency, now_us - c->from_us);
}

/* An answer before the whole request was taken is a refusal: the rest would be read as the next
 * request. */
static void conn_finish(struct load_worker *w, struct load_conn *c)
{
    int64_t now_us = clock_monotonic_us();
    bool is_last = c->answer.is_last || c->unsent != NULL;
    bool is_refused = c->answer.status == 503 || c->answer.status == 507;

    conn_count_answer(w, c, now_us);
    c->is_proven = true;
    conn_forget_exchange(c);
    if (is_refused && w->run->rate <= 0)
        conn_pause(w, c, now_us);
    if (is_last)
        load_conn_close(w, c, c->is_retry ? c->resume_us - now_us : 0);
    else
        conn_set(w, c, c->is_retry ? LOAD_CONN_PAUSED : LOAD_CONN_IDLE);
}

/* The head, which mostly comes in one piece and is then read where it lies. Returns how many of the
 * bytes belong to it; 0 with *is_bad when nothing can be made of it. */
static size_t conn_take_head(struct load_conn *c, const char *data, size_t size, bool *is_bad)
{
    size_t before = c->head != NULL ? c->head->len : 0;
    size_t head_size = 0;
    enum load_answer_result result;

    if (before > 0) {
        g_string_append_len(c->head, data, (gssize)size);
        result = load_answer_read(c->head->str, c->head->len, &c->answer, &head_size);
    } else {
        result = load_answer_read(data, size, &c->answer, &head_size);
    }
    *is_bad = result == LOAD_ANSWER_BAD;
    if (result == LOAD_ANSWER_READY) {
        c->has_head = true;
        c->body_left = c->answer.body_size;
        return head_size - before;
    }
    if (before == 0 && !*is_bad) {
        c->head = c->head != NULL ? c->head : g_string_new(NULL);
        g_string_append_len(c->head, data, (gssize)size);
    }
    return size;
}

/* false: these bytes are no answer to what was asked. */
static bool conn_take(struct load_worker *w, struct load_conn *c, const char *data, size_t size)
{
    bool is_bad = c->state != LOAD_CONN_BUSY;

    if (!is_bad && !c->has_head) {
        size_t used = conn_take_head(c, data, size, &is_bad);

        data += used;
        size -= used;
    }
    if (is_bad)
        return false;
    if (!c->has_head)
        return true;
    if (size > c->body_left)
        return false; /* one request, one answer */
    c->body_left -= size;
    if (c->body_left == 0)
        conn_finish(w, c);
    return true;
}

/* is_closing: the server has shut its side, so everything it sent is there to be read. */
static void conn_read(struct load_worker *w, struct load_conn *c, bool is_closing)
{
    for (;;) {
        ssize_t size = recv(c->fd, w->answer, CONN_ANSWER_SIZE, 0);

        if (size < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (size <= 0) {
            conn_break(w, c, &w->counts.lost);
            return;
        }
        if (!conn_take(w, c, w->answer, (size_t)size)) {
            conn_break(w, c, &w->counts.bad_answers);
            return;
        }
        if (c->state == LOAD_CONN_CLOSED || (size < CONN_ANSWER_SIZE && !is_closing))
            return;
    }
}

/* Writing comes first: it may be what the server waits for. It may also close the connection. */
void load_conn_ready(struct load_worker *w, struct load_conn *c, uint32_t events)
{
    if (c->state == LOAD_CONN_CONNECTING) {
        conn_finish_connect(w, c, events);
        return;
    }
    if (c->unsent != NULL && (events & EPOLLOUT) != 0)
        conn_send_rest(w, c);
    if (c->state != LOAD_CONN_CLOSED &&
        (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        conn_read(w, c, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* At most one thing happens to a connection in a sweep; the next one is near. */
void load_conn_sweep(struct load_worker *w, struct load_conn *c, int64_t now_us)
{
    if (conn_is_delayed(c->state) && now_us >= c->resume_us) {
        if (c->state == LOAD_CONN_CLOSED)
            load_conn_open(w, c);
        else
            conn_set(w, c, LOAD_CONN_IDLE);
    } else if (c->state == LOAD_CONN_BUSY && now_us - c->sent_us > w->run->timeout_us) {
        conn_break(w, c, &w->counts.timeouts);
    } else if (c->state == LOAD_CONN_CONNECTING && now_us - c->sent_us > w->run->timeout_us) {
        conn_fail(w, c);
    }
}
