/* mlp.h - the small, plain network behind the interface that the engine will fill.
 *
 *     x (IN) -> [x W0 + b0 -> tanh] -> [h W1 + b1 -> tanh] -> h W2 + b2 -> y (OUT)
 *
 * tanh is fw_tanh of nn/run/kernels.h, in training and on the unit alike.
 *
 * Recipe const, run mutable. Weights are fp32, one row per INPUT (IN, OUT), so that the inner loop
 * runs over outputs: it vectorises without changing the order of any sum, and the same build gives
 * the same bits on every call.
 */
#ifndef FW_NN_RUN_MLP_H
#define FW_NN_RUN_MLP_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { FW_MLP_IN_MAX = 128, FW_MLP_HIDDEN_MAX = 128, FW_MLP_OUT_MAX = 32 };

typedef struct fw_mlp {
    uint32_t in, hidden, out;
    float w0[FW_MLP_HIDDEN_MAX * FW_MLP_IN_MAX];     /* (in, hidden) */
    float b0[FW_MLP_HIDDEN_MAX];
    float w1[FW_MLP_HIDDEN_MAX * FW_MLP_HIDDEN_MAX]; /* (hidden, hidden) */
    float b1[FW_MLP_HIDDEN_MAX];
    float w2[FW_MLP_OUT_MAX * FW_MLP_HIDDEN_MAX];    /* (hidden, out) */
    float b2[FW_MLP_OUT_MAX];
} fw_mlp;

typedef struct fw_mlp_session {
    float h0[FW_MLP_HIDDEN_MAX], h1[FW_MLP_HIDDEN_MAX];
} fw_mlp_session;

/* y (out) = network(x (in)). No allocation. */
void fw_mlp_run(const fw_mlp *mlp, fw_mlp_session *session, const float *x, float *y);

#endif
