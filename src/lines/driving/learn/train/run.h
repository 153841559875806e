/* run.h - a training from its first update to its last: imitation where it is asked for, then proximal
 * policy optimisation (Schulman et al. 2017), both over the same simulated drives.
 *
 *   tiles of cars --rollout.h--> batch --batch.h: GAE--> shuffled minibatches --update.h--> trainer
 *        ^                                                  (nn/train/trainer.h)               |
 *        +----------------------------------- parameters <-------------------------------------+
 *
 * Recipe: the constants in mix.c, batch.c, update.c and run.c, and those of the reward (sim/reward.h).
 * Everything random comes from (seed, tile); a tile's work does not depend on threads or ranks, nor does the
 * trainer's; so the result is the same for any number of them.
 */
#ifndef FW_LINES_DRIVING_LEARN_RUN_H
#define FW_LINES_DRIVING_LEARN_RUN_H

#include "base/pool.h"
#include "lines/driving/learn/learn.h"
#include "lines/driving/learn/train/rollout.h"

typedef struct fw_learn_run_config {
    const fw_learn_set *set;
    uint32_t threads; /* of the trainer; drives are shared out over the caller's pool */
    const fw_nn_ranks *ranks; /* each drives its share of the tiles, and knows the whole batch */
    uint64_t seed, imitation_steps, agent_steps;
    bool warm; /* parameters come from a trained champion: smaller steps, less exploration */
    fw_driving_progress progress;
} fw_learn_run_config;

typedef struct fw_learn_run_report {
    uint64_t agent_steps; /* of both parts; vacant rows are none */
    double clean_share;   /* of drives ended in the last tenth of the last part */
    double uncertainty_threshold; /* 99th percentile of the value heads' spread there */
} fw_learn_run_report;

/* Trains params (by fw_nn_layout_make of the network) in place. The network has the ends of network.h
 * with values. FW_INTERRUPTED when progress asked to stop; FW_CORRUPT when a number stopped being
 * finite, naming the step and the node. */
fw_status fw_learn_run(const fw_learn_run_config *config, fw_pool *pool, const fw_nn_graph *network,
                       float *params, fw_learn_run_report *report, fw_error *error) FW_MUST;

#endif
