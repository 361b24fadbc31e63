/* Keeping the samples of 15 minutes costs 14 KiB and gives the exact rate of any window; a moving
 * average would take less and answer with a number that nobody can check by hand. */
#include "common/rate.h"

#include <glib.h>

#define RATE_WINDOW_MAX_S 900
#define RATE_RING_SIZE    (RATE_WINDOW_MAX_S + 1) /* 900 intervals have 901 ends */

/* One sample of the counter. */
struct rate_point {
    int64_t at_us; /* clock_monotonic_us time, never before the sample noted earlier */
    uint64_t value;
};

/* Every field under lock. */
struct rate {
    GMutex lock;
    struct rate_point points[RATE_RING_SIZE];
    size_t count; /* points filled */
    size_t next;  /* where the next one goes */
};

struct rate *rate_new(void)
{
    struct rate *r = g_new0(struct rate, 1);

    g_mutex_init(&r->lock);
    return r;
}

void rate_free(struct rate *r)
{
    if (r == NULL)
        return;
    g_mutex_clear(&r->lock);
    g_free(r);
}

/* The point that was noted age points before the newest (age 0). */
static const struct rate_point *rate_point_at(const struct rate *r, size_t age)
{
    return &r->points[(r->next + RATE_RING_SIZE - 1 - age) % RATE_RING_SIZE];
}

/* The oldest sample is overwritten once the ring is full. */
void rate_sample(struct rate *r, int64_t at_us, uint64_t value)
{
    g_mutex_lock(&r->lock);
    r->points[r->next] = (struct rate_point){.at_us = at_us, .value = value};
    r->next = (r->next + 1) % RATE_RING_SIZE;
    if (r->count < RATE_RING_SIZE)
        r->count++;
    g_mutex_unlock(&r->lock);
}

/* The age of the oldest point inside the window, by bisection: ages grow with time. At least 1, so
 * that there is an interval even when samples came late. There are two points at least. Under lock.
 */
static size_t rate_oldest_in(const struct rate *r, int64_t from_us)
{
    size_t low = 1;
    size_t high = r->count - 1;

    while (low < high) {
        size_t middle = (low + high + 1) / 2;

        if (rate_point_at(r, middle)->at_us >= from_us)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* The difference between two samples over the time between them, which need not be a second. */
double rate_get(struct rate *r, int window_s)
{
    double per_second = 0;

    /* The window ends at the newest sample, not now: a late sample is no quiet time. */
    window_s = CLAMP(window_s, 1, RATE_WINDOW_MAX_S);
    g_mutex_lock(&r->lock);
    if (r->count >= 2) {
        const struct rate_point *newest = rate_point_at(r, 0);
        int64_t from_us = newest->at_us - (int64_t)window_s * G_USEC_PER_SEC;
        const struct rate_point *oldest = rate_point_at(r, rate_oldest_in(r, from_us));
        int64_t span_us = newest->at_us - oldest->at_us;

        /* A counter that went back was set anew: no rate rather than a huge one. */
        if (span_us > 0 && newest->value >= oldest->value)
            per_second = (double)(newest->value - oldest->value) * G_USEC_PER_SEC / (double)span_us;
    }
    g_mutex_unlock(&r->lock);
    return per_second;
}
