/* drive.c - short drives from a seed (drive.h). */
#include "sim/drive.h"

#include <stdio.h>
#include <string.h>

enum { TICKS_MIN = 8, TICKS_MORE = 24, POINTS = 8 };

typedef struct road {
    float s_m, speed_mps, accel_mps2;
} road;

static void observe(const road *at, uint32_t number, uint32_t tick, fw_drive_obs *o) {
    memset(o, 0, sizeof *o);
    o->drive = number, o->tick = tick;
    o->time_ns = ((int64_t)number * 3600 * 10 + tick) * 100000000;
    o->s_m = o->x_m = at->s_m, o->speed_mps = at->speed_mps, o->accel_mps2 = at->accel_mps2;
    o->length_m = 4.5f, o->width_m = 1.8f, o->rear_overhang_m = 0.9f;
    o->route_left_m = 2000 - o->s_m;
    o->path_first = (uint32_t)(o->s_m / FW_DRIVE_GRID_M) - 2, o->path_count = POINTS;
    for (uint32_t i = 0; i < POINTS; i++)
        o->path[i] = (fw_drive_point){(float)(o->path_first + i) * FW_DRIVE_GRID_M, 0, 3.2f, 13.9f};
}

static void roll_on(road *at, fw_random *random) {
    bool brakes = fw_random_below(random, 20) == 0;
    at->accel_mps2 = brakes ? -6.0f : 0.5f * (fw_random_unit(random) - 0.5f);
    at->speed_mps += at->accel_mps2 * FW_DRIVE_TICK_S;
    if (at->speed_mps < 0) at->speed_mps = 0;
    at->s_m += at->speed_mps * FW_DRIVE_TICK_S;
}

static fw_status record(fw_drive_recorder *recorder, fw_random *random, uint32_t number,
                        const fw_hash *model, fw_sim_drive *out, fw_error *error) {
    road at = {.s_m = 10, .speed_mps = 4 + 10 * fw_random_unit(random)};
    fw_drive_event_state state = {0};
    uint32_t ticks = TICKS_MIN + fw_random_below(random, TICKS_MORE);
    fw_drive_decision decision = {.model = *model};
    for (uint32_t tick = 0; tick < ticks; tick++) {
        double values[FW_DRIVE_EVENT_COUNT];
        fw_drive_obs obs;
        observe(&at, number, tick, &obs);
        decision.policy.accel_mps2 = decision.action.accel_mps2 = at.accel_mps2;
        uint32_t events = fw_drive_events(&state, &obs, &decision, values);
        out->events += (uint32_t)__builtin_popcount(events);
        FW_TRY(fw_drive_recorder_tick(recorder, &obs, &decision, events, values, error));
        if (tick == 0) out->first_ns = obs.time_ns;
        out->last_ns = obs.time_ns;
        roll_on(&at, random);
    }
    return FW_OK;
}

fw_status fw_sim_drive_make(fw_drive_recorder *recorder, fw_random *random, uint32_t unit,
                            uint32_t number, const fw_hash *model, fw_sim_drive *out,
                            fw_error *error) {
    char name[16];
    fw_mcap_memory memory = {out->bytes, FW_SIM_DRIVE_BYTES_MAX, 0};
    out->events = 0;
    snprintf(name, sizeof name, "%u", unit);
    FW_TRY(fw_drive_recorder_begin(recorder, fw_mcap_memory_sink(&memory), name, error));
    FW_TRY(record(recorder, random, number, model, out, error));
    FW_TRY(fw_drive_recorder_end(recorder, &out->what, error));
    out->size_bytes = memory.size_bytes;
    return FW_OK;
}
