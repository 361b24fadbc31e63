#include "core/campaign.h"

#include <glib.h>

/* An active campaign for events of that type. Owned by caller. */
static struct campaign *campaign_for(const char *id, const char *event_type, const char *status)
{
    g_autofree char *json = g_strdup_printf("{\"id\":\"%s\",\"name\":\"%s\",\"status\":\"%s\","
                                            "\"rules\":{\"event_type\":[\"%s\"]},"
                                            "\"then\":[{\"type\":\"%s\"}]}",
                                            id, id, status, event_type, id);
    struct problems problems;
    struct campaign *c;

    problems_init(&problems);
    c = campaign_parse(slice_text(json), SLICE(""), &problems);
    g_assert_nonnull(c);
    problems_done(&problems);
    return c;
}

static void read_event(struct flat *flat, const char *json)
{
    size_t used;

    flat_init(flat);
    g_assert_true(flat_parse(flat, slice_text(json), 0, &used, NULL));
}

/* The ids that match, joined by ' '. Owned by caller. */
static char *matches(const struct campaign_set *set, const char *json)
{
    GString *ids = g_string_new(NULL);
    const struct campaign_set_entry *entries;
    struct arena arena = {0};
    struct flat flat;
    size_t count;

    read_event(&flat, json);
    count = campaign_set_match(set, &flat, &arena, &entries);
    for (size_t i = 0; i < count; i++)
        g_string_append_printf(ids, "%s%.*s", i > 0 ? " " : "", SLICE_ARG(entries[i].id));
    arena_done(&arena);
    flat_done(&flat);
    return g_string_free(ids, FALSE);
}

static void assert_matches(const struct campaign_set *set, const char *json, const char *ids)
{
    g_autofree char *found = matches(set, json);

    g_assert_cmpstr(found, ==, ids);
}

static void test_matches_are_ordered_by_id(void)
{
    struct campaign_set *set = campaign_set_new(7);

    campaign_set_add(set, campaign_for("m", "purchase", "active"), 1);
    campaign_set_add(set, campaign_for("z", "purchase", "active"), 1);
    campaign_set_add(set, campaign_for("a", "purchase", "active"), 1);
    campaign_set_add(set, campaign_for("a-1", "purchase", "active"), 1);
    campaign_set_add(set, campaign_for("b", "login", "active"), 1);
    g_assert_cmpint(campaign_set_generation(set), ==, 7);
    g_assert_cmpuint(campaign_set_count(set), ==, 5);
    assert_matches(set, "{\"event_type\":\"purchase\"}", "a a-1 m z");
    assert_matches(set, "{\"event_type\":\"login\"}", "b");
    assert_matches(set, "{\"event_type\":\"logout\"}", "");
    campaign_set_unref(set);
}

static void test_keeps_active_campaigns_only(void)
{
    struct campaign_set *set = campaign_set_new(1);

    campaign_set_add(set, campaign_for("a", "purchase", "draft"), 1);
    campaign_set_add(set, campaign_for("b", "purchase", "paused"), 1);
    campaign_set_add(set, campaign_for("c", "purchase", "ended"), 1);
    campaign_set_add(set, campaign_for("d", "purchase", "active"), 1);
    g_assert_cmpuint(campaign_set_count(set), ==, 1);
    assert_matches(set, "{\"event_type\":\"purchase\"}", "d");
    campaign_set_unref(set);
}

static void test_entries_carry_version_and_rewards(void)
{
    struct campaign_set *set = campaign_set_new(1);
    const struct campaign_set_entry *entries;
    struct arena arena = {0};
    struct flat flat;

    campaign_set_add(set, campaign_for("gold", "purchase", "active"), 42);
    read_event(&flat, "{\"event_type\":\"purchase\"}");
    g_assert_cmpuint(campaign_set_match(set, &flat, &arena, &entries), ==, 1);
    g_assert_cmpint(entries[0].version, ==, 42);
    g_assert_cmpmem(entries[0].then.data, entries[0].then.size, "[{\"type\":\"gold\"}]", 17);
    arena_done(&arena);
    flat_done(&flat);
    campaign_set_unref(set);
}

static void test_many_campaigns_may_match(void)
{
    struct campaign_set *set = campaign_set_new(1);
    g_autoptr(GString) expected = g_string_new(NULL);

    for (int i = 99; i >= 0; i--) {
        g_autofree char *id = g_strdup_printf("c%02d", i);

        campaign_set_add(set, campaign_for(id, "purchase", "active"), 1);
    }
    for (int i = 0; i < 100; i++)
        g_string_append_printf(expected, "%sc%02d", i > 0 ? " " : "", i);
    assert_matches(set, "{\"event_type\":\"purchase\"}", expected->str);
    campaign_set_unref(set);
}

static void test_an_empty_set_matches_nothing(void)
{
    struct campaign_set *set = campaign_set_new(1);

    assert_matches(set, "{\"event_type\":\"purchase\"}", "");
    campaign_set_unref(set);
    campaign_set_unref(NULL);
}

static void *match_and_release(void *user)
{
    struct campaign_set *set = user;

    for (int i = 0; i < 200; i++)
        assert_matches(set, "{\"event_type\":\"purchase\"}", "a");
    campaign_set_unref(set);
    return NULL;
}

static void test_lives_until_the_last_reference(void)
{
    struct campaign_set *set = campaign_set_new(1);
    GThread *threads[3];

    campaign_set_add(set, campaign_for("a", "purchase", "active"), 1);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("match", match_and_release, campaign_set_ref(set));
    campaign_set_unref(set);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
}

/* One of few texts, so that rules and events meet often. */
static const char *any_text(void)
{
    static const char *const texts[] = {"a", "b", "c", "d", "e", "", "abc"};

    return texts[g_test_rand_int_range(0, G_N_ELEMENTS(texts))];
}

/* A condition of each kind: plain texts (also several), and those that cannot be filed. */
static char *any_condition(void)
{
    const char *text = any_text();

    switch (g_test_rand_int_range(0, 9)) {
    case 0:
        return g_strdup_printf("[\"%s\",\"%s\"]", text, any_text());
    case 1:
        return g_strdup_printf("[{\"prefix\":\"%s\"}]", text);
    case 2:
        return g_strdup_printf("[\"%s\",{\"exists\":false}]", text);
    case 3:
        return g_strdup_printf("[{\"anything-but\":[\"%s\"]}]", text);
    case 4:
        return g_strdup_printf("[{\"numeric\":[\">\",%d]},\"%s\"]", g_test_rand_int_range(0, 9),
                               text);
    case 5:
        return g_strdup_printf("[null,\"%s\"]", text);
    default:
        return g_strdup_printf("[\"%s\"]", text);
    }
}

/* "f1":…,"n":{"f2":…},"$or":[…]: up to two of each. */
static char *any_rules(void)
{
    /* One in four has no plain text besides those below. */
    GString *rules = g_string_new(g_test_rand_int_range(0, 4) == 0
                                      ? "{\"event_type\":[{\"prefix\":\"t\"}],\"payload\":{"
                                        "\"x\":[{\"exists\":true}]"
                                      : "{\"event_type\":[\"t\"],\"payload\":{\"x\":[\"x\"]");
    int or_from = g_test_rand_int_range(0, 3);

    for (int i = 0; i < 2; i++) {
        g_autofree char *condition = any_condition();

        if (g_test_rand_bit())
            g_string_append_printf(rules, ",\"f%d\":%s", i, condition);
        else
            g_string_append_printf(rules, ",\"n%d\":{\"f\":%s}", i, condition);
    }
    if (or_from == 0) {
        g_autofree char *one = any_condition();
        g_autofree char *two = any_condition();

        g_string_append_printf(rules, ",\"$or\":[{\"f3\":%s},{\"f4\":%s}]", one, two);
    }
    g_string_append(rules, "}}");
    return g_string_free(rules, FALSE);
}

static void add_any(struct campaign_set *one, struct campaign_set *other, int number)
{
    g_autofree char *rules = any_rules();
    g_autofree char *json =
        g_strdup_printf("{\"id\":\"c-%d\",\"name\":\"c\",\"rules\":%s}", number, rules);
    struct problems problems;
    struct campaign *a, *b;

    problems_init(&problems);
    a = campaign_parse(slice_text(json), SLICE(""), &problems);
    b = campaign_parse(slice_text(json), SLICE(""), &problems);
    if (a != NULL) {
        campaign_set_add(one, a, 1);
        campaign_set_add(other, b, 1);
    }
    problems_done(&problems);
}

/* Members may be missing, stand twice, be numbers, null, or arrays of texts and objects. */
static char *any_event(void)
{
    static const char *const names[] = {"f0", "f1", "f3", "f4", "n0", "n1"};
    GString *json = g_string_new("{\"event_type\":\"t\",\"payload\":{\"x\":\"x\"");

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        bool is_nested = names[i][0] == 'n';
        g_autofree char *value = g_test_rand_int_range(0, 4) == 0
                                     ? g_strdup(g_test_rand_bit() ? "5" : "null")
                                     : g_strdup_printf("\"%s\"", any_text());
        g_autofree char *list = g_strdup_printf("[%s,\"%s\"]", value, any_text());
        const char *shown = g_test_rand_int_range(0, 4) == 0 ? list : value;

        if (g_test_rand_int_range(0, 5) == 0)
            continue;
        g_string_append_printf(json, is_nested ? ",\"%s\":{\"f\":%s}" : ",\"%s\":%s", names[i],
                               shown);
    }
    g_string_append(json, "}}");
    return g_string_free(json, FALSE);
}

/* Whatever the rules and the event: the index never loses a match, nor adds one. */
static void test_index_agrees_with_looking_at_each(void)
{
    unsigned matched = 0;

    for (int round = 0; round < 20; round++) {
        struct campaign_set *indexed = campaign_set_new(1);
        struct campaign_set *plain = campaign_set_new(1);

        for (int i = 0; i < 150; i++)
            add_any(indexed, plain, i);
        campaign_set_finish(indexed);
        g_assert_cmpuint(campaign_set_count(indexed), >, 64); /* more than one word of bits */
        for (int i = 0; i < 200; i++) {
            g_autofree char *event = any_event();
            g_autofree char *expected = matches(plain, event);

            assert_matches(indexed, event, expected);
            matched += *expected != '\0';
        }
        campaign_set_unref(indexed);
        campaign_set_unref(plain);
    }
    g_assert_cmpuint(matched, >, 1000); /* or the comparison would say little */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/campaign_set/matches_are_ordered_by_id", test_matches_are_ordered_by_id);
    g_test_add_func("/campaign_set/keeps_active_campaigns_only", test_keeps_active_campaigns_only);
    g_test_add_func("/campaign_set/entries_carry_version_and_rewards",
                    test_entries_carry_version_and_rewards);
    g_test_add_func("/campaign_set/many_campaigns_may_match", test_many_campaigns_may_match);
    g_test_add_func("/campaign_set/an_empty_set_matches_nothing",
                    test_an_empty_set_matches_nothing);
    g_test_add_func("/campaign_set/lives_until_the_last_reference",
                    test_lives_until_the_last_reference);
    g_test_add_func("/campaign_set/index_agrees_with_looking_at_each",
                    test_index_agrees_with_looking_at_each);
    return g_test_run();
}
