/* queue.db in bad company: full disks, failing syncs, crashes, damaged and foreign files.
 *
 * This program replaces pwrite64 and fdatasync, through which SQLite writes, by versions that fail
 * on demand for one file. */
#include "queue/queue.h"

#include "common/error.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHM_WRITE_LOCK 120 /* the byte of queue.db-shm that a writer locks: SQLite's WAL format */

/* ---- a disk that fails on demand ------------------------------------------------------------- */

/* What fails, for files whose name ends so; error 0 = nothing. */
struct disk_fault {
    const char *suffix;
    int error;
    int hits; /* calls that were made to fail, or would have been */
};

/* The queue's own threads meet them too. */
static GMutex disk_lock;
static struct disk_fault failing_write; /* under disk_lock, like the next one */
static struct disk_fault failing_sync;

static void set_fault(struct disk_fault *fault, const char *suffix, int error)
{
    g_mutex_lock(&disk_lock);
    *fault = (struct disk_fault){.suffix = suffix, .error = error};
    g_mutex_unlock(&disk_lock);
}

static int hits_of(const struct disk_fault *fault)
{
    int hits;

    g_mutex_lock(&disk_lock);
    hits = fault->hits;
    g_mutex_unlock(&disk_lock);
    return hits;
}

static bool strikes(struct disk_fault *fault, int fd)
{
    char link[64];
    char path[4096];
    ssize_t size;
    int error = 0;

    g_snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    size = readlink(link, path, sizeof(path) - 1);
    path[MAX(size, 0)] = '\0';
    g_mutex_lock(&disk_lock);
    if (fault->suffix != NULL && g_str_has_suffix(path, fault->suffix)) {
        fault->hits++;
        error = fault->error;
    }
    g_mutex_unlock(&disk_lock);
    errno = error;
    return error != 0;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    return strikes(&failing_write, fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, size, offset);
}

int fdatasync(int fd)
{
    return strikes(&failing_sync, fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

static void disk_is_good(void)
{
    set_fault(&failing_write, NULL, 0);
    set_fault(&failing_sync, NULL, 0);
}

/* ---- helpers --------------------------------------------------------------------------------- */

struct world {
    char *folder;
    char *file; /* queue.db in it */
    char *wal;
    struct queue *q;
};

static struct queue *try_open(const char *folder, bool read_only, int *code, char **text)
{
    const struct queue_options options = {.folder = folder, .read_only = read_only};
    GError *error = NULL;
    struct queue *q = queue_open(&queue_embedded_ops, &options, &error);

    if (q != NULL)
        return q;
    g_assert_true(error->domain == EF_ERROR);
    *code = error->code;
    *text = g_steal_pointer(&error->message);
    g_error_free(error);
    return NULL;
}

static struct queue *must_open(const char *folder, bool read_only)
{
    int code = 0;
    char *text = NULL;
    struct queue *q = try_open(folder, read_only, &code, &text);

    g_assert_cmpstr(text, ==, NULL);
    g_assert_true(queue_seek(q, 0, NULL));
    return q;
}

/* Opening is refused with this code and a text that names the file. */
static void assert_open_refused(const struct world *w, bool read_only, int expected)
{
    g_autofree char *text = NULL;
    int code = 0;

    g_assert_null(try_open(w->folder, read_only, &code, &text));
    g_test_message("%s", text);
    g_assert_cmpint(code, ==, expected);
    g_assert_nonnull(strstr(text, w->file));
}

static struct world world_new(void)
{
    struct world w = {.folder = g_dir_make_tmp("eventflow-queue-XXXXXX", NULL)};

    w.file = g_build_filename(w.folder, "queue.db", NULL);
    w.wal = g_build_filename(w.folder, "queue.db-wal", NULL);
    w.q = must_open(w.folder, false);
    return w;
}

static void world_close(struct world *w)
{
    queue_close(w->q);
    w->q = NULL;
}

static size_t count_files(const char *path)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    size_t count = 0;

    while (g_dir_read_name(folder) != NULL)
        count++;
    return count;
}

static void remove_folder(const char *path)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(folder)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        g_assert_cmpint(g_remove(file), ==, 0);
    }
    g_assert_cmpint(g_rmdir(path), ==, 0);
}

static void world_free(struct world *w)
{
    disk_is_good();
    world_close(w);
    remove_folder(w->folder);
    g_free(w->folder);
    g_free(w->file);
    g_free(w->wal);
}

/* Publishes count messages of that size; -1 on success, else the error's code. */
static int publish(struct queue *q, size_t count, size_t size)
{
    g_autofree struct queue_message *messages = g_new0(struct queue_message, count);
    g_autofree char *body = g_malloc(size);
    g_autoptr(GError) error = NULL;

    memset(body, 'b', size);
    for (size_t i = 0; i < count; i++) {
        messages[i].key = SLICE("key");
        messages[i].published_at_us = 1700000000123456;
        messages[i].body = slice_of(body, size);
    }
    if (queue_publish(q, messages, count, &error))
        return -1;
    g_test_message("%s", error->message);
    return error->code;
}

static int64_t last_seq(struct queue *q)
{
    struct queue_stats stats;

    queue_get_stats(q, &stats);
    return stats.last_seq;
}

static void copy_file(const char *from, const char *to)
{
    g_autofree char *bytes = NULL;
    size_t size;

    g_assert_true(g_file_get_contents(from, &bytes, &size, NULL));
    g_assert_true(g_file_set_contents(to, bytes, (gssize)size, NULL));
}

/* Overwrites part of the file in place. */
static void patch(const char *path, off_t offset, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    g_assert_cmpint(lseek(fd, offset, SEEK_SET), ==, offset);
    g_assert_cmpint(write(fd, bytes, size), ==, (ssize_t)size);
    close(fd);
}

/* Opening is refused, and the file's bytes are the same afterwards. */
static void assert_refused_untouched(struct world *w, int expected)
{
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    size_t size_before;
    size_t size_after;

    g_assert_true(g_file_get_contents(w->file, &before, &size_before, NULL));
    assert_open_refused(w, false, expected);
    assert_open_refused(w, true, expected);
    g_assert_true(g_file_get_contents(w->file, &after, &size_after, NULL));
    g_assert_cmpmem(before, size_before, after, size_after);
    g_assert_cmpint(count_files(w->folder), ==, 1);
}

/* Runs SQL through the sqlite3 shell; NULL when there is no such program. */
static char *run_shell(const char *file, const char *sql)
{
    g_autofree char *shell = g_find_program_in_path("sqlite3");
    const char *argv[] = {"sqlite3", file, sql, NULL};
    char *out = NULL;
    int status = -1;

    if (shell == NULL)
        return NULL;
    g_assert_true(g_spawn_sync(NULL, (char **)(void *)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
                               &out, NULL, &status, NULL));
    g_assert_cmpint(status, ==, 0);
    return out;
}

/* ---- the disk -------------------------------------------------------------------------------- */

static void assert_no_room_is_survived(int disk_error)
{
    struct world w = world_new();

    g_assert_cmpint(publish(w.q, 1, 100), ==, -1);
    set_fault(&failing_write, "-wal", disk_error);
    g_assert_cmpint(publish(w.q, 50, 1000), ==, EF_ERROR_FULL);
    g_assert_cmpint(publish(w.q, 5000, 2000), ==, EF_ERROR_FULL); /* larger than the page cache */
    g_assert_cmpint(last_seq(w.q), ==, 1);
    disk_is_good();
    g_assert_cmpint(publish(w.q, 2, 100), ==, -1);
    g_assert_cmpint(last_seq(w.q), ==, 3);
    world_close(&w);
    w.q = must_open(w.folder, false);
    g_assert_cmpint(last_seq(w.q), ==, 3);
    world_free(&w);
}

static void full_disk_is_survived(void)
{
    assert_no_room_is_survived(ENOSPC);
}

static void exceeded_quota_is_survived(void)
{
    assert_no_room_is_survived(EDQUOT);
}

/* After a failure of the disk: nothing is accepted, nothing is written, and what was acknowledged
 * is there in the next life. */
static void assert_dead(struct world *w, int64_t acknowledged)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;

    set_fault(&failing_write, "queue.db-wal", 0); /* only counts */
    g_assert_cmpint(publish(w->q, 1, 100), ==, EF_ERROR_FATAL);
    g_assert_cmpint(publish(w->q, 1, 100), ==, EF_ERROR_FATAL);
    g_assert_false(queue_check(w->q, QUEUE_CHECK_PING, problems, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_FATAL);
    g_assert_cmpint(last_seq(w->q), ==, acknowledged);
    g_assert_cmpint(hits_of(&failing_write), ==, 0);
    set_fault(&failing_write, "queue.db", 0);
    world_close(w);
    g_assert_cmpint(hits_of(&failing_write), ==, 0);
    disk_is_good();
    w->q = must_open(w->folder, false);
    g_assert_cmpint(last_seq(w->q), >=, acknowledged);
    g_assert_true(queue_check(w->q, QUEUE_CHECK_FULL, problems, NULL));
    g_assert_cmpint(problems->len, ==, 0);
    g_assert_cmpint(publish(w->q, 1, 100), ==, -1);
}

static void failed_write_is_fatal(void)
{
    struct world w = world_new();

    g_assert_cmpint(publish(w.q, 3, 100), ==, -1);
    set_fault(&failing_write, "-wal", EIO);
    g_assert_cmpint(publish(w.q, 1, 100), ==, EF_ERROR_FATAL);
    assert_dead(&w, 3);
    world_free(&w);
}

static void failed_sync_is_fatal_and_never_retried(void)
{
    struct world w = world_new();

    g_assert_cmpint(publish(w.q, 3, 100), ==, -1);
    set_fault(&failing_sync, "-wal", EIO);
    g_assert_cmpint(publish(w.q, 1, 100), ==, EF_ERROR_FATAL);
    g_assert_cmpint(hits_of(&failing_sync), ==, 1);
    disk_is_good();
    assert_dead(&w, 3);
    world_free(&w);
}

static void every_publish_is_synced(void)
{
    struct world w = world_new();

    set_fault(&failing_sync, "-wal", 0); /* only counts */
    for (int i = 1; i <= 5; i++) {
        g_assert_cmpint(publish(w.q, 10, 100), ==, -1);
        g_assert_cmpint(hits_of(&failing_sync), >=, i);
    }
    world_free(&w);
}

/* The batch was durable in the log, so it is acknowledged; but the queue ends. */
static void failed_sync_of_a_checkpoint_is_fatal(void)
{
    struct world w = world_new();
    int64_t acknowledged = 0;
    int code;

    set_fault(&failing_sync, "queue.db", EIO);
    while ((code = publish(w.q, 1, QUEUE_MESSAGE_MAX)) == -1 && acknowledged < 200)
        acknowledged++;
    g_assert_cmpint(code, ==, EF_ERROR_FATAL);
    g_assert_cmpint(hits_of(&failing_sync), ==, 1);
    disk_is_good();
    assert_dead(&w, acknowledged);
    world_free(&w);
}

static void log_is_moved_into_the_file(void)
{
    struct world w = world_new();
    GStatBuf log = {0}, file = {0};
    int64_t published = 0;

    /* How soon depends on the thread that copies. */
    while (published < 1000 &&
           published * QUEUE_MESSAGE_MAX < log.st_size + 30LL * QUEUE_MESSAGE_MAX) {
        g_assert_cmpint(publish(w.q, 1, QUEUE_MESSAGE_MAX), ==, -1);
        published++;
        g_assert_cmpint(g_stat(w.wal, &log), ==, 0);
    }
    g_assert_cmpint(published, <, 1000);
    g_assert_cmpint(g_stat(w.file, &file), ==, 0);
    g_assert_cmpint(file.st_size, >, 20LL * QUEUE_MESSAGE_MAX);
    world_free(&w);
}

/* Holds the lock of a foreign writer until the pipe is closed. */
static void hold_write_lock(const char *shm, int ready, int until)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = SHM_WRITE_LOCK, .l_len = 1};
    int fd = open(shm, O_RDWR | O_CLOEXEC);
    char byte = fcntl(fd, F_SETLK, &lock) == 0 ? '+' : '-';

    if (write(ready, &byte, 1) == 1 && read(until, &byte, 1) >= 0)
        _exit(0);
    _exit(1);
}

static void foreign_writer_means_retry(void)
{
    struct world w = world_new();
    g_autofree char *shm = g_build_filename(w.folder, "queue.db-shm", NULL);
    int ready[2];
    int until[2];
    char byte = 0;
    pid_t child;

    g_assert_cmpint(pipe2(ready, O_CLOEXEC), ==, 0);
    g_assert_cmpint(pipe2(until, O_CLOEXEC), ==, 0);
    child = fork();
    if (child == 0) {
        close(until[1]);
        hold_write_lock(shm, ready[1], until[0]);
    }
    close(ready[1]);
    close(until[0]);
    g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
    g_assert_cmpint(byte, ==, '+');
    g_assert_cmpint(publish(w.q, 1, 100), ==, EF_ERROR_RETRY);
    g_assert_cmpint(last_seq(w.q), ==, 0);
    close(until[1]);
    close(ready[0]);
    g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
    g_assert_cmpint(publish(w.q, 1, 100), ==, -1);
    g_assert_cmpint(last_seq(w.q), ==, 1);
    world_free(&w);
}

/* ---- a second life --------------------------------------------------------------------------- */

/* The files as a killed process leaves them. */
static void unclean_end_loses_nothing(void)
{
    struct world w = world_new();
    g_autofree char *folder = g_dir_make_tmp("eventflow-queue-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(folder, "queue.db", NULL);
    g_autofree char *wal = g_build_filename(folder, "queue.db-wal", NULL);
    struct queue *q;

    for (int i = 0; i < 20; i++)
        g_assert_cmpint(publish(w.q, 100, 300), ==, -1);
    copy_file(w.file, file);
    copy_file(w.wal, wal);
    q = must_open(folder, false);
    g_assert_cmpint(last_seq(q), ==, 2000);
    g_assert_cmpint(publish(q, 1, 300), ==, -1);
    g_assert_cmpint(last_seq(q), ==, 2001);
    queue_close(q);
    remove_folder(folder);
    world_free(&w);
}

/* A batch whose last pages never reached the log does not exist, and its numbers are given again.
 */
static void torn_log_drops_the_unfinished_batch_only(void)
{
    struct world w = world_new();
    g_autofree char *folder = g_dir_make_tmp("eventflow-queue-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(folder, "queue.db", NULL);
    g_autofree char *wal = g_build_filename(folder, "queue.db-wal", NULL);
    GStatBuf info;
    struct queue *q;

    g_assert_cmpint(publish(w.q, 100, 300), ==, -1);
    g_assert_cmpint(publish(w.q, 100, 300), ==, -1);
    copy_file(w.file, file);
    copy_file(w.wal, wal);
    g_assert_cmpint(g_stat(wal, &info), ==, 0);
    g_assert_cmpint(truncate(wal, info.st_size - 100), ==, 0);
    q = must_open(folder, false);
    g_assert_cmpint(last_seq(q), ==, 100);
    g_assert_cmpint(publish(q, 1, 300), ==, -1);
    g_assert_cmpint(last_seq(q), ==, 101);
    queue_close(q);
    remove_folder(folder);
    world_free(&w);
}

static void newer_schema_is_left_untouched(void)
{
    struct world w = world_new();

    g_assert_cmpint(publish(w.q, 10, 100), ==, -1);
    world_close(&w);
    patch(w.file, 60, "\0\0\0\x63", 4); /* user_version */
    assert_refused_untouched(&w, EF_ERROR_NEWER);
    world_free(&w);
}

/* The newer program was killed: its version stands in the log only. */
static void newer_schema_in_the_log_is_left_untouched(void)
{
    struct world w = world_new();
    g_autofree char *folder = g_dir_make_tmp("eventflow-queue-XXXXXX", NULL);
    g_autofree char *wal = g_build_filename(folder, "queue.db-wal", NULL);
    struct world copy = {.folder = folder, .file = g_build_filename(folder, "queue.db", NULL)};
    g_autofree char *out = run_shell(w.file, "PRAGMA user_version = 99");
    GStatBuf before;
    GStatBuf after;

    if (out != NULL) {
        copy_file(w.file, copy.file);
        copy_file(w.wal, wal);
        g_assert_cmpint(g_stat(wal, &before), ==, 0);
        assert_open_refused(&copy, false, EF_ERROR_NEWER);
        assert_open_refused(&copy, true, EF_ERROR_NEWER);
        g_assert_cmpint(g_stat(wal, &after), ==, 0);
        g_assert_cmpint(before.st_size, ==, after.st_size);
    } else {
        g_test_skip("no sqlite3 shell");
    }
    remove_folder(folder);
    g_free(copy.file);
    world_free(&w);
}

static void garbage_is_damage_and_left_untouched(void)
{
    static const char *const texts[] = {"x", "this is no database", "SQLite format 3"};
    struct world w = world_new();
    g_autofree char *noise = g_malloc(8192);

    world_close(&w);
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_assert_true(g_file_set_contents(w.file, texts[i], -1, NULL));
        assert_refused_untouched(&w, EF_ERROR_CORRUPT);
    }
    memset(noise, 0xa5, 8192);
    g_assert_true(g_file_set_contents(w.file, noise, 8192, NULL));
    assert_refused_untouched(&w, EF_ERROR_CORRUPT);
    world_free(&w);
}

static void truncated_file_is_damage(void)
{
    struct world w = world_new();
    GStatBuf info;

    g_assert_cmpint(publish(w.q, 500, 300), ==, -1);
    world_close(&w);
    g_assert_cmpint(g_stat(w.file, &info), ==, 0);
    g_assert_cmpint(truncate(w.file, info.st_size / 2), ==, 0);
    assert_open_refused(&w, false, EF_ERROR_CORRUPT);
    assert_open_refused(&w, true, EF_ERROR_CORRUPT);
    world_free(&w);
}

static void foreign_database_is_left_untouched(void)
{
    struct world w = world_new();
    g_autofree char *out = NULL;

    world_close(&w);
    patch(w.file, 68, "ABCD", 4); /* application_id */
    assert_refused_untouched(&w, EF_ERROR_CORRUPT);
    g_assert_cmpint(g_remove(w.file), ==, 0);
    out = run_shell(w.file, "CREATE TABLE holiday (day TEXT)");
    if (out != NULL)
        assert_refused_untouched(&w, EF_ERROR_CORRUPT);
    world_free(&w);
}

/* SQLite would silently throw the log away. */
static void log_without_its_file_is_damage(void)
{
    struct world w = world_new();
    g_autofree char *folder = g_dir_make_tmp("eventflow-queue-XXXXXX", NULL);
    g_autofree char *wal = g_build_filename(folder, "queue.db-wal", NULL);
    struct world copy = {.folder = folder, .file = g_build_filename(folder, "queue.db", NULL)};

    g_assert_cmpint(publish(w.q, 10, 100), ==, -1);
    copy_file(w.wal, wal);
    assert_open_refused(&copy, false, EF_ERROR_CORRUPT);
    g_assert_true(g_file_test(wal, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_set_contents(copy.file, "", 0, NULL));
    assert_open_refused(&copy, false, EF_ERROR_CORRUPT);
    g_assert_true(g_file_test(wal, G_FILE_TEST_EXISTS));
    remove_folder(folder);
    g_free(copy.file);
    world_free(&w);
}

static void missing_folder_is_a_wrong_setting(void)
{
    struct world w = {.folder = g_strdup("/nonexistent/eventflow")};

    w.file = g_build_filename(w.folder, "queue.db", NULL);
    assert_open_refused(&w, false, EF_ERROR_INPUT);
    g_free(w.folder);
    g_free(w.file);
}

static void odd_folder_names_work(void)
{
    g_autofree char *parent = g_dir_make_tmp("eventflow-queue-XXXXXX", NULL);
    g_autofree char *folder = g_build_filename(parent, "a?b#c%20 d'é", NULL);
    g_autofree char *file = g_build_filename(folder, "queue.db", NULL);
    struct queue *q;

    g_assert_cmpint(g_mkdir(folder, 0700), ==, 0);
    q = must_open(folder, false);
    g_assert_cmpint(publish(q, 1, 10), ==, -1);
    queue_close(q);
    g_assert_true(g_file_test(file, G_FILE_TEST_EXISTS));
    remove_folder(folder);
    remove_folder(parent);
}

/* ---- check and reading ----------------------------------------------------------------------- */

static void damaged_page_is_named(void)
{
    struct world w = world_new();
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    g_autofree char *noise = g_malloc(4096);
    struct arena arena = {0};
    struct queue_batch batch;

    g_assert_cmpint(publish(w.q, 1000, 300), ==, -1);
    world_close(&w);
    memset(noise, 0xa5, 4096);
    patch(w.file, 10 * 4096, noise, 4096);
    w.q = queue_open(&queue_embedded_ops, &(struct queue_options){.folder = w.folder}, NULL);
    g_assert_nonnull(w.q);
    g_assert_true(queue_check(w.q, QUEUE_CHECK_QUICK, problems, NULL));
    g_assert_cmpint(problems->len, >, 0);
    g_assert_nonnull(strstr(g_ptr_array_index(problems, 0), w.file));
    g_ptr_array_set_size(problems, 0);
    g_assert_true(queue_check(w.q, QUEUE_CHECK_FULL, problems, NULL));
    g_assert_cmpint(problems->len, >, 0);
    g_assert_false(queue_seek(w.q, 0, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_CORRUPT);
    g_assert_nonnull(strstr(error->message, w.file));
    g_clear_error(&error);
    for (int64_t seq = 1; seq <= 1000 && error == NULL; seq++)
        queue_read(w.q, &seq, 1, &arena, &batch, &error);
    g_assert_error(error, EF_ERROR, EF_ERROR_CORRUPT);
    arena_done(&arena);
    world_free(&w);
}

static void missing_message_is_damage(void)
{
    struct world w = world_new();
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    struct arena arena = {0};
    struct queue_batch batch;
    g_autoptr(GError) error = NULL;
    g_autofree char *out = NULL;

    g_assert_cmpint(publish(w.q, 5, 100), ==, -1);
    out = run_shell(w.file, "DELETE FROM raw_events WHERE seq = 3");
    if (out != NULL) {
        g_assert_true(queue_receive(w.q, 10, 0, &arena, &batch, NULL));
        g_assert_cmpint(batch.count, ==, 2);
        g_assert_false(queue_receive(w.q, 10, 0, &arena, &batch, &error));
        g_assert_error(error, EF_ERROR, EF_ERROR_CORRUPT);
        g_assert_nonnull(strstr(error->message, w.file));
        g_assert_true(queue_check(w.q, QUEUE_CHECK_FULL, problems, NULL));
        g_assert_cmpint(problems->len, ==, 1);
    } else {
        g_test_skip("no sqlite3 shell");
    }
    arena_done(&arena);
    world_free(&w);
}

/* One bit in each column: seen by the full check, and by the consumer before it is acted upon. */
static void changed_value_is_found(void)
{
    static const char *const changes[] = {
        "received_at = received_at + 1",
        "event_id = 'kez'",
        "correlation_id = 'x'",
        "traceparent = 'x'",
        "replay_of = 7",
        "body = replace(body, 'b', 'c')",
        "checksum = checksum + 1",
        "body = CAST(body || 'b' AS TEXT)",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
        struct world w = world_new();
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *sql =
            g_strdup_printf("UPDATE raw_events SET %s WHERE seq = 2", changes[i]);
        struct arena arena = {0};
        struct queue_batch batch;
        g_autofree char *out = NULL;

        g_assert_cmpint(publish(w.q, 3, 100), ==, -1);
        g_assert_true(queue_check(w.q, QUEUE_CHECK_FULL, problems, NULL));
        g_assert_cmpint(problems->len, ==, 0);
        out = run_shell(w.file, sql);
        if (out != NULL) {
            g_assert_true(queue_check(w.q, QUEUE_CHECK_FULL, problems, NULL));
            g_assert_cmpint(problems->len, ==, 1);
            g_assert_nonnull(strstr(problems->pdata[0], "message 2 does not fit its checksum"));
            g_assert_true(queue_receive(w.q, 10, 0, &arena, &batch, NULL));
            g_assert_cmpint(batch.count, ==, 3);
            for (size_t m = 0; m < 3; m++)
                g_assert_cmpint(batch.messages[m].is_damaged, ==, m == 1);
        } else {
            g_test_skip("no sqlite3 shell");
        }
        arena_done(&arena);
        world_free(&w);
    }
}

static void changed_schema_is_found(void)
{
    struct world w = world_new();
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *out = run_shell(w.file, "DROP VIEW events_received; CREATE TABLE notes (a)");

    if (out != NULL) {
        g_assert_true(queue_check(w.q, QUEUE_CHECK_FULL, problems, NULL));
        g_assert_cmpint(problems->len, ==, 1); /* what somebody added is none */
        g_assert_nonnull(strstr(problems->pdata[0], "'events_received'"));
    } else {
        g_test_skip("no sqlite3 shell");
    }
    world_free(&w);
}

/* A file of schema 1 is brought up; its rows have no checksum and that is no problem, but a row
 * that lost its own is. */
static void older_schema_is_brought_up(void)
{
    struct world w = world_new();
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    struct queue_batch batch;
    struct arena arena = {0};
    g_autofree char *out = NULL;

    g_assert_cmpint(publish(w.q, 2, 100), ==, -1);
    world_close(&w);
    out = run_shell(w.file, "ALTER TABLE raw_events DROP COLUMN checksum; PRAGMA user_version = 1");
    if (out == NULL) {
        g_test_skip("no sqlite3 shell");
        w.q = must_open(w.folder, false);
        world_free(&w);
        return;
    }
    assert_open_refused(&w, true, EF_ERROR_MISSING); /* a reader changes nothing */
    w.q = must_open(w.folder, false);
    g_assert_cmpint(publish(w.q, 2, 100), ==, -1);
    g_assert_true(queue_receive(w.q, 10, 0, &arena, &batch, NULL));
    g_assert_cmpint(batch.count, ==, 4);
    for (size_t m = 0; m < 4; m++)
        g_assert_false(batch.messages[m].is_damaged);
    g_assert_true(queue_check(w.q, QUEUE_CHECK_FULL, problems, NULL));
    g_assert_cmpint(problems->len, ==, 0);
    g_free(run_shell(w.file, "UPDATE raw_events SET checksum = NULL WHERE seq = 4"));
    g_assert_true(queue_check(w.q, QUEUE_CHECK_FULL, problems, NULL));
    g_assert_cmpint(problems->len, ==, 1);
    arena_done(&arena);
    world_free(&w);
}

static void reader_works_beside_the_writer(void)
{
    struct world w = world_new();
    struct queue *reader;
    struct arena arena = {0};
    struct queue_batch batch;
    const int64_t seq = 10;

    g_assert_cmpint(publish(w.q, 10, 100), ==, -1);
    reader = must_open(w.folder, true);
    g_assert_cmpint(last_seq(reader), ==, 10);
    g_assert_true(queue_read(reader, &seq, 1, &arena, &batch, NULL));
    g_assert_cmpint(batch.count, ==, 1);
    g_assert_cmpint(publish(w.q, 10, 100), ==, -1);
    queue_close(reader);
    g_assert_cmpint(publish(w.q, 10, 100), ==, -1);
    arena_done(&arena);
    world_free(&w);
}

static void reader_leaves_nothing_behind(void)
{
    struct world w = world_new();
    struct queue *reader;
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    size_t size_before;
    size_t size_after;

    g_assert_cmpint(publish(w.q, 10, 100), ==, -1);
    world_close(&w);
    g_assert_cmpint(count_files(w.folder), ==, 1);
    g_assert_true(g_file_get_contents(w.file, &before, &size_before, NULL));
    reader = must_open(w.folder, true);
    g_assert_cmpint(last_seq(reader), ==, 10);
    g_assert_true(queue_check(reader, QUEUE_CHECK_FULL, problems, NULL));
    g_assert_cmpint(problems->len, ==, 0);
    queue_close(reader);
    g_assert_cmpint(count_files(w.folder), ==, 1);
    g_assert_true(g_file_get_contents(w.file, &after, &size_after, NULL));
    g_assert_cmpmem(before, size_before, after, size_after);
    world_free(&w);
}

static void reader_does_not_create(void)
{
    struct world w = world_new();

    world_close(&w);
    g_assert_cmpint(g_remove(w.file), ==, 0);
    assert_open_refused(&w, true, EF_ERROR_MISSING);
    g_assert_cmpint(count_files(w.folder), ==, 0);
    world_free(&w);
}

static void shell_shows_readable_rows(void)
{
    struct world w = world_new();
    struct queue_message m = {
        .key = SLICE("order-1"),
        .correlation = SLICE("corr-1"),
        .published_at_us = 1700000000012345,
        .body = SLICE("{\"a\":\"é\"}"),
    };
    g_autofree char *out = NULL;

    g_assert_true(queue_publish(w.q, &m, 1, NULL));
    out = run_shell(w.file, "SELECT * FROM events_received; SELECT typeof(body) FROM raw_events;"
                            "SELECT value FROM meta WHERE name = 'schema_version'");
    if (out != NULL)
        g_assert_cmpstr(out, ==,
                        "1|order-1|2023-11-14T22:13:20.012345Z|corr-1|||{\"a\":\"é\"}\ntext\n2\n");
    else
        g_test_skip("no sqlite3 shell");
    world_free(&w);
}

/* ---- the list -------------------------------------------------------------------------------- */

static const struct {
    const char *path;
    void (*run)(void);
} tests[] = {
    {"/queue/embedded/full_disk_is_survived", full_disk_is_survived},
    {"/queue/embedded/exceeded_quota_is_survived", exceeded_quota_is_survived},
    {"/queue/embedded/failed_write_is_fatal", failed_write_is_fatal},
    {"/queue/embedded/failed_sync_is_fatal_and_never_retried",
     failed_sync_is_fatal_and_never_retried},
    {"/queue/embedded/every_publish_is_synced", every_publish_is_synced},
    {"/queue/embedded/failed_sync_of_a_checkpoint_is_fatal", failed_sync_of_a_checkpoint_is_fatal},
    {"/queue/embedded/log_is_moved_into_the_file", log_is_moved_into_the_file},
    {"/queue/embedded/foreign_writer_means_retry", foreign_writer_means_retry},
    {"/queue/embedded/unclean_end_loses_nothing", unclean_end_loses_nothing},
    {"/queue/embedded/torn_log_drops_the_unfinished_batch_only",
     torn_log_drops_the_unfinished_batch_only},
    {"/queue/embedded/newer_schema_is_left_untouched", newer_schema_is_left_untouched},
    {"/queue/embedded/older_schema_is_brought_up", older_schema_is_brought_up},
    {"/queue/embedded/changed_value_is_found", changed_value_is_found},
    {"/queue/embedded/changed_schema_is_found", changed_schema_is_found},
    {"/queue/embedded/newer_schema_in_the_log_is_left_untouched",
     newer_schema_in_the_log_is_left_untouched},
    {"/queue/embedded/garbage_is_damage_and_left_untouched", garbage_is_damage_and_left_untouched},
    {"/queue/embedded/truncated_file_is_damage", truncated_file_is_damage},
    {"/queue/embedded/foreign_database_is_left_untouched", foreign_database_is_left_untouched},
    {"/queue/embedded/log_without_its_file_is_damage", log_without_its_file_is_damage},
    {"/queue/embedded/missing_folder_is_a_wrong_setting", missing_folder_is_a_wrong_setting},
    {"/queue/embedded/odd_folder_names_work", odd_folder_names_work},
    {"/queue/embedded/damaged_page_is_named", damaged_page_is_named},
    {"/queue/embedded/missing_message_is_damage", missing_message_is_damage},
    {"/queue/embedded/reader_works_beside_the_writer", reader_works_beside_the_writer},
    {"/queue/embedded/reader_leaves_nothing_behind", reader_leaves_nothing_behind},
    {"/queue/embedded/reader_does_not_create", reader_does_not_create},
    {"/queue/embedded/shell_shows_readable_rows", shell_shows_readable_rows},
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_func(tests[i].path, tests[i].run);
    return g_test_run();
}
