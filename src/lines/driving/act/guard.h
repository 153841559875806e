/* guard.h - the fixed, learning-free rule on every unit: it may only take acceleration away.
 *
 * Invariant: after fw_guard, action->accel_mps2 <= what it was, and curvature is untouched.
 * Rules: stopping distance to the vehicle ahead on our path, and to a red light's stop line.
 */
#ifndef FW_LINES_DRIVING_GUARD_H
#define FW_LINES_DRIVING_GUARD_H

#include "lines/driving/act/drive.h"

typedef enum fw_guard_veto { FW_GUARD_NONE, FW_GUARD_LEADER, FW_GUARD_RED_LIGHT } fw_guard_veto;

/* Lowers action->accel_mps2 where a rule asks for it; says which rule did. */
fw_guard_veto fw_guard(const fw_drive_obs *obs, fw_drive_action *action);

#endif
