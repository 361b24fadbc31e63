/* An open-addressing multimap, made for one question asked for every event: "may this id have been
 * seen?". GHashTable holds a key only once, and nothing bounds the memory that it takes.
 * Deliberately missing: shrinking, iteration, values of 0, and any comparison with the real ids. */
#include "common/fp_index.h"

#include <glib.h>

/* 1 KiB; a power of two. */
#define FP_INDEX_SLOTS_MIN 64

/* value 0 = free: positions begin at 1, so no separate mark is needed and a slot stays 16 bytes. */
struct fp_slot {
    uint64_t fingerprint;
    int64_t value;
};

/* Linear probing over a power of two of slots. Removing moves later entries back instead of leaving
 * marks, so a table that is added to and removed from for years does not get slower. */
struct fp_index {
    struct fp_slot *slots; /* NULL until the first entry */
    size_t slot_count;     /* a power of two, or 0 */
    unsigned shift;        /* 64 - log2(slot_count) */
    size_t count;          /* entries; at most fp_index_room(slot_count) */
    size_t memory_max;     /* bytes; 0 = no limit */
};

struct fp_index *fp_index_new(size_t memory_max)
{
    struct fp_index *index = g_new0(struct fp_index, 1);

    index->memory_max = memory_max;
    return index;
}

void fp_index_free(struct fp_index *index)
{
    if (index == NULL)
        return;
    g_free(index->slots);
    g_free(index);
}

/* Where the search for a fingerprint begins. Fibonacci hashing (the factor is 2^64 divided by the
 * golden ratio, the upper bits are taken): spreads fingerprints that differ only in their low or
 * high bits, so callers need not care how good their bits are.
 * Source: Knuth, The Art of Computer Programming, vol. 3, section 6.4. */
static size_t fp_index_home(const struct fp_index *index, uint64_t fingerprint)
{
    return (size_t)((fingerprint * UINT64_C(0x9E3779B97F4A7C15)) >> index->shift);
}

/* The slot behind i, going round at the end. */
static size_t fp_index_next(const struct fp_index *index, size_t i)
{
    return (i + 1) & (index->slot_count - 1);
}

/* Files an entry for which there is room already. Equal fingerprints end up in one run of slots
 * without a free one between them. */
static void fp_index_put(struct fp_index *index, uint64_t fingerprint, int64_t value)
{
    size_t i = fp_index_home(index, fingerprint);

    while (index->slots[i].value != 0)
        i = fp_index_next(index, i);
    index->slots[i] = (struct fp_slot){.fingerprint = fingerprint, .value = value};
}

/* How many entries that many slots may hold. Load 0.8: a probe of a present entry looks at 3 slots
 * on average. At least one slot stays free, which is what ends every search. The product is split
 * so that it cannot overflow. */
static size_t fp_index_room(size_t slot_count)
{
    return slot_count / 5 * 4 + slot_count % 5 * 4 / 5;
}

/* Moves everything into a new table of slot_count (a power of two) slots,
 * in one go: a pause, but only once per doubling. Who knows the number reserves it at start. */
static void fp_index_resize(struct fp_index *index, size_t slot_count)
{
    struct fp_slot *old = index->slots;
    size_t old_count = index->slot_count;

    index->slots = g_new0(struct fp_slot, slot_count);
    index->slot_count = slot_count;
    index->shift = 64 - (unsigned)(g_bit_storage(slot_count) - 1);
    for (size_t i = 0; i < old_count; i++)
        if (old[i].value != 0)
            fp_index_put(index, old[i].fingerprint, old[i].value);
    g_free(old);
}

/* The new size is found before anything is allocated, so a refusal leaves the index as it was. */
bool fp_index_reserve(struct fp_index *index, size_t count)
{
    size_t slot_count = MAX(index->slot_count, FP_INDEX_SLOTS_MIN);
    size_t bytes_max = index->memory_max != 0 ? index->memory_max : SIZE_MAX;

    if (count <= fp_index_room(index->slot_count))
        return true;
    while (fp_index_room(slot_count) < count) {
        if (slot_count > SIZE_MAX / sizeof(struct fp_slot) / 2)
            return false;
        slot_count *= 2;
    }
    /* The old table exists beside the new one while growing, and a limit must hold then too. */
    if (slot_count + index->slot_count > bytes_max / sizeof(struct fp_slot))
        return false;
    fp_index_resize(index, slot_count);
    return true;
}

/* Does not look whether the pair is there already: the caller has asked before. */
bool fp_index_add(struct fp_index *index, uint64_t fingerprint, int64_t value)
{
    g_assert(value >= 1);
    if (!fp_index_reserve(index, index->count + 1))
        return false;
    fp_index_put(index, fingerprint, value);
    index->count++;
    return true;
}

/* Frees slot i and moves back every entry behind it that a search could no longer reach, until a
 * free slot ends the run. Runs are short at this load, so this is a few slots.
 * Source: Knuth, vol. 3, section 6.4, algorithm R. */
static void fp_index_close_gap(struct fp_index *index, size_t i)
{
    size_t mask = index->slot_count - 1;

    for (size_t j = fp_index_next(index, i); index->slots[j].value != 0;
         j = fp_index_next(index, j)) {
        size_t home = fp_index_home(index, index->slots[j].fingerprint);

        /* Only when its home is not between the gap and itself (going round). */
        if (((j - home) & mask) >= ((j - i) & mask)) {
            index->slots[i] = index->slots[j];
            i = j;
        }
    }
    index->slots[i] = (struct fp_slot){0};
}

/* Ends at the first free slot: gaps are closed, so there is none before an entry. */
bool fp_index_remove(struct fp_index *index, uint64_t fingerprint, int64_t value)
{
    if (index->count == 0)
        return false;
    for (size_t i = fp_index_home(index, fingerprint); index->slots[i].value != 0;
         i = fp_index_next(index, i))
        if (index->slots[i].fingerprint == fingerprint && index->slots[i].value == value) {
            fp_index_close_gap(index, i);
            index->count--;
            return true;
        }
    return false;
}

/* Goes through the whole run even when out is full: the caller learns how many there are. */
size_t fp_index_find(const struct fp_index *index, uint64_t fingerprint, int64_t *out, size_t max)
{
    size_t found = 0;

    if (index->count == 0)
        return 0;
    for (size_t i = fp_index_home(index, fingerprint); index->slots[i].value != 0;
         i = fp_index_next(index, i)) {
        if (index->slots[i].fingerprint != fingerprint)
            continue;
        if (found < max)
            out[found] = index->slots[i].value;
        found++;
    }
    return found;
}

size_t fp_index_count(const struct fp_index *index)
{
    return index->count;
}

size_t fp_index_memory(const struct fp_index *index)
{
    return index->slot_count * sizeof(struct fp_slot);
}
