/* gemv.h - private: a matrix times a vector, as a linear layer on one example is, on weights packed once.
 * Bound by how fast the weights come (second cache: 336 kB of a 64-256-256-8 network), so they are read
 * once, in the order they lie, without sums across a vector:
 *
 *      y (O) = w (O, I) x (I) + b      panels of 32 outputs, the last one of 8, 16 or 24 more:
 *
 *        panel p:   k = 0: w[32 p .. 32 p + 31][0]   k = 1: w[32 p .. ][1]   ...        64-byte aligned
 *                   times x[0] in every lane         times x[1]
 *
 * Order of sums: weight k goes to strand k mod S, S = 2 for panels of 24 and 32 outputs, 4 for 16, 8 for
 * 8, so that eight additions are under way at a time; strand 0 begins with the bias; strands are added
 * as a tree of neighbours. It depends on O and I alone. */
#ifndef FW_NN_RUN_GEMV_H
#define FW_NN_RUN_GEMV_H

#include <stdbool.h>
#include <stddef.h>

typedef struct fw_gemv {
    size_t in, out;
    const float *packed; /* by fw_gemv_pack */
    const float *bias;   /* (out), or NULL */
    bool relu;
} fw_gemv;

size_t fw_gemv_packed_floats(size_t in, size_t out);
/* weights (out, in) */
void fw_gemv_pack(size_t in, size_t out, const float *weights, float *packed);
/* y (rows, out) of x (rows, in) */
void fw_gemv_run(const fw_gemv *gemv, size_t rows, const float *x, float *y);

#endif
