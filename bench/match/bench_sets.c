/* Figures by set and number of patterns: parse and match, parse alone, the reference, build time,
 * memory. */
#include "match/bench_match.h"

#include "common/hash.h"
#include "match/measure.h"
#include "match/workload.h"

#define EVENTS       2000     /* different ones; more than a cache of the first level holds */
#define EVENTS_FIVE  16       /* in cache */
#define SAMPLE_FIRST 10000000 /* number of the first event shown to the builder */
#define CHUNK        256      /* patterns in memory at the same time while building */
#define NAIVE_MAX    10000    /* rules for which the reference is timed */
#define CHECK_WORK   20000000 /* patterns times events compared with the reference */
#define CHECK_MIN    20       /* events */
#define CHECK_MAX    500
#define MIB          (1024.0 * 1024.0)
#define NOT_MEASURED -1.0

/* The reference's answers to the first events. */
struct expected {
    struct flat *flats;
    GArray **places; /* of uint32_t, one for each event */
    size_t count;
};

struct point {
    double match_ns; /* parse and match */
    double parse_ns;
    double trusted_ns;       /* the skimming reader and match */
    double naive_ns;         /* parse and the reference, one pattern after the other */
    double parse_patterns_s; /* what stands before the build */
    double add_s;            /* matcher_builder_add, all patterns */
    double finish_s;         /* matcher_builder_finish */
    double matches;          /* an event, as the matcher says; all events */
    double naive_matches;    /* an event, as the reference says; those that were compared */
    double candidates;       /* an event */
    double event_bytes;      /* an event, on average */
    size_t compared;         /* events */
    size_t resident;         /* bytes that the process grew by */
    size_t peak;             /* bytes, the most while building */
    struct matcher_figures figures;
};

/* One set and number of patterns. */
struct scene {
    struct bench *b;
    struct workload *w;
    const char *name;
    struct bench_events events;
    struct expected expected;
    struct flat flat;
    struct matcher *matcher;
    struct matcher_run *run;
    GPtrArray *patterns; /* for the reference; NULL: not timed */
    size_t sum;          /* of all answers, so that no work can be left out */
    struct point point;
};

/* ---- events ---------------------------------------------------------------------------------- */

static void events_init(struct bench_events *e, const struct workload *w, size_t count)
{
    g_autofree size_t *ends = g_new(size_t, count + 1);

    e->bytes = g_string_new(NULL);
    e->count = count;
    ends[0] = 0;
    for (size_t i = 0; i < count; i++) {
        workload_write_event(w, i, e->bytes);
        ends[i + 1] = e->bytes->len;
    }
    e->texts = g_new(struct slice, count);
    for (size_t i = 0; i < count; i++)
        e->texts[i] = slice_of(e->bytes->str + ends[i], ends[i + 1] - ends[i]);
}

static void events_done(struct bench_events *e)
{
    g_string_free(e->bytes, TRUE);
    g_free(e->texts);
}

/* ---- building -------------------------------------------------------------------------------- */

/* A few patterns at a time: a million of them in memory would be measured with the index. */
static void add_chunk(struct scene *s, struct matcher_builder *builder, uint32_t first,
                      uint32_t count)
{
    struct pattern *patterns[CHUNK];
    GString *texts[CHUNK];
    double began;
    double parsed;

    for (uint32_t i = 0; i < count; i++) {
        texts[i] = g_string_new(NULL);
        workload_write_pattern(s->w, first + i, texts[i]);
    }
    began = measure_wall_seconds();
    for (uint32_t i = 0; i < count; i++)
        patterns[i] = bench_parse(slice_of(texts[i]->str, texts[i]->len));
    parsed = measure_wall_seconds();
    for (uint32_t i = 0; i < count; i++)
        matcher_builder_add(builder, patterns[i]);
    s->point.add_s += measure_wall_seconds() - parsed;
    s->point.parse_patterns_s += parsed - began;
    for (uint32_t i = 0; i < count; i++) {
        pattern_free(patterns[i]);
        g_string_free(texts[i], TRUE);
    }
}

static void add_sample(struct scene *s, struct matcher_builder *builder)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (uint64_t i = 0; i < BENCH_SAMPLE; i++) {
        g_string_truncate(text, 0);
        workload_write_event(s->w, SAMPLE_FIRST + i, text);
        matcher_builder_sample(builder, slice_of(text->str, text->len));
    }
}

static void build(struct scene *s)
{
    size_t before = measure_resident();
    struct matcher_builder *builder = matcher_builder_new();
    uint32_t rules = workload_rules(s->w);
    double began;

    measure_reset_peak();
    add_sample(s, builder);
    for (uint32_t i = 0; i < rules; i += CHUNK)
        add_chunk(s, builder, i, MIN(CHUNK, rules - i));
    began = measure_wall_seconds();
    s->matcher = matcher_builder_finish(builder, 0, NULL);
    s->point.finish_s = measure_wall_seconds() - began;
    matcher_builder_free(builder);
    s->point.peak = MAX(measure_peak(), before) - before;
    s->point.resident = MAX(measure_resident(), before) - before;
    matcher_get_figures(s->matcher, &s->point.figures);
}

/* ---- timing ---------------------------------------------------------------------------------- */

static void read_events(void *user, size_t count)
{
    struct scene *s = user;

    for (size_t i = 0; i < count; i++) {
        if (!bench_read(&s->flat, s->events.texts[i]))
            g_error("an event of the benchmark is refused");
        s->sum += s->flat.leaf_count;
    }
}

static void match_events(void *user, size_t count)
{
    struct scene *s = user;
    const uint32_t *places;

    for (size_t i = 0; i < count; i++) {
        if (!bench_read(&s->flat, s->events.texts[i]))
            g_error("an event of the benchmark is refused");
        s->sum += matcher_find(s->matcher, s->run, &s->flat, &places);
    }
}

static void match_trusted_events(void *user, size_t count)
{
    struct scene *s = user;
    const uint32_t *places;

    for (size_t i = 0; i < count; i++)
        s->sum += matcher_find_trusted(s->matcher, s->run, s->events.texts[i], &places);
}

static void match_events_naively(void *user, size_t count)
{
    struct scene *s = user;

    for (size_t i = 0; i < count; i++) {
        if (!bench_read(&s->flat, s->events.texts[i]))
            g_error("an event of the benchmark is refused");
        for (size_t k = 0; k < s->patterns->len; k++)
            s->sum += pattern_matches(g_ptr_array_index(s->patterns, k), &s->flat);
    }
}

static void time_all(struct scene *s)
{
    struct point *p = &s->point;

    p->parse_ns = measure_ns(read_events, s, s->events.count, s->b->seconds);
    p->match_ns = measure_ns(match_events, s, s->events.count, s->b->seconds);
    p->trusted_ns = measure_ns(match_trusted_events, s, s->events.count, s->b->seconds);
    p->naive_ns = NOT_MEASURED;
    if (s->patterns != NULL)
        p->naive_ns = measure_ns(match_events_naively, s, s->events.count, s->b->seconds);
}

/* ---- the answers ----------------------------------------------------------------------------- */

static void free_pattern(gpointer pattern)
{
    pattern_free(pattern);
}

/* Every pattern against the events to compare, each parsed, asked and dropped; few are kept, for
 * the reference to be timed. */
static void expect(struct scene *s)
{
    struct expected *e = &s->expected;
    uint32_t rules = workload_rules(s->w);
    g_autoptr(GString) text = g_string_new(NULL);

    e->count = MIN(CLAMP(CHECK_WORK / rules, CHECK_MIN, CHECK_MAX), s->events.count);
    e->flats = g_new(struct flat, e->count);
    e->places = g_new(GArray *, e->count);
    for (size_t i = 0; i < e->count; i++) {
        e->places[i] = g_array_new(FALSE, FALSE, sizeof(uint32_t));
        flat_init(&e->flats[i]);
        if (!bench_read(&e->flats[i], s->events.texts[i]))
            g_error("an event of the benchmark is refused");
    }
    if (rules <= NAIVE_MAX)
        s->patterns = g_ptr_array_new_with_free_func(free_pattern);
    for (uint32_t k = 0; k < rules; k++) {
        struct pattern *pattern;

        g_string_truncate(text, 0);
        workload_write_pattern(s->w, k, text);
        pattern = bench_parse(slice_of(text->str, text->len));
        for (size_t i = 0; i < e->count; i++)
            if (pattern_matches(pattern, &e->flats[i]))
                g_array_append_val(e->places[i], k);
        if (s->patterns != NULL)
            g_ptr_array_add(s->patterns, pattern);
        else
            pattern_free(pattern);
    }
}

static void forget_expected(struct expected *e)
{
    for (size_t i = 0; i < e->count; i++) {
        flat_done(&e->flats[i]);
        g_array_unref(e->places[i]);
    }
    g_free(e->flats);
    g_free(e->places);
}

/* Both lists are in order: the first place where they differ is the one that one side lacks. */
static void compare(struct scene *s, size_t event, const uint32_t *places, size_t count)
{
    const GArray *wanted = s->expected.places[event];
    size_t i = 0;

    while (i < count && i < wanted->len && places[i] == g_array_index(wanted, uint32_t, i))
        i++;
    if (i < wanted->len && (i == count || g_array_index(wanted, uint32_t, i) < places[i]))
        bench_report_difference(s->b, s->name, event, g_array_index(wanted, uint32_t, i), true);
    else if (i < count)
        bench_report_difference(s->b, s->name, event, places[i], false);
}

/* One pass over all events for what is not timed. */
static void count_answers(struct scene *s)
{
    struct point *p = &s->point;
    size_t matches = 0;
    size_t candidates = 0;
    size_t expected = 0;

    for (size_t i = 0; i < s->events.count; i++) {
        const uint32_t *places;
        size_t count;

        if (!bench_read(&s->flat, s->events.texts[i]))
            g_error("an event of the benchmark is refused");
        count = matcher_find(s->matcher, s->run, &s->flat, &places);
        matches += count;
        candidates += matcher_run_candidates(s->run);
        if (i < s->expected.count) {
            compare(s, i, places, count);
            count = matcher_find_trusted(s->matcher, s->run, s->events.texts[i], &places);
            compare(s, i, places, count);
            expected += s->expected.places[i]->len;
        }
    }
    p->compared = s->expected.count;
    p->matches = (double)matches / (double)s->events.count;
    p->candidates = (double)candidates / (double)s->events.count;
    p->naive_matches = (double)expected / (double)p->compared;
    p->event_bytes = (double)s->events.bytes->len / (double)s->events.count;
}

/* ---- the report ------------------------------------------------------------------------------ */

static void print_head(void)
{
    g_print("%-5s %8s %9s %8s %10s %11s | %7s %9s %10s | %8s %7s %8s | %7s %8s %8s\n", "set",
            "rules", "match ns", "parse ns", "trusted ns", "naive ns", "matches", "reference",
            "candidates", "parse s", "add s", "finish s", "index", "resident", "peak MiB");
}

static void print_point(const struct scene *s)
{
    const struct point *p = &s->point;
    g_autofree char *naive = p->naive_ns >= 0 ? g_strdup_printf("%.0f", p->naive_ns) : g_strdup("");

    g_print(
        "%-5s %8u %9.0f %8.0f %10.0f %11s | %7.2f %9.2f %10.1f | %8.3f %7.3f %8.3f | %7.1f %8.1f %8.1f\n",
        s->name, workload_rules(s->w), p->match_ns, p->parse_ns, p->trusted_ns, naive, p->matches,
        p->naive_matches, p->candidates, p->parse_patterns_s, p->add_s, p->finish_s,
        (double)p->figures.bytes / MIB, (double)p->resident / MIB, (double)p->peak / MIB);
}

/* So that two reports can be told to be of the same workload. */
static char *digest_of(const struct scene *s)
{
    g_autoptr(GString) patterns = g_string_new(NULL);
    uint32_t rules = MIN(workload_rules(s->w), 1000);

    for (uint32_t i = 0; i < rules; i++)
        workload_write_pattern(s->w, i, patterns);
    return g_strdup_printf("%016" G_GINT64_MODIFIER "x",
                           hash64_pair(slice_of(s->events.bytes->str, s->events.bytes->len),
                                       slice_of(patterns->str, patterns->len)));
}

static void report_point(const struct scene *s)
{
    struct json_writer *w = &s->b->json;
    const struct point *p = &s->point;
    g_autofree char *digest = digest_of(s);

    json_open_object(w);
    json_put_string(w, "set", s->name);
    json_put_integer(w, "rules", workload_rules(s->w));
    json_put_string(w, "workload", digest);
    json_put_number(w, "match_ns", p->match_ns);
    json_put_number(w, "parse_ns", p->parse_ns);
    json_put_number(w, "trusted_ns", p->trusted_ns);
    json_key(w, "naive_ns");
    if (p->naive_ns >= 0)
        json_add_number(w, p->naive_ns);
    else
        json_add_null(w);
    json_put_number(w, "matches", p->matches);
    json_put_number(w, "reference_matches", p->naive_matches);
    json_put_integer(w, "compared_events", (int64_t)p->compared);
    json_put_number(w, "candidates", p->candidates);
    json_put_number(w, "event_bytes", p->event_bytes);
    json_put_number(w, "parse_patterns_s", p->parse_patterns_s);
    json_put_number(w, "add_s", p->add_s);
    json_put_number(w, "finish_s", p->finish_s);
    json_put_integer(w, "index_bytes", (int64_t)p->figures.bytes);
    json_put_integer(w, "index_nodes", (int64_t)p->figures.nodes);
    json_put_integer(w, "index_copies", (int64_t)p->figures.copies);
    json_put_integer(w, "resident_bytes", (int64_t)p->resident);
    json_put_integer(w, "peak_bytes", (int64_t)p->peak);
    json_close_object(w);
}

/* ---- one point, all points ------------------------------------------------------------------- */

/* Memory first, while nothing else has been left behind. */
static void run_point(struct bench *b, enum workload_set set, uint32_t rules)
{
    struct scene s = {.b = b, .name = workload_set_name(set), .run = matcher_run_new()};

    s.w = workload_new(&(struct workload_options){.set = set, .rules = rules, .seed = b->seed});
    events_init(&s.events, s.w, set == WORKLOAD_FIVE ? EVENTS_FIVE : EVENTS);
    flat_init(&s.flat);
    build(&s);
    expect(&s);
    count_answers(&s);
    time_all(&s);
    print_point(&s);
    report_point(&s);
    if (s.patterns != NULL)
        g_ptr_array_unref(s.patterns);
    forget_expected(&s.expected);
    matcher_free(s.matcher);
    matcher_run_free(s.run);
    flat_done(&s.flat);
    events_done(&s.events);
    workload_free(s.w);
}

void bench_sets_run(struct bench *b)
{
    print_head();
    json_key(&b->json, "points");
    json_open_array(&b->json);
    for (size_t i = 0; i < b->set_count; i++)
        for (size_t k = 0; k < b->rule_count; k++)
            if (b->sets[i] != WORKLOAD_FIVE || k == 0)
                run_point(b, (enum workload_set)b->sets[i], b->rules[k]);
    json_close_array(&b->json);
}

/* ---- for other programs ---------------------------------------------------------------------- */

/* A line each: events as they are, patterns as {"id":N,"pattern":{…}}. */
bool bench_sets_dump(const struct bench *b, const char *folder, GError **error)
{
    struct workload_options options = {
        .set = (enum workload_set)b->sets[0], .rules = b->rules[0], .seed = b->seed};
    struct workload *w = workload_new(&options);
    g_autofree char *events = g_build_filename(folder, "events.ndjson", NULL);
    g_autofree char *patterns = g_build_filename(folder, "patterns.ndjson", NULL);
    g_autoptr(GString) text = g_string_new(NULL);
    bool is_ok;

    for (uint32_t i = 0; i < EVENTS; i++) {
        workload_write_event(w, i, text);
        g_string_append_c(text, '\n');
    }
    is_ok = g_file_set_contents(events, text->str, (gssize)text->len, error);
    g_string_truncate(text, 0);
    for (uint32_t i = 0; i < workload_rules(w); i++) {
        g_string_append_printf(text, "{\"id\":%u,\"pattern\":", i);
        workload_write_pattern(w, i, text);
        g_string_append(text, "}\n");
    }
    is_ok = is_ok && g_file_set_contents(patterns, text->str, (gssize)text->len, error);
    workload_free(w);
    return is_ok;
}
