/* random.h - the one random generator: PCG32 (O'Neill 2014), seeded by numbers or names.
 *
 * Every stream of randomness has its own fw_random, derived from the run's seed and a name, so
 * that adding one draw in one place changes nothing elsewhere. Same seed, same draws, everywhere.
 */
#ifndef FW_BASE_RANDOM_H
#define FW_BASE_RANDOM_H

#include <stdint.h>

typedef struct fw_random {
    uint64_t state, stream;
} fw_random;

/* A generator for (seed, name), for example (7, "ppo/init"). */
fw_random fw_random_named(uint64_t seed, const char *name);
/* A generator for (seed, index): many parallel streams. */
fw_random fw_random_indexed(uint64_t seed, uint64_t index);
uint32_t fw_random_u32(fw_random *r);
/* Uniform in [0, bound), bound > 0, without modulo bias. */
uint32_t fw_random_below(fw_random *r, uint32_t bound);
/* Uniform in [0, 1), 24 bits. */
float fw_random_unit(fw_random *r);
/* Standard normal (Box-Muller). */
float fw_random_normal(fw_random *r);
/* A 64-bit seed mixed from a seed and a name (FNV-1a, then SplitMix64). */
uint64_t fw_seed_mix(uint64_t seed, const char *name);

#endif
