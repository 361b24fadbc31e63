/* The end of building: what was numbered as it came gets its final numbers.
 *
 *   dimensions  side by side by path        texts    from 0 in each dimension
 *   bounds      ranks in their dimension    tests    rewritten to all of these
 *
 * Then the fields are judged (judge.c) and the conjunctions filed (file.c).
 */
#include "common/error.h"
#include "core/matcher/builder.h"

/* By dimension, then by value. Those of a dimension are all addresses or none is. */
static int compare_bounds(const void *a, const void *b)
{
    const struct draft_bound *x = a, *y = b;

    if (x->dimension != y->dimension)
        return x->dimension < y->dimension ? -1 : 1;
    if (x->is_address)
        return memcmp(x->address, y->address, sizeof(*x->address));
    return (x->value > y->value) - (x->value < y->value);
}

/* Texts of each dimension are numbered from 0. Returns their coordinates by number. */
static uint32_t *number_symbols(struct matcher *m, const uint32_t *numbers)
{
    uint32_t *coordinates = g_new(uint32_t, MAX(m->symbol_count, 1));
    uint32_t use = 0;

    for (uint32_t i = 0; i < m->symbol_count; i++) {
        struct matcher_dimension *d = &m->dimensions[numbers[m->symbols[i].dimension]];

        m->symbols[i].coordinate = coordinates[i] = d->coordinate_count++;
    }
    for (uint32_t i = 0; i < m->dimension_count; i++) {
        m->dimensions[i].use = use;
        use += m->dimensions[i].coordinate_count;
        if (m->dimensions[i].family == FAMILY_TYPE)
            m->dimensions[i].coordinate_count = TYPE_PRESENT + 1;
    }
    return coordinates;
}

/* The dimension's bounds, which begin at first and are in order, each once; each gets its
 * coordinate. Returns where they end. */
static guint rank_dimension(struct matcher *m, struct matcher_dimension *d,
                            const struct draft_bound *all, guint first, guint count,
                            uint32_t *coordinates)
{
    size_t size = all[first].is_address ? sizeof(*all->address) : sizeof(all->value);
    guint end = first;
    char *values;

    for (; end < count && all[end].dimension == all[first].dimension; end++) {
        d->bound_count += end == first || compare_bounds(&all[end], &all[end - 1]) != 0;
        coordinates[all[end].number] = 2 * d->bound_count - 1;
    }
    d->coordinate_count = 2 * d->bound_count + 1;
    d->bounds = values = arena_alloc(&m->arena, d->bound_count * size);
    for (guint i = first; i < end; i++)
        memcpy(values + coordinates[all[i].number] / 2 * size,
               all[i].is_address ? (const void *)all[i].address : &all[i].value, size);
    return end;
}

/* Gives each dimension its bounds in order, and each bound its coordinate, by number. Odd: a value
 * equal to the bound; even: one between two. */
static uint32_t *rank_bounds(struct matcher *m, GArray *bounds, const uint32_t *numbers)
{
    struct draft_bound *all = (struct draft_bound *)(void *)bounds->data;
    uint32_t *coordinates = g_new(uint32_t, bounds->len);

    if (bounds->len > 0)
        qsort(all, bounds->len, sizeof(*all), compare_bounds);
    for (guint i = 0; i < bounds->len;)
        i = rank_dimension(m, &m->dimensions[numbers[all[i].dimension]], all, i, bounds->len,
                           coordinates);
    return coordinates;
}

/* Numbers of texts and bounds become coordinates. */
static void rewrite_values(uint32_t *values, uint32_t count, const uint32_t *coordinates)
{
    for (uint32_t i = 0; i < count; i++)
        values[i] = coordinates[values[i]];
    matcher_sort_once(values, count);
}

/* Dimensions get their final numbers, everything else becomes coordinates. */
static void rewrite_test(struct matcher *m, struct matcher_test *test, const uint32_t *texts,
                         const uint32_t *bounds)
{
    uint8_t family = m->dimensions[TEST_DIMENSION(test->head)].family;
    const uint32_t *coordinates =
        family == FAMILY_NUMBER || family == FAMILY_ADDRESS ? bounds : texts;

    if (family == FAMILY_TYPE)
        return;
    if (TEST_KIND(test->head) == TEST_RANGE) {
        test->a = coordinates[test->a];
        test->b = coordinates[test->b];
    } else {
        rewrite_values(m->pool + test->a, test->b, coordinates);
    }
}

static void rewrite_tests(struct matcher *m, const uint32_t *numbers, const uint32_t *texts,
                          const uint32_t *bounds)
{
    for (uint32_t i = 0; i < m->text_count; i++) {
        struct matcher_text *text = &m->texts[i];

        if (text->hint == COORDINATE_NONE)
            continue;
        text->hint_dimension = numbers[text->hint_dimension];
        text->hint = texts[text->hint];
    }
    for (uint32_t i = 0; i < m->test_count; i++) {
        struct matcher_test *test = &m->tests[i];

        if (TEST_KIND(test->head) == TEST_TEXT)
            continue;
        test->head = TEST_HEAD(TEST_KIND(test->head), numbers[TEST_DIMENSION(test->head)]);
        rewrite_test(m, test, texts, bounds);
    }
}

/* Which lengths the texts of each dimension have, so that events are asked for no others. */
static void note_lengths(struct matcher *m, const uint32_t *numbers)
{
    g_autofree GArray **lengths = g_new0(GArray *, m->dimension_count);

    for (uint32_t i = 0; i < m->symbol_count; i++) {
        const struct matcher_symbol *s = &m->symbols[i];
        struct matcher_dimension *d = &m->dimensions[numbers[s->dimension]];
        GArray **list = &lengths[numbers[s->dimension]];

        d->sizes |= UINT64_C(1) << MIN(s->size, 63);
        if (!matcher_is_affix(d->family))
            continue;
        if (*list == NULL)
            *list = g_array_new(FALSE, FALSE, sizeof(uint32_t));
        if ((*list)->len == 0 || g_array_index(*list, uint32_t, (*list)->len - 1) != s->size)
            g_array_append_val(*list, s->size);
    }
    for (uint32_t i = 0; i < m->dimension_count; i++) {
        struct matcher_dimension *d = &m->dimensions[i];
        uint32_t *values;

        if (lengths[i] == NULL)
            continue;
        values = (uint32_t *)(void *)lengths[i]->data;
        d->length_count = matcher_sort_once(values, lengths[i]->len);
        d->lengths = ARENA_NEW(&m->arena, uint32_t, d->length_count);
        memcpy(d->lengths, values, d->length_count * sizeof(uint32_t));
        d->inner = ARENA_NEW(&m->arena, uint64_t, d->length_count);
        memset(d->inner, 0, d->length_count * sizeof(uint64_t));
        g_array_unref(lengths[i]);
    }
    for (uint32_t i = 0; i < m->symbol_count; i++) {
        const struct matcher_symbol *s = &m->symbols[i];
        struct matcher_dimension *d = &m->dimensions[numbers[s->dimension]];

        if (matcher_is_affix(d->family) && s->size > 0)
            d->inner[matcher_lower_bound(d->lengths, d->length_count, s->size)] |=
                UINT64_C(1) << (s->data[matcher_is_prefix(d->family) ? s->size - 1 : 0] & 63);
    }
}

/* The dimensions of a path get numbers side by side. Returns the final number of each. */
static uint32_t *number_finally(struct matcher *m, const GArray *paths, const GArray *dimensions)
{
    uint32_t *numbers = g_new(uint32_t, MAX(dimensions->len, 1));

    m->path_count = paths->len;
    m->paths = g_new(struct matcher_path, m->path_count);
    m->dimensions = g_new(struct matcher_dimension, dimensions->len);
    for (guint p = 0; p < paths->len; p++) {
        const struct draft_path *draft = &g_array_index(paths, struct draft_path, p);

        m->paths[p] = draft->path;
        m->paths[p].first = m->dimension_count;
        for (uint32_t f = 0; f < FAMILY_COUNT; f++) {
            uint32_t old = draft->dimensions[f] - 1;

            if (draft->dimensions[f] == 0)
                continue;
            numbers[old] = m->dimension_count;
            m->dimensions[m->dimension_count] =
                g_array_index(dimensions, struct matcher_dimension, old);
            m->dimensions[m->dimension_count++].name = old;
        }
        m->paths[p].count = m->dimension_count - m->paths[p].first;
    }
    return numbers;
}

static size_t array_bytes(GArray *array)
{
    return (size_t)array->len * g_array_get_element_size(array);
}

/* What assemble hands over and matcher_size counts. */
size_t matcher_builder_bytes(const struct matcher_builder *b)
{
    if (b->paths == NULL)
        return 0;
    return b->text_bytes + array_bytes(b->symbols) + array_bytes(b->fields) +
           array_bytes(b->tests) + array_bytes(b->pool) + array_bytes(b->texts) +
           array_bytes(b->conjunctions) + array_bytes(b->fields_of);
}

static uint64_t path_hash(const void *user, uint32_t value)
{
    const struct matcher *m = user;

    return m->paths[value].hash;
}

struct symbols {
    const struct matcher *m;
    const uint32_t *numbers; /* of dimensions */
};

static uint64_t symbol_hash(const void *user, uint32_t value)
{
    const struct symbols *s = user;
    const struct matcher_symbol *symbol = &s->m->symbols[value];

    return matcher_text_hash(s->m->dimensions[s->numbers[symbol->dimension]].family,
                             symbol->dimension, slice_of(symbol->data, symbol->size));
}

static void fill_tables(struct matcher *m, const uint32_t *numbers)
{
    struct symbols symbols = {m, numbers};

    matcher_table_fill(&m->path_table, 0, m->path_count, path_hash, m);
    matcher_table_fill(&m->symbol_table, 0, m->symbol_count, symbol_hash, &symbols);
}

/* Everything that was gathered changes hands. */
static struct matcher *assemble(struct matcher_builder *b)
{
    struct matcher *m = g_new0(struct matcher, 1);
    struct matcher_conjunction end = {0};
    g_autofree uint32_t *numbers = NULL, *texts = NULL, *bounds = NULL;

    matcher_builder_start(b);
    matcher_number_batch(b);
    matcher_builder_drop_tables(b);
    end.first = b->fields_of->len;
    numbers = number_finally(m, b->paths, b->dimensions);
    g_array_append_val(b->conjunctions, end);
    m->id = (uint64_t)g_random_int() << 32 | g_random_int();
    m->pattern_count = b->pattern_count;
    m->symbols = matcher_take(g_steal_pointer(&b->symbols), &m->symbol_count);
    m->fields = matcher_take(g_steal_pointer(&b->fields), &m->field_count);
    m->tests = matcher_take(g_steal_pointer(&b->tests), &m->test_count);
    m->pool = matcher_take(g_steal_pointer(&b->pool), &m->pool_count);
    m->texts = matcher_take(g_steal_pointer(&b->texts), &m->text_count);
    m->conjunctions = matcher_take(g_steal_pointer(&b->conjunctions), &m->conjunction_count);
    m->conjunction_count--;
    m->fields_of = matcher_take(g_steal_pointer(&b->fields_of), &m->field_of_count);
    m->text_bytes = b->text_bytes;
    m->arena = b->arena;
    arena_init(&b->arena);
    fill_tables(m, numbers);
    texts = number_symbols(m, numbers);
    bounds = rank_bounds(m, b->bounds, numbers);
    rewrite_tests(m, numbers, texts, bounds);
    note_lengths(m, numbers);
    matcher_name_paths(m);
    return m;
}

struct matcher *matcher_builder_finish(struct matcher_builder *b, size_t memory_max, GError **error)
{
    struct matcher *m = assemble(b);
    g_autoptr(GPtrArray) sample = g_steal_pointer(&b->sample);
    g_autofree struct matcher_judgement *judgements = NULL;
    bool fits;

    matcher_builder_clear(b);
    judgements = matcher_judge(m, sample);
    fits = matcher_file(m, judgements, memory_max);
    m->bytes = matcher_size(m);
    if (fits && (memory_max == 0 || m->bytes <= memory_max))
        return m;
    g_set_error(error, EF_ERROR, EF_ERROR_FULL,
                "the index of %" G_GUINT32_FORMAT " patterns would take more than %zu bytes",
                m->pattern_count, memory_max);
    matcher_free(m);
    return NULL;
}
