/* cost.h - private to score/: where a decision's time is counted. */
#ifndef FW_LINES_DRIVING_SCORE_COST_H
#define FW_LINES_DRIVING_SCORE_COST_H

#include "lines/driving/learn/score/score.h"

/* Bin i: up to 0.1 us times 2^((i + 1) / 16). */
uint32_t fw_score_cost_bin(double us);

#endif
