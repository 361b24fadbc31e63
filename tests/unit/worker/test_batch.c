/* A batch in trouble: culprits, infrastructure, ambiguous commits, suspicion after a crash. */
#include "common/error.h"
#include "common/log.h"
#include "rig.h"

static void poison(struct rig *rig, const char *id)
{
    store_fault_poison(rig->store, slice_text(id));
}

static void test_poison_alone(void)
{
    struct rig rig;

    rig_init(&rig);
    poison(&rig, "e5");
    rig_publish_many(&rig, "e", 20);
    rig_start(&rig);
    rig_wait_settled(&rig, 20);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 19);
    g_assert_cmpint(rig_summary(&rig).failed, ==, 1);
    g_assert_cmpint(rig_summary(&rig).position, ==, 20);
    g_assert_null(rig_event(&rig, "e5"));
    rig_done(&rig);
}

static void test_poison_anywhere(void)
{
    for (int at = 0; at < 7; at++) {
        g_autofree char *id = g_strdup_printf("e%d", at);
        struct rig rig;

        rig_init(&rig);
        poison(&rig, id);
        rig_publish_many(&rig, "e", 7);
        rig_start(&rig);
        rig_wait_settled(&rig, 7);
        g_assert_cmpint(rig_summary(&rig).processed, ==, 6);
        g_assert_nonnull(rig_failure(&rig, id));
        rig_done(&rig);
    }
}

static void test_three_attempts(void)
{
    const struct store_row *row;
    struct rig rig;

    rig_init(&rig);
    poison(&rig, "e1");
    rig_publish_event(&rig, "e1", 7);
    rig_start(&rig);
    rig_wait_settled(&rig, 1);
    row = rig_failure(&rig, "e1");
    rig_assert_text(row->reason, "processing_failed");
    g_assert_cmpint(row->attempt, ==, 3);
    g_assert_cmpint(row->first_failed_at_us, <, row->last_failed_at_us);
    g_assert_nonnull(g_strstr_len(row->error.data, -1, "settle: "));
    g_assert_nonnull(g_strstr_len(row->body.data, -1, "\"amount\":7"));
    rig_assert_text(row->event_type, "purchase");
    rig_assert_text(row->correlation_id, "corr-e1");
    g_assert_cmpint(atomic_load(&rig.probed), ==, 3);
    rig_done(&rig);
}

/* Refuses with a message far too long, of characters of three bytes, behind *user bytes. */
static bool refuse_at_length(void *user, struct slice event_id, GError **error)
{
    const size_t *shift = user;
    g_autoptr(GString) text = g_string_new("");

    (void)event_id;
    for (size_t i = 0; i < *shift; i++)
        g_string_append_c(text, 'x');
    for (size_t i = 0; i < 500; i++)
        g_string_append(text, "€");
    g_set_error_literal(error, EF_ERROR, EF_ERROR_INPUT, text->str);
    return false;
}

/* Wherever in a character the limit falls. */
static void test_long_error(void)
{
    for (size_t shift = 0; shift < 3; shift++) {
        struct slice error;
        struct rig rig;

        rig_init(&rig);
        rig.options.attempts_max = 1;
        rig.options.probe = refuse_at_length;
        rig.options.probe_user = &shift;
        rig_publish_event(&rig, "e1", 7);
        rig_start(&rig);
        rig_wait_settled(&rig, 1);
        error = rig_failure(&rig, "e1")->error;
        g_assert_cmpuint(error.size, <=, 1000);
        g_assert_cmpuint(error.size, >, 990);
        g_assert_true(g_utf8_validate_len(error.data, error.size, NULL));
        rig_done(&rig);
    }
}

static void test_one_attempt(void)
{
    struct rig rig;

    rig_init(&rig);
    rig.options.attempts_max = 1;
    poison(&rig, "e1");
    rig_publish_event(&rig, "e1", 7);
    rig_start(&rig);
    rig_wait_settled(&rig, 1);
    g_assert_cmpint(rig_failure(&rig, "e1")->attempt, ==, 1);
    rig_done(&rig);
}

static void test_recovers(void)
{
    struct rig rig;

    rig_init(&rig);
    rig.bad_id = "e2";
    atomic_store(&rig.refusals, 3); /* in the whole batch, in a half, alone */
    rig_publish_many(&rig, "e", 4);
    rig_start(&rig);
    rig_wait_settled(&rig, 4);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 4);
    g_assert_cmpint(rig_event(&rig, "e1")->attempt, ==, 1);
    g_assert_cmpint(rig_event(&rig, "e2")->attempt, ==, 2);
    g_assert_cmpint(rig_event(&rig, "e3")->attempt, ==, 1);
    rig_done(&rig);
}

static void test_copies_of_poison(void)
{
    struct rig rig;

    rig_init(&rig);
    poison(&rig, "e1");
    rig_publish_event(&rig, "e0", 1);
    rig_publish_event(&rig, "e1", 1);
    rig_publish_event(&rig, "e1", 1);
    rig_publish_event(&rig, "e1", 2);
    rig_publish_event(&rig, "e2", 1);
    rig_start(&rig);
    rig_wait_settled(&rig, 5);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 2);
    g_assert_cmpint(rig_summary(&rig).duplicate, ==, 0); /* of nothing */
    g_assert_cmpuint(rig_count(&rig, STORE_FAILURES, "e1"), ==, 3);
    rig_done(&rig);
}

/* The first copy fails for now; the second is processed, and the first, when it is tried again,
 * is its duplicate. */
static void test_copy_overtakes(void)
{
    struct rig rig;

    rig_init(&rig);
    rig.bad_id = "e1";
    atomic_store(&rig.refusals, 2); /* both together, the first alone */
    rig_publish_event(&rig, "e1", 1);
    rig_publish_event(&rig, "e1", 1);
    rig_start(&rig);
    rig_wait_settled(&rig, 2);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 1);
    g_assert_cmpint(rig_summary(&rig).duplicate, ==, 1);
    g_assert_cmpint(rig_event(&rig, "e1")->seq, ==, 2);
    rig_done(&rig);
}

static void test_all_poison(void)
{
    struct rig rig;

    rig_init(&rig);
    for (int i = 0; i < 12; i++)
        rig_publish_event(&rig, "e1", i);
    poison(&rig, "e1");
    rig_start(&rig);
    rig_wait_settled(&rig, 12);
    g_assert_cmpint(rig_summary(&rig).failed, ==, 12);
    rig_done(&rig);
}

static void test_unstorable_failure(void)
{
    const struct store_row *row;
    struct rig rig;

    rig_init(&rig);
    log_set_level(LOG_LEVEL_ERROR);
    store_fault_set(rig.store, STORE_CALL_SETTLE, 0, 2, EF_ERROR_INPUT);
    rig_publish_event(&rig, "e1", 1);
    rig_publish_event(&rig, "e2", 1);
    rig.options.batch_max = 1;
    rig_start(&rig);
    rig_wait_settled(&rig, 2);
    row = rig_failure(&rig, "");
    g_assert_nonnull(row);
    rig_assert_text(row->reason, "unstorable");
    g_assert_cmpint(row->seq, ==, 1);
    g_assert_nonnull(rig_event(&rig, "e2"));
    rig_done(&rig);
}

struct trouble {
    enum store_call call;
    int code;
};

static void test_store_trouble(gconstpointer data)
{
    const struct trouble *trouble = data;
    struct rig rig;

    rig_init(&rig);
    store_fault_set(rig.store, trouble->call, 0, 3, trouble->code);
    rig.bad_id = "e1";
    atomic_store(&rig.refusals, 2); /* both together, alone: so that there is a retry, too */
    rig_publish_many(&rig, "e", 2);
    rig_start(&rig);
    rig_wait_settled(&rig, 2);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 2);
    g_assert_cmpint(rig_event(&rig, "e0")->attempt, ==, 1);
    g_assert_cmpint(rig_event(&rig, "e1")->attempt, ==, 2);
    g_assert_cmpint(atomic_load(&rig.fatals), ==, 0);
    rig_done(&rig);
}

static void test_queue_trouble(gconstpointer call)
{
    struct rig rig;

    rig_init(&rig);
    queue_fault_set(rig.queue, (enum queue_call)GPOINTER_TO_INT(call), 0, 2, EF_ERROR_RETRY);
    rig.bad_id = "e1";
    atomic_store(&rig.refusals, 2);
    rig_publish_many(&rig, "e", 2);
    rig_start(&rig);
    rig_wait_settled(&rig, 2);
    g_assert_cmpint(rig_event(&rig, "e0")->attempt, ==, 1);
    g_assert_cmpint(rig_event(&rig, "e1")->attempt, ==, 2);
    rig_done(&rig);
}

/* The process dies between two parts of a batch; the next life gets exactly the rest. */
static void test_death_between_parts(void)
{
    struct queue_stats stats;
    struct rig rig;

    rig_init(&rig);
    log_set_fd(-1);
    poison(&rig, "e6");
    store_fault_set(rig.store, STORE_CALL_SETTLE, 1, 1, EF_ERROR_FATAL);
    rig_publish_many(&rig, "e", 8); /* 8 poisoned, 4 settled, 4 poisoned, 2 FATAL */
    rig_start(&rig);
    rig_wait(&rig, rig_has_died, 1);
    rig_stop(&rig);
    log_set_fd(STDERR_FILENO);
    g_assert_cmpint(rig_summary(&rig).position, ==, 4);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 4);
    queue_get_stats(rig.queue, &stats);
    g_assert_cmpint(stats.waiting, ==, 4); /* the rest was not acknowledged */
    poison(&rig, "");
    rig_reopen_queue(&rig);
    rig_start(&rig);
    rig_wait_settled(&rig, 8);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 8);
    g_assert_cmpint(rig_summary(&rig).duplicate, ==, 0);
    rig_done(&rig);
}

static void test_trouble_between_parts(void)
{
    struct rig rig;

    rig_init(&rig);
    poison(&rig, "e6");
    store_fault_set(rig.store, STORE_CALL_SETTLE, 1, 1, EF_ERROR_RETRY);
    rig_publish_many(&rig, "e", 8);
    rig_start(&rig);
    rig_wait_settled(&rig, 8);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 7);
    g_assert_cmpint(rig_summary(&rig).failed, ==, 1);
    rig_done(&rig);
}

static void test_ambiguous_commit(void)
{
    struct rig rig;

    rig_init(&rig);
    store_fault_set(rig.store, STORE_CALL_SETTLE, 0, 1, -1);
    rig_publish_event(&rig, "e1", 1);
    rig_publish_event(&rig, "e1", 1);
    rig_publish_event(&rig, "e1", 2);
    rig_publish(&rig, "k", "broken", 0);
    rig_start(&rig);
    rig_wait_settled(&rig, 4);
    rig_publish_event(&rig, "e2", 1);
    rig_wait_settled(&rig, 5);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 2);
    g_assert_cmpint(rig_summary(&rig).duplicate, ==, 1);
    g_assert_cmpint(rig_summary(&rig).failed, ==, 2);
    g_assert_cmpuint(rig_count(&rig, STORE_FAILURES, "k"), ==, 1);
    rig_done(&rig);
}

static void test_ambiguous_retry(gconstpointer after)
{
    struct rig rig;

    rig_init(&rig);
    rig.bad_id = "e1";
    atomic_store(&rig.refusals, 1000);
    store_fault_set(rig.store, STORE_CALL_SETTLE, GPOINTER_TO_UINT(after), 1, -1);
    rig_publish_event(&rig, "e1", 1);
    rig_start(&rig);
    rig_wait_settled(&rig, 1);
    rig_publish_event(&rig, "e2", 1);
    rig_wait_settled(&rig, 2);
    g_assert_cmpuint(rig_count(&rig, STORE_FAILURES, "e1"), ==, 1);
    g_assert_cmpint(rig_failure(&rig, "e1")->attempt, ==, 3);
    rig_done(&rig);
}

static void test_conflict_once(void)
{
    struct rig rig;

    rig_init(&rig);
    store_fault_set(rig.store, STORE_CALL_SETTLE, 0, 1, EF_ERROR_CONFLICT);
    rig_publish_many(&rig, "e", 3);
    rig_start(&rig);
    rig_wait_settled(&rig, 3);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 3);
    g_assert_cmpint(rig_event(&rig, "e0")->attempt, ==, 1);
    rig_done(&rig);
}

static void test_conflict_lasting(void)
{
    struct rig rig;

    rig_init(&rig);
    store_fault_set(rig.store, STORE_CALL_SETTLE, 0, 2, EF_ERROR_CONFLICT);
    rig_publish_event(&rig, "e1", 1);
    rig_start(&rig);
    rig_wait_settled(&rig, 1);
    g_assert_cmpint(rig_event(&rig, "e1")->attempt, ==, 2); /* isolated like any other culprit */
    rig_done(&rig);
}

/* ---- suspicion ------------------------------------------------------------------------------- */

static void begin_attempts(struct rig *rig, int64_t seq, int times)
{
    g_autoptr(GError) error = NULL;
    int attempt = 0;

    for (int i = 0; i < times; i++)
        g_assert_true(store_begin_attempt(rig->store, seq, RIG_ARRIVED_US, &attempt, &error));
}

/* The rows of the retry table, also those of messages that the position has not passed. */
static size_t count_rows(struct rig *rig)
{
    struct store_retry *rows;
    struct arena arena = {0};
    size_t count;
    g_autoptr(GError) error = NULL;

    g_assert_true(store_retries(rig->store, INT64_MAX, 10, &arena, &rows, &count, &error));
    arena_done(&arena);
    return count;
}

static void test_suspicious_one_by_one(void)
{
    struct rig rig;

    rig_init(&rig);
    log_set_fd(-1);
    rig.options.is_suspicious = true;
    store_fault_set(rig.store, STORE_CALL_SETTLE, 3, 1, EF_ERROR_FATAL);
    rig_publish_many(&rig, "e", 10);
    rig_start(&rig);
    rig_wait(&rig, rig_has_died, 1);
    rig_stop(&rig);
    log_set_fd(STDERR_FILENO);
    g_assert_cmpint(rig_summary(&rig).position, ==, 3);
    g_assert_cmpuint(count_rows(&rig), ==, 1);          /* the attempt under way is noted */
    g_assert_cmpint(rig_summary(&rig).retrying, ==, 0); /* it counts as waiting, not twice */
    rig_done(&rig);
}

static void test_suspicious_is_over(void)
{
    struct rig rig;

    rig_init(&rig);
    rig.options.is_suspicious = true;
    rig_publish_many(&rig, "e", 3);
    rig_start(&rig);
    rig_wait_settled(&rig, 3);
    g_assert_cmpint(rig_summary(&rig).retrying, ==, 0);
    store_fault_set(rig.store, STORE_CALL_BEGIN_ATTEMPT, 0, 1000, EF_ERROR_FATAL);
    rig_publish_many(&rig, "f", 3);
    rig_wait_settled(&rig, 6);
    g_assert_cmpint(atomic_load(&rig.fatals), ==, 0);
    rig_done(&rig);
}

static void test_crashed_too_often(void)
{
    const struct store_row *row;
    struct rig rig;

    rig_init(&rig);
    rig.options.is_suspicious = true;
    rig.bad_id = "e1";
    rig_publish_many(&rig, "e", 3);
    begin_attempts(&rig, 2, 3); /* three lives ended while e1 was tried */
    rig_start(&rig);
    rig_wait_settled(&rig, 3);
    row = rig_failure(&rig, "e1");
    rig_assert_text(row->reason, "crashed_the_worker");
    g_assert_cmpint(row->attempt, ==, 3);
    g_assert_nonnull(g_strstr_len(row->body.data, -1, "\"e1\""));
    g_assert_cmpint(rig_summary(&rig).processed, ==, 2);
    g_assert_cmpint(atomic_load(&rig.probed), ==, 2); /* it was not tried once more */
    rig_done(&rig);
}

static void test_crashed_twice(void)
{
    struct rig rig;

    rig_init(&rig);
    rig.options.is_suspicious = true;
    rig_publish_many(&rig, "e", 1);
    begin_attempts(&rig, 1, 2);
    rig_start(&rig);
    rig_wait_settled(&rig, 1);
    g_assert_cmpint(rig_event(&rig, "e0")->attempt, ==, 3);
    rig_done(&rig);
}

static void test_suspicious_trouble(void)
{
    struct rig rig;

    rig_init(&rig);
    rig.options.is_suspicious = true;
    store_fault_set(rig.store, STORE_CALL_BEGIN_ATTEMPT, 0, 1, EF_ERROR_RETRY);
    store_fault_set(rig.store, STORE_CALL_SETTLE, 0, 1, EF_ERROR_RETRY);
    rig_publish_many(&rig, "e", 2);
    rig_start(&rig);
    rig_wait_settled(&rig, 2);
    g_assert_cmpint(rig_event(&rig, "e0")->attempt, ==, 1);
    rig_done(&rig);
}

/* Left over from a life that was stopped cleanly in the middle: no reason to count it. */
static void test_unsuspicious_leftover(void)
{
    struct rig rig;

    rig_init(&rig);
    rig_publish_many(&rig, "e", 2);
    begin_attempts(&rig, 2, 3);
    rig_start(&rig);
    rig_wait_settled(&rig, 2);
    g_assert_cmpint(rig_summary(&rig).processed, ==, 2);
    g_assert_cmpint(rig_summary(&rig).duplicate, ==, 0);
    rig_done(&rig);
}

int main(int argc, char **argv)
{
    static const struct trouble troubles[] = {
        {STORE_CALL_SETTLE, EF_ERROR_RETRY},         {STORE_CALL_SETTLE, EF_ERROR_FULL},
        {STORE_CALL_SEEN, EF_ERROR_RETRY},           {STORE_CALL_RETRIES, EF_ERROR_RETRY},
        {STORE_CALL_LOAD_CAMPAIGNS, EF_ERROR_RETRY},
    };

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/batch/poison_is_set_aside_and_blocks_nobody", test_poison_alone);
    g_test_add_func("/batch/poison_is_found_wherever_it_stands", test_poison_anywhere);
    g_test_add_func("/batch/three_attempts_then_failed_with_both_times", test_three_attempts);
    g_test_add_func("/batch/long_error_is_cut_between_characters", test_long_error);
    g_test_add_func("/batch/one_attempt_when_so_set", test_one_attempt);
    g_test_add_func("/batch/event_that_recovers_is_processed_at_its_second_attempt", test_recovers);
    g_test_add_func("/batch/copies_of_poison_are_not_its_duplicates", test_copies_of_poison);
    g_test_add_func("/batch/copy_may_overtake_a_first_that_failed", test_copy_overtakes);
    g_test_add_func("/batch/batch_of_poison_ends", test_all_poison);
    g_test_add_func("/batch/failure_that_cannot_be_stored_blocks_nobody", test_unstorable_failure);
    g_test_add_data_func("/batch/busy_settle_is_no_attempt", &troubles[0], test_store_trouble);
    g_test_add_data_func("/batch/full_disk_is_no_attempt", &troubles[1], test_store_trouble);
    g_test_add_data_func("/batch/busy_seen_is_no_attempt", &troubles[2], test_store_trouble);
    g_test_add_data_func("/batch/busy_retry_table_is_no_attempt", &troubles[3], test_store_trouble);
    g_test_add_data_func("/batch/busy_campaigns_are_no_attempt", &troubles[4], test_store_trouble);
    g_test_add_data_func("/batch/busy_receive_is_no_attempt", GINT_TO_POINTER(QUEUE_CALL_RECEIVE),
                         test_queue_trouble);
    g_test_add_data_func("/batch/busy_read_is_no_attempt", GINT_TO_POINTER(QUEUE_CALL_READ),
                         test_queue_trouble);
    g_test_add_func("/batch/position_never_passes_what_is_not_settled", test_death_between_parts);
    g_test_add_func("/batch/trouble_after_a_part_loses_nothing", test_trouble_between_parts);
    g_test_add_func("/batch/ambiguous_commit_has_no_double_effect", test_ambiguous_commit);
    g_test_add_data_func("/batch/ambiguous_first_retry_has_no_double_effect", GUINT_TO_POINTER(0),
                         test_ambiguous_retry);
    g_test_add_data_func("/batch/ambiguous_second_retry_has_no_double_effect", GUINT_TO_POINTER(1),
                         test_ambiguous_retry);
    g_test_add_data_func("/batch/ambiguous_failure_has_no_double_effect", GUINT_TO_POINTER(2),
                         test_ambiguous_retry);
    g_test_add_func("/batch/conflict_is_decided_again", test_conflict_once);
    g_test_add_func("/batch/lasting_conflict_is_isolated", test_conflict_lasting);
    g_test_add_func("/batch/suspicious_batch_goes_one_by_one_with_its_attempt_noted",
                    test_suspicious_one_by_one);
    g_test_add_func("/batch/suspicion_ends_with_the_first_batch", test_suspicious_is_over);
    g_test_add_func("/batch/event_that_crashed_the_worker_too_often_is_set_aside",
                    test_crashed_too_often);
    g_test_add_func("/batch/event_that_crashed_twice_gets_its_third_attempt", test_crashed_twice);
    g_test_add_func("/batch/trouble_under_suspicion_is_no_attempt", test_suspicious_trouble);
    g_test_add_func("/batch/noted_attempts_do_not_count_after_a_clean_end",
                    test_unsuspicious_leftover);
    return g_test_run();
}
