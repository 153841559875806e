#include <stdio.h>
#include <stdlib.h>

#include "factory/line.h"
#include "lines/driving/act/policy.h"
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
    fw_policy *policy = calloc(1, sizeof *policy); /* too large for a handler's stack */
    if (!policy) return fw_fail(error, FW_NO_MEMORY, "no memory to check a model");
    fw_status status = fw_policy_load_file(path, policy, error);
    if (status == FW_OK) snprintf(kind, FW_LINE_KIND_MAX, "%s", names[policy->kind]);
    free(policy);
    return status;
}

const fw_factory_line fw_line_driving = {"driving", check_recording, check_model};
