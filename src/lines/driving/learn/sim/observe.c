/* observe.c - what a driven car sees: pointers into the route and into its own nearest, nothing copied. */
#include "lines/driving/learn/sim/inside.h"

enum { BEHIND = 5 }; /* points of the path behind the rear axle, as a unit's message has them */

static void see_path(const fw_sim_agent *agent, fw_drive_scene *out) {
    const fw_scenario_route *route = agent->route;
    int count = (int)route->count, at = (int)(agent->place.s_m / FW_DRIVE_GRID_M) - BEHIND - (int)route->first;
    if (at > count - 8) at = count - 8;
    if (at < 0) at = 0;
    out->path_first = route->first + (uint32_t)at;
    out->path_count = (uint32_t)(count - at < FW_DRIVE_PATH_MAX ? count - at : FW_DRIVE_PATH_MAX);
    out->path = route->points + at;
    out->heading_rad = route->heading_rad + at;
    out->curvature_pm_path = route->curvature_pm + at;
}

/* The next light on the route. */
static void see_light(const fw_sim *sim, const fw_sim_agent *agent, fw_drive_scene *out) {
    float front = agent->place.s_m + agent->kind.length_m - agent->kind.rear_overhang_m, nearest = 1e9f;
    out->light = FW_DRIVE_LIGHT_NONE;
    out->light_s_m = 0;
    for (uint32_t k = 0; k < sim->scenario->light_count; k++) {
        const fw_scenario_light *light = &sim->scenario->lights[k];
        float ahead = light->stop_s_m - front;
        if (ahead < -0.5f || ahead > 100 || light->stop_s_m >= nearest) continue;
        nearest = light->stop_s_m;
        out->light = (uint32_t)fw_sim_light_state(sim, light);
        out->light_s_m = nearest;
    }
}

void fw_sim_scene(const fw_sim *sim, uint32_t index, fw_drive_scene *out) {
    const fw_sim_agent *agent = &sim->agents[index];
    const fw_vehicle_state *state = &agent->state;
    out->x_m = state->x_m;
    out->y_m = state->y_m;
    out->yaw_rad = state->yaw_rad;
    out->cos_yaw = agent->cos_yaw;
    out->sin_yaw = agent->sin_yaw;
    out->speed_mps = state->speed_mps;
    out->accel_mps2 = state->accel_mps2;
    out->curvature_pm = state->curvature_pm;
    out->length_m = agent->kind.length_m;
    out->width_m = agent->kind.width_m;
    out->rear_overhang_m = agent->kind.rear_overhang_m;
    out->s_m = agent->place.s_m;
    out->route_left_m = agent->route->end_s_m - agent->place.s_m - agent->kind.length_m + agent->kind.rear_overhang_m;
    see_path(agent, out);
    see_light(sim, agent, out);
    out->user_count = agent->user_count;
    out->users = agent->users;
    bool own = agent->slot == 0 && sim->scenario->meeting_count > 0;
    out->conflict_count = own ? sim->conflict_count : 0;
    out->conflicts = sim->conflicts;
}

void fw_sim_observe(fw_sim *sim, float *features, fw_drive_view *views) {
    for (uint32_t a = 0; a < sim->agent_count; a++) {
        if (sim->agents[a].phase != FW_SIM_DRIVES) continue;
        fw_drive_scene scene;
        fw_sim_scene(sim, a, &scene);
        fw_drive_look(&scene, &views[a]);
        fw_drive_features(&scene, &views[a], features + (size_t)a * FW_FEATURES);
    }
}
