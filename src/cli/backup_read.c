#include "cli/backup_read.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/backup_bytes.h"
#include "cli/backup_tar.h"
#include "common/error.h"

/* Always false. */
static bool fail(GError **error, const char *why)
{
    g_set_error_literal(error, EF_ERROR, EF_ERROR_CORRUPT, why);
    return false;
}

/* The manifest's own head: its time and size are not known before. */
static bool read_manifest(struct backup_read *r, GError **error)
{
    unsigned char block[BACKUP_TAR_BLOCK];
    struct backup_tar_head head;
    g_autofree char *text = NULL;

    if (!backup_bytes_read(r->fd, block, sizeof(block), 0, error))
        return false;
    if (!backup_tar_read(block, &head) || strcmp(head.name, BACKUP_MANIFEST_NAME) != 0 ||
        head.size > BACKUP_MANIFEST_MAX)
        return fail(error, "it does not begin as a backup does: damaged at byte 0, or not made by "
                           "'eventflow backup'");
    text = g_malloc((gsize)head.size);
    if (!backup_bytes_read(r->fd, text, (size_t)head.size, BACKUP_TAR_BLOCK, error) ||
        !backup_manifest_read(&r->manifest, slice_of(text, (size_t)head.size), error))
        return false;
    if (head.size == BACKUP_MANIFEST_SIZE && head.at_s == r->manifest.made_at_us / G_USEC_PER_SEC)
        return true;
    return fail(error, "the head of " BACKUP_MANIFEST_NAME " is damaged");
}

/* The head of a database must be, bit for bit, the one that follows from the manifest. */
static bool check_head(const struct backup_read *r, const struct backup_member *member,
                       int64_t offset, GError **error)
{
    struct backup_tar_head head = {.size = member->size,
                                   .at_s = r->manifest.made_at_us / G_USEC_PER_SEC};
    unsigned char wanted[BACKUP_TAR_BLOCK];
    unsigned char found[BACKUP_TAR_BLOCK];

    g_strlcpy(head.name, member->name, sizeof(head.name));
    backup_tar_write(&head, wanted);
    if (!backup_bytes_read(r->fd, found, sizeof(found), offset, error))
        return false;
    if (memcmp(wanted, found, sizeof(wanted)) == 0)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT,
                "the head of %s at byte %" G_GINT64_FORMAT " is damaged", member->name, offset);
    return false;
}

/* What fills a member up and ends the file is zero. */
static bool check_zeroes(const struct backup_read *r, int64_t offset, int64_t end, GError **error)
{
    for (; offset < end; offset++) {
        char byte;

        if (!backup_bytes_read(r->fd, &byte, 1, offset, error))
            return false;
        if (byte != 0) {
            g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT, "byte %" G_GINT64_FORMAT " is damaged",
                        offset);
            return false;
        }
    }
    return true;
}

/* Says the most telling thing first: a file that is cut off is not whole anywhere behind. */
static bool check_size(const struct backup_read *r, int64_t wanted, GError **error)
{
    if (r->size == wanted)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT,
                "it has %" G_GINT64_FORMAT " bytes and should have %" G_GINT64_FORMAT ": %s",
                r->size, wanted, r->size < wanted ? "it was cut off" : "something was added to it");
    return false;
}

/* Where everything stands follows from the sizes in the manifest. */
static bool check_layout(struct backup_read *r, GError **error)
{
    int64_t at = BACKUP_TAR_BLOCK + BACKUP_MANIFEST_SIZE;

    for (size_t i = 0; i < BACKUP_MEMBERS; i++) {
        r->offsets[i] = at + BACKUP_TAR_BLOCK;
        at = r->offsets[i] + backup_tar_filled(r->manifest.members[i].size);
    }
    if (!check_size(r, at + BACKUP_TAR_END, error))
        return false;
    for (size_t i = 0; i < BACKUP_MEMBERS; i++) {
        const struct backup_member *member = &r->manifest.members[i];

        if (!check_head(r, member, r->offsets[i] - BACKUP_TAR_BLOCK, error) ||
            !check_zeroes(r, r->offsets[i] + member->size,
                          r->offsets[i] + backup_tar_filled(member->size), error))
            return false;
    }
    return check_zeroes(r, at, r->size, error);
}

/* Not blocking: a pipe without a writer would keep us waiting before it can be refused. */
static bool open_file(struct backup_read *r, GError **error)
{
    struct stat info;

    r->fd = open(r->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r->fd < 0 || fstat(r->fd, &info) != 0) {
        g_set_error(error, EF_ERROR, EF_ERROR_MISSING, "cannot open '%s': %s", r->file,
                    g_strerror(errno));
        return false;
    }
    r->size = info.st_size;
    if (S_ISREG(info.st_mode))
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_MISSING, "'%s' is no plain file", r->file);
    return false;
}

bool backup_read_open(struct backup_read *r, const char *file, struct backup_progress *progress,
                      GError **error)
{
    *r = (struct backup_read){.file = g_strdup(file), .progress = progress};
    backup_manifest_init(&r->manifest);
    if (!open_file(r, error))
        return false;
    if (read_manifest(r, error) && check_layout(r, error))
        return true;
    g_prefix_error(error, "'%s' cannot be restored: ", file);
    return false;
}

void backup_read_close(struct backup_read *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    backup_manifest_done(&r->manifest);
    g_clear_pointer(&r->file, g_free);
}

/* The part of the file that holds one database. */
static struct backup_range range_of(const struct backup_read *r, enum backup_member_id id)
{
    return (struct backup_range){
        .fd = r->fd, .offset = r->offsets[id], .size = r->manifest.members[id].size};
}

static bool verify_member(struct backup_read *r, enum backup_member_id id, GError **error)
{
    const struct backup_member *member = &r->manifest.members[id];
    struct backup_range range = range_of(r, id);
    char found[BACKUP_SHA256_SIZE];

    if (!backup_bytes_hash(&range, r->progress, found, error))
        return false;
    if (strcmp(found, member->sha256) == 0)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT,
                "%s (bytes %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
                ") does not fit its checksum: the file is damaged there",
                member->name, range.offset, range.offset + range.size - 1);
    return false;
}

bool backup_read_verify(struct backup_read *r, GError **error)
{
    r->progress->what = "checking the backup";
    for (int i = 0; i < BACKUP_MEMBERS; i++)
        if (!verify_member(r, (enum backup_member_id)i, error)) {
            g_prefix_error(error, "'%s' cannot be restored: ", r->file);
            return false;
        }
    return true;
}

bool backup_read_extract(struct backup_read *r, enum backup_member_id id, int to, GError **error)
{
    struct backup_range range = range_of(r, id);

    r->progress->what = "writing the databases";
    if (!backup_bytes_copy(&range, to, r->progress, error))
        return false;
    if (fsync(to) == 0)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_FULL, "cannot sync: %s", g_strerror(errno));
    return false;
}
