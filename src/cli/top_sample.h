/* top_sample: the numbers of a running server at one moment, from what its routes answer. Pure.
 *
 *   GET /metrics/summary ─┐
 *   GET /metrics ─────────┼─▶ struct top_sample ─▶ two of them: rates, percentiles
 *   GET /matches ─────────┘
 *
 * The books of the summary go on over a restart of the server, the counters and histograms of
 * /metrics begin at 0 again: a count that became smaller is taken as one that began anew.
 */
#ifndef CLI_TOP_SAMPLE_H
#define CLI_TOP_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

#define TOP_BUCKETS_MAX   32
#define TOP_STATUSES_MAX  16
#define TOP_CAMPAIGNS_MAX 10
#define TOP_NEWEST        200 /* newest matches that the campaigns are counted in */
#define TOP_NAME_SIZE     129 /* bytes of a campaign's id, with a NUL */

/* A histogram of Prometheus: counts are cumulative. */
struct top_histogram {
    double bounds[TOP_BUCKETS_MAX]; /* upper limits; the last one is infinite */
    double counts[TOP_BUCKETS_MAX];
    int size;
};

/* How often POST /events was answered with one status. */
struct top_status {
    int status;
    double count;
};

struct top_campaign {
    char name[TOP_NAME_SIZE]; /* safe for a terminal */
    int matches;              /* of the newest ones */
};

struct top_sample {
    int64_t at_us; /* monotonic, when it was taken */
    int64_t received, processed, failed, duplicate, waiting, matches;
    int64_t retrying, failed_open, campaigns_active;
    double oldest_seconds;  /* how long the oldest waiting event has waited */
    double started_seconds; /* when the process began, since 1970; 0: unknown */
    double memory_bytes, connections;
    struct top_histogram commit; /* queue.db: one durable append, the sync in it */
    struct top_histogram settle; /* eventflow.db: one transaction */
    struct top_histogram lag;    /* from arrival to the durable end of an event */
    struct top_status statuses[TOP_STATUSES_MAX];
    int status_count;
    struct top_campaign campaigns[TOP_CAMPAIGNS_MAX]; /* most matches first */
    int campaign_count;
    int matches_seen; /* all that were looked at */
};

/* Reads the answer of /metrics/summary. false: it is none. */
bool top_sample_read_summary(struct top_sample *s, struct slice json);

/* Takes what it knows out of the answer of /metrics. */
void top_sample_read_metrics(struct top_sample *s, struct slice text);

/* Counts the campaigns in the answer of /matches. */
void top_sample_read_matches(struct top_sample *s, struct slice json);

/* The growth of a count from one moment to another: never negative, see above. */
double top_growth(double before, double now);

/* The value below which the given share of what was observed between two moments lies, between the
 * limits of its bucket in proportion. Negative: nothing was observed. The largest finite limit
 * stands for everything above it.
 * Source: Prometheus' histogram_quantile. */
double top_quantile(const struct top_histogram *before, const struct top_histogram *now,
                    double share);

#endif
