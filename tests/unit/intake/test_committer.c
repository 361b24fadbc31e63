#include "intake/intake.h"

#include <glib.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "common/metrics.h"

#define DEADLINE_US INT64_C(20000000)

/* A memory queue behind a fault queue, a committer, and the jobs it has answered. */
struct fixture {
    struct queue *queue; /* the fault queue */
    struct intake *intake;
    GMutex lock;
    GCond answered;
    GPtrArray *jobs; /* under lock; answered ones, in order */
    int fatal_calls; /* committer thread; read after stop */
    char *fatal_message;
};

static void on_fatal(void *user, const char *message)
{
    struct fixture *f = user;

    f->fatal_calls++;
    g_free(f->fatal_message);
    f->fatal_message = g_strdup(message);
}

static const struct intake_options *default_options(void)
{
    static const struct intake_options OPTIONS = {
        .batch_max = 1024, .inflight_max = 100000, .inflight_bytes_max = 1 << 20};

    return &OPTIONS;
}

/* without a committer: jobs can be put before it starts, so that it sees them as one list. */
static void fixture_init(struct fixture *f)
{
    g_autoptr(GError) error = NULL;
    struct queue *memory = queue_open(&queue_memory_ops, &(struct queue_options){0}, &error);

    g_assert_no_error(error);
    *f = (struct fixture){0};
    f->queue = queue_open(&queue_fault_ops, &(struct queue_options){.inner = memory}, &error);
    g_assert_no_error(error);
    g_mutex_init(&f->lock);
    g_cond_init(&f->answered);
    f->jobs = g_ptr_array_new();
}

static void fixture_start(struct fixture *f, struct intake_options options)
{
    options.on_fatal = on_fatal;
    options.user = f;
    f->intake = intake_start(f->queue, &options);
}

static void on_done(struct intake_job *job)
{
    struct fixture *f = job->owner;

    g_mutex_lock(&f->lock);
    g_ptr_array_add(f->jobs, job);
    g_cond_signal(&f->answered);
    g_mutex_unlock(&f->lock);
}

static struct intake_job *job_new(struct fixture *f, size_t count)
{
    struct intake_job *job = g_new0(struct intake_job, 1);

    intake_job_init(job);
    job->owner = f;
    job->done = on_done;
    job->messages = ARENA_NEW(&job->arena, struct queue_message, MAX(count, 1));
    job->count = count;
    for (size_t i = 0; i < count; i++) {
        job->messages[i] = (struct queue_message){.key = SLICE("k"), .body = SLICE("{}")};
        job->bytes += job->messages[i].body.size;
    }
    return job;
}

static void job_free(struct intake_job *job)
{
    intake_job_done(job);
    g_free(job);
}

/* Hands jobs of the given sizes over as one list. */
static void submit(struct fixture *f, const size_t *sizes, size_t count)
{
    struct mail_list list = {0};

    for (size_t i = 0; i < count; i++) {
        struct intake_job *job = job_new(f, sizes[i]);

        g_assert_true(intake_reserve(f->intake, job));
        mail_list_append(&list, &job->mail);
    }
    intake_submit(f->intake, &list);
}

static void wait_for_answers(struct fixture *f, size_t count)
{
    int64_t until_us = clock_monotonic_us() + DEADLINE_US;

    g_mutex_lock(&f->lock);
    while (f->jobs->len < count)
        if (!g_cond_wait_until(&f->answered, &f->lock, until_us))
            g_error("only %u of %zu jobs were answered", f->jobs->len, count);
    g_mutex_unlock(&f->lock);
}

static const struct intake_job *answered(struct fixture *f, size_t i)
{
    const struct intake_job *job;

    g_mutex_lock(&f->lock);
    job = g_ptr_array_index(f->jobs, i);
    g_mutex_unlock(&f->lock);
    return job;
}

static void fixture_done(struct fixture *f)
{
    intake_stop(f->intake);
    for (guint i = 0; i < f->jobs->len; i++)
        job_free(g_ptr_array_index(f->jobs, i));
    g_ptr_array_free(f->jobs, TRUE);
    queue_close(f->queue);
    g_mutex_clear(&f->lock);
    g_cond_clear(&f->answered);
    g_free(f->fatal_message);
}

static int64_t stored(struct fixture *f)
{
    struct queue_stats stats;

    queue_get_stats(f->queue, &stats);
    return stats.last_seq;
}

static double commits(void)
{
    return metric_value(metrics_histogram("intake_batch_size", "Events stored by one commit.", NULL,
                                          METRICS_BATCH, METRICS_BATCH_COUNT));
}

static double inflight(void)
{
    return metric_value(
        metrics_gauge("intake_inflight_messages", "Events handed in and not yet answered.", NULL));
}

static void test_answers_after_the_messages_are_stored(void)
{
    struct fixture f;
    const size_t sizes[] = {2, 3};

    fixture_init(&f);
    fixture_start(&f, *default_options());
    submit(&f, sizes, 2);
    wait_for_answers(&f, 2);
    g_assert_cmpint(stored(&f), ==, 5);
    g_assert_cmpint(answered(&f, 0)->result, ==, INTAKE_ACCEPTED);
    g_assert_cmpint(answered(&f, 1)->result, ==, INTAKE_ACCEPTED);
    g_assert_cmpuint(answered(&f, 0)->count, ==, 2);
    g_assert_null(answered(&f, 0)->error);
    fixture_done(&f);
}

static void test_waiting_jobs_share_one_commit(void)
{
    struct fixture f;
    const size_t sizes[] = {1, 2, 3, 4};
    double before = commits();

    fixture_init(&f);
    fixture_start(&f, *default_options());
    submit(&f, sizes, 4);
    wait_for_answers(&f, 4);
    g_assert_cmpfloat(commits() - before, ==, 1);
    fixture_done(&f);
}

static void test_splits_between_jobs_never_inside_one(void)
{
    struct fixture f;
    const size_t sizes[] = {2, 2, 2, 9, 1}; /* commits: 2+2, 2, 9, 1 */
    struct intake_options options = *default_options();
    double before = commits();

    options.batch_max = 4;
    fixture_init(&f);
    fixture_start(&f, options);
    submit(&f, sizes, 5);
    wait_for_answers(&f, 5);
    g_assert_cmpfloat(commits() - before, ==, 4);
    g_assert_cmpint(stored(&f), ==, 16);
    fixture_done(&f);
}

static void test_a_job_without_events_is_answered(void)
{
    struct fixture f;
    const size_t sizes[] = {0};

    fixture_init(&f);
    fixture_start(&f, *default_options());
    submit(&f, sizes, 1);
    wait_for_answers(&f, 1);
    g_assert_cmpint(answered(&f, 0)->result, ==, INTAKE_ACCEPTED);
    fixture_done(&f);
}

/* Two jobs of one event each, the first commit of which fails with code. */
static void fail_first_commit(struct fixture *f, int code)
{
    const size_t one[] = {1};

    fixture_init(f);
    queue_fault_set(f->queue, QUEUE_CALL_PUBLISH, 0, 1, code);
    fixture_start(f, *default_options());
    submit(f, one, 1);
    wait_for_answers(f, 1);
    submit(f, one, 1);
    wait_for_answers(f, 2);
}

static void test_passing_trouble_is_busy_and_passes(void)
{
    struct fixture f;

    fail_first_commit(&f, EF_ERROR_RETRY);
    g_assert_cmpint(answered(&f, 0)->result, ==, INTAKE_BUSY);
    g_assert_nonnull(answered(&f, 0)->error);
    g_assert_cmpint(answered(&f, 1)->result, ==, INTAKE_ACCEPTED);
    g_assert_cmpint(stored(&f), ==, 1);
    fixture_done(&f);
    g_assert_cmpint(f.fatal_calls, ==, 0);
}

static void test_full_disk_is_said_and_passes(void)
{
    struct fixture f;

    fail_first_commit(&f, EF_ERROR_FULL);
    g_assert_cmpint(answered(&f, 0)->result, ==, INTAKE_DISK_FULL);
    g_assert_cmpint(answered(&f, 1)->result, ==, INTAKE_ACCEPTED);
    fixture_done(&f);
}

static void assert_breaks(int code)
{
    struct fixture f;
    const size_t one[] = {1};

    fail_first_commit(&f, code);
    submit(&f, one, 1);
    wait_for_answers(&f, 3);
    for (size_t i = 0; i < 3; i++) {
        g_assert_cmpint(answered(&f, i)->result, ==, INTAKE_BROKEN);
        g_assert_nonnull(answered(&f, i)->error);
    }
    g_assert_cmpint(stored(&f), ==, 0);
    intake_stop(g_steal_pointer(&f.intake));
    g_assert_cmpint(f.fatal_calls, ==, 1);
    g_assert_nonnull(strstr(f.fatal_message, "publish failed"));
    fixture_done(&f);
}

static void test_unknown_outcome_breaks_for_good(void)
{
    assert_breaks(EF_ERROR_FATAL);
}

static void test_damage_breaks_for_good(void)
{
    assert_breaks(EF_ERROR_CORRUPT);
}

static void test_failure_is_for_its_own_commit_only(void)
{
    struct fixture f;
    const size_t sizes[] = {1, 1, 1};
    struct intake_options options = *default_options();

    options.batch_max = 1;
    fixture_init(&f);
    queue_fault_set(f.queue, QUEUE_CALL_PUBLISH, 1, 1, EF_ERROR_RETRY);
    fixture_start(&f, options);
    submit(&f, sizes, 3);
    wait_for_answers(&f, 3);
    g_assert_cmpint(answered(&f, 0)->result, ==, INTAKE_ACCEPTED);
    g_assert_cmpint(answered(&f, 1)->result, ==, INTAKE_BUSY);
    g_assert_cmpint(answered(&f, 2)->result, ==, INTAKE_ACCEPTED);
    fixture_done(&f);
}

static void test_full_queue_is_busy_without_publishing(void)
{
    struct fixture f;
    const size_t sizes[] = {2, 5, 1};
    const size_t one[] = {1};
    struct intake_options options = *default_options();

    options.waiting_max = 3;
    fixture_init(&f);
    fixture_start(&f, options);
    submit(&f, sizes, 3); /* the second does not fit, the others do */
    wait_for_answers(&f, 3);
    g_assert_cmpint(stored(&f), ==, 3);
    g_assert_cmpint(answered(&f, 0)->result, ==, INTAKE_BUSY);
    g_assert_cmpuint(answered(&f, 0)->count, ==, 5);
    g_assert_nonnull(strstr(answered(&f, 0)->error, "full"));
    submit(&f, one, 1);
    wait_for_answers(&f, 4);
    g_assert_cmpint(answered(&f, 3)->result, ==, INTAKE_BUSY);
    fixture_done(&f);
}

static void test_room_comes_back_when_messages_are_done(void)
{
    struct fixture f;
    g_autoptr(GError) error = NULL;
    struct queue_batch batch;
    struct arena arena = {0};
    const size_t one[] = {1};
    struct intake_options options = *default_options();

    options.waiting_max = 1;
    fixture_init(&f);
    fixture_start(&f, options);
    submit(&f, one, 1);
    wait_for_answers(&f, 1);
    g_assert_true(queue_receive(f.queue, 10, 0, &arena, &batch, &error));
    g_assert_true(queue_ack(f.queue, batch.messages[0].seq, &error));
    submit(&f, one, 1);
    wait_for_answers(&f, 2);
    g_assert_cmpint(answered(&f, 1)->result, ==, INTAKE_ACCEPTED);
    arena_done(&arena);
    fixture_done(&f);
}

static void test_reserve_refuses_past_the_limits(void)
{
    struct fixture f;
    struct intake_options options = *default_options();
    struct intake_job *ten;
    struct intake_job *one;

    options.inflight_max = 10;
    options.inflight_bytes_max = 25;
    fixture_init(&f);
    fixture_start(&f, options);
    ten = job_new(&f, 10);
    one = job_new(&f, 1);
    g_assert_true(intake_reserve(f.intake, ten));
    g_assert_false(intake_reserve(f.intake, one)); /* messages */
    intake_submit(f.intake, &(struct mail_list){&ten->mail, &ten->mail, 1});
    wait_for_answers(&f, 1);
    one->bytes = 26;
    g_assert_false(intake_reserve(f.intake, one)); /* bytes */
    one->bytes = 2;
    for (int i = 0; i < 10; i++) /* neither refusal has kept any room */
        g_assert_true(intake_reserve(f.intake, one));
    g_assert_false(intake_reserve(f.intake, one));
    job_free(one);
    fixture_done(&f);
}

/* Tries from inside done, when the room must be free again. */
static void on_done_reserve(struct intake_job *job)
{
    struct fixture *f = job->owner;

    g_assert_true(intake_reserve(f->intake, job));
    on_done(job);
}

static void test_room_is_given_back_before_done(void)
{
    struct fixture f;
    struct intake_options options = *default_options();
    struct intake_job *job;

    options.inflight_max = 3;
    fixture_init(&f);
    fixture_start(&f, options);
    job = job_new(&f, 3);
    job->done = on_done_reserve;
    g_assert_true(intake_reserve(f.intake, job));
    intake_submit(f.intake, &(struct mail_list){&job->mail, &job->mail, 1});
    wait_for_answers(&f, 1);
    fixture_done(&f);
}

static void test_stop_commits_what_waits(void)
{
    struct fixture f;
    const size_t sizes[] = {1, 1, 1, 1, 1, 1, 1, 1};

    fixture_init(&f);
    fixture_start(&f, *default_options());
    for (int i = 0; i < 50; i++)
        submit(&f, sizes, G_N_ELEMENTS(sizes));
    intake_stop(g_steal_pointer(&f.intake));
    g_assert_cmpuint(f.jobs->len, ==, 400);
    g_assert_cmpint(stored(&f), ==, 400);
    fixture_done(&f);
}

static void *submit_many(void *user)
{
    const size_t sizes[] = {1, 2};

    for (int i = 0; i < 200; i++)
        submit(user, sizes, 2);
    return NULL;
}

static void test_many_threads_lose_nothing(void)
{
    struct fixture f;
    GThread *threads[4];
    double before = inflight();

    fixture_init(&f);
    fixture_start(&f, *default_options());
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("submit", submit_many, &f);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    wait_for_answers(&f, 1600);
    g_assert_cmpint(stored(&f), ==, 2400);
    g_assert_cmpfloat(inflight(), ==, before);
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } TESTS[] = {
        {"/committer/answers_after_the_messages_are_stored",
         test_answers_after_the_messages_are_stored},
        {"/committer/waiting_jobs_share_one_commit", test_waiting_jobs_share_one_commit},
        {"/committer/splits_between_jobs_never_inside_one",
         test_splits_between_jobs_never_inside_one},
        {"/committer/a_job_without_events_is_answered", test_a_job_without_events_is_answered},
        {"/committer/passing_trouble_is_busy_and_passes", test_passing_trouble_is_busy_and_passes},
        {"/committer/full_disk_is_said_and_passes", test_full_disk_is_said_and_passes},
        {"/committer/unknown_outcome_breaks_for_good", test_unknown_outcome_breaks_for_good},
        {"/committer/damage_breaks_for_good", test_damage_breaks_for_good},
        {"/committer/failure_is_for_its_own_commit_only", test_failure_is_for_its_own_commit_only},
        {"/committer/full_queue_is_busy_without_publishing",
         test_full_queue_is_busy_without_publishing},
        {"/committer/room_comes_back_when_messages_are_done",
         test_room_comes_back_when_messages_are_done},
        {"/committer/reserve_refuses_past_the_limits", test_reserve_refuses_past_the_limits},
        {"/committer/room_is_given_back_before_done", test_room_is_given_back_before_done},
        {"/committer/stop_commits_what_waits", test_stop_commits_what_waits},
        {"/committer/many_threads_lose_nothing", test_many_threads_lose_nothing},
    };

    g_test_init(&argc, &argv, NULL);
    log_set_fd(-1); /* failures are provoked here and would only clutter the report */
    for (size_t i = 0; i < G_N_ELEMENTS(TESTS); i++)
        g_test_add_func(TESTS[i].name, TESTS[i].run);
    return g_test_run();
}
