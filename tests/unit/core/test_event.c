#include "core/event.h"

#include <glib.h>

#define DAY_US (INT64_C(24) * 3600 * 1000000)

/* 2026-11-21T10:00:00Z */
static const int64_t ARRIVED_US = INT64_C(1795255200000000);

/* One decoded event with everything it points to. */
struct fixture {
    struct flat flat;
    struct problems problems;
    struct event event;
    bool is_good;
};

static void decode_at(struct fixture *f, struct slice body, const char *pointer)
{
    g_autoptr(GError) error = NULL;
    size_t used;

    flat_init(&f->flat);
    problems_init(&f->problems);
    g_assert_true(flat_parse(&f->flat, body, 0, &used, &error));
    g_assert_no_error(error);
    f->is_good = event_decode(&f->flat, body, ARRIVED_US, pointer, &f->event, &f->problems);
    g_assert_cmpint(f->is_good, ==, f->problems.total == 0);
}

static void decode(struct fixture *f, const char *json)
{
    decode_at(f, slice_text(json), "#");
}

static void fixture_done(struct fixture *f)
{
    problems_done(&f->problems);
    flat_done(&f->flat);
}

static void assert_slice(struct slice s, const char *text)
{
    g_assert_cmpmem(s.data, s.size, text, strlen(text));
}

/* The event has exactly one problem: there, and its text contains the words. */
static void assert_problem(const char *json, const char *pointer, const char *words)
{
    struct fixture f;

    decode(&f, json);
    if (f.problems.total != 1)
        g_error("%zu problems in %.80s", f.problems.total, json);
    g_assert_cmpstr(f.problems.items[0].pointer, ==, pointer);
    if (strstr(f.problems.items[0].detail, words) == NULL)
        g_error("\"%s\" lacks \"%s\"", f.problems.items[0].detail, words);
    fixture_done(&f);
}

static void assert_good(const char *json)
{
    struct fixture f;

    decode(&f, json);
    if (!f.is_good)
        g_error("%.80s: %s", json, f.problems.items[0].detail);
    fixture_done(&f);
}

/* {"event_id":"a","event_type":"b",<more>}; owned by caller. */
static char *with(const char *more)
{
    return g_strdup_printf("{\"event_id\":\"a\",\"event_type\":\"b\",%s}", more);
}

static void assert_field_good(const char *more)
{
    g_autofree char *json = with(more);

    assert_good(json);
}

static void assert_field_problem(const char *more, const char *pointer, const char *words)
{
    g_autofree char *json = with(more);

    assert_problem(json, pointer, words);
}

static void test_reads_every_field(void)
{
    struct fixture f;

    decode(&f, " {\"event_id\":\"e1\",\"event_type\":\"purchase\",\"customer_id\":\"c42\","
               "\"timestamp\":\"2026-11-20T10:00:00.5Z\",\"source\":\"web\","
               "\"payload\":{\"amount\": 75},\"correlation_id\":\"corr-1\"}\r\n");
    g_assert_true(f.is_good);
    assert_slice(f.event.event_id, "e1");
    assert_slice(f.event.event_type, "purchase");
    assert_slice(f.event.customer_id, "c42");
    assert_slice(f.event.source, "web");
    assert_slice(f.event.payload, "{\"amount\": 75}");
    assert_slice(f.event.correlation_id, "corr-1");
    g_assert_true(f.event.has_timestamp);
    g_assert_cmpint(f.event.at_us, ==, ARRIVED_US - DAY_US + 500000);
    g_assert_cmpint(f.event.body.data[0], ==, '{');
    g_assert_cmpint(f.event.body.data[f.event.body.size - 1], ==, '}');
    fixture_done(&f);
}

static void test_fills_in_what_is_left_out(void)
{
    struct fixture f;

    decode(&f, "{\"event_id\":\"e1\",\"event_type\":\"purchase\"}");
    g_assert_true(f.is_good);
    g_assert_cmpuint(f.event.customer_id.size, ==, 0);
    g_assert_cmpuint(f.event.source.size, ==, 0);
    g_assert_cmpuint(f.event.correlation_id.size, ==, 0);
    assert_slice(f.event.payload, "{}");
    g_assert_false(f.event.has_timestamp);
    g_assert_cmpint(f.event.at_us, ==, ARRIVED_US);
    fixture_done(&f);
}

static void test_requires_id_and_type(void)
{
    assert_problem("{\"event_type\":\"b\"}", "#/event_id", "required");
    assert_problem("{\"event_id\":\"a\"}", "#/event_type", "required");
}

static void test_collects_all_problems(void)
{
    struct fixture f;

    decode(&f, "{\"event_type\":5,\"payload\":[],\"timestamp\":\"now\",\"x\":1}");
    g_assert_false(f.is_good);
    g_assert_cmpuint(f.problems.total, ==, 5);
    fixture_done(&f);
}

static void test_points_below_the_given_pointer(void)
{
    struct fixture f;

    decode_at(&f, SLICE("{\"event_id\":\"a\"}"), "#/3");
    g_assert_cmpstr(f.problems.items[0].pointer, ==, "#/3/event_type");
    fixture_done(&f);
}

static void test_refuses_what_is_no_object(void)
{
    assert_problem("[1]", "#", "must be an object, not an array");
    assert_problem("null", "#", "must be an object, not null");
}

static void test_refuses_unknown_fields_with_the_nearest_name(void)
{
    assert_field_problem("\"custommer_id\":\"c\"", "#/custommer_id", "\"customer_id\"");
    assert_field_problem("\"zzzzzzzzzzzzzzzz\":1", "#/zzzzzzzzzzzzzzzz", "unknown field");
    assert_field_problem("\"a/b\":1", "#/a~1b", "unknown field");
}

static void test_does_not_repeat_a_huge_name(void)
{
    g_autofree char *name = g_strnfill(100000, 'n');
    g_autofree char *more = g_strdup_printf("\"%s\":1", name);

    assert_field_problem(more, "#", "100000 bytes");
}

static void test_refuses_repeated_fields(void)
{
    assert_field_problem("\"event_id\":\"again\"", "#/event_id", "more than once");
}

static void test_refuses_wrong_types(void)
{
    assert_problem("{\"event_id\":7,\"event_type\":\"b\"}", "#/event_id",
                   "must be a string, not a number");
    assert_problem("{\"event_id\":null,\"event_type\":\"b\"}", "#/event_id",
                   "must be a string, not null");
    assert_field_problem("\"customer_id\":null", "#/customer_id", "leave the field out");
    assert_field_problem("\"payload\":\"text\"", "#/payload", "must be an object, not a string");
    assert_field_problem("\"timestamp\":1795255200", "#/timestamp", "not a number");
    assert_field_problem("\"source\":false", "#/source", "not a boolean");
}

/* A field of size bytes is good up to max and refused beyond. */
static void assert_size_limit(const char *field, size_t max)
{
    g_autofree char *most = g_strnfill(max, 'x');
    g_autofree char *good = g_strdup_printf("\"%s\":\"%s\"", field, most);
    g_autofree char *bad = g_strdup_printf("\"%s\":\"%sx\"", field, most);
    g_autofree char *pointer = g_strdup_printf("#/%s", field);

    assert_field_good(good);
    assert_field_problem(bad, pointer, "must have");
}

static void test_limits_sizes(void)
{
    g_autofree char *most = g_strnfill(EVENT_ID_MAX, 'x');
    g_autofree char *good =
        g_strdup_printf("{\"event_id\":\"%s\",\"event_type\":\"%s\"}", most, most);
    g_autofree char *bad = g_strdup_printf("{\"event_id\":\"%sx\",\"event_type\":\"b\"}", most);

    assert_good(good);
    assert_problem(bad, "#/event_id", "must have 1 to 128 bytes, not 129");
    assert_problem("{\"event_id\":\"\",\"event_type\":\"b\"}", "#/event_id", "not 0");
    assert_size_limit("customer_id", EVENT_CUSTOMER_MAX);
    assert_size_limit("source", EVENT_SOURCE_MAX);
    assert_size_limit("correlation_id", EVENT_CORRELATION_MAX);
    assert_field_problem("\"customer_id\":\"\"", "#/customer_id", "must have 1 to 256 bytes");
    assert_field_good("\"source\":\"\"");
}

static void test_any_string_may_be_an_id_but_for_nul(void)
{
    assert_good("{\"event_id\":\"\\u00e9 \\ud83d\\ude00/?%\\n\",\"event_type\":\"b\"}");
    assert_problem("{\"event_id\":\"a\\u0000\",\"event_type\":\"b\"}", "#/event_id", "U+0000");
    assert_field_problem("\"customer_id\":\"\\u0000\"", "#/customer_id", "U+0000");
    assert_field_problem("\"source\":\"a\\u0000b\"", "#/source", "U+0000");
}

static void test_correlation_ids_are_visible_ascii(void)
{
    assert_field_good("\"correlation_id\":\"~!x\"");
    assert_field_problem("\"correlation_id\":\"a b\"", "#/correlation_id", "visible ASCII");
    assert_field_problem("\"correlation_id\":\"\\u00e9\"", "#/correlation_id", "visible ASCII");
    assert_field_problem("\"correlation_id\":\"\"", "#/correlation_id", "visible ASCII");
    assert_field_problem("\"correlation_id\":\"\\u007f\"", "#/correlation_id", "visible ASCII");
}

static void test_refuses_bad_times(void)
{
    static const char *const BAD[] = {
        "now", "2026-11-21", "2026-11-21T10:00:00", "2026-02-30T10:00:00Z", "0000-01-01T00:00:00Z",
        ""};

    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autofree char *more = g_strdup_printf("\"timestamp\":\"%s\"", BAD[i]);

        assert_field_problem(more, "#/timestamp", "RFC 3339");
    }
}

static void test_refuses_times_far_in_the_future(void)
{
    assert_field_good("\"timestamp\":\"2026-11-22T10:00:00Z\"");
    assert_field_problem("\"timestamp\":\"2026-11-22T10:00:00.000001Z\"", "#/timestamp",
                         "24 hours in the future");
    assert_field_good("\"timestamp\":\"2026-11-22T12:00:00+02:00\"");
}

static void test_accepts_old_times(void)
{
    assert_field_good("\"timestamp\":\"1969-07-20T20:17:40Z\"");
    assert_field_good("\"timestamp\":\"0001-01-01T00:00:00Z\"");
}

static void test_keeps_numbers_that_fit_no_double(void)
{
    assert_field_good("\"payload\":{\"big\":1e999,\"exact\":12345678901234567890.123}");
}

static void test_digest_tells_bodies_apart(void)
{
    struct fixture a;
    struct fixture b;
    struct fixture c;

    decode(&a, "{\"event_id\":\"a\",\"event_type\":\"b\"}");
    decode(&b, "\n {\"event_id\":\"a\",\"event_type\":\"b\"}\t");
    decode(&c, "{\"event_id\":\"a\",\"event_type\": \"b\"}");
    g_assert_cmpmem(&a.event.digest, sizeof(a.event.digest), &b.event.digest,
                    sizeof(b.event.digest));
    g_assert_cmpint(memcmp(&a.event.digest, &c.event.digest, sizeof(a.event.digest)), !=, 0);
    fixture_done(&a);
    fixture_done(&b);
    fixture_done(&c);
}

/* With and without escapes, and after the flat that read it has read something else. */
static void test_kept_event_needs_no_flat(void)
{
    struct fixture f;
    struct arena arena;
    size_t used;

    arena_init(&arena);
    decode(&f, "{\"event_id\":\"\\u0061\",\"event_type\":\"b\",\"customer_id\":\"\\u0063\","
               "\"source\":\"\\u0064\",\"correlation_id\":\"\\u0065\"}");
    g_assert_true(f.is_good);
    event_keep(&f.event, &arena);
    g_assert_true(flat_parse(&f.flat, SLICE("{\"\\u0078\":\"\\u0078\\u0078\\u0078\\u0078\"}"), 0,
                             &used, NULL));
    assert_slice(f.event.event_id, "a");
    assert_slice(f.event.event_type, "b");
    assert_slice(f.event.customer_id, "c");
    assert_slice(f.event.source, "d");
    assert_slice(f.event.correlation_id, "e");
    fixture_done(&f);
    assert_slice(f.event.source, "d");
    arena_done(&arena);
}

static void test_fingerprint_is_of_the_pair(void)
{
    g_assert_cmpuint(event_fingerprint(SLICE("ab"), SLICE("c")), ==,
                     event_fingerprint(SLICE("ab"), SLICE("c")));
    g_assert_cmpuint(event_fingerprint(SLICE("ab"), SLICE("c")), !=,
                     event_fingerprint(SLICE("a"), SLICE("bc")));
    g_assert_cmpuint(event_fingerprint(SLICE(""), SLICE("a")), !=,
                     event_fingerprint(SLICE("a"), SLICE("")));
}

static void test_correlation_comes_from_the_trace_or_the_event(void)
{
    struct event one = {.event_id = SLICE("c"), .source = SLICE("ab")};
    struct event other = {.event_id = SLICE("bc"), .source = SLICE("a")};
    char first[EVENT_CORRELATION_BUFFER];
    char again[EVENT_CORRELATION_BUFFER];

    event_correlation(&one, SLICE("4bf92f3577b34da6a3ce929d0e0e4736"), first);
    g_assert_cmpstr(first, ==, "4bf92f3577b34da6a3ce929d0e0e4736");
    event_correlation(&one, SLICE(""), first);
    event_correlation(&one, SLICE(""), again);
    g_assert_cmpuint(strlen(first), ==, 32);
    g_assert_cmpstr(first, ==, again);
    event_correlation(&other, SLICE(""), again);
    g_assert_cmpstr(first, !=, again);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } TESTS[] = {
        {"/event/reads_every_field", test_reads_every_field},
        {"/event/fills_in_what_is_left_out", test_fills_in_what_is_left_out},
        {"/event/requires_id_and_type", test_requires_id_and_type},
        {"/event/collects_all_problems", test_collects_all_problems},
        {"/event/points_below_the_given_pointer", test_points_below_the_given_pointer},
        {"/event/refuses_what_is_no_object", test_refuses_what_is_no_object},
        {"/event/refuses_unknown_fields_with_the_nearest_name",
         test_refuses_unknown_fields_with_the_nearest_name},
        {"/event/does_not_repeat_a_huge_name", test_does_not_repeat_a_huge_name},
        {"/event/refuses_repeated_fields", test_refuses_repeated_fields},
        {"/event/refuses_wrong_types", test_refuses_wrong_types},
        {"/event/limits_sizes", test_limits_sizes},
        {"/event/any_string_may_be_an_id_but_for_nul", test_any_string_may_be_an_id_but_for_nul},
        {"/event/correlation_ids_are_visible_ascii", test_correlation_ids_are_visible_ascii},
        {"/event/refuses_bad_times", test_refuses_bad_times},
        {"/event/refuses_times_far_in_the_future", test_refuses_times_far_in_the_future},
        {"/event/accepts_old_times", test_accepts_old_times},
        {"/event/keeps_numbers_that_fit_no_double", test_keeps_numbers_that_fit_no_double},
        {"/event/digest_tells_bodies_apart", test_digest_tells_bodies_apart},
        {"/event/kept_event_needs_no_flat", test_kept_event_needs_no_flat},
        {"/event/fingerprint_is_of_the_pair", test_fingerprint_is_of_the_pair},
        {"/event/correlation_comes_from_the_trace_or_the_event",
         test_correlation_comes_from_the_trace_or_the_event},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(TESTS); i++)
        g_test_add_func(TESTS[i].name, TESTS[i].run);
    return g_test_run();
}
