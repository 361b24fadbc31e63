/* backlog: an array of what waits, and an index from a key's fingerprint into it.
 *
 * The array is a window over the log: head moves on with every ack, the end grows with every
 * publish, and since seqs are dense the place of a message is plain arithmetic (backlog_at).
 * Chains of equal fingerprints are linked by distances, half the size of seqs.
 * Deliberately missing: keys. A fingerprint may lie, so whoever asks compares the message's own
 * key. */
#include "queue/backlog.h"

#include "common/clock.h"
#include "common/error.h"
#include "common/hash.h"

/* Below it the dropped entries are 96 KiB at most, which nobody misses. */
#define COMPACT_MIN 4096 /* dropped entries before it is worth moving the others */

void backlog_init(struct backlog *b, int64_t waiting_max)
{
    *b = (struct backlog){.waiting_max = waiting_max};
    g_mutex_init(&b->lock);
    g_cond_init(&b->arrived);
    b->entries = g_array_new(FALSE, FALSE, sizeof(struct backlog_entry));
    b->index = fp_index_new(0);
}

void backlog_done(struct backlog *b)
{
    if (b->entries == NULL)
        return;
    g_array_unref(b->entries);
    fp_index_free(b->index);
    g_cond_clear(&b->arrived);
    g_mutex_clear(&b->lock);
    *b = (struct backlog){0};
}

struct backlog_entry backlog_entry_of(struct slice key, int64_t published_at_us)
{
    return (struct backlog_entry){.fingerprint = hash64(key), .published_at_us = published_at_us};
}

/* How many messages wait. The lock is held. */
static guint backlog_count(const struct backlog *b)
{
    return b->entries->len - b->head;
}

/* A fresh index instead of an emptied one: what waited in an earlier life may have made it
 * large. */
void backlog_start(struct backlog *b, int64_t last_seq)
{
    g_mutex_lock(&b->lock);
    g_array_set_size(b->entries, 0);
    b->head = 0;
    fp_index_free(b->index);
    b->index = fp_index_new(0);
    b->last_seq = last_seq;
    g_mutex_unlock(&b->lock);
}

/* The answer holds until the caller appends: there is one publisher, and drops only make room. So
 * the lock need not be kept while the batch is written to the disk. */
bool backlog_admit(struct backlog *b, size_t count, int64_t *last_seq, GError **error)
{
    bool is_dead;
    int64_t waiting;
    int64_t newest;

    g_mutex_lock(&b->lock);
    is_dead = b->is_dead;
    waiting = backlog_count(b);
    newest = b->last_seq;
    g_mutex_unlock(&b->lock);
    if (is_dead) {
        g_set_error(error, EF_ERROR, EF_ERROR_FATAL,
                    "a commit of the queue failed and its outcome is unknown: restart the process");
        return false;
    }
    if (b->waiting_max > 0 && waiting + (int64_t)count > b->waiting_max) {
        g_set_error(error, EF_ERROR, EF_ERROR_FULL,
                    "the queue is full: %" G_GINT64_FORMAT " messages wait and the limit is "
                    "%" G_GINT64_FORMAT " (setting queue-depth-max)",
                    waiting, b->waiting_max);
        return false;
    }
    *last_seq = newest;
    return true;
}

/* The entry of a waiting message, counted from the newest one. Borrowed until the array changes;
 * the lock is held. */
static struct backlog_entry *backlog_at(const struct backlog *b, int64_t seq)
{
    return &g_array_index(b->entries, struct backlog_entry,
                          b->entries->len - 1 - (b->last_seq - seq));
}

/* Files the newest entry: as the oldest of a new chain, or at the end of the one it belongs to. The
 * lock is held. */
static void backlog_link(struct backlog *b)
{
    uint64_t fingerprint = backlog_at(b, b->last_seq)->fingerprint;
    int64_t oldest;

    /* The oldest knows where the chain ends, so that appending does not walk it. */
    if (fp_index_find(b->index, fingerprint, &oldest, 1) > 0) {
        struct backlog_entry *first = backlog_at(b, oldest);
        int64_t newest = oldest + first->last;

        backlog_at(b, newest)->next = (uint32_t)(b->last_seq - newest);
        first->last = (uint32_t)(b->last_seq - oldest);
    } else if (!fp_index_add(b->index, fingerprint, b->last_seq)) {
        g_error("the index of waiting messages has no limit, yet refused an entry");
    }
}

/* Takes the oldest of all entries out; it is also the oldest of its chain. Its successor inherits
 * the place in the index and the distance to the newest. The lock is held. */
static void backlog_unlink(struct backlog *b, int64_t seq)
{
    const struct backlog_entry *first = backlog_at(b, seq);

    fp_index_remove(b->index, first->fingerprint, seq);
    if (first->next != 0) {
        backlog_at(b, seq + first->next)->last = first->last - first->next;
        fp_index_add(b->index, first->fingerprint, seq + first->next);
    }
}

/* The entries are copied. */
void backlog_append(struct backlog *b, const struct backlog_entry *entries, size_t count)
{
    g_mutex_lock(&b->lock);
    for (size_t i = 0; i < count; i++) {
        g_array_append_val(b->entries, entries[i]);
        b->last_seq++;
        backlog_link(b);
    }
    /* One signal for the batch: there is one consumer. */
    g_cond_signal(&b->arrived);
    g_mutex_unlock(&b->lock);
}

/* The deadline is fixed before the wait, so that false alarms of the condition do not extend it. */
bool backlog_wait(struct backlog *b, int64_t after, int64_t wait_ms, int64_t *last_seq,
                  GError **error)
{
    /* g_cond_wait_until uses the monotonic clock, as we do. */
    int64_t until_us = clock_monotonic_us() + wait_ms * 1000;
    bool is_stopped;

    g_mutex_lock(&b->lock);
    /* Stopped comes first, so that a stop ends the consumer even while messages keep arriving. */
    while (!b->is_stopped && b->last_seq <= after)
        if (!g_cond_wait_until(&b->arrived, &b->lock, until_us))
            break;
    is_stopped = b->is_stopped;
    if (!is_stopped)
        *last_seq = MAX(b->last_seq, after);
    g_mutex_unlock(&b->lock);
    if (is_stopped)
        g_set_error(error, EF_ERROR, EF_ERROR_STOPPED, "the queue was stopped");
    return !is_stopped;
}

/* The array shrinks in place and keeps its memory for the next burst. */
void backlog_drop(struct backlog *b, int64_t seq)
{
    int64_t oldest;

    g_mutex_lock(&b->lock);
    /* An ack may name a seq that was dropped already, or one beyond the end: both are harmless. */
    oldest = b->last_seq - backlog_count(b) + 1;
    for (; oldest <= seq && oldest <= b->last_seq; oldest++, b->head++)
        backlog_unlink(b, oldest);
    /* Moving the rest only when it is the smaller half keeps the cost per message constant. */
    if (b->head == b->entries->len || (b->head >= COMPACT_MIN && b->head * 2 >= b->entries->len)) {
        g_array_remove_range(b->entries, 0, b->head);
        b->head = 0;
    }
    g_mutex_unlock(&b->lock);
}

/* Walks the chain that begins at seq; writes the seqs into out when that is not NULL. Returns how
 * many there are. The lock is held. */
static size_t backlog_walk(const struct backlog *b, int64_t seq, int64_t *out)
{
    size_t count = 0;
    uint32_t step;

    do {
        if (out != NULL)
            out[count] = seq;
        count++;
        step = backlog_at(b, seq)->next;
        seq += step;
    } while (step != 0);
    return count;
}

/* Two walks, the first only counts: the arena's memory then has the exact size. */
size_t backlog_find(struct backlog *b, struct slice key, struct arena *a, int64_t **seqs)
{
    uint64_t fingerprint = hash64(key);
    int64_t oldest;
    size_t count = 0;

    *seqs = NULL;
    g_mutex_lock(&b->lock);
    if (fp_index_find(b->index, fingerprint, &oldest, 1) > 0) {
        count = backlog_walk(b, oldest, NULL);
        *seqs = ARENA_NEW(a, int64_t, count);
        backlog_walk(b, oldest, *seqs);
    }
    g_mutex_unlock(&b->lock);
    return count;
}

void backlog_stats(struct backlog *b, struct queue_stats *out)
{
    *out = (struct queue_stats){0};
    g_mutex_lock(&b->lock);
    out->last_seq = b->last_seq;
    out->waiting = backlog_count(b);
    if (out->waiting > 0)
        out->oldest_waiting_us =
            g_array_index(b->entries, struct backlog_entry, b->head).published_at_us;
    g_mutex_unlock(&b->lock);
}

void backlog_stop(struct backlog *b)
{
    g_mutex_lock(&b->lock);
    b->is_stopped = true;
    g_cond_signal(&b->arrived);
    g_mutex_unlock(&b->lock);
}

/* Never taken back: only a new start, which reads the file again, knows what the commit did. */
void backlog_kill(struct backlog *b)
{
    g_mutex_lock(&b->lock);
    b->is_dead = true;
    g_mutex_unlock(&b->lock);
}

bool backlog_is_dead(struct backlog *b)
{
    bool is_dead;

    g_mutex_lock(&b->lock);
    is_dead = b->is_dead;
    g_mutex_unlock(&b->lock);
    return is_dead;
}
