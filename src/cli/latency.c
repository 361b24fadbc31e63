/* A histogram with log-linear buckets.
 *
 * The number of a bucket is the value's exponent and its six highest bits below the leading one,
 * taken together as one number: v for v < 128, then (e << 6) + (v >> e), where v >> e lies in
 * 64 … 127. Consecutive values so have the same or consecutive buckets, without a gap.
 *
 * One writer: loads and stores are relaxed and never read-modify-write, which costs the same as
 * plain memory and lets another thread draw the live line meanwhile.
 */
#include "cli/latency.h"

#include <math.h>

#include <glib.h>

static uint64_t latency_load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void latency_store(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_relaxed);
}

/* How far a value is shifted until 64 … 127 is left of it; 0 for values that fit as they are. */
static unsigned latency_shift(uint64_t value)
{
    unsigned bits = value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);

    return bits > LATENCY_PARTS_BITS + 1 ? bits - LATENCY_PARTS_BITS - 1 : 0;
}

/* All that is too large shares the last bucket. */
static size_t latency_bucket(uint64_t value)
{
    unsigned shift = latency_shift(value);
    size_t bucket = ((size_t)shift << LATENCY_PARTS_BITS) + (size_t)(value >> shift);

    return MIN(bucket, LATENCY_BUCKETS - 1);
}

/* The largest value that falls into a bucket. */
static uint64_t latency_bucket_end(size_t bucket)
{
    unsigned shift;

    if (bucket < 2 * LATENCY_PARTS)
        return bucket;
    shift = (unsigned)(bucket >> LATENCY_PARTS_BITS) - 1;
    return ((((uint64_t)bucket & (LATENCY_PARTS - 1)) + LATENCY_PARTS + 1) << shift) - 1;
}

void latency_add(struct latency *l, int64_t value_us)
{
    uint64_t value = value_us > 0 ? (uint64_t)value_us : 0;
    _Atomic uint64_t *bucket = &l->buckets[latency_bucket(value)];

    latency_store(bucket, latency_load(bucket) + 1);
    latency_store(&l->count, latency_load(&l->count) + 1);
    latency_store(&l->sum, latency_load(&l->sum) + value);
    if (value > latency_load(&l->max))
        latency_store(&l->max, value);
}

/* The count is made of the buckets: those of a running writer may be ahead of its count. */
void latency_merge(struct latency *l, const struct latency *other)
{
    uint64_t count = 0;

    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        uint64_t here = latency_load(&other->buckets[i]);

        latency_store(&l->buckets[i], latency_load(&l->buckets[i]) + here);
        count += here;
    }
    latency_store(&l->count, latency_load(&l->count) + count);
    latency_store(&l->sum, latency_load(&l->sum) + latency_load(&other->sum));
    latency_store(&l->max, MAX(latency_load(&l->max), latency_load(&other->max)));
}

/* Which of the values was the largest is not known any more, only its bucket. */
void latency_subtract(struct latency *now, const struct latency *before)
{
    uint64_t max = 0;

    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        uint64_t here = latency_load(&now->buckets[i]) - latency_load(&before->buckets[i]);

        latency_store(&now->buckets[i], here);
        if (here > 0)
            max = MIN(latency_bucket_end(i), latency_load(&now->max));
    }
    latency_store(&now->count, latency_load(&now->count) - latency_load(&before->count));
    latency_store(&now->sum, latency_load(&now->sum) - latency_load(&before->sum));
    latency_store(&now->max, max);
}

/* The rank is rounded up: of 10 values the 99th percentile is the tenth. The last bucket has no
 * end of its own, so the maximum stands for it. */
int64_t latency_percentile(const struct latency *l, double share)
{
    uint64_t count = latency_load(&l->count);
    uint64_t max = latency_load(&l->max);
    /* 0.07 * 100 is a little above 7 in binary: that must not become 8. */
    uint64_t rank = (uint64_t)ceil(CLAMP(share, 0.0, 1.0) * (double)count - 1e-6);
    uint64_t seen = 0;

    for (size_t i = 0; i < LATENCY_BUCKETS - 1; i++) {
        seen += latency_load(&l->buckets[i]);
        if (seen > 0 && seen >= rank)
            return (int64_t)MIN(latency_bucket_end(i), max);
    }
    return (int64_t)max;
}

double latency_mean(const struct latency *l)
{
    uint64_t count = latency_load(&l->count);

    return count > 0 ? (double)latency_load(&l->sum) / (double)count : 0;
}
