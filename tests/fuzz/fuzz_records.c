/* links: fw_factory */
/* What the records store reads: the first byte chooses. 0: a segment file (header, frames, damage
 * between). 1: a batch's payload. 2: the header Flywheel-Clock. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "factory/ingest/clock.h"
#include "factory/records/records_segment.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "broken: %s\n", #condition);                                           \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

typedef struct seen {
    const uint8_t *bytes;
    size_t size;
    uint64_t end; /* of the last frame or damage */
} seen;

/* A frame that is taken is one that we would write. */
static bool take_frame(void *self, const fw_records_frame *frame, uint64_t at) {
    seen *s = self;
    size_t size = fw_records_frame_bytes(frame);
    CHECK(at >= s->end && size <= s->size && at <= s->size - size);
    CHECK(frame->count > 0 && frame->payload_bytes > 0);
    uint8_t *again = malloc(size);
    if (!again) abort();
    CHECK(fw_records_frame_write(frame, again) == size);
    CHECK(memcmp(again, s->bytes + at, size) == 0);
    free(again);
    s->end = at + size;
    return true;
}

static void take_damage(void *self, uint64_t from, uint64_t to) {
    seen *s = self;
    CHECK(from >= s->end && from < to && to < s->size);
    s->end = to;
}

static void check_segment(const uint8_t *bytes, size_t size) {
    char path[64];
    fw_records_segment header;
    fw_error error;
    seen s = {bytes, size, 0};
    uint64_t good;
    const fw_records_visitor visitor = {&s, take_frame, take_damage};
    if (fw_records_segment_parse(bytes, size, &header, &error) == FW_OK) {
        uint8_t again[FW_RECORDS_SEGMENT_HEADER];
        fw_records_segment_write(&header, again);
        CHECK(memcmp(again, bytes, sizeof again) == 0);
    }
    int fd = memfd_create("records", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK(fw_records_scan(path, 0, size, &visitor, &good, &error) == FW_OK);
    CHECK(good <= size && (good == 0 || good == s.end));
    close(fd);
}

static void check_payload(const uint8_t *bytes, size_t size) {
    uint32_t count = 0;
    fw_error error;
    if (fw_records_count(bytes, size, &count, &error) != FW_OK) return;
    CHECK(count > 0 && count <= size);
    CHECK(fw_records_skip(bytes, size, count) == size);
    CHECK(fw_records_skip(bytes, size, count - 1) < size);
}

static void check_clock(const uint8_t *bytes, size_t size) {
    static const int64_t now_ns = 1800000000000000000;
    fw_recording_clock clock;
    fw_error error;
    char *text = strndup((const char *)bytes, size);
    if (!text) abort();
    if (fw_clock_parse(text, now_ns, &clock, &error) == FW_OK) {
        CHECK(clock.given && fw_clock_boot_valid(clock.boot));
        CHECK(clock.recorded_ns >= 0 && clock.recorded_ns <= now_ns);
        CHECK(clock.moved_ns == clock.recorded_ns - clock.wall_ns);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    if (size_bytes == 0) return 0;
    if (bytes[0] == 0) check_segment(bytes + 1, size_bytes - 1);
    if (bytes[0] == 1) check_payload(bytes + 1, size_bytes - 1);
    if (bytes[0] == 2) check_clock(bytes + 1, size_bytes - 1);
    return 0;
}
