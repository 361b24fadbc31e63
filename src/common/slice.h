/* slice: bytes with a length, the way text from outside travels through the program.
 *
 * A slice never owns what it points to and is never NUL-terminated by promise. Whoever hands one
 * out says how long it lives (an arena, a request, a batch).
 */
#ifndef COMMON_SLICE_H
#define COMMON_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *data; /* NULL only when size is 0 */
    size_t size;      /* bytes */
};

/* A slice over a string literal. */
#define SLICE(literal) ((struct slice){.data = (literal), .size = sizeof(literal) - 1})

static inline struct slice slice_of(const void *data, size_t size)
{
    return (struct slice){.data = data, .size = size};
}

/* A slice over a NUL-terminated string; NULL gives the empty slice. */
static inline struct slice slice_text(const char *text)
{
    return (struct slice){.data = text, .size = text != NULL ? strlen(text) : 0};
}

/* Whether two texts of 4 to 16 bytes are the same: both ends are compared, which overlap. Most
 * names and values are that short, and a call costs more than this. */
static inline bool slice_equal_short(const char *a, const char *b, size_t size)
{
    uint64_t x[2], y[2];
    uint32_t u[2], v[2];

    if (size >= sizeof(x[0])) {
        memcpy(&x[0], a, sizeof(x[0]));
        memcpy(&y[0], b, sizeof(y[0]));
        memcpy(&x[1], a + size - sizeof(x[1]), sizeof(x[1]));
        memcpy(&y[1], b + size - sizeof(y[1]), sizeof(y[1]));
        return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
    }
    memcpy(&u[0], a, sizeof(u[0]));
    memcpy(&v[0], b, sizeof(v[0]));
    memcpy(&u[1], a + size - sizeof(u[1]), sizeof(u[1]));
    memcpy(&v[1], b + size - sizeof(v[1]), sizeof(v[1]));
    return ((u[0] ^ v[0]) | (u[1] ^ v[1])) == 0;
}

/* The size is compared first: it differs for most texts, and data may be NULL where it is 0. */
static inline bool slice_equal(struct slice a, struct slice b)
{
    if (a.size != b.size || a.size == 0)
        return a.size == b.size;
    if (a.size >= 4 && a.size <= 16)
        return slice_equal_short(a.data, b.data, a.size);
    return memcmp(a.data, b.data, a.size) == 0;
}

/* Orders by bytes, a prefix before what it begins. For UTF-8 that is the order of code points, the
 * same on every machine and in every locale. */
static inline int slice_compare(struct slice a, struct slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

/* Every text starts with the empty one. */
static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.size >= prefix.size &&
           (prefix.size == 0 || memcmp(s.data, prefix.data, prefix.size) == 0);
}

/* The beginning of UTF-8 text: as many whole characters as fit into max bytes. */
static inline struct slice slice_cut(struct slice s, size_t max)
{
    if (s.size <= max)
        return s;
    while (max > 0 && ((unsigned char)s.data[max] & 0xC0) == 0x80)
        max--; /* in front of the character of which this byte is a later part */
    return (struct slice){.data = s.data, .size = max};
}

/* For printf's "%.*s": SLICE_ARG(s) gives the int length and the pointer. */
#define SLICE_ARG(s) ((int)(s).size), ((s).data != NULL ? (s).data : "")

#endif
