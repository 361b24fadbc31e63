/* weak_hash: makes nearly all keys of the index collide, to test that a hash alone decides nothing.
 *
 * Included in front of the index's own sources, for a second build of test_matcher and test_skim.
 * With the true hashes, two keys of one table are the same in the half that is kept once in
 * billions of sets. What is only done for large events is done for all here, for the same reason.
 */
#ifndef CORE_WEAK_HASH_H
#define CORE_WEAK_HASH_H

/* So much is remembered that nearly all is made again and again. */
#define ELEMENTS_KEPT 2
#define FITS_KEPT     4

#include "common/hash.h"
#include "core/matcher/internal.h"

#define WEAK_HASH(hash) ((hash)&7)

#define EVENT_MANY         0
#define TEXT_FEW           0
#define TEXTS_LARGE        1
#define WILD_WORK_MIN      1
#define WILD_WORK_PER_TEST 0
#define LITERALS_MAX       4
#define LITERALS_CUT       2
#define LAYERS_MAX         3
#define ELEMENTS_ROOM      64

#define matcher_node_hash(parent, entry, coordinate)                                               \
    WEAK_HASH((matcher_node_hash)(parent, entry, coordinate))
#define matcher_symbol_hash(text, dimension) WEAK_HASH((matcher_symbol_hash)(text, dimension))
#define matcher_affix_end(hash, size, dimension)                                                   \
    WEAK_HASH((matcher_affix_end)(hash, size, dimension))
#define matcher_name_hash(parent, name) WEAK_HASH((matcher_name_hash)(parent, name))
#define hash64(text)                    WEAK_HASH((hash64)(text))

#endif
