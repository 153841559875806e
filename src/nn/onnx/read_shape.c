/* read_shape.c - operators that move numbers and compute none. */
#include "nn/onnx/tensor.h"
#include "onnx.pb-c.h"

FW_ONNX_READ(same) {
    fw_onnx_tensor t;
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    return fw_onnx_give(r, node, 0, &t, error);
}

FW_ONNX_READ(cast) {
    fw_onnx_tensor t;
    int64_t to = fw_onnx_int_of(node, "to", 0);
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    bool index = r->graph->values[t.value].dtype == FW_NN_I32;
    bool fits = index ? to == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 ||
                            to == ONNX__TENSOR_PROTO__DATA_TYPE__INT32
                      : to == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    if (!fits) FW_ONNX_REFUSE("it makes another type of %s (element type %lld)",
                              index ? "indices" : "numbers", (long long)to);
    return fw_onnx_give(r, node, 0, &t, error);
}

FW_ONNX_READ(shape) {
    fw_onnx_tensor t;
    int64_t dims[FW_ONNX_RANK_MAX];
    fw_onnx_constant *c = NULL;
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    fw_onnx_dims(&t, dims);
    FW_TRY(fw_onnx_shape_list(&r->pool, node, t.rank, dims, &c, error));
    fw_onnx_thing *at = (fw_onnx_thing *)(uintptr_t)fw_onnx_thing_of(r, node->output[0]);
    if (at->name) return fw_fail(error, FW_CORRUPT, "the name %.60s is given twice", at->name);
    *at = (fw_onnx_thing){.name = node->output[0], .node = node, .constant = c};
    return FW_OK;
}

/* ---- axes ---- */

FW_ONNX_READ(reshape) {
    fw_onnx_tensor t, made;
    int64_t dims[FW_ONNX_RANK_MAX], to[FW_ONNX_RANK_MAX];
    const fw_onnx_constant *in[2] = {NULL, NULL};
    uint32_t rank = 0;
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    if (node->n_input > 1 && *node->input[1]) FW_TRY(fw_onnx_want_constant(r, node, 1, &in[1], error));
    fw_onnx_dims(&t, dims);
    FW_TRY(fw_onnx_new_dims(node, in, t.rank, dims, &rank, to, error));
    FW_TRY(fw_onnx_regroup(&t, rank, to, &made, error));
    return fw_onnx_give(r, node, 0, &made, error);
}

FW_ONNX_READ(transpose) {
    fw_onnx_tensor t, made;
    fw_onnx_ilist perm;
    uint32_t order[FW_ONNX_RANK_MAX], seen = 0;
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    FW_TRY(fw_onnx_ints_of(node, "perm", NULL, &perm, error));
    if (perm.count && perm.count != t.rank)
        return fw_fail(error, FW_CORRUPT, "its order is none of %u axes", t.rank);
    for (uint32_t i = 0; i < t.rank; i++) {
        FW_TRY(fw_onnx_axis(perm.count ? perm.at[i] : (int64_t)(t.rank - 1 - i), t.rank, &order[i], error));
        if (seen & 1u << order[i]) return fw_fail(error, FW_CORRUPT, "its order names an axis twice");
        seen |= 1u << order[i];
    }
    FW_TRY(fw_onnx_permute(r, &t, order, &made, error));
    return fw_onnx_give(r, node, 0, &made, error);
}

FW_ONNX_READ(expand) {
    fw_onnx_tensor t, made;
    const fw_onnx_constant *shape;
    fw_onnx_ilist to;
    int64_t dims[FW_ONNX_RANK_MAX], total = 1;
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    FW_TRY(fw_onnx_want_constant(r, node, 1, &shape, error));
    FW_TRY(fw_onnx_ints_of(node, "shape", shape, &to, error));
    if (to.count > FW_ONNX_RANK_MAX) FW_ONNX_REFUSE("its shape has over %d axes", FW_ONNX_RANK_MAX);
    uint32_t rank = to.count > t.rank ? (uint32_t)to.count : t.rank;
    made = (fw_onnx_tensor){.value = t.value, .rank = rank};
    fw_onnx_dims(&t, dims);
    for (uint32_t axis = 0, next = 0; axis < rank; axis++) {
        bool own = axis + t.rank >= rank, wanted = axis + to.count >= rank;
        int64_t is = own ? dims[axis + t.rank - rank] : 1;
        int64_t want = wanted ? to.at[axis + to.count - rank] : 1;
        if (want < 1 || (is != 1 && want != 1 && is != want))
            return fw_fail(error, FW_CORRUPT, "axis %u has %lld elements, its shape says %lld", axis,
                           (long long)is, (long long)want);
        for (; own && next < t.count && t.factors[next].axis == axis + t.rank - rank; next++) {
            made.factors[made.count] = t.factors[next];
            made.factors[made.count++].axis = (uint8_t)axis;
        }
        if (is != 1 || want == 1) continue;
        if (want > FW_NN_ELEMENTS_MAX || (total *= want) > FW_NN_ELEMENTS_MAX ||
            made.count == FW_ONNX_REGROUPED_MAX)
            FW_ONNX_REFUSE("it repeats over the batch, or too often");
        made.factors[made.count++] = (fw_onnx_factor){want, (uint8_t)axis, FW_ONNX_COPY};
    }
    for (uint32_t i = 0; i < t.count; i++)
        if (t.factors[i].kind == FW_ONNX_COPY) FW_ONNX_REFUSE("it repeats what repeats already");
    return fw_onnx_give(r, node, 0, &made, error);
}

/* ---- parts ---- */

/* The value in its natural shape, and which dimension of that an axis is. */
static fw_status along(fw_onnx_reader *r, const fw_onnx_tensor *t, uint32_t axis, fw_nn_value *x,
                       int32_t *dim, fw_error *error) {
    fw_nn_shape shape = {0};
    if (fw_onnx_batch_axis(t) == axis || fw_onnx_holds(t, axis, FW_ONNX_COPY))
        FW_ONNX_REFUSE("axis %u is the batch, or repeats", axis);
    *dim = 0;
    for (uint32_t i = 0; i < t->rank; i++) {
        uint32_t own = (uint32_t)fw_onnx_own(t, i);
        if (i == axis) *dim = (int32_t)shape.dims;
        if (own == 1 && i != axis) continue;
        if (shape.dims == FW_NN_DIMS_MAX) FW_ONNX_REFUSE("it has over %d dimensions", FW_NN_DIMS_MAX);
        shape.d[shape.dims++] = own;
    }
    return fw_onnx_shaped(r, t, shape, x, error);
}

static fw_status take(fw_onnx_reader *r, const fw_onnx_tensor *t, uint32_t axis, int64_t first,
                      int64_t count, fw_onnx_tensor *out, fw_error *error) {
    fw_nn_value x;
    int32_t dim = 0;
    int64_t dims[FW_ONNX_RANK_MAX];
    fw_onnx_dims(t, dims);
    if (first < 0 || count < 1 || first + count > dims[axis]) FW_ONNX_REFUSE("it takes nothing of axis %u", axis);
    *out = *t;
    if (count == dims[axis]) return FW_OK;
    FW_TRY(along(r, t, axis, &x, &dim, error));
    fw_nn_attr attr = {.i = {dim, (int32_t)first, (int32_t)count}};
    FW_TRY(fw_onnx_add(r, FW_NN_SLICE, &x, 1, attr, &out->value, error));
    fw_onnx_resize(out, axis, count);
    return FW_OK;
}

/* Tensors that differ along one axis alone, eight at a time. */
static fw_status join(fw_onnx_reader *r, const fw_onnx_tensor *parts, size_t count, uint32_t axis,
                      fw_onnx_tensor *out, fw_error *error) {
    fw_nn_value in[8];
    fw_nn_attr attr = {0};
    fw_onnx_tensor sum = parts[0];
    int64_t length = fw_onnx_own(&sum, axis);
    for (size_t next = 1; next < count;) {
        uint32_t used = 0;
        FW_TRY(along(r, &sum, axis, &in[used++], &attr.i[0], error));
        for (; next < count && used < 8; next++) {
            FW_TRY(along(r, &parts[next], axis, &in[used++], &attr.i[0], error));
            length += fw_onnx_own(&parts[next], axis);
        }
        FW_TRY(fw_onnx_add(r, FW_NN_CONCAT, in, used, attr, &sum.value, error));
        fw_onnx_resize(&sum, axis, length);
    }
    *out = sum;
    return FW_OK;
}

/* Places of an axis one by one. */
static fw_status pick(fw_onnx_reader *r, const fw_onnx_tensor *t, const fw_onnx_range *range,
                      fw_onnx_tensor *out, fw_error *error) {
    fw_onnx_tensor parts[FW_ONNX_LIST_MAX];
    if (range->count > FW_ONNX_LIST_MAX) FW_ONNX_REFUSE("it picks over %d places by its steps", FW_ONNX_LIST_MAX);
    for (int64_t i = 0; i < range->count; i++)
        FW_TRY(take(r, t, range->axis, range->first + i * range->step, 1, &parts[i], error));
    return join(r, parts, (size_t)range->count, range->axis, out, error);
}

/* Places first, first + step, ... of an axis. Steps over 1: rows of `step`, of which one column stays. */
static fw_status stride(fw_onnx_reader *r, const fw_onnx_tensor *t, const fw_onnx_range *range,
                        fw_onnx_tensor *out, fw_error *error) {
    fw_onnx_tensor rows, columns;
    int64_t dims[FW_ONNX_RANK_MAX + 1], span = range->count * range->step, start = range->first, column = 0;
    fw_onnx_dims(t, dims);
    if (range->step == 1) return take(r, t, range->axis, range->first, range->count, out, error);
    if (start + span > dims[range->axis]) column = range->step - 1, start -= column;
    if (start < 0 || range->step < 1 || t->rank == FW_ONNX_RANK_MAX) return pick(r, t, range, out, error);
    FW_TRY(take(r, t, range->axis, start, span, &rows, error));
    fw_onnx_dims(&rows, dims);
    for (uint32_t i = t->rank; i > range->axis + 1; i--) dims[i] = dims[i - 1];
    dims[range->axis] = range->count;
    dims[range->axis + 1] = range->step;
    FW_TRY(fw_onnx_regroup(&rows, t->rank + 1, dims, &columns, error));
    FW_TRY(take(r, &columns, range->axis + 1, column, 1, &rows, error));
    for (uint32_t i = range->axis + 1; i < t->rank; i++) dims[i] = dims[i + 1];
    return fw_onnx_regroup(&rows, t->rank, dims, out, error);
}

FW_ONNX_READ(slice) {
    fw_onnx_tensor t;
    fw_onnx_range ranges[FW_ONNX_RANK_MAX];
    int64_t dims[FW_ONNX_RANK_MAX];
    const fw_onnx_constant *in[5] = {NULL};
    uint32_t count = 0;
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    for (size_t i = 1; i < node->n_input && i < 5; i++)
        if (*node->input[i]) FW_TRY(fw_onnx_want_constant(r, node, i, &in[i], error));
    fw_onnx_dims(&t, dims);
    FW_TRY(fw_onnx_slices(node, in, t.rank, dims, ranges, &count, error));
    for (uint32_t i = 0; i < count; i++) {
        if (ranges[i].count == dims[ranges[i].axis] && ranges[i].step == 1) continue;
        if (ranges[i].axis == fw_onnx_batch_axis(&t)) FW_ONNX_REFUSE("it cuts the batch");
        if (ranges[i].count == 0) FW_ONNX_REFUSE("it takes nothing of axis %u", ranges[i].axis);
        FW_TRY(stride(r, &t, &ranges[i], &t, error));
    }
    return fw_onnx_give(r, node, 0, &t, error);
}

FW_ONNX_READ(split) {
    fw_onnx_tensor t, part;
    const fw_onnx_constant *sizes = NULL;
    fw_onnx_ilist list;
    int64_t dims[FW_ONNX_RANK_MAX], at = 0;
    uint32_t axis = 0;
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    FW_TRY(fw_onnx_axis(fw_onnx_int_of(node, "axis", 0), t.rank, &axis, error));
    if (node->n_input > 1 && *node->input[1]) FW_TRY(fw_onnx_want_constant(r, node, 1, &sizes, error));
    FW_TRY(fw_onnx_ints_of(node, "split", sizes, &list, error));
    if (list.count && list.count != node->n_output) FW_ONNX_REFUSE("it has another number of parts");
    fw_onnx_dims(&t, dims);
    int64_t parts = (int64_t)node->n_output, each = (dims[axis] + parts - 1) / parts;
    for (size_t i = 0; i < node->n_output; i++) {
        int64_t count = list.count ? list.at[i] : each < dims[axis] - at ? each : dims[axis] - at;
        if (count < 1 || count > dims[axis] - at) FW_ONNX_REFUSE("its parts do not fit axis %u", axis);
        FW_TRY(take(r, &t, axis, at, count, &part, error));
        FW_TRY(fw_onnx_give(r, node, i, &part, error));
        at += count;
    }
    return FW_OK;
}

/* A constant as something computed, for those that are joined with values: no weights and a bias. */
static fw_status as_value(fw_onnx_reader *r, const fw_onnx_tensor *like, const fw_onnx_constant *c,
                          const char *name, fw_onnx_tensor *out, fw_error *error) {
    int64_t dims[FW_ONNX_RANK_MAX], full[FW_ONNX_RANK_MAX];
    uint32_t batch = fw_onnx_batch_axis(like);
    FW_TRY(fw_onnx_constant_fold_axis(&r->pool, c, batch, &c, error));
    fw_onnx_constant one = *c;
    fw_nn_value in[3];
    size_t count = 1;
    fw_nn_shape shape = {0};
    fw_onnx_dims(like, dims);
    if (c->rank != like->rank) FW_ONNX_REFUSE("its inputs have different numbers of axes");
    for (uint32_t i = 0; i < c->rank; i++) {
        full[i] = c->dims[i];
        if (i == batch && (c->dims[i] != dims[i] || c->have[i] != 1))
            FW_ONNX_REFUSE("its constant differs along the batch");
        if (i == batch) one.dims[i] = 1;
        count *= (size_t)one.dims[i];
    }
    if (count == 0 || count > FW_NN_ELEMENTS_MAX) FW_ONNX_REFUSE("its constant is empty, or too big");
    float *zeros = fw_onnx_room(r, count, error);
    const float *data;
    if (!zeros) return FW_NO_MEMORY;
    FW_TRY(fw_onnx_floats_in(r, &one, count, &data, error));
    FW_TRY(fw_onnx_reshape(r, like->value, fw_nn_shape1((uint32_t)fw_nn_elements(fw_onnx_shape(r, like->value))),
                           &in[0], error));
    FW_TRY(fw_onnx_add(r, FW_NN_SLICE, in, 1, (fw_nn_attr){.i = {0, 0, 1}}, &in[0], error));
    FW_TRY(fw_onnx_parameter(r, "zeros", fw_nn_shape2((uint32_t)count, 1), zeros, &in[1], error));
    FW_TRY(fw_onnx_parameter(r, name, fw_nn_shape1((uint32_t)count), data, &in[2], error));
    FW_TRY(fw_onnx_add(r, FW_NN_LINEAR, in, 3, (fw_nn_attr){0}, &in[0], error));
    *out = fw_onnx_tensor_of(in[0], c->rank, full, batch);
    FW_TRY(fw_onnx_natural(out, &shape, error));
    return fw_onnx_shaped(r, out, shape, &out->value, error);
}

static fw_status fit_together(const fw_onnx_tensor *a, const fw_onnx_tensor *b, uint32_t axis,
                              fw_error *error) {
    int64_t da[FW_ONNX_RANK_MAX], db[FW_ONNX_RANK_MAX];
    if (a->rank != b->rank) return fw_fail(error, FW_CORRUPT, "its inputs have different numbers of axes");
    fw_onnx_dims(a, da);
    fw_onnx_dims(b, db);
    for (uint32_t i = 0; i < a->rank; i++)
        if (i != axis && (da[i] != db[i] || fw_onnx_own(a, i) != fw_onnx_own(b, i)))
            return fw_fail(error, FW_CORRUPT, "its inputs differ in axis %u", i);
    if (fw_onnx_batch_axis(a) != fw_onnx_batch_axis(b))
        FW_ONNX_REFUSE("the batch lies on different axes of its inputs");
    return FW_OK;
}

FW_ONNX_READ(concat) {
    fw_onnx_tensor *parts = fw_onnx_take(&r->pool, node->n_input * sizeof *parts), first, made;
    size_t value = 0;
    uint32_t axis = 0;
    if (!parts) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    while (value < node->n_input && fw_onnx_constant_of(r, node, value)) value++;
    FW_TRY(fw_onnx_want(r, node, value, &first, error));
    FW_TRY(fw_onnx_axis(fw_onnx_int_of(node, "axis", 0), first.rank, &axis, error));
    for (size_t i = 0; i < node->n_input; i++) {
        const fw_onnx_constant *c = fw_onnx_constant_of(r, node, i);
        if (c) FW_TRY(as_value(r, &first, c, node->input[i], &parts[i], error));
        else FW_TRY(fw_onnx_want(r, node, i, &parts[i], error));
        FW_TRY(fit_together(&first, &parts[i], axis, error));
    }
    FW_TRY(join(r, parts, node->n_input, axis, &made, error));
    return fw_onnx_give(r, node, 0, &made, error);
}

/* ---- picked ---- */

static fw_status embedding(fw_onnx_reader *r, fw_onnx_proto *node, const fw_onnx_constant *table,
                           fw_error *error) {
    fw_onnx_tensor ids, made;
    fw_nn_shape shape;
    fw_nn_value in[2];
    const float *data;
    FW_TRY(fw_onnx_want(r, node, 1, &ids, error));
    if (table->rank != 2 || fw_onnx_int_of(node, "axis", 0) != 0 || fw_onnx_copied(&ids) ||
        table->dims[0] > FW_NN_ELEMENTS_MAX || table->dims[1] > FW_NN_ELEMENTS_MAX)
        FW_ONNX_REFUSE("only rows of a table (V, C) are read");
    FW_TRY(fw_onnx_natural(&ids, &shape, error));
    FW_TRY(fw_onnx_shaped(r, &ids, shape, &in[0], error));
    FW_TRY(fw_onnx_floats_in(r, table, (size_t)(table->dims[0] * table->dims[1]), &data, error));
    FW_TRY(fw_onnx_parameter(r, node->input[0], fw_nn_shape2((uint32_t)table->dims[0], (uint32_t)table->dims[1]),
                             data, &in[1], error));
    made = ids;
    if (made.rank == FW_ONNX_RANK_MAX) FW_ONNX_REFUSE("it makes too many axes");
    FW_TRY(fw_onnx_add(r, FW_NN_EMBEDDING, in, 2, (fw_nn_attr){0}, &made.value, error));
    fw_onnx_resize(&made, made.rank++, table->dims[1]);
    return fw_onnx_give(r, node, 0, &made, error);
}

FW_ONNX_READ(gather) {
    const fw_onnx_constant *table = fw_onnx_constant_of(r, node, 0), *ids;
    fw_onnx_tensor t, parts[FW_ONNX_LIST_MAX], made;
    fw_onnx_ilist list;
    int64_t dims[FW_ONNX_RANK_MAX];
    uint32_t axis = 0, used = 0;
    if (table) return embedding(r, node, table, error);
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    FW_TRY(fw_onnx_want_constant(r, node, 1, &ids, error));
    FW_TRY(fw_onnx_axis(fw_onnx_int_of(node, "axis", 0), t.rank, &axis, error));
    FW_TRY(fw_onnx_ints_of(node, "indices", ids, &list, error));
    fw_onnx_dims(&t, dims);
    for (size_t i = 0, run; i < list.count; i += run) {
        for (run = 1; i + run < list.count && list.at[i + run] == list.at[i] + (int64_t)run &&
                      list.at[i + run] != 0; run++) {}
        int64_t first = list.at[i] < 0 ? list.at[i] + dims[axis] : list.at[i];
        FW_TRY(take(r, &t, axis, first, (int64_t)run, &parts[used++], error));
    }
    if (used == 0) FW_ONNX_REFUSE("it picks nothing");
    FW_TRY(join(r, parts, used, axis, &made, error));
    if (ids->rank > 0) return fw_onnx_give(r, node, 0, &made, error);
    fw_onnx_dims(&made, dims); /* one index: its axis goes */
    for (uint32_t i = axis; i + 1 < made.rank; i++) dims[i] = dims[i + 1];
    FW_TRY(fw_onnx_regroup(&made, made.rank - 1, dims, &t, error));
    return fw_onnx_give(r, node, 0, &t, error);
}
