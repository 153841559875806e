/* experiment_copycat.c - a driver that repeats what it is doing, and how near to a log a driver is; see
 * experiment_drill.h */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/experiment_drill.h"
#include "lines/driving/act/policy.h"

/* ---- the copycat ---- */

/* It reads one number, the acceleration as last carried out (features.h); through two tanh, kept in their straight
 * part, it comes to the heads as acceleration * SLOPE. */
enum { ACCEL_FEATURE = 3 };
#define FEATURE_PER_MPS2 0.25f
#define GAIN 0.1f
#define SLOPE (FEATURE_PER_MPS2 * GAIN)
#define SPREAD_M2PS4 0.25f

static float *parameter(const fw_nn_graph *graph, const fw_nn_layout *layout, float *params, const char *name) {
    const fw_nn_value value = fw_nn_find(graph, name);
    FW_ASSERT(value != FW_NN_NONE);
    return params + layout->offsets[value];
}

/* A choice's score is -(choice - acceleration)^2 / SPREAD, less what all choices have in common; and no shift. */
static void set_weights(const fw_nn_graph *graph, const fw_nn_layout *layout, float *params) {
    float *weight = parameter(graph, layout, params, "heads.weight");
    float *bias = parameter(graph, layout, params, "heads.bias");
    parameter(graph, layout, params, "l0.weight")[ACCEL_FEATURE] = GAIN;
    parameter(graph, layout, params, "l1.weight")[0] = 1;
    for (uint32_t i = 0; i < FW_ACCELS; i++) {
        const float choice = fw_drive_accels_mps2[i];
        weight[i * FW_DRIVE_HIDDEN] = 2 * choice / (SLOPE * SPREAD_M2PS4);
        bias[i] = -choice * choice / SPREAD_M2PS4;
    }
    for (uint32_t i = 0; i < FW_STEERS; i++) bias[FW_ACCELS + i] = i == FW_STEERS / 2 ? 0 : -30;
}

fw_status fw_experiment_copycat(const char *path, fw_error *error) {
    fw_nn_graph *graph = NULL;
    fw_nn_layout layout = {0};
    FW_TRY(fw_drive_network_graph(FW_DRIVE_HIDDEN, &graph, error));
    fw_status status = fw_nn_layout_make(graph, &layout, error);
    float *params = status == FW_OK ? calloc(layout.floats, sizeof *params) : NULL;
    if (status == FW_OK && !params) status = fw_fail(error, FW_NO_MEMORY, "no memory for a network");
    if (status == FW_OK) {
        set_weights(graph, &layout, params);
        status = fw_drive_network_save(graph, params, NULL, path, NULL, error);
    }
    free(params);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(graph);
    return status;
}

/* ---- the offline figure ---- */

static void add_recording(const fw_drive_recording *r, const fw_policy *policy, fw_policy_session *session,
                          fw_drive_obs *obs, fw_experiment_offline *sum) {
    for (uint32_t i = 0; i < r->tick_count; i++) {
        const fw_drive_recorded_tick *t = &r->ticks[i];
        fw_drive_action action;
        *obs = t->obs;
        if (r->path_count > 0) fw_experiment_give_path(r, obs);
        fw_policy_act(policy, session, obs, &action);
        sum->ticks++;
        sum->error_mps2 += fabs((double)action.accel_mps2 - (double)t->policy.accel_mps2);
    }
}

static fw_status add_all(const fw_policy *policy, const char *const *recordings, uint32_t count,
                         fw_experiment_offline *sum, fw_error *error) {
    fw_policy_session session;
    fw_drive_obs *obs = calloc(1, sizeof *obs);
    if (obs == NULL) return fw_fail(error, FW_NO_MEMORY, "no memory for an observation");
    fw_status status = fw_policy_session_open(policy, &session, error);
    const bool open = status == FW_OK;
    for (uint32_t i = 0; i < count && status == FW_OK; i++) {
        fw_drive_recording *recording = NULL;
        status = fw_drive_recording_read(recordings[i], &recording, error);
        if (status != FW_OK) break;
        add_recording(recording, policy, &session, obs, sum);
        fw_drive_recording_free(recording);
    }
    if (open) fw_policy_session_close(&session);
    free(obs);
    return status;
}

fw_status fw_experiment_offline_of(const char *model_path, const char *const *recordings, uint32_t count,
                                   fw_experiment_offline *out, fw_error *error) {
    fw_policy policy;
    fw_experiment_offline sum = {0};
    FW_TRY(fw_policy_load_file(model_path, &policy, error));
    fw_status status = add_all(&policy, recordings, count, &sum, error);
    fw_policy_clear(&policy);
    if (status == FW_OK && sum.ticks == 0) status = fw_fail(error, FW_INVALID, "nothing was recorded to compare with");
    if (status != FW_OK) return status;
    sum.error_mps2 /= (double)sum.ticks;
    *out = sum;
    return FW_OK;
}
