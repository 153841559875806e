/* records.h - small records of the fleet (health, versions, events), each kept exactly once.
 *
 *   batch of (unit, boot, stream, first) --> group commit (group.h) --> DIR/records/00000001.fwr
 *        |                                   one write, one fdatasync          00000002.fwr ...
 *        +-- below the stream's next: a repeat, skipped                  (records_segment.h)
 *
 *   memory    where each stream stands (next); filled from the catalogue when a stream is first
 *             heard of, and from the segments' end when the store is opened
 *   catalogue record_streams and the position they are of (setting records_position), written down
 *             every CHECKPOINT_S seconds or CHECKPOINT_BYTES, and at the end: opening reads only
 *             what came after it, whatever the size of the store
 *
 * Invariants:
 *   (1) a batch is acked only after its bytes, its segment's name and, for a repeat, those of the
 *       first time are durable;
 *   (2) (unit, boot, stream, sequence) is in the store at most once, and without gaps within what
 *       is kept;
 *   (3) after a failed write or flush the segment is closed: what lies behind its last durable byte
 *       is cut off if the disk lets us, and never counts in any case, since the next segment's
 *       header says where it ends; nothing is written to it again;
 *   (4) what a crash left at the end is copied into a new file and flushed before it counts: a flush
 *       that failed before the crash leaves no other trace, and one that fails now costs the copy;
 *   (5) batches of one stream are committed one after another; those of different streams together.
 *
 * Limits: 32 streams per unit and boot; 32 MiB of batches waiting (then FW_BUSY, HTTP 429); segments
 * of at most 64 MiB; of the store at most max_bytes, then its oldest segments go.
 */
#ifndef FW_FACTORY_RECORDS_H
#define FW_FACTORY_RECORDS_H

#include "base/env.h"
#include "base/file.h"
#include "factory/catalogue/catalogue.h"
#include "factory/metrics.h"
#include "factory/records/records_segment.h"

enum {
    FW_RECORDS_STREAMS_MAX = 32, /* per unit and boot */
    FW_RECORDS_SEGMENT_BYTES = 64 << 20,
    FW_RECORDS_BACKLOG_BYTES = 32 << 20,
    FW_RECORDS_CHECKPOINT_BYTES = 16 << 20,
    FW_RECORDS_CHECKPOINT_S = 30,
    FW_RECORDS_CACHED_STREAMS = 16384, /* above it those long unheard of are looked up again */
};

typedef struct fw_records fw_records;

typedef struct fw_records_config {
    const fw_env *env;
    fw_catalogue *catalogue;
    const char *data_folder;
    uint64_t segment_bytes; /* 0: FW_RECORDS_SEGMENT_BYTES */
    uint64_t max_bytes;     /* 0: no limit */
    int64_t max_age_s;      /* 0: no limit */
    fw_metrics *metrics;    /* may be NULL */
    void *self;             /* of the calls below; each may be NULL */
    /* Room for a new segment under the disk cap; FW_NO_SPACE. */
    fw_status (*room)(void *self, uint64_t bytes, fw_error *error);
    /* A batch is durable (or was found so at opening). Any thread, one at a time. */
    void (*taken)(void *self, const fw_records_frame *frame);
    /* Within the transaction of a checkpoint: what was made of the batches taken so far. */
    fw_status (*save)(void *self, sqlite3 *db, fw_error *error);
} fw_records_config;

typedef struct fw_records_batch {
    fw_records_name name;
    uint64_t first;
    const uint8_t *payload;
    size_t payload_bytes;
} fw_records_batch;

typedef struct fw_records_ack {
    uint64_t next;     /* of the stream; set with FW_MISMATCH too */
    uint64_t sequence; /* of the store: its newest record that is durable, this batch included */
    uint32_t taken, repeated;
    int64_t time_ns; /* server's */
} fw_records_ack;

/* What the store holds. */
typedef struct fw_records_state {
    uint64_t segments, bytes, sequence, cached_streams, damaged_bytes, failures;
} fw_records_state;

/* FW_UNSUPPORTED: made by a newer Flywheel. A torn end is cut off and told; damage in the middle is
 * told, and all intact batches before and after it are kept. The caller closes it. */
fw_status fw_records_open(const fw_records_config *config, fw_records **out,
                          fw_error *error) FW_MUST;
void fw_records_close(fw_records *records);

/* Returns when all of the batch is durable. FW_MISMATCH: first is above the stream's next.
 * FW_INVALID, FW_TOO_BIG: the batch; FW_BUSY: too much waits; FW_NO_SPACE, FW_IO, FW_NO_MEMORY: not
 * taken, send it again. */
fw_status fw_records_append(fw_records *records, const fw_records_batch *batch, fw_records_ack *ack,
                            fw_error *error) FW_MUST;
/* Writes down how far the streams are when it is time, and lets the oldest segments go when the
 * store is over its limits. */
fw_status fw_records_tick(fw_records *records, fw_error *error) FW_MUST;
fw_status fw_records_checkpoint(fw_records *records, fw_error *error) FW_MUST;
/* Forgets all batches of a unit: the segments that hold some are written anew without them. Its streams
 * go on where they stood, so that what is sent again is a repeat. May be done again after a crash. */
fw_status fw_records_erase(fw_records *records, const char *unit, fw_error *error) FW_MUST;
/* Bytes that count under the disk cap: kept, and set aside for the segment that is written. */
uint64_t fw_records_bytes(fw_records *records);
fw_records_state fw_records_state_of(fw_records *records);

/* What GET /v1/records asks for. */
typedef struct fw_records_query {
    const char *unit, *stream; /* NULL: any */
    uint64_t since;            /* only records with a sequence above it */
    uint32_t limit;            /* 1 .. FW_RECORDS_READ_MAX */
} fw_records_query;
enum {
    FW_RECORDS_READ_DEFAULT = 1000,
    FW_RECORDS_READ_MAX = 100000,
    FW_RECORDS_READ_BYTES = 4 << 20, /* of an answer, at least one record */
};
/* JSON lines, oldest first, malloc'd; *next is the `since` to go on with (equal to query->since when
 * nothing was found), *more whether there may be more. */
fw_status fw_records_read(fw_records *records, const fw_records_query *query, char **lines,
                          size_t *lines_bytes, uint64_t *next, bool *more,
                          fw_error *error) FW_MUST;

#endif
