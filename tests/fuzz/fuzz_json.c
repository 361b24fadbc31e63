/* json: our reader against an independent strict reader: same verdict, same document. */
#include "common/json.h"

#include <stdint.h>

#include "judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What we refuse although it is JSON: deep nesting. */
static bool is_our_limit(const GError *error)
{
    return g_str_has_prefix(error->message, "nesting deeper than");
}

static GString *write_out(const struct json_value *value)
{
    GString *out = g_string_new(NULL);
    struct json_writer w;

    json_writer_init(&w, out);
    json_add_value(&w, value);
    return out;
}

/* What we write is the document that was read, for the judge as for ourselves. */
static void check_written(struct slice text, const struct json_value *value, struct arena *a,
                          bool judge_can_say)
{
    g_autoptr(GString) out = write_out(value);
    struct slice written = slice_of(out->str, out->len);
    const struct json_value *back = json_parse(written, a, NULL);
    g_autoptr(GString) again = NULL;

    g_assert_nonnull(back);
    again = write_out(back);
    g_assert_true(g_string_equal(out, again));
    g_assert_true(!judge_can_say || judge_same(text, written));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(size > 0 ? (const void *)data : "", size);
    struct arena a = {0};
    g_autoptr(GError) error = NULL;
    const struct json_value *value = json_parse(text, &a, &error);
    enum judge_verdict verdict = judge_read(text);

    g_assert_true((value == NULL) == (error != NULL));
    if (value != NULL) {
        g_assert_cmpint(verdict, !=, JUDGE_REFUSES);
        check_written(text, value, &a, verdict == JUDGE_ACCEPTS);
    } else if (verdict == JUDGE_ACCEPTS) {
        g_assert_true(is_our_limit(error));
    }
    arena_done(&a);
    return 0;
}
