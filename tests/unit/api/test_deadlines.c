#include "api/deadlines.h"

static const int64_t LIMITS_MS[CONN_STATES] = {
    [CONN_IDLE] = 100, [CONN_HEAD] = 10, [CONN_BODY] = 50, [CONN_WRITE] = 20, [CONN_LINGER] = 5,
};

static void test_the_earliest_of_all_states_is_next(void)
{
    struct deadline a = {.link.data = &a};
    struct deadline b = {.link.data = &b};
    struct deadlines d;

    deadlines_init(&d, LIMITS_MS);
    g_assert_cmpint(deadlines_next(&d), ==, INT64_MAX);
    deadlines_add(&d, &a, CONN_IDLE, 1000);
    g_assert_cmpint(deadlines_next(&d), ==, 101000);
    deadlines_add(&d, &b, CONN_HEAD, 2000);
    g_assert_cmpint(deadlines_next(&d), ==, 12000);
    deadlines_remove(&d, &b);
    g_assert_cmpint(deadlines_next(&d), ==, 101000);
    deadlines_remove(&d, &a);
    g_assert_cmpint(deadlines_next(&d), ==, INT64_MAX);
}

static void test_the_same_state_does_not_move_the_deadline(void)
{
    struct deadline a = {.link.data = &a};
    struct deadlines d;

    deadlines_init(&d, LIMITS_MS);
    deadlines_add(&d, &a, CONN_HEAD, 0);
    deadlines_move(&d, &a, CONN_HEAD, 9000);
    g_assert_cmpint(deadlines_next(&d), ==, 10000);
    deadlines_move(&d, &a, CONN_BODY, 9000);
    g_assert_cmpint(deadlines_next(&d), ==, 59000);
    g_assert_cmpuint(d.lists[CONN_HEAD].length, ==, 0);
    g_assert_cmpuint(d.lists[CONN_BODY].length, ==, 1);
}

static void test_due_are_found_in_order(void)
{
    struct deadline items[3] = {0};
    struct deadlines d;

    deadlines_init(&d, LIMITS_MS);
    for (int i = 0; i < 3; i++) {
        items[i].link.data = &items[i];
        deadlines_add(&d, &items[i], CONN_WRITE, i * 1000);
    }
    g_assert_null(deadlines_find_due(&d, 19999));
    for (int i = 0; i < 3; i++) {
        g_assert_true(deadlines_find_due(&d, 22000) == &items[i]);
        deadlines_move(&d, &items[i], CONN_CLOSED, 22000);
    }
    g_assert_null(deadlines_find_due(&d, INT64_MAX - 1));
}

static void test_a_state_without_limit_is_never_due(void)
{
    struct deadline a = {.link.data = &a};
    struct deadlines d;

    deadlines_init(&d, LIMITS_MS);
    deadlines_add(&d, &a, CONN_BUSY, 0);
    g_assert_cmpint(deadlines_next(&d), ==, INT64_MAX);
    g_assert_null(deadlines_find_due(&d, INT64_MAX - 1));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/deadlines/the_earliest_of_all_states_is_next",
                    test_the_earliest_of_all_states_is_next);
    g_test_add_func("/deadlines/the_same_state_does_not_move_the_deadline",
                    test_the_same_state_does_not_move_the_deadline);
    g_test_add_func("/deadlines/due_are_found_in_order", test_due_are_found_in_order);
    g_test_add_func("/deadlines/a_state_without_limit_is_never_due",
                    test_a_state_without_limit_is_never_due);
    return g_test_run();
}
