/* workload: made-up events of a shop and the campaigns' patterns for them, to time the matcher.
 *
 *   set, rules, seed ──▶ workload ──number──▶ an event, as bytes
 *                                 └─number──▶ a pattern, as bytes
 *
 * Events and patterns are pure functions of their number: the same seed gives the same bytes, and a
 * million patterns need no memory. The attributes of an event are independent of each other and
 * their distributions known, so a pattern can be made for a wanted share of events: in every set
 * the patterns together match about WORKLOAD_MATCHES times an event, however many there are.
 * The more rules, the more goods and customers, and the narrower the ranges.
 * What it does not do: look at the answers (bench_match.c does).
 */
#ifndef MATCH_WORKLOAD_H
#define MATCH_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#define WORKLOAD_MATCHES    2.0 /* an event, on average; less where there are one or two rules */
#define WORKLOAD_RULES_MAX  2000000 /* patterns; what the numbers of goods suffice for */
#define WORKLOAD_EVENT_MIN  300     /* bytes of an event of a shop */
#define WORKLOAD_EVENT_MAX  600     /* bytes */
#define WORKLOAD_FIVE_SIZE  955     /* bytes of an event of the set "five", all of them */
#define WORKLOAD_FIVE_RULES 5

enum workload_set {
    WORKLOAD_MIX,   /* 1 to 4 conditions of all kinds */
    WORKLOAD_NONUM, /* the same without numbers */
    WORKLOAD_HARD,  /* no telling equality: ranges, anything-but, one letter, exists, tags */
    WORKLOAD_FLAT,  /* all patterns name the same two fields, exact values */
    WORKLOAD_FIVE,  /* 5 exact patterns; larger events of which they name little */
    WORKLOAD_SETS,
};

struct workload_options {
    enum workload_set set;
    uint32_t rules; /* 1 to WORKLOAD_RULES_MAX; "five" has always five */
    uint64_t seed;
};

/* Immutable after new: any number of threads. */
struct workload;

/* "mix", "nonum", "hard", "flat", "five"; and back, false for any other word. */
const char *workload_set_name(enum workload_set set);
bool workload_set_parse(const char *name, enum workload_set *set);

struct workload *workload_new(const struct workload_options *options);
void workload_free(struct workload *w); /* accepts NULL */

/* How many patterns there are: options.rules, but for "five". */
uint32_t workload_rules(const struct workload *w);

/* Appends one event, or one pattern (number below workload_rules), to out. */
void workload_write_event(const struct workload *w, uint64_t number, GString *out);
void workload_write_pattern(const struct workload *w, uint32_t number, GString *out);

#endif
