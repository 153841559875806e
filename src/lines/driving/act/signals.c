#include "lines/driving/act/signals.h"

#include <math.h>

static const char *const names[] = {
#define X(name, text) text,
    FW_DRIVE_SIGNALS(X)
#undef X
};
_Static_assert((int)FW_DRIVE_SIGNAL_COUNT <= (int)FW_CAMPAIGN_SIGNALS_MAX, "a condition can name them all");

const fw_campaign_signals fw_drive_signals = {.line = "driving", .names = names, .count = FW_DRIVE_SIGNAL_COUNT};

static double nearest_m(const fw_drive_obs *obs) {
    if (obs->user_count == 0) return NAN;
    return hypot((double)(obs->users[0].x_m - obs->x_m), (double)(obs->users[0].y_m - obs->y_m));
}

void fw_drive_signals_of(const fw_drive_obs *obs, const fw_drive_decision *decision,
                         uint32_t events, double out[FW_DRIVE_SIGNAL_COUNT]) {
    out[FW_DRIVE_SIGNAL_SPEED] = (double)obs->speed_mps;
    out[FW_DRIVE_SIGNAL_ACCEL] = (double)obs->accel_mps2;
    out[FW_DRIVE_SIGNAL_CURVATURE] = (double)obs->curvature_pm;
    out[FW_DRIVE_SIGNAL_IMPACT] = (double)obs->impact_mps2;
    out[FW_DRIVE_SIGNAL_X] = (double)obs->x_m;
    out[FW_DRIVE_SIGNAL_Y] = (double)obs->y_m;
    out[FW_DRIVE_SIGNAL_ROUTE_LEFT] = (double)obs->route_left_m;
    out[FW_DRIVE_SIGNAL_USERS] = obs->user_count;
    out[FW_DRIVE_SIGNAL_NEAREST] = nearest_m(obs);
    out[FW_DRIVE_SIGNAL_LIGHT] = obs->light;
    out[FW_DRIVE_SIGNAL_LIGHT_S] =
        obs->light == FW_DRIVE_LIGHT_NONE ? (double)NAN : (double)obs->light_s_m;
    out[FW_DRIVE_SIGNAL_CONFLICTS] = obs->conflict_count;
    out[FW_DRIVE_SIGNAL_POLICY_ACCEL] = (double)decision->policy.accel_mps2;
    out[FW_DRIVE_SIGNAL_POLICY_CURVATURE] = (double)decision->policy.curvature_pm;
    out[FW_DRIVE_SIGNAL_ACTION_ACCEL] = (double)decision->action.accel_mps2;
    out[FW_DRIVE_SIGNAL_ACTION_CURVATURE] = (double)decision->action.curvature_pm;
    out[FW_DRIVE_SIGNAL_UNCERTAINTY] = (double)decision->uncertainty;
    out[FW_DRIVE_SIGNAL_GUARD_VETO] = decision->veto;
    for (int i = 0; i < FW_DRIVE_EVENT_COUNT; i++) {
        static const fw_drive_signal of[FW_DRIVE_EVENT_COUNT] = {
            [FW_DRIVE_EVENT_HARD_BRAKE] = FW_DRIVE_SIGNAL_EVENT_HARD_BRAKE,
            [FW_DRIVE_EVENT_VETO] = FW_DRIVE_SIGNAL_EVENT_VETO,
            [FW_DRIVE_EVENT_IMPACT] = FW_DRIVE_SIGNAL_EVENT_IMPACT,
            [FW_DRIVE_EVENT_LOW_TTC] = FW_DRIVE_SIGNAL_EVENT_LOW_TTC,
            [FW_DRIVE_EVENT_UNCERTAIN] = FW_DRIVE_SIGNAL_EVENT_UNCERTAIN,
        };
        out[of[i]] = (events >> i) & 1u;
    }
}
