/* CRC-32, by what the processor has:
 *
 *   anywhere     sixteen table look-ups per sixteen bytes (Kounavis and Berry 2005)
 *   x86-64       carry-less multiplication (Gopal et al. 2009, "Fast CRC Computation for Generic
 *                Polynomials Using PCLMULQDQ"; the constants are x^n mod P, bit-reflected): 64
 *                bytes fold into 64, in the end into 16, whose CRC the tables finish; with
 *                VPCLMULQDQ 128 bytes at a time
 *   AArch64      the CRC32 instructions, eight bytes each
 */
#include <pthread.h>

#include "mcap/format.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

enum { SLICES = 16, FAST_MIN_BYTES = 64, WIDE_MIN_BYTES = 256 };

static uint32_t table[SLICES][256];
static bool is_fast; /* the processor has the instructions */
#if defined(__x86_64__)
static bool is_wide; /* and those for 128 bytes at a time */
#endif
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
    is_fast = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
    is_wide = is_fast && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("vpclmulqdq");
#elif defined(__aarch64__)
    is_fast = (getauxval(AT_HWCAP) & (1 << 7)) != 0; /* HWCAP_CRC32 */
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

/* The last of it: 16 bytes of state and what is left in blocks of 16. */
FOLDING static uint32_t finish(__m128i state, const uint8_t **bytes, size_t *size) {
    const __m128i by_16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    for (; *size >= 16; *size -= 16, *bytes += 16) state = fold(state, by_16, load_block(*bytes));
    uint8_t last[16];
    _mm_storeu_si128((__m128i_u *)last, state);
    return by_table(0, last, sizeof last);
}

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
    *bytes = at;
    *size = left;
    return finish(a, bytes, size);
}

#define WIDE __attribute__((target("pclmul,sse4.1,avx2,vpclmulqdq")))

WIDE static inline __m256i load_wide(const uint8_t *at) {
    return _mm256_loadu_si256((const __m256i_u *)at);
}

WIDE static inline __m256i fold_wide(__m256i state, __m256i constants, __m256i block) {
    __m256i low = _mm256_clmulepi64_epi128(state, constants, 0x00);
    __m256i high = _mm256_clmulepi64_epi128(state, constants, 0x11);
    return _mm256_xor_si256(_mm256_xor_si256(low, high), block);
}

WIDE static uint32_t by_wide_folding(uint32_t crc, const uint8_t **bytes, size_t *size) {
    const __m256i by_128 = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x014a7fe880, 0x01e88ef372));
    const __m128i by_16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const uint8_t *at = *bytes;
    size_t left = *size - 128;
    __m256i state[4];
    for (int i = 0; i < 4; i++) state[i] = load_wide(at + 32 * i);
    state[0] = _mm256_xor_si256(
        state[0], _mm256_inserti128_si256(_mm256_setzero_si256(), _mm_cvtsi32_si128((int)crc), 0));
    for (at += 128; left >= 128; left -= 128, at += 128) {
        for (int i = 0; i < 4; i++) state[i] = fold_wide(state[i], by_128, load_wide(at + 32 * i));
    }
    __m128i one = _mm256_castsi256_si128(state[0]);
    one = fold(one, by_16, _mm256_extracti128_si256(state[0], 1));
    for (int i = 1; i < 4; i++) {
        one = fold(one, by_16, _mm256_castsi256_si128(state[i]));
        one = fold(one, by_16, _mm256_extracti128_si256(state[i], 1));
    }
    *bytes = at;
    *size = left;
    return finish(one, bytes, size);
}

static uint32_t by_instructions(uint32_t crc, const uint8_t **bytes, size_t *size) {
    bool wide = is_wide && *size >= WIDE_MIN_BYTES;
    return wide ? by_wide_folding(crc, bytes, size) : by_folding(crc, bytes, size);
}
#elif defined(__aarch64__)
__attribute__((target("+crc"))) static uint32_t by_instructions(uint32_t crc, const uint8_t **bytes,
                                                                size_t *size) {
    const uint8_t *at = *bytes;
    size_t left = *size;
    for (; left >= 8; left -= 8, at += 8) crc = __crc32d(crc, fw_mcap_load_u64(at));
    *bytes = at;
    *size = left;
    return crc;
}
#else
static uint32_t by_instructions(uint32_t crc, const uint8_t **bytes, size_t *size) {
    (void)bytes;
    (void)size;
    return crc;
}
#endif

uint32_t fw_mcap_crc32(uint32_t crc, const void *bytes, size_t size_bytes) {
    (void)pthread_once(&once, prepare);
    const uint8_t *at = bytes;
    crc = ~crc;
    if (is_fast && size_bytes >= FAST_MIN_BYTES) crc = by_instructions(crc, &at, &size_bytes);
    return ~by_table(crc, at, size_bytes);
}
