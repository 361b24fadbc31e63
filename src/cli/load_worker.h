/* load_worker: one thread of a load run, its connections and its part of the schedule.
 *
 *   schedule ─due─▶ idle connection ──one write──▶ server ──one read──▶ answer ─▶ counts, latency
 *      ▲                  ▲                                                │
 *      └ fixed at start   └────────────── idle again ──────────────────────┘
 *
 * At a rate (open loop) request n has its time from the start on, whatever the server does; it
 * waits for an idle connection if there is none, and its latency counts from its time. At full
 * speed (closed loop) a connection sends when its answer is there, and latency counts from sending.
 *
 * A request that ends without a usable answer stands in the latency with the time it has waited:
 * leaving the worst ones out would flatter the server. Refusals are left out: they are quick.
 */
#ifndef CLI_LOAD_WORKER_H
#define CLI_LOAD_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "cli/latency.h"
#include "cli/load_event.h"
#include "cli/load_target.h"

#define LOAD_STATUS_END 600

/* What all threads of a run share. Immutable while they run, except for the last three. */
struct load_run {
    const struct load_target *target;
    const struct load_events *events;
    uint64_t connections; /* of all threads */
    uint64_t threads;
    uint64_t batch;          /* events in a request */
    uint64_t events_max;     /* to send; UINT64_MAX: until the end */
    double rate;             /* events a second of all threads; 0: full speed */
    int64_t start_us;        /* time 0 of the schedule; monotonic, as end_us */
    int64_t end_us;          /* nothing is due from then on; INT64_MAX: never */
    int64_t timeout_us;      /* a request without an answer for that long has failed */
    int64_t drain_us;        /* how long the last answers are waited for; at most timeout_us */
    int64_t away_us;         /* a thread without a connection for that long has lost the server */
    atomic_bool is_stopping; /* somebody wants the end now */
    atomic_bool is_unreachable;    /* all threads have lost the server */
    _Atomic uint64_t threads_away; /* that have lost it, or have ended */
};

/* The thread writes, any thread may read: relaxed atomics. */
struct load_counts {
    _Atomic uint64_t requests;    /* written to a connection, with repetitions */
    _Atomic uint64_t events;      /* in them */
    _Atomic uint64_t duplicates;  /* of them, ones that repeat an earlier event */
    _Atomic uint64_t accepted;    /* events in requests that were answered 2xx */
    _Atomic uint64_t unsent;      /* events that were due and never sent */
    _Atomic uint64_t lost;        /* requests whose connection broke before the answer */
    _Atomic uint64_t timeouts;    /* requests without an answer */
    _Atomic uint64_t unanswered;  /* the same when the run was cut short: no failure */
    _Atomic uint64_t bad_answers; /* answers that are no HTTP, or not to be followed */
    _Atomic uint64_t connect_errors;
    _Atomic uint64_t statuses[LOAD_STATUS_END]; /* answers */
    _Atomic int64_t last_us;                    /* when the last answer came; monotonic */
    struct latency latency; /* of requests answered 2xx, and the age of those without an answer */
};

/* Adds n; for the one thread that writes. */
static inline void load_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

struct load_worker;

/* Opens the connections of thread number index and waits until they stand, but not past until_us
 * (monotonic, one for all threads); the others are gone on with when it runs. run is borrowed until
 * free. Errors: EF_ERROR_FATAL when the system gives no epoll. */
struct load_worker *load_worker_new(struct load_run *run, uint64_t index, int64_t until_us,
                                    GError **error);
void load_worker_free(struct load_worker *w); /* accepts NULL; after join */

/* run->start_us must be set before the first thread starts. */
void load_worker_start(struct load_worker *w);
bool load_worker_is_over(const struct load_worker *w);
void load_worker_join(struct load_worker *w);

const struct load_counts *load_worker_counts(const struct load_worker *w);

/* Processor time of the thread, known after join. Units: microseconds. */
void load_worker_cpu(const struct load_worker *w, int64_t *user_us, int64_t *system_us);

#endif
