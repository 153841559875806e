/* int8: products of bytes by every variant of this machine, layers against their own arithmetic in
 * float64 (tight) and against fp32 (within what the steps allow), what happens at the edges, calibration,
 * and small trained networks that keep their accuracy in int8 and bf16. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/int8.h"
#include "nn/run/cpu/int8_parts.h"
#include "nn/run/layers.h"
#include "nn/run/runner.h"
#include "seed.h"

enum { TRIALS = 120 };

static uint64_t seed;

static uint32_t up_to(fw_random *r, uint32_t most) {
    return 1 + fw_random_below(r, most);
}

/* ---- products ---- */

static int8_t any_byte(fw_random *r, bool negative) {
    int32_t most = fw_random_below(r, 4) == 0 ? 127 : (int32_t)fw_random_below(r, 128); /* extremes */
    return (int8_t)(negative && fw_random_below(r, 2) ? -most : most);
}

static void one_product(fw_random *r) {
    enum { QUADS = 90, OUTS = 72, BYTES = 4 * QUADS * 3 };
    static int8_t panels[4 * QUADS * OUTS] __attribute__((aligned(64))), x[FW_INT8_ROWS][BYTES];
    static int32_t totals[OUTS], sums[FW_INT8_ROWS * (OUTS + 5)], wanted[FW_INT8_ROWS * OUTS];
    uint32_t places[QUADS];
    fw_int8_product p = {.count = up_to(r, FW_INT8_ROWS), .places = places, .quads = up_to(r, QUADS),
                         .panels = panels, .totals = totals, .outs = 8 * up_to(r, OUTS / 8),
                         .negative = fw_random_below(r, 2), .sums = sums};
    p.stride = p.outs + fw_random_below(r, 5);
    for (size_t q = 0; q < p.quads; q++) places[q] = fw_random_below(r, BYTES - 4);
    for (size_t i = 0; i < p.count; i++) {
        p.rows[i] = x[i];
        for (size_t k = 0; k < BYTES; k++) x[i][k] = any_byte(r, p.negative);
    }
    memset(totals, 0, sizeof totals);
    memset(wanted, 0, sizeof wanted);
    for (size_t o = 0; o < p.outs; o++)
        for (size_t q = 0; q < p.quads; q++)
            for (size_t b = 0; b < 4; b++) {
                size_t first = o / 16 * 16, width = p.outs - first < 16 ? 8 : 16;
                int8_t w = any_byte(r, true);
                panels[4 * (first * p.quads + q * width + o - first) + b] = w;
                totals[o] += w;
                for (size_t i = 0; i < p.count; i++)
                    wanted[i * p.outs + o] += w * x[i][places[q] + b];
            }
    for (const fw_int8_variant *v = fw_int8_variants; v->name; v++) {
        if (!v->runs_here()) continue;
        memset(sums, 0x55, sizeof sums);
        v->multiply(&p);
        for (size_t i = 0; i < p.count; i++)
            if (memcmp(sums + i * p.stride, wanted + i * p.outs, p.outs * sizeof *sums) != 0)
                fail_msg("%s: row %zu of %zu, %zu quads, %zu outputs is wrong", v->name, i, p.count,
                         p.quads, p.outs);
    }
}

static void variants_agree(void **state) {
    (void)state;
    fw_random r = fw_random_named(seed, "products");
    print_message("chosen here: %s; also compared:", fw_nn_int8_variant());
    for (const fw_int8_variant *v = fw_int8_variants; v->name; v++)
        if (v->runs_here()) print_message(" %s", v->name);
    print_message("\n");
    for (int i = 0; i < 4 * TRIALS; i++) one_product(&r);
}

/* ---- layers ---- */

/* One linear layer or convolution on inputs within the range, or not. */
typedef struct layer {
    fw_nn_graph *graph;
    fw_nn_value x, w, b, y; /* b may be FW_NN_NONE */
    bool conv;
    fw_nn_op activation; /* after it; LINEAR: none */
    uint32_t rows;
    float range;
    float *ranges, *inputs;
    fw_nn_layout layout;
    float *params;
} layer;

static fw_nn_value add_linear(layer *l, fw_random *r) {
    fw_nn_shape shape = fw_random_below(r, 3) ? fw_nn_shape1(up_to(r, 200))
                                              : fw_nn_shape2(up_to(r, 5), up_to(r, 40));
    l->x = fw_nn_input(l->graph, "x", FW_NN_F32, shape);
    return fw_nn_linear(l->graph, "l", l->x, up_to(r, 80), fw_random_below(r, 2));
}

static fw_nn_value add_conv(layer *l, fw_random *r) {
    uint32_t groups = up_to(r, 3);
    fw_nn_conv_options o = {.groups = groups, .out = groups * up_to(r, 20), .kernel_y = up_to(r, 5),
                            .kernel_x = up_to(r, 5), .stride_y = up_to(r, 3), .stride_x = up_to(r, 3)};
    o.pad_y = fw_random_below(r, o.kernel_y);
    o.pad_x = fw_random_below(r, o.kernel_x);
    if (fw_random_below(r, 4) == 0) o.kernel_y = 1, o.pad_y = 0; /* as of one dimension */
    l->x = fw_nn_input(l->graph, "x", FW_NN_F32,
                       fw_nn_shape3(groups * up_to(r, 9), o.kernel_y - 1 + up_to(r, 14),
                                    o.kernel_x - 1 + up_to(r, 14)));
    return fw_nn_conv(l->graph, "l", l->x, o);
}

static void open_layer(layer *l, fw_random *r) {
    static const fw_nn_op after[] = {FW_NN_LINEAR, FW_NN_LINEAR, FW_NN_RELU, FW_NN_TANH};
    fw_error error = {""};
    l->conv = fw_random_below(r, 2);
    l->rows = up_to(r, 12);
    l->activation = after[fw_random_below(r, 4)];
    assert_int_equal(fw_nn_graph_new(&l->graph, &error), FW_OK);
    l->y = l->conv ? add_conv(l, r) : add_linear(l, r);
    if (l->activation != FW_NN_LINEAR) l->y = fw_nn_apply(l->graph, l->activation, "a", l->y);
    fw_nn_output_add(l->graph, "y", l->y);
    if (fw_nn_graph_check(l->graph, &error) != FW_OK) fail_msg("%s", error.text);
    const fw_nn_node *node = &l->graph->nodes[0];
    l->w = node->inputs[1];
    l->b = node->input_count > 2 ? node->inputs[2] : FW_NN_NONE;
    assert_int_equal(fw_nn_layout_make(l->graph, &l->layout, &error), FW_OK);
    l->params = fw_nn_vector_new(l->layout.floats);
    fw_nn_initialise(l->graph, &l->layout, fw_random_u32(r), l->params);
    size_t each = fw_nn_elements(l->graph->values[l->x].shape);
    l->inputs = calloc(l->rows * each, sizeof(float));
    bool positive = fw_random_below(r, 2);
    for (size_t i = 0; i < l->rows * each; i++) {
        l->inputs[i] = fw_random_normal(r);
        if (positive) l->inputs[i] = fabsf(l->inputs[i]);
    }
    l->range = 0.5f + 3.0f * fw_random_unit(r); /* some saturate */
    l->ranges = calloc(l->graph->value_count, sizeof(float));
    l->ranges[l->x] = l->range;
}

static void close_layer(layer *l) {
    fw_nn_graph_free(l->graph);
    fw_nn_layout_clear(&l->layout);
    free(l->params), free(l->inputs), free(l->ranges);
}

/* Outputs of all rows, run `at_once` at a time. free() them. */
static float *run_layer(const layer *l, bool int8, uint32_t at_once) {
    fw_error error = {""};
    fw_nn_plan *plan;
    fw_nn_session *session;
    fw_nn_plan_options o = {.rows = at_once, .pack = true, .ranges = int8 ? l->ranges : NULL,
                            .backends = int8 ? fw_nn_backends_int8 : NULL};
    assert_int_equal(fw_nn_plan_make(l->graph, &o, &plan, &error), FW_OK);
    assert_int_equal(fw_nn_session_new(plan, &session, &error), FW_OK);
    assert_string_equal(fw_nn_plan_backend(plan, 0),
                        !int8 ? "reference" : l->range > 0 ? "int8" : "fast");
    void *packed = aligned_alloc(64, (fw_nn_plan_packed_bytes(plan) + 127) / 64 * 64);
    memset(packed, 0x5a, fw_nn_plan_packed_bytes(plan));
    fw_nn_plan_pack(plan, l->params, packed);
    size_t in = fw_nn_elements(l->graph->values[l->x].shape);
    size_t out = fw_nn_elements(l->graph->values[l->y].shape);
    float *y = malloc(l->rows * out * sizeof *y);
    for (uint32_t row = 0; row < l->rows; row += at_once) {
        const void *inputs[1] = {l->inputs + row * in};
        uint32_t rows = l->rows - row < at_once ? l->rows - row : at_once;
        fw_nn_session_run(session, &(fw_nn_run_args){.parameters = l->params, .packed = packed,
                                                     .inputs = inputs, .rows = rows});
        memcpy(y + row * out, fw_nn_session_value(session, l->y), rows * out * sizeof *y);
    }
    free(packed);
    fw_nn_session_free(session);
    fw_nn_plan_free(plan);
    return y;
}

/* A place of the layer's output: which example, pixel (or row of a sequence), output. */
typedef struct place {
    size_t row, pixel, out;
} place;

/* Weight k of the place's output and the input number it meets; false beside the image. */
static bool meets(const layer *l, place at, size_t k, float *w, float *x) {
    const fw_nn_node *node = &l->graph->nodes[0];
    fw_nn_shape xs = l->graph->values[l->x].shape, ws = l->graph->values[l->w].shape;
    size_t each = fw_nn_elements(xs), depth = fw_nn_elements(ws) / ws.d[0];
    *w = l->params[l->layout.offsets[l->w] + at.out * depth + k];
    const float *in = l->inputs + at.row * each;
    if (!l->conv) {
        *x = in[at.pixel * depth + k];
        return true;
    }
    const int32_t *a = node->attr.i;
    size_t wide = l->graph->values[l->y].shape.d[2], group = at.out / (ws.d[0] / (size_t)a[4]);
    size_t c = group * ws.d[1] + k / (ws.d[2] * ws.d[3]);
    size_t y = at.pixel / wide * (size_t)a[0] + k / ws.d[3] % ws.d[2] - (size_t)a[2];
    size_t xx = at.pixel % wide * (size_t)a[1] + k % ws.d[3] - (size_t)a[3];
    if (y >= xs.d[1] || xx >= xs.d[2]) return false; /* below 0 wraps */
    *x = in[(c * xs.d[1] + y) * xs.d[2] + xx];
    return true;
}

/* The quantised arithmetic in float64 from its definition, and how far fp32 may be from it: half a step
 * on each side of each product, and what saturates. */
static double twin_of(const layer *l, place at, double *apart) {
    fw_nn_shape ws = l->graph->values[l->w].shape;
    size_t depth = fw_nn_elements(ws) / ws.d[0];
    double most = 0, sum = 0, inverse = (double)(127.0f / l->range), step_x = (double)l->range / 127;
    const float *w = l->params + l->layout.offsets[l->w] + at.out * depth;
    for (size_t k = 0; k < depth; k++) most = fmax(most, fabs((double)w[k]));
    *apart = 0;
    for (size_t k = 0; k < depth; k++) {
        float wk, xk;
        if (!meets(l, at, k, &wk, &xk)) continue;
        double q = fmax(-127, fmin(127, rint((double)(xk * (float)inverse))));
        double v = most > 0 ? rint((double)(wk * (127.0f / (float)most))) : 0;
        sum += q * v;
        *apart += fabs((double)xk * (double)wk - q * step_x * (v * most / 127));
    }
    double y = sum * step_x * (most / 127);
    if (l->b != FW_NN_NONE) y += (double)l->params[l->layout.offsets[l->b] + at.out];
    if (l->activation == FW_NN_RELU) y = fmax(y, 0);
    if (l->activation == FW_NN_TANH) y = tanh(y);
    return y;
}

static void check_layer(const layer *l, const float *got, const float *fp32) {
    fw_nn_shape ys = l->graph->values[l->y].shape;
    size_t outs = l->graph->values[l->w].shape.d[0], pixels = fw_nn_elements(ys) / outs;
    for (size_t n = 0; n < l->rows * pixels * outs; n++) {
        size_t i = n % (pixels * outs);
        place at = {n / (pixels * outs), l->conv ? i % pixels : i / outs,
                    l->conv ? i / pixels : i % outs};
        double apart, wanted = twin_of(l, at, &apart);
        if (!(fabs((double)got[n] - wanted) <= 2e-6 * (1 + fabs(wanted))))
            fail_msg("%s: element %zu is %.9g, its arithmetic in float64 gives %.9g",
                     l->conv ? "conv" : "linear", n, (double)got[n], wanted);
        if (!(fabs((double)got[n] - (double)fp32[n]) <= 1e-5 + 1.0001 * apart))
            fail_msg("%s: element %zu is %.9g, in fp32 %.9g: more than %.3g apart",
                     l->conv ? "conv" : "linear", n, (double)got[n], (double)fp32[n], apart);
    }
}

static void layers_follow_their_arithmetic(void **state) {
    (void)state;
    fw_random r = fw_random_named(seed, "layers");
    for (int i = 0; i < TRIALS; i++) {
        layer l = {0};
        open_layer(&l, &r);
        float *fp32 = run_layer(&l, false, l.rows), *all = run_layer(&l, true, l.rows);
        float *one = run_layer(&l, true, 1), *some = run_layer(&l, true, up_to(&r, l.rows));
        size_t bytes = l.rows * fw_nn_elements(l.graph->values[l.y].shape) * sizeof *all;
        check_layer(&l, all, fp32);
        assert_memory_equal(all, one, bytes); /* how many rows run together changes no bit */
        assert_memory_equal(all, some, bytes);
        free(fp32), free(all), free(one), free(some);
        close_layer(&l);
    }
}

/* ---- edges ---- */

/* x (2) with a weight (3, 2), on these numbers. */
static void small_layer(const float *x, uint32_t rows, const float w[6], float range, float y[]) {
    layer l = {.rows = rows, .range = range, .activation = FW_NN_LINEAR};
    assert_int_equal(fw_nn_graph_new(&l.graph, NULL), FW_OK);
    l.x = fw_nn_input(l.graph, "x", FW_NN_F32, fw_nn_shape1(2));
    l.y = fw_nn_linear(l.graph, "l", l.x, 3, true);
    fw_nn_output_add(l.graph, "y", l.y);
    assert_int_equal(fw_nn_layout_make(l.graph, &l.layout, NULL), FW_OK);
    l.params = fw_nn_vector_new(l.layout.floats);
    memcpy(l.params + l.layout.offsets[l.graph->nodes[0].inputs[1]], w, 6 * sizeof *w);
    for (int i = 0; i < 3; i++)
        l.params[l.layout.offsets[l.graph->nodes[0].inputs[2]] + (size_t)i] = 0.125f * (float)(i + 1);
    l.inputs = malloc(rows * 2 * sizeof(float));
    memcpy(l.inputs, x, rows * 2 * sizeof(float));
    l.ranges = calloc(l.graph->value_count, sizeof(float));
    l.ranges[l.x] = range;
    float *out = run_layer(&l, true, rows);
    memcpy(y, out, rows * 3 * sizeof *y);
    free(out);
    close_layer(&l);
}

static void edges(void **state) {
    (void)state;
    static const float w[6] = {1, 0, 0, 0, 0, -1}; /* the second output: a channel of zeros */
    const float x[8] = {2, -2, 1000, -1000, INFINITY, NAN, -INFINITY, 0.5f};
    float y[12], fp32[12];
    small_layer(x, 4, w, 2.0f, y);
    assert_true(fabsf(y[0] - 2.125f) < 1e-6f && fabsf(y[2] - 2.375f) < 1e-6f);
    assert_true(y[1] == 0.25f); /* exactly the bias */
    assert_memory_equal(y, y + 3, 3 * sizeof *y); /* beyond the range: as at the range */
    assert_true(isnan(y[6]) && isnan(y[7]) && isnan(y[8])); /* a NaN: its row, and no other */
    assert_true(fabsf(y[9] + 1.875f) < 1e-6f && y[10] == 0.25f);
    small_layer(x, 1, w, 0, fp32); /* no range: fp32, whatever the backends */
    assert_true(fp32[0] == 2.125f && fp32[2] == 2.375f);
}

int main(void) {
    seed = seed_of_run();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variants_agree),
        cmocka_unit_test(layers_follow_their_arithmetic),
        cmocka_unit_test(edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
