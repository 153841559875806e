/* fast_loss.c - cross entropy and entropy with vector exponentials. */
#include <math.h>

#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/vector.h"

enum { PART = 64 };

/* Sum of exp(x - largest), PART terms at a time. */
FW_KERNEL static float sum_exp(const float *x, size_t width, float largest) {
    float part[PART] __attribute__((aligned(64))), total = 0;
    for (size_t at = 0; at < width; at += PART) {
        size_t count = width - at < PART ? width - at : PART;
        float sum;
        for (size_t i = 0; i < count; i++) part[i] = fw_exp(x[at + i] - largest);
        FW_ROW_SUM(sum, count, FW_LOAD8(part + c), part[c]);
        total += sum;
    }
    return total;
}

static void cross_entropy(const fw_nn_call *call) {
    size_t width = fw_nn_last(call->in[0].shape), each = fw_nn_elements(call->in[1].shape);
    const float *x = fw_nn_in(call, 0);
    const int32_t *classes = call->in[1].data;
    for (uint32_t n = 0; n < call->rows; n++) {
        float sum = 0, counted = 0;
        for (size_t i = 0; i < each; i++, x += width, classes++) {
            if ((uint32_t)*classes >= width) continue;
            float largest = fw_row_max(x, width);
            sum += logf(sum_exp(x, width, largest)) + largest - x[*classes];
            counted++;
        }
        fw_nn_out(call, 0)[n] = counted > 0 ? sum / counted : 0;
    }
}

/* Of one row; as the reference has it. */
FW_KERNEL static float entropy_of(const float *x, size_t width) {
    float part[PART] __attribute__((aligned(64))), largest = fw_row_max(x, width);
    float total = 0, weighted = 0;
    for (size_t at = 0; at < width; at += PART) {
        size_t count = width - at < PART ? width - at : PART;
        const float *from = x + at;
        float sum, product;
        for (size_t i = 0; i < count; i++) part[i] = fw_exp(from[i] - largest);
        FW_ROW_SUM(sum, count, FW_LOAD8(part + c), part[c]);
        FW_ROW_SUM(product, count, FW_LOAD8(part + c) * (FW_LOAD8(from + c) - largest),
                   part[c] * (from[c] - largest));
        total += sum;
        weighted += product;
    }
    return logf(total) - weighted / total;
}

static void entropy(const fw_nn_call *call) {
    size_t width = fw_nn_last(call->in[0].shape), rows = fw_nn_total(call, &call->in[0]) / width;
    for (size_t r = 0; r < rows; r++)
        fw_nn_out(call, 0)[r] = entropy_of(fw_nn_in(call, 0) + r * width, width);
}

fw_status fw_fast_loss(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                       fw_error *error) {
    (void)error;
    if (call->fused) return FW_OK;
    if (node->op == FW_NN_CROSS_ENTROPY) out->kernel = cross_entropy;
    if (node->op == FW_NN_ENTROPY) out->kernel = entropy;
    return FW_OK;
}
