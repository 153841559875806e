#include "base/statistics.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/status.h"

fw_interval fw_wilson95(uint64_t k, uint64_t n) {
    if (n == 0) return (fw_interval){0.0, 1.0};
    const double z = 1.959963984540054;
    double total = (double)n, p = (double)k / total;
    double centre = p + z * z / (2 * total);
    double spread = z * sqrt(p * (1 - p) / total + z * z / (4 * total * total));
    double scale = 1 + z * z / total;
    return (fw_interval){fmax(0.0, (centre - spread) / scale), fmin(1.0, (centre + spread) / scale)};
}

static int compare_double(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double normal_below(double z) { return 0.5 * erfc(-z * M_SQRT1_2); }

/* Student's t, 97.5 %: closed forms, then Abramowitz and Stegun 26.7.5. */
static double student975(size_t freedom) {
    if (freedom == 1) return 12.706204736432095;
    if (freedom == 2) return 4.302652729911275;
    double z = 1.959963984540054, n = (double)freedom, z2 = z * z;
    double first = z * (z2 + 1) / 4, second = z * ((5 * z2 + 16) * z2 + 3) / 96;
    double third = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
    return z + (first + (second + third / n) / n) / n;
}

/* The share of draws to leave out at either end, for so many clusters. */
static double tail_of(size_t clusters) {
    if (clusters < 2) return 0.025;
    double g = (double)clusters;
    return normal_below(-sqrt(g / (g - 1)) * student975(clusters - 1));
}

fw_interval fw_bootstrap_interval95(double *values, unsigned count, size_t clusters) {
    if (count == 0) return (fw_interval){0.0, 0.0};
    qsort(values, count, sizeof *values, compare_double);
    unsigned out = (unsigned)(tail_of(clusters) * count);
    return (fw_interval){values[out], values[count - 1 - out]};
}

/* b NULL: a alone. */
static fw_interval resample(const fw_ratio *a, const fw_ratio *b, size_t clusters, unsigned draws,
                            uint64_t seed) {
    double value[FW_BOOTSTRAP_DRAWS_MAX];
    unsigned count = 0;
    FW_ASSERT(clusters > 0 && draws > 0 && draws <= FW_BOOTSTRAP_DRAWS_MAX);
    fw_random r = fw_random_named(seed, "bootstrap");
    for (unsigned d = 0; d < draws; d++) {
        double top[2] = {0}, bottom[2] = {0};
        for (size_t i = 0; i < clusters; i++) {
            size_t pick = fw_random_below(&r, (uint32_t)clusters);
            top[0] += a->numerator[pick];
            bottom[0] += a->denominator[pick];
            if (b) top[1] += b->numerator[pick], bottom[1] += b->denominator[pick];
        }
        if (bottom[0] <= 0 || (b && bottom[1] <= 0)) continue;
        value[count++] = top[0] / bottom[0] - (b ? top[1] / bottom[1] : 0);
    }
    return fw_bootstrap_interval95(value, count, clusters);
}

fw_interval fw_cluster_bootstrap95(const double *numerator, const double *denominator,
                                   size_t clusters, unsigned draws, uint64_t seed) {
    return resample(&(fw_ratio){numerator, denominator}, NULL, clusters, draws, seed);
}

fw_interval fw_cluster_difference95(fw_ratio a, fw_ratio b, size_t clusters, unsigned draws,
                                    uint64_t seed) {
    return resample(&a, &b, clusters, draws, seed);
}
