/* sequential.h - tests that may be looked at after every observation: the gate's and the rollouts' statistics.
 *
 * Wealth of a gambler who bets against a hypothesis (Shafer 2021; Waudby-Smith and Ramdas 2024, "Estimating means of
 * bounded random variables by betting"): it multiplies by 1 + lambda (x - m) with each observation x. Under the
 * hypothesis its expectation never grows, so by Ville's inequality it ever reaches 1/alpha with probability at most
 * alpha: whenever one stops, however few observations, whatever their distribution. Wald's SPRT is the case of one
 * simple alternative, where it is the likelihood ratio.
 *
 * The bet is that paper's plug-in (aGRAPA): before each observation lambda = mean / (variance + mean^2) of the gains so
 * far, between 0 and FW_BET_MOST of the largest that cannot ruin. The start is worth two observations with a mean
 * of 0.2 and a variance of 0.1. Beside a mixture of 24 fixed bets it needs a third fewer recordings where a gain is
 * large and they are few (tests/gate/test_gate_trials.c), and that is what a gate is short of.
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

/* Shares of the largest bet. */
#define FW_BET_MOST 0.95

/* The wealth of one side: against "mean <= bound" (above) or "mean >= bound" (not above), x in [low, high]. */
typedef struct fw_wager {
    double low, high, bound;
    bool above;
    double log_wealth;
    double sum, sum_of_squares; /* of the gains so far, each as a share of the largest loss */
    uint64_t n;
} fw_wager;

fw_wager fw_wager_of(double low, double high, double bound, bool above);
void fw_wager_add(fw_wager *wager, double x);
/* What the next observation is bet on with, 0 .. FW_BET_MOST: a share of the largest bet that cannot ruin. */
double fw_wager_bet(const fw_wager *wager);
/* The e-value so far, as its natural logarithm. */
double fw_wager_log_e(const fw_wager *wager);

typedef enum fw_verdict { FW_VERDICT_OPEN, FW_VERDICT_PROMOTE, FW_VERDICT_FUTILE } fw_verdict;

typedef struct fw_sequential {
    double alpha, beta, m0, m1;
    fw_wager better, futile;
    fw_verdict verdict; /* the first boundary that was reached; stays, and what comes after is not counted */
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
