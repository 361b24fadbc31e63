/* internal: what the files of core/matcher share; nobody else includes this.
 *
 *   pattern ──draft──▶ conjunctions of fields, each field a few tests on coordinates
 *           ──judge──▶ how often an event passes each field
 *           ──file───▶ nodes: every conjunction under its rarest field, long lists split again
 *   event   ──read───▶ coordinates ──find──▶ nodes ▸ lists ▸ tests ▸ places
 *
 * A leaf of an event becomes small integers, its coordinates, one for each dimension of its path: a
 * dimension is one way of looking at the leaves of one path (as an exact text, by its prefixes, as
 * a number …). All texts that patterns name are numbered; numbers and addresses become ranks among
 * all bounds that patterns name. So nearly every condition is a range or a list of integers, and no
 * text is compared per pattern. Source: docs/internals/matcher.md, with the papers.
 *
 * What is checked per conjunction ignores arrays at first: each field must find some leaf. Only
 * when leaves of two of its fields lie in arrays, the leaves themselves are gathered and fitted
 * together by the reference's own search.
 */
#ifndef CORE_MATCHER_INTERNAL_H
#define CORE_MATCHER_INTERNAL_H

#include "common/hash.h"
#include "core/flat_names.h"
#include "core/matcher/matcher.h"
#include "core/matcher/skip.h"
#include "core/pattern_internal.h"

/* ---- coordinates ----------------------------------------------------------------------------- */

/* One way of looking at the leaves of a path. */
enum matcher_family {
    FAMILY_TYPE,        /* TYPE_PRESENT, and the json_type; one of each a leaf */
    FAMILY_TEXT,        /* the text's symbol */
    FAMILY_FOLD,        /* the same of the folded text */
    FAMILY_PREFIX,      /* symbols of all named prefixes of the text */
    FAMILY_PREFIX_FOLD, /* of the folded text */
    FAMILY_SUFFIX,
    FAMILY_SUFFIX_FOLD,
    FAMILY_NUMBER,      /* rank among the bounds */
    FAMILY_NUMBER_TEXT, /* the symbol of a number that no double holds */
    FAMILY_ADDRESS,     /* rank among the bounds */
    FAMILY_COUNT
};

/* Whether the texts are those that others begin or end with; those at the beginning. */
static inline bool matcher_is_affix(enum matcher_family family)
{
    return family >= FAMILY_PREFIX && family <= FAMILY_SUFFIX_FOLD;
}

static inline bool matcher_is_prefix(enum matcher_family family)
{
    return family == FAMILY_PREFIX || family == FAMILY_PREFIX_FOLD;
}

#define TYPE_PRESENT 8 /* beside the json_types */

/* Coordinates that nothing is filed under and no range or list contains. */
#define COORDINATE_NONE  UINT32_C(0xfffffffe) /* a text or number that no pattern names */
#define COORDINATE_OTHER UINT32_C(0xffffffff) /* a leaf of another type, for anything-but */

struct matcher_dimension {
    uint32_t path;
    uint32_t name; /* the number under which its symbols stand */
    uint8_t family;
    bool has_none_of;  /* somebody asks for leaves that are none of a list */
    uint32_t *lengths; /* PREFIX, SUFFIX and their folds: bytes of the named texts, ascending */
    uint64_t *inner;   /* of each length: bit (byte % 64) of their innermost bytes */
    uint32_t length_count;
    uint32_t characters; /* the folds: of the longest named text */
    uint64_t sizes;      /* TEXT: bit MIN(size, 63) of each named text */
    void *bounds;        /* NUMBER: double, ADDRESS: struct matcher_address; ascending */
    uint32_t bound_count;
    uint32_t coordinate_count; /* all are below */
    bool is_asked;             /* nodes or sieves look at it: read for every event */
    uint32_t use;              /* where its symbols begin in an array of all dimensions' */
};

struct matcher_address {
    uint8_t bytes[17]; /* size, then the address: compared byte by byte */
};

struct matcher_path {
    struct slice path; /* in the arena */
    uint64_t hash;
    uint32_t first, count; /* its dimensions, in the order of the families */
    /* Those that are asked for every event, in run->singles; 0: not that one. */
    uint32_t text, number;
    bool has_others;
};

/* A name of a path, below the names before it: {"a":…} and {"a.b":…} are a, and b below a. What the
 * skimming reader looks for in an event. */
struct matcher_name {
    struct slice name; /* in the arena */
    uint32_t number;
    uint32_t parent;
    uint32_t path;  /* which ends here; NO_PATH */
    uint32_t count; /* names below */
    bool is_deep;   /* one of these has further ones below */
    uint64_t sizes; /* bit MIN(size, 63) of each name below */
    struct name_head head;
};

#define NO_PATH      UINT32_MAX
#define PATH_UNKNOWN (UINT32_MAX - 1) /* not looked for yet */

/* Texts that patterns name, each under its dimension. Both tables are open-addressing. */
struct matcher_symbol {
    const char *data; /* in the arena */
    uint32_t size;
    uint32_t dimension;  /* its name */
    uint32_t coordinate; /* texts of a dimension are numbered from 0 */
};

struct matcher_slot {
    uint32_t tag;   /* upper half of the hash */
    uint32_t value; /* number + 1; 0: free */
};

struct matcher_table {
    struct matcher_slot *slots; /* NULL: empty */
    size_t mask;
    size_t used;
};

/* ---- conditions ------------------------------------------------------------------------------ */

enum matcher_test_kind {
    TEST_RANGE,  /* a coordinate in a..b */
    TEST_LIST,   /* one of the b values at a in the pool, which are sorted */
    TEST_NONE,   /* one that is not of them */
    TEST_FEWER,  /* fewer leaves have one of them than there are: no leaf has two */
    TEST_TEXT,   /* a text of path b that passes texts[a] */
    TEST_FIELD,  /* any test of field a */
    TEST_ABSENT, /* path a has no leaf, or perhaps none in the elements that count */
};

/* Twelve bytes; they stand in the lists of the nodes as they are. */
struct matcher_test {
    uint32_t head; /* kind | dimension << 4 */
    uint32_t a, b;
};

#define TEST_HEAD(kind, dimension) ((uint32_t)(kind) | (uint32_t)(dimension) << 4)
#define TEST_KIND(head)            ((head)&15)
#define TEST_DIMENSION(head)       ((head) >> 4)

/* One path with its alternatives; equal ones of different patterns are one. */
struct matcher_field {
    uint32_t path;
    uint32_t first; /* of its tests */
    uint16_t count;
    bool allows_absent;
};

/* A test that has to look at the text: wildcards, anything-but of more than plain texts. */
struct matcher_text {
    struct pattern_text_test test; /* what it points to is in the arena */
    uint32_t hint_dimension;       /* texts that pass have this coordinate */
    uint32_t hint;                 /* COORDINATE_NONE: there is no hint */
};

struct matcher_conjunction {
    uint32_t place; /* of the pattern */
    uint32_t first; /* in fields_of; the next one's first ends them */
};

/* ---- nodes ----------------------------------------------------------------------------------- */

/* Conjunctions that one coordinate leads to. Those of its list are tried; the others are filed
 * further, under coordinates of the node's entries. */
struct matcher_node {
    uint32_t parent, entry, coordinate; /* the key by which it is found */
    uint32_t stream, list_count;        /* where the list begins; conjunctions in it */
    uint32_t entries, entry_count;      /* dimension << 5 | level */
};

/* A key's coordinate is shifted right by its level, so ranges are filed under few. */
#define LEVEL_BITS 5
#define LEVEL_MASK 31

/* A list is words: a sieve for each conjunction, then for each its number and where its tests
 * stand, then these. Lists are short and most of their conjunctions fail, so what decides most of
 * them is four words that are compared without a branch. */
struct matcher_sieve {
    uint32_t single;    /* in run->singles */
    uint32_t low, span; /* it passes when it is in low..low + span */
    uint32_t mask;      /* and bit (coordinate % 32) is set */
};

#define SIEVE_WORDS ((uint32_t)(sizeof(struct matcher_sieve) / sizeof(uint32_t)))
#define WHERE_WORDS 2 /* the conjunction, and the word in which its tests begin: how many */
#define TEST_WORDS  ((uint32_t)(sizeof(struct matcher_test) / sizeof(uint32_t)))

/* In run->singles, by dimension + 1: the coordinate, when there is one and only one. The first is
 * always 0, for sieves that let everything through. */
#define SINGLE_NONE    COORDINATE_NONE  /* or one that nobody named */
#define SINGLE_UNKNOWN COORDINATE_OTHER /* several, or not read yet */

/* The root's children, which every event looks for, stand in arrays by their coordinates where
 * these are dense enough; the others, and all of other nodes, in the table. */
struct matcher_door {
    uint32_t first, size; /* in doors_to: number of the child, 0: none */
};

struct matcher {
    struct arena arena;
    struct matcher_path *paths;
    struct matcher_table path_table;
    struct matcher_name *names; /* the first is above all, and has no name itself */
    struct matcher_table name_table;
    struct matcher_dimension *dimensions;
    struct matcher_symbol *symbols;
    struct matcher_table symbol_table;
    struct matcher_field *fields;
    struct matcher_test *tests;
    uint32_t *pool;
    struct matcher_text *texts;
    struct matcher_conjunction *conjunctions; /* one more than there are */
    uint32_t *fields_of;
    struct matcher_node *nodes; /* the first is the root */
    struct matcher_table node_table;
    uint32_t *entries;
    struct matcher_door *doors; /* by entry of the root */
    uint32_t *doors_to;
    uint32_t *stream;
    uint32_t pattern_count, path_count, name_count, dimension_count, symbol_count, field_count,
        test_count;
    uint32_t pool_count, text_count, conjunction_count, field_of_count, node_count, entry_count;
    uint32_t stream_count, doors_to_count;
    size_t copies;     /* conjunctions in all lists */
    size_t text_bytes; /* of paths and texts in the arena */
    size_t bytes;
    uint64_t id; /* made by chance: no other matcher has it */
};

/* ---- tables ---------------------------------------------------------------------------------- */

/* Both halves of a product, one on the other: every bit depends on nearly all. */
static inline uint64_t matcher_fold(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    uint64_t h = (a ^ (b << 29 | b >> 35)) * UINT64_C(0xd6e8feb86659fd93);

    h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
#endif
}

/* Of beginnings and ends, whose lengths are many: grows byte by byte. */
static inline uint64_t matcher_affix_step(uint64_t h, char byte)
{
    return (h ^ (unsigned char)byte) * UINT64_C(0x9fb21c651e98df25);
}

static inline uint64_t matcher_affix_end(uint64_t h, size_t size, uint32_t dimension)
{
    return matcher_fold(h ^ UINT64_C(0xa0761d6478bd642f),
                        (size + ((uint64_t)dimension << 32)) ^ UINT64_C(0xe7037ed1a0b428db));
}

/* What the two hashes below are made of: both ends of a text of 4 to 16 bytes, which most are (see
 * slice_equal_short), all of a shorter one, a hash of a longer one. */
static inline void matcher_ends(struct slice text, uint64_t ends[2])
{
    ends[0] = ends[1] = 0;
    if (text.size >= sizeof(ends[0]) && text.size <= 2 * sizeof(ends[0])) {
        memcpy(&ends[0], text.data, sizeof(ends[0]));
        memcpy(&ends[1], text.data + text.size - sizeof(ends[1]), sizeof(ends[1]));
    } else if (text.size >= sizeof(uint32_t) && text.size < sizeof(ends[0])) {
        memcpy(&ends[0], text.data, sizeof(uint32_t));
        memcpy(&ends[1], text.data + text.size - sizeof(uint32_t), sizeof(uint32_t));
    } else if (text.size < sizeof(uint32_t)) {
        for (size_t i = 0; i < text.size; i++)
            ends[0] = ends[0] << 8 | (unsigned char)text.data[i];
    } else {
        ends[0] = hash64(text);
    }
}

static inline uint64_t matcher_symbol_hash(struct slice text, uint32_t dimension)
{
    uint64_t salt = (text.size + ((uint64_t)dimension << 32)) * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t ends[2];

    matcher_ends(text, ends);
    return matcher_fold(ends[0] ^ UINT64_C(0xa0761d6478bd642f), ends[1] ^ salt);
}

/* Of a name below another. Names are few: one multiplication spreads them well enough. */
static inline uint64_t matcher_name_hash(uint32_t parent, struct slice name)
{
    uint64_t salt = (name.size + ((uint64_t)parent << 32)) * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t ends[2];

    matcher_ends(name, ends);
    ends[0] ^= (ends[1] << 21 | ends[1] >> 43) ^ salt;
    ends[0] *= UINT64_C(0xff51afd7ed558ccd);
    return ends[0] ^ ends[0] >> 32;
}

static inline uint64_t matcher_node_hash(uint32_t parent, uint32_t entry, uint32_t coordinate)
{
    return matcher_fold(((uint64_t)parent << 32 | coordinate) ^ UINT64_C(0xa0761d6478bd642f),
                        (entry + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

/* Enters a value that is not in the table yet, which grows when it is half full. again: the hash of
 * a value that is in it. */
typedef uint64_t (*matcher_hash)(const void *user, uint32_t value);
void matcher_table_put(struct matcher_table *t, uint64_t hash, uint32_t value, matcher_hash again,
                       const void *user);

/* Enters the values from first to before end, all different, into a table that is empty. */
void matcher_table_fill(struct matcher_table *t, uint32_t first, uint32_t end, matcher_hash hash,
                        const void *user);

/* The first of the ascending values that is not below. */
static inline uint32_t matcher_lower_bound(const uint32_t *values, uint32_t count, uint32_t value)
{
    uint32_t low = 0;

    while (low < count) {
        uint32_t middle = low + (count - low) / 2;

        if (values[middle] < value)
            low = middle + 1;
        else
            count = middle;
    }
    return low;
}

static inline bool matcher_is_in(const uint32_t *values, uint32_t count, uint32_t value)
{
    uint32_t at = matcher_lower_bound(values, count, value);

    return at < count && values[at] == value;
}

/* The array's memory, cut to its length, which *count becomes. Takes the array. */
void *matcher_take(GArray *array, uint32_t *count);

/* ---- building -------------------------------------------------------------------------------- */

/* What is worked out for each field before filing. */
struct matcher_judgement {
    float share;   /* of the events that come to one of its keys; above 1 when they come to many */
    uint16_t keys; /* 0: nothing to file it under */
    bool is_exact; /* whoever comes to a key has passed the field */
};

/* A key of a field: where it is filed. */
struct matcher_key {
    uint32_t entry, coordinate;
};

#define KEYS_MAX 2048 /* of one field */

/* Writes the field's keys to out (KEYS_MAX); returns how many, and whether they are exact. One that
 * would have more has its path's presence. */
size_t matcher_keys(const struct matcher *m, uint32_t field, struct matcher_key *out,
                    bool *is_exact);

/* Makes the tree of names of all paths. */
void matcher_name_paths(struct matcher *m);

/* Judges all fields. Owned by caller. */
struct matcher_judgement *matcher_judge(const struct matcher *m, const GPtrArray *sample);

/* Builds the nodes. false: they would take more than memory_max with what is there already. */
bool matcher_file(struct matcher *m, const struct matcher_judgement *judgements, size_t memory_max);

/* The bytes of everything. */
size_t matcher_size(const struct matcher *m);

/* ---- an event -------------------------------------------------------------------------------- */

/* Coordinates of one dimension. They are read when somebody asks for them (matcher_reading): of
 * most dimensions nobody does. */
struct matcher_reading {
    uint64_t event_number;         /* valid when it is the run's */
    uint32_t first, count;         /* to test: each once and ascending when there are many */
    uint32_t raw_first, raw_count; /* in the order of the leaves, with them */
};

/* A conjunction that its sieve let through. */
struct matcher_candidate {
    const uint32_t *sieve, *where;
};

/* A key that the event has, under a node. */
struct matcher_probe {
    uint64_t hash;
    uint32_t parent, entry, coordinate;
};

#define PROBES_MAX 64 /* keys on their way together */

/* The leaves that a field accepts, and, when it may be absent, all of them: places in run->found.
 */
struct matcher_gathered {
    uint64_t epoch; /* valid when it is the run's */
    uint32_t field;
    uint32_t first, count;
    uint32_t all_first, all_count;
    uint32_t array; /* the outermost one, when it is the same for all accepted; else NO_ARRAY */
};

#define NO_ARRAY UINT32_MAX

/* Whether some accepted leaves of two fields fit together. */
struct matcher_pair {
    uint64_t epoch;
    uint32_t a, b;
    bool fits;
};

#ifndef FITS_KEPT
#define FITS_KEPT 1024 /* a power of two: gathered lists, and pairs, that are remembered */
#endif

/* In which elements a path, or a field, has leaves. */
struct matcher_elements {
    uint64_t epoch;
    uint32_t number; /* of the path or the field */
    uint32_t layer;  /* of the elements; 0: the leaves lie in none */
    uint32_t depth;  /* arrays around and in the layer */
    size_t first;    /* in element_bits */
    bool has_plain;  /* some are plain values of an array */
};

#ifndef ELEMENTS_KEPT
#define ELEMENTS_KEPT 1024
#endif

/* Which three bytes follow each other in the texts of a path. */
struct matcher_grams {
    uint32_t path;
    size_t size;               /* bytes of all texts */
    uint64_t *bits;            /* set when they are */
    uint64_t work;             /* bytes that tests looked at, one by one */
    bool is_walked;            /* all were answered together, or that was given up */
    struct matcher_wild *wild; /* answers to all; NULL: not made, or given up */
};

#define GRAM_SETS 8 /* paths of an event that get one */

/* What the event has at one path. */
struct matcher_presence {
    int32_t leaf;   /* the first */
    int32_t last;   /* only the skimming reader's */
    uint32_t count; /* of leaves */
    bool is_there;
    bool is_in_array; /* at least one leaf is */
};

struct matcher_run {
    const struct matcher *matcher; /* of the find under way */
    const struct flat *event;
    struct matcher_reading *readings;     /* by dimension */
    struct matcher_presence *presences;   /* by path; all zero between events */
    uint64_t names_id, names_matcher;     /* whose path_of is */
    uint32_t path_of[FLAT_NAMES_MAX + 1]; /* by the name of a leaf */
    uint32_t *touched;                    /* paths of this event; room for all */
    uint32_t touched_count;
    uint32_t *singles; /* by dimension + 1; all SINGLE_NONE between events */
    size_t dimension_room, path_room;
    uint32_t *values; /* all coordinates */
    uint32_t *leaves; /* whose they are; in the sorted copies, how many have it */
    size_t value_count, value_room;
    uint32_t *scratch; /* for sorting */
    size_t scratch_room;
    size_t array_paths; /* touched ones with leaves in arrays */
    GString *folded;
    uint32_t *places; /* what was found */
    size_t place_count, place_room;
    uint64_t *bits; /* by place: it was found; zero between events */
    size_t bit_words;
    uint8_t *marks; /* by leaf; zero between */
    size_t mark_room;
    GArray *found;                     /* const struct flat_leaf *: gathered of this event */
    GArray *fields;                    /* struct matcher_gathered: of the conjunction in hand */
    struct matcher_gathered *gathered; /* FITS_KEPT, by field */
    struct matcher_pair *pairs;        /* FITS_KEPT, by fields */
    uint64_t epoch;                    /* of found, and of elements */
    uint64_t event_number;
    struct matcher_elements *path_elements, *field_elements; /* ELEMENTS_KEPT, by number */
    GArray *element_bits;                                    /* uint64_t: sets of elements */
    GArray *element_parents;  /* uint32_t: by element, the one around; 0: the event */
    uint32_t *elements_of;    /* by leaf: the innermost element */
    uint32_t *layer_elements; /* by leaf: the one in the layer of its path */
    size_t elements_room;
    uint64_t elements_event; /* number of the event whose elements these are */
    GArray *layers;          /* uint32_t: the layer around */
    GArray *layer_entries;   /* struct entry of elements.c: which arrays are of a layer */
    GArray *element_entries; /* uint32_t: by element around, the first of them + 1; 0: none */
    GArray *leaves_tried; /* const struct flat_leaf *: lists for the search, which uses them up */
    struct matcher_grams grams[GRAM_SETS];
    uint32_t gram_count;
    GArray *candidates; /* struct pattern_candidate */
    uint32_t *queue;    /* nodes that the event leads to */
    size_t queue_count, queue_room;
    struct matcher_probe probes[PROBES_MAX];
    uint32_t probe_count;
    struct matcher_candidate *passed; /* by their sieves */
    size_t passed_count, passed_room;
    size_t tried;
    struct flat skimmed;     /* leaves of the skimming reader, without the parts of a whole flat */
    size_t skimmed_room;     /* leaves that fit */
    struct arena skim_arena; /* their steps, and texts that had escapes */
    uint32_t *guesses;       /* two a name, see skim.c; of any matcher */
    size_t guess_room;       /* names that have them */
    const struct matcher_skip *skip;
};

/* Reads the event's coordinates; matcher_forget makes everything zero again. */
void matcher_read(struct matcher_run *run, const struct matcher *m, const struct flat *event);
void matcher_forget(struct matcher_run *run);

/* The parts of matcher_read, for who finds the leaves otherwise: makes room for the matcher; then
 * reads the leaves of a path, whose presence is filled in. */
void matcher_prepare(struct matcher_run *run, const struct matcher *m);
void matcher_read_leaves(struct matcher_run *run, uint32_t path);

/* What matches the event that was read, as matcher_find says it; the run forgets the event. */
size_t matcher_answer(struct matcher_run *run, const uint32_t **places);

/* Reads the dimension. */
void matcher_read_dimension(struct matcher_run *run, uint32_t dimension);

static inline const struct matcher_reading *matcher_reading(struct matcher_run *run,
                                                            uint32_t dimension)
{
    if (run->readings[dimension].event_number != run->event_number)
        matcher_read_dimension(run, dimension);
    return &run->readings[dimension];
}

/* What is known of the path's texts; NULL: nothing, as there are only short ones, or too many paths
 * had some already. */
struct matcher_grams *matcher_grams_of(struct matcher_run *run, uint32_t path);

/* Whether no text of the path can pass the test, as far as can be told without looking at them. */
bool matcher_grams_refuse(const struct matcher_grams *g, const struct pattern_text_test *test);

/* Marks the leaves that the field accepts, in run->marks; leaf is the first of its path. */
void matcher_mark(struct matcher_run *run, const struct matcher_field *field, int32_t leaf);

enum matcher_wild_answer {
    WILD_UNKNOWN, /* the test has to be tried */
    WILD_PASSES,  /* some text of the path passes it */
    WILD_FAILS,
};

/* Asks about texts[text], a test of the path. When many were asked, all are answered together. */
enum matcher_wild_answer matcher_wild_ask(struct matcher_run *run, uint32_t path, uint32_t text);

/* Accepts NULL. */
void matcher_wild_free(struct matcher_wild *w);

/* false: no element has leaves for all of the fields. true: that is not known. */
bool matcher_elements_meet(struct matcher_run *run, const uint32_t *fields, uint32_t count);

/* What was needed for that; it is made again when it is. */
void matcher_elements_free(struct matcher_run *run);

/* Whether a conjunction all of whose fields passed matches, arrays included. */
bool matcher_fits(struct matcher_run *run, uint32_t conjunction);

#endif
