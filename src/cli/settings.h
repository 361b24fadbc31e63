/* settings: every setting of the program, in one table.
 *
 * The table gives the flags, the EVENTFLOW_… variables, --help, config/.env.example,
 * docs/settings.md and `eventflow config`. Units stand in the member names.
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "common/config.h"

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
};

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
