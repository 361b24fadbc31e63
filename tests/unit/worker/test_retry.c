#include "worker/retry.h"

#include <glib.h>

#define MIDDLE (UINT32_MAX / 2) /* next to no jitter */
#define LIMIT  INT64_C(1000000)

static int64_t middle_us(int attempt)
{
    return retry_delay_us(100, LIMIT, attempt, MIDDLE);
}

static void test_first_wait(void)
{
    g_assert_cmpint(middle_us(1), >=, 99999);
    g_assert_cmpint(middle_us(1), <=, 100001);
}

static void test_doubles(void)
{
    for (int attempt = 2; attempt <= 10; attempt++)
        g_assert_cmpint(ABS(middle_us(attempt) - 2 * middle_us(attempt - 1)), <=, 4);
}

static void test_limit(void)
{
    int64_t most_us = retry_delay_us(100, 5000, 50, UINT32_MAX);

    g_assert_cmpint(most_us, ==, 5000 * 1000 + 5000 * 1000 / 4);
    g_assert_cmpint(retry_delay_us(9000, 5000, 1, MIDDLE), <=, 5000 * 1000);
}

static void test_jitter(void)
{
    int64_t least_us = retry_delay_us(100, LIMIT, 1, 0);
    int64_t most_us = retry_delay_us(100, LIMIT, 1, UINT32_MAX);

    g_assert_cmpint(least_us, ==, 75000);
    g_assert_cmpint(most_us, ==, 125000);
    for (uint32_t i = 0; i < 1000; i++) {
        int64_t us = retry_delay_us(100, LIMIT, 1, i * 4294967u);

        g_assert_cmpint(us, >=, least_us);
        g_assert_cmpint(us, <=, most_us);
    }
}

static void test_no_overflow(void)
{
    g_assert_cmpint(retry_delay_us(INT64_C(86400000), INT64_C(86400000), INT32_MAX, UINT32_MAX), ==,
                    INT64_C(108000000000));
}

static void test_zero(void)
{
    g_assert_cmpint(retry_delay_us(0, LIMIT, 3, UINT32_MAX), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/retry/the_first_wait_is_the_base", test_first_wait);
    g_test_add_func("/retry/every_further_wait_is_twice_as_long", test_doubles);
    g_test_add_func("/retry/never_waits_longer_than_the_limit_and_its_jitter", test_limit);
    g_test_add_func("/retry/jitter_stays_within_a_quarter", test_jitter);
    g_test_add_func("/retry/many_attempts_do_not_overflow", test_no_overflow);
    g_test_add_func("/retry/no_base_means_no_wait", test_zero);
    return g_test_run();
}
