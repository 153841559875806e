/* fused_attention.c - gradient of attention by matrix products on blocks of queries; the weights are
 * made again from the log sums (Dao et al. 2022, algorithm 4).
 *
 *     P = exp(Q K^T scale - log sum)    dP = dY V^T    dS = P (dP - rowsum(dY Y)) scale
 *     dV += P^T dY                      dK += dS^T Q   dQ += dS K
 *
 * Blocks run from the last, which sees every key: it sets dK and dV, those before add to them.
 */
#include <string.h>

#include "nn/run/cpu/fast_attention.h"
#include "nn/run/cpu/vector.h"
#include "nn/train/cpu/fused.h"
#include "nn/train/grad_ops.h"

/* One query: scores to weights, dp to the scores' gradient. */
FW_KERNEL static void back_row(float *s, float *dp, size_t seen, size_t keys, const float *mask,
                               float scale, float log_sum, float through) {
    for (size_t i = 0; i < seen; i++) s[i] = fw_exp(s[i] * scale - log_sum);
    for (size_t i = 0; mask && i < seen; i++) s[i] = mask[i] != 0 ? s[i] : 0;
    for (size_t i = 0; i < seen; i++) dp[i] = s[i] * (dp[i] - through) * scale;
    memset(s + seen, 0, (keys - seen) * sizeof *s);
    memset(dp + seen, 0, (keys - seen) * sizeof *dp);
}

FW_KERNEL static float dot(const float *a, const float *b, size_t width) {
    float sum;
    FW_ROW_SUM(sum, width, FW_LOAD8(a + c) * FW_LOAD8(b + c), a[c] * b[c]);
    return sum;
}

/* One head of one example. */
typedef struct head {
    const float *dy, *q, *y, *log_sum, *mask;
    float *dq, *dk, *dv;
    float *keys_turned, *values_turned, *keys; /* right-hand sides, packed for all blocks of queries */
    float *scores, *dp;
    bool sets_queries, sets_keys; /* the block that runs sets dq; dk and dv */
    void *scratch;
} head;

static void back_block(const fw_attention *a, const head *h, size_t t0, size_t count, size_t keys) {
    const float *q = h->q + t0 * a->q_stride, *dy = h->dy + t0 * a->q_stride;
    const fw_gemm to_scores = {.m = count, .n = keys, .k = a->depth, .a_row = a->q_stride,
                               .a_column = 1, .c_row = keys, .scratch = h->scratch};
    const fw_gemm to_keys = {.m = keys, .n = a->depth, .k = count, .a_row = 1, .a_column = keys,
                             .b_row = a->q_stride, .b_column = 1, .c_row = a->k_stride,
                             .add = !h->sets_keys, .scratch = h->scratch};
    fw_gemm g = to_scores;
    g.a = q, g.packed = h->keys_turned, g.c = h->scores;
    fw_gemm_run(&g);
    g.a = dy, g.packed = h->values_turned, g.c = h->dp;
    fw_gemm_run(&g);
    for (size_t t = 0; t < count; t++)
        back_row(h->scores + t * keys, h->dp + t * keys, fw_attention_seen(a, t0 + t), keys,
                 h->mask, a->scale, h->log_sum[t0 + t],
                 dot(dy + t * a->q_stride, h->y + (t0 + t) * a->q_stride, a->depth));
    g = to_keys;
    g.a = h->scores, g.b = dy, g.c = h->dv;
    fw_gemm_run(&g);
    g.a = h->dp, g.b = q, g.c = h->dk;
    fw_gemm_run(&g);
    fw_gemm_run(&(fw_gemm){.m = count, .n = a->depth, .k = keys, .a = h->dp, .a_row = keys,
                           .a_column = 1, .c = h->dq + t0 * a->q_stride, .c_row = a->q_stride,
                           .add = !h->sets_queries, .packed = h->keys, .packed_k = a->keys,
                           .scratch = h->scratch});
}

static head head_of(const fw_nn_call *call, const fw_attention *a, size_t n, size_t i) {
    size_t at_y = n * a->queries * a->q_stride + i * a->depth;
    const fw_nn_view *in = call->in;
    float *at = (float *)((uint8_t *)call->scratch + FW_GEMM_SCRATCH_BYTES);
    size_t floats = fw_attention_packed_floats(a);
    head h = {.dy = fw_nn_in(call, 0) + at_y, .q = fw_nn_in(call, 1) + fw_attention_q(a, &in[1], n, i),
              .y = fw_nn_in(call, 4) + at_y,
              .log_sum = fw_nn_in(call, 5) + (n * a->heads + i) * a->queries,
              .dq = fw_nn_out(call, 0) + fw_attention_q(a, &call->out[0], n, i),
              .dk = fw_nn_out(call, 1) + fw_attention_k(a, &call->out[1], n, i),
              .dv = fw_nn_out(call, 2) + fw_attention_k(a, &call->out[2], n, i),
              .keys_turned = at, .values_turned = at + floats, .keys = at + 2 * floats,
              .scores = at + 3 * floats,
              .dp = at + 3 * floats + FW_ATTENTION_BLOCK * a->keys, .scratch = call->scratch};
    if (call->input_count > 6) h.mask = fw_nn_in(call, 6) + (in[6].batched ? n * a->keys : 0);
    return h;
}

static void pack_head(const fw_nn_call *call, const fw_attention *a, size_t n, size_t i,
                      const head *h) {
    const float *k = fw_nn_in(call, 2) + fw_attention_k(a, &call->in[2], n, i);
    fw_attention_pack(a, k, true, h->keys_turned);
    fw_attention_pack(a, fw_nn_in(call, 3) + fw_attention_k(a, &call->in[3], n, i), true,
                      h->values_turned);
    fw_attention_pack(a, k, false, h->keys);
}

static void back_head(const fw_attention *a, head *h) {
    size_t blocks = (a->queries + FW_ATTENTION_BLOCK - 1) / FW_ATTENTION_BLOCK;
    for (size_t i = blocks; i-- > 0; h->sets_keys = false) {
        size_t t0 = i * FW_ATTENTION_BLOCK, count = fw_attention_count(a, t0);
        size_t keys = fw_attention_seen(a, t0 + count - 1);
        if (keys > 0) back_block(a, h, t0, count, keys);
        for (size_t t = t0; t < t0 + count && keys == 0 && h->sets_queries; t++)
            memset(h->dq + t * a->q_stride, 0, a->depth * sizeof(float));
    }
}

static void attention_grad(const fw_nn_call *call) {
    fw_attention a = fw_attention_of(call->attr, call->in[1].shape, call->in[2].shape);
    size_t share = a.heads / a.groups;
    bool sets_queries = call->out[0].batched, sets_keys = call->out[1].batched && call->out[2].batched;
    if (!sets_queries) fw_nn_start_sum(call, 0);
    for (uint32_t i = 1; i < 3 && !sets_keys; i++) fw_nn_start_sum(call, i);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++)
        for (size_t i = 0; i < a.heads; i++) {
            head h = head_of(call, &a, n, i);
            h.sets_queries = sets_queries;
            h.sets_keys = sets_keys && i % share == 0;
            if (i % share == 0) pack_head(call, &a, n, i, &h);
            back_head(&a, &h);
        }
}

fw_status fw_fused_attention(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                             fw_error *error) {
    (void)error;
    if (node->op != FW_NN_ATTENTION_GRAD || call->fused) return FW_OK;
    fw_attention a = fw_attention_of(call->attr, call->in[1].shape, call->in[2].shape);
    size_t floats = 3 * fw_attention_packed_floats(&a) + 2 * FW_ATTENTION_BLOCK * a.keys;
    *out = (fw_nn_choice){.kernel = attention_grad,
                          .scratch_bytes = FW_GEMM_SCRATCH_BYTES + floats * sizeof(float)};
    return FW_OK;
}
