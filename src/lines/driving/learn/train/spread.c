#include "lines/driving/learn/train/spread.h"

#include <math.h>

static const double least = 1e-4;
enum { BINS_A_DECADE = 100 };

void fw_learn_spread_add(fw_learn_spread *spread, float value) {
    float at = value > (float)least ? BINS_A_DECADE * log10f(value / (float)least) : 0;
    uint32_t bin = at < FW_LEARN_SPREAD_BINS - 1 ? (uint32_t)at : FW_LEARN_SPREAD_BINS - 1;
    spread->bins[bin]++;
    spread->count++;
}

double fw_learn_spread_quantile(const fw_learn_spread *spread, double quantile) {
    double wanted = quantile * (double)spread->count, seen = 0;
    for (uint32_t bin = 0; bin < FW_LEARN_SPREAD_BINS && spread->count > 0; bin++) {
        seen += (double)spread->bins[bin];
        if (seen >= wanted) return least * pow(10, (double)(bin + 1) / BINS_A_DECADE);
    }
    return 0;
}
