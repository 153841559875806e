#include "gate/sequential.h"

#include <math.h>

#include "base/status.h"

/* Shares of the largest bet that cannot ruin: half a FW_BETS-th, one and a half ... */
static double bet_of(const fw_wager *w, int i) {
    double worst = w->above ? w->bound - w->low : w->high - w->bound;
    return ((double)i + 0.5) / FW_BETS / worst;
}

fw_wager fw_wager_of(double low, double high, double bound, bool above) {
    FW_ASSERT(low < bound && bound < high);
    return (fw_wager){.low = low, .high = high, .bound = bound, .above = above};
}

void fw_wager_add(fw_wager *w, double x) {
    FW_ASSERT(x >= w->low && x <= w->high);
    double gain = w->above ? x - w->bound : w->bound - x;
    for (int i = 0; i < FW_BETS; i++) w->log_wealth[i] += log1p(bet_of(w, i) * gain);
    w->n++;
}

double fw_wager_log_e(const fw_wager *w) {
    double most = w->log_wealth[0], sum = 0;
    for (int i = 1; i < FW_BETS; i++) most = fmax(most, w->log_wealth[i]);
    for (int i = 0; i < FW_BETS; i++) sum += exp(w->log_wealth[i] - most);
    return most + log(sum / FW_BETS);
}

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
    fw_wager_add(&t->better, x);
    fw_wager_add(&t->futile, x);
    if (t->verdict != FW_VERDICT_OPEN) return t->verdict;
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
