#include "nn/onnx/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/onnx/onnx.h"
#include "onnx.pb-c.h"

/* ---- memory ---- */

struct fw_onnx_block {
    fw_onnx_block *next;
    size_t used, room;
    _Alignas(16) char bytes[];
};

static _Alignas(16) char spare[4096]; /* what is given out after a failure: written, never read */

void *fw_onnx_new(fw_onnx *e, size_t bytes) {
    size_t size = (bytes + 15) / 16 * 16;
    if (e->status != FW_OK) return spare;
    if (!e->blocks || e->blocks->room - e->blocks->used < size) {
        size_t room = size > 1u << 16 ? size : 1u << 16;
        fw_onnx_block *block = calloc(1, sizeof *block + room);
        if (!block) {
            e->status = fw_fail(&e->error, FW_NO_MEMORY, "no memory for an ONNX model");
            return spare;
        }
        block->room = room;
        block->next = e->blocks;
        e->blocks = block;
    }
    void *at = e->blocks->bytes + e->blocks->used;
    e->blocks->used += size;
    return at;
}

void fw_onnx_free(fw_onnx *e) {
    while (e->blocks) {
        fw_onnx_block *next = e->blocks->next;
        free(e->blocks);
        e->blocks = next;
    }
    free(e->nodes);
    free(e->tensors);
    e->nodes = e->tensors = NULL;
}

static void *copied(fw_onnx *e, const void *from, size_t bytes) {
    void *to = fw_onnx_new(e, bytes);
    if (e->status == FW_OK && bytes > 0) memcpy(to, from, bytes);
    return to;
}

const char *fw_onnx_text(fw_onnx *e, const char *format, ...) {
    char text[256];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return copied(e, text, strlen(text) + 1);
}

void fw_onnx_refuse(fw_onnx *e, const char *why) {
    if (e->status != FW_OK) return;
    e->status = fw_fail(&e->error, FW_UNSUPPORTED, "node %s (%s): %s", e->node->name,
                        fw_nn_op_name(e->node->op), why);
}

static bool append(fw_onnx *e, void ***list, size_t *count, size_t *room, void *item) {
    if (e->status != FW_OK) return false;
    if (*count == *room) {
        size_t more = 2 * *room + 64;
        void **grown = realloc(*list, more * sizeof *grown);
        if (!grown) {
            e->status = fw_fail(&e->error, FW_NO_MEMORY, "no memory for an ONNX model");
            return false;
        }
        *list = grown;
        *room = more;
    }
    (*list)[(*count)++] = item;
    return true;
}

/* ---- nodes ---- */

enum { ATTRIBUTES_MAX = 8 };

const char *fw_onnx_node(fw_onnx *e, const char *op, const char *const *inputs, size_t count,
                         Onnx__NodeProto **out) {
    Onnx__NodeProto *node = fw_onnx_new(e, sizeof *node);
    const char *name = fw_onnx_text(e, "%s#%u.%u", e->node ? e->node->name : "",
                                    e->node ? (uint32_t)(e->node - e->model->graph->nodes) : 0,
                                    e->made++);
    onnx__node_proto__init(node);
    node->op_type = (char *)(uintptr_t)op;
    node->name = (char *)(uintptr_t)name;
    node->input = copied(e, inputs, count * sizeof *inputs);
    node->n_input = count;
    node->output = fw_onnx_new(e, sizeof *node->output);
    node->n_output = 1;
    node->attribute = fw_onnx_new(e, ATTRIBUTES_MAX * sizeof *node->attribute);
    if (e->status == FW_OK) node->output[0] = node->name;
    for (size_t i = 0; e->status == FW_OK && i < count; i++)
        if (!inputs[i]) fw_onnx_refuse(e, "it reads what has no counterpart in ONNX");
    (void)append(e, &e->nodes, &e->node_count, &e->node_room, node);
    if (out) *out = node;
    return e->status == FW_OK ? name : "";
}

static Onnx__AttributeProto *attribute(fw_onnx *e, Onnx__NodeProto *node, const char *name,
                                       Onnx__AttributeProto__AttributeType type) {
    Onnx__AttributeProto *a = fw_onnx_new(e, sizeof *a);
    onnx__attribute_proto__init(a);
    a->name = (char *)(uintptr_t)name;
    a->has_type = 1;
    a->type = type;
    if (e->status == FW_OK) {
        FW_ASSERT(node->n_attribute < ATTRIBUTES_MAX);
        node->attribute[node->n_attribute++] = a;
    }
    return a;
}

void fw_onnx_int(fw_onnx *e, Onnx__NodeProto *node, const char *name, int64_t value) {
    Onnx__AttributeProto *a = attribute(e, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    a->has_i = 1;
    a->i = value;
}

void fw_onnx_float(fw_onnx *e, Onnx__NodeProto *node, const char *name, float value) {
    Onnx__AttributeProto *a = attribute(e, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    a->has_f = 1;
    a->f = value;
}

void fw_onnx_list(fw_onnx *e, Onnx__NodeProto *node, const char *name, const int64_t *values,
                  size_t count) {
    Onnx__AttributeProto *a = attribute(e, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    a->ints = copied(e, values, count * sizeof *values);
    a->n_ints = count;
}

/* ---- constants ---- */

static const char *tensor(fw_onnx *e, const char *name, int32_t type, const void *data,
                          size_t bytes, const int64_t *dims, size_t dim_count) {
    Onnx__TensorProto *t = fw_onnx_new(e, sizeof *t);
    onnx__tensor_proto__init(t);
    t->name = (char *)(uintptr_t)name;
    t->has_data_type = 1;
    t->data_type = type;
    t->dims = copied(e, dims, dim_count * sizeof *dims);
    t->n_dims = dim_count;
    t->has_raw_data = 1;
    t->raw_data.len = bytes;
    t->raw_data.data = copied(e, data, bytes);
    (void)append(e, &e->tensors, &e->tensor_count, &e->tensor_room, t);
    return name;
}

static const char *constant_name(fw_onnx *e) {
    return fw_onnx_text(e, "%s#%u.c%u", e->node->name,
                        (uint32_t)(e->node - e->model->graph->nodes), e->made++);
}

const char *fw_onnx_ints(fw_onnx *e, const int64_t *values, size_t count) {
    const int64_t dims[] = {(int64_t)count};
    return tensor(e, constant_name(e), ONNX__TENSOR_PROTO__DATA_TYPE__INT64, values,
                  count * sizeof *values, dims, 1);
}

const char *fw_onnx_floats(fw_onnx *e, const char *name, const float *values, const int64_t *dims,
                           size_t dim_count) {
    size_t count = 1;
    for (size_t i = 0; i < dim_count; i++) count *= (size_t)dims[i];
    return tensor(e, name ? name : constant_name(e), ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, values,
                  count * sizeof *values, dims, dim_count);
}

const char *fw_onnx_scalar(fw_onnx *e, float value) {
    return fw_onnx_floats(e, NULL, &value, NULL, 0);
}

/* ---- the model ---- */

static Onnx__TypeProto *type_of(fw_onnx *e, const fw_nn_value_info *info) {
    Onnx__TypeProto *type = fw_onnx_new(e, sizeof *type);
    Onnx__TypeProto__Tensor *t = fw_onnx_new(e, sizeof *t);
    Onnx__TensorShapeProto *shape = fw_onnx_new(e, sizeof *shape);
    uint32_t lead = info->batched ? 1 : 0, count = info->shape.dims + lead;
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(t);
    onnx__tensor_shape_proto__init(shape);
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = t;
    t->has_elem_type = 1;
    t->elem_type = info->dtype == FW_NN_I32 ? ONNX__TENSOR_PROTO__DATA_TYPE__INT32
                                            : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    t->shape = shape;
    shape->dim = fw_onnx_new(e, (count + 1) * sizeof *shape->dim);
    shape->n_dim = count;
    for (uint32_t i = 0; i < count && e->status == FW_OK; i++) {
        Onnx__TensorShapeProto__Dimension *d = fw_onnx_new(e, sizeof *d);
        onnx__tensor_shape_proto__dimension__init(d);
        if (i < lead) {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            d->dim_param = (char *)(uintptr_t)"N";
        } else {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            d->dim_value = info->shape.d[i - lead];
        }
        if (e->status == FW_OK) shape->dim[i] = d;
    }
    return type;
}

static Onnx__ValueInfoProto *value_info(fw_onnx *e, const char *name,
                                        const fw_nn_value_info *info) {
    Onnx__ValueInfoProto *v = fw_onnx_new(e, sizeof *v);
    Onnx__TypeProto *type = type_of(e, info);
    onnx__value_info_proto__init(v);
    v->name = (char *)(uintptr_t)name;
    v->type = type;
    return v;
}

/* Inputs and parameters by their names. */
static void write_values(fw_onnx *e, Onnx__GraphProto *out) {
    const fw_nn_graph *g = e->model->graph;
    out->input = fw_onnx_new(e, (g->value_count + 1) * sizeof *out->input);
    for (uint32_t i = 0; i < g->value_count && e->status == FW_OK; i++) {
        const fw_nn_value_info *info = &g->values[i];
        int64_t dims[FW_NN_DIMS_MAX];
        if (info->kind == FW_NN_MADE) continue;
        e->names[i] = info->name;
        for (uint32_t d = 0; d < info->shape.dims; d++) dims[d] = info->shape.d[d];
        if (info->kind == FW_NN_PARAMETER)
            (void)fw_onnx_floats(e, info->name, e->model->params + e->model->layout.offsets[i], dims,
                                 info->shape.dims);
        else {
            Onnx__ValueInfoProto *v = value_info(e, info->name, info);
            if (e->status == FW_OK) out->input[out->n_input++] = v;
        }
    }
}

static void write_outputs(fw_onnx *e, Onnx__GraphProto *out) {
    const fw_nn_graph *g = e->model->graph;
    out->output = fw_onnx_new(e, (g->output_count + 1) * sizeof *out->output);
    for (uint32_t i = 0; i < g->output_count && e->status == FW_OK; i++) {
        Onnx__NodeProto *node = NULL;
        const fw_nn_value_info *info = &g->values[g->outputs[i].value];
        if (!e->names[g->outputs[i].value]) {
            e->node = &g->nodes[info->node];
            fw_onnx_refuse(e, "an output has no counterpart in ONNX");
            return;
        }
        e->node = NULL;
        e->made = i;
        (void)FW_ONNX_WITH(e, &node, "Identity", e->names[g->outputs[i].value]);
        Onnx__ValueInfoProto *v = value_info(e, g->outputs[i].name, info);
        if (e->status != FW_OK) return;
        node->output[0] = (char *)(uintptr_t)g->outputs[i].name;
        out->output[out->n_output++] = v;
    }
}

static Onnx__StringStringEntryProto *entry(fw_onnx *e, const char *key, const char *value) {
    Onnx__StringStringEntryProto *p = fw_onnx_new(e, sizeof *p);
    onnx__string_string_entry_proto__init(p);
    p->key = (char *)(uintptr_t)key;
    p->value = copied(e, value, strlen(value) + 1);
    return p;
}

/* The graph, and the model's words in the order of their keys. */
static void write_metadata(fw_onnx *e, Onnx__ModelProto *model) {
    const char *key;
    json_t *json = NULL, *value, *sorted = NULL;
    size_t words = json_object_size(e->model->words);
    model->metadata_props = fw_onnx_new(e, (words + 2) * sizeof *model->metadata_props);
    if (e->status != FW_OK) return;
    e->status = fw_nn_graph_to_json(e->model->graph, false, &json, &e->error);
    if (e->status != FW_OK) return;
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(json);
    if (!text) {
        e->status = fw_fail(&e->error, FW_NO_MEMORY, "no memory for an ONNX model");
        return;
    }
    model->metadata_props[model->n_metadata_props++] = entry(e, FW_NN_MODEL_KEY, text);
    free(text);
    text = words ? json_dumps(e->model->words, JSON_SORT_KEYS) : NULL;
    sorted = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    json_object_foreach(sorted, key, value) {
        Onnx__StringStringEntryProto *p = entry(
            e, fw_onnx_text(e, "%s", key), json_string_value(value));
        if (e->status == FW_OK) model->metadata_props[model->n_metadata_props++] = p;
    }
    json_decref(sorted);
}

static void finish(fw_onnx *e, Onnx__ModelProto *model, Onnx__GraphProto *graph) {
    Onnx__OperatorSetIdProto *opset = fw_onnx_new(e, sizeof *opset);
    onnx__operator_set_id_proto__init(opset);
    opset->domain = (char *)(uintptr_t)"";
    opset->has_version = 1;
    opset->version = FW_ONNX_OPSET;
    model->has_ir_version = 1;
    model->ir_version = FW_ONNX_IR;
    model->producer_name = (char *)(uintptr_t)"flywheel";
    model->opset_import = fw_onnx_new(e, sizeof *model->opset_import);
    if (e->status == FW_OK) model->opset_import[0] = opset;
    model->n_opset_import = 1;
    model->graph = graph;
    graph->name = (char *)(uintptr_t)"flywheel";
    graph->node = (Onnx__NodeProto **)e->nodes;
    graph->n_node = e->node_count;
    graph->initializer = (Onnx__TensorProto **)e->tensors;
    graph->n_initializer = e->tensor_count;
}

fw_status fw_onnx_pack(fw_onnx *e, char **bytes, size_t *size_bytes, fw_error *error) {
    const fw_nn_graph *g = e->model->graph;
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    e->names = fw_onnx_new(e, (g->value_count + 1) * sizeof *e->names);
    write_values(e, &graph);
    for (uint32_t i = 0; i < g->node_count && e->status == FW_OK; i++) {
        e->node = &g->nodes[i];
        e->made = 0;
        fw_onnx_write_node(e);
    }
    write_outputs(e, &graph);
    write_metadata(e, &model);
    finish(e, &model, &graph);
    if (e->status != FW_OK) return fw_fail(error, e->status, "%s", e->error.text);
    size_t size = onnx__model_proto__get_packed_size(&model);
    if (size > FW_ONNX_FILE_MAX)
        return fw_fail(error, FW_TOO_BIG, "an ONNX file holds at most 2 GiB, this model has more");
    char *packed = malloc(size + 1);
    if (!packed) return fw_fail(error, FW_NO_MEMORY, "no memory for an ONNX model");
    *size_bytes = onnx__model_proto__pack(&model, (uint8_t *)packed);
    *bytes = packed;
    return FW_OK;
}

fw_status fw_onnx_export(const fw_nn_model *model, char **bytes, size_t *size_bytes,
                         fw_error *error) {
    fw_onnx e = {.model = model};
    fw_status status = fw_onnx_pack(&e, bytes, size_bytes, error);
    fw_onnx_free(&e);
    return status;
}
