#include "core/campaign_index.h"

#include <string.h>

#include <glib.h>

#include "common/hash.h"

/* Fields of one way that are looked at; the rest would only choose better. */
#define ANCHORS_MAX 64

/* A path under which something is filed. */
struct index_path {
    struct slice path; /* ours */
    uint64_t hash;
};

/* Immutable after campaign_index_new. Keys are hashes of path and text: two pairs with one hash
 * share their candidates, which costs time and nothing else. */
struct campaign_index {
    GHashTable *lists; /* uint64_t * -> GArray of uint32_t: places; owns both */
    GArray *paths;     /* struct index_path, each once */
    uint64_t *always;  /* candidates whatever the event says */
    size_t words;      /* of always */
};

static uint64_t key_of(uint64_t path_hash, struct slice text)
{
    uint64_t hash = hash64(text);

    return path_hash ^ (hash << 31 | hash >> 33);
}

/* ---- building -------------------------------------------------------------------------------- */

/* How many ways name each pair of path and text. */
static GHashTable *count_pairs(const struct pattern *const *patterns, size_t count)
{
    GHashTable *pairs = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    struct pattern_anchor anchors[ANCHORS_MAX];

    for (size_t p = 0; p < count; p++) {
        for (size_t way = 0; way < pattern_way_count(patterns[p]); way++) {
            size_t found = pattern_anchors(patterns[p], way, anchors, ANCHORS_MAX);

            for (size_t a = 0; a < found; a++)
                for (size_t t = 0; t < anchors[a].text_count; t++) {
                    uint64_t key = key_of(anchors[a].path_hash, anchors[a].texts[t]);
                    gpointer before = g_hash_table_lookup(pairs, &key);

                    g_hash_table_replace(pairs, g_memdup2(&key, sizeof(key)),
                                         GUINT_TO_POINTER(GPOINTER_TO_UINT(before) + 1));
                }
        }
    }
    return pairs;
}

/* The anchor whose texts are shared least; NULL when there is none. */
static const struct pattern_anchor *choose(const struct pattern_anchor *anchors, size_t count,
                                           GHashTable *pairs)
{
    const struct pattern_anchor *best = NULL;
    size_t best_cost = SIZE_MAX;

    for (size_t a = 0; a < count; a++) {
        size_t cost = 0;

        for (size_t t = 0; t < anchors[a].text_count; t++) {
            uint64_t key = key_of(anchors[a].path_hash, anchors[a].texts[t]);

            cost += GPOINTER_TO_UINT(g_hash_table_lookup(pairs, &key));
        }
        if (cost < best_cost) {
            best_cost = cost;
            best = &anchors[a];
        }
    }
    return best;
}

static void add_path(struct campaign_index *index, const struct pattern_anchor *anchor)
{
    struct index_path path = {.hash = anchor->path_hash};

    for (guint i = 0; i < index->paths->len; i++)
        if (slice_equal(g_array_index(index->paths, struct index_path, i).path, anchor->path))
            return;
    path.path = slice_of(g_memdup2(anchor->path.data, anchor->path.size), anchor->path.size);
    g_array_append_val(index->paths, path);
}

/* Several ways of one pattern often share a text. Patterns are filed one after the other, so the
 * place can only be the list's last. */
static void add_place(GArray *list, uint32_t place)
{
    if (list->len == 0 || g_array_index(list, uint32_t, list->len - 1) != place)
        g_array_append_val(list, place);
}

static void file_under(struct campaign_index *index, const struct pattern_anchor *anchor,
                       uint32_t place)
{
    add_path(index, anchor);
    for (size_t t = 0; t < anchor->text_count; t++) {
        uint64_t key = key_of(anchor->path_hash, anchor->texts[t]);
        GArray *list = g_hash_table_lookup(index->lists, &key);

        if (list == NULL) {
            list = g_array_new(FALSE, FALSE, sizeof(uint32_t));
            g_hash_table_insert(index->lists, g_memdup2(&key, sizeof(key)), list);
        }
        add_place(list, place);
    }
}

static void set_bit(uint64_t *bits, uint32_t place)
{
    bits[place / 64] |= UINT64_C(1) << (place % 64);
}

static void file_pattern(struct campaign_index *index, const struct pattern *pattern,
                         uint32_t place, GHashTable *pairs)
{
    struct pattern_anchor anchors[ANCHORS_MAX];

    for (size_t way = 0; way < pattern_way_count(pattern); way++) {
        size_t found = pattern_anchors(pattern, way, anchors, ANCHORS_MAX);
        const struct pattern_anchor *anchor = choose(anchors, found, pairs);

        if (anchor != NULL)
            file_under(index, anchor, place);
        else
            set_bit(index->always, place);
    }
}

static void free_path(void *path)
{
    g_free((char *)(uintptr_t)((struct index_path *)path)->path.data);
}

static void free_list(void *list)
{
    g_array_unref(list);
}

struct campaign_index *campaign_index_new(const struct pattern *const *patterns, size_t count)
{
    struct campaign_index *index = g_new0(struct campaign_index, 1);
    GHashTable *pairs = count_pairs(patterns, count);

    index->words = CAMPAIGN_BITS(count);
    index->always = g_new0(uint64_t, index->words);
    index->lists = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_list);
    index->paths = g_array_new(FALSE, FALSE, sizeof(struct index_path));
    g_array_set_clear_func(index->paths, free_path);
    for (size_t p = 0; p < count; p++)
        file_pattern(index, patterns[p], (uint32_t)p, pairs);
    g_hash_table_unref(pairs);
    return index;
}

void campaign_index_free(struct campaign_index *index)
{
    if (index == NULL)
        return;
    g_hash_table_unref(index->lists);
    g_array_unref(index->paths);
    g_free(index->always);
    g_free(index);
}

/* ---- looking --------------------------------------------------------------------------------- */

static void add_list(const GArray *list, uint64_t *bits)
{
    const uint32_t *places = (const uint32_t *)(const void *)list->data;

    for (guint i = 0; i < list->len; i++)
        set_bit(bits, places[i]);
}

/* All leaves at a path count: a name may stand twice, and arrays have many. */
static void look_at_path(const struct campaign_index *index, const struct index_path *path,
                         const struct flat *event, uint64_t *bits)
{
    const struct flat_leaf *leaf = flat_find(event, path->path, path->hash);

    for (; leaf != NULL; leaf = leaf->next >= 0 ? &event->leaves[leaf->next] : NULL) {
        const GArray *list;
        uint64_t key;

        if (leaf->type != JSON_TEXT)
            continue;
        key = key_of(path->hash, leaf->text);
        list = g_hash_table_lookup(index->lists, &key);
        if (list != NULL)
            add_list(list, bits);
    }
}

void campaign_index_find(const struct campaign_index *index, const struct flat *event,
                         uint64_t *bits)
{
    memcpy(bits, index->always, index->words * sizeof(*bits));
    for (guint i = 0; i < index->paths->len; i++)
        look_at_path(index, &g_array_index(index->paths, struct index_path, i), event, bits);
}
