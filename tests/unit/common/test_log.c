#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <glib.h>

#include "common/json.h"
#include "common/rfc3339.h"

/* A temporary file that the log writes to, so that a test can read the lines back. */
struct capture {
    int fd;
    char *text;
    char **lines;
};

static void capture_begin(struct capture *c)
{
    g_autofree char *path = NULL;

    *c = (struct capture){.fd = g_file_open_tmp("log-XXXXXX", &path, NULL)};
    g_assert_cmpint(c->fd, >=, 0);
    g_assert_cmpint(fcntl(c->fd, F_SETFL, O_APPEND), ==, 0);
    unlink(path);
    log_set_fd(c->fd);
    log_set_level(LOG_LEVEL_INFO);
    log_set_repeat_window_ms(LOG_REPEAT_WINDOW_MS);
}

/* Returns the number of lines; they are in c->lines. */
static guint capture_end(struct capture *c)
{
    off_t size = lseek(c->fd, 0, SEEK_END);

    log_set_fd(STDERR_FILENO);
    c->text = g_malloc0((gsize)size + 1);
    g_assert_cmpint(pread(c->fd, c->text, (size_t)size, 0), ==, size);
    close(c->fd);
    c->lines = g_strsplit(c->text, "\n", -1);
    g_assert_cmpstr(c->lines[g_strv_length(c->lines) - 1], ==, ""); /* ends with a newline */
    return g_strv_length(c->lines) - 1;
}

static void capture_done(struct capture *c)
{
    g_free(c->text);
    g_strfreev(c->lines);
}

static const struct json_value *parse(struct arena *a, const char *line)
{
    g_autoptr(GError) error = NULL;
    const struct json_value *object = json_parse(slice_text(line), a, &error);

    g_assert_no_error(error);
    g_assert_cmpint(object->type, ==, JSON_OBJECT);
    return object;
}

static void test_line_is_one_json_object_with_its_fields(void)
{
    struct arena a = {0};
    struct capture c;
    const struct json_value *object;
    int64_t at_us;
    int64_t integer;

    capture_begin(&c);
    log_warn(LOG_MSG("commit is \"slow\""), LOG_INT("commit_ms", 12), LOG_NUMBER("load", 0.5),
             LOG_TEXT("file", SLICE("a\nb")));
    g_assert_cmpuint(capture_end(&c), ==, 1);
    g_assert_true(g_str_has_prefix(c.lines[0], "{\"timestamp\":\"20"));
    g_assert_true(g_str_has_suffix(
        c.lines[0], "\"level\":\"WARNING\",\"message\":\"commit is \\\"slow\\\"\",\"commit_ms\":12,"
                    "\"load\":0.5,\"file\":\"a\\nb\"}"));
    object = parse(&a, c.lines[0]);
    g_assert_true(rfc3339_parse(json_get_text(object, "timestamp"), &at_us));
    g_assert_cmpint(ABS(at_us - g_get_real_time()), <, 60 * G_USEC_PER_SEC);
    g_assert_true(json_integer(json_get(object, SLICE("commit_ms")), 0, 100, &integer));
    g_assert_true(slice_equal(json_get_text(object, "file"), SLICE("a\nb")));
    capture_done(&c);
    arena_done(&a);
}

static void test_levels_have_their_names(void)
{
    struct capture c;

    capture_begin(&c);
    log_set_level(LOG_LEVEL_DEBUG);
    log_error(LOG_MSG("level e"));
    log_warn(LOG_MSG("level w"));
    log_info(LOG_MSG("level i"));
    log_debug(LOG_MSG("level d"));
    g_assert_cmpuint(capture_end(&c), ==, 4);
    g_assert_nonnull(strstr(c.lines[0], "\"level\":\"ERROR\""));
    g_assert_nonnull(strstr(c.lines[1], "\"level\":\"WARNING\""));
    g_assert_nonnull(strstr(c.lines[2], "\"level\":\"INFO\""));
    g_assert_nonnull(strstr(c.lines[3], "\"level\":\"DEBUG\""));
    capture_done(&c);
}

static void test_lines_above_the_level_are_not_written(void)
{
    struct capture c;

    capture_begin(&c);
    log_debug(LOG_MSG("above info"));
    log_set_level(LOG_LEVEL_ERROR);
    log_warn(LOG_MSG("above error"));
    log_error(LOG_MSG("written"));
    g_assert_cmpuint(capture_end(&c), ==, 1);
    g_assert_nonnull(strstr(c.lines[0], "written"));
    capture_done(&c);
}

static void test_level_parse_knows_four_words(void)
{
    enum log_level level = LOG_LEVEL_INFO;

    g_assert_true(log_level_parse(SLICE("error"), &level) && level == LOG_LEVEL_ERROR);
    g_assert_true(log_level_parse(SLICE("warn"), &level) && level == LOG_LEVEL_WARN);
    g_assert_true(log_level_parse(SLICE("info"), &level) && level == LOG_LEVEL_INFO);
    g_assert_true(log_level_parse(SLICE("debug"), &level) && level == LOG_LEVEL_DEBUG);
    g_assert_false(log_level_parse(SLICE("Error"), &level));
    g_assert_false(log_level_parse(SLICE(""), &level));
    g_assert_cmpint(level, ==, LOG_LEVEL_DEBUG);
}

static void test_repeats_are_held_back_and_counted(void)
{
    struct capture c;

    capture_begin(&c);
    log_set_repeat_window_ms(3600 * 1000);
    for (int i = 0; i < LOG_REPEAT_MAX + 15; i++)
        log_info(LOG_MSG("again"), LOG_INT("i", i));
    log_info(LOG_MSG("another"));
    log_set_repeat_window_ms(0);
    log_info(LOG_MSG("again"), LOG_INT("i", -1));
    log_info(LOG_MSG("again"), LOG_INT("i", -2));
    g_assert_cmpuint(capture_end(&c), ==, LOG_REPEAT_MAX + 3);
    g_assert_nonnull(strstr(c.lines[LOG_REPEAT_MAX - 1], "\"i\":9}"));
    g_assert_nonnull(strstr(c.lines[LOG_REPEAT_MAX], "another\"}"));
    g_assert_nonnull(strstr(c.lines[LOG_REPEAT_MAX + 1], "\"i\":-1,\"suppressed\":15}"));
    g_assert_nonnull(strstr(c.lines[LOG_REPEAT_MAX + 2], "\"i\":-2}"));
    capture_done(&c);
}

static void test_more_messages_than_are_watched_all_pass(void)
{
    struct capture c;

    capture_begin(&c);
    for (int i = 0; i < 1000; i++) {
        g_autofree char *message = g_strdup_printf("message %d", i);

        log_info(LOG_MSG(message));
    }
    g_assert_cmpuint(capture_end(&c), ==, 1000);
    capture_done(&c);
}

static void test_text_that_is_no_utf8_still_gives_json(void)
{
    struct arena a = {0};
    struct capture c;

    capture_begin(&c);
    log_info(LOG_MSG("bytes"), LOG_TEXT("text", SLICE("a\xff\x00z")));
    g_assert_cmpuint(capture_end(&c), ==, 1);
    parse(&a, c.lines[0]);
    capture_done(&c);
    arena_done(&a);
}

static void test_errno_is_kept(void)
{
    log_set_fd(-1);
    errno = ENOSPC;
    log_info(LOG_MSG("nowhere to go"));
    g_assert_cmpint(errno, ==, ENOSPC);
    log_set_fd(STDERR_FILENO);
}

static gpointer write_thread(gpointer data)
{
    for (int i = 0; i < 200; i++) {
        g_autofree char *message = g_strdup_printf("thread %d line %d", GPOINTER_TO_INT(data), i);

        log_info(LOG_MSG(message),
                 LOG_STRING("filler", "0123456789012345678901234567890123456789"));
    }
    return NULL;
}

static void test_lines_of_threads_do_not_mix(void)
{
    struct arena a = {0};
    GThread *threads[4];
    struct capture c;

    capture_begin(&c);
    for (int i = 0; i < 4; i++)
        threads[i] = g_thread_new("writer", write_thread, GINT_TO_POINTER(i));
    for (int i = 0; i < 4; i++)
        g_thread_join(threads[i]);
    g_assert_cmpuint(capture_end(&c), ==, 800);
    for (int i = 0; i < 800; i++)
        parse(&a, c.lines[i]);
    capture_done(&c);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/log/line_is_one_json_object_with_its_fields",
                    test_line_is_one_json_object_with_its_fields);
    g_test_add_func("/log/levels_have_their_names", test_levels_have_their_names);
    g_test_add_func("/log/lines_above_the_level_are_not_written",
                    test_lines_above_the_level_are_not_written);
    g_test_add_func("/log/level_parse_knows_four_words", test_level_parse_knows_four_words);
    g_test_add_func("/log/repeats_are_held_back_and_counted",
                    test_repeats_are_held_back_and_counted);
    g_test_add_func("/log/more_messages_than_are_watched_all_pass",
                    test_more_messages_than_are_watched_all_pass);
    g_test_add_func("/log/text_that_is_no_utf8_still_gives_json",
                    test_text_that_is_no_utf8_still_gives_json);
    g_test_add_func("/log/errno_is_kept", test_errno_is_kept);
    g_test_add_func("/log/lines_of_threads_do_not_mix", test_lines_of_threads_do_not_mix);
    return g_test_run();
}
