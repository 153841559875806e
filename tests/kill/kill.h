/* kill.h - the kill test: a real factory under real writers, killed, cut off and lied to by its disk
 * at random moments, and then counted to the last record.
 *
 *   conductor --kill -9--> serve <---- proxy <---- writers <--kill -9-- conductor
 *       |                    |       cuts, holds      |
 *       |                LD_PRELOAD  back             journal: what was acked
 *       +-- windows of ENOSPC, failed writes, failed fdatasync (which also wipes what it lost)
 *
 *   afterwards: every acked record is there once, with its content; nothing is there twice; no stream
 *   has a gap; every acked file is there under its hash with the receipt it had; `flywheel catalogue
 *   check` finds catalogue and objects equal.
 *
 * All content is a function of (unit, boot, stream, sequence) or (unit, file), so that it can be made
 * again to compare. The seed decides who is killed when; the machine decides what was going on then.
 */
#ifndef FW_TESTS_KILL_H
#define FW_TESTS_KILL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"
#include "base/hash.h"

enum { KILL_WRITERS_MAX = 16, KILL_RECORD_MAX = 1100, KILL_STREAMS = 2 };

/* What the conductor tells the preloaded library, in a file both have mapped. */
typedef struct kill_faults {
    _Atomic uint32_t write_ppm, sync_ppm; /* of 1e6 calls, how many fail */
    _Atomic uint32_t no_space;            /* 1: every write that would allocate fails with ENOSPC */
    _Atomic uint64_t failed_writes, failed_syncs, wiped_bytes; /* counted by the library */
} kill_faults;

typedef struct kill_plan {
    uint64_t seed, records, files; /* quotas of all writers together */
    uint32_t writers;
    char folder[FW_PATH_MAX];  /* everything is below it */
    char program[FW_PATH_MAX]; /* flywheel */
    char preload[FW_PATH_MAX]; /* libfwfault.so; "" none */
    uint16_t server_port, proxy_port;
} kill_plan;

/* A record's text into out (KILL_RECORD_MAX bytes), without newline; returns its bytes. */
size_t kill_record(uint32_t unit, uint32_t boot, uint32_t stream, uint64_t sequence, char *out);
/* A file's bytes: a valid recording; malloc'd. */
fw_status kill_file(uint32_t unit, uint32_t file, uint8_t **bytes, size_t *size_bytes,
                    fw_error *error) FW_MUST;

/* The writer's process: until its quota is acked. Never returns. */
void kill_writer(const kill_plan *plan, uint32_t unit) __attribute__((noreturn));
/* The proxy's process. Never returns. */
void kill_proxy(const kill_plan *plan) __attribute__((noreturn));

/* What one writer was promised, from its journal. */
typedef struct kill_promise {
    uint64_t next[KILL_STREAMS]; /* per stream of its last boot: acked so far */
    uint32_t boot;
    uint64_t records, files; /* acked in all */
} kill_promise;
void kill_journal_path(const kill_plan *plan, uint32_t unit, char out[FW_PATH_MAX]);
kill_promise kill_journal_read(const kill_plan *plan, uint32_t unit);

/* Compares what the factory has with what was promised; prints what is wrong. True: all is well. */
bool kill_verify(const kill_plan *plan);

#endif
