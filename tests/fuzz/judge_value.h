/* judge_value: one alternative of a pattern, against one leaf of an event. */
#ifndef FUZZ_JUDGE_VALUE_H
#define FUZZ_JUDGE_VALUE_H

#include "judge_document.h"

/* Whether it may stand in an array of alternatives. Adds to *count what the limit counts. */
bool judge_value_is_valid(json_t *alternative, size_t *count);

bool judge_value_accepts(json_t *alternative, const json_t *leaf);

/* Whether it is exists:false. */
bool judge_value_allows_absence(json_t *alternative);

/* Whether the name may not be used for a field inside "$or". */
bool judge_value_is_reserved(const char *name);

#endif
