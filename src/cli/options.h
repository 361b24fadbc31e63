/* options: the flags of the client commands, from the same kind of table as the settings.
 *
 * Only flags: the environment configures the server, not the commands that talk to one.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>

#include <glib.h>

#include "cli/command.h"
#include "common/config.h"

#define OPTIONS_URL "http://127.0.0.1:8080" /* where "eventflow serve" listens by default */

/* The flags of one call. The caller fills in all but operands; everything is borrowed. */
struct options {
    const struct command *command;      /* for help and messages */
    const struct config_setting *table; /* the flags */
    size_t count;                       /* of the table */
    const char *notes;                  /* paragraphs below the flags in --help; or NULL */
    void *settings;                     /* what the table's offsets point into; comes in zeroed */
    GPtrArray *operands;                /* out: arguments that are no flags, borrowed from argv */
};

/* Reads the flags. false: the command ends with *code, everything has been printed (the help, or
 * what is wrong). Owns: options_done afterwards, in both cases. */
bool options_load(struct options *o, int argc, const char *const *argv, int *code);
void options_done(struct options *o);

/* Takes every occurrence of a flag without a value out of the arguments; true when there was one.
 * For commands whose other arguments are settings. The caller's copy of argv is changed in place.
 */
bool options_take(const char *flag, int *argc, const char **argv);

/* Prints "eventflow NAME: …" and where to find help; returns EXIT_CODE_USAGE. */
int options_refuse(const struct options *o, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
