/* near.c - who is on the road now, densely, and of each driven car the nearest and whom it touches. */
#include <string.h>

#include "lines/driving/learn/sim/inside.h"
#include "nn/run/cpu/kernels.h"

#define RANGE2_M2 (FW_DRIVE_RANGE_M * FW_DRIVE_RANGE_M)

/* ---- here ---- */

static void add(fw_sim_here *here, uint32_t slot, float reach_m, const fw_drive_neighbour *box) {
    uint32_t at = here->count++;
    here->slot[at] = (uint16_t)slot;
    here->x_m[at] = box->x_m;
    here->y_m[at] = box->y_m;
    here->reach_m[at] = reach_m;
    here->box[at] = *box;
    here->reach_max_m = fw_sim_most(here->reach_max_m, reach_m);
}

static void add_other(fw_sim *sim, uint32_t slot) {
    const fw_sim_other *o = &sim->others[slot];
    const fw_drive_neighbour box = {o->id,      o->x_m,       o->y_m,      o->cos_yaw,
                                    o->sin_yaw, o->speed_mps, o->length_m, o->width_m};
    add(&sim->here, slot, o->reach_m, &box);
}

void fw_sim_gather_here(fw_sim *sim) {
    fw_sim_here *here = &sim->here;
    here->count = 0;
    here->reach_max_m = 0;
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

/* Candidates of one car: indices in here and squared distances; then in order of distance (ties: by id).
 * Worked on in whole vectors: rows beyond the last are far away. */
enum { LANES = 8 };
typedef struct fw_sim_candidates {
    uint32_t count;
    uint16_t at[FW_SIM_SLOTS + 1], order[FW_SIM_SLOTS];
    float distance2_m2[FW_SIM_SLOTS + LANES];
    int32_t rank[FW_SIM_SLOTS + LANES];
} fw_sim_candidates;

/* Those within a distance: compared eight at a time, then written without branches, for which is which is
 * anybody's guess. */
static inline uint32_t within(const float *distance2, uint32_t count, float most2, uint16_t *to) {
    uint32_t is_within[FW_SIM_SLOTS], kept = 0;
    for (uint32_t j = 0; j < count; j++) is_within[j] = distance2[j] <= most2;
    for (uint32_t j = 0; j < count; j++) {
        to[kept] = (uint16_t)j;
        kept += is_within[j];
    }
    return kept;
}

/* Equal distances share a rank: the later ids go behind. */
static void part_ties(const fw_sim_here *here, fw_sim_candidates *c) {
    for (uint32_t i = 0; i < c->count; i++)
        for (uint32_t j = 0; j < c->count; j++)
            c->rank[i] += c->distance2_m2[j] == c->distance2_m2[i] &&
                          here->box[c->at[j]].id < here->box[c->at[i]].id;
}

/* Those within a guess that keeps enough of them, else all within range. */
FW_KERNEL_EXACT static void find_near(const fw_sim_here *here, uint32_t self, float most2, fw_sim_candidates *c) {
    float distance2[FW_SIM_SLOTS];
    const float x = here->x_m[self], y = here->y_m[self];
    for (uint32_t j = 0; j < here->count; j++) {
        float dx = here->x_m[j] - x, dy = here->y_m[j] - y;
        distance2[j] = dx * dx + dy * dy;
    }
    distance2[self] = 1e30f;
    uint32_t count = within(distance2, here->count, most2, c->at);
    if (count < FW_DRIVE_SCENE_USERS && most2 < RANGE2_M2) count = within(distance2, here->count, RANGE2_M2, c->at);
    for (uint32_t i = 0; i < count; i++) c->distance2_m2[i] = distance2[c->at[i]];
    for (uint32_t i = 0; i < LANES; i++) c->distance2_m2[count + i] = 1e30f;
    c->count = count;
}

/* How many are nearer, of each; returns their sum: n (n - 1) / 2 when no two are equally far. */
FW_KERNEL_EXACT static int32_t rank_near(fw_sim_candidates *c) {
    const uint32_t padded = (c->count + LANES - 1) & ~(uint32_t)(LANES - 1);
    int32_t sum = 0;
    for (uint32_t from = 0; from < padded; from += LANES) {
        int32_t nearer[LANES] = {0};
        const float *mine = c->distance2_m2 + from;
        for (uint32_t j = 0; j < padded; j++) {
            const float d = c->distance2_m2[j];
            for (int k = 0; k < LANES; k++) nearer[k] += d < mine[k];
        }
        for (int k = 0; k < LANES; k++) c->rank[from + (uint32_t)k] = nearer[k];
    }
    for (uint32_t i = 0; i < c->count; i++) sum += c->rank[i];
    return sum;
}

static void order_near(const fw_sim_here *here, uint32_t self, float most2, fw_sim_candidates *c) {
    find_near(here, self, most2, c);
    int32_t n = (int32_t)c->count;
    if (rank_near(c) != n * (n - 1) / 2) part_ties(here, c);
    for (uint32_t i = 0; i < c->count; i++) c->order[c->rank[i]] = c->at[i];
}

/* The nearest box that overlaps ours, as an index in here. */
static uint32_t touched(const fw_sim_here *here, uint32_t self, const fw_sim_candidates *c) {
    const float reach = here->reach_m[self], farthest = reach + here->reach_max_m;
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t j = c->order[i];
        float dx = here->x_m[j] - here->x_m[self], dy = here->y_m[j] - here->y_m[self], both = reach + here->reach_m[j];
        float distance2 = dx * dx + dy * dy;
        if (distance2 > farthest * farthest) break;
        if (distance2 < both * both && fw_sim_boxes_overlap(&here->box[self], &here->box[j])) return j;
    }
    return UINT32_MAX;
}

static void take(const fw_sim_here *here, fw_sim_agent *agent, uint32_t row, uint32_t at) {
    agent->users[row] = here->box[at];
    agent->user_slot[row] = here->slot[at];
}

/* A unit's car keeps whoever has a conflict with it: as fw_drive_scene_of does of a message, which holds
 * the FW_DRIVE_USERS_MAX nearest. */
static void keep_conflicts(const fw_sim *sim, const fw_sim_candidates *c, fw_sim_agent *agent) {
    uint32_t kept = agent->user_count;
    uint32_t last = c->count < FW_DRIVE_USERS_MAX ? c->count : FW_DRIVE_USERS_MAX;
    for (uint32_t i = kept; i < last; i++) {
        if (!fw_sim_meets(sim, sim->here.slot[c->order[i]])) continue;
        uint32_t out = kept;
        while (out > 0 && fw_sim_meets(sim, agent->user_slot[out - 1])) out--;
        if (out == 0) break;
        for (uint32_t row = out; row < kept; row++) {
            agent->users[row - 1] = agent->users[row];
            agent->user_slot[row - 1] = agent->user_slot[row];
        }
        take(&sim->here, agent, kept - 1, c->order[i]);
    }
}

/* In the next tick the nearest will be about as near: looking a little farther keeps them and few more. */
static void guess_near(const fw_sim_here *here, fw_sim_agent *agent, const fw_sim_candidates *c) {
    agent->guess2_m2 = RANGE2_M2;
    if (c->count < FW_DRIVE_SCENE_USERS) return;
    const uint32_t last = c->order[FW_DRIVE_SCENE_USERS - 1];
    float dx = here->x_m[last] - agent->x_m, dy = here->y_m[last] - agent->y_m;
    agent->guess2_m2 = fw_sim_least(RANGE2_M2, 1.15f * (dx * dx + dy * dy));
}

bool fw_sim_sees(const fw_sim_agent *agent, const fw_sim_agent *other) {
    bool sees = false;
    for (uint32_t row = 0; row < agent->user_count; row++) sees |= agent->user_slot[row] == other->slot;
    return sees;
}

void fw_sim_gather_near(fw_sim *sim, fw_sim_agent *agent) {
    const fw_sim_here *here = &sim->here;
    const bool own = sim->scenario->meeting_count > 0 && agent->slot == 0; /* all count that it meets */
    const float touch = here->reach_m[agent->here] + here->reach_max_m;
    fw_sim_candidates c;
    order_near(here, agent->here, own ? RANGE2_M2 : fw_sim_most(agent->guess2_m2, touch * touch), &c);
    agent->touching = touched(here, agent->here, &c);
    agent->user_count = c.count < FW_DRIVE_SCENE_USERS ? c.count : FW_DRIVE_SCENE_USERS;
    for (uint32_t row = 0; row < agent->user_count; row++) take(here, agent, row, c.order[row]);
    guess_near(here, agent, &c);
    if (!own) return;
    fw_sim_list_conflicts(sim, agent);
    if (c.count > FW_DRIVE_SCENE_USERS) keep_conflicts(sim, &c, agent);
    fw_sim_name_conflicts(sim, agent);
}
