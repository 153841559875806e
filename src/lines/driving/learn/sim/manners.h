/* manners.h - how a driver of the traffic drives: the Intelligent Driver Model's parameters.
 *
 *   a = accel * (1 - (v / v0)^4 - (s* / gap)^2),   s* = standstill + v * headway + v * closing / (2 sqrt(accel * brake))
 *
 * Treiber, Hennecke, Helbing, Congested traffic states in empirical observations and microscopic
 * simulations, Phys. Rev. E 62 (2000). With spread 0 every driver has the city set of Treiber and Kesting,
 * Traffic Flow Dynamics, table 11.2; with spread 1 each draws its own:
 *
 *   speed factor 0.85 .. 1.2 (of what its log drove)   headway 0.7 .. 2.0 s   accel, brake 1 .. 2.5 m/s2
 */
#ifndef FW_LINES_DRIVING_SIM_MANNERS_H
#define FW_LINES_DRIVING_SIM_MANNERS_H

#include "base/random.h"

typedef struct fw_sim_manners {
    float speed_factor, headway_s, accel_mps2, brake_mps2, standstill_m;
} fw_sim_manners;

/* spread: 0 .. 1, how far from the city set towards the draw. */
fw_sim_manners fw_sim_manners_draw(fw_random *random, float spread);

/* IDM's acceleration; gap_m 1e9 where nobody is ahead. */
float fw_sim_manners_accel(const fw_sim_manners *manners, float speed_mps, float wanted_mps, float gap_m,
                           float leader_mps);

#endif
