#include "cli/settings.h"

#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#define AT(member) offsetof(struct settings, member)
#define KIB        INT64_C(1024)
#define MIB        (1024 * KIB)
#define GIB        (1024 * MIB)
#define HOUR_MS    (INT64_C(3600) * 1000)

const struct config_setting SETTINGS[] = {
    {"listen", CONFIG_ADDRESS, "127.0.0.1:8080", "where the API listens", 0, 0, NULL, AT(listen),
     false},
    {"metrics-listen", CONFIG_ADDRESS, "127.0.0.1:9091",
     "where /metrics and /health listen a second time", 0, 0, NULL, AT(metrics_listen), false},
    {"data", CONFIG_TEXT, "./data", "the folder that holds queue.db and eventflow.db", 0, 0, NULL,
     AT(data), false},
    {"allow-open", CONFIG_BOOL, "false",
     "permit listening on other than loopback addresses, without access control", 0, 0, NULL,
     AT(allow_open), false},
    {"examples", CONFIG_BOOL, "false", "load three example campaigns when the data folder is new",
     0, 0, NULL, AT(examples), false},
    {"log-level", CONFIG_CHOICE, "info", "the least important log lines that are written", 0, 0,
     "error|warn|info|debug", AT(log_level), false},
    {"loops", CONFIG_INTEGER, "2", "threads that own connections", 1, 64, NULL, AT(loops), false},
    {"executors", CONFIG_INTEGER, "2", "threads that answer look-ups and campaign changes", 1, 64,
     NULL, AT(executors), false},
    {"executor-queue-max", CONFIG_INTEGER, "256",
     "look-ups that may wait for a thread; beyond it 503", 1, 100000, NULL, AT(executor_queue_max),
     false},
    {"connections-max", CONFIG_INTEGER, "16000", "open connections; beyond it 503", 1, 1000000,
     NULL, AT(connections_max), false},
    {"connections-per-ip-max", CONFIG_INTEGER, "16000", "open connections of one address", 1,
     1000000, NULL, AT(connections_per_ip_max), false},
    {"body-max", CONFIG_SIZE, "1MiB", "size of a request's body; beyond it 413", KIB, 64 * MIB,
     NULL, AT(body_max), false},
    {"events-max", CONFIG_INTEGER, "1000", "events in one request; beyond it 413", 1, 100000, NULL,
     AT(events_max), false},
    {"head-timeout", CONFIG_DURATION, "10s", "time for a whole request head", 10, HOUR_MS, NULL,
     AT(head_timeout_ms), false},
    {"body-timeout", CONFIG_DURATION, "30s", "time for a whole request body", 10, HOUR_MS, NULL,
     AT(body_timeout_ms), false},
    {"idle-timeout", CONFIG_DURATION, "75s", "time a connection may wait for its next request", 10,
     HOUR_MS, NULL, AT(idle_timeout_ms), false},
    {"write-timeout", CONFIG_DURATION, "30s", "time for a client to read an answer", 10, HOUR_MS,
     NULL, AT(write_timeout_ms), false},
    {"drain-timeout", CONFIG_DURATION, "15s", "time for requests in flight after SIGTERM", 10,
     HOUR_MS, NULL, AT(drain_timeout_ms), false},
    {"batch-max", CONFIG_INTEGER, "1024", "events written in one commit of the queue", 1, 65536,
     NULL, AT(batch_max), false},
    {"inflight-max", CONFIG_INTEGER, "0",
     "events received but not yet durable; beyond it 503; 0 = as many as an eighth of the memory "
     "there is holds (1 KiB each), at most 65536",
     0, 10000000, NULL, AT(inflight_max), false},
    {"inflight-bytes-max", CONFIG_SIZE, "0",
     "the same in bytes of event bodies; 0 = an eighth of the memory there is (a container's limit "
     "counts), at most 32MiB",
     0, 64 * GIB, NULL, AT(inflight_bytes_max), false},
    {"queue-depth-max", CONFIG_INTEGER, "0",
     "events that may wait for the worker; beyond it 503; 0 = as many as a sixteenth of the memory "
     "there is holds (64 bytes each), at most 1000000",
     0, INT64_C(1000000000), NULL, AT(queue_depth_max), false},
    {"worker-batch-max", CONFIG_INTEGER, "1024", "events processed in one transaction", 1, 8192,
     NULL, AT(worker_batch_max), false},
    {"worker-pace", CONFIG_DURATION, "4ms",
     "time from the beginning of one transaction to the next, unless it was full; 0 = at once", 0,
     10000, NULL, AT(worker_pace_ms), false},
    {"attempts-max", CONFIG_INTEGER, "3", "attempts before an event goes to failed_events", 1, 100,
     NULL, AT(attempts_max), false},
    {"retry-backoff", CONFIG_DURATION, "1s", "wait before the second attempt; doubles each time", 1,
     HOUR_MS, NULL, AT(retry_backoff_ms), false},
    {"dedupe-memory-max", CONFIG_SIZE, "0",
     "memory of the index that recognises duplicates; beyond it an index on disk is used; 0 = an "
     "eighth of the memory there is (a container's limit counts), at most 1GiB",
     0, 1024 * GIB, NULL, AT(dedupe_memory_max), false},
    {"matcher-memory-max", CONFIG_SIZE, "0",
     "memory of the active campaigns' index; changes beside it, and the first index after a start, "
     "may take half as much again; changes beyond that are not put in force; while a new index is "
     "built it takes up to three times as much in all, about four where it is refused; 0 = an eighth of the memory there is (a "
     "container's limit counts), at most 1GiB",
     0, 1024 * GIB, NULL, AT(matcher_memory_max), false},
    SETTINGS_PATTERN_ROWS(struct settings),
};

const size_t SETTING_COUNT = G_N_ELEMENTS(SETTINGS);

struct pattern_limits settings_pattern_limits(const struct pattern_settings *settings)
{
    return (struct pattern_limits){
        .text_max = (size_t)settings->text_max,
        .values_max = (size_t)settings->values_max,
        .depth_max = (size_t)settings->depth_max,
        .conjunctions_max = (size_t)settings->conjunctions_max,
        .stars_max = (size_t)settings->stars_max,
    };
}

void settings_read(struct settings *s, int argc, const char *const *argv, GPtrArray *errors)
{
    *s = (struct settings){0};
    config_load(SETTINGS, SETTING_COUNT, s, (const char *const *)environ, argc, argv, NULL, errors);
}

bool settings_report(const GPtrArray *errors)
{
    for (guint i = 0; i < errors->len; i++)
        fprintf(stderr, "eventflow: %s\n", (const char *)g_ptr_array_index(errors, i));
    if (errors->len > 0)
        fprintf(stderr,
                "eventflow: %u problem%s with the configuration, nothing was started; "
                "'eventflow serve --help' lists all settings\n",
                errors->len, errors->len == 1 ? "" : "s");
    return errors->len == 0;
}

bool settings_load(struct settings *s, int argc, const char *const *argv)
{
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

    settings_read(s, argc, argv, errors);
    if (settings_report(errors))
        return true;
    settings_done(s);
    return false;
}

void settings_done(struct settings *s)
{
    config_done(SETTINGS, SETTING_COUNT, s);
}

void settings_print_help(void)
{
    printf("Settings (flag, or environment variable; also VARIABLE_FILE with a file's name):\n");
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        g_autofree char *variable = config_variable(&SETTINGS[i]);

        printf("  --%-24s %s\n  %26s %s, default %s\n", SETTINGS[i].name, SETTINGS[i].help, "",
               variable, SETTINGS[i].fallback);
    }
}
