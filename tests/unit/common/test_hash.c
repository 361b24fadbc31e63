/* The expected values stand here as numbers and not as calls of the library: they are stored on
 * disk, so a change of the library, the seed or the byte order must fail. */
#include "common/hash.h"

#include <glib.h>

struct hash_case {
    const char *text;
    uint64_t hash64;
    const char *hash128; /* hex of the canonical bytes */
};

static const struct hash_case hash_cases[] = {
    {"", UINT64_C(0x2d06800538d394c2), "99aa06d3014798d86001c324468d497f"},
    {"a", UINT64_C(0xe6c632b61e964e1f), "a96faf705af16834e6c632b61e964e1f"},
    {"abc", UINT64_C(0x78af5f94892f3950), "06b05ab6733a618578af5f94892f3950"},
    {"order-1", UINT64_C(0x5fc46503368e2876), "5a8a409613f90ad0af63a0f835ca6746"},
    {"The quick brown fox jumps over the lazy dog", UINT64_C(0xce7d19a5418fb365),
     "ddd650205ca3e7fa24a1cc2e3a8a7651"},
    {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
     UINT64_C(0xa5d1b4607dc83554), "125237ea2ad7bc7aa5d1b4607dc83554"},
};

static void test_hash64_values_never_change(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(hash_cases); i++)
        g_assert_cmphex(hash64(slice_text(hash_cases[i].text)), ==, hash_cases[i].hash64);
    g_assert_cmphex(hash64((struct slice){0}), ==, hash_cases[0].hash64);
}

static void test_hash128_values_never_change(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(hash_cases); i++) {
        struct hash_digest digest = hash128(slice_text(hash_cases[i].text));
        char hex[2 * HASH_DIGEST_SIZE + 1];

        for (size_t j = 0; j < HASH_DIGEST_SIZE; j++)
            g_snprintf(hex + 2 * j, 3, "%02x", digest.bytes[j]);
        g_assert_cmpstr(hex, ==, hash_cases[i].hash128);
    }
}

static void test_pair_hash_knows_the_border(void)
{
    g_assert_cmphex(hash64_pair(SLICE("ab"), SLICE("c")), !=, hash64_pair(SLICE("a"), SLICE("bc")));
    g_assert_cmphex(hash64_pair(SLICE("abc"), SLICE("")), !=, hash64_pair(SLICE(""), SLICE("abc")));
    g_assert_cmphex(hash64_pair(SLICE("a"), SLICE("b")), !=, hash64_pair(SLICE("b"), SLICE("a")));
}

static void test_pair_hash_values_never_change(void)
{
    g_assert_cmphex(hash64_pair(SLICE("shop"), SLICE("order-1")), ==, UINT64_C(0xd953658bb5d50aec));
    g_assert_cmphex(hash64_pair(SLICE(""), SLICE("order-1")), ==, UINT64_C(0x756870c5af084354));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hash/hash64_values_never_change", test_hash64_values_never_change);
    g_test_add_func("/hash/hash128_values_never_change", test_hash128_values_never_change);
    g_test_add_func("/hash/pair_hash_knows_the_border", test_pair_hash_knows_the_border);
    g_test_add_func("/hash/pair_hash_values_never_change", test_pair_hash_values_never_change);
    return g_test_run();
}
