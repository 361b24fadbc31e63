/* Two batches on their way at once: the next one is decided while the first is settled. */
#include "worker/worker.h"

#include "common/error.h"
#include "common/log.h"
#include "rig.h"
#include "worker/campaigns.h"
#include "worker/worker_private.h"

#define BATCH   8
#define BATCHES 24
#define ALL     (BATCH * BATCHES)

/* Every second batch has the ids of the one before: half of them are copies, the others have
 * another body. All are published before the worker starts, so that its batches are full. */
static void init(struct rig *rig)
{
    rig_init(rig);
    log_set_fd(-1);
    rig->options.batch_max = BATCH;
    for (int i = 0; i < ALL; i++) {
        int batch = i / BATCH, at = i % BATCH;
        g_autofree char *id = g_strdup_printf("e%d", batch / 2 * BATCH + at);

        rig_publish_event(rig, id, batch % 2 == 1 && at >= BATCH / 2 ? 2 : 1);
    }
}

static void assert_exact(struct rig *rig)
{
    struct store_summary summary;

    rig_wait_settled(rig, ALL);
    summary = rig_summary(rig);
    g_assert_cmpint(summary.processed, ==, ALL / 2);
    g_assert_cmpint(summary.duplicate, ==, ALL / 4);
    g_assert_cmpint(summary.failed, ==, ALL / 4);
    g_assert_cmpint(summary.position, ==, ALL);
}

static void test_copies(void)
{
    struct rig rig;

    init(&rig);
    rig_start(&rig);
    assert_exact(&rig);
    g_assert_cmpint(rig_event(&rig, "e0")->seq, ==, 1);
    g_assert_cmpint(rig_event(&rig, "e0")->duplicates, ==, 1);
    rig_assert_text(rig_failure(&rig, "e7")->reason, "event_id_conflict");
    rig_done(&rig);
}

/* Whichever batch meets it, and whatever was decided meanwhile. */
static void test_trouble(gconstpointer code)
{
    for (unsigned after = 0; after < 6; after++) {
        struct rig rig;

        init(&rig);
        store_fault_set(rig.store, STORE_CALL_SETTLE, after, 1, GPOINTER_TO_INT(code));
        rig_start(&rig);
        assert_exact(&rig);
        g_assert_cmpint(atomic_load(&rig.fatals), ==, 0);
        rig_done(&rig);
    }
}

/* Its copy was decided as a duplicate of what then failed: it has to be decided again. */
static void test_culprit(void)
{
    struct rig rig;

    init(&rig);
    store_fault_poison(rig.store, SLICE("e3"));
    rig_start(&rig);
    rig_wait_settled(&rig, ALL);
    g_assert_cmpint(rig_summary(&rig).processed, ==, ALL / 2 - 1);
    g_assert_cmpint(rig_summary(&rig).duplicate, ==, ALL / 4 - 1);
    g_assert_cmpint(rig_summary(&rig).failed, ==, ALL / 4 + 2);
    g_assert_cmpuint(rig_count(&rig, STORE_FAILURES, "e3"), ==, 2);
    rig_done(&rig);
}

/* The first one failed for good, so nobody has its id; that was not known when the other one, with
 * another body, was decided. */
static void test_failed_first(void)
{
    struct rig rig;

    rig_init(&rig);
    log_set_fd(-1);
    rig.options.batch_max = BATCH;
    rig.options.attempts_max = 1;
    for (int i = 0; i < 2 * BATCH; i++) {
        g_autofree char *id = g_strdup_printf("e%d", i % BATCH);

        rig_publish_event(&rig, id, i < BATCH ? 1 : 2);
    }
    /* All eight, four, two, and e0 alone. */
    store_fault_set(rig.store, STORE_CALL_SETTLE, 0, 4, EF_ERROR_INPUT);
    rig_start(&rig);
    rig_wait_settled(&rig, 2 * BATCH);
    rig_assert_text(rig_failure(&rig, "e0")->reason, "processing_failed");
    g_assert_cmpint(rig_event(&rig, "e0")->seq, ==, BATCH + 1);
    g_assert_cmpint(rig_summary(&rig).processed, ==, BATCH);
    g_assert_cmpint(rig_summary(&rig).failed, ==, BATCH);
    rig_done(&rig);
}

/* Deciding fails while the batch before is being settled. */
static void test_refused(void)
{
    struct rig rig;

    init(&rig);
    rig.bad_id = "e9";
    atomic_store(&rig.refusals, 5);
    rig_start(&rig);
    assert_exact(&rig);
    rig_done(&rig);
}

static void test_fatal(void)
{
    for (unsigned after = 0; after < 6; after++) {
        struct rig rig;

        init(&rig);
        store_fault_set(rig.store, STORE_CALL_SETTLE, after, 1, EF_ERROR_FATAL);
        rig_start(&rig);
        rig_wait(&rig, rig_has_died, 1);
        rig_stop(&rig);
        g_assert_cmpint(rig_summary(&rig).position, ==, after * BATCH);
        rig_reopen_queue(&rig);
        rig_start(&rig);
        assert_exact(&rig);
        g_assert_cmpint(atomic_load(&rig.fatals), ==, 1);
        rig_done(&rig);
    }
}

static void test_stop(void)
{
    struct rig rig;

    init(&rig);
    for (int64_t position = BATCH; position < ALL / 2; position += BATCH) {
        rig_start(&rig);
        rig_wait(&rig, rig_has_position, position);
        rig_stop(&rig);
        g_assert_cmpint(rig_summary(&rig).position % BATCH, ==, 0);
        rig_reopen_queue(&rig);
    }
    rig_start(&rig);
    assert_exact(&rig);
    rig_done(&rig);
}

static void test_campaign_change(void)
{
    struct rig rig;

    init(&rig);
    rig_add_campaign(&rig, "c", "{\"event_type\":[\"purchase\"]}");
    rig_start(&rig);
    assert_exact(&rig);
    rig_write_campaign(&rig, STORE_CAMPAIGN_DELETE, "c", "", "");
    rig_publish_many(&rig, "n", ALL); /* both lanes */
    rig_wait_settled(&rig, 2 * ALL);
    g_assert_cmpint(rig_summary(&rig).matches, ==, ALL / 2);
    rig_done(&rig);
}

/* What rounds need of a worker, without its thread. */
static void init_still(struct worker *w, struct rig *rig)
{
    *w = (struct worker){.queue = rig->queue, .store = rig->store, .settler = settler_new()};
    w->options = rig->options;
    w->options.campaigns = rig->campaigns;
    w->options.probe = NULL;
    g_mutex_init(&w->lock);
    g_cond_init(&w->wake);
    report_init(&w->metrics);
    for (size_t i = 0; i < G_N_ELEMENTS(w->lanes); i++) {
        arena_init(&w->lanes[i].arena);
        pipeline_init(&w->lanes[i].pipeline, rig->store, &w->options);
    }
    w->lane = &w->lanes[0];
}

static void done_still(struct worker *w)
{
    settler_free(w->settler);
    for (size_t i = 0; i < G_N_ELEMENTS(w->lanes); i++) {
        pipeline_done(&w->lanes[i].pipeline);
        arena_done(&w->lanes[i].arena);
    }
    campaign_set_unref(w->campaigns);
    g_cond_clear(&w->wake);
    g_mutex_clear(&w->lock);
}

/* A quiet time may follow in which one lane is used: the other one must not keep a set alive. */
static void test_settled_lane_holds_no_set(void)
{
    g_autoptr(GError) error = NULL;
    struct worker w;
    struct rig rig;

    init(&rig);
    rig_add_campaign(&rig, "c", "{\"event_type\":[\"purchase\"]}");
    rig.campaigns = campaigns_start(&(struct campaigns_options){.store = rig.store});
    while (!campaigns_await(rig.campaigns, 1000, &error))
        g_assert_no_error(error);
    init_still(&w, &rig);
    for (int i = 0; i < 2; i++)
        g_assert_true(rounds_run(&w));
    g_assert_true(w.settling == &w.lanes[1] && w.lane == &w.lanes[0]);
    g_assert_null(w.lanes[0].pipeline.campaigns);
    g_assert_true(w.lanes[1].pipeline.campaigns == w.campaigns);
    g_assert_true(rounds_finish(&w, NULL));
    g_assert_null(w.lanes[1].pipeline.campaigns);
    g_assert_cmpint(rig_summary(&rig).position, ==, 2 * BATCH);
    g_assert_cmpint(rig_summary(&rig).matches, ==, BATCH); /* the other half are copies */
    done_still(&w);
    rig_done(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rounds/copies_are_found_in_the_batch_that_is_being_settled", test_copies);
    g_test_add_data_func("/rounds/passing_trouble_changes_nothing", GINT_TO_POINTER(EF_ERROR_RETRY),
                         test_trouble);
    g_test_add_data_func("/rounds/full_disk_changes_nothing", GINT_TO_POINTER(EF_ERROR_FULL),
                         test_trouble);
    g_test_add_data_func("/rounds/conflict_is_decided_again", GINT_TO_POINTER(EF_ERROR_CONFLICT),
                         test_trouble);
    g_test_add_data_func("/rounds/lost_answer_counts_nothing_twice", GINT_TO_POINTER(-1),
                         test_trouble);
    g_test_add_func("/rounds/copies_of_a_culprit_are_decided_again", test_culprit);
    g_test_add_func("/rounds/id_of_one_that_failed_is_free_for_the_next", test_failed_first);
    g_test_add_func("/rounds/refused_event_is_tried_again", test_refused);
    g_test_add_func("/rounds/fatal_end_leaves_the_next_batch_for_the_next_life", test_fatal);
    g_test_add_func("/rounds/stop_settles_what_was_begun", test_stop);
    g_test_add_func("/rounds/both_lanes_see_a_campaign_change", test_campaign_change);
    g_test_add_func("/rounds/settled_lane_holds_no_set", test_settled_lane_holds_no_set);
    return g_test_run();
}
