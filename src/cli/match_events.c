/* Blocks of events. A block's lines lie in the reader's buffer, so it ends where the next line
 * would move them; only the sample is copied.
 */
#include "cli/match_events.h"

#include <errno.h>
#include <stdio.h>

#include "cli/match_explain.h"
#include "common/arena.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/json.h"

#define BLOCK_LINES_MAX  1024
#define ROUND_MAX        ((size_t)1024)       /* events */
#define PLACES_MAX       (1 << 20)            /* found before they are printed, about */
#define OUTPUT_MAX       ((size_t)128 * 1024) /* bytes that wait to be written, about */
#define SAMPLE_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define SAMPLE_WAIT_US   200000 /* for more of the sample than the first lines */

/* ---- the input ------------------------------------------------------------------------------- */

/* Fills lines with what is in memory, or with at least one line that is not blank; none at the end.
 */
static bool take_block(struct match_events *e, GError **error)
{
    g_autoptr(GError) trouble = NULL;
    struct line line;

    g_array_set_size(e->lines, 0);
    while (!e->is_at_end && e->lines->len < BLOCK_LINES_MAX &&
           (e->lines->len == 0 || match_input_is_ready(e->in))) {
        e->is_at_end = !match_input_next(e->in, &line, &trouble);
        if (!e->is_at_end && (line.is_too_long || line.text.size > 0))
            g_array_append_val(e->lines, line);
    }
    if (trouble == NULL)
        return true;
    g_propagate_error(error, g_steal_pointer(&trouble));
    return false;
}

/* ---- parse and match ------------------------------------------------------------------------- */

/* What is wrong with a line that parse did not take; broken: the reader's words, if it is that. */
static void refuse(const struct match_events *e, const struct line *line, const GError *broken,
                   GError **error)
{
    g_autofree char *reason = NULL;

    if (line->is_too_long)
        reason = g_strdup_printf("the line is longer than %zu bytes (--line-max)",
                                 e->in->reader.line_max);
    else if (broken != NULL)
        reason = g_strdup(broken->message);
    else if (e->flat.type != JSON_OBJECT)
        reason = g_strdup_printf("an event is an object, not %s", json_type_name(e->flat.type));
    else
        reason = g_strdup("there is something behind the event's closing brace");
    match_input_refuse(e->in, line->number, reason, error);
}

/* One object and nothing behind it. */
static bool parse(struct match_events *e, const struct line *line, GError **error)
{
    GError *broken = NULL;
    size_t used = 0;

    if (!line->is_too_long && flat_parse(&e->flat, line->text, 0, &used, &broken) &&
        e->flat.type == JSON_OBJECT && used == line->text.size)
        return true;
    refuse(e, line, broken, error);
    g_clear_error(&broken);
    return false;
}

/* What one line matches; false: it is wrong. */
static bool find_line(struct match_events *e, const struct line *line, const uint32_t **places,
                      size_t *count, GError **error)
{
    if (e->is_trusted && !line->is_too_long) {
        *count = matcher_find_trusted(e->matcher, e->run, line->text, places);
        return true;
    }
    if (!parse(e, line, error))
        return false;
    *count = matcher_find(e->matcher, e->run, &e->flat, places);
    return true;
}

/* One round: as many of the lines as fit into places and ends. The only part that is timed. false:
 * the line behind them is wrong. */
static bool find(struct match_events *e, const struct line *lines, size_t count, GError **error)
{
    int64_t started_us = clock_monotonic_us();
    size_t most = MIN(count, e->explains ? 1 : ROUND_MAX); /* the event is looked at again */
    bool is_ok = true;
    size_t i;

    g_array_set_size(e->places, 0);
    for (i = 0; i < most && e->places->len < PLACES_MAX; i++) {
        const uint32_t *places;
        size_t found;

        is_ok = find_line(e, &lines[i], &places, &found, error);
        if (!is_ok)
            break;
        if (found > 0)
            g_array_append_vals(e->places, places, (guint)found);
        e->ends[i] = e->places->len;
    }
    e->found = i;
    e->match_us += clock_monotonic_us() - started_us;
    return is_ok;
}

/* ---- the output ------------------------------------------------------------------------------ */

static bool flush(struct match_events *e, GError **error)
{
    bool is_ok =
        fwrite(e->output->str, 1, e->output->len, stdout) == e->output->len && fflush(stdout) == 0;

    if (!is_ok)
        g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(errno),
                    "cannot write standard output: %s", g_strerror(errno));
    g_string_truncate(e->output, 0);
    return is_ok;
}

static void add_ids(struct match_events *e, size_t from, size_t to)
{
    g_string_append_c(e->output, '[');
    for (size_t i = from; i < to; i++) {
        uint32_t place = g_array_index(e->places, uint32_t, i);
        struct slice id = g_array_index(e->patterns->ids, struct slice, place);

        if (i > from)
            g_string_append_c(e->output, ',');
        g_string_append_len(e->output, id.data, (gssize)id.size);
    }
    g_string_append_c(e->output, ']');
}

static void add_explained(struct match_events *e, size_t from, size_t to)
{
    struct match_answer answer = {
        .event = &e->flat, .places = &g_array_index(e->places, uint32_t, from), .count = to - from};

    match_explain_append(e->output, e->patterns, &answer, e->explain_max, &e->scratch);
}

/* What find has found, a line an event. */
static bool print(struct match_events *e, GError **error)
{
    size_t from = 0;

    for (size_t i = 0; i < e->found; i++) {
        if (e->explains)
            add_explained(e, from, e->ends[i]);
        else
            add_ids(e, from, e->ends[i]);
        g_string_append_c(e->output, '\n');
        from = e->ends[i];
        e->count++;
        if (e->output->len >= OUTPUT_MAX && !flush(e, error))
            return false;
    }
    return true;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* A line that is wrong is told of after the answers of those before it. */
static bool answer(struct match_events *e, GError **error)
{
    const struct line *lines = (const struct line *)(const void *)e->lines->data;
    size_t done = 0;

    while (done < e->lines->len) {
        g_autoptr(GError) trouble = NULL;

        find(e, lines + done, e->lines->len - done, &trouble);
        done += e->found;
        if (!print(e, error))
            return false;
        if (trouble != NULL) {
            g_propagate_error(error, g_steal_pointer(&trouble));
            return false;
        }
        match_progress_note(e->progress, e->in, e->count);
    }
    return true;
}

/* The sample's lines leave the reader's buffer. */
static void keep_block(struct match_events *e, GArray *kept, struct arena *a,
                       struct matcher_builder *builder, size_t *size)
{
    int64_t started_us = clock_monotonic_us();

    for (guint i = 0; i < e->lines->len; i++) {
        struct line line = g_array_index(e->lines, struct line, i);

        line.text = arena_copy(a, line.text);
        *size += line.text.size;
        matcher_builder_sample(builder, line.text);
        g_array_append_val(kept, line);
    }
    e->build_us += clock_monotonic_us() - started_us;
}

/* Reads the first events into the builder's sample and into kept: so many, or what comes without
 * much waiting. When reading fails kept has what was read by then. */
static void take_sample(struct match_events *e, struct matcher_builder *builder, GArray *kept,
                        struct arena *a, GError **error)
{
    int64_t until_us = 0;
    size_t size = 0;
    bool is_late = false;

    while (!e->is_at_end && !is_late && kept->len < MATCHER_SAMPLE_MAX && size < SAMPLE_BYTES_MAX) {
        int64_t left_us;

        if (!take_block(e, error))
            break;
        keep_block(e, kept, a, builder, &size);
        if (until_us == 0)
            until_us = clock_monotonic_us() + SAMPLE_WAIT_US;
        left_us = until_us - clock_monotonic_us();
        is_late = match_input_waits(e->in, (int)MAX(0, left_us / 1000));
    }
}

static bool build(struct match_events *e, struct matcher_builder *builder, GError **error)
{
    int64_t started_us = clock_monotonic_us();

    e->matcher = matcher_builder_finish(builder, 0, error);
    e->build_us += e->patterns->add_us + clock_monotonic_us() - started_us;
    return e->matcher != NULL;
}

/* The sample is answered like any block, then the rest block by block. */
static bool answer_all(struct match_events *e, struct matcher_builder *builder, GError **error)
{
    GArray *block = e->lines;
    GArray *kept = g_array_new(FALSE, FALSE, sizeof(struct line));
    GError *trouble = NULL; /* of reading; what was read before is answered first */
    struct arena arena;
    bool is_ok;

    arena_init(&arena);
    take_sample(e, builder, kept, &arena, &trouble);
    is_ok = build(e, builder, error);
    if (is_ok) {
        e->lines = kept;
        is_ok = answer(e, error);
        e->lines = block;
    }
    g_array_unref(kept);
    arena_done(&arena);
    if (is_ok && trouble != NULL) {
        g_propagate_error(error, trouble);
        return false;
    }
    g_clear_error(&trouble);
    while (is_ok && !e->is_at_end) {
        if (match_input_waits(e->in, 0))
            is_ok = flush(e, error);
        is_ok = is_ok && take_block(e, error) && answer(e, error);
    }
    return is_ok;
}

bool match_events_run(struct match_events *e, struct matcher_builder *builder, GError **error)
{
    g_autoptr(GError) trouble = NULL;
    bool is_ok;

    flat_init(&e->flat);
    arena_init(&e->scratch);
    e->run = matcher_run_new();
    e->lines = g_array_new(FALSE, FALSE, sizeof(struct line));
    e->ends = g_new(size_t, ROUND_MAX);
    e->places = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    e->output = g_string_sized_new(2 * OUTPUT_MAX);
    is_ok = answer_all(e, builder, &trouble);
    match_progress_clear(e->progress);
    is_ok = flush(e, is_ok ? &trouble : NULL) && is_ok;
    if (!is_ok)
        g_propagate_error(error, g_steal_pointer(&trouble));
    g_string_free(e->output, TRUE);
    g_array_unref(e->places);
    g_free(e->ends);
    g_array_unref(e->lines);
    arena_done(&e->scratch);
    matcher_run_free(e->run);
    matcher_free(e->matcher);
    flat_done(&e->flat);
    return is_ok;
}
