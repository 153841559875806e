/* Shared by the unit's tests: a folder, shared memory, a staged rule, a road to drive on, and the
 * reader's side of the ring. */
#ifndef FW_TESTS_UNIT_SUPPORT_H
#define FW_TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "bus/bus.h"
#include "lines/driving/act/channels.h"
#include "lines/driving/act/policy.h"
#include "lines/driving/act/signals.h"
#include "lines/driving/learn/learn.h"
#include "mcap/mcap.h"
#include "unit/courier/staging.h"
#include "unit/shared.h"
#include "unit/tick/tick.h"

static inline void make_folder(char out[64]) {
    snprintf(out, 64, "/tmp/fw_unit_XXXXXX");
    assert_non_null(mkdtemp(out));
}

static inline void drop_folder(const char *path) {
    fw_error error;
    assert_int_equal(fw_folder_remove(path, &error), FW_OK);
}

static inline fw_unit_shared *make_shared(void) {
    fw_unit_shared *shared = NULL;
    fw_error error;
    assert_int_equal(fw_unit_shared_make(&shared, &error), FW_OK);
    return shared;
}

/* Puts a model file (taken) into its slot, as the courier does. */
static inline fw_hash stage_bytes(fw_unit_shared *shared, char *bytes, size_t size) {
    static uint8_t ready[FW_UNIT_MODEL_MAX];
    size_t ready_bytes = 0;
    fw_error error;
    fw_hash hash = fw_hash_bytes(bytes, size);
    assert_int_equal(fw_unit_tick_load(bytes, size, NULL, ready, sizeof ready, &ready_bytes, &error), FW_OK);
    fw_unit_lane_stage(&shared->models, fw_unit_lane_put(&shared->models, atomic_load(&shared->model_good), &hash,
                                                         ready, ready_bytes));
    free(bytes);
    return hash;
}

static inline fw_hash stage_rule(fw_unit_shared *shared, fw_policy_kind kind) {
    char *bytes = NULL;
    size_t size = 0;
    fw_error error;
    assert_int_equal(fw_policy_rule_file(kind, &bytes, &size, &error), FW_OK);
    return stage_bytes(shared, bytes, size);
}

/* An untrained network of a seed. */
static inline fw_hash stage_network(fw_unit_shared *shared, uint64_t seed) {
    char folder[64], path[80], *bytes = NULL;
    size_t size = 0;
    fw_error error;
    make_folder(folder);
    snprintf(path, sizeof path, "%s/model", folder);
    fw_hash hash;
    assert_int_equal(fw_driving_untrained(seed, path, &hash, &error), FW_OK);
    assert_int_equal(fw_file_read(path, FW_POLICY_FILE_MAX, &bytes, &size, &error), FW_OK);
    drop_folder(folder);
    return stage_bytes(shared, bytes, size);
}

/* Puts campaigns (JSON texts, NULL-terminated) into their slot, as the courier does. */
static inline void stage_campaigns(fw_unit_shared *shared, const char *unit, const char *const *texts) {
    uint64_t sequence = atomic_load(&shared->campaign_writing) + 1;
    fw_unit_campaign_slot *slot = &shared->sets[sequence & 1];
    atomic_store(&shared->campaign_writing, sequence);
    memset(&slot->set, 0, sizeof slot->set);
    for (; *texts; texts++) {
        fw_error error;
        bool wanted = false;
        fw_campaign *campaign = &slot->set.list[slot->set.count];
        if (fw_campaign_parse(*texts, strlen(*texts), &fw_drive_signals, unit, campaign, &wanted,
                              &error) != FW_OK)
            fail_msg("%s", error.text);
        slot->set.count += wanted;
    }
    slot->crc = fw_mcap_crc32(0, &slot->set, sizeof slot->set);
    atomic_store(&shared->campaign_staged, sequence);
}

/* Tick `tick` of a straight drive at 8 m/s with a leader. */
static inline void straight_road(uint32_t drive, uint32_t tick, fw_drive_obs *o) {
    memset(o, 0, sizeof *o);
    o->drive = drive, o->tick = tick, o->time_ns = (int64_t)tick * 100000000;
    o->s_m = 10 + 0.8f * (float)(tick % 600), o->x_m = o->s_m, o->speed_mps = 8;
    o->length_m = 4.5f, o->width_m = 1.8f, o->rear_overhang_m = 0.9f;
    o->route_left_m = 2000 - o->s_m;
    o->path_first = (uint32_t)(o->s_m / FW_DRIVE_GRID_M) - 5, o->path_count = 60;
    for (uint32_t i = 0; i < o->path_count; i++)
        o->path[i] = (fw_drive_point){(float)(o->path_first + i) * FW_DRIVE_GRID_M, 0, 3.2f, 13.9f};
    o->user_count = 1;
    o->users[0] = (fw_drive_user){.id = 5, .lane = 1, .x_m = o->x_m + 40, .speed_mps = 8,
                                  .length_m = 4.5f, .width_m = 1.8f};
}

/* Sends an observation from the world's end. */
static inline void send_obs(int fd, uint32_t unit, const fw_drive_obs *obs) {
    uint8_t wire[FW_DRIVE_OBS_WIRE_MAX];
    fw_error error;
    size_t size = fw_drive_obs_encode(obs, wire);
    assert_int_equal(fw_bus_send(fd, FW_BUS_OBSERVE, unit, obs->tick, wire, size, &error), FW_OK);
}

/* Receives the unit's answer at the world's end. */
static inline fw_bus_act take_act(int fd, fw_drive_action *action) {
    uint8_t payload[FW_BUS_PAYLOAD_MAX];
    fw_bus_head head;
    fw_bus_act act;
    fw_error error;
    fw_status status = fw_bus_receive(fd, &head, payload, 10000, &error);
    if (status != FW_OK) fail_msg("no answer: %s", error.text);
    assert_int_equal(head.kind, FW_BUS_ACT);
    assert_int_equal(fw_bus_act_decode(payload, head.size_bytes, &act, &error), FW_OK);
    assert_int_equal(head.size_bytes, FW_BUS_ACT_BYTES + (act.acted ? sizeof *action : 0));
    if (act.acted && action) memcpy(action, payload + FW_BUS_ACT_BYTES, sizeof *action);
    return act;
}

/* A recording as it came through the ring; bytes are the caller's to free. */
typedef struct ring_recording {
    bool ended, dropped;
    uint32_t ticks, events, first_tick;
    int64_t first_ns, last_ns;
    fw_unit_begin begin;
    uint64_t size_bytes;
    uint8_t *bytes;
} ring_recording;

/* Takes one recording of a stream out of the ring, throwing away what else is there up to its end; all
 * zero when the ring is empty. */
static inline ring_recording take_stream(fw_unit_shared *shared, fw_unit_stream stream) {
    static uint8_t payload[FW_UNIT_PIECE_MAX];
    fw_unit_piece piece;
    ring_recording got = {0};
    while (fw_unit_ring_peek(&shared->ring, &piece, payload)) {
        bool ours = piece.stream == stream && piece.kind != FW_UNIT_PIECE_PROMOTE;
        if (ours && piece.kind == FW_UNIT_PIECE_BEGIN && got.bytes) break; /* abandoned */
        fw_unit_ring_pop(&shared->ring, &piece);
        if (!ours) continue;
        if (piece.kind == FW_UNIT_PIECE_BEGIN) {
            got.bytes = calloc(1, 16 << 20);
            memcpy(&got.begin, payload, sizeof got.begin);
        }
        if (piece.kind == FW_UNIT_PIECE_BYTES) {
            assert_true(piece.offset == got.size_bytes);
            memcpy(got.bytes + piece.offset, payload, piece.size_bytes);
            got.size_bytes += piece.size_bytes;
        }
        got.ended = piece.kind == FW_UNIT_PIECE_END;
        got.dropped = piece.kind == FW_UNIT_PIECE_DROP || piece.kind == FW_UNIT_PIECE_CUT;
        got.ticks = piece.ticks, got.events = piece.events, got.first_tick = piece.first_tick;
        got.first_ns = piece.first_ns, got.last_ns = piece.last_ns;
        if (got.ended) assert_true(piece.offset == got.size_bytes);
        if (got.ended || got.dropped) break;
    }
    return got;
}

static inline ring_recording take_recording(fw_unit_shared *shared) {
    return take_stream(shared, FW_UNIT_ROUTINE);
}

#endif
