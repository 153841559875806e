#include "lines/driving/act/network.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "nn/run/layers.h"
#include "nn/run/safetensors.h"

/* ---- the graph ---- */

/* NAME.weight (out, in) and NAME.bias (out). */
static fw_nn_value dense(fw_nn_graph *g, const char *name, fw_nn_value x, uint32_t in, uint32_t out,
                         float scale) {
    char weight[FW_NN_NAME_MAX], bias[FW_NN_NAME_MAX];
    snprintf(weight, sizeof weight, "%.40s.weight", name);
    snprintf(bias, sizeof bias, "%.40s.bias", name);
    fw_nn_value inputs[3] = {
        x,
        fw_nn_parameter(g, weight, fw_nn_shape2(out, in), FW_NN_INIT_NORMAL,
                        scale / sqrtf((float)in)),
        fw_nn_parameter(g, bias, fw_nn_shape1(out), FW_NN_INIT_ZERO, 0)};
    return fw_nn_node_add(g, FW_NN_LINEAR, name, inputs, 3, (fw_nn_attr){0}, NULL);
}

static void head(fw_nn_graph *g, const char *name, fw_nn_value heads, uint32_t first,
                 uint32_t count) {
    fw_nn_output_add(g, name, fw_nn_slice(g, name, heads, 0, first, count));
}

/* What the road users come to, whatever their order. */
static fw_nn_value users_of(fw_nn_graph *g, fw_nn_value features) {
    fw_nn_value rows = fw_nn_slice(g, "rows", features, 0, FW_FEATURES_USERS_AT,
                                   FW_FEATURE_USERS * FW_FEATURE_EACH);
    fw_nn_value mask = fw_nn_slice(g, "mask", features, 0, FW_FEATURES_MASK_AT, FW_FEATURE_USERS);
    rows = fw_nn_reshape(g, "users", rows, fw_nn_shape2(FW_FEATURE_USERS, FW_FEATURE_EACH));
    rows = dense(g, "user", rows, FW_FEATURE_EACH, FW_DRIVE_USER_HIDDEN, 1);
    rows = fw_nn_apply(g, FW_NN_RELU, "user.relu", rows);
    return fw_nn_apply2(g, FW_NN_SET_MAX, "user.most", rows, mask);
}

fw_status fw_drive_network_graph(uint32_t hidden, fw_nn_graph **out, fw_error *error) {
    fw_nn_graph *g;
    if (hidden == 0 || hidden > FW_DRIVE_HIDDEN_MAX)
        return fw_fail(error, FW_INVALID, "a hidden layer has 1 to %d numbers", FW_DRIVE_HIDDEN_MAX);
    FW_TRY(fw_nn_graph_new(&g, error));
    fw_nn_value features = fw_nn_input(g, "features", FW_NN_F32, fw_nn_shape1(FW_FEATURES));
    const fw_nn_value parts[] = {fw_nn_slice(g, "ego", features, 0, 0, FW_FEATURES_EGO),
                                 users_of(g, features)};
    fw_nn_value x = fw_nn_concat(g, "state", parts, 2, 0);
    x = dense(g, "l0", x, FW_FEATURES_EGO + FW_DRIVE_USER_HIDDEN, hidden, 1);
    x = fw_nn_apply(g, FW_NN_TANH, "l0.tanh", x);
    x = fw_nn_apply(g, FW_NN_TANH, "l1.tanh", dense(g, "l1", x, hidden, hidden, 1));
    x = dense(g, "heads", x, hidden, FW_OUTPUTS, 0.01f);
    head(g, "accel", x, 0, FW_ACCELS);
    head(g, "steer", x, FW_ACCELS, FW_STEERS);
    head(g, "value", x, FW_VALUE_AT, FW_VALUES);
    fw_status status = fw_nn_graph_check(g, error);
    if (status == FW_OK) *out = g;
    else fw_nn_graph_free(g);
    return status;
}

/* ---- its ends ---- */

/* A named output of this many numbers an example; FW_NN_NONE: there is none. */
static fw_nn_value output_of(const fw_nn_graph *graph, const char *name, uint32_t count) {
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const fw_nn_value_info *info = &graph->values[graph->outputs[i].value];
        if (strcmp(graph->outputs[i].name, name) == 0 && info->batched &&
            info->dtype == FW_NN_F32 && fw_nn_shape_equal(info->shape, fw_nn_shape1(count)))
            return graph->outputs[i].value;
    }
    return FW_NN_NONE;
}

fw_status fw_drive_ends_of(const fw_nn_graph *graph, fw_drive_ends *out, fw_error *error) {
    fw_drive_ends ends = {.features = fw_nn_find(graph, "features"),
                          .accel = output_of(graph, "accel", FW_ACCELS),
                          .steer = output_of(graph, "steer", FW_STEERS),
                          .value = output_of(graph, "value", FW_VALUES)};
    uint32_t inputs = 0;
    for (uint32_t i = 0; i < graph->value_count; i++) inputs += graph->values[i].kind == FW_NN_INPUT;
    const fw_nn_value_info *x = ends.features == FW_NN_NONE ? NULL : &graph->values[ends.features];
    if (inputs != 1 || !x || x->kind != FW_NN_INPUT || x->dtype != FW_NN_F32 ||
        !fw_nn_shape_equal(x->shape, fw_nn_shape1(FW_FEATURES)))
        return fw_fail(error, FW_UNSUPPORTED, "network: its only input must be features (%d)",
                       FW_FEATURES);
    if (ends.accel == FW_NN_NONE || ends.steer == FW_NN_NONE)
        return fw_fail(error, FW_UNSUPPORTED, "network: it needs the outputs accel (%d) and steer (%d)",
                       FW_ACCELS, FW_STEERS);
    *out = ends;
    return FW_OK;
}

/* ---- its file ---- */

static fw_status check_version(const fw_safetensors *file, fw_error *error) {
    const char *version = fw_safetensors_text(file, "features_version");
    if (version && atoi(version) == FW_FEATURES_VERSION) return FW_OK;
    return fw_fail(error, FW_UNSUPPORTED,
                   "model: made for version %.20s of the features, this program has %d: train it anew",
                   version ? version : "(none)", FW_FEATURES_VERSION);
}

fw_status fw_drive_network_read(const void *bytes, size_t size_bytes, fw_nn_model *out,
                                fw_error *error) {
    fw_safetensors file;
    fw_nn_model model = {0};
    fw_drive_ends ends;
    FW_TRY(fw_safetensors_read(bytes, size_bytes, &file, error));
    fw_status status = check_version(&file, error);
    fw_safetensors_clear(&file);
    if (status == FW_OK) status = fw_nn_model_read(bytes, size_bytes, &model, error);
    if (status == FW_OK) status = fw_drive_ends_of(model.graph, &ends, error);
    if (status == FW_OK) *out = model;
    else fw_nn_model_clear(&model);
    return status;
}

/* The line's words; NULL: no memory. */
static json_t *words_of(const fw_drive_card *card) {
    char version[16], threshold[32], steps[24];
    snprintf(version, sizeof version, "%d", FW_FEATURES_VERSION);
    json_t *words = json_pack("{s:s, s:s, s:s}", "line", "driving", "policy", "network",
                              "features_version", version);
    if (!words || !card) return words;
    snprintf(threshold, sizeof threshold, "%.6g", card->uncertainty_threshold);
    snprintf(steps, sizeof steps, "%" PRIu64, card->agent_steps);
    if (json_object_set_new(words, "uncertainty_threshold", json_string(threshold)) == 0 &&
        json_object_set_new(words, "agent_steps", json_string(steps)) == 0)
        return words;
    json_decref(words);
    return NULL;
}

fw_status fw_drive_network_save(const fw_nn_graph *graph, const float *params, const fw_drive_card *card,
                                const char *path, fw_hash *hash, fw_error *error) {
    char *bytes = NULL;
    size_t size_bytes = 0;
    fw_hash made;
    json_t *words = words_of(card);
    if (!words) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    fw_status status = fw_nn_model_write(graph, params, words, &bytes, &size_bytes, error);
    json_decref(words);
    FW_TRY(status);
    status = fw_hash_bytes_try(bytes, size_bytes, &made, error);
    if (status == FW_OK)
        status = fw_file_write_durable(fw_env_real(), path, bytes, size_bytes, error);
    free(bytes);
    if (status == FW_OK && hash) *hash = made;
    return status;
}
