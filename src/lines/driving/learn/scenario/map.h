/* map.h - private: a scene's lanelets as a graph of lanes with centre lines.
 *
 *        left bound   o-----o-------o         centre point i: the middle between the bounds' points i
 *        centre       +-----+-------+  --> next lanes (successors), beside: left, right of the same direction
 *        right bound  o-----o-------o
 *
 * Bounds with different numbers of points are brought to the same by arc length first. s_m is arc length along
 * the centre line; before 0 and beyond length_m a lane goes on straight, so that a place is always somewhere.
 * A link counts when either of its two lanelets has it.
 */
#ifndef FW_LINES_DRIVING_SCENARIO_MAP_H
#define FW_LINES_DRIVING_SCENARIO_MAP_H

#include "lines/driving/learn/scenario/scene.h"

typedef struct fw_map_point {
    double x_m, y_m, s_m, width_m, limit_mps; /* limit: from here on; 0 until somebody decided it */
} fw_map_point;

typedef struct fw_map_lane {
    uint32_t first, count;            /* points */
    uint32_t next_first, next_count;  /* in links */
    uint32_t before_first, before_count;
    uint32_t beside_first, beside_count;
    double length_m, limit_mps;       /* 0: unknown */
    double low_x_m, low_y_m, high_x_m, high_y_m; /* around its bounds */
} fw_map_lane;

typedef struct fw_map {
    uint32_t lane_count, point_count;
    fw_map_lane *lanes;
    fw_map_point *points;
    fw_scenario_lane_point *bounds; /* (point_count) */
    uint32_t *links;
} fw_map;

/* Where a place lies beside a lane. */
typedef struct fw_map_spot {
    double s_m;          /* of the nearest point of the centre line, within it */
    double distance_m;   /* to that point */
    double side_m;       /* > 0: left of the line through the segment there */
    double heading_rad;  /* of the lane there */
} fw_map_spot;

/* A place on a lane. */
typedef struct fw_map_place {
    double x_m, y_m, heading_rad, width_m, limit_mps;
} fw_map_place;

fw_status fw_map_make(const fw_scene *scene, fw_map *out, fw_error *error) FW_MUST;
void fw_map_clear(fw_map *map);

/* The nearest place of a polyline; count >= 2. */
fw_map_spot fw_map_project(const fw_map_point *points, uint32_t count, double x_m, double y_m);
/* The place at s_m of a polyline whose points' s_m rise; straight on before and beyond. */
fw_map_place fw_map_at(const fw_map_point *points, uint32_t count, double s_m);
/* The one of `count` lanes that `from` goes on into with the least turn; FW_SCENARIO_NONE when there is none. */
uint32_t fw_map_straightest(const fw_map *map, uint32_t from, bool backwards);

#endif
