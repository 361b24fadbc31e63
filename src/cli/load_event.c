/* Prepared events, and the digits that are put into them.
 *
 * A shape below is an event with holes, written as '@' and a letter. Holes of one kind are filled
 * when the run begins (type, currency, goods); the others keep their place and width in the
 * prepared text, and each event puts its own digits there: number, customer, time, amount.
 */
#include "cli/load_event.h"

#include <string.h>

#include "common/error.h"
#include "common/rfc3339.h"

#define NUMBER_DIGITS  12 /* more events than a run can send */
#define TIME_SIZE      (RFC3339_SIZE - 1)
#define VARIANTS       8 /* prepared texts of each type */
#define PATCHES_MAX    6 /* holes in one shape that are filled for each event */
#define WEIGHT_MAX     1000000
#define GOLDEN         UINT64_C(0x9e3779b97f4a7c15)
#define DUPLICATE_SALT UINT64_C(0x5d1f7e23)

/* What every event begins with. @I id, @E type, @C customer, @T time. */
#define HEAD                                                                                       \
    "{\"event_id\":\"@I\",\"event_type\":\"@E\",\"customer_id\":\"c@C\",\"timestamp\":\"@T\","     \
    "\"source\":\"load\",\"payload\":"
#define ITEM "{\"sku\":\"@S\",\"qty\":@Q,\"price\":@P}"

/* @A amount, @N number, @S goods, @Q quantity, @P price, @U currency. */
static const struct {
    const char *type;
    const char *shapes[2]; /* variants take them in turn */
} SHAPES[] = {
    {"purchase",
     {HEAD "{\"amount\":@A,\"currency\":\"@U\",\"order_id\":\"o-@N\",\"items\":[" ITEM "," ITEM
           "],\"channel\":\"web\"}}",
      HEAD "{\"amount\":@A,\"currency\":\"@U\",\"order_id\":\"o-@N\",\"items\":[" ITEM "," ITEM
           "," ITEM "],\"coupon\":null}}"}},
    {"signup",
     {HEAD "{\"plan\":\"free\",\"country\":\"DE\",\"newsletter\":true}}",
      HEAD "{\"plan\":\"pro\",\"country\":\"US\",\"newsletter\":false}}"}},
    {"cart_updated",
     {HEAD "{\"cart_id\":\"k-@N\",\"items\":[" ITEM "],\"total\":@A,\"currency\":\"@U\"}}",
      HEAD "{\"cart_id\":\"k-@N\",\"items\":[],\"total\":0,\"currency\":\"@U\"}}"}},
    {"product_viewed",
     {HEAD "{\"product_id\":\"@S\",\"price\":@P,\"currency\":\"@U\"}}",
      HEAD "{\"product_id\":\"@S\",\"price\":@P,\"currency\":\"@U\",\"from\":\"search\"}}"}},
    /* Any other type. */
    {NULL, {HEAD "{\"amount\":@A,\"number\":\"@N\"}}", HEAD "{\"amount\":@A,\"tags\":[\"a\"]}}"}},
};

/* Writes what belongs into a hole of one event. width: digits, or whole digits of an amount. */
struct patch {
    void (*put)(char *at, unsigned width, const struct load_events *e, uint64_t number,
                uint64_t chance);
    uint16_t offset;
    uint16_t width;
};

struct variant {
    char text[LOAD_EVENT_MAX];
    size_t size;
    struct patch patches[PATCHES_MAX];
    size_t patch_count;
};

struct load_type {
    char name[LOAD_TYPE_MAX + 1];
    uint32_t weight_end; /* own weight and those of all types before */
    struct variant *variants;
};

struct load_events {
    struct load_events_options options; /* mix is not kept */
    struct load_type types[LOAD_MIX_MAX];
    size_t type_count;
    uint32_t weight;          /* of all types */
    unsigned customer_digits; /* of the largest customer */
};

/* ---- chance ---------------------------------------------------------------------------------- */

/* The end of splitmix64: all bits of the result depend on all bits of x. Source: Steele, Lea,
 * Flood: "Fast splittable pseudorandom number generators", 2014. */
static uint64_t scatter(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The next number of a sequence. */
static uint64_t chance_next(uint64_t *state)
{
    return scatter(*state += GOLDEN);
}

/* ---- digits of one event --------------------------------------------------------------------- */

/* With zeros in front. */
static void put_digits(char *at, unsigned width, uint64_t value)
{
    for (unsigned i = width; i > 0; i--, value /= 10)
        at[i - 1] = (char)('0' + value % 10);
}

/* Twelve digits for all numbers, so that a text keeps its size. */
static void put_number(char *at, unsigned width, const struct load_events *e, uint64_t number,
                       uint64_t chance)
{
    (void)e;
    (void)chance;
    put_digits(at, width, number);
}

/* All customers are equally likely. */
static void put_customer(char *at, unsigned width, const struct load_events *e, uint64_t number,
                         uint64_t chance)
{
    (void)number;
    put_digits(at, width, chance % e->options.customers + 1);
}

/* The schedule makes the time, not the clock: the same number always has the same time. */
static void put_time(char *at, unsigned width, const struct load_events *e, uint64_t number,
                     uint64_t chance)
{
    char text[RFC3339_SIZE];

    (void)chance;
    rfc3339_format(e->options.start_us + (int64_t)((double)number * e->options.step_us), text);
    memcpy(at, text, width);
}

/* JSON knows no zero in front, so the first digit is 1 to 9. */
static void put_amount(char *at, unsigned width, const struct load_events *e, uint64_t number,
                       uint64_t chance)
{
    (void)e;
    (void)number;
    chance >>= 20; /* other bits than the customer's */
    at[0] = (char)('1' + chance % 9);
    put_digits(at + 1, width - 1, chance / 9);
    put_digits(at + width + 1, 2, chance >> 24);
}

/* ---- preparing ------------------------------------------------------------------------------- */

/* One event in the making. */
struct builder {
    const struct load_events *e;
    const char *type;
    GString *text;
    struct variant *variant;
    uint64_t chance; /* state of the sequence that fills what stays */
};

/* A hole that each event fills: size bytes stay reserved, the patch begins at their first one. */
static void builder_reserve(struct builder *b, struct patch patch, size_t size)
{
    g_assert(b->variant->patch_count < PATCHES_MAX);
    patch.offset = (uint16_t)b->text->len;
    b->variant->patches[b->variant->patch_count++] = patch;
    for (size_t i = 0; i < size; i++)
        g_string_append_c(b->text, '0');
}

/* Runs differ in the first 16 digits, events in the last 12. */
static void fill_id(struct builder *b)
{
    g_string_append_printf(b->text, "%016" G_GINT64_MODIFIER "x-", b->e->options.run);
    builder_reserve(b, (struct patch){put_number, 0, NUMBER_DIGITS}, NUMBER_DIGITS);
}

static void fill_type(struct builder *b)
{
    g_string_append(b->text, b->type);
}

/* As wide as the largest number. */
static void fill_customer(struct builder *b)
{
    unsigned digits = b->e->customer_digits;

    builder_reserve(b, (struct patch){put_customer, 0, (uint16_t)digits}, digits);
}

/* With microseconds, always of one width. */
static void fill_time(struct builder *b)
{
    builder_reserve(b, (struct patch){put_time, 0, TIME_SIZE}, TIME_SIZE);
}

/* Most amounts have two digits before the point, some one or three. */
static void fill_amount(struct builder *b)
{
    static const uint16_t widths[] = {2, 2, 1, 2, 3, 2, 2, 2};
    uint16_t width = widths[chance_next(&b->chance) % G_N_ELEMENTS(widths)];
    size_t point = b->text->len + width;

    builder_reserve(b, (struct patch){put_amount, 0, width}, width + 3U);
    b->text->str[point] = '.';
}

static void fill_number(struct builder *b)
{
    builder_reserve(b, (struct patch){put_number, 0, NUMBER_DIGITS}, NUMBER_DIGITS);
}

/* Stays as it is for all events of a variant. */
static void fill_goods(struct builder *b)
{
    static const char *const names[] = {"book", "lamp", "chair", "mug", "cable", "shirt"};
    uint64_t chance = chance_next(&b->chance);

    g_string_append_printf(b->text, "%s-%03u", names[chance % G_N_ELEMENTS(names)],
                           (unsigned)(chance >> 32) % 1000);
}

static void fill_quantity(struct builder *b)
{
    g_string_append_printf(b->text, "%u", (unsigned)(chance_next(&b->chance) % 4 + 1));
}

static void fill_price(struct builder *b)
{
    uint64_t chance = chance_next(&b->chance);

    g_string_append_printf(b->text, "%u.%02u", (unsigned)(chance % 90 + 3),
                           (unsigned)(chance >> 32) % 100);
}

static void fill_currency(struct builder *b)
{
    g_string_append(b->text, chance_next(&b->chance) % 3 == 0 ? "EUR" : "USD");
}

static const struct {
    char letter;
    void (*fill)(struct builder *b);
} HOLES[] = {
    {'I', fill_id},     {'E', fill_type},     {'C', fill_customer}, {'T', fill_time},
    {'A', fill_amount}, {'N', fill_number},   {'S', fill_goods},    {'Q', fill_quantity},
    {'P', fill_price},  {'U', fill_currency},
};

/* A letter without a row is a mistake in a shape. */
static void builder_fill(struct builder *b, char letter)
{
    size_t i = 0;

    while (HOLES[i].letter != letter) {
        i++;
        g_assert(i < G_N_ELEMENTS(HOLES));
    }
    HOLES[i].fill(b);
}

/* The longest shape with the longest name is far below the limit; the assertion notices new ones.
 */
static void builder_run(struct builder *b, const char *shape)
{
    for (const char *p = shape; *p != '\0'; p++) {
        if (*p == '@')
            builder_fill(b, *++p);
        else
            g_string_append_c(b->text, *p);
    }
    g_assert(b->text->len < LOAD_EVENT_MAX);
    b->variant->size = b->text->len;
    memcpy(b->variant->text, b->text->str, b->text->len);
}

/* The row of a type; the last one is for all that have none of their own. */
static size_t shapes_of(const char *type)
{
    size_t i = 0;

    while (SHAPES[i].type != NULL && !g_str_equal(SHAPES[i].type, type))
        i++;
    return i;
}

/* Variants differ in shape, goods and the width of the amount. */
static void prepare_type(const struct load_events *e, struct load_type *type, uint64_t chance)
{
    size_t row = shapes_of(type->name);

    type->variants = g_new0(struct variant, VARIANTS);
    for (size_t i = 0; i < VARIANTS; i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        struct builder b = {.e = e,
                            .type = type->name,
                            .text = text,
                            .variant = &type->variants[i],
                            .chance = scatter(chance + i)};

        builder_run(&b, SHAPES[row].shapes[i % G_N_ELEMENTS(SHAPES[row].shapes)]);
    }
}

/* ---- the mix --------------------------------------------------------------------------------- */

/* Letters that need no escape in JSON. */
static bool type_is_valid(const char *name)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < size; i++)
        if (!g_ascii_isalnum(name[i]) && strchr("_.:-", name[i]) == NULL)
            return false;
    return size > 0 && size <= LOAD_TYPE_MAX;
}

/* "purchase=70" */
static bool mix_add(struct load_events *e, const char *entry, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(entry, "=", 2);
    struct load_type *type = &e->types[e->type_count];
    guint64 weight = 1;

    if (parts[0] == NULL || !type_is_valid(g_strstrip(parts[0])) ||
        (parts[1] != NULL &&
         !g_ascii_string_to_unsigned(g_strstrip(parts[1]), 10, 1, WEIGHT_MAX, &weight, NULL))) {
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                    "'%s' is not valid; valid is TYPE=WEIGHT,TYPE=WEIGHT,…, a weight from 1 to "
                    "%d and types of letters, digits and _ . : -",
                    entry, WEIGHT_MAX);
        return false;
    }
    g_strlcpy(type->name, parts[0], sizeof(type->name));
    e->weight += (uint32_t)weight;
    type->weight_end = e->weight;
    e->type_count++;
    return true;
}

/* The first mistake ends it: one message is enough to mend a short text. */
static bool mix_read(struct load_events *e, const char *mix, GError **error)
{
    g_auto(GStrv) entries = g_strsplit(mix, ",", -1);
    guint count = g_strv_length(entries);

    if (count == 0 || count > LOAD_MIX_MAX) {
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT, "say 1 to %d types of events", LOAD_MIX_MAX);
        return false;
    }
    for (guint i = 0; i < count; i++)
        if (!mix_add(e, entries[i], error))
            return false;
    return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* 0 has one digit. */
static unsigned digits_of(uint32_t value)
{
    unsigned digits = 1;

    for (; value >= 10; value /= 10)
        digits++;
    return digits;
}

/* The texts are made last: they need the digits of the customers and the name of each type. */
struct load_events *load_events_new(const struct load_events_options *options, GError **error)
{
    struct load_events *e = g_new0(struct load_events, 1);

    g_assert(options->customers > 0);
    e->options = *options;
    e->options.mix = NULL;
    e->customer_digits = digits_of(options->customers);
    if (!mix_read(e, options->mix, error)) {
        load_events_free(e);
        return NULL;
    }
    for (size_t i = 0; i < e->type_count; i++)
        prepare_type(e, &e->types[i], scatter(options->seed + i));
    return e;
}

void load_events_free(struct load_events *e)
{
    if (e == NULL)
        return;
    for (size_t i = 0; i < e->type_count; i++)
        g_free(e->types[i].variants);
    g_free(e);
}

/* ---- one event ------------------------------------------------------------------------------- */

/* Request q of a lane is request q * count + index of the run. */
static uint64_t lane_number(const struct load_lane *lane, uint64_t position)
{
    return (position / lane->batch * lane->count + lane->index) * lane->batch +
           position % lane->batch;
}

/* The one before may be a duplicate itself: then it is followed to the event it repeats. Where
 * nearly all are duplicates such a chain would lead through the whole run, and the generator would
 * become the slower the longer it runs: a chain that long ends at the first event, which never is a
 * duplicate. At a share of 99 % that happens to one in 20,000. */
uint64_t load_events_pick(const struct load_events *e, const struct load_lane *lane,
                          uint64_t position, bool *is_duplicate)
{
    uint64_t number = lane_number(lane, position);
    uint32_t per_10000 = e->options.duplicates_per_10000;

    *is_duplicate = false;
    if (per_10000 == 0)
        return number;
    for (unsigned steps = 0; position > 0; steps++) {
        uint64_t chance = scatter((e->options.seed ^ DUPLICATE_SALT) + number * GOLDEN);

        if (chance % 10000 >= per_10000)
            break;
        *is_duplicate = true;
        if (steps == LOAD_REPEAT_STEPS)
            position = 0;
        else
            position -= 1 + (chance >> 16) % MIN(position, LOAD_REPEAT_DISTANCE);
        number = lane_number(lane, position);
    }
    return number;
}

/* Few types: a walk along the weights is as fast as anything. */
static const struct variant *variant_of(const struct load_events *e, uint64_t chance)
{
    uint32_t ticket = (uint32_t)((chance >> 8) % e->weight);
    const struct load_type *type = e->types;

    while (type->weight_end <= ticket)
        type++;
    return &type->variants[chance % VARIANTS];
}

/* A copy and some digits: nothing is formatted. */
size_t load_events_write(const struct load_events *e, uint64_t number, char *out)
{
    uint64_t chance = scatter(e->options.seed + number * GOLDEN);
    const struct variant *v = variant_of(e, chance);

    chance = scatter(chance); /* digits that know nothing of the type */
    memcpy(out, v->text, v->size);
    for (size_t i = 0; i < v->patch_count; i++) {
        const struct patch *p = &v->patches[i];

        p->put(out + p->offset, p->width, e, number, chance);
    }
    return v->size;
}

/* ---- percent --------------------------------------------------------------------------------- */

/* Digits, at most two of them behind a point, and perhaps the sign. */
bool load_percent_read(const char *text, uint32_t *per_10000)
{
    size_t whole = strspn(text, "0123456789");
    bool has_point = text[whole] == '.';
    const char *fraction = text + whole + (has_point ? 1 : 0);
    size_t fraction_size = has_point ? strspn(fraction, "0123456789") : 0;
    const char *rest = fraction + fraction_size;
    uint32_t value = 0;

    if (whole == 0 || whole > 3 || fraction_size > 2 || (has_point && fraction_size == 0) ||
        (rest[0] != '\0' && !g_str_equal(rest, "%")))
        return false;
    for (size_t i = 0; i < whole; i++)
        value = value * 10 + (uint32_t)(text[i] - '0');
    for (size_t i = 0; i < 2; i++)
        value = value * 10 + (i < fraction_size ? (uint32_t)(fraction[i] - '0') : 0);
    if (value > 10000)
        return false;
    *per_10000 = value;
    return true;
}
