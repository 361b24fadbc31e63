/* The pattern file, line by line. Lines are closed documents only in what they must have: further
 * members, such as a name or a comment, are the writer's own.
 */
#include "cli/match_patterns.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/table.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/hash.h"
#include "common/json.h"
#include "core/problem.h"

#define WRONG_SHOWN_MAX 20 /* lines that are wrong and printed; the others are counted */

/* An id that was given. A number is another id than the string of its digits, and 1 another than
 * 1.0: numbers are text here as everywhere. */
struct match_id {
    struct slice text; /* unescaped */
    enum json_type type;
    uint64_t number; /* of its line */
};

/* One call of match_patterns_read. */
struct reading {
    struct match_patterns *patterns;
    struct match_input *in;
    const struct pattern_limits *limits;
    struct matcher_builder *builder;
    struct match_progress *progress;
    struct arena line; /* the tree of one line */
    struct arena seen; /* what is in by_id */
    GHashTable *by_id; /* set of struct match_id */
    uint64_t wrong;    /* lines */
};

static guint id_hash(gconstpointer key)
{
    const struct match_id *id = key;

    return (guint)hash64(id->text);
}

static gboolean id_equal(gconstpointer a, gconstpointer b)
{
    const struct match_id *x = a, *y = b;

    return x->type == y->type && slice_equal(x->text, y->text);
}

static void free_pattern(gpointer pattern)
{
    pattern_free(pattern);
}

void match_patterns_init(struct match_patterns *p, bool keeps)
{
    *p = (struct match_patterns){.ids = g_array_new(FALSE, FALSE, sizeof(struct slice))};
    if (keeps)
        p->kept = g_ptr_array_new_with_free_func(free_pattern);
    arena_init(&p->arena);
}

void match_patterns_done(struct match_patterns *p)
{
    g_clear_pointer(&p->ids, g_array_unref);
    g_clear_pointer(&p->kept, g_ptr_array_unref);
    arena_done(&p->arena);
}

/* Prints the line's trouble, unless there was much before. It may have names from the file in it.
 */
static void refuse(struct reading *r, uint64_t number, const char *reason)
{
    g_autofree char *safe = table_safe_text(slice_text(reason));
    g_autoptr(GError) error = NULL;

    if (r->wrong++ >= WRONG_SHOWN_MAX)
        return;
    match_input_refuse(r->in, number, safe, &error);
    match_progress_clear(r->progress);
    fprintf(stderr, "eventflow match: %s\n", error->message);
}

/* The id joins those that were given, or is a problem. */
static void check_id(struct reading *r, const struct json_value *id, uint64_t number,
                     struct problems *problems)
{
    struct match_id *mine;
    const struct match_id *other;

    if (id == NULL) {
        problems_add(problems, "#/id", "is required: a string or a number");
        return;
    }
    if (id->type != JSON_TEXT && id->type != JSON_NUMBER) {
        problems_add(problems, "#/id", "must be a string or a number, not %s",
                     json_type_name(id->type));
        return;
    }
    mine = arena_alloc(&r->seen, sizeof(*mine));
    *mine = (struct match_id){.text = id->text, .type = id->type, .number = number};
    other = g_hash_table_lookup(r->by_id, mine);
    if (other != NULL) {
        problems_add(problems, "#/id", "stands on line %" PRIu64 " already", other->number);
        return;
    }
    mine->text = arena_copy(&r->seen, id->text);
    g_hash_table_add(r->by_id, mine);
}

/* The builder keeps what it needs. */
static void add(struct reading *r, const struct json_value *id, struct pattern *pattern)
{
    struct slice copy = arena_copy(&r->patterns->arena, id->source);
    int64_t started_us = clock_monotonic_us();

    matcher_builder_add(r->builder, pattern);
    r->patterns->add_us += clock_monotonic_us() - started_us;
    g_array_append_val(r->patterns->ids, copy);
    if (r->patterns->kept != NULL)
        g_ptr_array_add(r->patterns->kept, pattern);
    else
        pattern_free(pattern);
}

/* Id and pattern of the line's tree; what is wrong with either is told at once. */
static void read_tree(struct reading *r, const struct json_value *tree, uint64_t number)
{
    const struct json_value *id = json_get(tree, SLICE("id"));
    const struct json_value *rules = json_get(tree, SLICE("pattern"));
    struct pattern *pattern = NULL;
    struct problems problems;

    problems_init(&problems);
    if (tree->type != JSON_OBJECT) {
        problems_add(&problems, "#", "must be an object {\"id\":…,\"pattern\":{…}}, not %s",
                     json_type_name(tree->type));
    } else {
        check_id(r, id, number, &problems);
        if (rules != NULL)
            pattern = pattern_parse(rules->source, r->limits, "#/pattern", &problems);
        else
            problems_add(&problems, "#/pattern", "is required");
    }
    if (problems.total == 0) {
        add(r, id, pattern);
    } else {
        g_autofree char *text = problems_text(&problems);

        refuse(r, number, text);
        pattern_free(pattern);
    }
    problems_done(&problems);
}

static void read_line(struct reading *r, const struct line *line)
{
    g_autoptr(GError) error = NULL;
    const struct json_value *tree;

    if (line->is_too_long) {
        g_autofree char *reason =
            g_strdup_printf("the line is longer than %zu bytes", r->in->reader.line_max);

        refuse(r, line->number, reason);
        return;
    }
    if (line->text.size == 0)
        return;
    arena_reset(&r->line);
    tree = json_parse(line->text, &r->line, &error);
    if (tree == NULL)
        refuse(r, line->number, error->message);
    else
        read_tree(r, tree, line->number);
}

bool match_patterns_read(struct match_patterns *p, struct match_input *in,
                         const struct pattern_limits *limits, struct matcher_builder *builder,
                         struct match_progress *progress, GError **error)
{
    struct reading r = {.patterns = p,
                        .in = in,
                        .limits = limits,
                        .builder = builder,
                        .progress = progress,
                        .by_id = g_hash_table_new(id_hash, id_equal)};
    g_autoptr(GError) trouble = NULL;
    struct line line;
    bool is_ok;

    while (match_input_next(in, &line, &trouble)) {
        read_line(&r, &line);
        match_progress_note(progress, in, p->ids->len);
    }
    g_hash_table_unref(r.by_id);
    arena_done(&r.seen);
    arena_done(&r.line);
    is_ok = trouble == NULL && r.wrong == 0;
    if (trouble != NULL)
        g_propagate_error(error, g_steal_pointer(&trouble));
    else if (r.wrong > 0)
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                    "%s: %" PRIu64 " line%s with problems%s; nothing was matched", in->name,
                    r.wrong, r.wrong == 1 ? "" : "s",
                    r.wrong > WRONG_SHOWN_MAX ? ", of which the first 20 stand above" : "");
    return is_ok;
}
