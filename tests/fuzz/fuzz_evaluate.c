/* evaluate: a pattern and an event, judged by our evaluator and by a naive one that shares no code
 * with it: same verdict, whether on the documents or on the match.
 *
 * An input that begins with 'r' is a pattern on the first line and an event below it. The bytes of
 * any other are choices (grammar.h), of which both documents are made. EF_SHOW in the environment
 * prints every pair. */
#include <stdint.h>

#include <glib.h>

#include "core/pattern.h"
#include "grammar.h"
#include "judge_pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* *problems: why the pattern is bad. Gives up where we refuse an event for the memory it takes. */
static enum judge_answer our_answer(struct slice pattern, struct slice event,
                                    struct problems *problems)
{
    struct pattern *p = pattern_parse(pattern, &PATTERN_LIMITS, "#", problems);
    enum judge_answer answer = JUDGE_BAD_PATTERN;
    g_autoptr(GError) error = NULL;
    struct flat flat;
    size_t used = 0;

    flat_init(&flat);
    g_assert_cmpint(p == NULL, ==, problems->total > 0);
    if (p == NULL)
        answer = JUDGE_BAD_PATTERN;
    else if (!flat_parse(&flat, event, 0, &used, &error))
        answer = g_str_has_prefix(error->message, "names, nested arrays or their number")
                     ? JUDGE_GIVES_UP
                     : JUDGE_BAD_EVENT;
    else if (json_scan_space(event.data + used, event.data + event.size) != event.data + event.size)
        answer = JUDGE_BAD_EVENT; /* what follows the event is for the caller to refuse */
    else
        answer = pattern_matches(p, &flat) ? JUDGE_MATCH : JUDGE_NO_MATCH;
    flat_done(&flat);
    pattern_free(p);
    return answer;
}

static void compare(struct slice pattern, struct slice event)
{
    struct problems problems;
    g_autofree char *why = NULL;
    enum judge_answer ours, judged = judge_pattern(pattern, event);

    problems_init(&problems);
    ours = our_answer(pattern, event, &problems);
    why = problems_text(&problems);
    problems_done(&problems);
    if (ours == judged || ours == JUDGE_GIVES_UP || judged == JUDGE_GIVES_UP) {
        if (g_getenv("EF_SHOW") != NULL)
            g_printerr("%.*s\n%.*s\n%s %s\n", SLICE_ARG(pattern), SLICE_ARG(event),
                       judge_answer_name(judged), why);
        return;
    }
    g_printerr("pattern: %.*s\nevent:   %.*s\nours:    %s %s\njudge:   %s\n", SLICE_ARG(pattern),
               SLICE_ARG(event), judge_answer_name(ours), why, judge_answer_name(judged));
    g_assert_not_reached();
}

static void compare_raw(struct slice input)
{
    const char *end = input.size > 0 ? memchr(input.data, '\n', input.size) : NULL;

    if (end != NULL)
        compare(slice_of(input.data, (size_t)(end - input.data)),
                slice_of(end + 1, (size_t)(input.data + input.size - end - 1)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GString) pattern = g_string_new(NULL);
    g_autoptr(GString) event = g_string_new(NULL);

    if (size > 0 && data[0] == 'r') {
        compare_raw(slice_of(data + 1, size - 1));
        return 0;
    }
    grammar_derive(slice_of(data, size), pattern, event);
    compare(slice_of(pattern->str, pattern->len), slice_of(event->str, event->len));
    return 0;
}
