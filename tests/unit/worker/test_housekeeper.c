#include "worker/housekeeper.h"

#include "common/clock.h"
#include "common/metrics.h"
#include "rig.h"

struct bench {
    struct rig rig;
    struct rate *received, *processed;
    struct housekeeper *housekeeper;
};

static double gauge(const char *name)
{
    return metric_value(metrics_gauge(name, "", NULL));
}

static void bench_init(struct bench *b, int64_t interval_ms)
{
    rig_init(&b->rig);
    b->received = rate_new();
    b->processed = rate_new();
    b->housekeeper = housekeeper_start(&(struct housekeeper_options){
        .queue = b->rig.queue,
        .store = b->rig.store,
        .received_rate = b->received,
        .processed_rate = b->processed,
        .started_us = RIG_ARRIVED_US,
        .interval_ms = interval_ms,
    });
}

static void bench_done(struct bench *b)
{
    housekeeper_stop(b->housekeeper);
    rate_free(b->received);
    rate_free(b->processed);
    rig_done(&b->rig);
}

static bool has_depth(struct rig *rig, int64_t n)
{
    (void)rig;
    return (int64_t)gauge("queue_depth") == n;
}

static bool has_campaigns(struct rig *rig, int64_t n)
{
    (void)rig;
    return (int64_t)gauge("campaigns_active") == n;
}

static bool has_pending(struct rig *rig, int64_t n)
{
    (void)rig;
    return (int64_t)gauge("pending_messages") == n;
}

static bool has_dedupe(struct rig *rig, int64_t n)
{
    (void)rig;
    return (int64_t)gauge("dedupe_entries") == n;
}

static void test_queue(void)
{
    struct bench b;

    bench_init(&b, 5);
    rig_publish_many(&b.rig, "e", 7);
    rig_wait(&b.rig, has_depth, 7);
    g_assert_cmpfloat(gauge("queue_oldest_waiting_seconds"), >=, 0);
    rig_start(&b.rig);
    rig_wait(&b.rig, has_depth, 0);
    g_assert_cmpfloat(gauge("queue_oldest_waiting_seconds"), ==, 0);
    bench_done(&b);
}

static void test_store(void)
{
    struct bench b;

    bench_init(&b, 5);
    rig_add_campaign(&b.rig, "one", "{\"event_type\":[\"t\"]}");
    rig_add_campaign(&b.rig, "two", "{\"event_type\":[\"t\"]}");
    rig_wait(&b.rig, has_campaigns, 2);
    b.rig.options.backoff_ms = 3600000;
    b.rig.bad_id = "e1";
    atomic_store(&b.rig.refusals, 1000);
    rig_publish_many(&b.rig, "e", 3);
    rig_start(&b.rig);
    rig_wait(&b.rig, has_pending, 1);
    rig_wait(&b.rig, has_dedupe, 2);
    bench_done(&b);
}

static void test_process(void)
{
    struct bench b;

    bench_init(&b, 5);
    rig_publish_many(&b.rig, "p", 1);
    rig_wait(&b.rig, has_depth, 1); /* two rounds at least one of which is whole */
    rig_publish_many(&b.rig, "q", 1);
    rig_wait(&b.rig, has_depth, 2);
    g_assert_cmpfloat(gauge("process_resident_memory_bytes"), >, 100000);
    g_assert_cmpfloat(gauge("process_open_fds"), >=, 3);
    g_assert_cmpfloat(gauge("process_start_time_seconds"), ==, (double)RIG_ARRIVED_US / 1e6);
    bench_done(&b);
}

/* Each look publishes one more event, so that the counters grow between two samples. */
static bool has_rates(struct rig *rig, int64_t n)
{
    struct bench *b = (struct bench *)(void *)rig; /* its first member */
    g_autofree char *id = g_strdup_printf("e%u", rig->published->len);

    rig_publish_event(rig, id, (int)n);
    return rate_get(b->received, 60) > 0 && rate_get(b->processed, 60) > 0;
}

static void test_rates(void)
{
    struct bench b;

    bench_init(&b, 20);
    rig_start(&b.rig);
    rig_wait(&b.rig, has_rates, 1);
    bench_done(&b);
}

static void test_stop(void)
{
    struct bench b;
    int64_t start_us = clock_monotonic_us();

    bench_init(&b, 24 * 3600 * 1000); /* would wait a day */
    bench_done(&b);
    g_assert_cmpint(clock_monotonic_us() - start_us, <, INT64_C(30) * 1000000);
    housekeeper_stop(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/housekeeper/shows_how_deep_the_queue_is", test_queue);
    g_test_add_func("/housekeeper/shows_the_stores_counters", test_store);
    g_test_add_func("/housekeeper/shows_the_process", test_process);
    g_test_add_func("/housekeeper/samples_both_rates", test_rates);
    g_test_add_func("/housekeeper/stops_without_waiting_for_the_next_round", test_stop);
    return g_test_run();
}
