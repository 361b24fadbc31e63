/* loop: one round of a loop, its beginning and its end.
 *
 * Everything in a loop runs on its own thread, so nothing in it is locked; other threads only
 * put mail into its inbox, whose descriptor wakes the epoll. The clock is read once a round.
 * Deliberately missing: timers. Deadlines (deadlines.h) and two look-agains are all that a wait
 * needs. */
#include "api/loop.h"

#include <errno.h>
#include <inttypes.h>

#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "api/conn.h"
#include "api/exchange.h"
#include "common/clock.h"
#include "common/error.h"

#define LOOP_EVENTS      256 /* taken from epoll at once */
#define LOOP_BUFFERS_MAX 256 /* spare ones kept */

/* ---- parts others use ------------------------------------------------------------------------ */

/* Edge-triggered in both directions, so that a connection is added once and never changed again:
 * changing what is watched would cost a system call for each request. */
bool loop_watch(struct loop *loop, struct watch *w, bool is_level)
{
    struct epoll_event event = {
        .events = is_level ? EPOLLIN : EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.ptr = w,
    };

    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, w->fd, &event) == 0;
}

/* A list of one: the mailbox knows only lists. */
void loop_put(struct loop *loop, struct loop_mail *mail)
{
    struct mail_list list = {0};

    mail_list_append(&list, &mail->mail);
    mailbox_put(loop->inbox, &list);
}

/* Its content is undefined. Taken from the end, where the warmest one is. */
char *loop_take_buffer(struct loop *loop)
{
    if (loop->buffers->len == 0)
        return g_malloc(LOOP_BUFFER_SIZE);
    return g_ptr_array_steal_index_fast(loop->buffers, loop->buffers->len - 1);
}

void loop_give_buffer(struct loop *loop, char *buffer)
{
    if (buffer == NULL)
        return;
    if (loop->buffers->len < LOOP_BUFFERS_MAX)
        g_ptr_array_add(loop->buffers, buffer);
    else
        g_free(buffer);
}

/* splitmix64. Source: Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014;
 * the constants are those of its reference implementation. Fast and good enough for ids that must
 * differ, not for ones that must not be guessed. */
static uint64_t loop_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 16 digits; no NUL. */
static void write_hex(uint64_t value, char *out)
{
    static const char DIGITS[] = "0123456789abcdef";

    for (int i = 0; i < 16; i++)
        out[i] = DIGITS[value >> (60 - 4 * i) & 15];
}

/* In the form of a W3C trace id, so that tools take it for one. */
void loop_make_id(struct loop *loop, char out[33])
{
    write_hex(loop_random(&loop->seed[0]), out);
    write_hex(loop_random(&loop->seed[1]), out + 16);
    out[32] = '\0';
}

/* ---- one round ------------------------------------------------------------------------------- */

/* RFC 9110 section 5.6.7; English whatever the locale. Once a second at most: a round within the
 * same second reuses the text. */
static void loop_render_date(struct loop *loop, int64_t seconds)
{
    static const char DAYS[][4] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    static const char MONTHS[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    g_autoptr(GDateTime) t = g_date_time_new_from_unix_utc(seconds);

    g_snprintf(loop->date, sizeof(loop->date), "%s, %02d %s %04d %02d:%02d:%02d GMT",
               DAYS[g_date_time_get_day_of_week(t) - 1], g_date_time_get_day_of_month(t),
               MONTHS[g_date_time_get_month(t) - 1], g_date_time_get_year(t),
               g_date_time_get_hour(t), g_date_time_get_minute(t), g_date_time_get_second(t));
    loop->date_s = seconds;
}

/* Every time that is taken in a round is this one: deadlines, arrivals, durations. */
static void loop_read_clock(struct loop *loop)
{
    loop->now_us = clock_monotonic_us();
    loop->wall_us = clock_now_us();
    if (loop->wall_us / 1000000 != loop->date_s)
        loop_render_date(loop, loop->wall_us / 1000000);
}

/* 0 = not draining. Relaxed: loops may learn of it a round late; the drain's mail wakes them
 * anyway. */
static int64_t loop_drain_until(const struct loop *loop)
{
    return atomic_load_explicit(&loop->server->drain_until_us, memory_order_relaxed);
}

bool loop_is_draining(const struct loop *loop)
{
    return loop_drain_until(loop) != 0;
}

/* Units: milliseconds, rounded up so that the deadline has passed on waking; -1 = for ever. 0 while
 * connections wait for their next turn. */
static int loop_wait_ms(const struct loop *loop)
{
    int64_t until_us = deadlines_next(&loop->deadlines);
    int64_t wait_us;

    if (loop->again.length > 0)
        return 0;
    if (loop->acceptor != NULL)
        until_us = MIN(until_us, acceptor_resume_at(loop->acceptor));
    if (loop->is_draining) /* looks how far the other loops are */
        until_us = MIN(until_us, loop->now_us + LOOP_DRAIN_LOOK_US);
    if (loop->is_draining && loop_drain_until(loop) > loop->now_us)
        until_us = MIN(until_us, loop_drain_until(loop));
    if (until_us == INT64_MAX)
        return -1;
    wait_us = until_us - loop->now_us;
    return wait_us <= 0 ? 0 : (int)MIN((wait_us + 999) / 1000, G_MAXINT);
}

/* All that came since the last look, in order; whoever put something now rings again. The watch
 * stands in the middle of the loop, hence the arithmetic. */
static void loop_read_inbox(struct watch *w, uint32_t events)
{
    struct loop *loop = (struct loop *)((char *)w - G_STRUCT_OFFSET(struct loop, inbox_watch));
    struct mail_list mails = mailbox_take(loop->inbox);
    struct mail *mail;

    (void)events;
    while ((mail = mail_list_pop(&mails)) != NULL) {
        struct loop_mail *m = (struct loop_mail *)mail;

        m->run(loop, m);
    }
}

/* Those that used up their turn in the last round. New ones wait for the next. */
static void loop_run_again(struct loop *loop)
{
    for (guint left = loop->again.length; left > 0; left--) {
        GList *link = g_queue_pop_head_link(&loop->again);
        struct conn *c = link->data;

        c->is_again = false;
        conn_run(c);
    }
}

/* conn_expire moves a connection on, so each turn finds another one, until none is due. A paused
 * acceptor is due here as well. */
static void loop_expire(struct loop *loop)
{
    struct conn *c;

    while ((c = deadlines_find_due(&loop->deadlines, loop->now_us)) != NULL)
        conn_expire(c);
    if (loop->acceptor != NULL && acceptor_resume_at(loop->acceptor) <= loop->now_us)
        acceptor_resume(loop->acceptor);
}

/* At the end of a round: no event of this round can point to them any more. The list of the state
 * CONN_CLOSED is the list of the dead. */
static void loop_bury(struct loop *loop)
{
    GQueue *closed = &loop->deadlines.lists[CONN_CLOSED];

    while (closed->head != NULL)
        conn_free(closed->head->data);
}

/* ---- drain ----------------------------------------------------------------------------------- */

/* act may move the connection to another state, but no other connection. */
static void loop_for_state(struct loop *loop, enum conn_state state, void (*act)(struct conn *))
{
    GList *next;

    for (GList *link = loop->deadlines.lists[state].head; link != NULL; link = next) {
        next = link->next;
        act(link->data);
    }
}

/* Answers from now on close their connections; idle ones are closed here, the others when
 * answered. */
static void loop_begin_drain(struct loop *loop, struct loop_mail *mail)
{
    (void)mail;
    if (loop->is_draining)
        return;
    loop->is_draining = true;
    loop->idle_until_us = loop->now_us + LOOP_DRAIN_GRACE_US;
}

/* Idle connections are not cut at once: a client may be sending its next request this moment. It
 * is answered with Connection: close, and nobody's request is lost. */
static void loop_close_idle(struct loop *loop)
{
    if (loop->is_draining && loop->now_us >= loop->idle_until_us)
        loop_for_state(loop, CONN_IDLE, conn_close_idle);
}

/* Not in loop_begin_drain: later events of the same round may still point to a listener's watch.
 * Once, after the events of the round. */
static void loop_close_main_door(struct loop *loop)
{
    if (!loop->is_draining || loop->acceptor == NULL ||
        atomic_load(&loop->server->is_main_door_closed))
        return;
    acceptor_drain(loop->acceptor);
    atomic_store(&loop->server->is_main_door_closed, true);
}

/* The deadline of the drain has passed: whoever is still here is cut off. Requests at other threads
 * go on: conn_close leaves them their memory. */
static void loop_cut_rest(struct loop *loop)
{
    for (int state = 0; state < CONN_CLOSED; state++)
        loop_for_state(loop, (enum conn_state)state, conn_close);
}

/* connections also counts those that were dealt to this loop and have not arrived; none is dealt to
 * another loop once the main door is closed. The accepting loop stays until the others have nothing
 * left: it keeps the metrics door open for probes. outstanding keeps the loop for requests whose
 * clients have gone, since their mail still comes here. */
static bool loop_is_over(const struct loop *loop)
{
    if (!loop->is_draining || loop->outstanding > 0 ||
        !atomic_load(&loop->server->is_main_door_closed))
        return false;
    if (loop->acceptor != NULL)
        return atomic_load(&loop->server->connections) == loop->probes;
    return atomic_load(&loop->connections) == 0;
}

/* The order matters: new jobs leave after everything that may make some, and connections are freed
 * after everything that may point to them. The thread. Connections that had used up their turn come
 * before the new events. */
static void *loop_main(void *data)
{
    struct loop *loop = data;
    struct epoll_event events[LOOP_EVENTS];

    loop_read_clock(loop);
    while (!loop_is_over(loop)) {
        int count = epoll_wait(loop->epoll_fd, events, LOOP_EVENTS, loop_wait_ms(loop));

        /* A broken epoll is a bug: nothing could be answered any more. */
        if (count < 0 && errno != EINTR)
            g_error("epoll_wait: %s", g_strerror(errno));
        loop_read_clock(loop);
        /* Before the new events: whoever had to wait goes first. */
        loop_run_again(loop);
        for (int i = 0; i < count; i++) {
            struct watch *w = events[i].data.ptr;

            /* A connection that was closed earlier in this round is still there, and says so
             * itself. */
            w->ready(w, events[i].events);
        }
        loop_close_main_door(loop);
        loop_expire(loop);
        loop_close_idle(loop);
        if (loop->is_draining && loop->now_us >= loop_drain_until(loop))
            loop_cut_rest(loop);
        /* Once a round: all events that this round decoded go to the committer in one mail. */
        intake_route_submit(loop);
        loop_bury(loop);
    }
    /* Only now: the metrics door answered probes until the end. */
    acceptor_close(loop->acceptor);
    loop->acceptor = NULL;
    loop_cut_rest(loop);
    loop_bury(loop);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* The mail is part of the loop, so a drain cannot fail for want of memory. */
void loop_drain(struct loop *loop)
{
    loop->drain_mail.run = loop_begin_drain;
    loop_put(loop, &loop->drain_mail);
}

void loop_start(struct loop *loop, int index)
{
    char name[16];

    g_snprintf(name, sizeof(name), "loop-%d", index);
    loop->thread = g_thread_new(name, loop_main, loop);
}

void loop_join(struct loop *loop)
{
    if (loop->thread != NULL)
        g_thread_join(loop->thread);
    loop->thread = NULL;
}

/* Busy connections have no deadline here: the commit and the look-up have their own ends. The table
 * names every state, so that none is without a limit by accident. */
static void loop_init_deadlines(struct loop *loop)
{
    const struct server_options *o = &loop->server->options;
    const int64_t limits_ms[CONN_STATES] = {
        [CONN_IDLE] = o->idle_timeout_ms,
        [CONN_HEAD] = o->head_timeout_ms,
        [CONN_BODY] = o->body_timeout_ms,
        [CONN_BUSY] = 0,
        [CONN_WRITE] = o->write_timeout_ms,
        [CONN_LINGER] = CONN_LINGER_MS,
        [CONN_CLOSED] = 0,
    };

    deadlines_init(&loop->deadlines, limits_ms);
}

/* By route, so that a slow look-up does not hide in the numbers of POST /events. An array by route
 * index; the last one is for requests without a route. The metrics are shared by all loops; the
 * array is owned by caller. */
static struct metric **loop_find_durations(void)
{
    struct metric **durations = g_new0(struct metric *, ROUTE_COUNT + 1);

    for (size_t i = 0; i <= ROUTE_COUNT; i++) {
        g_autofree char *labels =
            g_strdup_printf("method=\"%s\",route=\"%s\"",
                            i < ROUTE_COUNT ? http_method_name(ROUTES[i].method) : "none",
                            i < ROUTE_COUNT ? ROUTES[i].path : "none");

        durations[i] = metrics_histogram("http_request_duration_seconds",
                                         "Time from a request's head to its answer's last byte.",
                                         labels, METRICS_SECONDS, METRICS_SECONDS_COUNT);
    }
    return durations;
}

/* All that can fail comes last, so that loop_free finds everything else made. */
struct loop *loop_new(struct server *server, GError **error)
{
    struct loop *loop = g_new0(struct loop, 1);

    loop->server = server;
    loop->api = server->api;
    loop->inbox = mailbox_new(true);
    loop->inbox_watch = (struct watch){loop_read_inbox, mailbox_fd(loop->inbox)};
    loop->buffers = g_ptr_array_new_with_free_func(g_free);
    loop->exchanges = g_ptr_array_new();
    loop->counters = g_hash_table_new(NULL, NULL);
    loop->durations = loop_find_durations();
    loop_init_deadlines(loop);
    g_queue_init(&loop->again);
    flat_init(&loop->flat);
    loop->date_s = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd >= 0 && loop_watch(loop, &loop->inbox_watch, true) &&
        getrandom(loop->seed, sizeof(loop->seed), 0) == (ssize_t)sizeof(loop->seed))
        return loop;
    g_set_error(error, EF_ERROR, EF_ERROR_FATAL, "cannot start an event loop: %s",
                g_strerror(errno));
    loop_free(loop);
    return NULL;
}

/* A connection may have been dealt to this loop when it had ended already. Nobody puts mail any
 * more, so this look is the last. */
static void loop_empty_inbox(struct loop *loop)
{
    loop_read_clock(loop);
    loop_read_inbox(&loop->inbox_watch, 0);
    loop_cut_rest(loop);
    loop_bury(loop);
}

/* Spare buffers and exchanges are freed here; those in use have come back with the last look. */
void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    loop_empty_inbox(loop);
    for (guint i = 0; i < loop->exchanges->len; i++)
        exchange_free(g_ptr_array_index(loop->exchanges, i));
    g_ptr_array_unref(loop->exchanges);
    g_ptr_array_unref(loop->buffers);
    g_hash_table_unref(loop->counters);
    g_free(loop->durations);
    flat_done(&loop->flat);
    mailbox_free(loop->inbox);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    g_free(loop);
}
