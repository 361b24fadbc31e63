/* loop: one thread with one epoll, which owns connections and the requests on them.
 *
 *   epoll_wait ─▶ sockets: read, parse, handle, send
 *              ─▶ inbox:   answers from committer and executors, new connections, drain
 *              ─▶ due deadlines ─▶ new jobs to the committer (one put) ─▶ free what was closed
 *
 * Internal to the front door (with conn.h, exchange.h, acceptor.h); others see server.h only.
 */
#ifndef API_LOOP_H
#define API_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "api/acceptor.h"
#include "api/deadlines.h"
#include "api/executor.h"
#include "api/listener.h"
#include "api/peers.h"
#include "api/routes.h"
#include "api/server.h"
#include "common/mailbox.h"
#include "common/metrics.h"
#include "core/flat.h"

#define LOOP_DRAIN_GRACE_US 500000 /* idle connections may send one more request */
#define LOOP_DRAIN_LOOK_US  20000  /* how often a draining loop looks how far the others are */
#define LOOP_BUFFER_SIZE    (3 * HTTP_HEAD_MAX) /* a head behind a pipelined one, and a small body */

struct exchange;
struct loop;

/* What epoll's data points to: the first member of everything that is watched. */
struct watch {
    void (*ready)(struct watch *w, uint32_t events);
    int fd;
};

/* A message to a loop; run is called on the loop's thread and owns it from then on. */
struct loop_mail {
    struct mail mail; /* first: travels through the inbox */
    void (*run)(struct loop *loop, struct loop_mail *mail);
};

/* Immutable while the loops run, except the atomics. */
struct server {
    struct api *api;
    struct server_options options; /* the strings are not used after the start */
    struct listener main_door;     /* first loop, once it runs */
    struct listener metrics_door;  /* the same; count 0 = there is none */
    int main_port;                 /* really bound, kept when the door is closed */
    int metrics_port;              /* the same, 0 = none */
    struct peers *peers;
    struct executor *executor;
    struct loop **loops; /* [0] accepts for all */
    int loop_count;      /* those that were made */
    struct metric *connections_gauge;
    struct metric *events_received;
    _Atomic int64_t connections;
    _Atomic int64_t drain_until_us;  /* monotonic; 0 = not draining */
    atomic_bool is_main_door_closed; /* set by the accepting loop */
};

/* Loop thread only, except what is marked. */
struct loop {
    struct server *server;
    struct api *api;
    int epoll_fd; /* owned, like the inbox */
    struct watch inbox_watch;
    struct mailbox *inbox;       /* any thread puts struct loop_mail */
    struct loop_mail drain_mail; /* sent once, hence no allocation */
    GThread *thread;
    _Atomic int64_t connections; /* any thread reads: new ones go where the fewest are */
    int64_t probes; /* of the metrics door, accepted while draining: nobody waits for their end */

    int64_t now_us;  /* monotonic, read once a round */
    int64_t wall_us; /* wall clock, the same */
    int64_t date_s;  /* the second that date shows */
    char date[32];   /* for the Date header */

    struct deadlines deadlines;
    GQueue again;              /* connections that used up their turn */
    struct mail_list jobs;     /* for the committer, handed over at the end of the round */
    struct exchange *group;    /* keeps the count of this round's jobs, see intake_route.c */
    size_t group_events;       /* in the jobs of that group */
    size_t outstanding;        /* requests at an executor or the committer */
    bool is_draining;          /* this loop has heard of it */
    int64_t idle_until_us;     /* while draining: idle connections are closed then; monotonic */
    struct acceptor *acceptor; /* NULL except in the first loop */

    struct flat flat;          /* scratch of intake_decode */
    GPtrArray *buffers;        /* spare read buffers */
    GPtrArray *exchanges;      /* spare exchanges */
    GHashTable *counters;      /* (route, method, status) -> struct metric, a cache */
    struct metric **durations; /* by route; the last one is for requests without */
    uint64_t seed[2];          /* of made correlation ids */
};

/* Makes a loop that does not run yet. Owned by caller (loop_free). Errors: FATAL. */
struct loop *loop_new(struct server *server, GError **error);

/* The thread must have ended. Accepts NULL. */
void loop_free(struct loop *loop);

/* Starts its thread; index is for the thread's name. */
void loop_start(struct loop *loop, int index);
/* Waits until it has ended; once, or for one that never started. */
void loop_join(struct loop *loop);

/* Any thread, once: asks the loop to drain. It ends when nothing is left, or is cut off at
 * drain_until_us. */
void loop_drain(struct loop *loop);

/* Adds to the epoll, edge-triggered both ways unless level is set (then reading only). */
bool loop_watch(struct loop *loop, struct watch *w, bool is_level);

/* Puts one mail into the loop's inbox. Any thread. */
void loop_put(struct loop *loop, struct loop_mail *mail);

/* True from the moment server_drain was called, also before this loop has heard of it. */
bool loop_is_draining(const struct loop *loop);

/* A read buffer of LOOP_BUFFER_SIZE bytes, and back. */
char *loop_take_buffer(struct loop *loop);
void loop_give_buffer(struct loop *loop, char *buffer);

/* 128 random bits as 32 hex digits. Not for secrets. */
void loop_make_id(struct loop *loop, char out[33]);

#endif
