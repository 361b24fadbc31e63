#include "cli/match_explain.h"

#include "common/json.h"
#include "core/explain.h"

static struct slice id_of(const struct match_patterns *patterns, uint32_t place)
{
    return g_array_index(patterns->ids, struct slice, place);
}

static void write_one(struct json_writer *w, const struct match_patterns *patterns, uint32_t place,
                      const struct flat *event, struct arena *scratch)
{
    struct explanation why;

    arena_reset(scratch);
    explain_pattern(g_ptr_array_index(patterns->kept, place), event, scratch, &why);
    json_open_object(w);
    json_put_raw(w, "id", id_of(patterns, place));
    json_put_text(w, "path", why.path);
    json_put_raw(w, "expected", why.expected);
    json_put_raw(w, "actual", why.actual);
    json_put_bool(w, "absent", why.is_absent);
    json_put_text(w, "text", why.text);
    if (why.way_count > 1) {
        json_put_integer(w, "branch", (int64_t)why.way + 1);
        json_put_integer(w, "branches", (int64_t)why.way_count);
    }
    json_close_object(w);
}

/* Both lists ascend, so one walk tells who is in neither. */
static void write_others(struct json_writer *w, const struct match_patterns *patterns,
                         const struct match_answer *answer, size_t max, struct arena *scratch)
{
    size_t next = 0, shown = 0;

    for (uint32_t place = 0; place < patterns->ids->len && shown < max; place++) {
        if (next < answer->count && answer->places[next] == place) {
            next++;
        } else {
            write_one(w, patterns, place, answer->event, scratch);
            shown++;
        }
    }
}

void match_explain_append(GString *out, const struct match_patterns *patterns,
                          const struct match_answer *answer, size_t max, struct arena *scratch)
{
    size_t others = patterns->ids->len - answer->count;
    struct json_writer w;

    json_writer_init(&w, out);
    json_open_object(&w);
    json_key(&w, "matches");
    json_open_array(&w);
    for (size_t i = 0; i < answer->count; i++)
        json_add_raw(&w, id_of(patterns, answer->places[i]));
    json_close_array(&w);
    json_key(&w, "not");
    json_open_array(&w);
    write_others(&w, patterns, answer, max, scratch);
    json_close_array(&w);
    if (others > max)
        json_put_integer(&w, "more", (int64_t)(others - max));
    json_close_object(&w);
}
