/* CRC-32, two ways: sixteen table look-ups per sixteen bytes anywhere (Kounavis and Berry 2005),
 * and carry-less multiplication where an x86 processor has it (Gopal et al. 2009, "Fast CRC
 * Computation for Generic Polynomials Using PCLMULQDQ"; its constants are x^n mod P,
 * bit-reflected). The second folds 64 bytes into 64, in the end into 16, whose CRC the tables
 * finish.
 */
#include <pthread.h>

#include "mcap/format.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { SLICES = 16, FOLD_MIN_BYTES = 64 };

static uint32_t table[SLICES][256];
static bool can_fold;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) {
            value = (value >> 1) ^ (0xEDB88320u & (0u - (value & 1u)));
        }
        table[0][i] = value;
    }
    for (int s = 1; s < SLICES; s++) {
        for (int i = 0; i < 256; i++) {
            uint32_t before = table[s - 1][i];
            table[s][i] = (before >> 8) ^ table[0][before & 255];
        }
    }
#if defined(__x86_64__)
    can_fold = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
#endif
}

static inline uint32_t slice(const uint8_t *at, uint32_t crc) {
    uint32_t sum = 0;
    for (int i = 0; i < SLICES; i++) {
        uint8_t mixed = (uint8_t)(i < 4 ? at[i] ^ (crc >> (8 * i)) : at[i]);
        sum ^= table[SLICES - 1 - i][mixed];
    }
    return sum;
}

/* `crc` here and below is the register: not inverted. */
static uint32_t by_table(uint32_t crc, const uint8_t *at, size_t size) {
    for (; size >= SLICES; size -= SLICES, at += SLICES) crc = slice(at, crc);
    for (; size > 0; size--) crc = (crc >> 8) ^ table[0][(crc ^ *at++) & 255];
    return crc;
}

#if defined(__x86_64__)
#define FOLDING __attribute__((target("pclmul,sse4.1")))

FOLDING static inline __m128i load_block(const uint8_t *at) {
    return _mm_loadu_si128((const __m128i_u *)at);
}

/* Moves `state` forward by the distance of `constants` and adds the block found there. */
FOLDING static inline __m128i fold(__m128i state, __m128i constants, __m128i block) {
    __m128i low = _mm_clmulepi64_si128(state, constants, 0x00);
    __m128i high = _mm_clmulepi64_si128(state, constants, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), block);
}

/* size >= FOLD_MIN_BYTES; *size becomes what is left for the table. */
FOLDING static uint32_t by_folding(uint32_t crc, const uint8_t **bytes, size_t *size) {
    const __m128i by_64 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
    const __m128i by_16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const uint8_t *at = *bytes;
    size_t left = *size - 64;
    __m128i a = load_block(at), b = load_block(at + 16);
    __m128i c = load_block(at + 32), d = load_block(at + 48);
    a = _mm_xor_si128(a, _mm_cvtsi32_si128((int)crc));
    for (at += 64; left >= 64; left -= 64, at += 64) {
        a = fold(a, by_64, load_block(at));
        b = fold(b, by_64, load_block(at + 16));
        c = fold(c, by_64, load_block(at + 32));
        d = fold(d, by_64, load_block(at + 48));
    }
    a = fold(fold(fold(a, by_16, b), by_16, c), by_16, d);
    for (; left >= 16; left -= 16, at += 16) a = fold(a, by_16, load_block(at));
    uint8_t state[16];
    _mm_storeu_si128((__m128i_u *)state, a);
    *bytes = at;
    *size = left;
    return by_table(0, state, sizeof state);
}
#else
static uint32_t by_folding(uint32_t crc, const uint8_t **bytes, size_t *size) {
    (void)bytes;
    (void)size;
    return crc;
}
#endif

uint32_t fw_mcap_crc32(uint32_t crc, const void *bytes, size_t size_bytes) {
    (void)pthread_once(&once, prepare);
    const uint8_t *at = bytes;
    crc = ~crc;
    if (can_fold && size_bytes >= FOLD_MIN_BYTES) crc = by_folding(crc, &at, &size_bytes);
    return ~by_table(crc, at, size_bytes);
}
