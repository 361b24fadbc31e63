/* command: one word of the command line, "eventflow NAME …". main.c holds the table of them. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

/* Const data of the command's file. Commands share no state and print their own errors. */
struct command {
    const char *name;    /* as it is typed */
    const char *summary; /* one line for the list of commands, without a full stop */
    /* Gets the arguments behind the name. Handles --help itself. Returns the exit code. */
    int (*run)(int argc, const char *const *argv);
    const char *usage; /* what follows "eventflow NAME", one form a line */
};

extern const struct command command_serve;
extern const struct command command_send;
extern const struct command command_campaign;
extern const struct command command_events;
extern const struct command command_explain;
extern const struct command command_failed;
extern const struct command command_load;
extern const struct command command_match;
extern const struct command command_doctor;
extern const struct command command_backup;
extern const struct command command_restore;
extern const struct command command_top;
extern const struct command command_config;

#endif
