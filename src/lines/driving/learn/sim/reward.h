/* reward.h - what a drive is worth: per metre, per failure, per tick of what is merely bad.
 *
 * The table is the whole of it; docs/driving.md shows it. A goal is worth 150 m of way, so that hurrying
 * past it does not pay; a collision costs more than any drive earns.
 */
#ifndef FW_LINES_DRIVING_SIM_REWARD_H
#define FW_LINES_DRIVING_SIM_REWARD_H

#include "lines/driving/learn/sim/sim.h"

#define FW_SIM_REWARDS(X)                                                                                      \
    X(metre, 0.02f, "metre along the route, towards the goal where there is one")                             \
    X(goal, 3.0f, "goal reached, ends the drive")                                                              \
    X(late, -3.0f, "goal not reached in time, ends the drive (scenes)")                                        \
    X(close, -0.03f, "tick with less than 1.5 s to a collision with the leader")                               \
    X(speeding, -0.01f, "tick and m/s beyond the speed limit")                                                 \
    X(collision, -12.0f, "collision at fault, ends the drive")                                                 \
    X(bumped, -4.0f, "collision that was not our fault, ends the drive")                                       \
    X(off_road, -10.0f, "off the road, or off the lane where there is no area; ends the drive")                 \
    X(red_light, -8.0f, "red light run")                                                                       \
    X(forced, -0.25f, "tick and car with priority that must brake for us")                                     \
    X(idle, -0.04f, "tick of standing without a red light or a vehicle ahead (units' recordings)")             \
    X(hard_brake, -0.08f, "tick of braking with 4 m/s2 or harder")                                             \
    X(sideways, -0.03f, "tick and m/s2 of sideways acceleration beyond 2.5 m/s2, at most 10")                  \
    X(off_centre, -0.06f, "tick and m2 off the route's line, at most 1 m2")                                    \
    X(jerk, -0.02f, "tick of jerk at 20 m/s3 and more, less in proportion")

typedef struct fw_sim_rewards {
#define X(name, value, text) float name;
    FW_SIM_REWARDS(X)
#undef X
} fw_sim_rewards;
extern const fw_sim_rewards fw_sim_reward;

/* What a tick did to the driver and the ride, all but how the drive ends. */
typedef struct fw_sim_ride {
    float metres, accel_mps2, jerk_mps3, sideways_mps2, lateral_m;
    float speeding_mps; /* speed less its limit; below 0 it does not count */
    unsigned forced;
    bool close; /* time to collision with the leader below 1.5 s */
} fw_sim_ride;
float fw_sim_reward_ride(const fw_sim_ride *ride);
float fw_sim_reward_end(fw_sim_end end, bool at_fault, bool scene);

#endif
