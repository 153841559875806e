#include "unit/tick/safe.h"

#include <math.h>

void fw_unit_safe_act(const fw_drive_view *view, fw_drive_action *action) {
    float curvature = fw_drive_pursuit(view, 0);
    action->accel_mps2 = -FW_UNIT_SAFE_BRAKE_MPS2;
    action->curvature_pm = isfinite(curvature) ? curvature : 0;
}
