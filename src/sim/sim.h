/* sim.h - the fleet from one seed: the factory and its units in one process, one thread, in simulated time.
 *
 *   seed --> streams of randomness: what units record, when links fail, when the power goes, ...
 *
 *   unit machine                         link                         factory machine
 *   road --> [tick, spool, courier] --fw_http_client--> loss,    --> [fw_http_app: open_sink .. handle]
 *               fw_env, disk                            delay, cuts      fw_env, disk, SQLite's VFS
 *
 * In brackets is the product's own code, as it ships. Around it are simulated: the clocks, the disks
 * (disk.h), the network between them (link.h), the road (road.h) and the people (operator.h). Not in it: the trainer
 * (no job starts), TLS, sockets, threads, and processes of their own.
 *
 *   world: the machine with the earliest due time makes one step; then the promises are looked at
 *
 * Promises (promises.h), looked at all the time; the first one broken ends the run:
 *   receipt     what the factory gave a receipt for is in its catalogue and objects, with that receipt, always
 *   records     what it acknowledged of records, it has, exactly once, in order
 *   spool       what a unit has made whole stays on it until the factory's receipt, or is counted as lost;
 *               its folder stays within its bound
 *   starts      factory and units start again after every cut
 *   release     a unit runs only what was released and assigned; what it starts with is the model before or
 *               after an update, whole
 *   rings       no unit runs the candidate of a rollout beyond the ring it has reached
 *   equal       catalogue and objects say the same (flywheel catalogue check, deep, at the end)
 *   arrives     once the faults stop, everything arrives
 *
 * Same seed, same config, same program: the same trace hash.
 */
#ifndef FW_SIM_SIM_H
#define FW_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"

enum { FW_SIM_UNITS_MAX = 4000 };

/* Planted faults, which the simulation must find; tests alone set them. */
typedef enum fw_sim_mutant {
    FW_SIM_MUTANT_NONE,
    FW_SIM_MUTANT_NO_SYNC,        /* the factory's fdatasync of files does nothing */
    FW_SIM_MUTANT_NO_FOLDER_SYNC, /* nor of folders */
    FW_SIM_MUTANT_NO_WAL_SYNC,    /* SQLite's xSync does nothing */
    FW_SIM_MUTANT_UNIT_NO_SYNC,   /* the units' fdatasync of files does nothing */
    FW_SIM_MUTANT_CREDULOUS,      /* units run what they are told, signed or not */
    FW_SIM_MUTANT_ALL_AT_ONCE,    /* a rollout's model is assigned to every unit at its start */
} fw_sim_mutant;

typedef struct fw_sim_config {
    uint64_t seed;
    uint32_t units;
    double hours;          /* with faults; then what is left to do is done without */
    const char *scratch;   /* a folder of its own, made and removed */
    fw_sim_mutant mutant;  /* tests: a planted fault */
    void (*each)(void *self, const char *line); /* NULL, or sees the story as it goes */
    void *each_self;
    const volatile int *stop; /* NULL, or ends the run when it is not 0 */
} fw_sim_config;

/* What happened, for people and for comparing. */
typedef struct fw_sim_counts {
    uint64_t steps, calls, lost_requests, lost_answers, cut_bodies, partitions;
    uint64_t unit_cuts, unit_kills, factory_cuts, factory_stops, lost_writes, torn_writes, lost_names;
    uint64_t clock_jumps, tampered, full_disks, failed_flushes, byzantine_calls;
    uint64_t recordings_made, recordings_received, recordings_excused, records_acked;
    uint64_t activations, checks;
} fw_sim_counts;

typedef struct fw_sim_result {
    fw_hash trace;
    uint64_t lines;
    int64_t simulated_ns;
    fw_sim_counts counts;
    bool broken;
    char promise[32], what[400], who[24]; /* broken: which, how, whose */
    int64_t when_ns;
    char *tail; /* the last lines of the story, malloc'd; NULL unless broken */
} fw_sim_result;

/* FW_OK also when a promise was broken (result->broken). FW_INTERRUPTED: stopped. The caller frees
 * result->tail. One at a time in a process. */
fw_status fw_sim_run(const fw_sim_config *config, fw_sim_result *result, fw_error *error) FW_MUST;

#endif
