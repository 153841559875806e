/* shadow.h - a candidate that decides beside the model that drives, and whose decisions go nowhere.
 *
 *   scene --+--> model that drives --> guard --> bus
 *           `--> shadow, after the answer has left --> compared --> counted
 *
 * A tick disagrees when the accelerations asked for are more than FW_UNIT_SHADOW_ACCEL_MPS2 apart or the
 * curvatures more than FW_UNIT_SHADOW_CURVATURE_PM: before the guard, for it is the policies that are compared.
 *
 * Invariants: (1) nothing of a shadow reaches the bus, a recording or the guard; (2) it runs after the answer and
 * is dropped when FW_UNIT_LATE_ROW decisions in a row took more than FW_UNIT_SHADOW_MAX_MS of CPU time, for an
 * answer that is no number, or when the process dies of it, which is not held against the model that drives; what was
 * dropped is not taken again; (3) a tick with a shadow allocates nothing.
 */
#ifndef FW_UNIT_SHADOW_H
#define FW_UNIT_SHADOW_H

#include "unit/tick/seat.h"

enum { FW_UNIT_SHADOW_MAX_MS = 20 };
#define FW_UNIT_SHADOW_ACCEL_MPS2 1.0f
#define FW_UNIT_SHADOW_CURVATURE_PM 0.02f

typedef struct fw_unit_shadow {
    fw_unit_seat seat;
    uint64_t seen; /* sequence last looked at */
    uint32_t late_row;
} fw_unit_shadow;

/* Takes what the courier staged for it (0: nothing any more), between two ticks. */
void fw_unit_shadow_take(fw_unit_shadow *shadow, fw_unit_shared *shared, uint8_t *copy);
/* One tick beside `decided`, the driving policy's own action. cpu_ns: the thread's clock. */
void fw_unit_shadow_tick(fw_unit_shadow *shadow, fw_unit_shared *shared, const fw_drive_scene *scene,
                         const fw_drive_view *view, const fw_drive_action *decided, int64_t (*cpu_ns)(void));
void fw_unit_shadow_close(fw_unit_shadow *shadow);

#endif
