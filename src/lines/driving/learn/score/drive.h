/* drive.h - one scenario's cases, driven by one row: what score.c runs in threads, and what pictures watch. */
#ifndef FW_LINES_DRIVING_SCORE_DRIVE_H
#define FW_LINES_DRIVING_SCORE_DRIVE_H

#include <stdatomic.h>

#include "lines/driving/learn/score/score.h"

/* Looks on: in every tick once for each car that runs, between its decision and the step. The log decides
 * nothing: action and veto are zero then. */
typedef struct fw_score_watch {
    void *self;
    void (*decided)(void *self, const fw_sim *sim, uint32_t agent, fw_drive_action action, fw_guard_veto veto);
} fw_score_watch;

typedef struct fw_score_run_of {
    const fw_scenario *scenario;
    const fw_driver *driver;
    fw_sim_traffic traffic;
    const fw_score_case *cases; /* (count) of this scenario, in order */
    uint32_t count, ticks_max;
    uint64_t seed;
    const atomic_bool *stop;
    fw_sim_drive *drives; /* (count) out; ticks 0: it could not begin */
    fw_score_seen *seen;  /* (count) added to; NULL: nobody asks */
    _Atomic uint32_t *bins; /* (FW_SCORE_BINS) of decision times, added to */
    const fw_score_watch *watch; /* NULL: nobody looks on */
} fw_score_run_of;

fw_status fw_score_drive_all(const fw_score_run_of *run, fw_sim *sim, fw_error *error) FW_MUST;

#endif
