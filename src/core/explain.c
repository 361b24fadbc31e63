/* Which branch comes nearest, and which of its conditions fails first.
 *
 * A condition fails by itself when no value at its path passes; one that wants absence, also when
 * there is a value that no choice of elements leaves out. Only when none of a branch does may
 * the branch fail as a whole: its values lie in different elements of one array. Then the search of
 * the reference is asked about the first condition, the first two, and so on (by halves), until it
 * says no: the last one added is the one that does not go together with the others.
 */
#include "core/explain.h"

#include "core/explain_internal.h"

/* For an example of two leaves that clash: leaves of a field, and fields. */
#define LEAVES_MAX   64
#define PARTNERS_MAX 16
#define BRANCH_MAX   10    /* conditions shown of a branch */
#define LOOKS_MAX    10000 /* leaves of one branch that are looked at for what no choice avoids */
#define NOT_TOGETHER "every condition is met, but not in one element of "
#define NONE_OF      "every condition is met, but no element of "

/* What a field says of the event by itself. */
enum verdict {
    VERDICT_MET,
    VERDICT_OPEN, /* must be absent and is not, but only inside arrays: it depends on the others */
    VERDICT_FAILED, /* whatever the others say */
};

/* One explanation on its way. */
struct judge {
    const struct pattern *pattern;
    const struct flat *event;
    struct arena *arena;
    uint8_t *verdicts; /* enum verdict of each field of the pattern */
    size_t looks;      /* of LOOKS_MAX, at the branch that is looked at */
};

/* ---- fields ---------------------------------------------------------------------------------- */

static enum verdict judge_field(const struct pattern_field *field, const struct flat *event)
{
    const struct flat_leaf *leaf = flat_find(event, field->path, field->path_hash);
    bool is_outside = false;

    if (leaf == NULL)
        return field->allows_absent ? VERDICT_MET : VERDICT_FAILED;
    for (; leaf != NULL; leaf = explain_next(event, leaf)) {
        if (pattern_field_accepts(field, leaf))
            return VERDICT_MET;
        is_outside |= leaf->step_count == 0;
    }
    return field->allows_absent && !is_outside ? VERDICT_OPEN : VERDICT_FAILED;
}

static void judge_fields(struct judge *j)
{
    j->verdicts = ARENA_NEW(j->arena, uint8_t, j->pattern->field_count);
    for (uint32_t i = 0; i < j->pattern->field_count; i++)
        j->verdicts[i] = (uint8_t)judge_field(&j->pattern->fields[i], j->event);
}

/* ---- branches -------------------------------------------------------------------------------- */

/* Whether the others of the branch could choose elements in which the leaf does not lie. With very
 * many leaves not all are looked at: then it may be. */
static bool may_be_avoided(struct judge *j, const struct pattern_conjunction *c, uint32_t field,
                           const struct flat_leaf *leaf)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const struct pattern_field *f = &j->pattern->fields[c->fields[i]];
        const struct flat_leaf *other =
            c->fields[i] == field ? NULL : flat_find(j->event, f->path, f->path_hash);

        j->looks++;
        for (size_t n = 0; other != NULL; other = explain_next(j->event, other), n++, j->looks++)
            if (n == LEAVES_MAX || !pattern_leaves_fit(leaf, other))
                return true;
        if (j->looks > LOOKS_MAX)
            return true;
    }
    return false;
}

/* Whether the field fails in this branch whatever the others choose: also one that must be absent
 * and has a leaf that no choice avoids. */
static bool is_failed(struct judge *j, const struct pattern_conjunction *c, uint32_t field)
{
    const struct pattern_field *f = &j->pattern->fields[field];
    const struct flat_leaf *leaf = flat_find(j->event, f->path, f->path_hash);

    if (j->verdicts[field] != VERDICT_OPEN)
        return j->verdicts[field] == VERDICT_FAILED;
    for (size_t n = 0; leaf != NULL && n < LEAVES_MAX; leaf = explain_next(j->event, leaf), n++)
        if (!may_be_avoided(j, c, field, leaf))
            return true;
    return false;
}

static size_t count_failed(struct judge *j, const struct pattern_conjunction *c)
{
    size_t failed = 0;

    j->looks = 0;
    for (uint32_t i = 0; i < c->count; i++)
        failed += is_failed(j, c, c->fields[i]);
    return failed;
}

/* The branch that matches. That there is one is known; the last one stands for the case that the
 * search gave up where the quick look of pattern_matches did not have to. */
static size_t find_match(struct judge *j)
{
    const struct pattern *p = j->pattern;
    size_t way = 0;

    for (size_t i = 0; i < p->conjunction_count; i++) {
        if (count_failed(j, &p->conjunctions[i]) > 0)
            continue;
        way = i;
        if (pattern_search(p, &p->conjunctions[i], j->event))
            break;
    }
    return way;
}

/* Of none that matches. One in which all conditions are met but not together counts as one that
 * fails. */
static size_t find_nearest(struct judge *j, size_t *failing)
{
    const struct pattern *p = j->pattern;
    size_t nearest = 0;

    *failing = SIZE_MAX;
    for (size_t i = 0; i < p->conjunction_count; i++) {
        size_t failed = MAX(count_failed(j, &p->conjunctions[i]), 1);

        if (failed < *failing) {
            *failing = failed;
            nearest = i;
        }
    }
    return nearest;
}

static int compare_fields(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* The conjunction's fields in the order in which they were written, which is that of their numbers.
 * Those that may be absent come last when absence_last is set, as the search wants them. */
static struct pattern_conjunction as_written(const struct judge *j,
                                             const struct pattern_conjunction *c, bool absence_last)
{
    uint32_t *sorted = ARENA_NEW(j->arena, uint32_t, c->count);
    uint32_t *ordered = ARENA_NEW(j->arena, uint32_t, c->count);
    uint32_t count = 0;

    memcpy(sorted, c->fields, c->count * sizeof(*sorted));
    qsort(sorted, c->count, sizeof(*sorted), compare_fields);
    if (!absence_last)
        return (struct pattern_conjunction){.fields = sorted, .count = c->count};
    for (uint32_t pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < c->count; i++)
            if (j->pattern->fields[sorted[i]].allows_absent == (pass == 1))
                ordered[count++] = sorted[i];
    return (struct pattern_conjunction){.fields = ordered, .count = count};
}

/* In how many branches each field stands: one that is in all of them says nothing about any. */
static const uint32_t *count_ways(const struct judge *j)
{
    const struct pattern *p = j->pattern;
    uint32_t *ways = arena_zalloc(j->arena, p->field_count * sizeof(*ways));

    for (uint32_t i = 0; i < p->conjunction_count; i++)
        for (uint32_t k = 0; k < p->conjunctions[i].count; k++)
            ways[p->conjunctions[i].fields[k]]++;
    return ways;
}

static void append_condition(GString *out, const struct pattern_field *field)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_open_object(&w);
    json_put_text(&w, "path", field->path);
    json_key(&w, "expected");
    explain_append_expected(out, field);
    json_close_object(&w);
}

/* What the branch asks for beyond what all of them do: its beginning, and how many conditions were
 * left out. */
static struct slice describe_branch(const struct judge *j, size_t way, size_t *more)
{
    const struct pattern *p = j->pattern;
    struct pattern_conjunction c = as_written(j, &p->conjunctions[way], false);
    const uint32_t *ways = count_ways(j);
    g_autoptr(GString) out = g_string_new("[");
    size_t count = 0;

    for (uint32_t i = 0; i < c.count; i++) {
        if (ways[c.fields[i]] == p->conjunction_count || count++ >= BRANCH_MAX)
            continue;
        g_string_append(out, count > 1 ? "," : "");
        append_condition(out, &p->fields[c.fields[i]]);
    }
    g_string_append_c(out, ']');
    *more = count - MIN(count, BRANCH_MAX);
    return arena_copy(j->arena, slice_of(out->str, out->len));
}

/* ---- arrays ---------------------------------------------------------------------------------- */

/* The shortest beginning of the ordered fields that cannot be met together: its last field. All of
 * them cannot, one alone always can unless it must be absent. */
static uint32_t find_clashing(const struct judge *j, const struct pattern_conjunction *ordered,
                              uint32_t *position)
{
    uint32_t low = 1, high = ordered->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct pattern_conjunction part = {.fields = ordered->fields, .count = middle};

        if (pattern_search(j->pattern, &part, j->event))
            low = middle + 1;
        else
            high = middle;
    }
    *position = high - 1;
    return ordered->fields[high - 1];
}

/* Leaves that the field accepts, the first of them; returns how many. */
static size_t take_accepted(const struct judge *j, const struct pattern_field *field,
                            const struct flat_leaf **out, size_t max)
{
    const struct flat_leaf *leaf = flat_find(j->event, field->path, field->path_hash);
    size_t count = 0;

    for (; leaf != NULL && count < max; leaf = explain_next(j->event, leaf))
        if (pattern_field_accepts(field, leaf))
            out[count++] = leaf;
    return count;
}

/* Two leaves that do not fit together, and the level of the array in whose elements they lie. */
struct clash {
    const struct flat_leaf *a;
    const struct flat_leaf *b;
    uint32_t level;
    bool is_alone; /* the two fields never go together, whatever the others choose */
};

/* Leaves of two fields that clash, if the first ones do. */
static bool find_clash(const struct judge *j, uint32_t x, uint32_t y, struct clash *clash)
{
    const struct flat_leaf *of_x[LEAVES_MAX], *of_y[LEAVES_MAX];
    size_t x_count = take_accepted(j, &j->pattern->fields[x], of_x, LEAVES_MAX);
    size_t y_count = take_accepted(j, &j->pattern->fields[y], of_y, LEAVES_MAX);

    for (size_t i = 0; i < x_count * y_count; i++) {
        const struct flat_leaf *a = of_x[i / y_count], *b = of_y[i % y_count];

        if (pattern_leaves_fit(a, b))
            continue;
        *clash = (struct clash){.a = a, .b = b};
        while (a->steps[clash->level].index == b->steps[clash->level].index)
            clash->level++;
        return true;
    }
    return false;
}

/* The example: a field that never fits the last one, else any leaves that clash, which tell the
 * array. */
static bool find_example(const struct judge *j, const struct pattern_conjunction *ordered,
                         uint32_t position, struct clash *clash)
{
    for (unsigned pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < MIN(position, PARTNERS_MAX); i++) {
            uint32_t pair[] = {ordered->fields[i], ordered->fields[position]};
            struct pattern_conjunction both = {.fields = pair, .count = 2};

            if ((pass == 0 && pattern_search(j->pattern, &both, j->event)) ||
                !find_clash(j, pair[0], pair[1], clash))
                continue;
            clash->is_alone = pass == 0;
            return true;
        }
    return false;
}

/* How many bytes of names both paths begin with. */
static size_t common_names(struct slice a, struct slice b)
{
    size_t common = 0;

    for (size_t i = 0; i <= MIN(a.size, b.size); i++) {
        if ((i == a.size || a.data[i] == '.') && (i == b.size || b.data[i] == '.'))
            common = i;
        if (i == a.size || i == b.size || a.data[i] != b.data[i])
            break;
    }
    return common;
}

/* How much of the path is the array's own name: what all leaves in it begin with. An array whose
 * elements all consist of one object is told by that object's name. */
static size_t array_path_size(const struct flat *event, const struct flat_leaf *leaf,
                              uint32_t level)
{
    uint32_t array = leaf->steps[level].array;
    struct slice path = leaf->path;

    for (size_t i = 0; i < event->leaf_count; i++) {
        const struct flat_leaf *other = &event->leaves[i];

        if (other->step_count > level && other->steps[level].array == array)
            path.size = common_names(path, other->path);
    }
    return path.size;
}

/* "items[0].sku is "shoe"". */
static void append_leaf(GString *out, const struct flat_leaf *leaf, uint32_t level, size_t size)
{
    struct slice array = slice_of(leaf->path.data, size);
    struct slice rest = slice_of(leaf->path.data + size, leaf->path.size - size);

    explain_append_path(out, array);
    g_string_append_printf(out, "[%" G_GUINT32_FORMAT "]", leaf->steps[level].index);
    if (rest.size > 0)
        explain_append_path(out, rest);
    g_string_append(out, " is ");
    explain_append_value(out, leaf);
}

/* Whether a leaf of the field lies in one array with a leaf that another field of the branch
 * accepts. */
static bool shares_array(const struct judge *j, const struct pattern_conjunction *ordered,
                         const struct flat_leaf *leaf)
{
    for (uint32_t i = 0; i < ordered->count; i++) {
        const struct pattern_field *field = &j->pattern->fields[ordered->fields[i]];
        const struct flat_leaf *other;

        if (!field->allows_absent && take_accepted(j, field, &other, 1) > 0 &&
            other->step_count > 0 && leaf->step_count > 0 &&
            other->steps[0].array == leaf->steps[0].array)
            return true;
    }
    return false;
}

/* Two leaves that clash, or the array alone when each two of the fields do go together: then any
 * two leaves that were named could be met by others. */
static void append_clash(GString *out, const struct judge *j, const struct clash *clash)
{
    size_t size = array_path_size(j->event, clash->a, clash->level);
    struct slice array = slice_of(clash->a->path.data, size);

    g_string_append(out, clash->is_alone ? NOT_TOGETHER : NONE_OF);
    explain_append_path(out, array);
    if (!clash->is_alone) {
        g_string_append(out, " meets all of them");
        return;
    }
    g_string_append(out, ": ");
    append_leaf(out, clash->a, clash->level, size);
    g_string_append(out, ", ");
    append_leaf(out, clash->b, clash->level, size);
}

/* All conditions are met, but not together. Returns the field that the others leave no room for. */
static const struct pattern_field *explain_arrays(const struct judge *j,
                                                  const struct pattern_conjunction *c, GString *out)
{
    struct pattern_conjunction ordered = as_written(j, c, true);
    struct clash clash;
    uint32_t position;
    const struct pattern_field *field = &j->pattern->fields[find_clashing(j, &ordered, &position)];

    if (j->verdicts[ordered.fields[position]] == VERDICT_OPEN) {
        const struct flat_leaf *leaf = flat_find(j->event, field->path, field->path_hash);

        explain_append_failure(out, field, j->event);
        if (shares_array(j, &ordered, leaf))
            g_string_append(out, " in the element that meets the other conditions");
    } else if (find_example(j, &ordered, position, &clash)) {
        append_clash(out, j, &clash);
    } else {
        g_string_append(out, NOT_TOGETHER "an array");
    }
    return field;
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* The values at the path as JSON. One that stands outside of all arrays is itself, others are an
 * array. */
static struct slice describe_actual(const struct judge *j, const struct pattern_field *field)
{
    const struct flat_leaf *leaf = flat_find(j->event, field->path, field->path_hash);
    g_autoptr(GString) out = g_string_new(NULL);
    size_t count = 0;

    if (leaf == NULL)
        return SLICE("null");
    if (leaf->next < 0 && leaf->step_count == 0) {
        explain_append_value(out, leaf);
        return arena_copy(j->arena, slice_of(out->str, out->len));
    }
    g_string_append_c(out, '[');
    for (; leaf != NULL; leaf = explain_next(j->event, leaf), count++) {
        if (count >= EXPLAIN_LIST_MAX)
            continue;
        g_string_append(out, count > 0 ? "," : "");
        explain_append_value(out, leaf);
    }
    if (count > EXPLAIN_LIST_MAX)
        g_string_append_printf(out, ",\"… and %" G_GSIZE_FORMAT " more\"",
                               count - EXPLAIN_LIST_MAX);
    g_string_append_c(out, ']');
    return arena_copy(j->arena, slice_of(out->str, out->len));
}

static void explain_match(const struct judge *j, struct explanation *out)
{
    const char *all = out->conditions == 1 ? "the condition" : "all conditions";

    if (out->way_count == 1)
        out->text = slice_text(
            arena_printf(j->arena, "%s %s met", all, out->conditions == 1 ? "is" : "are"));
    else
        out->text = slice_text(
            arena_printf(j->arena, "%s of branch %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT " %s met",
                         all, out->way + 1, out->way_count, out->conditions == 1 ? "is" : "are"));
}

/* The first condition that fails, as written; or the one that does not go with the others. */
static void explain_failure(struct judge *j, const struct pattern_conjunction *c,
                            struct explanation *out)
{
    struct pattern_conjunction written = as_written(j, c, false);
    const struct pattern_field *field = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GString) expected = g_string_new(NULL);

    j->looks = 0;
    for (uint32_t i = 0; i < written.count && field == NULL; i++)
        if (is_failed(j, c, written.fields[i]))
            field = &j->pattern->fields[written.fields[i]];
    if (field != NULL)
        explain_append_failure(text, field, j->event);
    else
        field = explain_arrays(j, c, text);
    explain_append_expected(expected, field);
    out->path = field->path;
    out->is_absent = flat_find(j->event, field->path, field->path_hash) == NULL;
    out->actual = describe_actual(j, field);
    out->expected = arena_copy(j->arena, slice_of(expected->str, expected->len));
    out->text = arena_copy(j->arena, slice_of(text->str, text->len));
}

/* Whether it matches is the reference's word, not ours. */
void explain_pattern(const struct pattern *p, const struct flat *event, struct arena *a,
                     struct explanation *out)
{
    struct judge j = {.pattern = p, .event = event, .arena = a};

    judge_fields(&j);
    *out = (struct explanation){.matches = pattern_matches(p, event),
                                .way_count = p->conjunction_count};
    out->way = out->matches ? find_match(&j) : find_nearest(&j, &out->failing);
    out->conditions = p->conjunctions[out->way].count;
    if (out->way_count > 1)
        out->branch = describe_branch(&j, out->way, &out->branch_more);
    if (out->matches)
        explain_match(&j, out);
    else
        explain_failure(&j, &p->conjunctions[out->way], out);
}

/* ---- as JSON --------------------------------------------------------------------------------- */

static void write_reason(struct json_writer *w, const struct explanation *e)
{
    json_key(w, "reason");
    if (e->matches) {
        json_add_null(w);
        return;
    }
    json_open_object(w);
    json_put_text(w, "path", e->path);
    json_put_raw(w, "expected", e->expected);
    json_put_raw(w, "actual", e->actual);
    json_put_bool(w, "absent", e->is_absent);
    json_put_text(w, "text", e->text);
    json_close_object(w);
}

void explain_write(struct json_writer *w, const struct explanation *e)
{
    json_put_bool(w, "matches", e->matches);
    json_put_text(w, "text", e->text);
    json_put_integer(w, "conditions", (int64_t)e->conditions);
    json_put_integer(w, "failing", (int64_t)e->failing);
    write_reason(w, e);
    if (e->way_count < 2)
        return;
    json_key(w, "branch");
    json_open_object(w);
    json_put_integer(w, "number", (int64_t)e->way + 1);
    json_put_integer(w, "count", (int64_t)e->way_count);
    json_put_raw(w, "conditions", e->branch);
    if (e->branch_more > 0)
        json_put_integer(w, "more", (int64_t)e->branch_more);
    json_close_object(w);
}
