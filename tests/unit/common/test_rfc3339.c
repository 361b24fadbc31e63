#include "common/rfc3339.h"

#include <glib.h>

static bool parse(const char *text, int64_t *at_us)
{
    return rfc3339_parse(slice_text(text), at_us);
}

static void test_reads_known_times(void)
{
    static const struct {
        const char *text;
        int64_t at_us;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.000001Z", 1},
        {"1969-12-31T23:59:59.999999Z", -1},
        {"2000-02-29T12:00:00Z", INT64_C(951825600000000)},
        {"2001-09-09T01:46:40Z", INT64_C(1000000000000000)},
        {"2026-11-21T10:00:00.5Z", INT64_C(1795255200500000)},
        {"2026-11-21t10:00:00.5z", INT64_C(1795255200500000)},
        {"2026-11-21 10:00:00.5Z", INT64_C(1795255200500000)},
        {"2026-11-21T11:30:00.5+01:30", INT64_C(1795255200500000)},
        {"2026-11-21T00:00:00.5-10:00", INT64_C(1795255200500000)},
        {"2026-11-21T10:00:00.5-00:00", INT64_C(1795255200500000)},
        {"0001-01-01T00:00:00Z", INT64_C(-62135596800000000)},
        {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        int64_t at_us = 42;

        g_test_message("%s", cases[i].text);
        g_assert_true(parse(cases[i].text, &at_us));
        g_assert_cmpint(at_us, ==, cases[i].at_us);
    }
}

static void test_cuts_fractions_beyond_microseconds(void)
{
    int64_t at_us;

    g_assert_true(parse("1970-01-01T00:00:00.1234569999999999999999999999Z", &at_us));
    g_assert_cmpint(at_us, ==, 123456);
}

static void test_leap_second_is_the_next_second(void)
{
    int64_t at_us;
    int64_t next_us;

    g_assert_true(parse("2017-01-01T00:00:00Z", &next_us));
    g_assert_true(parse("2016-12-31T23:59:60Z", &at_us));
    g_assert_cmpint(at_us, ==, next_us);
    g_assert_true(parse("2016-12-31T23:59:60.75Z", &at_us));
    g_assert_cmpint(at_us, ==, next_us);
    g_assert_true(parse("2016-12-31T15:59:60-08:00", &at_us));
    g_assert_cmpint(at_us, ==, next_us);
    g_assert_false(parse("2016-12-30T23:59:60Z", &at_us));
    g_assert_false(parse("2016-12-31T23:58:60Z", &at_us));
    g_assert_false(parse("2016-12-31T23:59:60+01:00", &at_us));
}

static void test_refuses_what_is_no_time(void)
{
    static const char *const cases[] = {
        "",
        "2026",
        "2026-11-21",
        "2026-11-21T10:00:00",
        "2026-11-21T10:00Z",
        "2026-11-21T10:00:00 Z",
        " 2026-11-21T10:00:00Z",
        "2026-11-21T10:00:00Z ",
        "2026-11-21T10:00:00ZZ",
        "2026-11-21X10:00:00Z",
        "2026/11/21T10:00:00Z",
        "26-11-21T10:00:00Z",
        "+2026-11-21T10:00:00Z",
        "2026-00-21T10:00:00Z",
        "2026-13-21T10:00:00Z",
        "2026-11-00T10:00:00Z",
        "2026-11-31T10:00:00Z",
        "2026-02-29T10:00:00Z",
        "1900-02-29T10:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T10:60:00Z",
        "2026-11-21T10:00:61Z",
        "2026-11-21T10:00:00.Z",
        "2026-11-21T10:00:00,5Z",
        "2026-11-21T10:00:00+24:00",
        "2026-11-21T10:00:00+01:60",
        "2026-11-21T10:00:00+0100",
        "2026-11-21T10:00:00+01",
        "2026-11-21T10:00:00+01:00Z",
        "2026-1a-21T10:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        int64_t at_us = 42;

        g_test_message("%s", cases[i]);
        g_assert_false(parse(cases[i], &at_us));
        g_assert_cmpint(at_us, ==, 42);
    }
    g_assert_false(rfc3339_parse((struct slice){0}, &(int64_t){0}));
    g_assert_false(rfc3339_parse(SLICE("2026-11-21T10:00:00\0Z"), &(int64_t){0}));
}

static void test_writes_six_decimals(void)
{
    char text[RFC3339_SIZE];

    g_assert_cmpuint(rfc3339_format(INT64_C(1795255200123456), text), ==, 27);
    g_assert_cmpstr(text, ==, "2026-11-21T10:00:00.123456Z");
    rfc3339_format(-1, text);
    g_assert_cmpstr(text, ==, "1969-12-31T23:59:59.999999Z");
    rfc3339_format(0, text);
    g_assert_cmpstr(text, ==, "1970-01-01T00:00:00.000000Z");
}

static void test_writes_the_nearest_year_when_out_of_range(void)
{
    char text[RFC3339_SIZE];

    g_assert_cmpuint(rfc3339_format(INT64_MIN, text), ==, 27);
    g_assert_cmpstr(text, ==, "0001-01-01T00:00:00.000000Z");
    rfc3339_format(INT64_MAX, text);
    g_assert_cmpstr(text, ==, "9999-12-31T23:59:59.999999Z");
}

/* GDateTime is the independent judge of the calendar: every day of 400 years and their borders. */
static void test_agrees_with_another_calendar(void)
{
    for (int year = 1; year <= 9999; year += year < 1800 || year > 2200 ? 97 : 1) {
        g_autoptr(GDateTime) first = g_date_time_new_utc(year, 1, 1, 6, 7, 8);
        int64_t start_us = g_date_time_to_unix(first) * G_USEC_PER_SEC;

        for (int day = 0; day < 366; day++) {
            int64_t at_us = start_us + day * INT64_C(86400000000);
            g_autoptr(GDateTime) date = g_date_time_new_from_unix_utc(at_us / G_USEC_PER_SEC);
            char text[RFC3339_SIZE];
            int64_t back_us;

            if (date == NULL)
                break;
            rfc3339_format(at_us, text);
            g_assert_cmpint(g_ascii_strtoll(text, NULL, 10), ==, g_date_time_get_year(date));
            g_assert_cmpint(g_ascii_strtoll(text + 5, NULL, 10), ==, g_date_time_get_month(date));
            g_assert_cmpint(g_ascii_strtoll(text + 8, NULL, 10), ==,
                            g_date_time_get_day_of_month(date));
            g_assert_cmpstr(text + 10, ==, "T06:07:08.000000Z");
            g_assert_true(parse(text, &back_us));
            g_assert_cmpint(back_us, ==, at_us);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rfc3339/reads_known_times", test_reads_known_times);
    g_test_add_func("/rfc3339/cuts_fractions_beyond_microseconds",
                    test_cuts_fractions_beyond_microseconds);
    g_test_add_func("/rfc3339/leap_second_is_the_next_second", test_leap_second_is_the_next_second);
    g_test_add_func("/rfc3339/refuses_what_is_no_time", test_refuses_what_is_no_time);
    g_test_add_func("/rfc3339/writes_six_decimals", test_writes_six_decimals);
    g_test_add_func("/rfc3339/writes_the_nearest_year_when_out_of_range",
                    test_writes_the_nearest_year_when_out_of_range);
    g_test_add_func("/rfc3339/agrees_with_another_calendar", test_agrees_with_another_calendar);
    return g_test_run();
}
