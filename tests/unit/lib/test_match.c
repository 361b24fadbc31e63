/* Nothing of EventFlow but the public header: what a host has. GLib is this test's own tool. */
#include <eventflow-match.h>

#include <string.h>
#include <sys/resource.h>

#include <glib.h>

#define PURCHASE "{\"type\":\"purchase\",\"amount\":75,\"tags\":[\"new\",\"vip\"]}"
#define UNSET    ((size_t)77)

/* ---- helpers --------------------------------------------------------------------------------- */

static struct ef_match_bytes bytes_of(const char *text)
{
    return (struct ef_match_bytes){text, text != NULL ? strlen(text) : 0};
}

static struct ef_match_compiler *new_compiler(const struct ef_match_options *options)
{
    struct ef_match_compiler *c = ef_match_compiler_new(options, NULL);

    g_assert_nonnull(c);
    return c;
}

static void add(struct ef_match_compiler *c, const char *id, const char *pattern)
{
    struct ef_match_error error = {.text = ""};

    g_assert_cmpint(ef_match_compiler_add(c, bytes_of(id), bytes_of(pattern), &error), ==,
                    EF_MATCH_OK);
    g_assert_cmpstr(error.text, ==, "");
}

/* "id", "pattern", "id", "pattern" …, NULL. The reference is the caller's. */
static struct ef_match_set *new_set(const char *const *rules)
{
    struct ef_match_compiler *c = new_compiler(NULL);
    struct ef_match_set *set;

    for (; *rules != NULL; rules += 2)
        add(c, rules[0], rules[1]);
    set = ef_match_compile(c, NULL);
    g_assert_nonnull(set);
    ef_match_compiler_free(c);
    return set;
}

/* The reader is the only one that holds the set. */
static struct ef_match_reader *new_reader(const char *const *rules)
{
    struct ef_match_set *set = new_set(rules);
    struct ef_match_reader *r = ef_match_reader_new(set);

    ef_match_set_unref(set);
    return r;
}

/* The ids that match, in the order of the answer, a space behind each. Owned by caller. */
static char *found(struct ef_match_reader *r, const char *event)
{
    const struct ef_match_bytes *ids = NULL;
    size_t count = UNSET;
    GString *out = g_string_new(NULL);

    g_assert_cmpint(ef_match_find(r, bytes_of(event), &ids, &count, NULL), ==, EF_MATCH_OK);
    for (size_t i = 0; i < count; i++) {
        g_string_append_len(out, ids[i].data, (gssize)ids[i].size);
        g_string_append_c(out, ' ');
    }
    return g_string_free(out, FALSE);
}

static void check_found(struct ef_match_reader *r, const char *event, const char *wanted)
{
    g_autofree char *ids = found(r, event);

    g_assert_cmpstr(ids, ==, wanted);
}

/* The text with which a pattern is refused. Owned by caller. */
static char *refusal(const struct ef_match_options *options, const char *pattern)
{
    struct ef_match_compiler *c = new_compiler(options);
    struct ef_match_error error = {.code = EF_MATCH_OK};

    g_assert_cmpint(ef_match_compiler_add(c, bytes_of("a"), bytes_of(pattern), &error), ==,
                    EF_MATCH_BAD_PATTERN);
    g_assert_cmpint(error.code, ==, EF_MATCH_BAD_PATTERN);
    ef_match_compiler_free(c);
    return g_strdup(error.text);
}

static void check_bad_event(struct ef_match_reader *r, struct ef_match_bytes event,
                            const char *wanted)
{
    const struct ef_match_bytes *ids = &event;
    const uint32_t *places = NULL;
    size_t count = UNSET;
    struct ef_match_error error = {.code = EF_MATCH_OK};

    g_assert_cmpint(ef_match_find(r, event, &ids, &count, &error), ==, EF_MATCH_BAD_EVENT);
    g_assert_cmpint(error.code, ==, EF_MATCH_BAD_EVENT);
    g_assert_cmpstr(error.text, ==, wanted);
    g_assert_cmpint(ef_match_find_places(r, event, &places, &count, NULL), ==, EF_MATCH_BAD_EVENT);
    g_assert_true(ids == &event && places == NULL && count == UNSET);
}

/* ---- sets and answers ------------------------------------------------------------------------ */

static const char *const RULES[] = {
    "vip",        "{\"tags\":[\"vip\"]}",
    "large",      "{\"amount\":[{\"numeric\":[\">\",50]}]}",
    "refund",     "{\"type\":[\"refund\"]}",
    "no-coupon",  "{\"coupon\":[{\"exists\":false}]}",
    "a-purchase", "{\"type\":[\"purchase\"],\"$or\":[{\"amount\":[1]},{\"tags\":[\"new\"]}]}",
    NULL,
};

static void test_ids_in_order(void)
{
    struct ef_match_reader *r = new_reader(RULES);

    check_found(r, PURCHASE, "vip large no-coupon a-purchase ");
    check_found(r, "{\"type\":\"refund\",\"coupon\":1}", "refund ");
    check_found(r, "{\"coupon\":1}", "");
    check_found(r, PURCHASE, "vip large no-coupon a-purchase ");
    ef_match_reader_free(r);
}

static void test_places(void)
{
    static const uint32_t WANTED[] = {0, 1, 3, 4};
    struct ef_match_reader *r = new_reader(RULES);
    const uint32_t *places = NULL;
    size_t count = 0;

    g_assert_cmpint(ef_match_find_places(r, bytes_of(PURCHASE), &places, &count, NULL), ==,
                    EF_MATCH_OK);
    g_assert_cmpmem(places, count * sizeof(*places), WANTED, sizeof(WANTED));
    ef_match_reader_free(r);
}

static void test_trusted(void)
{
    static const uint32_t WANTED[] = {0, 1, 3, 4};
    struct ef_match_reader *r = new_reader(RULES);
    const uint32_t *places = NULL;
    size_t count = UNSET;

    g_assert_cmpint(ef_match_find_trusted(r, bytes_of(PURCHASE), &places, &count, NULL), ==,
                    EF_MATCH_OK);
    g_assert_cmpmem(places, count * sizeof(*places), WANTED, sizeof(WANTED));
    g_assert_cmpint(ef_match_find_trusted(r, bytes_of("{\"coupon\":1"), &places, &count, NULL), ==,
                    EF_MATCH_OK);
    g_assert_cmpuint(count, ==, 0); /* broken, and noticed */
    ef_match_reader_free(r);
}

static void test_ids_are_bytes(void)
{
    struct ef_match_compiler *c = new_compiler(NULL);
    char id[] = {'a', '\0', '\xff'};
    struct ef_match_set *set;
    struct ef_match_bytes kept;

    g_assert_cmpint(
        ef_match_compiler_add(c, (struct ef_match_bytes){id, 3}, bytes_of("{\"a\":[1]}"), NULL), ==,
        EF_MATCH_OK);
    g_assert_cmpint(
        ef_match_compiler_add(c, (struct ef_match_bytes){NULL, 0}, bytes_of("{\"a\":[2]}"), NULL),
        ==, EF_MATCH_OK);
    memset(id, 'x', sizeof(id));
    set = ef_match_compile(c, NULL);
    ef_match_compiler_free(c);
    kept = ef_match_set_id(set, 0);
    g_assert_cmpmem(kept.data, kept.size + 1, "a\0\xff", 4);
    kept = ef_match_set_id(set, 1);
    g_assert_cmpmem(kept.data, kept.size + 1, "", 1);
    ef_match_set_unref(set);
}

static void test_same_id_twice(void)
{
    static const char *const rules[] = {"a", "{\"a\":[1]}", "b", "{\"a\":[1]}",
                                        "a", "{\"b\":[1]}", NULL};
    struct ef_match_reader *r = new_reader(rules);

    check_found(r, "{\"a\":1,\"b\":1}", "a b a ");
    ef_match_reader_free(r);
}

static void test_empty_set(void)
{
    static const char *const rules[] = {NULL};
    struct ef_match_set *set = new_set(rules);
    struct ef_match_reader *r = ef_match_reader_new(set);

    g_assert_cmpuint(ef_match_set_count(set), ==, 0);
    check_found(r, PURCHASE, "");
    ef_match_reader_free(r);
    ef_match_set_unref(set);
}

static void test_samples(void)
{
    struct ef_match_compiler *c = new_compiler(NULL);
    struct ef_match_set *set;
    struct ef_match_reader *r;

    for (size_t i = 0; RULES[i] != NULL; i += 2) {
        ef_match_compiler_sample(c, bytes_of(i == 2 ? "no JSON" : "{\"type\":\"purchase\"}"));
        ef_match_compiler_sample(c, (struct ef_match_bytes){NULL, 0});
        add(c, RULES[i], RULES[i + 1]);
    }
    set = ef_match_compile(c, NULL);
    r = ef_match_reader_new(set);
    check_found(r, PURCHASE, "vip large no-coupon a-purchase ");
    ef_match_reader_free(r);
    ef_match_set_unref(set);
    ef_match_compiler_free(c);
}

/* The most memory this process had until now. Units: KiB. */
static long peak_memory(void)
{
    struct rusage usage;

    g_assert_cmpint(getrusage(RUSAGE_SELF, &usage), ==, 0);
    return usage.ru_maxrss;
}

/* 16 MiB of the 400 that are shown. */
static void test_samples_are_bounded(void)
{
    struct ef_match_compiler *c = new_compiler(NULL);
    g_autofree char *spaces = g_strnfill(1 << 20, ' ');
    long before;

    memcpy(spaces, "{}", 2);
    before = peak_memory();
    for (int i = 0; i < 400; i++)
        ef_match_compiler_sample(c, bytes_of(spaces));
    g_assert_cmpint(peak_memory() - before, <, 100 << 10);
    ef_match_compiler_free(c);
}

static void test_set_outlives(void)
{
    struct ef_match_set *set = new_set(RULES);
    struct ef_match_reader *r;

    g_assert_true(ef_match_set_ref(set) == set);
    ef_match_set_unref(set);
    g_assert_cmpuint(ef_match_set_count(set), ==, 5);
    g_assert_cmpuint(ef_match_set_memory(set), >, 5 * sizeof(struct ef_match_bytes));
    r = ef_match_reader_new(set);
    ef_match_set_unref(set);
    check_found(r, PURCHASE, "vip large no-coupon a-purchase "); /* the reader's reference */
    ef_match_reader_free(r);
    ef_match_set_unref(NULL);
    ef_match_reader_free(NULL);
    ef_match_compiler_free(NULL);
}

static void test_reader_moves_on(void)
{
    static const char *const newer[] = {"newer", "{\"type\":[\"purchase\"]}", NULL};
    struct ef_match_reader *r = new_reader(RULES);
    struct ef_match_set *set = new_set(newer);

    check_found(r, PURCHASE, "vip large no-coupon a-purchase ");
    ef_match_reader_use(r, set);
    check_found(r, PURCHASE, "newer ");
    ef_match_set_unref(set);
    ef_match_reader_use(r, set); /* the one that it holds alone */
    check_found(r, PURCHASE, "newer ");
    ef_match_reader_free(r);
}

static void test_compiler_starts_anew(void)
{
    struct ef_match_compiler *c = new_compiler(NULL);
    struct ef_match_set *first, *second;
    struct ef_match_reader *r;

    add(c, "first", "{\"a\":[1]}");
    first = ef_match_compile(c, NULL);
    add(c, "second", "{\"a\":[1]}");
    second = ef_match_compile(c, NULL);
    ef_match_compiler_free(c);
    r = ef_match_reader_new(first);
    check_found(r, "{\"a\":1}", "first ");
    ef_match_reader_use(r, second);
    check_found(r, "{\"a\":1}", "second ");
    ef_match_reader_free(r);
    ef_match_set_unref(first);
    ef_match_set_unref(second);
}

/* ---- patterns that are refused --------------------------------------------------------------- */

static void test_bad_patterns(void)
{
    static const struct {
        const char *pattern, *text;
    } cases[] = {
        {"{}", "#: must name at least one field, e.g. {\"event_type\": [\"purchase\"]}"},
        {"{\"a\":[{\"prefx\":\"x\"}],\"b/c\":{\"d\":[]}}",
         "#/a/0/prefx: unknown operator; did you mean \"prefix\"?; "
         "#/b~1c/d: must have at least one value, e.g. [50]"},
        {"{\"a\":[1]} x", "#: nothing may follow the document at line 1, column 11 (byte 10)"},
        {NULL, "#: the text ends too early at line 1, column 1 (byte 0)"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = refusal(NULL, cases[i].pattern);

        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

static void test_goes_on_after_bad_pattern(void)
{
    struct ef_match_compiler *c = new_compiler(NULL);
    struct ef_match_set *set;
    struct ef_match_reader *r;

    add(c, "a", "{\"a\":[1]}");
    g_assert_cmpint(ef_match_compiler_add(c, bytes_of("b"), bytes_of("{\"a\":[1]"), NULL), ==,
                    EF_MATCH_BAD_PATTERN);
    add(c, "c", "{\"a\":[1]}");
    set = ef_match_compile(c, NULL);
    ef_match_compiler_free(c);
    g_assert_cmpuint(ef_match_set_count(set), ==, 2);
    r = ef_match_reader_new(set);
    check_found(r, "{\"a\":1}", "a c ");
    ef_match_reader_free(r);
    ef_match_set_unref(set);
}

/* A mistake in each of many fields, which repeats characters of two bytes: each length of the name
 * in front moves the place of the cut by one. */
static void test_long_error_is_cut(void)
{
    for (int shift = 1; shift <= 4; shift++) {
        GString *pattern = g_string_new("{");
        g_autofree char *text = NULL;

        g_string_append_printf(pattern, "\"%.*s\":[{\"prefix\":1}]", shift, "xxxx");
        for (int i = 0; i < 30; i++)
            g_string_append_printf(pattern, ",\"a%d\":\"öööööööööööööööööööööööö\"", i);
        g_string_append_c(pattern, '}');
        text = refusal(NULL, pattern->str);
        g_assert_cmpuint(strlen(text), >=, EF_MATCH_ERROR_BYTES - 1 - 3);
        g_assert_cmpuint(strlen(text), <, EF_MATCH_ERROR_BYTES);
        g_assert_true(g_str_has_suffix(text, "…"));
        g_assert_true(g_utf8_validate(text, -1, NULL));
        g_string_free(pattern, TRUE);
    }
}

/* ---- options --------------------------------------------------------------------------------- */

/* A lowered limit refuses what is past it and nothing else; the usual one lets it pass. */
static void check_limit(const struct ef_match_options *options, const char *fits, const char *past,
                        const char *text)
{
    struct ef_match_compiler *lowered = new_compiler(options);
    struct ef_match_compiler *usual = new_compiler(NULL);
    g_autofree char *refused = refusal(options, past);

    add(lowered, "fits", fits);
    add(usual, "past", past);
    g_assert_cmpstr(refused, ==, text);
    ef_match_compiler_free(lowered);
    ef_match_compiler_free(usual);
}

static void test_pattern_limits(void)
{
    struct ef_match_options options = EF_MATCH_OPTIONS_INIT;
    struct ef_match_options usual = EF_MATCH_OPTIONS_INIT;

    options.pattern_text_max = 9;
    check_limit(&options, "{\"a\":[1]}", "{\"a\":[1]} ",
                "#: has 10 bytes; a pattern may have at most 9");
    options = usual;
    options.pattern_values_max = 2;
    check_limit(&options, "{\"a\":[1,2]}", "{\"a\":[1,2,3]}",
                "#/a/2: is value 3 of the pattern; the limit is 2");
    options = usual;
    options.pattern_depth_max = 2;
    check_limit(&options, "{\"a\":{\"b\":[1]}}", "{\"a\":{\"b\":{\"c\":[1]}}}",
                "#/a/b: is nested deeper than 2 objects");
    options = usual;
    options.pattern_conjunctions_max = 2;
    check_limit(
        &options, "{\"$or\":[{\"a\":[1]},{\"b\":[1]}]}",
        "{\"$or\":[{\"a\":[1]},{\"b\":[1]},{\"c\":[1]}]}",
        "#/$or/2: multiplied out, the pattern has more than 2 combinations of $or branches");
    options = usual;
    options.pattern_stars_max = 1;
    check_limit(&options, "{\"a\":[{\"wildcard\":\"x*\"}]}", "{\"a\":[{\"wildcard\":\"*x*\"}]}",
                "#/a/0/wildcard: has 2 stars; a wildcard may have at most 1");
}

static void check_bad_options(const struct ef_match_options *options, const char *text)
{
    struct ef_match_error error = {.code = EF_MATCH_OK};

    g_assert_null(ef_match_compiler_new(options, &error));
    g_assert_cmpint(error.code, ==, EF_MATCH_BAD_OPTIONS);
    g_assert_nonnull(strstr(error.text, text));
}

static void test_option_ranges(void)
{
    struct ef_match_options options = EF_MATCH_OPTIONS_INIT;

    options.pattern_depth_max = 60;
    ef_match_compiler_free(new_compiler(&options));
    options.pattern_depth_max = 61;
    check_bad_options(&options, "pattern_depth_max is 61; at most 60 are possible");
    options.pattern_depth_max = 0;
    options.event_text_max = (size_t)INT32_MAX + 1;
    check_bad_options(&options, "event_text_max");
    options.size = 0;
    check_bad_options(&options, "EF_MATCH_OPTIONS_INIT");
}

/* What a host has that was compiled with another version's header. */
static void test_options_of_other_versions(void)
{
    struct {
        struct ef_match_options known;
        size_t unknown;
    } newer = {EF_MATCH_OPTIONS_INIT, 0};
    struct ef_match_options older = EF_MATCH_OPTIONS_INIT;
    g_autofree char *refused = NULL;

    newer.known.size = sizeof(newer);
    ef_match_compiler_free(new_compiler(&newer.known));
    newer.unknown = 1;
    check_bad_options(&newer.known, "does not have");
    older.size = G_STRUCT_OFFSET(struct ef_match_options, pattern_values_max);
    older.pattern_text_max = 8;
    older.pattern_depth_max = 65; /* not his: something behind his struct */
    refused = refusal(&older, "{\"a\":[1]}");
    g_assert_cmpstr(refused, ==, "#: has 9 bytes; a pattern may have at most 8");
}

static void test_memory_limit_of_ids(void)
{
    struct ef_match_options options = EF_MATCH_OPTIONS_INIT;
    struct ef_match_error error = {.code = EF_MATCH_OK};
    struct ef_match_compiler *c;
    g_autofree char *id = g_strnfill(10000, 'x');

    options.memory_max = 10000;
    c = new_compiler(&options);
    add(c, "short", "{\"a\":[1]}");
    g_assert_cmpint(ef_match_compiler_add(c, bytes_of(id), bytes_of("{\"a\":[1]}"), &error), ==,
                    EF_MATCH_FULL);
    g_assert_cmpint(error.code, ==, EF_MATCH_FULL);
    g_assert_cmpstr(error.text, ==,
                    "the ids alone would take more than the 10000 bytes of memory_max");
    ef_match_compiler_free(c);
}

static void test_memory_limit_of_set(void)
{
    struct ef_match_options options = EF_MATCH_OPTIONS_INIT;
    struct ef_match_error error = {.code = EF_MATCH_OK};
    struct ef_match_compiler *c;
    struct ef_match_set *set;

    options.memory_max = 64 << 10;
    c = new_compiler(&options);
    for (int i = 0; i < 2000; i++) {
        g_autofree char *pattern = g_strdup_printf("{\"f%d\":[\"%0200d\"]}", i, i);

        add(c, "a", pattern);
    }
    g_assert_null(ef_match_compile(c, &error));
    g_assert_cmpint(error.code, ==, EF_MATCH_FULL);
    g_assert_cmpstr(error.text, ==, "the set would take more than the 65536 bytes of memory_max");
    add(c, "a", "{\"a\":[1]}"); /* empty again, and of use */
    set = ef_match_compile(c, NULL);
    g_assert_nonnull(set);
    g_assert_cmpuint(ef_match_set_count(set), ==, 1);
    g_assert_cmpuint(ef_match_set_memory(set), <=, options.memory_max);
    ef_match_set_unref(set);
    ef_match_compiler_free(c);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void test_bad_events(void)
{
    static const struct {
        const char *event, *text;
    } cases[] = {
        {NULL, "the text ends too early at line 1, column 1 (byte 0)"},
        {" \n ", "the text ends too early at line 2, column 2 (byte 3)"},
        {"{\"a\":1", "the text ends too early at line 1, column 7 (byte 6)"},
        {"{\"a\":01}", "a number may not begin with 0 at line 1, column 6 (byte 5)"},
        {"{\"a\":1}\n{\"a\":1}", "nothing may follow the event at line 2, column 1 (byte 8)"},
        {"{\"a\":1},", "nothing may follow the event at line 1, column 8 (byte 7)"},
        {"[{\"a\":1}]", "must be an object, not an array"},
        {"\"a\"", "must be an object, not a string"},
        {"null", "must be an object, not null"},
        {"{\"a\":\"\xff\"}", "a string that is not valid UTF-8 at line 1, column 7 (byte 6)"},
    };
    static const char *const rules[] = {"a", "{\"a\":[1]}", NULL};
    struct ef_match_reader *r = new_reader(rules);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        check_bad_event(r, bytes_of(cases[i].event), cases[i].text);
        check_found(r, " \r\n{\"a\":1}\t ", "a "); /* as before */
    }
    /* A NUL behind the object is a byte like any other. */
    check_bad_event(r, (struct ef_match_bytes){"{\"a\":1}", 8},
                    "nothing may follow the event at line 1, column 8 (byte 7)");
    ef_match_reader_free(r);
}

static void test_event_size(void)
{
    struct ef_match_options options = EF_MATCH_OPTIONS_INIT;
    struct ef_match_compiler *c;
    struct ef_match_set *set;
    struct ef_match_reader *r;
    const uint32_t *places;
    size_t count;

    options.event_text_max = 7;
    c = new_compiler(&options);
    add(c, "a", "{\"a\":[1]}");
    set = ef_match_compile(c, NULL);
    r = ef_match_reader_new(set);
    check_found(r, "{\"a\":1}", "a ");
    check_bad_event(r, bytes_of("{\"a\":1} "),
                    "has 8 bytes; an event may have at most 7 (event_text_max)");
    g_assert_cmpint(ef_match_find_trusted(r, bytes_of("{\"a\":1} "), &places, &count, NULL), ==,
                    EF_MATCH_BAD_EVENT);
    ef_match_reader_free(r);
    ef_match_set_unref(set);
    ef_match_compiler_free(c);
}

/* ---- threads --------------------------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS  2000

/* Each with a reader of its own, references of its own, and an event of its own. */
static gpointer match_many(gpointer data)
{
    struct ef_match_set *set = data;
    struct ef_match_reader *r = ef_match_reader_new(set);

    for (int i = 0; i < ROUNDS; i++) {
        if (i % 100 == 0)
            ef_match_reader_use(r, set);
        check_found(r, i % 2 == 0 ? PURCHASE : "{\"type\":\"refund\",\"coupon\":1}",
                    i % 2 == 0 ? "vip large no-coupon a-purchase " : "refund ");
    }
    ef_match_reader_free(r);
    ef_match_set_unref(set);
    return NULL;
}

static void test_threads(void)
{
    struct ef_match_set *set = new_set(RULES);
    GThread *threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("match", match_many, ef_match_set_ref(set));
    ef_match_set_unref(set); /* the last of the threads frees it */
    for (int i = 0; i < THREADS; i++)
        g_thread_join(threads[i]);
}

static void test_version(void)
{
    g_autofree char *numbers = g_strdup_printf("%d.%d.%d", EF_MATCH_VERSION_MAJOR,
                                               EF_MATCH_VERSION_MINOR, EF_MATCH_VERSION_MICRO);

    g_assert_cmpstr(ef_match_version(), ==, EF_MATCH_VERSION);
    g_assert_cmpstr(ef_match_version(), ==, numbers);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/match/ids_in_the_order_of_adding", test_ids_in_order);
    g_test_add_func("/match/places_count_from_the_first_added", test_places);
    g_test_add_func("/match/trusted_events_have_the_same_places", test_trusted);
    g_test_add_func("/match/ids_are_any_bytes_and_copied", test_ids_are_bytes);
    g_test_add_func("/match/an_id_may_stand_twice", test_same_id_twice);
    g_test_add_func("/match/an_empty_set_matches_nothing", test_empty_set);
    g_test_add_func("/match/samples_change_no_answer", test_samples);
    g_test_add_func("/match/samples_take_little_memory", test_samples_are_bounded);
    g_test_add_func("/match/a_set_lives_as_long_as_its_references", test_set_outlives);
    g_test_add_func("/match/a_reader_moves_on_to_another_set", test_reader_moves_on);
    g_test_add_func("/match/a_compiler_makes_several_sets", test_compiler_starts_anew);
    g_test_add_func("/match/bad_patterns_are_refused_with_pointers", test_bad_patterns);
    g_test_add_func("/match/a_bad_pattern_changes_nothing", test_goes_on_after_bad_pattern);
    g_test_add_func("/match/long_errors_end_at_a_character", test_long_error_is_cut);
    g_test_add_func("/match/pattern_limits_hold", test_pattern_limits);
    g_test_add_func("/match/options_out_of_range_are_refused", test_option_ranges);
    g_test_add_func("/match/options_of_other_versions", test_options_of_other_versions);
    g_test_add_func("/match/ids_count_towards_the_memory", test_memory_limit_of_ids);
    g_test_add_func("/match/a_set_past_its_memory_is_refused_whole", test_memory_limit_of_set);
    g_test_add_func("/match/bad_events_are_refused_and_the_reader_goes_on", test_bad_events);
    g_test_add_func("/match/event_size_is_limited", test_event_size);
    g_test_add_func("/match/threads_share_a_set", test_threads);
    g_test_add_func("/match/versions_agree", test_version);
    return g_test_run();
}
