#include "cli/load_event.h"

#include <glib.h>
#include <string.h>

#include "common/json.h"
#include "common/rfc3339.h"

static struct load_events_options options(void)
{
    return (struct load_events_options){.mix = "purchase",
                                        .seed = 1,
                                        .customers = 500,
                                        .run = 0xabc,
                                        .start_us = INT64_C(1795255200000000),
                                        .step_us = 100};
}

static struct load_events *make(const struct load_events_options *o)
{
    g_autoptr(GError) error = NULL;
    struct load_events *e = load_events_new(o, &error);

    g_assert_no_error(error);
    return e;
}

/* Owned by caller. */
static char *write_event(const struct load_events *e, uint64_t number)
{
    char text[LOAD_EVENT_MAX];

    return g_strndup(text, load_events_write(e, number, text));
}

/* A member of the event or of its payload. Owned by caller. */
static char *member(const char *text, const char *outer, const char *inner)
{
    struct arena a = {0};
    g_autoptr(GError) error = NULL;
    const struct json_value *value = json_parse(slice_text(text), &a, &error);
    char *copy;

    g_assert_no_error(error);
    value = json_get(value, slice_text(outer));
    if (inner != NULL)
        value = json_get(value, slice_text(inner));
    copy = value != NULL ? g_strndup(value->text.data, value->text.size) : NULL;
    arena_done(&a);
    return copy;
}

static void test_every_event_is_strict_json(void)
{
    struct load_events_options o = options();
    struct load_events *e;

    o.mix = "purchase=3,signup,cart_updated=2,product_viewed,my.own-type:1=4";
    e = make(&o);
    for (uint64_t number = 0; number < 2000; number++) {
        g_autofree char *text = write_event(e, number);
        g_autofree char *id = member(text, "event_id", NULL);
        g_autofree char *expected =
            g_strdup_printf("0000000000000abc-%012" G_GUINT64_FORMAT, number);

        g_assert_cmpstr(id, ==, expected);
    }
    load_events_free(e);
}

static void test_same_seed_same_event_other_run_other_id(void)
{
    struct load_events_options o = options();
    struct load_events *first = make(&o);
    struct load_events *second;
    struct load_events *other;

    o.run = 0xdef;
    second = make(&o);
    o.seed = 2;
    other = make(&o);
    for (uint64_t number = 0; number < 100; number++) {
        g_autofree char *a = write_event(first, number);
        g_autofree char *again = write_event(first, number);
        g_autofree char *b = write_event(second, number);

        g_assert_cmpstr(a, ==, again);
        g_assert_cmpstr(a, !=, b);
        g_assert_cmpstr(strstr(a, "\"event_type\""), ==, strstr(b, "\"event_type\""));
    }
    {
        g_autofree char *a = write_event(first, 5);
        g_autofree char *b = write_event(other, 5);

        g_assert_cmpstr(strstr(a, "\"event_type\""), !=, strstr(b, "\"event_type\""));
    }
    load_events_free(first);
    load_events_free(second);
    load_events_free(other);
}

static void test_times_follow_the_schedule(void)
{
    struct load_events_options o = options();
    struct load_events *e = make(&o);
    g_autofree char *text = write_event(e, 12345);
    g_autofree char *at = member(text, "timestamp", NULL);
    int64_t at_us = 0;

    g_assert_true(rfc3339_parse(slice_text(at), &at_us));
    g_assert_cmpint(at_us, ==, o.start_us + 1234500);
    load_events_free(e);
}

static void test_customers_and_amounts_stay_in_their_range(void)
{
    struct load_events_options o = options();
    struct load_events *e;
    bool has_first = false;
    bool has_last = false;

    o.customers = 12;
    e = make(&o);
    for (uint64_t number = 0; number < 1000; number++) {
        g_autofree char *text = write_event(e, number);
        g_autofree char *customer = member(text, "customer_id", NULL);
        g_autofree char *amount = member(text, "payload", "amount");
        guint64 n = g_ascii_strtoull(customer + 1, NULL, 10);

        g_assert_cmpuint(strlen(customer), ==, 3);
        g_assert_true(n >= 1 && n <= 12);
        has_first = has_first || n == 1;
        has_last = has_last || n == 12;
        g_assert_cmpfloat(g_ascii_strtod(amount, NULL), >=, 1.0);
        g_assert_cmpfloat(g_ascii_strtod(amount, NULL), <, 1000.0);
    }
    g_assert_true(has_first && has_last);
    load_events_free(e);
}

static void test_the_mix_is_kept(void)
{
    struct load_events_options o = options();
    struct load_events *e;
    int purchases = 0;

    o.mix = "purchase=70,signup=30";
    e = make(&o);
    for (uint64_t number = 0; number < 20000; number++) {
        g_autofree char *text = write_event(e, number);

        purchases += strstr(text, "\"purchase\"") != NULL;
    }
    g_assert_cmpint(purchases, >, 13600);
    g_assert_cmpint(purchases, <, 14400);
    load_events_free(e);
}

static void test_duplicates_repeat_an_earlier_event_of_the_lane(void)
{
    struct load_events_options o = options();
    const struct load_lane lane = {.index = 1, .count = 3, .batch = 10};
    g_autoptr(GHashTable) sent = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    struct load_events *e;
    int duplicates = 0;

    o.duplicates_per_10000 = 500;
    e = make(&o);
    for (uint64_t position = 0; position < 20000; position++) {
        bool is_duplicate;
        uint64_t number = load_events_pick(e, &lane, position, &is_duplicate);

        g_assert_cmpuint(number / 10 % 3, ==, 1); /* no other lane's */
        g_assert_true(g_hash_table_contains(sent, &number) == is_duplicate);
        g_hash_table_add(sent, g_memdup2(&number, sizeof(number)));
        duplicates += is_duplicate;
    }
    g_assert_cmpint(duplicates, >, 800);
    g_assert_cmpint(duplicates, <, 1200);
    load_events_free(e);
}

/* Duplicates of duplicates of duplicates: far on in such a run nearly every chain is too long, and
 * then it is the first event that comes again. Nothing in the result but its cost would tell. */
static void test_chains_of_duplicates_have_an_end(void)
{
    struct load_events_options o = options();
    const struct load_lane lane = {.index = 1, .count = 3, .batch = 10};
    struct load_events *e;
    int first = 0;

    o.duplicates_per_10000 = 9999;
    e = make(&o);
    for (uint64_t i = 0; i < 1000; i++) {
        bool is_duplicate;

        first += load_events_pick(e, &lane, UINT64_C(999999000000) + i, &is_duplicate) == 10;
    }
    g_assert_cmpint(first, >, 800);
    g_assert_cmpint(first, <, 1000);
    load_events_free(e);
}

static void test_without_duplicates_no_number_comes_twice(void)
{
    struct load_events_options o = options();
    struct load_events *e = make(&o);
    const struct load_lane lanes[] = {{.index = 0, .count = 2, .batch = 3},
                                      {.index = 1, .count = 2, .batch = 3}};
    bool seen[600] = {false};

    for (size_t i = 0; i < 2; i++)
        for (uint64_t position = 0; position < 300; position++) {
            bool is_duplicate;
            uint64_t number = load_events_pick(e, &lanes[i], position, &is_duplicate);

            g_assert_cmpuint(number, <, 600);
            g_assert_false(is_duplicate || seen[number]);
            seen[number] = true;
        }
    load_events_free(e);
}

static void test_refuses_a_mix_that_is_none(void)
{
    static const char *const bad[] = {
        "",       "a=0",      "a=x",       "a=-1",  "=3",
        "a\"b=1", "a=1,,b=1", "a=1000001", "a b=1", "a=1,b=2,c=3,d,e,f,g,h,i,j,k,l,m,n,o,p,q"};

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        struct load_events_options o = options();
        g_autoptr(GError) error = NULL;

        o.mix = bad[i];
        g_assert_null(load_events_new(&o, &error));
        g_assert_nonnull(error);
    }
}

static void test_percent_reads_shares(void)
{
    static const struct {
        const char *text;
        uint32_t value;
    } good[] = {{"5%", 500}, {"5", 500}, {"0.5%", 50}, {"0%", 0}, {"100%", 10000}, {"12.34", 1234}};
    static const char *const bad[] = {"",    "%",   "-1%", "101%",   "1e1",  "5 %",
                                      "5%%", "1.%", ".5",  "1.234%", "1000", "100.01%"};
    uint32_t value;

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_assert_true(load_percent_read(good[i].text, &value));
        g_assert_cmpuint(value, ==, good[i].value);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(load_percent_read(bad[i], &value));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/load_event/every_event_is_strict_json", test_every_event_is_strict_json);
    g_test_add_func("/load_event/same_seed_same_event_other_run_other_id",
                    test_same_seed_same_event_other_run_other_id);
    g_test_add_func("/load_event/times_follow_the_schedule", test_times_follow_the_schedule);
    g_test_add_func("/load_event/customers_and_amounts_stay_in_their_range",
                    test_customers_and_amounts_stay_in_their_range);
    g_test_add_func("/load_event/the_mix_is_kept", test_the_mix_is_kept);
    g_test_add_func("/load_event/duplicates_repeat_an_earlier_event_of_the_lane",
                    test_duplicates_repeat_an_earlier_event_of_the_lane);
    g_test_add_func("/load_event/chains_of_duplicates_have_an_end",
                    test_chains_of_duplicates_have_an_end);
    g_test_add_func("/load_event/without_duplicates_no_number_comes_twice",
                    test_without_duplicates_no_number_comes_twice);
    g_test_add_func("/load_event/refuses_a_mix_that_is_none", test_refuses_a_mix_that_is_none);
    g_test_add_func("/load_event/percent_reads_shares", test_percent_reads_shares);
    return g_test_run();
}
