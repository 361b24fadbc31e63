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

/* The form is the first argument; everything behind it belongs to the settings, so that the line of
 * a service file can be checked as it stands. */
static int config(int argc, const char *const *argv)
{
    struct settings settings;
    const char *form = argc > 0 ? argv[0] : "";

    if (g_str_equal(form, "--help") || g_str_equal(form, "-h")) {
        printf("Usage: eventflow config [--json | --env | --markdown] [SETTINGS]\n\n%s.\n"
               "--env prints an example file, --markdown the table of the documentation.\n\n",
               command_config.summary);
        settings_print_help();
        return EXIT_CODE_OK;
    }
    /* These two show no values, so a broken configuration does not keep them from being made. */
    if (g_str_equal(form, "--env"))
        return print_env(), EXIT_CODE_OK;
    if (g_str_equal(form, "--markdown"))
        return print_markdown(), EXIT_CODE_OK;
    if (g_str_equal(form, "--json"))
        argc--, argv++;
    /* Every error has been printed; the code is the one that serve would end with. */
    if (!settings_load(&settings, argc, argv))
        return EXIT_CODE_CONFIG;
    if (g_str_equal(form, "--json"))
        print_json(&settings);
    else
        print_table(&settings);
    settings_done(&settings);
    return EXIT_CODE_OK;
}

const struct command command_config = {
    .name = "config",
    .summary = "Check the configuration and print every setting in force",
    .run = config,
    .usage = "[--json | --env | --markdown] [SETTINGS]",
};
