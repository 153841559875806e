/* The CRC of AB from those of A and B: CRC is linear, so crc(AB) = crc(A) * x^(8 |B|) + crc(B) in
 * the polynomials over GF(2) modulo P (Adler's crc32_combine; here by squaring). Polynomials are
 * bit-reflected: the highest bit is x^0. */
#include "mcap/format.h"

static uint32_t multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
        product ^= b & (0u - (uint32_t)((a & bit) != 0));
        b = (b >> 1) ^ (0xEDB88320u & (0u - (b & 1u)));
    }
    return product;
}

uint32_t fw_mcap_crc32_join(uint32_t first, uint32_t second, uint64_t second_bytes) {
    uint32_t square = 1u << 23; /* x^8: one byte */
    for (uint64_t left = second_bytes; left != 0; left >>= 1) {
        if ((left & 1) != 0) first = multiply(square, first);
        square = multiply(square, square);
    }
    return first ^ second;
}
