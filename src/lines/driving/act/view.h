/* view.h - what matters in an observation, worked out once and read by policy, guard and events.
 *
 *   path frame of the car:  s ahead along the route, d to the left of it
 *   +--------------------------------------------------------------> s
 *   |  [car]----front   gap   [leader]   | stop line    (conflict zone)
 *
 * All distances from the FRONT BUMPER unless said otherwise; negative: passed. Pure function of
 * one observation, no state, no allocation. Features, the IDM rule and the guard read nothing else.
 */
#ifndef FW_LINES_DRIVING_VIEW_H
#define FW_LINES_DRIVING_VIEW_H

#include "lines/driving/act/drive.h"

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

enum { FW_DRIVE_PREVIEWS = 24 };   /* path previews every 2.5 m */
#define FW_DRIVE_PREVIEW_M 2.5f

typedef struct fw_drive_view {
    float front_m;           /* rear axle to front bumper */
    float lateral_m;         /* rear axle to the route, left positive */
    float heading_rad;       /* car's yaw minus the route's */
    float curvature_pm[FW_DRIVE_PREVIEWS]; /* of the route from the rear axle on */
    float limit_mps[FW_DRIVE_PREVIEWS];    /* speed limit there */
    float turn_rad[FW_DRIVE_PREVIEWS];     /* route's heading there minus the car's yaw */
    float pursuit_pm;        /* curvature of pure pursuit (Coulter 1992), rear axle */
    float width_m;           /* of the lane here */
    fw_drive_leader leader, second;
    bool light_matters;      /* a signal ahead of the front bumper */
    fw_drive_light light;
    float light_m;           /* to its stop line */
    uint32_t meeting_count;  /* most urgent first */
    fw_drive_meeting meetings[FW_DRIVE_CONFLICTS_MAX];
} fw_drive_view;

void fw_drive_look(const fw_drive_obs *obs, fw_drive_view *view);

/* Highest speed now such that braking at brake_mps2 meets every preview's limit, where a curve's
 * limit is sqrt(lateral_mps2 / |curvature|). */
float fw_drive_allowed_mps(const fw_drive_view *view, float lateral_mps2, float brake_mps2);

/* Deceleration (>= 0, m/s2) that stops within distance_m; 99 when there is no way left. */
float fw_drive_stop_mps2(float speed_mps, float distance_m);

/* The IDM rule's acceleration (Treiber, Hennecke, Helbing 2000) with signals and yielding. */
float fw_idm_accel(const fw_drive_obs *obs, const fw_drive_view *view);

#endif
