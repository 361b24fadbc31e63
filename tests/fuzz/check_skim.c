#include "check_skim.h"

#include "common/json.h"
#include "core/matcher/internal.h"

/* ---- the contract -----------------------------------------------------------------------------
 */

static guint hash_slice(gconstpointer key)
{
    return (guint)hash64(*(const struct slice *)key);
}

static gboolean equal_slices(gconstpointer a, gconstpointer b)
{
    return slice_equal(*(const struct slice *)a, *(const struct slice *)b);
}

/* Whether another member has a part of the name, up to a dot, as its name. */
static bool has_namesake(GHashTable *names, struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        struct slice part = slice_of(name.data, i);

        if (name.data[i] == '.' && g_hash_table_contains(names, &part))
            return true;
    }
    return false;
}

/* The table does not write to it. */
static gpointer key_of(const struct json_value *value)
{
    return (gpointer)(uintptr_t)&value->key;
}

/* Whether no object in it names a member twice. */
static bool is_unique(const struct json_value *value)
{
    g_autoptr(GHashTable) names = g_hash_table_new(hash_slice, equal_slices);

    for (const struct json_value *v = value->first; v != NULL; v = v->next) {
        if (!is_unique(v))
            return false;
        if (value->type == JSON_OBJECT && !g_hash_table_insert(names, key_of(v), key_of(v)))
            return false;
    }
    for (const struct json_value *v = value->first; v != NULL; v = v->next)
        if (value->type == JSON_OBJECT && has_namesake(names, v->key))
            return false;
    return true;
}

bool check_skim_is_trusted(struct slice text)
{
    struct arena arena = {0};
    const struct json_value *value = json_parse_any(text, &arena, NULL);
    bool is_trusted = value != NULL && value->type == JSON_OBJECT && is_unique(value);

    arena_done(&arena);
    return is_trusted;
}

/* ---- the answers ------------------------------------------------------------------------------
 */

static GString *places_text(const uint32_t *places, size_t count)
{
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < count; i++)
        g_string_append_printf(text, " %" G_GUINT32_FORMAT, places[i]);
    return text;
}

static GString *find_trusted(const struct matcher *m, struct matcher_run *run, struct slice text,
                             const struct matcher_skip *skip)
{
    g_autofree char *copy = g_memdup2(text.data, text.size);
    const struct matcher_skip *usual = run->skip;
    const uint32_t *places;
    GString *found;
    size_t count;

    run->skip = skip;
    count = matcher_find_trusted(m, run, slice_of(copy, text.size), &places);
    found = places_text(places, count);
    run->skip = usual;
    return found;
}

/* NULL when the text is none that flat_parse accepts. */
static GString *find_whole(const struct matcher *m, struct matcher_run *run, struct slice text)
{
    GString *found = NULL;
    const uint32_t *places;
    struct flat flat;
    size_t used, count;

    flat_init(&flat);
    if (flat_parse(&flat, text, 0, &used, NULL)) {
        count = matcher_find(m, run, &flat, &places);
        found = places_text(places, count);
    }
    flat_done(&flat);
    return found;
}

char *check_skim(const struct matcher *m, struct matcher_run *run, struct slice text)
{
    const struct matcher_skip *ways[] = {matcher_skip_best(), &matcher_skip_portable};
    GString *whole = check_skim_is_trusted(text) ? find_whole(m, run, text) : NULL;
    char *wrong = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(ways); i++) {
        GString *found = find_trusted(m, run, text, ways[i]);

        if (whole != NULL && wrong == NULL && !g_string_equal(found, whole))
            wrong = g_strdup_printf("event %.*s\nexpected places:%s\ngot places:     %s (%s)\n",
                                    SLICE_ARG(text), whole->str, found->str,
                                    i == 0 ? "the best way" : "the portable way");
        g_string_free(found, TRUE);
    }
    if (whole != NULL)
        g_string_free(whole, TRUE);
    return wrong;
}
