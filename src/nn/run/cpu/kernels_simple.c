/* kernels_simple.c - reference kernels that go element by element, or move elements. Outputs of the
 * element-wise ones may be their first input's bytes (plan.h). */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "nn/run/ops.h"

#define UNARY(op, expression)                                                                      \
    void fw_nn_kernel_##op(const fw_nn_call *call) {                                               \
        const float *in = fw_nn_in(call, 0), *f = call->attr->f;                                   \
        float *out = fw_nn_out(call, 0);                                                           \
        size_t total = fw_nn_total(call, &call->in[0]);                                            \
        (void)f;                                                                                   \
        for (size_t i = 0; i < total; i++) {                                                       \
            float x = in[i];                                                                       \
            out[i] = expression;                                                                   \
        }                                                                                          \
    }

UNARY(RELU, x < 0 ? 0 : x) /* a NaN stays one */
/* Hendrycks and Gimpel 2016, the tanh form: 0.79788456 is sqrt(2 / pi) */
UNARY(GELU, 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x))))
UNARY(SILU, x / (1 + expf(-x)))
UNARY(TANH, tanhf(x))
UNARY(SIGMOID, 1 / (1 + expf(-x)))
UNARY(EXP, expf(x))
UNARY(ERF, erff(x))
UNARY(CLAMP, x < f[0] ? f[0] : x > f[1] ? f[1] : x)
UNARY(AFFINE, x * f[0] + f[1])

/* The second operand repeats: over examples when it is not batched, and over the first dimensions. */
#define BINARY(op, expression)                                                                     \
    void fw_nn_kernel_##op(const fw_nn_call *call) {                                               \
        const float *in = fw_nn_in(call, 0), *other = fw_nn_in(call, 1);                           \
        float *out = fw_nn_out(call, 0);                                                           \
        size_t each = fw_nn_elements(call->in[0].shape), short_each =                              \
            fw_nn_elements(call->in[1].shape);                                                     \
        size_t arrays = fw_nn_arrays(call, &call->in[0]);                                          \
        for (size_t n = 0; n < arrays; n++) {                                                      \
            const float *b = other + (call->in[1].batched ? n * short_each : 0);                   \
            for (size_t at = 0; at < each; at += short_each)                                       \
                for (size_t i = 0; i < short_each; i++) {                                          \
                    float x = in[n * each + at + i], y = b[i];                                     \
                    out[n * each + at + i] = expression;                                           \
                }                                                                                  \
        }                                                                                          \
    }

BINARY(ADD, x + y)
BINARY(SUBTRACT, x - y)
BINARY(MULTIPLY, x * y)

/* An alias: plans make no step of it. Run alone it copies. */
void fw_nn_kernel_RESHAPE(const fw_nn_call *call) {
    fw_nn_dtype dtype = call->in[0].dtype;
    size_t bytes = dtype == FW_NN_F32 ? sizeof(float) : fw_nn_dtype_bytes(dtype);
    memmove(call->out[0].data, call->in[0].data, fw_nn_total(call, &call->in[0]) * bytes);
}

void fw_nn_kernel_TRANSPOSE(const fw_nn_call *call) {
    const fw_nn_shape from = call->in[0].shape, to = call->out[0].shape;
    size_t strides[FW_NN_DIMS_MAX] = {0}, step[FW_NN_DIMS_MAX] = {0}, dims[FW_NN_DIMS_MAX];
    size_t each = fw_nn_elements(from), stride = 1;
    for (uint32_t i = from.dims; i-- > 0; stride *= from.d[i]) strides[i] = stride;
    for (uint32_t i = 0; i < FW_NN_DIMS_MAX; i++) {
        dims[i] = i < to.dims ? to.d[i] : 1;
        step[i] = i < to.dims ? strides[call->attr->i[i]] : 0;
    }
    float *y = fw_nn_out(call, 0);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++) {
        const float *x = fw_nn_in(call, 0) + n * each;
        for (size_t a = 0; a < dims[0]; a++)
            for (size_t b = 0; b < dims[1]; b++)
                for (size_t c = 0; c < dims[2]; c++)
                    for (size_t d = 0; d < dims[3]; d++)
                        *y++ = x[a * step[0] + b * step[1] + c * step[2] + d * step[3]];
    }
}

/* Elements before and behind a dimension. */
static void around(fw_nn_shape shape, uint32_t along, size_t *before, size_t *behind) {
    *before = *behind = 1;
    for (uint32_t i = 0; i < along; i++) *before *= shape.d[i];
    for (uint32_t i = along + 1; i < shape.dims; i++) *behind *= shape.d[i];
}

void fw_nn_kernel_CONCAT(const fw_nn_call *call) {
    uint32_t along = (uint32_t)call->attr->i[0];
    size_t before, behind, at = 0, row = call->out[0].shape.d[along];
    around(call->out[0].shape, along, &before, &behind);
    for (uint32_t k = 0; k < call->input_count; k++) {
        size_t part = call->in[k].shape.d[along] * behind;
        const float *x = fw_nn_in(call, k);
        for (size_t r = 0; r < fw_nn_arrays(call, &call->out[0]) * before; r++)
            memcpy(fw_nn_out(call, 0) + r * row * behind + at, x + r * part, part * sizeof *x);
        at += part;
    }
}

void fw_nn_kernel_SLICE(const fw_nn_call *call) {
    uint32_t along = (uint32_t)call->attr->i[0];
    size_t before, behind, row = call->in[0].shape.d[along];
    around(call->in[0].shape, along, &before, &behind);
    size_t part = (size_t)call->attr->i[2] * behind, first = (size_t)call->attr->i[1] * behind;
    for (size_t r = 0; r < fw_nn_arrays(call, &call->in[0]) * before; r++)
        memcpy(fw_nn_out(call, 0) + r * part, fw_nn_in(call, 0) + r * row * behind + first,
               part * sizeof(float));
}

void fw_nn_kernel_SUM_LAST(const fw_nn_call *call) {
    size_t width = fw_nn_last(call->in[0].shape), rows = fw_nn_total(call, &call->in[0]) / width;
    for (size_t r = 0; r < rows; r++) {
        float sum = 0;
        for (size_t c = 0; c < width; c++) sum += fw_nn_in(call, 0)[r * width + c];
        fw_nn_out(call, 0)[r] = sum;
    }
}

/* What is dropped depends on the step's seed and the element's place in the batch alone: neither on
 * tiles nor on threads. The same draw serves the gradient, so it is its own operator's. */
void fw_nn_kernel_DROPOUT(const fw_nn_call *call) {
    const float *x = fw_nn_in(call, 0);
    float *y = fw_nn_out(call, 0), share = call->attr->f[0];
    size_t each = fw_nn_elements(call->in[0].shape);
    uint64_t seed = call->seed + (uint64_t)call->attr->i[0] * 0x9e3779b97f4a7c15u;
    uint32_t first = call->in[0].batched ? call->first_row : 0; /* what all examples share has one draw */
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++) {
        fw_random random = fw_random_indexed(seed, first + n);
        for (size_t i = 0; i < each; i++) {
            bool dropped = call->training && fw_random_unit(&random) < share;
            float kept = call->training ? x[n * each + i] / (1 - share) : x[n * each + i];
            y[n * each + i] = dropped ? 0 : kept;
        }
    }
}
