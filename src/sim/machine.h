/* machine.h - one simulated machine: its clocks, its randomness, its disk, as an fw_env.
 *
 *   true time (world.now_ns) --+ spent_ns: what the step under way has taken so far
 *                              +--> mono: since the machine was switched on (its boot)
 *                              '--> wall: FW_SIM_EPOCH, and however far the clock has been moved
 *
 * One thread runs all machines, step by step; a step begins with spent_ns 0 and whatever would have waited
 * (sleep, a flush, an answer from the network) adds to it.
 */
#ifndef FW_SIM_MACHINE_H
#define FW_SIM_MACHINE_H

#include "base/env.h"
#include "sim/disk.h"

#define FW_SIM_EPOCH_NS (INT64_C(1577836800) * 1000000000) /* 2020-01-01, long before any real file's time */
#define FW_SIM_SECOND_NS INT64_C(1000000000)

typedef struct fw_sim_machine {
    fw_env env; /* its functions take the machine */
    const int64_t *now_ns; /* the world's */
    int64_t booted_ns, spent_ns, moved_ns; /* moved: of the wall clock */
    fw_random random;
    fw_sim_disk disk;
    char name[24];
} fw_sim_machine;

/* Makes its folder scratch/name. */
fw_status fw_sim_machine_open(fw_sim_machine *machine, const char *name, const char *scratch,
                              uint64_t seed, const int64_t *now_ns, fw_error *error) FW_MUST;
void fw_sim_machine_close(fw_sim_machine *machine);
/* Switched on: the monotonic clock starts anew, the disk is what the last cut left. */
fw_status fw_sim_machine_boot(fw_sim_machine *machine, fw_error *error) FW_MUST;
/* 32 hexadecimal digits of its own randomness, for ids. */
void fw_sim_machine_id(fw_sim_machine *machine, char out[33]);

#endif
