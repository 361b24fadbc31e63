/* committer: one thread makes jobs durable, as many at once as wait.
 *
 * The round: take everything that waits, commit it in as few steps as batch_max allows, answer.
 * While a commit waits for the disk the next jobs gather, so batches grow with the load by
 * themselves. The order of jobs is kept. One thread publishes, so nothing here is locked; the
 * loops share only two counters with it.
 * Deliberately missing: a timer that waits for fuller batches, and retries: the client has the
 * event. */
#include "intake/intake.h"

#include <stdatomic.h>

#include "common/error.h"
#include "common/log.h"
#include "common/metrics.h"

/* Registered once; any thread may add. */
struct intake_metrics {
    struct metric *inflight;
    struct metric *refused;
    struct metric *batch_size;
};

/* inflight, inflight_size: any thread. The rest: immutable after start, or committer thread only
 * where noted. */
struct intake {
    struct queue *queue;
    struct intake_options options;
    struct mailbox *box;
    GThread *thread;
    _Atomic size_t inflight;      /* messages reserved and not answered */
    _Atomic size_t inflight_size; /* bytes of their bodies */
    struct intake_metrics metrics;
    /* Committer thread only. */
    struct queue_message *batch; /* reused from commit to commit */
    size_t batch_room;           /* entries that fit into batch */
    char *broken;                /* why the queue is dead, NULL while it lives */
};

/* The jobs of one commit. */
struct intake_group {
    struct mail_list jobs;
    size_t count; /* messages */
};

/* What a failed publish means for its jobs. A code that is not listed is passing trouble: the
 * contract says that nothing was stored. */
static enum intake_result intake_result_of(const GError *error)
{
    static const struct {
        enum ef_error code;
        enum intake_result result;
    } RESULTS[] = {
        {EF_ERROR_FULL, INTAKE_DISK_FULL},
        {EF_ERROR_FATAL, INTAKE_BROKEN},
        {EF_ERROR_CORRUPT, INTAKE_BROKEN},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(RESULTS); i++)
        if (g_error_matches(error, EF_ERROR, (int)RESULTS[i].code))
            return RESULTS[i].result;
    return INTAKE_BUSY;
}

/* Gives the job back. done may free it, so nothing may touch it afterwards. */
static void intake_answer(struct intake *in, struct intake_job *job, enum intake_result result,
                          const char *error)
{
    job->result = result;
    job->error = error != NULL ? arena_printf(&job->arena, "%s", error) : NULL;
    if (result != INTAKE_ACCEPTED)
        metric_add(in->metrics.refused, 1);
    /* The room comes back before done, which may start the next request at once. */
    metric_change(in->metrics.inflight, -(double)job->count);
    atomic_fetch_sub(&in->inflight, job->count);
    atomic_fetch_sub(&in->inflight_size, job->bytes);
    job->done(job);
}

/* Gives all jobs of the group back; the group is empty afterwards. */
static void intake_answer_group(struct intake *in, struct intake_group *group,
                                enum intake_result result, const char *error)
{
    struct mail *mail;

    while ((mail = mail_list_pop(&group->jobs)) != NULL)
        intake_answer(in, (struct intake_job *)mail, result, error);
    group->count = 0;
}

/* Remembers that the queue is dead: no later job gets as far as publish, and the owner ends the
 * process. So this happens once. */
static void intake_break(struct intake *in, const GError *error)
{
    in->broken = g_strdup(error->message);
    if (in->options.on_fatal != NULL)
        in->options.on_fatal(in->options.user, in->broken);
}

/* This is the outermost loop of its thread, so the error is logged here, once per commit. */
static void intake_fail_group(struct intake *in, struct intake_group *group, const GError *error)
{
    enum intake_result result = intake_result_of(error);

    log_error(LOG_MSG("events could not be stored and were refused"),
              LOG_STRING("error", error->message), LOG_INT("events", (int64_t)group->count),
              LOG_INT("requests", (int64_t)group->jobs.count));
    if (result == INTAKE_BROKEN)
        intake_break(in, error);
    if (result == INTAKE_DISK_FULL)
        disk_watch_note(in->options.disk, DISK_WRITER_QUEUE, true);
    intake_answer_group(in, group, result, error->message);
}

/* Puts the messages of all jobs side by side, since publish takes one array. The messages stay the
 * jobs' own: only the structs are copied, and the seqs are of no use to a job. */
static void intake_fill_batch(struct intake *in, const struct intake_group *group)
{
    size_t count = 0;

    if (group->count > in->batch_room) {
        in->batch_room = group->count;
        in->batch = g_renew(struct queue_message, in->batch, in->batch_room);
    }
    for (const struct mail *m = group->jobs.first; m != NULL; m = m->next) {
        const struct intake_job *job = (const struct intake_job *)m;

        if (job->count > 0)
            memcpy(in->batch + count, job->messages, job->count * sizeof(*in->batch));
        count += job->count;
    }
}

/* One durable step for the whole group, then its answers; the group is empty afterwards. Jobs
 * without messages ride along: they are answered in their order. */
static void intake_commit(struct intake *in, struct intake_group *group)
{
    g_autoptr(GError) error = NULL;

    if (group->jobs.count == 0)
        return;
    if (in->broken != NULL) {
        intake_answer_group(in, group, INTAKE_BROKEN, in->broken);
        return;
    }
    intake_fill_batch(in, group);
    if (group->count > 0) {
        metric_observe(in->metrics.batch_size, (double)group->count);
        if (!queue_publish(in->queue, in->batch, group->count, &error)) {
            intake_fail_group(in, group, error);
            return;
        }
        disk_watch_note(in->options.disk, DISK_WRITER_QUEUE, false);
    }
    intake_answer_group(in, group, INTAKE_ACCEPTED, NULL);
}

/* How many more messages may wait in the queue. This thread is the only publisher, so the room
 * cannot shrink meanwhile. Negative when the limit is passed already, as after a start with a
 * smaller one. */
static int64_t intake_room(const struct intake *in)
{
    struct queue_stats stats;

    if (in->options.waiting_max <= 0)
        return INT64_MAX;
    queue_get_stats(in->queue, &stats);
    return in->options.waiting_max - stats.waiting;
}

/* Commits a list of jobs in as few groups as batch_max allows. A job is never split: its events
 * are accepted together or not at all. */
static void intake_commit_all(struct intake *in, struct mail_list *list)
{
    struct intake_group group = {0};
    int64_t room = intake_room(in);
    struct mail *mail;

    while ((mail = mail_list_pop(list)) != NULL) {
        struct intake_job *job = (struct intake_job *)mail;

        /* A smaller job behind it may still fit: nothing promises an order between requests. */
        if (in->broken == NULL && (int64_t)job->count > room) {
            log_warn(LOG_MSG("the queue is full, refusing events until the worker catches up"),
                     LOG_INT("queue_depth_max", in->options.waiting_max));
            intake_answer(in, job, INTAKE_BUSY,
                          "the queue is full: its events are not processed fast enough");
            continue;
        }
        room -= (int64_t)job->count;
        if (group.count + job->count > in->options.batch_max)
            intake_commit(in, &group);
        mail_list_append(&group.jobs, mail);
        group.count += job->count;
    }
    intake_commit(in, &group);
}

/* The committer thread. It ends when the box was stopped and is empty, so what was submitted before
 * is still answered. */
static void *intake_run(void *user)
{
    struct intake *in = user;

    for (;;) {
        struct mail_list list = mailbox_wait(in->box, -1);

        if (list.count == 0)
            return NULL; /* only a stopped and empty box gives nothing */
        intake_commit_all(in, &list);
    }
}

/* Cannot fail. Owned by caller (intake_stop). */
struct intake *intake_start(struct queue *queue, const struct intake_options *options)
{
    struct intake *in = g_new0(struct intake, 1);

    g_assert(options->batch_max > 0);
    in->queue = queue;
    in->options = *options;
    in->metrics = (struct intake_metrics){
        .inflight = metrics_gauge("intake_inflight_messages",
                                  "Events handed in and not yet answered.", NULL),
        .refused = metrics_counter("intake_jobs_refused_total",
                                   "Requests whose events could not be stored.", NULL),
        .batch_size = metrics_histogram("intake_batch_size", "Events stored by one commit.", NULL,
                                        METRICS_BATCH, METRICS_BATCH_COUNT),
    };
    in->box = mailbox_new(false);
    in->thread = g_thread_new("committer", intake_run, in);
    return in;
}

/* Adds to a counter unless that passes its limit. The subtraction on the other side cannot wrap,
 * since only what was taken is given back. */
static bool intake_take_room(_Atomic size_t *used, size_t wanted, size_t max)
{
    size_t before = atomic_load(used);

    do {
        if (wanted > max || before > max - wanted)
            return false;
    } while (!atomic_compare_exchange_weak(used, &before, before + wanted));
    return true;
}

bool intake_reserve(struct intake *in, const struct intake_job *job)
{
    /* Reserved before the job is handed over: what is submitted is never refused for room. */
    bool has_room = intake_take_room(&in->inflight, job->count, in->options.inflight_max);

    if (has_room &&
        !intake_take_room(&in->inflight_size, job->bytes, in->options.inflight_bytes_max)) {
        atomic_fetch_sub(&in->inflight, job->count);
        has_room = false;
    }
    if (has_room)
        metric_change(in->metrics.inflight, (double)job->count);
    else
        metric_add(in->metrics.refused, 1);
    return has_room;
}

/* One put wakes the committer at most once, however many jobs are in the list. */
void intake_submit(struct intake *in, struct mail_list *jobs)
{
    mailbox_put(in->box, jobs);
}

/* The loops have ended before: nobody reserves or submits any more. */
void intake_stop(struct intake *in)
{
    if (in == NULL)
        return;
    mailbox_stop(in->box);
    g_thread_join(in->thread);
    mailbox_free(in->box);
    g_free(in->batch);
    g_free(in->broken);
    g_free(in);
}
