/* "eventflow config": what the settings are, in four forms.
 *
 *    (none)       a table of the values in force   checks the configuration: exit code 78 if wrong
 *    --json       the same as one object           the same
 *    --env        config/.env.example              defaults only
 *    --markdown   docs/settings.md                 defaults only
 *
 * All forms come from the one table of settings, so the documentation cannot differ from the
 * program.
 */
#include <stdio.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/settings.h"
#include "common/json.h"

/* Value in force and default side by side; secrets as "(set)". */
static void print_table(const struct settings *s)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        g_autofree char *value = config_show(&SETTINGS[i], s);

        printf("%-24s %-18s (default %s)\n", SETTINGS[i].name, value, SETTINGS[i].fallback);
    }
}

/* One object; values as text, the way a user would write them. */
static void print_json(const struct settings *s)
{
    g_autoptr(GString) out = g_string_new(NULL);
    struct json_writer w;

    json_writer_init(&w, out);
    json_open_object(&w);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        g_autofree char *value = config_show(&SETTINGS[i], s);

        json_put_string(&w, SETTINGS[i].name, value);
    }
    json_close_object(&w);
    printf("%s\n", out->str);
}

/* The file that config/.env.example is generated from. */
static void print_env(void)
{
    printf("# Every setting of EventFlow with its default. Made by: eventflow config --env\n");
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        g_autofree char *variable = config_variable(&SETTINGS[i]);

        printf("\n# %s\n#%s=%s\n", SETTINGS[i].help, variable, SETTINGS[i].fallback);
    }
}

/* docs/settings.md, whole. */
static void print_markdown(void)
{
    printf("# Settings\n\nMade by `eventflow config --markdown`; do not edit by hand. A setting is "
           "given as a flag or as an environment variable; `VARIABLE_FILE` names a file with the "
           "value.\n\n| flag | variable | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        g_autofree char *variable = config_variable(&SETTINGS[i]);

        printf("| `--%s` | `%s` | `%s` | %s |\n", SETTINGS[i].name, variable, SETTINGS[i].fallback,
               SETTINGS[i].help);
    }
}

/* Settings have no --help of their own: each command that takes them prints the table. */
static void print_config_help(void)
{
    printf("Usage: eventflow config [--json | --env | --markdown] [SETTINGS]\n\n%s.\n"
           "--env prints an example file, --markdown the table of the documentation.\n\n",
           command_config.summary);
    settings_print_help();
}

/* The values in force. Every error has been printed; the code is the one that serve would end with.
 */
static int config_check(int argc, const char *const *argv, void (*print)(const struct settings *s))
{
    struct settings settings;

    if (!settings_load(&settings, argc, argv))
        return EXIT_CODE_CONFIG;
    print(&settings);
    settings_done(&settings);
    return EXIT_CODE_OK;
}

/* The forms that show no values: a broken environment alone does not keep them from being made. The
 * settings beside them are only checked: a mistyped flag must not be passed over. */
static int config_make(int argc, const char *const *argv, void (*print)(void))
{
    struct settings settings;

    if (argc > 0) {
        if (!settings_load(&settings, argc, argv))
            return EXIT_CODE_CONFIG;
        settings_done(&settings);
    }
    print();
    return EXIT_CODE_OK;
}

/* Our own flags are taken out first, wherever they stand; what is left must be settings, so that
 * the line of a service file can be checked as it stands. */
static int config(int argc, const char *const *argv)
{
    g_autofree const char **rest = g_memdup2(argv, (size_t)argc * sizeof(*argv));
    int code;

    if (options_take("--help", &argc, rest) || options_take("-h", &argc, rest)) {
        print_config_help();
        code = EXIT_CODE_OK;
    } else if (options_take("--env", &argc, rest)) {
        code = config_make(argc, rest, print_env);
    } else if (options_take("--markdown", &argc, rest)) {
        code = config_make(argc, rest, print_markdown);
    } else {
        bool is_json = options_take("--json", &argc, rest);

        code = config_check(argc, rest, is_json ? print_json : print_table);
    }
    return exit_code_flushed(code);
}

const struct command command_config = {
    .name = "config",
    .summary = "Check the configuration and print every setting in force",
    .run = config,
    .usage = "[--json | --env | --markdown] [SETTINGS]",
};
