/* The skimming reader says what the whole one says, reads no more than it must, and stays within
 * the text, whatever that is. tests/fuzz goes on where this ends.
 *
 * Arguments: files of pattern cases, as for tests/conformance. */
#include "check_matcher.h"
#include "check_skim.h"
#include "common/json.h"
#include "core/matcher/internal.h"
#include "grammar_set.h"

/* ---- helpers ----------------------------------------------------------------------------------
 */

/* An index of some patterns, and what is needed to ask it. */
struct fixture {
    struct matcher *m;
    struct matcher_run *run;
};

static struct pattern *parse(const char *text)
{
    struct problems problems;
    struct pattern *pattern;

    problems_init(&problems);
    pattern = pattern_parse(slice_text(text), &PATTERN_LIMITS, "#", &problems);
    g_assert_nonnull(pattern);
    problems_done(&problems);
    return pattern;
}

/* The patterns end with NULL. */
static struct fixture new_fixture(const char *const *patterns)
{
    struct matcher_builder *b = matcher_builder_new();
    struct fixture f = {.run = matcher_run_new()};

    for (; *patterns != NULL; patterns++) {
        struct pattern *pattern = parse(*patterns);

        matcher_builder_add(b, pattern);
        pattern_free(pattern);
    }
    f.m = matcher_builder_finish(b, 0, NULL);
    g_assert_nonnull(f.m);
    matcher_builder_free(b);
    return f;
}

static void done(struct fixture *f)
{
    matcher_free(f->m);
    matcher_run_free(f->run);
}

static void assert_right(char *wrong)
{
    g_autofree char *text = wrong;

    if (text != NULL)
        g_test_message("%s", text);
    g_assert_null(text);
}

/* Right about the event, which keeps the contract. */
static void assert_same(const struct fixture *f, const char *event)
{
    g_assert_true(check_skim_is_trusted(slice_text(event)));
    assert_right(check_skim(f->m, f->run, slice_text(event)));
}

static size_t count_found(const struct fixture *f, const char *text)
{
    const uint32_t *places;

    return matcher_find_trusted(f->m, f->run, slice_text(text), &places);
}

static uint32_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15; /* splitmix64 */

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (uint32_t)(z >> 33);
}

/* ---- skipping ---------------------------------------------------------------------------------
 */

/* What both ways must say, byte by byte. */
static const char *end_of_text(const char *p, const char *end)
{
    for (; p < end; p++) {
        if (*p == '"')
            return p + 1;
        if (*p == '\\')
            p++;
    }
    return NULL;
}

static const char *end_of_brackets(const char *p, const char *end)
{
    size_t depth = 1;

    while (p < end) {
        char c = *p++;

        if (c == '"') {
            p = end_of_text(p, end);
            if (p == NULL)
                return NULL;
        } else if (c == '\\' && p < end && (*p == '"' || *p == '\\')) {
            p++; /* not in JSON: a quote behind it begins no string */
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return p;
        }
    }
    return NULL;
}

/* Where a way ends: offset from the beginning, 0 for NULL. */
static size_t offset(const char *found, const char *text)
{
    return found != NULL ? (size_t)(found - text) : 0;
}

static void assert_skips(const char *text, size_t size)
{
    const struct matcher_skip *ways[] = {matcher_skip_best(), &matcher_skip_portable};
    g_autofree char *copy = g_memdup2(text, size); /* nothing stands behind it */
    const char *end = copy + size;

    for (size_t i = 0; i < G_N_ELEMENTS(ways); i++) {
        g_assert_cmpuint(offset(ways[i]->text(copy, end), copy), ==,
                         offset(end_of_text(copy, end), copy));
        g_assert_cmpuint(offset(ways[i]->brackets(copy, end), copy), ==,
                         offset(end_of_brackets(copy, end), copy));
    }
}

/* Few kinds of bytes, so that runs of backslashes, and of brackets, go over the ends of blocks. */
static void test_skipping_is_exact_in_every_way(void)
{
    static const char *const KINDS[] = {
        "\"\\",    "\\a",          "{}a",
        "[]{}\"a", "\"\\{}[]a:,1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\\{}"};
    uint64_t state = 1;

    for (unsigned i = 0; i < 30000; i++) {
        const char *kind = KINDS[i % G_N_ELEMENTS(KINDS)];
        char text[400];
        size_t size = next_random(&state) % (sizeof(text) - 1) + 1;

        for (size_t k = 0; k < size; k++)
            text[k] = kind[next_random(&state) % strlen(kind)];
        assert_skips(text, size);
    }
}

static void test_skipping_counts_depth_beyond_a_block(void)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = 0; i < 1000; i++)
        g_string_append_c(text, i % 3 == 0 ? '[' : '{');
    for (unsigned i = 0; i < 1001; i++)
        g_string_append_c(text, i % 5 == 0 ? ']' : '}');
    g_string_append(text, "}}}");
    assert_skips(text->str, text->len);
    g_assert_true(matcher_skip_best()->brackets(text->str, text->str + text->len) ==
                  text->str + 2001);
}

/* ---- the same answers -------------------------------------------------------------------------
 */

static void test_random_sets_have_the_same_answers(void)
{
    size_t trusted = 0;

    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct grammar_plan plan = {.patterns = 1 + seed % 30,
                                    .events = 20,
                                    .fields = 1 + seed % 12,
                                    .values = 1 + seed / 12 % 40,
                                    .seed = seed * 7919};
        g_autoptr(GPtrArray) patterns = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GPtrArray) events = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GPtrArray) none = g_ptr_array_new();
        struct matcher_run *run = matcher_run_new();
        g_autoptr(GArray) order = NULL;
        struct check_set set;
        struct matcher *m;

        grammar_set_derive(SLICE(""), &plan, patterns, events);
        check_set_init(&set, patterns, none);
        order = check_order(set.patterns->len, 0);
        m = check_build(&set, order, false);
        for (guint i = 0; i < events->len; i++) {
            trusted += check_skim_is_trusted(slice_text(events->pdata[i]));
            assert_right(check_skim(m, run, slice_text(events->pdata[i])));
        }
        matcher_free(m);
        matcher_run_free(run);
        check_set_done(&set);
    }
    g_test_message("%zu events kept the contract", trusted);
    g_assert_cmpuint(trusted, >, 1000);
}

static void add_text(GPtrArray *list, const struct json_value *object, const char *key)
{
    struct slice text = json_get_text(object, key);

    if (text.size > 0)
        g_ptr_array_add(list, g_strndup(text.data, text.size));
}

static GPtrArray *read_cases(const char *file, GPtrArray *patterns)
{
    GPtrArray *events = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(file, &text, NULL, NULL))
        return events;
    lines = g_strsplit(text, "\n", -1);
    for (size_t i = 0; lines[i] != NULL; i++) {
        struct arena arena = {0};
        const struct json_value *object = json_parse(slice_text(lines[i]), &arena, NULL);

        add_text(patterns, object, "pattern");
        add_text(events, object, "event");
        arena_done(&arena);
    }
    return events;
}

/* Every pattern alone, as it stops earliest then, and all in one. */
static void test_cases_have_the_same_answers(gconstpointer file)
{
    g_autoptr(GPtrArray) patterns = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) events = read_cases(file, patterns);
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    struct matcher_run *run = matcher_run_new();
    struct check_set set;

    if (events->len == 0)
        g_test_skip("the file is not there");
    check_set_init(&set, patterns, none);
    for (guint i = 0; i <= set.patterns->len && events->len > 0; i++) {
        g_autoptr(GArray) order = check_order(set.patterns->len, 0);
        guint from = i < order->len ? i * 7 % order->len : 0;
        struct matcher *m;

        if (i < order->len) {
            g_array_remove_range(order, 0, i);
            g_array_set_size(order, 1);
        }
        m = check_build(&set, order, false);
        for (guint k = 0; k < (i < set.patterns->len ? MIN(40, events->len) : events->len); k++)
            assert_right(check_skim(m, run, slice_text(events->pdata[(from + k) % events->len])));
        matcher_free(m);
    }
    check_set_done(&set);
    matcher_run_free(run);
}

static void test_shapes_have_the_same_answers(void)
{
    static const char *const PATTERNS[] = {"{\"a\":[1,\"x\",null,true,false,{\"exists\":false}]}",
                                           "{\"a\":{\"b\":[1,\"y\"],\"c\":[2]}}",
                                           "{\"a\":{\"b\":{\"d\":[1]}},\"e\":[1]}",
                                           "{\"a.b.c\":[1],\"\":[1]}",
                                           "{\"\":{\"\":[1]}}",
                                           "{\".x.\":[1]}",
                                           "{\"q\\\"u\":[1],\"t\\tb\":[1]}",
                                           "{\"q\\\"u\":[1]}",
                                           "{\"\\u00e4\":[\"\\u00f6\"]}",
                                           "{\"a-name-of-more-than-sixteen-bytes\":[1]}",
                                           "{\"eightlong\":[1],\"eightlon\":[2],\"sevenlo\":[3]}",
                                           "{\"a\":{\"b\":[{\"exists\":false}],\"c\":[1]}}",
                                           NULL};
    static const char *const EVENTS[] = {
        "{}",
        " { } ",
        "{\"a\":1}",
        "\t{ \"a\" : \"x\" , \"b\" : [ ] }\n",
        "{\"a\":{\"b\":1,\"c\":2},\"e\":1}",
        "{\"e\":1,\"a\":{\"z\":{\"b\":5},\"b\":{\"d\":1}}}",
        "{\"a\":[{\"b\":1,\"c\":3},{\"b\":2,\"c\":2}]}",
        "{\"a\":[{\"b\":1,\"c\":2,\"z\":[[]]},{\"b\":2,\"c\":2}],\"e\":1}",
        "{\"a\":[[{\"b\":1}],[[{\"c\":2}],1]],\"e\":[{\"e\":1}]}",
        "{\"a\":[5,{\"b\":1},{\"c\":2},\"x\"]}",
        "{\"a.b\":1,\"a.c\":2}",
        "{\"a.b\":{\"c\":1},\"\":1}",
        "{\"a.b.c\":1,\"\":1,\"a.c\":2}",
        "{\"\":{\"\":1}}",
        "{\".\":1}",
        "{\".x.\":1}",
        "{\"\":{\"x\":{\"\":1}}}",
        "{\"\\u0061\":{\"\\u0062\":1,\"c\":2}}",
        "{\"a\\u002eb\":1,\"a\\u002ec\":2}",
        "{\"q\\\"u\":1,\"t\\u0009b\":1}",
        "{\"q\\\"u\":1,\"t\\tb\":1,\"x\":\"\\\\\"}",
        "{\"\xc3\xa4\":\"\xc3\xb6\"}",
        "{\"\\u00e4\":\"\\u00F6\"}",
        "{\"a-name-of-more-than-sixteen-bytes\":1}",
        "{\"a-name-of-more-than-sixteen-byte\":1}",
        "{\"eightlong\":1,\"eightlon\":2,\"sevenlo\":3}",
        "{\"sevenlo\":3,\"eightlon\":2,\"eightlong\":1}",
        "{\"x\":{\"a\":1,\"y\":\"}\\\"\"},\"a\":\"x\"}",
        "{\"x\":-1.5e+10,\"y\":true,\"z\":null,\"a\":null}",
        "{\"x\":\"a long text that is in nobody's way and ends behind \\\" two blocks of bytes\",\"a\":1}",
        "{\"a\":1.0}",
        "{\"a\":1e400}",
    };
    struct fixture all = new_fixture(PATTERNS);

    for (size_t i = 0; PATTERNS[i] != NULL; i++) {
        const char *const one[] = {PATTERNS[i], NULL};
        struct fixture f = new_fixture(one);

        for (size_t k = 0; k < G_N_ELEMENTS(EVENTS); k++) {
            assert_same(&f, EVENTS[k]);
            assert_same(&all, EVENTS[k]);
        }
        done(&f);
    }
    done(&all);
}

/* One run for indexes whose names have other numbers: guesses lead nowhere wrong. */
static void test_run_may_change_its_index(void)
{
    static const char *const FIRST[] = {"{\"a\":{\"b\":[1],\"c\":[1]},\"d\":[1]}", "{\"e\":[1]}",
                                        NULL};
    static const char *const SECOND[] = {"{\"d\":[1],\"c\":{\"b\":[1]}}", NULL};
    static const char *const EVENTS[] = {
        "{\"a\":{\"b\":1,\"c\":1},\"d\":1,\"e\":1}", "{\"c\":{\"b\":1},\"d\":1}",
        "{\"e\":1,\"d\":1,\"c\":{\"b\":1},\"a\":{\"c\":1,\"b\":1}}"};
    struct fixture one = new_fixture(FIRST), two = new_fixture(SECOND);

    for (unsigned i = 0; i < 60; i++)
        assert_right(check_skim(i % 7 < 4 ? one.m : two.m, one.run,
                                slice_text(EVENTS[i * i % G_N_ELEMENTS(EVENTS)])));
    done(&one);
    done(&two);
}

/* What is guessed to come is compared, and in full. */
static void test_guesses_are_never_believed(void)
{
    static const char *const FIRST[] = {"{\"p\":[1]}", "{\"q\":[1]}", NULL};
    static const char *const SECOND[] = {"{\"z\":{\"q\":[1]}}", NULL};
    static const char *const THIRD[] = {"{\"a\\\":1,\\\"b\":[2]}", NULL};
    struct fixture one = new_fixture(FIRST), two = new_fixture(SECOND), three = new_fixture(THIRD);

    /* The second name of each; but below another. */
    assert_right(check_skim(one.m, one.run, SLICE("{\"q\":1,\"p\":1}")));
    assert_right(check_skim(two.m, one.run, SLICE("{\"q\":1,\"more\":2}")));
    /* A name that has quotes in it looks like two members. */
    assert_same(&three, "{\"a\\\":1,\\\"b\":2}");
    assert_same(&three, "{\"a\":1,\"b\":2}");
    done(&one);
    done(&two);
    done(&three);
}

static void test_many_leaves_have_the_same_answers(void)
{
    static const char *const PATTERNS[] = {
        "{\"i\":{\"a\":[\"v77\"],\"b\":[77]}}", "{\"i\":{\"a\":[\"v77\"],\"b\":[78]}}",
        "{\"i\":{\"a\":[{\"anything-but\":\"v77\"}]}}", "{\"j\":[39999]}", NULL};
    struct fixture f = new_fixture(PATTERNS);
    g_autoptr(GString) event = g_string_new("{\"i\":[");

    for (unsigned i = 0; i < 20000; i++)
        g_string_append_printf(event, "%s{\"a\":\"v%u\",\"z\":[%u],\"b\":%u}", i > 0 ? "," : "", i,
                               i, i);
    g_string_append(event, "],\"j\":[0");
    for (unsigned i = 1; i < 40000; i++)
        g_string_append_printf(event, ",%u", i);
    g_string_append(event, "]}");
    assert_same(&f, event->str);
    assert_same(&f, "{\"j\":39999}");
    done(&f);
}

/* ---- no more than it must ---------------------------------------------------------------------
 */

static void test_reading_stops_when_all_was_seen(void)
{
    static const char *const PATTERNS[] = {"{\"t\":[1],\"c\":{\"k\":[\"x\"]}}", NULL};
    struct fixture f = new_fixture(PATTERNS);

    g_assert_cmpuint(count_found(&f, "{\"t\":1,\"c\":{\"k\":\"x\" and no JSON at all"), ==, 1);
    g_assert_cmpuint(count_found(&f, "{\"c\":{\"k\":\"x\",???},\"t\":1"), ==, 1);
    g_assert_cmpuint(count_found(&f, "{\"n\":[nonsense],\"t\":1,\"c\":{\"k\":\"x\""), ==, 1);
    /* An array may have more. */
    g_assert_cmpuint(count_found(&f, "{\"t\":1,\"c\":[{\"k\":\"x\"}"), ==, 0);
    g_assert_cmpuint(count_found(&f, "{\"t\":1,\"c\":[{\"k\":\"y\"},{\"k\":\"x\"}]"), ==, 1);
    done(&f);
}

static void test_what_is_noticed_to_be_wrong_matches_nothing(void)
{
    static const char *const PATTERNS[] = {"{\"a\":[{\"exists\":false}]}", "{\"b\":[1,\"x\"]}",
                                           NULL};
    static const char *const TEXTS[] = {
        "",          " ",          "[]",           "5",           "{",
        "{\"b\"",    "{\"b\":",    "{\"b\":1",     "{\"b\":01}",  "{\"b\":tru",
        "{\"b\":1,", "{\"b\" 1}",  "{\"b\":\"x}",  "{b:1}",       "{\"b\":\"\xc3\"}",
        "{\"b\":]}", "{\"b\":[1}", "{\"b\":[1,]}", "{\"z\":\"x}", "{\"z\":{\"x\":[}",
    };
    struct fixture f = new_fixture(PATTERNS);

    for (size_t i = 0; i < G_N_ELEMENTS(TEXTS); i++)
        g_assert_cmpuint(count_found(&f, TEXTS[i]), ==, 0);
    g_assert_cmpuint(count_found(&f, "{\"b\":1}"), ==, 2);
    done(&f);
}

static void test_every_beginning_of_a_text_is_safe(void)
{
    static const char *const PATTERNS[] = {
        "{\"a\":{\"b\":[1,\"x\"],\"long-name-of-eighteen\":[1]},\"c\":[{\"exists\":false}]}",
        "{\"c\":{\"d\":[1]}}", NULL};
    static const char EVENT[] =
        "{\"z\":{\"\\\"\":[\"\\\\\",{\"}\":[[]]}],\"y\":\"0123456789abcdef0123456789abcdef\\\"0123456789\"},"
        "\"a\":[{\"b\":\"x\\u00e4\\n\",\"long-name-of-eighteen\":-1.5e3},[true,null,{\"b\":1}]],"
        "\"c.d\":false,\"\\u0063\":{\"d\":1}}";
    struct fixture f = new_fixture(PATTERNS);

    for (size_t i = 0; i < sizeof(EVENT); i++)
        for (size_t k = i; k < sizeof(EVENT); k += 7)
            assert_right(check_skim(f.m, f.run, slice_of(EVENT + i, k - i)));
    for (size_t i = 0; i < sizeof(EVENT); i++)
        assert_right(check_skim(f.m, f.run, slice_of(EVENT, i)));
    done(&f);
}

/* 65 brackets are refused by the whole reader; here they must only do no harm. */
static void test_depth_is_bounded(void)
{
    static const char *const PATTERNS[] = {"{\"a\":[1]}", NULL};
    struct fixture f = new_fixture(PATTERNS);

    for (unsigned depth = 60; depth < 70; depth++) {
        g_autoptr(GString) event = g_string_new("{\"a\":");

        for (unsigned i = 1; i < depth; i++)
            g_string_append_c(event, '[');
        g_string_append_c(event, '1');
        for (unsigned i = 1; i < depth; i++)
            g_string_append_c(event, ']');
        g_string_append_c(event, '}');
        assert_right(check_skim(f.m, f.run, slice_of(event->str, event->len)));
        g_assert_cmpuint(count_found(&f, event->str), ==, depth <= JSON_DEPTH_MAX);
    }
    done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/skim/skipping_is_exact_in_every_way", test_skipping_is_exact_in_every_way);
    g_test_add_func("/skim/skipping_counts_depth_beyond_a_block",
                    test_skipping_counts_depth_beyond_a_block);
    g_test_add_func("/skim/random_sets_have_the_same_answers",
                    test_random_sets_have_the_same_answers);
    g_test_add_func("/skim/shapes_have_the_same_answers", test_shapes_have_the_same_answers);
    g_test_add_func("/skim/run_may_change_its_index", test_run_may_change_its_index);
    g_test_add_func("/skim/guesses_are_never_believed", test_guesses_are_never_believed);
    g_test_add_func("/skim/many_leaves_have_the_same_answers",
                    test_many_leaves_have_the_same_answers);
    g_test_add_func("/skim/reading_stops_when_all_was_seen", test_reading_stops_when_all_was_seen);
    g_test_add_func("/skim/what_is_noticed_to_be_wrong_matches_nothing",
                    test_what_is_noticed_to_be_wrong_matches_nothing);
    g_test_add_func("/skim/every_beginning_of_a_text_is_safe",
                    test_every_beginning_of_a_text_is_safe);
    g_test_add_func("/skim/depth_is_bounded", test_depth_is_bounded);
    for (int i = 1; i < argc; i++) {
        g_autofree char *name = g_path_get_basename(argv[i]);
        g_autofree char *path = g_strdup_printf("/skim/cases_have_the_same_answers/%s", name);

        g_test_add_data_func(path, argv[i], test_cases_have_the_same_answers);
    }
    return g_test_run();
}
