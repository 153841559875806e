/* update.h - a batch becomes better parameters: passes over its rows in shuffled minibatches. Reinforcing one (a
 * second cost a quarter more time and gained nothing on NGSIM's scenes), imitating three: labels do not age.
 *
 *   network accel, steer --cross entropy with what was chosen--> log p --+
 *           log p then, advantage ---------------------------------------+--> clipped surrogate --+
 *           value heads x head's rows, target likewise ---------------------> Huber, times 0.5 ---+--> loss
 *           accel, steer --entropy, times its weight (an input)------------------------- minus ---+
 *
 * Imitating, the surrogate is the cross entropy itself, and what was chosen is what the human would have.
 * The graph is the network's with these nodes behind it; gradients, tiles and AdamW are the trainer's.
 * Vacant rows are left out; the others make a fixed number of minibatches, as large as they come.
 */
#ifndef FW_LINES_DRIVING_LEARN_UPDATE_H
#define FW_LINES_DRIVING_LEARN_UPDATE_H

#include "base/pool.h"
#include "lines/driving/learn/train/batch.h"
#include "lines/driving/learn/train/mix.h"
#include "nn/train/trainer.h"

enum {
    FW_LEARN_EPOCHS_REINFORCE = 1,
    FW_LEARN_EPOCHS_IMITATE = 3,
    FW_LEARN_PARTS = 10, /* minibatches of a pass: up to 1,639 rows each */
    FW_LEARN_MINIBATCH = (FW_LEARN_ROWS + FW_LEARN_PARTS - 1) / FW_LEARN_PARTS,
};

typedef struct fw_learn_update fw_learn_update;

typedef struct fw_learn_update_config {
    fw_learn_mode mode;
    uint64_t seed;
    uint64_t updates; /* in all: the rate falls evenly to a twentieth over them */
    uint32_t threads;
    const fw_nn_ranks *ranks;
    float rate;
} fw_learn_update_config;

/* Means over the minibatches of an update, each before its step. */
typedef struct fw_learn_learnt {
    double loss, gradient_norm;
} fw_learn_learnt;

/* params: by fw_nn_layout_make of the network, copied. The network may be freed afterwards. */
fw_status fw_learn_update_open(const fw_learn_update_config *config, const fw_nn_graph *network,
                               const float *params, fw_learn_update **out, fw_error *error) FW_MUST;
void fw_learn_update_close(fw_learn_update *update);
/* The parameters as they stand, laid out as the network's. */
const float *fw_learn_update_params(fw_learn_update *update);
/* A batch of which every row is vacant changes nothing. */
fw_status fw_learn_update_run(fw_learn_update *update, fw_pool *pool, const fw_learn_batch *batch,
                              float entropy_weight, fw_learn_learnt *out, fw_error *error) FW_MUST;

#endif
