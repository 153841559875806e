/* seed.h - the seed of a random test: by the clock, printed, and said again with FLYWHEEL_SEED. */
#ifndef FW_TESTS_NN_SEED_H
#define FW_TESTS_NN_SEED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t seed_of_run(void) {
    const char *given = getenv("FLYWHEEL_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu (FLYWHEEL_SEED repeats it)\n", (unsigned long long)seed);
    return seed;
}

#endif
