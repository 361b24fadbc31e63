#include "common/arena.h"

#include <stdint.h>

#include <glib.h>

static void test_zero_value_is_an_empty_arena(void)
{
    struct arena a = {0};

    memset(arena_alloc(&a, 10), 1, 10);
    arena_done(&a);
    arena_done(NULL);
}

static void test_memory_is_aligned_for_any_type(void)
{
    struct arena a;

    arena_init(&a);
    for (size_t size = 0; size < 100; size++)
        g_assert_cmpuint((uintptr_t)arena_alloc(&a, size) % _Alignof(max_align_t), ==, 0);
    arena_done(&a);
}

/* Every allocation gets its own pattern; if two overlapped, one pattern would be damaged. */
static void test_allocations_do_not_overlap(void)
{
    enum { COUNT = 500 };
    unsigned char *memory[COUNT];
    struct arena a;

    arena_init(&a);
    for (size_t i = 0; i < COUNT; i++) {
        memory[i] = arena_alloc(&a, i * 7 + 1);
        memset(memory[i], (int)(i % 251), i * 7 + 1);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < i * 7 + 1; j++)
            g_assert_cmpuint(memory[i][j], ==, i % 251);
    arena_done(&a);
}

static void test_request_larger_than_a_block_is_served(void)
{
    size_t size = (size_t)8 * 1024 * 1024;
    struct arena a;

    arena_init(&a);
    memset(arena_alloc(&a, size), 1, size);
    g_assert_nonnull(arena_alloc(&a, 1));
    arena_done(&a);
}

static void test_zalloc_is_zero_in_reused_memory(void)
{
    struct arena a;
    unsigned char *memory;

    arena_init(&a);
    memset(arena_alloc(&a, 1000), 0xff, 1000);
    arena_reset(&a);
    memory = arena_zalloc(&a, 1000);
    for (size_t i = 0; i < 1000; i++)
        g_assert_cmpuint(memory[i], ==, 0);
    arena_done(&a);
}

static void test_reset_keeps_the_largest_block(void)
{
    struct arena a;
    struct arena_block *largest;

    arena_init(&a);
    arena_alloc(&a, 100);
    arena_alloc(&a, 100000);
    largest = a.blocks;
    arena_alloc(&a, 200000);
    g_assert_true(a.blocks != largest);
    largest = a.blocks;
    arena_reset(&a);
    g_assert_true(a.blocks == largest);
    g_assert_cmpuint((size_t)(a.end - a.next), >=, 200000);
    arena_alloc(&a, 200000);
    g_assert_true(a.blocks == largest);
    arena_done(&a);
}

static void test_reset_of_an_empty_arena_is_allowed(void)
{
    struct arena a;

    arena_init(&a);
    arena_reset(&a);
    g_assert_nonnull(arena_alloc(&a, 1));
    arena_done(&a);
}

static void test_copy_ends_with_a_nul_that_is_not_counted(void)
{
    struct arena a;
    struct slice copy;

    arena_init(&a);
    copy = arena_copy(&a, SLICE("ab\0c"));
    g_assert_cmpmem(copy.data, copy.size, "ab\0c", 4);
    g_assert_cmpint(copy.data[4], ==, '\0');
    copy = arena_copy(&a, (struct slice){0});
    g_assert_cmpuint(copy.size, ==, 0);
    g_assert_cmpint(copy.data[0], ==, '\0');
    arena_done(&a);
}

static void test_printf_writes_texts_of_any_length(void)
{
    g_autofree char *longer = g_strnfill(10000, 'x');
    struct arena a;

    arena_init(&a);
    g_assert_cmpstr(arena_printf(&a, "%d-%s", 7, "seven"), ==, "7-seven");
    g_assert_cmpstr(arena_printf(&a, "%s", longer), ==, longer);
    g_assert_cmpstr(arena_printf(&a, "%s", ""), ==, "");
    arena_done(&a);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/arena/zero_value_is_an_empty_arena", test_zero_value_is_an_empty_arena);
    g_test_add_func("/arena/memory_is_aligned_for_any_type", test_memory_is_aligned_for_any_type);
    g_test_add_func("/arena/allocations_do_not_overlap", test_allocations_do_not_overlap);
    g_test_add_func("/arena/request_larger_than_a_block_is_served",
                    test_request_larger_than_a_block_is_served);
    g_test_add_func("/arena/zalloc_is_zero_in_reused_memory", test_zalloc_is_zero_in_reused_memory);
    g_test_add_func("/arena/reset_keeps_the_largest_block", test_reset_keeps_the_largest_block);
    g_test_add_func("/arena/reset_of_an_empty_arena_is_allowed",
                    test_reset_of_an_empty_arena_is_allowed);
    g_test_add_func("/arena/copy_ends_with_a_nul_that_is_not_counted",
                    test_copy_ends_with_a_nul_that_is_not_counted);
    g_test_add_func("/arena/printf_writes_texts_of_any_length",
                    test_printf_writes_texts_of_any_length);
    return g_test_run();
}
