#include "intake/intake.h"

#include <glib.h>

#include "common/error.h"

#define TRACE_ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define TRACE    "00-" TRACE_ID "-00f067aa0ba902b7-01"
#define GOOD     "{\"event_id\":\"a\",\"event_type\":\"b\"}"

static const int64_t ARRIVED_US = INT64_C(1795255200000000);

struct fixture {
    struct flat flat;
    struct intake_job job;
    GError *error;
    bool is_good;
};

struct request {
    enum intake_format format;
    struct slice body;
    const char *trace;
    const char *correlation;
    size_t events_max; /* 0: 1000 */
};

/* The body is copied to the heap at its exact size, so that reading beyond it is seen. */
static void decode(struct fixture *f, const struct request *r)
{
    struct intake_limits limits = {.events_max = r->events_max != 0 ? r->events_max : 1000};
    struct slice body;

    f->error = NULL;
    flat_init(&f->flat);
    intake_job_init(&f->job);
    body = slice_of(g_memdup2(r->body.data, r->body.size), r->body.size);
    f->job.owner = (void *)(uintptr_t)body.data;
    f->is_good =
        intake_decode(&f->job, r->format, body, slice_text(r->trace), slice_text(r->correlation),
                      ARRIVED_US, &limits, &f->flat, &f->error);
    g_assert_cmpint(f->is_good, ==, f->error == NULL);
}

static void decode_json(struct fixture *f, const char *body)
{
    decode(f, &(struct request){.format = INTAKE_JSON, .body = slice_text(body)});
}

static void decode_lines(struct fixture *f, const char *body)
{
    decode(f, &(struct request){.format = INTAKE_NDJSON, .body = slice_text(body)});
}

static void fixture_done(struct fixture *f)
{
    char *body = f->job.owner;

    intake_job_done(&f->job);
    flat_done(&f->flat);
    g_clear_error(&f->error);
    g_free(body);
}

static void assert_slice(struct slice s, const char *text)
{
    g_assert_cmpmem(s.data, s.size, text, strlen(text));
}

static void assert_rejection(const struct fixture *f, size_t i, size_t index, const char *pointer,
                             const char *words)
{
    const struct intake_rejection *r;

    g_assert_cmpuint(i, <, f->job.rejected);
    r = &f->job.rejections[i];
    g_assert_cmpuint(r->index, ==, index);
    g_assert_cmpstr(r->problems->items[0].pointer, ==, pointer);
    if (strstr(r->problems->items[0].detail, words) == NULL)
        g_error("\"%s\" lacks \"%s\"", r->problems->items[0].detail, words);
}

/* The whole request is refused with this code, and the message contains the words. */
static void assert_refused(const struct request *r, int code, const char *words)
{
    struct fixture f;

    decode(&f, r);
    g_assert_error(f.error, EF_ERROR, code);
    if (strstr(f.error->message, words) == NULL)
        g_error("\"%s\" lacks \"%s\"", f.error->message, words);
    g_assert_cmpuint(f.job.count, ==, 0);
    g_assert_cmpuint(f.job.rejected, ==, 0);
    fixture_done(&f);
}

static void assert_json_refused(const char *body, const char *words)
{
    assert_refused(&(struct request){.format = INTAKE_JSON, .body = slice_text(body)},
                   EF_ERROR_INPUT, words);
}

static void test_single_object_becomes_one_message(void)
{
    struct fixture f;

    decode_json(&f, "\r\n {\"event_id\":\"a\", \"event_type\":\"b\"} \n");
    g_assert_no_error(f.error);
    g_assert_false(f.job.is_batch);
    g_assert_cmpuint(f.job.count, ==, 1);
    g_assert_cmpuint(f.job.rejected, ==, 0);
    assert_slice(f.job.messages[0].key, "a");
    assert_slice(f.job.messages[0].body, "{\"event_id\":\"a\", \"event_type\":\"b\"}");
    g_assert_cmpint(f.job.messages[0].published_at_us, ==, ARRIVED_US);
    g_assert_cmpuint(f.job.bytes, ==, f.job.messages[0].body.size);
    fixture_done(&f);
}

static void test_single_bad_event_is_one_rejection(void)
{
    struct fixture f;

    decode_json(&f, "{\"event_id\":\"a\"}");
    g_assert_cmpuint(f.job.count, ==, 0);
    assert_rejection(&f, 0, 0, "#/event_type", "required");
    g_assert_false(f.job.is_batch);
    fixture_done(&f);
    decode_json(&f, "5");
    assert_rejection(&f, 0, 0, "#", "must be an object, not a number");
    fixture_done(&f);
}

static void test_array_keeps_the_good_and_names_the_bad(void)
{
    struct fixture f;

    decode_json(&f, " [ " GOOD " , 5,{\"event_id\":\"c\"}\n," GOOD "] ");
    g_assert_no_error(f.error);
    g_assert_true(f.job.is_batch);
    g_assert_cmpuint(f.job.count, ==, 2);
    g_assert_cmpuint(f.job.rejected, ==, 2);
    assert_slice(f.job.messages[1].body, GOOD);
    assert_rejection(&f, 0, 1, "#/1", "must be an object");
    assert_rejection(&f, 1, 2, "#/2/event_type", "required");
    fixture_done(&f);
}

static void test_array_of_one_is_a_batch(void)
{
    struct fixture f;

    decode_json(&f, "[" GOOD "]");
    g_assert_true(f.job.is_batch);
    g_assert_cmpuint(f.job.count, ==, 1);
    fixture_done(&f);
}

static void test_lines_keep_the_good_and_name_the_bad(void)
{
    struct fixture f;

    decode_lines(&f, GOOD "\r\n\n  \n" GOOD "\n{\"event_id\":\n" GOOD " x\n[" GOOD "]\n" GOOD);
    g_assert_no_error(f.error);
    g_assert_true(f.job.is_batch);
    g_assert_cmpuint(f.job.count, ==, 3);
    g_assert_cmpuint(f.job.rejected, ==, 3);
    assert_rejection(&f, 0, 2, "#", "at line 5, column 13 (byte 85)");
    assert_rejection(&f, 1, 3, "#", "behind the event's closing brace at line 6");
    assert_rejection(&f, 2, 4, "#", "must be an object, not an array");
    assert_slice(f.job.messages[0].body, GOOD);
    fixture_done(&f);
}

static void test_byte_order_mark_is_bad_json(void)
{
    struct fixture f;

    decode_lines(&f, "\xEF\xBB\xBF" GOOD "\n" GOOD);
    g_assert_cmpuint(f.job.count, ==, 1);
    assert_rejection(&f, 0, 0, "#", "line 1, column 1 (byte 0)");
    fixture_done(&f);
    assert_json_refused("\xEF\xBB\xBF" GOOD, "line 1, column 1 (byte 0)");
}

static void test_nothing_in_the_body_is_refused(void)
{
    assert_json_refused("", "no events");
    assert_json_refused(" \n", "no events");
    assert_json_refused("[]", "no events");
    assert_json_refused(" [ ] ", "no events");
    assert_refused(&(struct request){.format = INTAKE_NDJSON, .body = SLICE("\n\r\n")},
                   EF_ERROR_INPUT, "no events");
}

static void test_syntax_errors_refuse_the_request_with_the_place(void)
{
    assert_json_refused("{\"event_id\":}", "line 1, column 13 (byte 12)");
    assert_json_refused(GOOD " x", "line 1, column 35 (byte 34)");
    assert_json_refused(GOOD GOOD, "behind the event's closing brace");
    assert_json_refused("[" GOOD ",\n  {\"event_id\":tru}]", "line 2, column 15 (byte 50)");
    assert_json_refused("[" GOOD "\n" GOOD "]", "line 2, column 1 (byte 35)");
    assert_json_refused("[" GOOD, "line 1, column 35 (byte 34)");
    assert_json_refused("[" GOOD ",", "line 1, column 36 (byte 35)");
    assert_json_refused("[" GOOD ",]", "line 1, column 36 (byte 35)");
    assert_json_refused("[" GOOD "] []", "behind the array's closing bracket");
    assert_json_refused("[", "line 1, column 2 (byte 1)");
}

/* open brackets around nothing, inside an event. Owned by caller. */
static char *nested_event(size_t brackets)
{
    g_autofree char *open = g_strnfill(brackets, '[');
    g_autofree char *close = g_strnfill(brackets, ']');

    return g_strdup_printf("{\"event_id\":\"a\",\"event_type\":\"b\",\"payload\":{\"x\":%s%s}}",
                           open, close);
}

static void test_array_counts_towards_the_nesting_limit(void)
{
    g_autofree char *event = nested_event(JSON_DEPTH_MAX - 2);
    g_autofree char *array = g_strdup_printf("[%s]", event);
    struct fixture f;

    decode_json(&f, event);
    g_assert_cmpuint(f.job.count, ==, 1);
    fixture_done(&f);
    assert_json_refused(array, "nesting");
}

static void test_limits_the_events_of_a_request(void)
{
    struct request r = {.format = INTAKE_JSON, .body = SLICE("[1," GOOD "]"), .events_max = 2};
    struct fixture f;

    decode(&f, &r);
    g_assert_no_error(f.error);
    fixture_done(&f);
    r.events_max = 1;
    assert_refused(&r, EF_ERROR_FULL, "more than 1 events");
    r = (struct request){
        .format = INTAKE_NDJSON, .body = SLICE(GOOD "\nx\n" GOOD), .events_max = 2};
    assert_refused(&r, EF_ERROR_FULL, "more than 2 events");
}

static void test_correlation_prefers_body_then_header_then_trace(void)
{
    struct request r = {.format = INTAKE_JSON,
                        .body = SLICE("[{\"event_id\":\"a\",\"event_type\":\"b\","
                                      "\"correlation_id\":\"own\"}," GOOD "]"),
                        .trace = TRACE,
                        .correlation = "header"};
    struct fixture f;

    decode(&f, &r);
    assert_slice(f.job.messages[0].correlation, "own");
    assert_slice(f.job.messages[1].correlation, "header");
    assert_slice(f.job.messages[1].trace, TRACE);
    fixture_done(&f);
    r.correlation = NULL;
    decode(&f, &r);
    assert_slice(f.job.messages[1].correlation, TRACE_ID);
    fixture_done(&f);
}

static void test_correlation_is_made_the_same_for_a_resend(void)
{
    struct fixture a;
    struct fixture b;

    decode_json(&a, GOOD);
    decode_json(&b, "[ " GOOD ",{\"event_id\":\"x\",\"event_type\":\"b\"}]");
    g_assert_cmpuint(a.job.messages[0].correlation.size, ==, 32);
    g_assert_true(slice_equal(a.job.messages[0].correlation, b.job.messages[0].correlation));
    g_assert_false(slice_equal(b.job.messages[0].correlation, b.job.messages[1].correlation));
    g_assert_cmpuint(a.job.messages[0].trace.size, ==, 0);
    fixture_done(&a);
    fixture_done(&b);
}

static void test_bad_headers_are_ignored(void)
{
    g_autofree char *huge = g_strnfill(129, 'x');
    struct request r = {
        .format = INTAKE_JSON, .body = SLICE(GOOD), .trace = "00-0-0-0", .correlation = huge};
    struct fixture f;

    decode(&f, &r);
    g_assert_cmpuint(f.job.messages[0].trace.size, ==, 0);
    g_assert_cmpuint(f.job.messages[0].correlation.size, ==, 32);
    fixture_done(&f);
}

static void test_keeps_no_more_of_a_trace_than_is_known(void)
{
    struct request r = {.format = INTAKE_JSON,
                        .body = SLICE(GOOD),
                        .trace = "01-" TRACE_ID "-00f067aa0ba902b7-01-later"};
    struct fixture f;

    decode(&f, &r);
    assert_slice(f.job.messages[0].trace, "01-" TRACE_ID "-00f067aa0ba902b7-01");
    fixture_done(&f);
}

static void test_unescaped_ids_outlive_the_next_event(void)
{
    struct fixture f;

    decode_json(&f,
                "[{\"event_id\":\"\\u0061-1\",\"event_type\":\"b\",\"correlation_id\":\"\\u0063\"},"
                "{\"event_id\":\"\\u007a-2\",\"event_type\":\"b\"}]");
    assert_slice(f.job.messages[0].key, "a-1");
    assert_slice(f.job.messages[0].correlation, "c");
    assert_slice(f.job.messages[1].key, "z-2");
    fixture_done(&f);
}

static void test_takes_many_events(void)
{
    g_autoptr(GString) body = g_string_new("[" GOOD);
    struct fixture f;

    for (int i = 1; i < 1000; i++)
        g_string_append(body, i % 3 == 0 ? ",0" : "," GOOD);
    g_string_append_c(body, ']');
    decode(&f, &(struct request){.format = INTAKE_JSON, .body = slice_of(body->str, body->len)});
    g_assert_no_error(f.error);
    g_assert_cmpuint(f.job.count, ==, 667);
    g_assert_cmpuint(f.job.rejected, ==, 333);
    for (size_t i = 0; i < f.job.count; i++)
        assert_slice(f.job.messages[i].body, GOOD);
    g_assert_cmpuint(f.job.rejections[332].index, ==, 999);
    fixture_done(&f);
}

static void test_refuses_an_event_that_no_message_can_hold(void)
{
    g_autofree char *filler = g_strnfill(QUEUE_MESSAGE_MAX, 'x');
    g_autofree char *body = g_strdup_printf(
        "[" GOOD ",{\"event_id\":\"a\",\"event_type\":\"b\",\"payload\":{\"x\":\"%s\"}}]", filler);
    struct fixture f;

    decode_json(&f, body);
    g_assert_cmpuint(f.job.count, ==, 1);
    assert_rejection(&f, 0, 1, "#/1", "at most 1048576");
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } TESTS[] = {
        {"/decode/single_object_becomes_one_message", test_single_object_becomes_one_message},
        {"/decode/single_bad_event_is_one_rejection", test_single_bad_event_is_one_rejection},
        {"/decode/array_keeps_the_good_and_names_the_bad",
         test_array_keeps_the_good_and_names_the_bad},
        {"/decode/array_of_one_is_a_batch", test_array_of_one_is_a_batch},
        {"/decode/lines_keep_the_good_and_name_the_bad", test_lines_keep_the_good_and_name_the_bad},
        {"/decode/byte_order_mark_is_bad_json", test_byte_order_mark_is_bad_json},
        {"/decode/nothing_in_the_body_is_refused", test_nothing_in_the_body_is_refused},
        {"/decode/syntax_errors_refuse_the_request_with_the_place",
         test_syntax_errors_refuse_the_request_with_the_place},
        {"/decode/array_counts_towards_the_nesting_limit",
         test_array_counts_towards_the_nesting_limit},
        {"/decode/limits_the_events_of_a_request", test_limits_the_events_of_a_request},
        {"/decode/correlation_prefers_body_then_header_then_trace",
         test_correlation_prefers_body_then_header_then_trace},
        {"/decode/correlation_is_made_the_same_for_a_resend",
         test_correlation_is_made_the_same_for_a_resend},
        {"/decode/bad_headers_are_ignored", test_bad_headers_are_ignored},
        {"/decode/keeps_no_more_of_a_trace_than_is_known",
         test_keeps_no_more_of_a_trace_than_is_known},
        {"/decode/unescaped_ids_outlive_the_next_event", test_unescaped_ids_outlive_the_next_event},
        {"/decode/takes_many_events", test_takes_many_events},
        {"/decode/refuses_an_event_that_no_message_can_hold",
         test_refuses_an_event_that_no_message_can_hold},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(TESTS); i++)
        g_test_add_func(TESTS[i].name, TESTS[i].run);
    return g_test_run();
}
