/* Times the evaluation of one pattern on one event: prints nanoseconds per evaluation. */
#include "core/pattern.h"

static const char EVENT[] =
    "{\"event_id\":\"0192f3c1-7a51-7cc2-9d3e-4f1b2a6c8d90\",\"event_type\":\"order.placed\","
    "\"customer_id\":\"cust-48213\",\"source\":\"webshop\",\"timestamp\":\"2026-11-21T10:00:00.123Z\","
    "\"payload\":{\"order_id\":\"A-2207731-000017-DE\",\"total\":129.90,\"currency\":\"EUR\",\"is_first\":false,"
    "\"items\":[{\"sku\":\"shoe-42\",\"price\":99.95,\"count\":1},"
    "{\"sku\":\"sock-7\",\"price\":14.97,\"count\":2}],\"coupon\":\"SAVE10\"}}";

static const struct {
    const char *name;
    const char *text;
} PATTERNS[] = {
    {"3 conditions, fails on the first",
     "{\"event_type\":[\"order.cancelled\"],\"payload\":{\"currency\":[\"EUR\"],\"total\":[{\"numeric\":[\">\",100]}]}}"},
    {"3 conditions, fails on the last",
     "{\"event_type\":[\"order.placed\"],\"payload\":{\"currency\":[\"EUR\"],\"total\":[{\"numeric\":[\">\",200]}]}}"},
    {"3 conditions, matches",
     "{\"event_type\":[\"order.placed\"],\"payload\":{\"currency\":[\"EUR\"],\"total\":[{\"numeric\":[\">\",100]}]}}"},
    {"$or of 2, matches by the second",
     "{\"event_type\":[\"order.placed\"],\"$or\":[{\"payload\":{\"currency\":[\"USD\"]}},{\"payload\":{\"total\":[{\"numeric\":[\">\",100]}]}}]}"},
    {"array, first choice fits", "{\"payload\":{\"items\":{\"sku\":[\"sock-7\"],\"count\":[2]}}}"},
    {"array, needs the search",
     "{\"payload\":{\"items\":{\"sku\":[\"sock-7\"],\"count\":[{\"numeric\":[\">\",0]}]}}}"},
    {"wildcard, suffix, ignore-case",
     "{\"payload\":{\"order_id\":[{\"wildcard\":\"A-*17*DE\"}],\"coupon\":[{\"suffix\":\"10\"}],\"currency\":[{\"equals-ignore-case\":\"eur\"}]}}"},
};

#define ROUNDS 2000000
#define RUNS   5

static double run_once(const struct pattern *p, const struct flat *f)
{
    gint64 start_us = g_get_monotonic_time();
    size_t matched = 0;

    for (size_t i = 0; i < ROUNDS; i++)
        matched += pattern_matches(p, f);
    if (matched != 0 && matched != ROUNDS)
        g_error("the answer changes");
    return (double)(g_get_monotonic_time() - start_us) * 1000.0 / ROUNDS;
}

static void measure(const char *name, const char *text, const struct flat *f)
{
    struct problems problems;
    struct pattern *p;
    double best = 1e9;

    problems_init(&problems);
    p = pattern_parse(slice_text(text), &PATTERN_LIMITS, "#", &problems);
    if (p == NULL)
        g_error("%s: the built-in pattern is refused", name);
    for (size_t i = 0; i < RUNS; i++) {
        double ns = run_once(p, f);

        best = MIN(best, ns);
    }
    g_print("%-34s %6.1f ns, %s\n", name, best, pattern_matches(p, f) ? "match" : "no match");
    pattern_free(p);
    problems_done(&problems);
}

int main(void)
{
    struct slice text = SLICE(EVENT);
    struct flat f;
    size_t used;

    flat_init(&f);
    if (!flat_parse(&f, text, 0, &used, NULL))
        g_error("the built-in event is refused");
    for (size_t i = 0; i < G_N_ELEMENTS(PATTERNS); i++)
        measure(PATTERNS[i].name, PATTERNS[i].text, &f);
    flat_done(&f);
    return 0;
}
