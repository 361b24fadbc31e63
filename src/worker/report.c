/* report: metrics and log lines of what was settled. Never a payload.
 *
 * Called after the commit, so a counter never runs ahead of the store. Counters are added once
 * for a range and histograms once for each run of equal values: their cost does not grow with
 * the load. */
#include "common/clock.h"
#include "common/log.h"
#include "worker/campaigns.h"
#include "worker/worker_private.h"

/* From what few campaigns take to what would be felt. */
static const double MATCH_SECONDS[] = {2.5e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 1e-5,
                                       2.5e-5, 5e-5, 1e-4, 1e-3,   1e-2, 1e-1};
static const double CANDIDATES[] = {1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 100000};

void report_init(struct worker_metrics *m)
{
    m->processed = metrics_counter("events_processed_total", "Events processed.", NULL);
    m->failed = metrics_counter("events_failed_total", "Events set aside in failed_events.", NULL);
    m->duplicate = metrics_counter("events_duplicate_total",
                                   "Events that had been processed before, same body.", NULL);
    m->retried = metrics_counter("events_retried_total",
                                 "Failed attempts after which the event is tried again.", NULL);
    m->matches = metrics_counter("campaign_matches_total", "Campaigns matched by events.", NULL);
    m->active_workers = metrics_gauge("active_workers", "Workers that are running.", NULL);
    m->duration = metrics_histogram("event_processing_duration_seconds",
                                    "From the worker taking an event to its end being durable.",
                                    NULL, METRICS_SECONDS, METRICS_SECONDS_COUNT);
    m->batch_size = metrics_histogram("worker_batch_size", "Messages taken from the queue at once.",
                                      NULL, METRICS_BATCH, METRICS_BATCH_COUNT);
    m->match_seconds =
        metrics_histogram("event_match_duration_seconds",
                          "Time to find the campaigns of one event, average of its batch.", NULL,
                          MATCH_SECONDS, G_N_ELEMENTS(MATCH_SECONDS));
    m->candidates = metrics_histogram("event_match_candidates",
                                      "Campaigns looked at for one event, average of its batch.",
                                      NULL, CANDIDATES, G_N_ELEMENTS(CANDIDATES));
    m->lag = metrics_histogram("event_lag_seconds",
                               "From the arrival of an event to its end being durable.", NULL,
                               METRICS_SECONDS, METRICS_SECONDS_COUNT);
}

/* The wall clock may have been set back: no negative durations. */
static double seconds_between(int64_t from_us, int64_t until_us)
{
    return until_us > from_us ? (double)(until_us - from_us) / 1e6 : 0;
}

/* A retry is no end yet, and of a lost message nobody knows when it came. */
static bool has_lag(const struct item *item)
{
    return item->state == ITEM_ENDED && item->kind != STORE_RETRY &&
           item->message->published_at_us > 0;
}

/* How many items from the first on have an end and came together with the first. */
static size_t lag_run(const struct item *items, size_t count)
{
    size_t n = 0;

    while (n < count && has_lag(&items[n]) &&
           items[n].message->published_at_us == items[0].message->published_at_us)
        n++;
    return n;
}

/* Messages committed together carry the same arrival time: one observation for each run of them. */
static void observe_lag(struct worker *w, const struct item *items, size_t count)
{
    int64_t now_us = clock_now_us();
    size_t run;

    for (size_t i = 0; i < count; i += MAX(run, 1)) {
        run = lag_run(items + i, count - i);
        if (run > 0)
            metric_observe_n(w->metrics.lag,
                             seconds_between(items[i].message->published_at_us, now_us), run);
    }
}

/* The error text may quote the event, so it stays in the table; the log names where to look. One
 * line for each event that did not make it; the others are counted only. */
static void log_end(const struct item *item)
{
    /* What could not be decoded is named by the key under which the intake took it. */
    struct slice event_id = item->has_event ? item->event.event_id : item->message->key;

    if (item->kind == STORE_FAILED)
        log_warn(LOG_MSG("event failed and was set aside"), LOG_TEXT("event_id", event_id),
                 LOG_TEXT("correlation_id", item->correlation), LOG_STRING("reason", item->reason),
                 LOG_INT("attempts", item->attempt), LOG_INT("seq", item->message->seq));
    else if (item->kind == STORE_RETRY)
        log_warn(LOG_MSG("event failed and will be tried again"), LOG_TEXT("event_id", event_id),
                 LOG_TEXT("correlation_id", item->correlation), LOG_STRING("reason", item->reason),
                 LOG_INT("attempts", item->attempt), LOG_INT("seq", item->message->seq));
}

/* The averages of the run, once for all its events. */
static void report_matching(struct worker *w, const struct pipeline_tally *tally)
{
    double events = (double)tally->matched;

    if (tally->matched == 0)
        return;
    metric_observe_n(w->metrics.match_seconds, (double)tally->match_us / 1e6 / events,
                     tally->matched);
    metric_observe_n(w->metrics.candidates, (double)tally->candidates / events, tally->matched);
    campaigns_note(w->options.campaigns, tally->matched, tally->candidates);
}

void report_settled(struct worker *w, const struct item *items, size_t count)
{
    const struct pipeline_tally *tally = &w->lane->pipeline.tally;
    /* Of the whole batch so far: an event is not done before its commit is. */
    double duration = seconds_between(w->lane->pipeline.begun_us, clock_monotonic_us());

    metric_add(w->metrics.processed, tally->processed);
    metric_add(w->metrics.failed, tally->failed);
    metric_add(w->metrics.duplicate, tally->duplicate);
    metric_add(w->metrics.retried, tally->retried);
    metric_add(w->metrics.matches, tally->matches);
    metric_observe_n(w->metrics.duration, duration,
                     tally->processed + tally->failed + tally->duplicate);
    observe_lag(w, items, count);
    report_matching(w, tally);
    /* The usual batch has no failure: no need to look at its items. */
    if (tally->failed + tally->retried == 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (items[i].state == ITEM_ENDED)
            log_end(&items[i]);
}
