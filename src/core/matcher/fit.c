/* Array consistency: the last look at a conjunction all of whose fields found some leaf.
 *
 * Leaves of different elements of one array must not count together. That can only go wrong when
 * two fields have leaves in arrays, or when a field may be absent from the elements chosen; then
 * the leaves that each field accepts are gathered, by coordinates, and fitted together by the
 * reference's own search (core/pattern_search.c).
 */
#include "core/matcher/internal.h"

#define FOUND_MAX (1 << 20) /* leaves that are kept gathered */
#ifndef EVENT_MANY
#define EVENT_MANY 256 /* leaves; of fewer the search is soon done */
#endif
#define PAIRED_FEW 4
#define PAIRED_MAX 16 /* fields of a conjunction that are tried in pairs */

static bool is_listed(const struct matcher_run *run, const struct matcher_test *test,
                      uint32_t value)
{
    return matcher_is_in(run->matcher->pool + test->a, test->b, value);
}

/* Marks the leaves that have none of the list. */
static void mark_fewer(struct matcher_run *run, const struct matcher_test *test, int32_t leaf)
{
    const struct matcher_reading *r = matcher_reading(run, TEST_DIMENSION(test->head));

    for (int32_t i = leaf; i >= 0; i = run->event->leaves[i].next)
        run->marks[i] |= 2;
    for (uint32_t i = r->raw_first; i < r->raw_first + r->raw_count; i++)
        if (is_listed(run, test, run->values[i]))
            run->marks[run->leaves[i]] &= (uint8_t)~2;
    for (int32_t i = leaf; i >= 0; i = run->event->leaves[i].next)
        run->marks[i] = run->marks[i] != 0;
}

/* Marks the leaves that pass the test by what they have in one dimension. */
static void mark_coordinates(struct matcher_run *run, const struct matcher_test *test)
{
    const struct matcher_reading *r = matcher_reading(run, TEST_DIMENSION(test->head));
    uint32_t kind = TEST_KIND(test->head), end = r->raw_first + r->raw_count;

    for (uint32_t i = r->raw_first; kind == TEST_RANGE && i < end; i++)
        if (run->values[i] >= test->a && run->values[i] <= test->b)
            run->marks[run->leaves[i]] = 1;
    for (uint32_t i = r->raw_first; kind != TEST_RANGE && i < end; i++)
        if (is_listed(run, test, run->values[i]) == (kind == TEST_LIST))
            run->marks[run->leaves[i]] = 1;
}

static void mark_texts(struct matcher_run *run, const struct matcher_test *test, int32_t leaf)
{
    for (; leaf >= 0; leaf = run->event->leaves[leaf].next) {
        const struct flat_leaf *l = &run->event->leaves[leaf];

        if (l->type == JSON_TEXT &&
            pattern_text_passes(&run->matcher->texts[test->a].test, l->text))
            run->marks[leaf] = 1;
    }
}

void matcher_mark(struct matcher_run *run, const struct matcher_field *field, int32_t leaf)
{
    for (uint32_t i = 0; i < field->count; i++) {
        const struct matcher_test *test = &run->matcher->tests[field->first + i];

        if (TEST_KIND(test->head) == TEST_TEXT)
            mark_texts(run, test, leaf);
        else if (TEST_KIND(test->head) == TEST_FEWER)
            mark_fewer(run, test, leaf);
        else
            mark_coordinates(run, test);
    }
}

/* The outermost array, when all of the leaves lie in the same one. */
static uint32_t common_array(const struct flat_leaf **leaves, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (leaves[i]->step_count == 0 || leaves[i]->steps[0].array != leaves[0]->steps[0].array)
            return NO_ARRAY;
    return count > 0 ? leaves[0]->steps[0].array : NO_ARRAY;
}

static const struct flat_leaf **leaves_at(const struct matcher_run *run, uint32_t first)
{
    return (const struct flat_leaf **)(void *)run->found->data + first;
}

static void gather(struct matcher_run *run, uint32_t field, struct matcher_gathered *g)
{
    const struct matcher_field *f = &run->matcher->fields[field];
    const struct matcher_presence *presence = &run->presences[f->path];
    int32_t first = presence->is_there ? presence->leaf : -1;

    *g = (struct matcher_gathered){.epoch = run->epoch, .field = field, .first = run->found->len};
    matcher_mark(run, f, first);
    for (int32_t i = first; i >= 0; i = run->event->leaves[i].next) {
        const struct flat_leaf *leaf = &run->event->leaves[i];

        if (run->marks[i] == 0)
            continue;
        run->marks[i] = 0;
        g_array_append_val(run->found, leaf);
    }
    g->count = run->found->len - g->first;
    g->all_first = run->found->len;
    for (int32_t i = first; f->allows_absent && i >= 0; i = run->event->leaves[i].next) {
        const struct flat_leaf *leaf = &run->event->leaves[i];

        g_array_append_val(run->found, leaf);
    }
    g->all_count = run->found->len - g->all_first;
    g->array = common_array(leaves_at(run, g->first), g->count);
}

/* The leaves of all fields, in run->fields. Many conjunctions share a field, so they are kept. */
static const struct matcher_gathered *gather_all(struct matcher_run *run, const uint32_t *fields,
                                                 uint32_t count)
{
    struct matcher_gathered *all;

    g_array_set_size(run->fields, count);
    all = (struct matcher_gathered *)(void *)run->fields->data;
    for (uint32_t i = 0; i < count; i++) {
        struct matcher_gathered *g = &run->gathered[fields[i] % FITS_KEPT];

        if (g->epoch != run->epoch || g->field != fields[i])
            gather(run, fields[i], g);
        all[i] = *g;
    }
    return all;
}

static bool allows_absent(const struct matcher_run *run, const struct matcher_gathered *g)
{
    return run->matcher->fields[g->field].allows_absent;
}

/* ---- pairs ----------------------------------------------------------------------------------- */

static uint32_t pair_slot(uint32_t a, uint32_t b)
{
    return (a * UINT32_C(0x9e3779b1) ^ b) % FITS_KEPT;
}

/* How two leaves lie in the outermost array, which is the same: before each other, or 0 when they
 * may fit. What fits further inside is no order: a value stands behind the objects beside it, and
 * fits those before them. */
static int compare_places(const struct flat_leaf *a, const struct flat_leaf *b)
{
    uint32_t x = a->steps[0].index, y = b->steps[0].index;

    return (x > y) - (x < y);
}

/* false: no leaf of a fits one of b. true: that is not known. Both lie in one array and stand in
 * the order of its elements. */
static bool walk_pair(const struct matcher_run *run, const struct matcher_gathered *a,
                      const struct matcher_gathered *b)
{
    const struct flat_leaf **x = leaves_at(run, a->first), **y = leaves_at(run, b->first);
    uint32_t i = 0, k = 0;

    while (i < a->count && k < b->count) {
        int order = compare_places(x[i], y[k]);

        if (order == 0)
            return true;
        i += order < 0;
        k += order > 0;
    }
    return false;
}

/* The same, remembered: when thousands of conjunctions ask for two fields that are never met in one
 * element, the elements are walked once. */
static bool pair_fits(struct matcher_run *run, const struct matcher_gathered *a,
                      const struct matcher_gathered *b)
{
    struct matcher_pair *pair = &run->pairs[pair_slot(a->field, b->field)];
    struct slice x = run->matcher->paths[run->matcher->fields[a->field].path].path;
    struct slice y = run->matcher->paths[run->matcher->fields[b->field].path].path;

    if (a->array == NO_ARRAY || a->array != b->array || pattern_is_around(x, y) ||
        pattern_is_around(y, x))
        return true;
    if (pair->epoch != run->epoch || pair->a != a->field || pair->b != b->field)
        *pair = (struct matcher_pair){run->epoch, a->field, b->field, .fits = walk_pair(run, a, b)};
    return pair->fits;
}

/* Whether two of the fields are known not to fit, before anything is gathered for the others. */
static bool is_known_not_to_fit(const struct matcher_run *run, const uint32_t *fields,
                                uint32_t count)
{
    for (uint32_t i = 0; i < MIN(count, PAIRED_MAX); i++) {
        for (uint32_t k = 0; k < i; k++) {
            const struct matcher_pair *pair = &run->pairs[pair_slot(fields[i], fields[k])];

            if (pair->epoch == run->epoch && pair->a == fields[i] && pair->b == fields[k] &&
                !pair->fits)
                return true;
        }
    }
    return false;
}

/* Whether every two fields that must have a leaf can have leaves that fit. Of few fields all pairs
 * are found out, though one decides: the others may decide for the next conjunction. */
static bool pairs_fit(struct matcher_run *run, const struct matcher_gathered *all, uint32_t count)
{
    bool fit = true;

    for (uint32_t i = 0; i < MIN(count, PAIRED_MAX) && (fit || count <= PAIRED_FEW); i++)
        for (uint32_t k = 0; k < i && !allows_absent(run, &all[i]); k++)
            fit &= allows_absent(run, &all[k]) || pair_fits(run, &all[i], &all[k]);
    return fit;
}

/* ---- the search ------------------------------------------------------------------------------ */

/* The same questions as the reference asks, in the same order: is a field in doubt, do the leaves
 * found first fit, and only then the search. */
static bool firsts_fit(const struct matcher_run *run, const struct matcher_gathered *all,
                       uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct flat_leaf *leaf;

        if (all[i].count == 0 && all[i].all_count > 0)
            return false;
        if (all[i].count == 0)
            continue;
        leaf = leaves_at(run, all[i].first)[0];
        for (uint32_t k = 0; k < i; k++)
            if (all[k].count > 0 && !pattern_leaves_fit(leaf, leaves_at(run, all[k].first)[0]))
                return false;
    }
    return true;
}

/* Whether arrays can play a part: two fields with leaves in them, or one that is there and may have
 * to be absent. */
static bool needs_search(const struct matcher_run *run, const uint32_t *fields, uint32_t count)
{
    uint32_t in_arrays = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct matcher_field *f = &run->matcher->fields[fields[i]];
        bool is_in_array = run->presences[f->path].is_in_array;

        if (is_in_array && f->allows_absent)
            return true;
        in_arrays += is_in_array;
    }
    return in_arrays > 1;
}

/* Copies of the lists, as the search uses them up. */
static bool search(struct matcher_run *run, const struct matcher_gathered *all, uint32_t count)
{
    struct pattern_candidate *candidates;
    const struct flat_leaf **next;
    uint32_t total = 1;

    for (uint32_t i = 0; i < count; i++)
        total += all[i].count + all[i].all_count;
    g_array_set_size(run->candidates, count);
    g_array_set_size(run->leaves_tried, total);
    candidates = (struct pattern_candidate *)(void *)run->candidates->data;
    next = (const struct flat_leaf **)(void *)run->leaves_tried->data;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = all[i].count + all[i].all_count; /* they stand behind each other */

        candidates[i] = (struct pattern_candidate){
            .accepted = {next, all[i].count},
            .all = {next + all[i].count, all[i].all_count},
            .allows_absent = allows_absent(run, &all[i]),
        };
        if (size > 0)
            memcpy(next, leaves_at(run, all[i].first), size * sizeof(*next));
        next += size;
    }
    return pattern_search_candidates(run->event, candidates, count);
}

/* What searching needs besides, made when it is first needed. */
static void prepare(struct matcher_run *run)
{
    if (run->gathered == NULL) {
        run->gathered = g_new0(struct matcher_gathered, FITS_KEPT);
        run->pairs = g_new0(struct matcher_pair, FITS_KEPT);
    }
    if (run->mark_room < run->event->leaf_count) {
        g_free(run->marks);
        run->mark_room = run->event->leaf_count;
        run->marks = g_new0(uint8_t, run->mark_room);
    }
    if (run->found->len > FOUND_MAX) {
        g_array_set_size(run->found, 0);
        run->epoch++;
    }
}

bool matcher_fits(struct matcher_run *run, uint32_t conjunction)
{
    const struct matcher *m = run->matcher;
    const struct matcher_conjunction *c = &m->conjunctions[conjunction];
    const uint32_t *fields = m->fields_of + c->first;
    uint32_t count = c[1].first - c->first;
    const struct matcher_gathered *all;

    if (!needs_search(run, fields, count))
        return true;
    prepare(run);
    if (is_known_not_to_fit(run, fields, count) ||
        (run->event->leaf_count > EVENT_MANY && !matcher_elements_meet(run, fields, count)))
        return false;
    all = gather_all(run, fields, count);
    return firsts_fit(run, all, count) || (pairs_fit(run, all, count) && search(run, all, count));
}
