/* links: fw_driving_act */
/* Any bytes as a driving model: refused with a reason; or a policy that answers, and that comes through
 * the unit's slot the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lines/driving/act/flattened.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

enum { ROOM = 1 << 20 };

static fw_drive_action decide(const fw_policy *policy) {
    static const fw_drive_obs road = {
        .drive = 1, .speed_mps = 8, .length_m = 4.5f, .width_m = 1.8f, .s_m = 2,
        .route_left_m = 50, .path_count = 3,
        .path = {{0, 0, 3.2f, 13.9f}, {2, 0, 3.2f, 13.9f}, {4, 0, 3.2f, 13.9f}},
    };
    fw_policy_session session;
    fw_drive_action action;
    memset(&action, 0, sizeof action);
    FW_ASSERT(fw_policy_session_open(policy, &session, NULL) == FW_OK);
    fw_policy_act(policy, &session, &road, &action);
    fw_policy_session_close(&session);
    return action;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    static uint8_t slot[ROOM];
    fw_policy policy, back;
    fw_error error = {""};
    size_t slot_bytes = 0;
    if (fw_policy_load(bytes, size_bytes, &policy, &error) != FW_OK) {
        FW_ASSERT(error.text[0]);
        return 0;
    }
    fw_drive_action action = decide(&policy);
    if (fw_policy_flatten(&policy, slot, ROOM, &slot_bytes, &error) == FW_OK) {
        FW_ASSERT(fw_policy_unflatten(slot, slot_bytes, &back, &error) == FW_OK);
        fw_drive_action same = decide(&back);
        FW_ASSERT(memcmp(&action, &same, sizeof action) == 0);
        fw_policy_clear(&back);
    }
    fw_policy_clear(&policy);
    return 0;
}
