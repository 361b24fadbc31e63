/* fuzz_chunked: bytes as a chunked body. The first byte is the size of the pieces in which the
 * rest arrives: whatever the pieces, the outcome, the data and the end must be the same. */
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "api/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct decoded {
    enum http_parse result;
    size_t used;
    GString *data;
};

static void decode(struct decoded *d, const uint8_t *bytes, size_t size, size_t piece_size)
{
    struct http_chunked c = {0};

    *d = (struct decoded){HTTP_PARSE_MORE, 0, g_string_new(NULL)};
    while (d->result == HTTP_PARSE_MORE && d->used < size) {
        size_t take = MIN(piece_size, size - d->used);
        g_autofree char *piece = g_memdup2(bytes + d->used, take);
        const char *why = NULL;
        size_t used = 0;
        size_t written = 0;

        d->result = http_chunked_decode(&c, piece, take, &used, &written, &why);
        if (d->result == HTTP_PARSE_BAD || d->result == HTTP_PARSE_LARGE) {
            g_assert_nonnull(why);
            return;
        }
        g_assert_cmpuint(written, <=, used);
        g_assert_cmpuint(used, <=, take);
        g_assert_true(d->result == HTTP_PARSE_DONE || used == take);
        g_string_append_len(d->data, piece, (gssize)written);
        d->used += used;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decoded whole;
    struct decoded split;

    if (size < 2)
        return 0;
    decode(&whole, data + 1, size - 1, size);
    decode(&split, data + 1, size - 1, (size_t)data[0] + 1);
    g_assert_cmpint(whole.result, ==, split.result);
    if (whole.result == HTTP_PARSE_DONE || whole.result == HTTP_PARSE_MORE) {
        g_assert_cmpuint(whole.used, ==, split.used);
        g_assert_true(g_string_equal(whole.data, split.data));
    }
    g_string_free(whole.data, TRUE);
    g_string_free(split.data, TRUE);
    return 0;
}
