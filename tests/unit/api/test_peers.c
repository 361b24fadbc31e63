#include "api/peers.h"

#include <glib.h>

#include <arpa/inet.h>
#include <netinet/in.h>

static uint64_t key_of(const char *text)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_in v4 = {.sin_family = AF_INET};

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return peers_key((const struct sockaddr *)&v4);
    g_assert_cmpint(inet_pton(AF_INET6, text, &v6.sin6_addr), ==, 1);
    return peers_key((const struct sockaddr *)&v6);
}

static void test_addresses_have_keys_of_their_own(void)
{
    g_assert_cmpuint(key_of("10.0.0.1"), !=, key_of("10.0.0.2"));
    g_assert_cmpuint(key_of("10.0.0.1"), !=, key_of("2001:db8::1"));
    g_assert_cmpuint(key_of("127.0.0.1"), !=, key_of("::1"));
}

static void test_a_mapped_address_is_its_ipv4_address(void)
{
    g_assert_cmpuint(key_of("::ffff:10.0.0.1"), ==, key_of("10.0.0.1"));
}

static void test_an_ipv6_network_is_one_address(void)
{
    g_assert_cmpuint(key_of("2001:db8::1"), ==, key_of("2001:db8::ffff:1:2:3"));
    g_assert_cmpuint(key_of("2001:db8::1"), !=, key_of("2001:db8:0:1::1"));
}

static void test_each_address_has_its_limit(void)
{
    struct peers *p = peers_new(2);

    g_assert_true(peers_enter(p, 1));
    g_assert_true(peers_enter(p, 1));
    g_assert_false(peers_enter(p, 1));
    g_assert_true(peers_enter(p, 2));
    peers_leave(p, 1);
    g_assert_true(peers_enter(p, 1));
    g_assert_false(peers_enter(p, 1));
    peers_free(p);
    peers_free(NULL);
}

static void test_no_limit_counts_nothing(void)
{
    struct peers *p = peers_new(0);

    for (int i = 0; i < 10; i++)
        g_assert_true(peers_enter(p, 1));
    peers_leave(p, 1);
    peers_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/peers/addresses_have_keys_of_their_own",
                    test_addresses_have_keys_of_their_own);
    g_test_add_func("/peers/a_mapped_address_is_its_ipv4_address",
                    test_a_mapped_address_is_its_ipv4_address);
    g_test_add_func("/peers/an_ipv6_network_is_one_address", test_an_ipv6_network_is_one_address);
    g_test_add_func("/peers/each_address_has_its_limit", test_each_address_has_its_limit);
    g_test_add_func("/peers/no_limit_counts_nothing", test_no_limit_counts_nothing);
    return g_test_run();
}
