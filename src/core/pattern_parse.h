/* pattern_parse: what the two halves of the pattern compiler share; nobody else includes this.
 *
 *   pattern_parse.c     objects, paths, $or: which fields stand together in which conjunction
 *   pattern_operator.c  one array of alternatives: values and operators -> a pattern_field
 */
#ifndef CORE_PATTERN_PARSE_H
#define CORE_PATTERN_PARSE_H

#include "core/pattern_internal.h"

/* Where in the document we are: a chain on the stack, made into a JSON Pointer for a problem. */
struct pattern_place {
    const struct pattern_place *parent; /* NULL at the root; on the stack of a caller */
    const char *root;                   /* the pointer itself, where parent is NULL */
    struct slice key;                   /* data NULL: an array's element */
    size_t index;                       /* of that element */
};

/* One compilation. On the stack of pattern_parse; the arrays become parts of the pattern. */
struct pattern_parser {
    const struct pattern_limits *limits; /* borrowed for the call */
    struct problems *problems;           /* the caller's, collected */
    struct arena *arena;                 /* the pattern's */
    GArray *fields;                      /* struct pattern_field */
    GArray *paths;                       /* struct slice */
    GArray *named;                       /* uint64_t: which scope named which path */
    GString *path;                       /* of the object being read */
    size_t value_count;                  /* leaf values seen */
    uint32_t scope_count;                /* branches of $or seen, and the root */
    bool is_over;                        /* a limit was passed and reported: no more conjunctions */
};

/* Adds a problem at the place. */
void pattern_report(const struct pattern_parser *p, const struct pattern_place *place,
                    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Fills the alternatives of field from a non-empty array. What is wrong is reported. */
void pattern_parse_values(struct pattern_parser *p, const struct json_value *array,
                          const struct pattern_place *place, struct pattern_field *field);

/* Whether the name may not be used for a field inside "$or". */
bool pattern_is_reserved(struct slice name);

/* Whether the name is an operator's. */
bool pattern_is_operator(struct slice name);

/* The value as written, for a message; "…" when it is long. Owned by caller. */
char *pattern_show(const struct json_value *value);

#endif
