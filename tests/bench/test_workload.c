#include "match/workload.h"

#include "core/pattern.h"
#include "match/hurt.h"

#define EVENTS     300
#define HURT_RULES 100

static const uint32_t RULES[] = {1, 2, 10, 100, 1000, 10000, 100000, 1000000};

/* ---- helpers --------------------------------------------------------------------------------- */

static struct workload *make(enum workload_set set, uint32_t rules, uint64_t seed)
{
    return workload_new(&(struct workload_options){.set = set, .rules = rules, .seed = seed});
}

/* Some events and patterns as one text; backwards: written from the last to the first, and put in
 * order. Owned by caller. */
static char *text_of(enum workload_set set, uint32_t rules, uint64_t seed, bool backwards)
{
    struct workload *w = make(set, rules, seed);
    uint32_t count = MIN(workload_rules(w), 200);
    g_auto(GStrv) lines = g_new0(char *, count + 1);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = backwards ? count - 1 - i : i;
        GString *line = g_string_new(NULL);

        workload_write_event(w, number, line);
        workload_write_pattern(w, number, line);
        lines[number] = g_string_free(line, FALSE);
    }
    workload_free(w);
    return g_strjoinv("\n", lines);
}

static struct pattern *parse(struct slice text)
{
    struct problems problems;
    struct pattern *pattern;

    problems_init(&problems);
    pattern = pattern_parse(text, &PATTERN_LIMITS, "#", &problems);
    if (pattern == NULL) {
        g_autofree char *why = problems_text(&problems);

        g_error("%s: %.*s", why, (int)MIN(text.size, 500), text.data);
    }
    problems_done(&problems);
    return pattern;
}

static struct pattern *pattern_of(const struct workload *w, uint32_t number, GString *text)
{
    g_string_truncate(text, 0);
    workload_write_pattern(w, number, text);
    return parse(slice_of(text->str, text->len));
}

static void read_event(const struct workload *w, uint64_t number, struct flat *flat, GString *text)
{
    size_t used;

    g_string_truncate(text, 0);
    workload_write_event(w, number, text);
    g_assert_true(flat_parse(flat, slice_of(text->str, text->len), 0, &used, NULL));
    g_assert_cmpuint(used, ==, text->len);
    g_assert_cmpint(flat->type, ==, JSON_OBJECT);
}

/* A pattern from all over the set: the first ones, and others up to the last. */
static uint32_t some_number(const struct workload *w, uint32_t i)
{
    uint32_t rules = workload_rules(w);

    return i < 1000 || rules < 2000 ? i : (uint32_t)((uint64_t)(i - 999) * (rules - 1) / 1001);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_sets_are_found_by_name(void)
{
    enum workload_set set;

    for (int i = 0; i < WORKLOAD_SETS; i++) {
        g_assert_true(workload_set_parse(workload_set_name((enum workload_set)i), &set));
        g_assert_cmpint(set, ==, i);
    }
    g_assert_false(workload_set_parse("mixed", &set));
}

static void test_same_seed_gives_the_same_bytes(void)
{
    for (int set = 0; set < WORKLOAD_SETS; set++) {
        g_autofree char *first = text_of((enum workload_set)set, 10000, 7, false);
        g_autofree char *second = text_of((enum workload_set)set, 10000, 7, false);

        g_assert_cmpstr(first, ==, second);
    }
}

static void test_bytes_depend_on_the_number_alone(void)
{
    for (int set = 0; set < WORKLOAD_SETS; set++) {
        g_autofree char *forwards = text_of((enum workload_set)set, 10000, 7, false);
        g_autofree char *backwards = text_of((enum workload_set)set, 10000, 7, true);

        g_assert_cmpstr(forwards, ==, backwards);
    }
}

static void test_another_seed_gives_other_bytes(void)
{
    for (int set = 0; set < WORKLOAD_SETS; set++) {
        g_autofree char *first = text_of((enum workload_set)set, 10000, 7, false);
        g_autofree char *second = text_of((enum workload_set)set, 10000, 8, false);

        g_assert_cmpstr(first, !=, second);
    }
}

static void test_every_pattern_parses(void)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (int set = 0; set < WORKLOAD_SETS; set++)
        for (size_t r = 0; r < G_N_ELEMENTS(RULES); r++) {
            struct workload *w = make((enum workload_set)set, RULES[r], 1 + r);
            uint32_t count = MIN(workload_rules(w), 2000);

            for (uint32_t i = 0; i < count; i++)
                pattern_free(pattern_of(w, some_number(w, i), text));
            workload_free(w);
        }
}

static void test_every_event_parses_and_has_its_size(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    struct flat flat;

    flat_init(&flat);
    for (int set = 0; set < WORKLOAD_SETS; set++) {
        struct workload *w = make((enum workload_set)set, 100000, 3);
        size_t least = set == WORKLOAD_FIVE ? WORKLOAD_FIVE_SIZE : WORKLOAD_EVENT_MIN;
        size_t most = set == WORKLOAD_FIVE ? WORKLOAD_FIVE_SIZE : WORKLOAD_EVENT_MAX;

        for (uint64_t i = 0; i < 3000; i++) {
            read_event(w, i * 997, &flat, text);
            g_assert_cmpuint(text->len, >=, least);
            g_assert_cmpuint(text->len, <=, most);
        }
        workload_free(w);
    }
    flat_done(&flat);
}

/* Matches an event, counted with the reference evaluator. */
static double matches_of(enum workload_set set, uint32_t rules)
{
    struct workload *w = make(set, rules, 1);
    g_autofree struct flat *flats = g_new(struct flat, EVENTS);
    GString *texts[EVENTS];
    g_autoptr(GString) text = g_string_new(NULL);
    size_t matches = 0;

    for (size_t i = 0; i < EVENTS; i++) {
        flat_init(&flats[i]);
        texts[i] = g_string_new(NULL);
        read_event(w, i, &flats[i], texts[i]);
    }
    for (uint32_t k = 0; k < rules; k++) {
        struct pattern *pattern = pattern_of(w, k, text);

        for (size_t i = 0; i < EVENTS; i++)
            matches += pattern_matches(pattern, &flats[i]);
        pattern_free(pattern);
    }
    for (size_t i = 0; i < EVENTS; i++) {
        flat_done(&flats[i]);
        g_string_free(texts[i], TRUE);
    }
    workload_free(w);
    return (double)matches / EVENTS;
}

static void test_about_two_patterns_match_an_event(void)
{
    static const uint32_t counts[] = {10, 100, 1000, 4000};

    for (int set = 0; set < WORKLOAD_FIVE; set++)
        for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
            double matches = matches_of((enum workload_set)set, counts[i]);

            g_test_message("%s, %u patterns: %.2f matches an event",
                           workload_set_name((enum workload_set)set), counts[i], matches);
            g_assert_cmpfloat(matches, >, 0.7 * WORKLOAD_MATCHES);
            g_assert_cmpfloat(matches, <, 1.3 * WORKLOAD_MATCHES);
        }
}

/* How many of the first patterns contain the word. */
static size_t patterns_with(enum workload_set set, const char *word)
{
    struct workload *w = make(set, 1000, 1);
    g_autoptr(GString) text = g_string_new(NULL);
    size_t count = 0;

    for (uint32_t i = 0; i < 1000; i++) {
        g_string_truncate(text, 0);
        workload_write_pattern(w, i, text);
        count += strstr(text->str, word) != NULL;
    }
    workload_free(w);
    return count;
}

static void test_mix_has_conditions_of_all_kinds(void)
{
    static const char *const words[] = {"numeric", "prefix", "anything-but", "exists",
                                        "tags",    "items",  "customer\":{", "[\""};

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        g_test_message("%s: %zu", words[i], patterns_with(WORKLOAD_MIX, words[i]));
        g_assert_cmpuint(patterns_with(WORKLOAD_MIX, words[i]), >, 20);
    }
}

static void test_nonum_has_no_numbers(void)
{
    g_assert_cmpuint(patterns_with(WORKLOAD_NONUM, "numeric"), ==, 0);
}

static void test_hard_has_no_telling_values(void)
{
    g_assert_cmpuint(patterns_with(WORKLOAD_HARD, "sku"), ==, 0);
    g_assert_cmpuint(patterns_with(WORKLOAD_HARD, "customer_id"), ==, 0);
    g_assert_cmpuint(patterns_with(WORKLOAD_HARD, "event_type\":[\""), ==, 0);
    g_assert_cmpuint(patterns_with(WORKLOAD_HARD, "numeric"), >, 800);
}

static void test_flat_names_the_same_two_fields(void)
{
    struct workload *w = make(WORKLOAD_FLAT, 1000, 1);
    g_autoptr(GString) text = g_string_new(NULL);

    for (uint32_t i = 0; i < 1000; i++) {
        struct pattern *pattern = pattern_of(w, i, text);

        g_assert_cmpuint(pattern_path_count(pattern), ==, 2);
        g_assert_true(slice_equal(pattern_path(pattern, 0), SLICE("payload.store")));
        g_assert_true(slice_equal(pattern_path(pattern, 1), SLICE("payload.segment")));
        pattern_free(pattern);
    }
    workload_free(w);
}

static void test_patterns_have_one_to_four_conditions(void)
{
    struct workload *w = make(WORKLOAD_MIX, 10000, 1);
    g_autoptr(GString) text = g_string_new(NULL);
    size_t counts[5] = {0};

    for (uint32_t i = 0; i < 1000; i++) {
        struct pattern *pattern = pattern_of(w, i, text);

        g_assert_cmpuint(pattern_path_count(pattern), <=, 4);
        counts[pattern_path_count(pattern)]++;
        pattern_free(pattern);
    }
    for (size_t i = 1; i <= 4; i++)
        g_assert_cmpuint(counts[i], >, 100);
    workload_free(w);
}

static void test_what_hurts_is_valid(void)
{
    struct flat flat;

    flat_init(&flat);
    for (size_t i = 0; hurt_name(i) != NULL; i++) {
        struct hurt h;

        hurt_init(&h, i, HURT_RULES, 1);
        g_test_message("%s: %u events", hurt_name(i), h.events->len);
        g_assert_cmpuint(h.patterns->len, ==, HURT_RULES);
        g_assert_cmpuint(h.events->len, >, 0);
        for (guint k = 0; k < h.patterns->len; k++) {
            const GString *text = g_ptr_array_index(h.patterns, k);

            pattern_free(parse(slice_of(text->str, text->len)));
        }
        for (guint k = 0; k < h.events->len; k++) {
            const GString *text = g_ptr_array_index(h.events, k);
            size_t used;

            g_assert_cmpuint(text->len, <=, HURT_EVENT_MAX);
            g_assert_true(flat_parse(&flat, slice_of(text->str, text->len), 0, &used, NULL));
        }
        hurt_done(&h);
    }
    flat_done(&flat);
}

static void test_what_hurts_is_the_same_again(void)
{
    for (size_t i = 0; hurt_name(i) != NULL; i++) {
        struct hurt a;
        struct hurt b;

        hurt_init(&a, i, HURT_RULES, 1);
        hurt_init(&b, i, HURT_RULES, 1);
        g_assert_cmpuint(a.events->len, ==, b.events->len);
        for (guint k = 0; k < a.events->len; k++)
            g_assert_true(
                g_string_equal(g_ptr_array_index(a.events, k), g_ptr_array_index(b.events, k)));
        for (guint k = 0; k < a.patterns->len; k++)
            g_assert_true(
                g_string_equal(g_ptr_array_index(a.patterns, k), g_ptr_array_index(b.patterns, k)));
        hurt_done(&a);
        hurt_done(&b);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/workload/sets_are_found_by_name", test_sets_are_found_by_name);
    g_test_add_func("/workload/same_seed_gives_the_same_bytes",
                    test_same_seed_gives_the_same_bytes);
    g_test_add_func("/workload/bytes_depend_on_the_number_alone",
                    test_bytes_depend_on_the_number_alone);
    g_test_add_func("/workload/another_seed_gives_other_bytes",
                    test_another_seed_gives_other_bytes);
    g_test_add_func("/workload/every_pattern_parses", test_every_pattern_parses);
    g_test_add_func("/workload/every_event_parses_and_has_its_size",
                    test_every_event_parses_and_has_its_size);
    g_test_add_func("/workload/about_two_patterns_match_an_event",
                    test_about_two_patterns_match_an_event);
    g_test_add_func("/workload/mix_has_conditions_of_all_kinds",
                    test_mix_has_conditions_of_all_kinds);
    g_test_add_func("/workload/nonum_has_no_numbers", test_nonum_has_no_numbers);
    g_test_add_func("/workload/hard_has_no_telling_values", test_hard_has_no_telling_values);
    g_test_add_func("/workload/flat_names_the_same_two_fields",
                    test_flat_names_the_same_two_fields);
    g_test_add_func("/workload/patterns_have_one_to_four_conditions",
                    test_patterns_have_one_to_four_conditions);
    g_test_add_func("/hurt/is_valid", test_what_hurts_is_valid);
    g_test_add_func("/hurt/is_the_same_again", test_what_hurts_is_the_same_again);
    return g_test_run();
}
