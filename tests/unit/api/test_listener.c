#include "api/listener.h"

#include "common/error.h"

static void test_port_0_picks_a_port(void)
{
    g_autoptr(GError) error = NULL;
    struct listener l;

    g_assert_true(listener_open(&l, "127.0.0.1:0", false, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(l.count, ==, 1);
    g_assert_cmpint(l.port, >, 0);
    listener_close(&l);
    g_assert_cmpuint(l.count, ==, 0);
    listener_close(&l);
}

static void test_localhost_is_one_port_on_all_its_addresses(void)
{
    g_autoptr(GError) error = NULL;
    struct listener l;

    g_assert_true(listener_open(&l, "LocalHost:0", false, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(l.count, >=, 1);
    listener_close(&l);
}

static void test_a_taken_port_is_in_use(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *address = NULL;
    struct listener l;
    struct listener second;

    g_assert_true(listener_open(&l, "127.0.0.1:0", false, NULL));
    address = g_strdup_printf("127.0.0.1:%d", l.port);
    g_assert_false(listener_open(&second, address, false, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_IN_USE);
    g_assert_nonnull(strstr(error->message, address));
    listener_close(&second);
    listener_close(&l);
}

static void test_open_addresses_need_permission(void)
{
    static const char *const ADDRESSES[] = {"0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[2001:db8::1]:0",
                                            "[::ffff:192.0.2.1]:0"};

    for (size_t i = 0; i < G_N_ELEMENTS(ADDRESSES); i++) {
        g_autoptr(GError) error = NULL;
        struct listener l;

        g_assert_false(listener_open(&l, ADDRESSES[i], false, &error));
        g_assert_error(error, EF_ERROR, EF_ERROR_INPUT);
        g_assert_nonnull(strstr(error->message, "--allow-open"));
    }
}

static void test_open_addresses_are_bound_when_allowed(void)
{
    g_autoptr(GError) error = NULL;
    struct listener l;

    g_assert_true(listener_open(&l, "0.0.0.0:0", true, &error));
    g_assert_no_error(error);
    listener_close(&l);
}

static void test_bad_addresses_are_named(void)
{
    static const char *const ADDRESSES[] = {"",       "8080",  ":8080",        "127.0.0.1",
                                            "a:b",    "a:",    "127.0.0.1:x",  "127.0.0.1:70000",
                                            "::1:80", "[]:80", "127.0.0.1:8x", "127.0.0.1:-1"};

    for (size_t i = 0; i < G_N_ELEMENTS(ADDRESSES); i++) {
        g_autoptr(GError) error = NULL;
        struct listener l;

        g_assert_false(listener_open(&l, ADDRESSES[i], true, &error));
        g_assert_error(error, EF_ERROR, EF_ERROR_INPUT);
        g_assert_nonnull(strstr(error->message, ADDRESSES[i]));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/listener/port_0_picks_a_port", test_port_0_picks_a_port);
    g_test_add_func("/listener/localhost_is_one_port_on_all_its_addresses",
                    test_localhost_is_one_port_on_all_its_addresses);
    g_test_add_func("/listener/a_taken_port_is_in_use", test_a_taken_port_is_in_use);
    g_test_add_func("/listener/open_addresses_need_permission",
                    test_open_addresses_need_permission);
    g_test_add_func("/listener/open_addresses_are_bound_when_allowed",
                    test_open_addresses_are_bound_when_allowed);
    g_test_add_func("/listener/bad_addresses_are_named", test_bad_addresses_are_named);
    return g_test_run();
}
