#include "lines/driving/act/features.h"

#include <math.h>
#include <string.h>

static const float accels_mps2[FW_ACCELS] = {-8, -5, -3, -1.5f, -0.5f, 0, 0.7f, 1.5f, 2.8f};
static const float steers_pm[FW_STEERS] = {-0.015f, 0, 0.015f};

static float clampf(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

static float *ego_features(const fw_drive_obs *obs, const fw_drive_view *view, float *f) {
    *f++ = obs->speed_mps / 10;
    *f++ = clampf(view->lateral_m, -3, 3);
    *f++ = 2 * clampf(view->heading_rad, -1, 1);
    *f++ = obs->accel_mps2 / 4;
    *f++ = 10 * obs->curvature_pm;
    *f++ = 10 * view->pursuit_pm;
    *f++ = 1 / (1 + obs->speed_mps);
    *f++ = obs->length_m / 10;
    return f;
}

static float *route_features(const fw_drive_obs *obs, const fw_drive_view *view, float *f) {
    static const int curves[] = {0, 1, 2, 3, 5, 7, 10, 15}, turns[] = {4, 8, 14};
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        *f++ = clampf(10 * view->curvature_pm[curves[i]], -2.5f, 2.5f);
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++)
        *f++ = clampf(view->turn_rad[turns[i]], -2, 2);
    *f++ = clampf((fw_drive_allowed_mps(view, 3.0f, 2.0f) - obs->speed_mps) / 4, -2, 2);
    *f++ = clampf((fw_drive_allowed_mps(view, 2.0f, 1.5f) - obs->speed_mps) / 4, -2, 2);
    *f++ = view->limit_mps[0] / 15;
    *f++ = view->limit_mps[10] / 15;
    *f++ = clampf((view->limit_mps[0] - obs->speed_mps) / 4, -2, 2);
    *f++ = clampf(obs->route_left_m / 50, 0, 2);
    return f;
}

static float *leader_features(const fw_drive_obs *obs, const fw_drive_view *view, float *f) {
    const fw_drive_leader *l = &view->leader, *m = &view->second;
    float gap = clampf(l->gap_m, 0, 60), closing = obs->speed_mps - l->speed_mps;
    *f++ = l->exists;
    *f++ = l->exists ? gap / 30 : 2;
    *f++ = l->exists ? 3 / (1 + gap) : 0;
    *f++ = l->exists ? closing / 5 : 0;
    *f++ = l->exists ? l->speed_mps / 10 : 0;
    *f++ = l->exists ? fminf(3, clampf(closing, 0, 20) / fmaxf(0.5f, gap)) : 0;
    float v = l->speed_mps, room = gap - 1 + v * v / 12;
    *f++ = l->exists ? clampf(fw_drive_stop_mps2(obs->speed_mps, room) / 4, 0, 2.5f) : 0;
    *f++ = m->exists ? clampf(m->gap_m, 0, 60) / 30 : 2;
    *f++ = m->exists ? (obs->speed_mps - m->speed_mps) / 5 : 0;
    return f;
}

static float *light_features(const fw_drive_obs *obs, const fw_drive_view *view, float *f) {
    bool there = view->light_matters;
    *f++ = there && view->light == FW_DRIVE_LIGHT_GREEN;
    *f++ = there && view->light == FW_DRIVE_LIGHT_YELLOW;
    bool red = there && view->light == FW_DRIVE_LIGHT_RED;
    *f++ = red;
    *f++ = there ? clampf(view->light_m, -1, 60) / 30 : 2;
    float demand = there ? clampf(fw_drive_stop_mps2(obs->speed_mps, view->light_m) / 4, 0, 2.5f) : 0;
    *f++ = demand;
    *f++ = red ? 2 / (1 + fmaxf(0, view->light_m)) : 0;
    return f;
}

static float *meeting_features(const fw_drive_obs *obs, const fw_drive_view *view, float *f) {
    for (uint32_t k = 0; k < 4; k++, f += 9) {
        memset(f, 0, 9 * sizeof *f);
        if (k >= view->meeting_count) continue;
        const fw_drive_meeting *m = &view->meetings[k];
        float pace = fmaxf(obs->speed_mps, 1.0f);
        f[0] = 1;
        f[1] = m->must_yield;
        f[2] = clampf(m->enter_m / 20, -1, 3);
        f[3] = clampf(m->clear_m / 20, 0, 3);
        f[4] = clampf(m->foe_enter_m / 20, -1, 3);
        f[5] = m->foe_speed_mps / 10;
        f[6] = clampf(m->foe_enter_s / 3, -1, 3);
        f[7] = clampf((m->foe_enter_s - m->clear_m / pace) / 3, -2, 2);
        f[8] = clampf((m->enter_m / pace - m->foe_clear_s) / 3, -2, 2);
    }
    return f;
}

static float *neighbour_features(const fw_drive_obs *obs, float *f) {
    float c = cosf(obs->yaw_rad), s = sinf(obs->yaw_rad);
    uint32_t put = 0;
    for (uint32_t k = 0; k < obs->user_count && put < 6; k++) {
        const fw_drive_user *u = &obs->users[k];
        float dx = u->x_m - obs->x_m, dy = u->y_m - obs->y_m;
        float forward = c * dx + s * dy, left = -s * dx + c * dy;
        if (forward < -12.0f) continue;
        float turn = u->yaw_rad - obs->yaw_rad;
        f[0] = clampf(forward / 20, -1, 2.5f);
        f[1] = clampf(left / 10, -3, 3);
        f[2] = (u->speed_mps * cosf(turn) - obs->speed_mps) / 10;
        f[3] = u->speed_mps * sinf(turn) / 10;
        f[4] = 3 / (1 + sqrtf(dx * dx + dy * dy));
        f += 5;
        put++;
    }
    memset(f, 0, (6 - put) * 5 * sizeof *f);
    return f + (6 - put) * 5;
}

void fw_drive_features(const fw_drive_obs *obs, const fw_drive_view *view,
                       float out[FW_FEATURES]) {
    float *f = ego_features(obs, view, out);
    f = route_features(obs, view, f);
    f = leader_features(obs, view, f);
    f = light_features(obs, view, f);
    f = meeting_features(obs, view, f);
    f = neighbour_features(obs, f);
    FW_ASSERT(f == out + FW_FEATURES);
}

fw_drive_action fw_drive_choice(const fw_drive_view *view, uint32_t accel, uint32_t steer) {
    return (fw_drive_action){accels_mps2[accel], view->pursuit_pm + steers_pm[steer]};
}
