/* doctor_folder: the data folder itself: room, file system, a synced write, who owns it now.
 */
#ifndef CLI_DOCTOR_FOLDER_H
#define CLI_DOCTOR_FOLDER_H

#include "cli/doctor_report.h"

/* Reports free space and inodes, the kind of the file system where it matters, and how a write with
 * an fsync, a shared memory map and a lock fare in the folder. Leaves nothing behind, not even when
 * it is killed. */
void doctor_check_disk(struct doctor *d, const char *folder);

/* Reports which process runs on the folder, or how the last one ended. */
void doctor_check_lock(struct doctor *d, const char *folder);

#endif
