/* int8_tiles.c - products of bytes, by the instructions of each machine; all exact, so all equal.
 *
 *   avx2        |x| (0..127) by w sign(x), pairs to 16 bits (at most 2 * 127 * 127 = 32258: never
 *               saturates), pairs again to 32. Without a byte below 0, as behind a ReLU, x by w directly
 *   avx512vnni  x + 128 by w, four to 32 bits in one instruction; 128 times the sum of w taken off
 *   neon        products to 16 bits, added in pairs twice
 *
 * These instructions have no operator in C or in GCC's vector extensions, hence intrinsics; each function
 * names its target, so that the build needs no -march.
 */
#include "nn/run/cpu/int8_parts.h"

#include <string.h>

/* ---- portable ---- */

static bool always(void) {
    return true;
}

static void portable_row(const int8_t *row, const fw_int8_product *p, const int8_t *panel,
                         size_t width, int32_t *sums) {
    int32_t sum[FW_INT8_PANEL] = {0};
    for (size_t q = 0; q < p->quads; q++, panel += 4 * width) {
        const int8_t *x = row + p->places[q];
        for (size_t o = 0; o < width; o++) {
            const int8_t *w = panel + 4 * o;
            sum[o] += x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
        }
    }
    memcpy(sums, sum, width * sizeof *sum);
}

static void portable(const fw_int8_product *p) {
    for (size_t o = 0; o < p->outs; o += FW_INT8_PANEL) {
        size_t width = p->outs - o < FW_INT8_PANEL ? FW_INT8_HALF : FW_INT8_PANEL;
        for (size_t r = 0; r < p->count; r++)
            portable_row(p->rows[r], p, p->panels + 4 * o * p->quads, width,
                         p->sums + r * p->stride + o);
    }
}

static inline int32_t load_quad(const int8_t *at) {
    int32_t quad;
    memcpy(&quad, at, sizeof quad);
    return quad;
}

#ifdef __clang__
#define UNROLLED
#else
#define UNROLLED __attribute__((optimize("O3")))
#endif

/* A variant is its tile, for ROWS rows and VECTORS of 8 outputs (1: the half panel); this walks over rows
 * and panels with it. `attributes` name the target; the constants make four loops of one text. */
#define WALK(variant, attributes)                                                                  \
    attributes static void variant##_panel(const fw_int8_product *p, size_t o, bool negative) {    \
        bool half = p->outs - o < FW_INT8_PANEL;                                                   \
        size_t r = 0;                                                                              \
        for (; r + 4 <= p->count; r += 4)                                                          \
            if (half && negative) variant##_tile(p, r, o, 4, 1, true);                             \
            else if (half) variant##_tile(p, r, o, 4, 1, false);                                   \
            else if (negative) variant##_tile(p, r, o, 4, 2, true);                                \
            else variant##_tile(p, r, o, 4, 2, false);                                             \
        for (; r < p->count; r++)                                                                  \
            if (half && negative) variant##_tile(p, r, o, 1, 1, true);                             \
            else if (half) variant##_tile(p, r, o, 1, 1, false);                                   \
            else if (negative) variant##_tile(p, r, o, 1, 2, true);                                \
            else variant##_tile(p, r, o, 1, 2, false);                                             \
    }                                                                                              \
    static void variant(const fw_int8_product *p) {                                                \
        for (size_t o = 0; o < p->outs; o += FW_INT8_PANEL) variant##_panel(p, o, p->negative);    \
    }

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

/* ---- AVX2 ---- */

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2");
}

FW_INT8_INLINE __attribute__((target("avx2"))) void avx2_tile(const fw_int8_product *p, size_t row,
                                                      size_t o, size_t rows, size_t vectors,
                                                      bool negative) {
    const int8_t *panel = p->panels + 4 * o * p->quads, *const *x = p->rows + row;
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sum[4][2], w[2];
    for (size_t r = 0; r < rows; r++) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
    for (size_t q = 0; q < p->quads; q++, panel += 32 * vectors) {
        for (size_t v = 0; v < vectors; v++)
            w[v] = _mm256_load_si256((const __m256i *)(const void *)(panel + 32 * v));
        for (size_t r = 0; r < rows; r++) {
            __m256i quad = _mm256_set1_epi32(load_quad(x[r] + p->places[q]));
            __m256i size = negative ? _mm256_abs_epi8(quad) : quad;
            for (size_t v = 0; v < vectors; v++) {
                __m256i turned = negative ? _mm256_sign_epi8(w[v], quad) : w[v];
                __m256i pairs = _mm256_madd_epi16(_mm256_maddubs_epi16(size, turned), ones);
                sum[r][v] = _mm256_add_epi32(sum[r][v], pairs);
            }
        }
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < vectors; v++)
            _mm256_storeu_si256((__m256i *)(void *)(p->sums + (row + r) * p->stride + o + 8 * v),
                                sum[r][v]);
}
WALK(avx2, __attribute__((target("avx2"))) UNROLLED)

/* ---- AVX-512 VNNI ---- */

#define VNNI "avx512f,avx512bw,avx512vl,avx512vnni"

static bool has_vnni(void) {
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw");
}

FW_INT8_INLINE __attribute__((target(VNNI))) void vnni_store(const fw_int8_product *p, int32_t *sums,
                                                     size_t o, __m256i sum, bool negative) {
    const __m256i total = _mm256_loadu_si256((const __m256i *)(const void *)(p->totals + o));
    if (negative) sum = _mm256_sub_epi32(sum, _mm256_slli_epi32(total, 7));
    _mm256_storeu_si256((__m256i *)(void *)(sums + o), sum);
}

FW_INT8_INLINE __attribute__((target(VNNI))) void vnni_tile(const fw_int8_product *p, size_t row, size_t o,
                                                    size_t rows, size_t vectors, bool negative) {
    const int8_t *panel = p->panels + 4 * o * p->quads, *const *x = p->rows + row;
    __m512i sum[4];
    for (size_t r = 0; r < rows; r++) sum[r] = _mm512_setzero_si512();
    for (size_t q = 0; q < p->quads; q++, panel += 32 * vectors) {
        __m512i w = vectors == 2 ? _mm512_load_si512(panel)
                                 : _mm512_castsi256_si512(_mm256_load_si256((const __m256i *)(const void *)panel));
        for (size_t r = 0; r < rows; r++) {
            int32_t quad = load_quad(x[r] + p->places[q]);
            if (negative) quad ^= (int32_t)0x80808080u;
            sum[r] = _mm512_dpbusd_epi32(sum[r], _mm512_set1_epi32(quad), w);
        }
    }
    for (size_t r = 0; r < rows; r++) {
        int32_t *sums = p->sums + (row + r) * p->stride;
        vnni_store(p, sums, o, _mm512_castsi512_si256(sum[r]), negative);
        if (vectors == 2)
            vnni_store(p, sums, o + 8, _mm512_extracti64x4_epi64(sum[r], 1), negative);
    }
}
WALK(vnni, __attribute__((target(VNNI))) UNROLLED)

const fw_int8_variant fw_int8_variants[] = {{"avx512vnni", has_vnni, vnni},
                                            {"avx2", has_avx2, avx2},
                                            {"portable", always, portable},
                                            {NULL, NULL, NULL}};

#elif defined(__aarch64__)
#include <arm_neon.h>

FW_INT8_INLINE void neon_tile(const fw_int8_product *p, size_t row, size_t o, size_t rows, size_t vectors,
                      bool negative) {
    const int8_t *panel = p->panels + 4 * o * p->quads, *const *x = p->rows + row;
    int32x4_t sum[4][4];
    (void)negative;
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < 2 * vectors; v++) sum[r][v] = vdupq_n_s32(0);
    for (size_t q = 0; q < p->quads; q++, panel += 32 * vectors)
        for (size_t r = 0; r < rows; r++) {
            int8x16_t quad = vreinterpretq_s8_s32(vdupq_n_s32(load_quad(x[r] + p->places[q])));
            for (size_t v = 0; v < 2 * vectors; v++) {
                int8x16_t w = vld1q_s8(panel + 16 * v);
                int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(quad));
                int16x8_t high = vmull_high_s8(w, quad);
                sum[r][v] = vpadalq_s16(sum[r][v], vpaddq_s16(low, high));
            }
        }
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < 2 * vectors; v++)
            vst1q_s32(p->sums + (row + r) * p->stride + o + 4 * v, sum[r][v]);
}
WALK(neon, UNROLLED)

const fw_int8_variant fw_int8_variants[] = {
    {"neon", always, neon}, {"portable", always, portable}, {NULL, NULL, NULL}};

#else
const fw_int8_variant fw_int8_variants[] = {{"portable", always, portable}, {NULL, NULL, NULL}};
#endif

const fw_int8_variant *fw_int8_best(void) {
    const fw_int8_variant *best = fw_int8_variants;
    while (!best->runs_here()) best++;
    return best;
}
