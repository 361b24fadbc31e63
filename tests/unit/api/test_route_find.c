#include "api/routes.h"

enum { R_ROOT, R_LIST, R_ADD, R_SUMMARY, R_SHOW, R_REMOVE, R_VERSION, R_INNER, R_METRICS };

const struct route ROUTES[] = {
    [R_ROOT] = {HTTP_GET, "/", ROUTE_INLINE, ROUTE_MAIN, NULL, NULL, NULL},
    [R_LIST] = {HTTP_GET, "/things", ROUTE_INLINE, ROUTE_MAIN, NULL, NULL, NULL},
    [R_ADD] = {HTTP_POST, "/things", ROUTE_INLINE, ROUTE_MAIN, NULL, NULL, NULL},
    [R_SHOW] = {HTTP_GET, "/things/{id}", ROUTE_INLINE, ROUTE_MAIN, NULL, NULL, NULL},
    [R_SUMMARY] = {HTTP_GET, "/things/summary", ROUTE_INLINE, ROUTE_MAIN, NULL, NULL, NULL},
    [R_REMOVE] = {HTTP_DELETE, "/things/{id}", ROUTE_INLINE, ROUTE_MAIN, NULL, NULL, NULL},
    [R_VERSION] = {HTTP_GET, "/things/{id}/versions/{n}", ROUTE_INLINE, ROUTE_MAIN, NULL, NULL,
                   NULL},
    [R_INNER] = {HTTP_GET, "/inner", ROUTE_INLINE, ROUTE_METRICS, NULL, NULL, NULL},
    [R_METRICS] = {HTTP_GET, "/metrics", ROUTE_INLINE, ROUTE_MAIN | ROUTE_METRICS, NULL, NULL,
                   NULL},
};
const size_t ROUTE_COUNT = G_N_ELEMENTS(ROUTES);

struct found {
    const struct route *route;
    struct slice params[REQUEST_PARAMS_MAX];
    int status;
    unsigned allowed;
};

static struct found find_at(enum http_method method, const char *path, unsigned door)
{
    struct found f = {0};

    f.route = route_find(method, slice_text(path), door, f.params, &f.status, &f.allowed);
    return f;
}

static struct found find(enum http_method method, const char *path)
{
    return find_at(method, path, ROUTE_MAIN);
}

static void test_finds_by_method_and_path(void)
{
    g_assert_true(find(HTTP_GET, "/").route == &ROUTES[R_ROOT]);
    g_assert_true(find(HTTP_GET, "/things").route == &ROUTES[R_LIST]);
    g_assert_true(find(HTTP_POST, "/things").route == &ROUTES[R_ADD]);
    g_assert_true(find(HTTP_DELETE, "/things/7").route == &ROUTES[R_REMOVE]);
}

static void test_head_is_answered_by_get(void)
{
    g_assert_true(find(HTTP_HEAD, "/things").route == &ROUTES[R_LIST]);
    g_assert_null(find(HTTP_HEAD, "/nothing").route);
}

static void test_parameters_are_encoded_segments(void)
{
    struct found f = find(HTTP_GET, "/things/a%2Fb/versions/12");

    g_assert_true(f.route == &ROUTES[R_VERSION]);
    g_assert_true(slice_equal(f.params[0], SLICE("a%2Fb")));
    g_assert_true(slice_equal(f.params[1], SLICE("12")));
}

static void test_literal_segments_come_first(void)
{
    g_assert_true(find(HTTP_GET, "/things/summary").route == &ROUTES[R_SUMMARY]);
    g_assert_true(find(HTTP_GET, "/things/summaries").route == &ROUTES[R_SHOW]);
    g_assert_true(find(HTTP_DELETE, "/things/summary").route == &ROUTES[R_REMOVE]);
}

static void test_other_paths_are_404(void)
{
    static const char *const PATHS[] = {"/thing",
                                        "/things/",
                                        "/things//",
                                        "/thingsx",
                                        "/things/a/",
                                        "//things",
                                        "/Things",
                                        "/things/a/versions",
                                        "/things//versions/1",
                                        "/things/a/versions/1/",
                                        "*",
                                        ""};

    for (size_t i = 0; i < G_N_ELEMENTS(PATHS); i++) {
        struct found f = find(HTTP_GET, PATHS[i]);

        g_assert_null(f.route);
        g_assert_cmpint(f.status, ==, 404);
    }
}

static void test_other_methods_are_405_with_all_that_work(void)
{
    struct found f = find(HTTP_PUT, "/things");

    g_assert_null(f.route);
    g_assert_cmpint(f.status, ==, 405);
    g_assert_cmpuint(f.allowed, ==, 1U << HTTP_GET | 1U << HTTP_HEAD | 1U << HTTP_POST);
    f = find(HTTP_OTHER, "/things/1");
    g_assert_cmpint(f.status, ==, 405);
    g_assert_cmpuint(f.allowed, ==, 1U << HTTP_GET | 1U << HTTP_HEAD | 1U << HTTP_DELETE);
}

static void test_each_door_has_its_own_routes(void)
{
    g_assert_true(find_at(HTTP_GET, "/metrics", ROUTE_METRICS).route == &ROUTES[R_METRICS]);
    g_assert_true(find_at(HTTP_GET, "/metrics", ROUTE_MAIN).route == &ROUTES[R_METRICS]);
    g_assert_cmpint(find_at(HTTP_GET, "/inner", ROUTE_MAIN).status, ==, 404);
    g_assert_cmpint(find_at(HTTP_POST, "/things", ROUTE_METRICS).status, ==, 404);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/route_find/finds_by_method_and_path", test_finds_by_method_and_path);
    g_test_add_func("/route_find/head_is_answered_by_get", test_head_is_answered_by_get);
    g_test_add_func("/route_find/parameters_are_encoded_segments",
                    test_parameters_are_encoded_segments);
    g_test_add_func("/route_find/literal_segments_come_first", test_literal_segments_come_first);
    g_test_add_func("/route_find/other_paths_are_404", test_other_paths_are_404);
    g_test_add_func("/route_find/other_methods_are_405_with_all_that_work",
                    test_other_methods_are_405_with_all_that_work);
    g_test_add_func("/route_find/each_door_has_its_own_routes", test_each_door_has_its_own_routes);
    return g_test_run();
}
