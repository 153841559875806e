/* collide.c - full-size boxes against each other, corners against the drivable area's edge. */
#include <math.h>

#include "lines/driving/learn/sim/inside.h"

/* Half the shadow of a box on a unit axis at the angle whose cosine and sine against it are given. */
static float half_shadow(const fw_drive_neighbour *box, float cosine, float sine) {
    return 0.5f * (box->length_m * fabsf(cosine) + box->width_m * fabsf(sine));
}

/* Separating axes along and across a. */
static bool apart(const fw_drive_neighbour *a, const fw_drive_neighbour *b, float cos_turn, float sin_turn) {
    float dx = b->x_m - a->x_m, dy = b->y_m - a->y_m;
    float along = fabsf(dx * a->cos_yaw + dy * a->sin_yaw), across = fabsf(dy * a->cos_yaw - dx * a->sin_yaw);
    return along >= 0.5f * a->length_m + half_shadow(b, cos_turn, sin_turn) ||
           across >= 0.5f * a->width_m + half_shadow(b, sin_turn, cos_turn);
}

bool fw_sim_boxes_overlap(const fw_drive_neighbour *a, const fw_drive_neighbour *b) {
    float cos_turn = a->cos_yaw * b->cos_yaw + a->sin_yaw * b->sin_yaw;
    float sin_turn = a->cos_yaw * b->sin_yaw - a->sin_yaw * b->cos_yaw;
    return !apart(a, b, cos_turn, sin_turn) && !apart(b, a, cos_turn, sin_turn);
}

fw_drive_neighbour fw_sim_box_of(const fw_sim_agent *agent, uint32_t id) {
    return (fw_drive_neighbour){id,
                                agent->x_m,
                                agent->y_m,
                                agent->cos_yaw,
                                agent->sin_yaw,
                                agent->state.speed_mps,
                                agent->kind.length_m,
                                agent->kind.width_m};
}

/* ---- the area ----
 *
 * Distances to the edge change by no more than sqrt(2) a metre between cells. So one look tells of a circle
 * around the box's centre in which no corner can be off, or in which a look at the centre cannot tell. */

#define STEEPEST 1.415f
#define SLACK_M 0.01f /* more than what rounding makes of it */

/* How far a point is from the border of the grid, beyond which all is off; < 0 outside. */
static float inside_grid(const fw_scenario_area *area, float x_m, float y_m) {
    float right = area->x_m + (float)(area->columns - 1) * area->cell_m - x_m;
    float above = area->y_m + (float)(area->rows - 1) * area->cell_m - y_m;
    return fw_sim_least(fw_sim_least(x_m - area->x_m, right), fw_sim_least(y_m - area->y_m, above));
}

/* True when the centre is so far inside that every corner is, however the box is turned. */
static bool is_clear(const fw_scenario_area *area, fw_sim_agent *agent) {
    float dx = agent->x_m - agent->clear_x_m, dy = agent->y_m - agent->clear_y_m;
    if (dx * dx + dy * dy < agent->clear_m * agent->clear_m) return agent->clear_m > 0;
    float edge = fw_scenario_area_at(area, agent->x_m, agent->y_m) / STEEPEST;
    float most = fw_sim_least(edge, inside_grid(area, agent->x_m, agent->y_m));
    agent->clear_x_m = agent->x_m;
    agent->clear_y_m = agent->y_m;
    agent->clear_m = most - agent->half_diagonal_m - SLACK_M;
    return agent->clear_m > 0;
}

bool fw_sim_off_area(const fw_sim *sim, fw_sim_agent *agent) {
    const fw_scenario_area *area = &sim->scenario->area;
    if (area->columns == 0 || is_clear(area, agent)) return false;
    float lx = 0.5f * agent->kind.length_m * agent->cos_yaw, ly = 0.5f * agent->kind.length_m * agent->sin_yaw;
    float wx = -0.5f * agent->kind.width_m * agent->sin_yaw, wy = 0.5f * agent->kind.width_m * agent->cos_yaw;
    /* where the middle of a bumper is farther from the edge than that of half its width, its corners are inside */
    const float safe = 0.75f * agent->kind.width_m;
    if (fw_scenario_area_at(area, agent->x_m + lx, agent->y_m + ly) > safe &&
        fw_scenario_area_at(area, agent->x_m - lx, agent->y_m - ly) > safe)
        return false;
    for (int corner = 0; corner < 4; corner++) {
        float l = corner & 1 ? 1.0f : -1.0f, w = corner & 2 ? 1.0f : -1.0f;
        if (fw_scenario_area_at(area, agent->x_m + l * lx + w * wx, agent->y_m + l * ly + w * wy) < 0) return true;
    }
    return false;
}
