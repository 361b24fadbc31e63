/* flat: the flattener against the tree reader: same verdict, and exactly the leaves and members
 * that a plain walk of the tree gives. */
#include "core/flat.h"

#include <stdint.h>

#include "common/error.h"
#include "common/json_plain.h"

#define BETWEEN '\x1e' /* documents: JSON's record separator, RFC 7464 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A walk of the tree, beside the leaves it must meet in the same order. */
struct walk {
    const struct flat *flat;
    GString *path;
    size_t leaf; /* number of the next one */
    uint32_t array_count;
    uint32_t step_count;
    struct flat_step steps[JSON_DEPTH_MAX];
};

/* The leaf is in the chain of its path, which begins with flat_find's answer. */
static void check_filed(const struct flat *f, const struct flat_leaf *leaf)
{
    const struct flat_leaf *found = flat_find(f, leaf->path, leaf->path_hash);

    g_assert_nonnull(found);
    while (found < leaf) {
        g_assert_cmpint(found->next, >, found - f->leaves);
        found = &f->leaves[found->next];
        g_assert_true(slice_equal(found->path, leaf->path));
    }
    g_assert_true(found == leaf);
}

static void check_leaf(struct walk *walk, const struct json_value *value)
{
    const struct flat_leaf *leaf = &walk->flat->leaves[walk->leaf];
    struct slice path = slice_of(walk->path->str, walk->path->len);

    g_assert_cmpuint(walk->leaf, <, walk->flat->leaf_count);
    g_assert_cmpint(leaf->type, ==, value->type);
    g_assert_true(slice_equal(leaf->text, value->text));
    g_assert_true(slice_equal(leaf->path, path));
    g_assert_cmpuint(leaf->path_hash, ==, flat_path_hash(path));
    g_assert_cmpuint(leaf->step_count, ==, walk->step_count);
    for (uint32_t i = 0; i < leaf->step_count; i++) {
        g_assert_cmpuint(leaf->steps[i].array, ==, walk->steps[i].array);
        g_assert_cmpuint(leaf->steps[i].index, ==, walk->steps[i].index);
    }
    check_filed(walk->flat, leaf);
    walk->leaf++;
}

static void check_value(struct walk *walk, const struct json_value *value);

/* prefix: bytes of the object's path with the '.' behind it. */
static void check_members(struct walk *walk, const struct json_value *object, size_t prefix)
{
    for (const struct json_value *v = object->first; v != NULL; v = v->next) {
        g_string_append_len(walk->path, v->key.data, (gssize)v->key.size);
        check_value(walk, v);
        g_string_truncate(walk->path, prefix);
    }
}

static void check_elements(struct walk *walk, const struct json_value *array)
{
    struct flat_step *step = &walk->steps[walk->step_count++];

    *step = (struct flat_step){.array = walk->array_count++};
    for (const struct json_value *v = array->first; v != NULL; v = v->next) {
        check_value(walk, v);
        step->index++;
    }
    walk->step_count--;
}

static void check_value(struct walk *walk, const struct json_value *value)
{
    size_t size = walk->path->len;

    if (value->type == JSON_ARRAY) {
        check_elements(walk, value);
    } else if (value->type == JSON_OBJECT) {
        g_string_append_c(walk->path, '.');
        check_members(walk, value, size + 1);
        g_string_truncate(walk->path, size);
    } else {
        check_leaf(walk, value);
    }
}

static void check_outermost(const struct flat *f, const struct json_value *root)
{
    const struct flat_member *member = f->members;

    g_assert_cmpuint(f->member_count, ==, root->count);
    for (const struct json_value *v = root->first; v != NULL; v = v->next, member++) {
        g_assert_cmpint(member->type, ==, v->type);
        g_assert_true(slice_equal(member->key, v->key));
        g_assert_true(slice_equal(member->text, v->text));
        g_assert_true(slice_equal(member->source, v->source));
    }
}

static void check_same(const struct flat *f, const struct json_value *root)
{
    struct walk walk = {.flat = f, .path = g_string_new(NULL)};

    g_assert_cmpint(f->type, ==, root->type);
    if (root->type == JSON_OBJECT) {
        check_outermost(f, root);
        check_members(&walk, root, 0);
    } else {
        g_assert_cmpuint(f->member_count, ==, 0);
    }
    g_assert_cmpuint(walk.leaf, ==, f->leaf_count);
    g_string_free(walk.path, TRUE);
}

/* Where the two readers differ on purpose: the tree refuses a name that stands twice, the
 * flattener an event that takes too much memory. */
static bool is_known_difference(const GError *tree_error, const GError *flat_error)
{
    if (flat_error != NULL)
        return g_str_has_prefix(flat_error->message, "names, nested arrays or their number");
    return g_str_has_prefix(tree_error->message, "a name that stands twice");
}

static void check(struct flat *f, struct slice text)
{
    struct arena a = {0};
    g_autoptr(GError) tree_error = NULL;
    g_autoptr(GError) flat_error = NULL;
    const struct json_value *root = json_parse(text, &a, &tree_error);
    size_t used = 0;
    bool ok = flat_parse(f, text, 0, &used, &flat_error);
    const char *rest = text.data + used;

    g_assert_true(ok == (flat_error == NULL));
    if (ok && json_skip_space(rest, text.data + text.size) != text.data + text.size)
        g_assert_null(root); /* the flattener leaves what follows to its caller */
    else if (ok && root != NULL)
        check_same(f, root);
    else if (ok || root != NULL)
        g_assert_true(is_known_difference(tree_error, flat_error));
    else if (!g_str_has_prefix(tree_error->message, "a name that stands twice"))
        g_assert_cmpstr(tree_error->message, ==, flat_error->message);
    arena_done(&a);
}

/* Several documents, one after the other: names that an earlier one left must not change a later
 * one. The second round runs over used buffers, as almost every event does. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flat f;

    flat_init(&f);
    for (int round = 0; round < 2; round++) {
        struct slice rest = slice_of(size > 0 ? (const void *)data : "", size);
        const char *mark;

        while (rest.size > 0 && (mark = memchr(rest.data, BETWEEN, rest.size)) != NULL) {
            check(&f, slice_of(rest.data, (size_t)(mark - rest.data)));
            rest = slice_of(mark + 1, rest.size - (size_t)(mark - rest.data) - 1);
        }
        check(&f, rest);
    }
    flat_done(&f);
    return 0;
}
