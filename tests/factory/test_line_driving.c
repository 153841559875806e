/* A driving recording replayed gives campaigns the signals that the unit's ticks had. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "factory/line.h"
#include "lines/driving/act/recorder.h"
#include "lines/driving/act/signals.h"

enum { TICKS = 60, FILE_MAX = 1 << 20 };

typedef struct lived {
    double signals[TICKS][FW_DRIVE_SIGNAL_COUNT];
    int64_t times[TICKS];
    uint32_t count, stop_after;
} lived;

/* Along a straight road; a red light comes, a road user comes near, the car brakes hard. */
static void make_tick(uint32_t tick, fw_drive_obs *o, fw_drive_decision *d) {
    memset(o, 0, sizeof *o);
    o->drive = 1, o->tick = 500 + tick, o->time_ns = 50000000000LL + (int64_t)tick * 100000000;
    o->s_m = 10 + (float)tick * 0.5f, o->x_m = o->s_m, o->speed_mps = 5;
    o->accel_mps2 = tick < 40 ? 0.5f : -5, o->curvature_pm = 0.01f;
    o->length_m = 4.3f, o->width_m = 1.8f, o->rear_overhang_m = 0.86f;
    o->impact_mps2 = tick == 50 ? 31 : 0, o->route_left_m = 200 - o->s_m;
    o->light = tick >= 20 ? FW_DRIVE_LIGHT_RED : FW_DRIVE_LIGHT_NONE;
    o->light_s_m = o->light ? 60 : 0;
    o->path_first = (uint32_t)(o->s_m / FW_DRIVE_GRID_M) - 5, o->path_count = 60;
    for (uint32_t i = 0; i < o->path_count; i++)
        o->path[i] = (fw_drive_point){(float)(o->path_first + i) * FW_DRIVE_GRID_M, 0, 3.2f, 13.9f};
    o->user_count = tick >= 30;
    o->users[0] = (fw_drive_user){.id = 9, .x_m = o->x_m + 12, .y_m = 3, .speed_mps = 4,
                                  .length_m = 4.5f, .width_m = 1.75f};
    *d = (fw_drive_decision){.policy = {1, 0.01f}, .action = {tick < 40 ? 1 : -5, 0.01f},
                             .veto = tick < 40 ? 0 : (fw_guard_veto)1,
                             .model = fw_hash_bytes("m", 1)};
}

/* Writes the drive to path and keeps what its ticks had. */
static void record(const char *path, lived *want) {
    static uint8_t bytes[FILE_MAX];
    fw_drive_recorder *recorder;
    fw_drive_recorded done;
    fw_drive_event_state events = {0};
    fw_error error = {""};
    fw_mcap_memory memory = {bytes, FILE_MAX, 0};
    assert_int_equal(fw_drive_recorder_open(&recorder, &error), FW_OK);
    assert_int_equal(
        fw_drive_recorder_begin(recorder, fw_mcap_memory_sink(&memory), "7", &error), FW_OK);
    for (uint32_t i = 0; i < TICKS; i++) {
        static fw_drive_obs obs;
        fw_drive_decision decision;
        double values[FW_DRIVE_EVENT_COUNT] = {0};
        make_tick(i, &obs, &decision);
        uint32_t begun = fw_drive_events(&events, &obs, &decision, values);
        assert_int_equal(fw_drive_recorder_tick(recorder, &obs, &decision, begun, values, &error),
                         FW_OK);
        fw_drive_signals_of(&obs, &decision, begun, want->signals[i]);
        want->times[i] = obs.time_ns;
    }
    assert_int_equal(fw_drive_recorder_end(recorder, &done, &error), FW_OK);
    fw_drive_recorder_close(recorder);
    assert_int_equal(
        fw_file_write_durable(fw_env_real(), path, bytes, memory.size_bytes, &error), FW_OK);
}

static bool take(void *self, const double *signals, int64_t time_ns) {
    lived *got = self;
    assert_true(got->count < TICKS);
    memcpy(got->signals[got->count], signals, sizeof got->signals[0]);
    got->times[got->count++] = time_ns;
    return got->count != got->stop_after;
}

static void test_replay(void **state) {
    (void)state;
    static lived want, got, part = {.stop_after = 10};
    char folder[] = "/tmp/fw-line-XXXXXX", path[64];
    fw_error error = {""};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/drive.mcap", folder);
    record(path, &want);
    if (fw_line_driving.replay(path, take, &got, &error) != FW_OK) fail_msg("%s", error.text);
    assert_int_equal(got.count, TICKS);
    int events = 0, absent = 0;
    for (uint32_t i = 0; i < TICKS; i++) {
        assert_int_equal(got.times[i], want.times[i]);
        for (uint32_t k = 0; k < FW_DRIVE_SIGNAL_COUNT; k++) {
            double a = want.signals[i][k], b = got.signals[i][k];
            if (isnan(a) != isnan(b) || fabs(a - b) > 0.002)
                fail_msg("tick %u: %s was %g and is %g", i, fw_drive_signals.names[k], a, b);
            absent += isnan(a);
            events += k >= FW_DRIVE_SIGNAL_EVENT_HARD_BRAKE && a > 0;
        }
    }
    assert_true(events >= 3 && absent == 20 + 30); /* the drive shows something */
    assert_int_equal(fw_line_driving.replay(path, take, &part, &error), FW_OK);
    assert_int_equal(part.count, 10);
    unlink(path);
    assert_int_not_equal(fw_line_driving.replay(path, take, &part, &error), FW_OK);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_replay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
