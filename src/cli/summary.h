/* summary: numbers out of the answer of /metrics/summary, by a table of their names. Pure.
 *
 * "load" and "top" want different numbers of the same answer into structs of their own.
 */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/json.h"

/* A member of the answer and the int64_t of the caller's struct that it belongs to. */
struct summary_member {
    const char *name;
    size_t offset;
};

/* Reads all of them into *out. false: one is missing or no count, so this is not EventFlow's
 * answer; what *out then holds says nothing. root may be NULL, as json_parse_any returns it. */
bool summary_read(const struct json_value *root, const struct summary_member *members, size_t count,
                  void *out);

#endif
