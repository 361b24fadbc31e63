/* The complete check of array consistency: backtracking over the leaves that each field accepts.
 *
 * Two ideas keep it short for real events. Leaves of one path stand in document order, and so do
 * the elements of an array; a leaf that does not fit therefore shows where the next one can be,
 * and the way there is a binary search. And before anything is tried, a leaf that fits no leaf of
 * some other field is thrown away; what is left nearly always fits at the first try.
 */
#include "core/pattern_internal.h"

/* What each half of a search may cost, in looks at leaves. Throwing away just stops there. When
 * choosing gets there the conjunction does not match. That takes an event whose names stand twice,
 * each time with an array: which of their elements go together is as hard as problems get (each
 * array is a choice, each field a demand), so such an event gets less: 1,000 patterns of that kind
 * must not cost seconds. In all others each element has one array of a name, and choices that do
 * not fit are left in steps that the leaves bound. */
#define LOOKS_MAX        1000000
#define LOOKS_MAX_FORKED 2000

/* Larger searches take their lists from the heap. */
#define LEAVES_ON_STACK 256
#define FIELDS_ON_STACK 16

/* One call of pattern_search. On the caller's stack: any number of threads search at once. */
struct search {
    struct pattern_candidate *candidates;
    size_t count;
    size_t looks; /* spent in the present half */
    size_t looks_max;
};

/* ---- two leaves -------------------------------------------------------------------------------
 */

/* Whether the leaf is a plain value of the array at that level of its steps, next to objects that
 * the other leaf comes from: [5, {"unit": "kg"}]. Plain values choose no element. */
static bool is_plain_beside(const struct flat_leaf *leaf, const struct flat_leaf *other,
                            uint32_t level)
{
    return level + 1 == leaf->step_count && leaf->is_element &&
           pattern_is_around(leaf->path, other->path);
}

/* The level at which the leaves lie in different elements of one array, -1 when they fit. Once the
 * arrays differ, all below differ too: an array stands in one place only. */
static int clash_level(const struct flat_leaf *a, const struct flat_leaf *b)
{
    uint32_t count = MIN(a->step_count, b->step_count);

    for (uint32_t i = 0; i < count && a->steps[i].array == b->steps[i].array; i++) {
        if (a->steps[i].index == b->steps[i].index)
            continue;
        return is_plain_beside(a, b, i) || is_plain_beside(b, a, i) ? -1 : (int)i;
    }
    return -1;
}

bool pattern_leaves_fit(const struct flat_leaf *a, const struct flat_leaf *b)
{
    return clash_level(a, b) < 0;
}

/* ---- a list against one leaf ------------------------------------------------------------------
 */

/* Whether the leaf lies in that array at that level, in an element before the limit. */
static bool is_before(const struct flat_leaf *leaf, int level, struct flat_step limit)
{
    return leaf->step_count > (uint32_t)level && leaf->steps[level].array == limit.array &&
           leaf->steps[level].index < limit.index;
}

/* The leaf at i clashes with other at that level: the first index behind i where the clash may be
 * over. Leaves of an array stand together, by element, so a binary search finds the place. */
static size_t skip_clash(const struct pattern_leaves *list, size_t i, const struct flat_leaf *other,
                         int level)
{
    struct flat_step limit = other->steps[level];
    size_t low = i + 1, high = list->count;

    if (list->leaves[i]->steps[level].index > limit.index)
        limit.index = UINT32_MAX; /* behind the element: on to the end of the array */
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (is_before(list->leaves[middle], level, limit))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first index >= i of a leaf that fits other; list->count when none does. Each leaf compared is
 * one look. */
static size_t next_fitting(struct search *s, const struct pattern_leaves *list, size_t i,
                           const struct flat_leaf *other)
{
    while (i < list->count) {
        const struct flat_leaf *leaf = list->leaves[i];
        int level = clash_level(leaf, other);

        s->looks++;
        if (level < 0)
            break;
        /* Plain values beside objects may fit in between, so those are looked at one by one. */
        if (pattern_is_around(leaf->path, other->path) ||
            pattern_is_around(other->path, leaf->path))
            i++;
        else
            i = skip_clash(list, i, other, level);
    }
    return i;
}

/* The first index >= i of a leaf that fits all those chosen so far. Moving on for one of them may
 * bring it into conflict with an earlier one, so the round is repeated until nothing moves. */
static size_t next_possible(struct search *s, const struct pattern_leaves *list, size_t i)
{
    size_t start;

    do {
        start = i;
        for (size_t k = 0; k < s->count && i < list->count; k++) {
            if (s->candidates[k].chosen != NULL)
                i = next_fitting(s, list, i, s->candidates[k].chosen);
        }
    } while (i != start && i < list->count);
    return i;
}

/* ---- the search -------------------------------------------------------------------------------
 */

/* Throws away leaves of a that fit no leaf of b: whatever is chosen for b, they cannot be used.
 * The order of the others stays. */
static void prune_against(struct search *s, struct pattern_candidate *a,
                          const struct pattern_candidate *b)
{
    size_t kept = 0;

    for (size_t i = 0; i < a->accepted.count; i++) {
        const struct flat_leaf *leaf = a->accepted.leaves[i];

        if (next_fitting(s, &b->accepted, 0, leaf) < b->accepted.count)
            a->accepted.leaves[kept++] = leaf;
    }
    a->accepted.count = kept;
}

/* Fields that may be absent demand nothing of others, so they prune none. It may stop half-way,
 * since it only saves work; the second half gets the whole number of looks again. */
static void prune(struct search *s)
{
    for (size_t i = 0; i < s->count; i++) {
        for (size_t j = 0; j < s->count && s->looks <= s->looks_max; j++) {
            if (i != j && !s->candidates[j].allows_absent)
                prune_against(s, &s->candidates[i], &s->candidates[j]);
        }
    }
    s->looks = 0;
}

/* Whether no leaf of the field lies in the elements chosen, or beside all arrays. Of all leaves,
 * not only of those accepted: a value that does not pass is there all the same. */
static bool is_absent(struct search *s, const struct pattern_candidate *c)
{
    return next_possible(s, &c->all, 0) == c->all.count;
}

/* At the end of a choice: every field left without a leaf must be absent from the elements that
 * were chosen. Only now, because later fields may choose further elements. */
static bool absences_hold(struct search *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct pattern_candidate *c = &s->candidates[i];

        if (c->allows_absent && c->chosen == NULL && !is_absent(s, c))
            return false;
    }
    return true;
}

/* Chooses leaves for the candidates from number n on; false leaves none of them chosen. Recursion
 * is as deep as the conjunction has fields, which the limit of values bounds. A field that may be
 * absent is tried with its leaves first, then without. */
static bool choose(struct search *s, size_t n)
{
    struct pattern_candidate *c = &s->candidates[n];

    if (n == s->count)
        return absences_hold(s);
    for (size_t i = 0; s->looks <= s->looks_max; i++) {
        i = next_possible(s, &c->accepted, i);
        if (i >= c->accepted.count)
            break;
        c->chosen = c->accepted.leaves[i];
        if (choose(s, n + 1))
            return true;
        c->chosen = NULL;
    }
    return c->allows_absent && s->looks <= s->looks_max && choose(s, n + 1);
}

/* ---- setting up -------------------------------------------------------------------------------
 */

/* How many leaves the field's path has in the event. */
static size_t count_leaves(const struct pattern_field *field, const struct flat *event)
{
    const struct flat_leaf *leaf = flat_find(event, field->path, field->path_hash);
    size_t count = 0;

    while (leaf != NULL) {
        count++;
        leaf = leaf->next < 0 ? NULL : &event->leaves[leaf->next];
    }
    return count;
}

/* Fills the lists of c, which lie at room; returns the rest of the room. The list of all leaves is
 * only needed where absence may be asked for. Leaves of one path are linked in document order, so
 * the lists are in that order too. */
static const struct flat_leaf **gather(struct pattern_candidate *c,
                                       const struct pattern_field *field, const struct flat *event,
                                       const struct flat_leaf **room)
{
    const struct flat_leaf *leaf = flat_find(event, field->path, field->path_hash);
    size_t total = count_leaves(field, event);

    *c = (struct pattern_candidate){.allows_absent = field->allows_absent};
    c->accepted.leaves = room;
    c->all.leaves = room + total;
    while (leaf != NULL) {
        if (field->allows_absent)
            c->all.leaves[c->all.count++] = leaf;
        if (pattern_field_accepts(field, leaf))
            c->accepted.leaves[c->accepted.count++] = leaf;
        leaf = leaf->next < 0 ? NULL : &event->leaves[leaf->next];
    }
    return c->all.leaves + c->all.count;
}

bool pattern_search_candidates(const struct flat *event, struct pattern_candidate *candidates,
                               size_t count)
{
    struct search s = {.candidates = candidates,
                       .count = count,
                       .looks_max = event->is_forked ? LOOKS_MAX_FORKED : LOOKS_MAX};

    prune(&s);
    return choose(&s, 0);
}

bool pattern_search(const struct pattern *p, const struct pattern_conjunction *conjunction,
                    const struct flat *event)
{
    const struct flat_leaf *few_leaves[LEAVES_ON_STACK];
    struct pattern_candidate few_candidates[FIELDS_ON_STACK];
    struct pattern_candidate *candidates = few_candidates;
    const struct flat_leaf **leaves = few_leaves;
    g_autofree struct pattern_candidate *many_candidates = NULL;
    g_autofree const struct flat_leaf **many_leaves = NULL;
    size_t room = 0;

    for (uint32_t i = 0; i < conjunction->count; i++) /* each leaf in both lists, at most */
        room += 2 * count_leaves(&p->fields[conjunction->fields[i]], event);
    if (conjunction->count > FIELDS_ON_STACK)
        candidates = many_candidates = g_new(struct pattern_candidate, conjunction->count);
    if (room > LEAVES_ON_STACK)
        leaves = many_leaves = g_new(const struct flat_leaf *, room);
    /* In the conjunction's order; fields that may be absent are last. */
    for (uint32_t i = 0; i < conjunction->count; i++)
        leaves = gather(&candidates[i], &p->fields[conjunction->fields[i]], event, leaves);
    return pattern_search_candidates(event, candidates, conjunction->count);
}
