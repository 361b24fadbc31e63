#include "cli/client.h"

#include <glib.h>

#include "common/error.h"
#include "fake_server.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct client *connect_to(const char *url)
{
    g_autoptr(GError) error = NULL;
    struct client *c = client_new(url, &error);

    g_assert_no_error(error);
    return c;
}

static void exchange(struct client *c, const struct client_request *request,
                     struct client_response *response)
{
    g_autoptr(GError) error = NULL;

    client_send(c, request, response, &error);
    g_assert_no_error(error);
}

static void test_address_must_be_http(void)
{
    static const char *const bad[] = {"",           "localhost:8080", "ftp://a", "http://",
                                      "http://a?b", "file:///etc",    "http:a"};

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(client_new(bad[i], &error));
        g_assert_error(error, EF_ERROR, EF_ERROR_INPUT);
    }
    client_free(connect_to("https://[::1]:8080/base/"));
    client_free(NULL);
}

static void test_answer_has_status_body_and_headers(void)
{
    struct fake_server s;
    struct client_response response;
    struct client *c;

    fake_server_start(&s, WORDS(FAKE_ANSWER("503 Service Unavailable",
                                            "Retry-After: 7\r\nETag: \"3\"\r\n"
                                            "Content-Length: 4\r\n",
                                            "busy")));
    c = connect_to(s.url);
    exchange(c, &(struct client_request){.method = "GET", .path = "/x?a=b"}, &response);
    g_assert_cmpint(response.status, ==, 503);
    g_assert_cmpstr(response.body->str, ==, "busy");
    g_assert_cmpstr(response.etag, ==, "\"3\"");
    g_assert_cmpint(response.retry_after_ms, ==, 7000);
    client_response_done(&response);
    client_free(c);
    fake_server_stop(&s);
    g_assert_true(g_str_has_prefix(fake_server_request(&s, 0), "GET /x?a=b HTTP/1.1\r\n"));
    fake_server_done(&s);
}

static void test_body_type_and_headers_are_sent(void)
{
    struct fake_server s;
    struct client_response response;
    struct client *c;
    g_autofree char *slashed = NULL;

    fake_server_start(&s, WORDS(FAKE_ANSWER("200 OK", "Content-Length: 0\r\n", "")));
    slashed = g_strconcat(s.url, "/base/", NULL);
    c = connect_to(slashed);
    exchange(c,
             &(struct client_request){.method = "PUT",
                                      .path = "/y",
                                      .content_type = "text/plain",
                                      .body = SLICE("hello"),
                                      .headers = WORDS("If-Match: \"1\"")},
             &response);
    g_assert_cmpint(response.retry_after_ms, ==, -1);
    g_assert_null(response.etag);
    client_response_done(&response);
    client_free(c);
    fake_server_stop(&s);
    g_assert_true(g_str_has_prefix(fake_server_request(&s, 0), "PUT /base/y HTTP/1.1\r\n"));
    g_assert_nonnull(strstr(fake_server_request(&s, 0), "\r\nContent-Type: text/plain\r\n"));
    g_assert_nonnull(strstr(fake_server_request(&s, 0), "\r\nIf-Match: \"1\"\r\n"));
    g_assert_null(strstr(fake_server_request(&s, 0), "Expect:"));
    g_assert_true(g_str_has_suffix(fake_server_request(&s, 0), "\r\n\r\nhello"));
    fake_server_done(&s);
}

/* A method with a body, one without and again one with a body: no shape sticks to the next. */
static void test_connection_is_used_again(void)
{
    static const char *const methods[] = {"POST", "GET", "DELETE", "POST"};
    const char *answer = FAKE_ANSWER("200 OK", "Content-Length: 2\r\n", "ok");
    struct fake_server s;
    struct client *c;

    fake_server_start(&s, WORDS(answer, answer, answer, answer));
    c = connect_to(s.url);
    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++) {
        struct client_response response;

        exchange(c, &(struct client_request){.method = methods[i], .path = "/"}, &response);
        client_response_done(&response);
    }
    client_free(c);
    fake_server_stop(&s);
    for (guint i = 0; i < G_N_ELEMENTS(methods); i++)
        g_assert_true(g_str_has_prefix(fake_server_request(&s, i), methods[i]));
    g_assert_cmpint(s.connections, ==, 1);
    fake_server_done(&s);
}

/* libcurl would call it a form otherwise. */
static void test_request_without_type_names_none(void)
{
    static const char *const methods[] = {"POST", "DELETE"};
    const char *answer = FAKE_ANSWER("200 OK", "Content-Length: 2\r\n", "ok");
    struct fake_server s;
    struct client *c;

    fake_server_start(&s, WORDS(answer, answer));
    c = connect_to(s.url);
    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++) {
        struct client_response response;

        exchange(c, &(struct client_request){.method = methods[i], .path = "/"}, &response);
        client_response_done(&response);
    }
    client_free(c);
    fake_server_stop(&s);
    for (guint i = 0; i < G_N_ELEMENTS(methods); i++) {
        g_assert_null(strstr(fake_server_request(&s, i), "Content-Type"));
        g_assert_nonnull(strstr(fake_server_request(&s, i), "Content-Length: 0"));
    }
    fake_server_done(&s);
}

static void test_hang_up_is_worth_another_try(void)
{
    struct fake_server s;
    struct client_response response;
    g_autoptr(GError) error = NULL;
    struct client *c;

    fake_server_start(&s, WORDS(""));
    c = connect_to(s.url);
    g_assert_false(
        client_send(c, &(struct client_request){.method = "GET", .path = "/"}, &response, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_RETRY);
    g_assert_nonnull(strstr(error->message, s.url));
    client_free(c);
    fake_server_stop(&s);
    fake_server_done(&s);
}

static void test_nobody_listening_is_worth_another_try(void)
{
    struct client *c = connect_to("http://127.0.0.1:1");
    struct client_response response;
    g_autoptr(GError) error = NULL;

    g_assert_false(
        client_send(c, &(struct client_request){.method = "GET", .path = "/"}, &response, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_RETRY);
    client_free(c);
}

static void test_paths_and_queries_are_escaped(void)
{
    g_autoptr(GString) path = g_string_new("/events/");

    client_append_escaped(path, "a/b?c%ü \n");
    g_assert_cmpstr(path->str, ==, "/events/a%2Fb%3Fc%25%C3%BC%20%0A");
    client_append_query(path, "source", "x&y");
    client_append_query(path, "empty", "");
    client_append_query(path, "none", NULL);
    client_append_query(path, "limit", "5");
    g_assert_cmpstr(path->str, ==, "/events/a%2Fb%3Fc%25%C3%BC%20%0A?source=x%26y&limit=5");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/address_must_be_http", test_address_must_be_http);
    g_test_add_func("/client/answer_has_status_body_and_headers",
                    test_answer_has_status_body_and_headers);
    g_test_add_func("/client/body_type_and_headers_are_sent", test_body_type_and_headers_are_sent);
    g_test_add_func("/client/connection_is_used_again", test_connection_is_used_again);
    g_test_add_func("/client/request_without_type_names_none",
                    test_request_without_type_names_none);
    g_test_add_func("/client/hang_up_is_worth_another_try", test_hang_up_is_worth_another_try);
    g_test_add_func("/client/nobody_listening_is_worth_another_try",
                    test_nobody_listening_is_worth_another_try);
    g_test_add_func("/client/paths_and_queries_are_escaped", test_paths_and_queries_are_escaped);
    return g_test_run();
}
