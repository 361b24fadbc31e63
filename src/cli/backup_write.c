#include "cli/backup_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/backup_bytes.h"
#include "cli/backup_tar.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/sqlite_copy.h"

#define PARTIAL_SUFFIX ".partial"

/* ---- the file -------------------------------------------------------------------------------- */

/* Whether fd is what the name stands for: the backup that held the lock before may have renamed its
 * file meanwhile. */
static bool is_still_named(int fd, const char *path)
{
    struct stat mine, named;

    return fstat(fd, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino &&
           mine.st_dev == named.st_dev;
}

/* A file that is made here is ours, whatever owner the file system gives it. One that was there
 * must be what a killed backup of this user leaves: else the backup would end in a file that
 * somebody else can read or change. -1 on error. */
static int make_or_take(const char *partial, GError **error)
{
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    struct stat info;
    int fd = open(partial, flags | O_EXCL, 0600);

    if (fd >= 0)
        return fd;
    fd = errno == EEXIST ? open(partial, flags, 0600) : -1;
    if (fd < 0 && errno != ELOOP) {
        g_set_error(error, EF_ERROR, EF_ERROR_FULL, "cannot make '%s': %s", partial,
                    g_strerror(errno));
        return -1;
    }
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink <= 1 &&
        info.st_uid == geteuid())
        return fd;
    if (fd >= 0)
        close(fd);
    g_set_error(error, EF_ERROR, EF_ERROR_FULL,
                "'%s' is there already and is no plain file of this user's: remove it", partial);
    return -1;
}

/* The lock keeps two backups off each other. */
static bool lock_partial(int fd, const char *partial, GError **error)
{
    bool is_locked = flock(fd, LOCK_EX | LOCK_NB) == 0;

    if (!is_locked && errno != EWOULDBLOCK) {
        g_set_error(error, EF_ERROR, EF_ERROR_FULL, "cannot lock '%s': %s", partial,
                    g_strerror(errno));
        return false;
    }
    if (is_locked && is_still_named(fd, partial))
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_IN_USE,
                "another backup is writing '%s': wait for it, or give this one another name",
                partial);
    return false;
}

/* Opens or makes the file under its temporary name, locked and empty. One that a killed backup left
 * is used again. -1 on error. */
static int open_partial(const char *partial, GError **error)
{
    int fd = make_or_take(partial, error);

    if (fd < 0)
        return -1;
    if (!lock_partial(fd, partial, error)) {
        close(fd);
        return -1;
    }
    if (ftruncate(fd, 0) == 0 && fchmod(fd, 0600) == 0)
        return fd;
    g_set_error(error, EF_ERROR, EF_ERROR_FULL, "cannot empty '%s': %s", partial,
                g_strerror(errno));
    close(fd);
    return -1;
}

/* Always false. */
static bool fail_exists(const char *file, GError **error)
{
    g_set_error(error, EF_ERROR, EF_ERROR_CONFLICT,
                "'%s' exists already: give another name, or --force to replace it", file);
    return false;
}

/* By number, since a folder has many names. */
static bool lies_in(const char *file, const char *folder)
{
    g_autofree char *parent = g_path_get_dirname(file);
    struct stat above, data;

    return stat(parent, &above) == 0 && stat(folder, &data) == 0 && above.st_ino == data.st_ino &&
           above.st_dev == data.st_dev;
}

/* Whether the name is one that the program itself uses in its data folder. */
static bool is_name_of_data(const char *file)
{
    static const char *const names[] = {
        "eventflow.db", "eventflow.db-wal", "eventflow.db-shm", "eventflow.db-journal",
        "queue.db",     "queue.db-wal",     "queue.db-shm",     "queue.db-journal",
        "running",      "restoring",        "eventflow.lock",
    };
    g_autofree char *name = g_path_get_basename(file);

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if (g_str_equal(name, names[i]))
            return true;
    return false;
}

/* --force takes the place of a plain file only: not of a device, a pipe or a link, and not of the
 * very data that is copied. */
static bool check_target(const struct backup_write *b, GError **error)
{
    struct stat target;

    if (lies_in(b->file, b->folder) && is_name_of_data(b->file)) {
        g_set_error(error, EF_ERROR, EF_ERROR_CONFLICT,
                    "'%s' is a name of the data folder's own: give another one", b->file);
        return false;
    }
    if (lstat(b->file, &target) != 0)
        return true;
    if (!b->is_forced)
        return fail_exists(b->file, error);
    if (S_ISREG(target.st_mode))
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_CONFLICT, "'%s' is no plain file: give another name",
                b->file);
    return false;
}

/* A file that somebody made meanwhile is not overwritten either; where the file system cannot
 * promise that (EINVAL), the look at the beginning has to do. */
static bool give_name(const struct backup_write *b, const char *partial, GError **error)
{
    int rc = renameat2(AT_FDCWD, partial, AT_FDCWD, b->file, b->is_forced ? 0 : RENAME_NOREPLACE);

    if (rc != 0 && (errno == EINVAL || errno == ENOSYS))
        rc = rename(partial, b->file);
    if (rc != 0 && errno == EEXIST)
        return fail_exists(b->file, error);
    if (rc != 0) {
        g_set_error(error, EF_ERROR, EF_ERROR_FULL, "cannot rename '%s' to '%s': %s", partial,
                    b->file, g_strerror(errno));
        return false;
    }
    return true;
}

static bool sync_name(const struct backup_write *b, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(b->file);

    if (backup_bytes_sync_folder(folder, error))
        return true;
    g_prefix_error(error, "'%s' is written, but its name may not survive a power cut: ", b->file);
    return false;
}

/* ---- its content ----------------------------------------------------------------------------- */

/* Copies a database to the end of the file, behind the place of its head. */
static bool copy_member(struct backup_write *b, int fd, enum backup_member_id id,
                        struct sqlite_copy_query *queries, size_t query_count, GError **error)
{
    struct backup_member *member = &b->manifest.members[id];
    g_autofree char *path = g_build_filename(b->folder, member->name, NULL);
    g_autofree char *what = g_strconcat("copying ", member->name, NULL);
    struct sqlite_copy copy = {.path = path,
                               .fd = fd,
                               .offset = b->size + BACKUP_TAR_BLOCK,
                               .queries = queries,
                               .query_count = query_count,
                               .progress = backup_progress_note,
                               .user = b->progress};
    bool is_good;

    b->progress->what = what;
    is_good = sqlite_copy_run(&copy, error);
    b->progress->what = "";
    member->size = copy.size;
    /* Pages are a multiple of a block, but a padded end costs nothing to be sure of. */
    b->size = copy.offset + backup_tar_filled(copy.size);
    return is_good;
}

/* The results and, of the same moment, what they count. */
static bool copy_results(struct backup_write *b, int fd, GError **error)
{
    struct backup_manifest *m = &b->manifest;
#define COUNTER(name)                                                                              \
    {                                                                                              \
        .sql = "SELECT value FROM counters WHERE name = '" name "'"                                \
    }
    struct sqlite_copy_query queries[] = {
        COUNTER("position"),
        COUNTER("processed"),
        COUNTER("failed"),
        COUNTER("duplicate"),
        COUNTER("matches"),
        {.sql = "SELECT count(*) FROM retries WHERE seq <= "
                "(SELECT value FROM counters WHERE name = 'position')"},
        {.sql = "PRAGMA user_version"},
    };
#undef COUNTER
    int64_t *const values[] = {&m->position,
                               &m->processed,
                               &m->failed,
                               &m->duplicate,
                               &m->matches,
                               &m->retrying,
                               &m->members[BACKUP_RESULTS].schema};

    if (!copy_member(b, fd, BACKUP_RESULTS, queries, G_N_ELEMENTS(queries), error))
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(queries); i++)
        *values[i] = queries[i].value;
    return true;
}

/* The log; later than the results, see the header. */
static bool copy_log(struct backup_write *b, int fd, GError **error)
{
    struct sqlite_copy_query queries[] = {{.sql = "SELECT max(seq) FROM raw_events"},
                                          {.sql = "PRAGMA user_version"}};

    if (!copy_member(b, fd, BACKUP_LOG, queries, G_N_ELEMENTS(queries), error))
        return false;
    b->manifest.accepted = queries[0].value;
    b->manifest.members[BACKUP_LOG].schema = queries[1].value;
    return true;
}

/* One head, where its content begins minus a block. */
static bool write_head(const struct backup_write *b, int fd, const char *name,
                       const struct backup_range *content, GError **error)
{
    struct backup_tar_head head = {.size = content->size,
                                   .at_s = b->manifest.made_at_us / G_USEC_PER_SEC};
    unsigned char block[BACKUP_TAR_BLOCK];

    g_strlcpy(head.name, name, sizeof(head.name));
    backup_tar_write(&head, block);
    return backup_bytes_write(fd, block, sizeof(block), content->offset - BACKUP_TAR_BLOCK, error);
}

/* Reads what was written once more, for its digest, and puts its head in front of it. */
static bool seal_members(struct backup_write *b, int fd, GError **error)
{
    struct backup_range content = {.fd = fd, .offset = BACKUP_TAR_BLOCK + BACKUP_MANIFEST_SIZE};

    for (size_t i = 0; i < BACKUP_MEMBERS; i++) {
        struct backup_member *member = &b->manifest.members[i];

        content.offset += BACKUP_TAR_BLOCK;
        content.size = member->size;
        b->progress->what = "reading the copy again";
        if (!write_head(b, fd, member->name, &content, error) ||
            !backup_bytes_hash(&content, b->progress, member->sha256, error))
            return false;
        content.offset += backup_tar_filled(content.size);
    }
    return true;
}

/* The manifest comes last, because it knows the digests. */
static bool write_manifest(const struct backup_write *b, int fd, GError **error)
{
    struct backup_range content = {
        .fd = fd, .offset = BACKUP_TAR_BLOCK, .size = BACKUP_MANIFEST_SIZE};
    GString *text = backup_manifest_write(&b->manifest);
    bool is_good = write_head(b, fd, BACKUP_MANIFEST_NAME, &content, error) &&
                   backup_bytes_write(fd, text->str, text->len, content.offset, error);

    g_string_free(text, TRUE);
    return is_good;
}

/* Both databases, in the order that the header explains. */
static bool copy_all(struct backup_write *b, int fd, GError **error)
{
    b->manifest.made_at_us = clock_now_us();
    b->size = BACKUP_TAR_BLOCK + BACKUP_MANIFEST_SIZE;
    return copy_results(b, fd, error) && copy_log(b, fd, error);
}

/* Everything from the copies to the fsync. */
static bool seal(struct backup_write *b, int fd, GError **error)
{
    b->size += BACKUP_TAR_END;
    if (ftruncate(fd, (off_t)b->size) != 0) {
        g_set_error(error, EF_ERROR, EF_ERROR_FULL, "cannot write: %s", g_strerror(errno));
        return false;
    }
    if (!seal_members(b, fd, error) || !write_manifest(b, fd, error))
        return false;
    if (fsync(fd) == 0)
        return backup_progress_note(b->progress, 0, 0, error);
    g_set_error(error, EF_ERROR, EF_ERROR_FULL, "cannot sync: %s", g_strerror(errno));
    return false;
}

/* The errors of the copies name their file themselves. */
static bool fill(struct backup_write *b, int fd, const char *partial, GError **error)
{
    if (!copy_all(b, fd, error))
        return false;
    if (seal(b, fd, error))
        return true;
    g_prefix_error(error, "'%s': ", partial);
    return false;
}

/* The name is given while the lock is held, so the next backup finds a free name or this file. */
bool backup_write(struct backup_write *b, GError **error)
{
    g_autofree char *partial = g_strconcat(b->file, PARTIAL_SUFFIX, NULL);
    bool is_good;
    int fd;

    backup_manifest_init(&b->manifest);
    if (!check_target(b, error))
        return false;
    fd = open_partial(partial, error);
    if (fd < 0)
        return false;
    is_good = fill(b, fd, partial, error) && give_name(b, partial, error);
    if (!is_good)
        unlink(partial); /* not after the renaming: the name may be another backup's by then */
    close(fd);
    return is_good && sync_name(b, error);
}
