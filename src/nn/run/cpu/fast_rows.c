/* fast_rows.c - norms and softmax over the last dimension: sums in eight strands (vector.h); the maximum of
 * a set, a member at a time. */
#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/vector.h"

FW_KERNEL static void layer_norm(const fw_nn_call *call) {
    const float *x = fw_nn_in(call, 0), *gain = fw_nn_in(call, 1);
    const float *bias = call->input_count > 2 ? fw_nn_in(call, 2) : NULL;
    float *y = fw_nn_out(call, 0), *means = fw_nn_out(call, 1), *scales = fw_nn_out(call, 2);
    size_t width = fw_nn_last(call->in[0].shape), rows = fw_nn_total(call, &call->in[0]) / width;
    for (size_t r = 0; r < rows; r++, x += width, y += width) {
        float mean, squares;
        FW_ROW_SUM(mean, width, FW_LOAD8(x + c), x[c]);
        mean /= (float)width;
        FW_ROW_SUM(squares, width, (FW_LOAD8(x + c) - mean) * (FW_LOAD8(x + c) - mean),
                   (x[c] - mean) * (x[c] - mean));
        float scale = 1 / sqrtf(squares / (float)width + call->attr->f[0]);
        if (bias)
            for (size_t c = 0; c < width; c++) y[c] = (x[c] - mean) * scale * gain[c] + bias[c];
        else
            for (size_t c = 0; c < width; c++) y[c] = (x[c] - mean) * scale * gain[c];
        means[r] = mean;
        scales[r] = scale;
    }
}

FW_KERNEL static void rms_norm(const fw_nn_call *call) {
    const float *x = fw_nn_in(call, 0), *gain = fw_nn_in(call, 1);
    float *y = fw_nn_out(call, 0), *scales = fw_nn_out(call, 1);
    size_t width = fw_nn_last(call->in[0].shape), rows = fw_nn_total(call, &call->in[0]) / width;
    for (size_t r = 0; r < rows; r++, x += width, y += width) {
        float squares;
        FW_ROW_SUM(squares, width, FW_LOAD8(x + c) * FW_LOAD8(x + c), x[c] * x[c]);
        float scale = 1 / sqrtf(squares / (float)width + call->attr->f[0]);
        for (size_t c = 0; c < width; c++) y[c] = x[c] * scale * gain[c];
        scales[r] = scale;
    }
}

FW_KERNEL static void softmax(const fw_nn_call *call) {
    const float *x = fw_nn_in(call, 0);
    float *y = fw_nn_out(call, 0);
    size_t width = fw_nn_last(call->in[0].shape), rows = fw_nn_total(call, &call->in[0]) / width;
    for (size_t r = 0; r < rows; r++, x += width, y += width) {
        float largest = fw_row_max(x, width), sum;
        for (size_t c = 0; c < width; c++) y[c] = fw_exp(x[c] - largest);
        FW_ROW_SUM(sum, width, FW_LOAD8(y + c), y[c]);
        for (size_t c = 0; c < width; c++) y[c] /= sum;
    }
}

/* The first member is taken as it is; a NaN passes. */
FW_KERNEL static void set_max(const fw_nn_call *call) {
    size_t members = call->in[0].shape.d[0], width = call->in[0].shape.d[1];
    size_t each = call->in[0].batched ? members * width : 0, masks = call->in[1].batched ? members : 0;
    const float *x = fw_nn_in(call, 0), *mask = fw_nn_in(call, 1);
    float *y = fw_nn_out(call, 0);
    int32_t *chosen = call->out[1].data;
    for (size_t n = 0; n < fw_nn_arrays(call, &call->out[0]); n++, x += each, mask += masks) {
        size_t m = 0;
        while (m < members && mask[m] == 0) m++;
        for (size_t c = 0; c < width; c++) {
            y[c] = m < members ? x[m * width + c] : 0;
            chosen[c] = m < members ? (int32_t)m : -1;
        }
        for (m++; m < members; m++) {
            const float *next = x + m * width;
            if (mask[m] == 0) continue;
            for (size_t c = 0; c < width; c++) {
                bool take = !(next[c] <= y[c]) && !(y[c] != y[c] && next[c] == next[c]);
                y[c] = take ? next[c] : y[c];
                chosen[c] = take ? (int32_t)m : chosen[c];
            }
        }
        y += width, chosen += width;
    }
}

fw_status fw_fast_rows(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                       fw_error *error) {
    static fw_nn_kernel *const kernels[FW_NN_OP_COUNT] = {
        [FW_NN_LAYER_NORM] = layer_norm, [FW_NN_RMS_NORM] = rms_norm, [FW_NN_SOFTMAX] = softmax,
        [FW_NN_SET_MAX] = set_max};
    (void)error;
    if (node->op < FW_NN_OP_COUNT && !call->fused) out->kernel = kernels[node->op];
    return FW_OK;
}
