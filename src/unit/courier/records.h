/* records.h - small records on their way to the factory, exactly once: health, versions.
 *
 *   append --> DIR/records/<boot>.<stream>.<first>.ndjson    one record a line, durable
 *   next   --> POST /v1/records (Flywheel-Boot, -Stream, -First) --200 {"next":N}--> file removed
 *                                                                --409 {"next":N}--> lines below N skipped
 *
 * A record's number is its place in (boot, stream), from 0; `boot` is this start of the unit (shared.h),
 * so a number never means two records. When the factory asks for records that are gone (it, or this
 * disk, lost them), the files go on under a new boot id, numbered from 0.
 *
 * Invariants: (1) a record has its number only when it is durable; a courier that dies between the two
 * finds it in the file; (2) the folder stays under FW_UNIT_RECORDS_BYTES_MAX: the oldest file goes, its
 * records are counted in `lost`; (3) a file that is sent in part is sent again: the factory skips what
 * it has.
 */
#ifndef FW_UNIT_RECORDS_H
#define FW_UNIT_RECORDS_H

#include "base/env.h"
#include "base/file.h"
#include "unit/shared.h"

enum {
    FW_UNIT_RECORDS_BYTES_MAX = 1 << 20,
    FW_UNIT_RECORDS_FILE_BYTES = 64 << 10, /* then a new file begins */
    FW_UNIT_RECORDS_FILES_MAX = 64,
    FW_UNIT_RECORD_MAX = 4096,
};

typedef enum fw_unit_record_stream {
    FW_UNIT_RECORDS_HEALTH,
    FW_UNIT_RECORDS_VERSIONS,
    FW_UNIT_RECORDS_STREAM_COUNT
} fw_unit_record_stream;

/* One file of the queue. */
typedef struct fw_unit_record_file {
    char boot[FW_UNIT_BOOT_MAX];
    fw_unit_record_stream stream;
    uint64_t first, count, skip; /* skip: the factory has that many of them */
    uint64_t size_bytes;
    int64_t made_ns; /* order */
} fw_unit_record_file;

typedef struct fw_unit_records {
    const fw_env *env;
    fw_unit_shared *shared;
    char folder[FW_PATH_MAX - 160];
    char boot[FW_UNIT_RECORDS_STREAM_COUNT][FW_UNIT_BOOT_MAX]; /* of new records */
    fw_unit_record_file files[FW_UNIT_RECORDS_FILES_MAX];      /* oldest first */
    uint32_t count;
    uint64_t lost; /* records */
} fw_unit_records;

/* A batch to send. */
typedef struct fw_unit_batch {
    const char *boot, *stream; /* until the next call */
    uint64_t first, count;
    char *body; /* malloc'd, the caller's */
    size_t body_bytes;
} fw_unit_batch;

/* Makes the folder and takes up what earlier runs left; torn last lines are cut off. */
fw_status fw_unit_records_open(fw_unit_records *records, const fw_env *env, const char *data_folder,
                               fw_unit_shared *shared, fw_error *error) FW_MUST;
/* Adds a record: one line without its end. On failure it has no number and is lost (counted). */
fw_status fw_unit_records_append(fw_unit_records *records, fw_unit_record_stream stream,
                                 const char *line, fw_error *error) FW_MUST;
uint64_t fw_unit_records_bytes(const fw_unit_records *records);
/* The oldest batch; FW_END when there is none. Anything wrong with a file removes it (counted). */
fw_status fw_unit_records_next(fw_unit_records *records, fw_unit_batch *out,
                               fw_error *error) FW_MUST;
/* The factory's next number for the batch given last: whole files below it are done with. */
void fw_unit_records_acked(fw_unit_records *records, uint64_t next);
/* The factory condemned the batch given last. */
void fw_unit_records_condemned(fw_unit_records *records);

#endif
