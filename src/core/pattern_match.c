/* The evaluation of one pattern, on the way that every event takes for every campaign.
 *
 * Each field is looked up once per event, however many conjunctions name it, and remembered by its
 * state. Most events have the wanted leaves outside of arrays, or in the same element: then the
 * leaves found first decide. Only when they do not fit together, or when an absence depends on
 * the elements chosen, the complete search is called (pattern_search.c).
 * No memory is allocated for up to FIELDS_ON_STACK fields.
 */
#include "core/pattern_internal.h"

#define FIELDS_ON_STACK 64
#define FEW_TEXTS       8 /* up to here, looking at each is faster than a binary search */

/* Whether the text is one of the sorted ones. A pattern has 500 values at most, so a binary search
 * takes nine steps and needs no hash of the event's text. */
static bool is_among(const struct slice *sorted, uint32_t count, struct slice text)
{
    uint32_t low = 0;

    if (count <= FEW_TEXTS) {
        for (uint32_t i = 0; i < count; i++) {
            if (slice_equal(sorted[i], text))
                return true;
        }
        return false;
    }
    while (low < count) {
        uint32_t middle = low + (count - low) / 2;
        int order = slice_compare(sorted[middle], text);

        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            count = middle;
    }
    return false;
}

/* Equality first: it is the commonest and the cheapest. The tests are sorted by what they cost. One
 * that accepts is enough. */
static bool accepts_text(const struct pattern_field *field, struct slice text)
{
    if (is_among(field->texts, field->text_count, text))
        return true;
    for (uint32_t i = 0; i < field->text_test_count; i++) {
        if (pattern_text_passes(&field->text_tests[i], text))
            return true;
    }
    return false;
}

/* The number is read once for all tests of the field. */
static bool accepts_number(const struct pattern_field *field, struct slice text)
{
    struct pattern_number number;

    if (field->number_test_count == 0)
        return false;
    number = pattern_number_parse(text);
    for (uint32_t i = 0; i < field->number_test_count; i++) {
        if (pattern_number_passes(&field->number_tests[i], text, number))
            return true;
    }
    return false;
}

/* The bit of the leaf's type first: exists, null, true and false need nothing else. */
bool pattern_field_accepts(const struct pattern_field *field, const struct flat_leaf *leaf)
{
    if (field->types & PATTERN_TYPE(leaf->type))
        return true;
    if (leaf->type == JSON_TEXT)
        return accepts_text(field, leaf->text);
    return leaf->type == JSON_NUMBER && accepts_number(field, leaf->text);
}

/* What is known of a field and this event, wherever its leaves lie. */
enum field_state {
    FIELD_UNKNOWN,
    FIELD_ABSENT, /* no such leaf, and none is wanted */
    FIELD_FOUND,  /* an accepted leaf, kept beside */
    FIELD_DOUBT,  /* may be absent and is not: it depends on the elements that others choose */
    FIELD_FAILED,
};

/* One evaluation. The states are shared by all conjunctions of the pattern. */
struct evaluation {
    const struct pattern *pattern;
    const struct flat *event;
    uint8_t *states;                /* enum field_state */
    const struct flat_leaf **found; /* by field; valid where the state is FIELD_FOUND */
};

/* Stops at the first leaf that is accepted; whether another one would fit better is a question
 * for the search. *found is set for FIELD_FOUND only. */
static enum field_state look_up(const struct pattern_field *field, const struct flat *event,
                                const struct flat_leaf **found)
{
    const struct flat_leaf *leaf = flat_find(event, field->path, field->path_hash);

    if (leaf == NULL)
        return field->allows_absent ? FIELD_ABSENT : FIELD_FAILED;
    for (;;) {
        if (pattern_field_accepts(field, leaf)) {
            *found = leaf;
            return FIELD_FOUND;
        }
        if (leaf->next < 0)
            return field->allows_absent ? FIELD_DOUBT : FIELD_FAILED;
        leaf = &event->leaves[leaf->next];
    }
}

/* The state of a field, found out when it is first asked for: a conjunction that fails early leaves
 * the other fields alone. */
static enum field_state state_of(const struct evaluation *e, uint32_t field)
{
    if (e->states[field] == FIELD_UNKNOWN)
        e->states[field] = (uint8_t)look_up(&e->pattern->fields[field], e->event, &e->found[field]);
    return e->states[field];
}

/* Whether the leaves found first happen to fit together, as they do in most events. false decides
 * nothing: other leaves may fit. Every pair is looked at, since fitting is not transitive. */
static bool found_leaves_fit(const struct evaluation *e, const struct pattern_conjunction *c)
{
    for (uint32_t i = 1; i < c->count; i++) {
        if (e->states[c->fields[i]] != FIELD_FOUND)
            continue;
        for (uint32_t j = 0; j < i; j++) {
            if (e->states[c->fields[j]] == FIELD_FOUND &&
                !pattern_leaves_fit(e->found[c->fields[i]], e->found[c->fields[j]]))
                return false;
        }
    }
    return true;
}

/* Fields come in the order of the conjunction, cheap and telling ones first, so that most events
 * leave at the first of them. One leaf inside arrays cannot clash with any other. */
static bool conjunction_matches(const struct evaluation *e, const struct pattern_conjunction *c)
{
    /* A failed field ends it at once; doubts and arrays are only counted on the way. */
    bool has_doubt = false;
    unsigned in_arrays = 0;

    for (uint32_t i = 0; i < c->count; i++) {
        enum field_state state = state_of(e, c->fields[i]);

        if (state == FIELD_FAILED)
            return false;
        has_doubt |= state == FIELD_DOUBT;
        in_arrays += state == FIELD_FOUND && e->found[c->fields[i]]->step_count > 0;
    }
    if (!has_doubt && (in_arrays < 2 || found_leaves_fit(e, c)))
        return true;
    return pattern_search(e->pattern, c, e->event);
}

/* In the order of the pattern; what one conjunction learnt of a field serves the next. */
static bool any_conjunction_matches(const struct evaluation *e)
{
    memset(e->states, FIELD_UNKNOWN, e->pattern->field_count);
    for (uint32_t i = 0; i < e->pattern->conjunction_count; i++) {
        if (conjunction_matches(e, &e->pattern->conjunctions[i]))
            return true;
    }
    return false;
}

/* Nothing is kept between events. The arrays on the stack are not cleared beyond what the pattern
 * needs; larger patterns take theirs from the heap. */
bool pattern_matches(const struct pattern *p, const struct flat *event)
{
    uint8_t states[FIELDS_ON_STACK];
    const struct flat_leaf *found[FIELDS_ON_STACK];
    struct evaluation e = {.pattern = p, .event = event, .states = states, .found = found};
    bool matches;

    if (p->field_count <= FIELDS_ON_STACK)
        return any_conjunction_matches(&e);
    e.states = g_new(uint8_t, p->field_count);
    e.found = g_new(const struct flat_leaf *, p->field_count);
    matches = any_conjunction_matches(&e);
    g_free(e.states);
    g_free(e.found);
    return matches;
}

size_t pattern_way_count(const struct pattern *p)
{
    return p->conjunction_count;
}
