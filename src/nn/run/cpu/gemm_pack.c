/* gemm_pack.c - copies of A and B in the order in which tiles read them. */
#include <string.h>

#include "nn/run/cpu/gemm_parts.h"
#include "nn/run/cpu/vector.h"

enum { COLUMNS = FW_GEMM_TILE_COLUMNS, ROWS = FW_GEMM_TILE_ROWS };

/* One panel: out[k][j] = b[k * b_row + j * b_column], zeros beyond `columns`. */
static void pack_some(size_t depth, size_t columns, const float *b, size_t b_row, size_t b_column,
                      float *out) {
    for (size_t k = 0; k < depth; k++, out += COLUMNS) {
        for (size_t j = 0; j < columns; j++) out[j] = b[k * b_row + j * b_column];
        for (size_t j = columns; j < COLUMNS; j++) out[j] = 0;
    }
}

FW_KERNEL static void pack_rows(size_t depth, const float *b, size_t b_row, float *out) {
    for (size_t k = 0; k < depth; k++, b += b_row, out += COLUMNS) {
        FW_STORE8(out, FW_LOAD8(b));
        FW_STORE8(out + 8, FW_LOAD8(b + 8));
    }
}

#ifdef __clang__
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int32_t places8 __attribute__((vector_size(32)));
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (places8){__VA_ARGS__})
#endif
#define PAIRS_LOW(a, b) SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define PAIRS_HIGH(a, b) SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define HALVES_LOW(a, b) SHUFFLE(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define HALVES_HIGH(a, b) SHUFFLE(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define LANES_LOW(a, b) SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define LANES_HIGH(a, b) SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15)

/* out[k][j] = b[j * stride + k], for 8 of each: a transposition in registers. */
FW_KERNEL static void pack_turned(size_t depth, const float *b, size_t stride, float *out) {
    for (size_t k = 0; k < depth; k += 8)
        for (size_t j = 0; j < COLUMNS; j += 8) {
            const float *s = b + j * stride + k;
            float *to = out + k * COLUMNS + j;
            fw_v8 r0 = FW_LOAD8(s), r1 = FW_LOAD8(s + stride), r2 = FW_LOAD8(s + 2 * stride);
            fw_v8 r3 = FW_LOAD8(s + 3 * stride), r4 = FW_LOAD8(s + 4 * stride);
            fw_v8 r5 = FW_LOAD8(s + 5 * stride), r6 = FW_LOAD8(s + 6 * stride);
            fw_v8 r7 = FW_LOAD8(s + 7 * stride);
            fw_v8 a0 = PAIRS_LOW(r0, r1), a1 = PAIRS_HIGH(r0, r1), a2 = PAIRS_LOW(r2, r3);
            fw_v8 a3 = PAIRS_HIGH(r2, r3), a4 = PAIRS_LOW(r4, r5), a5 = PAIRS_HIGH(r4, r5);
            fw_v8 a6 = PAIRS_LOW(r6, r7), a7 = PAIRS_HIGH(r6, r7);
            fw_v8 b0 = HALVES_LOW(a0, a2), b1 = HALVES_HIGH(a0, a2), b2 = HALVES_LOW(a1, a3);
            fw_v8 b3 = HALVES_HIGH(a1, a3), b4 = HALVES_LOW(a4, a6), b5 = HALVES_HIGH(a4, a6);
            fw_v8 b6 = HALVES_LOW(a5, a7), b7 = HALVES_HIGH(a5, a7);
            FW_STORE8(to, LANES_LOW(b0, b4));
            FW_STORE8(to + COLUMNS, LANES_LOW(b1, b5));
            FW_STORE8(to + 2 * COLUMNS, LANES_LOW(b2, b6));
            FW_STORE8(to + 3 * COLUMNS, LANES_LOW(b3, b7));
            FW_STORE8(to + 4 * COLUMNS, LANES_HIGH(b0, b4));
            FW_STORE8(to + 5 * COLUMNS, LANES_HIGH(b1, b5));
            FW_STORE8(to + 6 * COLUMNS, LANES_HIGH(b2, b6));
            FW_STORE8(to + 7 * COLUMNS, LANES_HIGH(b3, b7));
        }
}

void fw_gemm_pack_b(const fw_gemm *g, size_t k0, size_t depth, size_t n0, size_t columns,
                    float *out, size_t panel) {
    for (size_t j = 0; j < columns; j += COLUMNS, out += panel) {
        const float *b = g->b + k0 * g->b_row + (n0 + j) * g->b_column;
        size_t count = columns - j < COLUMNS ? columns - j : COLUMNS;
        size_t even = depth / 8 * 8;
        if (count == COLUMNS && g->b_column == 1)
            pack_rows(depth, b, g->b_row, out);
        else if (count == COLUMNS && g->b_row == 1) {
            pack_turned(even, b, g->b_column, out);
            pack_some(depth - even, count, b + even, 1, g->b_column, out + even * COLUMNS);
        } else
            pack_some(depth, count, b, g->b_row, g->b_column, out);
    }
}

/* A whole block of columns of A^T: eight floats are stored where six belong, and the next k's take the
 * place of the two too many. The last k is left out. */
FW_KERNEL static void pack_six(size_t depth, size_t rows, const float *a, size_t a_column,
                               float *out) {
    for (size_t k = 0; k + 1 < depth; k++, a += a_column, out += ROWS)
        for (size_t i = 0; i + 8 <= rows; i += ROWS)
            FW_STORE8(out + i * depth, FW_LOAD8(a + i));
}

void fw_gemm_pack_a(const fw_gemm *g, size_t m0, size_t rows, size_t high, size_t k0, size_t depth,
                    float *out) {
    size_t row = g->a_row, column = g->a_column, done = 0;
    const float *a = g->a + m0 * row + k0 * column;
    if (row == 1 && high == ROWS && rows >= 8) {
        done = ((rows - 8) / ROWS + 1) * ROWS;
        pack_six(depth, rows, a, column, out);
        for (size_t i = 0; i < done; i += ROWS)
            memcpy(out + i * depth + (depth - 1) * ROWS, a + (depth - 1) * column + i,
                   ROWS * sizeof *out);
    }
    for (size_t i = done; i < rows; i += high) {
        size_t count = rows - i < high ? rows - i : high;
        for (size_t k = 0; k < depth; k++)
            for (size_t r = 0; r < count; r++)
                out[i * depth + k * count + r] = a[(i + r) * row + k * column];
    }
}
