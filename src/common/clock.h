/* clock: the only place that reads the time.
 *
 * Everything else gets times as arguments, which keeps the core pure and the tests exact.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

/* Wall-clock time. Units: microseconds UTC since 1970; may jump when the clock is set. */
int64_t clock_now_us(void);

/* Time that never goes back, for durations and deadlines. Units: microseconds since some start. */
int64_t clock_monotonic_us(void);

#endif
