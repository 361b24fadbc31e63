/* retry: the arithmetic of waiting. In whole microseconds; the jitter alone passes through a
 * double, whose 53 bits hold any limit up to a year. */
#include "worker/retry.h"

/* Three quarters of the delay are sure, up to one half of it is random: that is +-25 %. */
int64_t retry_delay_us(int64_t first_ms, int64_t limit_ms, int attempt, uint32_t random)
{
    int64_t delay_us = first_ms * 1000;
    int64_t limit_us = limit_ms * 1000;

    /* Stops at the limit, so many attempts can neither overflow nor take long. */
    for (int i = 1; i < attempt && delay_us < limit_us; i++)
        delay_us *= 2;
    if (delay_us > limit_us)
        delay_us = limit_us;
    return delay_us - delay_us / 4 + (int64_t)((double)(delay_us / 2) * random / UINT32_MAX);
}
