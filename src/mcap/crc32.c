/* CRC-32 by slicing (Kounavis and Berry 2005): sixteen table look-ups per sixteen bytes. */
#include <pthread.h>

#include "mcap/format.h"

enum { SLICES = 16 };

static uint32_t table[SLICES][256];
static pthread_once_t table_made = PTHREAD_ONCE_INIT;

static void make_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) value = (value >> 1) ^ (0xEDB88320u & (0u - (value & 1u)));
        table[0][i] = value;
    }
    for (int s = 1; s < SLICES; s++) {
        for (int i = 0; i < 256; i++) {
            uint32_t before = table[s - 1][i];
            table[s][i] = (before >> 8) ^ table[0][before & 255];
        }
    }
}

static inline uint32_t fold(const uint8_t *at, uint32_t crc) {
    uint32_t sum = 0;
    for (int i = 0; i < SLICES; i++) {
        uint8_t mixed = (uint8_t)(i < 4 ? at[i] ^ (crc >> (8 * i)) : at[i]);
        sum ^= table[SLICES - 1 - i][mixed];
    }
    return sum;
}

uint32_t fw_mcap_crc32(uint32_t crc, const void *bytes, size_t size_bytes) {
    (void)pthread_once(&table_made, make_table);
    const uint8_t *at = bytes;
    crc = ~crc;
    for (; size_bytes >= SLICES; size_bytes -= SLICES, at += SLICES) crc = fold(at, crc);
    for (; size_bytes > 0; size_bytes--) crc = (crc >> 8) ^ table[0][(crc ^ *at++) & 255];
    return ~crc;
}
