/* pattern: the pattern language of Amazon EventBridge: parse, check, evaluate ONE pattern.
 *
 * This evaluator is the reference: the indexed matcher must agree with it, and explain uses it.
 * A pattern's answer depends on the pattern and the event only, never on other patterns.
 * Exact semantics: docs/patterns.md.
 */
#ifndef CORE_PATTERN_H
#define CORE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/slice.h"
#include "core/flat.h"
#include "core/problem.h"

struct pattern_limits {
    size_t text_max;         /* bytes of pattern text */
    size_t values_max;       /* leaf values */
    size_t depth_max;        /* nesting of objects */
    size_t conjunctions_max; /* after multiplying out $or */
    size_t stars_max;        /* '*' in one wildcard */
};

/* 64 KiB, 500, 32, 1000, 16. */
extern const struct pattern_limits PATTERN_LIMITS;

/* The highest that each limit may be set to. The JSON reader bounds the nesting (JSON_DEPTH_MAX);
 * fields times fields times conjunctions is what a pattern costs to be read: here some seconds. */
#define PATTERN_TEXT_MOST         (256 * 1024)
#define PATTERN_VALUES_MOST       2000
#define PATTERN_DEPTH_MOST        60
#define PATTERN_CONJUNCTIONS_MOST 2000
#define PATTERN_STARS_MOST        64

/* Immutable after parse; any number of threads. */
struct pattern;

/* Parses and checks. pointer is the JSON Pointer under which the pattern stands in its document
 * ("#" for a pattern alone, "#/rules"): problems are reported below it. NULL when there is any.
 * Bad JSON is one problem with line and column. text need not outlive the pattern. */
struct pattern *pattern_parse(struct slice text, const struct pattern_limits *limits,
                              const char *pointer, struct problems *problems);

void pattern_free(struct pattern *p);

/* Whether the event matches. Pure; allocates nothing in the common case (up to 64 fields, and up to
 * 16 fields and 128 leaves when arrays have to be searched).
 * Threads: any number at once on one pattern; each needs its own event. */
bool pattern_matches(const struct pattern *p, const struct flat *event);

/* The ways through the pattern ($or multiplied out): any one of them suffices. At least one. */
size_t pattern_way_count(const struct pattern *p);

/* The field paths the pattern names (each once), for checks of root names and for indexes. */
size_t pattern_path_count(const struct pattern *p);
struct slice pattern_path(const struct pattern *p, size_t i);

#endif
