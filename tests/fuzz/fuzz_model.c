/* links: fw_nn_run */
/* Any bytes as a model file: refused with a reason; or read, written again to a file that reads the
 * same, and, when small, run: by the reference kernels, and in int8 where it has ranges. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nn/run/runner.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

enum { ROWS = 2, ARENA_MAX = 1 << 14 };

static void run(const fw_nn_model *model) {
    const fw_nn_plan_options plain = {.rows = ROWS};
    fw_nn_runner runners[2] = {0};
    fw_error error = {""};
    void *inputs[FW_NN_INPUTS_MAX] = {0};
    size_t used = 0, bytes = 0;
    for (uint32_t i = 0; i < model->graph->value_count; i++) {
        const fw_nn_value_info *info = &model->graph->values[i];
        used += info->kind == FW_NN_INPUT;
        bytes += fw_nn_elements(info->shape) * sizeof(float);
    }
    if (used > FW_NN_INPUTS_MAX || bytes > ARENA_MAX) return;
    used = 0;
    if (fw_nn_runner_open_as(model, &plain, &runners[0], &error) != FW_OK) {
        FW_ASSERT(error.text[0]);
        return;
    }
    if (model->ranges) FW_ASSERT(fw_nn_runner_open(model, FW_NN_I8, ROWS, &runners[1], &error) == FW_OK);
    for (uint32_t i = 0; i < model->graph->value_count; i++)
        if (model->graph->values[i].kind == FW_NN_INPUT)
            inputs[used++] = calloc(ROWS * fw_nn_elements(model->graph->values[i].shape), 4);
    for (int k = 0; k < 2; k++)
        if (runners[k].plan) fw_nn_runner_run(&runners[k], (const void *const *)inputs, ROWS);
    for (size_t i = 0; i < used; i++) free(inputs[i]);
    for (int k = 0; k < 2; k++) fw_nn_runner_close(&runners[k]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    fw_nn_model model, back;
    fw_error error = {""};
    char *once = NULL, *twice = NULL;
    size_t size = 0, size2 = 0;
    if (fw_nn_model_read(bytes, size_bytes, &model, &error) != FW_OK) {
        FW_ASSERT(error.text[0]);
        return 0;
    }
    FW_ASSERT(fw_nn_model_write(model.graph, model.params, model.words, &once, &size, &error) == FW_OK);
    FW_ASSERT(fw_nn_model_read(once, size, &back, &error) == FW_OK);
    FW_ASSERT(fw_nn_model_write(back.graph, back.params, back.words, &twice, &size2, &error) == FW_OK);
    FW_ASSERT(size == size2 && memcmp(once, twice, size) == 0);
    run(&back);
    free(once);
    free(twice);
    fw_nn_model_clear(&model);
    fw_nn_model_clear(&back);
    return 0;
}
