/* Times the flattener on one built-in event: prints nanoseconds per event. */
#include "core/flat.h"

#include <string.h>

/* 370 bytes, the size of a common order event. */
static const char EVENT[] =
    "{\"event_id\":\"0192f3c1-7a51-7cc2-9d3e-4f1b2a6c8d90\",\"event_type\":\"order.placed\","
    "\"customer_id\":\"cust-48213\",\"source\":\"webshop\",\"timestamp\":\"2026-11-21T10:00:00.123Z\","
    "\"payload\":{\"order_id\":\"A-2207731-000017-DE\",\"total\":129.90,\"currency\":\"EUR\",\"is_first\":false,"
    "\"items\":[{\"sku\":\"shoe-42\",\"price\":99.95,\"count\":1},"
    "{\"sku\":\"sock-7\",\"price\":14.97,\"count\":2}],\"coupon\":\"SAVE10\"}}";

#define ROUNDS 2000000
#define RUNS   5

static double run_once(struct flat *f, struct slice text)
{
    gint64 start_us = g_get_monotonic_time();

    for (size_t i = 0; i < ROUNDS; i++) {
        size_t used;

        if (!flat_parse(f, text, 0, &used, NULL))
            g_error("the built-in event is refused");
    }
    return (double)(g_get_monotonic_time() - start_us) * 1000.0 / ROUNDS;
}

int main(void)
{
    struct slice text = SLICE(EVENT);
    struct flat f;
    double best = 1e9;

    flat_init(&f);
    for (size_t i = 0; i < RUNS; i++) {
        double ns = run_once(&f, text);

        best = MIN(best, ns);
    }
    g_print("flat_parse: %.0f ns per event of %zu bytes, %zu leaves, %.2f GB/s\n", best, text.size,
            f.leaf_count, (double)text.size / best);
    flat_done(&f);
    return 0;
}
