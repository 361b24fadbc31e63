/* Two clocks, both read without a system call on Linux (vDSO), so that reading them per batch or
 * per request costs nothing worth saving. Neither can fail for the ids used here. */
#include "common/clock.h"

#include <time.h>

/* Nanoseconds are cut off, not rounded: a time never lies in the future of its own reading. */
static int64_t clock_read_us(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
    return clock_read_us(CLOCK_REALTIME);
}

/* The clock that GLib's timed waits use as well (mailbox_wait). It stands still during suspend. */
int64_t clock_monotonic_us(void)
{
    return clock_read_us(CLOCK_MONOTONIC);
}
