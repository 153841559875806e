/* sim.h - driving again in a recorded scenario, with traffic that reacts.
 *
 *   scenario (const) + fw_old_sim (one car's drive) --> observation --> action --> fw_old_sim_step --> reward
 *
 * The car is the same bicycle as in the world. Other road users follow their recorded way and
 * times, until the car is somewhere it was not: then they slow down for it (IDM along their own
 * way), and yield where they owe it. Signals show what was recorded; beyond that, and in a share of
 * the disturbed drives, a random cycle.
 *
 * A drive ends by collision (full-size boxes), by leaving the lane, at the end of the route or of
 * the recording. No allocation after fw_old_sim_init.
 */
#ifndef FW_LINES_DRIVING_OLD_SIM_H
#define FW_LINES_DRIVING_OLD_SIM_H

#include "base/random.h"
#include "lines/driving/act/vehicle.h"
#include "lines/driving/learn/old_scenario.h"

typedef enum fw_old_sim_end {
    FW_OLD_SIM_RUNS,
    FW_OLD_SIM_COLLISION,
    FW_OLD_SIM_OFF_LANE,
    FW_OLD_SIM_ROUTE_DONE,
    FW_OLD_SIM_TIME_OUT, /* the recording is over, or we are where it saw too little: nobody's doing */
} fw_old_sim_end;

/* A track's pose now: where it was recorded, or, when held up, where it got to on its own way. */
typedef struct fw_old_sim_pose {
    float x_m, y_m, yaw_rad, speed_mps, way_m;
    bool there;
    bool jumped; /* changed lanes within this tick */
} fw_old_sim_pose;

typedef struct fw_old_sim {
    const fw_old_scenario *scenario;
    fw_random random;
    fw_vehicle_kind kind;
    uint32_t tick, start_tick;
    float x_m, y_m, yaw_rad, speed_mps, accel_mps2, curvature_pm, s_m;
    float light_hold_s; /* how long a light keeps its last recorded state */
    bool other_lights;  /* this drive's lights follow a cycle of their own, not the record */
    uint32_t forced;    /* cars with priority that had to brake for us in this tick */
    bool red_run, at_fault, stuck;
    uint32_t red_lights_run; /* bit set over the scenario's lights */
    uint32_t hard_brakes, standing_ticks;
    fw_old_sim_pose *poses; /* (tracks): where each active track is now; owned */
    bool *late;                /* (tracks): held up by us; owned */
} fw_old_sim;

typedef struct fw_old_sim_outcome {
    float reward;
    fw_old_sim_end end;
} fw_old_sim_outcome;

fw_old_sim fw_old_sim_new(uint64_t seed);
void fw_old_sim_free(fw_old_sim *sim);
/* Begins at a tick of the scenario, from the recorded state there; jitter 0..1 disturbs speed and
 * pose a little. */
void fw_old_sim_begin(fw_old_sim *sim, const fw_old_scenario *scenario, uint32_t tick, float jitter);
/* What the car sees now. */
void fw_old_sim_observe(const fw_old_sim *sim, fw_drive_obs *obs);
/* One tick. Reward: see FW_REWARD_* in sim.c. */
fw_old_sim_outcome fw_old_sim_step(fw_old_sim *sim, fw_drive_action action);

#endif
