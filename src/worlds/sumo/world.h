/* world.h - a real city with measured traffic, in which some of the cars are ours.
 *
 *   real SUMO process  <--TraCI over TCP-->  fw_world  --fw_drive_obs-->  whoever drives car i
 *   (all other cars)                            |      <--fw_drive_action--
 *                                               +--> truth: one fw_drive_result per ended drive
 *
 * The world owns the truth. Our cars' bicycle poses are the truth; SUMO's copy of each follows by
 * setSpeed and changeLane so that its own drivers react to ours. A car whose drive ended (60 s, end
 * of route, or a failure) is counted, removed from SUMO, and another of SUMO's cars is taken over,
 * so that `cars` of them are ours whenever enough are on the road.
 *
 * One tick:   obs(i) for every driven car -> actions -> fw_world_step -> results -> obs(i) ...
 *
 * Invariants: (1) TraCI commands go in car order, every status is checked; (2) same config, same
 * actions -> same observations and results to the bit; (3) nothing in an observation comes from
 * the truth counters; (4) a car is taken over only on a normal lane, without overlap;
 * (5) SUMO is a child process and never outlives the world (PR_SET_PDEATHSIG).
 */
#ifndef FW_WORLDS_SUMO_WORLD_H
#define FW_WORLDS_SUMO_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"
#include "lines/driving/act/drive.h"
#include "worlds/sumo/conditions.h"

enum { FW_WORLD_CARS_MAX = 64, FW_WORLD_DRIVE_TICKS = 600 };

typedef struct fw_world_config {
    const char *network; /* "acosta" or "pasubio" */
    uint64_t seed;       /* picks begin time, SUMO's seed and which cars become ours */
    uint32_t cars;       /* 1 .. FW_WORLD_CARS_MAX */
    bool sumo_drives;    /* SUMO's own drivers keep the wheel; ours are only watched and scored */
    const fw_vehicles *vehicles; /* kinds; NULL: those that ship; outlives the world */
    fw_conditions conditions;    /* from the start; all zero: as measured */
} fw_world_config;

/* How a collision came about; docs/truth.md. */
typedef enum fw_drive_met {
    FW_DRIVE_MET_NOBODY,
    FW_DRIVE_MET_AHEAD,    /* we ran into the one ahead */
    FW_DRIVE_MET_BEHIND,   /* the one behind ran into us */
    FW_DRIVE_MET_CHANGE,   /* side by side while our path changed lanes */
    FW_DRIVE_MET_JUNCTION, /* crossing or merging */
    FW_DRIVE_MET_BESIDE,   /* side by side on a street, our path straight on */
    FW_DRIVE_MET_COUNT,
} fw_drive_met;

/* What one drive was worth, by the world's own measure. Definitions: docs/truth.md. */
typedef struct fw_drive_result {
    uint32_t car, drive, ticks;
    bool collision; /* our full-size box met another's; ends the drive */
    bool at_fault;  /* collision while we moved > 0.5 m/s and the other was ahead of our middle */
    bool red_light; /* front bumper crossed the stop line on red; the drive goes on */
    bool off_lane;  /* left the lane corridor; ends the drive */
    bool stuck;     /* stood 30 s with neither a red light nor a car in front; ends the drive */
    bool desync;    /* SUMO's copy lost (an error of the world's, not of the driver): not scored,
                       but counted and printed */
    bool route_done;
    bool listed_junction; /* the drive, clean or not, came to a junction of the list (78, 51 of
                             acosta), where SUMO's own boxes overlap */
    uint32_t red_light_runs, hard_brakes; /* hard brake: accel <= -4 m/s2 begun */
    double distance_m, mean_speed_mps, jerk_rms_mps3;
    fw_drive_met met; /* collisions: how */
    bool bend_overlap; /* a follower of SUMO's, its distance kept, overlapped us in a kink: no collision */
    bool met_ours;    /* and whether the other was one of our cars */
    float x_m, y_m;   /* where the drive ended: our box's centre */
} fw_drive_result;

/* clean: none of collision, off_lane, red_light, stuck. */
static inline bool fw_drive_result_clean(const fw_drive_result *r) {
    return !(r->collision || r->off_lane || r->red_light || r->stuck);
}

typedef struct fw_world fw_world;

/* Starts SUMO (found on PATH; networks in Debian's sumo-tools, or under FLYWHEEL_SUMO_SCENARIOS),
 * warms traffic up and takes the first cars. Errors name the missing package or file.
 * The caller closes it. */
fw_status fw_world_open(const fw_world_config *config, fw_world **out, fw_error *error) FW_MUST;
void fw_world_close(fw_world *world);

uint32_t fw_world_tick(const fw_world *world);
/* What car i sees now, valid until the next step; NULL while no car is found for slot i. */
const fw_drive_obs *fw_world_obs(const fw_world *world, uint32_t car);
/* Carries out actions[car] for every driven car and moves the city one tick.
 * FW_CLOSED when SUMO died. */
fw_status fw_world_step(fw_world *world, const fw_drive_action *actions, fw_error *error) FW_MUST;
/* Other conditions from the next step on; between two steps. FW_CLOSED when SUMO died. */
fw_status fw_world_shift(fw_world *world, const fw_conditions *conditions, fw_error *error) FW_MUST;
/* Takes the results of drives ended by the last step, in car order; false when none is left. */
bool fw_world_take_result(fw_world *world, fw_drive_result *out);
/* After a step in which car i's drive ended by a bump: the last observation of that drive, with
 * impact_mps2 set as its accelerometer felt it; NULL otherwise. Valid until the next step. */
const fw_drive_obs *fw_world_last_obs(const fw_world *world, uint32_t car);
/* True when this world's hours are over. Demand lasts one hour: training worlds (seeds without the
 * top bit) begin in its first 20 minutes and are over after FW_WORLD_HOURS_END_S; the examiner's
 * (with it) begin in its last third. So no sealed departure is one that training ever saw. */
enum { FW_WORLD_HOURS_END_S = 2340 };
bool fw_world_over(const fw_world *world);
/* Hash of all that a world is made of beside this program: SUMO's binary, the network, its demand. */
fw_status fw_world_fingerprint(const char *network, fw_hash *out, fw_error *error) FW_MUST;
/* SUMO's process id, for fault tests. */
int fw_world_sumo_pid(const fw_world *world);

#endif
