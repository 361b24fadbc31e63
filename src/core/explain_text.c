/* The sentence about a condition that fails: what is there, then what must be.
 *
 *   payload.amount is 20; it must be at least 50
 *   payload.tags has 2 values ("new", "old"); one of them must be "vip"
 *
 * Where the reason is of another kind than a wrong value (another type, another case, no address)
 * it is said as well: these are the mistakes that people look for longest.
 */
#include "core/explain_internal.h"

#define PHRASES_MAX    6  /* "be …, begin with … or end with …" */
#define VALUES_MAX     5  /* in a list inside a sentence */
#define SHOWN_MAX      3  /* values of the event */
#define CASE_LOOKS_MAX 5  /* values of the event of which the case is looked at */
#define NUMBER_MAX     40 /* bytes of a number inside a sentence */

/* ---- values ---------------------------------------------------------------------------------- */

void explain_append_quoted(GString *out, struct slice text)
{
    struct slice shown = slice_cut(text, EXPLAIN_TEXT_MAX);
    g_autoptr(GString) copy = g_string_new_len(shown.data, (gssize)shown.size);
    struct json_writer w;

    if (shown.size < text.size)
        g_string_append(copy, "…");
    json_writer_init(&w, out);
    json_add_text(&w, slice_of(copy->str, copy->len));
}

void explain_append_path(GString *out, struct slice path)
{
    struct slice shown = slice_cut(path, PROBLEM_NAME_MAX);

    if (path.size == 0)
        g_string_append(out, "\"\"");
    g_string_append_len(out, shown.data, (gssize)shown.size);
    g_string_append(out, shown.size < path.size ? "…" : "");
}

/* null, true, false. */
static const char *word_of(enum json_type type)
{
    return type == JSON_NULL ? "null" : type == JSON_TRUE ? "true" : "false";
}

void explain_append_value(GString *out, const struct flat_leaf *leaf)
{
    if (leaf->type == JSON_TEXT || leaf->text.size > EXPLAIN_TEXT_MAX) {
        explain_append_quoted(out, leaf->text);
        return;
    }
    if (leaf->type == JSON_NUMBER)
        g_string_append_len(out, leaf->text.data, (gssize)leaf->text.size);
    else
        g_string_append(out, word_of(leaf->type));
}

/* The value inside a sentence; with its type where that is what is wrong. */
static void append_actual(GString *out, const struct flat_leaf *leaf, bool with_type)
{
    if (with_type && leaf->type == JSON_TEXT)
        g_string_append(out, "the string ");
    else if (with_type && leaf->type == JSON_NUMBER)
        g_string_append(out, "the number ");
    if (leaf->type == JSON_NUMBER && leaf->text.size > NUMBER_MAX)
        g_string_append_printf(out, "%.*s…", NUMBER_MAX, leaf->text.data);
    else
        explain_append_value(out, leaf);
}

/* ---- what must be ---------------------------------------------------------------------------- */

/* Phrases that follow "it must", beginning with a verb. */
struct phrases {
    GString *items[PHRASES_MAX];
    size_t count;
    size_t left_out;
};

/* A new phrase to be written, NULL when there are enough. */
static GString *add_phrase(struct phrases *p, const char *begin)
{
    if (p->count == PHRASES_MAX) {
        p->left_out++;
        return NULL;
    }
    p->items[p->count] = g_string_new(begin);
    return p->items[p->count++];
}

/* "a", "b" … of one list: how many there are decides the words around them. */
struct value_list {
    GString *out;
    size_t count;
    size_t left_out;
};

/* Whether the next value of the list is shown; its comma is written then. */
static bool begin_value(struct value_list *list)
{
    if (list->count + list->left_out >= VALUES_MAX) {
        list->left_out++;
        return false;
    }
    g_string_append(list->out, list->count++ > 0 ? ", " : "");
    return true;
}

static void end_values(const struct value_list *list)
{
    if (list->left_out > 0)
        g_string_append_printf(list->out, " or one of %" G_GSIZE_FORMAT " more", list->left_out);
}

/* A plain string that is an address. */
static bool is_address(const struct pattern_text_test *test)
{
    return test->kind == TEXT_NETWORK && test->network.bits == test->network.size * 8;
}

/* null, true and false. */
static void append_words(struct value_list *list, uint8_t words)
{
    static const enum json_type types[] = {JSON_NULL, JSON_TRUE, JSON_FALSE};

    for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
        if ((words & PATTERN_TYPE(types[i])) && begin_value(list))
            g_string_append(list->out, word_of(types[i]));
}

/* Values that stand in the pattern as they are: "be "DE"", "be one of 5, null". */
static void add_plain(struct phrases *p, const struct pattern_field *field)
{
    g_autoptr(GString) text = g_string_new(NULL);
    struct value_list list = {.out = text};
    GString *phrase;

    for (uint32_t i = 0; i < field->text_count; i++)
        if (begin_value(&list))
            explain_append_quoted(text, field->texts[i]);
    for (uint32_t i = 0; i < field->number_test_count; i++) {
        const struct pattern_number_test *test = &field->number_tests[i];

        if (test->kind == NUMBER_LITERAL && begin_value(&list))
            g_string_append_printf(text, "%.*s%s", SLICE_ARG(slice_cut(test->text, NUMBER_MAX)),
                                   test->text.size > NUMBER_MAX ? "…" : "");
    }
    append_words(&list, explain_words(field));
    if (list.count == 0)
        return;
    end_values(&list);
    phrase = add_phrase(p, list.count > 1 ? "be one of " : "be ");
    if (phrase != NULL)
        g_string_append(phrase, text->str);
}

/* The operand of a test in quotes; a network as it is. */
static void append_operand(GString *out, const struct pattern_text_test *test)
{
    g_autoptr(GString) wildcard = g_string_new(NULL);

    if (test->kind == TEXT_NETWORK) {
        explain_append_network(out, &test->network);
    } else if (test->kind == TEXT_WILDCARD) {
        explain_append_wildcard(wildcard, test);
        explain_append_quoted(out, slice_of(wildcard->str, wildcard->len));
    } else {
        explain_append_quoted(out, test->text);
    }
}

/* What stands before and behind the operand. name: the operator, where it takes strings only and
 * people know it by name. */
static const struct wording {
    const char *before;
    const char *not_before; /* as a member of anything-but */
    const char *behind;
    const char *name;
} WORDINGS[] = {
    [TEXT_EQUAL] = {"be exactly ", "be anything but ", "", NULL},
    [TEXT_PREFIX] = {"begin with ", "not begin with ", "", "prefix"},
    [TEXT_SUFFIX] = {"end with ", "not end with ", "", "suffix"},
    [TEXT_NETWORK] = {"be an address in ", "", "", "cidr"},
    [TEXT_EQUAL_FOLD] = {"be ", "not be ", " in upper or lower case", "equals-ignore-case"},
    [TEXT_PREFIX_FOLD] = {"begin with ", "", " in upper or lower case", "prefix"},
    [TEXT_SUFFIX_FOLD] = {"end with ", "", " in upper or lower case", "suffix"},
    [TEXT_WILDCARD] = {"fit the wildcard ", "not fit the wildcard ", "", "wildcard"},
    [TEXT_NONE_OF] = {"", "", "", NULL},
};

static void append_none_of_texts(GString *out, const struct pattern_text_test *test)
{
    const struct wording *wording = &WORDINGS[test->members[0].kind];
    struct value_list list = {.out = out};

    g_string_append(out, wording->not_before);
    for (uint32_t i = 0; i < test->member_count; i++)
        if (begin_value(&list))
            append_operand(out, &test->members[i]);
    end_values(&list);
    g_string_append(out, wording->behind);
}

static void add_text_test(struct phrases *p, const struct pattern_text_test *test)
{
    const struct wording *wording = &WORDINGS[test->kind];
    GString *out = add_phrase(p, is_address(test) ? "be the address " : wording->before);

    if (out == NULL)
        return;
    if (test->kind == TEXT_NONE_OF) {
        append_none_of_texts(out, test);
        return;
    }
    append_operand(out, test);
    g_string_append(out, wording->behind);
}

/* "at least 10": a sign as people say it. */
static void append_bound(GString *out, const struct explain_bound *bound)
{
    static const struct {
        const char *sign;
        const char *words;
    } SIGNS[] = {{"<", "less than "}, {"<=", "at most "}, {">", "more than "}, {">=", "at least "}};

    for (size_t i = 0; i < G_N_ELEMENTS(SIGNS); i++)
        if (g_str_equal(bound->sign, SIGNS[i].sign))
            g_string_append(out, SIGNS[i].words);
    explain_append_number(out, bound->value);
}

static void append_range(GString *out, const struct pattern_number_test *test)
{
    struct explain_bound lower, upper;

    explain_bounds(test, &lower, &upper);
    if (lower.sign != NULL)
        append_bound(out, &lower);
    if (lower.sign != NULL && upper.sign != NULL)
        g_string_append(out, " and ");
    if (upper.sign != NULL)
        append_bound(out, &upper);
}

static void add_number_test(struct phrases *p, const struct pattern_number_test *test)
{
    GString *out;
    struct value_list list = {0};

    if (test->kind == NUMBER_LITERAL)
        return; /* among the plain values */
    out = add_phrase(p, test->kind == NUMBER_RANGE ? "be " : "be anything but ");
    if (out == NULL)
        return;
    if (test->kind == NUMBER_RANGE) {
        append_range(out, test);
        return;
    }
    list.out = out;
    for (uint32_t i = 0; i < test->excluded_count; i++)
        if (begin_value(&list))
            explain_append_number(out, test->excluded[i]);
    end_values(&list);
}

/* Everything that the field accepts, in the order of the compiled form. */
static void gather_phrases(struct phrases *p, const struct pattern_field *field)
{
    add_plain(p, field);
    for (uint32_t i = 0; i < field->text_test_count; i++)
        add_text_test(p, &field->text_tests[i]);
    for (uint32_t i = 0; i < field->number_test_count; i++)
        add_number_test(p, &field->number_tests[i]);
    if (explain_wants_presence(field))
        add_phrase(p, "exist");
    if (field->allows_absent)
        add_phrase(p, p->count == 0 ? "not exist" : "be absent");
}

/* "a, b or c"; frees the phrases. */
static void append_phrases(GString *out, struct phrases *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (i > 0)
            g_string_append(out, i + 1 < p->count || p->left_out > 0 ? ", " : " or ");
        g_string_append(out, p->items[i]->str);
        g_string_free(p->items[i], TRUE);
    }
    if (p->left_out > 0)
        g_string_append_printf(out, " or fulfil one of %" G_GSIZE_FORMAT " other conditions",
                               p->left_out);
}

/* ---- why not, when it is not the value ------------------------------------------------------- */

/* What the field can do with leaves of a type at all. */
static bool takes_type(const struct pattern_field *field, enum json_type type)
{
    if (field->types & PATTERN_TYPE(type))
        return true;
    if (type == JSON_TEXT)
        return field->text_count > 0 || field->text_test_count > 0;
    return type == JSON_NUMBER && field->number_test_count > 0;
}

/* The one operator that all alternatives share, NULL when there are several or plain values. */
static const char *only_operator(const struct pattern_field *field)
{
    const char *name = NULL;

    if (field->text_count > 0 || field->types != 0 || field->allows_absent ||
        (field->text_test_count > 0 && field->number_test_count > 0))
        return NULL;
    for (uint32_t i = 0; i < field->number_test_count; i++)
        if (field->number_tests[i].kind != NUMBER_RANGE)
            return NULL;
    if (field->number_test_count > 0)
        return "numeric";
    for (uint32_t i = 0; i < field->text_test_count; i++) {
        const struct pattern_text_test *test = &field->text_tests[i];
        const char *one = is_address(test) ? NULL : WORDINGS[test->kind].name;

        if (one == NULL || (name != NULL && !g_str_equal(name, one)))
            return NULL;
        name = one;
    }
    return name;
}

/* The kind that ignores case, TEXT_NONE_OF where there is none. */
static enum pattern_text_kind folded_kind(enum pattern_text_kind kind)
{
    switch (kind) {
    case TEXT_EQUAL:
        return TEXT_EQUAL_FOLD;
    case TEXT_PREFIX:
        return TEXT_PREFIX_FOLD;
    case TEXT_SUFFIX:
        return TEXT_SUFFIX_FOLD;
    default:
        return TEXT_NONE_OF;
    }
}

/* Whether the test would accept the text if case did not count. */
static bool passes_folded(const struct pattern_text_test *test, struct slice text, struct arena *a)
{
    struct pattern_text_test folded = {.kind = folded_kind(test->kind)};

    /* Lower and upper case may differ in bytes, by a factor of 3 at most. */
    if (folded.kind == TEXT_NONE_OF || test->text.size > 3 * text.size ||
        (folded.kind == TEXT_EQUAL_FOLD && text.size > 3 * test->text.size))
        return false;
    folded.text = pattern_fold_text(test->text, a, &folded.characters);
    return pattern_text_passes(&folded, text);
}

static bool differs_in_case(const struct pattern_field *field, const struct flat_leaf *leaf)
{
    struct arena a = {0};
    bool differs = false;

    if (leaf->type != JSON_TEXT)
        return false;
    for (uint32_t i = 0; i < field->text_count && !differs; i++) {
        struct pattern_text_test test = {.kind = TEXT_EQUAL, .text = field->texts[i]};

        differs = passes_folded(&test, leaf->text, &a);
    }
    for (uint32_t i = 0; i < field->text_test_count && !differs; i++)
        differs = passes_folded(&field->text_tests[i], leaf->text, &a);
    arena_done(&a);
    return differs;
}

/* Whether only addresses are wanted. */
static bool wants_address(const struct pattern_field *field)
{
    for (uint32_t i = 0; i < field->text_test_count; i++)
        if (field->text_tests[i].kind != TEXT_NETWORK)
            return false;
    return field->text_test_count > 0 && field->text_count == 0;
}

static bool wants_range(const struct pattern_field *field)
{
    for (uint32_t i = 0; i < field->number_test_count; i++)
        if (field->number_tests[i].kind == NUMBER_RANGE)
            return true;
    return false;
}

/* What is odd about one value, behind it; nothing for most. */
static void append_oddity(GString *out, const struct pattern_field *field,
                          const struct flat_leaf *leaf)
{
    struct pattern_network network;

    if (leaf->type == JSON_TEXT && wants_address(field) &&
        !pattern_address_parse(leaf->text, &network))
        g_string_append(out, ", which is no IP address");
    if (leaf->type == JSON_NUMBER && wants_range(field) &&
        !pattern_number_parse(leaf->text).is_exact)
        g_string_append(out, ", which cannot be compared exactly (it does not fit a double)");
}

/* ---- a field that is absent ------------------------------------------------------------------ */

/* A leaf whose path differs from this one in case only, NULL when there is none. */
static const struct flat_leaf *find_other_case(struct slice path, const struct flat *event)
{
    struct pattern_text_test test = {.kind = TEXT_EQUAL_FOLD};
    const struct flat_leaf *found = NULL;
    struct arena a = {0};

    test.text = pattern_fold_text(path, &a, &test.characters);
    for (size_t i = 0; i < event->leaf_count && found == NULL; i++)
        if (pattern_text_passes(&test, event->leaves[i].path))
            found = &event->leaves[i];
    arena_done(&a);
    return found;
}

static bool is_object(struct slice path, const struct flat *event)
{
    for (size_t i = 0; i < event->leaf_count; i++) {
        struct slice inner = event->leaves[i].path;

        if (inner.size > path.size && inner.data[path.size] == '.' &&
            slice_starts_with(inner, path))
            return true;
    }
    return false;
}

/* What may have been meant: the object of that name, or a name in another case. Looks at all leaves
 * of the event. */
static void append_absent(GString *out, struct slice path, const struct flat *event)
{
    const struct flat_leaf *other;

    if (is_object(path, event)) {
        g_string_append(out, " is an object, not a plain value");
        return;
    }
    g_string_append(out, " is absent");
    other = find_other_case(path, event);
    if (other == NULL)
        return;
    g_string_append(out, " (");
    explain_append_path(out, other->path);
    g_string_append(out, " is there: the case of names counts)");
}

/* ---- the sentence ---------------------------------------------------------------------------- */

/* What is known of the leaves of the field's path, none of which passes. */
struct leaves {
    const struct flat_leaf *first; /* NULL: absent */
    size_t count;
    bool has_right_type;
    bool differs_in_case;
};

static struct leaves look_at_leaves(const struct pattern_field *field, const struct flat *event)
{
    struct leaves l = {.first = flat_find(event, field->path, field->path_hash)};

    for (const struct flat_leaf *leaf = l.first; leaf != NULL; leaf = explain_next(event, leaf)) {
        l.has_right_type |= takes_type(field, leaf->type);
        /* Folding is dear and an array may be long. */
        if (l.count++ < CASE_LOOKS_MAX)
            l.differs_in_case |= differs_in_case(field, leaf);
    }
    return l;
}

/* "is 20", "has 3 values (1, 2, 3)". */
static void append_what_is(GString *out, const struct pattern_field *field,
                           const struct flat *event, const struct leaves *l)
{
    bool with_type = !l->has_right_type && !field->allows_absent;
    const struct flat_leaf *leaf = l->first;

    if (l->count == 1) {
        g_string_append(out, " is ");
        append_actual(out, leaf, with_type);
        append_oddity(out, field, leaf);
        return;
    }
    g_string_append_printf(out, " has %" G_GSIZE_FORMAT " values (", l->count);
    for (size_t i = 0; leaf != NULL && i < SHOWN_MAX; i++, leaf = explain_next(event, leaf)) {
        g_string_append(out, i > 0 ? ", " : "");
        append_actual(out, leaf, with_type);
    }
    g_string_append(out, leaf != NULL ? ", …)" : ")");
}

/* "anything-but" of something absent would sound fulfilled. */
static bool excludes(const struct pattern_field *field)
{
    for (uint32_t i = 0; i < field->text_test_count; i++)
        if (field->text_tests[i].kind == TEXT_NONE_OF)
            return true;
    for (uint32_t i = 0; i < field->number_test_count; i++)
        if (field->number_tests[i].kind == NUMBER_NONE_OF)
            return true;
    return false;
}

static void append_what_must_be(GString *out, const struct pattern_field *field,
                                const struct leaves *l)
{
    struct phrases phrases = {.count = 0};
    const char *name = only_operator(field);

    if (l->first != NULL && !l->has_right_type && name != NULL) {
        g_string_append_printf(out, "; %s conditions only match %s", name,
                               field->number_test_count > 0 ? "numbers" : "strings");
        return;
    }
    gather_phrases(&phrases, field);
    g_string_append(out,
                    l->count > 1 && !field->allows_absent ? "; one of them must " : "; it must ");
    if (l->first == NULL && excludes(field))
        g_string_append(out, "be there and ");
    append_phrases(out, &phrases);
    if (l->differs_in_case)
        g_string_append(out, " (it differs only in case)");
}

void explain_append_failure(GString *out, const struct pattern_field *field,
                            const struct flat *event)
{
    struct leaves l = look_at_leaves(field, event);

    explain_append_path(out, field->path);
    if (l.first == NULL)
        append_absent(out, field->path, event);
    else
        append_what_is(out, field, event, &l);
    append_what_must_be(out, field, &l);
}
