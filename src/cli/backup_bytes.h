/* backup_bytes: whole reads and writes at a place of a file, digests and copies of its parts.
 *
 * Errors of all: CORRUPT the file ends too soon; FULL reading or writing failed, or there is no
 * room; STOPPED interrupted.
 */
#ifndef CLI_BACKUP_BYTES_H
#define CLI_BACKUP_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "cli/backup_manifest.h"
#include "cli/backup_progress.h"

/* A part of an open file. */
struct backup_range {
    int fd;
    int64_t offset, size; /* bytes */
};

bool backup_bytes_read(int fd, void *out, size_t size, int64_t offset, GError **error);
bool backup_bytes_write(int fd, const void *data, size_t size, int64_t offset, GError **error);

/* The SHA-256 of a part, as hex digits. */
bool backup_bytes_hash(const struct backup_range *part, struct backup_progress *progress,
                       char out[BACKUP_SHA256_SIZE], GError **error);

/* Writes a part to the beginning of another file. */
bool backup_bytes_copy(const struct backup_range *part, int to, struct backup_progress *progress,
                       GError **error);

/* Makes the names in a folder durable. */
bool backup_bytes_sync_folder(const char *folder, GError **error);

#endif
