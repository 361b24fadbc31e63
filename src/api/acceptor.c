/* acceptor: one thread takes all connections; the caps are kept here, before anything is read.
 *
 * Counting comes before dealing: the caps must hold for connections that are still on their way
 * to their loop, otherwise a burst would pass them. Dealing is a mail to the chosen loop.
 * Deliberately missing: a queue of its own. What is not accepted waits in the kernel's backlog. */
#include "api/acceptor.h"

#include <errno.h>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/conn.h"
#include "api/loop.h"
#include "common/log.h"

#define ACCEPTOR_DRAIN_ROUNDS 32  /* 4,096 connections: as many as the backlog holds */
#define ACCEPTOR_ROUND_MAX    128 /* connections taken from one listener before others have a turn */

/* One listening socket as epoll sees it. */
struct door_watch {
    struct watch watch; /* first */
    struct acceptor *acceptor;
    unsigned door;
};

/* First loop's thread only. */
struct acceptor {
    struct loop *loop;
    struct door_watch doors[2 * LISTENER_SOCKETS_MAX];
    size_t door_count;
    int64_t resume_us; /* INT64_MAX = not pausing */
    unsigned refused;  /* connections in this round that were over a limit */
};

/* A connection on its way to its loop. */
struct newcomer {
    struct loop_mail mail; /* first */
    int fd;                /* owned until conn_open takes it */
    unsigned door;
    uint64_t peer; /* entered in peers */
};

/* On the thread of the loop that it was dealt to. */
static void newcomer_arrive(struct loop *loop, struct loop_mail *mail)
{
    struct newcomer *n = (struct newcomer *)mail;

    conn_open(loop, n->fd, n->door, n->peer, true);
    g_free(n);
}

/* ---- one connection -------------------------------------------------------------------------- */

/* Connections live long and are alike, so their number is a good measure of a loop's load. */
/* The loop with the fewest connections: they live long and are alike, so their number is a good
 * measure of a loop's load. While draining the other loops may have ended: only our own still takes
 * connections. */
static struct loop *find_emptiest_loop(const struct acceptor *a)
{
    const struct server *s = a->loop->server;
    struct loop *best = s->loops[0];

    if (a->loop->is_draining)
        return a->loop;
    for (int i = 1; i < s->loop_count; i++)
        /* Relaxed: a count that is a little old deals one connection less evenly, no more. */
        if (atomic_load_explicit(&s->loops[i]->connections, memory_order_relaxed) <
            atomic_load_explicit(&best->connections, memory_order_relaxed))
            best = s->loops[i];
    return best;
}

/* Over a limit: told so if there are not too many of those, too, else just closed. Takes the
 * socket. The 503 costs a connection for as long as it lingers, hence the second limit. */
static void acceptor_refuse(struct acceptor *a, int fd, unsigned door, const char *why)
{
    struct server *s = a->loop->server;
    struct conn *c;

    log_warn(LOG_MSG("a connection was refused"), LOG_STRING("reason", why));
    if (atomic_load(&s->connections) >= s->options.connections_max + ACCEPTOR_REFUSED_MAX ||
        a->refused++ >= ACCEPTOR_REFUSED_MAX) {
        close(fd);
        return;
    }
    atomic_fetch_add(&s->connections, 1);
    atomic_fetch_add_explicit(&a->loop->connections, 1, memory_order_relaxed);
    c = conn_open(a->loop, fd, door, 0, false);
    conn_refuse(c, 503, "too-many-connections", why);
    conn_run(c);
}

/* The first loop's own connections need no mail. Takes the socket; it counts as open from here on,
 * wherever it is. */
static void acceptor_deal(struct acceptor *a, int fd, unsigned door, uint64_t peer)
{
    struct server *s = a->loop->server;
    struct loop *loop = find_emptiest_loop(a);
    struct newcomer *n;

    /* Counted here, so that a burst is spread before the loops have seen it. */
    atomic_fetch_add(&s->connections, 1);
    atomic_fetch_add_explicit(&loop->connections, 1, memory_order_relaxed);
    if (loop == a->loop) {
        conn_open(loop, fd, door, peer, true);
        return;
    }
    n = g_new0(struct newcomer, 1);
    n->mail.run = newcomer_arrive;
    n->fd = fd;
    n->door = door;
    n->peer = peer;
    loop_put(loop, &n->mail);
}

/* The caps are looked at in the order of their cost. Only this thread adds to connections, so the
 * look and the count cannot be split by another one. */
static void acceptor_take(struct acceptor *a, int fd, unsigned door, const struct sockaddr *address)
{
    struct server *s = a->loop->server;
    uint64_t peer = peers_key(address);

    if (s->options.connections_max > 0 &&
        atomic_load(&s->connections) >= s->options.connections_max)
        acceptor_refuse(a, fd, door, "the limit of open connections is reached");
    else if (!peers_enter(s->peers, peer))
        acceptor_refuse(a, fd, door, "the limit of open connections of one address is reached");
    else
        acceptor_deal(a, fd, door, peer);
}

/* ---- the listeners --------------------------------------------------------------------------- */

/* Sets what is watched at all listeners: EPOLLIN, or 0 for nothing. */
static void acceptor_listen(struct acceptor *a, uint32_t events)
{
    for (size_t i = 0; i < a->door_count; i++) {
        struct watch *w = &a->doors[i].watch;
        struct epoll_event event = {.events = events, .data.ptr = w};

        epoll_ctl(a->loop->epoll_fd, EPOLL_CTL_MOD, w->fd, &event);
    }
}

/* The listener stays readable while descriptors are missing, so it must not be watched then.
 * Waiting clients stay in the kernel's backlog meanwhile. */
static void acceptor_pause(struct acceptor *a, int number)
{
    log_warn(LOG_MSG("cannot accept connections, trying again soon"),
             LOG_STRING("error", g_strerror(number)), LOG_INT("pause_ms", ACCEPTOR_PAUSE_MS));
    acceptor_listen(a, 0);
    a->resume_us = a->loop->now_us + ACCEPTOR_PAUSE_MS * 1000;
}

/* Errors that say "we lack something"; every other one concerns only that one connection.
 * Source: accept(2), ERRORS. */
static bool is_shortage(int number)
{
    return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

/* Level-triggered: what is left in the backlog after a round is reported again. The bound on a
 * round keeps a flood of new connections from starving the open ones. */
static void acceptor_ready(struct watch *w, uint32_t events)
{
    struct door_watch *d = (struct door_watch *)w;
    struct acceptor *a = d->acceptor;

    (void)events;
    a->refused = 0;
    for (int i = 0; i < ACCEPTOR_ROUND_MAX; i++) {
        struct sockaddr_storage address = {0};
        socklen_t size = sizeof(address);
        int fd = accept4(w->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            acceptor_take(a, fd, d->door, (const struct sockaddr *)&address);
        } else if (is_shortage(errno)) {
            acceptor_pause(a, errno);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

/* Watches all sockets of one door. At the start only, so failing is final. */
static void acceptor_add(struct acceptor *a, const struct listener *l, unsigned door)
{
    for (size_t i = 0; i < l->count; i++) {
        struct door_watch *d = &a->doors[a->door_count++];

        *d = (struct door_watch){{acceptor_ready, l->fds[i]}, a, door};
        if (!loop_watch(a->loop, &d->watch, true))
            g_error("cannot watch a listener: %s", g_strerror(errno));
    }
}

struct acceptor *acceptor_open(struct loop *loop)
{
    struct acceptor *a = g_new0(struct acceptor, 1);

    a->loop = loop;
    a->resume_us = INT64_MAX;
    acceptor_add(a, &loop->server->main_door, ROUTE_MAIN);
    acceptor_add(a, &loop->server->metrics_door, ROUTE_METRICS);
    return a;
}

int64_t acceptor_resume_at(const struct acceptor *a)
{
    return a->resume_us;
}

void acceptor_resume(struct acceptor *a)
{
    a->resume_us = INT64_MAX;
    acceptor_listen(a, EPOLLIN);
}

/* A closed socket leaves the epoll by itself; fd -1 keeps a later acceptor_listen from naming
 * another descriptor that got the same number. */
void acceptor_drain(struct acceptor *a)
{
    for (size_t i = 0; i < a->door_count; i++)
        if (a->doors[i].door == ROUTE_MAIN) {
            for (int round = 0; round < ACCEPTOR_DRAIN_ROUNDS; round++)
                acceptor_ready(&a->doors[i].watch, 0);
            a->doors[i].watch.fd = -1;
        }
    listener_close(&a->loop->server->main_door);
}

/* A door that was closed before is all zero, which listener_close accepts. */
void acceptor_close(struct acceptor *a)
{
    if (a == NULL)
        return;
    listener_close(&a->loop->server->main_door);
    listener_close(&a->loop->server->metrics_door);
    g_free(a);
}
