/* Times of decisions, in bins of a sixteenth of a doubling. */
#include "lines/driving/learn/score/cost.h"

#include <math.h>

static const double first_us = 0.1;
static const double per_doubling = 16;

uint32_t fw_score_cost_bin(double us) {
    double at = floor(log2(us / first_us) * per_doubling);
    if (!(at > 0)) return 0;
    return at < FW_SCORE_BINS - 1 ? (uint32_t)at : FW_SCORE_BINS - 1;
}

double fw_score_cost_us(const fw_score_cost *cost, double share) {
    uint64_t all = 0, below = 0;
    for (uint32_t i = 0; i < FW_SCORE_BINS; i++) all += cost->bins[i];
    if (all == 0) return NAN;
    uint32_t i = 0;
    for (; i < FW_SCORE_BINS; i++) {
        below += cost->bins[i];
        if ((double)below >= share * (double)all) break;
    }
    return first_us * exp2((i + 1) / per_doubling);
}
