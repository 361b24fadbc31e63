/* error: the one GError domain; its codes say what the caller should DO.
 *
 * The message of an error is a whole sentence fragment for people (what, where, what to do); the
 * code is for the program. Exit codes of the command line follow from the code (cli/exit_code.h).
 */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

#include <glib.h>

#define EF_ERROR (ef_error_quark())

enum ef_error {
    EF_ERROR_RETRY,    /* passing trouble (busy, time-out): try the same again later */
    EF_ERROR_INPUT,    /* what was given is wrong: correct it; trying again is useless */
    EF_ERROR_MISSING,  /* the named thing does not exist */
    EF_ERROR_CONFLICT, /* it exists already, or changed meanwhile */
    EF_ERROR_FULL,     /* a limit or the disk is full: nothing was changed, make room */
    EF_ERROR_CORRUPT,  /* stored data is damaged: stop and look */
    EF_ERROR_STOPPED,  /* the thing was asked to stop */
    EF_ERROR_FATAL,    /* a commit or fsync failed, what is on disk is unknown: end the process */
    EF_ERROR_IN_USE,   /* another process owns the data folder */
    EF_ERROR_NEWER,    /* written by a newer program: left untouched */
};

/* Behind EF_ERROR. */
GQuark ef_error_quark(void);

#endif
