/* kernels_loss.c - reference kernels of the losses: a scalar an example, the mean over its elements; and
 * of the entropy, which goes into losses. */
#include <math.h>

#include "nn/run/ops.h"

#define LOSS(op, expression)                                                                       \
    void fw_nn_kernel_##op(const fw_nn_call *call) {                                               \
        const float *a = fw_nn_in(call, 0), *b = fw_nn_in(call, 1);                                \
        const float *c = call->input_count > 2 ? fw_nn_in(call, 2) : b;                            \
        const float *f = call->attr->f;                                                            \
        size_t each = fw_nn_elements(call->in[0].shape);                                           \
        (void)f, (void)c;                                                                          \
        for (uint32_t n = 0; n < call->rows; n++) {                                                \
            float sum = 0;                                                                         \
            for (size_t i = n * each; i < (n + 1) * each; i++) sum += expression;                  \
            fw_nn_out(call, 0)[n] = sum / (float)each;                                             \
        }                                                                                          \
    }

static float huber(float error, float delta) {
    float size = fabsf(error);
    return size <= delta ? 0.5f * error * error : delta * (size - 0.5f * delta);
}

static float quantile(float error, float share) {
    return error >= 0 ? share * error : (share - 1) * error;
}

/* Schulman et al. 2017, equation 7, negative: what is to be made small. */
static float clipped(float new_log, float old_log, float advantage, float clip) {
    float ratio = expf(new_log - old_log);
    float limited = ratio < 1 - clip ? 1 - clip : ratio > 1 + clip ? 1 + clip : ratio;
    float free = ratio * advantage, bound = limited * advantage;
    return -(free < bound ? free : bound);
}

LOSS(MSE, (a[i] - b[i]) * (a[i] - b[i]))
LOSS(HUBER, huber(a[i] - b[i], f[0]))
LOSS(GAUSSIAN_NLL, 0.5f * (b[i] + (a[i] - c[i]) * (a[i] - c[i]) * expf(-b[i])))
LOSS(QUANTILE, quantile(b[i] - a[i], f[0]))
LOSS(PPO, clipped(a[i], b[i], c[i], f[0]))

/* -log softmax(scores)[class], the mean over the classes that count. */
void fw_nn_kernel_CROSS_ENTROPY(const fw_nn_call *call) {
    size_t width = fw_nn_last(call->in[0].shape);
    size_t each = fw_nn_elements(call->in[1].shape);
    const float *x = fw_nn_in(call, 0);
    const int32_t *classes = call->in[1].data;
    for (uint32_t n = 0; n < call->rows; n++) {
        float sum = 0, counted = 0;
        for (size_t i = 0; i < each; i++, x += width, classes++) {
            if ((uint32_t)*classes >= width) continue;
            float largest = x[0], total = 0;
            for (size_t c = 1; c < width; c++) largest = x[c] > largest ? x[c] : largest;
            for (size_t c = 0; c < width; c++) total += expf(x[c] - largest);
            sum += logf(total) + largest - x[*classes];
            counted++;
        }
        fw_nn_out(call, 0)[n] = counted > 0 ? sum / counted : 0;
    }
}

/* With p = softmax(x), e = exp(x - largest), S = sum e: -sum p log p = log S - sum e (x - largest) / S. */
void fw_nn_kernel_ENTROPY(const fw_nn_call *call) {
    size_t width = fw_nn_last(call->in[0].shape), rows = fw_nn_total(call, &call->in[0]) / width;
    const float *x = fw_nn_in(call, 0);
    for (size_t r = 0; r < rows; r++, x += width) {
        float largest = x[0], total = 0, weighted = 0;
        for (size_t c = 1; c < width; c++) largest = x[c] > largest ? x[c] : largest;
        for (size_t c = 0; c < width; c++) {
            float e = expf(x[c] - largest);
            total += e;
            weighted += e * (x[c] - largest);
        }
        fw_nn_out(call, 0)[r] = logf(total) - weighted / total;
    }
}
