/* owed.c - what only units' recordings have: lights, and meetings with their right of way. All of it is about
 * the unit's own car: agent 0, which drives track 0. */
#include <math.h>

#include "lines/driving/learn/sim/inside.h"

static float front_of(const fw_sim_agent *agent) {
    return agent->place.s_m + agent->kind.length_m - agent->kind.rear_overhang_m;
}

static float rear_of(const fw_sim_agent *agent) { return agent->place.s_m - agent->kind.rear_overhang_m; }

/* ---- lights ---- */

static fw_drive_light in_cycle(float phase_s) {
    return phase_s < 27 ? FW_DRIVE_LIGHT_GREEN : phase_s < 31 ? FW_DRIVE_LIGHT_YELLOW : FW_DRIVE_LIGHT_RED;
}

fw_drive_light fw_sim_light_state(const fw_sim *sim, const fw_scenario_light *light) {
    uint32_t at = sim->tick < sim->scenario->ticks ? sim->tick : sim->scenario->ticks - 1;
    fw_drive_light recorded = (fw_drive_light)light->state[at];
    float now_s = (float)sim->tick * FW_DRIVE_TICK_S;
    if (sim->other_lights) return in_cycle(fmodf(now_s + 3 * sim->light_hold_s + light->stop_s_m, 60.0f));
    if (sim->tick <= light->last_tick) return recorded;
    float since_s = (float)(sim->tick - light->last_tick) * FW_DRIVE_TICK_S;
    if (since_s < sim->light_hold_s) return recorded;
    /* on from the yellow that follows a green, or from the green that follows a red */
    float phase_s = fmodf(since_s - sim->light_hold_s, 60.0f);
    return in_cycle(recorded == FW_DRIVE_LIGHT_GREEN ? fmodf(phase_s + 27, 60.0f) : phase_s);
}

void fw_sim_pass_lights(const fw_sim *sim, fw_sim_agent *agent) {
    agent->lights_passed = 0;
    for (uint32_t k = 0; k < sim->scenario->light_count; k++)
        if (front_of(agent) > sim->scenario->lights[k].stop_s_m) agent->lights_passed |= 1u << k;
}

bool fw_sim_runs_red(const fw_sim *sim, fw_sim_agent *agent, float front_before_m) {
    bool run = false;
    for (uint32_t k = 0; k < sim->scenario->light_count; k++) {
        const fw_scenario_light *light = &sim->scenario->lights[k];
        if (agent->lights_passed & (1u << k)) continue;
        if (light->stop_s_m - front_of(agent) < 50) agent->drive.light_seen = true;
        if (front_before_m > light->stop_s_m || front_of(agent) <= light->stop_s_m) continue;
        agent->lights_passed |= 1u << k;
        run |= fw_sim_light_state(sim, light) == FW_DRIVE_LIGHT_RED;
    }
    return run;
}

/* ---- right of way ---- */

float fw_sim_owed_after(const fw_sim *sim, uint32_t slot) {
    const fw_scenario *s = sim->scenario;
    const fw_sim_agent *own = &sim->agents[0];
    const fw_sim_other *o = &sim->others[slot];
    float half = 0.5f * fw_sim_track(sim, slot)->kind.length_m, room = 1e9f;
    for (uint32_t m = 0; m < s->meeting_count; m++) {
        const fw_scenario_meeting *meet = &s->meetings[m];
        if (meet->track != slot || meet->must_yield) continue;
        float its = meet->foe_enter_m - o->way_m - half, ours = meet->enter_s_m - front_of(own);
        float rear = meet->exit_s_m - rear_of(own), speed = own->state.speed_mps;
        if (its < 0 || rear < 0 || ours > 40) continue;
        float pace = fw_sim_most(speed, 1.0f), its_pace = fw_sim_most(o->speed_mps, 2.0f);
        float we_in = ours / pace, we_out = rear / pace;
        float it_in = its / its_pace, it_out = (meet->foe_exit_m - o->way_m) / its_pace;
        if (we_in < it_out + 0.5f && we_out > it_in - 0.5f && ours < speed * 6 + 2) room = fw_sim_least(room, its);
    }
    return room;
}

bool fw_sim_has_priority(const fw_sim *sim, uint32_t slot) {
    const fw_scenario *s = sim->scenario;
    for (uint32_t m = 0; m < s->meeting_count; m++) {
        const fw_scenario_meeting *meet = &s->meetings[m];
        if (meet->track == slot && meet->must_yield && sim->others[slot].way_m < meet->foe_exit_m &&
            rear_of(&sim->agents[0]) < meet->exit_s_m + 5)
            return true;
    }
    return false;
}

static bool on_road(const fw_sim *sim, uint32_t slot) {
    return sim->driver[slot] == FW_SIM_LOG || sim->driver[slot] == FW_SIM_LATE;
}

/* As the city tells it: up to its line, the way to the line; past it, the way to the zone. */
static float enter_for(const fw_scenario_meeting *meet, float front_s_m) {
    return meet->must_yield && front_s_m <= meet->wait_s_m ? meet->wait_s_m : meet->enter_s_m;
}

void fw_sim_list_conflicts(fw_sim *sim, const fw_sim_agent *agent) {
    enum { UNSEEN_AFTER = 30 };
    const fw_scenario *s = sim->scenario;
    sim->conflict_count = 0;
    for (uint32_t m = 0; m < s->meeting_count && sim->conflict_count < FW_DRIVE_CONFLICTS_MAX; m++) {
        const fw_scenario_meeting *meet = &s->meetings[m];
        if (sim->tick < meet->first_tick || rear_of(agent) > meet->exit_s_m ||
            meet->enter_s_m > front_of(agent) + 80)
            continue;
        if (sim->tick > meet->last_tick + UNSEEN_AFTER && !meet->passed) continue;
        const fw_sim_other *o = &sim->others[meet->track];
        float dx = o->x_m - agent->x_m, dy = o->y_m - agent->y_m;
        if (!on_road(sim, meet->track) || dx * dx + dy * dy > FW_DRIVE_RANGE_M * FW_DRIVE_RANGE_M) continue;
        float front = o->way_m + 0.5f * s->tracks[meet->track].kind.length_m;
        if (front > meet->foe_exit_m) continue;
        sim->conflicts[sim->conflict_count++] =
            (fw_drive_conflict){.user = meet->track, .kind = meet->kind, .must_yield = meet->must_yield,
                                .enter_s_m = enter_for(meet, front_of(agent)), .exit_s_m = meet->exit_s_m,
                                .foe_enter_m = meet->foe_enter_m - front, .foe_exit_m = meet->foe_exit_m - front};
    }
}

bool fw_sim_meets(const fw_sim *sim, uint32_t slot) {
    for (uint32_t c = 0; c < sim->conflict_count; c++)
        if (sim->conflicts[c].user == slot) return true;
    return false;
}

void fw_sim_name_conflicts(fw_sim *sim, const fw_sim_agent *agent) {
    uint32_t kept = 0;
    for (uint32_t c = 0; c < sim->conflict_count; c++) {
        uint32_t row = 0;
        while (row < agent->user_count && agent->user_slot[row] != sim->conflicts[c].user) row++;
        if (row == agent->user_count) continue;
        sim->conflicts[kept] = sim->conflicts[c];
        sim->conflicts[kept++].user = row;
    }
    sim->conflict_count = kept;
}

/* ---- standing ---- */

bool fw_sim_stands_idle(const fw_sim *sim, const fw_sim_agent *agent) {
    if (agent->state.speed_mps > 0.3f) return false;
    for (uint32_t k = 0; k < sim->scenario->light_count; k++) {
        float ahead = sim->scenario->lights[k].stop_s_m - front_of(agent);
        if (ahead > -0.5f && ahead < 30 && fw_sim_light_state(sim, &sim->scenario->lights[k]) != FW_DRIVE_LIGHT_GREEN)
            return false;
    }
    float front = 0.5f * agent->kind.length_m + 10;
    for (uint32_t u = 0; u < agent->user_count; u++) {
        const fw_drive_neighbour *box = &agent->users[u];
        float dx = box->x_m - agent->x_m, dy = box->y_m - agent->y_m;
        float forward = agent->cos_yaw * dx + agent->sin_yaw * dy, left = agent->cos_yaw * dy - agent->sin_yaw * dx;
        if (forward > 0 && forward < front + 0.5f * box->length_m && fabsf(left) < 2) return false;
    }
    return true;
}
