/* What the writer wrote, the reader gives back: every compression, mapped and streamed. */
#include "support.h"

enum { MESSAGES = 1000 };

static made_file one, two;

static fw_mcap_writer *open_writer(fw_mcap_compression compression, uint32_t omit) {
    fw_mcap_writer_options o = {
        .compression = compression, .chunk_bytes = 4096, .message_max_bytes = 4096, .omit = omit};
    fw_mcap_writer *w = NULL;
    ok(fw_mcap_writer_open(&o, &w, error));
    return w;
}

static void check_message(const fw_mcap_message *m, unsigned i) {
    uint8_t data[300];
    size_t size = sample_message(i, data);
    assert_int_equal(m->sequence, i);
    assert_int_equal(m->log_time_ns, 1000 + i);
    assert_int_equal(m->publish_time_ns, 900 + i);
    assert_int_equal(m->size_bytes, size);
    assert_memory_equal(m->data, data, size);
    unsigned at = i < MESSAGES / 2 ? 0 : i % 3;
    assert_true(fw_mcap_text_is(m->channel->topic, at == 0 ? "/a" : at == 1 ? "/b" : "/c"));
    if (at == 2)
        assert_null(m->schema);
    else
        assert_true(fw_mcap_text_is(m->schema->name, at == 0 ? "A" : "B"));
    fw_mcap_text value;
    assert_int_equal(fw_mcap_map_find(m->channel->metadata, "unit", &value), at == 1);
    if (at == 1) assert_true(fw_mcap_text_is(value, "car-1"));
}

static void read_messages(fw_mcap_reader *r) {
    fw_error error;
    fw_mcap_message m;
    for (unsigned i = 0; i < MESSAGES; i++) {
        fw_status status = fw_mcap_reader_next_message(r, &m, &error);
        if (status != FW_OK) fail_msg("message %u: %s", i, error.text);
        check_message(&m, i);
    }
    assert_int_equal(fw_mcap_reader_next_message(r, &m, &error), FW_END);
    assert_int_equal(fw_mcap_reader_next_message(r, &m, &error), FW_END);
    fw_mcap_reader_close(r);
}

static void round_trip(fw_mcap_compression compression, uint32_t omit) {
    fw_mcap_writer *w = open_writer(compression, omit);
    write_sample(w, made_file_sink(&one), MESSAGES);
    assert_int_equal(fw_mcap_writer_message_count(w), MESSAGES);
    assert_int_equal(fw_mcap_writer_size_bytes(w), one.memory.size_bytes);
    fw_mcap_reader *r = NULL;
    ok(fw_mcap_reader_open_bytes(NULL, one.at, one.memory.size_bytes, &r, error));
    read_messages(r);
    const size_t steps[] = {1, 7, 1 << 16, 1 << 20};
    for (int i = 0; i < 4; i++) {
        dripping d = {.at = one.at, .left = one.memory.size_bytes, .step = steps[i]};
        ok(fw_mcap_reader_open(NULL, (fw_mcap_source){&d, drip}, &r, error));
        read_messages(r);
    }
    /* The same writer and a new one make the same bytes again. */
    write_sample(w, made_file_sink(&two), MESSAGES);
    assert_int_equal(one.memory.size_bytes, two.memory.size_bytes);
    assert_memory_equal(one.at, two.at, one.memory.size_bytes);
    fw_mcap_writer_close(w);
    w = open_writer(compression, omit);
    write_sample(w, made_file_sink(&two), MESSAGES);
    assert_memory_equal(one.at, two.at, one.memory.size_bytes);
    fw_mcap_writer_close(w);
}

static void test_zstd(void **state) {
    (void)state;
    round_trip(FW_MCAP_ZSTD, 0);
}

static void test_lz4(void **state) {
    (void)state;
    round_trip(FW_MCAP_LZ4, 0);
}

static void test_none(void **state) {
    (void)state;
    round_trip(FW_MCAP_NONE, 0);
}

static void test_without_chunks(void **state) {
    (void)state;
    round_trip(FW_MCAP_NONE, FW_MCAP_OMIT_CHUNKS);
}

static void test_without_anything(void **state) {
    (void)state;
    round_trip(FW_MCAP_LZ4, ~(uint32_t)FW_MCAP_OMIT_CHUNKS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zstd), cmocka_unit_test(test_lz4), cmocka_unit_test(test_none),
        cmocka_unit_test(test_without_chunks), cmocka_unit_test(test_without_anything)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
