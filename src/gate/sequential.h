/* sequential.h - tests that may be looked at after every observation: the gate's and the rollouts' statistics.
 *
 * Wealth of a gambler who bets against a hypothesis (Shafer 2021; Waudby-Smith and Ramdas 2024, "Estimating means of
 * bounded random variables by betting"): it multiplies by 1 + lambda (x - m) with each observation x, averaged
 * over a fixed grid of lambda. Under the hypothesis its expectation never grows, so by Ville's inequality it
 * ever reaches 1/alpha with probability at most alpha: whenever one stops, however few observations, whatever their
 * distribution. Wald's SPRT is the case of one simple alternative, where it is the likelihood ratio.
 *
 *   H0: mean <= m0 (not better)       --wealth >= 1/alpha--> promote
 *   H1: mean >= m1 (better by m1)     --wealth >= 1/beta---> stop: not so much better
 *   neither when the suite is through --> refuse: not shown
 *
 * Invariants: (1) the order of observations is fixed before they are seen; (2) observations are independent, or
 * clusters are (one observation is a whole cluster's mean); (3) same observations, same figures to the bit.
 */
#ifndef FW_GATE_SEQUENTIAL_H
#define FW_GATE_SEQUENTIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/statistics.h"

enum { FW_BETS = 24 };

/* The wealth of one side: against "mean <= bound" (above) or "mean >= bound" (not above), x in [low, high]. */
typedef struct fw_wager {
    double low, high, bound;
    bool above;
    double log_wealth[FW_BETS]; /* by bet */
    uint64_t n;
} fw_wager;

fw_wager fw_wager_of(double low, double high, double bound, bool above);
void fw_wager_add(fw_wager *wager, double x);
/* The e-value so far, as its natural logarithm. */
double fw_wager_log_e(const fw_wager *wager);

typedef enum fw_verdict { FW_VERDICT_OPEN, FW_VERDICT_PROMOTE, FW_VERDICT_FUTILE } fw_verdict;

typedef struct fw_sequential {
    double alpha, beta, m0, m1;
    fw_wager better, futile;
    fw_verdict verdict; /* the first boundary that was reached; stays */
    uint64_t decided_at; /* observations until then; 0: open */
} fw_sequential;

/* x in [low, high]; m0 < m1. */
fw_sequential fw_sequential_of(double low, double high, double m0, double m1, double alpha, double beta);
fw_verdict fw_sequential_add(fw_sequential *test, double x);

/* Two rates compared (events per km): given n events in all, those of the ring are binomial with
 * p = ratio r_km / (ratio r_km + c_km). Log of the e-value against "rate of ring <= ratio * rate of control" (above)
 * or ">=" (not above), for counts so far; a uniform mixture of the alternatives, so it may be looked at any time as long as
 * exposures are not chosen by outcomes. */
double fw_rate_log_e(uint64_t ring_events, double ring_exposure, uint64_t control_events, double control_exposure,
                     double ratio, bool above);

#endif
