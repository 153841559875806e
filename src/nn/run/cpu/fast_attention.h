/* fast_attention.h - private: attention as matrix products on blocks of queries, for fast_attention.c
 * and its gradient in nn/train.
 *
 *     block of 64 queries x the keys it may see:   S = Q K^T   ->  P = softmax   ->  Y = P V
 *
 * Under a causal mask keys after a block's last query are not touched at all. Keys and values are packed
 * once a head (gemm.h); a block reads as much of them as it may see.
 */
#ifndef FW_NN_RUN_FAST_ATTENTION_H
#define FW_NN_RUN_FAST_ATTENTION_H

#include "nn/run/cpu/gemm.h"
#include "nn/run/ops.h"

enum { FW_ATTENTION_BLOCK = 64 };

typedef struct fw_attention {
    size_t heads, groups, queries, keys, depth;
    size_t q_stride, k_stride; /* floats from a row to the next */
    bool causal;
    float scale;
} fw_attention;

static inline fw_attention fw_attention_of(const fw_nn_attr *attr, fw_nn_shape q, fw_nn_shape k) {
    size_t heads = (size_t)attr->i[0];
    float depth = (float)(q.d[1] / heads);
    return (fw_attention){heads, (size_t)attr->i[1], q.d[0], k.d[0], q.d[1] / heads,
                          q.d[1], k.d[1], attr->i[2] != 0, 1 / __builtin_sqrtf(depth)};
}

/* How many keys, from the first, query t may see. */
static inline size_t fw_attention_seen(const fw_attention *a, size_t t) {
    if (!a->causal) return a->keys;
    return t + a->keys < a->queries ? 0
           : t + a->keys - a->queries + 1 < a->keys ? t + a->keys - a->queries + 1 : a->keys;
}

/* Where the operand of example n, head h begins: of queries' arrays, and of keys' arrays. */
static inline size_t fw_attention_q(const fw_attention *a, const fw_nn_view *v, size_t n, size_t h) {
    return (v->batched ? n : 0) * a->queries * a->q_stride + h * a->depth;
}
static inline size_t fw_attention_k(const fw_attention *a, const fw_nn_view *v, size_t n, size_t h) {
    return (v->batched ? n : 0) * a->keys * a->k_stride + h / (a->heads / a->groups) * a->depth;
}

static inline size_t fw_attention_count(const fw_attention *a, size_t t0) {
    return a->queries - t0 < FW_ATTENTION_BLOCK ? a->queries - t0 : FW_ATTENTION_BLOCK;
}

/* The rows of one head's keys or values as the right-hand side of products, turned (depth, keys) or as
 * they lie (keys, depth). */
static inline size_t fw_attention_packed_floats(const fw_attention *a) {
    size_t turned = fw_gemm_packed_floats(a->keys, a->depth);
    size_t straight = fw_gemm_packed_floats(a->depth, a->keys);
    return ((turned > straight ? turned : straight) + 15) / 16 * 16;
}
static inline void fw_attention_pack(const fw_attention *a, const float *rows, bool turned,
                                     float *out) {
    fw_gemm g = {.n = turned ? a->keys : a->depth, .k = turned ? a->depth : a->keys, .b = rows,
                 .b_row = turned ? 1 : a->k_stride, .b_column = turned ? a->k_stride : 1};
    fw_gemm_pack(&g, out);
}

#endif
