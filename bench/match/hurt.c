/* The cases: a function each, a table at the end. */
#include "match/hurt.h"

#include <stdbool.h>
#include <string.h>

#include "match/chance.h"

#define FORKS       40
#define FORK_FIELDS 40
#define ROOM        (HURT_EVENT_MAX - 64) /* of an event for what is repeated in it */
#define PATTERN_MAX 60000 /* bytes of a value, below the limit of a pattern's text */
#define KEYS        100000
#define ELEMENTS    10000
#define LIST_MAX    450 /* values of one pattern, below its limit */

/* ---- making texts ---------------------------------------------------------------------------- */

/* size bytes of unit repeated, cut where they end: unit is plain ASCII or fits in whole. */
static void put_repeated(GString *out, const char *unit, size_t size)
{
    size_t width = strlen(unit);

    for (size_t left = size; left >= width; left -= width)
        g_string_append_len(out, unit, (gssize)width);
}

/* Takes the text. */
static void add_event(struct hurt *h, GString *event)
{
    g_assert(event->len <= HURT_EVENT_MAX);
    g_ptr_array_add(h->events, event);
}

static void add_pattern(struct hurt *h, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void add_pattern(struct hurt *h, const char *format, ...)
{
    GString *text = g_string_new(NULL);
    va_list arguments;

    va_start(arguments, format);
    g_string_vprintf(text, format, arguments);
    va_end(arguments);
    g_ptr_array_add(h->patterns, text);
}

/* {"t":"aaaa…a<end>"} of 1 MiB */
static void add_text_event(struct hurt *h, const char *begin, const char *unit, const char *end)
{
    GString *event = g_string_new("{\"t\":\"");

    g_string_append(event, begin);
    put_repeated(event, unit, ROOM);
    g_string_append_printf(event, "%s\"}", end);
    add_event(h, event);
}

/* {"t":"abbab…"}: no period that a search could use. */
static void add_random_event(struct hurt *h)
{
    struct chance chance = chance_of(h->seed, 10, h->events->len);
    GString *event = g_string_new("{\"t\":\"");

    while (event->len < ROOM)
        g_string_append_c(event, "ab"[chance_below(&chance, 2)]);
    g_string_append(event, "\"}");
    add_event(h, event);
}

/* The length of text number i: every one from 1 on for the first half, up to PATTERN_MAX then. */
static size_t length_of(const struct hurt *h, uint32_t i)
{
    uint32_t half = h->rules / 2;

    return i < half ? i + 1 : (size_t)(i - half + 1) * PATTERN_MAX / (h->rules - half);
}

/* ---- one long text --------------------------------------------------------------------------- */

/* Up to 16 stars; the pieces between them are everywhere in the texts, the last one hardly. */
static void make_wildcards(struct hurt *h)
{
    for (uint32_t i = 0; i < h->rules; i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        uint32_t stars = 1 + i % 15;

        for (uint32_t k = 0; k < stars; k++) {
            g_string_append_c(text, '*');
            put_repeated(text, "a", 1 + i / 15 % 67);
            g_string_append_c(text, "ab"[(i >> k % 8) % 2]);
        }
        g_string_append(text, i % 3 == 0 ? "*" : i % 3 == 1 ? "*aab" : "c");
        add_pattern(h, "{\"t\":[{\"wildcard\":\"%s\"}]}", text->str);
    }
    add_text_event(h, "", "a", "");
    add_text_event(h, "", "a", "b");
    add_text_event(h, "", "ab", "");
    add_random_event(h);
}

/* One star each, around long pieces. */
static void make_long_wildcards(struct hurt *h)
{
    for (uint32_t i = 0; i < h->rules; i++) {
        g_autoptr(GString) text = g_string_new(NULL);

        put_repeated(text, "a", length_of(h, i) / 2);
        add_pattern(h, "{\"t\":[{\"wildcard\":\"*%sb%s*\"}]}", text->str, text->str);
    }
    add_text_event(h, "", "a", "");
    add_text_event(h, "b", "a", "b");
    add_random_event(h);
}

/* Patterns of all lengths; half of them differ from the text in the byte that is looked at last. */
static void add_texts(struct hurt *h, const char *before, const char *unit, const char *after,
                      bool is_ending)
{
    for (uint32_t i = 0; i < h->rules; i++) {
        g_autoptr(GString) text = g_string_new(NULL);

        put_repeated(text, unit, length_of(h, i));
        if (i % 2 == 1)
            g_string_insert(text, is_ending ? 0 : -1, "z");
        add_pattern(h, "{\"t\":[%s\"%s\"%s]}", before, text->str, after);
    }
}

static void make_prefixes(struct hurt *h)
{
    add_texts(h, "{\"prefix\":", "a", "}", false);
    add_text_event(h, "", "a", "");
    add_text_event(h, "z", "a", "z");
}

static void make_suffixes(struct hurt *h)
{
    add_texts(h, "{\"suffix\":", "a", "}", true);
    add_text_event(h, "", "a", "");
    add_text_event(h, "z", "a", "z");
}

static void make_prefixes_any_case(struct hurt *h)
{
    add_texts(h, "{\"prefix\":{\"equals-ignore-case\":", "\xc3\xa4", "}}", false);
    add_text_event(h, "", "\xc3\x84", "");
    add_text_event(h, "", "A", "");
}

static void make_suffixes_any_case(struct hurt *h)
{
    add_texts(h, "{\"suffix\":{\"equals-ignore-case\":", "\xc3\xa4", "}}", true);
    add_text_event(h, "", "\xc3\x84", "");
    add_text_event(h, "", "A", "");
}

/* Equal in all but the last character, as long as a pattern may be. */
static void make_any_case(struct hurt *h)
{
    add_texts(h, "{\"equals-ignore-case\":", "\xc3\xa4", "}", false);
    add_text_event(h, "", "\xc3\x84", "");
    for (size_t i = 0; i < 4; i++) {
        GString *event = g_string_new("{\"t\":\"");

        put_repeated(event, "\xc3\x84", length_of(h, h->rules - 1 - (uint32_t)i));
        g_string_append(event, i % 2 == 0 ? "Z\"}" : "\"}");
        add_event(h, event);
    }
}

/* What is not excluded matches: every condition has to be looked at. */
static void make_exclusions(struct hurt *h)
{
    static const char *const operators[] = {"wildcard", "prefix", "suffix", "equals-ignore-case"};

    for (uint32_t i = 0; i < h->rules; i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        uint32_t kind = i % G_N_ELEMENTS(operators);

        put_repeated(text, "a", 1 + i);
        if (kind == 0)
            add_pattern(h, "{\"t\":[{\"anything-but\":{\"wildcard\":[\"*b%s*\",\"*%sc\"]}}]}",
                        text->str, text->str);
        else
            add_pattern(h, "{\"t\":[{\"anything-but\":{\"%s\":[\"%sb\",\"b%s\"]}}]}",
                        operators[kind], text->str, text->str);
    }
    add_text_event(h, "", "a", "");
    add_random_event(h);
}

/* ---- many fields ----------------------------------------------------------------------------- */

/* Short names, so that KEYS of them fit: base 36. */
static void put_key(GString *out, uint32_t number)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

    do {
        g_string_append_c(out, digits[number % 36]);
        number /= 36;
    } while (number > 0);
}

/* Patterns name fields all over the event, and some that are not there. */
static void make_keys(struct hurt *h)
{
    GString *event = g_string_new("{");

    for (uint32_t i = 0; i < h->rules; i++) {
        g_autoptr(GString) a = g_string_new(NULL);
        g_autoptr(GString) b = g_string_new(NULL);

        put_key(a, i * (KEYS / h->rules));
        put_key(b, KEYS - 1 - i * (KEYS / h->rules));
        add_pattern(h, "{\"%s\":[%u],\"%s\":[{\"exists\":true}],\"x%u\":[{\"exists\":false}]}",
                    a->str, i % 10, b->str, i);
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        g_string_append(event, i > 0 ? ",\"" : "\"");
        put_key(event, i);
        g_string_append_printf(event, "\":%u", i % 10);
    }
    g_string_append_c(event, '}');
    add_event(h, event);
}

/* Four kinds of condition on field k, none of which a plain number or word fulfils early. */
static void add_key_pattern(struct hurt *h, uint32_t i)
{
    uint32_t low = i * (KEYS / h->rules);

    if (i % 4 == 0)
        add_pattern(h, "{\"k\":[{\"numeric\":[\">\",%u.1,\"<\",%u.9]}]}", low, low);
    else if (i % 4 == 1)
        add_pattern(h, "{\"k\":[{\"anything-but\":[%u,%u]}],\"t\":[{\"exists\":true}]}", low, i);
    else if (i % 4 == 2)
        add_pattern(h, "{\"k\":[%u.5,\"x%u\",{\"prefix\":\"a%u\"}]}", low, i, i);
    else
        add_pattern(h, "{\"k\":[{\"wildcard\":\"*%u*x\"},{\"suffix\":\"-%u\"}]}", i, i);
}

static void make_one_key(struct hurt *h)
{
    GString *numbers = g_string_new("{");
    GString *texts = g_string_new("{");

    for (uint32_t i = 0; i < h->rules; i++)
        add_key_pattern(h, i);
    for (uint32_t i = 0; i < KEYS; i++) {
        g_string_append_printf(numbers, "%s\"k\":%u", i > 0 ? "," : "", i);
        g_string_append_printf(texts, "%s\"k\":\"%x\"", i > 0 ? "," : "", (unsigned)(i % 4096));
    }
    g_string_append_c(numbers, '}');
    g_string_append_c(texts, '}');
    add_event(h, numbers);
    add_event(h, texts);
}

/* A path is as long as all the names above it. */
static void make_deep(struct hurt *h)
{
    static const size_t sizes[] = {1, 100, 5000};

    for (uint32_t i = 0; i < h->rules; i++) {
        g_autoptr(GString) path = g_string_new("a");

        for (uint32_t k = 0; k < i % 60; k++)
            g_string_append(path, ".a");
        add_pattern(h, "{\"%s\":[%u,{\"exists\":false}],\"%s.b\":[{\"anything-but\":%u}]}",
                    path->str, i, path->str, i);
    }
    for (size_t s = 0; s < G_N_ELEMENTS(sizes); s++) {
        GString *event = g_string_new("");

        for (size_t depth = 0; depth < 60; depth++) {
            g_string_append(event, "{\"b\":0,\"");
            put_repeated(event, "a", sizes[s]);
            g_string_append(event, "\":");
        }
        g_string_append(event, "[0");
        put_repeated(event, ",1", ELEMENTS);
        g_string_append_c(event, ']');
        put_repeated(event, "}", 60);
        add_event(h, event);
    }
}

/* ---- arrays of values ------------------------------------------------------------------------ */

/* Numbers that take long to read: 14 to 16 digits. */
static void make_numbers(struct hurt *h)
{
    struct chance chance = chance_of(h->seed, 11, 0);
    GString *event = g_string_new("{\"v\":[0");

    for (uint32_t i = 0; i < h->rules; i++)
        add_pattern(h, "{\"v\":[{\"numeric\":[\">\",%u.25,\"<\",%u.250001]}]}", i, i);
    while (event->len < ROOM)
        g_string_append_printf(event, ",%u.%06u%07u", chance_below(&chance, h->rules),
                               chance_below(&chance, 1000000), chance_below(&chance, 10000000));
    g_string_append(event, "]}");
    add_event(h, event);
}

/* An array of different texts that begin and end with the same letters. begin: one more. */
static void add_list_event(struct hurt *h, const char *begin, size_t count, size_t size)
{
    struct chance chance = chance_of(h->seed, 12, count);
    GString *event = g_string_new("{\"t\":[0");

    for (size_t i = 0; i < count; i++) {
        g_string_append_printf(event, ",\"%s", begin);
        put_repeated(event, "a", size / 2 - 4);
        g_string_append_printf(event, "%08x", (unsigned)(chance_next(&chance) >> 32));
        put_repeated(event, "a", size / 2 - 4);
        g_string_append_c(event, '"');
    }
    g_string_append(event, "]}");
    add_event(h, event);
}

/* Short texts to long ones. */
static void add_list_events(struct hurt *h, const char *begin)
{
    add_list_event(h, begin, 1000, 1000);
    add_list_event(h, begin, ELEMENTS, 96);
    add_list_event(h, begin, 50000, 16);
}

/* Patterns of as many lengths as there are patterns, texts that many of them begin like. */
static void add_lengths(struct hurt *h, const char *operator, bool is_ending)
{
    for (uint32_t i = 0; i < h->rules; i++) {
        g_autoptr(GString) text = g_string_new(NULL);

        put_repeated(text, "a", i + 1);
        g_string_insert(text, is_ending ? 0 : -1, "z");
        add_pattern(h, "{\"t\":[{\"%s\":\"%s\"}]}", operator, text->str);
    }
    add_list_events(h, "");
}

static void make_prefix_lists(struct hurt *h)
{
    add_lengths(h, "prefix", false);
}

static void make_suffix_lists(struct hurt *h)
{
    add_lengths(h, "suffix", true);
}

/* Every text has all the pieces, but the last one first. */
static void make_wildcard_lists(struct hurt *h)
{
    for (uint32_t i = 0; i < h->rules; i++) {
        g_autoptr(GString) text = g_string_new(NULL);

        put_repeated(text, "*a", 2 * (1 + i % 14));
        put_repeated(text, "a", i / 14);
        add_pattern(h, "{\"t\":[{\"wildcard\":\"%s*z*\"}]}", text->str);
    }
    add_list_events(h, "z");
}

/* Networks inside of networks, and addresses that lie in nearly all of them. */
static void make_addresses(struct hurt *h)
{
    GString *event = g_string_new("{\"ip\":[\"::1\"");

    for (uint32_t i = 0; i < h->rules; i++)
        add_pattern(h, "{\"ip\":[{\"cidr\":\"10.%u.%u.0/%u\"}],\"t\":[%u]}", i % 4, i / 4 % 256,
                    1 + i % 31, i);
    for (uint32_t i = 0; event->len < ROOM; i++)
        g_string_append_printf(event, ",\"10.%u.%u.%u\"", i % 4, i / 4 % 256, i / 1024 % 256);
    g_string_append(event, "]}");
    add_event(h, event);
}

/* ---- arrays of objects ----------------------------------------------------------------------- */

/* Any two of the three values are found together in some element, all three in none. */
static void make_elements(struct hurt *h)
{
    GString *event = g_string_new("{\"items\":[{}");

    for (uint32_t i = 0; i < h->rules; i++)
        add_pattern(h, "{\"items\":{\"a\":[%u],\"b\":[%u],\"c\":[%u]}}", i % 10, i / 10 % 10,
                    i / 100);
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        static const char *const names[][2] = {{"a", "b"}, {"b", "c"}, {"a", "c"}};

        g_string_append_printf(event, ",{\"%s\":%u,\"%s\":%u}", names[i % 3][0], i / 3 % 10,
                               names[i % 3][1], i / 30 % 10);
    }
    g_string_append(event, "]}");
    add_event(h, event);
}

/* Any seven of the eight values are found together, all eight in no element: an element's digits
 * add up to a multiple of four, a pattern's to one more. */
static void make_wide_elements(struct hurt *h)
{
    struct chance chance = chance_of(h->seed, 13, 0);
    GString *event = g_string_new("{\"items\":[{}");

    for (uint32_t i = 0; i < h->rules; i++)
        add_pattern(
            h,
            "{\"items\":{\"a\":[%u],\"b\":[%u],\"c\":[%u],\"d\":[%u],\"e\":[%u],"
            "\"f\":[%u],\"g\":[0],\"h\":[%u]}}",
            i % 4, i / 4 % 4, i / 16 % 4, i / 64 % 4, i / 256 % 4, i / 1024 % 4,
            (1 + 4 * 8 - i % 4 - i / 4 % 4 - i / 16 % 4 - i / 64 % 4 - i / 256 % 4 - i / 1024 % 4) %
                4);
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        uint32_t sum = 0;

        for (uint32_t k = 0; k < 8; k++) {
            uint32_t digit = k < 7 ? chance_below(&chance, 4) : (32 - sum) % 4;

            sum += digit;
            g_string_append_printf(event, "%s\"%c\":%u", k > 0 ? "," : ",{", 'a' + (int)k, digit);
        }
        g_string_append_c(event, '}');
    }
    g_string_append(event, "]}");
    add_event(h, event);
}

/* An array in each element of an array; and the field beside it must be missing. */
static void make_nested_elements(struct hurt *h)
{
    GString *event = g_string_new("{\"items\":[{}");

    for (uint32_t i = 0; i < h->rules; i++)
        add_pattern(h,
                    "{\"items\":{\"a\":[%u],\"x\":[{\"exists\":false}],"
                    "\"parts\":{\"b\":[%u],\"c\":[%u],\"y\":[{\"exists\":false}]}}}",
                    i % 10, i / 10 % 10, i / 100);
    for (uint32_t i = 0; i < ELEMENTS / 10; i++) {
        g_string_append_printf(event, ",{\"a\":%u,\"parts\":[{}", i % 10);
        for (uint32_t k = 0; k < 10; k++)
            g_string_append_printf(event, ",{\"b\":%u,\"c\":%u,\"y\":null},{\"b\":%u},{\"c\":%u}",
                                   k, i / 10 % 10, k, i / 10 % 10);
        g_string_append(event, "]}");
    }
    g_string_append(event, "]}");
    add_event(h, event);
}

/* Each element has one field only: no two of them ever fit. */
/* Each array is a choice between two elements, each field a demand that some of them meet. */
static void make_forks(struct hurt *h)
{
    GString *event = g_string_new("{\"z\":0");

    for (uint32_t i = 0; i < h->rules; i++) {
        GString *pattern = g_string_new("{\"items\":{");

        for (uint32_t k = 0; k < FORK_FIELDS; k++)
            g_string_append_printf(pattern, "%s\"f%u\":[%u]", k > 0 ? "," : "", k,
                                   (i * 7 + k * 13) % 3);
        add_pattern(h, "%s}}", pattern->str);
        g_string_free(pattern, TRUE);
    }
    for (uint32_t i = 0; i < FORKS; i++) {
        g_string_append(event, ",\"items\":[");
        for (uint32_t element = 0; element < 2; element++) {
            g_string_append(event, element > 0 ? ",{" : "{");
            for (uint32_t k = 0; k < 3; k++)
                g_string_append_printf(event, "%s\"f%u\":%u", k > 0 ? "," : "",
                                       (i * 5 + element * 11 + k * 17) % FORK_FIELDS, (i + k) % 3);
            g_string_append_c(event, '}');
        }
        g_string_append_c(event, ']');
    }
    g_string_append_c(event, '}');
    add_event(h, event);
}

static void make_lone_fields(struct hurt *h)
{
    GString *event = g_string_new("{\"items\":[{}");

    for (uint32_t i = 0; i < h->rules; i++)
        add_pattern(h,
                    "{\"items\":{\"a\":[{\"anything-but\":%u}],\"b\":[{\"numeric\":[\">\",%u]}],"
                    "\"c\":[{\"exists\":true}]}}",
                    i, i);
    for (uint32_t i = 0; i < ELEMENTS; i++)
        g_string_append_printf(event, ",{\"%c\":%u}", 'a' + (int)(i % 3), i + 2000);
    g_string_append(event, "]}");
    add_event(h, event);
}

/* ---- many answers, many ways ----------------------------------------------------------------- */

/* Every pattern matches, each for a reason of its own. */
static void make_all_match(struct hurt *h)
{
    GString *event = g_string_new("{\"n\":50,\"t\":\"abc\",\"v\":[0");

    for (uint32_t i = 0; i < h->rules; i++) {
        if (i % 3 == 0)
            add_pattern(h,
                        "{\"n\":[{\"numeric\":[\">\",-%u,\"<\",%u]}],\"m\":[{\"exists\":false}]}",
                        i + 1, i + 100);
        else if (i % 3 == 1)
            add_pattern(h, "{\"t\":[{\"anything-but\":\"x%u\"}],\"n\":[{\"exists\":true}]}", i);
        else
            add_pattern(h, "{\"t\":[{\"prefix\":\"\"},\"y%u\"],\"v\":[{\"anything-but\":%u}]}", i,
                        i + 1);
    }
    add_event(h, g_string_new("{\"n\":50,\"t\":\"abc\",\"v\":[0]}"));
    put_repeated(event, ",0", ROOM);
    g_string_append(event, "]}");
    add_event(h, event);
}

/* {"a":[0]},{"a":[1]}…: ten branches. Owned by caller. */
static char *branches_of(char field, uint32_t first)
{
    GString *text = g_string_new(NULL);

    for (uint32_t i = 0; i < 10; i++)
        g_string_append_printf(text, "%s{\"%c\":[%u]}", i > 0 ? "," : "", field, first + i);
    return g_string_free(text, FALSE);
}

/* Ten branches on each of three levels: a thousand ways through each pattern. */
static void make_branches(struct hurt *h)
{
    GString *event = g_string_new("{\"x\":{\"y\":{\"c\":[9]}},\"a\":[0");

    for (uint32_t i = 0; i < h->rules; i++) {
        g_autofree char *a = branches_of('a', i * 10);
        g_autofree char *b = branches_of('b', i * 10);
        g_autofree char *c = branches_of('c', i * 10);

        add_pattern(h, "{\"$or\":[%s],\"x\":{\"$or\":[%s],\"y\":{\"$or\":[%s]}}}", a, b, c);
    }
    for (uint32_t i = 0; i < h->rules * 10; i++)
        g_string_append_printf(event, ",%u", i);
    g_string_append(event, "]}");
    add_event(h, event);
}

/* As many values as a pattern may have, and none of them is the event's. */
static void make_lists(struct hurt *h)
{
    GString *event = g_string_new("{\"k\":[0");

    for (uint32_t i = 0; i < h->rules; i++) {
        g_autoptr(GString) list = g_string_new(NULL);

        for (uint32_t k = 0; k < LIST_MAX; k++)
            g_string_append_printf(list, "%s%u", k > 0 ? "," : "", (i * 7 + k * 3) * 2 + 1);
        if (i % 2 == 0)
            add_pattern(h, "{\"k\":[%s],\"t\":[{\"exists\":false}]}", list->str);
        else
            add_pattern(h, "{\"k\":[{\"anything-but\":[%s]}],\"t\":[{\"exists\":true}]}",
                        list->str);
    }
    for (uint32_t i = 0; event->len < ROOM; i++)
        g_string_append_printf(event, ",%u", i % 50000 * 2);
    g_string_append(event, "]}");
    add_event(h, event);
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *about;
    void (*make)(struct hurt *h);
} CASES[] = {
    {"wildcards", "1 MiB text, up to 16 stars", make_wildcards},
    {"long wildcards", "1 MiB text, pieces of all lengths", make_long_wildcards},
    {"prefixes", "1 MiB text, prefixes of all lengths", make_prefixes},
    {"suffixes", "1 MiB text, suffixes of all lengths", make_suffixes},
    {"prefixes, any case", "1 MiB text, folded, of all lengths", make_prefixes_any_case},
    {"suffixes, any case", "1 MiB text, folded, of all lengths", make_suffixes_any_case},
    {"equal, any case", "long texts that differ at the end", make_any_case},
    {"anything-but", "1 MiB text against its exclusions", make_exclusions},
    {"100,000 keys", "three fields a pattern, one missing", make_keys},
    {"one key 100,000 times", "ranges, exclusions, prefixes", make_one_key},
    {"deep", "60 levels, names up to 5,000 bytes", make_deep},
    {"numbers", "1 MiB of long numbers against ranges", make_numbers},
    {"prefixes of many texts", "as many lengths as patterns", make_prefix_lists},
    {"suffixes of many texts", "as many lengths as patterns", make_suffix_lists},
    {"wildcards of many texts", "all pieces, in the wrong order", make_wildcard_lists},
    {"addresses", "nested networks, 1 MiB of addresses", make_addresses},
    {"elements", "10,000 objects, two of three fields", make_elements},
    {"wide elements", "10,000 objects, seven of eight fit", make_wide_elements},
    {"nested elements", "arrays in arrays, exists: false", make_nested_elements},
    {"forks", "a name 40 times in one object, with arrays", make_forks},
    {"lone fields", "10,000 objects of one field each", make_lone_fields},
    {"all match", "every pattern matches", make_all_match},
    {"branches", "$or: 1,000 ways through a pattern", make_branches},
    {"lists", "450 values a pattern", make_lists},
};

const char *hurt_name(size_t number)
{
    return number < G_N_ELEMENTS(CASES) ? CASES[number].name : NULL;
}

const char *hurt_about(size_t number)
{
    return number < G_N_ELEMENTS(CASES) ? CASES[number].about : NULL;
}

static void text_free(gpointer text)
{
    g_string_free(text, TRUE);
}

void hurt_init(struct hurt *h, size_t number, uint32_t rules, uint64_t seed)
{
    *h = (struct hurt){.patterns = g_ptr_array_new_with_free_func(text_free),
                       .events = g_ptr_array_new_with_free_func(text_free),
                       .rules = rules,
                       .seed = seed};
    CASES[number].make(h);
}

void hurt_done(struct hurt *h)
{
    g_clear_pointer(&h->patterns, g_ptr_array_unref);
    g_clear_pointer(&h->events, g_ptr_array_unref);
}
