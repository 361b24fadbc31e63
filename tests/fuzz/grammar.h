/* grammar: from any bytes to a pattern and an event that have much to do with each other.
 *
 * Each byte is one choice: a name of a few, an operator, how many members. Values come from short
 * lists full of known traps, or are made of further bytes; and the event repeats texts and numbers
 * that the pattern named, as they are or a little changed. Bytes that are missing count as 0, which
 * is always the choice that ends something.
 */
#ifndef FUZZ_GRAMMAR_H
#define FUZZ_GRAMMAR_H

#include <glib.h>

#include "common/slice.h"

/* Nearly always a good pattern and good JSON. Both are appended. */
void grammar_derive(struct slice choices, GString *pattern, GString *event);

/* The lists of traps, for grammar_set: the content of a string, escaped, and a number. Any i. */
const char *grammar_text(unsigned i);
const char *grammar_number(unsigned i);

#endif
