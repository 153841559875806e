/* gemm_parts.h - private to gemm*.c: the pieces a product is made of.
 *
 *   gemm.c         cuts a product into blocks and tiles
 *   gemm_pack.c    panels of B and of A
 *   gemm_tile.c    the tile itself: twelve vectors of eight in registers
 */
#ifndef FW_NN_RUN_GEMM_PARTS_H
#define FW_NN_RUN_GEMM_PARTS_H

#include "nn/run/cpu/gemm.h"

enum {
    FW_GEMM_DEPTH = 384,          /* of a block: a panel of B is 24 kB of a first-level cache */
    FW_GEMM_B_FLOATS = 256 * 384, /* of B packed at a time, whole panels; of A read where it lies, at a */
    FW_GEMM_A_FLOATS = 96 * 256   /* time; of A packed: with them the second cache holds a block */
};

/* c (rows, 16) [+]= a (rows, depth) b (depth, 16) [+ bias] */
typedef struct fw_gemm_tile {
    size_t depth;
    const float *a; /* where it lies: element (i, k) is a[i * a_row + k]; packed: a[k * rows + i] */
    size_t a_row;
    const float *b; /* a panel */
    float *c;
    size_t c_row;
    bool add;
    const float *bias; /* (16), or NULL */
    const float *with; /* what the epilogue will read, laid out like c; fetched meanwhile; or NULL */
    const float *soon; /* (soon_lines, 16) of the next panel, fetched meanwhile; or NULL */
    size_t soon_lines;
} fw_gemm_tile;
typedef void fw_gemm_tile_kernel(const fw_gemm_tile *tile);

/* By rows - 1. */
extern fw_gemm_tile_kernel *const fw_gemm_tiles_lying[FW_GEMM_TILE_ROWS];
extern fw_gemm_tile_kernel *const fw_gemm_tiles_packed[FW_GEMM_TILE_ROWS];

/* Panels of 16 columns: out[panel][k][j], zeros beyond the last column; a panel begins every `panel`
 * floats. */
void fw_gemm_pack_b(const fw_gemm *gemm, size_t k0, size_t depth, size_t n0, size_t columns,
                    float *out, size_t panel);
/* Panels of `high` rows: out[panel][k][i]; the last one is as high as rows are left. */
void fw_gemm_pack_a(const fw_gemm *gemm, size_t m0, size_t rows, size_t high, size_t k0, size_t depth,
                    float *out);

#endif
