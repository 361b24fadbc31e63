/* http: strict HTTP/1.1 (RFC 9112) request parsing, pure over bytes. No sockets, no allocation.
 *
 * What it is for: turning the bytes of a head into slices, and decoding chunked bodies piece by
 * piece, refusing everything on which two readers could disagree (request smuggling).
 * What it refuses: bare LF or CR, NUL, obs-fold, white space before a colon, more than one Host or
 * none, Content-Length together with Transfer-Encoding, two Content-Lengths, anything but digits in
 * it, any transfer coding but a single "chunked", HTTP versions other than 1.0 and 1.1.
 */
#ifndef API_HTTP_H
#define API_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

#define HTTP_HEAD_MAX    8192 /* bytes of request line and headers together */
#define HTTP_HEADERS_MAX 64

/* The methods that are told apart; the order is that of METHOD_NAMES. */
enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_OTHER, /* a token we have no route for: 405 or 501 is the caller's business */
};

/* "GET" and so on; "OTHER" for what has no name here. Static storage. */
const char *http_method_name(enum http_method method);

struct http_header {
    struct slice name;  /* as sent */
    struct slice value; /* without surrounding white space */
};

/* A parsed head; slices point into the given bytes. */
struct http_head {
    enum http_method method;
    struct slice method_text;
    struct slice target; /* origin-form ("/…") or "*"; absolute-form is reduced to its path */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t header_count;
    bool is_http_10;
    bool is_keep_alive; /* HTTP/1.1 default, 1.0 only when asked */
    bool is_chunked;
    bool has_length;
    int64_t content_length; /* when has_length; stops growing near INT64_MAX */
    bool expects_continue;
};

enum http_parse {
    HTTP_PARSE_DONE,    /* *used bytes were the head */
    HTTP_PARSE_MORE,    /* not complete yet */
    HTTP_PARSE_BAD,     /* 400; *why says what */
    HTTP_PARSE_LARGE,   /* 431: more than HTTP_HEAD_MAX bytes or HTTP_HEADERS_MAX headers */
    HTTP_PARSE_VERSION, /* 505 */
};

/* Looks for a complete head at the start of bytes and parses it. scanned remembers between calls
 * how far was looked (start with 0), so a dribbled head costs linear time; after MORE it is
 * bytes.size. *used is set for DONE only, *why (static text) for BAD, LARGE and VERSION. */
enum http_parse http_parse_head(struct slice bytes, size_t *scanned, struct http_head *head,
                                size_t *used, const char **why);

/* The first header with that name (ASCII case-insensitive); empty slice (data NULL) when absent. */
struct slice http_find_header(const struct http_head *head, const char *name);

/* Chunked decoding. All zero is the start. */
struct http_chunked {
    int state;
    uint64_t left; /* of the current chunk */
    unsigned line; /* bytes of the current line so far (size lines and trailers are bounded) */
};

/* Decodes in place: reads bytes, writes the data to the front of the same buffer. *used = bytes
 * consumed, *written = bytes of data now at the front. DONE when the last chunk and the trailers
 * are complete; trailers are checked and dropped. Chunk extensions are accepted and dropped. */
enum http_parse http_chunked_decode(struct http_chunked *c, char *bytes, size_t size, size_t *used,
                                    size_t *written, const char **why);

/* Percent-decoding into out (at most in.size bytes); false for a bad escape or an encoded NUL.
 * plus_is_space: for query strings. */
bool http_decode(struct slice in, bool plus_is_space, char *out, size_t *size);

#endif
