#include "gate/peer.h"

#include <math.h>

fw_peer fw_peer_of(double m0, double m1, double alpha, double beta) {
    return (fw_peer){.alpha = alpha, .beta = beta, .m0 = m0, .m1 = m1};
}

double fw_peer_llr(const fw_peer *p) {
    double n = (double)p->n;
    if (p->n < 2) return 0;
    double mean = p->sum / n, variance = p->sum_of_squares / n - mean * mean;
    if (!(variance > 1e-12)) return 0;
    return n * (p->m1 - p->m0) * (2 * mean - p->m0 - p->m1) / (2 * variance);
}

fw_verdict fw_peer_add(fw_peer *p, double x) {
    if (p->verdict != FW_VERDICT_OPEN) return p->verdict;
    p->sum += x;
    p->sum_of_squares += x * x;
    p->n++;
    double llr = fw_peer_llr(p);
    if (llr >= log((1 - p->beta) / p->alpha)) p->verdict = FW_VERDICT_PROMOTE;
    else if (llr <= log(p->beta / (1 - p->alpha))) p->verdict = FW_VERDICT_FUTILE;
    if (p->verdict != FW_VERDICT_OPEN) p->decided_at = p->n;
    return p->verdict;
}
