/* The builder: from patterns to conjunctions of fields whose tests speak of numbers only.
 *
 * Everything is kept once: paths, texts, bounds, and fields, since many patterns say "event_type":
 * ["purchase"]. Bounds of numbers and addresses are numbered as they come; only when all are known
 * their ranks are, and the tests are rewritten (finish.c).
 */
#include "core/matcher/builder.h"

static GArray *new_array(size_t element_size)
{
    return g_array_new(FALSE, FALSE, (guint)element_size);
}

static void start(struct matcher_builder *b)
{
    size_t none = 0;

    arena_init(&b->arena);
    b->paths = new_array(sizeof(struct draft_path));
    b->dimensions = new_array(sizeof(struct matcher_dimension));
    b->texts_named.builder = b;
    b->bounds.builder = b;
    b->texts_named.symbols = new_array(sizeof(struct matcher_symbol));
    b->bounds.symbols = new_array(sizeof(struct matcher_symbol));
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

    b->draft = new_array(sizeof(uint32_t));
    for (size_t i = 0; i < FAMILY_COUNT; i++)
        b->lists[i] = new_array(sizeof(uint32_t));
    start(b);
    return b;
}

static void drop(GArray **array)
{
    if (*array != NULL)
        g_array_unref(*array);
    *array = NULL;
}

/* What a matcher does not need, or all of it when there is none. */
static void drop_all(struct matcher_builder *b)
{
    GArray **arrays[] = {&b->paths,          &b->dimensions,   &b->texts_named.symbols,
                         &b->bounds.symbols, &b->fields,       &b->words,
                         &b->words_of,       &b->tests,        &b->pool,
                         &b->texts,          &b->conjunctions, &b->fields_of};

    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++)
        drop(arrays[i]);
    g_clear_pointer(&b->path_table.slots, g_free);
    g_clear_pointer(&b->texts_named.table.slots, g_free);
    g_clear_pointer(&b->bounds.table.slots, g_free);
    g_clear_pointer(&b->field_table.slots, g_free);
    b->path_table = b->texts_named.table = b->bounds.table = b->field_table =
        (struct matcher_table){0};
    g_clear_pointer(&b->sample, g_ptr_array_unref);
    arena_done(&b->arena);
    b->pattern_count = 0;
}

void matcher_builder_clear(struct matcher_builder *b)
{
    drop_all(b);
    start(b);
}

void matcher_builder_free(struct matcher_builder *b)
{
    if (b == NULL)
        return;
    drop_all(b);
    drop(&b->draft);
    for (size_t i = 0; i < FAMILY_COUNT; i++)
        drop(&b->lists[i]);
    g_free(b);
}

/* ---- numbering ------------------------------------------------------------------------------- */

static uint64_t path_hash(const void *user, uint32_t value)
{
    const struct matcher_builder *b = user;

    return g_array_index(b->paths, struct draft_path, value).path.hash;
}

static uint32_t number_path(struct matcher_builder *b, const struct pattern_field *field)
{
    const struct matcher_table *t = &b->path_table;
    struct draft_path path = {.path.hash = field->path_hash};

    for (size_t i = field->path_hash & t->mask; t->slots != NULL && t->slots[i].value != 0;
         i = (i + 1) & t->mask)
        if (slice_equal(g_array_index(b->paths, struct draft_path, t->slots[i].value - 1).path.path,
                        field->path))
            return t->slots[i].value - 1;
    path.path.path = arena_copy(&b->arena, field->path);
    g_array_append_val(b->paths, path);
    matcher_table_put(&b->path_table, field->path_hash, b->paths->len - 1, path_hash, b);
    return b->paths->len - 1;
}

/* The dimension of the path being drafted, made when it is new. */
static uint32_t number_dimension(struct matcher_builder *b, enum matcher_family family)
{
    struct draft_path *path = &g_array_index(b->paths, struct draft_path, b->path);
    struct matcher_dimension dimension = {.path = b->path, .family = (uint8_t)family};

    if (path->dimensions[family] == 0) {
        g_array_append_val(b->dimensions, dimension);
        path->dimensions[family] = b->dimensions->len;
    }
    return path->dimensions[family] - 1;
}

static struct matcher_dimension *dimension_at(const struct matcher_builder *b, uint32_t number)
{
    return &g_array_index(b->dimensions, struct matcher_dimension, number);
}

/* Beginnings are hashed forwards, ends backwards, as events read them. */
static uint64_t hash_text(const struct matcher_builder *b, uint32_t dimension, struct slice text)
{
    enum matcher_family family = dimension_at(b, dimension)->family;
    uint64_t hash = 0;

    if (!matcher_is_affix(family))
        return matcher_symbol_hash(text, dimension);
    for (size_t i = 0; i < text.size; i++)
        hash =
            matcher_affix_step(hash, text.data[matcher_is_prefix(family) ? i : text.size - 1 - i]);
    return matcher_affix_end(hash, text.size, dimension);
}

static uint64_t symbol_hash(const void *user, uint32_t value)
{
    const struct dictionary *d = user;
    const struct matcher_symbol *s = &g_array_index(d->symbols, struct matcher_symbol, value);

    return hash_text(d->builder, s->dimension, slice_of(s->data, s->size));
}

static uint32_t number_symbol(struct matcher_builder *b, struct dictionary *d, uint32_t dimension,
                              struct slice text)
{
    const struct matcher_table *t = &d->table;
    uint64_t hash = hash_text(b, dimension, text);
    struct matcher_symbol symbol = {.size = (uint32_t)text.size, .dimension = dimension};

    for (size_t i = hash & t->mask; t->slots != NULL && t->slots[i].value != 0;
         i = (i + 1) & t->mask) {
        const struct matcher_symbol *s =
            &g_array_index(d->symbols, struct matcher_symbol, t->slots[i].value - 1);

        if (t->slots[i].tag == (uint32_t)(hash >> 32) && s->dimension == dimension &&
            slice_equal(slice_of(s->data, s->size), text))
            return t->slots[i].value - 1;
    }
    symbol.data = arena_copy(&b->arena, text).data;
    g_array_append_val(d->symbols, symbol);
    matcher_table_put(&d->table, hash, d->symbols->len - 1, symbol_hash, d);
    return d->symbols->len - 1;
}

static uint32_t number_text(struct matcher_builder *b, uint32_t dimension, struct slice text)
{
    return number_symbol(b, &b->texts_named, dimension, text);
}

/* Zero has one sign here. */
static uint32_t number_bound(struct matcher_builder *b, double value)
{
    if (value == 0)
        value = 0;
    return number_symbol(b, &b->bounds, number_dimension(b, FAMILY_NUMBER),
                         slice_of((const char *)&value, sizeof(value)));
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void put_word(struct matcher_builder *b, uint32_t word)
{
    g_array_append_val(b->draft, word);
}

static void put_test(struct matcher_builder *b, struct matcher_test test)
{
    put_word(b, test.head);
    put_word(b, test.a);
    put_word(b, test.b);
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

/* A list's members stand behind its test; which of the pool they become is known when the field
 * turns out to be new. Empties the list. */
static void put_list(struct matcher_builder *b, uint32_t head, GArray *list)
{
    uint32_t *values = (uint32_t *)(void *)list->data;
    uint32_t count = matcher_sort_once(values, list->len);

    put_test(b, (struct matcher_test){.head = head, .b = count});
    g_array_append_vals(b->draft, values, count);
    g_array_set_size(list, 0);
}

static void want(struct matcher_builder *b, enum matcher_family family, uint32_t symbol)
{
    g_array_append_val(b->lists[family], symbol);
}

static void want_text(struct matcher_builder *b, enum matcher_family family, struct slice text,
                      size_t characters)
{
    uint32_t dimension = number_dimension(b, family);
    struct matcher_dimension *d = dimension_at(b, dimension);

    d->characters = MAX(d->characters, (uint32_t)characters);
    want(b, family, number_text(b, dimension, text));
}

/* All symbols wanted of one dimension: one of them will do. */
static void put_wanted(struct matcher_builder *b)
{
    for (uint32_t family = 0; family < FAMILY_COUNT; family++) {
        GArray *list = b->lists[family];
        uint32_t dimension, symbol;

        if (list->len == 0)
            continue;
        dimension = number_dimension(b, family);
        symbol = g_array_index(list, uint32_t, 0);
        if (list->len > 1) {
            put_list(b, TEST_HEAD(TEST_LIST, dimension), list);
            continue;
        }
        put_test(b, (struct matcher_test){TEST_HEAD(TEST_RANGE, dimension), symbol, symbol});
        g_array_set_size(list, 0);
    }
}

/* "None of the list": leaves of other types pass as well, so they get a coordinate, too. */
static void put_none_of(struct matcher_builder *b, enum matcher_family family, GArray *list)
{
    enum matcher_test_kind kind =
        family == FAMILY_PREFIX || family == FAMILY_SUFFIX ? TEST_FEWER : TEST_NONE;
    uint32_t dimension = number_dimension(b, family);

    if (kind == TEST_NONE)
        dimension_at(b, dimension)->has_none_of = true;
    number_dimension(b, FAMILY_TYPE); /* rare fields are filed under their presence */
    put_list(b, TEST_HEAD(kind, dimension), list);
}

static struct slice keep(struct matcher_builder *b, struct slice text)
{
    return arena_copy(&b->arena, text);
}

/* A copy that does not need the pattern. */
static struct pattern_text_test copy_text_test(struct matcher_builder *b,
                                               const struct pattern_text_test *test)
{
    struct pattern_text_test copy = *test;
    struct pattern_text_test *members;
    struct slice *pieces;

    copy.text = keep(b, test->text);
    if (test->piece_count > 0) {
        pieces = ARENA_NEW(&b->arena, struct slice, test->piece_count);
        for (uint32_t i = 0; i < test->piece_count; i++)
            pieces[i] = keep(b, test->pieces[i]);
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

/* A text test that stays one. What a wildcard begins or ends with leads to it. */
static void put_text(struct matcher_builder *b, const struct pattern_text_test *test)
{
    struct matcher_text text = {.test = copy_text_test(b, test), .hint = COORDINATE_NONE};

    number_dimension(b, FAMILY_TYPE);
    if (test->kind == TEXT_WILDCARD && test->pieces[0].size > 0) {
        text.hint_dimension = number_dimension(b, FAMILY_PREFIX);
        text.hint = number_text(b, text.hint_dimension, test->pieces[0]);
    } else if (test->kind == TEXT_WILDCARD && test->pieces[test->piece_count - 1].size > 0) {
        text.hint_dimension = number_dimension(b, FAMILY_SUFFIX);
        text.hint = number_text(b, text.hint_dimension, test->pieces[test->piece_count - 1]);
    }
    g_array_append_val(b->texts, text);
    put_test(b, (struct matcher_test){TEST_HEAD(TEST_TEXT, 0), b->texts->len - 1, b->path});
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
    uint32_t dimension;

    if (family == FAMILY_COUNT) {
        put_text(b, test);
        return 0;
    }
    list = new_array(sizeof(uint32_t));
    dimension = number_dimension(b, family);
    for (uint32_t i = 0; i < test->member_count; i++) {
        struct matcher_dimension *d = dimension_at(b, dimension);
        uint32_t symbol;

        if ((family == FAMILY_PREFIX || family == FAMILY_SUFFIX) && is_covered(test, i))
            continue;
        symbol = number_text(b, dimension, test->members[i].text);
        d->characters = MAX(d->characters, (uint32_t)test->members[i].characters);
        g_array_append_val(list, symbol);
    }
    put_none_of(b, family, list);
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

static void draft_network(struct matcher_builder *b, const struct pattern_network *network)
{
    uint32_t dimension = number_dimension(b, FAMILY_ADDRESS);
    struct matcher_address low = address_of(network, 0), high = address_of(network, 0xff);
    struct matcher_test test = {.head = TEST_HEAD(TEST_RANGE, dimension)};

    test.a = number_symbol(b, &b->bounds, dimension,
                           slice_of((const char *)low.bytes, sizeof(low.bytes)));
    test.b = number_symbol(b, &b->bounds, dimension,
                           slice_of((const char *)high.bytes, sizeof(high.bytes)));
    put_test(b, test);
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
        want_text(b, FAMILY_TEXT, test->pieces[0], 0);
    else if (test->kind == TEXT_WILDCARD)
        put_text(b, test);
    else
        want_text(b, FAMILIES[test->kind], test->text, test->characters);
    return 0;
}

static uint8_t draft_number_test(struct matcher_builder *b, const struct pattern_number_test *test)
{
    struct matcher_test range;
    g_autoptr(GArray) list = NULL;

    if (test->kind == NUMBER_LITERAL && !test->is_exact) {
        want_text(b, FAMILY_NUMBER_TEXT, test->text, 0);
        return 0;
    }
    if (test->kind != NUMBER_NONE_OF) {
        range.head = TEST_HEAD(TEST_RANGE, number_dimension(b, FAMILY_NUMBER));
        range.a = number_bound(b, test->low);
        range.b = number_bound(b, test->kind == NUMBER_LITERAL ? test->low : test->high);
        put_test(b, range);
        return 0;
    }
    list = new_array(sizeof(uint32_t));
    for (uint32_t i = 0; i < test->excluded_count; i++) {
        uint32_t bound = number_bound(b, test->excluded[i]);

        g_array_append_val(list, bound);
    }
    put_none_of(b, FAMILY_NUMBER, list);
    return PATTERN_TYPES_LEAVES & (uint8_t)~PATTERN_TYPE(JSON_NUMBER);
}

/* ---- fields ---------------------------------------------------------------------------------- */

/* The words of the field: what it tests, in a form that equal fields share. */
static void draft_words(struct matcher_builder *b, const struct pattern_field *field)
{
    uint8_t covered = 0;

    b->path = number_path(b, field);
    g_array_set_size(b->draft, 0);
    put_word(b, b->path << 1 | field->allows_absent);
    if (field->types == PATTERN_TYPES_LEAVES) { /* any leaf passes: nothing else matters */
        number_dimension(b, FAMILY_TYPE);
        want(b, FAMILY_TYPE, TYPE_PRESENT);
        put_wanted(b);
        return;
    }
    for (uint32_t i = 0; i < field->text_count; i++)
        want_text(b, FAMILY_TEXT, field->texts[i], 0);
    for (uint32_t i = 0; i < field->text_test_count; i++)
        covered |= draft_text_test(b, &field->text_tests[i]);
    for (uint32_t i = 0; i < field->number_test_count; i++)
        covered |= draft_number_test(b, &field->number_tests[i]);
    for (uint32_t type = 0; type < JSON_ARRAY; type++)
        if (field->types & (uint8_t)~covered & PATTERN_TYPE(type))
            want(b, FAMILY_TYPE, type);
    put_wanted(b);
}

static struct slice words_at(const struct matcher_builder *b, uint32_t field)
{
    size_t from = g_array_index(b->words_of, size_t, field);
    size_t to = g_array_index(b->words_of, size_t, field + 1);

    return slice_of((const char *)&g_array_index(b->words, uint32_t, from),
                    (to - from) * sizeof(uint32_t));
}

static uint64_t field_hash(const void *user, uint32_t value)
{
    return hash64(words_at(user, value));
}

/* Makes the drafted field: its tests, and the lists behind them into the pool. */
static uint32_t add_field(struct matcher_builder *b)
{
    const uint32_t *words = (const uint32_t *)(void *)b->draft->data;
    struct matcher_field field = {
        .path = words[0] >> 1, .first = b->tests->len, .allows_absent = words[0] & 1};
    size_t end;

    for (guint i = 1; i < b->draft->len;) {
        struct matcher_test test = {words[i], words[i + 1], words[i + 2]};

        i += 3;
        if (TEST_KIND(test.head) >= TEST_LIST && TEST_KIND(test.head) <= TEST_FEWER) {
            test.a = b->pool->len;
            g_array_append_vals(b->pool, words + i, test.b);
            i += test.b;
        }
        g_array_append_val(b->tests, test);
        field.count++;
    }
    g_array_append_val(b->fields, field);
    g_array_append_vals(b->words, words, b->draft->len);
    end = b->words->len;
    g_array_append_val(b->words_of, end);
    return b->fields->len - 1;
}

static uint32_t number_field(struct matcher_builder *b, const struct pattern_field *field)
{
    const struct matcher_table *t = &b->field_table;
    struct slice words;
    uint64_t hash;
    uint32_t number;

    draft_words(b, field);
    words = slice_of(b->draft->data, b->draft->len * sizeof(uint32_t));
    hash = hash64(words);
    for (size_t i = hash & t->mask; t->slots != NULL && t->slots[i].value != 0;
         i = (i + 1) & t->mask)
        if (t->slots[i].tag == (uint32_t)(hash >> 32) &&
            slice_equal(words_at(b, t->slots[i].value - 1), words))
            return t->slots[i].value - 1;
    number = add_field(b);
    matcher_table_put(&b->field_table, hash, number, field_hash, b);
    return number;
}

uint32_t matcher_builder_add(struct matcher_builder *b, const struct pattern *pattern)
{
    g_autofree uint32_t *numbers = g_new(uint32_t, pattern->field_count);

    for (uint32_t i = 0; i < pattern->field_count; i++)
        numbers[i] = number_field(b, &pattern->fields[i]);
    for (uint32_t i = 0; i < pattern->conjunction_count; i++) {
        const struct pattern_conjunction *from = &pattern->conjunctions[i];
        struct matcher_conjunction c = {.place = b->pattern_count, .first = b->fields_of->len};

        for (uint32_t k = 0; k < from->count; k++)
            g_array_append_val(b->fields_of, numbers[from->fields[k]]);
        g_array_append_val(b->conjunctions, c);
    }
    return b->pattern_count++;
}

void matcher_builder_sample(struct matcher_builder *b, struct slice document)
{
    if (b->sample->len < MATCHER_SAMPLE_MAX && document.size > 0)
        g_ptr_array_add(b->sample, g_bytes_new(document.data, document.size));
}
