/* log: one JSON object a line on standard error: timestamp, level, message, then the fields.
 *
 *   log_warn(LOG_MSG("commit is slow, carrying on"), LOG_INT("commit_ms", ms));
 *
 * error = someone must act; warn = we carried on; info = life-cycle; debug. The same message more
 * than LOG_REPEAT_MAX times within LOG_REPEAT_WINDOW_MS is held back and counted: the next line
 * of that message that passes carries "suppressed":n. (Of 256 messages at once; beyond that the
 * one watched longest is forgotten.) Never put a payload or a secret into a field.
 * Threads: any; a line is written with one write(2).
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

#define LOG_REPEAT_MAX       10
#define LOG_REPEAT_WINDOW_MS 10000

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* One key with a value. Texts are borrowed for the call. */
struct log_field {
    const char *key; /* NULL ends the list */
    enum { LOG_FIELD_TEXT, LOG_FIELD_INTEGER, LOG_FIELD_NUMBER } type;
    struct slice text;
    int64_t integer;
    double number;
};

#define LOG_TEXT(k, s)   ((struct log_field){.key = (k), .type = LOG_FIELD_TEXT, .text = (s)})
#define LOG_STRING(k, z) LOG_TEXT((k), slice_text(z))
#define LOG_INT(k, i)    ((struct log_field){.key = (k), .type = LOG_FIELD_INTEGER, .integer = (i)})
#define LOG_NUMBER(k, d) ((struct log_field){.key = (k), .type = LOG_FIELD_NUMBER, .number = (d)})
#define LOG_MSG(z)       LOG_STRING("message", (z)) /* first field of every call */

#define log_error(...) log_write(LOG_LEVEL_ERROR, (const struct log_field[]){__VA_ARGS__, {0}})
#define log_warn(...)  log_write(LOG_LEVEL_WARN, (const struct log_field[]){__VA_ARGS__, {0}})
#define log_info(...)  log_write(LOG_LEVEL_INFO, (const struct log_field[]){__VA_ARGS__, {0}})
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, (const struct log_field[]){__VA_ARGS__, {0}})

/* Lines above this level are not written. Default info. */
void log_set_level(enum log_level level);

/* "error", "warn", "info", "debug"; false for anything else. */
bool log_level_parse(struct slice name, enum log_level *level);

/* Where lines go (default 2, standard error). For tests. */
void log_set_fd(int fd);

/* The window of the repeat limit (default LOG_REPEAT_WINDOW_MS). For tests: 0 lets all lines pass.
 */
void log_set_repeat_window_ms(int64_t window_ms);

/* Behind the macros above. fields[0] is the message; the list ends with a NULL key. Keeps errno. */
void log_write(enum log_level level, const struct log_field *fields);

#endif
