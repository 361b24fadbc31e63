/* matcher: which of many patterns match an event, in the time of a few.
 *
 *   patterns ──matcher_builder──▶ matcher (immutable) ──matcher_find──▶ places, in order
 *                                    ▲ events, one flat each
 *
 * The reference evaluator (core/pattern.h) looks at every pattern; this one files every pattern
 * under its most telling condition and looks at the few that an event could match.
 * What it guarantees: the same answers as pattern_matches, pattern by pattern: what it says of one
 * never depends on the others, nor on their order. What it does not do: read text (core/flat.h),
 * know campaigns (core/campaign.h), change: a new set is a new matcher. Pure.
 */
#ifndef CORE_MATCHER_MATCHER_H
#define CORE_MATCHER_MATCHER_H

#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "core/flat.h"
#include "core/pattern.h"

/* The index of a set of patterns. Immutable: any number of threads. Owns all it needs. */
struct matcher;

/* A set that is being put together. One thread. */
struct matcher_builder;

/* What one thread needs to look for matches: memory that is used again from event to event, for any
 * matcher. One thread at a time. */
struct matcher_run;

#define MATCHER_SAMPLE_MAX 1000 /* events that are remembered as a sample; more change little */

struct matcher_builder *matcher_builder_new(void);
void matcher_builder_free(struct matcher_builder *b); /* accepts NULL */

/* Adds a pattern, borrowed for the call. Returns its place: 0, 1, 2 … */
uint32_t matcher_builder_add(struct matcher_builder *b, const struct pattern *pattern);

/* An event as they come, by which conditions are judged: rare ones make good entries. Never changes
 * an answer, only its time. Copied; documents that cannot be read, or beyond MATCHER_SAMPLE_MAX,
 * are left out. */
void matcher_builder_sample(struct matcher_builder *b, struct slice document);

/* The least that the index of what was added takes, so that who gathers too much can end early:
 * what is handed over as it is, with the bytes of texts. The lists that lead to it come on top, and
 * so may some of what was added last. */
size_t matcher_builder_bytes(const struct matcher_builder *b);

/* The index of what was added. The builder is empty afterwards and still to be freed. memory_max:
 * bytes that the index may take, 0: no limit.
 * Errors: EF_ERROR_FULL: it would take more. */
struct matcher *matcher_builder_finish(struct matcher_builder *b, size_t memory_max,
                                       GError **error);

void matcher_free(struct matcher *m); /* accepts NULL */

/* What the index is made of; for metrics and for people who tune. */
struct matcher_figures {
    size_t patterns;
    size_t nodes;  /* lists of patterns, and of further conditions */
    size_t copies; /* entries in all lists; one pattern may stand in several */
    size_t bytes;  /* of memory that the index takes */
};

void matcher_get_figures(const struct matcher *m, struct matcher_figures *out);

struct matcher_run *matcher_run_new(void);
void matcher_run_free(struct matcher_run *run); /* accepts NULL */

/* The places of all patterns that match the event, in ascending order, each once. *places is
 * borrowed from run until its next use. Returns how many. Pure apart from run. */
size_t matcher_find(const struct matcher *m, struct matcher_run *run, const struct flat *event,
                    const uint32_t **places);

/* The same from the text of an event, for events that your own program wrote: what no pattern names
 * is skipped, and reading stops when all names that are asked for were seen. The text is known to
 * be ONE valid JSON object, UTF-8, at most JSON_DEPTH_MAX deep, in which no object names a member
 * twice; a dotted name is the nested path it stands for, so {"a":{"b":1},"a.c":2} names a twice.
 * For any other text the answer may be anything, but memory is safe and an end comes. */
size_t matcher_find_trusted(const struct matcher *m, struct matcher_run *run, struct slice text,
                            const uint32_t **places);

/* How many patterns the last matcher_find had to look at, for metrics. */
size_t matcher_run_candidates(const struct matcher_run *run);

#endif
