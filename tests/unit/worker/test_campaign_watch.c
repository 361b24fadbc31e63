#include "worker/campaign_watch.h"

#include <glib.h>

/* Windows of 10,000 events with that many candidates each. */
static bool note(struct campaign_watch *w, unsigned candidates, size_t samples)
{
    return campaign_watch_note(w, 10000, (uint64_t)candidates * 10000, samples);
}

static void test_four_times_as_many(void)
{
    struct campaign_watch w = {0};

    campaign_watch_reset(&w, 256);
    g_assert_false(note(&w, 100, 256));
    g_assert_false(note(&w, 300, 256));
    g_assert_false(note(&w, 400, 256));
    g_assert_true(note(&w, 401, 256));
    campaign_watch_reset(&w, 256);
    g_assert_false(note(&w, 401, 256)); /* that is how it is now */
    g_assert_false(note(&w, 401, 256));
}

static void test_few_are_no_trouble(void)
{
    struct campaign_watch w = {0};

    campaign_watch_reset(&w, 256);
    g_assert_false(note(&w, 1, 256));
    g_assert_false(note(&w, 60, 256));
    g_assert_false(note(&w, 250, 256));
    g_assert_true(note(&w, 300, 256));
}

static void test_windows_are_large(void)
{
    struct campaign_watch w = {0};

    campaign_watch_reset(&w, 256);
    g_assert_false(note(&w, 1, 256));
    g_assert_false(campaign_watch_note(&w, 100, 100 * 5000, 256));
    g_assert_false(campaign_watch_note(&w, 9000, 9000, 256));
}

static void test_blind_index_is_built_again(void)
{
    struct campaign_watch w = {0};

    g_assert_false(note(&w, 100, 0));
    g_assert_false(note(&w, 100, 63));
    g_assert_true(note(&w, 100, 64));
    g_assert_false(note(&w, 50, 64));
    campaign_watch_reset(&w, 64);
    g_assert_false(note(&w, 100, 256));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/campaign_watch/four_times_as_many_is_worth_an_index",
                    test_four_times_as_many);
    g_test_add_func("/campaign_watch/few_are_no_trouble", test_few_are_no_trouble);
    g_test_add_func("/campaign_watch/windows_are_large", test_windows_are_large);
    g_test_add_func("/campaign_watch/blind_index_is_built_again_once_there_are_events",
                    test_blind_index_is_built_again);
    return g_test_run();
}
