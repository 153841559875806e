/* fast_rnn.c - LSTM and GRU with all examples of a run in each time step: one matrix product a step
 * instead of one row at a time.
 *
 *   LSTM   gates (B T, 4H) = X W^T + b + c        once, written where the gradient wants them
 *          gates[:, t]    += Y[:, t-1] U^T         per step, added on the way through the activations
 *          cells, Y        = element-wise
 *   GRU    from x and from h apart (its n gate multiplies what comes from h)
 *
 * W, U and the LSTM's b + c lie packed: by the plan, or in the scratch at the start of a call.
 */
#include <string.h>

#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/gemm.h"
#include "nn/run/cpu/vector.h"

typedef struct series {
    size_t rows, steps, width, hidden;
    const float *x, *b, *c, *h0, *c0; /* h0, c0: (B, H), or NULL */
    float *y;
    const float *pack_w, *pack_u, *bias;
    float *from_x, *from_h; /* in the scratch */
    void *scratch;
} series;

static float *next(float **at, size_t floats) {
    float *out = *at;
    *at += (floats + 15) / 16 * 16;
    return out;
}

/* (gates H), which is 3 H or 4 H */
static size_t wide_of(const fw_nn_call *call) {
    return call->in[1].shape.d[0];
}

static size_t packed_floats(const fw_nn_call *call, size_t part) {
    size_t wide = wide_of(call);
    size_t floats = part == 2 ? wide : fw_gemm_packed_floats(wide, call->in[1 + part].shape.d[1]);
    return (floats + 15) / 16 * 16;
}

static size_t packed_bytes(const fw_nn_call *call) {
    return (packed_floats(call, 0) + packed_floats(call, 1) + packed_floats(call, 2)) * sizeof(float);
}

static void pack(const fw_nn_call *call, void *packed) {
    size_t wide = wide_of(call);
    float *at = packed;
    for (uint32_t part = 0; part < 2; part++) {
        size_t width = call->in[1 + part].shape.d[1];
        fw_gemm_pack(&(fw_gemm){.n = wide, .k = width, .b = fw_nn_in(call, 1 + part), .b_row = 1,
                                .b_column = width}, at);
        at += packed_floats(call, part);
    }
    for (size_t j = 0; j < wide; j++) at[j] = fw_nn_in(call, 3)[j] + fw_nn_in(call, 4)[j];
}

static series series_of(const fw_nn_call *call) {
    size_t width = call->in[0].shape.d[1], hidden = call->in[2].shape.d[1], wide = wide_of(call);
    float *at = (float *)((uint8_t *)call->scratch + FW_GEMM_SCRATCH_BYTES);
    series s = {.rows = call->rows, .steps = call->in[0].shape.d[0], .width = width,
                .hidden = hidden, .x = fw_nn_in(call, 0), .b = fw_nn_in(call, 3), .c = fw_nn_in(call, 4),
                .h0 = call->input_count > 5 ? fw_nn_in(call, 5) : NULL,
                .c0 = call->input_count > 6 ? fw_nn_in(call, 6) : NULL,
                .y = fw_nn_out(call, 0), .pack_w = call->packed, .scratch = call->scratch};
    if (!call->packed) {
        s.pack_w = next(&at, packed_bytes(call) / sizeof(float));
        pack(call, (void *)(uintptr_t)s.pack_w);
    }
    s.pack_u = s.pack_w + packed_floats(call, 0);
    s.bias = s.pack_u + packed_floats(call, 1);
    s.from_h = next(&at, s.rows * wide);
    s.from_x = next(&at, s.rows * wide); /* GRU's alone */
    return s;
}

/* The states before step t: where they are, and floats from one example to the next. */
static const float *state_before(const series *s, size_t t, size_t *stride) {
    *stride = t > 0 ? s->steps * s->hidden : s->hidden;
    return t > 0 ? s->y + (t - 1) * s->hidden : s->h0;
}

FW_KERNEL static void lstm_cell(float *restrict gates, const float *restrict from_h,
                                const float *restrict before, float *restrict cell,
                                float *restrict y, size_t hidden) {
    for (size_t j = 0; j < 2 * hidden; j++) gates[j] = fw_sigmoid(gates[j] + from_h[j]);
    for (size_t j = 2 * hidden; j < 3 * hidden; j++)
        gates[j] = fw_tanh_exact(gates[j] + from_h[j]);
    for (size_t j = 3 * hidden; j < 4 * hidden; j++) gates[j] = fw_sigmoid(gates[j] + from_h[j]);
    const float *i = gates, *f = gates + hidden, *g = gates + 2 * hidden, *o = gates + 3 * hidden;
    if (before)
        for (size_t j = 0; j < hidden; j++) cell[j] = f[j] * before[j] + i[j] * g[j];
    else
        for (size_t j = 0; j < hidden; j++) cell[j] = i[j] * g[j];
    for (size_t j = 0; j < hidden; j++) y[j] = o[j] * fw_tanh_exact(cell[j]);
}

static void lstm(const fw_nn_call *call) {
    series s = series_of(call);
    size_t H = s.hidden, wide = 4 * H, T = s.steps, stride;
    float *cells = fw_nn_out(call, 1), *gates = fw_nn_out(call, 2);
    fw_gemm_run(&(fw_gemm){.m = s.rows * T, .n = wide, .k = s.width, .a = s.x, .a_row = s.width,
                           .a_column = 1, .c = gates, .c_row = wide, .bias = s.bias,
                           .packed = s.pack_w, .scratch = s.scratch});
    fw_gemm by_h = {.m = s.rows, .n = wide, .k = H, .a_column = 1, .c = s.from_h, .c_row = wide,
                    .packed = s.pack_u, .scratch = s.scratch};
    memset(s.from_h, 0, s.rows * wide * sizeof(float)); /* where there is no state before */
    for (size_t t = 0; t < T; t++) {
        by_h.a = state_before(&s, t, &stride);
        by_h.a_row = stride;
        if (by_h.a) fw_gemm_run(&by_h);
        for (size_t n = 0; n < s.rows; n++) {
            size_t at = n * T + t;
            const float *before = t > 0 ? cells + (at - 1) * H : s.c0 ? s.c0 + n * H : NULL;
            lstm_cell(gates + at * wide, s.from_h + n * wide, before, cells + at * H,
                      s.y + at * H, H);
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
    series s = series_of(call);
    size_t H = s.hidden, wide = 3 * H, T = s.steps, stride;
    float *gates = fw_nn_out(call, 1);
    fw_gemm by_x = {.m = s.rows, .n = wide, .k = s.width, .a_row = T * s.width, .a_column = 1,
                    .c = s.from_x, .c_row = wide, .bias = s.b, .packed = s.pack_w,
                    .scratch = s.scratch};
    fw_gemm by_h = {.m = s.rows, .n = wide, .k = H, .a_column = 1, .c = s.from_h, .c_row = wide,
                    .bias = s.c, .packed = s.pack_u, .scratch = s.scratch};
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
    size_t floats = (is_lstm ? 1 : 2) * ((size_t)call->rows * wide_of(call) + 16);
    *out = (fw_nn_choice){.kernel = is_lstm ? lstm : gru,
                          .scratch_bytes = FW_GEMM_SCRATCH_BYTES + floats * sizeof(float)};
    if (call->in[1].packable && call->in[2].packable && call->in[3].packable && call->in[4].packable)
        out->pack = pack, out->packed_bytes = packed_bytes(call);
    else
        out->scratch_bytes += packed_bytes(call);
    return FW_OK;
}
