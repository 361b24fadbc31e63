/* Under which keys a field can be filed, and how often events come to them.
 *
 * A key is a coordinate, or a cell of 8^n coordinates beside each other: a range is filed under
 * four cells at most, the smallest that cover it, and tested again behind them. What an
 * anything-but or a wildcard accepts cannot be named; such fields are filed under their path being
 * there at all. How often a key is met is counted in the sample of events; a key that the sample
 * knows little of is judged by how many patterns name it, since patterns are written for events
 * that come.
 */
#include "core/matcher/internal.h"

#define LEVEL_STEP 3 /* a cell of the next level is 8 times as wide */
#define CELLS_MAX  4

/* How much the patterns' own opinion weighs, in events. */
#define PRIOR_WEIGHT 2.0
#define PRIOR_THERE  0.5 /* of a path being there */
#define PRIOR_TYPE   0.2 /* of a leaf being null, true … */

/* Keys of a test, in out; 0: it has none. */
static size_t range_keys(const struct matcher_test *test, struct matcher_key *out, bool *is_exact)
{
    uint32_t dimension = TEST_DIMENSION(test->head), level = 0;
    size_t count = 0;

    if (test->a > test->b) /* between two neighbours there is no number */
        return 0;
    while ((test->b >> level) - (test->a >> level) >= CELLS_MAX)
        level += LEVEL_STEP;
    for (uint32_t cell = test->a >> level; cell <= test->b >> level; cell++)
        out[count++] = (struct matcher_key){dimension << LEVEL_BITS | level, cell};
    *is_exact &= level == 0;
    return count;
}

static size_t list_keys(const struct matcher *m, const struct matcher_test *test,
                        struct matcher_key *out)
{
    for (uint32_t i = 0; i < test->b; i++)
        out[i] =
            (struct matcher_key){TEST_DIMENSION(test->head) << LEVEL_BITS, m->pool[test->a + i]};
    return test->b;
}

/* The path's presence stands for whatever cannot be named. */
static size_t presence_key(const struct matcher *m, uint32_t path, struct matcher_key *out,
                           bool *is_exact)
{
    uint32_t dimension = m->paths[path].first; /* families are in order, and this is the first */

    *is_exact = false;
    if (m->dimensions[dimension].family != FAMILY_TYPE)
        return 0;
    out[0] = (struct matcher_key){dimension << LEVEL_BITS, TYPE_PRESENT};
    return 1;
}

/* Keys of one test; 0: it has none of its own, or more than there is room for. */
static size_t test_keys(const struct matcher *m, const struct matcher_test *test,
                        struct matcher_key *out, size_t room, bool *is_exact)
{
    const struct matcher_text *text;

    switch (TEST_KIND(test->head)) {
    case TEST_RANGE:
        return room < CELLS_MAX ? 0 : range_keys(test, out, is_exact);
    case TEST_LIST:
        return room < test->b ? 0 : list_keys(m, test, out);
    case TEST_TEXT:
        text = &m->texts[test->a];
        if (text->hint == COORDINATE_NONE || room == 0)
            return 0;
        *is_exact = false;
        out[0] = (struct matcher_key){text->hint_dimension << LEVEL_BITS, text->hint};
        return 1;
    default:
        return 0;
    }
}

size_t matcher_keys(const struct matcher *m, uint32_t field, struct matcher_key *out,
                    bool *is_exact)
{
    const struct matcher_field *f = &m->fields[field];
    size_t count = 0;

    *is_exact = true;
    if (f->allows_absent)
        return 0;
    for (uint32_t i = 0; i < f->count; i++) {
        size_t more =
            test_keys(m, &m->tests[f->first + i], out + count, KEYS_MAX - count, is_exact);

        if (more == 0)
            return presence_key(m, f->path, out, is_exact);
        count += more;
    }
    return count;
}

/* ---- how often ------------------------------------------------------------------------------- */

/* What is known of events and patterns. */
struct judge {
    const struct matcher *m;
    GArray *met;          /* uint64_t: dimension << 32 | coordinate, each once an event; sorted */
    guint *starts;        /* where each dimension begins in met, and the end */
    uint32_t events;      /* in the sample */
    uint32_t *uses;       /* by use of the dimension and symbol: fields that name it */
    uint32_t *total_uses; /* by dimension */
};

/* One event of the sample. */
static void meet(struct judge *j, struct matcher_run *run)
{
    for (uint32_t i = 0; i < run->touched_count; i++) {
        const struct matcher_path *path = &j->m->paths[run->touched[i]];

        for (uint32_t d = path->first; d < path->first + path->count; d++) {
            const struct matcher_reading *r = matcher_reading(run, d);

            for (uint32_t k = 0; k < r->count; k++) {
                uint64_t met = (uint64_t)d << 32 | run->values[r->first + k];

                g_array_append_val(j->met, met);
            }
        }
    }
    j->events++;
}

static int compare_met(gconstpointer a, gconstpointer b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void read_sample(struct judge *j, const GPtrArray *sample)
{
    struct matcher_run *run = matcher_run_new();
    struct flat flat;
    guint at = 0;

    flat_init(&flat);
    for (guint i = 0; i < sample->len; i++) {
        gsize size, used;
        const char *data = g_bytes_get_data(g_ptr_array_index(sample, i), &size);

        if (!flat_parse(&flat, slice_of(data, size), 0, &used, NULL))
            continue;
        matcher_read(run, j->m, &flat);
        meet(j, run);
        matcher_forget(run);
    }
    flat_done(&flat);
    matcher_run_free(run);
    g_array_sort(j->met, compare_met);
    for (uint32_t d = 0; d <= j->m->dimension_count; d++) {
        while (at < j->met->len && g_array_index(j->met, uint64_t, at) >> 32 < d)
            at++;
        j->starts[d] = at;
    }
}

static bool has_symbols(const struct matcher_dimension *d)
{
    return d->family != FAMILY_NUMBER && d->family != FAMILY_ADDRESS && d->family != FAMILY_TYPE;
}

static void count_use(struct judge *j, uint32_t dimension, uint32_t symbol, uint32_t uses)
{
    j->uses[j->m->dimensions[dimension].use + symbol] += uses;
    j->total_uses[dimension] += uses;
}

/* How many fields of patterns name each symbol. */
static void count_uses(struct judge *j)
{
    const struct matcher *m = j->m;
    g_autofree uint32_t *by_field = g_new0(uint32_t, m->field_count);

    for (uint32_t i = 0; i < m->field_of_count; i++)
        by_field[m->fields_of[i]]++;
    for (uint32_t f = 0; f < m->field_count; f++) {
        for (uint32_t i = 0; i < m->fields[f].count; i++) {
            const struct matcher_test *test = &m->tests[m->fields[f].first + i];
            uint32_t dimension = TEST_DIMENSION(test->head);

            if (TEST_KIND(test->head) > TEST_LIST || !has_symbols(&m->dimensions[dimension]))
                continue;
            if (TEST_KIND(test->head) == TEST_RANGE)
                count_use(j, dimension, test->a, by_field[f]);
            for (uint32_t k = 0; TEST_KIND(test->head) == TEST_LIST && k < test->b; k++)
                count_use(j, dimension, m->pool[test->a + k], by_field[f]);
        }
    }
}

/* The first of the dimension's entries in met that is not below the coordinate. */
static guint find_met(const struct judge *j, uint32_t dimension, uint64_t coordinate)
{
    guint low = j->starts[dimension], high = j->starts[dimension + 1];
    uint64_t wanted = ((uint64_t)dimension << 32) + coordinate;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (g_array_index(j->met, uint64_t, middle) < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Entries from coordinate from to before end; mostly there are none. */
static guint count_met(const struct judge *j, uint32_t dimension, uint64_t from, uint64_t end)
{
    guint first = find_met(j, dimension, from);

    if (first == j->starts[dimension + 1] ||
        g_array_index(j->met, uint64_t, first) >= ((uint64_t)dimension << 32) + end)
        return 0;
    return find_met(j, dimension, end) - first;
}

/* What to think of a key before any event was seen. */
static double prior(const struct judge *j, uint32_t dimension, uint32_t level, uint32_t coordinate)
{
    const struct matcher_dimension *d = &j->m->dimensions[dimension];

    if (d->family == FAMILY_TYPE)
        return coordinate == TYPE_PRESENT ? PRIOR_THERE : PRIOR_TYPE;
    if (has_symbols(d))
        return (j->uses[d->use + coordinate] + 1.0) / (j->total_uses[dimension] + 2.0);
    return MIN(1.0, (double)(UINT64_C(1) << level) / (2.0 * d->bound_count + 1));
}

static double share_of(const struct judge *j, struct matcher_key key)
{
    uint32_t dimension = key.entry >> LEVEL_BITS, level = key.entry & LEVEL_MASK;
    uint64_t from = (uint64_t)key.coordinate << level;
    double expected = prior(j, dimension, level, key.coordinate) * PRIOR_WEIGHT;
    guint met = 0;

    if (j->events > 0)
        met = count_met(j, dimension, from, from + (UINT64_C(1) << level));
    return (met + expected) / (j->events + PRIOR_WEIGHT);
}

struct matcher_judgement *matcher_judge(const struct matcher *m, const GPtrArray *sample)
{
    struct matcher_judgement *out = g_new0(struct matcher_judgement, m->field_count);
    g_autofree struct matcher_key *keys = g_new(struct matcher_key, KEYS_MAX);
    struct judge j = {
        .m = m,
        .met = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
        .starts = g_new0(guint, m->dimension_count + 1),
        .uses = g_new0(uint32_t, m->symbol_count),
        .total_uses = g_new0(uint32_t, m->dimension_count),
    };

    count_uses(&j);
    read_sample(&j, sample);
    for (uint32_t f = 0; f < m->field_count; f++) {
        size_t count = matcher_keys(m, f, keys, &out[f].is_exact);
        double share = 0;

        for (size_t i = 0; i < count; i++)
            share += share_of(&j, keys[i]);
        out[f].share = (float)share;
        out[f].keys = (uint16_t)count;
    }
    g_array_unref(j.met);
    g_free(j.starts);
    g_free(j.uses);
    g_free(j.total_uses);
    return out;
}
