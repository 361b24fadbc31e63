/* line_reader: the lines of a file or pipe of any size, in constant memory.
 *
 * A line longer than the limit is skipped to its end and reported as too long, so that one broken
 * line costs itself only.
 */
#ifndef CLI_LINE_READER_H
#define CLI_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "common/slice.h"

/* One thread. */
struct line_reader {
    int fd;            /* borrowed */
    size_t line_max;   /* bytes without the newline */
    char *buffer;      /* line_max bytes and room for one read */
    size_t start, end; /* unread bytes of the buffer */
    bool is_at_end;    /* the file has no more */
    uint64_t bytes;    /* read so far */
};

/* One line as it is given to the caller. */
struct line {
    struct slice text; /* without its newline; in the buffer until the next call */
    uint64_t number;   /* from 1 */
    bool is_too_long;  /* text is then empty */
};

/* line_max: bytes of the longest line without its newline. */
void line_reader_init(struct line_reader *r, int fd, size_t line_max);
void line_reader_done(struct line_reader *r);

/* Sets *line to the next line. false at the end, or with error set when reading failed. line must
 * be all zero before the first call and is kept by the caller: it counts the numbers. */
bool line_reader_next(struct line_reader *r, struct line *line, GError **error);

#endif
