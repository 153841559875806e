/* Damaged and hostile files: always a clear error, never a crash, never more memory than allowed.
 */
#include "support.h"

#include <zstd.h>

#include "mcap/format.h"

static made_file file, other;

static void sample(fw_mcap_compression compression, uint32_t chunk_bytes, unsigned messages) {
    fw_mcap_writer_options o = {.compression = compression, .chunk_bytes = chunk_bytes};
    fw_mcap_writer *w = NULL;
    ok(fw_mcap_writer_open(&o, &w, error));
    write_sample(w, made_file_sink(&file), messages);
    fw_mcap_writer_close(w);
}

/* Status of a full check of bytes copied to their own exact allocation, so that a sanitizer sees
 * any step outside; streamed and mapped must agree on good or bad. */
static fw_status check(const uint8_t *at, size_t size, fw_error *why) {
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    assert_non_null(copy);
    memcpy(copy, at, size);
    why->text[0] = '\0';
    fw_status mapped = fw_mcap_validate_bytes(NULL, copy, size, NULL, why);
    dripping d = {.at = copy, .left = size, .step = 1000};
    fw_mcap_reader *r = NULL;
    ok(fw_mcap_reader_open(NULL, (fw_mcap_source){&d, drip}, &r, error));
    fw_mcap_message message;
    fw_status streamed;
    while ((streamed = fw_mcap_reader_next_message(r, &message, NULL)) == FW_OK) continue;
    fw_mcap_reader_close(r);
    free(copy);
    if (mapped == FW_OK) assert_int_equal(streamed, FW_END);
    return mapped;
}

static void test_cut_everywhere(void **state) {
    (void)state;
    for (int compression = FW_MCAP_ZSTD; compression <= FW_MCAP_NONE; compression++) {
        sample((fw_mcap_compression)compression, 600, 20);
        fw_error error;
        assert_int_equal(check(file.at, file.memory.size_bytes, &error), FW_OK);
        for (size_t size = 0; size < file.memory.size_bytes; size++) {
            fw_status status = check(file.at, size, &error);
            if (status != FW_CORRUPT) fail_msg("cut at %zu: %s", size, fw_status_text(status));
            assert_non_null(strstr(error.text, "byte "));
        }
        memcpy(other.at, file.at, file.memory.size_bytes);
        other.at[file.memory.size_bytes] = 0;
        assert_int_equal(check(other.at, file.memory.size_bytes + 1, &error), FW_CORRUPT);
    }
}

/* Everything is under a CRC, a magic or a cross-check, so no single flipped bit may pass. */
static void test_every_flipped_bit(void **state) {
    (void)state;
    for (int compression = FW_MCAP_ZSTD; compression <= FW_MCAP_NONE; compression++) {
        sample((fw_mcap_compression)compression, 600, 6);
        for (size_t bit = 0; bit < 8 * file.memory.size_bytes; bit++) {
            file.at[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            fw_error error;
            fw_status status = check(file.at, file.memory.size_bytes, &error);
            if (status == FW_OK) fail_msg("bit %zu of byte %zu passed", bit % 8, bit / 8);
            file.at[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
    }
}

/* ------------------------------------------------------------------- files by hand ----- */

static uint8_t *put_start(uint8_t *at) {
    at = fw_mcap_put_bytes(at, fw_mcap_magic, FW_MCAP_MAGIC_BYTES);
    at = fw_mcap_put_prefix(at, FW_MCAP_HEADER, 8);
    return fw_mcap_put_u64(at, 0);
}

static uint8_t *put_end(uint8_t *at) {
    at = fw_mcap_put_u32(fw_mcap_put_prefix(at, FW_MCAP_DATA_END, 4), 0);
    at = fw_mcap_put_prefix(at, FW_MCAP_FOOTER, 20);
    at = fw_mcap_put_u32(fw_mcap_put_u64(fw_mcap_put_u64(at, 0), 0), 0);
    return fw_mcap_put_bytes(at, fw_mcap_magic, FW_MCAP_MAGIC_BYTES);
}

static uint8_t *put_channel(uint8_t *at, uint16_t id, uint16_t schema, const char *topic) {
    at = fw_mcap_put_prefix(at, FW_MCAP_CHANNEL, 16 + strlen(topic));
    at = fw_mcap_put_u16(fw_mcap_put_u16(at, id), schema);
    at = fw_mcap_put_text(at, topic, strlen(topic));
    return fw_mcap_put_u64(at, 0);
}

static uint8_t *put_schema(uint8_t *at, uint16_t id, const char *name) {
    at = fw_mcap_put_u16(fw_mcap_put_prefix(at, FW_MCAP_SCHEMA, 14 + strlen(name)), id);
    return fw_mcap_put_u64(fw_mcap_put_text(at, name, strlen(name)), 0);
}

static uint8_t *put_message(uint8_t *at, uint16_t channel, uint64_t time) {
    at = fw_mcap_put_u16(fw_mcap_put_prefix(at, FW_MCAP_MESSAGE, 22), channel);
    return fw_mcap_put_u64(fw_mcap_put_u64(fw_mcap_put_u32(at, 0), time), time);
}

static uint8_t *put_chunk(uint8_t *at, const char *compression, uint64_t unpacked, const void *data,
                          size_t size, uint64_t time) {
    at = fw_mcap_put_prefix(at, FW_MCAP_CHUNK, 40 + strlen(compression) + size);
    at = fw_mcap_put_u64(fw_mcap_put_u64(at, time), time);
    at = fw_mcap_put_u32(fw_mcap_put_u64(at, unpacked), 0);
    at = fw_mcap_put_text(at, compression, strlen(compression));
    return fw_mcap_put_bytes(fw_mcap_put_u64(at, size), data, size);
}

static void expect_at(uint8_t *end, fw_status wanted, const char *words, int line) {
    fw_error error;
    fw_status status = check(file.at, (size_t)(end - file.at), &error);
    if (status != wanted || (words != NULL && strstr(error.text, words) == NULL)) {
        fail_msg("line %d: %s: '%s', expected '%s'", line, fw_status_text(status), error.text,
                 words == NULL ? "" : words);
    }
}
#define expect(end, wanted, words) expect_at(end, wanted, words, __LINE__)

static void test_smallest_file(void **state) {
    (void)state;
    expect(put_end(put_start(file.at)), FW_OK, NULL);
    expect(put_start(file.at), FW_CORRUPT, "cut short");
    /* The data section must be closed. */
    uint8_t *footer = put_start(file.at);
    footer = fw_mcap_put_prefix(footer, FW_MCAP_FOOTER, 20);
    footer = fw_mcap_put_u32(fw_mcap_put_u64(fw_mcap_put_u64(footer, 0), 0), 0);
    footer = fw_mcap_put_bytes(footer, fw_mcap_magic, FW_MCAP_MAGIC_BYTES);
    expect(footer, FW_CORRUPT, "may not stand in the data section");
}

static void test_hostile_lengths(void **state) {
    (void)state;
    const uint64_t lengths[] = {
        UINT64_MAX,        UINT64_MAX - 8,    UINT64_MAX - 9, UINT64_MAX - 33,
        (uint64_t)1 << 63, (uint64_t)1 << 32, UINT32_MAX,     1000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (uint8_t opcode = 0; opcode < 0x90; opcode++) {
            uint8_t *at = fw_mcap_put_prefix(put_start(file.at), opcode, lengths[i]);
            expect(put_end(at), FW_CORRUPT, "claims");
        }
        /* Inner lengths: of a chunk's records, an attachment's data, a record in a chunk. */
        uint8_t *at = fw_mcap_put_prefix(put_start(file.at), FW_MCAP_CHUNK, 40);
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, 0), 0);
        at = fw_mcap_put_u32(fw_mcap_put_u64(at, lengths[i]), 0);
        at = fw_mcap_put_u64(fw_mcap_put_u32(at, 0), lengths[i]);
        expect(put_end(at), FW_CORRUPT, "does not hold its fields");
        at = fw_mcap_put_prefix(put_start(file.at), FW_MCAP_ATTACHMENT, 36);
        at = fw_mcap_put_u64(fw_mcap_put_u64(fw_mcap_put_u64(at, 0), 0), 0);
        at = fw_mcap_put_u32(fw_mcap_put_u64(at, lengths[i]), 0);
        expect(put_end(at), FW_CORRUPT, "does not hold its fields");
        uint8_t inner[31], *end = fw_mcap_put_prefix(inner, FW_MCAP_MESSAGE, lengths[i]);
        memset(end, 0, 22);
        expect(put_end(put_chunk(put_start(file.at), "", 31, inner, 31, 0)), FW_CORRUPT,
               "claims more bytes than the chunk has");
        /* Text, map and array lengths are 32 bits wide. */
        if ((uint32_t)lengths[i] == 0) continue;
        at = fw_mcap_put_prefix(put_start(file.at), FW_MCAP_METADATA, 8);
        at = fw_mcap_put_u32(fw_mcap_put_u32(at, 0), (uint32_t)lengths[i]);
        expect(put_end(at), FW_CORRUPT, "does not hold its fields");
        at = fw_mcap_put_prefix(put_start(file.at), FW_MCAP_METADATA, 12);
        at = fw_mcap_put_u32(fw_mcap_put_u32(fw_mcap_put_u32(at, 0), 4), (uint32_t)lengths[i]);
        expect(put_end(at), FW_CORRUPT, "does not hold its fields");
    }
}

static void test_wrong_places(void **state) {
    (void)state;
    uint8_t inner[64], *end = fw_mcap_put_u32(fw_mcap_put_prefix(inner, FW_MCAP_DATA_END, 4), 0);
    size_t size = (size_t)(end - inner);
    expect(put_end(put_chunk(put_start(file.at), "", size, inner, size, 0)), FW_CORRUPT,
           "may not stand in a chunk");
    end = put_chunk(inner, "", 0, "", 0, 0);
    size = (size_t)(end - inner);
    expect(put_end(put_chunk(put_start(file.at), "", size, inner, size, 0)), FW_CORRUPT,
           "may not stand in a chunk");
    expect(put_end(put_chunk(put_start(file.at), "", 5, "\5\0\0\0\0", 5, 0)), FW_CORRUPT,
           "ends inside it");
    uint8_t *at = put_start(file.at);
    at = fw_mcap_put_u64(fw_mcap_put_prefix(at, FW_MCAP_HEADER, 8), 0);
    expect(put_end(at), FW_CORRUPT, "Header record at byte 25");
    at = fw_mcap_put_bytes(file.at, fw_mcap_magic, FW_MCAP_MAGIC_BYTES);
    expect(put_end(at), FW_CORRUPT, "a header must come first");
    at = fw_mcap_put_u64(fw_mcap_put_prefix(put_start(file.at), 0x77, 8), 0);
    expect(put_end(at), FW_OK, NULL); /* unknown kinds are passed over */
    at = fw_mcap_put_u64(fw_mcap_put_prefix(put_start(file.at), 0, 8), 0);
    expect(put_end(at), FW_CORRUPT, "unknown record at byte 25");
}

static void test_ids(void **state) {
    (void)state;
    expect(put_end(put_message(put_start(file.at), 7, 1)), FW_CORRUPT, "channel 7");
    expect(put_end(put_channel(put_start(file.at), 1, 3, "/a")), FW_CORRUPT, "schema 3");
    uint8_t *at = put_channel(put_channel(put_start(file.at), 1, 0, "/a"), 1, 0, "/a");
    expect(put_end(put_message(at, 1, 5)), FW_OK, NULL);
    at = put_channel(put_channel(put_start(file.at), 1, 0, "/a"), 1, 0, "/b");
    expect(put_end(at), FW_CORRUPT, "differs");
    at = put_schema(put_schema(put_start(file.at), 1, "A"), 1, "B");
    expect(put_end(at), FW_CORRUPT, "differs");
    at = put_schema(put_start(file.at), 0, "ignored");
    expect(put_end(put_channel(at, 1, 0, "/a")), FW_OK, NULL);
    at = put_schema(put_start(file.at), 65535, "last");
    at = put_channel(at, 65535, 65535, "/last");
    expect(put_end(put_message(at, 65535, 5)), FW_OK, NULL);
}

static void test_lying_indexes(void **state) {
    (void)state;
    uint8_t inner[256], *end = put_message(put_channel(inner, 1, 0, "/a"), 1, 5);
    size_t size = (size_t)(end - inner), position = size - 31;
    const struct {
        uint16_t channel;
        uint64_t time, offset;
        fw_status wanted;
    } cases[] = {{1, 5, position, FW_OK},
                 {1, 6, position, FW_CORRUPT},
                 {1, 5, position + 1, FW_CORRUPT},
                 {1, 5, UINT64_MAX, FW_CORRUPT},
                 {2, 5, position, FW_CORRUPT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t *at = put_chunk(put_start(file.at), "", size, inner, size, 5);
        at = fw_mcap_put_prefix(at, FW_MCAP_MESSAGE_INDEX, 22);
        at = fw_mcap_put_u32(fw_mcap_put_u16(at, cases[i].channel), 16);
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, cases[i].time), cases[i].offset);
        expect(put_end(at), cases[i].wanted, "");
    }
    uint8_t *at = fw_mcap_put_prefix(put_start(file.at), FW_MCAP_MESSAGE_INDEX, 6);
    expect(put_end(fw_mcap_put_u32(fw_mcap_put_u16(at, 1), 0)), FW_CORRUPT, "follow a chunk");
    at = put_chunk(put_start(file.at), "", size, inner, size, 6);
    expect(put_end(at), FW_CORRUPT, "times of the chunk");
}

static void test_bombs(void **state) {
    (void)state;
    enum { BIG = 100 << 20 };
    uint8_t *zeros = calloc(1, BIG), *packed = malloc(1 << 20);
    size_t size = ZSTD_compress(packed, 1 << 20, zeros, BIG, 1);
    assert_false(ZSTD_isError(size));
    free(zeros);
    const uint64_t claims[] = {0, 10, 1 << 20, BIG - 1, BIG, (uint64_t)1 << 40, UINT64_MAX};
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        uint8_t *at = put_chunk(put_start(file.at), "zstd", claims[i], packed, size, 0);
        bool over = claims[i] > 1 << 26;
        expect(put_end(at), over ? FW_TOO_BIG : FW_CORRUPT, over ? "over the limit" : "unpack");
        at = put_chunk(put_start(file.at), "lz4", claims[i], packed, size, 0);
        expect(put_end(at), over ? FW_TOO_BIG : FW_CORRUPT, over ? "over the limit" : "unpack");
    }
    free(packed);
    expect(put_end(put_chunk(put_start(file.at), "brotli", 1, "x", 1, 0)), FW_UNSUPPORTED,
           "brotli");
    expect(put_end(put_chunk(put_start(file.at), "", 2, "x", 1, 0)), FW_CORRUPT, "two sizes");
}

static void test_limits(void **state) {
    (void)state;
    sample(FW_MCAP_NONE, 600, 20);
    size_t size = file.memory.size_bytes;
    const fw_mcap_limits limits[] = {
        {.chunk_max_bytes = 599}, {.text_max_bytes = 20}, {.chunks_max = 2}, {.messages_max = 19}};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        fw_error error;
        assert_int_equal(fw_mcap_validate_bytes(&limits[i], file.at, size, NULL, &error),
                         FW_TOO_BIG);
    }
    fw_mcap_limits record = {.record_max_bytes = 100};
    dripping d = {.at = file.at, .left = size, .step = 1000};
    fw_mcap_reader *r = NULL;
    ok(fw_mcap_reader_open(&record, (fw_mcap_source){&d, drip}, &r, error));
    fw_mcap_message message;
    fw_error why;
    assert_int_equal(fw_mcap_reader_next_message(r, &message, &why), FW_TOO_BIG);
    assert_int_equal(fw_mcap_reader_next_message(r, &message, &why), FW_TOO_BIG);
    fw_mcap_reader_close(r);
}

static fw_status endless(void *self, void *out, size_t size, size_t *got, fw_error *error) {
    (void)error;
    memset(out, 0, size);
    *(uint64_t *)self += size;
    *got = size;
    return FW_OK;
}

/* A stream that claims 2^62 bytes and gives zeros for ever costs one record's limit at most. */
static void test_endless_stream(void **state) {
    (void)state;
    uint64_t given = 0;
    fw_mcap_reader *r = NULL;
    ok(fw_mcap_reader_open(NULL, (fw_mcap_source){&given, endless}, &r, error));
    fw_mcap_message message;
    assert_int_equal(fw_mcap_reader_next_message(r, &message, NULL), FW_CORRUPT);
    assert_true(given <= 1 << 17);
    fw_mcap_reader_close(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_everywhere), cmocka_unit_test(test_every_flipped_bit),
        cmocka_unit_test(test_smallest_file),  cmocka_unit_test(test_hostile_lengths),
        cmocka_unit_test(test_wrong_places),   cmocka_unit_test(test_ids),
        cmocka_unit_test(test_lying_indexes),  cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_endless_stream)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
