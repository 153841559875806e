/* fast_simple.c - element-wise operators, vectorised by the compiler. */
#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/vector.h"

#define UNARY(name, expression)                                                                    \
    FW_KERNEL static void name(const fw_nn_call *call) {                                           \
        const float *in = fw_nn_in(call, 0);                                                       \
        float *out = fw_nn_out(call, 0), low = call->attr->f[0], high = call->attr->f[1];          \
        size_t total = fw_nn_total(call, &call->in[0]);                                            \
        (void)low, (void)high;                                                                     \
        for (size_t i = 0; i < total; i++) {                                                       \
            float x = in[i];                                                                       \
            out[i] = expression;                                                                   \
        }                                                                                          \
    }

UNARY(relu, x < 0 ? 0 : x) /* a NaN stays one */
UNARY(gelu, fw_gelu(x))
UNARY(silu, x *fw_sigmoid(x))
UNARY(tanh_exact, fw_tanh_exact(x))
UNARY(sigmoid, fw_sigmoid(x))
UNARY(exponential, fw_exp(x))
UNARY(error_function, fw_erf(x))
UNARY(clamp, x < low ? low : x > high ? high : x)
UNARY(affine, x *low + high)

#define BINARY(name, expression)                                                                   \
    FW_KERNEL static void name(const fw_nn_call *call) {                                           \
        const float *in = fw_nn_in(call, 0), *other = fw_nn_in(call, 1);                           \
        float *out = fw_nn_out(call, 0);                                                           \
        size_t each = fw_nn_elements(call->in[0].shape);                                           \
        size_t part = fw_nn_elements(call->in[1].shape);                                           \
        size_t arrays = fw_nn_arrays(call, &call->in[0]);                                          \
        bool whole = call->in[1].batched && part == each;                                          \
        if (whole) part = each *= arrays, arrays = 1;                                              \
        for (size_t n = 0; n < arrays; n++) {                                                      \
            const float *b = other + (call->in[1].batched ? n * part : 0);                         \
            for (size_t at = n * each; at < (n + 1) * each; at += part)                            \
                for (size_t i = 0; i < part; i++) {                                                \
                    float x = in[at + i], y = b[i];                                                \
                    out[at + i] = expression;                                                      \
                }                                                                                  \
        }                                                                                          \
    }

BINARY(add, x + y)
BINARY(subtract, x - y)
BINARY(multiply, x *y)

fw_status fw_fast_simple(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                         fw_error *error) {
    static fw_nn_kernel *const kernels[FW_NN_OP_COUNT] = {
        [FW_NN_RELU] = relu,         [FW_NN_GELU] = gelu,       [FW_NN_SILU] = silu,
        [FW_NN_TANH] = tanh_exact,   [FW_NN_SIGMOID] = sigmoid, [FW_NN_EXP] = exponential,
        [FW_NN_CLAMP] = clamp,       [FW_NN_AFFINE] = affine,   [FW_NN_ADD] = add,
        [FW_NN_SUBTRACT] = subtract, [FW_NN_MULTIPLY] = multiply, [FW_NN_ERF] = error_function};
    (void)error;
    if (node->op < FW_NN_OP_COUNT && !call->fused) out->kernel = kernels[node->op];
    return FW_OK;
}
