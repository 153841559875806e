#include "nn/run/cpu/gemm.h"

#include "nn/run/cpu/gemm_parts.h"

enum { ROWS = FW_GEMM_TILE_ROWS, COLUMNS = FW_GEMM_TILE_COLUMNS, SOON_MOST = 32 };

typedef struct block {
    size_t m0, rows, n0, columns, k0, depth;
    size_t high;       /* rows of a tile: all alike as far as they can be */
    const float *a;    /* packed; NULL: read where it lies */
    const float *b;    /* packed; a panel every `panel` floats */
    size_t panel;
    size_t soon_lines; /* of the next panel, fetched during each tile */
    bool add, last;
} block;

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* What a part holds when `all` is cut into as few parts of at most `most` as can be, all alike, in
 * multiples of `unit`. */
static size_t share(size_t all, size_t most, size_t unit) {
    size_t parts = (all + most - 1) / most;
    return parts ? ((all + parts - 1) / parts + unit - 1) / unit * unit : unit;
}

/* The last columns of C when they are fewer than a tile's: by way of an array of its own. */
static void edge_tile(fw_gemm_tile t, fw_gemm_tile_kernel *kernel, size_t rows, size_t columns) {
    float sums[ROWS * COLUMNS] __attribute__((aligned(64))), *c = t.c;
    const float *bias = t.bias;
    bool add = t.add;
    t.c = sums, t.add = false, t.bias = NULL;
    size_t c_row = t.c_row;
    t.c_row = COLUMNS;
    t.with = NULL;
    kernel(&t);
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < columns; j++) {
            float sum = sums[r * COLUMNS + j];
            if (add) sum += c[r * c_row + j];
            c[r * c_row + j] = bias ? sum + bias[j] : sum;
        }
}

/* Panel j of B against all rows of a block. */
static void run_panel(const fw_gemm *g, const block *s, size_t j) {
    size_t columns = least(COLUMNS, s->columns - j), at = s->m0 * g->c_row + s->n0 + j;
    bool ends = j + COLUMNS >= s->columns;
    fw_gemm_tile_kernel *const *kernels = s->a ? fw_gemm_tiles_packed : fw_gemm_tiles_lying;
    const float *b = s->b + j / COLUMNS * s->panel;
    fw_gemm_tile t = {.depth = s->depth, .a = s->a ? s->a : g->a + s->m0 * g->a_row + s->k0,
                      .a_row = g->a_row, .b = b, .c = g->c + at, .c_row = g->c_row, .add = s->add,
                      .bias = s->last && g->bias ? g->bias + s->n0 + j : NULL,
                      .with = s->last && g->with ? g->with + at : NULL, .soon = b + s->panel,
                      .soon_lines = ends ? 0 : s->soon_lines};
    size_t a_step = s->high * (s->a ? s->depth : g->a_row), c_step = s->high * g->c_row;
    for (size_t i = 0; i < s->rows; i += s->high) {
        size_t rows = least(s->high, s->rows - i);
        if (columns < COLUMNS)
            edge_tile(t, kernels[rows - 1], rows, columns);
        else
            kernels[rows - 1](&t);
        if (s->last && g->epilogue) g->epilogue(g, s->m0 + i, rows, s->n0 + j, columns);
        t.a += a_step;
        t.c += c_step;
        if (t.with) t.with += c_step;
        t.soon += t.soon_lines * COLUMNS;
    }
}

/* Some columns of B, of one block of depth, against all of A. */
static void run_columns(const fw_gemm *g, block *s, float *packed_a) {
    bool lies = g->a_column == 1;
    size_t most = (lies ? FW_GEMM_B_FLOATS : FW_GEMM_A_FLOATS) / s->depth / ROWS * ROWS;
    most = share(g->m, most, ROWS);
    for (s->m0 = 0; s->m0 < g->m; s->m0 += most) {
        s->rows = least(most, g->m - s->m0);
        s->high = share(s->rows, ROWS, 1);
        size_t tiles = (s->rows + s->high - 1) / s->high;
        s->soon_lines = least((s->depth + tiles - 1) / tiles, SOON_MOST);
        s->a = lies ? NULL : packed_a;
        if (!lies) fw_gemm_pack_a(g, s->m0, s->rows, s->high, s->k0, s->depth, packed_a);
        for (size_t j = 0; j < s->columns; j += COLUMNS) run_panel(g, s, j);
    }
}

void fw_gemm_run(const fw_gemm *g) {
    float *packed_b = g->scratch, *packed_a = packed_b + FW_GEMM_B_FLOATS;
    size_t deepest = share(g->k, FW_GEMM_DEPTH, 8);
    size_t widest = FW_GEMM_B_FLOATS / deepest / COLUMNS * COLUMNS;
    widest = g->packed ? g->n : share(g->n, widest, COLUMNS);
    for (size_t n0 = 0; n0 < g->n; n0 += widest)
        for (size_t k0 = 0; k0 < g->k; k0 += deepest) {
            block s = {.n0 = n0, .columns = least(widest, g->n - n0), .k0 = k0,
                       .depth = least(deepest, g->k - k0), .add = g->add || k0 > 0,
                       .last = k0 + deepest >= g->k};
            if (g->packed) {
                s.panel = (g->packed_k ? g->packed_k : g->k) * COLUMNS;
                s.b = g->packed + k0 * COLUMNS;
            } else {
                s.panel = s.depth * COLUMNS;
                s.b = packed_b;
                fw_gemm_pack_b(g, k0, s.depth, n0, s.columns, packed_b, s.panel);
            }
            run_columns(g, &s, packed_a);
        }
}

size_t fw_gemm_packed_floats(size_t n, size_t k) {
    return k * ((n + COLUMNS - 1) / COLUMNS * COLUMNS);
}

void fw_gemm_pack(const fw_gemm *g, float *out) {
    fw_gemm_pack_b(g, 0, g->k, 0, g->n, out, g->k * COLUMNS);
}
