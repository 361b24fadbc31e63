/* How many outcomes a second the SQLite store settles: append-only, one match each, batches of 1,
 * 128 and 1024, on the file system of the folder given (default: a temporary one). Then how long
 * reopening (rebuilding the index of ids) and looking up take. Prints medians of rounds. */
#include "store/store.h"

#include "common/clock.h"

#include <glib/gstdio.h>

#include <sys/resource.h>

#define ROUNDS 5

struct bench {
    struct store *s;
    int64_t seq;
    struct arena arena;
};

static void fill(struct bench *b, struct store_outcome *outcomes, struct store_match *matches,
                 size_t count)
{
    arena_reset(&b->arena);
    for (size_t i = 0; i < count; i++) {
        const char *id = arena_printf(&b->arena, "%08x-%04x-4%03x-8%03x-%012" G_GINT64_MODIFIER "x",
                                      g_random_int(), g_random_int() & 0xffff,
                                      g_random_int() & 0xfff, g_random_int() & 0xfff, b->seq + 1);

        matches[i] =
            (struct store_match){.campaign_id = SLICE("big-purchase"),
                                 .campaign_version = 3,
                                 .rewards = SLICE("[{\"type\":\"points\",\"amount\":50}]")};
        outcomes[i] = (struct store_outcome){
            .kind = STORE_PROCESSED,
            .seq = ++b->seq,
            .event_id = slice_text(id),
            .source = SLICE("web"),
            .event_type = SLICE("purchase"),
            .customer_id = slice_text(arena_printf(&b->arena, "c%u", g_random_int() % 100000)),
            .correlation_id = slice_text(id),
            .at_us = clock_now_us(),
            .received_at_us = clock_now_us(),
            .finished_at_us = clock_now_us(),
            .processing_us = 50,
            .worker_id = "worker-1",
            .attempt = 1,
            .digest = hash128(slice_text(id)),
            .matches = &matches[i],
            .match_count = 1,
        };
    }
}

static int compare(gconstpointer a, gconstpointer b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* This thread's CPU time: on a busy machine the wall clock says little. */
static int64_t cpu_us(void)
{
    struct rusage use;

    getrusage(RUSAGE_THREAD, &use);
    return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * G_USEC_PER_SEC + use.ru_utime.tv_usec +
           use.ru_stime.tv_usec;
}

struct round {
    double per_second; /* first: rounds are sorted by it */
    double cpu_us;     /* each */
};

/* One round: seen + settle, as the worker does. */
static struct round run_round(struct bench *b, size_t batch, size_t total)
{
    g_autofree struct store_outcome *outcomes = g_new0(struct store_outcome, batch);
    g_autofree struct store_match *matches = g_new0(struct store_match, batch);
    g_autofree struct store_key *keys = g_new0(struct store_key, batch);
    g_autofree struct store_seen *seen = g_new0(struct store_seen, batch);
    int64_t spent_us = 0, spent_cpu_us = 0;

    for (size_t done = 0; done < total; done += batch) {
        struct store_settlement what = {.outcomes = outcomes, .count = batch};
        int64_t start_us, start_cpu_us;

        fill(b, outcomes, matches, batch);
        what.position = b->seq;
        start_us = clock_monotonic_us();
        start_cpu_us = cpu_us();
        for (size_t i = 0; i < batch; i++)
            keys[i] =
                (struct store_key){outcomes[i].source, outcomes[i].event_id, outcomes[i].digest};
        if (!store_seen(b->s, keys, batch, seen, NULL) || !store_settle(b->s, &what, NULL))
            g_error("settle failed");
        spent_us += clock_monotonic_us() - start_us;
        spent_cpu_us += cpu_us() - start_cpu_us;
    }
    return (struct round){(double)total * 1e6 / (double)spent_us,
                          (double)spent_cpu_us / (double)total};
}

static void run(struct bench *b, size_t batch, size_t total)
{
    struct round rounds[ROUNDS];

    for (size_t i = 0; i < ROUNDS; i++)
        rounds[i] = run_round(b, batch, total);
    qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
    g_print("settle batch=%-5zu %9.0f outcomes/s  (%.2f us each, %.2f us of CPU)\n", batch,
            rounds[ROUNDS / 2].per_second, 1e6 / rounds[ROUNDS / 2].per_second,
            rounds[ROUNDS / 2].cpu_us);
}

static void ignore_row(const struct store_row *row, void *user)
{
    (void)row;
    (void)user;
}

static void look_up(struct bench *b, const char *what, struct store_query q)
{
    int64_t start_us = clock_monotonic_us();
    struct store_page page;

    for (int i = 0; i < 100; i++)
        if (!store_list(b->s, &q, &b->arena, ignore_row, NULL, &page, NULL))
            g_error("list failed");
    g_print("list %-28s %8.1f us\n", what, (double)(clock_monotonic_us() - start_us) / 100.0);
}

int main(int argc, char **argv)
{
    char *folder = argc > 1 ? g_strdup(argv[1]) : g_dir_make_tmp("eventflow-bench-XXXXXX", NULL);
    struct store_options options = {.folder = folder};
    size_t total = argc > 2 ? (size_t)g_ascii_strtoull(argv[2], NULL, 10) : 100 * 1024;
    struct bench b = {.s = store_open(&store_sqlite_ops, &options, NULL)};
    struct store_summary sum;
    int64_t start_us;

    if (b.s == NULL || !store_get_summary(b.s, &sum, NULL))
        g_error("cannot open");
    b.seq = sum.position;
    run(&b, 1, 2000);
    run(&b, 128, total / 4);
    run(&b, 1024, total);
    look_up(&b, "100 newest events", (struct store_query){.limit = 100});
    look_up(&b, "by id, unknown",
            (struct store_query){.event_id = SLICE("no such event"), .limit = 100});
    look_up(&b, "by customer, scan 10000",
            (struct store_query){.customer_id = SLICE("c7"), .limit = 100, .scan_max = 10000});
    look_up(&b, "100 matches of a campaign",
            (struct store_query){
                .view = STORE_MATCHES, .campaign_id = SLICE("big-purchase"), .limit = 100});
    store_get_summary(b.s, &sum, NULL);
    store_close(b.s);
    start_us = clock_monotonic_us();
    b.s = store_open(&store_sqlite_ops, &options, NULL);
    g_print("reopen with %" G_GINT64_FORMAT " events %.0f ms, index %.1f MB\n", sum.processed,
            (double)(clock_monotonic_us() - start_us) / 1000.0, (double)sum.dedupe_memory / 1e6);
    store_close(b.s);
    arena_done(&b.arena);
    g_free(folder);
    return 0;
}
