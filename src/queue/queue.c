/* queue: the checked wrappers around the backends, the list of backends, and their metrics.
 *
 * A wrapper asserts what would be a bug of the caller (NULL, negative numbers), answers INPUT
 * for a message that no backend could store, and counts calls that failed. So backends see valid
 * calls only.
 * Deliberately missing: retries. What to do about an error is the caller's to say. */
#include "queue/queue.h"

#include "common/clock.h"
#include "common/error.h"
#include "common/metrics.h"

/* The calls whose errors are counted; each has its own label. */
enum wrapped_call {
    WRAPPED_OPEN,
    WRAPPED_PUBLISH,
    WRAPPED_RECEIVE,
    WRAPPED_ACK,
    WRAPPED_SEEK,
    WRAPPED_READ,
    WRAPPED_FIND,
    WRAPPED_CHECK,
    WRAPPED_COUNT,
};

/* Labels of queue_errors_total, in the form of the exposition format. */
static const char *const call_labels[WRAPPED_COUNT] = {
    [WRAPPED_OPEN] = "call=\"open\"",       [WRAPPED_PUBLISH] = "call=\"publish\"",
    [WRAPPED_RECEIVE] = "call=\"receive\"", [WRAPPED_ACK] = "call=\"ack\"",
    [WRAPPED_SEEK] = "call=\"seek\"",       [WRAPPED_READ] = "call=\"read\"",
    [WRAPPED_FIND] = "call=\"find\"",       [WRAPPED_CHECK] = "call=\"check\"",
};

/* Every backend is in this list; the contract tests run once for each. */
static const struct queue_ops *const backends[] = {
    &queue_embedded_ops,
    &queue_memory_ops,
    &queue_fault_ops,
};

/* Immutable once made. */
struct queue_metrics {
    struct metric *published;
    struct metric *commit_duration;
    struct metric *commit_batch;
    struct metric *errors[WRAPPED_COUNT];
};

/* All errors are registered at once, so that a counter shows 0 before the first failure. */
static struct queue_metrics *make_metrics(void)
{
    struct queue_metrics *m = g_new0(struct queue_metrics, 1);

    m->published = metrics_counter("queue_published_total", "Messages made durable.", NULL);
    m->commit_duration = metrics_histogram("queue_commit_duration_seconds",
                                           "Time of one durable append to the queue.", NULL,
                                           METRICS_SECONDS, METRICS_SECONDS_COUNT);
    m->commit_batch =
        metrics_histogram("queue_commit_batch_size", "Messages in one durable append.", NULL,
                          METRICS_BATCH, METRICS_BATCH_COUNT);
    for (int i = 0; i < WRAPPED_COUNT; i++)
        m->errors[i] = metrics_counter("queue_errors_total", "Calls of the queue that failed.",
                                       call_labels[i]);
    return m;
}

/* Made at the first call, by whichever thread comes first; the others wait for it. */
static const struct queue_metrics *queue_metrics(void)
{
    static struct queue_metrics *metrics; /* as long as the process, like the metrics themselves */

    if (g_once_init_enter(&metrics))
        g_once_init_leave(&metrics, make_metrics());
    return metrics;
}

/* Any thread. */
static void count_error(enum wrapped_call call)
{
    metric_add(queue_metrics()->errors[call], 1);
}

/* Passes the result of a call through and counts it when it failed. */
static bool counted(enum wrapped_call call, bool is_good)
{
    if (!is_good)
        count_error(call);
    return is_good;
}

/* The list is short and asked once a start. */
const struct queue_ops *queue_find_backend(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

/* Owned by caller (queue_close). */
struct queue *queue_open(const struct queue_ops *ops, const struct queue_options *options,
                         GError **error)
{
    struct queue *q;

    g_assert(ops != NULL && options != NULL && options->waiting_max >= 0);
    queue_metrics(); /* shown from the start, not from the first use */
    q = ops->open(options, error);
    counted(WRAPPED_OPEN, q != NULL);
    return q;
}

/* Why a message cannot be stored, NULL when it can. The same limits for every backend, so that a
 * queue can be replaced by another one. */
static const char *message_fault(const struct queue_message *message)
{
    if (message->body.size == 0)
        return "its body is empty";
    if (message->body.size > QUEUE_MESSAGE_MAX)
        return "its body is larger than 1 MiB";
    if (message->key.size > QUEUE_KEY_MAX)
        return "its key is longer than 128 bytes";
    if (message->correlation.size > QUEUE_KEY_MAX)
        return "its correlation id is longer than 128 bytes";
    if (message->trace.size > QUEUE_TRACE_MAX)
        return "its traceparent is longer than 256 bytes";
    if (message->reference < 0)
        return "its reference is negative";
    return NULL;
}

/* The whole batch is refused for one bad message, since publish is all or nothing.
 * Errors: INPUT. */
static bool check_messages(const struct queue_message *messages, size_t count, GError **error)
{
    for (size_t i = 0; i < count; i++) {
        const char *fault = message_fault(&messages[i]);

        if (fault != NULL) {
            g_set_error(error, EF_ERROR, EF_ERROR_INPUT, "message %zu cannot be queued: %s", i,
                        fault);
            return false;
        }
    }
    return true;
}

/* The duration includes the check: it is what the committer waits for. */
bool queue_publish(struct queue *q, struct queue_message *messages, size_t count, GError **error)
{
    const struct queue_metrics *metrics = queue_metrics();
    int64_t start_us = clock_monotonic_us();

    g_assert(q != NULL && (messages != NULL || count == 0));
    if (count == 0)
        return true;
    if (!check_messages(messages, count, error) || !q->ops->publish(q, messages, count, error))
        return counted(WRAPPED_PUBLISH, false);
    metric_add(metrics->published, count);
    metric_observe(metrics->commit_batch, (double)count);
    metric_observe(metrics->commit_duration, (double)(clock_monotonic_us() - start_us) / 1e6);
    return true;
}

/* The limit on wait_ms keeps its microseconds far from an overflow. */
bool queue_receive(struct queue *q, size_t max, int64_t wait_ms, struct arena *a,
                   struct queue_batch *out, GError **error)
{
    g_autoptr(GError) problem = NULL;

    g_assert(q != NULL && max > 0 && a != NULL && out != NULL);
    g_assert(wait_ms >= 0 && wait_ms <= G_MAXINT32);
    if (q->ops->receive(q, max, wait_ms, a, out, &problem))
        return true;
    if (!g_error_matches(problem, EF_ERROR, EF_ERROR_STOPPED)) /* how every consumer ends */
        count_error(WRAPPED_RECEIVE);
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

bool queue_ack(struct queue *q, int64_t seq, GError **error)
{
    g_assert(q != NULL && seq >= 0);
    return counted(WRAPPED_ACK, q->ops->ack(q, seq, error));
}

bool queue_seek(struct queue *q, int64_t seq, GError **error)
{
    g_assert(q != NULL && seq >= 0);
    return counted(WRAPPED_SEEK, q->ops->seek(q, seq, error));
}

bool queue_read(struct queue *q, const int64_t *seqs, size_t count, struct arena *a,
                struct queue_batch *out, GError **error)
{
    g_assert(q != NULL && (seqs != NULL || count == 0) && a != NULL && out != NULL);
    return counted(WRAPPED_READ, q->ops->read(q, seqs, count, a, out, error));
}

bool queue_find(struct queue *q, struct slice key, size_t max, struct arena *a,
                struct queue_batch *out, GError **error)
{
    g_assert(q != NULL && max > 0 && a != NULL && out != NULL);
    return counted(WRAPPED_FIND, q->ops->find(q, key, max, a, out, error));
}

/* Not counted: it cannot fail. */
void queue_get_stats(struct queue *q, struct queue_stats *out)
{
    g_assert(q != NULL && out != NULL);
    q->ops->stats(q, out);
}

bool queue_check(struct queue *q, enum queue_check level, GPtrArray *problems, GError **error)
{
    g_assert(q != NULL && problems != NULL);
    return counted(WRAPPED_CHECK, q->ops->check(q, level, problems, error));
}

void queue_stop(struct queue *q)
{
    g_assert(q != NULL);
    q->ops->stop(q);
}

/* The backend frees itself; its ops stay. */
void queue_close(struct queue *q)
{
    if (q != NULL)
        q->ops->close(q);
}
