/* Source: docs/campaigns.md. Checking only: what a reward amounts to for a given event is worked
 * out when it is granted. */
#include "core/campaign_schema.h"

#include <glib.h>

/* The rewards of "then". Amounts are the delicate part: they are money, so their text is judged as
 * decimal digits and never passes through a binary float on the way to a decision. */

/* Every match records the rewards, so their number and size are part of what a match costs. */
#define REWARDS_MAX         8
#define REWARD_TYPE_MAX     64
#define REWARD_DIGITS_MAX   15 /* of an amount: exact in every reader's double, room in an int64 */
#define REWARD_DECIMALS_MAX 6
#define REWARD_PERCENT_MAX  1000
#define REWARD_SCALE_MAX    6
#define REWARD_TEXT_MAX     200
#define REWARD_EXPONENT_MAX                                                                        \
    1000000 /* read as this from there on; more digits than a document has */

/* A number without the zeros at both ends: value = 0.digits x 10^point. */
struct reward_number {
    bool is_negative;
    long digits; /* how many; 0: the number is zero */
    long point;  /* digits before the decimal point; negative: so many zeros follow it first */
};

/* The first byte that is no zero. Zeros in front mean nothing and would spoil the count. */
static const char *reward_skip_zeros(const char *p, const char *end)
{
    while (p < end && *p == '0')
        p++;
    return p;
}

/* Counts digits. Zeros count once another digit follows; *zeros carries those that may still. */
static const char *reward_read_digits(const char *p, const char *end, struct reward_number *n,
                                      long *zeros)
{
    for (; p < end && g_ascii_isdigit(*p); p++) {
        (*zeros)++;
        if (*p == '0')
            continue;
        n->digits += *zeros;
        *zeros = 0;
    }
    return p;
}

/* p is behind the 'e'. Saturates: such a number is refused in any case. */
static long reward_read_exponent(const char *p, const char *end)
{
    bool is_negative = p < end && *p == '-';
    long exponent = 0;

    for (; p < end; p++)
        if (g_ascii_isdigit(*p))
            exponent = MIN(exponent * 10 + (*p - '0'), REWARD_EXPONENT_MAX);
    return is_negative ? -exponent : exponent;
}

/* text: a checked JSON number. Reads 12.50 as 3 digits (1 2 5) and point 2. */
static struct reward_number reward_read_number(struct slice text)
{
    struct reward_number n = {.is_negative = text.data[0] == '-'};
    const char *end = text.data + text.size;
    const char *whole = reward_skip_zeros(text.data + (n.is_negative ? 1 : 0), end);
    long zeros = 0;
    const char *p = reward_read_digits(whole, end, &n, &zeros);

    n.point = (long)(p - whole);
    if (p < end && *p == '.') {
        const char *fraction = p + 1;

        /* 0.005: the zeros before the first digit only move the point. */
        p = n.point == 0 ? reward_skip_zeros(fraction, end) : fraction;
        n.point -= (long)(p - fraction);
        p = reward_read_digits(p, end, &n, &zeros);
    }
    if (p < end)
        n.point += reward_read_exponent(p + 1, end);
    return n;
}

/* Amounts are scaled integers, never binary floats: what does not fit exactly is refused. Zeros at
 * the ends are no digits here, so 100 has one and 1e20 still is too large: its point is behind 21
 * places. */
static bool reward_fits(const struct reward_number *n)
{
    long decimals = MAX(n->digits - n->point, 0);
    long whole = MAX(n->point, 0);

    return n->digits == 0 ||
           (decimals <= REWARD_DECIMALS_MAX && decimals + whole <= REWARD_DIGITS_MAX);
}

/* Greater than 0: an amount of nothing is a mistake, and taking away is not a reward. */
static bool reward_is_positive(const struct reward_number *n)
{
    return n->digits > 0 && !n->is_negative;
}

/* The answer tells the caller whether the number may be looked at further. */
static bool reward_check_fits(const struct json_value *value, const char *pointer,
                              struct problems *problems)
{
    struct reward_number n = reward_read_number(value->text);

    if (reward_fits(&n))
        return true;
    problems_add(problems, pointer, "must have at most %d digits, %d of them decimals",
                 REWARD_DIGITS_MAX, REWARD_DECIMALS_MAX);
    return false;
}

/* "min" and "max" may be 0 or negative; they only have to be exact. */
static void reward_check_bound(const struct json_value *value, const char *pointer,
                               struct problems *problems)
{
    reward_check_fits(value, pointer, problems);
}

/* A fixed amount. One problem at a time: a wrong sign is said first. */
static void reward_check_positive(const struct json_value *value, const char *pointer,
                                  struct problems *problems)
{
    struct reward_number n = reward_read_number(value->text);

    if (!reward_is_positive(&n))
        problems_add(problems, pointer, "must be greater than 0");
    else
        reward_check_fits(value, pointer, problems);
}

/* Comparing as doubles is exact enough: at most 15 digits, so different numbers stay different. For
 * bounds of one document only; no amount is ever worked out from it. */
static double reward_double(const struct json_value *value)
{
    g_autofree char *text = g_strndup(value->text.data, value->text.size);

    return g_ascii_strtod(text, NULL);
}

/* More than 1000 % is taken for a slip of the decimal point. A number that does not fit is judged
 * by its digits, not by its rounded double. */
static void reward_check_percent(const struct json_value *value, const char *pointer,
                                 struct problems *problems)
{
    struct reward_number n = reward_read_number(value->text);

    if (!reward_is_positive(&n) || (reward_fits(&n) && reward_double(value) > REWARD_PERCENT_MAX))
        problems_add(problems, pointer, "must be greater than 0 and at most %d",
                     REWARD_PERCENT_MAX);
    else
        reward_check_fits(value, pointer, problems);
}

/* The path of the number that the percentage is of. Whether events have it is seen per event. */
static void reward_check_of(const struct json_value *value, const char *pointer,
                            struct problems *problems)
{
    schema_check_root(value->text, pointer, problems);
}

/* Decimals to keep: 2 for cents, 0 for points. */
static void reward_check_scale(const struct json_value *value, const char *pointer,
                               struct problems *problems)
{
    int64_t scale;

    if (!json_integer(value, 0, REWARD_SCALE_MAX, &scale))
        problems_add(problems, pointer, "must be a whole number from 0 to %d", REWARD_SCALE_MAX);
}

/* {"percent":5,"of":"payload.amount","max":20}: a share of a number in the event, kept within
 * bounds and rounded down to scale decimals. */
static const struct schema_field AMOUNT_FIELDS[] = {
    {"percent", SCHEMA_KNOWN, true, SCHEMA_NUMBER, reward_check_percent}, /* 0 < p <= 1000 */
    {"of", SCHEMA_KNOWN, true, SCHEMA_TEXT, reward_check_of},             /* a path in the event */
    {"min", SCHEMA_KNOWN, false, SCHEMA_NUMBER, reward_check_bound},
    {"max", SCHEMA_KNOWN, false, SCHEMA_NUMBER, reward_check_bound},
    {"scale", SCHEMA_KNOWN, false, SCHEMA_NUMBER, reward_check_scale}, /* decimals kept */
};

/* Crossed bounds would make every reward impossible. Bounds of a wrong type were reported already.
 */
static void reward_check_range(const struct json_value *amount, const char *pointer,
                               struct problems *problems)
{
    const struct json_value *min = json_get(amount, SLICE("min"));
    const struct json_value *max = json_get(amount, SLICE("max"));

    if (min == NULL || max == NULL || min->type != JSON_NUMBER || max->type != JSON_NUMBER)
        return;
    if (reward_double(min) > reward_double(max)) {
        g_autofree char *place = problem_pointer(pointer, SLICE("min"));

        problems_add(problems, place, "must not be greater than \"max\"");
    }
}

/* A number, or an object that says how to work it out; the table admits no other types. */
static void reward_check_amount(const struct json_value *value, const char *pointer,
                                struct problems *problems)
{
    if (value->type == JSON_NUMBER) {
        reward_check_positive(value, pointer, problems);
        return;
    }
    schema_check_object(AMOUNT_FIELDS, G_N_ELEMENTS(AMOUNT_FIELDS), value, pointer, problems);
    reward_check_range(value, pointer, problems);
}

/* ^[a-z][a-z0-9_.-]{0,63}$: a name such as "points" or "coupon.free-shipping". */
static bool reward_is_type(struct slice text)
{
    if (text.size == 0 || text.size > REWARD_TYPE_MAX || !g_ascii_islower(text.data[0]))
        return false;
    for (size_t i = 1; i < text.size; i++) {
        char c = text.data[i];

        if (!g_ascii_islower(c) && !g_ascii_isdigit(c) && c != '_' && c != '.' && c != '-')
            return false;
    }
    return true;
}

/* Which types there are is the receiver's business; only the form is checked. */
static void reward_check_type(const struct json_value *value, const char *pointer,
                              struct problems *problems)
{
    if (!reward_is_type(value->text))
        problems_add(problems, pointer,
                     "must begin with a lower-case letter and have at most %d lower-case letters, "
                     "digits, '_', '.' and '-'",
                     REWARD_TYPE_MAX);
}

/* "unit" and "to": names that the receiver knows. */
static void reward_check_text(const struct json_value *value, const char *pointer,
                              struct problems *problems)
{
    schema_check_size(value, REWARD_TEXT_MAX, pointer, problems);
}

/* "data" is the receiver's business; its templates are filled in when rewards are sent. */
static const struct schema_field REWARD_FIELDS[] = {
    {"type", SCHEMA_KNOWN, true, SCHEMA_TEXT, reward_check_type},
    {"amount", SCHEMA_KNOWN, false, SCHEMA_NUMBER | SCHEMA_OBJECT, reward_check_amount},
    {"unit", SCHEMA_KNOWN, false, SCHEMA_TEXT, reward_check_text},
    {"to", SCHEMA_KNOWN, false, SCHEMA_TEXT, reward_check_text},
    {"data", SCHEMA_KNOWN, false, SCHEMA_OBJECT, NULL},
};

/* An amount without a unit cannot be added up, budgeted or paid. */
static void reward_check(const struct json_value *reward, const char *pointer,
                         struct problems *problems)
{
    if (reward->type != JSON_OBJECT) {
        problems_add(problems, pointer, "must be an object, not %s", json_type_name(reward->type));
        return;
    }
    schema_check_object(REWARD_FIELDS, G_N_ELEMENTS(REWARD_FIELDS), reward, pointer, problems);
    if (json_get(reward, SLICE("amount")) != NULL && json_get(reward, SLICE("unit")) == NULL) {
        g_autofree char *unit = problem_pointer(pointer, SLICE("unit"));

        problems_add(problems, unit, "is required with \"amount\", such as \"USD\" or \"points\"");
    }
}

/* All rewards are checked, also those past the limit, so that one answer tells everything. */
void schema_check_rewards(const struct json_value *value, const char *pointer,
                          struct problems *problems)
{
    size_t i = 0;

    if (value->count == 0)
        problems_add(problems, pointer,
                     "must have at least one reward; leave \"then\" out to only record matches");
    else if (value->count > REWARDS_MAX)
        problems_add(problems, pointer, "must have at most %d rewards, not %u", REWARDS_MAX,
                     value->count);
    for (const struct json_value *v = value->first; v != NULL; v = v->next) {
        g_autofree char *place = problem_pointer_index(pointer, i++);

        reward_check(v, place, problems);
    }
}
