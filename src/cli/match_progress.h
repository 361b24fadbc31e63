/* match_progress: how far "eventflow match" is, one line on a terminal.
 *
 *   [############..................]  41 %  410233 events, 205116/s
 *
 * Not where standard output goes to a terminal as well: there the answers show how far it is.
 */
#ifndef CLI_MATCH_PROGRESS_H
#define CLI_MATCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/match_input.h"

/* One thread. */
struct match_progress {
    bool is_shown;
    bool has_line;      /* one stands on the terminal */
    const char *what;   /* "events"; static text */
    int64_t started_us; /* monotonic, as drawn_us */
    int64_t drawn_us;
};

void match_progress_init(struct match_progress *p);

/* From here on the work is another; borrowed: what is counted. */
void match_progress_begin(struct match_progress *p, const char *what);

/* count: done so far, of what. Cheap, and drawn a few times a second. */
void match_progress_note(struct match_progress *p, const struct match_input *in, uint64_t count);

/* Wipes the line: before anything else is printed, and at the end. */
void match_progress_clear(struct match_progress *p);

#endif
