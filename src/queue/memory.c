/* memory: the queue kept in memory for the life of the process. For tests and for trying things
 * out; everything a queue promises except that it survives the end of the process.
 *
 * Rows are only ever appended and never freed before close, so readers copy them under a short
 * lock.
 * Deliberately missing: forgetting. Acknowledged messages stay readable, as in the embedded
 * queue. */
#include "queue/queue.h"

#include "common/error.h"
#include "queue/backlog.h"

/* Bytes of bodies in one batch, as in the embedded queue. */
#define RECEIVE_BYTES_MAX (8 * 1024 * 1024)

/* One stored message: a copy whose slices point behind itself. Immutable. */
struct memory_row {
    struct queue_message message;
    char bytes[]; /* key, correlation, trace, body: one behind the other */
};

struct memory {
    struct queue queue;
    struct backlog backlog; /* has its own lock */
    int64_t received;       /* consumer thread only */
    GMutex lock;            /* guards rows and first_seq, never held with the backlog's lock */
    GPtrArray *rows;        /* struct memory_row: row i has seq first_seq + i */
    int64_t first_seq;
};

/* queue is the first member, so the pointers are the same. */
static struct memory *memory_of(struct queue *q)
{
    return (struct memory *)q;
}

/* Copies the bytes to *to and moves it on; the slice points to the copy. */
static struct slice memory_copy(char **to, struct slice from)
{
    char *start = *to;

    if (from.size > 0)
        memcpy(start, from.data, from.size);
    *to += from.size;
    return slice_of(start, from.size);
}

/* One allocation for the message and all its bytes. Owned by caller (g_free). */
static struct memory_row *memory_row_new(const struct queue_message *m)
{
    size_t size = m->key.size + m->correlation.size + m->trace.size + m->body.size;
    struct memory_row *row = g_malloc(sizeof(*row) + size);
    char *to = row->bytes;

    row->message = *m;
    row->message.key = memory_copy(&to, m->key);
    row->message.correlation = memory_copy(&to, m->correlation);
    row->message.trace = memory_copy(&to, m->trace);
    row->message.body = memory_copy(&to, m->body);
    return row;
}

/* Nothing to open, nothing that could fail. Owned by caller (queue_close). */
static struct queue *memory_open(const struct queue_options *options, GError **error)
{
    struct memory *m = g_new0(struct memory, 1);

    (void)error;
    m->queue.ops = &queue_memory_ops;
    backlog_init(&m->backlog, options->waiting_max);
    g_mutex_init(&m->lock);
    m->rows = g_ptr_array_new_with_free_func(g_free);
    m->first_seq = 1;
    return &m->queue;
}

/* The rows are there before the backlog tells the consumer, as a receive reads them at once. Only
 * the admission can refuse, and it comes first: a batch is stored whole or not at all. */
static bool memory_publish(struct queue *q, struct queue_message *messages, size_t count,
                           GError **error)
{
    struct memory *m = memory_of(q);
    g_autofree struct backlog_entry *entries = g_new(struct backlog_entry, count);
    int64_t last_seq;

    if (!backlog_admit(&m->backlog, count, &last_seq, error))
        return false;
    g_mutex_lock(&m->lock);
    for (size_t i = 0; i < count; i++) {
        messages[i].seq = last_seq + 1 + (int64_t)i;
        entries[i] = backlog_entry_of(messages[i].key, messages[i].published_at_us);
        g_ptr_array_add(m->rows, memory_row_new(&messages[i]));
    }
    g_mutex_unlock(&m->lock);
    backlog_append(&m->backlog, entries, count);
    return true;
}

/* The row with that seq, NULL when there is none. The lock is held; rows are never freed before
 * close, so the row may be used after it was released. */
static const struct memory_row *memory_row_at(const struct memory *m, int64_t seq)
{
    if (seq < m->first_seq || seq - m->first_seq >= (int64_t)m->rows->len)
        return NULL;
    return g_ptr_array_index(m->rows, seq - m->first_seq);
}

/* A copy whose slices live in the arena, so that the caller's memory does not hang on ours. */
static struct queue_message memory_message_copy(const struct memory_row *row, struct arena *a)
{
    struct queue_message copy = row->message;

    copy.key = arena_copy(a, copy.key);
    copy.correlation = arena_copy(a, copy.correlation);
    copy.trace = arena_copy(a, copy.trace);
    copy.body = arena_copy(a, copy.body);
    return copy;
}

/* Missing seqs are left out. Cannot fail. */
static bool memory_read(struct queue *q, const int64_t *seqs, size_t count, struct arena *a,
                        struct queue_batch *out, GError **error)
{
    struct memory *m = memory_of(q);
    struct queue_batch batch = {.messages = ARENA_NEW(a, struct queue_message, count)};

    (void)error;
    g_mutex_lock(&m->lock);
    for (size_t i = 0; i < count; i++) {
        const struct memory_row *row = memory_row_at(m, seqs[i]);

        if (row != NULL)
            batch.messages[batch.count++] = memory_message_copy(row, a);
    }
    g_mutex_unlock(&m->lock);
    *out = batch;
    return true;
}

/* Waits in the backlog, then copies under the lock of the rows: never both locks at once. */
static bool memory_receive(struct queue *q, size_t max, int64_t wait_ms, struct arena *a,
                           struct queue_batch *out, GError **error)
{
    struct memory *m = memory_of(q);
    struct queue_batch batch = {0};
    int64_t last_seq;
    size_t bytes = 0;
    size_t want;

    if (!backlog_wait(&m->backlog, m->received, wait_ms, &last_seq, error))
        return false;
    want = MIN(max, (size_t)(last_seq - m->received));
    batch.messages = ARENA_NEW(a, struct queue_message, want);
    g_mutex_lock(&m->lock);
    while (batch.count < want && bytes < RECEIVE_BYTES_MAX) {
        /* There without fail: the backlog announces a message only when its row is stored. */
        const struct memory_row *row = memory_row_at(m, m->received + 1 + (int64_t)batch.count);

        bytes += row->message.body.size;
        batch.messages[batch.count++] = memory_message_copy(row, a);
    }
    g_mutex_unlock(&m->lock);
    m->received += (int64_t)batch.count;
    *out = batch;
    return true;
}

/* The row stays readable: the log is the store of raw events. */
static bool memory_ack(struct queue *q, int64_t seq, GError **error)
{
    struct memory *m = memory_of(q);

    (void)error;
    g_assert(seq <= m->received);
    backlog_drop(&m->backlog, seq);
    return true;
}

/* Messages of an earlier life are gone, but their seqs were used: numbering goes on behind them. */
static bool memory_seek(struct queue *q, int64_t seq, GError **error)
{
    struct memory *m = memory_of(q);

    (void)error;
    g_mutex_lock(&m->lock);
    g_assert(m->rows->len == 0);
    m->first_seq = seq + 1;
    g_mutex_unlock(&m->lock);
    backlog_start(&m->backlog, seq);
    m->received = seq;
    return true;
}

/* The backlog finds by fingerprint; the key itself decides. */
static bool memory_find(struct queue *q, struct slice key, size_t max, struct arena *a,
                        struct queue_batch *out, GError **error)
{
    struct memory *m = memory_of(q);
    struct queue_batch batch = {0};
    int64_t *seqs;
    size_t count = backlog_find(&m->backlog, key, a, &seqs);

    (void)error;
    batch.messages = ARENA_NEW(a, struct queue_message, MIN(max, count));
    g_mutex_lock(&m->lock);
    for (size_t i = 0; i < count && batch.count < max; i++) {
        const struct memory_row *row = memory_row_at(m, seqs[i]);

        if (slice_equal(row->message.key, key))
            batch.messages[batch.count++] = memory_message_copy(row, a);
    }
    g_mutex_unlock(&m->lock);
    *out = batch;
    return true;
}

static void memory_stats(struct queue *q, struct queue_stats *out)
{
    backlog_stats(&memory_of(q)->backlog, out);
}

static bool memory_check(struct queue *q, enum queue_check level, GPtrArray *problems,
                         GError **error)
{
    (void)q;
    (void)level;
    (void)problems;
    (void)error;
    return true; /* nothing that could be damaged */
}

static void memory_stop(struct queue *q)
{
    backlog_stop(&memory_of(q)->backlog);
}

/* No call may be under way, so nothing is locked. */
static void memory_close(struct queue *q)
{
    struct memory *m = memory_of(q);

    g_ptr_array_unref(m->rows);
    g_mutex_clear(&m->lock);
    backlog_done(&m->backlog);
    g_free(m);
}

const struct queue_ops queue_memory_ops = {
    .name = "memory",
    .flags = QUEUE_KEEPS | QUEUE_NEEDS_SEEK,
    .open = memory_open,
    .publish = memory_publish,
    .receive = memory_receive,
    .ack = memory_ack,
    .seek = memory_seek,
    .read = memory_read,
    .find = memory_find,
    .stats = memory_stats,
    .check = memory_check,
    .stop = memory_stop,
    .close = memory_close,
};
