#include "lines/driving/act/flat_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lines/driving/act/network.h"

/* Copies (rows, columns) of a tensor into the graph's parameter (columns, rows). */
static fw_status turn_into(const fw_safetensors *file, const char *tensor, const char *parameter,
                           uint32_t rows, uint32_t columns, fw_nn_model *model, fw_error *error) {
    const fw_tensor *from = fw_safetensors_find(file, tensor, (uint64_t)rows * columns);
    fw_nn_value value = fw_nn_find(model->graph, parameter);
    FW_ASSERT(value != FW_NN_NONE);
    float *to = model->params + model->layout.offsets[value];
    if (!from)
        return fw_fail(error, FW_CORRUPT, "model: tensor %s with %u x %u numbers is missing", tensor,
                       rows, columns);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++) {
            float one;
            memcpy(&one, (const char *)from->data + (r * columns + c) * sizeof one, sizeof one);
            if (!isfinite(one)) return fw_fail(error, FW_CORRUPT, "model: %s is not finite", tensor);
            to[c * rows + r] = one;
        }
    }
    return FW_OK;
}

static fw_status fill(const fw_safetensors *file, uint32_t hidden, fw_nn_model *model,
                      fw_error *error) {
    FW_TRY(fw_drive_network_graph(hidden, &model->graph, error));
    FW_TRY(fw_nn_layout_make(model->graph, &model->layout, error));
    model->params = fw_nn_vector_new(model->layout.floats);
    if (!model->params) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    FW_TRY(turn_into(file, "w0", "l0.weight", FW_FEATURES, hidden, model, error));
    FW_TRY(turn_into(file, "b0", "l0.bias", hidden, 1, model, error));
    FW_TRY(turn_into(file, "w1", "l1.weight", hidden, hidden, model, error));
    FW_TRY(turn_into(file, "b1", "l1.bias", hidden, 1, model, error));
    FW_TRY(turn_into(file, "w2", "heads.weight", hidden, FW_OUTPUTS, model, error));
    return turn_into(file, "b2", "heads.bias", FW_OUTPUTS, 1, model, error);
}

fw_status fw_drive_flat_model(const fw_safetensors *file, fw_nn_model *out, fw_error *error) {
    const fw_tensor *first = fw_safetensors_find(file, "w0", 0);
    if (!first || first->dims != 2 || first->shape[0] != FW_FEATURES || first->shape[1] == 0 ||
        first->shape[1] > FW_DRIVE_HIDDEN_MAX)
        return fw_fail(error, FW_CORRUPT, "model: neither a graph nor w0 of %d x (1..%d)", FW_FEATURES,
                       FW_DRIVE_HIDDEN_MAX);
    fw_nn_model model = {0};
    fw_status status = fill(file, (uint32_t)first->shape[1], &model, error);
    if (status == FW_OK) *out = model;
    else fw_nn_model_clear(&model);
    return status;
}
