/* unit_check.c - a unit's promises: what is whole stays, within the bound (unit.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/disk_state.h"
#include "sim/unit_inner.h"
#include "sim/world.h"

enum { LOOK_EVERY = 16, SLACK_BYTES = 64 << 10 };

/* What the unit says itself is lost of what it had: everything but what the ring had no room for. */
static uint64_t counted(const fw_sim_unit *u) { return fw_unit_lost_bytes(u->shared); }

static bool is_there(const fw_sim_unit *u, const fw_hash *hash) {
    char path[FW_PATH_MAX];
    fw_unit_spool_path(u->spool, hash, path);
    return fw_file_exists(path);
}

static void excuse(fw_sim_world *w, fw_sim_recording *r) {
    r->excused = true;
    w->result.counts.recordings_excused++;
}

static void add_whole(fw_sim_unit *u, const fw_hash *hash) {
    if (u->whole_count == u->whole_room) {
        u->whole_room = u->whole_room ? 2 * u->whole_room : 16;
        u->whole = realloc(u->whole, u->whole_room * sizeof *u->whole);
        FW_ASSERT(u->whole);
    }
    u->whole[u->whole_count++] = *hash;
}

static bool is_known(const fw_sim_unit *u, const char *hash) {
    for (uint32_t i = 0; i < u->whole_count; i++)
        if (strncmp(u->whole[i].hex, hash, FW_HASH_HEX) == 0) return true;
    return false;
}

/* Takes up what is new in the spool; how many. */
static uint32_t take_new(fw_sim_world *w, fw_sim_unit *u) {
    char path[FW_PATH_MAX];
    fw_sim_name *names;
    uint32_t fresh = 0;
    snprintf(path, sizeof path, "%s/spool", u->machine.disk.root);
    uint32_t count = fw_sim_names_read(path, &names, NULL, NULL);
    for (uint32_t i = 0; i < count; i++) {
        fw_hash hash = {{0}};
        if (strlen(names[i].text) != FW_HASH_HEX + 5 || !strstr(names[i].text, ".mcap")) continue;
        memcpy(hash.hex, names[i].text, FW_HASH_HEX);
        if (is_known(u, hash.hex)) continue;
        fw_sim_recording *r = fw_sim_recording_of(&w->promises, hash.hex);
        r->unit = u->number;
        r->whole = true;
        add_whole(u, &hash);
        fresh++;
        if (!r->received) fw_sim_say(&w->trace, w->now_ns, u->machine.name, "has %.12s", hash.hex);
    }
    free(names);
    return fresh;
}

void fw_sim_unit_look(fw_sim_world *w, fw_sim_unit *u) {
    if (u->machine.disk.dead || fw_unit_ring_used_bytes(&u->shared->ring) > 0) return;
    uint32_t recorded = atomic_load(&u->shared->recordings), missing = recorded - u->recordings_seen;
    uint32_t fresh = take_new(w, u);
    uint64_t lost = counted(u);
    w->result.counts.recordings_made += missing;
    if (fresh < missing && lost == u->lost_seen)
        fw_sim_broken(w, "spool", u->machine.name, "%u were recorded whole, %u are in the spool, nothing is lost",
                      missing, fresh);
    if (fresh < missing) w->result.counts.recordings_excused += missing - fresh;
    u->recordings_seen = recorded;
}

/* Drops from the list what has its receipt; calls gone for what is not there. */
static void walk(fw_sim_world *w, fw_sim_unit *u, bool lost_some) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < u->whole_count; i++) {
        fw_sim_recording *r = fw_sim_recording_of(&w->promises, u->whole[i].hex);
        if (is_there(u, &r->hash)) {
            u->whole[kept++] = u->whole[i];
        } else if (!r->received && lost_some) {
            excuse(w, r);
        } else if (!r->received) {
            fw_sim_broken(w, "spool", u->machine.name, "%.12s was whole, has no receipt, and is gone", r->hash.hex);
        }
    }
    u->whole_count = kept;
}

void fw_sim_unit_check(fw_sim_world *w, fw_sim_unit *u) {
    if (u->machine.disk.dead) return;
    uint64_t lost = counted(u);
    walk(w, u, lost > u->lost_seen);
    if (fw_unit_ring_used_bytes(&u->shared->ring) == 0) u->lost_seen = lost;
    if (u->steps % LOOK_EVERY != 0) return;
    char path[FW_PATH_MAX];
    snprintf(path, sizeof path, "%s/spool", u->machine.disk.root);
    uint64_t bytes = fw_folder_size_bytes(path), most = fw_sim_unit_spool_max() + SLACK_BYTES;
    if (bytes > most)
        fw_sim_broken(w, "spool", u->machine.name, "%" PRIu64 " bytes in the spool, the bound is %" PRIu64,
                      bytes, most);
}

void fw_sim_unit_check_start(fw_sim_world *w, fw_sim_unit *u) {
    char path[FW_PATH_MAX];
    fw_hash hash;
    fw_error error;
    uint64_t lost = counted(u); /* what the start itself had to give up */
    walk(w, u, atomic_load(&u->shared->lost_bytes[FW_UNIT_LOSS_EVICTED]) > 0);
    for (uint32_t i = 0; i < u->whole_count; i++) {
        fw_unit_spool_path(u->spool, &u->whole[i], path);
        if (fw_hash_file(path, &hash, &error) != FW_OK || strcmp(hash.hex, u->whole[i].hex) != 0)
            fw_sim_broken(w, "spool", u->machine.name, "%.12s was whole and has other bytes now", u->whole[i].hex);
    }
    u->lost_seen = lost;
    (void)take_new(w, u); /* salvaged, or given back by the disk */
}
