/* statistics.h - the few statistics every station quotes, with their sources. */
#ifndef FW_BASE_STATISTICS_H
#define FW_BASE_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

typedef struct fw_interval {
    double low, high;
} fw_interval;

/* Wilson score interval of k successes in n trials, 95 % (Wilson 1927). n = 0 gives [0, 1]. */
fw_interval fw_wilson95(uint64_t k, uint64_t n);

/* Percentile bootstrap (Efron 1979), 95 %, of the ratio sum(numerator)/sum(denominator), whole
 * clusters resampled with replacement; `clusters` >= 1; `draws` resamples from `seed`. */
fw_interval fw_cluster_bootstrap95(const double *numerator, const double *denominator,
                                   size_t clusters, unsigned draws, uint64_t seed);

#endif
