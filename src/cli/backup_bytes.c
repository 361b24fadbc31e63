#include "cli/backup_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/error.h"

#define PIECE_SIZE (1024 * 1024) /* bytes in hand at a time */

/* Always false. */
static bool fail(GError **error, const char *doing)
{
    g_set_error(error, EF_ERROR, EF_ERROR_FULL, "cannot %s: %s", doing, g_strerror(errno));
    return false;
}

bool backup_bytes_read(int fd, void *out, size_t size, int64_t offset, GError **error)
{
    size_t done = 0;

    while (done < size) {
        ssize_t got = pread(fd, (char *)out + done, size - done, (off_t)(offset + (int64_t)done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(error, "read");
        if (got == 0) {
            g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT, "it ends at byte %" G_GINT64_FORMAT,
                        offset + (int64_t)done);
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

bool backup_bytes_write(int fd, const void *data, size_t size, int64_t offset, GError **error)
{
    size_t done = 0;

    while (done < size) {
        ssize_t got =
            pwrite(fd, (const char *)data + done, size - done, (off_t)(offset + (int64_t)done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(error, "write");
        done += (size_t)got;
    }
    return true;
}

/* Gets a piece of a part; at is its distance from the part's begin. */
typedef bool (*piece_fn)(void *user, const unsigned char *data, size_t size, int64_t at,
                         GError **error);

/* Reads a part from begin to end and gives it away piece by piece. */
static bool for_each_piece(const struct backup_range *part, struct backup_progress *progress,
                           piece_fn act, void *user, GError **error)
{
    g_autofree unsigned char *piece = g_malloc(PIECE_SIZE);

    for (int64_t at = 0; at < part->size; at += PIECE_SIZE) {
        size_t size = (size_t)MIN(part->size - at, PIECE_SIZE);

        if (!backup_progress_note(progress, at, part->size, error) ||
            !backup_bytes_read(part->fd, piece, size, part->offset + at, error) ||
            !act(user, piece, size, at, error))
            return false;
    }
    return true;
}

static bool hash_piece(void *user, const unsigned char *data, size_t size, int64_t at,
                       GError **error)
{
    (void)at;
    (void)error;
    g_checksum_update(user, data, (gssize)size);
    return true;
}

bool backup_bytes_hash(const struct backup_range *part, struct backup_progress *progress,
                       char out[BACKUP_SHA256_SIZE], GError **error)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);

    if (!for_each_piece(part, progress, hash_piece, sum, error))
        return false;
    g_strlcpy(out, g_checksum_get_string(sum), BACKUP_SHA256_SIZE);
    return true;
}

static bool write_piece(void *user, const unsigned char *data, size_t size, int64_t at,
                        GError **error)
{
    return backup_bytes_write(*(const int *)user, data, size, at, error);
}

bool backup_bytes_copy(const struct backup_range *part, int to, struct backup_progress *progress,
                       GError **error)
{
    return for_each_piece(part, progress, write_piece, &to, error);
}

bool backup_bytes_sync_folder(const char *folder, GError **error)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_good = fd >= 0 && fsync(fd) == 0;

    if (!is_good)
        g_set_error(error, EF_ERROR, EF_ERROR_FULL, "cannot sync the folder '%s': %s", folder,
                    g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return is_good;
}
