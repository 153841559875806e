#include "nn/run/cpu/fast_conv.h"

#include <stdlib.h>
#include <string.h>

#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/kernels.h"
#include "nn/run/cpu/winograd.h"

fw_conv fw_conv_of(fw_nn_shape x, fw_nn_shape w, fw_nn_shape y, const int32_t *attr) {
    fw_conv c = {x.d[0], x.d[1], x.d[2], y.d[0], y.d[1], y.d[2], w.d[2], w.d[3],
                 (size_t)attr[0], (size_t)attr[1], (size_t)attr[2], (size_t)attr[3],
                 (size_t)attr[4], 0, 0};
    c.depth = (size_t)w.d[1] * w.d[2] * w.d[3];
    c.block_rows = FW_CONV_BLOCK_FLOATS / (c.depth * c.out_wide);
    if (c.block_rows == 0) c.block_rows = 1;
    if (c.block_rows > c.out_high) c.block_rows = c.out_high;
    return c;
}

size_t fw_conv_scratch_bytes(const fw_conv *c) {
    return FW_GEMM_SCRATCH_BYTES + c->block_rows * c->out_wide * c->depth * sizeof(float);
}

/* out[i] = row[i * stride], `count` of them. */
static inline void take(const float *restrict row, size_t stride, size_t count,
                           float *restrict out) {
    if (stride == 1)
        memcpy(out, row, count * sizeof *out);
    else if (stride == 2)
        for (size_t i = 0; i < count; i++) out[i] = row[2 * i];
    else
        for (size_t i = 0; i < count; i++) out[i] = row[i * stride];
}

/* One output row of one weight: zeros where the kernel stands outside. */
static inline void column_row(const fw_conv *c, const float *channel, size_t oy, size_t ky, size_t kx,
                       float *out) {
    size_t iy = oy * c->stride_y + ky - c->pad_y; /* wraps below 0: then too large */
    size_t from = kx >= c->pad_x ? 0 : (c->pad_x - kx + c->stride_x - 1) / c->stride_x;
    size_t end = c->wide + c->pad_x <= kx ? 0 : (c->wide + c->pad_x - kx - 1) / c->stride_x + 1;
    if (end > c->out_wide) end = c->out_wide;
    if (iy >= c->high || from >= end) {
        memset(out, 0, c->out_wide * sizeof *out);
        return;
    }
    for (size_t i = 0; i < from; i++) out[i] = 0;
    take(channel + iy * c->wide + from * c->stride_x + kx - c->pad_x, c->stride_x, end - from,
         out + from);
    for (size_t i = end; i < c->out_wide; i++) out[i] = 0;
}

FW_KERNEL static void fill_columns(const fw_conv *c, const float *x, size_t first, size_t rows,
                                   float *columns) {
    for (size_t k = 0; k < c->depth; k++) {
        size_t kx = k % c->kernel_x, ky = k / c->kernel_x % c->kernel_y;
        const float *channel = x + k / (c->kernel_x * c->kernel_y) * c->high * c->wide;
        for (size_t oy = first; oy < first + rows; oy++, columns += c->out_wide)
            column_row(c, channel, oy, ky, kx, columns);
    }
}

void fw_conv_columns(const fw_conv *c, const float *x, size_t first, size_t rows, float *columns) {
    fill_columns(c, x, first, rows, columns);
}

/* One group of one example; y: the group's first output channel. */
static void convolve(const fw_nn_call *call, const fw_conv *c, const float *x, const float *w,
                     const float *b, float *y, const float *with) {
    float *columns = (float *)((uint8_t *)call->scratch + FW_GEMM_SCRATCH_BYTES);
    size_t plane = c->out_high * c->out_wide, outs = c->out_channels / c->groups;
    for (size_t o = 0; b && o < outs; o++)
        for (size_t i = 0; i < plane; i++) y[o * plane + i] = b[o];
    for (size_t oy = 0; oy < c->out_high; oy += c->block_rows) {
        size_t rows = c->out_high - oy < c->block_rows ? c->out_high - oy : c->block_rows;
        fw_conv_columns(c, x, oy, rows, columns);
        fw_gemm_run(&(fw_gemm){.m = outs, .n = rows * c->out_wide, .k = c->depth, .a = w,
                               .a_row = c->depth, .a_column = 1, .b = columns,
                               .b_row = rows * c->out_wide, .b_column = 1,
                               .c = y + oy * c->out_wide, .c_row = plane, .add = b != NULL,
                               .epilogue = fw_gemm_epilogue_of(call->fused), .fused = call->fused,
                               .with = with ? with + oy * c->out_wide : NULL,
                               .scratch = call->scratch});
    }
}

static void conv(const fw_nn_call *call) {
    fw_conv c = fw_conv_of(call->in[0].shape, call->in[1].shape, call->out[0].shape,
                           call->attr->i);
    size_t outs = c.out_channels / c.groups, plane = c.out_high * c.out_wide;
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++)
        for (size_t g = 0; g < c.groups; g++) {
            size_t at = (n * c.out_channels + g * outs) * plane;
            const float *with = call->with.data;
            convolve(call, &c,
                     fw_nn_in(call, 0) + (n * c.channels + g * (c.channels / c.groups)) * c.high * c.wide,
                     fw_nn_in(call, 1) + g * outs * c.depth,
                     call->input_count > 2 ? fw_nn_in(call, 2) + g * outs : NULL,
                     fw_nn_out(call, 0) + at, with ? with + at : NULL);
        }
}

/* ---- with packed weights, where winograd.h gains ---- */

static void conv_packed(const fw_nn_call *call) {
    const fw_winograd *w = call->prepared;
    const fw_conv *c = &w->conv;
    size_t in = c->channels * c->high * c->wide, plane = c->out_high * c->out_wide;
    size_t out = c->out_channels * plane;
    fw_gemm_epilogue *then = call->fused == FW_NN_RELU ? NULL : fw_gemm_epilogue_of(call->fused);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++) {
        float *y = fw_nn_out(call, 0) + n * out;
        fw_winograd_run(w, fw_nn_in(call, 0) + n * in, call->packed,
                        call->input_count > 2 ? fw_nn_in(call, 2) : NULL,
                        call->fused == FW_NN_RELU, y, call->scratch);
        if (then)
            then(&(fw_gemm){.c = y, .c_row = plane, .fused = call->fused,
                            .with = call->with.data ? (float *)call->with.data + n * out : NULL},
                 0, c->out_channels, 0, plane);
    }
}

static void pack_conv(const fw_nn_call *call, void *packed) {
    fw_winograd_pack(call->prepared, fw_nn_in(call, 1), packed);
}

static fw_status prepare_packed(const fw_winograd *winograd, fw_nn_choice *out, fw_error *error) {
    fw_winograd *prepared = malloc(sizeof *prepared);
    if (!prepared) return fw_fail(error, FW_NO_MEMORY, "no memory to plan a network");
    *prepared = *winograd;
    *out = (fw_nn_choice){.kernel = conv_packed, .prepared = prepared, .release = free,
                          .scratch_bytes = fw_winograd_scratch_bytes(winograd), .pack = pack_conv,
                          .packed_bytes = fw_winograd_packed_floats(winograd) * sizeof(float)};
    return FW_OK;
}

fw_status fw_fast_conv(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                       fw_error *error) {
    if (node->op != FW_NN_CONV || (call->fused && !fw_gemm_epilogue_of(call->fused))) return FW_OK;
    if (call->fused == FW_NN_ADD && (call->with.batched != call->out[0].batched ||
                                     !fw_nn_shape_equal(call->with.shape, call->out[0].shape)))
        return FW_OK;
    fw_conv c = fw_conv_of(call->in[0].shape, call->in[1].shape, call->out[0].shape,
                           call->attr->i);
    fw_winograd winograd;
    if (call->in[1].packable && fw_winograd_of(&c, &winograd))
        return prepare_packed(&winograd, out, error);
    *out = (fw_nn_choice){.kernel = conv, .scratch_bytes = fw_conv_scratch_bytes(&c)};
    return FW_OK;
}
