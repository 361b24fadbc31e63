/* Numbers for what was drafted: paths, texts and fields are kept once and numbered as they come.
 *
 * A million patterns name hundreds of thousands of texts and fields, which lie all over the memory.
 * So they are looked up a batch at a time, step by step: the slot of each, what the slot leads to,
 * what that leads to. Each step asks for the memory of the next before it is needed; only the last
 * compares, and enters what is new. In the order in which they were drafted.
 */
#include "core/matcher/builder.h"

#define SLOT_BITS_MIN 4
#define GUESS_NONE    UINT32_MAX
#define TEXT_EXTRA    16 /* bytes that a text takes beside its own, about */

/* ---- tables ---------------------------------------------------------------------------------- */

static size_t first_slot(const struct draft_table *t, uint32_t tag)
{
    return tag >> (32 - t->bits);
}

static size_t next_slot(const struct draft_table *t, size_t i)
{
    return (i + 1) & (((size_t)1 << t->bits) - 1);
}

static void put_slot(struct draft_table *t, struct matcher_slot slot)
{
    size_t i = first_slot(t, slot.tag);

    while (t->slots[i].value != 0)
        i = next_slot(t, i);
    t->slots[i] = slot;
}

static void grow(struct draft_table *t)
{
    struct draft_table old = *t;

    t->bits = old.slots != NULL ? old.bits + 1 : SLOT_BITS_MIN;
    t->slots = g_new0(struct matcher_slot, (size_t)1 << t->bits);
    for (size_t i = 0; old.slots != NULL && i >> old.bits == 0; i++)
        if (old.slots[i].value != 0)
            put_slot(t, old.slots[i]);
    g_free(old.slots);
}

static void put(struct draft_table *t, uint64_t hash, uint32_t number)
{
    if (t->slots == NULL || ((size_t)t->used + 1) * 2 > (size_t)1 << t->bits)
        grow(t);
    put_slot(t, (struct matcher_slot){.tag = (uint32_t)(hash >> 32), .value = number + 1});
    t->used++;
}

/* The next number with that hash: *i is where to look first, and afterwards where to go on.
 * GUESS_NONE: there are no more. */
static uint32_t find(const struct draft_table *t, uint64_t hash, size_t *i)
{
    uint32_t tag = (uint32_t)(hash >> 32);

    for (; t->slots[*i].value != 0; *i = next_slot(t, *i))
        if (t->slots[*i].tag == tag) {
            uint32_t number = t->slots[*i].value - 1;

            *i = next_slot(t, *i);
            return number;
        }
    return GUESS_NONE;
}

static uint32_t find_first(const struct draft_table *t, uint64_t hash, size_t *i)
{
    if (t->slots == NULL)
        return GUESS_NONE;
    *i = first_slot(t, (uint32_t)(hash >> 32));
    return find(t, hash, i);
}

static uint32_t guess(const struct draft_table *t, uint64_t hash)
{
    size_t i;

    return find_first(t, hash, &i);
}

/* Always inline, as a call that only asks is left out: it seems to do nothing. */
__attribute__((always_inline)) static inline void ask_slot(const struct draft_table *t,
                                                           uint64_t hash)
{
    if (t->slots != NULL)
        __builtin_prefetch(&t->slots[first_slot(t, (uint32_t)(hash >> 32))]);
}

/* ---- paths and dimensions -------------------------------------------------------------------- */

struct slice matcher_builder_keep(struct matcher_builder *b, struct slice text)
{
    b->text_bytes += text.size + TEXT_EXTRA;
    return arena_copy(&b->arena, text);
}

static struct draft_path *path_at(const struct matcher_builder *b, uint32_t number)
{
    return &g_array_index(b->paths, struct draft_path, number);
}

uint32_t matcher_number_path(struct matcher_builder *b, const struct pattern_field *field)
{
    struct draft_path path = {.path.hash = field->path_hash};
    size_t i;

    for (uint32_t at = find_first(&b->path_table, field->path_hash, &i); at != GUESS_NONE;
         at = find(&b->path_table, field->path_hash, &i))
        if (slice_equal(path_at(b, at)->path.path, field->path)) {
            b->path = at;
            return at;
        }
    path.path.path = matcher_builder_keep(b, field->path);
    g_array_append_val(b->paths, path);
    b->path = b->paths->len - 1;
    put(&b->path_table, field->path_hash, b->path);
    return b->path;
}

uint32_t matcher_number_dimension(struct matcher_builder *b, enum matcher_family family)
{
    struct draft_path *path = path_at(b, b->path);
    struct matcher_dimension dimension = {.path = b->path, .family = (uint8_t)family};

    if (path->dimensions[family] == 0) {
        g_array_append_val(b->dimensions, dimension);
        path->dimensions[family] = b->dimensions->len;
    }
    return path->dimensions[family] - 1;
}

static enum matcher_family family_of(const struct matcher_builder *b, uint32_t dimension)
{
    return g_array_index(b->dimensions, struct matcher_dimension, dimension).family;
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* Beginnings are hashed forwards, ends backwards, as events read them. */
uint64_t matcher_text_hash(enum matcher_family family, uint32_t name, struct slice text)
{
    uint64_t hash = 0;

    if (!matcher_is_affix(family))
        return matcher_symbol_hash(text, name);
    for (size_t i = 0; i < text.size; i++)
        hash =
            matcher_affix_step(hash, text.data[matcher_is_prefix(family) ? i : text.size - 1 - i]);
    return matcher_affix_end(hash, text.size, name);
}

static const struct matcher_symbol *symbol_at(const struct matcher_builder *b, uint32_t number)
{
    return &g_array_index(b->symbols, struct matcher_symbol, number);
}

static uint32_t number_hashed(struct matcher_builder *b, uint32_t dimension, struct slice text,
                              uint64_t hash)
{
    struct matcher_symbol symbol = {.size = (uint32_t)text.size, .dimension = dimension};
    size_t i;

    for (uint32_t at = find_first(&b->symbol_table, hash, &i); at != GUESS_NONE;
         at = find(&b->symbol_table, hash, &i)) {
        const struct matcher_symbol *s = symbol_at(b, at);

        if (s->dimension == dimension && slice_equal(slice_of(s->data, s->size), text))
            return at;
    }
    symbol.data = matcher_builder_keep(b, text).data;
    g_array_append_val(b->symbols, symbol);
    put(&b->symbol_table, hash, b->symbols->len - 1);
    return b->symbols->len - 1;
}

uint32_t matcher_number_text(struct matcher_builder *b, uint32_t dimension, struct slice text)
{
    return number_hashed(b, dimension, text,
                         matcher_text_hash(family_of(b, dimension), dimension, text));
}

void matcher_draft_text(struct matcher_builder *b, uint32_t dimension, struct slice text)
{
    struct draft_text draft = {.text = arena_copy(&b->batch_arena, text),
                               .hash = matcher_text_hash(family_of(b, dimension), dimension, text),
                               .dimension = dimension,
                               .word = b->batch_words->len};
    uint32_t later = 0;

    b->batch_bytes += text.size;
    ask_slot(&b->symbol_table, draft.hash);
    g_array_append_val(b->batch_words, later);
    g_array_append_val(b->batch_texts, draft);
}

static uint32_t *words_at(const struct matcher_builder *b, uint32_t word)
{
    return &g_array_index(b->batch_words, uint32_t, word);
}

static void number_texts(struct matcher_builder *b)
{
    struct draft_text *texts = (struct draft_text *)(void *)b->batch_texts->data;
    guint count = b->batch_texts->len;

    for (guint i = 0; i < count; i++) {
        texts[i].guess = guess(&b->symbol_table, texts[i].hash);
        if (texts[i].guess != GUESS_NONE)
            __builtin_prefetch(symbol_at(b, texts[i].guess));
    }
    for (guint i = 0; i < count; i++)
        if (texts[i].guess != GUESS_NONE)
            __builtin_prefetch(symbol_at(b, texts[i].guess)->data);
    for (guint i = 0; i < count; i++)
        *words_at(b, texts[i].word) =
            number_hashed(b, texts[i].dimension, texts[i].text, texts[i].hash);
}

/* ---- fields ---------------------------------------------------------------------------------- */

static bool is_list(uint32_t head)
{
    return TEST_KIND(head) >= TEST_LIST && TEST_KIND(head) <= TEST_FEWER;
}

/* Words of a test in a draft. */
static uint32_t test_size(const struct matcher_builder *b, const uint32_t *words)
{
    uint32_t value;

    if (TEST_KIND(words[0]) == TEST_TEXT)
        return 3;
    value = matcher_value_words(family_of(b, TEST_DIMENSION(words[0])));
    return is_list(words[0]) ? 2 + words[1] * value : 1 + 2 * value;
}

/* All numbers are known: a list's are sorted, and a range has the same one at both ends. */
static void settle(struct matcher_builder *b, struct draft_field *field)
{
    uint32_t *words = words_at(b, field->first), to = 1;

    for (uint32_t i = 1; i < field->count;) {
        uint32_t size = test_size(b, words + i), kept = size;

        if (is_list(words[i]) && size == 2 + words[i + 1]) {
            words[i + 1] = matcher_sort_once(words + i + 2, words[i + 1]);
            kept = 2 + words[i + 1];
        } else if (TEST_KIND(words[i]) == TEST_RANGE && size == 3) {
            words[i + 2] = words[i + 1];
        }
        memmove(words + to, words + i, kept * sizeof(*words));
        i += size;
        to += kept;
    }
    field->count = to;
    field->hash = hash64(slice_of((const char *)words, field->count * sizeof(*words)));
}

static struct slice field_words(const struct matcher_builder *b, uint32_t field)
{
    size_t from = g_array_index(b->words_of, size_t, field);
    size_t to = g_array_index(b->words_of, size_t, field + 1);

    return slice_of((const char *)&g_array_index(b->words, uint32_t, from),
                    (to - from) * sizeof(uint32_t));
}

/* A new bound from the words of a draft. */
static uint32_t add_bound(struct matcher_builder *b, uint32_t dimension, const uint32_t *words)
{
    struct draft_bound bound = {.dimension = dimension, .number = b->bounds->len & INT32_MAX};
    struct matcher_address *address;

    if (family_of(b, dimension) == FAMILY_NUMBER) {
        memcpy(&bound.value, words, sizeof(bound.value));
    } else {
        address = ARENA_NEW(&b->arena, struct matcher_address, 1);
        memcpy(address, words, sizeof(*address));
        bound.address = address;
        bound.is_address = true;
    }
    g_array_append_val(b->bounds, bound);
    return bound.number;
}

/* The test that stands in the words: bounds get numbers, and lists go to the pool. */
static struct matcher_test make_test(struct matcher_builder *b, const uint32_t *words)
{
    struct matcher_test test = {.head = words[0]};
    uint32_t dimension = TEST_DIMENSION(test.head), size;
    bool has_bounds;

    if (TEST_KIND(test.head) == TEST_TEXT)
        return (struct matcher_test){words[0], words[1], words[2]};
    size = matcher_value_words(family_of(b, dimension));
    has_bounds = size > 1;
    if (!is_list(test.head)) {
        test.a = has_bounds ? add_bound(b, dimension, words + 1) : words[1];
        test.b = has_bounds ? add_bound(b, dimension, words + 1 + size) : words[2];
        return test;
    }
    test.a = b->pool->len;
    test.b = words[1];
    for (uint32_t i = 0; i < test.b; i++) {
        const uint32_t *value = words + 2 + (size_t)i * size;
        uint32_t number = has_bounds ? add_bound(b, dimension, value) : *value;

        g_array_append_val(b->pool, number);
    }
    return test;
}

/* Makes the drafted field. */
static uint32_t add_field(struct matcher_builder *b, const struct draft_field *draft)
{
    const uint32_t *words = words_at(b, draft->first);
    struct matcher_field field = {
        .path = words[0] >> 1, .first = b->tests->len, .allows_absent = words[0] & 1};
    size_t end;

    for (uint32_t i = 1; i < draft->count; i += test_size(b, words + i)) {
        struct matcher_test test = make_test(b, words + i);

        g_array_append_val(b->tests, test);
        field.count++;
    }
    g_array_append_val(b->fields, field);
    g_array_append_vals(b->words, words, draft->count);
    end = b->words->len;
    g_array_append_val(b->words_of, end);
    return b->fields->len - 1;
}

static uint32_t number_field(struct matcher_builder *b, const struct draft_field *draft)
{
    struct slice words =
        slice_of((const char *)words_at(b, draft->first), draft->count * sizeof(uint32_t));
    uint32_t number;
    size_t i;

    for (uint32_t at = find_first(&b->field_table, draft->hash, &i); at != GUESS_NONE;
         at = find(&b->field_table, draft->hash, &i))
        if (slice_equal(field_words(b, at), words))
            return at;
    number = add_field(b, draft);
    put(&b->field_table, draft->hash, number);
    return number;
}

/* Returns the number of each: it takes the place of the guess. */
static void number_fields(struct matcher_builder *b)
{
    struct draft_field *fields = (struct draft_field *)(void *)b->batch_fields->data;
    guint count = b->batch_fields->len;

    for (guint i = 0; i < count; i++) {
        settle(b, &fields[i]);
        ask_slot(&b->field_table, fields[i].hash);
    }
    for (guint i = 0; i < count; i++) {
        fields[i].guess = guess(&b->field_table, fields[i].hash);
        if (fields[i].guess != GUESS_NONE)
            __builtin_prefetch(&g_array_index(b->words_of, size_t, fields[i].guess));
    }
    for (guint i = 0; i < count; i++)
        if (fields[i].guess != GUESS_NONE)
            __builtin_prefetch(field_words(b, fields[i].guess).data);
    for (guint i = 0; i < count; i++)
        fields[i].guess = number_field(b, &fields[i]);
}

void matcher_empty_batch(struct matcher_builder *b)
{
    g_array_set_size(b->batch_words, 0);
    g_array_set_size(b->batch_texts, 0);
    g_array_set_size(b->batch_fields, 0);
    arena_reset(&b->batch_arena);
    b->batch_bytes = 0;
}

void matcher_number_batch(struct matcher_builder *b)
{
    number_texts(b);
    number_fields(b);
    for (guint i = b->fields_of_known; i < b->fields_of->len; i++) {
        uint32_t *field = &g_array_index(b->fields_of, uint32_t, i);

        *field = g_array_index(b->batch_fields, struct draft_field, *field).guess;
    }
    b->fields_of_known = b->fields_of->len;
    matcher_empty_batch(b);
}
