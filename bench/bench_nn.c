/* bench_nn - the engine beside PyTorch and ONNX Runtime on the same machine, in the same minutes.
 *
 *   bench_nn [--quick] [--smoke] [--json] [--threads N] [--tile ROWS] [--lanes N]
 *            [--case NAME] [--no-peer] [--csv FILE] [--profile]
 *
 * A case is trained, or asked for latencies, in short runs, each engine's in turn.
 *   training   The best step of each side counts: what else runs on the machine takes time from both.
 *              With --threads 1 the clock is CPU time, which other programs lengthen least; with more it
 *              is wall time.
 *   latencies  Wall time on one thread: best (of single runs, and of means of 50), median and 99th
 *              percentile (of single runs, in the round of the least median). ONNX Runtime is asked with 1 and with 2 threads,
 *              and the better counts; what a call through Node costs is measured with a network that
 *              computes next to nothing ("call").
 * Ceilings: the best rate of a matrix product of this program's own size on one thread, times the
 * threads; for latencies bound by reading weights also the best rate of reading as many bytes again and
 * again, from the cache that holds them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nn/run/cpu/gemm.h"
#include "nn/run/layers.h"
#include "nn/run/cpu/vector.h"
#include "nn_ours.h"
#include "nn_peer.h"

#define SAMPLES "samples/s"
static const bench_case cases[] = {
    {"mlp:256", "MLP 64-256-256-8, batch 256", SAMPLES, bench_build_mlp, BENCH_F32, 256, 128, 2, 1, BENCH_MLP_FLOPS, 0, 1.56},
    {"mlp:4096", "MLP 64-256-256-8, batch 4096", SAMPLES, bench_build_mlp, BENCH_F32, 4096, 256, 2, 1, BENCH_MLP_FLOPS, 0, 1.38},
    {"mlp:16384", "MLP 64-256-256-8, batch 16384", SAMPLES, bench_build_mlp, BENCH_F32, 16384, 256, 2, 1, BENCH_MLP_FLOPS, 0, 1.38},
    {"mlp:4096:bf16", "MLP, batch 4096, bf16", SAMPLES, bench_build_mlp, BENCH_BF16, 4096, 256, 2, 1, BENCH_MLP_FLOPS, 0, 1.18},
    {"pilot:64", "PilotNet 66x200x3, batch 64", "images/s", bench_build_pilot, BENCH_F32, 64, 8, 2, 1, BENCH_PILOT_FLOPS, 0, 1.32},
    {"pilot:64:bf16", "PilotNet, batch 64, bf16", "images/s", bench_build_pilot, BENCH_BF16, 64, 8, 2, 1, BENCH_PILOT_FLOPS, 0, 0},
    {"gpt:4", "GPT 6 layers, d 384, context 256, batch 4", "tokens/s", bench_build_gpt, BENCH_F32, 4, 2, 2, 256, BENCH_GPT_FLOPS, 0, 1.5},
    {"gpt:4:bf16", "GPT, batch 4, bf16", "tokens/s", bench_build_gpt, BENCH_BF16, 4, 1, 2, 256, BENCH_GPT_FLOPS, 0, 1.1},
    {"lstm:1024", "LSTM 2x64 over 30x14, batch 1024", SAMPLES, bench_build_lstm, BENCH_F32, 1024, 12, 2, 1, BENCH_LSTM_FLOPS, 0, 2.25},
    {"mlp_latency", "MLP, one example", "us", bench_build_mlp, BENCH_F32, 1, 0, 0, 1, BENCH_MLP_FLOPS / 3, BENCH_MLP_WEIGHTS, 3.6},
    {"mlp_latency:bf16", "MLP, one example, bf16", "us", bench_build_mlp, BENCH_BF16, 1, 0, 0, 1, BENCH_MLP_FLOPS / 3, BENCH_MLP_WEIGHTS, 0},
    {"mlp_latency:int8", "MLP, one example, int8", "us", bench_build_mlp, BENCH_INT8, 1, 0, 0, 1, BENCH_MLP_FLOPS / 3, BENCH_MLP_WEIGHTS, 0},
    {"pilot_latency", "PilotNet, one image", "us", bench_build_pilot, BENCH_F32, 1, 0, 0, 1, BENCH_PILOT_FLOPS / 3, 0, 2.9},
    {"pilot_latency:int8", "PilotNet, one image, int8", "us", bench_build_pilot, BENCH_INT8, 1, 0, 0, 1, BENCH_PILOT_FLOPS / 3, 0, 0},
};

static struct options {
    bool quick, smoke, json, profile, alone;
    uint32_t threads, tile, lanes; /* tile, lanes: 0 takes the case's */
    const char *only, *csv;
} options = {.threads = 2};

static bench_peer pytorch, onnx;
static char folder[] = "/tmp/bench_nn.XXXXXX"; /* of files for ONNX Runtime */

/* What the machine can do: GFLOP/s, and GB/s for fp32, bf16 and int8 weights of the MLP. */
static struct ceilings {
    double gflops, gbps[3];
} ceilings;

static double seconds_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
static double wall_s(void) {
    return seconds_of(CLOCK_MONOTONIC);
}

/* ---- ceilings ---- */

/* GFLOP/s of a matrix product that fits the second cache, one thread. */
static double product_gflops(void) {
    enum { M = 192, N = 256, K = 256 };
    float *all = aligned_alloc(64, (M * K + K * N + M * N) * sizeof *all + FW_GEMM_SCRATCH_BYTES + 64);
    double best = 1e9;
    if (!all) exit(1);
    memset(all, 0, (M * K + K * N + M * N) * sizeof *all);
    fw_gemm g = {.m = M, .n = N, .k = K, .a = all, .a_row = K, .a_column = 1, .b = all + M * K,
                 .b_row = N, .b_column = 1, .c = all + M * K + K * N, .c_row = N,
                 .scratch = all + M * K + K * N + M * N};
    for (int i = 0; i < (options.smoke ? 2 : 400); i++) {
        double t = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        fw_gemm_run(&g);
        t = seconds_of(CLOCK_THREAD_CPUTIME_ID) - t;
        if (t < best) best = t;
    }
    free(all);
    return 2.0 * M * N * K / best * 1e-9;
}

FW_KERNEL static float read_all(const fw_v8 *from, size_t vectors) {
    fw_i8 any[8] = {{0}};
    for (size_t i = 0; i + 8 <= vectors; i += 8)
        _Pragma("GCC unroll 8") for (size_t k = 0; k < 8; k++) any[k] |= (fw_i8)from[i + k];
    for (size_t k = 1; k < 8; k++) any[0] |= any[k];
    return (float)(any[0][0] | any[0][1] | any[0][2] | any[0][3] | any[0][4] | any[0][5] |
                   any[0][6] | any[0][7]);
}

/* GB/s of reading so many bytes again and again. */
static double reading_gbps(size_t bytes) {
    enum { AGAIN = 20 };
    fw_v8 *from = aligned_alloc(64, bytes / 64 * 64 + 64);
    double best = 1e9;
    float sum = 0;
    if (!from) exit(1);
    memset(from, 0, bytes);
    for (int i = 0; i < (options.smoke ? 2 : 2000); i++) {
        double t = wall_s();
        for (int k = 0; k < AGAIN; k++) sum += read_all(from, bytes / sizeof *from);
        t = (wall_s() - t) / AGAIN;
        if (t < best) best = t;
    }
    free(from);
    return sum == 0 ? (double)bytes / best * 1e-9 : 0;
}

static void find_ceilings(void) {
    static const size_t bytes[] = {4, 2, 1};
    ceilings.gflops = product_gflops();
    for (int i = 0; i < 3; i++) ceilings.gbps[i] = reading_gbps(BENCH_MLP_WEIGHTS * bytes[i]);
    fprintf(stderr, "ceiling of one thread: %.1f GFLOP/s; reading the MLP's weights: %.1f us in fp32 "
                    "(%.0f GB/s), %.1f in bf16, %.1f in int8\n",
            ceilings.gflops, BENCH_MLP_WEIGHTS * 4 / ceilings.gbps[0] * 1e-3, ceilings.gbps[0],
            BENCH_MLP_WEIGHTS * 2 / ceilings.gbps[1] * 1e-3, BENCH_MLP_WEIGHTS / ceilings.gbps[2] * 1e-3);
}

/* ---- training ---- */

/* Samples a second of the best step within `seconds`. */
static double measure_rate(bench_ours *o, double seconds) {
    clockid_t clock = options.threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    double best = 1e9, begin = wall_s();
    do {
        double t = seconds_of(clock);
        bench_ours_step(o);
        t = seconds_of(clock) - t;
        if (t < best) best = t;
    } while (!options.smoke && wall_s() - begin < seconds);
    return o->c->rows * o->c->per_row / best;
}

static void report_rate(const bench_ours *o, double rate, double peer, FILE *csv) {
    const bench_case *c = o->c;
    double ratio = peer > 0 ? rate / peer : 0;
    double share = rate * c->flops * 1e-9 / (ceilings.gflops * options.threads);
    fw_nn_trainer_memory m = fw_nn_trainer_memory_of(o->trainer);
    if (options.json)
        printf("{\"case\":\"%s\",\"threads\":%u,\"unit\":\"%s\",\"ours\":%.1f,\"pytorch\":%.1f,"
               "\"ratio\":%.3f,\"expected_ratio\":%.2f,\"ceiling_share\":%.3f,\"arena_bytes\":%zu,"
               "\"bound_bytes\":%zu}\n", c->name, options.threads, c->unit, rate, peer, ratio,
               c->expected, share, m.arena_bytes, m.bound_bytes);
    else
        printf("%-44s %10.1f %10.1f %-9s %6.2fx (expected %.2fx) %5.0f %%  %7.1f MB %5.2fx\n",
               c->title, rate, peer, c->unit, ratio, c->expected, 100 * share,
               (double)m.arena_bytes * 1e-6, (double)m.arena_bytes / (double)m.bound_bytes);
    fflush(stdout);
    if (csv)
        fprintf(csv, "%s,%u,%s,%.1f,%.1f,%.3f,%.2f,%.3f,%zu,%zu,,,,,,,,,,,\n", c->name, options.threads,
                c->unit, rate, peer, ratio, c->expected, share, m.arena_bytes, m.bound_bytes);
}

static void run_training(bench_ours *o, int rounds, double seconds, FILE *csv) {
    double best = 0, peer = 0;
    char line[64];
    snprintf(line, sizeof line, "%s %g", o->c->name, seconds);
    (void)measure_rate(o, 0);
    for (int round = 0; round < rounds; round++) {
        double a = measure_rate(o, seconds), b;
        bench_peer_ask(&pytorch, line, &b, 1);
        if (a > best) best = a;
        if (b > peer) peer = b;
    }
    report_rate(o, best, peer, csv);
}

/* ---- latencies, in microseconds ---- */

typedef struct latency {
    double best, median, p99, threads;
} latency;

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static latency measure_latency(bench_ours *o, double seconds) {
    enum { TOGETHER = 50, MOST = 1 << 18 };
    static float singles[MOST];
    size_t count = 0;
    double best = 1e9, begin = wall_s();
    do {
        double t = wall_s();
        for (int i = 0; i < TOGETHER; i++) bench_ours_step(o);
        t = (wall_s() - t) / TOGETHER;
        if (t < best) best = t;
        for (int i = 0; i < TOGETHER && count < MOST; i++) {
            t = wall_s();
            bench_ours_step(o);
            singles[count++] = (float)(wall_s() - t);
        }
    } while (!options.smoke && wall_s() - begin < seconds);
    qsort(singles, count, sizeof *singles, ascending);
    if ((double)singles[0] < best) best = (double)singles[0];
    return (latency){1e6 * best, 1e6 * (double)singles[count / 2],
                     1e6 * (double)singles[(count - 1) * 99 / 100], 1};
}

static latency ask_latency(bench_peer *peer, const char *line) {
    double n[4];
    bench_peer_ask(peer, line, n, 4);
    return (latency){n[0], n[1], n[2], n[3]};
}

/* Best, and the round of the least median. */
static void keep_better(latency *kept, latency next, bool first) {
    double best = first || next.best < kept->best ? next.best : kept->best;
    double threads = first || next.best < kept->best ? next.threads : kept->threads;
    if (first || next.median < kept->median) *kept = next;
    kept->best = best;
    kept->threads = threads;
}

static double over(double peer, double ours) {
    return peer > 0 ? peer / ours : 0;
}

static void report_latency(const bench_case *c, latency a, latency b, latency n, latency call,
                           FILE *csv) {
    double share = c->flops / (a.best * 1e-6) * 1e-9 / ceilings.gflops;
    double bytes = c->weights * (c->numbers == BENCH_F32 ? 4 : c->numbers == BENCH_BF16 ? 2 : 1);
    double bound = bytes / ceilings.gbps[c->numbers] * 1e-3, reading = bound / a.best;
    if (options.json)
        printf("{\"case\":\"%s\",\"threads\":1,\"unit\":\"us\",\"ours\":%.2f,\"ours_median\":%.2f,"
               "\"ours_p99\":%.2f,\"pytorch\":%.2f,\"pytorch_median\":%.2f,\"pytorch_p99\":%.2f,"
               "\"onnxruntime\":%.2f,\"onnxruntime_median\":%.2f,\"onnxruntime_p99\":%.2f,"
               "\"onnxruntime_threads\":%.0f,\"onnxruntime_call\":%.2f,\"ratio\":%.3f,"
               "\"expected_ratio\":%.2f,\"onnxruntime_ratio\":%.3f,\"ceiling_share\":%.3f,"
               "\"reading_share\":%.3f}\n", c->name, a.best, a.median, a.p99, b.best, b.median, b.p99,
               n.best, n.median, n.p99, n.threads, call.best, over(b.best, a.best), c->expected,
               over(n.best, a.best), share, reading);
    else
        printf("%-28s %6.1f %6.1f %6.1f  %7.1f %7.1f %7.1f %6.2fx  %7.1f %7.1f %7.1f (%.0f) %5.1f %6.2fx"
               " %6.2fx %5.0f %% %5.0f %%\n", c->title, a.best, a.median, a.p99, b.best, b.median, b.p99,
               over(b.best, a.best), n.best, n.median, n.p99, n.threads, call.best,
               over(n.best, a.best), over(n.best - call.best, a.best), 100 * share, 100 * reading);
    fflush(stdout);
    if (csv)
        fprintf(csv, "%s,1,us,%.2f,%.2f,%.3f,%.2f,%.3f,,,%.2f,%.2f,%.2f,%.2f,%.2f,%.2f,%.2f,%.0f,%.2f,%.3f,%.3f\n",
                c->name, a.best, b.best, over(b.best, a.best), c->expected, share, a.median, a.p99,
                b.median, b.p99, n.best, n.median, n.p99, n.threads, call.best, over(n.best, a.best),
                reading);
}

static void title_latencies(void) {
    static bool done;
    if (done || options.json) return;
    done = true;
    printf("%-28s %20s  %31s  %47s %22s\n%-28s %6s %6s %6s  %7s %7s %7s %7s  %7s %7s %7s %3s %5s %7s %7s %7s %7s\n",
           "latency, us", "ours", "PyTorch", "ONNX Runtime", "", "", "best", "median", "p99", "best",
           "median", "p99", "ratio", "best", "median", "p99", "thr", "call", "ratio", "-call", "ceiling",
           "reading");
}

/* A case's network, in fp32, as a file that stays until the end. */
static void write_network(const bench_ours *o, const char *name, char *path, size_t room) {
    const fw_nn_value_info *x = &o->graph->values[fw_nn_find(o->graph, "x")];
    int at = snprintf(path, room, "%s/%s_", folder, name);
    for (uint32_t i = 0; i < x->shape.dims; i++)
        at += snprintf(path + at, room - (size_t)at, "%s%u", i ? "x" : "", x->shape.d[i]);
    snprintf(path + at, room - (size_t)at, ".onnx");
    bench_ours_export(o, path);
}

static void build_nothing(fw_nn_graph *g, bool loss) {
    (void)loss;
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(64));
    fw_nn_output_add(g, "y", fw_nn_apply(g, FW_NN_RELU, "a", x));
}

/* What a call of ONNX Runtime costs that computes next to nothing. */
static latency measure_call(double seconds) {
    static latency known;
    static const bench_case nothing = {.name = "call", .build = build_nothing, .rows = 1};
    bench_ours o;
    char path[128], line[160];
    if (known.best > 0 || !onnx.in) return known;
    bench_ours_start(&o, &nothing, 1, 0, 0);
    write_network(&o, "call", path, sizeof path);
    snprintf(line, sizeof line, "%s %g", path, seconds);
    for (int i = 0; i < 4; i++) keep_better(&known, ask_latency(&onnx, line), i == 0);
    fprintf(stderr, "a call that computes next to nothing: ours %.2f us, ONNX Runtime through Node %.1f us\n",
            measure_latency(&o, seconds).best, known.best);
    bench_ours_stop(&o);
    unlink(path);
    return known;
}

static void run_latency(bench_ours *o, int rounds, double seconds, FILE *csv) {
    char path[128] = "", line[192], name[32];
    latency a = {0}, b = {0}, n = {0}, call = measure_call(seconds);
    snprintf(name, sizeof name, "%s", o->c->name);
    name[strcspn(name, ":")] = 0; /* peers answer in fp32, whatever ours is */
    if (onnx.in) write_network(o, name, path, sizeof path);
    (void)measure_latency(o, 0);
    for (int round = 0; round < rounds; round++) {
        keep_better(&a, measure_latency(o, seconds), round == 0);
        snprintf(line, sizeof line, "%s %g", name, seconds);
        keep_better(&b, ask_latency(&pytorch, line), round == 0);
        snprintf(line, sizeof line, "%s %g", path, seconds);
        keep_better(&n, ask_latency(&onnx, line), round == 0);
    }
    title_latencies();
    report_latency(o->c, a, b, n, call, csv);
    if (path[0]) unlink(path);
}

/* ---- all of it ---- */

static void run_case(const bench_case *c, FILE *csv) {
    bench_ours o;
    double seconds = options.smoke ? 0 : options.quick ? 0.4 : 1.5;
    int rounds = options.smoke ? 1 : options.quick ? 3 : 6;
    bench_ours_start(&o, c, options.threads, options.tile, options.lanes);
    (bench_is_latency(c) ? run_latency : run_training)(&o, rounds, seconds, csv);
    if (options.profile) bench_ours_profile(&o, options.tile);
    bench_ours_stop(&o);
}

static void start_peers(void) {
    char threads[16];
    snprintf(threads, sizeof threads, "%u", options.threads);
    if (bench_peer_start(&pytorch, (const char *[]){"/usr/bin/python3", FW_BENCH_PEER_NN, threads, NULL}))
        fprintf(stderr, "peer: %s\n", pytorch.name);
    else
        fprintf(stderr, "bench_nn: PyTorch is not here (apt-get install python3-torch libopenblas0-openmp)\n");
    if (mkdtemp(folder) && bench_peer_start(&onnx, (const char *[]){"node", FW_BENCH_PEER_ONNX, NULL}))
        fprintf(stderr, "peer: %s\n", onnx.name);
    else
        fprintf(stderr, "bench_nn: ONNX Runtime is not here (npm ci --ignore-scripts in web/)\n");
}

static void stop_peers(void) {
    bench_peer_stop(&pytorch);
    bench_peer_stop(&onnx);
    rmdir(folder);
}

static void read_options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--quick") == 0) options.quick = true;
        else if (strcmp(argv[i], "--smoke") == 0) options.smoke = true;
        else if (strcmp(argv[i], "--json") == 0) options.json = true;
        else if (strcmp(argv[i], "--no-peer") == 0) options.alone = true;
        else if (strcmp(argv[i], "--profile") == 0) options.profile = true;
        else if (strcmp(argv[i], "--threads") == 0 && value) options.threads = (uint32_t)atoi(argv[++i]);
        else if (strcmp(argv[i], "--tile") == 0 && value) options.tile = (uint32_t)atoi(argv[++i]);
        else if (strcmp(argv[i], "--lanes") == 0 && value) options.lanes = (uint32_t)atoi(argv[++i]);
        else if (strcmp(argv[i], "--case") == 0 && value) options.only = argv[++i];
        else if (strcmp(argv[i], "--csv") == 0 && value) options.csv = argv[++i];
        else {
            fprintf(stderr, "usage: bench_nn [--quick] [--smoke] [--json] [--profile] [--threads N] [--tile ROWS] [--lanes N] [--case NAME] [--no-peer] [--csv FILE]\n");
            exit(2);
        }
    }
    if (options.threads < 1 || options.threads > 64) options.threads = 2;
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    if (!options.smoke && !options.alone) start_peers();
    find_ceilings();
    FILE *csv = options.csv ? fopen(options.csv, "w") : NULL;
    if (csv) fprintf(csv, "case,threads,unit,ours,pytorch,ratio,expected_ratio,ceiling_share,arena_bytes,bound_bytes,"
                          "ours_median,ours_p99,pytorch_median,pytorch_p99,onnxruntime,onnxruntime_median,onnxruntime_p99,"
                          "onnxruntime_threads,onnxruntime_call,onnxruntime_ratio,reading_share\n");
    if (!options.json)
        printf("%-44s %10s %10s %-9s %6s %18s %8s %10s %s\n", "case", "ours", "PyTorch", "unit",
               "ratio", "", "ceiling", "arena", "of bound");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (options.only && strcmp(options.only, cases[i].name) != 0) continue;
        run_case(&cases[i], csv);
    }
    if (csv) fclose(csv);
    stop_peers();
    return 0;
}
