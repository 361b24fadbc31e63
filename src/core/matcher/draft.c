/* The builder: from patterns to conjunctions of fields whose tests speak of numbers only.
 *
 * Everything is kept once: paths, texts and fields, since many patterns say "event_type":
 * ["purchase"]. What a pattern says is drafted as words here, in a form that equal fields share;
 * number.c finds the numbers for them. Numbers and addresses stay what they are: their ranks are
 * known only when all are, and then the tests are rewritten (finish.c).
 */
#include "core/matcher/builder.h"

/* So much is drafted before it is looked up: it stays in the cache, and matcher_builder_bytes,
 * which does not count it, is nearly right. */
#define BATCH_WORDS 2048
#define BATCH_BYTES (32 * 1024)

static GArray *new_array(size_t element_size)
{
    return g_array_new(FALSE, FALSE, (guint)element_size);
}

void matcher_builder_start(struct matcher_builder *b)
{
    size_t none = 0;

    if (b->paths != NULL)
        return;
    arena_init(&b->arena);
    b->paths = new_array(sizeof(struct draft_path));
    b->dimensions = new_array(sizeof(struct matcher_dimension));
    b->symbols = new_array(sizeof(struct matcher_symbol));
    b->bounds = new_array(sizeof(struct draft_bound));
    b->fields = new_array(sizeof(struct matcher_field));
    b->words = new_array(sizeof(uint32_t));
    b->words_of = new_array(sizeof(size_t));
    g_array_append_val(b->words_of, none);
    b->tests = new_array(sizeof(struct matcher_test));
    b->pool = new_array(sizeof(uint32_t));
    b->texts = new_array(sizeof(struct matcher_text));
    b->conjunctions = new_array(sizeof(struct matcher_conjunction));
    b->fields_of = new_array(sizeof(uint32_t));
    b->sample = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
}

struct matcher_builder *matcher_builder_new(void)
{
    struct matcher_builder *b = g_new0(struct matcher_builder, 1);

    arena_init(&b->batch_arena);
    b->batch_words = new_array(sizeof(uint32_t));
    b->batch_texts = new_array(sizeof(struct draft_text));
    b->batch_fields = new_array(sizeof(struct draft_field));
    for (size_t i = 0; i < FAMILY_COUNT; i++)
        b->lists[i] = new_array(sizeof(struct slice));
    return b;
}

static void drop(GArray **array)
{
    if (*array != NULL)
        g_array_unref(*array);
    *array = NULL;
}

static void drop_table(struct draft_table *t)
{
    g_free(t->slots);
    *t = (struct draft_table){0};
}

void matcher_builder_drop_tables(struct matcher_builder *b)
{
    drop(&b->words);
    drop(&b->words_of);
    drop_table(&b->path_table);
    drop_table(&b->symbol_table);
    drop_table(&b->field_table);
}

void matcher_builder_clear(struct matcher_builder *b)
{
    GArray **arrays[] = {&b->paths, &b->dimensions, &b->symbols, &b->bounds,       &b->fields,
                         &b->tests, &b->pool,       &b->texts,   &b->conjunctions, &b->fields_of};

    matcher_builder_drop_tables(b);
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++)
        drop(arrays[i]);
    g_clear_pointer(&b->sample, g_ptr_array_unref);
    arena_done(&b->arena);
    matcher_empty_batch(b);
    b->pattern_count = 0;
    b->text_bytes = 0;
    b->fields_of_known = 0;
}

void matcher_builder_free(struct matcher_builder *b)
{
    if (b == NULL)
        return;
    matcher_builder_clear(b);
    drop(&b->batch_words);
    drop(&b->batch_texts);
    drop(&b->batch_fields);
    arena_done(&b->batch_arena);
    for (size_t i = 0; i < FAMILY_COUNT; i++)
        drop(&b->lists[i]);
    g_free(b);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static struct matcher_dimension *dimension_at(const struct matcher_builder *b, uint32_t number)
{
    return &g_array_index(b->dimensions, struct matcher_dimension, number);
}

static void put_word(struct matcher_builder *b, uint32_t word)
{
    g_array_append_val(b->batch_words, word);
}

/* As bounds are compared: zero has one sign here. */
static void put_number(struct matcher_builder *b, double value)
{
    if (value == 0)
        value = 0;
    g_array_append_vals(b->batch_words, &value, matcher_value_words(FAMILY_NUMBER));
}

static int compare_numbers(gconstpointer a, gconstpointer b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

uint32_t matcher_sort_once(uint32_t *values, uint32_t count)
{
    uint32_t kept = 0;

    if (count > 1)
        qsort(values, count, sizeof(*values), compare_numbers);
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || values[i] != values[i - 1])
            values[kept++] = values[i];
    return kept;
}

/* The texts stand behind their test. Empties the list. */
static void put_list(struct matcher_builder *b, uint32_t head, GArray *list)
{
    put_word(b, head);
    put_word(b, list->len);
    for (guint i = 0; i < list->len; i++)
        matcher_draft_text(b, TEST_DIMENSION(head), g_array_index(list, struct slice, i));
    g_array_set_size(list, 0);
}

static void want(struct matcher_builder *b, enum matcher_family family, struct slice text,
                 size_t characters)
{
    struct matcher_dimension *d = dimension_at(b, matcher_number_dimension(b, family));

    d->characters = MAX(d->characters, (uint32_t)characters);
    g_array_append_val(b->lists[family], text);
}

/* All texts wanted of one dimension: one of them will do. */
static void put_wanted(struct matcher_builder *b)
{
    for (uint32_t family = 0; family < FAMILY_COUNT; family++) {
        GArray *list = b->lists[family];
        uint32_t dimension;

        if (list->len == 0)
            continue;
        dimension = matcher_number_dimension(b, family);
        if (list->len > 1) {
            put_list(b, TEST_HEAD(TEST_LIST, dimension), list);
            continue;
        }
        put_word(b, TEST_HEAD(TEST_RANGE, dimension));
        matcher_draft_text(b, dimension, g_array_index(list, struct slice, 0));
        put_word(b, 0); /* the same once more, when it is known */
        g_array_set_size(list, 0);
    }
}

/* Leaves of any of these types will do: bit (1 << type). */
static void put_types(struct matcher_builder *b, uint32_t types)
{
    uint32_t dimension, count = (uint32_t)__builtin_popcount(types);

    if (count == 0)
        return;
    dimension = matcher_number_dimension(b, FAMILY_TYPE);
    put_word(b, TEST_HEAD(count == 1 ? TEST_RANGE : TEST_LIST, dimension));
    if (count > 1)
        put_word(b, count);
    for (uint32_t type = 0; type <= TYPE_PRESENT; type++)
        if (types >> type & 1)
            put_word(b, type);
    if (count == 1)
        put_word(b, 0);
}

/* The head of "none of the list": leaves of other types pass as well, so they get a coordinate,
 * too. */
static uint32_t head_of_none(struct matcher_builder *b, enum matcher_family family)
{
    enum matcher_test_kind kind =
        family == FAMILY_PREFIX || family == FAMILY_SUFFIX ? TEST_FEWER : TEST_NONE;
    uint32_t dimension = matcher_number_dimension(b, family);

    if (kind == TEST_NONE)
        dimension_at(b, dimension)->has_none_of = true;
    matcher_number_dimension(b, FAMILY_TYPE); /* rare fields are filed under their presence */
    return TEST_HEAD(kind, dimension);
}

/* A copy that does not need the pattern. */
static struct pattern_text_test copy_text_test(struct matcher_builder *b,
                                               const struct pattern_text_test *test)
{
    struct pattern_text_test copy = *test;
    struct pattern_text_test *members;
    struct slice *pieces;

    copy.text = matcher_builder_keep(b, test->text);
    b->text_bytes += test->piece_count * sizeof(*pieces) + test->member_count * sizeof(*members);
    if (test->piece_count > 0) {
        pieces = ARENA_NEW(&b->arena, struct slice, test->piece_count);
        for (uint32_t i = 0; i < test->piece_count; i++)
            pieces[i] = matcher_builder_keep(b, test->pieces[i]);
        copy.pieces = pieces;
    }
    if (test->member_count > 0) {
        members = ARENA_NEW(&b->arena, struct pattern_text_test, test->member_count);
        for (uint32_t i = 0; i < test->member_count; i++)
            members[i] = copy_text_test(b, &test->members[i]);
        copy.members = members;
    }
    return copy;
}

/* What a wildcard begins or ends with leads to it. */
static void hint(struct matcher_builder *b, struct matcher_text *text, enum matcher_family family,
                 struct slice piece)
{
    text->hint_dimension = matcher_number_dimension(b, family);
    text->hint = matcher_number_text(b, text->hint_dimension, piece);
}

/* A text test that stays one. */
static void put_text(struct matcher_builder *b, const struct pattern_text_test *test)
{
    struct matcher_text text = {.test = copy_text_test(b, test), .hint = COORDINATE_NONE};

    matcher_number_dimension(b, FAMILY_TYPE);
    if (test->kind == TEXT_WILDCARD && test->pieces[0].size > 0)
        hint(b, &text, FAMILY_PREFIX, test->pieces[0]);
    else if (test->kind == TEXT_WILDCARD && test->pieces[test->piece_count - 1].size > 0)
        hint(b, &text, FAMILY_SUFFIX, test->pieces[test->piece_count - 1]);
    g_array_append_val(b->texts, text);
    put_word(b, TEST_HEAD(TEST_TEXT, 0));
    put_word(b, b->texts->len - 1);
    put_word(b, b->path);
}

/* The family whose coordinates decide anything-but, FAMILY_COUNT when texts must be looked at. */
static enum matcher_family none_of_family(const struct pattern_text_test *test)
{
    enum pattern_text_kind kind = test->members[0].kind;

    for (uint32_t i = 1; i < test->member_count; i++)
        if (test->members[i].kind != kind)
            return FAMILY_COUNT;
    if (kind == TEXT_EQUAL)
        return FAMILY_TEXT;
    if (kind == TEXT_PREFIX)
        return FAMILY_PREFIX;
    if (kind == TEXT_SUFFIX)
        return FAMILY_SUFFIX;
    return kind == TEXT_EQUAL_FOLD ? FAMILY_FOLD : FAMILY_COUNT;
}

/* Whether another excluded text is the beginning (or the end) of this one, which is then not
 * needed. Without those, no text can have two of the list. */
static bool is_covered(const struct pattern_text_test *test, uint32_t member)
{
    struct slice text = test->members[member].text;
    bool is_prefix = test->members[member].kind == TEXT_PREFIX;

    for (uint32_t i = 0; i < test->member_count; i++) {
        struct slice other = test->members[i].text;
        struct slice part =
            slice_of(is_prefix ? text.data : text.data + (text.size - MIN(other.size, text.size)),
                     MIN(other.size, text.size));

        if (other.size < text.size && slice_equal(part, other))
            return true;
    }
    return false;
}

/* Returns the types that pass with it: all others, when coordinates decide. */
static uint8_t draft_none_of(struct matcher_builder *b, const struct pattern_text_test *test)
{
    enum matcher_family family = none_of_family(test);
    g_autoptr(GArray) list = NULL;
    struct matcher_dimension *d;

    if (family == FAMILY_COUNT) {
        put_text(b, test);
        return 0;
    }
    list = new_array(sizeof(struct slice));
    d = dimension_at(b, matcher_number_dimension(b, family));
    for (uint32_t i = 0; i < test->member_count; i++) {
        if ((family == FAMILY_PREFIX || family == FAMILY_SUFFIX) && is_covered(test, i))
            continue;
        d->characters = MAX(d->characters, (uint32_t)test->members[i].characters);
        g_array_append_val(list, test->members[i].text);
    }
    put_list(b, head_of_none(b, family), list);
    return PATTERN_TYPES_LEAVES & (uint8_t)~PATTERN_TYPE(JSON_TEXT);
}

static struct matcher_address address_of(const struct pattern_network *network, uint8_t fill)
{
    struct matcher_address address = {.bytes = {network->size}};
    unsigned whole = network->bits / 8, rest = network->bits % 8;

    memcpy(address.bytes + 1, network->bytes, network->size);
    for (unsigned i = whole; i < network->size; i++) {
        uint8_t mask = i == whole && rest > 0 ? (uint8_t)(0xff >> rest) : 0xff;

        address.bytes[1 + i] = (uint8_t)((address.bytes[1 + i] & ~mask) | (fill & mask));
    }
    return address;
}

static void put_address(struct matcher_builder *b, struct matcher_address address)
{
    uint32_t words[(sizeof(address) + 3) / sizeof(uint32_t)] = {0};

    memcpy(words, &address, sizeof(address));
    g_array_append_vals(b->batch_words, words, G_N_ELEMENTS(words));
}

static void draft_network(struct matcher_builder *b, const struct pattern_network *network)
{
    put_word(b, TEST_HEAD(TEST_RANGE, matcher_number_dimension(b, FAMILY_ADDRESS)));
    put_address(b, address_of(network, 0));
    put_address(b, address_of(network, 0xff));
}

static uint8_t draft_text_test(struct matcher_builder *b, const struct pattern_text_test *test)
{
    static const enum matcher_family FAMILIES[] = {[TEXT_EQUAL] = FAMILY_TEXT,
                                                   [TEXT_PREFIX] = FAMILY_PREFIX,
                                                   [TEXT_SUFFIX] = FAMILY_SUFFIX,
                                                   [TEXT_EQUAL_FOLD] = FAMILY_FOLD,
                                                   [TEXT_PREFIX_FOLD] = FAMILY_PREFIX_FOLD,
                                                   [TEXT_SUFFIX_FOLD] = FAMILY_SUFFIX_FOLD};

    if (test->kind == TEXT_NONE_OF)
        return draft_none_of(b, test);
    if (test->kind == TEXT_NETWORK)
        draft_network(b, &test->network);
    else if (test->kind == TEXT_WILDCARD && test->piece_count == 1)
        want(b, FAMILY_TEXT, test->pieces[0], 0);
    else if (test->kind == TEXT_WILDCARD)
        put_text(b, test);
    else
        want(b, FAMILIES[test->kind], test->text, test->characters);
    return 0;
}

static int compare_doubles(gconstpointer a, gconstpointer b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* "None of these numbers", in order, so that equal fields have equal words. */
static void put_numbers(struct matcher_builder *b, const double *numbers, uint32_t count)
{
    g_autofree double *values = g_memdup2(numbers, count * sizeof(*numbers));
    uint32_t kept = 0;

    if (count > 1)
        qsort(values, count, sizeof(*values), compare_doubles);
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || values[i] > values[i - 1])
            values[kept++] = values[i];
    put_word(b, head_of_none(b, FAMILY_NUMBER));
    put_word(b, kept);
    for (uint32_t i = 0; i < kept; i++)
        put_number(b, values[i]);
}

static uint8_t draft_number_test(struct matcher_builder *b, const struct pattern_number_test *test)
{
    if (test->kind == NUMBER_LITERAL && !test->is_exact) {
        want(b, FAMILY_NUMBER_TEXT, test->text, 0);
        return 0;
    }
    if (test->kind == NUMBER_NONE_OF) {
        put_numbers(b, test->excluded, test->excluded_count);
        return PATTERN_TYPES_LEAVES & (uint8_t)~PATTERN_TYPE(JSON_NUMBER);
    }
    put_word(b, TEST_HEAD(TEST_RANGE, matcher_number_dimension(b, FAMILY_NUMBER)));
    put_number(b, test->low);
    put_number(b, test->kind == NUMBER_LITERAL ? test->low : test->high);
    return 0;
}

/* ---- fields ---------------------------------------------------------------------------------- */

/* The words of the field: what it tests, in a form that equal fields share. */
static void draft_words(struct matcher_builder *b, const struct pattern_field *field)
{
    uint32_t types = 0;
    uint8_t covered = 0;

    put_word(b, matcher_number_path(b, field) << 1 | field->allows_absent);
    if (field->types == PATTERN_TYPES_LEAVES) { /* any leaf passes: nothing else matters */
        put_types(b, UINT32_C(1) << TYPE_PRESENT);
        return;
    }
    for (uint32_t i = 0; i < field->text_count; i++)
        want(b, FAMILY_TEXT, field->texts[i], 0);
    for (uint32_t i = 0; i < field->text_test_count; i++)
        covered |= draft_text_test(b, &field->text_tests[i]);
    for (uint32_t i = 0; i < field->number_test_count; i++)
        covered |= draft_number_test(b, &field->number_tests[i]);
    for (uint32_t type = 0; type < JSON_ARRAY; type++)
        if (field->types & (uint8_t)~covered & PATTERN_TYPE(type))
            types |= UINT32_C(1) << type;
    put_types(b, types);
    put_wanted(b);
}

static void draft_field(struct matcher_builder *b, const struct pattern_field *field)
{
    struct draft_field draft = {.first = b->batch_words->len};

    draft_words(b, field);
    draft.count = b->batch_words->len - draft.first;
    g_array_append_val(b->batch_fields, draft);
}

uint32_t matcher_builder_add(struct matcher_builder *b, const struct pattern *pattern)
{
    uint32_t first = b->batch_fields->len;

    matcher_builder_start(b);
    for (uint32_t i = 0; i < pattern->field_count; i++)
        draft_field(b, &pattern->fields[i]);
    for (uint32_t i = 0; i < pattern->conjunction_count; i++) {
        const struct pattern_conjunction *from = &pattern->conjunctions[i];
        struct matcher_conjunction c = {.place = b->pattern_count, .first = b->fields_of->len};

        for (uint32_t k = 0; k < from->count; k++) {
            uint32_t field = first + from->fields[k];

            g_array_append_val(b->fields_of, field);
        }
        g_array_append_val(b->conjunctions, c);
    }
    if (b->batch_words->len >= BATCH_WORDS || b->batch_bytes >= BATCH_BYTES)
        matcher_number_batch(b);
    return b->pattern_count++;
}

void matcher_builder_sample(struct matcher_builder *b, struct slice document)
{
    matcher_builder_start(b);
    if (b->sample->len < MATCHER_SAMPLE_MAX && document.size > 0)
        g_ptr_array_add(b->sample, g_bytes_new(document.data, document.size));
}
