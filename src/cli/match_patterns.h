/* match_patterns: the patterns of "eventflow match": {"id":…,"pattern":{…}} a line.
 *
 *   lines ──▶ ids, as written ──▶ the arrays that are printed
 *        └──▶ patterns ──▶ matcher_builder
 *
 * The whole file is read and every line that is wrong is named, not only the first.
 */
#ifndef CLI_MATCH_PATTERNS_H
#define CLI_MATCH_PATTERNS_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "cli/match_input.h"
#include "cli/match_progress.h"
#include "common/arena.h"
#include "core/matcher/matcher.h"
#include "core/pattern.h"

#define MATCH_PATTERNS_REST_MAX (64 * 1024) /* bytes of a line besides its pattern */

/* One thread. Places are those of the builder: the order of the lines. */
struct match_patterns {
    GArray *ids;        /* struct slice: a string or a number, as JSON */
    GPtrArray *kept;    /* struct pattern; NULL unless asked for */
    struct arena arena; /* the ids */
    int64_t add_us;     /* spent in the builder */
};

/* keeps: the patterns themselves stay, for explaining. */
void match_patterns_init(struct match_patterns *p, bool keeps);
void match_patterns_done(struct match_patterns *p); /* accepts a struct of zeros */

/* Adds all patterns of the input to the builder. false: everything that is wrong has been printed
 * to standard error behind "eventflow match: ", as far as it is not endless; error says how many
 * lines are wrong (INPUT), or what reading came to. */
bool match_patterns_read(struct match_patterns *p, struct match_input *in,
                         const struct pattern_limits *limits, struct matcher_builder *builder,
                         struct match_progress *progress, GError **error);

#endif
