#include "cli/backup_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "cli/backup_bytes.h"
#include "common/clock.h"
#include "common/error.h"

#define STAGING_NAME "restoring"
#define RESULTS_NAME "eventflow.db"
#define LOG_NAME     "queue.db"

/* A database and what SQLite keeps beside it: an old log beside a new file would be read into it.
 */
static const char *const old_names[] = {
    RESULTS_NAME,    RESULTS_NAME "-wal", RESULTS_NAME "-shm", RESULTS_NAME "-journal",
    LOG_NAME "-wal", LOG_NAME "-shm",     LOG_NAME "-journal", LOG_NAME,
};

/* Always false. */
static bool fail(GError **error, const char *doing, const char *path)
{
    g_set_error(error, EF_ERROR, EF_ERROR_FULL, "cannot %s '%s': %s", doing, path,
                g_strerror(errno));
    return false;
}

/* The files and their folder, which is then removed; what is not there is passed over. Only names
 * that we make: whatever else somebody put there stays, and the folder with it. A link to a folder
 * is not followed: those files are not ours. */
static void clear_staging(const struct backup_place *p)
{
    struct stat info;

    if (lstat(p->staging, &info) != 0 || !S_ISDIR(info.st_mode))
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(old_names); i++) {
        g_autofree char *path = g_build_filename(p->staging, old_names[i], NULL);

        g_unlink(path);
    }
    g_rmdir(p->staging);
}

/* Root restores for the folder's owner, who could not open the files otherwise. */
static void give_to_owner(const struct backup_place *p, int fd)
{
    struct stat info;

    if (geteuid() == 0 && stat(p->folder.path, &info) == 0 &&
        fchown(fd, info.st_uid, info.st_gid) != 0)
        return; /* a file system without owners has none to give to */
}

static bool is_occupied(const char *folder)
{
    for (size_t i = 0; i < G_N_ELEMENTS(old_names); i++) {
        g_autofree char *path = g_build_filename(folder, old_names[i], NULL);
        struct stat info;

        if (lstat(path, &info) == 0)
            return true;
    }
    return false;
}

bool backup_place_open(struct backup_place *p, const char *path, bool is_forced, GError **error)
{
    *p = (struct backup_place){.folder.lock_fd = -1};
    if (!data_folder_lock(&p->folder, path, error))
        return false;
    give_to_owner(p, p->folder.lock_fd);
    p->staging = g_build_filename(path, STAGING_NAME, NULL);
    p->is_occupied = is_occupied(path);
    if (!p->is_occupied || is_forced)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_CONFLICT,
                "the data folder '%s' holds databases: name an empty one with --data, or let "
                "--force put them aside",
                path);
    return false;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Said before anything is written, rather than at the end of an hour. */
static bool check_room(const struct backup_place *p, const struct backup_read *from, GError **error)
{
    struct statvfs fs;
    int64_t needed =
        from->manifest.members[BACKUP_RESULTS].size + from->manifest.members[BACKUP_LOG].size;
    int64_t room;
    g_autofree char *needed_text = g_format_size((guint64)needed);
    g_autofree char *room_text = NULL;

    if (statvfs(p->folder.path, &fs) != 0)
        return true; /* then the writing will tell */
    room = (int64_t)(fs.f_bavail * fs.f_frsize);
    if (room >= needed)
        return true;
    room_text = g_format_size((guint64)room);
    g_set_error(error, EF_ERROR, EF_ERROR_FULL,
                "there is no room in '%s': the databases need %s, %s are free", p->folder.path,
                needed_text, room_text);
    return false;
}

static bool fill_one(struct backup_place *p, struct backup_read *from, enum backup_member_id id,
                     GError **error)
{
    g_autofree char *path = g_build_filename(p->staging, from->manifest.members[id].name, NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool is_good;

    if (fd < 0)
        return fail(error, "make", path);
    give_to_owner(p, fd);
    is_good = backup_read_extract(from, id, fd, error);
    close(fd);
    if (!is_good)
        g_prefix_error(error, "'%s': ", path);
    return is_good;
}

bool backup_place_fill(struct backup_place *p, struct backup_read *from, GError **error)
{
    clear_staging(p); /* of a restore that was killed: its room is free then */
    if (!check_room(p, from, error))
        return false;
    /* One that is still there holds what is not ours, or is somebody's link to elsewhere. */
    if (g_mkdir(p->staging, 0700) != 0)
        return fail(error, "make the folder", p->staging);
    for (int i = 0; i < BACKUP_MEMBERS; i++)
        if (!fill_one(p, from, (enum backup_member_id)i, error))
            return false;
    return backup_bytes_sync_folder(p->staging, error);
}

/* ---- switching ------------------------------------------------------------------------------- */

/* A new folder with the time in its name. */
static bool make_aside(struct backup_place *p, GError **error)
{
    g_autoptr(GDateTime) now = g_date_time_new_from_unix_utc(clock_now_us() / G_USEC_PER_SEC);
    g_autofree char *time = g_date_time_format(now, "%Y%m%dT%H%M%SZ");
    g_autofree char *first = g_strdup_printf("%s/replaced-%s", p->folder.path, time);
    g_autofree char *name = g_strdup(first);

    for (int i = 2; g_mkdir(name, 0700) != 0; i++) {
        if (errno != EEXIST)
            return fail(error, "make the folder", name);
        g_free(name);
        name = g_strdup_printf("%s-%d", first, i);
    }
    p->aside = g_steal_pointer(&name);
    return true;
}

/* queue.db gets a second name instead of losing its first: it stays until the new one takes its
 * place, so that at no moment the folder looks like a new one, on which a server would start. */
static bool move_aside(const struct backup_place *p, const char *name, GError **error)
{
    g_autofree char *from = g_build_filename(p->folder.path, name, NULL);
    g_autofree char *to = g_build_filename(p->aside, name, NULL);

    if (g_str_equal(name, LOG_NAME) && link(from, to) == 0)
        return true;
    return rename(from, to) == 0 || errno == ENOENT || fail(error, "put aside", from);
}

static bool move_old(struct backup_place *p, GError **error)
{
    if (!p->is_occupied)
        return true;
    if (!make_aside(p, error))
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(old_names); i++)
        if (!move_aside(p, old_names[i], error))
            return false;
    return backup_bytes_sync_folder(p->aside, error) &&
           backup_bytes_sync_folder(p->folder.path, error);
}

/* One file from staging to its place, durably. */
static bool place_one(const struct backup_place *p, const char *name, GError **error)
{
    g_autofree char *from = g_build_filename(p->staging, name, NULL);
    g_autofree char *to = g_build_filename(p->folder.path, name, NULL);

    return (rename(from, to) == 0 || fail(error, "rename", from)) &&
           backup_bytes_sync_folder(p->folder.path, error);
}

/* The last folder that gets a name of ours may be several above. What its error means for a start
 * (FATAL) is not so here: nothing was acknowledged. */
static bool sync_place(const struct backup_place *p, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (data_folder_sync(&p->folder, &problem))
        return true;
    g_set_error_literal(error, EF_ERROR, EF_ERROR_FULL, problem->message);
    return false;
}

/* After a failure in the middle: somebody has to know where everything is. */
static void tell_where(struct backup_place *p, GError **error)
{
    if (p->aside != NULL && g_rmdir(p->aside) == 0) /* still empty: nothing was moved */
        g_clear_pointer(&p->aside, g_free);
    if (p->aside != NULL)
        g_prefix_error(error,
                       "the old databases are (partly) in '%s'; run the restore again with "
                       "--force: ",
                       p->aside);
    else if (!p->is_occupied && is_occupied(p->folder.path))
        g_prefix_error(error, "the new databases are (partly) in place; run the restore again with "
                              "--force: ");
}

/* eventflow.db comes last: with it the restore is complete. */
bool backup_place_switch(struct backup_place *p, GError **error)
{
    if (move_old(p, error) && place_one(p, LOG_NAME, error) && place_one(p, RESULTS_NAME, error) &&
        sync_place(p, error))
        return true;
    tell_where(p, error);
    return false;
}

void backup_place_close(struct backup_place *p, bool is_done)
{
    if (p->folder.path != NULL && p->staging != NULL)
        clear_staging(p);
    data_folder_close(&p->folder, is_done);
    g_clear_pointer(&p->staging, g_free);
    g_clear_pointer(&p->aside, g_free);
}
