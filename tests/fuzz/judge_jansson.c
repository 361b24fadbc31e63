#include "judge.h"

#include <string.h>

#include <jansson.h>

#define FLAGS (JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)

enum judge_verdict judge_read(struct slice text)
{
    json_error_t error;
    json_t *document = json_loadb(text.data, text.size, FLAGS, &error);
    enum json_error_code code;

    if (document != NULL) {
        json_decref(document);
        /* It takes a NUL byte between tokens for the end of the text. */
        return memchr(text.data, '\0', text.size) != NULL ? JUDGE_CANNOT_SAY : JUDGE_ACCEPTS;
    }
    code = json_error_code(&error);
    /* Its numbers are C types, its names C strings. */
    if (code == json_error_numeric_overflow || code == json_error_null_byte_in_key)
        return JUDGE_CANNOT_SAY;
    return JUDGE_REFUSES;
}

bool judge_same(struct slice a, struct slice b)
{
    json_t *left = json_loadb(a.data, a.size, FLAGS, NULL);
    json_t *right = json_loadb(b.data, b.size, FLAGS, NULL);
    bool same = left != NULL && right != NULL && json_equal(left, right) != 0;

    json_decref(left);
    json_decref(right);
    return same;
}
