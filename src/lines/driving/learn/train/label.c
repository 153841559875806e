#include "lines/driving/learn/train/label.h"

#include <math.h>

enum { AHEAD = 7 /* ticks to the speed that is aimed at */ };
static const float catch_up_ps2 = 0.4f, behind_most_m = 3.0f; /* m/s2 for each metre behind the log */

/* Of the log's rear axle at index i, in our frame. */
static void in_our_frame(const fw_scenario_track *t, uint32_t i, const fw_drive_scene *scene, float *ahead_m,
                         float *left_m) {
    float back = 0.5f * t->kind.length_m - t->kind.rear_overhang_m;
    float dx = t->x_m[i] - back * t->cos_yaw[i] - scene->x_m;
    float dy = t->y_m[i] - back * t->sin_yaw[i] - scene->y_m;
    *ahead_m = scene->cos_yaw * dx + scene->sin_yaw * dy;
    *left_m = scene->cos_yaw * dy - scene->sin_yaw * dx;
}

static float wanted_accel(const fw_scenario_track *t, uint32_t tick, const fw_drive_scene *scene) {
    uint32_t now = tick > t->first ? tick - t->first : 0, last = t->count - 1;
    uint32_t then = now + AHEAD;
    float ahead_m = 0, left_m;
    if (now <= last) in_our_frame(t, now, scene, &ahead_m, &left_m);
    float change = t->speed_mps[then < last ? then : last] - scene->speed_mps;
    return change / (AHEAD * FW_DRIVE_TICK_S) +
           catch_up_ps2 * fmaxf(-behind_most_m, fminf(behind_most_m, ahead_m));
}

/* Curvature of the arc to where the human was at our lookahead; false: the log does not get there. */
static bool wanted_curvature(const fw_scenario_track *t, uint32_t tick, const fw_drive_scene *scene,
                             float *curvature_pm) {
    float v = scene->speed_mps, lookahead_m = 2.5f + 0.4f * v + 0.02f * v * v;
    for (uint32_t i = tick > t->first ? tick - t->first : 0; i < t->count; i++) {
        float ahead_m, left_m;
        in_our_frame(t, i, scene, &ahead_m, &left_m);
        if (ahead_m < lookahead_m) continue;
        *curvature_pm = 2 * left_m / (ahead_m * ahead_m + left_m * left_m);
        return true;
    }
    return false;
}

static uint32_t nearest_accel(float wanted_mps2) {
    uint32_t best = 0;
    float least = INFINITY;
    for (uint32_t k = 0; k < FW_ACCELS; k++) {
        float miss = fabsf(fw_drive_accels_mps2[k] - wanted_mps2);
        if (miss < least) least = miss, best = k;
    }
    return best;
}

static uint32_t nearest_steer(const fw_drive_view *view, float wanted_pm) {
    uint32_t best = 0;
    float least = INFINITY;
    for (uint32_t k = 0; k < FW_STEERS; k++) {
        float miss = fabsf(fw_drive_choice(view, 0, k).curvature_pm - wanted_pm);
        if (miss < least) least = miss, best = k;
    }
    return best;
}

fw_learn_label fw_learn_label_of(const fw_scenario_track *track, uint32_t tick, const fw_drive_scene *scene,
                                 const fw_drive_view *view) {
    float curvature_pm;
    fw_learn_label label = {nearest_accel(wanted_accel(track, tick, scene)), FW_STEERS / 2};
    if (wanted_curvature(track, tick, scene, &curvature_pm)) label.steer = nearest_steer(view, curvature_pm);
    return label;
}
