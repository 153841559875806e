/* rollout.h - cars driving in their scenarios with the network as it stands: one tile of a batch each
 * task, on whatever thread.
 *
 *   32 observations --network, 32 rows--> scores --draw--> actions --sim.h--> rewards, next ones
 *
 * A car whose drive ends begins another, so drives go on from batch to batch. Ranks drive tiles next to
 * each other and then swap them, each array as it lies.
 */
#ifndef FW_LINES_DRIVING_ROLLOUT_H
#define FW_LINES_DRIVING_ROLLOUT_H

#include "base/pool.h"
#include "lines/driving/learn/batch.h"
#include "lines/driving/learn/ppo.h"

typedef struct fw_ppo_rollouts fw_ppo_rollouts;

/* What came of a batch's drives. */
typedef struct fw_ppo_counts {
    uint64_t drives, clean; /* that ended in it */
    double entropy;         /* of the choices, the mean over its rows, in nats */
} fw_ppo_counts;

/* config and network outlive the rollouts. */
fw_status fw_ppo_rollouts_open(const fw_ppo_config *config, const fw_nn_graph *network,
                               fw_ppo_rollouts **out, fw_error *error) FW_MUST;
void fw_ppo_rollouts_close(fw_ppo_rollouts *rollouts);
/* Fills the batch, but for advantage and target, with all ranks' tiles. */
fw_status fw_ppo_rollouts_run(fw_ppo_rollouts *rollouts, fw_pool *pool, const float *params,
                              fw_ppo_batch *batch, fw_ppo_counts *out, fw_error *error) FW_MUST;

#endif
