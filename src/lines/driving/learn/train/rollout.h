/* rollout.h - cars driving in their scenarios with the network as it stands: one tile of a batch each
 * task, on whatever thread.
 *
 *   rows of a tile:   0 ........ self-play ........ | ...... single drives ...... 63
 *                     [ world A: 9 agents ][ B: 16 ]  [C][D][E] ...
 *
 *   64 observations --network--> scores --draw--> actions --sim.h--> rewards, next ones
 *
 * Of a world in self-play each agent has a row of its own, a single drive one. An agent's row is vacant once
 * its drive is over, until a new world takes it; one begins as soon as there is room for a few agents, so
 * that little stands vacant. Drives go on from batch to batch. Ranks drive tiles next to each other and
 * then swap them, each array as it lies.
 *
 * Imitating, half of the cars do what the network draws and half what the human would have done from there
 * (label.h); all rows are labelled by the human.
 */
#ifndef FW_LINES_DRIVING_LEARN_ROLLOUT_H
#define FW_LINES_DRIVING_LEARN_ROLLOUT_H

#include "base/pool.h"
#include "lines/driving/learn/train/batch.h"
#include "lines/driving/learn/train/mix.h"
#include "nn/train/ranks.h"

typedef struct fw_learn_rollouts fw_learn_rollouts;

enum { FW_LEARN_ENDS = FW_SIM_TIME_OUT + 1 };

/* What came of a batch's drives. */
typedef struct fw_learn_counts {
    uint64_t rows;                                    /* that were not vacant */
    uint64_t drives, clean;                           /* that ended in it */
    uint64_t ends[FW_SIM_TRAFFIC_COUNT][FW_LEARN_ENDS]; /* of them, by fw_sim_end */
    double entropy;                                   /* of the choices, the sum over rows, in nats */
    double matches;                                   /* imitation: rows whose best acceleration is the label */
} fw_learn_counts;

typedef struct fw_learn_rollouts_config {
    fw_learn_mix mix;
    uint64_t seed;
    const fw_nn_ranks *ranks;
} fw_learn_rollouts_config;

/* The set of the mix and the network outlive the rollouts. */
fw_status fw_learn_rollouts_open(const fw_learn_rollouts_config *config, const fw_nn_graph *network,
                                 fw_learn_rollouts **out, fw_error *error) FW_MUST;
void fw_learn_rollouts_close(fw_learn_rollouts *rollouts);
/* Fills the batch, but for advantage and target, with all ranks' tiles. */
fw_status fw_learn_rollouts_run(fw_learn_rollouts *rollouts, fw_pool *pool, const float *params,
                                fw_learn_batch *batch, fw_learn_counts *out, fw_error *error) FW_MUST;

/* A drive with a goal is clean when it got there, one without when nothing went wrong; no red light either way. */
bool fw_learn_clean(const fw_scenario *scenario, const fw_sim_drive *drive);

#endif
