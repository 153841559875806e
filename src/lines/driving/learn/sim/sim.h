/* sim.h - driving again in a scenario: one world, all its cars in arrays, a tick at a time.
 *
 *   scenario (const) + fw_sim --> observations of the driven --actions--> fw_sim_step --> outcomes
 *
 *   slot      0      1      2     ...  n-1        a slot is a track of the scenario; arrays over slots:
 *   x_m     [    ][    ][    ]       [    ]       poses are box centres, as in the scenario
 *   driver   LOG   REACT  ARTIFICIAL...           who moves it in this drive
 *   driven   agent 0 = slot a, agent 1 = slot b   the caller's, in the order it named them
 *
 * Three kinds of traffic:
 *   replayed   all others do what their log did, whatever we do
 *   reactive   others keep to the way of their log at a pace of their own: IDM (Treiber, Hennecke, Helbing
 *              2000) with the driver's manners drawn for each (manners.h), behind whoever is on that way,
 *              yielding where they owe it; while nobody is in the way and they are not late, as logged
 *   self-play  every car that has a route is driven by the caller; the rest as reactive
 *
 * A drive ends by a collision (full-size boxes), off the road (a corner outside the area where the scenario
 * has one; the box's centre outside its lane where not), at its goal, at the route's end, or in time. A car
 * whose drive is over leaves the world. No speed below 0. No allocation after fw_sim_new; a step costs what
 * is near the driven cars, not the size of the scenario.
 *
 * Reproducible: the same seed, start and actions give the same bits, on whatever thread.
 */
#ifndef FW_LINES_DRIVING_SIM_H
#define FW_LINES_DRIVING_SIM_H

#include "base/random.h"
#include "lines/driving/act/features.h"
#include "lines/driving/act/scene.h"
#include "lines/driving/learn/scenario/scenario.h"

enum { FW_SIM_AGENTS_MAX = 64 };
#define FW_SIM_GOAL_M 3.0f /* of the box's centre from the log's end */

typedef enum fw_sim_traffic { FW_SIM_REPLAYED, FW_SIM_REACTIVE, FW_SIM_SELF_PLAY, FW_SIM_TRAFFIC_COUNT } fw_sim_traffic;
const char *fw_sim_traffic_name(fw_sim_traffic traffic); /* "replayed", "reactive", "self-play" */

typedef enum fw_sim_end {
    FW_SIM_RUNS,
    FW_SIM_COLLISION,
    FW_SIM_OFF_ROAD,
    FW_SIM_GOAL,       /* within 3 m of the log's end, at most 2 s later than the log: scenes only */
    FW_SIM_ROUTE_DONE, /* units' recordings: the route is driven */
    FW_SIM_TIME_OUT,   /* scenes: the goal was not reached; units': the recording is over, nobody's doing */
} fw_sim_end;

/* What one drive came to so far. Definitions with pictures: docs/metrics.md. */
typedef struct fw_sim_drive {
    fw_sim_end end;
    bool at_fault;   /* collision while we moved > 0.5 m/s and the other was ahead of our middle */
    bool light_seen, red_light, stuck;
    uint32_t ticks, forced; /* forced: ticks in which a car with priority had to brake for us */
    uint32_t ttc_ticks;     /* time to collision with the leader below 1.5 s */
    uint32_t accel_ticks, jerk_ticks, lateral_ticks; /* |a| > 4, |jerk| > 8, lateral > 4 m/s2 (m/s3) */
    uint32_t hard_brakes;   /* begun: a <= -4 */
    float distance_m, goal_left_m; /* driven; path length left to the goal, scenes only */
    float progress;         /* share of the logged way, 0 .. 1; scenes only */
    double deviation_sum_m; /* over ticks, to the log at the same time (ADE's sum) */
    float final_deviation_m;/* FDE: at the log's end or the drive's, whichever is first */
    double jerk2_sum;       /* of (m/s3)^2 over ticks */
} fw_sim_drive;

typedef struct fw_sim_outcome {
    float reward; /* reward.h */
    fw_sim_end end;
} fw_sim_outcome;

/* How a drive begins. */
typedef struct fw_sim_start {
    const fw_scenario *scenario; /* outlives the drive */
    uint32_t tick;
    fw_sim_traffic traffic;
    const uint32_t *tracks; /* (track_count) who is driven; those not there yet begin when their log does */
    uint32_t track_count;   /* 1 .. FW_SIM_AGENTS_MAX */
    float jitter;           /* 0: as logged; 1: poses, speeds and times a little different */
    float manners;          /* 0: every driver of the kind the evaluation has; 1: drawn widely */
    const fw_vehicle_kind *kind; /* NULL: each its own; otherwise what the first agent drives instead */
} fw_sim_start;

typedef struct fw_sim fw_sim;

/* Room for any scenario; about 1 MiB. The caller frees it. */
fw_status fw_sim_new(uint64_t seed, fw_sim **out, fw_error *error) FW_MUST;
void fw_sim_free(fw_sim *sim);
/* The randomness from here on: the same seed again, the same drive again. */
void fw_sim_seed(fw_sim *sim, uint64_t seed);

/* FW_INVALID when a track has no route, or cannot begin: its box lies off the road or in another's. (Rows of
 * an evaluation count those apart.) With several, those that cannot begin are left out; FW_INVALID if all. Who
 * was left out, or waited for its place in vain, never runs: its drive has ticks 0. */
fw_status fw_sim_begin(fw_sim *sim, const fw_sim_start *start, fw_error *error) FW_MUST;

uint32_t fw_sim_agents(const fw_sim *sim);           /* of this drive: track_count */
bool fw_sim_running(const fw_sim *sim, uint32_t agent); /* on the road now: it observes and acts */
bool fw_sim_over(const fw_sim *sim);                 /* nobody runs, and nobody will come */
const fw_sim_drive *fw_sim_drive_of(const fw_sim *sim, uint32_t agent);
uint32_t fw_sim_tick(const fw_sim *sim);

/* What agent sees now, by reference to the simulator's own arrays: valid until the next step. */
void fw_sim_scene(const fw_sim *sim, uint32_t agent, fw_drive_scene *out);
/* For all agents that run: views[agent] and row agent of features (agents, FW_FEATURES). */
void fw_sim_observe(fw_sim *sim, float *features, fw_drive_view *views);
/* One tick; actions and outcomes by agent, those that do not run are neither read nor written. */
void fw_sim_step(fw_sim *sim, const fw_drive_action *actions, fw_sim_outcome *outcomes);
/* One tick in which the driven do what their own log did, and are judged like anybody: the floor of each
 * metric (score/driver.h). A car whose log is over keeps its last pose. */
void fw_sim_step_logged(fw_sim *sim, fw_sim_outcome *outcomes);

/* For pictures: every box on the road now, driven ones first by agent. Returns how many. */
typedef struct fw_sim_box {
    uint32_t id, track;
    float x_m, y_m, yaw_rad, speed_mps, length_m, width_m;
    bool driven;
} fw_sim_box;
uint32_t fw_sim_boxes(const fw_sim *sim, fw_sim_box *out, uint32_t most);

#endif
