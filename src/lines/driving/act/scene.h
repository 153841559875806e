/* scene.h - what a car knows in a tick, by reference: the same on a unit and in the simulator.
 *
 *   unit:       fw_drive_obs (a message) --fw_drive_scene_of--> fw_drive_scene --+
 *   simulator:  its arrays ----------------------------------> fw_drive_scene --+--view.h--> view --features.h--> x
 *
 * Everything that decides (policy, IDM, guard, events, features) reads a scene, so that a unit and the
 * factory cannot see different things. Nothing is copied: the simulator sees millions a second.
 *
 * Frame, units, path grid: drive.h. Angles of the path and of users come with their cosine and sine, made
 * once where they change rather than once a look.
 *
 * Invariants: (1) users are ordered by distance of their box's centre from ours, nearest first (ties: by id),
 * at most FW_DRIVE_SCENE_USERS of them, none beyond FW_DRIVE_RANGE_M; (2) conflicts[i].user < user_count;
 * (3) path_count >= 2; point i of the path lies at path length (path_first + i) * FW_DRIVE_GRID_M;
 * (4) yaw_rad and headings within +-pi.
 */
#ifndef FW_LINES_DRIVING_SCENE_H
#define FW_LINES_DRIVING_SCENE_H

#include "lines/driving/act/drive.h"

enum { FW_DRIVE_SCENE_USERS = 16 }; /* the nearest: who is farther changes no decision of a tick */

typedef struct fw_drive_neighbour {
    uint32_t id;
    float x_m, y_m, cos_yaw, sin_yaw, speed_mps;
    float length_m, width_m;
} fw_drive_neighbour;

typedef struct fw_drive_scene {
    float x_m, y_m, yaw_rad, cos_yaw, sin_yaw, speed_mps; /* rear axle */
    float accel_mps2, curvature_pm;                       /* as last carried out */
    float length_m, width_m, rear_overhang_m;
    float s_m, route_left_m;
    uint32_t light;    /* fw_drive_light */
    float light_s_m;   /* undefined for NONE */
    uint32_t path_first, path_count, user_count, conflict_count;
    const fw_drive_point *path;                /* (path_count) */
    const float *heading_rad, *curvature_pm_path; /* (path_count): of the segment from here; by fw_drive_path_shape */
    const fw_drive_neighbour *users;           /* (user_count) */
    const fw_drive_conflict *conflicts;        /* (conflict_count) */
} fw_drive_scene;

/* Headings of a path's segments (the last repeats) and its curvature at each point, from the headings four
 * metres behind and ahead. Run once a route by the simulator, once a message by a unit. */
void fw_drive_path_shape(const fw_drive_point *points, uint32_t count, float *heading_rad, float *curvature_pm);

/* Room for what a message does not carry itself; one for each car or thread. */
typedef struct fw_drive_scene_room {
    float heading_rad[FW_DRIVE_PATH_MAX], curvature_pm[FW_DRIVE_PATH_MAX];
    fw_drive_neighbour users[FW_DRIVE_SCENE_USERS];
    fw_drive_conflict conflicts[FW_DRIVE_CONFLICTS_MAX];
    fw_drive_point no_path[2]; /* of a message without a route: straight ahead, to be driven at 0 m/s */
} fw_drive_scene_room;

/* A message's scene. Conflicts with users beyond the nearest are kept: such a user takes the place of the
 * farthest one that has none. `obs` and `room` outlive it. */
void fw_drive_scene_of(const fw_drive_obs *obs, fw_drive_scene_room *room, fw_drive_scene *out);

#endif
