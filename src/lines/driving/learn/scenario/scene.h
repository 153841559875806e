/* scene.h - a scene as it was imported: somebody else's view of a place, a map and everybody's tracks.
 *
 *   flywheel import commonroad --> MCAP (docs/formats/imported.md) --fw_scene_parse--> fw_scene
 *                                                                                        |
 *              fw_scenario, and a report of what was made of it <--fw_scenario_of_scene--+
 *
 *   map.h     lanelets: centre lines, who follows whom, who lies beside whom
 *   smooth.h  tracks without their noise
 *   match.h   which lanes each track drove on
 *   route.h   the way to drive that follows from it
 *   area.h    how far it is to the edge of the road
 *
 * A scene is plain data that a test may also write by hand (tests/lines/synthetic_scene.h). Reading trusts
 * nothing: links to lanelets that are not there are passed over, everything else that does not fit is
 * FW_CORRUPT with the channel and the reason.
 *
 * Invariants: (1) a scene's steps are FW_DRIVE_TICK_S long, FW_UNSUPPORTED otherwise; (2) states are ordered by
 * object, then step, at most one each; (3) every lanelet has two bounds of at least two points each, every
 * number is finite and within FW_SCENE_FAR_M of the scene's origin.
 */
#ifndef FW_LINES_DRIVING_SCENARIO_SCENE_H
#define FW_LINES_DRIVING_SCENARIO_SCENE_H

#include "lines/driving/learn/scenario/scenario.h"

enum {
    FW_SCENE_LANELETS_MAX = 4096,
    FW_SCENE_POINTS_MAX = 1 << 18, /* of all bounds */
    FW_SCENE_LINKS_MAX = 64,       /* of one lanelet */
    FW_SCENE_STEPS_MAX = 6000,     /* ten minutes */
    FW_SCENE_STATES_MAX = 1 << 20,
    FW_SCENE_ID_MAX = 32,
};
#define FW_SCENE_FAR_M 1e5

typedef struct fw_scene_point {
    double x_m, y_m;
} fw_scene_point;

typedef enum fw_scene_link_kind { FW_SCENE_SUCCESSOR, FW_SCENE_PREDECESSOR, FW_SCENE_LEFT, FW_SCENE_RIGHT } fw_scene_link_kind;
typedef struct fw_scene_link {
    uint32_t kind;    /* fw_scene_link_kind; beside: only of the same driving direction */
    uint32_t lanelet; /* index of the other */
} fw_scene_link;

typedef struct fw_scene_lanelet {
    char id[FW_SCENE_ID_MAX];
    double limit_mps; /* 0: the map does not say */
    uint32_t left_first, left_count, right_first, right_count; /* in points */
    uint32_t link_first, link_count;                           /* in links */
} fw_scene_lanelet;

typedef struct fw_scene_object {
    char id[FW_SCENE_ID_MAX];
    bool vehicle; /* it drives on lanes: no pedestrian, no bicycle, nothing static */
    bool still;   /* static: where its one state says, all the time */
    double length_m, width_m; /* 1 m each where the scene gives no rectangle */
    uint32_t state_first, state_count; /* in states */
} fw_scene_object;

/* Where an object's box was at a step. Speed and yaw may be missing (NaN). */
typedef struct fw_scene_state {
    uint32_t object, step;
    double x_m, y_m, yaw_rad, speed_mps;
} fw_scene_state;

typedef struct fw_scene {
    fw_hash source;
    char name[64]; /* of the file that was imported */
    fw_scenario_tags tags;
    uint32_t lanelet_count, point_count, link_count, object_count, state_count, steps;
    fw_scene_lanelet *lanelets;
    fw_scene_point *points;
    fw_scene_link *links;
    fw_scene_object *objects;
    fw_scene_state *states;
} fw_scene;

/* Whether the file says of itself that it is a scene; says nothing about whether it is a good one. */
bool fw_scene_is(const void *bytes, size_t size_bytes);
/* FW_CORRUPT, FW_TOO_BIG, FW_UNSUPPORTED or FW_NO_MEMORY with a reason. The caller frees it. */
fw_status fw_scene_parse(const void *bytes, size_t size_bytes, fw_scene **out, fw_error *error) FW_MUST;
void fw_scene_free(fw_scene *scene);
/* Names the traffic in it: equal for two scenes that tell of the same moments in different frames, as data sets do
 * that make several tasks of one recording. Of the objects' boxes, when they are there and how fast. */
fw_status fw_scene_traffic(const fw_scene *scene, fw_hash *out, fw_error *error) FW_MUST;

/* ---- what was made of it ---- */

/* Why a track is not driven, or that it is. */
typedef enum fw_scene_fate {
    FW_SCENE_DRIVEN,
    FW_SCENE_NO_VEHICLE, /* a pedestrian, a bicycle */
    FW_SCENE_SHORT,      /* fewer than FW_SCENARIO_TICKS_MIN ticks */
    FW_SCENE_STOOD,      /* less than FW_SCENE_MOVES_M in all of them: parked, or waiting */
    FW_SCENE_NO_LANE,    /* too far from every lane for too long (match.h) */
    FW_SCENE_SHARP,      /* its route would be sharper than a car can turn */
    FW_SCENE_SIDEWAYS,   /* its goal lies more than FW_SCENE_GOAL_SIDE_M beside its route */
    FW_SCENE_FATE_COUNT
} fw_scene_fate;
const char *fw_scene_fate_text(fw_scene_fate fate);
#define FW_SCENE_MOVES_M 5.0f
#define FW_SCENE_GOAL_SIDE_M 2.5f

/* Percentiles 0.5, 50 and 99.5 of a signed quantity, by nearest rank. */
typedef struct fw_scene_spread {
    double low, middle, high;
} fw_scene_spread;

typedef struct fw_scene_report {
    uint32_t tracks, ticks, lanelets, starts;
    uint32_t fates[FW_SCENE_FATE_COUNT]; /* of tracks */
    uint32_t off_area;      /* starts whose logged drive has a corner off the area at some tick */
    double residual_rms_m, residual_p99_m; /* of smoothed against given positions, all ticks of all tracks */
    fw_scene_spread accel_before, accel_after; /* m/s2, from differences of speeds as given and as smoothed */
    double curvature_max_pm; /* of all routes */
    double goal_side_max_m;  /* of all routes */
} fw_scene_report;

/* *report is whole also when FW_INVALID says that there is nothing to drive. The caller frees *out. */
fw_status fw_scenario_of_scene(const fw_scene *scene, const fw_vehicles *vehicles, fw_scenario **out,
                               fw_scene_report *report, fw_error *error) FW_MUST;

#endif
