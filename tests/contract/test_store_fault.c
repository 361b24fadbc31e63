/* The fault store: it must break exactly what it is told to break. */
#include "store_world.h"

#include "common/log.h"

static const struct backend fault = {.label = "fault", .name = "fault", .inner = "memory"};

static void expect(struct world *w, int64_t seq, int code)
{
    struct store_outcome o = processed(seq, arena_printf(&w->arena, "e%d", (int)seq));
    g_autoptr(GError) error = NULL;
    bool ok = try_settle(w, &o, 1, seq, &error);

    g_assert_cmpint(ok, ==, code < 0);
    if (code >= 0)
        g_assert_error(error, EF_ERROR, code);
}

static void calls_fail_after_some_passed_and_then_pass_again(struct world *w)
{
    store_fault_set(w->s, STORE_CALL_SETTLE, 2, 2, EF_ERROR_FULL);
    expect(w, 1, -1);
    expect(w, 2, -1);
    expect(w, 3, EF_ERROR_FULL);
    expect(w, 3, EF_ERROR_FULL);
    expect(w, 3, -1);
    g_assert_cmpint(summary(w).processed, ==, 3);
}

static void a_plan_can_be_cleared(struct world *w)
{
    store_fault_set(w->s, STORE_CALL_SETTLE, 0, 100, EF_ERROR_FATAL);
    expect(w, 1, EF_ERROR_FATAL);
    store_fault_set(w->s, STORE_CALL_SETTLE, 0, 0, 0);
    expect(w, 1, -1);
}

static void an_ambiguous_settle_is_done_but_answers_retry(struct world *w)
{
    store_fault_set(w->s, STORE_CALL_SETTLE, 0, 1, -1);
    expect(w, 1, EF_ERROR_RETRY);
    g_assert_cmpint(seen_seq(w, "e1"), ==, 1);
    expect(w, 1, EF_ERROR_CONFLICT);
}

static void a_poisoned_event_cannot_be_stored(struct world *w)
{
    struct store_outcome batch[] = {processed(1, "good"), processed(2, "bad")};

    store_fault_poison(w->s, SLICE("bad"));
    settle_refused(w, batch, 2, EF_ERROR_INPUT);
    settle(w, batch, 1);
    settle_one(w, failed(2, "bad", "exhausted")); /* only as a processed one */
    store_fault_poison(w->s, (struct slice){0});
    settle_one(w, processed(3, "bad"));
}

/* Every kind of call, by number. */
static bool call(struct world *w, enum store_call which, GError **error)
{
    struct store_key key = {.event_id = SLICE("e")};
    struct store_query query = {.limit = 1};
    GArray *rows = g_array_new(FALSE, FALSE, sizeof(struct store_row));
    struct collector collector = {.w = w, .rows = rows};
    struct store_outcome o = processed(summary(w).position + 1, "e");
    struct store_campaign_range all = {.since = STORE_CAMPAIGNS_ALL, .max = 10};
    struct store_campaign_page campaigns;
    struct store_retry *retries;
    struct store_page page;
    struct store_seen seen;
    size_t count;
    bool ok = false;
    int attempt;

    switch (which) {
    case STORE_CALL_SEEN:
        ok = store_seen(w->s, &key, 1, &seen, error);
        break;
    case STORE_CALL_BEGIN_ATTEMPT:
        ok = store_begin_attempt(w->s, 1, NOW, &attempt, error);
        break;
    case STORE_CALL_SETTLE:
        ok = try_settle(w, &o, 1, o.seq, error);
        break;
    case STORE_CALL_RETRIES:
        ok = store_retries(w->s, NOW, 1, &w->arena, &retries, &count, error);
        break;
    case STORE_CALL_WRITE_CAMPAIGN:
        ok = change(w, STORE_CAMPAIGN_CREATE, "c", 0, NULL, error);
        break;
    case STORE_CALL_LOAD_CAMPAIGNS:
        ok = store_load_campaigns(w->s, &all, &w->arena, &campaigns, error);
        break;
    case STORE_CALL_LIST:
        ok = store_list(w->s, &query, &w->arena, collect_row, &collector, &page, error);
        break;
    case STORE_CALL_COUNT:
        break;
    }
    g_array_unref(rows);
    return ok;
}

static void every_call_can_be_broken_alone(struct world *w)
{
    for (int broken = 0; broken < STORE_CALL_COUNT; broken++) {
        struct world fresh = {.backend = w->backend};

        world_open(&fresh);
        store_fault_set(fresh.s, (enum store_call)broken, 0, 1, EF_ERROR_CORRUPT);
        for (int which = 0; which < STORE_CALL_COUNT; which++) {
            g_autoptr(GError) error = NULL;

            g_assert_cmpint(call(&fresh, (enum store_call)which, &error), ==, which != broken);
            if (which == broken)
                g_assert_error(error, EF_ERROR, EF_ERROR_CORRUPT);
        }
        store_close(fresh.s);
        arena_done(&fresh.arena);
    }
}

static const struct promise promises[] = {
    PROMISE(calls_fail_after_some_passed_and_then_pass_again),
    PROMISE(a_plan_can_be_cleared),
    PROMISE(an_ambiguous_settle_is_done_but_answers_retry),
    PROMISE(a_poisoned_event_cannot_be_stored),
    PROMISE(every_call_can_be_broken_alone),
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    for (size_t i = 0; i < G_N_ELEMENTS(promises); i++) {
        g_autofree char *path = g_strdup_printf("/store/fault/%s", promises[i].name);
        struct test_case *c = g_new(struct test_case, 1);

        *c = (struct test_case){.backend = &fault, .promise = &promises[i]};
        g_test_add_data_func_full(path, c, run_case, g_free);
    }
    return g_test_run();
}
