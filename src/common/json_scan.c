/* The parts of the JSON grammar that stand alone: strings, numbers, escapes, UTF-8. They look at
 * bytes between two pointers, keep nothing, allocate nothing and never read at or behind end, so
 * the tree reader, the flattener and the fuzz targets all use the same ones. */
#include "common/json.h"

#include <string.h>

#include "common/error.h"
#include "common/json_plain.h"

/* Source: RFC 8259 (JSON); RFC 3629 section 4 (well-formed UTF-8). */

#define SURROGATE_HIGH 0xD800U /* first of the pair: D800 to DBFF */
#define SURROGATE_LOW  0xDC00U /* second of the pair: DC00 to DFFF */
#define SURROGATE_END  0xE000U
#define ESCAPE_SIZE    6 /* bytes of "\u0000" */

/* With their article, so that a message can say "must be a string, not an array". */
const char *json_type_name(enum json_type type)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",        [JSON_FALSE] = "a boolean", [JSON_TRUE] = "a boolean",
        [JSON_NUMBER] = "a number",  [JSON_TEXT] = "a string",   [JSON_ARRAY] = "an array",
        [JSON_OBJECT] = "an object",
    };

    return names[type];
}

const char *json_scan_space(const char *p, const char *end)
{
    return json_skip_space(p, end);
}

/* The smallest and largest second byte for each kind of first byte: this one table keeps out
 * overlong forms, surrogates and what lies behind U+10FFFF. */
struct utf8_range {
    unsigned char first_min, first_max, second_min, second_max, size;
};

static const struct utf8_range UTF8_RANGES[] = {
    {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
    {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
    {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

/* The size of the character at p, whose first byte lies in the range, or 0. left: bytes from p to
 * the end. Only the second byte has limits of its own; all later ones are 80 to BF. */
static size_t utf8_check(const struct utf8_range *range, const unsigned char *p, size_t left)
{
    if (left < range->size || p[1] < range->second_min || p[1] > range->second_max)
        return 0;
    for (size_t i = 2; i < range->size; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return range->size;
}

size_t json_scan_utf8(const char *p, const char *end)
{
    const unsigned char *bytes = (const unsigned char *)p;

    if (p == end)
        return 0;
    if (bytes[0] < 0x80)
        return 1;
    /* The rows ascend, so the first one that reaches far enough decides. */
    for (size_t i = 0; i < G_N_ELEMENTS(UTF8_RANGES); i++)
        if (bytes[0] <= UTF8_RANGES[i].first_max)
            return bytes[0] < UTF8_RANGES[i].first_min
                       ? 0
                       : utf8_check(&UTF8_RANGES[i], bytes, (size_t)(end - p));
    return 0;
}

/* The value of four hexadecimal digits, or a number above 0xFFFF when they are none. All four bytes
 * must be there: the callers have looked. */
static unsigned read_hex4(const char *p)
{
    unsigned value = 0;

    for (int i = 0; i < 4; i++) {
        int digit = g_ascii_xdigit_value(p[i]);

        if (digit < 0)
            return UINT_MAX;
        value = value << 4 | (unsigned)digit;
    }
    return value;
}

/* p is at "\u". Returns the size of the escape (a surrogate pair is one), or 0 with *why set. A
 * lone half is refused: it has no UTF-8 form, and readers that accept it disagree on its value.
 * Source: RFC 8259 sections 7 and 8.2. */
static size_t scan_unicode_escape(const char *p, const char *end, const char **why)
{
    size_t left = (size_t)(end - p);
    unsigned unit = left < ESCAPE_SIZE ? UINT_MAX : read_hex4(p + 2);
    unsigned second;

    *why = "four hexadecimal digits were expected after \\u";
    if (unit == UINT_MAX)
        return 0;
    if (unit < SURROGATE_HIGH || unit >= SURROGATE_END)
        return ESCAPE_SIZE;
    *why = "a surrogate escape without its other half";
    if (unit >= SURROGATE_LOW || left < (size_t)2 * ESCAPE_SIZE || p[6] != '\\' || p[7] != 'u')
        return 0;
    second = read_hex4(p + 8);
    return second >= SURROGATE_LOW && second < SURROGATE_END ? (size_t)2 * ESCAPE_SIZE : 0;
}

/* p is at a backslash. Returns the size of the escape, or 0 with *why set. The test for NUL comes
 * first because strchr finds the NUL that ends its own list. */
static size_t scan_escape(const char *p, const char *end, const char **why)
{
    *why = "an unknown escape";
    if (end - p < 2) {
        *why = "the text ends inside a string";
        return 0;
    }
    if (p[1] == 'u')
        return scan_unicode_escape(p, end, why);
    return p[1] != '\0' && strchr("\"\\/bfnrt", p[1]) != NULL ? 2 : 0;
}

const char *json_scan_text(const char *p, const char *end, bool *has_escape, const char **bad,
                           const char **why)
{
    *has_escape = false;
    for (;;) {
        size_t size = 0;

        p = json_scan_plain(p, end);
        if (p < end && *p == '"')
            return p + 1;
        if (p == end) {
            *why = "the text ends inside a string";
        } else if (*p == '\\') {
            *has_escape = true;
            size = scan_escape(p, end, why);
        } else if ((unsigned char)*p < 0x20) {
            *why = "a control character inside a string";
        } else {
            *why = "a string that is not valid UTF-8";
            size = json_scan_utf8(p, end);
        }
        if (size == 0) {
            *bad = p;
            return NULL;
        }
        p += size;
    }
}

/* Skips at least one digit. NULL with *bad and *why when there is none. ASCII only, whatever the
 * locale says of other digits. */
static const char *scan_digits(const char *p, const char *end, const char **bad, const char **why)
{
    const char *first = p;

    while (p < end && g_ascii_isdigit(*p))
        p++;
    if (p > first)
        return p;
    *bad = p;
    *why = "a digit was expected in a number";
    return NULL;
}

/* The digits before a point: "0" alone, or digits that do not begin with it, since to some readers
 * 010 means eight. */
static const char *scan_whole(const char *p, const char *end, const char **bad, const char **why)
{
    const char *after = scan_digits(p, end, bad, why);

    if (after == NULL || *p != '0' || after == p + 1)
        return after;
    *bad = p;
    *why = "a number may not begin with 0";
    return NULL;
}

/* number = [ minus ] int [ frac ] [ exp ]. No value is made: whoever needs one reads the text.
 * Source: RFC 8259 section 6. */
const char *json_scan_number(const char *p, const char *end, const char **bad, const char **why)
{
    p = scan_whole(p + (p < end && *p == '-'), end, bad, why);
    if (p != NULL && p < end && *p == '.')
        p = scan_digits(p + 1, end, bad, why);
    if (p != NULL && p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p = scan_digits(p + (p < end && (*p == '+' || *p == '-')), end, bad, why);
    }
    return p;
}

/* Writes a code point that is no surrogate; returns its 1 to 4 bytes. Never longer than the escape
 * that it came from (6 bytes, or 12 for a pair), so unescaping fits into raw.size bytes.
 * Source: RFC 3629 section 3. */
static size_t put_utf8(unsigned c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* Undoes the checked escape at p. Returns its size and moves *out behind what was written. The
 * quote, the backslash and '/' stand for themselves; the table has the other short forms. */
static size_t unescape_one(const char *p, char **out)
{
    static const char short_forms[][2] = {
        {'b', '\b'}, {'f', '\f'}, {'n', '\n'}, {'r', '\r'}, {'t', '\t'}};
    unsigned c;

    if (p[1] != 'u') {
        **out = p[1];
        for (size_t i = 0; i < G_N_ELEMENTS(short_forms); i++)
            if (short_forms[i][0] == p[1])
                **out = short_forms[i][1];
        *out += 1;
        return 2;
    }
    c = read_hex4(p + 2);
    if (c < SURROGATE_HIGH || c >= SURROGATE_END) {
        *out += put_utf8(c, *out);
        return ESCAPE_SIZE;
    }
    /* Ten bits from each half, counted from U+10000. Source: The Unicode Standard, 3.9, D91. */
    c = 0x10000 + ((c - SURROGATE_HIGH) << 10) + (read_hex4(p + 8) - SURROGATE_LOW);
    *out += put_utf8(c, *out);
    return (size_t)2 * ESCAPE_SIZE;
}

/* Runs without a backslash are copied whole; in the texts of events escapes are rare. */
size_t json_unescape(struct slice raw, char *out)
{
    const char *p = raw.data;
    const char *end = p + raw.size;
    char *first = out;

    while (p < end) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((escape != NULL ? escape : end) - p);

        memcpy(out, p, plain);
        out += plain;
        p += plain;
        if (escape != NULL)
            p += unescape_one(p, &out);
    }
    return (size_t)(out - first);
}

/* Lines are counted only here, after the failure: the readers need not keep track. */
void json_set_error(GError **error, struct slice text, const char *bad, const char *why)
{
    size_t line = 1;
    const char *line_start = text.data;
    const char *p = text.data;

    while (p < bad && (p = memchr(p, '\n', (size_t)(bad - p))) != NULL) {
        p++;
        line++;
        line_start = p;
    }
    g_set_error(error, EF_ERROR, EF_ERROR_INPUT, "%s at line %zu, column %zu (byte %zu)", why, line,
                (size_t)(bad - line_start) + 1, (size_t)(bad - text.data));
}
