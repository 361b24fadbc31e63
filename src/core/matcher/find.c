/* Finding: from the root down every key that the event has, then the lists of the nodes reached.
 *
 * An event that 100,000 patterns could match looks up some fifty keys and tries some ten patterns:
 * what it costs is misses of the processor's cache. So the keys of a node are hashed first and
 * their slots asked for together, then what the slots name, before anything is looked at.
 */
#include "core/matcher/internal.h"

#define QUEUE_MIN    64
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
    uint32_t single = run->singles[TEST_DIMENSION(test->head) + 1], at;
    const struct matcher_reading *r;
    const uint32_t *values;

    if (single < COORDINATE_NONE)
        return single >= test->a && single <= test->b;
    r = matcher_reading(run, TEST_DIMENSION(test->head));
    values = run->values + r->first;
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
    const uint32_t *list = run->matcher->pool + test->a, *values;
    uint32_t single = run->singles[TEST_DIMENSION(test->head) + 1];
    const struct matcher_reading *r;

    if (single < COORDINATE_NONE)
        return matcher_is_in(list, test->b, single);
    r = matcher_reading(run, TEST_DIMENSION(test->head));
    values = run->values + r->first;
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
    const uint32_t *list = run->matcher->pool + test->a, *values;
    uint32_t single = run->singles[TEST_DIMENSION(test->head) + 1];
    const struct matcher_reading *r;

    if (single < COORDINATE_NONE)
        return !matcher_is_in(list, test->b, single);
    r = matcher_reading(run, TEST_DIMENSION(test->head));
    values = run->values + r->first;
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
    enum matcher_wild_answer known;

    if (!presence->is_there)
        return false;
    known = matcher_wild_ask(run, test->b, test->a);
    if (known != WILD_UNKNOWN)
        return known == WILD_PASSES;
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

/* One that its sieve let through. */
static void try_candidate(struct matcher_run *run, const struct matcher_candidate *candidate)
{
    const uint32_t *sieve = candidate->sieve, *p = run->matcher->stream + candidate->where[1];
    uint32_t conjunction = candidate->where[0], count = *p++;

    if (run->singles[sieve[0]] == SINGLE_UNKNOWN) {
        struct matcher_test range = {TEST_HEAD(TEST_RANGE, sieve[0] - 1), sieve[1],
                                     sieve[1] + sieve[2]};

        if (!passes_range(run, &range))
            return;
    }
    for (; count > 0; count--, p += TEST_WORDS) {
        struct matcher_test test = {p[0], p[1], p[2]};

        if (!passes(run, &test))
            return;
    }
    take_conjunction(run, conjunction);
}

static void grow_passed(struct matcher_run *run, size_t count)
{
    run->passed_room = MAX(run->passed_room * 2, run->passed_count + count + 1);
    run->passed = g_renew(struct matcher_candidate, run->passed, run->passed_room);
}

/* Keeps those of a list whose sieves let them through. Which do cannot be guessed, so there is no
 * branch on it. */
static inline void sift(struct matcher_run *run, const struct matcher_node *node)
{
    const uint32_t *sieve = run->matcher->stream + node->stream;
    const uint32_t *where = sieve + (size_t)node->list_count * SIEVE_WORDS;
    struct matcher_candidate *out;

    if (run->passed_count + node->list_count >= run->passed_room)
        grow_passed(run, node->list_count);
    out = run->passed + run->passed_count;
    for (uint32_t i = 0; i < node->list_count; i++) {
        uint32_t single = run->singles[sieve[0]];

        *out = (struct matcher_candidate){sieve, where};
        out += ((single - sieve[1] <= sieve[2]) & sieve[3] >> single % 32) |
               (single == SINGLE_UNKNOWN);
        sieve += SIEVE_WORDS;
        where += WHERE_WORDS;
    }
    run->passed_count = (size_t)(out - run->passed);
    run->tried += node->list_count;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void push_node(struct matcher_run *run, uint32_t node)
{
    if (run->queue_count == run->queue_room) {
        run->queue_room = MAX(run->queue_room * 2, QUEUE_MIN);
        run->queue = g_renew(uint32_t, run->queue, run->queue_room);
    }
    __builtin_prefetch(&run->matcher->nodes[node]);
    run->queue[run->queue_count++] = node;
}

/* The slot of the key; NULL when nothing is filed under it. Tags alone may mislead. */
static const struct matcher_slot *find_slot(const struct matcher_table *t, uint64_t hash, size_t *i)
{
    for (; t->slots[*i].value != 0; *i = (*i + 1) & t->mask)
        if (t->slots[*i].tag == (uint32_t)(hash >> 32))
            return &t->slots[*i];
    return NULL;
}

static bool has_key(const struct matcher_node *n, const struct matcher_probe *probe)
{
    return n->parent == probe->parent && n->entry == probe->entry &&
           n->coordinate == probe->coordinate;
}

/* The child under the key; 0, which is the root and nobody's child: there is none. */
static uint32_t find_child(const struct matcher *m, const struct matcher_probe *probe)
{
    size_t i = probe->hash & m->node_table.mask;

    for (;; i = (i + 1) & m->node_table.mask) {
        const struct matcher_slot *slot = find_slot(&m->node_table, probe->hash, &i);

        if (slot == NULL)
            return 0;
        if (has_key(&m->nodes[slot->value - 1], probe))
            return slot->value - 1;
    }
}

/* Looks all gathered keys up. */
static void flush(struct matcher_run *run)
{
    const struct matcher *m = run->matcher;
    uint32_t count = 0;

    for (uint32_t i = 0; i < run->probe_count; i++) {
        size_t at = run->probes[i].hash & m->node_table.mask;
        const struct matcher_slot *slot = find_slot(&m->node_table, run->probes[i].hash, &at);

        if (slot != NULL) {
            __builtin_prefetch(&m->nodes[slot->value - 1]);
            run->probes[count++] = run->probes[i];
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t child = find_child(m, &run->probes[i]);

        if (child != 0)
            push_node(run, child);
    }
    run->probe_count = 0;
}

static inline void gather(struct matcher_run *run, uint32_t parent, uint32_t entry,
                          uint32_t coordinate)
{
    const struct matcher_table *t = &run->matcher->node_table;
    struct matcher_probe *probe;

    if (run->probe_count == PROBES_MAX)
        flush(run);
    probe = &run->probes[run->probe_count++];
    *probe = (struct matcher_probe){matcher_node_hash(parent, entry, coordinate), parent, entry,
                                    coordinate};
    __builtin_prefetch(&t->slots[probe->hash & t->mask]);
}

/* Behind the root's doors stand its children themselves. */
static inline void gather_key(struct matcher_run *run, uint32_t parent, uint32_t number,
                              uint32_t entry, uint32_t coordinate)
{
    const struct matcher *m = run->matcher;
    const struct matcher_door *door = &m->doors[number];

    if (parent != 0 || door->size == 0)
        gather(run, parent, entry, coordinate);
    else if (m->doors_to[door->first + coordinate] != 0)
        push_node(run, m->doors_to[door->first + coordinate]);
}

/* All keys that the event has under one of the node's entries. Neighbours often share a cell. */
static void gather_many(struct matcher_run *run, uint32_t parent, uint32_t number, uint32_t entry)
{
    const struct matcher_reading *r = matcher_reading(run, entry >> LEVEL_BITS);
    uint32_t level = entry & LEVEL_MASK, before = COORDINATE_NONE;

    for (uint32_t i = 0; i < r->count; i++) {
        uint32_t value = run->values[r->first + i];

        if (value >= COORDINATE_NONE || value >> level == before)
            continue;
        before = value >> level;
        gather_key(run, parent, number, entry, before);
    }
}

static inline void gather_entry(struct matcher_run *run, uint32_t parent, uint32_t number,
                                uint32_t entry)
{
    uint32_t single = run->singles[(entry >> LEVEL_BITS) + 1];

    if (single < COORDINATE_NONE)
        gather_key(run, parent, number, entry, single >> (entry & LEVEL_MASK));
    else if (single == SINGLE_UNKNOWN)
        gather_many(run, parent, number, entry);
}

/* A node with very many entries is asked only for those of the event's paths. Entries are
 * ascending, so those of one path stand together. */
static void gather_touched(struct matcher_run *run, uint32_t number)
{
    const struct matcher_node *node = &run->matcher->nodes[number];
    const uint32_t *entries = run->matcher->entries + node->entries;

    for (uint32_t i = 0; i < run->touched_count; i++) {
        const struct matcher_path *path = &run->matcher->paths[run->touched[i]];
        uint32_t end = (path->first + path->count) << LEVEL_BITS;
        uint32_t at = matcher_lower_bound(entries, node->entry_count, path->first << LEVEL_BITS);

        for (; at < node->entry_count && entries[at] < end; at++)
            gather_entry(run, number, at, entries[at]);
    }
}

static void visit(struct matcher_run *run, uint32_t number)
{
    const struct matcher_node *node = &run->matcher->nodes[number];
    const uint32_t *entries = run->matcher->entries + node->entries;

    sift(run, node);
    if (node->entry_count > ENTRIES_MANY)
        gather_touched(run, number);
    else
        for (uint32_t i = 0; i < node->entry_count; i++)
            gather_entry(run, number, i, entries[i]);
}

static inline void prefetch_list(const struct matcher *m, const struct matcher_node *node)
{
    const uint32_t *list = m->stream + node->stream;

    __builtin_prefetch(list);
    __builtin_prefetch(list + 16);
    __builtin_prefetch(m->entries + node->entries);
}

/* Generation after generation: the children of all nodes of one are looked up together. */
static void visit_all(struct matcher_run *run)
{
    size_t at = 0;

    run->queue_count = 0;
    run->passed_count = 0;
    push_node(run, 0);
    do {
        for (size_t i = at; i < run->queue_count; i++)
            prefetch_list(run->matcher, &run->matcher->nodes[run->queue[i]]);
        while (at < run->queue_count)
            visit(run, run->queue[at++]);
        flush(run);
    } while (at < run->queue_count);
    for (size_t i = 0; i < run->passed_count; i++)
        __builtin_prefetch(run->matcher->stream + run->passed[i].where[1]);
    for (size_t i = 0; i < run->passed_count; i++)
        try_candidate(run, &run->passed[i]);
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
    visit_all(run);
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
