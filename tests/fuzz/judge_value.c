#include "judge_value.h"

#include <arpa/inet.h>
#include <math.h>

#include <glib.h>

#define STARS_MAX 16

/* An operator: whether its operand is right, and whether it accepts a leaf. */
struct judge_operator {
    const char *name;
    bool (*is_valid)(json_t *operand, size_t *count);
    bool (*accepts)(json_t *operand, const json_t *leaf);
};

/* ---- numbers ----------------------------------------------------------------------------------
 */

/* A number without its notation: "-", the digits between the outer zeros, and the power of ten of
 * the last of them. Equal numbers give equal texts. */
static char *plain_form(const char *number)
{
    g_autoptr(GString) digits = g_string_new(NULL);
    const char *p = number + (*number == '-');
    gint64 power = 0;
    bool is_fraction = false;

    for (; g_ascii_isdigit(*p) || *p == '.'; p++) {
        if (*p == '.')
            is_fraction = true;
        else
            g_string_append_c(digits, *p);
        power -= is_fraction && *p != '.';
    }
    if (*p != '\0') /* a saturated exponent is out of every double's range, as the true one is */
        power += CLAMP(g_ascii_strtoll(p + 1, NULL, 10), -G_MAXINT, G_MAXINT);
    while (digits->len > 0 && digits->str[0] == '0')
        g_string_erase(digits, 0, 1);
    while (digits->len > 0 && digits->str[digits->len - 1] == '0') {
        g_string_truncate(digits, digits->len - 1);
        power++;
    }
    if (digits->len == 0)
        return g_strdup("0");
    return g_strdup_printf("%s%se%" G_GINT64_FORMAT, *number == '-' ? "-" : "", digits->str, power);
}

/* Whether a number of so many digits, the next one below or above the value, reads as it.
 * exact: the value with all its digits, "d.ddd…e±x". */
static bool has_form_of(double value, const char *exact, unsigned digits)
{
    gint64 exponent = g_ascii_strtoll(strchr(exact, 'e') + 1, NULL, 10) - digits + 1;
    guint64 below = (guint64)(exact[0] - '0');

    for (unsigned i = 1; i < digits; i++)
        below = below * 10 + (guint64)(exact[i + 1] - '0'); /* behind the point */
    for (guint64 n = below; n <= below + 1; n++) {
        g_autofree char *text =
            g_strdup_printf("%" G_GUINT64_FORMAT "e%" G_GINT64_FORMAT, n, exponent);

        if (g_ascii_strtod(text, NULL) == value)
            return true;
    }
    return false;
}

/* Whether the plain form, which reads as value, is the shortest that does: no shorter one does,
 * and of those as long it is the nearest that does. */
static bool is_shortest(const char *plain, double value)
{
    /* Digits enough for every double. */
    g_autofree char *exact = g_strdup_printf("%.800e", value);
    unsigned digits = (unsigned)(strchr(plain, 'e') - plain);
    g_autofree char *nearest = NULL;
    g_autofree char *nearest_plain = NULL;

    if (digits > 17)
        return false;
    for (unsigned n = 1; n < digits; n++) {
        if (has_form_of(value, exact, n))
            return false;
    }
    nearest = g_strdup_printf("%.*e", (int)digits - 1, value);
    nearest_plain = plain_form(nearest);
    return strcmp(nearest_plain, plain) == 0 || g_ascii_strtod(nearest, NULL) != value;
}

/* false: the number loses something as a double, and is no number for comparisons. */
static bool read_number(const json_t *number, double *value)
{
    const char *text = judge_text(number).data; /* it ends with a NUL, as the string does */
    g_autofree char *plain = plain_form(text + (*text == '-'));
    double magnitude = g_ascii_strtod(text + (*text == '-'), NULL);

    if (strcmp(plain, "0") != 0 &&
        (isinf(magnitude) || magnitude == 0 || !is_shortest(plain, magnitude)))
        return false;
    *value = *text == '-' ? -magnitude : magnitude;
    return true;
}

static bool number_equals(json_t *literal, const json_t *leaf)
{
    double a, b;

    if (read_number(literal, &a) && read_number(leaf, &b))
        return a == b;
    return slice_equal(judge_text(literal), judge_text(leaf));
}

static bool is_lower_bound(const char *sign)
{
    return sign[0] == '>';
}

/* The sign of an odd term, NULL when it is none. */
static const char *sign_of(const json_t *term)
{
    static const char *const SIGNS[] = {"=", "<", "<=", ">", ">=", NULL};
    const char *text = judge_is_text(term) ? judge_text(term).data : "";

    return judge_is_text(term) && strlen(text) == judge_text(term).size &&
                   g_strv_contains(SIGNS, text)
               ? text
               : NULL;
}

static bool is_bound(json_t *terms, size_t i, double *value)
{
    return sign_of(json_array_get(terms, i)) != NULL &&
           judge_is_number(json_array_get(terms, i + 1)) &&
           read_number(json_array_get(terms, i + 1), value);
}

/* One comparison, or a lower bound and a greater upper one. */
static bool numeric_is_valid(json_t *terms, size_t *count)
{
    double low, high;

    ++*count;
    if (!json_is_array(terms) || (json_array_size(terms) != 2 && json_array_size(terms) != 4) ||
        !is_bound(terms, 0, &low))
        return false;
    if (json_array_size(terms) == 2)
        return true;
    return is_bound(terms, 2, &high) && is_lower_bound(sign_of(json_array_get(terms, 0))) &&
           sign_of(json_array_get(terms, 2))[0] == '<' && low < high;
}

static bool compares(double value, const char *sign, double bound)
{
    if (strchr(sign, '=') != NULL && value == bound)
        return true;
    return (sign[0] == '<' && value < bound) || (sign[0] == '>' && value > bound);
}

static bool numeric_accepts(json_t *terms, const json_t *leaf)
{
    double value, bound;

    if (!judge_is_number(leaf) || !read_number(leaf, &value))
        return false;
    for (size_t i = 0; i < json_array_size(terms); i += 2) {
        if (!is_bound(terms, i, &bound) ||
            !compares(value, sign_of(json_array_get(terms, i)), bound))
            return false;
    }
    return true;
}

/* ---- addresses --------------------------------------------------------------------------------
 */

struct address {
    unsigned char bytes[16];
    size_t size; /* 4 or 16 */
};

static bool has_form(struct slice text, const char *regex)
{
    g_autoptr(GRegex) compiled = g_regex_new(regex, 0, 0, NULL);

    return g_regex_match_full(compiled, text.data, (gssize)text.size, 0, 0, NULL, NULL);
}

static bool read_v4(struct slice text, struct address *out)
{
    g_autofree char *copy = NULL;
    g_auto(GStrv) parts = NULL;

    if (text.size > strlen("255.255.255.255") ||
        !has_form(text, "\\A[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+\\z"))
        return false;
    copy = g_strndup(text.data, text.size);
    parts = g_strsplit(copy, ".", 0);
    for (size_t i = 0; i < 4; i++) {
        guint64 part = g_ascii_strtoull(parts[i], NULL, 10);

        if (part > 255)
            return false;
        out->bytes[i] = (unsigned char)part;
    }
    out->size = 4;
    return true;
}

/* Groups of hexadecimal digits only; a mapped address is the v4 address. */
static bool read_v6(struct slice text, struct address *out)
{
    g_autoptr(GRegex) zeros = g_regex_new("(^|:)0+(?=[0-9A-Fa-f])", 0, 0, NULL);
    g_autofree char *short_text = NULL;
    static const unsigned char MAPPED[12] = {[10] = 0xff, [11] = 0xff};

    if (!has_form(text, "\\A[0-9A-Fa-f:]+\\z"))
        return false;
    short_text = g_regex_replace(zeros, text.data, (gssize)text.size, 0, "\\1", 0, NULL);
    if (inet_pton(AF_INET6, short_text, out->bytes) != 1)
        return false;
    out->size = 16;
    if (memcmp(out->bytes, MAPPED, sizeof(MAPPED)) == 0) {
        memmove(out->bytes, out->bytes + sizeof(MAPPED), 4);
        out->size = 4;
    }
    return true;
}

static bool read_address(struct slice text, struct address *out)
{
    return read_v4(text, out) || read_v6(text, out);
}

static bool same_bits(const struct address *a, const struct address *b, size_t bits)
{
    if (a->size != b->size)
        return false;
    for (size_t i = 0; i < bits; i++) {
        unsigned mask = 0x80u >> (i % 8);

        if ((a->bytes[i / 8] & mask) != (b->bytes[i / 8] & mask))
            return false;
    }
    return true;
}

/* "address/bits", with fewer bits than the address has. */
static bool read_network(struct slice text, struct address *base, size_t *bits)
{
    g_autofree char *copy = g_strndup(text.data, text.size);
    char *slash = strchr(copy, '/');

    if (slash == NULL || strlen(copy) != text.size ||
        !read_address(slice_of(copy, (size_t)(slash - copy)), base) ||
        !has_form(slice_text(slash), "\\A/[0-9]{1,3}\\z"))
        return false;
    *bits = (size_t)g_ascii_strtoull(slash + 1, NULL, 10);
    return *bits < base->size * 8;
}

static bool cidr_is_valid(json_t *operand, size_t *count)
{
    struct address base;
    size_t bits;

    ++*count;
    return judge_is_text(operand) && read_network(judge_text(operand), &base, &bits);
}

static bool cidr_accepts(json_t *operand, const json_t *leaf)
{
    struct address base, address;
    size_t bits;

    return judge_is_text(leaf) && read_network(judge_text(operand), &base, &bits) &&
           read_address(judge_text(leaf), &address) && same_bits(&base, &address, bits);
}

/* ---- texts ------------------------------------------------------------------------------------
 */

static bool text_is_valid(json_t *operand, size_t *count)
{
    ++*count;
    return judge_is_text(operand);
}

static bool exactly_accepts(json_t *operand, const json_t *leaf)
{
    return judge_is_text(leaf) && slice_equal(judge_text(operand), judge_text(leaf));
}

/* A text that is an address stands for the address. */
static bool plain_text_accepts(json_t *literal, const json_t *leaf)
{
    struct address wanted, address;

    if (!judge_is_text(leaf))
        return false;
    if (!read_address(judge_text(literal), &wanted))
        return exactly_accepts(literal, leaf);
    return read_address(judge_text(leaf), &address) &&
           same_bits(&wanted, &address, wanted.size * 8);
}

/* Owned by caller. */
static GArray *characters_of(const json_t *text)
{
    GArray *characters = g_array_new(FALSE, FALSE, sizeof(gunichar));
    struct slice s = judge_text(text);

    for (const char *p = s.data; p < s.data + s.size; p += g_utf8_skip[(guchar)*p]) {
        gunichar c = g_utf8_get_char(p);

        g_array_append_val(characters, c);
    }
    return characters;
}

/* Both are one letter in two cases, each the other's. */
static bool is_same_letter(gunichar a, gunichar b)
{
    return a == b || (g_unichar_toupper(a) == b && g_unichar_tolower(b) == a) ||
           (g_unichar_toupper(b) == a && g_unichar_tolower(a) == b);
}

/* Whether text has the part at that place, counted in characters. */
static bool has_letters_at(const GArray *text, gint64 start, const GArray *part)
{
    if (start < 0 || start + part->len > text->len)
        return false;
    for (guint i = 0; i < part->len; i++) {
        if (!is_same_letter(g_array_index(text, gunichar, start + i),
                            g_array_index(part, gunichar, i)))
            return false;
    }
    return true;
}

enum place { AT_START = 1, AT_END = 2 };

static bool has_letters(json_t *operand, const json_t *leaf, unsigned places)
{
    GArray *part, *text;
    bool has;

    if (!judge_is_text(leaf))
        return false;
    part = characters_of(operand);
    text = characters_of(leaf);
    has = ((places & AT_START) == 0 || has_letters_at(text, 0, part)) &&
          ((places & AT_END) == 0 || has_letters_at(text, (gint64)text->len - part->len, part)) &&
          (places != (AT_START | AT_END) || text->len == part->len);
    g_array_free(part, TRUE);
    g_array_free(text, TRUE);
    return has;
}

static bool equals_ignore_case_accepts(json_t *operand, const json_t *leaf)
{
    return has_letters(operand, leaf, AT_START | AT_END);
}

/* The member when it is the only one and has that name. */
static json_t *only_member(json_t *object, const char *name)
{
    void *member = json_object_iter(object);

    if (json_object_size(object) != 1 ||
        strcmp(judge_name(json_object_iter_key(member)), name) != 0)
        return NULL;
    return json_object_iter_value(member);
}

static bool affix_is_valid(json_t *operand, size_t *count)
{
    json_t *inner = only_member(operand, "equals-ignore-case");

    return text_is_valid(inner != NULL ? inner : operand, count);
}

static bool prefix_accepts(json_t *operand, const json_t *leaf)
{
    json_t *inner = only_member(operand, "equals-ignore-case");

    if (inner != NULL)
        return has_letters(inner, leaf, AT_START);
    return judge_is_text(leaf) && slice_starts_with(judge_text(leaf), judge_text(operand));
}

static bool suffix_accepts(json_t *operand, const json_t *leaf)
{
    json_t *inner = only_member(operand, "equals-ignore-case");
    struct slice text, suffix;

    if (inner != NULL)
        return has_letters(inner, leaf, AT_END);
    if (!judge_is_text(leaf))
        return false;
    text = judge_text(leaf);
    suffix = judge_text(operand);
    return text.size >= suffix.size &&
           memcmp(text.data + text.size - suffix.size, suffix.data, suffix.size) == 0;
}

#define STAR (-1)

/* The wildcard as ints, its bytes and STAR. NULL when it is wrong. Owned by caller. */
static GArray *wildcard_parts(struct slice text)
{
    GArray *parts = g_array_new(FALSE, FALSE, sizeof(int));
    unsigned stars = 0;
    bool is_right = true;

    for (size_t i = 0; i < text.size && is_right; i++) {
        int part = text.data[i] == '*' ? STAR : (unsigned char)text.data[i];

        if (part == STAR)
            is_right = ++stars <= STARS_MAX && !(i + 1 < text.size && text.data[i + 1] == '*');
        if (part == '\\') {
            is_right = ++i < text.size && (text.data[i] == '*' || text.data[i] == '\\');
            part = is_right ? (unsigned char)text.data[i] : 0;
        }
        g_array_append_val(parts, part);
    }
    if (is_right)
        return parts;
    g_array_free(parts, TRUE);
    return NULL;
}

static bool wildcard_is_valid(json_t *operand, size_t *count)
{
    GArray *parts;

    if (!text_is_valid(operand, count))
        return false;
    parts = wildcard_parts(judge_text(operand));
    if (parts == NULL)
        return false;
    g_array_free(parts, TRUE);
    return true;
}

/* reached[i]: the parts so far fit the first i bytes. */
static bool wildcard_accepts(json_t *operand, const json_t *leaf)
{
    struct slice text = judge_is_text(leaf) ? judge_text(leaf) : SLICE("");
    g_autofree bool *reached = g_new0(bool, text.size + 1);
    GArray *parts;

    if (!judge_is_text(leaf))
        return false;
    parts = wildcard_parts(judge_text(operand));
    reached[0] = true;
    for (guint n = 0; n < parts->len; n++) {
        int part = g_array_index(parts, int, n);

        if (part == STAR) {
            for (size_t i = 1; i <= text.size; i++)
                reached[i] |= reached[i - 1];
            continue;
        }
        for (size_t i = text.size; i > 0; i--)
            reached[i] = reached[i - 1] && (unsigned char)text.data[i - 1] == part;
        reached[0] = false;
    }
    g_array_free(parts, TRUE);
    return reached[text.size];
}

/* ---- exists and anything-but ------------------------------------------------------------------
 */

static bool exists_is_valid(json_t *operand, size_t *count)
{
    ++*count;
    return json_is_boolean(operand);
}

static bool exists_accepts(json_t *operand, const json_t *leaf)
{
    (void)leaf;
    return json_is_true(operand);
}

static bool not_empty_is_valid(json_t *operand, size_t *count)
{
    return text_is_valid(operand, count) && judge_text(operand).size > 0;
}

/* What may stand inside anything-but. Prefix and suffix have one form only there. */
static const struct judge_operator INNER[] = {
    {"prefix", not_empty_is_valid, prefix_accepts},
    {"suffix", not_empty_is_valid, suffix_accepts},
    {"equals-ignore-case", text_is_valid, equals_ignore_case_accepts},
    {"wildcard", wildcard_is_valid, wildcard_accepts},
};

/* A list or one alone, in the same way. */
static size_t list_size(json_t *operand)
{
    return json_is_array(operand) ? json_array_size(operand) : 1;
}

static json_t *list_item(json_t *operand, size_t i)
{
    return json_is_array(operand) ? json_array_get(operand, i) : operand;
}

static bool excluded_are_valid(const struct judge_operator *op, json_t *operand, size_t *count)
{
    for (size_t i = 0; i < list_size(operand); i++) {
        if (!op->is_valid(list_item(operand, i), count))
            return false;
    }
    return list_size(operand) > 0;
}

static bool is_excluded(const struct judge_operator *op, json_t *operand, const json_t *leaf)
{
    for (size_t i = 0; i < list_size(operand); i++) {
        if (op->accepts(list_item(operand, i), leaf))
            return true;
    }
    return false;
}

static bool comparable_is_valid(json_t *operand, size_t *count)
{
    double value;

    ++*count;
    return judge_is_number(operand) && read_number(operand, &value);
}

/* Unlike as a plain value, a number that cannot be compared equals nothing here. */
static bool comparable_accepts(json_t *operand, const json_t *leaf)
{
    double a, b;

    return judge_is_number(leaf) && read_number(operand, &a) && read_number(leaf, &b) && a == b;
}

/* What the operand excludes: an operator's texts, numbers or texts; NULL when it has no such form.
 * *operands: one or a list. */
static const struct judge_operator *excluded_kind(json_t *operand, json_t **operands)
{
    static const struct judge_operator TEXT = {"", text_is_valid, exactly_accepts};
    static const struct judge_operator NUMBER = {"", comparable_is_valid, comparable_accepts};

    *operands = operand;
    for (size_t i = 0; json_is_object(operand) && i < G_N_ELEMENTS(INNER); i++) {
        *operands = only_member(operand, INNER[i].name);
        if (*operands != NULL)
            return &INNER[i];
    }
    if (json_is_object(operand) || list_size(operand) == 0)
        return NULL;
    return judge_is_number(list_item(operand, 0)) ? &NUMBER : &TEXT;
}

static bool anything_but_is_valid(json_t *operand, size_t *count)
{
    json_t *operands;
    const struct judge_operator *kind = excluded_kind(operand, &operands);

    return kind != NULL && excluded_are_valid(kind, operands, count);
}

/* Values of another type are never excluded: no kind accepts them. */
static bool anything_but_accepts(json_t *operand, const json_t *leaf)
{
    json_t *operands;
    const struct judge_operator *kind = excluded_kind(operand, &operands);

    return !is_excluded(kind, operands, leaf);
}

/* ---- one alternative --------------------------------------------------------------------------
 */

static const struct judge_operator OPERATORS[] = {
    {"anything-but", anything_but_is_valid, anything_but_accepts},
    {"cidr", cidr_is_valid, cidr_accepts},
    {"equals-ignore-case", text_is_valid, equals_ignore_case_accepts},
    {"exactly", text_is_valid, exactly_accepts},
    {"exists", exists_is_valid, exists_accepts},
    {"numeric", numeric_is_valid, numeric_accepts},
    {"prefix", affix_is_valid, prefix_accepts},
    {"suffix", affix_is_valid, suffix_accepts},
    {"wildcard", wildcard_is_valid, wildcard_accepts},
};

/* NULL when it is no object of one operator. */
static const struct judge_operator *operator_of(json_t *alternative, json_t **operand)
{
    for (size_t i = 0; i < G_N_ELEMENTS(OPERATORS); i++) {
        *operand = only_member(alternative, OPERATORS[i].name);
        if (*operand != NULL)
            return &OPERATORS[i];
    }
    return NULL;
}

bool judge_value_is_valid(json_t *alternative, size_t *count)
{
    json_t *operand;
    const struct judge_operator *op = operator_of(alternative, &operand);

    if (op != NULL)
        return op->is_valid(operand, count);
    ++*count;
    return !json_is_object(alternative) && !json_is_array(alternative);
}

bool judge_value_accepts(json_t *alternative, const json_t *leaf)
{
    json_t *operand;
    const struct judge_operator *op = operator_of(alternative, &operand);

    if (op != NULL)
        return op->accepts(operand, leaf);
    if (judge_is_text(alternative))
        return plain_text_accepts(alternative, leaf);
    if (judge_is_number(alternative))
        return judge_is_number(leaf) && number_equals(alternative, leaf);
    return json_typeof(alternative) == json_typeof(leaf); /* null, true, false */
}

bool judge_value_allows_absence(json_t *alternative)
{
    return json_is_false(only_member(alternative, "exists"));
}

bool judge_value_is_reserved(const char *name)
{
    static const char *const RESERVED[] = {"=",
                                           "<",
                                           "<=",
                                           ">",
                                           ">=",
                                           "regex",
                                           "not-wildcard",
                                           "not-equals-ignore-case",
                                           "date-after",
                                           "date-before",
                                           "date-on-or-after",
                                           "date-on-or-before",
                                           "in-date-range",
                                           "ip-address-in-range",
                                           "ip-address-not-in-range",
                                           NULL};

    for (size_t i = 0; i < G_N_ELEMENTS(OPERATORS); i++) {
        if (strcmp(OPERATORS[i].name, name) == 0)
            return true;
    }
    return g_strv_contains(RESERVED, name);
}
