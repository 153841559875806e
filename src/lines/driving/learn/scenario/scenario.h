/* scenario.h - a short closed-loop test: a map, who drove on it, and what there is to drive.
 *
 *   a unit's recording (what one car saw)  --unit.c---> scenario, one route: the unit's own
 *   a scene (CommonRoad 2018b, 2020a)      --scene.c--> scenario, a route for every car that has one
 *
 *   area    o======================o   drivable: signed distance to its edge on a grid (inside > 0)
 *   lanes   |  centre line, width  |-> successors
 *   routes  ~~~~~~~[car]~~~~~~~~~~X    one polyline on the 2 m grid for each car that can be driven; X goal
 *   tracks  where everybody was, tick by tick, smoothed (smooth.h), and the way each took
 *   meetings, lights                   as a unit saw them (only units' recordings have them)
 *
 * A scenario is read-only and shared by all simulated drives; what changes lives in sim/sim.h.
 * One tick is FW_DRIVE_TICK_S. Poses of tracks are BOX CENTRES; routes are made for the rear axle.
 *
 * Scenes: a scene's map has no right of way and no lights (NGSIM has none), so it has no meetings. A track's
 * route follows lane centre lines (match.h), changes lanes where the log did, and goes on beyond the log's
 * end for FW_SCENARIO_BEYOND_M. Its goal is where the log ends.
 * Units: the corridor is the route with its lane's width; there is no area. A unit's recording is short of
 * what lies beyond its sight; what was filled in stands in unit.c.
 *
 * Invariants: (1) every track lies within [0, ticks); (2) way_m never decreases; (3) indices are in range;
 * (4) all numbers are finite; (5) the same bytes give the same scenario.
 */
#ifndef FW_LINES_DRIVING_SCENARIO_H
#define FW_LINES_DRIVING_SCENARIO_H

#include "base/hash.h"
#include "lines/driving/act/drive.h"
#include "lines/driving/act/vehicle.h"

enum {
    FW_SCENARIO_TICKS_MIN = 30,   /* 3 s: what is shorter decides too little to tell drivers apart */
    FW_SCENARIO_TRACKS_MAX = 512,
    FW_SCENARIO_LIGHTS_MAX = 16,
    FW_SCENARIO_MEETINGS_MAX = 1024,
    FW_SCENARIO_EVERY = 50,       /* a long track is driven from its start and from every 5 s on */
    FW_SCENARIO_TAIL = 30,        /* ticks that a unit's scenario goes on beyond its recording */
    FW_SCENARIO_FILE_MAX = 64 << 20,
};
/* Of a route behind its goal, and 20 m before its start. A car sees how far its route goes up to 100 m
 * (features.h): more, so that nobody sees where a log ends. */
#define FW_SCENARIO_BEYOND_M 120.0f
#define FW_SCENARIO_NONE UINT32_MAX

/* A lane of the map, for pictures and routes. */
typedef struct fw_scenario_lane {
    uint32_t first, count; /* points in lane_points, one for each of left, right and centre */
    float limit_mps;
} fw_scenario_lane;
typedef struct fw_scenario_lane_point {
    float left_x_m, left_y_m, right_x_m, right_y_m;
} fw_scenario_lane_point;

/* Signed distance to the edge of the drivable area, at cell corners; bilinear between. */
typedef struct fw_scenario_area {
    float x_m, y_m, cell_m; /* of distance_m[0] */
    uint32_t columns, rows; /* 0: there is no area, the corridor counts */
    float *distance_m;      /* (rows, columns); > 0 inside; clamped to +-FW_SCENARIO_AREA_FAR_M */
} fw_scenario_area;
#define FW_SCENARIO_AREA_FAR_M 8.0f

/* A way to drive. Point i lies at path length i * FW_DRIVE_GRID_M (of the whole route, from `first` on). */
typedef struct fw_scenario_route {
    uint32_t first, count;
    fw_drive_point *points;              /* (count) */
    float *heading_rad, *curvature_pm;   /* (count) by fw_drive_path_shape */
    float end_s_m;                       /* path length where the route ends for a front bumper */
    float goal_s_m;                      /* of the rear axle at the goal; scenes only, else 0 */
    float goal_x_m, goal_y_m;            /* BOX CENTRE at the log's end */
} fw_scenario_route;

typedef struct fw_scenario_track {
    uint32_t id, first, count; /* ticks [first, first + count) */
    uint32_t lane;             /* as observed by a unit; FW_SCENARIO_NONE otherwise */
    uint32_t route;            /* index of its route, FW_SCENARIO_NONE: it is never driven */
    fw_vehicle_kind kind;      /* scaled to its box (fw_vehicles_like) */
    /* (count) each, one block owned by the scenario; box centre */
    float *x_m, *y_m, *yaw_rad, *speed_mps, *way_m, *cos_yaw, *sin_yaw;
    float *accel_mps2, *curvature_pm;
} fw_scenario_track;

typedef struct fw_scenario_meeting {
    uint32_t track, kind, must_yield; /* kind: fw_drive_conflict_kind */
    float enter_s_m, exit_s_m;        /* the zone, on the route of track 0 */
    float wait_s_m;                   /* where a front bumper waits for it, at most enter_s_m: a stop line */
    float foe_enter_m, foe_exit_m;    /* on the track's way: of its box centre */
    uint32_t first_tick, last_tick;   /* when it was listed */
    bool passed;                      /* the recorded car had left the zone when listing ended */
} fw_scenario_meeting;

typedef struct fw_scenario_light {
    float stop_s_m;     /* on the route of track 0 */
    uint32_t last_tick; /* when it was last seen */
    uint8_t *state;     /* (ticks): fw_drive_light, held before first and after last */
} fw_scenario_light;

/* A drive that can begin: a track that has a route, from a tick of its log on. */
typedef struct fw_scenario_start {
    uint32_t track, tick, ticks; /* ticks: of its log from there on */
} fw_scenario_start;

/* What kind of place and moment it is: the slices of reports (docs/metrics.md). */
typedef struct fw_scenario_tags {
    char site[24];  /* "US101", "Lanker", a city's network, or empty */
    char group[48]; /* overlap group or simulation run: what intervals resample; never empty */
} fw_scenario_tags;

typedef struct fw_scenario {
    fw_hash source; /* of the file it was made from */
    fw_scenario_tags tags;
    bool scene;        /* made of a scene; otherwise of a unit's recording, whose own car is track 0 */
    uint32_t ticks, recorded; /* drives of a unit's recording begin within `recorded` */
    fw_scenario_area area;
    uint32_t lane_count, lane_point_count, route_count, track_count, meeting_count, light_count, event_count,
        start_count;
    fw_scenario_lane *lanes;
    fw_scenario_lane_point *lane_points;
    fw_scenario_route *routes;
    fw_scenario_track *tracks;
    fw_scenario_meeting *meetings;
    fw_scenario_light lights[FW_SCENARIO_LIGHTS_MAX];
    uint32_t *event_ticks;      /* (event_count) when the unit flagged something */
    fw_scenario_start *starts;  /* (start_count) in order of track, then tick */
    uint32_t *active_at;        /* (ticks + 1): start of each tick's list in `active` */
    uint16_t *active;           /* tracks that may be somewhere then, by tick */
} fw_scenario;

/* Makes a scenario of a file: a unit's recording (channels.h) or an imported scene (docs/import.md).
 * FW_INVALID with a reason when there is nothing to drive in it, FW_CORRUPT when it is neither. The caller
 * frees it. */
fw_status fw_scenario_read(const char *path, const fw_vehicles *vehicles, fw_scenario **out,
                           fw_error *error) FW_MUST;
/* The same of a file's bytes. */
fw_status fw_scenario_parse(const void *bytes, size_t size_bytes, const fw_vehicles *vehicles, fw_scenario **out,
                            fw_error *error) FW_MUST;
void fw_scenario_free(fw_scenario *scenario); /* NULL: nothing */

/* Distance to the drivable area's edge at a point, > 0 inside; outside of the grid: -FW_SCENARIO_AREA_FAR_M. */
float fw_scenario_area_at(const fw_scenario_area *area, float x_m, float y_m);
/* Whether a corner of a track's logged box is off the area at its i-th tick; false where there is no area. */
bool fw_scenario_off_area(const fw_scenario *scenario, const fw_scenario_track *track, uint32_t i);

#endif
