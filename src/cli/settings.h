/* settings: every setting of the program, in one table.
 *
 * The table gives the flags, the EVENTFLOW_… variables, --help, config/.env.example,
 * docs/settings.md and `eventflow config`. Units stand in the member names.
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "common/config.h"
#include "core/pattern.h"

/* How large a pattern may be. */
struct pattern_settings {
    int64_t text_max; /* bytes */
    int64_t values_max;
    int64_t depth_max;
    int64_t conjunctions_max;
    int64_t stars_max;
};

/* Immutable after settings_load. */
struct settings {
    char *listen;
    char *metrics_listen;
    char *data;
    bool allow_open;
    bool examples;
    char *log_level;
    int64_t loops;
    int64_t executors;
    int64_t executor_queue_max;
    int64_t connections_max;
    int64_t connections_per_ip_max;
    int64_t body_max;
    int64_t events_max;
    int64_t head_timeout_ms;
    int64_t body_timeout_ms;
    int64_t idle_timeout_ms;
    int64_t write_timeout_ms;
    int64_t drain_timeout_ms;
    int64_t batch_max;
    int64_t inflight_max;
    int64_t inflight_bytes_max;
    int64_t queue_depth_max;
    int64_t worker_batch_max;
    int64_t worker_pace_ms;
    int64_t attempts_max;
    int64_t retry_backoff_ms;
    int64_t dedupe_memory_max;
    int64_t matcher_memory_max;
    struct pattern_settings pattern;
};

/* One of the rows below. owner has a struct pattern_settings called pattern. */
#define SETTINGS_PATTERN_ROW(owner, flag, kind, value, text, least, most, member)                  \
    {                                                                                              \
        .name = (flag), .type = (kind), .fallback = (value), .help = (text), .min = (least),       \
        .max = (most),                                                                             \
        .offset = offsetof(owner, pattern) + offsetof(struct pattern_settings, member)             \
    }

/* The rows of the limits of patterns, the same in every table that has them. The defaults are
 * PATTERN_LIMITS. */
#define SETTINGS_PATTERN_ROWS(owner)                                                               \
    SETTINGS_PATTERN_ROW(owner, "pattern-text-max", CONFIG_SIZE, "64KiB", "size of one pattern",   \
                         1024, PATTERN_TEXT_MOST, text_max),                                       \
        SETTINGS_PATTERN_ROW(owner, "pattern-values-max", CONFIG_INTEGER, "500",                   \
                             "values in one pattern, members of lists included", 1,                \
                             PATTERN_VALUES_MOST, values_max),                                     \
        SETTINGS_PATTERN_ROW(owner, "pattern-depth-max", CONFIG_INTEGER, "32",                     \
                             "objects inside each other in one pattern", 1, PATTERN_DEPTH_MOST,    \
                             depth_max),                                                           \
        SETTINGS_PATTERN_ROW(owner, "pattern-conjunctions-max", CONFIG_INTEGER, "1000",            \
                             "combinations of the $or branches of one pattern", 1,                 \
                             PATTERN_CONJUNCTIONS_MOST, conjunctions_max),                         \
        SETTINGS_PATTERN_ROW(owner, "pattern-stars-max", CONFIG_INTEGER, "16",                     \
                             "stars in one wildcard", 1, PATTERN_STARS_MOST, stars_max)

/* In the form that patterns are read with. */
struct pattern_limits settings_pattern_limits(const struct pattern_settings *settings);

extern const struct config_setting SETTINGS[];
extern const size_t SETTING_COUNT;

/* Loads from environment and arguments. Every mistake is appended to errors (char *); what could be
 * read is filled in all the same. Arguments that are no flags are mistakes. */
void settings_read(struct settings *s, int argc, const char *const *argv, GPtrArray *errors);

/* Prints the errors to standard error. true when there are none. */
bool settings_report(const GPtrArray *errors);

/* Both in one, for commands that check nothing more. false: reported, s is empty; exit with
 * EXIT_CODE_CONFIG. */
bool settings_load(struct settings *s, int argc, const char *const *argv);
void settings_done(struct settings *s);

/* The table as text for people: "  --listen HOST:PORT …", one setting a paragraph. */
void settings_print_help(void);

#endif
