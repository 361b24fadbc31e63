/* backup_write: makes a backup file of a data folder, while its program runs or not.
 *
 *   FILE.partial: manifest.json (empty) │ eventflow.db │ queue.db ─▶ digests ─▶ manifest ─▶ fsync
 *                                                                       └─▶ renamed to FILE, fsync
 *
 * eventflow.db (the results) is copied FIRST, then queue.db (the log): so the log is never older
 * than the results, and whatever lies between them is simply processed again after a restore. The
 * other way round there would be results of messages that the log does not have.
 *
 * What it guarantees: FILE exists only when it is complete and its content is durable. Every event
 * that was acknowledged before it began is in it.
 */
#ifndef CLI_BACKUP_WRITE_H
#define CLI_BACKUP_WRITE_H

#include <stdbool.h>

#include <glib.h>

#include "cli/backup_manifest.h"
#include "cli/backup_progress.h"

/* One backup. The caller fills in the first four. */
struct backup_write {
    const char *folder; /* the data */
    const char *file;   /* to be made */
    bool is_forced;     /* may take the place of an existing plain file */
    struct backup_progress *progress;
    struct backup_manifest manifest; /* out; the caller's to free, in any case */
    int64_t size;                    /* out: bytes of FILE */
};

/* After false there is no FILE but the one that was there before, and nothing half done beside it;
 * but after a failed sync of its folder FILE is there, and the message says so. Errors: CONFLICT
 * FILE exists, is no plain file, or is one of the data folder's own; IN_USE another backup writes
 * the same FILE; MISSING no databases; CORRUPT; RETRY; FULL; STOPPED. */
bool backup_write(struct backup_write *b, GError **error);

#endif
