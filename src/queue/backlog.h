/* backlog: what a backend knows in memory about the messages that wait, and the consumer's bell.
 *
 *   publish ──admit──▶ (the backend stores) ──append──▶ [ waiting ] ──wait──▶ receive ──drop── ack
 *                                                           └─find: event id -> seqs that wait
 *
 * A waiting message costs 24 bytes plus its slot in the index (20-40 bytes); its content stays with
 * the backend. Seqs are dense, so only the newest one is kept and the others follow from the order.
 * Messages with the same key form a chain, of which only the oldest is in the index: a client that
 * sends one id a million times costs no more than a million ids.
 * What it does not do: I/O. The lock is never held across a system call other than the wait itself.
 */
#ifndef QUEUE_BACKLOG_H
#define QUEUE_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "common/arena.h"
#include "common/fp_index.h"
#include "common/slice.h"
#include "queue/queue.h"

/* What is remembered of one waiting message. */
struct backlog_entry {
    uint64_t fingerprint; /* of its key */
    int64_t published_at_us;
    uint32_t next; /* with the same fingerprint: how many seqs further on, 0 = none */
    uint32_t last; /* only in the oldest of a chain: how far away the newest is */
};

/* Everything under lock. */
struct backlog {
    GMutex lock;
    GCond arrived;   /* the consumer waits here */
    GArray *entries; /* struct backlog_entry, oldest at head; before head: dropped */
    guint head;
    int64_t last_seq;       /* of the newest message ever */
    int64_t waiting_max;    /* 0 = no limit */
    struct fp_index *index; /* fingerprint -> seq of the oldest that waits */
    bool is_stopped;
    bool is_dead;
};

/* Makes an empty backlog. waiting_max: as in struct queue_options. */
void backlog_init(struct backlog *b, int64_t waiting_max);

/* Accepts an all-zero struct. */
void backlog_done(struct backlog *b);

/* The entry of a message with this key. */
struct backlog_entry backlog_entry_of(struct slice key, int64_t published_at_us);

/* Forgets what waits; the next message gets the seq after last_seq. */
void backlog_start(struct backlog *b, int64_t last_seq);

/* Whether count more messages may come; *last_seq is set to the newest seq so far.
 * Errors: FATAL after backlog_kill, FULL beyond waiting_max. */
bool backlog_admit(struct backlog *b, size_t count, int64_t *last_seq, GError **error);

/* The next count messages are stored: they wait from now on, and the consumer is woken. */
void backlog_append(struct backlog *b, const struct backlog_entry *entries, size_t count);

/* Waits up to wait_ms until a message after `after` exists. *last_seq: the newest one (== after
 * when the time has passed). Errors: STOPPED. */
bool backlog_wait(struct backlog *b, int64_t after, int64_t wait_ms, int64_t *last_seq,
                  GError **error);

/* The messages up to and including seq wait no longer. */
void backlog_drop(struct backlog *b, int64_t seq);

/* The seqs of waiting messages whose key may be this one (same fingerprint), ascending.
 * Owns: *seqs lives in the arena. Returns how many. */
size_t backlog_find(struct backlog *b, struct slice key, struct arena *a, int64_t **seqs);

/* A copy of the figures at one moment. Any thread, no I/O. */
void backlog_stats(struct backlog *b, struct queue_stats *out);

/* Wakes the consumer for good. Before or after the wait begins makes no difference; further waits
 * answer STOPPED at once. */
void backlog_stop(struct backlog *b);

/* The outcome of a commit is unknown: every further admit is refused. */
void backlog_kill(struct backlog *b);
/* For health checks: the verdict of backlog_kill. Any thread. */
bool backlog_is_dead(struct backlog *b);

#endif
