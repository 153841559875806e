/* parts.h - private: how a scenario is put together, whatever it is made of.
 *
 *   file --scenario.c--> unit's recording --unit.c---> fw_scenario     both: tracks and routes by the makers
 *                    \-> scene (scene_file.h) --scene.c--> fw_scenario       here, fw_scenario_finish at the end
 *
 * Memory: a scenario begins as calloc'd zeroes. Every pointer in it is one malloc'd block that
 * fw_scenario_free frees: the arrays of the scenario itself, area.distance_m, lights[].state, of each track
 * x_m and of each route points (fw_scenario_make_track and _route cut the rest of theirs out of that block).
 * So whoever builds one may give up at any moment by calling fw_scenario_free.
 */
#ifndef FW_LINES_DRIVING_SCENARIO_PARTS_H
#define FW_LINES_DRIVING_SCENARIO_PARTS_H

#include "lines/driving/learn/recording.h"
#include "lines/driving/learn/scenario/scenario.h"

/* A unit's recording as a scenario; tags.group is of the unit's run, never empty. The caller frees it. */
fw_status fw_scenario_of_unit(const fw_drive_recording *recording, const fw_vehicles *vehicles,
                              fw_scenario **out, fw_error *error) FW_MUST;

/* Room for `count` >= 1 ticks from `first` on; zeroes. Sets first, count, route = lane = FW_SCENARIO_NONE. */
fw_status fw_scenario_make_track(fw_scenario_track *track, uint32_t first, uint32_t count, fw_error *error) FW_MUST;
/* Room for `count` >= 2 points; zeroes. The caller sets route->first (0 for scenes). */
fw_status fw_scenario_make_route(fw_scenario_route *route, uint32_t count, fw_error *error) FW_MUST;
/* What moves a track's rear axle from each tick to the next:
 * accel_mps2, curvature_pm, from its poses and speeds; the last tick repeats. A unit's own car knows its own. */
void fw_scenario_make_kinematics(fw_scenario_track *track);
/* When all poses, speeds, routes and starts stand: makes cos_yaw, sin_yaw and way_m (from the poses, never
 * decreasing) of each track, headings and curvature of each route, and active_at and active: the tracks whose
 * log is at a tick, in order of track. */
fw_status fw_scenario_finish(fw_scenario *scenario, fw_error *error) FW_MUST;

#endif
