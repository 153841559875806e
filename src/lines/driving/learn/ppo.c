#include "lines/driving/learn/ppo.h"

#include <math.h>
#include <string.h>

#include "lines/driving/learn/rollout.h"
#include "lines/driving/learn/update.h"

/* The recipe, with batch.h and update.c. The entropy's weight falls evenly to a tenth. */
static const float rate_cold = 1e-3f, rate_warm = 5e-4f, entropy_cold = 0.01f, entropy_warm = 0.003f,
                   entropy_final_share = 0.1f;

typedef struct training {
    const fw_ppo_config *config;
    uint64_t updates;
    fw_pool *pool;
    fw_ppo_batch batch;
    fw_ppo_rollouts *rollouts;
    fw_ppo_update *update;
    uint64_t drives, clean; /* that ended so far; of the last tenth, once that has begun */
} training;

static fw_status training_open(training *t, const fw_nn_graph *network, const float *params,
                               fw_error *error) {
    const fw_ppo_config *c = t->config;
    const fw_ppo_update_config update = {.seed = c->seed, .updates = t->updates,
                                         .threads = c->threads,
                                         .ranks = c->ranks,
                                         .rate = c->warm ? rate_warm : rate_cold};
    FW_TRY(fw_ppo_batch_open(&t->batch, error));
    FW_TRY(fw_ppo_rollouts_open(c, network, &t->rollouts, error));
    return fw_ppo_update_open(&update, network, params, &t->update, error);
}

static void training_close(training *t) {
    fw_ppo_update_close(t->update);
    fw_ppo_rollouts_close(t->rollouts);
    fw_ppo_batch_close(&t->batch);
}

static float entropy_weight(const training *t, uint64_t u) {
    float left = 1 - (float)u / (float)t->updates;
    return (t->config->warm ? entropy_warm : entropy_cold) *
           (entropy_final_share + (1 - entropy_final_share) * left);
}

/* Says how far it is; false: the job is to stop. */
static bool tell(const training *t, uint64_t u, const fw_driving_point *point) {
    const fw_driving_progress *p = &t->config->progress;
    if (p->point) p->point(p->self, point);
    return !p->report || p->report(p->self, "train", (u + 1) * FW_PPO_ROWS, t->updates * FW_PPO_ROWS,
                                   isnan(point->clean_share) ? 0 : point->clean_share);
}

static fw_status train_once(training *t, uint64_t u, fw_error *error) {
    fw_ppo_learnt learnt;
    fw_ppo_counts counts;
    FW_TRY(fw_ppo_rollouts_run(t->rollouts, t->pool, fw_ppo_update_params(t->update), &t->batch,
                               &counts, error));
    double value_loss = fw_ppo_estimate(&t->batch);
    FW_TRY(fw_ppo_update_run(t->update, t->pool, &t->batch, entropy_weight(t, u), &learnt, error));
    if (u == t->updates - t->updates / 10) t->drives = t->clean = 0;
    t->drives += counts.drives;
    t->clean += counts.clean;
    const fw_driving_point point = {
        .agent_steps = (u + 1) * FW_PPO_ROWS, .loss = learnt.loss, .value_loss = value_loss,
        .entropy = counts.entropy, .gradient_norm = learnt.gradient_norm,
        .clean_share = counts.drives ? (double)counts.clean / (double)counts.drives : (double)NAN};
    bool stops = !tell(t, u, &point);
    FW_TRY(fw_nn_ranks_any(t->config->ranks, stops, &stops, error));
    return stops ? fw_fail(error, FW_INTERRUPTED, "training stopped") : FW_OK;
}

static fw_status take_params(const training *t, const fw_nn_graph *network, float *params,
                             fw_error *error) {
    fw_nn_layout layout;
    FW_TRY(fw_nn_layout_make(network, &layout, error));
    memcpy(params, fw_ppo_update_params(t->update), layout.floats * sizeof *params);
    fw_nn_layout_clear(&layout);
    return FW_OK;
}

fw_status fw_ppo_train(const fw_ppo_config *config, fw_pool *pool, const fw_nn_graph *network,
                       float *params, fw_ppo_report *report, fw_error *error) {
    training t = {.config = config,
                  .pool = pool,
                  .updates = (config->agent_steps + FW_PPO_ROWS - 1) / FW_PPO_ROWS};
    fw_status status = training_open(&t, network, params, error);
    for (uint64_t u = 0; u < t.updates && status == FW_OK; u++) status = train_once(&t, u, error);
    if (status == FW_OK) status = take_params(&t, network, params, error);
    if (status == FW_OK)
        *report = (fw_ppo_report){t.updates * FW_PPO_ROWS,
                                  t.drives ? (double)t.clean / (double)t.drives : 0};
    training_close(&t);
    return status;
}
