/* retry: how long to wait before the next attempt. Pure: the random number is an argument.
 *
 * Doubling keeps a lasting fault cheap; the jitter keeps many waiters from coming back together.
 */
#ifndef WORKER_RETRY_H
#define WORKER_RETRY_H

#include <stdint.h>

/* An event's own failures: never longer than this, whatever the settings. */
#define RETRY_EVENT_LIMIT_MS (INT64_C(3600) * 1000)

/* Trouble of the infrastructure: tried again for ever, from 100 ms up to 2 s apart. */
#define RETRY_PAUSE_FIRST_MS 100
#define RETRY_PAUSE_LIMIT_MS 2000

/* The wait after the attempt-th failure (1..): first_ms doubled attempt-1 times, at most limit_ms,
 * then +-25 % by random (0 = -25 %, UINT32_MAX = +25 %).
 * Units: microseconds. */
int64_t retry_delay_us(int64_t first_ms, int64_t limit_ms, int attempt, uint32_t random);

#endif
