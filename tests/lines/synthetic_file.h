/* The synthetic street as a unit records it. */
#ifndef FW_TESTS_SYNTHETIC_FILE_H
#define FW_TESTS_SYNTHETIC_FILE_H

#include <stdio.h>

#include "lines/driving/act/recorder.h"
#include "synthetic.h"

static inline fw_status synthetic_sink(void *self, const void *bytes, size_t size,
                                       fw_error *error) {
    (void)error;
    return fwrite(bytes, 1, size, self) == size ? FW_OK : FW_IO;
}

/* Thirty seconds behind a car that brakes at brake_at_s; one event. */
static inline void synthetic_file(const char *path, const char *unit, float brake_at_s) {
    fw_drive_recorder *recorder;
    fw_drive_recorded done;
    fw_error error = {""};
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fw_drive_recorder_open(&recorder, &error), FW_OK);
    assert_int_equal(
        fw_drive_recorder_begin(recorder, (fw_mcap_sink){file, synthetic_sink}, unit, &error),
        FW_OK);
    fw_drive_recording *r = synthetic_recording(300, brake_at_s);
    fw_drive_decision decision = {.model = fw_hash_bytes("m", 1)};
    double values[FW_DRIVE_EVENT_COUNT] = {-5, 0, 0, 0};
    for (uint32_t t = 0; t < r->tick_count; t++) {
        fw_drive_obs *o = &r->ticks[t].obs;
        uint32_t at = (uint32_t)(o->s_m / FW_DRIVE_GRID_M);
        o->path_first = at > 5 ? at - 5 : 0;
        o->path_count = FW_DRIVE_PATH_MAX;
        memcpy(o->path, r->path + o->path_first, sizeof o->path);
        uint32_t events = t == 50 ? 1u << FW_DRIVE_EVENT_HARD_BRAKE : 0;
        if (fw_drive_recorder_tick(recorder, o, &decision, events, values, &error) != FW_OK)
            fail_msg("%s", error.text);
    }
    assert_int_equal(fw_drive_recorder_end(recorder, &done, &error), FW_OK);
    fw_drive_recorder_close(recorder);
    fclose(file);
    free(r->ticks);
    free(r->path);
    free(r);
}

#endif
