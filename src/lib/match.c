/* The matcher's C face: turns what a host hands over into what core/ takes, and errors into texts
 * in the host's own storage. Everything hangs on the three structs below; nothing outlives them. */
#include "lib/eventflow-match.h"

#include <string.h>

#include <glib.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/json.h"
#include "core/flat.h"
#include "core/matcher/matcher.h"
#include "core/pattern.h"
#include "core/problem.h"

#define PLACES_MAX       ((guint)INT32_MAX) /* places are numbers of 32 bits */
#define SAMPLE_BYTES_MAX ((size_t)16 << 20) /* of all events of the sample */

/* One thread. */
struct ef_match_compiler {
    struct ef_match_options options; /* every member is set */
    struct matcher_builder *builder;
    struct arena id_bytes;
    GArray *ids;        /* of struct ef_match_bytes, in id_bytes */
    size_t id_memory;   /* bytes that the ids will take in the set */
    size_t sample_size; /* bytes of the events of the sample */
};

/* Immutable apart from references. */
struct ef_match_set {
    gatomicrefcount references;
    struct matcher *matcher;
    struct arena id_bytes;
    GArray *ids; /* by place */
    size_t event_text_max;
    size_t memory;
};

/* One thread. */
struct ef_match_reader {
    struct ef_match_set *set; /* a reference */
    struct flat event;
    struct matcher_run *run;
    GArray *ids; /* of the last event's matches */
};

const char *ef_match_version(void)
{
    return EVENTFLOW_VERSION;
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* For "return fail(...)". */
static enum ef_match_code fail(struct ef_match_error *error, enum ef_match_code code,
                               const char *text)
{
    static const char CUT[] = "…";
    struct slice shown = slice_cut(slice_text(text), sizeof(error->text) - sizeof(CUT));

    if (error == NULL)
        return code;
    error->code = code;
    memcpy(error->text, shown.data, shown.size);
    memcpy(error->text + shown.size, text[shown.size] != '\0' ? CUT : "",
           text[shown.size] != '\0' ? sizeof(CUT) : 1);
    return code;
}

static struct slice as_slice(struct ef_match_bytes bytes)
{
    return slice_of(bytes.data, bytes.size);
}

/* ---- options --------------------------------------------------------------------------------- */

static const size_t EVENT_BYTES = 1 << 20;
static const size_t NO_LIMIT = SIZE_MAX;

#define MEMBER(name) #name, offsetof(struct ef_match_options, name)

/* The limits of struct ef_match_options: what 0 stands for, and how far each may go. */
static const struct {
    const char *name;
    size_t offset;
    const size_t *usual;
    size_t max;
} LIMITS[] = {
    {MEMBER(pattern_text_max), &PATTERN_LIMITS.text_max, PATTERN_TEXT_MOST},
    {MEMBER(pattern_values_max), &PATTERN_LIMITS.values_max, PATTERN_VALUES_MOST},
    {MEMBER(pattern_depth_max), &PATTERN_LIMITS.depth_max, PATTERN_DEPTH_MOST},
    {MEMBER(pattern_conjunctions_max), &PATTERN_LIMITS.conjunctions_max, PATTERN_CONJUNCTIONS_MOST},
    {MEMBER(pattern_stars_max), &PATTERN_LIMITS.stars_max, PATTERN_STARS_MOST},
    {MEMBER(event_text_max), &EVENT_BYTES, INT32_MAX},
    {MEMBER(memory_max), &NO_LIMIT, SIZE_MAX},
};

/* Takes the members that the caller knows. What a later version has more must be unset: what it
 * means is not known here. */
static enum ef_match_code copy_options(struct ef_match_options *out,
                                       const struct ef_match_options *given,
                                       struct ef_match_error *error)
{
    const char *bytes = (const char *)given;

    if (given == NULL)
        return EF_MATCH_OK;
    if (given->size < sizeof(given->size))
        return fail(error, EF_MATCH_BAD_OPTIONS,
                    "size is not set; begin with EF_MATCH_OPTIONS_INIT");
    for (size_t i = sizeof(*out); i < given->size; i++)
        if (bytes[i] != 0)
            return fail(error, EF_MATCH_BAD_OPTIONS,
                        "an option is set that this version of the library does not have");
    memcpy(out, given, MIN(given->size, sizeof(*out)));
    return EF_MATCH_OK;
}

/* Fills in the defaults and checks the ranges. */
static enum ef_match_code settle_options(struct ef_match_options *options,
                                         struct ef_match_error *error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(LIMITS); i++) {
        size_t *value = (size_t *)(void *)((char *)options + LIMITS[i].offset);

        if (*value > LIMITS[i].max) {
            g_autofree char *text = g_strdup_printf("%s is %zu; at most %zu are possible",
                                                    LIMITS[i].name, *value, LIMITS[i].max);
            return fail(error, EF_MATCH_BAD_OPTIONS, text);
        }
        if (*value == 0)
            *value = *LIMITS[i].usual;
    }
    return EF_MATCH_OK;
}

/* ---- the compiler ---------------------------------------------------------------------------- */

static void compiler_init(struct ef_match_compiler *c)
{
    c->builder = matcher_builder_new();
    arena_init(&c->id_bytes);
    c->ids = g_array_new(FALSE, FALSE, sizeof(struct ef_match_bytes));
    c->id_memory = sizeof(struct ef_match_set);
    c->sample_size = 0;
}

static void compiler_done(struct ef_match_compiler *c)
{
    matcher_builder_free(c->builder);
    arena_done(&c->id_bytes);
    if (c->ids != NULL)
        g_array_unref(c->ids);
}

struct ef_match_compiler *ef_match_compiler_new(const struct ef_match_options *options,
                                                struct ef_match_error *error)
{
    struct ef_match_options own = {0};
    struct ef_match_compiler *c;

    if (copy_options(&own, options, error) != EF_MATCH_OK ||
        settle_options(&own, error) != EF_MATCH_OK)
        return NULL;
    c = g_new0(struct ef_match_compiler, 1);
    c->options = own;
    compiler_init(c);
    return c;
}

void ef_match_compiler_free(struct ef_match_compiler *c)
{
    if (c == NULL)
        return;
    compiler_done(c);
    g_free(c);
}

static struct pattern *parse_pattern(const struct ef_match_compiler *c, struct ef_match_bytes text,
                                     struct ef_match_error *error)
{
    const struct pattern_limits limits = {
        .text_max = c->options.pattern_text_max,
        .values_max = c->options.pattern_values_max,
        .depth_max = c->options.pattern_depth_max,
        .conjunctions_max = c->options.pattern_conjunctions_max,
        .stars_max = c->options.pattern_stars_max,
    };
    struct problems problems;
    struct pattern *pattern;

    problems_init(&problems);
    pattern = pattern_parse(as_slice(text), &limits, "#", &problems);
    if (pattern == NULL) {
        g_autofree char *all = problems_text(&problems);
        fail(error, EF_MATCH_BAD_PATTERN, all);
    }
    problems_done(&problems);
    return pattern;
}

static enum ef_match_code fail_full(const struct ef_match_compiler *c, const char *what,
                                    struct ef_match_error *error)
{
    g_autofree char *text = g_strdup_printf("%s would take more than the %zu bytes of memory_max",
                                            what, c->options.memory_max);

    return fail(error, EF_MATCH_FULL, text);
}

/* Whether an id of that size still fits, and a place for it is left. */
static enum ef_match_code check_room(const struct ef_match_compiler *c, size_t need,
                                     struct ef_match_error *error)
{
    if (c->ids->len >= PLACES_MAX)
        return fail(error, EF_MATCH_FULL, "a set cannot have more patterns than 2,147,483,647");
    if (c->id_memory + need <= c->options.memory_max)
        return EF_MATCH_OK;
    return fail_full(c, "the ids alone", error);
}

enum ef_match_code ef_match_compiler_add(struct ef_match_compiler *c, struct ef_match_bytes id,
                                         struct ef_match_bytes pattern,
                                         struct ef_match_error *error)
{
    size_t need = sizeof(id) + id.size + 1;
    enum ef_match_code code = check_room(c, need, error);
    struct pattern *parsed;
    struct slice copy;

    if (code != EF_MATCH_OK)
        return code;
    parsed = parse_pattern(c, pattern, error);
    if (parsed == NULL)
        return EF_MATCH_BAD_PATTERN;
    matcher_builder_add(c->builder, parsed);
    pattern_free(parsed);
    copy = arena_copy(&c->id_bytes, as_slice(id));
    id.data = copy.data;
    g_array_append_val(c->ids, id);
    c->id_memory += need;
    return EF_MATCH_OK;
}

void ef_match_compiler_sample(struct ef_match_compiler *c, struct ef_match_bytes event)
{
    if (event.size > c->options.event_text_max || event.size > SAMPLE_BYTES_MAX - c->sample_size)
        return;
    c->sample_size += event.size;
    matcher_builder_sample(c->builder, as_slice(event));
}

/* ---- the set --------------------------------------------------------------------------------- */

/* The ids move from the compiler to the set. */
static struct ef_match_set *new_set(struct ef_match_compiler *c, struct matcher *matcher)
{
    struct ef_match_set *set = g_new0(struct ef_match_set, 1);
    struct matcher_figures figures;

    matcher_get_figures(matcher, &figures);
    g_atomic_ref_count_init(&set->references);
    set->matcher = matcher;
    set->id_bytes = c->id_bytes;
    arena_init(&c->id_bytes);
    set->ids = g_steal_pointer(&c->ids);
    set->event_text_max = c->options.event_text_max;
    set->memory = figures.bytes + c->id_memory;
    return set;
}

/* memory_max covers the ids too, so the index gets what they leave: something at least, as 0 would
 * mean no limit to it. */
static size_t index_memory_max(const struct ef_match_compiler *c)
{
    if (c->options.memory_max == NO_LIMIT)
        return 0;
    return c->options.memory_max > c->id_memory ? c->options.memory_max - c->id_memory : 1;
}

struct ef_match_set *ef_match_compile(struct ef_match_compiler *c, struct ef_match_error *error)
{
    struct matcher *matcher = matcher_builder_finish(c->builder, index_memory_max(c), NULL);
    struct ef_match_set *set = NULL;

    if (matcher != NULL)
        set = new_set(c, matcher);
    else
        fail_full(c, "the set", error);
    compiler_done(c);
    compiler_init(c);
    return set;
}

struct ef_match_set *ef_match_set_ref(struct ef_match_set *set)
{
    g_atomic_ref_count_inc(&set->references);
    return set;
}

void ef_match_set_unref(struct ef_match_set *set)
{
    if (set == NULL || !g_atomic_ref_count_dec(&set->references))
        return;
    matcher_free(set->matcher);
    arena_done(&set->id_bytes);
    g_array_unref(set->ids);
    g_free(set);
}

size_t ef_match_set_count(const struct ef_match_set *set)
{
    return set->ids->len;
}

struct ef_match_bytes ef_match_set_id(const struct ef_match_set *set, size_t place)
{
    return g_array_index(set->ids, struct ef_match_bytes, place);
}

size_t ef_match_set_memory(const struct ef_match_set *set)
{
    return set->memory;
}

/* ---- the reader ------------------------------------------------------------------------------ */

struct ef_match_reader *ef_match_reader_new(struct ef_match_set *set)
{
    struct ef_match_reader *r = g_new0(struct ef_match_reader, 1);

    r->set = ef_match_set_ref(set);
    r->run = matcher_run_new();
    r->ids = g_array_new(FALSE, FALSE, sizeof(struct ef_match_bytes));
    flat_init(&r->event);
    return r;
}

void ef_match_reader_free(struct ef_match_reader *r)
{
    if (r == NULL)
        return;
    matcher_run_free(r->run);
    flat_done(&r->event);
    g_array_unref(r->ids);
    ef_match_set_unref(r->set);
    g_free(r);
}

/* The new reference first: it may be the same set. */
void ef_match_reader_use(struct ef_match_reader *r, struct ef_match_set *set)
{
    struct ef_match_set *old = r->set;

    r->set = ef_match_set_ref(set);
    ef_match_set_unref(old);
}

static void set_size_error(GError **error, size_t size, size_t max)
{
    g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                "has %zu bytes; an event may have at most %zu (event_text_max)", size, max);
}

static bool has_room_for(const struct ef_match_reader *r, struct slice text, GError **error)
{
    if (text.size > r->set->event_text_max)
        set_size_error(error, text.size, r->set->event_text_max);
    return text.size <= r->set->event_text_max;
}

/* The flattener reads one value and looks at nothing behind it; here it must be the only one. */
static bool read_event(struct ef_match_reader *r, struct slice text, GError **error)
{
    const char *end, *rest;
    size_t used;

    if (!has_room_for(r, text, error) || !flat_parse(&r->event, text, 0, &used, error))
        return false;
    end = text.data + text.size;
    rest = json_scan_space(text.data + used, end);
    if (rest != end) {
        json_set_error(error, text, rest, "nothing may follow the event");
        return false;
    }
    if (r->event.type != JSON_OBJECT)
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT, "must be an object, not %s",
                    json_type_name(r->event.type));
    return r->event.type == JSON_OBJECT;
}

enum ef_match_code ef_match_find_places(struct ef_match_reader *r, struct ef_match_bytes event,
                                        const uint32_t **places, size_t *count,
                                        struct ef_match_error *error)
{
    g_autoptr(GError) bad = NULL;

    if (!read_event(r, as_slice(event), &bad))
        return fail(error, EF_MATCH_BAD_EVENT, bad->message);
    *count = matcher_find(r->set->matcher, r->run, &r->event, places);
    return EF_MATCH_OK;
}

enum ef_match_code ef_match_find_trusted(struct ef_match_reader *r, struct ef_match_bytes event,
                                         const uint32_t **places, size_t *count,
                                         struct ef_match_error *error)
{
    g_autoptr(GError) bad = NULL;

    if (!has_room_for(r, as_slice(event), &bad))
        return fail(error, EF_MATCH_BAD_EVENT, bad->message);
    *count = matcher_find_trusted(r->set->matcher, r->run, as_slice(event), places);
    return EF_MATCH_OK;
}

enum ef_match_code ef_match_find(struct ef_match_reader *r, struct ef_match_bytes event,
                                 const struct ef_match_bytes **ids, size_t *count,
                                 struct ef_match_error *error)
{
    const uint32_t *places;
    size_t found;
    enum ef_match_code code = ef_match_find_places(r, event, &places, &found, error);

    if (code != EF_MATCH_OK)
        return code;
    g_array_set_size(r->ids, (guint)found);
    for (size_t i = 0; i < found; i++)
        g_array_index(r->ids, struct ef_match_bytes, i) = ef_match_set_id(r->set, places[i]);
    *ids = (const struct ef_match_bytes *)(const void *)r->ids->data;
    *count = found;
    return EF_MATCH_OK;
}
