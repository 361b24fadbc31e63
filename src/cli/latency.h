/* latency: a histogram of durations with a fixed size and about 2 % error.
 *
 *   0 1 2 … 127 │ 128 130 … 254 │ 256 260 … 508 │ …     us
 *     1 apart       2 apart         4 apart
 *
 * Log-linear: each power of two is cut into 64 equal parts, so a value is known to 1/64. Adding
 * costs a few nanoseconds and never allocates.
 * Source: the idea is that of HdrHistogram (Gil Tene, 2012).
 */
#ifndef CLI_LATENCY_H
#define CLI_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>

#define LATENCY_PARTS_BITS 6                         /* 64 parts of each power of two */
#define LATENCY_PARTS      (1 << LATENCY_PARTS_BITS) /* a bucket is at most 1/64 of its values */
#define LATENCY_BITS_MAX   36                        /* larger values share the last bucket */
#define LATENCY_BUCKETS    ((LATENCY_BITS_MAX - LATENCY_PARTS_BITS + 1) * LATENCY_PARTS)

/* One thread adds, any thread may read meanwhile; zeroed is empty. Units: microseconds. */
struct latency {
    _Atomic uint64_t count;
    _Atomic uint64_t sum;
    _Atomic uint64_t max; /* exact, also beyond the last bucket */
    _Atomic uint64_t buckets[LATENCY_BUCKETS];
};

/* Negative values count as 0: clocks of two cores may differ by a hair. */
void latency_add(struct latency *l, int64_t value_us);

/* Adds all that other holds. For the one thread that owns l. */
void latency_merge(struct latency *l, const struct latency *other);

/* What now holds beyond before, which is an earlier copy of it (by latency_merge into an empty
 * one). The maximum is that of the highest bucket with a value. */
void latency_subtract(struct latency *now, const struct latency *before);

/* The smallest value that at least this share of all values does not exceed: never below the true
 * one, above it by 1/64 at most, and never above the maximum. share: 0 to 1; 0 of an empty one.
 * Units: microseconds. */
int64_t latency_percentile(const struct latency *l, double share);

/* Units: microseconds; 0 of an empty one. */
double latency_mean(const struct latency *l);

#endif
