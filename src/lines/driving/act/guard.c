#include "lines/driving/act/guard.h"

#include <math.h>

static const struct {
#define X(field, value, text) float field;
    FW_GUARD_FIGURES(X)
#undef X
} limit = {
#define X(field, value, text) .field = value,
    FW_GUARD_FIGURES(X)
#undef X
};

static const float all_mps2 = 99.0f; /* no way left */

/* Us in a moment, if an acceleration is carried out. */
typedef struct next {
    const fw_drive_scene *scene;
    const fw_drive_view *view;
    float speed_mps, way_m; /* way_m: driven until then */
} next;

static next next_of(const fw_drive_scene *scene, const fw_drive_view *view, float accel_mps2) {
    float speed = fmaxf(0.0f, scene->speed_mps + accel_mps2 * limit.react_s);
    return (next){scene, view, speed, 0.5f * (scene->speed_mps + speed) * limit.react_s};
}

static bool is_braking(const fw_drive_scene *scene) { return scene->accel_mps2 <= -limit.keep_mps2; }

/* ---- the rules' demands ---- */

static float demand_leader(const next *n) {
    const fw_drive_leader *leader = &n->view->leader;
    if (!leader->exists) return 0;
    float w = leader->speed_mps, gap = leader->gap_m - n->way_m;
    float room = gap - limit.standoff_m + w * w / (2 * limit.leader_brake_mps2);
    float demand = fw_drive_stop_mps2(n->speed_mps, room);
    float left = gap + w * limit.react_s;
    bool soon = left < limit.ttc_s * (n->speed_mps - w);
    return soon ? fmaxf(demand, limit.firm_mps2) : demand;
}

static float demand_light(const next *n) {
    if (!n->view->light_matters || n->view->light == FW_DRIVE_LIGHT_GREEN) return 0;
    bool red = n->view->light == FW_DRIVE_LIGHT_RED;
    float room = n->view->light_m - limit.line_gap_m;
    float last = red || is_braking(n->scene) ? limit.red_last_mps2 : limit.yellow_last_mps2;
    if (fw_drive_stop_mps2(n->scene->speed_mps, room) > last) return 0;
    return fw_drive_stop_mps2(n->speed_mps, room - n->way_m);
}

static float demand_corridor(const next *n) {
    float most = 0, square = n->speed_mps * n->speed_mps;
    for (int k = 0; k < FW_DRIVE_PREVIEWS; k++) {
        float room = fmaxf(limit.room_least_m, 0.5f * (n->view->lane_m[k] - n->scene->width_m));
        float sideways = fminf(limit.lateral_mps2, 8 * room / (limit.reach_s * limit.reach_s));
        float bend = fabsf(n->view->curvature_pm[k]), way = (float)k * FW_DRIVE_PREVIEW_M - n->way_m;
        /* (square - sideways / bend) / 2 way, without a division by a straight's 0 */
        float excess = square * bend - sideways;
        if (excess > 0) most = fmaxf(most, excess / (2 * bend * fmaxf(limit.bend_least_m, way)));
    }
    return most;
}

/* Seconds to cover a way from a speed, accelerating. */
static float time_over(float way_m, float speed_mps) {
    if (way_m <= 0) return 0;
    return (sqrtf(speed_mps * speed_mps + 2 * limit.go_mps2 * way_m) - speed_mps) / limit.go_mps2;
}

/* Whether the zone is not ours to enter. */
static bool is_taken(const next *n, const fw_drive_meeting *m) {
    bool inside = m->foe_enter_m < -limit.nose_m, stands = m->foe_speed_mps < limit.stands_mps;
    if (stands || !(inside || m->must_yield)) return inside;
    float foe_in_s = time_over(m->foe_enter_m, m->foe_speed_mps);
    float foe_out_s = m->foe_clear_m / m->foe_speed_mps;
    float in_s = time_over(m->enter_m - n->way_m, n->speed_mps);
    float out_s = time_over(m->clear_m - n->way_m, n->speed_mps);
    return in_s < foe_out_s + limit.zone_slack_s && foe_in_s < out_s + limit.zone_slack_s;
}

static float demand_zone(const next *n) {
    float most = 0;
    for (uint32_t k = 0; k < n->view->meeting_count; k++) {
        const fw_drive_meeting *m = &n->view->meetings[k];
        float room = m->enter_m - limit.zone_gap_m;
        if (m->enter_m < -limit.nose_m || !is_taken(n, m)) continue;
        if (fw_drive_stop_mps2(n->scene->speed_mps, room) > limit.zone_last_mps2) continue;
        most = fmaxf(most, fw_drive_stop_mps2(n->speed_mps, room - n->way_m));
    }
    return most;
}

/* Whether a box lies right before our front bumper. */
static bool is_ahead(const next *n, uint32_t k) {
    const fw_drive_relations *r = &n->view->users;
    const fw_drive_neighbour *u = &n->scene->users[k];
    float c = fabsf(r->cos_turn[k]), s = fabsf(r->sin_turn[k]);
    float before = r->forward_m[k] - 0.5f * n->scene->length_m;
    float aside = fabsf(r->left_m[k]) - 0.5f * n->scene->width_m;
    return before > 0 && before - 0.5f * (u->length_m * c + u->width_m * s) < limit.creep_m &&
           aside < 0.5f * (u->width_m * c + u->length_m * s);
}

static float demand_creep(const next *n) {
    if (n->speed_mps <= 0 || n->scene->speed_mps >= limit.creep_mps) return 0;
    for (uint32_t k = 0; k < n->view->user_count; k++)
        if (is_ahead(n, k)) return all_mps2;
    return 0;
}

/* ---- the guard ---- */

const char *fw_guard_veto_name(fw_guard_veto veto) {
    static const char *const names[FW_GUARD_COUNT] = {
        [FW_GUARD_NONE] = "none",
#define X(name, text) [FW_GUARD_##name] = text,
        FW_GUARD_RULES(X)
#undef X
    };
    FW_ASSERT((unsigned)veto < FW_GUARD_COUNT);
    return names[veto];
}

fw_guard_veto fw_guard(const fw_drive_scene *scene, const fw_drive_view *view, fw_drive_action *action) {
    static float (*const demands[FW_GUARD_COUNT])(const next *) = {
        [FW_GUARD_LEADER] = demand_leader, [FW_GUARD_RED_LIGHT] = demand_light,
        [FW_GUARD_CORRIDOR] = demand_corridor, [FW_GUARD_ZONE] = demand_zone,
        [FW_GUARD_CREEP] = demand_creep};
    const next n = next_of(scene, view, action->accel_mps2);
    fw_guard_veto veto = FW_GUARD_NONE;
    float least = is_braking(scene) ? limit.keep_mps2 : limit.firm_mps2, most = 0;
    for (int i = FW_GUARD_NONE + 1; i < FW_GUARD_COUNT; i++) {
        float demand = demands[i](&n);
        if (demand >= least && demand > most) most = demand, veto = (fw_guard_veto)i;
    }
    if (veto == FW_GUARD_NONE) return FW_GUARD_NONE;
    const next braked = next_of(scene, view, -limit.firm_mps2);
    float enough = limit.keep_mps2;
    for (int i = FW_GUARD_NONE + 1; i < FW_GUARD_COUNT; i++) enough = fmaxf(enough, demands[i](&braked));
    float allowed = fmaxf(FW_DRIVE_ACCEL_MIN_MPS2, -enough);
    if (!(action->accel_mps2 > allowed)) return FW_GUARD_NONE;
    action->accel_mps2 = allowed;
    return veto;
}
