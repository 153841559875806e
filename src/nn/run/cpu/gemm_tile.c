/* gemm_tile.c - the innermost loop. While a tile's sums run, the lines of C it will end in, those its
 * epilogue will read, and a share of the next panel of B are fetched: none of these is waited for. */
#include "nn/run/cpu/gemm_parts.h"
#include "nn/run/cpu/vector.h"

#define ROWS_1(X) X(0)
#define ROWS_2(X) ROWS_1(X) X(1)
#define ROWS_3(X) ROWS_2(X) X(2)
#define ROWS_4(X) ROWS_3(X) X(3)
#define ROWS_5(X) ROWS_4(X) X(4)
#define ROWS_6(X) ROWS_5(X) X(5)

#define FETCH(i)                                                                                   \
    __builtin_prefetch(c + (i) * c_row, 1);                                                        \
    __builtin_prefetch(c + (i) * c_row + 15, 1);
#define FETCH_WITH(i)                                                                              \
    __builtin_prefetch(t->with + (i) * c_row);                                                     \
    __builtin_prefetch(t->with + (i) * c_row + 15);
#define ZERO(i) fw_v8 left##i = {0}, right##i = {0};
#define MULTIPLY(i)                                                                                \
    {                                                                                              \
        float one = A(i);                                                                          \
        fw_v8 all = FW_SPREAD8(one);                                                               \
        left##i += all * left;                                                                     \
        right##i += all * right;                                                                   \
    }
#define ADD(i) left##i += FW_LOAD8(c + (i) * c_row), right##i += FW_LOAD8(c + (i) * c_row + 8);
#define BIAS(i) left##i += left, right##i += right;
#define STORE(i) FW_STORE8(c + (i) * c_row, left##i), FW_STORE8(c + (i) * c_row + 8, right##i);

#define TILE(name, rows, step)                                                                     \
    FW_KERNEL static void name##_##rows(const fw_gemm_tile *t) {                                   \
        const float *a = t->a, *b = t->b, *end = b + t->depth * FW_GEMM_TILE_COLUMNS;              \
        float *c = t->c;                                                                           \
        size_t a_row = t->a_row, c_row = t->c_row;                                                 \
        (void)a_row;                                                                               \
        ROWS_##rows(FETCH) if (t->with) { ROWS_##rows(FETCH_WITH) }                                \
        for (size_t i = 0; i < t->soon_lines; i++)                                                 \
            __builtin_prefetch(t->soon + i * FW_GEMM_TILE_COLUMNS, 0, 2);                          \
        ROWS_##rows(ZERO) for (; b < end; b += FW_GEMM_TILE_COLUMNS, a += (step)) {                \
            fw_v8 left = *(const fw_v8 *)b, right = *(const fw_v8 *)(b + 8);                       \
            ROWS_##rows(MULTIPLY)                                                                  \
        }                                                                                          \
        if (t->add) { ROWS_##rows(ADD) }                                                           \
        if (t->bias) {                                                                             \
            fw_v8 left = FW_LOAD8(t->bias), right = FW_LOAD8(t->bias + 8);                         \
            ROWS_##rows(BIAS)                                                                      \
        }                                                                                          \
        ROWS_##rows(STORE)                                                                         \
    }

#define ALL_TILES(X) X(1) X(2) X(3) X(4) X(5) X(6)

#define A(i) a[(i) * a_row]
#define LYING(rows) TILE(lying, rows, 1)
ALL_TILES(LYING)
#undef A

#define A(i) a[i]
#define PACKED(rows) TILE(packed, rows, rows)
ALL_TILES(PACKED)
#undef A

#define LYING_NAME(rows) lying_##rows,
#define PACKED_NAME(rows) packed_##rows,
fw_gemm_tile_kernel *const fw_gemm_tiles_lying[] = {ALL_TILES(LYING_NAME)};
fw_gemm_tile_kernel *const fw_gemm_tiles_packed[] = {ALL_TILES(PACKED_NAME)};
