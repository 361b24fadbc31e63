/* judge: another reader's opinion on a JSON text, for fuzz_json.
 *
 * Behind a header of its own, because the names of the other library clash with ours. */
#ifndef FUZZ_JUDGE_H
#define FUZZ_JUDGE_H

#include <stdbool.h>

#include "common/slice.h"

enum judge_verdict {
    JUDGE_ACCEPTS,
    JUDGE_REFUSES,
    JUDGE_CANNOT_SAY, /* JSON perhaps, but beyond what the other reader can hold */
};

/* Strict reading: RFC 8259, any type outermost, a name twice in an object is refused. */
enum judge_verdict judge_read(struct slice text);

/* Whether both texts are accepted and are the same document. */
bool judge_same(struct slice a, struct slice b);

#endif
