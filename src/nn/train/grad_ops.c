#include "nn/train/grad_ops.h"

#include <pthread.h>
#include <string.h>

size_t fw_nn_scratch_ATTENTION_GRAD(const fw_nn_call *call);
size_t fw_nn_scratch_GRU_GRAD(const fw_nn_call *call);
size_t fw_nn_scratch_LSTM_GRAD(const fw_nn_call *call);

static const fw_nn_op_info infos[] = {
#define X(op, text, least, most, out_count)                                                        \
    [FW_NN_##op - FW_NN_GRADIENT_OPS] = {                                                          \
        .name = text,                                                                              \
        .least_inputs = least,                                                                     \
        .most_inputs = most,                                                                       \
        .outputs = out_count,                                                                      \
        .shape = fw_nn_shape_##op,                                                                 \
        .reference = fw_nn_kernel_##op,                                                            \
        .scratch_bytes = FW_NN_##op == FW_NN_ATTENTION_GRAD ? fw_nn_scratch_ATTENTION_GRAD         \
                         : FW_NN_##op == FW_NN_GRU_GRAD     ? fw_nn_scratch_GRU_GRAD               \
                         : FW_NN_##op == FW_NN_LSTM_GRAD    ? fw_nn_scratch_LSTM_GRAD              \
                                                            : NULL,                                \
        .in_place = FW_NN_##op >= FW_NN_RELU_GRAD && FW_NN_##op <= FW_NN_CLAMP_GRAD},
    FW_NN_GRADIENT_OP_LIST(X)
#undef X
};

static void extend(void) {
    fw_nn_ops_extend(infos, sizeof infos / sizeof *infos);
}

void fw_nn_gradients_register(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, extend);
}

void fw_nn_start_sum(const fw_nn_call *call, uint32_t output) {
    const fw_nn_view *out = &call->out[output];
    if (!call->accumulate || out->batched)
        memset(out->data, 0, fw_nn_total(call, out) * sizeof(float));
}
