/* fuzz_pattern: a pattern on the first line, an event below it. An accepted pattern must answer the
 * same twice, and the same as a second, naive evaluator: one that knows nothing of states, first
 * matches or skipping, and simply tries every choice of leaves. */
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "core/pattern_internal.h"

/* More choices than this are left to the real evaluator alone. */
#define NAIVE_STEPS_MAX 20000

#define NAIVE_FIELDS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct naive {
    const struct pattern *pattern;
    const struct pattern_conjunction *conjunction;
    const struct flat *event;
    const struct flat_leaf *chosen[NAIVE_FIELDS_MAX]; /* NULL: absent */
    size_t steps;
};

static const struct pattern_field *naive_field(const struct naive *n, size_t i)
{
    return &n->pattern->fields[n->conjunction->fields[i]];
}

static bool naive_fits_all(const struct naive *n, const struct flat_leaf *leaf, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (n->chosen[i] != NULL && !pattern_leaves_fit(leaf, n->chosen[i]))
            return false;
    }
    return true;
}

/* No leaf of an absent field may fit all that is chosen. */
static bool naive_absences_hold(const struct naive *n)
{
    for (size_t i = 0; i < n->conjunction->count; i++) {
        for (size_t l = 0; n->chosen[i] == NULL && l < n->event->leaf_count; l++) {
            const struct flat_leaf *leaf = &n->event->leaves[l];

            if (slice_equal(leaf->path, naive_field(n, i)->path) &&
                naive_fits_all(n, leaf, n->conjunction->count))
                return false;
        }
    }
    return true;
}

static bool naive_choose(struct naive *n, size_t i)
{
    if (n->steps++ > NAIVE_STEPS_MAX)
        return false;
    if (i == n->conjunction->count)
        return naive_absences_hold(n);
    for (size_t l = 0; l < n->event->leaf_count; l++) {
        const struct flat_leaf *leaf = &n->event->leaves[l];

        if (!slice_equal(leaf->path, naive_field(n, i)->path) ||
            !pattern_field_accepts(naive_field(n, i), leaf) || !naive_fits_all(n, leaf, i))
            continue;
        n->chosen[i] = leaf;
        if (naive_choose(n, i + 1))
            return true;
    }
    n->chosen[i] = NULL;
    return naive_field(n, i)->allows_absent && naive_choose(n, i + 1);
}

/* false when it gave up; otherwise *matches is the answer. */
static bool naive_matches(const struct pattern *p, const struct flat *event, bool *matches)
{
    struct naive n = {.pattern = p, .event = event};

    *matches = false;
    for (size_t i = 0; i < p->conjunction_count && !*matches; i++) {
        n.conjunction = &p->conjunctions[i];
        if (n.conjunction->count > NAIVE_FIELDS_MAX)
            return false;
        *matches = naive_choose(&n, 0);
    }
    return n.steps <= NAIVE_STEPS_MAX;
}

static void check_answer(const struct pattern *p, const struct flat *event)
{
    bool first = pattern_matches(p, event);
    bool naive;

    g_assert_cmpint(first, ==, pattern_matches(p, event));
    if (naive_matches(p, event, &naive))
        g_assert_cmpint(first, ==, naive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t pattern_size = end != NULL ? (size_t)(end - data) : size;
    size_t event_start = end != NULL ? pattern_size + 1 : size;
    struct problems problems;
    struct pattern *p;
    struct flat event;
    size_t used;

    problems_init(&problems);
    flat_init(&event);
    p = pattern_parse(slice_of(data, pattern_size), &PATTERN_LIMITS, "#", &problems);
    g_assert_cmpint(p == NULL, ==, problems.total > 0);
    if (p != NULL &&
        flat_parse(&event, slice_of(data + event_start, size - event_start), 0, &used, NULL))
        check_answer(p, &event);
    pattern_free(p);
    flat_done(&event);
    problems_done(&problems);
    return 0;
}
