/* bench_nn - the engine beside PyTorch on the same machine, in the same minutes.
 *
 *   bench_nn [--quick] [--smoke] [--json] [--threads N] [--tile ROWS] [--lanes N]
 *            [--case NAME] [--no-peer] [--csv FILE] [--profile]
 *
 * A case is trained (or asked, for latencies) in short runs, ours and PyTorch's in turn, and the best
 * step of each side counts: what else runs on the machine takes time from both. With --threads 1 the
 * clock is CPU time, which other programs lengthen least; with more it is wall time. The ceiling is the
 * best rate of a matrix product of this program's own size on one thread, times the threads.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "nn/run/gemm.h"
#include "nn/run/layers.h"
#include "nn/train/fused.h"
#include "nn/train/trainer.h"

typedef struct bench_case {
    const char *name, *title, *unit;
    void (*build)(fw_nn_graph *g, bool loss);
    uint32_t rows, tile_rows, lanes, per_row; /* tile_rows, lanes: ours, found by trying */
    double flops;                             /* of one sample, forward and backward */
    bool latency;
    double expected; /* ratio to PyTorch that the project set itself */
} bench_case;

static struct options {
    bool quick, smoke, json, profile, alone;
    uint32_t threads, tile, lanes; /* tile, lanes: 0 takes the case's */
    const char *only, *csv;
} options = {.threads = 2};

static void must(fw_status status, const fw_error *error) {
    if (status == FW_OK) return;
    fprintf(stderr, "bench_nn: %s\n", error->text);
    exit(1);
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(options.threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
static double wall_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the networks, as in peer_nn.py ---- */

static void finish(fw_nn_graph *g, fw_nn_value y, uint32_t width, bool loss) {
    fw_nn_output_add(g, "y", y);
    if (!loss) return;
    fw_nn_value t = fw_nn_input(g, "t", FW_NN_F32, fw_nn_shape1(width));
    fw_nn_output_add(g, "loss", fw_nn_apply2(g, FW_NN_MSE, "mse", y, t));
}

static void build_mlp(fw_nn_graph *g, bool loss) {
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(64));
    x = fw_nn_apply(g, FW_NN_RELU, "a0", fw_nn_linear(g, "l0", x, 256, true));
    x = fw_nn_apply(g, FW_NN_RELU, "a1", fw_nn_linear(g, "l1", x, 256, true));
    finish(g, fw_nn_linear(g, "l2", x, 8, true), 8, loss);
}

static void build_pilot(fw_nn_graph *g, bool loss) {
    static const uint32_t sizes[][3] = {{24, 5, 2}, {36, 5, 2}, {48, 5, 2}, {64, 3, 1}, {64, 3, 1}};
    static const uint32_t widths[] = {100, 50, 10, 1};
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape3(3, 66, 200));
    char name[16];
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "c%d", i);
        x = fw_nn_conv(g, name, x,
                       (fw_nn_conv_options){.out = sizes[i][0], .kernel_y = sizes[i][1],
                                            .kernel_x = sizes[i][1], .stride_y = sizes[i][2],
                                            .stride_x = sizes[i][2]});
        snprintf(name, sizeof name, "ca%d", i);
        x = fw_nn_apply(g, FW_NN_RELU, name, x);
    }
    x = fw_nn_reshape(g, "flat", x, fw_nn_shape1(1152));
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "l%d", i);
        x = fw_nn_linear(g, name, x, widths[i], true);
        snprintf(name, sizeof name, "a%d", i);
        if (i < 3) x = fw_nn_apply(g, FW_NN_RELU, name, x);
    }
    finish(g, x, 1, loss);
}

static void build_gpt(fw_nn_graph *g, bool loss) {
    enum { CONTEXT = 256, WIDTH = 384, LAYERS = 6, HEADS = 6, VOCABULARY = 256 };
    fw_nn_value ids = fw_nn_input(g, "ids", FW_NN_I32, fw_nn_shape1(CONTEXT));
    fw_nn_value x = fw_nn_embedding(g, "tokens", ids, VOCABULARY, WIDTH);
    fw_nn_value places = fw_nn_parameter(g, "places", fw_nn_shape2(CONTEXT, WIDTH),
                                         FW_NN_INIT_NORMAL, 0.02f);
    x = fw_nn_apply2(g, FW_NN_ADD, "placed", x, places);
    for (int i = 0; i < LAYERS; i++) {
        char name[8][16];
        static const char *const parts[] = {"n1", "at", "r1", "n2", "up", "act", "dn", "r2"};
        for (int k = 0; k < 8; k++) snprintf(name[k], sizeof name[k], "b%d.%s", i, parts[k]);
        fw_nn_value y = fw_nn_layer_norm(g, name[0], x, 1e-5f);
        y = fw_nn_self_attention(g, name[1], y,
                                 (fw_nn_attention_options){.heads = HEADS, .causal = true,
                                                           .mask = FW_NN_NONE});
        x = fw_nn_apply2(g, FW_NN_ADD, name[2], x, y);
        y = fw_nn_layer_norm(g, name[3], x, 1e-5f);
        y = fw_nn_apply(g, FW_NN_GELU, name[5], fw_nn_linear(g, name[4], y, 4 * WIDTH, true));
        x = fw_nn_apply2(g, FW_NN_ADD, name[7], x, fw_nn_linear(g, name[6], y, WIDTH, true));
    }
    x = fw_nn_linear(g, "head", fw_nn_layer_norm(g, "norm", x, 1e-5f), VOCABULARY, true);
    fw_nn_output_add(g, "y", x);
    if (!loss) return;
    fw_nn_value t = fw_nn_input(g, "t", FW_NN_I32, fw_nn_shape1(CONTEXT));
    fw_nn_output_add(g, "loss", fw_nn_apply2(g, FW_NN_CROSS_ENTROPY, "ce", x, t));
}

static void build_lstm(fw_nn_graph *g, bool loss) {
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape2(30, 14));
    x = fw_nn_lstm(g, "r1", fw_nn_lstm(g, "r0", x, 64), 64);
    x = fw_nn_reshape(g, "last", fw_nn_slice(g, "cut", x, 0, 29, 1), fw_nn_shape1(64));
    finish(g, fw_nn_linear(g, "head", x, 4, true), 4, loss);
}

/* Multiply-adds of one example by the shapes of its parameters' nodes, forward, times 6: forward, and
 * twice backward. The first layer has no gradient of its input; that is left out. */
#define MLP_FLOPS (6.0 * (64 * 256 + 256 * 256 + 256 * 8) - 2.0 * 64 * 256)
#define PILOT_FLOPS                                                                                \
    (6.0 * (31.0 * 98 * 24 * 75 + 14.0 * 47 * 36 * 600 + 5.0 * 22 * 48 * 900 +                     \
            3.0 * 20 * 64 * 432 + 1.0 * 18 * 64 * 576 + 1152 * 100 + 5000 + 500 + 10) -            \
     2.0 * 31 * 98 * 24 * 75)
#define GPT_FLOPS (6.0 * (6 * 12.0 * 384 * 384 + 384 * 256 + 6 * 384 * 256.0)) /* a token, causal */
#define LSTM_FLOPS (6.0 * 30 * (256.0 * (14 + 64) + 256.0 * 128))

static const bench_case cases[] = {
    {"mlp:256", "MLP 64-256-256-8, batch 256", "samples/s", build_mlp, 256, 128, 2, 1, MLP_FLOPS, false, 1.56},
    {"mlp:4096", "MLP 64-256-256-8, batch 4096", "samples/s", build_mlp, 4096, 256, 2, 1, MLP_FLOPS, false, 1.38},
    {"mlp:16384", "MLP 64-256-256-8, batch 16384", "samples/s", build_mlp, 16384, 256, 2, 1, MLP_FLOPS, false, 1.38},
    {"pilot:64", "PilotNet 66x200x3, batch 64", "images/s", build_pilot, 64, 8, 2, 1, PILOT_FLOPS, false, 1.32},
    {"gpt:4", "GPT 6 layers, d 384, context 256, batch 4", "tokens/s", build_gpt, 4, 1, 2, 256, GPT_FLOPS, false, 1.5},
    {"lstm:1024", "LSTM 2x64 over 30x14, batch 1024", "samples/s", build_lstm, 1024, 24, 2, 1, LSTM_FLOPS, false, 2.25},
    {"mlp_latency", "MLP, one example", "us", build_mlp, 1, 1, 1, 1, MLP_FLOPS / 3, true, 3.6},
    {"pilot_latency", "PilotNet, one image", "us", build_pilot, 1, 1, 1, 1, PILOT_FLOPS / 3, true, 2.9},
};

/* ---- ours ---- */

typedef struct ours {
    const bench_case *c;
    fw_nn_graph *graph;
    fw_nn_trainer *trainer;
    fw_nn_plan *plan;
    fw_nn_session *session;
    float *params;
    void *packed;
    void *inputs[4];
    uint32_t input_count;
} ours;

static void *numbers(const fw_nn_value_info *value, uint32_t rows, fw_random *r) {
    size_t count = rows * fw_nn_elements(value->shape);
    float *out = aligned_alloc(64, (count * sizeof *out + 63) / 64 * 64);
    if (!out) exit(1);
    for (size_t i = 0; i < count; i++) {
        int32_t index = (int32_t)fw_random_below(r, 256);
        out[i] = fw_random_normal(r);
        if (value->dtype == FW_NN_I32) memcpy(&out[i], &index, sizeof index);
    }
    return out;
}

static void start(ours *o, const bench_case *c) {
    fw_error error;
    fw_random random = fw_random_named(1, "bench");
    *o = (ours){.c = c};
    must(fw_nn_graph_new(&o->graph, &error), &error);
    c->build(o->graph, !c->latency);
    must(fw_nn_graph_check(o->graph, &error), &error);
    for (uint32_t i = 0; i < o->graph->value_count; i++)
        if (o->graph->values[i].kind == FW_NN_INPUT)
            o->inputs[o->input_count++] = numbers(&o->graph->values[i], c->rows, &random);
    if (!c->latency) {
        fw_nn_trainer_options t = {.batch = c->rows,
                                   .tile_rows = options.tile ? options.tile : c->tile_rows,
                                   .lanes = options.lanes ? options.lanes : c->lanes,
                                   .threads = options.threads, .seed = 1};
        must(fw_nn_trainer_new(o->graph, fw_nn_find(o->graph, "loss"), &t, &o->trainer, &error), &error);
        return;
    }
    fw_nn_plan_options p = {.rows = 1, .backends = fw_nn_backends_run, .pack = true};
    must(fw_nn_plan_make(o->graph, &p, &o->plan, &error), &error);
    must(fw_nn_session_new(o->plan, &o->session, &error), &error);
    o->params = aligned_alloc(64, fw_nn_plan_layout(o->plan)->floats * sizeof(float));
    if (!o->params) exit(1);
    fw_nn_initialise(o->graph, fw_nn_plan_layout(o->plan), 1, o->params);
    o->packed = aligned_alloc(64, fw_nn_plan_packed_bytes(o->plan) + 64);
    if (!o->packed) exit(1);
    fw_nn_plan_pack(o->plan, o->params, o->packed);
}

static void stop(ours *o) {
    fw_nn_trainer_free(o->trainer);
    fw_nn_session_free(o->session);
    fw_nn_plan_free(o->plan);
    fw_nn_graph_free(o->graph);
    free(o->params);
    free(o->packed);
    for (uint32_t i = 0; i < o->input_count; i++) free(o->inputs[i]);
}

static void one_step(ours *o) {
    fw_error error;
    if (o->trainer)
        must(fw_nn_trainer_step(o->trainer, (const void *const *)o->inputs, o->c->rows, NULL, &error), &error);
    else
        fw_nn_session_run(o->session, &(fw_nn_run_args){.parameters = o->params, .packed = o->packed, .rows = 1,
                                                        .inputs = (const void *const *)o->inputs});
}

/* Samples a second, or microseconds, of the best step within `seconds`. */
static double measure(ours *o, double seconds) {
    double best = 1e9, begin = wall_s();
    uint32_t repeat = o->c->latency ? 50 : 1;
    do {
        double t = now_s();
        for (uint32_t i = 0; i < repeat; i++) one_step(o);
        t = (now_s() - t) / repeat;
        if (t < best) best = t;
    } while (!options.smoke && wall_s() - begin < seconds);
    return o->c->latency ? best * 1e6 : o->c->rows * o->c->per_row / best;
}

/* ---- where our time goes ---- */

typedef struct profile {
    fw_nn_plan *plan;
    double last, *spent;
} profile;

static void after(void *self, uint32_t step, const fw_nn_call *call) {
    profile *p = self;
    struct timespec t;
    (void)call;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    double now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    if (p->spent[step] == 0 || now - p->last < p->spent[step]) p->spent[step] = now - p->last;
    p->last = now;
}

static void print_profile(ours *o) {
    fw_error error;
    fw_nn_training training;
    profile p = {.spent = calloc(o->graph->node_count * 4 + 64, sizeof(double))};
    must(fw_nn_differentiate(o->graph, fw_nn_find(o->graph, "loss"), &training, &error), &error);
    fw_nn_plan_options options_ = {.rows = options.tile ? options.tile : o->c->tile_rows,
                                   .training = true, .pack = true,
                                   .keep = &training.loss, .keep_count = 1,
                                   .gradients = training.gradients,
                                   .gradient_count = training.gradient_count,
                                   .backends = fw_nn_backends_train};
    fw_nn_session *session;
    must(fw_nn_plan_make(training.graph, &options_, &p.plan, &error), &error);
    must(fw_nn_session_new(p.plan, &session, &error), &error);
    size_t floats = fw_nn_plan_layout(p.plan)->floats;
    float *gradients = calloc(floats, sizeof *gradients), *seeds = calloc(o->c->rows, sizeof *seeds);
    void *packed = aligned_alloc(64, fw_nn_plan_packed_bytes(p.plan) + 64);
    const void *inputs[5] = {o->inputs[0], o->inputs[1], seeds};
    double total = 0;
    if (!packed) exit(1);
    fw_nn_plan_pack(p.plan, fw_nn_trainer_parameters(o->trainer), packed);
    for (int i = 0; i < 21; i++) {
        struct timespec t;
        if (i == 1) memset(p.spent, 0, (o->graph->node_count * 4 + 64) * sizeof(double));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        p.last = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
        fw_nn_session_run(session, &(fw_nn_run_args){
                                       .parameters = fw_nn_trainer_parameters(o->trainer),
                                       .packed = packed, .gradients = gradients, .inputs = inputs,
                                       .rows = options_.rows, .after = after, .after_self = &p});
    }
    for (uint32_t i = 0; fw_nn_plan_step(p.plan, i); i++) total += p.spent[i];
    for (uint32_t i = 0; fw_nn_plan_step(p.plan, i); i++)
        fprintf(stderr, "  %5.1f %%  %8.1f us  %-18s %-10s %s\n", 100 * p.spent[i] / total,
                1e6 * p.spent[i], fw_nn_op_name(fw_nn_plan_step(p.plan, i)->op),
                fw_nn_plan_backend(p.plan, i), fw_nn_plan_step(p.plan, i)->name);
    fprintf(stderr, "  a tile, the best of each step: %.1f us\n", 1e6 * total);
    fw_nn_session_free(session);
    fw_nn_plan_free(p.plan);
    fw_nn_training_clear(&training);
    free(packed);
    free(gradients);
    free(seeds);
    free(p.spent);
}

/* ---- the peer ---- */

static FILE *peer_in, *peer_out;
static pid_t peer_pid;

static void start_peer(void) {
    int to[2], from[2];
    char threads[16], line[256];
    snprintf(threads, sizeof threads, "%u", options.threads);
    if (pipe(to) != 0 || pipe(from) != 0 || (peer_pid = fork()) < 0) exit(1);
    if (peer_pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        close(to[1]);
        close(from[0]);
        execl("/usr/bin/python3", "python3", FW_BENCH_PEER_NN, threads, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    peer_in = fdopen(to[1], "w");
    peer_out = fdopen(from[0], "r");
    if (!peer_in || !peer_out || !fgets(line, sizeof line, peer_out)) {
        fprintf(stderr, "bench_nn: PyTorch is not here (apt-get install python3-torch libopenblas0-openmp); ours alone\n");
        if (peer_in) fclose(peer_in);
        peer_in = NULL;
        return;
    }
    fprintf(stderr, "peer: %s", line);
}

static double measure_peer(const bench_case *c, double seconds) {
    char line[128];
    if (!peer_in) return 0;
    fprintf(peer_in, "%s %g\n", c->name, seconds);
    fflush(peer_in);
    return fgets(line, sizeof line, peer_out) ? strtod(line, NULL) : 0;
}

static void stop_peer(void) {
    if (peer_in) fclose(peer_in);
    if (peer_out) fclose(peer_out);
    if (peer_pid > 0) waitpid(peer_pid, NULL, 0);
}

/* ---- the ceiling ---- */

/* GFLOP/s of a matrix product that fits the second cache, one thread. */
static double ceiling_gflops(void) {
    enum { M = 192, N = 256, K = 256 };
    float *all = aligned_alloc(64, (M * K + K * N + M * N) * sizeof *all + FW_GEMM_SCRATCH_BYTES + 64);
    double best = 1e9;
    if (!all) exit(1);
    memset(all, 0, (M * K + K * N + M * N) * sizeof *all);
    fw_gemm g = {.m = M, .n = N, .k = K, .a = all, .a_row = K, .a_column = 1, .b = all + M * K,
                 .b_row = N, .b_column = 1, .c = all + M * K + K * N, .c_row = N,
                 .scratch = all + M * K + K * N + M * N};
    for (int i = 0; i < (options.smoke ? 2 : 400); i++) {
        struct timespec a, b;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
        fw_gemm_run(&g);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
        double t = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
        if (t < best) best = t;
    }
    free(all);
    return 2.0 * M * N * K / best * 1e-9;
}

static void report(const bench_case *c, double rate, double peer, double ceiling, const ours *o,
                   FILE *csv) {
    double ratio = peer > 0 ? (c->latency ? peer / rate : rate / peer) : 0;
    double flops = c->latency ? c->flops / (rate * 1e-6) : rate * c->flops;
    double share = flops * 1e-9 / (ceiling * options.threads);
    fw_nn_trainer_memory m = {0};
    if (o->trainer) m = fw_nn_trainer_memory_of(o->trainer);
    double arena = m.bound_bytes ? (double)m.arena_bytes / (double)m.bound_bytes : 0;
    if (options.json)
        printf("{\"case\":\"%s\",\"threads\":%u,\"unit\":\"%s\",\"ours\":%.1f,\"pytorch\":%.1f,"
               "\"ratio\":%.3f,\"expected_ratio\":%.2f,\"ceiling_share\":%.3f,\"arena_bytes\":%zu,"
               "\"bound_bytes\":%zu}\n", c->name, options.threads, c->unit, rate, peer, ratio,
               c->expected, share, m.arena_bytes, m.bound_bytes);
    else
        printf("%-44s %10.1f %10.1f %-9s %6.2fx (expected %.2fx) %5.0f %%  %7.1f MB %5.2fx\n",
               c->title, rate, peer, c->unit, ratio, c->expected, 100 * share,
               (double)m.arena_bytes * 1e-6, arena);
    fflush(stdout);
    if (csv)
        fprintf(csv, "%s,%u,%s,%.1f,%.1f,%.3f,%.2f,%.3f,%zu,%zu\n", c->name, options.threads,
                c->unit, rate, peer, ratio, c->expected, share, m.arena_bytes, m.bound_bytes);
}

static void run_case(const bench_case *c, double ceiling, FILE *csv) {
    ours o;
    double best = 0, peer = 0, seconds = options.quick ? 0.4 : 1.5;
    start(&o, c);
    (void)measure(&o, 0);
    for (int round = 0; round < (options.smoke ? 1 : options.quick ? 3 : 6); round++) {
        double a = measure(&o, seconds), b = measure_peer(c, seconds);
        if (round == 0 || (c->latency ? a < best : a > best)) best = a;
        if (round == 0 || (c->latency ? b < peer : b > peer)) peer = b;
    }
    report(c, best, peer, ceiling, &o, csv);
    if (options.profile && o.trainer) print_profile(&o);
    stop(&o);
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
    if (!options.smoke && !options.alone) start_peer();
    double ceiling = ceiling_gflops();
    FILE *csv = options.csv ? fopen(options.csv, "w") : NULL;
    if (csv) fprintf(csv, "case,threads,unit,ours,pytorch,ratio,expected_ratio,ceiling_share,arena_bytes,bound_bytes\n");
    fprintf(stderr, "ceiling: %.1f GFLOP/s on one thread; clock: %s\n", ceiling,
            options.threads == 1 ? "CPU time" : "wall time");
    if (!options.json)
        printf("%-44s %10s %10s %-9s %6s %18s %8s %10s %s\n", "case", "ours", "PyTorch", "unit",
               "ratio", "", "ceiling", "arena", "of bound");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (options.only && strcmp(options.only, cases[i].name) != 0) continue;
        run_case(&cases[i], ceiling, csv);
    }
    if (csv) fclose(csv);
    stop_peer();
    return 0;
}
