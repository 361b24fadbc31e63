/* Times the matcher: nanoseconds an event, build time and memory by number of patterns, and the
 * worst single events.
 *
 *   bench_match                                   everything (a million patterns: minutes)
 *   bench_match --set mix --rules 100,1000        some of it
 *   bench_match --only hurt                       the events built to hurt
 *   bench_match --json report.json                the figures also for programs
 *
 * Exit 1 when an answer differs from the reference evaluator's.
 */
#include "match/bench_match.h"

#include <errno.h>

#include "core/problem.h"
#include "match/workload.h"

/* Filled by the table of options. */
struct flags {
    char *sets;
    char *rules;
    char *only;
    char *json;
    char *dump;
    double seconds;
    gint64 seed;
};

/* What can be measured alone with --only. Figures of a living set (one pattern added, one removed)
 * belong here as a further row. */
static const struct {
    const char *name;
    void (*run)(struct bench *b);
} PARTS[] = {
    {"sets", bench_sets_run},
    {"hurt", bench_hurt_run},
};

/* ---- shared by the parts --------------------------------------------------------------------- */

struct pattern *bench_parse(struct slice text)
{
    struct problems problems;
    struct pattern *pattern;

    problems_init(&problems);
    pattern = pattern_parse(text, &PATTERN_LIMITS, "#", &problems);
    if (pattern == NULL) {
        g_autofree char *why = problems_text(&problems);

        g_error("a pattern of the benchmark is refused: %s: %.*s", why, (int)MIN(text.size, 1000),
                text.data);
    }
    problems_done(&problems);
    return pattern;
}

bool bench_read(struct flat *flat, struct slice text)
{
    size_t used;

    return flat_parse(flat, text, 0, &used, NULL);
}

void bench_report_difference(struct bench *b, const char *where, size_t event, uint32_t place,
                             bool reference)
{
    g_printerr("bench_match: %s: event %zu, pattern %u: the reference says %s, the matcher not\n",
               where, event, place, reference ? "it matches" : "no match");
    b->has_failed = true;
}

/* ---- options --------------------------------------------------------------------------------- */

static bool read_sets(struct bench *b, const char *text)
{
    g_auto(GStrv) names = g_strsplit(text, ",", -1);

    for (size_t i = 0; names[i] != NULL; i++) {
        enum workload_set set;

        if (b->set_count == BENCH_SETS_MAX || !workload_set_parse(names[i], &set)) {
            g_printerr("bench_match: --set: '%s' is none of mix, nonum, hard, flat, five\n",
                       names[i]);
            return false;
        }
        b->sets[b->set_count++] = set;
    }
    return true;
}

static bool read_rules(struct bench *b, const char *text)
{
    g_auto(GStrv) numbers = g_strsplit(text, ",", -1);

    for (size_t i = 0; numbers[i] != NULL; i++) {
        guint64 number;

        if (b->rule_count == BENCH_RULES_MAX ||
            !g_ascii_string_to_unsigned(numbers[i], 10, 1, WORKLOAD_RULES_MAX, &number, NULL)) {
            g_printerr("bench_match: --rules: '%s' is no number from 1 to %d\n", numbers[i],
                       WORKLOAD_RULES_MAX);
            return false;
        }
        b->rules[b->rule_count++] = (uint32_t)number;
    }
    return true;
}

static bool read_flags(struct flags *f, int argc, char **argv)
{
    const GOptionEntry entries[] = {
        {"set", 0, 0, G_OPTION_ARG_STRING, &f->sets, "Sets of patterns", "NAME,..."},
        {"rules", 0, 0, G_OPTION_ARG_STRING, &f->rules, "How many patterns", "N,..."},
        {"seconds", 0, 0, G_OPTION_ARG_DOUBLE, &f->seconds, "Of each timed figure (1)", "S"},
        {"seed", 0, 0, G_OPTION_ARG_INT64, &f->seed, "Of the workload (1)", "N"},
        {"only", 0, 0, G_OPTION_ARG_STRING, &f->only, "One part: sets or hurt", "PART"},
        {"json", 0, 0, G_OPTION_ARG_FILENAME, &f->json, "Write the figures there too", "FILE"},
        {"dump", 0, 0, G_OPTION_ARG_FILENAME, &f->dump,
         "Only write events.ndjson and patterns.ndjson of the first set there", "FOLDER"},
        {NULL}};
    g_autoptr(GOptionContext) context = g_option_context_new("- times the matcher");
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    if (g_option_context_parse(context, &argc, &argv, &error) && argc == 1)
        return true;
    g_printerr("bench_match: %s\n", error != NULL ? error->message : "takes flags only");
    return false;
}

/* ---- the run --------------------------------------------------------------------------------- */

static bool run_parts(struct bench *b, const char *only)
{
    bool is_known = only == NULL;

    json_open_object(&b->json);
    for (size_t i = 0; i < G_N_ELEMENTS(PARTS); i++)
        if (only == NULL || g_str_equal(only, PARTS[i].name)) {
            is_known = true;
            PARTS[i].run(b);
        }
    json_put_bool(&b->json, "equals_reference", !b->has_failed);
    json_close_object(&b->json);
    if (!is_known)
        g_printerr("bench_match: --only: no part is called '%s'\n", only);
    return is_known;
}

static int run(struct bench *b, const struct flags *f)
{
    g_autoptr(GError) error = NULL;

    if (f->dump != NULL) {
        if (bench_sets_dump(b, f->dump, &error))
            return 0;
        g_printerr("bench_match: %s\n", error->message);
        return 1;
    }
    if (!run_parts(b, f->only))
        return 64;
    g_string_append_c(b->json.out, '\n');
    if (f->json != NULL &&
        !g_file_set_contents(f->json, b->json.out->str, (gssize)b->json.out->len, &error)) {
        g_printerr("bench_match: %s\n", error->message);
        return 1;
    }
    return b->has_failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct flags flags = {.seconds = 1, .seed = 1};
    g_autoptr(GString) report = g_string_new(NULL);
    struct bench b = {0};
    int code = 64;

    json_writer_init(&b.json, report);
    if (read_flags(&flags, argc, argv) &&
        read_sets(&b, flags.sets != NULL ? flags.sets : "mix,nonum,hard,flat,five") &&
        read_rules(&b, flags.rules != NULL ? flags.rules : "1,10,100,1000,10000,100000,1000000")) {
        b.seconds = flags.seconds;
        b.seed = (uint64_t)flags.seed;
        code = run(&b, &flags);
    }
    g_free(flags.sets);
    g_free(flags.rules);
    g_free(flags.only);
    g_free(flags.json);
    g_free(flags.dump);
    return code;
}
