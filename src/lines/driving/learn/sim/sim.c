/* sim.c - a drive's begin, and what may be asked of it at any time. */
#include "lines/driving/learn/sim/sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lines/driving/learn/sim/inside.h"

const char *fw_sim_traffic_name(fw_sim_traffic traffic) {
    static const char *const names[FW_SIM_TRAFFIC_COUNT] = {"replayed", "reactive", "self-play"};
    return traffic < FW_SIM_TRAFFIC_COUNT ? names[traffic] : "unknown";
}

fw_status fw_sim_new(uint64_t seed, fw_sim **out, fw_error *error) {
    fw_sim *sim = calloc(1, sizeof *sim);
    if (!sim) return fw_fail(error, FW_NO_MEMORY, "simulator: no memory for a world");
    fw_sim_seed(sim, seed);
    *out = sim;
    return FW_OK;
}

void fw_sim_free(fw_sim *sim) { free(sim); }

void fw_sim_seed(fw_sim *sim, uint64_t seed) { sim->random = fw_random_named(seed, "sim"); }

/* ---- begin ---- */

static fw_status check_start(const fw_sim_start *start, fw_error *error) {
    const fw_scenario *s = start->scenario;
    if (start->track_count == 0 || start->track_count > FW_SIM_AGENTS_MAX)
        return fw_fail(error, FW_INVALID, "drive: %u cars to drive, 1 to %d can be", start->track_count,
                       FW_SIM_AGENTS_MAX);
    if (start->tick >= s->ticks || (!s->scene && start->tick >= s->recorded))
        return fw_fail(error, FW_INVALID, "drive: cannot begin at tick %u of %u", start->tick, s->ticks);
    for (uint32_t a = 0; a < start->track_count; a++) {
        uint32_t track = start->tracks[a];
        if (track >= s->track_count || s->tracks[track].route == FW_SCENARIO_NONE)
            return fw_fail(error, FW_INVALID, "drive: track %u has no route", track);
        for (uint32_t b = 0; b < a; b++)
            if (start->tracks[b] == track) return fw_fail(error, FW_INVALID, "drive: track %u is named twice", track);
    }
    return FW_OK;
}

static void reset(fw_sim *sim, const fw_sim_start *start) {
    sim->scenario = start->scenario;
    sim->traffic = start->traffic;
    sim->tick = sim->start_tick = start->tick;
    sim->spread = start->manners;
    sim->jitter = start->jitter;
    sim->agent_count = start->track_count;
    sim->on_count = sim->conflict_count = sim->forced = 0;
    sim->drive_seed = (uint64_t)fw_random_u32(&sim->random) << 32 | fw_random_u32(&sim->random);
    sim->light_hold_s = 20 * fw_random_unit(&sim->random);
    sim->other_lights = start->jitter > 0 && fw_random_unit(&sim->random) < 0.3f;
    memset(sim->driver, FW_SIM_ABSENT, start->scenario->track_count);
}

static void name_agents(fw_sim *sim, const fw_sim_start *start) {
    for (uint32_t a = 0; a < start->track_count; a++) {
        const fw_scenario_track *track = &start->scenario->tracks[start->tracks[a]];
        fw_sim_agent *agent = &sim->agents[a];
        *agent = (fw_sim_agent){.slot = start->tracks[a],
                                .due = track->first,
                                .phase = start->tick >= track->first + track->count ? FW_SIM_DONE : FW_SIM_WAITS,
                                .route = &start->scenario->routes[track->route],
                                .kind = a == 0 && start->kind ? *start->kind : track->kind};
        agent->guess2_m2 = FW_DRIVE_RANGE_M * FW_DRIVE_RANGE_M;
        agent->half_diagonal_m = 0.5f * hypotf(agent->kind.length_m, agent->kind.width_m);
        if (track->first > start->tick) sim->driver[agent->slot] = FW_SIM_DRIVEN;
    }
}

/* Everybody as logged; then the driven take the places of their logs' cars. A car that cannot begin stays
 * as a car of the traffic. */
static uint32_t place_all(fw_sim *sim) {
    uint32_t running = 0;
    const fw_scenario *s = sim->scenario;
    for (uint32_t k = s->active_at[sim->tick]; k < s->active_at[sim->tick + 1]; k++)
        if (sim->driver[s->active[k]] == FW_SIM_ABSENT) fw_sim_enter_other(sim, s->active[k], false);
    fw_sim_gather_here(sim);
    for (uint32_t a = 0; a < sim->agent_count; a++) {
        fw_sim_agent *agent = &sim->agents[a];
        if (agent->phase != FW_SIM_WAITS) continue;
        if (agent->due > sim->tick || fw_sim_enter(sim, agent)) running++;
        else agent->phase = FW_SIM_DONE;
    }
    fw_sim_gather_here(sim);
    for (uint32_t a = 0; a < sim->agent_count; a++)
        if (sim->agents[a].phase == FW_SIM_DRIVES) fw_sim_gather_near(sim, &sim->agents[a]);
    return running;
}

fw_status fw_sim_begin(fw_sim *sim, const fw_sim_start *start, fw_error *error) {
    FW_TRY(check_start(start, error));
    reset(sim, start);
    name_agents(sim, start);
    if (place_all(sim) > 0) return FW_OK;
    return fw_fail(error, FW_INVALID, "drive: track %u cannot begin at tick %u: its place is off the road or taken",
                   start->tracks[0], start->tick);
}

/* ---- questions ---- */

uint32_t fw_sim_agents(const fw_sim *sim) { return sim->agent_count; }

bool fw_sim_running(const fw_sim *sim, uint32_t agent) { return sim->agents[agent].phase == FW_SIM_DRIVES; }

bool fw_sim_over(const fw_sim *sim) {
    for (uint32_t a = 0; a < sim->agent_count; a++)
        if (sim->agents[a].phase != FW_SIM_DONE) return false;
    return true;
}

const fw_sim_drive *fw_sim_drive_of(const fw_sim *sim, uint32_t agent) { return &sim->agents[agent].drive; }

uint32_t fw_sim_tick(const fw_sim *sim) { return sim->tick; }

uint32_t fw_sim_boxes(const fw_sim *sim, fw_sim_box *out, uint32_t most) {
    const fw_sim_here *here = &sim->here;
    uint32_t count = here->count < most ? here->count : most;
    for (uint32_t j = 0; j < count; j++) {
        const fw_drive_neighbour *box = &here->box[j];
        out[j] = (fw_sim_box){box->id,        here->slot[j], box->x_m,      box->y_m, atan2f(box->sin_yaw, box->cos_yaw),
                              box->speed_mps, box->length_m, box->width_m, j < here->driven};
    }
    return count;
}
