#include "common/disk_watch.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include <glib.h>

#include "common/log.h"

#define PROBE_SIZE (1024 * 1024) /* bytes; less than that is as good as full */

struct disk_watch {
    char *folder;     /* immutable */
    atomic_uint full; /* bit by enum disk_writer */
};

struct disk_watch *disk_watch_new(const char *folder)
{
    struct disk_watch *d = g_new0(struct disk_watch, 1);

    d->folder = g_strdup(folder);
    return d;
}

void disk_watch_free(struct disk_watch *d)
{
    if (d == NULL)
        return;
    g_free(d->folder);
    g_free(d);
}

/* A read before the write: the line is shared by every thread that asks. Logged when the disk as a
 * whole changes, not for each writer. */
void disk_watch_note(struct disk_watch *d, enum disk_writer writer, bool is_full)
{
    unsigned bit = 1U << writer;
    unsigned before;

    if (d == NULL || ((atomic_load(&d->full) & bit) != 0) == is_full)
        return;
    before = is_full ? atomic_fetch_or(&d->full, bit) : atomic_fetch_and(&d->full, ~bit);
    if (is_full && before == 0)
        log_error(LOG_MSG("the disk is full or read-only: make room in the data folder; it goes on "
                          "by itself then"),
                  LOG_STRING("data", d->folder));
    else if (!is_full && before == bit)
        log_info(LOG_MSG("the disk takes writes again"), LOG_STRING("data", d->folder));
}

bool disk_watch_is_full(struct disk_watch *d)
{
    return d != NULL && atomic_load(&d->full) != 0;
}

/* Both inodes and blocks are tried, and quotas with them. */
bool disk_has_room(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    bool answer = fd >= 0 && posix_fallocate(fd, 0, PROBE_SIZE) == 0;

    if (fd >= 0)
        close(fd);
    return answer;
}

void disk_watch_probe(struct disk_watch *d)
{
    if (!disk_watch_is_full(d) || !disk_has_room(d->folder))
        return;
    disk_watch_note(d, DISK_WRITER_QUEUE, false);
    disk_watch_note(d, DISK_WRITER_STORE, false);
}
