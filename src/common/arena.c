/* A chain of blocks, filled from the newest one. Blocks double up to a limit, so that an arena of
 * any use has few of them, and arena_reset keeps the largest, so that a loop with a steady need
 * ends with one block and no malloc at all.
 * Deliberately missing: freeing or growing a single allocation, destructors, and any check of who
 * still holds a pointer after a reset. */
#include "common/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <glib.h>

/* Bytes. The smallest block is one page: most requests and documents fit in it. 16 is the
 * alignment of malloc on our platforms, enough for every type without vector members. */
#define ARENA_BLOCK_MIN 4096
#define ARENA_BLOCK_MAX (1024 * 1024) /* growth stops here; larger requests get their own size */
#define ARENA_ALIGN     16

/* One malloc: this header, then the memory that is handed out. */
struct arena_block {
    struct arena_block *older; /* NULL in the first block ever made */
    size_t size;               /* usable bytes behind the header */
    _Alignas(ARENA_ALIGN) char data[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

/* Also right for an arena of zeros, which never had a block. */
void arena_done(struct arena *a)
{
    if (a == NULL)
        return;
    while (a->blocks != NULL) {
        struct arena_block *block = a->blocks;

        a->blocks = block->older;
        g_free(block);
    }
    *a = (struct arena){0};
}

/* Two passes, since the largest block may lie anywhere: a request larger than the block limit gets
 * a block of its own, and smaller ones follow it. */
void arena_reset(struct arena *a)
{
    struct arena_block *largest = a->blocks;

    for (struct arena_block *b = a->blocks; b != NULL; b = b->older)
        if (b->size > largest->size)
            largest = b;
    while (a->blocks != NULL) {
        struct arena_block *block = a->blocks;

        a->blocks = block->older;
        if (block != largest)
            g_free(block);
    }
    if (largest == NULL)
        return;
    largest->older = NULL;
    a->blocks = largest;
    /* What is in it is not cleared; arena_zalloc is for those who need zeros. */
    a->next = largest->data;
    a->end = largest->data + largest->size;
}

/* Starts a new block that holds at least size bytes; blocks double so that their number is small.
 * What is left of the block before is not used again until the next reset. */
static void arena_grow(struct arena *a, size_t size)
{
    size_t want = a->blocks != NULL ? a->blocks->size * 2 : ARENA_BLOCK_MIN;
    struct arena_block *block;

    if (want > ARENA_BLOCK_MAX)
        want = ARENA_BLOCK_MAX;
    if (want < size)
        want = size;
    block = g_malloc(sizeof(*block) + want);
    block->size = want;
    block->older = a->blocks;
    a->blocks = block;
    a->next = block->data;
    a->end = block->data + want;
}

/* The usual case is a comparison and an addition. */
void *arena_alloc(struct arena *a, size_t size)
{
    size_t rounded = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    void *memory;

    /* A size so large that rounding wrapped around is a missing limit of the caller's. */
    g_assert(rounded >= size);
    if (a->next == NULL || (size_t)(a->end - a->next) < rounded)
        arena_grow(a, rounded);
    memory = a->next;
    a->next += rounded;
    return memory;
}

void *arena_zalloc(struct arena *a, size_t size)
{
    return memset(arena_alloc(a, size), 0, size);
}

/* The NUL is for the few callers that hand the text to C interfaces; memcpy is left out for the
 * empty slice because its data may be NULL. */
struct slice arena_copy(struct arena *a, struct slice s)
{
    char *copy = arena_alloc(a, s.size + 1);

    if (s.size > 0)
        memcpy(copy, s.data, s.size);
    copy[s.size] = '\0';
    return slice_of(copy, s.size);
}

/* Formats twice: once to learn the size, once into memory of exactly that size. */
char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_list again;
    char *text;
    int size;

    g_assert(format != NULL);
    va_start(args, format);
    va_copy(again, args);
    size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    g_assert(size >= 0);
    text = arena_alloc(a, (size_t)size + 1);
    vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}
