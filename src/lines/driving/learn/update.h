/* update.h - a batch becomes better parameters: three passes over its rows in shuffled minibatches.
 *
 *   network accel, steer --cross entropy with what was chosen--> log p --+
 *           log p then, advantage ---------------------------------------+--> clipped surrogate --+
 *           value, target --------------------------------------------------> Huber, times 0.5 ---+--> loss
 *           accel, steer --entropy, times its weight (an input)------------------------- minus ---+
 *
 * The graph is the network's with these nodes behind it; gradients, tiles and AdamW are the trainer's.
 */
#ifndef FW_LINES_DRIVING_UPDATE_H
#define FW_LINES_DRIVING_UPDATE_H

#include "base/pool.h"
#include "lines/driving/learn/batch.h"
#include "nn/train/trainer.h"

enum { FW_PPO_EPOCHS = 3, FW_PPO_MINIBATCH = 2048,
       FW_PPO_MINIBATCHES = FW_PPO_EPOCHS * FW_PPO_ROWS / FW_PPO_MINIBATCH /* of an update */ };

typedef struct fw_ppo_update fw_ppo_update;

typedef struct fw_ppo_update_config {
    uint64_t seed;
    uint64_t updates; /* in all: the rate falls evenly to a twentieth over them */
    uint32_t threads;
    const fw_nn_ranks *ranks;
    float rate;
} fw_ppo_update_config;

/* Means over the minibatches of an update, each before its step. */
typedef struct fw_ppo_learnt {
    double loss, gradient_norm;
} fw_ppo_learnt;

/* params: by fw_nn_layout_make of the network, copied. The network may be freed afterwards. */
fw_status fw_ppo_update_open(const fw_ppo_update_config *config, const fw_nn_graph *network,
                             const float *params, fw_ppo_update **out, fw_error *error) FW_MUST;
void fw_ppo_update_close(fw_ppo_update *update);
/* The parameters as they stand, laid out as the network's. */
const float *fw_ppo_update_params(fw_ppo_update *update);
fw_status fw_ppo_update_run(fw_ppo_update *update, fw_pool *pool, const fw_ppo_batch *batch,
                            float entropy_weight, fw_ppo_learnt *out, fw_error *error) FW_MUST;

#endif
