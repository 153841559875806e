#include "lines/driving/act/policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "lines/driving/act/features.h"
#include "lines/driving/act/flattened.h"
#include "nn/run/cost.h"
#include "nn/run/cpu/fast.h"
#include "nn/run/memory.h"
#include "nn/run/safetensors.h"

static const float constant_mps = 8.0f; /* generation 0's speed, below the limit where lower */

/* ---- a network made ready ---- */

static fw_status check_cost(const fw_nn_model *model, fw_error *error) {
    const fw_nn_graph *graph = model->graph;
    size_t flat_bytes = fw_policy_flat_bytes(graph, model->layout.floats);
    double flops = 0;
    if (graph->node_count > FW_POLICY_NODES_MAX)
        return fw_fail(error, FW_TOO_BIG, "network: %u nodes, at most %d drive", graph->node_count,
                       FW_POLICY_NODES_MAX);
    if (flat_bytes > FW_POLICY_FLAT_MAX)
        return fw_fail(error, FW_TOO_BIG, "network: %zu bytes of graph and parameters, a unit has %d",
                       flat_bytes, FW_POLICY_FLAT_MAX);
    for (uint32_t i = 0; i < graph->node_count; i++)
        flops += fw_nn_cost_of(graph, &graph->nodes[i], 1).flops;
    if (flops > FW_POLICY_FLOPS_MAX)
        return fw_fail(error, FW_TOO_BIG, "network: %.0f operations a decision, at most %d are in time",
                       flops, FW_POLICY_FLOPS_MAX);
    return FW_OK;
}

static fw_status make_plan(fw_policy *policy, fw_error *error) {
    const fw_nn_plan_options options = {.rows = 1, .backends = fw_nn_backends_run, .pack = true};
    FW_TRY(fw_nn_plan_make(policy->model.graph, &options, &policy->plan, error));
    if (fw_nn_plan_arena_bytes(policy->plan) > FW_POLICY_ARENA_MAX)
        return fw_fail(error, FW_TOO_BIG, "network: %zu bytes of values a decision, at most %d",
                       fw_nn_plan_arena_bytes(policy->plan), FW_POLICY_ARENA_MAX);
    policy->packed = fw_nn_zeros(fw_nn_plan_packed_bytes(policy->plan));
    if (!policy->packed) return fw_fail(error, FW_NO_MEMORY, "no memory for a network");
    fw_nn_plan_pack(policy->plan, policy->model.params, policy->packed);
    return FW_OK;
}

fw_status fw_policy_of_model(const fw_nn_model *model, fw_policy *out, fw_error *error) {
    fw_policy policy = {.kind = FW_POLICY_NETWORK, .model = *model};
    FW_TRY(fw_drive_ends_of(model->graph, &policy.ends, error));
    FW_TRY(check_cost(model, error));
    fw_status status = make_plan(&policy, error);
    if (status == FW_OK) {
        *out = policy;
    } else {
        policy.model = (fw_nn_model){0}; /* still the caller's */
        fw_policy_clear(&policy);
    }
    return status;
}

void fw_policy_clear(fw_policy *policy) {
    fw_nn_plan_free(policy->plan);
    free(policy->packed);
    fw_nn_model_clear(&policy->model);
    memset(policy, 0, sizeof *policy);
}

/* ---- files ---- */

static fw_status kind_of(const void *bytes, size_t size_bytes, fw_policy_kind *out,
                         fw_error *error) {
    fw_safetensors file;
    FW_TRY(fw_safetensors_read(bytes, size_bytes, &file, error));
    const char *kind = fw_safetensors_text(&file, "policy");
    fw_status status = FW_OK;
    if (kind && strcmp(kind, "constant") == 0) *out = FW_POLICY_CONSTANT;
    else if (kind && strcmp(kind, "idm") == 0) *out = FW_POLICY_IDM;
    else if (kind && strcmp(kind, "network") == 0) *out = FW_POLICY_NETWORK;
    else
        status = fw_fail(error, FW_UNSUPPORTED, "model: unknown policy %.40s", kind ? kind : "(none)");
    fw_safetensors_clear(&file);
    return status;
}

/* The model's own word for how uncertain is unusual; a file without it never is. */
static fw_status read_threshold(fw_policy *policy, fw_error *error) {
    const char *word = json_string_value(json_object_get(policy->model.words, "uncertainty_threshold"));
    char *end = NULL;
    if (!word) return FW_OK;
    float threshold = strtof(word, &end);
    if (end == word || *end || !(threshold >= 0 && threshold < 1e9f)) {
        fw_status status = fw_fail(error, FW_CORRUPT,
                                   "model: uncertainty_threshold is '%.40s', not a number of at least 0", word);
        fw_policy_clear(policy); /* the word is in it */
        return status;
    }
    policy->uncertainty_threshold = threshold;
    return FW_OK;
}

static fw_status load_network(const void *bytes, size_t size_bytes, fw_policy *out,
                              fw_error *error) {
    fw_nn_model model;
    FW_TRY(fw_drive_network_read(bytes, size_bytes, &model, error));
    fw_status status = fw_policy_of_model(&model, out, error);
    if (status != FW_OK) fw_nn_model_clear(&model);
    return status == FW_OK ? read_threshold(out, error) : status;
}

fw_status fw_policy_load(const void *bytes, size_t size_bytes, fw_policy *out, fw_error *error) {
    if (size_bytes > FW_POLICY_FILE_MAX)
        return fw_fail(error, FW_TOO_BIG, "model of %zu bytes, the limit is %d", size_bytes,
                       FW_POLICY_FILE_MAX);
    fw_policy policy = {0};
    FW_TRY(kind_of(bytes, size_bytes, &policy.kind, error));
    fw_hash hash;
    FW_TRY(fw_hash_bytes_try(bytes, size_bytes, &hash, error));
    if (policy.kind == FW_POLICY_NETWORK) FW_TRY(load_network(bytes, size_bytes, &policy, error));
    policy.hash = hash;
    *out = policy;
    return FW_OK;
}

fw_status fw_policy_load_file(const char *path, fw_policy *out, fw_error *error) {
    char *bytes;
    size_t size_bytes;
    FW_TRY(fw_file_read(path, FW_POLICY_FILE_MAX, &bytes, &size_bytes, error));
    fw_status status = fw_policy_load(bytes, size_bytes, out, error);
    free(bytes);
    return status;
}

fw_status fw_policy_rule_file(fw_policy_kind kind, char **bytes, size_t *size_bytes,
                              fw_error *error) {
    if (kind == FW_POLICY_NETWORK)
        return fw_fail(error, FW_INVALID, "a network is trained, not made as a rule");
    fw_safetensors file = {.metadata = json_pack("{s:s, s:s}", "line", "driving", "policy",
                                                 kind == FW_POLICY_IDM ? "idm" : "constant")};
    fw_status status = fw_safetensors_write(&file, bytes, size_bytes, error);
    fw_safetensors_clear(&file);
    return status;
}

/* ---- driving ---- */

fw_status fw_policy_session_open(const fw_policy *policy, fw_policy_session *out,
                                 fw_error *error) {
    fw_policy_session session = {0};
    if (policy->kind == FW_POLICY_NETWORK)
        FW_TRY(fw_nn_session_new(policy->plan, &session.network, error));
    *out = session;
    return FW_OK;
}

void fw_policy_session_close(fw_policy_session *session) {
    fw_nn_session_free(session->network);
    *session = (fw_policy_session){0};
}

/* How far the value heads are apart. */
static float spread_of(const float *value) {
    float mean = 0, square = 0;
    for (int i = 0; i < FW_VALUES; i++) mean += value[i] / FW_VALUES;
    for (int i = 0; i < FW_VALUES; i++) square += (value[i] - mean) * (value[i] - mean) / FW_VALUES;
    return sqrtf(square) * FW_DRIVE_VALUE_SCALE;
}

static fw_drive_action act_by_network(const fw_policy *policy, fw_policy_session *session,
                                      const fw_drive_scene *scene, const fw_drive_view *view) {
    float features[FW_FEATURES];
    FW_ASSERT(session->network);
    fw_drive_features(scene, view, features);
    fw_nn_session_run(session->network, &(fw_nn_run_args){.parameters = policy->model.params,
                                                          .packed = policy->packed,
                                                          .inputs = (const void *const[]){features},
                                                          .rows = 1});
    if (policy->ends.value != FW_NN_NONE)
        session->uncertainty = spread_of(fw_nn_session_value(session->network, policy->ends.value));
    return fw_drive_blend(view, fw_nn_session_value(session->network, policy->ends.accel),
                          fw_nn_session_value(session->network, policy->ends.steer));
}

static float hold_speed(const fw_drive_scene *scene, const fw_drive_view *view) {
    float limit = view->limit_mps[0] > 0.5f ? view->limit_mps[0] : constant_mps;
    float gap = fminf(constant_mps, limit) - scene->speed_mps;
    return fmaxf(-2.0f, fminf(2.0f, gap / FW_DRIVE_TICK_S));
}

void fw_policy_act_scene(const fw_policy *policy, fw_policy_session *session, const fw_drive_scene *scene,
                         const fw_drive_view *view, fw_drive_action *action) {
    action->curvature_pm = view->pursuit_pm;
    switch (policy->kind) {
    case FW_POLICY_CONSTANT: action->accel_mps2 = hold_speed(scene, view); break;
    case FW_POLICY_IDM: action->accel_mps2 = fw_idm_accel(scene, view); break;
    case FW_POLICY_NETWORK: *action = act_by_network(policy, session, scene, view); break;
    }
}

void fw_policy_act(const fw_policy *policy, fw_policy_session *session, const fw_drive_obs *obs,
                   fw_drive_action *action) {
    fw_drive_scene_room room;
    fw_drive_scene scene;
    fw_drive_view view;
    fw_drive_scene_of(obs, &room, &scene);
    fw_drive_look(&scene, &view);
    fw_policy_act_scene(policy, session, &scene, &view, action);
}
