/* vehicle.h - kinds of vehicles, as data: what a box is and what it can do.
 *
 *   vehicles.json --fw_vehicles_parse--> fw_vehicles --fw_vehicles_find("van")--> kind --> fw_vehicle_move
 *
 * The table that ships lies beside this file and is part of the program; a fleet with a kind of its own
 * gives another (--vehicles FILE), so a new kind needs no C. Used by whoever moves cars: the city's world
 * and the simulator of scenarios. A unit needs none of it: its observation says how long and wide it is.
 *
 *        rear bumper          rear axle (x, y)                      front bumper
 *            |<- rear_overhang_m ->|<------- length_m - rear_overhang_m ------>|
 */
#ifndef FW_LINES_DRIVING_VEHICLE_H
#define FW_LINES_DRIVING_VEHICLE_H

#include "lines/driving/act/drive.h"

enum { FW_VEHICLE_KINDS_MAX = 16, FW_VEHICLE_NAME_MAX = 24 };

typedef struct fw_vehicle_kind {
    char name[FW_VEHICLE_NAME_MAX]; /* "car", "van", "truck", "bus" */
    float length_m, width_m, rear_overhang_m;
    float accel_max_mps2, brake_max_mps2; /* both > 0 */
    float jerk_max_mps3;                  /* of a change of acceleration, either way */
    float curvature_max_pm;               /* 1/m */
    float curvature_rate_max_pm_s;        /* how fast steering turns: 1/m per second */
    float lateral_max_mps2;               /* speed^2 * curvature */
} fw_vehicle_kind;

typedef struct fw_vehicles {
    uint32_t count;
    fw_vehicle_kind kinds[FW_VEHICLE_KINDS_MAX]; /* kinds[0]: the default, a car */
} fw_vehicles;

/* The table that ships. */
const fw_vehicles *fw_vehicles_builtin(void);
/* Reads a table: {"format":1,"vehicles":[{"name":...,...},...]}. FW_CORRUPT naming the kind and field when
 * one is missing, unknown, or outside what is a vehicle (ranges in vehicle.c); *out untouched then. */
fw_status fw_vehicles_parse(const char *text, size_t size_bytes, fw_vehicles *out, fw_error *error) FW_MUST;
fw_status fw_vehicles_read(const char *path, fw_vehicles *out, fw_error *error) FW_MUST;
/* NULL when there is none of that name. */
const fw_vehicle_kind *fw_vehicles_find(const fw_vehicles *vehicles, const char *name);
/* The kind whose box is nearest to this one, scaled to it: limits of the kind, its overhang's share of the
 * length; for road users of whom only the box is known. */
fw_vehicle_kind fw_vehicles_like(const fw_vehicles *vehicles, float length_m, float width_m);

typedef struct fw_vehicle_state {
    float x_m, y_m, yaw_rad, speed_mps; /* of the rear axle; speed >= 0 */
    float accel_mps2, curvature_pm;     /* as carried out in the last tick */
} fw_vehicle_state;

/* One tick of a kinematic bicycle (Rajamani, Vehicle Dynamics and Control, 2.2; reference point: rear
 * axle), integrated exactly along its arc. `wanted` is clamped to the kind's limits in this order: jerk,
 * acceleration, no reverse; steering rate, curvature, lateral acceleration. A car that stands keeps no
 * braking: its acceleration becomes what was carried out. dt_s > 0. */
void fw_vehicle_move(const fw_vehicle_kind *kind, fw_vehicle_state *state, fw_drive_action wanted, float dt_s);

#endif
