#include "lines/driving/learn/sim/reward.h"

#include <math.h>

const fw_sim_rewards fw_sim_reward = {
#define X(name, value, text) .name = value,
    FW_SIM_REWARDS(X)
#undef X
};

float fw_sim_reward_ride(const fw_sim_ride *ride) {
    const fw_sim_rewards *r = &fw_sim_reward;
    float sum = r->metre * ride->metres + r->forced * (float)ride->forced;
    sum += r->jerk * fminf(1.0f, fabsf(ride->jerk_mps3) / 20.0f);
    sum += r->sideways * fminf(10.0f, fmaxf(0.0f, ride->sideways_mps2 - 2.5f));
    sum += r->off_centre * fminf(1.0f, ride->lateral_m * ride->lateral_m);
    sum += r->speeding * fmaxf(0.0f, ride->speeding_mps);
    if (ride->close) sum += r->close;
    return ride->accel_mps2 <= -4.0f ? sum + r->hard_brake : sum;
}

float fw_sim_reward_end(fw_sim_end end, bool at_fault, bool scene) {
    const fw_sim_rewards *r = &fw_sim_reward;
    switch (end) {
    case FW_SIM_COLLISION: return at_fault ? r->collision : r->bumped;
    case FW_SIM_OFF_ROAD: return r->off_road;
    case FW_SIM_GOAL: return r->goal;
    case FW_SIM_TIME_OUT: return scene ? r->late : 0;
    case FW_SIM_RUNS:
    case FW_SIM_ROUTE_DONE: break;
    }
    return 0;
}
