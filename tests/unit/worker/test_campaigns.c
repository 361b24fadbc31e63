/* The campaigns in force: first load, changes, new bases in the background, refusal. */
#include "worker/campaigns.h"

#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "common/metrics.h"
#include "rig.h"
#include "worker/campaign_load.h"

#define DEADLINE_US (INT64_C(60) * 1000000)

/* A store with the thread beside it, and one worker's set. */
struct bench {
    struct rig rig;
    struct campaigns *campaigns;
    struct campaign_set *set;
};

static void start(struct bench *b, size_t memory_max)
{
    g_autoptr(GError) error = NULL;

    b->campaigns = campaigns_start(&(struct campaigns_options){
        .store = b->rig.store, .memory_max = memory_max, .retry_ms = 1});
    while (!campaigns_await(b->campaigns, 1000, &error))
        g_assert_no_error(error);
}

static void bench_init(struct bench *b)
{
    *b = (struct bench){0};
    rig_init(&b->rig);
}

static void bench_done(struct bench *b)
{
    campaigns_stop(b->campaigns);
    campaign_set_unref(b->set);
    rig_done(&b->rig);
}

static void refresh(struct bench *b)
{
    g_autoptr(GError) error = NULL;

    campaigns_refresh(b->campaigns, &b->set, &error);
    g_assert_no_error(error);
}

static struct campaign_set_figures figures_of(const struct campaign_set *set)
{
    struct campaign_set_figures figures;

    campaign_set_get_figures(set, &figures);
    return figures;
}

/* The ids that an event of that type matches, joined by ' '. Owned by caller. */
static char *matches(const struct campaign_set *set, const char *type)
{
    g_autofree char *json = g_strdup_printf("{\"event_type\":\"%s\"}", type);
    struct matcher_run *run = matcher_run_new();
    GString *ids = g_string_new(NULL);
    struct campaign_set_found found;
    struct arena arena = {0};
    struct flat flat;
    size_t used;

    flat_init(&flat);
    g_assert_true(flat_parse(&flat, slice_text(json), 0, &used, NULL));
    campaign_set_match(set, run, &flat, &arena, &found);
    for (size_t i = 0; i < found.count; i++)
        g_string_append_printf(ids, "%s%.*s", i > 0 ? " " : "", SLICE_ARG(found.entries[i].id));
    arena_done(&arena);
    flat_done(&flat);
    matcher_run_free(run);
    return g_string_free(ids, FALSE);
}

static void assert_matches(const struct campaign_set *set, const char *type, const char *ids)
{
    g_autofree char *found = matches(set, type);

    g_assert_cmpstr(found, ==, ids);
}

/* An active campaign for events of that type. */
static void add(struct rig *rig, const char *id, const char *type)
{
    g_autofree char *rules = g_strdup_printf("{\"event_type\":[\"%s\"]}", type);

    rig_add_campaign(rig, id, rules);
}

static void add_many(struct rig *rig, int from, int count)
{
    for (int i = from; i < from + count; i++) {
        g_autofree char *id = g_strdup_printf("m-%05d", i);

        add(rig, id, id);
    }
}

static void remove_one(struct rig *rig, const char *id)
{
    rig_write_campaign(rig, STORE_CAMPAIGN_DELETE, id, "", "");
}

/* Refreshes until the set is as wanted. */
static void wait_for(struct bench *b, bool (*condition)(struct bench *b, size_t n), size_t n)
{
    int64_t deadline_us = clock_monotonic_us() + DEADLINE_US;

    refresh(b);
    while (!condition(b, n)) {
        g_assert_cmpint(clock_monotonic_us(), <, deadline_us);
        g_usleep(500);
        refresh(b);
    }
}

static bool has_base(struct bench *b, size_t n)
{
    return figures_of(b->set).base >= n;
}

static bool has_generation(struct bench *b, size_t n)
{
    return campaign_set_generation(b->set) == (int64_t)n;
}

static double gauge(const char *name)
{
    return metric_value(metrics_gauge(name, "", NULL));
}

static void test_first_set(void)
{
    struct bench b;

    bench_init(&b);
    add_many(&b.rig, 0, 700); /* more than a page */
    add(&b.rig, "one", "t");
    rig_write_campaign(&b.rig, STORE_CAMPAIGN_CREATE, "paused", "paused",
                       "{\"id\":\"paused\",\"name\":\"p\",\"status\":\"paused\",\"rules\":"
                       "{\"event_type\":[\"t\"]}}");
    add(&b.rig, "gone", "t");
    remove_one(&b.rig, "gone");
    start(&b, 0);
    refresh(&b);
    assert_matches(b.set, "t", "one");
    assert_matches(b.set, "m-00699", "m-00699");
    g_assert_cmpuint(figures_of(b.set).rules, ==, 701);
    g_assert_cmpint(campaign_set_generation(b.set), ==, 704);
    g_assert_cmpfloat(gauge("matcher_rules"), ==, 701);
    g_assert_cmpfloat(gauge("matcher_generation"), ==, 704);
    g_assert_cmpfloat(gauge("matcher_memory_bytes"), >, 0);
    bench_done(&b);
}

/* What was written before is in force after the next refresh, always. */
static void test_change_is_in_the_next_set(void)
{
    struct campaign_set *before;
    struct bench b;

    bench_init(&b);
    start(&b, 0);
    for (int i = 0; i < 1000; i++) {
        g_autofree char *id = g_strdup_printf("c-%d", i % 7);
        g_autofree char *found = NULL;
        bool is_there;

        refresh(&b);
        found = matches(b.set, id);
        is_there = strcmp(found, id) == 0;
        g_assert_true(is_there || *found == '\0');
        if (is_there)
            remove_one(&b.rig, id);
        else
            add(&b.rig, id, id);
        add_many(&b.rig, i, 1);
        before = campaign_set_ref(b.set);
        refresh(&b);
        assert_matches(b.set, id, is_there ? "" : id);
        assert_matches(before, id, is_there ? id : "");
        campaign_set_unref(before);
    }
    wait_for(&b, has_base, 256); /* bases are built meanwhile */
    bench_done(&b);
}

static void test_base_is_built_when_much_changed(void)
{
    struct bench b;

    bench_init(&b);
    add_many(&b.rig, 0, 100);
    start(&b, 0);
    refresh(&b);
    g_assert_cmpuint(figures_of(b.set).base, ==, 100);
    add_many(&b.rig, 100, 250);
    refresh(&b);
    g_assert_cmpuint(figures_of(b.set).changed, ==, 250);
    g_assert_cmpuint(figures_of(b.set).base, ==, 100);
    add_many(&b.rig, 350, 10);
    wait_for(&b, has_base, 360);
    g_assert_cmpuint(figures_of(b.set).rules, ==, 360);
    g_assert_cmpuint(figures_of(b.set).changed, ==, 0);
    assert_matches(b.set, "m-00359", "m-00359");
    bench_done(&b);
}

/* The events are no longer those that the index was built for. */
static void test_base_is_built_when_events_change(void)
{
    struct campaign_set *before;
    struct bench b;

    bench_init(&b);
    add_many(&b.rig, 0, 10);
    start(&b, 0);
    refresh(&b);
    before = campaign_set_ref(b.set);
    for (int i = 0; i < 100; i++)
        campaigns_sample(b.campaigns, SLICE("{\"event_type\":\"t\"}"));
    campaigns_note(b.campaigns, 10000, 10000 * 100); /* the first window: so much is usual */
    wait_for(&b, has_base, 10);
    while (campaign_set_shares_base(before, b.set))
        refresh(&b); /* built without a sample: built again */
    g_assert_cmpuint(figures_of(b.set).samples, ==, 100);
    campaign_set_unref(before);
    before = campaign_set_ref(b.set);
    campaigns_note(b.campaigns, 10000, 10000 * 100);
    campaigns_note(b.campaigns, 10000, 10000 * 390);
    refresh(&b);
    g_assert_true(campaign_set_shares_base(before, b.set));
    campaigns_note(b.campaigns, 10000, 10000 * 410);
    while (campaign_set_shares_base(before, b.set))
        refresh(&b);
    campaign_set_unref(before);
    bench_done(&b);
}

static void test_unreadable_campaign_is_left_out(void)
{
    struct bench b;

    bench_init(&b);
    log_set_level(LOG_LEVEL_ERROR);
    rig_write_campaign(&b.rig, STORE_CAMPAIGN_CREATE, "bad", "active", "{\"nonsense\":1}");
    add(&b.rig, "good", "t");
    start(&b, 0);
    refresh(&b);
    assert_matches(b.set, "t", "good");
    rig_write_campaign(&b.rig, STORE_CAMPAIGN_UPDATE, "good", "active", "{\"nonsense\":1}");
    add(&b.rig, "better", "t");
    refresh(&b);
    assert_matches(b.set, "t", "better");
    bench_done(&b);
}

/* Too large for the limit: whole sets are refused, the one of before stays, until less is wanted.
 */
static void test_refused_set_changes_nothing(void)
{
    double refusals = metric_value(metrics_counter("matcher_refused_total", "", NULL));
    struct bench b;
    size_t limit;

    bench_init(&b);
    add_many(&b.rig, 0, 100);
    start(&b, 0);
    refresh(&b);
    limit = figures_of(b.set).bytes + 2000;
    campaigns_stop(b.campaigns);
    start(&b, limit);
    add_many(&b.rig, 100, 2000);
    remove_one(&b.rig, "m-00000");
    refresh(&b);
    g_assert_cmpuint(figures_of(b.set).rules, ==, 100);
    assert_matches(b.set, "m-00000", "m-00000");
    assert_matches(b.set, "m-00150", "");
    g_assert_cmpfloat(gauge("matcher_refused"), ==, 1);
    g_assert_cmpfloat(metric_value(metrics_counter("matcher_refused_total", "", NULL)), >,
                      refusals);
    for (int i = 99; i < 2100; i++) {
        g_autofree char *id = g_strdup_printf("m-%05d", i);

        remove_one(&b.rig, id);
    }
    wait_for(&b, has_generation, 100 + 2000 + 1 + 2001);
    g_assert_cmpuint(figures_of(b.set).rules, ==, 98);
    assert_matches(b.set, "m-00000", "");
    assert_matches(b.set, "m-00001", "m-00001");
    g_assert_cmpfloat(gauge("matcher_refused"), ==, 0);
    bench_done(&b);
}

/* Changes take more room than the index of the same campaigns: where they do not fit and it does,
 * they come in force by a new base, and not one refresh later. */
static void test_changes_that_take_much_room_are_kept(void)
{
    struct bench b;
    size_t limit;

    bench_init(&b);
    add_many(&b.rig, 0, 200);
    start(&b, 0);
    refresh(&b);
    limit = figures_of(b.set).bytes + 100;
    bench_done(&b);
    bench_init(&b);
    add_many(&b.rig, 0, 100);
    start(&b, limit);
    refresh(&b);
    for (int i = 100; i < 200; i += 20) {
        g_autofree char *last = g_strdup_printf("m-%05d", i + 19);

        add_many(&b.rig, i, 20);
        refresh(&b);
        assert_matches(b.set, last, last);
    }
    g_assert_cmpuint(figures_of(b.set).rules, ==, 200);
    g_assert_cmpfloat(gauge("matcher_refused"), ==, 0);
    bench_done(&b);
}

/* Nothing can be matched without a first set, so its failure is told, as trouble that may pass. */
static void test_first_set_may_be_refused(void)
{
    g_autoptr(GError) error = NULL;
    struct bench b;

    bench_init(&b);
    add_many(&b.rig, 0, 500);
    b.campaigns = campaigns_start(
        &(struct campaigns_options){.store = b.rig.store, .memory_max = 1000, .retry_ms = 1});
    while (!campaigns_await(b.campaigns, 1000, &error) && error == NULL)
        ;
    g_assert_error(error, EF_ERROR, EF_ERROR_RETRY);
    for (int i = 0; i < 500; i++) {
        g_autofree char *id = g_strdup_printf("m-%05d", i);

        remove_one(&b.rig, id);
    }
    do
        g_clear_error(&error);
    while (!campaigns_await(b.campaigns, 1000, &error));
    refresh(&b);
    g_assert_cmpuint(figures_of(b.set).rules, ==, 0);
    bench_done(&b);
}

/* ---- loads that something happens to --------------------------------------------------------- */

/* A store that calls back before it loads campaigns. */
struct watched {
    struct store_ops ops; /* of the rig's store, but for load_campaigns */
    void (*before)(struct watched *w, const struct store_campaign_range *range);
    struct rig *rig;
    int wholes;  /* atomic: loads of all that were begun */
    int pages;   /* atomic: pages of them */
    int changes; /* atomic: looks for changes */
    int times;   /* atomic: what is to be done so often still */
    int next;    /* the number of the next campaign that is written */
    GAsyncQueue *held, *release;
};

static bool load_watched(struct store *store, const struct store_campaign_range *range,
                         struct arena *a, struct store_campaign_page *page, GError **error)
{
    const void *ops = store->ops; /* the first member */
    struct watched *w = (struct watched *)(uintptr_t)ops;

    if (range->since != STORE_CAMPAIGNS_ALL)
        g_atomic_int_inc(&w->changes);
    else
        g_atomic_int_inc(&w->pages);
    if (range->since == STORE_CAMPAIGNS_ALL && range->after.size == 0)
        g_atomic_int_inc(&w->wholes);
    if (w->before != NULL)
        w->before(w, range);
    return store_fault_ops.load_campaigns(store, range, a, page, error);
}

static void watch(struct watched *w, struct rig *rig,
                  void (*before)(struct watched *w, const struct store_campaign_range *range))
{
    *w = (struct watched){.ops = store_fault_ops, .before = before, .rig = rig};
    w->ops.load_campaigns = load_watched;
    rig->store->ops = &w->ops;
}

static void unwatch(struct rig *rig)
{
    rig->store->ops = &store_fault_ops;
}

/* The bytes of a set of so many campaigns. */
static size_t bytes_of(int count)
{
    struct bench b;
    size_t bytes;

    bench_init(&b);
    add_many(&b.rig, 0, count);
    start(&b, 0);
    refresh(&b);
    bytes = figures_of(b.set).bytes;
    bench_done(&b);
    return bytes;
}

/* The store fails at the end of the first load, when only changes are to be looked for. */
static void test_first_load_that_fails_at_its_end_is_repeated(void)
{
    int64_t deadline_us = clock_monotonic_us() + DEADLINE_US;
    g_autoptr(GError) error = NULL;
    struct bench b;

    bench_init(&b);
    add(&b.rig, "one", "t");
    store_fault_set(b.rig.store, STORE_CALL_LOAD_CAMPAIGNS, 1, 1, EF_ERROR_RETRY);
    b.campaigns = campaigns_start(&(struct campaigns_options){.store = b.rig.store, .retry_ms = 1});
    while (!campaigns_await(b.campaigns, 1000, &error)) {
        g_assert_cmpint(clock_monotonic_us(), <, deadline_us);
        g_clear_error(&error);
    }
    refresh(&b);
    assert_matches(b.set, "t", "one");
    bench_done(&b);
}

/* Not everything is read, and kept, of campaigns that cannot fit. */
static void test_load_beyond_the_limit_ends_early(void)
{
    size_t limit = bytes_of(100);
    struct campaign_set *set = NULL;
    g_autoptr(GError) error = NULL;
    int64_t generation = -1;
    struct watched w;
    struct rig rig;

    rig_init(&rig);
    add_many(&rig, 0, 3000);
    watch(&w, &rig, NULL);
    g_assert_cmpint(
        campaign_load_all(
            &(struct campaign_load){.store = rig.store, .base_max = limit, .changes_max = limit},
            &set, &generation, &error),
        ==, CAMPAIGN_LOAD_REFUSED);
    g_assert_error(error, EF_ERROR, EF_ERROR_FULL);
    g_assert_cmpint(generation, ==, 3000);
    g_assert_null(set);
    g_assert_cmpint(w.pages, <=, 3); /* of 12 */
    unwatch(&rig);
    rig_done(&rig);
}

/* While the base was built many campaigns were written, as often as wanted. */
static void write_meanwhile(struct watched *w, const struct store_campaign_range *range)
{
    if (range->since == STORE_CAMPAIGNS_ALL || w->times == 0)
        return;
    w->times--;
    add_many(w->rig, w->next, 50);
    w->next += 50;
}

static enum campaign_load_end load_outrun(struct rig *rig, struct watched *w, int times,
                                          struct campaign_set **set, int64_t *generation,
                                          GError **error)
{
    size_t limit = bytes_of(100 + 50 * 5);

    rig_init(rig);
    add_many(rig, 0, 100);
    watch(w, rig, write_meanwhile);
    w->next = 100;
    w->times = times;
    return campaign_load_all(
        &(struct campaign_load){.store = rig->store, .base_max = limit, .changes_max = limit}, set,
        generation, error);
}

/* What fits when it is part of the index is not refused because it came while that was built. */
static void test_changes_meanwhile_are_loaded_again(void)
{
    struct campaign_set *set = NULL;
    g_autoptr(GError) error = NULL;
    int64_t generation = -1;
    struct watched w;
    struct rig rig;

    g_assert_cmpint(load_outrun(&rig, &w, 2, &set, &generation, &error), ==, CAMPAIGN_LOAD_DONE);
    g_assert_no_error(error);
    g_assert_cmpint(generation, ==, -1);
    g_assert_cmpint(w.wholes, ==, 3);
    g_assert_cmpuint(figures_of(set).base, ==, 200);
    assert_matches(set, "m-00199", "m-00199");
    campaign_set_unref(set);
    unwatch(&rig);
    rig_done(&rig);
}

static void test_load_does_not_run_after_changes_for_ever(void)
{
    struct campaign_set *set = NULL;
    g_autoptr(GError) error = NULL;
    int64_t generation = -1;
    struct watched w;
    struct rig rig;

    g_assert_cmpint(load_outrun(&rig, &w, 100, &set, &generation, &error), ==,
                    CAMPAIGN_LOAD_REFUSED);
    g_assert_error(error, EF_ERROR, EF_ERROR_FULL);
    g_assert_cmpint(generation, ==, 100 + 50 * 3); /* of the last base */
    g_assert_cmpint(w.wholes, ==, 4);
    g_assert_null(set);
    unwatch(&rig);
    rig_done(&rig);
}

/* A set may be larger than a base by its changes; such a one comes back after a restart, and no
 * larger one grows out of it. */
static void test_what_was_in_force_comes_back(void)
{
    size_t bytes = bytes_of(400), limit = bytes * 4 / 5;
    struct bench b;

    bench_init(&b);
    add_many(&b.rig, 0, 400);
    start(&b, limit);
    refresh(&b);
    g_assert_cmpuint(figures_of(b.set).rules, ==, 400);
    g_assert_cmpuint(figures_of(b.set).bytes, >, limit);
    g_assert_cmpfloat(gauge("matcher_refused"), ==, 0);
    add_many(&b.rig, 400, (int)(bytes / 2 / 6000)); /* about half as much again, as changes */
    refresh(&b);
    g_assert_cmpuint(figures_of(b.set).rules, ==, 400);
    g_assert_cmpfloat(gauge("matcher_refused"), ==, 1);
    bench_done(&b);
}

/* Loads of all wait for a word, as often as wanted. */
static void hold_loads(struct watched *w, const struct store_campaign_range *range)
{
    if (range->since != STORE_CAMPAIGNS_ALL || !g_atomic_int_dec_and_test(&w->times))
        return;
    g_async_queue_push(w->held, w);
    g_async_queue_pop(w->release);
}

/* What a refresh in a thread of its own came to. */
struct refreshing {
    struct bench *bench;
    GAsyncQueue *ended; /* of struct refreshing */
    GError *error;
};

static void *refresh_aside(void *user)
{
    struct refreshing *r = user;

    campaigns_refresh(r->bench->campaigns, &r->bench->set, &r->error);
    g_async_queue_push(r->ended, r);
    return NULL;
}

static void *pop_in_time(GAsyncQueue *queue)
{
    void *popped = g_async_queue_timeout_pop(queue, DEADLINE_US);

    g_assert_nonnull(popped);
    return popped;
}

/* A worker waits for a base whose load takes for ever: halted, it goes on at once. */
static void test_halt_ends_the_wait_for_a_base(void)
{
    struct refreshing r = {.ended = g_async_queue_new()};
    size_t limit = bytes_of(120);
    struct watched w;
    GThread *thread;
    struct bench b;

    bench_init(&b);
    r.bench = &b;
    add_many(&b.rig, 0, 100);
    watch(&w, &b.rig, hold_loads);
    w.held = g_async_queue_new();
    w.release = g_async_queue_new();
    start(&b, limit);
    refresh(&b);
    g_atomic_int_set(&w.times, 1);
    add_many(&b.rig, 100, 100);
    thread = g_thread_new("refresh", refresh_aside, &r);
    pop_in_time(w.held);
    campaigns_halt(b.campaigns);
    pop_in_time(r.ended);
    g_thread_join(thread);
    g_assert_error(r.error, EF_ERROR, EF_ERROR_STOPPED);
    g_assert_cmpuint(figures_of(b.set).rules, ==, 100);
    g_async_queue_push(w.release, &w);
    campaigns_stop(b.campaigns);
    b.campaigns = NULL;
    campaigns_halt(NULL);
    g_async_queue_unref(w.held);
    g_async_queue_unref(w.release);
    g_async_queue_unref(r.ended);
    g_clear_error(&r.error);
    unwatch(&b.rig);
    bench_done(&b);
}

/* Whoever waits for a base is told why there is none: damage is not trouble that passes. */
static void test_failure_of_a_base_is_told(void)
{
    size_t limit = bytes_of(220);
    g_autoptr(GError) error = NULL;
    struct bench b;

    bench_init(&b);
    add_many(&b.rig, 0, 100);
    start(&b, limit);
    refresh(&b);
    add_many(&b.rig, 100, 100);
    /* The worker's look at the changes passes, the load after it does not. */
    store_fault_set(b.rig.store, STORE_CALL_LOAD_CAMPAIGNS, 1, 1, EF_ERROR_CORRUPT);
    g_assert_false(campaigns_refresh(b.campaigns, &b.set, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_CORRUPT);
    g_assert_cmpuint(figures_of(b.set).rules, ==, 100);
    refresh(&b);
    g_assert_cmpuint(figures_of(b.set).rules, ==, 200);
    g_assert_cmpfloat(gauge("matcher_refused"), ==, 0);
    bench_done(&b);
}

/* An index for events that have all values of "u" lists twenty values of "v" for each campaign
 * instead of one of "u". */
static void add_of_two_fields(struct rig *rig, int number)
{
    g_autofree char *id = g_strdup_printf("two-%03d", number);
    g_autoptr(GString) rules = g_string_new(NULL);

    g_string_append_printf(rules, "{\"payload\":{\"u\":[\"u%d\"],\"v\":[\"v%d\"", number, number);
    for (int i = 0; i < 20; i++)
        g_string_append_printf(rules, ",\"v%d-%d\"", number, i);
    g_string_append(rules, "]}}");
    rig_add_campaign(rig, id, rules->str);
}

static void sample_of_two_fields(struct campaigns *c, int count)
{
    g_autoptr(GString) event = g_string_new("{\"payload\":{\"u\":[\"u0\"");

    for (int i = 1; i < count; i++)
        g_string_append_printf(event, ",\"u%d\"", i);
    g_string_append(event, "]}}");
    for (int i = 0; i < 100; i++)
        campaigns_sample(c, slice_text(event->str));
}

static double refusals(void)
{
    return metric_value(metrics_counter("matcher_refused_total", "", NULL));
}

/* A new index was only to be faster: as the one in force fits and has every change, it goes on. */
static void test_refused_rebuild_does_not_stop_changes(void)
{
    int64_t deadline_us = clock_monotonic_us() + DEADLINE_US;
    double before = refusals();
    struct bench b;
    size_t limit;

    bench_init(&b);
    for (int i = 0; i < 200; i++)
        add_of_two_fields(&b.rig, i);
    start(&b, 0);
    refresh(&b);
    limit = figures_of(b.set).bytes + 200;
    campaigns_stop(b.campaigns);
    start(&b, limit);
    sample_of_two_fields(b.campaigns, 200);
    refresh(&b);
    campaigns_note(b.campaigns, 10000, 10000 * 100); /* built without a sample: built again */
    while (refusals() == before) {
        g_assert_cmpint(clock_monotonic_us(), <, deadline_us);
        g_usleep(500);
    }
    g_assert_cmpfloat(gauge("matcher_refused"), ==, 0);
    remove_one(&b.rig, "two-007");
    refresh(&b);
    g_assert_cmpuint(figures_of(b.set).rules, ==, 199);
    bench_done(&b);
}

static void test_trouble_of_the_store_passes(void)
{
    g_autoptr(GError) error = NULL;
    struct campaign_set *before;
    struct bench b;

    bench_init(&b);
    add(&b.rig, "one", "t");
    store_fault_set(b.rig.store, STORE_CALL_LOAD_CAMPAIGNS, 0, 2, EF_ERROR_RETRY);
    b.campaigns = campaigns_start(&(struct campaigns_options){.store = b.rig.store, .retry_ms = 1});
    while (!campaigns_await(b.campaigns, 1000, &error) && error == NULL)
        ;
    g_assert_error(error, EF_ERROR, EF_ERROR_RETRY);
    do
        g_clear_error(&error);
    while (!campaigns_await(b.campaigns, 1000, &error));
    refresh(&b);
    assert_matches(b.set, "t", "one");
    before = campaign_set_ref(b.set);
    add(&b.rig, "two", "t");
    store_fault_set(b.rig.store, STORE_CALL_LOAD_CAMPAIGNS, 0, 1, EF_ERROR_RETRY);
    g_assert_false(campaigns_refresh(b.campaigns, &b.set, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_RETRY);
    g_assert_true(before == b.set);
    refresh(&b);
    assert_matches(b.set, "t", "one two");
    campaign_set_unref(before);
    bench_done(&b);
}

/* Lots are to be loaded, and nobody waits for it. */
static void test_stops_while_it_loads(void)
{
    struct bench b;

    bench_init(&b);
    add_many(&b.rig, 0, 3000);
    b.campaigns = campaigns_start(&(struct campaigns_options){.store = b.rig.store});
    campaigns_stop(b.campaigns);
    b.campaigns = NULL;
    bench_done(&b);
    campaigns_stop(NULL);
}

/* ---- many at once ---------------------------------------------------------------------------- */

#define ROUNDS 400

struct crowd {
    struct bench bench;
    gint written; /* atomic: campaign n was stored before this became n + 1 */
};

/* Writes a campaign, says so, and now and then takes an old one away. */
static void *write_campaigns(void *user)
{
    struct crowd *crowd = user;

    for (int i = 0; i < ROUNDS; i++) {
        g_autofree char *old = g_strdup_printf("m-%05d", i - ROUNDS / 2);

        add_many(&crowd->bench.rig, i, 1);
        g_atomic_int_set(&crowd->written, i + 1);
        if (i >= ROUNDS / 2)
            remove_one(&crowd->bench.rig, old);
    }
    return NULL;
}

/* Whatever was said to be stored before the refresh is in force after it. */
static void *use_campaigns(void *user)
{
    struct crowd *crowd = user;
    struct campaign_set *set = NULL;
    g_autoptr(GError) error = NULL;
    int written;

    do {
        g_autofree char *id = NULL;
        g_autofree char *found = NULL;

        written = g_atomic_int_get(&crowd->written);
        campaigns_refresh(crowd->bench.campaigns, &set, &error);
        g_assert_no_error(error);
        id = g_strdup_printf("m-%05d", written - 1);
        found = matches(set, id);
        /* Unless it is so old by now that it may have been taken away. */
        if (written > 0 && g_atomic_int_get(&crowd->written) - written < ROUNDS / 4)
            g_assert_cmpstr(found, ==, id);
        campaigns_sample(crowd->bench.campaigns, slice_text("{\"event_type\":\"t\"}"));
        campaigns_note(crowd->bench.campaigns, 5000, (uint64_t)written * 5000);
    } while (written < ROUNDS);
    campaign_set_unref(set);
    return NULL;
}

static void test_many_threads(void)
{
    struct crowd crowd = {0};
    GThread *threads[4];

    bench_init(&crowd.bench);
    start(&crowd.bench, 0);
    threads[0] = g_thread_new("write", write_campaigns, &crowd);
    for (size_t i = 1; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("use", use_campaigns, &crowd);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    refresh(&crowd.bench);
    g_assert_cmpuint(figures_of(crowd.bench.set).rules, ==, ROUNDS / 2);
    bench_done(&crowd.bench);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/campaigns/first_set_has_what_is_stored", test_first_set);
    g_test_add_func("/campaigns/change_is_in_the_next_set", test_change_is_in_the_next_set);
    g_test_add_func("/campaigns/base_is_built_when_much_changed",
                    test_base_is_built_when_much_changed);
    g_test_add_func("/campaigns/base_is_built_when_events_change",
                    test_base_is_built_when_events_change);
    g_test_add_func("/campaigns/unreadable_campaign_is_left_out",
                    test_unreadable_campaign_is_left_out);
    g_test_add_func("/campaigns/refused_set_changes_nothing", test_refused_set_changes_nothing);
    g_test_add_func("/campaigns/changes_that_take_much_room_are_kept",
                    test_changes_that_take_much_room_are_kept);
    g_test_add_func("/campaigns/first_set_may_be_refused", test_first_set_may_be_refused);
    g_test_add_func("/campaigns/first_load_that_fails_at_its_end_is_repeated",
                    test_first_load_that_fails_at_its_end_is_repeated);
    g_test_add_func("/campaigns/load_beyond_the_limit_ends_early",
                    test_load_beyond_the_limit_ends_early);
    g_test_add_func("/campaigns/changes_meanwhile_are_loaded_again",
                    test_changes_meanwhile_are_loaded_again);
    g_test_add_func("/campaigns/load_does_not_run_after_changes_for_ever",
                    test_load_does_not_run_after_changes_for_ever);
    g_test_add_func("/campaigns/what_was_in_force_comes_back", test_what_was_in_force_comes_back);
    g_test_add_func("/campaigns/halt_ends_the_wait_for_a_base", test_halt_ends_the_wait_for_a_base);
    g_test_add_func("/campaigns/failure_of_a_base_is_told", test_failure_of_a_base_is_told);
    g_test_add_func("/campaigns/refused_rebuild_does_not_stop_changes",
                    test_refused_rebuild_does_not_stop_changes);
    g_test_add_func("/campaigns/trouble_of_the_store_passes", test_trouble_of_the_store_passes);
    g_test_add_func("/campaigns/stops_while_it_loads", test_stops_while_it_loads);
    g_test_add_func("/campaigns/many_threads_see_what_was_stored_before", test_many_threads);
    return g_test_run();
}
