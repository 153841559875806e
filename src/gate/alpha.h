/* alpha.h - how the chance of a false promotion is spent over candidates that come one after another.
 *
 *   place t in the epoch          1      2      3     ...    20   then the sealed suite is worn: nothing is promoted
 *   its share gamma_t            1/2    1/6   1/12          1/420        gamma_t = 1 / (t (t + 1)), sum 20/21
 *   alpha_t = alpha gamma_t (promotions in the epoch so far + 1)
 *   promote when the e-value reaches 1 / alpha_t
 *
 * This is e-LOND (Xu and Ramdas, Online multiple testing with e-values, AISTATS 2024): the expected share of false
 * promotions among an epoch's promotions is at most alpha, whatever the dependence between its candidates: they are
 * trained from one another and judged on the same recordings. gamma falls as slowly as a series with such a sum may that
 * gives half to the first: a fleet's first candidates are far better than what they replace, and each promotion
 * gives the level back (after promotions alone alpha_t = alpha / (t + 1)).
 *
 * Why an epoch ends. E-values of candidates that were chosen by looking at the suite are none. Training cannot open it,
 * but each decision tells one bit of it; so a suite serves FW_GATE_PLACES decisions at most, and an epoch ends as soon as
 * FW_GATE_FRESH held-out recordings came after it began: the next epoch's suite is those and later ones alone.
 */
#ifndef FW_GATE_ALPHA_H
#define FW_GATE_ALPHA_H

#include <stdint.h>

enum { FW_GATE_PLACES = 20, FW_GATE_FRESH = 60 };

/* gamma of place 1, 2 ...; 0 where the suite is worn. */
double fw_gate_share(uint32_t place);
/* alpha_t. */
double fw_gate_alpha(double alpha, uint32_t place, uint32_t promotions);

#endif
