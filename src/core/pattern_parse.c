/* From JSON text to the compiled pattern: objects, paths and $or.
 *
 * The compiler walks the tree once with a list of conjunctions "so far", beginning with a single
 * empty one. A field is added to all of them. A $or copies the list for each branch, lets the
 * branch add its fields to its copy, and goes on with all the copies together:
 *
 *   {"x":[1],"$or":[{"a":[2]},{"b":[3]}],"y":[4]}   ->   x=1 a=2 y=4  |  x=1 b=3 y=4
 *
 * A field of the same path replaces the earlier one, unless both come from the same scope (the
 * root or one branch): that is a name written twice and refused. Fields and their tests exist
 * once, conjunctions only hold their numbers, so a product of $or costs little memory.
 * Checking goes on after a problem, so that all of them are reported at once; the pattern is
 * only put together when there was none.
 */
#include "core/pattern_parse.h"

#include <stdarg.h>

/* Far more than people write, and a bound for what one pattern may cost an event. Raising a limit
 * is safe for stored patterns; after lowering one, some could no longer be read. */
const struct pattern_limits PATTERN_LIMITS = {
    .text_max = 64 * 1024,
    .values_max = 500,
    .depth_max = 32,
    .conjunctions_max = 1000,
    .stars_max = 16,
};

/* A field in a conjunction that is being put together: numbers only, since it is copied for every
 * way through an $or. */
struct member {
    uint32_t field; /* index in parser.fields */
    uint32_t path;  /* index in parser.paths: equal paths have equal numbers */
    uint32_t scope; /* the $or branch that named it; 0 outside of any */
};

/* Where an object's fields go: into each of these conjunctions. A copy is changed on the way into
 * an inner object, so nothing has to be undone on the way back. */
struct object_place {
    const struct pattern_place *place;
    GPtrArray *conjunctions; /* of GArray of struct member */
    uint32_t scope;
    unsigned depth; /* of objects, this one included */
    bool is_branch; /* inside $or */
    bool has_name;  /* the path is an object's name, which may be empty */
};

/* ---- problems ---------------------------------------------------------------------------------
 */

/* The JSON Pointer of a place. Only made when there is something to report. Owned by caller. */
static char *render(const struct pattern_place *place)
{
    g_autofree char *parent = NULL;

    if (place->parent == NULL)
        return g_strdup(place->root);
    parent = render(place->parent);
    if (place->key.data != NULL)
        return problem_pointer(parent, place->key);
    return problem_pointer_index(parent, place->index);
}

void pattern_report(const struct pattern_parser *p, const struct pattern_place *place,
                    const char *format, ...)
{
    g_autofree char *pointer = render(place);
    g_autofree char *detail = NULL;
    va_list args;

    va_start(args, format);
    detail = g_strdup_vprintf(format, args);
    va_end(args);
    problems_add(p->problems, pointer, "%s", detail);
}

/* ---- conjunctions -----------------------------------------------------------------------------
 */

/* For the list that owns it. */
static void free_conjunction(gpointer conjunction)
{
    g_array_free(conjunction, TRUE);
}

/* An empty list that owns its conjunctions. */
static GPtrArray *new_conjunctions(void)
{
    return g_ptr_array_new_with_free_func(free_conjunction);
}

/* What comes before a $or holds in each of its branches, and the branches must not see each other's
 * fields, so each gets copies of its own. */
static void append_copies(GPtrArray *to, const GPtrArray *from)
{
    for (guint i = 0; i < from->len; i++)
        g_ptr_array_add(to, g_array_copy(g_ptr_array_index(from, i)));
}

/* The member with that path, NULL when the conjunction has none yet. Borrowed until the
 * conjunction grows. */
static struct member *find_member(GArray *conjunction, uint32_t path)
{
    for (guint i = 0; i < conjunction->len; i++) {
        struct member *m = &g_array_index(conjunction, struct member, i);

        if (m->path == path)
            return m;
    }
    return NULL;
}

/* Puts the field into every conjunction, in place of one with the same path that stood in
 * another scope: what an $or branch says goes before what was said around it. */
static void add_member(GPtrArray *conjunctions, struct member member)
{
    for (guint i = 0; i < conjunctions->len; i++) {
        GArray *conjunction = g_ptr_array_index(conjunctions, i);
        struct member *same = find_member(conjunction, member.path);

        if (same == NULL)
            g_array_append_val(conjunction, member);
        else
            *same = member;
    }
}

/* Notes that the scope names the path. false: it did so before. Asked of a list of its own, since
 * in the conjunctions a branch between the two may have replaced the first. */
static bool note_name(GArray *named, struct member member)
{
    uint64_t name = (uint64_t)member.scope << 32 | member.path;

    for (guint i = 0; i < named->len; i++) {
        if (g_array_index(named, uint64_t, i) == name)
            return false;
    }
    g_array_append_val(named, name);
    return true;
}

/* ---- objects ----------------------------------------------------------------------------------
 */

/* The number of p->path in the pattern's list, which it joins when it is new. Searched one by one:
 * a pattern names few paths, and only once. */
static uint32_t intern_path(struct pattern_parser *p)
{
    struct slice path = slice_of(p->path->str, p->path->len);

    for (guint i = 0; i < p->paths->len; i++) {
        if (slice_equal(g_array_index(p->paths, struct slice, i), path))
            return i;
    }
    path = arena_copy(p->arena, path);
    g_array_append_val(p->paths, path);
    return p->paths->len - 1;
}

static void report_named_twice(struct pattern_parser *p, struct slice path,
                               const struct pattern_place *place)
{
    g_autofree char *shown = problem_show(path);

    pattern_report(p, place, "the field \"%s\" is named twice; put its values into one array",
                   shown);
}

/* An array of alternatives: the field joins the pattern and every conjunction so far. Its values
 * are checked also when the pattern is past its limit, for the list of problems. */
static void parse_field(struct pattern_parser *p, const struct json_value *array,
                        const struct object_place *at, const struct pattern_place *place)
{
    struct pattern_field field = {.allows_absent = false};
    struct member member = {.field = p->fields->len, .path = intern_path(p), .scope = at->scope};

    field.path = g_array_index(p->paths, struct slice, member.path);
    field.path_hash = flat_path_hash(field.path);
    pattern_parse_values(p, array, place, &field);
    g_array_append_val(p->fields, field);
    if (p->is_over)
        return;
    if (note_name(p->named, member))
        add_member(at->conjunctions, member);
    else
        report_named_twice(p, field.path, place);
}

static void parse_object(struct pattern_parser *p, const struct json_value *object,
                         const struct object_place *at);

/* One branch, on top of what was said before; its conjunctions join those of the others. The number
 * is checked after each branch, so it passes the limit by one branch's worth at most. */
static void parse_branch(struct pattern_parser *p, const struct json_value *branch,
                         const struct object_place *at, const GPtrArray *before)
{
    struct object_place inner = *at;

    if (branch->type != JSON_OBJECT) {
        pattern_report(p, at->place, "must be an object, e.g. {\"country\": [\"DE\"]}, not %s",
                       json_type_name(branch->type));
        return;
    }
    inner.conjunctions = new_conjunctions();
    inner.scope = ++p->scope_count;
    inner.depth++;
    inner.is_branch = true;
    if (!p->is_over)
        append_copies(inner.conjunctions, before);
    parse_object(p, branch, &inner);
    g_ptr_array_extend_and_steal(at->conjunctions, inner.conjunctions);
    if (at->conjunctions->len > p->limits->conjunctions_max && !p->is_over) {
        pattern_report(p, at->place,
                       "multiplied out, the pattern has more than %zu combinations of $or branches",
                       p->limits->conjunctions_max);
        p->is_over = true;
    }
}

/* Takes the conjunctions so far out of the list and puts back what the branches made of them. An
 * $or behind another one multiplies: each way through the first goes on in each branch here. */
static void parse_or(struct pattern_parser *p, const struct json_value *array,
                     const struct object_place *at, const struct pattern_place *place)
{
    GPtrArray *before = new_conjunctions();
    struct pattern_place branch_place = {.parent = place};
    struct object_place branch_at = *at;

    if (array->count < 2)
        pattern_report(
            p, place,
            "must have at least two objects, e.g. [{\"country\": [\"DE\"]}, {\"vip\": [true]}]");
    append_copies(before, at->conjunctions);
    g_ptr_array_set_size(at->conjunctions, 0);
    branch_at.place = &branch_place;
    for (const struct json_value *v = array->first; v != NULL; v = v->next, branch_place.index++)
        parse_branch(p, v, &branch_at, before);
    g_ptr_array_unref(before);
}

/* A scalar where an array must stand is the commonest mistake; the answer depends on what the
 * writer probably meant, and shows the value in its place. */
static void report_no_array(struct pattern_parser *p, const struct json_value *member,
                            const struct pattern_place *place)
{
    g_autofree char *shown = pattern_show(member);

    if (slice_equal(member->key, SLICE("$or")))
        pattern_report(p, place, "must be an array of at least two objects, not %s",
                       json_type_name(member->type));
    else if (pattern_is_operator(member->key))
        pattern_report(
            p, place,
            "is an operator outside of an array: write [{\"%.*s\": %s}] as the field's value",
            SLICE_ARG(member->key), shown);
    else
        pattern_report(p, place, "must be an array of values, e.g. [%s], or an object of fields",
                       shown);
}

/* One name and its value: $or, a field, or an object of fields. p->path grows by the name and is
 * cut back at the end. A name with dots means the same as nested objects. "$or" with something that
 * is no array is taken for a field's name, and fails as one. */
static void parse_member(struct pattern_parser *p, const struct json_value *member,
                         const struct object_place *at)
{
    struct pattern_place place = {.parent = at->place, .key = member->key};
    size_t path_size = p->path->len;

    if (member->type == JSON_ARRAY && slice_equal(member->key, SLICE("$or"))) {
        parse_or(p, member, at, &place);
        return;
    }
    if (at->is_branch && pattern_is_reserved(member->key))
        pattern_report(p, &place, "is a reserved name and cannot be a field inside \"$or\"");
    if (at->has_name)
        g_string_append_c(p->path, '.');
    g_string_append_len(p->path, member->key.data, (gssize)member->key.size);
    if (member->type == JSON_ARRAY) {
        parse_field(p, member, at, &place);
    } else if (member->type == JSON_OBJECT) {
        struct object_place inner = *at;

        inner.place = &place;
        inner.depth++;
        inner.has_name = true;
        parse_object(p, member, &inner);
    } else {
        report_no_array(p, member, &place);
    }
    g_string_truncate(p->path, path_size);
}

static void parse_object(struct pattern_parser *p, const struct json_value *object,
                         const struct object_place *at)
{
    if (object->count == 0)
        pattern_report(p, at->place,
                       "must name at least one field, e.g. {\"event_type\": [\"purchase\"]}");
    if (at->depth > p->limits->depth_max) {
        pattern_report(p, at->place, "is nested deeper than %zu objects", p->limits->depth_max);
        return;
    }
    for (const struct json_value *m = object->first; m != NULL; m = m->next)
        parse_member(p, m, at);
}

/* ---- the finished pattern ---------------------------------------------------------------------
 */

/* Cheap and telling first: an event that does not match should fail early. Plain values tell most,
 * exists:true nearly nothing. Fields that may be absent come last, since absence is judged against
 * the elements that the others chose. */
static int field_rank(const struct pattern_field *f)
{
    if (f->allows_absent)
        return 4;
    if (f->types == PATTERN_TYPES_LEAVES)
        return 3;
    if (f->text_test_count > 0)
        return 2;
    return f->number_test_count > 0 ? 1 : 0;
}

/* By rank, then as written, so that the order is the same on every run. */
static int compare_members(gconstpointer a, gconstpointer b, gpointer fields)
{
    const struct member *x = a, *y = b;
    const struct pattern_field *all = fields;
    int order = field_rank(&all[x->field]) - field_rank(&all[y->field]);

    return order != 0 ? order : (x->field > y->field) - (x->field < y->field);
}

/* The final form of a conjunction: the numbers of its fields in the order of trying. */
static struct pattern_conjunction finish_conjunction(struct pattern_parser *p, GArray *members)
{
    uint32_t *fields = ARENA_NEW(p->arena, uint32_t, members->len);

    g_array_sort_with_data(members, compare_members, p->fields->data);
    for (guint i = 0; i < members->len; i++)
        fields[i] = g_array_index(members, struct member, i).field;
    return (struct pattern_conjunction){.fields = fields, .count = members->len};
}

/* Copies what was gathered into the arena, where it stays. The array is still the caller's. */
static void *copy_array(struct arena *a, const GArray *array, size_t element_size)
{
    void *copy = arena_alloc(a, array->len * element_size);

    memcpy(copy, array->data, array->len * element_size);
    return copy;
}

/* Everything was right: makes the gathered parts the pattern. There is one field at least. */
static void finish_pattern(struct pattern_parser *p, GPtrArray *conjunctions,
                           struct pattern *pattern)
{
    struct pattern_conjunction *out =
        ARENA_NEW(p->arena, struct pattern_conjunction, conjunctions->len);

    for (guint i = 0; i < conjunctions->len; i++)
        out[i] = finish_conjunction(p, g_ptr_array_index(conjunctions, i));
    pattern->conjunctions = out;
    pattern->conjunction_count = conjunctions->len;
    pattern->fields = copy_array(p->arena, p->fields, sizeof(struct pattern_field));
    pattern->field_count = p->fields->len;
    pattern->paths = copy_array(p->arena, p->paths, sizeof(struct slice));
    pattern->path_count = p->paths->len;
}

/* Everything behind the JSON reader. pattern is filled only when there was no problem; what was
 * gathered on the way is freed in any case, its texts with the pattern's arena. */
static void compile(struct pattern *pattern, const struct json_value *tree,
                    const struct pattern_limits *limits, const char *pointer,
                    struct problems *problems)
{
    struct pattern_place root = {.root = pointer};
    struct pattern_parser p = {
        .limits = limits,
        .problems = problems,
        .arena = &pattern->arena,
        .fields = g_array_new(FALSE, TRUE, sizeof(struct pattern_field)),
        .paths = g_array_new(FALSE, TRUE, sizeof(struct slice)),
        .named = g_array_new(FALSE, TRUE, sizeof(uint64_t)),
        .path = g_string_new(NULL),
    };
    size_t before = problems->total;
    GPtrArray *conjunctions = new_conjunctions();
    struct object_place at = {.place = &root, .conjunctions = conjunctions, .depth = 1};

    g_ptr_array_add(conjunctions, g_array_new(FALSE, TRUE, sizeof(struct member)));
    if (tree->type == JSON_OBJECT)
        parse_object(&p, tree, &at);
    else
        pattern_report(&p, &root,
                       "must be an object, e.g. {\"event_type\": [\"purchase\"]}, not %s",
                       json_type_name(tree->type));
    if (problems->total == before)
        finish_pattern(&p, conjunctions, pattern);
    g_ptr_array_unref(conjunctions);
    g_array_free(p.fields, TRUE);
    g_array_free(p.paths, TRUE);
    g_array_free(p.named, TRUE);
    g_string_free(p.path, TRUE);
}

/* The size is looked at before anything is read. The tree of the JSON reader is gone at the end;
 * what the pattern needs of it was copied into its own arena. */
struct pattern *pattern_parse(struct slice text, const struct pattern_limits *limits,
                              const char *pointer, struct problems *problems)
{
    size_t before = problems->total;
    struct pattern *pattern;
    struct arena json_arena;
    struct json_value *tree;
    g_autoptr(GError) error = NULL;

    if (text.size > limits->text_max) {
        problems_add(problems, pointer, "has %zu bytes; a pattern may have at most %zu", text.size,
                     limits->text_max);
        return NULL;
    }
    pattern = g_new0(struct pattern, 1);
    arena_init(&json_arena);
    tree = json_parse(text, &json_arena, &error);
    if (tree == NULL)
        problems_add(problems, pointer, "%s", error->message);
    else
        compile(pattern, tree, limits, pointer, problems);
    arena_done(&json_arena);
    if (problems->total != before)
        g_clear_pointer(&pattern, pattern_free);
    return pattern;
}

void pattern_free(struct pattern *p)
{
    if (p == NULL)
        return;
    arena_done(&p->arena);
    g_free(p);
}

size_t pattern_path_count(const struct pattern *p)
{
    return p->path_count;
}

struct slice pattern_path(const struct pattern *p, size_t i)
{
    return p->paths[i];
}
