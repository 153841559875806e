/* fake_world.h - worlds/sumo/world.h without SUMO: straight drives that end when a test says so.
 *
 * Included by one test file, which thereby defines every fw_world_* function itself; the linker then
 * takes nothing of the real world. `fake` is what the test scripts and reads.
 */
#ifndef FW_TESTS_FAKE_WORLD_H
#define FW_TESTS_FAKE_WORLD_H

#include <stdlib.h>
#include <string.h>

#include "worlds/sumo/world.h"

typedef struct fake_script {
    uint32_t drive_ticks;     /* length of each drive; 0: never ends */
    uint32_t die_at_tick, over_at_tick;     /* the step of this tick says FW_CLOSED once; 0: never */
    bool bump;                /* drives end by a collision, felt */
    float light_s_m;          /* a green signal's stop line on every route; 0: none. The car is at 10 */
    uint32_t desync_car;      /* this car's drives end as desync; FW_WORLD_CARS_MAX: none */
    /* what happened */
    uint32_t opened, steps, shifts;
    fw_conditions conditions; /* of the last shift or opening */
    uint64_t seeds[64];
    fw_drive_action last[FW_WORLD_CARS_MAX];
} fake_script;
static fake_script fake = {.desync_car = FW_WORLD_CARS_MAX};

struct fw_world {
    fw_world_config config;
    uint32_t tick, drive[FW_WORLD_CARS_MAX], age[FW_WORLD_CARS_MAX];
    fw_drive_obs obs[FW_WORLD_CARS_MAX], last_obs[FW_WORLD_CARS_MAX];
    bool ended[FW_WORLD_CARS_MAX], result_due[FW_WORLD_CARS_MAX];
};

static void fake_observe(fw_world *w, uint32_t car) {
    fw_drive_obs *o = &w->obs[car];
    memset(o, 0, sizeof *o);
    o->drive = w->drive[car];
    o->tick = w->tick;
    o->time_ns = (int64_t)w->tick * 100000000 + 1000;
    o->length_m = 4.5f, o->width_m = 1.8f, o->rear_overhang_m = 0.9f;
    o->speed_mps = 5, o->curvature_pm = 0.01f, o->s_m = 10, o->route_left_m = 100;
    if (fake.light_s_m > 0) o->light = FW_DRIVE_LIGHT_GREEN, o->light_s_m = fake.light_s_m;
    o->path_count = 8;
    for (uint32_t i = 0; i < o->path_count; i++)
        o->path[i] = (fw_drive_point){(float)i * 2, 0, 3.2f, 13.9f};
}

fw_status fw_world_open(const fw_world_config *config, fw_world **out, fw_error *error) {
    (void)error;
    fw_world *w = calloc(1, sizeof *w);
    w->config = *config;
    fake.seeds[fake.opened++ % 64] = config->seed;
    fake.conditions = config->conditions;
    for (uint32_t i = 0; i < config->cars; i++) fake_observe(w, i);
    *out = w;
    return FW_OK;
}
fw_status fw_world_shift(fw_world *w, const fw_conditions *conditions, fw_error *error) {
    (void)error;
    w->config.conditions = fake.conditions = *conditions;
    fake.shifts++;
    return FW_OK;
}
void fw_world_close(fw_world *w) { free(w); }
uint32_t fw_world_tick(const fw_world *w) { return w->tick; }
const fw_drive_obs *fw_world_obs(const fw_world *w, uint32_t car) { return &w->obs[car]; }
const fw_drive_obs *fw_world_last_obs(const fw_world *w, uint32_t car) {
    return w->ended[car] && fake.bump ? &w->last_obs[car] : NULL;
}
int fw_world_sumo_pid(const fw_world *w) { return w->tick < UINT32_MAX ? 4711 : 0; }
bool fw_world_over(const fw_world *w) { return fake.over_at_tick && w->tick >= fake.over_at_tick; }

fw_status fw_world_step(fw_world *w, const fw_drive_action *actions, fw_error *error) {
    fake.steps++;
    memcpy(fake.last, actions, w->config.cars * sizeof actions[0]);
    if (fake.die_at_tick && w->tick + 1 == fake.die_at_tick) {
        fake.die_at_tick = 0;
        return fw_fail(error, FW_CLOSED, "the fake SUMO died");
    }
    w->tick++;
    for (uint32_t i = 0; i < w->config.cars; i++) {
        w->ended[i] = fake.drive_ticks && ++w->age[i] >= fake.drive_ticks;
        w->result_due[i] = w->ended[i];
        if (w->ended[i]) {
            w->last_obs[i] = w->obs[i];
            w->last_obs[i].tick = w->tick;
            w->last_obs[i].impact_mps2 = 30;
            w->drive[i]++;
            w->age[i] = 0;
        }
        fake_observe(w, i);
    }
    return FW_OK;
}

bool fw_world_take_result(fw_world *w, fw_drive_result *out) {
    for (uint32_t i = 0; i < w->config.cars; i++) {
        if (!w->result_due[i]) continue;
        w->result_due[i] = false;
        *out = (fw_drive_result){.car = i, .drive = w->drive[i] - 1, .ticks = fake.drive_ticks,
                                 .collision = fake.bump, .desync = i == fake.desync_car,
                                 .distance_m = 500, .mean_speed_mps = 10};
        return true;
    }
    return false;
}

#endif
