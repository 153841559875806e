/* gemm.h - matrix products on one thread, in a workspace of the caller: the core of linear layers,
 * attention and recurrent networks, in inference and training.
 *
 *   C (M, N) = [C +] A (M, K) B (K, N) [+ bias (N)], then an epilogue on each finished tile
 *
 *      B, 384 x 256 at a time, packed            C in tiles of 6 x 16: twelve vectors of 8 in registers
 *      in panels of 16 columns                   for each k:  load 16 of B, and six times: one of A
 *        ┌────┬────┬────┐                                     repeated in a vector, multiplied, added
 *        │  0 │  1 │  2 │   A is read where it lies when its rows are contiguous, else packed
 *        └────┴────┴────┘   in panels of 6 rows
 *
 * Order of sums: each element of C adds its K products in ascending order within blocks of at most 384,
 * and the blocks in ascending order; bias last. It depends on K alone, never on threads or on M and N.
 * The tile is written in GCC's vector extensions: any machine compiles it, x86 picks AVX2 and FMA when
 * the program loads (kernels.h).
 */
#ifndef FW_NN_RUN_GEMM_H
#define FW_NN_RUN_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/run/cpu/kernels.h"

enum { FW_GEMM_TILE_ROWS = 6, FW_GEMM_TILE_COLUMNS = 16 };

typedef struct fw_gemm fw_gemm;
/* Works on c[row .. row + rows)[column .. column + columns), at most one tile, after its sums. */
typedef void fw_gemm_epilogue(const fw_gemm *gemm, size_t row, size_t rows, size_t column,
                              size_t columns);

/* Element (i, j) of A is a[i * a_row + j * a_column]; of B likewise; of C c[i * c_row + j]. */
struct fw_gemm {
    size_t m, n, k;
    const float *a;
    size_t a_row, a_column;
    const float *b;
    size_t b_row, b_column;
    float *c;
    size_t c_row;
    bool add;                   /* to what C holds */
    const float *bias;          /* (n), or NULL */
    fw_gemm_epilogue *epilogue; /* or NULL */
    uint32_t fused;             /* for the epilogue: which operator */
    const float *with;          /* its second operand, laid out like C */
    const float *packed;        /* B by fw_gemm_pack, for many products with one B; else NULL */
    size_t packed_k;            /* k of that packing when it was more; the first n columns may be asked for */
    void *scratch;              /* FW_GEMM_SCRATCH_BYTES, 64-byte aligned */
};

#define FW_GEMM_SCRATCH_BYTES ((size_t)(256 * 384 + 96 * 256 + 256) * sizeof(float))

void fw_gemm_run(const fw_gemm *gemm);
/* Floats of B packed, and packing it (n, k, b and its strides are read). */
size_t fw_gemm_packed_floats(size_t n, size_t k);
void fw_gemm_pack(const fw_gemm *gemm, float *out);

/* Defines an epilogue `name`: an element of C, x, becomes `expression`, which may read with[j], the element
 * of g->with in its place. Whole tiles have a width that the compiler knows. */
#define FW_GEMM_EPILOGUE(name, expression)                                                         \
    static inline void name##_row(float *restrict c, const float *restrict with, size_t columns) { \
        (void)with;                                                                                \
        for (size_t j = 0; j < columns; j++) {                                                     \
            float x = c[j];                                                                        \
            c[j] = expression;                                                                     \
        }                                                                                          \
    }                                                                                              \
    FW_KERNEL static void name(const fw_gemm *g, size_t row, size_t rows, size_t column,           \
                               size_t columns) {                                                   \
        for (size_t i = row; i < row + rows; i++) {                                                \
            size_t at = i * g->c_row + column;                                                     \
            const float *with = g->with ? g->with + at : NULL;                                     \
            if (columns == FW_GEMM_TILE_COLUMNS)                                                   \
                name##_row(g->c + at, with, FW_GEMM_TILE_COLUMNS);                                 \
            else                                                                                   \
                name##_row(g->c + at, with, columns);                                              \
        }                                                                                          \
    }

/* Epilogues of forward operators: relu tanh sigmoid gelu silu, and add (with). NULL for others. */
fw_gemm_epilogue *fw_gemm_epilogue_of(uint32_t op);

#endif
