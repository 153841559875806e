/* Plans: parameters packed once, values kept as bf16, the caller's pointers set anew in each run. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "nn/run/convert.h"
#include "nn/run/cpu/fast.h"
#include "nn/train/grad.h"
#include "zoo.h"

enum { ROWS = 5 };

/* ---- bf16 ---- */

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static void test_every_bf16(void **state) {
    (void)state;
    for (uint32_t i = 0; i <= UINT16_MAX; i++) {
        uint16_t half = (uint16_t)i, back;
        float wide, rounded;
        fw_nn_from_bf16(&half, &wide, 1);
        assert_int_equal(bits_of(wide), i << 16);
        fw_nn_to_bf16(&wide, &back, 1);
        fw_nn_round_bf16(&wide, &rounded, 1);
        if (isnan(wide)) {
            assert_true(isnan(rounded));
            fw_nn_from_bf16(&back, &wide, 1);
            assert_true(isnan(wide));
        } else {
            assert_int_equal(back, i);
            assert_int_equal(bits_of(rounded), bits_of(wide));
        }
    }
}

static void test_rounding(void **state) {
    (void)state;
    static const struct {
        uint32_t from, to;
    } cases[] = {
        {0x3f800000, 0x3f80}, {0x3f807fff, 0x3f80}, {0x3f808000, 0x3f80}, /* a tie, to even */
        {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82},                       /* a tie, to even */
        {0x7f7fffff, 0x7f80}, {0xff7fffff, 0xff80},                       /* over the largest */
        {0x7f800001, 0x7fc0}, {0x00000001, 0x0000}, {0x80000000, 0x8000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float from, rounded;
        uint16_t half;
        memcpy(&from, &cases[i].from, sizeof from);
        fw_nn_to_bf16(&from, &half, 1);
        assert_int_equal(half, cases[i].to);
        fw_nn_round_bf16(&from, &rounded, 1);
        assert_int_equal(bits_of(rounded) >> 16, cases[i].to);
    }
}

/* ---- a network, run in different plans ---- */

typedef struct network {
    fw_nn_graph *graph;
    fw_nn_layout layout;
    float *params;
    void *inputs[16];
    uint32_t input_count;
} network;

static void open_network(const zoo_entry *entry, network *n) {
    fw_error error = {""};
    *n = (network){0};
    assert_int_equal(fw_nn_graph_new(&n->graph, &error), FW_OK);
    entry->build(n->graph);
    assert_int_equal(fw_nn_graph_check(n->graph, &error), FW_OK);
    assert_int_equal(fw_nn_layout_make(n->graph, &n->layout, &error), FW_OK);
    n->params = calloc(n->layout.floats + 1, sizeof *n->params);
    fw_nn_initialise(n->graph, &n->layout, 9, n->params);
    for (uint32_t i = 0; i < n->graph->value_count; i++) {
        const fw_nn_value_info *value = &n->graph->values[i];
        if (value->kind != FW_NN_INPUT) continue;
        fw_random random = fw_random_named(4, value->name);
        n->inputs[n->input_count++] = zoo_values(value, ROWS, &random);
    }
}

static void close_network(network *n) {
    for (uint32_t i = 0; i < n->input_count; i++) free(n->inputs[i]);
    free(n->params);
    fw_nn_layout_clear(&n->layout);
    fw_nn_graph_free(n->graph);
}

/* All outputs of a run, one after another; free() them. spoils: the parameters are gone when it runs. */
static float *answer(const network *n, const fw_nn_plan_options *options, bool spoils, size_t *count,
                     size_t *arena_bytes) {
    fw_nn_plan *plan = NULL;
    fw_nn_session *session = NULL;
    fw_error error = {""};
    assert_int_equal(fw_nn_plan_make(n->graph, options, &plan, &error), FW_OK);
    assert_int_equal(fw_nn_session_new(plan, &session, &error), FW_OK);
    float *params = calloc(n->layout.floats + 1, sizeof *params);
    memcpy(params, n->params, n->layout.floats * sizeof *params);
    if (options->store == FW_NN_BF16) fw_nn_round_bf16(params, params, n->layout.floats);
    void *packed = aligned_alloc(64, (fw_nn_plan_packed_bytes(plan) + 127) / 64 * 64);
    fw_nn_plan_pack(plan, params, packed);
    for (size_t i = 0; spoils && i < n->layout.floats; i++) params[i] = NAN;
    fw_nn_session_run(session, &(fw_nn_run_args){.parameters = params, .packed = packed, .rows = ROWS,
                                                 .inputs = (const void *const *)n->inputs});
    float *all = NULL;
    *count = 0;
    for (uint32_t i = 0; i < n->graph->output_count; i++) {
        fw_nn_value value = n->graph->outputs[i].value;
        size_t more = ROWS * fw_nn_elements(n->graph->values[value].shape);
        all = realloc(all, (*count + more) * sizeof *all);
        memcpy(all + *count, fw_nn_session_value(session, value), more * sizeof *all);
        *count += more;
    }
    *arena_bytes = fw_nn_plan_arena_bytes(plan);
    assert_true(fw_nn_plan_bound_bytes(plan) <= *arena_bytes);
    fw_nn_session_free(session);
    fw_nn_plan_free(plan);
    free(packed);
    free(params);
    return all;
}

/* The largest difference as a share of the largest number. */
static double apart(const float *a, const float *b, size_t count) {
    double most = 0, largest = 1e-9;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
        largest = fmax(largest, fabs((double)a[i]));
    }
    return most / largest;
}

/* bf16 has 8 bits: a rounding is off by up to 2^-9; the deepest of these networks rounds some forty
 * times one after another, and errors add like a walk: 2^-9 sqrt(40) = 1.2 %, times 4 to be safe. */
static void test_bf16_is_near(void **state) {
    (void)state;
    double most = 0;
    for (size_t i = 0; i < ZOO; i++) {
        network n;
        size_t count, again, wide_bytes, narrow_bytes;
        open_network(&zoo[i], &n);
        float *wide = answer(&n, &(fw_nn_plan_options){.rows = ROWS}, false, &count, &wide_bytes);
        for (int fast = 0; fast < 2; fast++) {
            fw_nn_plan_options o = {.rows = ROWS, .store = FW_NN_BF16, .pack = fast,
                                    .backends = fast ? fw_nn_backends_run : NULL};
            float *narrow = answer(&n, &o, false, &again, &narrow_bytes);
            assert_int_equal(count, again);
            double off = apart(wide, narrow, count);
            print_message("%s: bf16 is off by %.4f of the largest\n", zoo[i].name, off);
            assert_true(off < 0.05);
            most = fmax(most, off);
            free(narrow);
        }
        free(wide);
        close_network(&n);
    }
    assert_true(most > 1e-3); /* or nothing was rounded */
}

/* Between the nodes of a chain of wide layers the arena halves. */
static void test_bf16_halves_the_arena(void **state) {
    (void)state;
    fw_nn_graph *g = NULL;
    size_t bytes[2];
    fw_error error;
    assert_int_equal(fw_nn_graph_new(&g, &error), FW_OK);
    fw_nn_value kept[8], x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(64));
    for (uint32_t i = 0; i < 8; i++) {
        char name[] = {'s', (char)('0' + i), 0};
        kept[i] = x = fw_nn_apply(g, FW_NN_SIGMOID, name, x);
    }
    fw_nn_value sum = kept[7]; /* all stay alive until the end */
    for (uint32_t i = 0; i < 7; i++) {
        char name[] = {'a', (char)('0' + i), 0};
        sum = fw_nn_apply2(g, FW_NN_ADD, name, sum, kept[i]);
    }
    fw_nn_output_add(g, "y", fw_nn_apply(g, FW_NN_SUM_LAST, "y", sum));
    for (int i = 0; i < 2; i++) {
        fw_nn_plan *plan = NULL;
        fw_nn_plan_options o = {.rows = 1000, .store = i ? FW_NN_BF16 : FW_NN_F32};
        assert_int_equal(fw_nn_plan_make(g, &o, &plan, &error), FW_OK);
        bytes[i] = fw_nn_plan_arena_bytes(plan);
        fw_nn_plan_free(plan);
    }
    /* 8 arrays of 256,000 bytes; then half of it, and three widened ones in the scratch */
    assert_in_range(bytes[0], 8 * 256000, 8 * 256000 + 65536);
    assert_in_range(bytes[1], 4 * 256000 + 3 * 256000, 7 * 256000 + 65536);
    fw_nn_plan_options wrong = {.rows = 1, .store = FW_NN_I8};
    fw_nn_plan *plan = NULL;
    assert_int_equal(fw_nn_plan_make(g, &wrong, &plan, &error), FW_INVALID);
    fw_nn_graph_free(g);
}

/* ---- packed parameters ---- */

static void pack_turned(const fw_nn_call *call, void *packed) {
    size_t out = call->in[1].shape.d[0], in = call->in[1].shape.d[1];
    const float *w = call->in[1].data, *b = call->input_count > 2 ? fw_nn_in(call, 2) : NULL;
    float *to = packed;
    for (size_t o = 0; o < out; o++) {
        for (size_t i = 0; i < in; i++) to[i * out + o] = w[o * in + i];
        to[in * out + o] = b ? b[o] : 0;
    }
}

static void run_turned(const fw_nn_call *call) {
    size_t out = call->in[1].shape.d[0], in = call->in[1].shape.d[1];
    const float *x = fw_nn_in(call, 0), *w = call->packed;
    float *y = fw_nn_out(call, 0);
    for (size_t r = 0; r < fw_nn_total(call, &call->in[0]) / in; r++)
        for (size_t o = 0; o < out; o++) {
            float sum = w[in * out + o];
            for (size_t i = 0; i < in; i++) sum += x[r * in + i] * w[i * out + o];
            y[r * out + o] = sum;
        }
}

static fw_status choose_turned(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                               fw_error *error) {
    (void)error;
    if (node->op != FW_NN_LINEAR || call->fused || !call->in[1].packable) return FW_OK;
    size_t floats = (size_t)call->in[1].shape.d[0] * (call->in[1].shape.d[1] + 1);
    *out = (fw_nn_choice){.kernel = run_turned, .pack = pack_turned,
                          .packed_bytes = floats * sizeof(float)};
    return FW_OK;
}

static const fw_nn_backend turned = {.name = "turned", .choose = choose_turned};
static const fw_nn_backend *const turned_only[] = {&turned, NULL};

/* The kernel reads what was packed, never the parameters where they lie. */
static void test_packed_parameters(void **state) {
    (void)state;
    network n;
    size_t count, again, bytes;
    open_network(&zoo[0], &n); /* linear layers alone have parameters in it */
    float *plain = answer(&n, &(fw_nn_plan_options){.rows = ROWS}, false, &count, &bytes);
    fw_nn_plan_options o = {.rows = ROWS, .pack = true, .backends = turned_only};
    float *packed = answer(&n, &o, true, &again, &bytes);
    assert_int_equal(count, again);
    assert_true(apart(plain, packed, count) < 1e-5);
    free(packed);
    o.pack = false; /* nobody packs: the backend does not take the layers */
    packed = answer(&n, &o, false, &again, &bytes);
    assert_memory_equal(plain, packed, count * sizeof *plain);
    free(packed);
    free(plain);
    close_network(&n);
}

/* ---- pointers of a run ---- */

static void test_inputs_may_move(void **state) {
    (void)state;
    network n;
    fw_nn_plan *plan = NULL;
    fw_nn_session *session = NULL;
    fw_error error;
    open_network(&zoo[0], &n);
    assert_int_equal(fw_nn_plan_make(n.graph, &(fw_nn_plan_options){.rows = ROWS}, &plan, &error),
                     FW_OK);
    assert_int_equal(fw_nn_session_new(plan, &session, &error), FW_OK);
    fw_nn_value y = fw_nn_find(n.graph, "y");
    fw_nn_run_args args = {.parameters = n.params, .rows = ROWS,
                           .inputs = (const void *const *)n.inputs};
    float first[ROWS * 4], *x = n.inputs[0];
    fw_nn_session_run(session, &args);
    memcpy(first, fw_nn_session_value(session, y), sizeof first);
    size_t each = fw_nn_elements(n.graph->values[fw_nn_find(n.graph, "x")].shape);
    float *other = calloc(ROWS * each, sizeof *other);
    memcpy(other, x, ROWS * each * sizeof *other);
    other[0] += 1;
    n.inputs[0] = other;
    fw_nn_session_run(session, &args);
    assert_memory_not_equal(first, fw_nn_session_value(session, y), 4 * sizeof *first);
    assert_memory_equal(first + 4, (const float *)fw_nn_session_value(session, y) + 4,
                        (ROWS - 1) * 4 * sizeof *first);
    n.inputs[0] = x;
    args.rows = 1; /* fewer rows than planned */
    fw_nn_session_run(session, &args);
    assert_memory_equal(first, fw_nn_session_value(session, y), 4 * sizeof *first);
    free(other);
    fw_nn_session_free(session);
    fw_nn_plan_free(plan);
    close_network(&n);
}

/* ---- sums beside a parameter's gradient ---- */

/* A recurrent layer whose second weights are themselves made of a parameter: their gradient is a sum in
 * the arena, made by the same node as gradients of parameters. What a run leaves there is not added to
 * the next one. */
static void test_sums_start_anew(void **state) {
    (void)state;
    fw_nn_graph *g = NULL;
    fw_nn_training training;
    fw_nn_plan *plan = NULL;
    fw_nn_session *session = NULL;
    fw_error error = {""};
    assert_int_equal(fw_nn_graph_new(&g, &error), FW_OK);
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape2(3, 4));
    fw_nn_value half = fw_nn_parameter(g, "half", fw_nn_shape2(15, 5), FW_NN_INIT_NORMAL, 0.5f);
    fw_nn_value in[] = {x, fw_nn_parameter(g, "w", fw_nn_shape2(15, 4), FW_NN_INIT_NORMAL, 0.5f),
                        fw_nn_affine(g, "u", half, 0.5f, 0.0f),
                        fw_nn_parameter(g, "b", fw_nn_shape1(15), FW_NN_INIT_ZERO, 0),
                        fw_nn_parameter(g, "c", fw_nn_shape1(15), FW_NN_INIT_ZERO, 0)};
    fw_nn_value y = fw_nn_node_add(g, FW_NN_GRU, "gru", in, 5, (fw_nn_attr){0}, NULL);
    fw_nn_value want = fw_nn_input(g, "want", FW_NN_F32, fw_nn_shape2(3, 5));
    fw_nn_value loss = fw_nn_apply2(g, FW_NN_MSE, "loss", y, want);
    if (fw_nn_differentiate(g, loss, &training, &error) != FW_OK) fail_msg("%s", error.text);
    fw_nn_plan_options o = {.rows = ROWS, .training = true, .keep = &training.loss, .keep_count = 1,
                            .gradients = training.gradients,
                            .gradient_count = training.gradient_count};
    assert_int_equal(fw_nn_plan_make(training.graph, &o, &plan, &error), FW_OK);
    assert_int_equal(fw_nn_session_new(plan, &session, &error), FW_OK);
    size_t floats = fw_nn_plan_layout(plan)->floats;
    float *params = calloc(floats, sizeof *params), *gradients[2];
    float inputs[ROWS * 12], wants[ROWS * 15] = {0}, seeds[ROWS];
    fw_nn_initialise(training.graph, fw_nn_plan_layout(plan), 3, params);
    for (int i = 0; i < ROWS * 12; i++) inputs[i] = sinf((float)i);
    for (int i = 0; i < ROWS; i++) seeds[i] = 1.0f / ROWS;
    for (int i = 0; i < 2; i++) {
        gradients[i] = calloc(floats, sizeof **gradients);
        fw_nn_session_run(session, &(fw_nn_run_args){.parameters = params, .gradients = gradients[i],
                                                     .rows = ROWS,
                                                     .inputs = (const void *[]){inputs, wants, seeds}});
    }
    size_t at = fw_nn_plan_layout(plan)->offsets[fw_nn_find(training.graph, "half")];
    assert_true(fabsf(gradients[0][at]) > 0);
    assert_memory_equal(gradients[0], gradients[1], floats * sizeof **gradients);
    free(gradients[0]), free(gradients[1]), free(params);
    fw_nn_session_free(session);
    fw_nn_plan_free(plan);
    fw_nn_training_clear(&training);
    fw_nn_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_bf16),          cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_bf16_is_near),        cmocka_unit_test(test_bf16_halves_the_arena),
        cmocka_unit_test(test_packed_parameters),   cmocka_unit_test(test_inputs_may_move),
        cmocka_unit_test(test_sums_start_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
