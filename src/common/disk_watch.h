/* disk_watch: whether the disk under the data folder takes writes, as the last ones found it.
 *
 *   committer, worker ──note(full)──▶ [ one bit each ] ◀──is_full── health, ready
 *                                            ▲
 *                        housekeeper ──probe─┘  clears them when there is room again
 *
 * What it is for: a disk that is full refuses events without ending the process; whoever looks must
 * see that, and see it end without a restart, also when nobody dares to send any more.
 * What it does not do: measure how much is left, or keep room in reserve.
 */
#ifndef COMMON_DISK_WATCH_H
#define COMMON_DISK_WATCH_H

#include <stdbool.h>

struct disk_watch;

/* Whether a file of 1 MiB can be made in the folder; it never gets a name, so nothing is left
 * behind. Where the file system knows no such files: false. Blocks for the disk. */
bool disk_has_room(const char *folder);

/* Who writes. */
enum disk_writer { DISK_WRITER_QUEUE, DISK_WRITER_STORE };

/* folder: where the databases live; copied. Owned by caller (disk_watch_free). */
struct disk_watch *disk_watch_new(const char *folder);

/* Accepts NULL. */
void disk_watch_free(struct disk_watch *d);

/* A write met a full (or read-only) disk, or one succeeded. Cheap when nothing changes. Any thread.
 * Accepts NULL: then it does nothing. */
void disk_watch_note(struct disk_watch *d, enum disk_writer writer, bool is_full);

/* Any thread; no I/O. Accepts NULL. */
bool disk_watch_is_full(struct disk_watch *d);

/* While full: asks disk_has_room, and forgets the trouble when there is some. One thread. Accepts
 * NULL. */
void disk_watch_probe(struct disk_watch *d);

#endif
