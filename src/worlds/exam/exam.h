/* exam.h - the sealed evaluation: what a policy is worth, by the world's own truth.
 *
 *     policy file --+                      run 1 (sealed seed) -> drives -+
 *     guard or not  +-> fw_exam_run -->    run 2               -> drives -+-> one result (JSON)
 *     network       |                      ...                            |
 *                                          run R               -> drives -+
 *
 * Each run is one independent simulation, a cluster of the statistics. Its seed is
 * fw_seed_mix(run, "exam/<network>") with FW_EXAM_SEED_SEALED set: fixed before any training, and
 * never used by it. Each run scores a fixed set of drives, the first ones taken over, and goes on
 * until all of them are over, so that long drives count as surely as short ones.
 *
 * Runs are independent, so that `jobs` of them are worked on side by side (jobs.h); the result is the same.
 *
 * Invariants: (1) every drive of the set is in the result: scored, or under "desync" when SUMO lost
 * the car, or under "not_started" when the city offered none; (2) same config, same policy file,
 * same program -> same result; (3) nothing of this module is linked into the factory.
 */
#ifndef FW_WORLDS_EXAM_H
#define FW_WORLDS_EXAM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "worlds/sumo/world.h"

#define FW_EXAM_SEED_SEALED (1ULL << 63)
enum {
    FW_EXAM_VERSION = 3, /* raise it when the meaning of a figure changes: old results are redone */
    FW_EXAM_RUNS_MAX = 64,
    FW_EXAM_DRIVES_MAX = 10000,
    FW_EXAM_RESTARTS_MAX = 3, /* tries of one run whose SUMO died */
    FW_EXAM_JOBS_MAX = 16,
    FW_EXAM_FAILURES_MAX = 32, /* failed drives of one run that a result lists */
};

/* A drive came to a signal when its stop line was no farther ahead than this, whatever it showed. */
#define FW_EXAM_SIGNAL_M 25.0

typedef struct fw_exam_config {
    const char *network; /* "acosta" or "pasubio" */
    const char *policy;  /* a model file's path, or "sumo": SUMO's own drivers */
    bool guard;          /* as units run it; alone otherwise */
    uint32_t drives;     /* wanted in all; each run gets its share and 1/15 more as a spare */
    uint32_t cars, runs;
    const fw_vehicles *vehicles; /* kinds; NULL: those that ship */
    fw_conditions conditions;    /* of the city (worlds/sumo/conditions.h); all zero: as measured */
    uint32_t jobs; /* runs side by side; 0 is 1; no part of the result */
} fw_exam_config;

/* Sums of one run's scored drives: one cluster. */
typedef struct fw_exam_sums {
    uint32_t drives, clean, collisions, at_fault, off_lane, stuck, red_light, desync, not_started,
        unfinished, lost; /* lost: desync and nothing failed before */
    uint32_t met[FW_DRIVE_MET_COUNT], met_no_fault[FW_DRIVE_MET_COUNT]; /* collisions by how */
    uint32_t bend_overlaps; /* drives with an overlap that is no collision (docs/truth.md) */
    uint32_t listed, listed_clean; /* came to one of the listed junctions; and were clean */
    uint32_t signal, signal_clean; /* came to a signal (FW_EXAM_SIGNAL_M); and were clean */
    uint64_t red_light_runs, hard_brakes, ticks, vetoes, decisions;
    double distance_m, time_s, jerk2_s; /* jerk2_s: sum of jerk_rms^2 * time */
} fw_exam_sums;

/* A run as it came out: its sums, and its first failed drives with how and where. */
typedef struct fw_exam_run {
    fw_exam_sums sums;
    uint32_t failure_count;
    fw_drive_result failures[FW_EXAM_FAILURES_MAX];
} fw_exam_run;

/* Drives of one run's set. */
uint32_t fw_exam_quota(const fw_exam_config *config);
/* The sealed seed of a run. */
uint64_t fw_exam_seed(const char *network, uint32_t run);
/* The conditions as words: the same state, the same text. */
void fw_exam_conditions(const fw_exam_config *config, char out[FW_CONDITIONS_TEXT_MAX]);
void fw_exam_add(fw_exam_run *run, const fw_drive_result *result);
/* The result object from config->runs clusters; the caller owns it. */
json_t *fw_exam_result(const fw_exam_config *config, const fw_exam_run *runs);
/* Runs the whole exam. The caller owns *out. */
fw_status fw_exam_take(const fw_exam_config *config, json_t **out, fw_error *error) FW_MUST;

#endif
