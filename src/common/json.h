/* json: strict JSON (RFC 8259): scan, read as a tree, write. One reader for everything.
 *
 *   text ──json_scan_*──▶ core/flat (events, hot path)
 *        └─json_parse──▶ tree of json_value (documents, answers of the API in the CLI)
 *   json_writer ──▶ GString (answers, logs)
 *
 * Strict: UTF-8 checked (no overlong forms, no surrogates), no lone surrogate escapes, no control
 * characters in strings, nothing but white space after the document, nesting <= a limit.
 * Number text is kept exactly as it came: a number is text until somebody asks for a value, so
 * money and big integers never pass through a binary float. U+0000 in a string is legal JSON and
 * is kept: strings are slices.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "common/arena.h"
#include "common/slice.h"

#define JSON_DEPTH_MAX 64 /* default nesting limit: 64 open brackets pass, 65 do not */

/* Two values for the booleans, so that a type alone says everything of a word. */
enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_TEXT,
    JSON_ARRAY,
    JSON_OBJECT,
};

/* "null", "a boolean", "a number", "a string", "an array", "an object": for error messages. */
const char *json_type_name(enum json_type type);

/* ---- scanning: pure functions over bytes, used by the flattener and the tree reader ---------- */

/* Skips white space; returns the first other byte or end. */
const char *json_scan_space(const char *p, const char *end);

/* p is behind the opening quote. Returns the byte behind the closing quote, or NULL with *bad at
 * the offending byte and *why set to a short reason. Sets *has_escape. */
const char *json_scan_text(const char *p, const char *end, bool *has_escape, const char **bad,
                           const char **why);

/* p is at the first byte of a number ('-' or a digit). Returns the byte behind it, or NULL. */
const char *json_scan_number(const char *p, const char *end, const char **bad, const char **why);

/* The size of the UTF-8 character at p (1 to 4), or 0 when it is not well formed or p is end. */
size_t json_scan_utf8(const char *p, const char *end);

/* Undoes the escapes of a checked string (without its quotes). out needs raw.size bytes at most.
 * Returns the number of bytes written. */
size_t json_unescape(struct slice raw, char *out);

/* Fills error (EF_ERROR_INPUT): "<why> at line L, column C (byte B)"; column in bytes from 1. */
void json_set_error(GError **error, struct slice text, const char *bad, const char *why);

/* ---- the tree ------------------------------------------------------------------------------- */

/* Immutable; lives in the arena, and its slices point into the arena or into the parsed text. */
struct json_value {
    enum json_type type;
    uint32_t count;           /* children of an array or object */
    struct slice key;         /* unescaped name, when inside an object */
    struct slice text;        /* JSON_TEXT: unescaped; JSON_NUMBER: its source text */
    struct slice source;      /* the value's exact bytes in the parsed text */
    struct json_value *first; /* children in order */
    struct json_value *next;  /* sibling */
};

/* Reads one document. Duplicate names in one object are an error (documents are written by
 * people). text must outlive the tree. Errors: EF_ERROR_INPUT with line and column. */
struct json_value *json_parse(struct slice text, struct arena *a, GError **error);

/* The same, but a name may stand twice in one object: what machines sent and we only show. json_get
 * finds the first. */
struct json_value *json_parse_any(struct slice text, struct arena *a, GError **error);

/* The member with that name, NULL when absent or when value is no object. value may be NULL. */
const struct json_value *json_get(const struct json_value *value, struct slice key);

/* The text of a string member; the empty slice when it is absent or no string. */
struct slice json_get_text(const struct json_value *value, const char *key);

/* An integer number within [min, max] written without fraction or exponent. false otherwise. */
bool json_integer(const struct json_value *value, int64_t min, int64_t max, int64_t *out);

/* RFC 7396 merge patch: a new tree in the arena, sharing what did not change. */
struct json_value *json_merge_patch(const struct json_value *target, const struct json_value *patch,
                                    struct arena *a);

/* ---- writing -------------------------------------------------------------------------------- */

/* Writes compact JSON; commas are placed by the writer. Owns nothing: out is the caller's. */
struct json_writer {
    GString *out;
    bool needs_comma;
};

/* Output is appended to what out holds already. Every open needs its close; inside an object each
 * value follows a key. None of these can fail. */
void json_writer_init(struct json_writer *w, GString *out);
void json_open_object(struct json_writer *w);
void json_close_object(struct json_writer *w);
void json_open_array(struct json_writer *w);
void json_close_array(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
void json_key_slice(struct json_writer *w, struct slice key);
void json_add_text(struct json_writer *w, struct slice text); /* invalid UTF-8 becomes U+FFFD */
void json_add_integer(struct json_writer *w, int64_t value);
void json_add_number(struct json_writer *w, double value); /* shortest exact; not finite: null */
void json_add_bool(struct json_writer *w, bool value);
void json_add_null(struct json_writer *w);
void json_add_raw(struct json_writer *w, struct slice json); /* checked JSON, copied as it is */
void json_add_value(struct json_writer *w, const struct json_value *value); /* the tree, compact */

/* key + value in one call, the usual case. */
void json_put_text(struct json_writer *w, const char *key, struct slice text);
void json_put_string(struct json_writer *w, const char *key, const char *text); /* NULL: null */
void json_put_integer(struct json_writer *w, const char *key, int64_t value);
void json_put_number(struct json_writer *w, const char *key, double value);
void json_put_bool(struct json_writer *w, const char *key, bool value);
void json_put_time(struct json_writer *w, const char *key, int64_t at_us); /* RFC 3339; 0: null */
void json_put_raw(struct json_writer *w, const char *key, struct slice json); /* empty: null */

#endif
