/* data_folder: one process owns a data folder; and it knows how the last one ended.
 *
 *   data/eventflow.lock   locked (flock) while a process runs; holds its pid
 *   data/running          exists from start to clean end: found at start = the last end was unclean
 */
#ifndef CLI_DATA_FOLDER_H
#define CLI_DATA_FOLDER_H

#include <stdbool.h>

#include <glib.h>

/* All members are read-only for others. */
struct data_folder {
    char *path;
    int folder_fd; /* the folder itself, locked, too */
    int lock_fd;
    unsigned made;    /* how many folders had to be made: this one and those above it */
    bool was_new;     /* the folder held no databases */
    bool was_unclean; /* the last process did not close it */
};

/* Whether the folder could be used or made, looking only. Errors: INPUT. */
bool data_folder_check(const char *path, GError **error);

/* Makes the folder (mode 0700) when missing and takes the lock. Errors: IN_USE names the pid of the
 * owner; INPUT not writable or no folder; CORRUPT eventflow.db is gone and its queue is there. */
bool data_folder_open(struct data_folder *f, const char *path, GError **error);

/* Only makes the folder and takes the lock, whatever is in it: for a restore. was_unclean is not
 * set. Errors: IN_USE, INPUT, as above. */
bool data_folder_lock(struct data_folder *f, const char *path, GError **error);

/* Makes the names of all files in it durable, and that of the folder itself when it was new: SQLite
 * syncs a folder, too, but carries on when that fails. To be called when the files are there.
 * Errors: FATAL. */
bool data_folder_sync(const struct data_folder *f, GError **error);

/* Marks the end. is_clean: everything was closed in order. */
void data_folder_close(struct data_folder *f, bool is_clean);

#endif
