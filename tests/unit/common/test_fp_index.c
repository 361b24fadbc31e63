#include "common/fp_index.h"

#include <glib.h>

#include "common/hash.h"

static void test_new_index_is_empty_and_costs_nothing(void)
{
    struct fp_index *index = fp_index_new(0);
    int64_t value;

    g_assert_cmpuint(fp_index_count(index), ==, 0);
    g_assert_cmpuint(fp_index_memory(index), ==, 0);
    g_assert_cmpuint(fp_index_find(index, 1, &value, 1), ==, 0);
    g_assert_false(fp_index_remove(index, 1, 1));
    fp_index_free(index);
    fp_index_free(NULL);
}

static void test_find_gives_every_value_of_a_fingerprint(void)
{
    struct fp_index *index = fp_index_new(0);
    int64_t values[3] = {0};

    g_assert_true(fp_index_add(index, 7, 100));
    g_assert_true(fp_index_add(index, 7, 200));
    g_assert_true(fp_index_add(index, 8, 300));
    g_assert_cmpuint(fp_index_find(index, 7, values, 3), ==, 2);
    g_assert_cmpint(values[0] + values[1], ==, 300);
    g_assert_cmpint(values[2], ==, 0);
    fp_index_free(index);
}

static void test_find_counts_more_than_it_writes(void)
{
    struct fp_index *index = fp_index_new(0);
    int64_t values[2] = {0, -1};

    for (int64_t i = 1; i <= 5; i++)
        g_assert_true(fp_index_add(index, 7, i));
    g_assert_cmpuint(fp_index_find(index, 7, values, 1), ==, 5);
    g_assert_cmpint(values[1], ==, -1);
    g_assert_cmpuint(fp_index_find(index, 7, NULL, 0), ==, 5);
    fp_index_free(index);
}

static void test_same_pair_is_kept_twice_and_removed_once(void)
{
    struct fp_index *index = fp_index_new(0);

    fp_index_add(index, 7, 1);
    fp_index_add(index, 7, 1);
    g_assert_cmpuint(fp_index_find(index, 7, NULL, 0), ==, 2);
    g_assert_true(fp_index_remove(index, 7, 1));
    g_assert_cmpuint(fp_index_find(index, 7, NULL, 0), ==, 1);
    g_assert_false(fp_index_remove(index, 7, 2));
    g_assert_true(fp_index_remove(index, 7, 1));
    g_assert_false(fp_index_remove(index, 7, 1));
    g_assert_cmpuint(fp_index_count(index), ==, 0);
    fp_index_free(index);
}

static void test_fingerprints_0_and_max_are_ordinary(void)
{
    struct fp_index *index = fp_index_new(0);
    int64_t value;

    fp_index_add(index, 0, 1);
    fp_index_add(index, UINT64_MAX, INT64_MAX);
    g_assert_cmpuint(fp_index_find(index, 0, &value, 1), ==, 1);
    g_assert_cmpint(value, ==, 1);
    g_assert_cmpuint(fp_index_find(index, UINT64_MAX, &value, 1), ==, 1);
    g_assert_cmpint(value, ==, INT64_MAX);
    fp_index_free(index);
}

/* The same random additions and removals in the index and in a table of counts, few fingerprints so
 * that clusters form, wrap around and are closed again. */
static void test_agrees_with_a_model_over_random_operations(void)
{
    enum { FINGERPRINTS = 40, VALUES = 5, STEPS = 20000 };
    struct fp_index *index = fp_index_new(0);
    unsigned model[FINGERPRINTS][VALUES + 1] = {{0}};
    size_t count = 0;

    for (int step = 0; step < STEPS; step++) {
        uint64_t i = (uint64_t)g_test_rand_int_range(0, FINGERPRINTS);
        uint64_t fingerprint = i % 2 == 0 ? i : hash64(slice_of(&i, sizeof(i)));
        int64_t value = g_test_rand_int_range(1, VALUES + 1);
        unsigned expected = 0;

        if (g_test_rand_bit()) {
            g_assert_true(fp_index_add(index, fingerprint, value));
            model[i][value]++;
            count++;
        } else {
            g_assert_cmpint(fp_index_remove(index, fingerprint, value), ==, model[i][value] > 0);
            count -= model[i][value] > 0;
            model[i][value] -= model[i][value] > 0;
        }
        for (int v = 1; v <= VALUES; v++)
            expected += model[i][v];
        g_assert_cmpuint(fp_index_find(index, fingerprint, NULL, 0), ==, expected);
        g_assert_cmpuint(fp_index_count(index), ==, count);
    }
    fp_index_free(index);
}

static void test_every_entry_is_found_after_growing(void)
{
    enum { COUNT = 100000 };
    struct fp_index *index = fp_index_new(0);

    for (int64_t i = 1; i <= COUNT; i++)
        g_assert_true(fp_index_add(index, hash64(slice_of(&i, sizeof(i))), i));
    for (int64_t i = 1; i <= COUNT; i++) {
        int64_t value = 0;

        g_assert_cmpuint(fp_index_find(index, hash64(slice_of(&i, sizeof(i))), &value, 1), >=, 1);
        g_assert_cmpint(value, ==, i);
    }
    g_assert_cmpuint(fp_index_memory(index), <=, (size_t)COUNT * 40);
    fp_index_free(index);
}

static void test_neighbouring_fingerprints_stay_fast(void)
{
    enum { COUNT = 200000 };
    struct fp_index *index = fp_index_new(0);

    /* With the low bits as home, each of these would collide with all others: 2e10 steps. */
    for (uint64_t i = 1; i <= COUNT; i++)
        g_assert_true(fp_index_add(index, i << 40, (int64_t)i));
    g_assert_cmpuint(fp_index_find(index, UINT64_C(77) << 40, NULL, 0), ==, 1);
    fp_index_free(index);
}

static void test_add_is_refused_at_the_memory_limit(void)
{
    enum { LIMIT = 64 * 1024 };
    struct fp_index *index = fp_index_new(LIMIT);
    int64_t i = 1;

    while (fp_index_add(index, (uint64_t)i, i) && i < LIMIT)
        i++;
    g_assert_cmpint(i, <, LIMIT / 16);
    /* The last grow had the table and its half beside it. */
    g_assert_cmpuint(fp_index_memory(index) / 2 * 3, <=, LIMIT);
    g_assert_cmpuint(fp_index_memory(index), >=, LIMIT / 4);
    g_assert_cmpuint(fp_index_count(index), ==, (size_t)i - 1);
    for (int64_t j = 1; j < i; j++)
        g_assert_cmpuint(fp_index_find(index, (uint64_t)j, NULL, 0), ==, 1);
    g_assert_true(fp_index_remove(index, 1, 1));
    g_assert_true(fp_index_add(index, (uint64_t)i, i));
    fp_index_free(index);
}

static void test_reserve_past_the_limit_changes_nothing(void)
{
    struct fp_index *index = fp_index_new(64 * 1024);
    size_t memory;

    fp_index_add(index, 1, 1);
    memory = fp_index_memory(index);
    g_assert_false(fp_index_reserve(index, 64 * 1024));
    g_assert_false(fp_index_reserve(index, SIZE_MAX));
    g_assert_cmpuint(fp_index_memory(index), ==, memory);
    g_assert_cmpuint(fp_index_find(index, 1, NULL, 0), ==, 1);
    fp_index_free(index);
}

static void test_adds_within_a_reserve_never_grow(void)
{
    struct fp_index *index = fp_index_new(0);
    size_t memory;

    g_assert_true(fp_index_reserve(index, 1000));
    memory = fp_index_memory(index);
    for (int64_t i = 1; i <= 1000; i++)
        g_assert_true(fp_index_add(index, (uint64_t)i, i));
    g_assert_cmpuint(fp_index_memory(index), ==, memory);
    fp_index_free(index);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fp_index/new_index_is_empty_and_costs_nothing",
                    test_new_index_is_empty_and_costs_nothing);
    g_test_add_func("/fp_index/find_gives_every_value_of_a_fingerprint",
                    test_find_gives_every_value_of_a_fingerprint);
    g_test_add_func("/fp_index/find_counts_more_than_it_writes",
                    test_find_counts_more_than_it_writes);
    g_test_add_func("/fp_index/same_pair_is_kept_twice_and_removed_once",
                    test_same_pair_is_kept_twice_and_removed_once);
    g_test_add_func("/fp_index/fingerprints_0_and_max_are_ordinary",
                    test_fingerprints_0_and_max_are_ordinary);
    g_test_add_func("/fp_index/agrees_with_a_model_over_random_operations",
                    test_agrees_with_a_model_over_random_operations);
    g_test_add_func("/fp_index/every_entry_is_found_after_growing",
                    test_every_entry_is_found_after_growing);
    g_test_add_func("/fp_index/neighbouring_fingerprints_stay_fast",
                    test_neighbouring_fingerprints_stay_fast);
    g_test_add_func("/fp_index/add_is_refused_at_the_memory_limit",
                    test_add_is_refused_at_the_memory_limit);
    g_test_add_func("/fp_index/reserve_past_the_limit_changes_nothing",
                    test_reserve_past_the_limit_changes_nothing);
    g_test_add_func("/fp_index/adds_within_a_reserve_never_grow",
                    test_adds_within_a_reserve_never_grow);
    return g_test_run();
}
