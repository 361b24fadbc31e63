/* flat_names: names that earlier events had, which makes reading the next one fast.
 *
 * Programs write the members of an object in the same order again and again. So each name remembers
 * which one came first inside of it, and which one behind it; whether the guess is right is a
 * comparison of its bytes, and then the path and its hash are known without being made.
 *
 *   {"type":"a","payload":{"total":5,…        type ─after─▶ payload ─inside─▶ total
 *
 * It is a memory, not a dictionary: what does not fit in is not learned, and read as if it were
 * new. Nothing that a reader says depends on what is in here.
 */
#ifndef CORE_FLAT_NAMES_H
#define CORE_FLAT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/slice.h"

#define FLAT_NAMES_MAX  512 /* names that are kept */
#define FLAT_NAME_BYTES 256 /* of a path that is kept */
#define FLAT_NAMES_PAD  16  /* bytes that may be read behind a kept path and its '.' */
#define FLAT_NAME_SLOTS (4 * FLAT_NAMES_MAX) /* a power of two */
#define FLAT_GUESSES    2                    /* at each place */

/* How a name looks in JSON, in one comparison of eight bytes: as much of it as they hold, and the
 * closing quote when that fits in, too. */
struct name_head {
    uint64_t bytes;
    uint64_t mask; /* 0, with bytes of 1: it is never met as it is, as JSON must escape it */
};

struct name_head name_head_of(struct slice name);

/* Whether the name with its closing quote stands at p, which is behind the opening one. */
static inline bool name_is_at(struct name_head head, struct slice name, const char *p,
                              const char *end)
{
    size_t left = (size_t)(end - p);
    uint64_t word;

    if (left < sizeof(word) || left <= name.size)
        return false;
    memcpy(&word, p, sizeof(word));
    if ((word & head.mask) != head.bytes)
        return false;
    return name.size < sizeof(word) ||
           (p[name.size] == '"' && slice_equal(name, slice_of(p, name.size)));
}

/* A name, and the names around it. The guesses are never NULL. */
struct flat_name {
    struct name_head head;
    struct slice key;  /* unescaped */
    struct slice path; /* the names joined by '.' */
    uint64_t path_hash;
    const struct flat_name *parent;
    uint16_t number;                        /* from 1 on; 0: it is not remembered */
    struct flat_name *inside[FLAT_GUESSES]; /* names that came first in its object */
    struct flat_name *after[FLAT_GUESSES];  /* names that came behind it */
};

/* A place where a name can come: inside or after, of a name. */
typedef struct flat_name **flat_place;

struct flat_name_slot {
    uint32_t tag;           /* upper half of the hash of parent and key */
    struct flat_name *name; /* NULL: the slot is free */
};

/* One thread at a time. */
struct flat_names {
    struct flat_name nothing; /* is never met; of what is below it nothing is learned */
    struct flat_name root;    /* the event itself, when it is an object */
    uint64_t id;              /* made by chance; another one when the numbers begin anew */
    uint32_t count;
    struct flat_name known[FLAT_NAMES_MAX]; /* count of them */
    struct flat_name_slot slots[FLAT_NAME_SLOTS];
    struct arena arena; /* the paths */
};

/* About 90 KiB, of which the system gives what is used. */
struct flat_names *flat_names_new(void);

/* Accepts NULL. */
void flat_names_free(struct flat_names *n);

/* Begins anew when there is no room any more. To be called now and then, while no event that was
 * read with these names is in use: its paths may lie in here. */
void flat_names_tidy(struct flat_names *n);

/* Makes a name of which only the path is known, to be used for a value that is being read. */
void flat_name_init(struct flat_names *n, struct flat_name *name, struct slice path);

/* The name that stands at p, which is behind an opening quote, if one of the guesses is right; else
 * NULL. */
static inline struct flat_name *flat_names_guess(flat_place place, const char *p, const char *end)
{
    struct flat_name *name = place[0];

    if (name_is_at(name->head, name->key, p, end))
        return name;
    name = place[1];
    if (!name_is_at(name->head, name->key, p, end))
        return NULL;
    place[1] = place[0];
    place[0] = name;
    return name;
}

/* The name below parent, which came at this place now; NULL when it is not known. */
struct flat_name *flat_names_find(struct flat_names *n, const struct flat_name *parent,
                                  flat_place place, struct slice key);

/* Learns a name that was not found. path: of the key below parent. Returns NULL when there is no
 * room, or nothing to be learned of such a name. */
struct flat_name *flat_names_learn(struct flat_names *n, const struct flat_name *parent,
                                   flat_place place, struct slice key, struct slice path);

#endif
