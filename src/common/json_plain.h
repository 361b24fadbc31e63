/* json_plain: finds the end of the plain part of a JSON string, many bytes at a time.
 *
 * Inline, because the flattener and the scanner spend most of their time here. Plain bytes are
 * ASCII without the quote, the backslash and the control characters: all that needs no look.
 */
#ifndef COMMON_JSON_PLAIN_H
#define COMMON_JSON_PLAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The definition; the two functions below must say the same of many bytes at once. */
static inline bool json_is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Whether all eight bytes are plain. A borrow can only run out of a byte that is not plain, so
 * the answer is exact although the position of the byte would not be.
 * Source: "Determine if a word has a zero byte", Bit Twiddling Hacks, S. E. Anderson. */
static inline bool json_is_plain_word(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t tops = ones << 7;
    uint64_t quote = word ^ (ones * '"');
    uint64_t backslash = word ^ (ones * '\\');
    uint64_t low = (word - ones * 0x20) & ~word;

    /* A byte that equals the quote is zero now; only from zero does a borrow set the top bit. */
    quote = (quote - ones) & ~quote;
    backslash = (backslash - ones) & ~backslash;
    return ((word | low | quote | backslash) & tops) == 0;
}

/* The first byte from p on that is not plain, or end. Reads nothing at or behind end, so the text
 * needs no padding. 16 bytes at a time where the compiler has SSE2 (every x86-64), 8 elsewhere and
 * for the rest: the names in events are mostly shorter than 16 bytes. */
static inline const char *json_scan_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    /* Bytes from 0x80 up are negative here, so one comparison finds them and the controls. */
    const __m128i first_plain = _mm_set1_epi8(0x20);
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');

    while (end - p >= 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i special = _mm_or_si128(
            _mm_cmplt_epi8(block, first_plain),
            _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)));
        /* One bit for each byte, the lowest for the first: count the zeros to find the place. */
        unsigned mask = (unsigned)_mm_movemask_epi8(special);

        if (mask != 0)
            return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    while (end - p >= 8) {
        uint64_t word;

        /* Any alignment; the compiler makes one load of it. */
        memcpy(&word, p, sizeof(word));
        if (!json_is_plain_word(word))
            break;
        p += 8;
    }
    while (p < end && json_is_plain((unsigned char)*p))
        p++;
    return p;
}

/* Skips white space (RFC 8259 section 2); returns the first other byte or end. Machines send JSON
 * without any, so one comparison decides most calls. */
static inline const char *json_skip_space(const char *p, const char *end)
{
    if (p < end && (unsigned char)*p > ' ')
        return p;
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

#endif
