/* skim: a set of patterns and any bytes as an event: the skimming reader stays inside of them,
 * comes to an end, and says what the whole reader says where it promises to (check_skim.h).
 *
 * An input that begins with "set" is text as for fuzz_matcher: "set", then a pattern a line, an
 * empty line, and an event a line, which need not be JSON. The bytes of any other are choices: two
 * for the plan, one for what is changed, and the rest for patterns and events (grammar_set.h); each
 * event is tried as it is, then with some of its bytes changed, then cut short. */
#include <stdint.h>
#include <stdio.h>

#include <glib.h>

#include "check_matcher.h"
#include "check_skim.h"
#include "grammar_set.h"

#define TEXT_MAX (1 << 20)
#define CHANGES  8 /* of one event */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One index and what is asked of it. */
struct trial {
    struct matcher *m;
    struct matcher_run *run;
    const GPtrArray *patterns; /* as written, to be shown */
};

static void try_event(const struct trial *t, struct slice text)
{
    char *wrong = check_skim(t->m, t->run, text);

    if (wrong == NULL)
        return;
    fputs("set\n", stderr);
    for (guint i = 0; i < t->patterns->len; i++)
        fprintf(stderr, "%s\n", (char *)t->patterns->pdata[i]);
    fprintf(stderr, "\n%s", wrong);
    g_assert_not_reached();
}

/* The bytes that decide how a text is read are put where others were. */
static void try_changed(const struct trial *t, const char *event, uint32_t seed)
{
    static const char BYTES[] = "\"\"\\\\{}[]:,.. 0-tn\x80\xc3\n";
    g_autofree char *text = g_strdup(event);
    size_t size = strlen(text);

    for (unsigned i = 0; i < CHANGES && size > 0; i++) {
        seed = seed * 1664525 + 1013904223; /* Numerical Recipes, 7.1 */
        text[(seed >> 8) % size] = BYTES[(seed >> 4) % (sizeof(BYTES) - 1)];
        try_event(t, slice_of(text, size));
    }
    try_event(t, slice_of(event, (seed >> 8) % (size + 1)));
}

static void try_events(const GPtrArray *patterns, const GPtrArray *events, uint32_t seed)
{
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    g_autoptr(GArray) order = NULL;
    struct check_set set;
    struct trial t;

    check_set_init(&set, patterns, none);
    order = check_order(set.patterns->len, 0);
    t = (struct trial){check_build(&set, order, false), matcher_run_new(), set.texts};
    for (guint i = 0; i < events->len; i++) {
        try_event(&t, slice_text(events->pdata[i]));
        try_changed(&t, events->pdata[i], seed + i);
    }
    matcher_run_free(t.run);
    matcher_free(t.m);
    check_set_done(&set);
}

static void try_text(struct slice input)
{
    g_autofree char *text = g_strndup(input.data, input.size);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GPtrArray) patterns = g_ptr_array_new();
    g_autoptr(GPtrArray) events = g_ptr_array_new();
    size_t i = 1;

    for (; lines[0] != NULL && lines[i] != NULL && *lines[i] != '\0'; i++)
        g_ptr_array_add(patterns, lines[i]);
    for (; lines[0] != NULL && lines[i] != NULL; i++)
        g_ptr_array_add(events, lines[i]);
    try_events(patterns, events, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GPtrArray) patterns = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) events = g_ptr_array_new_with_free_func(g_free);
    struct grammar_plan plan;

    if (size < 4 || size > TEXT_MAX)
        return 0;
    if (memcmp(data, "set", 3) == 0) {
        try_text(slice_of(data, size));
        return 0;
    }
    plan = (struct grammar_plan){.patterns = 1 + data[0] % 8,
                                 .events = 1 + data[0] / 8 % 8,
                                 .fields = 1 + data[1] % 16,
                                 .values = 1 + data[1] / 16,
                                 .seed = data[2] % 4 != 0 ? data[2] : 0};
    grammar_set_derive(slice_of(data + 3, size - 3), &plan, patterns, events);
    try_events(patterns, events, data[2] * 2654435761U);
    return 0;
}
