/* backup_command: what "backup" and "restore" share: their arguments and how they end. */
#ifndef CLI_BACKUP_COMMAND_H
#define CLI_BACKUP_COMMAND_H

#include <stdbool.h>

#include <glib.h>

#include "cli/backup_progress.h"
#include "cli/command.h"
#include "cli/settings.h"

/* One call. */
struct backup_command {
    const struct command *command;
    struct settings settings;
    const char *file; /* borrowed from argv */
    bool is_forced;   /* --force */
    bool is_json;     /* --json */
    struct backup_progress progress;
};

/* Does the work and prints its result; returns the exit code. */
typedef int (*backup_command_fn)(struct backup_command *c);

/* Reads FILE, --force, --json and the settings, prints --help (notes: the paragraph about the
 * command), runs the work with signals held back. Returns the exit code. */
int backup_command_run(struct backup_command *c, const char *notes, backup_command_fn work,
                       int argc, const char *const *argv);

/* Prints the error; returns its exit code. */
int backup_command_fail(struct backup_command *c, const GError *error);

#endif
