/* Every kernel of the backends against the reference kernels: random networks of random sizes, forward
 * and backward, with all rows of the plan and with fewer. Losses and gradients must agree within
 * TOLERANCE of the largest number of their array: fp32 sums in another order. */
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
#include "nn/run/cpu/gemm.h"
#include "nn/run/layers.h"
#include "nn/run/cpu/vector.h"
#include "nn/train/cpu/dnnl.h"
#include "nn/train/cpu/fused.h"
#include "nn/train/grad.h"
#include "seed.h"

#define TOLERANCE 2e-4

enum { ROWS = 11, TRIALS = 6 };

static uint64_t seed;
static const fw_nn_backend *const by_hand[] = {&fw_nn_backend_fused, &fw_nn_backend_fast, NULL};
static const fw_nn_backend *const by_dnnl[] = {&fw_nn_backend_dnnl_all, NULL};

static uint32_t up_to(fw_random *r, uint32_t most) {
    return 1 + fw_random_below(r, most);
}

/* ---- networks: x goes in, a scalar loss an example comes out ---- */

typedef fw_nn_value builder(fw_nn_graph *g, fw_random *r);

/* An input with a learned offset, so that its gradient is looked at as well. */
static fw_nn_value learned_input(fw_nn_graph *g, fw_nn_shape shape) {
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, shape);
    fw_nn_value p = fw_nn_parameter(g, "offset", shape, FW_NN_INIT_NORMAL, 0.3f);
    return fw_nn_apply2(g, FW_NN_ADD, "moved", x, p);
}

static fw_nn_value distance(fw_nn_graph *g, fw_nn_value y) {
    fw_error error;
    if (fw_nn_graph_check(g, &error) != FW_OK) fail_msg("%s", error.text);
    fw_nn_value t = fw_nn_input(g, "t", FW_NN_F32, g->values[y].shape);
    return fw_nn_apply2(g, FW_NN_MSE, "loss", y, t);
}

static fw_nn_value layers(fw_nn_graph *g, fw_random *r) {
    static const fw_nn_op acts[] = {FW_NN_RELU, FW_NN_TANH, FW_NN_SIGMOID, FW_NN_GELU, FW_NN_SILU};
    fw_nn_shape shape = fw_random_below(r, 2) ? fw_nn_shape1(up_to(r, 300))
                                              : fw_nn_shape2(up_to(r, 9), up_to(r, 70));
    fw_nn_value x = learned_input(g, shape);
    for (int i = 0; i < 3; i++) {
        char name[2][8];
        snprintf(name[0], 8, "l%d", i);
        snprintf(name[1], 8, "a%d", i);
        x = fw_nn_linear(g, name[0], x, up_to(r, 300), fw_random_below(r, 2));
        x = fw_nn_apply(g, acts[fw_random_below(r, 5)], name[1], x);
    }
    return distance(g, x);
}

static fw_nn_value residuals(fw_nn_graph *g, fw_random *r) {
    uint32_t width = up_to(r, 90);
    fw_nn_value x = learned_input(g, fw_nn_shape2(up_to(r, 7), width));
    fw_nn_value y = fw_nn_layer_norm(g, "n", x, 1e-5f);
    y = fw_nn_apply(g, FW_NN_GELU, "a", fw_nn_linear(g, "up", y, up_to(r, 200), true));
    x = fw_nn_apply2(g, FW_NN_ADD, "r", x, fw_nn_linear(g, "dn", y, width, true));
    return distance(g, fw_nn_apply(g, FW_NN_SOFTMAX, "s", fw_nn_rms_norm(g, "n2", x, 1e-5f)));
}

static fw_nn_value images(fw_nn_graph *g, fw_random *r) {
    uint32_t groups = 1 + fw_random_below(r, 2), channels = groups * up_to(r, 6);
    fw_nn_value x = learned_input(g, fw_nn_shape3(channels, 6 + up_to(r, 20), 6 + up_to(r, 20)));
    for (int i = 0; i < 2; i++) {
        char name[2][8];
        snprintf(name[0], 8, "c%d", i);
        snprintf(name[1], 8, "a%d", i);
        fw_nn_conv_options o = {.out = groups * up_to(r, 20), .kernel_y = up_to(r, 3),
                                .kernel_x = up_to(r, 3), .stride_y = up_to(r, 2),
                                .stride_x = up_to(r, 2), .groups = groups};
        o.pad_y = fw_random_below(r, o.kernel_y); /* padding lies within the kernel */
        o.pad_x = fw_random_below(r, o.kernel_x);
        x = fw_nn_conv(g, name[0], x, o);
        x = fw_nn_apply(g, i ? FW_NN_TANH : FW_NN_RELU, name[1], x);
    }
    return distance(g, x);
}

static fw_nn_value attentive(fw_nn_graph *g, fw_random *r) {
    uint32_t groups = up_to(r, 2), heads = groups * up_to(r, 2), depth = 2 * up_to(r, 20);
    uint32_t length = up_to(r, 150);
    fw_nn_value x = learned_input(g, fw_nn_shape2(length, heads * depth));
    fw_nn_attention_options o = {.heads = heads, .key_heads = groups,
                                 .causal = fw_random_below(r, 2) != 0, .mask = FW_NN_NONE};
    if (fw_random_below(r, 2)) o.mask = fw_nn_input(g, "mask", FW_NN_F32, fw_nn_shape1(length));
    if (fw_random_below(r, 2)) o.rope_base = 10000;
    return distance(g, fw_nn_self_attention(g, "at", x, o));
}

static fw_nn_value recurrent(fw_nn_graph *g, fw_random *r, fw_nn_op op, uint32_t gates) {
    uint32_t width = up_to(r, 30), hidden = up_to(r, 40);
    bool given = fw_random_below(r, 2) != 0;
    fw_nn_value x = learned_input(g, fw_nn_shape2(up_to(r, 12), width)), in[7] = {x};
    in[1] = fw_nn_parameter(g, "w", fw_nn_shape2(gates * hidden, width), FW_NN_INIT_NORMAL, 0.3f);
    in[2] = fw_nn_parameter(g, "u", fw_nn_shape2(gates * hidden, hidden), FW_NN_INIT_NORMAL, 0.3f);
    in[3] = fw_nn_parameter(g, "b", fw_nn_shape1(gates * hidden), FW_NN_INIT_NORMAL, 0.3f);
    in[4] = fw_nn_parameter(g, "c", fw_nn_shape1(gates * hidden), FW_NN_INIT_NORMAL, 0.3f);
    for (uint32_t i = 0; given && i < (op == FW_NN_LSTM ? 2 : 1); i++) {
        fw_nn_value start = fw_nn_input(g, i ? "c0" : "h0", FW_NN_F32, fw_nn_shape1(hidden));
        fw_nn_value move = fw_nn_parameter(g, i ? "cp" : "hp", fw_nn_shape1(hidden),
                                           FW_NN_INIT_NORMAL, 0.3f);
        in[5 + i] = fw_nn_apply2(g, FW_NN_ADD, i ? "c1" : "h1", start, move);
    }
    uint32_t count = !given ? 5 : op == FW_NN_LSTM ? 7 : 6;
    return distance(g, fw_nn_node_add(g, op, "rnn", in, count, (fw_nn_attr){0}, NULL));
}
static fw_nn_value lstm(fw_nn_graph *g, fw_random *r) {
    return recurrent(g, r, FW_NN_LSTM, 4);
}
static fw_nn_value gru(fw_nn_graph *g, fw_random *r) {
    return recurrent(g, r, FW_NN_GRU, 3);
}

static fw_nn_value sets(fw_nn_graph *g, fw_random *r) {
    fw_nn_shape shape = fw_nn_shape2(up_to(r, 14), up_to(r, 70));
    fw_nn_value x = learned_input(g, shape);
    fw_nn_value mask = fw_nn_input(g, "mask", FW_NN_F32, fw_nn_shape1(shape.d[0]));
    return distance(g, fw_nn_apply2(g, FW_NN_SET_MAX, "set", x, mask));
}

static fw_nn_value classes(fw_nn_graph *g, fw_random *r) {
    fw_nn_shape shape = fw_nn_shape2(up_to(r, 9), up_to(r, 200));
    fw_nn_value x = learned_input(g, shape);
    fw_nn_value ids = fw_nn_input(g, "ids", FW_NN_I32, fw_nn_shape1(shape.d[0]));
    return fw_nn_apply2(g, FW_NN_CROSS_ENTROPY, "loss", x, ids);
}

static fw_nn_value entropy(fw_nn_graph *g, fw_random *r) {
    fw_nn_value x = learned_input(g, fw_nn_shape2(up_to(r, 9), up_to(r, 200)));
    return distance(g, fw_nn_apply(g, FW_NN_ENTROPY, "entropy", x));
}

static fw_nn_value simple(fw_nn_graph *g, fw_random *r) {
    uint32_t width = up_to(r, 99);
    fw_nn_value x = learned_input(g, fw_nn_shape2(up_to(r, 9), width));
    fw_nn_value p = fw_nn_parameter(g, "p", fw_nn_shape1(width), FW_NN_INIT_NORMAL, 0.5f);
    x = fw_nn_apply2(g, FW_NN_SUBTRACT, "s", fw_nn_apply2(g, FW_NN_MULTIPLY, "m", x, p), p);
    x = fw_nn_node_add(g, FW_NN_CLAMP, "k", &x, 1, (fw_nn_attr){.f = {-1, 0.8f}}, NULL);
    x = fw_nn_apply(g, FW_NN_ERF, "erf", x);
    return distance(g, fw_nn_apply(g, FW_NN_EXP, "e", fw_nn_affine(g, "f", x, 0.7f, 0.1f)));
}

/* ---- one comparison ---- */

typedef struct result {
    float losses[ROWS];
    float *gradients;
} result;

static void run_once(const fw_nn_training *t, const void *const *inputs, const float *params,
                     const fw_nn_backend *const *backends, bool packs, uint32_t most, uint32_t rows,
                     result *out) {
    fw_error error;
    fw_nn_plan *plan;
    fw_nn_session *session;
    fw_nn_plan_options o = {.rows = most, .training = true, .keep = &t->loss, .keep_count = 1,
                            .gradients = t->gradients, .gradient_count = t->gradient_count,
                            .backends = backends, .pack = packs};
    assert_int_equal(fw_nn_plan_make(t->graph, &o, &plan, &error), FW_OK);
    assert_int_equal(fw_nn_session_new(plan, &session, &error), FW_OK);
    void *packed = aligned_alloc(64, (fw_nn_plan_packed_bytes(plan) + 127) / 64 * 64);
    assert_non_null(packed);
    fw_nn_plan_pack(plan, params, packed);
    for (int i = 0; i < 2; i++) { /* twice: what a run leaves behind changes nothing */
        for (size_t k = 0; k < fw_nn_plan_layout(plan)->floats; k++)
            out->gradients[k] = i ? 7.0f : 0.0f; /* added to zeros, then set */
        fw_nn_session_run(session, &(fw_nn_run_args){.parameters = params, .packed = packed,
                                                     .rows = rows, .gradients = out->gradients, .first = i == 1,
                                                     .inputs = inputs});
    }
    memcpy(out->losses, fw_nn_session_value(session, t->loss), rows * sizeof(float));
    free(packed);
    fw_nn_session_free(session);
    fw_nn_plan_free(plan);
}

static double largest(const float *values, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) most = fmax(most, fabs((double)values[i]));
    return most;
}

/* least: what counts as the largest number at least; some gradients are zero but for rounding (the
 * bias of attention's keys). */
static void compare(const char *what, const float *got, const float *wanted, size_t count,
                    double least) {
    double most = fmax(least, largest(wanted, count));
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - (double)wanted[i]) <= TOLERANCE * most)) {
            print_error("%s: element %zu of %zu is %.9g, by the reference %.9g (largest %.3g)\n", what,
                        i, count, (double)got[i], (double)wanted[i], most);
            fail();
        }
}

static void *random_input(const fw_nn_value_info *v, fw_random *r) {
    size_t count = ROWS * fw_nn_elements(v->shape);
    float *out = malloc(count * sizeof *out + 1);
    for (size_t i = 0; i < count; i++) {
        int32_t index = (int32_t)fw_random_below(r, 220) - 5;
        out[i] = strcmp(v->name, "mask") == 0 ? (float)(fw_random_below(r, 4) != 0)
                                              : fw_random_normal(r);
        if (v->dtype == FW_NN_I32) memcpy(&out[i], &index, sizeof index);
    }
    return out;
}

static void one_trial(builder *build, const fw_nn_backend *const *backends, fw_random *r) {
    fw_error error;
    fw_nn_graph *g;
    fw_nn_training t;
    fw_nn_layout layout;
    const void *inputs[8];
    float *seeds = malloc(ROWS * sizeof *seeds);
    uint32_t count = 0;
    assert_int_equal(fw_nn_graph_new(&g, &error), FW_OK);
    fw_nn_value loss = build(g, r);
    if (fw_nn_graph_check(g, &error) != FW_OK) fail_msg("%s", error.text);
    assert_int_equal(fw_nn_differentiate(g, loss, &t, &error), FW_OK);
    assert_int_equal(fw_nn_layout_make(t.graph, &layout, &error), FW_OK);
    for (uint32_t i = 0; i < t.graph->value_count; i++)
        if (t.graph->values[i].kind == FW_NN_INPUT)
            inputs[count++] = i == t.seed ? seeds : random_input(&t.graph->values[i], r);
    for (uint32_t i = 0; i < ROWS; i++) seeds[i] = fw_random_normal(r);
    float *params = aligned_alloc(64, layout.floats * sizeof *params);
    result a = {.gradients = calloc(layout.floats, sizeof(float))};
    result b = {.gradients = calloc(layout.floats, sizeof(float))};
    fw_nn_initialise(t.graph, &layout, fw_random_u32(r), params);
    uint32_t most = fw_random_below(r, 3) ? ROWS : up_to(r, 3); /* of the plan */
    for (uint32_t rows = most; rows > 0; rows = rows == most ? fw_random_below(r, most) : 0) {
        run_once(&t, inputs, params, NULL, false, most, rows, &a);
        run_once(&t, inputs, params, backends, fw_random_below(r, 2), most, rows, &b);
        double least = 0.01 * largest(a.gradients, layout.floats);
        compare("loss", b.losses, a.losses, rows, 1e-6);
        for (uint32_t i = 0; i < t.graph->value_count; i++)
            if (t.graph->values[i].kind == FW_NN_PARAMETER)
                compare(t.graph->values[i].name, b.gradients + layout.offsets[i],
                        a.gradients + layout.offsets[i], fw_nn_elements(t.graph->values[i].shape),
                        least);
    }
    for (uint32_t i = 0; i < count; i++) free((void *)(uintptr_t)inputs[i]);
    free(params);
    free(a.gradients);
    free(b.gradients);
    fw_nn_layout_clear(&layout);
    fw_nn_training_clear(&t);
    fw_nn_graph_free(g);
}

static void networks_agree(void **state) {
    static const struct {
        const char *name;
        builder *build;
    } all[] = {{"linear layers", layers}, {"norms and residuals", residuals}, {"convolutions", images}, {"sets", sets},
               {"attention", attentive},  {"LSTM", lstm}, {"GRU", gru}, {"classes", classes}, {"entropy", entropy},
               {"element-wise", simple}};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (int trial = 0; trial < TRIALS; trial++) {
            char name[32];
            snprintf(name, sizeof name, "%zu-%d", i, trial);
            print_message("%s, trial %d\n", all[i].name, trial);
            fw_random r = fw_random_named(seed, name);
            one_trial(all[i].build, by_hand, &r);
            r = fw_random_named(seed, name);
            if (all[i].build == layers || all[i].build == images)
                one_trial(all[i].build, by_dnnl, &r);
        }
}

/* Products of all layouts against float64; B packed with the product, before, or as a part of more. */
static void products(void **state) {
    enum { MOST = 260, DEEP = 600, MORE = 40 };
    (void)state;
    float *a = malloc(MOST * DEEP * sizeof *a), *c = malloc(MOST * MOST * sizeof *c);
    float *b = malloc((DEEP + MORE) * (MOST + MORE) * sizeof *b);
    float *packed = aligned_alloc(64, (DEEP + MORE) * (MOST + MORE + 20) * sizeof *c);
    void *scratch = aligned_alloc(64, FW_GEMM_SCRATCH_BYTES);
    fw_random r = fw_random_named(seed, "products");
    for (size_t i = 0; i < MOST * DEEP; i++) a[i] = fw_random_normal(&r);
    for (size_t i = 0; i < (DEEP + MORE) * (MOST + MORE); i++) b[i] = fw_random_normal(&r);
    for (int trial = 0; trial < 160; trial++) {
        size_t m = up_to(&r, MOST), n = up_to(&r, MOST), k = up_to(&r, DEEP);
        size_t wide = n + (trial % 4 == 3 ? up_to(&r, MORE) : 0), deep = k + (wide > n ? up_to(&r, MORE) : 0);
        bool ta = fw_random_below(&r, 2), tb = fw_random_below(&r, 2), add = fw_random_below(&r, 2);
        fw_gemm g = {.m = m, .n = n, .k = k, .a = a, .a_row = ta ? 1 : k, .a_column = ta ? m : 1,
                     .b = b, .b_row = tb ? 1 : wide, .b_column = tb ? deep : 1, .c = c, .c_row = n,
                     .add = add, .bias = trial % 3 ? b : NULL, .scratch = scratch};
        fw_gemm whole = g;
        whole.n = wide, whole.k = deep;
        for (size_t i = 0; i < m * n; i++) c[i] = 0.5f;
        if (trial % 2) fw_gemm_pack(&whole, packed), g.packed = packed, g.packed_k = deep;
        fw_gemm_run(&g);
        for (int look = 0; look < 400; look++) {
            size_t i = fw_random_below(&r, (uint32_t)m), j = fw_random_below(&r, (uint32_t)n);
            if (look < 2) i = m - 1, j = n - 1;
            double wanted = (add ? 0.5 : 0) + (g.bias ? (double)g.bias[j] : 0);
            for (size_t p = 0; p < k; p++)
                wanted += (double)a[i * g.a_row + p * g.a_column] * (double)b[p * g.b_row + j * g.b_column];
            if (!(fabs((double)c[i * n + j] - wanted) <= 1e-6 * (double)(k + 20)))
                fail_msg("%zu x %zu x %zu: (%zu, %zu) is %g, not %g", m, n, k, i, j, (double)c[i * n + j], wanted);
        }
    }
    free(a), free(b), free(c), free(packed), free(scratch);
}

static void exponentials(void **state) {
    (void)state;
    double worst = 0, bend = 0, error = 0;
    for (double x = -87.2; x < 88; x += 0.00037) {
        double e = exp((double)(float)x);
        worst = fmax(worst, fabs((double)fw_exp((float)x) - e) / e);
        bend = fmax(bend, fabs((double)fw_tanh_exact((float)x) - tanh((double)(float)x)));
        error = fmax(error, fabs((double)fw_erf((float)x) - erf((double)(float)x)));
    }
    print_message("exp: relative error %.2g; tanh, erf: absolute error %.2g, %.2g\n", worst, bend, error);
    assert_true(worst < 3e-7 && bend < 3e-7 && error < 7e-7);
    assert_true(fw_exp(-INFINITY) == 0 && fw_exp(-100) == 0 && isinf(fw_exp(89)) && isnan(fw_exp(NAN)));
    assert_true(fw_tanh_exact(INFINITY) == 1 && fw_tanh_exact(-INFINITY) == -1 && fw_sigmoid(-INFINITY) == 0);
    assert_true(fw_erf(INFINITY) == 1 && fw_erf(-INFINITY) == -1 && isnan(fw_erf(NAN)));
}

int main(void) {
    seed = seed_of_run();
    const struct CMUnitTest tests[] = {cmocka_unit_test(products), cmocka_unit_test(exponentials),
                                       cmocka_unit_test(networks_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
