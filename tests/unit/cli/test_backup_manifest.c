#include "cli/backup_manifest.h"

#include <string.h>

#include "common/error.h"

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Every number differs, so that none can stand in for another. */
static void fill(struct backup_manifest *m)
{
    backup_manifest_init(m);
    m->made_at_us = INT64_C(1795255200123456);
    m->position = 90;
    m->accepted = 100;
    m->processed = 70;
    m->failed = 15;
    m->duplicate = 3;
    m->matches = 41;
    m->retrying = 2;
    for (int i = 0; i < BACKUP_MEMBERS; i++) {
        m->members[i].size = 4096 * (i + 1);
        m->members[i].schema = i + 1;
        g_strlcpy(m->members[i].sha256, DIGEST, BACKUP_SHA256_SIZE);
    }
}

static GString *written(void)
{
    struct backup_manifest m;

    fill(&m);
    return backup_manifest_write(&m);
}

static bool reads(const GString *text, GError **error)
{
    struct backup_manifest m;
    bool is_good;

    backup_manifest_init(&m);
    is_good = backup_manifest_read(&m, slice_of(text->str, text->len), error);
    backup_manifest_done(&m);
    return is_good;
}

/* Puts the right digest into a text that was changed. */
static void seal(GString *text)
{
    char *digest = strstr(text->str, "manifest_sha256\":\"") + strlen("manifest_sha256\":\"");
    g_autofree char *right = NULL;

    memset(digest, '0', 64);
    right = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)text->str, text->len);
    memcpy(digest, right, 64);
}

static void test_everything_comes_back(void)
{
    g_autoptr(GString) text = written();
    struct backup_manifest wanted, m;

    fill(&wanted);
    backup_manifest_init(&m);
    g_assert_cmpint(text->len, ==, BACKUP_MANIFEST_SIZE);
    g_assert_true(backup_manifest_read(&m, slice_of(text->str, text->len), NULL));
    g_assert_cmpstr(m.program, ==, "eventflow " EVENTFLOW_VERSION);
    g_assert_cmpint(m.made_at_us, ==, wanted.made_at_us);
    g_assert_cmpint(m.position, ==, 90);
    g_assert_cmpint(m.accepted, ==, 100);
    g_assert_cmpint(m.processed, ==, 70);
    g_assert_cmpint(m.failed, ==, 15);
    g_assert_cmpint(m.duplicate, ==, 3);
    g_assert_cmpint(m.matches, ==, 41);
    g_assert_cmpint(m.retrying, ==, 2);
    g_assert_cmpint(backup_manifest_waiting(&m), ==, 12);
    for (int i = 0; i < BACKUP_MEMBERS; i++) {
        g_assert_cmpint(m.members[i].size, ==, wanted.members[i].size);
        g_assert_cmpint(m.members[i].schema, ==, wanted.members[i].schema);
        g_assert_cmpstr(m.members[i].sha256, ==, DIGEST);
    }
    backup_manifest_done(&m);
}

static void test_any_flipped_bit_is_damage(void)
{
    g_autoptr(GString) text = written();

    for (size_t i = 0; i < text->len; i += i < 900 ? 1 : 97) {
        g_autoptr(GError) error = NULL;

        text->str[i] ^= 1;
        g_assert_false(reads(text, &error));
        g_assert_error(error, EF_ERROR, EF_ERROR_CORRUPT);
        text->str[i] ^= 1;
    }
    g_assert_true(reads(text, NULL));
}

static void test_a_newer_format_is_newer_whatever_else_it_has(void)
{
    g_autoptr(GString) text =
        g_string_new("{\"format\":2,\"new\":[],\"manifest_sha256\":\"" DIGEST "\"}   \n");
    g_autoptr(GError) error = NULL;

    g_assert_false(reads(text, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_CORRUPT);
    g_clear_error(&error);
    seal(text);
    g_assert_false(reads(text, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_NEWER);
}

/* Sealed rightly, and still not what format 1 is. */
static void test_what_is_missing_or_wrong_is_damage(void)
{
    static const char *const pairs[][2] = {
        {"\"format\":1", "\"format\":0"},
        {"\"format\":1", "\"frmat\":1 "},
        {"\"position\":90", "\"position\":-9"},
        {"\"matches\":41", "\"matches\":4."},
        {"queue.db", "queue.dc"},
        {"\"size\":4096", "\"size\":0   "},
        {"\"made_at\":\"2", "\"made_at\":\"x"},
        {"\"members\":[{", "\"nembers\":[{"},
        /* One more than a quarter of the range: sums of such numbers would overflow. */
        {"\"accepted\":100", "\"accepted\":2305843009213693952"},
        {"\"retrying\":2", "\"retrying\":9223372036854775807"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_autoptr(GString) text = written();
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(g_string_replace(text, pairs[i][0], pairs[i][1], 1), ==, 1);
        seal(text);
        g_assert_false(reads(text, &error));
        g_assert_error(error, EF_ERROR, EF_ERROR_CORRUPT);
    }
}

static void test_the_largest_numbers_do_not_overflow(void)
{
    g_autoptr(GString) text = written();
    struct backup_manifest m;

    g_string_replace(text, "\"accepted\":100", "\"accepted\":2305843009213693951", 1);
    g_string_replace(text, "\"retrying\":2", "\"retrying\":2305843009213693951", 1);
    seal(text);
    backup_manifest_init(&m);
    g_assert_true(backup_manifest_read(&m, slice_of(text->str, text->len), NULL));
    g_assert_cmpint(backup_manifest_waiting(&m), ==, INT64_MAX / 2 - 1 - 90);
    g_assert_false(backup_manifest_adds_up(&m));
    backup_manifest_done(&m);
}

static void test_books_add_up_when_every_message_has_one_end_or_waits(void)
{
    struct backup_manifest m;

    fill(&m);
    g_assert_true(backup_manifest_adds_up(&m));
    m.accepted = m.position;
    g_assert_true(backup_manifest_adds_up(&m));
    m.accepted--;
    g_assert_false(backup_manifest_adds_up(&m));
    fill(&m);
    m.processed++;
    g_assert_false(backup_manifest_adds_up(&m));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/backup_manifest/everything_comes_back", test_everything_comes_back);
    g_test_add_func("/backup_manifest/any_flipped_bit_is_damage", test_any_flipped_bit_is_damage);
    g_test_add_func("/backup_manifest/a_newer_format_is_newer_whatever_else_it_has",
                    test_a_newer_format_is_newer_whatever_else_it_has);
    g_test_add_func("/backup_manifest/what_is_missing_or_wrong_is_damage",
                    test_what_is_missing_or_wrong_is_damage);
    g_test_add_func("/backup_manifest/the_largest_numbers_do_not_overflow",
                    test_the_largest_numbers_do_not_overflow);
    g_test_add_func("/backup_manifest/books_add_up_when_every_message_has_one_end_or_waits",
                    test_books_add_up_when_every_message_has_one_end_or_waits);
    return g_test_run();
}
