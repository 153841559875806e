#include "lines/driving/learn/ppo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lines/driving/act/features.h"
#include "lines/driving/learn/sim.h"

/* The recipe. */
enum { TILES = 8, CARS = 32, STEPS = 64, /* a batch: 8 x 32 x 64 = 16384 agent-steps */
       EPOCHS = 3, MINIBATCH = 2048, GRAD_TILES = 8, GRAD_ROWS = MINIBATCH / GRAD_TILES,
       HIDDEN = 64, BATCH = TILES * CARS * STEPS };
static const float discount = 0.985f, trace = 0.93f, clip = 0.2f, value_weight = 0.5f,
                   rate_cold = 1e-3f, rate_warm = 5e-4f, entropy_cold = 0.01f, entropy_warm = 0.003f,
                   max_norm = 0.5f, value_scale = 4.0f;

fw_mlp_shape fw_ppo_shape(void) { return (fw_mlp_shape){FW_FEATURES, HIDDEN, FW_OUTPUTS}; }

/* One batch, structure of arrays; row = (tile * CARS + car) * STEPS + step. */
typedef struct batch {
    float *x;             /* (BATCH, FW_FEATURES) */
    float *log_p, *value, *reward, *advantage, *target; /* (BATCH) */
    uint8_t *accel, *steer, *ended; /* (BATCH); ended: 1 the drive is over for good, 2 time out */
    float *last_value;    /* (TILES * CARS): value after the last step */
    float *out_value;     /* (BATCH): value of the state a time out cut off */
} batch;

typedef struct tile {
    fw_sim sims[CARS];
    fw_random random;
    uint32_t drives, clean; /* ended since last asked */
    double reward;
} tile;

typedef struct trainer {
    const fw_ppo_config *config;
    fw_mlp_shape shape;
    float *params, *grad, *tile_grads; /* tile_grads: (GRAD_TILES, parameters) */
    batch b;
    tile *tiles;
    uint32_t *order;      /* (BATCH): shuffled rows */
    const uint32_t *rows; /* of the minibatch under way */
    float entropy_weight;
} trainer;

static void start_drive(const trainer *t, tile *own, fw_sim *sim) {
    const fw_ppo_config *c = t->config;
    const fw_scenario *s = c->scenarios[fw_random_below(&own->random, c->scenario_count)];
    uint32_t latest = s->recorded - FW_SCENARIO_TICKS_MIN + 1, tick = 0;
    float draw = fw_random_unit(&own->random);
    if (draw < 0.5f && s->event_count > 0) { /* a few seconds before something happened */
        uint32_t event = s->event_ticks[fw_random_below(&own->random, s->event_count)];
        uint32_t before = 30 + fw_random_below(&own->random, 60);
        tick = event > before ? event - before : 0;
    } else if (draw < 0.9f) {
        tick = fw_random_below(&own->random, latest);
    }
    fw_sim_begin(sim, s, tick < latest ? tick : latest - 1, 1.0f);
}

static bool outcome_clean(const fw_sim *sim, fw_sim_end end) {
    return end != FW_SIM_COLLISION && end != FW_SIM_OFF_LANE && !sim->red_run && !sim->stuck;
}

/* Draws from softmax(score); *log_p is increased by its log probability. */
static uint8_t draw(const float *score, uint32_t count, fw_random *random, float *log_p) {
    float top = score[0], sum = 0, weight[FW_ACCELS];
    for (uint32_t i = 1; i < count; i++) top = fmaxf(top, score[i]);
    for (uint32_t i = 0; i < count; i++) sum += weight[i] = expf(score[i] - top);
    float at = fw_random_unit(random) * sum;
    uint32_t pick = 0;
    while (pick + 1 < count && at >= weight[pick]) at -= weight[pick++];
    *log_p += logf(weight[pick] / sum);
    return (uint8_t)pick;
}

static void see(fw_sim *sim, float *x, fw_drive_view *view) {
    fw_drive_obs obs;
    fw_sim_observe(sim, &obs);
    fw_drive_look(&obs, view);
    fw_drive_features(&obs, view, x);
}

static float value_of(const trainer *t, fw_sim *sim) {
    float x[FW_FEATURES], h0[HIDDEN], h1[HIDDEN], y[FW_OUTPUTS];
    fw_drive_view view;
    see(sim, x, &view);
    fw_mlp_forward(t->shape, t->params, 1, x, h0, h1, y);
    return y[FW_VALUE_AT] * value_scale;
}

static void step_car(trainer *t, tile *own, uint32_t car, size_t row, const float *y,
                     const fw_drive_view *view) {
    batch *b = &t->b;
    fw_sim *sim = &own->sims[car];
    b->log_p[row] = 0;
    b->accel[row] = draw(y, FW_ACCELS, &own->random, &b->log_p[row]);
    b->steer[row] = draw(y + FW_ACCELS, FW_STEERS, &own->random, &b->log_p[row]);
    b->value[row] = y[FW_VALUE_AT] * value_scale;
    fw_sim_outcome out =
        fw_sim_step(sim, fw_drive_choice(view, b->accel[row], b->steer[row]));
    b->reward[row] = out.reward;
    own->reward += (double)out.reward;
    b->ended[row] = 0;
    if (out.end == FW_SIM_RUNS) return;
    bool cut = out.end == FW_SIM_TIME_OUT || out.end == FW_SIM_ROUTE_DONE;
    b->ended[row] = cut ? 2 : 1;
    if (cut) b->out_value[row] = value_of(t, sim);
    own->drives++;
    own->clean += outcome_clean(sim, out.end);
    start_drive(t, own, sim);
}

static void rollout_tile(void *self, uint32_t i) {
    trainer *t = self;
    tile *own = &t->tiles[i];
    static _Thread_local float x[CARS * FW_FEATURES], h0[CARS * HIDDEN], h1[CARS * HIDDEN],
        y[CARS * FW_OUTPUTS];
    static _Thread_local fw_drive_view views[CARS];
    for (uint32_t step = 0; step <= STEPS; step++) {
        for (uint32_t car = 0; car < CARS; car++)
            see(&own->sims[car], x + car * FW_FEATURES, &views[car]);
        fw_mlp_forward(t->shape, t->params, CARS, x, h0, h1, y);
        for (uint32_t car = 0; car < CARS; car++) {
            size_t row = ((size_t)i * CARS + car) * STEPS + step;
            if (step == STEPS) {
                t->b.last_value[i * CARS + car] = y[car * FW_OUTPUTS + FW_VALUE_AT] * value_scale;
                continue;
            }
            memcpy(t->b.x + row * FW_FEATURES, x + car * FW_FEATURES, FW_FEATURES * sizeof *x);
            step_car(t, own, car, row, y + car * FW_OUTPUTS, &views[car]);
        }
    }
}

/* Generalised advantage estimation (Schulman et al. 2016). */
static void estimate(trainer *t) {
    batch *b = &t->b;
    double sum = 0, square = 0;
    for (size_t car = 0; car < TILES * CARS; car++) {
        float next_value = b->last_value[car], carry = 0;
        for (size_t step = STEPS; step-- > 0;) {
            size_t row = car * STEPS + step;
            float follow = b->ended[row] == 1 ? 0 : b->ended[row] == 2 ? b->out_value[row] : next_value;
            float delta = b->reward[row] + discount * follow - b->value[row];
            carry = delta + (b->ended[row] ? 0 : discount * trace * carry);
            b->advantage[row] = carry;
            b->target[row] = carry + b->value[row];
            next_value = b->value[row];
            sum += (double)carry;
            square += (double)carry * (double)carry;
        }
    }
    float mean = (float)(sum / BATCH);
    float spread = (float)sqrt(fmax(1e-8, square / BATCH - (double)mean * (double)mean));
    for (size_t row = 0; row < BATCH; row++)
        b->advantage[row] = (b->advantage[row] - mean) / (spread + 1e-6f);
}

/* Softmax of one head: probabilities and log probability of the choice; entropy. */
static float head(const float *score, uint32_t count, uint32_t pick, float *p, float *entropy) {
    float top = score[0], sum = 0;
    for (uint32_t i = 1; i < count; i++) top = fmaxf(top, score[i]);
    for (uint32_t i = 0; i < count; i++) sum += p[i] = expf(score[i] - top);
    float log_sum = logf(sum);
    *entropy = 0;
    for (uint32_t i = 0; i < count; i++) {
        p[i] /= sum;
        *entropy -= p[i] * (score[i] - top - log_sum);
    }
    return score[pick] - top - log_sum;
}

/* d(loss)/d(score) of one head: from the surrogate (weight on log p) and the entropy bonus. */
static void head_gradient(const float *score, const float *p, uint32_t count, uint32_t pick,
                          float weight, float entropy, float bonus, float *d) {
    float top = score[0], sum = 0;
    for (uint32_t i = 1; i < count; i++) top = fmaxf(top, score[i]);
    for (uint32_t i = 0; i < count; i++) sum += expf(score[i] - top);
    float log_sum = logf(sum);
    for (uint32_t i = 0; i < count; i++) {
        float log_p = score[i] - top - log_sum;
        d[i] = weight * ((i == pick ? 1.0f : 0.0f) - p[i]) + bonus * p[i] * (log_p + entropy);
    }
}

/* Gradient of the loss at one row's outputs. */
static void row_gradient(const trainer *t, size_t row, const float *y, float *dy) {
    const batch *b = &t->b;
    float p_accel[FW_ACCELS], p_steer[FW_STEERS], e_accel, e_steer;
    float log_p = head(y, FW_ACCELS, b->accel[row], p_accel, &e_accel) +
                  head(y + FW_ACCELS, FW_STEERS, b->steer[row], p_steer, &e_steer);
    float ratio = expf(fminf(10.0f, log_p - b->log_p[row])), advantage = b->advantage[row];
    bool clipped = advantage > 0 ? ratio > 1 + clip : ratio < 1 - clip;
    float weight = clipped ? 0 : -ratio * advantage / MINIBATCH;
    float bonus = t->entropy_weight / MINIBATCH;
    head_gradient(y, p_accel, FW_ACCELS, b->accel[row], weight, e_accel, bonus, dy);
    head_gradient(y + FW_ACCELS, p_steer, FW_STEERS, b->steer[row], weight, e_steer, bonus,
                  dy + FW_ACCELS);
    float miss = y[FW_VALUE_AT] - b->target[row] / value_scale;
    dy[FW_VALUE_AT] = value_weight * fmaxf(-2.0f, fminf(2.0f, miss)) / MINIBATCH;
}

static void gradient_tile(void *self, uint32_t i) {
    trainer *t = self;
    static _Thread_local float x[GRAD_ROWS * FW_FEATURES], h0[GRAD_ROWS * HIDDEN],
        h1[GRAD_ROWS * HIDDEN], y[GRAD_ROWS * FW_OUTPUTS], dy[GRAD_ROWS * FW_OUTPUTS],
        scratch[2 * GRAD_ROWS * HIDDEN];
    const uint32_t *rows = t->rows + (size_t)i * GRAD_ROWS;
    for (uint32_t k = 0; k < GRAD_ROWS; k++)
        memcpy(x + k * FW_FEATURES, t->b.x + (size_t)rows[k] * FW_FEATURES, FW_FEATURES * sizeof *x);
    fw_mlp_forward(t->shape, t->params, GRAD_ROWS, x, h0, h1, y);
    for (uint32_t k = 0; k < GRAD_ROWS; k++)
        row_gradient(t, rows[k], y + k * FW_OUTPUTS, dy + k * FW_OUTPUTS);
    fw_mlp_backward(t->shape, t->params, GRAD_ROWS, x, h0, h1, dy,
                    t->tile_grads + (size_t)i * fw_mlp_parameters(t->shape), scratch);
}

/* The fixed tree: pairs, then pairs of pairs. */
static void add_tiles(trainer *t) {
    uint32_t n = fw_mlp_parameters(t->shape);
    for (uint32_t width = 1; width < GRAD_TILES; width *= 2)
        for (uint32_t i = 0; i + width < GRAD_TILES; i += 2 * width) {
            float *a = t->tile_grads + (size_t)i * n, *b = t->tile_grads + (size_t)(i + width) * n;
            for (uint32_t k = 0; k < n; k++) a[k] += b[k];
        }
}

static void shuffle(uint32_t *order, uint32_t count, fw_random *random) {
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t j = fw_random_below(random, i + 1), keep = order[i];
        order[i] = order[j];
        order[j] = keep;
    }
}

static void update(trainer *t, fw_pool *pool, fw_adam *adam, fw_random *random, float rate) {
    for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
        shuffle(t->order, BATCH, random);
        for (uint32_t at = 0; at < BATCH; at += MINIBATCH) {
            t->rows = t->order + at;
            fw_pool_run(pool, GRAD_TILES, gradient_tile, t);
            add_tiles(t);
            fw_adam_step(adam, t->params, t->tile_grads, rate, max_norm);
        }
    }
}

static void *zeroed(size_t count, size_t size) {
    void *memory = calloc(count, size);
    FW_ASSERT(memory);
    return memory;
}

static void trainer_open(trainer *t, const fw_ppo_config *config, float *params) {
    *t = (trainer){.config = config, .shape = fw_ppo_shape(), .params = params};
    batch *b = &t->b;
    b->x = zeroed((size_t)BATCH * FW_FEATURES, sizeof(float));
    float *rows = zeroed((size_t)BATCH * 6 + TILES * CARS, sizeof(float));
    b->log_p = rows, b->value = rows + BATCH, b->reward = rows + 2 * BATCH;
    b->advantage = rows + 3 * BATCH, b->target = rows + 4 * BATCH, b->out_value = rows + 5 * BATCH;
    b->last_value = rows + 6 * BATCH;
    b->accel = zeroed((size_t)BATCH * 3, 1);
    b->steer = b->accel + BATCH, b->ended = b->accel + 2 * BATCH;
    t->tile_grads = zeroed((size_t)GRAD_TILES * fw_mlp_parameters(t->shape), sizeof(float));
    t->order = zeroed(BATCH, sizeof *t->order);
    for (uint32_t i = 0; i < BATCH; i++) t->order[i] = i;
    t->tiles = zeroed(TILES, sizeof *t->tiles);
    for (uint32_t i = 0; i < TILES; i++) {
        tile *own = &t->tiles[i];
        own->random = fw_random_indexed(fw_seed_mix(config->seed, "ppo/tile"), i);
        for (uint32_t car = 0; car < CARS; car++) {
            own->sims[car] = fw_sim_new(fw_seed_mix(config->seed, "ppo/sim") + i * CARS + car);
            start_drive(t, own, &own->sims[car]);
        }
    }
}

static void trainer_close(trainer *t) {
    for (uint32_t i = 0; i < TILES; i++)
        for (uint32_t car = 0; car < CARS; car++) fw_sim_free(&t->tiles[i].sims[car]);
    free(t->tiles);
    free(t->order);
    free(t->tile_grads);
    free(t->b.accel);
    free(t->b.log_p);
    free(t->b.x);
}

static void take_counts(trainer *t, uint64_t *drives, uint64_t *clean, double *reward) {
    for (uint32_t i = 0; i < TILES; i++) {
        tile *own = &t->tiles[i];
        *drives += own->drives, *clean += own->clean, *reward += own->reward;
        own->drives = own->clean = 0;
        own->reward = 0;
    }
}

static bool all_finite(const float *params, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (!isfinite(params[i])) return false;
    return true;
}

fw_status fw_ppo_train(const fw_ppo_config *config, fw_pool *pool, float *params,
                       fw_ppo_report *report, fw_error *error) {
    trainer t;
    trainer_open(&t, config, params);
    uint32_t n = fw_mlp_parameters(t.shape);
    float *moments = zeroed((size_t)n * 2, sizeof *moments);
    fw_adam adam = {.count = n, .m = moments, .v = moments + n};
    fw_random random = fw_random_named(config->seed, "ppo/shuffle");
    uint64_t updates = (config->agent_steps + BATCH - 1) / BATCH, drives = 0, clean = 0;
    fw_status status = FW_OK;
    for (uint64_t u = 0; u < updates && status == FW_OK; u++) {
        float left = 1 - (float)u / (float)updates;
        t.entropy_weight = (config->warm ? entropy_warm : entropy_cold) * (0.1f + 0.9f * left);
        fw_pool_run(pool, TILES, rollout_tile, &t);
        estimate(&t);
        update(&t, pool, &adam, &random,
               (config->warm ? rate_warm : rate_cold) * (0.05f + 0.95f * left));
        if (u == updates - updates / 10 || u == updates / 10) drives = clean = 0;
        double reward = 0;
        uint64_t before = drives, clean_before = clean;
        take_counts(&t, &drives, &clean, &reward);
        double share = drives > before
                           ? (double)(clean - clean_before) / (double)(drives - before) : 0;
        if (!all_finite(params, n))
            status = fw_fail(error, FW_CORRUPT, "training diverged at update %llu",
                             (unsigned long long)u);
        else if (config->progress.report &&
                 !config->progress.report(config->progress.self, "train", (u + 1) * BATCH,
                                          updates * BATCH, share))
            status = fw_fail(error, FW_INTERRUPTED, "training stopped");
    }
    *report = (fw_ppo_report){updates * BATCH, drives ? (double)clean / (double)drives : 0};
    free(moments);
    trainer_close(&t);
    return status;
}
