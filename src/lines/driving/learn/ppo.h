/* ppo.h - proximal policy optimisation (Schulman et al. 2017) over many simulated drives.
 *
 *   tiles of cars --rollout.h--> batch --batch.h: GAE--> shuffled minibatches --update.h--> trainer
 *        ^                                                  (nn/train/trainer.h)               |
 *        +----------------------------------- parameters <-------------------------------------+
 *
 * Recipe: the constants in batch.h and ppo.c. Everything random comes from (seed, tile); a tile's work
 * does not depend on threads or ranks, nor does the trainer's; so the result is the same for any number
 * of them.
 */
#ifndef FW_LINES_DRIVING_PPO_H
#define FW_LINES_DRIVING_PPO_H

#include "base/pool.h"
#include "lines/driving/act/network.h"
#include "lines/driving/learn/learn.h"
#include "lines/driving/learn/old_scenario.h"

typedef struct fw_ppo_config {
    const fw_old_scenario *const *scenarios; /* (scenario_count) */
    uint32_t scenario_count;
    uint32_t threads; /* of the trainer; drives are shared out over the caller's pool */
    const fw_nn_ranks *ranks; /* each drives its share of the tiles, and knows the whole batch */
    uint64_t seed, agent_steps;
    bool warm; /* parameters come from a trained champion: smaller steps, less exploration */
    fw_driving_progress progress;
} fw_ppo_config;

typedef struct fw_ppo_report {
    uint64_t agent_steps;
    double clean_share; /* of drives ended in the last tenth */
} fw_ppo_report;

/* Trains params (by fw_nn_layout_make of the network) in place. The network has the ends of network.h
 * with a value. FW_INTERRUPTED when progress asked to stop; FW_CORRUPT when a number stopped being
 * finite, naming the step and the node. */
fw_status fw_ppo_train(const fw_ppo_config *config, fw_pool *pool, const fw_nn_graph *network,
                       float *params, fw_ppo_report *report, fw_error *error) FW_MUST;

#endif
