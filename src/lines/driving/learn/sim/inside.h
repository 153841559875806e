/* inside.h - private: the simulator's state, and the rooms it is worked on in.
 *
 *   fw_sim_step
 *     traffic.c   others: as logged, or held up by somebody on their way (blocked.c, owed.c, manners.c)
 *     step.c      the driven: fw_vehicle_move, or their own log; who is done
 *     enter.c     who comes onto the road, and where
 *     near.c      who is on the road now, densely; of each driven car the nearest
 *     collide.c   full-size boxes, corners off the area
 *     owed.c      what only units' recordings have: lights, meetings
 *   observe.c     scenes by reference
 *
 * `here` is a snapshot: made once a tick when everybody has moved, in order driven first (by agent), then
 * the late, then those who do as logged, both in order of entering. All that a tick decides about others reads the snapshot of the tick
 * before, so the order in which cars are moved changes nothing.
 */
#ifndef FW_LINES_DRIVING_SIM_INSIDE_H
#define FW_LINES_DRIVING_SIM_INSIDE_H

#include "lines/driving/act/scene.h"
#include "lines/driving/learn/sim/manners.h"
#include "lines/driving/learn/sim/sim.h"

enum {
    FW_SIM_SLOTS = FW_SCENARIO_TRACKS_MAX,
    FW_SIM_WAIT = 20,  /* ticks that a car waits for its place to become free */
    FW_SIM_GRACE = 20, /* ticks after the log's end in which its goal still counts */
};
#define FW_SIM_HEED_M 30.0f /* who is farther ahead on a car's way does not hold it up */
#define FW_SIM_NEAR_M 60.0f /* who is farther from every driven car does as logged */

/* Who moves a slot's car. */
typedef enum fw_sim_driver { FW_SIM_ABSENT, FW_SIM_LOG, FW_SIM_LATE, FW_SIM_DRIVEN, FW_SIM_GONE } fw_sim_driver;

/* A car that the caller does not drive: where it is, box centre. */
typedef struct fw_sim_other {
    float x_m, y_m, yaw_rad, cos_yaw, sin_yaw, speed_mps, way_m;
    float length_m, width_m, reach_m; /* of its box; reach: half the diagonal */
    uint32_t id;   /* of its track: a tick reads as little of tracks as it can, for there are many */
    uint32_t at;   /* the last tick of its log at which its way was no longer than way_m */
    bool jumped;   /* changed lanes within this tick (units' recordings) */
    bool mannered; /* manners were drawn */
    fw_sim_manners manners;
} fw_sim_other;

/* Where on a route: path length, offset (left positive), the lane's width there. */
typedef struct fw_sim_place {
    float s_m, lateral_m, width_m, limit_mps;
} fw_sim_place;

typedef enum fw_sim_phase { FW_SIM_WAITS, FW_SIM_DRIVES, FW_SIM_DONE } fw_sim_phase;

/* A car that the caller drives. */
typedef struct fw_sim_agent {
    fw_sim_phase phase;
    uint32_t slot, due; /* due: tick at which it enters */
    uint32_t offset;    /* ticks that it entered later than its log */
    uint32_t deadline;  /* scenes: last tick in which the goal counts */
    const fw_scenario_route *route;
    fw_vehicle_kind kind;
    fw_vehicle_state state;
    float cos_yaw, sin_yaw, x_m, y_m; /* box centre */
    float half_diagonal_m;
    float clear_x_m, clear_y_m, clear_m; /* collide.c: how far from there the area need not be asked */
    fw_sim_place place; /* of the rear axle */
    float start_s_m;
    uint32_t standing_ticks;
    uint32_t lights_passed;           /* bit set over the scenario's lights */
    uint32_t here;                    /* its index in here */
    float guess2_m2;                  /* within what squared distance to look for the nearest first */
    uint32_t user_count, touching;    /* touching: index in here of whom its box overlaps, or UINT32_MAX */
    fw_drive_neighbour users[FW_DRIVE_SCENE_USERS];
    uint16_t user_slot[FW_DRIVE_SCENE_USERS];
    fw_sim_drive drive;
} fw_sim_agent;

/* Who is on the road. */
typedef struct fw_sim_here {
    uint32_t count, driven, heeded; /* the first `driven` are; up to `heeded` are they, and the late */
    uint16_t slot[FW_SIM_SLOTS];
    float reach_max_m;
    float x_m[FW_SIM_SLOTS], y_m[FW_SIM_SLOTS], reach_m[FW_SIM_SLOTS]; /* reach: half the diagonal */
    fw_drive_neighbour box[FW_SIM_SLOTS];
} fw_sim_here;

struct fw_sim {
    const fw_scenario *scenario;
    fw_random random;
    fw_sim_traffic traffic;
    uint64_t drive_seed;
    float spread; /* of manners, 0 .. 1 */
    float jitter;
    uint32_t tick, start_tick, agent_count;
    float light_hold_s; /* how long a light keeps its last recorded state */
    bool other_lights;  /* this drive's lights follow a cycle of their own, not the record */
    uint32_t forced;    /* cars with priority that had to brake for us in this tick */
    uint32_t on_count;
    uint16_t on[FW_SIM_SLOTS];    /* others on the road, in order of entering */
    uint8_t driver[FW_SIM_SLOTS]; /* fw_sim_driver */
    fw_sim_other others[FW_SIM_SLOTS];
    fw_sim_agent agents[FW_SIM_AGENTS_MAX];
    fw_drive_conflict conflicts[FW_DRIVE_CONFLICTS_MAX]; /* of agent 0, units' recordings only */
    uint32_t conflict_count;
    fw_sim_here here;
};

/* fminf and fmaxf without their care for NaN, which costs a call. */
static inline float fw_sim_least(float a, float b) { return a < b ? a : b; }
static inline float fw_sim_most(float a, float b) { return a > b ? a : b; }

static inline const fw_scenario_track *fw_sim_track(const fw_sim *sim, uint32_t slot) {
    return &sim->scenario->tracks[slot];
}

/* ---- near.c ---- */

void fw_sim_gather_here(fw_sim *sim);
/* The nearest of an agent, and whom it touches. */
void fw_sim_gather_near(fw_sim *sim, fw_sim_agent *agent);
/* Whether an agent is among another's nearest, as last gathered. */
bool fw_sim_sees(const fw_sim_agent *agent, const fw_sim_agent *other);

/* ---- collide.c ---- */

bool fw_sim_boxes_overlap(const fw_drive_neighbour *a, const fw_drive_neighbour *b);
fw_drive_neighbour fw_sim_box_of(const fw_sim_agent *agent, uint32_t id);
/* A corner of the box off the area; never where the scenario has none. Remembers what it found out. */
bool fw_sim_off_area(const fw_sim *sim, fw_sim_agent *agent);

/* ---- traffic.c ---- */

/* Puts a slot's car where its log has it; false when its log is not there at this tick. */
bool fw_sim_place_logged(fw_sim *sim, uint32_t slot, uint32_t tick);
/* Moves all others from sim->tick to the next. */
void fw_sim_move_others(fw_sim *sim);
const fw_sim_manners *fw_sim_manners_of(fw_sim *sim, uint32_t slot);

/* ---- blocked.c ---- */

typedef struct fw_sim_hold {
    float gap_m, speed_mps; /* of whoever is on its way, 1e9 when nobody is; speed along the way */
    float wait_m;           /* room before where it must wait, 1e9 when it need not */
} fw_sim_hold;
/* Who holds up an other. On-time cars heed the driven and the late only: logs of cars that both keep to
 * them need no telling, and overlap where they are noisy. */
fw_sim_hold fw_sim_held(const fw_sim *sim, uint32_t slot);

/* ---- owed.c ---- */

fw_drive_light fw_sim_light_state(const fw_sim *sim, const fw_scenario_light *light);
/* Lights whose stop lines lie behind already. */
void fw_sim_pass_lights(const fw_sim *sim, fw_sim_agent *agent);
/* True when the front passed a red light's stop line in this tick. */
bool fw_sim_runs_red(const fw_sim *sim, fw_sim_agent *agent, float front_before_m);
/* Room a track has before a zone in which it owes the unit's car the way; 1e9 when it owes nothing now. */
float fw_sim_owed_after(const fw_sim *sim, uint32_t slot);
/* True when the unit's car owes the way to a track somewhere ahead of it. */
bool fw_sim_has_priority(const fw_sim *sim, uint32_t slot);
/* Whom the unit's car meets now: lists them by slot, asks, and puts indices into its users in place of
 * slots, leaving out who is none of them. */
void fw_sim_list_conflicts(fw_sim *sim, const fw_sim_agent *agent);
bool fw_sim_meets(const fw_sim *sim, uint32_t slot);
void fw_sim_name_conflicts(fw_sim *sim, const fw_sim_agent *agent);
/* Stands although neither a red light nor a car in front holds it. */
bool fw_sim_stands_idle(const fw_sim *sim, const fw_sim_agent *agent);

/* ---- enter.c ---- */

/* Puts an agent on the road where its log is now; false when its place is taken or off the road. */
bool fw_sim_enter(fw_sim *sim, fw_sim_agent *agent);
/* Puts a slot's car on the road, as logged. With `polite`, only where nobody is. */
bool fw_sim_enter_other(fw_sim *sim, uint32_t slot, bool polite);
/* Everybody whose time has come; `here` holds them. */
void fw_sim_enter_due(fw_sim *sim);
/* Where the agent's own log is now; the last pose when it is over. */
uint32_t fw_sim_log_index(const fw_sim *sim, const fw_sim_agent *agent);
/* Puts it there. */
void fw_sim_place_agent(fw_sim *sim, fw_sim_agent *agent);
/* Walks along the route to the segment beside a point, from a path length near it. */
fw_sim_place fw_sim_follow(const fw_scenario_route *route, float s_m, float x_m, float y_m);
/* Its box's centre from its rear axle; its place on the route from the path length it had. */
void fw_sim_settle(fw_sim_agent *agent);

#endif
