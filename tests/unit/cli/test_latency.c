#include "cli/latency.h"

#include <glib.h>

static struct latency *new_latency(void)
{
    return g_new0(struct latency, 1);
}

/* Never below the true value, above it by 1/64 at most. */
static void expect_percentile(const struct latency *l, double share, int64_t truth)
{
    int64_t value = latency_percentile(l, share);

    g_assert_cmpint(value, >=, truth);
    g_assert_cmpint(value, <=, truth + truth / LATENCY_PARTS);
}

static void test_empty_has_no_latency(void)
{
    g_autofree struct latency *l = new_latency();

    g_assert_cmpint(latency_percentile(l, 0.99), ==, 0);
    g_assert_cmpint(latency_percentile(l, 1), ==, 0);
    g_assert_cmpfloat(latency_mean(l), ==, 0);
}

static void test_one_value_is_every_percentile(void)
{
    g_autofree struct latency *l = new_latency();

    latency_add(l, 1234567);
    for (double share = 0; share <= 1; share += 0.25)
        g_assert_cmpint(latency_percentile(l, share), ==, 1234567);
}

static void test_small_values_are_exact(void)
{
    g_autofree struct latency *l = new_latency();

    for (int64_t value = 1; value <= 100; value++)
        latency_add(l, value);
    for (int64_t percent = 1; percent <= 100; percent++)
        g_assert_cmpint(latency_percentile(l, (double)percent / 100), ==, percent);
    g_assert_cmpfloat(latency_mean(l), ==, 50.5);
}

/* Of ten values the 99th percentile is the tenth, and the 90th the ninth. */
static void test_ranks_are_rounded_up(void)
{
    g_autofree struct latency *l = new_latency();

    for (int64_t value = 1; value <= 10; value++)
        latency_add(l, value);
    g_assert_cmpint(latency_percentile(l, 0.90), ==, 9);
    g_assert_cmpint(latency_percentile(l, 0.901), ==, 10);
    g_assert_cmpint(latency_percentile(l, 0.99), ==, 10);
    g_assert_cmpint(latency_percentile(l, 0), ==, 1);
}

/* Around every power of two, where buckets change their width. */
static void test_error_is_bounded_everywhere(void)
{
    for (unsigned bit = 0; bit < LATENCY_BITS_MAX; bit++)
        for (int64_t off = -1; off <= 1; off++) {
            g_autofree struct latency *l = new_latency();
            int64_t value = MAX((INT64_C(1) << bit) + off, 0);

            latency_add(l, value);
            latency_add(l, INT64_C(1) << 40); /* so that the maximum does not correct it */
            expect_percentile(l, 0.5, value);
        }
}

static void test_a_large_uniform_sample_keeps_its_percentiles(void)
{
    g_autofree struct latency *l = new_latency();

    for (int64_t value = 1; value <= 1000000; value++)
        latency_add(l, value);
    expect_percentile(l, 0.5, 500000);
    expect_percentile(l, 0.95, 950000);
    expect_percentile(l, 0.99, 990000);
    expect_percentile(l, 0.999, 999000);
    g_assert_cmpint(latency_percentile(l, 1), ==, 1000000);
}

static void test_maximum_is_exact_beyond_the_last_bucket(void)
{
    g_autofree struct latency *l = new_latency();

    latency_add(l, 1);
    latency_add(l, INT64_C(1) << 50);
    g_assert_cmpint(latency_percentile(l, 0.5), ==, 1);
    g_assert_cmpint(latency_percentile(l, 0.99), ==, INT64_C(1) << 50);
}

static void test_negative_values_count_as_zero(void)
{
    g_autofree struct latency *l = new_latency();

    latency_add(l, -5);
    g_assert_cmpint(latency_percentile(l, 1), ==, 0);
    g_assert_cmpuint(l->count, ==, 1);
}

static void test_merge_is_the_same_as_adding_to_one(void)
{
    g_autofree struct latency *a = new_latency();
    g_autofree struct latency *b = new_latency();
    g_autofree struct latency *all = new_latency();

    for (int64_t value = 1; value < 5000; value++) {
        latency_add(value % 3 == 0 ? a : b, value * 7);
        latency_add(all, value * 7);
    }
    latency_merge(a, b);
    for (double share = 0; share <= 1; share += 0.01)
        g_assert_cmpint(latency_percentile(a, share), ==, latency_percentile(all, share));
    g_assert_cmpfloat(latency_mean(a), ==, latency_mean(all));
}

static void test_subtract_leaves_what_came_after(void)
{
    g_autofree struct latency *now = new_latency();
    g_autofree struct latency *before = new_latency();

    latency_add(now, 100000);
    latency_merge(before, now);
    for (int i = 0; i < 10; i++)
        latency_add(now, 50);
    latency_subtract(now, before);
    g_assert_cmpuint(now->count, ==, 10);
    g_assert_cmpint(latency_percentile(now, 1), ==, 50);
    g_assert_cmpfloat(latency_mean(now), ==, 50);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/latency/empty_has_no_latency", test_empty_has_no_latency);
    g_test_add_func("/latency/one_value_is_every_percentile", test_one_value_is_every_percentile);
    g_test_add_func("/latency/small_values_are_exact", test_small_values_are_exact);
    g_test_add_func("/latency/ranks_are_rounded_up", test_ranks_are_rounded_up);
    g_test_add_func("/latency/error_is_bounded_everywhere", test_error_is_bounded_everywhere);
    g_test_add_func("/latency/a_large_uniform_sample_keeps_its_percentiles",
                    test_a_large_uniform_sample_keeps_its_percentiles);
    g_test_add_func("/latency/maximum_is_exact_beyond_the_last_bucket",
                    test_maximum_is_exact_beyond_the_last_bucket);
    g_test_add_func("/latency/negative_values_count_as_zero", test_negative_values_count_as_zero);
    g_test_add_func("/latency/merge_is_the_same_as_adding_to_one",
                    test_merge_is_the_same_as_adding_to_one);
    g_test_add_func("/latency/subtract_leaves_what_came_after",
                    test_subtract_leaves_what_came_after);
    return g_test_run();
}
