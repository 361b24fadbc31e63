/* send_line: makes a line of a file into an event that can be sent twice without harm.
 *
 * An event without an "event_id" gets one from the content of its line, so that sending the same
 * file again is recognised as the same events. Two identical lines without an id are therefore one
 * event. Pure.
 */
#ifndef CLI_SEND_LINE_H
#define CLI_SEND_LINE_H

#include <stdbool.h>

#include <glib.h>

#include "common/hash.h"
#include "common/slice.h"
#include "core/flat.h"

#define SEND_LINE_ID_PREFIX "line-" /* then the 32 hex digits of hash128(line) */

struct send_line {
    bool has_made_id;          /* an id was added */
    struct hash_digest digest; /* of the line, when has_made_id */
};

/* Checks the line (trimmed, not empty) and appends it to out, with an id right behind its opening
 * brace when it has none. false: it is no JSON object; out is unchanged. An "event_id" of any type
 * counts as there: what is wrong with it is the server's to say. */
bool send_line_append(struct slice text, struct flat *flat, GString *out, struct send_line *info,
                      GError **error);

#endif
