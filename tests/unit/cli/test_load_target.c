#include "cli/load_target.h"

#include <glib.h>

static void expect_target(const char *url, const char *host, const char *path)
{
    struct load_target t;
    g_autoptr(GError) error = NULL;

    g_assert_true(load_target_init(&t, url, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(t.host, ==, host);
    g_assert_cmpstr(t.path, ==, path);
    load_target_done(&t);
}

static void expect_refused(const char *url, const char *part)
{
    struct load_target t;
    g_autoptr(GError) error = NULL;

    g_assert_false(load_target_init(&t, url, &error));
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, part));
    load_target_done(&t);
}

static void test_host_and_path_are_taken_from_the_url(void)
{
    expect_target("http://127.0.0.1:8080", "127.0.0.1:8080", "/events");
    expect_target("http://example.org/", "example.org", "/events");
    expect_target("http://example.org:80/a/b//", "example.org", "/a/b/events");
    expect_target("http://[::1]:8080", "[::1]:8080", "/events");
}

static void test_refuses_what_it_cannot_load(void)
{
    expect_refused("https://example.org", "http only");
    expect_refused("127.0.0.1:8080", "no address");
    expect_refused("http://", "no address");
    expect_refused("ftp://example.org", "no address");
    expect_refused("http://example.org/?a=b", "no address");
    expect_refused("http://example.org/a b", "no address");
    expect_refused("http://example.org/a\r\nb", "no address");
    expect_refused("http://example.org:0", "no address");
    expect_refused("", "no address");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/load_target/host_and_path_are_taken_from_the_url",
                    test_host_and_path_are_taken_from_the_url);
    g_test_add_func("/load_target/refuses_what_it_cannot_load", test_refuses_what_it_cannot_load);
    return g_test_run();
}
