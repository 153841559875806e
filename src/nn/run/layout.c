/* layout.c - where parameters lie in one vector, and how they start. */
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "nn/run/plan_parts.h"

fw_status fw_nn_layout_make(const fw_nn_graph *graph, fw_nn_layout *out, fw_error *error) {
    fw_nn_layout layout = {.value_count = graph->value_count};
    layout.offsets = malloc((graph->value_count + 1) * sizeof *layout.offsets);
    if (!layout.offsets) return fw_fail(error, FW_NO_MEMORY, "no memory to plan a network");
    for (uint32_t i = 0; i < graph->value_count; i++) {
        const fw_nn_value_info *value = &graph->values[i];
        layout.offsets[i] = SIZE_MAX;
        if (value->kind != FW_NN_PARAMETER) continue;
        layout.offsets[i] = layout.floats;
        layout.floats += fw_nn_round_up(fw_nn_elements(value->shape), 16);
    }
    *out = layout;
    return FW_OK;
}

void fw_nn_layout_clear(fw_nn_layout *layout) {
    free(layout->offsets);
    *layout = (fw_nn_layout){0};
}

void fw_nn_initialise(const fw_nn_graph *graph, const fw_nn_layout *layout, uint64_t seed,
                      float *params) {
    memset(params, 0, layout->floats * sizeof *params);
    for (uint32_t i = 0; i < graph->value_count; i++) {
        const fw_nn_value_info *value = &graph->values[i];
        if (value->kind != FW_NN_PARAMETER || value->init == FW_NN_INIT_ZERO) continue;
        fw_random random = fw_random_named(seed, value->name);
        float *at = params + layout->offsets[i];
        for (size_t n = 0; n < fw_nn_elements(value->shape); n++) {
            if (value->init == FW_NN_INIT_ONE)
                at[n] = 1;
            else if (value->init == FW_NN_INIT_NORMAL)
                at[n] = value->init_scale * fw_random_normal(&random);
            else
                at[n] = value->init_scale * (2 * fw_random_unit(&random) - 1);
        }
    }
}
