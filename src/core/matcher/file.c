/* Filing: every conjunction under the keys of its rarest field; what lies under one key is filed
 * again under the next rarest, until few are left. Those stand in the node's list with the tests
 * that are still open.
 * Source: Fabret et al., SIGMOD 2001 (access predicates); Sadoghi and Jacobsen, SIGMOD 2011
 * (splitting what is left over).
 */
#include "core/matcher/internal.h"

#define LIST_MAX        24   /* so many are tried rather than filed further */
#define SHARE_MAX       0.4F /* a key that more events come to saves too little */
#define DEPTH_MAX       8
#define COPIES_MAX      64  /* of one conjunction; more only for one with many keys at the root */
#define DOORS_PER_CHILD 16  /* so sparse may an array of the root's children be */
#define FIELDS_MAX      64  /* of one conjunction that are looked at; the rest are only tested */
#define DIGIT_SORT_MIN  512 /* records that are sorted by digits */
#define DIGIT_BITS      8
#define DIGIT_VALUES    (1U << DIGIT_BITS)
#define DIGITS          4 /* of a coordinate, and of an entry */
#define AHEAD           4 /* filings between one step and the next */
#define AHEAD_FIELDS    8 /* of a conjunction */

/* A conjunction on its way down. */
struct filing {
    uint32_t conjunction;
    uint32_t copies; /* of it on this way, about */
    uint64_t used;   /* fields that led here */
    uint64_t done;   /* those of them that need no test */
};

/* A filing under a key of its next field. */
struct record {
    struct matcher_key key;
    uint32_t filing;
    uint8_t field; /* of the conjunction */
    bool is_exact;
};

/* What is known of a field, all in one place: there is a jump to it for each field of each filing.
 */
struct known {
    struct matcher_test test; /* that stands for it in lists */
    float rank;               /* its place among the open tests of a list */
    float share;              /* as judged; so are the keys */
    uint32_t keys;
};

struct filer {
    struct matcher *m;
    struct known *known;      /* by field */
    struct matcher_key *keys; /* room for a field's */
    size_t memory_max;
    GArray *nodes;   /* struct matcher_node */
    GArray *entries; /* uint32_t */
    GArray *stream;  /* uint32_t */
    GArray *where;   /* uint32_t: of the list in hand */
    GArray *tests;   /* uint32_t: likewise */
    bool is_over;    /* memory_max is passed */
};

static const uint32_t *fields_of(const struct matcher *m, uint32_t conjunction, uint32_t *count)
{
    const struct matcher_conjunction *c = &m->conjunctions[conjunction];

    *count = c[1].first - c->first;
    return m->fields_of + c->first;
}

/* ---- memory ----------------------------------------------------------------------------------
 * What filings lead to lies anywhere; it is asked for step by step while those before them are
 * filed. Always inline, as the compiler leaves out a call that only asks: it seems to do nothing.
 */

__attribute__((always_inline)) static inline void ask_fields(const struct filer *f,
                                                             const struct filing *filing)
{
    uint32_t count;
    const uint32_t *fields = fields_of(f->m, filing->conjunction, &count);

    for (uint32_t i = 0; i < MIN(count, AHEAD_FIELDS); i++) {
        __builtin_prefetch(&f->known[fields[i]]);
        __builtin_prefetch(&f->m->fields[fields[i]]);
    }
}

/* For filings in the order of their records. */
__attribute__((always_inline)) static inline void ask_ahead(const struct filer *f,
                                                            const struct filing *filings,
                                                            const struct record *records,
                                                            guint count, guint i)
{
    const struct matcher *m = f->m;
    uint32_t field_count;

    if (i + 4 * AHEAD < count)
        __builtin_prefetch(&filings[records[i + 4 * AHEAD].filing]);
    if (i + 3 * AHEAD < count)
        __builtin_prefetch(&m->conjunctions[filings[records[i + 3 * AHEAD].filing].conjunction]);
    if (i + 2 * AHEAD < count)
        __builtin_prefetch(
            fields_of(m, filings[records[i + 2 * AHEAD].filing].conjunction, &field_count));
    if (i + AHEAD < count)
        ask_fields(f, &filings[records[i + AHEAD].filing]);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void put(GArray *array, uint32_t word)
{
    g_array_append_val(array, word);
}

/* A field that is one test stands in the list as that; others by their number. */
static struct matcher_test test_of(const struct matcher *m, uint32_t field)
{
    const struct matcher_field *f = &m->fields[field];

    if (f->count == 1 && !f->allows_absent)
        return m->tests[f->first];
    if (f->count == 0 && f->allows_absent)
        return (struct matcher_test){.head = TEST_ABSENT, .a = f->path};
    return (struct matcher_test){.head = TEST_FIELD, .a = field};
}

/* Dear tests come behind cheap ones, whatever they tell. */
static struct known know(const struct matcher *m, uint32_t field, const struct matcher_judgement *j)
{
    static const float COST[] = {
        [TEST_RANGE] = 0, [TEST_LIST] = 0,  [TEST_NONE] = 1,  [TEST_FEWER] = 1,
        [TEST_TEXT] = 3,  [TEST_FIELD] = 2, [TEST_ABSENT] = 1};
    struct known known = {.test = test_of(m, field), .share = j->share, .keys = j->keys};

    known.rank = COST[TEST_KIND(known.test.head)] + MIN(j->share, 1.0F);
    return known;
}

/* Numbers of the open fields, telling ones first, into order; returns how many. */
static uint32_t order_open(const struct filer *f, const struct filing *filing, uint32_t *order)
{
    uint32_t count, open = 0;
    const uint32_t *fields = fields_of(f->m, filing->conjunction, &count);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = open;

        if (i < FIELDS_MAX && filing->done >> i & 1)
            continue;
        for (; at > 0 && f->known[order[at - 1]].rank > f->known[fields[i]].rank; at--)
            order[at] = order[at - 1];
        order[at] = fields[i];
        open++;
    }
    return open;
}

/* What a test lets through, as far as a sieve can tell; false: it cannot. */
static bool sieve_of(const struct matcher *m, const struct matcher_test *test,
                     struct matcher_sieve *out)
{
    const uint32_t *list = m->pool + test->a;

    if (TEST_KIND(test->head) != TEST_RANGE && (TEST_KIND(test->head) != TEST_LIST || test->b == 0))
        return false;
    out->single = TEST_DIMENSION(test->head) + 1;
    if (TEST_KIND(test->head) == TEST_RANGE) {
        /* Between two neighbours there is nothing. */
        out->low = test->a <= test->b ? test->a : COORDINATE_NONE - 1;
        out->span = test->a <= test->b ? test->b - test->a : 0;
        out->mask = UINT32_MAX;
        return true;
    }
    out->low = list[0];
    out->span = list[test->b - 1] - list[0];
    out->mask = 0;
    for (uint32_t i = 0; i < test->b; i++)
        out->mask |= UINT32_C(1) << list[i] % 32;
    return true;
}

/* The conjunction's sieve, which is made of the most telling test that has one, and its other open
 * tests. A list needs its own test behind the sieve. */
static void put_filing(struct filer *f, const struct filing *filing)
{
    struct matcher_sieve sieve = {.span = UINT32_MAX, .mask = UINT32_MAX};
    uint32_t few[FIELDS_MAX], count, put_count = 0, count_at = f->tests->len;
    g_autofree uint32_t *many = NULL;
    uint32_t *order = few;
    bool is_sieved = false;
    uint32_t open;

    fields_of(f->m, filing->conjunction, &count);
    if (count > FIELDS_MAX)
        order = many = g_new(uint32_t, count);
    open = order_open(f, filing, order);
    put(f->where, filing->conjunction);
    put(f->where, count_at);
    put(f->tests, 0);
    for (uint32_t i = 0; i < open; i++) {
        struct matcher_test test = f->known[order[i]].test;
        bool is_first = !is_sieved && sieve_of(f->m, &test, &sieve);

        is_sieved |= is_first;
        if (is_first && TEST_KIND(test.head) == TEST_RANGE)
            continue;
        g_array_append_vals(f->tests, &test, TEST_WORDS);
        put_count++;
    }
    g_array_index(f->tests, uint32_t, count_at) = put_count;
    if (sieve.single > 0)
        f->m->dimensions[sieve.single - 1].is_asked = true;
    g_array_append_vals(f->stream, &sieve, SIEVE_WORDS);
    f->m->copies++;
}

/* The list is whole: behind its sieves come the other parts. */
static void end_list(struct filer *f)
{
    uint32_t tests = f->stream->len + f->where->len;

    for (guint i = 1; i < f->where->len; i += WHERE_WORDS)
        g_array_index(f->where, uint32_t, i) += tests;
    g_array_append_vals(f->stream, f->where->data, f->where->len);
    g_array_append_vals(f->stream, f->tests->data, f->tests->len);
    g_array_set_size(f->where, 0);
    g_array_set_size(f->tests, 0);
}

/* ---- choosing -------------------------------------------------------------------------------- */

/* The rarest field that was not used on this way; -1: none is worth it. */
static int choose(const struct filer *f, const struct filing *filing)
{
    float best_share = SHARE_MAX;
    uint32_t count;
    const uint32_t *fields = fields_of(f->m, filing->conjunction, &count);
    int best = -1;

    for (uint32_t i = 0; i < MIN(count, FIELDS_MAX); i++) {
        const struct known *k = &f->known[fields[i]];

        if (filing->used >> i & 1 || k->keys == 0 || k->share >= best_share ||
            (filing->used != 0 && (uint64_t)k->keys * filing->copies > COPIES_MAX))
            continue;
        best = (int)i;
        best_share = k->share;
    }
    return best;
}

static void record(struct filer *f, GArray *records, const struct filing *filing, uint32_t number,
                   int field)
{
    uint32_t count;
    const uint32_t *fields = fields_of(f->m, filing->conjunction, &count);
    struct record r = {.filing = number, .field = (uint8_t)field};
    size_t keys = matcher_keys(f->m, fields[field], f->keys, &r.is_exact);

    for (size_t i = 0; i < keys; i++) {
        r.key = f->keys[i];
        g_array_append_val(records, r);
    }
}

static int compare_records(const void *a, const void *b)
{
    const struct record *x = a, *y = b;

    if (x->key.entry != y->key.entry)
        return x->key.entry < y->key.entry ? -1 : 1;
    if (x->key.coordinate != y->key.coordinate)
        return x->key.coordinate < y->key.coordinate ? -1 : 1;
    return (x->filing > y->filing) - (x->filing < y->filing);
}

static unsigned digit_of(const struct record *r, unsigned pass)
{
    uint32_t word = pass < DIGITS ? r->key.coordinate : r->key.entry;

    return word >> pass % DIGITS * DIGIT_BITS & (DIGIT_VALUES - 1);
}

/* Stable, by one digit. false: it is the same in all, and nothing was written. */
static bool sort_by_digit(const struct record *from, struct record *to, guint count, unsigned pass)
{
    guint starts[DIGIT_VALUES] = {0}, at = 0;

    for (guint i = 0; i < count; i++)
        starts[digit_of(&from[i], pass)]++;
    if (starts[digit_of(&from[0], pass)] == count)
        return false;
    for (unsigned digit = 0; digit < DIGIT_VALUES; digit++) {
        guint met = starts[digit];

        starts[digit] = at;
        at += met;
    }
    for (guint i = 0; i < count; i++)
        to[starts[digit_of(&from[i], pass)]++] = from[i];
    return true;
}

/* By key; within one as they are, which is by filing. Digit by digit from the last, when they are
 * many. */
static void sort_records(struct record *records, guint count)
{
    g_autofree struct record *spare = NULL;
    struct record *from = records, *to;

    if (count < DIGIT_SORT_MIN) {
        qsort(records, count, sizeof(*records), compare_records);
        return;
    }
    to = spare = g_new(struct record, count);
    for (unsigned pass = 0; pass < 2 * DIGITS; pass++)
        if (sort_by_digit(from, to, count, pass)) {
            struct record *sorted = to;

            to = from;
            from = sorted;
        }
    if (from != records)
        memcpy(records, from, count * sizeof(*records));
}

static bool is_same_key(const struct record *a, const struct record *b)
{
    return a->key.entry == b->key.entry && a->key.coordinate == b->key.coordinate;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void check_memory(struct filer *f)
{
    size_t size = f->nodes->len * (sizeof(struct matcher_node) + 2 * sizeof(struct matcher_slot)) +
                  (f->stream->len + f->entries->len) * sizeof(uint32_t);

    f->is_over |= f->memory_max > 0 && size > f->memory_max;
}

static void build(struct filer *f, uint32_t node, struct filing *filings, uint32_t count,
                  unsigned depth);

/* The records of one key become a node. */
static void build_child(struct filer *f, uint32_t parent, const struct filing *filings,
                        const struct record *records, guint count, unsigned depth)
{
    struct matcher_node node = {
        .parent = parent, .entry = records[0].key.entry, .coordinate = records[0].key.coordinate};
    struct filing few[LIST_MAX];
    g_autofree struct filing *many = count > LIST_MAX ? g_new(struct filing, count) : NULL;
    struct filing *inner = many != NULL ? many : few;
    uint32_t kept = 0;

    for (guint i = 0; i < count; i++) {
        struct filing *filing = &inner[kept];

        if (i > 0 && records[i].filing == records[i - 1].filing)
            continue; /* two alternatives with one key */
        *filing = filings[records[i].filing];
        filing->used |= UINT64_C(1) << records[i].field;
        if (records[i].is_exact)
            filing->done |= UINT64_C(1) << records[i].field;
        kept++;
    }
    g_array_append_val(f->nodes, node);
    build(f, f->nodes->len - 1, inner, kept, depth + 1);
}

/* All children of a node; then its entries, which must stand together. */
static void build_children(struct filer *f, uint32_t node, const struct filing *filings,
                           GArray *records, unsigned depth)
{
    struct record *all = (struct record *)(void *)records->data;
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    struct matcher_node *n;

    sort_records(all, records->len);
    for (guint i = 0; i < records->len && !f->is_over;) {
        guint first = i;

        while (i < records->len && is_same_key(&all[i], &all[first]))
            ask_ahead(f, filings, all, records->len, i++);
        if (entries->len == 0 ||
            g_array_index(entries, uint32_t, entries->len - 1) != all[first].key.entry)
            put(entries, all[first].key.entry);
        f->m->dimensions[all[first].key.entry >> LEVEL_BITS].is_asked = true;
        build_child(f, node, filings, all + first, i - first, depth);
        check_memory(f);
    }
    n = &g_array_index(f->nodes, struct matcher_node, node);
    n->entries = f->entries->len;
    n->entry_count = entries->len;
    g_array_append_vals(f->entries, entries->data, entries->len);
}

static void count_copies(struct record *records, guint count, struct filing *filings)
{
    for (guint i = 0; i < count; i++)
        if (i == 0 || records[i].filing != records[i - 1].filing) {
            guint end = i;

            while (end < count && records[end].filing == records[i].filing)
                end++;
            filings[records[i].filing].copies *= end - i;
        }
}

/* The node's list: those that are not filed further, which is all when there are no records. */
static void list_filings(struct filer *f, uint32_t node, const struct filing *filings,
                         uint32_t count, GArray *records)
{
    uint32_t stream = f->stream->len, listed = 0;
    struct matcher_node *n;

    for (uint32_t i = 0; i < count; i++) {
        int field = -1;

        if (records != NULL) {
            if (i + 2 * AHEAD < count)
                ask_fields(f, &filings[i + 2 * AHEAD]);
            field = choose(f, &filings[i]);
        }
        if (field < 0) {
            put_filing(f, &filings[i]);
            listed++;
        } else {
            record(f, records, &filings[i], i, field);
        }
    }
    end_list(f);
    n = &g_array_index(f->nodes, struct matcher_node, node);
    n->stream = stream;
    n->list_count = listed;
}

/* The filings are used up. Few are listed. Of many, those with a rare field are filed under it. */
static void build(struct filer *f, uint32_t node, struct filing *filings, uint32_t count,
                  unsigned depth)
{
    g_autoptr(GArray) records = NULL;

    if (count <= LIST_MAX || depth == DEPTH_MAX) {
        list_filings(f, node, filings, count, NULL);
        return;
    }
    records = g_array_sized_new(FALSE, FALSE, sizeof(struct record), count);
    list_filings(f, node, filings, count, records);
    if (records->len == 0)
        return;
    count_copies((struct record *)(void *)records->data, records->len, filings);
    build_children(f, node, filings, records, depth);
}

/* Doors for an entry of the root, when its children fill enough of their array. */
static void make_door(struct matcher *m, uint32_t number, uint32_t children)
{
    uint32_t entry = m->entries[m->nodes[0].entries + number];
    uint32_t count = m->dimensions[entry >> LEVEL_BITS].coordinate_count;
    uint32_t size = (count >> (entry & LEVEL_MASK)) + 1;

    if (size / DOORS_PER_CHILD > children)
        return;
    m->doors[number] = (struct matcher_door){m->doors_to_count, size};
    m->doors_to = g_renew(uint32_t, m->doors_to, m->doors_to_count + size);
    memset(m->doors_to + m->doors_to_count, 0, size * sizeof(*m->doors_to));
    m->doors_to_count += size;
}

/* The root's children as arrays; entries are ascending, and so are the children's entries. */
static void make_doors(struct matcher *m)
{
    const struct matcher_node *root = &m->nodes[0];
    g_autofree uint32_t *children = g_new0(uint32_t, root->entry_count + 1);
    uint32_t number = 0;

    m->doors = g_new0(struct matcher_door, root->entry_count);
    for (uint32_t i = 1; i < m->node_count; i++) {
        if (m->nodes[i].parent != 0)
            continue;
        while (m->entries[root->entries + number] != m->nodes[i].entry)
            number++;
        children[number]++;
    }
    for (uint32_t i = 0; i < root->entry_count; i++)
        make_door(m, i, children[i]);
    number = 0;
    for (uint32_t i = 1; i < m->node_count; i++) {
        if (m->nodes[i].parent != 0)
            continue;
        while (m->entries[root->entries + number] != m->nodes[i].entry)
            number++;
        if (m->doors[number].size > 0)
            m->doors_to[m->doors[number].first + m->nodes[i].coordinate] = i;
    }
}

/* What reading an event begins with. */
static void note_asked(struct matcher *m)
{
    for (uint32_t d = 0; d < m->dimension_count; d++) {
        struct matcher_path *path = &m->paths[m->dimensions[d].path];

        if (!m->dimensions[d].is_asked)
            continue;
        if (m->dimensions[d].family == FAMILY_TEXT)
            path->text = d + 1;
        else if (m->dimensions[d].family == FAMILY_NUMBER)
            path->number = d + 1;
        else
            path->has_others = true;
    }
}

static uint64_t node_hash(const void *user, uint32_t value)
{
    const struct matcher *m = user;
    const struct matcher_node *n = &m->nodes[value];

    return matcher_node_hash(n->parent, n->entry, n->coordinate);
}

bool matcher_file(struct matcher *m, const struct matcher_judgement *judgements, size_t memory_max)
{
    struct filer f = {
        .m = m,
        .known = g_new(struct known, MAX(m->field_count, 1)),
        .keys = g_new(struct matcher_key, KEYS_MAX),
        .memory_max = memory_max,
        .nodes = g_array_new(FALSE, FALSE, sizeof(struct matcher_node)),
        .entries = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
        .stream = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
        .where = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
        .tests = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
    };
    struct matcher_node root = {0};
    g_autofree struct filing *all = g_new(struct filing, m->conjunction_count);

    for (uint32_t i = 0; i < m->conjunction_count; i++)
        all[i] = (struct filing){.conjunction = i, .copies = 1};
    for (uint32_t i = 0; i < m->field_count; i++)
        f.known[i] = know(m, i, &judgements[i]);
    g_array_append_val(f.nodes, root);
    build(&f, 0, all, m->conjunction_count, 0);
    m->nodes = matcher_take(f.nodes, &m->node_count);
    m->entries = matcher_take(f.entries, &m->entry_count);
    m->stream = matcher_take(f.stream, &m->stream_count);
    matcher_table_fill(&m->node_table, 1, m->node_count, node_hash, m); /* all but the root */
    make_doors(m);
    note_asked(m);
    g_array_unref(f.where);
    g_array_unref(f.tests);
    g_free(f.keys);
    g_free(f.known);
    return !f.is_over;
}
