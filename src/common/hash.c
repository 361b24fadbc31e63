/* XXH3 because it is fast on short keys (event ids of 10 to 40 bytes) as well as on whole bodies,
 * and because its values are frozen, so they may lie on disk. The seed is fixed for that reason;
 * whatever must stand an attacker who chooses colliding keys bounds its own work (core/flat.c). */
#include "common/hash.h"

/* Its code becomes part of ours: a call into the library costs as much as a short text. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash64(struct slice s)
{
    return XXH3_64bits(s.data, s.size);
}

uint64_t hash64_pair(struct slice a, struct slice b)
{
    /* The first text's hash is the seed of the second's, so the border between them counts. */
    return XXH3_64bits_withSeed(b.data, b.size, XXH3_64bits(a.data, a.size));
}

/* The canonical form is big-endian: the same bytes on disk whatever machine wrote them. */
struct hash_digest hash128(struct slice s)
{
    XXH128_canonical_t canonical;
    struct hash_digest digest;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(s.data, s.size));
    _Static_assert(sizeof(canonical.digest) == sizeof(digest.bytes), "128 bits");
    memcpy(digest.bytes, canonical.digest, sizeof(digest.bytes));
    return digest;
}
