/* hurt: sets of patterns and events built to make a matcher slow.
 *
 * Everything stays within the limits of the pattern language and of one event of 1 MiB: what
 * anybody may send. Each case aims at one way of spending time: long texts, many lengths, many
 * fields, one field many times, arrays whose elements nearly fit, every pattern matching.
 */
#ifndef MATCH_HURT_H
#define MATCH_HURT_H

#include <stdint.h>

#include <glib.h>

#define HURT_EVENT_MAX (1024 * 1024) /* bytes of an event, at most */

/* One case, made: texts of JSON. */
struct hurt {
    GPtrArray *patterns; /* of GString */
    GPtrArray *events;   /* of GString */
    uint32_t rules;      /* patterns wanted */
    uint64_t seed;
};

/* The cases and what each is about; NULL behind the last one. */
const char *hurt_name(size_t number);
const char *hurt_about(size_t number);

/* Makes one. Owns: the caller, until hurt_done. */
void hurt_init(struct hurt *h, size_t number, uint32_t rules, uint64_t seed);
void hurt_done(struct hurt *h);

#endif
