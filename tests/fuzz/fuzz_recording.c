/* links: fw_driving_learn */
/* A driving recording from anywhere: any bytes give a recording that keeps its promises, or an error
 * with a reason. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lines/driving/learn/recording.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void check(const fw_drive_recording *r) {
    FW_ASSERT(r->tick_count >= 1 && r->tick_count <= FW_DRIVE_RECORDING_TICKS_MAX);
    FW_ASSERT(memchr(r->unit, 0, sizeof r->unit));
    for (uint32_t i = 0; i < r->tick_count; i++) {
        const fw_drive_obs *o = &r->ticks[i].obs;
        FW_ASSERT(o->user_count <= FW_DRIVE_USERS_MAX && o->path_count == 0);
        FW_ASSERT(o->conflict_count <= FW_DRIVE_CONFLICTS_MAX && o->light <= FW_DRIVE_LIGHT_RED);
        for (uint32_t c = 0; c < o->conflict_count; c++)
            FW_ASSERT(o->conflicts[c].user < o->user_count);
        FW_ASSERT(i == 0 || o->tick > r->ticks[i - 1].obs.tick);
    }
    volatile float last = r->path_count > 0 ? r->path[r->path_count - 1].x_m : 0;
    (void)last;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    fw_drive_recording *recording = NULL;
    fw_error error = {""};
    if (fw_drive_recording_parse(bytes, size_bytes, &recording, &error) == FW_OK) {
        check(recording);
        fw_drive_recording_free(recording);
    } else {
        FW_ASSERT(recording == NULL && error.text[0]);
    }
    return 0;
}
