/* rate: how many per second over the last 1, 5 and 15 minutes.
 *
 * A ring of one-second samples of a counter that only grows. Until a window has filled, the rate
 * is over the time seen so far. Threads: one writer; readers through the same lock (inside).
 */
#ifndef COMMON_RATE_H
#define COMMON_RATE_H

#include <stdint.h>

struct rate;

/* new never fails; free accepts NULL. */
struct rate *rate_new(void);
void rate_free(struct rate *r);

/* Notes the counter's value. Call about once a second. at_us: clock_monotonic_us time. */
void rate_sample(struct rate *r, int64_t at_us, uint64_t value);

/* Units: per second, over the last window_s seconds (1 .. 900); 0 before two samples exist. */
double rate_get(struct rate *r, int window_s);

#endif
