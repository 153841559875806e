/* Inference in fp32, bf16 and int8: calibration, ranges in model files, small trained networks that keep
 * their accuracy, the same bits in every session on every thread, and what it takes in bytes. */
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
#include "nn/run/calibrate.h"
#include "nn/run/convert.h"
#include "nn/run/layers.h"
#include "nn/run/runner.h"
#include "nn/train/trainer.h"
#include "zoo.h"
#include "seed.h"

static uint64_t seed;
static const fw_nn_dtype precisions[] = {FW_NN_F32, FW_NN_BF16, FW_NN_I8};
enum { PRECISIONS = 3 };

static void must(fw_status status, const fw_error *error) {
    if (status != FW_OK) fail_msg("%s", error->text);
}

/* ---- calibration ---- */

static fw_nn_graph *two_layers(void) {
    fw_nn_graph *g = NULL;
    fw_error error = {""};
    must(fw_nn_graph_new(&g, &error), &error);
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(10));
    fw_nn_value h = fw_nn_apply(g, FW_NN_RELU, "a", fw_nn_linear(g, "l0", x, 20, true));
    fw_nn_output_add(g, "y", fw_nn_linear(g, "l1", h, 3, true));
    fw_nn_output_add(g, "z", fw_nn_linear(g, "l2", h, 2, true)); /* reads the same value */
    must(fw_nn_graph_check(g, &error), &error);
    return g;
}

static void calibration(void **state) {
    (void)state;
    enum { RUNS = 40, ROWS = 25, EACH = 10, ALL = RUNS * ROWS * EACH };
    static float x[ALL], sizes[ALL];
    fw_error error = {""};
    fw_nn_graph *g = two_layers();
    fw_nn_layout layout;
    fw_random r = fw_random_named(seed, "calibration");
    must(fw_nn_layout_make(g, &layout, &error), &error);
    float *params = fw_nn_vector_new(layout.floats);
    fw_nn_initialise(g, &layout, 1, params);
    for (int i = 0; i < ALL; i++) x[i] = fw_random_normal(&r) * expf(2 * fw_random_normal(&r));
    x[7] = 0.25f; /* a NaN stands there for a while below */
    float *ranges[2], largest = 0;
    for (int turn = 0; turn < 2; turn++) { /* forwards and backwards */
        fw_nn_calibration *c;
        must(fw_nn_calibration_new(g, ROWS, &c, &error), &error);
        for (int i = 0; i < RUNS; i++) {
            const void *inputs[1] = {x + (turn ? RUNS - 1 - i : i) * ROWS * EACH};
            must(fw_nn_calibration_add(c, params, inputs, ROWS, &error), &error);
        }
        ranges[turn] = calloc(3 * g->value_count, sizeof(float));
        fw_nn_calibration_ranges(c, 1, ranges[turn]);
        fw_nn_calibration_ranges(c, 0.99, ranges[turn] + g->value_count);
        fw_nn_calibration_ranges(c, 0.5, ranges[turn] + 2 * g->value_count);
        assert_int_equal(fw_nn_calibration_count(c, fw_nn_find(g, "x")), ALL);
        assert_int_equal(fw_nn_calibration_count(c, g->nodes[2].inputs[0]), RUNS * ROWS * 20);
        assert_int_equal(fw_nn_calibration_count(c, fw_nn_find(g, "y")), 0);
        x[7] = NAN;
        const void *bad[1] = {x};
        assert_int_equal(fw_nn_calibration_add(c, params, bad, ROWS, &error), FW_INVALID);
        assert_non_null(strstr(error.text, "node l0"));
        x[7] = 0.25f;
        fw_nn_calibration_free(c);
    }
    assert_memory_equal(ranges[0], ranges[1], 3 * g->value_count * sizeof(float));
    fw_nn_value in = fw_nn_find(g, "x");
    for (int i = 0; i < ALL; i++) {
        sizes[i] = fabsf(x[i]);
        largest = fmaxf(largest, sizes[i]);
    }
    assert_true(ranges[1][in] == largest);
    for (int k = 1; k < 3; k++) { /* the asked share lies within, and not without the last bin */
        float range = ranges[1][(uint32_t)k * g->value_count + in];
        int within = 0, below = 0;
        for (int i = 0; i < ALL; i++) {
            within += sizes[i] <= range;
            below += sizes[i] <= range - 2 * largest / FW_NN_BINS;
        }
        double share = k == 1 ? 0.99 : 0.5;
        assert_true(within >= share * ALL - 1 && below <= share * ALL + 1 && range < largest);
    }
    free(ranges[0]), free(ranges[1]), free(params);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(g);
}

/* ---- ranges in files ---- */

static fw_status read_ranges(const char *text, fw_nn_model *out, fw_error *error) {
    fw_nn_graph *g = two_layers();
    fw_nn_layout layout;
    char *bytes = NULL;
    size_t size;
    must(fw_nn_layout_make(g, &layout, error), error);
    float *params = fw_nn_vector_new(layout.floats);
    json_t *words = json_pack("{s:s, s:s}", "line", "test", FW_NN_RANGES_KEY, text);
    must(fw_nn_model_write(g, params, words, &bytes, &size, error), error);
    fw_status status = fw_nn_model_read(bytes, size, out, error);
    json_decref(words);
    free(bytes), free(params);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(g);
    return status;
}

static void ranges_in_files(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "", "{}", "[1]", "[[0]]", "[[0,1,2]]", "[[0,0]]", "[[0,-1]]", "[[0,\"1\"]]", "[[0.5,1]]",
        "[[0,1],[0,1]]", "[[3,1],[2,1]]", "[[-1,1]]", "[[99999,1]]", "[[0,1e300]]", "[[0,1]", "null"};
    fw_nn_model m;
    fw_error error = {""};
    must(read_ranges("[[0,1.5],[8,0.1]]", &m, &error), &error);
    assert_true(m.ranges[0] == 1.5f && m.ranges[8] == 0.1f && m.ranges[1] == 0);
    json_t *words = json_object(); /* noted again: the same text, and without: gone */
    must(fw_nn_ranges_note(m.graph, m.ranges, words, &error), &error);
    fw_nn_model again;
    must(read_ranges(json_string_value(json_object_get(words, FW_NN_RANGES_KEY)), &again, &error),
         &error);
    assert_memory_equal(again.ranges, m.ranges, m.graph->value_count * sizeof(float));
    must(fw_nn_ranges_note(m.graph, NULL, words, &error), &error);
    assert_int_equal(json_object_size(words), 0);
    m.ranges[2] = NAN;
    assert_int_equal(fw_nn_ranges_note(m.graph, m.ranges, words, &error), FW_INVALID);
    json_decref(words);
    fw_nn_model_clear(&m);
    fw_nn_model_clear(&again);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fw_status status = read_ranges(wrong[i], &m, &error);
        if (status != FW_CORRUPT) print_error("%s: %d\n", wrong[i], status);
        assert_int_equal(status, FW_CORRUPT);
        assert_non_null(strstr(error.text, FW_NN_RANGES_KEY));
    }
}

/* ---- trained networks ---- */

/* A problem: examples to learn from, others to be asked, and how wrong answers are. */
typedef struct problem {
    const char *name, *measure;
    void (*build)(fw_nn_graph *g, fw_nn_value x);
    void (*example)(fw_random *r, float *x, float *y, int32_t *label);
    fw_nn_shape shape;
    bool classes;
    uint32_t steps;
    double enough, lost; /* fp32 must reach; the others may be this much worse */
} problem;

static void build_spirals(fw_nn_graph *g, fw_nn_value x) {
    x = fw_nn_apply(g, FW_NN_TANH, "a0", fw_nn_linear(g, "l0", x, 32, true));
    x = fw_nn_apply(g, FW_NN_TANH, "a1", fw_nn_linear(g, "l1", x, 32, true));
    fw_nn_output_add(g, "y", fw_nn_linear(g, "l2", x, 2, true));
}
static void example_of_spirals(fw_random *r, float *x, float *y, int32_t *label) {
    float turn = 0.3f + 9 * fw_random_unit(r), side = fw_random_below(r, 2) ? 1.0f : -1.0f;
    x[0] = side * turn * cosf(turn) / 3 + 0.02f * fw_random_normal(r);
    x[1] = side * turn * sinf(turn) / 3 + 0.02f * fw_random_normal(r);
    *y = 0;
    *label = side > 0;
}

static void build_waves(fw_nn_graph *g, fw_nn_value x) {
    x = fw_nn_apply(g, FW_NN_RELU, "a0", fw_nn_linear(g, "l0", x, 64, true));
    x = fw_nn_apply(g, FW_NN_RELU, "a1", fw_nn_linear(g, "l1", x, 64, true));
    fw_nn_output_add(g, "y", fw_nn_linear(g, "l2", x, 1, true));
}
static void example_of_waves(fw_random *r, float *x, float *y, int32_t *label) {
    x[0] = 2 * fw_random_unit(r) - 1;
    x[1] = 2 * fw_random_unit(r) - 1;
    *y = sinf(3 * x[0]) * cosf(2 * x[1]);
    *label = 0;
}

/* Which way a bright bar lies in a noisy picture of 12 x 12. */
static void build_bars(fw_nn_graph *g, fw_nn_value x) {
    x = fw_nn_conv(g, "c0", x, (fw_nn_conv_options){8, 3, 3, 1, 1, 1, 1, 0});
    x = fw_nn_apply(g, FW_NN_RELU, "a0", x);
    x = fw_nn_conv(g, "c1", x, (fw_nn_conv_options){8, 3, 3, 2, 2, 1, 1, 2});
    x = fw_nn_reshape(g, "flat", fw_nn_apply(g, FW_NN_RELU, "a1", x), fw_nn_shape1(8 * 36));
    fw_nn_output_add(g, "y", fw_nn_linear(g, "l", x, 2, true));
}
static void example_of_bars(fw_random *r, float *x, float *y, int32_t *label) {
    uint32_t at = 2 + fw_random_below(r, 8);
    *label = (int32_t)fw_random_below(r, 2);
    *y = 0;
    for (uint32_t i = 0; i < 144; i++) {
        bool on = (*label ? i % 12 : i / 12) == at;
        x[i] = 0.7f * fw_random_normal(r) + (on ? 1.5f : 0);
    }
}

static const problem problems[] = {
    {"two spirals, MLP with tanh", "wrong", build_spirals, example_of_spirals, {1, {2}}, true, 700,
     0.03, 0.01},
    {"a wave, MLP with ReLU", "rms error", build_waves, example_of_waves, {1, {2}}, false, 700, 0.04,
     0.01},
    {"bars, convolutions", "wrong", build_bars, example_of_bars, {3, {1, 12, 12}}, true, 150, 0.03,
     0.01},
};

enum { EXAMPLES = 512 };
typedef struct examples {
    float x[EXAMPLES * 144], y[EXAMPLES];
    int32_t labels[EXAMPLES];
} examples;

static examples *examples_of(const problem *p, const char *name) {
    examples *e = calloc(1, sizeof *e);
    fw_random r = fw_random_named(seed, name);
    for (size_t i = 0; i < EXAMPLES; i++)
        p->example(&r, e->x + i * fw_nn_elements(p->shape), e->y + i, e->labels + i);
    return e;
}

static void learn(const problem *p, const examples *e, fw_nn_model *out) {
    fw_error error = {""};
    fw_nn_graph *g;
    fw_nn_trainer *trainer;
    char *bytes = NULL;
    size_t size;
    must(fw_nn_graph_new(&g, &error), &error);
    p->build(g, fw_nn_input(g, "x", FW_NN_F32, p->shape));
    fw_nn_value t = fw_nn_input(g, "t", p->classes ? FW_NN_I32 : FW_NN_F32,
                                p->classes ? fw_nn_shape0() : fw_nn_shape1(1));
    fw_nn_value loss = fw_nn_apply2(g, p->classes ? FW_NN_CROSS_ENTROPY : FW_NN_MSE, "loss",
                                    fw_nn_find(g, "y"), t);
    fw_nn_trainer_options o = {.batch = EXAMPLES, .seed = 1, .optimiser = {.rate = 1e-2f, .schedule = FW_NN_COSINE,
                                             .total_steps = p->steps}};
    must(fw_nn_trainer_new(g, loss, &o, &trainer, &error), &error);
    const void *inputs[] = {e->x, p->classes ? (const void *)e->labels : e->y};
    for (uint32_t i = 0; i < p->steps; i++)
        must(fw_nn_trainer_step(trainer, inputs, EXAMPLES, NULL, &error), &error);
    must(fw_nn_model_write(g, fw_nn_trainer_parameters(trainer), NULL, &bytes, &size, &error), &error);
    must(fw_nn_model_read(bytes, size, out, &error), &error);
    free(bytes);
    fw_nn_trainer_free(trainer);
    fw_nn_graph_free(g);
}

static void calibrate(fw_nn_model *m, const void *x, uint32_t rows, double share) {
    fw_error error = {""};
    fw_nn_calibration *c;
    const void *inputs[1] = {x};
    must(fw_nn_calibration_new(m->graph, rows, &c, &error), &error);
    must(fw_nn_calibration_add(c, m->params, inputs, rows, &error), &error);
    m->ranges = calloc(m->graph->value_count, sizeof(float));
    fw_nn_calibration_ranges(c, share, m->ranges);
    fw_nn_calibration_free(c);
}

/* Share of wrong answers, or root of the mean square error. */
static double badness(const problem *p, const fw_nn_model *m, fw_nn_dtype precision,
                      const examples *e) {
    fw_error error = {""};
    fw_nn_runner runner;
    const void *inputs[1] = {e->x};
    double bad = 0;
    must(fw_nn_runner_open(m, precision, EXAMPLES, &runner, &error), &error);
    fw_nn_runner_run(&runner, inputs, EXAMPLES);
    const float *y = fw_nn_session_value(runner.session, fw_nn_find(m->graph, "y"));
    for (int i = 0; i < EXAMPLES; i++) {
        double d = p->classes ? (y[2 * i + 1] > y[2 * i]) != (e->labels[i] == 1)
                              : pow((double)(y[i] - e->y[i]), 2);
        bad += d / EXAMPLES;
    }
    fw_nn_runner_close(&runner);
    return p->classes ? bad : sqrt(bad);
}

static void networks_keep_their_accuracy(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        const problem *p = &problems[i];
        examples *seen = examples_of(p, "seen"), *fresh = examples_of(p, "fresh");
        fw_nn_model m;
        double bad[PRECISIONS];
        learn(p, seen, &m);
        calibrate(&m, seen->x, EXAMPLES, 0.9999);
        for (int k = 0; k < PRECISIONS; k++) bad[k] = badness(p, &m, precisions[k], fresh);
        print_message("%s, %s on %d fresh examples: fp32 %.4f, bf16 %.4f, int8 %.4f\n", p->name,
                      p->measure, EXAMPLES, bad[0], bad[1], bad[2]);
        assert_true(bad[0] <= p->enough);
        assert_true(bad[1] <= bad[0] + p->lost && bad[2] <= bad[0] + p->lost);
        fw_nn_model_clear(&m);
        free(seen), free(fresh);
    }
}

/* ---- the same bits everywhere ---- */

static fw_nn_model model_of(void (*build)(fw_nn_graph *)) {
    fw_nn_model m = {0};
    fw_error error = {""};
    must(fw_nn_graph_new(&m.graph, &error), &error);
    build(m.graph);
    must(fw_nn_layout_make(m.graph, &m.layout, &error), &error);
    m.params = fw_nn_vector_new(m.layout.floats);
    fw_nn_initialise(m.graph, &m.layout, 3, m.params);
    return m;
}

typedef struct worker {
    pthread_t thread;
    const fw_nn_runner *runner;
    const void *const *inputs;
    fw_nn_value value;
    uint32_t rows;
    float *y;
    size_t bytes;
} worker;

static void *work(void *self) {
    worker *w = self;
    fw_nn_session *session = NULL;
    fw_nn_run_args args = w->runner->args;
    args.inputs = w->inputs;
    args.rows = w->rows;
    if (fw_nn_session_new(w->runner->plan, &session, NULL) != FW_OK) return NULL;
    for (int i = 0; i < 20; i++) fw_nn_session_run(session, &args);
    w->y = malloc(w->bytes);
    memcpy(w->y, fw_nn_session_value(session, w->value), w->bytes);
    fw_nn_session_free(session);
    return w;
}

static void build_wide(fw_nn_graph *g) {
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(64));
    x = fw_nn_apply(g, FW_NN_RELU, "a0", fw_nn_linear(g, "l0", x, 256, true));
    x = fw_nn_apply(g, FW_NN_RELU, "a1", fw_nn_linear(g, "l1", x, 256, true));
    fw_nn_output_add(g, "y", fw_nn_linear(g, "l2", x, 8, true));
}

static void same_bits_on_every_thread(void **state) {
    (void)state;
    enum { ROWS = 9, THREADS = 4 };
    static void (*const builds[])(fw_nn_graph *) = {build_wide, zoo_cnn};
    for (int n = 0; n < 2; n++) {
        fw_nn_model m = model_of(builds[n]);
        fw_random r = fw_random_named(seed, "threads");
        void *x = zoo_values(&m.graph->values[0], ROWS, &r);
        const void *inputs[1] = {x};
        calibrate(&m, x, ROWS, 1);
        for (int k = 0; k < PRECISIONS; k++) {
            fw_nn_runner runner;
            worker workers[THREADS];
            fw_error error = {""};
            fw_nn_value y = fw_nn_find(m.graph, "y");
            must(fw_nn_runner_open(&m, precisions[k], ROWS, &runner, &error), &error);
            fw_nn_runner_run(&runner, inputs, ROWS);
            size_t bytes = ROWS * fw_nn_elements(m.graph->values[y].shape) * sizeof(float);
            for (int i = 0; i < THREADS; i++) {
                workers[i] = (worker){.runner = &runner, .inputs = inputs, .rows = ROWS, .value = y,
                                      .bytes = bytes};
                assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
            }
            for (int i = 0; i < THREADS; i++) {
                assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
                assert_memory_equal(workers[i].y, fw_nn_session_value(runner.session, y), bytes);
                free(workers[i].y);
            }
            fw_nn_runner_close(&runner);
        }
        free(x);
        fw_nn_model_clear(&m);
    }
}

/* ---- bytes ---- */

static void memory(void **state) {
    (void)state;
    fw_nn_model m = model_of(build_wide);
    fw_random r = fw_random_named(seed, "memory");
    float *x = zoo_values(&m.graph->values[0], 1, &r);
    size_t packed[PRECISIONS], weights = 64 * 256 + 256 * 256 + 256 * 8;
    calibrate(&m, x, 1, 1);
    for (int k = 0; k < PRECISIONS; k++) {
        fw_nn_runner runner;
        fw_error error = {""};
        must(fw_nn_runner_open(&m, precisions[k], 1, &runner, &error), &error);
        packed[k] = fw_nn_plan_packed_bytes(runner.plan);
        print_message("64-256-256-8, %s: %zu bytes of packed parameters, arena %zu\n",
                      fw_nn_precision_name(precisions[k]), packed[k],
                      fw_nn_plan_arena_bytes(runner.plan));
        fw_nn_runner_close(&runner);
    }
    assert_true(packed[2] >= weights && packed[2] < weights + 8192);
    assert_true(packed[1] >= 2 * weights && packed[1] < 2 * weights + 8192);
    free(m.ranges);
    m.ranges = NULL;
    fw_nn_runner runner;
    fw_error error = {""};
    assert_int_equal(fw_nn_runner_open(&m, FW_NN_I8, 1, &runner, &error), FW_INVALID);
    assert_non_null(strstr(error.text, "quantise"));
    free(x);
    fw_nn_model_clear(&m);
}

/* ---- bf16 on few rows ---- */

/* Weights and inputs rounded, products and sums in fp32: what float64 gives from the same, to rounding. */
static void bf16_linear(void **state) {
    (void)state;
    fw_random r = fw_random_named(seed, "bf16");
    for (int trial = 0; trial < 60; trial++) {
        uint32_t in = 1 + fw_random_below(&r, 90), out = 1 + fw_random_below(&r, 90);
        uint32_t rows = 1 + fw_random_below(&r, 4);
        fw_nn_model m = {0};
        fw_error error = {""};
        must(fw_nn_graph_new(&m.graph, &error), &error);
        fw_nn_value x = fw_nn_input(m.graph, "x", FW_NN_F32, fw_nn_shape1(in));
        fw_nn_value y = fw_nn_linear(m.graph, "l", x, out, trial % 3);
        if (trial % 2) y = fw_nn_apply(m.graph, FW_NN_TANH, "a", y);
        fw_nn_output_add(m.graph, "y", y);
        must(fw_nn_layout_make(m.graph, &m.layout, &error), &error);
        m.params = fw_nn_vector_new(m.layout.floats);
        fw_nn_initialise(m.graph, &m.layout, 3, m.params);
        float *values = zoo_values(&m.graph->values[x], rows, &r);
        const void *inputs[1] = {values};
        fw_nn_runner runner;
        must(fw_nn_runner_open(&m, FW_NN_BF16, rows, &runner, &error), &error);
        assert_string_equal(fw_nn_plan_backend(runner.plan, 0), "bf16");
        fw_nn_runner_run(&runner, inputs, rows);
        const float *got = fw_nn_session_value(runner.session, y);
        const fw_nn_node *node = &m.graph->nodes[0];
        const float *w = runner.args.parameters + m.layout.offsets[node->inputs[1]];
        for (uint32_t i = 0; i < rows * out; i++) {
            uint32_t o = i % out;
            double sum = 0, size = 0;
            for (uint32_t k = 0; k < in; k++) {
                double term = (double)values[i / out * in + k] * (double)w[o * in + k];
                sum += term, size += fabs(term);
            }
            if (node->input_count > 2)
                sum += (double)runner.args.parameters[m.layout.offsets[node->inputs[2]] + o];
            double wanted = trial % 2 ? tanh(sum) : sum;
            if (!(fabs((double)got[i] - wanted) <= 1e-6 * (1 + size)))
                fail_msg("%u x %u: %.9g, not %.9g", in, out, (double)got[i], wanted);
        }
        fw_nn_runner_close(&runner);
        free(values);
        fw_nn_model_clear(&m);
    }
}

int main(void) {
    seed = seed_of_run();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calibration),
        cmocka_unit_test(ranges_in_files),
        cmocka_unit_test(networks_keep_their_accuracy),
        cmocka_unit_test(same_bits_on_every_thread),
        cmocka_unit_test(memory),
        cmocka_unit_test(bf16_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
