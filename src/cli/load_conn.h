/* load_conn: one connection of a load run: connect, send, read the answer, start again.
 *
 *   CLOSED ─open─▶ CONNECTING ─▶ IDLE ─send─▶ BUSY ─answer─▶ IDLE
 *      ▲                                        ├─ 503 at full speed ─▶ PAUSED ─▶ IDLE (same again)
 *      └──────────── closed, broken ────────────┘
 *
 * Internal to load_worker.c and load_conn.c. One thread.
 */
#ifndef CLI_LOAD_CONN_H
#define CLI_LOAD_CONN_H

#include <sys/epoll.h>

#include "cli/load_answer.h"
#include "cli/load_worker.h"

enum load_conn_state {
    LOAD_CONN_CLOSED, /* opened again at resume_us */
    LOAD_CONN_CONNECTING,
    LOAD_CONN_IDLE,
    LOAD_CONN_BUSY,   /* a request is on its way */
    LOAD_CONN_PAUSED, /* the server asked to wait until resume_us */
};

struct load_conn {
    enum load_conn_state state;
    int fd;           /* -1 in CLOSED */
    bool is_queued;   /* stands in the worker's list of idle ones, perhaps out of date */
    bool is_retry;    /* request is to be sent again */
    bool is_proven;   /* has given an answer since it was opened */
    uint64_t request; /* number within the lane, of what is on its way */
    uint32_t count;   /* events in it */
    int64_t from_us;  /* where its latency counts from */
    int64_t sent_us;
    int64_t resume_us;
    char *unsent; /* what the socket did not take; owned; NULL: nothing */
    size_t unsent_size;
    size_t unsent_done;
    GString *head;             /* the beginning of an answer that came in pieces; NULL mostly */
    struct load_answer answer; /* valid while has_head */
    bool has_head;
    uint64_t body_left;
};

struct load_worker {
    struct load_run *run;
    struct load_lane lane;
    uint64_t request_count; /* of the lane; UINT64_MAX: until the end */
    uint64_t next;          /* request of the lane */
    struct load_conn *conns;
    size_t conn_count;
    struct load_conn **idle; /* ring, as large as conns: who waited longest sends first */
    size_t idle_first;
    size_t idle_count;
    size_t connected; /* not CLOSED or CONNECTING */
    size_t busy;
    size_t delayed;     /* CLOSED or PAUSED: they have a resume_us */
    size_t retries;     /* connections with is_retry */
    int64_t reached_us; /* when a connection stood last */
    int64_t swept_us;   /* when all connections were looked at last */
    bool is_away;       /* counted in run->threads_away */
    int epoll_fd;
    char *head; /* of every request, up to the length */
    size_t head_size;
    char *request; /* room for head and body */
    char *answer;  /* room for reading */
    GThread *thread;
    atomic_bool is_over;
    int64_t user_us;
    int64_t system_us;
    struct load_counts counts;
};

/* Begins to connect. A failure is counted and tried again a little later. */
void load_conn_open(struct load_worker *w, struct load_conn *c);

/* Closes whatever state it is in, and opens it again after delay_us. */
void load_conn_close(struct load_worker *w, struct load_conn *c, int64_t delay_us);

/* Sends request number `request` of the lane on an idle connection. */
void load_conn_send(struct load_worker *w, struct load_conn *c, uint64_t request, int64_t from_us);

/* Moves on with what epoll reported. */
void load_conn_ready(struct load_worker *w, struct load_conn *c, uint32_t events);

/* At every sweep: time-outs, pauses that are over, opening again. */
void load_conn_sweep(struct load_worker *w, struct load_conn *c, int64_t now_us);

/* Frees what it holds; counts nothing. */
void load_conn_done(struct load_conn *c);

/* Defined in load_worker.c: the connection may send. */
void load_worker_put_idle(struct load_worker *w, struct load_conn *c);

#endif
