/* links: fw_driving_act */
/* An observation from the bus: what decodes must survive the whole tick: encode, events, JSON. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lines/driving/act/channels.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    static fw_drive_obs obs, again;
    static uint8_t wire[FW_DRIVE_OBS_WIRE_MAX];
    static char text[FW_DRIVE_MESSAGE_MAX];
    fw_error error = {""};
    if (fw_drive_obs_decode(bytes, size_bytes, &obs, &error) != FW_OK) {
        FW_ASSERT(error.text[0]);
        return 0;
    }
    FW_ASSERT(fw_drive_obs_encode(&obs, wire) == size_bytes);
    FW_ASSERT(memcmp(wire, bytes, size_bytes) == 0);
    FW_ASSERT(fw_drive_obs_decode(wire, size_bytes, &again, &error) == FW_OK);
    fw_drive_decision decision = {.veto = FW_GUARD_NONE};
    fw_drive_writer writer = {0};
    fw_drive_event_state events = {0};
    double values[FW_DRIVE_EVENT_COUNT];
    uint32_t begun = fw_drive_events(&events, &obs, &decision, values);
    for (int i = 0; i < FW_DRIVE_CHANNEL_EVENT; i++)
        FW_ASSERT(fw_drive_write(&writer, (fw_drive_channel)i, &obs, &decision, text, sizeof text) <
                  sizeof text);
    for (int i = 0; i < FW_DRIVE_EVENT_COUNT; i++)
        if (begun & 1u << i)
            FW_ASSERT(fw_drive_write_event((fw_drive_event)i, &obs, values[i], text, sizeof text));
    return 0;
}
