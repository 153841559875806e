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

enum { FW_BOOTSTRAP_DRAWS_MAX = 4096 };

/* Bootstrap (Efron 1979), 95 %, of the ratio sum(numerator)/sum(denominator): whole clusters are resampled
 * with replacement, `draws` (1 .. FW_BOOTSTRAP_DRAWS_MAX) times from `seed`; draws without a denominator are
 * left out, [0, 0] when all are. The percentiles are widened for few clusters, as Student's t is beside
 * the normal distribution (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", 4.1.3); one
 * cluster gives its own ratio twice. clusters >= 1. */
fw_interval fw_cluster_bootstrap95(const double *numerator, const double *denominator,
                                   size_t clusters, unsigned draws, uint64_t seed);

/* The same of the difference of two ratios, a minus b, over the same clusters: paired. */
typedef struct fw_ratio {
    const double *numerator, *denominator; /* (clusters) */
} fw_ratio;
fw_interval fw_cluster_difference95(fw_ratio a, fw_ratio b, size_t clusters, unsigned draws, uint64_t seed);

/* For whoever resamples in a way of its own (clusters within clusters): the interval of `count` values that it
 * drew, widened for so many clusters at the outer level. Sorts the values; [0, 0] for none. */
fw_interval fw_bootstrap_interval95(double *values, unsigned count, size_t clusters);

#endif
