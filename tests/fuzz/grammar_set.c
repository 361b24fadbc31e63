#include "grammar_set.h"

#include <math.h>
#include <stdbool.h>

#include "grammar.h"

#define OBJECTS_MAX 3   /* $or and objects around a condition of a pattern */
#define ARRAYS_MAX  5   /* arrays around a leaf of an event */
#define LEAVES_MAX  300 /* of an event */
#define REPEAT_MAX  200 /* bytes of an element that is repeated many times */

/* Strings are kept as the content of a JSON string, escaped. */
enum flavour {
    FLAVOUR_TEXT,
    FLAVOUR_NUMBER,
    FLAVOUR_ADDRESS,
    FLAVOUR_WORD,
    FLAVOUR_COUNT,
};

/* A field and its share of the vocabulary. */
struct field {
    char *path;
    enum flavour flavour;
    unsigned start; /* of its values in the list of its flavour */
    unsigned count;
};

/* A condition of a pattern: what the field should be, as JSON; NULL: it should be absent. */
struct wish {
    unsigned field;
    char *value;
};

/* From where to where in a list. */
struct range {
    guint start;
    guint end;
};

struct grammar_set {
    const unsigned char *p;
    const unsigned char *end;
    uint64_t state;                   /* of the choices behind the end; 0: none */
    GPtrArray *values[FLAVOUR_COUNT]; /* the vocabulary */
    GArray *fields;                   /* struct field */
    GArray *wishes;                   /* struct wish, of all patterns */
    GArray *patterns;                 /* struct range of wishes, one for each pattern */
    GString *out;
    size_t prefix;        /* bytes of the paths that the object being written stands for */
    const char *path;     /* a path with that prefix */
    const char *value;    /* what would fulfil the alternatives being written, as JSON */
    GString *value_store; /* where value lies unless it is NULL */
    unsigned leaves;      /* of the event so far */
};

/* ---- choices ----------------------------------------------------------------------------------
 */

/* Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators". */
static unsigned next_random(struct grammar_set *g)
{
    uint64_t z = g->state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (unsigned)(z >> 33);
}

/* A byte, or two where one cannot name all. */
static unsigned choose(struct grammar_set *g, unsigned count)
{
    unsigned value;

    if (g->p >= g->end)
        return g->state == 0 ? 0 : next_random(g) % count;
    value = *g->p++;
    if (count > 256 && g->p < g->end)
        value = value << 8 | *g->p++;
    return value % count;
}

/* true once in so many times. */
static bool is_rare(struct grammar_set *g, unsigned count)
{
    return choose(g, count) == count - 1;
}

static void put(struct grammar_set *g, const char *text)
{
    g_string_append(g->out, text);
}

/* ---- the vocabulary ---------------------------------------------------------------------------
 */

static const char *known(struct grammar_set *g, enum flavour flavour)
{
    const GPtrArray *list = g->values[flavour];

    return list->len == 0 ? "x" : list->pdata[choose(g, list->len)];
}

static bool is_plain(const char *text)
{
    return strpbrk(text, "\\\"*") == NULL;
}

/* A beginning or an end of the text, whole characters. Owned by caller. */
static char *cut(struct grammar_set *g, const char *text, bool is_end)
{
    long size = g_utf8_strlen(text, -1);
    long at = size == 0 ? 0 : (long)choose(g, (unsigned)MIN(size, 255));

    if (!is_plain(text))
        return g_strdup(text);
    return is_end ? g_utf8_substring(text, at, size) : g_utf8_substring(text, 0, at);
}

/* Every second character in the other case, or all. Owned by caller. */
static char *swap_case(struct grammar_set *g, const char *text)
{
    unsigned which = choose(g, 3);
    GString *swapped = g_string_new(NULL);
    unsigned i = 0;

    if (!is_plain(text)) {
        g_string_append(swapped, text);
        return g_string_free(swapped, FALSE);
    }
    for (const char *p = text; *p != '\0'; p += g_utf8_skip[(guchar)*p], i++) {
        gunichar c = g_utf8_get_char(p);
        bool is_upper = which == 0 || (which == 2 && i % 2 == 0);

        g_string_append_unichar(swapped, is_upper ? g_unichar_toupper(c) : g_unichar_tolower(c));
    }
    return g_string_free(swapped, FALSE);
}

/* A text made of another. Owned by caller. */
static char *change_text(struct grammar_set *g, const char *text)
{
    switch (choose(g, 8)) {
    case 0:
        return cut(g, text, false);
    case 1:
        return cut(g, text, true);
    case 2:
        return swap_case(g, text);
    case 3:
        return g_strconcat(text, "x", NULL);
    case 4:
        return g_strconcat("x", text, NULL);
    case 5:
        return g_strconcat(text, known(g, FLAVOUR_TEXT), NULL);
    case 6:
        return g_strconcat(text, "\\u0000", NULL);
    default:
        return g_strdup(text);
    }
}

/* Lengths around those of words and registers. Owned by caller. */
static char *make_long_text(struct grammar_set *g)
{
    char *text = g_strnfill(1 + choose(g, 70), 'k');

    text[choose(g, (unsigned)strlen(text))] = (char)('a' + choose(g, 26));
    return text;
}

static char *make_text(struct grammar_set *g)
{
    unsigned kind = choose(g, 8);

    if (kind < 3)
        return g_strdup(grammar_text(choose(g, 256)));
    if (kind == 3)
        return g_strdup_printf("k%u", choose(g, 4096));
    if (kind == 4)
        return make_long_text(g);
    return change_text(g, known(g, FLAVOUR_TEXT));
}

/* The fewest digits that give the double. Nearly always 15 do, and "%g" leaves out zeros; where
 * doubles lie far apart, fewer may. Owned by caller. */
static char *shortest_form(double value)
{
    int digits = fabs(value) < 1e-300 ? 1 : 15;
    char *text = g_strdup("7");

    for (; digits <= 17 && isfinite(value); digits++) {
        g_free(text);
        text = g_strdup_printf("%.*g", digits, value);
        if (g_ascii_strtod(text, NULL) == value)
            break;
    }
    return text;
}

/* A number near another, or the same in other words. Owned by caller. */
static char *change_number(struct grammar_set *g, const char *number)
{
    double value = g_ascii_strtod(number, NULL);

    switch (choose(g, 8)) {
    case 0:
        return shortest_form(nextafter(value, INFINITY));
    case 1:
        return shortest_form(nextafter(value, -INFINITY));
    case 2:
        return shortest_form(value + 1);
    case 3:
        return shortest_form(value - 1);
    case 4:
        return shortest_form(-value);
    case 5:
        return g_strconcat(number, strpbrk(number, ".eE") == NULL ? ".0" : "", NULL);
    case 6:
        return shortest_form(value);
    default:
        return g_strdup(number);
    }
}

static char *make_number(struct grammar_set *g)
{
    unsigned kind = choose(g, 8);

    if (kind < 2)
        return g_strdup(grammar_number(choose(g, 256)));
    if (kind < 4)
        return g_strdup_printf("%d", (int)choose(g, 64) - 16);
    if (kind == 4)
        return g_strdup_printf("%d", (int)choose(g, 60000) - 20000);
    if (kind == 5)
        return g_strdup_printf("%u.%02u", choose(g, 100), choose(g, 100));
    return change_number(g, g->values[FLAVOUR_NUMBER]->len == 0 ? "1" : known(g, FLAVOUR_NUMBER));
}

/* Few networks, so that addresses lie together; one part decides. Owned by caller. */
static char *make_address(struct grammar_set *g)
{
    static const char *const FORMS[] = {
        "10.0.0.%u",     "10.0.%u.9", "%u.0.0.0", "010.000.0.%u",  "2001:db8::%x",
        "2001:db8:%x::", "%x::",      "::%x",     "::ffff:a00:%x", "2001:DB8:0:0:0:0:0:%X"};
    unsigned form = choose(g, G_N_ELEMENTS(FORMS) + 1);
    GString *address = g_string_new(NULL);
    unsigned part = choose(g, 256);

    if (form == G_N_ELEMENTS(FORMS))
        return g_string_free(g_string_append(address, "255.255.255.255"), FALSE);
    /* The form is a constant: the only thing to fill in is the part. */
    for (const char *p = FORMS[form]; *p != '\0'; p++) {
        if (*p != '%')
            g_string_append_c(address, *p);
        else
            g_string_append_printf(address, *++p == 'u' ? "%u" : "%x", part);
    }
    return g_string_free(address, FALSE);
}

static char *make_word(struct grammar_set *g)
{
    static const char *const WORDS[] = {"null", "true", "false"};

    return g_strdup(WORDS[choose(g, G_N_ELEMENTS(WORDS))]);
}

static void make_vocabulary(struct grammar_set *g, unsigned count)
{
    static char *(*const MAKERS[FLAVOUR_COUNT])(struct grammar_set * g) = {make_text, make_number,
                                                                           make_address, make_word};

    for (unsigned flavour = 0; flavour < FLAVOUR_COUNT; flavour++) {
        for (unsigned i = 0; i < count; i++)
            g_ptr_array_add(g->values[flavour], MAKERS[flavour](g));
    }
}

/* ---- fields -----------------------------------------------------------------------------------
 */

static bool has_path(const struct grammar_set *g, const char *path)
{
    for (guint i = 0; i < g->fields->len; i++) {
        if (strcmp(g_array_index(g->fields, struct field, i).path, path) == 0)
            return true;
    }
    return false;
}

/* One to three names. Owned by caller. */
static char *make_path(struct grammar_set *g)
{
    /* The first six are the usual ones; some are alike in their first eight bytes. */
    static const char *const NAMES[] = {
        "a", "b",      "c",   "d",       "a",     "b",          "e",          "",
        "A", "\u00e9", "x y", "\\u0000", "q\\\"", "identifier", "identifies", "identifi"};
    GString *path = g_string_new(NULL);
    unsigned names = 1 + choose(g, 3);

    for (unsigned i = 0; i < names; i++)
        g_string_append_printf(path, "%s%s", i == 0 ? "" : ".",
                               NAMES[choose(g, is_rare(g, 4) ? G_N_ELEMENTS(NAMES) : 6)]);
    if (has_path(g, path->str))
        g_string_append_printf(path, "%u", g->fields->len);
    return g_string_free(path, FALSE);
}

static void make_fields(struct grammar_set *g, unsigned count)
{
    static const enum flavour FLAVOURS[] = {FLAVOUR_TEXT,   FLAVOUR_NUMBER, FLAVOUR_TEXT,
                                            FLAVOUR_NUMBER, FLAVOUR_TEXT,   FLAVOUR_ADDRESS,
                                            FLAVOUR_WORD};

    for (unsigned i = 0; i < count; i++) {
        struct field field = {.flavour = FLAVOURS[choose(g, G_N_ELEMENTS(FLAVOURS))]};
        guint all = g->values[field.flavour]->len;

        field.path = make_path(g);
        field.count = 1 + choose(g, is_rare(g, 4) ? all : MIN(all, 4));
        field.start = choose(g, all - field.count + 1);
        g_array_append_val(g->fields, field);
    }
}

static const struct field *field_at(const struct grammar_set *g, unsigned i)
{
    return &g_array_index(g->fields, struct field, i);
}

/* One of the field's values, or now and then another of its flavour. Borrowed. */
static const char *value_of(struct grammar_set *g, const struct field *field, enum flavour flavour)
{
    if (flavour != field->flavour || is_rare(g, 16))
        return known(g, flavour);
    return g->values[flavour]->pdata[field->start + choose(g, field->count)];
}

/* ---- conditions -------------------------------------------------------------------------------
 */

/* Writes an operand and sets the value that would fulfil it. */
typedef void (*operand_put)(struct grammar_set *g, const struct field *field);

/* A row of a table of operators: what stands around the operand. */
struct form {
    const char *before;
    const char *after;
    operand_put put_operand;
};

/* What would fulfil the condition, as JSON; quote: '"' for strings, or empty. */
static void wish_for(struct grammar_set *g, const char *quote, const char *before,
                     const char *content, const char *after)
{
    g_string_printf(g->value_store, "%s%s%s%s%s", quote, before, content, after, quote);
    g->value = g->value_store->str;
}

static void put_string(struct grammar_set *g, const char *content)
{
    g_string_append_printf(g->out, "\"%s\"", content);
}

/* The text as it is: for plain values, and what takes one whole. */
static void put_text(struct grammar_set *g, const struct field *field)
{
    const char *text = value_of(g, field, FLAVOUR_TEXT);

    put_string(g, text);
    wish_for(g, "\"", "", text, "");
}

static void put_text_changed(struct grammar_set *g, const struct field *field)
{
    g_autofree char *text = change_text(g, value_of(g, field, FLAVOUR_TEXT));

    put_string(g, text);
    wish_for(g, "\"", "", text, "");
}

static void put_prefix(struct grammar_set *g, const struct field *field)
{
    g_autofree char *text = cut(g, value_of(g, field, FLAVOUR_TEXT), false);

    put_string(g, text);
    wish_for(g, "\"", "", text, known(g, FLAVOUR_TEXT));
}

static void put_suffix(struct grammar_set *g, const struct field *field)
{
    g_autofree char *text = cut(g, value_of(g, field, FLAVOUR_TEXT), true);

    put_string(g, text);
    wish_for(g, "\"", known(g, FLAVOUR_TEXT), text, "");
}

static void put_folded(struct grammar_set *g, const struct field *field)
{
    const char *text = value_of(g, field, FLAVOUR_TEXT);
    g_autofree char *swapped = swap_case(g, text);

    put_string(g, swapped);
    wish_for(g, "\"", "", text, "");
}

/* A star before, behind, within; or one of the forms with escapes. */
static void put_wildcard(struct grammar_set *g, const struct field *field)
{
    static const char *const TRAPS[] = {"*",         "",        "x\\\\*",     "\\\\**",
                                        "*\\\\\\\\", "*x*y*x*", "\\\\**\\\\*"};
    const char *text = value_of(g, field, FLAVOUR_TEXT);
    g_autofree char *head = cut(g, text, false);
    g_autofree char *tail = cut(g, text, true);
    static const char *const STARS[][3] = {
        {"", "*", ""},  {"", "*", ""},  {"*", "", ""},
        {"", "*", "*"}, {"*", "*", ""}, {"*", "*", "*"},
    };
    const char *const *stars = STARS[choose(g, G_N_ELEMENTS(STARS))];

    if (!is_plain(text) || is_rare(g, 8)) {
        put_string(g, TRAPS[choose(g, G_N_ELEMENTS(TRAPS))]);
        wish_for(g, "\"", "", text, "");
        return;
    }
    if (*stars[1] == '\0' || *head == '\0' || *tail == '\0') {
        g_string_append_printf(g->out, "\"%s%s%s\"", stars[0], text, *text == '\0' ? "" : "*");
        wish_for(g, "\"", "", text, known(g, FLAVOUR_TEXT));
        return;
    }
    g_string_append_printf(g->out, "\"%s%s*%s%s\"", stars[0], head, tail, stars[2]);
    wish_for(g, "\"", head, known(g, FLAVOUR_TEXT), tail);
}

static void put_number(struct grammar_set *g, const struct field *field)
{
    const char *number = value_of(g, field, FLAVOUR_NUMBER);

    put(g, number);
    wish_for(g, "", "", number, "");
}

/* One bound, or two of which the first is lower, most of the time. */
static void put_range(struct grammar_set *g, const struct field *field)
{
    static const char *const SIGNS[] = {">", ">=", "<", "<=", "="};
    const char *low = value_of(g, field, FLAVOUR_NUMBER);
    const char *high = value_of(g, field, FLAVOUR_NUMBER);
    unsigned first = choose(g, G_N_ELEMENTS(SIGNS));
    unsigned wished = choose(g, 2);

    if (g_ascii_strtod(low, NULL) > g_ascii_strtod(high, NULL)) {
        const char *other = low;

        low = high;
        high = other;
    }
    wish_for(g, "", "", wished == 0 ? low : high, "");
    if (first >= 2 || g_ascii_strtod(low, NULL) == g_ascii_strtod(high, NULL))
        g_string_append_printf(g->out, "[\"%s\",%s]", SIGNS[first], low);
    else
        g_string_append_printf(g->out, "[\"%s\",%s,\"%s\",%s]", SIGNS[first], low,
                               SIGNS[2 + choose(g, 2)], high);
}

static void put_address(struct grammar_set *g, const struct field *field)
{
    const char *address = value_of(g, field, FLAVOUR_ADDRESS);

    put_string(g, address);
    wish_for(g, "\"", "", address, "");
}

/* Whole groups, their neighbours, and all the lengths there are. */
static void put_network(struct grammar_set *g, const struct field *field)
{
    static const unsigned BITS[] = {24, 0, 8, 16, 31, 30, 1, 25};
    const char *address = value_of(g, field, FLAVOUR_ADDRESS);
    bool is_v6 = strchr(address, ':') != NULL && !g_str_has_prefix(address, "::ffff:");
    unsigned kind = choose(g, 4);
    unsigned bits = kind < 2 ? BITS[choose(g, G_N_ELEMENTS(BITS))] : choose(g, is_v6 ? 128 : 32);

    if (kind == 1 && is_v6)
        bits += 96;
    g_string_append_printf(g->out, "\"%s/%u\"", address, bits);
    wish_for(g, "\"", "", address, "");
}

static void put_word(struct grammar_set *g, const struct field *field)
{
    const char *word = value_of(g, field, FLAVOUR_WORD);

    put(g, word);
    wish_for(g, "", "", word, "");
}

static void put_presence(struct grammar_set *g, const struct field *field)
{
    bool is_wanted = choose(g, 2) == 1;

    put(g, is_wanted ? "true" : "false");
    wish_for(g, "", "", "null", "");
    if (!is_wanted)
        g->value = NULL;
    (void)field;
}

/* One, or a list; for anything-but. What would fulfil it is something else. */
static void put_list(struct grammar_set *g, const struct field *field, operand_put put_one)
{
    unsigned count = choose(g, 4);

    put(g, count == 0 ? "" : "[");
    put_one(g, field);
    for (unsigned i = 1; i < count; i++) {
        put(g, ",");
        put_one(g, field);
    }
    put(g, count == 0 ? "" : "]");
    if (choose(g, 2) == 0)
        wish_for(g, "\"", "", known(g, FLAVOUR_TEXT), "");
    else
        wish_for(g, "", "", known(g, FLAVOUR_NUMBER), "");
}

static void put_other_texts(struct grammar_set *g, const struct field *field)
{
    put_list(g, field, put_text);
}

static void put_other_addresses(struct grammar_set *g, const struct field *field)
{
    put_list(g, field, put_address);
}

static void put_other_prefixes(struct grammar_set *g, const struct field *field)
{
    put_list(g, field, put_prefix);
}

static void put_other_suffixes(struct grammar_set *g, const struct field *field)
{
    put_list(g, field, put_suffix);
}

static void put_other_folded(struct grammar_set *g, const struct field *field)
{
    put_list(g, field, put_folded);
}

static void put_other_wildcards(struct grammar_set *g, const struct field *field)
{
    put_list(g, field, put_wildcard);
}

static void put_other_numbers(struct grammar_set *g, const struct field *field)
{
    put_list(g, field, put_number);
}

static const struct form TEXT_FORMS[] = {
    {"", "", put_text},
    {"", "", put_text},
    {"", "", put_text_changed},
    {"{\"prefix\":", "}", put_prefix},
    {"{\"suffix\":", "}", put_suffix},
    {"{\"equals-ignore-case\":", "}", put_folded},
    {"{\"prefix\":{\"equals-ignore-case\":", "}}", put_prefix},
    {"{\"suffix\":{\"equals-ignore-case\":", "}}", put_suffix},
    {"{\"wildcard\":", "}", put_wildcard},
    {"{\"anything-but\":", "}", put_other_texts},
    {"{\"anything-but\":{\"prefix\":", "}}", put_other_prefixes},
    {"{\"anything-but\":{\"suffix\":", "}}", put_other_suffixes},
    {"{\"anything-but\":{\"equals-ignore-case\":", "}}", put_other_folded},
    {"{\"anything-but\":{\"wildcard\":", "}}", put_other_wildcards},
    {"{\"exactly\":", "}", put_text},
    {"{\"exists\":", "}", put_presence},
};

static const struct form NUMBER_FORMS[] = {
    {"", "", put_number},
    {"", "", put_number},
    {"{\"numeric\":", "}", put_range},
    {"{\"numeric\":", "}", put_range},
    {"{\"numeric\":", "}", put_range},
    {"{\"anything-but\":", "}", put_other_numbers},
    {"{\"numeric\":[\"=\",", "]}", put_number},
    {"{\"exists\":", "}", put_presence},
};

static const struct form ADDRESS_FORMS[] = {
    {"", "", put_address},
    {"{\"cidr\":", "}", put_network},
    {"{\"cidr\":", "}", put_network},
    {"{\"anything-but\":", "}", put_other_addresses},
    {"{\"exactly\":", "}", put_address},
    {"{\"prefix\":", "}", put_address},
    {"{\"suffix\":{\"equals-ignore-case\":", "}}", put_address},
    {"{\"exists\":", "}", put_presence},
};

static const struct form WORD_FORMS[] = {
    {"", "", put_word},
    {"", "", put_word},
    {"{\"exists\":", "}", put_presence},
};

static const struct {
    const struct form *forms;
    unsigned count;
} FORMS[FLAVOUR_COUNT] = {
    [FLAVOUR_TEXT] = {TEXT_FORMS, G_N_ELEMENTS(TEXT_FORMS)},
    [FLAVOUR_NUMBER] = {NUMBER_FORMS, G_N_ELEMENTS(NUMBER_FORMS)},
    [FLAVOUR_ADDRESS] = {ADDRESS_FORMS, G_N_ELEMENTS(ADDRESS_FORMS)},
    [FLAVOUR_WORD] = {WORD_FORMS, G_N_ELEMENTS(WORD_FORMS)},
};

static void put_alternatives(struct grammar_set *g, const struct field *field)
{
    static const unsigned COUNTS[] = {1, 1, 1, 2, 2, 3, 5, 12};
    unsigned count = COUNTS[choose(g, G_N_ELEMENTS(COUNTS))];

    put(g, "[");
    for (unsigned i = 0; i < count; i++) {
        unsigned flavour = is_rare(g, 10) ? choose(g, FLAVOUR_COUNT) : field->flavour;
        const struct form *form = &FORMS[flavour].forms[choose(g, FORMS[flavour].count)];

        put(g, i == 0 ? "" : ",");
        put(g, form->before);
        form->put_operand(g, field);
        put(g, form->after);
    }
    put(g, "]");
}

/* ---- patterns ---------------------------------------------------------------------------------
 */

/* Whether the field belongs below the object being written. */
static bool is_below(const struct grammar_set *g, const struct field *field)
{
    return g->prefix == 0 ||
           (strlen(field->path) > g->prefix && field->path[g->prefix - 1] == '.' &&
            strncmp(field->path, g->path, g->prefix) == 0);
}

/* A field below the object being written that the scope has not named, by bit; -1: none is left. */
static int pick_field(struct grammar_set *g, uint64_t used)
{
    unsigned first = choose(g, g->fields->len);

    for (unsigned i = 0; i < g->fields->len; i++) {
        unsigned n = (first + i) % g->fields->len;

        if ((used >> n & 1) == 0 && is_below(g, field_at(g, n)))
            return (int)n;
    }
    return -1;
}

static void put_condition(struct grammar_set *g, unsigned n)
{
    const struct field *field = field_at(g, n);
    struct wish wish = {.field = n};

    g_string_append_printf(g->out, "\"%s\":", field->path + g->prefix);
    put_alternatives(g, field);
    wish.value = g_strdup(g->value);
    g_array_append_val(g->wishes, wish);
}

static void put_object(struct grammar_set *g, unsigned depth, uint64_t *used);

/* Branches name their fields anew, also those that stand around them. */
static void put_or(struct grammar_set *g, unsigned depth)
{
    unsigned count = 2 + choose(g, 3);

    put(g, "\"$or\":[");
    for (unsigned i = 0; i < count; i++) {
        uint64_t used = 0;

        put(g, i == 0 ? "" : ",");
        put_object(g, depth + 1, &used);
    }
    put(g, "]");
}

/* The first name of the field, and an object of what lies below it. */
static void put_inner(struct grammar_set *g, unsigned n, unsigned depth, uint64_t *used)
{
    const char *path = field_at(g, n)->path;
    const char *outer_path = g->path;
    size_t outer = g->prefix;
    size_t size = strcspn(path + outer, ".");

    g_string_append_printf(g->out, "\"%.*s\":", (int)size, path + outer);
    g->path = path;
    g->prefix = outer + size + 1;
    put_object(g, depth + 1, used);
    g->path = outer_path;
    g->prefix = outer;
}

/* One object of a kind in each: repeated names would be refused. */
static void put_object(struct grammar_set *g, unsigned depth, uint64_t *used)
{
    unsigned count = is_rare(g, 12) ? 12 : 1 + choose(g, 4);
    bool has_or = depth >= OBJECTS_MAX;
    bool has_inner = has_or;
    const char *comma = "";

    put(g, "{");
    for (unsigned i = 0; i < count; i++) {
        unsigned kind = choose(g, 10);
        int n = pick_field(g, *used);

        if (kind == 9 && !has_or) {
            put(g, comma);
            has_or = true;
            put_or(g, depth);
        } else if (n >= 0) {
            put(g, comma);
            if (kind == 8 && !has_inner &&
                strchr(field_at(g, (unsigned)n)->path + g->prefix, '.')) {
                has_inner = true;
                put_inner(g, (unsigned)n, depth, used);
                comma = ",";
                continue;
            }
            *used |= (uint64_t)1 << n;
            put_condition(g, (unsigned)n);
        } else {
            continue;
        }
        comma = ",";
    }
    put(g, "}");
}

/* A pattern, or once in a while one that is there already. Owned by caller. */
static char *make_pattern(struct grammar_set *g, const GPtrArray *so_far)
{
    GString *text = g_string_new(NULL);
    struct range wishes = {.start = g->wishes->len};
    uint64_t used = 0;

    if (so_far->len > 0 && is_rare(g, 24)) {
        g_string_append(text, so_far->pdata[choose(g, so_far->len)]);
    } else {
        g->out = text;
        put_object(g, 0, &used);
    }
    wishes.end = g->wishes->len;
    g_array_append_val(g->patterns, wishes);
    return g_string_free(text, FALSE);
}

/* ---- events -----------------------------------------------------------------------------------
 */

/* A field of the event, and what it should be; NULL: whatever the field may be. */
struct part {
    const struct field *field;
    const char *value;
};

/* The text somewhere in so many others that looking for it the long way would not pay. */
static void put_large_text(struct grammar_set *g, const char *text)
{
    g_autofree char *before = g_strnfill(choose(g, 4) == 0 ? 0 : 10 * choose(g, 256), 'z');
    g_autofree char *behind = g_strnfill(choose(g, 4) == 0 ? 0 : 10 * choose(g, 256), 'y');

    g_string_append_printf(g->out, "\"%s%s%s\"", before, text, behind);
}

static void put_any_value(struct grammar_set *g, const struct field *field)
{
    unsigned flavour = is_rare(g, 8) ? choose(g, FLAVOUR_COUNT) : field->flavour;
    const char *value = value_of(g, field, flavour);
    g_autofree char *changed = NULL;

    if (choose(g, 3) == 2 && flavour <= FLAVOUR_NUMBER)
        changed = flavour == FLAVOUR_TEXT ? change_text(g, value) : change_number(g, value);
    if (changed != NULL)
        value = changed;
    if (flavour == FLAVOUR_TEXT && is_rare(g, 24))
        put_large_text(g, value);
    else if (flavour == FLAVOUR_TEXT || flavour == FLAVOUR_ADDRESS)
        put_string(g, value);
    else
        put(g, value);
}

static void put_leaf(struct grammar_set *g, const struct part *part)
{
    g->leaves++;
    if (part->value != NULL && choose(g, 4) < 3)
        put(g, part->value);
    else
        put_any_value(g, part->field);
}

static size_t name_size(const struct part *part, size_t offset)
{
    return strcspn(part->field->path + offset, ".");
}

static bool has_same_name(const struct part *a, const struct part *b, size_t offset)
{
    size_t size = name_size(a, offset);

    return size == name_size(b, offset) &&
           memcmp(a->field->path + offset, b->field->path + offset, size) == 0;
}

/* The parts with the name that number i has there; NULL when an earlier one has it, too. */
static GPtrArray *group_of(const GPtrArray *parts, guint i, size_t offset)
{
    GPtrArray *group = g_ptr_array_new();

    for (guint n = 0; n < parts->len; n++) {
        if (!has_same_name(parts->pdata[n], parts->pdata[i], offset))
            continue;
        if (n < i) {
            g_ptr_array_unref(group);
            return NULL;
        }
        g_ptr_array_add(group, parts->pdata[n]);
    }
    return group;
}

/* What stands below a name: parts that share the path up to offset. */
static void put_below(struct grammar_set *g, const GPtrArray *parts, size_t offset,
                      unsigned arrays);

/* The whole rest of the path as one name, dots and all. */
static void put_dotted(struct grammar_set *g, const struct part *part, size_t offset)
{
    g_string_append_printf(g->out, "\"%s\":", part->field->path + offset);
    put_leaf(g, part);
}

static void put_name(struct grammar_set *g, const struct part *part, size_t offset)
{
    const char *name = part->field->path + offset;
    size_t size = name_size(part, offset);

    if (size == 1 && is_rare(g, 16))
        g_string_append_printf(g->out, "\"\\u%04x\":", (unsigned)(unsigned char)*name);
    else
        g_string_append_printf(g->out, "\"%.*s\":", (int)size, name);
}

static void put_members(struct grammar_set *g, const GPtrArray *parts, size_t offset,
                        unsigned arrays)
{
    const char *comma = "";

    put(g, "{");
    for (guint i = 0; i < parts->len && g->leaves < LEAVES_MAX; i++) {
        g_autoptr(GPtrArray) group = group_of(parts, i, offset);
        unsigned kind = choose(g, 16);
        unsigned times = kind == 13 ? 2 : (kind == 14 ? 0 : 1); /* repeated, or left out */

        for (unsigned n = 0; group != NULL && n < times; n++, comma = ",") {
            put(g, comma);
            if (kind == 15) {
                put_dotted(g, parts->pdata[i], offset);
                continue;
            }
            put_name(g, parts->pdata[i], offset);
            put_below(g, group, offset + name_size(parts->pdata[i], offset) + 1, arrays);
        }
    }
    put(g, "}");
}

/* Most of what can be asked about arrays is about elements of one form. */
static void put_elements(struct grammar_set *g, const GPtrArray *parts, size_t offset,
                         unsigned arrays)
{
    unsigned count = choose(g, 4);

    put(g, "[");
    for (unsigned i = 0; i < count; i++) {
        size_t start;

        put(g, i == 0 ? "" : ",");
        start = g->out->len;
        put_below(g, parts, offset, arrays + 1);
        if (is_rare(g, 24) && g->out->len - start < REPEAT_MAX) {
            g_autofree char *element = g_strdup(g->out->str + start);

            for (unsigned n = choose(g, 40); n > 0; n--)
                g_string_append_printf(g->out, ",%s", element);
        }
    }
    put(g, "]");
}

static void put_below(struct grammar_set *g, const GPtrArray *parts, size_t offset, unsigned arrays)
{
    unsigned kind = choose(g, 8);
    g_autoptr(GPtrArray) deeper = g_ptr_array_new();
    const struct part *leaf = NULL;

    for (guint i = 0; i < parts->len; i++) {
        struct part *part = parts->pdata[i];

        if (offset > strlen(part->field->path))
            leaf = part;
        else
            g_ptr_array_add(deeper, part);
    }
    if (kind >= 6 && arrays < ARRAYS_MAX)
        put_elements(g, parts, offset, arrays);
    else if (leaf != NULL && (deeper->len == 0 || kind % 2 == 0))
        put_leaf(g, leaf);
    else
        put_members(g, deeper, offset, arrays);
}

/* What a pattern waits for joins the event. */
static void add_wishes(struct grammar_set *g, GArray *parts)
{
    struct range wishes =
        g_array_index(g->patterns, struct range, choose(g, MAX(g->patterns->len, 1)));

    for (guint i = wishes.start; i < wishes.end; i++) {
        const struct wish *wish = &g_array_index(g->wishes, struct wish, i);
        struct part part = {.field = field_at(g, wish->field), .value = wish->value};

        if (wish->value != NULL)
            g_array_append_val(parts, part);
    }
}

/* Owned by caller. */
static char *make_event(struct grammar_set *g)
{
    g_autoptr(GArray) parts = g_array_new(FALSE, FALSE, sizeof(struct part));
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    unsigned targets = g->patterns->len == 0 ? 0 : 1 + choose(g, 3);
    unsigned often = 1 + choose(g, 4);

    for (unsigned i = 0; i < targets; i++)
        add_wishes(g, parts);
    for (guint i = 0; i < g->fields->len; i++) {
        struct part part = {.field = field_at(g, i)};

        if (is_rare(g, often))
            g_array_append_val(parts, part);
    }
    for (guint i = 0; i < parts->len; i++)
        g_ptr_array_add(all, &g_array_index(parts, struct part, i));
    g->out = g_string_new(NULL);
    g->leaves = 0;
    put_members(g, all, 0, 0);
    return g_string_free(g->out, FALSE);
}

/* ---- all of it --------------------------------------------------------------------------------
 */

static void begin(struct grammar_set *g, struct slice choices, const struct grammar_plan *plan)
{
    *g = (struct grammar_set){.p = (const unsigned char *)choices.data, .state = plan->seed};
    g->end = g->p + choices.size;
    for (unsigned i = 0; i < FLAVOUR_COUNT; i++)
        g->values[i] = g_ptr_array_new_with_free_func(g_free);
    g->fields = g_array_new(FALSE, FALSE, sizeof(struct field));
    g->wishes = g_array_new(FALSE, FALSE, sizeof(struct wish));
    g->patterns = g_array_new(FALSE, FALSE, sizeof(struct range));
    g->value_store = g_string_new(NULL);
    make_vocabulary(g, plan->values);
    make_fields(g, plan->fields);
}

static void end(struct grammar_set *g)
{
    for (guint i = 0; i < g->fields->len; i++)
        g_free(g_array_index(g->fields, struct field, i).path);
    for (guint i = 0; i < g->wishes->len; i++)
        g_free(g_array_index(g->wishes, struct wish, i).value);
    for (unsigned i = 0; i < FLAVOUR_COUNT; i++)
        g_ptr_array_unref(g->values[i]);
    g_array_unref(g->fields);
    g_array_unref(g->wishes);
    g_array_unref(g->patterns);
    g_string_free(g->value_store, TRUE);
}

void grammar_set_derive(struct slice choices, const struct grammar_plan *plan, GPtrArray *patterns,
                        GPtrArray *events)
{
    struct grammar_set g;

    g_assert(plan->fields > 0 && plan->fields <= GRAMMAR_FIELDS_MAX && plan->values > 0);
    begin(&g, choices, plan);
    for (unsigned i = 0; i < plan->patterns; i++)
        g_ptr_array_add(patterns, make_pattern(&g, patterns));
    for (unsigned i = 0; i < plan->events; i++)
        g_ptr_array_add(events, make_event(&g));
    end(&g);
}
