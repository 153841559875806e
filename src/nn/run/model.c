#include "nn/run/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "nn/run/safetensors.h"

float *fw_nn_vector_new(size_t floats) {
    if (floats > SIZE_MAX / sizeof(float) - FW_NN_ALIGN_BYTES) return NULL;
    size_t bytes = (floats * sizeof(float) / FW_NN_ALIGN_BYTES + 1) * FW_NN_ALIGN_BYTES;
    float *vector = aligned_alloc(FW_NN_ALIGN_BYTES, bytes);
    if (vector) memset(vector, 0, bytes);
    return vector;
}

void fw_nn_model_clear(fw_nn_model *model) {
    fw_nn_graph_free(model->graph);
    fw_nn_layout_clear(&model->layout);
    free(model->params);
    json_decref(model->words);
    free(model->ranges);
    *model = (fw_nn_model){0};
}

static bool all_finite(const float *values, size_t count) {
    bool finite = true;
    for (size_t i = 0; i < count; i++) finite &= isfinite(values[i]) != 0;
    return finite;
}

/* ---- writing ---- */

/* The graph's text among the words. */
static fw_status metadata_of(const json_t *graph, const json_t *words, json_t **out,
                             fw_error *error) {
    char *text = json_dumps(graph, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    json_t *metadata = words ? json_copy((json_t *)words) : json_object();
    int failed = json_object_set_new(metadata, FW_NN_MODEL_KEY, json_string(text));
    free(text);
    if (!failed) *out = metadata;
    else json_decref(metadata);
    return failed ? fw_fail(error, FW_NO_MEMORY, "no memory for a model's graph") : FW_OK;
}

/* The parameters that stand in the graph's JSON, in their order. */
static fw_status tensors_of(const fw_nn_graph *graph, const json_t *json, const float *params,
                            fw_tensor *tensors, fw_error *error) {
    const json_t *list = json_object_get(json, "parameters");
    fw_nn_layout layout = {0};
    fw_status status = fw_nn_layout_make(graph, &layout, error);
    for (size_t i = 0; i < json_array_size(list) && status == FW_OK; i++) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "name"));
        fw_nn_value value = fw_nn_find(graph, name);
        const fw_nn_value_info *info = &graph->values[value];
        tensors[i] = (fw_tensor){.dims = info->shape.dims, .data = params + layout.offsets[value]};
        memcpy(tensors[i].name, info->name, sizeof info->name);
        for (uint32_t d = 0; d < info->shape.dims; d++) tensors[i].shape[d] = info->shape.d[d];
        if (!all_finite(params + layout.offsets[value], fw_nn_elements(info->shape)))
            status = fw_fail(error, FW_INVALID, "parameter %s is not finite", name);
    }
    fw_nn_layout_clear(&layout);
    return status;
}

fw_status fw_nn_model_write(const fw_nn_graph *graph, const float *params, const json_t *words,
                            char **bytes, size_t *size_bytes, fw_error *error) {
    json_t *json = NULL;
    fw_safetensors file = {0};
    FW_TRY(fw_nn_graph_to_json(graph, false, &json, error));
    file.count = (uint32_t)json_array_size(json_object_get(json, "parameters"));
    file.tensors = calloc(file.count + 1, sizeof *file.tensors);
    fw_status status = FW_OK;
    if (!file.tensors) status = fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    if (status == FW_OK) status = tensors_of(graph, json, params, file.tensors, error);
    if (status == FW_OK) status = metadata_of(json, words, &file.metadata, error);
    if (status == FW_OK) status = fw_safetensors_write(&file, bytes, size_bytes, error);
    free(file.tensors);
    fw_safetensors_clear(&file);
    json_decref(json);
    return status;
}

fw_status fw_nn_model_save(const fw_nn_graph *graph, const float *params, const json_t *words,
                           const char *path, fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    FW_TRY(fw_nn_model_write(graph, params, words, &bytes, &size, error));
    fw_status status = fw_file_write_durable(fw_env_real(), path, bytes, size, error);
    free(bytes);
    return status;
}

/* ---- reading ---- */

/* Every parameter has its tensor, of its shape, and there are no others. */
static fw_status check_tensors(const fw_nn_graph *graph, const fw_safetensors *file,
                               fw_error *error) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < graph->value_count; i++) {
        const fw_nn_value_info *info = &graph->values[i];
        if (info->kind != FW_NN_PARAMETER) continue;
        const fw_tensor *tensor = fw_safetensors_find(file, info->name, 0);
        bool fits = tensor && tensor->dims == info->shape.dims;
        for (uint32_t d = 0; fits && d < tensor->dims; d++)
            fits = tensor->shape[d] == info->shape.d[d];
        if (!fits)
            return fw_fail(error, FW_CORRUPT, "parameter %s: no tensor of its shape and name",
                           info->name);
        count++;
    }
    if (count != file->count)
        return fw_fail(error, FW_CORRUPT, "%u tensors for %u parameters", file->count, count);
    return FW_OK;
}

static fw_status copy_params(const fw_safetensors *file, fw_nn_model *model, fw_error *error) {
    model->params = fw_nn_vector_new(model->layout.floats);
    if (!model->params)
        return fw_fail(error, FW_NO_MEMORY, "no memory for %zu parameters", model->layout.floats);
    for (uint32_t i = 0; i < model->graph->value_count; i++) {
        const fw_nn_value_info *info = &model->graph->values[i];
        if (info->kind != FW_NN_PARAMETER) continue;
        size_t count = fw_nn_elements(info->shape);
        float *to = model->params + model->layout.offsets[i];
        memcpy(to, fw_safetensors_find(file, info->name, 0)->data, count * sizeof *to);
        if (!all_finite(to, count))
            return fw_fail(error, FW_CORRUPT, "parameter %s is not finite", info->name);
    }
    return FW_OK;
}

static fw_status read_file(fw_safetensors *file, fw_nn_model *model, fw_error *error) {
    const char *text = fw_safetensors_text(file, FW_NN_MODEL_KEY);
    if (!text)
        return fw_fail(error, FW_CORRUPT, "no network: the metadata has no " FW_NN_MODEL_KEY);
    json_error_t problem;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
    if (!json) return fw_fail(error, FW_CORRUPT, "the network is not JSON: %.120s", problem.text);
    fw_status status = fw_nn_graph_from_json(json, &model->graph, error);
    json_decref(json);
    FW_TRY(status);
    FW_TRY(check_tensors(model->graph, file, error));
    FW_TRY(fw_nn_layout_make(model->graph, &model->layout, error));
    FW_TRY(copy_params(file, model, error));
    const char *ranges = fw_safetensors_text(file, FW_NN_RANGES_KEY);
    if (ranges) FW_TRY(fw_nn_ranges_read(model->graph, ranges, &model->ranges, error));
    json_object_del(file->metadata, FW_NN_MODEL_KEY);
    if (json_object_size(file->metadata) > 0) model->words = json_incref(file->metadata);
    return FW_OK;
}

fw_status fw_nn_model_read(const void *bytes, size_t size_bytes, fw_nn_model *out,
                           fw_error *error) {
    fw_safetensors file;
    fw_nn_model model = {0};
    FW_TRY(fw_safetensors_read(bytes, size_bytes, &file, error));
    fw_status status = read_file(&file, &model, error);
    fw_safetensors_clear(&file);
    if (status == FW_OK) *out = model;
    else fw_nn_model_clear(&model);
    return status;
}

fw_status fw_nn_model_load(const char *path, fw_nn_model *out, fw_error *error) {
    char *bytes = NULL;
    size_t size = 0;
    FW_TRY(fw_file_read(path, FW_NN_MODEL_FILE_MAX, &bytes, &size, error));
    fw_error why = {""};
    fw_status status = fw_nn_model_read(bytes, size, out, &why);
    free(bytes);
    return status == FW_OK ? FW_OK : fw_fail(error, status, "%s: %s", path, why.text);
}
