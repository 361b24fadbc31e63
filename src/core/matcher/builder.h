/* builder: a set of patterns on its way into an index; shared by the files that build it.
 *
 *   draft.c   patterns -> fields and tests, as words of a batch
 *   number.c  batches of them -> texts and fields, each kept once, in numbers as they come
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

/* Finds what is kept once by its hash, the upper half of which says where: so a table grows from
 * its front to its back, and nothing is hashed again. */
struct draft_table {
    struct matcher_slot *slots; /* NULL: empty */
    uint32_t bits;              /* of the number of slots */
    uint32_t used;
};

/* A text that the batch names. */
struct draft_text {
    struct slice text; /* in batch_arena */
    uint64_t hash;
    uint32_t dimension;
    uint32_t word;  /* of the batch: where its number goes */
    uint32_t guess; /* the symbol that it probably is */
};

/* A field of the batch: in words the path << 1 | allows_absent, then its tests, each its head and
 *
 *   RANGE              low, high        a number in 2 words, an address in 5, all else in 1
 *   LIST, NONE, FEWER  count, values    likewise; ascending, each once, when they have numbers
 *   TEXT               a, b
 */
struct draft_field {
    uint64_t hash;
    uint32_t first, count; /* words */
    uint32_t guess;        /* the field that it probably is */
};

/* A bound of one test. Equal ones are one only when they are ranked. */
struct draft_bound {
    union {
        double value;
        const struct matcher_address *address; /* in the arena */
    };
    uint32_t dimension;
    uint32_t number : 31, is_address : 1;
};

struct matcher_builder {
    struct arena arena; /* becomes the matcher's */
    size_t text_bytes;  /* of paths and texts in it */
    GArray *paths;      /* struct draft_path */
    struct draft_table path_table;
    GArray *dimensions; /* struct matcher_dimension */
    GArray *symbols;    /* struct matcher_symbol */
    struct draft_table symbol_table;
    GArray *bounds; /* struct draft_bound */
    GArray *fields; /* struct matcher_field */
    struct draft_table field_table;
    GArray *words;    /* uint32_t: what makes two fields equal, field after field */
    GArray *words_of; /* size_t: where each one's begin, and where the last ends */
    GArray *tests;    /* struct matcher_test */
    GArray *pool;     /* uint32_t */
    GArray *texts;    /* struct matcher_text */
    GArray *conjunctions;
    GArray *fields_of; /* uint32_t */
    uint32_t pattern_count;
    GPtrArray *sample; /* GBytes */
    /* The batch: what was drafted since texts and fields got their numbers. They are looked up
     * together, so that memory brings many of them at a time: nearly all of it lies far away. */
    struct arena batch_arena;
    size_t batch_bytes;    /* of the texts in it */
    GArray *batch_words;   /* uint32_t */
    GArray *batch_texts;   /* struct draft_text */
    GArray *batch_fields;  /* struct draft_field */
    guint fields_of_known; /* those behind it name fields of the batch */
    GArray
        *lists[FAMILY_COUNT]; /* struct slice: texts any of which will do, of the field in hand */
    uint32_t path;            /* of that field */
};

/* Of the path in hand, made when it is new. */
uint32_t matcher_number_dimension(struct matcher_builder *b, enum matcher_family family);

/* The path becomes the one in hand. Returns its number. */
uint32_t matcher_number_path(struct matcher_builder *b, const struct pattern_field *field);

/* The number of a text under its dimension; what is new is copied. */
uint32_t matcher_number_text(struct matcher_builder *b, uint32_t dimension, struct slice text);

/* The same later, with the batch: takes a word of it for the number. */
void matcher_draft_text(struct matcher_builder *b, uint32_t dimension, struct slice text);

/* Copies into the builder's arena. */
struct slice matcher_builder_keep(struct matcher_builder *b, struct slice text);

/* All texts and fields of the batch get their numbers; it is empty then. */
void matcher_number_batch(struct matcher_builder *b);

/* Forgets what was drafted. */
void matcher_empty_batch(struct matcher_builder *b);

/* Sorts, and drops what stands twice; returns how many are left. */
uint32_t matcher_sort_once(uint32_t *values, uint32_t count);

/* Frees what only finds numbers, when all have theirs. */
void matcher_builder_drop_tables(struct matcher_builder *b);

/* Makes the parts of a set, unless there are any. A builder that is empty has none: a campaign that
 * is added alone is a set of one, whose cost is that of its allocations. */
void matcher_builder_start(struct matcher_builder *b);

/* Empties the builder: drops what a matcher does not need, or all when there is none. */
void matcher_builder_clear(struct matcher_builder *b);

/* As events look for it: by the number under which the dimension's symbols stand. */
uint64_t matcher_text_hash(enum matcher_family family, uint32_t name, struct slice text);

/* Words that a value of a draft takes. */
static inline uint32_t matcher_value_words(enum matcher_family family)
{
    if (family == FAMILY_NUMBER)
        return sizeof(double) / sizeof(uint32_t);
    return family == FAMILY_ADDRESS ? (sizeof(struct matcher_address) + 3) / sizeof(uint32_t) : 1;
}

#endif
