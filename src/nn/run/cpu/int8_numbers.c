/* int8_numbers.c - fp32 to bytes, and sums back to fp32: loops that a compiler turns into vectors. */
#ifdef __clang__
#pragma clang fp contract(off) /* of GCC, FW_INT8_KERNEL says it */
#endif

#include <string.h>

#include "nn/run/graph.h"
#include "nn/run/cpu/int8_parts.h"
#include "nn/run/cpu/vector.h"

/* Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits. A NaN becomes 127. */
FW_INT8_INLINE uint32_t byte_of(float x, float inverse) {
    float t = x * inverse;
    t = t < 127.0f ? t : 127.0f;
    t = t > -127.0f ? t : -127.0f;
    t += 12582912.0f;
    uint32_t bits;
    memcpy(&bits, &t, sizeof bits);
    return bits & 255;
}

FW_INT8_INLINE uint32_t flags_of(uint32_t any, uint32_t nan) {
    return (any & 0x80808080u ? FW_INT8_NEGATIVE : 0) | (nan ? FW_INT8_NAN : 0);
}

FW_INT8_KERNEL uint32_t fw_int8_quantise(const float *x, size_t count, float inverse,
                                         int8_t *out) {
    uint32_t any = 0, nan = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t byte = byte_of(x[i], inverse);
        nan |= x[i] != x[i];
        any |= byte;
        out[i] = (int8_t)byte;
    }
    return flags_of(any, nan);
}

FW_INT8_KERNEL uint32_t fw_int8_quantise4(const float *const x[4], const float inverse[4],
                                          size_t count, int8_t *out) {
    const float *a = x[0], *b = x[1], *c = x[2], *d = x[3];
    float ia = inverse[0], ib = inverse[1], ic = inverse[2], id = inverse[3];
    uint32_t any = 0, nan = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t quad = byte_of(a[i], ia) | byte_of(b[i], ib) << 8 | byte_of(c[i], ic) << 16 |
                        byte_of(d[i], id) << 24;
        nan |= (uint32_t)(a[i] != a[i]) | (uint32_t)(b[i] != b[i]) | (uint32_t)(c[i] != c[i]) |
               (uint32_t)(d[i] != d[i]);
        any |= quad;
        memcpy(out + 4 * i, &quad, sizeof quad);
    }
    return flags_of(any, nan);
}

/* ---- back ---- */

FW_INT8_INLINE float finished(int32_t sum, float scale, float bias) {
    float y = (float)sum * scale;
    y += bias;
    return y;
}

FW_INT8_KERNEL void fw_int8_finish(const int32_t *sums, const float *scale, const float *bias,
                                   size_t count, bool relu, float *y) {
    if (relu)
        for (size_t i = 0; i < count; i++) {
            float value = finished(sums[i], scale[i], bias[i]);
            y[i] = value < 0 ? 0 : value;
        }
    else
        for (size_t i = 0; i < count; i++) y[i] = finished(sums[i], scale[i], bias[i]);
}

typedef float v4 __attribute__((vector_size(16)));
typedef float v4u __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t i4 __attribute__((vector_size(16)));
typedef int32_t i4u __attribute__((vector_size(16), aligned(4), may_alias));
#ifdef __clang__
#define SHUFFLE4(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE4(a, b, ...) __builtin_shuffle(a, b, (i4){__VA_ARGS__})
#endif

/* Four pixels of four outputs. */
FW_INT8_INLINE void turn4(const int32_t *sums, const float *scale, const float *bias, bool relu,
                         float *y, size_t plane) {
    v4 r[4];
    for (int i = 0; i < 4; i++) {
        r[i] = __builtin_convertvector(*(const i4u *)(sums + i * FW_INT8_PANEL), v4);
        r[i] *= *(const v4u *)scale;
        r[i] += *(const v4u *)bias;
        if (relu) r[i] = (v4)((i4)r[i] & ~(i4)(r[i] < 0));
    }
    v4 a = SHUFFLE4(r[0], r[1], 0, 4, 1, 5), b = SHUFFLE4(r[0], r[1], 2, 6, 3, 7);
    v4 c = SHUFFLE4(r[2], r[3], 0, 4, 1, 5), d = SHUFFLE4(r[2], r[3], 2, 6, 3, 7);
    *(v4u *)y = SHUFFLE4(a, c, 0, 1, 4, 5);
    *(v4u *)(y + plane) = SHUFFLE4(a, c, 2, 3, 6, 7);
    *(v4u *)(y + 2 * plane) = SHUFFLE4(b, d, 0, 1, 4, 5);
    *(v4u *)(y + 3 * plane) = SHUFFLE4(b, d, 2, 3, 6, 7);
}

FW_INT8_KERNEL void fw_int8_finish_turned(const int32_t *sums, const float *scale,
                                          const float *bias, size_t pixels, size_t outs, bool relu,
                                          float *y, size_t plane) {
    size_t p4 = pixels / 4 * 4, o4 = outs / 4 * 4;
    for (size_t p = 0; p < p4; p += 4)
        for (size_t o = 0; o < o4; o += 4)
            turn4(sums + p * FW_INT8_PANEL + o, scale + o, bias + o, relu, y + o * plane + p, plane);
    for (size_t o = 0; o < outs; o++)
        for (size_t p = o < o4 ? p4 : 0; p < pixels; p++) {
            float value = finished(sums[p * FW_INT8_PANEL + o], scale[o], bias[o]);
            y[o * plane + p] = relu && value < 0 ? 0 : value;
        }
}

/* ---- activations ---- */

#define EACH(name, expression)                                                                     \
    FW_INT8_KERNEL static void name(float *y, size_t count) {                                      \
        for (size_t i = 0; i < count; i++) {                                                       \
            float x = y[i];                                                                        \
            y[i] = expression;                                                                     \
        }                                                                                          \
    }
EACH(each_tanh, fw_tanh_exact(x))
EACH(each_sigmoid, fw_sigmoid(x))
EACH(each_gelu, fw_gelu(x))
EACH(each_silu, x *fw_sigmoid(x))

FW_INT8_KERNEL static void add_to(float *y, const float *with, size_t count) {
    for (size_t i = 0; i < count; i++) y[i] += with[i];
}

bool fw_int8_activates(uint32_t op) {
    return op == 0 || op == FW_NN_RELU || op == FW_NN_TANH || op == FW_NN_SIGMOID ||
           op == FW_NN_GELU || op == FW_NN_SILU || op == FW_NN_ADD;
}

void fw_int8_activate(uint32_t op, float *y, const float *with, size_t count) {
    switch (op) {
    case FW_NN_TANH: each_tanh(y, count); break;
    case FW_NN_SIGMOID: each_sigmoid(y, count); break;
    case FW_NN_GELU: each_gelu(y, count); break;
    case FW_NN_SILU: each_silu(y, count); break;
    case FW_NN_ADD: add_to(y, with, count); break;
    default: break;
    }
}
