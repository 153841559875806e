/* The writer's promises: no heap after open, golden bytes, limits that leave a valid file, sinks
 * that fail, the bound of what end still writes. */
#include "support.h"

#include "base/random.h"
#include "mcap/format.h"

static made_file file;

/* ----------------------------------------------------------------------------- heap ----- */

/* Counts calls of the whole program, libraries too: the C library's allocator behind our own
 * names. A sanitizer owns those names, so there the test has nothing to count. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { COUNTED = 0 };
static unsigned long heap_calls;
#else
enum { COUNTED = 1 };
static unsigned long heap_calls;
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *malloc(size_t size) {
    heap_calls++;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    heap_calls++;
    return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
    heap_calls++;
    return __libc_realloc(old, size);
}
#endif

static void test_no_heap_after_open(void **state) {
    (void)state;
    for (int compression = FW_MCAP_ZSTD; compression <= FW_MCAP_NONE; compression++) {
        for (int level = 1; level <= 9; level += 4) {
            fw_mcap_writer_options o = {.compression = (fw_mcap_compression)compression,
                                        .zstd_level = level};
            fw_mcap_writer *w = NULL;
            ok(fw_mcap_writer_open(&o, &w, error));
            unsigned long before = heap_calls;
            /* Very different sizes one after the other: zstd shrinks a context of its own. */
            for (unsigned i = 0; i < 300; i++) {
                write_sample(w, made_file_sink(&file), i % 150 == 7 ? 9000 : 3);
            }
            assert_int_equal(heap_calls - before, 0);
            fw_mcap_writer_close(w);
        }
    }
    unsigned long before = heap_calls; /* a library's own calls are counted too */
    FILE *counted = fopen("/dev/null", "r");
    assert_non_null(counted);
    fclose(counted);
    assert_true(heap_calls > before || !COUNTED);
}

/* --------------------------------------------------------------------------- golden ----- */

/* Packed bytes may change with the version of zstd and lz4; then only reading is compared. */
static void check_golden(const char *name, fw_mcap_compression compression, unsigned messages) {
    fw_mcap_writer_options o = {.compression = compression};
    fw_mcap_writer *w = NULL;
    ok(fw_mcap_writer_open(&o, &w, error));
    write_sample(w, made_file_sink(&file), messages);
    fw_mcap_writer_close(w);
    char path[512];
    snprintf(path, sizeof path, FW_SOURCE_DIR "/tests/mcap/golden/%s.mcap", name);
    if (getenv("FLYWHEEL_BLESS") != NULL) {
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(file.at, 1, file.memory.size_bytes, out), file.memory.size_bytes);
        fclose(out);
    }
    fw_mcap_file golden;
    ok(fw_mcap_file_map(path, &golden, error));
    bool same = golden.size_bytes == file.memory.size_bytes &&
                memcmp(golden.bytes, file.at, golden.size_bytes) == 0;
    fw_mcap_file_unmap(&golden);
    if (!same && compression == FW_MCAP_NONE) {
        fail_msg("%s differs from what the writer makes; FLYWHEEL_BLESS=1 accepts it", path);
    }
    fw_mcap_info info;
    ok(fw_mcap_validate(NULL, path, &info, error));
    assert_int_equal(info.message_count, messages);
    assert_true(info.chunk_count[compression] > 0);
    fw_mcap_info_free(&info);
}

static void test_golden(void **state) {
    (void)state;
    check_golden("none", FW_MCAP_NONE, 5);
    check_golden("lz4", FW_MCAP_LZ4, 40);
    check_golden("zstd", FW_MCAP_ZSTD, 40);
}

/* --------------------------------------------------------------------------- limits ----- */

static void check_valid(uint64_t messages) {
    fw_mcap_info info;
    ok(fw_mcap_validate_bytes(NULL, file.at, file.memory.size_bytes, &info, error));
    assert_int_equal(info.message_count, messages);
    fw_mcap_info_free(&info);
}

static void test_limits_leave_a_valid_file(void **state) {
    (void)state;
    fw_mcap_writer_options o = {.chunk_bytes = 200,
                                .message_max_bytes = 100,
                                .schemas_max = 1,
                                .channels_max = 1,
                                .chunks_max = 3,
                                .attachments_max = 1,
                                .metadata_max = 1,
                                .chunk_messages_max = 2};
    fw_mcap_writer *w = NULL;
    uint8_t data[200] = {0};
    uint16_t id;
    fw_error why;
    ok(fw_mcap_writer_open(&o, &w, error));
    assert_int_equal(fw_mcap_writer_message(w, 1, 0, 0, 0, data, 1, &why), FW_INVALID);
    ok(fw_mcap_writer_begin(w, made_file_sink(&file), NULL, NULL, error));
    assert_int_equal(fw_mcap_writer_add_schema(w, "a", "b", data, 200, &id, &why), FW_TOO_BIG);
    assert_int_equal(fw_mcap_writer_add_schema(w, "a", "b", data, SIZE_MAX - 8, &id, &why),
                     FW_TOO_BIG);
    ok(fw_mcap_writer_add_schema(w, "a", "b", data, 3, &id, error));
    assert_int_equal(fw_mcap_writer_add_schema(w, "a", "b", data, 3, &id, &why), FW_TOO_BIG);
    assert_int_equal(fw_mcap_writer_add_channel(w, 2, "/a", "", NULL, 0, &id, &why), FW_INVALID);
    ok(fw_mcap_writer_add_channel(w, 1, "/a", "", NULL, 0, &id, error));
    assert_int_equal(fw_mcap_writer_add_channel(w, 1, "/b", "", NULL, 0, &id, &why), FW_TOO_BIG);
    assert_int_equal(fw_mcap_writer_message(w, 2, 0, 0, 0, data, 1, &why), FW_INVALID);
    assert_int_equal(fw_mcap_writer_message(w, 0, 0, 0, 0, data, 1, &why), FW_INVALID);
    assert_int_equal(fw_mcap_writer_message(w, 1, 0, 0, 0, data, 101, &why), FW_TOO_BIG);
    assert_int_equal(fw_mcap_writer_message(w, 1, 0, 0, 0, data, SIZE_MAX, &why), FW_TOO_BIG);
    uint64_t written = 0;
    fw_status status;
    while ((status = fw_mcap_writer_message(w, 1, 0, 9, 9, data, 100, &why)) == FW_OK) written++;
    assert_int_equal(status, FW_TOO_BIG);
    assert_true(written >= 3);
    ok(fw_mcap_writer_metadata(w, "m", NULL, 0, error));
    assert_int_equal(fw_mcap_writer_metadata(w, "m", NULL, 0, &why), FW_TOO_BIG);
    ok(fw_mcap_writer_attachment(w, 1, 2, "n", "t", data, 200, error));
    assert_int_equal(fw_mcap_writer_attachment(w, 1, 2, "n", "t", "", 0, &why), FW_TOO_BIG);
    ok(fw_mcap_writer_end(w, error));
    check_valid(written);
    assert_int_equal(fw_mcap_writer_message(w, 1, 0, 9, 9, data, 1, &why), FW_INVALID);
    assert_int_equal(fw_mcap_writer_end(w, &why), FW_INVALID);
    fw_mcap_writer_close(w);
}

/* Ended after any number of random calls: valid, and never larger than was foretold. */
static void test_rest_bound(void **state) {
    (void)state;
    fw_random random = fw_random_named(20261121, "mcap/rest");
    fw_mcap_writer_options o = {.chunk_bytes = 3000};
    for (unsigned round = 0; round < 300; round++) {
        o.compression = (fw_mcap_compression)(round % 3);
        fw_mcap_writer *w = NULL;
        uint16_t channels[3];
        uint8_t data[500];
        ok(fw_mcap_writer_open(&o, &w, error));
        ok(fw_mcap_writer_begin(w, made_file_sink(&file), "p", "l", error));
        for (int i = 0; i < 3; i++) {
            ok(fw_mcap_writer_add_channel(w, 0, "/x", "raw", NULL, 0, &channels[i], error));
        }
        uint64_t foretold = 0;
        unsigned messages = fw_random_below(&random, 60);
        for (unsigned i = 0; i < messages; i++) {
            size_t size = fw_random_below(&random, sizeof data);
            for (size_t k = 0; k < size; k++) data[k] = (uint8_t)fw_random_u32(&random);
            if (i % 20 == 3) ok(fw_mcap_writer_attachment(w, i, i, "n", "t", data, size, error));
            foretold = fw_mcap_writer_size_bytes(w) + fw_mcap_writer_rest_max_bytes(w, size);
            uint16_t channel = channels[fw_random_below(&random, 3)];
            ok(fw_mcap_writer_message(w, channel, i, i, i, data, size, error));
        }
        if (messages == 0) foretold = fw_mcap_writer_rest_max_bytes(w, 0) + 100;
        ok(fw_mcap_writer_end(w, error));
        assert_true(file.memory.size_bytes <= foretold);
        check_valid(messages);
        fw_mcap_writer_close(w);
    }
}

/* A sink that is full at any byte: the failure is told at once and for ever, until begin. */
static void test_full_sink(void **state) {
    (void)state;
    fw_mcap_writer *w = NULL;
    ok(fw_mcap_writer_open(NULL, &w, error));
    for (size_t capacity = 0; capacity < 900; capacity++) {
        fw_mcap_memory memory = {.bytes = file.at, .capacity_bytes = capacity};
        fw_error why;
        uint16_t id;
        fw_status status = fw_mcap_writer_begin(w, fw_mcap_memory_sink(&memory), "", "", &why);
        if (status == FW_OK) {
            status = fw_mcap_writer_add_channel(w, 0, "/a", "", NULL, 0, &id, &why);
        }
        if (status == FW_OK) status = fw_mcap_writer_message(w, id, 0, 1, 1, "abc", 3, &why);
        if (status == FW_OK) status = fw_mcap_writer_flush(w, &why);
        if (status == FW_OK) status = fw_mcap_writer_message(w, id, 0, 1, 1, "abc", 3, &why);
        if (status == FW_OK) status = fw_mcap_writer_end(w, &why);
        if (status == FW_OK) {
            ok(fw_mcap_validate_bytes(NULL, file.at, memory.size_bytes, NULL, error));
            assert_true(capacity > 300);
            continue;
        }
        assert_int_equal(status, FW_NO_SPACE);
        assert_int_equal(fw_mcap_writer_end(w, &why), FW_NO_SPACE);
        assert_int_equal(fw_mcap_writer_message(w, 1, 0, 1, 1, "abc", 3, &why), FW_NO_SPACE);
    }
    fw_mcap_writer_close(w);
}

/* ---------------------------------------------------------- attachments and metadata ----- */

enum { LARGE = 300000 };
static uint8_t large[LARGE];

static void fill_large(void) {
    fw_random random = fw_random_named(7, "mcap/attachment");
    for (size_t i = 0; i < LARGE; i++) large[i] = (uint8_t)fw_random_u32(&random);
}

/* A file with a message before and behind one attachment, given in pieces of at most `step` bytes;
 * step 0: in one call. */
static void write_attachment(fw_mcap_writer *w, made_file *to, size_t size, size_t step) {
    uint16_t id;
    ok(fw_mcap_writer_begin(w, made_file_sink(to), "", "", error));
    ok(fw_mcap_writer_add_channel(w, 0, "/a", "raw", NULL, 0, &id, error));
    ok(fw_mcap_writer_message(w, id, 1, 1, 1, "x", 1, error));
    if (step == 0) {
        ok(fw_mcap_writer_attachment(w, 3, 4, "video", "video/mp4", large, size, error));
    } else {
        ok(fw_mcap_writer_attachment_begin(w, 3, 4, "video", "video/mp4", size, error));
        for (size_t at = 0; at < size; at += step) {
            size_t n = size - at < step ? size - at : step;
            ok(fw_mcap_writer_attachment_write(w, large + at, n, error));
        }
        ok(fw_mcap_writer_attachment_end(w, error));
    }
    ok(fw_mcap_writer_message(w, id, 2, 2, 2, "y", 1, error));
    ok(fw_mcap_writer_end(w, error));
}

/* In pieces of any size the file has the same bytes, and the writer takes no heap for them. */
static void test_attachment_in_pieces(void **state) {
    (void)state;
    static made_file other;
    fill_large();
    const size_t sizes[] = {0, 1, 100, 8191, 8192, 50000, LARGE};
    const size_t steps[] = {1000, 8192, 8193, 100000, LARGE};
    fw_mcap_writer *w = NULL;
    ok(fw_mcap_writer_open(NULL, &w, error));
    unsigned long before = heap_calls;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        write_attachment(w, &file, sizes[i], 0);
        for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
            write_attachment(w, &other, sizes[i], steps[k]);
            assert_int_equal(other.memory.size_bytes, file.memory.size_bytes);
            assert_memory_equal(other.at, file.at, file.memory.size_bytes);
        }
        assert_int_equal(heap_calls, before);
        check_valid(2);
        before = heap_calls;
    }
    fw_mcap_writer_close(w);
}

static void test_attachment_misused(void **state) {
    (void)state;
    fw_mcap_writer *w = NULL;
    fw_error why;
    uint16_t id;
    ok(fw_mcap_writer_open(NULL, &w, error));
    assert_int_equal(fw_mcap_writer_attachment_write(w, "a", 1, &why), FW_INVALID);
    ok(fw_mcap_writer_begin(w, made_file_sink(&file), "", "", error));
    ok(fw_mcap_writer_add_channel(w, 0, "/a", "raw", NULL, 0, &id, error));
    assert_int_equal(fw_mcap_writer_attachment_write(w, "a", 1, &why), FW_INVALID);
    assert_int_equal(fw_mcap_writer_attachment_end(w, &why), FW_INVALID);
    assert_int_equal(fw_mcap_writer_attachment_begin(w, 1, 1, "n", "t", UINT64_MAX, &why),
                     FW_TOO_BIG);
    ok(fw_mcap_writer_attachment_begin(w, 1, 1, "n", "t", 5, error));
    uint64_t size = fw_mcap_writer_size_bytes(w);
    assert_int_equal(fw_mcap_writer_message(w, id, 0, 1, 1, "a", 1, &why), FW_INVALID);
    assert_non_null(strstr(why.text, "5 of its bytes are missing"));
    assert_int_equal(fw_mcap_writer_metadata(w, "m", NULL, 0, &why), FW_INVALID);
    assert_int_equal(fw_mcap_writer_attachment_begin(w, 1, 1, "n", "t", 5, &why), FW_INVALID);
    assert_int_equal(fw_mcap_writer_add_channel(w, 0, "/b", "raw", NULL, 0, &id, &why), FW_INVALID);
    assert_int_equal(fw_mcap_writer_flush(w, &why), FW_INVALID);
    assert_int_equal(fw_mcap_writer_end(w, &why), FW_INVALID);
    assert_int_equal(fw_mcap_writer_attachment_end(w, &why), FW_INVALID);
    assert_int_equal(fw_mcap_writer_attachment_write(w, "abcdef", 6, &why), FW_TOO_BIG);
    assert_int_equal(fw_mcap_writer_size_bytes(w), size);
    ok(fw_mcap_writer_attachment_write(w, "abcde", 5, error));
    ok(fw_mcap_writer_attachment_end(w, error));
    ok(fw_mcap_writer_end(w, error));
    check_valid(0);
    /* Another begin leaves a half-written one behind. */
    ok(fw_mcap_writer_begin(w, made_file_sink(&file), "", "", error));
    ok(fw_mcap_writer_attachment_begin(w, 1, 1, "n", "t", 5, error));
    write_attachment(w, &file, 10, 3);
    check_valid(2);
    fw_mcap_writer_close(w);
}

/* The sink is full in the middle: told at once, and by every call until begin. */
static void test_attachment_full_sink(void **state) {
    (void)state;
    fw_mcap_writer *w = NULL;
    ok(fw_mcap_writer_open(NULL, &w, error));
    fw_mcap_memory memory = {.bytes = file.at, .capacity_bytes = 150};
    fw_error why;
    ok(fw_mcap_writer_begin(w, fw_mcap_memory_sink(&memory), "", "", error));
    ok(fw_mcap_writer_attachment_begin(w, 1, 1, "n", "t", 400, error));
    assert_int_equal(fw_mcap_writer_attachment_write(w, large, 200, &why), FW_NO_SPACE);
    assert_int_equal(fw_mcap_writer_attachment_write(w, large, 1, &why), FW_NO_SPACE);
    assert_int_equal(fw_mcap_writer_attachment_end(w, &why), FW_NO_SPACE);
    assert_int_equal(fw_mcap_writer_end(w, &why), FW_NO_SPACE);
    write_attachment(w, &file, 10, 3);
    check_valid(2);
    fw_mcap_writer_close(w);
}

static void test_large_metadata(void **state) {
    (void)state;
    static char value[200001];
    memset(value, 'v', sizeof value - 1);
    fw_mcap_pair pair = {"key", value};
    fw_mcap_writer_options o = {.metadata_max_bytes = 200100};
    fw_mcap_writer *w = NULL;
    fw_error why;
    ok(fw_mcap_writer_open(NULL, &w, error));
    ok(fw_mcap_writer_begin(w, made_file_sink(&file), "", "", error));
    assert_int_equal(fw_mcap_writer_metadata(w, "m", &pair, 1, &why), FW_TOO_BIG);
    fw_mcap_writer_close(w);
    ok(fw_mcap_writer_open(&o, &w, error));
    ok(fw_mcap_writer_begin(w, made_file_sink(&file), "", "", error));
    ok(fw_mcap_writer_metadata(w, "m", &pair, 1, error));
    ok(fw_mcap_writer_end(w, error));
    fw_mcap_writer_close(w);
    check_valid(0);
    fw_mcap_reader *r = NULL;
    fw_mcap_record record;
    fw_mcap_text found;
    ok(fw_mcap_reader_open_bytes(NULL, file.at, file.memory.size_bytes, &r, error));
    do ok(fw_mcap_reader_next(r, &record, error));
    while (record.opcode != FW_MCAP_METADATA);
    assert_true(fw_mcap_map_find(record.of.metadata.map, "key", &found));
    assert_true(fw_mcap_text_is(found, value));
    fw_mcap_reader_close(r);
}

static void test_bad_options(void **state) {
    (void)state;
    const fw_mcap_writer_options bad[] = {{.zstd_level = 20},
                                          {.zstd_level = -1},
                                          {.compression = (fw_mcap_compression)3},
                                          {.chunk_bytes = UINT32_MAX},
                                          {.metadata_max_bytes = UINT32_MAX},
                                          {.channels_max = 65536}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fw_mcap_writer *w = NULL;
        fw_error why;
        assert_int_equal(fw_mcap_writer_open(&bad[i], &w, &why), FW_INVALID);
        assert_null(w);
    }
    fw_mcap_writer_close(NULL);
}

static uint32_t crc_by_bits(const uint8_t *at, size_t size) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

static void test_crc32(void **state) {
    (void)state;
    assert_int_equal(fw_mcap_crc32(0, "123456789", 9), 0xCBF43926); /* the usual check value */
    uint8_t data[600];
    fw_random random = fw_random_named(1, "mcap/crc");
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)fw_random_u32(&random);
    for (size_t start = 0; start < 17; start++) {
        for (size_t size = 0; size + start <= sizeof data; size++) {
            uint32_t wanted = crc_by_bits(data + start, size);
            assert_int_equal(fw_mcap_crc32(0, data + start, size), wanted);
            size_t cut = size * start / 17;
            uint32_t first = fw_mcap_crc32(0, data + start, cut);
            assert_int_equal(fw_mcap_crc32(first, data + start + cut, size - cut), wanted);
            uint32_t second = fw_mcap_crc32(0, data + start + cut, size - cut);
            assert_int_equal(fw_mcap_crc32_join(first, second, size - cut), wanted);
        }
    }
}

static void test_info(void **state) {
    (void)state;
    fw_mcap_writer *w = NULL;
    ok(fw_mcap_writer_open(NULL, &w, error));
    write_sample(w, made_file_sink(&file), 90);
    fw_mcap_writer_close(w);
    fw_mcap_info info;
    ok(fw_mcap_validate_bytes(NULL, file.at, file.memory.size_bytes, &info, error));
    assert_string_equal(info.profile, "flywheel");
    assert_string_equal(info.library, "test");
    assert_int_equal(info.size_bytes, file.memory.size_bytes);
    assert_int_equal(info.message_count, 90);
    assert_int_equal(info.start_time_ns, 1000);
    assert_int_equal(info.end_time_ns, 1089);
    assert_int_equal(info.schema_count, 2);
    assert_int_equal(info.attachment_count, 2);
    assert_int_equal(info.metadata_count, 1);
    assert_int_equal(info.chunk_count[FW_MCAP_ZSTD], 1);
    assert_true(info.has_summary && info.has_chunk_index);
    assert_true(info.chunk_compressed_bytes < info.chunk_uncompressed_bytes);
    assert_int_equal(info.channel_count, 3);
    assert_string_equal(info.channels[1].topic, "/b");
    assert_string_equal(info.channels[1].schema_name, "B");
    assert_string_equal(info.channels[2].schema_name, "");
    assert_int_equal(info.channels[0].message_count, 60);
    assert_int_equal(info.channels[0].end_time_ns, 1087);
    fw_mcap_info_free(&info);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_heap_after_open),
                                       cmocka_unit_test(test_golden),
                                       cmocka_unit_test(test_limits_leave_a_valid_file),
                                       cmocka_unit_test(test_rest_bound),
                                       cmocka_unit_test(test_full_sink),
                                       cmocka_unit_test(test_attachment_in_pieces),
                                       cmocka_unit_test(test_attachment_misused),
                                       cmocka_unit_test(test_attachment_full_sink),
                                       cmocka_unit_test(test_large_metadata),
                                       cmocka_unit_test(test_bad_options),
                                       cmocka_unit_test(test_crc32),
                                       cmocka_unit_test(test_info)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
