/* What earlier events left must not change how a later one is read. */
#include "core/flat_names.h"

#include "core/flat.h"

#define FRESH_NAMES (FLAT_NAMES_MAX + 50)

static void append_leaf(GString *out, const struct flat *f, const struct flat_leaf *leaf)
{
    g_string_append_printf(out, "%.*s", SLICE_ARG(leaf->path));
    for (uint32_t i = 0; i < leaf->step_count; i++)
        g_string_append_printf(out, "[%u:%u]", leaf->steps[i].array, leaf->steps[i].index);
    g_string_append_printf(out, " %d %d %.*s next %d, hash %d\n", leaf->type, leaf->is_element,
                           SLICE_ARG(leaf->text), leaf->next,
                           leaf->path_hash == flat_path_hash(leaf->path));
    g_assert_nonnull(flat_find(f, leaf->path, leaf->path_hash));
}

/* All that a reader says of the text. */
static char *say(struct flat *f, const char *text)
{
    GString *out = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    size_t used = 0;

    if (!flat_parse(f, slice_text(text), 0, &used, &error))
        g_string_append(out, error->message);
    for (size_t i = 0; i < f->leaf_count; i++)
        append_leaf(out, f, &f->leaves[i]);
    for (size_t i = 0; i < f->member_count; i++)
        g_string_append_printf(out, "%.*s: %d %.*s %.*s\n", SLICE_ARG(f->members[i].key),
                               f->members[i].type, SLICE_ARG(f->members[i].text),
                               SLICE_ARG(f->members[i].source));
    return g_string_free(out, FALSE);
}

/* warm says the same as a reader that never read anything. */
static void check_same(struct flat *warm, const char *text)
{
    g_autofree char *got = say(warm, text);
    g_autofree char *wanted = NULL;
    struct flat cold;

    flat_init(&cold);
    wanted = say(&cold, text);
    if (!g_str_equal(got, wanted))
        g_error("%s\nafter others: %s\nalone: %s", text, got, wanted);
    flat_done(&cold);
}

/* Every pair, in both orders, and each by itself twice. */
static void test_no_event_changes_another(void)
{
    static const char *const events[] = {
        "{\"a\":{\"b\":1,\"c\":2},\"d\":3}",
        "{\"a.b\":1,\"a.c\":2,\"d\":3}",
        "{\"a.b\":1,\"abc\":2}",
        "{\"a\":{\"b\":1,\"bc\":2},\"abc\":3}",
        "{\"a\":{\"b.c\":1},\"a.b\":{\"c\":2}}",
        "[{\"a\":{\"b\":1}},{\"a\":{\"b\":2}}]",
        "{\"\":{\"\":1,\"b\":2},\"b\":3}",
        "{\"a\":[{\"b\":1,\"c\":2},{\"c\":3,\"b\":4},{\"b\":5}],\"d\":[1,[2,{\"a\":3}]]}",
        "{\"a\":[[{\"b\":[{\"c\":1}]}]],\"a\":{\"b\":{\"c\":2}}}",
        "{\"\\u0061\":{\"\\u0062\":1},\"d\":2}",
        "{\"a\\\"\":1,\"a\\\\\":2,\"a\\n\":3}",
        "{\"a\\\\b\":1}",
        "{\"a\\b\":1}",
        "{\"caf\xc3\xa9\":1,\"caf\xc3\xa8\":2}",
        "{\"caf\xc3\":1}",
        "{\"sevenby\":1,\"eightbyt\":2,\"ninebytes\":3}",
        "{\"sevenbx\":1,\"eightbyt1\":2,\"ninebytex\":3,\"eightby\":4}",
        "{\"seventeen bytes 1\":1,\"seventeen bytes 2\":2}",
        "{\"seventeen bytes 2\":1,\"seventeen bytes 1\":2,\"seventeen bytes\":3}",
        "{\"a\":1",
        "{\"a\"",
        "{\"a",
        "{\"d\":1,\"a\" :{ \"b\" : 1 , \"c\":2 } }",
        "{\"a\":{},\"b\":[],\"a\":{\"b\":[]},\"d\":\"\"}",
        "{\"a\" 1}",
        "{\"a\":1,}",
        "7",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(events); i++)
        for (size_t k = 0; k < G_N_ELEMENTS(events); k++) {
            struct flat warm;

            flat_init(&warm);
            for (int round = 0; round < 2; round++) {
                check_same(&warm, events[i]);
                check_same(&warm, events[k]);
                check_same(&warm, events[k]);
            }
            flat_done(&warm);
        }
}

static const char *any_name(GRand *random)
{
    static const char *const names[] = {"a",   "b",  "a.b",      "",          "items",
                                        "sku", "ab", "currency", "timestamp", "a\\u0062"};

    return names[g_rand_int_range(random, 0, G_N_ELEMENTS(names))];
}

static void put_value(GString *out, GRand *random, int depth)
{
    int kind = g_rand_int_range(random, 0, depth > 4 ? 2 : 6),
        count = g_rand_int_range(random, 0, 4);

    if (kind < 2) {
        g_string_append(out, kind == 0 ? "1" : "\"x\"");
        return;
    }
    g_string_append_c(out, kind == 2 ? '[' : '{');
    for (int i = 0; i < count; i++) {
        if (i > 0)
            g_string_append_c(out, ',');
        if (kind > 2)
            g_string_append_printf(out, "\"%s\":", any_name(random));
        put_value(out, random, depth + 1);
    }
    g_string_append_c(out, kind == 2 ? ']' : '}');
}

static void test_random_events_are_read_alike(void)
{
    GRand *random = g_rand_new_with_seed(11);
    struct flat warm;

    flat_init(&warm);
    for (int i = 0; i < 5000; i++) {
        g_autoptr(GString) text = g_string_new(NULL);

        put_value(text, random, 0);
        check_same(&warm, text->str);
    }
    flat_done(&warm);
    g_rand_free(random);
}

/* More names than are kept, again and again, and some that are too long. */
static void test_names_without_end(void)
{
    g_autofree char *longest = g_strnfill(FLAT_NAME_BYTES, 'l');
    struct flat warm;

    flat_init(&warm);
    for (int i = 0; i < FRESH_NAMES; i++) {
        g_autofree char *text =
            g_strdup_printf("{\"n%d\":{\"in\":1,\"n%d\":2},\"%s\":3,\"%sx\":{\"a\":4},\"z\":5}", i,
                            i / 2, longest, longest);

        check_same(&warm, text);
        check_same(&warm, text);
    }
    flat_done(&warm);
}

/* A number stands for one path as long as the id is the same. */
static void test_names_have_numbers(void)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    uint64_t id = 0, changes = 0;
    struct flat f;

    flat_init(&f);
    g_ptr_array_set_size(paths, FLAT_NAMES_MAX + 1);
    for (int i = 0; i < FRESH_NAMES; i++) {
        g_autofree char *text = g_strdup_printf("{\"a\":{\"n%d\":1},\"b\":{\"c\":2}}", i);
        size_t used;

        g_assert_true(flat_parse(&f, slice_text(text), 0, &used, NULL));
        if (f.names_id != id) {
            for (guint k = 0; k < paths->len; k++)
                g_clear_pointer(&paths->pdata[k], g_free);
            id = f.names_id;
            changes++;
        }
        for (size_t k = 0; k < f.leaf_count; k++) {
            const struct flat_leaf *leaf = &f.leaves[k];
            g_autofree char *path = g_strndup(leaf->path.data, leaf->path.size);

            g_assert_cmpuint(leaf->name, <=, FLAT_NAMES_MAX);
            if (leaf->name == 0)
                continue;
            if (paths->pdata[leaf->name] == NULL)
                paths->pdata[leaf->name] = g_strdup(path);
            g_assert_cmpstr(paths->pdata[leaf->name], ==, path);
        }
        g_assert_cmpuint(f.leaves[f.leaf_count - 1].name, !=, 0);
    }
    g_assert_cmpuint(changes, ==, 2); /* the first ones, and those after they were full */
    flat_done(&f);
}

/* Events that share names stay as they are while others are read. */
static void test_shared_names(void)
{
    struct flat_names *names = flat_names_new();
    struct flat flats[8];
    char *said[8];

    for (int i = 0; i < 8; i++) {
        g_autofree char *text = g_strdup_printf("{\"a\":{\"b%d\":[1,2]},\"c\":\"x\"}", i % 3);

        flat_init_with(&flats[i], names);
        said[i] = say(&flats[i], text);
        flat_names_tidy(names); /* which is for full ones only */
    }
    for (int i = 0; i < 8; i++) {
        g_autofree char *path = g_strdup_printf("a.b%d", i % 3);
        struct slice wanted = slice_text(path);

        g_assert_true(slice_equal(flats[i].leaves[0].path, wanted));
        g_assert_nonnull(strstr(said[i], path));
        g_assert_nonnull(flat_find(&flats[i], wanted, flat_path_hash(wanted)));
        g_free(said[i]);
    }
    for (int i = 0; i < 8; i++)
        flat_done(&flats[i]);
    flat_names_free(names);
}

static void test_no_more_is_kept(void)
{
    struct flat_names *names = flat_names_new();
    g_autofree char *longest = g_strnfill(FLAT_NAME_BYTES, 'l');
    g_autoptr(GString) text = g_string_new(NULL);
    struct flat f;
    size_t used;

    flat_init_with(&f, names);
    g_string_printf(text, "{\"%s\":1,\"%sx\":2}", longest, longest);
    g_assert_true(flat_parse(&f, slice_of(text->str, text->len), 0, &used, NULL));
    g_assert_cmpuint(names->count, ==, 1);
    g_string_assign(text, "{\"a\":0");
    for (int i = 0; i < 2 * FLAT_NAMES_MAX; i++)
        g_string_append_printf(text, ",\"n%d\":%d", i, i);
    g_string_append_c(text, '}');
    g_assert_true(flat_parse(&f, slice_of(text->str, text->len), 0, &used, NULL));
    g_assert_cmpuint(names->count, ==, FLAT_NAMES_MAX);
    g_assert_cmpuint(f.leaf_count, ==, 2 * FLAT_NAMES_MAX + 1);
    flat_names_tidy(names);
    g_assert_cmpuint(names->count, ==, 0);
    flat_done(&f);
    flat_names_free(names);
}

/* Whether an event asks for too much is a matter of the event alone. */
static void test_work_is_counted_alike(void)
{
    g_autoptr(GString) text = g_string_new("{\"a\":[");
    g_autofree char *name = g_strnfill(200, 'n');
    struct flat warm;

    for (int i = 0; i < 170000; i++)
        g_string_append_printf(text, "%s{\"%s\":1}", i > 0 ? "," : "", name);
    g_string_append(text, "]}");
    flat_init(&warm);
    check_same(&warm, "{\"a\":[{\"b\":1}]}");
    for (int round = 0; round < 2; round++) {
        g_autofree char *got = say(&warm, text->str);

        g_assert_nonnull(strstr(got, "take too much memory"));
    }
    flat_done(&warm);
}

static void test_heads(void)
{
    static const char text[] = "name\":1,\"longer name\":2,\"x\":3}";
    const char *end = text + sizeof(text) - 1;

    g_assert_true(name_is_at(name_head_of(SLICE("name")), SLICE("name"), text, end));
    g_assert_false(name_is_at(name_head_of(SLICE("nam")), SLICE("nam"), text, end));
    g_assert_false(name_is_at(name_head_of(SLICE("names")), SLICE("names"), text, end));
    g_assert_false(name_is_at(name_head_of(SLICE("")), SLICE(""), text, end));
    g_assert_true(name_is_at(name_head_of(SLICE("")), SLICE(""), text + 4, end));
    g_assert_true(
        name_is_at(name_head_of(SLICE("longer name")), SLICE("longer name"), text + 9, end));
    g_assert_false(
        name_is_at(name_head_of(SLICE("longer nam")), SLICE("longer nam"), text + 9, end));
    g_assert_false(
        name_is_at(name_head_of(SLICE("longer name")), SLICE("longer name"), text + 9, text + 20));
    g_assert_true(
        name_is_at(name_head_of(SLICE("longer name")), SLICE("longer name"), text + 9, text + 21));
    g_assert_cmpuint(name_head_of(SLICE("a\\b")).mask, ==, 0);
    g_assert_cmpuint(name_head_of(SLICE("a\"b")).mask, ==, 0);
    g_assert_cmpuint(name_head_of(SLICE("a\nb")).mask, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/flat_names/no_event_changes_another", test_no_event_changes_another);
    g_test_add_func("/flat_names/random_events_are_read_alike", test_random_events_are_read_alike);
    g_test_add_func("/flat_names/names_without_end", test_names_without_end);
    g_test_add_func("/flat_names/names_have_numbers", test_names_have_numbers);
    g_test_add_func("/flat_names/shared_names", test_shared_names);
    g_test_add_func("/flat_names/no_more_is_kept", test_no_more_is_kept);
    g_test_add_func("/flat_names/work_is_counted_alike", test_work_is_counted_alike);
    g_test_add_func("/flat_names/heads", test_heads);
    return g_test_run();
}
