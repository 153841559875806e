/* spool.h - recordings on disk between the tick's ring and the factory.
 *
 *   ring --> DIR/spool/<n>.mcap.part --END: fdatasync, SHA-256, rename--> DIR/spool/<sha256>.mcap
 *            (+ <n>.part.json)                                            (+ <sha256>.json)
 *                |                                  uploaded, receipt matches: removed
 *                '--nobody completed it: salvage--> refused by the factory: DIR/spool/refused/
 *
 * Value, by which recordings are uploaded first and given up last:
 *
 *   0  held: kept on the unit as a ring of ring_max_bytes, uploaded only when promoted
 *   1  routine      2  routine with events      3 + priority  captures, and what was promoted for one
 *
 * What a power cut can lose of a recording that is being made (the bound is tested in
 * tests/unit/test_power_cut.c): what the tick has not handed over yet (a chunk: chunk_ns of time, or
 * 256 KiB of messages), FW_UNIT_SYNC_MS until the next fdatasync, one round of draining, one tick. What
 * is whole and named is never lost.
 *
 * Invariants: (1) a name <sha256>.mcap appears only after its bytes are durable; (2) files, parts and
 * refused ones together stay under max_bytes: refused ones go first, then by value, the oldest first;
 * an open part gives way to files of higher value; what goes is counted by cause in lost_bytes and
 * logged; (3) draining one piece twice changes nothing, so a courier may die between the effect and
 * the pop; (4) two threads may use it, one draining, one uploading: the list is behind one lock;
 * (5) a part whose fdatasync failed is unknown and never taken as good.
 *
 * Format of the folder: docs/formats/spool.md.
 */
#ifndef FW_UNIT_SPOOL_H
#define FW_UNIT_SPOOL_H

#include "base/env.h"
#include "base/file.h"
#include "unit/salvage.h"
#include "unit/shared.h"

enum {
    FW_UNIT_SPOOL_FILES_MAX = 4096,
    FW_UNIT_SYNC_MS = 2000, /* between two fdatasync of an open part */
    FW_UNIT_VALUE_HELD = 0,
    FW_UNIT_VALUE_ROUTINE = 1,
    FW_UNIT_VALUE_EVENTS = 2,
    FW_UNIT_VALUE_CAPTURE = 3, /* plus the campaign's priority */
};

typedef struct fw_unit_spool_config {
    const fw_env *env;
    const char *data_folder; /* DIR */
    uint64_t max_bytes;
    uint64_t ring_max_bytes; /* > 0: routine recordings are held in a ring of this size */
    uint32_t unit;
    fw_unit_salvage salvage; /* NULL: cut recordings are lost */
} fw_unit_spool_config;

/* One whole recording. */
typedef struct fw_unit_spooled {
    fw_hash hash;
    uint64_t size_bytes, order; /* order: smaller is older */
    uint32_t events, drive, first_tick, ticks;
    uint32_t value, priority;
    bool held, salvaged;
    char campaign[FW_CAMPAIGN_ID_MAX]; /* empty: routine */
    int64_t first_ns, last_ns;         /* the line's time; 0, 0: unknown */
    char boot[FW_UNIT_BOOT_MAX];       /* of the clocks below; empty: unknown */
    int64_t mono_ns, wall_ns, trigger_ns;
    int64_t not_before_ns; /* it may be tried again; not on disk */
    uint32_t wait_ms;
} fw_unit_spooled;

typedef struct fw_unit_spool fw_unit_spool;

/* Makes the folders, takes up what an earlier run left, salvages parts that no END completed (but
 * keeps those of shared->open: this run's, of a courier that died). */
fw_status fw_unit_spool_open(const fw_unit_spool_config *config, fw_unit_shared *shared,
                             fw_unit_spool **out, fw_error *error) FW_MUST;
void fw_unit_spool_close(fw_unit_spool *spool);

/* Takes everything out of the ring, and makes open parts durable when it is time; false when nothing
 * was in the ring. Disk errors cost the recording (counted, logged), never the unit. */
bool fw_unit_spool_drain(fw_unit_spool *spool);
/* No more pieces will come: open parts are salvaged. */
void fw_unit_spool_finish(fw_unit_spool *spool);

/* The most valuable, then oldest, recording of at least that value that may be tried at now_ns; false
 * when there is none. */
bool fw_unit_spool_next(fw_unit_spool *spool, int64_t now_ns, uint32_t value_min,
                        fw_unit_spooled *out);
/* When the next of them may be tried; INT64_MAX: none waits. */
int64_t fw_unit_spool_next_ns(fw_unit_spool *spool, uint32_t value_min);
/* Recordings that wait for the factory. */
uint32_t fw_unit_spool_count(fw_unit_spool *spool);
void fw_unit_spool_path(const fw_unit_spool *spool, const fw_hash *hash, char out[FW_PATH_MAX]);
/* Sending it failed: not before now_ns + a wait that doubles from first_ms to most_ms. */
void fw_unit_spool_delay(fw_unit_spool *spool, const fw_hash *hash, int64_t now_ns,
                         uint32_t first_ms, uint32_t most_ms);
/* Its file is not there: evicted meanwhile, or taken away from outside, which is a loss. */
void fw_unit_spool_missing(fw_unit_spool *spool, const fw_hash *hash);
/* The factory has it. */
void fw_unit_spool_remove(fw_unit_spool *spool, const fw_hash *hash);
/* The factory will never take it: kept in DIR/spool/refused/ with the reason beside it. */
void fw_unit_spool_refuse(fw_unit_spool *spool, const fw_hash *hash, const char *reason);

#endif
