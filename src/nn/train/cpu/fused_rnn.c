/* fused_rnn.c - gradients of LSTM and GRU: back through time with all examples of a run in each step,
 * then the gradients of weights and inputs in one matrix product over all steps.
 *
 *   per step, last first   d gates = element-wise; dh (B, H) = d gates U
 *   at the end             [dW dU] += dG^T [X, states before]    db, dc += column sums    dX = dG W
 */
#include <string.h>

#include "nn/run/cpu/gemm.h"
#include "nn/run/cpu/vector.h"
#include "nn/train/cpu/fused.h"
#include "nn/train/grad_ops.h"

typedef struct series {
    size_t rows, steps, width, hidden, gates;
    const float *dy, *x, *y, *h0;
    const float *pack_u, *pack_w; /* by the plan, or in the scratch at the start of a call */
    float *sums;                /* (gates H) */
    float *dh, *dcell;          /* (B, H) */
    float *from_x, *from_h;     /* (B, T, gates H): gradients of the gates' sums; LSTM: the same */
    float *joined;              /* (B, T, width + H): what the gates were made of */
    float *products;            /* (gates H, width + H) LSTM's */
    void *scratch;
} series;

static float *next(float **at, size_t floats) {
    float *out = *at;
    *at += (floats + 15) / 16 * 16;
    return out;
}

static size_t packed_floats(const fw_nn_call *call, uint32_t in) {
    const uint32_t *d = call->in[in].shape.d;
    return (fw_gemm_packed_floats(d[1], d[0]) + 15) / 16 * 16;
}

static size_t packed_bytes(const fw_nn_call *call) {
    return (packed_floats(call, 2) + packed_floats(call, 3)) * sizeof(float);
}

/* U, then W: each the right-hand side of d gates. */
static void pack(const fw_nn_call *call, void *packed) {
    float *at = packed;
    for (uint32_t in = 3; in >= 2; in--) {
        const uint32_t *d = call->in[in].shape.d;
        fw_gemm_pack(&(fw_gemm){.n = d[1], .k = d[0], .b = fw_nn_in(call, in), .b_row = d[1],
                                .b_column = 1}, at);
        at += packed_floats(call, in);
    }
}

static series series_of(const fw_nn_call *call, size_t gates, uint32_t first_state) {
    size_t hidden = call->in[3].shape.d[1];
    float *at = (float *)((uint8_t *)call->scratch + FW_GEMM_SCRATCH_BYTES);
    series s = {.rows = call->rows, .steps = call->in[1].shape.d[0],
                .width = call->in[1].shape.d[1], .hidden = hidden, .gates = gates,
                .dy = fw_nn_in(call, 0), .x = fw_nn_in(call, 1), .y = fw_nn_in(call, 4),
                .h0 = call->input_count > first_state ? fw_nn_in(call, first_state) : NULL,
                .pack_u = call->packed, .scratch = call->scratch};
    size_t each = s.rows * s.steps * gates * hidden;
    if (!call->packed) {
        s.pack_u = next(&at, packed_bytes(call) / sizeof(float));
        pack(call, (void *)(uintptr_t)s.pack_u);
    }
    s.pack_w = s.pack_u + packed_floats(call, 3);
    s.dh = next(&at, s.rows * hidden);
    s.dcell = next(&at, s.rows * hidden);
    s.sums = next(&at, gates * hidden);
    s.from_x = next(&at, each);
    s.from_h = gates == 3 ? next(&at, each) : s.from_x;
    s.joined = next(&at, s.rows * s.steps * (s.width + hidden));
    s.products = next(&at, gates * hidden * (s.width + hidden));
    memset(s.dh, 0, s.rows * hidden * sizeof(float));
    memset(s.dcell, 0, s.rows * hidden * sizeof(float));
    return s;
}

static size_t scratch_bytes(const fw_nn_call *call, size_t gates) {
    size_t hidden = call->in[3].shape.d[1], rows = call->rows, wide = gates * hidden;
    size_t all = rows * call->in[1].shape.d[0], joined = call->in[1].shape.d[1] + hidden;
    size_t floats = 2 * rows * hidden + wide + (gates == 3 ? 2 : 1) * all * wide + all * joined +
                    wide * joined + 7 * 16;
    return FW_GEMM_SCRATCH_BYTES + floats * sizeof(float);
}

FW_KERNEL static void add_columns(const float *rows, size_t count, size_t width, float *sum) {
    size_t r = 0;
    for (; r + 4 <= count; r += 4, rows += 4 * width)
        for (size_t i = 0; i < width; i++)
            sum[i] += (rows[i] + rows[width + i]) + (rows[2 * width + i] + rows[3 * width + i]);
    for (; r < count; r++, rows += width)
        for (size_t i = 0; i < width; i++) sum[i] += rows[i];
}

FW_KERNEL static void add_to(const float *restrict x, size_t count, float *restrict sum) {
    for (size_t i = 0; i < count; i++) sum[i] += x[i];
}

static void join(const series *s) {
    float *to = s->joined;
    for (size_t n = 0; n < s->rows; n++)
        for (size_t t = 0; t < s->steps; t++, to += s->width + s->hidden) {
            size_t at = n * s->steps + t;
            const float *before = t > 0 ? s->y + (at - 1) * s->hidden
                                  : s->h0 ? s->h0 + n * s->hidden : NULL;
            memcpy(to, s->x + at * s->width, s->width * sizeof *to);
            if (before)
                memcpy(to + s->width, before, s->hidden * sizeof *to);
            else
                memset(to + s->width, 0, s->hidden * sizeof *to);
        }
}

/* dW and dU of all steps: for the LSTM one product, so that the gates' gradients are packed once. */
static void add_weights(const series *s, float *dw, float *du) {
    size_t wide = s->gates * s->hidden, both = s->width + s->hidden;
    fw_gemm g = {.m = wide, .n = both, .k = s->rows * s->steps, .a = s->from_x, .a_row = 1,
                 .a_column = wide, .b = s->joined, .b_row = both, .b_column = 1,
                 .c = s->products, .c_row = both, .scratch = s->scratch};
    join(s);
    if (s->from_h == s->from_x) {
        fw_gemm_run(&g);
        for (size_t j = 0; j < wide; j++) {
            add_to(s->products + j * both, s->width, dw + j * s->width);
            add_to(s->products + j * both + s->width, s->hidden, du + j * s->hidden);
        }
        return;
    }
    g.add = true;
    g.n = s->width, g.c = dw, g.c_row = s->width;
    fw_gemm_run(&g);
    g.a = s->from_h, g.b = s->joined + s->width, g.n = s->hidden, g.c = du, g.c_row = s->hidden;
    fw_gemm_run(&g);
}

/* dW, dU, db, dc, dX of all steps. */
static void spread(const fw_nn_call *call, const series *s) {
    size_t wide = s->gates * s->hidden, all = s->rows * s->steps;
    add_weights(s, fw_nn_out(call, 1), fw_nn_out(call, 2));
    memset(s->sums, 0, wide * sizeof(float));
    add_columns(s->from_x, all, wide, s->sums);
    add_to(s->sums, wide, fw_nn_out(call, 3));
    if (s->from_h != s->from_x) {
        memset(s->sums, 0, wide * sizeof(float));
        add_columns(s->from_h, all, wide, s->sums);
    }
    add_to(s->sums, wide, fw_nn_out(call, 4));
    fw_gemm_run(&(fw_gemm){.m = all, .n = s->width, .k = wide, .a = s->from_x, .a_row = wide,
                           .a_column = 1, .c = fw_nn_out(call, 0), .c_row = s->width,
                           .packed = s->pack_w, .scratch = s->scratch});
}

/* c = f c' + i g; h = o tanh(c). dh of h; dcell in: of c, out: of c'. */
FW_KERNEL static void lstm_cell(const float *restrict gates, const float *restrict cell,
                                const float *restrict before, const float *restrict dy,
                                const float *restrict dh, float *restrict dcell,
                                float *restrict from, size_t H) {
    const float *i = gates, *f = gates + H, *g = gates + 2 * H, *o = gates + 3 * H;
    for (size_t j = 0; j < H; j++) {
        float bent = fw_tanh_exact(cell[j]), d = dy[j] + dh[j];
        float dc = dcell[j] + d * o[j] * (1 - bent * bent);
        from[j] = dc * g[j] * i[j] * (1 - i[j]);
        from[2 * H + j] = dc * i[j] * (1 - g[j] * g[j]);
        from[3 * H + j] = d * bent * o[j] * (1 - o[j]);
        from[H + j] = dc * f[j] * (1 - f[j]);
        dcell[j] = dc * f[j];
    }
    if (!before) memset(from + H, 0, H * sizeof *from);
    for (size_t j = 0; before && j < H; j++) from[H + j] *= before[j];
}

static void lstm_grad(const fw_nn_call *call) {
    series s = series_of(call, 4, 7);
    size_t H = s.hidden, wide = 4 * H, T = s.steps;
    const float *cells = fw_nn_in(call, 5), *gates = fw_nn_in(call, 6);
    const float *c0 = call->input_count > 8 ? fw_nn_in(call, 8) : NULL;
    for (uint32_t i = 1; i < 5; i++) fw_nn_start_sum(call, i);
    fw_gemm back = {.m = s.rows, .n = H, .k = wide, .a_row = T * wide, .a_column = 1, .c = s.dh,
                    .c_row = H, .packed = s.pack_u, .scratch = s.scratch};
    for (size_t t = T; t-- > 0;) {
        for (size_t n = 0; n < s.rows; n++) {
            size_t at = n * T + t;
            const float *before = t > 0 ? cells + (at - 1) * H : c0 ? c0 + n * H : NULL;
            lstm_cell(gates + at * wide, cells + at * H, before, s.dy + at * H, s.dh + n * H,
                      s.dcell + n * H, s.from_x + at * wide, H);
        }
        back.a = s.from_x + t * wide;
        fw_gemm_run(&back);
    }
    memcpy(fw_nn_out(call, 5), s.dh, s.rows * H * sizeof(float));
    memcpy(fw_nn_out(call, 6), s.dcell, s.rows * H * sizeof(float));
    spread(call, &s);
}

/* h = (1 - z) n + z h'; n = tanh(a + r q), q = U_n h' + c_n. keep: what goes to h' beside U. */
FW_KERNEL static void gru_cell(const float *restrict gates, const float *restrict h,
                               const float *restrict dy, const float *restrict dh,
                               float *restrict keep, float *restrict from_x,
                               float *restrict from_h, size_t H) {
    const float *r = gates, *z = gates + H, *n = gates + 2 * H, *q = gates + 3 * H;
    for (size_t j = 0; j < H; j++) {
        float d = dy[j] + dh[j];
        float dn = d * (1 - z[j]) * (1 - n[j] * n[j]);
        float dr = dn * q[j] * r[j] * (1 - r[j]);
        from_x[j] = from_h[j] = dr;
        from_x[2 * H + j] = dn;
        from_h[2 * H + j] = dn * r[j];
        keep[j] = d * z[j];
        from_x[H + j] = d * z[j] * (1 - z[j]);
    }
    if (h)
        for (size_t j = 0; j < H; j++) from_x[H + j] *= h[j] - n[j];
    else
        for (size_t j = 0; j < H; j++) from_x[H + j] *= -n[j];
    memcpy(from_h + H, from_x + H, H * sizeof *from_h);
}

static void gru_grad(const fw_nn_call *call) {
    series s = series_of(call, 3, 6);
    size_t H = s.hidden, wide = 3 * H, T = s.steps;
    const float *gates = fw_nn_in(call, 5);
    for (uint32_t i = 1; i < 5; i++) fw_nn_start_sum(call, i);
    fw_gemm back = {.m = s.rows, .n = H, .k = wide, .a_row = T * wide, .a_column = 1, .c = s.dh,
                    .c_row = H, .packed = s.pack_u, .add = true, .scratch = s.scratch};
    for (size_t t = T; t-- > 0;) {
        for (size_t n = 0; n < s.rows; n++) {
            size_t at = n * T + t;
            const float *h = t > 0 ? s.y + (at - 1) * H : s.h0 ? s.h0 + n * H : NULL;
            gru_cell(gates + at * 4 * H, h, s.dy + at * H, s.dh + n * H, s.dcell + n * H,
                     s.from_x + at * wide, s.from_h + at * wide, H);
        }
        memcpy(s.dh, s.dcell, s.rows * H * sizeof(float));
        back.a = s.from_h + t * wide;
        fw_gemm_run(&back);
    }
    memcpy(fw_nn_out(call, 5), s.dh, s.rows * H * sizeof(float));
    spread(call, &s);
}

fw_status fw_fused_rnn(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                       fw_error *error) {
    (void)error;
    bool is_lstm = node->op == FW_NN_LSTM_GRAD;
    if ((!is_lstm && node->op != FW_NN_GRU_GRAD) || call->fused || !call->in[1].batched)
        return FW_OK;
    for (uint32_t i = 2; i < 4; i++)
        if (call->in[i].batched) return FW_OK;
    for (uint32_t i = is_lstm ? 7 : 6; i < call->input_count; i++)
        if (!call->in[i].batched) return FW_OK;
    *out = (fw_nn_choice){.kernel = is_lstm ? lstm_grad : gru_grad,
                          .scratch_bytes = scratch_bytes(call, is_lstm ? 4 : 3)};
    if (call->in[2].packable && call->in[3].packable)
        out->pack = pack, out->packed_bytes = packed_bytes(call);
    else
        out->scratch_bytes += packed_bytes(call);
    return FW_OK;
}
