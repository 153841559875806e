/* read_graph.c - the table of operators, and a graph from its inputs to its outputs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/onnx/onnx.h"
#include "nn/onnx/read.h"
#include "nn/onnx/tensor.h"
#include "onnx.pb-c.h"

#define READERS(X)                                                                                 \
    X(Identity, same) X(Dropout, same) X(Cast, cast) X(Relu, unary) X(Tanh, unary)                 \
    X(Sigmoid, unary) X(Exp, unary) X(Erf, unary) X(Neg, unary) X(LeakyRelu, unary) X(HardSigmoid, unary)        \
    X(HardSwish, unary) X(Gelu, gelu) X(Clip, clip) X(Softmax, softmax) X(Add, add)                \
    X(Sub, subtract) X(Mul, multiply) X(Div, divide) X(Pow, power) X(Gemm, gemm)                   \
    X(MatMul, matmul) X(Conv, conv) X(MaxPool, max_pool) X(AveragePool, average_pool)              \
    X(GlobalAveragePool, global_pool) X(GlobalMaxPool, global_pool) X(Pad, pad)                    \
    X(BatchNormalization, batch_norm) X(LayerNormalization, layer_norm) X(ReduceMean, reduce)      \
    X(ReduceSum, reduce) X(ReduceMax, reduce) X(Shape, shape) X(Flatten, reshape)                  \
    X(Reshape, reshape) X(Squeeze, reshape) X(Unsqueeze, reshape) X(Transpose, transpose)          \
    X(Concat, concat) X(Slice, slice) X(Split, split) X(Gather, gather) X(Expand, expand)          \
    X(LSTM, recurrent) X(GRU, recurrent) X(Where, where)

#define X(op, reader) FW_ONNX_READ(reader);
READERS(X)
#undef X

static const struct {
    const char *name;
    fw_onnx_read *read;
} operators[] = {
#define X(op, reader) {#op, fw_onnx_read_##reader},
    READERS(X)
#undef X
};

/* What is read only as a part of something. */
static const struct {
    const char *name, *why;
} parts[] = {{"Sqrt", "a square root is read within a norm alone"},
             {"Reciprocal", "it is read within a norm alone"},
             {"Equal", "it is read within a mask alone"},
             {"Not", "it is read within a mask alone"}};

static fw_onnx_thing *place_of(fw_onnx_reader *r, const char *name) {
    return (fw_onnx_thing *)(uintptr_t)fw_onnx_thing_of(r, name);
}

static fw_status define(fw_onnx_reader *r, fw_onnx_thing it, fw_error *error) {
    fw_onnx_thing *at = place_of(r, it.name);
    if (at->name) return fw_fail(error, FW_CORRUPT, "the name %.60s is given twice", it.name);
    *at = it;
    r->used++;
    return FW_OK;
}

/* ---- nodes ---- */

/* Constants alone: computed. *done: it was that. */
static fw_status try_fold(fw_onnx_reader *r, fw_onnx_proto *node, bool *done, fw_error *error) {
    fw_onnx_constant *made = NULL;
    *done = node->n_input > 0 || fw_onnx_is(node, "Constant");
    const fw_onnx_constant **in = fw_onnx_take(&r->pool, (node->n_input + 1) * sizeof *in);
    if (!in) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    for (size_t i = 0; i < node->n_input; i++) {
        if (!*node->input[i]) continue;
        const fw_onnx_thing *at = fw_onnx_in(r, node, i);
        if (!at)
            return fw_fail(error, FW_CORRUPT, "its input %.60s is made by no node before it",
                           node->input[i]);
        in[i] = at->constant;
        *done &= in[i] != NULL;
    }
    if (!*done) return FW_OK;
    FW_TRY(fw_onnx_fold(&r->pool, node, in, &made, error));
    if (!made) FW_ONNX_REFUSE("the operator is not computed from constants");
    return define(r, (fw_onnx_thing){.name = node->output[0], .node = node, .constant = made}, error);
}

static fw_status read_one(fw_onnx_reader *r, fw_onnx_proto *node, fw_error *error) {
    bool done = false;
    if (node->domain && *node->domain && strcmp(node->domain, "ai.onnx") != 0)
        FW_ONNX_REFUSE("the operator set %.60s is not read", node->domain);
    FW_TRY(try_fold(r, node, &done, error));
    if (done) return FW_OK;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (fw_onnx_is(node, operators[i].name)) return operators[i].read(r, node, error);
    for (size_t i = 0; i < node->n_input; i++) {
        const fw_onnx_thing *at = fw_onnx_in(r, node, i);
        if (!at || !at->why) continue;
        r->passed_on = true; /* the first one that is not read is the one to name */
        FW_ONNX_REFUSE("%s", at->why);
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (fw_onnx_is(node, parts[i].name)) FW_ONNX_REFUSE("%s", parts[i].why);
    FW_ONNX_REFUSE("the operator is not read");
}

/* "node NAME (OPERATOR): why" for a node that is not read; others read on. */
static fw_status read_node(fw_onnx_reader *r, fw_onnx_proto *node, size_t index, fw_error *error) {
    fw_error why = {""};
    char number[32], text[sizeof why.text];
    snprintf(number, sizeof number, "node%zu", index);
    const char *name = node->name && *node->name ? node->name : number;
    snprintf(r->node_name, sizeof r->node_name, "%.60s", name);
    for (char *c = r->node_name; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:", *c)) *c = '_';
    r->node = node;
    r->passed_on = false;
    fw_status status = read_one(r, node, &why);
    if (status == FW_OK) return FW_OK;
    /* What the builder says begins with its own "node NAME (operator): ". */
    const char *inner = status == FW_INVALID ? strstr(why.text, "): ") : NULL;
    snprintf(text, sizeof text, "%s", why.text);
    if (!r->passed_on)
        snprintf(text, sizeof text, "node %.60s (%.40s): %.200s", name, node->op_type,
                 inner ? inner + 3 : why.text);
    if (status != FW_UNSUPPORTED) return fw_fail(error, status, "%s", text);
    char *kept = fw_onnx_take(&r->pool, strlen(text) + 1);
    if (!kept) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    memcpy(kept, text, strlen(text) + 1);
    for (size_t i = 0; i < node->n_output; i++)
        if (*node->output[i] && !place_of(r, node->output[i])->name)
            FW_TRY(define(r, (fw_onnx_thing){.name = node->output[i], .node = node, .why = kept}, error));
    return FW_OK;
}

/* ---- inputs ---- */

/* Where the batch lies. An open dimension says it. Where all are fixed it is tried: the first axis,
 * then the second; then the whole input is one example. */
enum { OPEN, FIRST_AXIS, SECOND_AXIS, NOWHERE, WAYS };

typedef struct batch {
    int way;
    int64_t size; /* of the first input's, where it is fixed; 0: not known yet */
} batch;

static const Onnx__TypeProto__Tensor *type_of(const Onnx__ValueInfoProto *info) {
    return info->type && info->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE
               ? info->type->tensor_type : NULL;
}
static bool is_open(const Onnx__TensorShapeProto__Dimension *d) {
    return d->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
}
static bool is_tensor_of_file(const Onnx__GraphProto *g, const Onnx__ValueInfoProto *info,
                              const fw_onnx_reader *r) {
    const fw_onnx_thing *at = fw_onnx_thing_of(r, info->name);
    return g && at->name && at->constant;
}

static bool any_open(const Onnx__GraphProto *g, const fw_onnx_reader *r) {
    for (size_t i = 0; i < g->n_input; i++) {
        const Onnx__TypeProto__Tensor *t = type_of(g->input[i]);
        if (is_tensor_of_file(g, g->input[i], r)) continue;
        for (size_t d = 0; t && t->shape && d < t->shape->n_dim; d++)
            if (is_open(t->shape->dim[d])) return true;
    }
    return false;
}

static fw_status batch_axis(const Onnx__ValueInfoProto *info, const Onnx__TensorShapeProto *shape,
                            batch *b, uint32_t *out, fw_error *error) {
    uint32_t rank = (uint32_t)shape->n_dim, axis = b->way == SECOND_AXIS ? 1 : 0;
    *out = rank;
    if (b->way == NOWHERE) return FW_OK;
    if (b->way != OPEN && b->size == 0) {
        if (axis >= rank) FW_ONNX_REFUSE("input %.60s has no axis %u", info->name, axis);
        b->size = shape->dim[axis]->dim_value;
        *out = axis;
        return FW_OK;
    }
    for (uint32_t i = 0; i < rank; i++) {
        bool here = b->way == OPEN ? is_open(shape->dim[i]) : shape->dim[i]->dim_value == b->size;
        if (here && *out == rank) *out = i;
        else if (here && b->way == OPEN)
            FW_ONNX_REFUSE("input %.60s: its axes %u and %u are both open; only the batch may be, "
                           "export it with a fixed length", info->name, *out, i);
    }
    if (*out == rank && b->size != 1) FW_ONNX_REFUSE("input %.60s has no axis of the batch", info->name);
    return FW_OK;
}

static fw_status read_input(fw_onnx_reader *r, const Onnx__ValueInfoProto *info, batch *b,
                            fw_error *error) {
    int64_t dims[FW_ONNX_RANK_MAX];
    fw_nn_shape shape;
    char name[FW_NN_NAME_MAX];
    uint32_t axis;
    const Onnx__TypeProto__Tensor *t = type_of(info);
    if (!t || !t->shape || t->shape->n_dim < 1 || t->shape->n_dim > FW_ONNX_RANK_MAX)
        FW_ONNX_REFUSE("input %.60s: no shape of 1 to %d dimensions", info->name, FW_ONNX_RANK_MAX);
    bool index = t->elem_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 ||
                 t->elem_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT32;
    if (!index && t->elem_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT)
        FW_ONNX_REFUSE("input %.60s: neither floats nor indices (element type %d)", info->name, t->elem_type);
    FW_TRY(batch_axis(info, t->shape, b, &axis, error));
    for (uint32_t i = 0; i < t->shape->n_dim; i++) {
        dims[i] = is_open(t->shape->dim[i]) ? FW_ONNX_BATCH : t->shape->dim[i]->dim_value;
        if (dims[i] < 1 || (dims[i] > FW_NN_ELEMENTS_MAX && !is_open(t->shape->dim[i])))
            return fw_fail(error, FW_CORRUPT, "input %.60s: axis %u has %lld elements", info->name, i,
                           (long long)dims[i]);
    }
    fw_onnx_tensor made = fw_onnx_tensor_of(FW_NN_NONE, (uint32_t)t->shape->n_dim, dims, axis);
    FW_TRY(fw_onnx_natural(&made, &shape, error));
    snprintf(name, sizeof name, "p%u", ++r->made);
    made.value = fw_nn_input(r->graph, name, index ? FW_NN_I32 : FW_NN_F32, shape);
    fw_status status = fw_nn_graph_check(r->graph, NULL);
    if (status != FW_OK) return fw_fail(error, status, "input %.60s: its shape is too big", info->name);
    fw_onnx_tensor *copy = fw_onnx_take(&r->pool, sizeof *copy);
    if (!copy) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    *copy = made;
    r->names[made.value] = info->name;
    return define(r, (fw_onnx_thing){.name = info->name, .tensor = copy}, error);
}

/* ---- graphs ---- */

static fw_status read_tensors(fw_onnx_reader *r, const Onnx__GraphProto *g, fw_error *error) {
    for (size_t i = 0; i < g->n_initializer; i++) {
        fw_onnx_thing it = {.name = g->initializer[i]->name};
        fw_onnx_constant *c = NULL;
        fw_error why = {""};
        fw_status status = fw_onnx_constant_read(&r->pool, g->initializer[i], &c, &why);
        if (status != FW_OK) return fw_fail(error, status, "tensor %.60s: %s", it.name, why.text);
        it.constant = c;
        FW_TRY(define(r, it, error));
    }
    return FW_OK;
}

static fw_status read_outputs(fw_onnx_reader *r, const Onnx__GraphProto *g, fw_error *error) {
    for (size_t i = 0; i < g->n_output; i++) {
        const fw_onnx_thing *at = fw_onnx_thing_of(r, g->output[i]->name);
        fw_nn_shape shape;
        fw_nn_value value;
        char name[32];
        if (at->name && at->why) FW_ONNX_REFUSE("%s", at->why);
        if (!at->name || !at->tensor)
            FW_ONNX_REFUSE("output %.60s is none that an input leads to", g->output[i]->name);
        if (fw_onnx_copied(at->tensor))
            FW_ONNX_REFUSE("output %.60s repeats along an axis", g->output[i]->name);
        FW_TRY(fw_onnx_natural(at->tensor, &shape, error));
        snprintf(r->node_name, sizeof r->node_name, "out%zu", i);
        FW_TRY(fw_onnx_shaped(r, at->tensor, shape, &value, error));
        snprintf(name, sizeof name, "o%zu", i);
        fw_nn_output_add(r->graph, name, value);
        r->names[FW_NN_VALUES_MAX + i] = g->output[i]->name;
    }
    FW_TRY(fw_nn_graph_check(r->graph, error));
    if (r->graph->output_count == 0) return fw_fail(error, FW_CORRUPT, "ONNX: there is no output");
    return FW_OK;
}

static fw_status read_all(fw_onnx_reader *r, const Onnx__GraphProto *g, int *way, fw_error *error) {
    FW_TRY(read_tensors(r, g, error));
    if (*way == OPEN && !any_open(g, r)) *way = FIRST_AXIS;
    batch b = {.way = *way};
    for (size_t i = 0; i < g->n_input; i++)
        if (!is_tensor_of_file(g, g->input[i], r)) FW_TRY(read_input(r, g->input[i], &b, error));
    if (b.size == 1) *way = NOWHERE; /* nothing else is worth trying */
    for (size_t i = 0; i < g->n_node; i++) FW_TRY(read_node(r, g->node[i], i, error));
    return read_outputs(r, g, error);
}

static fw_status read_in(const Onnx__GraphProto *g, int *way, fw_nn_model *model, size_t limit_bytes,
                         fw_error *error) {
    size_t names = g->n_node + g->n_initializer + g->n_input + 1;
    for (size_t i = 0; i < g->n_node; i++) names += g->node[i]->n_output;
    fw_onnx_reader r = {.bits = 4, .pool = {.left_bytes = limit_bytes}};
    while (((size_t)1 << r.bits) < 2 * names) r.bits++;
    FW_TRY(fw_nn_graph_new(&r.graph, error));
    r.things = calloc((size_t)1 << r.bits, sizeof *r.things);
    r.data = calloc(FW_NN_VALUES_MAX, sizeof *r.data);
    r.names = calloc(FW_NN_VALUES_MAX + FW_NN_INPUTS_MAX, sizeof *r.names);
    fw_status status = r.things && r.data && r.names
                           ? read_all(&r, g, way, error)
                           : fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    if (status == FW_OK)
        status = fw_onnx_keep_needed(&r, &model->graph, &model->params, &model->layout, error);
    fw_onnx_pool_free(&r.pool);
    fw_nn_graph_free(r.graph);
    free(r.things);
    free(r.data);
    free(r.names);
    return status;
}

fw_status fw_onnx_read_graph(const Onnx__GraphProto *g, size_t limit_bytes, fw_nn_model *model,
                             fw_error *error) {
    fw_error first = {""};
    int way = OPEN;
    fw_status status = read_in(g, &way, model, limit_bytes, &first), again = status;
    while (again == FW_UNSUPPORTED && way >= FIRST_AXIS && way < NOWHERE) {
        fw_nn_model_clear(model);
        *model = (fw_nn_model){0};
        way++;
        again = read_in(g, &way, model, limit_bytes, NULL);
    }
    return again == FW_OK ? FW_OK : fw_fail(error, status, "%s", first.text);
}
