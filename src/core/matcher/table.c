/* The open-addressing tables: of paths, of symbols, of nodes, of names. Slots carry half of the
 * hash, so a search that finds nothing nearly always looks at one slot; what a slot leads to is
 * compared in full by whoever searches. */
#include "core/matcher/internal.h"

#define SLOTS_MIN  16
#define FILL_AHEAD 16 /* values on their way to their slots at a time; a power of two */

static void put_slot(struct matcher_table *t, uint64_t hash, uint32_t value)
{
    size_t i = hash & t->mask;

    while (t->slots[i].value != 0)
        i = (i + 1) & t->mask;
    t->slots[i] = (struct matcher_slot){.tag = (uint32_t)(hash >> 32), .value = value + 1};
}

static void grow(struct matcher_table *t, matcher_hash again, const void *user)
{
    struct matcher_table old = *t;
    size_t count = old.slots != NULL ? (old.mask + 1) * 2 : SLOTS_MIN;

    t->slots = g_new0(struct matcher_slot, count);
    t->mask = count - 1;
    for (size_t i = 0; old.slots != NULL && i <= old.mask; i++)
        if (old.slots[i].value != 0)
            put_slot(t, again(user, old.slots[i].value - 1), old.slots[i].value - 1);
    g_free(old.slots);
}

void matcher_table_put(struct matcher_table *t, uint64_t hash, uint32_t value, matcher_hash again,
                       const void *user)
{
    if (t->slots == NULL || (t->used + 1) * 2 > t->mask + 1)
        grow(t, again, user);
    put_slot(t, hash, value);
    t->used++;
}

/* What hash reads lies in order, but the slots lie anywhere: they are asked for ahead. */
void matcher_table_fill(struct matcher_table *t, uint32_t first, uint32_t end, matcher_hash hash,
                        const void *user)
{
    uint64_t hashes[FILL_AHEAD];
    size_t count = end - first, size = SLOTS_MIN;

    if (count == 0)
        return;
    while (size < count * 2)
        size *= 2;
    *t = (struct matcher_table){g_new0(struct matcher_slot, size), size - 1, count};
    for (size_t i = 0; i < count + FILL_AHEAD; i++) {
        uint64_t *ahead = &hashes[i % FILL_AHEAD];

        if (i >= FILL_AHEAD)
            put_slot(t, *ahead, first + (uint32_t)(i - FILL_AHEAD));
        if (i >= count)
            continue;
        *ahead = hash(user, first + (uint32_t)i);
        __builtin_prefetch(&t->slots[*ahead & t->mask], 1);
    }
}

void *matcher_take(GArray *array, uint32_t *count)
{
    guint size = g_array_get_element_size(array);

    *count = array->len;
    return g_realloc_n(g_array_free(array, FALSE), MAX(*count, 1), size);
}
