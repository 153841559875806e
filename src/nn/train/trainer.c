#include "nn/train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/pool.h"
#include "nn/run/convert.h"
#include "nn/run/cpu/kernels.h"
#include "nn/run/memory.h"
#include "nn/train/cpu/dnnl.h"
#include "nn/train/cpu/fused.h"

enum { INPUTS_MAX = 32, LANES = 4, TILE_MAX = 1024 };

/* What one lane works with. */
typedef struct lane {
    fw_nn_session *session;
    float *gradient; /* (floats) */
    float *seeds;    /* (tile_rows) the loss's gradient of each row */
    const void *inputs[INPUTS_MAX];
} lane;

struct fw_nn_trainer {
    fw_nn_trainer_options options;
    fw_nn_training training;
    fw_nn_plan *plan, *evaluation; /* with and without the backward pass */
    fw_pool *pool;
    lane lanes[FW_NN_LANES_MAX]; /* by their numbers; only this rank's are made */
    fw_nn_session *evaluators[FW_NN_LANES_MAX];
    uint32_t input_count;               /* of the caller's graph */
    size_t input_bytes[INPUTS_MAX];     /* of one row */
    float *params;                      /* (floats) */
    float *rounded;                     /* (floats) what runs read with bf16; else NULL */
    void *packed, *packed_evaluation;   /* parameters as the plans' kernels like them */
    float *losses;                      /* (batch) of each row */
    float *swapped;                     /* what other ranks send; NULL where there is one */
    double *partial;
    uint8_t *decays;
    fw_nn_optimiser optimiser;
    char classes[FW_NN_CLASSES_MAX];
    /* of the step that runs */
    const void *const *inputs;
    uint32_t rows;
    bool evaluates;
};

/* ---- making one ---- */

static fw_status check_options(fw_nn_trainer_options *o, fw_error *error) {
    if (o->lanes == 0) o->lanes = LANES;
    if (o->threads == 0) o->threads = 1;
    if (!o->backends) o->backends = fw_nn_backends_train;
    if (!o->ranks) o->ranks = &fw_nn_ranks_alone;
    if (o->batch == 0 || o->batch > 1u << 24)
        return fw_fail(error, FW_INVALID, "a batch has 1 to 16777216 rows");
    if (o->lanes > FW_NN_LANES_MAX || (o->lanes & (o->lanes - 1)) != 0)
        return fw_fail(error, FW_INVALID, "lanes must be a power of two of at most %d",
                       FW_NN_LANES_MAX);
    if (o->lanes % o->ranks->count != 0)
        return fw_fail(error, FW_INVALID, "%u ranks cannot share %u lanes: a power of two can, of at "
                       "most as many", o->ranks->count, o->lanes);
    if (o->tile_rows == 0) {
        uint32_t share = (o->batch + o->lanes - 1) / o->lanes;
        o->tile_rows = share < TILE_MAX ? share : TILE_MAX;
    }
    if (o->tile_rows > o->batch) o->tile_rows = o->batch;
    if (o->precision != FW_NN_F32 && o->precision != FW_NN_BF16)
        return fw_fail(error, FW_INVALID, "training is in fp32 or bf16");
    return fw_nn_optimiser_check(&o->optimiser, error);
}

static fw_status find_inputs(fw_nn_trainer *t, fw_error *error) {
    const fw_nn_graph *g = t->training.graph;
    for (uint32_t i = 0; i < g->value_count; i++) {
        const fw_nn_value_info *value = &g->values[i];
        if (value->kind != FW_NN_INPUT || i == t->training.seed) continue;
        if (t->input_count == INPUTS_MAX - 1)
            return fw_fail(error, FW_TOO_BIG, "a network to train has at most %d inputs",
                           INPUTS_MAX - 1);
        t->input_bytes[t->input_count++] =
            fw_nn_elements(value->shape) * fw_nn_dtype_bytes(value->dtype);
    }
    return FW_OK;
}

static fw_status make_plans(fw_nn_trainer *t, fw_error *error) {
    fw_nn_plan_options options = {.rows = t->options.tile_rows,
                                  .training = true,
                                  .keep = &t->training.loss,
                                  .keep_count = 1,
                                  .gradients = t->training.gradients,
                                  .gradient_count = t->training.gradient_count,
                                  .backends = t->options.backends,
                                  .pack = true,
                                  .store = t->options.precision};
    FW_TRY(fw_nn_plan_make(t->training.graph, &options, &t->plan, error));
    options.training = false;
    options.gradients = NULL;
    options.gradient_count = 0;
    return fw_nn_plan_make(t->training.graph, &options, &t->evaluation, error);
}

static float *zeros(size_t floats) {
    return fw_nn_zeros(floats * sizeof(float));
}

/* This rank's lanes: a subtree of all. */
static uint32_t own_lanes(const fw_nn_trainer *t) {
    return t->options.lanes / t->options.ranks->count;
}
static uint32_t first_lane(const fw_nn_trainer *t) {
    return t->options.ranks->rank * own_lanes(t);
}

static fw_status make_lanes(fw_nn_trainer *t, fw_error *error) {
    size_t floats = fw_nn_plan_layout(t->plan)->floats;
    for (uint32_t i = first_lane(t); i < first_lane(t) + own_lanes(t); i++) {
        FW_TRY(fw_nn_session_new(t->plan, &t->lanes[i].session, error));
        FW_TRY(fw_nn_session_new(t->evaluation, &t->evaluators[i], error));
        t->lanes[i].gradient = zeros(floats);
        t->lanes[i].seeds = zeros(t->options.tile_rows);
        if (!t->lanes[i].gradient || !t->lanes[i].seeds)
            return fw_fail(error, FW_NO_MEMORY, "no memory for a gradient of %zu numbers", floats);
    }
    return FW_OK;
}

/* Weights decay, vectors do not. */
static void mark_decays(fw_nn_trainer *t) {
    const fw_nn_graph *g = t->training.graph;
    const fw_nn_layout *layout = fw_nn_plan_layout(t->plan);
    for (uint32_t i = 0; i < g->value_count; i++)
        if (g->values[i].kind == FW_NN_PARAMETER && g->values[i].shape.dims >= 2)
            memset(t->decays + layout->offsets[i], 1, fw_nn_elements(g->values[i].shape));
}

static fw_status make_vectors(fw_nn_trainer *t, fw_error *error) {
    size_t floats = fw_nn_plan_layout(t->plan)->floats;
    bool averages = t->options.optimiser.average_keep > 0;
    bool rounds = t->options.precision == FW_NN_BF16, several = t->options.ranks->count > 1;
    size_t swapped = (floats > t->options.batch ? floats : t->options.batch) / 2 + 1;
    t->params = zeros(floats);
    t->rounded = rounds ? zeros(floats) : NULL;
    t->packed = fw_nn_zeros(fw_nn_plan_packed_bytes(t->plan));
    t->packed_evaluation = fw_nn_zeros(fw_nn_plan_packed_bytes(t->evaluation));
    t->losses = zeros(t->options.batch);
    t->swapped = several ? zeros(swapped) : NULL;
    t->partial = calloc(floats / FW_NN_CHUNK + 2, sizeof *t->partial);
    t->decays = calloc(floats + 1, 1);
    t->optimiser = (fw_nn_optimiser){.options = t->options.optimiser, .floats = floats,
                                     .m = zeros(floats), .v = zeros(floats),
                                     .average = averages ? zeros(floats) : NULL,
                                     .decays = t->decays};
    if (!t->params || !t->losses || !t->partial || !t->decays || !t->optimiser.m ||
        !t->packed || !t->packed_evaluation || (rounds && !t->rounded) || (several && !t->swapped) || !t->optimiser.v ||
        (averages && !t->optimiser.average))
        return fw_fail(error, FW_NO_MEMORY, "no memory for %zu parameters", floats);
    fw_nn_initialise(t->training.graph, fw_nn_plan_layout(t->plan), t->options.seed, t->params);
    if (averages) memcpy(t->optimiser.average, t->params, floats * sizeof *t->params);
    mark_decays(t);
    return FW_OK;
}

/* Every rank does every optimiser step: other machines would drift apart. */
static fw_status join_ranks(const fw_nn_trainer *t, fw_error *error) {
    fw_hash start = fw_hash_bytes(t->params, t->optimiser.floats * sizeof *t->params);
    FW_TRY(fw_nn_ranks_same(t->options.ranks, "CPU class", t->classes, error));
    return fw_nn_ranks_same(t->options.ranks, "first parameters", start.hex, error);
}

static fw_status make(fw_nn_trainer *t, const fw_nn_graph *graph, fw_nn_value loss,
                      fw_error *error) {
    fw_nn_training_class(t->classes);
    fw_status status = check_options(&t->options, error);
    if (status == FW_OK) status = fw_nn_differentiate(graph, loss, &t->training, error);
    if (status == FW_OK) status = find_inputs(t, error);
    if (status == FW_OK) status = make_plans(t, error);
    if (status == FW_OK) status = make_lanes(t, error);
    if (status == FW_OK) status = make_vectors(t, error);
    if (status == FW_OK) status = fw_pool_new(t->options.threads, &t->pool, error);
    return status;
}

fw_status fw_nn_trainer_new(const fw_nn_graph *graph, fw_nn_value loss,
                            const fw_nn_trainer_options *options, fw_nn_trainer **out,
                            fw_error *error) {
    fw_nn_trainer *t = calloc(1, sizeof *t);
    if (!t) return fw_fail(error, FW_NO_MEMORY, "no memory for a trainer");
    t->options = *options;
    fw_status status = make(t, graph, loss, error);
    if (t->options.ranks && t->options.ranks->count > 1) {
        status = fw_nn_ranks_agree(t->options.ranks, status, error);
        if (status == FW_OK) status = join_ranks(t, error);
    }
    if (status != FW_OK) {
        fw_nn_trainer_free(t);
        return status;
    }
    *out = t;
    return FW_OK;
}

void fw_nn_trainer_free(fw_nn_trainer *t) {
    if (!t) return;
    if (t->pool) fw_pool_free(t->pool);
    for (uint32_t i = 0; i < FW_NN_LANES_MAX; i++) {
        fw_nn_session_free(t->lanes[i].session);
        fw_nn_session_free(t->evaluators[i]);
        free(t->lanes[i].gradient);
        free(t->lanes[i].seeds);
    }
    fw_nn_plan_free(t->plan);
    fw_nn_plan_free(t->evaluation);
    fw_nn_training_clear(&t->training);
    free(t->params);
    free(t->rounded);
    free(t->packed);
    free(t->packed_evaluation);
    free(t->losses);
    free(t->swapped);
    free(t->partial);
    free(t->decays);
    free(t->optimiser.m);
    free(t->optimiser.v);
    free(t->optimiser.average);
    free(t);
}

/* ---- a step ---- */

static uint64_t step_seed(const fw_nn_trainer *t) {
    return t->options.seed * 0x9e3779b97f4a7c15u + t->optimiser.steps + 1;
}

/* The parameters as runs read them. */
static const float *working(const fw_nn_trainer *t) {
    return t->rounded ? t->rounded : t->params;
}

static void round_chunk(void *self, uint32_t chunk) {
    fw_nn_trainer *t = self;
    size_t from = (size_t)chunk * FW_NN_CHUNK, count = t->optimiser.floats - from;
    fw_nn_round_bf16(t->params + from, t->rounded + from, count < FW_NN_CHUNK ? count : FW_NN_CHUNK);
}

static void pack_one(void *self, uint32_t task) {
    fw_nn_trainer *t = self;
    fw_nn_plan_pack_task(t->evaluates ? t->evaluation : t->plan, working(t),
                         t->evaluates ? t->packed_evaluation : t->packed, task);
}

/* Before the tiles of a step: the parameters rounded and packed. */
static void make_ready(fw_nn_trainer *t) {
    const fw_nn_plan *plan = t->evaluates ? t->evaluation : t->plan;
    size_t floats = t->optimiser.floats;
    if (t->rounded)
        fw_pool_run(t->pool, (uint32_t)((floats + FW_NN_CHUNK - 1) / FW_NN_CHUNK), round_chunk, t);
    fw_pool_run(t->pool, fw_nn_plan_pack_tasks(plan), pack_one, t);
}

/* Runs one tile on a lane; `after` may look at its steps. */
static void run_tile(fw_nn_trainer *t, uint32_t l, uint32_t tile, bool evaluates,
                     void (*after)(void *, uint32_t, const fw_nn_call *), void *after_self) {
    lane *own = &t->lanes[l];
    uint32_t first = tile * t->options.tile_rows, rows = t->rows - first;
    if (rows > t->options.tile_rows) rows = t->options.tile_rows;
    for (uint32_t i = 0; i < t->input_count; i++)
        own->inputs[i] = (const uint8_t *)t->inputs[i] + (size_t)first * t->input_bytes[i];
    own->inputs[t->input_count] = own->seeds;
    for (uint32_t r = 0; r < rows; r++) own->seeds[r] = 1.0f / (float)t->rows;
    fw_nn_session *session = evaluates ? t->evaluators[l] : own->session;
    fw_nn_session_run(session, &(fw_nn_run_args){.parameters = working(t),
                                                 .packed = evaluates ? t->packed_evaluation
                                                                     : t->packed,
                                                 .gradients = own->gradient,
                                                 .first = tile == l,
                                                 .inputs = own->inputs,
                                                 .rows = rows,
                                                 .first_row = first,
                                                 .seed = step_seed(t),
                                                 .after = after,
                                                 .after_self = after_self});
    memcpy(t->losses + first, fw_nn_session_value(session, t->training.loss),
           rows * sizeof *t->losses);
}

static uint32_t tile_count(const fw_nn_trainer *t) {
    return (t->rows + t->options.tile_rows - 1) / t->options.tile_rows;
}

static void run_lane(void *self, uint32_t own) {
    fw_nn_trainer *t = self;
    uint32_t l = first_lane(t) + own;
    if (!t->evaluates && l >= tile_count(t)) /* else its first tile sets it */
        memset(t->lanes[l].gradient, 0, t->optimiser.floats * sizeof(float));
    for (uint32_t tile = l; tile < tile_count(t); tile += t->options.lanes)
        run_tile(t, l, tile, t->evaluates, NULL, NULL);
}

/* Adds this rank's lanes' gradients into its first's, chunk by chunk, by the tree. */
static void add_lanes(void *self, uint32_t chunk) {
    fw_nn_trainer *t = self;
    size_t from = (size_t)chunk * FW_NN_CHUNK, to = from + FW_NN_CHUNK;
    if (to > t->optimiser.floats) to = t->optimiser.floats;
    lane *lanes = t->lanes + first_lane(t);
    for (uint32_t apart = 1; apart < own_lanes(t); apart *= 2)
        for (uint32_t l = 0; l + apart < own_lanes(t); l += 2 * apart)
            fw_nn_add(lanes[l].gradient + from, lanes[l + apart].gradient + from, to - from);
}

/* Of all ranks: each has filled in its own tiles, and 0 added changes nothing. */
static fw_status share_losses(fw_nn_trainer *t, fw_error *error) {
    for (uint32_t tile = 0; t->options.ranks->count > 1 && tile < tile_count(t); tile++) {
        uint32_t l = tile % t->options.lanes, first = tile * t->options.tile_rows;
        uint32_t rows = t->rows - first < t->options.tile_rows ? t->rows - first
                                                               : t->options.tile_rows;
        if (l < first_lane(t) || l >= first_lane(t) + own_lanes(t))
            memset(t->losses + first, 0, rows * sizeof *t->losses);
    }
    return fw_nn_ranks_sum(t->options.ranks, t->losses, t->rows, t->swapped, error);
}

/* Runs this rank's tiles and adds what they came to. */
static fw_status run_tiles(fw_nn_trainer *t, const void *const *inputs, uint32_t rows,
                           bool evaluates, fw_error *error) {
    if (rows == 0 || rows > t->options.batch)
        return fw_fail(error, FW_INVALID, "a step takes 1 to %u rows, not %u", t->options.batch,
                       rows);
    t->inputs = inputs;
    t->rows = rows;
    t->evaluates = evaluates;
    make_ready(t);
    fw_pool_run(t->pool, own_lanes(t), run_lane, t);
    FW_TRY(share_losses(t, error));
    if (evaluates) return FW_OK;
    size_t floats = t->optimiser.floats;
    fw_pool_run(t->pool, (uint32_t)((floats + FW_NN_CHUNK - 1) / FW_NN_CHUNK), add_lanes, t);
    return fw_nn_ranks_sum(t->options.ranks, t->lanes[first_lane(t)].gradient, floats, t->swapped,
                           error);
}

static double mean_loss(const fw_nn_trainer *t) {
    double sum = 0;
    for (uint32_t i = 0; i < t->rows; i++) sum += (double)t->losses[i];
    return sum / t->rows;
}

/* ---- a number that is not finite ---- */

typedef struct search {
    const fw_nn_plan *plan;
    bool found;
    uint32_t tile;
    char text[160];
} search;

static float number_at(const fw_nn_view *view, size_t at) {
    float number;
    if (view->dtype == FW_NN_BF16)
        fw_nn_from_bf16((const uint16_t *)view->data + at, &number, 1);
    else
        number = ((const float *)view->data)[at];
    return number;
}

static void look(void *self, uint32_t step, const fw_nn_call *call) {
    search *s = self;
    for (uint32_t i = 0; i < call->output_count && !s->found; i++) {
        const fw_nn_view *out = &call->out[i];
        if (out->dtype == FW_NN_I32 || (call->accumulate && !out->batched)) continue;
        for (size_t n = 0; n < fw_nn_total(call, out) && !s->found; n++) {
            float number = number_at(out, n);
            if (isfinite(number)) continue;
            const fw_nn_node *node = fw_nn_plan_step(s->plan, step);
            snprintf(s->text, sizeof s->text, "node %s (%s) made %s", node->name,
                     fw_nn_op_name(node->op), isnan(number) ? "a NaN" : "an infinity");
            s->found = true;
        }
    }
}

/* The first tile of all, each rank looking through its own. */
static fw_status blame(fw_nn_trainer *t, fw_error *error) {
    const fw_nn_ranks *ranks = t->options.ranks;
    search all[FW_NN_RANKS_MAX] = {0}, *own = &all[ranks->rank], *found = NULL;
    own->plan = t->plan;
    for (uint32_t tile = 0; tile < tile_count(t) && !own->found; tile++) {
        uint32_t l = tile % t->options.lanes;
        if (l < first_lane(t) || l >= first_lane(t) + own_lanes(t)) continue;
        own->tile = tile;
        run_tile(t, l, tile, false, look, own);
    }
    FW_TRY(fw_nn_ranks_gather(ranks, all, sizeof *all, error));
    for (uint32_t i = 0; i < ranks->count; i++)
        if (all[i].found && (!found || all[i].tile < found->tile)) found = &all[i];
    return fw_fail(error, FW_CORRUPT, "step %llu: %.160s; nothing was changed",
                   (unsigned long long)t->optimiser.steps + 1,
                   found ? found->text : "the sum of the gradients is not finite");
}

fw_status fw_nn_trainer_step(fw_nn_trainer *t, const void *const *inputs, uint32_t rows,
                             fw_nn_step_report *report, fw_error *error) {
    FW_TRY(run_tiles(t, inputs, rows, false, error));
    const float *gradient = t->lanes[first_lane(t)].gradient;
    double loss = mean_loss(t);
    double norm = fw_nn_norm(t->pool, gradient, t->optimiser.floats, t->partial);
    if (!isfinite(loss) || !isfinite(norm)) return blame(t, error);
    fw_nn_optimiser_step(&t->optimiser, t->pool, t->params, gradient, norm);
    if (report)
        *report = (fw_nn_step_report){
            .loss = loss, .gradient_norm = norm,
            .rate = fw_nn_rate(&t->optimiser.options, t->optimiser.steps)};
    return FW_OK;
}

fw_status fw_nn_trainer_loss(fw_nn_trainer *t, const void *const *inputs, uint32_t rows,
                             double *loss, fw_error *error) {
    FW_TRY(run_tiles(t, inputs, rows, true, error));
    *loss = mean_loss(t);
    return FW_OK;
}

/* ---- looking ---- */

const char *fw_nn_trainer_classes(const fw_nn_trainer *t) {
    return t->classes;
}
uint64_t fw_nn_trainer_steps(const fw_nn_trainer *t) {
    return t->optimiser.steps;
}
float *fw_nn_trainer_parameters(fw_nn_trainer *t) {
    return t->params;
}
const float *fw_nn_trainer_average(const fw_nn_trainer *t) {
    return t->optimiser.average ? t->optimiser.average : t->params;
}
const fw_nn_layout *fw_nn_trainer_layout(const fw_nn_trainer *t) {
    return fw_nn_plan_layout(t->plan);
}
const fw_nn_graph *fw_nn_trainer_graph(const fw_nn_trainer *t) {
    return t->training.graph;
}

fw_nn_trainer_memory fw_nn_trainer_memory_of(const fw_nn_trainer *t) {
    size_t vector = t->optimiser.floats * sizeof(float);
    return (fw_nn_trainer_memory){
        .arena_bytes = own_lanes(t) * fw_nn_plan_arena_bytes(t->plan),
        .bound_bytes = own_lanes(t) * fw_nn_plan_bound_bytes(t->plan),
        .vector_bytes = vector * (own_lanes(t) + 3 + (t->optimiser.average ? 1 : 0) +
                                  (t->rounded ? 1 : 0)),
        .packed_bytes = fw_nn_plan_packed_bytes(t->plan) + fw_nn_plan_packed_bytes(t->evaluation)};
}

fw_nn_trainer_state fw_nn_trainer_state_of(fw_nn_trainer *t) {
    return (fw_nn_trainer_state){.params = t->params, .m = t->optimiser.m, .v = t->optimiser.v,
                                 .average = t->optimiser.average, .floats = t->optimiser.floats,
                                 .steps = &t->optimiser.steps, .classes = t->classes,
                                 .options = &t->options};
}
