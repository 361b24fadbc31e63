/* bench_match: what the parts of the matcher's benchmark share. */
#ifndef MATCH_BENCH_MATCH_H
#define MATCH_BENCH_MATCH_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "common/json.h"
#include "core/matcher/matcher.h"

#define BENCH_SETS_MAX  8
#define BENCH_RULES_MAX 32
#define BENCH_SAMPLE    1000 /* events that the builder is shown; none of those that are timed */

/* One run of the program. */
struct bench {
    double seconds; /* of each timed figure */
    uint64_t seed;
    uint32_t sets[BENCH_SETS_MAX]; /* of enum workload_set */
    size_t set_count;
    uint32_t rules[BENCH_RULES_MAX];
    size_t rule_count;
    struct json_writer json; /* the report, being written */
    bool has_failed;         /* an answer differed from the reference's */
};

/* Events in memory, one behind the other. */
struct bench_events {
    GString *bytes;
    struct slice *texts;
    size_t count;
};

/* A pattern that must be valid: the benchmark's own. Owned by caller. */
struct pattern *bench_parse(struct slice text);

/* Reads an event. false: the reader refuses it. */
bool bench_read(struct flat *flat, struct slice text);

/* Tells on stderr where matcher and reference differ, and remembers that they do. */
void bench_report_difference(struct bench *b, const char *where, size_t event, uint32_t place,
                             bool reference);

/* ---- the parts: each prints its table and appends members to the open object of the report ----
 */

void bench_sets_run(struct bench *b);
void bench_hurt_run(struct bench *b);

/* Writes events.ndjson and patterns.ndjson of the first set and number of rules, for other programs
 * to read. */
bool bench_sets_dump(const struct bench *b, const char *folder, GError **error);

#endif
