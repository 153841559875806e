/* seat.c - models out of the shared slots (seat.h). */
#include "unit/tick/seat.h"

#include <math.h>

#include "base/log.h"
#include "lines/driving/act/flattened.h"
#include "mcap/mcap.h"

_Static_assert((int)FW_POLICY_FLAT_MAX <= (int)FW_UNIT_MODEL_MAX, "a model that loads fits its slot");

static bool is_there(fw_unit_shared *shared, uint64_t sequence) {
    return sequence != 0 && atomic_load(&shared->model_bad[sequence & 1]) != sequence &&
           atomic_load(&shared->models.slots[sequence & 1].sequence) == sequence;
}

uint64_t fw_unit_seat_wanted(fw_unit_shared *shared) {
    uint64_t staged = atomic_load_explicit(&shared->models.staged, memory_order_acquire);
    if (staged == 0 || is_there(shared, staged)) return staged;
    uint64_t other = atomic_load(&shared->models.slots[(staged & 1) ^ 1].sequence);
    return other < staged && is_there(shared, other) ? other : 0;
}

void fw_unit_seat_refuse(fw_unit_shared *shared, uint64_t sequence, fw_unit_refusal why) {
    atomic_store(&shared->bad_why[sequence & 1], (uint32_t)why);
    atomic_store(&shared->model_bad[sequence & 1], sequence);
    atomic_store(&shared->refused_why, (uint32_t)why);
    atomic_store(&shared->model_refused, sequence);
    fw_unit_wake(shared->net_wake);
}

/* Copies a slot out. OVERTAKEN: it is being written. */
static fw_unit_seated copy_slot(fw_unit_lane *lane, uint64_t sequence, uint8_t *copy, size_t *size_bytes) {
    fw_unit_slot *slot = &lane->slots[sequence & 1];
    if (atomic_load_explicit(&slot->sequence, memory_order_acquire) != sequence) return FW_UNIT_SEAT_OVERTAKEN;
    *size_bytes = atomic_load(&slot->size_bytes);
    if (*size_bytes > FW_UNIT_MODEL_MAX) return FW_UNIT_SEAT_BENT;
    fw_unit_slot_get(copy, slot->bytes, *size_bytes);
    uint32_t crc = atomic_load(&slot->crc);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load(&slot->sequence) != sequence) return FW_UNIT_SEAT_OVERTAKEN;
    return fw_mcap_crc32(0, copy, *size_bytes) == crc ? FW_UNIT_SEATED : FW_UNIT_SEAT_BENT;
}

bool fw_unit_seat_finite(const fw_drive_action *action) {
    return isfinite(action->accel_mps2) && isfinite(action->curvature_pm);
}

/* True when the policy answers a plain situation with finite numbers. */
static bool answers(const fw_policy *policy, fw_policy_session *session) {
    static const fw_drive_obs road = {
        .speed_mps = 8, .length_m = 4.5f, .width_m = 1.8f, .rear_overhang_m = 0.9f, .s_m = 2,
        .route_left_m = 50, .path_count = 4,
        .path = {{0, 0, 3.2f, 13.9f}, {2, 0, 3.2f, 13.9f}, {4, 0, 3.2f, 13.9f}, {6, 0, 3.2f, 13.9f}},
    };
    fw_drive_action action = {0};
    fw_policy_act(policy, session, &road, &action);
    return fw_unit_seat_finite(&action);
}

fw_unit_seated fw_unit_seat_take(fw_unit_seat *seat, fw_unit_lane *lane, uint64_t sequence, uint8_t *copy) {
    fw_unit_seat made = {.sequence = sequence};
    size_t size_bytes = 0;
    fw_error error;
    FW_ASSERT(seat->sequence == 0);
    fw_unit_seated copied = copy_slot(lane, sequence, copy, &size_bytes);
    if (copied != FW_UNIT_SEATED) return copied;
    fw_status status = fw_policy_unflatten(copy, size_bytes, &made.policy, &error);
    if (status == FW_OK) status = fw_policy_session_open(&made.policy, &made.session, &error);
    if (status != FW_OK) fw_log_error("unit: %s", error.text);
    if (status == FW_OK && answers(&made.policy, &made.session)) {
        *seat = made;
        return FW_UNIT_SEATED;
    }
    fw_unit_seat_clear(&made);
    return FW_UNIT_SEAT_BENT;
}

void fw_unit_seat_clear(fw_unit_seat *seat) {
    fw_policy_session_close(&seat->session);
    fw_policy_clear(&seat->policy);
    *seat = (fw_unit_seat){0};
}
