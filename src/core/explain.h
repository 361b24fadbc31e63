/* explain: why an event does not match a pattern, or how it does, in words.
 *
 *   pattern, event ──explain_pattern──▶ matches? by which branch? else the first condition that
 *                                       fails: path, what it wants, what is there, a sentence
 *
 * Of the branches of an $or the nearest one is explained: the one with the fewest conditions that
 * fail, of several the one written first. Within it the first condition in the order in which the
 * pattern is written.
 * What it guarantees: it says "matches" exactly when pattern_matches does. All texts are bounded:
 * long values are cut with "…", long lists end with how many more there are.
 * What it does not do: know campaigns, versions, or what was decided at some other time. Pure.
 */
#ifndef CORE_EXPLAIN_H
#define CORE_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/json.h"
#include "common/slice.h"
#include "core/flat.h"
#include "core/pattern.h"

/* One answer. Its texts live in the arena that was given, path in the pattern. */
struct explanation {
    bool matches;
    bool is_absent;        /* nothing stands at path */
    size_t way;            /* from 0: the branch that matches, or comes nearest */
    size_t way_count;      /* 1: the pattern has no $or */
    size_t conditions;     /* of that branch */
    size_t failing;        /* of these; 0 when it matches */
    struct slice path;     /* of the first condition that fails; empty when it matches */
    struct slice expected; /* JSON array of the alternatives; empty when it matches */
    struct slice actual;   /* JSON: the value, an array of several, null; empty when it matches */
    struct slice branch;   /* JSON array: what this branch alone asks for; empty without $or */
    size_t branch_more;    /* conditions of it that branch leaves out */
    struct slice text;     /* one sentence without a full stop */
};

/* Judges and explains. Costs a few times what pattern_matches does. Owns: texts live in the arena.
 * Threads: as pattern_matches. */
void explain_pattern(const struct pattern *p, const struct flat *event, struct arena *a,
                     struct explanation *out);

/* Writes the members of the open object: matches, text, conditions, failing, "reason" {path,
 * expected, actual, absent, text} or null, and with $or "branch" {number, count, conditions, and
 * more when some were left out}. */
void explain_write(struct json_writer *w, const struct explanation *e);

#endif
