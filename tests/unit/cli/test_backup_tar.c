#include "cli/backup_tar.h"

#include <string.h>

#include <glib.h>

static struct backup_tar_head head_of(const char *name, int64_t size)
{
    struct backup_tar_head head = {.size = size, .at_s = 1795255200};

    g_strlcpy(head.name, name, sizeof(head.name));
    return head;
}

/* Field by field as POSIX writes it down. */
static void test_a_head_is_that_of_ustar(void)
{
    struct backup_tar_head head = head_of("queue.db", 8192);
    unsigned char block[BACKUP_TAR_BLOCK];
    unsigned sum = 0;

    backup_tar_write(&head, block);
    g_assert_cmpstr((char *)block, ==, "queue.db");
    g_assert_cmpstr((char *)block + 100, ==, "0000600");
    g_assert_cmpstr((char *)block + 124, ==, "00000020000");
    g_assert_cmpstr((char *)block + 136, ==, "15300265640");
    g_assert_cmpint(block[156], ==, '0');
    g_assert_cmpmem(block + 257, 8,
                    "ustar\0"
                    "00",
                    8);
    for (int i = 0; i < BACKUP_TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : block[i];
    g_assert_cmpint(g_ascii_strtoll((char *)block + 148, NULL, 8), ==, sum);
    g_assert_cmpint(block[154], ==, 0);
    g_assert_cmpint(block[155], ==, ' ');
}

static void test_every_size_comes_back(void)
{
    static const int64_t sizes[] = {
        0,        1, 4096, INT64_C(077777777777), INT64_C(0100000000000), INT64_C(5000000000000),
        INT64_MAX};

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        struct backup_tar_head head = head_of("eventflow.db", sizes[i]);
        struct backup_tar_head back;
        unsigned char block[BACKUP_TAR_BLOCK];

        backup_tar_write(&head, block);
        g_assert_true(backup_tar_read(block, &back));
        g_assert_cmpint(back.size, ==, sizes[i]);
        g_assert_cmpint(back.at_s, ==, head.at_s);
        g_assert_cmpstr(back.name, ==, "eventflow.db");
    }
}

/* 8 GiB is the first that eleven octal digits cannot hold. */
static void test_a_size_of_8_gib_is_in_base_256(void)
{
    static const unsigned char wanted[12] = {0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0};
    struct backup_tar_head head = head_of("queue.db", INT64_C(8) << 30);
    unsigned char block[BACKUP_TAR_BLOCK];

    backup_tar_write(&head, block);
    g_assert_cmpmem(block + 124, 12, wanted, 12);
}

static void test_any_flipped_bit_makes_it_no_head(void)
{
    static const int64_t sizes[] = {4096, INT64_C(9) << 30};

    for (size_t n = 0; n < G_N_ELEMENTS(sizes); n++) {
        struct backup_tar_head head = head_of("queue.db", sizes[n]);
        struct backup_tar_head back;
        unsigned char block[BACKUP_TAR_BLOCK];

        backup_tar_write(&head, block);
        for (int bit = 0; bit < BACKUP_TAR_BLOCK * 8; bit++) {
            block[bit / 8] ^= (unsigned char)(1 << bit % 8);
            g_assert_false(backup_tar_read(block, &back));
            block[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        g_assert_true(backup_tar_read(block, &back));
    }
}

static void test_bytes_of_any_kind_are_read_without_harm(void)
{
    struct backup_tar_head head;
    unsigned char block[BACKUP_TAR_BLOCK];

    for (int byte = 0; byte < 256; byte++) {
        memset(block, byte, sizeof(block));
        g_assert_false(backup_tar_read(block, &head));
    }
}

static void test_contents_are_filled_up_to_blocks(void)
{
    g_assert_cmpint(backup_tar_filled(0), ==, 0);
    g_assert_cmpint(backup_tar_filled(1), ==, 512);
    g_assert_cmpint(backup_tar_filled(512), ==, 512);
    g_assert_cmpint(backup_tar_filled(513), ==, 1024);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/backup_tar/a_head_is_that_of_ustar", test_a_head_is_that_of_ustar);
    g_test_add_func("/backup_tar/every_size_comes_back", test_every_size_comes_back);
    g_test_add_func("/backup_tar/a_size_of_8_gib_is_in_base_256",
                    test_a_size_of_8_gib_is_in_base_256);
    g_test_add_func("/backup_tar/any_flipped_bit_makes_it_no_head",
                    test_any_flipped_bit_makes_it_no_head);
    g_test_add_func("/backup_tar/bytes_of_any_kind_are_read_without_harm",
                    test_bytes_of_any_kind_are_read_without_harm);
    g_test_add_func("/backup_tar/contents_are_filled_up_to_blocks",
                    test_contents_are_filled_up_to_blocks);
    return g_test_run();
}
