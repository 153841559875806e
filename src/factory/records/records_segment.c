#include "factory/records/records_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "factory/ingest/clock.h"
#include "factory/ingest/ingest.h"
#include "mcap/mcap.h"

static const char segment_magic[8] = "FWRECS1\n", frame_magic[4] = "FWRB";
enum {
    SEGMENT_CRC_AT = FW_RECORDS_SEGMENT_HEADER - 4,
    FRAME_HEADER_CRC_AT = 8,
    FRAME_PAYLOAD_CRC_AT = 12,
    SCAN_BYTES = 2 * FW_RECORDS_FRAME_MAX
};

/* ---- little endian ---- */

static void put_u32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static void put_u64(uint8_t *at, uint64_t value) {
    for (int i = 0; i < 8; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_u32(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t get_u64(const uint8_t *at) {
    return get_u32(at) | (uint64_t)get_u32(at + 4) << 32;
}

uint32_t fw_records_crc(const uint8_t *bytes, size_t size_bytes) {
    return fw_mcap_crc32(0, bytes, size_bytes);
}

/* ---- records ---- */

bool fw_records_stream_valid(const char *stream) {
    size_t size = stream ? strlen(stream) : 0;
    return size > 0 && size <= FW_RECORDS_STREAM_MAX &&
           strspn(stream, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == size;
}

fw_status fw_records_count(const uint8_t *payload, size_t size_bytes, uint32_t *count,
                           fw_error *error) {
    uint32_t records = 0;
    for (size_t at = 0; at < size_bytes;) {
        const uint8_t *end = memchr(payload + at, '\n', size_bytes - at);
        size_t line = end ? (size_t)(end - payload) - at : size_bytes - at;
        if (line == 0) return fw_fail(error, FW_INVALID, "record %u of the batch is empty", records);
        if (line > FW_RECORDS_LINE_MAX)
            return fw_fail(error, FW_TOO_BIG, "record %u of the batch has %zu bytes, the limit is %d",
                           records, line, FW_RECORDS_LINE_MAX);
        records++;
        at += line + 1;
    }
    if (records == 0) return fw_fail(error, FW_INVALID, "the batch has no records");
    *count = records;
    return FW_OK;
}

size_t fw_records_skip(const uint8_t *payload, size_t size_bytes, uint32_t count) {
    size_t at = 0;
    for (; count > 0; count--) {
        const uint8_t *end = memchr(payload + at, '\n', size_bytes - at);
        if (!end) return size_bytes;
        at = (size_t)(end - payload) + 1;
    }
    return at;
}

/* ---- segment header ---- */

void fw_records_segment_write(const fw_records_segment *segment,
                              uint8_t out[FW_RECORDS_SEGMENT_HEADER]) {
    memset(out, 0, FW_RECORDS_SEGMENT_HEADER);
    memcpy(out, segment_magic, sizeof segment_magic);
    put_u32(out + 8, FW_RECORDS_VERSION);
    put_u32(out + 12, FW_RECORDS_SEGMENT_HEADER);
    put_u64(out + 16, segment->number);
    put_u64(out + 24, segment->first_sequence);
    put_u64(out + 32, (uint64_t)segment->created_ns);
    put_u64(out + 40, segment->previous_number);
    put_u64(out + 48, segment->previous_bytes);
    put_u32(out + SEGMENT_CRC_AT, fw_records_crc(out, SEGMENT_CRC_AT));
}

fw_status fw_records_segment_parse(const uint8_t *bytes, size_t size_bytes, fw_records_segment *out,
                                   fw_error *error) {
    if (size_bytes < FW_RECORDS_SEGMENT_HEADER)
        return fw_fail(error, FW_END, "a segment's header is cut short");
    if (memcmp(bytes, segment_magic, sizeof segment_magic) != 0)
        return fw_fail(error, FW_CORRUPT, "not a segment of records");
    if (get_u32(bytes + SEGMENT_CRC_AT) != fw_records_crc(bytes, SEGMENT_CRC_AT))
        return fw_fail(error, FW_CORRUPT, "a segment's header is damaged");
    if (get_u32(bytes + 8) != FW_RECORDS_VERSION ||
        get_u32(bytes + 12) != FW_RECORDS_SEGMENT_HEADER || get_u32(bytes + 56) != 0)
        return fw_fail(error, FW_UNSUPPORTED,
                       "a segment of records has format %u, this Flywheel knows %d; install a "
                       "newer Flywheel",
                       get_u32(bytes + 8), FW_RECORDS_VERSION);
    *out = (fw_records_segment){.number = get_u64(bytes + 16),
                                .first_sequence = get_u64(bytes + 24),
                                .created_ns = (int64_t)get_u64(bytes + 32),
                                .previous_number = get_u64(bytes + 40),
                                .previous_bytes = get_u64(bytes + 48)};
    return FW_OK;
}

/* ---- frames ---- */

size_t fw_records_frame_bytes(const fw_records_frame *frame) {
    return FW_RECORDS_FRAME_HEADER + strlen(frame->name.unit) + strlen(frame->name.boot) +
           strlen(frame->name.stream) + frame->payload_bytes;
}

size_t fw_records_frame_write(const fw_records_frame *frame, uint8_t *out) {
    const char *const names[3] = {frame->name.unit, frame->name.boot, frame->name.stream};
    size_t size = fw_records_frame_bytes(frame), at = FW_RECORDS_FRAME_HEADER;
    FW_ASSERT(size <= FW_RECORDS_FRAME_MAX);
    memset(out, 0, FW_RECORDS_FRAME_HEADER);
    memcpy(out, frame_magic, sizeof frame_magic);
    put_u32(out + 4, (uint32_t)size);
    put_u32(out + FRAME_PAYLOAD_CRC_AT, frame->payload_crc);
    put_u64(out + 16, frame->sequence);
    put_u64(out + 24, frame->first);
    put_u64(out + 32, (uint64_t)frame->time_ns);
    put_u32(out + 40, frame->count);
    put_u32(out + 44, frame->payload_bytes);
    for (int i = 0; i < 3; i++) {
        size_t name = strlen(names[i]);
        out[48 + i] = (uint8_t)name;
        memcpy(out + at, names[i], name);
        at += name;
    }
    put_u32(out + FRAME_HEADER_CRC_AT, fw_records_crc(out + FRAME_PAYLOAD_CRC_AT,
                                                      at - FRAME_PAYLOAD_CRC_AT));
    memcpy(out + at, frame->payload, frame->payload_bytes);
    return size;
}

static bool take_name(const uint8_t **at, uint8_t size, size_t max, char *out) {
    if (size > max) return false;
    memcpy(out, *at, size);
    out[size] = '\0';
    *at += size;
    return strlen(out) == size;
}

/* The names behind a frame's header, which is whole. */
static bool take_names(const uint8_t *bytes, fw_records_name *out) {
    const uint8_t *at = bytes + FW_RECORDS_FRAME_HEADER;
    return take_name(&at, bytes[48], FW_RECORDS_UNIT_MAX, out->unit) &&
           take_name(&at, bytes[49], FW_RECORDS_BOOT_MAX, out->boot) &&
           take_name(&at, bytes[50], FW_RECORDS_STREAM_MAX, out->stream) &&
           fw_unit_name_valid(out->unit) && fw_clock_boot_valid(out->boot) &&
           fw_records_stream_valid(out->stream);
}

fw_status fw_records_frame_parse(const uint8_t *bytes, size_t size_bytes, fw_records_frame *out,
                                 size_t *used, fw_error *error) {
    if (size_bytes < FW_RECORDS_FRAME_HEADER)
        return fw_fail(error, FW_END, "a batch's header is cut short");
    size_t size = get_u32(bytes + 4), payload = get_u32(bytes + 44);
    size_t header = FW_RECORDS_FRAME_HEADER + (size_t)bytes[48] + bytes[49] + bytes[50];
    if (memcmp(bytes, frame_magic, sizeof frame_magic) != 0 || payload > FW_RECORDS_PAYLOAD_MAX ||
        size != header + payload || bytes[51] != 0)
        return fw_fail(error, FW_CORRUPT, "no batch begins here");
    if (size > size_bytes) return fw_fail(error, FW_END, "a batch is cut short");
    if (get_u32(bytes + FRAME_HEADER_CRC_AT) !=
            fw_records_crc(bytes + FRAME_PAYLOAD_CRC_AT, header - FRAME_PAYLOAD_CRC_AT) ||
        get_u32(bytes + FRAME_PAYLOAD_CRC_AT) != fw_records_crc(bytes + header, payload))
        return fw_fail(error, FW_CORRUPT, "a batch's CRC does not match");
    fw_records_frame frame = {.sequence = get_u64(bytes + 16),
                              .first = get_u64(bytes + 24),
                              .time_ns = (int64_t)get_u64(bytes + 32),
                              .count = get_u32(bytes + 40),
                              .payload_bytes = (uint32_t)payload,
                              .payload_crc = get_u32(bytes + FRAME_PAYLOAD_CRC_AT),
                              .payload = bytes + header};
    uint32_t count;
    if (!take_names(bytes, &frame.name) ||
        fw_records_count(frame.payload, payload, &count, NULL) != FW_OK || count != frame.count ||
        frame.first > UINT64_MAX / 4 || frame.sequence > UINT64_MAX / 4 || frame.sequence == 0)
        return fw_fail(error, FW_CORRUPT, "a batch contradicts itself");
    *out = frame;
    *used = size;
    return FW_OK;
}

/* ---- scanning ---- */

typedef struct scan {
    int fd;
    uint64_t at, to; /* of bytes[0] */
    uint8_t *bytes;  /* (SCAN_BYTES) */
    size_t have;
    uint64_t damaged_from; /* UINT64_MAX: not within damage */
} scan;

/* Fills the window from where it stands. */
static fw_status fill(scan *s, const char *path, fw_error *error) {
    while (s->have < SCAN_BYTES && s->at + s->have < s->to) {
        uint64_t left = s->to - s->at - s->have;
        size_t room = SCAN_BYTES - s->have;
        ssize_t got = pread(s->fd, s->bytes + s->have, left < room ? left : room,
                            (off_t)(s->at + s->have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fw_fail_errno(error, "cannot read %s", path);
        if (got == 0) s->to = s->at + s->have; /* shorter than was said */
        s->have += (size_t)got;
    }
    return FW_OK;
}

static void drop(scan *s, size_t used) {
    memmove(s->bytes, s->bytes + used, s->have - used);
    s->have -= used;
    s->at += used;
}

/* Bytes to the next place where a frame may begin, at least 1. */
static size_t to_next_magic(const scan *s) {
    const uint8_t *next = s->have > 1 ? memmem(s->bytes + 1, s->have - 1, frame_magic, 4) : NULL;
    if (next) return (size_t)(next - s->bytes);
    return s->have > 4 ? s->have - 3 : s->have;
}

/* All frames that are whole in the window; *going is false when the visitor has enough. */
static void take_frames(scan *s, const fw_records_visitor *visitor, uint64_t *good, bool *going) {
    size_t used = 0, size = 0;
    while (*going && used < s->have) {
        fw_records_frame frame;
        bool end_in_sight = s->at + s->have == s->to;
        fw_status status =
            fw_records_frame_parse(s->bytes + used, s->have - used, &frame, &size, NULL);
        if (status == FW_END && !end_in_sight) break; /* more is to be read */
        if (status == FW_OK) {
            uint64_t at = s->at + used;
            if (s->damaged_from != UINT64_MAX && visitor->damage)
                visitor->damage(visitor->self, s->damaged_from, at);
            s->damaged_from = UINT64_MAX;
            *good = at + size;
            *going = visitor->frame(visitor->self, &frame, at);
            used += size;
            continue;
        }
        if (s->damaged_from == UINT64_MAX) s->damaged_from = s->at + used;
        scan rest = *s;
        rest.bytes += used;
        rest.have -= used;
        used += to_next_magic(&rest);
    }
    drop(s, used);
}

fw_status fw_records_scan(const char *path, uint64_t from, uint64_t to,
                          const fw_records_visitor *visitor, uint64_t *good, fw_error *error) {
    scan s = {.at = from, .to = to, .damaged_from = UINT64_MAX};
    bool going = true;
    *good = from;
    s.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s.fd < 0) return fw_fail_errno(error, "cannot open %s", path);
    s.bytes = malloc(SCAN_BYTES);
    fw_status status = s.bytes ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory to read records");
    while (status == FW_OK && going) {
        status = fill(&s, path, error);
        if (status != FW_OK || s.have == 0) break;
        take_frames(&s, visitor, good, &going);
    }
    free(s.bytes);
    close(s.fd);
    return status;
}
