/* shadow.c - the candidate beside the one that drives (shadow.h). */
#include "unit/tick/shadow.h"

#include <math.h>

#include "base/log.h"
#include "unit/tick/watch.h"

static void drop(fw_unit_shadow *shadow, fw_unit_shared *shared, const char *why) {
    fw_log_warn("unit: the shadow is dropped: %s", why);
    atomic_store(&shared->shadow_refused, shadow->seen);
    atomic_store(&shared->shadow_active, 0);
    fw_unit_seat_clear(&shadow->seat);
}

void fw_unit_shadow_take(fw_unit_shadow *shadow, fw_unit_shared *shared, uint8_t *copy) {
    uint64_t staged = atomic_load_explicit(&shared->shadows.staged, memory_order_acquire);
    if (staged == shadow->seen) return;
    fw_unit_seat_clear(&shadow->seat);
    shadow->seen = staged;
    shadow->late_row = 0;
    atomic_store(&shared->shadow_active, 0);
    if (staged == 0 || staged == atomic_load(&shared->shadow_refused)) return;
    atomic_store(&shared->shadow_taking, staged);
    fw_unit_seated seated = fw_unit_seat_take(&shadow->seat, &shared->shadows, staged, copy);
    atomic_store(&shared->shadow_taking, 0);
    if (seated == FW_UNIT_SEAT_OVERTAKEN) shadow->seen = 0; /* look again */
    if (seated == FW_UNIT_SEAT_BENT) drop(shadow, shared, "it did not pass its check");
    if (seated == FW_UNIT_SEATED) atomic_store(&shared->shadow_active, staged);
}

static bool disagrees(const fw_drive_action *a, const fw_drive_action *b) {
    return fabsf(a->accel_mps2 - b->accel_mps2) > FW_UNIT_SHADOW_ACCEL_MPS2 ||
           fabsf(a->curvature_pm - b->curvature_pm) > FW_UNIT_SHADOW_CURVATURE_PM;
}

void fw_unit_shadow_tick(fw_unit_shadow *shadow, fw_unit_shared *shared, const fw_drive_scene *scene,
                         const fw_drive_view *view, const fw_drive_action *decided, int64_t (*cpu_ns)(void)) {
    fw_unit_health *health = &shared->health;
    fw_drive_action action = {0};
    if (shadow->seat.sequence == 0) return;
    int64_t before_ns = cpu_ns();
    atomic_store(&shared->shadow_taking, shadow->seat.sequence);
    fw_policy_act_scene(&shadow->seat.policy, &shadow->seat.session, scene, view, &action);
    atomic_store(&shared->shadow_taking, 0);
    bool late = cpu_ns() - before_ns > (int64_t)FW_UNIT_SHADOW_MAX_MS * 1000000;
    shadow->late_row = late ? shadow->late_row + 1 : 0;
    if (!fw_unit_seat_finite(&action)) {
        drop(shadow, shared, "it answered something that is no number");
        return;
    }
    if (shadow->late_row >= FW_UNIT_LATE_ROW) {
        drop(shadow, shared, "it takes too long");
        return;
    }
    if (atomic_load_explicit(&health->shadow_sequence, memory_order_relaxed) != shadow->seat.sequence) {
        atomic_store(&health->shadow_ticks, 0);
        atomic_store(&health->shadow_disagreements, 0);
        atomic_store(&health->shadow_sequence, shadow->seat.sequence);
    }
    atomic_fetch_add_explicit(&health->shadow_ticks, 1, memory_order_relaxed);
    if (disagrees(&action, decided))
        atomic_fetch_add_explicit(&health->shadow_disagreements, 1, memory_order_relaxed);
}

void fw_unit_shadow_close(fw_unit_shadow *shadow) { fw_unit_seat_clear(&shadow->seat); }
