#include "nn/run/ops.h"

#include <string.h>

size_t fw_nn_scratch_ATTENTION(const fw_nn_call *call);
size_t fw_nn_scratch_GRU(const fw_nn_call *call);
size_t fw_nn_scratch_LSTM(const fw_nn_call *call);

static const fw_nn_op_info infos[FW_NN_OP_COUNT] = {
#define X(op, text, least, most, out_count)                                                        \
    [FW_NN_##op] = {.name = text,                                                                  \
                    .least_inputs = least,                                                         \
                    .most_inputs = most,                                                           \
                    .outputs = out_count,                                                          \
                    .shape = fw_nn_shape_##op,                                                     \
                    .reference = fw_nn_kernel_##op,                                                \
                    .scratch_bytes = FW_NN_##op == FW_NN_ATTENTION ? fw_nn_scratch_ATTENTION       \
                                     : FW_NN_##op == FW_NN_GRU     ? fw_nn_scratch_GRU             \
                                     : FW_NN_##op == FW_NN_LSTM    ? fw_nn_scratch_LSTM            \
                                                                   : NULL,                         \
                    .in_place = FW_NN_##op >= FW_NN_RELU && FW_NN_##op <= FW_NN_MULTIPLY},
    FW_NN_OPS(X)
#undef X
};

static const fw_nn_op_info *more; /* set once, before the first graph of nn/train */
static uint32_t more_count;

void fw_nn_ops_extend(const fw_nn_op_info *table, uint32_t count) {
    FW_ASSERT(!more || more == table);
    more = table;
    more_count = count;
}

const fw_nn_op_info *fw_nn_op_info_of(uint32_t op) {
    if (op < FW_NN_OP_COUNT) return &infos[op];
    return op >= FW_NN_GRADIENT_OPS && op - FW_NN_GRADIENT_OPS < more_count
               ? &more[op - FW_NN_GRADIENT_OPS]
               : NULL;
}

const char *fw_nn_op_name(uint32_t op) {
    const fw_nn_op_info *info = fw_nn_op_info_of(op);
    return info ? info->name : "unknown";
}

fw_status fw_nn_op_find(const char *name, uint32_t *op) {
    for (uint32_t i = 0; i < FW_NN_OP_COUNT; i++) {
        if (strcmp(infos[i].name, name) != 0) continue;
        *op = i;
        return FW_OK;
    }
    return FW_NOT_FOUND;
}
