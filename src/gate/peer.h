/* peer.h - Fishtest's test, to measure ours beside it.
 *
 * The generalised SPRT of the mean of i.i.d. observations with an unknown variance, as Fishtest (Stockfish) runs it on
 * pairs of games: log-likelihood ratio of "mean = m1" to "mean = m0", the variance estimated from the same
 * observations (its normal approximation, LLR = n (m1 - m0) (2 mean - m0 - m1) / (2 variance)); bounds
 * log((1 - beta) / alpha) and log(beta / (1 - alpha)): +-2.94 for 0.05 and 0.05.
 *
 * Fishtest sees tens of thousands of games, a gate some dozen recordings: there the estimated variance is what errs.
 */
#ifndef FW_GATE_PEER_H
#define FW_GATE_PEER_H

#include "gate/sequential.h"

typedef struct fw_peer {
    double alpha, beta, m0, m1, sum, sum_of_squares;
    uint64_t n, decided_at;
    fw_verdict verdict;
} fw_peer;

fw_peer fw_peer_of(double m0, double m1, double alpha, double beta);
fw_verdict fw_peer_add(fw_peer *peer, double x);
double fw_peer_llr(const fw_peer *peer); /* 0 while the variance is not known */

#endif
