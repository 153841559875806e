/* Training: the same bits whatever the threads, real learning, and numbers that are not finite. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/random.h"
#include "nn/run/layers.h"
#include "nn/train/cpu/dnnl.h"
#include "nn/train/cpu/fused.h"
#include "nn/train/trainer.h"

enum { STEPS = 6, BATCH = 50 };

/* A network with its loss and inputs made by chance. */
typedef struct task {
    fw_nn_graph *graph;
    fw_nn_value loss;
    void *inputs[4];
    uint32_t input_count;
} task;

static fw_nn_value input(task *t, const char *name, fw_nn_dtype dtype, fw_nn_shape shape,
                         uint32_t rows, uint32_t high, fw_random *r) {
    size_t count = rows * fw_nn_elements(shape);
    float *values = calloc(count, sizeof *values);
    int32_t *ids = (int32_t *)values;
    for (size_t i = 0; i < count; i++) {
        if (dtype == FW_NN_I32)
            ids[i] = (int32_t)fw_random_below(r, high);
        else
            values[i] = fw_random_normal(r);
    }
    t->inputs[t->input_count++] = values;
    return fw_nn_input(t->graph, name, dtype, shape);
}

static void done(task *t) {
    fw_nn_graph_free(t->graph);
    for (uint32_t i = 0; i < t->input_count; i++) free(t->inputs[i]);
}

static void mlp(task *t, fw_random *r) {
    fw_nn_value x = input(t, "x", FW_NN_F32, fw_nn_shape1(13), BATCH, 0, r);
    fw_nn_value y = input(t, "y", FW_NN_F32, fw_nn_shape1(3), BATCH, 0, r);
    x = fw_nn_apply(t->graph, FW_NN_TANH, "a0", fw_nn_linear(t->graph, "l0", x, 17, true));
    x = fw_nn_dropout(t->graph, "drop", x, 0.1f);
    x = fw_nn_apply(t->graph, FW_NN_RELU, "a1", fw_nn_linear(t->graph, "l1", x, 19, true));
    t->loss = fw_nn_apply2(t->graph, FW_NN_MSE, "loss", fw_nn_linear(t->graph, "l2", x, 3, true), y);
}

static void cnn(task *t, fw_random *r) {
    fw_nn_value x = input(t, "x", FW_NN_F32, fw_nn_shape3(3, 9, 8), BATCH, 0, r);
    fw_nn_value y = input(t, "y", FW_NN_I32, fw_nn_shape0(), BATCH, 5, r);
    x = fw_nn_conv(t->graph, "c0", x, (fw_nn_conv_options){6, 3, 3, 1, 1, 1, 1, 0});
    x = fw_nn_apply(t->graph, FW_NN_SILU, "a0", x);
    fw_nn_attr pool = {.i = {2, 2, 2, 2, 0, 0}};
    x = fw_nn_node_add(t->graph, FW_NN_MAX_POOL, "p0", &x, 1, pool, NULL);
    x = fw_nn_conv(t->graph, "c1", x, (fw_nn_conv_options){8, 3, 3, 2, 2, 1, 1, 2});
    fw_nn_shape shape = t->graph->values[x].shape;
    x = fw_nn_reshape(t->graph, "flat", x, fw_nn_shape1(shape.d[0] * shape.d[1] * shape.d[2]));
    t->loss = fw_nn_apply2(t->graph, FW_NN_CROSS_ENTROPY, "loss",
                           fw_nn_linear(t->graph, "head", x, 5, true), y);
}

static void lstm(task *t, fw_random *r) {
    fw_nn_value x = input(t, "x", FW_NN_F32, fw_nn_shape2(7, 4), BATCH, 0, r);
    fw_nn_value y = input(t, "y", FW_NN_F32, fw_nn_shape2(7, 2), BATCH, 0, r);
    x = fw_nn_lstm(t->graph, "lstm", x, 9);
    x = fw_nn_gru(t->graph, "gru", x, 8);
    x = fw_nn_linear(t->graph, "o", x, 2, true);
    t->loss = fw_nn_node_add(t->graph, FW_NN_HUBER, "loss", (fw_nn_value[]){x, y}, 2,
                             (fw_nn_attr){.f = {1}}, NULL);
}

static fw_nn_value transformer_body(fw_nn_graph *g, fw_nn_value ids, uint32_t words, uint32_t width,
                                    uint32_t layers) {
    char name[40];
    fw_nn_value x = fw_nn_embedding(g, "words", ids, words, width);
    for (uint32_t i = 0; i < layers; i++) {
        snprintf(name, sizeof name, "b%u.norm1", i);
        fw_nn_value h = fw_nn_layer_norm(g, name, x, 1e-5f);
        snprintf(name, sizeof name, "b%u.attn", i);
        h = fw_nn_self_attention(g, name, h, (fw_nn_attention_options){
                                                 .heads = 4, .key_heads = 2, .causal = true,
                                                 .rope_base = 10000, .mask = FW_NN_NONE});
        snprintf(name, sizeof name, "b%u.add1", i);
        x = fw_nn_apply2(g, FW_NN_ADD, name, x, h);
        snprintf(name, sizeof name, "b%u.norm2", i);
        h = fw_nn_rms_norm(g, name, x, 1e-5f);
        snprintf(name, sizeof name, "b%u.up", i);
        h = fw_nn_linear(g, name, h, 2 * width, true);
        snprintf(name, sizeof name, "b%u.gelu", i);
        h = fw_nn_apply(g, FW_NN_GELU, name, h);
        snprintf(name, sizeof name, "b%u.down", i);
        h = fw_nn_linear(g, name, h, width, true);
        snprintf(name, sizeof name, "b%u.add2", i);
        x = fw_nn_apply2(g, FW_NN_ADD, name, x, h);
    }
    return fw_nn_linear(g, "words_out", fw_nn_layer_norm(g, "norm", x, 1e-5f), words, true);
}

static void transformer(task *t, fw_random *r) {
    fw_nn_value x = input(t, "x", FW_NN_I32, fw_nn_shape1(6), BATCH, 11, r);
    fw_nn_value y = input(t, "y", FW_NN_I32, fw_nn_shape1(6), BATCH, 11, r);
    t->loss = fw_nn_apply2(t->graph, FW_NN_CROSS_ENTROPY, "loss",
                           transformer_body(t->graph, x, 11, 16, 2), y);
}

static fw_nn_trainer *trainer_of(const task *t, fw_nn_trainer_options options) {
    fw_nn_trainer *trainer = NULL;
    fw_error error = {""};
    fw_status status = fw_nn_trainer_new(t->graph, t->loss, &options, &trainer, &error);
    if (status != FW_OK) print_error("%s\n", error.text);
    assert_int_equal(status, FW_OK);
    return trainer;
}

/* The references; what a trainer takes by itself; oneDNN for all it has. */
static const fw_nn_backend *const references[] = {NULL};
static const fw_nn_backend *const dnnl_first[] = {&fw_nn_backend_dnnl_all, &fw_nn_backend_fused,
                                                  &fw_nn_backend_fast, NULL};
static const fw_nn_backend *const *const backend_lists[] = {references, NULL, dnnl_first};

static uint32_t threads_of_this_process(void) {
    uint32_t count = 0;
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    for (const struct dirent *one; (one = readdir(dir));) count += one->d_name[0] != '.';
    closedir(dir);
    return count;
}

static uint32_t alone; /* threads at the start: one, and a sanitizer's own */

/* Threads that were joined may be listed a moment longer. */
static void expect_threads(uint32_t threads) {
    uint32_t wanted = alone + threads - 1;
    for (int i = 0; i < 2000 && threads_of_this_process() != wanted; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(threads_of_this_process(), wanted);
}

static fw_hash train(void (*build)(task *, fw_random *), uint32_t threads, fw_nn_method method,
                     const fw_nn_backend *const *backends, fw_nn_dtype precision) {
    task t = {0};
    fw_error error;
    fw_nn_step_report report;
    fw_random random = fw_random_named(3, "task");
    assert_int_equal(fw_nn_graph_new(&t.graph, &error), FW_OK);
    build(&t, &random);
    fw_nn_trainer *trainer = trainer_of(
        &t, (fw_nn_trainer_options){
                .batch = BATCH, .tile_rows = 7, .threads = threads, .seed = 5,
                .backends = backends, .precision = precision,
                .optimiser = {.method = method, .rate = 1e-2f, .momentum = 0.9f, .decay = 0.01f,
                              .clip_norm = 0.5f, .average_keep = 0.9f, .schedule = FW_NN_COSINE,
                              .warmup_steps = 2, .total_steps = STEPS}});
    double first = 0;
    for (int i = 0; i < STEPS; i++) {
        fw_status status = fw_nn_trainer_step(trainer, (const void *const *)t.inputs, BATCH,
                                              &report, &error);
        if (status != FW_OK) print_error("%s\n", error.text);
        assert_int_equal(status, FW_OK);
        if (i == 0) first = report.loss;
    }
    assert_true(report.loss < first);
    /* no library has started threads of its own */
    expect_threads(threads);
    size_t floats = fw_nn_trainer_layout(trainer)->floats;
    fw_sha256 *sha = fw_sha256_begin();
    fw_sha256_add(sha, fw_nn_trainer_parameters(trainer), floats * sizeof(float));
    fw_sha256_add(sha, fw_nn_trainer_average(trainer), floats * sizeof(float));
    fw_nn_trainer_free(trainer);
    done(&t);
    return fw_sha256_end(sha);
}

static void threads_change_nothing(void **state) {
    (void)state;
    void (*const builds[])(task *, fw_random *) = {mlp, cnn, lstm, transformer};
    for (size_t i = 0; i < sizeof builds / sizeof *builds; i++)
        for (int k = 0; k < 6; k++) {
            const fw_nn_backend *const *list = backend_lists[k / 2];
            fw_nn_method method = (fw_nn_method)(k % 2);
            for (fw_nn_dtype p = FW_NN_F32; p <= FW_NN_BF16; p += FW_NN_BF16) {
                if (p == FW_NN_BF16 && k > 3) continue; /* oneDNN's kernels are those of fp32 */
                fw_hash one = train(builds[i], 1, method, list, p);
                assert_string_equal(train(builds[i], 2, method, list, p).hex, one.hex);
                assert_string_equal(train(builds[i], 4, method, list, p).hex, one.hex);
            }
        }
}

/* ---- learning ---- */

static void spirals(fw_nn_dtype precision) {
    enum { N = 400 };
    static float x[N][2];
    static int32_t y[N];
    fw_error error;
    task t = {0};
    for (int i = 0; i < N; i++) {
        float turn = (float)(i / 2) * 0.045f + 0.3f, side = i % 2 ? 1.0f : -1.0f;
        x[i][0] = side * turn * cosf(turn) / 3;
        x[i][1] = side * turn * sinf(turn) / 3;
        y[i] = i % 2;
    }
    assert_int_equal(fw_nn_graph_new(&t.graph, &error), FW_OK);
    fw_nn_value in = fw_nn_input(t.graph, "x", FW_NN_F32, fw_nn_shape1(2));
    fw_nn_value want = fw_nn_input(t.graph, "y", FW_NN_I32, fw_nn_shape0());
    fw_nn_value h = fw_nn_linear(t.graph, "l0", in, 32, true);
    h = fw_nn_linear(t.graph, "l1", fw_nn_apply(t.graph, FW_NN_TANH, "a0", h), 32, true);
    h = fw_nn_linear(t.graph, "l2", fw_nn_apply(t.graph, FW_NN_TANH, "a1", h), 2, true);
    t.loss = fw_nn_apply2(t.graph, FW_NN_CROSS_ENTROPY, "loss", h, want);
    fw_nn_trainer *trainer = trainer_of(
        &t, (fw_nn_trainer_options){.batch = N, .seed = 1, .precision = precision,
                                    .optimiser = {.rate = 1e-2f}});
    fw_nn_step_report report = {0};
    const void *inputs[] = {x, y};
    for (int i = 0; i < 1500; i++)
        assert_int_equal(fw_nn_trainer_step(trainer, inputs, N, &report, &error), FW_OK);
    print_message("two spirals, %s: loss %.4f after 1500 steps\n",
                  precision == FW_NN_BF16 ? "bf16" : "fp32", report.loss);
    assert_true(report.loss < 0.02); /* 0.69 is guessing */
    fw_nn_trainer_free(trainer);
    done(&t);
}

static void two_spirals(void **state) {
    (void)state;
    spirals(FW_NN_F32);
    spirals(FW_NN_BF16);
}

/* The first half of a sequence must be said again in the second half. */
static void copies(bool recurrent, int steps, double least, fw_nn_dtype precision) {
    enum { N = 64, HALF = 4, LENGTH = 2 * HALF, WORDS = 6 };
    static int32_t x[N][LENGTH], y[N][LENGTH];
    fw_error error;
    task t = {0};
    assert_int_equal(fw_nn_graph_new(&t.graph, &error), FW_OK);
    fw_nn_value in = fw_nn_input(t.graph, "x", FW_NN_I32, fw_nn_shape1(LENGTH));
    fw_nn_value want = fw_nn_input(t.graph, "y", FW_NN_I32, fw_nn_shape1(LENGTH));
    fw_nn_value h;
    if (recurrent) {
        h = fw_nn_embedding(t.graph, "words", in, WORDS + 1, 16);
        h = fw_nn_linear(t.graph, "o", fw_nn_lstm(t.graph, "lstm", h, 48), WORDS, true);
    } else {
        h = transformer_body(t.graph, in, WORDS + 1, 32, 2);
    }
    t.loss = fw_nn_apply2(t.graph, FW_NN_CROSS_ENTROPY, "loss", h, want);
    fw_nn_trainer *trainer = trainer_of(
        &t, (fw_nn_trainer_options){.batch = N, .seed = 2, .precision = precision,
                                    .optimiser = {.rate = 3e-3f, .clip_norm = 1}});
    fw_nn_step_report report = {0};
    fw_random random = fw_random_named(8, "copy");
    const void *inputs[] = {x, y};
    double last = 0;
    for (int i = 0; i < steps; i++) {
        for (int n = 0; n < N; n++)
            for (int k = 0; k < LENGTH; k++) {
                x[n][k] = k < HALF ? (int32_t)fw_random_below(&random, WORDS) : WORDS;
                y[n][k] = k < HALF ? -1 : x[n][k - HALF];
            }
        assert_int_equal(fw_nn_trainer_step(trainer, inputs, N, &report, &error), FW_OK);
        if (i >= steps - 10) last += report.loss / 10;
    }
    print_message("copy by %s, %s: loss %.4f on fresh sequences after %d steps\n",
                  recurrent ? "lstm" : "attention", precision == FW_NN_BF16 ? "bf16" : "fp32",
                  last, steps);
    assert_true(last < least); /* 1.79 is guessing */
    fw_nn_trainer_free(trainer);
    done(&t);
}

static void attention_copies(void **state) {
    (void)state;
    copies(false, 300, 0.1, FW_NN_F32);
    copies(false, 300, 0.1, FW_NN_BF16);
}
static void lstm_copies(void **state) {
    (void)state;
    copies(true, 700, 0.3, FW_NN_F32);
    copies(true, 700, 0.3, FW_NN_BF16);
}

/* ---- trouble ---- */

static void a_nan_is_named_and_changes_nothing(void **state) {
    (void)state;
    task t = {0};
    fw_error error;
    fw_random random = fw_random_named(3, "task");
    fw_nn_step_report report;
    assert_int_equal(fw_nn_graph_new(&t.graph, &error), FW_OK);
    mlp(&t, &random);
    fw_nn_trainer *trainer =
        trainer_of(&t, (fw_nn_trainer_options){.batch = BATCH, .tile_rows = 7, .seed = 5});
    const void *const *inputs = (const void *const *)t.inputs;
    assert_int_equal(fw_nn_trainer_step(trainer, inputs, BATCH, &report, &error), FW_OK);
    size_t bytes = fw_nn_trainer_layout(trainer)->floats * sizeof(float);
    float *before = malloc(bytes);
    memcpy(before, fw_nn_trainer_parameters(trainer), bytes);
    ((float *)t.inputs[0])[13 * 40 + 2] = NAN;
    assert_int_equal(fw_nn_trainer_step(trainer, inputs, BATCH, &report, &error), FW_CORRUPT);
    assert_string_equal(error.text,
                        "step 2: node l0 (linear) made a NaN; nothing was changed");
    assert_memory_equal(before, fw_nn_trainer_parameters(trainer), bytes);
    ((float *)t.inputs[0])[13 * 40 + 2] = 0;
    assert_int_equal(fw_nn_trainer_step(trainer, inputs, BATCH, &report, &error), FW_OK);
    assert_int_equal(fw_nn_trainer_steps(trainer), 2);
    assert_int_equal(fw_nn_trainer_step(trainer, inputs, BATCH + 1, &report, &error), FW_INVALID);
    free(before);
    fw_nn_trainer_free(trainer);
    done(&t);
}

static void schedules(void **state) {
    (void)state;
    fw_nn_optimiser_options o = {.rate = 1, .schedule = FW_NN_COSINE, .warmup_steps = 10,
                                 .total_steps = 110, .final_share = 0.1f};
    assert_true(fabsf(fw_nn_rate(&o, 5) - 0.5f) < 1e-6f);
    assert_true(fabsf(fw_nn_rate(&o, 10) - 1) < 1e-6f);
    assert_true(fabsf(fw_nn_rate(&o, 60) - 0.55f) < 1e-6f);
    assert_true(fabsf(fw_nn_rate(&o, 200) - 0.1f) < 1e-6f);
    o.schedule = FW_NN_LINEAR_DOWN;
    assert_true(fabsf(fw_nn_rate(&o, 85) - 0.325f) < 1e-6f);
}

int main(void) {
    alone = threads_of_this_process();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(two_spirals),
        cmocka_unit_test(attention_copies),
        cmocka_unit_test(lstm_copies),
        cmocka_unit_test(a_nan_is_named_and_changes_nothing),
        cmocka_unit_test(schedules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
