/* Elements: a look at whole arrays before leaves are fitted together one by one.
 *
 *   items.a   0 1 2 . . 5      in which elements of the array a path, or what a field accepts of
 *   items.b   . 1 . 3 . .      it, has leaves: one bit an element
 *   both      . 1 . . . .      no bit left: no element has them together
 *
 * An array of 10,000 elements is 157 words, and is looked at once for each path and each field of
 * an event, whatever number of conjunctions ask. This only ever says no; the others are searched.
 */
#include "core/matcher/internal.h"

#define FIELDS_MAX    64        /* of a conjunction that are looked at */
#define ELEMENTS_ROOM (1 << 20) /* words that are kept for one event */

/* The step in which the leaves of the path lie apart; that of the innermost array, when they lie in
 * one element. */
static uint32_t find_level(const struct flat_leaf *leaves, int32_t first)
{
    const struct flat_leaf *a = &leaves[first];
    uint32_t shared = a->step_count;

    for (int32_t i = leaves[first].next; i >= 0; i = leaves[i].next) {
        uint32_t count = MIN(shared, leaves[i].step_count);

        for (shared = 0; shared < count; shared++)
            if (a->steps[shared].array != leaves[i].steps[shared].array ||
                a->steps[shared].index != leaves[i].steps[shared].index)
                break;
    }
    return shared > 0 && shared == a->step_count ? shared - 1 : shared;
}

/* The array in which all leaves of the path lie, at that level. */
static uint32_t find_array(const struct flat_leaf *leaves, int32_t first, uint32_t level)
{
    for (int32_t i = first; i >= 0; i = leaves[i].next)
        if (leaves[i].step_count <= level ||
            leaves[i].steps[level].array != leaves[first].steps[level].array)
            return NO_ARRAY;
    return leaves[first].steps[level].array;
}

static uint64_t *bits_at(struct matcher_run *run, size_t first)
{
    return (uint64_t *)(void *)run->element_bits->data + first;
}

/* Words for all elements of the path's array, all zero. */
static size_t add_words(struct matcher_run *run, uint32_t words)
{
    size_t first = run->element_bits->len;

    g_array_set_size(run->element_bits, (guint)(first + words));
    memset(bits_at(run, first), 0, words * sizeof(uint64_t));
    return first;
}

/* Looks at all leaves of the path. */
static void read_path(struct matcher_run *run, uint32_t path, struct matcher_elements *e)
{
    const struct flat_leaf *leaves = run->event->leaves;
    int32_t first = run->presences[path].leaf;
    uint32_t level = find_level(leaves, first), last = 0;

    *e = (struct matcher_elements){
        .epoch = run->epoch, .number = path, .array = find_array(leaves, first, level)};
    for (int32_t i = first; e->array != NO_ARRAY && i >= 0; i = leaves[i].next) {
        last = MAX(last, leaves[i].steps[level].index);
        run->elements_of[i] = leaves[i].steps[level].index;
        e->has_plain |= leaves[i].is_element && leaves[i].step_count == level + 1;
    }
    if (e->array == NO_ARRAY)
        return;
    e->words = last / 64 + 1;
    e->first = add_words(run, e->words);
    for (int32_t i = first; i >= 0; i = leaves[i].next)
        bits_at(run, e->first)[run->elements_of[i] / 64] |= UINT64_C(1) << run->elements_of[i] % 64;
}

static const struct matcher_elements *path_elements(struct matcher_run *run, uint32_t path)
{
    struct matcher_elements *e = &run->path_elements[path % ELEMENTS_KEPT];

    if (e->epoch != run->epoch || e->number != path)
        read_path(run, path, e);
    return e;
}

/* Those of the leaves that the field accepts. */
static const struct matcher_elements *field_elements(struct matcher_run *run, uint32_t field)
{
    struct matcher_elements *e = &run->field_elements[field % ELEMENTS_KEPT];
    const struct matcher_field *f = &run->matcher->fields[field];
    const struct matcher_elements *path;
    uint64_t *bits;

    if (e->epoch == run->epoch && e->number == field)
        return e;
    path = path_elements(run, f->path);
    *e = *path;
    e->number = field;
    e->first = add_words(run, e->words);
    bits = bits_at(run, e->first);
    matcher_mark(run, f, run->presences[f->path].leaf);
    for (int32_t i = run->presences[f->path].leaf; i >= 0; i = run->event->leaves[i].next) {
        bits[run->elements_of[i] / 64] |= (uint64_t)run->marks[i] << run->elements_of[i] % 64;
        run->marks[i] = 0;
    }
    return e;
}

/* A plain value beside objects fits all of them: [5, {"unit": "kg"}]. */
static bool is_free(struct matcher_run *run, const uint32_t *fields, uint32_t count, uint32_t path)
{
    const struct matcher *m = run->matcher;

    if (!path_elements(run, path)->has_plain)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (matcher_is_around(m->paths[path].path, m->paths[m->fields[fields[i]].path].path))
            return true;
    return false;
}

/* The array in some element of which the field must have a leaf; NO_ARRAY: none is known. */
static uint32_t array_of(struct matcher_run *run, const uint32_t *fields, uint32_t count,
                         uint32_t number)
{
    const struct matcher_field *f = &run->matcher->fields[fields[number]];
    uint32_t array;

    if (f->allows_absent || !run->presences[f->path].is_in_array)
        return NO_ARRAY;
    array = path_elements(run, f->path)->array;
    return array != NO_ARRAY && !is_free(run, fields, count, f->path) ? array : NO_ARRAY;
}

/* Whether some element has leaves of all the fields, or all their paths. */
static bool group_meets(struct matcher_run *run, const uint32_t *group, uint32_t count,
                        bool is_by_field)
{
    uint32_t words = 0;
    uint64_t left = 1, *meeting;

    for (uint32_t i = 0; i < count && left != 0; i++) {
        const struct matcher_elements *e =
            is_by_field ? field_elements(run, group[i])
                        : path_elements(run, run->matcher->fields[group[i]].path);
        const uint64_t *bits = bits_at(run, e->first);

        if (i == 0) {
            g_array_set_size(run->meeting, 0);
            g_array_append_vals(run->meeting, bits, e->words);
            words = e->words;
            continue;
        }
        words = MIN(words, e->words);
        meeting = (uint64_t *)(void *)run->meeting->data;
        left = 0;
        for (uint32_t w = 0; w < words; w++)
            left |= meeting[w] &= bits[w];
    }
    return left != 0;
}

static void prepare(struct matcher_run *run)
{
    if (run->element_bits == NULL)
        run->element_bits = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    if (run->meeting == NULL) {
        run->meeting = g_array_new(FALSE, FALSE, sizeof(uint64_t));
        run->path_elements = g_new0(struct matcher_elements, ELEMENTS_KEPT);
        run->field_elements = g_new0(struct matcher_elements, ELEMENTS_KEPT);
    }
    if (run->elements_room < run->event->leaf_count) {
        g_free(run->elements_of);
        run->elements_room = run->event->leaf_count;
        run->elements_of = g_new(uint32_t, run->elements_room);
    }
    if (run->element_bits->len > ELEMENTS_ROOM) {
        g_array_set_size(run->element_bits, 0);
        run->epoch++;
    }
}

bool matcher_elements_meet(struct matcher_run *run, const uint32_t *fields, uint32_t count)
{
    uint32_t arrays[FIELDS_MAX], group[FIELDS_MAX], few = MIN(count, FIELDS_MAX);

    prepare(run);
    for (uint32_t i = 0; i < few; i++)
        arrays[i] = array_of(run, fields, count, i);
    for (uint32_t i = 0; i < few; i++) {
        uint32_t grouped = 0, array = arrays[i];

        for (uint32_t k = i; k < few && array != NO_ARRAY; k++) {
            if (arrays[k] != array)
                continue;
            group[grouped++] = fields[k];
            arrays[k] = NO_ARRAY;
        }
        if (grouped > 1 &&
            !(group_meets(run, group, grouped, false) && group_meets(run, group, grouped, true)))
            return false;
    }
    return true;
}
