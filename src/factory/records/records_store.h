/* records_store.h - the inside of the records store (records.h), shared by its files alone:
 * records.c (batches in), records_open.c (opening), records_streams.c (where each stream stands),
 * records_read.c (batches out), records_erase.c (one unit's out for good).
 */
#ifndef FW_FACTORY_RECORDS_STORE_H
#define FW_FACTORY_RECORDS_STORE_H

#include <pthread.h>

#include "factory/ingest/group.h"
#include "factory/records/records.h"

enum { FW_RECORDS_BUCKETS = 4096, FW_RECORDS_GROUP_BYTES = 4 << 20, FW_RECORDS_PATH = 640 };

/* One stream's place; in the bucket of its unit and boot. */
typedef struct fw_records_stream {
    struct fw_records_stream *next_in_bucket;
    fw_records_name name;
    uint64_t next;
    uint32_t users;              /* threads that hold it */
    bool busy;                   /* one of its batches is on its way */
    bool dirty, unsaved, recent; /* since the last checkpoint: moved; first seen; used */
} fw_records_stream;

/* A segment as it counts. */
typedef struct fw_records_file {
    fw_records_segment header;
    uint64_t bytes; /* durable and intact so far; what lies behind does not count */
} fw_records_file;

struct fw_records {
    fw_records_config config;
    char folder[FW_PATH_MAX];
    fw_group group;
    pthread_mutex_t checkpoint_lock; /* one checkpoint at a time */
    pthread_mutex_t lock;            /* guards all up to the next comment */
    pthread_cond_t freed;            /* a stream is no longer busy */
    fw_records_stream *buckets[FW_RECORDS_BUCKETS];
    uint64_t stream_count, dropped; /* dropped: forgotten so far, the catalogue has them */
    fw_records_file *files; /* (file_count), by number; the last is written to while fd >= 0 */
    uint32_t file_count, file_room;
    uint64_t sequence, since_checkpoint_bytes, damaged_bytes, failures;
    uint64_t saved_number; /* segments before it are wholly in the last checkpoint */
    bool active;           /* fd >= 0, for those who do not lead */
    bool sealed;           /* not active, and the last file has no byte on disk that does not count */
    /* who leads the group alone */
    int fd; /* of the last file; -1: the next batch begins a segment */
    uint64_t last_number;
    uint8_t *buffer; /* (buffer_room) */
    size_t buffer_room;
    /* who ticks alone */
    int64_t checkpoint_ns;
};

void fw_records_path(const fw_records *records, uint64_t number, char out[FW_RECORDS_PATH]);
/* Appends to files. The lock is held (or nobody else is there yet). */
fw_status fw_records_add_file(fw_records *records, const fw_records_file *file,
                              fw_error *error) FW_MUST;

/* records_streams.c. The stream, made when new and looked up in the catalogue; users is counted up.
 * FW_TOO_BIG: over FW_RECORDS_STREAMS_MAX. Takes the lock itself. */
fw_status fw_records_hold(fw_records *records, const fw_records_name *name, fw_records_stream **out,
                          fw_error *error) FW_MUST;
/* The lock is held; forgets a stream that nothing was ever taken of. */
void fw_records_release(fw_records *records, fw_records_stream *stream);
/* While opening: the stream stands behind this batch. */
fw_status fw_records_replay(fw_records *records, const fw_records_frame *frame,
                            fw_error *error) FW_MUST;
void fw_records_forget_all(fw_records *records);

/* Ends the segment that is written to: all files there are then are whole, and change no more. */
fw_status fw_records_seal(fw_records *records, fw_error *error) FW_MUST;

/* records_open.c */
fw_status fw_records_load(fw_records *records, fw_error *error) FW_MUST;

#endif
