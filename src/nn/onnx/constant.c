#include "nn/onnx/constant.h"

#include <stdlib.h>
#include <string.h>

#include "nn/onnx/read.h"
#include "onnx.pb-c.h"

/* ---- memory ---- */

typedef struct block {
    struct block *next;
    _Alignas(16) char bytes[];
} block;

void *fw_onnx_take(fw_onnx_pool *pool, size_t bytes) {
    if (bytes > pool->left_bytes) return NULL;
    block *b = calloc(1, sizeof *b + bytes + 1);
    if (!b) return NULL;
    pool->left_bytes -= bytes;
    b->next = pool->blocks;
    pool->blocks = b;
    return b->bytes;
}

void fw_onnx_pool_free(fw_onnx_pool *pool) {
    while (pool->blocks) {
        block *next = ((block *)pool->blocks)->next;
        free(pool->blocks);
        pool->blocks = next;
    }
}

/* ---- constants ---- */

size_t fw_onnx_had(const fw_onnx_constant *c) {
    size_t product = 1;
    for (uint32_t i = 0; i < c->rank; i++) product *= (size_t)c->have[i];
    return product;
}

bool fw_onnx_uniform(const fw_onnx_constant *c, double *out) {
    if (!c || fw_onnx_had(c) != 1) return false;
    *out = fw_onnx_at(c, 0);
    return true;
}

/* Elements of another type as floats or int64. */
static fw_status converted(fw_onnx_pool *pool, const Onnx__TensorProto *t, size_t count,
                           fw_onnx_constant *c, fw_error *error) {
    void *data = fw_onnx_take(pool, count * (c->whole ? sizeof(int64_t) : sizeof(float)));
    if (!data) return fw_fail(error, FW_NO_MEMORY, "no memory for a tensor");
    c->data = data;
    return c->whole ? fw_onnx_copy_ints(t, data, error) : fw_onnx_copy_floats(t, data, error);
}

fw_status fw_onnx_constant_read(fw_onnx_pool *pool, const Onnx__TensorProto *t,
                                fw_onnx_constant **out, fw_error *error) {
    size_t count = 0;
    fw_onnx_constant *c = fw_onnx_take(pool, sizeof *c);
    if (!c) return fw_fail(error, FW_NO_MEMORY, "no memory for a tensor");
    FW_TRY(fw_onnx_count(t, &count, error));
    if (t->n_dims > FW_ONNX_RANK_MAX)
        FW_ONNX_REFUSE("a tensor of %zu dimensions, %d at most are read", t->n_dims, FW_ONNX_RANK_MAX);
    c->rank = (uint32_t)t->n_dims;
    for (uint32_t i = 0; i < c->rank; i++) c->dims[i] = c->have[i] = t->dims[i];
    c->whole = t->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT &&
               t->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
    bool plain = t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT ||
                 t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    if (plain && t->has_raw_data) {
        if (t->raw_data.len != count * (c->whole ? sizeof(int64_t) : sizeof(float)))
            return fw_fail(error, FW_CORRUPT, "its data are of another size than its shape says");
        c->data = t->raw_data.data;
    } else {
        FW_TRY(converted(pool, t, count, c, error));
    }
    *out = c;
    return FW_OK;
}

fw_status fw_onnx_constant_list(fw_onnx_pool *pool, const int64_t *values, uint32_t count,
                                fw_onnx_constant **out, fw_error *error) {
    fw_onnx_constant *c = fw_onnx_take(pool, sizeof *c);
    int64_t *data = fw_onnx_take(pool, count * sizeof *data);
    if (!c || !data) return fw_fail(error, FW_NO_MEMORY, "no memory for a tensor");
    if (count > 0) memcpy(data, values, count * sizeof *data);
    *c = (fw_onnx_constant){.whole = true, .rank = 1, .dims = {count}, .have = {count}, .data = data};
    *out = c;
    return FW_OK;
}

fw_status fw_onnx_shape_list(fw_onnx_pool *pool, fw_onnx_proto *node, uint32_t rank,
                             const int64_t *dims, fw_onnx_constant **out, fw_error *error) {
    int64_t start = fw_onnx_int_of(node, "start", 0), end = fw_onnx_int_of(node, "end", rank);
    if (start < 0) start += rank;
    if (end < 0) end += rank;
    if (start < 0) start = 0;
    if (end > rank) end = rank;
    if (end < start) end = start;
    return fw_onnx_constant_list(pool, dims + start, (uint32_t)(end - start), out, error);
}

fw_status fw_onnx_constant_full(fw_onnx_pool *pool, const fw_onnx_constant *in,
                                const fw_onnx_constant **out, fw_error *error) {
    size_t each = in->whole ? sizeof(int64_t) : sizeof(float), total = 1;
    bool full = true;
    for (uint32_t i = 0; i < in->rank; i++) {
        full &= in->have[i] == in->dims[i];
        if (in->dims[i] > FW_NN_ELEMENTS_MAX || (total *= (size_t)in->dims[i]) > FW_NN_ELEMENTS_MAX)
            FW_ONNX_REFUSE("a constant would repeat for each example of the batch, or is too big");
    }
    *out = in;
    if (full) return FW_OK;
    fw_onnx_constant *c = fw_onnx_take(pool, sizeof *c);
    char *data = fw_onnx_take(pool, total * each);
    if (!c || !data) return fw_fail(error, FW_NO_MEMORY, "no memory for a tensor");
    *c = *in;
    c->data = data;
    memcpy(c->have, c->dims, sizeof c->have);
    for (size_t n = 0; n < total; n++) {
        size_t rest = n, from = 0, stride = 1;
        for (uint32_t i = in->rank; i-- > 0;) {
            size_t at = rest % (size_t)in->dims[i];
            rest /= (size_t)in->dims[i];
            if (in->have[i] > 1) from += at * stride;
            stride *= (size_t)in->have[i];
        }
        memcpy(data + n * each, (const char *)in->data + from * each, each);
    }
    *out = c;
    return FW_OK;
}

fw_status fw_onnx_constant_fold_axis(fw_onnx_pool *pool, const fw_onnx_constant *in, uint32_t axis,
                                     const fw_onnx_constant **out, fw_error *error) {
    size_t each = in->whole ? sizeof(int64_t) : sizeof(float), before = 1, after = each;
    *out = in;
    if (axis >= in->rank || in->have[axis] <= 1) return FW_OK;
    for (uint32_t i = 0; i < axis; i++) before *= (size_t)in->have[i];
    for (uint32_t i = axis + 1; i < in->rank; i++) after *= (size_t)in->have[i];
    size_t times = (size_t)in->have[axis];
    const char *from = in->data;
    for (size_t b = 0; b < before; b++)
        for (size_t n = 1; n < times; n++)
            if (memcmp(from + b * times * after, from + (b * times + n) * after, after) != 0) return FW_OK;
    fw_onnx_constant *c = fw_onnx_take(pool, sizeof *c);
    char *data = fw_onnx_take(pool, before * after);
    if (!c || !data) return fw_fail(error, FW_NO_MEMORY, "no memory for a tensor");
    for (size_t b = 0; b < before; b++) memcpy(data + b * after, from + b * times * after, after);
    *c = *in;
    c->have[axis] = 1;
    c->data = data;
    *out = c;
    return FW_OK;
}

/* ---- attributes ---- */

bool fw_onnx_is(fw_onnx_proto *node, const char *op) {
    return strcmp(node->op_type, op) == 0;
}

const Onnx__AttributeProto *fw_onnx_attribute(fw_onnx_proto *node, const char *name) {
    for (size_t i = 0; i < node->n_attribute; i++)
        if (strcmp(node->attribute[i]->name, name) == 0) return node->attribute[i];
    return NULL;
}
int64_t fw_onnx_int_of(fw_onnx_proto *node, const char *name, int64_t otherwise) {
    const Onnx__AttributeProto *a = fw_onnx_attribute(node, name);
    return a && a->has_i ? a->i : otherwise;
}
float fw_onnx_float_of(fw_onnx_proto *node, const char *name, float otherwise) {
    const Onnx__AttributeProto *a = fw_onnx_attribute(node, name);
    return a && a->has_f ? a->f : otherwise;
}

fw_status fw_onnx_ints_of(fw_onnx_proto *node, const char *name, const fw_onnx_constant *input,
                          fw_onnx_ilist *out, fw_error *error) {
    const Onnx__AttributeProto *a = fw_onnx_attribute(node, name);
    out->count = 0;
    if (!input && !a) return FW_OK;
    if (input && (!input->whole || input->rank > 1))
        FW_ONNX_REFUSE("its %s are no list of integers", name);
    size_t count = input ? (size_t)(input->rank ? input->dims[0] : 1) : a->n_ints;
    if (count > FW_ONNX_LIST_MAX) FW_ONNX_REFUSE("its %s are over %d", name, FW_ONNX_LIST_MAX);
    out->count = count;
    for (size_t i = 0; i < count; i++)
        out->at[i] = input ? ((const int64_t *)input->data)[fw_onnx_had(input) > 1 ? i : 0]
                           : a->ints[i];
    return FW_OK;
}

fw_status fw_onnx_axis(int64_t axis, uint32_t rank, uint32_t *out, fw_error *error) {
    int64_t at = axis < 0 ? axis + rank : axis;
    if (axis < -(int64_t)rank || at < 0 || at >= rank)
        return fw_fail(error, FW_CORRUPT, "there is no axis %lld among %u", (long long)axis, rank);
    *out = (uint32_t)at;
    return FW_OK;
}

/* One axis of a Slice, by its rules: ends are cut to the axis. */
static fw_status cut(int64_t size, int64_t start, int64_t end, int64_t step, fw_onnx_range *out,
                     fw_error *error) {
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? size - 1 : size;
    if (step == 0 || step < -INT32_MAX || step > INT32_MAX) FW_ONNX_REFUSE("its step is 0 or huge");
    if (start < 0) start = start < -size ? low : start + size;
    if (end < 0) end = end < -size ? low : end + size;
    if (start > high) start = high;
    if (start < 0) start = 0;
    if (end > size) end = size;
    int64_t span = step > 0 ? end - start : start - end;
    int64_t stride = step > 0 ? step : -step;
    out->first = start;
    out->step = step;
    out->count = span <= 0 ? 0 : (span + stride - 1) / stride;
    return FW_OK;
}

fw_status fw_onnx_slices(fw_onnx_proto *node, const fw_onnx_constant *const *in, uint32_t rank,
                         const int64_t *dims, fw_onnx_range *out, uint32_t *count,
                         fw_error *error) {
    fw_onnx_ilist lists[4] = {0};
    static const char *const names[] = {"starts", "ends", "axes", "steps"};
    for (size_t i = 0; i < 4; i++)
        FW_TRY(fw_onnx_ints_of(node, names[i], i + 1 < node->n_input ? in[i + 1] : NULL, &lists[i],
                               error));
    *count = (uint32_t)lists[0].count;
    if (*count == 0 || *count > FW_ONNX_RANK_MAX || lists[1].count != *count ||
        (lists[2].count && lists[2].count != *count) || (lists[3].count && lists[3].count != *count))
        FW_ONNX_REFUSE("its starts, ends, axes and steps do not fit each other");
    for (uint32_t i = 0; i < *count; i++) {
        FW_TRY(fw_onnx_axis(lists[2].count ? lists[2].at[i] : i, rank, &out[i].axis, error));
        FW_TRY(cut(dims[out[i].axis], lists[0].at[i], lists[1].at[i],
                   lists[3].count ? lists[3].at[i] : 1, &out[i], error));
    }
    return FW_OK;
}

/* ---- shapes ---- */

static fw_status by_reshape(fw_onnx_proto *node, const fw_onnx_constant *to, uint32_t rank,
                            const int64_t *dims, uint32_t *out_rank, int64_t *out, fw_error *error) {
    fw_onnx_ilist list;
    int64_t known = 1, total = 1, open = -1;
    FW_TRY(fw_onnx_ints_of(node, "shape", to, &list, error));
    if (!to || list.count > FW_ONNX_RANK_MAX) FW_ONNX_REFUSE("its shape is no constant of 8 at most");
    for (uint32_t i = 0; i < rank; i++)
        if (__builtin_mul_overflow(total, dims[i], &total)) FW_ONNX_REFUSE("its input is too big");
    for (uint32_t i = 0; i < list.count; i++) {
        out[i] = list.at[i];
        if (out[i] == 0 && i < rank && !fw_onnx_int_of(node, "allowzero", 0)) out[i] = dims[i];
        if (out[i] == -1 && open < 0) open = i;
        else if (out[i] < 1 || __builtin_mul_overflow(known, out[i], &known))
            FW_ONNX_REFUSE("its shape has an empty, negative or too big dimension");
    }
    if (open >= 0) out[open] = total / known;
    if (total % known != 0 || (open < 0 && total != known))
        FW_ONNX_REFUSE("its shape does not hold its input");
    *out_rank = (uint32_t)list.count;
    return FW_OK;
}

static fw_status by_axes(fw_onnx_proto *node, const fw_onnx_constant *by, uint32_t rank,
                         const int64_t *dims, uint32_t *out_rank, int64_t *out, fw_error *error) {
    bool more = fw_onnx_is(node, "Unsqueeze"), named[FW_ONNX_RANK_MAX] = {false};
    fw_onnx_ilist axes;
    uint32_t used = 0, wide, axis = 0;
    FW_TRY(fw_onnx_ints_of(node, "axes", by, &axes, error));
    if (more && (axes.count == 0 || rank + axes.count > FW_ONNX_RANK_MAX))
        FW_ONNX_REFUSE("its axes are none, or too many");
    wide = more ? rank + (uint32_t)axes.count : rank;
    for (size_t i = 0; i < axes.count; i++) {
        FW_TRY(fw_onnx_axis(axes.at[i], wide, &axis, error));
        if (named[axis]) return fw_fail(error, FW_CORRUPT, "its axis %u is named twice", axis);
        named[axis] = true;
    }
    *out_rank = 0;
    for (uint32_t i = 0; i < wide; i++) {
        bool gone = !more && (axes.count ? named[i] : dims[i] == 1);
        if (gone && dims[i] != 1) FW_ONNX_REFUSE("it takes away axis %u, which is not 1", i);
        if (!gone) out[(*out_rank)++] = more ? (named[i] ? 1 : dims[used++]) : dims[i];
    }
    return FW_OK;
}

fw_status fw_onnx_new_dims(fw_onnx_proto *node, const fw_onnx_constant *const *in, uint32_t rank,
                           const int64_t *dims, uint32_t *out_rank, int64_t *out, fw_error *error) {
    const fw_onnx_constant *second = node->n_input > 1 ? in[1] : NULL;
    if (fw_onnx_is(node, "Reshape")) return by_reshape(node, second, rank, dims, out_rank, out, error);
    if (!fw_onnx_is(node, "Flatten")) return by_axes(node, second, rank, dims, out_rank, out, error);
    int64_t axis = fw_onnx_int_of(node, "axis", 1);
    if (axis < 0) axis += rank;
    if (axis < 0 || axis > rank) return fw_fail(error, FW_CORRUPT, "there is no axis %lld", (long long)axis);
    out[0] = out[1] = 1;
    for (uint32_t i = 0; i < rank; i++)
        if (__builtin_mul_overflow(out[i >= axis], dims[i], &out[i >= axis]))
            FW_ONNX_REFUSE("its input is too big");
    *out_rank = 2;
    return FW_OK;
}
