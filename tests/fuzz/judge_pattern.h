/* judge_pattern: a second answer to "does this event match this pattern?", for fuzz_evaluate.
 *
 *   text ──judge_document──▶ tree of another library ──judge_pattern──▶ verdict
 *                                                        └─▶ judge_value: one alternative, one leaf
 *
 * Written from the description of the pattern language alone: it walks trees, tries every choice
 * of leaves, reads every operand anew for every leaf, and shares no code with the evaluator.
 */
#ifndef FUZZ_JUDGE_PATTERN_H
#define FUZZ_JUDGE_PATTERN_H

#include <stdbool.h>

#include "common/slice.h"

enum judge_answer {
    JUDGE_BAD_PATTERN, /* no JSON, or no pattern */
    JUDGE_BAD_EVENT,   /* the pattern is good, the event no JSON */
    JUDGE_NO_MATCH,
    JUDGE_MATCH,
    JUDGE_GIVES_UP, /* too many choices, or a text that the other library cannot hold */
};

/* "bad pattern", "match"…: for the report of a finding. */
const char *judge_answer_name(enum judge_answer answer);

enum judge_answer judge_pattern(struct slice pattern, struct slice event);

#endif
