/* housekeeper: one thread, one round a second, no state of its own but the gauges.
 *
 * What it reads is either in memory (queue, process) or one row (store). An error costs one
 * round: the gauges keep their values and the next round tries again.
 * Deliberately missing: alarms. What a value means is for whoever watches the metrics. */
#include "worker/housekeeper.h"

#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"

#define INTERVAL_DEFAULT_MS 1000

/* Index into gauge_texts and the struct's gauges. */
enum gauge {
    GAUGE_QUEUE_DEPTH,
    GAUGE_OLDEST_WAITING,
    GAUGE_PENDING,
    GAUGE_CAMPAIGNS,
    GAUGE_DEDUPE_ENTRIES,
    GAUGE_DEDUPE_MEMORY,
    GAUGE_DEDUPE_ON_DISK,
    GAUGE_FAILURES_OPEN,
    GAUGE_DISK_FULL,
    GAUGE_RESIDENT,
    GAUGE_OPEN_FDS,
    GAUGE_START_TIME,
    GAUGE_COUNT,
};

/* Names that begin with process_ are Prometheus' own.
 * Source: https://prometheus.io/docs/instrumenting/writing_clientlibs (process metrics). */
static const struct {
    const char *name, *help;
} gauge_texts[GAUGE_COUNT] = {
    [GAUGE_QUEUE_DEPTH] = {"queue_depth", "Messages published and not done yet."},
    [GAUGE_OLDEST_WAITING] = {"queue_oldest_waiting_seconds",
                              "Age of the oldest message that is not done, 0 when none waits."},
    [GAUGE_PENDING] = {"pending_messages", "Messages that failed and will be tried again."},
    [GAUGE_CAMPAIGNS] = {"campaigns_active", "Campaigns that are active."},
    [GAUGE_DEDUPE_ENTRIES] = {"dedupe_entries", "Event ids known to the duplicate index."},
    [GAUGE_DEDUPE_MEMORY] = {"dedupe_memory_bytes", "Memory of the duplicate index."},
    [GAUGE_DEDUPE_ON_DISK] = {"dedupe_on_disk",
                              "1 when the duplicate index outgrew its memory, else 0."},
    [GAUGE_FAILURES_OPEN] = {"failed_events_open", "Failed events that were not replayed."},
    [GAUGE_DISK_FULL] = {"disk_full", "1 while the disk takes no writes, else 0."},
    [GAUGE_RESIDENT] = {"process_resident_memory_bytes", "Resident memory size in bytes."},
    [GAUGE_OPEN_FDS] = {"process_open_fds", "Number of open file descriptors."},
    [GAUGE_START_TIME] = {"process_start_time_seconds",
                          "Start time of the process since unix epoch in seconds."},
};

struct housekeeper {
    struct housekeeper_options options; /* immutable */
    struct metric *gauges[GAUGE_COUNT]; /* immutable */
    GThread *thread;
    GMutex lock;
    GCond wake;
    bool is_stopping; /* under lock */
};

/* In memory: never waits. */
static void look_at_queue(struct housekeeper *h)
{
    struct queue_stats stats = {0};
    int64_t age_us = 0;

    queue_get_stats(h->options.queue, &stats);
    if (stats.oldest_waiting_us > 0)
        age_us = MAX(0, clock_now_us() - stats.oldest_waiting_us);
    metric_set(h->gauges[GAUGE_QUEUE_DEPTH], (double)stats.waiting);
    metric_set(h->gauges[GAUGE_OLDEST_WAITING], (double)age_us / 1e6);
    /* seq grows by one with every message, so the last one counts them. */
    if (h->options.received_rate != NULL)
        rate_sample(h->options.received_rate, clock_monotonic_us(), (uint64_t)stats.last_seq);
}

/* May wait for the store; the next round is then late, which the rates allow for. */
static void look_at_store(struct housekeeper *h)
{
    struct store_summary summary = {0};
    g_autoptr(GError) error = NULL;

    if (!store_get_summary(h->options.store, &summary, &error)) {
        log_warn(LOG_MSG("the store's counters cannot be read, carrying on"),
                 LOG_STRING("error", error->message));
        return;
    }
    metric_set(h->gauges[GAUGE_PENDING], (double)summary.retrying);
    metric_set(h->gauges[GAUGE_CAMPAIGNS], (double)summary.campaigns_active);
    metric_set(h->gauges[GAUGE_DEDUPE_ENTRIES], (double)summary.dedupe_entries);
    metric_set(h->gauges[GAUGE_DEDUPE_MEMORY], (double)summary.dedupe_memory);
    metric_set(h->gauges[GAUGE_DEDUPE_ON_DISK], summary.dedupe_on_disk ? 1 : 0);
    metric_set(h->gauges[GAUGE_FAILURES_OPEN], (double)summary.failures_open);
    if (h->options.processed_rate != NULL)
        rate_sample(h->options.processed_rate, clock_monotonic_us(), (uint64_t)summary.processed);
}

/* Units: bytes; 0 when it cannot be read. Source: proc(5), statm: the second number is the resident
 * set in pages. */
static double resident_memory(void)
{
    g_autofree char *text = NULL;
    char *second;

    if (!g_file_get_contents("/proc/self/statm", &text, NULL, NULL))
        return 0;
    second = strchr(text, ' ');
    if (second == NULL)
        return 0;
    return (double)g_ascii_strtoull(second, NULL, 10) * (double)sysconf(_SC_PAGESIZE);
}

/* The one that reads the folder is not counted. */
static double open_fds(void)
{
    g_autoptr(GDir) folder = g_dir_open("/proc/self/fd", 0, NULL);
    int count = -1;

    if (folder == NULL)
        return 0;
    while (g_dir_read_name(folder) != NULL)
        count++;
    return count;
}

/* Two small files of /proc; where they are missing the gauges show 0. */
static void look_at_process(struct housekeeper *h)
{
    metric_set(h->gauges[GAUGE_RESIDENT], resident_memory());
    metric_set(h->gauges[GAUGE_OPEN_FDS], open_fds());
}

/* While the disk is full this is what ends it, when nobody sends any more. */
static void look_at_disk(struct housekeeper *h)
{
    disk_watch_probe(h->options.disk);
    metric_set(h->gauges[GAUGE_DISK_FULL], disk_watch_is_full(h->options.disk) ? 1 : 0);
}

/* false = stopped. Until the next round is due, or until stop, whatever comes first. The clock is
 * the monotonic one, so a changed wall clock neither hurries nor delays a round. */
static bool wait_for_next(struct housekeeper *h)
{
    int64_t until_us = g_get_monotonic_time() + h->options.interval_ms * 1000;
    bool is_woken = true;
    bool answer;

    g_mutex_lock(&h->lock);
    while (!h->is_stopping && is_woken)
        is_woken = g_cond_wait_until(&h->wake, &h->lock, until_us);
    answer = !h->is_stopping;
    g_mutex_unlock(&h->lock);
    return answer;
}

/* The first round comes before the first wait: the metrics are complete as soon as the server
 * answers. */
static void *housekeeper_main(void *user)
{
    struct housekeeper *h = user;

    do {
        look_at_queue(h);
        look_at_store(h);
        look_at_process(h);
        look_at_disk(h);
    } while (wait_for_next(h));
    return NULL;
}

struct housekeeper *housekeeper_start(const struct housekeeper_options *options)
{
    struct housekeeper *h = g_new0(struct housekeeper, 1);

    h->options = *options;
    if (h->options.interval_ms == 0)
        h->options.interval_ms = INTERVAL_DEFAULT_MS;
    if (h->options.started_us == 0)
        h->options.started_us = clock_now_us();
    for (int i = 0; i < GAUGE_COUNT; i++)
        h->gauges[i] = metrics_gauge(gauge_texts[i].name, gauge_texts[i].help, NULL);
    metric_set(h->gauges[GAUGE_START_TIME], (double)h->options.started_us / 1e6);
    g_mutex_init(&h->lock);
    g_cond_init(&h->wake);
    h->thread = g_thread_new("housekeeper", housekeeper_main, h);
    return h;
}

void housekeeper_stop(struct housekeeper *h)
{
    if (h == NULL)
        return;
    g_mutex_lock(&h->lock);
    h->is_stopping = true;
    g_cond_signal(&h->wake);
    g_mutex_unlock(&h->lock);
    g_thread_join(h->thread);
    g_cond_clear(&h->wake);
    g_mutex_clear(&h->lock);
    g_free(h);
}
