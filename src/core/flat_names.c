/* Names are found by parent and key in a table that looks at a few slots only: names that a sender
 * chose to collide are not learned, and cost no more than that look. */
#include "core/flat_names.h"

#include <glib.h>

#include "common/hash.h"

#define PROBES 8

struct name_head name_head_of(struct slice name)
{
    struct name_head head = {.bytes = 1};
    char bytes[sizeof(head.bytes)] = {0}, mask[sizeof(head.mask)] = {0};
    size_t size = MIN(name.size, sizeof(bytes));

    for (size_t i = 0; i < name.size; i++)
        if ((unsigned char)name.data[i] < 0x20 || name.data[i] == '"' || name.data[i] == '\\')
            return head;
    if (size > 0)
        memcpy(bytes, name.data, size);
    if (size < sizeof(bytes))
        bytes[size++] = '"';
    memset(mask, 0xff, size);
    memcpy(&head.bytes, bytes, sizeof(bytes));
    memcpy(&head.mask, mask, sizeof(mask));
    return head;
}

void flat_name_init(struct flat_names *n, struct flat_name *name, struct slice path)
{
    *name = (struct flat_name){.head = {.bytes = 1}, .path = path, .parent = &n->nothing};
    for (size_t i = 0; i < FLAT_GUESSES; i++)
        name->inside[i] = name->after[i] = &n->nothing;
}

static void begin(struct flat_names *n)
{
    flat_name_init(n, &n->root, SLICE(""));
    n->count = 0;
    n->id = (uint64_t)g_random_int() << 32 | g_random_int();
}

struct flat_names *flat_names_new(void)
{
    struct flat_names *n = g_new0(struct flat_names, 1);

    flat_name_init(n, &n->nothing, SLICE(""));
    begin(n);
    return n;
}

void flat_names_free(struct flat_names *n)
{
    if (n == NULL)
        return;
    arena_done(&n->arena);
    g_free(n);
}

void flat_names_tidy(struct flat_names *n)
{
    if (n->count < FLAT_NAMES_MAX)
        return;
    memset(n->slots, 0, sizeof(n->slots));
    arena_reset(&n->arena);
    begin(n);
}

static uint64_t name_hash(const struct flat_name *parent, struct slice key)
{
    return (hash64(key) ^ parent->path_hash) * UINT64_C(0x9e3779b97f4a7c15);
}

/* The slot of the name, or a free one for it; NULL: neither is near. */
static struct flat_name_slot *find_slot(struct flat_names *n, const struct flat_name *parent,
                                        struct slice key, uint64_t hash)
{
    for (size_t i = 0; i < PROBES; i++) {
        struct flat_name_slot *slot = &n->slots[((hash >> 32) + i) & (FLAT_NAME_SLOTS - 1)];

        if (slot->name == NULL)
            return slot;
        if (slot->tag == (uint32_t)hash && slot->name->parent == parent &&
            slice_equal(slot->name->key, key))
            return slot;
    }
    return NULL;
}

static void note_guess(flat_place place, struct flat_name *name)
{
    place[1] = place[0];
    place[0] = name;
}

struct flat_name *flat_names_find(struct flat_names *n, const struct flat_name *parent,
                                  flat_place place, struct slice key)
{
    struct flat_name_slot *slot = find_slot(n, parent, key, name_hash(parent, key));

    if (slot == NULL || slot->name == NULL)
        return NULL;
    note_guess(place, slot->name);
    return slot->name;
}

struct flat_name *flat_names_learn(struct flat_names *n, const struct flat_name *parent,
                                   flat_place place, struct slice key, struct slice path)
{
    struct flat_name_slot *slot;
    struct flat_name *name;
    uint64_t hash;
    char *kept;

    if (n->count == FLAT_NAMES_MAX || path.size > FLAT_NAME_BYTES)
        return NULL;
    hash = name_hash(parent, key);
    slot = find_slot(n, parent, key, hash);
    if (slot == NULL)
        return NULL;
    kept = arena_alloc(&n->arena, path.size + 1 + FLAT_NAMES_PAD);
    memset(kept + path.size, 0, 1 + FLAT_NAMES_PAD);
    memcpy(kept, path.data, path.size);
    kept[path.size] = '.';
    name = &n->known[n->count++];
    flat_name_init(n, name, slice_of(kept, path.size));
    name->key = slice_of(kept + path.size - key.size, key.size);
    name->head = name_head_of(name->key);
    name->path_hash = hash64(path);
    name->parent = parent;
    name->number = (uint16_t)n->count;
    *slot = (struct flat_name_slot){(uint32_t)hash, name};
    note_guess(place, name);
    return name;
}
