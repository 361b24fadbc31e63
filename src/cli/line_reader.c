/* Lines out of one buffer of fixed size.
 *
 *    buffer   |··· given ···|start ── unread ── end|··· room for a read ···|
 *
 * Before a read the unread bytes move to the front. They are at most line_max, and the buffer has
 * room for one read more, so nothing ever grows and no line is copied on its way out.
 */
#include "cli/line_reader.h"

#include <errno.h>
#include <unistd.h>

#define LINE_READER_STEP (256 * 1024) /* bytes a read asks for */

/* The only memory the reader will ever use. fd stays the caller's to close. */
void line_reader_init(struct line_reader *r, int fd, size_t line_max)
{
    *r = (struct line_reader){.fd = fd, .line_max = line_max};
    r->buffer = g_malloc(line_max + LINE_READER_STEP);
}

void line_reader_done(struct line_reader *r)
{
    g_clear_pointer(&r->buffer, g_free);
}

/* Reads more behind the unread bytes, which are at most line_max. Moving them is cheap: they are
 * the begin of one line. false: error is set and the bytes are where they were, as far as unread.
 */
static bool line_reader_fill(struct line_reader *r, GError **error)
{
    ssize_t size;

    memmove(r->buffer, r->buffer + r->start, r->end - r->start);
    r->end -= r->start;
    r->start = 0;
    do
        size = read(r->fd, r->buffer + r->end, LINE_READER_STEP);
    while (size < 0 && errno == EINTR);
    if (size < 0) {
        g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(errno), "cannot read: %s",
                    g_strerror(errno));
        return false;
    }
    r->is_at_end = size == 0;
    r->end += (size_t)size;
    r->bytes += (uint64_t)size;
    return true;
}

/* A pipe gives lines in pieces, so the search goes on behind what has been searched already: each
 * byte is looked at once. The last line needs no newline; an empty rest is no line. */
bool line_reader_next(struct line_reader *r, struct line *line, GError **error)
{
    size_t seen = 0; /* bytes of the line that have no newline among them */
    bool is_too_long = false;

    for (;;) {
        const char *from = r->buffer + r->start;
        size_t size = r->end - r->start;
        const char *newline = size > seen ? memchr(from + seen, '\n', size - seen) : NULL;
        size_t length = newline != NULL ? (size_t)(newline - from) : size;

        is_too_long = is_too_long || length > r->line_max;
        if (newline != NULL || (r->is_at_end && (size > 0 || is_too_long))) {
            line->text = is_too_long ? (struct slice){0} : slice_of(from, length);
            line->is_too_long = is_too_long;
            line->number++;
            r->start += length + (newline != NULL);
            return true;
        }
        if (r->is_at_end)
            return false;
        if (is_too_long)
            r->start = r->end; /* forget what cannot be used */
        seen = r->end - r->start;
        if (!line_reader_fill(r, error))
            return false;
    }
}
