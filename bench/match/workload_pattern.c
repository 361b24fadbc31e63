/* The patterns. Each is made for a share of events that it shall match: need. Broad conditions are
 * drawn first, as people would write them, and take their part of it; a last one is tuned so that
 * the whole comes to the share that was wanted.
 *
 *   need 0.00002 = country DE or AT 0.27 x coupon exists 0.25 x points in a range of 0.0003
 */
#include "match/workload.h"

#include <math.h>
#include <string.h>

#include "match/workload_internal.h"

#define CONDITIONS_MAX 8
#define VALUES_MAX     16    /* alternatives of one condition */
#define TRIES          40    /* conditions that do not fit are drawn again */
#define NEED_MAX       0.5   /* of one pattern: where there are one or two */
#define NEED_OPEN      0.3   /* from that on a range has one end only */
#define NEED_DONE      0.85  /* from that on nothing needs to be tuned */
#define ITEMS_NEED_MAX 0.05  /* the share of an element is taken as linear below it */
#define AMOUNT_MIN     0.004 /* below it cents are too coarse */
#define WIDE_MIN       0.005 /* no range of "hard" is narrower */
#define DIGIT_SHARE    0.1   /* each digit has one of ten values */
#define RANGE_UNITS    4     /* a range has that many values at least, or its share is too coarse */
#define ITEMS_MEAN     ((ITEMS_MAX + 1) / 4.0)

/* Patterns differ in how much they match, not their average. */
static const double SPREAD[] = {0.25, 0.5, 1, 2.25};

/* How many of 100 patterns have 1, 2, 3 conditions; the others have 4. */
static const uint32_t CONDITION_WEIGHTS[] = {25, 25, 25};

static const char *const PATHS[FIELDS][4] = {
    [FIELD_TYPE] = {"event_type"},
    [FIELD_CUSTOMER] = {"customer_id"},
    [FIELD_ORDER] = {"payload", "order_id"},
    [FIELD_AMOUNT] = {"payload", "amount"},
    [FIELD_COUNTRY] = {"payload", "country"},
    [FIELD_CATEGORY] = {"payload", "category"},
    [FIELD_SKU] = {"payload", "sku"},
    [FIELD_CHANNEL] = {"payload", "channel"},
    [FIELD_WEIGHT] = {"payload", "weight_g"},
    [FIELD_TIER] = {"payload", "customer", "tier"},
    [FIELD_POINTS] = {"payload", "customer", "points"},
    [FIELD_DAYS] = {"payload", "customer", "days"},
    [FIELD_ZIP] = {"payload", "address", "zip"},
    [FIELD_TAGS] = {"payload", "tags"},
    [FIELD_ITEM_SKU] = {"payload", "items", "sku"},
    [FIELD_ITEM_KIND] = {"payload", "items", "kind"},
    [FIELD_COUPON] = {"payload", "coupon"},
    [FIELD_NOTE] = {"payload", "note"},
    [FIELD_STORE] = {"payload", "store"},
    [FIELD_SEGMENT] = {"payload", "segment"},
};

struct condition {
    enum field field;
    size_t begin, end; /* of its JSON array, in the rule's text */
};

/* One pattern in the making. */
struct rule {
    const struct workload *w;
    struct chance chance;
    double need; /* share of the events that the conditions still to come have to leave */
    struct condition conditions[CONDITIONS_MAX];
    size_t count;
    size_t most; /* conditions that are wanted */
    GString *text;
};

/* A way to make a condition. Adds one or two to the rule, or none: it does not fit. */
struct maker {
    bool (*make)(struct rule *r, const struct maker *m);
    enum field field;
    enum words list;                 /* where the values are words */
    uint32_t most;                   /* values; what else counts for this kind of condition */
    uint32_t weights[WORKLOAD_SETS]; /* how often it is drawn */
};

/* ---- the rule -------------------------------------------------------------------------------- */

static bool rule_has(const struct rule *r, enum field field)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->conditions[i].field == field)
            return true;
    return false;
}

/* values: the JSON array, appended to text since begin. In the order of the fields. */
static bool rule_add(struct rule *r, enum field field, size_t begin, double share)
{
    size_t at = r->count++;

    g_assert(r->count <= CONDITIONS_MAX);
    for (; at > 0 && r->conditions[at - 1].field > field; at--)
        r->conditions[at] = r->conditions[at - 1];
    r->conditions[at] = (struct condition){field, begin, r->text->len};
    r->need /= share;
    return true;
}

static void rule_write(const struct rule *r, GString *out)
{
    const char *const *before = NULL;
    size_t open = 0;

    g_string_append_c(out, '{');
    for (size_t i = 0; i < r->count; i++) {
        const struct condition *c = &r->conditions[i];
        const char *const *names = PATHS[c->field];
        size_t same = 0;

        while (same < open && names[same + 1] != NULL && g_str_equal(before[same], names[same]))
            same++;
        for (; open > same; open--)
            g_string_append_c(out, '}');
        if (i > 0)
            g_string_append_c(out, ',');
        for (; names[open + 1] != NULL; open++)
            g_string_append_printf(out, "\"%s\":{", names[open]);
        g_string_append_printf(out, "\"%s\":", names[open]);
        g_string_append_len(out, r->text->str + c->begin, (gssize)(c->end - c->begin));
        before = names;
    }
    for (; open > 0; open--)
        g_string_append_c(out, '}');
    g_string_append_c(out, '}');
}

/* ---- words ----------------------------------------------------------------------------------- */

/* Different values of a list, mostly popular ones, as campaigns want them. Returns the
 * share of them all. */
static double pick_words(struct rule *r, const struct maker *m, uint32_t *picks, uint32_t *count)
{
    const struct zipf *z = &r->w->words[m->list];
    uint32_t wanted = 1 + chance_below(&r->chance, m->most);
    double share = 0;

    *count = 0;
    for (uint32_t i = 0; i < wanted; i++) {
        bool is_known = false;
        uint32_t pick = chance_below(&r->chance, 4) == 0 ? chance_below(&r->chance, z->count)
                                                         : zipf_pick(z, &r->chance);

        for (uint32_t k = 0; k < *count; k++)
            is_known = is_known || picks[k] == pick;
        if (is_known)
            continue;
        picks[(*count)++] = pick;
        share += zipf_share(z, pick);
    }
    return share;
}

static void put_words(GString *out, enum words list, const uint32_t *picks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        g_string_append_printf(out, "%s\"%s\"", i > 0 ? "," : "", workload_word(list, picks[i]));
}

static bool make_words(struct rule *r, const struct maker *m)
{
    uint32_t picks[VALUES_MAX];
    uint32_t count;
    double share = pick_words(r, m, picks, &count);
    size_t begin = r->text->len;

    if (share < r->need)
        return false;
    g_string_append_c(r->text, '[');
    put_words(r->text, m->list, picks, count);
    g_string_append_c(r->text, ']');
    return rule_add(r, m->field, begin, share);
}

static bool make_anything_but(struct rule *r, const struct maker *m)
{
    uint32_t picks[VALUES_MAX];
    uint32_t count;
    double share = 1 - pick_words(r, m, picks, &count);
    size_t begin = r->text->len;

    if (share < r->need || share < 0.2)
        return false;
    g_string_append(r->text, "[{\"anything-but\":[");
    put_words(r->text, m->list, picks, count);
    g_string_append(r->text, "]}]");
    return rule_add(r, m->field, begin, share);
}

/* An event has 0 to TAGS_MAX tags: the average over these numbers. */
static bool make_tags(struct rule *r, const struct maker *m)
{
    uint32_t picks[VALUES_MAX];
    uint32_t count;
    double other = 1 - pick_words(r, m, picks, &count);
    double share = 0;
    double none = 1;
    size_t begin = r->text->len;

    for (uint32_t tags = 0; tags <= TAGS_MAX; tags++, none *= other)
        share += (1 - none) / (TAGS_MAX + 1);
    if (share < r->need)
        return false;
    g_string_append_c(r->text, '[');
    put_words(r->text, m->list, picks, count);
    g_string_append_c(r->text, ']');
    return rule_add(r, m->field, begin, share);
}

/* most: bytes of the prefix; 0: to the '/', that too. */
static bool make_prefix(struct rule *r, const struct maker *m)
{
    const struct zipf *z = &r->w->words[m->list];
    const char *word = workload_word(m->list, zipf_pick(z, &r->chance));
    size_t size = m->most > 0 ? m->most : strcspn(word, "/") + 1;
    size_t begin = r->text->len;
    double share = 0;

    for (uint32_t i = 0; i < z->count; i++)
        if (strncmp(workload_word(m->list, i), word, size) == 0)
            share += zipf_share(z, i);
    if (share < r->need)
        return false;
    g_string_append_printf(r->text, "[{\"prefix\":\"%.*s\"}]", (int)size, word);
    return rule_add(r, m->field, begin, share);
}

/* most: percent of the events that have the field. */
static bool make_exists(struct rule *r, const struct maker *m)
{
    bool wanted = chance_below(&r->chance, 2) == 0;
    double share = wanted ? m->most / 100.0 : 1 - m->most / 100.0;
    size_t begin = r->text->len;

    if (share < r->need)
        return false;
    g_string_append_printf(r->text, "[{\"exists\":%s}]", wanted ? "true" : "false");
    return rule_add(r, m->field, begin, share);
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static void put_bound(GString *out, enum field field, uint32_t value)
{
    if (field == FIELD_AMOUNT)
        g_string_append_printf(out, "%u.%02u", value / 100, value % 100);
    else
        g_string_append_printf(out, "%u", value);
}

/* low <= x < high, or one half of that. */
static bool add_range(struct rule *r, enum field field, uint32_t low, uint32_t high, double share)
{
    size_t begin = r->text->len;
    bool is_open = share >= NEED_OPEN;

    g_string_append(r->text, "[{\"numeric\":[");
    if (!is_open || low > 0) {
        g_string_append(r->text, "\">=\",");
        put_bound(r->text, field, low);
    }
    if (!is_open)
        g_string_append_c(r->text, ',');
    if (!is_open || low == 0) {
        g_string_append(r->text, "\"<\",");
        put_bound(r->text, field, high);
    }
    g_string_append(r->text, "]}]");
    return rule_add(r, field, begin, share);
}

/* count: of values, all equally likely. */
static bool add_even_range(struct rule *r, enum field field, uint32_t count, double wanted)
{
    uint32_t width = MAX((uint32_t)(wanted * count + 0.5), 1);
    double share;
    uint32_t low;

    width = MIN(width, count - 1);
    share = (double)width / count;
    low = chance_below(&r->chance, count - width + 1);
    if (share >= NEED_OPEN)
        low = chance_below(&r->chance, 2) * (count - width);
    return add_range(r, field, low, low + width, share);
}

static bool add_amount_range(struct rule *r, double share)
{
    double from = chance_share(&r->chance) * (1 - share);
    uint32_t low;

    if (share >= NEED_OPEN)
        from = chance_below(&r->chance, 2) * (1 - share);
    low = from > 0 ? workload_amount(from) : 0;
    return add_range(r, FIELD_AMOUNT, low, workload_amount(from + share), share);
}

/* most: values of the field, 0: it is the amount. */
static bool add_wanted_range(struct rule *r, const struct maker *m, double share)
{
    if (m->most == 0)
        return share >= AMOUNT_MIN && add_amount_range(r, share);
    if (share * m->most < RANGE_UNITS && m->most < POINTS_COUNT)
        return false;
    return add_even_range(r, m->field, m->most, share);
}

static bool tune_range(struct rule *r, const struct maker *m)
{
    return add_wanted_range(r, m, r->need);
}

/* ---- texts of many values -------------------------------------------------------------------- */

/* Goods of about that share. 0: the most popular ones have less. */
static double pick_goods(struct rule *r, double wanted, uint32_t *goods)
{
    const struct zipf *z = &r->w->goods;
    double share = wanted * (0.5 + chance_share(&r->chance));

    if (share > zipf_share(z, 0) * 0.9)
        return 0;
    *goods = zipf_near(z, share);
    return zipf_share(z, *goods);
}

static bool tune_goods(struct rule *r, const struct maker *m)
{
    uint32_t count = 1 + chance_below(&r->chance, m->most);
    uint32_t before = UINT32_MAX;
    size_t begin = r->text->len;
    double share = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t goods = 0;
        double part = pick_goods(r, r->need / count, &goods);

        if (part <= 0 || goods == before)
            return false;
        before = goods;
        g_string_append(r->text, i > 0 ? ",\"" : "[\"");
        workload_put_sku(r->text, goods);
        g_string_append_c(r->text, '"');
        share += part;
    }
    g_string_append_c(r->text, ']');
    return rule_add(r, m->field, begin, share);
}

/* Two fields of one element of an array. */
static bool tune_item(struct rule *r, const struct maker *m)
{
    uint32_t kind = zipf_pick(&r->w->words[m->list], &r->chance);
    double kind_share = zipf_share(&r->w->words[m->list], kind);
    size_t begin = r->text->len;
    uint32_t goods = 0;
    double share;

    if (r->need > ITEMS_NEED_MAX || r->count + 2 > r->most)
        return false;
    share = pick_goods(r, r->need / (kind_share * ITEMS_MEAN), &goods);
    if (share <= 0)
        return false;
    g_string_append(r->text, "[\"");
    workload_put_sku(r->text, goods);
    g_string_append(r->text, "\"]");
    rule_add(r, FIELD_ITEM_SKU, begin, share * ITEMS_MEAN);
    begin = r->text->len;
    put_words(g_string_append_c(r->text, '['), m->list, &kind, 1);
    g_string_append_c(r->text, ']');
    return rule_add(r, FIELD_ITEM_KIND, begin, kind_share);
}

/* Named customers. */
static bool tune_customers(struct rule *r, const struct maker *m)
{
    double wanted = r->need * r->w->customers;
    uint32_t count = (uint32_t)(wanted + 0.5);
    size_t begin = r->text->len;

    if (wanted < 0.9 || count > m->most)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        g_string_append(r->text, i > 0 ? ",\"" : "[\"");
        workload_put_customer(r->text, chance_below(&r->chance, r->w->customers));
        g_string_append_c(r->text, '"');
    }
    g_string_append_c(r->text, ']');
    return rule_add(r, m->field, begin, (double)count / r->w->customers);
}

/* The first digits of a number whose digits are all equally likely; each takes a tenth. Which of
 * the two numbers of digits around the wanted share is left to chance, weighted so that the average
 * is right. most: digits of the number. */
static bool tune_digits(struct rule *r, const struct maker *m)
{
    bool needs_digit = m->field == FIELD_ZIP; /* the other one begins with a letter */
    double share = 1;
    uint32_t digits = 0;
    size_t begin = r->text->len;

    while (share > r->need && digits < m->most) {
        share *= DIGIT_SHARE;
        digits++;
    }
    if (share > r->need || (needs_digit && r->need > DIGIT_SHARE))
        return false;
    if (digits > 0 && chance_share(&r->chance) < (r->need - share) / (share / DIGIT_SHARE - share))
        digits--;
    g_string_append(r->text, m->field == FIELD_ORDER ? "[{\"prefix\":\"A-" : "[{\"prefix\":\"");
    for (uint32_t i = 0; i < digits; i++)
        g_string_append_c(r->text, (char)('0' + chance_below(&r->chance, 10)));
    g_string_append(r->text, "\"}]");
    return rule_add(r, m->field, begin, r->need);
}

/* ---- which conditions ------------------------------------------------------------------------ */

/* Weights for mix, nonum, hard. */
static const struct maker BROAD[] = {
    {make_words, FIELD_TYPE, WORDS_TYPE, 3, {25, 25, 0}},
    {make_words, FIELD_COUNTRY, WORDS_COUNTRY, 5, {20, 20, 0}},
    {make_words, FIELD_CATEGORY, WORDS_CATEGORY, 3, {8, 8, 0}},
    {make_words, FIELD_TIER, WORDS_TIER, 2, {10, 10, 0}},
    {make_words, FIELD_CHANNEL, WORDS_CHANNEL, 2, {5, 5, 0}},
    {make_prefix, FIELD_CATEGORY, WORDS_CATEGORY, 0, {8, 8, 0}},
    {make_prefix, FIELD_CATEGORY, WORDS_CATEGORY, 1, {0, 0, 20}},
    {make_prefix, FIELD_COUNTRY, WORDS_COUNTRY, 1, {0, 0, 15}},
    {make_anything_but, FIELD_TYPE, WORDS_TYPE, 2, {3, 3, 15}},
    {make_anything_but, FIELD_COUNTRY, WORDS_COUNTRY, 3, {5, 5, 15}},
    {make_anything_but, FIELD_CHANNEL, WORDS_CHANNEL, 2, {5, 5, 15}},
    {make_tags, FIELD_TAGS, WORDS_TAG, 2, {12, 12, 20}},
    {make_exists, FIELD_COUPON, 0, 25, {5, 5, 15}},
    {make_exists, FIELD_NOTE, 0, 5, {3, 3, 10}},
};

/* Each falls back to the last one, which always fits. */
static const struct maker TUNED[] = {
    {tune_range, FIELD_AMOUNT, 0, 0, {20, 0}},
    {tune_range, FIELD_WEIGHT, 0, WEIGHT_COUNT, {0, 0}},
    {tune_range, FIELD_DAYS, 0, DAYS_COUNT, {0, 0}},
    {tune_goods, FIELD_SKU, 0, 2, {30, 40}},
    {tune_item, FIELD_ITEM_SKU, WORDS_KIND, 0, {20, 20}},
    {tune_customers, FIELD_CUSTOMER, 0, 16, {10, 10}},
    {tune_digits, FIELD_ZIP, 0, ZIP_DIGITS, {10, 15}},
    {tune_digits, FIELD_ORDER, 0, ORDER_DIGITS, {0, 10}},
    {tune_range, FIELD_POINTS, 0, POINTS_COUNT, {20, 0}},
};

/* "hard" has some of these, none of them narrow. */
static const struct maker WIDE[] = {
    {tune_range, FIELD_POINTS, 0, POINTS_COUNT, {0}},
    {tune_range, FIELD_DAYS, 0, DAYS_COUNT, {0}},
    {tune_range, FIELD_WEIGHT, 0, WEIGHT_COUNT, {0}},
    {tune_range, FIELD_AMOUNT, 0, 0, {0}},
};

/* One condition by weight. false: the one drawn did not fit; what it wrote is dropped. */
static bool draw(struct rule *r, const struct maker *makers, size_t count)
{
    enum workload_set set = r->w->options.set;
    size_t size = r->text->len;
    uint32_t weight = 0;
    uint32_t at;
    size_t i = 0;

    for (size_t k = 0; k < count; k++)
        weight += makers[k].weights[set];
    at = chance_below(&r->chance, weight);
    for (; at >= makers[i].weights[set]; i++)
        at -= makers[i].weights[set];
    if (!rule_has(r, makers[i].field) && makers[i].make(r, &makers[i]))
        return true;
    g_string_truncate(r->text, size);
    return false;
}

static void draw_broad(struct rule *r, size_t wanted)
{
    for (size_t i = 0; i < TRIES && r->count < wanted; i++)
        draw(r, BROAD, G_N_ELEMENTS(BROAD));
}

static void tune(struct rule *r)
{
    bool is_numeric = r->w->options.set == WORKLOAD_MIX;
    const struct maker *last = &TUNED[G_N_ELEMENTS(TUNED) - (is_numeric ? 1 : 2)];
    size_t count = r->count;

    if (r->need > NEED_DONE && r->count > 0)
        return;
    for (size_t i = 0; i < TRIES && r->count == count; i++)
        draw(r, TUNED, G_N_ELEMENTS(TUNED));
    if (r->count == count)
        last->make(r, last);
}

static void make_mix(struct rule *r)
{
    uint32_t at = chance_below(&r->chance, 100);
    size_t i = 0;

    for (; i < G_N_ELEMENTS(CONDITION_WEIGHTS) && at >= CONDITION_WEIGHTS[i]; i++)
        at -= CONDITION_WEIGHTS[i];
    r->most = i + 1;
    draw_broad(r, chance_below(&r->chance, 4) == 0 && r->most > 1 ? r->most - 2 : r->most - 1);
    tune(r);
}

/* Ranges of different fields share what is needed, so that each of them stays wide. */
static void make_hard(struct rule *r)
{
    size_t first = chance_below(&r->chance, G_N_ELEMENTS(WIDE));
    size_t count = 1;
    double share;

    draw_broad(r, 1 + chance_below(&r->chance, 3));
    if (r->need > NEED_DONE && r->count > 0)
        return;
    share = r->need;
    for (; count < G_N_ELEMENTS(WIDE) && share < WIDE_MIN; count *= 2)
        share = sqrt(share);
    for (size_t i = 0; i < count; i++)
        add_wanted_range(r, &WIDE[(first + i) % G_N_ELEMENTS(WIDE)], share);
}

/* Any two values: every event has some two, and its pair is asked for WORKLOAD_MATCHES times. */
static void make_flat(struct rule *r)
{
    size_t begin = r->text->len;
    uint32_t count = r->w->pairs.count;

    g_string_append_printf(r->text, "[\"store-%05u\"]", chance_below(&r->chance, count));
    rule_add(r, FIELD_STORE, begin, 1);
    begin = r->text->len;
    g_string_append_printf(r->text, "[\"seg-%05u\"]", chance_below(&r->chance, count));
    rule_add(r, FIELD_SEGMENT, begin, 1);
}

static void write_five(uint32_t number, GString *out)
{
    g_string_append_printf(out, "{\"event_type\":[\"%s\"],\"customer\":{\"tier\":[\"%s\"]}}",
                           workload_word(WORDS_TYPE, number),
                           workload_word(WORDS_TIER, number % 4));
}

void workload_write_pattern(const struct workload *w, uint32_t number, GString *out)
{
    static void (*const makers[])(struct rule *) = {
        [WORKLOAD_MIX] = make_mix,
        [WORKLOAD_NONUM] = make_mix,
        [WORKLOAD_HARD] = make_hard,
        [WORKLOAD_FLAT] = make_flat,
    };
    g_autoptr(GString) text = g_string_sized_new(512);
    struct rule r = {
        .w = w, .chance = chance_of(w->options.seed, KIND_PATTERN, number), .text = text};

    if (w->options.set == WORKLOAD_FIVE) {
        write_five(number, out);
        return;
    }
    r.need = WORKLOAD_MATCHES / w->options.rules;
    if (w->options.rules >= G_N_ELEMENTS(SPREAD))
        r.need *= SPREAD[number % G_N_ELEMENTS(SPREAD)];
    r.need = MIN(r.need, NEED_MAX);
    makers[w->options.set](&r);
    rule_write(&r, out);
}
