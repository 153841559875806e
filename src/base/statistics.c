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

fw_interval fw_cluster_bootstrap95(const double *numerator, const double *denominator,
                                   size_t clusters, unsigned draws, uint64_t seed) {
    FW_ASSERT(clusters > 0 && draws > 0);
    double *ratio = malloc(draws * sizeof *ratio);
    FW_ASSERT(ratio);
    fw_random r = fw_random_named(seed, "bootstrap");
    for (unsigned d = 0; d < draws; d++) {
        double top = 0, bottom = 0;
        for (size_t i = 0; i < clusters; i++) {
            size_t pick = fw_random_below(&r, (uint32_t)clusters);
            top += numerator[pick];
            bottom += denominator[pick];
        }
        ratio[d] = bottom > 0 ? top / bottom : 0;
    }
    qsort(ratio, draws, sizeof *ratio, compare_double);
    fw_interval out = {ratio[(unsigned)(0.025 * draws)], ratio[(unsigned)(0.975 * draws)]};
    free(ratio);
    return out;
}
