/* match_explain: one event's line of "eventflow match --explain".
 *
 *   {"matches":["a"],"not":[{"id":"b","path":…,"expected":…,"actual":…,"text":…}],"more":12}
 *
 * Says of the patterns that do not match why, in their order, up to a number of them; "more" counts
 * the others and is left out when there are none.
 */
#ifndef CLI_MATCH_EXPLAIN_H
#define CLI_MATCH_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "cli/match_patterns.h"
#include "common/arena.h"
#include "core/flat.h"

/* The answer for one event. */
struct match_answer {
    const struct flat *event;
    const uint32_t *places; /* of the patterns that match, ascending */
    size_t count;
};

/* Appends the object without a newline. patterns keeps its patterns; max: how many are explained;
 * scratch is reset. */
void match_explain_append(GString *out, const struct match_patterns *patterns,
                          const struct match_answer *answer, size_t max, struct arena *scratch);

#endif
