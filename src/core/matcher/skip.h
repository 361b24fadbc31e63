/* skip: finds the end of what nobody asked for, many bytes at a time.
 *
 *   {"a":1,"b":{"c":["}"]},"d":2}
 *              ^ p       ^ found: the brackets inside the text do not count
 *
 * Two ways, which always say the same: one that every machine has, and one for x86-64 with AVX2 and
 * PCLMUL, to be chosen at run time. What they guarantee: no byte at or behind end is read, whatever
 * the bytes are. What they do not do: check anything. Pure.
 */
#ifndef CORE_MATCHER_SKIP_H
#define CORE_MATCHER_SKIP_H

struct matcher_skip {
    /* p is in a string, behind its opening quote or a whole character. Returns the byte behind the
     * closing quote, NULL when there is none. */
    const char *(*text)(const char *p, const char *end);
    /* p is in an object or array, outside of strings. Returns the byte behind the bracket that
     * closes it, of whatever kind, NULL when there is none. */
    const char *(*brackets)(const char *p, const char *end);
};

extern const struct matcher_skip matcher_skip_portable;

/* The fastest that this machine can do. */
const struct matcher_skip *matcher_skip_best(void);

#endif
