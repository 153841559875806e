/* grad_kernels_dense.c - reference gradients of linear, convolution, pooling and lookups. */
#include <math.h>

#include "nn/train/grad_ops.h"

/* dx = dy w */
void fw_nn_kernel_LINEAR_GRAD_X(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0), *w = fw_nn_in(call, 1);
    float *dx = fw_nn_out(call, 0);
    size_t out = call->in[1].shape.d[0], in = call->in[1].shape.d[1];
    size_t rows = fw_nn_total(call, &call->in[0]) / out;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < in; i++) {
            float sum = 0;
            for (size_t o = 0; o < out; o++) sum += dy[r * out + o] * w[o * in + i];
            dx[r * in + i] = sum;
        }
}

/* dw = dy^T x */
void fw_nn_kernel_LINEAR_GRAD_W(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0), *x = fw_nn_in(call, 1);
    float *dw = fw_nn_out(call, 0);
    size_t out = call->out[0].shape.d[0], in = call->out[0].shape.d[1];
    size_t rows = fw_nn_total(call, &call->in[1]) / in;
    fw_nn_start_sum(call, 0);
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < out; o++)
            for (size_t i = 0; i < in; i++) dw[o * in + i] += dy[r * out + o] * x[r * in + i];
}

/* One place of a convolution: output (o, oy, ox) reads input (c, iy, ix) by weight. */
typedef struct conv_place {
    size_t dy, x, w; /* indexes into one example's arrays, and into the weights */
} conv_place;
typedef void conv_visit(void *self, const conv_place *place);

typedef struct conv_sizes {
    fw_nn_shape x, w, y;
    const int32_t *attr;
} conv_sizes;

static void visit_window(const conv_sizes *s, size_t o, size_t oy, size_t ox, conv_visit *visit,
                         void *self) {
    size_t group = o / (s->w.d[0] / (size_t)s->attr[4]), channels = s->w.d[1];
    for (size_t c = 0; c < channels; c++)
        for (size_t ky = 0; ky < s->w.d[2]; ky++)
            for (size_t kx = 0; kx < s->w.d[3]; kx++) {
                size_t iy = oy * (size_t)s->attr[0] + ky - (size_t)s->attr[2];
                size_t ix = ox * (size_t)s->attr[1] + kx - (size_t)s->attr[3];
                if (iy >= s->x.d[1] || ix >= s->x.d[2]) continue;
                visit(self, &(conv_place){
                                .dy = (o * s->y.d[1] + oy) * s->y.d[2] + ox,
                                .x = ((group * channels + c) * s->x.d[1] + iy) * s->x.d[2] + ix,
                                .w = ((o * channels + c) * s->w.d[2] + ky) * s->w.d[3] + kx});
            }
}

static void visit_all(const conv_sizes *s, conv_visit *visit, void *self) {
    for (size_t o = 0; o < s->y.d[0]; o++)
        for (size_t oy = 0; oy < s->y.d[1]; oy++)
            for (size_t ox = 0; ox < s->y.d[2]; ox++) visit_window(s, o, oy, ox, visit, self);
}

typedef struct conv_sum {
    const float *dy, *other;
    float *out;
} conv_sum;

static void add_x(void *self, const conv_place *at) {
    const conv_sum *s = self;
    s->out[at->x] += s->dy[at->dy] * s->other[at->w];
}
static void add_w(void *self, const conv_place *at) {
    const conv_sum *s = self;
    s->out[at->w] += s->dy[at->dy] * s->other[at->x];
}

void fw_nn_kernel_CONV_GRAD_X(const fw_nn_call *call) {
    conv_sizes s = {call->in[2].shape, call->in[1].shape, call->in[0].shape, call->attr->i};
    fw_nn_start_sum(call, 0);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++) {
        conv_sum sum = {fw_nn_in(call, 0) + n * fw_nn_elements(s.y), fw_nn_in(call, 1),
                        fw_nn_out(call, 0) + n * fw_nn_elements(s.x)};
        visit_all(&s, add_x, &sum);
    }
}

void fw_nn_kernel_CONV_GRAD_W(const fw_nn_call *call) {
    conv_sizes s = {call->in[1].shape, call->in[2].shape, call->in[0].shape, call->attr->i};
    fw_nn_start_sum(call, 0);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++) {
        conv_sum sum = {fw_nn_in(call, 0) + n * fw_nn_elements(s.y),
                        fw_nn_in(call, 1) + n * fw_nn_elements(s.x), fw_nn_out(call, 0)};
        visit_all(&s, add_w, &sum);
    }
}

void fw_nn_kernel_CHANNEL_SUM(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0);
    size_t channels = call->in[0].shape.d[0], each = fw_nn_elements(call->in[0].shape) / channels;
    fw_nn_start_sum(call, 0);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++)
        for (size_t c = 0; c < channels; c++) {
            float sum = 0;
            for (size_t i = 0; i < each; i++) sum += *dy++;
            fw_nn_out(call, 0)[c] += sum;
        }
}

/* ---- pooling ---- */

typedef struct pool_sizes {
    size_t high, wide, kernel_y, kernel_x, stride_y, stride_x, pad_y, pad_x;
} pool_sizes;

static void spread_max(const pool_sizes *s, const float *x, float dy, size_t oy, size_t ox,
                       float *dx) {
    size_t best = SIZE_MAX;
    for (size_t k = 0; k < s->kernel_y * s->kernel_x; k++) {
        size_t iy = oy * s->stride_y + k / s->kernel_x - s->pad_y;
        size_t ix = ox * s->stride_x + k % s->kernel_x - s->pad_x;
        if (iy >= s->high || ix >= s->wide) continue;
        if (best == SIZE_MAX || x[iy * s->wide + ix] > x[best]) best = iy * s->wide + ix;
    }
    if (best != SIZE_MAX) dx[best] += dy;
}

static void spread_mean(const pool_sizes *s, float dy, size_t oy, size_t ox, float *dx) {
    size_t count = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t k = 0; k < s->kernel_y * s->kernel_x; k++) {
            size_t iy = oy * s->stride_y + k / s->kernel_x - s->pad_y;
            size_t ix = ox * s->stride_x + k % s->kernel_x - s->pad_x;
            if (iy >= s->high || ix >= s->wide) continue;
            if (pass == 0)
                count++;
            else
                dx[iy * s->wide + ix] += dy / (float)count;
        }
}

static void pool_grad(const fw_nn_call *call, bool largest) {
    const int32_t *a = call->attr->i;
    const fw_nn_shape x = call->in[1].shape, y = call->in[0].shape;
    const pool_sizes s = {x.d[1], x.d[2], (size_t)a[0], (size_t)a[1],
                          (size_t)a[2], (size_t)a[3], (size_t)a[4], (size_t)a[5]};
    const float *dy = fw_nn_in(call, 0);
    fw_nn_start_sum(call, 0);
    for (size_t p = 0; p < fw_nn_arrays(call, &call->in[0]) * x.d[0]; p++) {
        float *dx = fw_nn_out(call, 0) + p * s.high * s.wide;
        for (size_t at = 0; at < (size_t)y.d[1] * y.d[2]; at++, dy++) {
            if (largest)
                spread_max(&s, fw_nn_in(call, 1) + p * s.high * s.wide, *dy, at / y.d[2],
                           at % y.d[2], dx);
            else
                spread_mean(&s, *dy, at / y.d[2], at % y.d[2], dx);
        }
    }
}

void fw_nn_kernel_MAX_POOL_GRAD(const fw_nn_call *call) {
    pool_grad(call, true);
}
void fw_nn_kernel_MEAN_POOL_GRAD(const fw_nn_call *call) {
    pool_grad(call, false);
}

/* ---- lookups ---- */

void fw_nn_kernel_EMBEDDING_GRAD(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0);
    const int32_t *ids = call->in[1].data;
    size_t width = call->in[2].shape.d[1];
    fw_nn_start_sum(call, 0);
    for (size_t i = 0; i < fw_nn_total(call, &call->in[1]); i++, dy += width) {
        if ((uint32_t)ids[i] >= call->in[2].shape.d[0]) continue;
        float *row = fw_nn_out(call, 0) + (size_t)ids[i] * width;
        for (size_t c = 0; c < width; c++) row[c] += dy[c];
    }
}

void fw_nn_kernel_GATHER_GRAD(const fw_nn_call *call) {
    const float *dy = fw_nn_in(call, 0);
    size_t members = call->in[2].shape.d[0], width = call->in[2].shape.d[1];
    size_t chosen = call->in[1].shape.d[0];
    fw_nn_start_sum(call, 0);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++) {
        const int32_t *ids =
            (const int32_t *)call->in[1].data + (call->in[1].batched ? n * chosen : 0);
        float *dx = fw_nn_out(call, 0) + (call->out[0].batched ? n * members * width : 0);
        for (size_t k = 0; k < chosen; k++, dy += width)
            for (size_t c = 0; (uint32_t)ids[k] < members && c < width; c++)
                dx[(size_t)ids[k] * width + c] += dy[c];
    }
}
