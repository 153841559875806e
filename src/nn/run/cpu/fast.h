/* fast.h - the hand-written kernels of nn/run as a backend: linear layers over gemm.h, element-wise
 * operators, norms, softmax, attention, recurrent layers, losses, the maximum over a set. What they change
 * of the reference: order of sums (gemm.h, vector.h), exponentials by polynomials (vector.h). Each is
 * tested against the reference on random shapes in tests/nn/test_kernels.c.
 *
 * To add a kernel: 1. write it in a fast_*.c, 2. a line in its choose function, 3. a row in
 * tests/nn/test_kernels.c.
 */
#ifndef FW_NN_RUN_FAST_H
#define FW_NN_RUN_FAST_H

#include "nn/run/plan.h"

extern const fw_nn_backend fw_nn_backend_fast;
/* {fast, NULL}: for plans of inference. */
extern const fw_nn_backend *const fw_nn_backends_run[];

/* ---- private: one choose function a file; the kernel stays NULL when it is not theirs ---- */
typedef fw_status fw_nn_choose(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                               fw_error *error);
fw_nn_choose fw_fast_dense, fw_fast_conv, fw_fast_simple, fw_fast_rows, fw_fast_attention, fw_fast_rnn,
    fw_fast_loss, fw_fast_sets;

#endif
