#include "nn/run/fast_attention.h"

#include <math.h>
#include <string.h>

#include "nn/run/fast.h"
#include "nn/run/vector.h"

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
    for (size_t i = 0; i < seen; i++) s[i] /= sum;
    return largest * scale + logf(sum);
}

static void attend(const fw_nn_call *call, const fw_attention *a, size_t n, size_t h) {
    const float *q = fw_nn_in(call, 0) + fw_attention_q(a, &call->in[0], n, h);
    const float *k = fw_nn_in(call, 1) + fw_attention_k(a, &call->in[1], n, h);
    const float *v = fw_nn_in(call, 2) + fw_attention_k(a, &call->in[2], n, h);
    const float *mask = call->input_count > 3 ? fw_nn_in(call, 3) : NULL;
    float *y = fw_nn_out(call, 0) + n * a->queries * a->q_stride + h * a->depth;
    float *log_sum = fw_nn_out(call, 1) + (n * a->heads + h) * a->queries;
    float *scores = (float *)((uint8_t *)call->scratch + FW_GEMM_SCRATCH_BYTES);
    if (mask && call->in[3].batched) mask += n * a->keys;
    for (size_t t0 = 0; t0 < a->queries; t0 += FW_ATTENTION_BLOCK) {
        size_t count = a->queries - t0 < FW_ATTENTION_BLOCK ? a->queries - t0 : FW_ATTENTION_BLOCK;
        size_t keys = fw_attention_seen(a, t0 + count - 1);
        for (size_t t = t0; t < t0 + count && keys == 0; t++) {
            memset(y + t * a->q_stride, 0, a->depth * sizeof *y);
            log_sum[t] = 0;
        }
        if (keys == 0) continue;
        fw_gemm_run(&(fw_gemm){.m = count, .n = keys, .k = a->depth, .a = q + t0 * a->q_stride,
                               .a_row = a->q_stride, .a_column = 1, .b = k, .b_row = 1,
                               .b_column = a->k_stride, .c = scores, .c_row = keys,
                               .scratch = call->scratch});
        for (size_t t = 0; t < count; t++)
            log_sum[t0 + t] = soften(scores + t * keys, fw_attention_seen(a, t0 + t), keys, mask,
                                     a->scale);
        fw_gemm_run(&(fw_gemm){.m = count, .n = a->depth, .k = keys, .a = scores, .a_row = keys,
                               .a_column = 1, .b = v, .b_row = a->k_stride, .b_column = 1,
                               .c = y + t0 * a->q_stride, .c_row = a->q_stride,
                               .scratch = call->scratch});
    }
}

static void attention(const fw_nn_call *call) {
    fw_attention a = fw_attention_of(call->attr, call->in[0].shape, call->in[1].shape);
    for (size_t n = 0; n < fw_nn_arrays(call, &call->out[0]); n++)
        for (size_t h = 0; h < a.heads; h++) attend(call, &a, n, h);
}

fw_status fw_fast_attention(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out,
                            fw_error *error) {
    (void)error;
    if (node->op == FW_NN_ATTENTION && !call->fused)
        *out = (fw_nn_choice){.kernel = attention,
                              .scratch_bytes = FW_GEMM_SCRATCH_BYTES +
                                               (size_t)FW_ATTENTION_BLOCK * call->in[1].shape.d[0] *
                                                   sizeof(float)};
    return FW_OK;
}
