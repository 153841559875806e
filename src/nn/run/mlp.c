#include "nn/run/mlp.h"

#include "nn/run/kernels.h"

/* y (n) = x (m) W (m, n) + b (n) */
static inline void layer(const float *restrict w, const float *restrict b, const float *restrict x,
                         float *restrict y, uint32_t m, uint32_t n) {
    for (uint32_t j = 0; j < n; j++) y[j] = b[j];
    for (uint32_t i = 0; i < m; i++)
        for (uint32_t j = 0; j < n; j++) y[j] += x[i] * w[i * n + j];
}

static inline void squash(float *y, uint32_t n) {
    for (uint32_t j = 0; j < n; j++) y[j] = fw_tanh(y[j]);
}

FW_KERNEL void fw_mlp_run(const fw_mlp *mlp, fw_mlp_session *session, const float *x, float *y) {
    layer(mlp->w0, mlp->b0, x, session->h0, mlp->in, mlp->hidden);
    squash(session->h0, mlp->hidden);
    layer(mlp->w1, mlp->b1, session->h0, session->h1, mlp->hidden, mlp->hidden);
    squash(session->h1, mlp->hidden);
    layer(mlp->w2, mlp->b2, session->h1, y, mlp->hidden, mlp->out);
}
