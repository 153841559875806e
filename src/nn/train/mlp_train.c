#include "nn/train/mlp_train.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "nn/run/kernels.h"

uint32_t fw_mlp_parameters(fw_mlp_shape s) {
    return s.in * s.hidden + s.hidden + s.hidden * s.hidden + s.hidden + s.hidden * s.out + s.out;
}

/* Where each part of the flat vector begins. */
typedef struct parts {
    uint32_t w0, b0, w1, b1, w2, b2;
} parts;

static parts parts_of(fw_mlp_shape s) {
    parts p = {.w0 = 0};
    p.b0 = s.in * s.hidden;
    p.w1 = p.b0 + s.hidden;
    p.b1 = p.w1 + s.hidden * s.hidden;
    p.w2 = p.b1 + s.hidden;
    p.b2 = p.w2 + s.hidden * s.out;
    return p;
}

static void init_matrix(float *w, uint32_t m, uint32_t n, float scale, fw_random *r) {
    for (uint32_t i = 0; i < m * n; i++) w[i] = scale * fw_random_normal(r) / sqrtf((float)m);
}

void fw_mlp_init(fw_mlp_shape s, float *params, uint64_t seed) {
    parts p = parts_of(s);
    fw_random r = fw_random_named(seed, "mlp/init");
    memset(params, 0, fw_mlp_parameters(s) * sizeof *params);
    init_matrix(params + p.w0, s.in, s.hidden, 1.0f, &r);
    init_matrix(params + p.w1, s.hidden, s.hidden, 1.0f, &r);
    init_matrix(params + p.w2, s.hidden, s.out, 0.01f, &r);
}

void fw_mlp_pack(const fw_mlp *mlp, float *params) {
    fw_mlp_shape s = {mlp->in, mlp->hidden, mlp->out};
    parts p = parts_of(s);
    memcpy(params + p.w0, mlp->w0, s.in * s.hidden * sizeof(float));
    memcpy(params + p.b0, mlp->b0, s.hidden * sizeof(float));
    memcpy(params + p.w1, mlp->w1, s.hidden * s.hidden * sizeof(float));
    memcpy(params + p.b1, mlp->b1, s.hidden * sizeof(float));
    memcpy(params + p.w2, mlp->w2, s.hidden * s.out * sizeof(float));
    memcpy(params + p.b2, mlp->b2, s.out * sizeof(float));
}

void fw_mlp_unpack(fw_mlp_shape s, const float *params, fw_mlp *mlp) {
    parts p = parts_of(s);
    memset(mlp, 0, sizeof *mlp);
    mlp->in = s.in, mlp->hidden = s.hidden, mlp->out = s.out;
    memcpy(mlp->w0, params + p.w0, s.in * s.hidden * sizeof(float));
    memcpy(mlp->b0, params + p.b0, s.hidden * sizeof(float));
    memcpy(mlp->w1, params + p.w1, s.hidden * s.hidden * sizeof(float));
    memcpy(mlp->b1, params + p.b1, s.hidden * sizeof(float));
    memcpy(mlp->w2, params + p.w2, s.hidden * s.out * sizeof(float));
    memcpy(mlp->b2, params + p.b2, s.out * sizeof(float));
}

enum { ROWS = 6, LANES = 8 };
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));

/* c (rows, n) = a b, for at most ROWS rows and a strip of 2 * LANES columns held in registers.
 * a(i, k) = a[i * a_row + k * a_col]. */
static inline __attribute__((always_inline)) void strip(uint32_t rows, uint32_t depth,
                                                         const float *a, uint32_t a_row,
                                                         uint32_t a_col, const float *b,
                                                         uint32_t n, float *c, uint32_t c_row) {
    lanes low[ROWS] = {0}, high[ROWS] = {0};
    for (uint32_t k = 0; k < depth; k++) {
        lanes b0 = *(const lanes *)(b + (size_t)k * n), b1 = *(const lanes *)(b + (size_t)k * n + LANES);
        for (uint32_t i = 0; i < rows; i++) {
            float one = a[(size_t)i * a_row + (size_t)k * a_col];
            low[i] += one * b0;
            high[i] += one * b1;
        }
    }
    for (uint32_t i = 0; i < rows; i++) {
        *(lanes *)(c + (size_t)i * c_row) = low[i];
        *(lanes *)(c + (size_t)i * c_row + LANES) = high[i];
    }
}

/* Columns beyond the last full strip, one at a time. */
static inline void columns(uint32_t m, uint32_t from, uint32_t n, uint32_t depth, const float *a,
                           uint32_t a_row, uint32_t a_col, const float *b, float *c) {
    for (uint32_t i = 0; i < m; i++) {
        for (uint32_t j = from; j < n; j++) c[(size_t)i * n + j] = 0;
        for (uint32_t k = 0; k < depth; k++) {
            float one = a[(size_t)i * a_row + (size_t)k * a_col];
            for (uint32_t j = from; j < n; j++) c[(size_t)i * n + j] += one * b[(size_t)k * n + j];
        }
    }
}

/* c (m, n) = a (m, depth; strided) b (depth, n) */
FW_KERNEL static void multiply(uint32_t m, uint32_t n, uint32_t depth, const float *a,
                               uint32_t a_row, uint32_t a_col, const float *b, float *c) {
    uint32_t whole = n / (2 * LANES) * (2 * LANES);
    for (uint32_t j = 0; j < whole; j += 2 * LANES) {
        uint32_t i = 0;
        for (; i + ROWS <= m; i += ROWS)
            strip(ROWS, depth, a + (size_t)i * a_row, a_row, a_col, b + j, n,
                  c + (size_t)i * n + j, n);
        for (; i < m; i++)
            strip(1, depth, a + (size_t)i * a_row, a_row, a_col, b + j, n, c + (size_t)i * n + j, n);
    }
    if (whole < n) columns(m, whole, n, depth, a, a_row, a_col, b, c);
}

FW_KERNEL static void bias_tanh(float *y, const float *b, uint32_t rows, uint32_t n) {
    for (uint32_t i = 0; i < rows; i++)
        for (uint32_t j = 0; j < n; j++) y[i * n + j] = fw_tanh(y[i * n + j] + b[j]);
}

void fw_mlp_forward(fw_mlp_shape s, const float *params, uint32_t rows, const float *x, float *h0,
                    float *h1, float *y) {
    parts p = parts_of(s);
    multiply(rows, s.hidden, s.in, x, s.in, 1, params + p.w0, h0);
    bias_tanh(h0, params + p.b0, rows, s.hidden);
    multiply(rows, s.hidden, s.hidden, h0, s.hidden, 1, params + p.w1, h1);
    bias_tanh(h1, params + p.b1, rows, s.hidden);
    multiply(rows, s.out, s.hidden, h1, s.hidden, 1, params + p.w2, y);
    for (uint32_t i = 0; i < rows; i++)
        for (uint32_t j = 0; j < s.out; j++) y[i * s.out + j] += params[p.b2 + j];
}

/* db (n) = column sums of d (rows, n) */
FW_KERNEL static void column_sums(const float *d, uint32_t rows, uint32_t n, float *db) {
    for (uint32_t j = 0; j < n; j++) db[j] = 0;
    for (uint32_t i = 0; i < rows; i++)
        for (uint32_t j = 0; j < n; j++) db[j] += d[i * n + j];
}

/* d (rows, n): through tanh, whose output was h. */
FW_KERNEL static void through_tanh(float *d, const float *h, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) d[i] *= 1 - h[i] * h[i];
}

/* d_in (rows, m) = d (rows, n) w^T, with w (m, n): transposed once into t (n, m). */
static void back_through(const float *d, const float *w, uint32_t rows, uint32_t m, uint32_t n,
                         float *d_in) {
    float t[FW_MLP_HIDDEN_MAX * FW_MLP_HIDDEN_MAX];
    for (uint32_t i = 0; i < m; i++)
        for (uint32_t j = 0; j < n; j++) t[j * m + i] = w[i * n + j];
    multiply(rows, m, n, d, n, 1, t, d_in);
}

void fw_mlp_backward(fw_mlp_shape s, const float *params, uint32_t rows, const float *x,
                     const float *h0, const float *h1, const float *dy, float *grad,
                     float *scratch) {
    parts p = parts_of(s);
    float *d1 = scratch, *d0 = scratch + (size_t)rows * s.hidden;
    multiply(s.hidden, s.out, rows, h1, 1, s.hidden, dy, grad + p.w2);
    column_sums(dy, rows, s.out, grad + p.b2);
    back_through(dy, params + p.w2, rows, s.hidden, s.out, d1);
    through_tanh(d1, h1, rows * s.hidden);
    multiply(s.hidden, s.hidden, rows, h0, 1, s.hidden, d1, grad + p.w1);
    column_sums(d1, rows, s.hidden, grad + p.b1);
    back_through(d1, params + p.w1, rows, s.hidden, s.hidden, d0);
    through_tanh(d0, h0, rows * s.hidden);
    multiply(s.in, s.hidden, rows, x, 1, s.in, d0, grad + p.w0);
    column_sums(d0, rows, s.hidden, grad + p.b0);
}

void fw_adam_step(fw_adam *adam, float *params, const float *grad, float rate, float max_norm) {
    const float beta1 = 0.9f, beta2 = 0.999f, tiny = 1e-5f;
    double norm2 = 0;
    for (uint32_t i = 0; i < adam->count; i++) norm2 += (double)grad[i] * (double)grad[i];
    float norm = (float)sqrt(norm2), scale = norm > max_norm ? max_norm / norm : 1.0f;
    adam->steps++;
    float fix1 = 1 - powf(beta1, (float)adam->steps), fix2 = 1 - powf(beta2, (float)adam->steps);
    for (uint32_t i = 0; i < adam->count; i++) {
        float g = grad[i] * scale;
        adam->m[i] = beta1 * adam->m[i] + (1 - beta1) * g;
        adam->v[i] = beta2 * adam->v[i] + (1 - beta2) * g * g;
        params[i] -= rate * (adam->m[i] / fix1) / (sqrtf(adam->v[i] / fix2) + tiny);
    }
}
