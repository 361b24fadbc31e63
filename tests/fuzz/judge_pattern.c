#include "judge_pattern.h"

#include <glib.h>

#include "judge_document.h"
#include "judge_value.h"

#define TEXT_MAX         (64 * 1024)
#define VALUES_MAX       500
#define DEPTH_MAX        32
#define CONJUNCTIONS_MAX 1000

/* Choices of leaves that are tried before giving up. */
#define CHOICES_MAX 20000

const char *judge_answer_name(enum judge_answer answer)
{
    static const char *const NAMES[] = {
        [JUDGE_BAD_PATTERN] = "bad pattern", [JUDGE_BAD_EVENT] = "bad event",
        [JUDGE_NO_MATCH] = "no match",       [JUDGE_MATCH] = "match",
        [JUDGE_GIVES_UP] = "gives up",
    };

    return NAMES[answer];
}

/* ---- the pattern: all ways through its $or ----------------------------------------------------
 */

/* A pattern while it is read. A way is a GHashTable: path -> array of alternatives. */
struct reading {
    GHashTable *named; /* "scope path": each may be named once */
    size_t values;
    unsigned scopes; /* branches of $or begun */
    bool is_bad;
};

/* Where an object stands. */
struct spot {
    const char *path; /* NULL: outermost */
    unsigned scope;
    unsigned depth;
    bool is_branch;
};

static void read_object(struct reading *r, json_t *object, struct spot at, GPtrArray *ways);

static GHashTable *copy_way(GHashTable *way)
{
    GHashTable *copy = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GHashTableIter iter;
    gpointer path, array;

    g_hash_table_iter_init(&iter, way);
    while (g_hash_table_iter_next(&iter, &path, &array))
        g_hash_table_insert(copy, g_strdup(path), array);
    return copy;
}

static GPtrArray *new_ways(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)g_hash_table_unref);
}

/* No name twice in an object, wherever in the pattern. */
static bool repeats_names(json_t *object)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    const char *key;
    json_t *value;
    size_t i;

    json_object_foreach(object, key, value)
    {
        if (!g_hash_table_add(seen, (gpointer)(guintptr)judge_name(key)) || repeats_names(value))
            return true;
    }
    json_array_foreach(object, i, value)
    {
        if (repeats_names(value))
            return true;
    }
    return false;
}

/* What is said later of a path goes before what was said earlier. */
static void read_field(struct reading *r, json_t *array, const struct spot *at, GPtrArray *ways)
{
    json_t *alternative;
    size_t i;

    r->is_bad |= json_array_size(array) == 0;
    r->is_bad |= !g_hash_table_add(r->named, g_strdup_printf("%u %s", at->scope, at->path));
    json_array_foreach(array, i, alternative) r->is_bad |=
        !judge_value_is_valid(alternative, &r->values);
    r->is_bad |= r->values > VALUES_MAX;
    for (guint w = 0; w < ways->len && !r->is_bad; w++)
        g_hash_table_insert(ways->pdata[w], g_strdup(at->path), array);
}

static void read_or(struct reading *r, json_t *array, const struct spot *at, GPtrArray *ways)
{
    g_autoptr(GPtrArray) all = new_ways();
    json_t *branch;
    size_t i;

    r->is_bad |= json_array_size(array) < 2;
    json_array_foreach(array, i, branch)
    {
        struct spot inner = *at;
        g_autoptr(GPtrArray) copies = new_ways();

        if (r->is_bad)
            return;
        inner.scope = ++r->scopes;
        inner.is_branch = true;
        inner.depth++;
        for (guint w = 0; w < ways->len; w++)
            g_ptr_array_add(copies, copy_way(ways->pdata[w]));
        read_object(r, branch, inner, copies);
        while (copies->len > 0)
            g_ptr_array_add(all, g_ptr_array_steal_index(copies, 0));
        r->is_bad |= all->len > CONJUNCTIONS_MAX;
    }
    g_ptr_array_set_size(ways, 0);
    while (all->len > 0)
        g_ptr_array_add(ways, g_ptr_array_steal_index(all, 0));
}

static void read_member(struct reading *r, const char *name, json_t *value, const struct spot *at,
                        GPtrArray *ways)
{
    struct spot inner = *at;
    g_autofree char *path =
        at->path == NULL ? g_strdup(name) : g_strjoin(".", at->path, name, NULL);

    if (json_is_array(value) && strcmp(name, "$or") == 0) {
        read_or(r, value, at, ways);
        return;
    }
    r->is_bad |= at->is_branch && judge_value_is_reserved(name);
    inner.path = path;
    if (json_is_array(value)) {
        read_field(r, value, &inner, ways);
    } else {
        inner.depth++;
        read_object(r, value, inner, ways);
    }
}

static void read_object(struct reading *r, json_t *object, struct spot at, GPtrArray *ways)
{
    const char *key;
    json_t *value;

    r->is_bad |= !json_is_object(object) || json_object_size(object) == 0 || at.depth > DEPTH_MAX;
    if (r->is_bad)
        return;
    json_object_foreach(object, key, value)
    {
        if (!r->is_bad)
            read_member(r, judge_name(key), value, &at, ways);
    }
}

/* NULL when it is no pattern. Owned by caller. */
static GPtrArray *read_pattern(json_t *document)
{
    struct reading r = {.named = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};
    struct spot root = {.depth = 1};
    GPtrArray *ways = new_ways();

    g_ptr_array_add(ways, g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL));
    r.is_bad = repeats_names(document);
    read_object(&r, document, root, ways);
    g_hash_table_unref(r.named);
    if (r.is_bad)
        g_clear_pointer(&ways, g_ptr_array_unref);
    return ways;
}

/* ---- the event: its leaves --------------------------------------------------------------------
 */

/* One element of one array. */
struct element {
    const json_t *array;
    size_t index;
};

struct leaf {
    char *path;
    const json_t *value;
    GArray *elements; /* struct element: those it lies in; a plain value of an array chooses none */
};

static void free_leaf(gpointer data)
{
    struct leaf *leaf = data;

    g_free(leaf->path);
    g_array_free(leaf->elements, TRUE);
    g_free(leaf);
}

static void add_leaf(GPtrArray *leaves, json_t *value, const char *path, const GArray *elements,
                     const json_t *around)
{
    struct leaf *leaf = g_new(struct leaf, 1);

    *leaf = (struct leaf){.path = g_strdup(path), .value = value};
    leaf->elements = g_array_new(FALSE, FALSE, sizeof(struct element));
    g_array_append_vals(leaf->elements, elements->data, elements->len - json_is_array(around));
    g_ptr_array_add(leaves, leaf);
}

/* around: what the value stands in. */
static void collect(GPtrArray *leaves, json_t *value, const char *path, GArray *elements,
                    const json_t *around)
{
    struct element element = {.array = value};
    const char *key;
    json_t *inner;

    if (json_is_object(value)) {
        json_object_foreach(value, key, inner)
        {
            g_autofree char *below = path == NULL ? g_strdup(judge_name(key))
                                                  : g_strjoin(".", path, judge_name(key), NULL);

            collect(leaves, inner, below, elements, value);
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, element.index, inner)
        {
            g_array_append_val(elements, element);
            collect(leaves, inner, path, elements, value);
            g_array_set_size(elements, elements->len - 1);
        }
    } else {
        add_leaf(leaves, value, path, elements, around);
    }
}

/* Owned by caller. An event that is no object has no leaves. */
static GPtrArray *leaves_of(json_t *event)
{
    GPtrArray *leaves = g_ptr_array_new_with_free_func(free_leaf);
    GArray *elements = g_array_new(FALSE, FALSE, sizeof(struct element));

    if (json_is_object(event))
        collect(leaves, event, NULL, elements, NULL);
    g_array_free(elements, TRUE);
    return leaves;
}

/* Whether the leaves lie in no two elements of one array. */
static bool fit(const struct leaf *a, const struct leaf *b)
{
    for (guint i = 0; i < a->elements->len; i++) {
        const struct element *x = &g_array_index(a->elements, struct element, i);

        for (guint j = 0; j < b->elements->len; j++) {
            const struct element *y = &g_array_index(b->elements, struct element, j);

            if (x->array == y->array && x->index != y->index)
                return false;
        }
    }
    return true;
}

/* ---- a way against the leaves -----------------------------------------------------------------
 */

struct field {
    const char *path;
    json_t *alternatives;
    GPtrArray *accepted;       /* leaves */
    const struct leaf *chosen; /* NULL: none yet, or absent */
};

struct trial {
    const GPtrArray *leaves;
    GArray *fields;
    size_t choices; /* over all ways */
};

static struct field *field_at(const struct trial *t, guint i)
{
    return &g_array_index(t->fields, struct field, i);
}

static bool allows_absence(const struct field *field)
{
    json_t *alternative;
    size_t i;

    json_array_foreach(field->alternatives, i, alternative)
    {
        if (judge_value_allows_absence(alternative))
            return true;
    }
    return false;
}

static bool is_accepted(const struct field *field, const struct leaf *leaf)
{
    json_t *alternative;
    size_t i;

    if (strcmp(field->path, leaf->path) != 0)
        return false;
    json_array_foreach(field->alternatives, i, alternative)
    {
        if (judge_value_accepts(alternative, leaf->value))
            return true;
    }
    return false;
}

static bool fits_chosen(const struct trial *t, const struct leaf *leaf)
{
    for (guint i = 0; i < t->fields->len; i++) {
        if (field_at(t, i)->chosen != NULL && !fit(leaf, field_at(t, i)->chosen))
            return false;
    }
    return true;
}

/* A field without a leaf must have none in the elements that the others chose. */
static bool absences_hold(const struct trial *t)
{
    for (guint i = 0; i < t->fields->len; i++) {
        const struct field *field = field_at(t, i);

        for (guint l = 0; field->chosen == NULL && l < t->leaves->len; l++) {
            const struct leaf *leaf = t->leaves->pdata[l];

            if (strcmp(field->path, leaf->path) == 0 && fits_chosen(t, leaf))
                return false;
        }
    }
    return true;
}

static bool try_choices(struct trial *t, guint n)
{
    struct field *field;

    if (t->choices++ > CHOICES_MAX)
        return false;
    if (n == t->fields->len)
        return absences_hold(t);
    field = field_at(t, n);
    for (guint l = 0; l < field->accepted->len; l++) {
        const struct leaf *leaf = field->accepted->pdata[l];

        if (!fits_chosen(t, leaf))
            continue;
        field->chosen = leaf;
        if (try_choices(t, n + 1))
            return true;
        field->chosen = NULL;
    }
    return allows_absence(field) && try_choices(t, n + 1);
}

static void add_field(struct trial *t, const char *path, json_t *alternatives)
{
    struct field field = {.path = path, .alternatives = alternatives};

    field.accepted = g_ptr_array_new();
    for (guint l = 0; l < t->leaves->len; l++) {
        if (is_accepted(&field, t->leaves->pdata[l]))
            g_ptr_array_add(field.accepted, t->leaves->pdata[l]);
    }
    g_array_append_val(t->fields, field);
}

static bool way_matches(struct trial *t, GHashTable *way)
{
    GHashTableIter iter;
    gpointer path, alternatives;
    bool matches;

    t->fields = g_array_new(FALSE, FALSE, sizeof(struct field));
    g_hash_table_iter_init(&iter, way);
    while (g_hash_table_iter_next(&iter, &path, &alternatives))
        add_field(t, path, alternatives);
    matches = try_choices(t, 0);
    for (guint i = 0; i < t->fields->len; i++)
        g_ptr_array_free(field_at(t, i)->accepted, TRUE);
    g_array_free(t->fields, TRUE);
    return matches;
}

static enum judge_answer match(const GPtrArray *ways, json_t *event)
{
    GPtrArray *leaves = leaves_of(event);
    struct trial t = {.leaves = leaves};
    bool matches = false;

    for (guint i = 0; i < ways->len && !matches && t.choices <= CHOICES_MAX; i++)
        matches = way_matches(&t, ways->pdata[i]);
    g_ptr_array_unref(leaves);
    if (t.choices > CHOICES_MAX && !matches)
        return JUDGE_GIVES_UP;
    return matches ? JUDGE_MATCH : JUDGE_NO_MATCH;
}

enum judge_answer judge_pattern(struct slice pattern, struct slice event)
{
    bool pattern_gives_up, event_gives_up;
    json_t *pattern_document = judge_document(pattern, &pattern_gives_up);
    json_t *event_document = judge_document(event, &event_gives_up);
    GPtrArray *ways = NULL;
    enum judge_answer answer = JUDGE_GIVES_UP;

    if (pattern_document != NULL && pattern.size <= TEXT_MAX)
        ways = read_pattern(pattern_document);
    if (ways == NULL && !pattern_gives_up)
        answer = JUDGE_BAD_PATTERN;
    else if (ways != NULL && event_document == NULL && !event_gives_up)
        answer = JUDGE_BAD_EVENT;
    else if (ways != NULL && event_document != NULL)
        answer = match(ways, event_document);
    if (ways != NULL)
        g_ptr_array_unref(ways);
    json_decref(pattern_document);
    json_decref(event_document);
    return answer;
}
