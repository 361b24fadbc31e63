/* campaign_apply: "eventflow campaign apply FILES": makes the server's campaigns equal to files.
 *
 *   file ──parse──▶ document(s) ──▶ GET /campaigns/{id} ──▶ equal: unchanged
 *                                                      └──▶ PUT with If-Match / If-None-Match
 *
 * Idempotent: a campaign gets a new version only when its document differs. A campaign that
 * somebody else changes in the same moment is reported, not overwritten.
 */
#ifndef CLI_CAMPAIGN_APPLY_H
#define CLI_CAMPAIGN_APPLY_H

#include <stdbool.h>

#include "cli/remote.h"
#include "common/json.h"

/* The action: applies the files that r's operands name ("-" is standard input) and prints a line
 * for each document. Returns the exit code. */
int campaign_apply(struct remote *r);

/* Whether applying the document would change nothing: both mean the same, apart from the fields
 * that the server makes or fills in (id, status, version, times). Pure. */
bool campaign_is_applied(const struct json_value *document, const struct json_value *stored);

/* Whether two values mean the same: members in any order, numbers by their text. Pure. */
bool campaign_json_equal(const struct json_value *a, const struct json_value *b);

#endif
