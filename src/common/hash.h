/* hash: the one door to xxHash (XXH3). Fast, well spread, not cryptographic.
 *
 * The values of hash64 and hash128 are stored on disk (digests) and must never change:
 * XXH3 with seed 0, digests in canonical (big-endian) byte order.
 * Source: https://github.com/Cyan4973/xxHash (XXH3 is stable since 0.8.0).
 */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stdint.h>

#include "common/slice.h"

#define HASH_DIGEST_SIZE 16

/* Compared byte by byte, and stored as it stands. */
struct hash_digest {
    uint8_t bytes[HASH_DIGEST_SIZE];
};

/* 64 bits: for tables and fingerprints, whose hits are compared with the real thing. */
uint64_t hash64(struct slice s);

/* The hash of two texts as one pair: ("ab","c") and ("a","bc") differ. */
uint64_t hash64_pair(struct slice a, struct slice b);

/* 128-bit digest of the bytes, used to tell the same body from another one. */
struct hash_digest hash128(struct slice s);

#endif
