/* Brackets are counted in blocks of 64 bytes: one bit for each byte tells whether it is a quote, a
 * backslash, or a bracket; arithmetic on these words finds the quotes that are escaped, then which
 * brackets stand in strings, then the one that closes. What lies behind the last whole block is
 * copied into one of its own, so nothing is read behind the end.
 * Source: Langdale and Lemire, "Parsing Gigabytes of JSON per Second", VLDB Journal 28 (2019), 3.1.
 */
#include "core/matcher/skip.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#define BLOCK    64
#define ODD_BITS UINT64_C(0xaaaaaaaaaaaaaaaa)
#define CASE_BIT 0x20 /* makes '[' a '{' and ']' a '}', and nothing else one of these */

/* Which bytes of a block are what; the lowest bit for the first. */
struct block {
    uint64_t quotes, backslashes, opening, closing;
};

/* What one block leaves to the next. */
struct bracket_state {
    uint64_t depth;      /* open brackets; 1 at first */
    uint64_t in_text;    /* all ones: the block begins in a string */
    uint64_t is_escaped; /* 1: the block's first byte is */
};

/* The bytes that stand behind a backslash which is not escaped itself: in a run of backslashes,
 * every other one. Subtraction carries through each run at once. */
static inline uint64_t find_escaped(struct bracket_state *s, uint64_t backslashes)
{
    uint64_t begins, runs, escaped;

    if (backslashes == 0) {
        escaped = s->is_escaped;
        s->is_escaped = 0;
        return escaped;
    }
    begins = backslashes & ~s->is_escaped;
    runs = ((begins << 1 | ODD_BITS) - begins) ^ ODD_BITS;
    escaped = runs ^ (backslashes | s->is_escaped);
    s->is_escaped = (runs & backslashes) >> 63;
    return escaped;
}

/* Counts the block's brackets; in_text tells which bytes are in strings. Returns the place behind
 * the one that closes everything, 0 when it is not in this block. */
static inline unsigned count_brackets(struct bracket_state *s, const struct block *b,
                                      uint64_t in_text)
{
    uint64_t opening = b->opening & ~in_text, closing = b->closing & ~in_text;
    uint64_t closed = 0;

    s->in_text = UINT64_C(0) - (in_text >> 63);
    if (s->depth > (uint64_t)__builtin_popcountll(closing)) {
        s->depth += (uint64_t)__builtin_popcountll(opening);
        s->depth -= (uint64_t)__builtin_popcountll(closing);
        return 0;
    }
    for (uint64_t rest = closing; rest != 0; rest &= rest - 1) {
        uint64_t before = (rest & (0 - rest)) - 1;

        closed++;
        if (s->depth + (uint64_t)__builtin_popcountll(opening & before) == closed)
            return (unsigned)__builtin_ctzll(rest) + 1;
    }
    s->depth += (uint64_t)__builtin_popcountll(opening) - closed;
    return 0;
}

/* What is left of the text, in a block that is full of zeros behind it. */
static void copy_rest(char block[BLOCK], const char *p, const char *end)
{
    memset(block, 0, BLOCK);
    memcpy(block, p, (size_t)(end - p));
}

/* ---- for every machine ----------------------------------------------------------------------- */

#ifdef __SSE2__
static inline uint64_t equal_bytes(const __m128i bytes[4], char wanted)
{
    const __m128i all = _mm_set1_epi8(wanted);
    uint64_t mask = 0;

    for (unsigned i = 0; i < 4; i++)
        mask |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes[i], all)) << (16 * i);
    return mask;
}

static inline void classify(struct block *b, const char *p)
{
    const __m128i bit = _mm_set1_epi8(CASE_BIT);
    __m128i bytes[4];

    for (unsigned i = 0; i < 4; i++)
        bytes[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + (size_t)16 * i));
    b->quotes = equal_bytes(bytes, '"');
    b->backslashes = equal_bytes(bytes, '\\');
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = _mm_or_si128(bytes[i], bit);
    b->opening = equal_bytes(bytes, '{');
    b->closing = equal_bytes(bytes, '}');
}
#else
static inline void classify(struct block *b, const char *p)
{
    *b = (struct block){0};
    for (unsigned i = 0; i < BLOCK; i++) {
        uint64_t bit = UINT64_C(1) << i;

        b->quotes |= p[i] == '"' ? bit : 0;
        b->backslashes |= p[i] == '\\' ? bit : 0;
        b->opening |= (p[i] | CASE_BIT) == '{' ? bit : 0;
        b->closing |= (p[i] | CASE_BIT) == '}' ? bit : 0;
    }
}
#endif

/* Each bit becomes the parity of itself and all below: ones from an opening quote up to the byte
 * before the closing one. */
static inline uint64_t spread_parity(uint64_t bits)
{
    for (unsigned shift = 1; shift < BLOCK; shift *= 2)
        bits ^= bits << shift;
    return bits;
}

static unsigned step(struct bracket_state *s, const char *p)
{
    struct block b;

    classify(&b, p);
    b.quotes &= ~find_escaped(s, b.backslashes);
    return count_brackets(s, &b, spread_parity(b.quotes) ^ s->in_text);
}

static const char *skip_brackets(const char *p, const char *end)
{
    struct bracket_state s = {.depth = 1};
    char rest[BLOCK];
    unsigned at;

    for (; end - p >= BLOCK; p += BLOCK) {
        at = step(&s, p);
        if (at != 0)
            return p + at;
    }
    copy_rest(rest, p, end);
    at = step(&s, rest);
    return at != 0 ? p + at : NULL;
}

/* Byte by byte: what the machine has no wide way for, and the last bytes of a text. */
static const char *skip_last_text(const char *p, const char *end)
{
    while (p < end && *p != '"')
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    return p < end ? p + 1 : NULL;
}

static const char *skip_text(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');

    while (end - p >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        unsigned mask = (unsigned)_mm_movemask_epi8(
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));

        p += mask != 0 ? (unsigned)__builtin_ctz(mask) : 16;
        if (mask != 0 && *p == '"')
            return p + 1;
        if (mask == 0)
            continue;
        if (end - p < 2)
            return NULL;
        p += 2;
    }
#endif
    return skip_last_text(p, end);
}

const struct matcher_skip matcher_skip_portable = {.text = skip_text, .brackets = skip_brackets};

/* ---- for x86-64 with AVX2 -------------------------------------------------------------------- */

#ifdef __x86_64__

#define WIDE __attribute__((target("avx2,pclmul,popcnt,bmi")))

WIDE static inline uint64_t equal_bytes_wide(__m256i low, __m256i high, char wanted)
{
    const __m256i all = _mm256_set1_epi8(wanted);
    unsigned first = (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, all));
    unsigned second = (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, all));

    return first | (uint64_t)second << 32;
}

/* A product without carries by all ones is the parity of each bit and all below. */
WIDE static inline uint64_t spread_parity_wide(uint64_t bits)
{
    __m128i product = _mm_clmulepi64_si128(_mm_set_epi64x(0, (int64_t)bits), _mm_set1_epi8(-1), 0);

    return (uint64_t)_mm_cvtsi128_si64(product);
}

WIDE static inline unsigned step_wide(struct bracket_state *s, const char *p)
{
    const __m256i bit = _mm256_set1_epi8(CASE_BIT);
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(p + BLOCK / 2));
    struct block b = {.quotes = equal_bytes_wide(low, high, '"'),
                      .backslashes = equal_bytes_wide(low, high, '\\')};

    low = _mm256_or_si256(low, bit);
    high = _mm256_or_si256(high, bit);
    b.opening = equal_bytes_wide(low, high, '{');
    b.closing = equal_bytes_wide(low, high, '}');
    b.quotes &= ~find_escaped(s, b.backslashes);
    return count_brackets(s, &b, spread_parity_wide(b.quotes) ^ s->in_text);
}

WIDE static const char *skip_brackets_wide(const char *p, const char *end)
{
    struct bracket_state s = {.depth = 1};
    char rest[BLOCK];
    unsigned at;

    for (; end - p >= BLOCK; p += BLOCK) {
        at = step_wide(&s, p);
        if (at != 0)
            return p + at;
    }
    copy_rest(rest, p, end);
    at = step_wide(&s, rest);
    return at != 0 ? p + at : NULL;
}

WIDE static const char *skip_text_wide(const char *p, const char *end)
{
    const __m256i quote = _mm256_set1_epi8('"'), backslash = _mm256_set1_epi8('\\');

    while (end - p >= 32) {
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)p);
        unsigned mask = (unsigned)_mm256_movemask_epi8(
            _mm256_or_si256(_mm256_cmpeq_epi8(bytes, quote), _mm256_cmpeq_epi8(bytes, backslash)));

        p += mask != 0 ? (unsigned)__builtin_ctz(mask) : 32;
        if (mask != 0 && *p == '"')
            return p + 1;
        if (mask == 0)
            continue;
        if (end - p < 2)
            return NULL;
        p += 2;
    }
    return skip_text(p, end);
}

static const struct matcher_skip SKIP_WIDE = {.text = skip_text_wide,
                                              .brackets = skip_brackets_wide};

const struct matcher_skip *matcher_skip_best(void)
{
    bool is_wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("pclmul") &&
                   __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi");

    return is_wide ? &SKIP_WIDE : &matcher_skip_portable;
}

#else

const struct matcher_skip *matcher_skip_best(void)
{
    return &matcher_skip_portable;
}

#endif
