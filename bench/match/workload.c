/* The events, and what events and patterns are made of. */
#include "match/workload.h"

#include <string.h>

#include "match/workload_internal.h"

#define ZIPF_ONE       (UINT64_C(1) << 40) /* weight of the most frequent value */
#define GOODS_MIN      500
#define CUSTOMERS_MIN  1000
#define SKU_MODULUS    10000000
#define SKU_FACTOR     UINT64_C(7368787) /* no common divisor with the modulus */
#define PERSON_MODULUS 100000000
#define PERSON_FACTOR  UINT64_C(61803399)

static const char *const SET_NAMES[WORKLOAD_SETS] = {"mix", "nonum", "hard", "flat", "five"};

static const char *const TYPES[] = {
    "product.viewed", "cart.updated",   "order.placed",      "search.done",     "checkout.begun",
    "order.paid",     "order.shipped",  "order.delivered",   "user.login",      "user.signup",
    "review.written", "wishlist.added", "coupon.used",       "order.cancelled", "refund.asked",
    "refund.paid",    "item.returned",  "newsletter.joined", "payment.failed",  "gift.sent",
    "plan.renewed",   "chat.opened",    "stock.alert",       "app.installed",
};
static const char *const COUNTRIES[] = {
    "DE", "US", "FR", "GB", "IT", "ES", "NL", "AT", "CH", "PL", "SE", "BE", "DK", "CZ",
    "PT", "IE", "NO", "FI", "CA", "HU", "GR", "RO", "JP", "AU", "BR", "MX", "TR", "SK",
    "HR", "BG", "SI", "LT", "LV", "EE", "LU", "IS", "NZ", "KR", "SG", "ZA",
};
static const char *const CATEGORIES[] = {
    "shoes/running", "books/novels",    "phones/cases",  "toys/bricks",  "shoes/hiking",
    "home/lamps",    "games/board",     "garden/tools",  "books/comics", "kitchen/knives",
    "music/vinyl",   "phones/chargers", "sport/yoga",    "home/chairs",  "beauty/hair",
    "office/paper",  "kitchen/mugs",    "pets/dogs",     "toys/dolls",   "garden/seeds",
    "sport/bikes",   "films/classics",  "auto/tyres",    "pets/cats",    "beauty/skin",
    "office/pens",   "games/cards",     "music/strings", "auto/lights",  "drinks/tea",
    "drinks/coffee", "outdoor/tents",
};
static const char *const CHANNELS[] = {"web", "app", "store", "market", "phone", "test"};
static const char *const TIERS[] = {"none", "bronze", "silver", "gold"};
static const char *const TAGS[] = {
    "sale",    "new",    "vip",     "gift",   "bulk",    "return", "summer", "winter",
    "express", "eco",    "bundle",  "trial",  "preview", "rare",   "local",  "import",
    "student", "senior", "partner", "refill", "repair",  "rental", "outlet", "event",
    "press",   "staff",  "audit",   "beta",   "legacy",  "manual",
};
static const char *const KINDS[] = {"plain", "gift", "spare", "sample", "digital"};

static const struct {
    const char *const *words;
    uint32_t count;
} WORDS[WORDS_LISTS] = {
    [WORDS_TYPE] = {TYPES, G_N_ELEMENTS(TYPES)},
    [WORDS_COUNTRY] = {COUNTRIES, G_N_ELEMENTS(COUNTRIES)},
    [WORDS_CATEGORY] = {CATEGORIES, G_N_ELEMENTS(CATEGORIES)},
    [WORDS_CHANNEL] = {CHANNELS, G_N_ELEMENTS(CHANNELS)},
    [WORDS_TIER] = {TIERS, G_N_ELEMENTS(TIERS)},
    [WORDS_TAG] = {TAGS, G_N_ELEMENTS(TAGS)},
    [WORDS_KIND] = {KINDS, G_N_ELEMENTS(KINDS)},
};

/* ---- zipf ------------------------------------------------------------------------------------ */

static void zipf_init(struct zipf *z, uint32_t count)
{
    uint64_t end = 0;

    z->count = count;
    z->ends = g_new(uint64_t, count);
    for (uint32_t i = 0; i < count; i++) {
        end += ZIPF_ONE / (i + 1);
        z->ends[i] = end;
    }
}

/* The first value whose end lies above a random weight. */
uint32_t zipf_pick(const struct zipf *z, struct chance *c)
{
    uint64_t at = chance_next(c) % z->ends[z->count - 1];
    uint32_t low = 0;
    uint32_t high = z->count - 1;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (z->ends[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

double zipf_share(const struct zipf *z, uint32_t i)
{
    uint64_t before = i > 0 ? z->ends[i - 1] : 0;

    return (double)(z->ends[i] - before) / (double)z->ends[z->count - 1];
}

/* The weight of value i is ZIPF_ONE / (i + 1). */
uint32_t zipf_near(const struct zipf *z, double share)
{
    double rank = (double)ZIPF_ONE / ((double)z->ends[z->count - 1] * share);

    if (rank < 1)
        return 0;
    return rank < z->count ? (uint32_t)(rank + 0.5) - 1 : z->count - 1;
}

/* ---- attributes ------------------------------------------------------------------------------ */

const char *workload_word(enum words list, uint32_t i)
{
    return WORDS[list].words[i];
}

/* Linear within an octave, so nothing here depends on a machine's logarithm. */
uint32_t workload_amount(double share)
{
    double at = share * AMOUNT_OCTAVES;
    uint32_t octave = MIN((uint32_t)at, AMOUNT_OCTAVES - 1);

    return (uint32_t)((double)(UINT32_C(100) << octave) * (1 + at - octave));
}

void workload_put_sku(GString *out, uint32_t goods)
{
    g_string_append_printf(out, "p-%07u", (unsigned)((goods + 1) * SKU_FACTOR % SKU_MODULUS));
}

void workload_put_customer(GString *out, uint32_t customer)
{
    g_string_append_printf(out, "c-%08u",
                           (unsigned)((customer + 1) * PERSON_FACTOR % PERSON_MODULUS));
}

/* ---- events of a shop ------------------------------------------------------------------------ */

/* One event in the making. */
struct event_maker {
    const struct workload *w;
    struct chance chance;
    GString *out;
};

static void put_word(struct event_maker *m, const char *before, enum words list)
{
    g_string_append_printf(m->out, "%s\"%s\"", before,
                           workload_word(list, zipf_pick(&m->w->words[list], &m->chance)));
}

/* Ids that no pattern names; the time moves on by a second. */
static void put_envelope(struct event_maker *m, uint64_t number)
{
    g_string_append_printf(m->out,
                           "{\"event_id\":\"%08x-%012" G_GINT64_MODIFIER "u\",\"event_type\":",
                           chance_below(&m->chance, UINT32_MAX), number);
    put_word(m, "", WORDS_TYPE);
    g_string_append(m->out, ",\"customer_id\":\"");
    workload_put_customer(m->out, chance_below(&m->chance, m->w->customers));
    g_string_append_printf(
        m->out, "\",\"source\":\"webshop\",\"timestamp\":\"2026-11-21T%02u:%02u:%02uZ\"",
        (unsigned)(number / 3600 % 24), (unsigned)(number / 60 % 60), (unsigned)(number % 60));
}

static void put_goods(struct event_maker *m)
{
    uint32_t cents = workload_amount(chance_share(&m->chance));

    g_string_append_printf(m->out,
                           ",\"payload\":{\"order_id\":\"A-%08u\",\"amount\":%u.%02u,"
                           "\"currency\":\"EUR\"",
                           chance_below(&m->chance, 100000000), cents / 100, cents % 100);
    put_word(m, ",\"country\":", WORDS_COUNTRY);
    put_word(m, ",\"category\":", WORDS_CATEGORY);
    g_string_append(m->out, ",\"sku\":\"");
    workload_put_sku(m->out, zipf_pick(&m->w->goods, &m->chance));
    g_string_append(m->out, "\"");
    put_word(m, ",\"channel\":", WORDS_CHANNEL);
    g_string_append_printf(m->out, ",\"weight_g\":%u", chance_below(&m->chance, WEIGHT_COUNT));
}

static void put_person(struct event_maker *m)
{
    put_word(m, ",\"customer\":{\"tier\":", WORDS_TIER);
    g_string_append_printf(m->out, ",\"points\":%u,\"days\":%u},\"address\":{\"zip\":\"%05u\"}",
                           chance_below(&m->chance, POINTS_COUNT),
                           chance_below(&m->chance, DAYS_COUNT), chance_below(&m->chance, 100000));
}

/* A tag may stand twice. */
static void put_tags(struct event_maker *m)
{
    uint32_t count = chance_below(&m->chance, TAGS_MAX + 1);

    g_string_append(m->out, ",\"tags\":[");
    for (uint32_t i = 0; i < count; i++)
        put_word(m, i > 0 ? "," : "", WORDS_TAG);
    g_string_append(m->out, "]");
}

/* An array of objects, in half of the events. */
static void put_items(struct event_maker *m)
{
    uint32_t count = chance_below(&m->chance, 2) * (1 + chance_below(&m->chance, ITEMS_MAX));

    for (uint32_t i = 0; i < count; i++) {
        g_string_append(m->out, i > 0 ? ",{\"sku\":\"" : ",\"items\":[{\"sku\":\"");
        workload_put_sku(m->out, zipf_pick(&m->w->goods, &m->chance));
        put_word(m, "\",\"kind\":", WORDS_KIND);
        g_string_append_printf(m->out, ",\"qty\":%u}", 1 + chance_below(&m->chance, 5));
    }
    if (count > 0)
        g_string_append(m->out, "]");
}

static void put_extras(struct event_maker *m)
{
    if (chance_share(&m->chance) < COUPON_SHARE)
        g_string_append_printf(m->out, ",\"coupon\":\"SAVE%u\"",
                               5 * (1 + chance_below(&m->chance, 6)));
    if (chance_share(&m->chance) < NOTE_SHARE)
        g_string_append(m->out, ",\"note\":\"leave it \\\"next door\\\"\"");
}

/* The two fields that all patterns of "flat" name. */
static void put_pair(struct event_maker *m)
{
    g_string_append_printf(m->out, ",\"store\":\"store-%05u\"",
                           zipf_pick(&m->w->pairs, &m->chance));
    g_string_append_printf(m->out, ",\"segment\":\"seg-%05u\"",
                           zipf_pick(&m->w->pairs, &m->chance));
}

static void put_shop_event(struct event_maker *m, uint64_t number)
{
    put_envelope(m, number);
    put_goods(m);
    put_person(m);
    put_tags(m);
    if (m->w->options.set == WORKLOAD_FLAT)
        put_pair(m);
    else
        put_items(m);
    put_extras(m);
    g_string_append(m->out, "}}");
}

/* ---- events of "five" ------------------------------------------------------------------------ */

/* The fields that the patterns name stand on either side of a nested part that none names, and the
 * larger rest of the event behind them. */
static void put_five_event(struct event_maker *m, uint64_t number)
{
    size_t begin = m->out->len;
    uint32_t lines = 7;

    put_word(m, "{\"event_type\":", WORDS_TYPE);
    g_string_append_printf(m->out,
                           ",\"context\":{\"page\":{\"path\":\"/checkout/%u\",\"referrer\":null},"
                           "\"device\":{\"os\":\"Linux\",\"screen\":[1920,1080],\"touch\":false},"
                           "\"flags\":{\"beta\":[1,{\"of\":[2,3]}],\"note\":\"a \\\"b\\\" {c}\"}}",
                           chance_below(&m->chance, 1000));
    put_word(m, ",\"customer\":{\"tier\":", WORDS_TIER);
    g_string_append(m->out, ",\"id\":\"");
    workload_put_customer(m->out, chance_below(&m->chance, m->w->customers));
    g_string_append_printf(m->out, "\"},\"number\":%" G_GINT64_MODIFIER "u,\"lines\":[", number);
    for (uint32_t i = 0; i < lines; i++) {
        g_string_append(m->out, i > 0 ? ",{\"sku\":\"" : "{\"sku\":\"");
        workload_put_sku(m->out, zipf_pick(&m->w->goods, &m->chance));
        g_string_append_printf(m->out, "\",\"price\":{\"net\":%u.%02u,\"tax\":19.0},\"qty\":%u}",
                               chance_below(&m->chance, 900) + 1, chance_below(&m->chance, 100),
                               1 + chance_below(&m->chance, 5));
    }
    g_string_append(m->out, "],\"agent\":\"");
    while (m->out->len < begin + WORKLOAD_FIVE_SIZE - 2)
        g_string_append_c(m->out, "Mozilla/5.0 (X11; Linux x86_64) "[m->out->len % 32]);
    g_string_append(m->out, "\"}");
}

/* ---- life ------------------------------------------------------------------------------------ */

const char *workload_set_name(enum workload_set set)
{
    return SET_NAMES[set];
}

bool workload_set_parse(const char *name, enum workload_set *set)
{
    for (size_t i = 0; i < WORKLOAD_SETS; i++)
        if (g_str_equal(name, SET_NAMES[i])) {
            *set = (enum workload_set)i;
            return true;
        }
    return false;
}

/* Values of either field of "flat": so many that two patterns ask for each pair of values. */
static uint32_t pair_values(uint32_t rules)
{
    uint32_t count = 1;

    while ((count + 1) * (count + 1) * (uint64_t)WORKLOAD_MATCHES <= rules)
        count++;
    return count;
}

struct workload *workload_new(const struct workload_options *options)
{
    struct workload *w = g_new0(struct workload, 1);

    w->options = *options;
    if (w->options.set == WORKLOAD_FIVE)
        w->options.rules = WORKLOAD_FIVE_RULES;
    g_assert(w->options.rules > 0 && w->options.rules <= WORKLOAD_RULES_MAX);
    for (size_t i = 0; i < WORDS_LISTS; i++)
        zipf_init(&w->words[i], WORDS[i].count);
    zipf_init(&w->goods, MAX(w->options.rules, GOODS_MIN));
    zipf_init(&w->pairs, pair_values(w->options.rules));
    w->customers = MAX(w->options.rules, CUSTOMERS_MIN);
    return w;
}

void workload_free(struct workload *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; i < WORDS_LISTS; i++)
        g_free(w->words[i].ends);
    g_free(w->goods.ends);
    g_free(w->pairs.ends);
    g_free(w);
}

uint32_t workload_rules(const struct workload *w)
{
    return w->options.rules;
}

void workload_write_event(const struct workload *w, uint64_t number, GString *out)
{
    struct event_maker m = {
        .w = w, .chance = chance_of(w->options.seed, KIND_EVENT, number), .out = out};

    if (w->options.set == WORKLOAD_FIVE)
        put_five_event(&m, number);
    else
        put_shop_event(&m, number);
}
