/* A compiled condition as JSON again, the way somebody would have written it.
 *
 * The compiled form keeps no source: alternatives are sorted by kind and cost, case is folded, open
 * bounds were moved to the next double. What is written here accepts the same leaves; for bounds
 * the shorter of the two numbers that mean the same is taken, which is the one people wrote.
 */
#include <math.h>

#include "core/explain_internal.h"

void explain_append_number(GString *out, double value)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_add_number(&w, value);
}

/* ---- numeric ranges -------------------------------------------------------------------------- */

/* Characters of the shortest form; infinities are longer than any number. */
static size_t written_size(double value)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (!isfinite(value))
        return SIZE_MAX;
    explain_append_number(text, value);
    return text->len;
}

/* closed is the bound that the test has, open the next double on its outer side. Of the two the
 * shorter was written: nobody writes 50.00000000000001. */
static struct explain_bound choose_bound(double closed, const char *closed_sign, double open,
                                         const char *open_sign)
{
    if (written_size(open) < written_size(closed))
        return (struct explain_bound){.sign = open_sign, .value = open + 0.0}; /* no -0 */
    return (struct explain_bound){.sign = closed_sign, .value = closed};
}

void explain_bounds(const struct pattern_number_test *test, struct explain_bound *lower,
                    struct explain_bound *upper)
{
    *lower = *upper = (struct explain_bound){.sign = NULL};
    if (test->low == test->high && isfinite(test->low)) {
        *lower = (struct explain_bound){.sign = "=", .value = test->low};
        return;
    }
    /* "> the largest double" was moved to infinity, and so on the other side. */
    if (test->low != -INFINITY)
        *lower = choose_bound(test->low, ">=", nextafter(test->low, -INFINITY), ">");
    if (test->high != INFINITY)
        *upper = choose_bound(test->high, "<=", nextafter(test->high, INFINITY), "<");
}

static void add_range(struct json_writer *w, const struct pattern_number_test *test)
{
    struct explain_bound bounds[2];

    explain_bounds(test, &bounds[0], &bounds[1]);
    json_open_object(w);
    json_key(w, "numeric");
    json_open_array(w);
    for (size_t i = 0; i < G_N_ELEMENTS(bounds); i++) {
        if (bounds[i].sign == NULL)
            continue;
        json_add_text(w, slice_text(bounds[i].sign));
        json_add_number(w, bounds[i].value);
    }
    json_close_array(w);
    json_close_object(w);
}

/* ---- addresses ------------------------------------------------------------------------------- */

static unsigned group_of(const struct pattern_network *network, size_t i)
{
    return (unsigned)network->bytes[2 * i] << 8 | network->bytes[2 * i + 1];
}

/* The longest run of two or more zero groups, the first of several; its length, 0 for none.
 * Source: RFC 5952 section 4.2. */
static size_t longest_zeros(const struct pattern_network *network, size_t *start)
{
    size_t best = 0, run = 0;

    for (size_t i = 0; i < 8; i++) {
        run = group_of(network, i) == 0 ? run + 1 : 0;
        if (run > best && run > 1) {
            best = run;
            *start = i + 1 - run;
        }
    }
    return best;
}

static void append_v6(GString *out, const struct pattern_network *network)
{
    size_t start = 8;
    size_t zeros = longest_zeros(network, &start);

    for (size_t i = 0; i < 8; i++) {
        if (zeros > 0 && i == start) {
            g_string_append(out, "::");
            i += zeros - 1;
            continue;
        }
        if (i > 0 && (zeros == 0 || i != start + zeros))
            g_string_append_c(out, ':');
        g_string_append_printf(out, "%x", group_of(network, i));
    }
}

void explain_append_network(GString *out, const struct pattern_network *network)
{
    const uint8_t *b = network->bytes;

    if (network->size == 4)
        g_string_append_printf(out, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
    else
        append_v6(out, network);
    if (network->bits < network->size * 8)
        g_string_append_printf(out, "/%u", network->bits);
}

/* ---- texts ----------------------------------------------------------------------------------- */

void explain_append_wildcard(GString *out, const struct pattern_text_test *test)
{
    for (uint32_t i = 0; i < test->piece_count; i++) {
        struct slice piece = test->pieces[i];

        if (i > 0)
            g_string_append_c(out, '*');
        for (size_t k = 0; k < piece.size; k++) {
            if (piece.data[k] == '*' || piece.data[k] == '\\')
                g_string_append_c(out, '\\');
            g_string_append_c(out, piece.data[k]);
        }
    }
}

/* Cut at EXPLAIN_TEXT_MAX. */
static void add_cut_text(struct json_writer *w, struct slice text)
{
    struct slice shown = slice_cut(text, EXPLAIN_TEXT_MAX);
    g_autoptr(GString) copy = g_string_new_len(shown.data, (gssize)shown.size);

    if (shown.size < text.size)
        g_string_append(copy, "…");
    json_add_text(w, slice_of(copy->str, copy->len));
}

/* The operand: the text, the wildcard or the network. */
static void add_operand(struct json_writer *w, const struct pattern_text_test *test)
{
    g_autoptr(GString) made = g_string_new(NULL);

    if (test->kind == TEXT_WILDCARD)
        explain_append_wildcard(made, test);
    else if (test->kind == TEXT_NETWORK)
        explain_append_network(made, &test->network);
    else
        g_string_append_len(made, test->text.data, (gssize)test->text.size);
    add_cut_text(w, slice_of(made->str, made->len));
}

/* How a kind of test is written: {outer: {inner: operand}}, without what is NULL. */
static const struct written {
    const char *outer;
    const char *inner;
} WRITTEN[] = {
    [TEXT_EQUAL] = {"exactly", NULL},
    [TEXT_PREFIX] = {"prefix", NULL},
    [TEXT_SUFFIX] = {"suffix", NULL},
    [TEXT_NETWORK] = {"cidr", NULL},
    [TEXT_EQUAL_FOLD] = {"equals-ignore-case", NULL},
    [TEXT_PREFIX_FOLD] = {"prefix", "equals-ignore-case"},
    [TEXT_SUFFIX_FOLD] = {"suffix", "equals-ignore-case"},
    [TEXT_WILDCARD] = {"wildcard", NULL},
    [TEXT_NONE_OF] = {"anything-but", NULL},
};

/* How many of the list are not shown. */
static void add_more(struct json_writer *w, size_t more)
{
    g_autofree char *text = g_strdup_printf("… and %" G_GSIZE_FORMAT " more", more);

    if (more > 0)
        json_add_text(w, slice_text(text));
}

/* One member stands alone, several in an array. All of them have one kind. */
static void add_members(struct json_writer *w, const struct pattern_text_test *test)
{
    uint32_t shown = MIN(test->member_count, EXPLAIN_LIST_MAX);

    if (test->member_count == 1) {
        add_operand(w, &test->members[0]);
        return;
    }
    json_open_array(w);
    for (uint32_t i = 0; i < shown; i++)
        add_operand(w, &test->members[i]);
    add_more(w, test->member_count - shown);
    json_close_array(w);
}

static void add_none_of_texts(struct json_writer *w, const struct pattern_text_test *test)
{
    enum pattern_text_kind kind = test->members[0].kind;

    json_open_object(w);
    json_key(w, "anything-but");
    if (kind == TEXT_EQUAL) {
        add_members(w, test);
    } else {
        json_open_object(w);
        json_key(w, WRITTEN[kind].outer);
        add_members(w, test);
        json_close_object(w);
    }
    json_close_object(w);
}

static void add_text_test(struct json_writer *w, const struct pattern_text_test *test)
{
    const struct written *written = &WRITTEN[test->kind];

    if (test->kind == TEXT_NONE_OF) {
        add_none_of_texts(w, test);
        return;
    }
    /* A plain value that is an address was compiled to a network of all its bits. */
    if (test->kind == TEXT_NETWORK && test->network.bits == test->network.size * 8) {
        add_operand(w, test);
        return;
    }
    json_open_object(w);
    json_key(w, written->outer);
    if (written->inner != NULL) {
        json_open_object(w);
        json_key(w, written->inner);
    }
    add_operand(w, test);
    if (written->inner != NULL)
        json_close_object(w);
    json_close_object(w);
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* A literal longer than any number that people write is shown as a cut text. */
static void add_literal(struct json_writer *w, struct slice text)
{
    if (text.size <= EXPLAIN_TEXT_MAX)
        json_add_raw(w, text);
    else
        add_cut_text(w, text);
}

static void add_none_of_numbers(struct json_writer *w, const struct pattern_number_test *test)
{
    uint32_t shown = MIN(test->excluded_count, EXPLAIN_LIST_MAX);

    json_open_object(w);
    json_key(w, "anything-but");
    if (test->excluded_count > 1)
        json_open_array(w);
    for (uint32_t i = 0; i < shown; i++)
        json_add_number(w, test->excluded[i]);
    if (test->excluded_count > 1) {
        add_more(w, test->excluded_count - shown);
        json_close_array(w);
    }
    json_close_object(w);
}

static void add_number_test(struct json_writer *w, const struct pattern_number_test *test)
{
    if (test->kind == NUMBER_LITERAL)
        add_literal(w, test->text);
    else if (test->kind == NUMBER_RANGE)
        add_range(w, test);
    else
        add_none_of_numbers(w, test);
}

/* ---- the field ------------------------------------------------------------------------------- */

/* anything-but lets other types pass by their bits, which nobody wrote. Both kinds of it together
 * let everything pass, as exists:true does. */
static void find_none_of(const struct pattern_field *field, bool *of_texts, bool *of_numbers)
{
    *of_texts = *of_numbers = false;
    for (uint32_t i = 0; i < field->text_test_count; i++)
        *of_texts |= field->text_tests[i].kind == TEXT_NONE_OF;
    for (uint32_t i = 0; i < field->number_test_count; i++)
        *of_numbers |= field->number_tests[i].kind == NUMBER_NONE_OF;
}

bool explain_wants_presence(const struct pattern_field *field)
{
    bool of_texts, of_numbers;

    find_none_of(field, &of_texts, &of_numbers);
    return field->types == PATTERN_TYPES_LEAVES && !(of_texts && of_numbers);
}

uint8_t explain_words(const struct pattern_field *field)
{
    bool of_texts, of_numbers;

    find_none_of(field, &of_texts, &of_numbers);
    if (of_texts || of_numbers || field->types == PATTERN_TYPES_LEAVES)
        return 0;
    return field->types;
}

/* null, true, false, and the two of exists. */
static void add_types(struct json_writer *w, const struct pattern_field *field)
{
    uint8_t words = explain_words(field);

    if (words & PATTERN_TYPE(JSON_NULL))
        json_add_null(w);
    if (words & PATTERN_TYPE(JSON_TRUE))
        json_add_bool(w, true);
    if (words & PATTERN_TYPE(JSON_FALSE))
        json_add_bool(w, false);
    if (explain_wants_presence(field))
        json_add_raw(w, SLICE("{\"exists\":true}"));
    if (field->allows_absent)
        json_add_raw(w, SLICE("{\"exists\":false}"));
}

void explain_append_expected(GString *out, const struct pattern_field *field)
{
    size_t total = (size_t)field->text_count + field->text_test_count + field->number_test_count;
    size_t room = EXPLAIN_LIST_MAX;
    struct json_writer w;

    json_writer_init(&w, out);
    json_open_array(&w);
    for (uint32_t i = 0; i < field->text_count && room > 0; i++, room--)
        add_cut_text(&w, field->texts[i]);
    for (uint32_t i = 0; i < field->text_test_count && room > 0; i++, room--)
        add_text_test(&w, &field->text_tests[i]);
    for (uint32_t i = 0; i < field->number_test_count && room > 0; i++, room--)
        add_number_test(&w, &field->number_tests[i]);
    add_types(&w, field);
    add_more(&w, total - (EXPLAIN_LIST_MAX - room));
    json_close_array(&w);
}
