/* The worker's life: rounds, campaigns, stop, fatal, metrics, logs. */
#include "worker/worker.h"

#include <unistd.h>

#include "common/error.h"
#include "common/log.h"
#include "common/metrics.h"
#include "rig.h"

static double counter(const char *name)
{
    return metric_value(metrics_counter(name, "", NULL));
}

static double histogram_count(const char *name, const double *bounds, size_t count)
{
    return metric_value(metrics_histogram(name, "", NULL, bounds, count));
}

static bool has_nothing_waiting(struct rig *rig, int64_t n)
{
    struct queue_stats stats;

    queue_get_stats(rig->queue, &stats);
    return stats.waiting == n;
}

static void test_every_end(void)
{
    struct rig rig;

    rig_init(&rig);
    rig_start(&rig);
    rig_publish_event(&rig, "e1", 1);
    rig_publish_event(&rig, "e1", 1);
    rig_publish_event(&rig, "e1", 2);
    rig_publish(&rig, "k", "no json", 0);
    rig_wait_settled(&rig, 4);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 1);
    g_assert_cmpint(rig_summary(&rig).duplicate, ==, 1);
    g_assert_cmpint(rig_summary(&rig).failed, ==, 2);
    g_assert_cmpint(rig_summary(&rig).position, ==, 4);
    rig_wait(&rig, has_nothing_waiting, 0); /* acknowledged */
    rig_done(&rig);
}

/* 50,000 messages, every twentieth a copy of an earlier one. */
static void test_many(void)
{
    enum { COPIES_EACH = 500, BATCH = 9500, ROUNDS = 5 };
    struct rig rig;

    rig_init(&rig);
    rig.options.batch_max = 1024;
    rig_add_campaign(&rig, "small", "{\"payload\":{\"amount\":[{\"numeric\":[\"<\",1000]}]}}");
    rig_start(&rig);
    for (int i = 0; i < ROUNDS; i++) {
        g_autofree char *prefix = g_strdup_printf("r%d-", i);

        rig_publish_many(&rig, prefix, BATCH);
        rig_publish_many(&rig, prefix, COPIES_EACH); /* the first ones again */
    }
    rig_wait_settled(&rig, 50000);
    g_assert_cmpint(rig_summary(&rig).processed, ==, ROUNDS * BATCH);
    g_assert_cmpint(rig_summary(&rig).duplicate, ==, ROUNDS * COPIES_EACH);
    g_assert_cmpint(rig_summary(&rig).failed, ==, 0);
    g_assert_cmpint(rig_summary(&rig).matches, ==, ROUNDS * 1000);
    g_assert_cmpint(rig_summary(&rig).position, ==, 50000);
    rig_done(&rig);
}

static void test_campaign_change(void)
{
    struct rig rig;

    rig_init(&rig);
    rig_start(&rig);
    rig_publish_event(&rig, "e1", 1);
    rig_wait_settled(&rig, 1);
    rig_add_campaign(&rig, "c", "{\"event_type\":[\"purchase\"]}");
    rig_publish_event(&rig, "e2", 1);
    rig_wait_settled(&rig, 2);
    rig_write_campaign(&rig, STORE_CAMPAIGN_UPDATE, "c", "active",
                       "{\"id\":\"c\",\"name\":\"c\",\"rules\":{\"event_type\":[\"purchase\"]}}");
    rig_publish_event(&rig, "e3", 1);
    rig_wait_settled(&rig, 3);
    rig_write_campaign(&rig, STORE_CAMPAIGN_DELETE, "c", "", "");
    rig_publish_event(&rig, "e4", 1);
    rig_wait_settled(&rig, 4);
    g_assert_null(rig_match(&rig, "e1"));
    g_assert_cmpint(rig_match(&rig, "e2")->campaign_version, ==, 1);
    g_assert_cmpint(rig_match(&rig, "e3")->campaign_version, ==, 2);
    g_assert_null(rig_match(&rig, "e4"));
    rig_done(&rig);
}

static void test_paused_campaign(void)
{
    struct rig rig;

    rig_init(&rig);
    rig_write_campaign(
        &rig, STORE_CAMPAIGN_CREATE, "c", "paused",
        "{\"id\":\"c\",\"name\":\"c\",\"status\":\"paused\",\"rules\":{\"event_type\":[\"purchase\"]}}");
    rig_start(&rig);
    rig_publish_event(&rig, "e1", 1);
    rig_wait_settled(&rig, 1);
    g_assert_null(rig_match(&rig, "e1"));
    rig_done(&rig);
}

static void test_broken_campaign(void)
{
    struct rig rig;

    rig_init(&rig);
    log_set_fd(-1);
    rig_write_campaign(&rig, STORE_CAMPAIGN_CREATE, "bad", "active", "{\"nonsense\":1}");
    rig_add_campaign(&rig, "good", "{\"event_type\":[\"purchase\"]}");
    rig_start(&rig);
    rig_publish_event(&rig, "e1", 1);
    rig_wait_settled(&rig, 1);
    g_assert_cmpuint(rig_count(&rig, STORE_MATCHES, "e1"), ==, 1);
    rig_assert_text(rig_match(&rig, "e1")->campaign_id, "good");
    rig_done(&rig);
    log_set_fd(STDERR_FILENO);
}

static void test_replay(void)
{
    struct rig rig;

    rig_init(&rig);
    rig_publish(&rig, "e1", "broken", 0);
    rig_start(&rig);
    rig_wait_settled(&rig, 1);
    rig_publish(&rig, "e1", "broken", rig_failure(&rig, "e1")->id);
    rig_wait_settled(&rig, 2);
    g_assert_cmpuint(rig_count(&rig, STORE_FAILURES, "e1"), ==, 2); /* it failed again */
    g_assert_cmpint(rig_summary(&rig).replayed, ==, 1);
    g_assert_cmpint(rig_summary(&rig).failures_open, ==, 1);
    rig_done(&rig);
}

static void test_redelivered(void)
{
    struct rig rig;

    rig_init(&rig);
    rig.options.batch_max = 2; /* so that they come in several batches */
    for (int i = 0; i < 3; i++) {
        rig_publish_event(&rig, "e1", 1);
        rig_publish_event(&rig, "e1", 1);
        rig_publish(&rig, "k", "broken", 0);
    }
    rig_start(&rig);
    rig_wait_settled(&rig, 9);
    rig_reopen_queue(&rig); /* everything comes again */
    rig_publish_event(&rig, "e2", 1);
    rig_start(&rig);
    rig_wait_settled(&rig, 10);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 2);
    g_assert_cmpint(rig_summary(&rig).duplicate, ==, 5);
    g_assert_cmpint(rig_summary(&rig).failed, ==, 3);
    rig_done(&rig);
}

static void test_fatal(gconstpointer code)
{
    struct rig rig;

    rig_init(&rig);
    log_set_fd(-1);
    store_fault_set(rig.store, STORE_CALL_SETTLE, 0, 1, GPOINTER_TO_INT(code));
    rig_publish_event(&rig, "e1", 1);
    rig_start(&rig);
    rig_wait(&rig, rig_has_died, 1);
    rig_publish_event(&rig, "e2", 1);
    rig_stop(&rig);
    log_set_fd(STDERR_FILENO);
    g_assert_cmpint(atomic_load(&rig.fatals), ==, 1);
    g_assert_nonnull(strstr(rig.fatal_message, "settle"));
    g_assert_cmpint(rig_summary(&rig).position, ==, 0);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 0);
    rig_done(&rig);
}

static void test_fatal_ack(void)
{
    struct rig rig;

    rig_init(&rig);
    log_set_fd(-1);
    queue_fault_set(rig.queue, QUEUE_CALL_ACK, 0, 1, EF_ERROR_FATAL);
    rig_publish_event(&rig, "e1", 1);
    rig_start(&rig);
    rig_wait(&rig, rig_has_died, 1);
    rig_stop(&rig);
    log_set_fd(STDERR_FILENO);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 1);
    rig_done(&rig);
}

/* A store and a queue that both break are still one end. */
static void test_fatal_twice(void)
{
    struct rig rig;

    rig_init(&rig);
    log_set_fd(-1);
    rig_publish_many(&rig, "e", 4);
    store_fault_poison(rig.store, SLICE("e3"));
    store_fault_set(rig.store, STORE_CALL_SETTLE, 1, 1, EF_ERROR_FATAL);
    queue_fault_set(rig.queue, QUEUE_CALL_ACK, 0, 1, EF_ERROR_FATAL);
    rig_start(&rig);
    rig_wait(&rig, rig_has_died, 1);
    rig_stop(&rig);
    log_set_fd(STDERR_FILENO);
    g_assert_cmpint(atomic_load(&rig.fatals), ==, 1);
    g_assert_cmpint(rig_summary(&rig).position, ==, 2);
    rig_done(&rig);
}

static void test_lost_ack(void)
{
    struct rig rig;

    rig_init(&rig);
    queue_fault_set(rig.queue, QUEUE_CALL_ACK, 0, 1, EF_ERROR_RETRY);
    rig_publish_event(&rig, "e1", 1);
    rig_start(&rig);
    rig_wait_settled(&rig, 1);
    rig_publish_event(&rig, "e2", 1);
    rig_wait_settled(&rig, 2);
    rig_wait(&rig, has_nothing_waiting, 0);
    g_assert_cmpint(atomic_load(&rig.fatals), ==, 0);
    rig_done(&rig);
}

static bool has_store_errors(struct rig *rig, int64_t n)
{
    (void)rig;
    return (int64_t)counter("store_errors_total") >= n;
}

static void test_stop_in_trouble(void)
{
    int64_t errors = (int64_t)counter("store_errors_total");
    struct rig rig;

    rig_init(&rig);
    rig_publish_many(&rig, "e", 10);
    store_fault_set(rig.store, STORE_CALL_SETTLE, 0, 1000000, EF_ERROR_FULL);
    rig_start(&rig);
    rig_wait(&rig, has_store_errors, errors + 1);
    rig_stop(&rig); /* comes back although the disk stays full */
    g_assert_cmpint(rig_summary(&rig).position, ==, 0);
    store_fault_set(rig.store, STORE_CALL_SETTLE, 0, 0, 0);
    rig_reopen_queue(&rig);
    rig_start(&rig);
    rig_wait_settled(&rig, 10);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 10);
    rig_done(&rig);
}

static void test_stop_idle(void)
{
    struct rig rig;

    rig_init(&rig);
    rig_start(&rig);
    worker_stop(rig.worker); /* without stopping the queue */
    rig.worker = NULL;
    worker_stop(NULL);
    rig_done(&rig);
}

static void test_metrics(void)
{
    struct rig rig;
    double processed = counter("events_processed_total");
    double failed = counter("events_failed_total");
    double duplicate = counter("events_duplicate_total");
    double matches = counter("campaign_matches_total");
    double duration = histogram_count("event_processing_duration_seconds", METRICS_SECONDS,
                                      METRICS_SECONDS_COUNT);
    double lag = histogram_count("event_lag_seconds", METRICS_SECONDS, METRICS_SECONDS_COUNT);
    double batches = histogram_count("worker_batch_size", METRICS_BATCH, METRICS_BATCH_COUNT);
    struct metric *active = metrics_gauge("active_workers", "", NULL);

    rig_init(&rig);
    rig_add_campaign(&rig, "c", "{\"event_type\":[\"purchase\"]}");
    rig_publish_many(&rig, "e", 8);
    rig_publish_many(&rig, "e", 3);
    rig_publish(&rig, "k", "broken", 0);
    g_assert_cmpfloat(metric_value(active), ==, 0);
    rig_start(&rig);
    rig_wait_settled(&rig, 12);
    g_assert_cmpfloat(metric_value(active), ==, 1);
    rig_stop(&rig);
    g_assert_cmpfloat(metric_value(active), ==, 0);
    g_assert_cmpfloat(counter("events_processed_total") - processed, ==, 8);
    g_assert_cmpfloat(counter("events_duplicate_total") - duplicate, ==, 3);
    g_assert_cmpfloat(counter("events_failed_total") - failed, ==, 1);
    g_assert_cmpfloat(counter("campaign_matches_total") - matches, ==, 8);
    g_assert_cmpfloat(histogram_count("event_processing_duration_seconds", METRICS_SECONDS,
                                      METRICS_SECONDS_COUNT) -
                          duration,
                      ==, 12);
    g_assert_cmpfloat(
        histogram_count("event_lag_seconds", METRICS_SECONDS, METRICS_SECONDS_COUNT) - lag, ==, 12);
    g_assert_cmpfloat(
        histogram_count("worker_batch_size", METRICS_BATCH, METRICS_BATCH_COUNT) - batches, ==, 1);
    rig_done(&rig);
}

static void test_log(void)
{
    struct rig rig;
    g_autofree char *path = NULL;
    g_autofree char *lines = NULL;
    int fd = g_file_open_tmp("worker-log-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    rig_init(&rig);
    log_set_level(LOG_LEVEL_INFO);
    log_set_fd(fd);
    rig_publish(&rig, "bad-1", "{\"secret\":\"4711\"", 0);
    rig_publish(&rig, "bad-2", "{\"event_id\":\"bad-2\",\"event_type\":\"t\",\"payload\":\"4711\"}",
                0);
    rig_start(&rig);
    rig_wait_settled(&rig, 2);
    rig_stop(&rig);
    log_set_fd(STDERR_FILENO);
    close(fd);
    g_assert_true(g_file_get_contents(path, &lines, NULL, NULL));
    unlink(path);
    g_assert_nonnull(strstr(lines, "worker started"));
    g_assert_nonnull(strstr(lines, "worker stopped"));
    g_assert_nonnull(strstr(lines, "\"event_id\":\"bad-1\""));
    g_assert_nonnull(strstr(lines, "\"correlation_id\":\"corr-bad-2\""));
    g_assert_nonnull(strstr(lines, "\"reason\":\"invalid\""));
    g_assert_null(strstr(lines, "4711"));
    g_assert_null(strstr(lines, "secret"));
    rig_done(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/worker/every_message_gets_one_end_and_is_acknowledged", test_every_end);
    g_test_add_func("/worker/fifty_thousand_messages_end_in_exact_counts", test_many);
    g_test_add_func("/worker/campaign_change_is_live_in_the_next_batch", test_campaign_change);
    g_test_add_func("/worker/only_active_campaigns_match", test_paused_campaign);
    g_test_add_func("/worker/unreadable_campaign_does_not_stop_the_others", test_broken_campaign);
    g_test_add_func("/worker/replay_that_fails_again_makes_a_new_failure", test_replay);
    g_test_add_func("/worker/redelivered_messages_change_nothing", test_redelivered);
    g_test_add_data_func("/worker/fatal_commit_ends_the_worker_once",
                         GINT_TO_POINTER(EF_ERROR_FATAL), test_fatal);
    g_test_add_data_func("/worker/corrupt_store_ends_the_worker_once",
                         GINT_TO_POINTER(EF_ERROR_CORRUPT), test_fatal);
    g_test_add_func("/worker/fatal_ack_ends_the_worker_once", test_fatal_ack);
    g_test_add_func("/worker/two_fatal_errors_are_reported_once", test_fatal_twice);
    g_test_add_func("/worker/lost_ack_is_made_up_for_by_the_next", test_lost_ack);
    g_test_add_func("/worker/stop_returns_in_the_middle_of_trouble", test_stop_in_trouble);
    g_test_add_func("/worker/stop_returns_when_idle", test_stop_idle);
    g_test_add_func("/worker/metrics_count_every_end", test_metrics);
    g_test_add_func("/worker/log_names_failures_but_never_a_payload", test_log);
    return g_test_run();
}
