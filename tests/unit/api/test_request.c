#include "api/request.h"

#include "api/problem.h"
#include "api/routes.h"
#include "common/error.h"
#include "common/log.h"

const struct route ROUTES[] = {
    {HTTP_GET, "/list", ROUTE_INLINE, ROUTE_MAIN, NULL, NULL, "limit cursor customer_id"},
    {HTTP_GET, "/plain", ROUTE_INLINE, ROUTE_MAIN, NULL, NULL, NULL},
};
const size_t ROUTE_COUNT = G_N_ELEMENTS(ROUTES);

/* A request as the server would hand it over. */
struct fixture {
    struct http_head head;
    struct request request;
    struct response response;
};

static void set_up(struct fixture *f, size_t route, const char *query)
{
    *f = (struct fixture){0};
    f->request.head = &f->head;
    f->request.route = &ROUTES[route];
    f->request.path = SLICE("/list");
    f->request.query = slice_text(query);
    f->request.correlation_id = SLICE("abc-1");
    arena_init(&f->request.arena);
    f->response.body = g_string_new(NULL);
}

static void tear_down(struct fixture *f)
{
    arena_done(&f->request.arena);
    g_string_free(f->response.body, TRUE);
}

static struct json_value *parse_body(struct fixture *f)
{
    g_autoptr(GError) error = NULL;
    struct json_value *v = json_parse(slice_of(f->response.body->str, f->response.body->len),
                                      &f->request.arena, &error);

    g_assert_no_error(error);
    return v;
}

static void test_query_values_are_decoded(void)
{
    struct fixture f;
    struct slice value;

    set_up(&f, 0, "limit=5&customer_id=a%26b+c&cursor");
    g_assert_true(request_read_query(&f.request, &f.response));
    g_assert_true(request_query(&f.request, "limit", &value));
    g_assert_true(slice_equal(value, SLICE("5")));
    g_assert_true(request_query(&f.request, "customer_id", &value));
    g_assert_true(slice_equal(value, SLICE("a&b c")));
    g_assert_true(request_query(&f.request, "cursor", &value));
    g_assert_cmpuint(value.size, ==, 0);
    g_assert_false(request_query(&f.request, "until", &value));
    tear_down(&f);
}

static void test_no_query_is_fine(void)
{
    struct fixture f;
    struct slice value;

    set_up(&f, 1, "");
    g_assert_true(request_read_query(&f.request, &f.response));
    g_assert_false(request_query(&f.request, "limit", &value));
    tear_down(&f);
    set_up(&f, 1, "&&");
    g_assert_true(request_read_query(&f.request, &f.response));
    tear_down(&f);
}

static void check_refused(size_t route, const char *query, const char *expected)
{
    struct fixture f;

    set_up(&f, route, query);
    g_assert_false(request_read_query(&f.request, &f.response));
    g_assert_cmpint(f.response.status, ==, 400);
    g_assert_nonnull(strstr(f.response.body->str, "/problems/invalid-query"));
    if (strstr(f.response.body->str, expected) == NULL)
        g_error("%s is not in %s", expected, f.response.body->str);
    tear_down(&f);
}

static void test_a_wrong_query_is_refused(void)
{
    check_refused(0, "limti=5", "did you mean \\\"limit\\\"");
    check_refused(0, "zzzzzzzzzzzz=5", "known are: limit, cursor, customer_id");
    check_refused(1, "limit=5", "none is taken");
    check_refused(0, "limit=5&limit=5", "given twice");
    check_refused(0, "limit=5&li%6Dit=6", "given twice");
    check_refused(0, "limit=%zz", "bad percent-escape");
    check_refused(0, "%00=1", "bad percent-escape");
    check_refused(0, "=5", "there is no query parameter");
    check_refused(0, "Limit=5", "there is no query parameter");
}

static void test_headers_are_found_in_any_case(void)
{
    struct fixture f;

    set_up(&f, 0, "");
    f.head.headers[0] = (struct http_header){SLICE("If-Match"), SLICE("\"3\"")};
    f.head.header_count = 1;
    g_assert_true(slice_equal(request_header(&f.request, "if-match"), SLICE("\"3\"")));
    g_assert_null(request_header(&f.request, "accept").data);
    tear_down(&f);
}

static void test_a_problem_names_type_place_and_request(void)
{
    struct fixture f;
    struct problems problems;
    const struct json_value *v;
    const struct json_value *errors;

    set_up(&f, 0, "");
    problems_init(&problems);
    problems_add(&problems, "#/name", "is required");
    g_string_append(f.response.body, "half an answer");
    response_problem(&f.response, &f.request, 422, "invalid-document", &problems, "%d thing", 1);
    v = parse_body(&f);
    g_assert_cmpint(f.response.status, ==, 422);
    g_assert_cmpstr(f.response.content_type, ==, "application/problem+json");
    g_assert_true(slice_equal(json_get_text(v, "type"), SLICE("/problems/invalid-document")));
    g_assert_true(slice_equal(json_get_text(v, "title"), SLICE("Unprocessable Content")));
    g_assert_true(slice_equal(json_get_text(v, "detail"), SLICE("1 thing")));
    g_assert_true(slice_equal(json_get_text(v, "instance"), SLICE("/list")));
    g_assert_true(slice_equal(json_get_text(v, "correlation_id"), SLICE("abc-1")));
    errors = json_get(v, SLICE("errors"));
    g_assert_cmpuint(errors->count, ==, 1);
    g_assert_true(slice_equal(json_get_text(errors->first, "pointer"), SLICE("#/name")));
    g_assert_true(slice_equal(json_get_text(errors->first, "detail"), SLICE("is required")));
    problems_done(&problems);
    tear_down(&f);
}

static bool has_header(const struct response *res, const char *name)
{
    for (size_t i = 0; i < res->header_count; i++)
        if (strcmp(res->headers[i].name, name) == 0)
            return true;
    return false;
}

static void test_errors_become_answers(void)
{
    static const struct {
        int code;
        int status;
        bool can_retry;
        bool shows_text;
    } CASES[] = {
        {EF_ERROR_RETRY, 503, true, false},   {EF_ERROR_FULL, 507, false, false},
        {EF_ERROR_MISSING, 404, false, true}, {EF_ERROR_CONFLICT, 409, false, true},
        {EF_ERROR_INPUT, 400, false, true},   {EF_ERROR_CORRUPT, 500, false, false},
        {EF_ERROR_FATAL, 503, true, false},   {EF_ERROR_STOPPED, 503, true, false},
    };

    log_set_fd(-1);
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GError) error = g_error_new(EF_ERROR, CASES[i].code, "inner text");
        struct fixture f;

        set_up(&f, 0, "");
        response_error(&f.response, &f.request, error);
        g_assert_cmpint(f.response.status, ==, CASES[i].status);
        g_assert_cmpint(has_header(&f.response, "Retry-After"), ==, CASES[i].can_retry);
        g_assert_cmpint(strstr(f.response.body->str, "inner text") != NULL, ==,
                        CASES[i].shows_text);
        tear_down(&f);
    }
}

static void test_every_kind_of_problem_is_found(void)
{
    for (size_t i = 0; i < PROBLEM_TYPE_COUNT; i++) {
        g_assert_true(problem_type_find(PROBLEM_TYPES[i].slug) == &PROBLEM_TYPES[i]);
        if (i > 0)
            g_assert_cmpstr(PROBLEM_TYPES[i - 1].slug, <, PROBLEM_TYPES[i].slug);
    }
    g_assert_null(problem_type_find("no-such-problem"));
    g_assert_cmpstr(problem_reason(503), ==, "Service Unavailable");
    g_assert_cmpstr(problem_reason(299), ==, "Unknown");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/request/query_values_are_decoded", test_query_values_are_decoded);
    g_test_add_func("/request/no_query_is_fine", test_no_query_is_fine);
    g_test_add_func("/request/a_wrong_query_is_refused", test_a_wrong_query_is_refused);
    g_test_add_func("/request/headers_are_found_in_any_case", test_headers_are_found_in_any_case);
    g_test_add_func("/request/a_problem_names_type_place_and_request",
                    test_a_problem_names_type_place_and_request);
    g_test_add_func("/request/errors_become_answers", test_errors_become_answers);
    g_test_add_func("/request/every_kind_of_problem_is_found", test_every_kind_of_problem_is_found);
    return g_test_run();
}
