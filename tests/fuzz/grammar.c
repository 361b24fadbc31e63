#include "grammar.h"

#include <stdbool.h>
#include <stdint.h>

#define DEPTH_MAX       4 /* of objects in the pattern, of anything in the event */
#define SHAPE_DEPTH_MAX 7 /* of arrays in an event that has the pattern's form */

/* From where to where in a list. */
struct range {
    guint start;
    guint end;
};

/* A field that the pattern named. */
struct field {
    char *path;
    struct range texts; /* of its alternatives, in grammar.texts */
    struct range numbers;
};

struct grammar {
    const unsigned char *p;
    const unsigned char *end;
    GString *out;
    GString *path;            /* of the object being written */
    GArray *fields;           /* struct field */
    GPtrArray *texts;         /* content of strings that the pattern named, escaped; owned */
    GPtrArray *numbers;       /* numbers that the pattern named; owned */
    struct range known_texts; /* what the event's values are made of, at present */
    struct range known_numbers;
};

/* Some of these are equal in one sense or another: as addresses, without case, as wildcards. */
static const char *const TEXTS[] = {
    "",
    "x",
    "X",
    "xy",
    "xyx",
    "*",
    "x*",
    "*x",
    "x*y*x",
    "x\\\\*",
    "\\\\*",
    "x\\\\\\\\",
    "5",
    "true",
    "null",
    "10.0.0.9",
    "010.0.0.9",
    "10.0.0.255",
    "::ffff:a00:9",
    "2001:db8::1",
    "2001:0DB8:0:0:0:0:0:1",
    "::",
    "0::0",
    "1::2::3",
    "256.1.1.1",
    "\u00e9",
    "\u00c9",
    "e\u0301",
    "\\u00e9",
    "\u00df",
    "ss",
    "SS",
    "\u1e9e",
    "\u0130",
    "i",
    "I",
    "\u0131",
    "\u212a",
    "k",
    "K",
    "\u017f",
    "s",
    "\u01c4",
    "\u01c5",
    "\u01c6",
    "\u2c65",
    "\u023a",
    "\u03c3",
    "\u03c2",
    "\u03a3",
    "\\u0000",
    "x\\u0000",
    "\\ud83d\\ude00",
    "\\/",
    "\\\"",
    "\\n",
};

static const char *const NETWORKS[] = {
    "10.0.0.0/8",      "10.0.0.9/31", "0.0.0.0/0",       "2001:db8::/32",
    "2001:db8::1/127", "::/0",        "::ffff:a00:0/24", "10.0.0.9/32",
    "2001:db8::1/128", "10.0.0.0/",   "10.0.0.0/-1",     "10.0.0.0/08",
};

static const char *const NUMBERS[] = {
    "0",
    "-0",
    "0.0",
    "0e5",
    "1",
    "1.0",
    "10e-1",
    "0.1e1",
    "5",
    "-5",
    "5.5",
    "100",
    "1e2",
    "1E+2",
    "0.1",
    "0.10",
    "0.10000000000000001",
    "9007199254740992",
    "9007199254740993",
    "1e400",
    "1E400",
    "-1e400",
    "1e-400",
    "5e-324",
    "4.9e-324",
    "2.4e-324",
    "1.7976931348623157e308",
    "1.7976931348623158e308",
    "1.7976931348623159e308",
    "12345678901234567890123",
    "1e22",
    "1e23",
    "9.999999999999999e22",
    "0.30000000000000004",
    "123456789012345678",
    "2.2250738585072014e-308",
    "1e99999999999999999999",
    "0e99999999999999999999",
    "1.0000000000000000001",
};

static const char *const NAMES[] = {
    "a", "b", "c", "a.b", "b.c", "", ".", "$or", "A", "\\u0061", "prefix", "exists", "<", "\u00e9",
};

const char *grammar_text(unsigned i)
{
    return TEXTS[i % G_N_ELEMENTS(TEXTS)];
}

const char *grammar_number(unsigned i)
{
    return NUMBERS[i % G_N_ELEMENTS(NUMBERS)];
}

static unsigned choose(struct grammar *g, unsigned count)
{
    return g->p < g->end ? *g->p++ % count : 0;
}

/* true once in so many times. */
static bool is_rare(struct grammar *g, unsigned count)
{
    return choose(g, count) == count - 1;
}

static void put(struct grammar *g, const char *text)
{
    g_string_append(g->out, text);
}

/* Any character that needs no escape. */
static void append_character(struct grammar *g, GString *text)
{
    gunichar c =
        choose(g, 2) == 0 ? 0x20 + choose(g, 95) : 0x80 + choose(g, 256) + 256 * choose(g, 48);

    if (c == '"' || c == '\\' || (c & ~0x7ffu) == 0xd800)
        c = 'z';
    g_string_append_unichar(text, c);
}

/* The content of a string, escaped. Owned by caller. */
static char *make_text(struct grammar *g)
{
    GString *text;

    if (choose(g, 4) < 3)
        return g_strdup(TEXTS[choose(g, G_N_ELEMENTS(TEXTS))]);
    text = g_string_new(NULL);
    for (unsigned n = choose(g, 5); n > 0; n--)
        append_character(g, text);
    return g_string_free(text, FALSE);
}

/* The other case of every character, escapes left alone. Owned by caller. */
static char *swap_case(const char *text, bool is_upper)
{
    if (strchr(text, '\\') != NULL)
        return g_strdup(text);
    return is_upper ? g_utf8_strup(text, -1) : g_utf8_strdown(text, -1);
}

/* A text of the pattern's, as it was or changed. Owned by caller. */
static char *make_known_text(struct grammar *g)
{
    struct range from = g->known_texts;
    const char *known = g->texts->pdata[from.start + choose(g, from.end - from.start)];

    switch (choose(g, 8)) {
    case 1:
        return swap_case(known, true);
    case 2:
        return swap_case(known, false);
    case 3:
        return g_strconcat(known, "x", NULL);
    case 4:
        return g_strconcat("x", known, NULL);
    case 5:
        return g_strconcat(known, known, NULL);
    default:
        return g_strdup(known);
    }
}

/* A double out of eight bytes, with any number of digits that is near to exact. */
static char *make_double(struct grammar *g)
{
    uint64_t bits = 0;
    double value;

    for (unsigned i = 0; i < sizeof(bits); i++)
        bits = bits << 8 | choose(g, 256);
    memcpy(&value, &bits, sizeof(value));
    if (!(value - value == 0)) /* no number or infinite */
        return g_strdup("7");
    return g_strdup_printf("%.*e", (int)(13 + choose(g, 5)), value);
}

/* Sign, digits, perhaps a fraction and an exponent. */
static char *make_decimal(struct grammar *g)
{
    GString *text = g_string_new(choose(g, 4) == 3 ? "-" : "");

    g_string_append_c(text, (char)('1' + choose(g, 9)));
    for (unsigned n = choose(g, 20); n > 0; n--)
        g_string_append_c(text, (char)('0' + choose(g, 10)));
    if (choose(g, 3) == 2)
        g_string_append_printf(text, ".%u", choose(g, 256));
    if (choose(g, 3) == 2)
        g_string_append_printf(text, "e%d", (int)choose(g, 80) - 40);
    return g_string_free(text, FALSE);
}

/* Owned by caller. */
static char *make_number(struct grammar *g)
{
    unsigned kind = choose(g, 8);

    if (kind == 6)
        return make_double(g);
    if (kind == 7)
        return make_decimal(g);
    return g_strdup(NUMBERS[choose(g, G_N_ELEMENTS(NUMBERS))]);
}

/* The same number in another notation, or not. Owned by caller. */
static char *make_known_number(struct grammar *g)
{
    struct range from = g->known_numbers;
    const char *known = g->numbers->pdata[from.start + choose(g, from.end - from.start)];
    bool has_exponent = strpbrk(known, "eE") != NULL;

    switch (choose(g, 6)) {
    case 1:
        return g_strconcat(known, strpbrk(known, ".eE") == NULL ? ".0" : "", NULL);
    case 2:
        return g_strconcat(known, has_exponent ? "" : "e0", NULL);
    case 3:
        return g_strconcat(known, has_exponent ? "1" : "e-1", NULL);
    case 4:
        return *known == '-' ? g_strdup(known + 1) : g_strconcat("-", known, NULL);
    default:
        return g_strdup(known);
    }
}

static void put_word(struct grammar *g)
{
    static const char *const WORDS[] = {"null", "true", "false"};

    put(g, WORDS[choose(g, G_N_ELEMENTS(WORDS))]);
}

/* Mostly the plain names, so that paths meet. *used: those of the object so far, by bit; one of
 * them is rarely taken again. */
static const char *any_name(struct grammar *g, unsigned *used)
{
    unsigned i = choose(g, is_rare(g, 6) ? G_N_ELEMENTS(NAMES) : 3);

    G_STATIC_ASSERT(G_N_ELEMENTS(NAMES) < 32);
    if ((*used >> i & 1) != 0 && !is_rare(g, 32)) {
        while ((*used >> i & 1) != 0)
            i = (i + 1) % G_N_ELEMENTS(NAMES);
    }
    *used |= 1u << i;
    return NAMES[i];
}

/* ---- the pattern ------------------------------------------------------------------------------
 */

static void put_text(struct grammar *g)
{
    char *text = make_text(g);

    g_string_append_printf(g->out, "\"%s\"", text);
    g_ptr_array_add(g->texts, text);
}

static void put_number(struct grammar *g)
{
    char *number = make_number(g);

    put(g, number);
    g_ptr_array_add(g->numbers, number);
}

/* One, or a list. */
static void put_list(struct grammar *g, void (*put_one)(struct grammar *g))
{
    unsigned count = choose(g, 4);

    if (count == 0) {
        put_one(g);
        return;
    }
    put(g, "[");
    for (unsigned i = 1; i < count; i++) {
        put_one(g);
        put(g, i + 1 < count ? "," : "");
    }
    put(g, "]");
}

static void put_numeric(struct grammar *g)
{
    static const char *const SIGNS[] = {"=", "<", "<=", ">", ">="};
    unsigned bounds = 1 + choose(g, 2) + is_rare(g, 32);

    put(g, "[");
    for (unsigned i = 0; i < bounds; i++) {
        unsigned first = bounds == 1 || is_rare(g, 16) ? 0 : (i == 0 ? 3 : 1);
        unsigned sign = first + choose(g, first == 0 ? G_N_ELEMENTS(SIGNS) : 2);

        g_string_append_printf(g->out, "%s\"%s\",", i == 0 ? "" : ",", SIGNS[sign]);
        put_number(g);
    }
    put(g, "]");
}

static void put_network(struct grammar *g)
{
    g_string_append_printf(g->out, "\"%s\"", NETWORKS[choose(g, G_N_ELEMENTS(NETWORKS))]);
}

static void put_boolean(struct grammar *g)
{
    put(g, choose(g, 2) == 0 ? "false" : "true");
}

static void put_affix(struct grammar *g)
{
    bool ignores_case = choose(g, 3) == 2;

    put(g, ignores_case ? "{\"equals-ignore-case\":" : "");
    put_text(g);
    put(g, ignores_case ? "}" : "");
}

static void put_anything_but(struct grammar *g)
{
    static const char *const INNER[] = {"prefix", "suffix", "equals-ignore-case", "wildcard"};
    unsigned kind = choose(g, 6);

    if (kind < G_N_ELEMENTS(INNER)) {
        g_string_append_printf(g->out, "{\"%s\":", INNER[kind]);
        put_list(g, put_text);
        put(g, "}");
    } else {
        put_list(g, kind == 4 ? put_text : put_number);
    }
}

static void put_operator(struct grammar *g)
{
    static const struct {
        const char *name;
        void (*put_operand)(struct grammar *g);
    } OPERATORS[] = {
        {"exists", put_boolean}, {"anything-but", put_anything_but},
        {"cidr", put_network},   {"numeric", put_numeric},
        {"prefix", put_affix},   {"suffix", put_affix},
        {"wildcard", put_text},  {"equals-ignore-case", put_text},
        {"exactly", put_text},
    };
    unsigned i = choose(g, G_N_ELEMENTS(OPERATORS));

    g_string_append_printf(g->out, "{\"%s\":", OPERATORS[i].name);
    /* Now and then an operand of another operator. */
    OPERATORS[is_rare(g, 32) ? choose(g, G_N_ELEMENTS(OPERATORS)) : i].put_operand(g);
    put(g, "}");
}

static void put_alternatives(struct grammar *g)
{
    static void (*const KINDS[])(struct grammar * g) = {put_text,     put_number,   put_word,
                                                        put_operator, put_operator, put_operator};
    unsigned count = 1 + choose(g, 3);

    put(g, "[");
    for (unsigned i = 0; i < count; i++) {
        put(g, i == 0 ? "" : ",");
        KINDS[choose(g, G_N_ELEMENTS(KINDS))](g);
    }
    put(g, "]");
}

static void put_pattern(struct grammar *g, unsigned depth);

/* A name, and what holds for it: alternatives, or an object. The path is as it was at the end. */
static void put_member(struct grammar *g, bool is_object, unsigned depth, unsigned *used)
{
    const char *name = any_name(g, used);
    struct field field = {.texts.start = g->texts->len, .numbers.start = g->numbers->len};
    size_t size = g->path->len;

    g_string_append_printf(g->out, "\"%s\":", name);
    g_string_append_printf(g->path, "%s%s", depth > 1 && size > 0 ? "." : "", name);
    if (is_object) {
        put_pattern(g, depth + 1);
    } else {
        put_alternatives(g);
        field.path = g_strdup(g->path->str);
        field.texts.end = g->texts->len;
        field.numbers.end = g->numbers->len;
        g_array_append_val(g->fields, field);
    }
    g_string_truncate(g->path, size);
}

static void put_branches(struct grammar *g, unsigned depth)
{
    unsigned count = 2 + choose(g, 2);

    put(g, "[");
    for (unsigned i = 0; i < count; i++) {
        put(g, i == 0 ? "" : ",");
        put_pattern(g, depth);
    }
    put(g, "]");
}

static void put_pattern(struct grammar *g, unsigned depth)
{
    unsigned count = 1 + choose(g, 3);
    unsigned used = 0;
    bool has_or = false;

    put(g, "{");
    for (unsigned i = 0; i < count; i++) {
        unsigned kind = depth < DEPTH_MAX ? choose(g, 6) : 0;

        put(g, i == 0 ? "" : ",");
        if (kind == 5 && !has_or) {
            has_or = true;
            put(g, "\"$or\":");
            put_branches(g, depth + 1);
            continue;
        }
        put_member(g, kind >= 3, depth, &used);
    }
    put(g, "}");
}

/* ---- the event --------------------------------------------------------------------------------
 */

static bool has_any(struct range range)
{
    return range.start < range.end;
}

static void put_scalar(struct grammar *g)
{
    unsigned kind = choose(g, 8);
    g_autofree char *value = NULL;

    if (kind == 0)
        put_word(g);
    else if (kind < 5)
        value = has_any(g->known_texts) && kind < 4 ? make_known_text(g) : make_text(g);
    if (value != NULL)
        g_string_append_printf(g->out, "\"%s\"", value);
    if (kind < 5)
        return;
    value = has_any(g->known_numbers) && kind < 7 ? make_known_number(g) : make_number(g);
    put(g, value);
}

static void put_value(struct grammar *g, unsigned depth);

static void put_object(struct grammar *g, unsigned depth)
{
    unsigned count = choose(g, 4);
    unsigned used = 0;

    put(g, "{");
    for (unsigned i = 0; i < count; i++) {
        put(g, i == 0 ? "" : ",");
        g_string_append_printf(g->out, "\"%s\":", any_name(g, &used));
        put_value(g, depth + 1);
    }
    put(g, "}");
}

static void put_array(struct grammar *g, unsigned depth)
{
    unsigned count = choose(g, 4);

    put(g, "[");
    for (unsigned i = 0; i < count; i++) {
        put(g, i == 0 ? "" : ",");
        put_value(g, depth + 1);
    }
    put(g, "]");
}

static void put_value(struct grammar *g, unsigned depth)
{
    unsigned kind = depth < DEPTH_MAX ? choose(g, 6) : 0;

    if (kind == 4)
        put_object(g, depth);
    else if (kind == 5)
        put_array(g, depth);
    else
        put_scalar(g);
}

/* ---- an event in the form of the pattern ------------------------------------------------------
 */

/* Fields with the same beginning, offset bytes of each path; set is of struct field. */
static void put_shape(struct grammar *g, const GPtrArray *set, size_t offset, unsigned depth);

static size_t name_size(const struct field *field, size_t offset)
{
    return strcspn(field->path + offset, ".");
}

static bool has_name(const struct field *field, size_t offset, const struct field *other)
{
    size_t size = name_size(other, offset);

    return size == name_size(field, offset) &&
           memcmp(field->path + offset, other->path + offset, size) == 0;
}

/* Those of the set with the name that number i has there; NULL when an earlier one has it, too. */
static GPtrArray *group_of(const GPtrArray *set, guint i, size_t offset)
{
    GPtrArray *group = g_ptr_array_new();

    for (guint n = 0; n < set->len; n++) {
        if (!has_name(set->pdata[n], offset, set->pdata[i]))
            continue;
        if (n < i) {
            g_ptr_array_unref(group);
            return NULL;
        }
        g_ptr_array_add(group, set->pdata[n]);
    }
    return group;
}

static void put_shaped_object(struct grammar *g, const GPtrArray *set, size_t offset,
                              unsigned depth)
{
    const char *comma = "";

    put(g, "{");
    for (guint i = 0; i < set->len; i++) {
        const struct field *field = set->pdata[i];
        size_t size = name_size(field, offset);
        g_autoptr(GPtrArray) group = group_of(set, i, offset);

        if (group == NULL || is_rare(g, 5)) /* sometimes a field is absent */
            continue;
        g_string_append_printf(g->out, "%s\"%.*s\":", comma, (int)size, field->path + offset);
        put_shape(g, group, offset + size + 1, depth + 1);
        comma = ",";
    }
    put(g, "}");
}

/* Several of the same form: most of what can be asked is about the elements of arrays. */
static void put_shaped_array(struct grammar *g, const GPtrArray *set, size_t offset, unsigned depth)
{
    unsigned count = 1 + choose(g, 4);

    put(g, "[");
    for (unsigned i = 0; i < count; i++) {
        put(g, i == 0 ? "" : ",");
        put_shape(g, set, offset, depth + 1);
    }
    put(g, "]");
}

/* One value, made of what the field's alternatives named. */
static void put_leaf(struct grammar *g, const struct field *field)
{
    g->known_texts = field->texts;
    g->known_numbers = field->numbers;
    put_scalar(g);
}

static void put_shape(struct grammar *g, const GPtrArray *set, size_t offset, unsigned depth)
{
    unsigned kind = choose(g, 8);
    g_autoptr(GPtrArray) deeper = g_ptr_array_new();
    const struct field *leaf = NULL;

    for (guint i = 0; i < set->len; i++) {
        struct field *field = set->pdata[i];

        if (offset > strlen(field->path))
            leaf = field;
        else
            g_ptr_array_add(deeper, field);
    }
    if (kind >= 5 && depth < SHAPE_DEPTH_MAX)
        put_shaped_array(g, set, offset, depth);
    else if (leaf != NULL && (deeper->len == 0 || kind % 2 == 0))
        put_leaf(g, leaf);
    else
        put_shaped_object(g, deeper, offset, depth);
}

static void put_event(struct grammar *g)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new();

    g->known_texts = (struct range){0, g->texts->len};
    g->known_numbers = (struct range){0, g->numbers->len};
    if (is_rare(g, 6)) {
        put_object(g, 1);
        return;
    }
    for (guint i = 0; i < g->fields->len; i++)
        g_ptr_array_add(all, &g_array_index(g->fields, struct field, i));
    put_shaped_object(g, all, 0, 1);
}

static void free_fields(GArray *fields)
{
    for (guint i = 0; i < fields->len; i++)
        g_free(g_array_index(fields, struct field, i).path);
    g_array_free(fields, TRUE);
}

void grammar_derive(struct slice choices, GString *pattern, GString *event)
{
    struct grammar g = {.p = (const unsigned char *)choices.data, .out = pattern};

    g.end = g.p + choices.size;
    g.texts = g_ptr_array_new_with_free_func(g_free);
    g.numbers = g_ptr_array_new_with_free_func(g_free);
    g.fields = g_array_new(FALSE, FALSE, sizeof(struct field));
    g.path = g_string_new(NULL);
    put_pattern(&g, 1);
    g.out = event;
    put_event(&g);
    g_string_free(g.path, TRUE);
    free_fields(g.fields);
    g_ptr_array_unref(g.texts);
    g_ptr_array_unref(g.numbers);
}
