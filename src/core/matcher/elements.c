/* Elements: a look at whole arrays before leaves are fitted together one by one.
 *
 *   items.a         0 1 2 . . 5    in which elements a path, or what a field accepts of it, has
 *   items.b         . 1 . 3 . .    leaves: one bit an element
 *   both            . 1 . . . .    no bit left: no element has them together
 *
 * All elements of all arrays that matter are numbered, so a set of them is a row of bits, made once
 * for each path and each field of an event, whatever number of conjunctions ask. Arrays stand in
 * layers: leaves of items.parts.b and items.parts.c that fit lie in the same element of the same
 * parts, and that is inside of the element of items that the leaf of items.a must lie in. So the
 * innermost layers are looked at first; what is left of them is a set of elements around them.
 * This only ever says no; the others are searched.
 */
#include "core/matcher/internal.h"

#define FIELDS_MAX 64 /* of a conjunction that are looked at */
#define NOT_ASKED  UINT32_MAX

/* Set otherwise to test what happens beyond. */
#ifndef LAYERS_MAX
#define LAYERS_MAX    JSON_DEPTH_MAX /* of an event */
#define ELEMENTS_ROOM (1 << 20)      /* words that are kept for one event */
#endif

/* An array of a layer, in an element of the layer around. Those in one element are a list. */
struct entry {
    uint32_t element, layer, array;
    uint32_t next; /* number + 1; 0: the last */
};

/* ---- numbers --------------------------------------------------------------------------------- */

static uint32_t parent_of(const struct matcher_run *run, uint32_t element)
{
    return g_array_index(run->element_parents, uint32_t, element);
}

/* The element that the leaf lies in when only so many arrays around it count. */
static uint32_t element_at(const struct matcher_run *run, int32_t leaf, uint32_t depth)
{
    uint32_t element = run->elements_of[leaf];

    for (uint32_t d = run->event->leaves[leaf].step_count; d > depth; d--)
        element = parent_of(run, element);
    return element;
}

static uint32_t count_shared(const struct flat_leaf *a, const struct flat_leaf *b)
{
    uint32_t count = MIN(a->step_count, b->step_count), shared = 0;

    while (shared < count && a->steps[shared].array == b->steps[shared].array &&
           a->steps[shared].index == b->steps[shared].index)
        shared++;
    return shared;
}

/* Elements stand behind and inside each other, so the leaf is in those of the one before, or in
 * new ones. before: -1 when it is the first. */
static void number_leaf(struct matcher_run *run, int32_t leaf, int32_t before)
{
    const struct flat_leaf *leaves = run->event->leaves;
    uint32_t shared = before < 0 ? 0 : count_shared(&leaves[leaf], &leaves[before]);
    uint32_t element = before < 0 ? 0 : element_at(run, before, shared);

    for (; shared < leaves[leaf].step_count; shared++) {
        g_array_append_val(run->element_parents, element);
        element = run->element_parents->len - 1;
    }
    run->elements_of[leaf] = element;
}

/* Numbers the elements around all leaves in arrays that patterns name. The event itself is 0. */
static void number_elements(struct matcher_run *run)
{
    int32_t before = -1;

    g_array_set_size(run->element_parents, 0);
    g_array_set_size(run->element_parents, 1);
    memset(run->elements_of, 0xff, run->event->leaf_count * sizeof(*run->elements_of));
    for (uint32_t i = 0; i < run->touched_count; i++) {
        const struct matcher_presence *presence = &run->presences[run->touched[i]];

        for (int32_t k = presence->is_in_array ? presence->leaf : -1; k >= 0;
             k = run->event->leaves[k].next)
            run->elements_of[k] = 0;
    }
    for (int32_t i = 0; i < (int32_t)run->event->leaf_count; i++) {
        if (run->elements_of[i] == NOT_ASKED)
            continue;
        number_leaf(run, i, before);
        before = i;
    }
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* A layer is arrays of which there is one at most in each element of another layer, or of the
 * event, which is layer 0. */

static struct entry *entry_at(const struct matcher_run *run, uint32_t number)
{
    return &g_array_index(run->layer_entries, struct entry, number);
}

static uint32_t *entries_of(const struct matcher_run *run, uint32_t element)
{
    return &g_array_index(run->element_entries, uint32_t, element);
}

/* The array of the layer that is known in the element; NO_ARRAY: none is. */
static uint32_t find_array(const struct matcher_run *run, uint32_t element, uint32_t layer)
{
    for (uint32_t e = *entries_of(run, element); e != 0; e = entry_at(run, e - 1)->next)
        if (entry_at(run, e - 1)->layer == layer)
            return entry_at(run, e - 1)->array;
    return NO_ARRAY;
}

static void add_entry(struct matcher_run *run, struct entry entry)
{
    uint32_t *entries = entries_of(run, entry.element);

    entry.next = *entries;
    g_array_append_val(run->layer_entries, entry);
    *entries = run->layer_entries->len;
}

/* Takes all entries from that number on away. */
static void drop_entries(struct matcher_run *run, guint from)
{
    for (guint e = run->layer_entries->len; e > from; e--)
        *entries_of(run, entry_at(run, e - 1)->element) = entry_at(run, e - 1)->next;
    g_array_set_size(run->layer_entries, from);
}

/* Notes the arrays of the path's leaves at that depth in the layer. false: it has another one in
 * some element, or the path has two there; then nothing is noted. */
static bool enter_layer(struct matcher_run *run, int32_t leaf, uint32_t depth, uint32_t layer)
{
    guint noted = run->layer_entries->len;
    uint32_t before = NO_ARRAY;

    for (int32_t i = leaf; i >= 0; i = run->event->leaves[i].next) {
        uint32_t array = run->event->leaves[i].steps[depth].array, element, known;

        if (array == before)
            continue;
        before = array;
        element = element_at(run, i, depth);
        known = find_array(run, element, layer);
        if (known != NO_ARRAY && known != array) {
            drop_entries(run, noted);
            return false;
        }
        if (known == NO_ARRAY)
            add_entry(run, (struct entry){element, layer, array, 0});
    }
    return true;
}

/* The layer of the path's arrays in elements of another layer; 0: there is none, as some element
 * has two of them, whose leaves fit together, or there are too many layers. */
static uint32_t find_layer(struct matcher_run *run, int32_t leaf, uint32_t depth, uint32_t around)
{
    uint32_t last = run->layers->len;

    for (uint32_t i = 1; i < last; i++)
        if (g_array_index(run->layers, uint32_t, i) == around && enter_layer(run, leaf, depth, i))
            return i;
    if (last > LAYERS_MAX)
        return 0;
    if (!enter_layer(run, leaf, depth, last))
        return 0;
    g_array_append_val(run->layers, around);
    return last;
}

/* ---- sets of elements ------------------------------------------------------------------------ */

static uint32_t count_words(const struct matcher_run *run)
{
    return (run->element_parents->len + 63) / 64;
}

static uint64_t *bits_at(struct matcher_run *run, size_t first)
{
    return (uint64_t *)(void *)run->element_bits->data + first;
}

/* An empty set. */
static size_t add_set(struct matcher_run *run)
{
    size_t first = run->element_bits->len, words = count_words(run);

    g_array_set_size(run->element_bits, (guint)(first + words));
    memset(bits_at(run, first), 0, words * sizeof(uint64_t));
    return first;
}

static void put_bit(uint64_t *bits, uint32_t element, bool value)
{
    bits[element / 64] |= (uint64_t)value << element % 64;
}

/* The layer that all leaves of the path lie in, as far inside as there is one. */
static void find_path_layer(struct matcher_run *run, int32_t first, struct matcher_elements *e)
{
    uint32_t depth = UINT32_MAX, layer;

    for (int32_t i = first; i >= 0; i = run->event->leaves[i].next) {
        depth = MIN(depth, run->event->leaves[i].step_count);
        e->has_plain |= run->event->leaves[i].is_element;
    }
    while (e->depth < depth && (layer = find_layer(run, first, e->depth, e->layer)) != 0) {
        e->layer = layer;
        e->depth++;
    }
}

static const struct matcher_elements *path_elements(struct matcher_run *run, uint32_t path)
{
    struct matcher_elements *e = &run->path_elements[path % ELEMENTS_KEPT];
    int32_t first = run->presences[path].leaf;

    if (e->epoch == run->epoch && e->number == path)
        return e;
    *e = (struct matcher_elements){.epoch = run->epoch, .number = path};
    find_path_layer(run, first, e);
    e->first = add_set(run);
    for (int32_t i = first; e->layer != 0 && i >= 0; i = run->event->leaves[i].next) {
        run->layer_elements[i] = element_at(run, i, e->depth);
        put_bit(bits_at(run, e->first), run->layer_elements[i], true);
    }
    return e;
}

/* Those of the leaves that the field accepts. Of one that must be absent: the innermost elements
 * of all leaves. */
static const struct matcher_elements *field_elements(struct matcher_run *run, uint32_t field)
{
    struct matcher_elements *e = &run->field_elements[field % ELEMENTS_KEPT];
    const struct matcher_field *f = &run->matcher->fields[field];
    bool is_absent = f->allows_absent;
    uint64_t *bits;

    if (e->epoch == run->epoch && e->number == field)
        return e;
    *e = *path_elements(run, f->path);
    e->number = field;
    e->first = add_set(run);
    bits = bits_at(run, e->first);
    if (!is_absent)
        matcher_mark(run, f, run->presences[f->path].leaf);
    for (int32_t i = run->presences[f->path].leaf; i >= 0; i = run->event->leaves[i].next) {
        put_bit(bits, is_absent ? run->elements_of[i] : run->layer_elements[i],
                is_absent || run->marks[i] != 0);
        run->marks[i] = 0;
    }
    return e;
}

/* ---- a conjunction --------------------------------------------------------------------------- */

/* A set that must have an element in common with all others of its layer. */
struct part {
    uint32_t layer;
    size_t first;
};

struct look {
    struct part parts[FIELDS_MAX + LAYERS_MAX];
    uint32_t part_count;
    uint32_t required[FIELDS_MAX], required_count; /* fields */
    uint32_t absent[FIELDS_MAX], absent_count;
    size_t lacking[FIELDS_MAX]; /* sets: where the absent ones have leaves */
};

/* A plain value beside objects fits all of them: [5, {"unit": "kg"}]. */
static bool is_free(struct matcher_run *run, const uint32_t *fields, uint32_t count, uint32_t path)
{
    const struct matcher *m = run->matcher;

    if (!path_elements(run, path)->has_plain)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (pattern_is_around(m->paths[path].path, m->paths[m->fields[fields[i]].path].path))
            return true;
    return false;
}

/* Which of the fields must have a leaf in some element, and which must have none there: a leaf
 * straight in an element fits whatever a leaf further inside of it fits. */
static void sort_fields(struct matcher_run *run, const uint32_t *fields, uint32_t count,
                        struct look *look)
{
    for (uint32_t i = 0; i < MIN(count, FIELDS_MAX); i++) {
        const struct matcher_field *f = &run->matcher->fields[fields[i]];

        if (!run->presences[f->path].is_in_array)
            continue;
        if (f->allows_absent && f->count == 0)
            look->absent[look->absent_count++] = fields[i];
        else if (!f->allows_absent && path_elements(run, f->path)->layer != 0 &&
                 !is_free(run, fields, count, f->path))
            look->required[look->required_count++] = fields[i];
    }
}

/* What all parts of the layer have in common, less the absent; the parts are used up. */
static size_t meet_layer(struct matcher_run *run, struct look *look, uint32_t layer)
{
    size_t first = add_set(run), words = count_words(run);
    uint64_t *meeting = bits_at(run, first);
    uint32_t left = 0;

    memset(meeting, 0xff, words * sizeof(*meeting));
    for (uint32_t i = 0; i < look->part_count; i++) {
        const uint64_t *bits = bits_at(run, look->parts[i].first);

        if (look->parts[i].layer != layer) {
            look->parts[left++] = look->parts[i];
            continue;
        }
        for (size_t w = 0; w < words; w++)
            meeting[w] &= bits[w];
    }
    look->part_count = left;
    for (uint32_t i = 0; i < look->absent_count; i++) {
        const uint64_t *bits = bits_at(run, look->lacking[i]);

        for (size_t w = 0; w < words; w++)
            meeting[w] &= ~bits[w];
    }
    return first;
}

static bool is_empty(struct matcher_run *run, size_t set)
{
    uint64_t any = 0;

    for (size_t w = 0, words = count_words(run); w < words; w++)
        any |= bits_at(run, set)[w];
    return any == 0;
}

/* The elements around those of the set. */
static size_t add_around(struct matcher_run *run, size_t set)
{
    size_t around = add_set(run), words = count_words(run);

    for (size_t w = 0; w < words; w++)
        for (uint64_t rest = bits_at(run, set)[w]; rest != 0; rest &= rest - 1)
            put_bit(bits_at(run, around),
                    parent_of(run, (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(rest)), true);
    return around;
}

/* Layer by layer, those inside before those around them, which have smaller numbers. */
static bool layers_meet(struct matcher_run *run, struct look *look)
{
    while (look->part_count > 0) {
        uint32_t layer = 0, around;
        size_t meeting;

        for (uint32_t i = 0; i < look->part_count; i++)
            layer = MAX(layer, look->parts[i].layer);
        meeting = meet_layer(run, look, layer);
        if (is_empty(run, meeting))
            return false;
        around = g_array_index(run->layers, uint32_t, layer);
        if (around != 0 && look->part_count > 0)
            look->parts[look->part_count++] = (struct part){around, add_around(run, meeting)};
    }
    return true;
}

/* The same for the elements that the fields accept, or for all that their paths have. */
static bool fields_meet(struct matcher_run *run, struct look *look, bool is_by_field)
{
    guint used;
    bool is_met;

    for (uint32_t i = 0; i < look->absent_count; i++)
        look->lacking[i] = field_elements(run, look->absent[i])->first;
    for (uint32_t i = 0; i < look->required_count; i++) {
        uint32_t field = look->required[i];
        const struct matcher_elements *e =
            is_by_field ? field_elements(run, field)
                        : path_elements(run, run->matcher->fields[field].path);

        look->parts[i] = (struct part){e->layer, e->first};
    }
    look->part_count = look->required_count;
    used = run->element_bits->len; /* sets behind are of this conjunction only */
    is_met = layers_meet(run, look);
    g_array_set_size(run->element_bits, used);
    return is_met;
}

/* ---- an event -------------------------------------------------------------------------------- */

static void make_room(struct matcher_run *run)
{
    if (run->element_bits == NULL) {
        run->element_bits = g_array_new(FALSE, FALSE, sizeof(uint64_t));
        run->element_parents = g_array_new(FALSE, TRUE, sizeof(uint32_t));
        run->layers = g_array_new(FALSE, TRUE, sizeof(uint32_t));
        run->layer_entries = g_array_new(FALSE, FALSE, sizeof(struct entry));
        run->element_entries = g_array_new(FALSE, TRUE, sizeof(uint32_t));
        run->path_elements = g_new0(struct matcher_elements, ELEMENTS_KEPT);
        run->field_elements = g_new0(struct matcher_elements, ELEMENTS_KEPT);
    }
    if (run->elements_room < run->event->leaf_count) {
        g_free(run->elements_of);
        run->elements_room = run->event->leaf_count;
        run->elements_of = g_new(uint32_t, run->elements_room);
        g_free(run->layer_elements);
        run->layer_elements = g_new(uint32_t, run->elements_room);
    }
}

static void prepare(struct matcher_run *run)
{
    if (run->elements_event == run->event_number) {
        if (run->element_bits->len <= ELEMENTS_ROOM)
            return;
        run->epoch++; /* the sets are made again as they are asked for */
    } else {
        make_room(run);
        run->elements_event = run->event_number;
        number_elements(run);
        g_array_set_size(run->layer_entries, 0);
        g_array_set_size(run->element_entries, 0);
        g_array_set_size(run->element_entries, run->element_parents->len);
        g_array_set_size(run->layers, 0);
        g_array_set_size(run->layers, 1); /* the event */
    }
    g_array_set_size(run->element_bits, 0);
}

void matcher_elements_free(struct matcher_run *run)
{
    if (run->element_bits == NULL)
        return;
    g_clear_pointer(&run->element_bits, g_array_unref);
    g_clear_pointer(&run->element_parents, g_array_unref);
    g_clear_pointer(&run->layers, g_array_unref);
    g_clear_pointer(&run->layer_entries, g_array_unref);
    g_clear_pointer(&run->element_entries, g_array_unref);
    g_clear_pointer(&run->path_elements, g_free);
    g_clear_pointer(&run->field_elements, g_free);
    g_clear_pointer(&run->elements_of, g_free);
    g_clear_pointer(&run->layer_elements, g_free);
    run->elements_room = 0;
    run->elements_event = 0;
}

bool matcher_elements_meet(struct matcher_run *run, const uint32_t *fields, uint32_t count)
{
    struct look look;

    prepare(run);
    look.required_count = look.absent_count = 0;
    sort_fields(run, fields, count, &look);
    if (look.required_count == 0 || look.required_count + look.absent_count == 1)
        return true;
    return fields_meet(run, &look, false) && fields_meet(run, &look, true);
}
