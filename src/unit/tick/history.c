/* history.c - a ring of entries of different sizes (history.h). */
#include "unit/tick/history.h"

#include <stdlib.h>
#include <string.h>

struct fw_unit_history {
    uint64_t oldest, next;
    size_t write; /* where the next entry may begin */
    size_t places[FW_UNIT_HISTORY_TICKS];
    _Alignas(16) uint8_t bytes[FW_UNIT_HISTORY_BYTES];
};

fw_status fw_unit_history_open(fw_unit_history **out, fw_error *error) {
    fw_unit_history *h = aligned_alloc(16, sizeof *h);
    if (!h) return fw_fail(error, FW_NO_MEMORY, "unit: no memory for the last ticks");
    h->oldest = h->next = 0;
    h->write = 0;
    *out = h;
    return FW_OK;
}

void fw_unit_history_close(fw_unit_history *history) { free(history); }

static size_t entry_bytes(size_t obs_bytes) {
    return (sizeof(fw_unit_past) + obs_bytes + 15) / 16 * 16;
}

static size_t place_of(const fw_unit_history *h, uint64_t sequence) {
    return h->places[sequence % FW_UNIT_HISTORY_TICKS];
}

/* Forgets the oldest entries as long as they lie in [at, at + size). */
static void clear(fw_unit_history *h, size_t at, size_t size) {
    while (h->oldest < h->next) {
        size_t place = place_of(h, h->oldest);
        if (place < at || place >= at + size) return;
        h->oldest++;
    }
}

void fw_unit_history_push(fw_unit_history *h, const fw_unit_past *past, const void *obs) {
    size_t size = entry_bytes(past->obs_bytes);
    FW_ASSERT(past->obs_bytes <= FW_DRIVE_OBS_WIRE_MAX);
    if (h->next - h->oldest == FW_UNIT_HISTORY_TICKS) h->oldest++;
    if (h->write + size > FW_UNIT_HISTORY_BYTES) {
        clear(h, h->write, FW_UNIT_HISTORY_BYTES - h->write);
        h->write = 0;
    }
    clear(h, h->write, size);
    memcpy(h->bytes + h->write, past, sizeof *past);
    memcpy(h->bytes + h->write + sizeof *past, obs, past->obs_bytes);
    h->places[h->next % FW_UNIT_HISTORY_TICKS] = h->write;
    h->next++;
    h->write += size;
}

uint64_t fw_unit_history_oldest(const fw_unit_history *h) { return h->oldest; }
uint64_t fw_unit_history_next(const fw_unit_history *h) { return h->next; }

const fw_unit_past *fw_unit_history_get(const fw_unit_history *h, uint64_t sequence,
                                        const void **obs) {
    FW_ASSERT(sequence >= h->oldest && sequence < h->next);
    const uint8_t *entry = h->bytes + place_of(h, sequence);
    *obs = entry + sizeof(fw_unit_past);
    return (const fw_unit_past *)(const void *)entry;
}
