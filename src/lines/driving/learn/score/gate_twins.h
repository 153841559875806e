/* gate_twins.h - the gate's null, driven: two copies of one model, on independent seeds.
 *
 *   recording --a few starts--> copy A, jittered by seed a   ] clean?  A - B, mean over the starts = an observation
 *                               copy B, jittered by seed b   ]
 *
 * Identical weights on identical seeds would differ nowhere and prove nothing; here poses, speeds, times, lights and the
 * traffic's manners are drawn for each copy, so that each copy is clean with the same chance and not at the same
 * times. A promotion is false by construction.
 */
#ifndef FW_LINES_DRIVING_SCORE_GATE_TWINS_H
#define FW_LINES_DRIVING_SCORE_GATE_TWINS_H

#include "gate/trials.h"
#include "lines/driving/learn/learn.h"

typedef struct fw_gate_twins_config {
    const char *const *recordings; /* (recording_count) */
    uint32_t recording_count;
    const char *model_path;
    uint32_t trials, starts, ticks; /* starts of each recording at most; ticks of a drive at most */
    double alpha, beta, delta;
    uint32_t threads;
    uint64_t seed;
    fw_driving_progress progress;
} fw_gate_twins_config;

typedef struct fw_gate_twins {
    fw_gate_trials trials;
    uint32_t recordings;
    uint64_t drives; /* of both */
    double clean, discordant; /* share of drives, of pairs */
} fw_gate_twins;

fw_status fw_gate_twins_run(const fw_gate_twins_config *config, fw_gate_twins *out, fw_error *error) FW_MUST;

#endif
