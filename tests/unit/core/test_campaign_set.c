#include "core/campaign_set.h"

#include <glib.h>

#include "common/error.h"

/* A campaign of any document. Owned by caller. */
static struct campaign *campaign_of(const char *json)
{
    struct problems problems;
    struct campaign *c;

    problems_init(&problems);
    c = campaign_parse(slice_text(json), SLICE(""), &problems);
    problems_done(&problems);
    return c;
}

/* A campaign for events of that type. Owned by caller. */
static struct campaign *campaign_for(const char *id, const char *event_type, const char *status)
{
    g_autofree char *json = g_strdup_printf("{\"id\":\"%s\",\"name\":\"%s\",\"status\":\"%s\","
                                            "\"rules\":{\"event_type\":[\"%s\"]},"
                                            "\"then\":[{\"type\":\"%s\"}]}",
                                            id, id, status, event_type, id);
    struct campaign *c = campaign_of(json);

    g_assert_nonnull(c);
    return c;
}

/* A base of active campaigns c00, c01 … for purchases. */
static struct campaign_set *base_of(int count, int64_t generation)
{
    struct campaign_set_builder *b = campaign_set_builder_new();
    struct campaign_set *set;

    for (int i = 0; i < count; i++) {
        g_autofree char *id = g_strdup_printf("c%02d", i);
        struct campaign *c = campaign_for(id, "purchase", "active");

        campaign_set_builder_add(b, c, 1);
        campaign_free(c);
    }
    set = campaign_set_builder_finish(b, generation, 0, NULL);
    g_assert_nonnull(set);
    campaign_set_builder_free(b);
    return set;
}

/* Replaces *set by one with the change; campaign: NULL is none any more. */
static void change(struct campaign_set **set, const char *id, struct campaign *campaign,
                   int64_t version)
{
    struct campaign_set_change one = {slice_text(id), campaign, version};
    struct campaign_set *changed =
        campaign_set_change(*set, &one, 1, campaign_set_generation(*set) + 1, 0, NULL);

    g_assert_nonnull(changed);
    campaign_set_unref(*set);
    *set = changed;
}

static void read_event(struct flat *flat, const char *json)
{
    size_t used;

    flat_init(flat);
    g_assert_true(flat_parse(flat, slice_text(json), 0, &used, NULL));
}

/* "a@1 b@3": what matches, in the order found. Owned by caller. */
static char *matches(const struct campaign_set *set, const char *json)
{
    struct matcher_run *run = matcher_run_new();
    GString *ids = g_string_new(NULL);
    struct campaign_set_found found;
    struct arena arena = {0};
    struct flat flat;

    read_event(&flat, json);
    campaign_set_match(set, run, &flat, &arena, &found);
    for (size_t i = 0; i < found.count; i++)
        g_string_append_printf(ids, "%s%.*s@%" G_GINT64_FORMAT, i > 0 ? " " : "",
                               SLICE_ARG(found.entries[i].id), found.entries[i].version);
    arena_done(&arena);
    flat_done(&flat);
    matcher_run_free(run);
    return g_string_free(ids, FALSE);
}

static void assert_matches(const struct campaign_set *set, const char *json, const char *ids)
{
    g_autofree char *found = matches(set, json);

    g_assert_cmpstr(found, ==, ids);
}

static size_t rules_of(const struct campaign_set *set)
{
    struct campaign_set_figures figures;

    campaign_set_get_figures(set, &figures);
    return figures.rules;
}

#define PURCHASE "{\"event_type\":\"purchase\"}"

static void test_matches_are_ordered_by_id(void)
{
    struct campaign_set *set = base_of(2, 7);

    g_assert_cmpint(campaign_set_generation(set), ==, 7);
    change(&set, "m", campaign_for("m", "purchase", "active"), 1);
    change(&set, "a", campaign_for("a", "purchase", "active"), 1);
    change(&set, "c00-1", campaign_for("c00-1", "purchase", "active"), 1);
    change(&set, "b", campaign_for("b", "login", "active"), 1);
    g_assert_cmpint(campaign_set_generation(set), ==, 11);
    g_assert_cmpuint(rules_of(set), ==, 6);
    assert_matches(set, PURCHASE, "a@1 c00@1 c00-1@1 c01@1 m@1");
    assert_matches(set, "{\"event_type\":\"login\"}", "b@1");
    assert_matches(set, "{\"event_type\":\"logout\"}", "");
    campaign_set_unref(set);
}

static void test_keeps_active_campaigns_only(void)
{
    struct campaign_set_builder *b = campaign_set_builder_new();
    static const char *const others[] = {"draft", "ended", "paused"}; /* ids ascend */
    struct campaign_set *set;

    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        struct campaign *c = campaign_for(others[i], "purchase", others[i]);

        campaign_set_builder_add(b, c, 1);
        campaign_free(c);
    }
    set = campaign_set_builder_finish(b, 1, 0, NULL);
    campaign_set_builder_free(b);
    assert_matches(set, PURCHASE, "");
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        change(&set, others[i], campaign_for(others[i], "purchase", others[i]), 2);
    change(&set, "one", campaign_for("one", "purchase", "active"), 1);
    assert_matches(set, PURCHASE, "one@1");
    g_assert_cmpuint(rules_of(set), ==, 1);
    change(&set, "one", campaign_for("one", "purchase", "paused"), 2);
    assert_matches(set, PURCHASE, "");
    campaign_set_unref(set);
}

static void test_the_newest_version_counts_wherever_the_old_one_is(void)
{
    struct campaign_set *set = base_of(3, 1);

    change(&set, "c01", campaign_for("c01", "login", "active"), 2); /* was in the base */
    assert_matches(set, PURCHASE, "c00@1 c02@1");
    change(&set, "c01", campaign_for("c01", "purchase", "active"), 3); /* was among the fresh */
    assert_matches(set, PURCHASE, "c00@1 c01@3 c02@1");
    for (int i = 0; i < 40; i++) { /* makes layers */
        g_autofree char *id = g_strdup_printf("x%02d", i);

        change(&set, id, campaign_for(id, "other", "active"), 1);
    }
    change(&set, "c01", campaign_for("c01", "purchase", "active"), 4);
    assert_matches(set, PURCHASE, "c00@1 c01@4 c02@1");
    change(&set, "c01", NULL, 0);
    change(&set, "c02", NULL, 0);
    change(&set, "c02", NULL, 0); /* not there any more: nothing to do */
    assert_matches(set, PURCHASE, "c00@1");
    change(&set, "c02", campaign_for("c02", "purchase", "active"), 2);
    assert_matches(set, PURCHASE, "c00@1 c02@2");
    campaign_set_unref(set);
}

static void test_a_set_does_not_change(void)
{
    struct campaign_set *set = base_of(3, 1);
    struct campaign_set *before = campaign_set_ref(set);

    change(&set, "c00", NULL, 0);
    g_assert_true(campaign_set_shares_base(set, before));
    assert_matches(set, PURCHASE, "c01@1 c02@1");
    assert_matches(before, PURCHASE, "c00@1 c01@1 c02@1");
    campaign_set_unref(before);
    before = campaign_set_ref(set);
    change(&set, "c01", NULL, 0);
    assert_matches(before, PURCHASE, "c01@1 c02@1");
    campaign_set_unref(set);
    assert_matches(before, PURCHASE, "c01@1 c02@1");
    campaign_set_unref(before);
    set = base_of(1, 1);
    before = base_of(1, 1);
    g_assert_false(campaign_set_shares_base(set, before));
    campaign_set_unref(set);
    campaign_set_unref(before);
}

static void test_entries_carry_version_and_rewards(void)
{
    struct campaign_set *set = base_of(0, 1);
    struct matcher_run *run = matcher_run_new();
    struct campaign_set_found found;
    struct arena arena = {0};
    struct flat flat;

    change(&set, "gold", campaign_for("gold", "purchase", "active"), 42);
    read_event(&flat, PURCHASE);
    campaign_set_match(set, run, &flat, &arena, &found);
    g_assert_cmpuint(found.count, ==, 1);
    g_assert_cmpuint(found.candidates, >=, 1);
    g_assert_cmpint(found.entries[0].version, ==, 42);
    g_assert_cmpmem(found.entries[0].then.data, found.entries[0].then.size, "[{\"type\":\"gold\"}]",
                    17);
    arena_done(&arena);
    flat_done(&flat);
    matcher_run_free(run);
    campaign_set_unref(set);
}

static void test_many_campaigns_may_match(void)
{
    struct campaign_set *set = base_of(100, 1);
    g_autoptr(GString) expected = g_string_new(NULL);

    for (int i = 99; i >= 0; i -= 2) {
        g_autofree char *id = g_strdup_printf("c%02d", i);

        change(&set, id, campaign_for(id, "purchase", "active"), 2);
    }
    for (int i = 0; i < 100; i++)
        g_string_append_printf(expected, "%sc%02d@%d", i > 0 ? " " : "", i, 1 + i % 2);
    assert_matches(set, PURCHASE, expected->str);
    campaign_set_unref(set);
}

static void test_an_empty_set_matches_nothing(void)
{
    struct campaign_set *set = base_of(0, 1);

    assert_matches(set, PURCHASE, "");
    campaign_set_unref(set);
    campaign_set_unref(NULL);
    campaign_set_builder_free(NULL);
}

static void *match_and_release(void *user)
{
    struct campaign_set *set = user;

    for (int i = 0; i < 200; i++)
        assert_matches(set, PURCHASE, "c00@1");
    campaign_set_unref(set);
    return NULL;
}

static void test_lives_until_the_last_reference(void)
{
    struct campaign_set *set = base_of(1, 1);
    GThread *threads[3];

    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("match", match_and_release, campaign_set_ref(set));
    /* Further sets are made of it meanwhile. */
    for (int i = 0; i < 100; i++)
        change(&set, "c00", campaign_for("c00", "purchase", "active"), 2 + i);
    assert_matches(set, PURCHASE, "c00@101");
    campaign_set_unref(set);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
}

static void test_more_than_the_limit_is_refused_whole(void)
{
    struct campaign_set_figures figures;
    struct campaign_set *set = base_of(50, 1);
    struct campaign_set_change changes[20];
    g_autoptr(GError) error = NULL;

    campaign_set_get_figures(set, &figures);
    g_assert_cmpuint(figures.bytes, >, 50 * 20);
    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
        char *id = g_strdup_printf("z%02zu", i);

        changes[i] =
            (struct campaign_set_change){slice_text(id), campaign_for(id, "purchase", "active"), 1};
    }
    g_assert_null(
        campaign_set_change(set, changes, G_N_ELEMENTS(changes), 2, figures.bytes + 1024, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_FULL);
    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++)
        g_free((char *)(uintptr_t)changes[i].id.data);
    g_assert_cmpuint(rules_of(set), ==, 50);
    campaign_set_unref(set);
}

static void test_a_base_beyond_the_limit_is_refused(void)
{
    struct campaign_set_builder *b = campaign_set_builder_new();
    g_autoptr(GError) error = NULL;

    for (int i = 0; i < 500; i++) {
        g_autofree char *id = g_strdup_printf("c%03d", i);
        struct campaign *c = campaign_for(id, id, "active");

        campaign_set_builder_add(b, c, 1);
        campaign_free(c);
    }
    g_assert_null(campaign_set_builder_finish(b, 1, 1000, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_FULL);
    campaign_set_builder_free(b);
}

/* Rules of every kind, most of which are no others' too. */
static struct campaign *campaign_of_many_kinds(int number)
{
    g_autofree char *json = g_strdup_printf(
        "{\"id\":\"c%03d\",\"name\":\"c\",\"status\":\"active\",\"rules\":{\"event_type\":[\"t%d\"],"
        "\"payload\":{\"a\":[\"x%d\",\"y\",{\"prefix\":\"p%d\"}],"
        "\"n%d\":[{\"numeric\":[\">\",%d]}],\"w\":[{\"wildcard\":\"*a%d*\"}]}}}",
        number, number, number, number, number % 10, number, number);

    return campaign_of(json);
}

/* Grows with what is added, and never says more than the set then takes. */
static void test_what_is_gathered_is_the_least_a_set_takes(void)
{
    struct campaign_set_builder *b = campaign_set_builder_new();
    struct campaign_set_figures figures;
    struct campaign_set *set;
    size_t bytes = 0;

    for (int i = 0; i < 500; i++) {
        struct campaign *c = campaign_of_many_kinds(i);

        g_assert_nonnull(c);
        campaign_set_builder_add(b, c, 1);
        campaign_free(c);
        g_assert_cmpuint(campaign_set_builder_bytes(b), >=, bytes + 100);
        bytes = campaign_set_builder_bytes(b);
    }
    set = campaign_set_builder_finish(b, 1, 0, NULL);
    campaign_set_get_figures(set, &figures);
    g_test_message("gathered %zu, set %zu", bytes, figures.bytes);
    g_assert_cmpuint(bytes, <=, figures.bytes);
    g_assert_cmpuint(bytes, >=, figures.bytes / 4);
    campaign_set_unref(set);
    campaign_set_builder_free(b);
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

/* ---- against a model ------------------------------------------------------------------------- */

#define MODEL_IDS 900

/* What a set should be: for each id the campaign in force, or NULL. */
struct model {
    struct campaign *campaigns[MODEL_IDS];
    int64_t versions[MODEL_IDS];
    size_t count;
};

static char *model_id(int number)
{
    return g_strdup_printf("c-%03d", number);
}

/* Makes, changes or removes one campaign in the model; what a set is to be told. The id is owned by
 * caller. */
static struct campaign_set_change any_change(struct model *m)
{
    int number = g_test_rand_int_range(0, MODEL_IDS);
    char *id = model_id(number);
    struct campaign_set_change made = {slice_text(id), NULL, 0};

    m->count -= m->campaigns[number] != NULL;
    g_clear_pointer(&m->campaigns[number], campaign_free);
    made.version = ++m->versions[number];
    if (g_test_rand_int_range(0, 4) != 0) {
        g_autofree char *rules = any_rules();
        bool is_active = g_test_rand_int_range(0, 10) != 0;
        g_autofree char *json =
            g_strdup_printf("{\"id\":\"%s\",\"name\":\"c\",\"status\":\"%s\",\"rules\":%s}", id,
                            is_active ? "active" : "paused", rules);

        made.campaign = campaign_of(json);
        if (is_active)
            m->campaigns[number] = campaign_of(json);
    }
    m->count += m->campaigns[number] != NULL;
    return made;
}

static char *model_matches(const struct model *m, const char *json)
{
    GString *ids = g_string_new(NULL);
    struct flat flat;

    read_event(&flat, json);
    for (int i = 0; i < MODEL_IDS; i++) {
        g_autofree char *id = model_id(i);

        if (m->campaigns[i] != NULL && campaign_matches(m->campaigns[i], &flat))
            g_string_append_printf(ids, "%s%s@%" G_GINT64_FORMAT, ids->len > 0 ? " " : "", id,
                                   m->versions[i]);
    }
    flat_done(&flat);
    return g_string_free(ids, FALSE);
}

/* A base of what is in the model. */
static struct campaign_set *model_base(const struct model *m, int64_t generation)
{
    struct campaign_set_builder *b = campaign_set_builder_new();
    struct campaign_set *set;

    for (int i = 0; i < MODEL_IDS; i++)
        if (m->campaigns[i] != NULL)
            campaign_set_builder_add(b, m->campaigns[i], m->versions[i]);
    for (int i = 0; i < 20; i++) {
        g_autofree char *event = any_event();

        campaign_set_builder_sample(b, slice_text(event));
    }
    set = campaign_set_builder_finish(b, generation, 0, NULL);
    campaign_set_builder_free(b);
    return set;
}

/* Replaces *set by one with some changes; the model has them too. */
static void change_some(struct model *m, struct campaign_set **set, size_t count)
{
    struct campaign_set_change *changes = g_new0(struct campaign_set_change, count);
    struct campaign_set *changed;

    for (size_t i = 0; i < count; i++)
        changes[i] = any_change(m);
    changed = campaign_set_change(*set, changes, count, campaign_set_generation(*set) + 1, 0, NULL);
    g_assert_nonnull(changed);
    campaign_set_unref(*set);
    *set = changed;
    for (size_t i = 0; i < count; i++)
        g_free((char *)(uintptr_t)changes[i].id.data);
    g_free(changes);
}

/* Thousands of changes, singly and many at once, on an old base, on new ones and on none: the set
 * says what looking at each campaign says. */
static void test_agrees_with_looking_at_each(void)
{
    struct model *m = g_new0(struct model, 1);
    struct campaign_set *set = model_base(m, 1);
    unsigned matched = 0;

    for (int step = 0; step < 4000; step++) {
        g_autofree char *event = any_event();
        g_autofree char *expected = NULL;

        change_some(m, &set,
                    g_test_rand_int_range(0, 20) == 0 ? (size_t)g_test_rand_int_range(2, 60) : 1);
        if (g_test_rand_int_range(0, 1000) == 0) {
            campaign_set_unref(set);
            set = model_base(m, step);
        }
        g_assert_cmpuint(rules_of(set), ==, m->count);
        if (g_test_rand_int_range(0, 8) != 0)
            continue;
        expected = model_matches(m, event);
        assert_matches(set, event, expected);
        matched += *expected != '\0';
    }
    g_assert_cmpuint(matched, >, 200); /* or the comparison would say little */
    campaign_set_unref(set);
    for (int i = 0; i < MODEL_IDS; i++)
        campaign_free(m->campaigns[i]);
    g_free(m);
}

/* What is removed leaves nothing behind but marks in the base, and the layers stay few. */
static void test_layers_stay_few(void)
{
    struct campaign_set *set = base_of(0, 1);
    struct campaign_set_figures figures;

    for (int i = 0; i < 6000; i++) {
        g_autofree char *id = g_strdup_printf("x%04d", i);

        change(&set, id, campaign_for(id, id, "active"), 1);
        campaign_set_get_figures(set, &figures);
        g_assert_cmpuint(figures.indexes, <=, 6);
    }
    g_assert_cmpuint(figures.rules, ==, 6000);
    g_assert_cmpuint(figures.changed, >=, 6000);
    for (int i = 0; i < 6000; i++) {
        g_autofree char *id = g_strdup_printf("x%04d", i);

        change(&set, id, NULL, 0);
    }
    campaign_set_get_figures(set, &figures);
    g_assert_cmpuint(figures.rules, ==, 0);
    g_assert_cmpuint(figures.indexes, ==, 1);
    campaign_set_unref(set);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/campaign_set/matches_are_ordered_by_id", test_matches_are_ordered_by_id);
    g_test_add_func("/campaign_set/keeps_active_campaigns_only", test_keeps_active_campaigns_only);
    g_test_add_func("/campaign_set/the_newest_version_counts_wherever_the_old_one_is",
                    test_the_newest_version_counts_wherever_the_old_one_is);
    g_test_add_func("/campaign_set/a_set_does_not_change", test_a_set_does_not_change);
    g_test_add_func("/campaign_set/entries_carry_version_and_rewards",
                    test_entries_carry_version_and_rewards);
    g_test_add_func("/campaign_set/many_campaigns_may_match", test_many_campaigns_may_match);
    g_test_add_func("/campaign_set/an_empty_set_matches_nothing",
                    test_an_empty_set_matches_nothing);
    g_test_add_func("/campaign_set/lives_until_the_last_reference",
                    test_lives_until_the_last_reference);
    g_test_add_func("/campaign_set/more_than_the_limit_is_refused_whole",
                    test_more_than_the_limit_is_refused_whole);
    g_test_add_func("/campaign_set/a_base_beyond_the_limit_is_refused",
                    test_a_base_beyond_the_limit_is_refused);
    g_test_add_func("/campaign_set/what_is_gathered_is_the_least_a_set_takes",
                    test_what_is_gathered_is_the_least_a_set_takes);
    g_test_add_func("/campaign_set/agrees_with_looking_at_each", test_agrees_with_looking_at_each);
    g_test_add_func("/campaign_set/layers_stay_few", test_layers_stay_few);
    return g_test_run();
}
