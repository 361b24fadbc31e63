/* Finding: from the root down every key that the event has, then the lists of the nodes reached.
 *
 * An event that 100,000 patterns could match looks up some fifty keys and tries some ten patterns:
 * what it costs is misses of the processor's cache. So the keys of a node are hashed first and
 * their slots asked for together, then what the slots name, before anything is looked at.
 */
#include "core/matcher/internal.h"

#define PROBES_MAX   32 /* keys on their way together */
#define SORT_FEW     32 /* places that are sorted by insertion */
#define PLACES_MIN   64
#define ENTRIES_MANY 64 /* in a node: from here on the event's paths lead, not the entries */

/* ---- tests ----------------------------------------------------------------------------------- */

/* Values that are many stand in order, see matcher_reading. */
static bool is_ordered(const struct matcher_reading *r)
{
    return r->first != r->raw_first;
}

static inline bool passes_range(struct matcher_run *run, const struct matcher_test *test)
{
    const struct matcher_reading *r = matcher_reading(run, TEST_DIMENSION(test->head));
    const uint32_t *values = run->values + r->first;
    uint32_t at;

    if (is_ordered(r)) {
        at = matcher_lower_bound(values, r->count, test->a);
        return at < r->count && values[at] <= test->b;
    }
    for (uint32_t i = 0; i < r->count; i++)
        if (values[i] >= test->a && values[i] <= test->b)
            return true;
    return false;
}

static bool passes_list(struct matcher_run *run, const struct matcher_test *test)
{
    const struct matcher_reading *r = matcher_reading(run, TEST_DIMENSION(test->head));
    const uint32_t *values = run->values + r->first, *list = run->matcher->pool + test->a;

    if (is_ordered(r) && r->count > test->b) {
        for (uint32_t i = 0; i < test->b; i++)
            if (matcher_is_in(values, r->count, list[i]))
                return true;
        return false;
    }
    for (uint32_t i = 0; i < r->count; i++)
        if (matcher_is_in(list, test->b, values[i]))
            return true;
    return false;
}

static bool passes_none(struct matcher_run *run, const struct matcher_test *test)
{
    const struct matcher_reading *r = matcher_reading(run, TEST_DIMENSION(test->head));
    const uint32_t *values = run->values + r->first, *list = run->matcher->pool + test->a;

    if (is_ordered(r) && r->count > test->b)
        return true; /* more different ones than the list has */
    for (uint32_t i = 0; i < r->count; i++)
        if (!matcher_is_in(list, test->b, values[i]))
            return true;
    return false;
}

/* Anything but some beginnings or ends. Of these each leaf has one at most, so those excluded can
 * be counted; leaves that are no texts have none. */
static bool passes_fewer(struct matcher_run *run, const struct matcher_test *test)
{
    const struct matcher_reading *r = matcher_reading(run, TEST_DIMENSION(test->head));
    uint32_t path = run->matcher->dimensions[TEST_DIMENSION(test->head)].path;
    const uint32_t *values = run->values + r->first, *list = run->matcher->pool + test->a;
    uint64_t excluded = 0;

    for (uint32_t i = 0; is_ordered(r) && i < test->b; i++) {
        uint32_t at = matcher_lower_bound(values, r->count, list[i]);

        if (at < r->count && values[at] == list[i])
            excluded += run->leaves[r->first + at];
    }
    for (uint32_t i = 0; !is_ordered(r) && i < r->count; i++)
        excluded += matcher_is_in(list, test->b, values[i]);
    return excluded < run->presences[path].count;
}

static bool passes_text(struct matcher_run *run, const struct matcher_test *test)
{
    const struct matcher_presence *presence = &run->presences[test->b];
    const struct pattern_text_test *text = &run->matcher->texts[test->a].test;

    if (!presence->is_there || matcher_grams_refuse(run, test->b, text))
        return false;
    for (int32_t i = presence->leaf; i >= 0; i = run->event->leaves[i].next)
        if (run->event->leaves[i].type == JSON_TEXT &&
            pattern_text_passes(text, run->event->leaves[i].text))
            return true;
    return false;
}

/* Whether the path may be absent from the elements that count. Outside of arrays it is or is not.
 */
static bool may_be_absent(const struct matcher_run *run, uint32_t path)
{
    return !run->presences[path].is_there || run->presences[path].is_in_array;
}

static bool passes(struct matcher_run *run, const struct matcher_test *test);

static bool passes_field(struct matcher_run *run, uint32_t field)
{
    const struct matcher_field *f = &run->matcher->fields[field];

    if (f->allows_absent && may_be_absent(run, f->path))
        return true;
    for (uint32_t i = 0; i < f->count; i++)
        if (passes(run, &run->matcher->tests[f->first + i]))
            return true;
    return false;
}

/* Whether some leaf passes the test, arrays aside. */
static inline bool passes(struct matcher_run *run, const struct matcher_test *test)
{
    switch (TEST_KIND(test->head)) {
    case TEST_RANGE:
        return passes_range(run, test);
    case TEST_LIST:
        return passes_list(run, test);
    case TEST_NONE:
        return passes_none(run, test);
    case TEST_FEWER:
        return passes_fewer(run, test);
    case TEST_TEXT:
        return passes_text(run, test);
    case TEST_FIELD:
        return passes_field(run, test->a);
    default:
        return may_be_absent(run, test->a);
    }
}

/* ---- lists ----------------------------------------------------------------------------------- */

/* All fields of the conjunction found a leaf. One pattern is found once, whatever ways lead to it.
 */
static void take_conjunction(struct matcher_run *run, uint32_t conjunction)
{
    uint32_t place = run->matcher->conjunctions[conjunction].place;
    uint64_t bit = UINT64_C(1) << (place % 64);

    if ((run->bits[place / 64] & bit) != 0 ||
        (run->array_paths > 0 && !matcher_fits(run, conjunction)))
        return;
    run->bits[place / 64] |= bit;
    if (run->place_count == run->place_room) {
        run->place_room = MAX(run->place_room * 2, PLACES_MIN);
        run->places = g_renew(uint32_t, run->places, run->place_room);
    }
    run->places[run->place_count++] = place;
}

/* All conjunctions of a list. */
static void try_list(struct matcher_run *run, const struct matcher_node *node)
{
    const uint32_t *p = run->matcher->stream + node->stream, *end = p + node->stream_size;

    while (p < end) {
        uint32_t conjunction = p[0], open = p[1];
        const uint32_t *next = p + 2 + 3 * (size_t)open;

        run->tried++;
        for (p += 2; p < next; p += 3) {
            struct matcher_test test = {p[0], p[1], p[2]};

            if (!passes(run, &test))
                break;
        }
        if (p == next)
            take_conjunction(run, conjunction);
        p = next;
    }
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* A key that the event has. */
struct probe {
    uint64_t hash;
    uint32_t entry, coordinate;
};

/* Keys of one node, gathered so that memory can answer them together. */
struct probes {
    struct matcher_run *run;
    uint32_t node;
    uint32_t count;
    uint32_t child_count;
    struct probe probes[PROBES_MAX];
    uint32_t children[PROBES_MAX];
};

static void visit(struct matcher_run *run, uint32_t node);

/* The slot of the key; NULL when nothing is filed under it. Tags alone may mislead. */
static const struct matcher_slot *find_slot(const struct matcher_table *t, uint64_t hash, size_t *i)
{
    for (; t->slots[*i].value != 0; *i = (*i + 1) & t->mask)
        if (t->slots[*i].tag == (uint32_t)(hash >> 32))
            return &t->slots[*i];
    return NULL;
}

static bool has_key(const struct matcher_node *n, uint32_t parent, const struct probe *probe)
{
    return n->parent == parent && n->entry == probe->entry && n->coordinate == probe->coordinate;
}

/* The child under the key; 0, which is the root and nobody's child: there is none. */
static uint32_t find_child(const struct matcher *m, uint32_t parent, const struct probe *probe)
{
    size_t i = probe->hash & m->node_table.mask;

    for (;; i = (i + 1) & m->node_table.mask) {
        const struct matcher_slot *slot = find_slot(&m->node_table, probe->hash, &i);

        if (slot == NULL)
            return 0;
        if (has_key(&m->nodes[slot->value - 1], parent, probe))
            return slot->value - 1;
    }
}

/* In a small table nothing is waited for. */
static void gather_small(struct probes *all, const struct probe *probe)
{
    const struct matcher *m = all->run->matcher;
    size_t at = probe->hash & m->node_table.mask;

    if (m->node_table.slots[at].value != 0 && find_slot(&m->node_table, probe->hash, &at) != NULL)
        all->probes[all->count++] = *probe;
}

/* Visits the children that were found. */
static void enter(struct probes *all)
{
    uint32_t count = all->child_count;

    all->child_count = 0;
    for (uint32_t i = 0; i < count; i++)
        visit(all->run, all->children[i]);
}

static void add_child(struct probes *all, uint32_t child)
{
    const struct matcher *m = all->run->matcher;

    if (all->child_count == PROBES_MAX)
        enter(all);
    __builtin_prefetch(m->stream + m->nodes[child].stream);
    all->children[all->child_count++] = child;
}

/* Looks all gathered keys up. */
static void flush(struct probes *all)
{
    const struct matcher *m = all->run->matcher;
    uint32_t count = 0;

    for (uint32_t i = 0; i < all->count; i++) {
        size_t at = all->probes[i].hash & m->node_table.mask;
        const struct matcher_slot *slot = find_slot(&m->node_table, all->probes[i].hash, &at);

        if (slot != NULL) {
            __builtin_prefetch(&m->nodes[slot->value - 1]);
            all->probes[count++] = all->probes[i];
        }
    }
    all->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t child = find_child(m, all->node, &all->probes[i]);

        if (child != 0)
            add_child(all, child);
    }
}

static inline void gather(struct probes *all, uint32_t entry, uint32_t coordinate)
{
    const struct matcher *m = all->run->matcher;
    struct probe probe = {matcher_node_hash(all->node, entry, coordinate), entry, coordinate};

    if (all->count == PROBES_MAX)
        flush(all);
    if (m->is_small) {
        gather_small(all, &probe);
        return;
    }
    all->probes[all->count++] = probe;
    __builtin_prefetch(&m->node_table.slots[probe.hash & m->node_table.mask]);
}

/* All keys that the event has under one of the node's entries. Neighbours often share a cell. */
static inline void gather_entry(struct probes *all, const struct matcher_node *node,
                                uint32_t number)
{
    const struct matcher *m = all->run->matcher;
    uint32_t entry = m->entries[node->entries + number];
    const struct matcher_reading *r = matcher_reading(all->run, entry >> LEVEL_BITS);
    const struct matcher_door *door = all->node == 0 ? &m->doors[number] : NULL;
    uint32_t level = entry & LEVEL_MASK, before = COORDINATE_NONE;

    for (uint32_t i = 0; i < r->count; i++) {
        uint32_t value = all->run->values[r->first + i];

        if (value >= COORDINATE_NONE || value >> level == before)
            continue;
        before = value >> level;
        if (door == NULL || door->size == 0)
            gather(all, entry, before);
        else if (m->doors_to[door->first + before] != 0)
            add_child(all, m->doors_to[door->first + before]);
    }
}

/* A node with very many entries is asked only for those of the event's paths. Entries are
 * ascending, so those of one path stand together. */
static void gather_touched(struct probes *all, const struct matcher_node *node)
{
    const struct matcher_run *run = all->run;
    const uint32_t *entries = run->matcher->entries + node->entries;

    for (uint32_t i = 0; i < run->touched_count; i++) {
        const struct matcher_path *path = &run->matcher->paths[run->touched[i]];
        uint32_t end = (path->first + path->count) << LEVEL_BITS;
        uint32_t at = matcher_lower_bound(entries, node->entry_count, path->first << LEVEL_BITS);

        for (; at < node->entry_count && entries[at] < end; at++)
            gather_entry(all, node, at);
    }
}

/* As deep as conjunctions were filed, which filing bounds. */
static void visit(struct matcher_run *run, uint32_t number)
{
    const struct matcher_node *node = &run->matcher->nodes[number];
    struct probes all;

    try_list(run, node);
    if (node->entry_count == 0)
        return;
    all.run = run;
    all.node = number;
    all.count = 0;
    all.child_count = 0;
    if (node->entry_count > ENTRIES_MANY)
        gather_touched(&all, node);
    else
        for (uint32_t i = 0; i < node->entry_count; i++)
            gather_entry(&all, node, i);
    flush(&all);
    enter(&all);
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* Few are put in order, and their bits taken back. */
static void sort_few(struct matcher_run *run)
{
    uint32_t *p = run->places;

    for (size_t i = 0; i < run->place_count; i++) {
        uint32_t place = p[i];
        size_t at = i;

        for (; at > 0 && p[at - 1] > place; at--)
            p[at] = p[at - 1];
        p[at] = place;
        run->bits[place / 64] = 0;
    }
}

/* Many: their bits are in order already. */
static void sort_many(struct matcher_run *run)
{
    size_t words = (run->matcher->pattern_count + 63) / 64;
    uint32_t kept = 0;

    for (size_t w = 0; w < words; w++) {
        for (uint64_t rest = run->bits[w]; rest != 0; rest &= rest - 1)
            run->places[kept++] = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(rest);
        run->bits[w] = 0;
    }
}

size_t matcher_answer(struct matcher_run *run, const uint32_t **places)
{
    run->place_count = 0;
    run->tried = 0;
    visit(run, 0);
    if (run->place_count > SORT_FEW)
        sort_many(run);
    else
        sort_few(run);
    matcher_forget(run);
    *places = run->places;
    return run->place_count;
}

size_t matcher_find(const struct matcher *m, struct matcher_run *run, const struct flat *event,
                    const uint32_t **places)
{
    matcher_read(run, m, event);
    return matcher_answer(run, places);
}

size_t matcher_run_candidates(const struct matcher_run *run)
{
    return run->tried;
}
