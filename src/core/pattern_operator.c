/* One array of alternatives: plain values and operators, each made into a test of the field.
 *
 *   ["DE", 5, null, {"prefix": "A"}]
 *      │   │   │          └─▶ text_tests
 *      │   │   └─▶ types (every leaf of that type passes)
 *      │   └─▶ number_tests
 *      └─▶ texts (sorted, for a quick look-up)
 *
 * "exists" and the "any other type" of anything-but become bits in types, exists:false a flag.
 * Operators are found in one table; each has a function that checks its operand, reports what is
 * wrong with it at its exact place, and adds what it accepts. After a problem the field may be
 * incomplete: it is never used then.
 */
#include <math.h>

#include "common/config.h"
#include "core/pattern_parse.h"

#define SHOWN_MAX 40 /* bytes of a wrong value repeated in a message */

/* One array of alternatives while it is read. The arrays grow on the heap and are copied into the
 * pattern's arena when their length is known. */
struct field_builder {
    struct pattern_parser *parser;
    struct pattern_field *field;
    GArray *texts;        /* struct slice */
    GArray *text_tests;   /* struct pattern_text_test */
    GArray *number_tests; /* struct pattern_number_test */
};

/* Reads an operator's operand and adds what it accepts. */
typedef void (*operator_parse)(struct field_builder *b, const struct json_value *operand,
                               const struct pattern_place *place);

/* One row of the table of operators. */
struct value_operator {
    const char *name; /* as patterns write it */
    operator_parse parse;
};

char *pattern_show(const struct json_value *value)
{
    if (value->source.size > SHOWN_MAX)
        return g_strdup("…");
    return g_strdup_printf("%.*s", SLICE_ARG(value->source));
}

/* Copies what an array gathered into the pattern's arena, where it lives as long as the pattern.
 * Frees the array. */
static const void *settle(struct arena *a, GArray *array, uint32_t *count)
{
    size_t size = (size_t)array->len * g_array_get_element_size(array);
    void *copy = arena_alloc(a, size);

    if (size > 0)
        memcpy(copy, array->data, size);
    *count = array->len;
    g_array_free(array, TRUE);
    return copy;
}

/* Every value and every member of a list counts against the limit; reported once. It bounds what
 * one event costs: each value may have to be tried. */
static void count_value(struct pattern_parser *p, const struct pattern_place *place)
{
    if (p->value_count++ != p->limits->values_max)
        return;
    pattern_report(p, place, "is value %zu of the pattern; the limit is %zu",
                   p->limits->values_max + 1, p->limits->values_max);
    p->is_over = true; /* thousands of fields times a thousand conjunctions would take seconds */
}

/* ---- texts ------------------------------------------------------------------------------------
 */

/* Kinds whose text is kept folded, with its number of characters. */
static bool is_folded(enum pattern_text_kind kind)
{
    return kind == TEXT_EQUAL_FOLD || kind == TEXT_PREFIX_FOLD || kind == TEXT_SUFFIX_FOLD;
}

/* The number of stars bounds the work of a match: each piece is searched for once in the text.
 * false: reported. */
static bool make_wildcard(struct pattern_parser *p, struct slice text,
                          const struct pattern_place *place, struct pattern_text_test *test)
{
    const char *wrong = pattern_wildcard_parse(text, p->arena, test);

    if (wrong != NULL) {
        pattern_report(p, place, "%s", wrong);
        return false;
    }
    if (test->piece_count - 1 <= p->limits->stars_max)
        return true;
    pattern_report(p, place, "has %" G_GUINT32_FORMAT " stars; a wildcard may have at most %zu",
                   test->piece_count - 1, p->limits->stars_max);
    return false;
}

/* Makes the test of a string operand, for the field itself or as a member of anything-but. The
 * operand's text is copied: the tree is gone when the pattern is used. false: reported. */
static bool make_text_test(struct pattern_parser *p, enum pattern_text_kind kind,
                           const struct json_value *operand, const struct pattern_place *place,
                           struct pattern_text_test *test)
{
    count_value(p, place);
    if (operand->type != JSON_TEXT) {
        pattern_report(p, place, "must be a string, e.g. \"abc\", not %s",
                       json_type_name(operand->type));
        return false;
    }
    if (kind == TEXT_WILDCARD)
        return make_wildcard(p, operand->text, place, test);
    *test = (struct pattern_text_test){.kind = kind};
    test->text = is_folded(kind) ? pattern_fold_text(operand->text, p->arena, &test->characters)
                                 : arena_copy(p->arena, operand->text);
    return true;
}

/* Adds the test of a string operand to the field, if it is right. What is not was reported; the
 * field is then without it. */
static void add_text_test(struct field_builder *b, enum pattern_text_kind kind,
                          const struct json_value *operand, const struct pattern_place *place)
{
    struct pattern_text_test test;

    if (make_text_test(b->parser, kind, operand, place, &test))
        g_array_append_val(b->text_tests, test);
}

/* {"exactly": "10.0.0.1"}: the bytes themselves, also where a plain value would be an address. */
static void parse_exactly(struct field_builder *b, const struct json_value *operand,
                          const struct pattern_place *place)
{
    add_text_test(b, TEXT_EQUAL, operand, place);
}

/* The text is folded now, the event's character by character when they are compared. */
static void parse_equals_ignore_case(struct field_builder *b, const struct json_value *operand,
                                     const struct pattern_place *place)
{
    add_text_test(b, TEXT_EQUAL_FOLD, operand, place);
}

/* {"wildcard": "a*b"}: the star is any run of characters, also an empty one. */
static void parse_wildcard(struct field_builder *b, const struct json_value *operand,
                           const struct pattern_place *place)
{
    add_text_test(b, TEXT_WILDCARD, operand, place);
}

/* A string, or {"equals-ignore-case": string}: exact and folded are the kinds for the two. */
static void parse_affix(struct field_builder *b, const struct json_value *operand,
                        const struct pattern_place *place, enum pattern_text_kind exact,
                        enum pattern_text_kind folded)
{
    struct pattern_place inner = {.parent = place, .key = SLICE("equals-ignore-case")};

    if (operand->type != JSON_OBJECT) {
        add_text_test(b, exact, operand, place);
        return;
    }
    if (operand->count != 1 || !slice_equal(operand->first->key, inner.key)) {
        pattern_report(b->parser, place,
                       "must be a string, e.g. \"abc\", or {\"equals-ignore-case\": \"abc\"}");
        return;
    }
    add_text_test(b, folded, operand->first, &inner);
}

/* An empty prefix is allowed: it accepts every string, which is a way to ask for the type. */
static void parse_prefix(struct field_builder *b, const struct json_value *operand,
                         const struct pattern_place *place)
{
    parse_affix(b, operand, place, TEXT_PREFIX, TEXT_PREFIX_FOLD);
}

static void parse_suffix(struct field_builder *b, const struct json_value *operand,
                         const struct pattern_place *place)
{
    parse_affix(b, operand, place, TEXT_SUFFIX, TEXT_SUFFIX_FOLD);
}

/* A network in text form; see pattern_ip.c for what is taken. It has no text to fold or copy, so it
 * does not go through make_text_test. */
static void parse_cidr(struct field_builder *b, const struct json_value *operand,
                       const struct pattern_place *place)
{
    struct pattern_text_test test = {.kind = TEXT_NETWORK};
    const char *wrong;

    count_value(b->parser, place);
    if (operand->type != JSON_TEXT) {
        pattern_report(b->parser, place, "must be a string, e.g. \"10.0.0.0/8\", not %s",
                       json_type_name(operand->type));
        return;
    }
    wrong = pattern_network_parse(operand->text, &test.network);
    if (wrong != NULL)
        pattern_report(b->parser, place, "%s", wrong);
    else
        g_array_append_val(b->text_tests, test);
}

/* A plain string value; one that is an address is matched as an address, so that "2001:db8::1"
 * finds the same address in another spelling. */
static void parse_plain_text(struct field_builder *b, const struct json_value *value)
{
    struct pattern_text_test test = {.kind = TEXT_NETWORK};
    struct slice copy;

    if (pattern_address_parse(value->text, &test.network)) {
        g_array_append_val(b->text_tests, test);
        return;
    }
    copy = arena_copy(b->parser->arena, value->text);
    g_array_append_val(b->texts, copy);
}

/* ---- numbers ----------------------------------------------------------------------------------
 */

/* A number that cannot be compared is no mistake here: it equals its own text. */
static void parse_plain_number(struct field_builder *b, const struct json_value *value)
{
    struct pattern_number number = pattern_number_parse(value->text);
    struct pattern_number_test test = {
        .kind = NUMBER_LITERAL,
        .low = number.value,
        .is_exact = number.is_exact,
        .text = arena_copy(b->parser->arena, value->text),
    };

    g_array_append_val(b->number_tests, test);
}

/* The value of a number operand. false: reported. Unlike a plain value, a bound that is not exact
 * is a mistake: nobody could say on which side of it an event lies. */
static bool read_operand(struct pattern_parser *p, const struct json_value *operand,
                         const struct pattern_place *place, double *out)
{
    struct pattern_number number;

    if (operand->type != JSON_NUMBER) {
        pattern_report(p, place, "must be a number, e.g. 50, not %s",
                       json_type_name(operand->type));
        return false;
    }
    number = pattern_number_parse(operand->text);
    if (!number.is_exact)
        pattern_report(
            p, place,
            "cannot be compared exactly: a number must fit a double without loss (at most 15 to 17 digits)");
    *out = number.value;
    return number.is_exact;
}

/* The bounds that a comparison sets. An open bound is the next double within, so that the test
 * needs no case for it. */
static void set_equal(struct pattern_number_test *test, double value)
{
    test->low = test->high = value;
}

static void set_less(struct pattern_number_test *test, double value)
{
    test->high = nextafter(value, -INFINITY);
}

static void set_at_most(struct pattern_number_test *test, double value)
{
    test->high = value;
}

static void set_more(struct pattern_number_test *test, double value)
{
    test->low = nextafter(value, INFINITY);
}

static void set_at_least(struct pattern_number_test *test, double value)
{
    test->low = value;
}

/* The signs. A range is one that is a lower bound and one that is an upper bound. */
static const struct comparison {
    struct slice sign;
    void (*set)(struct pattern_number_test *test, double value);
    bool is_lower;
    bool is_upper;
} COMPARISONS[] = {
    {{"=", 1}, set_equal, false, false},    {{"<", 1}, set_less, false, true},
    {{"<=", 2}, set_at_most, false, true},  {{">", 1}, set_more, true, false},
    {{">=", 2}, set_at_least, true, false},
};

/* The comparison of that sign, NULL when it is none. */
static const struct comparison *find_comparison(struct slice sign)
{
    for (size_t i = 0; i < G_N_ELEMENTS(COMPARISONS); i++) {
        if (slice_equal(COMPARISONS[i].sign, sign))
            return &COMPARISONS[i];
    }
    return NULL;
}

/* One sign and its number; moves *term behind them. NULL: reported. place is the sign's, the
 * number stands in the next place of the same array. */
static const struct comparison *read_bound(struct pattern_parser *p, const struct json_value **term,
                                           const struct pattern_place *place, double *value)
{
    const struct comparison *c = (*term)->type == JSON_TEXT ? find_comparison((*term)->text) : NULL;
    struct pattern_place number_place = {.parent = place->parent, .index = place->index + 1};

    if (c == NULL) {
        pattern_report(p, place,
                       "must be \"=\", \"<\", \"<=\", \">\" or \">=\", followed by a number");
        return NULL;
    }
    *term = (*term)->next;
    if (*term == NULL) {
        pattern_report(p, place, "must be followed by a number, e.g. [\"%.*s\", 50]",
                       SLICE_ARG(c->sign));
        return NULL;
    }
    if (!read_operand(p, *term, &number_place, value))
        return NULL;
    *term = (*term)->next;
    return c;
}

/* The upper bound behind a lower one, set in test. false: reported. Bounds that leave nothing
 * between them, or one value only, are refused: "=" says the latter. */
static bool read_upper_bound(struct pattern_parser *p, const struct json_value *term,
                             const struct pattern_place *place, double low,
                             struct pattern_number_test *test)
{
    struct pattern_place sign_place = {.parent = place, .index = 2};
    const struct comparison *c;
    double high;

    c = read_bound(p, &term, &sign_place, &high);
    if (c == NULL)
        return false;
    if (!c->is_upper || term != NULL) {
        pattern_report(
            p, place,
            "must be one comparison, or a lower bound followed by an upper one, e.g. [\">=\", 10, \"<\", 50]");
        return false;
    }
    if (low >= high) {
        pattern_report(p, place, "has a lower bound that is not below the upper one");
        return false;
    }
    c->set(test, high);
    return true;
}

/* [sign, number] or [lower sign, number, upper sign, number]. One range is one value of the
 * pattern, whether it has one bound or two. */
static void parse_numeric(struct field_builder *b, const struct json_value *operand,
                          const struct pattern_place *place)
{
    struct pattern_number_test test = {.kind = NUMBER_RANGE, .low = -INFINITY, .high = INFINITY};
    struct pattern_place sign_place = {.parent = place, .index = 0};
    const struct comparison *c;
    const struct json_value *term = operand->first;
    double value;

    count_value(b->parser, place);
    if (operand->type != JSON_ARRAY || operand->count == 0) {
        pattern_report(b->parser, place,
                       "must be an array of a comparison and a number, e.g. [\">=\", 50]");
        return;
    }
    c = read_bound(b->parser, &term, &sign_place, &value);
    if (c == NULL)
        return;
    c->set(&test, value);
    if (term != NULL && !c->is_lower) {
        pattern_report(
            b->parser, place,
            "must end after \"%.*s\" and its number: a range has the lower bound first, e.g. [\">=\", 10, \"<\", 50]",
            SLICE_ARG(c->sign));
        return;
    }
    if (term == NULL || read_upper_bound(b->parser, term, place, value, &test))
        g_array_append_val(b->number_tests, test);
}

/* ---- exists -----------------------------------------------------------------------------------
 */

/* Presence is a matter of types (any leaf will do), absence of the whole field. Both in one array
 * are allowed and accept everything. */
static void parse_exists(struct field_builder *b, const struct json_value *operand,
                         const struct pattern_place *place)
{
    count_value(b->parser, place);
    if (operand->type == JSON_TRUE)
        b->field->types |= PATTERN_TYPES_LEAVES;
    else if (operand->type == JSON_FALSE)
        b->field->allows_absent = true;
    else
        pattern_report(b->parser, place, "must be true or false, not %s",
                       json_type_name(operand->type));
}

/* ---- anything-but -----------------------------------------------------------------------------
 */

/* Adds "no string that a member accepts; whatever is no string". Takes members. The field must be
 * there: an absent one is no value that differs. A member that was refused is missing; the pattern
 * is then never used. */
static void add_none_of_texts(struct field_builder *b, GArray *members)
{
    struct pattern_text_test test = {.kind = TEXT_NONE_OF};

    test.members = settle(b->parser->arena, members, &test.member_count);
    g_array_append_val(b->text_tests, test);
    b->field->types |= PATTERN_TYPES_LEAVES & (uint8_t)~PATTERN_TYPE(JSON_TEXT);
}

/* The same for numbers: none of these values; whatever is no number. Takes values. */
static void add_none_of_numbers(struct field_builder *b, GArray *values)
{
    struct pattern_number_test test = {.kind = NUMBER_NONE_OF};

    test.excluded = settle(b->parser->arena, values, &test.excluded_count);
    g_array_append_val(b->number_tests, test);
    b->field->types |= PATTERN_TYPES_LEAVES & (uint8_t)~PATTERN_TYPE(JSON_NUMBER);
}

/* Strings: one, or a list of them. A wrong member is reported and the others are still checked. */
static void exclude_texts(struct field_builder *b, enum pattern_text_kind kind,
                          const struct json_value *operand, const struct pattern_place *place)
{
    GArray *members = g_array_new(FALSE, TRUE, sizeof(struct pattern_text_test));
    bool is_list = operand->type == JSON_ARRAY;
    struct pattern_place item_place = {.parent = place};
    struct pattern_text_test test;

    if (is_list && operand->count == 0)
        pattern_report(b->parser, place, "must not be empty");
    for (const struct json_value *v = is_list ? operand->first : operand; v != NULL;
         v = is_list ? v->next : NULL, item_place.index++) {
        const struct pattern_place *at = is_list ? &item_place : place;

        if (!make_text_test(b->parser, kind, v, at, &test))
            continue;
        if ((kind == TEXT_PREFIX || kind == TEXT_SUFFIX) && test.text.size == 0)
            pattern_report(b->parser, at, "must not be empty: every string would be excluded");
        g_array_append_val(members, test);
    }
    add_none_of_texts(b, members);
}

/* Numbers: one, or a list of them. All must be comparable, or excluding would be a guess. What is
 * wrong is reported at its own place in the list. */
static void exclude_numbers(struct field_builder *b, const struct json_value *operand,
                            const struct pattern_place *place)
{
    GArray *values = g_array_new(FALSE, TRUE, sizeof(double));
    bool is_list = operand->type == JSON_ARRAY;
    struct pattern_place item_place = {.parent = place};
    double value;

    for (const struct json_value *v = is_list ? operand->first : operand; v != NULL;
         v = is_list ? v->next : NULL, item_place.index++) {
        count_value(b->parser, is_list ? &item_place : place);
        if (read_operand(b->parser, v, is_list ? &item_place : place, &value))
            g_array_append_val(values, value);
    }
    add_none_of_numbers(b, values);
}

/* {"prefix": …} and its like inside anything-but. The language has no more of them there. */
static void exclude_by_operator(struct field_builder *b, const struct json_value *operand,
                                const struct pattern_place *place)
{
    static const struct {
        struct slice name;
        enum pattern_text_kind kind;
    } INNER[] = {{{"prefix", 6}, TEXT_PREFIX},
                 {{"suffix", 6}, TEXT_SUFFIX},
                 {{"equals-ignore-case", 18}, TEXT_EQUAL_FOLD},
                 {{"wildcard", 8}, TEXT_WILDCARD}};
    const struct json_value *inner = operand->first;

    for (size_t i = 0; operand->count == 1 && i < G_N_ELEMENTS(INNER); i++) {
        struct pattern_place inner_place = {.parent = place, .key = inner->key};

        if (slice_equal(inner->key, INNER[i].name)) {
            exclude_texts(b, INNER[i].kind, inner, &inner_place);
            return;
        }
    }
    pattern_report(
        b->parser, place,
        "must have exactly one of \"prefix\", \"suffix\", \"equals-ignore-case\", \"wildcard\"");
}

/* Whether a list is not empty and of one type. Mixed lists are refused, as the peer does: what "any
 * other type" means would depend on the mixture. */
static bool has_only(const struct json_value *array, enum json_type type)
{
    for (const struct json_value *v = array->first; v != NULL; v = v->next) {
        if (v->type != type)
            return false;
    }
    return array->count > 0;
}

/* The form of the operand decides: an operator, strings, or numbers. */
static void parse_anything_but(struct field_builder *b, const struct json_value *operand,
                               const struct pattern_place *place)
{
    if (operand->type == JSON_OBJECT)
        exclude_by_operator(b, operand, place);
    else if (operand->type == JSON_TEXT ||
             (operand->type == JSON_ARRAY && has_only(operand, JSON_TEXT)))
        exclude_texts(b, TEXT_EQUAL, operand, place);
    else if (operand->type == JSON_NUMBER ||
             (operand->type == JSON_ARRAY && has_only(operand, JSON_NUMBER)))
        exclude_numbers(b, operand, place);
    else
        pattern_report(
            b->parser, place,
            "must be a string, a number, a list of only strings or only numbers, or an operator, e.g. {\"prefix\": \"test-\"}");
}

/* ---- one value --------------------------------------------------------------------------------
 */

/* In the order of the message that lists them. */
static const struct value_operator OPERATORS[] = {
    {"anything-but", parse_anything_but},             /* a value, a list, or an operator */
    {"cidr", parse_cidr},                             /* "10.0.0.0/8" */
    {"equals-ignore-case", parse_equals_ignore_case}, /* string */
    {"exactly", parse_exactly},                       /* string */
    {"exists", parse_exists},                         /* true or false */
    {"numeric", parse_numeric},                       /* [">=", 10, "<", 50] */
    {"prefix", parse_prefix},                         /* string or {"equals-ignore-case": string} */
    {"suffix", parse_suffix},                         /* the same */
    {"wildcard", parse_wildcard},                     /* string with stars */
};

/* The operator of that name, NULL when it is none. Nine names, looked at when patterns are made. */
static const struct value_operator *find_operator(struct slice name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(OPERATORS); i++) {
        if (slice_equal(slice_text(OPERATORS[i].name), name))
            return &OPERATORS[i];
    }
    return NULL;
}

/* For messages: a name of this kind outside of an array is a forgotten bracket. */
bool pattern_is_operator(struct slice name)
{
    return find_operator(name) != NULL;
}

/* Reserved besides operators and signs: names that the peer keeps for later, so that patterns can
 * be carried there and back. Source: event-ruler 2.0.1. */
bool pattern_is_reserved(struct slice name)
{
    static const char *const LATER[] = {"regex",
                                        "not-wildcard",
                                        "not-equals-ignore-case",
                                        "date-after",
                                        "date-before",
                                        "date-on-or-after",
                                        "date-on-or-before",
                                        "in-date-range",
                                        "ip-address-in-range",
                                        "ip-address-not-in-range"};

    for (size_t i = 0; i < G_N_ELEMENTS(LATER); i++) {
        if (slice_equal(slice_text(LATER[i]), name))
            return true;
    }
    return pattern_is_operator(name) || find_comparison(name) != NULL;
}

/* A typo must not pass as something else: the nearest operator is named, or all of them. A long
 * name is cut before it is compared, which takes time with the square of its length. */
static void report_unknown_operator(struct pattern_parser *p, struct slice name,
                                    const struct pattern_place *place)
{
    const char *names[G_N_ELEMENTS(OPERATORS)];
    g_autofree char *word = g_strndup(name.data, MIN(name.size, SHOWN_MAX));
    const char *nearest;

    for (size_t i = 0; i < G_N_ELEMENTS(OPERATORS); i++)
        names[i] = OPERATORS[i].name;
    nearest = config_nearest(word, names, G_N_ELEMENTS(OPERATORS));
    if (nearest != NULL)
        pattern_report(p, place, "unknown operator; did you mean \"%s\"?", nearest);
    else
        pattern_report(
            p, place,
            "unknown operator; valid are anything-but, cidr, equals-ignore-case, exactly, exists, numeric, prefix, suffix, wildcard");
}

/* {"operator": operand}, nothing beside it: two in one object could mean "and" or "or". */
static void parse_operator(struct field_builder *b, const struct json_value *value,
                           const struct pattern_place *place)
{
    struct pattern_place inner = {.parent = place};
    const struct value_operator *op;

    if (value->count != 1) {
        pattern_report(b->parser, place,
                       "must have exactly one operator, e.g. {\"prefix\": \"abc\"}");
        return;
    }
    inner.key = value->first->key;
    op = find_operator(inner.key);
    if (op == NULL)
        report_unknown_operator(b->parser, inner.key, &inner);
    else
        op->parse(b, value->first, &inner);
}

/* One alternative. null, true and false need no test: the type says it all. */
static void parse_value(struct field_builder *b, const struct json_value *value,
                        const struct pattern_place *place)
{
    if (value->type == JSON_OBJECT) {
        parse_operator(b, value, place);
        return;
    }
    if (value->type == JSON_ARRAY) {
        pattern_report(
            b->parser, place,
            "must be a value or an operator, not an array: list the alternatives side by side, e.g. [\"a\", \"b\"]");
        return;
    }
    count_value(b->parser, place);
    if (value->type == JSON_TEXT)
        parse_plain_text(b, value);
    else if (value->type == JSON_NUMBER)
        parse_plain_number(b, value);
    else
        b->field->types |= PATTERN_TYPE(value->type);
}

/* The order in which pattern_match searches. */
static int compare_texts(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* By cost; the kinds are declared in that order. Within a kind any order will do. */
static int compare_tests(const void *a, const void *b)
{
    const struct pattern_text_test *x = a, *y = b;

    return (x->kind > y->kind) - (x->kind < y->kind);
}

/* Sorting the tests changes no answer: a leaf passes when any of them accepts it. */
void pattern_parse_values(struct pattern_parser *p, const struct json_value *array,
                          const struct pattern_place *place, struct pattern_field *field)
{
    struct pattern_place item_place = {.parent = place};
    struct field_builder b = {
        .parser = p,
        .field = field,
        .texts = g_array_new(FALSE, TRUE, sizeof(struct slice)),
        .text_tests = g_array_new(FALSE, TRUE, sizeof(struct pattern_text_test)),
        .number_tests = g_array_new(FALSE, TRUE, sizeof(struct pattern_number_test)),
    };

    if (array->count == 0)
        pattern_report(p, place, "must have at least one value, e.g. [50]");
    for (const struct json_value *v = array->first; v != NULL; v = v->next, item_place.index++)
        parse_value(&b, v, &item_place);
    g_array_sort(b.texts, compare_texts);
    g_array_sort(b.text_tests, compare_tests);
    field->texts = settle(p->arena, b.texts, &field->text_count);
    field->text_tests = settle(p->arena, b.text_tests, &field->text_test_count);
    field->number_tests = settle(p->arena, b.number_tests, &field->number_test_count);
}
