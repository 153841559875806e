/* grad_shape.c - shapes of the gradient operators: mostly those of one of their inputs. */
#include "nn/train/grad_ops.h"

/* An output like this value: a parameter's gradient is not batched, so it is added up. */
static void like(fw_nn_value_info *out, const fw_nn_value_info *value) {
    out->shape = value->shape;
    out->batched = value->batched;
    out->dtype = FW_NN_F32;
}

static void parameter(fw_nn_value_info *out, fw_nn_shape shape) {
    out->shape = shape;
    out->batched = false;
    out->dtype = FW_NN_F32;
}

#define RULE(op)                                                                                   \
    fw_status fw_nn_shape_##op(const fw_nn_node *node, const fw_nn_value_info *const *in,          \
                               fw_nn_value_info *out, fw_error *error)
/* out[0] is like input k. */
#define LIKE(op, k)                                                                                \
    RULE(op) {                                                                                     \
        (void)node, (void)error;                                                                   \
        like(&out[0], in[k]);                                                                      \
        return FW_OK;                                                                              \
    }
LIKE(CONV_GRAD_X, 2)
LIKE(CONV_GRAD_W, 2)
LIKE(MAX_POOL_GRAD, 1)
LIKE(MEAN_POOL_GRAD, 1)
LIKE(EMBEDDING_GRAD, 2)
LIKE(GATHER_GRAD, 2)
LIKE(NORM_GRAD_X, 1)
LIKE(RMS_GRAD_X, 1)
LIKE(SOFTMAX_GRAD, 1)
LIKE(ROPE_GRAD, 0)
LIKE(SET_MAX_GRAD, 2)
LIKE(SET_MEAN_GRAD, 2)
LIKE(RELU_GRAD, 1)
LIKE(GELU_GRAD, 1)
LIKE(SILU_GRAD, 1)
LIKE(TANH_GRAD, 1)
LIKE(SIGMOID_GRAD, 1)
LIKE(CLAMP_GRAD, 1)
LIKE(REDUCE_TO, 1)
LIKE(SLICE_GRAD, 1)
LIKE(REPEAT_LAST, 1)
LIKE(ENTROPY_GRAD, 1)
LIKE(MSE_GRAD, 1)
LIKE(HUBER_GRAD, 1)
LIKE(CROSS_ENTROPY_GRAD, 1)
LIKE(QUANTILE_GRAD, 1)
LIKE(PPO_GRAD, 1)

RULE(LINEAR_GRAD_X) {
    (void)node;
    fw_nn_shape shape = in[0]->shape, w = in[1]->shape;
    if (shape.dims < 1 || w.dims != 2 || w.d[0] != shape.d[shape.dims - 1])
        return fw_fail(error, FW_INVALID, "dy and weight do not fit");
    shape.d[shape.dims - 1] = w.d[1];
    out->shape = shape;
    out->batched = in[0]->batched;
    return FW_OK;
}

RULE(LINEAR_GRAD_W) {
    (void)node, (void)error;
    parameter(out, fw_nn_shape2(fw_nn_last(in[0]->shape), fw_nn_last(in[1]->shape)));
    return FW_OK;
}

RULE(CHANNEL_SUM) {
    (void)node;
    if (in[0]->shape.dims < 1) return fw_fail(error, FW_INVALID, "it takes channels (C, ..)");
    parameter(out, fw_nn_shape1(in[0]->shape.d[0]));
    return FW_OK;
}

static fw_status row_gain(const fw_nn_value_info *const *in, fw_nn_value_info *out) {
    parameter(out, fw_nn_shape1(fw_nn_last(in[1]->shape)));
    return FW_OK;
}
RULE(NORM_GRAD_GAIN) {
    (void)node, (void)error;
    return row_gain(in, out);
}
RULE(RMS_GRAD_GAIN) {
    (void)node, (void)error;
    return row_gain(in, out);
}

RULE(ATTENTION_GRAD) {
    (void)node, (void)error;
    for (int i = 0; i < 3; i++) like(&out[i], in[1 + i]);
    return FW_OK;
}

static fw_status recurrent(const fw_nn_value_info *const *in, fw_nn_value_info *out,
                           uint32_t states) {
    fw_nn_shape gates = fw_nn_shape1(in[2]->shape.d[0]), hidden = fw_nn_shape1(in[3]->shape.d[1]);
    for (int i = 0; i < 3; i++) like(&out[i], in[1 + i]); /* x, w, u */
    parameter(&out[3], gates);
    parameter(&out[4], gates);
    for (uint32_t i = 0; i < states; i++) {
        out[5 + i].shape = hidden;
        out[5 + i].batched = in[0]->batched;
    }
    return FW_OK;
}
RULE(GRU_GRAD) {
    (void)node, (void)error;
    return recurrent(in, out, 1);
}
RULE(LSTM_GRAD) {
    (void)node, (void)error;
    return recurrent(in, out, 2);
}

RULE(SET_ATTENTION_GRAD) {
    (void)node, (void)error;
    like(&out[0], in[1]);
    like(&out[1], in[2]);
    return FW_OK;
}

RULE(GAUSSIAN_NLL_GRAD) {
    (void)node, (void)error;
    like(&out[0], in[1]);
    like(&out[1], in[2]);
    return FW_OK;
}
