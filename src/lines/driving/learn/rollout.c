#include "lines/driving/learn/rollout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lines/driving/learn/old_sim.h"
#include "nn/run/cpu/fast.h"
#include "nn/run/memory.h"

enum { CARS = FW_PPO_CARS, STEPS = FW_PPO_STEPS, TILES = FW_PPO_TILES };

typedef struct tile {
    fw_old_sim sims[CARS];
    fw_random random;
    fw_nn_session *all, *alone; /* the cars' step; one state beside it */
    fw_ppo_counts counts;       /* of the batch under way; entropy: the sum over its rows */
    float x[CARS * FW_FEATURES];
    fw_drive_view views[CARS];
} tile;

struct fw_ppo_rollouts {
    const fw_ppo_config *config;
    fw_drive_ends ends;
    fw_nn_plan *plan;
    void *packed;
    tile *tiles; /* (TILES), of which this rank's drive */
    /* of the batch under way */
    const float *params;
    fw_ppo_batch *batch;
};

/* ---- one car ---- */

static void start_drive(const fw_ppo_config *c, tile *own, fw_old_sim *sim) {
    const fw_old_scenario *s = c->scenarios[fw_random_below(&own->random, c->scenario_count)];
    uint32_t latest = s->recorded - FW_OLD_SCENARIO_TICKS_MIN + 1, tick = 0;
    float draw = fw_random_unit(&own->random);
    if (draw < 0.5f && s->event_count > 0) { /* a few seconds before something happened */
        uint32_t event = s->event_ticks[fw_random_below(&own->random, s->event_count)];
        uint32_t before = 30 + fw_random_below(&own->random, 60);
        tick = event > before ? event - before : 0;
    } else if (draw < 0.9f) {
        tick = fw_random_below(&own->random, latest);
    }
    fw_old_sim_begin(sim, s, tick < latest ? tick : latest - 1, 1.0f);
}

static bool outcome_clean(const fw_old_sim *sim, fw_old_sim_end end) {
    return end != FW_OLD_SIM_COLLISION && end != FW_OLD_SIM_OFF_LANE && !sim->red_run && !sim->stuck;
}

/* Draws from softmax(score); its log probability and the entropy are added. */
static int32_t draw(const float *score, uint32_t count, fw_random *random, float *log_p,
                    double *entropy) {
    float top = score[0], sum = 0, weighted = 0, weight[FW_ACCELS];
    for (uint32_t i = 1; i < count; i++) top = fmaxf(top, score[i]);
    for (uint32_t i = 0; i < count; i++) {
        sum += weight[i] = expf(score[i] - top);
        weighted += weight[i] * (score[i] - top);
    }
    float at = fw_random_unit(random) * sum, log_sum = logf(sum);
    uint32_t pick = 0;
    while (pick + 1 < count && at >= weight[pick]) at -= weight[pick++];
    *log_p += score[pick] - top - log_sum;
    *entropy += (double)(log_sum - weighted / sum);
    return (int32_t)pick;
}

static void see(fw_old_sim *sim, float *x, fw_drive_view *view) {
    fw_drive_obs obs;
    fw_drive_scene_room room;
    fw_drive_scene scene;
    fw_old_sim_observe(sim, &obs);
    fw_drive_scene_of(&obs, &room, &scene);
    fw_drive_look(&scene, view);
    fw_drive_features(&scene, view, x);
}

static const float *run_network(const fw_ppo_rollouts *r, fw_nn_session *session, const float *x,
                                uint32_t rows, fw_nn_value wanted) {
    fw_nn_session_run(session, &(fw_nn_run_args){.parameters = r->params,
                                                 .packed = r->packed,
                                                 .inputs = (const void *const[]){x},
                                                 .rows = rows});
    return fw_nn_session_value(session, wanted);
}

/* The mean of the value heads. */
static float worth_of(const float value[FW_VALUES]) {
    float mean = 0;
    for (int i = 0; i < FW_VALUES; i++) mean += value[i] / FW_VALUES;
    return mean * FW_DRIVE_VALUE_SCALE;
}

static float value_of(const fw_ppo_rollouts *r, tile *own, fw_old_sim *sim) {
    float x[FW_FEATURES];
    fw_drive_view view;
    see(sim, x, &view);
    return worth_of(run_network(r, own->alone, x, 1, r->ends.value));
}

static void step_car(const fw_ppo_rollouts *r, tile *own, uint32_t car, size_t row) {
    fw_ppo_batch *b = r->batch;
    fw_old_sim *sim = &own->sims[car];
    const float *accel = fw_nn_session_value(own->all, r->ends.accel);
    const float *steer = fw_nn_session_value(own->all, r->ends.steer);
    b->log_p[row] = 0;
    b->accel[row] = draw(accel + car * FW_ACCELS, FW_ACCELS, &own->random, &b->log_p[row],
                         &own->counts.entropy);
    b->steer[row] = draw(steer + car * FW_STEERS, FW_STEERS, &own->random, &b->log_p[row],
                         &own->counts.entropy);
    fw_old_sim_outcome out = fw_old_sim_step(sim, fw_drive_choice(&own->views[car], (uint32_t)b->accel[row],
                                                          (uint32_t)b->steer[row]));
    b->reward[row] = out.reward;
    b->ended[row] = FW_PPO_RUNS;
    if (out.end == FW_OLD_SIM_RUNS) return;
    bool cut = out.end == FW_OLD_SIM_TIME_OUT || out.end == FW_OLD_SIM_ROUTE_DONE;
    b->ended[row] = cut ? FW_PPO_CUT : FW_PPO_OVER;
    if (cut) b->out_value[row] = value_of(r, own, sim);
    own->counts.drives++;
    own->counts.clean += outcome_clean(sim, out.end);
    start_drive(r->config, own, sim);
}

/* ---- a tile ---- */

/* This rank's share: tiles next to each other. */
static uint32_t own_tiles(const fw_ppo_config *c) {
    return TILES / c->ranks->count;
}
static uint32_t first_tile(const fw_ppo_config *c) {
    return c->ranks->rank * own_tiles(c);
}

static void roll_tile(void *self, uint32_t task) {
    const fw_ppo_rollouts *r = self;
    uint32_t i = first_tile(r->config) + task;
    tile *own = &r->tiles[i];
    own->counts = (fw_ppo_counts){0};
    for (uint32_t step = 0; step <= STEPS; step++) {
        for (uint32_t car = 0; car < CARS; car++)
            see(&own->sims[car], own->x + car * FW_FEATURES, &own->views[car]);
        const float *value = run_network(r, own->all, own->x, CARS, r->ends.value);
        for (uint32_t car = 0; car < CARS; car++) {
            float worth = worth_of(value + car * FW_VALUES);
            size_t row = ((size_t)i * CARS + car) * STEPS + step;
            if (step == STEPS) {
                r->batch->last_value[i * CARS + car] = worth;
                continue;
            }
            r->batch->value[row] = worth;
            memcpy(r->batch->x + row * FW_FEATURES, own->x + car * FW_FEATURES,
                   FW_FEATURES * sizeof(float));
            step_car(r, own, car, row);
        }
    }
}

/* A tile is one stretch of each array: so are those of a rank. */
static fw_status share(const fw_nn_ranks *ranks, fw_ppo_batch *b, fw_error *error) {
    const struct {
        void *array;
        size_t bytes;
    } arrays[] = {{b->x, FW_PPO_ROWS * FW_FEATURES * sizeof *b->x},
                  {b->accel, FW_PPO_ROWS * sizeof *b->accel},
                  {b->steer, FW_PPO_ROWS * sizeof *b->steer},
                  {b->log_p, FW_PPO_ROWS * sizeof *b->log_p},
                  {b->value, FW_PPO_ROWS * sizeof *b->value},
                  {b->reward, FW_PPO_ROWS * sizeof *b->reward},
                  {b->out_value, FW_PPO_ROWS * sizeof *b->out_value},
                  {b->last_value, TILES * CARS * sizeof *b->last_value},
                  {b->ended, FW_PPO_ROWS * sizeof *b->ended}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        FW_TRY(fw_nn_ranks_gather(ranks, arrays[i].array, arrays[i].bytes / ranks->count, error));
    return FW_OK;
}

fw_status fw_ppo_rollouts_run(fw_ppo_rollouts *r, fw_pool *pool, const float *params,
                              fw_ppo_batch *batch, fw_ppo_counts *out, fw_error *error) {
    fw_ppo_counts of[TILES] = {0}, counts = {0};
    uint32_t first = first_tile(r->config), own = own_tiles(r->config);
    r->params = params;
    r->batch = batch;
    fw_nn_plan_pack(r->plan, params, r->packed);
    fw_pool_run(pool, own, roll_tile, r);
    for (uint32_t i = first; i < first + own; i++) of[i] = r->tiles[i].counts;
    FW_TRY(share(r->config->ranks, batch, error));
    FW_TRY(fw_nn_ranks_gather(r->config->ranks, of, own * sizeof *of, error));
    for (uint32_t i = 0; i < TILES; i++) {
        counts.drives += of[i].drives;
        counts.clean += of[i].clean;
        counts.entropy += of[i].entropy / FW_PPO_ROWS;
    }
    *out = counts;
    return FW_OK;
}

/* ---- making them ---- */

static fw_status open_tile(fw_ppo_rollouts *r, uint32_t i, fw_error *error) {
    tile *own = &r->tiles[i];
    own->random = fw_random_indexed(fw_seed_mix(r->config->seed, "ppo/tile"), i);
    FW_TRY(fw_nn_session_new(r->plan, &own->all, error));
    FW_TRY(fw_nn_session_new(r->plan, &own->alone, error));
    for (uint32_t car = 0; car < CARS; car++) {
        own->sims[car] = fw_old_sim_new(fw_seed_mix(r->config->seed, "ppo/sim") + i * CARS + car);
        start_drive(r->config, own, &own->sims[car]);
    }
    return FW_OK;
}

static fw_status open_all(fw_ppo_rollouts *r, const fw_nn_graph *network, fw_error *error) {
    const fw_nn_plan_options options = {.rows = CARS, .backends = fw_nn_backends_run, .pack = true};
    FW_TRY(fw_drive_ends_of(network, &r->ends, error));
    if (TILES % r->config->ranks->count != 0)
        return fw_fail(error, FW_INVALID, "driving trains on 1, 2, 4 or 8 ranks, not on %u",
                       r->config->ranks->count);
    if (r->ends.value == FW_NN_NONE)
        return fw_fail(error, FW_UNSUPPORTED, "network: training needs an output value (1)");
    FW_TRY(fw_nn_plan_make(network, &options, &r->plan, error));
    r->packed = fw_nn_zeros(fw_nn_plan_packed_bytes(r->plan));
    r->tiles = calloc(TILES, sizeof *r->tiles);
    if (!r->packed || !r->tiles) return fw_fail(error, FW_NO_MEMORY, "no memory for cars");
    for (uint32_t i = 0; i < own_tiles(r->config); i++)
        FW_TRY(open_tile(r, first_tile(r->config) + i, error));
    return FW_OK;
}

fw_status fw_ppo_rollouts_open(const fw_ppo_config *config, const fw_nn_graph *network,
                               fw_ppo_rollouts **out, fw_error *error) {
    fw_ppo_rollouts *r = calloc(1, sizeof *r);
    if (!r) return fw_fail(error, FW_NO_MEMORY, "no memory for cars");
    r->config = config;
    fw_status status = open_all(r, network, error);
    if (status == FW_OK) *out = r;
    else fw_ppo_rollouts_close(r);
    return status;
}

void fw_ppo_rollouts_close(fw_ppo_rollouts *r) {
    if (!r) return;
    for (uint32_t i = 0; r->tiles && i < TILES; i++) {
        for (uint32_t car = 0; car < CARS; car++) fw_old_sim_free(&r->tiles[i].sims[car]);
        fw_nn_session_free(r->tiles[i].all);
        fw_nn_session_free(r->tiles[i].alone);
    }
    free(r->tiles);
    free(r->packed);
    fw_nn_plan_free(r->plan);
    free(r);
}
