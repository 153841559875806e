/* mlp_train.h - batches forward and backward through the small network, and Adam.
 *
 * Parameters are one flat vector, so that gradient, optimiser and tiles are plain vector work:
 *
 *     w0 (IN, H) | b0 (H) | w1 (H, H) | b1 (H) | w2 (H, OUT) | b2 (OUT)
 *
 * A gradient is computed tile by tile (a fixed number of rows each) into its own vector; tiles are
 * added in one fixed tree, so the sum does not depend on threads.
 */
#ifndef FW_NN_TRAIN_MLP_TRAIN_H
#define FW_NN_TRAIN_MLP_TRAIN_H

#include <stdint.h>

#include "nn/run/mlp.h"

typedef struct fw_mlp_shape {
    uint32_t in, hidden, out;
} fw_mlp_shape;

uint32_t fw_mlp_parameters(fw_mlp_shape shape);
/* Orthogonal-like init: normal / sqrt(fan in), last layer scaled by 0.01, biases 0. */
void fw_mlp_init(fw_mlp_shape shape, float *params, uint64_t seed);
void fw_mlp_pack(const fw_mlp *mlp, float *params);
void fw_mlp_unpack(fw_mlp_shape shape, const float *params, fw_mlp *mlp);

/* x (B, IN) -> h0, h1 (B, H) -> y (B, OUT) */
void fw_mlp_forward(fw_mlp_shape shape, const float *params, uint32_t rows, const float *x,
                    float *h0, float *h1, float *y);
/* dy (B, OUT): gradient of the loss at y. Writes (not adds) grad, same layout as params. scratch:
 * 2 * B * H floats. */
void fw_mlp_backward(fw_mlp_shape shape, const float *params, uint32_t rows, const float *x,
                     const float *h0, const float *h1, const float *dy, float *grad,
                     float *scratch);

/* Adam (Kingma and Ba 2015) with the gradient scaled to a norm of at most max_norm. */
typedef struct fw_adam {
    uint32_t count;
    uint64_t steps;
    float *m, *v; /* (count), owned by the caller, zero at the start */
} fw_adam;
void fw_adam_step(fw_adam *adam, float *params, const float *grad, float rate, float max_norm);

#endif
