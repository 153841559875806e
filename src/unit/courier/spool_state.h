/* spool_state.h - what spool.c (list, quota, uploads), parts.c (draining) and sidecar.c share.
 *
 * The lock guards files, count, next_order, sending, refused_* and held_bytes; parts and piece belong to the
 * draining thread, but for part.bytes, which is written under the lock.
 */
#ifndef FW_UNIT_SPOOL_STATE_H
#define FW_UNIT_SPOOL_STATE_H

#include <pthread.h>

#include "unit/courier/spool.h"

/* An open recording's file. */
typedef struct fw_unit_part {
    int fd;         /* -1: none */
    bool lost;      /* given up: its remaining pieces are passed over, */
    fw_unit_loss loss; /* and counted so */
    bool dirty;     /* bytes since the last fdatasync */
    uint64_t bytes;
    uint32_t events; /* so far */
} fw_unit_part;

struct fw_unit_spool {
    fw_unit_spool_config config;
    fw_unit_shared *shared;
    char folder[FW_PATH_MAX - 128], refused[FW_PATH_MAX - 96];
    pthread_mutex_t lock;
    fw_unit_spooled files[FW_UNIT_SPOOL_FILES_MAX]; /* oldest first */
    uint32_t count;
    uint64_t next_order;
    fw_hash sending; /* given to the uploader last: of equal value it is given up last */
    uint64_t refused_bytes, refused_seen;
    fw_unit_part parts[FW_UNIT_STREAM_COUNT];
    int64_t synced_ns;
    uint8_t piece[FW_UNIT_PIECE_MAX];
};

/* ---- spool.c; callers hold the lock where it says so ---- */

uint64_t fw_unit_file_size(const char *path);
void fw_unit_spool_part_path(const fw_unit_spool *spool, uint64_t serial, char out[FW_PATH_MAX]);
/* Adds a whole file and keeps the quota. Takes the lock. */
void fw_unit_spool_add(fw_unit_spool *spool, fw_unit_spooled *file);
/* A recording is new, or may be sent now: to report and to upload. */
void fw_unit_spool_wake(const fw_unit_spool *spool);
uint64_t fw_unit_spool_new_order(fw_unit_spool *spool);
/* Gives up files of at most that value while the quota is exceeded; false when it still is. Locked. */
bool fw_unit_spool_keep_quota(fw_unit_spool *spool, uint32_t value_max);
/* Gives up the least valuable file below `value`; false when there is none. Takes the lock. */
bool fw_unit_spool_make_way(fw_unit_spool *spool, uint32_t value);
/* Routine recordings of the drive in that time are wanted. Takes the lock. */
void fw_unit_spool_promote(fw_unit_spool *spool, const fw_unit_promote *wanted);
/* Value from events, campaign, held. */
uint32_t fw_unit_value_of(const fw_unit_spooled *file);

/* ---- parts.c ---- */

/* A part that nobody will complete becomes a shorter recording, or is lost. Removes it. */
void fw_unit_spool_salvage_part(fw_unit_spool *spool, uint64_t serial, const fw_unit_begin *begin,
                                const char *boot, const char *why);
/* Those of a courier that died: this one goes on with them. */
void fw_unit_spool_reopen_parts(fw_unit_spool *spool);
/* Parts an earlier run left in the folder. */
void fw_unit_spool_salvage_left(fw_unit_spool *spool, uint64_t serial);

/* ---- sidecar.c: the JSON beside a recording, and beside a part ---- */

void fw_unit_sidecar_path(const fw_unit_spool *spool, const fw_hash *hash, char out[FW_PATH_MAX]);
void fw_unit_part_sidecar_path(const fw_unit_spool *spool, uint64_t serial, char out[FW_PATH_MAX]);
fw_status fw_unit_sidecar_write(const fw_unit_spool *spool, const fw_unit_spooled *file,
                                fw_error *error) FW_MUST;
/* What is missing or bent in it stays as it is in *file. */
void fw_unit_sidecar_read(const fw_unit_spool *spool, fw_unit_spooled *file);
fw_status fw_unit_part_sidecar_write(const fw_unit_spool *spool, uint64_t serial,
                                     const fw_unit_begin *begin, fw_error *error) FW_MUST;
void fw_unit_part_sidecar_read(const fw_unit_spool *spool, uint64_t serial, fw_unit_begin *begin,
                               char boot[FW_UNIT_BOOT_MAX]);

#endif
