/* enter.c - who comes onto the road, and where: at the drive's begin, and when a log begins later. */
#include <math.h>

#include "lines/driving/learn/sim/inside.h"

/* ---- where an agent is ---- */

uint32_t fw_sim_log_index(const fw_sim *sim, const fw_sim_agent *agent) {
    const fw_scenario_track *track = fw_sim_track(sim, agent->slot);
    uint32_t i = sim->tick - track->first - agent->offset;
    return i < track->count ? i : track->count - 1;
}

fw_sim_place fw_sim_follow(const fw_scenario_route *route, float s_m, float x_m, float y_m) {
    const int last = (int)route->count - 2;
    int i = (int)(s_m / FW_DRIVE_GRID_M) - (int)route->first, way = 0;
    i = i < 0 ? 0 : i > last ? last : i;
    float u = 0, across = 0;
    for (int step = 0; step < 8; step++) {
        const fw_drive_point *p = &route->points[i], *q = p + 1;
        float ex = q->x_m - p->x_m, ey = q->y_m - p->y_m, n = ex * ex + ey * ey + 1e-9f;
        float dx = x_m - p->x_m, dy = y_m - p->y_m;
        u = (dx * ex + dy * ey) / n;
        across = (ex * dy - ey * dx) / sqrtf(n);
        if (u > 1 && i < last && way >= 0) i++, way = 1;
        else if (u < 0 && i > 0 && way <= 0) i--, way = -1;
        else break;
    }
    u = fw_sim_least(i == last ? 3.0f : 1.0f, fw_sim_most(i == 0 ? -5.0f : 0.0f, u));
    return (fw_sim_place){((float)(i + (int)route->first) + u) * FW_DRIVE_GRID_M, across, route->points[i].width_m,
                          route->points[i].limit_mps};
}

void fw_sim_settle(fw_sim_agent *agent) {
    float middle = 0.5f * agent->kind.length_m - agent->kind.rear_overhang_m;
    agent->cos_yaw = cosf(agent->state.yaw_rad);
    agent->sin_yaw = sinf(agent->state.yaw_rad);
    agent->x_m = agent->state.x_m + middle * agent->cos_yaw;
    agent->y_m = agent->state.y_m + middle * agent->sin_yaw;
    agent->place = fw_sim_follow(agent->route, agent->place.s_m, agent->state.x_m, agent->state.y_m);
}

void fw_sim_place_agent(fw_sim *sim, fw_sim_agent *agent) {
    const fw_scenario_track *track = fw_sim_track(sim, agent->slot);
    uint32_t i = fw_sim_log_index(sim, agent);
    bool over = sim->tick - track->first - agent->offset >= track->count;
    float middle = 0.5f * agent->kind.length_m - agent->kind.rear_overhang_m;
    agent->state = (fw_vehicle_state){.x_m = track->x_m[i] - middle * track->cos_yaw[i],
                                      .y_m = track->y_m[i] - middle * track->sin_yaw[i],
                                      .yaw_rad = track->yaw_rad[i],
                                      .speed_mps = over ? 0 : track->speed_mps[i],
                                      .accel_mps2 = over ? 0 : track->accel_mps2[i],
                                      .curvature_pm = over ? 0 : track->curvature_pm[i]};
}

/* Path length of the route's point nearest to the rear axle among those that lead its way. */
static float nearest_s(const fw_sim_agent *agent) {
    const fw_scenario_route *route = agent->route;
    float best = 1e30f;
    uint32_t at = 0;
    for (uint32_t i = 0; i < route->count; i++) {
        float dx = agent->state.x_m - route->points[i].x_m, dy = agent->state.y_m - route->points[i].y_m;
        float distance2 = dx * dx + dy * dy;
        if (distance2 >= best || cosf(route->heading_rad[i] - agent->state.yaw_rad) < 0) continue;
        best = distance2;
        at = i;
    }
    return (float)(route->first + at) * FW_DRIVE_GRID_M;
}

/* A little elsewhere, a little faster or slower. */
static void disturb(fw_sim *sim, fw_sim_agent *agent, float jitter) {
    fw_vehicle_state *state = &agent->state;
    float side = jitter * 0.25f * fw_random_normal(&sim->random);
    state->x_m -= sinf(state->yaw_rad) * side;
    state->y_m += cosf(state->yaw_rad) * side;
    state->yaw_rad = remainderf(state->yaw_rad + jitter * 0.03f * fw_random_normal(&sim->random), 6.28318531f);
    state->speed_mps = fw_sim_most(0.0f, state->speed_mps * (1 + jitter * 0.15f * fw_random_normal(&sim->random)));
}

static float clamped(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

static bool taken(const fw_sim *sim, uint32_t slot, const fw_drive_neighbour *box) {
    for (uint32_t j = 0; j < sim->here.count; j++)
        if (sim->here.slot[j] != slot && fw_sim_boxes_overlap(box, &sim->here.box[j])) return true;
    return false;
}

/* Where the log is now, disturbed; false when that place is taken or off the road. */
static bool find_place(fw_sim *sim, fw_sim_agent *agent, float jitter) {
    const fw_scenario_track *track = fw_sim_track(sim, agent->slot);
    fw_sim_place_agent(sim, agent);
    if (jitter > 0) disturb(sim, agent, jitter);
    fw_vehicle_state *state = &agent->state;
    state->accel_mps2 = clamped(state->accel_mps2, -agent->kind.brake_max_mps2, agent->kind.accel_max_mps2);
    state->curvature_pm = clamped(state->curvature_pm, -agent->kind.curvature_max_pm, agent->kind.curvature_max_pm);
    agent->place.s_m = sim->scenario->scene ? nearest_s(agent) : track->way_m[fw_sim_log_index(sim, agent)];
    fw_sim_settle(agent);
    const fw_drive_neighbour box = fw_sim_box_of(agent, track->id);
    return !fw_sim_off_area(sim, agent) && !taken(sim, agent->slot, &box);
}

/* The snapshot's row of an agent that begins where its log's car was. */
static void update_here(fw_sim *sim, const fw_sim_agent *agent) {
    fw_sim_here *here = &sim->here;
    for (uint32_t j = 0; j < here->count; j++) {
        if (here->slot[j] != agent->slot) continue;
        here->box[j] = fw_sim_box_of(agent, here->box[j].id);
        here->x_m[j] = agent->x_m;
        here->y_m[j] = agent->y_m;
    }
}

bool fw_sim_enter(fw_sim *sim, fw_sim_agent *agent) {
    enum { TRIES = 4 };
    float jitter = sim->jitter;
    for (int try = 0; !find_place(sim, agent, jitter); try++) {
        if (jitter == 0) return false;
        jitter = try + 1 < TRIES ? 0.5f * jitter : 0;
    }
    const fw_scenario_track *track = fw_sim_track(sim, agent->slot);
    agent->phase = FW_SIM_DRIVES;
    agent->start_s_m = agent->place.s_m;
    agent->deadline = track->first + track->count - 1 + agent->offset + FW_SIM_GRACE;
    agent->drive = (fw_sim_drive){.goal_left_m = sim->scenario->scene ? agent->route->goal_s_m - agent->place.s_m : 0};
    sim->driver[agent->slot] = FW_SIM_DRIVEN;
    fw_sim_pass_lights(sim, agent);
    update_here(sim, agent);
    return true;
}

bool fw_sim_enter_other(fw_sim *sim, uint32_t slot, bool polite) {
    const fw_scenario_track *track = fw_sim_track(sim, slot);
    fw_sim_other *o = &sim->others[slot];
    *o = (fw_sim_other){.length_m = track->kind.length_m, .width_m = track->kind.width_m, .id = track->id};
    if (sim->tick - track->first >= track->count || !fw_sim_place_logged(sim, slot, sim->tick)) return false;
    o->reach_m = 0.5f * hypotf(track->kind.length_m, track->kind.width_m);
    const fw_drive_neighbour box = {0,          o->x_m,       o->y_m,           o->cos_yaw, o->sin_yaw, o->speed_mps,
                                    track->kind.length_m, track->kind.width_m};
    if (polite)
        for (uint32_t j = 0; j < sim->here.driven; j++)
            if (fw_sim_boxes_overlap(&box, &sim->here.box[j])) return false;
    sim->driver[slot] = FW_SIM_LOG;
    sim->on[sim->on_count++] = (uint16_t)slot;
    return true;
}

static bool enter_others(fw_sim *sim) {
    const fw_scenario *s = sim->scenario;
    bool entered = false;
    if (sim->tick >= s->ticks) return false;
    for (uint32_t a = s->active_at[sim->tick]; a < s->active_at[sim->tick + 1]; a++) {
        uint32_t slot = s->active[a];
        if (sim->driver[slot] != FW_SIM_ABSENT) continue;
        if (fw_sim_enter_other(sim, slot, sim->traffic != FW_SIM_REPLAYED)) entered = true;
        else if (sim->tick > s->tracks[slot].first + FW_SIM_WAIT) sim->driver[slot] = FW_SIM_GONE;
    }
    return entered;
}

void fw_sim_enter_due(fw_sim *sim) {
    if (enter_others(sim)) fw_sim_gather_here(sim);
    for (uint32_t a = 0; a < sim->agent_count; a++) {
        fw_sim_agent *agent = &sim->agents[a];
        if (agent->phase != FW_SIM_WAITS || sim->tick < agent->due) continue;
        agent->offset = sim->tick - agent->due;
        if (fw_sim_enter(sim, agent)) {
            fw_sim_gather_here(sim); /* who enters next in this tick sees it */
        } else if (agent->offset >= FW_SIM_WAIT) {
            agent->phase = FW_SIM_DONE;
        }
    }
}
