/* signals.h - what a driving unit's tick offers to the conditions of campaigns (campaign.h).
 *
 * To add a signal: 1. a line in FW_DRIVE_SIGNALS, 2. its value in signals.c, 3. a row in
 * docs/formats/campaign.md.
 */
#ifndef FW_LINES_DRIVING_SIGNALS_H
#define FW_LINES_DRIVING_SIGNALS_H

#include "campaign/campaign.h"
#include "lines/driving/act/channels.h"

/* X(enum, name); units are in the names. Events are 1 in the tick in which they begin, else 0. */
#define FW_DRIVE_SIGNALS(X)                                                                        \
    X(SPEED, "/ego.speed_mps")                                                                     \
    X(ACCEL, "/ego.accel_mps2")                                                                    \
    X(CURVATURE, "/ego.curvature_pm")                                                              \
    X(IMPACT, "/ego.impact_mps2")                                                                  \
    X(X, "/ego.x_m")                                                                               \
    X(Y, "/ego.y_m")                                                                               \
    X(ROUTE_LEFT, "/ego.route_left_m")                                                             \
    X(USERS, "/users.count")                                                                       \
    X(NEAREST, "/users.nearest_m")                                                                 \
    X(LIGHT, "/signal.light")                                                                      \
    X(LIGHT_S, "/signal.light_s_m")                                                                \
    X(CONFLICTS, "/conflicts.count")                                                               \
    X(POLICY_ACCEL, "/action.policy_accel_mps2")                                                   \
    X(POLICY_CURVATURE, "/action.policy_curvature_pm")                                             \
    X(ACTION_ACCEL, "/action.accel_mps2")                                                          \
    X(ACTION_CURVATURE, "/action.curvature_pm")                                                    \
    X(UNCERTAINTY, "/action.uncertainty")                                                          \
    X(GUARD_VETO, "/guard.veto")                                                                   \
    X(EVENT_HARD_BRAKE, "/event.hard_brake")                                                       \
    X(EVENT_VETO, "/event.veto")                                                                   \
    X(EVENT_IMPACT, "/event.impact")                                                               \
    X(EVENT_LOW_TTC, "/event.low_ttc")                                                             \
    X(EVENT_UNCERTAIN, "/event.uncertain")

typedef enum fw_drive_signal {
#define X(name, text) FW_DRIVE_SIGNAL_##name,
    FW_DRIVE_SIGNALS(X)
#undef X
        FW_DRIVE_SIGNAL_COUNT
} fw_drive_signal;

extern const fw_campaign_signals fw_drive_signals;

/* One tick's values; events: bit set as fw_drive_events gives it. */
void fw_drive_signals_of(const fw_drive_obs *obs, const fw_drive_decision *decision,
                         uint32_t events, double out[FW_DRIVE_SIGNAL_COUNT]);

#endif
