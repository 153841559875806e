/* fast_dense.c - linear layers over gemm.h, the activation behind them included. */
#include "nn/run/fast.h"
#include "nn/run/gemm.h"

static void linear(const fw_nn_call *call) {
    size_t in = call->in[1].shape.d[1], out = call->in[1].shape.d[0];
    fw_gemm_run(&(fw_gemm){.m = fw_nn_total(call, &call->in[0]) / in, .n = out, .k = in,
                           .a = fw_nn_in(call, 0), .a_row = in, .a_column = 1,
                           .b = fw_nn_in(call, 1), .b_row = 1, .b_column = in,
                           .c = fw_nn_out(call, 0), .c_row = out,
                           .bias = call->input_count > 2 ? fw_nn_in(call, 2) : NULL,
                           .epilogue = fw_gemm_epilogue_of(call->fused), .fused = call->fused,
                           .with = call->with.data, .scratch = call->scratch});
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
    *out = (fw_nn_choice){.kernel = linear, .scratch_bytes = FW_GEMM_SCRATCH_BYTES};
    return FW_OK;
}
