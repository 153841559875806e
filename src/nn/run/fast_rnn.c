/* fast_rnn.c - LSTM and GRU with all examples of a run in each time step: one matrix product a step
 * instead of one row at a time.
 *
 *   LSTM   gates (B T, 4H) = X W^T + b + c        once, written where the gradient wants them
 *          gates[:, t]    += Y[:, t-1] U^T         per step, U packed once
 *          cells, Y        = element-wise
 *   GRU    from x and from h apart (its n gate multiplies what comes from h)
 */
#include <string.h>

#include "nn/run/fast.h"
#include "nn/run/gemm.h"
#include "nn/run/vector.h"

typedef struct series {
    size_t rows, steps, width, hidden;
    const float *x, *w, *u, *b, *c, *h0, *c0; /* h0, c0: (B, H), or NULL */
    float *y;
    float *pack_w, *pack_u, *bias, *from_x, *from_h; /* in the scratch */
    void *scratch;
} series;

static float *next(float **at, size_t floats) {
    float *out = *at;
    *at += (floats + 15) / 16 * 16;
    return out;
}

static series series_of(const fw_nn_call *call, size_t gates) {
    size_t width = call->in[0].shape.d[1], hidden = call->in[2].shape.d[1];
    float *at = (float *)((uint8_t *)call->scratch + FW_GEMM_SCRATCH_BYTES);
    series s = {.rows = call->rows, .steps = call->in[0].shape.d[0], .width = width,
                .hidden = hidden, .x = fw_nn_in(call, 0), .w = fw_nn_in(call, 1),
                .u = fw_nn_in(call, 2), .b = fw_nn_in(call, 3), .c = fw_nn_in(call, 4),
                .h0 = call->input_count > 5 ? fw_nn_in(call, 5) : NULL,
                .c0 = call->input_count > 6 ? fw_nn_in(call, 6) : NULL,
                .y = fw_nn_out(call, 0), .scratch = call->scratch};
    s.pack_w = next(&at, fw_gemm_packed_floats(gates * hidden, width));
    s.pack_u = next(&at, fw_gemm_packed_floats(gates * hidden, hidden));
    s.bias = next(&at, gates * hidden);
    s.from_x = next(&at, s.rows * gates * hidden);
    s.from_h = next(&at, s.rows * gates * hidden);
    return s;
}

static size_t scratch_bytes(const fw_nn_call *call, size_t gates, bool both) {
    size_t width = call->in[0].shape.d[1], hidden = call->in[2].shape.d[1];
    size_t floats = fw_gemm_packed_floats(gates * hidden, width) +
                    fw_gemm_packed_floats(gates * hidden, hidden) + gates * hidden + 5 * 16;
    if (both) floats += 2 * call->rows * gates * hidden;
    return FW_GEMM_SCRATCH_BYTES + floats * sizeof(float);
}

/* The states before step t: where they are, and floats from one example to the next. */
static const float *state_before(const series *s, size_t t, size_t *stride) {
    *stride = t > 0 ? s->steps * s->hidden : s->hidden;
    return t > 0 ? s->y + (t - 1) * s->hidden : s->h0;
}

FW_KERNEL static void lstm_cell(float *restrict gates, const float *restrict before,
                                float *restrict cell, float *restrict y, size_t hidden) {
    for (size_t j = 0; j < 2 * hidden; j++) gates[j] = fw_sigmoid(gates[j]);
    for (size_t j = 2 * hidden; j < 3 * hidden; j++) gates[j] = fw_tanh_exact(gates[j]);
    for (size_t j = 3 * hidden; j < 4 * hidden; j++) gates[j] = fw_sigmoid(gates[j]);
    const float *i = gates, *f = gates + hidden, *g = gates + 2 * hidden, *o = gates + 3 * hidden;
    if (before)
        for (size_t j = 0; j < hidden; j++) cell[j] = f[j] * before[j] + i[j] * g[j];
    else
        for (size_t j = 0; j < hidden; j++) cell[j] = i[j] * g[j];
    for (size_t j = 0; j < hidden; j++) y[j] = o[j] * fw_tanh_exact(cell[j]);
}

static void lstm(const fw_nn_call *call) {
    series s = series_of(call, 4);
    size_t H = s.hidden, wide = 4 * H, T = s.steps, stride;
    float *cells = fw_nn_out(call, 1), *gates = fw_nn_out(call, 2);
    for (size_t j = 0; j < wide; j++) s.bias[j] = s.b[j] + s.c[j];
    fw_gemm_run(&(fw_gemm){.m = s.rows * T, .n = wide, .k = s.width, .a = s.x, .a_row = s.width,
                           .a_column = 1, .b = s.w, .b_row = 1, .b_column = s.width, .c = gates,
                           .c_row = wide, .bias = s.bias, .scratch = s.scratch});
    fw_gemm from_h = {.m = s.rows, .n = wide, .k = H, .a_column = 1, .b = s.u, .b_row = 1,
                      .b_column = H, .c_row = T * wide, .add = true, .packed = s.pack_u,
                      .scratch = s.scratch};
    fw_gemm_pack(&from_h, s.pack_u);
    for (size_t t = 0; t < T; t++) {
        from_h.a = state_before(&s, t, &stride);
        from_h.a_row = stride;
        from_h.c = gates + t * wide;
        if (from_h.a) fw_gemm_run(&from_h);
        for (size_t n = 0; n < s.rows; n++) {
            size_t at = n * T + t;
            const float *before = t > 0 ? cells + (at - 1) * H : s.c0 ? s.c0 + n * H : NULL;
            lstm_cell(gates + at * wide, before, cells + at * H, s.y + at * H, H);
        }
    }
}

/* Kept for the gradient, each (H): r, z, n, and U_n h + c_n. */
FW_KERNEL static void gru_cell(const float *restrict from_x, const float *restrict from_h,
                               const float *restrict before, float *restrict gates,
                               float *restrict y, size_t hidden) {
    float *r = gates, *z = gates + hidden, *n = gates + 2 * hidden, *q = gates + 3 * hidden;
    for (size_t j = 0; j < 2 * hidden; j++) gates[j] = fw_sigmoid(from_x[j] + from_h[j]);
    for (size_t j = 0; j < hidden; j++) q[j] = from_h[2 * hidden + j];
    for (size_t j = 0; j < hidden; j++)
        n[j] = fw_tanh_exact(from_x[2 * hidden + j] + r[j] * q[j]);
    if (before)
        for (size_t j = 0; j < hidden; j++) y[j] = (1 - z[j]) * n[j] + z[j] * before[j];
    else
        for (size_t j = 0; j < hidden; j++) y[j] = (1 - z[j]) * n[j];
}

static void gru(const fw_nn_call *call) {
    series s = series_of(call, 3);
    size_t H = s.hidden, wide = 3 * H, T = s.steps, stride;
    float *gates = fw_nn_out(call, 1);
    fw_gemm by_x = {.m = s.rows, .n = wide, .k = s.width, .a_row = T * s.width, .a_column = 1,
                    .b = s.w, .b_row = 1, .b_column = s.width, .c = s.from_x, .c_row = wide,
                    .bias = s.b, .packed = s.pack_w, .scratch = s.scratch};
    fw_gemm by_h = {.m = s.rows, .n = wide, .k = H, .a_column = 1, .b = s.u, .b_row = 1,
                    .b_column = H, .c = s.from_h, .c_row = wide, .bias = s.c, .packed = s.pack_u,
                    .scratch = s.scratch};
    fw_gemm_pack(&by_x, s.pack_w);
    fw_gemm_pack(&by_h, s.pack_u);
    for (size_t t = 0; t < T; t++) {
        const float *h = state_before(&s, t, &stride);
        by_x.a = s.x + t * s.width;
        by_h.a = h;
        by_h.a_row = stride;
        fw_gemm_run(&by_x);
        if (h) fw_gemm_run(&by_h);
        for (size_t n = 0; n < s.rows; n++) {
            if (!h) memcpy(s.from_h + n * wide, s.c, wide * sizeof(float));
            gru_cell(s.from_x + n * wide, s.from_h + n * wide, h ? h + n * stride : NULL,
                     gates + (n * T + t) * 4 * H, s.y + (n * T + t) * H, H);
        }
    }
}

fw_status fw_fast_rnn(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                      fw_error *error) {
    (void)error;
    bool is_lstm = node->op == FW_NN_LSTM;
    if ((!is_lstm && node->op != FW_NN_GRU) || call->fused || !call->in[0].batched) return FW_OK;
    for (uint32_t i = 1; i < 5; i++)
        if (call->in[i].batched) return FW_OK;
    for (uint32_t i = 5; i < call->input_count; i++)
        if (!call->in[i].batched) return FW_OK;
    *out = (fw_nn_choice){.kernel = is_lstm ? lstm : gru,
                          .scratch_bytes = scratch_bytes(call, is_lstm ? 4 : 3, !is_lstm)};
    return FW_OK;
}
