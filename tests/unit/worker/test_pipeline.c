/* The steps over a batch, without a thread: what each message's end is. */
#include "worker/pipeline.h"

#include "common/clock.h"
#include "common/error.h"
#include "rig.h"
#include "worker/campaign_load.h"

struct bench {
    struct rig rig;
    struct pipeline pipeline;
};

static void bench_init(struct bench *b)
{
    rig_init(&b->rig);
    pipeline_init(&b->pipeline, b->rig.store, &b->rig.options);
    pipeline_begin(&b->pipeline, true);
}

static void bench_done(struct bench *b)
{
    pipeline_done(&b->pipeline);
    rig_done(&b->rig);
}

/* Loads what was published from the from-th message on. */
static void load(struct bench *b, guint from, bool moves_position)
{
    pipeline_begin(&b->pipeline, moves_position);
    for (guint i = from; i < b->rig.published->len; i++)
        pipeline_load(&b->pipeline, &g_array_index(b->rig.published, struct queue_message, i), 1,
                      0);
}

static void run(struct bench *b, size_t from, size_t count)
{
    g_autoptr(GError) error = NULL;

    pipeline_run(&b->pipeline, from, count, &error);
    g_assert_no_error(error);
}

static void run_all(struct bench *b)
{
    load(b, 0, true);
    run(b, 0, b->pipeline.count);
}

static void test_processed(void)
{
    struct bench b;
    const struct store_row *row;

    bench_init(&b);
    rig_publish(&b.rig, "e1",
                "{\"event_id\":\"e1\",\"event_type\":\"purchase\",\"customer_id\":\"c9\","
                "\"source\":\"web\",\"timestamp\":\"2026-11-21T09:00:00Z\",\"payload\":{\"a\":1}}",
                0);
    run_all(&b);
    row = rig_event(&b.rig, "e1");
    g_assert_nonnull(row);
    rig_assert_text(row->event_type, "purchase");
    rig_assert_text(row->customer_id, "c9");
    rig_assert_text(row->source, "web");
    rig_assert_text(row->correlation_id, "corr-e1");
    rig_assert_text(row->worker_id, "worker-1");
    g_assert_cmpint(row->at_us, ==, RIG_ARRIVED_US - INT64_C(3600) * 1000000);
    g_assert_cmpint(row->received_at_us, ==, RIG_ARRIVED_US);
    g_assert_cmpint(row->processed_at_us, ==, b.pipeline.now_us);
    g_assert_cmpint(row->processing_us, >=, 0);
    g_assert_cmpint(row->attempt, ==, 1);
    g_assert_cmpint(row->match_count, ==, 0);
    bench_done(&b);
}

static void test_broken_json(void)
{
    struct bench b;
    const struct store_row *row;

    bench_init(&b);
    rig_publish(&b.rig, "key-1", "{\"event_id\":", 0);
    run_all(&b);
    row = rig_failure(&b.rig, "key-1");
    g_assert_nonnull(row);
    rig_assert_text(row->reason, "invalid");
    rig_assert_text(row->body, "{\"event_id\":");
    rig_assert_text(row->correlation_id, "corr-key-1");
    g_assert_cmpint(row->attempt, ==, 1);
    g_assert_cmpint(row->first_failed_at_us, ==, row->last_failed_at_us);
    g_assert_nonnull(g_strstr_len(row->error.data, -1, "line 1"));
    g_assert_cmpint(rig_summary(&b.rig).failed, ==, 1);
    bench_done(&b);
}

static void test_something_follows(void)
{
    struct bench b;

    bench_init(&b);
    rig_publish(&b.rig, "k1", "{\"event_id\":\"k1\",\"event_type\":\"t\"} x", 0);
    rig_publish(&b.rig, "k2", " {\"event_id\":\"k2\",\"event_type\":\"t\"} \n", 0);
    run_all(&b);
    rig_assert_text(rig_failure(&b.rig, "k1")->reason, "invalid");
    g_assert_nonnull(rig_event(&b.rig, "k2"));
    bench_done(&b);
}

static void test_broken_envelope(void)
{
    struct bench b;
    const struct store_row *row;

    bench_init(&b);
    rig_publish(&b.rig, "k1", "{\"event_id\":\"k1\",\"event_typ\":\"t\"}", 0);
    rig_publish(&b.rig, "k2", "{\"event_id\":\"k2\",\"event_type\":7}", 0);
    rig_publish(&b.rig, "k3", "[]", 0);
    run_all(&b);
    row = rig_failure(&b.rig, "k1");
    rig_assert_text(row->reason, "invalid");
    g_assert_nonnull(g_strstr_len(row->error.data, -1, "#/event_typ"));
    row = rig_failure(&b.rig, "k2");
    g_assert_nonnull(g_strstr_len(row->error.data, -1, "#/event_type"));
    g_assert_null(g_strstr_len(row->error.data, -1, "event_typ:")); /* not the one before */
    rig_assert_text(rig_failure(&b.rig, "k3")->reason, "invalid");
    bench_done(&b);
}

static void test_invalid_takes_no_id(void)
{
    struct bench b;

    bench_init(&b);
    rig_publish(&b.rig, "e1", "{\"event_id\":\"e1\",\"event_type\":\"\"}", 0);
    rig_publish_event(&b.rig, "e1", 1);
    run_all(&b);
    g_assert_nonnull(rig_event(&b.rig, "e1"));
    g_assert_cmpuint(b.pipeline.tally.processed, ==, 1);
    g_assert_cmpuint(b.pipeline.tally.failed, ==, 1);
    bench_done(&b);
}

static void test_copy_in_batch(void)
{
    struct bench b;

    bench_init(&b);
    rig_publish_event(&b.rig, "e1", 1);
    rig_publish_event(&b.rig, "e2", 1);
    rig_publish_event(&b.rig, "e1", 1);
    rig_publish_event(&b.rig, "e1", 1);
    run_all(&b);
    g_assert_cmpint(b.pipeline.items[2].duplicate_of, ==, 1);
    g_assert_cmpint(b.pipeline.items[3].duplicate_of, ==, 1);
    g_assert_cmpint(rig_event(&b.rig, "e1")->duplicates, ==, 2);
    g_assert_cmpint(rig_event(&b.rig, "e2")->duplicates, ==, 0);
    g_assert_cmpint(rig_summary(&b.rig).processed, ==, 2);
    g_assert_cmpint(rig_summary(&b.rig).duplicate, ==, 2);
    bench_done(&b);
}

static void test_conflict_in_batch(void)
{
    struct bench b;
    const struct store_row *row;

    bench_init(&b);
    rig_publish_event(&b.rig, "e0", 1);
    rig_publish_event(&b.rig, "e1", 1);
    rig_publish_event(&b.rig, "e1", 2);
    rig_publish_event(&b.rig, "e1", 1);
    run_all(&b);
    row = rig_failure(&b.rig, "e1");
    rig_assert_text(row->reason, "event_id_conflict");
    g_assert_nonnull(g_strstr_len(row->error.data, -1, "message 2"));
    g_assert_cmpint(row->seq, ==, 3);
    g_assert_cmpint(rig_event(&b.rig, "e1")->seq, ==, 2);
    g_assert_cmpint(rig_event(&b.rig, "e1")->duplicates, ==, 1);
    bench_done(&b);
}

/* The first batch is decided and not settled yet. */
static void test_copy_of_the_batch_before(void)
{
    struct bench b;
    struct pipeline next;
    g_autoptr(GError) error = NULL;

    bench_init(&b);
    pipeline_init(&next, b.rig.store, &b.rig.options);
    rig_publish_event(&b.rig, "e1", 1);
    rig_publish_event(&b.rig, "e1", 1);
    rig_publish_event(&b.rig, "e1", 2);
    rig_publish_event(&b.rig, "e2", 1);
    load(&b, 0, true);
    g_assert_true(pipeline_decide(&b.pipeline, 0, 1, NULL, &error));
    pipeline_begin(&next, true);
    for (guint i = 1; i < 4; i++)
        pipeline_load(&next, &g_array_index(b.rig.published, struct queue_message, i), 1, 0);
    g_assert_true(pipeline_decide(&next, 0, 3, &b.pipeline, &error));
    g_assert_cmpint(next.items[0].duplicate_of, ==, 1);
    g_assert_cmpstr(next.items[1].reason, ==, "event_id_conflict");
    g_assert_cmpint(next.items[2].kind, ==, STORE_PROCESSED);
    g_assert_true(pipeline_settle(&b.pipeline, 0, 1, &error));
    g_assert_true(pipeline_settle(&next, 0, 3, &error));
    g_assert_cmpint(rig_event(&b.rig, "e1")->duplicates, ==, 1);
    pipeline_done(&next);
    bench_done(&b);
}

static void test_copy_of_stored(void)
{
    struct bench b;

    bench_init(&b);
    rig_publish_event(&b.rig, "e1", 1);
    run_all(&b);
    rig_publish_event(&b.rig, "e1", 1);
    rig_publish_event(&b.rig, "e1", 2);
    load(&b, 1, true);
    run(&b, 0, 2);
    g_assert_cmpint(rig_event(&b.rig, "e1")->duplicates, ==, 1);
    g_assert_cmpint(b.pipeline.items[0].duplicate_of, ==, 1);
    rig_assert_text(rig_failure(&b.rig, "e1")->reason, "event_id_conflict");
    g_assert_nonnull(g_strstr_len(rig_failure(&b.rig, "e1")->error.data, -1, "message 1"));
    bench_done(&b);
}

static void test_sources_differ(void)
{
    struct bench b;

    bench_init(&b);
    rig_publish(&b.rig, "e", "{\"event_id\":\"e\",\"event_type\":\"t\",\"source\":\"a\"}", 0);
    rig_publish(&b.rig, "e", "{\"event_id\":\"e\",\"event_type\":\"t\",\"source\":\"b\"}", 0);
    run_all(&b);
    g_assert_cmpint(rig_summary(&b.rig).processed, ==, 2);
    bench_done(&b);
}

static void test_settled_before(void)
{
    struct bench b;

    bench_init(&b);
    rig_publish_event(&b.rig, "e1", 1);
    run_all(&b);
    run_all(&b); /* the very same message, not a copy of it */
    g_assert_cmpint(b.pipeline.items[0].state, ==, ITEM_SETTLED);
    g_assert_cmpint(rig_summary(&b.rig).processed, ==, 1);
    g_assert_cmpint(rig_summary(&b.rig).duplicate, ==, 0);
    bench_done(&b);
}

static void test_all_or_nothing(void)
{
    struct bench b;
    g_autoptr(GError) error = NULL;

    bench_init(&b);
    rig_publish_event(&b.rig, "e1", 1);
    rig_publish_event(&b.rig, "e1", 1);
    rig_publish(&b.rig, "k", "{", 0);
    load(&b, 0, true);
    store_fault_set(b.rig.store, STORE_CALL_SETTLE, 0, 1, EF_ERROR_FULL);
    g_assert_false(pipeline_run(&b.pipeline, 0, 3, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_FULL);
    g_assert_true(g_str_has_prefix(error->message, "settle: "));
    g_assert_cmpint(rig_summary(&b.rig).position, ==, 0);
    g_assert_cmpint(rig_summary(&b.rig).failed, ==, 0);
    run(&b, 0, 3);
    g_assert_cmpint(rig_summary(&b.rig).processed, ==, 1);
    g_assert_cmpint(rig_summary(&b.rig).duplicate, ==, 1);
    g_assert_cmpint(rig_summary(&b.rig).failed, ==, 1);
    bench_done(&b);
}

static void test_part(void)
{
    struct bench b;

    bench_init(&b);
    rig_publish_many(&b.rig, "e", 10);
    load(&b, 0, true);
    run(&b, 0, 4);
    g_assert_cmpint(rig_summary(&b.rig).position, ==, 4);
    g_assert_null(rig_event(&b.rig, "e4"));
    run(&b, 4, 6);
    g_assert_cmpint(rig_summary(&b.rig).position, ==, 10);
    g_assert_cmpint(rig_summary(&b.rig).processed, ==, 10);
    bench_done(&b);
}

static void test_copy_across_parts(void)
{
    struct bench b;

    bench_init(&b);
    rig_publish_event(&b.rig, "e1", 1);
    rig_publish_event(&b.rig, "e1", 1);
    rig_publish_event(&b.rig, "e1", 2);
    load(&b, 0, true);
    for (size_t i = 0; i < 3; i++)
        run(&b, i, 1);
    g_assert_cmpint(rig_event(&b.rig, "e1")->duplicates, ==, 1);
    rig_assert_text(rig_failure(&b.rig, "e1")->reason, "event_id_conflict");
    bench_done(&b);
}

static void test_position_stays(void)
{
    struct bench b;

    bench_init(&b);
    rig_publish_many(&b.rig, "e", 3);
    load(&b, 0, false);
    run(&b, 0, 3);
    g_assert_cmpint(rig_summary(&b.rig).position, ==, 0);
    g_assert_cmpint(rig_summary(&b.rig).processed, ==, 3);
    bench_done(&b);
}

static void test_verdict(void)
{
    struct bench b;
    const struct store_row *row;

    bench_init(&b);
    rig_publish_event(&b.rig, "e1", 1);
    load(&b, 0, true);
    item_set_verdict(&b.pipeline.items[0], STORE_FAILED, "some_reason", "some text");
    run(&b, 0, 1);
    row = rig_failure(&b.rig, "e1");
    rig_assert_text(row->reason, "some_reason");
    rig_assert_text(row->error, "some text");
    g_assert_null(rig_event(&b.rig, "e1"));
    g_assert_cmpint(atomic_load(&b.rig.probed), ==, 0);
    bench_done(&b);
}

static void test_matches(void)
{
    struct bench b;
    g_autoptr(GError) error = NULL;
    const struct store_row *row;
    int64_t generation;

    bench_init(&b);
    rig_add_campaign(&b.rig, "big", "{\"payload\":{\"amount\":[{\"numeric\":[\">\",50]}]}}");
    rig_add_campaign(&b.rig, "all", "{\"event_type\":[\"purchase\"]}");
    rig_add_campaign(&b.rig, "none", "{\"event_type\":[\"refund\"]}");
    g_assert_cmpint(campaign_load_all(&(struct campaign_load){.store = b.rig.store},
                                      &b.pipeline.campaigns, &generation, &error),
                    ==, CAMPAIGN_LOAD_DONE);
    rig_publish_event(&b.rig, "e1", 75);
    rig_publish_event(&b.rig, "e2", 10);
    rig_publish_event(&b.rig, "e1", 75);
    run_all(&b);
    g_assert_cmpuint(rig_count(&b.rig, STORE_MATCHES, "e1"), ==, 2);
    g_assert_cmpuint(rig_count(&b.rig, STORE_MATCHES, "e2"), ==, 1);
    g_assert_cmpint(rig_event(&b.rig, "e1")->match_count, ==, 2);
    g_assert_cmpint(rig_summary(&b.rig).matches, ==, 3);
    g_assert_cmpuint(b.pipeline.tally.matches, ==, 3);
    row = rig_match(&b.rig, "e2");
    rig_assert_text(row->campaign_id, "all");
    g_assert_cmpint(row->campaign_version, ==, 1);
    rig_assert_text(row->rewards, "[{\"type\":\"points\",\"amount\":5,\"unit\":\"points\"}]");
    bench_done(&b);
}

static void test_correlation(void)
{
    static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    struct queue_message messages[] = {
        {.seq = 1,
         .correlation = SLICE("given"),
         .body = SLICE("{\"event_id\":\"a\",\"event_type\":\"t\"}")},
        {.seq = 2,
         .body = SLICE("{\"event_id\":\"b\",\"event_type\":\"t\",\"correlation_id\":\"own\"}")},
        {.seq = 3,
         .trace = SLICE(trace),
         .body = SLICE("{\"event_id\":\"c\",\"event_type\":\"t\"}")},
        {.seq = 4, .body = SLICE("{\"event_id\":\"d\",\"event_type\":\"t\"}")},
    };
    struct bench b;

    bench_init(&b);
    for (size_t i = 0; i < G_N_ELEMENTS(messages); i++) {
        messages[i].published_at_us = RIG_ARRIVED_US;
        pipeline_load(&b.pipeline, &messages[i], 1, 0);
    }
    run(&b, 0, G_N_ELEMENTS(messages));
    rig_assert_text(rig_event(&b.rig, "a")->correlation_id, "given");
    rig_assert_text(rig_event(&b.rig, "b")->correlation_id, "own");
    rig_assert_text(rig_event(&b.rig, "c")->correlation_id, "0af7651916cd43dd8448eb211c80319c");
    g_assert_cmpuint(rig_event(&b.rig, "d")->correlation_id.size, >, 0);
    bench_done(&b);
}

static void test_replay(void)
{
    struct bench b;
    int64_t failure;

    bench_init(&b);
    rig_publish_event(&b.rig, "e1", 1);
    load(&b, 0, true);
    item_set_verdict(&b.pipeline.items[0], STORE_FAILED, "processing_failed", "text");
    run(&b, 0, 1);
    failure = rig_failure(&b.rig, "e1")->id;
    g_assert_cmpint(rig_failure(&b.rig, "e1")->replayed_at_us, ==, 0);
    rig_publish(&b.rig, "e1", "{\"event_id\":\"e1\",\"event_type\":\"t\"}", failure);
    load(&b, 1, true);
    run(&b, 0, 1);
    g_assert_nonnull(rig_event(&b.rig, "e1"));
    g_assert_cmpint(rig_failure(&b.rig, "e1")->replayed_at_us, >, 0);
    g_assert_cmpint(rig_failure(&b.rig, "e1")->replay_seq, ==, 2);
    g_assert_cmpint(rig_summary(&b.rig).replayed, ==, 1);
    bench_done(&b);
}

static void test_probe(void)
{
    struct bench b;
    g_autoptr(GError) error = NULL;

    bench_init(&b);
    b.rig.bad_id = "e1";
    atomic_store(&b.rig.refusals, 1);
    rig_publish_many(&b.rig, "e", 3);
    load(&b, 0, true);
    g_assert_false(pipeline_run(&b.pipeline, 0, 3, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_INPUT);
    g_assert_cmpstr(error->message, ==, "match: the probe refuses it");
    g_assert_cmpint(rig_summary(&b.rig).processed, ==, 0);
    bench_done(&b);
}

/* Many more than PIPELINE_PART. Ids with escapes live in flats that are lent to others before
 * settle; the copy of the first one comes in another part. */
static void test_many_parts(void)
{
    enum { COUNT = 3 * PIPELINE_PART + 5 };
    struct bench b;
    g_autofree char *last = g_strdup_printf("e-%d", COUNT - 1);

    rig_init(&b.rig);
    b.rig.options.batch_max = COUNT + 1;
    pipeline_init(&b.pipeline, b.rig.store, &b.rig.options);
    for (int i = 0; i < COUNT; i++) {
        g_autofree char *body = g_strdup_printf(
            "{\"event_id\":\"\\u0065-%d\",\"event_type\":\"\\u0074\",\"payload\":{}}", i);

        rig_publish(&b.rig, "key", body, 0);
    }
    rig_publish(&b.rig, "key",
                "{\"event_id\":\"\\u0065-0\",\"event_type\":\"\\u0074\",\"payload\":{}}", 0);
    run_all(&b);
    g_assert_cmpuint(b.pipeline.tally.processed, ==, COUNT);
    g_assert_cmpint(b.pipeline.items[COUNT].duplicate_of, ==, 1);
    g_assert_cmpint(rig_event(&b.rig, "e-0")->duplicates, ==, 1);
    g_assert_cmpint(rig_event(&b.rig, last)->seq, ==, COUNT);
    rig_assert_text(rig_event(&b.rig, last)->event_type, "t");
    bench_done(&b);
}

static void test_large_is_given_back(void)
{
    struct bench b;
    g_autofree char *text = g_strnfill(100000, 'x');
    g_autofree char *body = g_strdup_printf(
        "{\"event_id\":\"large\",\"event_type\":\"t\",\"payload\":{\"x\":\"%s\"}}", text);

    bench_init(&b);
    rig_publish(&b.rig, "large", body, 0);
    rig_publish_event(&b.rig, "small", 1);
    run_all(&b);
    g_assert_null(b.pipeline.flats[0].leaves);
    g_assert_nonnull(b.pipeline.flats[1].leaves);
    bench_done(&b);
}

#ifdef EF_TEST_HOOKS
static void test_fault_point(void)
{
    struct bench b;

    if (g_test_subprocess()) {
        g_setenv("EVENTFLOW_TEST_FAULT", "worker.match~purchase=abort", TRUE);
        bench_init(&b);
        rig_publish(&b.rig, "a", "{\"event_id\":\"a\",\"event_type\":\"other\"}", 0);
        run_all(&b);
        g_assert_nonnull(rig_event(&b.rig, "a"));
        g_print("still here\n");
        rig_publish_event(&b.rig, "b", 1);
        run_all(&b);
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_failed();
    g_test_trap_assert_stdout("*still here*");
}
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pipeline/processed_event_has_every_column", test_processed);
    g_test_add_func("/pipeline/broken_json_fails_as_invalid_with_its_body", test_broken_json);
    g_test_add_func("/pipeline/what_follows_the_document_makes_it_invalid", test_something_follows);
    g_test_add_func("/pipeline/broken_envelope_fails_naming_the_field", test_broken_envelope);
    g_test_add_func("/pipeline/invalid_event_does_not_take_its_id", test_invalid_takes_no_id);
    g_test_add_func("/pipeline/copies_in_a_batch_count_on_the_first", test_copy_in_batch);
    g_test_add_func("/pipeline/other_body_in_a_batch_is_a_conflict", test_conflict_in_batch);
    g_test_add_func("/pipeline/copies_of_the_batch_before_are_found_before_it_is_settled",
                    test_copy_of_the_batch_before);
    g_test_add_func("/pipeline/copies_of_a_stored_event_are_found", test_copy_of_stored);
    g_test_add_func("/pipeline/same_id_of_another_source_is_another_event", test_sources_differ);
    g_test_add_func("/pipeline/message_settled_before_is_left_alone", test_settled_before);
    g_test_add_func("/pipeline/failed_run_changes_nothing_and_can_be_repeated",
                    test_all_or_nothing);
    g_test_add_func("/pipeline/part_of_a_batch_moves_the_position_to_its_end", test_part);
    g_test_add_func("/pipeline/copies_are_found_across_parts_of_a_batch", test_copy_across_parts);
    g_test_add_func("/pipeline/retries_do_not_move_the_position", test_position_stays);
    g_test_add_func("/pipeline/verdict_is_settled_without_running_the_steps", test_verdict);
    g_test_add_func("/pipeline/matches_carry_version_and_rewards", test_matches);
    g_test_add_func("/pipeline/every_event_has_a_correlation_id", test_correlation);
    g_test_add_func("/pipeline/replay_marks_the_failure", test_replay);
    g_test_add_func("/pipeline/probe_error_is_the_events_own_fault", test_probe);
    g_test_add_func("/pipeline/a_run_of_many_parts_keeps_every_event_apart", test_many_parts);
    g_test_add_func("/pipeline/buffers_of_large_events_are_given_back", test_large_is_given_back);
#ifdef EF_TEST_HOOKS
    g_test_add_func("/pipeline/fault_point_ends_the_process_for_its_type", test_fault_point);
#endif
    return g_test_run();
}
