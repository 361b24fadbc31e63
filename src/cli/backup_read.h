/* backup_read: a backup file, checked from its first to its last bit before anything is used of it.
 */
#ifndef CLI_BACKUP_READ_H
#define CLI_BACKUP_READ_H

#include <stdbool.h>

#include <glib.h>

#include "cli/backup_manifest.h"
#include "cli/backup_progress.h"

/* An open backup. */
struct backup_read {
    char *file; /* its name, for messages */
    int fd;
    struct backup_manifest manifest;
    int64_t offsets[BACKUP_MEMBERS]; /* where the databases begin, bytes */
    int64_t size;                    /* bytes of the file */
    struct backup_progress *progress;
};

/* Opens the file and checks all but the databases' content. Errors: MISSING no such file; CORRUPT
 * it is damaged, cut off or no backup; NEWER. Owns: backup_read_close, also after false. */
bool backup_read_open(struct backup_read *r, const char *file, struct backup_progress *progress,
                      GError **error);
void backup_read_close(struct backup_read *r);

/* Reads both databases and compares their digests. Errors: CORRUPT names the one that differs. */
bool backup_read_verify(struct backup_read *r, GError **error);

/* Writes one database to an open, empty file, and syncs it. */
bool backup_read_extract(struct backup_read *r, enum backup_member_id id, int to, GError **error);

#endif
