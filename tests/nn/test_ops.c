/* Every operator: values against the same kernel compiled in float64 (fw_nn_twin), gradients against
 * central differences of that. Inputs of a case become parameters, or parameters added to batched
 * inputs, so that differentiation reaches all of them.
 *
 * In fp32, and with values kept as bf16 (plan.h), by the reference kernels and by those of training. In
 * bf16 the twin starts from numbers rounded the same way: the parameters, and the operator's inputs, which
 * are values between nodes. What is left then:
 *     values      fp32 arithmetic, as an output stays fp32: the tolerance of fp32
 *     gradients   an example's gradient of an input is itself a value between nodes, rounded by at most 2^-8
 *                 of it, and so is each step on the way where it comes through several nodes (a sum over a
 *                 broadcast dimension, the slope of erf): 2^-7 of its own size (the examples' sizes added)
 *                 and of the largest of its array
 * int8, which linear layers and convolutions know, is tested in test_int8.c. */
#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "nn/run/convert.h"
#include "nn/run/layers.h"
#include "nn/train/cpu/fused.h"
#include "nn/train/grad.h"
#include "seed.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* the table below */

enum { ROWS = 3, ELEMENTS_MAX = 4096 };

typedef enum role {
    FIXED,   /* one array, a parameter */
    EACH,    /* batched, with a gradient */
    TARGET,  /* batched, without one */
    INDEX,   /* batched I32 in [0, high) */
    MASK     /* batched zeros and ones, without a gradient */
} role;

typedef struct operand {
    role role;
    fw_nn_shape shape;
    int32_t high; /* INDEX; -1 below 0 may come as well when `skips` */
    bool skips;
} operand;

typedef struct test_case {
    fw_nn_op op;
    const char *what;
    fw_nn_attr attr;
    uint32_t count;
    operand in[FW_NN_INPUTS_MAX];
} test_case;

/* The same as fw_nn_attr in the twin. */
typedef struct twin_attr {
    int32_t i[8];
    double f[4];
} twin_attr;

static void *twin;
static uint64_t seed;

#define S0 {0, {0}}
#define S1(a) {1, {a}}
#define S2(a, b) {2, {a, b}}
#define S3(a, b, c) {3, {a, b, c}}
#define S4(a, b, c, d) {4, {a, b, c, d}}

static const test_case cases[] = {
    {FW_NN_LINEAR, "", {{0}, {0}}, 3, {{EACH, S1(5)}, {FIXED, S2(4, 5)}, {FIXED, S1(4)}}},
    {FW_NN_LINEAR, "of a sequence", {{0}, {0}}, 2, {{EACH, S2(3, 5)}, {FIXED, S2(4, 5)}}},
    {FW_NN_CONV, "", {{1, 1, 0, 0, 1}, {0}}, 3,
     {{EACH, S3(2, 5, 6)}, {FIXED, S4(3, 2, 3, 2)}, {FIXED, S1(3)}}},
    {FW_NN_CONV, "stride, padding, groups", {{2, 3, 1, 1, 2}, {0}}, 3,
     {{EACH, S3(4, 6, 7)}, {FIXED, S4(6, 2, 3, 3)}, {FIXED, S1(6)}}},
    {FW_NN_MAX_POOL, "", {{2, 3, 2, 1, 1, 1}, {0}}, 1, {{EACH, S3(2, 5, 6)}}},
    {FW_NN_MEAN_POOL, "", {{2, 3, 2, 1, 1, 1}, {0}}, 1, {{EACH, S3(2, 5, 6)}}},
    {FW_NN_EMBEDDING, "", {{0}, {0}}, 2, {{INDEX, S1(4), 7}, {FIXED, S2(7, 3)}}},
    {FW_NN_LAYER_NORM, "", {{0}, {1e-5f}}, 3, {{EACH, S2(2, 6)}, {FIXED, S1(6)}, {FIXED, S1(6)}}},
    {FW_NN_LAYER_NORM, "without bias", {{0}, {1e-5f}}, 2, {{EACH, S1(6)}, {FIXED, S1(6)}}},
    {FW_NN_RMS_NORM, "", {{0}, {1e-5f}}, 2, {{EACH, S2(2, 6)}, {FIXED, S1(6)}}},
    {FW_NN_SOFTMAX, "", {{0}, {0}}, 1, {{EACH, S2(3, 5)}}},
    {FW_NN_ATTENTION, "", {{2, 2, 0}, {0}}, 3, {{EACH, S2(4, 6)}, {EACH, S2(5, 6)}, {EACH, S2(5, 6)}}},
    {FW_NN_ATTENTION, "causal", {{2, 2, 1}, {0}}, 3,
     {{EACH, S2(4, 6)}, {EACH, S2(4, 6)}, {EACH, S2(4, 6)}}},
    {FW_NN_ATTENTION, "grouped keys, masked, causal with a past", {{4, 2, 1}, {0}}, 4,
     {{EACH, S2(3, 8)}, {EACH, S2(5, 4)}, {EACH, S2(5, 4)}, {MASK, S1(5)}}},
    {FW_NN_ATTENTION, "learned queries", {{1, 1, 0}, {0}}, 4,
     {{FIXED, S2(2, 4)}, {EACH, S2(5, 4)}, {EACH, S2(5, 4)}, {MASK, S1(5)}}},
    {FW_NN_ROPE, "", {{2, 3}, {10000.0f}}, 1, {{EACH, S2(4, 8)}}},
    {FW_NN_GRU, "", {{0}, {0}}, 5,
     {{EACH, S2(4, 3)}, {FIXED, S2(15, 3)}, {FIXED, S2(15, 5)}, {FIXED, S1(15)}, {FIXED, S1(15)}}},
    {FW_NN_GRU, "with a first state", {{0}, {0}}, 6,
     {{EACH, S2(4, 3)}, {FIXED, S2(15, 3)}, {FIXED, S2(15, 5)}, {FIXED, S1(15)}, {FIXED, S1(15)},
      {EACH, S1(5)}}},
    {FW_NN_LSTM, "", {{0}, {0}}, 5,
     {{EACH, S2(4, 3)}, {FIXED, S2(20, 3)}, {FIXED, S2(20, 5)}, {FIXED, S1(20)}, {FIXED, S1(20)}}},
    {FW_NN_LSTM, "with first states", {{0}, {0}}, 7,
     {{EACH, S2(4, 3)}, {FIXED, S2(20, 3)}, {FIXED, S2(20, 5)}, {FIXED, S1(20)}, {FIXED, S1(20)},
      {EACH, S1(5)}, {EACH, S1(5)}}},
    {FW_NN_SET_MAX, "", {{0}, {0}}, 2, {{EACH, S2(5, 3)}, {MASK, S1(5)}}},
    {FW_NN_SET_MEAN, "", {{0}, {0}}, 2, {{EACH, S2(5, 3)}, {MASK, S1(5)}}},
    {FW_NN_SET_ATTENTION, "", {{0}, {0}}, 3, {{EACH, S2(5, 3)}, {EACH, S1(5)}, {MASK, S1(5)}}},
    {FW_NN_RELU, "", {{0}, {0}}, 1, {{EACH, S2(3, 5)}}},
    {FW_NN_GELU, "", {{0}, {0}}, 1, {{EACH, S2(3, 5)}}},
    {FW_NN_SILU, "", {{0}, {0}}, 1, {{EACH, S2(3, 5)}}},
    {FW_NN_TANH, "", {{0}, {0}}, 1, {{EACH, S2(3, 5)}}},
    {FW_NN_SIGMOID, "", {{0}, {0}}, 1, {{EACH, S2(3, 5)}}},
    {FW_NN_EXP, "", {{0}, {0}}, 1, {{EACH, S2(3, 5)}}},
    {FW_NN_EXP, "of a parameter", {{0}, {0}}, 1, {{FIXED, S1(5)}}},
    {FW_NN_ERF, "", {{0}, {0}}, 1, {{EACH, S2(3, 5)}}},
    {FW_NN_CLAMP, "", {{0}, {-0.4f, 0.7f}}, 1, {{EACH, S2(3, 5)}}},
    {FW_NN_AFFINE, "", {{0}, {-1.5f, 0.25f}}, 1, {{EACH, S2(3, 5)}}},
    {FW_NN_ADD, "", {{0}, {0}}, 2, {{EACH, S2(3, 5)}, {EACH, S2(3, 5)}}},
    {FW_NN_ADD, "to each row", {{0}, {0}}, 2, {{EACH, S2(3, 5)}, {FIXED, S1(5)}}},
    {FW_NN_SUBTRACT, "", {{0}, {0}}, 2, {{EACH, S2(3, 5)}, {EACH, S1(5)}}},
    {FW_NN_MULTIPLY, "", {{0}, {0}}, 2, {{EACH, S2(3, 5)}, {EACH, S2(3, 5)}}},
    {FW_NN_MULTIPLY, "each row", {{0}, {0}}, 2, {{EACH, S2(3, 5)}, {FIXED, S1(5)}}},
    {FW_NN_RESHAPE, "", {{3, 5, 1, 3}, {0}}, 1, {{EACH, S2(3, 5)}}},
    {FW_NN_TRANSPOSE, "", {{2, 0, 1}, {0}}, 1, {{EACH, S3(2, 3, 4)}}},
    {FW_NN_TRANSPOSE, "four dimensions", {{3, 1, 0, 2}, {0}}, 1, {{EACH, S4(2, 3, 4, 2)}}},
    {FW_NN_CONCAT, "first dimension", {{0}, {0}}, 2, {{EACH, S2(2, 3)}, {EACH, S2(4, 3)}}},
    {FW_NN_CONCAT, "last dimension", {{1}, {0}}, 3,
     {{EACH, S2(2, 3)}, {EACH, S2(2, 1)}, {EACH, S2(2, 2)}}},
    {FW_NN_SLICE, "", {{1, 1, 3}, {0}}, 1, {{EACH, S3(2, 5, 2)}}},
    {FW_NN_GATHER, "", {{0}, {0}}, 2, {{EACH, S2(5, 3)}, {INDEX, S1(4), 5}}},
    {FW_NN_SUM_LAST, "", {{0}, {0}}, 1, {{EACH, S2(3, 5)}}},
    {FW_NN_ENTROPY, "", {{0}, {0}}, 1, {{EACH, S2(3, 5)}}},
    {FW_NN_ENTROPY, "of one row", {{0}, {0}}, 1, {{EACH, S1(6)}}},
    {FW_NN_MSE, "", {{0}, {0}}, 2, {{EACH, S2(2, 4)}, {TARGET, S2(2, 4)}}},
    {FW_NN_HUBER, "", {{0}, {0.5f}}, 2, {{EACH, S2(2, 4)}, {TARGET, S2(2, 4)}}},
    {FW_NN_CROSS_ENTROPY, "", {{0}, {0}}, 2, {{EACH, S2(3, 5)}, {INDEX, S1(3), 5, true}}},
    {FW_NN_CROSS_ENTROPY, "one class", {{0}, {0}}, 2, {{EACH, S1(5)}, {INDEX, S0, 5}}},
    {FW_NN_GAUSSIAN_NLL, "", {{0}, {0}}, 3, {{EACH, S1(4)}, {EACH, S1(4)}, {TARGET, S1(4)}}},
    {FW_NN_QUANTILE, "", {{0}, {0.8f}}, 2, {{EACH, S1(4)}, {TARGET, S1(4)}}},
    {FW_NN_PPO, "", {{0}, {0.2f}}, 3, {{EACH, S1(4)}, {TARGET, S1(4)}, {TARGET, S1(4)}}},
};
enum { CASE_COUNT = sizeof cases / sizeof *cases };

/* One case with its numbers. */
typedef struct trial {
    const test_case *c;
    fw_nn_dtype store;
    fw_nn_graph *graph;
    fw_nn_value operands[FW_NN_INPUTS_MAX], parameters[FW_NN_INPUTS_MAX], result, loss;
    float *batched[FW_NN_INPUTS_MAX]; /* (ROWS, elements): floats, or int32_t; NULL for FIXED */
    float weights[ROWS * ELEMENTS_MAX];
    fw_nn_layout layout;
    float *params;
} trial;

static bool is_float(role r) { return r == FIXED || r == EACH || r == TARGET || r == MASK; }
static bool differentiated(role r) { return r == FIXED || r == EACH; }

static void build(trial *t) {
    char name[32];
    fw_error error;
    assert_int_equal(fw_nn_graph_new(&t->graph, &error), FW_OK);
    for (uint32_t i = 0; i < t->c->count; i++) {
        const operand *o = &t->c->in[i];
        t->parameters[i] = FW_NN_NONE;
        snprintf(name, sizeof name, "in%u", i);
        if (o->role != FIXED)
            t->operands[i] = fw_nn_input(t->graph, name, is_float(o->role) ? FW_NN_F32 : FW_NN_I32,
                                         o->shape);
        if (!differentiated(o->role)) continue;
        snprintf(name, sizeof name, "p%u", i);
        t->parameters[i] = fw_nn_parameter(t->graph, name, o->shape, FW_NN_INIT_NORMAL, 0.7f);
        snprintf(name, sizeof name, "x%u", i);
        t->operands[i] = o->role == FIXED
                             ? t->parameters[i]
                             : fw_nn_apply2(t->graph, FW_NN_ADD, name, t->operands[i],
                                            t->parameters[i]);
    }
    t->result = fw_nn_node_add(t->graph, t->c->op, "op", t->operands, t->c->count, t->c->attr,
                               NULL);
    assert_int_equal(fw_nn_graph_check(t->graph, &error), FW_OK);
    fw_nn_shape shape = t->graph->values[t->result].shape;
    fw_nn_value weights = fw_nn_input(t->graph, "weights", FW_NN_F32, shape);
    fw_nn_value product = t->graph->values[t->result].batched
                              ? fw_nn_apply2(t->graph, FW_NN_MULTIPLY, "product", t->result, weights)
                              : fw_nn_apply2(t->graph, FW_NN_MULTIPLY, "product", weights, t->result);
    fw_nn_value flat = fw_nn_reshape(t->graph, "flat", product,
                                     fw_nn_shape1((uint32_t)fw_nn_elements(shape)));
    t->loss = fw_nn_apply(t->graph, FW_NN_SUM_LAST, "loss", flat);
    fw_nn_output_add(t->graph, "result", t->result);
    assert_int_equal(fw_nn_graph_check(t->graph, &error), FW_OK);
}

static void fill(trial *t, fw_random *r) {
    fw_error error;
    for (uint32_t i = 0; i < t->c->count; i++) {
        const operand *o = &t->c->in[i];
        size_t count = ROWS * fw_nn_elements(o->shape);
        if (o->role == FIXED) continue;
        t->batched[i] = calloc(count, sizeof(float));
        for (size_t n = 0; n < count; n++) {
            int32_t index = (int32_t)fw_random_below(r, (uint32_t)(o->high > 0 ? o->high : 1));
            if (o->skips && fw_random_below(r, 4) == 0) index = -1;
            float value = o->role == MASK ? (float)(fw_random_below(r, 3) != 0)
                                          : 0.8f * fw_random_normal(r);
            if (o->role == INDEX)
                memcpy(&t->batched[i][n], &index, sizeof index);
            else
                t->batched[i][n] = value;
        }
    }
    for (size_t n = 0; n < ROWS * ELEMENTS_MAX; n++) t->weights[n] = fw_random_normal(r);
    assert_int_equal(fw_nn_layout_make(t->graph, &t->layout, &error), FW_OK);
    t->params = aligned_alloc(64, t->layout.floats * sizeof(float));
    fw_nn_initialise(t->graph, &t->layout, seed + fw_random_u32(r), t->params);
    if (t->store != FW_NN_BF16) return;
    fw_nn_round_bf16(t->params, t->params, t->layout.floats);
    fw_nn_round_bf16(t->weights, t->weights, ROWS * ELEMENTS_MAX);
}

static void clear(trial *t) {
    fw_nn_graph_free(t->graph);
    fw_nn_layout_clear(&t->layout);
    free(t->params);
    for (uint32_t i = 0; i < FW_NN_INPUTS_MAX; i++) free(t->batched[i]);
}

/* ---- in float64 ---- */

/* The operand as the twin sees it; `bump` is added to element `at` of the parameter of `of`. */
static void *twin_operand(const trial *t, uint32_t i, uint32_t of, size_t at, double bump) {
    const operand *o = &t->c->in[i];
    size_t each = fw_nn_elements(o->shape), rows = o->role == FIXED ? 1 : ROWS;
    if (o->role == INDEX) {
        void *copy = malloc(rows * each * sizeof(int32_t) + 1);
        memcpy(copy, t->batched[i], rows * each * sizeof(int32_t));
        return copy;
    }
    double *out = malloc(rows * each * sizeof *out);
    const float *p = differentiated(o->role) ? t->params + t->layout.offsets[t->parameters[i]] : NULL;
    for (size_t n = 0; n < rows * each; n++) {
        out[n] = p ? (double)p[n % each] : 0;
        if (o->role != FIXED) { /* the sum as the graph makes it and keeps it, for equal inputs */
            float sum = p ? t->batched[i][n] + p[n % each] : t->batched[i][n];
            bool kept = t->c->op == FW_NN_RESHAPE; /* as the output whose bytes it shares: fp32 */
            if (p && t->store == FW_NN_BF16 && !kept) fw_nn_round_bf16(&sum, &sum, 1);
            out[n] = (double)sum;
        }
        if (i == of && n % each == at) out[n] += bump;
    }
    return out;
}

/* Runs the kernel in float64: its first output into result (ROWS * elements), the loss of each example
 * into losses; either may be NULL. */
static void twin_run(const trial *t, uint32_t of, size_t at, double bump, double *result,
                     double losses[ROWS]) {
    char symbol[64];
    const fw_nn_op_info *info = fw_nn_op_info_of(t->c->op);
    const fw_nn_node *node = &t->graph->nodes[t->graph->values[t->result].node];
    twin_attr attr;
    fw_nn_call call = {.attr = (const fw_nn_attr *)&attr, .rows = ROWS,
                       .input_count = t->c->count, .output_count = info->outputs};
    static const char *const names[] = {
#define X(op, name, least, most, outputs) #op,
        FW_NN_OPS(X)
#undef X
    };
    snprintf(symbol, sizeof symbol, "fw_nn_kernel_%s", names[t->c->op]);
    fw_nn_kernel *kernel;
    *(void **)&kernel = dlsym(twin, symbol);
    assert_non_null(kernel);
    memcpy(attr.i, t->c->attr.i, sizeof attr.i);
    for (int i = 0; i < 4; i++) attr.f[i] = (double)t->c->attr.f[i];
    for (uint32_t i = 0; i < t->c->count; i++)
        call.in[i] = (fw_nn_view){twin_operand(t, i, of, at, bump),
                                  is_float(t->c->in[i].role) ? FW_NN_F32 : FW_NN_I32,
                                  t->c->in[i].role != FIXED, t->c->in[i].shape};
    for (uint32_t i = 0; i < info->outputs; i++) {
        const fw_nn_value_info *v = &t->graph->values[node->outputs[i]];
        call.out[i] = (fw_nn_view){calloc(ROWS * fw_nn_elements(v->shape) + 1, sizeof(double)),
                                   v->dtype, v->batched, v->shape};
    }
    call.scratch = calloc(1, 2 * (info->scratch_bytes ? info->scratch_bytes(&call) : 0) + 64);
    kernel(&call);
    size_t each = fw_nn_elements(call.out[0].shape);
    for (size_t n = 0; n < ROWS * each; n++) {
        double y = ((double *)call.out[0].data)[call.out[0].batched ? n : n % each];
        if (losses) losses[n / each] += y * (double)t->weights[n];
        if (result) result[n] = y;
    }
    for (uint32_t i = 0; i < t->c->count; i++) free(call.in[i].data);
    for (uint32_t i = 0; i < info->outputs; i++) free(call.out[i].data);
    free(call.scratch);
}

/* ---- the comparison ---- */

static void check_values(const trial *t, const fw_nn_session *session) {
    size_t each = fw_nn_elements(t->graph->values[t->result].shape);
    bool batched = t->graph->values[t->result].batched;
    double *wanted = malloc(ROWS * each * sizeof *wanted);
    const float *got = fw_nn_session_value(session, t->result);
    twin_run(t, UINT32_MAX, 0, 0, wanted, NULL);
    for (size_t n = 0; n < (batched ? ROWS : 1) * each; n++)
        if (!(fabs((double)got[n] - wanted[n]) <= 2e-6 + 2e-5 * fabs(wanted[n]))) {
            print_error("%s %s: element %zu is %.9g, in float64 %.9g\n", fw_nn_op_name(t->c->op),
                        t->c->what, n, (double)got[n], wanted[n]);
            fail();
        }
    free(wanted);
}

/* A gradient by differences in float64: of one side and the other, equal but at a kink (rounded numbers
 * are often equal, and then a maximum has two); size: the sum of its examples' sizes. */
typedef struct slope {
    double low, high, size;
} slope;

static slope slope_of(const trial *t, uint32_t of, size_t at) {
    const double h = 1e-7;
    double up[ROWS] = {0}, here[ROWS] = {0}, down[ROWS] = {0};
    slope s = {0};
    twin_run(t, of, at, h, NULL, up);
    twin_run(t, of, at, 0, NULL, here);
    twin_run(t, of, at, -h, NULL, down);
    for (int r = 0; r < ROWS; r++) {
        double after = (up[r] - here[r]) / h, before = (here[r] - down[r]) / h;
        s.low += fmin(after, before);
        s.high += fmax(after, before);
        s.size += fmax(fabs(after), fabs(before));
    }
    return s;
}

static void check_gradient(const trial *t, uint32_t i, const float *got) {
    size_t count = fw_nn_elements(t->c->in[i].shape);
    slope *slopes = malloc(count * sizeof *slopes);
    double largest = 0;
    for (size_t n = 0; n < count; n++) {
        slopes[n] = slope_of(t, i, n);
        largest = fmax(largest, slopes[n].size);
    }
    for (size_t n = 0; n < count; n++) {
        const slope *s = &slopes[n];
        double apart = t->store == FW_NN_BF16 ? 0x1p-7 * (s->size + largest) : 2e-4 * s->size;
        apart += 2e-5;
        if (!((double)got[n] >= s->low - apart && (double)got[n] <= s->high + apart)) {
            print_error("%s %s%s: gradient %zu of input %u is %.9g, by differences %.9g\n",
                        fw_nn_op_name(t->c->op), t->c->what,
                        t->store == FW_NN_BF16 ? " in bf16" : "", n, i, (double)got[n], s->low);
            fail();
        }
    }
    free(slopes);
}

static void check_gradients(const trial *t, const float *gradients) {
    for (uint32_t i = 0; i < t->c->count; i++)
        if (differentiated(t->c->in[i].role))
            check_gradient(t, i, gradients + t->layout.offsets[t->parameters[i]]);
}

static void run_case(const test_case *c, uint64_t turn, fw_nn_dtype store,
                     const fw_nn_backend *const *backends) {
    trial t = {.c = c, .store = store};
    fw_error error;
    fw_nn_training training;
    fw_nn_plan *plan;
    fw_nn_session *session;
    fw_random random = fw_random_indexed(seed + turn, (uint64_t)(c - cases));
    float ones[ROWS] = {1, 1, 1};
    const void *inputs[FW_NN_INPUTS_MAX + 2];
    uint32_t input_count = 0;
    build(&t);
    fill(&t, &random);
    fw_status status = fw_nn_differentiate(t.graph, t.loss, &training, &error);
    if (status != FW_OK) print_error("%s %s: %s\n", fw_nn_op_name(c->op), c->what, error.text);
    assert_int_equal(status, FW_OK);
    for (uint32_t i = 0; i < c->count; i++)
        if (c->in[i].role != FIXED) inputs[input_count++] = t.batched[i];
    inputs[input_count++] = t.weights;
    inputs[input_count++] = ones;
    fw_nn_plan_options options = {.rows = ROWS, .training = true,
                                  .gradients = training.gradients,
                                  .gradient_count = training.gradient_count,
                                  .store = store,
                                  .backends = backends};
    assert_int_equal(fw_nn_plan_make(training.graph, &options, &plan, &error), FW_OK);
    assert_int_equal(fw_nn_session_new(plan, &session, &error), FW_OK);
    float *gradients = calloc(t.layout.floats, sizeof(float));
    fw_nn_run_args args = {.parameters = t.params, .gradients = gradients, .inputs = inputs,
                           .rows = ROWS};
    fw_nn_session_run(session, &args);
    check_values(&t, session);
    check_gradients(&t, gradients);
    assert_true(fw_nn_plan_arena_bytes(plan) >= fw_nn_plan_bound_bytes(plan));
    free(gradients);
    fw_nn_session_free(session);
    fw_nn_plan_free(plan);
    fw_nn_training_clear(&training);
    clear(&t);
}

static void every_operator(void **state) {
    (void)state;
    for (uint64_t turn = 0; turn < 4; turn++)
        for (int i = 0; i < CASE_COUNT; i++) run_case(&cases[i], turn, FW_NN_F32, NULL);
}

static void every_operator_in_bf16(void **state) {
    (void)state;
    static const fw_nn_backend *const training[] = {&fw_nn_backend_fused, &fw_nn_backend_fast, NULL};
    for (uint64_t turn = 0; turn < 4; turn++)
        for (int i = 0; i < CASE_COUNT; i++)
            run_case(&cases[i], turn, FW_NN_BF16, turn % 2 ? training : NULL);
}

static void no_operator_is_left_out(void **state) {
    (void)state;
    for (uint32_t op = 0; op < FW_NN_OP_COUNT; op++) {
        bool there = op == FW_NN_DROPOUT; /* random: test_dropout */
        for (int i = 0; i < CASE_COUNT; i++) there |= cases[i].op == op;
        if (!there) print_error("%s is not tested\n", fw_nn_op_name(op));
        assert_true(there);
    }
}

static void dropout(void **state) {
    (void)state;
    enum { N = 4000 };
    static float x[2 * N], y[2 * N], again[2 * N];
    fw_nn_attr attr = {.i = {5}, .f = {0.25f}};
    for (int i = 0; i < 2 * N; i++) x[i] = 1;
    fw_nn_call call = {.attr = &attr, .rows = 2, .seed = 9, .training = true,
                       .in = {{x, FW_NN_F32, true, S1(N)}}, .out = {{y, FW_NN_F32, true, S1(N)}}};
    fw_nn_kernel_DROPOUT(&call);
    int kept = 0;
    for (int i = 0; i < 2 * N; i++) {
        assert_true(y[i] == 0 || fabsf(y[i] - 1 / 0.75f) < 1e-6f);
        kept += y[i] != 0;
    }
    assert_true(kept > 0.72 * 2 * N && kept < 0.78 * 2 * N); /* 6 standard deviations */
    call.rows = 1; /* the second row alone: what is dropped does not depend on tiles */
    call.first_row = 1;
    call.out[0].data = again;
    fw_nn_kernel_DROPOUT(&call);
    assert_memory_equal(again, y + N, N * sizeof *y);
    call.training = false;
    fw_nn_kernel_DROPOUT(&call);
    assert_memory_equal(again, x, N * sizeof *x);
}

static void wrong_graphs_say_where(void **state) {
    (void)state;
    fw_nn_graph *g;
    fw_error error;
    assert_int_equal(fw_nn_graph_new(&g, &error), FW_OK);
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(32));
    fw_nn_value w = fw_nn_parameter(g, "w", fw_nn_shape2(8, 64), FW_NN_INIT_ZERO, 0);
    fw_nn_value y = fw_nn_apply2(g, FW_NN_LINEAR, "l3", x, w);
    assert_int_equal(y, FW_NN_NONE);
    assert_int_equal(fw_nn_apply(g, FW_NN_RELU, "after", y), FW_NN_NONE); /* stays failed */
    assert_int_equal(fw_nn_graph_check(g, &error), FW_INVALID);
    assert_string_equal(error.text,
                        "node l3 (linear): the weight takes 64 features, the input has 32");
    fw_nn_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_operator_is_left_out),
        cmocka_unit_test(every_operator),
        cmocka_unit_test(every_operator_in_bf16),
        cmocka_unit_test(dropout),
        cmocka_unit_test(wrong_graphs_say_where),
    };
    seed = seed_of_run();
    fw_nn_gradients_register();
    twin = dlopen(FW_NN_TWIN, RTLD_NOW | RTLD_LOCAL);
    if (!twin) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
