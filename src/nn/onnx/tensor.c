#include "nn/onnx/tensor.h"

#include <string.h>

fw_onnx_tensor fw_onnx_tensor_of(fw_nn_value value, uint32_t rank, const int64_t *dims,
                                 uint32_t batch) {
    fw_onnx_tensor t = {.value = value, .rank = rank};
    for (uint32_t i = 0; i < rank; i++)
        if (dims[i] != 1)
            t.factors[t.count++] = (fw_onnx_factor){
                dims[i], (uint8_t)i, i == batch ? FW_ONNX_BATCHED : FW_ONNX_OWN};
    return t;
}

void fw_onnx_dims(const fw_onnx_tensor *t, int64_t *dims) {
    for (uint32_t i = 0; i < t->rank; i++) dims[i] = 1;
    for (uint32_t i = 0; i < t->count; i++) dims[t->factors[i].axis] *= t->factors[i].size;
}

int64_t fw_onnx_own(const fw_onnx_tensor *t, uint32_t axis) {
    int64_t size = 1;
    for (uint32_t i = 0; i < t->count; i++)
        if (t->factors[i].axis == axis && t->factors[i].kind == FW_ONNX_OWN) size *= t->factors[i].size;
    return size;
}

bool fw_onnx_holds(const fw_onnx_tensor *t, uint32_t axis, fw_onnx_kind kind) {
    for (uint32_t i = 0; i < t->count; i++)
        if (t->factors[i].axis == axis && t->factors[i].kind == kind) return true;
    return false;
}

bool fw_onnx_copied(const fw_onnx_tensor *t) {
    bool copied = false;
    for (uint32_t i = 0; i < t->count; i++) copied |= t->factors[i].kind == FW_ONNX_COPY;
    return copied;
}

uint32_t fw_onnx_batch_axis(const fw_onnx_tensor *t) {
    for (uint32_t i = 0; i < t->count; i++)
        if (t->factors[i].kind == FW_ONNX_BATCHED) return t->factors[i].axis;
    return t->rank;
}

/* ---- regrouping ---- */

static bool push(fw_onnx_tensor *out, fw_onnx_factor f, uint32_t axis) {
    if (out->count == FW_ONNX_FACTORS_MAX) return false;
    f.axis = (uint8_t)axis;
    out->factors[out->count++] = f;
    return true;
}

/* Our own factors that follow each other are one run of memory, which may be cut anywhere. */
static fw_onnx_tensor joined_runs(const fw_onnx_tensor *t) {
    fw_onnx_tensor out = {.value = t->value, .rank = t->rank};
    for (uint32_t i = 0; i < t->count; i++) {
        fw_onnx_factor *last = out.count ? &out.factors[out.count - 1] : NULL;
        bool joins = last && last->kind == FW_ONNX_OWN && t->factors[i].kind == FW_ONNX_OWN;
        if (joins) last->size *= t->factors[i].size;
        else out.factors[out.count++] = t->factors[i];
    }
    return out;
}

fw_status fw_onnx_regroup(const fw_onnx_tensor *t, uint32_t rank, const int64_t *dims,
                          fw_onnx_tensor *out, fw_error *error) {
    fw_onnx_tensor made = {.value = t->value, .rank = rank}, runs = joined_runs(t);
    fw_onnx_factor rest = {1, 0, FW_ONNX_OWN};
    uint32_t next = 0;
    for (uint32_t axis = 0; axis < rank; axis++)
        for (int64_t left = dims[axis]; left > 1;) {
            if (rest.size == 1) {
                if (next == runs.count) FW_ONNX_REFUSE("its shape does not hold its input");
                rest = runs.factors[next++];
            }
            fw_onnx_factor taken = rest;
            if (left % rest.size == 0) rest.size = 1;
            else if (rest.kind != FW_ONNX_BATCHED && rest.size % left == 0) {
                taken.size = left;
                rest.size /= left;
            } else FW_ONNX_REFUSE("its new shape cuts across the batch, or across what repeats");
            left /= taken.size;
            if (made.count == FW_ONNX_REGROUPED_MAX || !push(&made, taken, axis))
                FW_ONNX_REFUSE("its shape has too many factors");
        }
    if (rest.size != 1 || next != runs.count) FW_ONNX_REFUSE("its shape does not hold its input");
    *out = made;
    return FW_OK;
}

/* ---- order ---- */

/* Our own factors of t in their new order as blocks that stay together. order: (count) old places. */
typedef struct blocks {
    uint32_t count;
    uint32_t sizes[FW_ONNX_FACTORS_MAX]; /* by their new order */
    uint32_t places[FW_ONNX_FACTORS_MAX];
} blocks;

static blocks blocks_of(const int64_t *sizes, const uint32_t *order, uint32_t count) {
    blocks b = {0};
    for (uint32_t i = 0; i < count; i++) {
        bool joins = i > 0 && order[i] == order[i - 1] + 1;
        if (!joins) b.places[b.count] = order[i], b.sizes[b.count++] = 1;
        b.sizes[b.count - 1] *= (uint32_t)sizes[order[i]];
    }
    return b;
}

static fw_nn_shape without_ones(fw_nn_shape in) {
    fw_nn_shape out = {0};
    for (uint32_t i = 0; i < in.dims; i++)
        if (in.d[i] != 1) out.d[out.dims++] = in.d[i];
    return out;
}

/* x in the shape `from`, turned; a turn of a turn is one turn, or none. */
static fw_status turn(fw_onnx_reader *r, fw_nn_value x, fw_nn_shape from, const int32_t *order,
                      fw_nn_value *out, fw_error *error) {
    fw_nn_attr attr = {0};
    const fw_nn_node *before = fw_onnx_maker(r, x);
    bool still = true;
    for (uint32_t i = 0; i < from.dims; i++) attr.i[i] = order[i];
    if (before && before->op == FW_NN_TRANSPOSE &&
        fw_nn_shape_equal(from, without_ones(fw_onnx_shape(r, before->outputs[0]))) &&
        fw_onnx_shape(r, before->outputs[0]).dims == from.dims) {
        for (uint32_t i = 0; i < from.dims; i++) attr.i[i] = before->attr.i[order[i]];
        from = fw_onnx_shape(r, before->inputs[0]);
        x = before->inputs[0];
    }
    for (uint32_t i = 0; i < from.dims; i++) still &= attr.i[i] == (int32_t)i;
    FW_TRY(fw_onnx_reshape(r, x, from, &x, error));
    *out = x;
    return still ? FW_OK : fw_onnx_add(r, FW_NN_TRANSPOSE, &x, 1, attr, out, error);
}

/* The value with its own factors in another order. */
static fw_status reorder(fw_onnx_reader *r, fw_nn_value x, const int64_t *sizes,
                         const uint32_t *order, uint32_t count, fw_nn_value *out, fw_error *error) {
    blocks b = blocks_of(sizes, order, count);
    fw_nn_shape from = {.dims = b.count};
    int32_t turned[FW_NN_DIMS_MAX];
    *out = x;
    if (b.count <= 1) return FW_OK;
    if (b.count > FW_NN_DIMS_MAX) FW_ONNX_REFUSE("it moves over %d dimensions", FW_NN_DIMS_MAX);
    for (uint32_t i = 0; i < b.count; i++) {
        uint32_t rank = 0;
        for (uint32_t n = 0; n < b.count; n++) rank += b.places[n] < b.places[i];
        turned[i] = (int32_t)rank;
        from.d[rank] = b.sizes[i];
    }
    return turn(r, x, from, turned, out, error);
}

fw_status fw_onnx_permute(fw_onnx_reader *r, const fw_onnx_tensor *t, const uint32_t *order,
                          fw_onnx_tensor *out, fw_error *error) {
    fw_onnx_tensor made = {.value = t->value, .rank = t->rank};
    int64_t sizes[FW_ONNX_FACTORS_MAX];
    uint32_t places[FW_ONNX_FACTORS_MAX], own = 0, moved[FW_ONNX_FACTORS_MAX], count = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        places[i] = own;
        if (t->factors[i].kind == FW_ONNX_OWN) sizes[own++] = t->factors[i].size;
    }
    for (uint32_t axis = 0; axis < t->rank; axis++)
        for (uint32_t i = 0; i < t->count; i++) {
            if (t->factors[i].axis != order[axis]) continue;
            if (t->factors[i].kind == FW_ONNX_OWN) moved[count++] = places[i];
            (void)push(&made, t->factors[i], axis);
        }
    FW_TRY(reorder(r, t->value, sizes, moved, count, &made.value, error));
    *out = made;
    return FW_OK;
}

/* ---- shapes ---- */

fw_status fw_onnx_natural(const fw_onnx_tensor *t, fw_nn_shape *out, fw_error *error) {
    fw_nn_shape shape = {0};
    uint32_t ones = 0, batch = fw_onnx_batch_axis(t);
    int64_t sizes[FW_ONNX_RANK_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < t->rank; i++) {
        int64_t own = fw_onnx_own(t, i);
        bool alone = i == batch || (i == 0 && batch == t->rank);
        if (own == 1 && alone) continue;
        ones += own == 1;
        sizes[count++] = own;
    }
    bool drop = count > FW_NN_DIMS_MAX;
    if (count - (drop ? ones : 0) > FW_NN_DIMS_MAX)
        FW_ONNX_REFUSE("it has over %d dimensions beside the batch", FW_NN_DIMS_MAX);
    for (uint32_t i = 0; i < count; i++)
        if (!drop || sizes[i] != 1) shape.d[shape.dims++] = (uint32_t)sizes[i];
    *out = shape;
    return FW_OK;
}

fw_status fw_onnx_shaped(fw_onnx_reader *r, const fw_onnx_tensor *t, fw_nn_shape shape,
                         fw_nn_value *out, fw_error *error) {
    return fw_onnx_reshape(r, t->value, shape, out, error);
}

fw_status fw_onnx_rows(fw_onnx_reader *r, const fw_onnx_tensor *t, fw_nn_value *out,
                       fw_error *error) {
    fw_nn_shape shape = {0};
    if (t->rank == 0) FW_ONNX_REFUSE("it is one number");
    uint32_t last = t->rank - 1, batch = fw_onnx_batch_axis(t);
    if (batch == last || fw_onnx_holds(t, last, FW_ONNX_COPY))
        FW_ONNX_REFUSE("its last axis is the batch%s", batch == last ? "" : ", or repeats");
    for (uint32_t i = 0; i < last; i++)
        if (fw_onnx_own(t, i) > 1) {
            if (shape.dims == FW_NN_DIMS_MAX - 1) shape.d[shape.dims - 1] *= (uint32_t)fw_onnx_own(t, i);
            else shape.d[shape.dims++] = (uint32_t)fw_onnx_own(t, i);
        }
    shape.d[shape.dims++] = (uint32_t)fw_onnx_own(t, last);
    return fw_onnx_shaped(r, t, shape, out, error);
}

fw_onnx_tensor fw_onnx_with(const fw_onnx_tensor *t, fw_nn_value value) {
    fw_onnx_tensor out = *t;
    out.value = value;
    return out;
}

void fw_onnx_resize(fw_onnx_tensor *t, uint32_t axis, int64_t size) {
    fw_onnx_tensor out = {.value = t->value, .rank = t->rank};
    bool set = false;
    for (uint32_t i = 0; i <= t->count; i++) {
        bool after = i == t->count || t->factors[i].axis >= axis;
        if (after && !set && size != 1) (void)push(&out, (fw_onnx_factor){size, 0, FW_ONNX_OWN}, axis);
        set |= after;
        if (i < t->count && (t->factors[i].axis != axis || t->factors[i].kind != FW_ONNX_OWN))
            (void)push(&out, t->factors[i], t->factors[i].axis);
    }
    *t = out;
}
