/* The worst single event of each case that was built to hurt. */
#include "match/bench_match.h"

#include "match/hurt.h"
#include "match/measure.h"

#define HURT_RULES     1000
#define HURT_REPEATS   5
#define REPEAT_SECONDS 2   /* an event that takes longer is not repeated */
#define CHECK_SECONDS  1.0 /* of the reference, for each case */

/* One case. */
struct hurt_scene {
    struct bench *b;
    const char *name;
    struct hurt hurt;
    struct matcher *matcher;
    struct matcher_run *run;
    GPtrArray *patterns; /* for the reference */
    double build_s;      /* add and finish */
    double worst_ms;     /* parse and match of the slowest event */
    double parse_ms;     /* of it */
    size_t matches;      /* of it */
    size_t candidates;   /* of it */
    size_t compared;     /* answers */
    size_t refused;      /* events that the reader does not take */
};

static struct slice text_of(const GPtrArray *texts, guint i)
{
    const GString *text = g_ptr_array_index(texts, i);

    return slice_of(text->str, text->len);
}

static void free_pattern(gpointer pattern)
{
    pattern_free(pattern);
}

static void build(struct hurt_scene *s)
{
    struct matcher_builder *builder = matcher_builder_new();
    double began;

    s->patterns = g_ptr_array_new_with_free_func(free_pattern);
    for (guint i = 0; i < s->hurt.patterns->len; i++)
        g_ptr_array_add(s->patterns, bench_parse(text_of(s->hurt.patterns, i)));
    for (guint i = 0; i < s->hurt.events->len; i++)
        matcher_builder_sample(builder, text_of(s->hurt.events, i));
    began = measure_wall_seconds();
    for (guint i = 0; i < s->patterns->len; i++)
        matcher_builder_add(builder, g_ptr_array_index(s->patterns, i));
    s->matcher = matcher_builder_finish(builder, 0, NULL);
    s->build_s = measure_wall_seconds() - began;
    matcher_builder_free(builder);
}

/* Until the time is over; it may take a second for one answer. From pattern to pattern in steps, so
 * that those that were reached are from all over the set. */
static void check(struct hurt_scene *s, guint event, const struct flat *flat,
                  const uint32_t *places, size_t count)
{
    double until = measure_cpu_seconds() + CHECK_SECONDS / s->hurt.events->len;
    g_autofree bool *found = g_new0(bool, s->patterns->len);
    guint step = 37; /* no divisor of the number of patterns, which is 1,000 */

    for (size_t i = 0; i < count; i++)
        found[places[i]] = true;
    for (guint i = 0; i < s->patterns->len && measure_cpu_seconds() < until; i++) {
        guint place = i * step % s->patterns->len;
        bool wanted = pattern_matches(g_ptr_array_index(s->patterns, place), flat);

        s->compared++;
        if (wanted != found[place]) {
            bench_report_difference(s->b, s->name, event, place, wanted);
            return;
        }
    }
}

/* The median of the repetitions. */
static void time_event(struct hurt_scene *s, guint event)
{
    struct slice text = text_of(s->hurt.events, event);
    double both[HURT_REPEATS];
    double parse[HURT_REPEATS];
    const uint32_t *places = NULL;
    struct flat flat;
    size_t count = 0;
    size_t repeats = 0;
    double ms;

    flat_init(&flat);
    do {
        double began = measure_cpu_seconds();

        if (!bench_read(&flat, text)) {
            s->refused++;
            goto out;
        }
        parse[repeats] = measure_cpu_seconds() - began;
        count = matcher_find(s->matcher, s->run, &flat, &places);
        both[repeats] = measure_cpu_seconds() - began;
    } while (both[repeats] < REPEAT_SECONDS && ++repeats < HURT_REPEATS);
    repeats = MAX(repeats, 1);
    ms = measure_median(both, repeats) * 1000;
    if (ms > s->worst_ms) {
        s->worst_ms = ms;
        s->parse_ms = measure_median(parse, repeats) * 1000;
        s->matches = count;
        s->candidates = matcher_run_candidates(s->run);
    }
    check(s, event, &flat, places, count);
out:
    flat_done(&flat);
}

static void report(const struct hurt_scene *s, size_t number)
{
    struct json_writer *w = &s->b->json;

    g_print("%-24s %10.2f %8.2f %8zu %10zu %8.3f %9zu  %s%s\n", s->name, s->worst_ms, s->parse_ms,
            s->matches, s->candidates, s->build_s, s->compared, hurt_about(number),
            s->refused > 0 ? "; an event was refused" : "");
    json_open_object(w);
    json_put_string(w, "name", s->name);
    json_put_string(w, "about", hurt_about(number));
    json_put_number(w, "worst_ms", s->worst_ms);
    json_put_number(w, "parse_ms", s->parse_ms);
    json_put_integer(w, "matches", (int64_t)s->matches);
    json_put_integer(w, "candidates", (int64_t)s->candidates);
    json_put_number(w, "build_s", s->build_s);
    json_put_integer(w, "compared", (int64_t)s->compared);
    json_put_integer(w, "refused_events", (int64_t)s->refused);
    json_close_object(w);
}

static void run_case(struct bench *b, size_t number)
{
    struct hurt_scene s = {.b = b, .name = hurt_name(number), .run = matcher_run_new()};

    hurt_init(&s.hurt, number, HURT_RULES, b->seed);
    build(&s);
    for (guint i = 0; i < s.hurt.events->len; i++)
        time_event(&s, i);
    report(&s, number);
    g_ptr_array_unref(s.patterns);
    matcher_free(s.matcher);
    matcher_run_free(s.run);
    hurt_done(&s.hurt);
}

void bench_hurt_run(struct bench *b)
{
    g_print("%-24s %10s %8s %8s %10s %8s %9s\n", "built to hurt", "worst ms", "parse ms", "matches",
            "candidates", "build s", "compared");
    json_key(&b->json, "hurt");
    json_open_array(&b->json);
    for (size_t i = 0; hurt_name(i) != NULL; i++)
        run_case(b, i);
    json_close_array(&b->json);
}
