/* drive.h - what a car knows each tick and what it answers: the driving line's two messages.
 *
 * Frame of reference: metres, x east, y north; yaw in radians, counter-clockwise from east.
 * The car's pose is its REAR AXLE (where curvature is exact for a kinematic bicycle). Boxes of
 * other road users are given by their centre.
 *
 *        rear bumper          rear axle (x, y)                      front bumper
 *            |<- rear_overhang_m ->|<------- length_m - rear_overhang_m ------>|
 *
 * The route is one polyline, fixed when the drive starts, on a grid of FW_DRIVE_GRID_M metres of
 * arc length: point i lies at path length i * FW_DRIVE_GRID_M (the rear axle starts at about
 * 10 m, so that there are points behind it). Each message carries a window of it:
 *
 *      path_first           path_first + path_count - 1
 *          o---o---o---[car]---o---o---o---o---o        s_m: path length of the rear axle
 *
 * Invariants: (1) counts never exceed the maxima below; (2) all numbers are finite;
 * (3) conflicts[i].user < user_count; (4) nothing here is the world's truth about failures.
 *
 * Wire form (little endian): the fields of fw_drive_obs in order with arrays cut to their counts;
 * fw_drive_obs_encode / fw_drive_obs_decode are the pair, decode refuses anything else.
 */
#ifndef FW_LINES_DRIVING_DRIVE_H
#define FW_LINES_DRIVING_DRIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    FW_DRIVE_VERSION = 1,
    FW_DRIVE_PATH_MAX = 64,
    FW_DRIVE_USERS_MAX = 48,
    FW_DRIVE_CONFLICTS_MAX = 16,
};
#define FW_DRIVE_GRID_M 2.0f         /* arc length between path points */
#define FW_DRIVE_TICK_S 0.1f         /* one tick */
#define FW_DRIVE_RANGE_M 50.0f       /* road users within this distance are seen */
#define FW_DRIVE_ACCEL_MIN_MPS2 -8.0f   /* the hardest braking that anybody asks for */
#define FW_DRIVE_CURVATURE_MAX_PM 0.25f /* 1/m: radius 4 m, the sharpest turn that anybody asks for */

/* One point of the route. */
typedef struct fw_drive_point {
    float x_m, y_m;
    float width_m;   /* of the lane here */
    float limit_mps; /* speed limit here */
} fw_drive_point;

/* One road user, its box centred at (x, y). */
typedef struct fw_drive_user {
    uint32_t id;   /* stable while it is tracked */
    uint32_t lane; /* index of its lane in the map; UINT32_MAX unknown */
    float x_m, y_m, yaw_rad, speed_mps;
    float length_m, width_m;
} fw_drive_user;

typedef enum fw_drive_conflict_kind {
    FW_DRIVE_CONFLICT_CROSS,  /* its way crosses ours */
    FW_DRIVE_CONFLICT_MERGE,  /* its way joins ours in a junction */
    FW_DRIVE_CONFLICT_CHANGE, /* we change into its lane */
} fw_drive_conflict_kind;

/* One road user whose way meets ours. Zone: where both boxes cannot be at once. */
typedef struct fw_drive_conflict {
    uint32_t user;       /* index into users */
    uint32_t kind;       /* fw_drive_conflict_kind */
    uint32_t must_yield; /* 1: we yield to it; 0: it yields to us */
    float enter_s_m, exit_s_m;     /* the zone on our path (path length) */
    float foe_enter_m, foe_exit_m; /* its front bumper's way to the zone's start and end; may be
                                      negative when it is inside or past */
} fw_drive_conflict;

typedef enum fw_drive_light {
    FW_DRIVE_LIGHT_NONE,
    FW_DRIVE_LIGHT_GREEN,
    FW_DRIVE_LIGHT_YELLOW,
    FW_DRIVE_LIGHT_RED,
} fw_drive_light;

typedef struct fw_drive_obs {
    uint32_t drive; /* number of the drive of this unit; a new number is a new route */
    uint32_t tick;  /* of the world */
    int64_t time_ns; /* simulated (lockstep) or wall (realtime) time */
    /* own car */
    float x_m, y_m, yaw_rad, speed_mps;
    float accel_mps2, curvature_pm; /* as last carried out */
    float length_m, width_m, rear_overhang_m;
    float impact_mps2; /* peak of the accelerometer beyond what driving explains: a bump, else 0 */
    float s_m;         /* path length of the rear axle's projection */
    float route_left_m; /* to the end of the route, from the front bumper */
    /* next signal on the route within the window */
    uint32_t light;      /* fw_drive_light */
    float light_s_m;     /* path length of its stop line; undefined for NONE */
    uint32_t path_first, path_count, user_count, conflict_count;
    fw_drive_point path[FW_DRIVE_PATH_MAX];
    fw_drive_user users[FW_DRIVE_USERS_MAX]; /* nearest first */
    fw_drive_conflict conflicts[FW_DRIVE_CONFLICTS_MAX];
} fw_drive_obs;

/* The answer. The world clamps it to what the vehicle can do (vehicle.h). */
typedef struct fw_drive_action {
    float accel_mps2;
    float curvature_pm; /* 1/m, positive turns left */
} fw_drive_action;

enum { FW_DRIVE_OBS_WIRE_MAX = sizeof(fw_drive_obs) };

/* Encodes obs into out (FW_DRIVE_OBS_WIRE_MAX bytes); returns the bytes used. Asserts (1), (3). */
size_t fw_drive_obs_encode(const fw_drive_obs *obs, void *out);
/* Decodes; checks invariants 1-3 and the exact length; FW_CORRUPT with a reason otherwise. */
fw_status fw_drive_obs_decode(const void *bytes, size_t size_bytes, fw_drive_obs *out,
                              fw_error *error) FW_MUST;

/* True when two boxes (centre, yaw, length, width) overlap: separating axes, full size. */
bool fw_drive_boxes_overlap(float ax, float ay, float ayaw, float alength, float awidth, float bx,
                            float by, float byaw, float blength, float bwidth);

#endif
