/* cmd_nn.h - private: what the actions of `flywheel nn` share. */
#ifndef FW_CLI_CMD_NN_H
#define FW_CLI_CMD_NN_H

#include "nn/run/runner.h"

typedef struct fw_nn_words {
    const char *action, *path, *onnx, *out, *with, *precision;
    double share; /* of --share, 0 to 1 */
    uint64_t rows, runs, seed;
    fw_nn_dtype dtype; /* of --precision */
    bool json, help;
} fw_nn_words;

/* A model opened in a precision (or, in fp32, on the reference kernels), and inputs by chance. */
typedef struct fw_nn_bench {
    fw_nn_runner runner;
    void *inputs[64]; /* in the order of the graph's inputs, owned */
    uint32_t input_count, rows;
} fw_nn_bench;
fw_status fw_nn_bench_open(const fw_nn_model *model, const fw_nn_words *words, bool reference,
                           fw_nn_bench *out, fw_error *error) FW_MUST;
void fw_nn_bench_run(fw_nn_bench *bench, void (*after)(void *, uint32_t, const fw_nn_call *),
                     void *self);
void fw_nn_bench_close(fw_nn_bench *bench);

/* "f32 (N, 3, 66, 200)" */
void fw_nn_shape_text(const fw_nn_value_info *info, char *out, size_t size);

fw_status fw_nn_summary(const fw_nn_model *model, const fw_nn_words *words, fw_error *error) FW_MUST;
fw_status fw_nn_profile(const fw_nn_model *model, const fw_nn_words *words, fw_error *error) FW_MUST;
fw_status fw_nn_quantise(const fw_nn_model *model, const fw_nn_words *words, fw_error *error) FW_MUST;
fw_status fw_nn_check(const fw_nn_model *model, const fw_nn_words *words, fw_error *error) FW_MUST;
/* The check of a file that cannot be loaded. */
void fw_nn_check_unreadable(const fw_nn_words *words, const char *why);

#endif
