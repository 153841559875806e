/* route.h - private: the way to drive that follows from a track and the lanes it was on.
 *
 *                       lane a  ---------o~~._
 *                                             `~~.__        at a lane change: from centre line to centre line,
 *                       lane b                      `~~o---->  around where the log crossed
 *          |<- 20 m ->|                                         |<-- FW_SCENARIO_BEYOND_M -->|
 *          predecessors, or straight back                       straightest successors, or straight on
 *
 * A route keeps to centre lines, not to where in its lane somebody drove: that is noise, and the log itself.
 * A change takes max(20 m, 2.5 s of the speed then), less where the next one comes sooner, along a smoothstep. In
 * it the corridor is as wide as both lanes together. The dense polyline is brought to the 2 m grid and its kinks
 * are smoothed (lanelets are polygons of few points) over about FW_ROUTE_KINK_M.
 */
#ifndef FW_LINES_DRIVING_SCENARIO_ROUTE_H
#define FW_LINES_DRIVING_SCENARIO_ROUTE_H

#include "lines/driving/learn/scenario/map.h"

#define FW_ROUTE_BACK_M 20.0
#define FW_ROUTE_CHANGE_M 20.0
#define FW_ROUTE_CHANGE_S 2.5
#define FW_ROUTE_KINK_M 12.0 /* wavelength that smoothing halves */

/* lanes (track->count): of fw_match_track. The limits of the map's points are decided. The route's goal is the
 * track's end. */
fw_status fw_route_make(const fw_map *map, const fw_scenario_track *track, const uint32_t *lanes,
                        fw_scenario_route *out, fw_error *error) FW_MUST;
/* How far a place lies beside a route, m. */
double fw_route_side_m(const fw_scenario_route *route, double x_m, double y_m);

#endif
