/* replay.h - the same drive by several drivers, written down; and finding the one worth looking at.
 *
 *   scenario, case --every driver--> traces --strip.h, animation.h, trace.h: JSON--> people
 *
 * A drive is the one that an evaluation of the scenario would have (score.h, the same seed): what failed
 * there fails here.
 */
#ifndef FW_LINES_DRIVING_REPLAY_H
#define FW_LINES_DRIVING_REPLAY_H

#include "lines/driving/learn/picture/trace.h"
#include "lines/driving/learn/score/score.h"

/* What is driven: a track, from a tick of the scenario's log on. */
typedef struct fw_replay_case {
    const fw_scenario *scenario;
    fw_sim_traffic traffic;
    uint32_t track, tick; /* in self-play the tick is the track's own first */
    uint32_t ticks_max;   /* as in score.h */
    uint64_t seed;
} fw_replay_case;

/* One trace a driver (count), which the caller clears. FW_INVALID: no drive begins there; none is made then. */
fw_status fw_replay_run(const fw_replay_case *what, const fw_driver *drivers, uint32_t count, fw_trace *out,
                        fw_error *error) FW_MUST;

/* Goes through an evaluation's cases of a kind of traffic for drives that driver `failed` failed and driver
 * `passed` passed (FW_REPLAY_ANYBODY: only that one failed it). Writes at most `most` indices of cases, no
 * two of one scenario, collisions and red lights before others; returns how many. */
enum { FW_REPLAY_ANYBODY = UINT32_MAX };
uint32_t fw_replay_find(const fw_score_table *table, uint32_t failed, uint32_t passed, uint32_t *cases, uint32_t most);

#endif
