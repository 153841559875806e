/* grad_kernels_simple.c - reference gradients that go element by element, of moves, and of losses. */
#include <math.h>
#include <string.h>

#include "nn/train/grad_ops.h"

/* dy and either the forward output y or its input x. */
#define UNARY(op, expression)                                                                      \
    void fw_nn_kernel_##op(const fw_nn_call *call) {                                               \
        const float *grad = fw_nn_in(call, 0), *at = fw_nn_in(call, 1), *f = call->attr->f;        \
        float *out = fw_nn_out(call, 0);                                                           \
        size_t total = fw_nn_total(call, &call->in[1]);                                            \
        (void)f;                                                                                   \
        for (size_t i = 0; i < total; i++) {                                                       \
            float dy = grad[i], v = at[i];                                                         \
            out[i] = expression;                                                                   \
        }                                                                                          \
    }

static float gelu_slope(float x) {
    float inner = 0.79788456f * (x + 0.044715f * x * x * x), bent = tanhf(inner);
    return 0.5f * (1 + bent) +
           0.5f * x * (1 - bent * bent) * 0.79788456f * (1 + 3 * 0.044715f * x * x);
}

static float silu_slope(float x) {
    float s = 1 / (1 + expf(-x));
    return s * (1 + x * (1 - s));
}

UNARY(RELU_GRAD, v > 0 ? dy : 0)
UNARY(GELU_GRAD, dy * gelu_slope(v))
UNARY(SILU_GRAD, dy * silu_slope(v))
UNARY(TANH_GRAD, dy * (1 - v * v))
UNARY(SIGMOID_GRAD, dy * v * (1 - v))
UNARY(CLAMP_GRAD, v >= f[0] && v <= f[1] ? dy : 0)

/* Sums over the first dimensions, and over examples when the result is not batched. */
void fw_nn_kernel_REDUCE_TO(const fw_nn_call *call) {
    size_t each = fw_nn_elements(call->in[0].shape), small = fw_nn_elements(call->out[0].shape);
    fw_nn_start_sum(call, 0);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++) {
        float *out = fw_nn_out(call, 0) + (call->out[0].batched ? n * small : 0);
        const float *dy = fw_nn_in(call, 0) + n * each;
        for (size_t at = 0; at < each; at += small)
            for (size_t i = 0; i < small; i++) out[i] += dy[at + i];
    }
}

void fw_nn_kernel_SLICE_GRAD(const fw_nn_call *call) {
    uint32_t along = (uint32_t)call->attr->i[0];
    const fw_nn_shape x = call->in[1].shape;
    size_t before = 1, behind = 1;
    for (uint32_t i = 0; i < along; i++) before *= x.d[i];
    for (uint32_t i = along + 1; i < x.dims; i++) behind *= x.d[i];
    size_t part = (size_t)call->attr->i[2] * behind, first = (size_t)call->attr->i[1] * behind;
    fw_nn_start_sum(call, 0);
    for (size_t r = 0; r < fw_nn_arrays(call, &call->in[0]) * before; r++)
        for (size_t i = 0; i < part; i++)
            fw_nn_out(call, 0)[r * x.d[along] * behind + first + i] +=
                fw_nn_in(call, 0)[r * part + i];
}

void fw_nn_kernel_REPEAT_LAST(const fw_nn_call *call) {
    size_t width = fw_nn_last(call->in[1].shape), rows = fw_nn_total(call, &call->in[0]);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < width; c++)
            fw_nn_out(call, 0)[r * width + c] = fw_nn_in(call, 0)[r];
}

/* ---- losses: the mean over an example's elements ---- */

#define LOSS(op, expression)                                                                       \
    void fw_nn_kernel_##op(const fw_nn_call *call) {                                               \
        const float *a = fw_nn_in(call, 1), *b = fw_nn_in(call, 2), *f = call->attr->f;            \
        const float *c = call->input_count > 3 ? fw_nn_in(call, 3) : b;                            \
        size_t each = fw_nn_elements(call->in[1].shape);                                           \
        (void)f, (void)c;                                                                          \
        for (uint32_t n = 0; n < call->rows; n++) {                                                \
            float dloss = fw_nn_in(call, 0)[n] / (float)each;                                      \
            for (size_t i = n * each; i < (n + 1) * each; i++)                                     \
                fw_nn_out(call, 0)[i] = dloss * (expression);                                      \
        }                                                                                          \
    }

static float huber_slope(float error, float delta) {
    return error < -delta ? -delta : error > delta ? delta : error;
}

static float quantile_slope(float error, float share) {
    return error >= 0 ? -share : 1 - share;
}

/* Zero where the clipped one is the smaller and constant. */
static float clipped_slope(float new_log, float old_log, float advantage, float clip) {
    float ratio = expf(new_log - old_log);
    bool held = (advantage > 0 && ratio > 1 + clip) || (advantage < 0 && ratio < 1 - clip);
    return held ? 0 : -ratio * advantage;
}

LOSS(MSE_GRAD, 2 * (a[i] - b[i]))
LOSS(HUBER_GRAD, huber_slope(a[i] - b[i], f[0]))
LOSS(QUANTILE_GRAD, quantile_slope(b[i] - a[i], f[0]))
LOSS(PPO_GRAD, clipped_slope(a[i], b[i], c[i], f[0]))

void fw_nn_kernel_GAUSSIAN_NLL_GRAD(const fw_nn_call *call) {
    const float *mean = fw_nn_in(call, 1), *variance = fw_nn_in(call, 2);
    const float *target = fw_nn_in(call, 3);
    size_t each = fw_nn_elements(call->in[1].shape);
    for (uint32_t n = 0; n < call->rows; n++) {
        float dloss = fw_nn_in(call, 0)[n] / (float)each;
        for (size_t i = n * each; i < (n + 1) * each; i++) {
            float error = mean[i] - target[i], sharp = expf(-variance[i]);
            fw_nn_out(call, 0)[i] = dloss * error * sharp;
            fw_nn_out(call, 1)[i] = dloss * 0.5f * (1 - error * error * sharp);
        }
    }
}

/* softmax(x) - 1 at the class, for one row. */
static void classify_back(const float *x, size_t width, size_t class, float dloss, float *dx) {
    float largest = x[0], total = 0;
    for (size_t c = 1; c < width; c++) largest = x[c] > largest ? x[c] : largest;
    for (size_t c = 0; c < width; c++) total += expf(x[c] - largest);
    for (size_t c = 0; c < width; c++)
        dx[c] = dloss * (expf(x[c] - largest) / total - (c == class));
}

void fw_nn_classes_back(const fw_nn_call *call, fw_nn_class_back *back) {
    size_t width = fw_nn_last(call->in[1].shape), each = fw_nn_elements(call->in[2].shape);
    const float *x = fw_nn_in(call, 1);
    float *dx = fw_nn_out(call, 0);
    for (uint32_t n = 0; n < call->rows; n++) {
        const int32_t *classes = (const int32_t *)call->in[2].data + n * each;
        float counted = 0;
        for (size_t i = 0; i < each; i++) counted += (uint32_t)classes[i] < width;
        for (size_t i = 0; i < each; i++, x += width, dx += width) {
            if ((uint32_t)classes[i] < width)
                back(x, width, (size_t)classes[i], fw_nn_in(call, 0)[n] / counted, dx);
            else
                memset(dx, 0, width * sizeof *dx);
        }
    }
}

void fw_nn_kernel_CROSS_ENTROPY_GRAD(const fw_nn_call *call) {
    fw_nn_classes_back(call, classify_back);
}

/* d entropy / d x = -p (log p + entropy), with p = softmax(x). */
void fw_nn_kernel_ENTROPY_GRAD(const fw_nn_call *call) {
    size_t width = fw_nn_last(call->in[1].shape), rows = fw_nn_total(call, &call->in[1]) / width;
    const float *dy = fw_nn_in(call, 0), *x = fw_nn_in(call, 1);
    float *dx = fw_nn_out(call, 0);
    for (size_t r = 0; r < rows; r++, x += width, dx += width) {
        float largest = x[0], total = 0, mean = 0;
        for (size_t c = 1; c < width; c++) largest = x[c] > largest ? x[c] : largest;
        for (size_t c = 0; c < width; c++) total += dx[c] = expf(x[c] - largest);
        for (size_t c = 0; c < width; c++) mean += (dx[c] /= total) * (x[c] - largest);
        for (size_t c = 0; c < width; c++) dx[c] *= dy[r] * (mean - (x[c] - largest));
    }
}
