/* explain_internal: what the files of core/explain share; nobody else includes this.
 *
 *   explain.c           which branch, which condition
 *   explain_text.c      the sentence about one condition
 *   pattern_explain.c   a compiled condition as JSON again
 */
#ifndef CORE_EXPLAIN_INTERNAL_H
#define CORE_EXPLAIN_INTERNAL_H

#include <glib.h>

#include "core/explain.h"
#include "core/pattern_internal.h"

/* What is shown of a text from outside, and of a list. */
#define EXPLAIN_TEXT_MAX 80 /* bytes */
#define EXPLAIN_LIST_MAX 20 /* alternatives or values, in JSON */

/* ---- pattern_explain.c ----------------------------------------------------------------------- */

/* One bound of a numeric range as it was written. sign NULL: there is none. */
struct explain_bound {
    const char *sign; /* "<", "<=", ">", ">=", "=" */
    double value;
};

/* The bounds of a NUMBER_RANGE test. "=" stands in *lower alone. */
void explain_bounds(const struct pattern_number_test *test, struct explain_bound *lower,
                    struct explain_bound *upper);

/* Appends a number in its shortest form. */
void explain_append_number(GString *out, double value);

/* Appends an address, with "/bits" when it is a network. IPv6 as RFC 5952 has it. */
void explain_append_network(GString *out, const struct pattern_network *network);

/* Appends a wildcard as it was written, with its stars and escapes. */
void explain_append_wildcard(GString *out, const struct pattern_text_test *test);

/* Whether the field wants nothing but presence: {"exists": true}. */
bool explain_wants_presence(const struct pattern_field *field);

/* The bits of null, true and false that stand among the alternatives by themselves. */
uint8_t explain_words(const struct pattern_field *field);

/* Appends the field's alternatives as a JSON array. Their order is that of the compiled form. */
void explain_append_expected(GString *out, const struct pattern_field *field);

/* ---- explain_text.c -------------------------------------------------------------------------- */

/* The value of the leaf as JSON, cut when it is long: a number that was cut becomes a string. */
void explain_append_value(GString *out, const struct flat_leaf *leaf);

/* A path for a sentence, cut when it is long. */
void explain_append_path(GString *out, struct slice path);

/* Text in quotes with JSON's escapes, cut when it is long. */
void explain_append_quoted(GString *out, struct slice text);

/* The sentence about a field that fails by itself, wherever its leaves lie. */
void explain_append_failure(GString *out, const struct pattern_field *field,
                            const struct flat *event);

/* The next leaf of the same path, NULL at the end. */
static inline const struct flat_leaf *explain_next(const struct flat *event,
                                                   const struct flat_leaf *leaf)
{
    return leaf->next < 0 ? NULL : &event->leaves[leaf->next];
}

#endif
