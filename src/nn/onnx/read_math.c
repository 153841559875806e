/* read_math.c - arithmetic, number by number, and the activations that are written out in it. */
#include <math.h>
#include <string.h>

#include "nn/onnx/tensor.h"
#include "onnx.pb-c.h"

/* ---- of one value ---- */

static fw_status single(fw_onnx_reader *r, fw_onnx_proto *node, fw_nn_op op, fw_nn_attr attr,
                        fw_error *error) {
    fw_onnx_tensor t;
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    FW_TRY(fw_onnx_add(r, op, &t.value, 1, attr, &t.value, error));
    return fw_onnx_give(r, node, 0, &t, error);
}

static fw_status leaky(fw_onnx_reader *r, fw_nn_value x, double slope, fw_nn_value *out,
                       fw_error *error) {
    fw_nn_value in[2];
    FW_TRY(fw_onnx_add(r, FW_NN_RELU, &x, 1, (fw_nn_attr){0}, &in[0], error));
    FW_TRY(fw_onnx_affine(r, in[0], 1 - slope, 0, &in[0], error));
    FW_TRY(fw_onnx_affine(r, x, slope, 0, &in[1], error));
    return fw_onnx_add(r, FW_NN_ADD, in, 2, (fw_nn_attr){0}, out, error);
}

static fw_status hard(fw_onnx_reader *r, fw_nn_value x, double slope, double offset, fw_nn_value *out,
                      fw_error *error) {
    fw_nn_value y;
    FW_TRY(fw_onnx_affine(r, x, slope, offset, &y, error));
    return fw_onnx_add(r, FW_NN_CLAMP, &y, 1, (fw_nn_attr){.f = {0, 1}}, out, error);
}

FW_ONNX_READ(unary) {
    static const struct {
        const char *name;
        fw_nn_op op;
    } plain[] = {{"Relu", FW_NN_RELU}, {"Tanh", FW_NN_TANH}, {"Sigmoid", FW_NN_SIGMOID}, {"Exp", FW_NN_EXP}, {"Erf", FW_NN_ERF}};
    fw_onnx_tensor t;
    fw_nn_value in[2];
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (fw_onnx_is(node, plain[i].name)) return single(r, node, plain[i].op, (fw_nn_attr){0}, error);
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    in[0] = t.value;
    if (fw_onnx_is(node, "Neg")) {
        FW_TRY(fw_onnx_affine(r, in[0], -1, 0, &t.value, error));
    } else if (fw_onnx_is(node, "LeakyRelu")) {
        FW_TRY(leaky(r, in[0], (double)fw_onnx_float_of(node, "alpha", 0.01f), &t.value, error));
    } else if (fw_onnx_is(node, "HardSigmoid")) {
        FW_TRY(hard(r, in[0], (double)fw_onnx_float_of(node, "alpha", 0.2f),
                    (double)fw_onnx_float_of(node, "beta", 0.5f), &t.value, error));
    } else {
        FW_TRY(hard(r, in[0], 1.0 / 6, 0.5, &in[1], error));
        FW_TRY(fw_onnx_add(r, FW_NN_MULTIPLY, in, 2, (fw_nn_attr){0}, &t.value, error));
    }
    return fw_onnx_give(r, node, 0, &t, error);
}

FW_ONNX_READ(clip) {
    double low = -INFINITY, high = INFINITY;
    bool fits = (!*fw_onnx_name_in(node, 1) || fw_onnx_number_of(r, node, 1, &low)) &&
                (!*fw_onnx_name_in(node, 2) || fw_onnx_number_of(r, node, 2, &high));
    if (!fits) FW_ONNX_REFUSE("its limits must be constants");
    return single(r, node, FW_NN_CLAMP, (fw_nn_attr){.f = {(float)low, (float)high}}, error);
}

/* ---- of a value and a constant ---- */

/* Linear layers and norms of which this is a part: another bias, another gain. *done: so it was. */
static fw_status into_layer(fw_onnx_reader *r, fw_nn_op op, fw_nn_value x, const fw_nn_node *maker,
                            fw_nn_value c, fw_nn_value *out, bool *done, fw_error *error) {
    fw_nn_value in[3];
    *done = false;
    if (!maker || r->graph->values[c].shape.dims != 1 || maker->outputs[0] != x) return FW_OK;
    fw_nn_node node = *maker;
    bool norm = node.op == FW_NN_LAYER_NORM || node.op == FW_NN_RMS_NORM;
    bool unit = norm && strcmp(r->names[node.inputs[1]], "unit") == 0;
    memcpy(in, node.inputs, sizeof in);
    if (op == FW_NN_MULTIPLY && unit && node.input_count == 2) in[1] = c;
    else if (op == FW_NN_ADD && node.input_count == 2 && (node.op == FW_NN_LINEAR || node.op == FW_NN_LAYER_NORM))
        in[node.input_count++] = c;
    else return FW_OK;
    *done = true;
    return fw_onnx_add(r, (fw_nn_op)node.op, in, node.input_count, node.attr, out, error);
}

/* The constant on the last dimensions of t that it has more than one number of. */
static fw_status last_dims(fw_onnx_reader *r, const fw_onnx_tensor *t, const fw_onnx_constant *c,
                           const char *name, fw_nn_value *x, fw_nn_value *out, fw_error *error) {
    int64_t dims[FW_ONNX_RANK_MAX];
    fw_onnx_constant cut = {.whole = c->whole, .data = c->data};
    fw_nn_shape all = {0}, shape = {0};
    uint32_t lead = t->rank - c->rank, batch = fw_onnx_batch_axis(t), first = t->rank;
    const float *data;
    fw_onnx_dims(t, dims);
    for (uint32_t i = c->rank; i-- > 0;) {
        if (c->dims[i] != 1 && c->dims[i] != dims[lead + i])
            FW_ONNX_REFUSE("its constant has %lld elements on axis %u, its value %lld",
                           (long long)c->dims[i], lead + i, (long long)dims[lead + i]);
        if (c->have[i] > 1) first = lead + i;
        if (c->have[i] > 1 && (lead + i == batch || fw_onnx_holds(t, lead + i, FW_ONNX_COPY)))
            FW_ONNX_REFUSE("its constant differs along the batch");
    }
    for (uint32_t i = 0; i < t->rank; i++) {
        uint32_t own = (uint32_t)fw_onnx_own(t, i);
        bool counts = own > 1 && i != batch;
        if (own > 1 && all.dims == FW_NN_DIMS_MAX) FW_ONNX_REFUSE("it has over %d dimensions", FW_NN_DIMS_MAX);
        if (own > 1) all.d[all.dims++] = own;
        if (i < first) continue;
        if (own > 1 && i == batch) FW_ONNX_REFUSE("the batch lies between the axes of its constant");
        if (!counts) continue;
        shape.d[shape.dims++] = own;
        cut.dims[cut.rank] = own;
        cut.have[cut.rank++] = c->have[i - lead];
    }
    FW_TRY(fw_onnx_floats_in(r, &cut, fw_nn_elements(shape), &data, error));
    FW_TRY(fw_onnx_shaped(r, t, all, x, error));
    return fw_onnx_parameter(r, name, shape, data, out, error);
}

/* first: the constant stands before the minus. */
static fw_status with_constant(fw_onnx_reader *r, fw_nn_op op, fw_onnx_tensor t, const fw_onnx_constant *c,
                               const char *name, bool first, fw_onnx_tensor *out, fw_error *error) {
    double number;
    fw_nn_value in[2];
    bool done = false, minus = op == FW_NN_SUBTRACT;
    if (c->rank > t.rank) {
        int64_t dims[FW_ONNX_RANK_MAX], wide[FW_ONNX_RANK_MAX];
        fw_onnx_dims(&t, dims);
        for (uint32_t i = 0; i < c->rank; i++) wide[i] = i + t.rank < c->rank ? 1 : dims[i + t.rank - c->rank];
        FW_TRY(fw_onnx_regroup(&t, c->rank, wide, &t, error));
    }
    *out = t;
    uint32_t batch = fw_onnx_batch_axis(&t), lead = t.rank - c->rank;
    if (batch < t.rank && batch >= lead) FW_TRY(fw_onnx_constant_fold_axis(&r->pool, c, batch - lead, &c, error));
    if (fw_onnx_uniform(c, &number) && !c->whole) {
        if (op == FW_NN_MULTIPLY) return fw_onnx_affine(r, t.value, number, 0, &out->value, error);
        return fw_onnx_affine(r, t.value, minus && first ? -1 : 1, minus && !first ? -number : number,
                              &out->value, error);
    }
    if (fw_onnx_copied(&t)) FW_ONNX_REFUSE("its value repeats along an axis");
    FW_TRY(last_dims(r, &t, c, name, &in[0], &in[1], error));
    FW_TRY(into_layer(r, op, t.value, fw_onnx_maker(r, t.value), in[1], &out->value, &done, error));
    if (done) return FW_OK;
    if (minus && first) FW_TRY(fw_onnx_affine(r, in[0], -1, 0, &in[0], error));
    return fw_onnx_add(r, minus && first ? FW_NN_ADD : op, in, 2, (fw_nn_attr){0}, &out->value, error);
}

/* ---- of two values ---- */

static fw_status to_rank(const fw_onnx_tensor *t, uint32_t rank, fw_onnx_tensor *out, fw_error *error) {
    int64_t dims[FW_ONNX_RANK_MAX], wide[FW_ONNX_RANK_MAX];
    fw_onnx_dims(t, dims);
    for (uint32_t i = 0; i < rank; i++) wide[i] = i + t->rank < rank ? 1 : dims[i + t->rank - rank];
    return fw_onnx_regroup(t, rank, wide, out, error);
}

/* b repeats along axes where it has one element and a more: these come first in a's own order, so that b
 * is the end of a. Turned there, computed, turned back. */
static fw_status repeating(fw_onnx_reader *r, fw_nn_op op, const fw_onnx_tensor *a, const fw_onnx_tensor *b,
                           fw_onnx_tensor *out, fw_error *error) {
    uint32_t order[FW_ONNX_RANK_MAX], back[FW_ONNX_RANK_MAX], used = 0;
    fw_onnx_tensor turned, small;
    fw_nn_shape shape, end = {0};
    fw_nn_value in[2];
    for (uint32_t pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < a->rank; i++)
            if ((fw_onnx_own(a, i) != fw_onnx_own(b, i)) == (pass == 0)) order[used++] = i;
    for (uint32_t i = 0; i < a->rank; i++) back[order[i]] = i;
    FW_TRY(fw_onnx_permute(r, a, order, &turned, error));
    FW_TRY(fw_onnx_permute(r, b, order, &small, error));
    FW_TRY(fw_onnx_natural(&turned, &shape, error));
    for (uint32_t i = 0; i < a->rank; i++)
        if (fw_onnx_own(b, order[i]) > 1 && end.dims < FW_NN_DIMS_MAX)
            end.d[end.dims++] = (uint32_t)fw_onnx_own(b, order[i]);
    fw_nn_shape full = {0}; /* without ones, which would part them */
    for (uint32_t i = 0; i < shape.dims; i++)
        if (shape.d[i] > 1) full.d[full.dims++] = shape.d[i];
    FW_TRY(fw_onnx_shaped(r, &turned, full, &in[0], error));
    FW_TRY(fw_onnx_shaped(r, &small, end, &in[1], error));
    FW_TRY(fw_onnx_add(r, op, in, 2, (fw_nn_attr){0}, &turned.value, error));
    return fw_onnx_permute(r, &turned, back, out, error);
}

/* Whether a has every element of b; *same: and no others. */
static bool covers(const fw_onnx_tensor *a, const fw_onnx_tensor *b, bool *same) {
    bool all = true;
    *same = true;
    for (uint32_t i = 0; i < a->rank; i++) {
        int64_t x = fw_onnx_own(a, i), y = fw_onnx_own(b, i);
        *same &= x == y;
        all &= x == y || y == 1;
    }
    return all;
}

fw_status fw_onnx_of_two(fw_onnx_reader *r, fw_nn_op op, fw_onnx_tensor a, fw_onnx_tensor b,
                         fw_onnx_tensor *out, fw_error *error) {
    bool same = false;
    uint32_t rank = a.rank > b.rank ? a.rank : b.rank;
    FW_TRY(to_rank(&a, rank, &a, error));
    FW_TRY(to_rank(&b, rank, &b, error));
    if (fw_onnx_batch_axis(&a) != fw_onnx_batch_axis(&b))
        FW_ONNX_REFUSE("the batch lies on different axes of its inputs");
    if (fw_onnx_copied(&a) || fw_onnx_copied(&b)) FW_ONNX_REFUSE("an input repeats along an axis");
    if (!covers(&a, &b, &same)) {
        if (!covers(&b, &a, &same)) FW_ONNX_REFUSE("its inputs repeat along different axes");
        fw_onnx_tensor swap = a;
        a = b, b = swap;
        if (op == FW_NN_SUBTRACT) {
            FW_TRY(fw_onnx_affine(r, a.value, -1, 0, &a.value, error));
            op = FW_NN_ADD;
        }
    }
    if (!same) return repeating(r, op, &a, &b, out, error);
    fw_nn_value in[2] = {a.value, b.value};
    FW_TRY(fw_onnx_reshape(r, b.value, fw_onnx_shape(r, a.value), &in[1], error));
    *out = a;
    return fw_onnx_add(r, op, in, 2, (fw_nn_attr){0}, &out->value, error);
}

static fw_status binary(fw_onnx_reader *r, fw_onnx_proto *node, fw_nn_op op, fw_error *error) {
    const fw_onnx_constant *ca = fw_onnx_constant_of(r, node, 0), *cb = fw_onnx_constant_of(r, node, 1);
    fw_onnx_tensor a, b, made;
    if (!ca) FW_TRY(fw_onnx_want(r, node, 0, &a, error));
    if (!cb) FW_TRY(fw_onnx_want(r, node, 1, &b, error));
    if (ca) FW_TRY(with_constant(r, op, b, ca, node->input[0], true, &made, error));
    else if (cb) FW_TRY(with_constant(r, op, a, cb, node->input[1], false, &made, error));
    else FW_TRY(fw_onnx_of_two(r, op, a, b, &made, error));
    return fw_onnx_give(r, node, 0, &made, error);
}

FW_ONNX_READ(add) {
    return binary(r, node, FW_NN_ADD, error);
}
FW_ONNX_READ(subtract) {
    return binary(r, node, FW_NN_SUBTRACT, error);
}

FW_ONNX_READ(power) {
    fw_onnx_tensor t;
    double power = 0;
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    if (!fw_onnx_number_of(r, node, 1, &power) || (power != 1 && power != 2 && power != 3))
        FW_ONNX_REFUSE("only powers 1, 2 and 3 are read");
    fw_nn_value in[2] = {t.value, t.value};
    for (int i = 1; i < (int)power; i++)
        FW_TRY(fw_onnx_add(r, FW_NN_MULTIPLY, in, 2, (fw_nn_attr){0}, &in[0], error));
    t.value = in[0];
    return fw_onnx_give(r, node, 0, &t, error);
}

/* ---- norms, written out ---- */

/* Input i of node is the mean over the last axis of what? The proto of the mean, or NULL. */
static fw_onnx_proto *mean_in(const fw_onnx_reader *r, fw_onnx_proto *node, size_t i) {
    fw_onnx_proto *mean = fw_onnx_made_by(r, node, i, "ReduceMean");
    fw_onnx_ilist axes;
    if (!mean || fw_onnx_int_of(mean, "keepdims", 1) == 0 ||
        fw_onnx_ints_of(mean, "axes", fw_onnx_constant_of(r, mean, 1), &axes, NULL) != FW_OK || axes.count != 1)
        return NULL;
    const fw_onnx_thing *x = fw_onnx_in(r, mean, 0);
    bool last = axes.at[0] == -1 || (x && x->tensor && axes.at[0] == (int64_t)x->tensor->rank - 1);
    return last ? mean : NULL;
}

/* The name whose square a node makes, or NULL. */
static const char *squared(const fw_onnx_reader *r, fw_onnx_proto *node, size_t i) {
    double power = 0;
    fw_onnx_proto *pow_node = fw_onnx_made_by(r, node, i, "Pow"), *mul = fw_onnx_made_by(r, node, i, "Mul");
    if (pow_node && fw_onnx_number_of(r, pow_node, 1, &power) && power == 2) return pow_node->input[0];
    return mul && mul->n_input == 2 && strcmp(mul->input[0], mul->input[1]) == 0 ? mul->input[0] : NULL;
}

/* sqrt(mean(d^2) + epsilon) as input i of node: the name of d, or NULL. */
static const char *deviation(const fw_onnx_reader *r, fw_onnx_proto *node, size_t i, double *epsilon) {
    fw_onnx_proto *root = fw_onnx_made_by(r, node, i, "Sqrt");
    fw_onnx_proto *sum = root ? fw_onnx_made_by(r, root, 0, "Add") : NULL;
    *epsilon = 0;
    if (!root) return NULL;
    if (sum && sum->n_input == 2) {
        size_t number = fw_onnx_constant_of(r, sum, 0) ? 0 : 1;
        if (!fw_onnx_number_of(r, sum, number, epsilon)) return NULL;
        fw_onnx_proto *mean = mean_in(r, sum, 1 - number);
        return mean ? squared(r, mean, 0) : NULL;
    }
    fw_onnx_proto *mean = mean_in(r, root, 0);
    return mean ? squared(r, mean, 0) : NULL;
}

/* 1 / sqrt(..) as input i of node. */
static const char *inverse_deviation(const fw_onnx_reader *r, fw_onnx_proto *node, size_t i, double *epsilon) {
    fw_onnx_proto *inverse = fw_onnx_made_by(r, node, i, "Reciprocal"), *ratio = fw_onnx_made_by(r, node, i, "Div");
    double one = 0;
    if (inverse) return deviation(r, inverse, 0, epsilon);
    return ratio && fw_onnx_number_of(r, ratio, 0, &one) && one == 1 ? deviation(r, ratio, 1, epsilon) : NULL;
}

/* d / sqrt(mean(d^2) + epsilon): an RMS norm; of d = x - mean(x): a layer norm. Gains of 1; a gain that
 * follows takes their place (into_layer). */
static fw_status norm_of(fw_onnx_reader *r, fw_onnx_proto *node, size_t i, double epsilon, fw_error *error) {
    fw_onnx_proto *minus = fw_onnx_made_by(r, node, i, "Sub"), *mean = minus ? mean_in(r, minus, 1) : NULL;
    bool layer = mean && strcmp(mean->input[0], fw_onnx_name_in(minus, 0)) == 0;
    fw_onnx_tensor t;
    fw_nn_value in[2];
    FW_TRY(fw_onnx_want(r, layer ? minus : node, layer ? 0 : i, &t, error));
    FW_TRY(fw_onnx_rows(r, &t, &in[0], error));
    uint32_t width = fw_onnx_shape(r, in[0]).d[fw_onnx_shape(r, in[0]).dims - 1];
    float *ones = fw_onnx_room(r, width, error);
    if (!ones) return FW_NO_MEMORY;
    for (uint32_t n = 0; n < width; n++) ones[n] = 1;
    FW_TRY(fw_onnx_parameter(r, "unit", fw_nn_shape1(width), ones, &in[1], error));
    FW_TRY(fw_onnx_add(r, layer ? FW_NN_LAYER_NORM : FW_NN_RMS_NORM, in, 2,
                       (fw_nn_attr){.f = {(float)epsilon}}, &t.value, error));
    return fw_onnx_give(r, node, 0, &t, error);
}

FW_ONNX_READ(divide) {
    double number = 0, epsilon;
    fw_onnx_tensor t;
    const char *d = deviation(r, node, 1, &epsilon);
    if (d && strcmp(d, fw_onnx_name_in(node, 0)) == 0) return norm_of(r, node, 0, epsilon, error);
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    const fw_onnx_constant *by = fw_onnx_constant_of(r, node, 1);
    if (!by) FW_ONNX_REFUSE("division by a value is read within a norm alone");
    if (fw_onnx_uniform(by, &number)) {
        if (number == 0) FW_ONNX_REFUSE("it divides by 0");
        FW_TRY(fw_onnx_affine(r, t.value, 1 / number, 0, &t.value, error));
        return fw_onnx_give(r, node, 0, &t, error);
    }
    if (by->whole) FW_ONNX_REFUSE("it divides by integers");
    size_t had = fw_onnx_had(by);
    float *inverse = fw_onnx_room(r, had, error);
    if (!inverse) return FW_NO_MEMORY;
    for (size_t i = 0; i < had; i++) inverse[i] = 1 / ((const float *)by->data)[i];
    fw_onnx_constant c = *by;
    c.data = inverse;
    FW_TRY(with_constant(r, FW_NN_MULTIPLY, t, &c, node->input[1], false, &t, error));
    return fw_onnx_give(r, node, 0, &t, error);
}

/* ---- activations, written out ---- */

/* A product of names and one number. */
enum { PARTS = 8 };
typedef struct product {
    double factor;
    uint32_t count;
    const char *names[PARTS];
} product;

static bool push(product *p, const char *name, uint32_t times) {
    for (; times > 0; times--) {
        if (p->count == PARTS) return false;
        p->names[p->count++] = name;
    }
    return true;
}

/* Takes products apart, down to sums and other things. */
static bool expand(const fw_onnx_reader *r, product pending, product *out) {
    double number;
    *out = (product){.factor = 1};
    for (int steps = 0; pending.count > 0; steps++) {
        const char *top = pending.names[--pending.count];
        const fw_onnx_thing *at = fw_onnx_thing_of(r, top);
        if (steps > 4 * PARTS || !at->name) return false;
        fw_onnx_proto *node = at->constant ? NULL : at->node;
        bool two = node && node->n_input == 2;
        if (fw_onnx_uniform(at->constant, &number)) out->factor *= number;
        else if (two && fw_onnx_is(node, "Mul")) {
            if (!push(&pending, node->input[0], 1) || !push(&pending, node->input[1], 1)) return false;
        } else if (two && fw_onnx_is(node, "Div") && fw_onnx_number_of(r, node, 1, &number)) {
            out->factor /= number;
            if (!push(&pending, node->input[0], 1)) return false;
        } else if (two && fw_onnx_is(node, "Pow") && fw_onnx_number_of(r, node, 1, &number) &&
                   (number == 2 || number == 3)) {
            if (!push(out, node->input[0], (uint32_t)number)) return false;
        } else if (!push(out, top, 1)) return false;
    }
    return true;
}

static bool product_of(const fw_onnx_reader *r, const char *name, product *out) {
    return expand(r, (product){1, 1, {name}}, out);
}

static bool near(double a, double b) {
    return fabs(a - b) <= 1e-4 * fabs(b);
}

/* The name of the other term of a sum with 1; NULL: it is none. */
static const char *beside_one(const fw_onnx_reader *r, const char *name) {
    const fw_onnx_thing *at = fw_onnx_thing_of(r, name);
    double one = 0;
    if (!at->name || !at->node || !fw_onnx_is(at->node, "Add") || at->node->n_input != 2) return NULL;
    for (size_t i = 0; i < 2; i++)
        if (fw_onnx_number_of(r, at->node, i, &one) && one == 1) return at->node->input[1 - i];
    return NULL;
}

static bool all_are(const product *p, const char *x) {
    for (uint32_t i = 0; i < p->count; i++)
        if (strcmp(p->names[i], x) != 0) return false;
    return true;
}

/* sqrt(2/pi) (x + 0.044715 x^3), also as sqrt(2/pi) x (1 + 0.044715 x^2). */
static bool gelu_inner(const fw_onnx_reader *r, const char *name, const char *x) {
    product p, cube;
    if (!product_of(r, name, &p) || !near(p.factor, 0.7978845608)) return false;
    if (p.count == 2) {
        size_t own = strcmp(p.names[0], x) == 0 ? 0 : 1;
        const char *rest = beside_one(r, p.names[1 - own]);
        return strcmp(p.names[own], x) == 0 && rest && product_of(r, rest, &cube) &&
               near(cube.factor, 0.044715) && cube.count == 2 && all_are(&cube, x);
    }
    const fw_onnx_thing *sum = p.count == 1 ? fw_onnx_thing_of(r, p.names[0]) : NULL;
    if (!sum || !sum->node || !fw_onnx_is(sum->node, "Add") || sum->node->n_input != 2) return false;
    size_t own = strcmp(sum->node->input[0], x) == 0 ? 0 : 1;
    return strcmp(sum->node->input[own], x) == 0 && product_of(r, sum->node->input[1 - own], &cube) &&
           near(cube.factor, 0.044715) && cube.count == 3 && all_are(&cube, x);
}

/* 0.5 x (1 + tanh(..)) ends in this node: the name of x, or NULL. */
static const char *gelu_in(const fw_onnx_reader *r, fw_onnx_proto *node) {
    product p;
    if (!expand(r, (product){1, 2, {node->input[0], node->input[1]}}, &p) || !near(p.factor, 0.5) || p.count != 2) return NULL;
    for (size_t i = 0; i < 2; i++) {
        const char *curve = beside_one(r, p.names[i]), *x = p.names[1 - i];
        const fw_onnx_thing *at = curve ? fw_onnx_thing_of(r, curve) : NULL;
        if (at && at->name && at->node && fw_onnx_is(at->node, "Tanh") && at->node->n_input == 1 &&
            gelu_inner(r, at->node->input[0], x))
            return x;
    }
    return NULL;
}

static fw_status activation(fw_onnx_reader *r, fw_onnx_proto *node, fw_nn_op op, const char *x,
                            fw_error *error) {
    fw_onnx_tensor t = *fw_onnx_thing_of(r, x)->tensor;
    FW_TRY(fw_onnx_add(r, op, &t.value, 1, (fw_nn_attr){0}, &t.value, error));
    return fw_onnx_give(r, node, 0, &t, error);
}

/* x (1 + erf(x / sqrt 2)) / 2 */
static fw_status exact_gelu(fw_onnx_reader *r, fw_onnx_proto *node, fw_error *error) {
    fw_onnx_tensor t;
    fw_nn_value in[2];
    FW_TRY(fw_onnx_want(r, node, 0, &t, error));
    FW_TRY(fw_onnx_affine(r, t.value, 0.70710678118654752, 0, &in[1], error));
    FW_TRY(fw_onnx_add(r, FW_NN_ERF, &in[1], 1, (fw_nn_attr){0}, &in[1], error));
    FW_TRY(fw_onnx_affine(r, in[1], 0.5, 0.5, &in[1], error));
    in[0] = t.value;
    FW_TRY(fw_onnx_add(r, FW_NN_MULTIPLY, in, 2, (fw_nn_attr){0}, &t.value, error));
    return fw_onnx_give(r, node, 0, &t, error);
}

FW_ONNX_READ(gelu) {
    const Onnx__AttributeProto *form = fw_onnx_attribute(node, "approximate");
    if (!form || !form->has_s || form->s.len != 4 || memcmp(form->s.data, "tanh", 4) != 0)
        return exact_gelu(r, node, error);
    return single(r, node, FW_NN_GELU, (fw_nn_attr){0}, error);
}

FW_ONNX_READ(multiply) {
    double epsilon;
    for (size_t i = 0; i < 2 && node->n_input == 2; i++) {
        const char *other = node->input[1 - i], *d = inverse_deviation(r, node, i, &epsilon);
        fw_onnx_proto *gate = fw_onnx_made_by(r, node, i, "Sigmoid");
        if (d && strcmp(d, other) == 0) return norm_of(r, node, 1 - i, epsilon, error);
        if (gate && strcmp(gate->input[0], other) == 0 && fw_onnx_thing_of(r, other)->tensor)
            return activation(r, node, FW_NN_SILU, other, error);
    }
    const char *x = node->n_input == 2 ? gelu_in(r, node) : NULL;
    if (x && fw_onnx_thing_of(r, x)->tensor) return activation(r, node, FW_NN_GELU, x, error);
    return binary(r, node, FW_NN_MULTIPLY, error);
}
