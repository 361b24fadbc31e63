/* exit_code: what the program's exit codes mean. Documented in docs/troubleshooting.md.
 *
 * Source: the numbers of BSD's sysexits.h where it has one that fits.
 */
#ifndef CLI_EXIT_CODE_H
#define CLI_EXIT_CODE_H

#include <glib.h>

enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILURE = 1,       /* it did not work, and nothing below says it better */
    EXIT_CODE_USAGE = 64,        /* unknown command, flag or argument */
    EXIT_CODE_DATA = 65,         /* the data is damaged, or some of it was rejected */
    EXIT_CODE_NO_INPUT = 66,     /* an input file is missing or not readable */
    EXIT_CODE_UNAVAILABLE = 69,  /* the server cannot be reached or is too busy */
    EXIT_CODE_IN_USE = 73,       /* another process owns the data folder */
    EXIT_CODE_IO = 74,           /* reading, writing or making room failed */
    EXIT_CODE_FATAL = 75,        /* a commit or fsync failed: start again, then look at the log */
    EXIT_CODE_NEWER_SCHEMA = 76, /* the data was written by a newer program; left untouched */
    EXIT_CODE_CONFIG = 78,       /* a setting is wrong */
};

/* The code for an error of ours or of GLib's file functions. error may be NULL: OK. */
int exit_code_of(const GError *error);

/* Flushes standard output. Returns code, or IO instead of OK when something of the output is lost.
 * For the end of a command: what was never seen must not end with 0. */
int exit_code_flushed(int code);

#endif
