/* fast_conv.h - private: convolution as matrix products on blocks of output rows, for fast_conv.c and
 * the gradient of weights in nn/train.
 *
 *   columns (K, P): for each weight of a group (c, ky, kx) the pixel it meets at each output place of
 *   some output rows; a block fits the second cache
 *
 *     Y (O, P) = W (O, K) columns (K, P) + b          dW (O, K) += dY (O, P) columns^T
 */
#ifndef FW_NN_RUN_FAST_CONV_H
#define FW_NN_RUN_FAST_CONV_H

#include "nn/run/cpu/gemm.h"
#include "nn/run/ops.h"

enum { FW_CONV_BLOCK_FLOATS = 1 << 16 };

typedef struct fw_conv {
    size_t channels, high, wide;             /* of x, all groups */
    size_t out_channels, out_high, out_wide; /* of y, all groups */
    size_t kernel_y, kernel_x, stride_y, stride_x, pad_y, pad_x, groups;
    size_t depth;      /* K: weights of one output channel */
    size_t block_rows; /* output rows of a block */
} fw_conv;

fw_conv fw_conv_of(fw_nn_shape x, fw_nn_shape w, fw_nn_shape y, const int32_t *attr);
/* Of a block of columns, behind the product's own scratch. */
size_t fw_conv_scratch_bytes(const fw_conv *conv);
/* columns (depth, rows * out_wide) of output rows [first, first + rows); x: the group's first channel. */
void fw_conv_columns(const fw_conv *conv, const float *x, size_t first, size_t rows,
                     float *columns);

#endif
