/* fast_dense.c - linear layers over gemm.h, the activation behind them included; for a few rows, as one
 * example is, over gemv.h where the plan packs, else eight outputs at a time from where the weights lie. */
#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/gemm.h"
#include "nn/run/cpu/gemv.h"
#include "nn/run/cpu/vector.h"

enum { FEW_ROWS = 4, TOGETHER = 8 };

/* y (O) = w (O, I) x (I) + b; element i in strand i mod 8 (vector.h) */
FW_KERNEL static void dots(const float *x, const float *w, const float *b, float *y, size_t in,
                           size_t out) {
    for (size_t o = 0; o < out; o += TOGETHER, w += TOGETHER * in) {
        size_t count = out - o < TOGETHER ? out - o : TOGETHER, whole = in / 8 * 8;
        fw_v8 sum[TOGETHER] = {{0}};
        if (count == TOGETHER)
            for (size_t i = 0; i < whole; i += 8) {
                fw_v8 part = FW_LOAD8(x + i);
                _Pragma("GCC unroll 8") for (size_t k = 0; k < TOGETHER; k++)
                    sum[k] += part * FW_LOAD8(w + k * in + i);
            }
        else
            for (size_t k = 0; k < count; k++)
                for (size_t i = 0; i < whole; i += 8)
                    sum[k] += FW_LOAD8(x + i) * FW_LOAD8(w + k * in + i);
        for (size_t k = 0; k < count; k++) {
            float total = FW_SUM8(sum[k]);
            for (size_t i = whole; i < in; i++) total += x[i] * w[k * in + i];
            y[o + k] = total + (b ? b[o + k] : 0);
        }
    }
}

static fw_gemm product_of(const fw_nn_call *call) {
    size_t in = call->in[1].shape.d[1], out = call->in[1].shape.d[0];
    return (fw_gemm){.m = fw_nn_total(call, &call->in[0]) / in, .n = out, .k = in,
                     .a = fw_nn_in(call, 0), .a_row = in, .a_column = 1,
                     .b = fw_nn_in(call, 1), .b_row = 1, .b_column = in,
                     .c = fw_nn_out(call, 0), .c_row = out,
                     .bias = call->input_count > 2 ? fw_nn_in(call, 2) : NULL,
                     .epilogue = fw_gemm_epilogue_of(call->fused), .fused = call->fused,
                     .with = call->with.data, .packed = call->packed, .scratch = call->scratch};
}

static void pack_weights(const fw_nn_call *call, void *packed) {
    fw_gemm g = product_of(call);
    fw_gemm_pack(&g, packed);
}

static void linear(const fw_nn_call *call) {
    fw_gemm g = product_of(call);
    fw_gemm_run(&g);
}

static void linear_few(const fw_nn_call *call) {
    const fw_gemm g = product_of(call);
    for (size_t r = 0; r < g.m; r++) dots(g.a + r * g.k, g.b, g.bias, g.c + r * g.n, g.k, g.n);
    if (g.epilogue) g.epilogue(&g, 0, g.m, 0, g.n);
}

static void linear_few_packed(const fw_nn_call *call) {
    const fw_gemm g = product_of(call);
    bool relu = call->fused == FW_NN_RELU;
    fw_gemv_run(&(fw_gemv){.in = g.k, .out = g.n, .packed = call->packed, .bias = g.bias, .relu = relu},
                g.m, g.a, g.c);
    if (g.epilogue && !relu) g.epilogue(&g, 0, g.m, 0, g.n);
}

static void pack_linear_few(const fw_nn_call *call, void *packed) {
    fw_nn_shape w = call->in[1].shape;
    fw_gemv_pack(w.d[1], w.d[0], fw_nn_in(call, 1), packed);
}

fw_status fw_fast_dense(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                        fw_error *error) {
    (void)error;
    if (node->op != FW_NN_LINEAR || (call->fused && !fw_gemm_epilogue_of(call->fused)))
        return FW_OK;
    /* a second operand is read like the output: no broadcast */
    if (call->fused == FW_NN_ADD && (call->with.batched != call->out[0].batched ||
                                     !fw_nn_shape_equal(call->with.shape, call->out[0].shape)))
        return FW_OK;
    size_t outs = call->in[1].shape.d[0], ins = call->in[1].shape.d[1];
    bool few = fw_nn_total(call, &call->in[0]) / ins <= FEW_ROWS, packs = call->in[1].packable;
    if (few && packs)
        *out = (fw_nn_choice){.kernel = linear_few_packed, .pack = pack_linear_few,
                              .packed_bytes = fw_gemv_packed_floats(ins, outs) * sizeof(float)};
    else if (few)
        out->kernel = linear_few;
    else if (packs)
        *out = (fw_nn_choice){.kernel = linear, .scratch_bytes = FW_GEMM_SCRATCH_BYTES,
                              .pack = pack_weights,
                              .packed_bytes = fw_gemm_packed_floats(outs, ins) * sizeof(float)};
    else
        *out = (fw_nn_choice){.kernel = linear, .scratch_bytes = FW_GEMM_SCRATCH_BYTES};
    return FW_OK;
}
