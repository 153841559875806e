/* staging.c - writing the shared slots (staging.h). */
#include "unit/courier/staging.h"

#include "unit/courier/crc.h"

static uint64_t next_sequence(const fw_unit_lane *lane, uint64_t keep) {
    uint64_t a = atomic_load(&lane->slots[0].sequence), b = atomic_load(&lane->slots[1].sequence);
    uint64_t staged = atomic_load(&lane->staged), last = a > b ? a : b;
    uint64_t next = (staged > last ? staged : last) + 1;
    return keep != 0 && ((next ^ keep) & 1) == 0 ? next + 1 : next;
}

uint64_t fw_unit_lane_put(fw_unit_lane *lane, uint64_t keep, const fw_hash *name, const void *bytes,
                          size_t size_bytes) {
    FW_ASSERT(size_bytes <= FW_UNIT_MODEL_MAX);
    uint64_t sequence = next_sequence(lane, keep);
    fw_unit_slot *slot = &lane->slots[sequence & 1];
    atomic_store(&slot->sequence, sequence);
    atomic_thread_fence(memory_order_release); /* said before a byte of it changes */
    atomic_store(&slot->size_bytes, (uint32_t)size_bytes);
    atomic_store(&slot->crc, fw_unit_crc32(bytes, size_bytes));
    fw_unit_slot_put(slot->bytes, bytes, size_bytes);
    lane->names[sequence % FW_UNIT_MODELS_NAMED] = *name;
    return sequence;
}

void fw_unit_lane_stage(fw_unit_lane *lane, uint64_t sequence) {
    atomic_store_explicit(&lane->staged, sequence, memory_order_release);
}

bool fw_unit_lane_has(const fw_unit_lane *lane, uint64_t sequence) {
    return sequence != 0 && atomic_load(&lane->slots[sequence & 1].sequence) == sequence;
}
