/* eventflow: argv -> command table. Everything else stands in cli/. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "common/config.h"

static const struct command *const COMMANDS[] = {
    &command_serve,   &command_send, &command_campaign, &command_events, &command_explain,
    &command_failed,  &command_load, &command_match,    &command_doctor, &command_backup,
    &command_restore, &command_top,  &command_config,
};

static void print_help(void)
{
    printf("Usage: eventflow COMMAND [OPTIONS]\n\n"
           "A campaign engine: events in, matching campaigns out, each exactly once.\n\n"
           "Commands (eventflow COMMAND --help tells more):\n");
    for (size_t i = 0; i < G_N_ELEMENTS(COMMANDS); i++)
        printf("  %-10s %s\n", COMMANDS[i]->name, COMMANDS[i]->summary);
    printf("\n  --version  Print the version\n");
}

static int unknown_command(const char *name)
{
    const char *names[G_N_ELEMENTS(COMMANDS)];
    const char *nearest;

    for (size_t i = 0; i < G_N_ELEMENTS(COMMANDS); i++)
        names[i] = COMMANDS[i]->name;
    nearest = config_nearest(name, names, G_N_ELEMENTS(COMMANDS));
    fprintf(stderr, "eventflow: unknown command '%s'%s%s%s; 'eventflow --help' lists them all\n",
            name, nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
            nearest != NULL ? "'?" : "");
    return EXIT_CODE_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2 || g_str_equal(argv[1], "--help") || g_str_equal(argv[1], "-h")) {
        print_help();
        return argc < 2 ? EXIT_CODE_USAGE : EXIT_CODE_OK;
    }
    if (g_str_equal(argv[1], "--version")) {
        printf("eventflow %s\n", EVENTFLOW_VERSION);
        return EXIT_CODE_OK;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(COMMANDS); i++)
        if (g_str_equal(argv[1], COMMANDS[i]->name))
            return COMMANDS[i]->run(argc - 2, (const char *const *)argv + 2);
    return unknown_command(argv[1]);
}
