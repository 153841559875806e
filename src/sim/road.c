/* road.c - a straight road from a seed (road.h). */
#include "sim/road.h"

#include <string.h>

enum { TICKS_MIN = 12, TICKS_MORE = 40, POINTS = 16, TICK_NS = 100000000 };

void fw_sim_road_begin(fw_sim_road *r, fw_random *random, uint32_t drive) {
    *r = (fw_sim_road){.drive = drive, .s_m = 10, .speed_mps = 4 + 8 * fw_random_unit(random)};
    r->ticks = TICKS_MIN + fw_random_below(random, TICKS_MORE);
}

void fw_sim_road_observe(const fw_sim_road *r, fw_drive_obs *o) {
    memset(o, 0, sizeof *o);
    o->drive = r->drive, o->tick = r->tick;
    o->time_ns = ((int64_t)r->drive * 36000 + r->tick) * TICK_NS;
    o->s_m = o->x_m = r->s_m, o->speed_mps = r->speed_mps, o->accel_mps2 = r->accel_mps2;
    o->length_m = 4.5f, o->width_m = 1.8f, o->rear_overhang_m = 0.9f;
    o->route_left_m = 5000 - o->s_m;
    o->path_first = (uint32_t)(o->s_m / FW_DRIVE_GRID_M) - 2, o->path_count = POINTS;
    for (uint32_t i = 0; i < POINTS; i++)
        o->path[i] = (fw_drive_point){(float)(o->path_first + i) * FW_DRIVE_GRID_M, 0, 3.2f, 13.9f};
}

void fw_sim_road_move(fw_sim_road *r, fw_random *random, const fw_drive_action *action) {
    float wanted = action->accel_mps2;
    if (!(wanted > -8)) wanted = -8;
    if (wanted > 3) wanted = 3;
    r->accel_mps2 = fw_random_below(random, 30) == 0 ? -6.0f : wanted;
    r->speed_mps += r->accel_mps2 * FW_DRIVE_TICK_S;
    if (r->speed_mps < 0) r->speed_mps = 0;
    if (r->speed_mps > 14) r->speed_mps = 14;
    r->s_m += r->speed_mps * FW_DRIVE_TICK_S;
    r->tick++;
}
