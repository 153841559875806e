#include <stdio.h>

#include "factory/line.h"
#include "lines/driving/act/self_test.h"
#include "lines/driving/act/signals.h"
#include "lines/driving/learn/picture/again.h"
#include "lines/driving/learn/recording.h"

static fw_status check_recording(const char *path, fw_error *error) {
    fw_drive_recording *recording = NULL;
    FW_TRY(fw_drive_recording_read(path, &recording, error));
    fw_drive_recording_free(recording);
    return FW_OK;
}

static fw_status check_model(const char *path, char kind[FW_LINE_KIND_MAX], fw_error *error) {
    static const char *const names[] = {[FW_POLICY_CONSTANT] = "constant",
                                        [FW_POLICY_IDM] = "idm",
                                        [FW_POLICY_NETWORK] = "network"};
    fw_policy policy;
    FW_TRY(fw_policy_load_file(path, &policy, error));
    snprintf(kind, FW_LINE_KIND_MAX, "%s", names[policy.kind]);
    fw_policy_clear(&policy);
    return FW_OK;
}

static fw_status replay(const char *path, fw_line_tick tick, void *self, fw_error *error) {
    fw_drive_recording *recording = NULL;
    double signals[FW_DRIVE_SIGNAL_COUNT];
    FW_TRY(fw_drive_recording_read(path, &recording, error));
    for (uint32_t i = 0; i < recording->tick_count; i++) {
        const fw_drive_recorded_tick *t = &recording->ticks[i];
        fw_drive_decision decision = {.policy = t->policy, .action = t->action, .veto = t->veto,
                                      .uncertainty = t->uncertainty};
        fw_drive_signals_of(&t->obs, &decision, t->events, signals);
        if (!tick(self, signals, t->obs.time_ns)) break;
    }
    fw_drive_recording_free(recording);
    return FW_OK;
}

static fw_status drive_again(const fw_line_moment *moment, const char *const models[2], json_t **proof,
                             json_t **pictures, fw_error *error) {
    const fw_again what = {.recording = moment->recording, .models = {models[0], models[1]},
                           .time_ns = moment->time_ns, .kind = moment->kind};
    return fw_again_drive(&what, proof, pictures, error);
}

static fw_status self_test(const char *model_path, uint64_t seed, char **json, fw_error *error) {
    fw_policy policy;
    FW_TRY(fw_policy_load_file(model_path, &policy, error));
    fw_status status = fw_drive_self_test_make(&policy, seed, FW_DRIVE_SELF_TEST_FRAMES, json, error);
    fw_policy_clear(&policy);
    return status;
}

const fw_factory_line fw_line_driving = {.name = "driving",
                                         .check_recording = check_recording,
                                         .check_model = check_model,
                                         .signals = &fw_drive_signals,
                                         .replay = replay,
                                         .self_test = self_test,
                                         .drive_again = drive_again};
