/* step.c - one tick: everybody moves, then everybody is judged on the same picture. */
#include <math.h>

#include "lines/driving/learn/sim/inside.h"
#include "lines/driving/learn/sim/reward.h"

#define FAULT_MPS 0.5f    /* who stands is at no fault */
#define TTC_S 1.5f
#define HARD_MPS2 4.0f    /* acceleration either way, and sideways */
#define HARD_MPS3 8.0f
#define UNSEEN_AHEAD_M 30.0f  /* farther from the recorded car a unit's recording saw too little */
#define UNSEEN_BEHIND_M 60.0f
#define ROUTE_SHORT_M 8.0f    /* a unit's route is done this far before its end */
enum { STUCK = 300 };         /* ticks */

/* Of an agent before the tick. */
typedef struct before {
    bool ran;
    float x_m, y_m, s_m, accel_mps2;
} before;

/* ---- movement ---- */

static void remember(const fw_sim *sim, before *all) {
    for (uint32_t a = 0; a < sim->agent_count; a++) {
        const fw_sim_agent *agent = &sim->agents[a];
        all[a] = (before){agent->phase == FW_SIM_DRIVES, agent->state.x_m, agent->state.y_m, agent->place.s_m,
                          agent->state.accel_mps2};
    }
}

/* The city's drivers look before they change lanes; where a unit's car now stands, who jumped there in its
 * recording is taken out. */
static void take_out_jumpers(fw_sim *sim) {
    const fw_sim_agent *own = &sim->agents[0];
    if (sim->scenario->scene || own->phase != FW_SIM_DRIVES) return;
    fw_drive_neighbour room = fw_sim_box_of(own, 0);
    room.length_m += 6;
    for (uint32_t k = 0; k < sim->on_count; k++) {
        uint32_t slot = sim->on[k];
        const fw_sim_other *o = &sim->others[slot];
        const fw_vehicle_kind *kind = &fw_sim_track(sim, slot)->kind;
        const fw_drive_neighbour box = {0, o->x_m, o->y_m, o->cos_yaw, o->sin_yaw, 0, kind->length_m, kind->width_m};
        if (o->jumped && fw_sim_boxes_overlap(&room, &box)) sim->driver[slot] = FW_SIM_GONE;
    }
}

/* ---- judgement ---- */

/* Time to collision with whoever is ahead in the strip that we sweep if we go on turning as we do. */
static bool ttc_is_short(const fw_sim_agent *agent) {
    float speed = agent->state.speed_mps, half = 0.5f * agent->kind.length_m, reach = speed * TTC_S + half + 15;
    if (speed < FAULT_MPS) return false;
    for (uint32_t u = 0; u < agent->user_count; u++) {
        const fw_drive_neighbour *box = &agent->users[u];
        float dx = box->x_m - agent->x_m, dy = box->y_m - agent->y_m;
        float forward = agent->cos_yaw * dx + agent->sin_yaw * dy, left = agent->cos_yaw * dy - agent->sin_yaw * dx;
        if (forward < 0 || forward > reach) continue;
        float beside = fabsf(left - 0.5f * agent->state.curvature_pm * forward * forward);
        if (beside > 0.5f * (agent->kind.width_m + box->width_m + box->length_m)) continue; /* however it is turned */
        float cos_turn = agent->cos_yaw * box->cos_yaw + agent->sin_yaw * box->sin_yaw;
        float across = sqrtf(fw_sim_most(0.0f, 1 - cos_turn * cos_turn)), along = fabsf(cos_turn);
        float wide = 0.5f * (agent->kind.width_m + box->width_m * along + box->length_m * across);
        if (beside > wide) continue;
        float gap = forward - half - 0.5f * (box->length_m * along + box->width_m * across);
        float closing = speed - box->speed_mps * cos_turn;
        if (closing > 0.1f && gap < TTC_S * closing) return true;
    }
    return false;
}

static void measure_deviation(const fw_sim *sim, fw_sim_agent *agent) {
    const fw_scenario_track *track = fw_sim_track(sim, agent->slot);
    uint32_t i = fw_sim_log_index(sim, agent);
    float dx = agent->x_m - track->x_m[i], dy = agent->y_m - track->y_m[i], deviation = sqrtf(dx * dx + dy * dy);
    agent->drive.deviation_sum_m += (double)deviation;
    if (sim->tick - track->first - agent->offset < track->count) agent->drive.final_deviation_m = deviation;
}

static void measure(const fw_sim *sim, fw_sim_agent *agent, const before *was, float jerk, float sideways) {
    fw_sim_drive *drive = &agent->drive;
    drive->ticks++;
    float dx = agent->state.x_m - was->x_m, dy = agent->state.y_m - was->y_m;
    drive->distance_m += sqrtf(dx * dx + dy * dy);
    drive->ttc_ticks += ttc_is_short(agent);
    drive->accel_ticks += fabsf(agent->state.accel_mps2) > HARD_MPS2;
    drive->jerk_ticks += fabsf(jerk) > HARD_MPS3;
    drive->lateral_ticks += sideways > HARD_MPS2;
    drive->hard_brakes += agent->state.accel_mps2 <= -HARD_MPS2 && was->accel_mps2 > -HARD_MPS2;
    drive->jerk2_sum += (double)jerk * (double)jerk;
    measure_deviation(sim, agent);
    if (!sim->scenario->scene) return;
    float whole = agent->route->goal_s_m - agent->start_s_m;
    drive->goal_left_m = agent->route->goal_s_m - agent->place.s_m;
    drive->progress = whole > 0.1f ? fw_sim_least(1.0f, fw_sim_most(0.0f, 1 - drive->goal_left_m / whole)) : 1.0f;
}

static bool is_at_fault(const fw_sim *sim, const fw_sim_agent *agent) {
    const fw_drive_neighbour *other = &sim->here.box[agent->touching];
    float ahead = agent->cos_yaw * (other->x_m - agent->x_m) + agent->sin_yaw * (other->y_m - agent->y_m);
    return agent->state.speed_mps > FAULT_MPS && ahead > 0;
}

static fw_sim_end end_of_scene(const fw_sim *sim, const fw_sim_agent *agent) {
    float dx = agent->x_m - agent->route->goal_x_m, dy = agent->y_m - agent->route->goal_y_m;
    if (dx * dx + dy * dy <= FW_SIM_GOAL_M * FW_SIM_GOAL_M) return FW_SIM_GOAL;
    return sim->tick >= agent->deadline ? FW_SIM_TIME_OUT : FW_SIM_RUNS;
}

static fw_sim_end end_of_unit(const fw_sim *sim, const fw_sim_agent *agent) {
    const fw_scenario *s = sim->scenario;
    const fw_scenario_route *route = agent->route;
    float route_end = fw_sim_least(route->end_s_m, (float)(route->first + route->count - 1) * FW_DRIVE_GRID_M);
    float front = agent->place.s_m + agent->kind.length_m - agent->kind.rear_overhang_m;
    uint32_t now = sim->tick < s->ticks ? sim->tick : s->ticks - 1;
    float ahead = agent->place.s_m - s->tracks[0].way_m[now];
    if (front + ROUTE_SHORT_M > route_end) return FW_SIM_ROUTE_DONE;
    bool unseen = ahead > UNSEEN_AHEAD_M || ahead < -UNSEEN_BEHIND_M;
    return unseen || sim->tick + 2 >= s->ticks ? FW_SIM_TIME_OUT : FW_SIM_RUNS;
}

/* Where there is no area: the box's centre, carried onto the route, is beside its lane. */
static bool off_lane(const fw_sim *sim, const fw_sim_agent *agent) {
    if (sim->scenario->area.columns > 0) return false;
    float middle = 0.5f * agent->kind.length_m - agent->kind.rear_overhang_m;
    fw_sim_place place = fw_sim_follow(agent->route, agent->place.s_m + middle, agent->x_m, agent->y_m);
    return fabsf(place.lateral_m) > 0.5f * place.width_m;
}

static fw_sim_end end_of(const fw_sim *sim, fw_sim_agent *agent) {
    if (agent->touching != UINT32_MAX) return FW_SIM_COLLISION;
    if (fw_sim_off_area(sim, agent) || off_lane(sim, agent)) return FW_SIM_OFF_ROAD;
    return sim->scenario->scene ? end_of_scene(sim, agent) : end_of_unit(sim, agent);
}

/* What only a unit's car is judged by. */
static float judge_unit(fw_sim *sim, fw_sim_agent *agent, const before *was) {
    float reward = 0, front_m = agent->kind.length_m - agent->kind.rear_overhang_m;
    agent->drive.forced += sim->forced;
    if (fw_sim_runs_red(sim, agent, was->s_m + front_m)) {
        agent->drive.red_light = true;
        reward += fw_sim_reward.red_light;
    }
    if (!fw_sim_stands_idle(sim, agent)) {
        agent->standing_ticks = 0;
        return reward;
    }
    if (++agent->standing_ticks >= STUCK) agent->drive.stuck = true;
    return reward + fw_sim_reward.idle;
}

static fw_sim_outcome judge(fw_sim *sim, fw_sim_agent *agent, const before *was) {
    const fw_vehicle_state *state = &agent->state;
    float jerk = (state->accel_mps2 - was->accel_mps2) / FW_DRIVE_TICK_S;
    float sideways = state->speed_mps * state->speed_mps * fabsf(state->curvature_pm);
    uint32_t close_before = agent->drive.ttc_ticks;
    measure(sim, agent, was, jerk, sideways);
    const fw_sim_ride ride = {agent->place.s_m - was->s_m, state->accel_mps2, jerk, sideways, agent->place.lateral_m,
                              state->speed_mps - agent->place.limit_mps, sim->forced,
                              agent->drive.ttc_ticks > close_before};
    float reward = fw_sim_reward_ride(&ride);
    if (!sim->scenario->scene) reward += judge_unit(sim, agent, was);
    fw_sim_end end = end_of(sim, agent);
    agent->drive.end = end;
    agent->drive.at_fault = end == FW_SIM_COLLISION && is_at_fault(sim, agent);
    if (end != FW_SIM_RUNS) agent->phase = FW_SIM_DONE;
    return (fw_sim_outcome){reward + fw_sim_reward_end(end, agent->drive.at_fault, sim->scenario->scene), end};
}

/* ---- the tick ---- */

static bool sees_who_ended(const fw_sim *sim, const fw_sim_agent *agent, const before *was) {
    for (uint32_t a = 0; a < sim->agent_count; a++) {
        const fw_sim_agent *other = &sim->agents[a];
        if (was[a].ran && other->phase == FW_SIM_DONE && fw_sim_sees(agent, other)) return true;
    }
    return false;
}

/* Who is done leaves the world: new nearest for those who had it among theirs, for nobody else has others. */
static void leave(fw_sim *sim, const before *was) {
    fw_sim_gather_here(sim);
    for (uint32_t a = 0; a < sim->agent_count; a++) {
        fw_sim_agent *agent = &sim->agents[a];
        if (agent->phase == FW_SIM_DRIVES && (!sim->scenario->scene || sees_who_ended(sim, agent, was)))
            fw_sim_gather_near(sim, agent);
    }
}

/* All have moved: who comes, who touched whom, who is done; and what those who go on see. */
static void finish_tick(fw_sim *sim, const before *was, fw_sim_outcome *outcomes) {
    sim->tick++;
    take_out_jumpers(sim);
    fw_sim_gather_here(sim);
    fw_sim_enter_due(sim);
    for (uint32_t a = 0; a < sim->agent_count; a++)
        if (sim->agents[a].phase == FW_SIM_DRIVES) fw_sim_gather_near(sim, &sim->agents[a]);
    bool ended = false;
    for (uint32_t a = 0; a < sim->agent_count; a++) {
        if (!was[a].ran) continue;
        outcomes[a] = judge(sim, &sim->agents[a], &was[a]);
        ended |= outcomes[a].end != FW_SIM_RUNS;
    }
    if (ended) leave(sim, was);
}

void fw_sim_step(fw_sim *sim, const fw_drive_action *actions, fw_sim_outcome *outcomes) {
    before was[FW_SIM_AGENTS_MAX];
    remember(sim, was);
    sim->forced = 0;
    fw_sim_move_others(sim);
    for (uint32_t a = 0; a < sim->agent_count; a++) {
        fw_sim_agent *agent = &sim->agents[a];
        if (!was[a].ran) continue;
        fw_vehicle_move(&agent->kind, &agent->state, actions[a], FW_DRIVE_TICK_S);
        fw_sim_settle(agent);
    }
    finish_tick(sim, was, outcomes);
}

void fw_sim_step_logged(fw_sim *sim, fw_sim_outcome *outcomes) {
    before was[FW_SIM_AGENTS_MAX];
    remember(sim, was);
    sim->forced = 0;
    fw_sim_move_others(sim);
    sim->tick++; /* the log's next tick */
    for (uint32_t a = 0; a < sim->agent_count; a++) {
        if (!was[a].ran) continue;
        fw_sim_place_agent(sim, &sim->agents[a]);
        fw_sim_settle(&sim->agents[a]);
    }
    sim->tick--;
    finish_tick(sim, was, outcomes);
}
