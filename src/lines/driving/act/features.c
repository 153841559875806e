#include "lines/driving/act/features.h"

#include <math.h>
#include <string.h>

#include "lines/driving/act/columns.h"

enum { USERS = FW_DRIVE_SCENE_USERS, ROWS = FW_FEATURE_USERS, EACH = FW_FEATURE_EACH };

const float fw_drive_accels_mps2[FW_ACCELS] = {-8, -5, -3, -1.5f, -0.5f, 0, 0.7f, 1.5f, 2.8f};
const float fw_drive_steers_m[FW_STEERS] = {-0.8f, -0.3f, 0, 0.3f, 0.8f};

/* A NaN becomes low. */
static inline float clampf(float x, float low, float high) {
    float least = x > low ? x : low;
    return least < high ? least : high;
}

/* ---- ego ---- */

static float *own_features(const fw_drive_scene *scene, const fw_drive_view *view, float *f) {
    *f++ = scene->speed_mps / 10;
    *f++ = clampf(view->lateral_m, -3, 3);
    *f++ = 2 * clampf(view->heading_rad, -1, 1);
    *f++ = scene->accel_mps2 / 4;
    *f++ = 10 * scene->curvature_pm;
    *f++ = 10 * view->pursuit_pm;
    *f++ = 1 / (1 + scene->speed_mps);
    *f++ = scene->length_m / 10;
    return f;
}

static float *route_features(const fw_drive_scene *scene, const fw_drive_view *view, float *f) {
    static const int curves[] = {0, 1, 2, 4, 6, 9, 13, 19}, turns[] = {5, 10, 17};
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        *f++ = clampf(10 * view->curvature_pm[curves[i]], -2.5f, 2.5f);
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++)
        *f++ = clampf(view->turn_rad[turns[i]], -2, 2);
    *f++ = clampf((fw_drive_allowed_mps(view, 3.0f, 2.0f) - scene->speed_mps) / 4, -2, 2);
    *f++ = clampf((fw_drive_allowed_mps(view, 2.0f, 1.5f) - scene->speed_mps) / 4, -2, 2);
    *f++ = view->limit_mps[0] / 15;
    *f++ = view->limit_mps[12] / 15;
    *f++ = clampf((view->limit_mps[0] - scene->speed_mps) / 4, -2, 2);
    *f++ = clampf(scene->route_left_m / 50, 0, 2);
    return f;
}

/* Room between our box and the lane's edge, left and right, if we keep our offset: here, and 8, 16, 24 m on. */
static float *room_features(const fw_drive_scene *scene, const fw_drive_view *view, float *f) {
    for (int k = 0; k <= 12; k += 4) {
        float room = 0.5f * (view->lane_m[k] - scene->width_m);
        *f++ = clampf(room - view->lateral_m, -3, 3);
        *f++ = clampf(room + view->lateral_m, -3, 3);
    }
    return f;
}

static float *leader_features(const fw_drive_scene *scene, const fw_drive_view *view, float *f) {
    const fw_drive_leader *l = &view->leader, *m = &view->second;
    float gap = clampf(l->gap_m, 0, 60), closing = scene->speed_mps - l->speed_mps;
    *f++ = l->exists;
    *f++ = l->exists ? gap / 30 : 2;
    *f++ = l->exists ? 3 / (1 + gap) : 0;
    *f++ = l->exists ? closing / 5 : 0;
    *f++ = l->exists ? l->speed_mps / 10 : 0;
    *f++ = l->exists ? clampf(clampf(closing, 0, 20) / clampf(gap, 0.5f, 60), 0, 3) : 0;
    float v = l->speed_mps, room = gap - 1 + v * v / 12;
    *f++ = l->exists ? clampf(fw_drive_stop_mps2(scene->speed_mps, room) / 4, 0, 2.5f) : 0;
    *f++ = m->exists ? clampf(m->gap_m, 0, 60) / 30 : 2;
    *f++ = m->exists ? (scene->speed_mps - m->speed_mps) / 5 : 0;
    return f;
}

static float *light_features(const fw_drive_scene *scene, const fw_drive_view *view, float *f) {
    bool there = view->light_matters;
    *f++ = there && view->light == FW_DRIVE_LIGHT_GREEN;
    *f++ = there && view->light == FW_DRIVE_LIGHT_YELLOW;
    bool red = there && view->light == FW_DRIVE_LIGHT_RED;
    *f++ = red;
    *f++ = there ? clampf(view->light_m, -1, 60) / 30 : 2;
    *f++ = there ? clampf(fw_drive_stop_mps2(scene->speed_mps, view->light_m) / 4, 0, 2.5f) : 0;
    *f++ = red ? 2 / (1 + clampf(view->light_m, 0, 1000)) : 0;
    return f;
}

/* ---- users ---- */

/* Rows of the scene that go in: the nearest; one with a meeting takes the place of the farthest without. */
static uint32_t choose_users(const fw_drive_view *view, uint8_t row[ROWS]) {
    uint32_t count = view->user_count < ROWS ? view->user_count : ROWS;
    for (uint32_t k = 0; k < ROWS; k++) row[k] = (uint8_t)k;
    if (view->user_count <= ROWS) return count;
    bool meets[USERS] = {false};
    for (uint32_t i = 0; i < view->meeting_count; i++) meets[view->meetings[i].user] = true;
    for (uint32_t k = ROWS, out = ROWS; k < view->user_count; k++) {
        if (!meets[k]) continue;
        while (out > 0 && meets[row[out - 1]]) out--;
        if (out == 0) break;
        row[--out] = (uint8_t)k;
    }
    return count;
}

/* The box and its way: columns 0 to 10, all users at once, one row of `c` a column. */
FW_KERNEL static void box_columns(const fw_drive_relations *r, float own_mps, float c[EACH][USERS]) {
    for (int k = 0; k < USERS; k++) {
        float x = r->forward_m[k], y = r->left_m[k];
        c[0][k] = clampf(x * 0.1f, -5, 5);
        c[1][k] = clampf(y * 0.1f, -5, 5);
        c[2][k] = r->cos_turn[k];
        c[3][k] = r->sin_turn[k];
        c[4][k] = (r->speed_mps[k] * r->cos_turn[k] - own_mps) * 0.1f;
        c[5][k] = r->speed_mps[k] * r->sin_turn[k] * 0.1f;
        c[6][k] = r->length_m[k] * 0.1f;
        c[7][k] = r->width_m[k] * 0.5f;
        c[8][k] = 1 / (1 + sqrtf(x * x + y * y));
        c[9][k] = clampf(r->gap_m[k] * 0.05f, -1, 3);
        c[10][k] = clampf(r->lateral_m[k] * (1 / 3.0f), -2, 2);
    }
}

/* Its most urgent meeting: columns 11 to 15. The list has the most urgent first, so it is written last. */
static void meeting_columns(const fw_drive_scene *scene, const fw_drive_view *view, float c[EACH][USERS]) {
    float pace = 1 / (scene->speed_mps > 1 ? scene->speed_mps : 1);
    memset(c[11], 0, 5 * sizeof c[11]);
    for (uint32_t i = view->meeting_count; i-- > 0;) {
        const fw_drive_meeting *m = &view->meetings[i];
        c[11][m->user] = m->must_yield;
        c[12][m->user] = !m->must_yield;
        c[13][m->user] = clampf(m->enter_m / 20, -1, 3);
        c[14][m->user] = clampf((m->foe_enter_s - m->clear_m * pace) / 3, -2, 2);
        c[15][m->user] = clampf((m->enter_m * pace - m->foe_clear_s) / 3, -2, 2);
    }
}

FW_KERNEL static void rows_of(const float c[EACH][USERS], float rows[USERS][EACH]) {
    for (int k = 0; k < USERS; k += 8)
        for (int j = 0; j < EACH; j += 8) {
            const float *from[8];
            float *to[8];
            for (int i = 0; i < 8; i++) from[i] = c[j + i] + k, to[i] = rows[k + i] + j;
            fw_transpose8(from, to);
        }
}

static void user_features(const fw_drive_scene *scene, const fw_drive_view *view, float *out, float *mask) {
    float c[EACH][USERS], rows[USERS][EACH];
    uint8_t row[ROWS];
    uint32_t count = choose_users(view, row);
    memset(out + count * EACH, 0, (ROWS - count) * EACH * sizeof *out);
    for (uint32_t k = 0; k < ROWS; k++) mask[k] = k < count;
    if (count == 0) return;
    box_columns(&view->users, scene->speed_mps, c);
    meeting_columns(scene, view, c);
    rows_of(c, rows);
    for (uint32_t k = 0; k < count; k++) memcpy(out + k * EACH, rows[row[k]], sizeof rows[0]);
}

void fw_drive_features(const fw_drive_scene *scene, const fw_drive_view *view, float out[FW_FEATURES]) {
    float *f = own_features(scene, view, out);
    f = route_features(scene, view, f);
    f = room_features(scene, view, f);
    f = leader_features(scene, view, f);
    f = light_features(scene, view, f);
    FW_ASSERT(f == out + FW_FEATURES_EGO);
    user_features(scene, view, out + FW_FEATURES_USERS_AT, out + FW_FEATURES_MASK_AT);
}

/* ---- answers ---- */

static float gently(const fw_drive_view *view, float wanted_mps2) {
    const float most = FW_DRIVE_GENTLE_MPS3 * FW_DRIVE_TICK_S;
    if (wanted_mps2 <= FW_DRIVE_FIRM_MPS2) return wanted_mps2;
    return fminf(view->accel_mps2 + most, fmaxf(view->accel_mps2 - most, wanted_mps2));
}

fw_drive_action fw_drive_choice(const fw_drive_view *view, uint32_t accel, uint32_t steer) {
    return (fw_drive_action){gently(view, fw_drive_accels_mps2[accel]), fw_drive_pursuit(view, fw_drive_steers_m[steer])};
}

/* A score that is no number weighs nothing; if all are none, the first choice stands. */
static float blend(const float *score, const float *of, uint32_t count) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (score[i] > score[best]) best = i;
    float sum = 1, mean = of[best];
    for (uint32_t i = best > 0 ? best - 1 : 1; i < count && i <= best + 1; i += 2) {
        float below = score[i] - score[best];
        float weight = below > -20.0f ? expf(below) : 0.0f;
        sum += weight;
        mean += weight * of[i];
    }
    return mean / sum;
}

fw_drive_action fw_drive_blend(const fw_drive_view *view, const float accel[FW_ACCELS],
                               const float steer[FW_STEERS]) {
    return (fw_drive_action){gently(view, blend(accel, fw_drive_accels_mps2, FW_ACCELS)),
                             fw_drive_pursuit(view, blend(steer, fw_drive_steers_m, FW_STEERS))};
}
