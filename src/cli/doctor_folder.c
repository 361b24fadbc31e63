#include "cli/doctor_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/clock.h"

#define DISK_FREE_MIN   (256 * 1024 * 1024) /* bytes; below it the doctor warns */
#define INODES_FREE_MIN 16                  /* the program makes six files at most */
#define TEST_SIZE       4096                /* bytes of the written test */
#define SYNC_SLOW_US    50000               /* a sync this long makes every answer slow */

/* ---- the file system ------------------------------------------------------------------------- */

/* Kinds that cannot keep the promises, by the number that the kernel gives them.
 * Source: statfs(2), linux/magic.h. */
static const struct {
    unsigned long magic;
    const char *name;
    const char *why;
} weak_file_systems[] = {
    {0x6969, "NFS", "SQLite's log needs memory shared by processes of one machine, and locks"},
    {0xff534d42, "CIFS", "SQLite's log needs memory shared by processes of one machine, and locks"},
    {0xfe534d42, "SMB2", "SQLite's log needs memory shared by processes of one machine, and locks"},
    {0x01021997, "9p", "its locks and syncs depend on the host"},
    {0x01021994, "tmpfs", "it lives in memory: everything is gone after a restart of the machine"},
    {0x858458f6, "ramfs", "it lives in memory: everything is gone after a restart of the machine"},
    {0x65735546, "FUSE", "whether a sync is durable depends on the program behind it"},
};

static void check_kind(struct doctor *d, const char *folder)
{
    struct statfs fs;

    if (statfs(folder, &fs) != 0)
        return; /* the look at the space has said so */
    for (size_t i = 0; i < G_N_ELEMENTS(weak_file_systems); i++)
        if (weak_file_systems[i].magic == ((unsigned long)fs.f_type & 0xffffffff))
            doctor_report(d, FINDING_WARNING, "file system", "'%s' is on %s: %s", folder,
                          weak_file_systems[i].name, weak_file_systems[i].why);
}

/* Space that this user may fill (f_bavail, not f_bfree: some is kept for root). */
static bool check_space(struct doctor *d, const char *folder)
{
    struct statvfs fs;
    guint64 free_bytes;

    if (statvfs(folder, &fs) != 0) {
        doctor_report(d, FINDING_PROBLEM, "disk", "cannot look at '%s': %s", folder,
                      g_strerror(errno));
        return false;
    }
    /* f_bavail counts in units of f_frsize, not of f_bsize. */
    free_bytes = (guint64)fs.f_bavail * fs.f_frsize;
    doctor_report(d, free_bytes < DISK_FREE_MIN ? FINDING_WARNING : FINDING_OK, "disk",
                  "%" G_GUINT64_FORMAT " MiB free", free_bytes / (1024 * 1024));
    /* Some file systems count no inodes: 0 of 0. */
    if (fs.f_files > 0 && fs.f_favail < INODES_FREE_MIN)
        doctor_report(d, FINDING_WARNING, "disk", "only %lu more files can be made (inodes)",
                      (unsigned long)fs.f_favail);
    if ((fs.f_flag & ST_RDONLY) != 0)
        doctor_report(d, FINDING_PROBLEM, "disk", "the file system of '%s' is read-only", folder);
    return (fs.f_flag & ST_RDONLY) == 0;
}

/* ---- a written test -------------------------------------------------------------------------- */

/* A file without a name, so that nothing is left of it whatever happens; where the file system has
 * no such files, one that loses its name at once. -1 with errno. */
static int open_unnamed(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    g_autofree char *path = NULL;

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return fd;
    path = g_strdup_printf("%s/doctor-XXXXXX", folder);
    fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        unlink(path);
    return fd;
}

/* What is written through a shared map must be what is read from the file: SQLite's index of the
 * log depends on it. */
static bool try_map(int fd)
{
    char *map = mmap(NULL, TEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char back = 0;
    bool is_good;

    if (map == MAP_FAILED)
        return false;
    map[1] = 'M';
    is_good = pread(fd, &back, 1, 1) == 1 && back == 'M';
    munmap(map, TEST_SIZE);
    return is_good;
}

/* Both kinds of locks that are used: SQLite's, and that of the folder. */
static bool try_locks(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

    return fcntl(fd, F_SETLK, &lock) == 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/* Writes, syncs and reads again. The duration of the sync; -1 with errno: something failed. */
static int64_t try_write(int fd)
{
    char text[TEST_SIZE];
    char back[TEST_SIZE];
    int64_t begin_us;
    int64_t took_us;

    memset(text, 'D', sizeof(text));
    errno = ENOSPC; /* what a short write means */
    if (pwrite(fd, text, sizeof(text), 0) != (ssize_t)sizeof(text))
        return -1;
    begin_us = clock_monotonic_us();
    if (fdatasync(fd) != 0)
        return -1;
    took_us = clock_monotonic_us() - begin_us;
    errno = EIO;
    if (pread(fd, back, sizeof(back), 0) != (ssize_t)sizeof(back) ||
        memcmp(text, back, sizeof(text)) != 0)
        return -1;
    return took_us;
}

static void check_written(struct doctor *d, const char *folder, int fd)
{
    int64_t sync_us = try_write(fd);

    if (sync_us < 0) {
        doctor_report(d, FINDING_PROBLEM, "disk", "a test file in '%s' cannot be written: %s",
                      folder, g_strerror(errno));
        return;
    }
    doctor_report(d, sync_us > SYNC_SLOW_US ? FINDING_WARNING : FINDING_OK, "disk",
                  "a written block was synced in %.2f ms%s", (double)sync_us / 1000,
                  sync_us > SYNC_SLOW_US ? ": slow, and every answer waits for one" : "");
    if (!try_map(fd))
        doctor_report(d, FINDING_PROBLEM, "file system",
                      "'%s' has no shared memory maps, which SQLite's log needs", folder);
    if (!try_locks(fd))
        doctor_report(d, FINDING_PROBLEM, "file system",
                      "'%s' has no working locks: two programs could write at once", folder);
}

/* A folder that cannot be written is only mentioned: the doctor may run as another user than the
 * program. */
static void check_write(struct doctor *d, const char *folder)
{
    int fd;

    if (access(folder, W_OK | X_OK) != 0) {
        doctor_report(d, FINDING_OK, "disk", "no write test: '%s' is not writable for this user",
                      folder);
        return;
    }
    fd = open_unnamed(folder);
    if (fd < 0) {
        doctor_report(d, FINDING_PROBLEM, "disk", "no file can be made in '%s': %s", folder,
                      g_strerror(errno));
        return;
    }
    check_written(d, folder, fd);
    close(fd);
}

void doctor_check_disk(struct doctor *d, const char *folder)
{
    bool is_writable = check_space(d, folder);

    check_kind(d, folder);
    if (is_writable)
        check_write(d, folder);
}

/* ---- who runs on it -------------------------------------------------------------------------- */

/* The pid in the lock file; 0: none. */
static long read_pid(int fd)
{
    char text[32] = "";

    if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
        return 0;
    return strtol(text, NULL, 10);
}

/* "eventflow", or what it is called; "" when there is no such process, or not one that we may see.
 * Owned by caller. */
static char *process_name(long pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%ld/comm", pid);
    char *name = NULL;

    if (!g_file_get_contents(path, &name, NULL, NULL))
        return g_strdup("");
    return g_strstrip(name);
}

/* The lock is held, so somebody lives; the pid may be one of another container's. */
static void report_owner(struct doctor *d, long pid, bool is_marked)
{
    g_autofree char *name = process_name(pid);
    bool is_alive = kill((pid_t)pid, 0) == 0 || errno == EPERM;
    const char *doing = is_marked ? "runs on it" : "holds the lock (starting, ending or restoring)";

    if (pid > 0 && is_alive)
        doctor_report(d, FINDING_OK, "lock", "process %ld (%s) %s", pid,
                      name[0] != '\0' ? name : "name unknown", doing);
    else
        doctor_report(d, FINDING_WARNING, "lock",
                      "a process holds the lock, but not the noted one (pid %ld): perhaps one of "
                      "another container",
                      pid);
}

/* Nobody holds it. The marker tells whether the last process closed what it had opened. */
static void report_last_end(struct doctor *d, long pid, bool is_marked)
{
    if (is_marked)
        doctor_report(d, FINDING_WARNING, "lock",
                      "no process runs on it, and the last one (pid %ld) did not end cleanly: the "
                      "next start goes on from the last commit",
                      pid);
    else
        doctor_report(d, FINDING_OK, "lock", "no process runs on it, the last one ended cleanly");
}

/* There is no lock file, but a process locks the folder, too. */
static void check_folder_lock(struct doctor *d, const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        doctor_report(d, FINDING_WARNING, "lock",
                      "a process holds the folder, but its lock file was deleted: stop the process "
                      "and start it again");
    else
        doctor_report(d, FINDING_OK, "lock", "no process has run on it yet");
    if (fd >= 0)
        close(fd);
}

/* The lock is tried as a shared one and given back at once. A process that starts in just this
 * moment would be refused, and started again by its supervisor. */
void doctor_check_lock(struct doctor *d, const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "eventflow.lock", NULL);
    g_autofree char *marker = g_build_filename(folder, "running", NULL);
    bool is_marked = g_file_test(marker, G_FILE_TEST_EXISTS);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT) {
        check_folder_lock(d, folder);
        return;
    }
    if (fd < 0) {
        doctor_report(d, FINDING_WARNING, "lock", "cannot look at '%s': %s", path,
                      g_strerror(errno));
        return;
    }
    if (flock(fd, LOCK_SH | LOCK_NB) == 0)
        report_last_end(d, read_pid(fd), is_marked);
    else if (errno == EWOULDBLOCK)
        report_owner(d, read_pid(fd), is_marked);
    else
        doctor_report(d, FINDING_WARNING, "lock", "cannot try the lock of '%s': %s", path,
                      g_strerror(errno));
    close(fd);
}
