#include "lines/driving/learn/train/run.h"

#include <math.h>
#include <string.h>

#include "lines/driving/learn/train/spread.h"
#include "lines/driving/learn/train/update.h"

/* The recipe of a part. The entropy's weight falls evenly to a tenth. */
typedef struct recipe {
    const char *phase;
    float rate, entropy;
} recipe;
static const recipe imitation = {"imitate", 2e-3f, 0.0f}, cold = {"train", 1e-3f, 0.01f},
                    warm = {"train", 5e-4f, 0.003f};
static const float entropy_final_share = 0.1f;
static const double uncertain_quantile = 0.99;

/* One part of a run. */
typedef struct part {
    const fw_learn_run_config *config;
    const recipe *recipe;
    fw_learn_mode mode;
    uint64_t updates;
    fw_pool *pool;
    fw_learn_batch batch;
    fw_learn_rollouts *rollouts;
    fw_learn_update *update;
    uint64_t before, rows;  /* agent-steps: of the part before, so far in this one */
    uint64_t drives, clean; /* that ended so far; of the last tenth, once that has begun */
    fw_learn_spread spread; /* likewise */
} part;

static fw_status part_open(part *p, const fw_nn_graph *network, const float *params, fw_error *error) {
    const fw_learn_run_config *c = p->config;
    const fw_learn_update_config update = {.mode = p->mode, .seed = c->seed, .updates = p->updates,
                                           .threads = c->threads, .ranks = c->ranks,
                                           .rate = p->recipe->rate};
    fw_learn_rollouts_config rollouts = {.seed = fw_seed_mix(c->seed, p->recipe->phase), .ranks = c->ranks};
    FW_TRY(fw_learn_mix_of(c->set, p->mode, FW_LEARN_CARS, &rollouts.mix, error));
    FW_TRY(fw_learn_batch_open(&p->batch, error));
    FW_TRY(fw_learn_rollouts_open(&rollouts, network, &p->rollouts, error));
    return fw_learn_update_open(&update, network, params, &p->update, error);
}

static void part_close(part *p) {
    fw_learn_update_close(p->update);
    fw_learn_rollouts_close(p->rollouts);
    fw_learn_batch_close(&p->batch);
}

static float entropy_weight(const part *p, uint64_t u) {
    float left = 1 - (float)u / (float)p->updates;
    return p->recipe->entropy * (entropy_final_share + (1 - entropy_final_share) * left);
}

/* ---- an update ---- */

static fw_driving_point point_of(const part *p, const fw_learn_counts *counts, const fw_learn_learnt *learnt,
                                 double value_loss) {
    double rows = counts->rows > 0 ? (double)counts->rows : 1, drives = counts->drives > 0 ? (double)counts->drives : NAN;
    fw_driving_point point = {.agent_steps = p->before + p->rows, .loss = learnt->loss, .value_loss = value_loss,
                              .entropy = counts->entropy / rows, .gradient_norm = learnt->gradient_norm,
                              .clean_share = (double)counts->clean / drives,
                              .vacant_share = 1 - (double)counts->rows / FW_LEARN_ROWS};
    for (uint32_t t = 0; t < FW_SIM_TRAFFIC_COUNT; t++) {
        point.collision_share += (double)counts->ends[t][FW_SIM_COLLISION] / drives;
        point.off_road_share += (double)counts->ends[t][FW_SIM_OFF_ROAD] / drives;
    }
    return point;
}

/* Says how far it is; false: the job is to stop. */
static bool tell(const part *p, uint64_t u, const fw_driving_point *point) {
    const fw_driving_progress *to = &p->config->progress;
    if (to->point) to->point(to->self, point);
    return !to->report || to->report(to->self, p->recipe->phase, (u + 1) * FW_LEARN_ROWS,
                                     p->updates * FW_LEARN_ROWS,
                                     isnan(point->clean_share) ? 0 : point->clean_share);
}

static void take_counts(part *p, uint64_t u, const fw_learn_counts *counts) {
    if (u == p->updates - p->updates / 10) {
        p->drives = p->clean = 0;
        p->spread = (fw_learn_spread){0};
    }
    p->rows += counts->rows;
    p->drives += counts->drives;
    p->clean += counts->clean;
    for (uint32_t row = 0; row < FW_LEARN_ROWS; row++)
        if (p->batch.row[row] != FW_LEARN_VACANT) fw_learn_spread_add(&p->spread, p->batch.spread[row]);
}

static fw_status train_once(part *p, uint64_t u, fw_error *error) {
    fw_learn_learnt learnt;
    fw_learn_counts counts;
    FW_TRY(fw_learn_rollouts_run(p->rollouts, p->pool, fw_learn_update_params(p->update), &p->batch, &counts,
                                 error));
    double value_loss = fw_learn_estimate(&p->batch);
    FW_TRY(fw_learn_update_run(p->update, p->pool, &p->batch, entropy_weight(p, u), &learnt, error));
    take_counts(p, u, &counts);
    const fw_driving_point point = point_of(p, &counts, &learnt, value_loss);
    bool stops = !tell(p, u, &point);
    FW_TRY(fw_nn_ranks_any(p->config->ranks, stops, &stops, error));
    return stops ? fw_fail(error, FW_INTERRUPTED, "training stopped") : FW_OK;
}

/* ---- a part ---- */

static fw_status take_params(const part *p, const fw_nn_graph *network, float *params, fw_error *error) {
    fw_nn_layout layout;
    FW_TRY(fw_nn_layout_make(network, &layout, error));
    memcpy(params, fw_learn_update_params(p->update), layout.floats * sizeof *params);
    fw_nn_layout_clear(&layout);
    return FW_OK;
}

static fw_status run_part(part *p, uint64_t steps, const fw_nn_graph *network, float *params,
                          fw_learn_run_report *report, fw_error *error) {
    p->before = report->agent_steps;
    p->updates = (steps + FW_LEARN_ROWS - 1) / FW_LEARN_ROWS;
    if (steps == 0) return FW_OK;
    fw_status status = part_open(p, network, params, error);
    for (uint64_t u = 0; u < p->updates && status == FW_OK; u++) status = train_once(p, u, error);
    if (status == FW_OK) status = take_params(p, network, params, error);
    part_close(p);
    if (status != FW_OK) return status;
    report->agent_steps += p->rows;
    report->clean_share = p->drives ? (double)p->clean / (double)p->drives : 0;
    report->uncertainty_threshold = fw_learn_spread_quantile(&p->spread, uncertain_quantile);
    return FW_OK;
}

fw_status fw_learn_run(const fw_learn_run_config *config, fw_pool *pool, const fw_nn_graph *network,
                       float *params, fw_learn_run_report *report, fw_error *error) {
    fw_learn_run_report got = {0};
    part first = {.config = config, .pool = pool, .recipe = &imitation, .mode = FW_LEARN_IMITATE};
    part second = {.config = config, .pool = pool, .recipe = config->warm ? &warm : &cold,
                   .mode = FW_LEARN_REINFORCE};
    FW_TRY(run_part(&first, config->imitation_steps, network, params, &got, error));
    FW_TRY(run_part(&second, config->agent_steps, network, params, &got, error));
    *report = got;
    return FW_OK;
}
