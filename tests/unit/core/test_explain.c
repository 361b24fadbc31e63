/* Why not, in words: a table of patterns, events, the path that is named and the sentence; and that
 * explain never says anything else than the evaluator, on every case of the language's files. */
#include "core/explain.h"

#include "core/explain_internal.h"

/* ---- helpers --------------------------------------------------------------------------------- */

struct fixture {
    struct arena arena;
    struct flat flat;
    struct pattern *pattern;
    struct explanation e;
};

static struct pattern *parse(const char *text)
{
    struct problems problems;
    struct pattern *pattern;

    problems_init(&problems);
    pattern = pattern_parse(slice_text(text), &PATTERN_LIMITS, "#", &problems);
    problems_done(&problems);
    return pattern;
}

/* The pattern must be a good one, and the event JSON. */
static void explain(struct fixture *f, const char *pattern, const char *event)
{
    size_t used;

    *f = (struct fixture){.pattern = parse(pattern)};
    arena_init(&f->arena);
    flat_init(&f->flat);
    if (f->pattern == NULL)
        g_error("%s is no pattern", pattern);
    if (!flat_parse(&f->flat, slice_text(event), 0, &used, NULL))
        g_error("%s is no JSON", event);
    explain_pattern(f->pattern, &f->flat, &f->arena, &f->e);
    g_assert_cmpint(f->e.matches, ==, pattern_matches(f->pattern, &f->flat));
}

static void done(struct fixture *f)
{
    pattern_free(f->pattern);
    flat_done(&f->flat);
    arena_done(&f->arena);
}

static char *text_of(struct slice s)
{
    return g_strndup(s.data != NULL ? s.data : "", s.size);
}

static void assert_text(struct slice found, const char *wanted)
{
    g_autofree char *text = text_of(found);

    g_assert_cmpstr(text, ==, wanted);
}

/* ---- one condition --------------------------------------------------------------------------- */

struct row {
    const char *pattern;
    const char *event;
    const char *path;
    const char *text;
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fixture f;

        explain(&f, rows[i].pattern, rows[i].event);
        if (f.e.matches)
            g_test_message("%s matches %s", rows[i].pattern, rows[i].event);
        g_assert_false(f.e.matches);
        assert_text(f.e.path, rows[i].path);
        assert_text(f.e.text, rows[i].text);
        done(&f);
    }
}

static void test_strings(void)
{
    static const struct row rows[] = {
        {"{\"a\":[\"DE\"]}", "{\"a\":\"FR\"}", "a", "a is \"FR\"; it must be \"DE\""},
        {"{\"a\":[\"DE\",\"AT\"]}", "{\"a\":\"FR\"}", "a",
         "a is \"FR\"; it must be one of \"AT\", \"DE\""},
        {"{\"a\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\"]}", "{\"a\":\"x\"}", "a",
         "a is \"x\"; it must be one of \"1\", \"2\", \"3\", \"4\", \"5\" or one of 2 more"},
        {"{\"a\":[\"DE\"]}", "{\"a\":\"de\"}", "a",
         "a is \"de\"; it must be \"DE\" (it differs only in case)"},
        {"{\"a\":[\"Ä\"]}", "{\"a\":\"ä\"}", "a",
         "a is \"ä\"; it must be \"Ä\" (it differs only in case)"},
        {"{\"a\":[\"DE\"]}", "{\"a\":\"DE \"}", "a", "a is \"DE \"; it must be \"DE\""},
        {"{\"a\":[\"5\"]}", "{\"a\":5}", "a", "a is the number 5; it must be \"5\""},
        {"{\"a\":[\"true\"]}", "{\"a\":true}", "a", "a is true; it must be \"true\""},
        {"{\"a\":[\"x\"]}", "{\"a\":null}", "a", "a is null; it must be \"x\""},
        {"{\"a\":[\"x\"]}", "{\"a\":\"\"}", "a", "a is \"\"; it must be \"x\""},
        {"{\"a\":[\"x\"]}", "{\"a\":\"say \\\"x\\\"\\n\"}", "a",
         "a is \"say \\\"x\\\"\\n\"; it must be \"x\""},
        {"{\"a\":[{\"exactly\":\"10.0.0.9\"}]}", "{\"a\":\"010.0.0.9\"}", "a",
         "a is \"010.0.0.9\"; it must be exactly \"10.0.0.9\""},
        {"{\"a\":[{\"prefix\":\"shoe-\"}]}", "{\"a\":\"sock-1\"}", "a",
         "a is \"sock-1\"; it must begin with \"shoe-\""},
        {"{\"a\":[{\"prefix\":\"shoe-\"}]}", "{\"a\":\"Shoe-1\"}", "a",
         "a is \"Shoe-1\"; it must begin with \"shoe-\" (it differs only in case)"},
        {"{\"a\":[{\"prefix\":\"shoe-\"}]}", "{\"a\":7}", "a",
         "a is the number 7; prefix conditions only match strings"},
        {"{\"a\":[{\"suffix\":\".png\"}]}", "{\"a\":\"x.PNG\"}", "a",
         "a is \"x.PNG\"; it must end with \".png\" (it differs only in case)"},
        {"{\"a\":[{\"suffix\":\".png\"}]}", "{\"a\":null}", "a",
         "a is null; suffix conditions only match strings"},
        {"{\"a\":[{\"prefix\":{\"equals-ignore-case\":\"SHOE\"}}]}", "{\"a\":\"my shoe\"}", "a",
         "a is \"my shoe\"; it must begin with \"shoe\" in upper or lower case"},
        {"{\"a\":[{\"suffix\":{\"equals-ignore-case\":\"E\"}}]}", "{\"a\":\"x\"}", "a",
         "a is \"x\"; it must end with \"e\" in upper or lower case"},
        {"{\"a\":[{\"equals-ignore-case\":\"Käse\"}]}", "{\"a\":\"kaese\"}", "a",
         "a is \"kaese\"; it must be \"käse\" in upper or lower case"},
        {"{\"a\":[{\"wildcard\":\"order/*/\\\\*-*\"}]}", "{\"a\":\"order/7\"}", "a",
         "a is \"order/7\"; it must fit the wildcard \"order/*/\\\\*-*\""},
        {"{\"a\":[{\"wildcard\":\"a*\"}]}", "{\"a\":true}", "a",
         "a is true; wildcard conditions only match strings"},
        {"{\"a\":[{\"prefix\":\"a\"},{\"suffix\":\"z\"}]}", "{\"a\":\"b\"}", "a",
         "a is \"b\"; it must begin with \"a\" or end with \"z\""},
        {"{\"a\":[\"q\",{\"prefix\":\"a\"},{\"suffix\":\"z\"},null]}", "{\"a\":\"b\"}", "a",
         "a is \"b\"; it must be one of \"q\", null, begin with \"a\" or end with \"z\""},
        {"{\"a\":[{\"prefix\":\"1\"},{\"prefix\":\"2\"},{\"prefix\":\"3\"},{\"prefix\":\"4\"},"
         "{\"prefix\":\"5\"},{\"prefix\":\"6\"},{\"prefix\":\"7\"},{\"prefix\":\"8\"}]}",
         "{\"a\":\"x\"}", "a",
         "a is \"x\"; it must begin with \"1\", begin with \"2\", begin with \"3\", begin with "
         "\"4\", begin with \"5\", begin with \"6\" or fulfil one of 2 other conditions"},
    };

    check_rows(rows, G_N_ELEMENTS(rows));
}

static void test_numbers(void)
{
    static const struct row rows[] = {
        {"{\"payload\":{\"amount\":[{\"numeric\":[\">=\",50]}]}}", "{\"payload\":{\"amount\":20}}",
         "payload.amount", "payload.amount is 20; it must be at least 50"},
        {"{\"payload\":{\"amount\":[{\"numeric\":[\">\",50]}]}}",
         "{\"payload\":{\"amount\":\"75\"}}", "payload.amount",
         "payload.amount is the string \"75\"; numeric conditions only match numbers"},
        {"{\"a\":[{\"numeric\":[\">\",50]}]}", "{\"a\":50}", "a",
         "a is 50; it must be more than 50"},
        {"{\"a\":[{\"numeric\":[\"<\",50]}]}", "{\"a\":50.0}", "a",
         "a is 50.0; it must be less than 50"},
        {"{\"a\":[{\"numeric\":[\"<=\",0.1]}]}", "{\"a\":5e1}", "a",
         "a is 5e1; it must be at most 0.1"},
        {"{\"a\":[{\"numeric\":[\"=\",5]}]}", "{\"a\":6}", "a", "a is 6; it must be 5"},
        {"{\"a\":[{\"numeric\":[\">=\",10,\"<\",50]}]}", "{\"a\":50}", "a",
         "a is 50; it must be at least 10 and less than 50"},
        {"{\"a\":[{\"numeric\":[\">\",-1,\"<=\",0]}]}", "{\"a\":-1}", "a",
         "a is -1; it must be more than -1 and at most 0"},
        {"{\"a\":[{\"numeric\":[\">\",0]}]}", "{\"a\":0}", "a", "a is 0; it must be more than 0"},
        {"{\"a\":[{\"numeric\":[\"<\",0]}]}", "{\"a\":-0}", "a", "a is -0; it must be less than 0"},
        {"{\"a\":[{\"numeric\":[\">\",1]}]}", "{\"a\":9007199254740993}", "a",
         "a is 9007199254740993, which cannot be compared exactly (it does not fit a double); "
         "it must be more than 1"},
        {"{\"a\":[{\"numeric\":[\">\",1]}]}", "{\"a\":true}", "a",
         "a is true; numeric conditions only match numbers"},
        {"{\"a\":[{\"numeric\":[\">\",1]}]}", "{\"a\":null}", "a",
         "a is null; numeric conditions only match numbers"},
        {"{\"a\":[75]}", "{\"a\":\"75\"}", "a", "a is the string \"75\"; it must be 75"},
        {"{\"a\":[35,7.5]}", "{\"a\":36}", "a", "a is 36; it must be one of 35, 7.5"},
        {"{\"a\":[{\"numeric\":[\"<\",1]},{\"numeric\":[\">\",9]}]}", "{\"a\":5}", "a",
         "a is 5; it must be less than 1 or be more than 9"},
        {"{\"a\":[\"x\",{\"numeric\":[\">\",9]}]}", "{\"a\":5}", "a",
         "a is 5; it must be \"x\" or be more than 9"},
        {"{\"a\":[1]}", "{\"a\":12345678901234567890123456789012345678901234567890}", "a",
         "a is 1234567890123456789012345678901234567890…; it must be 1"},
    };

    check_rows(rows, G_N_ELEMENTS(rows));
}

static void test_words_and_presence(void)
{
    static const struct row rows[] = {
        {"{\"a\":[true]}", "{\"a\":false}", "a", "a is false; it must be true"},
        {"{\"a\":[true]}", "{\"a\":\"true\"}", "a", "a is the string \"true\"; it must be true"},
        {"{\"a\":[null,false]}", "{\"a\":0}", "a",
         "a is the number 0; it must be one of null, false"},
        {"{\"a\":[null]}", "{}", "a", "a is absent; it must be null"},
        {"{\"a\":[{\"exists\":true}]}", "{\"b\":1}", "a", "a is absent; it must exist"},
        {"{\"a\":[{\"exists\":true}]}", "{\"a\":[]}", "a", "a is absent; it must exist"},
        {"{\"a\":[{\"exists\":true}]}", "{\"a\":{\"b\":1}}", "a",
         "a is an object, not a plain value; it must exist"},
        {"{\"a\":[{\"exists\":false}]}", "{\"a\":\"x\"}", "a", "a is \"x\"; it must not exist"},
        {"{\"a\":[{\"exists\":false}]}", "{\"a\":null}", "a", "a is null; it must not exist"},
        {"{\"a\":[{\"exists\":false},\"x\"]}", "{\"a\":\"y\"}", "a",
         "a is \"y\"; it must be \"x\" or be absent"},
        {"{\"payload\":{\"amount\":[5]}}", "{\"payload\":{\"Amount\":5}}", "payload.amount",
         "payload.amount is absent (payload.Amount is there: the case of names counts); "
         "it must be 5"},
        {"{\"payload\":{\"amount\":[{\"numeric\":[\">=\",50]}]}}", "{\"payload\":{}}",
         "payload.amount", "payload.amount is absent; it must be at least 50"},
        {"{\"\":[1]}", "{\"a\":1}", "", "\"\" is absent; it must be 1"},
        {"{\"a.b\":[1]}", "{\"a\":{\"b\":2}}", "a.b", "a.b is 2; it must be 1"},
    };

    check_rows(rows, G_N_ELEMENTS(rows));
}

static void test_anything_but(void)
{
    static const struct row rows[] = {
        {"{\"a\":[{\"anything-but\":\"de\"}]}", "{\"a\":\"de\"}", "a",
         "a is \"de\"; it must be anything but \"de\""},
        {"{\"a\":[{\"anything-but\":[\"de\",\"at\"]}]}", "{\"a\":\"at\"}", "a",
         "a is \"at\"; it must be anything but \"de\", \"at\""},
        {"{\"a\":[{\"anything-but\":\"de\"}]}", "{}", "a",
         "a is absent; it must be there and be anything but \"de\""},
        {"{\"a\":[{\"anything-but\":[1,2.5]}]}", "{\"a\":2.50}", "a",
         "a is 2.50; it must be anything but 1, 2.5"},
        {"{\"a\":[{\"anything-but\":{\"prefix\":\"test-\"}}]}", "{\"a\":\"test-1\"}", "a",
         "a is \"test-1\"; it must not begin with \"test-\""},
        {"{\"a\":[{\"anything-but\":{\"suffix\":[\"x\",\"y\"]}}]}", "{\"a\":\"oy\"}", "a",
         "a is \"oy\"; it must not end with \"x\", \"y\""},
        {"{\"a\":[{\"anything-but\":{\"equals-ignore-case\":\"Test\"}}]}", "{\"a\":\"TEST\"}", "a",
         "a is \"TEST\"; it must not be \"test\" in upper or lower case"},
        {"{\"a\":[{\"anything-but\":{\"wildcard\":\"*@x.org\"}}]}", "{\"a\":\"me@x.org\"}", "a",
         "a is \"me@x.org\"; it must not fit the wildcard \"*@x.org\""},
        {"{\"a\":[{\"anything-but\":[\"b\"]}]}", "{\"a\":[\"b\",\"b\"]}", "a",
         "a has 2 values (\"b\", \"b\"); one of them must be anything but \"b\""},
    };

    check_rows(rows, G_N_ELEMENTS(rows));
}

static void test_addresses(void)
{
    static const struct row rows[] = {
        {"{\"ip\":[{\"cidr\":\"10.0.0.0/8\"}]}", "{\"ip\":\"11.0.0.1\"}", "ip",
         "ip is \"11.0.0.1\"; it must be an address in 10.0.0.0/8"},
        {"{\"ip\":[{\"cidr\":\"10.0.0.0/8\"}]}", "{\"ip\":\"ten\"}", "ip",
         "ip is \"ten\", which is no IP address; it must be an address in 10.0.0.0/8"},
        {"{\"ip\":[{\"cidr\":\"10.0.0.0/8\"}]}", "{\"ip\":10}", "ip",
         "ip is the number 10; cidr conditions only match strings"},
        {"{\"ip\":[\"10.0.0.9\"]}", "{\"ip\":\"10.0.0.8\"}", "ip",
         "ip is \"10.0.0.8\"; it must be the address 10.0.0.9"},
        {"{\"ip\":[\"2001:DB8:0:0:1:0:0:1\"]}", "{\"ip\":\"::1\"}", "ip",
         "ip is \"::1\"; it must be the address 2001:db8::1:0:0:1"},
        {"{\"ip\":[{\"cidr\":\"fe80::/10\"}]}", "{\"ip\":\"::\"}", "ip",
         "ip is \"::\"; it must be an address in fe80::/10"},
        {"{\"ip\":[\"::\"]}", "{\"ip\":\"::1\"}", "ip", "ip is \"::1\"; it must be the address ::"},
    };

    check_rows(rows, G_N_ELEMENTS(rows));
}

static void test_arrays(void)
{
    static const struct row rows[] = {
        {"{\"tags\":[\"vip\"]}", "{\"tags\":[\"new\",\"old\"]}", "tags",
         "tags has 2 values (\"new\", \"old\"); one of them must be \"vip\""},
        {"{\"tags\":[\"vip\"]}", "{\"tags\":[\"new\",\"VIP\"]}", "tags",
         "tags has 2 values (\"new\", \"VIP\"); one of them must be \"vip\" "
         "(it differs only in case)"},
        {"{\"tags\":[\"vip\"]}", "{\"tags\":[1,2,3,4]}", "tags",
         "tags has 4 values (the number 1, the number 2, the number 3, …); one of them must be "
         "\"vip\""},
        {"{\"n\":[{\"numeric\":[\">\",5]}]}", "{\"n\":[\"6\",\"7\"]}", "n",
         "n has 2 values (the string \"6\", the string \"7\"); numeric conditions only match "
         "numbers"},
        {"{\"tags\":[\"vip\"]}", "{\"tags\":[\"new\"]}", "tags",
         "tags is \"new\"; it must be \"vip\""},
        {"{\"a\":[{\"exists\":false}]}", "{\"a\":[1,2]}", "a",
         "a has 2 values (1, 2); it must not exist"},
        {"{\"items\":{\"sku\":[\"shoe\"],\"count\":[2]}}",
         "{\"items\":[{\"sku\":\"shoe\",\"count\":1},{\"sku\":\"sock\",\"count\":2}]}",
         "items.count",
         "every condition is met, but not in one element of items: items[0].sku is \"shoe\", "
         "items[1].count is 2"},
        {"{\"p\":{\"items\":{\"ab\":[1],\"a\":[2]}}}", "{\"p\":{\"items\":[{\"ab\":1},{\"a\":2}]}}",
         "p.items.a",
         "every condition is met, but not in one element of p.items: p.items[0].ab is 1, "
         "p.items[1].a is 2"},
        {"{\"o\":{\"i\":{\"x\":[1],\"y\":[2]}}}",
         "{\"o\":[{\"i\":[{\"x\":1},{\"y\":2}]},{\"i\":[{\"x\":3}]}]}", "o.i.y",
         "every condition is met, but not in one element of o.i: o.i[0].x is 1, o.i[1].y is 2"},
        {"{\"items\":{\"sku\":[\"shoe\"],\"discount\":[{\"exists\":false}]}}",
         "{\"items\":[{\"sku\":\"shoe\",\"discount\":5},{\"sku\":\"sock\"}]}", "items.discount",
         "items.discount is 5; it must not exist in the element that meets the other conditions"},
        {"{\"items\":{\"discount\":[{\"exists\":false}]},\"a\":[1]}",
         "{\"a\":1,\"items\":[{\"discount\":5}]}", "items.discount",
         "items.discount is 5; it must not exist"},
        {"{\"a\":{\"x\":[1],\"y\":[1],\"z\":[1]}}",
         "{\"a\":[{\"x\":1,\"y\":1},{\"x\":1,\"z\":1},{\"y\":1,\"z\":1}]}", "a.z",
         "every condition is met, but no element of a meets all of them"},
        {"{\"payload\":{\"tags\":[{\"exists\":false}],\"a\":[1]}}",
         "{\"payload\":{\"tags\":[\"x\"],\"a\":2}}", "payload.tags",
         "payload.tags is \"x\"; it must not exist"},
        /* The first that does not go with those before it, not the last. */
        {"{\"a\":{\"x\":[1],\"y\":[1],\"z\":[1],\"w\":[1]}}",
         "{\"a\":[{\"x\":1,\"z\":1},{\"y\":1,\"w\":1}]}", "a.y",
         "every condition is met, but not in one element of a: a[0].x is 1, a[1].y is 1"},
        {"{\"a\":{\"x\":[1],\"y\":[1],\"z\":[1],\"w\":[1]}}",
         "{\"a\":[{\"x\":1,\"y\":1},{\"z\":1,\"w\":1}]}", "a.z",
         "every condition is met, but not in one element of a: a[0].x is 1, a[1].z is 1"},
    };

    check_rows(rows, G_N_ELEMENTS(rows));
}

static void test_order_is_that_of_the_pattern(void)
{
    static const struct row rows[] = {
        {"{\"z\":[{\"prefix\":\"x\"}],\"a\":[\"b\"]}", "{}", "z",
         "z is absent; it must begin with \"x\""},
        {"{\"z\":[{\"exists\":false}],\"a\":[\"b\"]}", "{\"z\":1}", "z",
         "z is 1; it must not exist"},
        {"{\"z\":[1],\"a\":[\"b\"]}", "{\"z\":1}", "a", "a is absent; it must be \"b\""},
    };

    check_rows(rows, G_N_ELEMENTS(rows));
}

/* ---- branches -------------------------------------------------------------------------------- */

#define BRANCHES                                                                                   \
    "{\"t\":[\"p\"],\"$or\":[{\"a\":[1],\"b\":[2]},{\"c\":[3]},{\"d\":[4],\"e\":[5],\"f\":[6]}]}"

static void test_nearest_branch_is_explained(void)
{
    static const struct {
        const char *event;
        size_t way;
        size_t failing;
        const char *path;
    } rows[] = {
        {"{\"t\":\"p\",\"a\":1}", 0, 1, "b"}, /* a tie with the second: first written */
        {"{\"t\":\"p\"}", 1, 1, "c"},
        {"{\"t\":\"p\",\"d\":4,\"e\":5}", 1, 1, "c"},
        {"{}", 1, 2, "t"},
        {"{\"t\":\"p\",\"b\":2}", 0, 1, "a"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fixture f;

        explain(&f, BRANCHES, rows[i].event);
        g_assert_cmpuint(f.e.way, ==, rows[i].way);
        g_assert_cmpuint(f.e.way_count, ==, 3);
        g_assert_cmpuint(f.e.failing, ==, rows[i].failing);
        assert_text(f.e.path, rows[i].path);
        done(&f);
    }
}

static void test_branch_that_matches_is_named(void)
{
    struct fixture f;

    explain(&f, BRANCHES, "{\"t\":\"p\",\"c\":3}");
    g_assert_true(f.e.matches);
    g_assert_cmpuint(f.e.way, ==, 1);
    assert_text(f.e.text, "all conditions of branch 2 of 3 are met");
    assert_text(f.e.branch, "[{\"path\":\"c\",\"expected\":[3]}]");
    done(&f);
    explain(&f, "{\"a\":[1]}", "{\"a\":1}");
    assert_text(f.e.text, "the condition is met");
    g_assert_cmpuint(f.e.branch.size, ==, 0);
    done(&f);
}

/* The branch where everything is met, but in two elements, is nearer than one with two failures. */
static void test_branch_fails_by_its_arrays(void)
{
    struct fixture f;

    explain(&f, "{\"$or\":[{\"x\":[1],\"y\":[1]},{\"i\":{\"a\":[1],\"b\":[1]}}]}",
            "{\"i\":[{\"a\":1},{\"b\":1}]}");
    g_assert_cmpuint(f.e.way, ==, 1);
    g_assert_cmpuint(f.e.failing, ==, 1);
    assert_text(f.e.path, "i.b");
    done(&f);
}

/* A value that must not be there and that no element leaves out fails like any other. */
static void test_unavoidable_presence_counts(void)
{
    struct fixture f;

    explain(&f, "{\"payload\":{\"tags\":[{\"exists\":false}],\"a\":[1]}}",
            "{\"payload\":{\"tags\":[\"x\"],\"a\":2}}");
    g_assert_cmpuint(f.e.failing, ==, 2);
    done(&f);
    explain(&f,
            "{\"$or\":[{\"tags\":[{\"exists\":false}],\"a\":[1],\"b\":[1]},{\"a\":[1],\"b\":[1]}]}",
            "{\"tags\":[\"x\"],\"a\":2,\"b\":1}");
    g_assert_cmpuint(f.e.way, ==, 1);
    g_assert_cmpuint(f.e.failing, ==, 1);
    assert_text(f.e.path, "a");
    done(&f);
    /* The second element leaves it out. */
    explain(&f, "{\"i\":{\"x\":[{\"exists\":false}],\"y\":[1]},\"a\":[1]}",
            "{\"i\":[{\"x\":1,\"y\":1},{\"y\":2}],\"a\":2}");
    g_assert_cmpuint(f.e.failing, ==, 1);
    assert_text(f.e.path, "a");
    done(&f);
}

/* Hundreds of branches, each with more to look at than is looked at: all are treated alike. */
static void test_many_branches_are_treated_alike(void)
{
    g_autoptr(GString) pattern = g_string_new("{");
    g_autoptr(GString) event = g_string_new("{");
    struct fixture f;

    for (int i = 0; i < 150; i++) {
        g_string_append_printf(pattern, "\"a%d\":[{\"exists\":false}],", i);
        g_string_append_printf(event, "%s\"a%d\":[1", i > 0 ? "," : "", i);
        for (int k = 1; k < 60; k++)
            g_string_append(event, ",1");
        g_string_append_c(event, ']');
    }
    g_string_append_c(event, '}');
    for (int i = 0; i < 300; i++)
        g_string_append_printf(pattern, "%s{\"o%d\":[1]}", i > 0 ? "," : "\"$or\":[", i);
    g_string_append(pattern, "]}");
    explain(&f, pattern->str, event->str);
    g_assert_cmpuint(f.e.way, ==, 0);
    g_assert_cmpuint(f.e.failing, >, 1);
    done(&f);
}

/* ---- as JSON --------------------------------------------------------------------------------- */

static void test_expected_and_actual_are_json(void)
{
    static const struct {
        const char *pattern;
        const char *event;
        const char *expected;
        const char *actual;
    } rows[] = {
        {"{\"a\":[{\"numeric\":[\">\",50]}]}", "{\"a\":20}", "[{\"numeric\":[\">\",50]}]", "20"},
        {"{\"a\":[{\"numeric\":[\">\",0.1,\"<=\",0.3]}]}", "{\"a\":0.1}",
         "[{\"numeric\":[\">\",0.1,\"<=\",0.3]}]", "0.1"},
        {"{\"a\":[{\"numeric\":[\"<\",1e300]}]}", "{}", "[{\"numeric\":[\"<\",1e+300]}]", "null"},
        {"{\"a\":[{\"numeric\":[\">\",1.7976931348623157e308]}]}", "{\"a\":1}",
         "[{\"numeric\":[\">\",1.7976931348623157e+308]}]", "1"},
        {"{\"a\":[{\"numeric\":[\"<\",-1.7976931348623157e308]}]}", "{\"a\":1}",
         "[{\"numeric\":[\"<\",-1.7976931348623157e+308]}]", "1"},
        {"{\"a\":[\"x\",5,null,{\"exists\":false}]}", "{\"a\":[true,\"y\"]}",
         "[\"x\",5,null,{\"exists\":false}]", "[true,\"y\"]"},
        {"{\"a\":[{\"prefix\":{\"equals-ignore-case\":\"Ab\"}},{\"cidr\":\"10.1.2.3/8\"}]}",
         "{\"a\":null}", "[{\"cidr\":\"10.1.2.3/8\"},{\"prefix\":{\"equals-ignore-case\":\"ab\"}}]",
         "null"},
        {"{\"a\":[{\"anything-but\":{\"wildcard\":[\"a*\",\"\\\\*\"]}}]}", "{\"a\":\"ab\"}",
         "[{\"anything-but\":{\"wildcard\":[\"a*\",\"\\\\*\"]}}]", "\"ab\""},
        {"{\"a\":[{\"anything-but\":[1,2]}]}", "{\"a\":1}", "[{\"anything-but\":[1,2]}]", "1"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fixture f;

        explain(&f, rows[i].pattern, rows[i].event);
        g_assert_false(f.e.matches);
        assert_text(f.e.expected, rows[i].expected);
        assert_text(f.e.actual, rows[i].actual);
        done(&f);
    }
}

static void test_absent_is_told_from_null(void)
{
    struct fixture f;

    explain(&f, "{\"a\":[1]}", "{}");
    g_assert_true(f.e.is_absent);
    done(&f);
    explain(&f, "{\"a\":[1]}", "{\"a\":null}");
    g_assert_false(f.e.is_absent);
    done(&f);
}

static void test_long_texts_and_lists_are_cut(void)
{
    g_autoptr(GString) pattern = g_string_new("{\"a\":[");
    g_autoptr(GString) event = g_string_new("{\"a\":[");
    g_autofree char *text = g_strnfill(30000, 'x');
    struct fixture f;

    for (int i = 0; i < 400; i++)
        g_string_append_printf(pattern, "%s\"é%d%.100s\"", i > 0 ? "," : "", i, text);
    g_string_append(pattern, "]}");
    for (int i = 0; i < 400; i++)
        g_string_append_printf(event, "%s\"%s\"", i > 0 ? "," : "", text);
    g_string_append(event, "]}");
    explain(&f, pattern->str, event->str);
    g_assert_cmpuint(f.e.expected.size, <, 4000);
    g_assert_cmpuint(f.e.actual.size, <, 4000);
    g_assert_cmpuint(f.e.text.size, <, 1500);
    g_assert_nonnull(json_parse(f.e.expected, &f.arena, NULL));
    g_assert_nonnull(json_parse(f.e.actual, &f.arena, NULL));
    g_assert_nonnull(strstr(f.e.expected.data, "… and 380 more"));
    g_assert_nonnull(strstr(f.e.actual.data, "… and 380 more"));
    done(&f);
}

/* In the JSON a number is a number until it is too long; only the sentence is cut before. */
static void test_long_numbers_stay_numbers(void)
{
    struct fixture f;

    explain(&f, "{\"a\":[1]}", "{\"a\":12345678901234567890123456789012345678901}");
    assert_text(f.e.actual, "12345678901234567890123456789012345678901");
    assert_text(f.e.text, "a is 1234567890123456789012345678901234567890…; it must be 1");
    done(&f);
    explain(
        &f, "{\"a\":[1]}",
        "{\"a\":123456789012345678901234567890123456789012345678901234567890123456789012345678901}");
    assert_text(f.e.actual, "\"12345678901234567890123456789012345678901234567890123456789012345678"
                            "901234567890…\"");
    done(&f);
}

static void test_paths_may_have_any_characters(void)
{
    static const char text[] = "a\0b is absent; it must be \"x\"";
    struct fixture f;

    explain(&f, "{\"a\\u0000b\":[\"x\"]}", "{}");
    g_assert_true(slice_equal(f.e.text, slice_of(text, sizeof(text) - 1)));
    done(&f);
}

static void test_long_branches_tell_how_many_more(void)
{
    g_autoptr(GString) pattern = g_string_new("{\"all\":[1],\"$or\":[{\"z\":[1]},{\"c0\":[1]");
    g_autoptr(GString) out = g_string_new(NULL);
    struct fixture f;
    struct json_writer w;

    for (int i = 1; i < 13; i++)
        g_string_append_printf(pattern, ",\"c%d\":[1]", i);
    g_string_append(pattern, "}]}");
    explain(&f, pattern->str,
            "{\"all\":1,\"c0\":1,\"c1\":1,\"c2\":1,\"c3\":1,\"c4\":1,\"c5\":1,\"c6\":1,\"c7\":1,"
            "\"c8\":1,\"c9\":1,\"c10\":1,\"c11\":1,\"c12\":1}");
    g_assert_true(f.e.matches);
    g_assert_cmpuint(f.e.branch_more, ==, 3);
    json_writer_init(&w, out);
    json_open_object(&w);
    explain_write(&w, &f.e);
    json_close_object(&w);
    g_assert_true(g_str_has_suffix(out->str, "{\"path\":\"c9\",\"expected\":[1]}],\"more\":3}}"));
    done(&f);
}

static void test_written_members(void)
{
    struct fixture f;
    struct json_writer w;
    g_autoptr(GString) out = g_string_new(NULL);

    explain(&f, "{\"$or\":[{\"a\":[1]},{\"b\":[2]}]}", "{\"a\":2}");
    json_writer_init(&w, out);
    json_open_object(&w);
    explain_write(&w, &f.e);
    json_close_object(&w);
    g_assert_cmpstr(out->str, ==,
                    "{\"matches\":false,\"text\":\"a is 2; it must be 1\",\"conditions\":1,"
                    "\"failing\":1,\"reason\":{\"path\":\"a\",\"expected\":[1],\"actual\":2,"
                    "\"absent\":false,\"text\":\"a is 2; it must be 1\"},"
                    "\"branch\":{\"number\":1,\"count\":2,"
                    "\"conditions\":[{\"path\":\"a\",\"expected\":[1]}]}}");
    done(&f);
}

/* ---- the cases of the language --------------------------------------------------------------- */

/* Everything that explain says of one case, held against the evaluator. */
struct language_case {
    char *pattern;
    char *event;
};

/* What the field expects, read as a pattern again, gives the same answer as the field alone. Long
 * lists and texts were cut and say something else. */
static void check_rendering(const struct pattern *p, uint32_t i, const struct flat *event)
{
    const struct pattern_field *field = &p->fields[i];
    const struct pattern_conjunction alone = {.fields = &i, .count = 1};
    g_autoptr(GString) text = g_string_new(NULL);
    struct pattern *again;
    struct json_writer w;

    json_writer_init(&w, text);
    json_open_object(&w);
    json_key_slice(&w, field->path);
    explain_append_expected(text, field);
    w.needs_comma = true;
    json_close_object(&w);
    if (strstr(text->str, "…") != NULL)
        return;
    again = parse(text->str);
    if (again == NULL)
        g_error("%s is no pattern", text->str);
    if (pattern_matches(again, event) != pattern_search(p, &alone, event))
        g_error("%s answers differently", text->str);
    pattern_free(again);
}

/* A condition that is said to fail by itself does, and the text names it. */
static void check_failure(const struct fixture *f)
{
    struct arena a = {0};
    uint32_t i = 0;

    while (i < f->pattern->field_count && !slice_equal(f->pattern->fields[i].path, f->e.path))
        i++;
    g_assert_cmpuint(i, <, f->pattern->field_count);
    g_assert_cmpuint(f->e.failing, >=, 1);
    g_assert_cmpuint(f->e.failing, <=, f->e.conditions);
    g_assert_cmpuint(f->e.text.size, >, 0);
    g_assert_nonnull(json_parse(f->e.expected, &a, NULL));
    g_assert_nonnull(json_parse(f->e.actual, &a, NULL));
    arena_done(&a);
}

static void check_case(gconstpointer data)
{
    const struct language_case *c = data;
    struct fixture f;

    explain(&f, c->pattern, c->event); /* asserts that both agree */
    if (!f.e.matches)
        check_failure(&f);
    else
        g_assert_cmpuint(f.e.failing, ==, 0);
    g_assert_cmpuint(f.e.way, <, pattern_way_count(f.pattern));
    for (uint32_t i = 0; i < f.pattern->field_count; i++)
        check_rendering(f.pattern, i, &f.flat);
    done(&f);
}

static void free_case(gpointer data)
{
    struct language_case *c = data;

    g_free(c->pattern);
    g_free(c->event);
    g_free(c);
}

static void add_case(const char *line, const char *file, size_t number)
{
    struct arena arena = {0};
    const struct json_value *object = json_parse(slice_text(line), &arena, NULL);
    struct language_case *c = g_new0(struct language_case, 1);
    g_autofree char *base = g_path_get_basename(file);
    g_autofree char *name = g_strdup_printf("/explain/%s/%zu", base, number);
    struct pattern *pattern;

    c->pattern = text_of(json_get_text(object, "pattern"));
    c->event = text_of(json_get_text(object, "event"));
    arena_done(&arena);
    pattern = c->event[0] != '\0' ? parse(c->pattern) : NULL;
    if (pattern != NULL)
        g_test_add_data_func_full(name, c, check_case, free_case);
    else
        free_case(c);
    pattern_free(pattern);
}

/* The peer's file stands beside the project, not in it. */
static void add_cases(const char *file)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(file, &text, NULL, NULL))
        return;
    lines = g_strsplit(text, "\n", -1);
    for (size_t i = 0; lines[i] != NULL; i++)
        if (lines[i][0] != '\0')
            add_case(lines[i], file, i + 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/explain/strings", test_strings);
    g_test_add_func("/explain/numbers", test_numbers);
    g_test_add_func("/explain/words_and_presence", test_words_and_presence);
    g_test_add_func("/explain/anything_but", test_anything_but);
    g_test_add_func("/explain/addresses", test_addresses);
    g_test_add_func("/explain/arrays", test_arrays);
    g_test_add_func("/explain/order_is_that_of_the_pattern", test_order_is_that_of_the_pattern);
    g_test_add_func("/explain/nearest_branch_is_explained", test_nearest_branch_is_explained);
    g_test_add_func("/explain/branch_that_matches_is_named", test_branch_that_matches_is_named);
    g_test_add_func("/explain/branch_fails_by_its_arrays", test_branch_fails_by_its_arrays);
    g_test_add_func("/explain/expected_and_actual_are_json", test_expected_and_actual_are_json);
    g_test_add_func("/explain/absent_is_told_from_null", test_absent_is_told_from_null);
    g_test_add_func("/explain/long_texts_and_lists_are_cut", test_long_texts_and_lists_are_cut);
    g_test_add_func("/explain/unavoidable_presence_counts", test_unavoidable_presence_counts);
    g_test_add_func("/explain/many_branches_are_treated_alike",
                    test_many_branches_are_treated_alike);
    g_test_add_func("/explain/long_numbers_stay_numbers", test_long_numbers_stay_numbers);
    g_test_add_func("/explain/paths_may_have_any_characters", test_paths_may_have_any_characters);
    g_test_add_func("/explain/long_branches_tell_how_many_more",
                    test_long_branches_tell_how_many_more);
    g_test_add_func("/explain/written_members", test_written_members);
    for (int i = 1; i < argc; i++)
        add_cases(argv[i]);
    return g_test_run();
}
