/* outlet.c - pieces into the ring (outlet.h). */
#include "unit/tick/outlet.h"

static bool put_piece(fw_unit_outlet *o, fw_unit_piece piece, const void *payload) {
    piece.serial = o->serial;
    piece.stream = (uint32_t)o->stream;
    return fw_unit_ring_put(&o->shared->ring, &piece, payload);
}

static fw_status take_bytes(void *self, const void *bytes, size_t size_bytes, fw_error *error) {
    (void)error;
    fw_unit_outlet *o = self;
    for (size_t at = 0; at < size_bytes;) {
        size_t part = size_bytes - at < FW_UNIT_PIECE_MAX ? size_bytes - at : FW_UNIT_PIECE_MAX;
        fw_unit_piece piece = {.kind = FW_UNIT_PIECE_BYTES, .size_bytes = (uint32_t)part,
                               .offset = o->offset, .events = o->events};
        if (!o->lost && !put_piece(o, piece, (const char *)bytes + at)) o->lost = true;
        o->offset += part;
        if (!o->lost) o->handed = o->offset;
        at += part;
    }
    return FW_OK;
}

fw_mcap_sink fw_unit_outlet_sink(fw_unit_outlet *o) {
    return (fw_mcap_sink){.self = o, .write = take_bytes};
}

void fw_unit_outlet_begin(fw_unit_outlet *o, const fw_unit_begin *begin) {
    FW_ASSERT(!o->open);
    o->open = true;
    o->fault = false;
    o->offset = o->handed = 0;
    o->events = 0;
    o->serial = atomic_fetch_add(&o->shared->serial, 1) + 1;
    fw_unit_piece piece = {.kind = FW_UNIT_PIECE_BEGIN, .size_bytes = sizeof *begin};
    o->lost = !put_piece(o, piece, begin);
}

/* A piece that does not fit is not missed: the next BEGIN of the stream says as much as CUT. */
static void leave(fw_unit_outlet *o, fw_unit_piece_kind kind) {
    FW_ASSERT(o->open);
    o->open = false;
    (void)put_piece(o, (fw_unit_piece){.kind = kind}, NULL);
    fw_unit_wake(o->shared->ring_wake);
}

void fw_unit_outlet_drop(fw_unit_outlet *o) { leave(o, FW_UNIT_PIECE_DROP); }

bool fw_unit_outlet_end(fw_unit_outlet *o, const fw_unit_ended *e) {
    FW_ASSERT(o->open);
    fw_unit_piece end = {.kind = FW_UNIT_PIECE_END, .offset = o->offset, .events = e->events,
                         .ticks = e->ticks, .drive = e->drive, .first_tick = e->first_tick,
                         .first_ns = e->first_ns, .last_ns = e->last_ns};
    if (o->lost || o->fault || !put_piece(o, end, NULL)) {
        fw_unit_lose(o->shared, FW_UNIT_LOSS_RING, o->offset - o->handed);
        leave(o, FW_UNIT_PIECE_CUT);
        return false;
    }
    o->open = false;
    fw_unit_wake(o->shared->ring_wake);
    return true;
}
