#include "lines/driving/act/guard.h"

#include <math.h>

#include "lines/driving/act/view.h"

/* The rules' figures. Braking demanded at or above `firm` cannot wait; the leader is taken to brake
 * with `leader_brake` at most. */
static const float firm_mps2 = 3.5f, leader_brake_mps2 = 6.0f, standoff_m = 1.0f;

static fw_guard_veto lower(fw_drive_action *action, float demand_mps2, fw_guard_veto rule) {
    float allowed = -fminf(demand_mps2, -FW_DRIVE_ACCEL_MIN_MPS2);
    if (action->accel_mps2 <= allowed) return FW_GUARD_NONE;
    action->accel_mps2 = allowed;
    return rule;
}

/* Braking needed one tick from now if the action is carried out. */
static float demand_after(const fw_drive_obs *obs, const fw_drive_action *action, float room_m) {
    float next = fmaxf(0.0f, obs->speed_mps + action->accel_mps2 * FW_DRIVE_TICK_S);
    float way = 0.5f * (obs->speed_mps + next) * FW_DRIVE_TICK_S;
    return fw_drive_stop_mps2(next, room_m - way);
}

fw_guard_veto fw_guard(const fw_drive_obs *obs, fw_drive_action *action) {
    fw_drive_scene_room kept;
    fw_drive_scene scene;
    fw_drive_view view;
    fw_drive_scene_of(obs, &kept, &scene);
    fw_drive_look(&scene, &view);
    fw_guard_veto veto = FW_GUARD_NONE;
    if (view.leader.exists) {
        float v = view.leader.speed_mps;
        float room = view.leader.gap_m - standoff_m + v * v / (2 * leader_brake_mps2);
        float demand = demand_after(obs, action, room);
        if (demand >= firm_mps2) {
            fw_guard_veto one = lower(action, demand, FW_GUARD_LEADER);
            if (one) veto = one;
        }
    }
    if (view.light_matters && view.light == FW_DRIVE_LIGHT_RED && view.light_m > 0) {
        float room = view.light_m - 0.2f;
        float demand = demand_after(obs, action, room);
        bool can_stop = fw_drive_stop_mps2(obs->speed_mps, room) <= -FW_DRIVE_ACCEL_MIN_MPS2;
        if (demand >= firm_mps2 && can_stop) {
            fw_guard_veto one = lower(action, demand, FW_GUARD_RED_LIGHT);
            if (one) veto = one;
        }
    }
    return veto;
}
