#include "cli/top_view.h"

#include <string.h>

#define BOUNDS                                                                                     \
    {                                                                                              \
        0.001, 0.002, 0.004, G_MAXDOUBLE                                                           \
    } /* seconds */

/* Two samples a second apart, with every kind of number in them. */
static struct top_history *two_samples(void)
{
    struct top_history *h = g_new0(struct top_history, 1);
    struct top_sample s = {.at_us = 1000000,
                           .received = 1000000,
                           .processed = 999000,
                           .matches = 500,
                           .duplicate = 7,
                           .started_seconds = 1000,
                           .memory_bytes = 45.5 * 1024 * 1024,
                           .connections = 64,
                           .campaigns_active = 3,
                           .commit = {BOUNDS, {10, 20, 20, 20}, 4},
                           .statuses = {{202, 900}, {503, 5}},
                           .status_count = 2};

    top_history_add(h, &s);
    s.at_us += 1000000;
    s.received += 12345;
    s.processed += 12000;
    s.failed = 12;
    s.failed_open = 3;
    s.waiting = 1345;
    s.oldest_seconds = 0.25;
    s.commit.counts[1] += 100;
    s.commit.counts[2] += 100;
    s.commit.counts[3] += 100;
    s.statuses[1].count += 20;
    s.matches_seen = 200;
    s.campaign_count = 2;
    g_strlcpy(s.campaigns[0].name, "credit-over-50", TOP_NAME_SIZE);
    s.campaigns[0].matches = 150;
    g_strlcpy(s.campaigns[1].name, "vip", TOP_NAME_SIZE);
    s.campaigns[1].matches = 50;
    top_history_add(h, &s);
    return h;
}

static struct top_view view_of(const struct top_history *h)
{
    return (struct top_view){.history = h,
                             .url = "http://x",
                             .time = "2026-11-21T10:00:00Z",
                             .now_seconds = 1060,
                             .width = 100,
                             .is_utf8 = true,
                             .is_live = true};
}

/* The line of a row. Owned by caller; NULL: there is none. */
static char *row(const char *text, const char *label)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (int i = 0; lines[i] != NULL; i++)
        if (g_str_has_prefix(lines[i], label))
            return g_strdup(lines[i]);
    return NULL;
}

static void assert_row(const char *text, const char *label, const char *part)
{
    g_autofree char *line = row(text, label);

    g_assert_nonnull(line);
    if (strstr(line, part) == NULL)
        g_error("'%s' is not in '%s'", part, line);
}

static void test_every_number_stands_in_its_row(void)
{
    g_autofree struct top_history *h = two_samples();
    g_autoptr(GString) out = g_string_new(NULL);
    struct top_view v = view_of(h);

    top_view_render(&v, out);
    assert_row(out->str, "eventflow top", "http://x  2026-11-21T10:00:00Z  up 60.0 s");
    assert_row(out->str, "accepted", "12,345/s");
    assert_row(out->str, "accepted", "1,012,345 in all");
    assert_row(out->str, "processed", "12,000/s");
    assert_row(out->str, "waiting", "1,345");
    assert_row(out->str, "waiting", "oldest 250 ms");
    assert_row(out->str, "matches", "0/s");
    assert_row(out->str, "failed", "12 in all, 3 open");
    assert_row(out->str, "duplicates", "7 in all");
    assert_row(out->str, "refused", "20/s");
    assert_row(out->str, "refused", "503: 25");
    assert_row(out->str, "sync p99", "2.0 ms");
    assert_row(out->str, "memory", "45.5 MiB");
    assert_row(out->str, "memory", "64 connections");
    assert_row(out->str, "3 active campaigns", "the newest 200 matches");
    assert_row(out->str, "  credit-over-50", "150   75 %  ████");
    assert_row(out->str, "  vip", "50   25 %");
    assert_row(out->str, "q or Ctrl-C", "leave");
}

static void test_one_sample_has_no_rates(void)
{
    g_autofree struct top_history *h = two_samples();
    g_autoptr(GString) out = g_string_new(NULL);
    struct top_view v = view_of(h);

    h->count = 1;
    top_view_render(&v, out);
    assert_row(out->str, "accepted", "         -  ");
    assert_row(out->str, "sync p99", "         -  ");
}

/* A new process that has already counted past the old one: all that it counted is new. */
static void test_nothing_is_taken_from_the_process_before(void)
{
    g_autofree struct top_history *h = two_samples();
    g_autoptr(GString) out = g_string_new(NULL);
    struct top_view v = view_of(h);

    h->samples[0].commit = (struct top_histogram){BOUNDS, {0, 0, 199, 199}, 4};
    h->samples[1].commit = (struct top_histogram){BOUNDS, {200, 200, 200, 200}, 4};
    h->samples[1].started_seconds += 30;
    top_view_render(&v, out);
    assert_row(out->str, "sync p99", "990 us");
    assert_row(out->str, "refused", "25/s");
}

static void test_a_server_that_is_away_is_told_above_the_last_numbers(void)
{
    g_autofree struct top_history *h = two_samples();
    struct top_history none = {0};
    g_autoptr(GString) out = g_string_new(NULL);
    struct top_view v = view_of(h);

    v.away = "no route";
    v.away_seconds = 5.2;
    top_view_render(&v, out);
    assert_row(out->str, "no answer for 5 s, trying on", "no route");
    assert_row(out->str, "accepted", "1,012,345");
    g_assert_null(strstr(out->str, "  up "));
    g_string_truncate(out, 0);
    v.history = &none;
    top_view_render(&v, out);
    assert_row(out->str, "no answer", "no route");
    g_assert_null(strstr(out->str, "accepted"));
}

/* Counted in characters, with colours on: their codes take no room. */
static void test_no_line_is_wider_than_the_window_and_none_too_many(void)
{
    g_autofree struct top_history *h = two_samples();

    for (int width = 1; width < 130; width += 3) {
        for (int height = 1; height < 30; height += 5) {
            g_autoptr(GString) out = g_string_new(NULL);
            g_autoptr(GRegex) codes = g_regex_new("\033\\[[0-9;]*m", 0, 0, NULL);
            g_autofree char *plain = NULL;
            g_auto(GStrv) lines = NULL;
            struct top_view v = view_of(h);
            int count = 0;

            v.width = width;
            v.height = height;
            v.is_colour = true;
            top_view_render(&v, out);
            plain = g_regex_replace_literal(codes, out->str, (gssize)out->len, 0, "", 0, NULL);
            g_assert_true(g_utf8_validate(plain, -1, NULL));
            lines = g_strsplit(plain, "\n", -1);
            for (; lines[count] != NULL; count++)
                g_assert_cmpint(g_utf8_strlen(lines[count], -1), <=, width);
            g_assert_cmpint(count - 1, <=, height);
        }
    }
}

static void test_colours_are_there_only_when_asked_for(void)
{
    g_autofree struct top_history *h = two_samples();
    g_autoptr(GString) out = g_string_new(NULL);
    struct top_view v = view_of(h);

    top_view_render(&v, out);
    g_assert_null(strchr(out->str, '\033'));
    v.is_colour = true;
    top_view_render(&v, out);
    g_assert_nonnull(strstr(out->str, "\033[1;31m"));
}

static void test_without_utf8_everything_is_ascii(void)
{
    g_autofree struct top_history *h = two_samples();
    g_autoptr(GString) out = g_string_new(NULL);
    struct top_view v = view_of(h);

    v.is_utf8 = false;
    top_view_render(&v, out);
    for (size_t i = 0; i < out->len; i++)
        g_assert_true(g_ascii_isprint(out->str[i]) || out->str[i] == '\n');
    g_assert_nonnull(strchr(out->str, '#'));
}

static void test_a_sparkline_shows_shares_of_the_largest(void)
{
    const double values[] = {-1, 0, 1, 5, 10};
    const double zeroes[] = {0, 0};
    g_autoptr(GString) out = g_string_new(NULL);

    top_sparkline(values, 5, true, out);
    g_assert_cmpstr(out->str, ==, " ▁▂▅█");
    g_string_truncate(out, 0);
    top_sparkline(values, 5, false, out);
    g_assert_cmpstr(out->str, ==, " .:+#");
    g_string_truncate(out, 0);
    top_sparkline(zeroes, 2, true, out);
    g_assert_cmpstr(out->str, ==, "▁▁");
}

static void test_the_history_keeps_the_newest_samples(void)
{
    g_autofree struct top_history *h = g_new0(struct top_history, 1);

    for (int i = 0; i < TOP_HISTORY + 5; i++) {
        struct top_sample s = {.at_us = i * INT64_C(1000000), .received = i * i};

        top_history_add(h, &s);
    }
    g_assert_cmpint(h->count, ==, TOP_HISTORY);
    g_assert_cmpint(h->samples[0].received, ==, 25);
    g_assert_cmpfloat(top_rate_at(h, TOP_ACCEPTED, 0), ==, 2 * (TOP_HISTORY + 4) - 1);
    g_assert_cmpfloat(top_rate_at(h, TOP_ACCEPTED, TOP_HISTORY - 1), <, 0);
}

static void test_json_has_the_same_numbers(void)
{
    g_autofree struct top_history *h = two_samples();
    g_autoptr(GString) out = g_string_new(NULL);
    struct top_view v = view_of(h);

    top_view_json(&v, out);
    g_assert_nonnull(strstr(out->str, "\"accepted\":1012345,\"accepted_per_second\":12345,"));
    g_assert_nonnull(strstr(out->str, "\"refused\":{\"503\":25}"));
    g_assert_nonnull(strstr(out->str, "\"lag_p99_seconds\":null"));
    g_assert_nonnull(strstr(out->str, "{\"campaign_id\":\"vip\",\"matches\":50}"));
    g_assert_true(g_str_has_suffix(out->str, "}\n"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/top_view/every_number_stands_in_its_row",
                    test_every_number_stands_in_its_row);
    g_test_add_func("/top_view/one_sample_has_no_rates", test_one_sample_has_no_rates);
    g_test_add_func("/top_view/nothing_is_taken_from_the_process_before",
                    test_nothing_is_taken_from_the_process_before);
    g_test_add_func("/top_view/a_server_that_is_away_is_told_above_the_last_numbers",
                    test_a_server_that_is_away_is_told_above_the_last_numbers);
    g_test_add_func("/top_view/no_line_is_wider_than_the_window_and_none_too_many",
                    test_no_line_is_wider_than_the_window_and_none_too_many);
    g_test_add_func("/top_view/colours_are_there_only_when_asked_for",
                    test_colours_are_there_only_when_asked_for);
    g_test_add_func("/top_view/without_utf8_everything_is_ascii",
                    test_without_utf8_everything_is_ascii);
    g_test_add_func("/top_view/a_sparkline_shows_shares_of_the_largest",
                    test_a_sparkline_shows_shares_of_the_largest);
    g_test_add_func("/top_view/the_history_keeps_the_newest_samples",
                    test_the_history_keeps_the_newest_samples);
    g_test_add_func("/top_view/json_has_the_same_numbers", test_json_has_the_same_numbers);
    return g_test_run();
}
