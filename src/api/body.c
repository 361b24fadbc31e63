/* body: the bytes behind a head, read where it costs least.
 *
 * A small body lies behind its head in the read buffer and is never copied; a large or chunked
 * one grows in a buffer of its own, by what really arrives and not by what the client declares.
 * Limits are checked before a byte is kept. Each kind has its reader in one table.
 * Deliberately missing: streaming to the handler. A body is complete before anyone looks at it. */
#include "api/conn.h"

#include "api/exchange.h"

/* Bytes of the first allocation, so that a growing body is copied a few times only. */
#define BODY_ROOM_MIN (64 * 1024)

/* A body is read where it costs least: a small one lies behind its head in the read buffer and is
 * never copied; a large or chunked one grows in a buffer of its own, by what really arrives and not
 * by what the client declares. Limits are checked before a byte is kept. */

/* The body inside the read buffer; all of it must be there. */
static struct slice in_place(const struct conn *c, const struct http_head *head)
{
    return slice_of(c->in + c->head_end, (size_t)head->content_length);
}

/* A chunked body may be here as well, but only its decoder can tell, so it is not asked. */
bool body_is_here(const struct conn *c, const struct http_head *head)
{
    if (c->body_kind == BODY_NONE)
        return true;
    return c->body_kind == BODY_IN_PLACE && c->in_end - c->head_end >= (size_t)head->content_length;
}

/* Room for size more bytes, at least doubling, never above the limit that was checked before. The
 * caller makes sure that size fits below max. */
static void body_reserve(struct conn *c, size_t size, size_t max)
{
    size_t room = c->body_room;

    if (room - c->body_size >= size)
        return;
    room = MAX(MAX(room * 2, c->body_size + size), (size_t)BODY_ROOM_MIN);
    c->body_room = MIN(room, max);
    c->body = g_realloc(c->body, c->body_room);
}

/* Copies the bytes behind what was kept before; the caller has checked them against max. */
static void body_append(struct conn *c, const char *bytes, size_t size, size_t max)
{
    if (size == 0)
        return;
    body_reserve(c, size, max);
    memcpy(c->body + c->body_size, bytes, size);
    c->body_size += size;
}

/* The kind is a matter of the head alone; only the buffered one moves bytes. */
void body_start(struct conn *c, const struct http_head *head)
{
    size_t here = c->in_end - c->head_end;

    c->body_kind = BODY_NONE;
    if (head->is_chunked) {
        c->body_kind = BODY_CHUNKED;
        c->chunked = (struct http_chunked){0};
    } else if (head->content_length > 0 &&
               (uint64_t)head->content_length <= LOOP_BUFFER_SIZE - c->head_end) {
        c->body_kind = BODY_IN_PLACE;
    } else if (head->content_length > 0) {
        c->body_kind = BODY_BUFFERED;
    }
    if (c->body_kind != BODY_BUFFERED)
        return;
    /* More than fits into the read buffer, so all of what is there belongs to the body. A body
     * above the limit has been refused and is not read any more. */
    if (head->content_length <= c->loop->server->options.body_max)
        body_append(c, c->in + c->head_end, here, (size_t)head->content_length);
    c->in_end = c->head_end;
}

/* ---- one reader for each kind ---------------------------------------------------------------- */

/* What a read that gave no bytes means for the body. */
static enum body_result body_result_of(enum conn_fill fill)
{
    return fill == CONN_FILL_END ? BODY_CLOSED : BODY_WAIT;
}

/* Always complete: there is nothing to read. */
static enum body_result read_none(struct conn *c, const struct http_head *head, struct slice *body,
                                  const char **why)
{
    (void)c;
    (void)head;
    (void)why;
    *body = (struct slice){0};
    return BODY_DONE;
}

/* May read into the next, pipelined request; body_finish leaves that for the next head. The room
 * behind the head is enough, body_start has seen to it. The body is borrowed from the buffer. */
static enum body_result read_in_place(struct conn *c, const struct http_head *head,
                                      struct slice *body, const char **why)
{
    (void)why;
    while (c->in_end - c->head_end < (size_t)head->content_length) {
        size_t size = LOOP_BUFFER_SIZE - c->in_end;
        enum conn_fill fill = conn_fill(c, c->in + c->in_end, &size);

        if (fill != CONN_FILL_DATA)
            return body_result_of(fill);
        c->in_end += size;
    }
    *body = in_place(c, head);
    return BODY_DONE;
}

/* Reads at most up to the end of the body, so nothing of a next request gets in. The buffer doubles
 * with what arrived, so a client that declares much and sends little costs little. */
static enum body_result read_buffered(struct conn *c, const struct http_head *head,
                                      struct slice *body, const char **why)
{
    size_t total = (size_t)head->content_length;

    (void)why;
    while (c->body_size < total) {
        size_t size;
        enum conn_fill fill;

        body_reserve(c, 1, total);
        size = c->body_room - c->body_size;
        fill = conn_fill(c, c->body + c->body_size, &size);
        if (fill != CONN_FILL_DATA)
            return body_result_of(fill);
        c->body_size += size;
    }
    *body = slice_of(c->body, c->body_size);
    return BODY_DONE;
}

/* Decodes what lies behind the head and keeps what follows the body (a pipelined request). LARGE is
 * found by the first byte too many, before it is kept. The memmove moves at most one buffer. */
static enum body_result decode_chunks(struct conn *c, const char **why)
{
    size_t max = (size_t)c->loop->server->options.body_max;
    char *bytes = c->in + c->head_end;
    size_t size = c->in_end - c->head_end;
    size_t used;
    size_t written;
    enum http_parse result = http_chunked_decode(&c->chunked, bytes, size, &used, &written, why);

    /* Trailers that are too large are broken framing like the rest: one answer for all, 400. */
    if (result == HTTP_PARSE_BAD || result == HTTP_PARSE_LARGE)
        return BODY_BAD;
    if (written > max - c->body_size)
        return BODY_LARGE;
    body_append(c, bytes, written, max);
    memmove(bytes, bytes + used, size - used);
    c->in_end -= used;
    return result == HTTP_PARSE_DONE ? BODY_DONE : BODY_WAIT;
}

/* The read buffer behind the head is used again and again: what was decoded has moved on. Decodes
 * first: the head's last read may have brought all of the body already. */
static enum body_result read_chunked(struct conn *c, const struct http_head *head,
                                     struct slice *body, const char **why)
{
    enum body_result result = decode_chunks(c, why);

    (void)head;
    while (result == BODY_WAIT) {
        size_t size = LOOP_BUFFER_SIZE - c->in_end;
        enum conn_fill fill = conn_fill(c, c->in + c->in_end, &size);

        if (fill != CONN_FILL_DATA)
            return body_result_of(fill);
        c->in_end += size;
        result = decode_chunks(c, why);
    }
    if (result == BODY_DONE)
        *body = slice_of(c->body, c->body_size);
    return result;
}

/* One call reads what is there now; see body_read. */
typedef enum body_result (*body_reader)(struct conn *c, const struct http_head *head,
                                        struct slice *body, const char **why);

static const body_reader BODY_READERS[] = {
    [BODY_NONE] = read_none,
    [BODY_IN_PLACE] = read_in_place,
    [BODY_BUFFERED] = read_buffered,
    [BODY_CHUNKED] = read_chunked,
};

enum body_result body_read(struct conn *c, const struct http_head *head, struct slice *body,
                           const char **why)
{
    return BODY_READERS[c->body_kind](c, head, body, why);
}

/* The read buffer itself stays: it may hold the next request. */
void body_finish(struct conn *c, const struct http_head *head)
{
    /* What a chunked or buffered body left behind its head is the next request. */
    c->in_start = c->head_end;
    if (c->body_kind == BODY_IN_PLACE)
        c->in_start += (size_t)head->content_length;
    c->body_kind = BODY_NONE;
    g_free(c->body);
    c->body = NULL;
    c->body_size = c->body_room = 0;
}
