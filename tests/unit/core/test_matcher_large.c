/* The index and sets or events that are large in one way or another: it must still say what the
 * reference says. What such events may cost is measured elsewhere (bench). */
#include "check_matcher.h"
#include "common/json.h"

/* ---- much of one thing ------------------------------------------------------------------------
 */

static void test_ten_thousand_paths_are_told_apart(void)
{
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();
    GString *all = g_string_new("{");

    for (int i = 0; i < 10000; i++) {
        check_list_add(patterns,
                       i % 3 == 0 ? "{\"p%d\":{\"q\":[1]}}" : "{\"p%d.q\":[{\"exists\":true}]}", i);
        g_string_append_printf(all, "%s\"p%d\":{\"q\":%d}", i == 0 ? "" : ",", i, i % 2);
    }
    g_string_append_c(all, '}');
    g_ptr_array_add(events, g_string_free(all, FALSE));
    g_ptr_array_add(events, g_strdup("{\"p77.q\":1,\"p9999\":[{\"q\":1}],\"p10000.q\":1}"));
    g_ptr_array_add(events, g_strdup("{}"));
    check_assert_set(patterns, events, true);
}

/* {"f0":[0],"f1":[1], …}: without number absent unless that is -1. Owned by caller. */
static char *make_fields(int count, int absent, const char *form)
{
    GString *text = g_string_new("{");

    for (int i = 0; i < count; i++) {
        g_auto(GStrv) parts = g_strsplit(form, "#", 3);
        g_autofree char *number = g_strdup_printf("%d", i);
        g_autofree char *member = g_strjoinv(number, parts);

        if (i != absent)
            g_string_append_printf(text, "%s%s", text->len == 1 ? "" : ",", member);
    }
    g_string_append_c(text, '}');
    return g_string_free(text, FALSE);
}

static void test_pattern_of_500_fields_needs_all(void)
{
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();

    g_ptr_array_add(patterns, make_fields(500, -1, "\"f#\":[#]"));
    g_ptr_array_add(patterns, make_fields(500, 250, "\"f#\":[#]"));
    g_ptr_array_add(patterns, make_fields(500, -1, "\"f#\":[{\"exists\":true}]"));
    g_ptr_array_add(patterns, make_fields(500, 0, "\"f#\":[{\"anything-but\":\"#\"}]"));
    for (int absent = -1; absent < 500; absent += 83) {
        g_ptr_array_add(events, make_fields(500, absent, "\"f#\":#"));
        g_ptr_array_add(events, make_fields(500, absent, "\"f#\":\"#\""));
        g_ptr_array_add(events, make_fields(500, absent, "\"f#\":[{},null,#]"));
    }
    check_assert_in_all_ways(patterns, events, 4);
}

/* 2^9 ways through nine $or, and a plain one of 1,000 branches. */
static void test_thousand_ways_are_all_ways(void)
{
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();
    GString *product = g_string_new("{\"z\":[1]");
    GString *branches = g_string_new("{\"$or\":[{\"y\":[{\"exists\":true}]}");

    for (int i = 0; i < 9; i++)
        g_string_append_printf(product, ",\"x%d\":{\"$or\":[{\"a\":[1]},{\"b\":[2]}]}", i);
    for (int i = 1; i < 500; i++)
        g_string_append_printf(branches, ",{\"b\":[\"k%d\"]}", i);
    g_ptr_array_add(patterns, g_strconcat(product->str, "}", NULL));
    g_ptr_array_add(patterns, g_strconcat(branches->str, "]}", NULL));
    for (int i = 0; i < 50; i++)
        check_list_add(patterns, "{\"b\":[\"k%d\"]}", i * 10);
    check_list_add(events, "{\"b\":\"k499\"}");
    check_list_add(events, "{\"b\":\"k500\"}");
    check_list_add(events, "{\"b\":[\"k10\",\"k490\"],\"y\":null}");
    for (int missing = -1; missing < 9; missing++) {
        GString *event = g_string_new("{\"z\":1");

        for (int i = 0; i < 9; i++)
            if (i != missing)
                g_string_append_printf(event, ",\"x%d\":{\"%s\":%d}", i, i % 2 == 0 ? "a" : "b",
                                       1 + i % 2);
        g_string_append_c(event, '}');
        g_ptr_array_add(events, g_string_free(event, FALSE));
    }
    g_string_free(product, TRUE);
    g_string_free(branches, TRUE);
    check_assert_in_all_ways(patterns, events, 6);
}

/* Some of everything, about a, b, c and i: for events that are large. */
static GPtrArray *patterns_of_all_kinds(void)
{
    static const char *const TEXTS[] = {
        "{\"a\":[99999]}",
        "{\"a\":[{\"numeric\":[\">\",99998]}]}",
        "{\"a\":[{\"anything-but\":[0,1,2]}]}",
        "{\"a\":[{\"exists\":false}]}",
        "{\"a\":[{\"prefix\":\"xx\"}]}",
        "{\"a\":[{\"suffix\":\"xy\"}]}",
        "{\"a\":[{\"wildcard\":\"x*xy\"}]}",
        "{\"a\":[{\"wildcard\":\"*yy*\"}]}",
        "{\"a\":[{\"equals-ignore-case\":\"xx\"}]}",
        "{\"a\":[{\"suffix\":{\"equals-ignore-case\":\"XY\"}}]}",
        "{\"a\":[{\"prefix\":{\"equals-ignore-case\":\"XX\"}}]}",
        "{\"a\":[{\"anything-but\":{\"suffix\":\"y\"}}]}",
        "{\"a\":[{\"anything-but\":{\"wildcard\":\"*xy\"}}]}",
        "{\"a\":[1],\"b\":[1],\"c\":[{\"exists\":false}]}",
        "{\"i\":{\"a\":[1],\"b\":[2]}}",
        "{\"i\":{\"a\":[1],\"b\":[1],\"c\":[{\"exists\":false}]}}",
        "{\"i\":{\"a\":[{\"anything-but\":1}],\"b\":[{\"numeric\":[\"<\",5]}]}}",
        "{\"i\":{\"a\":[9999],\"b\":[9999]}}",
        "{\"i\":{\"a\":[9999],\"b\":[9998]}}",
        "{\"k0\":[0]}",
        "{\"k99999\":[99999]}",
        "{\"k100000\":[{\"exists\":false}]}",
        "{\"k5\":[{\"exists\":false}]}",
    };
    GPtrArray *patterns = check_list_new();

    for (size_t i = 0; i < G_N_ELEMENTS(TEXTS); i++)
        g_ptr_array_add(patterns, g_strdup(TEXTS[i]));
    return patterns;
}

static void test_events_of_100000_leaves_are_read(void)
{
    GPtrArray *events = check_list_new();

    g_ptr_array_add(events, check_repeat("{", 100000, "\"k#\":#", "}"));
    g_ptr_array_add(events, check_repeat("{", 100000, "\"a\":#", "}"));
    g_ptr_array_add(events, check_repeat("{\"a\":[", 100000, "#", "]}"));
    g_ptr_array_add(events, check_repeat("{", 100000, "\"a\":\"#xy\"", "}"));
    g_ptr_array_add(events, check_repeat("{\"a\":[", 100000, "1", "],\"b\":[1,2,1],\"c\":[]}"));
    check_assert_set(patterns_of_all_kinds(), events, true);
}

static void test_arrays_of_10000_objects_are_searched(void)
{
    GPtrArray *events = check_list_new();

    g_ptr_array_add(events, check_repeat("{\"i\":[", 10000, "{\"a\":#,\"b\":#}", "]}"));
    g_ptr_array_add(events, check_repeat("{\"i\":[", 10000, "{\"a\":1},{\"b\":2}", "]}"));
    g_ptr_array_add(events, check_repeat("{\"i\":[", 10000, "{\"a\":1,\"b\":1,\"c\":#}", "]}"));
    g_ptr_array_add(events, check_repeat("{\"i\":[", 10000, "{\"a\":1,\"b\":1,\"c\":#}",
                                         ",{\"a\":1,\"b\":1}]}"));
    g_ptr_array_add(events, check_repeat("{\"i\":[", 5000, "[{\"a\":1},{\"b\":[3,2]}]", "]}"));
    check_assert_set(patterns_of_all_kinds(), events, false);
}

/* As deep as arrays may stand in each other, some alone in theirs and some not. */
static void test_deep_arrays_are_searched(void)
{
    GPtrArray *events = check_list_new();

    for (int depth = 14; depth < JSON_DEPTH_MAX - 2; depth += 3) {
        g_autoptr(GString) before = g_string_new("{\"i\":"), behind = g_string_new(NULL);

        for (int i = 0; i < depth; i++) {
            g_string_append(before, i % 4 == 0 ? "[{\"a\":1}," : "[");
            g_string_append_c(behind, ']');
        }
        g_string_append_c(behind, '}');
        g_ptr_array_add(events, check_repeat(before->str, 150, "{\"a\":1},{\"b\":#}", behind->str));
        g_ptr_array_add(events,
                        check_repeat(before->str, 150, "{\"a\":#,\"b\":2,\"c\":#}", behind->str));
    }
    check_assert_set(patterns_of_all_kinds(), events, false);
}

static void test_texts_of_a_mebibyte_are_read(void)
{
    static const char *const ENDS[] = {"", "xy", "XY", "yyx", "\u212a"};
    g_autofree char *many = g_strnfill(1 << 20, 'x');
    g_autofree char *much = g_strnfill(60000, 'x');
    GPtrArray *patterns = patterns_of_all_kinds();
    GPtrArray *events = check_list_new();

    for (size_t i = 0; i < G_N_ELEMENTS(ENDS); i++) {
        check_list_add(events, "{\"a\":\"%s%s\"}", many, ENDS[i]);
        check_list_add(events, "{\"a\":\"%s%s\"}", much, ENDS[i]);
        check_list_add(events, "{\"%s\":1,\"a\":[\"x\",\"%s\"]}", many, ENDS[i]);
    }
    check_list_add(patterns, "{\"a\":[\"%s\"]}", much);
    check_list_add(patterns, "{\"a\":[{\"prefix\":\"%s\"}]}", much);
    check_list_add(patterns, "{\"a\":[{\"suffix\":{\"equals-ignore-case\":\"%sXY\"}}]}", much);
    check_list_add(patterns, "{\"a\":[{\"equals-ignore-case\":\"%s\"}]}", much);
    check_list_add(patterns, "{\"%s\":[{\"exists\":false}]}", much);
    check_assert_in_all_ways(patterns, events, 10);
}

/* Of so long ones only the beginning is looked for together; the event may have that and no more.
 */
static void test_very_long_wildcards_are_tried_to_the_end(void)
{
    g_autofree char *many = g_strnfill(1 << 19, 'x');
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();

    for (size_t i = 0; i < 16; i++) {
        g_autofree char *piece = g_strnfill(5000 + i * 100, i < 8 ? 'x' : 'y');
        const char *tail = i % 4 < 2 ? "z" : "zx";

        check_list_add(patterns, "{\"a\":[{\"wildcard\":\"*%s%s*\"}]}", piece, tail);
        check_list_add(patterns, "{\"a\":[{\"wildcard\":\"%s*%s\"}]}", piece, tail);
        check_list_add(patterns, "{\"a\":[{\"anything-but\":{\"wildcard\":\"*%s*%s\"}}]}", piece,
                       tail);
    }
    check_list_add(events, "{\"a\":\"%s\"}", many);
    check_list_add(events, "{\"a\":\"%sz\"}", many);
    check_list_add(events, "{\"a\":\"%szx\"}", many);
    check_list_add(events, "{\"a\":[\"%sz%s\",\"xz\"]}", many + (1 << 19) - 5500, many);
    check_list_add(events, "{\"a\":[\"%s\",\"%szx\"]}", many, many + (1 << 19) - 5500);
    check_assert_set(patterns, events, false);
}

/* More values on one field than any shortcut for few takes. */
static void test_lists_of_500_values_are_looked_up(void)
{
    static const char *const FORMS[] = {"\"k#\"",
                                        "#",
                                        "{\"prefix\":\"k#-\"}",
                                        "{\"suffix\":\"-#k\"}",
                                        "{\"numeric\":[\"=\",#]}",
                                        "{\"equals-ignore-case\":\"K#\"}",
                                        "\"10.0.#.1\""};
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();

    for (size_t i = 0; i < G_N_ELEMENTS(FORMS); i++) {
        g_ptr_array_add(patterns, check_repeat("{\"a\":[", 500, FORMS[i], "]}"));
        g_ptr_array_add(patterns, check_repeat("{\"a\":[", 250, FORMS[i], "],\"b\":[1]}"));
    }
    g_ptr_array_add(patterns, check_repeat("{\"a\":[{\"anything-but\":[", 500, "\"k#\"", "]}]}"));
    g_ptr_array_add(patterns, check_repeat("{\"a\":[{\"anything-but\":[", 500, "#", "]}]}"));
    g_ptr_array_add(
        patterns, check_repeat("{\"a\":[{\"anything-but\":{\"prefix\":[", 500, "\"k#\"", "]}}]}"));
    for (int i = 0; i <= 500; i += 50) {
        check_list_add(events, "{\"a\":\"k%d\",\"b\":1}", i);
        check_list_add(events, "{\"a\":\"k%d-\"}", i);
        check_list_add(events, "{\"a\":%d}", i);
        check_list_add(events, "{\"a\":[\"-%dk\",null],\"b\":1}", i);
        check_list_add(events, "{\"a\":\"10.0.%d.1\"}", i);
    }
    check_assert_in_all_ways(patterns, events, 12);
}

/* Every value in need of as many keys as one can have, in so many patterns that they are filed. */
static void test_patterns_at_the_highest_limits_are_indexed(void)
{
    static const char *const FORMS[] = {"{\"numeric\":[\">=\",1#00,\"<\",1#57]}", "\"k#\"",
                                        "{\"cidr\":\"10.#.0.0/13\"}", "{\"wildcard\":\"w#*\"}"};
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();

    for (size_t form = 0; form < G_N_ELEMENTS(FORMS); form++) {
        for (int i = 0; i < 15; i++) {
            g_autofree char *behind = g_strdup_printf("],\"b\":[{\"numeric\":[\"<\",%d]}]}", i);

            g_ptr_array_add(patterns,
                            check_repeat("{\"a\":[", form == 2 ? 250 : 1990, FORMS[form], behind));
        }
    }
    for (int i = 0; i < 30; i++) { /* ranges leave no room for the list of texts */
        g_autofree char *more = check_repeat("", 1000 + i, "\"k#\"", "");
        g_autofree char *behind = g_strdup_printf(",%s]}", more);

        g_ptr_array_add(patterns, check_repeat("{\"a\":[", 600, FORMS[0], behind));
    }
    g_ptr_array_add(patterns, check_repeat("{\"$or\":[", 2000, "{\"a\":[\"k#\"]}", "]}"));
    check_list_add(events, "{\"a\":1198956,\"b\":7}");
    check_list_add(events, "{\"a\":[1198957,\"k1989\"],\"b\":12}");
    check_list_add(events, "{\"a\":[\"10.248.0.1\",\"w77\"],\"b\":[20,0]}");
    check_list_add(events, "{\"a\":\"k1999\",\"b\":-1}");
    check_assert_set(patterns, events, true);
}

/* What a run remembers of fields has fewer places than there are fields: here two of a pattern have
 * the same place, whatever the number of places is. */
static void test_many_fields_in_arrays_are_kept_apart(void)
{
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();
    GString *event = g_string_new("{\"i\":[{\"first\":1,\"f3\":1}");

    for (int i = 0; i < 5000; i++)
        check_list_add(patterns, "{\"i.first\":[{\"exists\":true}],\"i.f%d\":[1]}", i);
    for (int i = 0; i < 2000; i++) {
        check_list_add(patterns, "{\"i.f%d\":[1],\"i.f%d\":[1]}", i, i + 1024);
        check_list_add(patterns, "{\"i.f%d\":[1],\"i.f%d\":[1,{\"exists\":false}]}", i, i + 2048);
        g_string_append_printf(event, ",{\"f%d\":1,\"f%d\":%d}", i, i + 1024, i % 2);
    }
    for (int i = 0; i < 3000; i++) {
        check_list_add(patterns, "{\"i.h%d\":[1],\"i.c\":[%d]}", i, i % 7);
        g_string_append_printf(event, ",{\"h%d\":1,\"c\":%d}", i, i % 7);
    }
    g_string_append(event, "]}");
    g_ptr_array_add(events, g_string_free(event, FALSE));
    check_list_add(events, "{\"i\":[{\"first\":1,\"f0\":1},{\"f1024\":1,\"f1\":1}]}");
    check_list_add(events, "{\"i\":[{\"first\":1},{\"f0\":1,\"f1024\":1,\"f2048\":2}]}");
    check_assert_set(patterns, events, false);
}

/* A condition on one of the fields that the events below have in their arrays. */
static void put_condition(GString *out, GRand *random, const char *path)
{
    int value = g_rand_int_range(random, 0, 6);

    g_string_append_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", path);
    switch (g_rand_int_range(random, 0, 8)) {
    case 0:
        g_string_append_printf(out, "[%d,{\"exists\":false}]", value);
        break;
    case 1:
        g_string_append(out, "[{\"exists\":false}]");
        break;
    case 2:
        g_string_append_printf(out, "[{\"numeric\":[\">\",%d]}]", value);
        break;
    case 3:
        g_string_append_printf(out, "[{\"anything-but\":%d}]", value);
        break;
    case 4:
        g_string_append_printf(out, "[{\"wildcard\":\"*x%d*\"}]", value);
        break;
    default:
        g_string_append_printf(out, "[%d]", value);
    }
}

/* Two to four of the fields, each once. Owned by caller. */
static char *array_pattern(GRand *random)
{
    static const char *const paths[] = {"i.a",   "i.b",   "i.c", "i.p.d", "i.p.e",
                                        "i.q.d", "i.q.e", "i",   "i.p",   "t"};
    GString *out = g_string_new("{");
    unsigned chosen = 0;

    for (int i = g_rand_int_range(random, 2, 5); i > 0; i--) {
        int path = g_rand_int_range(random, 0, G_N_ELEMENTS(paths));

        if ((chosen >> path & 1) == 0)
            put_condition(out, random, paths[path]);
        chosen |= 1U << path;
    }
    g_string_append_c(out, '}');
    return g_string_free(out, FALSE);
}

/* A value that the conditions speak of. */
static void put_value(GString *out, GRand *random)
{
    bool is_text = g_rand_int_range(random, 0, 3) == 0;

    g_string_append_printf(out, is_text ? "\"ax%db\"" : "%d", g_rand_int_range(random, 0, 9));
}

/* {"a":…,"b":…}: each of the names in about half of the objects. */
static void put_object(GString *out, GRand *random, const char *names)
{
    bool is_first = true;

    g_string_append_c(out, '{');
    for (const char *name = names; *name != '\0'; name++) {
        if (g_rand_boolean(random))
            continue;
        g_string_append_printf(out, "%s\"%c\":", is_first ? "" : ",", *name);
        is_first = false;
        if (*name != 'p' && *name != 'q') {
            put_value(out, random);
            continue;
        }
        g_string_append_c(out, '[');
        for (int i = g_rand_int_range(random, 0, 4); i >= 0; i--) {
            if (g_rand_int_range(random, 0, 8) == 0)
                put_value(out, random);
            else
                put_object(out, random, "de");
            g_string_append(out, i > 0 ? "," : "]");
        }
    }
    g_string_append_c(out, '}');
}

/* Arrays of objects, of plain values beside them, of arrays; sometimes two of one name, in the
 * event or in an element, or an object of that name, too. */
static char *array_event(GRand *random)
{
    GString *out = g_string_new("{");

    for (int arrays = g_rand_int_range(random, 0, 4) / 3; arrays >= 0; arrays--) {
        g_string_append(out, "\"i\":[");
        for (int i = 0; i < 150; i++) {
            int kind = g_rand_int_range(random, 0, 40);

            g_string_append(out, i > 0 ? "," : "");
            if (kind == 0)
                put_value(out, random);
            else if (kind == 1)
                g_string_append(out, "[{\"a\":1},{\"b\":2,\"c\":3}]");
            else
                put_object(out, random, kind == 2 ? "abpcp" : "abcpq");
        }
        g_string_append(out, "],");
    }
    if (g_rand_int_range(random, 0, 4) == 0) {
        g_string_append(out, "\"i\":");
        put_object(out, random, "abcpq");
        g_string_append_c(out, ',');
    }
    g_string_append(out, "\"t\":");
    put_value(out, random);
    g_string_append_c(out, '}');
    return g_string_free(out, FALSE);
}

/* Large enough that whole arrays are looked at before their leaves are fitted together. */
static void test_large_arrays_of_every_kind_are_fitted(void)
{
    for (guint32 seed = 1; seed <= 12; seed++) {
        GPtrArray *patterns = check_list_new(), *events = check_list_new();
        GRand *random = g_rand_new_with_seed(seed);

        for (int i = 0; i < 400; i++)
            g_ptr_array_add(patterns, array_pattern(random));
        for (int i = 0; i < 6; i++)
            g_ptr_array_add(events, array_event(random));
        check_assert_set(patterns, events, true);
        g_rand_free(random);
    }
}

/* More different coordinates than an event usually has, so that they are searched in order; values
 * beyond those that patterns name among them. */
static void test_long_arrays_are_searched(void)
{
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();

    for (int i = 0; i < 5000; i++)
        check_list_add(patterns, "{\"a\":[\"m%d\"],\"c\":[{\"exists\":%s}]}", i,
                       i % 3 ? "false" : "true");
    for (int i = 0; i < 600; i += 7) {
        check_list_add(patterns, "{\"a\":[%d]}", i);
        check_list_add(patterns, "{\"a\":[\"k%d\",\"k%d\"]}", i, i + 600);
        check_list_add(patterns, "{\"a\":[{\"numeric\":[\">\",%d,\"<\",%d]}]}", i, i + 1);
        check_list_add(patterns, "{\"a\":[{\"prefix\":\"k%d\"}],\"b\":[{\"exists\":false}]}", i);
        g_ptr_array_add(patterns,
                        check_repeat("{\"a\":[{\"anything-but\":[", i + 1, "\"k#\"", "]}]}"));
        g_ptr_array_add(patterns, check_repeat("{\"a\":[{\"anything-but\":{\"prefix\":[", i + 1,
                                               "\"k#\"", "]}}]}"));
    }
    for (int count = 1; count < 600; count = count * 2 + 1) {
        g_ptr_array_add(events, check_repeat("{\"a\":[", count, "#", "]}"));
        g_ptr_array_add(events, check_repeat("{\"a\":[", count, "\"k#\"", "]}"));
        g_ptr_array_add(events, check_repeat("{\"a\":[", count, "\"m#7\",\"m#\"", "],\"c\":1}"));
        g_ptr_array_add(events,
                        check_repeat("{\"a\":[", count, "\"k1\",\"k#\",#.5", ",\"unknown\"]}"));
    }
    check_assert_set(patterns, events, true);
}

/* More nodes than the table's small form holds, on two levels, and more keys of one event than are
 * looked up together. */
static void test_tables_of_thousands_of_nodes_are_searched(void)
{
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();

    for (int i = 0; i < 24000; i++)
        check_list_add(patterns, "{\"t\":[\"t%d\"],\"a\":[\"k%d\"],\"c\":[{\"anything-but\":%d}]}",
                       i % 300, i / 300, i % 7);
    for (int i = 0; i < 300; i += 37) {
        check_list_add(events, "{\"t\":\"t%d\",\"a\":\"k%d\",\"c\":%d}", i, i / 4, i % 7);
        g_ptr_array_add(events, check_repeat("{\"t\":[\"t1\",\"t7\",\"t299\"],\"a\":[", i / 3 + 1,
                                             "\"k#\"", "],\"c\":[5,5]}"));
    }
    check_list_add(events, "{\"t\":\"t300\",\"a\":\"k3\",\"c\":0}");
    check_assert_set(patterns, events, false);
}

/* {"f0":[form],"f1": …}, each form with the number of the pattern and that of the field mixed.
 * Owned by caller. */
static char *make_wide(int number, int fields, int values)
{
    GString *text = g_string_new("{");

    for (int field = 0; field < fields; field++) {
        g_string_append_printf(text, "%s\"f%d\":[", field == 0 ? "" : ",", field);
        for (int i = 0; i < values; i++)
            g_string_append_printf(text, "%s\"k%d\"", i == 0 ? "" : ",",
                                   (number * 37 + i * 7 + field) % 1000);
        g_string_append(text, "]");
    }
    g_string_append_c(text, '}');
    return g_string_free(text, FALSE);
}

/* Filed under every value of one list, and not under every pair of two. */
static void test_long_lists_on_several_fields_are_filed(void)
{
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();

    for (int i = 0; i < 900; i++)
        g_ptr_array_add(patterns, make_wide(i, 3, 90));
    for (int i = 0; i < 20; i++)
        check_list_add(events, "{\"f0\":\"k%d\",\"f1\":[\"k%d\",\"k%d\"],\"f2\":\"k%d\"}", i * 37,
                       i * 37 + 1, i * 37 + 8, i * 37 + 2);
    check_assert_set(patterns, events, true);
}

/* Equal in more fields than filing goes deep; the last one tells them apart. */
static void test_patterns_that_differ_in_the_last_field_are_told_apart(void)
{
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();
    GString *fields = g_string_new("\"f0\":[0]");
    GString *leaves = g_string_new("\"f0\":0");

    for (int i = 1; i < 12; i++) {
        g_string_append_printf(fields, ",\"f%d\":[%d]", i, i);
        g_string_append_printf(leaves, ",\"f%d\":[%d]", i, i);
    }
    for (int i = 0; i < 300; i++) {
        check_list_add(patterns, "{%s,\"z\":[%d]}", fields->str, i % 90);
        check_list_add(patterns, "{%s,\"z\":[{\"numeric\":[\"<\",%d]}]}", fields->str, i % 90);
        check_list_add(patterns, "{%s,\"z\":[{\"wildcard\":\"*%d*\"}]}", fields->str, i % 90);
    }
    for (int i = 0; i < 90; i += 13) {
        check_list_add(events, "{%s,\"z\":%d}", leaves->str, i);
        check_list_add(events, "{%s,\"z\":[\"x%dx\",%d]}", leaves->str, i, i + 1);
    }
    check_list_add(events, "{%s}", leaves->str);
    g_string_free(fields, TRUE);
    g_string_free(leaves, TRUE);
    check_assert_set(patterns, events, false);
}

/* More leaves than are kept from one pattern to the next. */
static void test_a_million_leaves_are_gathered(void)
{
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();

    for (int i = 0; i < 120; i++) {
        check_list_add(patterns, "{\"i\":{\"a\":[1,\"x%d\"],\"b\":[1]}}", i);
        check_list_add(patterns, "{\"i\":{\"a\":[1,\"y%d\"],\"b\":[2,{\"exists\":false}]}}", i);
    }
    g_ptr_array_add(events, check_repeat("{\"i\":[{\"b\":1},", 10000, "{\"a\":1,\"b\":#}", "]}"));
    g_ptr_array_add(events, check_repeat("{\"i\":[{\"b\":1},", 10000, "{\"a\":1,\"b\":5}",
                                         ",{\"a\":\"x77\",\"b\":1}]}"));
    check_assert_set(patterns, events, false);
}

/* Few patterns with very many values: they are not filed but tested, and what is tested is the
 * order in which a long array's coordinates were brought. */
static void test_long_arrays_are_sorted(void)
{
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();

    for (int i = 0; i < 15; i++) {
        g_autofree char *before = g_strdup_printf("{\"a\":[\"m%d\",", i);
        g_autofree char *form = g_strdup_printf("\"m#%d\"", i);

        g_ptr_array_add(patterns, check_repeat(before, 400, form, "]}"));
        check_list_add(patterns, "{\"a\":[\"m%d\"],\"b\":[{\"anything-but\":\"m1\"}]}",
                       i * 777 % 4000);
    }
    for (int count = 20; count < 4000; count = count * 2 + 7) {
        g_ptr_array_add(events,
                        check_repeat("{\"a\":[", count, "\"m#5\",\"m#\",\"#\"", "],\"b\":1}"));
        g_ptr_array_add(events,
                        check_repeat("{\"a\":[", count, "\"n#\",#", ",\"m39914\"],\"b\":\"m1\"}"));
        g_ptr_array_add(events,
                        check_repeat("{\"b\":[", count, "\"m1\",\"m1\"", "],\"a\":\"m0\"}"));
    }
    check_assert_in_all_ways(patterns, events, 15);
}

/* Filed under one of the first, and tested in all the others. */
static void test_fields_beyond_the_first_64_are_tested(void)
{
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();

    for (int i = 0; i < 60; i++) {
        g_autofree char *before = g_strdup_printf("{\"first\":[%d],", i);

        g_ptr_array_add(patterns, check_repeat(before, 100, "\"f#\":[1]", "}"));
    }
    for (int wrong = 50; wrong <= 100; wrong++) {
        GString *event = g_string_new("{\"first\":7");

        for (int i = 0; i < 100; i++)
            g_string_append_printf(event, ",\"f%d\":%d", i, i == wrong ? 2 : 1);
        g_string_append_c(event, '}');
        g_ptr_array_add(events, g_string_free(event, FALSE));
    }
    check_assert_set(patterns, events, false);
}

/* As deep as JSON may be, by arrays, by objects, and by both; one of them deeper. */
static void test_deep_events_are_walked(void)
{
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();
    g_autofree char *path = check_repeat("\"a", 59, "", "\"");

    g_strdelimit(path, ",", '.');
    check_list_add(patterns, "{%s:[1]}", path);
    check_list_add(patterns, "{\"a\":[1]}");
    check_list_add(patterns, "{\"a\":[1],\"b\":[2]}");
    check_list_add(events, "{%s:1,\"b\":2}", path);
    for (int depth = 60; depth < JSON_DEPTH_MAX; depth++) {
        g_autofree char *opening = g_strnfill((gsize)depth, '[');
        g_autofree char *closing = g_strnfill((gsize)depth, ']');

        check_list_add(events, "{\"a\":%s1%s,\"b\":[[2]]}", opening, closing);
        check_list_add(events, "{\"c\":%s1%s,\"b\":[[2]],\"a\":[1,{}]}", opening, closing);
    }
    check_assert_in_all_ways(patterns, events, 16);
}

/* Texts that flat_parse refuses for their depth or for the memory that they would take: nothing is
 * known of the answer, but it comes. */
static void test_refused_texts_are_survived(void)
{
    g_autofree char *opening = g_strnfill(100000, '[');
    g_autofree char *brackets = g_strdup_printf("{\"a\":%s", opening);
    g_autofree char *objects = check_repeat("", 30000, "{\"a\":", "");
    g_autofree char *fifty = g_strnfill(55, '[');
    g_autofree char *before = g_strdup_printf("{\"a\":%s", fifty);
    g_autofree char *wide = check_repeat(before, 200000, "[1]", "");
    const char *texts[] = {brackets,    g_strdelimit(objects, ",", ' '),
                           wide,        "",
                           "{",         "[]",
                           "5",         "{\"a\"",
                           "{\"a\":",   "{\"a\":1",
                           "{\"a\":[1", "{\"a\":\"\\"};
    struct matcher_builder *b = matcher_builder_new();
    struct matcher_run *run = matcher_run_new();
    struct problems problems;
    struct pattern *pattern;
    struct matcher *m;

    problems_init(&problems);
    pattern = pattern_parse(SLICE("{\"a\":[1],\"a.a.a\":[2]}"), &PATTERN_LIMITS, "#", &problems);
    matcher_builder_add(b, pattern);
    m = matcher_builder_finish(b, 0, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        const uint32_t *places;

        g_assert_cmpuint(matcher_find_trusted(m, run, slice_text(texts[i]), &places), <=, 1);
    }
    matcher_run_free(run);
    matcher_free(m);
    matcher_builder_free(b);
    pattern_free(pattern);
    problems_done(&problems);
}

/* The same pattern many times, and many that differ in the last condition only: lists that no
 * further condition can split. */
static void test_equal_patterns_all_match(void)
{
    GPtrArray *patterns = check_list_new();
    GPtrArray *events = check_list_new();

    for (int i = 0; i < 1000; i++) {
        check_list_add(patterns, "{\"a\":[1],\"b\":[\"x\"],\"c\":[{\"anything-but\":5}]}");
        check_list_add(patterns, "{\"a\":[1],\"b\":[\"x\"],\"d\":[{\"wildcard\":\"*%d*\"}]}", i);
    }
    check_list_add(events, "{\"a\":1,\"b\":\"x\",\"c\":4,\"d\":\"a77b\"}");
    check_list_add(events, "{\"a\":1,\"b\":\"x\",\"c\":5}");
    check_list_add(events, "{\"a\":1,\"b\":\"y\",\"c\":4}");
    check_assert_in_all_ways(patterns, events, 13);
}
int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } TESTS[] = {
        {"ten_thousand_paths_are_told_apart", test_ten_thousand_paths_are_told_apart},
        {"pattern_of_500_fields_needs_all", test_pattern_of_500_fields_needs_all},
        {"thousand_ways_are_all_ways", test_thousand_ways_are_all_ways},
        {"events_of_100000_leaves_are_read", test_events_of_100000_leaves_are_read},
        {"arrays_of_10000_objects_are_searched", test_arrays_of_10000_objects_are_searched},
        {"deep_arrays_are_searched", test_deep_arrays_are_searched},
        {"texts_of_a_mebibyte_are_read", test_texts_of_a_mebibyte_are_read},
        {"very_long_wildcards_are_tried_to_the_end", test_very_long_wildcards_are_tried_to_the_end},
        {"lists_of_500_values_are_looked_up", test_lists_of_500_values_are_looked_up},
        {"patterns_at_the_highest_limits_are_indexed",
         test_patterns_at_the_highest_limits_are_indexed},
        {"many_fields_in_arrays_are_kept_apart", test_many_fields_in_arrays_are_kept_apart},
        {"large_arrays_of_every_kind_are_fitted", test_large_arrays_of_every_kind_are_fitted},
        {"long_arrays_are_searched", test_long_arrays_are_searched},
        {"long_arrays_are_sorted", test_long_arrays_are_sorted},
        {"fields_beyond_the_first_64_are_tested", test_fields_beyond_the_first_64_are_tested},
        {"deep_events_are_walked", test_deep_events_are_walked},
        {"refused_texts_are_survived", test_refused_texts_are_survived},
        {"equal_patterns_all_match", test_equal_patterns_all_match},
        {"tables_of_thousands_of_nodes_are_searched",
         test_tables_of_thousands_of_nodes_are_searched},
        {"long_lists_on_several_fields_are_filed", test_long_lists_on_several_fields_are_filed},
        {"patterns_that_differ_in_the_last_field_are_told_apart",
         test_patterns_that_differ_in_the_last_field_are_told_apart},
        {"a_million_leaves_are_gathered", test_a_million_leaves_are_gathered},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(TESTS); i++) {
        g_autofree char *path = g_strconcat("/matcher_large/", TESTS[i].name, NULL);

        g_test_add_func(path, TESTS[i].run);
    }
    return g_test_run();
}
