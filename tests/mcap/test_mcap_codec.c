/* Unpacking of every kind of lz4 frame that other writers make, and of zstd: exact bytes, exact
 * size, and no step outside when the frame is cut, altered or of another size than told. */
#include "support.h"

#include <lz4frame.h>
#include <time.h>
#include <zstd.h>

#include "base/random.h"
#include "mcap/codec.h"

enum { SIZE_MAX_BYTES = 300000 };
static uint8_t plain[SIZE_MAX_BYTES], packed[2 * SIZE_MAX_BYTES];

/* Repeats itself near and far, so that blocks refer to the ones before. */
static void fill(fw_random *random, size_t size) {
    for (size_t i = 0; i < size; i++) {
        size_t back = 1 + fw_random_below(random, 60000);
        plain[i] = (uint8_t)fw_random_u32(random);
        if (i < back) continue;
        for (size_t k = 0; k < 200 && i < size; k++, i++) plain[i] = plain[i - back];
        i--;
    }
}

/* Into an exact allocation, so that a sanitizer sees any step outside. */
static fw_status unpack(fw_mcap_compression compression, size_t packed_size, size_t size,
                        bool *equal) {
    fw_mcap_unpacker unpacker = {0};
    uint8_t *in = malloc(packed_size + 1), *out = malloc(size + 1);
    memcpy(in, packed, packed_size);
    uint8_t *exact_in = realloc(in, packed_size == 0 ? 1 : packed_size);
    uint8_t *exact_out = realloc(out, size == 0 ? 1 : size);
    const char *why = NULL;
    fw_status status =
        fw_mcap_unpack(&unpacker, compression, exact_in, packed_size, exact_out, size, &why);
    *equal = memcmp(exact_out, plain, size) == 0;
    if (status != FW_OK) assert_non_null(why);
    free(exact_in);
    free(exact_out);
    fw_mcap_unpacker_close(&unpacker);
    return status;
}

static void check(fw_random *random, fw_mcap_compression compression, size_t packed_size,
                  size_t size) {
    bool equal;
    assert_int_equal(unpack(compression, packed_size, size, &equal), FW_OK);
    assert_true(equal);
    assert_int_equal(unpack(compression, packed_size, size + 1, &equal), FW_CORRUPT);
    if (size > 0) assert_int_equal(unpack(compression, packed_size, size - 1, &equal), FW_CORRUPT);
    if (size == 0) return; /* what is left of nothing may still be nothing */
    for (int i = 0; i < 4; i++) {
        size_t cut = fw_random_below(random, (uint32_t)packed_size);
        if (i == 0) assert_int_equal(unpack(compression, cut, size, &equal), FW_CORRUPT);
        packed[cut] ^= (uint8_t)(1u << fw_random_below(random, 8));
        (void)unpack(compression, packed_size, size, &equal); /* may pass without a checksum */
        packed[cut] = (uint8_t)fw_random_u32(random);
        (void)unpack(compression, packed_size, size, &equal);
    }
}

static void test_frames(void **state) {
    (void)state;
    const char *given = getenv("FLYWHEEL_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    print_message("FLYWHEEL_SEED=%llu\n", (unsigned long long)seed);
    fw_random random = fw_random_named(seed, "mcap/codec");
    for (int round = 0; round < 100; round++) {
        size_t size = fw_random_below(&random, round % 2 ? SIZE_MAX_BYTES : 300);
        fill(&random, size);
        LZ4F_preferences_t p = {0};
        p.frameInfo.blockSizeID = (LZ4F_blockSizeID_t)(4 + fw_random_below(&random, 4));
        p.frameInfo.blockMode = (LZ4F_blockMode_t)fw_random_below(&random, 2);
        p.frameInfo.contentChecksumFlag =
            (LZ4F_contentChecksum_t)(fw_random_below(&random, 4) == 0);
        p.frameInfo.blockChecksumFlag = (LZ4F_blockChecksum_t)(fw_random_below(&random, 4) == 0);
        p.frameInfo.contentSize = fw_random_below(&random, 2) ? size : 0;
        p.compressionLevel = (int)fw_random_below(&random, 4);
        size_t n = LZ4F_compressFrame(packed, sizeof packed, plain, size, &p);
        assert_false(LZ4F_isError(n));
        check(&random, FW_MCAP_LZ4, n, size);
        n = ZSTD_compress(packed, sizeof packed, plain, size, 1);
        assert_false(ZSTD_isError(n));
        check(&random, FW_MCAP_ZSTD, n, size);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frames)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
