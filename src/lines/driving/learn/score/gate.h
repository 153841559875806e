/* gate.h - the gate's evidence for driving: champion and candidate through the held-out recordings.
 *
 *   candidate --loads? the file that was trained? in time? --no--> refused, nothing is driven
 *   held-out recordings --scenario.h--> scenarios, in the order of gate/gate.h, some at a time
 *      --score.h, both drivers, reactive traffic--> pairs of drives --gate/gate.h--> stop early, or go on
 *   slices, limits --> decision, reason, record
 *
 * Every recording is driven from its start and from every ten seconds on, for at most thirty seconds, without
 * jitter; a recording is one observation. Clean: score/metrics.h.
 *
 *   limit               bound                             why
 *   parameters          1,000,000 at most                 what fits a unit's slot
 *   decision time p99   1 ms at most, of CPU, batch 1     a hundredth of a tick: a unit's processor may be many times slower
 *   no numbers          0 at most                         decisions that are not finite
 *   way                 0.3 of the champion's at least    standing still is no skill
 *   guard vetoes        not shown (level 0.05) to begin    the guard is the last resort, not a way of driving; their
 *                       more than 1.5 times as often       dispersion between recordings is taken into account
 *                       per km
 */
#ifndef FW_LINES_DRIVING_SCORE_GATE_H
#define FW_LINES_DRIVING_SCORE_GATE_H

#include "gate/gate.h"
#include "lines/driving/learn/learn.h"

enum { FW_DRIVING_GATE_PARAMETERS = 1000000, FW_DRIVING_GATE_DEADLINE_US = 1000 };

typedef struct fw_driving_gate_config {
    const char *const *recordings; /* the suite: held-out share, in any order */
    uint32_t recording_count;
    const char *champion_path, *candidate_path;
    const char *candidate_hash; /* of the file that was trained; NULL: whatever lies there */
    const fw_gate_plan *plan;   /* its suite may be empty: then it is that of the recordings; NULL: the usual one */
    uint32_t deadline_us;       /* 0: FW_DRIVING_GATE_DEADLINE_US */
    uint32_t threads;
    const char *replays_path; /* a few drives to be looked at (picture/fixes.h); NULL: none. That they cannot
                                 be written is said on the log and stops nothing */
    fw_driving_progress progress;
} fw_driving_gate_config;

typedef struct fw_driving_gate_result {
    uint32_t scenarios;                  /* n, pairs */
    double champion_clean, candidate_clean; /* shares of n */
    double difference, low, high;        /* candidate - champion, 95 % by resampling whole recordings; for people */
    bool promote;
    char reason[FW_GATE_REASON_MAX]; /* one sentence with the figures */
    json_t *record;                  /* docs/formats/gate-record.md; owned by the caller */
} fw_driving_gate_result;

/* A candidate that cannot be loaded is refused, not an error. */
fw_status fw_driving_gate(const fw_driving_gate_config *config, fw_driving_gate_result *out,
                          fw_error *error) FW_MUST;
void fw_driving_gate_clear(fw_driving_gate_result *result);

#endif
