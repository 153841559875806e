/* read_rows.c - operators along an axis: softmax, norms, sums, means and largest of one. */
#include "nn/onnx/tensor.h"
#include "onnx.pb-c.h"

FW_ONNX_READ(softmax) {
    fw_onnx_tensor t;
    uint32_t axis = 0, order[FW_ONNX_RANK_MAX];
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    FW_TRY(fw_onnx_axis(fw_onnx_int_of(node, "axis", -1), t.rank, &axis, error));
    for (uint32_t i = 0; i < t.rank; i++) order[i] = i == axis ? t.rank - 1 : i == t.rank - 1 ? axis : i;
    FW_TRY(fw_onnx_permute(r, &t, order, &t, error));
    FW_TRY(fw_onnx_rows(r, &t, &t.value, error));
    FW_TRY(fw_onnx_add(r, FW_NN_SOFTMAX, &t.value, 1, (fw_nn_attr){0}, &t.value, error));
    FW_TRY(fw_onnx_permute(r, &t, order, &t, error));
    return fw_onnx_give(r, node, 0, &t, error);
}

FW_ONNX_READ(layer_norm) {
    fw_onnx_tensor t;
    uint32_t axis = 0;
    fw_nn_value in[3];
    const fw_onnx_constant *c;
    const float *data;
    bool bias = *fw_onnx_name_in(node, 2) != 0;
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    FW_TRY(fw_onnx_axis(fw_onnx_int_of(node, "axis", -1), t.rank, &axis, error));
    if (axis + 1 != t.rank) FW_ONNX_REFUSE("it is over more than the last axis");
    if (node->n_output > 1 && *node->output[1]) FW_ONNX_REFUSE("its mean and deviation are not read");
    FW_TRY(fw_onnx_rows(r, &t, &in[0], error));
    fw_nn_shape wide = fw_nn_shape1((uint32_t)fw_onnx_own(&t, axis));
    for (uint32_t i = 1; i < (bias ? 3u : 2u); i++) {
        FW_TRY(fw_onnx_want_constant(r, node, i, &c, error));
        FW_TRY(fw_onnx_floats_in(r, c, wide.d[0], &data, error));
        FW_TRY(fw_onnx_parameter(r, node->input[i], wide, data, &in[i], error));
    }
    fw_nn_attr attr = {.f = {fw_onnx_float_of(node, "epsilon", 1e-5f)}};
    FW_TRY(fw_onnx_add(r, FW_NN_LAYER_NORM, in, bias ? 3 : 2, attr, &t.value, error));
    return fw_onnx_give(r, node, 0, &t, error);
}

/* ---- reductions ---- */

static fw_status axes_of(fw_onnx_reader *r, fw_onnx_proto *node, uint32_t rank, bool *gone,
                         fw_error *error) {
    const fw_onnx_constant *by = NULL;
    fw_onnx_ilist axes;
    uint32_t axis;
    if (*fw_onnx_name_in(node, 1)) FW_TRY(fw_onnx_want_constant(r, node, 1, &by, error));
    FW_TRY(fw_onnx_ints_of(node, "axes", by, &axes, error));
    if (axes.count == 0) FW_ONNX_REFUSE("it is over all axes, the batch too");
    for (uint32_t i = 0; i < rank; i++) gone[i] = false;
    for (size_t i = 0; i < axes.count; i++) {
        FW_TRY(fw_onnx_axis(axes.at[i], rank, &axis, error));
        gone[axis] = true;
    }
    return FW_OK;
}

/* (rows, size) -> (rows): the sum, the mean, or the largest, as a pool over an image of one channel. */
static fw_status reduced(fw_onnx_reader *r, fw_onnx_proto *node, fw_nn_value x, int64_t size,
                         fw_nn_value *out, fw_error *error) {
    if (!fw_onnx_is(node, "ReduceMax")) {
        bool mean = fw_onnx_is(node, "ReduceMean");
        FW_TRY(fw_onnx_add(r, FW_NN_SUM_LAST, &x, 1, (fw_nn_attr){0}, &x, error));
        return fw_onnx_affine(r, x, mean ? 1 / (double)size : 1, 0, out, error);
    }
    fw_nn_attr attr = {.i = {1, (int32_t)size, 1, 1, 0, 0}};
    uint32_t rows = (uint32_t)(fw_nn_elements(fw_onnx_shape(r, x)) / (size_t)size);
    FW_TRY(fw_onnx_reshape(r, x, fw_nn_shape3(1, rows, (uint32_t)size), &x, error));
    return fw_onnx_add(r, FW_NN_MAX_POOL, &x, 1, attr, out, error);
}

FW_ONNX_READ(reduce) {
    fw_onnx_tensor t, turned;
    bool gone[FW_ONNX_RANK_MAX];
    uint32_t order[FW_ONNX_RANK_MAX], used = 0, kept = 0, places = 0;
    int64_t dims[FW_ONNX_RANK_MAX], to[FW_ONNX_RANK_MAX + 1], size = 1;
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    FW_TRY(axes_of(r, node, t.rank, gone, error));
    fw_onnx_dims(&t, dims);
    for (uint32_t pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < t.rank; i++)
            if (gone[i] == (pass == 1)) order[used++] = i;
    for (uint32_t i = 0; i < t.rank; i++) {
        if (gone[i] && (fw_onnx_batch_axis(&t) == i || fw_onnx_holds(&t, i, FW_ONNX_COPY)))
            FW_ONNX_REFUSE("axis %u is the batch, or repeats", i);
        if (gone[i]) size *= dims[i];
        else kept++;
        if (!gone[i] || fw_onnx_int_of(node, "keepdims", 1)) to[places++] = gone[i] ? 1 : dims[i];
    }
    FW_TRY(fw_onnx_permute(r, &t, order, &turned, error));
    for (uint32_t i = 0; i < kept; i++) dims[i] = 1;
    fw_onnx_dims(&turned, dims);
    dims[kept] = size;
    FW_TRY(fw_onnx_regroup(&turned, kept + 1, dims, &turned, error));
    FW_TRY(fw_onnx_rows(r, &turned, &turned.value, error));
    FW_TRY(reduced(r, node, turned.value, size, &turned.value, error));
    fw_onnx_resize(&turned, kept, 1);
    FW_TRY(fw_onnx_regroup(&turned, places, to, &turned, error));
    return fw_onnx_give(r, node, 0, &turned, error);
}
