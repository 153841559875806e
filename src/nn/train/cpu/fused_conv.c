/* fused_conv.c - gradient of a convolution's weights as matrix products (fast_conv.h), added straight
 * into their vector. */
#include "nn/run/cpu/fast_conv.h"
#include "nn/train/cpu/fused.h"
#include "nn/train/grad_ops.h"

/* dw (O, K) += dy (O, P) columns (K, P)^T, for one group of one example. */
static void add_group(const fw_nn_call *call, const fw_conv *c, const float *dy, const float *x,
                      float *dw) {
    float *columns = (float *)((uint8_t *)call->scratch + FW_GEMM_SCRATCH_BYTES);
    for (size_t oy = 0; oy < c->out_high; oy += c->block_rows) {
        size_t rows = c->out_high - oy < c->block_rows ? c->out_high - oy : c->block_rows;
        size_t places = rows * c->out_wide;
        fw_conv_columns(c, x, oy, rows, columns);
        fw_gemm_run(&(fw_gemm){.m = c->out_channels / c->groups, .n = c->depth, .k = places,
                               .a = dy + oy * c->out_wide, .a_row = c->out_high * c->out_wide,
                               .a_column = 1, .b = columns, .b_row = 1, .b_column = places,
                               .c = dw, .c_row = c->depth, .add = true,
                               .scratch = call->scratch});
    }
}

static void conv_grad_w(const fw_nn_call *call) {
    fw_conv c = fw_conv_of(call->in[1].shape, call->in[2].shape, call->in[0].shape, call->attr->i);
    size_t outs = c.out_channels / c.groups, ins = c.channels / c.groups;
    fw_nn_start_sum(call, 0);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++)
        for (size_t g = 0; g < c.groups; g++)
            add_group(call, &c,
                      fw_nn_in(call, 0) + (n * c.out_channels + g * outs) * c.out_high * c.out_wide,
                      fw_nn_in(call, 1) + (n * c.channels + g * ins) * c.high * c.wide,
                      fw_nn_out(call, 0) + g * outs * c.depth);
}

fw_status fw_fused_conv(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                        fw_error *error) {
    (void)error;
    if (node->op != FW_NN_CONV_GRAD_W || call->fused || !call->in[1].batched) return FW_OK;
    fw_conv c = fw_conv_of(call->in[1].shape, call->in[2].shape, call->in[0].shape, call->attr->i);
    *out = (fw_nn_choice){.kernel = conv_grad_w, .scratch_bytes = fw_conv_scratch_bytes(&c)};
    return FW_OK;
}
