#include "lines/driving/learn/update.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "lines/driving/act/network.h"
#include "nn/run/layers.h"

enum { ROWS = FW_PPO_ROWS, MINIBATCH = FW_PPO_MINIBATCH, LANES = 8, TILE = MINIBATCH / LANES };
static const float clip = 0.2f, value_weight = 0.5f, max_norm = 0.5f, final_share = 0.05f,
                   epsilon = 1e-5f;

/* Inputs of the objective, in the graph's order. */
typedef struct minibatch {
    float x[MINIBATCH * FW_FEATURES];
    int32_t accel[MINIBATCH], steer[MINIBATCH];
    float log_p[MINIBATCH], advantage[MINIBATCH], target[MINIBATCH * FW_VALUES], entropy_weight[MINIBATCH];
} minibatch;

struct fw_ppo_update {
    fw_nn_trainer *trainer;
    fw_random random;
    minibatch *mini;
    uint32_t *order; /* (ROWS) shuffled */
    /* of the minibatch under way */
    const fw_ppo_batch *batch;
    const uint32_t *rows;
};

/* ---- the objective ---- */

/* log of the probability of what was chosen, by both heads. */
static fw_nn_value log_p_of(fw_nn_graph *g, const fw_drive_ends *ends) {
    fw_nn_value accel = fw_nn_input(g, "ppo.accel", FW_NN_I32, fw_nn_shape0());
    fw_nn_value steer = fw_nn_input(g, "ppo.steer", FW_NN_I32, fw_nn_shape0());
    fw_nn_value a = fw_nn_apply2(g, FW_NN_CROSS_ENTROPY, "accel.surprise", ends->accel, accel);
    fw_nn_value s = fw_nn_apply2(g, FW_NN_CROSS_ENTROPY, "steer.surprise", ends->steer, steer);
    return fw_nn_affine(g, "log_p", fw_nn_apply2(g, FW_NN_ADD, "surprise", a, s), -1, 0);
}

static fw_nn_value bonus_of(fw_nn_graph *g, const fw_drive_ends *ends) {
    fw_nn_value weight = fw_nn_input(g, "ppo.entropy_weight", FW_NN_F32, fw_nn_shape0());
    fw_nn_value a = fw_nn_apply(g, FW_NN_ENTROPY, "accel.entropy", ends->accel);
    fw_nn_value s = fw_nn_apply(g, FW_NN_ENTROPY, "steer.entropy", ends->steer);
    return fw_nn_apply2(g, FW_NN_MULTIPLY, "bonus", fw_nn_apply2(g, FW_NN_ADD, "entropy", a, s),
                        weight);
}

static fw_nn_value objective(fw_nn_graph *g, const fw_drive_ends *ends) {
    fw_nn_value log_p = log_p_of(g, ends);
    fw_nn_value then = fw_nn_input(g, "ppo.log_p", FW_NN_F32, fw_nn_shape0());
    fw_nn_value advantage = fw_nn_input(g, "ppo.advantage", FW_NN_F32, fw_nn_shape0());
    fw_nn_value target = fw_nn_input(g, "ppo.target", FW_NN_F32, fw_nn_shape1(FW_VALUES));
    fw_nn_value gain = fw_nn_node_add(g, FW_NN_PPO, "surrogate",
                                      (fw_nn_value[]){log_p, then, advantage}, 3,
                                      (fw_nn_attr){.f = {clip}}, NULL);
    fw_nn_value miss = fw_nn_node_add(g, FW_NN_HUBER, "value.loss",
                                      (fw_nn_value[]){ends->value, target}, 2,
                                      (fw_nn_attr){.f = {FW_PPO_VALUE_DELTA}}, NULL);
    miss = fw_nn_affine(g, "value.weighted", miss, value_weight, 0);
    fw_nn_value both = fw_nn_apply2(g, FW_NN_ADD, "without_bonus", gain, miss);
    return fw_nn_apply2(g, FW_NN_SUBTRACT, "loss", both, bonus_of(g, ends));
}

static fw_status make_trainer(const fw_ppo_update_config *config, const fw_nn_graph *network,
                              fw_nn_trainer **out, fw_error *error) {
    fw_nn_graph *graph;
    fw_drive_ends ends;
    FW_TRY(fw_drive_ends_of(network, &ends, error));
    FW_TRY(fw_nn_graph_copy(network, &graph, error));
    const fw_nn_trainer_options options = {
        .batch = MINIBATCH, .tile_rows = TILE, .lanes = LANES, .threads = config->threads,
        .ranks = config->ranks,
        .seed = config->seed,
        .optimiser = {.rate = config->rate, .epsilon = epsilon, .clip_norm = max_norm,
                      .schedule = FW_NN_LINEAR_DOWN, .final_share = final_share,
                      .total_steps = config->updates * FW_PPO_MINIBATCHES}};
    fw_status status = fw_nn_trainer_new(graph, objective(graph, &ends), &options, out, error);
    fw_nn_graph_free(graph);
    return status;
}

/* ---- one update ---- */

static void shuffle(uint32_t *order, uint32_t count, fw_random *random) {
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t j = fw_random_below(random, i + 1), keep = order[i];
        order[i] = order[j];
        order[j] = keep;
    }
}

/* Copies the rows of one of the trainer's tiles. */
static void gather_tile(void *self, uint32_t tile) {
    fw_ppo_update *u = self;
    const fw_ppo_batch *b = u->batch;
    minibatch *to = u->mini;
    for (uint32_t i = tile * TILE; i < (tile + 1) * TILE; i++) {
        size_t row = u->rows[i];
        memcpy(to->x + (size_t)i * FW_FEATURES, b->x + row * FW_FEATURES,
               FW_FEATURES * sizeof(float));
        to->accel[i] = b->accel[row], to->steer[i] = b->steer[row];
        to->log_p[i] = b->log_p[row], to->advantage[i] = b->advantage[row];
        for (int v = 0; v < FW_VALUES; v++) to->target[i * FW_VALUES + (uint32_t)v] = b->target[row];
    }
}

fw_status fw_ppo_update_run(fw_ppo_update *u, fw_pool *pool, const fw_ppo_batch *batch,
                            float entropy_weight, fw_ppo_learnt *out, fw_error *error) {
    minibatch *m = u->mini;
    const void *const inputs[] = {m->x,     m->accel,     m->steer, m->log_p,
                                  m->advantage, m->target, m->entropy_weight};
    fw_ppo_learnt learnt = {0, 0};
    u->batch = batch;
    for (uint32_t i = 0; i < MINIBATCH; i++) m->entropy_weight[i] = entropy_weight;
    for (uint32_t k = 0; k < FW_PPO_MINIBATCHES; k++) {
        uint32_t at = k * MINIBATCH % ROWS;
        fw_nn_step_report step;
        if (at == 0) shuffle(u->order, ROWS, &u->random);
        u->rows = u->order + at;
        fw_pool_run(pool, LANES, gather_tile, u);
        FW_TRY(fw_nn_trainer_step(u->trainer, inputs, MINIBATCH, &step, error));
        learnt.loss += step.loss / FW_PPO_MINIBATCHES;
        learnt.gradient_norm += step.gradient_norm / FW_PPO_MINIBATCHES;
    }
    *out = learnt;
    return FW_OK;
}

const float *fw_ppo_update_params(fw_ppo_update *u) {
    return fw_nn_trainer_parameters(u->trainer);
}

/* ---- making it ---- */

fw_status fw_ppo_update_open(const fw_ppo_update_config *config, const fw_nn_graph *network,
                             const float *params, fw_ppo_update **out, fw_error *error) {
    fw_ppo_update *u = calloc(1, sizeof *u);
    if (!u) return fw_fail(error, FW_NO_MEMORY, "no memory to train");
    u->random = fw_random_named(config->seed, "ppo/shuffle");
    u->mini = calloc(1, sizeof *u->mini);
    u->order = calloc(ROWS, sizeof *u->order);
    fw_status status = FW_OK;
    if (!u->mini || !u->order) status = fw_fail(error, FW_NO_MEMORY, "no memory to train");
    if (status == FW_OK) status = make_trainer(config, network, &u->trainer, error);
    if (status != FW_OK) {
        fw_ppo_update_close(u);
        return status;
    }
    for (uint32_t i = 0; i < ROWS; i++) u->order[i] = i;
    /* Parameters lie as in the network alone: the objective adds none. */
    memcpy(fw_nn_trainer_parameters(u->trainer), params,
           fw_nn_trainer_layout(u->trainer)->floats * sizeof *params);
    *out = u;
    return FW_OK;
}

void fw_ppo_update_close(fw_ppo_update *u) {
    if (!u) return;
    fw_nn_trainer_free(u->trainer);
    free(u->mini);
    free(u->order);
    free(u);
}
