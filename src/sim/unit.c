/* unit.c - a unit's life (unit.h); unit_drive.c fills its ring, unit_check.c looks at its spool. */
#include "sim/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lines/driving/act/signals.h"
#include "sim/unit_inner.h"
#include "sim/world.h"
#include "trust/key.h"
#include "unit/tick/tick.h"

enum { SPOOL_BYTES = 4 << 20, HEALTH_MS = 120000, ARMED_S = 60, UPLOADS_A_STEP = 4 };

uint64_t fw_sim_unit_spool_max(void) { return SPOOL_BYTES; }

/* ---- on and off ---- */

static void close_courier(fw_sim_unit *u) {
    fw_unit_courier_close(u->courier);
    fw_unit_spool_close(u->spool);
    u->courier = NULL;
    u->spool = NULL;
}

static void off(fw_sim_unit *u) {
    close_courier(u);
    fw_sim_unit_tick_close(u);
    fw_unit_shared_free(u->shared);
    u->shared = NULL;
}

/* A planted fault: whatever is hinted at may run. */
static fw_status believe(void *self, const fw_hash *hint, uint64_t release_counter, fw_unit_offer *out,
                         fw_error *error) {
    char path[FW_PATH_MAX];
    struct stat info;
    const fw_sim_unit *u = self;
    const fw_sim_factory *f = &u->link.world->factory;
    *out = (fw_unit_offer){.release_counter = release_counter};
    if (!hint->hex[0] || !f->factory) return FW_OK;
    fw_objects_path(&f->factory->objects, hint->hex, path);
    if (stat(path, &info) != 0) return fw_fail(error, FW_NOT_FOUND, "no such model");
    out->sha256 = *hint;
    out->length_bytes = (uint64_t)info.st_size;
    snprintf(out->target, sizeof out->target, "driving/%.64s.safetensors", hint->hex);
    return FW_OK;
}

static fw_status open_courier(fw_sim_unit *u, fw_error *error) {
    fw_unit_spool_config spool = {.env = &u->machine.env, .data_folder = u->machine.disk.root,
                                  .max_bytes = SPOOL_BYTES, .unit = u->number,
                                  .salvage = fw_unit_tick_salvage};
    fw_unit_courier_config config = {.env = &u->machine.env, .unit = u->number,
                                     .factory = "http://factory",
                                     .data_folder = u->machine.disk.root, .load = fw_unit_tick_load,
                                     .signals = &fw_drive_signals, .health_ms = HEALTH_MS};
    if (fw_file_exists(u->root_path)) config.root_path = u->root_path;
    if (u->credulous) config.chooser = (fw_unit_chooser){.self = u, .choose = believe};
    FW_TRY(fw_unit_spool_open(&spool, u->shared, &u->spool, error));
    u->client = fw_sim_link_client(&u->link);
    return fw_unit_courier_open(&config, u->shared, u->spool, &u->client, &u->courier, error);
}

static fw_status make_shared(fw_sim_unit *u, fw_error *error) {
    FW_TRY(fw_unit_shared_make(&u->shared, error));
    fw_sim_machine_id(&u->machine, u->shared->boot);
    fw_sim_machine_id(&u->machine, u->shared->start);
    for (int i = 0; i < 4; i++) snprintf(u->shared->records_boot[i], FW_UNIT_BOOT_MAX, "%s", u->shared->start);
    return FW_OK;
}

static void on(fw_sim_world *w, fw_sim_unit *u) {
    fw_error error = {""};
    fw_status status = fw_sim_machine_boot(&u->machine, &error);
    if (status == FW_OK) status = make_shared(u, &error);
    if (status == FW_OK) status = open_courier(u, &error);
    if (status == FW_OK) status = fw_sim_unit_tick_open(u, &error);
    u->driving = false; /* whatever was in memory is gone */
    u->lost_seen = u->recordings_seen = 0;
    fw_sim_say(&w->trace, w->now_ns, u->machine.name, "%s", status == FW_OK ? "on" : "does not start");
    if (status == FW_OK) {
        fw_sim_unit_check_start(w, u);
        fw_sim_unit_check_boot(w, u);
        u->due_ns = w->now_ns + FW_SIM_SECOND_NS;
        return;
    }
    if (!u->machine.disk.dead && !u->machine.disk.no_space)
        fw_sim_broken(w, "starts", u->machine.name, "it does not start again: %.300s", error.text);
    off(u);
    u->due_ns = w->now_ns + 20 * FW_SIM_SECOND_NS;
}

/* Its own key, from the seed. */
static fw_status give_key(fw_sim_unit *u, fw_error *error) {
    uint8_t seed[32];
    char path[FW_PATH_MAX];
    fw_private_key *key = NULL;
    for (int i = 0; i < 32; i++) seed[i] = (uint8_t)fw_random_u32(&u->random);
    fw_path_join(path, sizeof path, u->machine.disk.root, "unit.key");
    FW_TRY(fw_private_key_of_seed(seed, &key, error));
    fw_status status = fw_private_key_save(&u->machine.env, key, path, error);
    fw_private_key_free(key);
    return status;
}

fw_status fw_sim_unit_open(fw_sim_world *w, fw_sim_unit *u, uint32_t number, fw_error *error) {
    char name[24];
    uint64_t seed = w->config->seed;
    snprintf(name, sizeof name, "unit-%u", number);
    *u = (fw_sim_unit){.number = number, .random = fw_random_named(fw_seed_mix(seed, name), "life")};
    FW_TRY(fw_sim_machine_open(&u->machine, name, w->config->scratch, seed, &w->now_ns, error));
    snprintf(u->root_path, sizeof u->root_path, "%s/roots.json", w->config->scratch);
    FW_TRY(give_key(u, error));
    u->machine.disk.drops_file_syncs = w->config->mutant == FW_SIM_MUTANT_UNIT_NO_SYNC;
    u->credulous = w->config->mutant == FW_SIM_MUTANT_CREDULOUS;
    u->link = (fw_sim_link){.world = w, .who = u->machine.name, .spent_ns = &u->machine.spent_ns,
                            .random = fw_random_named(fw_seed_mix(seed, name), "link"), .faults = true};
    u->fault_due_ns = fw_sim_wait_ns(&u->random, 600);
    u->due_ns = (int64_t)fw_random_below(&u->random, 10000) * 1000000;
    u->drive_due_ns = u->due_ns + fw_sim_wait_ns(&u->random, 120);
    return FW_OK;
}

void fw_sim_unit_close(fw_sim_unit *u) {
    if (u->shared) off(u);
    free(u->whole);
    fw_sim_tamper_free(&u->link.tamper);
    fw_sim_machine_close(&u->machine);
}

/* ---- faults ---- */

static void fell(fw_sim_world *w, fw_sim_unit *u) {
    fw_sim_say(&w->trace, w->now_ns, u->machine.name, "the power went, after %llu operations",
               (unsigned long long)u->machine.disk.operations);
    w->result.counts.unit_cuts++;
    off(u);
    u->due_ns = w->now_ns + (int64_t)(1 + fw_random_below(&u->random, 300)) * FW_SIM_SECOND_NS;
}

/* The courier's process dies and another takes its place. */
static void replace_courier(fw_sim_world *w, fw_sim_unit *u) {
    fw_error error = {""};
    close_courier(u);
    w->result.counts.unit_kills++;
    fw_status status = open_courier(u, &error);
    fw_sim_say(&w->trace, w->now_ns, u->machine.name, "another courier: %s", fw_status_text(status));
    if (status == FW_OK || u->machine.disk.dead) return;
    if (!u->machine.disk.no_space)
        fw_sim_broken(w, "starts", u->machine.name, "no other courier: %.300s", error.text);
    off(u);
}

static void jump(fw_sim_world *w, fw_sim_unit *u) {
    int64_t by_s = (int64_t)fw_random_below(&u->random, 20 * 86400) - 10 * 86400;
    u->machine.moved_ns = by_s * FW_SIM_SECOND_NS;
    w->result.counts.clock_jumps++;
    fw_sim_say(&w->trace, w->now_ns, u->machine.name, "its clock is off by %d s", (int)by_s);
}

static void fault(fw_sim_world *w, fw_sim_unit *u) {
    fw_sim_disk *d = &u->machine.disk;
    uint32_t dice = fw_random_below(&u->random, 100);
    u->fault_due_ns = w->now_ns + fw_sim_wait_ns(&u->random, 600);
    if (dice < 55) {
        d->cut_after = 1 + fw_random_below(&u->random, dice < 30 ? 8 : 60);
        u->deadline_ns = w->now_ns + ARMED_S * FW_SIM_SECOND_NS;
    } else if (dice < 70) {
        replace_courier(w, u);
    } else if (dice < 80) {
        d->no_space = true;
        u->room_due_ns = w->now_ns + fw_sim_wait_ns(&u->random, 120);
        w->result.counts.full_disks++;
        fw_sim_say(&w->trace, w->now_ns, u->machine.name, "its disk is full");
    } else if (dice < 88) {
        d->flush_fails = 1 + fw_random_below(&u->random, 6);
        w->result.counts.failed_flushes++;
        fw_sim_say(&w->trace, w->now_ns, u->machine.name, "a flush will fail");
    } else {
        jump(w, u);
    }
}

static void let_go(fw_sim_world *w, fw_sim_unit *u) {
    fw_sim_disk *d = &u->machine.disk;
    if (d->no_space && w->now_ns >= u->room_due_ns) {
        d->no_space = false;
        fw_sim_say(&w->trace, w->now_ns, u->machine.name, "its disk has room");
    }
    if (d->cut_after > 0 && w->now_ns >= u->deadline_ns) fw_sim_disk_cut(d);
}

void fw_sim_unit_calm(fw_sim_unit *u) {
    u->link.faults = false;
    u->machine.disk.no_space = false;
    u->machine.disk.cut_after = u->machine.disk.flush_fails = 0;
    u->fault_due_ns = u->drive_due_ns = INT64_MAX;
}

bool fw_sim_unit_is_done(fw_sim_unit *u) {
    return u->shared && !u->driving && fw_unit_ring_used_bytes(&u->shared->ring) == 0 &&
           fw_unit_spool_count(u->spool) == 0;
}

/* ---- a step ---- */

static void work(fw_sim_world *w, fw_sim_unit *u) {
    fw_sim_unit_drive(w, u);
    if (fw_random_below(&u->random, 4) != 0) (void)fw_unit_spool_drain(u->spool);
    fw_sim_unit_look(w, u);
    (void)fw_unit_courier_talk(u->courier); /* when to come again is this unit's own dice */
    for (int i = 0; i < UPLOADS_A_STEP && !u->machine.disk.dead; i++)
        if (fw_unit_courier_upload(u->courier) > 0) break;
    fw_sim_unit_check(w, u);
    if (!u->machine.disk.dead) fw_sim_unit_check_model(w, u);
}

void fw_sim_unit_step(fw_sim_world *w, fw_sim_unit *u) {
    if (!u->shared) {
        let_go(w, u);
        on(w, u);
        if (u->machine.disk.dead) fell(w, u);
        return;
    }
    u->machine.spent_ns = 0;
    if (w->faults && w->now_ns >= u->fault_due_ns) fault(w, u);
    let_go(w, u);
    if (u->shared && !u->machine.disk.dead) work(w, u);
    int64_t took_ns = u->machine.spent_ns;
    u->machine.spent_ns = 0;
    u->steps++;
    u->due_ns = w->now_ns + took_ns + (int64_t)(1000 + fw_random_below(&u->random, 11000)) * 1000000;
    if (u->machine.disk.dead) fell(w, u);
}
