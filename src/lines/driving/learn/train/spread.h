/* spread.h - a quantile of how far the value heads disagree, over millions of looks in a fixed space.
 *
 * Counts in bins of equal ratio (about 2.3 % wide), from 1e-4 on: the quantile is right to one bin. */
#ifndef FW_LINES_DRIVING_LEARN_SPREAD_H
#define FW_LINES_DRIVING_LEARN_SPREAD_H

#include <stdint.h>

enum { FW_LEARN_SPREAD_BINS = 600 };

typedef struct fw_learn_spread {
    uint64_t count, bins[FW_LEARN_SPREAD_BINS];
} fw_learn_spread;

void fw_learn_spread_add(fw_learn_spread *spread, float value);
/* Upper edge of the bin in which the share `quantile` of all values is reached; 0 when there are none. */
double fw_learn_spread_quantile(const fw_learn_spread *spread, double quantile);

#endif
