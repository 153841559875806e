/* read_dense.c - products of a value and a weight. */
#include "nn/onnx/tensor.h"
#include "onnx.pb-c.h"

/* The weight (I, O), or (O, I) when `crossed`, as ours: (O, I) times factor. */
static fw_status weight_of(fw_onnx_reader *r, const fw_onnx_constant *w, const char *name, bool crossed,
                           double factor, fw_nn_value *out, fw_error *error) {
    const float *from;
    if (w->dims[0] > FW_NN_ELEMENTS_MAX || w->dims[1] > FW_NN_ELEMENTS_MAX) FW_ONNX_REFUSE("its weight is too big");
    size_t rows = (size_t)w->dims[0], columns = (size_t)w->dims[1];
    fw_nn_shape shape = crossed ? fw_nn_shape2((uint32_t)rows, (uint32_t)columns)
                                : fw_nn_shape2((uint32_t)columns, (uint32_t)rows);
    FW_TRY(fw_onnx_floats_in(r, w, rows * columns, &from, error));
    if (crossed && factor == 1) return fw_onnx_parameter(r, name, shape, from, out, error);
    float *to = fw_onnx_room(r, rows * columns, error);
    if (!to) return FW_NO_MEMORY;
    for (size_t i = 0; i < rows * columns; i++) {
        size_t place = crossed ? i : i % columns * rows + i / columns;
        to[place] = (float)(factor * (double)from[i]);
    }
    return fw_onnx_parameter(r, name, shape, to, out, error);
}

/* Row vectors of the last axis times the weight. */
static fw_status times(fw_onnx_reader *r, const fw_onnx_tensor *t, fw_nn_value w, fw_nn_value bias,
                       fw_onnx_tensor *out, fw_error *error) {
    fw_nn_value in[3] = {FW_NN_NONE, w, bias};
    *out = *t;
    FW_TRY(fw_onnx_rows(r, t, &in[0], error));
    FW_TRY(fw_onnx_add(r, FW_NN_LINEAR, in, bias == FW_NN_NONE ? 2 : 3, (fw_nn_attr){0}, &out->value, error));
    fw_onnx_resize(out, out->rank - 1, fw_onnx_shape(r, w).d[0]);
    return FW_OK;
}

/* beta c, broadcast to (width). */
static fw_status bias_of(fw_onnx_reader *r, fw_onnx_proto *node, size_t width, fw_nn_value *out, fw_error *error) {
    const fw_onnx_constant *c;
    const float *from;
    float beta = fw_onnx_float_of(node, "beta", 1);
    FW_TRY(fw_onnx_want_constant(r, node, 2, &c, error));
    size_t had = fw_onnx_had(c);
    if (had != 1 && (had != width || (size_t)c->have[c->rank - 1] != width))
        FW_ONNX_REFUSE("its bias differs along the batch, or does not fit %zu outputs", width);
    fw_onnx_constant plain = {.whole = c->whole, .rank = 1, .dims = {(int64_t)had}, .have = {(int64_t)had}, .data = c->data};
    FW_TRY(fw_onnx_floats_in(r, &plain, had, &from, error));
    float *to = fw_onnx_room(r, width, error);
    if (!to) return FW_NO_MEMORY;
    for (size_t i = 0; i < width; i++) to[i] = beta * from[had == 1 ? 0 : i];
    return fw_onnx_parameter(r, node->input[2], fw_nn_shape1((uint32_t)width), to, out, error);
}

FW_ONNX_READ(gemm) {
    fw_onnx_tensor t;
    const fw_onnx_constant *w;
    fw_nn_value weight, bias = FW_NN_NONE;
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    FW_TRY(fw_onnx_want_constant(r, node, 1, &w, error));
    if (fw_onnx_int_of(node, "transA", 0) || t.rank != 2 || w->rank != 2)
        FW_ONNX_REFUSE("only a product of (N, I) and a weight is read");
    FW_TRY(weight_of(r, w, node->input[1], fw_onnx_int_of(node, "transB", 0) != 0,
                     (double)fw_onnx_float_of(node, "alpha", 1), &weight, error));
    if (*fw_onnx_name_in(node, 2)) FW_TRY(bias_of(r, node, fw_onnx_shape(r, weight).d[0], &bias, error));
    FW_TRY(times(r, &t, weight, bias, &t, error));
    return fw_onnx_give(r, node, 0, &t, error);
}

/* Leading ones taken off. */
static fw_status as_matrix(const fw_onnx_constant *in, fw_onnx_constant *out, fw_error *error) {
    *out = *in;
    out->rank = 2;
    for (uint32_t i = 0; i + 2 < in->rank; i++)
        if (in->dims[i] != 1) FW_ONNX_REFUSE("its weight has over 2 dimensions");
    if (in->rank < 2) FW_ONNX_REFUSE("its weight has %u dimensions, not 2", in->rank);
    for (uint32_t i = 0; i < 2; i++) {
        out->dims[i] = in->dims[in->rank - 2 + i];
        out->have[i] = in->have[in->rank - 2 + i];
    }
    return FW_OK;
}

FW_ONNX_READ(matmul) {
    fw_onnx_tensor t;
    fw_onnx_constant w;
    fw_nn_value weight;
    uint32_t order[FW_ONNX_RANK_MAX];
    const fw_onnx_constant *left = fw_onnx_constant_of(r, node, 0), *right = fw_onnx_constant_of(r, node, 1);
    if (!left && !right) return fw_onnx_attention(r, node, error);
    FW_TRY(as_matrix(left ? left : right, &w, error));
    FW_TRY(fw_onnx_want(r, node, left ? 1 : 0, &t, error));
    FW_TRY(weight_of(r, &w, node->input[left ? 0 : 1], left != NULL, 1, &weight, error));
    if (t.rank < 2) FW_ONNX_REFUSE("it multiplies a list of numbers");
    for (uint32_t i = 0; i < t.rank; i++) order[i] = i;
    order[t.rank - 1] = t.rank - 2, order[t.rank - 2] = t.rank - 1;
    if (left) FW_TRY(fw_onnx_permute(r, &t, order, &t, error));
    FW_TRY(times(r, &t, weight, FW_NN_NONE, &t, error));
    if (left) FW_TRY(fw_onnx_permute(r, &t, order, &t, error));
    return fw_onnx_give(r, node, 0, &t, error);
}
