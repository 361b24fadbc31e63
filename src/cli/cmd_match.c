/* "eventflow match": the engine alone: patterns and events in, matching ids out.
 *
 *    P.ndjson ──match_patterns──▶ matcher ◀── sample ──┐
 *    E.ndjson ─────────────────────────match_events────┴──▶ one array of ids a line
 *
 * Events are any JSON objects: the envelope of docs/message_schema.md is the server's. No server,
 * no data folder, no settings from the environment.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/match_events.h"
#include "cli/match_input.h"
#include "cli/match_patterns.h"
#include "cli/match_progress.h"
#include "cli/options.h"
#include "cli/settings.h"

/* Filled by the table below. */
struct match_flags {
    char *patterns;
    char *events;
    bool stats;
    bool explain;
    bool trusted;
    int64_t explain_max;
    int64_t line_max; /* bytes */
    struct pattern_settings pattern;
};

static const struct config_setting MATCH_FLAGS[] = {
    {.name = "patterns",
     .type = CONFIG_TEXT,
     .help = "The patterns, {\"id\":…,\"pattern\":{…}} a line; '-' is standard input",
     .offset = offsetof(struct match_flags, patterns)},
    {.name = "events",
     .type = CONFIG_TEXT,
     .help = "The events, any JSON object a line; '-' is standard input",
     .offset = offsetof(struct match_flags, events)},
    {.name = "stats",
     .type = CONFIG_BOOL,
     .help = "Print counts and times on standard error at the end",
     .offset = offsetof(struct match_flags, stats)},
    {.name = "explain",
     .type = CONFIG_BOOL,
     .help = "Say of the patterns that do not match why",
     .offset = offsetof(struct match_flags, explain)},
    {.name = "trusted",
     .type = CONFIG_BOOL,
     .help = "Read only what patterns name: for events that your own program wrote",
     .offset = offsetof(struct match_flags, trusted)},
    {.name = "explain-max",
     .type = CONFIG_INTEGER,
     .fallback = "100",
     .min = 1,
     .max = 10000,
     .help = "Patterns that are explained for one event",
     .offset = offsetof(struct match_flags, explain_max)},
    {.name = "line-max",
     .type = CONFIG_SIZE,
     .fallback = "1MiB",
     .min = 1024,
     .max = 64 * 1024 * 1024,
     .help = "Size of one event",
     .offset = offsetof(struct match_flags, line_max)},
    SETTINGS_PATTERN_ROWS(struct match_flags),
};

/* One call of the command. */
struct match {
    struct options options;
    struct match_flags flags;
    struct match_progress progress;
    struct match_patterns patterns;
    struct match_events events;
};

/* One line, name=value with spaces between. Times without reading and writing. */
static void print_stats(const struct match *m)
{
    const struct match_events *e = &m->events;
    double match_s = (double)e->match_us / G_USEC_PER_SEC;

    fprintf(stderr, "events=%" PRIu64 " patterns=%u build_s=%.6f match_s=%.6f ns_per_event=%.1f\n",
            e->count, m->patterns.ids->len, (double)e->build_us / G_USEC_PER_SEC, match_s,
            e->count > 0 ? match_s * 1e9 / (double)e->count : 0);
}

static bool read_patterns(struct match *m, struct matcher_builder *builder, GError **error)
{
    struct pattern_limits limits = settings_pattern_limits(&m->flags.pattern);
    struct match_input in;
    bool is_ok;

    match_progress_begin(&m->progress, "patterns");
    is_ok = match_input_open(&in, m->flags.patterns, limits.text_max + MATCH_PATTERNS_REST_MAX,
                             error) &&
            match_patterns_read(&m->patterns, &in, &limits, builder, &m->progress, error);
    match_progress_clear(&m->progress);
    match_input_close(&in);
    return is_ok;
}

/* The input is open already: a wrong name is told before a million patterns are read. */
static bool match_all(struct match *m, struct match_input *in, GError **error)
{
    struct matcher_builder *builder = matcher_builder_new();
    bool is_ok = read_patterns(m, builder, error);

    if (is_ok) {
        match_progress_begin(&m->progress, "events");
        m->events = (struct match_events){.in = in,
                                          .patterns = &m->patterns,
                                          .progress = &m->progress,
                                          .explains = m->flags.explain,
                                          .is_trusted = m->flags.trusted,
                                          .explain_max = (size_t)m->flags.explain_max};
        is_ok = match_events_run(&m->events, builder, error);
        if (m->flags.stats)
            print_stats(m);
    }
    matcher_builder_free(builder);
    return is_ok;
}

static int match_run(struct match *m)
{
    g_autoptr(GError) error = NULL;
    struct match_input in;

    if (m->options.operands->len > 0)
        return options_refuse(&m->options,
                              "'%s' is no flag: name the files with --patterns and "
                              "--events",
                              (const char *)g_ptr_array_index(m->options.operands, 0));
    if (m->flags.patterns[0] == '\0' || m->flags.events[0] == '\0')
        return options_refuse(&m->options, "--%s FILE is needed ('-' is standard input)",
                              m->flags.patterns[0] == '\0' ? "patterns" : "events");
    if (g_str_equal(m->flags.patterns, "-") && g_str_equal(m->flags.events, "-"))
        return options_refuse(&m->options, "only one of --patterns and --events can be standard "
                                           "input");
    if (m->flags.trusted && m->flags.explain)
        return options_refuse(
            &m->options, "--explain needs the whole event, so --trusted cannot stand beside it");
    match_progress_init(&m->progress);
    match_patterns_init(&m->patterns, m->flags.explain);
    if (match_input_open(&in, m->flags.events, (size_t)m->flags.line_max, &error))
        match_all(m, &in, &error);
    match_input_close(&in);
    match_patterns_done(&m->patterns);
    if (error != NULL)
        fprintf(stderr, "eventflow match: %s\n", error->message);
    return exit_code_of(error);
}

static int run_match(int argc, const char *const *argv)
{
    struct match m = {
        .options = {
            .command = &command_match,
            .table = MATCH_FLAGS,
            .count = G_N_ELEMENTS(MATCH_FLAGS),
            .notes =
                "For each event one line on standard output: the JSON array of the ids of the\n"
                "patterns that match, in the order of the pattern file. An id is a string or\n"
                "a number and is printed as it is written. Blank lines are passed over.\n\n"
                "--explain prints an object instead: \"matches\" has the array, \"not\" the\n"
                "reason for each other pattern, \"more\" how many reasons were left out. A\n"
                "reason tells null from \"absent\", and with $or that it is of one \"branch\" of\n"
                "several \"branches\", the nearest.\n\n"
                "--trusted skips what no pattern names, unchecked: for valid objects that name\n"
                "no member twice. Other lines may be answered with anything.\n\n"
                "--stats prints: events=N patterns=N build_s=S match_s=S ns_per_event=N.\n"
                "build_s is for the index, match_s to parse and to match on one thread;\n"
                "reading and writing is in neither.\n\n"
                "Exit codes: 0 all answered, 64 wrong flags, 65 a pattern or an event is\n"
                "wrong (the events before it are answered), 66 a file cannot be opened, 74\n"
                "reading or writing failed.\n"}};
    int code;

    m.options.settings = &m.flags;
    if (options_load(&m.options, argc, argv, &code))
        code = match_run(&m);
    options_done(&m.options);
    return exit_code_flushed(code);
}

const struct command command_match = {
    .name = "match",
    .summary = "Match events against patterns without a server",
    .run = run_match,
    .usage =
        "--patterns FILE|- --events FILE|- [--stats] [--explain] [--trusted] [--line-max SIZE] [--pattern-…-max N]",
};
