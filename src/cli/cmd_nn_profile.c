/* flywheel nn profile: the time of each node beside what this machine could do at best.
 *
 * The ceilings are measured first, with one thread: arithmetic as a product of the engine's own, bytes as
 * a copy of as much memory as a run of this network touches, so that a network that lies in a cache is
 * held against that cache (the roofline of Williams, Waterman and Patterson 2009). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cmd_nn.h"
#include "cli/table.h"
#include "nn/run/cost.h"
#include "nn/run/cpu/class.h"
#include "nn/run/layers.h"

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the machine ---- */

typedef struct roofline {
    double flops_ps, bytes_ps; /* of one thread, measured */
    size_t working_bytes;      /* what a run touches: parameters, arena, inputs */
} roofline;

enum { WIDTH = 512, ROWS = 256, TRIES = 8 };
#define COPY_LEAST ((size_t)16 << 10)
#define COPY_MOST ((size_t)64 << 20)

/* Best of a few products (256 x 512) by (512 x 512) with the engine's own kernel. */
static fw_status measure_flops(double *out, fw_error *error) {
    fw_nn_model m = {0};
    fw_nn_bench bench = {0};
    fw_nn_words words = {.rows = ROWS, .seed = 1};
    FW_TRY(fw_nn_graph_new(&m.graph, error));
    fw_nn_value x = fw_nn_input(m.graph, "x", FW_NN_F32, fw_nn_shape1(WIDTH));
    fw_nn_output_add(m.graph, "y", fw_nn_linear(m.graph, "l", x, WIDTH, false));
    fw_status status = fw_nn_layout_make(m.graph, &m.layout, error);
    if (status == FW_OK && !(m.params = fw_nn_vector_new(m.layout.floats)))
        status = fw_fail(error, FW_NO_MEMORY, "no memory to measure the machine");
    if (status == FW_OK) status = fw_nn_bench_open(&m, &words, false, &bench, error);
    double best_s = 1e9;
    for (int i = 0; i < TRIES && status == FW_OK; i++) {
        double start_s = now_s();
        fw_nn_bench_run(&bench, NULL, NULL);
        double took_s = now_s() - start_s;
        best_s = took_s < best_s ? took_s : best_s;
    }
    if (status == FW_OK) *out = 2.0 * ROWS * WIDTH * WIDTH / best_s;
    fw_nn_bench_close(&bench);
    fw_nn_model_clear(&m);
    return status;
}

/* Best of a few copies from one half of the working set to the other, over and over for small ones;
 * bytes read and bytes written count. */
static fw_status measure_bytes(size_t working_bytes, double *out, fw_error *error) {
    size_t half = working_bytes / 2;
    if (half < COPY_LEAST) half = COPY_LEAST;
    if (half > COPY_MOST) half = COPY_MOST;
    size_t times = 1 + ((size_t)8 << 20) / half;
    char *from = malloc(half), *to = malloc(half);
    double best_s = 1e9;
    for (int i = 0; from && to && i < TRIES; i++) {
        memset(from, i, half);
        double start_s = now_s();
        for (size_t n = 0; n < times; n++) {
            memcpy(to, from, half);
            __asm__ volatile("" ::"r"(to) : "memory"); /* each copy is needed */
        }
        double took_s = now_s() - start_s;
        best_s = took_s < best_s ? took_s : best_s;
    }
    bool measured = from && to;
    free(from);
    free(to);
    if (!measured) return fw_fail(error, FW_NO_MEMORY, "no memory to measure the machine");
    *out = 2.0 * (double)half * (double)times / best_s;
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
    const fw_nn_node *node = fw_nn_plan_step(b->runner.plan, step);
    double *times = w->times_s + (size_t)step * w->runs;
    fw_nn_cost cost = fw_nn_cost_of(m->graph, node, b->rows);
    double by_flops = cost.flops / roof->flops_ps, by_bytes = cost.bytes / roof->bytes_ps;
    qsort(times, w->runs, sizeof *times, by_size);
    double median_s = times[w->runs / 2], best_s = by_flops > by_bytes ? by_flops : by_bytes;
    json_t *json = json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:s, s:f}", "name", node->name,
                             "op", fw_nn_op_name(node->op), "kernels",
                             fw_nn_plan_backend(b->runner.plan, step), "median_us", median_s * 1e6,
                             "flops", cost.flops, "bytes", cost.bytes, "roofline_us", best_s * 1e6,
                             "bound", by_flops > by_bytes ? "arithmetic" : "memory", "share",
                             median_s > 0 ? best_s / median_s : 0);
    if (w->fused[step])
        json_object_set_new(json, "fused", json_string(fw_nn_op_name(w->fused[step])));
    return json;
}

/* ---- for people ---- */

static double real(const json_t *json, const char *key) {
    return json_number_value(json_object_get(json, key));
}
static const char *text(const json_t *json, const char *key) {
    return json_string_value(json_object_get(json, key));
}

static void print_steps(const json_t *json) {
    fw_table t = {.columns = 8,
                  .titles = {"node", "operator", "kernels", "median us", "of run", "best us",
                             "reached", "bound by"},
                  .right = {[3] = true, [4] = true, [5] = true, [6] = true}};
    size_t i;
    json_t *step;
    double run_us = real(json, "run_us");
    json_array_foreach(json_object_get(json, "steps"), i, step) {
        const char *fused = text(step, "fused");
        fw_table_cell(&t, "%s", text(step, "name"));
        fw_table_cell(&t, "%s%s%s", text(step, "op"), fused ? " + " : "", fused ? fused : "");
        fw_table_cell(&t, "%s", text(step, "kernels"));
        fw_table_cell(&t, "%.2f", real(step, "median_us"));
        fw_table_cell(&t, "%.1f %%", run_us > 0 ? 100 * real(step, "median_us") / run_us : 0);
        fw_table_cell(&t, "%.2f", real(step, "roofline_us"));
        fw_table_cell(&t, "%.0f %%", 100 * real(step, "share"));
        fw_table_cell(&t, "%s", text(step, "bound"));
    }
    fw_table_print(&t, stdout);
    fw_table_clear(&t);
}

static void print_profile(const json_t *json) {
    print_steps(json);
    printf("\na run of %.0f row%s: %.2f us (%.0f rows/s); %.2f us at best, %.0f %% reached\n",
           real(json, "rows"), real(json, "rows") == 1 ? "" : "s", real(json, "run_us"),
           real(json, "rows") / real(json, "run_us") * 1e6, real(json, "roofline_us"),
           100 * real(json, "roofline_us") / real(json, "run_us"));
    printf("this machine, one thread, CPU class %s: %.1f GFLOP/s; %.1f GB/s over the %s that a run touches\n",
           text(json, "cpu_class"), real(json, "gflops_ps"), real(json, "gbytes_ps"),
           fw_cli_bytes(real(json, "working_bytes")));
}

/* ---- all of it ---- */

static json_t *run_all(const fw_nn_model *m, fw_nn_bench *b, stopwatch *w, uint32_t steps,
                       const roofline *roof) {
    double total_us = 0, best_us = 0;
    json_t *list = json_array();
    fw_nn_bench_run(b, NULL, NULL); /* caches and pages */
    for (w->run = 0; w->run < w->runs; w->run++) {
        w->last_s = now_s();
        fw_nn_bench_run(b, lap, w);
    }
    for (uint32_t i = 0; i < steps; i++) {
        json_t *json = step_json(m, b, w, i, roof);
        total_us += real(json, "median_us");
        best_us += real(json, "roofline_us");
        json_array_append_new(list, json);
    }
    return json_pack("{s:o, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:s}", "steps", list, "rows",
                     (json_int_t)b->rows, "runs", (json_int_t)w->runs, "run_us", total_us,
                     "roofline_us", best_us, "gflops_ps", roof->flops_ps / 1e9, "gbytes_ps",
                     roof->bytes_ps / 1e9, "working_bytes", (json_int_t)roof->working_bytes,
                     "cpu_class", fw_nn_cpu_class());
}

static size_t working_bytes(const fw_nn_model *m, const fw_nn_bench *b) {
    size_t bytes = m->layout.floats * sizeof(float) + fw_nn_plan_arena_bytes(b->runner.plan);
    for (uint32_t i = 0; i < m->graph->value_count; i++)
        if (m->graph->values[i].kind == FW_NN_INPUT)
            bytes += b->rows * sizeof(float) * fw_nn_elements(m->graph->values[i].shape);
    return bytes;
}

static fw_status profile(const fw_nn_model *m, const fw_nn_words *words, fw_nn_bench *bench,
                         fw_error *error) {
    roofline roof = {1, 1, working_bytes(m, bench)};
    stopwatch w = {.runs = (uint32_t)words->runs};
    uint32_t steps = 0;
    FW_TRY(measure_flops(&roof.flops_ps, error));
    FW_TRY(measure_bytes(roof.working_bytes, &roof.bytes_ps, error));
    while (fw_nn_plan_step(bench->runner.plan, steps)) steps++;
    w.times_s = calloc((size_t)steps * w.runs + 1, sizeof *w.times_s);
    w.fused = calloc(steps + 1, sizeof *w.fused);
    fw_status status = FW_OK;
    if (!w.times_s || !w.fused) {
        status = fw_fail(error, FW_NO_MEMORY, "no memory for a profile");
    } else {
        json_t *json = run_all(m, bench, &w, steps, &roof);
        if (words->json) json_dumpf(json, stdout, JSON_INDENT(2)), putchar('\n');
        else print_profile(json);
        if (!words->json && words->dtype != FW_NN_F32)
            puts("at best, reached: of fp32, in arithmetic and in bytes, whatever the precision");
        json_decref(json);
    }
    free(w.times_s);
    free(w.fused);
    return status;
}

fw_status fw_nn_profile(const fw_nn_model *m, const fw_nn_words *words, fw_error *error) {
    fw_nn_bench bench;
    FW_TRY(fw_nn_bench_open(m, words, false, &bench, error));
    fw_status status = profile(m, words, &bench, error);
    fw_nn_bench_close(&bench);
    return status;
}
