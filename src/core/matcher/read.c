/* Reading an event: the leaves whose paths some pattern names become coordinates.
 *
 * All leaves of one path are read together, dimension by dimension, so that the coordinates of a
 * dimension stand side by side. Where they are many (an event may have 100,000 leaves at one path),
 * a sorted copy without repetitions is made, which tests can search.
 * Everything is set back to zero at the end of an event by what it touched, so an event costs
 * nothing for paths that it does not have.
 */
#include "core/matcher/internal.h"

#define FEW         8 /* coordinates of a dimension that need no order */
#define INSERT_MAX  64
#define VALUES_KEEP 65536 /* coordinates or leaves that there is room for between events */
#define LEAVES_MIN  64
#define VALUES_MIN  256
#define RADIX_BITS  11
#define RADIX_SIZE  (1 << RADIX_BITS)

static void grow_values(struct matcher_run *run, size_t least)
{
    run->value_room = MAX(MAX(run->value_room * 2, VALUES_MIN), least);
    run->values = g_renew(uint32_t, run->values, run->value_room);
    run->leaves = g_renew(uint32_t, run->leaves, run->value_room);
}

static void make_lists(struct matcher_run *run)
{
    run->found = g_array_sized_new(FALSE, FALSE, sizeof(struct flat_leaf *), LEAVES_MIN);
    run->leaves_tried = g_array_sized_new(FALSE, FALSE, sizeof(struct flat_leaf *), LEAVES_MIN);
}

struct matcher_run *matcher_run_new(void)
{
    struct matcher_run *run = g_new0(struct matcher_run, 1);

    run->candidates = g_array_new(FALSE, FALSE, sizeof(struct pattern_candidate));
    run->fields = g_array_new(FALSE, FALSE, sizeof(struct matcher_gathered));
    make_lists(run);
    run->folded = g_string_new(NULL);
    run->epoch = run->event_number = 1;
    run->skip = matcher_skip_best();
    grow_values(run, 0);
    return run;
}

void matcher_run_free(struct matcher_run *run)
{
    if (run == NULL)
        return;
    g_free(run->touched);
    g_free(run->places);
    g_array_unref(run->found);
    g_array_unref(run->leaves_tried);
    g_array_unref(run->fields);
    matcher_elements_free(run);
    g_free(run->gathered);
    g_free(run->pairs);
    for (uint32_t i = 0; i < GRAM_SETS; i++)
        g_free(run->grams[i].bits);
    g_array_unref(run->candidates);
    g_string_free(run->folded, TRUE);
    g_free(run->readings);
    g_free(run->singles);
    g_free(run->queue);
    g_free(run->passed);
    g_free(run->presences);
    g_free(run->values);
    g_free(run->leaves);
    g_free(run->scratch);
    g_free(run->bits);
    g_free(run->marks);
    g_free(run->skimmed.leaves);
    g_free(run->guesses);
    arena_done(&run->skim_arena);
    g_free(run);
}

/* ---- coordinates ----------------------------------------------------------------------------- */

static inline void emit(struct matcher_run *run, uint32_t value, uint32_t leaf)
{
    if (run->value_count == run->value_room)
        grow_values(run, 0);
    run->values[run->value_count] = value;
    run->leaves[run->value_count++] = leaf;
}

/* Sorts by digits of eleven bits: the same time whatever the values are. */
static void sort_values(uint32_t *values, uint32_t *scratch, uint32_t count)
{
    for (unsigned shift = 0; shift < 32; shift += RADIX_BITS) {
        uint32_t starts[RADIX_SIZE] = {0}, sum = 0, *swap = values;

        for (uint32_t i = 0; i < count; i++)
            starts[values[i] >> shift & (RADIX_SIZE - 1)]++;
        for (uint32_t i = 0; i < RADIX_SIZE; i++) {
            uint32_t here = starts[i];

            starts[i] = sum;
            sum += here;
        }
        for (uint32_t i = 0; i < count; i++)
            scratch[starts[values[i] >> shift & (RADIX_SIZE - 1)]++] = values[i];
        values = scratch;
        scratch = swap;
    }
}

static void insert_values(uint32_t *values, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        uint32_t value = values[i], at = i;

        for (; at > 0 && values[at - 1] > value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
}

/* A sorted copy without repetitions of r's coordinates, behind all values. Three rounds of sorting
 * end in scratch, which is where the copy is taken from. */
static void make_searchable(struct matcher_run *run, struct matcher_reading *r)
{
    uint32_t count = r->raw_count, *sorted;

    if (run->scratch_room < (size_t)count * 2) {
        run->scratch_room = (size_t)count * 2;
        run->scratch = g_renew(uint32_t, run->scratch, run->scratch_room);
    }
    memcpy(run->scratch, run->values + r->raw_first, count * sizeof(uint32_t));
    sorted = run->scratch;
    if (count <= INSERT_MAX) {
        insert_values(sorted, count);
    } else {
        sort_values(run->scratch, run->scratch + count, count);
        sorted += count;
    }
    r->first = (uint32_t)run->value_count;
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || sorted[i] != sorted[i - 1])
            emit(run, sorted[i], 1);
        else
            run->leaves[run->value_count - 1]++;
    r->count = (uint32_t)run->value_count - r->first;
}

/* The number of the text under the dimension; COORDINATE_NONE when nobody named it. */
static inline uint32_t find_symbol(const struct matcher *m, const struct matcher_dimension *d,
                                   struct slice text)
{
    const struct matcher_table *t = &m->symbol_table;
    uint64_t hash = matcher_symbol_hash(text, d->name);

    for (size_t i = hash & t->mask; t->slots[i].value != 0; i = (i + 1) & t->mask) {
        const struct matcher_symbol *s = &m->symbols[t->slots[i].value - 1];

        if (t->slots[i].tag == (uint32_t)(hash >> 32) && s->dimension == d->name &&
            slice_equal(slice_of(s->data, s->size), text))
            return s->coordinate;
    }
    return COORDINATE_NONE;
}

/* The same for the text of a leaf, whose size alone tells most that nobody named. */
static inline uint32_t find_text(const struct matcher *m, const struct matcher_dimension *d,
                                 struct slice text)
{
    return d->sizes >> MIN(text.size, 63) & 1 ? find_symbol(m, d, text) : COORDINATE_NONE;
}

/* ---- one leaf -------------------------------------------------------------------------------- */

/* The coordinates of one leaf. */
typedef void (*leaf_reader)(struct matcher_run *run, uint32_t dimension, uint32_t leaf);

static const struct flat_leaf *leaf_at(const struct matcher_run *run, uint32_t leaf)
{
    return &run->event->leaves[leaf];
}

static void read_type(struct matcher_run *run, uint32_t dimension, uint32_t leaf)
{
    (void)dimension;
    emit(run, TYPE_PRESENT, leaf);
    emit(run, leaf_at(run, leaf)->type, leaf);
}

/* For anything-but: a leaf of another type passes, too. */
static void read_other(struct matcher_run *run, uint32_t dimension, uint32_t leaf)
{
    if (run->matcher->dimensions[dimension].has_none_of)
        emit(run, COORDINATE_OTHER, leaf);
}

static void emit_symbol(struct matcher_run *run, const struct matcher_dimension *d, uint32_t symbol,
                        uint32_t leaf)
{
    if (symbol != COORDINATE_NONE || d->has_none_of)
        emit(run, symbol, leaf);
}

static void read_text(struct matcher_run *run, uint32_t dimension, uint32_t leaf)
{
    const struct matcher_dimension *d = &run->matcher->dimensions[dimension];
    const struct flat_leaf *l = leaf_at(run, leaf);

    if (l->type != JSON_TEXT)
        read_other(run, dimension, leaf);
    else
        emit_symbol(run, d, find_text(run->matcher, d, l->text), leaf);
}

/* The first characters of the text, folded. true: that was all of it. */
static bool fold_head(struct matcher_run *run, struct slice text, uint32_t characters)
{
    const char *p = text.data, *end = text.data + text.size;

    g_string_truncate(run->folded, 0);
    for (; p < end && characters > 0; characters--, p += g_utf8_skip[(guchar)*p])
        g_string_append_unichar(run->folded, pattern_fold(g_utf8_get_char(p)));
    return p == end;
}

/* The last characters of the text, folded. */
static void fold_tail(struct matcher_run *run, struct slice text, uint32_t characters)
{
    const char *end = text.data + text.size, *p = end;

    for (; p > text.data && characters > 0; characters--)
        p = g_utf8_prev_char(p);
    fold_head(run, slice_of(p, (size_t)(end - p)), UINT32_MAX);
}

static struct slice folded(const struct matcher_run *run)
{
    return slice_of(run->folded->str, run->folded->len);
}

static void read_fold(struct matcher_run *run, uint32_t dimension, uint32_t leaf)
{
    const struct matcher_dimension *d = &run->matcher->dimensions[dimension];
    const struct flat_leaf *l = leaf_at(run, leaf);

    if (l->type != JSON_TEXT)
        read_other(run, dimension, leaf);
    else if (fold_head(run, l->text, d->characters))
        emit_symbol(run, d, find_symbol(run->matcher, d, folded(run)), leaf);
    else
        emit_symbol(run, d, COORDINATE_NONE, leaf);
}

/* What stands in the table of symbols under the hash of a beginning or an end. */
static inline uint32_t find_affix(const struct matcher *m, const struct matcher_dimension *d,
                                  uint64_t hash, struct slice text)
{
    const struct matcher_table *t = &m->symbol_table;

    hash = matcher_affix_end(hash, text.size, d->name);
    for (size_t i = hash & t->mask; t->slots[i].value != 0; i = (i + 1) & t->mask) {
        const struct matcher_symbol *s = &m->symbols[t->slots[i].value - 1];

        if (t->slots[i].tag == (uint32_t)(hash >> 32) && s->dimension == d->name &&
            slice_equal(slice_of(s->data, s->size), text))
            return s->coordinate;
    }
    return COORDINATE_NONE;
}

/* All named beginnings, or ends, of the text: one walk over it, however many lengths there are. */
static void read_affixes(struct matcher_run *run, uint32_t dimension, struct slice text,
                         uint32_t leaf)
{
    const struct matcher_dimension *d = &run->matcher->dimensions[dimension];
    bool is_prefix = matcher_is_prefix(d->family);
    const char *end = text.data + text.size;
    uint64_t hash = 0;
    size_t at = 0;

    for (uint32_t i = 0; i < d->length_count && d->lengths[i] <= text.size; i++) {
        size_t size = d->lengths[i]; /* 0: the empty text, which every text begins with */
        uint32_t symbol;

        if (size > 0) {
            char inner = is_prefix ? text.data[size - 1] : end[-(ptrdiff_t)size];

            if ((d->inner[i] >> (inner & 63) & 1) == 0)
                continue;
        }
        for (; at < size; at++)
            hash = matcher_affix_step(hash, is_prefix ? text.data[at] : end[-1 - (ptrdiff_t)at]);
        symbol = find_affix(run->matcher, d, hash, slice_of(is_prefix ? text.data : end - at, at));
        if (symbol != COORDINATE_NONE)
            emit(run, symbol, leaf);
    }
}

static void read_prefix(struct matcher_run *run, uint32_t dimension, uint32_t leaf)
{
    if (leaf_at(run, leaf)->type == JSON_TEXT)
        read_affixes(run, dimension, leaf_at(run, leaf)->text, leaf);
}

static void read_suffix(struct matcher_run *run, uint32_t dimension, uint32_t leaf)
{
    if (leaf_at(run, leaf)->type == JSON_TEXT)
        read_affixes(run, dimension, leaf_at(run, leaf)->text, leaf);
}

static void read_prefix_fold(struct matcher_run *run, uint32_t dimension, uint32_t leaf)
{
    if (leaf_at(run, leaf)->type != JSON_TEXT)
        return;
    fold_head(run, leaf_at(run, leaf)->text, run->matcher->dimensions[dimension].characters);
    read_affixes(run, dimension, folded(run), leaf);
}

static void read_suffix_fold(struct matcher_run *run, uint32_t dimension, uint32_t leaf)
{
    if (leaf_at(run, leaf)->type != JSON_TEXT)
        return;
    fold_tail(run, leaf_at(run, leaf)->text, run->matcher->dimensions[dimension].characters);
    read_affixes(run, dimension, folded(run), leaf);
}

/* Twice the number of bounds below the value, one more when it is a bound itself. */
static uint32_t rank_number(const struct matcher_dimension *d, double value)
{
    const double *bounds = d->bounds, *base = bounds;
    size_t count = d->bound_count;
    uint32_t rank;

    while (count > 1) {
        size_t half = count / 2;

        base += half & -(size_t)(base[half - 1] < value); /* no branch: nobody could guess it */
        count -= half;
    }
    rank = (uint32_t)(base - bounds) + (count == 1 && *base < value);
    return 2 * rank + (rank < d->bound_count && bounds[rank] == value);
}

/* COORDINATE_NONE: no double holds the number. */
static inline uint32_t find_number(const struct matcher_dimension *d, struct slice text)
{
    struct pattern_number number = pattern_number_parse(text);

    return number.is_exact ? rank_number(d, number.value) : COORDINATE_NONE;
}

/* Whether the leaf is the same number as the one before, as in long lists they often are. */
static bool is_repeated(const struct matcher_run *run, uint32_t dimension,
                        const struct flat_leaf *l)
{
    const struct flat_leaf *before;

    if (run->value_count == run->readings[dimension].raw_first)
        return false;
    before = leaf_at(run, run->leaves[run->value_count - 1]);
    return before->type == JSON_NUMBER && slice_equal(before->text, l->text);
}

static void read_number(struct matcher_run *run, uint32_t dimension, uint32_t leaf)
{
    const struct matcher_dimension *d = &run->matcher->dimensions[dimension];
    const struct flat_leaf *l = leaf_at(run, leaf);

    if (l->type != JSON_NUMBER)
        read_other(run, dimension, leaf);
    else if (is_repeated(run, dimension, l))
        emit(run, run->values[run->value_count - 1], leaf);
    else
        emit_symbol(run, d, find_number(d, l->text), leaf);
}

/* Only numbers that no double holds are compared by their text. */
static void read_number_text(struct matcher_run *run, uint32_t dimension, uint32_t leaf)
{
    const struct matcher_dimension *d = &run->matcher->dimensions[dimension];
    const struct flat_leaf *l = leaf_at(run, leaf);

    if (l->type == JSON_NUMBER && !pattern_number_parse(l->text).is_exact)
        emit_symbol(run, d, find_symbol(run->matcher, d, l->text), leaf);
}

static void read_address(struct matcher_run *run, uint32_t dimension, uint32_t leaf)
{
    const struct matcher_dimension *d = &run->matcher->dimensions[dimension];
    const struct matcher_address *bounds = d->bounds;
    const struct flat_leaf *l = leaf_at(run, leaf);
    struct matcher_address address = {0};
    struct pattern_network network = {0};
    uint32_t low = 0, high = d->bound_count;

    if (l->type != JSON_TEXT || !pattern_address_parse(l->text, &network))
        return;
    address.bytes[0] = network.size;
    memcpy(address.bytes + 1, network.bytes, network.size);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (memcmp(bounds[middle].bytes, address.bytes, sizeof(address.bytes)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    emit(run,
         2 * low + (low < d->bound_count &&
                    memcmp(bounds[low].bytes, address.bytes, sizeof(address.bytes)) == 0),
         leaf);
}

static const leaf_reader READERS[FAMILY_COUNT] = {
    [FAMILY_TYPE] = read_type,
    [FAMILY_TEXT] = read_text,
    [FAMILY_FOLD] = read_fold,
    [FAMILY_PREFIX] = read_prefix,
    [FAMILY_PREFIX_FOLD] = read_prefix_fold,
    [FAMILY_SUFFIX] = read_suffix,
    [FAMILY_SUFFIX_FOLD] = read_suffix_fold,
    [FAMILY_NUMBER] = read_number,
    [FAMILY_NUMBER_TEXT] = read_number_text,
    [FAMILY_ADDRESS] = read_address,
};

/* ---- the event ------------------------------------------------------------------------------- */

void matcher_read_dimension(struct matcher_run *run, uint32_t dimension)
{
    const struct matcher_dimension *d = &run->matcher->dimensions[dimension];
    const struct matcher_presence *presence = &run->presences[d->path];
    struct matcher_reading *r = &run->readings[dimension];
    int32_t leaf = presence->is_there ? presence->leaf : -1;

    r->raw_first = (uint32_t)run->value_count;
    if (presence->is_there && run->value_room - run->value_count < presence->count)
        grow_values(run, run->value_count + presence->count); /* at once */
    for (; leaf >= 0; leaf = run->event->leaves[leaf].next)
        READERS[d->family](run, dimension, (uint32_t)leaf);
    r->raw_count = (uint32_t)run->value_count - r->raw_first;
    r->first = r->raw_first;
    r->count = r->raw_count;
    r->event_number = run->event_number;
    if (r->raw_count > FEW)
        make_searchable(run, r);
}

/* What is asked of every event, when the path has several leaves, or the dimension several
 * coordinates a leaf. */
static void read_asked(struct matcher_run *run, uint32_t dimension)
{
    const struct matcher_reading *r = matcher_reading(run, dimension);
    uint32_t *single = &run->singles[dimension + 1];

    if (r->count > 0)
        *single = r->count == 1 ? run->values[r->first] : SINGLE_UNKNOWN;
}

/* The only leaf of a path, which most are: its text or number goes where it is looked at. */
static inline void read_single(struct matcher_run *run, const struct matcher_path *p,
                               const struct flat_leaf *leaf)
{
    const struct matcher *m = run->matcher;

    if (leaf->type == JSON_TEXT && p->text != 0)
        run->singles[p->text] = find_text(m, &m->dimensions[p->text - 1], leaf->text);
    else if (leaf->type == JSON_NUMBER && p->number != 0)
        run->singles[p->number] = find_number(&m->dimensions[p->number - 1], leaf->text);
}

static inline void read_leaves(struct matcher_run *run, uint32_t path)
{
    const struct matcher_path *p = &run->matcher->paths[path];
    const struct matcher_presence *presence = &run->presences[path];
    bool is_single = presence->count == 1;

    run->array_paths += presence->is_in_array;
    if (is_single)
        read_single(run, p, &run->event->leaves[presence->leaf]);
    if (is_single && !p->has_others)
        return;
    for (uint32_t d = p->first; d < p->first + p->count; d++)
        if (run->matcher->dimensions[d].is_asked &&
            !(is_single && (d + 1 == p->text || d + 1 == p->number)))
            read_asked(run, d);
}

void matcher_read_leaves(struct matcher_run *run, uint32_t path)
{
    read_leaves(run, path);
}

static void read_path(struct matcher_run *run, uint32_t path, int32_t leaf)
{
    struct matcher_presence *presence = &run->presences[path];

    run->touched[run->touched_count++] = path;
    *presence = (struct matcher_presence){.leaf = leaf, .is_there = true};
    for (int32_t i = leaf; i >= 0; i = run->event->leaves[i].next) {
        presence->is_in_array |= run->event->leaves[i].step_count > 0;
        presence->count++;
    }
    read_leaves(run, path);
}

/* The number of the leaf's path; NO_PATH when no pattern names it. */
static uint32_t find_path(const struct matcher *m, const struct flat_leaf *leaf)
{
    const struct matcher_table *t = &m->path_table;

    for (size_t i = leaf->path_hash & t->mask; t->slots[i].value != 0; i = (i + 1) & t->mask)
        if (t->slots[i].tag == (uint32_t)(leaf->path_hash >> 32) &&
            slice_equal(m->paths[t->slots[i].value - 1].path, leaf->path))
            return t->slots[i].value - 1;
    return NO_PATH;
}

/* The same, which is remembered for the names that the reader of events remembers. */
static inline uint32_t recall_path(struct matcher_run *run, const struct flat_leaf *leaf)
{
    uint32_t *known = &run->path_of[leaf->name];

    if (leaf->name == 0)
        return find_path(run->matcher, leaf);
    if (*known == PATH_UNKNOWN)
        *known = find_path(run->matcher, leaf);
    return *known;
}

/* What was remembered of another reader's names, or for another matcher, is forgotten. */
static void recall_names(struct matcher_run *run)
{
    if (run->names_id == run->event->names_id && run->names_matcher == run->matcher->id)
        return;
    run->names_id = run->event->names_id;
    run->names_matcher = run->matcher->id;
    for (size_t i = 0; i < G_N_ELEMENTS(run->path_of); i++)
        run->path_of[i] = PATH_UNKNOWN;
}

/* Room for the matcher's paths and dimensions, all zero. */
void matcher_prepare(struct matcher_run *run, const struct matcher *m)
{
    run->matcher = m;
    if (run->singles == NULL || run->dimension_room < m->dimension_count) {
        g_free(run->readings);
        run->dimension_room = m->dimension_count;
        run->readings = g_new0(struct matcher_reading, run->dimension_room);
        g_free(run->singles);
        run->singles = g_new(uint32_t, run->dimension_room + 1);
        for (size_t i = 0; i < run->dimension_room; i++)
            run->singles[i + 1] = SINGLE_NONE;
        run->singles[0] = 0;
    }
    if (run->bit_words < (m->pattern_count + 63) / 64) {
        g_free(run->bits);
        run->bit_words = (m->pattern_count + 63) / 64;
        run->bits = g_new0(uint64_t, run->bit_words);
    }
    if (run->path_room < m->path_count) {
        g_free(run->presences);
        run->path_room = m->path_count;
        run->touched = g_renew(uint32_t, run->touched, run->path_room);
        run->presences = g_new0(struct matcher_presence, run->path_room);
    }
}

void matcher_read(struct matcher_run *run, const struct matcher *m, const struct flat *event)
{
    matcher_prepare(run, m);
    run->event = event;
    recall_names(run);
    for (size_t i = 0; m->path_count > 0 && i < event->leaf_count; i++) {
        uint32_t path = recall_path(run, &event->leaves[i]);

        if (path != NO_PATH && !run->presences[path].is_there)
            read_path(run, path, (int32_t)i);
    }
}

/* What one huge event made large is not kept for the next. */
static void give_back(struct matcher_run *run)
{
    g_clear_pointer(&run->scratch, g_free);
    g_clear_pointer(&run->marks, g_free);
    matcher_elements_free(run);
    g_clear_pointer(&run->queue, g_free);
    g_clear_pointer(&run->passed, g_free);
    run->queue_room = run->passed_room = 0;
    run->scratch_room = run->mark_room = run->value_room = 0;
    grow_values(run, 0);
    g_array_unref(run->found);
    g_array_unref(run->leaves_tried);
    make_lists(run);
}

void matcher_forget(struct matcher_run *run)
{
    for (uint32_t i = 0; i < run->touched_count; i++) {
        const struct matcher_path *path = &run->matcher->paths[run->touched[i]];

        run->presences[run->touched[i]] = (struct matcher_presence){0};
        for (uint32_t d = path->first; d < path->first + path->count; d++)
            run->singles[d + 1] = SINGLE_NONE;
    }
    run->epoch++;
    run->event_number++;
    if (run->value_room > VALUES_KEEP || run->found->len > VALUES_KEEP ||
        run->mark_room > VALUES_KEEP || run->queue_room > VALUES_KEEP ||
        run->passed_room > VALUES_KEEP || run->elements_room > VALUES_KEEP ||
        (run->element_parents != NULL && run->element_parents->len > VALUES_KEEP))
        give_back(run);
    g_array_set_size(run->found, 0);
    if (run->element_bits != NULL)
        g_array_set_size(run->element_bits, 0);
    for (uint32_t i = 0; i < run->gram_count; i++)
        g_clear_pointer(&run->grams[i].wild, matcher_wild_free);
    run->gram_count = 0;
    run->touched_count = 0;
    run->value_count = 0;
    run->array_paths = 0;
}
