/* flat: an event's JSON in one strict pass, flattened to (path, scalar) leaves.
 *
 *   {"a":{"b":[1,{"c":"x"}]}}   ->   a.b = 1  (array 0, index 0)
 *                                    a.b.c = "x"  (array 0, index 1)
 *
 * What it is for: patterns look at leaves by path; arrays vanish from the path but every leaf
 * remembers in which element of which array it lies. Objects and arrays themselves are no leaves.
 * Strict RFC 8259 (common/json.h); number text is kept exact. No allocation per event once the
 * buffers have grown: the struct is reused from event to event.
 * What it does not do: know what an event is (core/event.h), evaluate patterns (core/pattern.h).
 */
#ifndef CORE_FLAT_H
#define CORE_FLAT_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "common/arena.h"
#include "common/json.h"
#include "common/slice.h"

/* One array around a leaf, and in which of its elements the leaf lies. */
struct flat_step {
    uint32_t array; /* arrays are numbered in the order in which they open */
    uint32_t index; /* the element */
};

/* A scalar and where it stands. Slices point into the parsed text or into the flat's arena. */
struct flat_leaf {
    struct slice path; /* unescaped names joined by '.' */
    uint64_t path_hash;
    struct slice text;             /* JSON_TEXT: unescaped; JSON_NUMBER: source text */
    const struct flat_step *steps; /* arrays around it, outermost first */
    uint32_t step_count;           /* 0: outside of all arrays */
    int32_t next;                  /* index of the next leaf with the same path, -1 at the end */
    enum json_type type;           /* never an array or object */
    bool is_element; /* stands in its innermost array itself, not in an object there */
    uint16_t name; /* the same path as every leaf with that name and the flat's names_id; 0: none */
};

/* A member of the outermost object, in order. */
struct flat_member {
    struct slice key;    /* unescaped */
    struct slice text;   /* JSON_TEXT: unescaped; JSON_NUMBER: source text */
    struct slice source; /* the value's exact bytes */
    enum json_type type;
};

/* One thread at a time. Valid until the next flat_parse of the same struct; borrowed from text. */
struct flat {
    struct flat_leaf *leaves;
    size_t leaf_count;
    struct flat_member *members;
    size_t member_count;
    enum json_type type; /* of the document itself; leaves and members only for an object */
    bool is_forked;      /* a path has leaves in two arrays of one element: a name stands twice */
    uint64_t names_id;   /* made by chance: tells whose leaves' names these are */
    /* the rest is private */
    struct flat_private *private;
};

struct flat_names;

/* init takes some memory for the reader's state; done accepts NULL and a struct of zeros. Of the
 * names that it met (core/flat_names.h) a struct has a memory of its own, or shares that of others
 * of its thread, which outlives it. */
void flat_init(struct flat *f);
void flat_init_with(struct flat *f, struct flat_names *names);
void flat_done(struct flat *f);

/* Reads ONE value at the start of text (white space before it is allowed) and sets *used to the
 * byte behind it. What follows is the caller's business (the next array element, or an error).
 * depth: how many brackets are already open around it (counts towards JSON_DEPTH_MAX).
 * Errors: EF_ERROR_INPUT "… at line L, column C (byte B)" relative to text; f is then empty. */
bool flat_parse(struct flat *f, struct slice text, unsigned depth, size_t *used, GError **error);

/* The hash under which a path is filed: of the bytes of the names joined by '.'. */
uint64_t flat_path_hash(struct slice path);

/* The first leaf with that path (follow next for more), NULL when there is none. */
const struct flat_leaf *flat_find(const struct flat *f, struct slice path, uint64_t path_hash);

#endif
