/* Wildcards against long texts, or very many: most can be refused without being tried.
 *
 * Every three bytes that follow each other in the texts of a path are noted in a bitmap, once an
 * event. A literal piece of a wildcard of which some three bytes were never noted is in none of the
 * texts. So a thousand wildcards cost one walk over the texts, not a thousand.
 */
#include "core/matcher/internal.h"

#define GRAM_BITS  21
#define GRAM_WORDS ((size_t)1 << (GRAM_BITS - 6))
#ifndef TEXT_FEW
#define TEXT_FEW    256  /* bytes of a single text that is rather looked at */
#define TEXTS_LARGE 2048 /* bytes of all texts of a path from which on it pays */
#endif

static uint32_t gram_at(const char *p)
{
    uint32_t gram = (uint32_t)(unsigned char)p[0] | (uint32_t)(unsigned char)p[1] << 8 |
                    (uint32_t)(unsigned char)p[2] << 16;

    return gram * UINT32_C(0x9e3779b1) >> (32 - GRAM_BITS);
}

static void note(uint64_t *bits, struct slice text)
{
    for (size_t i = 0; i + 3 <= text.size; i++) {
        uint32_t gram = gram_at(text.data + i);

        bits[gram / 64] |= UINT64_C(1) << (gram % 64);
    }
}

/* Whether all of the piece was noted. Short ones always are. */
static bool is_noted(const uint64_t *bits, struct slice piece)
{
    for (size_t i = 0; i + 3 <= piece.size; i++) {
        uint32_t gram = gram_at(piece.data + i);

        if ((bits[gram / 64] >> (gram % 64) & 1) == 0)
            return false;
    }
    return true;
}

static size_t size_of(const struct matcher_run *run, int32_t leaf)
{
    size_t size = 0;

    for (; leaf >= 0; leaf = run->event->leaves[leaf].next)
        size += run->event->leaves[leaf].text.size + 1;
    return size;
}

static void fill(struct matcher_run *run, struct matcher_grams *g, uint32_t path)
{
    int32_t leaf = run->presences[path].leaf;

    *g = (struct matcher_grams){.path = path, .bits = g->bits, .size = size_of(run, leaf)};
    if (g->size < TEXTS_LARGE)
        return;
    if (g->bits == NULL)
        g->bits = g_new(uint64_t, GRAM_WORDS);
    memset(g->bits, 0, GRAM_WORDS * sizeof(*g->bits));
    for (; leaf >= 0; leaf = run->event->leaves[leaf].next)
        if (run->event->leaves[leaf].type == JSON_TEXT)
            note(g->bits, run->event->leaves[leaf].text);
}

struct matcher_grams *matcher_grams_of(struct matcher_run *run, uint32_t path)
{
    const struct matcher_presence *presence = &run->presences[path];
    struct matcher_grams *g = run->grams;

    if (presence->count == 1 && run->event->leaves[presence->leaf].text.size <= TEXT_FEW)
        return NULL;
    while (g < run->grams + run->gram_count && g->path != path)
        g++;
    if (g == run->grams + GRAM_SETS)
        return NULL;
    if (g == run->grams + run->gram_count) {
        fill(run, g, path);
        run->gram_count++;
    }
    return g->size < TEXTS_LARGE ? NULL : g;
}

bool matcher_grams_refuse(const struct matcher_grams *g, const struct pattern_text_test *test)
{
    for (uint32_t i = 0; test->kind == TEXT_WILDCARD && i < test->piece_count; i++)
        if (!is_noted(g->bits, test->pieces[i]))
            return true;
    return false;
}
