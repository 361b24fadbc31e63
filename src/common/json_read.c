/* JSON text to a tree, in one pass and without recursion: the open brackets are a stack of frames
 * in the reader, so the nesting that a sender chooses costs a fixed array and no machine stack.
 *
 * Every read function takes the place to read at and returns the place behind what it read, or NULL
 * after noting where and why it failed; the first failure ends the document.
 * Used for documents (campaigns, answers). Events take the faster way without a tree, core/flat.c;
 * the grammar of both is the same. */
#include "common/json.h"

#include <stdlib.h>
#include <string.h>

#include "common/json_plain.h"

/* Objects up to this size are searched for a duplicate name by looking at every member; larger
 * ones get a balanced tree. No hash table: its worst case would be the sender's choice. */
#define FEW_MEMBERS 16

/* One open bracket. Its children form a list that grows at the end. */
struct frame {
    struct json_value *value;
    struct json_value *last; /* its newest child */
    GTree *names;            /* of a large object: slice * -> slice *, else NULL */
};

/* One document being read. wants_value and depth are the whole state of the grammar: either a value
 * must come next, or what follows a value inside the innermost bracket. */
struct reader {
    struct slice text;
    struct arena *arena;
    const char *end;
    const char *bad; /* where and why it failed */
    const char *why;
    struct slice key; /* the name read before the value that comes next */
    struct json_value *root;
    bool wants_value; /* a value must come next */
    bool may_repeat;  /* names may stand twice in one object */
    unsigned depth;
    struct frame frames[JSON_DEPTH_MAX];
};

/* Notes the failure and returns NULL, for "return fail(...)". At the end of the text nothing wrong
 * stands there; the text is short. */
static const char *fail(struct reader *r, const char *bad, const char *why)
{
    r->bad = bad;
    r->why = bad == r->end ? "the text ends too early" : why;
    return NULL;
}

static gint compare_names(gconstpointer a, gconstpointer b, G_GNUC_UNUSED gpointer unused)
{
    const struct slice *left = a;
    const struct slice *right = b;

    return slice_compare(*left, *right);
}

/* Files all names of the object, once it has become large; add_value files the later ones. The tree
 * points to the names in the values, which do not move. */
static void index_names(struct frame *frame)
{
    frame->names = g_tree_new_full(compare_names, NULL, NULL, NULL);
    for (struct json_value *v = frame->value->first; v != NULL; v = v->next)
        g_tree_insert(frame->names, &v->key, &v->key);
}

/* Whether the open object has a member of that name already. */
static bool has_name(struct frame *frame, struct slice key)
{
    if (frame->names == NULL && frame->value->count >= FEW_MEMBERS)
        index_names(frame);
    if (frame->names != NULL)
        return g_tree_lookup(frame->names, &key) != NULL;
    return json_get(frame->value, key) != NULL;
}

/* Makes the next value, a child of the innermost open bracket (or the root), with the name that was
 * read before it. Lives in the arena; the caller fills in the rest. */
static struct json_value *add_value(struct reader *r, enum json_type type)
{
    struct json_value *value = arena_zalloc(r->arena, sizeof(*value));
    struct frame *frame;

    value->type = type;
    if (r->depth == 0) {
        r->root = value;
        return value;
    }
    frame = &r->frames[r->depth - 1];
    value->key = r->key;
    r->key = (struct slice){0};
    *(frame->last != NULL ? &frame->last->next : &frame->value->first) = value;
    frame->last = value;
    frame->value->count++;
    if (frame->names != NULL)
        g_tree_insert(frame->names, &value->key, &value->key);
    return value;
}

/* p is behind an opening quote. Sets *text unescaped; returns the byte behind the closing one.
 * Texts without escapes are not copied: they point into the document. */
static const char *read_text(struct reader *r, const char *p, struct slice *text)
{
    bool has_escape;
    const char *after = json_scan_text(p, r->end, &has_escape, &r->bad, &r->why);
    char *plain;

    if (after == NULL)
        return NULL;
    *text = slice_of(p, (size_t)(after - p) - 1);
    if (has_escape) {
        plain = arena_alloc(r->arena, text->size);
        *text = slice_of(plain, json_unescape(*text, plain));
    }
    return after;
}

/* p is where a name must begin. Returns the byte behind the colon. A name that stands twice is
 * refused here, at its own place, and not at the end of the object. */
static const char *read_key(struct reader *r, const char *p)
{
    const char *start = p;

    if (p == r->end || *p != '"')
        return fail(r, p, "a name in quotes was expected");
    p = read_text(r, p + 1, &r->key);
    if (p == NULL)
        return NULL;
    if (!r->may_repeat && has_name(&r->frames[r->depth - 1], r->key))
        return fail(r, start, "a name that stands twice in its object");
    p = json_skip_space(p, r->end);
    if (p == r->end || *p != ':')
        return fail(r, p, "':' was expected");
    r->wants_value = true;
    return p + 1;
}

/* p is at a closing bracket that fits. Ends the value: now its source is known. */
static const char *close_bracket(struct reader *r, const char *p)
{
    struct frame *frame = &r->frames[--r->depth];

    g_clear_pointer(&frame->names, g_tree_destroy);
    frame->value->source.size = (size_t)(p + 1 - frame->value->source.data);
    r->wants_value = false;
    return p + 1;
}

/* p is at a bracket. Goes on to the first value or name inside it, or behind an empty pair. */
static const char *open_bracket(struct reader *r, const char *p)
{
    struct json_value *value;
    bool is_object = *p == '{';

    if (r->depth == JSON_DEPTH_MAX)
        return fail(r, p, "nesting deeper than " G_STRINGIFY(JSON_DEPTH_MAX) " brackets");
    value = add_value(r, is_object ? JSON_OBJECT : JSON_ARRAY);
    value->source.data = p;
    r->frames[r->depth++] = (struct frame){.value = value};
    p = json_skip_space(p + 1, r->end);
    if (p < r->end && *p == (is_object ? '}' : ']'))
        return close_bracket(r, p);
    r->wants_value = true;
    return is_object ? read_key(r, p) : p;
}

/* null, false or true. What follows the word is judged by whoever reads on: "nullx" fails there. */
static const char *read_word(struct reader *r, const char *p, struct json_value *value)
{
    static const struct {
        struct slice word;
        enum json_type type;
    } words[] = {{{"null", 4}, JSON_NULL}, {{"false", 5}, JSON_FALSE}, {{"true", 4}, JSON_TRUE}};

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        value->type = words[i].type;
        if (slice_starts_with(slice_of(p, (size_t)(r->end - p)), words[i].word))
            return p + words[i].word.size;
    }
    return fail(r, p, "a value was expected");
}

/* p is at the first byte of a value that is no bracket. */
static const char *read_scalar(struct reader *r, const char *p)
{
    struct json_value *value = add_value(r, JSON_NULL);
    const char *start = p;

    if (*p == '"') {
        value->type = JSON_TEXT;
        p = read_text(r, p + 1, &value->text);
    } else if (*p == '-' || g_ascii_isdigit(*p)) {
        value->type = JSON_NUMBER;
        p = json_scan_number(p, r->end, &r->bad, &r->why);
    } else {
        p = read_word(r, p, value);
    }
    if (p == NULL)
        return NULL;
    value->source = slice_of(start, (size_t)(p - start));
    if (value->type == JSON_NUMBER)
        value->text = value->source;
    r->wants_value = false;
    return p;
}

/* Reads a scalar, or opens a bracket. p may be at white space. */
static const char *read_value(struct reader *r, const char *p)
{
    p = json_skip_space(p, r->end);
    if (p == r->end)
        return fail(r, p, "a value was expected");
    if (*p == '{' || *p == '[')
        return open_bracket(r, p);
    return read_scalar(r, p);
}

/* Reads what stands behind a value inside brackets: a comma (and a name) or the closing one. A
 * comma before the closing one is refused there or by the next read_value. */
static const char *read_separator(struct reader *r, const char *p)
{
    bool is_object = r->frames[r->depth - 1].value->type == JSON_OBJECT;

    p = json_skip_space(p, r->end);
    if (p < r->end && *p == (is_object ? '}' : ']'))
        return close_bracket(r, p);
    if (p == r->end || *p != ',')
        return fail(r, p, is_object ? "',' or '}' was expected" : "',' or ']' was expected");
    r->wants_value = true;
    p = json_skip_space(p + 1, r->end);
    return is_object ? read_key(r, p) : p;
}

/* Alternates between values and separators until all brackets are closed. false: r->bad and why. */
static bool read_document(struct reader *r)
{
    const char *p = r->text.data;

    while (p != NULL && (r->wants_value || r->depth > 0))
        p = r->wants_value ? read_value(r, p) : read_separator(r, p);
    if (p == NULL)
        return false;
    p = json_skip_space(p, r->end);
    if (p == r->end)
        return true;
    fail(r, p, "nothing may follow the document");
    return false;
}

/* Both doors below. NULL with error set; what the arena got by then stays in it. The name trees of
 * brackets left open by a failure are the only memory outside of the arena. */
static struct json_value *parse(struct slice text, bool may_repeat, struct arena *a, GError **error)
{
    struct reader r = {.text = text, .arena = a, .wants_value = true, .may_repeat = may_repeat};

    if (text.data == NULL)
        r.text = SLICE("");
    r.end = r.text.data + r.text.size;
    if (read_document(&r))
        return r.root;
    while (r.depth > 0)
        g_clear_pointer(&r.frames[--r.depth].names, g_tree_destroy);
    json_set_error(error, r.text, r.bad, r.why);
    return NULL;
}

struct json_value *json_parse(struct slice text, struct arena *a, GError **error)
{
    return parse(text, false, a, error);
}

/* Also spares the trees of names, which only serve to find repetitions. */
struct json_value *json_parse_any(struct slice text, struct arena *a, GError **error)
{
    return parse(text, true, a, error);
}

/* Looks at every member: objects that the program asks by name are small, and closed ones are
 * walked once against their table. */
const struct json_value *json_get(const struct json_value *value, struct slice key)
{
    if (value == NULL || value->type != JSON_OBJECT)
        return NULL;
    for (const struct json_value *v = value->first; v != NULL; v = v->next)
        if (slice_equal(v->key, key))
            return v;
    return NULL;
}

struct slice json_get_text(const struct json_value *value, const char *key)
{
    const struct json_value *member = json_get(value, slice_text(key));

    return member != NULL && member->type == JSON_TEXT ? member->text : (struct slice){0};
}

/* A '.' or 'e' is no digit, so 1.0 and 1e3 are refused: where a whole number is wanted, one way to
 * write it is enough. */
bool json_integer(const struct json_value *value, int64_t min, int64_t max, int64_t *out)
{
    bool is_negative;
    int64_t result = 0;

    if (value == NULL || value->type != JSON_NUMBER)
        return false;
    is_negative = value->text.data[0] == '-';
    /* Counted downwards: the smallest integer has no positive twin. */
    for (size_t i = is_negative; i < value->text.size; i++) {
        int digit = g_ascii_digit_value(value->text.data[i]);

        if (digit < 0 || __builtin_mul_overflow(result, 10, &result) ||
            __builtin_sub_overflow(result, digit, &result))
            return false;
    }
    if (!is_negative && __builtin_sub_overflow(0, result, &result))
        return false;
    if (result < min || result > max)
        return false;
    *out = result;
    return true;
}

/* ---- merge patch ----------------------------------------------------------------------------- */

/* The members of an object in the order of their names, for binary search. */
struct members {
    const struct json_value **items;
    size_t count;
};

/* By the bytes of the names, the same order for sorting and searching. */
static int compare_members(const void *a, const void *b)
{
    const struct json_value *const *left = a;
    const struct json_value *const *right = b;

    return slice_compare((*left)->key, (*right)->key);
}

/* Sorting makes the merge of two objects with n members n log n; looking each name up in a list
 * would let a sender choose n * n. Lives in the arena. */
static struct members sort_members(const struct json_value *object, struct arena *a)
{
    struct members m = {.items = ARENA_NEW(a, const struct json_value *, object->count)};

    for (const struct json_value *v = object->first; v != NULL; v = v->next)
        m.items[m.count++] = v;
    qsort(m.items, m.count, sizeof(m.items[0]), compare_members);
    return m;
}

/* The member with the name of like, NULL when there is none. */
static const struct json_value *find_member(const struct members *m, const struct json_value *like)
{
    const struct json_value **found =
        bsearch(&like, m->items, m->count, sizeof(m->items[0]), compare_members);

    return found != NULL ? *found : NULL;
}

/* Appends value under the key to the object; value is a copy already. *tail: where the pointer to
 * the next member goes, so that the list grows at its end without a search. */
static void append_member(struct json_value *object, struct json_value ***tail, struct slice key,
                          struct json_value *value)
{
    value->key = key;
    value->next = NULL;
    **tail = value;
    *tail = &value->next;
    object->count++;
}

/* A copy that may be linked into another object. Its children are shared: trees are immutable. */
static struct json_value *copy_value(const struct json_value *value, struct arena *a)
{
    struct json_value *copy = arena_alloc(a, sizeof(*copy));

    *copy = *value;
    return copy;
}

/* Recursion is bounded: trees are at most JSON_DEPTH_MAX deep. The order of the target's members
 * stays; new ones follow in the order of the patch. A null in the patch removes the member; where
 * the target has no object, the patch is applied to an empty one, which drops its nulls too.
 * Source: RFC 7396 section 2. */
struct json_value *json_merge_patch(const struct json_value *target, const struct json_value *patch,
                                    struct arena *a)
{
    static const struct json_value empty = {.type = JSON_OBJECT};
    struct json_value *result;
    struct json_value **tail;
    struct members old;
    struct members new;

    if (patch->type != JSON_OBJECT)
        return copy_value(patch, a);
    if (target == NULL || target->type != JSON_OBJECT)
        target = &empty;
    result = arena_zalloc(a, sizeof(*result));
    result->type = JSON_OBJECT;
    result->key = target->key;
    tail = &result->first;
    old = sort_members(target, a);
    new = sort_members(patch, a);
    for (const struct json_value *v = target->first; v != NULL; v = v->next) {
        const struct json_value *change = find_member(&new, v);

        if (change == NULL)
            append_member(result, &tail, v->key, copy_value(v, a));
        else if (change->type != JSON_NULL)
            append_member(result, &tail, v->key, json_merge_patch(v, change, a));
    }
    for (const struct json_value *v = patch->first; v != NULL; v = v->next)
        if (v->type != JSON_NULL && find_member(&old, v) == NULL)
            append_member(result, &tail, v->key, json_merge_patch(NULL, v, a));
    return result;
}
