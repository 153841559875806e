/* flywheel nn profile: the time of each node beside what this machine could do at best. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cmd_nn.h"
#include "nn/run/cost.h"
#include "nn/run/layers.h"

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the machine ---- */

typedef struct roofline {
    double flops_ps, bytes_ps; /* of one thread, measured */
} roofline;

enum { WIDTH = 512, ROWS = 256, TRIES = 8, COPY_BYTES = 32 << 20 };

/* Best of a few products (256 x 512) by (512 x 512) with the engine's own kernel. */
static fw_status measure_flops(double *out, fw_error *error) {
    fw_nn_graph *g = NULL;
    fw_nn_layout layout = {0};
    fw_nn_bench bench = {0};
    float *params = NULL;
    FW_TRY(fw_nn_graph_new(&g, error));
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(WIDTH));
    fw_nn_output_add(g, "y", fw_nn_linear(g, "l", x, WIDTH, false));
    fw_status status = fw_nn_layout_make(g, &layout, error);
    if (status == FW_OK && !(params = fw_nn_vector_new(layout.floats)))
        status = fw_fail(error, FW_NO_MEMORY, "no memory to measure the machine");
    if (status == FW_OK) status = fw_nn_bench_open(g, ROWS, 1, false, &bench, error);
    double best_s = 1e9;
    for (int i = 0; i < TRIES && status == FW_OK; i++) {
        double start_s = now_s();
        fw_nn_bench_run(&bench, params, NULL, NULL);
        double took_s = now_s() - start_s;
        best_s = took_s < best_s ? took_s : best_s;
    }
    if (status == FW_OK) *out = 2.0 * ROWS * WIDTH * WIDTH / best_s;
    fw_nn_bench_close(&bench);
    fw_nn_layout_clear(&layout);
    free(params);
    fw_nn_graph_free(g);
    return status;
}

/* Best of a few copies of 32 MiB; bytes read and bytes written count. */
static fw_status measure_bytes(double *out, fw_error *error) {
    char *from = malloc(COPY_BYTES), *to = malloc(COPY_BYTES);
    double best_s = 1e9;
    for (int i = 0; from && to && i < TRIES; i++) {
        memset(from, i, COPY_BYTES);
        double start_s = now_s();
        memcpy(to, from, COPY_BYTES);
        double took_s = now_s() - start_s;
        best_s = took_s < best_s ? took_s : best_s;
        from[(unsigned char)to[i]] = to[COPY_BYTES - 1]; /* so that the copy is needed */
    }
    bool measured = from && to;
    free(from);
    free(to);
    if (!measured) return fw_fail(error, FW_NO_MEMORY, "no memory to measure the machine");
    *out = 2.0 * COPY_BYTES / best_s;
    return FW_OK;
}

/* ---- the network ---- */

typedef struct stopwatch {
    double last_s;
    double *times_s; /* (steps, runs) */
    uint32_t run, runs;
    uint32_t *fused; /* (steps) the element-wise operator done on the way */
} stopwatch;

static void lap(void *self, uint32_t step, const fw_nn_call *call) {
    stopwatch *w = self;
    double at_s = now_s();
    w->times_s[(size_t)step * w->runs + w->run] = at_s - w->last_s;
    w->fused[step] = call->fused;
    w->last_s = now_s();
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static json_t *step_json(const fw_nn_model *m, const fw_nn_bench *b, const stopwatch *w,
                         uint32_t step, const roofline *roof) {
    const fw_nn_node *node = fw_nn_plan_step(b->plan, step);
    double *times = w->times_s + (size_t)step * w->runs;
    fw_nn_cost cost = fw_nn_cost_of(m->graph, node, b->rows);
    double by_flops = cost.flops / roof->flops_ps, by_bytes = cost.bytes / roof->bytes_ps;
    qsort(times, w->runs, sizeof *times, by_size);
    double median_s = times[w->runs / 2], best_s = by_flops > by_bytes ? by_flops : by_bytes;
    json_t *json = json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:s, s:f}", "name", node->name,
                             "op", fw_nn_op_name(node->op), "kernels",
                             fw_nn_plan_backend(b->plan, step), "median_us", median_s * 1e6,
                             "flops", cost.flops, "bytes", cost.bytes, "roofline_us", best_s * 1e6,
                             "bound", by_flops > by_bytes ? "arithmetic" : "memory", "share",
                             median_s > 0 ? best_s / median_s : 0);
    if (w->fused[step])
        json_object_set_new(json, "fused", json_string(fw_nn_op_name(w->fused[step])));
    return json;
}

static void print_profile(const json_t *json) {
    size_t i;
    json_t *step;
    printf("%-24s %-22s %-10s %10s %10s %8s  %s\n", "node", "operator", "kernels", "median us",
           "best us", "share", "bound by");
    json_array_foreach(json_object_get(json, "steps"), i, step) {
        char op[64];
        const char *fused = json_string_value(json_object_get(step, "fused"));
        snprintf(op, sizeof op, "%s%s%s", json_string_value(json_object_get(step, "op")),
                 fused ? " + " : "", fused ? fused : "");
        printf("%-24s %-22s %-10s %10.2f %10.2f %7.1f%%  %s\n",
               json_string_value(json_object_get(step, "name")), op,
               json_string_value(json_object_get(step, "kernels")),
               json_real_value(json_object_get(step, "median_us")),
               json_real_value(json_object_get(step, "roofline_us")),
               100 * json_real_value(json_object_get(step, "share")),
               json_string_value(json_object_get(step, "bound")));
    }
    printf("\n%.2f us a run of %lld rows; this machine, one thread: %.1f GFLOP/s, %.1f GB/s\n",
           json_real_value(json_object_get(json, "run_us")),
           (long long)json_integer_value(json_object_get(json, "rows")),
           json_real_value(json_object_get(json, "gflops_ps")),
           json_real_value(json_object_get(json, "gbytes_ps")));
}

static json_t *run_all(const fw_nn_model *m, const fw_nn_bench *b, stopwatch *w, uint32_t steps,
                       const roofline *roof) {
    double total_us = 0;
    json_t *list = json_array();
    fw_nn_bench_run(b, m->params, NULL, NULL); /* caches and pages */
    for (w->run = 0; w->run < w->runs; w->run++) {
        w->last_s = now_s();
        fw_nn_bench_run(b, m->params, lap, w);
    }
    for (uint32_t i = 0; i < steps; i++) {
        json_t *json = step_json(m, b, w, i, roof);
        total_us += json_real_value(json_object_get(json, "median_us"));
        json_array_append_new(list, json);
    }
    return json_pack("{s:o, s:I, s:I, s:f, s:f, s:f}", "steps", list, "rows", (json_int_t)b->rows,
                     "runs", (json_int_t)w->runs, "run_us", total_us, "gflops_ps",
                     roof->flops_ps / 1e9, "gbytes_ps", roof->bytes_ps / 1e9);
}

fw_status fw_nn_profile(const fw_nn_model *m, const fw_nn_words *words, fw_error *error) {
    roofline roof = {1, 1};
    fw_nn_bench bench;
    stopwatch w = {.runs = (uint32_t)words->runs};
    uint32_t steps = 0;
    FW_TRY(measure_flops(&roof.flops_ps, error));
    FW_TRY(measure_bytes(&roof.bytes_ps, error));
    FW_TRY(fw_nn_bench_open(m->graph, (uint32_t)words->rows, words->seed, false, &bench, error));
    while (fw_nn_plan_step(bench.plan, steps)) steps++;
    w.times_s = calloc((size_t)steps * w.runs + 1, sizeof *w.times_s);
    w.fused = calloc(steps + 1, sizeof *w.fused);
    fw_status status = FW_OK;
    if (!w.times_s || !w.fused) {
        status = fw_fail(error, FW_NO_MEMORY, "no memory for a profile");
    } else {
        json_t *json = run_all(m, &bench, &w, steps, &roof);
        if (words->json) json_dumpf(json, stdout, JSON_INDENT(2)), putchar('\n');
        else print_profile(json);
        json_decref(json);
    }
    free(w.times_s);
    free(w.fused);
    fw_nn_bench_close(&bench);
    return status;
}
