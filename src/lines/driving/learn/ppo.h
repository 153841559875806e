/* ppo.h - proximal policy optimisation (Schulman et al. 2017) over many simulated drives.
 *
 *   tiles (fixed number) of cars --rollout--> batch --GAE--> shuffled minibatches --> gradient tiles
 *        ^                                                                                |
 *        +------------------------- parameters <-- Adam <-- fixed tree of tiles <---------+
 *
 * Recipe: PPO_* constants in ppo.c. Everything random comes from (seed, tile); a tile's work does
 * not depend on threads; so the result is the same for any number of threads.
 */
#ifndef FW_LINES_DRIVING_PPO_H
#define FW_LINES_DRIVING_PPO_H

#include "base/pool.h"
#include "lines/driving/learn/learn.h"
#include "lines/driving/learn/scenario.h"
#include "nn/train/mlp_train.h"

typedef struct fw_ppo_config {
    const fw_scenario *const *scenarios; /* (scenario_count) */
    uint32_t scenario_count;
    uint64_t seed, agent_steps;
    bool warm; /* parameters come from a trained champion: smaller steps, less exploration */
    fw_driving_progress progress;
} fw_ppo_config;

typedef struct fw_ppo_report {
    uint64_t agent_steps;
    double clean_share; /* of drives ended in the last tenth */
} fw_ppo_report;

/* The network's shape for this line. */
fw_mlp_shape fw_ppo_shape(void);
/* Trains params in place. FW_INTERRUPTED when progress asked to stop; FW_CORRUPT when a number
 * stopped being finite, naming the update. */
fw_status fw_ppo_train(const fw_ppo_config *config, fw_pool *pool, float *params,
                       fw_ppo_report *report, fw_error *error) FW_MUST;

#endif
