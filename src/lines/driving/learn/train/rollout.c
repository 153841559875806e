#include "lines/driving/learn/train/rollout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lines/driving/learn/train/label.h"
#include "nn/run/cpu/fast.h"
#include "nn/run/memory.h"

enum {
    CARS = FW_LEARN_CARS,
    STEPS = FW_LEARN_STEPS,
    TILES = FW_LEARN_TILES,
    AGENTS = FW_LEARN_WORLD_AGENTS,
    ROOM_LEAST = 4, /* vacant rows that begin another world in self-play */
    TRIES = 20,     /* draws that the simulator may refuse before a row waits for the next tick */
};

typedef struct world {
    fw_sim *sim;
    fw_learn_drive drive;
    bool open;
    uint8_t rows[AGENTS]; /* of the tile, by agent */
    bool holds[AGENTS];   /* its row still */
} world;

typedef struct tile {
    world worlds[CARS]; /* world i takes single row i, or some of the rows of self-play */
    bool taken[CARS];   /* rows */
    fw_random random;
    fw_learn_failures failures;
    fw_nn_session *network;
    fw_learn_counts counts; /* of the batch under way */
    float ends_x[CARS * FW_FEATURES]; /* what is seen after the last step */
    float seen[FW_SIM_AGENTS_MAX * FW_FEATURES]; /* by one world */
    fw_drive_view views[CARS], seen_views[FW_SIM_AGENTS_MAX];
    fw_drive_action actions[CARS];
} tile;

struct fw_learn_rollouts {
    fw_learn_rollouts_config config;
    fw_drive_ends ends;
    fw_nn_plan *plan;
    void *packed;
    tile *tiles; /* (TILES), of which this rank's drive */
    /* of the batch under way */
    const float *params;
    fw_learn_batch *batch;
};

/* ---- worlds begin ---- */

static void take_rows(tile *own, world *w, uint32_t first, uint32_t until) {
    uint32_t agents = fw_sim_agents(w->sim), row = first;
    for (uint32_t agent = 0; agent < agents; agent++, row++) {
        while (own->taken[row]) row++;
        FW_ASSERT(row < until);
        w->rows[agent] = (uint8_t)row;
        own->taken[row] = true;
        w->holds[agent] = true;
    }
    w->open = true;
}

static bool begin(tile *own, world *w) {
    fw_error error;
    fw_sim_seed(w->sim, (uint64_t)fw_random_u32(&own->random) << 32 | fw_random_u32(&own->random));
    return fw_sim_begin(w->sim, &w->drive.start, &error) == FW_OK;
}

static void begin_single(const fw_learn_mix *mix, tile *own, uint32_t row) {
    world *w = &own->worlds[row];
    for (uint32_t i = 0; i < TRIES; i++) {
        fw_learn_draw_single(mix, &own->failures, &own->random, &w->drive);
        if (!begin(own, w)) continue;
        take_rows(own, w, row, row + 1);
        return;
    }
}

static void begin_self_play(const fw_learn_mix *mix, tile *own, uint32_t room) {
    uint32_t i = 0;
    while (own->worlds[i].open) i++; /* each open one has a row: there are fewer */
    world *w = &own->worlds[i];
    for (uint32_t k = 0; k < TRIES; k++) {
        fw_learn_draw_self_play(mix, &own->random, room, &w->drive);
        if (!begin(own, w)) continue;
        take_rows(own, w, 0, mix->self_play_rows);
        return;
    }
}

static uint32_t vacant(const tile *own, uint32_t first, uint32_t until) {
    uint32_t count = 0;
    for (uint32_t row = first; row < until; row++) count += !own->taken[row];
    return count;
}

static void begin_worlds(const fw_learn_mix *mix, tile *own) {
    uint32_t room = vacant(own, 0, mix->self_play_rows), before = UINT32_MAX;
    uint32_t least = mix->self_play_rows < ROOM_LEAST ? mix->self_play_rows : ROOM_LEAST;
    for (; room > 0 && room >= least && room < before; room = vacant(own, 0, mix->self_play_rows)) {
        before = room;
        begin_self_play(mix, own, room < AGENTS ? room : AGENTS);
    }
    for (uint32_t row = mix->self_play_rows; row < CARS; row++)
        if (!own->taken[row]) begin_single(mix, own, row);
}

/* ---- worlds are seen ---- */

/* x: (CARS, FW_FEATURES). Rows that nobody has keep what they held. */
static void see(tile *own, float *x) {
    for (uint32_t i = 0; i < CARS; i++) {
        world *w = &own->worlds[i];
        if (!w->open) continue;
        fw_sim_observe(w->sim, own->seen, own->seen_views);
        for (uint32_t agent = 0; agent < fw_sim_agents(w->sim); agent++) {
            if (!fw_sim_running(w->sim, agent)) continue;
            memcpy(x + (size_t)w->rows[agent] * FW_FEATURES, own->seen + (size_t)agent * FW_FEATURES,
                   FW_FEATURES * sizeof *x);
            own->views[w->rows[agent]] = own->seen_views[agent];
        }
    }
}

static void run_network(const fw_learn_rollouts *r, tile *own, const float *x) {
    fw_nn_session_run(own->network, &(fw_nn_run_args){.parameters = r->params,
                                                      .packed = r->packed,
                                                      .inputs = (const void *const[]){x},
                                                      .rows = CARS});
}

/* A row of one of the network's outputs, of `count` numbers. */
static const float *scores_of(const tile *own, fw_nn_value output, uint32_t car, uint32_t count) {
    const float *all = fw_nn_session_value(own->network, output);
    return all + (size_t)car * count;
}

/* Mean and standard deviation of a row's value heads. */
static void worth_of(const fw_learn_rollouts *r, const tile *own, uint32_t car, float *mean, float *spread) {
    const float *heads = scores_of(own, r->ends.value, car, FW_VALUES);
    float sum = 0, square = 0;
    for (uint32_t k = 0; k < FW_VALUES; k++) sum += heads[k];
    for (uint32_t k = 0; k < FW_VALUES; k++) {
        float off = heads[k] - sum / FW_VALUES;
        square += off * off;
    }
    *mean = sum / FW_VALUES * FW_DRIVE_VALUE_SCALE;
    *spread = sqrtf(square / FW_VALUES) * FW_DRIVE_VALUE_SCALE;
}

/* ---- choices ---- */

/* Draws from softmax(score); its log probability and the entropy are added. */
static uint32_t draw(const float *score, uint32_t count, fw_random *random, float *log_p, double *entropy) {
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
    return pick;
}

static uint32_t best_of(const float *score, uint32_t count) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (score[i] > score[best]) best = i;
    return best;
}

static fw_learn_label label_of(const tile *own, const world *w, uint32_t agent, uint32_t car) {
    fw_drive_scene scene;
    const fw_scenario *s = w->drive.start.scenario;
    fw_sim_scene(w->sim, agent, &scene);
    return fw_learn_label_of(&s->tracks[w->drive.tracks[agent]], fw_sim_tick(w->sim), &scene, &own->views[car]);
}

/* One car: what it chooses is written to its row. */
static void choose(const fw_learn_rollouts *r, tile *own, const world *w, uint32_t agent, size_t row) {
    fw_learn_batch *b = r->batch;
    uint32_t car = w->rows[agent];
    const float *accel = scores_of(own, r->ends.accel, car, FW_ACCELS);
    const float *steer = scores_of(own, r->ends.steer, car, FW_STEERS);
    b->log_p[row] = 0;
    fw_learn_label pick;
    pick.accel = draw(accel, FW_ACCELS, &own->random, &b->log_p[row], &own->counts.entropy);
    pick.steer = draw(steer, FW_STEERS, &own->random, &b->log_p[row], &own->counts.entropy);
    fw_learn_label learnt = pick;
    if (r->config.mix.mode == FW_LEARN_IMITATE) {
        learnt = label_of(own, w, agent, car);
        own->counts.matches += best_of(accel, FW_ACCELS) == learnt.accel;
        if (car % 2 == 0) pick = learnt;
    }
    b->accel[row] = (int32_t)learnt.accel, b->steer[row] = (int32_t)learnt.steer;
    own->actions[car] = fw_drive_choice(&own->views[car], pick.accel, pick.steer);
    worth_of(r, own, car, &b->value[row], &b->spread[row]);
}

/* ---- worlds go on ---- */

bool fw_learn_clean(const fw_scenario *scenario, const fw_sim_drive *d) {
    bool fine = scenario->scene ? d->end == FW_SIM_GOAL
                                : d->end != FW_SIM_COLLISION && d->end != FW_SIM_OFF_ROAD;
    return fine && !d->red_light && !d->stuck;
}

/* Who ran out of a unit's recording, or of its route, would have gone on. */
static fw_learn_row row_of(const fw_scenario *scenario, fw_sim_end end) {
    if (end == FW_SIM_RUNS) return FW_LEARN_RUNS;
    return end == FW_SIM_ROUTE_DONE || (end == FW_SIM_TIME_OUT && !scenario->scene) ? FW_LEARN_CUT
                                                                                     : FW_LEARN_OVER;
}

static void count_drive(tile *own, const world *w, uint32_t agent) {
    const fw_sim_drive *d = fw_sim_drive_of(w->sim, agent);
    const fw_sim_start *start = &w->drive.start;
    bool clean = fw_learn_clean(start->scenario, d);
    if (w->drive.again) return;
    own->counts.drives++;
    own->counts.clean += clean;
    if (!clean) fw_learn_note_failure(&own->failures, start->scenario, start->tracks[agent], start->tick);
    own->counts.ends[start->traffic][d->end]++;
}

static void let_go(tile *own, world *w, uint32_t agent) {
    if (w->holds[agent]) own->taken[w->rows[agent]] = false;
    w->holds[agent] = false;
}

/* A tick of one world. block: row of the tile's car 0 in this step. */
static void step_world(const fw_learn_rollouts *r, tile *own, world *w, size_t block) {
    fw_learn_batch *b = r->batch;
    fw_drive_action actions[FW_SIM_AGENTS_MAX];
    fw_sim_outcome outcomes[FW_SIM_AGENTS_MAX];
    bool ran[FW_SIM_AGENTS_MAX];
    uint32_t agents = fw_sim_agents(w->sim);
    for (uint32_t agent = 0; agent < agents; agent++) {
        ran[agent] = fw_sim_running(w->sim, agent);
        if (!ran[agent]) continue;
        choose(r, own, w, agent, block + w->rows[agent]);
        actions[agent] = own->actions[w->rows[agent]];
    }
    fw_sim_step(w->sim, actions, outcomes);
    for (uint32_t agent = 0; agent < agents; agent++) {
        size_t row = block + w->rows[agent];
        if (!ran[agent]) continue;
        own->counts.rows++;
        b->reward[row] = outcomes[agent].reward;
        b->row[row] = (uint8_t)row_of(w->drive.start.scenario, outcomes[agent].end);
        if (outcomes[agent].end == FW_SIM_RUNS) continue;
        count_drive(own, w, agent);
        let_go(own, w, agent); /* for another world's agent */
    }
    w->open = !fw_sim_over(w->sim);
    for (uint32_t agent = 0; agent < agents && !w->open; agent++) let_go(own, w, agent);
}

/* ---- a tile ---- */

/* This rank's share: tiles next to each other. */
static uint32_t own_tiles(const fw_learn_rollouts *r) {
    return TILES / r->config.ranks->count;
}
static uint32_t first_tile(const fw_learn_rollouts *r) {
    return r->config.ranks->rank * own_tiles(r);
}

static void roll_tile(void *self, uint32_t task) {
    const fw_learn_rollouts *r = self;
    fw_learn_batch *b = r->batch;
    uint32_t i = first_tile(r) + task;
    tile *own = &r->tiles[i];
    float unused;
    own->counts = (fw_learn_counts){0};
    memset(b->row + (size_t)i * FW_LEARN_TILE_ROWS, FW_LEARN_VACANT, FW_LEARN_TILE_ROWS);
    for (uint32_t step = 0; step < STEPS; step++) {
        size_t block = ((size_t)i * STEPS + step) * CARS;
        begin_worlds(&r->config.mix, own);
        see(own, b->x + block * FW_FEATURES);
        run_network(r, own, b->x + block * FW_FEATURES);
        for (uint32_t k = 0; k < CARS; k++)
            if (own->worlds[k].open) step_world(r, own, &own->worlds[k], block);
    }
    see(own, own->ends_x);
    run_network(r, own, own->ends_x);
    for (uint32_t car = 0; car < CARS; car++)
        worth_of(r, own, car, &b->last_value[i * CARS + car], &unused);
}

/* ---- all of them ---- */

/* A tile is one stretch of each array: so are those of a rank. */
static fw_status share(const fw_nn_ranks *ranks, fw_learn_batch *b, fw_error *error) {
    const struct {
        void *array;
        size_t bytes;
    } arrays[] = {{b->x, FW_LEARN_ROWS * FW_FEATURES * sizeof *b->x},
                  {b->accel, FW_LEARN_ROWS * sizeof *b->accel},
                  {b->steer, FW_LEARN_ROWS * sizeof *b->steer},
                  {b->log_p, FW_LEARN_ROWS * sizeof *b->log_p},
                  {b->value, FW_LEARN_ROWS * sizeof *b->value},
                  {b->spread, FW_LEARN_ROWS * sizeof *b->spread},
                  {b->reward, FW_LEARN_ROWS * sizeof *b->reward},
                  {b->last_value, TILES * CARS * sizeof *b->last_value},
                  {b->row, FW_LEARN_ROWS * sizeof *b->row}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        FW_TRY(fw_nn_ranks_gather(ranks, arrays[i].array, arrays[i].bytes / ranks->count, error));
    return FW_OK;
}

static void add_counts(fw_learn_counts *sum, const fw_learn_counts *more) {
    sum->rows += more->rows;
    sum->drives += more->drives;
    sum->clean += more->clean;
    sum->entropy += more->entropy;
    sum->matches += more->matches;
    for (uint32_t t = 0; t < FW_SIM_TRAFFIC_COUNT; t++)
        for (uint32_t e = 0; e < FW_LEARN_ENDS; e++) sum->ends[t][e] += more->ends[t][e];
}

fw_status fw_learn_rollouts_run(fw_learn_rollouts *r, fw_pool *pool, const float *params,
                                fw_learn_batch *batch, fw_learn_counts *out, fw_error *error) {
    fw_learn_counts of[TILES] = {0}, counts = {0};
    uint32_t first = first_tile(r), own = own_tiles(r);
    r->params = params;
    r->batch = batch;
    fw_nn_plan_pack(r->plan, params, r->packed);
    fw_pool_run(pool, own, roll_tile, r);
    for (uint32_t i = first; i < first + own; i++) of[i] = r->tiles[i].counts;
    FW_TRY(share(r->config.ranks, batch, error));
    FW_TRY(fw_nn_ranks_gather(r->config.ranks, of, own * sizeof *of, error));
    for (uint32_t i = 0; i < TILES; i++) add_counts(&counts, &of[i]);
    *out = counts;
    return FW_OK;
}

/* ---- making them ---- */

static fw_status open_tile(fw_learn_rollouts *r, uint32_t i, fw_error *error) {
    tile *own = &r->tiles[i];
    own->random = fw_random_indexed(fw_seed_mix(r->config.seed, "learn/tile"), i);
    FW_TRY(fw_nn_session_new(r->plan, &own->network, error));
    for (uint32_t k = 0; k < CARS; k++) FW_TRY(fw_sim_new(0, &own->worlds[k].sim, error));
    return FW_OK;
}

static fw_status open_all(fw_learn_rollouts *r, const fw_nn_graph *network, fw_error *error) {
    const fw_nn_plan_options options = {.rows = CARS, .backends = fw_nn_backends_run, .pack = true};
    FW_TRY(fw_drive_ends_of(network, &r->ends, error));
    if (TILES % r->config.ranks->count != 0)
        return fw_fail(error, FW_INVALID, "driving trains on 1, 2, 4 or 8 ranks, not on %u",
                       r->config.ranks->count);
    if (r->ends.value == FW_NN_NONE)
        return fw_fail(error, FW_UNSUPPORTED, "network: training needs an output value (%d)", FW_VALUES);
    FW_TRY(fw_nn_plan_make(network, &options, &r->plan, error));
    r->packed = fw_nn_zeros(fw_nn_plan_packed_bytes(r->plan));
    r->tiles = calloc(TILES, sizeof *r->tiles);
    if (!r->packed || !r->tiles) return fw_fail(error, FW_NO_MEMORY, "no memory for cars");
    for (uint32_t i = 0; i < own_tiles(r); i++) FW_TRY(open_tile(r, first_tile(r) + i, error));
    return FW_OK;
}

fw_status fw_learn_rollouts_open(const fw_learn_rollouts_config *config, const fw_nn_graph *network,
                                 fw_learn_rollouts **out, fw_error *error) {
    fw_learn_rollouts *r = calloc(1, sizeof *r);
    if (!r) return fw_fail(error, FW_NO_MEMORY, "no memory for cars");
    r->config = *config;
    fw_status status = open_all(r, network, error);
    if (status == FW_OK) *out = r;
    else fw_learn_rollouts_close(r);
    return status;
}

void fw_learn_rollouts_close(fw_learn_rollouts *r) {
    if (!r) return;
    for (uint32_t i = 0; r->tiles && i < TILES; i++) {
        for (uint32_t k = 0; k < CARS; k++) fw_sim_free(r->tiles[i].worlds[k].sim);
        fw_nn_session_free(r->tiles[i].network);
    }
    free(r->tiles);
    free(r->packed);
    fw_nn_plan_free(r->plan);
    free(r);
}
