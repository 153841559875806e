#include "gate/sequential.h"

#include <math.h>

#include "base/status.h"

/* What a gambler believes before anything is seen, and how many observations that is worth. */
static const double prior_n = 2, prior_mean = 0.2, prior_variance = 0.1;

fw_wager fw_wager_of(double low, double high, double bound, bool above) {
    FW_ASSERT(low < bound && bound < high);
    return (fw_wager){.low = low, .high = high, .bound = bound, .above = above};
}

double fw_wager_bet(const fw_wager *w) {
    double n = prior_n + (double)w->n;
    double mean = (prior_n * prior_mean + w->sum) / n;
    double square = (prior_n * (prior_variance + prior_mean * prior_mean) + w->sum_of_squares) / n;
    return fmax(0, fmin(FW_BET_MOST, mean / square));
}

void fw_wager_add(fw_wager *w, double x) {
    FW_ASSERT(x >= w->low && x <= w->high);
    double gain = w->above ? (x - w->bound) / (w->bound - w->low) : (w->bound - x) / (w->high - w->bound);
    w->log_wealth += log1p(fw_wager_bet(w) * gain);
    w->sum += gain;
    w->sum_of_squares += gain * gain;
    w->n++;
}

double fw_wager_log_e(const fw_wager *w) { return w->log_wealth; }

fw_sequential fw_sequential_of(double low, double high, double m0, double m1, double alpha, double beta) {
    FW_ASSERT(m0 < m1 && alpha > 0 && alpha < 1 && beta > 0 && beta < 1);
    return (fw_sequential){.alpha = alpha,
                           .beta = beta,
                           .m0 = m0,
                           .m1 = m1,
                           .better = fw_wager_of(low, high, m0, true),
                           .futile = fw_wager_of(low, high, m1, false)};
}

fw_verdict fw_sequential_add(fw_sequential *t, double x) {
    if (t->verdict != FW_VERDICT_OPEN) return t->verdict;
    fw_wager_add(&t->better, x);
    fw_wager_add(&t->futile, x);
    if (fw_wager_log_e(&t->better) >= -log(t->alpha)) t->verdict = FW_VERDICT_PROMOTE;
    else if (fw_wager_log_e(&t->futile) >= -log(t->beta)) t->verdict = FW_VERDICT_FUTILE;
    if (t->verdict != FW_VERDICT_OPEN) t->decided_at = t->better.n;
    return t->verdict;
}

/* ---- two rates ---- */

/* Log of the mean of p^k (1-p)^(n-k) over a uniform p in [from, to], by the midpoint rule in log space, against
 * the same at p0: the likelihood ratio of a uniform mixture. */
enum { SLICES = 512 };

static double log_likelihood(double p, uint64_t k, uint64_t n) {
    return (k ? (double)k * log(p) : 0) + (n > k ? (double)(n - k) * log1p(-p) : 0);
}

double fw_rate_log_e(uint64_t ring_events, double ring_exposure, uint64_t control_events, double control_exposure,
                     double ratio, bool above) {
    uint64_t n = ring_events + control_events;
    if (n == 0 || !(ring_exposure > 0) || !(control_exposure > 0)) return 0;
    double p0 = ratio * ring_exposure / (ratio * ring_exposure + control_exposure);
    double from = above ? p0 : 0, to = above ? 1 : p0;
    double at_bound = log_likelihood(p0, ring_events, n), most = -INFINITY, sum = 0;
    double width = (to - from) / SLICES;
    /* midpoints: neither 0 nor 1 is ever asked for */
    for (int i = 0; i < SLICES; i++)
        most = fmax(most, log_likelihood(from + width * (i + 0.5), ring_events, n));
    for (int i = 0; i < SLICES; i++)
        sum += exp(log_likelihood(from + width * (i + 0.5), ring_events, n) - most);
    return most - at_bound + log(sum / SLICES);
}
