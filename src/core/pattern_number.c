/* Numbers: what may be compared, and how, without a word of doubt about rounding.
 *
 * JSON numbers are decimal, doubles are binary. A comparison is only honest when the text and the
 * double mean the same, which we take to be so when the text, apart from notation (35.0, 3.5e1,
 * trailing zeros), is the shortest decimal that gives that double. So 0.1 is comparable, although
 * no double is a tenth, and 0.10000000000000001 is not, although it gives the same double.
 * Texts that are not comparable satisfy no numeric test; as literals they equal their own text.
 *
 * A number is read for every evaluation (the event's leaf keeps text), so the usual ones must be
 * fast: up to 15 digits, and most of 16, need one multiplication or division and no look at the
 * shortest form; the others some multiplications of integers.
 */
#include <math.h>

#include "core/pattern_internal.h"

#define DIGITS_ALWAYS_EXACT 15 /* DBL_DIG: so many decimal digits survive a double */
#define DIGITS_MAX          17 /* no shortest form of a double is longer */
#define PLAIN_MAX           17 /* bytes: 16 digits and a point */
#define PLAIN_END           (UINT64_C(1) << 52)
/* No exponent of a double comes near, and sums with the length of a text stay in an int64. */
#define EXPONENT_MAX    1000000000
#define POWER_EXACT_MAX 22 /* 10^22 is the largest power of ten that is a double */
#define NEAR_TEN        32 /* a double is less than 12 in the 17th digit away from its decimals */
/* The parts of a double of the usual size: (2^52 + mantissa) * 2^(exponent - 1075). */
#define MANTISSA_BITS 52
#define MANTISSA_END  (UINT64_C(1) << MANTISSA_BITS)
#define MANTISSA_MASK (MANTISSA_END - 1)
#define EXPONENT_ZERO 1075

/* value = digits * 10^exponent, no zeros at either end of digits; 0 is digits 0. */
struct decimal {
    uint64_t digits; /* below 10^DIGITS_MAX, so it always fits */
    int64_t exponent;
    unsigned digit_count; /* of digits; 0 for the number 0 */
    bool is_negative;
};

/* Each of them is exact as a double; a table, because pow() need not round correctly. */
static const double POWERS[POWER_EXACT_MAX + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/* The number behind 'e'; saturates, since such a value is out of range anyway. */
static int64_t read_exponent(const char *p, const char *end)
{
    bool is_negative = p < end && *p == '-';
    int64_t value = 0;

    if (p < end && (*p == '-' || *p == '+'))
        p++;
    for (; p < end; p++)
        value = MIN(value * 10 + (*p - '0'), EXPONENT_MAX);
    return is_negative ? -value : value;
}

/* Reads sign, digits and exponent of checked JSON number text into the normal form above.
 * Zeros wait until a digit follows, so those at the end never count. false: too many digits. */
static bool read_decimal(struct slice text, struct decimal *out)
{
    const char *p = text.data, *end = text.data + text.size;
    struct decimal d = {.is_negative = text.size > 0 && *text.data == '-'};
    int64_t zeros = 0, after_point = 0;
    bool is_behind_point = false;

    for (p += d.is_negative; p < end && (*p | 0x20) != 'e'; p++) {
        if (*p == '.') {
            is_behind_point = true;
            continue;
        }
        after_point += is_behind_point;
        if (*p == '0') {
            zeros += d.digit_count > 0;
            continue;
        }
        if (d.digit_count + zeros + 1 > DIGITS_MAX)
            return false;
        for (; zeros > 0; zeros--, d.digit_count++)
            d.digits *= 10;
        d.digits = d.digits * 10 + (uint64_t)(*p - '0');
        d.digit_count++;
    }
    d.exponent = zeros - after_point + (p < end ? read_exponent(p + 1, end) : 0);
    *out = d;
    return true;
}

/* Whether the number one step above the text in its last digit gives value. Below a power of two
 * doubles lie closer together than above it, so the nearest decimal may miss where this one does
 * not: 5.960464477539062e-08 misses 2^-24, 5.960464477539063e-08 gives it. */
static bool is_given_from_above(const char *text, double value)
{
    const char *e = strchr(text, 'e');
    int64_t exponent = read_exponent(e + 1, e + strlen(e));
    uint64_t digits = 0;
    char above[48];

    for (const char *p = text; p < e; p++) {
        if (*p != '.')
            digits = digits * 10 + (uint64_t)(*p - '0');
    }
    exponent -= e - text > 1 ? e - text - 2 : 0; /* the digits behind the point */
    g_snprintf(above, sizeof(above), "%" G_GUINT64_FORMAT "e%d", digits + 1, (int)exponent);
    return g_ascii_strtod(above, NULL) == value;
}

/* Whether d, which gives value, is its shortest decimal form. No shorter decimal may give value,
 * and among those of the same length d must be the nearest. A much shorter one that does is, with
 * zeros behind it, also one of a digit less; so only two lengths are looked at. The sign plays no
 * part. Slow, and only reached by numbers that the table of powers cannot do. */
static bool is_shortest(const struct decimal *d, double value)
{
    for (unsigned n = MAX(d->digit_count, 2) - 1; n <= d->digit_count; n++) {
        char format[8], text[G_ASCII_DTOSTR_BUF_SIZE];
        struct decimal nearest;

        g_snprintf(format, sizeof(format), "%%.%ue", n - 1);
        g_ascii_formatd(text, sizeof(text), format, value);
        if (g_ascii_strtod(text, NULL) == value) {
            read_decimal(slice_text(text), &nearest);
            return nearest.digits == d->digits && nearest.exponent == d->exponent;
        }
        if (n < d->digit_count && is_given_from_above(text, value))
            return false;
    }
    return true;
}

/* The way through the C library, for what the fast way cannot do. Overflow to infinity and
 * underflow to 0 lose the value, so such numbers are not comparable; 400 is beyond both ends
 * (308 and -324 with 17 digits) and keeps the text short. */
static struct pattern_number convert_slowly(const struct decimal *d)
{
    char text[48];
    double value;

    if (d->exponent > 400 || d->exponent < -400)
        return (struct pattern_number){.is_exact = false};
    g_snprintf(text, sizeof(text), "%" G_GUINT64_FORMAT "e%d", d->digits, (int)d->exponent);
    value = g_ascii_strtod(text, NULL);
    if (isinf(value) || value == 0 || !is_shortest(d, value))
        return (struct pattern_number){.is_exact = false};
    return (struct pattern_number){.value = d->is_negative ? -value : value, .is_exact = true};
}

#ifdef __SIZEOF_INT128__
typedef unsigned int wide __attribute__((mode(TI))); /* of 128 bits */

/* The decimals that give a double: all times 2 * 10^places * 2^n, where both are integers. */
struct span {
    wide value; /* the double itself */
    wide half;  /* half of its distance to the next ones: so far away decimals are rounded to it */
    unsigned shift;
    bool is_even; /* those just half-way are, too */
};

static bool gives(const struct span *s, uint64_t digits)
{
    wide decimal = (wide)digits << s->shift;
    wide away = decimal > s->value ? decimal - s->value : s->value - decimal;

    return away < s->half || (away == s->half && s->is_even);
}

/* Of mantissa * 2^exponent. With up to 10^22 all of it fits into 107 bits. */
static struct span span_of(uint64_t mantissa, int exponent, unsigned places)
{
    uint64_t fives = (uint64_t)(POWERS[places] / (double)(UINT64_C(1) << places));
    int shift = exponent + (int)places;
    unsigned up = shift > 0 ? (unsigned)shift : 0, down = shift < 0 ? (unsigned)-shift : 0;

    return (struct span){.value = (wide)mantissa * fives << (up + 1),
                         .half = (wide)fives << up,
                         .shift = down + 1,
                         .is_even = mantissa % 2 == 0};
}

/* The same as convert_slowly in integers, for 16 and 17 digits of which up to 22 are behind the
 * point. Neither is the division exact, nor its first operand, but it is one double off at most.
 * It is the shortest form when no decimal of one digit less gives the double, and no other one of
 * as many digits is nearer. false: it has to be done slowly. Powers of two, as the next double
 * below is nearer than the one above; digits next to a power of ten, as shorter ones behind it
 * have other places; decimals just half-way. */
static bool convert_long(const struct decimal *d, struct pattern_number *out)
{
    uint64_t ten = (uint64_t)POWERS[d->digit_count], low = d->digits - d->digits % 10, bits;
    unsigned places = (unsigned)-d->exponent;
    struct span span;
    wide away, decimal;
    double value;
    int exponent;

    if (d->exponent > 0 || d->exponent < -POWER_EXACT_MAX || d->digits > ten - NEAR_TEN ||
        d->digits < ten / 10 + NEAR_TEN)
        return false;
    value = (double)d->digits / POWERS[places];
    memcpy(&bits, &value, sizeof(bits));
    exponent = (int)(bits >> MANTISSA_BITS) - EXPONENT_ZERO;
    span = span_of((bits & MANTISSA_MASK) | MANTISSA_END, exponent, places);
    decimal = (wide)d->digits << span.shift;
    if (!gives(&span, d->digits)) {
        bits = decimal > span.value ? bits + 1 : bits - 1;
        span = span_of((bits & MANTISSA_MASK) | MANTISSA_END, exponent, places);
    }
    if ((bits & MANTISSA_MASK) == 0 || !gives(&span, d->digits))
        return false;
    away = decimal > span.value ? decimal - span.value : span.value - decimal;
    if (away == (wide)1 << (span.shift - 1))
        return false;
    memcpy(&value, &bits, sizeof(value));
    out->value = d->is_negative ? -value : value;
    out->is_exact =
        away < (wide)1 << (span.shift - 1) && !gives(&span, low) && !gives(&span, low + 10);
    return true;
}
#else
static bool convert_long(const struct decimal *d, struct pattern_number *out)
{
    (void)d;
    (void)out;
    return false;
}
#endif

/* Digits with at most one point among them, which make a number below 2^52: nearly every number of
 * an event. No sign, no exponent. false: read it with care. Zeros at either end do no harm here, as
 * the value is rounded once from the same decimal. So many digits are always the shortest form:
 * the double is less than half a step of the last digit away, every shorter decimal more. */
static bool parse_plain(struct slice text, double *value)
{
    uint64_t digits = 0;
    size_t point = text.size;

    if (text.size > PLAIN_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';

        if (digit <= 9)
            digits = digits * 10 + digit;
        else if (text.data[i] == '.' && point == text.size)
            point = i + 1;
        else
            return false;
    }
    *value = (double)digits / POWERS[text.size - point];
    return digits < PLAIN_END;
}

/* Up to 15 digits and a small power of ten are both doubles, so one rounding gives the nearest
 * double. Source: Clinger 1990, "How to read floating point numbers accurately", fast path. */
struct pattern_number pattern_number_parse(struct slice text)
{
    struct pattern_number number;
    struct decimal d;
    double value;

    if (parse_plain(text, &value))
        return (struct pattern_number){.value = value, .is_exact = true};
    if (!read_decimal(text, &d))
        return (struct pattern_number){.is_exact = false};
    if (d.digits == 0)
        return (struct pattern_number){.value = 0, .is_exact = true};
    if (d.digit_count > DIGITS_ALWAYS_EXACT && convert_long(&d, &number))
        return number;
    if (d.digit_count > DIGITS_ALWAYS_EXACT || d.exponent > POWER_EXACT_MAX ||
        d.exponent < -POWER_EXACT_MAX)
        return convert_slowly(&d);
    value = (double)d.digits;
    value = d.exponent < 0 ? value / POWERS[-d.exponent] : value * POWERS[d.exponent];
    return (struct pattern_number){.value = d.is_negative ? -value : value, .is_exact = true};
}

/* Equality of doubles is exact here: both sides came from comparable texts. Lists are short, and
 * are not sorted. */
static bool is_excluded(const struct pattern_number_test *test, double value)
{
    for (uint32_t i = 0; i < test->excluded_count; i++) {
        if (test->excluded[i] == value)
            return true;
    }
    return false;
}

/* Two comparable literals are compared by value; when either is not, the same text is the same
 * number and nothing else can be said. */
bool pattern_number_passes(const struct pattern_number_test *test, struct slice text,
                           struct pattern_number number)
{
    switch (test->kind) {
    case NUMBER_RANGE:
        return number.is_exact && test->low <= number.value && number.value <= test->high;
    case NUMBER_LITERAL:
        if (test->is_exact && number.is_exact)
            return test->low == number.value;
        return slice_equal(test->text, text);
    case NUMBER_NONE_OF:
        return !number.is_exact || !is_excluded(test, number.value);
    }
    return false;
}
