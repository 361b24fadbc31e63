/* load_answer: reads the head of an HTTP/1.1 answer, as little of it as a load generator needs.
 *
 * Status, where the body ends, whether the connection stays, how long to wait. Pure. Deliberately
 * missing: chunked bodies (EventFlow and nginx's "return" always say the length) and any check of
 * header lines that are not needed.
 */
#ifndef CLI_LOAD_ANSWER_H
#define CLI_LOAD_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_ANSWER_HEAD_MAX 8192 /* bytes; a longer head is not read */

struct load_answer {
    int status;             /* 100 … 599 */
    uint64_t body_size;     /* bytes behind the head */
    int64_t retry_after_ms; /* -1 when the answer has none (or a date) */
    bool is_last;           /* the server closes the connection */
};

enum load_answer_result {
    LOAD_ANSWER_READY,      /* *answer is filled, *head_size bytes belong to the head */
    LOAD_ANSWER_INCOMPLETE, /* more bytes are needed */
    LOAD_ANSWER_BAD,        /* no HTTP/1.x answer, or one that this reader cannot follow */
};

/* data: from the first byte of the answer on. */
enum load_answer_result load_answer_read(const char *data, size_t size, struct load_answer *answer,
                                         size_t *head_size);

#endif
