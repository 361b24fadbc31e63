/* arena: memory by lifetime. Many small allocations, one release.
 *
 * One arena per request, per batch or per snapshot. arena_reset keeps the largest block, so a
 * busy loop stops calling malloc after its first rounds. Not for memory whose size a client
 * chooses without a limit: the caller checks its limits first. Out of memory aborts (GLib's rule).
 */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <stddef.h>

#include "common/slice.h"

struct arena_block;

/* One thread at a time. All zero is a valid empty arena. */
struct arena {
    struct arena_block *blocks; /* newest first; the newest is being filled */
    char *next;                 /* first free byte of the newest block */
    char *end;                  /* one past its last byte */
};

/* Makes an empty arena; nothing is allocated until the first use. */
void arena_init(struct arena *a);

/* Frees every block. The arena is empty and usable again afterwards. Accepts NULL. */
void arena_done(struct arena *a);

/* Forgets all allocations but keeps the largest block for the next round. */
void arena_reset(struct arena *a);

/* Uninitialised memory, aligned for any type. Lives until reset or done. size 0 is allowed. */
void *arena_alloc(struct arena *a, size_t size);

/* The same, zeroed. */
void *arena_zalloc(struct arena *a, size_t size);

/* A copy of the bytes with a NUL behind them (not counted in the size). */
struct slice arena_copy(struct arena *a, struct slice s);

/* printf into the arena; NUL-terminated. */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define ARENA_NEW(a, type, count) ((type *)arena_alloc((a), sizeof(type) * (count)))

#endif
