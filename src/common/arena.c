#include "common/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <glib.h>

#define ARENA_BLOCK_MIN 4096
#define ARENA_BLOCK_MAX (1024 * 1024) /* growth stops here; larger requests get their own size */
#define ARENA_ALIGN     16

struct arena_block {
    struct arena_block *older;
    size_t size; /* usable bytes behind the header */
    _Alignas(ARENA_ALIGN) char data[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

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
    a->next = largest->data;
    a->end = largest->data + largest->size;
}

/* Starts a new block that holds at least size bytes; blocks double so that their number is small. */
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

void *arena_alloc(struct arena *a, size_t size)
{
    size_t rounded = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    void *memory;

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

struct slice arena_copy(struct arena *a, struct slice s)
{
    char *copy = arena_alloc(a, s.size + 1);

    if (s.size > 0)
        memcpy(copy, s.data, s.size);
    copy[s.size] = '\0';
    return slice_of(copy, s.size);
}

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
