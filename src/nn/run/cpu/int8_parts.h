/* int8_parts.h - private to int8*.c.
 *
 *   int8.c         the backend: packing, linear, convolution      int8_numbers.c   fp32 to bytes and back
 *   int8_tiles.c   products of bytes, a variant per machine
 *
 * Four neighbours along K are a quad; a quad is what one instruction multiplies and adds. Weights lie in
 * panels of 16 outputs, a last one of 8 where these suffice:
 *
 *   panel   quad 0: [o0: 4 bytes][o1]..[o15]   quad 1: ..          64 (32) bytes a quad
 *   row     4 bytes at row + places[0], 4 at row + places[1], ..   a linear layer's row, or a pixel's patch
 *
 * A convolution's image is [groups][channels / 4][high][wide][4], padded: the quads of a patch are read
 * where they lie, and its `places` are the same from every pixel.
 */
#ifndef FW_NN_RUN_INT8_PARTS_H
#define FW_NN_RUN_INT8_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/run/cpu/kernels.h"

/* Compiled for each x86 level like FW_KERNEL, but with no fused multiply-adds: the same bits everywhere. */
#if defined(FW_KERNEL_CLONES)
#define FW_INT8_KERNEL                                                                             \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"),                   \
                   optimize("O3", "fp-contract=off")))
#elif defined(__GNUC__) && !defined(__clang__)
#define FW_INT8_KERNEL __attribute__((optimize("O3", "fp-contract=off")))
#else
#define FW_INT8_KERNEL
#endif
#define FW_INT8_INLINE static inline __attribute__((always_inline))

enum { FW_INT8_ROWS = 8, FW_INT8_PANEL = 16, FW_INT8_HALF = 8 };

/* sums (count, stride) = rows (count) by panels of `outs` outputs. */
typedef struct fw_int8_product {
    const int8_t *rows[FW_INT8_ROWS];
    size_t count;           /* of rows, 1 .. FW_INT8_ROWS */
    const uint32_t *places; /* (quads) bytes from a row's start */
    size_t quads;
    const int8_t *panels;   /* 64-byte aligned */
    const int32_t *totals;  /* (outs) sum of each output's weights */
    size_t outs;            /* a multiple of 8 */
    bool negative;          /* whether any byte of the rows is below 0 */
    int32_t *sums;
    size_t stride;
} fw_int8_product;

typedef struct fw_int8_variant {
    const char *name;
    bool (*runs_here)(void);
    void (*multiply)(const fw_int8_product *product);
} fw_int8_variant;

/* Best first; the last is portable C. NULL name ends it. */
extern const fw_int8_variant fw_int8_variants[];
const fw_int8_variant *fw_int8_best(void);

/* ---- numbers ---- */

enum { FW_INT8_NEGATIVE = 1, FW_INT8_NAN = 2 };
/* out[i] = x[i] * inverse, rounded to nearest, ties to even, at most +-127. Returns what was met. */
uint32_t fw_int8_quantise(const float *x, size_t count, float inverse, int8_t *out);
/* The same for four rows side by side: out (count, 4). */
uint32_t fw_int8_quantise4(const float *const x[4], const float inverse[4], size_t count,
                           int8_t *out);
/* y[i] = sums[i] * scale[i] + bias[i], at least 0 where `relu`. */
void fw_int8_finish(const int32_t *sums, const float *scale, const float *bias, size_t count,
                    bool relu, float *y);
/* The same turned: sums (pixels, FW_INT8_PANEL), y[o * plane + p]. */
void fw_int8_finish_turned(const int32_t *sums, const float *scale, const float *bias,
                           size_t pixels, size_t outs, bool relu, float *y, size_t plane);
bool fw_int8_activates(uint32_t op);
/* An activation, or the sum with another array; op 0 and RELU (done above): nothing. */
void fw_int8_activate(uint32_t op, float *y, const float *with, size_t count);

#endif
