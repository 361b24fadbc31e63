#include "cli/backup_command.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/exit_code.h"
#include "cli/options.h"
#include "common/error.h"

static void print_help(const struct backup_command *c, const char *notes)
{
    printf("Usage: eventflow %s %s\n\n%s.\n%s\n", c->command->name, c->command->usage,
           c->command->summary, notes);
    settings_print_help();
}

/* Nothing was begun yet. */
static int refuse(const struct backup_command *c, const char *why)
{
    fprintf(stderr, "eventflow %s: %s; 'eventflow %s --help' tells more\n", c->command->name, why,
            c->command->name);
    return EXIT_CODE_USAGE;
}

/* A folder that cannot be used is a wrong setting, as for serve. */
int backup_command_fail(struct backup_command *c, const GError *error)
{
    backup_progress_clear(&c->progress);
    fprintf(stderr, "eventflow %s: %s\n", c->command->name, error->message);
    return g_error_matches(error, EF_ERROR, EF_ERROR_INPUT) ? EXIT_CODE_CONFIG
                                                            : exit_code_of(error);
}

/* The one operand. EXIT_CODE_OK: c->file is set. */
static int take_file(struct backup_command *c, const GPtrArray *operands)
{
    if (operands->len != 1)
        return refuse(c, operands->len == 0 ? "say which FILE" : "there must be one FILE only");
    c->file = g_ptr_array_index(operands, 0);
    if (g_str_equal(c->file, "-"))
        return refuse(c, "FILE cannot be '-': it is read and written at more than one place, so "
                         "give the name of a file");
    if (c->file[0] == '\0' || g_str_has_suffix(c->file, "/") ||
        g_file_test(c->file, G_FILE_TEST_IS_DIR))
        return refuse(c, "FILE must be the name of a file, not of a folder");
    return EXIT_CODE_OK;
}

/* As settings_load, with one argument that is none. */
static int load(struct backup_command *c, int argc, const char *const *argv)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) operands = g_ptr_array_new();

    config_load(SETTINGS, SETTING_COUNT, &c->settings, (const char *const *)environ, argc, argv,
                operands, errors);
    if (!settings_report(errors))
        return EXIT_CODE_CONFIG;
    return take_file(c, operands);
}

int backup_command_run(struct backup_command *c, const char *notes, backup_command_fn work,
                       int argc, const char *const *argv)
{
    g_autofree const char **rest = g_memdup2(argv, (size_t)argc * sizeof(*argv));
    int code;

    if (options_take("--help", &argc, rest) || options_take("-h", &argc, rest)) {
        print_help(c, notes);
        return exit_code_flushed(EXIT_CODE_OK);
    }
    c->is_forced = options_take("--force", &argc, rest);
    c->is_json = options_take("--json", &argc, rest);
    code = load(c, argc, rest);
    if (code == EXIT_CODE_OK) {
        backup_progress_begin(&c->progress);
        code = exit_code_flushed(work(c));
        backup_progress_end(&c->progress);
    }
    settings_done(&c->settings);
    return code;
}
