/* The set: layers of campaigns, each with an index, and a few campaigns in front of them.
 *
 *   layers   [0] the base │ [1] … older and larger to newer and smaller
 *            each: a part (shared between sets) and the places in it that count no more
 *   fresh    the last changes: looked at one by one
 *
 * A campaign counts in one place at most: a change marks its old place and puts the new version
 * among the fresh ones. When those are FRESH_MAX they become a layer, together with smaller layers
 * before it, so that there are few layers and a campaign is indexed anew only as often as there are
 * levels. Source: Bentley and Saxe, "Decomposable searching problems", J. Algorithms 1980.
 *
 * What a merge needs, the patterns, is kept for parts below the last level only: parsed they take
 * ten times the place of the index. The base and the largest layers have none.
 */
#include "core/campaign_set.h"

#include <stdlib.h>

#include "common/error.h"

#define FRESH_MAX 16

/* Campaigns below which a layer takes part in the merge that fills its level. */
static const size_t LEVELS[] = {128, 1024, 4096};

/* What a campaign that is kept parsed takes, about: a block of an arena, and so much for each byte
 * of its document. */
#define ITEM_BYTES          4608
#define ITEM_BYTES_PER_BYTE 8

/* ---- parts ----------------------------------------------------------------------------------- */

/* A campaign with its pattern, shared by parts and sets. Immutable but for references. */
struct item {
    gatomicrefcount references;
    struct pattern *rules; /* owned */
    size_t bytes;          /* of memory */
    struct campaign_set_entry entry;
    char texts[]; /* of the entry */
};

/* Campaigns and their index: the place of one in the index is that in entries. Immutable but for
 * references. */
struct part {
    gatomicrefcount references;
    struct matcher *matcher;
    struct campaign_set_entry *entries; /* by id */
    size_t count;
    struct item **items; /* owned references, like entries; NULL: not kept, see texts */
    struct arena texts;  /* of the entries, when there are no items */
    size_t bytes;        /* of memory */
    size_t samples;      /* events that it was built with */
};

/* Which places of a part count no more. Immutable once a set that has it is finished; shared. */
struct marks {
    gatomicrefcount references;
    size_t count; /* bits that are set */
    uint64_t bits[];
};

struct layer {
    struct part *part;   /* a reference */
    struct marks *marks; /* a reference; NULL: none */
};

struct campaign_set {
    gatomicrefcount references;
    int64_t generation;
    GArray *layers;   /* struct layer; the base first, always there */
    GPtrArray *fresh; /* struct item, owned references; no order */
};

static size_t entry_bytes(const struct campaign_set_entry *e)
{
    return sizeof(*e) + e->id.size + e->then.size + 2;
}

static struct item *item_new(struct campaign *campaign, int64_t version)
{
    struct slice id = campaign_id(campaign), then = campaign_then(campaign);
    struct item *item = g_malloc(sizeof(*item) + id.size + then.size);

    g_atomic_ref_count_init(&item->references);
    item->rules = campaign_take_rules(campaign);
    item->bytes = ITEM_BYTES + ITEM_BYTES_PER_BYTE * campaign_document(campaign).size;
    memcpy(item->texts, id.data, id.size);
    memcpy(item->texts + id.size, then.data, then.size);
    item->entry = (struct campaign_set_entry){
        .id = slice_of(item->texts, id.size),
        .version = version,
        .then = slice_of(item->texts + id.size, then.size),
    };
    return item;
}

static struct item *item_ref(struct item *item)
{
    g_atomic_ref_count_inc(&item->references);
    return item;
}

static void item_unref(void *data)
{
    struct item *item = data;

    if (!g_atomic_ref_count_dec(&item->references))
        return;
    pattern_free(item->rules);
    g_free(item);
}

static struct part *part_new(struct matcher *matcher, struct campaign_set_entry *entries,
                             size_t count)
{
    struct part *part = g_new0(struct part, 1);
    struct matcher_figures figures;

    g_atomic_ref_count_init(&part->references);
    matcher_get_figures(matcher, &figures);
    part->matcher = matcher;
    part->entries = entries;
    part->count = count;
    part->bytes = sizeof(*part) + figures.bytes;
    for (size_t i = 0; i < count; i++)
        part->bytes += entry_bytes(&entries[i]);
    return part;
}

static void part_unref(struct part *part)
{
    if (!g_atomic_ref_count_dec(&part->references))
        return;
    for (size_t i = 0; part->items != NULL && i < part->count; i++)
        item_unref(part->items[i]);
    g_free(part->items);
    g_free(part->entries);
    arena_done(&part->texts);
    matcher_free(part->matcher);
    g_free(part);
}

/* Whether its campaigns can still be merged into a larger part. */
static bool part_is_mergeable(const struct part *part)
{
    return part->items != NULL;
}

/* The place of the id; count when it is not there. */
static size_t part_find(const struct part *part, struct slice id)
{
    size_t low = 0, high = part->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = slice_compare(part->entries[middle].id, id);

        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return part->count;
}

/* ---- layers ---------------------------------------------------------------------------------- */

static void marks_unref(struct marks *marks)
{
    if (marks != NULL && g_atomic_ref_count_dec(&marks->references))
        g_free(marks);
}

static bool layer_is_marked(const struct layer *layer, size_t place)
{
    return layer->marks != NULL && (layer->marks->bits[place / 64] >> place % 64 & 1) != 0;
}

static size_t layer_marked(const struct layer *layer)
{
    return layer->marks != NULL ? layer->marks->count : 0;
}

static size_t layer_live(const struct layer *layer)
{
    return layer->part->count - layer_marked(layer);
}

/* The marks are copied before the first one that this set makes: others look at them. That takes
 * 12 KiB for 100,000 campaigns, once for all changes that are made together. */
static void layer_mark(struct layer *layer, size_t place)
{
    size_t words = (layer->part->count + 63) / 64;
    size_t size = sizeof(struct marks) + words * sizeof(uint64_t);

    if (layer->marks == NULL || !g_atomic_ref_count_compare(&layer->marks->references, 1)) {
        struct marks *copy = layer->marks == NULL ? g_malloc0(size) : g_memdup2(layer->marks, size);

        g_atomic_ref_count_init(&copy->references);
        marks_unref(layer->marks);
        layer->marks = copy;
    }
    layer->marks->bits[place / 64] |= UINT64_C(1) << place % 64;
    layer->marks->count++;
}

static void layer_done(void *data)
{
    struct layer *layer = data;

    part_unref(layer->part);
    marks_unref(layer->marks);
}

/* ---- sets ------------------------------------------------------------------------------------ */

static struct layer *set_layer(const struct campaign_set *set, guint i)
{
    return &g_array_index(set->layers, struct layer, i);
}

static struct item *set_fresh(const struct campaign_set *set, guint i)
{
    return g_ptr_array_index(set->fresh, i);
}

/* Takes the part. */
static void set_append(struct campaign_set *set, struct part *part)
{
    struct layer layer = {.part = part};

    g_array_append_val(set->layers, layer);
}

static struct campaign_set *set_new(int64_t generation)
{
    struct campaign_set *set = g_new0(struct campaign_set, 1);

    g_atomic_ref_count_init(&set->references);
    set->generation = generation;
    set->layers = g_array_new(FALSE, FALSE, sizeof(struct layer));
    g_array_set_clear_func(set->layers, layer_done);
    set->fresh = g_ptr_array_new_full(FRESH_MAX, item_unref);
    return set;
}

/* The same campaigns, everything large shared. */
static struct campaign_set *set_copy(const struct campaign_set *set, int64_t generation)
{
    struct campaign_set *copy = set_new(generation);

    for (guint i = 0; i < set->layers->len; i++) {
        struct layer layer = *set_layer(set, i);

        g_atomic_ref_count_inc(&layer.part->references);
        if (layer.marks != NULL)
            g_atomic_ref_count_inc(&layer.marks->references);
        g_array_append_val(copy->layers, layer);
    }
    for (guint i = 0; i < set->fresh->len; i++)
        g_ptr_array_add(copy->fresh, item_ref(set_fresh(set, i)));
    return copy;
}

struct campaign_set *campaign_set_ref(struct campaign_set *set)
{
    g_atomic_ref_count_inc(&set->references);
    return set;
}

/* Whoever drops the last reference frees everything; no other thread can have the set by then. */
void campaign_set_unref(struct campaign_set *set)
{
    if (set == NULL || !g_atomic_ref_count_dec(&set->references))
        return;
    g_array_unref(set->layers);
    g_ptr_array_unref(set->fresh);
    g_free(set);
}

int64_t campaign_set_generation(const struct campaign_set *set)
{
    return set->generation;
}

bool campaign_set_shares_base(const struct campaign_set *a, const struct campaign_set *b)
{
    return set_layer(a, 0)->part == set_layer(b, 0)->part;
}

void campaign_set_get_figures(const struct campaign_set *set, struct campaign_set_figures *out)
{
    const struct layer *base = set_layer(set, 0);

    *out = (struct campaign_set_figures){
        .rules = set->fresh->len,
        .base = base->part->count,
        .changed = set->fresh->len + layer_marked(base),
        .indexes = set->layers->len,
        .bytes = sizeof(*set),
        .samples = base->part->samples,
    };
    for (guint i = 0; i < set->fresh->len; i++)
        out->bytes += set_fresh(set, i)->bytes;
    for (guint i = 0; i < set->layers->len; i++) {
        const struct layer *layer = set_layer(set, i);

        out->rules += layer_live(layer);
        out->bytes += layer->part->bytes;
        if (layer->marks != NULL)
            out->bytes += layer->part->count / 8;
        if (i > 0)
            out->changed += layer->part->count;
    }
}

/* ---- building -------------------------------------------------------------------------------- */

struct campaign_set_builder {
    struct matcher_builder *matcher;
    GArray *entries; /* struct campaign_set_entry */
    struct arena texts;
    size_t bytes; /* of the entries */
    size_t samples;
};

struct campaign_set_builder *campaign_set_builder_new(void)
{
    struct campaign_set_builder *b = g_new0(struct campaign_set_builder, 1);

    b->matcher = matcher_builder_new();
    b->entries = g_array_new(FALSE, FALSE, sizeof(struct campaign_set_entry));
    return b;
}

void campaign_set_builder_free(struct campaign_set_builder *b)
{
    if (b == NULL)
        return;
    matcher_builder_free(b->matcher);
    g_array_unref(b->entries);
    arena_done(&b->texts);
    g_free(b);
}

void campaign_set_builder_add(struct campaign_set_builder *b, const struct campaign *campaign,
                              int64_t version)
{
    guint count = b->entries->len;
    struct campaign_set_entry entry = {
        .id = campaign_id(campaign), .version = version, .then = campaign_then(campaign)};

    g_assert(count == 0 ||
             slice_compare(g_array_index(b->entries, struct campaign_set_entry, count - 1).id,
                           entry.id) < 0);
    if (campaign_status(campaign) != CAMPAIGN_ACTIVE)
        return;
    matcher_builder_add(b->matcher, campaign_rules(campaign));
    entry.id = arena_copy(&b->texts, entry.id);
    entry.then = arena_copy(&b->texts, entry.then);
    g_array_append_val(b->entries, entry);
    b->bytes += entry_bytes(&entry);
}

void campaign_set_builder_sample(struct campaign_set_builder *b, struct slice document)
{
    matcher_builder_sample(b->matcher, document);
    b->samples++;
}

size_t campaign_set_builder_bytes(const struct campaign_set_builder *b)
{
    return matcher_builder_bytes(b->matcher) + b->bytes;
}

/* What is left of the limit for an index; never 0, which would be no limit. */
static size_t rest_of(size_t memory_max, size_t used)
{
    return memory_max == 0 ? 0 : memory_max > used ? memory_max - used : 1;
}

struct campaign_set *campaign_set_builder_finish(struct campaign_set_builder *b, int64_t generation,
                                                 size_t memory_max, GError **error)
{
    struct matcher *matcher =
        matcher_builder_finish(b->matcher, rest_of(memory_max, b->bytes), error);
    struct campaign_set *set;
    struct part *part;
    gsize count;

    if (matcher == NULL) {
        g_clear_error(error); /* it speaks of the index alone */
        g_set_error(error, EF_ERROR, EF_ERROR_FULL, "%u campaigns would take more than %zu bytes",
                    b->entries->len, memory_max);
        return NULL;
    }
    count = b->entries->len;
    part = part_new(matcher, (void *)g_array_steal(b->entries, NULL), count);
    part->samples = b->samples;
    part->texts = b->texts;
    b->texts = (struct arena){0};
    set = set_new(generation);
    set_append(set, part);
    return set;
}

/* ---- merging --------------------------------------------------------------------------------- */

static int compare_items(const void *a, const void *b)
{
    const struct item *x = *(struct item *const *)a;
    const struct item *y = *(struct item *const *)b;

    return slice_compare(x->entry.id, y->entry.id);
}

/* Moves what counts of the newest layer to the items. */
static void take_layer(struct campaign_set *set, GPtrArray *items)
{
    const struct layer *layer = set_layer(set, set->layers->len - 1);

    for (size_t i = 0; i < layer->part->count; i++)
        if (!layer_is_marked(layer, i))
            g_ptr_array_add(items, item_ref(layer->part->items[i]));
    g_array_set_size(set->layers, set->layers->len - 1);
}

/* The fresh ones, and the layers that are merged with them: a level that is full takes the next one
 * with it. Moved out of the set. *is_last: they fill the last level. Owned by caller. */
static GPtrArray *take_items(struct campaign_set *set, bool *is_last)
{
    GPtrArray *items = g_steal_pointer(&set->fresh);
    size_t level = 0;

    set->fresh = g_ptr_array_new_full(FRESH_MAX, item_unref);
    for (; level < G_N_ELEMENTS(LEVELS); level++) {
        const struct layer *newest = set_layer(set, set->layers->len - 1);

        if (set->layers->len > 1 && part_is_mergeable(newest->part) &&
            newest->part->count < LEVELS[level])
            take_layer(set, items);
        if (items->len < LEVELS[level])
            break;
    }
    *is_last = level == G_N_ELEMENTS(LEVELS);
    return items;
}

/* The part keeps the items, or copies of their texts. */
static void part_keep(struct part *part, GPtrArray *items, bool keeps_items)
{
    if (keeps_items) {
        for (size_t i = 0; i < part->count; i++)
            part->bytes += ((struct item *)g_ptr_array_index(items, i))->bytes;
        g_ptr_array_set_free_func(items, NULL);
        part->items = (struct item **)g_ptr_array_steal(items, NULL);
        return;
    }
    for (size_t i = 0; i < part->count; i++) {
        part->entries[i].id = arena_copy(&part->texts, part->entries[i].id);
        part->entries[i].then = arena_copy(&part->texts, part->entries[i].then);
    }
}

/* Makes a layer of the fresh campaigns, once they are many. The index has no limit of its own: the
 * whole set is measured. */
static bool set_merge(struct campaign_set *set, GError **error)
{
    struct matcher_builder *builder = matcher_builder_new();
    struct campaign_set_entry *entries;
    struct matcher *matcher;
    bool is_last;
    g_autoptr(GPtrArray) items = take_items(set, &is_last);
    guint count = items->len;

    qsort(items->pdata, count, sizeof(gpointer), compare_items);
    entries = g_new(struct campaign_set_entry, count);
    for (guint i = 0; i < count; i++) {
        const struct item *item = g_ptr_array_index(items, i);

        matcher_builder_add(builder, item->rules);
        entries[i] = item->entry;
    }
    matcher = matcher_builder_finish(builder, 0, error);
    matcher_builder_free(builder);
    if (matcher == NULL) {
        g_free(entries);
        return false;
    }
    set_append(set, part_new(matcher, entries, count));
    part_keep(set_layer(set, set->layers->len - 1)->part, items, !is_last);
    return true;
}

/* ---- changes --------------------------------------------------------------------------------- */

/* The campaign's old version counts no more, wherever it is. */
static void set_remove(struct campaign_set *set, struct slice id)
{
    for (guint i = 0; i < set->fresh->len; i++) {
        if (slice_equal(set_fresh(set, i)->entry.id, id)) {
            g_ptr_array_remove_index_fast(set->fresh, i);
            return;
        }
    }
    for (guint i = set->layers->len; i-- > 0;) {
        struct layer *layer = set_layer(set, i);
        size_t place = part_find(layer->part, id);

        if (place == layer->part->count || layer_is_marked(layer, place))
            continue;
        layer_mark(layer, place);
        if (i > 0 && layer_live(layer) == 0)
            g_array_remove_index(set->layers, i);
        return;
    }
}

static bool set_change(struct campaign_set *set, const struct campaign_set_change *change,
                       GError **error)
{
    set_remove(set, change->id);
    if (change->campaign == NULL || campaign_status(change->campaign) != CAMPAIGN_ACTIVE)
        return true;
    g_ptr_array_add(set->fresh, item_new(change->campaign, change->version));
    return set->fresh->len < FRESH_MAX || set_merge(set, error);
}

/* Never more than the limit: who looks at a set that is in force finds it below. */
static bool check_memory(const struct campaign_set *set, size_t memory_max, GError **error)
{
    struct campaign_set_figures figures;

    campaign_set_get_figures(set, &figures);
    if (memory_max == 0 || figures.bytes <= memory_max)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_FULL,
                "%zu campaigns would take %zu bytes, %zu are allowed", figures.rules, figures.bytes,
                memory_max);
    return false;
}

struct campaign_set *campaign_set_change(const struct campaign_set *set,
                                         const struct campaign_set_change *changes, size_t count,
                                         int64_t generation, size_t memory_max, GError **error)
{
    struct campaign_set *changed = set_copy(set, generation);
    bool is_ok = true;

    for (size_t i = 0; i < count; i++) {
        is_ok = is_ok && set_change(changed, &changes[i], error);
        campaign_free(changes[i].campaign);
    }
    if (is_ok && check_memory(changed, memory_max, error))
        return changed;
    campaign_set_unref(changed);
    return NULL;
}

/* ---- matching -------------------------------------------------------------------------------- */

#define MATCHES_FIRST 4 /* entries of the first list of matches; it doubles */

/* The matches of one event, as they are found. */
struct match_list {
    struct arena *arena;
    struct campaign_set_entry *entries; /* in the arena */
    size_t count, room;
};

/* Most events match few campaigns: the list starts small and doubles. */
static void list_add(struct match_list *list, const struct campaign_set_entry *entry)
{
    if (list->count == list->room) {
        size_t room = list->room == 0 ? MATCHES_FIRST : list->room * 2;
        struct campaign_set_entry *larger = ARENA_NEW(list->arena, struct campaign_set_entry, room);

        if (list->count > 0)
            memcpy(larger, list->entries, list->count * sizeof(*larger));
        list->entries = larger;
        list->room = room;
    }
    list->entries[list->count++] = *entry;
}

static void match_layer(const struct layer *layer, struct matcher_run *run,
                        const struct flat *event, struct match_list *list)
{
    const uint32_t *places;
    size_t count = matcher_find(layer->part->matcher, run, event, &places);

    for (size_t i = 0; i < count; i++)
        if (!layer_is_marked(layer, places[i]))
            list_add(list, &layer->part->entries[places[i]]);
}

static int compare_entries(const void *a, const void *b)
{
    const struct campaign_set_entry *x = a;
    const struct campaign_set_entry *y = b;

    return slice_compare(x->id, y->id);
}

/* Each layer gives its matches in order; only when a second one has some they need sorting. */
void campaign_set_match(const struct campaign_set *set, struct matcher_run *run,
                        const struct flat *event, struct arena *a, struct campaign_set_found *out)
{
    struct match_list list = {.arena = a};
    size_t candidates = set->fresh->len;
    bool is_sorted = true;

    for (guint i = 0; i < set->layers->len; i++) {
        size_t before = list.count;

        if (set_layer(set, i)->part->count == 0)
            continue;
        match_layer(set_layer(set, i), run, event, &list);
        candidates += matcher_run_candidates(run);
        is_sorted = is_sorted && (before == 0 || list.count == before);
    }
    for (guint i = 0; i < set->fresh->len; i++) {
        const struct item *item = set_fresh(set, i);

        if (!pattern_matches(item->rules, event))
            continue;
        list_add(&list, &item->entry);
        is_sorted = list.count == 1;
    }
    if (!is_sorted)
        qsort(list.entries, list.count, sizeof(*list.entries), compare_entries);
    *out = (struct campaign_set_found){list.entries, list.count, candidates};
}
