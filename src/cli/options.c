/* Flags and help of the client commands, on top of common/config.
 *
 * --help is looked for first and wins over every mistake beside it. All mistakes are printed, not
 * only the first one.
 */
#include "cli/options.h"

#include <stdarg.h>
#include <stdio.h>

#include "cli/exit_code.h"

/* The others close ranks and keep their order. */
bool options_take(const char *flag, int *argc, const char **argv)
{
    int kept = 0;
    bool is_there;

    for (int i = 0; i < *argc; i++)
        if (!g_str_equal(argv[i], flag))
            argv[kept++] = argv[i];
    is_there = kept < *argc;
    *argc = kept;
    return is_there;
}

/* Anywhere before "--", since people add it to the line they were writing. */
static bool options_ask_for_help(int argc, const char *const *argv)
{
    for (int i = 0; i < argc && !g_str_equal(argv[i], "--"); i++)
        if (g_str_equal(argv[i], "--help") || g_str_equal(argv[i], "-h"))
            return true;
    return false;
}

/* A line for the flag; a second one for what its value may be, where the type does not say it. */
static void options_print_flag(const struct config_setting *flag)
{
    g_autofree char *valid = config_valid(flag);
    bool has_fallback = flag->fallback != NULL && flag->fallback[0] != '\0';

    if (flag->type == CONFIG_BOOL)
        printf("  --%-14s %s\n", flag->name, flag->help);
    else if (has_fallback)
        printf("  --%-14s %s (default %s)\n", flag->name, flag->help, flag->fallback);
    else
        printf("  --%-14s %s\n", flag->name, flag->help);
    if (flag->type != CONFIG_BOOL && flag->type != CONFIG_TEXT)
        printf("  %16s valid: %s\n", "", valid);
}

/* The forms of the command one below the other, then flags and notes. To standard output: it was
 * asked for. */
static void options_print_help(const struct options *o)
{
    g_auto(GStrv) forms = g_strsplit(o->command->usage, "\n", -1);

    /* The second form and all others stand below the first one's name. */
    for (size_t i = 0; forms[i] != NULL; i++)
        printf("%s eventflow %s %s\n", i == 0 ? "Usage:" : "      ", o->command->name, forms[i]);
    printf("\n%s.\n\nFlags:\n", o->command->summary);
    for (size_t i = 0; i < o->count; i++)
        options_print_flag(&o->table[i]);
    if (o->notes != NULL)
        printf("\n%s", o->notes);
}

/* One form for everything that is wrong with a command line. format has no full stop. */
int options_refuse(const struct options *o, const char *format, ...)
{
    va_list args;
    g_autofree char *text = NULL;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    fprintf(stderr, "eventflow %s: %s; 'eventflow %s --help' tells more\n", o->command->name, text,
            o->command->name);
    return EXIT_CODE_USAGE;
}

/* No environment is given to config_load: a variable meant for the server must not change where a
 * client sends to. */
bool options_load(struct options *o, int argc, const char *const *argv, int *code)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

    o->operands = g_ptr_array_new();
    if (options_ask_for_help(argc, argv)) {
        options_print_help(o);
        *code = EXIT_CODE_OK;
        return false;
    }
    if (config_load(o->table, o->count, o->settings, NULL, argc, argv, o->operands, errors))
        return true;
    /* Each text names its flag and, where one is near, the right spelling. */
    for (guint i = 0; i < errors->len; i++)
        fprintf(stderr, "eventflow %s: %s\n", o->command->name,
                (const char *)g_ptr_array_index(errors, i));
    *code = EXIT_CODE_USAGE;
    return false;
}

/* Texts that config_load made are freed; the operands were only borrowed from argv. */
void options_done(struct options *o)
{
    config_done(o->table, o->count, o->settings);
    g_clear_pointer(&o->operands, g_ptr_array_unref);
}
