/* grammar_set: from any bytes to a SET of patterns, and events, which share their vocabulary.
 *
 *   choices ──▶ texts, numbers, addresses ──▶ fields, each with a few of them ──▶ patterns
 *                                                └──────── what they wait for ──────▶ events
 *
 * What it is for: an index goes wrong where many patterns ask nearly the same. So there are few
 * fields, each is asked about a small range of values, and the values are made of one another (a
 * prefix, the other case, the next double, another spelling). An event gives some patterns what
 * they wait for, and the rest at random.
 */
#ifndef FUZZ_GRAMMAR_SET_H
#define FUZZ_GRAMMAR_SET_H

#include <stdint.h>

#include <glib.h>

#include "common/slice.h"

/* How much is wanted. */
struct grammar_plan {
    unsigned patterns;
    unsigned events;
    unsigned fields; /* 1 to GRAMMAR_FIELDS_MAX */
    unsigned values; /* of each kind in the vocabulary, 1 at least */
    uint64_t seed;   /* makes the choices behind the last byte; 0: they are all 0 */
};

#define GRAMMAR_FIELDS_MAX 64

/* Nearly always good patterns and good JSON. Appends texts (char *), owned by the arrays. */
void grammar_set_derive(struct slice choices, const struct grammar_plan *plan, GPtrArray *patterns,
                        GPtrArray *events);

#endif
