/* The snapshot that workers match against. A change of any campaign builds a new set; the old one
 * lives on until the last batch that uses it has let go of its reference. */
#include "core/campaign.h"

#include <glib.h>

/* All active campaigns, tried one by one in the order of their ids, so the matches come out ordered
 * without sorting. Immutable once shared: any number of threads match without a lock. */

#define MATCHES_FIRST 4 /* entries of the first list of matches; it doubles */

struct campaign_set_item {
    struct campaign *campaign; /* owned by the set */
    int64_t version;           /* of the campaign, recorded with each match */
};

/* Written by its builder only; immutable once shared, apart from references. */
struct campaign_set {
    gatomicrefcount references;
    int64_t generation; /* the store's, when the campaigns were read */
    GArray *items;      /* struct campaign_set_item, ordered by id */
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

size_t campaign_set_match(const struct campaign_set *set, const struct flat *event, struct arena *a,
                          const struct campaign_set_entry **out)
{
    struct campaign_set_entry *list = NULL;
    size_t count = 0;
    size_t room = 0;

    for (size_t i = 0; i < set->items->len; i++) {
        const struct campaign_set_item *item = campaign_set_item(set, i);

        if (!campaign_matches(item->campaign, event))
            continue;
        list = campaign_set_grow(a, list, count, &room);
        list[count++] = (struct campaign_set_entry){.id = campaign_id(item->campaign),
                                                    .version = item->version,
                                                    .then = campaign_then(item->campaign)};
    }
    *out = list;
    return count;
}
