/* gate.h - the gate's evidence: champion and candidate through the held-out recordings.
 *
 *   held-out recordings --scenario.h--> scenarios --score.h, both drivers, reactive traffic--> drives
 *   drives, paired --figures.h--> difference of the clean share, whole recordings resampled --> decision
 *
 * Every recording is driven from its start and from every ten seconds on, for at most thirty seconds,
 * without jitter. It refuses a candidate that hardly moves (less than 0.3 of the champion's metres), whose
 * clean share lies more than 3 points below the champion's, or that is shown to be worse (the whole 95 %
 * interval of the difference below 0).
 */
#ifndef FW_LINES_DRIVING_SCORE_GATE_H
#define FW_LINES_DRIVING_SCORE_GATE_H

#include "lines/driving/learn/learn.h"

typedef struct fw_driving_gate_config {
    const char *const *recordings; /* held-out share, sorted by hash */
    uint32_t recording_count;
    const char *champion_path, *candidate_path;
    uint32_t threads;
    const char *replays_path; /* a few drives to be looked at (picture/fixes.h); NULL: none. That they cannot
                                 be written is said on the log and stops nothing */
    fw_driving_progress progress;
} fw_driving_gate_config;

typedef struct fw_driving_gate_result {
    uint32_t scenarios;                  /* n, pairs */
    double champion_clean, candidate_clean; /* shares of n */
    double difference, low, high;        /* candidate - champion, 95 % */
    bool promote;
    char reason[240]; /* one sentence with the figures */
} fw_driving_gate_result;

fw_status fw_driving_gate(const fw_driving_gate_config *config, fw_driving_gate_result *out,
                          fw_error *error) FW_MUST;

#endif
