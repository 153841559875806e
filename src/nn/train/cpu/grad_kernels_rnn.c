/* grad_kernels_rnn.c - reference gradients of GRU and LSTM: back through time. */
#include <math.h>
#include <string.h>

#include "nn/train/grad_ops.h"

size_t fw_nn_scratch_GRU_GRAD(const fw_nn_call *call);
size_t fw_nn_scratch_LSTM_GRAD(const fw_nn_call *call);

/* Sizes and rows of one example. */
typedef struct series {
    size_t steps, width, hidden, gates;
    const float *dy, *x, *w, *u, *y;
    const float *first; /* h0, or NULL */
    float *dx, *dw, *du, *db, *dc;
} series;

static series series_of(const fw_nn_call *call, size_t gates, size_t n, uint32_t first_input) {
    size_t steps = call->in[1].shape.d[0], width = call->in[1].shape.d[1];
    size_t hidden = call->in[3].shape.d[1];
    bool given = call->input_count > first_input;
    return (series){
        .steps = steps, .width = width, .hidden = hidden, .gates = gates,
        .dy = fw_nn_in(call, 0) + n * steps * hidden,
        .x = fw_nn_in(call, 1) + (call->in[1].batched ? n * steps * width : 0),
        .w = fw_nn_in(call, 2), .u = fw_nn_in(call, 3), .y = fw_nn_in(call, 4) + n * steps * hidden,
        .first = given ? fw_nn_in(call, first_input) +
                             (call->in[first_input].batched ? n * hidden : 0)
                       : NULL,
        .dx = fw_nn_out(call, 0) + (call->out[0].batched ? n * steps * width : 0),
        .dw = fw_nn_out(call, 1), .du = fw_nn_out(call, 2), .db = fw_nn_out(call, 3),
        .dc = fw_nn_out(call, 4)};
}

/* The state before step t; NULL: zeros. */
static const float *state_before(const series *s, size_t t) {
    return t > 0 ? s->y + (t - 1) * s->hidden : s->first;
}

/* Adds what the gates' gradients from_x and from_h (gates * H) give to weights, biases, x and h. */
static void spread(const series *s, size_t t, const float *from_x, const float *from_h,
                   float *dh) {
    const float *x = s->x + t * s->width, *h = state_before(s, t);
    float *dx = s->dx + t * s->width;
    for (size_t g = 0; g < s->gates * s->hidden; g++) {
        s->db[g] += from_x[g];
        s->dc[g] += from_h[g];
        for (size_t i = 0; i < s->width; i++) {
            s->dw[g * s->width + i] += from_x[g] * x[i];
            dx[i] += from_x[g] * s->w[g * s->width + i];
        }
        for (size_t j = 0; j < s->hidden; j++) {
            if (h) s->du[g * s->hidden + j] += from_h[g] * h[j];
            dh[j] += from_h[g] * s->u[g * s->hidden + j];
        }
    }
}

size_t fw_nn_scratch_GRU_GRAD(const fw_nn_call *call) {
    return 8 * (size_t)call->in[3].shape.d[1] * sizeof(float);
}

/* h = (1 - z) n + z h'; n = tanh(a + r q), q = U_n h' + c_n. dh in: of h; out: of h'. */
static void gru_back(const series *s, size_t t, const float *gates, float *dh, float *before,
                     float *from_x, float *from_h) {
    size_t H = s->hidden;
    const float *r = gates, *z = gates + H, *n = gates + 2 * H, *q = gates + 3 * H;
    const float *h = state_before(s, t);
    for (size_t j = 0; j < H; j++) {
        float dn = dh[j] * (1 - z[j]) * (1 - n[j] * n[j]);
        float dz = dh[j] * ((h ? h[j] : 0) - n[j]) * z[j] * (1 - z[j]);
        float dr = dn * q[j] * r[j] * (1 - r[j]);
        from_x[j] = from_h[j] = dr;
        from_x[H + j] = from_h[H + j] = dz;
        from_x[2 * H + j] = dn;
        from_h[2 * H + j] = dn * r[j];
        before[j] = dh[j] * z[j];
    }
    spread(s, t, from_x, from_h, before);
    memcpy(dh, before, H * sizeof *dh);
}

void fw_nn_kernel_GRU_GRAD(const fw_nn_call *call) {
    size_t hidden = call->in[3].shape.d[1], steps = call->in[1].shape.d[0];
    float *dh = call->scratch, *before = dh + hidden, *from_x = before + hidden;
    float *from_h = from_x + 3 * hidden;
    for (uint32_t i = 0; i < 6; i++) fw_nn_start_sum(call, i);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++) {
        series s = series_of(call, 3, n, 6);
        const float *gates = fw_nn_in(call, 5) + n * steps * 4 * hidden;
        memset(dh, 0, hidden * sizeof *dh);
        for (size_t t = steps; t-- > 0;) {
            for (size_t j = 0; j < hidden; j++) dh[j] += s.dy[t * hidden + j];
            gru_back(&s, t, gates + t * 4 * hidden, dh, before, from_x, from_h);
        }
        memcpy(fw_nn_out(call, 5) + n * hidden, dh, hidden * sizeof *dh);
    }
}

size_t fw_nn_scratch_LSTM_GRAD(const fw_nn_call *call) {
    return 7 * (size_t)call->in[3].shape.d[1] * sizeof(float);
}

/* c = f c' + i g; h = o tanh(c). dh in: of h, out: of h'; dcell likewise. */
static void lstm_back(const series *s, size_t t, const float *gates, const float *cell,
                      const float *cell_before, float *dh, float *dcell, float *before,
                      float *from) {
    size_t H = s->hidden;
    const float *i = gates, *f = gates + H, *g = gates + 2 * H, *o = gates + 3 * H;
    for (size_t j = 0; j < H; j++) {
        float bent = tanhf(cell[j]);
        float dc = dcell[j] + dh[j] * o[j] * (1 - bent * bent);
        from[j] = dc * g[j] * i[j] * (1 - i[j]);
        from[H + j] = dc * (cell_before ? cell_before[j] : 0) * f[j] * (1 - f[j]);
        from[2 * H + j] = dc * i[j] * (1 - g[j] * g[j]);
        from[3 * H + j] = dh[j] * bent * o[j] * (1 - o[j]);
        dcell[j] = dc * f[j];
        before[j] = 0;
    }
    spread(s, t, from, from, before);
    memcpy(dh, before, H * sizeof *dh);
}

void fw_nn_kernel_LSTM_GRAD(const fw_nn_call *call) {
    size_t hidden = call->in[3].shape.d[1], steps = call->in[1].shape.d[0];
    float *dh = call->scratch, *dcell = dh + hidden, *before = dcell + hidden;
    float *from = before + hidden;
    for (uint32_t i = 0; i < 7; i++) fw_nn_start_sum(call, i);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++) {
        series s = series_of(call, 4, n, 7);
        const float *cells = fw_nn_in(call, 5) + n * steps * hidden;
        const float *gates = fw_nn_in(call, 6) + n * steps * 4 * hidden;
        const float *first = call->input_count > 8
                                 ? fw_nn_in(call, 8) + (call->in[8].batched ? n * hidden : 0)
                                 : NULL;
        memset(dh, 0, 2 * hidden * sizeof *dh);
        for (size_t t = steps; t-- > 0;) {
            for (size_t j = 0; j < hidden; j++) dh[j] += s.dy[t * hidden + j];
            lstm_back(&s, t, gates + t * 4 * hidden, cells + t * hidden,
                      t > 0 ? cells + (t - 1) * hidden : first, dh, dcell, before, from);
        }
        memcpy(fw_nn_out(call, 5) + n * hidden, dh, hidden * sizeof *dh);
        memcpy(fw_nn_out(call, 6) + n * hidden, dcell, hidden * sizeof *dcell);
    }
}
