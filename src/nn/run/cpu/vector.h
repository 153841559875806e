/* vector.h - private to kernels: eight floats at a time in GCC's vector extensions, and exponentials
 * without libm that a compiler turns into vector code.
 *
 * fw_exp   exp(x) = 2^n e^r, |r| <= ln(2)/2 (Cody and Waite's reduction), e^r by a polynomial of degree 6,
 *          the one of least relative error (2e-9) with e^0 = 1: relative error < 3e-7 within
 *          (-87.3, 88.7), 0 below, infinity above.
 * fw_sigmoid, fw_tanh_exact   from it: absolute error < 3e-7.
 * Sums over a row run in eight strands, element i in strand i mod 8, added as ((0+4)+(2+6))+((1+5)+(3+7));
 * the order depends on the row's length alone.
 */
#ifndef FW_NN_RUN_VECTOR_H
#define FW_NN_RUN_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/run/cpu/kernels.h"

typedef float fw_v8 __attribute__((vector_size(32)));
typedef float fw_v8u __attribute__((vector_size(32), aligned(4), may_alias));

#define FW_LOAD8(p) (*(const fw_v8u *)(p))
#define FW_STORE8(p, v) (*(fw_v8u *)(p) = (v))
#define FW_SPREAD8(s) ((fw_v8){s, s, s, s, s, s, s, s})
#define FW_SUM8(v)                                                                                 \
    ((((v)[0] + (v)[4]) + ((v)[2] + (v)[6])) + (((v)[1] + (v)[5]) + ((v)[3] + (v)[7])))

typedef int32_t fw_i8 __attribute__((vector_size(32)));
#define FW_MAX8(a, b)                                                                              \
    ((fw_v8)(((fw_i8)(a) & (fw_i8)((a) > (b))) | ((fw_i8)(b) & ~(fw_i8)((a) > (b)))))

#ifdef __clang__
#define FW_SHUFFLE8(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define FW_SHUFFLE8(a, b, ...) __builtin_shuffle(a, b, (fw_i8){__VA_ARGS__})
#endif
/* Of the sixteen a b: every second one from 0, from 1; a0 b0 a1 b1 .. a3 b3, a4 b4 .. a7 b7. */
#define FW_EVEN8(a, b) FW_SHUFFLE8(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define FW_ODD8(a, b) FW_SHUFFLE8(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#define FW_ZIP_LOW8(a, b) FW_SHUFFLE8(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define FW_ZIP_HIGH8(a, b) FW_SHUFFLE8(a, b, 4, 12, 5, 13, 6, 14, 7, 15)

/* into = the sum over c in [0, width): `eight` is its term for c .. c + 7, `one` for c alone. */
#define FW_ROW_SUM(into, width, eight, one)                                                        \
    do {                                                                                           \
        fw_v8 sum_ = {0};                                                                          \
        size_t c = 0;                                                                              \
        for (; c + 8 <= (width); c += 8) sum_ += (eight);                                          \
        float total_ = FW_SUM8(sum_);                                                              \
        for (; c < (width); c++) total_ += (one);                                                  \
        (into) = total_;                                                                           \
    } while (0)

static inline float fw_row_max(const float *x, size_t width) {
    fw_v8 most = FW_SPREAD8(-INFINITY);
    float best = -INFINITY;
    size_t c = 0;
    for (; c + 8 <= width; c += 8) {
        fw_v8 next = FW_LOAD8(x + c);
        most = FW_MAX8(next, most);
    }
    for (int i = 0; i < 8; i++) best = most[i] > best ? most[i] : best;
    for (; c < width; c++) best = x[c] > best ? x[c] : best;
    return best;
}

/* Any number for an x that is out of the bounds above. */
static inline float fw_exp_within(float x) {
    union {
        float f;
        int32_t i;
    } turns, power;
    turns.f = x * 1.44269504f + 12582912.0f; /* rounds to an integer in the low bits */
    float n = turns.f - 12582912.0f;
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.384364399e-3f;
    p = p * r + 8.374163393e-3f;
    p = p * r + 4.166800258e-2f;
    p = p * r + 0.1666643117f;
    p = p * r + 0.4999999421f;
    p = p * r + 1.000000032f;
    power.f = p * r + 1.0f;
    power.i = (int32_t)((uint32_t)power.i + ((uint32_t)turns.i << 23)); /* times 2^n */
    return power.f;
}
static inline float fw_exp(float x) {
    float power = fw_exp_within(x);
    power = x < -87.3f ? 0.0f : power;
    return x > 88.7f ? INFINITY : power;
}

static inline float fw_sigmoid(float x) {
    float share = 1.0f / (1.0f + fw_exp_within(-x));
    share = x > 87.0f ? 1.0f : share;
    return x < -87.0f ? 0.0f : share;
}
static inline float fw_tanh_exact(float x) {
    return 2.0f * fw_sigmoid(2.0f * x) - 1.0f;
}
/* Abramowitz and Stegun 1964, 7.1.26, whose own error is 1.5e-7. */
static inline float fw_erf(float x) {
    float a = x < 0 ? -x : x;
    a = a > 9.0f ? 9.0f : a; /* NaN stays, infinity is 1 all the same */
    float t = 1.0f / (1.0f + 0.3275911f * a);
    float p = 1.061405429f * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    float y = 1.0f - p * t * fw_exp_within(-a * a);
    return x < 0 ? -y : y;
}
/* The tanh form (Hendrycks and Gimpel 2016): x sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3). */
static inline float fw_gelu(float x) {
    return x * fw_sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
}
static inline float fw_gelu_slope(float x) {
    float s = fw_sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
    return s + x * s * (1.0f - s) * 1.59576912f * (1.0f + 0.134145f * x * x);
}
static inline float fw_silu_slope(float x) {
    float s = fw_sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}

#endif
