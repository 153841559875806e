#include "base/random.h"

#include <math.h>

static uint64_t splitmix64(uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

uint64_t fw_seed_mix(uint64_t seed, const char *name) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (const char *c = name; *c; c++) hash = (hash ^ (unsigned char)*c) * 0x100000001B3u;
    return splitmix64(hash ^ splitmix64(seed));
}

static fw_random random_of(uint64_t mixed) {
    fw_random r = {.state = 0, .stream = splitmix64(mixed) | 1u};
    fw_random_u32(&r);
    r.state += mixed;
    fw_random_u32(&r);
    return r;
}

fw_random fw_random_named(uint64_t seed, const char *name) {
    return random_of(fw_seed_mix(seed, name));
}

fw_random fw_random_indexed(uint64_t seed, uint64_t index) {
    return random_of(splitmix64(splitmix64(seed) + index));
}

uint32_t fw_random_u32(fw_random *r) {
    uint64_t old = r->state;
    r->state = old * 6364136223846793005u + r->stream;
    uint32_t word = (uint32_t)(((old >> 18) ^ old) >> 27);
    uint32_t turn = (uint32_t)(old >> 59);
    return (word >> turn) | (word << ((32u - turn) & 31u));
}

uint32_t fw_random_below(fw_random *r, uint32_t bound) {
    uint32_t threshold = (0u - bound) % bound;
    for (;;) {
        uint32_t draw = fw_random_u32(r);
        if (draw >= threshold) return draw % bound;
    }
}

float fw_random_unit(fw_random *r) { return (float)(fw_random_u32(r) >> 8) * 0x1p-24f; }

float fw_random_normal(fw_random *r) {
    float u = 1.0f - fw_random_unit(r), v = fw_random_unit(r);
    return sqrtf(-2.0f * logf(u)) * cosf(6.2831853f * v);
}
