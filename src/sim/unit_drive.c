/* unit_drive.c - what a tick process would have put into the ring (unit.h). */
#include <stdlib.h>

#include "sim/unit_inner.h"
#include "sim/world.h"

enum { DRIVE_EVERY_S = 240, SLICE_MIN_BYTES = 300, SLICE_MORE_BYTES = 3000 };

static bool put(fw_sim_unit *u, fw_unit_piece piece, const void *payload) {
    piece.serial = u->serial;
    piece.stream = FW_UNIT_ROUTINE;
    return fw_unit_ring_put(&u->shared->ring, &piece, payload);
}

static void begin(fw_sim_world *w, fw_sim_unit *u) {
    fw_error error;
    const fw_hash model = fw_hash_bytes("sim", 3);
    if (!u->drive.bytes) u->drive.bytes = malloc(FW_SIM_DRIVE_BYTES_MAX);
    FW_ASSERT(u->drive.bytes);
    if (fw_sim_drive_make(w->recorder, &u->random, u->number, ++u->drives, &model, &u->drive, &error) != FW_OK) {
        fw_sim_broken(w, "spool", u->machine.name, "the recorder: %.300s", error.text);
        return;
    }
    const fw_env *env = &u->machine.env;
    fw_unit_begin start = {.mono_ns = fw_env_mono_ns(env), .wall_ns = fw_env_wall_ns(env)};
    u->serial = atomic_fetch_add(&u->shared->serial, 1) + 1;
    u->handed = 0;
    u->recording = put(u, (fw_unit_piece){.kind = FW_UNIT_PIECE_BEGIN, .size_bytes = sizeof start}, &start);
}

static void end(fw_sim_world *w, fw_sim_unit *u) {
    const fw_sim_drive *d = &u->drive;
    fw_unit_piece piece = {.kind = FW_UNIT_PIECE_END, .offset = d->size_bytes, .events = d->events,
                           .ticks = d->what.ticks, .drive = d->what.drive, .first_tick = d->what.first_tick,
                           .first_ns = d->first_ns, .last_ns = d->last_ns};
    if (u->waiting_count == sizeof u->waiting / sizeof *u->waiting) return; /* the ring is not drained */
    if (!put(u, piece, NULL)) return;
    u->recording = false;
    u->waiting[u->waiting_count] = fw_hash_bytes(d->bytes, d->size_bytes);
    fw_sim_recording *r = fw_sim_recording_of(&w->promises, u->waiting[u->waiting_count++].hex);
    r->unit = u->number;
    r->size_bytes = d->size_bytes;
    w->result.counts.recordings_made++;
    atomic_fetch_add(&u->shared->recordings, 1);
    fw_sim_say(&w->trace, w->now_ns, u->machine.name, "recorded %.12s", r->hash.hex);
}

void fw_sim_unit_drive(fw_sim_world *w, fw_sim_unit *u) {
    atomic_fetch_add(&u->shared->ticks, 40);
    atomic_fetch_add(&u->shared->tick, 40);
    if (!u->recording) {
        if (w->now_ns < u->drive_due_ns) return;
        u->drive_due_ns = w->now_ns + fw_sim_wait_ns(&u->random, DRIVE_EVERY_S);
        begin(w, u);
        return;
    }
    const fw_sim_drive *d = &u->drive;
    size_t left = d->size_bytes - u->handed;
    size_t part = SLICE_MIN_BYTES + fw_random_below(&u->random, SLICE_MORE_BYTES);
    if (part > left) part = left;
    fw_unit_piece piece = {.kind = FW_UNIT_PIECE_BYTES, .size_bytes = (uint32_t)part, .offset = u->handed};
    if (part > 0 && put(u, piece, d->bytes + u->handed)) u->handed += part;
    if (u->handed == d->size_bytes) end(w, u);
}
