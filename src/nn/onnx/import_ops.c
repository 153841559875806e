/* import_ops.c - other people's graphs, operator by operator. A tensor of theirs is a batched value
 * here, or a constant; a constant becomes a parameter where a node reads it. Axes count the batch. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/onnx/read.h"
#include "onnx.pb-c.h"

typedef const Onnx__NodeProto node_proto;

/* What a name stands for. */
typedef struct thing {
    const char *name;
    fw_nn_value value;                 /* FW_NN_NONE: a constant */
    const Onnx__TensorProto *constant;
    bool flipped; /* the constant's two dimensions are read the other way round */
} thing;

/* A parameter and where its numbers come from. */
typedef struct source {
    fw_nn_value value;
    const Onnx__TensorProto *constant;
    bool flipped;
} source;

typedef struct reader {
    fw_nn_graph *graph;
    thing *things; /* (1 << bits) by the hash of their names; name NULL: free */
    uint32_t bits, used;
    source *sources;
    uint32_t source_count, source_room, made;
    const char *node_name;
} reader;

#define REFUSE(...) return fw_fail(error, FW_UNSUPPORTED, __VA_ARGS__)

/* ---- names ---- */

static thing *place_of(const reader *r, const char *name) {
    uint64_t hash = 1469598103934665603u;
    for (const char *c = name; *c; c++) hash = (hash ^ (uint8_t)*c) * 1099511628211u;
    uint32_t mask = (1u << r->bits) - 1, at = (uint32_t)(hash >> 20) & mask;
    while (r->things[at].name && strcmp(r->things[at].name, name) != 0) at = (at + 1) & mask;
    return &r->things[at];
}

static fw_status define(reader *r, thing it, fw_error *error) {
    thing *at = place_of(r, it.name);
    if (at->name) return fw_fail(error, FW_CORRUPT, "the name %.60s is given twice", it.name);
    if (++r->used > (1u << r->bits) / 2)
        return fw_fail(error, FW_TOO_BIG, "too many names");
    *at = it;
    return FW_OK;
}

static const thing *find(const reader *r, node_proto *node, size_t input) {
    if (input >= node->n_input || !*node->input[input]) return NULL;
    const thing *at = place_of(r, node->input[input]);
    return at->name ? at : NULL;
}

static fw_status value_in(const reader *r, node_proto *node, size_t input, fw_nn_value *out,
                          fw_error *error) {
    const thing *at = find(r, node, input);
    if (!at || at->value == FW_NN_NONE)
        REFUSE("its input %zu is none that an input of the network leads to", input);
    *out = at->value;
    return FW_OK;
}

static fw_status constant_in(const reader *r, node_proto *node, size_t input, const thing **out,
                             fw_error *error) {
    *out = find(r, node, input);
    if (!*out || !(*out)->constant) REFUSE("its input %zu must be a constant", input);
    return FW_OK;
}

/* A valid name of this graph made of any text. */
static void name_for(reader *r, const char *text, char out[FW_NN_NAME_MAX]) {
    snprintf(out, FW_NN_NAME_MAX, "%.48s", *text ? text : "unnamed");
    for (char *c = out; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:", *c)) *c = '_';
    size_t size = strlen(out);
    if (fw_nn_find(r->graph, out) != FW_NN_NONE)
        snprintf(out + size, FW_NN_NAME_MAX - size, "-%u", ++r->made);
}

static fw_nn_shape shape_in(const reader *r, fw_nn_value value) {
    return r->graph->values[value].shape;
}

/* ---- parameters ---- */

static fw_status parameter(reader *r, const thing *from, fw_nn_shape shape, bool flipped,
                           fw_nn_value *out, fw_error *error) {
    char name[FW_NN_NAME_MAX];
    size_t count;
    FW_TRY(fw_onnx_count(from->constant, &count, error));
    if (from->constant->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT ||
        count != fw_nn_elements(shape))
        REFUSE("its tensor %.60s must be of floats, %zu of them", from->name, fw_nn_elements(shape));
    if (r->source_count == r->source_room) {
        uint32_t room = 2 * r->source_room + 32;
        source *grown = realloc(r->sources, room * sizeof *grown);
        if (!grown) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
        r->sources = grown;
        r->source_room = room;
    }
    name_for(r, from->name, name);
    *out = fw_nn_parameter(r->graph, name, shape, FW_NN_INIT_ZERO, 0);
    FW_TRY(fw_nn_graph_check(r->graph, error));
    r->sources[r->source_count++] = (source){*out, from->constant, flipped};
    return FW_OK;
}

/* The constant's own shape, up to four dimensions, leading ones taken off. */
static fw_status shape_of_constant(const thing *from, bool strip, fw_nn_shape *out,
                                   fw_error *error) {
    const Onnx__TensorProto *t = from->constant;
    size_t first = 0, count;
    FW_TRY(fw_onnx_count(t, &count, error));
    while (strip && first < t->n_dims && t->dims[first] == 1) first++;
    if (t->n_dims - first > FW_NN_DIMS_MAX || count == 0)
        REFUSE("its tensor %.60s is empty or has over %d dimensions", from->name, FW_NN_DIMS_MAX);
    out->dims = (uint32_t)(t->n_dims - first);
    for (size_t i = first; i < t->n_dims; i++) out->d[i - first] = (uint32_t)t->dims[i];
    if (from->flipped) {
        uint32_t swap = out->d[0];
        out->d[0] = out->d[1];
        out->d[1] = swap;
    }
    return FW_OK;
}

/* One number of a constant with one element. */
static bool scalar_of(const thing *from, float *out) {
    size_t count = 0;
    return from && from->constant && fw_onnx_count(from->constant, &count, NULL) == FW_OK &&
           count == 1 && fw_onnx_copy_floats(from->constant, out, NULL) == FW_OK;
}

/* ---- attributes ---- */

static const Onnx__AttributeProto *attribute(node_proto *node, const char *name) {
    for (size_t i = 0; i < node->n_attribute; i++)
        if (strcmp(node->attribute[i]->name, name) == 0) return node->attribute[i];
    return NULL;
}
static int64_t int_of(node_proto *node, const char *name, int64_t otherwise) {
    const Onnx__AttributeProto *a = attribute(node, name);
    return a && a->has_i ? a->i : otherwise;
}
static float float_of(node_proto *node, const char *name, float otherwise) {
    const Onnx__AttributeProto *a = attribute(node, name);
    return a && a->has_f ? a->f : otherwise;
}

enum { LIST_MAX = 8 };
typedef struct list {
    size_t count;
    int64_t at[LIST_MAX];
} list;

/* Integers by attribute, or by a constant input (SIZE_MAX: none); missing: count 0. */
static fw_status list_of(const reader *r, node_proto *node, const char *name, size_t input,
                         list *out, fw_error *error) {
    const Onnx__AttributeProto *a = attribute(node, name);
    const thing *from = input == SIZE_MAX ? NULL : find(r, node, input);
    *out = (list){0};
    if (from) {
        if (!from->constant) REFUSE("its %s must be a constant", name);
        FW_TRY(fw_onnx_count(from->constant, &out->count, error));
        if (out->count > LIST_MAX) REFUSE("its %s has over %d numbers", name, LIST_MAX);
        return fw_onnx_copy_ints(from->constant, out->at, error);
    }
    if (!a) return FW_OK;
    if (a->n_ints > LIST_MAX) REFUSE("its %s has over %d numbers", name, LIST_MAX);
    out->count = a->n_ints;
    for (size_t i = 0; i < a->n_ints; i++) out->at[i] = a->ints[i];
    return FW_OK;
}

/* An axis of theirs as a dimension of ours; the batch is none. */
static fw_status axis_of(const reader *r, fw_nn_value x, int64_t axis, int32_t *out,
                         fw_error *error) {
    int64_t rank = (int64_t)shape_in(r, x).dims + 1;
    if (axis < 0) axis += rank;
    if (axis < 1 || axis >= rank) REFUSE("its axis is the batch, or none of %lld", (long long)rank);
    *out = (int32_t)axis - 1;
    return FW_OK;
}

/* ---- adding nodes ---- */

static fw_status add(reader *r, fw_nn_op op, const fw_nn_value *in, uint32_t count, fw_nn_attr attr,
                     fw_nn_value *out, fw_error *error) {
    char name[FW_NN_NAME_MAX];
    name_for(r, r->node_name, name);
    *out = fw_nn_node_add(r->graph, op, name, in, count, attr, NULL);
    return fw_nn_graph_check(r->graph, error);
}

static fw_status reshape(reader *r, fw_nn_value x, fw_nn_shape shape, fw_nn_value *out,
                         fw_error *error) {
    fw_nn_attr attr = {.i = {(int32_t)shape.dims}};
    for (uint32_t i = 0; i < shape.dims; i++) attr.i[1 + i] = (int32_t)shape.d[i];
    return add(r, FW_NN_RESHAPE, &x, 1, attr, out, error);
}

typedef fw_status op_reader(reader *r, node_proto *node, fw_nn_value *out, fw_error *error);
#define OP(name)                                                                                   \
    static fw_status read_##name(reader *r, node_proto *node, fw_nn_value *out, fw_error *error)

static fw_status unary(reader *r, node_proto *node, fw_nn_op op, fw_nn_attr attr, fw_nn_value *out,
                       fw_error *error) {
    fw_nn_value x;
    FW_TRY(value_in(r, node, 0, &x, error));
    return add(r, op, &x, 1, attr, out, error);
}
#define UNARY(name, op)                                                                            \
    OP(name) {                                                                                     \
        return unary(r, node, op, (fw_nn_attr){0}, out, error);                                    \
    }
UNARY(relu, FW_NN_RELU)
UNARY(tanh, FW_NN_TANH)
UNARY(sigmoid, FW_NN_SIGMOID)
UNARY(exp, FW_NN_EXP)

OP(same) {
    return value_in(r, node, 0, out, error);
}

OP(clip) {
    fw_nn_attr attr = {.f = {-INFINITY, INFINITY}};
    const thing *low = find(r, node, 1), *high = find(r, node, 2);
    if ((low && !scalar_of(low, &attr.f[0])) || (high && !scalar_of(high, &attr.f[1])))
        REFUSE("its limits must be constants");
    return unary(r, node, FW_NN_CLAMP, attr, out, error);
}

OP(softmax) {
    fw_nn_value x;
    int32_t axis = 0;
    FW_TRY(value_in(r, node, 0, &x, error));
    FW_TRY(axis_of(r, x, int_of(node, "axis", -1), &axis, error));
    if ((uint32_t)axis + 1 != shape_in(r, x).dims) REFUSE("it is not over the last axis");
    return add(r, FW_NN_SOFTMAX, &x, 1, (fw_nn_attr){0}, out, error);
}

/* ---- dense ---- */

/* y = x w^T (+ bias); `crossed`: the constant is (in, out). */
static fw_status linear(reader *r, fw_nn_value x, const thing *w, bool crossed, const thing *bias,
                        fw_nn_value *out, fw_error *error) {
    fw_nn_shape shape;
    fw_nn_value in[3] = {x};
    FW_TRY(shape_of_constant(w, false, &shape, error));
    if (shape.dims != 2) REFUSE("its weight has %u dimensions, not 2", shape.dims);
    if (crossed) shape = fw_nn_shape2(shape.d[1], shape.d[0]);
    FW_TRY(parameter(r, w, shape, crossed != w->flipped, &in[1], error));
    if (bias) FW_TRY(parameter(r, bias, fw_nn_shape1(shape.d[0]), false, &in[2], error));
    return add(r, FW_NN_LINEAR, in, bias ? 3 : 2, (fw_nn_attr){0}, out, error);
}

OP(gemm) {
    fw_nn_value x;
    const thing *w, *bias = NULL;
    FW_TRY(value_in(r, node, 0, &x, error));
    FW_TRY(constant_in(r, node, 1, &w, error));
    if (node->n_input > 2 && *node->input[2]) FW_TRY(constant_in(r, node, 2, &bias, error));
    if (float_of(node, "alpha", 1) != 1 || float_of(node, "beta", 1) != 1 ||
        int_of(node, "transA", 0) != 0 || shape_in(r, x).dims != 1)
        REFUSE("only x w + b of (N, I) is read");
    return linear(r, x, w, int_of(node, "transB", 0) == 0, bias, out, error);
}

OP(matmul) {
    fw_nn_value x;
    const thing *w;
    FW_TRY(value_in(r, node, 0, &x, error));
    FW_TRY(constant_in(r, node, 1, &w, error));
    return linear(r, x, w, true, NULL, out, error);
}

/* Kernel, stride and pad in y and x of a window over (C, H, W), or over (C, L) in x alone. */
typedef struct window {
    int32_t kernel[2], stride[2], pad[2];
} window;

static fw_status window_of(const reader *r, node_proto *node, uint32_t dims, window *out,
                           fw_error *error) {
    list kernel, stride, pads, dilations;
    const Onnx__AttributeProto *automatic = attribute(node, "auto_pad");
    FW_TRY(list_of(r, node, "kernel_shape", SIZE_MAX, &kernel, error));
    FW_TRY(list_of(r, node, "strides", SIZE_MAX, &stride, error));
    FW_TRY(list_of(r, node, "pads", SIZE_MAX, &pads, error));
    FW_TRY(list_of(r, node, "dilations", SIZE_MAX, &dilations, error));
    if (automatic && automatic->has_s && automatic->s.len > 0 &&
        (automatic->s.len != 6 || memcmp(automatic->s.data, "NOTSET", 6) != 0))
        REFUSE("its padding must be written out");
    if (int_of(node, "ceil_mode", 0) != 0) REFUSE("it rounds up");
    if ((stride.count && stride.count != dims) || (pads.count && pads.count != 2 * dims) ||
        (dilations.count && dilations.count != dims))
        REFUSE("its window has another number of dimensions");
    *out = (window){{1, 1}, {1, 1}, {0, 0}};
    for (uint32_t i = 0; i < dims; i++) {
        uint32_t to = 2 - dims + i;
        int64_t k = kernel.count == dims ? kernel.at[i] : 0, s = stride.count == dims ? stride.at[i] : 1;
        int64_t p = pads.count == 2 * dims ? pads.at[i] : 0;
        if ((kernel.count && kernel.count != dims) || k < 0 || k > 1 << 20 || s < 1 || s > 1 << 20 ||
            p < 0 || p > 1 << 20 || (pads.count == 2 * dims && pads.at[dims + i] != p) ||
            (dilations.count == dims && dilations.at[i] != 1))
            REFUSE("its window is dilated, padded unevenly or out of range");
        out->kernel[to] = (int32_t)k, out->stride[to] = (int32_t)s, out->pad[to] = (int32_t)p;
    }
    return FW_OK;
}

/* An image of a value: (C, L) becomes (C, 1, L). */
static fw_status image_of(reader *r, node_proto *node, fw_nn_value *x, uint32_t *dims,
                          fw_error *error) {
    FW_TRY(value_in(r, node, 0, x, error));
    fw_nn_shape shape = shape_in(r, *x);
    if (shape.dims != 2 && shape.dims != 3) REFUSE("it takes (N, C, H, W) or (N, C, L)");
    *dims = shape.dims - 1;
    return *dims == 2 ? FW_OK
                      : reshape(r, *x, fw_nn_shape3(shape.d[0], 1, shape.d[1]), x, error);
}

static fw_status image_back(reader *r, uint32_t dims, fw_nn_value *y, fw_error *error) {
    fw_nn_shape shape = shape_in(r, *y);
    return dims == 2 ? FW_OK : reshape(r, *y, fw_nn_shape2(shape.d[0], shape.d[2]), y, error);
}

OP(conv) {
    fw_nn_value in[3];
    fw_nn_shape shape;
    const thing *w, *bias = NULL;
    uint32_t dims;
    window win;
    int64_t groups = int_of(node, "group", 1);
    FW_TRY(image_of(r, node, &in[0], &dims, error));
    FW_TRY(constant_in(r, node, 1, &w, error));
    FW_TRY(shape_of_constant(w, false, &shape, error));
    FW_TRY(window_of(r, node, dims, &win, error));
    if (shape.dims != dims + 2 || w->flipped || groups < 1 || groups > 1 << 20)
        REFUSE("its weight or groups do not fit (N, C, ..)");
    if (dims == 1) shape = fw_nn_shape4(shape.d[0], shape.d[1], 1, shape.d[2]);
    if (attribute(node, "kernel_shape") && ((uint32_t)win.kernel[0] != shape.d[2] ||
                                            (uint32_t)win.kernel[1] != shape.d[3]))
        REFUSE("its kernel_shape is not its weight's");
    FW_TRY(parameter(r, w, shape, false, &in[1], error));
    if (node->n_input > 2 && *node->input[2]) {
        FW_TRY(constant_in(r, node, 2, &bias, error));
        FW_TRY(parameter(r, bias, fw_nn_shape1(shape.d[0]), false, &in[2], error));
    }
    fw_nn_attr attr = {.i = {win.stride[0], win.stride[1], win.pad[0], win.pad[1], (int32_t)groups}};
    FW_TRY(add(r, FW_NN_CONV, in, bias ? 3 : 2, attr, out, error));
    return image_back(r, dims, out, error);
}

static fw_status pool(reader *r, node_proto *node, fw_nn_op op, fw_nn_value *out, fw_error *error) {
    fw_nn_value x;
    uint32_t dims;
    window win;
    FW_TRY(image_of(r, node, &x, &dims, error));
    FW_TRY(window_of(r, node, dims, &win, error));
    if (int_of(node, "count_include_pad", 0) != 0 && (win.pad[0] || win.pad[1]))
        REFUSE("it counts the padding");
    fw_nn_attr attr = {.i = {win.kernel[0], win.kernel[1], win.stride[0], win.stride[1], win.pad[0],
                             win.pad[1]}};
    FW_TRY(add(r, op, &x, 1, attr, out, error));
    return image_back(r, dims, out, error);
}
OP(max_pool) {
    return pool(r, node, FW_NN_MAX_POOL, out, error);
}
OP(average_pool) {
    return pool(r, node, FW_NN_MEAN_POOL, out, error);
}
OP(global_pool) {
    fw_nn_value x;
    FW_TRY(value_in(r, node, 0, &x, error));
    fw_nn_shape s = shape_in(r, x);
    if (s.dims != 3) REFUSE("it takes (N, C, H, W)");
    fw_nn_attr attr = {.i = {(int32_t)s.d[1], (int32_t)s.d[2], 1, 1}};
    return add(r, FW_NN_MEAN_POOL, &x, 1, attr, out, error);
}

OP(gather) {
    const thing *table;
    fw_nn_shape shape;
    fw_nn_value in[2];
    FW_TRY(constant_in(r, node, 0, &table, error));
    FW_TRY(shape_of_constant(table, false, &shape, error));
    FW_TRY(value_in(r, node, 1, &in[0], error));
    if (shape.dims != 2 || int_of(node, "axis", 0) != 0) REFUSE("only rows of a table are read");
    FW_TRY(parameter(r, table, shape, table->flipped, &in[1], error));
    return add(r, FW_NN_EMBEDDING, in, 2, (fw_nn_attr){0}, out, error);
}

OP(layer_norm) {
    fw_nn_value in[3];
    int32_t axis = 0;
    const thing *gain, *bias = NULL;
    FW_TRY(value_in(r, node, 0, &in[0], error));
    FW_TRY(axis_of(r, in[0], int_of(node, "axis", -1), &axis, error));
    fw_nn_shape shape = shape_in(r, in[0]);
    if ((uint32_t)axis + 1 != shape.dims) REFUSE("it is not over the last axis");
    FW_TRY(constant_in(r, node, 1, &gain, error));
    FW_TRY(parameter(r, gain, fw_nn_shape1(shape.d[axis]), false, &in[1], error));
    if (node->n_input > 2 && *node->input[2]) {
        FW_TRY(constant_in(r, node, 2, &bias, error));
        FW_TRY(parameter(r, bias, fw_nn_shape1(shape.d[axis]), false, &in[2], error));
    }
    fw_nn_attr attr = {.f = {float_of(node, "epsilon", 1e-5f)}};
    return add(r, FW_NN_LAYER_NORM, in, bias ? 3 : 2, attr, out, error);
}

/* ---- arithmetic ---- */

/* value op constant: one number as an affine step, others as a parameter. */
static fw_status with_constant(reader *r, fw_nn_op op, fw_nn_value x, const thing *c, bool first,
                               fw_nn_value *out, fw_error *error) {
    float number;
    fw_nn_value in[2] = {x};
    fw_nn_shape shape;
    bool minus = op == FW_NN_SUBTRACT;
    if (c->constant->n_dims > shape_in(r, x).dims + 1u) REFUSE("its constant has more dimensions");
    if (scalar_of(c, &number)) {
        fw_nn_attr attr = {.f = {minus && first ? -1.0f : 1.0f, minus && !first ? -number : number}};
        if (op == FW_NN_MULTIPLY) attr = (fw_nn_attr){.f = {number, 0}};
        return add(r, FW_NN_AFFINE, &x, 1, attr, out, error);
    }
    FW_TRY(shape_of_constant(c, true, &shape, error));
    FW_TRY(parameter(r, c, shape, c->flipped, &in[1], error));
    if (minus && first) {
        FW_TRY(add(r, FW_NN_AFFINE, &x, 1, (fw_nn_attr){.f = {-1, 0}}, &in[0], error));
        op = FW_NN_ADD;
    }
    return add(r, op, in, 2, (fw_nn_attr){0}, out, error);
}

static fw_status binary(reader *r, node_proto *node, fw_nn_op op, fw_nn_value *out,
                        fw_error *error) {
    const thing *a = find(r, node, 0), *b = find(r, node, 1);
    if (!a || !b || (a->constant && b->constant)) REFUSE("an input is missing, or both are constants");
    if (b->constant) return with_constant(r, op, a->value, b, false, out, error);
    if (a->constant) return with_constant(r, op, b->value, a, true, out, error);
    fw_nn_value in[2] = {a->value, b->value};
    if (shape_in(r, in[0]).dims != shape_in(r, in[1]).dims)
        REFUSE("its inputs have different numbers of dimensions");
    return add(r, op, in, 2, (fw_nn_attr){0}, out, error);
}
OP(add) {
    return binary(r, node, FW_NN_ADD, out, error);
}
OP(subtract) {
    return binary(r, node, FW_NN_SUBTRACT, out, error);
}
OP(multiply) {
    return binary(r, node, FW_NN_MULTIPLY, out, error);
}
OP(divide) {
    fw_nn_value x;
    float number = 0;
    FW_TRY(value_in(r, node, 0, &x, error));
    if (!scalar_of(find(r, node, 1), &number) || number == 0) REFUSE("it divides by more than a number");
    return add(r, FW_NN_AFFINE, &x, 1, (fw_nn_attr){.f = {1 / number}}, out, error);
}

/* ---- shapes ---- */

OP(flatten) {
    fw_nn_value x;
    FW_TRY(value_in(r, node, 0, &x, error));
    if (int_of(node, "axis", 1) != 1) REFUSE("it flattens the batch as well");
    return reshape(r, x, fw_nn_shape1((uint32_t)fw_nn_elements(shape_in(r, x))), out, error);
}

OP(reshape) {
    fw_nn_value x;
    list to;
    fw_nn_shape shape = {0};
    int64_t known = 1, open = -1;
    FW_TRY(value_in(r, node, 0, &x, error));
    FW_TRY(list_of(r, node, "shape", 1, &to, error));
    fw_nn_shape from = shape_in(r, x);
    int64_t total = (int64_t)fw_nn_elements(from);
    if (to.count < 1 || to.count > FW_NN_DIMS_MAX + 1) REFUSE("its shape has 1 to 5 numbers");
    shape.dims = (uint32_t)to.count - 1;
    for (uint32_t i = 0; i < shape.dims; i++) {
        int64_t d = to.at[1 + i];
        if (d == 0 && i < from.dims) d = from.d[i];
        if (d == -1 && open < 0 && to.at[0] != -1) open = i;
        else if (d < 1 || d > total || (known *= d) > total) REFUSE("its shape does not keep the batch");
        else shape.d[i] = (uint32_t)d;
    }
    if (open >= 0) shape.d[open] = (uint32_t)(total / known);
    return reshape(r, x, shape, out, error);
}

static bool listed(const list *axes, int64_t axis) {
    for (size_t i = 0; i < axes->count; i++)
        if (axes->at[i] == axis) return true;
    return false;
}

static fw_status squeeze(reader *r, node_proto *node, bool more, fw_nn_value *out, fw_error *error) {
    fw_nn_value x;
    list axes;
    fw_nn_shape shape = {0};
    FW_TRY(value_in(r, node, 0, &x, error));
    FW_TRY(list_of(r, node, "axes", 1, &axes, error));
    fw_nn_shape from = shape_in(r, x);
    int64_t rank = (int64_t)from.dims + 1 + (more ? (int64_t)axes.count : 0);
    for (size_t i = 0; i < axes.count; i++) {
        if (axes.at[i] < 0) axes.at[i] += rank;
        if (axes.at[i] < 1 || axes.at[i] >= rank) REFUSE("its axis is the batch, or none");
    }
    if (axes.count == 0 || rank - 1 > FW_NN_DIMS_MAX) REFUSE("its axes must be named, and few");
    for (uint32_t i = 0, used = 0; i + 1 < rank; i++) {
        bool named = listed(&axes, i + 1);
        if (named && !more && from.d[i] != 1) REFUSE("it takes away a dimension over 1");
        if (named && !more) continue;
        if (!named && more && used >= from.dims) REFUSE("an axis is named twice");
        shape.d[shape.dims++] = named ? 1 : more ? from.d[used++] : from.d[i];
    }
    return reshape(r, x, shape, out, error);
}
OP(squeeze) {
    return squeeze(r, node, false, out, error);
}
OP(unsqueeze) {
    return squeeze(r, node, true, out, error);
}

OP(transpose) {
    fw_nn_value x;
    list perm;
    fw_nn_attr attr = {0};
    FW_TRY(value_in(r, node, 0, &x, error));
    FW_TRY(list_of(r, node, "perm", SIZE_MAX, &perm, error));
    if (perm.count != shape_in(r, x).dims + 1u || perm.at[0] != 0) REFUSE("it moves the batch");
    for (size_t i = 1; i < perm.count; i++) {
        if (perm.at[i] < 1 || perm.at[i] > FW_NN_DIMS_MAX) REFUSE("its order is none");
        attr.i[i - 1] = (int32_t)perm.at[i] - 1;
    }
    return add(r, FW_NN_TRANSPOSE, &x, 1, attr, out, error);
}

OP(concat) {
    fw_nn_value in[8];
    fw_nn_attr attr = {0};
    if (node->n_input < 1 || node->n_input > 8) REFUSE("it joins over 8 tensors");
    for (size_t i = 0; i < node->n_input; i++) FW_TRY(value_in(r, node, i, &in[i], error));
    FW_TRY(axis_of(r, in[0], int_of(node, "axis", 0), &attr.i[0], error));
    return add(r, FW_NN_CONCAT, in, (uint32_t)node->n_input, attr, out, error);
}

OP(slice) {
    fw_nn_value x;
    list starts, ends, axes, steps;
    fw_nn_attr attr = {0};
    FW_TRY(value_in(r, node, 0, &x, error));
    FW_TRY(list_of(r, node, "starts", 1, &starts, error));
    FW_TRY(list_of(r, node, "ends", 2, &ends, error));
    FW_TRY(list_of(r, node, "axes", 3, &axes, error));
    FW_TRY(list_of(r, node, "steps", 4, &steps, error));
    if (starts.count != 1 || ends.count != 1 || axes.count != 1 || (steps.count && steps.at[0] != 1))
        REFUSE("only one axis in steps of 1 is read");
    FW_TRY(axis_of(r, x, axes.at[0], &attr.i[0], error));
    int64_t size = shape_in(r, x).d[attr.i[0]], first = starts.at[0], last = ends.at[0];
    if (first < 0) first += size;
    if (last < 0) last += size;
    if (last > size) last = size;
    if (first < 0 || first >= last) REFUSE("it takes nothing, or more than there is");
    attr.i[1] = (int32_t)first;
    attr.i[2] = (int32_t)(last - first);
    return add(r, FW_NN_SLICE, &x, 1, attr, out, error);
}

/* ---- graphs ---- */

static const struct {
    const char *name;
    op_reader *read;
} operators[] = {
    {"Identity", read_same},         {"Dropout", read_same},      {"Relu", read_relu},
    {"Tanh", read_tanh},             {"Sigmoid", read_sigmoid},   {"Exp", read_exp},
    {"Clip", read_clip},             {"Softmax", read_softmax},   {"Gemm", read_gemm},
    {"MatMul", read_matmul},         {"Add", read_add},           {"Sub", read_subtract},
    {"Mul", read_multiply},          {"Div", read_divide},        {"Conv", read_conv},
    {"MaxPool", read_max_pool},      {"AveragePool", read_average_pool},
    {"GlobalAveragePool", read_global_pool}, {"Flatten", read_flatten}, {"Reshape", read_reshape},
    {"Squeeze", read_squeeze},       {"Unsqueeze", read_unsqueeze}, {"Transpose", read_transpose},
    {"Concat", read_concat},         {"Slice", read_slice},       {"Gather", read_gather},
    {"LayerNormalization", read_layer_norm},
};

/* A Constant, or a constant turned, copied: known without a node. */
static fw_status read_constant(reader *r, node_proto *node, bool *done, fw_error *error) {
    const Onnx__AttributeProto *value = attribute(node, "value");
    const thing *from = find(r, node, 0);
    thing it = {.name = node->output[0], .value = FW_NN_NONE};
    *done = true;
    if (strcmp(node->op_type, "Constant") == 0) {
        if (!value || !value->t) REFUSE("a constant must be a tensor");
        it.constant = value->t;
        return define(r, it, error);
    }
    *done = from && from->constant &&
            (strcmp(node->op_type, "Identity") == 0 ||
             (strcmp(node->op_type, "Transpose") == 0 && from->constant->n_dims == 2));
    if (!*done) return FW_OK;
    it.constant = from->constant;
    it.flipped = from->flipped != (strcmp(node->op_type, "Transpose") == 0);
    return define(r, it, error);
}

static fw_status read_one(reader *r, node_proto *node, fw_error *error) {
    bool done = false;
    fw_nn_value value = FW_NN_NONE;
    if (node->domain && *node->domain && strcmp(node->domain, "ai.onnx") != 0)
        REFUSE("the operator set %.60s is not read", node->domain);
    FW_TRY(read_constant(r, node, &done, error));
    if (done) return FW_OK;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (strcmp(operators[i].name, node->op_type) != 0) continue;
        FW_TRY(operators[i].read(r, node, &value, error));
        return define(r, (thing){.name = node->output[0], .value = value}, error);
    }
    REFUSE("the operator is not read");
}

static fw_status read_node(reader *r, node_proto *node, size_t index, fw_error *error) {
    fw_error why = {""};
    char made[32];
    snprintf(made, sizeof made, "node%zu", index);
    r->node_name = node->name && *node->name ? node->name : made;
    fw_status status = read_one(r, node, &why);
    if (status == FW_OK) return FW_OK;
    return fw_fail(error, status, "node %.60s (%.40s): %.200s", r->node_name, node->op_type, why.text);
}

static fw_status read_input(reader *r, const Onnx__ValueInfoProto *info, fw_error *error) {
    char name[FW_NN_NAME_MAX];
    fw_nn_shape shape = {0};
    if (place_of(r, info->name)->name) return FW_OK; /* an initializer that is listed as an input */
    const Onnx__TypeProto__Tensor *t =
        info->type && info->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE
            ? info->type->tensor_type : NULL;
    if (!t || !t->shape || t->shape->n_dim < 1 || t->shape->n_dim > FW_NN_DIMS_MAX + 1)
        REFUSE("input %.60s: no shape of 1 to 5 dimensions, the batch first", info->name);
    bool index = t->elem_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 ||
                 t->elem_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT32;
    if (!index && t->elem_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT)
        REFUSE("input %.60s: neither floats nor indices", info->name);
    shape.dims = (uint32_t)t->shape->n_dim - 1;
    for (uint32_t i = 0; i < shape.dims; i++) {
        const Onnx__TensorShapeProto__Dimension *d = t->shape->dim[1 + i];
        if (d->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ||
            d->dim_value < 1 || d->dim_value > FW_NN_ELEMENTS_MAX)
            REFUSE("input %.60s: only the batch may be open", info->name);
        shape.d[i] = (uint32_t)d->dim_value;
    }
    name_for(r, info->name, name);
    thing it = {info->name, fw_nn_input(r->graph, name, index ? FW_NN_I32 : FW_NN_F32, shape), NULL,
                false};
    FW_TRY(fw_nn_graph_check(r->graph, error));
    return define(r, it, error);
}

static fw_status read_all(reader *r, const Onnx__GraphProto *g, fw_error *error) {
    char name[FW_NN_NAME_MAX];
    for (size_t i = 0; i < g->n_initializer; i++)
        FW_TRY(define(r, (thing){.name = g->initializer[i]->name, .value = FW_NN_NONE,
                                 .constant = g->initializer[i]}, error));
    for (size_t i = 0; i < g->n_input; i++) FW_TRY(read_input(r, g->input[i], error));
    for (size_t i = 0; i < g->n_node; i++) FW_TRY(read_node(r, g->node[i], i, error));
    for (size_t i = 0; i < g->n_output; i++) {
        const thing *at = place_of(r, g->output[i]->name);
        if (!at->name || at->value == FW_NN_NONE)
            REFUSE("output %.60s is none that an input leads to", g->output[i]->name);
        name_for(r, g->output[i]->name, name);
        fw_nn_output_add(r->graph, name, at->value);
    }
    FW_TRY(fw_nn_graph_check(r->graph, error));
    if (r->graph->output_count == 0) return fw_fail(error, FW_CORRUPT, "ONNX: there is no output");
    return FW_OK;
}

static fw_status fill(const reader *r, fw_nn_model *model, fw_error *error) {
    FW_TRY(fw_nn_layout_make(model->graph, &model->layout, error));
    model->params = fw_nn_vector_new(model->layout.floats);
    if (!model->params) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    for (uint32_t i = 0; i < r->source_count; i++) {
        const source *s = &r->sources[i];
        fw_nn_shape shape = shape_in(r, s->value);
        float *to = model->params + model->layout.offsets[s->value];
        size_t count = fw_nn_elements(shape), rows = shape.d[0], width = count / (rows ? rows : 1);
        FW_TRY(fw_onnx_copy_floats(s->constant, to, error));
        if (!s->flipped) continue;
        float *copy = malloc(count * sizeof *copy);
        if (!copy) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
        memcpy(copy, to, count * sizeof *copy);
        for (size_t n = 0; n < count; n++) to[n] = copy[n % width * rows + n / width];
        free(copy);
    }
    return FW_OK;
}

fw_status fw_onnx_read_graph(const Onnx__GraphProto *g, fw_nn_model *model, fw_error *error) {
    reader r = {.bits = 4};
    while ((1u << r.bits) < 2 * (g->n_node + g->n_initializer + g->n_input + 1)) r.bits++;
    FW_TRY(fw_nn_graph_new(&model->graph, error));
    r.graph = model->graph;
    r.things = calloc((size_t)1 << r.bits, sizeof *r.things);
    fw_status status = r.things ? read_all(&r, g, error)
                                : fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    if (status == FW_OK) status = fill(&r, model, error);
    free(r.things);
    free(r.sources);
    return status;
}
