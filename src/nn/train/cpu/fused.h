/* fused.h - the hand-written kernels of the backward pass as a backend, beside nn/run/cpu/fast.h. Gradients
 * of parameters are added into their vector by the matrix product itself; the slope of an activation
 * is applied to a linear layer's gradient while its tile is in the cache. Tested against the references
 * in tests/nn/test_kernels.c.
 */
#ifndef FW_NN_TRAIN_FUSED_H
#define FW_NN_TRAIN_FUSED_H

#include "nn/run/cpu/fast.h"

extern const fw_nn_backend fw_nn_backend_fused;
/* The best of this machine for training: what a trainer takes when its options name none. */
extern const fw_nn_backend *const fw_nn_backends_train[];

/* ---- private: as in fast.h ---- */
fw_nn_choose fw_fused_dense, fw_fused_conv, fw_fused_simple, fw_fused_rows, fw_fused_attention, fw_fused_rnn;

#endif
