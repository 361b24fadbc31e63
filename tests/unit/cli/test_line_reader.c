#include "cli/line_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <glib.h>

/* A file with that content, read from its start. */
static int file_of(const char *text, gsize size)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("lines-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    unlink(path);
    g_assert_cmpint(write(fd, text, size), ==, size);
    g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
    return fd;
}

/* All lines joined by '|', too long ones as "<n>". Owned by caller. */
static char *read_all(const char *text, size_t line_max)
{
    int fd = file_of(text, strlen(text));
    GString *all = g_string_new(NULL);
    struct line_reader r;
    struct line line = {0};
    g_autoptr(GError) error = NULL;

    line_reader_init(&r, fd, line_max);
    while (line_reader_next(&r, &line, &error)) {
        if (line.is_too_long)
            g_string_append_printf(all, "<%d>", (int)line.number);
        else
            g_string_append_len(all, line.text.data, (gssize)line.text.size);
        g_string_append_c(all, '|');
    }
    g_assert_no_error(error);
    g_assert_cmpuint(r.bytes, ==, strlen(text));
    line_reader_done(&r);
    close(fd);
    return g_string_free(all, FALSE);
}

static void expect_lines(const char *text, size_t line_max, const char *expected)
{
    g_autofree char *all = read_all(text, line_max);

    g_assert_cmpstr(all, ==, expected);
}

static void test_lines_are_given_with_and_without_a_last_newline(void)
{
    expect_lines("a\nbc\n", 10, "a|bc|");
    expect_lines("a\nbc", 10, "a|bc|");
    expect_lines("\n\na\r\n", 10, "||a\r|");
    expect_lines("", 10, "");
}

static void test_line_of_exactly_the_limit_passes(void)
{
    expect_lines("12345\n12345", 5, "12345|12345|");
    expect_lines("123456\n12345", 5, "<1>|12345|");
    expect_lines("1\n123456", 5, "1|<2>|");
}

/* Lines far longer than the buffer, between others. */
static void test_too_long_line_costs_itself_only(void)
{
    g_autofree char *longer = g_strnfill(3 * 1024 * 1024, 'x');
    g_autofree char *text = g_strconcat("a\n", longer, "\nb\n", longer, NULL);
    g_autofree char *twice = g_strconcat(longer, "\n", longer, "\n\n", NULL);

    expect_lines(text, 1000, "a|<2>|b|<4>|");
    expect_lines(twice, 1000, "<1>|<2>||");
}

static void test_lines_over_the_border_of_two_reads_are_whole(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *expected = NULL;

    for (int i = 0; i < 100000; i++)
        g_string_append_printf(text, "line number %d\n", i);
    expected = g_strdelimit(g_strdup(text->str), "\n", '|');
    expect_lines(text->str, 100, expected);
}

static void test_read_error_is_reported(void)
{
    struct line_reader r;
    struct line line = {0};
    g_autoptr(GError) error = NULL;

    line_reader_init(&r, -1, 10);
    g_assert_false(line_reader_next(&r, &line, &error));
    g_assert_nonnull(error);
    g_assert_cmpint(error->domain, ==, G_FILE_ERROR);
    line_reader_done(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/line_reader/lines_are_given_with_and_without_a_last_newline",
                    test_lines_are_given_with_and_without_a_last_newline);
    g_test_add_func("/line_reader/line_of_exactly_the_limit_passes",
                    test_line_of_exactly_the_limit_passes);
    g_test_add_func("/line_reader/too_long_line_costs_itself_only",
                    test_too_long_line_costs_itself_only);
    g_test_add_func("/line_reader/lines_over_the_border_of_two_reads_are_whole",
                    test_lines_over_the_border_of_two_reads_are_whole);
    g_test_add_func("/line_reader/read_error_is_reported", test_read_error_is_reported);
    return g_test_run();
}
