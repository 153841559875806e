/* crc.h - CRC-32 (ISO 3309) of what the courier puts into a slot, as the tick computes it. */
#ifndef FW_UNIT_CRC_H
#define FW_UNIT_CRC_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t fw_unit_crc32(const void *bytes, size_t size_bytes) {
    const uint8_t *at = bytes;
    uint32_t crc = ~UINT32_C(0);
    for (size_t i = 0; i < size_bytes; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1)));
    }
    return ~crc;
}

#endif
