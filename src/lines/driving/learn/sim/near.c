/* near.c - who is on the road now, densely, and of each driven car the nearest and whom it touches. */
#include <string.h>

#include "lines/driving/learn/sim/inside.h"
#include "lines/driving/learn/sim/kernel.h"

#define RANGE2_M2 (FW_DRIVE_RANGE_M * FW_DRIVE_RANGE_M)

/* ---- here ---- */

static void add(fw_sim_here *here, uint32_t slot, float reach_m, const fw_drive_neighbour *box) {
    uint32_t at = here->count++;
    here->slot[at] = (uint16_t)slot;
    here->x_m[at] = box->x_m;
    here->y_m[at] = box->y_m;
    here->reach_m[at] = reach_m;
    here->box[at] = *box;
}

static void add_other(fw_sim *sim, uint32_t slot) {
    const fw_sim_other *o = &sim->others[slot];
    const fw_scenario_track *track = fw_sim_track(sim, slot);
    const fw_drive_neighbour box = {track->id,   o->x_m,       o->y_m,           o->cos_yaw,
                                    o->sin_yaw,  o->speed_mps, track->kind.length_m, track->kind.width_m};
    add(&sim->here, slot, o->reach_m, &box);
}

void fw_sim_gather_here(fw_sim *sim) {
    fw_sim_here *here = &sim->here;
    here->count = 0;
    for (uint32_t a = 0; a < sim->agent_count; a++) {
        fw_sim_agent *agent = &sim->agents[a];
        if (agent->phase != FW_SIM_DRIVES) continue;
        const fw_drive_neighbour box = fw_sim_box_of(agent, fw_sim_track(sim, agent->slot)->id);
        agent->here = here->count;
        add(here, agent->slot, agent->half_diagonal_m, &box);
    }
    here->driven = here->count;
    uint32_t kept = 0;
    for (uint32_t k = 0; k < sim->on_count; k++) {
        uint32_t slot = sim->on[k];
        if (sim->driver[slot] == FW_SIM_LATE) add_other(sim, slot);
        if (sim->driver[slot] == FW_SIM_LATE || sim->driver[slot] == FW_SIM_LOG) sim->on[kept++] = (uint16_t)slot;
    }
    sim->on_count = kept;
    here->heeded = here->count;
    for (uint32_t k = 0; k < kept; k++)
        if (sim->driver[sim->on[k]] == FW_SIM_LOG) add_other(sim, sim->on[k]);
}

/* ---- near ---- */

/* Candidates of one car: indices in here, squared distances, ids, and each one's place in order of
 * distance (ties: by id). Whole vectors are worked on, so there is room beyond the last. */
typedef struct fw_sim_candidates {
    uint32_t count, close_count;
    uint16_t at[FW_SIM_SLOTS + 1], close[FW_SIM_SLOTS + 1];
    float distance2_m2[FW_SIM_SLOTS];
    uint32_t id[FW_SIM_SLOTS], rank[FW_SIM_SLOTS];
} fw_sim_candidates;

/* Those within a distance, out of `count` of them: branchless, for which is which is anybody's guess. */
static inline uint32_t within(const float *distance2, const uint16_t *from, uint32_t count, float most2, uint16_t *to) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t j = from[i];
        to[kept] = j;
        kept += (uint32_t)(distance2[j] <= most2);
    }
    return kept;
}

FW_SIM_KERNEL static void rank_candidates(const fw_sim_here *here, uint32_t self, bool all, fw_sim_candidates *c) {
    float distance2[FW_SIM_SLOTS], touch2[FW_SIM_SLOTS];
    const float x = here->x_m[self], y = here->y_m[self], reach = here->reach_m[self];
    for (uint32_t j = 0; j < here->count; j++) {
        float dx = here->x_m[j] - x, dy = here->y_m[j] - y, both = reach + here->reach_m[j];
        distance2[j] = dx * dx + dy * dy;
        touch2[j] = both * both - distance2[j];
    }
    distance2[self] = 1e30f;
    uint32_t count = 0, close = 0;
    for (uint32_t j = 0; j < here->count; j++) {
        c->at[count] = (uint16_t)j;
        count += (uint32_t)(distance2[j] <= RANGE2_M2);
    }
    for (uint32_t i = 0; i < count; i++) {
        c->close[close] = c->at[i];
        close += (uint32_t)(touch2[c->at[i]] > 0);
    }
    c->count = count;
    c->close_count = close;
    /* Along a road the number grows with the distance: where this guess keeps enough, the rest need no rank. */
    if (!all && count > 24) {
        uint16_t nearer[FW_SIM_SLOTS + 1];
        float guess = 21.0f * FW_DRIVE_RANGE_M / (float)count;
        uint32_t kept = within(distance2, c->at, count, guess * guess, nearer);
        if (kept >= FW_DRIVE_SCENE_USERS) {
            c->count = count = kept;
            memcpy(c->at, nearer, kept * sizeof *nearer);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        c->distance2_m2[i] = distance2[c->at[i]];
        c->id[i] = here->box[c->at[i]].id;
        c->rank[i] = 0;
    }
    for (uint32_t j = 0; j < count; j++) {
        const float d = c->distance2_m2[j];
        const uint32_t id = c->id[j];
        for (uint32_t i = 0; i < count; i++)
            c->rank[i] += (uint32_t)(d < c->distance2_m2[i]) |
                          ((uint32_t)(d == c->distance2_m2[i]) & (uint32_t)(id < c->id[i]));
    }
}

static void take(const fw_sim_here *here, fw_sim_agent *agent, uint32_t row, uint32_t at) {
    agent->users[row] = here->box[at];
    agent->user_slot[row] = here->slot[at];
}

/* A unit's car keeps whoever has a conflict with it: as fw_drive_scene_of does of a message, which holds
 * the FW_DRIVE_USERS_MAX nearest. */
static void keep_conflicts(const fw_sim *sim, const fw_sim_candidates *c, fw_sim_agent *agent) {
    uint16_t order[FW_SIM_SLOTS];
    for (uint32_t i = 0; i < c->count; i++) order[c->rank[i]] = c->at[i];
    uint32_t kept = agent->user_count;
    uint32_t last = c->count < FW_DRIVE_USERS_MAX ? c->count : FW_DRIVE_USERS_MAX;
    for (uint32_t i = kept; i < last; i++) {
        if (!fw_sim_meets(sim, sim->here.slot[order[i]])) continue;
        uint32_t out = kept;
        while (out > 0 && fw_sim_meets(sim, agent->user_slot[out - 1])) out--;
        if (out == 0) break;
        for (uint32_t row = out; row < kept; row++) {
            agent->users[row - 1] = agent->users[row];
            agent->user_slot[row - 1] = agent->user_slot[row];
        }
        take(&sim->here, agent, kept - 1, order[i]);
    }
}

void fw_sim_gather_near(fw_sim *sim, fw_sim_agent *agent) {
    const fw_sim_here *here = &sim->here;
    fw_sim_candidates c;
    const bool own = sim->scenario->meeting_count > 0 && agent->slot == 0;
    rank_candidates(here, agent->here, own, &c);
    agent->user_count = c.count < FW_DRIVE_SCENE_USERS ? c.count : FW_DRIVE_SCENE_USERS;
    for (uint32_t i = 0; i < c.count; i++)
        if (c.rank[i] < FW_DRIVE_SCENE_USERS) take(here, agent, c.rank[i], c.at[i]);
    agent->touching = UINT32_MAX;
    for (uint32_t i = 0; i < c.close_count && agent->touching == UINT32_MAX; i++)
        if (fw_sim_boxes_overlap(&here->box[agent->here], &here->box[c.close[i]])) agent->touching = c.close[i];
    if (!own) return;
    fw_sim_list_conflicts(sim, agent);
    if (c.count > FW_DRIVE_SCENE_USERS) keep_conflicts(sim, &c, agent);
    fw_sim_name_conflicts(sim, agent);
}
