#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/onnx/onnx.h"
#include "nn/onnx/read.h"
#include "onnx.pb-c.h"

/* ---- tensors ---- */

static const char *name_of(const Onnx__TensorProto *t) {
    return t->name ? t->name : "";
}

fw_status fw_onnx_count(const Onnx__TensorProto *t, size_t *count, fw_error *error) {
    size_t product = 1;
    for (size_t i = 0; i < t->n_dims; i++)
        if (t->dims[i] < 0 || t->dims[i] > FW_NN_ELEMENTS_MAX ||
            __builtin_mul_overflow(product, (size_t)t->dims[i], &product) ||
            product > FW_NN_ELEMENTS_MAX)
            return fw_fail(error, FW_CORRUPT, "tensor %.60s has no valid shape", name_of(t));
    *count = product;
    return FW_OK;
}

static fw_status mismatch(const Onnx__TensorProto *t, fw_error *error) {
    return fw_fail(error, FW_CORRUPT, "tensor %.60s: its data are of another type or size than it says",
                   name_of(t));
}

fw_status fw_onnx_copy_floats(const Onnx__TensorProto *t, float *out, fw_error *error) {
    size_t count;
    FW_TRY(fw_onnx_count(t, &count, error));
    bool wide = t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
    size_t each = wide ? sizeof(double) : sizeof(float);
    if (!wide && t->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) return mismatch(t, error);
    if (t->has_raw_data ? t->raw_data.len != count * each
                        : (wide ? t->n_double_data : t->n_float_data) != count)
        return mismatch(t, error);
    const void *from = t->has_raw_data ? (const void *)t->raw_data.data
                       : wide          ? (const void *)t->double_data
                                       : (const void *)t->float_data;
    if (!wide && count > 0) memcpy(out, from, count * sizeof *out);
    for (size_t i = 0; wide && i < count; i++) {
        double number;
        memcpy(&number, (const char *)from + i * each, each);
        out[i] = (float)number;
    }
    return FW_OK;
}

/* Bytes of an integer type; 0: it is none that is read. */
static size_t whole_bytes(int32_t type) {
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64: return 8;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32: return 4;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL:
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8: return 1;
    default: return 0;
    }
}

fw_status fw_onnx_copy_ints(const Onnx__TensorProto *t, int64_t *out, fw_error *error) {
    size_t count, each = whole_bytes(t->data_type);
    FW_TRY(fw_onnx_count(t, &count, error));
    if (each == 0)
        return fw_fail(error, FW_UNSUPPORTED, "tensor %.60s: the element type %d is not read", name_of(t),
                       t->data_type);
    if (t->has_raw_data ? t->raw_data.len != count * each
                        : (each == 8 ? t->n_int64_data : t->n_int32_data) != count)
        return mismatch(t, error);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = t->has_raw_data ? t->raw_data.data + i * each : NULL;
        int32_t narrow = 0;
        if (!at) out[i] = each == 8 ? t->int64_data[i] : t->int32_data[i];
        else if (each == 8) memcpy(&out[i], at, each);
        else if (each == 4) memcpy(&narrow, at, each), out[i] = narrow;
        else out[i] = *at;
    }
    return FW_OK;
}

/* ---- our own exports ---- */

/* Parameters stand in an export in the order of the graph: one pass finds them. */
static fw_status own_params(const Onnx__GraphProto *g, fw_nn_model *model, fw_error *error) {
    size_t at = 0;
    FW_TRY(fw_nn_layout_make(model->graph, &model->layout, error));
    for (uint32_t i = 0; i < model->graph->value_count; i++) {
        const fw_nn_value_info *info = &model->graph->values[i];
        size_t count = 0;
        if (info->kind != FW_NN_PARAMETER) continue;
        while (at < g->n_initializer && strcmp(g->initializer[at]->name, info->name) != 0) at++;
        if (at == g->n_initializer) return fw_fail(error, FW_CORRUPT, "no tensor %s", info->name);
        FW_TRY(fw_onnx_count(g->initializer[at], &count, error));
        if (count != fw_nn_elements(info->shape))
            return fw_fail(error, FW_CORRUPT, "tensor %s has another size", info->name);
    }
    model->params = fw_nn_vector_new(model->layout.floats);
    if (!model->params) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    at = 0;
    for (uint32_t i = 0; i < model->graph->value_count; i++) {
        const fw_nn_value_info *info = &model->graph->values[i];
        if (info->kind != FW_NN_PARAMETER) continue;
        while (strcmp(g->initializer[at]->name, info->name) != 0) at++;
        float *to = model->params + model->layout.offsets[i];
        FW_TRY(fw_onnx_copy_floats(g->initializer[at], to, error));
        for (size_t n = 0; n < fw_nn_elements(info->shape); n++)
            if (!isfinite(to[n])) return fw_fail(error, FW_CORRUPT, "tensor %s is not finite", info->name);
    }
    return FW_OK;
}

/* The words beside the graph; they come last. */
static json_t *own_words(const Onnx__ModelProto *m) {
    json_t *words = m->n_metadata_props > 1 ? json_object() : NULL;
    for (size_t i = 0; i < m->n_metadata_props; i++)
        if (strcmp(m->metadata_props[i]->key, FW_NN_MODEL_KEY) != 0)
            json_object_set_new(words, m->metadata_props[i]->key,
                                json_string(m->metadata_props[i]->value));
    return words;
}

/* Reads the graph of the metadata, and takes it when it is exported to the same bytes. */
static fw_status read_own(const Onnx__ModelProto *m, const void *bytes, size_t size,
                          fw_nn_model *model, fw_error *error) {
    const char *text = NULL;
    char *again = NULL;
    size_t again_size = 0;
    for (size_t i = 0; i < m->n_metadata_props && !text; i++)
        if (strcmp(m->metadata_props[i]->key, FW_NN_MODEL_KEY) == 0)
            text = m->metadata_props[i]->value;
    if (!text) return fw_fail(error, FW_NOT_FOUND, "no export of ours");
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (!json) return fw_fail(error, FW_CORRUPT, "the network is not JSON");
    fw_status status = fw_nn_graph_from_json(json, &model->graph, error);
    json_decref(json);
    FW_TRY(status);
    FW_TRY(own_params(m->graph, model, error));
    model->words = own_words(m);
    FW_TRY(fw_onnx_export(model, &again, &again_size, error));
    bool same = again_size == size && memcmp(again, bytes, size) == 0;
    free(again);
    return same ? FW_OK : fw_fail(error, FW_MISMATCH, "its nodes are not those of its graph");
}

/* ---- files ---- */

/* Memory of one file: a small file cannot ask for much. */
typedef struct purse {
    size_t left;
} purse;
enum { PURSE_HEAD = 16, PURSE_SPARE = 128 << 20 };

static void *purse_alloc(void *self, size_t size) {
    purse *p = self;
    if (size > p->left || p->left - size < PURSE_HEAD) return NULL;
    char *block = malloc(size + PURSE_HEAD);
    if (!block) return NULL;
    p->left -= size + PURSE_HEAD;
    memcpy(block, &size, sizeof size);
    return block + PURSE_HEAD;
}

static void purse_free(void *self, void *at) {
    purse *p = self;
    size_t size;
    if (!at) return;
    char *block = (char *)at - PURSE_HEAD;
    memcpy(&size, block, sizeof size);
    p->left += size + PURSE_HEAD;
    free(block);
}

/* Strings of a proto2 message may be missing; here they are read as "". */
static fw_status check_names(const Onnx__GraphProto *g, fw_error *error) {
    bool fine = g->n_node <= FW_ONNX_NODES_MAX && g->n_initializer <= FW_ONNX_NODES_MAX &&
                g->n_input <= FW_ONNX_NODES_MAX;
    if (!fine) return fw_fail(error, FW_TOO_BIG, "ONNX: over %d nodes, tensors or inputs", FW_ONNX_NODES_MAX);
    if (g->n_output > FW_NN_INPUTS_MAX)
        return fw_fail(error, FW_TOO_BIG, "ONNX: %zu outputs, %d at most are read", g->n_output, FW_NN_INPUTS_MAX);
    for (size_t i = 0; i < g->n_node && fine; i++) {
        fine = g->node[i]->op_type != NULL && g->node[i]->n_output > 0;
        for (size_t k = 0; fine && k < g->node[i]->n_attribute; k++)
            fine = g->node[i]->attribute[k]->name != NULL;
    }
    for (size_t i = 0; i < g->n_initializer; i++) fine &= g->initializer[i]->name != NULL;
    for (size_t i = 0; i < g->n_input; i++) fine &= g->input[i]->name != NULL;
    for (size_t i = 0; i < g->n_output; i++) fine &= g->output[i]->name != NULL;
    return fine ? FW_OK : fw_fail(error, FW_CORRUPT, "ONNX: something has no name, or a node no output");
}

static fw_status check_model(const Onnx__ModelProto *m, fw_error *error) {
    if (!m->graph) return fw_fail(error, FW_CORRUPT, "ONNX: there is no graph in it");
    for (size_t i = 0; i < m->n_metadata_props; i++)
        if (!m->metadata_props[i]->key || !m->metadata_props[i]->value)
            return fw_fail(error, FW_CORRUPT, "ONNX: metadata without key or value");
    for (size_t i = 0; i < m->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *set = m->opset_import[i];
        bool ours = !set->domain || !*set->domain || strcmp(set->domain, "ai.onnx") == 0;
        if (ours && (set->version < 13 || set->version > 22))
            return fw_fail(error, FW_UNSUPPORTED, "ONNX: operator set %lld, 13 to 22 are read",
                           (long long)set->version);
    }
    return check_names(m->graph, error);
}

static fw_status read_model(const Onnx__ModelProto *m, const void *bytes, size_t size,
                            fw_nn_model *out, fw_error *error) {
    fw_nn_model model = {0};
    FW_TRY(check_model(m, error));
    fw_status status = read_own(m, bytes, size, &model, error);
    if (status != FW_OK) {
        fw_nn_model_clear(&model);
        status = fw_onnx_read_graph(m->graph, 4 * size + PURSE_SPARE, &model, error);
    }
    if (status == FW_OK) *out = model;
    else fw_nn_model_clear(&model);
    return status;
}

fw_status fw_onnx_import(const void *bytes, size_t size_bytes, fw_nn_model *out,
                         fw_error *error) {
    if (size_bytes > FW_ONNX_FILE_MAX)
        return fw_fail(error, FW_TOO_BIG, "an ONNX file holds at most 2 GiB");
    FW_TRY(fw_onnx_guard(bytes, size_bytes, error));
    purse p = {.left = 4 * size_bytes + PURSE_SPARE};
    ProtobufCAllocator allocator = {purse_alloc, purse_free, &p};
    Onnx__ModelProto *m = onnx__model_proto__unpack(&allocator, size_bytes, bytes);
    if (!m) return fw_fail(error, FW_CORRUPT, "ONNX: this is no ONNX file, or too big for its size");
    fw_status status = read_model(m, bytes, size_bytes, out, error);
    onnx__model_proto__free_unpacked(m, &allocator);
    return status;
}
