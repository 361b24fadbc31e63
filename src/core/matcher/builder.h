/* builder: a set of patterns on its way into an index; shared by the files that build it.
 *
 *   draft.c   patterns -> fields and tests, in numbers as they come
 *   finish.c  all numbers known -> coordinates, and everything into a struct matcher
 */
#ifndef CORE_MATCHER_BUILDER_H
#define CORE_MATCHER_BUILDER_H

#include "core/matcher/internal.h"

/* A path and the dimensions that somebody asked for. */
struct draft_path {
    struct matcher_path path;
    uint32_t dimensions[FAMILY_COUNT]; /* number + 1; 0: nobody did */
};

/* Texts or bounds under their dimension, with the table that finds them. */
struct dictionary {
    const struct matcher_builder *builder; /* whose it is */
    GArray *symbols;                       /* struct matcher_symbol */
    struct matcher_table table;
};

struct matcher_builder {
    struct arena arena; /* becomes the matcher's */
    GArray *paths;      /* struct draft_path */
    struct matcher_table path_table;
    GArray *dimensions; /* struct matcher_dimension */
    struct dictionary texts_named;
    struct dictionary bounds; /* the bytes of a double or of a matcher_address */
    GArray *fields;           /* struct matcher_field */
    struct matcher_table field_table;
    GArray *words;    /* uint32_t: what makes two fields equal, field after field */
    GArray *words_of; /* size_t: where each one's begin, and where the last ends */
    GArray *tests;    /* struct matcher_test */
    GArray *pool;     /* uint32_t */
    GArray *texts;    /* struct matcher_text */
    GArray *conjunctions;
    GArray *fields_of; /* uint32_t */
    uint32_t pattern_count;
    GPtrArray *sample; /* GBytes */
    /* The field being drafted. */
    GArray *draft;               /* uint32_t: its words */
    GArray *lists[FAMILY_COUNT]; /* uint32_t: symbols any of which will do */
    uint32_t path;
};

/* Sorts, and drops what stands twice; returns how many are left. */
uint32_t matcher_sort_once(uint32_t *values, uint32_t count);

/* Empties the builder; it can be used again. */
void matcher_builder_clear(struct matcher_builder *b);

#endif
