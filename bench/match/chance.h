/* chance: reproducible pseudo-random numbers; the same on every machine.
 *
 * splitmix64: a counter whose every value is scattered. Good enough for made-up data, and a
 * sequence can begin anywhere: that makes item n of a workload without its neighbours.
 * Source: Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014.
 */
#ifndef MATCH_CHANCE_H
#define MATCH_CHANCE_H

#include <stdint.h>

/* One sequence. */
struct chance {
    uint64_t state;
};

/* All bits of the result depend on all bits of x. */
static inline uint64_t chance_scatter(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The sequence of one item. kind keeps sequences of different things apart. */
static inline struct chance chance_of(uint64_t seed, uint64_t kind, uint64_t number)
{
    return (struct chance){chance_scatter(chance_scatter(seed ^ kind << 56) + number)};
}

static inline uint64_t chance_next(struct chance *c)
{
    return chance_scatter(c->state += UINT64_C(0x9e3779b97f4a7c15));
}

/* 0 to limit - 1, all equally likely but for one in four billion. */
static inline uint32_t chance_below(struct chance *c, uint32_t limit)
{
    return (uint32_t)((chance_next(c) >> 32) * limit >> 32);
}

/* From 0 to below 1. */
static inline double chance_share(struct chance *c)
{
    return (double)(chance_next(c) >> 11) * 0x1p-53;
}

#endif
