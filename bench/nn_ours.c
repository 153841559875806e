#include "nn_ours.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "nn/onnx/onnx.h"
#include "nn/run/cpu/bf16.h"
#include "nn/run/calibrate.h"
#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/int8.h"
#include "nn/train/cpu/fused.h"

void bench_must(fw_status status, const fw_error *error) {
    if (status == FW_OK) return;
    fprintf(stderr, "bench_nn: %s\n", error->text);
    exit(1);
}

static void *space(size_t bytes) {
    void *out = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!out) exit(1);
    memset(out, 0, bytes);
    return out;
}

static void *random_numbers(const fw_nn_value_info *value, uint32_t rows, fw_random *r) {
    size_t count = rows * fw_nn_elements(value->shape);
    float *out = space(count * sizeof *out);
    for (size_t i = 0; i < count; i++) {
        int32_t index = (int32_t)fw_random_below(r, 256);
        out[i] = fw_random_normal(r);
        if (value->dtype == FW_NN_I32) memcpy(&out[i], &index, sizeof index);
    }
    return out;
}

static void calibrate(bench_ours *o) {
    fw_error error;
    fw_nn_calibration *seen;
    bench_must(fw_nn_calibration_new(o->graph, 1, &seen, &error), &error);
    bench_must(fw_nn_calibration_add(seen, o->params, (const void *const *)o->inputs, 1, &error),
               &error);
    o->ranges = space(o->graph->value_count * sizeof *o->ranges);
    fw_nn_calibration_ranges(seen, 1, o->ranges);
    fw_nn_calibration_free(seen);
}

static void start_latency(bench_ours *o) {
    fw_error error;
    fw_nn_layout layout;
    bench_must(fw_nn_layout_make(o->graph, &layout, &error), &error);
    o->params = space(layout.floats * sizeof *o->params);
    fw_nn_initialise(o->graph, &layout, 1, o->params);
    fw_nn_layout_clear(&layout);
    fw_nn_plan_options p = {.rows = 1, .backends = fw_nn_backends_run, .pack = true};
    if (o->c->numbers == BENCH_BF16) p.store = FW_NN_BF16, p.backends = fw_nn_backends_bf16;
    if (o->c->numbers == BENCH_INT8) {
        calibrate(o);
        p.backends = fw_nn_backends_int8;
        p.ranges = o->ranges;
    }
    bench_must(fw_nn_plan_make(o->graph, &p, &o->plan, &error), &error);
    bench_must(fw_nn_session_new(o->plan, &o->session, &error), &error);
    o->packed = space(fw_nn_plan_packed_bytes(o->plan));
    fw_nn_plan_pack(o->plan, o->params, o->packed);
}

void bench_ours_start(bench_ours *o, const bench_case *c, uint32_t threads, uint32_t tile,
                      uint32_t lanes) {
    fw_error error;
    fw_random random = fw_random_named(1, "bench");
    *o = (bench_ours){.c = c};
    bench_must(fw_nn_graph_new(&o->graph, &error), &error);
    c->build(o->graph, !bench_is_latency(c));
    bench_must(fw_nn_graph_check(o->graph, &error), &error);
    for (uint32_t i = 0; i < o->graph->value_count; i++)
        if (o->graph->values[i].kind == FW_NN_INPUT)
            o->inputs[o->input_count++] = random_numbers(&o->graph->values[i], c->rows, &random);
    if (bench_is_latency(c)) {
        start_latency(o);
        return;
    }
    fw_nn_trainer_options t = {.batch = c->rows, .tile_rows = tile ? tile : c->tile_rows,
                               .lanes = lanes ? lanes : c->lanes, .threads = threads, .seed = 1,
                               .precision = c->numbers == BENCH_BF16 ? FW_NN_BF16 : FW_NN_F32};
    bench_must(fw_nn_trainer_new(o->graph, fw_nn_find(o->graph, "loss"), &t, &o->trainer, &error),
               &error);
}

void bench_ours_stop(bench_ours *o) {
    fw_nn_trainer_free(o->trainer);
    fw_nn_session_free(o->session);
    fw_nn_plan_free(o->plan);
    fw_nn_graph_free(o->graph);
    free(o->params);
    free(o->ranges);
    free(o->packed);
    for (uint32_t i = 0; i < o->input_count; i++) free(o->inputs[i]);
}

void bench_ours_step(bench_ours *o) {
    fw_error error;
    const void *const *inputs = (const void *const *)o->inputs;
    if (o->trainer)
        bench_must(fw_nn_trainer_step(o->trainer, inputs, o->c->rows, NULL, &error), &error);
    else
        fw_nn_session_run(o->session, &(fw_nn_run_args){.parameters = o->params, .packed = o->packed,
                                                        .rows = 1, .inputs = inputs});
}

void bench_ours_export(const bench_ours *o, const char *path) {
    fw_error error;
    char *bytes;
    size_t size_bytes;
    fw_nn_model model = {.graph = o->graph, .layout = *fw_nn_plan_layout(o->plan), .params = o->params};
    bench_must(fw_onnx_export(&model, &bytes, &size_bytes, &error), &error);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size_bytes, file) != size_bytes || fclose(file) != 0) {
        fprintf(stderr, "bench_nn: cannot write %s\n", path);
        exit(1);
    }
    free(bytes);
}

/* ---- where our time goes ---- */

typedef struct profile {
    double last, *spent; /* (steps) */
} profile;

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void after(void *self, uint32_t step, const fw_nn_call *call) {
    profile *p = self;
    double now = cpu_s();
    (void)call;
    if (p->spent[step] == 0 || now - p->last < p->spent[step]) p->spent[step] = now - p->last;
    p->last = cpu_s();
}

static void print_steps(const fw_nn_plan *plan, fw_nn_session *session, fw_nn_run_args args) {
    uint32_t steps = 0;
    double total = 0;
    while (fw_nn_plan_step(plan, steps)) steps++;
    profile p = {.spent = space(steps * sizeof(double))};
    args.after = after;
    args.after_self = &p;
    for (int i = 0; i < 21; i++) {
        if (i == 1) memset(p.spent, 0, steps * sizeof(double));
        p.last = cpu_s();
        fw_nn_session_run(session, &args);
    }
    for (uint32_t i = 0; i < steps; i++) total += p.spent[i];
    for (uint32_t i = 0; i < steps; i++)
        fprintf(stderr, "  %5.1f %%  %8.1f us  %-18s %-10s %s\n", 100 * p.spent[i] / total,
                1e6 * p.spent[i], fw_nn_op_name(fw_nn_plan_step(plan, i)->op),
                fw_nn_plan_backend(plan, i), fw_nn_plan_step(plan, i)->name);
    fprintf(stderr, "  %s, the best of each step: %.1f us\n", args.gradients ? "a tile" : "an example",
            1e6 * total);
    free(p.spent);
}

static void profile_training(bench_ours *o, uint32_t rows) {
    fw_error error;
    fw_nn_training training;
    fw_nn_plan *plan;
    fw_nn_session *session;
    bench_must(fw_nn_differentiate(o->graph, fw_nn_find(o->graph, "loss"), &training, &error), &error);
    fw_nn_plan_options options = {.rows = rows, .training = true, .pack = true,
                                  .store = o->c->numbers == BENCH_BF16 ? FW_NN_BF16 : FW_NN_F32,
                                  .keep = &training.loss, .keep_count = 1,
                                  .gradients = training.gradients,
                                  .gradient_count = training.gradient_count,
                                  .backends = fw_nn_backends_train};
    bench_must(fw_nn_plan_make(training.graph, &options, &plan, &error), &error);
    bench_must(fw_nn_session_new(plan, &session, &error), &error);
    float *gradients = space(fw_nn_plan_layout(plan)->floats * sizeof *gradients);
    float *seeds = space(rows * sizeof *seeds);
    void *packed = space(fw_nn_plan_packed_bytes(plan));
    const void *inputs[5] = {o->inputs[0], o->inputs[1], seeds};
    fw_nn_plan_pack(plan, fw_nn_trainer_parameters(o->trainer), packed);
    print_steps(plan, session,
                (fw_nn_run_args){.parameters = fw_nn_trainer_parameters(o->trainer), .packed = packed,
                                 .gradients = gradients, .inputs = inputs, .rows = rows});
    fw_nn_session_free(session);
    fw_nn_plan_free(plan);
    fw_nn_training_clear(&training);
    free(packed);
    free(gradients);
    free(seeds);
}

void bench_ours_profile(bench_ours *o, uint32_t tile) {
    if (o->trainer)
        profile_training(o, tile ? tile : o->c->tile_rows);
    else
        print_steps(o->plan, o->session,
                    (fw_nn_run_args){.parameters = o->params, .packed = o->packed, .rows = 1,
                                     .inputs = (const void *const *)o->inputs});
}
