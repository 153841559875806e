/* machine.c - clocks, randomness and disk of one machine (machine.h). */
#include "sim/machine.h"

#include <stdio.h>

enum { FLUSH_NS = 2000000 };

static int64_t machine_wall(void *self) {
    const fw_sim_machine *m = self;
    return FW_SIM_EPOCH_NS + *m->now_ns + m->spent_ns + m->moved_ns;
}

static int64_t machine_mono(void *self) {
    const fw_sim_machine *m = self;
    return *m->now_ns + m->spent_ns - m->booted_ns + FW_SIM_SECOND_NS;
}

static void machine_sleep(void *self, int64_t ns) { ((fw_sim_machine *)self)->spent_ns += ns; }

static ssize_t machine_write(void *self, int fd, const void *bytes, size_t size_bytes) {
    return fw_sim_disk_write(&((fw_sim_machine *)self)->disk, fd, bytes, size_bytes);
}

static int machine_sync(void *self, int fd) {
    fw_sim_machine *m = self;
    m->spent_ns += FLUSH_NS;
    return fw_sim_disk_sync(&m->disk, fd);
}

static int machine_rename(void *self, const char *from, const char *to) {
    return fw_sim_disk_rename(&((fw_sim_machine *)self)->disk, from, to);
}

static bool machine_random(void *self, void *bytes, size_t size_bytes) {
    fw_sim_machine *m = self;
    for (size_t i = 0; i < size_bytes; i++) ((uint8_t *)bytes)[i] = (uint8_t)fw_random_u32(&m->random);
    return true;
}

fw_status fw_sim_machine_open(fw_sim_machine *m, const char *name, const char *scratch, uint64_t seed,
                              const int64_t *now_ns, fw_error *error) {
    char path[FW_PATH_MAX];
    *m = (fw_sim_machine){.now_ns = now_ns};
    m->env = (fw_env){.self = m, .wall_ns = machine_wall, .mono_ns = machine_mono,
                      .sleep_ns = machine_sleep, .write = machine_write,
                      .fdatasync = machine_sync, .rename = machine_rename,
                      .random = machine_random};
    snprintf(m->name, sizeof m->name, "%s", name);
    m->random = fw_random_named(fw_seed_mix(seed, name), "machine");
    fw_path_join(path, sizeof path, scratch, name);
    return fw_sim_disk_open(&m->disk, path, fw_random_named(fw_seed_mix(seed, name), "disk"), error);
}

void fw_sim_machine_close(fw_sim_machine *m) {
    if (m->disk.root[0]) fw_sim_disk_close(&m->disk);
}

fw_status fw_sim_machine_boot(fw_sim_machine *m, fw_error *error) {
    m->booted_ns = *m->now_ns;
    m->spent_ns = 0;
    return fw_sim_disk_restart(&m->disk, error);
}

void fw_sim_machine_id(fw_sim_machine *m, char out[33]) {
    for (int i = 0; i < 4; i++) snprintf(out + 8 * i, 9, "%08x", fw_random_u32(&m->random));
}
