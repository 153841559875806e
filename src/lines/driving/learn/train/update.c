#include "lines/driving/learn/train/update.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "nn/run/layers.h"

enum { ROWS = FW_LEARN_ROWS, MINIBATCH = FW_LEARN_MINIBATCH, LANES = 8, TILE_ROWS = 64, GATHERS = 16 };
static const float clip = 0.2f, value_weight = 0.5f, max_norm = 0.5f, final_share = 0.05f, epsilon = 1e-5f;

/* Inputs of the objective, in the graph's order. */
typedef struct minibatch {
    float x[MINIBATCH * FW_FEATURES];
    int32_t accel[MINIBATCH], steer[MINIBATCH];
    float log_p[MINIBATCH], advantage[MINIBATCH];
    float heads[MINIBATCH * FW_VALUES], target[MINIBATCH * FW_VALUES]; /* 1: the head learns from it */
    float entropy_weight[MINIBATCH];
} minibatch;

struct fw_learn_update {
    fw_learn_mode mode;
    fw_nn_trainer *trainer;
    fw_random random;
    minibatch *mini;
    uint32_t *order; /* (ROWS): rows that are not vacant, shuffled */
    /* of the minibatch under way */
    const fw_learn_batch *batch;
    const uint32_t *rows; /* (count) */
    uint32_t count;
};

static uint32_t epochs_of(fw_learn_mode mode) {
    return mode == FW_LEARN_IMITATE ? FW_LEARN_EPOCHS_IMITATE : FW_LEARN_EPOCHS_REINFORCE;
}

/* ---- the objective ---- */

/* -log of the probability of what was chosen, by both heads. */
static fw_nn_value surprise_of(fw_nn_graph *g, const fw_drive_ends *ends) {
    fw_nn_value accel = fw_nn_input(g, "learn.accel", FW_NN_I32, fw_nn_shape0());
    fw_nn_value steer = fw_nn_input(g, "learn.steer", FW_NN_I32, fw_nn_shape0());
    fw_nn_value a = fw_nn_apply2(g, FW_NN_CROSS_ENTROPY, "accel.surprise", ends->accel, accel);
    fw_nn_value s = fw_nn_apply2(g, FW_NN_CROSS_ENTROPY, "steer.surprise", ends->steer, steer);
    return fw_nn_apply2(g, FW_NN_ADD, "surprise", a, s);
}

static fw_nn_value bonus_of(fw_nn_graph *g, const fw_drive_ends *ends) {
    fw_nn_value weight = fw_nn_input(g, "learn.entropy_weight", FW_NN_F32, fw_nn_shape0());
    fw_nn_value a = fw_nn_apply(g, FW_NN_ENTROPY, "accel.entropy", ends->accel);
    fw_nn_value s = fw_nn_apply(g, FW_NN_ENTROPY, "steer.entropy", ends->steer);
    return fw_nn_apply2(g, FW_NN_MULTIPLY, "bonus", fw_nn_apply2(g, FW_NN_ADD, "entropy", a, s), weight);
}

static fw_nn_value policy_loss(fw_nn_graph *g, const fw_drive_ends *ends, fw_learn_mode mode) {
    fw_nn_value surprise = surprise_of(g, ends);
    if (mode == FW_LEARN_IMITATE) return surprise;
    fw_nn_value then = fw_nn_input(g, "learn.log_p", FW_NN_F32, fw_nn_shape0());
    fw_nn_value advantage = fw_nn_input(g, "learn.advantage", FW_NN_F32, fw_nn_shape0());
    return fw_nn_node_add(g, FW_NN_PPO, "surrogate",
                          (fw_nn_value[]){fw_nn_affine(g, "log_p", surprise, -1, 0), then, advantage}, 3,
                          (fw_nn_attr){.f = {clip}}, NULL);
}

/* A head that does not learn from a row sees 0 against 0 there. */
static fw_nn_value value_loss(fw_nn_graph *g, const fw_drive_ends *ends) {
    fw_nn_value heads = fw_nn_input(g, "learn.heads", FW_NN_F32, fw_nn_shape1(FW_VALUES));
    fw_nn_value target = fw_nn_input(g, "learn.target", FW_NN_F32, fw_nn_shape1(FW_VALUES));
    fw_nn_value own = fw_nn_apply2(g, FW_NN_MULTIPLY, "value.own", ends->value, heads);
    fw_nn_value miss = fw_nn_node_add(g, FW_NN_HUBER, "value.loss", (fw_nn_value[]){own, target}, 2,
                                      (fw_nn_attr){.f = {FW_LEARN_VALUE_DELTA}}, NULL);
    float all = (float)FW_VALUES / (FW_VALUES - 1); /* each row is learned by all heads but one */
    return fw_nn_affine(g, "value.weighted", miss, value_weight * all, 0);
}

static fw_nn_value objective(fw_nn_graph *g, const fw_drive_ends *ends, fw_learn_mode mode) {
    fw_nn_value gain = policy_loss(g, ends, mode);
    fw_nn_value both = fw_nn_apply2(g, FW_NN_ADD, "without_bonus", gain, value_loss(g, ends));
    return fw_nn_apply2(g, FW_NN_SUBTRACT, "loss", both, bonus_of(g, ends));
}

static fw_status make_trainer(const fw_learn_update_config *config, const fw_nn_graph *network,
                              fw_nn_trainer **out, fw_error *error) {
    fw_nn_graph *graph;
    fw_drive_ends ends;
    FW_TRY(fw_drive_ends_of(network, &ends, error));
    FW_TRY(fw_nn_graph_copy(network, &graph, error));
    const fw_nn_trainer_options options = {
        .batch = MINIBATCH, .tile_rows = TILE_ROWS, .lanes = LANES, .threads = config->threads,
        .ranks = config->ranks,
        .seed = config->seed,
        .optimiser = {.rate = config->rate, .epsilon = epsilon, .clip_norm = max_norm,
                      .schedule = FW_NN_LINEAR_DOWN, .final_share = final_share,
                      .total_steps = config->updates * epochs_of(config->mode) * FW_LEARN_PARTS}};
    fw_status status = fw_nn_trainer_new(graph, objective(graph, &ends, config->mode), &options, out, error);
    fw_nn_graph_free(graph);
    return status;
}

/* ---- one update ---- */

static void shuffle(uint32_t *order, uint32_t count, fw_random *random) {
    for (uint32_t i = count; i-- > 1;) {
        uint32_t j = fw_random_below(random, i + 1), keep = order[i];
        order[i] = order[j];
        order[j] = keep;
    }
}

/* Copies a stretch of the minibatch's rows. */
static void gather(void *self, uint32_t stretch) {
    fw_learn_update *u = self;
    const fw_learn_batch *b = u->batch;
    minibatch *to = u->mini;
    uint32_t until = (stretch + 1) * u->count / GATHERS;
    for (uint32_t i = stretch * u->count / GATHERS; i < until; i++) {
        uint32_t row = u->rows[i], tile = row / FW_LEARN_TILE_ROWS;
        memcpy(to->x + (size_t)i * FW_FEATURES, b->x + (size_t)row * FW_FEATURES,
               FW_FEATURES * sizeof(float));
        to->accel[i] = b->accel[row], to->steer[i] = b->steer[row];
        to->log_p[i] = b->log_p[row], to->advantage[i] = b->advantage[row];
        for (uint32_t head = 0; head < FW_VALUES; head++) {
            float learns = fw_learn_head_learns(head, tile) ? 1.0f : 0.0f;
            to->heads[i * FW_VALUES + head] = learns;
            to->target[i * FW_VALUES + head] = learns * b->target[row];
        }
    }
}

static uint32_t list_rows(fw_learn_update *u) {
    uint32_t count = 0;
    for (uint32_t row = 0; row < ROWS; row++)
        if (u->batch->row[row] != FW_LEARN_VACANT) u->order[count++] = row;
    return count;
}

static fw_status step(fw_learn_update *u, fw_pool *pool, fw_learn_learnt *sum, fw_error *error) {
    minibatch *m = u->mini;
    const void *const imitate[] = {m->x, m->accel, m->steer, m->heads, m->target, m->entropy_weight};
    const void *const reinforce[] = {m->x,     m->accel, m->steer,  m->log_p, m->advantage,
                                     m->heads, m->target, m->entropy_weight};
    fw_nn_step_report report;
    if (u->count == 0) return FW_OK;
    fw_pool_run(pool, GATHERS, gather, u);
    FW_TRY(fw_nn_trainer_step(u->trainer, u->mode == FW_LEARN_IMITATE ? imitate : reinforce, u->count, &report,
                              error));
    double steps = epochs_of(u->mode) * FW_LEARN_PARTS;
    sum->loss += report.loss / steps;
    sum->gradient_norm += report.gradient_norm / steps;
    return FW_OK;
}

fw_status fw_learn_update_run(fw_learn_update *u, fw_pool *pool, const fw_learn_batch *batch,
                              float entropy_weight, fw_learn_learnt *out, fw_error *error) {
    fw_learn_learnt learnt = {0, 0};
    u->batch = batch;
    for (uint32_t i = 0; i < MINIBATCH; i++) u->mini->entropy_weight[i] = entropy_weight;
    uint32_t rows = list_rows(u);
    for (uint32_t epoch = 0; epoch < epochs_of(u->mode); epoch++) {
        shuffle(u->order, rows, &u->random);
        for (uint32_t part = 0; part < FW_LEARN_PARTS; part++) {
            uint32_t first = part * rows / FW_LEARN_PARTS;
            u->rows = u->order + first;
            u->count = (part + 1) * rows / FW_LEARN_PARTS - first;
            FW_TRY(step(u, pool, &learnt, error));
        }
    }
    *out = learnt;
    return FW_OK;
}

const float *fw_learn_update_params(fw_learn_update *u) {
    return fw_nn_trainer_parameters(u->trainer);
}

/* ---- making it ---- */

fw_status fw_learn_update_open(const fw_learn_update_config *config, const fw_nn_graph *network,
                               const float *params, fw_learn_update **out, fw_error *error) {
    fw_learn_update *u = calloc(1, sizeof *u);
    if (!u) return fw_fail(error, FW_NO_MEMORY, "no memory to train");
    u->mode = config->mode;
    u->random = fw_random_named(config->seed, "learn/shuffle");
    u->mini = calloc(1, sizeof *u->mini);
    u->order = calloc(ROWS, sizeof *u->order);
    fw_status status = FW_OK;
    if (!u->mini || !u->order) status = fw_fail(error, FW_NO_MEMORY, "no memory to train");
    if (status == FW_OK) status = make_trainer(config, network, &u->trainer, error);
    if (status != FW_OK) {
        fw_learn_update_close(u);
        return status;
    }
    /* Parameters lie as in the network alone: the objective adds none. */
    memcpy(fw_nn_trainer_parameters(u->trainer), params,
           fw_nn_trainer_layout(u->trainer)->floats * sizeof *params);
    *out = u;
    return FW_OK;
}

void fw_learn_update_close(fw_learn_update *u) {
    if (!u) return;
    fw_nn_trainer_free(u->trainer);
    free(u->mini);
    free(u->order);
    free(u);
}
