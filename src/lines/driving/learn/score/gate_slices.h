/* gate_slices.h - private to score/: which slices of the gate a drive belongs to.
 *
 * What the recording was, not what anybody made of it, so that both drivers' drives lie in the same slices:
 *   "signals"            a light on the way                    "turn left", "turn right"   by the way (docs/metrics.md)
 *   "dense"              8 road users or more at the start     "fast", "slow"              11 m/s and more; under 3 m/s
 *   "vehicle van" ...    the kind that is driven               "site acosta" ...           where
 */
#ifndef FW_LINES_DRIVING_SCORE_GATE_SLICES_H
#define FW_LINES_DRIVING_SCORE_GATE_SLICES_H

#include "gate/gate.h"
#include "lines/driving/learn/score/score.h"

/* Adds a pair of drives to a cluster and to each of its slices. */
void fw_gate_slices_add(fw_gate_cluster *cluster, const fw_scenario *scenario, const fw_score_case *one, bool champion,
                        bool candidate);

#endif
