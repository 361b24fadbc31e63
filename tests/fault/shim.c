/* faultshim: lies about files to a program that is started with LD_PRELOAD=libfaultshim.so.
 *
 * FAULT_FOLDER   only files below it count; unset: all
 * FAULT_RULES    what goes wrong, rules separated by ';' (or lines):
 *                  CALL PATTERN [at=K | from=K] [errno=E] [delay_us=D]
 *                CALL is sync (fsync, fdatasync), write (write, pwrite, pwrite64) or truncate.
 *                PATTERN is a shell pattern for the file's name, e.g. queue.db-wal, *.db, *
 *                at=K    the K-th call that fits, once; from=K: that one and all later ones
 *                errno=E EIO, ENOSPC, EDQUOT, EROFS or a number: the call fails so, undone
 *                delay_us=D the call takes so much longer
 *                  sync *-wal at=3 errno=EIO; write * from=1 delay_us=300000
 * FAULT_SYNC_DELAY_US=D  short for FAULT_RULES="sync * from=1 delay_us=D"
 * FAULT_CONTROL  a file with rules, read whenever it changed (rename a new one over it): they take
 *                the place of all rules before, and are counted from the first call on
 * FAULT_LOG      gets a JSON line at each fault, written before the call returns
 *
 * The real calls are made as system calls: no symbol look-up, nothing to initialise but the rules.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RULES_MAX 16
#define TEXT_MAX  4096
#define ERRNO_MAX 4095

enum shim_call { CALL_SYNC, CALL_WRITE, CALL_TRUNCATE, CALL_COUNT };

struct shim_rule {
    enum shim_call call;
    char pattern[64];
    unsigned long from, until; /* which of the calls that fit, counted from 1 */
    unsigned long passed;
    int error;
    unsigned long delay_us;
};

/* What is to be done with one call. */
struct shim_fault {
    unsigned long number;
    int error;
    unsigned long delay_us;
};

/* A preloaded library has no other place for its state. All under lock, except the counts, which
 * let a call without rules pass at once. */
static struct {
    pthread_mutex_t lock;
    pthread_once_t once;
    struct shim_rule rules[RULES_MAX];
    size_t rule_count;
    int rules_of[CALL_COUNT]; /* atomic: rules for that call */
    const char *folder, *control, *log;
    struct stat seen; /* the control file as last read */
} shim = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

/* ---- rules ----------------------------------------------------------------------------------- */

/* A rule that is not understood would make a test pass for the wrong reason. */
static void reject(const char *text)
{
    fprintf(stderr, "faultshim: cannot read '%s'\n", text);
    abort();
}

static int error_number(const char *text)
{
    static const struct {
        const char *name;
        int number;
    } names[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS}};
    char *end = NULL;
    long number;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(names[i].name, text) == 0)
            return names[i].number;
    number = strtol(text, &end, 10);
    if (*end != '\0' || number <= 0 || number > ERRNO_MAX)
        reject(text);
    return (int)number;
}

static void read_option(struct shim_rule *rule, const char *word)
{
    const char *value = strchr(word, '=');

    if (value == NULL || value[1] == '\0')
        reject(word);
    value++;
    if (strncmp(word, "at=", 3) == 0)
        rule->from = rule->until = strtoul(value, NULL, 10);
    else if (strncmp(word, "from=", 5) == 0)
        rule->from = strtoul(value, NULL, 10);
    else if (strncmp(word, "errno=", 6) == 0)
        rule->error = error_number(value);
    else if (strncmp(word, "delay_us=", 9) == 0)
        rule->delay_us = strtoul(value, NULL, 10);
    else
        reject(word);
}

static enum shim_call call_named(const char *name)
{
    static const char *const names[CALL_COUNT] = {"sync", "write", "truncate"};
    int call = 0;

    while (call < CALL_COUNT && strcmp(names[call], name) != 0)
        call++;
    if (call == CALL_COUNT)
        reject(name);
    return (enum shim_call)call;
}

/* One rule; an empty text is none. */
static void add_rule(char *text)
{
    struct shim_rule rule = {.from = 1, .until = ~0UL};
    char *rest = NULL;
    char *call = strtok_r(text, " \t", &rest);
    char *pattern = call != NULL ? strtok_r(NULL, " \t", &rest) : NULL;

    if (call == NULL)
        return;
    if (pattern == NULL || strlen(pattern) >= sizeof(rule.pattern) || shim.rule_count == RULES_MAX)
        reject(call);
    rule.call = call_named(call);
    snprintf(rule.pattern, sizeof(rule.pattern), "%s", pattern);
    for (char *word; (word = strtok_r(NULL, " \t", &rest)) != NULL;)
        read_option(&rule, word);
    shim.rules[shim.rule_count++] = rule;
    __atomic_add_fetch(&shim.rules_of[rule.call], 1, __ATOMIC_RELEASE);
}

static void add_rules(const char *text)
{
    char copy[TEXT_MAX];
    char *rest = NULL;

    if (text == NULL)
        return;
    if (strlen(text) >= sizeof(copy))
        reject(text);
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *rule = strtok_r(copy, ";\n", &rest); rule; rule = strtok_r(NULL, ";\n", &rest))
        add_rule(rule);
}

static void start(void)
{
    const char *delay = getenv("FAULT_SYNC_DELAY_US");
    char rule[64];

    shim.folder = getenv("FAULT_FOLDER");
    shim.control = getenv("FAULT_CONTROL");
    shim.log = getenv("FAULT_LOG");
    add_rules(getenv("FAULT_RULES"));
    if (delay == NULL)
        return;
    snprintf(rule, sizeof(rule), "sync * from=1 delay_us=%lu", strtoul(delay, NULL, 10));
    add_rules(rule);
}

/* Under lock. A file that is not there leaves the rules as they are. */
static void read_control(void)
{
    char text[TEXT_MAX];
    struct stat now;
    ssize_t size;
    int fd;

    if (shim.control == NULL || stat(shim.control, &now) != 0 ||
        (now.st_ino == shim.seen.st_ino && now.st_mtim.tv_sec == shim.seen.st_mtim.tv_sec &&
         now.st_mtim.tv_nsec == shim.seen.st_mtim.tv_nsec))
        return;
    fd = open(shim.control, O_RDONLY | O_CLOEXEC);
    size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (size < 0)
        reject(shim.control);
    close(fd);
    text[size] = '\0';
    shim.seen = now;
    shim.rule_count = 0;
    for (int i = 0; i < CALL_COUNT; i++)
        __atomic_store_n(&shim.rules_of[i], 0, __ATOMIC_RELEASE);
    add_rules(text);
}

/* ---- the calls ------------------------------------------------------------------------------- */

/* The path behind the descriptor, when it is one that counts. */
static bool find_path(int fd, char *path, size_t room)
{
    size_t size = shim.folder != NULL ? strlen(shim.folder) : 0;
    char link[64];
    ssize_t got;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    got = readlink(link, path, room - 1);
    if (got <= 0 || path[0] != '/')
        return false;
    path[got] = '\0';
    return size == 0 ||
           (strncmp(path, shim.folder, size) == 0 && (path[size] == '/' || path[size] == '\0'));
}

/* Under lock. Every rule that fits counts the call; the delays and the last error add up. */
static bool decide(enum shim_call call, const char *path, struct shim_fault *fault)
{
    const char *slash = strrchr(path, '/');
    bool found = false;

    for (size_t i = 0; i < shim.rule_count; i++) {
        struct shim_rule *rule = &shim.rules[i];

        if (rule->call != call || fnmatch(rule->pattern, slash + 1, 0) != 0)
            continue;
        rule->passed++;
        if (rule->passed < rule->from || rule->passed > rule->until)
            continue;
        found = true;
        fault->number = rule->passed;
        fault->delay_us += rule->delay_us;
        if (rule->error != 0)
            fault->error = rule->error;
    }
    return found;
}

/* One write with O_APPEND, so that threads and processes do not mix their lines. */
static void note(const char *name, const char *path, const struct shim_fault *fault)
{
    char line[TEXT_MAX + 256];
    struct timespec now;
    int size;
    int fd;

    if (shim.log == NULL)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    size = snprintf(line, sizeof(line),
                    "{\"at_ns\":%lld,\"call\":\"%s\",\"path\":\"%s\",\"number\":%lu,"
                    "\"errno\":%d,\"delay_us\":%lu}\n",
                    (long long)now.tv_sec * 1000000000LL + now.tv_nsec, name, path, fault->number,
                    fault->error, fault->delay_us);
    fd = open(shim.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || syscall(SYS_write, fd, line, (size_t)size) != size)
        reject(shim.log);
    close(fd);
}

/* What every call passes first. false = it fails, errno is set. */
static bool pass(enum shim_call call, const char *name, int fd)
{
    struct shim_fault fault = {0};
    char path[TEXT_MAX];
    int saved = errno;
    bool found;

    pthread_once(&shim.once, start);
    if (shim.control == NULL && __atomic_load_n(&shim.rules_of[call], __ATOMIC_ACQUIRE) == 0)
        return true;
    if (!find_path(fd, path, sizeof(path))) {
        errno = saved;
        return true;
    }
    pthread_mutex_lock(&shim.lock);
    read_control();
    found = decide(call, path, &fault);
    pthread_mutex_unlock(&shim.lock);
    if (found)
        note(name, path, &fault);
    if (fault.delay_us > 0)
        nanosleep(&(struct timespec){.tv_sec = (time_t)(fault.delay_us / 1000000),
                                     .tv_nsec = (long)(fault.delay_us % 1000000) * 1000},
                  NULL);
    errno = fault.error != 0 ? fault.error : saved;
    return fault.error == 0;
}

int fsync(int fd)
{
    return pass(CALL_SYNC, "fsync", fd) ? (int)syscall(SYS_fsync, fd) : -1;
}

int fdatasync(int fd)
{
    return pass(CALL_SYNC, "fdatasync", fd) ? (int)syscall(SYS_fdatasync, fd) : -1;
}

ssize_t write(int fd, const void *data, size_t size)
{
    return pass(CALL_WRITE, "write", fd) ? syscall(SYS_write, fd, data, size) : -1;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return pass(CALL_WRITE, "pwrite", fd) ? syscall(SYS_pwrite64, fd, data, size, at) : -1;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    return pass(CALL_WRITE, "pwrite64", fd) ? syscall(SYS_pwrite64, fd, data, size, at) : -1;
}

int ftruncate(int fd, off_t size)
{
    return pass(CALL_TRUNCATE, "ftruncate", fd) ? (int)syscall(SYS_ftruncate, fd, size) : -1;
}

int ftruncate64(int fd, off64_t size)
{
    return pass(CALL_TRUNCATE, "ftruncate", fd) ? (int)syscall(SYS_ftruncate, fd, size) : -1;
}
