/* factory.c - the real factory on a simulated machine (factory.h). */
#include "sim/factory.h"

#include <stdio.h>

#include "sim/vfs.h"
#include "sim/world.h"

enum { TICK_S = 5, CHECK_S = 900, ARMED_S = 120 };

/* ---- jobs: none ---- */

static fw_status no_start(void *self, const char *const *argv, fw_job *job, fw_error *error) {
    (void)self, (void)argv, (void)job;
    return fw_fail(error, FW_UNSUPPORTED, "a simulation trains nothing");
}
static long no_read(void *self, fw_job *job, char *out, size_t size) {
    (void)self, (void)job, (void)out, (void)size;
    return -1;
}
static bool no_end(void *self, fw_job *job, int *status) {
    (void)self, (void)job;
    *status = 1 << 8;
    return true;
}
static void no_stop(void *self, fw_job *job) { (void)self, (void)job; }
static void no_stale(void *self, pid_t pid, int64_t ticks) { (void)self, (void)pid, (void)ticks; }

static const fw_launcher no_jobs = {.start = no_start, .read = no_read, .ended = no_end, .stop = no_stop,
                                    .end_stale = no_stale};

/* ---- life ---- */

/* The owner takes the first roots to the units, once. */
static void give_roots(fw_sim_world *w) {
    char path[FW_PATH_MAX], *bytes = NULL;
    size_t size = 0;
    fw_error error = {""};
    snprintf(path, sizeof path, "%s/roots.json", w->config->scratch);
    if (fw_file_exists(path)) return;
    fw_status status = fw_trust_root(&w->factory.machine.env, w->factory.machine.disk.root, &bytes, &size, &error);
    if (status == FW_OK) status = fw_file_write_durable(fw_env_real(), path, bytes, size, &error);
    free(bytes);
    if (status != FW_OK) fw_sim_broken(w, "starts", "factory", "it gives no roots: %.300s", error.text);
}

static void start(fw_sim_world *w) {
    fw_sim_factory *f = &w->factory;
    fw_error error = {""};
    fw_status status = fw_sim_machine_boot(&f->machine, &error);
    if (!w->faults) f->machine.disk.no_space = false;
    fw_factory_config config = {.data_folder = f->machine.disk.root, .program = "/nowhere/flywheel",
                                .env = &f->machine.env, .line = &fw_line_driving,
                                .launcher = &no_jobs, .threads = 1};
    if (status == FW_OK) status = fw_factory_open(&config, &f->factory, &error);
    if (status != FW_OK) f->factory = NULL;
    bool hindered = f->machine.disk.dead || f->machine.disk.no_space || status == FW_NO_SPACE;
    if (status != FW_OK && !hindered)
        fw_sim_broken(w, "starts", "factory", "it does not start again: %.300s", error.text);
    fw_sim_say(&w->trace, w->now_ns, "factory", "%s", status == FW_OK ? "on" : "does not start");
    f->due_ns = w->now_ns + FW_SIM_SECOND_NS * (status == FW_OK ? 1 : 20);
    if (status == FW_OK) fw_sim_check_receipts(w, true);
    if (status == FW_OK) give_roots(w);
}

static void plan_fault(fw_sim_world *w) {
    w->factory.fault_due_ns = w->now_ns + fw_sim_wait_ns(&w->factory.random, 400);
}

fw_status fw_sim_factory_open(fw_sim_world *w, fw_error *error) {
    fw_sim_factory *f = &w->factory;
    *f = (fw_sim_factory){.random = fw_random_named(w->config->seed, "factory")};
    FW_TRY(fw_sim_machine_open(&f->machine, "factory", w->config->scratch, w->config->seed, &w->now_ns, error));
    for (int i = 0; i < 32; i++) f->keys[i] = (uint8_t)fw_random_u32(&f->random);
    fw_sim_disk *d = &f->machine.disk;
    d->drops_file_syncs = w->config->mutant == FW_SIM_MUTANT_NO_SYNC;
    d->drops_folder_syncs = w->config->mutant == FW_SIM_MUTANT_NO_FOLDER_SYNC;
    d->drops_vfs_syncs = w->config->mutant == FW_SIM_MUTANT_NO_WAL_SYNC;
    FW_TRY(fw_sim_vfs_install(d, &f->machine.env, error));
    plan_fault(w);
    start(w);
    return FW_OK;
}

static void stop(fw_sim_world *w) {
    fw_sim_factory *f = &w->factory;
    fw_factory_close(f->factory);
    f->factory = NULL;
}

void fw_sim_factory_close(fw_sim_world *w) {
    stop(w);
    fw_sim_vfs_remove();
    fw_sim_machine_close(&w->factory.machine);
}

void fw_sim_factory_fell(fw_sim_world *w) {
    fw_sim_factory *f = &w->factory;
    fw_sim_say(&w->trace, w->now_ns, "factory", "the power went, after %llu operations",
               (unsigned long long)f->machine.disk.operations);
    w->result.counts.factory_cuts++;
    stop(w);
    f->due_ns = w->now_ns + (int64_t)(2 + fw_random_below(&f->random, 120)) * FW_SIM_SECOND_NS;
    plan_fault(w);
}

void fw_sim_factory_calm(fw_sim_world *w) {
    fw_sim_factory *f = &w->factory;
    f->machine.disk.no_space = false;
    f->machine.disk.cut_after = f->machine.disk.flush_fails = 0;
    f->fault_due_ns = INT64_MAX;
}

/* ---- faults ---- */

static void clean_restart(fw_sim_world *w) {
    fw_sim_say(&w->trace, w->now_ns, "factory", "stopped");
    w->result.counts.factory_stops++;
    stop(w);
    if (w->factory.machine.disk.dead) return;
    fw_sim_check_equal(w, false);
    w->factory.due_ns = w->now_ns + (int64_t)fw_random_below(&w->factory.random, 60) * FW_SIM_SECOND_NS;
}

static void jump(fw_sim_world *w) {
    fw_sim_factory *f = &w->factory;
    int64_t by_s = (int64_t)fw_random_below(&f->random, 7200) - 3600;
    f->machine.moved_ns += by_s * FW_SIM_SECOND_NS;
    w->result.counts.clock_jumps++;
    fw_sim_say(&w->trace, w->now_ns, "factory", "its clock jumps by %d s", (int)by_s);
}

static void fault(fw_sim_world *w) {
    fw_sim_factory *f = &w->factory;
    fw_sim_disk *d = &f->machine.disk;
    uint32_t dice = fw_random_below(&f->random, 100);
    plan_fault(w);
    if (dice < 50) {
        d->cut_after = 1 + fw_random_below(&f->random, dice < 25 ? 12 : 150);
        f->deadline_ns = w->now_ns + ARMED_S * FW_SIM_SECOND_NS;
    } else if (dice < 65) {
        clean_restart(w);
    } else if (dice < 80) {
        d->no_space = true;
        f->room_due_ns = w->now_ns + fw_sim_wait_ns(&f->random, 60);
        w->result.counts.full_disks++;
        fw_sim_say(&w->trace, w->now_ns, "factory", "its disk is full");
    } else if (dice < 90) {
        d->flush_fails = 1 + fw_random_below(&f->random, 6);
        w->result.counts.failed_flushes++;
        fw_sim_say(&w->trace, w->now_ns, "factory", "a flush will fail");
    } else {
        jump(w);
    }
}

static void let_go(fw_sim_world *w) {
    fw_sim_factory *f = &w->factory;
    fw_sim_disk *d = &f->machine.disk;
    if (d->no_space && w->now_ns >= f->room_due_ns) {
        d->no_space = false;
        fw_sim_say(&w->trace, w->now_ns, "factory", "its disk has room");
    }
    if (d->cut_after > 0 && w->now_ns >= f->deadline_ns) fw_sim_disk_cut(d); /* nothing was written: at rest */
}

/* ---- a step ---- */

void fw_sim_factory_step(fw_sim_world *w) {
    fw_sim_factory *f = &w->factory;
    fw_error error = {""};
    if (!f->factory) {
        let_go(w);
        start(w);
        return;
    }
    f->machine.spent_ns = 0;
    if (w->faults && w->now_ns >= f->fault_due_ns) fault(w);
    let_go(w);
    if (!f->factory) return;
    fw_status status = fw_factory_tick(f->factory, &error);
    bool hindered = f->machine.disk.dead || f->machine.disk.no_space || f->machine.disk.flush_fails > 0;
    if (status != FW_OK && !hindered && w->now_ns >= f->check_due_ns)
        fw_sim_say(&w->trace, w->now_ns, "factory", "tick: %.100s", error.text);
    if (w->now_ns >= f->check_due_ns) {
        f->check_due_ns = w->now_ns + CHECK_S * FW_SIM_SECOND_NS;
        fw_sim_check_receipts(w, false);
    }
    fw_sim_operator_check(w);
    f->machine.spent_ns = 0;
    f->due_ns = w->now_ns + TICK_S * FW_SIM_SECOND_NS;
}
