/* fused_rows.c - gradients of norms, softmax and cross entropy: sums in eight strands (vector.h). */
#include <string.h>

#include "nn/run/cpu/vector.h"
#include "nn/train/cpu/fused.h"
#include "nn/train/grad_ops.h"

FW_KERNEL static void norm_grad_x(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0), *x = fw_nn_in(call, 1), *gain = fw_nn_in(call, 2);
    float *dx = fw_nn_out(call, 0);
    size_t width = fw_nn_last(call->in[1].shape), rows = fw_nn_total(call, &call->in[1]) / width;
    for (size_t r = 0; r < rows; r++, x += width, dy += width, dx += width) {
        float sum, along, mean = fw_nn_in(call, 3)[r], scale = fw_nn_in(call, 4)[r];
        FW_ROW_SUM(sum, width, FW_LOAD8(dy + c) * FW_LOAD8(gain + c), dy[c] * gain[c]);
        FW_ROW_SUM(along, width, FW_LOAD8(dy + c) * FW_LOAD8(gain + c) * (FW_LOAD8(x + c) - mean),
                   dy[c] * gain[c] * (x[c] - mean));
        sum /= (float)width;
        along *= scale * scale / (float)width;
        for (size_t c = 0; c < width; c++)
            dx[c] = scale * (dy[c] * gain[c] - sum - (x[c] - mean) * along);
    }
}

FW_KERNEL static void norm_grad_gain(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0), *x = fw_nn_in(call, 1);
    size_t width = fw_nn_last(call->in[1].shape), rows = fw_nn_total(call, &call->in[1]) / width;
    float *out = fw_nn_out(call, 0);
    fw_nn_start_sum(call, 0);
    for (size_t r = 0; r < rows; r++, x += width, dy += width) {
        float mean = fw_nn_in(call, 2)[r], scale = fw_nn_in(call, 3)[r];
        for (size_t c = 0; c < width; c++) out[c] += dy[c] * (x[c] - mean) * scale;
    }
}

FW_KERNEL static void rms_grad_x(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0), *x = fw_nn_in(call, 1), *gain = fw_nn_in(call, 2);
    float *dx = fw_nn_out(call, 0);
    size_t width = fw_nn_last(call->in[1].shape), rows = fw_nn_total(call, &call->in[1]) / width;
    for (size_t r = 0; r < rows; r++, x += width, dy += width, dx += width) {
        float along, scale = fw_nn_in(call, 3)[r];
        FW_ROW_SUM(along, width, FW_LOAD8(dy + c) * FW_LOAD8(gain + c) * FW_LOAD8(x + c),
                   dy[c] * gain[c] * x[c]);
        along *= scale * scale / (float)width;
        for (size_t c = 0; c < width; c++) dx[c] = scale * (dy[c] * gain[c] - x[c] * along);
    }
}

FW_KERNEL static void rms_grad_gain(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0), *x = fw_nn_in(call, 1);
    size_t width = fw_nn_last(call->in[1].shape), rows = fw_nn_total(call, &call->in[1]) / width;
    float *out = fw_nn_out(call, 0);
    fw_nn_start_sum(call, 0);
    for (size_t r = 0; r < rows; r++, x += width, dy += width) {
        float scale = fw_nn_in(call, 2)[r];
        for (size_t c = 0; c < width; c++) out[c] += dy[c] * x[c] * scale;
    }
}

FW_KERNEL static void softmax_grad(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0), *y = fw_nn_in(call, 1);
    float *dx = fw_nn_out(call, 0);
    size_t width = fw_nn_last(call->in[1].shape), rows = fw_nn_total(call, &call->in[1]) / width;
    for (size_t r = 0; r < rows; r++, y += width, dy += width, dx += width) {
        float sum;
        FW_ROW_SUM(sum, width, FW_LOAD8(dy + c) * FW_LOAD8(y + c), dy[c] * y[c]);
        for (size_t c = 0; c < width; c++) dx[c] = y[c] * (dy[c] - sum);
    }
}

/* softmax(x) - 1 at the class, for one row. */
FW_KERNEL static void classify_back(const float *x, size_t width, size_t class, float dloss,
                                    float *dx) {
    float largest = fw_row_max(x, width), total;
    for (size_t c = 0; c < width; c++) dx[c] = fw_exp(x[c] - largest);
    FW_ROW_SUM(total, width, FW_LOAD8(dx + c), dx[c]);
    float factor = dloss / total;
    for (size_t c = 0; c < width; c++) dx[c] *= factor;
    dx[class] -= dloss;
}

static void cross_entropy_grad(const fw_nn_call *call) {
    fw_nn_classes_back(call, classify_back);
}

/* -p (log p + entropy), one row; p = softmax(x) lies in dx on the way. */
FW_KERNEL static void entropy_back(const float *x, size_t width, float dy, float *dx) {
    float largest = fw_row_max(x, width), total, mean;
    for (size_t c = 0; c < width; c++) dx[c] = fw_exp(x[c] - largest);
    FW_ROW_SUM(total, width, FW_LOAD8(dx + c), dx[c]);
    float factor = 1 / total;
    for (size_t c = 0; c < width; c++) dx[c] *= factor;
    FW_ROW_SUM(mean, width, FW_LOAD8(dx + c) * (FW_LOAD8(x + c) - largest), dx[c] * (x[c] - largest));
    for (size_t c = 0; c < width; c++) dx[c] *= dy * (mean - (x[c] - largest));
}

static void entropy_grad(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0), *x = fw_nn_in(call, 1);
    size_t width = fw_nn_last(call->in[1].shape), rows = fw_nn_total(call, &call->in[1]) / width;
    for (size_t r = 0; r < rows; r++)
        entropy_back(x + r * width, width, dy[r], fw_nn_out(call, 0) + r * width);
}

fw_status fw_fused_rows(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                        fw_error *error) {
    static fw_nn_kernel *const kernels[] = {
        [FW_NN_NORM_GRAD_X - FW_NN_GRADIENT_OPS] = norm_grad_x,
        [FW_NN_NORM_GRAD_GAIN - FW_NN_GRADIENT_OPS] = norm_grad_gain,
        [FW_NN_RMS_GRAD_X - FW_NN_GRADIENT_OPS] = rms_grad_x,
        [FW_NN_RMS_GRAD_GAIN - FW_NN_GRADIENT_OPS] = rms_grad_gain,
        [FW_NN_SOFTMAX_GRAD - FW_NN_GRADIENT_OPS] = softmax_grad,
        [FW_NN_ENTROPY_GRAD - FW_NN_GRADIENT_OPS] = entropy_grad,
        [FW_NN_CROSS_ENTROPY_GRAD - FW_NN_GRADIENT_OPS] = cross_entropy_grad};
    uint32_t i = node->op - FW_NN_GRADIENT_OPS;
    (void)error;
    if (!call->fused && i < sizeof kernels / sizeof *kernels) out->kernel = kernels[i];
    return FW_OK;
}
