/* spool.h - recordings on disk between the tick's ring and the factory.
 *
 *   ring --> DIR/spool/<n>.mcap.part --END: fdatasync, SHA-256, rename--> DIR/spool/<sha256>.mcap
 *                                                        (+ <sha256>.json: order and events)
 *            uploaded, receipt matches: removed        refused by the factory: DIR/spool/refused/
 *
 * Invariants: (1) a name <sha256>.mcap appears only after its bytes are durable; (2) files and parts
 * together stay under max_bytes: the oldest recordings without events go first, then the oldest,
 * refused ones before both; what goes is counted in lost_spool_bytes and logged; (3) draining one
 * piece twice changes nothing, so a courier may die between the effect and the pop; (4) two threads
 * may use it, one draining, one uploading: everything below is behind one lock.
 */
#ifndef FW_UNIT_SPOOL_H
#define FW_UNIT_SPOOL_H

#include "base/env.h"
#include "base/file.h"
#include "unit/shared.h"

enum { FW_UNIT_SPOOL_FILES_MAX = 4096 };

typedef struct fw_unit_spool_config {
    const fw_env *env;
    const char *data_folder; /* DIR */
    uint64_t max_bytes;
    uint32_t unit;
} fw_unit_spool_config;

/* One whole recording waiting for the factory. */
typedef struct fw_unit_spooled {
    fw_hash hash;
    uint64_t size_bytes, order; /* order: smaller is older */
    uint32_t events;
} fw_unit_spooled;

typedef struct fw_unit_spool fw_unit_spool;

/* Makes the folders, takes up what an earlier run left, removes parts that no END completed (but
 * keeps that of shared->open_serial: this run's, of a courier that died). */
fw_status fw_unit_spool_open(const fw_unit_spool_config *config, fw_unit_shared *shared,
                             fw_unit_spool **out, fw_error *error) FW_MUST;
void fw_unit_spool_close(fw_unit_spool *spool);

/* Takes everything out of the ring; false when nothing was there. Disk errors cost the recording
 * (counted, logged), never the unit. */
bool fw_unit_spool_drain(fw_unit_spool *spool);
/* No more pieces will come: an open part is removed and counted. */
void fw_unit_spool_finish(fw_unit_spool *spool);

/* The oldest recording after `order` (0: the oldest), wrapping round; false when there is none. */
bool fw_unit_spool_next(fw_unit_spool *spool, uint64_t order, fw_unit_spooled *out);
uint32_t fw_unit_spool_count(fw_unit_spool *spool);
void fw_unit_spool_path(const fw_unit_spool *spool, const fw_hash *hash, char out[FW_PATH_MAX]);
/* The factory has it. */
void fw_unit_spool_remove(fw_unit_spool *spool, const fw_hash *hash);
/* The factory will never take it: kept in DIR/spool/refused/ with the reason beside it. */
void fw_unit_spool_refuse(fw_unit_spool *spool, const fw_hash *hash, const char *reason);

#endif
