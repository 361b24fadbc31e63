/* intake: from the bytes of a request to durable messages.
 *
 *   loop thread: intake_decode ─▶ job ─▶ (list, one put per epoll round) ─▶ committer thread
 *   committer:   all waiting jobs ─▶ ONE queue_publish ─▶ job->answer ─▶ job->done(job)
 *
 * What it guarantees: a job answered "accepted" is durable; a batch is as large as the load makes
 * it, without artificial delay (at most batch_max messages a commit).
 * What it does not do: HTTP (api/), duplicates (the worker).
 */
#ifndef INTAKE_INTAKE_H
#define INTAKE_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "common/arena.h"
#include "common/disk_watch.h"
#include "common/mailbox.h"
#include "common/slice.h"
#include "core/flat.h"
#include "core/problem.h"
#include "queue/queue.h"

enum intake_format {
    INTAKE_JSON,   /* one object, or an array of objects */
    INTAKE_NDJSON, /* one object a line; empty lines are skipped */
};

/* What a refused event looked like. */
struct intake_rejection {
    size_t index;              /* in the request, from 0; NDJSON: counts non-empty lines */
    struct problems *problems; /* lives as long as the job */
};

/* What became of a whole job: its events are accepted together or not at all. */
enum intake_result {
    INTAKE_ACCEPTED, /* durable */
    INTAKE_BUSY, /* the queue is full or in passing trouble, nothing stored: 503 + Retry-After */
    INTAKE_DISK_FULL, /* nothing stored: 507 */
    INTAKE_BROKEN,    /* the queue is dead; nothing was acknowledged: 503, the process ends */
};

/* One request's events. Made and freed by the owner (api), lent to the committer in between. */
struct intake_job {
    struct mail mail;               /* first: jobs travel through mailboxes */
    struct arena arena;             /* everything of the job */
    struct queue_message *messages; /* the good events */
    size_t count;
    size_t bytes; /* of all bodies */
    struct intake_rejection *rejections;
    size_t rejected;
    bool is_batch;                        /* an array or NDJSON: answered with counts */
    enum intake_result result;            /* set by the committer */
    char *error;                          /* in the arena, for results other than ACCEPTED */
    void (*done)(struct intake_job *job); /* called on the committer thread when result is set */
    void *owner;                          /* the caller's */
};

/* What one request may hold, whatever its size in bytes. */
struct intake_limits {
    size_t events_max; /* per request */
};

/* Decodes a request body into the job (made by intake_job_init). The body must outlive the job or
 * have been copied into its arena; trace and correlation are copied. flat is scratch of the calling
 * thread.
 * trace: the request's traceparent header, correlation: its X-Correlation-Id; either may be empty,
 * and one that is not valid is ignored. An event's correlation id is its own, else the header's,
 * else the trace id, else made from the event.
 * Rejections point below "#/<index>" for elements of an array and below "#" otherwise.
 * false: the request as a whole is refused: EF_ERROR_INPUT bad JSON (400), EF_ERROR_FULL more than
 * events_max (413). true: count good ones, rejected bad ones (either may be 0). Pure. */
bool intake_decode(struct intake_job *job, enum intake_format format, struct slice body,
                   struct slice trace, struct slice correlation, int64_t arrived_us,
                   const struct intake_limits *limits, struct flat *flat, GError **error);

/* An empty job; owner and done are set by the caller afterwards. */
void intake_job_init(struct intake_job *job);

/* Frees what the job holds, not the job. */
void intake_job_done(struct intake_job *job);

/* One committer thread with its mailbox; the loops see it through the calls below. */
struct intake;

struct intake_options {
    size_t batch_max;    /* messages a commit */
    size_t inflight_max; /* messages handed in and not yet answered: beyond it submit refuses */
    size_t inflight_bytes_max; /* of their bodies, the same */
    /* Jobs that would leave more than this many unacknowledged messages in the queue are answered
     * BUSY without being published; 0 = no limit. Leave the queue's own waiting_max at 0: a FULL
     * from publish is taken for a full disk. */
    int64_t waiting_max;
    struct disk_watch *disk; /* told what publishing finds; borrowed, may be NULL */
    /* Called once, on the committer thread, when a commit failed with unknown outcome. */
    void (*on_fatal)(void *user, const char *message);
    void *user;
};

/* Starts the committer thread. Borrows queue until intake_stop has returned. Metrics:
 * intake_inflight_messages, intake_jobs_refused_total, intake_batch_size. */
struct intake *intake_start(struct queue *queue, const struct intake_options *options);

/* Reserves room for a job's messages; false = too many in flight (answer 503). The room is given
 * back just before done is called. Threads: any. */
bool intake_reserve(struct intake *in, const struct intake_job *job);

/* Hands a list of reserved jobs over. Once per epoll round. Takes the jobs until done.
 * Threads: any, but none after intake_stop has begun. */
void intake_submit(struct intake *in, struct mail_list *jobs);

/* Commits what is waiting, answers it, ends the thread, frees. Accepts NULL. */
void intake_stop(struct intake *in);

#endif
