#include "nn/run/cpu/fast_attention.h"

#include <math.h>
#include <string.h>

#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/vector.h"

/* Scores (seen) of one query to weights; zeros from seen to keys. Returns the log of the sum. */
FW_KERNEL static float soften(float *s, size_t seen, size_t keys, const float *mask, float scale) {
    float sum;
    for (size_t i = 0; mask && i < seen; i++) s[i] = mask[i] != 0 ? s[i] : -INFINITY;
    float largest = fw_row_max(s, seen);
    memset(s + seen, 0, (keys - seen) * sizeof *s);
    if (!(largest > -INFINITY)) { /* sees nothing, or a NaN */
        for (size_t i = 0; i < seen; i++) s[i] = s[i] == s[i] ? 0 : s[i];
        return 0;
    }
    for (size_t i = 0; i < seen; i++) s[i] = fw_exp((s[i] - largest) * scale);
    FW_ROW_SUM(sum, seen, FW_LOAD8(s + c), s[c]);
    float share = 1 / sum;
    for (size_t i = 0; i < seen; i++) s[i] *= share;
    return largest * scale + logf(sum);
}

/* Keys and values of one head as right-hand sides, packed for all blocks of queries. */
typedef struct head {
    const float *q, *mask;
    float *keys, *values, *scores; /* in the scratch */
    float *y, *log_sum;
    void *scratch;
} head;

static head head_of(const fw_nn_call *call, const fw_attention *a, size_t n, size_t h) {
    float *at = (float *)((uint8_t *)call->scratch + FW_GEMM_SCRATCH_BYTES);
    size_t floats = fw_attention_packed_floats(a);
    head out = {.q = fw_nn_in(call, 0) + fw_attention_q(a, &call->in[0], n, h),
                .keys = at, .values = at + floats, .scores = at + 2 * floats,
                .y = fw_nn_out(call, 0) + n * a->queries * a->q_stride + h * a->depth,
                .log_sum = fw_nn_out(call, 1) + (n * a->heads + h) * a->queries,
                .scratch = call->scratch};
    if (call->input_count > 3)
        out.mask = fw_nn_in(call, 3) + (call->in[3].batched ? n * a->keys : 0);
    return out;
}

static void attend_block(const fw_attention *a, const head *h, size_t t0, size_t count) {
    size_t keys = fw_attention_seen(a, t0 + count - 1);
    float *y = h->y + t0 * a->q_stride;
    if (keys == 0) {
        for (size_t t = 0; t < count; t++) memset(y + t * a->q_stride, 0, a->depth * sizeof *y);
        memset(h->log_sum + t0, 0, count * sizeof *y);
        return;
    }
    fw_gemm_run(&(fw_gemm){.m = count, .n = keys, .k = a->depth, .a = h->q + t0 * a->q_stride,
                           .a_row = a->q_stride, .a_column = 1, .c = h->scores, .c_row = keys,
                           .packed = h->keys, .scratch = h->scratch});
    for (size_t t = 0; t < count; t++)
        h->log_sum[t0 + t] = soften(h->scores + t * keys, fw_attention_seen(a, t0 + t), keys,
                                    h->mask, a->scale);
    fw_gemm_run(&(fw_gemm){.m = count, .n = a->depth, .k = keys, .a = h->scores, .a_row = keys,
                           .a_column = 1, .c = y, .c_row = a->q_stride, .packed = h->values,
                           .packed_k = a->keys, .scratch = h->scratch});
}

static void attention(const fw_nn_call *call) {
    fw_attention a = fw_attention_of(call->attr, call->in[0].shape, call->in[1].shape);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->out[0]); n++)
        for (size_t i = 0; i < a.heads; i++) {
            head h = head_of(call, &a, n, i);
            if (i % (a.heads / a.groups) == 0) { /* heads of a group share keys and values */
                fw_attention_pack(&a, fw_nn_in(call, 1) + fw_attention_k(&a, &call->in[1], n, i),
                                  true, h.keys);
                fw_attention_pack(&a, fw_nn_in(call, 2) + fw_attention_k(&a, &call->in[2], n, i),
                                  false, h.values);
            }
            for (size_t t0 = 0; t0 < a.queries; t0 += FW_ATTENTION_BLOCK)
                attend_block(&a, &h, t0, fw_attention_count(&a, t0));
        }
}

fw_status fw_fast_attention(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                            fw_error *error) {
    (void)error;
    if (node->op != FW_NN_ATTENTION || call->fused) return FW_OK;
    fw_attention a = fw_attention_of(call->attr, call->in[0].shape, call->in[1].shape);
    size_t floats = 2 * fw_attention_packed_floats(&a) + FW_ATTENTION_BLOCK * a.keys;
    *out = (fw_nn_choice){.kernel = attention,
                          .scratch_bytes = FW_GEMM_SCRATCH_BYTES + floats * sizeof(float)};
    return FW_OK;
}
