/* mcap_load.h - the load both sides of bench_mcap write, so that figures compare (C and C++).
 *
 * A pool of payloads that look like telemetry: numbers that walk slowly, counters, a little text.
 * It is larger than any chunk, so no packer finds a message again in its own chunk. Messages go
 * round over FW_BENCH_CHANNELS channels, one every 10 us. What is written goes into a ring of
 * memory, as a stand-in for write(2): the bytes are copied once and forgotten.
 */
#ifndef FW_BENCH_MCAP_LOAD_H
#define FW_BENCH_MCAP_LOAD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

enum {
    FW_BENCH_CHANNELS = 10,
    FW_BENCH_POOL_BYTES = 4 << 20,
    FW_BENCH_RING_BYTES = 1 << 20,
    FW_BENCH_STEP_NS = 10000
};

static inline uint32_t fw_bench_next(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Fills 64-byte pieces: ten 32-bit floats that walk, two counters, sixteen bytes of text. */
static inline void fw_bench_fill(uint8_t *pool) {
    static const char text[] = "lane_change/left";
    uint32_t state = 20261121;
    float walk[10] = {0};
    for (uint32_t at = 0; at < FW_BENCH_POOL_BYTES; at += 64) {
        for (int i = 0; i < 10; i++) {
            walk[i] += (float)((int)(fw_bench_next(&state) % 201) - 100) * 0.01f;
        }
        uint32_t counters[2] = {at / 64, at / 4096};
        memcpy(pool + at, walk, 40);
        memcpy(pool + at + 40, counters, 8);
        memcpy(pool + at + 48, text, 16);
    }
}

/* The payload of message `i`. */
static inline const uint8_t *fw_bench_payload(const uint8_t *pool, uint64_t i, size_t size) {
    return pool + (i * size) % (FW_BENCH_POOL_BYTES - size);
}

/* CPU time of this process. */
static inline double fw_bench_cpu_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Copies into a ring; *at is the place in it. */
static inline void fw_bench_ring(uint8_t *ring, size_t *at, const void *bytes, size_t size) {
    const uint8_t *from = (const uint8_t *)bytes;
    while (size > 0) {
        size_t n = FW_BENCH_RING_BYTES - *at;
        if (n > size) n = size;
        memcpy(ring + *at, from, n);
        from += n;
        size -= n;
        *at = (*at + n) % FW_BENCH_RING_BYTES;
    }
}

#endif
