#include "lines/driving/act/policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "lines/driving/act/features.h"
#include "nn/run/safetensors.h"

static const float constant_mps = 8.0f; /* generation 0's speed, below the limit where lower */

static fw_status copy_weights(const fw_safetensors *file, const char *name, float *to, uint64_t count,
                              fw_error *error) {
    const fw_tensor *tensor = fw_safetensors_find(file, name, count);
    if (!tensor)
        return fw_fail(error, FW_CORRUPT, "model: tensor %s with %llu numbers is missing", name,
                       (unsigned long long)count);
    memcpy(to, tensor->data, count * sizeof *to);
    for (uint64_t i = 0; i < count; i++)
        if (!isfinite(to[i])) return fw_fail(error, FW_CORRUPT, "model: %s is not finite", name);
    return FW_OK;
}

static fw_status load_network(const fw_safetensors *file, fw_mlp *net, fw_error *error) {
    const char *version = json_string_value(json_object_get(file->metadata, "features_version"));
    if (!version || atoi(version) != FW_FEATURES_VERSION)
        return fw_fail(error, FW_UNSUPPORTED, "model: features version %s, this program has %d",
                       version ? version : "missing", FW_FEATURES_VERSION);
    const fw_tensor *first = fw_safetensors_find(file, "w0", 0);
    if (!first || first->dims != 2 || first->shape[0] != FW_FEATURES || first->shape[1] == 0 ||
        first->shape[1] > FW_MLP_HIDDEN_MAX)
        return fw_fail(error, FW_CORRUPT, "model: w0 must be %d x (1..%d)", FW_FEATURES,
                       FW_MLP_HIDDEN_MAX);
    uint32_t h = (uint32_t)first->shape[1];
    net->in = FW_FEATURES;
    net->hidden = h;
    net->out = FW_OUTPUTS;
    FW_TRY(copy_weights(file, "w0", net->w0, (uint64_t)FW_FEATURES * h, error));
    FW_TRY(copy_weights(file, "b0", net->b0, h, error));
    FW_TRY(copy_weights(file, "w1", net->w1, (uint64_t)h * h, error));
    FW_TRY(copy_weights(file, "b1", net->b1, h, error));
    FW_TRY(copy_weights(file, "w2", net->w2, (uint64_t)h * FW_OUTPUTS, error));
    return copy_weights(file, "b2", net->b2, FW_OUTPUTS, error);
}

static fw_status load_parsed(const fw_safetensors *file, fw_policy *out, fw_error *error) {
    const char *kind = json_string_value(json_object_get(file->metadata, "policy"));
    if (kind && strcmp(kind, "constant") == 0) {
        out->kind = FW_POLICY_CONSTANT;
        return FW_OK;
    }
    if (kind && strcmp(kind, "idm") == 0) {
        out->kind = FW_POLICY_IDM;
        return FW_OK;
    }
    if (!kind || strcmp(kind, "network") != 0)
        return fw_fail(error, FW_UNSUPPORTED, "model: unknown policy %.40s", kind ? kind : "(none)");
    fw_mlp *net = malloc(sizeof *net);
    if (!net) return fw_fail(error, FW_NO_MEMORY, "no memory for a model");
    memset(net, 0, sizeof *net);
    fw_status status = load_network(file, net, error);
    if (status == FW_OK) {
        out->kind = FW_POLICY_NETWORK;
        out->network = *net;
    }
    free(net);
    return status;
}

fw_status fw_policy_load(const void *bytes, size_t size_bytes, fw_policy *out, fw_error *error) {
    if (size_bytes > FW_POLICY_FILE_MAX)
        return fw_fail(error, FW_TOO_BIG, "model of %zu bytes, the limit is %d", size_bytes,
                       FW_POLICY_FILE_MAX);
    fw_safetensors file;
    FW_TRY(fw_safetensors_read(bytes, size_bytes, &file, error));
    fw_status status = load_parsed(&file, out, error);
    if (status == FW_OK) status = fw_hash_bytes_try(bytes, size_bytes, &out->hash, error);
    fw_safetensors_clear(&file);
    return status;
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

static uint32_t best_of(const float *score, uint32_t count) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (score[i] > score[best]) best = i;
    return best;
}

void fw_policy_act(const fw_policy *policy, fw_policy_session *session, const fw_drive_obs *obs,
                   fw_drive_action *action) {
    fw_drive_view view;
    fw_drive_look(obs, &view);
    if (session->drive != obs->drive || session->set_speed_mps <= 0.0f) {
        session->drive = obs->drive;
        session->set_speed_mps = constant_mps;
    }
    action->curvature_pm = view.pursuit_pm;
    switch (policy->kind) {
    case FW_POLICY_CONSTANT: {
        float limit = view.limit_mps[0] > 0.5f ? view.limit_mps[0] : constant_mps;
        float gap = fminf(session->set_speed_mps, limit) - obs->speed_mps;
        action->accel_mps2 = fmaxf(-2.0f, fminf(2.0f, gap / FW_DRIVE_TICK_S));
        break;
    }
    case FW_POLICY_IDM: action->accel_mps2 = fw_idm_accel(obs, &view); break;
    case FW_POLICY_NETWORK: {
        float features[FW_FEATURES], scores[FW_OUTPUTS];
        fw_drive_features(obs, &view, features);
        fw_mlp_run(&policy->network, &session->network, features, scores);
        *action = fw_drive_choice(&view, best_of(scores, FW_ACCELS),
                                  best_of(scores + FW_ACCELS, FW_STEERS));
        break;
    }
    }
}
