/* The index always says what the reference says (core/pattern.h): tried on all known cases at once,
 * on random sets, and on sets and events that are large in one way or another. tests/fuzz goes on
 * where this ends; EF_SOAK=1 in the environment makes this go on for ten minutes.
 *
 * Arguments: files of pattern cases, as for tests/conformance. */
#include "core/matcher/matcher.h"

#include "check_matcher.h"
#include "common/error.h"
#include "common/json.h"
#include "grammar_set.h"

#define SOAK_SECONDS 600

/* ---- helpers ----------------------------------------------------------------------------------
 */

static GPtrArray *list_of(const char *text)
{
    GPtrArray *list = check_list_new();

    g_ptr_array_add(list, g_strdup(text));
    return list;
}

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

/* A set out of nothing but a seed. */
static void derive(unsigned patterns, unsigned events, uint64_t seed, struct check_set *set)
{
    struct grammar_plan plan = {.patterns = patterns,
                                .events = events,
                                .fields = 1 + seed % 12,
                                .values = 1 + seed / 12 % 40,
                                .seed = seed};
    g_autoptr(GPtrArray) pattern_texts = check_list_new();
    g_autoptr(GPtrArray) event_texts = check_list_new();

    grammar_set_derive(SLICE(""), &plan, pattern_texts, event_texts);
    check_set_init(set, pattern_texts, event_texts);
}

/* The builder of those texts. Takes the list. */
static struct matcher_builder *builder_of(GPtrArray *patterns)
{
    struct matcher_builder *b = matcher_builder_new();

    for (guint i = 0; i < patterns->len; i++) {
        struct pattern *pattern = parse(patterns->pdata[i]);

        g_assert_cmpuint(matcher_builder_add(b, pattern), ==, i);
        pattern_free(pattern);
    }
    g_ptr_array_unref(patterns);
    return b;
}

/* The places as text, " 0 5". Owned by caller. */
static char *find_with(const struct matcher *m, struct matcher_run *run, struct flat *flat,
                       const char *event)
{
    GString *text = g_string_new(NULL);
    const uint32_t *places;
    size_t used, count;

    g_assert_true(flat_parse(flat, slice_text(event), 0, &used, NULL));
    count = matcher_find(m, run, flat, &places);
    for (size_t i = 0; i < count; i++)
        g_string_append_printf(text, " %" G_GUINT32_FORMAT, places[i]);
    return g_string_free(text, FALSE);
}

static char *find(const struct matcher *m, struct matcher_run *run, const char *event)
{
    struct flat flat;
    char *text;

    flat_init(&flat);
    text = find_with(m, run, &flat, event);
    flat_done(&flat);
    return text;
}

static void assert_finds(const struct matcher *m, const char *event, const char *places)
{
    struct matcher_run *run = matcher_run_new();
    g_autofree char *found = find(m, run, event);

    g_assert_cmpstr(found, ==, places);
    matcher_run_free(run);
}

static struct matcher *finish(struct matcher_builder *b)
{
    struct matcher *m = matcher_builder_finish(b, 0, NULL);

    g_assert_nonnull(m);
    matcher_builder_free(b);
    return m;
}

/* ---- the life of an index ---------------------------------------------------------------------
 */

static void test_empty_set_matches_nothing(void)
{
    struct matcher *m = finish(matcher_builder_new());
    struct matcher_figures figures;

    assert_finds(m, "{}", "");
    assert_finds(m, "{\"a\":[1,{\"b\":null}]}", "");
    matcher_get_figures(m, &figures);
    g_assert_cmpuint(figures.patterns, ==, 0);
    matcher_free(m);
}

/* Nothing is read of an event for them. */
static void test_patterns_of_absence_alone_are_answered(void)
{
    GPtrArray *patterns = list_of("{\"a\":[{\"exists\":false}]}");
    GPtrArray *events = list_of("{\"b\":1}");

    check_list_add(events, "{\"a\":1}");
    check_list_add(events, "{}");
    check_assert_in_all_ways(patterns, events, 1);
}

static void test_free_accepts_null(void)
{
    matcher_free(NULL);
    matcher_builder_free(NULL);
    matcher_run_free(NULL);
    matcher_builder_free(matcher_builder_new());
    matcher_run_free(matcher_run_new());
}

static void test_builder_may_be_given_up(void)
{
    struct matcher_builder *b = builder_of(list_of("{\"a\":[1,\"x\",{\"prefix\":\"y\"}]}"));

    matcher_builder_sample(b, SLICE("{\"a\":1}"));
    matcher_builder_free(b);
}

static void test_finish_empties_the_builder(void)
{
    struct matcher_builder *b = builder_of(list_of("{\"a\":[1]}"));
    struct matcher *first = matcher_builder_finish(b, 0, NULL);
    struct pattern *pattern = parse("{\"b\":[1]}");
    struct matcher *second;

    g_assert_cmpuint(matcher_builder_add(b, pattern), ==, 0);
    pattern_free(pattern);
    second = finish(b);
    assert_finds(first, "{\"a\":1}", " 0");
    assert_finds(second, "{\"a\":1}", "");
    assert_finds(second, "{\"b\":1}", " 0");
    matcher_free(first);
    matcher_free(second);
}

/* A use after free would show under the address sanitizer; builder_of frees them. */
static void test_patterns_are_borrowed_for_the_call(void)
{
    GPtrArray *patterns =
        list_of("{\"a\":[\"x\",{\"suffix\":\"yz\"}],\"b\":[{\"wildcard\":\"q*r\"}]}");
    struct matcher *m;

    check_list_add(patterns,
                   "{\"a\":[{\"anything-but\":[\"u\",\"v\"]}],\"c\":[{\"cidr\":\"10.0.0.0/8\"}]}");
    check_list_add(patterns,
                   "{\"a.b\":[1e400,{\"numeric\":[\">\",5]}],\"i.j\":[{\"exists\":false}]}");
    m = finish(builder_of(patterns));
    assert_finds(m, "{\"a\":\"xyz\",\"b\":\"qr\",\"c\":\"10.9.9.9\"}", " 0 1");
    assert_finds(m, "{\"a\":{\"b\":[1e400]},\"i\":[{}]}", " 2");
    matcher_free(m);
}

static void test_index_that_would_take_more_is_refused(void)
{
    struct matcher_figures figures;
    struct matcher *m;

    {
        struct check_set set;
        g_autoptr(GArray) order = NULL;

        derive(300, 1, 99, &set);
        order = check_order(set.patterns->len, 0);
        m = check_build(&set, order, false);
        matcher_get_figures(m, &figures);
        matcher_free(m);
        g_assert_cmpuint(figures.bytes, >, set.patterns->len);
        check_set_done(&set);
    }
    for (size_t limit = 1; limit < figures.bytes; limit = limit * 3 / 2 + 1) {
        g_autoptr(GError) error = NULL;
        struct matcher_builder *b = matcher_builder_new();
        struct check_set set;

        derive(300, 1, 99, &set);
        for (guint i = 0; i < set.patterns->len; i++)
            matcher_builder_add(b, set.patterns->pdata[i]);
        m = matcher_builder_finish(b, limit, &error);
        matcher_builder_free(b);
        g_assert_null(m);
        g_assert_error(error, EF_ERROR, EF_ERROR_FULL);
        check_set_done(&set);
    }
}

/* Patterns with a text of that length, each another one. */
static struct matcher_builder *builder_of_long_texts(const char *format, guint count, gsize size)
{
    GPtrArray *patterns = check_list_new();
    g_autofree char *filler = g_strnfill(size, 'x');

    for (guint i = 0; i < count; i++) {
        g_autofree char *text = g_strdup_printf("%u%s", i, filler);
        GString *pattern = g_string_new(format);

        g_string_replace(pattern, "TEXT", text, 0);
        g_ptr_array_add(patterns, g_string_free(pattern, FALSE));
    }
    return builder_of(patterns);
}

/* Whoever gathers them knows before the end that they are too many. */
static void test_bytes_of_texts_are_counted(void)
{
    static const char *const FORMATS[] = {
        "{\"a\":[\"TEXT\"]}", "{\"a\":[{\"suffix\":\"TEXT\"}]}", "{\"TEXT\":[1]}",
        "{\"a\":[{\"anything-but\":[\"TEXT\"]}]}", "{\"a\":[{\"wildcard\":\"*TEXT*\"}]}"};
    const guint count = 200;
    const gsize size = 2000;

    for (guint i = 0; i < G_N_ELEMENTS(FORMATS); i++) {
        struct matcher_builder *b = builder_of_long_texts(FORMATS[i], count, size);
        size_t bytes = matcher_builder_bytes(b);
        g_autoptr(GError) error = NULL;
        struct matcher_figures figures;
        struct matcher *m = finish(b);

        matcher_get_figures(m, &figures);
        g_test_message("%s: gathered %zu, index %zu", FORMATS[i], bytes, figures.bytes);
        g_assert_cmpuint(bytes, >=, count * size * 9 / 10);
        g_assert_cmpuint(bytes, <=, figures.bytes);
        matcher_free(m);
        b = builder_of_long_texts(FORMATS[i], count, size);
        g_assert_null(matcher_builder_finish(b, count * size, &error));
        g_assert_error(error, EF_ERROR, EF_ERROR_FULL);
        matcher_builder_free(b);
    }
}

static void test_memory_that_suffices_is_not_refused(void)
{
    struct matcher_builder *b = builder_of(list_of("{\"a\":[1,\"x\",{\"prefix\":\"y\"}]}"));
    g_autoptr(GError) error = NULL;
    struct matcher *m = matcher_builder_finish(b, 1 << 20, &error);
    struct matcher_figures figures;

    g_assert_no_error(error);
    matcher_builder_free(b);
    matcher_get_figures(m, &figures);
    g_assert_cmpuint(figures.bytes, <=, 1 << 20);
    assert_finds(m, "{\"a\":\"y2\"}", " 0");
    matcher_free(m);
}

static void test_any_document_may_be_a_sample(void)
{
    static const char *const SAMPLES[] = {
        "",
        "{",
        "nonsense",
        "[]",
        "5",
        "null",
        "{}",
        "{\"a\":1}x",
        "{\"a\":[[[{\"a\":1}]]]}",
        "{\"\\ud800\":1}",
        " {\"a\":\"x\"} ",
        "{\"a\":1,\"a\":2,\"a\":\"x\"}",
    };
    struct matcher_builder *b = builder_of(list_of("{\"a\":[1,\"x\",{\"numeric\":[\">\",5]}]}"));
    struct matcher *m;

    for (size_t i = 0; i < 3 * MATCHER_SAMPLE_MAX; i++)
        matcher_builder_sample(b, slice_text(SAMPLES[i % G_N_ELEMENTS(SAMPLES)]));
    m = finish(b);
    assert_finds(m, "{\"a\":1}", " 0");
    assert_finds(m, "{\"a\":5}", "");
    assert_finds(m, "{\"a\":[5,6]}", " 0");
    matcher_free(m);
}

static void test_candidates_are_counted(void)
{
    GPtrArray *patterns = check_list_new();
    struct matcher_run *run = matcher_run_new();
    g_autofree char *found = NULL;
    g_autofree char *none = NULL;
    struct matcher *m;

    for (int i = 0; i < 1000; i++)
        check_list_add(patterns, "{\"a\":[\"k%d\"]}", i);
    m = finish(builder_of(patterns));
    found = find(m, run, "{\"a\":\"k7\"}");
    g_assert_cmpstr(found, ==, " 7");
    g_assert_cmpuint(matcher_run_candidates(run), >=, 1);
    g_assert_cmpuint(matcher_run_candidates(run), <, 100); /* else there would be no index */
    none = find(m, run, "{\"b\":\"k7\"}");
    g_assert_cmpstr(none, ==, "");
    g_assert_cmpuint(matcher_run_candidates(run), ==, 0);
    matcher_run_free(run);
    matcher_free(m);
}

/* ---- all known cases at once ------------------------------------------------------------------
 */

static void add_text(GPtrArray *list, const struct json_value *object, const char *key)
{
    struct slice text = json_get_text(object, key);

    if (text.size > 0)
        g_ptr_array_add(list, g_strndup(text.data, text.size));
}

/* Every valid pattern of the file against every event of the file. */
static void test_cases_in_one_set(gconstpointer file)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    g_autoptr(GPtrArray) patterns = check_list_new();
    GPtrArray *events = check_list_new();
    struct check_set set;

    if (!g_file_get_contents(file, &text, NULL, NULL)) {
        g_test_skip("the file is not there");
        g_ptr_array_unref(events);
        return;
    }
    lines = g_strsplit(text, "\n", -1);
    for (size_t i = 0; lines[i] != NULL; i++) {
        struct arena arena = {0};
        const struct json_value *object = json_parse(slice_text(lines[i]), &arena, NULL);

        add_text(patterns, object, "pattern");
        add_text(events, object, "event");
        arena_done(&arena);
    }
    check_set_init(&set, patterns, events);
    g_assert_cmpuint(set.patterns->len, >, 100);
    g_assert_cmpuint(set.events->len, >, 100);
    check_assert(check_matcher(&set, 7));
    check_set_done(&set);
    g_ptr_array_unref(events);
}

/* ---- random sets ------------------------------------------------------------------------------
 */

static void test_no_order_changes_an_answer(void)
{
    struct matcher_run *run = matcher_run_new();

    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct check_set set;

        derive(seed % 3 == 0 ? 300 : 40, 20, seed * 7919, &set);
        for (uint64_t n = 0; n < 10; n++) {
            g_autoptr(GArray) order = check_order(set.patterns->len, n);
            struct matcher *m = check_build(&set, order, n % 2 == 1);

            check_assert(check_answers(&set, order, m, run));
            matcher_free(m);
        }
        check_set_done(&set);
    }
    matcher_run_free(run);
}

/* Alone, in company, sampled, in turn with others. */
static void test_no_company_changes_an_answer(void)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct check_set set;

        derive(1 + seed % 40, 8, seed * 104729, &set);
        check_assert(check_matcher(&set, seed));
        check_set_done(&set);
    }
}

static void test_large_sets_are_right(void)
{
    static const struct grammar_plan PLANS[] = {
        {.patterns = 20000, .events = 200, .fields = 24, .values = 250, .seed = 1},
        {.patterns = 3000, .events = 60, .fields = 3, .values = 40, .seed = 2},
        {.patterns = 3000, .events = 60, .fields = 64, .values = 4000, .seed = 3},
        {.patterns = 2000, .events = 60, .fields = 1, .values = 8, .seed = 4},
    };
    struct matcher_run *run = matcher_run_new();

    for (size_t i = 0; i < G_N_ELEMENTS(PLANS); i++) {
        g_autoptr(GPtrArray) patterns = check_list_new();
        g_autoptr(GPtrArray) events = check_list_new();
        g_autoptr(GArray) order = NULL;
        struct check_set set;
        struct matcher *m;

        grammar_set_derive(SLICE(""), &PLANS[i], patterns, events);
        check_set_init(&set, patterns, events);
        g_assert_cmpuint(set.patterns->len, >, PLANS[i].patterns / 3);
        order = check_order(set.patterns->len, i);
        m = check_build(&set, order, i % 2 == 0);
        check_assert(check_answers(&set, order, m, run));
        matcher_free(m);
        check_set_done(&set);
    }
    matcher_run_free(run);
}

static void test_random_sets_until_tired(void)
{
    gint64 end = g_get_monotonic_time() + SOAK_SECONDS * G_USEC_PER_SEC;
    uint64_t seed = (uint64_t)g_get_real_time();

    if (g_getenv("EF_SOAK") == NULL) {
        g_test_skip("takes ten minutes: set EF_SOAK=1");
        return;
    }
    g_test_message("first seed %" G_GUINT64_FORMAT, seed);
    while (g_get_monotonic_time() < end) {
        static const unsigned SIZES[] = {1, 3, 10, 40, 150, 500, 2000};
        struct check_set set;

        derive(SIZES[seed % G_N_ELEMENTS(SIZES)], 12, seed, &set);
        check_assert(check_matcher(&set, seed));
        check_set_done(&set);
        seed++;
    }
}

/* ---- families, each over its whole range ------------------------------------------------------
 */

/* Every bound, on and beside it, with both signs of both ends: a rank that is off by one shows. */
static void test_ranges_are_exact_at_their_ends(void)
{
    static const char *const NUMBERS[] = {
        "-1e308",
        "-5",
        "-5e-324",
        "0",
        "-0",
        "5e-324",
        "1",
        "1.0",
        "0.9999999999999999",
        "1.0000000000000002",
        "5",
        "5.5",
        "1e22",
        "1e23",
        "9007199254740992",
        "9007199254740993",
        "1e308",
        "1e400",
        "35.0",
        "3.5e1",
    };
    static const char *const LOWER[] = {">", ">="};
    static const char *const UPPER[] = {"<", "<="};
    g_autoptr(GPtrArray) patterns = check_list_new();
    g_autoptr(GPtrArray) events = check_list_new();
    struct check_set set;

    for (size_t i = 0; i < G_N_ELEMENTS(NUMBERS); i++) {
        check_list_add(events, "{\"a\":%s}", NUMBERS[i]);
        check_list_add(patterns, "{\"a\":[%s]}", NUMBERS[i]);
        check_list_add(patterns, "{\"a\":[{\"anything-but\":%s}]}", NUMBERS[i]);
        check_list_add(patterns, "{\"a\":[{\"numeric\":[\"=\",%s]}]}", NUMBERS[i]);
        for (size_t s = 0; s < 2; s++) {
            check_list_add(patterns, "{\"a\":[{\"numeric\":[\"%s\",%s]}]}", LOWER[s], NUMBERS[i]);
            check_list_add(patterns, "{\"a\":[{\"numeric\":[\"%s\",%s]}]}", UPPER[s], NUMBERS[i]);
        }
        for (size_t j = 0; j < G_N_ELEMENTS(NUMBERS); j++)
            for (size_t s = 0; s < 4; s++)
                check_list_add(patterns, "{\"a\":[{\"numeric\":[\"%s\",%s,\"%s\",%s]}]}",
                               LOWER[s % 2], NUMBERS[i], UPPER[s / 2], NUMBERS[j]);
    }
    check_set_init(&set, patterns, events);
    g_assert_cmpuint(set.patterns->len, >, 500);
    check_assert(check_matcher(&set, 3));
    check_set_done(&set);
}

/* All 65 by 65 ranges between whole numbers: every cell that a range can be cut into. */
static void test_ranges_of_any_width_are_right(void)
{
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();

    for (int low = 0; low <= 64; low++) {
        check_list_add(events, "{\"a\":%d}", low);
        check_list_add(events, "{\"a\":[%d.5,\"x\"]}", low - 1);
        for (int high = low + 1; high <= 65; high++)
            check_list_add(patterns, "{\"a\":[{\"numeric\":[\">=\",%d,\"<\",%d]}]}", low, high);
    }
    check_assert_set(patterns, events, true);
}

static void test_networks_of_any_length_are_right(void)
{
    static const char *const ADDRESSES[] = {
        "0.0.0.0",
        "10.0.0.8",
        "10.0.0.9",
        "10.0.0.10",
        "10.0.1.0",
        "010.0.0.9",
        "9.255.255.255",
        "11.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:a00:9",
        "::a00:9",
        "2001:db8::1",
        "2001:db8::",
        "2001:DB8:0:0:0:0:0:1",
        "2001:db8:8000::",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "10.0.0",
        "10.0.0.9 ",
    };
    g_autoptr(GPtrArray) patterns = check_list_new();
    g_autoptr(GPtrArray) events = check_list_new();
    struct check_set set;

    for (size_t i = 0; i < G_N_ELEMENTS(ADDRESSES); i++) {
        check_list_add(events, "{\"a\":\"%s\"}", ADDRESSES[i]);
        check_list_add(patterns, "{\"a\":[\"%s\"]}", ADDRESSES[i]);
        check_list_add(patterns, "{\"a\":[{\"exactly\":\"%s\"}]}", ADDRESSES[i]);
        check_list_add(patterns, "{\"a\":[{\"anything-but\":\"%s\"}]}", ADDRESSES[i]);
        for (int bits = 0; bits < 128; bits++)
            check_list_add(patterns, "{\"a\":[{\"cidr\":\"%s/%d\"}]}", ADDRESSES[i], bits);
    }
    check_set_init(&set, patterns, events);
    g_assert_cmpuint(set.patterns->len, >, 1000);
    check_assert(check_matcher(&set, 5));
    check_set_done(&set);
}

/* Letters whose cases differ in size, have no partner, or are not each other's. */
static const char *const WORDS[] = {
    "",        "k",       "K",       "\u212a",  "s",      "S",      "\u017f", "\u00df",  "\u1e9e",
    "ss",      "\u0130",  "i",       "I",       "\u0131", "\u00e4", "\u00c4", "a\u0308", "\u2c65",
    "\u023a",  "\u01c4",  "\u01c5",  "\u01c6",  "\u03c3", "\u03c2", "\u03a3", "\\u0000", "k\\u0000",
    "x\u2c65", "X\u023a", "\u2c65x", "\u023aX", "kk",     "KK",     "kK",     "Kk",      "k\u212a",
};

static void add_all_forms(GPtrArray *patterns, const char *word)
{
    static const char *const FORMS[] = {
        "\"%s\"",
        "{\"exactly\":\"%s\"}",
        "{\"prefix\":\"%s\"}",
        "{\"suffix\":\"%s\"}",
        "{\"equals-ignore-case\":\"%s\"}",
        "{\"prefix\":{\"equals-ignore-case\":\"%s\"}}",
        "{\"suffix\":{\"equals-ignore-case\":\"%s\"}}",
        "{\"wildcard\":\"*%s\"}",
        "{\"wildcard\":\"%s*\"}",
        "{\"wildcard\":\"*%s*\"}",
        "{\"wildcard\":\"%s\"}",
        "{\"anything-but\":\"%s\"}",
        "{\"anything-but\":[\"%s\",\"k\"]}",
        "{\"anything-but\":{\"prefix\":\"%s\"}}",
        "{\"anything-but\":{\"suffix\":\"%s\"}}",
        "{\"anything-but\":{\"equals-ignore-case\":\"%s\"}}",
        "{\"anything-but\":{\"equals-ignore-case\":[\"%s\",\"x\"]}}",
        "{\"anything-but\":{\"wildcard\":\"*%s*\"}}",
        "{\"anything-but\":{\"wildcard\":\"%s\"}}",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(FORMS); i++) {
        g_auto(GStrv) parts = g_strsplit(FORMS[i], "%s", 2);

        check_list_add(patterns, "{\"a\":[%s%s%s]}", parts[0], word, parts[1]);
        check_list_add(patterns, "{\"b\":[%s%s%s],\"a\":[{\"exists\":true}]}", parts[0], word,
                       parts[1]);
        check_list_add(patterns, "{\"b\":[%s%s%s,{\"exists\":false}],\"a\":[{\"prefix\":\"k\"},5]}",
                       parts[0], word, parts[1]);
    }
}

static void test_every_operator_knows_every_letter(void)
{
    g_autoptr(GPtrArray) patterns = check_list_new();
    g_autoptr(GPtrArray) events = check_list_new();
    struct check_set set;

    for (size_t i = 0; i < G_N_ELEMENTS(WORDS); i++) {
        add_all_forms(patterns, WORDS[i]);
        check_list_add(events, "{\"a\":\"%s\"}", WORDS[i]);
        check_list_add(events, "{\"b\":\"%s\",\"a\":\"k\"}", WORDS[i]);
        check_list_add(events, "{\"a\":[\"%s\",5,\"k%s\"],\"b\":[\"%sx\",null]}", WORDS[i],
                       WORDS[i], WORDS[(i + 1) % G_N_ELEMENTS(WORDS)]);
    }
    check_list_add(events, "{}");
    check_list_add(events, "{\"a\":5}");
    check_list_add(events, "{\"a\":[],\"b\":{}}");
    check_set_init(&set, patterns, events);
    check_assert(check_matcher(&set, 11));
    check_set_done(&set);
}

/* One to six pieces of one to five letters. Owned by caller. */
static char *few_letters(GRand *random, bool has_stars)
{
    GString *out = g_string_new(NULL);
    int pieces = has_stars ? g_rand_int_range(random, 1, 7) : 8;

    for (int i = 0; i < pieces; i++) {
        if (has_stars && (i > 0 || g_rand_boolean(random)))
            g_string_append_c(out, '*');
        for (int k = g_rand_int_range(random, 1, 6); k > 0; k--)
            g_string_append_c(out, "aab"[g_rand_int_range(random, 0, 3)]);
    }
    if (has_stars && g_rand_boolean(random))
        g_string_append_c(out, '*');
    return g_string_free(out, FALSE);
}

/* Pieces that begin again inside of themselves, and texts that nearly have them. */
static void test_wildcards_of_few_letters_are_found(void)
{
    for (guint32 seed = 1; seed <= 8; seed++) {
        GPtrArray *patterns = check_list_new(), *events = check_list_new();
        GRand *random = g_rand_new_with_seed(seed);

        for (int i = 0; i < 300; i++) {
            g_autofree char *a = few_letters(random, true), *b = few_letters(random, true);

            if (i % 3 == 0)
                check_list_add(patterns,
                               "{\"t\":[{\"anything-but\":{\"wildcard\":[\"%s\",\"%s\"]}}]}", a, b);
            else
                check_list_add(patterns, "{\"%c\":[{\"wildcard\":\"%s\"}]}", i % 5 ? 't' : 'u', a);
        }
        for (int i = 0; i < 30; i++) {
            g_autofree char *a = few_letters(random, false), *b = few_letters(random, false);

            check_list_add(events, "{\"t\":\"%s\",\"u\":[\"%s\",7,\"%.3s\"]}", a, b, a);
        }
        check_assert_set(patterns, events, true);
        g_rand_free(random);
    }
}

/* All operators and types on one field with absence beside them, alone and below arrays. */
static void test_absence_in_arrays_is_judged_by_element(void)
{
    static const char *const SECOND[] = {
        "[{\"exists\":false}]",       "[{\"exists\":true}]",
        "[1,{\"exists\":false}]",     "[{\"anything-but\":1},{\"exists\":false}]",
        "[{\"numeric\":[\">\",1]}]",  "[\"x\",null,{\"exists\":false}]",
        "[{\"anything-but\":\"x\"}]",
    };
    static const char *const FIRST[] = {"[1]", "[\"x\"]", "[{\"exists\":false}]", "[1,\"x\"]"};
    static const char *const EVENTS[] = {
        "{}",
        "{\"i\":[]}",
        "{\"i\":[{\"a\":1},{\"b\":1}]}",
        "{\"i\":[{\"a\":1,\"b\":1},{\"a\":1}]}",
        "{\"i\":[{\"a\":1,\"b\":2},{\"a\":\"x\",\"b\":1}]}",
        "{\"i\":{\"a\":1},\"j\":[{\"a\":1}]}",
        "{\"i\":[{\"a\":[1,\"x\"]},{\"b\":[]}]}",
        "{\"i\":[[{\"a\":1}],[{\"b\":\"x\"}]]}",
        "{\"i\":[1,{\"a\":1}],\"i.b\":\"x\"}",
        "{\"i\":{\"a\":[{\"b\":1}],\"b\":null}}",
        "{\"i\":[{\"a\":1,\"b\":{}},{\"b\":\"x\"}]}",
        "{\"i.a\":1,\"i\":[{\"b\":1}]}",
        "{\"i\":[{\"a\":2,\"b\":1},{\"a\":1,\"b\":[2,\"x\"]}],\"j\":{\"b\":\"x\"}}",
    };
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();

    for (size_t i = 0; i < G_N_ELEMENTS(FIRST); i++) {
        for (size_t j = 0; j < G_N_ELEMENTS(SECOND); j++) {
            check_list_add(patterns, "{\"i\":{\"a\":%s,\"b\":%s}}", FIRST[i], SECOND[j]);
            check_list_add(patterns, "{\"i\":{\"a\":%s},\"j.b\":%s}", FIRST[i], SECOND[j]);
            check_list_add(patterns, "{\"i.a\":%s,\"$or\":[{\"i.b\":%s},{\"i\":[1]}]}", FIRST[i],
                           SECOND[j]);
            check_list_add(patterns, "{\"i.a\":%s,\"i\":{\"b\":%s},\"j.a\":%s}", FIRST[i],
                           SECOND[j], SECOND[j]);
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(EVENTS); i++)
        g_ptr_array_add(events, g_strdup(EVENTS[i]));
    check_assert_in_all_ways(patterns, events, 2);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

struct reader {
    const struct check_set *set;
    const GArray *order;
    const struct matcher *matcher;
};

/* Reads its own copy of the events. Returns what is wrong, or NULL. */
static gpointer read_often(gpointer data)
{
    const struct reader *reader = data;
    struct matcher_run *run = matcher_run_new();
    struct check_set mine = *reader->set;
    char *wrong = NULL;

    mine.events = g_array_new(FALSE, FALSE, sizeof(struct flat));
    for (guint i = 0; i < mine.documents->len; i++) {
        struct flat flat;
        size_t used;

        flat_init(&flat);
        g_assert_true(flat_parse(&flat, slice_text(mine.documents->pdata[i]), 0, &used, NULL));
        g_array_append_val(mine.events, flat);
    }
    for (int i = 0; i < 20 && wrong == NULL; i++)
        wrong = check_answers(&mine, reader->order, reader->matcher, run);
    for (guint i = 0; i < mine.events->len; i++)
        flat_done(&g_array_index(mine.events, struct flat, i));
    g_array_unref(mine.events);
    matcher_run_free(run);
    return wrong;
}

static void test_threads_share_an_index(void)
{
    struct check_set set;
    g_autoptr(GArray) order = NULL;
    struct reader reader = {.set = &set};
    struct matcher *m;
    GThread *threads[2];

    derive(400, 30, 31337, &set);
    order = check_order(set.patterns->len, 0);
    m = check_build(&set, order, true);
    reader.order = order;
    reader.matcher = m;
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("reader", read_often, &reader);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        check_assert(g_thread_join(threads[i]));
    matcher_free(m);
    check_set_done(&set);
}

static void test_plain_values_fit_what_stands_before(void)
{
    static const char *const EVENTS[] = {
        "{\"b\":[{\"a\":[{\"a\":\"p\"},{\"b\":1}],\"a.b\":0}]}",
        "{\"b\":[{\"a\":[{\"a\":\"p\"},{\"b\":1}],\"a\":{\"b\":0}}]}",
        "{\"b\":[{\"a.b\":0,\"a\":[{\"b\":1},{\"a\":\"p\"}]}]}",
        "{\"b\":[{\"a\":[{\"a\":\"p\"},{\"b\":1}]},{\"a.b\":0}]}",
        "{\"b\":[{\"a\":[{\"a\":\"p\"}]},{\"a\":[{\"b\":1}],\"a.a\":\"p\"}]}",
    };
    GPtrArray *patterns = check_list_new(), *events = check_list_new();

    check_list_add(patterns, "{\"b\":{\"a\":{\"a\":[\"p\"],\"b\":[0,1]}}}");
    check_list_add(patterns, "{\"b\":{\"a\":{\"b\":[0,1],\"a\":[{\"exists\":true}]}}}");
    check_list_add(patterns, "{\"b\":{\"a\":{\"a\":[\"p\"],\"b\":[{\"exists\":false}]}}}");
    for (size_t i = 0; i < G_N_ELEMENTS(EVENTS); i++)
        g_ptr_array_add(events, g_strdup(EVENTS[i]));
    check_assert_set(patterns, events, true);
}

/* ---- nested arrays ----------------------------------------------------------------------------
 */

/* A few names, some of which mean the same: dotted ones, repeated ones. */
static const char *nested_name(GRand *random)
{
    static const char *const NAMES[] = {"a", "b", "c", "d", "e", "a.b", "b.c"};

    return NAMES[g_rand_int_range(random, 0, G_N_ELEMENTS(NAMES))];
}

static void put_nested(GString *text, GRand *random, int depth)
{
    int kind = depth > 0 ? g_rand_int_range(random, 0, 10) : 0;
    int count = g_rand_int_range(random, 0, depth == 5 ? 12 : 4);

    if (kind < 3) {
        g_string_append_printf(text, "%d", g_rand_int_range(random, 0, 3));
        return;
    }
    g_string_append_c(text, kind < 6 ? '{' : '[');
    for (int i = 0; i < count; i++) {
        g_string_append(text, i > 0 ? "," : "");
        if (kind < 6)
            g_string_append_printf(text, "\"%s\":", nested_name(random));
        put_nested(text, random, depth - 1);
    }
    g_string_append_c(text, kind < 6 ? '}' : ']');
}

static void put_nested_pattern(GString *text, GRand *random, int depth)
{
    static const char *const LEAVES[] = {"[0]",
                                         "[{\"exists\":false}]",
                                         "[1,2]",
                                         "[{\"exists\":false}]",
                                         "[{\"exists\":true}]",
                                         "[{\"exists\":false},1]",
                                         "[{\"anything-but\":1}]"};
    int count = g_rand_int_range(random, 1, 5);

    g_string_append_c(text, '{');
    for (int i = 0; i < count; i++) {
        g_string_append_printf(text, "%s\"%s\":", i > 0 ? "," : "", nested_name(random));
        if (depth > 0 && g_rand_int_range(random, 0, 3) == 0)
            put_nested_pattern(text, random, depth - 1);
        else
            g_string_append(text, LEAVES[g_rand_int_range(random, 0, G_N_ELEMENTS(LEAVES))]);
    }
    g_string_append_c(text, '}');
}

/* Names that mean the same may come twice, which no pattern may say. */
static bool is_pattern(const char *text)
{
    struct problems problems;
    struct pattern *pattern;

    problems_init(&problems);
    pattern = pattern_parse(slice_text(text), &PATTERN_LIMITS, "#", &problems);
    problems_done(&problems);
    pattern_free(pattern);
    return pattern != NULL;
}

static void test_nested_arrays_are_right(void)
{
    for (guint32 seed = 0; seed < 150; seed++) {
        GRand *random = g_rand_new_with_seed(seed);
        GPtrArray *patterns = check_list_new(), *events = check_list_new();

        for (int i = 0; i < 100; i++) {
            g_autoptr(GString) text = g_string_new(NULL);

            put_nested_pattern(text, random, 3);
            if (is_pattern(text->str))
                g_ptr_array_add(patterns, g_strdup(text->str));
        }
        for (int i = 0; i < 12; i++) {
            g_autoptr(GString) text = g_string_new(NULL);
            const char *name = nested_name(random);

            g_string_printf(text, "{\"%s\":", name);
            put_nested(text, random, 5);
            g_string_append_printf(text, ",\"%s\":", name);
            put_nested(text, random, 4);
            g_string_append_c(text, '}');
            g_ptr_array_add(events, g_strdup(text->str));
        }
        check_assert_set(patterns, events, true);
        g_rand_free(random);
    }
}

/* An event in which a name stands 16 times with an array of three elements, each with some of the
 * fields. One element of each array holds a part of a solution; the others mislead. */
static void add_forks(GPtrArray *events, GRand *random, int fields)
{
    g_autoptr(GString) text = g_string_new("{\"z\":1");

    for (int i = 0; i < 16; i++) {
        int right = g_rand_int_range(random, 0, 3);

        g_string_append(text, ",\"a\":[");
        for (int element = 0; element < 3; element++) {
            g_string_append(text, element > 0 ? ",{\"y\":0" : "{\"y\":0");
            for (int k = 0; k < fields; k++)
                if ((element == right && k % 16 == i) || g_rand_int_range(random, 0, 12) == 0)
                    g_string_append_printf(text, ",\"f%d\":1", k);
            g_string_append_c(text, '}');
        }
        g_string_append_c(text, ']');
    }
    check_list_add(events, "%s}", text->str);
}

/* Which elements of so many arrays go together is hard to find: both give up after the same looks.
 */
static void test_forks_are_given_up_alike(void)
{
    GPtrArray *patterns = check_list_new(), *events = check_list_new();
    GRand *random = g_rand_new_with_seed(3);

    for (int fields = 8; fields < 40; fields += 4) {
        g_autoptr(GString) text = g_string_new("{\"a\":{");

        for (int k = 0; k < fields; k++)
            g_string_append_printf(text, "%s\"f%d\":[1]", k > 0 ? "," : "", k);
        check_list_add(patterns, "%s}}", text->str);
        for (int i = 0; i < 10; i++)
            add_forks(events, random, fields);
    }
    check_assert_set(patterns, events, true);
    g_rand_free(random);
}

/* A run remembers which of an index's paths a name of a reader is: of this index, and this reader.
 */
static void test_names_of_others_are_no_paths(void)
{
    static const char *const events[] = {"{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":3,\"d\":4}",
                                         "{\"b\":1}"};
    static const char *const wanted[2][3] = {{" 0 1", " 2", ""}, {" 1 2", " 0 1", ""}};
    struct matcher_run *run = matcher_run_new();
    struct matcher *m[2];
    struct flat flats[2];

    for (int i = 0; i < 2; i++) {
        GPtrArray *patterns = check_list_new();

        for (int k = 0; k < 3; k++) {
            static const char *const texts[2][3] = {{"{\"a\":[1]}", "{\"b\":[2]}", "{\"d\":[4]}"},
                                                    {"{\"d\":[4]}", "{\"c\":[3]}", "{\"a\":[1]}"}};

            g_ptr_array_add(patterns, g_strdup(texts[i][k]));
        }
        m[i] = finish(builder_of(patterns));
        flat_init(&flats[i]);
    }
    for (unsigned round = 0; round < 64; round++) {
        unsigned which = round & 1, reader = round >> 1 & 1, event = round % 3;
        g_autofree char *found = find_with(m[which], run, &flats[reader], events[event]);

        g_assert_cmpstr(found, ==, wanted[which][event]);
    }
    for (int i = 0; i < 2; i++) {
        flat_done(&flats[i]);
        matcher_free(m[i]);
    }
    matcher_run_free(run);
}

static void add_case_tests(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        g_autofree char *name = g_path_get_basename(argv[i]);
        g_autofree char *path = g_strdup_printf("/matcher/cases_in_one_set/%s", name);

        g_test_add_data_func(path, argv[i], test_cases_in_one_set);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } TESTS[] = {
        {"empty_set_matches_nothing", test_empty_set_matches_nothing},
        {"free_accepts_null", test_free_accepts_null},
        {"patterns_of_absence_alone_are_answered", test_patterns_of_absence_alone_are_answered},
        {"builder_may_be_given_up", test_builder_may_be_given_up},
        {"finish_empties_the_builder", test_finish_empties_the_builder},
        {"patterns_are_borrowed_for_the_call", test_patterns_are_borrowed_for_the_call},
        {"index_that_would_take_more_is_refused", test_index_that_would_take_more_is_refused},
        {"bytes_of_texts_are_counted", test_bytes_of_texts_are_counted},
        {"memory_that_suffices_is_not_refused", test_memory_that_suffices_is_not_refused},
        {"any_document_may_be_a_sample", test_any_document_may_be_a_sample},
        {"candidates_are_counted", test_candidates_are_counted},
        {"no_order_changes_an_answer", test_no_order_changes_an_answer},
        {"no_company_changes_an_answer", test_no_company_changes_an_answer},
        {"large_sets_are_right", test_large_sets_are_right},
        {"random_sets_until_tired", test_random_sets_until_tired},
        {"ranges_are_exact_at_their_ends", test_ranges_are_exact_at_their_ends},
        {"ranges_of_any_width_are_right", test_ranges_of_any_width_are_right},
        {"networks_of_any_length_are_right", test_networks_of_any_length_are_right},
        {"every_operator_knows_every_letter", test_every_operator_knows_every_letter},
        {"wildcards_of_few_letters_are_found", test_wildcards_of_few_letters_are_found},
        {"absence_in_arrays_is_judged_by_element", test_absence_in_arrays_is_judged_by_element},
        {"threads_share_an_index", test_threads_share_an_index},
        {"plain_values_fit_what_stands_before", test_plain_values_fit_what_stands_before},
        {"nested_arrays_are_right", test_nested_arrays_are_right},
        {"forks_are_given_up_alike", test_forks_are_given_up_alike},
        {"names_of_others_are_no_paths", test_names_of_others_are_no_paths},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(TESTS); i++) {
        g_autofree char *path = g_strconcat("/matcher/", TESTS[i].name, NULL);

        g_test_add_func(path, TESTS[i].run);
    }
    add_case_tests(argc, argv);
    return g_test_run();
}
