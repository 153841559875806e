/* The strong rule-based driver: IDM along the route, virtual leaders at red lights and at zones
 * where we must yield. Parameters: a city's (Treiber and Kesting, Traffic Flow Dynamics, ch. 11). */
#include <math.h>

#include "lines/driving/act/view.h"

static const float accel_max = 2.0f, comfort = 2.0f, headway_s = 1.2f, standstill_m = 2.0f;

/* IDM's interaction term for one leader. */
static float interaction(float speed, float gap, float leader_speed) {
    float closing = speed - leader_speed;
    float wanted = standstill_m + fmaxf(0.0f, speed * headway_s +
                                                  speed * closing /
                                                      (2 * sqrtf(accel_max * comfort)));
    float ratio = wanted / fmaxf(gap, 0.1f);
    return ratio * ratio;
}

/* Time to cover a distance from speed, accelerating at 1.5 m/s2 up to top. */
static float time_over(float distance, float speed, float top) {
    if (distance <= 0) return 0;
    const float a = 1.5f;
    top = fmaxf(top, speed + 0.1f);
    float ramp = (top * top - speed * speed) / (2 * a);
    if (distance < ramp) return (sqrtf(speed * speed + 2 * a * distance) - speed) / a;
    return (top - speed) / a + (distance - ramp) / top;
}

/* True when the zone is not ours to enter now. */
static bool must_wait(const fw_drive_meeting *m, float speed, float top) {
    if (m->enter_m < -0.5f) return false; /* already in: leave it */
    bool inside = m->foe_enter_m < 0.5f && m->foe_clear_m > 0;
    if (inside) return true;
    if (!m->must_yield) return false;
    float in = time_over(m->enter_m, speed, top), out = time_over(m->clear_m, speed, top);
    float foe_speed = fmaxf(m->foe_speed_mps, 3.0f);
    float foe_in = time_over(m->foe_enter_m, foe_speed, foe_speed + 2.0f);
    float foe_out = m->foe_clear_m / fmaxf(m->foe_speed_mps, 2.0f);
    return in < foe_out + 0.7f && out > foe_in - 1.2f;
}

float fw_idm_accel(const fw_drive_scene *scene, const fw_drive_view *view) {
    float speed = scene->speed_mps;
    float wanted = fmaxf(1.0f, fw_drive_allowed_mps(view, 2.2f, 1.5f));
    float free_term = speed / wanted;
    free_term = free_term * free_term * free_term * free_term;
    float most = 0;
    if (view->leader.exists)
        most = interaction(speed, view->leader.gap_m, view->leader.speed_mps);
    if (view->light_matters && view->light != FW_DRIVE_LIGHT_GREEN && view->light_m > 0) {
        bool can_stop = fw_drive_stop_mps2(speed, view->light_m) < 4.0f;
        if (view->light == FW_DRIVE_LIGHT_RED || can_stop)
            most = fmaxf(most, interaction(speed, view->light_m + 0.7f, 0));
    }
    for (uint32_t k = 0; k < view->meeting_count; k++) {
        const fw_drive_meeting *m = &view->meetings[k];
        if (m->enter_m > 45.0f || !must_wait(m, speed, wanted)) continue;
        if (fw_drive_stop_mps2(speed, m->enter_m) > 7.5f && m->must_yield &&
            m->foe_enter_m > 0.5f)
            continue; /* too late to stop: go on rather than stop in the zone */
        most = fmaxf(most, interaction(speed, m->enter_m + 0.8f, 0));
    }
    float accel = accel_max * (1 - free_term - most);
    return fmaxf(FW_DRIVE_ACCEL_MIN_MPS2, accel);
}
