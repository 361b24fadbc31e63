/* queue: a durable, ordered log of messages with one consumer group. A message is bytes.
 *
 *   committer ──publish (a batch, durable on return)──▶ [ seq 1 2 3 … ] ──receive──▶ worker ──ack
 *
 * What it guarantees: publish is all or nothing and durable when it returns true; seq grows by one
 * with every message, without gaps, and is never used twice; receive gives messages in seq order;
 * what was received but not acknowledged comes again after a restart.
 * What it does not do: look into a message, drop duplicates, count attempts.
 *
 * Every call blocks for as long as the backend's I/O takes; never call one on a loop thread.
 * Errors: RETRY passing trouble, nothing changed; FULL a limit or the disk is full, nothing
 * changed; CORRUPT; STOPPED after queue_stop; FATAL a commit failed and its outcome is unknown:
 * the process must end, the queue refuses every further publish with FATAL.
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "common/arena.h"
#include "common/slice.h"

#define QUEUE_MESSAGE_MAX (1024 * 1024) /* bytes of body, which is never empty */
#define QUEUE_KEY_MAX     128           /* bytes of key and of correlation id */
#define QUEUE_TRACE_MAX   256           /* bytes of traceparent */

/* Slices are the caller's when published, and live in the given arena when received or read. */
struct queue_message {
    int64_t seq;              /* set by publish */
    int64_t published_at_us;  /* wall clock, given by the publisher (arrival time) */
    struct slice key;         /* what people look it up by (the event id) */
    struct slice correlation; /* correlation id, or empty */
    struct slice trace;       /* W3C traceparent, or empty */
    int64_t reference;        /* the publisher's number (the failure that is replayed); 0 = none */
    struct slice body;        /* the event as it came, 1 to QUEUE_MESSAGE_MAX bytes */
    bool is_damaged;          /* received only: the row does not fit its checksum */
};

/* Messages received together; lives in the arena given to receive. */
struct queue_batch {
    struct queue_message *messages;
    size_t count;
};

/* A picture of one moment: by the time it is read it may have changed. */
struct queue_stats {
    int64_t last_seq;          /* of the newest message, 0 when there never was one */
    int64_t waiting;           /* published and not acknowledged */
    int64_t oldest_waiting_us; /* its published_at_us, 0 when none waits */
};

/* What a backend can do beyond the contract; the callers branch on it. */
enum queue_flags {
    QUEUE_KEEPS = 1,      /* acknowledged messages stay readable: the log is the raw event store */
    QUEUE_NEEDS_SEEK = 2, /* the consumer's position is kept by the store, not by the queue */
};

/* How deep a check looks: PING reads one row, QUICK the structure, FULL everything (minutes on a
 * large file). */
enum queue_check { QUEUE_CHECK_PING, QUEUE_CHECK_QUICK, QUEUE_CHECK_FULL };

/* What open needs; each backend reads only its own. */
struct queue_options {
    const char *folder;  /* embedded: where queue.db lives; borrowed for open */
    int64_t waiting_max; /* publish answers FULL beyond this many waiting messages; 0 = no limit */
    bool read_only;      /* for doctor: no lock, no writes, no recovery */
    struct queue *inner; /* fault: the queue it wraps (taken) */
    /* embedded: called when a write failed with unknown outcome and the queue is dead from then on,
     * beside the FATAL that publish answers; from any thread, perhaps twice. May be NULL. */
    void (*on_fatal)(void *user, const char *message);
    void *user;
};

struct queue;

/* The contract of a backend. Outputs are set only on success; after RETRY the same call may be made
 * again. */
struct queue_ops {
    const char *name; /* "embedded" */
    unsigned flags;

    /* Opens or creates. Errors: IN_USE is the caller's business (data_folder), NEWER schema
     * untouched, CORRUPT, FATAL. */
    struct queue *(*open)(const struct queue_options *options, GError **error);

    /* Appends all messages in one durable step and sets their seq. One publisher thread at a time.
     * After false nothing of the batch is stored (FATAL: unknown). */
    bool (*publish)(struct queue *q, struct queue_message *messages, size_t count, GError **error);

    /* Waits up to wait_ms for messages after the last received one; at most max of them, and at
     * most about 8 MiB of bodies. Copies into the arena. true with count 0 = time passed. One
     * consumer thread. STOPPED after queue_stop. */
    bool (*receive)(struct queue *q, size_t max, int64_t wait_ms, struct arena *a,
                    struct queue_batch *out, GError **error);

    /* The messages up to and including seq are done. Cheap; consumer thread. */
    bool (*ack)(struct queue *q, int64_t seq, GError **error);

    /* QUEUE_NEEDS_SEEK: everything up to and including seq was done in an earlier life. Called
     * once, before the first receive and publish. */
    bool (*seek)(struct queue *q, int64_t seq, GError **error);

    /* Reads messages by seq, ascending in seqs; missing ones are left out. Any thread. */
    bool (*read)(struct queue *q, const int64_t *seqs, size_t count, struct arena *a,
                 struct queue_batch *out, GError **error);

    /* The messages with that key which still wait (not acknowledged), oldest first, at most max.
     * Any thread. */
    bool (*find)(struct queue *q, struct slice key, size_t max, struct arena *a,
                 struct queue_batch *out, GError **error);

    /* Any thread; no I/O. */
    void (*stats)(struct queue *q, struct queue_stats *out);

    /* PING: can it be read now. QUICK / FULL: integrity; problems (char *) are appended, true when
     * the check could be made. Any thread. */
    bool (*check)(struct queue *q, enum queue_check level, GPtrArray *problems, GError **error);

    /* Wakes the consumer; receive answers STOPPED from now on. Any thread. */
    void (*stop)(struct queue *q);

    /* Closes and frees; no call may be under way. */
    void (*close)(struct queue *q);
};

/* First member of every backend's struct. */
struct queue {
    const struct queue_ops *ops;
};

/* The backends: one extern symbol each. */
extern const struct queue_ops queue_embedded_ops;
extern const struct queue_ops queue_memory_ops;
extern const struct queue_ops queue_fault_ops;

/* The backend with that name, NULL when there is none. */
const struct queue_ops *queue_find_backend(const char *name);

/* Checked wrappers: arguments are verified, metrics counted, so backends see valid calls only. */
struct queue *queue_open(const struct queue_ops *ops, const struct queue_options *options,
                         GError **error);
bool queue_publish(struct queue *q, struct queue_message *messages, size_t count, GError **error);
bool queue_receive(struct queue *q, size_t max, int64_t wait_ms, struct arena *a,
                   struct queue_batch *out, GError **error);
bool queue_ack(struct queue *q, int64_t seq, GError **error);
bool queue_seek(struct queue *q, int64_t seq, GError **error);
bool queue_read(struct queue *q, const int64_t *seqs, size_t count, struct arena *a,
                struct queue_batch *out, GError **error);
bool queue_find(struct queue *q, struct slice key, size_t max, struct arena *a,
                struct queue_batch *out, GError **error);
void queue_get_stats(struct queue *q, struct queue_stats *out);
bool queue_check(struct queue *q, enum queue_check level, GPtrArray *problems, GError **error);
void queue_stop(struct queue *q);
void queue_close(struct queue *q); /* accepts NULL */

/* ---- the fault backend: a decorator for tests ------------------------------------------------ */

/* The kinds of calls that can be made to fail. */
enum queue_call {
    QUEUE_CALL_PUBLISH,
    QUEUE_CALL_RECEIVE,
    QUEUE_CALL_ACK,
    QUEUE_CALL_READ,
    QUEUE_CALL_FIND,
    QUEUE_CALL_COUNT, /* not a call */
};

/* The next `times` calls of that kind, after letting `after` pass, fail with code (an ef_error)
 * before they reach the inner queue; code -1 = pass through to the inner queue but answer RETRY
 * (the ambiguous commit). times 0 clears. */
void queue_fault_set(struct queue *q, enum queue_call call, unsigned after, unsigned times,
                     int code);

#endif
