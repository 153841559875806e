/* nn_ours.h - this engine's side of bench_nn: a trainer, or for latencies a plan with packed parameters and
 * a session, on random numbers. */
#ifndef FW_BENCH_NN_OURS_H
#define FW_BENCH_NN_OURS_H

#include "nn/train/trainer.h"
#include "nn_networks.h"

typedef enum bench_numbers { BENCH_F32, BENCH_BF16, BENCH_INT8 } bench_numbers;

typedef struct bench_case {
    const char *name, *title, *unit;
    bench_build *build;
    bench_numbers numbers;
    uint32_t rows, tile_rows, lanes, per_row; /* tile_rows, lanes: ours, found by trying */
    double flops;                             /* of one sample; training: forward and backward */
    double weights; /* of a latency that is bound by reading them; 0: not */
    double expected; /* ratio to PyTorch that the project set itself */
} bench_case;

static inline bool bench_is_latency(const bench_case *c) {
    return c->tile_rows == 0;
}

typedef struct bench_ours {
    const bench_case *c;
    fw_nn_graph *graph;
    fw_nn_trainer *trainer; /* NULL for latencies */
    fw_nn_plan *plan;
    fw_nn_session *session;
    float *params, *ranges;
    void *packed;
    void *inputs[4];
    uint32_t input_count;
} bench_ours;

void bench_must(fw_status status, const fw_error *error);
/* tile, lanes: 0 takes the case's. */
void bench_ours_start(bench_ours *ours, const bench_case *c, uint32_t threads, uint32_t tile,
                      uint32_t lanes);
void bench_ours_stop(bench_ours *ours);
/* One step of training, or one example. */
void bench_ours_step(bench_ours *ours);
/* A latency's network as an ONNX file; name it NAME_DIMS.onnx for peer_onnx.mjs. */
void bench_ours_export(const bench_ours *ours, const char *path);
/* Lists the steps of a tile of training, or of an example, with their best times. */
void bench_ours_profile(bench_ours *ours, uint32_t tile);

#endif
