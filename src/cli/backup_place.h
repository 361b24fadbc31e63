/* backup_place: the data folder that a backup is restored to.
 *
 *   data/restoring/{queue.db, eventflow.db}   written, synced and checked there
 *   data/replaced-20261121T100000Z/…          what was there before (--force), never deleted
 *   data/{queue.db, eventflow.db}             renamed, the log first
 *
 * What it guarantees: until the last rename no program starts on half of a restore. The old
 * eventflow.db goes first and the new one comes last, and with a queue.db alone the server refuses
 * to start. Whatever ends this in the middle, the restore can be made again.
 */
#ifndef CLI_BACKUP_PLACE_H
#define CLI_BACKUP_PLACE_H

#include <stdbool.h>

#include <glib.h>

#include "cli/backup_read.h"
#include "cli/data_folder.h"

struct backup_place {
    struct data_folder folder; /* locked */
    char *staging;             /* the folder in which the new files are made */
    char *aside;               /* where the old ones went; NULL: there were none, or none moved */
    bool is_occupied;          /* there are old ones */
};

/* Makes the folder when missing, and locks it. Errors: IN_USE a program runs on it; CONFLICT it
 * holds databases and is_forced is not set; INPUT it cannot be used. Owns: backup_place_close. */
bool backup_place_open(struct backup_place *p, const char *path, bool is_forced, GError **error);

/* Writes the new databases beside the old ones. Errors: FULL, also when something that is not ours
 * is in the way; STOPPED; CORRUPT. */
bool backup_place_fill(struct backup_place *p, struct backup_read *from, GError **error);

/* Puts them in their place and makes that durable, and the folder as well if it is new. After false
 * the message says where the old ones are, if any was moved. Errors: FULL. */
bool backup_place_switch(struct backup_place *p, GError **error);

/* Removes what is half done, gives the lock back. is_done: after a switch; the folder's last end
 * then counts as a clean one, since it was another folder's. Accepts what a failed open left. */
void backup_place_close(struct backup_place *p, bool is_done);

#endif
