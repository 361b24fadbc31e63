/* judge_document: JSON text to a tree of the other library, without losing anything on the way.
 *
 * That library keeps numbers as C numbers and the last of two equal names. So the text is marked
 * before it is read: a number becomes the string "n<text>", a string "s<text>", and each name gets
 * a serial number in front. Only tokens are rewritten; whether it is JSON is still for the library
 * to say.
 */
#ifndef FUZZ_JUDGE_DOCUMENT_H
#define FUZZ_JUDGE_DOCUMENT_H

#include <stdbool.h>

#include <jansson.h>

#include "common/slice.h"

/* NULL when it is no JSON or nested deeper than we allow; *gives_up is then true when the library
 * could not say. Owned by caller (json_decref). */
json_t *judge_document(struct slice text, bool *gives_up);

/* The name behind the mark. */
const char *judge_name(const char *marked_key);

bool judge_is_text(const json_t *value);
bool judge_is_number(const json_t *value);

/* Of a text: its characters; of a number: as written. Borrowed from the value. */
struct slice judge_text(const json_t *value);

#endif
