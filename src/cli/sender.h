/* sender: posts lines as events in batches, and goes on until the server has answered for each.
 *
 *   line ──send_line──▶ batch ──full──▶ POST /events ──▶ accepted n, rejected: line numbers
 *                                         └─ 503, no answer ─▶ wait, the same batch again
 *
 * Every event has an id when it leaves, so a repeated batch changes nothing. What the server
 * refuses as a whole (too large, not readable) is halved until the culprit stands alone.
 */
#ifndef CLI_SENDER_H
#define CLI_SENDER_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "cli/client.h"
#include "common/fp_index.h"
#include "core/flat.h"

#define SENDER_BODY_MAX (1024 * 1024 - 1) /* bytes of a request: below the default limit */

struct sender_options {
    const char *url;      /* borrowed until done */
    size_t batch_max;     /* events in a request */
    int64_t retry_for_ms; /* how long one request is tried again */
};

/* One thread. The counts are for the caller to read. */
struct sender {
    struct sender_options options;
    struct client *client; /* NULL after a failed init */
    struct flat flat;      /* scratch for reading a line */
    GString *line;         /* the line being prepared */
    GString *body;         /* the batch: lines, each with its newline */
    GArray *items;         /* struct sender_item, one for each line of the batch */
    struct fp_index *seen; /* digests of lines that got their id from us */
    uint64_t sent;         /* events in requests that were answered */
    uint64_t accepted;     /* taken by the server, also when it knew them already */
    uint64_t rejected;     /* by the server, or here since they are no JSON objects */
    uint64_t identical;    /* lines without an id that came before, byte for byte */
    bool is_seen_full;     /* seen reached its limit: identical is at least that many */
    bool has_progress; /* a progress line stands on the terminal and must be wiped before others */
};

/* Errors: EF_ERROR_INPUT for a bad url. Owns: sender_done afterwards, also after false. */
bool sender_init(struct sender *s, const struct sender_options *options, GError **error);
void sender_done(struct sender *s);

/* Adds a line (trimmed, not empty) and posts the batch when it is full. A line that is no event is
 * reported and counted. Returns an exit code: EXIT_CODE_OK to go on. */
int sender_add(struct sender *s, struct slice text, uint64_t number);

/* Posts what is left. */
int sender_flush(struct sender *s);

/* Counts the line as rejected and prints why, for the first lines only. */
void sender_reject(struct sender *s, uint64_t number, const char *why);

/* Wipes the progress line, if one stands there. */
void sender_clear_progress(struct sender *s);

#endif
