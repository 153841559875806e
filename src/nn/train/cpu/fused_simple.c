/* fused_simple.c - slopes of element-wise operators and losses, vectorised by the compiler. */
#include "nn/run/cpu/vector.h"
#include "nn/train/cpu/fused.h"
#include "nn/train/grad.h"

#define UNARY(name, expression)                                                                    \
    FW_KERNEL static void name(const fw_nn_call *call) {                                           \
        const float *grad = fw_nn_in(call, 0), *at = fw_nn_in(call, 1);                            \
        float *out = fw_nn_out(call, 0), low = call->attr->f[0], high = call->attr->f[1];          \
        size_t total = fw_nn_total(call, &call->in[1]);                                            \
        (void)low, (void)high;                                                                     \
        for (size_t i = 0; i < total; i++) {                                                       \
            float dy = grad[i], v = at[i];                                                         \
            out[i] = expression;                                                                   \
        }                                                                                          \
    }

UNARY(relu_grad, v > 0 ? dy : 0)
UNARY(gelu_grad, dy *fw_gelu_slope(v))
UNARY(silu_grad, dy *fw_silu_slope(v))
UNARY(tanh_grad, dy *(1 - v * v))
UNARY(sigmoid_grad, dy *v *(1 - v))
UNARY(clamp_grad, v >= low && v <= high ? dy : 0)

FW_KERNEL static void mse_grad(const fw_nn_call *call) {
    const float *a = fw_nn_in(call, 1), *b = fw_nn_in(call, 2);
    float *out = fw_nn_out(call, 0);
    size_t each = fw_nn_elements(call->in[1].shape);
    for (size_t n = 0; n < call->rows; n++) {
        float twice = 2 * (fw_nn_in(call, 0)[n] / (float)each);
        for (size_t i = n * each; i < (n + 1) * each; i++) out[i] = twice * (a[i] - b[i]);
    }
}

fw_status fw_fused_simple(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                          fw_error *error) {
    static fw_nn_kernel *const kernels[] = {[FW_NN_RELU_GRAD - FW_NN_GRADIENT_OPS] = relu_grad,
                                            [FW_NN_GELU_GRAD - FW_NN_GRADIENT_OPS] = gelu_grad,
                                            [FW_NN_SILU_GRAD - FW_NN_GRADIENT_OPS] = silu_grad,
                                            [FW_NN_TANH_GRAD - FW_NN_GRADIENT_OPS] = tanh_grad,
                                            [FW_NN_SIGMOID_GRAD - FW_NN_GRADIENT_OPS] = sigmoid_grad,
                                            [FW_NN_CLAMP_GRAD - FW_NN_GRADIENT_OPS] = clamp_grad,
                                            [FW_NN_MSE_GRAD - FW_NN_GRADIENT_OPS] = mse_grad};
    uint32_t i = node->op - FW_NN_GRADIENT_OPS; /* others wrap to a large number */
    (void)error;
    if (!call->fused && i < sizeof kernels / sizeof *kernels) out->kernel = kernels[i];
    return FW_OK;
}
