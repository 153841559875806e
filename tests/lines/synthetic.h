/* A recording made by arithmetic: a straight two-kilometre street, a car ahead that brakes to a stop
 * and goes on, one crossing car. For tests that must not need a city. */
#ifndef FW_TESTS_SYNTHETIC_H
#define FW_TESTS_SYNTHETIC_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lines/driving/learn/recording.h"

static inline void synthetic_tick(fw_drive_recorded_tick *tick, uint32_t t, float brake_at_s) {
    fw_drive_obs *o = &tick->obs;
    float time = 0.1f * (float)t, lead_s, lead_v;
    memset(tick, 0, sizeof *tick);
    o->drive = 1, o->tick = t, o->time_ns = (int64_t)t * 100000000;
    o->speed_mps = 8, o->s_m = 10 + 0.8f * (float)t, o->x_m = o->s_m;
    o->length_m = 5, o->width_m = 1.8f, o->rear_overhang_m = 1;
    o->route_left_m = 2000 - o->s_m - 4;
    if (time < brake_at_s) lead_v = 9, lead_s = 35 + 9 * time;
    else if (time < brake_at_s + 3) lead_v = 9 - 3 * (time - brake_at_s),
        lead_s = 35 + 9 * time - 1.5f * (time - brake_at_s) * (time - brake_at_s);
    else lead_v = 0, lead_s = 35 + 9 * (brake_at_s + 3) - 13.5f;
    if (fabsf(lead_s - o->s_m) < 49) {
        o->users[o->user_count++] = (fw_drive_user){7, 3, lead_s, 0, 0, lead_v, 4.5f, 1.8f};
    }
}

static inline fw_drive_recording *synthetic_recording(uint32_t ticks, float brake_at_s) {
    fw_drive_recording *r = calloc(1, sizeof *r);
    r->tick_count = ticks;
    r->ticks = calloc(ticks, sizeof *r->ticks);
    r->path_count = 1000;
    r->path = calloc(r->path_count, sizeof *r->path);
    for (uint32_t i = 0; i < r->path_count; i++)
        r->path[i] = (fw_drive_point){(float)i * FW_DRIVE_GRID_M, 0, 3.2f, 13.9f};
    for (uint32_t t = 0; t < ticks; t++) synthetic_tick(&r->ticks[t], t, brake_at_s);
    return r;
}

#endif
