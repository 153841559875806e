/* fused_attention.c - gradient of attention by matrix products on blocks of queries; the weights are
 * made again from the log sums (Dao et al. 2022, algorithm 4).
 *
 *     P = exp(Q K^T scale - log sum)    dP = dY V^T    dS = P (dP - rowsum(dY Y)) scale
 *     dV += P^T dY                      dK += dS^T Q   dQ += dS K
 */
#include <string.h>

#include "nn/run/fast_attention.h"
#include "nn/run/vector.h"
#include "nn/train/fused.h"
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
    const float *dy, *q, *k, *v, *y, *log_sum, *mask;
    float *dq, *dk, *dv, *scores, *dp;
    void *scratch;
} head;

static void back_block(const fw_attention *a, const head *h, size_t t0, size_t count, size_t keys) {
    const float *q = h->q + t0 * a->q_stride, *dy = h->dy + t0 * a->q_stride;
    const fw_gemm to_scores = {.m = count, .n = keys, .k = a->depth, .a_row = a->q_stride,
                               .a_column = 1, .b_row = 1, .b_column = a->k_stride, .c_row = keys,
                               .scratch = h->scratch};
    const fw_gemm to_keys = {.m = keys, .n = a->depth, .k = count, .a_row = 1, .a_column = keys,
                             .b_row = a->q_stride, .b_column = 1, .c_row = a->k_stride, .add = true,
                             .scratch = h->scratch};
    fw_gemm g = to_scores;
    g.a = q, g.b = h->k, g.c = h->scores;
    fw_gemm_run(&g);
    g.a = dy, g.b = h->v, g.c = h->dp;
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
                           .a_column = 1, .b = h->k, .b_row = a->k_stride, .b_column = 1,
                           .c = h->dq + t0 * a->q_stride, .c_row = a->q_stride, .add = true,
                           .scratch = h->scratch});
}

static head head_of(const fw_nn_call *call, const fw_attention *a, size_t n, size_t i) {
    size_t at_y = n * a->queries * a->q_stride + i * a->depth;
    const fw_nn_view *in = call->in;
    float *scores = (float *)((uint8_t *)call->scratch + FW_GEMM_SCRATCH_BYTES);
    head h = {.dy = fw_nn_in(call, 0) + at_y, .q = fw_nn_in(call, 1) + fw_attention_q(a, &in[1], n, i),
              .k = fw_nn_in(call, 2) + fw_attention_k(a, &in[2], n, i),
              .v = fw_nn_in(call, 3) + fw_attention_k(a, &in[3], n, i),
              .y = fw_nn_in(call, 4) + at_y,
              .log_sum = fw_nn_in(call, 5) + (n * a->heads + i) * a->queries,
              .dq = fw_nn_out(call, 0) + fw_attention_q(a, &call->out[0], n, i),
              .dk = fw_nn_out(call, 1) + fw_attention_k(a, &call->out[1], n, i),
              .dv = fw_nn_out(call, 2) + fw_attention_k(a, &call->out[2], n, i),
              .scores = scores, .dp = scores + FW_ATTENTION_BLOCK * a->keys,
              .scratch = call->scratch};
    if (call->input_count > 6) h.mask = fw_nn_in(call, 6) + (in[6].batched ? n * a->keys : 0);
    return h;
}

static void attention_grad(const fw_nn_call *call) {
    fw_attention a = fw_attention_of(call->attr, call->in[1].shape, call->in[2].shape);
    for (uint32_t i = 0; i < 3; i++) fw_nn_start_sum(call, i);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->in[0]); n++)
        for (size_t i = 0; i < a.heads; i++) {
            head h = head_of(call, &a, n, i);
            for (size_t t0 = 0; t0 < a.queries; t0 += FW_ATTENTION_BLOCK) {
                size_t left = a.queries - t0;
                size_t count = left < FW_ATTENTION_BLOCK ? left : FW_ATTENTION_BLOCK;
                size_t keys = fw_attention_seen(&a, t0 + count - 1);
                if (keys > 0) back_block(&a, &h, t0, count, keys);
            }
        }
}

fw_status fw_fused_attention(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                             fw_error *error) {
    (void)error;
    if (node->op != FW_NN_ATTENTION_GRAD || call->fused) return FW_OK;
    size_t keys = call->in[2].shape.d[0];
    *out = (fw_nn_choice){.kernel = attention_grad,
                          .scratch_bytes = FW_GEMM_SCRATCH_BYTES +
                                           2 * (size_t)FW_ATTENTION_BLOCK * keys * sizeof(float)};
    return FW_OK;
}
