/* match.h - private: which lane a track was on, tick by tick.
 *
 *   tick:        0     1     2     3           A hidden Markov model (Newson, Krumm 2009), its most likely path by
 *   candidates  (a)---(a)---(b)---(b)          Viterbi. What a lane costs at a tick: its centre line's distance and
 *               (c) \ (c)   (c)   (d)          how far its heading is from the car's. What going on costs: nothing
 *                                              within a lane and into what follows it, FW_MATCH_CHANGE for a change
 *                                              into a lane beside, FW_MATCH_JUMP for anything else.
 *
 * Costs are negative logarithms: a change must explain about six standard deviations squared of being aside, so
 * that driving on the line is no row of changes.
 */
#ifndef FW_LINES_DRIVING_SCENARIO_MATCH_H
#define FW_LINES_DRIVING_SCENARIO_MATCH_H

#include "lines/driving/learn/scenario/map.h"

#define FW_MATCH_SIDE_M 1.0     /* standard deviation of the distance to the centre line */
#define FW_MATCH_HEADING_RAD 0.3 /* of the heading, driving */
#define FW_MATCH_CHANGE 12.0
#define FW_MATCH_JUMP 60.0
#define FW_MATCH_FAR_M 2.0      /* farther than this from every lane's centre is off the lanes */
#define FW_MATCH_FAR_SHARE 0.2  /* of its ticks; more: no match */

/* What going from lane to lane costs, of a map; made once. */
typedef struct fw_match_graph {
    uint32_t lane_count;
    uint8_t *step; /* (lane_count, lane_count): fw_match_step */
} fw_match_graph;
typedef enum fw_match_step { FW_MATCH_STEP_JUMP, FW_MATCH_STEP_CHANGE, FW_MATCH_STEP_ON } fw_match_step;

fw_status fw_match_graph_make(const fw_map *map, fw_match_graph *out, fw_error *error) FW_MUST;
void fw_match_graph_clear(fw_match_graph *graph);

/* lanes (track->count): the lane of each tick; *far_share: of its ticks, how many lie off all lanes. A map
 * without lanes gives FW_SCENARIO_NONE and 1. */
fw_status fw_match_track(const fw_map *map, const fw_match_graph *graph, const fw_scenario_track *track,
                         uint32_t *lanes, double *far_share, fw_error *error) FW_MUST;

#endif
