/* backup_progress: what a long command shows while it works, and how it is interrupted.
 *
 *   [############..................]  41 %  copying eventflow.db, 1.2 of 2.9 GB
 *
 * Shown on a terminal only, and not before two seconds have passed. Ctrl-C, SIGTERM and a closed
 * terminal are noticed between two steps, so that the caller can remove what is half done; the
 * process ends by the signal afterwards, as its parent expects.
 */
#ifndef CLI_BACKUP_PROGRESS_H
#define CLI_BACKUP_PROGRESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

/* One thread. */
struct backup_progress {
    bool is_terminal;
    bool has_line;      /* one stands on the terminal */
    int64_t started_us; /* monotonic, as drawn_us */
    int64_t drawn_us;
    const char *what;  /* static text or owned by the caller: what is done at the moment */
    sigset_t signals;  /* held back between begin and end */
    sigset_t previous; /* the mask before */
};

/* From here on signals wait. Also makes a file that may not grow (RLIMIT_FSIZE) an error instead of
 * the process' end. */
void backup_progress_begin(struct backup_progress *p);

/* What is done now and how far it is. false: a signal waits (STOPPED). user: the progress; the form
 * is that of sqlite_copy. */
bool backup_progress_note(void *user, int64_t done, int64_t total, GError **error);

/* Wipes the line. */
void backup_progress_clear(struct backup_progress *p);

/* Wipes the line and lets the signals through: may not return. */
void backup_progress_end(struct backup_progress *p);

/* Since begin. */
double backup_progress_seconds(const struct backup_progress *p);

#endif
