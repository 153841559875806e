/* fleet.h - the bus server: a world on one side, one unit process for each of our cars on the other.
 *
 *    conductor --lines--> fleet --OBSERVE--> unit 0 .. N-1
 *              <--JSON---   |   <---ACT-----
 *                           +-- fw_world (worlds/sumo/world.h)
 *
 * One tick:
 *    reconnects -> OBSERVE to every unit whose car has a drive -> their ACTs, in unit order
 *               -> fw_world_step -> for each ended drive: its last observation if it was a bump,
 *                                   then END
 * A `run` ends with FLUSH to every unit, so that a data set can close at this tick.
 *
 * Two clocks. Lockstep: the world waits for every answer (FW_FLEET_PATIENCE_MS, then the unit is
 * cut off). Realtime: one tick each 100 ms of wall-clock time; an answer after its tick is a miss
 * and is thrown away when it comes.
 *
 * Commands, one a line on stdin:
 *    run TICKS    TICKS ticks, FLUSH, then the "paused" line
 *    go TICKS     the same without FLUSH: recordings stay open (a rollout's few ticks)
 *    shift CONDITIONS   other conditions of the city from the next tick on, as "shift demand 2, traffic 1" or
 *                 "shift kind van:0.3" or "shift left-hand on" (worlds/sumo/conditions.h); kept over restarts.
 *                 Sent while nothing runs, it comes at the same tick in every run of the same seed.
 *    quit         ends, as does the end of stdin
 * Events, one JSON object a line on stdout: "ready", "tick" (still running), "paused", "restarted"
 * (SUMO died and a new one runs), "shifted" (with all conditions as they are now), "error" (a line that was refused), "stopped". In "paused", `recordings` and `lost_bytes` are the unit's own last report
 * (since that unit started); `ticks`, `vetoes`, `misses`, `cuts` (times it was cut off) and `drives` since the last "paused".
 * `drives` is the world's truth, for the conductor alone: it is never sent to a unit.
 *
 * Invariants: (1) at most one frame is in flight per unit; (2) a car whose unit is gone or late
 * brakes gently and keeps its curvature; (3) a unit may come back at any tick under its number;
 * (4) ticks, times and drive numbers sent to units never go back, also over a restart of SUMO;
 * (5) same config and same answers -> same observations sent.
 */
#ifndef FW_WORLDS_FLEET_H
#define FW_WORLDS_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/status.h"
#include "worlds/sumo/conditions.h"

#define FW_SEED_SEALED (1ULL << 63) /* seeds with this bit belong to the examiner */
#define FW_FLEET_LOST_ACCEL_MPS2 -3.0f
enum {
    FW_FLEET_PATIENCE_MS = 120000, /* lockstep: longest wait for one answer */
    FW_FLEET_UNITS_WAIT_MS = 60000, /* longest wait for all units at the start */
    FW_FLEET_MISSES_MAX = 50,      /* realtime: misses in a row until a unit is cut off */
    FW_FLEET_RESTARTS_MAX = 5,     /* SUMO restarts in a row without a tick between */
    FW_FLEET_LINE_MAX = 256,       /* bytes of a command */
    FW_FLEET_TICK_EVENTS = 50,     /* ticks of a run between two "tick" events */
};

typedef struct fw_fleet_config {
    const char *network;
    uint64_t seed;         /* without FW_SEED_SEALED */
    uint32_t cars;         /* = units */
    const char *bus_path;
    bool realtime;
    const fw_vehicles *vehicles; /* kinds; NULL: those that ship */
    fw_conditions conditions;    /* from the start; all zero: as measured */
    int in_fd, out_fd;     /* the conductor's lines */
    const fw_env *env;
} fw_fleet_config;

/* Serves until quit. Errors: FW_INVALID (seed, cars), the world's and the bus's own. */
fw_status fw_fleet_serve(const fw_fleet_config *config, fw_error *error) FW_MUST;

#endif
