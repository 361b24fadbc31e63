/* match_events: the events of "eventflow match": one line in, one line out.
 *
 *   lines ──block──▶ parse + find (timed) ──▶ places ──▶ ["a","b"] ──▶ standard output
 *
 * A block is what is in memory already, so the time of reading and writing stays out of the
 * figures, and memory does not grow with the input. The first events are the sample that the index
 * is made with. Output waits until there is much of it, or until the input makes us wait: a program
 * that sends an event and waits for the answer gets it.
 */
#ifndef CLI_MATCH_EVENTS_H
#define CLI_MATCH_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "cli/match_input.h"
#include "cli/match_patterns.h"
#include "cli/match_progress.h"
#include "core/flat.h"
#include "core/matcher/matcher.h"

/* One run. One thread. The caller fills in the first part, all of it borrowed. */
struct match_events {
    struct match_input *in;
    const struct match_patterns *patterns;
    struct match_progress *progress;
    bool is_trusted;    /* the events are, see matcher_find_trusted; not with explains */
    bool explains;      /* patterns has kept its patterns */
    size_t explain_max; /* patterns an event */
    /* figures */
    uint64_t count;   /* events answered */
    int64_t build_us; /* for the index */
    int64_t match_us; /* to parse and to match */
    /* private */
    struct matcher *matcher;
    struct matcher_run *run;
    struct flat flat;
    GArray *lines;        /* struct line: the block */
    GArray *places;       /* uint32_t, of all events of a round */
    size_t *ends;         /* one an event of the round: where its places end */
    size_t found;         /* events of the round */
    GString *output;      /* not yet written */
    struct arena scratch; /* of one explanation */
    bool is_at_end;
};

/* All events; builder has the patterns and is empty afterwards. false: error is set. What belongs
 * to the lines before the one that is wrong has been written.
 * Errors: EF_ERROR_INPUT "FILE: line N: why"; of G_FILE_ERROR when reading or writing failed. */
bool match_events_run(struct match_events *e, struct matcher_builder *builder, GError **error);

#endif
