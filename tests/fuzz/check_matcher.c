#include "check_matcher.h"

#include "common/error.h"
#include "common/json.h"
#include "core/matcher/skip.h"

#define ALONE_ALL  16 /* up to so many patterns, each is asked by itself; otherwise ALONE_FEW */
#define ALONE_FEW  6
#define SKIPS      4
#define DAMAGE_MAX (1 << 16) /* bytes of a document; larger ones would take long */

/* ---- texts that may be trusted ----------------------------------------------------------------
 */

/* Whether no name is a member of the object twice; of a dotted one its first part counts. */
static bool has_single_names(const struct json_value *object)
{
    g_autoptr(GHashTable) seen =
        g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);

    for (const struct json_value *m = object->first; m != NULL; m = m->next) {
        const char *dot = m->key.size > 0 ? memchr(m->key.data, '.', m->key.size) : NULL;
        size_t size = dot != NULL ? (size_t)(dot - m->key.data) : m->key.size;

        if (!g_hash_table_add(seen, g_bytes_new(m->key.data, size)))
            return false;
    }
    return true;
}

static bool is_told_apart(const struct json_value *value)
{
    if (value->type == JSON_OBJECT && !has_single_names(value))
        return false;
    for (const struct json_value *v = value->first; v != NULL; v = v->next) {
        if (!is_told_apart(v))
            return false;
    }
    return true;
}

/* What matcher_find_trusted asks of a text. */
static bool may_be_trusted(const char *document)
{
    struct arena arena = {0};
    const struct json_value *tree = json_parse(slice_text(document), &arena, NULL);
    bool may_be = tree != NULL && tree->type == JSON_OBJECT && is_told_apart(tree);

    arena_done(&arena);
    return may_be;
}

/* ---- the set ----------------------------------------------------------------------------------
 */

static void free_pattern(gpointer p)
{
    pattern_free(p);
}

/* Within the highest limits that can be set. */
static struct pattern *parse(const char *text)
{
    static const struct pattern_limits MOST = {.text_max = PATTERN_TEXT_MOST,
                                               .values_max = PATTERN_VALUES_MOST,
                                               .depth_max = PATTERN_DEPTH_MOST,
                                               .conjunctions_max = PATTERN_CONJUNCTIONS_MOST,
                                               .stars_max = PATTERN_STARS_MOST};
    struct problems problems;
    struct pattern *pattern;

    problems_init(&problems);
    pattern = pattern_parse(slice_text(text), &MOST, "#", &problems);
    problems_done(&problems);
    return pattern;
}

static void add_event(struct check_set *set, const char *text)
{
    bool is_trusted = may_be_trusted(text);
    struct flat flat;
    size_t used;

    flat_init(&flat);
    if (!flat_parse(&flat, slice_text(text), 0, &used, NULL)) {
        flat_done(&flat);
        return;
    }
    /* The leaves point into the text, so it must stay where it is. */
    g_array_append_val(set->events, flat);
    g_array_append_val(set->trusted, is_trusted);
}

static void clear_event(gpointer flat)
{
    flat_done(flat);
}

void check_set_init(struct check_set *set, const GPtrArray *patterns, const GPtrArray *events)
{
    *set = (struct check_set){
        .texts = g_ptr_array_new_with_free_func(g_free),
        .patterns = g_ptr_array_new_with_free_func(free_pattern),
        .documents = g_ptr_array_new_with_free_func(g_free),
        .events = g_array_new(FALSE, FALSE, sizeof(struct flat)),
        .trusted = g_array_new(FALSE, FALSE, sizeof(bool)),
    };
    g_array_set_clear_func(set->events, clear_event);
    for (guint i = 0; i < patterns->len; i++) {
        struct pattern *pattern = parse(patterns->pdata[i]);

        if (pattern == NULL)
            continue;
        g_ptr_array_add(set->patterns, pattern);
        g_ptr_array_add(set->texts, g_strdup(patterns->pdata[i]));
    }
    for (guint i = 0; i < events->len; i++) {
        g_autofree char *document = g_strdup(events->pdata[i]);

        add_event(set, document);
        if (set->events->len > set->documents->len)
            g_ptr_array_add(set->documents, g_steal_pointer(&document));
    }
    set->expected = g_malloc0((size_t)set->events->len * set->patterns->len);
    for (guint e = 0; e < set->events->len; e++) {
        for (guint p = 0; p < set->patterns->len; p++)
            set->expected[(size_t)e * set->patterns->len + p] = pattern_matches(
                set->patterns->pdata[p], &g_array_index(set->events, struct flat, e));
    }
}

void check_set_done(struct check_set *set)
{
    g_ptr_array_unref(set->texts);
    g_ptr_array_unref(set->patterns);
    g_array_unref(set->events);
    g_array_unref(set->trusted);
    g_ptr_array_unref(set->documents);
    g_free(set->expected);
}

bool check_set_expects(const struct check_set *set, guint event, guint pattern)
{
    return set->expected[(size_t)event * set->patterns->len + pattern] != 0;
}

/* ---- indexes ----------------------------------------------------------------------------------
 */

/* Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators". */
static guint next_random(uint64_t *state, guint count)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (guint)((z >> 33) % count);
}

GArray *check_order(guint count, uint64_t seed)
{
    GArray *order = g_array_new(FALSE, FALSE, sizeof(guint));
    guint *items;

    for (guint i = 0; i < count; i++) {
        guint number = seed == 1 ? count - 1 - i : i;

        g_array_append_val(order, number);
    }
    items = (guint *)(void *)order->data;
    for (guint i = count; seed > 1 && i > 1; i--) {
        guint other = next_random(&seed, i);
        guint number = items[i - 1];

        items[i - 1] = items[other];
        items[other] = number;
    }
    return order;
}

static struct matcher_builder *begin(const struct check_set *set, const GArray *order,
                                     bool has_sample)
{
    struct matcher_builder *b = matcher_builder_new();

    for (guint i = 0; i < order->len; i++) {
        guint number = g_array_index(order, guint, i);

        if (has_sample && i == order->len / 2) {
            for (guint e = 0; e < set->documents->len; e++)
                matcher_builder_sample(b, slice_text(set->documents->pdata[e]));
        }
        g_assert_cmpuint(matcher_builder_add(b, set->patterns->pdata[number]), ==, i);
    }
    return b;
}

struct matcher *check_build(const struct check_set *set, const GArray *order, bool has_sample)
{
    struct matcher_builder *b = begin(set, order, has_sample);
    struct matcher *m = matcher_builder_finish(b, 0, NULL);
    struct matcher_figures figures;

    g_assert_nonnull(m);
    matcher_builder_free(b);
    matcher_get_figures(m, &figures);
    g_assert_cmpuint(figures.patterns, ==, order->len);
    return m;
}

/* ---- answers ----------------------------------------------------------------------------------
 */

/* The places that the reference names. */
static GArray *expected_places(const struct check_set *set, const GArray *order, guint event)
{
    GArray *places = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (uint32_t i = 0; i < order->len; i++) {
        if (check_set_expects(set, event, g_array_index(order, guint, i)))
            g_array_append_val(places, i);
    }
    return places;
}

static void append_places(GString *text, const char *name, const uint32_t *places, size_t count)
{
    g_string_append(text, name);
    for (size_t i = 0; i < count; i++)
        g_string_append_printf(text, " %" G_GUINT32_FORMAT, places[i]);
    g_string_append_c(text, '\n');
}

static char *describe(const struct check_set *set, guint event, const GArray *expected,
                      const uint32_t *places, size_t count)
{
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, "event %u: %.4000s\n", event,
                           (char *)set->documents->pdata[event]);
    append_places(text, "expected places:", (const uint32_t *)(void *)expected->data,
                  expected->len);
    append_places(text, "got places:     ", places, count);
    return g_string_free(text, FALSE);
}

/* The name goes in front of what is wrong, if anything is. */
static char *named(const char *name, char *wrong)
{
    g_autofree char *text = wrong;

    return wrong == NULL ? NULL : g_strdup_printf("%s: %s", name, text);
}

/* NULL when the places are those expected. */
static char *compare(const struct check_set *set, guint event, const GArray *expected,
                     const uint32_t *places, size_t count)
{
    if (count == expected->len &&
        (count == 0 || memcmp(places, expected->data, count * sizeof(*places)) == 0))
        return NULL;
    return describe(set, event, expected, places, count);
}

/* From memory of exactly the text's size: a sanitizer then sees a step behind the end. */
static size_t find_in_copy(const struct matcher *m, struct matcher_run *run, const char *text,
                           size_t size, const uint32_t **places)
{
    g_autofree char *copy = g_memdup2(text, size);

    return matcher_find_trusted(m, run, slice_of(copy, size), places);
}

/* Byte by byte: the byte behind the bracket that closes what is open; NULL: there is none. */
static const char *skip_slowly(const char *p, const char *end)
{
    unsigned depth = 1;
    bool is_escaped = false, is_in_text = false;

    for (; p < end; p++) {
        if (*p == '"' && !is_escaped)
            is_in_text = !is_in_text;
        is_escaped = *p == '\\' && !is_escaped;
        if (is_in_text)
            continue;
        depth += *p == '{' || *p == '[';
        depth -= *p == '}' || *p == ']';
        if (depth == 0)
            return p + 1;
    }
    return NULL;
}

/* Both ways of skipping say the same, wherever they begin and whatever the bytes are. */
static void compare_skips(const char *text, size_t size, uint64_t seed)
{
    const struct matcher_skip *best = matcher_skip_best(), *portable = &matcher_skip_portable;
    size_t cut = 1 + next_random(&seed, (guint)size);
    g_autofree char *copy = g_memdup2(text, cut);
    const char *end = copy + cut;

    for (int i = 0; i < SKIPS; i++) {
        const char *p = copy + next_random(&seed, (guint)cut);

        g_assert_true(best->text(p, end) == portable->text(p, end));
        g_assert_true(best->brackets(p, end) == skip_slowly(p, end));
        g_assert_true(portable->brackets(p, end) == skip_slowly(p, end));
    }
}

/* A text that is cut, and one with a byte changed: any answer will do. */
static void find_damaged(const struct matcher *m, struct matcher_run *run, const char *document)
{
    g_autofree char *damaged = g_strdup(document);
    size_t size = strlen(document);
    uint64_t seed = g_str_hash(document);
    const uint32_t *places;

    if (size == 0 || size > DAMAGE_MAX)
        return;
    find_in_copy(m, run, document, next_random(&seed, (guint)size), &places);
    damaged[next_random(&seed, (guint)size)] = "{}[]\",:.\\ 0e\x80\xff"[next_random(&seed, 14)];
    find_in_copy(m, run, damaged, size, &places);
    compare_skips(document, size, seed);
    compare_skips(damaged, size, seed);
}

static char *check_event(const struct check_set *set, const GArray *order, const struct matcher *m,
                         struct matcher_run *run, guint event)
{
    g_autoptr(GArray) expected = expected_places(set, order, event);
    const struct flat *flat = &g_array_index(set->events, struct flat, event);
    const char *document = set->documents->pdata[event];
    const uint32_t *places = NULL;
    size_t count = matcher_find(m, run, flat, &places);
    char *wrong = compare(set, event, expected, places, count);

    if (wrong != NULL)
        return wrong;
    count = find_in_copy(m, run, document, strlen(document), &places);
    if (g_array_index(set->trusted, bool, event))
        wrong = named("trusted", compare(set, event, expected, places, count));
    if (wrong != NULL)
        return wrong;
    find_damaged(m, run, document);
    count = matcher_find(m, run, flat, &places);
    return named("again", compare(set, event, expected, places, count));
}

char *check_answers(const struct check_set *set, const GArray *order, const struct matcher *m,
                    struct matcher_run *run)
{
    char *wrong = NULL;

    for (guint e = 0; e < set->events->len && wrong == NULL; e++)
        wrong = check_event(set, order, m, run, e);
    return wrong;
}

/* Both, one event after the other in turn. */
static char *check_in_turn(const struct check_set *set, const GArray *order,
                           const struct matcher *m, const GArray *other_order,
                           const struct matcher *other, struct matcher_run *run)
{
    char *wrong = NULL;

    for (guint e = 0; e < set->events->len && wrong == NULL; e++) {
        wrong = check_event(set, order, m, run, e);
        if (wrong == NULL)
            wrong = check_event(set, other_order, other, run, e);
    }
    return wrong;
}

static char *check_alone(const struct check_set *set, uint64_t seed, struct matcher_run *run)
{
    guint count = set->patterns->len;
    guint wanted = count <= ALONE_ALL ? count : ALONE_FEW;
    char *wrong = NULL;

    for (guint i = 0; i < wanted && wrong == NULL; i++) {
        guint number = count <= ALONE_ALL ? i : next_random(&seed, count);
        g_autoptr(GArray) order = g_array_new(FALSE, FALSE, sizeof(guint));
        struct matcher *m;

        g_array_append_val(order, number);
        m = check_build(set, order, false);
        wrong = named("alone", check_answers(set, order, m, run));
        matcher_free(m);
    }
    return wrong;
}

/* Wherever the limit stops it, nothing is lost and no answer is wrong. */
static char *check_limit(const struct check_set *set, uint64_t seed, struct matcher_run *run)
{
    g_autoptr(GArray) order = check_order(set->patterns->len, 0);
    struct matcher_builder *b = begin(set, order, false);
    g_autoptr(GError) error = NULL;
    size_t limit = 1 + next_random(&seed, 1 << (6 + next_random(&seed, 14)));
    struct matcher *m = matcher_builder_finish(b, limit, &error);
    char *wrong = NULL;

    matcher_builder_free(b);
    if (m == NULL)
        g_assert_error(error, EF_ERROR, EF_ERROR_FULL);
    else
        wrong = named("limited", check_answers(set, order, m, run));
    matcher_free(m);
    return wrong;
}

char *check_matcher(const struct check_set *set, uint64_t seed)
{
    g_autoptr(GArray) plain = check_order(set->patterns->len, 0);
    g_autoptr(GArray) shuffled = check_order(set->patterns->len, 1 + seed);
    struct matcher *as_it_is = check_build(set, plain, false);
    struct matcher *other = check_build(set, shuffled, seed % 2 == 0);
    struct matcher *sampled = check_build(set, plain, true);
    struct matcher_run *run = matcher_run_new();
    char *wrong = named("plain", check_answers(set, plain, as_it_is, run));

    if (wrong == NULL)
        wrong = named("shuffled", check_answers(set, shuffled, other, run));
    if (wrong == NULL)
        wrong = named("sampled", check_answers(set, plain, sampled, run));
    if (wrong == NULL)
        wrong = named("in turn", check_in_turn(set, shuffled, other, plain, sampled, run));
    if (wrong == NULL)
        wrong = check_alone(set, seed, run);
    if (wrong == NULL)
        wrong = check_limit(set, seed, run);
    matcher_run_free(run);
    matcher_free(sampled);
    matcher_free(other);
    matcher_free(as_it_is);
    return wrong;
}

/* ---- for unit tests ---------------------------------------------------------------------------
 */

GPtrArray *check_list_new(void)
{
    return g_ptr_array_new_with_free_func(g_free);
}

void check_list_add(GPtrArray *list, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(list, g_strdup_vprintf(format, args));
    va_end(args);
}

char *check_repeat(const char *before, int count, const char *form, const char *behind)
{
    g_auto(GStrv) parts = g_strsplit(form, "#", -1);
    GString *text = g_string_new(before);

    for (int i = 0; i < count; i++) {
        g_autofree char *number = g_strdup_printf("%d", i);
        g_autofree char *element = g_strjoinv(number, parts);

        g_string_append_printf(text, "%s%s", i == 0 ? "" : ",", element);
    }
    g_string_append(text, behind);
    return g_string_free(text, FALSE);
}

void check_assert(char *wrong)
{
    g_autofree char *text = wrong;

    if (text != NULL)
        g_test_message("%s", text);
    g_assert_null(text);
}

void check_assert_set(GPtrArray *patterns, GPtrArray *events, bool has_sample)
{
    struct check_set set;
    struct matcher_run *run = matcher_run_new();
    g_autoptr(GArray) order = NULL;
    struct matcher *m;

    check_set_init(&set, patterns, events);
    g_assert_cmpuint(set.patterns->len, ==, patterns->len);
    g_assert_cmpuint(set.events->len, ==, events->len);
    order = check_order(set.patterns->len, 0);
    m = check_build(&set, order, has_sample);
    check_assert(check_answers(&set, order, m, run));
    matcher_free(m);
    matcher_run_free(run);
    check_set_done(&set);
    g_ptr_array_unref(patterns);
    g_ptr_array_unref(events);
}

void check_assert_in_all_ways(GPtrArray *patterns, GPtrArray *events, uint64_t seed)
{
    struct check_set set;

    check_set_init(&set, patterns, events);
    check_assert(check_matcher(&set, seed));
    check_set_done(&set);
    g_ptr_array_unref(patterns);
    g_ptr_array_unref(events);
}
