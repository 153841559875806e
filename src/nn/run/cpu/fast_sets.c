/* fast_sets.c - the largest of a set's members, eight columns at a time. Comparisons alone: the same bits as
 * the reference, which goes down each column and so touches a cache line for every number. */
#include "nn/run/cpu/fast.h"
#include "nn/run/cpu/vector.h"

typedef int32_t i8u __attribute__((vector_size(32), aligned(4), may_alias));

/* Of eight columns; x: their first member. A NaN is taken, and stays until another is. */
static inline void max_eight(const float *x, const float *mask, size_t members, size_t width, float *y,
                             int32_t *chosen) {
    fw_v8 best = {0};
    fw_i8 who = {-1, -1, -1, -1, -1, -1, -1, -1};
    for (size_t m = 0; m < members; m++) {
        if (mask[m] == 0) continue;
        fw_v8 next = FW_LOAD8(x + m * width);
        fw_i8 take = (who < 0) | (fw_i8)(next > best) | (fw_i8)(next != next), is = (fw_i8){0} + (int32_t)m;
        best = (fw_v8)(((fw_i8)next & take) | ((fw_i8)best & ~take));
        who = (is & take) | (who & ~take);
    }
    FW_STORE8(y, best);
    *(i8u *)chosen = who;
}

static inline void max_one(const float *x, const float *mask, size_t members, size_t width, float *y,
                           int32_t *chosen) {
    *y = 0;
    *chosen = -1;
    for (size_t m = 0; m < members; m++) {
        float next = x[m * width];
        if (mask[m] != 0 && (*chosen < 0 || next > *y || isnan(next))) *y = next, *chosen = (int32_t)m;
    }
}

FW_KERNEL static void set_max(const fw_nn_call *call) {
    const fw_nn_view *x = &call->in[0], *mask = &call->in[1];
    size_t members = x->shape.d[0], width = x->shape.d[1];
    float *y = fw_nn_out(call, 0);
    int32_t *chosen = call->out[1].data;
    for (size_t n = 0; n < fw_nn_arrays(call, &call->out[0]); n++, y += width, chosen += width) {
        const float *of = fw_nn_in(call, 0) + (x->batched ? n * members * width : 0);
        const float *there = fw_nn_in(call, 1) + (mask->batched ? n * members : 0);
        size_t c = 0;
        for (; c + 8 <= width; c += 8) max_eight(of + c, there, members, width, y + c, chosen + c);
        for (; c < width; c++) max_one(of + c, there, members, width, y + c, chosen + c);
    }
}

fw_status fw_fast_sets(const fw_nn_node *node, const fw_nn_call *call, fw_nn_choice *out, fw_error *error) {
    static fw_nn_kernel *const kernels[FW_NN_OP_COUNT] = {[FW_NN_SET_MAX] = set_max};
    (void)error;
    if (node->op < FW_NN_OP_COUNT && !call->fused) out->kernel = kernels[node->op];
    return FW_OK;
}
