/* test_pattern_cases: runs a file of pattern cases, one JSON object a line, one test a line.
 *
 *   {"note":"…","pattern":"<JSON text>","event":"<JSON text>","valid":true,"match":true}
 *   {"note":"…","pattern":"<JSON text>","valid":false}
 *
 * Every valid case is evaluated twice, and its pattern is parsed again, so that an answer that
 * depends on anything but pattern and event would show.
 * Cases of the peer may carry "valid_strict", its answer when no name may be repeated. We refuse
 * names repeated in one object, whatever the peer says, but let a branch of $or replace a field
 * (docs/patterns.md), which the peer refuses when it is strict.
 */
#include <locale.h>

#include "common/json.h"
#include "core/pattern.h"

struct pattern_case {
    char *name;
    char *pattern;
    char *event; /* NULL: only validity is asked */
    bool is_valid;
    bool has_match;
    bool is_match;
};

static bool is_true(const struct json_value *object, const char *key)
{
    const struct json_value *value = json_get(object, slice_text(key));

    return value != NULL && value->type == JSON_TRUE;
}

static char *copy_text(const struct json_value *object, const char *key)
{
    struct slice text = json_get_text(object, key);

    return json_get(object, slice_text(key)) == NULL ? NULL : g_strndup(text.data, text.size);
}

/* Whether the JSON reader refuses the text for the one reason that a name stands twice. */
static bool repeats_name(const char *text)
{
    struct arena arena = {0};
    g_autoptr(GError) error = NULL;
    bool repeats = json_parse(slice_text(text), &arena, &error) == NULL &&
                   strstr(error->message, "stands twice") != NULL;

    arena_done(&arena);
    return repeats;
}

static char *describe(const struct problems *problems)
{
    g_autofree char *text = problems_text(problems);

    return g_strdup_printf("[%s]", text);
}

static bool matches(const struct pattern_case *c, const struct pattern *pattern)
{
    struct flat flat;
    size_t used;
    bool first, second;
    g_autoptr(GError) error = NULL;

    flat_init(&flat);
    if (!flat_parse(&flat, slice_text(c->event), 0, &used, &error))
        g_error("%s: the event is no JSON: %s", c->name, error->message);
    first = pattern_matches(pattern, &flat);
    second = pattern_matches(pattern, &flat);
    g_assert_cmpint(first, ==, second);
    flat_done(&flat);
    return first;
}

static void check_case(gconstpointer data)
{
    const struct pattern_case *c = data;
    struct problems problems;
    struct pattern *pattern;
    g_autofree char *found = NULL;

    problems_init(&problems);
    pattern = pattern_parse(slice_text(c->pattern), &PATTERN_LIMITS, "#", &problems);
    found = describe(&problems);
    g_assert_cmpint(pattern == NULL, ==, problems.total > 0);
    if ((pattern != NULL) != c->is_valid)
        g_test_message("%s: valid should be %d; problems %s", c->pattern, c->is_valid, found);
    g_assert_cmpint(pattern != NULL, ==, c->is_valid);
    if (pattern != NULL && c->has_match) {
        if (matches(c, pattern) != c->is_match)
            g_test_message("%s on %s should be %d", c->pattern, c->event, c->is_match);
        g_assert_cmpint(matches(c, pattern), ==, c->is_match);
    }
    pattern_free(pattern);
    problems_done(&problems);
}

static void free_case(gpointer data)
{
    struct pattern_case *c = data;

    g_free(c->name);
    g_free(c->pattern);
    g_free(c->event);
    g_free(c);
}

static struct pattern_case *read_case(const char *line, size_t number, const char *file)
{
    struct arena arena = {0};
    g_autoptr(GError) error = NULL;
    struct json_value *object = json_parse(slice_text(line), &arena, &error);
    struct pattern_case *c = g_new0(struct pattern_case, 1);
    g_autofree char *note = NULL;

    if (object == NULL)
        g_error("%s:%zu: %s", file, number, error->message);
    note = g_strdelimit(copy_text(object, "note"), "/#\n", ' ');
    c->name = g_strdup_printf("/%zu %s", number, note);
    c->pattern = copy_text(object, "pattern");
    c->event = copy_text(object, "event");
    c->is_valid = is_true(object, "valid");
    if (json_get(object, SLICE("op")) != NULL && repeats_name(c->pattern))
        c->is_valid = false; /* only the peer's cases have an "op" */
    c->has_match = json_get(object, SLICE("match")) != NULL;
    c->is_match = is_true(object, "match");
    arena_done(&arena);
    return c;
}

static void add_cases(const char *file)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(file, &text, NULL, &error))
        g_error("%s", error->message);
    lines = g_strsplit(text, "\n", -1);
    for (size_t i = 0; lines[i] != NULL; i++) {
        struct pattern_case *c;

        if (lines[i][0] == '\0')
            continue;
        c = read_case(lines[i], i + 1, file);
        g_test_add_data_func_full(c->name, c, check_case, free_case);
    }
}

static void skip_all(gconstpointer file)
{
    g_autofree char *reason = g_strdup_printf("%s is not there", (const char *)file);

    g_test_skip(reason);
}

int main(int argc, char **argv)
{
    setlocale(LC_ALL, "");
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions(); /* one wrong answer must not hide the others */
    if (argc != 2)
        g_error("usage: %s CASES.ndjson", argv[0]);
    if (g_file_test(argv[1], G_FILE_TEST_EXISTS))
        add_cases(argv[1]);
    else
        g_test_add_data_func("/skipped", argv[1], skip_all);
    return g_test_run();
}
