/* cmd_nn.h - private: what the actions of `flywheel nn` share. */
#ifndef FW_CLI_CMD_NN_H
#define FW_CLI_CMD_NN_H

#include "nn/run/model.h"

typedef struct fw_nn_words {
    const char *action, *path, *onnx, *out;
    uint64_t rows, runs, seed;
    bool json, help;
} fw_nn_words;

/* A plan with the fast kernels (or the reference ones), a session, and inputs by chance. */
typedef struct fw_nn_bench {
    fw_nn_plan *plan;
    fw_nn_session *session;
    void *inputs[64]; /* in the order of the graph's inputs, owned */
    uint32_t input_count, rows;
} fw_nn_bench;
fw_status fw_nn_bench_open(const fw_nn_graph *graph, uint32_t rows, uint64_t seed, bool reference,
                           fw_nn_bench *out, fw_error *error) FW_MUST;
void fw_nn_bench_run(const fw_nn_bench *bench, const float *params,
                     void (*after)(void *, uint32_t, const fw_nn_call *), void *self);
void fw_nn_bench_close(fw_nn_bench *bench);

/* "f32 (N, 3, 66, 200)" */
void fw_nn_shape_text(const fw_nn_value_info *info, char *out, size_t size);

fw_status fw_nn_profile(const fw_nn_model *model, const fw_nn_words *words, fw_error *error) FW_MUST;

#endif
