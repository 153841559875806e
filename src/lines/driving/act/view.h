/* view.h - what matters in a scene, worked out once and read by policy, guard, features and events.
 *
 *   path frame of the car:  s ahead along the route, d to the left of it
 *   +--------------------------------------------------------------> s
 *   |  [car]----front   gap   [leader]   | stop line    (conflict zone)
 *
 * Distances from the FRONT BUMPER unless said otherwise; negative: passed. Pure function of one scene, no
 * state, no allocation. Features, the IDM rule and the guard read nothing else.
 *
 * The simulator looks about a million times a second, so users are columns (one array a quantity): the
 * compiler works on several of them at once. Rows from user_count on are nobody's; without a user none is
 * written. The last bits of what is seen depend on the CPU class (nn/run/cpu/class.h), as a network's do.
 */
#ifndef FW_LINES_DRIVING_VIEW_H
#define FW_LINES_DRIVING_VIEW_H

#include "lines/driving/act/scene.h"

typedef struct fw_drive_leader {
    bool exists;
    float gap_m;     /* bumper to box along the path */
    float speed_mps; /* along the path, >= 0 */
} fw_drive_leader;

/* A conflict, in the terms of a decision. */
typedef struct fw_drive_meeting {
    bool must_yield, change;
    float enter_m, clear_m; /* way of our front to the zone, and of our front until our rear is out */
    float foe_enter_m, foe_clear_m, foe_speed_mps;
    float foe_enter_s, foe_clear_s; /* its times at its speed; capped at 20 */
    uint32_t user;
} fw_drive_meeting;

/* Every road user of the scene against our car and our path; row i is users[i] of the scene. */
typedef struct fw_drive_relations {
    float forward_m[FW_DRIVE_SCENE_USERS], left_m[FW_DRIVE_SCENE_USERS]; /* its centre from ours, in our frame */
    float cos_turn[FW_DRIVE_SCENE_USERS], sin_turn[FW_DRIVE_SCENE_USERS]; /* its heading against ours */
    float gap_m[FW_DRIVE_SCENE_USERS];     /* our front to its box along the path; negative: beside or behind */
    float lateral_m[FW_DRIVE_SCENE_USERS]; /* its centre from the path, left positive */
    float aside_m[FW_DRIVE_SCENE_USERS];   /* its box from the strip we drive through; negative: it is in it */
    float along_mps[FW_DRIVE_SCENE_USERS]; /* its speed along the path; negative: towards us */
    float speed_mps[FW_DRIVE_SCENE_USERS], length_m[FW_DRIVE_SCENE_USERS], width_m[FW_DRIVE_SCENE_USERS];
} fw_drive_relations;

enum { FW_DRIVE_PREVIEWS = 24 }; /* one a point of the path's grid, from the segment of the rear axle on */
#define FW_DRIVE_PREVIEW_M FW_DRIVE_GRID_M

typedef struct fw_drive_view {
    float front_m;     /* rear axle to front bumper */
    float accel_mps2;  /* as last carried out */
    float lateral_m;   /* rear axle to the route, left positive */
    float heading_rad; /* car's yaw minus the route's */
    float width_m;     /* of the lane here */
    float curvature_pm[FW_DRIVE_PREVIEWS]; /* of the route */
    float limit_mps[FW_DRIVE_PREVIEWS];    /* speed limit there */
    float turn_rad[FW_DRIVE_PREVIEWS];     /* route's heading there minus the car's yaw, within +-pi */
    float lane_m[FW_DRIVE_PREVIEWS];       /* width of the lane there */
    float aim_x_m, aim_y_m;   /* the point that pure pursuit steers at, in our frame (forward, left) */
    float aim_cos, aim_sin;   /* direction of the route there, in our frame */
    float pursuit_pm;         /* curvature to it (Coulter 1992), rear axle */
    fw_drive_leader leader, second; /* nearest two in our strip; gap 100 where there is none */
    bool light_matters;       /* a signal ahead of the front bumper */
    fw_drive_light light;
    float light_m;            /* to its stop line */
    uint32_t user_count;      /* of the scene */
    fw_drive_relations users; /* (user_count) */
    uint32_t meeting_count;   /* most urgent first */
    fw_drive_meeting meetings[FW_DRIVE_CONFLICTS_MAX];
} fw_drive_view;

void fw_drive_look(const fw_drive_scene *scene, fw_drive_view *view);

/* Curvature that steers at the aim moved sideways by shift_m, left positive. */
float fw_drive_pursuit(const fw_drive_view *view, float shift_m);

/* Highest speed now such that braking at brake_mps2 meets every preview's limit, where a curve's
 * limit is sqrt(lateral_mps2 / |curvature|). */
float fw_drive_allowed_mps(const fw_drive_view *view, float lateral_mps2, float brake_mps2);

/* Deceleration (>= 0, m/s2) that stops within distance_m; 99 when there is no way left. */
float fw_drive_stop_mps2(float speed_mps, float distance_m);

/* The IDM rule's acceleration (Treiber, Hennecke, Helbing 2000) with signals and yielding. */
float fw_idm_accel(const fw_drive_scene *scene, const fw_drive_view *view);

#endif
