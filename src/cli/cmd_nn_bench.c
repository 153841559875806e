/* What the actions of `flywheel nn` run: a model opened, and inputs by chance. */
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "cli/cmd_nn.h"

/* Indices stay small: few tables have under two rows, and what lies outside reads as zeros. */
static void *random_input(const fw_nn_value_info *info, uint32_t rows, fw_random *random) {
    size_t count = rows * fw_nn_elements(info->shape);
    float *values = malloc((count + 1) * sizeof *values);
    for (size_t i = 0; values && i < count; i++) {
        if (info->dtype == FW_NN_I32) ((int32_t *)values)[i] = (int32_t)fw_random_below(random, 2);
        else values[i] = fw_random_normal(random);
    }
    return values;
}

fw_status fw_nn_bench_open(const fw_nn_model *model, const fw_nn_words *words, bool reference,
                           fw_nn_bench *out, fw_error *error) {
    const fw_nn_graph *graph = model->graph;
    fw_nn_bench b = {.rows = (uint32_t)words->rows};
    const fw_nn_plan_options plain = {.rows = b.rows}; /* the reference kernels alone, in fp32 */
    fw_status status = reference ? fw_nn_runner_open_as(model, &plain, &b.runner, error)
                                 : fw_nn_runner_open(model, words->dtype, b.rows, &b.runner, error);
    for (uint32_t i = 0; i < graph->value_count && status == FW_OK; i++) {
        const fw_nn_value_info *info = &graph->values[i];
        if (info->kind != FW_NN_INPUT) continue;
        fw_random random = fw_random_named(words->seed, info->name);
        if (b.input_count == sizeof b.inputs / sizeof *b.inputs)
            status = fw_fail(error, FW_TOO_BIG, "a network of over 64 inputs");
        else if (!(b.inputs[b.input_count++] = random_input(info, b.rows, &random)))
            status = fw_fail(error, FW_NO_MEMORY, "no memory for %u rows of %s", b.rows, info->name);
    }
    if (status == FW_OK) *out = b;
    else fw_nn_bench_close(&b);
    return status;
}

void fw_nn_bench_run(fw_nn_bench *b, void (*after)(void *, uint32_t, const fw_nn_call *), void *self) {
    b->runner.args.after = after;
    b->runner.args.after_self = self;
    fw_nn_runner_run(&b->runner, (const void *const *)b->inputs, b->rows);
}

void fw_nn_bench_close(fw_nn_bench *b) {
    for (uint32_t i = 0; i < b->input_count; i++) free(b->inputs[i]);
    fw_nn_runner_close(&b->runner);
    *b = (fw_nn_bench){0};
}
