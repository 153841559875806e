/* records_segment.h - the bytes of a segment file of small records: written, parsed, scanned.
 *
 *   header (64 bytes) | frame | frame | ... | frame         a frame is one batch of one stream
 *
 *   header   "FWRECS1\n"  u32 version  u32 header bytes  u64 number  u64 first sequence
 *            i64 created  u64 previous number  u64 previous bytes  u32 0  u32 crc
 *   frame    "FWRB"  u32 frame bytes  u32 header crc  u32 payload crc  u64 sequence  u64 first
 *            i64 server time  u32 count  u32 payload bytes  u8 unit, boot, stream bytes  u8 0
 *            | unit | boot | stream | payload: `count` records, each ended by \n but maybe the last
 *
 * All little endian. A CRC is CRC-32 (as in MCAP); a header's covers all of it after the field
 * itself, the names included. sequence counts the records of the whole store from 1, first those of
 * the stream from 0; both are the frame's first record's.
 *
 * previous number and bytes say how far the segment before is to be trusted: what lies behind (after
 * a write or flush that failed) never counts, nor does a segment with a number in between.
 *
 * Page: docs/formats/records.md. The store: records.h.
 */
#ifndef FW_FACTORY_RECORDS_SEGMENT_H
#define FW_FACTORY_RECORDS_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    FW_RECORDS_VERSION = 1,
    FW_RECORDS_UNIT_MAX = 31,
    FW_RECORDS_BOOT_MAX = 36,
    FW_RECORDS_STREAM_MAX = 31,
    FW_RECORDS_PAYLOAD_MAX = 1 << 20, /* of a batch */
    FW_RECORDS_LINE_MAX = 1 << 16,    /* of a record */
    FW_RECORDS_SEGMENT_HEADER = 64,
    FW_RECORDS_FRAME_HEADER = 52,
    FW_RECORDS_FRAME_NAMES = FW_RECORDS_UNIT_MAX + FW_RECORDS_BOOT_MAX + FW_RECORDS_STREAM_MAX,
    FW_RECORDS_FRAME_MAX =
        FW_RECORDS_FRAME_HEADER + FW_RECORDS_FRAME_NAMES + FW_RECORDS_PAYLOAD_MAX,
};

typedef struct fw_records_segment {
    uint64_t number, first_sequence;
    int64_t created_ns;
    uint64_t previous_number, previous_bytes; /* 0: none */
} fw_records_segment;

/* Who a batch is of. Texts are valid (see below). */
typedef struct fw_records_name {
    char unit[FW_RECORDS_UNIT_MAX + 1], boot[FW_RECORDS_BOOT_MAX + 1],
        stream[FW_RECORDS_STREAM_MAX + 1];
} fw_records_name;

typedef struct fw_records_frame {
    fw_records_name name;
    uint64_t sequence, first;
    int64_t time_ns;
    uint32_t count, payload_bytes, payload_crc;
    const uint8_t *payload; /* (payload_bytes) */
} fw_records_frame;

/* 1 to 31 of a-z 0-9 _ . - */
bool fw_records_stream_valid(const char *stream);
/* Records in a payload, which ends in a newline or not: FW_INVALID for none or an empty one,
 * FW_TOO_BIG for one over FW_RECORDS_LINE_MAX. */
fw_status fw_records_count(const uint8_t *payload, size_t size_bytes, uint32_t *count,
                           fw_error *error) FW_MUST;
/* Bytes of the first `count` records with their newlines; the payload has that many. */
size_t fw_records_skip(const uint8_t *payload, size_t size_bytes, uint32_t count);

void fw_records_segment_write(const fw_records_segment *segment,
                              uint8_t out[FW_RECORDS_SEGMENT_HEADER]);
fw_status fw_records_segment_parse(const uint8_t *bytes, size_t size_bytes, fw_records_segment *out,
                                   fw_error *error) FW_MUST;

uint32_t fw_records_crc(const uint8_t *bytes, size_t size_bytes);
size_t fw_records_frame_bytes(const fw_records_frame *frame);
/* Writes header, names and payload; returns fw_records_frame_bytes. */
size_t fw_records_frame_write(const fw_records_frame *frame, uint8_t *out);
/* *used is the frame's bytes. FW_END: cut short, or nothing there; FW_CORRUPT with the reason. */
fw_status fw_records_frame_parse(const uint8_t *bytes, size_t size_bytes, fw_records_frame *out,
                                 size_t *used, fw_error *error) FW_MUST;

/* What a scan meets. frame: false ends it early. damage: bytes [from, to) are no frame, and an
 * intact frame follows. */
typedef struct fw_records_visitor {
    void *self;
    bool (*frame)(void *self, const fw_records_frame *frame, uint64_t at_bytes);
    void (*damage)(void *self, uint64_t from, uint64_t to); /* may be NULL */
} fw_records_visitor;

/* Reads frames from byte `from` (the first frame: FW_RECORDS_SEGMENT_HEADER) to `to`, in memory
 * bounded by two frames. *good is where the last intact frame ends, `from` when there is none.
 * FW_IO, FW_NO_MEMORY, FW_NOT_FOUND. */
fw_status fw_records_scan(const char *path, uint64_t from, uint64_t to,
                          const fw_records_visitor *visitor, uint64_t *good,
                          fw_error *error) FW_MUST;

#endif
