/* Messages that are due again. */
#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "rig.h"

#define HOUR_MS (INT64_C(3600) * 1000)

/* Every event named "e…" of the first life fails once and waits. */
static void fail_one(struct rig *rig, int64_t backoff_ms)
{
    rig_init(rig);
    rig->options.backoff_ms = backoff_ms;
    rig->bad_id = "e1";
    atomic_store(&rig->refusals, 1);
    rig_publish_event(rig, "e1", 1);
    rig_start(rig);
}

static struct store_retry first_row(struct rig *rig)
{
    struct store_retry *rows = NULL;
    g_autoptr(GError) error = NULL;
    size_t count = 0;

    store_retries(rig->store, INT64_MAX, 1, &rig->arena, &rows, &count, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(count, ==, 1);
    return rows[0];
}

static void test_waits_its_time(void)
{
    int64_t before_us = clock_now_us();
    struct store_retry row;
    struct rig rig;

    fail_one(&rig, HOUR_MS / 2);
    rig_wait(&rig, rig_is_retrying, 1);
    row = first_row(&rig);
    g_assert_cmpint(row.seq, ==, 1);
    g_assert_cmpint(row.attempt, ==, 1);
    g_assert_cmpint(row.due_us - before_us, >=, HOUR_MS * 1000 / 8 * 3);
    g_assert_cmpint(row.due_us - clock_now_us(), <=, HOUR_MS * 1000 / 8 * 5);
    g_assert_cmpint(rig_summary(&rig).position, ==, 1); /* it blocks nobody */
    rig_publish_event(&rig, "e2", 1);
    rig_wait(&rig, rig_has_position, 2);
    g_assert_nonnull(rig_event(&rig, "e2"));
    g_assert_null(rig_event(&rig, "e1"));
    rig_done(&rig);
}

static void test_survives(void)
{
    struct rig rig;

    fail_one(&rig, 1);
    rig_wait_settled(&rig, 1);
    g_assert_cmpint(rig_event(&rig, "e1")->attempt, ==, 2);
    g_assert_cmpint(rig_summary(&rig).position, ==, 1);
    rig_done(&rig);
}

/* A row that is due already, as an earlier life would have left it. */
static void put_row(struct rig *rig, int64_t seq, int attempt)
{
    struct store_outcome outcome = {
        .kind = STORE_RETRY,
        .seq = seq,
        .attempt = attempt,
        .worker_id = "worker-1",
        .reason = "processing_failed",
        .error = "text",
        .first_failed_at_us = RIG_ARRIVED_US,
        .retry_at_us = RIG_ARRIVED_US - seq, /* later messages are due earlier */
    };
    struct store_settlement what = {.outcomes = &outcome, .count = 1, .position = seq};
    g_autoptr(GError) error = NULL;

    store_settle(rig->store, &what, &error);
    g_assert_no_error(error);
}

static void test_next_life(void)
{
    struct rig rig;

    rig_init(&rig);
    rig_publish_many(&rig, "e", 3);
    for (int64_t seq = 1; seq <= 3; seq++)
        put_row(&rig, seq, 2);
    rig_start(&rig);
    rig_wait_settled(&rig, 3);
    g_assert_cmpint(rig_event(&rig, "e0")->attempt, ==, 3);
    g_assert_cmpint(rig_event(&rig, "e2")->attempt, ==, 3);
    rig_done(&rig);
}

/* The due time is a day away, though no wait is longer than a millisecond or two. */
static void test_clock_set_back(void)
{
    struct store_outcome outcome = {.kind = STORE_RETRY,
                                    .seq = 1,
                                    .attempt = 1,
                                    .worker_id = "worker-1",
                                    .reason = "processing_failed",
                                    .error = "text",
                                    .first_failed_at_us = RIG_ARRIVED_US,
                                    .retry_at_us = clock_now_us() + 24 * HOUR_MS * 1000};
    struct store_settlement what = {.outcomes = &outcome, .count = 1, .position = 1};
    g_autoptr(GError) error = NULL;
    struct rig rig;

    rig_init(&rig);
    rig.options.backoff_ms = 1;
    rig_publish_many(&rig, "e", 1);
    store_settle(rig.store, &what, &error);
    g_assert_no_error(error);
    rig_start(&rig);
    rig_wait_settled(&rig, 1);
    g_assert_cmpint(rig_event(&rig, "e0")->attempt, ==, 2);
    rig_done(&rig);
}

static void test_many(void)
{
    struct rig rig;

    rig_init(&rig);
    rig_publish_many(&rig, "e", 300);
    for (int64_t seq = 1; seq <= 300; seq++)
        put_row(&rig, seq, 1);
    rig_start(&rig);
    rig_wait_settled(&rig, 300);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 300);
    rig_done(&rig);
}

static void test_keeps_first_time(void)
{
    struct rig rig;

    rig_init(&rig);
    rig.bad_id = "e1";
    atomic_store(&rig.refusals, 1000);
    rig_publish_event(&rig, "e1", 1);
    put_row(&rig, 1, 2);
    rig_start(&rig);
    rig_wait_settled(&rig, 1);
    g_assert_cmpint(rig_failure(&rig, "e1")->first_failed_at_us, ==, RIG_ARRIVED_US);
    g_assert_cmpint(rig_failure(&rig, "e1")->last_failed_at_us, >, RIG_ARRIVED_US);
    g_assert_cmpint(rig_failure(&rig, "e1")->attempt, ==, 3);
    rig_done(&rig);
}

static void test_lost_message(void)
{
    const struct store_row *row;
    struct rig rig;

    rig_init(&rig);
    rig_publish_many(&rig, "e", 2);
    put_row(&rig, 1, 1);
    put_row(&rig, 2, 1);
    put_row(&rig, 77, 2); /* no such message */
    rig_start(&rig);
    rig_wait_settled(&rig, 3);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 2);
    row = rig_failure(&rig, "");
    rig_assert_text(row->reason, "message_lost");
    g_assert_cmpint(row->seq, ==, 77);
    g_assert_cmpint(row->attempt, ==, 2);
    rig_done(&rig);
}

static void test_duplicate_of_processed(void)
{
    struct rig rig;

    rig_init(&rig);
    rig_publish_event(&rig, "e1", 1);
    put_row(&rig, 1, 1);
    rig_publish_event(&rig, "e1", 1);
    put_row(&rig, 2, 1);
    rig_publish_event(&rig, "e1", 2);
    rig_start(&rig);
    rig_wait_settled(&rig, 3);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 1);
    g_assert_cmpint(rig_summary(&rig).duplicate, ==, 1);
    g_assert_cmpint(rig_summary(&rig).failed, ==, 1);
    g_assert_cmpint(rig_event(&rig, "e1")->seq, ==, 1); /* the first one stands */
    rig_done(&rig);
}

static void test_crashing_retry(void)
{
    g_autoptr(GError) error = NULL;
    int attempt = 0;
    struct rig rig;

    rig_init(&rig);
    rig.options.is_suspicious = true;
    rig_publish_many(&rig, "e", 3);
    for (int64_t seq = 1; seq <= 3; seq++)
        put_row(&rig, seq, 1);
    for (int i = 0; i < 2; i++) /* two lives ended while e1 was tried again */
        g_assert_true(store_begin_attempt(rig.store, 2, RIG_ARRIVED_US, &attempt, &error));
    rig_start(&rig);
    rig_wait_settled(&rig, 3);
    rig_assert_text(rig_failure(&rig, "e1")->reason, "crashed_the_worker");
    g_assert_cmpint(rig_event(&rig, "e0")->attempt, ==, 2);
    g_assert_cmpint(atomic_load(&rig.probed), ==, 2);
    rig_done(&rig);
}

/* A noted attempt of a message that has not been passed by the position is not a retry. */
static void test_not_received_yet(void)
{
    g_autoptr(GError) error = NULL;
    int attempt = 0;
    struct rig rig;

    rig_init(&rig);
    rig.options.batch_max = 1;
    rig_publish(&rig, "k0", "broken", 0);
    rig_publish(&rig, "k1", "broken", 0);
    g_assert_true(store_begin_attempt(rig.store, 2, RIG_ARRIVED_US, &attempt, &error));
    rig_start(&rig);
    rig_wait_settled(&rig, 2);
    g_assert_cmpuint(rig_count(&rig, STORE_FAILURES, "k1"), ==, 1);
    rig_done(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/retries/failed_message_waits_and_blocks_nobody", test_waits_its_time);
    g_test_add_func("/retries/message_is_processed_when_due", test_survives);
    g_test_add_func("/retries/due_messages_of_an_earlier_life_are_tried", test_next_life);
    g_test_add_func("/retries/clock_set_back_holds_nobody_up", test_clock_set_back);
    g_test_add_func("/retries/more_than_one_batch_is_tried", test_many);
    g_test_add_func("/retries/time_of_the_first_failure_is_kept", test_keeps_first_time);
    g_test_add_func("/retries/message_the_queue_has_lost_ends_as_failed", test_lost_message);
    g_test_add_func("/retries/copies_are_found_among_retries", test_duplicate_of_processed);
    g_test_add_func("/retries/retry_that_crashed_the_worker_is_set_aside", test_crashing_retry);
    g_test_add_func("/retries/noted_attempt_of_a_waiting_message_is_no_retry",
                    test_not_received_yet);
    return g_test_run();
}
