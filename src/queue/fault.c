/* fault: a queue that wraps another one and fails on demand. For tests.
 *
 * A plan for each kind of call says how many still pass and how many fail then, and with which
 * code; queue_fault_set writes it, every call eats from it. What passes goes to the inner queue
 * unchanged.
 * Deliberately missing: faults of seek, stats, check and stop, which no caller has to survive. */
#include "queue/queue.h"

#include "common/error.h"

#define FAULT_AMBIGUOUS (-1) /* done, but answered RETRY */

/* What was ordered for one kind of call. */
struct fault_plan {
    unsigned after; /* calls that still pass */
    unsigned times; /* calls that fail then */
    int code;
};

/* A queue of its own type with another one inside. Any thread, as far as the inner queue allows. */
struct fault {
    struct queue queue;
    struct queue_ops ops; /* ours, with the inner queue's flags; immutable after open */
    struct queue *inner;  /* owned */
    GMutex lock;          /* guards the rest; never held while the inner queue works */
    struct fault_plan plans[QUEUE_CALL_COUNT];
    bool is_dead; /* a publish was answered with FATAL: so is every later one */
};

/* For the error texts. */
static const char *const call_names[QUEUE_CALL_COUNT] = {
    [QUEUE_CALL_PUBLISH] = "publish", [QUEUE_CALL_RECEIVE] = "receive", [QUEUE_CALL_ACK] = "ack",
    [QUEUE_CALL_READ] = "read",       [QUEUE_CALL_FIND] = "find",
};

/* queue is the first member, so the pointers are the same. */
static struct fault *fault_of(struct queue *q)
{
    return (struct fault *)q;
}

/* Sets the ordered error; always false. An ambiguous call looks to the caller like passing
 * trouble. */
static bool fault_answer(enum queue_call call, int code, GError **error)
{
    g_set_error(error, EF_ERROR, code == FAULT_AMBIGUOUS ? EF_ERROR_RETRY : code,
                "%s failed because a test ordered it", call_names[call]);
    return false;
}

/* Whether this call fails, and how. Takes one from the plan. Sets *code only when it strikes. Any
 * thread. */
static bool fault_strikes(struct fault *f, enum queue_call call, int *code)
{
    struct fault_plan *plan = &f->plans[call];
    bool strikes = false;

    g_mutex_lock(&f->lock);
    if (call == QUEUE_CALL_PUBLISH && f->is_dead) {
        *code = EF_ERROR_FATAL;
        strikes = true;
    } else if (plan->times > 0 && plan->after > 0) {
        plan->after--;
    } else if (plan->times > 0) {
        plan->times--;
        *code = plan->code;
        strikes = true;
    }
    if (strikes && call == QUEUE_CALL_PUBLISH && *code == EF_ERROR_FATAL)
        f->is_dead = true;
    g_mutex_unlock(&f->lock);
    return strikes;
}

/* Ambiguous: the batch is stored, and the caller is told that it is not. That is what a lost answer
 * of a server looks like. */
static bool fault_publish(struct queue *q, struct queue_message *messages, size_t count,
                          GError **error)
{
    struct fault *f = fault_of(q);
    struct queue *inner = f->inner;
    int code;

    if (!fault_strikes(f, QUEUE_CALL_PUBLISH, &code))
        return inner->ops->publish(inner, messages, count, error);
    if (code == FAULT_AMBIGUOUS && !inner->ops->publish(inner, messages, count, error))
        return false;
    return fault_answer(QUEUE_CALL_PUBLISH, code, error);
}

/* Ambiguity would lose the batch, which no backend does: it fails before the inner call. Strikes
 * before the wait, so a test need not sit through it. */
static bool fault_receive(struct queue *q, size_t max, int64_t wait_ms, struct arena *a,
                          struct queue_batch *out, GError **error)
{
    struct fault *f = fault_of(q);
    int code;

    if (fault_strikes(f, QUEUE_CALL_RECEIVE, &code))
        return fault_answer(QUEUE_CALL_RECEIVE, code, error);
    return f->inner->ops->receive(f->inner, max, wait_ms, a, out, error);
}

/* Ambiguous: acknowledged, and the caller is told that it is not. */
static bool fault_ack(struct queue *q, int64_t seq, GError **error)
{
    struct fault *f = fault_of(q);
    int code;

    if (!fault_strikes(f, QUEUE_CALL_ACK, &code))
        return f->inner->ops->ack(f->inner, seq, error);
    if (code == FAULT_AMBIGUOUS && !f->inner->ops->ack(f->inner, seq, error))
        return false;
    return fault_answer(QUEUE_CALL_ACK, code, error);
}

/* Passed through, like stats, check and stop below. */
static bool fault_seek(struct queue *q, int64_t seq, GError **error)
{
    struct queue *inner = fault_of(q)->inner;

    return inner->ops->seek(inner, seq, error);
}

static bool fault_read(struct queue *q, const int64_t *seqs, size_t count, struct arena *a,
                       struct queue_batch *out, GError **error)
{
    struct fault *f = fault_of(q);
    int code;

    if (fault_strikes(f, QUEUE_CALL_READ, &code))
        return fault_answer(QUEUE_CALL_READ, code, error);
    return f->inner->ops->read(f->inner, seqs, count, a, out, error);
}

static bool fault_find(struct queue *q, struct slice key, size_t max, struct arena *a,
                       struct queue_batch *out, GError **error)
{
    struct fault *f = fault_of(q);
    int code;

    if (fault_strikes(f, QUEUE_CALL_FIND, &code))
        return fault_answer(QUEUE_CALL_FIND, code, error);
    return f->inner->ops->find(f->inner, key, max, a, out, error);
}

static void fault_stats(struct queue *q, struct queue_stats *out)
{
    struct queue *inner = fault_of(q)->inner;

    inner->ops->stats(inner, out);
}

static bool fault_check(struct queue *q, enum queue_check level, GPtrArray *problems,
                        GError **error)
{
    struct queue *inner = fault_of(q)->inner;

    return inner->ops->check(inner, level, problems, error);
}

static void fault_stop(struct queue *q)
{
    struct queue *inner = fault_of(q)->inner;

    inner->ops->stop(inner);
}

/* The inner queue was taken at open, so it is closed here. */
static void fault_close(struct queue *q)
{
    struct fault *f = fault_of(q);

    f->inner->ops->close(f->inner);
    g_mutex_clear(&f->lock);
    g_free(f);
}

/* Replaces what was ordered before for that call. */
void queue_fault_set(struct queue *q, enum queue_call call, unsigned after, unsigned times,
                     int code)
{
    struct fault *f = fault_of(q);

    g_assert(q->ops->close == fault_close && call < QUEUE_CALL_COUNT);
    g_mutex_lock(&f->lock);
    f->plans[call] = (struct fault_plan){.after = after, .times = times, .code = code};
    g_mutex_unlock(&f->lock);
}

/* Takes options->inner. Cannot fail. The ops are copied, since the flags differ with what is
 * wrapped. */
static struct queue *fault_open(const struct queue_options *options, GError **error)
{
    struct fault *f = g_new0(struct fault, 1);

    (void)error;
    g_assert(options->inner != NULL);
    f->inner = options->inner;
    f->ops = queue_fault_ops;
    f->ops.flags = f->inner->ops->flags;
    f->queue.ops = &f->ops;
    g_mutex_init(&f->lock);
    return &f->queue;
}

const struct queue_ops queue_fault_ops = {
    .name = "fault",
    .flags = 0, /* an open one has the flags of the queue it wraps */
    .open = fault_open,
    .publish = fault_publish,
    .receive = fault_receive,
    .ack = fault_ack,
    .seek = fault_seek,
    .read = fault_read,
    .find = fault_find,
    .stats = fault_stats,
    .check = fault_check,
    .stop = fault_stop,
    .close = fault_close,
};
