#include "common/config.h"

#include <unistd.h>

#include <glib.h>

struct settings {
    char *data;
    bool is_open;
    int64_t depth;
    int64_t offset;
    int64_t body;
    int64_t wait_ms;
    char *listen;
    char *metrics;
    char *level;
    char *key;
};

static const struct config_setting table[] = {
    {.name = "data",
     .type = CONFIG_TEXT,
     .fallback = "./data",
     .offset = offsetof(struct settings, data)},
    {.name = "allow-open",
     .type = CONFIG_BOOL,
     .fallback = "false",
     .offset = offsetof(struct settings, is_open)},
    {.name = "queue-depth-max",
     .type = CONFIG_INTEGER,
     .fallback = "1000",
     .min = 1,
     .max = 100000,
     .offset = offsetof(struct settings, depth)},
    {.name = "offset",
     .type = CONFIG_INTEGER,
     .fallback = NULL,
     .min = -10,
     .max = 10,
     .offset = offsetof(struct settings, offset)},
    {.name = "body-max",
     .type = CONFIG_SIZE,
     .fallback = "1MiB",
     .min = 1024,
     .max = 1 << 30,
     .offset = offsetof(struct settings, body)},
    {.name = "wait",
     .type = CONFIG_DURATION,
     .fallback = "10s",
     .offset = offsetof(struct settings, wait_ms)},
    {.name = "listen",
     .type = CONFIG_ADDRESS,
     .fallback = "127.0.0.1:8080",
     .offset = offsetof(struct settings, listen)},
    {.name = "metrics-listen",
     .type = CONFIG_ADDRESS,
     .fallback = "",
     .offset = offsetof(struct settings, metrics)},
    {.name = "log-level",
     .type = CONFIG_CHOICE,
     .fallback = "info",
     .choices = "error|warn|info|debug",
     .offset = offsetof(struct settings, level)},
    {.name = "api-key",
     .type = CONFIG_TEXT,
     .fallback = "",
     .is_secret = true,
     .offset = offsetof(struct settings, key)},
};

/* One load: what came in, what came out. */
struct fixture {
    struct settings settings;
    GPtrArray *operands;
    GPtrArray *errors;
    bool is_good;
};

static void load(struct fixture *f, const char *const *environment, const char *const *argv)
{
    *f = (struct fixture){.operands = g_ptr_array_new(),
                          .errors = g_ptr_array_new_with_free_func(g_free)};
    f->is_good = config_load(table, G_N_ELEMENTS(table), &f->settings, environment,
                             argv != NULL ? (int)g_strv_length((char **)(uintptr_t)argv) : 0, argv,
                             f->operands, f->errors);
    g_assert_cmpint(f->is_good, ==, f->errors->len == 0);
}

static void done(struct fixture *f)
{
    config_done(table, G_N_ELEMENTS(table), &f->settings);
    g_ptr_array_unref(f->operands);
    g_ptr_array_unref(f->errors);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *only_error(const struct fixture *f)
{
    g_assert_cmpuint(f->errors->len, ==, 1);
    return g_ptr_array_index(f->errors, 0);
}

/* Loads one argument list and expects exactly this one error. */
static void expect_flag_error(const char *const *argv, const char *expected)
{
    struct fixture f;

    load(&f, NULL, argv);
    g_assert_cmpstr(only_error(&f), ==, expected);
    done(&f);
}

static void expect_variable_error(const char *const *environment, const char *expected)
{
    struct fixture f;

    load(&f, environment, NULL);
    g_assert_cmpstr(only_error(&f), ==, expected);
    done(&f);
}

static void test_defaults_hold_when_nothing_is_given(void)
{
    struct fixture f;

    load(&f, NULL, NULL);
    g_assert_true(f.is_good);
    g_assert_cmpstr(f.settings.data, ==, "./data");
    g_assert_false(f.settings.is_open);
    g_assert_cmpint(f.settings.depth, ==, 1000);
    g_assert_cmpint(f.settings.offset, ==, 0);
    g_assert_cmpint(f.settings.body, ==, 1 << 20);
    g_assert_cmpint(f.settings.wait_ms, ==, 10000);
    g_assert_cmpstr(f.settings.metrics, ==, "");
    g_assert_cmpstr(f.settings.level, ==, "info");
    done(&f);
}

static void test_flag_beats_environment_beats_default(void)
{
    struct fixture f;

    load(&f, WORDS("PATH=/bin", "EVENTFLOW_DATA=/env", "EVENTFLOW_LOG_LEVEL=warn"),
         WORDS("--data", "/flag"));
    g_assert_true(f.is_good);
    g_assert_cmpstr(f.settings.data, ==, "/flag");
    g_assert_cmpstr(f.settings.level, ==, "warn");
    g_assert_cmpint(f.settings.depth, ==, 1000);
    done(&f);
}

static void test_flag_takes_its_value_in_both_forms(void)
{
    struct fixture f;

    load(&f, NULL,
         WORDS("--queue-depth-max=7", "--offset", "-3", "--data=", "--wait=1m", "--wait=2m"));
    g_assert_true(f.is_good);
    g_assert_cmpint(f.settings.depth, ==, 7);
    g_assert_cmpint(f.settings.offset, ==, -3);
    g_assert_cmpstr(f.settings.data, ==, "");
    g_assert_cmpint(f.settings.wait_ms, ==, 120000);
    done(&f);
}

static void test_bool_flag_alone_means_true_and_takes_no_value(void)
{
    struct fixture f;

    load(&f, NULL, WORDS("--allow-open", "false"));
    g_assert_true(f.settings.is_open);
    g_assert_cmpuint(f.operands->len, ==, 1);
    done(&f);
    load(&f, WORDS("EVENTFLOW_ALLOW_OPEN=yes"), WORDS("--allow-open=no"));
    g_assert_true(f.is_good);
    g_assert_false(f.settings.is_open);
    done(&f);
}

static void test_operands_are_kept_in_order(void)
{
    struct fixture f;

    load(&f, NULL, WORDS("one", "--data", "x", "-", "--", "--two", "-3"));
    g_assert_true(f.is_good);
    g_assert_cmpuint(f.operands->len, ==, 4);
    g_assert_cmpstr(g_ptr_array_index(f.operands, 0), ==, "one");
    g_assert_cmpstr(g_ptr_array_index(f.operands, 1), ==, "-");
    g_assert_cmpstr(g_ptr_array_index(f.operands, 2), ==, "--two");
    g_assert_cmpstr(g_ptr_array_index(f.operands, 3), ==, "-3");
    done(&f);
}

static void test_operands_are_errors_where_none_are_wanted(void)
{
    struct settings settings = {0};
    GPtrArray *errors = g_ptr_array_new_with_free_func(g_free);

    g_assert_false(
        config_load(table, G_N_ELEMENTS(table), &settings, NULL, 1, WORDS("serve"), NULL, errors));
    g_assert_cmpstr(g_ptr_array_index(errors, 0), ==,
                    "unexpected argument \"serve\"; only flags are valid here");
    config_done(table, G_N_ELEMENTS(table), &settings);
    g_ptr_array_unref(errors);
}

static void test_sizes_and_durations_know_their_units(void)
{
    static const struct {
        const char *text;
        int64_t value;
    } sizes[] = {{"2048", 2048},    {"64KiB", 65536}, {"64k", 65536},    {"64kib", 65536},
                 {"2MiB", 2097152}, {"2m", 2097152},  {"1GiB", 1 << 30}, {"1g", 1 << 30}},
      durations[] = {{"0", 0},       {"5ms", 5},       {"5s", 5000},
                     {"5m", 300000}, {"5h", 18000000}, {"5d", 432000000}};
    struct fixture f;

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        load(&f, NULL, WORDS("--body-max", sizes[i].text));
        g_assert_true(f.is_good);
        g_assert_cmpint(f.settings.body, ==, sizes[i].value);
        done(&f);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(durations); i++) {
        load(&f, NULL, WORDS("--wait", durations[i].text));
        g_assert_true(f.is_good);
        g_assert_cmpint(f.settings.wait_ms, ==, durations[i].value);
        done(&f);
    }
}

static void test_numbers_that_are_none_are_refused(void)
{
    static const char *const flags[] = {
        "--queue-depth-max=",
        "--queue-depth-max=x",
        "--queue-depth-max=1x",
        "--queue-depth-max= 1",
        "--queue-depth-max=+1",
        "--queue-depth-max=1.5",
        "--queue-depth-max=0",
        "--queue-depth-max=-1",
        "--queue-depth-max=99999999999999999999",
        "--queue-depth-max=0x10",
        "--offset=-",
        "--offset=--1",
        "--offset=11",
        "--body-max=1KB",
        "--body-max=1 KiB",
        "--body-max=2GiB",
        "--body-max=-1",
        "--body-max=9223372036854775807g",
        "--wait=5",
        "--wait=5 s",
        "--wait=s",
        "--wait=-1s",
        "--wait=1h30m",
        "--wait=106751991168d",
        "--wait=9223372036854775808ms",
    };
    struct fixture f;

    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
        load(&f, NULL, WORDS(flags[i]));
        only_error(&f);
        done(&f);
    }
}

static void test_bounds_are_named_in_the_users_units(void)
{
    expect_flag_error(
        WORDS("--queue-depth-max=0"),
        "--queue-depth-max: \"0\" is not valid; valid is a whole number from 1 to 100000");
    expect_flag_error(WORDS("--body-max=5"),
                      "--body-max: \"5\" is not valid; valid is a size (such as "
                      "64KiB or 1MiB) from 1KiB to 1GiB");
    expect_variable_error(WORDS("EVENTFLOW_WAIT=5"),
                          "EVENTFLOW_WAIT: \"5\" is not valid; valid is a duration (such as 500ms, "
                          "10s or 5m), 0 or more");
    expect_flag_error(WORDS("--log-level", "loud"),
                      "--log-level: \"loud\" is not valid; valid is error, warn, info, debug");
    expect_flag_error(WORDS("--allow-open=maybe"),
                      "--allow-open: \"maybe\" is not valid; valid is true or false");
}

static void test_addresses_are_checked_for_their_form(void)
{
    static const char *const good[] = {"127.0.0.1:8080", "[::1]:0", "localhost:65535",
                                       "my-host.example_1:1", "[::ffff:1.2.3.4]:80"};
    static const char *const bad[] = {"",           "host",      "host:",      ":80",
                                      "::1:80",     "[::1]",     "[::1]:",     "[]:80",
                                      "host:65536", "host:-1",   "host:1x",    "ho st:80",
                                      "[::1:80",    "[host]:80", "http://a:80"};
    struct fixture f;

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        load(&f, NULL, WORDS("--listen", good[i]));
        g_assert_true(f.is_good);
        g_assert_cmpstr(f.settings.listen, ==, good[i]);
        done(&f);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        load(&f, NULL, WORDS("--listen", bad[i]));
        g_assert_nonnull(strstr(only_error(&f), "valid is host:port or [IPv6]:port"));
        g_assert_cmpstr(f.settings.listen, ==, "127.0.0.1:8080");
        done(&f);
    }
}

static void test_address_may_be_empty_when_its_default_is(void)
{
    struct fixture f;

    load(&f, NULL, WORDS("--metrics-listen="));
    g_assert_true(f.is_good);
    done(&f);
}

static void test_unknown_flag_names_the_nearest(void)
{
    expect_flag_error(WORDS("--lisen=a:1"), "unknown flag --lisen; did you mean --listen?");
    expect_flag_error(WORDS("--queue_depth_max=1"),
                      "unknown flag --queue_depth_max; did you mean --queue-depth-max?");
    expect_flag_error(WORDS("--xyzzy"), "unknown flag \"--xyzzy\"; see --help for the valid ones");
    expect_flag_error(WORDS("-d"), "unknown flag \"-d\"; see --help for the valid ones");
    /* The value is not repeated: it may be a secret. */
    expect_flag_error(WORDS("-data=x"), "unknown flag \"-data\"; see --help for the valid ones");
}

static void test_unknown_variable_names_the_nearest(void)
{
    expect_variable_error(WORDS("EVENTFLOW_LISTN=a:1"),
                          "unknown variable EVENTFLOW_LISTN; did you mean EVENTFLOW_LISTEN?");
    expect_variable_error(WORDS("EVENTFLOW_listen=a:1"),
                          "unknown variable EVENTFLOW_listen; did you mean EVENTFLOW_LISTEN?");
    expect_variable_error(
        WORDS("EVENTFLOW_API_KEI_FILE=/x"),
        "unknown variable EVENTFLOW_API_KEI_FILE; did you mean EVENTFLOW_API_KEY_FILE?");
    expect_variable_error(WORDS("EVENTFLOW_XYZZY=1"),
                          "unknown variable EVENTFLOW_XYZZY; see --help for the valid ones");
    expect_variable_error(WORDS("EVENTFLOW_=1"),
                          "unknown variable EVENTFLOW_; see --help for the valid ones");
}

static void test_variables_of_kubernetes_are_nobodys_mistake(void)
{
    struct fixture f;

    load(&f,
         WORDS("EVENTFLOW_SERVICE_HOST=10.0.0.1", "EVENTFLOW_SERVICE_PORT_API=8080",
               "EVENTFLOW_PORT=tcp://10.0.0.1:8080", "EVENTFLOW_PORT_8080_TCP_ADDR=10.0.0.1"),
         NULL);
    g_assert_true(f.is_good);
    done(&f);
    expect_variable_error(WORDS("EVENTFLOW_PORTS=1"),
                          "unknown variable EVENTFLOW_PORTS; see --help for the valid ones");
}

static void test_flag_without_its_value_says_what_is_valid(void)
{
    expect_flag_error(
        WORDS("--queue-depth-max"),
        "--queue-depth-max: a value is missing; valid is a whole number from 1 to 100000");
    expect_flag_error(WORDS("--data", "--allow-open"), "--data: a value is missing; valid is text");
}

static void test_all_errors_are_collected(void)
{
    struct fixture f;

    load(&f, WORDS("EVENTFLOW_WAIT=soon", "EVENTFLOW_NOTHING_LIKE_IT=1"),
         WORDS("--listen", "nowhere", "--lgo-level=info", "--wait=1s"));
    g_assert_cmpuint(f.errors->len, ==, 4);
    g_assert_cmpint(f.settings.wait_ms, ==, 1000);
    for (guint i = 0; i < f.errors->len; i++)
        g_assert_null(strchr(g_ptr_array_index(f.errors, i), '\n'));
    done(&f);
}

static void test_error_stays_one_short_line(void)
{
    g_autofree char *longer = g_strnfill(5000, 'x');
    g_autofree char *flag = g_strconcat("--listen=\n\t", longer, "\xff", NULL);
    g_autofree char *unknown = g_strconcat("--\n", longer, NULL);
    struct fixture f;

    load(&f, NULL, WORDS(flag));
    g_assert_null(strchr(only_error(&f), '\n'));
    g_assert_cmpuint(strlen(only_error(&f)), <, 200);
    g_assert_true(g_utf8_validate(only_error(&f), -1, NULL));
    done(&f);
    load(&f, NULL, WORDS(unknown));
    g_assert_null(strchr(only_error(&f), '\n'));
    g_assert_cmpuint(strlen(only_error(&f)), <, 200);
    done(&f);
}

/* Writes text into a temporary file; returns "EVENTFLOW_API_KEY_FILE=<path>". */
static char *key_file(const char *text, gssize size, char **path)
{
    close(g_file_open_tmp("key-XXXXXX", path, NULL));
    g_assert_true(g_file_set_contents(*path, text, size, NULL));
    return g_strconcat("EVENTFLOW_API_KEY_FILE=", *path, NULL);
}

static void test_file_variable_gives_the_files_text(void)
{
    g_autofree char *path = NULL;
    g_autofree char *variable = key_file("s3cret\n", -1, &path);
    struct fixture f;

    load(&f, WORDS(variable), NULL);
    g_assert_true(f.is_good);
    g_assert_cmpstr(f.settings.key, ==, "s3cret");
    done(&f);
    unlink(path);
    load(&f, WORDS(variable), NULL);
    g_assert_true(g_str_has_prefix(only_error(&f), "EVENTFLOW_API_KEY_FILE: "));
    g_assert_nonnull(strstr(only_error(&f), path));
    done(&f);
}

/* The limit stands in the answer; a text of exactly its size is taken. */
static void test_file_past_the_limit_is_refused(void)
{
    g_autofree char *large = g_strnfill(64 * 1024 + 1, 'x');
    g_autofree char *path = NULL;
    g_autofree char *variable = key_file(large, -1, &path);
    struct fixture f;

    load(&f, WORDS(variable), NULL);
    g_assert_nonnull(
        strstr(only_error(&f), "is too large; valid is a text of at most 65536 bytes"));
    g_assert_nonnull(strstr(only_error(&f), path));
    g_assert_cmpstr(f.settings.key, ==, "");
    done(&f);
    large[64 * 1024] = '\0';
    g_assert_true(g_file_set_contents(path, large, -1, NULL));
    load(&f, WORDS(variable), NULL);
    g_assert_true(f.is_good);
    g_assert_cmpstr(f.settings.key, ==, large);
    done(&f);
    unlink(path);
}

/* Reading it whole would never end. */
static void test_file_without_end_is_refused(void)
{
    struct fixture f;

    load(&f, WORDS("EVENTFLOW_API_KEY_FILE=/dev/zero"), NULL);
    g_assert_nonnull(strstr(only_error(&f), "/dev/zero is too large"));
    done(&f);
}

static void test_folder_as_file_is_refused(void)
{
    struct fixture f;

    load(&f, WORDS("EVENTFLOW_API_KEY_FILE=/"), NULL);
    g_assert_nonnull(strstr(only_error(&f), "cannot read /: "));
    done(&f);
}

static void test_file_that_is_no_text_is_refused(void)
{
    g_autofree char *path = NULL;
    g_autofree char *variable = key_file("a\0b", 3, &path);
    struct fixture f;

    load(&f, WORDS(variable), NULL);
    only_error(&f);
    g_assert_cmpstr(f.settings.key, ==, "");
    done(&f);
    unlink(path);
}

static void test_variable_and_file_variable_together_are_an_error(void)
{
    g_autofree char *path = NULL;
    g_autofree char *variable = key_file("a", -1, &path);

    expect_variable_error(
        WORDS("EVENTFLOW_API_KEY=b", variable),
        "EVENTFLOW_API_KEY and EVENTFLOW_API_KEY_FILE are both set; set only one of them");
    unlink(path);
}

static void test_secret_is_never_shown(void)
{
    struct fixture f;
    g_autofree char *shown = NULL;
    g_autofree char *empty = NULL;

    load(&f, WORDS("EVENTFLOW_API_KEY=hush\xff"), NULL);
    g_assert_null(strstr(only_error(&f), "hush"));
    empty = config_show(&table[9], &f.settings);
    g_assert_cmpstr(empty, ==, "");
    done(&f);
    load(&f, WORDS("EVENTFLOW_API_KEY=hush"), NULL);
    shown = config_show(&table[9], &f.settings);
    g_assert_cmpstr(shown, ==, "(set)");
    done(&f);
}

/* What config_show says can be given back as a flag and means the same. */
static void test_shown_values_can_be_given_again(void)
{
    static const char *const expected[] = {"./data", "false",          "1000", "0",   "1MiB",
                                           "10s",    "127.0.0.1:8080", "",     "info"};
    struct fixture f;

    load(&f, NULL, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_autofree char *shown = config_show(&table[i], &f.settings);

        g_assert_cmpstr(shown, ==, expected[i]);
    }
    done(&f);
    load(&f, NULL, WORDS("--body-max=1536", "--wait=90s", "--offset=-4"));
    {
        g_autofree char *size = config_show(&table[4], &f.settings);
        g_autofree char *wait = config_show(&table[5], &f.settings);
        g_autofree char *offset = config_show(&table[3], &f.settings);

        g_assert_cmpstr(size, ==, "1536");
        g_assert_cmpstr(wait, ==, "90s");
        g_assert_cmpstr(offset, ==, "-4");
    }
    done(&f);
}

static void test_nearest_counts_a_swap_as_one_step(void)
{
    static const char *const names[] = {"data", "listen", "log-level"};

    g_assert_cmpstr(config_nearest("lisetn", names, 3), ==, "listen");
    g_assert_cmpstr(config_nearest("dtaa", names, 3), ==, "data");
    g_assert_cmpstr(config_nearest("listen", names, 3), ==, "listen");
    g_assert_null(config_nearest("dxxa", names, 3));
    g_assert_null(config_nearest("", names, 3));
    g_assert_null(config_nearest("data", names, 0));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/config/defaults_hold_when_nothing_is_given",
                    test_defaults_hold_when_nothing_is_given);
    g_test_add_func("/config/flag_beats_environment_beats_default",
                    test_flag_beats_environment_beats_default);
    g_test_add_func("/config/flag_takes_its_value_in_both_forms",
                    test_flag_takes_its_value_in_both_forms);
    g_test_add_func("/config/bool_flag_alone_means_true_and_takes_no_value",
                    test_bool_flag_alone_means_true_and_takes_no_value);
    g_test_add_func("/config/operands_are_kept_in_order", test_operands_are_kept_in_order);
    g_test_add_func("/config/operands_are_errors_where_none_are_wanted",
                    test_operands_are_errors_where_none_are_wanted);
    g_test_add_func("/config/sizes_and_durations_know_their_units",
                    test_sizes_and_durations_know_their_units);
    g_test_add_func("/config/numbers_that_are_none_are_refused",
                    test_numbers_that_are_none_are_refused);
    g_test_add_func("/config/bounds_are_named_in_the_users_units",
                    test_bounds_are_named_in_the_users_units);
    g_test_add_func("/config/addresses_are_checked_for_their_form",
                    test_addresses_are_checked_for_their_form);
    g_test_add_func("/config/address_may_be_empty_when_its_default_is",
                    test_address_may_be_empty_when_its_default_is);
    g_test_add_func("/config/unknown_flag_names_the_nearest", test_unknown_flag_names_the_nearest);
    g_test_add_func("/config/unknown_variable_names_the_nearest",
                    test_unknown_variable_names_the_nearest);
    g_test_add_func("/config/variables_of_kubernetes_are_nobodys_mistake",
                    test_variables_of_kubernetes_are_nobodys_mistake);
    g_test_add_func("/config/flag_without_its_value_says_what_is_valid",
                    test_flag_without_its_value_says_what_is_valid);
    g_test_add_func("/config/all_errors_are_collected", test_all_errors_are_collected);
    g_test_add_func("/config/error_stays_one_short_line", test_error_stays_one_short_line);
    g_test_add_func("/config/file_variable_gives_the_files_text",
                    test_file_variable_gives_the_files_text);
    g_test_add_func("/config/file_past_the_limit_is_refused", test_file_past_the_limit_is_refused);
    g_test_add_func("/config/file_without_end_is_refused", test_file_without_end_is_refused);
    g_test_add_func("/config/folder_as_file_is_refused", test_folder_as_file_is_refused);
    g_test_add_func("/config/file_that_is_no_text_is_refused",
                    test_file_that_is_no_text_is_refused);
    g_test_add_func("/config/variable_and_file_variable_together_are_an_error",
                    test_variable_and_file_variable_together_are_an_error);
    g_test_add_func("/config/secret_is_never_shown", test_secret_is_never_shown);
    g_test_add_func("/config/shown_values_can_be_given_again",
                    test_shown_values_can_be_given_again);
    g_test_add_func("/config/nearest_counts_a_swap_as_one_step",
                    test_nearest_counts_a_swap_as_one_step);
    return g_test_run();
}
