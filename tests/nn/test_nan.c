/* A number that is none stays one: no operator turns a NaN into a number that looks right, in any kernel; the
 * trainer and the unit find it at the end of the network. And weights that differ by example are refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/run/layers.h"
#include "nn/train/cpu/dnnl.h"
#include "nn/train/cpu/fused.h"

enum { ROWS = 9, EACH = 8 * 6 * 6 };

static fw_nn_value linear_relu(fw_nn_graph *g, fw_nn_value x) {
    x = fw_nn_linear(g, "l", fw_nn_reshape(g, "flat", x, fw_nn_shape1(EACH)), 21, true);
    return fw_nn_apply(g, FW_NN_RELU, "relu", x);
}
static fw_nn_value conv_relu(fw_nn_graph *g, fw_nn_value x) {
    x = fw_nn_conv(g, "c", x, (fw_nn_conv_options){16, 3, 3, 1, 1, 1, 1, 1});
    return fw_nn_apply(g, FW_NN_RELU, "relu", x);
}
static fw_nn_value strided_relu(fw_nn_graph *g, fw_nn_value x) {
    x = fw_nn_conv(g, "c", x, (fw_nn_conv_options){5, 3, 3, 2, 2, 1, 1, 1});
    return fw_nn_apply(g, FW_NN_RELU, "relu", x);
}
static fw_nn_value max_pool(fw_nn_graph *g, fw_nn_value x) {
    return fw_nn_node_add(g, FW_NN_MAX_POOL, "p", &x, 1, (fw_nn_attr){.i = {2, 2, 2, 2}}, NULL);
}
static fw_nn_value set_max(fw_nn_graph *g, fw_nn_value x) {
    fw_nn_value mask = fw_nn_parameter(g, "mask", fw_nn_shape1(8), FW_NN_INIT_ONE, 1);
    return fw_nn_apply2(g, FW_NN_SET_MAX, "set", fw_nn_reshape(g, "fold", x, fw_nn_shape2(8, 36)), mask);
}
static fw_nn_value clamp(fw_nn_graph *g, fw_nn_value x) {
    return fw_nn_node_add(g, FW_NN_CLAMP, "k", &x, 1, (fw_nn_attr){.f = {-1, 1}}, NULL);
}
#define ONE(name, op)                                                                              \
    static fw_nn_value name(fw_nn_graph *g, fw_nn_value x) {                                       \
        return fw_nn_apply(g, FW_NN_##op, "one", x);                                               \
    }
ONE(relu, RELU)
ONE(gelu, GELU)
ONE(silu, SILU)
ONE(bent, TANH)
ONE(sigmoid, SIGMOID)
ONE(softmax, SOFTMAX)

static const fw_nn_backend *const by_dnnl[] = {&fw_nn_backend_dnnl_all, NULL};

static void runs_on(fw_nn_value (*build)(fw_nn_graph *, fw_nn_value), const char *what,
                    const fw_nn_backend *const *backends, bool pack, uint32_t rows) {
    fw_error error;
    fw_nn_graph *g;
    fw_nn_plan *plan;
    fw_nn_session *session;
    assert_int_equal(fw_nn_graph_new(&g, &error), FW_OK);
    fw_nn_value y = build(g, fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape3(8, 6, 6)));
    fw_nn_output_add(g, "y", y);
    fw_nn_plan_options o = {.rows = rows, .backends = backends, .pack = pack};
    if (fw_nn_plan_make(g, &o, &plan, &error) != FW_OK) fail_msg("%s: %s", what, error.text);
    assert_int_equal(fw_nn_session_new(plan, &session, &error), FW_OK);
    size_t floats = fw_nn_plan_layout(plan)->floats;
    float *params = aligned_alloc(64, (floats + 16) * sizeof *params), *x = calloc(rows * EACH, sizeof *x);
    void *packed = aligned_alloc(64, (fw_nn_plan_packed_bytes(plan) + 127) / 64 * 64);
    fw_nn_initialise(g, fw_nn_plan_layout(plan), 1, params);
    fw_nn_plan_pack(plan, params, packed);
    x[rows * EACH - 1] = NAN; /* of the last example */
    fw_nn_session_run(session, &(fw_nn_run_args){.parameters = params, .packed = packed, .rows = rows,
                                                 .inputs = (const void *const[]){x}});
    size_t each = fw_nn_elements(g->values[y].shape), found = 0;
    const float *got = fw_nn_session_value(session, y);
    for (size_t i = 0; i < rows * each; i++) {
        if (i < (rows - 1) * each) assert_true(isnan(got[i]) == 0);
        found += isnan(got[i]) != 0;
    }
    const char *by = backends == by_dnnl                ? "oneDNN"
                     : backends == fw_nn_backends_train ? "training's"
                     : backends                         ? "by hand"
                                                        : "reference";
    if (found == 0) fail_msg("%s: the NaN is lost (%s, %u rows)", what, by, rows);
    free(params), free(x), free(packed);
    fw_nn_session_free(session);
    fw_nn_plan_free(plan);
    fw_nn_graph_free(g);
}

static void a_nan_stays(void **state) {
    static const struct {
        const char *what;
        fw_nn_value (*build)(fw_nn_graph *, fw_nn_value);
    } all[] = {{"linear, relu", linear_relu}, {"conv, relu", conv_relu}, {"strided conv, relu", strided_relu},
               {"max pool", max_pool}, {"set max", set_max}, {"clamp", clamp}, {"relu", relu}, {"gelu", gelu},
               {"silu", silu}, {"tanh", bent}, {"sigmoid", sigmoid}, {"softmax", softmax}};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (uint32_t rows = 1; rows <= ROWS; rows += ROWS - 1) {
            runs_on(all[i].build, all[i].what, NULL, false, rows);
            runs_on(all[i].build, all[i].what, fw_nn_backends_run, false, rows);
            runs_on(all[i].build, all[i].what, fw_nn_backends_run, true, rows);
            runs_on(all[i].build, all[i].what, fw_nn_backends_train, true, rows);
            runs_on(all[i].build, all[i].what, by_dnnl, false, rows);
        }
}

static void a_bias_is_one_for_all(void **state) {
    fw_error error;
    fw_nn_graph *g;
    (void)state;
    assert_int_equal(fw_nn_graph_new(&g, &error), FW_OK);
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(3));
    fw_nn_value w = fw_nn_parameter(g, "w", fw_nn_shape2(3, 3), FW_NN_INIT_NORMAL, 1);
    (void)fw_nn_node_add(g, FW_NN_LINEAR, "l", (fw_nn_value[]){x, w, x}, 3, (fw_nn_attr){0}, NULL);
    assert_int_equal(fw_nn_graph_check(g, &error), FW_INVALID);
    assert_non_null(strstr(error.text, "one for all examples"));
    fw_nn_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_nan_stays), cmocka_unit_test(a_bias_is_one_for_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
