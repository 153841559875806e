/* fused_dense.c - gradients of linear layers over gemm.h, and sums over rows. */
#include "nn/run/cpu/gemm.h"
#include "nn/run/cpu/vector.h"
#include "nn/train/cpu/fused.h"
#include "nn/train/grad_ops.h"

/* ---- slopes on finished tiles: x is the gradient; `with` the activation's output, or its input ---- */

FW_GEMM_EPILOGUE(slope_relu, with[j] > 0 ? x : 0)
FW_GEMM_EPILOGUE(slope_tanh, x *(1 - with[j] * with[j]))
FW_GEMM_EPILOGUE(slope_sigmoid, x *with[j] * (1 - with[j]))
FW_GEMM_EPILOGUE(slope_gelu, x *fw_gelu_slope(with[j]))
FW_GEMM_EPILOGUE(slope_silu, x *fw_silu_slope(with[j]))

static fw_gemm_epilogue *epilogue_of(uint32_t op) {
    switch (op) {
    case FW_NN_RELU_GRAD: return slope_relu;
    case FW_NN_TANH_GRAD: return slope_tanh;
    case FW_NN_SIGMOID_GRAD: return slope_sigmoid;
    case FW_NN_GELU_GRAD: return slope_gelu;
    case FW_NN_SILU_GRAD: return slope_silu;
    case FW_NN_ADD: return fw_gemm_epilogue_of(op);
    default: return NULL;
    }
}

/* dx = dy w, then a slope */
static fw_gemm back_product(const fw_nn_call *call) {
    size_t in = call->in[1].shape.d[1], out = call->in[1].shape.d[0];
    return (fw_gemm){.m = fw_nn_total(call, &call->in[0]) / out, .n = in, .k = out,
                     .a = fw_nn_in(call, 0), .a_row = out, .a_column = 1,
                     .b = fw_nn_in(call, 1), .b_row = in, .b_column = 1,
                     .c = fw_nn_out(call, 0), .c_row = in,
                     .epilogue = epilogue_of(call->fused), .fused = call->fused,
                     .with = call->with.data, .packed = call->packed, .scratch = call->scratch};
}

static void linear_grad_x(const fw_nn_call *call) {
    fw_gemm g = back_product(call);
    fw_gemm_run(&g);
}

static void pack_weights(const fw_nn_call *call, void *packed) {
    fw_gemm g = back_product(call);
    fw_gemm_pack(&g, packed);
}

static void take_grad_x(const fw_nn_call *call, fw_nn_choice *out) {
    *out = (fw_nn_choice){.kernel = linear_grad_x, .scratch_bytes = FW_GEMM_SCRATCH_BYTES};
    if (!call->in[1].packable) return;
    out->pack = pack_weights;
    out->packed_bytes = sizeof(float) * fw_gemm_packed_floats(call->in[1].shape.d[1],
                                                              call->in[1].shape.d[0]);
}

/* dw += dy^T x */
static void linear_grad_w(const fw_nn_call *call) {
    size_t out = call->out[0].shape.d[0], in = call->out[0].shape.d[1];
    fw_gemm_run(&(fw_gemm){.m = out, .n = in, .k = fw_nn_total(call, &call->in[1]) / in,
                           .a = fw_nn_in(call, 0), .a_row = 1, .a_column = out,
                           .b = fw_nn_in(call, 1), .b_row = in, .b_column = 1,
                           .c = fw_nn_out(call, 0), .c_row = in, .add = call->accumulate,
                           .scratch = call->scratch});
}

/* Eight rows at a time, so that the sum stays in a register for them. */
FW_KERNEL static void add_rows(const float *rows, size_t count, size_t width, float *sum) {
    size_t r = 0;
    for (; r + 8 <= count; r += 8) {
        const float *x = rows + r * width;
        for (size_t i = 0; i < width; i++)
            sum[i] += ((x[i] + x[width + i]) + (x[2 * width + i] + x[3 * width + i])) +
                      ((x[4 * width + i] + x[5 * width + i]) + (x[6 * width + i] + x[7 * width + i]));
    }
    for (; r < count; r++)
        for (size_t i = 0; i < width; i++) sum[i] += rows[r * width + i];
}

static void reduce_to(const fw_nn_call *call) {
    size_t each = fw_nn_elements(call->in[0].shape), part = fw_nn_elements(call->out[0].shape);
    size_t arrays = fw_nn_arrays(call, &call->in[0]);
    fw_nn_start_sum(call, 0);
    if (!call->out[0].batched) {
        add_rows(fw_nn_in(call, 0), arrays * (each / part), part, fw_nn_out(call, 0));
        return;
    }
    for (size_t n = 0; n < arrays; n++)
        add_rows(fw_nn_in(call, 0) + n * each, each / part, part, fw_nn_out(call, 0) + n * part);
}

FW_KERNEL static float sum_of(const float *x, size_t count) {
    fw_v8 sum = {0};
    size_t i = 0;
    for (; i + 8 <= count; i += 8) sum += FW_LOAD8(x + i);
    float total = FW_SUM8(sum);
    for (; i < count; i++) total += x[i];
    return total;
}

static void channel_sum(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0);
    size_t channels = call->in[0].shape.d[0], each = fw_nn_elements(call->in[0].shape) / channels;
    fw_nn_start_sum(call, 0);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++)
        for (size_t c = 0; c < channels; c++, dy += each)
            fw_nn_out(call, 0)[c] += sum_of(dy, each);
}

static bool same(const fw_nn_view *a, const fw_nn_view *b) {
    return a->batched == b->batched && fw_nn_shape_equal(a->shape, b->shape);
}

fw_status fw_fused_dense(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                         fw_error *error) {
    (void)error;
    if (call->fused) {
        if (node->op == FW_NN_LINEAR_GRAD_X && epilogue_of(call->fused) &&
            same(&call->with, &call->out[0]))
            take_grad_x(call, out);
        return FW_OK;
    }
    switch (node->op) {
    case FW_NN_LINEAR_GRAD_X: take_grad_x(call, out); break;
    case FW_NN_LINEAR_GRAD_W:
        *out = (fw_nn_choice){.kernel = linear_grad_w, .scratch_bytes = FW_GEMM_SCRATCH_BYTES};
        break;
    case FW_NN_REDUCE_TO: out->kernel = reduce_to; break;
    case FW_NN_CHANNEL_SUM: out->kernel = channel_sum; break;
    default: break;
    }
    return FW_OK;
}
