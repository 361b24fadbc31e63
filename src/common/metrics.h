/* metrics: counters, gauges and histograms, rendered as Prometheus text format 0.0.4.
 *
 * A module asks for its metrics once, at start, and keeps the pointers; updating one is a relaxed
 * atomic add, so any thread may do it in the hot path. Asking again for the same name and labels
 * gives the same metric. Metrics live as long as the process.
 */
#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

#include <stdint.h>

#include <glib.h>

/* Opaque; never freed. */
struct metric;

/* name: Prometheus' rules, base units, counters end in _total. help: one sentence.
 * labels: already rendered, e.g. "route=\"/events\",status=\"202\"", or NULL. Bounded sets only. */
struct metric *metrics_counter(const char *name, const char *help, const char *labels);
struct metric *metrics_gauge(const char *name, const char *help, const char *labels);

/* bounds: ascending upper limits, count of them; +Inf is added. The same whenever this metric is
 * asked for (asserted). */
struct metric *metrics_histogram(const char *name, const char *help, const char *labels,
                                 const double *bounds, size_t count);

/* Bounds for durations from 50 us to 60 s, in seconds, and for sizes of batches 1 .. 8192. */
extern const double METRICS_SECONDS[];
extern const size_t METRICS_SECONDS_COUNT;
extern const double METRICS_BATCH[];
extern const size_t METRICS_BATCH_COUNT;

/* The kind must fit (asserted: a metric has one kind from its making). observe_n counts the same
 * value n times, for what is measured once per batch. */
void metric_add(struct metric *m, uint64_t n);       /* counter */
void metric_set(struct metric *m, double value);     /* gauge */
void metric_change(struct metric *m, double by);     /* gauge */
void metric_observe(struct metric *m, double value); /* histogram */
void metric_observe_n(struct metric *m, double value, uint64_t n);
double metric_value(const struct metric *m); /* counter or gauge; histogram: count */

/* Appends every metric, families together, HELP and TYPE once each. */
void metrics_render(GString *out);

#endif
