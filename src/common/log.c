/* Lines are built in memory of the caller's thread and written with one system call, without a
 * lock; a lock is held only to count repetitions. There is no log thread and no queue: lines are
 * rare (life-cycle, trouble), and the last ones before a crash must be out.
 * The level, the descriptor and the repeat table are process-wide: the logger is one of the three
 * places that may have mutable file-scope variables. */
#include "common/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include <glib.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/json.h"
#include "common/rfc3339.h"

#define LOG_REPEAT_MESSAGES 256 /* messages watched at once */

/* How often one message came in the present window. Under log_lock. */
struct log_repeat {
    uint64_t fingerprint; /* of the message text; 0 = free */
    int64_t since_us;     /* start of the window, monotonic */
    uint32_t count;       /* lines written in it */
    uint64_t suppressed;  /* lines held back since the last one that was written */
};

/* Relaxed order would do for the two atomics, but they are read once a line; the default costs
 * nothing that shows. */
static GMutex log_lock;
static struct log_repeat log_repeats[LOG_REPEAT_MESSAGES];           /* under log_lock */
static int64_t log_window_us = (int64_t)LOG_REPEAT_WINDOW_MS * 1000; /* under log_lock */
static atomic_int log_level_now = LOG_LEVEL_INFO;
static atomic_int log_fd = STDERR_FILENO;

/* As they stand in the output: the words that log collectors know. */
static const char *const log_level_names[] = {
    [LOG_LEVEL_ERROR] = "ERROR",
    [LOG_LEVEL_WARN] = "WARNING",
    [LOG_LEVEL_INFO] = "INFO",
    [LOG_LEVEL_DEBUG] = "DEBUG",
};

void log_set_level(enum log_level level)
{
    atomic_store(&log_level_now, (int)level);
}

bool log_level_parse(struct slice name, enum log_level *level)
{
    static const char *const words[] = {
        [LOG_LEVEL_ERROR] = "error",
        [LOG_LEVEL_WARN] = "warn",
        [LOG_LEVEL_INFO] = "info",
        [LOG_LEVEL_DEBUG] = "debug",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        if (slice_equal(name, slice_text(words[i]))) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

void log_set_fd(int fd)
{
    atomic_store(&log_fd, fd);
}

/* Windows that are open take the new length at their next line. */
void log_set_repeat_window_ms(int64_t window_ms)
{
    g_mutex_lock(&log_lock);
    log_window_us = window_ms * 1000;
    g_mutex_unlock(&log_lock);
}

/* The entry of a message: its own, else a free one, else the one whose window began first (its
 * count of held-back lines is lost). 256 entries are few enough to look through all of them: a log
 * line costs a system call anyway. Under log_lock. */
static struct log_repeat *log_repeat_find(uint64_t fingerprint)
{
    struct log_repeat *oldest = &log_repeats[0];

    for (size_t i = 0; i < LOG_REPEAT_MESSAGES; i++) {
        struct log_repeat *repeat = &log_repeats[i];

        if (repeat->fingerprint == fingerprint)
            return repeat;
        if (repeat->since_us < oldest->since_us)
            oldest = repeat; /* a free entry's window began at 0 */
    }
    *oldest = (struct log_repeat){.fingerprint = fingerprint};
    return oldest;
}

/* Whether this line may pass; *suppressed: how many were held back before it. Lines count as the
 * same when their message is, whatever their fields say: a failure per event differs in its ids
 * only. A window begins with the first line after the last one ended, so a slow trickle passes. */
static bool log_may_pass(struct slice message, int64_t now_us, uint64_t *suppressed)
{
    struct log_repeat *repeat;
    bool may_pass;

    g_mutex_lock(&log_lock);
    repeat = log_repeat_find(hash64(message) | 1); /* never 0 */
    if (repeat->since_us == 0 || now_us - repeat->since_us >= log_window_us) {
        repeat->since_us = now_us;
        repeat->count = 0;
    }
    may_pass = repeat->count < LOG_REPEAT_MAX;
    if (may_pass) {
        repeat->count++;
        *suppressed = repeat->suppressed;
        repeat->suppressed = 0;
    } else {
        repeat->suppressed++;
    }
    g_mutex_unlock(&log_lock);
    return may_pass;
}

/* Only the member that goes with the type is set (the macros in log.h see to that). */
static void log_put_field(struct json_writer *w, const struct log_field *field)
{
    switch (field->type) {
    case LOG_FIELD_TEXT:
        json_put_text(w, field->key, field->text);
        break;
    case LOG_FIELD_INTEGER:
        json_put_integer(w, field->key, field->integer);
        break;
    case LOG_FIELD_NUMBER:
        json_put_number(w, field->key, field->number);
        break;
    }
}

/* One write for the whole line, so lines of several threads and processes do not mix. A rest is
 * written only when the system took a part; an error has nowhere to be reported, and a full pipe
 * loses the line rather than blocking a program that was told not to block. */
static void log_emit(const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(atomic_load(&log_fd), data, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        data += written;
        size -= (size_t)written;
    }
}

/* The level is looked at first: a debug line that is switched off costs one load. */
void log_write(enum log_level level, const struct log_field *fields)
{
    int saved_errno = errno; /* logging changes nothing that the caller looks at */
    char at[RFC3339_SIZE];
    struct json_writer w;
    GString *line;
    uint64_t suppressed = 0;

    if ((int)level > atomic_load(&log_level_now))
        return;
    if (!log_may_pass(fields[0].text, clock_monotonic_us(), &suppressed)) {
        errno = saved_errno; /* waiting for the lock may have set it */
        return;
    }
    line = g_string_sized_new(256);
    json_writer_init(&w, line);
    json_open_object(&w);
    json_put_text(&w, "timestamp", slice_of(at, rfc3339_format(clock_now_us(), at)));
    json_put_string(&w, "level", log_level_names[level]);
    for (const struct log_field *field = fields; field->key != NULL; field++)
        log_put_field(&w, field);
    if (suppressed > 0)
        json_put_integer(&w, "suppressed", (int64_t)suppressed);
    json_close_object(&w);
    g_string_append_c(line, '\n');
    log_emit(line->str, line->len);
    g_string_free(line, TRUE);
    errno = saved_errno;
}
