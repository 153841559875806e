/* operators.c - each operator of graph.h in ONNX's. A value's tensor has the batch in front when the
 * value is batched; the comments give shapes without it. */
#include <math.h>
#include <stdlib.h>

#include "nn/onnx/build.h"
#include "onnx.pb-c.h"

#define OP(...) FW_ONNX_OP(e, __VA_ARGS__)
#define WITH(...) FW_ONNX_WITH(e, &proto, __VA_ARGS__)

static const float far_below = -3e38f; /* what no score reaches: exp() of it is 0 */

static const fw_nn_value_info *info_of(const fw_onnx *e, uint32_t input) {
    return &e->model->graph->values[e->node->inputs[input]];
}
static const char *in(const fw_onnx *e, uint32_t input) {
    return e->names[e->node->inputs[input]];
}
/* Dimensions before the example's own. */
static int64_t lead(const fw_nn_value_info *info) {
    return info->batched ? 1 : 0;
}
static void set(fw_onnx *e, uint32_t output, const char *name) {
    if (e->status == FW_OK) e->names[e->node->outputs[output]] = name;
}

/* x with these dimensions, behind the batch if there is one (a 0 keeps it). */
static const char *reshaped(fw_onnx *e, const char *x, bool batched, const int64_t *dims,
                            size_t count) {
    int64_t shape[8] = {0};
    size_t used = batched ? 1 : 0;
    for (size_t i = 0; i < count; i++) shape[used++] = dims[i];
    return OP("Reshape", x, fw_onnx_ints(e, shape, used));
}
#define RESHAPED(x, batched, ...)                                                                  \
    reshaped(e, x, batched, (const int64_t[]){__VA_ARGS__},                                        \
             sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static const char *turned(fw_onnx *e, const char *x, bool batched, const int64_t *order,
                          size_t count) {
    Onnx__NodeProto *proto;
    int64_t all[8] = {0};
    size_t used = batched ? 1 : 0;
    for (size_t i = 0; i < count; i++) all[used++] = order[i] + (batched ? 1 : 0);
    const char *y = WITH("Transpose", x);
    fw_onnx_list(e, proto, "perm", all, used);
    return y;
}
#define TURNED(x, batched, ...)                                                                    \
    turned(e, x, batched, (const int64_t[]){__VA_ARGS__},                                          \
           sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static const char *unsqueezed(fw_onnx *e, const char *x, int64_t axis) {
    return OP("Unsqueeze", x, FW_ONNX_INTS(e, axis));
}
static const char *cast(fw_onnx *e, const char *x, int64_t type) {
    Onnx__NodeProto *proto;
    const char *y = WITH("Cast", x);
    fw_onnx_int(e, proto, "to", type);
    return y;
}
static const char *as_bool(fw_onnx *e, const char *x) {
    return cast(e, x, ONNX__TENSOR_PROTO__DATA_TYPE__BOOL);
}
static const char *as_float(fw_onnx *e, const char *x) {
    return cast(e, x, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
}
static const char *softmax(fw_onnx *e, const char *x) {
    Onnx__NodeProto *proto;
    const char *y = WITH("Softmax", x);
    fw_onnx_int(e, proto, "axis", -1);
    return y;
}
static const char *gathered(fw_onnx *e, const char *x, const char *ids, int64_t axis) {
    Onnx__NodeProto *proto;
    const char *y = WITH("Gather", x, ids);
    fw_onnx_int(e, proto, "axis", axis);
    return y;
}
static const char *concatenated(fw_onnx *e, const char *const *parts, size_t count, int64_t axis) {
    Onnx__NodeProto *proto;
    const char *y = fw_onnx_node(e, "Concat", parts, count, &proto);
    fw_onnx_int(e, proto, "axis", axis);
    return y;
}
/* ReduceMax and ReduceMean take their axes as an attribute, ReduceSum as an input. */
static const char *reduced(fw_onnx *e, const char *op, const char *x, int64_t axis, bool keep) {
    Onnx__NodeProto *proto;
    const char *y = WITH(op, x);
    FW_ONNX_LIST(e, proto, "axes", axis);
    fw_onnx_int(e, proto, "keepdims", keep);
    return y;
}
static const char *summed(fw_onnx *e, const char *x, int64_t axis, bool keep) {
    Onnx__NodeProto *proto;
    const char *y = WITH("ReduceSum", x, FW_ONNX_INTS(e, axis));
    fw_onnx_int(e, proto, "keepdims", keep);
    return y;
}

/* ---- dense ---- */

static void linear(fw_onnx *e) {
    Onnx__NodeProto *proto;
    const fw_nn_value_info *x = info_of(e, 0);
    bool bias = e->node->input_count > 2;
    if (lead(x) + x->shape.dims == 2 && (!bias || !info_of(e, 2)->batched)) {
        const char *inputs[] = {in(e, 0), in(e, 1), bias ? in(e, 2) : NULL};
        set(e, 0, fw_onnx_node(e, "Gemm", inputs, bias ? 3 : 2, &proto));
        fw_onnx_int(e, proto, "transB", 1);
        return;
    }
    const char *y = OP("MatMul", in(e, 0), TURNED(in(e, 1), false, 1, 0));
    if (bias && info_of(e, 2)->batched) fw_onnx_refuse(e, "its bias is an input");
    set(e, 0, bias ? OP("Add", y, in(e, 2)) : y);
}

static void conv(fw_onnx *e) {
    Onnx__NodeProto *proto;
    const int32_t *a = e->node->attr.i;
    fw_nn_shape w = info_of(e, 1)->shape;
    bool bias = e->node->input_count > 2;
    if (!info_of(e, 0)->batched) fw_onnx_refuse(e, "its image is not batched");
    const char *inputs[] = {in(e, 0), in(e, 1), bias ? in(e, 2) : NULL};
    set(e, 0, fw_onnx_node(e, "Conv", inputs, bias ? 3 : 2, &proto));
    FW_ONNX_LIST(e, proto, "kernel_shape", w.d[2], w.d[3]);
    FW_ONNX_LIST(e, proto, "strides", a[0], a[1]);
    FW_ONNX_LIST(e, proto, "pads", a[2], a[3], a[2], a[3]);
    fw_onnx_int(e, proto, "group", a[4]);
}

static void pool(fw_onnx *e, const char *op) {
    Onnx__NodeProto *proto;
    const int32_t *a = e->node->attr.i;
    if (!info_of(e, 0)->batched) fw_onnx_refuse(e, "its image is not batched");
    set(e, 0, WITH(op, in(e, 0)));
    FW_ONNX_LIST(e, proto, "kernel_shape", a[0], a[1]);
    FW_ONNX_LIST(e, proto, "strides", a[2], a[3]);
    FW_ONNX_LIST(e, proto, "pads", a[4], a[5], a[4], a[5]);
}

static void gather(fw_onnx *e) {
    const fw_nn_value_info *x = info_of(e, 0), *ids = info_of(e, 1);
    Onnx__NodeProto *proto;
    if (!x->batched || !ids->batched) {
        set(e, 0, gathered(e, in(e, 0), in(e, 1), lead(x)));
        return;
    }
    const char *places = cast(e, in(e, 1), ONNX__TENSOR_PROTO__DATA_TYPE__INT64);
    set(e, 0, WITH("GatherND", in(e, 0), unsqueezed(e, places, -1)));
    fw_onnx_int(e, proto, "batch_dims", 1);
}

/* ---- rows ---- */

static void layer_norm(fw_onnx *e) {
    Onnx__NodeProto *proto;
    bool bias = e->node->input_count > 2;
    const char *inputs[] = {in(e, 0), in(e, 1), bias ? in(e, 2) : NULL};
    set(e, 0, fw_onnx_node(e, "LayerNormalization", inputs, bias ? 3 : 2, &proto));
    fw_onnx_int(e, proto, "axis", -1);
    fw_onnx_float(e, proto, "epsilon", e->node->attr.f[0]);
}

static void rms_norm(fw_onnx *e) {
    const char *x = in(e, 0);
    const char *mean = reduced(e, "ReduceMean", OP("Mul", x, x), -1, true);
    const char *root = OP("Sqrt", OP("Add", mean, fw_onnx_scalar(e, e->node->attr.f[0])));
    set(e, 0, OP("Mul", OP("Div", x, root), in(e, 1)));
}

/* (S, G*D) -> (H, S, D): each key head for the H/G heads that share it. */
static const char *heads_of(fw_onnx *e, uint32_t input, int64_t heads, int64_t groups) {
    const fw_nn_value_info *x = info_of(e, input);
    int64_t rows = x->shape.d[0], depth = x->shape.d[1] / groups, share = heads / groups;
    const char *y = RESHAPED(in(e, input), x->batched, rows, groups, depth);
    y = TURNED(y, x->batched, 1, 0, 2);
    if (share == 1) return y;
    y = unsqueezed(e, y, lead(x) + 1);
    y = OP("Expand", y, FW_ONNX_INTS(e, 1, share, 1, 1));
    return RESHAPED(y, x->batched, heads, rows, depth);
}

/* What each query may see, as booleans that broadcast to (H, T, S); NULL: everything. */
static const char *visible(fw_onnx *e, int64_t queries, int64_t keys) {
    const char *mask = NULL, *causal = NULL;
    if (e->node->input_count > 3) {
        mask = as_bool(e, in(e, 3));
        if (info_of(e, 3)->batched) mask = unsqueezed(e, unsqueezed(e, mask, 1), 1);
    }
    if (e->node->attr.i[2]) {
        const int64_t dims[] = {queries, keys};
        float *seen = calloc((size_t)(queries * keys), sizeof *seen);
        for (int64_t t = 0; seen && t < queries; t++)
            for (int64_t s = 0; s < keys; s++) seen[t * keys + s] = s <= t + keys - queries;
        if (seen) causal = as_bool(e, fw_onnx_floats(e, NULL, seen, dims, 2));
        else fw_onnx_refuse(e, "no memory for its causal mask");
        free(seen);
    }
    return mask && causal ? OP("And", mask, causal) : mask ? mask : causal;
}

static void attention(fw_onnx *e) {
    int64_t heads = e->node->attr.i[0], groups = e->node->attr.i[1];
    int64_t queries = info_of(e, 0)->shape.d[0], width = info_of(e, 0)->shape.d[1];
    bool batched = e->model->graph->values[e->node->outputs[0]].batched;
    const char *q = heads_of(e, 0, heads, heads), *k = heads_of(e, 1, heads, groups);
    const char *v = heads_of(e, 2, heads, groups);
    const char *scores = OP("MatMul", q, TURNED(k, info_of(e, 1)->batched, 0, 2, 1));
    scores = OP("Mul", scores, fw_onnx_scalar(e, 1 / sqrtf((float)(width / heads))));
    const char *seen = visible(e, queries, info_of(e, 1)->shape.d[0]);
    if (seen) scores = OP("Where", seen, scores, fw_onnx_scalar(e, far_below));
    const char *weights = softmax(e, scores);
    if (seen) weights = OP("Mul", weights, as_float(e, seen));
    const char *y = TURNED(OP("MatMul", weights, v), batched, 1, 0, 2);
    set(e, 0, RESHAPED(y, batched, queries, width));
}

/* Pairs (2j, 2j+1) turned by angles that are constants. */
static void rope(fw_onnx *e) {
    const fw_nn_value_info *x = info_of(e, 0);
    int64_t rows = x->shape.d[0], width = x->shape.d[1], depth = width / e->node->attr.i[0];
    const int64_t dims[] = {rows, width / 2};
    float *c = calloc((size_t)(rows * width), sizeof *c), *s = c + rows * width / 2;
    for (int64_t i = 0; c && i < rows * width / 2; i++) {
        int64_t place = i / (width / 2), j = 2 * (i % (width / 2)) % depth;
        double turn = (double)(place + e->node->attr.i[1]) *
                      pow((double)e->node->attr.f[0], -(double)j / (double)depth);
        c[i] = (float)cos(turn);
        s[i] = (float)sin(turn);
    }
    if (!c) {
        fw_onnx_refuse(e, "no memory for its angles");
        return;
    }
    const char *cosine = fw_onnx_floats(e, NULL, c, dims, 2), *sine = fw_onnx_floats(e, NULL, s, dims, 2);
    free(c);
    const char *pairs = RESHAPED(in(e, 0), x->batched, rows, width / 2, 2);
    const char *first = OP("Squeeze", gathered(e, pairs, FW_ONNX_INTS(e, 0), -1), FW_ONNX_INTS(e, -1));
    const char *second = OP("Squeeze", gathered(e, pairs, FW_ONNX_INTS(e, 1), -1), FW_ONNX_INTS(e, -1));
    const char *a = OP("Sub", OP("Mul", first, cosine), OP("Mul", second, sine));
    const char *b = OP("Add", OP("Mul", first, sine), OP("Mul", second, cosine));
    const char *both[] = {unsqueezed(e, a, -1), unsqueezed(e, b, -1)};
    set(e, 0, RESHAPED(concatenated(e, both, 2, -1), x->batched, rows, width));
}

/* ---- recurrent ---- */

/* Rows of a weight in ONNX's order of gates: order[k] is the place here of gate k there. */
static const char *gates(fw_onnx *e, const char *x, const int64_t *order, int64_t count,
                         int64_t hidden) {
    int64_t rows = count * hidden;
    int64_t *from = calloc((size_t)rows, sizeof *from);
    for (int64_t i = 0; from && i < rows; i++) from[i] = order[i / hidden] * hidden + i % hidden;
    if (!from) fw_onnx_refuse(e, "no memory for its gates");
    const char *y = from ? gathered(e, x, fw_onnx_ints(e, from, (size_t)rows), 0) : "";
    free(from);
    return y;
}

/* (H) of each example or of all -> (1, N, H) */
static const char *first_state(fw_onnx *e, uint32_t input) {
    Onnx__NodeProto *proto;
    if (e->node->input_count <= input) return "";
    if (info_of(e, input)->batched) return unsqueezed(e, in(e, input), 0);
    const char *rows = WITH("Shape", in(e, 0));
    fw_onnx_int(e, proto, "start", 0);
    fw_onnx_int(e, proto, "end", 1);
    const char *shape[] = {FW_ONNX_INTS(e, 1), rows, FW_ONNX_INTS(e, info_of(e, input)->shape.d[0])};
    return OP("Expand", in(e, input), concatenated(e, shape, 3, 0));
}

static void recurrent(fw_onnx *e, bool lstm) {
    static const int64_t gru_order[] = {1, 0, 2}, lstm_order[] = {0, 3, 1, 2}; /* z r h; i o f c */
    Onnx__NodeProto *proto;
    const int64_t *order = lstm ? lstm_order : gru_order;
    int64_t count = lstm ? 4 : 3, hidden = info_of(e, 2)->shape.d[1];
    if (!info_of(e, 0)->batched) fw_onnx_refuse(e, "its sequence is not batched");
    for (uint32_t i = 1; i < 5; i++)
        if (info_of(e, i)->batched) fw_onnx_refuse(e, "its weights are inputs");
    const char *biases[] = {gates(e, in(e, 3), order, count, hidden),
                            gates(e, in(e, 4), order, count, hidden)};
    const char *inputs[7] = {
        TURNED(in(e, 0), false, 1, 0, 2),
        unsqueezed(e, gates(e, in(e, 1), order, count, hidden), 0),
        unsqueezed(e, gates(e, in(e, 2), order, count, hidden), 0),
        unsqueezed(e, concatenated(e, biases, 2, 0), 0),
        "", first_state(e, 5), lstm ? first_state(e, 6) : ""};
    const char *y = fw_onnx_node(e, lstm ? "LSTM" : "GRU", inputs, lstm ? 7 : 6, &proto);
    fw_onnx_int(e, proto, "hidden_size", hidden);
    if (!lstm) fw_onnx_int(e, proto, "linear_before_reset", 1);
    y = OP("Squeeze", y, FW_ONNX_INTS(e, 1));
    set(e, 0, TURNED(y, false, 1, 0, 2));
}

/* ---- sets ---- */

static void set_max(fw_onnx *e) {
    const char *mask = unsqueezed(e, as_bool(e, in(e, 1)), -1); /* (M, 1) */
    const char *y = OP("Where", mask, in(e, 0), fw_onnx_scalar(e, far_below));
    const char *any = as_bool(e, reduced(e, "ReduceMax", as_float(e, mask), -2, false));
    set(e, 0, OP("Where", any, reduced(e, "ReduceMax", y, -2, false), fw_onnx_scalar(e, 0)));
}

static void set_mean(fw_onnx *e) {
    const char *mask = unsqueezed(e, as_float(e, as_bool(e, in(e, 1))), -1);
    const char *sum = summed(e, OP("Mul", in(e, 0), mask), -2, false);
    const char *count = OP("Max", summed(e, mask, -2, false), fw_onnx_scalar(e, 1));
    set(e, 0, OP("Div", sum, count));
}

static void set_attention(fw_onnx *e) {
    const char *mask = as_bool(e, in(e, 2));
    const char *scores = OP("Where", mask, in(e, 1), fw_onnx_scalar(e, far_below));
    const char *weights = OP("Mul", softmax(e, scores), as_float(e, mask));
    const char *y = OP("MatMul", unsqueezed(e, weights, -2), in(e, 0));
    set(e, 0, OP("Squeeze", y, FW_ONNX_INTS(e, -2)));
    set(e, 1, weights);
}

/* ---- element by element ---- */

static void gelu(fw_onnx *e) {
    const char *x = in(e, 0);
    const char *cube = OP("Mul", OP("Mul", OP("Mul", x, x), x), fw_onnx_scalar(e, 0.044715f));
    const char *inner = OP("Mul", OP("Add", x, cube), fw_onnx_scalar(e, 0.79788456f));
    const char *up = OP("Add", OP("Tanh", inner), fw_onnx_scalar(e, 1));
    set(e, 0, OP("Mul", OP("Mul", x, fw_onnx_scalar(e, 0.5f)), up));
}

static void affine(fw_onnx *e) {
    const float *f = e->node->attr.f;
    const char *y = OP("Mul", in(e, 0), fw_onnx_scalar(e, f[0]));
    set(e, 0, OP("Add", y, fw_onnx_scalar(e, f[1])));
}

/* The second one repeats over the first dimensions; the batch stays in front. */
static void binary(fw_onnx *e, const char *op) {
    const fw_nn_value_info *a = info_of(e, 0), *b = info_of(e, 1);
    const char *second = in(e, 1);
    for (uint32_t i = b->shape.dims; b->batched && i < a->shape.dims; i++)
        second = unsqueezed(e, second, 1);
    set(e, 0, OP(op, in(e, 0), second));
}

static void shape_op(fw_onnx *e) {
    const fw_nn_value_info *x = info_of(e, 0);
    const int32_t *a = e->node->attr.i;
    const char *parts[FW_NN_INPUTS_MAX];
    int64_t list[FW_NN_DIMS_MAX] = {0}, ahead = lead(x);
    switch ((int)e->node->op) {
    case FW_NN_RESHAPE:
        for (int32_t i = 0; i < a[0]; i++) list[i] = a[1 + i];
        set(e, 0, reshaped(e, in(e, 0), x->batched, list, (size_t)a[0]));
        break;
    case FW_NN_TRANSPOSE:
        for (uint32_t i = 0; i < x->shape.dims; i++) list[i] = a[i];
        set(e, 0, turned(e, in(e, 0), x->batched, list, x->shape.dims));
        break;
    case FW_NN_CONCAT:
        for (uint32_t i = 0; i < e->node->input_count; i++) parts[i] = in(e, i);
        set(e, 0, concatenated(e, parts, e->node->input_count, a[0] + ahead));
        break;
    default:
        set(e, 0, OP("Slice", in(e, 0), FW_ONNX_INTS(e, a[1]), FW_ONNX_INTS(e, a[1] + a[2]),
                     FW_ONNX_INTS(e, a[0] + ahead)));
    }
}

static void simple(fw_onnx *e) {
    const float *f = e->node->attr.f;
    const char *x = in(e, 0);
    switch ((int)e->node->op) {
    case FW_NN_RELU: set(e, 0, OP("Relu", x)); break;
    case FW_NN_GELU: gelu(e); break;
    case FW_NN_SILU: set(e, 0, OP("Mul", x, OP("Sigmoid", x))); break;
    case FW_NN_TANH: set(e, 0, OP("Tanh", x)); break;
    case FW_NN_SIGMOID: set(e, 0, OP("Sigmoid", x)); break;
    case FW_NN_EXP: set(e, 0, OP("Exp", x)); break;
    case FW_NN_ERF: set(e, 0, OP("Erf", x)); break;
    case FW_NN_CLAMP:
        set(e, 0, OP("Clip", x, fw_onnx_scalar(e, f[0]), fw_onnx_scalar(e, f[1])));
        break;
    case FW_NN_AFFINE: affine(e); break;
    case FW_NN_ADD: binary(e, "Add"); break;
    case FW_NN_SUBTRACT: binary(e, "Sub"); break;
    case FW_NN_MULTIPLY: binary(e, "Mul"); break;
    case FW_NN_SUM_LAST: set(e, 0, summed(e, x, -1, false)); break;
    case FW_NN_DROPOUT: set(e, 0, x); break;
    case FW_NN_SOFTMAX:
        if (info_of(e, 0)->shape.dims == 0) fw_onnx_refuse(e, "it is over a scalar");
        set(e, 0, softmax(e, x));
        break;
    default: fw_onnx_refuse(e, "losses and gradients are not written to ONNX");
    }
}

void fw_onnx_write_node(fw_onnx *e) {
    switch ((int)e->node->op) {
    case FW_NN_LINEAR: linear(e); break;
    case FW_NN_CONV: conv(e); break;
    case FW_NN_MAX_POOL: pool(e, "MaxPool"); break;
    case FW_NN_MEAN_POOL: pool(e, "AveragePool"); break;
    case FW_NN_EMBEDDING: set(e, 0, gathered(e, in(e, 1), in(e, 0), 0)); break;
    case FW_NN_GATHER: gather(e); break;
    case FW_NN_LAYER_NORM: layer_norm(e); break;
    case FW_NN_RMS_NORM: rms_norm(e); break;
    case FW_NN_ATTENTION: attention(e); break;
    case FW_NN_ROPE: rope(e); break;
    case FW_NN_GRU: recurrent(e, false); break;
    case FW_NN_LSTM: recurrent(e, true); break;
    case FW_NN_SET_MAX: set_max(e); break;
    case FW_NN_SET_MEAN: set_mean(e); break;
    case FW_NN_SET_ATTENTION: set_attention(e); break;
    case FW_NN_RESHAPE:
    case FW_NN_TRANSPOSE:
    case FW_NN_CONCAT:
    case FW_NN_SLICE: shape_op(e); break;
    default: simple(e);
    }
}
