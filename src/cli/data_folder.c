#include "cli/data_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "common/error.h"

#define LOCK_NAME   "eventflow.lock"
#define MARKER_NAME "running"
#define QUEUE_NAME  "queue.db"
#define STORE_NAME  "eventflow.db"

bool data_folder_check(const char *path, GError **error)
{
    g_autofree char *nearest = g_strdup(*path != '\0' ? path : ".");
    const char *why = NULL;

    while (!g_file_test(nearest, G_FILE_TEST_EXISTS)) {
        char *parent = g_path_get_dirname(nearest);

        g_free(nearest);
        nearest = parent;
    }
    if (!g_file_test(nearest, G_FILE_TEST_IS_DIR))
        why = "is no folder";
    else if (access(nearest, W_OK | X_OK) != 0)
        why = g_strerror(errno);
    if (why == NULL)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                "cannot use the data folder '%s': '%s' %s; choose another one with --data", path,
                nearest, why);
    return false;
}

static bool folder_has(const char *path, const char *name)
{
    g_autofree char *file = g_build_filename(path, name, NULL);

    return g_file_test(file, G_FILE_TEST_EXISTS);
}

static bool has_bytes(const char *path, const char *name)
{
    g_autofree char *file = g_build_filename(path, name, NULL);
    struct stat info;

    return stat(file, &info) == 0 && info.st_size > 0;
}

/* Without the results, but with their log or with the messages they came from: going on would
 * delete that log, and process every message again without a single campaign. Nothing of a first
 * start looks like this: queue.db is made when eventflow.db is complete. */
static bool check_results(const struct data_folder *f, GError **error)
{
    static const char *const rests[] = {STORE_NAME "-wal", QUEUE_NAME};

    for (size_t i = 0; i < G_N_ELEMENTS(rests); i++) {
        if (has_bytes(f->path, STORE_NAME) || !has_bytes(f->path, rests[i]))
            continue;
        g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT,
                    "%s/" STORE_NAME " is missing or empty, but %s is there: put the file back, or "
                    "use another folder to begin anew",
                    f->path, rests[i]);
        return false;
    }
    return true;
}

/* A disk without room (or inodes) is not a wrong setting. */
static int code_of_errno(int number)
{
    return number == ENOSPC || number == EDQUOT ? EF_ERROR_FULL : EF_ERROR_INPUT;
}

/* The text of errno, with the way out that fits it. Always false. */
static bool fail_errno(GError **error, const char *what, const char *path)
{
    int number = errno;
    int code = code_of_errno(number);

    g_set_error(error, EF_ERROR, code, "cannot %s '%s': %s; %s", what, path, g_strerror(number),
                code == EF_ERROR_FULL ? "make room" : "choose another folder with --data");
    return false;
}

/* Who holds the lock, for people; the file is written after the lock was taken. */
static void set_in_use(GError **error, int fd, const char *path)
{
    char pid[32] = "";
    ssize_t size = fd >= 0 ? pread(fd, pid, sizeof(pid) - 1, 0) : 0;

    if (size > 0)
        pid[size] = '\0';
    g_set_error(error, EF_ERROR, EF_ERROR_IN_USE,
                "the data folder '%s' is in use by the process with pid %s: stop it first, or give "
                "this one a folder of its own with --data",
                path, size > 0 ? g_strstrip(pid) : "(unknown)");
}

/* Opened without following a link, and with no other name: what a root process writes to it, and
 * gives to the folder's owner, must be the folder's own. */
static bool open_lock_file(struct data_folder *f, const char *file, GError **error)
{
    struct stat info;

    f->lock_fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->lock_fd < 0 && errno != ELOOP)
        return fail_errno(error, "write to the data folder", f->path);
    if (f->lock_fd >= 0 && fstat(f->lock_fd, &info) == 0 && S_ISREG(info.st_mode) &&
        info.st_nlink <= 1)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                "'%s' is a link or no plain file: remove it, or choose another folder with --data",
                file);
    return false;
}

/* The folder itself is locked as well as the file in it: the file can be deleted by hand, and a
 * second process would then lock a new one. */
static bool lock_both(struct data_folder *f, const char *file, GError **error)
{
    f->folder_fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->folder_fd < 0)
        return fail_errno(error, "open the data folder", f->path);
    if (!open_lock_file(f, file, error))
        return false;
    if (flock(f->folder_fd, LOCK_EX | LOCK_NB) == 0 && flock(f->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    /* E.g. a file system without locks: nobody holds it, and nobody can. */
    if (errno != EWOULDBLOCK)
        return fail_errno(error, "lock", f->path);
    set_in_use(error, f->lock_fd, f->path);
    return false;
}

static bool take_lock(struct data_folder *f, GError **error)
{
    g_autofree char *file = g_build_filename(f->path, LOCK_NAME, NULL);
    char pid[32];
    int size;

    if (!lock_both(f, file, error))
        return false;
    size = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(f->lock_fd, 0) != 0 || pwrite(f->lock_fd, pid, (size_t)size, 0) != size)
        return fail_errno(error, "write", file);
    return true;
}

/* Gives the locks back. Accepts a half-built folder. */
static void drop(struct data_folder *f)
{
    if (f->lock_fd >= 0)
        close(f->lock_fd);
    if (f->folder_fd >= 0)
        close(f->folder_fd);
    g_clear_pointer(&f->path, g_free);
}

static bool make_marker(struct data_folder *f, GError **error)
{
    g_autofree char *file = g_build_filename(f->path, MARKER_NAME, NULL);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return fail_errno(error, "make", file);
    close(fd);
    return true;
}

/* How many folders at the end of the path do not exist. */
static unsigned count_missing(const char *path)
{
    g_autofree char *at = g_canonicalize_filename(path, NULL);
    unsigned count = 0;

    for (; !g_file_test(at, G_FILE_TEST_EXISTS); count++) {
        char *above = g_path_get_dirname(at);

        g_free(at);
        at = above;
    }
    return count;
}

bool data_folder_lock(struct data_folder *f, const char *path, GError **error)
{
    *f = (struct data_folder){
        .path = g_strdup(path), .folder_fd = -1, .lock_fd = -1, .made = count_missing(path)};
    if (g_mkdir_with_parents(path, 0700) != 0) {
        fail_errno(error, "make the data folder", path);
        drop(f);
        return false;
    }
    if (!take_lock(f, error)) {
        drop(f);
        return false;
    }
    f->was_new = !folder_has(path, STORE_NAME) && !folder_has(path, QUEUE_NAME);
    return true;
}

bool data_folder_open(struct data_folder *f, const char *path, GError **error)
{
    if (!data_folder_lock(f, path, error))
        return false;
    f->was_unclean = folder_has(path, MARKER_NAME);
    if (check_results(f, error) && make_marker(f, error))
        return true;
    drop(f);
    return false;
}

/* false with errno. One that may not be read is an older one, whose name is on the disk: we made
 * the others. */
static bool sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_ok = fd >= 0 ? fsync(fd) == 0 : errno == EACCES;
    int number = errno;

    if (fd >= 0)
        close(fd);
    errno = number;
    return is_ok;
}

/* The folder, and then each one above that holds a name of ours. At least one for a new folder: a
 * process that was killed may have made it. false with errno. */
static bool sync_all(const struct data_folder *f)
{
    g_autoptr(GString) above = g_string_new(f->path);
    unsigned count = MAX(f->made, f->was_new ? 1 : 0);

    if (fsync(f->folder_fd) != 0)
        return false;
    for (unsigned i = 0; i < count; i++) {
        g_string_append(above, "/..");
        if (!sync_folder(above->str))
            return false;
    }
    return true;
}

bool data_folder_sync(const struct data_folder *f, GError **error)
{
    if (sync_all(f))
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_FATAL, "cannot sync the data folder '%s': %s", f->path,
                g_strerror(errno));
    return false;
}

void data_folder_close(struct data_folder *f, bool is_clean)
{
    g_autofree char *marker = NULL;

    if (f->path == NULL)
        return;
    marker = g_build_filename(f->path, MARKER_NAME, NULL);
    if (is_clean)
        g_unlink(marker);
    drop(f);
}
