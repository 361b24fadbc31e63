/* config: one table of settings gives flags, environment, files, --help, .env example and docs.
 *
 * A setting named "queue-depth-max" is the flag --queue-depth-max (or --queue-depth-max=N), the
 * variable EVENTFLOW_QUEUE_DEPTH_MAX, and EVENTFLOW_QUEUE_DEPTH_MAX_FILE (a file with the value,
 * for secrets). Flags win over the environment, the environment over the default.
 * Every unknown EVENTFLOW_… variable and every unknown flag is an error, named with the nearest
 * valid one; all errors are collected, not just the first.
 */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

enum config_type {
    CONFIG_TEXT,     /* char *, owned by the settings struct */
    CONFIG_BOOL,     /* bool; true/false/1/0/yes/no; as a flag, --name alone means true */
    CONFIG_INTEGER,  /* int64_t within [min, max] */
    CONFIG_SIZE,     /* int64_t bytes; suffix KiB, MiB, GiB (or k, m, g) */
    CONFIG_DURATION, /* int64_t milliseconds; suffix ms, s, m, h, d is required, except for 0 */
    CONFIG_ADDRESS,  /* char * "host:port", "[v6]:port"; syntax checked, not resolved; "" = off
                      * when the default is "" */
    CONFIG_CHOICE,   /* char *, one of choices ("a|b|c") */
};

/* One row of the table. Tables are const and outlive what is loaded from them. */
struct config_setting {
    const char *name; /* lower case, words joined by '-' */
    enum config_type type;
    const char *fallback; /* the default, as a user would write it; NULL: zero, false or "" */
    const char *help;     /* one sentence */
    int64_t min, max;     /* for the number types; both 0 = no bounds but >= 0 */
    const char *choices;  /* CONFIG_CHOICE only */
    size_t offset;        /* of the member in the settings struct */
    bool is_secret;       /* shown as "(set)" */
};

/* Fills settings from defaults, environment (environ-style array, NULL for none) and argv, in that
 * order of weakness; every given value is checked, also one that a stronger source replaces. argv
 * holds the arguments alone (no program name). Arguments that are no flags are appended to operands
 * (char *, borrowed from argv; operands NULL: they are errors). "--" ends the flags, "-" alone is
 * an operand; a flag given twice: the last one counts. errors gets one g_strdup'ed line per
 * problem; true when there is none.
 * Owns: text members are g_strdup'ed, never NULL afterwards; free with config_done (also after
 * false). settings comes in zeroed. */
bool config_load(const struct config_setting *table, size_t count, void *settings,
                 const char *const *environment, int argc, const char *const *argv,
                 GPtrArray *operands, GPtrArray *errors);

/* Frees the text members. */
void config_done(const struct config_setting *table, size_t count, void *settings);

/* The value as the user would write it; secrets as "(set)" or "". Owned by caller. */
char *config_show(const struct config_setting *setting, const void *settings);

/* The type and bounds for help texts, e.g. "a size from 1KiB to 1GiB". Owned by caller. */
char *config_valid(const struct config_setting *setting);

/* EVENTFLOW_… name of a setting. Owned by caller. */
char *config_variable(const struct config_setting *setting);

/* The candidate nearest to name by edit distance, NULL when none is near enough to be meant. */
const char *config_nearest(const char *name, const char *const *candidates, size_t count);

#endif
