/* The snapshot that workers match against. A change of any campaign builds a new set; the old one
 * lives on until the last batch that uses it has let go of its reference. */
#include "core/campaign.h"

#include <glib.h>

#include "core/campaign_index.h"

/* All active campaigns in the order of their ids, so the matches come out ordered without sorting.
 * The index names those that an event could match; few campaigns are simply tried one by one.
 * Immutable once shared: any number of threads match without a lock. */

#define MATCHES_FIRST 4  /* entries of the first list of matches; it doubles */
#define INDEX_FROM    16 /* campaigns; below that the look-ups cost more than they save */

struct campaign_set_item {
    struct campaign *campaign; /* owned by the set */
    int64_t version;           /* of the campaign, recorded with each match */
};

/* Written by its builder only; immutable once shared, apart from references. */
struct campaign_set {
    gatomicrefcount references;
    int64_t generation;           /* the store's, when the campaigns were read */
    GArray *items;                /* struct campaign_set_item, ordered by id */
    struct campaign_index *index; /* of the items, by place; NULL: there are few */
};

struct campaign_set *campaign_set_new(int64_t generation)
{
    struct campaign_set *set = g_new0(struct campaign_set, 1);

    g_atomic_ref_count_init(&set->references);
    set->generation = generation;
    set->items = g_array_new(FALSE, FALSE, sizeof(struct campaign_set_item));
    return set;
}

/* i < campaign_set_count. Borrowed from the set. */
static const struct campaign_set_item *campaign_set_item(const struct campaign_set *set, size_t i)
{
    return &g_array_index(set->items, struct campaign_set_item, i);
}

/* Where an id belongs. Looked for from the end: stores list campaigns by id, so it is the end, and
 * building a set of n campaigns takes n steps. Behind an equal id, should there ever be one. */
static guint campaign_set_place(const struct campaign_set *set, struct slice id)
{
    guint i = set->items->len;

    while (i > 0 && slice_compare(campaign_id(campaign_set_item(set, i - 1)->campaign), id) > 0)
        i--;
    return i;
}

/* Takes the campaign in any case: one that is not active is freed here. */
void campaign_set_add(struct campaign_set *set, struct campaign *campaign, int64_t version)
{
    struct campaign_set_item item = {campaign, version};

    if (campaign_status(campaign) != CAMPAIGN_ACTIVE) {
        campaign_free(campaign);
        return;
    }
    g_array_insert_val(set->items, campaign_set_place(set, campaign_id(campaign)), item);
}

void campaign_set_finish(struct campaign_set *set)
{
    g_autofree const struct pattern **patterns = g_new(const struct pattern *, set->items->len);

    if (set->items->len < INDEX_FROM)
        return;
    for (guint i = 0; i < set->items->len; i++)
        patterns[i] = campaign_rules(campaign_set_item(set, i)->campaign);
    campaign_index_free(set->index);
    set->index = campaign_index_new(patterns, set->items->len);
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
    for (guint i = 0; i < set->items->len; i++)
        campaign_free(campaign_set_item(set, i)->campaign);
    g_array_free(set->items, TRUE);
    campaign_index_free(set->index);
    g_free(set);
}

int64_t campaign_set_generation(const struct campaign_set *set)
{
    return set->generation;
}

size_t campaign_set_count(const struct campaign_set *set)
{
    return set->items->len;
}

/* Most events match few campaigns: the list starts small and doubles. */
static struct campaign_set_entry *
campaign_set_grow(struct arena *a, struct campaign_set_entry *list, size_t count, size_t *room)
{
    struct campaign_set_entry *larger;

    if (count < *room)
        return list;
    *room = *room == 0 ? MATCHES_FIRST : *room * 2;
    larger = ARENA_NEW(a, struct campaign_set_entry, *room);
    if (count > 0)
        memcpy(larger, list, count * sizeof(*list));
    return larger;
}

/* The matches of one event, as they are found. */
struct match_list {
    struct campaign_set_entry *entries; /* in the arena */
    size_t count, room;
};

static void try_item(const struct campaign_set_item *item, const struct flat *event,
                     struct arena *a, struct match_list *list)
{
    if (!campaign_matches(item->campaign, event))
        return;
    list->entries = campaign_set_grow(a, list->entries, list->count, &list->room);
    list->entries[list->count++] =
        (struct campaign_set_entry){.id = campaign_id(item->campaign),
                                    .version = item->version,
                                    .then = campaign_then(item->campaign)};
}

/* From the lowest bit to the highest, which is the order of the ids. */
static void try_candidates(const struct campaign_set *set, const struct flat *event,
                           struct arena *a, struct match_list *list)
{
    size_t words = CAMPAIGN_BITS(set->items->len);
    uint64_t *bits = ARENA_NEW(a, uint64_t, words);

    campaign_index_find(set->index, event, bits);
    for (size_t w = 0; w < words; w++)
        for (uint64_t rest = bits[w]; rest != 0; rest &= rest - 1)
            try_item(campaign_set_item(set, w * 64 + (size_t)__builtin_ctzll(rest)), event, a,
                     list);
}

size_t campaign_set_match(const struct campaign_set *set, const struct flat *event, struct arena *a,
                          const struct campaign_set_entry **out)
{
    struct match_list list = {0};

    if (set->index != NULL)
        try_candidates(set, event, a, &list);
    else
        for (size_t i = 0; i < set->items->len; i++)
            try_item(campaign_set_item(set, i), event, a, &list);
    *out = list.entries;
    return list.count;
}
