/* fuzz_http_head: bytes as the head of a request. The first two bytes say where the rest is cut:
 * in two pieces or whole, the outcome must be the same, and an accepted head must be unambiguous.
 */
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "api/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum http_parse result;
    size_t used;
    const char *why;
    struct http_head head;
};

static void check_inside(struct slice s, struct slice bytes)
{
    g_assert_true(s.data >= bytes.data && s.data + s.size <= bytes.data + bytes.size);
    for (size_t i = 0; i < s.size; i++)
        g_assert_true(s.data[i] != '\r' && s.data[i] != '\n' && s.data[i] != '\0');
}

static unsigned count_headers(const struct http_head *head, const char *name)
{
    unsigned count = 0;

    for (size_t i = 0; i < head->header_count; i++) {
        struct slice s = head->headers[i].name;

        count += s.size == strlen(name) && g_ascii_strncasecmp(s.data, name, s.size) == 0;
    }
    return count;
}

static void check_head(const struct http_head *head, struct slice bytes)
{
    check_inside(head->method_text, bytes);
    check_inside(head->target, bytes);
    g_assert_cmpuint(head->target.size, >, 0);
    g_assert_cmpuint(head->header_count, <=, HTTP_HEADERS_MAX);
    for (size_t i = 0; i < head->header_count; i++) {
        check_inside(head->headers[i].name, bytes);
        check_inside(head->headers[i].value, bytes);
        g_assert_cmpuint(head->headers[i].name.size, >, 0);
    }
    g_assert_cmpuint(count_headers(head, "host"), <=, 1);
    g_assert_cmpuint(count_headers(head, "content-length"), ==, head->has_length);
    g_assert_cmpuint(count_headers(head, "transfer-encoding"), ==, head->is_chunked);
    g_assert_false(head->has_length && head->is_chunked);
    g_assert_cmpint(head->content_length, >=, 0);
}

/* The query and path of an accepted head, decoded. */
static void check_target(struct slice target)
{
    g_autofree char *out = g_malloc(target.size);
    size_t size = 0;

    if (http_decode(target, true, out, &size)) {
        g_assert_cmpuint(size, <=, target.size);
        g_assert_true(memchr(out, '\0', size) == NULL);
    }
}

static void parse(struct outcome *o, struct slice bytes, size_t cut)
{
    size_t scanned = 0;

    o->result = HTTP_PARSE_MORE;
    if (cut < bytes.size)
        o->result =
            http_parse_head(slice_of(bytes.data, cut), &scanned, &o->head, &o->used, &o->why);
    if (o->result == HTTP_PARSE_MORE)
        o->result = http_parse_head(bytes, &scanned, &o->head, &o->used, &o->why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole = {0};
    struct outcome split = {0};
    g_autofree char *copy = NULL;
    struct slice bytes;

    if (size < 3)
        return 0;
    copy = g_memdup2(data + 2, size - 2); /* of the exact size, so that a sanitizer sees its end */
    bytes = slice_of(copy, size - 2);
    parse(&whole, bytes, bytes.size);
    parse(&split, bytes, (data[0] * 256U + data[1]) % (bytes.size + 1));
    g_assert_cmpint(whole.result, ==, split.result);
    g_assert_cmpuint(whole.used, ==, split.used);
    g_assert_true(whole.why == split.why);
    if (whole.result == HTTP_PARSE_DONE) {
        g_assert_cmpuint(whole.used, <=, bytes.size);
        check_head(&whole.head, slice_of(bytes.data, whole.used));
        check_target(whole.head.target);
    }
    return 0;
}
