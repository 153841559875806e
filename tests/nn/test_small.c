/* The kernels of a unit's single examples: products with packed weights (gemv.h) and convolutions by
 * minimal filtering (winograd.h), on random shapes against sums in float64; and whole networks, planned
 * with packed parameters, against the reference kernels. */
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
#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/gemv.h"
#include "nn/run/layers.h"
#include "nn/run/cpu/winograd.h"
#include "seed.h"

#define TOLERANCE 2e-5

static uint64_t seed;

static uint32_t up_to(fw_random *r, uint32_t most) {
    return 1 + fw_random_below(r, most);
}

/* count floats, 64-byte aligned; random ones, or zeros. */
static float *floats(size_t count, fw_random *r) {
    float *out = aligned_alloc(64, (count * sizeof *out + 127) / 64 * 64);
    assert_non_null(out);
    for (size_t i = 0; i < count; i++) out[i] = r ? fw_random_normal(r) : 0;
    return out;
}

/* Each of got within TOLERANCE of the largest of wanted. */
static void compare(const char *what, const float *got, const double *wanted, size_t count) {
    double most = 1e-3;
    for (size_t i = 0; i < count; i++) most = fmax(most, fabs(wanted[i]));
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - wanted[i]) <= TOLERANCE * most))
            fail_msg("%s: element %zu of %zu is %.9g, not %.9g (largest %.3g)", what, i, count,
                     (double)got[i], wanted[i], most);
}

/* ---- a matrix times a vector ---- */

static void one_product(fw_random *r) {
    size_t in = up_to(r, 300), out = up_to(r, 140), rows = up_to(r, 4);
    bool relu = fw_random_below(r, 2), biased = fw_random_below(r, 2);
    float *w = floats(in * out, r), *x = floats(rows * in, r), *b = floats(out, r);
    float *packed = floats(fw_gemv_packed_floats(in, out), r), *y = floats(rows * out + 1, NULL);
    double *wanted = calloc(rows * out, sizeof *wanted);
    char what[96];
    snprintf(what, sizeof what, "%zu x %zu, %zu rows%s%s", out, in, rows, biased ? ", bias" : "",
             relu ? ", relu" : "");
    for (size_t i = 0; i < rows * out; i++) {
        wanted[i] = biased ? (double)b[i % out] : 0;
        for (size_t k = 0; k < in; k++)
            wanted[i] += (double)w[i % out * in + k] * (double)x[i / out * in + k];
        if (relu && wanted[i] < 0) wanted[i] = 0;
    }
    y[rows * out] = 7;
    fw_gemv_pack(in, out, w, packed);
    fw_gemv_run(&(fw_gemv){in, out, packed, biased ? b : NULL, relu}, rows, x, y);
    compare(what, y, wanted, rows * out);
    assert_true(y[rows * out] == 7); /* nothing beyond its outputs */
    free(w), free(x), free(b), free(packed), free(y), free(wanted);
}

static void products(void **state) {
    fw_random r = fw_random_named(seed, "products");
    (void)state;
    for (int i = 0; i < 80; i++) one_product(&r);
}

/* ---- convolutions ---- */

static double convolved(const fw_conv *c, const float *x, const float *w, size_t o, size_t oy,
                        size_t ox) {
    double sum = 0;
    for (size_t k = 0; k < c->depth; k++) {
        size_t ky = k / c->kernel_x % c->kernel_y, channel = k / c->kernel_x / c->kernel_y;
        size_t y = oy * c->stride_y + ky - c->pad_y; /* wraps below 0: then too large */
        size_t at = ox * c->stride_x + k % c->kernel_x - c->pad_x;
        if (y < c->high && at < c->wide)
            sum += (double)x[(channel * c->high + y) * c->wide + at] * (double)w[o * c->depth + k];
    }
    return sum;
}

static fw_conv random_conv(fw_random *r) {
    fw_conv c = {.channels = up_to(r, 9), .groups = 1, .out_channels = up_to(r, 30),
                 .stride_y = up_to(r, 2), .stride_x = up_to(r, 2)};
    c.kernel_y = c.stride_y + up_to(r, (uint32_t)(2 * c.stride_y));
    c.kernel_x = c.stride_x + up_to(r, (uint32_t)(2 * c.stride_x));
    c.pad_y = fw_random_below(r, (uint32_t)c.kernel_y);
    c.pad_x = fw_random_below(r, (uint32_t)c.kernel_x);
    c.high = c.kernel_y + fw_random_below(r, 20);
    c.wide = c.kernel_x + fw_random_below(r, 60);
    c.out_high = (c.high + 2 * c.pad_y - c.kernel_y) / c.stride_y + 1;
    c.out_wide = (c.wide + 2 * c.pad_x - c.kernel_x) / c.stride_x + 1;
    c.depth = c.channels * c.kernel_y * c.kernel_x;
    return c;
}

/* false: not one that the kernel takes. */
static bool one_convolution(fw_random *r) {
    fw_conv c = random_conv(r);
    fw_winograd winograd;
    bool relu = fw_random_below(r, 2), biased = fw_random_below(r, 2);
    if (!fw_winograd_of(&c, &winograd)) return false;
    size_t plane = c.out_high * c.out_wide, count = c.out_channels * plane;
    float *x = floats(c.channels * c.high * c.wide, r), *w = floats(c.out_channels * c.depth, r);
    float *b = floats(c.out_channels, r), *y = floats(count + 1, NULL);
    float *packed = floats(fw_winograd_packed_floats(&winograd), r);
    float *scratch = floats(fw_winograd_scratch_bytes(&winograd) / sizeof(float), r);
    double *wanted = calloc(count, sizeof *wanted);
    char what[160];
    snprintf(what, sizeof what, "%zu x %zu x %zu by %zu of %zu x %zu, stride %zu %zu, padding %zu %zu",
             c.channels, c.high, c.wide, c.out_channels, c.kernel_y, c.kernel_x, c.stride_y,
             c.stride_x, c.pad_y, c.pad_x);
    for (size_t i = 0; i < count; i++) {
        wanted[i] = (biased ? (double)b[i / plane] : 0) +
                    convolved(&c, x, w, i / plane, i % plane / c.out_wide, i % c.out_wide);
        if (relu && wanted[i] < 0) wanted[i] = 0;
    }
    y[count] = 7;
    fw_winograd_pack(&winograd, w, packed);
    for (int again = 0; again < 2; again++) /* what a run leaves behind changes nothing */
        fw_winograd_run(&winograd, x, packed, biased ? b : NULL, relu, y, scratch);
    compare(what, y, wanted, count);
    assert_true(y[count] == 7);
    free(x), free(w), free(b), free(y), free(packed), free(scratch), free(wanted);
    return true;
}

static void convolutions(void **state) {
    fw_random r = fw_random_named(seed, "convolutions");
    int taken = 0;
    (void)state;
    for (int i = 0; i < 600 && taken < 60; i++) taken += one_convolution(&r);
    print_message("%d convolutions\n", taken);
    assert_true(taken >= 20);
}

/* Where padding, strides or sizes do not fit, the kernel says so. */
static void refusals(void **state) {
    fw_winograd w;
    fw_conv good = {.channels = 16, .high = 20, .wide = 40, .out_channels = 24, .out_high = 18,
                    .out_wide = 38, .kernel_y = 3, .kernel_x = 3, .stride_y = 1, .stride_x = 1,
                    .groups = 1, .depth = 144};
    (void)state;
    assert_true(fw_winograd_of(&good, &w));
    fw_conv grouped = good, large = good, strided = good, single = good;
    grouped.groups = 2;
    large.kernel_x = 4;
    strided.stride_y = 3;
    single.kernel_y = 1;
    assert_false(fw_winograd_of(&grouped, &w));
    assert_false(fw_winograd_of(&large, &w));
    assert_false(fw_winograd_of(&strided, &w));
    assert_false(fw_winograd_of(&single, &w));
}

/* ---- networks with packed parameters ---- */

static fw_nn_value mlp(fw_nn_graph *g, fw_random *r) {
    static const fw_nn_op acts[] = {FW_NN_RELU, FW_NN_TANH, FW_NN_SIGMOID, FW_NN_GELU, FW_NN_SILU};
    uint32_t width = up_to(r, 100);
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(width)), y = x;
    for (int i = 0; i < 3; i++) {
        char name[2][8];
        snprintf(name[0], 8, "l%d", i);
        snprintf(name[1], 8, "a%d", i);
        y = fw_nn_linear(g, name[0], y, i == 2 ? width : up_to(r, 200), fw_random_below(r, 2));
        if (i < 2) y = fw_nn_apply(g, acts[fw_random_below(r, 5)], name[1], y);
    }
    return fw_nn_apply2(g, FW_NN_ADD, "sum", x, y);
}

static fw_nn_value images(fw_nn_graph *g, fw_random *r) {
    uint32_t channels = 8 + up_to(r, 20);
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape3(3, 20 + up_to(r, 20), 30 + up_to(r, 40)));
    x = fw_nn_conv(g, "c0", x, (fw_nn_conv_options){.out = channels, .kernel_y = 5, .kernel_x = 5,
                                                    .stride_y = 2, .stride_x = 2, .pad_y = 2});
    x = fw_nn_apply(g, FW_NN_RELU, "a0", x);
    fw_nn_value y = fw_nn_conv(g, "c1", x, (fw_nn_conv_options){.out = channels, .kernel_y = 3,
                                                                .kernel_x = 3, .pad_y = 1, .pad_x = 1});
    x = fw_nn_apply2(g, FW_NN_ADD, "a1", y, x);
    x = fw_nn_conv(g, "c2", x, (fw_nn_conv_options){.out = up_to(r, 20), .kernel_y = 3, .kernel_x = 3});
    return fw_nn_apply(g, FW_NN_GELU, "a2", x);
}

/* The network's output, of `rows` examples; returns the bytes of packed parameters. */
static size_t run_network(const fw_nn_graph *g, const float *params, const float *x, uint32_t rows,
                        bool packs, float *out, size_t count) {
    fw_error error;
    fw_nn_plan *plan;
    fw_nn_session *session;
    fw_nn_plan_options o = {.rows = rows, .pack = packs, .backends = packs ? fw_nn_backends_run : NULL};
    assert_int_equal(fw_nn_plan_make(g, &o, &plan, &error), FW_OK);
    assert_int_equal(fw_nn_session_new(plan, &session, &error), FW_OK);
    size_t packed_bytes = fw_nn_plan_packed_bytes(plan);
    void *packed = floats(packed_bytes / sizeof(float), NULL);
    fw_nn_plan_pack(plan, params, packed);
    fw_nn_session_run(session, &(fw_nn_run_args){.parameters = params, .packed = packed, .rows = rows,
                                                 .inputs = (const void *const[]){x}});
    memcpy(out, fw_nn_session_value(session, g->outputs[0].value), count * sizeof *out);
    fw_nn_session_free(session);
    fw_nn_plan_free(plan);
    free(packed);
    return packed_bytes;
}

static size_t one_network(fw_nn_value (*build)(fw_nn_graph *g, fw_random *r), fw_random *r) {
    fw_error error;
    fw_nn_graph *g;
    fw_nn_layout layout;
    assert_int_equal(fw_nn_graph_new(&g, &error), FW_OK);
    fw_nn_output_add(g, "y", build(g, r));
    if (fw_nn_graph_check(g, &error) != FW_OK) fail_msg("%s", error.text);
    assert_int_equal(fw_nn_layout_make(g, &layout, &error), FW_OK);
    uint32_t rows = up_to(r, 6);
    size_t count = rows * fw_nn_elements(g->values[g->outputs[0].value].shape);
    float *params = floats(layout.floats, r), *got = floats(count, NULL), *known = floats(count, NULL);
    float *x = floats(rows * fw_nn_elements(g->values[fw_nn_find(g, "x")].shape), r);
    double *wanted = calloc(count, sizeof *wanted);
    fw_nn_initialise(g, &layout, fw_random_u32(r), params);
    run_network(g, params, x, rows, false, known, count);
    size_t packed_bytes = run_network(g, params, x, rows, true, got, count);
    for (size_t i = 0; i < count; i++) wanted[i] = (double)known[i];
    compare(build == mlp ? "linear layers" : "images", got, wanted, count);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(g);
    free(params), free(got), free(known), free(x), free(wanted);
    return packed_bytes;
}

static void networks(void **state) {
    fw_random r = fw_random_named(seed, "networks");
    size_t packed_bytes = 0;
    (void)state;
    for (int i = 0; i < 20; i++) assert_true(one_network(mlp, &r) > 0);
    for (int i = 0; i < 12; i++) packed_bytes += one_network(images, &r);
    assert_true(packed_bytes > 0); /* some gain by it */
}

int main(void) {
    seed = seed_of_run();
    const struct CMUnitTest tests[] = {cmocka_unit_test(products), cmocka_unit_test(convolutions),
                                       cmocka_unit_test(refusals), cmocka_unit_test(networks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
