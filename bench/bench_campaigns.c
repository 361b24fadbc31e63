/* Times live changes of the campaigns in force: what one change costs among many campaigns, when it
 * is in force, and what matching feels of a new index that is built meanwhile.
 *
 *   bench_campaigns [CAMPAIGNS]     100000 unless said otherwise; the store is in /dev/shm
 */
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "match/workload.h"
#include "store/store.h"
#include "worker/campaigns.h"

#define CHANGES  30000
#define QUIET_US (INT64_C(3) * 1000000)
#define EVENTS   2000 /* different ones */

struct bench {
    struct workload *workload;
    uint32_t count;
    struct flat *events; /* EVENTS of them */
    GPtrArray *bodies;   /* GString */
    struct store *store;
    struct campaigns *campaigns;
    struct campaign_set *set;
    struct matcher_run *run;
    struct arena arena;
};

static int64_t now_ns(void)
{
    return g_get_monotonic_time() * 1000;
}

/* A document whose rules are the workload's pattern of that number. Owned by caller. */
static char *document(const struct bench *b, const char *id, uint32_t pattern)
{
    g_autoptr(GString) rules = g_string_new(NULL);

    workload_write_pattern(b->workload, pattern, rules);
    return g_strdup_printf("{\"id\":\"%s\",\"name\":\"%s\",\"status\":\"active\",\"rules\":%s,"
                           "\"then\":[{\"type\":\"credit\",\"amount\":10,\"unit\":\"USD\"}]}",
                           id, id, rules->str);
}

static struct campaign *parse(const char *json)
{
    struct problems problems;
    struct campaign *c;

    problems_init(&problems);
    c = campaign_parse(slice_text(json), SLICE(""), &problems);
    if (c == NULL) {
        g_autofree char *text = problems_text(&problems);

        g_error("%s: %s", json, text);
    }
    problems_done(&problems);
    return c;
}

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Sorts the times. */
static void print_times(const char *name, GArray *times_ns)
{
    int64_t *t = (int64_t *)(void *)times_ns->data;
    guint n = times_ns->len;
    int64_t sum = 0;

    qsort(t, n, sizeof(*t), compare_times);
    for (guint i = 0; i < n; i++)
        sum += t[i];
    g_print("%-34s %9.1f us mean %9.1f p50 %9.1f p99 %9.1f p99.9 %9.1f max (%u)\n", name,
            (double)sum / n / 1e3, (double)t[n / 2] / 1e3, (double)t[(uint64_t)n * 99 / 100] / 1e3,
            (double)t[(uint64_t)n * 999 / 1000] / 1e3, (double)t[n - 1] / 1e3, n);
}

/* ---- matching -------------------------------------------------------------------------------- */

/* The worker's part of one event: from the flat document to the list of matches. */
static void match_one(struct bench *b, const struct campaign_set *set, size_t number,
                      GArray *times_ns)
{
    int64_t began_ns = now_ns(), took_ns;
    struct campaign_set_found found;

    /* The clock counts microseconds: 16 events at once. */
    for (size_t i = 0; i < 16; i++) {
        arena_reset(&b->arena);
        campaign_set_match(set, b->run, &b->events[(number * 16 + i) % EVENTS], &b->arena, &found);
    }
    took_ns = (now_ns() - began_ns) / 16;
    g_array_append_val(times_ns, took_ns);
}

static void measure_matching(struct bench *b, const char *name, const struct campaign_set *set)
{
    g_autoptr(GArray) times_ns = g_array_new(FALSE, FALSE, sizeof(int64_t));

    for (size_t n = 0; n < 5000; n++)
        match_one(b, set, n, times_ns);
    print_times(name, times_ns);
}

/* ---- the set alone --------------------------------------------------------------------------- */

static struct campaign_set *build_base(const struct bench *b)
{
    struct campaign_set_builder *builder = campaign_set_builder_new();
    int64_t began_us = clock_monotonic_us(), parsed_us;
    struct campaign_set_figures figures;
    struct campaign_set *set;

    for (uint32_t i = 0; i < b->count; i++) {
        g_autofree char *id = g_strdup_printf("c-%08u", i);
        g_autofree char *json = document(b, id, i);
        struct campaign *c = parse(json);

        campaign_set_builder_add(builder, c, 1);
        campaign_free(c);
    }
    for (guint i = 0; i < b->bodies->len; i++) {
        const GString *body = g_ptr_array_index(b->bodies, i);

        campaign_set_builder_sample(builder, slice_of(body->str, body->len));
    }
    parsed_us = clock_monotonic_us();
    set = campaign_set_builder_finish(builder, 1, 0, NULL);
    campaign_set_builder_free(builder);
    campaign_set_get_figures(set, &figures);
    g_print("%-34s %9.2f s (index %.2f s), %.1f MiB\n", "all campaigns, parsed and indexed",
            (double)(clock_monotonic_us() - began_us) / 1e6,
            (double)(clock_monotonic_us() - parsed_us) / 1e6, (double)figures.bytes / 1048576);
    return set;
}

/* One change, from the stored document on. */
static void time_change(const struct bench *b, struct campaign_set **set, const char *id,
                        int pattern, GArray *times_ns)
{
    g_autofree char *json = pattern < 0 ? NULL : document(b, id, (uint32_t)pattern);
    struct campaign_set_change change = {.id = slice_text(id), .version = 2};
    int64_t began_ns = now_ns(), took_ns;
    struct campaign_set *changed;

    if (json != NULL)
        change.campaign = parse(json);
    changed = campaign_set_change(*set, &change, 1, 2, 0, NULL);
    campaign_set_unref(*set);
    *set = changed;
    took_ns = now_ns() - began_ns;
    g_array_append_val(times_ns, took_ns);
}

static void measure_set(struct bench *b)
{
    g_autoptr(GArray) adds = g_array_new(FALSE, FALSE, sizeof(int64_t));
    g_autoptr(GArray) updates = g_array_new(FALSE, FALSE, sizeof(int64_t));
    g_autoptr(GArray) removals = g_array_new(FALSE, FALSE, sizeof(int64_t));
    struct campaign_set *set = build_base(b);
    struct campaign_set_figures figures;

    measure_matching(b, "an event is matched, no changes", set);
    for (uint32_t i = 0; i < CHANGES / 3; i++) {
        g_autofree char *fresh = g_strdup_printf("d-%08u", i);
        g_autofree char *old = g_strdup_printf("c-%08u", i * 7919 % b->count);
        g_autofree char *gone = g_strdup_printf("c-%08u", i * 104729 % b->count);

        time_change(b, &set, fresh, (int)(i % b->count), adds);
        time_change(b, &set, old, (int)((i + 1) % b->count), updates);
        time_change(b, &set, gone, -1, removals);
    }
    campaign_set_get_figures(set, &figures);
    print_times("a campaign is added", adds);
    print_times("a campaign is changed", updates);
    print_times("a campaign is removed", removals);
    g_array_append_vals(adds, updates->data, updates->len);
    g_array_append_vals(adds, removals->data, removals->len);
    print_times("any of the three", adds);
    g_print("%-34s %zu indexes, %zu changes, %.1f MiB\n", "without a new base", figures.indexes,
            figures.changed, (double)figures.bytes / 1048576);
    measure_matching(b, "an event is matched, all changes", set);
    campaign_set_unref(set);
}

/* ---- with a store and the thread ------------------------------------------------------------- */

static void write_campaign(struct bench *b, enum store_campaign_change change, const char *id,
                           uint32_t pattern)
{
    g_autofree char *json = document(b, id, pattern);
    struct store_campaign_write write = {.change = change,
                                         .id = slice_text(id),
                                         .name = slice_text(id),
                                         .status = SLICE("active"),
                                         .document = slice_text(json)};
    g_autoptr(GError) error = NULL;

    if (!store_write_campaign(b->store, &write, NULL, NULL, &error))
        g_error("%s", error->message);
}

static void refresh(struct bench *b)
{
    g_autoptr(GError) error = NULL;

    if (!campaigns_refresh(b->campaigns, &b->set, &error))
        g_error("%s", error->message);
}

/* Batches of 64 events with a look at the store before each, as the worker does, until the time is
 * over (until_us > 0) or there is a new base. */
static void match_until(struct bench *b, int64_t until_us, GArray *times_ns)
{
    struct campaign_set *before = campaign_set_ref(b->set);

    for (size_t n = 0;
         until_us > 0 ? clock_monotonic_us() < until_us : campaign_set_shares_base(before, b->set);
         n++) {
        if (n % 4 == 0)
            refresh(b);
        match_one(b, b->set, n, times_ns);
    }
    campaign_set_unref(before);
}

static void measure_rebuild(struct bench *b)
{
    g_autoptr(GArray) quiet = g_array_new(FALSE, FALSE, sizeof(int64_t));
    g_autoptr(GArray) building = g_array_new(FALSE, FALSE, sizeof(int64_t));
    int64_t began_us;

    match_until(b, clock_monotonic_us() + QUIET_US, quiet);
    print_times("an event is matched, quiet", quiet);
    for (int round = 0; round < 3; round++) {
        campaigns_note(b->campaigns, 10000, 1);
        campaigns_note(b->campaigns, 10000, 10000 * UINT64_C(1000000));
        began_us = clock_monotonic_us();
        match_until(b, 0, building);
        g_print("%-34s %9.2f s\n", "a new base in the background",
                (double)(clock_monotonic_us() - began_us) / 1e6);
    }
    print_times("an event is matched, meanwhile", building);
}

static void measure_visible(struct bench *b)
{
    g_autoptr(GArray) times_ns = g_array_new(FALSE, FALSE, sizeof(int64_t));

    for (uint32_t i = 0; i < 3000; i++) {
        g_autofree char *id = g_strdup_printf("c-%08u", i * 7919 % b->count);
        int64_t began_ns, took_ns;

        write_campaign(b, STORE_CAMPAIGN_UPDATE, id, i % b->count);
        began_ns = now_ns();
        refresh(b);
        took_ns = now_ns() - began_ns;
        g_array_append_val(times_ns, took_ns);
    }
    print_times("a stored change comes in force", times_ns);
}

static void measure_store(struct bench *b, const char *folder)
{
    struct store_options options = {.folder = folder};
    g_autoptr(GError) error = NULL;
    int64_t began_us;

    b->store = store_open(&store_sqlite_ops, &options, &error);
    if (b->store == NULL)
        g_error("%s", error->message);
    for (uint32_t i = 0; i < b->count; i++) {
        g_autofree char *id = g_strdup_printf("c-%08u", i);

        write_campaign(b, STORE_CAMPAIGN_CREATE, id, i);
    }
    began_us = clock_monotonic_us();
    b->campaigns = campaigns_start(&(struct campaigns_options){.store = b->store});
    while (!campaigns_await(b->campaigns, 1000, &error))
        g_assert_no_error(error);
    g_print("%-34s %9.2f s\n", "first load from the store",
            (double)(clock_monotonic_us() - began_us) / 1e6);
    for (guint i = 0; i < b->bodies->len; i++) {
        const GString *body = g_ptr_array_index(b->bodies, i);

        campaigns_sample(b->campaigns, slice_of(body->str, body->len));
    }
    refresh(b);
    measure_rebuild(b);
    measure_visible(b);
    campaigns_stop(b->campaigns);
    campaign_set_unref(b->set);
    store_close(b->store);
}

/* ---- both ------------------------------------------------------------------------------------ */

static void free_body(void *body)
{
    g_string_free(body, TRUE);
}

static void make_events(struct bench *b)
{
    b->events = g_new0(struct flat, EVENTS);
    b->bodies = g_ptr_array_new_with_free_func(free_body);
    for (size_t i = 0; i < EVENTS; i++) {
        GString *body = g_string_new(NULL);
        size_t used;

        workload_write_event(b->workload, i, body);
        flat_init(&b->events[i]);
        if (!flat_parse(&b->events[i], slice_of(body->str, body->len), 0, &used, NULL))
            g_error("an event is no JSON");
        g_ptr_array_add(b->bodies, body);
    }
}

static void remove_folder(const char *folder)
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        remove(path);
    }
    g_clear_pointer(&dir, g_dir_close);
    remove(folder);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? g_ascii_strtoull(argv[1], NULL, 10) : 100000;
    char folder[] = "/dev/shm/bench-campaigns-XXXXXX";
    struct bench b = {.count = (uint32_t)CLAMP(count, 1, WORKLOAD_RULES_MAX),
                      .run = matcher_run_new()};

    log_set_level(LOG_LEVEL_ERROR);
    b.workload =
        workload_new(&(struct workload_options){.set = WORKLOAD_MIX, .rules = b.count, .seed = 1});
    make_events(&b);
    g_print("%u campaigns\n", b.count);
    measure_set(&b);
    if (g_mkdtemp(folder) == NULL)
        g_error("no folder in /dev/shm");
    measure_store(&b, folder);
    remove_folder(folder);
    for (size_t i = 0; i < EVENTS; i++)
        flat_done(&b.events[i]);
    g_free(b.events);
    g_ptr_array_unref(b.bodies);
    arena_done(&b.arena);
    matcher_run_free(b.run);
    workload_free(b.workload);
    return 0;
}
