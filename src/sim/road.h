/* road.h - a straight road for simulated units: what a car sees tick by tick, and where its answer takes it.
 *
 * Nobody else is there; the car starts somewhere in its drive, at some speed, and from time to time the road
 * makes it brake, all from the seed. Enough for the line's own tick process to drive, record and judge a model.
 */
#ifndef FW_SIM_ROAD_H
#define FW_SIM_ROAD_H

#include "base/random.h"
#include "lines/driving/act/drive.h"

typedef struct fw_sim_road {
    uint32_t drive, tick, ticks; /* ticks: of the whole drive */
    float s_m, speed_mps, accel_mps2;
} fw_sim_road;

void fw_sim_road_begin(fw_sim_road *road, fw_random *random, uint32_t drive);
void fw_sim_road_observe(const fw_sim_road *road, fw_drive_obs *out);
/* A tick later, after the car did as it was told. */
void fw_sim_road_move(fw_sim_road *road, fw_random *random, const fw_drive_action *action);

#endif
