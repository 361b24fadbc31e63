/* http: heads, chunked bodies and percent-escapes; pure over bytes, no state but the caller's.
 *
 * A head is read in two passes. The first looks for the empty line only and remembers how far it
 * looked, so a head that arrives byte by byte costs linear time. The second reads the lines of
 * the complete head. So the verdict cannot depend on how the bytes were cut into packets.
 *
 * Everything is refused on which a proxy before us and we might disagree: where a line ends,
 * where a name ends, how long the body is. Being lenient there is how requests are smuggled (RFC
 * 9112 section 11.2).
 * Deliberately missing: obsolete line folding, transfer codings other than chunked, HTTP/0.9. */
#include "api/http.h"

#include <string.h>

#include <glib.h>

/* What a byte may be part of. Source: RFC 9110 section 5.6.2 (tchar), 5.5 (field-vchar), RFC 9112
 * section 3.2 (targets: visible ASCII; '#' never travels). */
enum {
    BYTE_TOKEN = 1,
    BYTE_VALUE = 2,
    BYTE_TARGET = 4,
};

#define T (BYTE_TOKEN | BYTE_VALUE | BYTE_TARGET)
#define X (BYTE_TOKEN | BYTE_VALUE)
#define G (BYTE_VALUE | BYTE_TARGET) /* visible, but no token character */
#define V (BYTE_VALUE)

/* One row is sixteen bytes. Bytes above 7F are allowed in values only, where they are opaque. */
/* clang-format off */
static const unsigned char BYTES[256] = {
    /* 00 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, V, 0, 0, 0, 0, 0, 0,
    /* 10 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    /* 20 */ V, T, G, X, T, T, T, T, G, G, T, T, G, T, T, G,
    /* 30 */ T, T, T, T, T, T, T, T, T, T, G, G, G, G, G, G,
    /* 40 */ G, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
    /* 50 */ T, T, T, T, T, T, T, T, T, T, T, G, G, G, T, T,
    /* 60 */ T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
    /* 70 */ T, T, T, T, T, T, T, T, T, T, T, G, T, G, T, 0,
    /* 80 */ V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    /* 90 */ V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    /* A0 */ V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    /* B0 */ V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    /* C0 */ V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    /* D0 */ V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    /* E0 */ V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    /* F0 */ V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
};
/* clang-format on */

#undef T
#undef X
#undef G
#undef V

/* Upper case and nothing else: methods are case-sensitive (RFC 9110 section 9.1). */
static const char *const METHOD_NAMES[] = {
    [HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",   [HTTP_POST] = "POST",
    [HTTP_PUT] = "PUT",         [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
    [HTTP_OPTIONS] = "OPTIONS", [HTTP_OTHER] = "OTHER",
};

const char *http_method_name(enum http_method method)
{
    g_assert((size_t)method < G_N_ELEMENTS(METHOD_NAMES));
    return METHOD_NAMES[method];
}

/* ---- small readers --------------------------------------------------------------------------- */

/* Whether each byte of p .. end may be part of that kind; an empty range may. */
static bool is_all(const char *p, const char *end, unsigned char kind)
{
    for (; p < end; p++)
        if ((BYTES[(unsigned char)*p] & kind) == 0)
            return false;
    return true;
}

/* ASCII only, whatever the locale. */
static bool equals_ignoring_case(struct slice s, struct slice word)
{
    return s.size == word.size &&
           (s.size == 0 || g_ascii_strncasecmp(s.data, word.data, s.size) == 0);
}

/* Without optional white space at both ends (OWS, RFC 9110 section 5.6.3). */
static struct slice trim(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return slice_of(p, (size_t)(end - p));
}

/* ---- headers that decide about framing ------------------------------------------------------- */

/* What was seen so far while the headers of one head are read. */
struct head_reader {
    struct http_head *head;
    bool is_http_10;
    bool has_host;
    bool says_close;      /* Connection: close */
    bool says_keep_alive; /* Connection: keep-alive, counts for 1.0 only */
    const char *why;      /* static text, set by whoever refuses */
};

/* Always false, so that readers can return it. */
static bool refuse(struct head_reader *r, const char *why)
{
    r->why = why;
    return false;
}

/* Exactly one (RFC 9112 section 3.2). What it says plays no part: all names are served alike. */
static bool read_host(struct head_reader *r, struct slice value)
{
    (void)value;
    if (r->has_host)
        return refuse(r, "more than one Host header");
    r->has_host = true;
    return true;
}

/* Digits only: a sign, a list or white space inside is read differently by different servers (RFC
 * 9112 section 6.3). */
static bool read_content_length(struct head_reader *r, struct slice value)
{
    int64_t length = 0;

    if (r->head->has_length)
        return refuse(r, "more than one Content-Length header");
    if (value.size == 0)
        return refuse(r, "an empty Content-Length header");
    for (size_t i = 0; i < value.size; i++) {
        if (!g_ascii_isdigit(value.data[i]))
            return refuse(r, "Content-Length must be digits only");
        /* Stops growing instead of overflowing: every limit refuses such a size anyway. */
        if (length > (INT64_MAX - 9) / 10)
            length = (INT64_MAX - 9) / 10;
        length = length * 10 + (value.data[i] - '0');
    }
    r->head->has_length = true;
    r->head->content_length = length;
    return true;
}

/* Anything else before "chunked" would hide the body's end from us (RFC 9112 section 6.1). */
static bool read_transfer_encoding(struct head_reader *r, struct slice value)
{
    if (r->head->is_chunked)
        return refuse(r, "more than one Transfer-Encoding header");
    if (!equals_ignoring_case(value, SLICE("chunked")))
        return refuse(r, "the only Transfer-Encoding known here is \"chunked\"");
    if (r->is_http_10)
        return refuse(r, "Transfer-Encoding in an HTTP/1.0 request");
    r->head->is_chunked = true;
    return true;
}

/* A list of options in one header or in several; unknown ones name hop-by-hop headers and are
 * skipped. */
static bool read_connection(struct head_reader *r, struct slice value)
{
    const char *p = value.data;
    const char *end = p + value.size;

    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma != NULL ? comma : end;
        struct slice option = trim(p, stop);

        r->says_close |= equals_ignoring_case(option, SLICE("close"));
        r->says_keep_alive |= equals_ignoring_case(option, SLICE("keep-alive"));
        p = stop + (comma != NULL);
    }
    return true;
}

static bool read_expect(struct head_reader *r, struct slice value)
{
    /* RFC 9110 section 10.1.1: a 1.0 client does not wait; unknown expectations may be ignored. */
    if (!r->is_http_10 && equals_ignoring_case(value, SLICE("100-continue")))
        r->head->expects_continue = true;
    return true;
}

/* The headers on which framing and persistence hang; all others are only stored. By name, in lower
 * case. */
static const struct {
    struct slice name;
    bool (*read)(struct head_reader *r, struct slice value);
} FRAMING_HEADERS[] = {
    {{"host", 4}, read_host},
    {{"content-length", 14}, read_content_length},
    {{"transfer-encoding", 17}, read_transfer_encoding},
    {{"connection", 10}, read_connection},
    {{"expect", 6}, read_expect},
};

/* ---- lines ----------------------------------------------------------------------------------- */

/* HTTP_OTHER for a token that no route takes. */
static enum http_method find_method(struct slice text)
{
    for (size_t i = 0; i < HTTP_OTHER; i++)
        if (slice_equal(text, slice_text(METHOD_NAMES[i])))
            return (enum http_method)i;
    return HTTP_OTHER;
}

/* Reduces "http://host/path" to "/path" (RFC 9112 section 3.2.2 makes servers accept it). The host
 * plays no part here: all names are served alike. *, for OPTIONS alone, stays as it is. Anything
 * with another scheme, or CONNECT's host:port, is refused. */
static bool read_target(struct head_reader *r, struct slice target)
{
    static const struct slice SCHEMES[] = {{"http://", 7}, {"https://", 8}};

    if (target.size == 0 || !is_all(target.data, target.data + target.size, BYTE_TARGET))
        return refuse(r, "the request target holds a byte that must be percent-encoded");
    r->head->target = target;
    if (target.data[0] == '/')
        return true;
    if (slice_equal(target, SLICE("*")) && r->head->method == HTTP_OPTIONS)
        return true;
    for (size_t i = 0; i < G_N_ELEMENTS(SCHEMES); i++) {
        size_t size = SCHEMES[i].size;
        const char *path;

        if (target.size <= size || !equals_ignoring_case(slice_of(target.data, size), SCHEMES[i]))
            continue;
        path = memchr(target.data + size, '/', target.size - size);
        if (path == NULL || path == target.data + size)
            return refuse(r, "the request target has no path");
        r->head->target = slice_of(path, (size_t)(target.data + target.size - path));
        return true;
    }
    return refuse(r, "the request target must begin with \"/\"");
}

/* "HTTP/" DIGIT "." DIGIT; sets is_http_10. DONE, BAD for what is no version at all, VERSION for
 * one that is not spoken here. */
static enum http_parse read_version(struct head_reader *r, struct slice version)
{
    if (version.size != 8 || memcmp(version.data, "HTTP/", 5) != 0 ||
        !g_ascii_isdigit(version.data[5]) || version.data[6] != '.' ||
        !g_ascii_isdigit(version.data[7])) {
        r->why = "the request line must end in HTTP/1.1";
        return HTTP_PARSE_BAD;
    }
    if (version.data[5] != '1' || version.data[7] > '1') {
        r->why = "only HTTP/1.0 and HTTP/1.1 are spoken here";
        return HTTP_PARSE_VERSION;
    }
    r->is_http_10 = version.data[7] == '0';
    return HTTP_PARSE_DONE;
}

/* One space between the parts, nothing else (RFC 9112 section 3 lets us be that strict). The line
 * without its CR LF. The method is checked first, so that rubbish on the port is named so. */
static enum http_parse read_request_line(struct head_reader *r, const char *p, const char *end)
{
    const char *first = memchr(p, ' ', (size_t)(end - p));
    const char *second = first != NULL ? memchr(first + 1, ' ', (size_t)(end - first - 1)) : NULL;

    if (second == NULL || first == p || !is_all(p, first, BYTE_TOKEN)) {
        r->why = "the request line must be METHOD TARGET HTTP/1.1";
        return HTTP_PARSE_BAD;
    }
    r->head->method_text = slice_of(p, (size_t)(first - p));
    r->head->method = find_method(r->head->method_text);
    if (!read_target(r, slice_of(first + 1, (size_t)(second - first - 1))))
        return HTTP_PARSE_BAD;
    return read_version(r, slice_of(second + 1, (size_t)(end - second - 1)));
}

/* One line without its CR LF. The name is read by a loop of our own, since it ends at the first
 * byte that is no token character, and that must be the colon. */
static enum http_parse read_header(struct head_reader *r, const char *p, const char *end)
{
    struct http_head *head = r->head;
    const char *name_end = p;
    struct http_header *h;

    while (name_end < end && (BYTES[(unsigned char)*name_end] & BYTE_TOKEN) != 0)
        name_end++;
    if (name_end == p || name_end == end || *name_end != ':') {
        r->why = *p == ' ' || *p == '\t' ? "a header continued on the next line"
                                         : "a header must be NAME: VALUE, without space before ':'";
        return HTTP_PARSE_BAD;
    }
    if (!is_all(name_end + 1, end, BYTE_VALUE)) {
        r->why = "a control character in a header";
        return HTTP_PARSE_BAD;
    }
    if (head->header_count == HTTP_HEADERS_MAX) {
        r->why = "too many headers";
        return HTTP_PARSE_LARGE;
    }
    h = &head->headers[head->header_count++];
    h->name = slice_of(p, (size_t)(name_end - p));
    h->value = trim(name_end + 1, end);
    for (size_t i = 0; i < G_N_ELEMENTS(FRAMING_HEADERS); i++)
        if (equals_ignoring_case(h->name, FRAMING_HEADERS[i].name))
            return FRAMING_HEADERS[i].read(r, h->value) ? HTTP_PARSE_DONE : HTTP_PARSE_BAD;
    return HTTP_PARSE_DONE;
}

/* ---- heads ----------------------------------------------------------------------------------- */

/* Finds the empty line. Looks at line feeds only: everything else is checked once all is there.
 * DONE with *used, MORE with *scanned at the end of what is there, BAD or LARGE. It goes back two
 * bytes at most, so a line that was cut anywhere is found. */
static enum http_parse find_end(struct slice bytes, size_t *scanned, size_t *used, const char **why)
{
    size_t limit = bytes.size < HTTP_HEAD_MAX ? bytes.size : HTTP_HEAD_MAX;
    const char *lf;

    while (*scanned < limit &&
           (lf = memchr(bytes.data + *scanned, '\n', limit - *scanned)) != NULL) {
        size_t at = (size_t)(lf - bytes.data);

        if (at == 0 || bytes.data[at - 1] != '\r') {
            *why = "a line feed without a carriage return";
            return HTTP_PARSE_BAD;
        }
        *scanned = at + 1;
        if (at == 1 || bytes.data[at - 2] == '\n') {
            *used = at + 1;
            return HTTP_PARSE_DONE;
        }
    }
    *scanned = limit;
    if (bytes.size < HTTP_HEAD_MAX)
        return HTTP_PARSE_MORE;
    *why = "the request line and headers are too large";
    return HTTP_PARSE_LARGE;
}

/* The rules that need all headers. Length and chunking together are the classic way to smuggle:
 * refused, not resolved (RFC 9112 section 6.1). */
static enum http_parse finish_head(struct head_reader *r)
{
    if (!r->has_host && !r->is_http_10) {
        r->why = "no Host header";
        return HTTP_PARSE_BAD;
    }
    if (r->head->is_chunked && r->head->has_length) {
        r->why = "both Content-Length and Transfer-Encoding";
        return HTTP_PARSE_BAD;
    }
    r->head->is_http_10 = r->is_http_10;
    r->head->is_keep_alive = !r->says_close && (!r->is_http_10 || r->says_keep_alive);
    return HTTP_PARSE_DONE;
}

/* bytes: the whole head, with the empty line. Every line in it ends in CR LF (find_end saw to it),
 * so a line can only hold a stray CR, which no table above lets through. */
static enum http_parse read_lines(struct head_reader *r, struct slice bytes)
{
    const char *p = bytes.data;
    const char *end = bytes.data + bytes.size - 2;
    const char *lf = memchr(p, '\n', bytes.size);
    enum http_parse result;

    result = read_request_line(r, p, lf - 1);
    for (p = lf + 1; result == HTTP_PARSE_DONE && p < end; p = lf + 1) {
        lf = memchr(p, '\n', (size_t)(end - p));
        result = read_header(r, p, lf - 1);
    }
    return result == HTTP_PARSE_DONE ? finish_head(r) : result;
}

/* Fields are set only once the head is complete; after anything but DONE their content is
 * undefined. */
enum http_parse http_parse_head(struct slice bytes, size_t *scanned, struct http_head *head,
                                size_t *used, const char **why)
{
    struct head_reader r = {.head = head};
    size_t size = 0;
    /* The caller keeps *scanned for the next call with more bytes. */
    enum http_parse result = find_end(bytes, scanned, &size, why);

    if (result != HTTP_PARSE_DONE)
        return result;
    head->header_count = 0;
    head->is_chunked = false;
    head->has_length = false;
    head->content_length = 0;
    head->expects_continue = false;
    result = read_lines(&r, slice_of(bytes.data, size));
    if (result == HTTP_PARSE_DONE)
        *used = size;
    else
        *why = r.why;
    return result;
}

/* A walk over at most HTTP_HEADERS_MAX names; only a few headers are ever asked for. */
struct slice http_find_header(const struct http_head *head, const char *name)
{
    struct slice wanted = slice_text(name);

    for (size_t i = 0; i < head->header_count; i++)
        if (equals_ignoring_case(head->headers[i].name, wanted))
            return head->headers[i].value;
    return (struct slice){0};
}

/* ---- chunked bodies -------------------------------------------------------------------------- */

#define CHUNK_LINE_MAX   1024              /* a size line with its extensions */
#define CHUNK_SIZE_LIMIT (UINT64_MAX >> 8) /* sizes above it are an attack or a bug */

enum chunk_state {
    CHUNK_SIZE_FIRST, /* at the first hex digit */
    CHUNK_SIZE,
    CHUNK_SPACE,     /* white space before ';' ("bad white space", RFC 9112 section 7.1.1) */
    CHUNK_EXTENSION, /* dropped up to the CR */
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_FIRST, /* at the start of a trailer line, or of the final empty line */
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER_VALUE,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
    CHUNK_DONE,
};

/* Looks at one byte; gives the next state, or -1 with *why. The states are small numbers, so an int
 * holds both. */
typedef int (*chunk_step)(struct http_chunked *c, unsigned char byte, const char **why);

/* Always -1, so that steps can return it. */
static int chunk_bad(const char **why, const char *text)
{
    *why = text;
    return -1;
}

/* Adds one hex digit to the size; -1 when it is none or the size has grown beyond reason. */
static int chunk_size_digit(struct http_chunked *c, unsigned char byte)
{
    int digit = g_ascii_xdigit_value((char)byte);

    if (digit < 0 || c->left > CHUNK_SIZE_LIMIT)
        return -1;
    c->left = c->left * 16 + (unsigned)digit;
    return CHUNK_SIZE;
}

/* A size has one digit at least. */
static int chunk_size_first(struct http_chunked *c, unsigned char byte, const char **why)
{
    c->line = 0;
    c->left = 0;
    if (chunk_size_digit(c, byte) < 0)
        return chunk_bad(why, "a chunk must begin with its size in hex digits");
    return CHUNK_SIZE;
}

/* Behind the first digit: more digits, an extension or the end of the line. */
static int chunk_size(struct http_chunked *c, unsigned char byte, const char **why)
{
    if (byte == '\r')
        return CHUNK_SIZE_LF;
    if (byte == ';')
        return CHUNK_EXTENSION;
    if (byte == ' ' || byte == '\t')
        return CHUNK_SPACE;
    if (chunk_size_digit(c, byte) < 0)
        return chunk_bad(why, "a bad chunk size");
    return CHUNK_SIZE;
}

/* White space counts only before an extension; before the CR it is refused, as a server in front of
 * us might not see it. */
static int chunk_space(struct http_chunked *c, unsigned char byte, const char **why)
{
    (void)c;
    if (byte == ' ' || byte == '\t')
        return CHUNK_SPACE;
    return byte == ';' ? CHUNK_EXTENSION : chunk_bad(why, "a bad chunk size");
}

/* Nothing is made of extensions, but control characters in them are still refused. */
static int chunk_extension(struct http_chunked *c, unsigned char byte, const char **why)
{
    (void)c;
    if (byte == '\r')
        return CHUNK_SIZE_LF;
    if ((BYTES[byte] & BYTE_VALUE) == 0)
        return chunk_bad(why, "a control character in a chunk extension");
    return CHUNK_EXTENSION;
}

/* Size 0 is the last chunk; the trailers follow it. */
static int chunk_size_lf(struct http_chunked *c, unsigned char byte, const char **why)
{
    c->line = 0;
    if (byte != '\n')
        return chunk_bad(why, "a chunk size line must end in CR LF");
    return c->left > 0 ? CHUNK_DATA : CHUNK_TRAILER_FIRST;
}

/* The size has been used up: only the line's end may follow. */
static int chunk_data_cr(struct http_chunked *c, unsigned char byte, const char **why)
{
    (void)c;
    return byte == '\r' ? CHUNK_DATA_LF : chunk_bad(why, "a chunk is longer than its size");
}

/* The next chunk's size follows, or the last chunk. */
static int chunk_data_lf(struct http_chunked *c, unsigned char byte, const char **why)
{
    (void)c;
    return byte == '\n' ? CHUNK_SIZE_FIRST : chunk_bad(why, "a chunk must end in CR LF");
}

/* An empty line ends the trailers and with them the body. */
static int chunk_trailer_first(struct http_chunked *c, unsigned char byte, const char **why)
{
    (void)c;
    if (byte == '\r')
        return CHUNK_END_LF;
    if ((BYTES[byte] & BYTE_TOKEN) == 0)
        return chunk_bad(why, "a bad trailer");
    return CHUNK_TRAILER_NAME;
}

/* The same rules as for a header, so that what is dropped here could not have meant something. */
static int chunk_trailer_name(struct http_chunked *c, unsigned char byte, const char **why)
{
    (void)c;
    if (byte == ':')
        return CHUNK_TRAILER_VALUE;
    if ((BYTES[byte] & BYTE_TOKEN) == 0)
        return chunk_bad(why, "a bad trailer");
    return CHUNK_TRAILER_NAME;
}

/* Dropped: a trailer arrives after everything that could depend on it has been decided. */
static int chunk_trailer_value(struct http_chunked *c, unsigned char byte, const char **why)
{
    (void)c;
    if (byte == '\r')
        return CHUNK_TRAILER_LF;
    if ((BYTES[byte] & BYTE_VALUE) == 0)
        return chunk_bad(why, "a control character in a trailer");
    return CHUNK_TRAILER_VALUE;
}

/* c->line goes on counting over all trailers: together they have one limit. */
static int chunk_trailer_lf(struct http_chunked *c, unsigned char byte, const char **why)
{
    (void)c;
    return byte == '\n' ? CHUNK_TRAILER_FIRST : chunk_bad(why, "a trailer must end in CR LF");
}

/* What comes after it belongs to the next request. */
static int chunk_end_lf(struct http_chunked *c, unsigned char byte, const char **why)
{
    (void)c;
    return byte == '\n' ? CHUNK_DONE : chunk_bad(why, "the last chunk must end in CR LF");
}

/* One function for each state, called for one byte at a time. */
static const chunk_step CHUNK_STEPS[] = {
    [CHUNK_SIZE_FIRST] = chunk_size_first,
    [CHUNK_SIZE] = chunk_size,
    [CHUNK_SPACE] = chunk_space,
    [CHUNK_EXTENSION] = chunk_extension,
    [CHUNK_SIZE_LF] = chunk_size_lf,
    [CHUNK_DATA] = NULL, /* taken in one piece below */
    [CHUNK_DATA_CR] = chunk_data_cr,
    [CHUNK_DATA_LF] = chunk_data_lf,
    [CHUNK_TRAILER_FIRST] = chunk_trailer_first,
    [CHUNK_TRAILER_NAME] = chunk_trailer_name,
    [CHUNK_TRAILER_VALUE] = chunk_trailer_value,
    [CHUNK_TRAILER_LF] = chunk_trailer_lf,
    [CHUNK_END_LF] = chunk_end_lf,
};

/* Moves as much of the current chunk as there is to the front. Returns the bytes moved. The data
 * only ever moves towards the front, so the overlap is harmless for memmove. */
static size_t chunk_take_data(struct http_chunked *c, char *to, const char *from, size_t size)
{
    size_t take = size < c->left ? size : (size_t)c->left;

    memmove(to, from, take);
    c->left -= take;
    if (c->left == 0)
        c->state = CHUNK_DATA_CR;
    return take;
}

/* A size line may be CHUNK_LINE_MAX bytes, all trailers together HTTP_HEAD_MAX. DONE means within
 * the limits. Without them a body of size lines alone would be read for ever. */
static enum http_parse chunk_check_line(const struct http_chunked *c, const char **why)
{
    if (c->state < CHUNK_DATA && c->line > CHUNK_LINE_MAX) {
        *why = "a chunk size line is too long";
        return HTTP_PARSE_BAD;
    }
    if (c->line > HTTP_HEAD_MAX) {
        *why = "the trailers are too large";
        return HTTP_PARSE_LARGE;
    }
    return HTTP_PARSE_DONE;
}

/* The state machine may stop at any byte, so packets may be cut anywhere. *used and *written are
 * set unless a byte was bad. */
enum http_parse http_chunked_decode(struct http_chunked *c, char *bytes, size_t size, size_t *used,
                                    size_t *written, const char **why)
{
    size_t in = 0;
    size_t out = 0;
    enum http_parse result = HTTP_PARSE_DONE;

    while (in < size && c->state != CHUNK_DONE && result == HTTP_PARSE_DONE) {
        if (c->state == CHUNK_DATA) {
            size_t moved = chunk_take_data(c, bytes + out, bytes + in, size - in);

            in += moved;
            out += moved;
        } else {
            int next = CHUNK_STEPS[c->state](c, (unsigned char)bytes[in++], why);

            if (next < 0)
                return HTTP_PARSE_BAD;
            c->state = next;
            c->line++;
            result = chunk_check_line(c, why);
        }
    }
    *used = in;
    *written = out;
    if (result != HTTP_PARSE_DONE)
        return result;
    return c->state == CHUNK_DONE ? HTTP_PARSE_DONE : HTTP_PARSE_MORE;
}

/* ---- percent-decoding ------------------------------------------------------------------------ */

/* in and out may be the same memory, since writing never passes reading. An encoded NUL is refused
 * because it would end the text for whoever treats it as a C string. */
bool http_decode(struct slice in, bool plus_is_space, char *out, size_t *size)
{
    size_t written = 0;

    for (size_t i = 0; i < in.size; i++) {
        char byte = in.data[i];

        if (byte == '%') {
            int high = in.size - i > 2 ? g_ascii_xdigit_value(in.data[i + 1]) : -1;
            int low = high >= 0 ? g_ascii_xdigit_value(in.data[i + 2]) : -1;

            if (low < 0 || (high == 0 && low == 0))
                return false;
            byte = (char)(high * 16 + low);
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        out[written++] = byte;
    }
    *size = written;
    return true;
}
