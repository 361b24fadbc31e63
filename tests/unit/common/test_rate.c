#include "common/rate.h"

#include <glib.h>

#define SECOND G_USEC_PER_SEC

static void test_rate_is_0_before_two_samples(void)
{
    struct rate *r = rate_new();

    g_assert_cmpfloat(rate_get(r, 60), ==, 0);
    rate_sample(r, 5 * SECOND, 100);
    g_assert_cmpfloat(rate_get(r, 60), ==, 0);
    rate_free(r);
    rate_free(NULL);
}

static void test_unfilled_window_counts_the_time_seen(void)
{
    struct rate *r = rate_new();

    rate_sample(r, 10 * SECOND, 0);
    rate_sample(r, 12 * SECOND, 100);
    g_assert_cmpfloat(rate_get(r, 900), ==, 50);
    rate_free(r);
}

/* 10 a second for 1000 s, then 70 a second for 60 s. */
static struct rate *rate_of_two_speeds(void)
{
    struct rate *r = rate_new();
    uint64_t value = 0;

    for (int second = 0; second <= 1060; second++) {
        rate_sample(r, (int64_t)second * SECOND, value);
        value += second < 1000 ? 10 : 70;
    }
    return r;
}

static void test_window_sees_only_its_own_time(void)
{
    struct rate *r = rate_of_two_speeds();

    g_assert_cmpfloat(rate_get(r, 1), ==, 70);
    g_assert_cmpfloat(rate_get(r, 60), ==, 70);
    g_assert_cmpfloat(rate_get(r, 120), ==, 40);
    g_assert_cmpfloat(rate_get(r, 300), ==, (240.0 * 10 + 60 * 70) / 300);
    g_assert_cmpfloat(rate_get(r, 900), ==, (840.0 * 10 + 60 * 70) / 900);
    rate_free(r);
}

static void test_window_beyond_the_ring_is_cut(void)
{
    struct rate *r = rate_of_two_speeds();

    g_assert_cmpfloat(rate_get(r, 100000), ==, rate_get(r, 900));
    g_assert_cmpfloat(rate_get(r, 0), ==, rate_get(r, 1));
    rate_free(r);
}

static void test_late_samples_use_the_time_between_them(void)
{
    struct rate *r = rate_new();

    rate_sample(r, 0, 0);
    rate_sample(r, 30 * SECOND, 300);
    g_assert_cmpfloat(rate_get(r, 1), ==, 10);
    rate_free(r);
}

static void test_counter_that_went_back_gives_no_rate(void)
{
    struct rate *r = rate_new();

    rate_sample(r, 0, 1000);
    rate_sample(r, SECOND, 3);
    g_assert_cmpfloat(rate_get(r, 60), ==, 0);
    rate_free(r);
}

static void test_two_samples_at_one_time_give_no_rate(void)
{
    struct rate *r = rate_new();

    rate_sample(r, SECOND, 1);
    rate_sample(r, SECOND, 3);
    g_assert_cmpfloat(rate_get(r, 60), ==, 0);
    rate_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rate/rate_is_0_before_two_samples", test_rate_is_0_before_two_samples);
    g_test_add_func("/rate/unfilled_window_counts_the_time_seen",
                    test_unfilled_window_counts_the_time_seen);
    g_test_add_func("/rate/window_sees_only_its_own_time", test_window_sees_only_its_own_time);
    g_test_add_func("/rate/window_beyond_the_ring_is_cut", test_window_beyond_the_ring_is_cut);
    g_test_add_func("/rate/late_samples_use_the_time_between_them",
                    test_late_samples_use_the_time_between_them);
    g_test_add_func("/rate/counter_that_went_back_gives_no_rate",
                    test_counter_that_went_back_gives_no_rate);
    g_test_add_func("/rate/two_samples_at_one_time_give_no_rate",
                    test_two_samples_at_one_time_give_no_rate);
    return g_test_run();
}
