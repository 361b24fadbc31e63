#include "core/flat.h"

#include <glib.h>

#include "common/error.h"

/* ---- helpers --------------------------------------------------------------------------------- */

static void append_leaf(GString *out, const struct flat_leaf *leaf)
{
    g_string_append_len(out, leaf->path.data, (gssize)leaf->path.size);
    for (uint32_t i = 0; i < leaf->step_count; i++)
        g_string_append_printf(out, "[%u:%u]", leaf->steps[i].array, leaf->steps[i].index);
    g_string_append_c(out, '=');
    if (leaf->type == JSON_TEXT || leaf->type == JSON_NUMBER)
        g_string_append_printf(out, leaf->type == JSON_TEXT ? "'%.*s'" : "%.*s",
                               SLICE_ARG(leaf->text));
    else
        g_string_append_c(out, leaf->type == JSON_NULL ? 'n' : leaf->type == JSON_TRUE ? 't' : 'f');
    g_string_append_c(out, '\n');
}

/* One line a leaf: path, steps as [array:index], '=', value. */
static char *leaves_text(const struct flat *f)
{
    GString *out = g_string_new(NULL);

    for (size_t i = 0; i < f->leaf_count; i++) {
        g_assert_cmpuint(f->leaves[i].path_hash, ==, flat_path_hash(f->leaves[i].path));
        append_leaf(out, &f->leaves[i]);
    }
    return g_string_free(out, FALSE);
}

static bool parse(struct flat *f, const char *text)
{
    size_t used = 0;
    bool ok = flat_parse(f, slice_text(text), 0, &used, NULL);

    if (ok)
        g_assert_cmpuint(used, ==, strlen(text));
    return ok;
}

static void check_leaves(const char *text, const char *wanted)
{
    struct flat f;
    g_autofree char *got = NULL;

    flat_init(&f);
    g_test_message("%s", text);
    g_assert_true(parse(&f, text));
    got = leaves_text(&f);
    g_assert_cmpstr(got, ==, wanted);
    flat_done(&f);
}

static void check_error(const char *text, unsigned depth, const char *wanted)
{
    struct flat f;
    size_t used = 77;
    g_autoptr(GError) error = NULL;

    flat_init(&f);
    g_assert_false(flat_parse(&f, slice_text(text), depth, &used, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_INPUT);
    g_assert_cmpstr(error->message, ==, wanted);
    g_assert_cmpuint(used, ==, 77);
    g_assert_cmpuint(f.leaf_count, ==, 0);
    g_assert_cmpuint(f.member_count, ==, 0);
    flat_done(&f);
}

static const struct flat_leaf *find(const struct flat *f, const char *path)
{
    struct slice s = slice_text(path);

    return flat_find(f, s, flat_path_hash(s));
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_joins_names_with_dots(void)
{
    check_leaves("{\"a\":1,\"b\":{\"c\":\"x\",\"d\":{\"e\":null}},\"f\":true,\"g\":false}",
                 "a=1\nb.c='x'\nb.d.e=n\nf=t\ng=f\n");
    check_leaves("{\"a\":{\"b\":{\"c\":1},\"d\":2},\"e\":3}", "a.b.c=1\na.d=2\ne=3\n");
}

static void test_arrays_vanish_from_the_path(void)
{
    check_leaves("{\"a\":{\"b\":[1,{\"c\":\"x\"}]}}", "a.b[0:0]=1\na.b.c[0:1]='x'\n");
    check_leaves("{\"a\":[[\"x\"],[[\"y\"]],\"z\"]}",
                 "a[0:0][1:0]='x'\na[0:1][2:0][3:0]='y'\na[0:2]='z'\n");
    check_leaves("{\"a\":[{\"b\":[1,2]},{\"b\":[3]}],\"c\":[4]}",
                 "a.b[0:0][1:0]=1\na.b[0:0][1:1]=2\na.b[0:1][2:0]=3\nc[3:0]=4\n");
}

static void test_mixed_arrays_keep_the_path(void)
{
    check_leaves("{\"a\":[{\"b\":1},2,[{\"b\":3},4],{\"b\":5,\"c\":{\"d\":6}},7]}",
                 "a.b[0:0]=1\na[0:1]=2\na.b[0:2][1:0]=3\na[0:2][1:1]=4\na.b[0:3]=5\n"
                 "a.c.d[0:3]=6\na[0:4]=7\n");
}

static void test_empty_containers_give_no_leaf(void)
{
    check_leaves("{}", "");
    check_leaves("{\"a\":{},\"b\":[],\"c\":[{},[],[[]]]}", "");
    check_leaves("{\"a\":[[],1]}", "a[0:1]=1\n");
}

static void test_empty_and_dotted_names(void)
{
    check_leaves("{\"\":1,\"a\":{\"\":2},\"b\":{\"\":{\"\":3}},\".\":4}", "=1\na.=2\nb..=3\n.=4\n");
    check_leaves("{\"\":{\"a\":1}}", ".a=1\n");
}

static void test_dotted_name_is_the_nested_path(void)
{
    struct flat f;
    const struct flat_leaf *leaf;

    flat_init(&f);
    g_assert_true(parse(&f, "{\"a.b\":1,\"a\":{\"b\":2},\"a.b.c\":3,\"a.b\":{\"c\":4}}"));
    leaf = find(&f, "a.b");
    g_assert_true(slice_equal(leaf->text, SLICE("1")));
    g_assert_true(slice_equal(f.leaves[leaf->next].text, SLICE("2")));
    g_assert_cmpint(f.leaves[leaf->next].next, ==, -1);
    leaf = find(&f, "a.b.c");
    g_assert_true(slice_equal(leaf->text, SLICE("3")));
    g_assert_true(slice_equal(f.leaves[leaf->next].text, SLICE("4")));
    flat_done(&f);
}

static void test_duplicate_names_all_count(void)
{
    struct flat f;
    const struct flat_leaf *leaf;

    flat_init(&f);
    g_assert_true(parse(&f, "{\"a\":1,\"b\":0,\"a\":[2,3],\"a\":\"4\"}"));
    g_assert_cmpuint(f.leaf_count, ==, 5);
    g_assert_cmpuint(f.member_count, ==, 4);
    leaf = find(&f, "a");
    g_assert_cmpint(leaf - f.leaves, ==, 0);
    g_assert_cmpint(leaf->next, ==, 2);
    g_assert_cmpint(f.leaves[2].next, ==, 3);
    g_assert_cmpint(f.leaves[3].next, ==, 4);
    g_assert_cmpint(f.leaves[4].next, ==, -1);
    flat_done(&f);
}

static void test_unescapes_names_and_texts(void)
{
    check_leaves("{\"\\u0061\\n\":\"\\u20ac\\\"\",\"x\":{\"\\ud83d\\ude00\":\"\\\\\"}}",
                 "a\n='\xE2\x82\xAC\"'\nx.\xF0\x9F\x98\x80='\\'\n");
    check_leaves("{\"k\xC3\xA9y\":\"\xE2\x82\xAC, a long text behind the first sixteen bytes\"}",
                 "k\xC3\xA9y='\xE2\x82\xAC, a long text behind the first sixteen bytes'\n");
}

static void test_number_text_is_exact(void)
{
    check_leaves("{\"a\":[1.50,-0,1E400,123456789012345678901234567890]}",
                 "a[0:0]=1.50\na[0:1]=-0\na[0:2]=1E400\na[0:3]=123456789012345678901234567890\n");
}

static void check_member(const struct flat_member *m, enum json_type type, const char *text,
                         const char *source)
{
    g_assert_cmpint(m->type, ==, type);
    g_assert_true(slice_equal(m->text, slice_text(text)));
    g_assert_true(slice_equal(m->source, slice_text(source)));
}

static void test_lists_the_outermost_members(void)
{
    struct flat f;

    flat_init(&f);
    g_assert_true(parse(&f, "{\"a\" : \"x\\n\" , \"b\":{ \"c\" :[{\"d\":1}] } ,\"b\":[ [ ] ],"
                            "\"n\":-1.0 ,\"e\":{},\"t\":true,\"\\u007a\":null}"));
    g_assert_cmpuint(f.member_count, ==, 7);
    check_member(&f.members[0], JSON_TEXT, "x\n", "\"x\\n\"");
    check_member(&f.members[1], JSON_OBJECT, "", "{ \"c\" :[{\"d\":1}] }");
    check_member(&f.members[2], JSON_ARRAY, "", "[ [ ] ]");
    check_member(&f.members[3], JSON_NUMBER, "-1.0", "-1.0");
    check_member(&f.members[4], JSON_OBJECT, "", "{}");
    check_member(&f.members[5], JSON_TRUE, "", "true");
    check_member(&f.members[6], JSON_NULL, "", "null");
    g_assert_true(slice_equal(f.members[1].key, SLICE("b")));
    g_assert_true(slice_equal(f.members[6].key, SLICE("z")));
    g_assert_cmpint(f.type, ==, JSON_OBJECT);
    flat_done(&f);
}

static void test_other_documents_have_a_type_only(void)
{
    static const struct {
        const char *text;
        enum json_type type;
    } cases[] = {
        {"[1,{\"a\":[2]},\"x\"]", JSON_ARRAY},
        {"\"text\"", JSON_TEXT},
        {"-1.5e3", JSON_NUMBER},
        {"7", JSON_NUMBER},
        {"true", JSON_TRUE},
        {"false", JSON_FALSE},
        {" null", JSON_NULL},
    };
    struct flat f;

    flat_init(&f);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_true(parse(&f, cases[i].text));
        g_assert_cmpint(f.type, ==, cases[i].type);
        g_assert_cmpuint(f.leaf_count, ==, 0);
        g_assert_cmpuint(f.member_count, ==, 0);
        g_assert_null(find(&f, ""));
    }
    flat_done(&f);
}

static void test_stops_behind_one_value(void)
{
    struct slice text = SLICE(" {\"a\":1} , {\"b\":2}");
    struct flat f;
    size_t used;

    flat_init(&f);
    g_assert_true(flat_parse(&f, text, 1, &used, NULL));
    g_assert_cmpuint(used, ==, 8);
    g_assert_true(flat_parse(&f, slice_of(text.data + 10, text.size - 10), 1, &used, NULL));
    g_assert_cmpuint(used, ==, 8);
    g_assert_nonnull(find(&f, "b"));
    g_assert_null(find(&f, "a"));
    flat_done(&f);
}

static void test_errors_say_where(void)
{
    check_error("", 0, "the text ends too early at line 1, column 1 (byte 0)");
    check_error("{\"a\":\n 1,}", 0, "a name in quotes was expected at line 2, column 4 (byte 9)");
    check_error("{\"a\":[1 2]}", 0, "',' or ']' was expected at line 1, column 9 (byte 8)");
    check_error("{\"a\" 1}", 0, "':' was expected at line 1, column 6 (byte 5)");
    check_error("{\"a\":1]", 0, "',' or '}' was expected at line 1, column 7 (byte 6)");
    check_error("{\"a\":x}", 0, "a value was expected at line 1, column 6 (byte 5)");
    check_error("{\"a\":01}", 0, "a number may not begin with 0 at line 1, column 6 (byte 5)");
    check_error("{\"a\":\"\\q\"}", 0, "an unknown escape at line 1, column 7 (byte 6)");
}

static char *nested(size_t depth)
{
    GString *text = g_string_new("{\"a\":");

    for (size_t i = 1; i < depth; i++)
        g_string_append_c(text, '[');
    for (size_t i = 1; i < depth; i++)
        g_string_append_c(text, ']');
    g_string_append_c(text, '}');
    return g_string_free(text, FALSE);
}

static void test_limits_nesting_with_the_brackets_around(void)
{
    g_autofree char *deepest = nested(JSON_DEPTH_MAX);
    g_autofree char *too_deep = nested(JSON_DEPTH_MAX + 1);
    struct flat f;
    size_t used;

    flat_init(&f);
    g_assert_true(flat_parse(&f, slice_text(deepest), 0, &used, NULL));
    g_assert_true(flat_parse(&f, SLICE("1"), JSON_DEPTH_MAX, &used, NULL));
    flat_done(&f);
    check_error(too_deep, 0, "nesting deeper than 64 brackets at line 1, column 69 (byte 68)");
    check_error(deepest, 1, "nesting deeper than 64 brackets at line 1, column 68 (byte 67)");
    check_error("{}", JSON_DEPTH_MAX,
                "nesting deeper than 64 brackets at line 1, column 1 (byte 0)");
    check_error("[]", 1000, "nesting deeper than 64 brackets at line 1, column 1 (byte 0)");
}

/* A flat that was used before must answer like a new one. */
static void test_reuse_forgets_the_event_before(void)
{
    struct flat f;
    g_autofree char *got = NULL;

    flat_init(&f);
    g_assert_true(parse(&f, "{\"old\":[1,2,{\"x\":\"\\n\"}],\"same\":1,\"same\":2}"));
    g_assert_false(parse(&f, "{\"bad\":1,"));
    g_assert_cmpuint(f.leaf_count, ==, 0);
    g_assert_null(find(&f, "bad"));
    g_assert_true(parse(&f, "{\"same\":3,\"new\":[4]}"));
    g_assert_null(find(&f, "old"));
    g_assert_cmpint(find(&f, "same")->next, ==, -1);
    got = leaves_text(&f);
    g_assert_cmpstr(got, ==, "same=3\nnew[0:0]=4\n");
    flat_done(&f);
}

static void test_finds_every_path_of_a_large_event(void)
{
    g_autoptr(GString) text = g_string_new("{\"first\":0");
    struct flat f;

    for (int i = 0; i < 5000; i++)
        g_string_append_printf(text, ",\"group%d\":{\"member%d\":%d,\"list\":[%d]}", i % 700, i, i,
                               i);
    g_string_append_c(text, '}');
    flat_init(&f);
    g_assert_true(parse(&f, text->str));
    g_assert_cmpuint(f.leaf_count, ==, 10001);
    for (int i = 0; i < 5000; i++) {
        g_autofree char *path = g_strdup_printf("group%d.member%d", i % 700, i);
        const struct flat_leaf *leaf = find(&f, path);

        g_assert_nonnull(leaf);
        g_assert_cmpint(leaf - f.leaves, ==, 1 + 2 * i);
        g_assert_cmpint(leaf->next, ==, -1);
        g_assert_cmpuint(leaf->path_hash, ==, flat_path_hash(leaf->path));
    }
    g_assert_null(find(&f, "group1.member0"));
    g_assert_cmpint(find(&f, "group3.list")->next, ==, 2 + 2 * 703);
    flat_done(&f);
}

/* One long name around many short ones would repeat its bytes for each of them. */
static void test_refuses_names_that_multiply(void)
{
    g_autofree char *name = g_strnfill(100000, 'n');
    g_autoptr(GString) text = g_string_new("{\"");
    g_autoptr(GError) error = NULL;
    struct flat f;
    size_t used;

    g_string_append_printf(text, "%s\":[{\"a\":1}", name);
    for (int i = 0; i < 1000; i++)
        g_string_append(text, ",{\"a\":1}");
    g_string_append(text, "]}");
    flat_init(&f);
    g_assert_false(flat_parse(&f, slice_of(text->str, text->len), 0, &used, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_INPUT);
    g_assert_true(g_str_has_prefix(error->message, "names, nested arrays or their number take"));
    flat_done(&f);
}

static void test_refuses_steps_that_multiply(void)
{
    g_autoptr(GString) text = g_string_new("{\"a\":");
    g_autofree char *open = g_strnfill(60, '[');
    g_autofree char *close = g_strnfill(60, ']');
    struct flat f;
    size_t used;

    g_string_append_printf(text, "%s1", open);
    for (int i = 0; i < 100000; i++)
        g_string_append(text, ",1");
    g_string_append_printf(text, "%s}", close);
    flat_init(&f);
    g_assert_false(flat_parse(&f, slice_of(text->str, text->len), 0, &used, NULL));
    g_assert_true(parse(&f, "{\"a\":1}")); /* and the struct is as good as new */
    g_assert_nonnull(find(&f, "a"));
    flat_done(&f);
}

static void test_honest_large_events_pass(void)
{
    g_autoptr(GString) text = g_string_new("{\"payload\":{\"positions\":[");
    struct flat f;

    while (text->len < 1024 * 1024)
        g_string_append(text, "{\"p\":[1,2]},");
    g_string_append(text, "{}]}}");
    flat_init(&f);
    g_assert_true(parse(&f, text->str));
    g_assert_cmpuint(f.leaf_count, >, 170000);
    g_assert_true(parse(&f, "{\"a\":1}"));
    g_assert_cmpuint(f.leaf_count, ==, 1);
    flat_done(&f);
}

/* The scanner reads in blocks: nothing behind the text may be touched or believed. The copies
 * have exactly the text's size, so a sanitizer sees any step over the end. */
static void test_reads_no_byte_behind_the_text(void)
{
    static const char whole[] =
        "{\"name\":\"a text of some length\",\"n\\u00e9\":[true,-1.5e3,\"\"]}";
    struct flat f;
    size_t used;

    flat_init(&f);
    for (size_t size = 0; size < sizeof(whole); size++) {
        g_autofree char *exact = g_memdup2(whole, size);
        bool ok = flat_parse(&f, slice_of(exact, size), 0, &used, NULL);

        g_assert_true(ok == (size == sizeof(whole) - 1));
    }
    flat_done(&f);
}

/* Names are copied in blocks, a little over their end: what was stored before must not suffer,
 * wherever the buffer of the names ends. */
static void test_long_names_leave_their_neighbours_alone(void)
{
    struct flat f;

    flat_init(&f);
    for (size_t size = 1; size < 5000; size++) {
        g_autofree char *name = g_strnfill(size, 'n');
        g_autofree char *text =
            g_strdup_printf("{\"a\":[\"\\n\",2],\"%s\":3,\"bb\":{\"ccc\":4}}", name);
        g_autofree char *wanted = g_strdup_printf("a[0:0]='\n'\na[0:1]=2\n%s=3\nbb.ccc=4\n", name);
        g_autofree char *got = NULL;

        g_assert_true(parse(&f, text));
        got = leaves_text(&f);
        g_assert_cmpstr(got, ==, wanted);
    }
    flat_done(&f);
}

static void test_forks_are_seen(void)
{
    static const struct {
        const char *text;
        bool is_forked;
    } CASES[] = {
        {"{\"a\":[1],\"a\":[2]}", true},
        {"{\"a\":[{\"b\":1},{\"b\":2}]}", false},
        {"{\"a\":[[1],[2]]}", false},
        {"{\"a\":1,\"a\":[2]}", false},
        {"{\"a\":1,\"a\":2}", false},
        {"{\"a\":[{\"b\":[1],\"b\":[2]}]}", true},
        {"{\"a\":[{\"b\":[1]},{\"b\":[2]}]}", false},
        {"{\"a\":{\"b\":[1]},\"a.b\":[2]}", true},
        {"{\"a\":[1],\"b\":[2]}", false},
        {"{\"a\":[1],\"a\":[]}", false},                  /* no leaf is in it */
        {"{\"a\":[{\"b\":1}],\"a\":[{\"c\":1}]}", false}, /* nothing to choose */
        {"{\"a\":[{\"b\":1}],\"a\":{\"b\":[2]}}", true},
    };
    struct flat f;

    flat_init(&f);
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_test_message("%s", CASES[i].text);
        g_assert_true(parse(&f, CASES[i].text));
        g_assert_true(f.is_forked == CASES[i].is_forked);
    }
    flat_done(&f);
}

static void test_done_accepts_half_built(void)
{
    struct flat f = {0};

    flat_done(NULL);
    flat_done(&f);
    flat_init(&f);
    g_assert_null(find(&f, "a"));
    flat_done(&f);
    flat_done(&f);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        {"/flat/joins_names_with_dots", test_joins_names_with_dots},
        {"/flat/arrays_vanish_from_the_path", test_arrays_vanish_from_the_path},
        {"/flat/mixed_arrays_keep_the_path", test_mixed_arrays_keep_the_path},
        {"/flat/empty_containers_give_no_leaf", test_empty_containers_give_no_leaf},
        {"/flat/empty_and_dotted_names", test_empty_and_dotted_names},
        {"/flat/dotted_name_is_the_nested_path", test_dotted_name_is_the_nested_path},
        {"/flat/duplicate_names_all_count", test_duplicate_names_all_count},
        {"/flat/unescapes_names_and_texts", test_unescapes_names_and_texts},
        {"/flat/number_text_is_exact", test_number_text_is_exact},
        {"/flat/lists_the_outermost_members", test_lists_the_outermost_members},
        {"/flat/other_documents_have_a_type_only", test_other_documents_have_a_type_only},
        {"/flat/stops_behind_one_value", test_stops_behind_one_value},
        {"/flat/errors_say_where", test_errors_say_where},
        {"/flat/limits_nesting_with_the_brackets_around",
         test_limits_nesting_with_the_brackets_around},
        {"/flat/reuse_forgets_the_event_before", test_reuse_forgets_the_event_before},
        {"/flat/finds_every_path_of_a_large_event", test_finds_every_path_of_a_large_event},
        {"/flat/refuses_names_that_multiply", test_refuses_names_that_multiply},
        {"/flat/refuses_steps_that_multiply", test_refuses_steps_that_multiply},
        {"/flat/honest_large_events_pass", test_honest_large_events_pass},
        {"/flat/reads_no_byte_behind_the_text", test_reads_no_byte_behind_the_text},
        {"/flat/long_names_leave_their_neighbours_alone",
         test_long_names_leave_their_neighbours_alone},
        {"/flat/forks_are_seen", test_forks_are_seen},
        {"/flat/done_accepts_half_built", test_done_accepts_half_built},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_func(tests[i].name, tests[i].run);
    return g_test_run();
}
