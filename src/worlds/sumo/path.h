/* path.h - the way of one of our cars through the city, fixed when its drive starts.
 *
 *   route edges --lanes with the fewest changes--> stretches --> fine line --smoothed--> 2 m grid
 *
 * Two coordinates run along it:
 *   s  path length on the smoothed 2 m grid: what the car is told (drive.h); rear axle, bumpers
 *   u  SUMO's way: sum of the lengths of the stretches before, plus SUMO's position on the lane.
 *      Lanes of one edge are equally long, so u does not depend on the lane. u may start below 0.
 *
 *   stretch 0 (edge)      1 (via) 2 (via2)    3 (edge)
 *   |====================|-------|-------|====================|
 *   u0=0   ^lane change  ^stop line       ^link's end
 *
 * Invariants: (1) u rises with the grid index; (2) neighbouring grid points are FW_DRIVE_GRID_M
 * apart; (3) the line follows the lanes' centre lines to about 0.3 m, farther only around corners
 * too tight for a car, which it rounds with about 5 m; where the net's lanes fold back on
 * themselves so that no car can follow, the path ends 12 m before.
 */
#ifndef FW_WORLDS_SUMO_PATH_H
#define FW_WORLDS_SUMO_PATH_H

#include "lines/driving/act/drive.h"
#include "worlds/sumo/net.h"

enum {
    FW_PATH_POINTS_MAX = 640,
    FW_PATH_STRETCHES_MAX = 192,
    FW_PATH_LINKS_MAX = 64,
    FW_PATH_CHANGES_MAX = 64,
    FW_PATH_ZONES_MAX = 1024,
};
#define FW_PATH_HORIZON_M 1100.0 /* 60 s at 18 m/s */
#define FW_PATH_BEHIND_M 10.0

/* One edge or one internal lane on the way. */
typedef struct fw_path_stretch {
    uint32_t edge, lane_in, lane_out; /* lanes: indices in the net */
    double u0_m, length_m;
    bool internal;
} fw_path_stretch;

typedef struct fw_path_link {
    uint32_t link;
    double u0_m, u1_m; /* stop line, end of the junction */
    float s0_m, s1_m;
} fw_path_link;

typedef struct fw_path_change {
    uint32_t stretch, from_lane, to_lane;
    double u0_m, u1_m; /* where the blend begins and ends */
    float s0_m, s1_m;
    double u_enter_m; /* where our box begins to reach into the target lane */
    float s_enter_m;
} fw_path_change;

/* Where another link's way meets ours in a junction. */
typedef struct fw_path_zone {
    uint32_t own;      /* index into links */
    uint32_t foe_link; /* in the net */
    bool merge;        /* same lane afterwards */
    bool beside;       /* no foe by the net, but a lane beside ours that bends too near */
    float enter_s_m, exit_s_m;
    float foe_enter_m, foe_exit_m; /* from the foe link's start */
} fw_path_zone;

typedef struct fw_path {
    uint32_t point_count, stretch_count, link_count, change_count, zone_count;
    fw_drive_point points[FW_PATH_POINTS_MAX];
    double u_m[FW_PATH_POINTS_MAX];
    fw_path_stretch stretches[FW_PATH_STRETCHES_MAX];
    fw_path_link links[FW_PATH_LINKS_MAX];
    fw_path_change changes[FW_PATH_CHANGES_MAX];
    fw_path_zone zones[FW_PATH_ZONES_MAX]; /* ordered by own link */
} fw_path;

typedef struct fw_path_start {
    const uint32_t *edges; /* (edge_count) route from the current edge on */
    uint32_t edge_count;
    uint32_t lane;     /* current lane, on edges[0] */
    double position_m; /* of the front bumper on it */
    double front_m;    /* rear axle to front bumper */
} fw_path_start;

/* Builds the path; FW_NOT_FOUND when no lanes lead along the route (a candidate to be skipped). */
fw_status fw_path_build(const fw_net *net, const fw_path_start *start, fw_path *out,
                        fw_error *error) FW_MUST;

/* Fills the zones where other links meet ours (zones.c); part of fw_path_build. */
void fw_path_find_zones(const fw_net *net, fw_path *path);

float fw_path_length_m(const fw_path *path);
/* Between the two coordinates; beyond the ends it goes on at slope 1. */
double fw_path_u_at(const fw_path *path, double s_m);
float fw_path_s_at(const fw_path *path, double u_m);
/* Path length of the point of the path nearest to (x, y), searched around `near_s_m`;
 * *lateral_m: distance, positive to the left of the path. */
float fw_path_project(const fw_path *path, float x_m, float y_m, float near_s_m, float *lateral_m);
/* The lane wanted at u on a stretch: its changes' middles decide. */
uint32_t fw_path_lane_at(const fw_path *path, uint32_t stretch, double u_m);
/* Stretch of an edge, the nearest to `near_u_m` where the route visits it twice; FW_NET_NONE where
 * the route does not lead over it. */
uint32_t fw_path_stretch_of(const fw_path *path, uint32_t edge, double near_u_m);
/* Heading of the path at s. */
float fw_path_yaw_at(const fw_path *path, float s_m);

#endif
