/* fp_index: an in-memory multimap from 64-bit fingerprints to positions. Exactness is the caller's:
 * a hit is a candidate that must be compared with the real thing.
 *
 * Open addressing, 16 bytes a slot, load <= 0.8, so about 20-40 bytes an entry. Growing doubles;
 * the memory limit is checked before a grow and includes the old table, which lives until the new
 * one is filled. Memory never shrinks. Threads: one at a time; the owner locks.
 */
#ifndef COMMON_FP_INDEX_H
#define COMMON_FP_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fp_index;

/* memory_max: bytes; 0 = no limit. */
struct fp_index *fp_index_new(size_t memory_max);
void fp_index_free(struct fp_index *index);

/* Makes room for count entries in total. false (unchanged) when that would pass the limit. */
bool fp_index_reserve(struct fp_index *index, size_t count);

/* Adds an entry (value >= 1; the same pair may be added twice). false when the limit is reached. */
bool fp_index_add(struct fp_index *index, uint64_t fingerprint, int64_t value);

/* Removes one entry with that pair. false when there is none. */
bool fp_index_remove(struct fp_index *index, uint64_t fingerprint, int64_t value);

/* Writes up to max values filed under the fingerprint into out; returns how many there are
 * (which may be more than max). */
size_t fp_index_find(const struct fp_index *index, uint64_t fingerprint, int64_t *out, size_t max);

size_t fp_index_count(const struct fp_index *index);
size_t fp_index_memory(const struct fp_index *index); /* bytes */

#endif
