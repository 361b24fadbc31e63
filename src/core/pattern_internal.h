/* pattern_internal: what the files of core/pattern share; nobody else includes this.
 *
 *   text ──pattern_parse──▶ fields ("amount" = 5 or >= 10) ──┐
 *                           conjunctions (one per $or way) ◀──┘ lists of fields
 *   event ──pattern_match──▶ any conjunction of which every field finds a leaf
 *             └─pattern_search: the same, when leaves lie in arrays and must fit together
 *
 * Everything that can be worked out from the pattern alone is worked out when it is parsed: path
 * hashes, numbers, folded texts, the pieces of a wildcard, networks.
 */
#ifndef CORE_PATTERN_INTERNAL_H
#define CORE_PATTERN_INTERNAL_H

#include <stdint.h>

#include "common/arena.h"
#include "common/json.h"
#include "core/pattern.h"

/* ---- numbers ----------------------------------------------------------------------------------
 */

struct pattern_number {
    double value;  /* not looked at unless is_exact */
    bool is_exact; /* the text is the shortest decimal form of value: nothing was lost */
};

/* Reads a JSON number. Numbers that are not exact take part in no comparison. */
struct pattern_number pattern_number_parse(struct slice text);

/* The three questions that a pattern can ask of a number. */
enum pattern_number_kind {
    NUMBER_RANGE,   /* low <= x <= high */
    NUMBER_LITERAL, /* the same value, or the very same text */
    NUMBER_NONE_OF, /* anything but these */
};

/* What a number must be. Ranges are closed: an open bound was moved by one double when parsed. */
struct pattern_number_test {
    enum pattern_number_kind kind;
    double low; /* also the literal's value */
    double high;
    struct slice text;      /* the literal as written */
    const double *excluded; /* NONE_OF: comparable values only */
    uint32_t excluded_count;
    bool is_exact; /* the literal is */
};

/* text is the event's number as written, number what pattern_number_parse made of it. */
bool pattern_number_passes(const struct pattern_number_test *test, struct slice text,
                           struct pattern_number number);

/* ---- addresses --------------------------------------------------------------------------------
 */

/* A block of addresses. One address alone is the network of all its bits. */
struct pattern_network {
    uint8_t bytes[16]; /* network byte order; the bits behind the prefix are not looked at */
    uint8_t size;      /* 4 or 16 bytes */
    uint8_t bits;      /* length of the prefix */
};

/* One address, v4 (leading zeros are decimal) or v6 (hexadecimal groups only). An IPv4-mapped v6
 * address is the v4 address. false when text is none; then network is unchanged. */
bool pattern_address_parse(struct slice text, struct pattern_network *network);

/* "address/bits" with bits < the size of the address. NULL, or what is wrong with it. */
const char *pattern_network_parse(struct slice text, struct pattern_network *network);

/* Whether the text is an address of the network's size that lies in it. Texts that are no address
 * do not, so a plain address value matches addresses only. */
bool pattern_network_contains(const struct pattern_network *network, struct slice address);

/* ---- texts ------------------------------------------------------------------------------------
 */

/* From cheap to dear: a field's tests are tried in this order. */
enum pattern_text_kind {
    TEXT_EQUAL,      /* the same bytes */
    TEXT_PREFIX,     /* begins with text */
    TEXT_SUFFIX,     /* ends with text */
    TEXT_NETWORK,    /* an address in network */
    TEXT_EQUAL_FOLD, /* the same, whatever the case of letters */
    TEXT_PREFIX_FOLD,
    TEXT_SUFFIX_FOLD,
    TEXT_WILDCARD, /* pieces in order, anything between them */
    TEXT_NONE_OF,  /* anything but what a member accepts */
};

/* One test on strings. Everything it points to lives in the pattern's arena. */
struct pattern_text_test {
    enum pattern_text_kind kind;
    struct slice text;          /* folded for the FOLD kinds */
    size_t characters;          /* of text, for the FOLD kinds */
    const struct slice *pieces; /* WILDCARD: what stands between the stars, in order */
    uint32_t piece_count;       /* stars + 1 */
    uint32_t member_count;      /* NONE_OF */
    const struct pattern_text_test *members;
    struct pattern_network network;
};

/* text is checked UTF-8 and may contain U+0000. */
bool pattern_text_passes(const struct pattern_text_test *test, struct slice text);

/* Simple case folding, character by character: two characters are the same when one is the
 * other's upper-case form and that one's lower-case form again. So ä is Ä, but the Kelvin sign is
 * no k, İ no i, and ß has no partner. */
gunichar pattern_fold(gunichar c);

/* Folded copy of UTF-8 text, with its number of characters. */
struct slice pattern_fold_text(struct slice text, struct arena *a, size_t *characters);

/* Fills kind, pieces and piece_count. NULL, or what is wrong with the wildcard. */
const char *pattern_wildcard_parse(struct slice text, struct arena *a,
                                   struct pattern_text_test *test);

/* ---- the compiled pattern ---------------------------------------------------------------------
 */

/* One path with its alternatives. A leaf passes when its type alone suffices or any test accepts
 * it; the field also when it may be absent and is. */
struct pattern_field {
    struct slice path;
    uint64_t path_hash;
    const struct slice *texts; /* plain strings, sorted by bytes */
    const struct pattern_text_test *text_tests;
    const struct pattern_number_test *number_tests;
    uint32_t text_count;        /* of texts */
    uint32_t text_test_count;   /* of text_tests */
    uint32_t number_test_count; /* of number_tests */
    uint8_t types;              /* bit 1 << json_type: every leaf of that type passes */
    bool allows_absent;         /* exists:false is among the alternatives */
};

/* The bit of a json_type; all those that a leaf can have, which are the ones before the array. */
#define PATTERN_TYPE(type)   ((uint8_t)(1U << (type)))
#define PATTERN_TYPES_LEAVES ((uint8_t)((1U << JSON_ARRAY) - 1))

/* Fields that must all pass: one way through the pattern's $or. */
struct pattern_conjunction {
    const uint32_t *fields; /* indexes, most telling and cheapest first */
    uint32_t count;
};

struct pattern {
    struct arena arena;                             /* everything below lives here */
    const struct pattern_field *fields;             /* in the order in which they were written */
    const struct pattern_conjunction *conjunctions; /* one at least; any of them suffices */
    const struct slice *paths;                      /* each once */
    uint32_t field_count;
    uint32_t conjunction_count;
    uint32_t path_count; /* at most field_count: branches of $or may share a path */
};

/* Whether the field's alternatives accept the leaf (absence aside). */
bool pattern_field_accepts(const struct pattern_field *field, const struct flat_leaf *leaf);

/* ---- leaves in arrays -------------------------------------------------------------------------
 */

/* Whether both leaves may count together: they lie in no two elements of one array. Symmetric, not
 * transitive. */
bool pattern_leaves_fit(const struct flat_leaf *a, const struct flat_leaf *b);

/* Whether path is that of an object around inner. */
static inline bool pattern_is_around(struct slice path, struct slice inner)
{
    return inner.size > path.size && inner.data[path.size] == '.' && slice_starts_with(inner, path);
}

/* Leaves in document order. */
struct pattern_leaves {
    const struct flat_leaf **leaves;
    size_t count;
};

/* A field of a conjunction with the leaves that it could take. */
struct pattern_candidate {
    struct pattern_leaves accepted;
    struct pattern_leaves all; /* every leaf of the path; empty unless the field may be absent */
    const struct flat_leaf *chosen; /* NULL: none yet, or absent */
    bool allows_absent;
};

/* Whether each candidate can have a leaf, or be absent, such that all fit together. The candidates
 * in the conjunction's order; their lists are used up. */
bool pattern_search_candidates(const struct flat *event, struct pattern_candidate *candidates,
                               size_t count);

/* Whether the conjunction can be met by leaves that all fit together, each absent field judged
 * against the elements chosen. The complete check; dear, so it comes last. */
bool pattern_search(const struct pattern *p, const struct pattern_conjunction *conjunction,
                    const struct flat *event);

#endif
