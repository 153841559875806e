#include "nn/run/gemm.h"

#include <string.h>

#include "nn/run/graph.h"
#include "nn/run/vector.h"

enum {
    ROWS = FW_GEMM_TILE_ROWS,
    COLUMNS = FW_GEMM_TILE_COLUMNS,
    K_BLOCK = 256, /* a panel of B is 16 kB: half a first-level cache */
    N_BLOCK = 256,
    M_BLOCK = 96
};

/* c (6, 16) [+]= a (6, k) b (k, 16); A's element (i, k) is a[i * ROW + k * COLUMN]. */
#define TILE(ROW, COLUMN)                                                                          \
    fw_v8 sum[ROWS][2];                                                                            \
    for (int i = 0; i < ROWS; i++) sum[i][0] = sum[i][1] = (fw_v8){0};                             \
    for (size_t k = 0; k < depth; k++) {                                                           \
        fw_v8 left = *(const fw_v8 *)(b + k * COLUMNS), right = *(const fw_v8 *)(b + k * COLUMNS + 8); \
        _Pragma("GCC unroll 6") for (size_t i = 0; i < ROWS; i++) {                                \
            float one = a[i * (ROW) + k * (COLUMN)];                                               \
            fw_v8 all = FW_SPREAD8(one);                                                           \
            sum[i][0] += all * left;                                                               \
            sum[i][1] += all * right;                                                              \
        }                                                                                          \
    }                                                                                              \
    for (size_t i = 0; i < ROWS; i++) {                                                            \
        float *to = c + i * c_row;                                                                 \
        if (add) sum[i][0] += FW_LOAD8(to), sum[i][1] += FW_LOAD8(to + 8);                         \
        FW_STORE8(to, sum[i][0]);                                                                  \
        FW_STORE8(to + 8, sum[i][1]);                                                              \
    }

FW_KERNEL static void tile_direct(size_t depth, const float *a, size_t a_row, const float *b,
                                  float *c, size_t c_row, bool add) {
    TILE(a_row, 1)
}

FW_KERNEL static void tile_packed(size_t depth, const float *a, const float *b, float *c,
                                  size_t c_row, bool add) {
    TILE(1, ROWS)
}

/* ---- packing ---- */

/* One panel: out[k][j] = b[k * b_row + j * b_column], zeros beyond `columns`. */
static void pack_some(size_t depth, size_t columns, const float *b, size_t b_row, size_t b_column,
                      float *out) {
    for (size_t k = 0; k < depth; k++)
        for (size_t j = 0; j < COLUMNS; j++)
            out[k * COLUMNS + j] = j < columns ? b[k * b_row + j * b_column] : 0;
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

static void pack_b(const fw_gemm *g, size_t k0, size_t depth, size_t n0, size_t columns,
                   float *out) {
    for (size_t j = 0; j < columns; j += COLUMNS, out += depth * COLUMNS) {
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

/* Panels of 6 rows: out[panel][k][i], zeros beyond `rows`. */
FW_KERNEL static void pack_a(const fw_gemm *g, size_t m0, size_t rows, size_t k0, size_t depth,
                             float *out) {
    size_t whole = rows / ROWS * ROWS, row = g->a_row, column = g->a_column;
    for (size_t k = 0; k < depth; k++) {
        const float *a = g->a + m0 * row + (k0 + k) * column;
        if (row == 1)
            for (size_t i = 0; i < whole; i += ROWS)
                memcpy(out + i * depth + k * ROWS, a + i, ROWS * sizeof *out);
        else
            for (size_t i = 0; i < whole; i += ROWS)
                for (size_t r = 0; r < ROWS; r++) out[i * depth + k * ROWS + r] = a[(i + r) * row];
        for (size_t r = 0; whole < rows && r < ROWS; r++)
            out[whole * depth + k * ROWS + r] = whole + r < rows ? a[(whole + r) * row] : 0;
    }
}

/* ---- epilogues ---- */

FW_KERNEL static void add_bias(const fw_gemm *g, size_t row, size_t rows, size_t column,
                               size_t columns) {
    for (size_t i = row; i < row + rows; i++) {
        float *c = g->c + i * g->c_row + column;
        const float *bias = g->bias + column;
        for (size_t j = 0; j < columns; j++) c[j] += bias[j];
    }
}

#define EPILOGUE(name, expression)                                                                 \
    FW_KERNEL static void name(const fw_gemm *g, size_t row, size_t rows, size_t column,           \
                               size_t columns) {                                                   \
        for (size_t i = row; i < row + rows; i++) {                                                \
            float *c = g->c + i * g->c_row + column;                                               \
            for (size_t j = 0; j < columns; j++) {                                                 \
                float x = c[j];                                                                    \
                c[j] = expression;                                                                 \
            }                                                                                      \
        }                                                                                          \
    }
EPILOGUE(then_relu, x > 0 ? x : 0)
EPILOGUE(then_tanh, fw_tanh_exact(x))
EPILOGUE(then_sigmoid, fw_sigmoid(x))
EPILOGUE(then_gelu, fw_gelu(x))
EPILOGUE(then_silu, x *fw_sigmoid(x))

FW_KERNEL static void then_add(const fw_gemm *g, size_t row, size_t rows, size_t column,
                               size_t columns) {
    for (size_t i = row; i < row + rows; i++) {
        float *c = g->c + i * g->c_row + column;
        const float *other = g->with + i * g->c_row + column;
        for (size_t j = 0; j < columns; j++) c[j] += other[j];
    }
}

fw_gemm_epilogue *fw_gemm_epilogue_of(uint32_t op) {
    switch (op) {
    case FW_NN_RELU: return then_relu;
    case FW_NN_TANH: return then_tanh;
    case FW_NN_SIGMOID: return then_sigmoid;
    case FW_NN_GELU: return then_gelu;
    case FW_NN_SILU: return then_silu;
    case FW_NN_ADD: return then_add;
    default: return NULL;
    }
}

/* ---- blocks ---- */

typedef struct block {
    size_t m0, rows, n0, columns, k0, depth;
    const float *a, *b; /* packed; a NULL: read where it lies */
    bool add, last;
} block;

/* A tile at the edge goes through a small array of its own. */
static void edge_tile(const fw_gemm *g, const block *s, size_t i, size_t rows, size_t j,
                      size_t columns, const float *packed) {
    float tile[ROWS * COLUMNS] __attribute__((aligned(64)));
    float *c = g->c + (s->m0 + i) * g->c_row + s->n0 + j;
    const float *b = s->b + j * s->depth;
    if (packed)
        tile_packed(s->depth, packed, b, tile, COLUMNS, false);
    else
        tile_direct(s->depth, g->a + (s->m0 + i) * g->a_row + s->k0, g->a_row, b, tile, COLUMNS,
                    false);
    for (size_t r = 0; r < rows; r++)
        for (size_t q = 0; q < columns; q++)
            c[r * g->c_row + q] = s->add ? c[r * g->c_row + q] + tile[r * COLUMNS + q]
                                         : tile[r * COLUMNS + q];
}

static void one_tile(const fw_gemm *g, const block *s, size_t i, size_t j, const float *tail) {
    size_t rows = s->rows - i < ROWS ? s->rows - i : ROWS;
    size_t columns = s->columns - j < COLUMNS ? s->columns - j : COLUMNS;
    const float *packed = s->a ? s->a + i * s->depth : rows < ROWS ? tail : NULL;
    float *c = g->c + (s->m0 + i) * g->c_row + s->n0 + j;
    const float *b = s->b + j * s->depth;
    if (rows < ROWS || columns < COLUMNS)
        edge_tile(g, s, i, rows, j, columns, packed);
    else if (packed)
        tile_packed(s->depth, packed, b, c, g->c_row, s->add);
    else
        tile_direct(s->depth, g->a + (s->m0 + i) * g->a_row + s->k0, g->a_row, b, c, g->c_row,
                    s->add);
    if (!s->last) return;
    if (g->bias) add_bias(g, s->m0 + i, rows, s->n0 + j, columns);
    if (g->epilogue) g->epilogue(g, s->m0 + i, rows, s->n0 + j, columns);
}

static void run_block(const fw_gemm *g, block *s, float *packed) {
    size_t whole = s->rows / ROWS * ROWS;
    const float *tail = packed;
    if (g->a_column != 1) {
        pack_a(g, s->m0, s->rows, s->k0, s->depth, packed);
        s->a = packed;
    } else if (whole < s->rows)
        pack_a(g, s->m0 + whole, s->rows - whole, s->k0, s->depth, packed);
    for (size_t j = 0; j < s->columns; j += COLUMNS)
        for (size_t i = 0; i < s->rows; i += ROWS) one_tile(g, s, i, j, tail);
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t depth_of(size_t k) {
    size_t blocks = (k + K_BLOCK - 1) / K_BLOCK;
    return blocks ? ((k + blocks - 1) / blocks + 7) / 8 * 8 : 1;
}

static size_t block_floats(size_t depth, size_t columns) {
    return depth * ((columns + COLUMNS - 1) / COLUMNS * COLUMNS);
}

size_t fw_gemm_packed_floats(size_t n, size_t k) {
    return block_floats(k, n); /* N_BLOCK is whole panels */
}

void fw_gemm_pack(const fw_gemm *g, float *out) {
    size_t depth = depth_of(g->k);
    for (size_t k0 = 0; k0 < g->k; k0 += depth)
        for (size_t n0 = 0; n0 < g->n; n0 += N_BLOCK) {
            size_t deep = least(depth, g->k - k0), columns = least(N_BLOCK, g->n - n0);
            pack_b(g, k0, deep, n0, columns, out);
            out += block_floats(deep, columns);
        }
}

void fw_gemm_run(const fw_gemm *g) {
    float *packed_b = g->scratch, *packed_a = packed_b + N_BLOCK * K_BLOCK;
    const float *given = g->packed;
    size_t depth = depth_of(g->k);
    for (size_t k0 = 0; k0 < g->k; k0 += depth)
        for (size_t n0 = 0; n0 < g->n; n0 += N_BLOCK) {
            block s = {.n0 = n0, .columns = least(N_BLOCK, g->n - n0), .k0 = k0,
                       .depth = least(depth, g->k - k0), .b = given ? given : packed_b,
                       .add = g->add || k0 > 0, .last = k0 + depth >= g->k};
            if (given)
                given += block_floats(s.depth, s.columns);
            else
                pack_b(g, k0, s.depth, n0, s.columns, packed_b);
            for (s.m0 = 0; s.m0 < g->m; s.m0 += M_BLOCK) {
                s.rows = least(M_BLOCK, g->m - s.m0);
                s.a = NULL;
                run_block(g, &s, packed_a);
            }
        }
}
