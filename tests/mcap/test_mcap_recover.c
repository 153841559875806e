/* Recovery: cut at every byte, every byte flipped, definitions lost, foreign files inside: what is
 * saved is exactly what was whole, and the new file is valid. */
#include "support.h"

#include <time.h>

#include "base/random.h"
#include "mcap/format.h"

static made_file file, other, fixed;

/* Every byte; with AddressSanitizer, which is ten times slower here, every fifth. */
#if defined(__SANITIZE_ADDRESS__)
enum { STEP = 5 };
#else
enum { STEP = 1 };
#endif

/* ------------------------------------------------------------------ what a file holds ----- */

typedef struct message {
    uint64_t unit_start, unit_end; /* of the chunk, or of the record itself */
    uint64_t time_ns, sum;
    uint32_t sequence;
    char topic[24];
} message;

typedef struct content {
    message messages[3000];
    size_t count;
    uint64_t attachment_ends[16], metadata_ends[16];
    size_t attachments, metadata;
    uint64_t header_end, data_end; /* data_end: where DataEnd starts */
} content;

static content original, recovered;
static size_t flipped; /* the byte that a failure speaks of */

static uint64_t sum_of(const uint8_t *at, uint64_t size) {
    uint64_t sum = 7;
    for (uint64_t i = 0; i < size; i++) sum = sum * 31 + at[i];
    return sum;
}

static void read_content(const uint8_t *bytes, size_t size, content *c) {
    fw_mcap_reader *r = NULL;
    ok(fw_mcap_reader_open_bytes(NULL, bytes, size, &r, error));
    fw_mcap_record record;
    uint64_t start = 0, end = 0;
    fw_status status;
    c->count = c->attachments = c->metadata = 0;
    while ((status = fw_mcap_reader_next(r, &record, NULL)) == FW_OK) {
        if (!record.in_chunk) {
            start = record.offset;
            end = record.offset + record.length_bytes;
        }
        if (record.opcode == FW_MCAP_HEADER) c->header_end = end;
        if (record.opcode == FW_MCAP_DATA_END) c->data_end = start;
        if (record.opcode == FW_MCAP_ATTACHMENT) c->attachment_ends[c->attachments++] = end;
        if (record.opcode == FW_MCAP_METADATA) c->metadata_ends[c->metadata++] = end;
        if (record.opcode != FW_MCAP_MESSAGE) continue;
        const fw_mcap_message *m = &record.of.message;
        message *out = &c->messages[c->count++];
        *out = (message){.unit_start = start,
                         .unit_end = end,
                         .time_ns = m->log_time_ns,
                         .sequence = m->sequence,
                         .sum = sum_of(m->data, m->size_bytes)};
        assert_true(fw_mcap_text_copy(m->channel->topic, out->topic, sizeof out->topic));
    }
    fw_mcap_reader_close(r);
    assert_int_equal(status, FW_END);
}

/* Recovers bytes in their own exact allocation; what comes out must be valid. */
static fw_mcap_recovered recover(const uint8_t *bytes, size_t size,
                                 const fw_mcap_writer_options *options) {
    uint8_t *exact = malloc(size == 0 ? 1 : size);
    memcpy(exact, bytes, size);
    fw_mcap_recovered report = {0};
    fw_error why = {.text = ""};
    fw_status status =
        fw_mcap_recover(NULL, options, exact, size, made_file_sink(&fixed), &report, &why);
    free(exact);
    if (status != FW_OK) fail_msg("%zu bytes: %s", size, why.text);
    fw_mcap_info info;
    ok(fw_mcap_validate_bytes(NULL, fixed.at, fixed.memory.size_bytes, &info, error));
    assert_int_equal(info.message_count, report.messages);
    assert_int_equal(info.attachment_count, report.attachments);
    assert_int_equal(info.metadata_count, report.metadata);
    fw_mcap_info_free(&info);
    read_content(fixed.at, fixed.memory.size_bytes, &recovered);
    return report;
}

static bool is_saved(uint32_t sequence) {
    for (size_t i = 0; i < recovered.count; i++) {
        if (recovered.messages[i].sequence == sequence) return true;
    }
    return false;
}

/* The original's messages before `cut`, in order, but for those of the unit that starts at `hit`:
 * either all of them are there (the damage was beside them) or none. */
static void expect_messages(uint64_t cut, uint64_t hit) {
    size_t got = 0;
    bool hit_saved = false, hit_met = false;
    for (size_t i = 0; i < original.count; i++) {
        const message *m = &original.messages[i];
        if (m->unit_end > cut) continue;
        if (m->unit_start == hit && !hit_met) hit_saved = is_saved(m->sequence);
        hit_met = hit_met || m->unit_start == hit;
        if (m->unit_start == hit && !hit_saved) continue;
        if (got == recovered.count) {
            fail_msg("cut at %llu: %zu messages, then %u is missing", (unsigned long long)cut, got,
                     m->sequence);
        }
        const message *g = &recovered.messages[got++];
        if (g->sequence != m->sequence || g->sum != m->sum || g->time_ns != m->time_ns ||
            strcmp(g->topic, m->topic) != 0) {
            fail_msg("cut at %llu or byte %zu flipped, message %zu: %u on %s, expected %u on %s",
                     (unsigned long long)cut, flipped, got - 1, g->sequence, g->topic, m->sequence,
                     m->topic);
        }
    }
    if (got != recovered.count) fail_msg("%zu messages too many", recovered.count - got);
}

static void make(fw_mcap_compression compression, uint32_t omit, uint32_t chunk_bytes,
                 unsigned messages) {
    fw_mcap_writer_options o = {
        .compression = compression, .omit = omit, .chunk_bytes = chunk_bytes};
    fw_mcap_writer *w = NULL;
    ok(fw_mcap_writer_open(&o, &w, error));
    write_sample(w, made_file_sink(&file), messages);
    fw_mcap_writer_close(w);
    read_content(file.at, file.memory.size_bytes, &original);
}

static size_t whole_before(const uint64_t *ends, size_t count, uint64_t cut) {
    size_t whole = 0;
    for (size_t i = 0; i < count; i++) whole += ends[i] <= cut;
    return whole;
}

/* ---------------------------------------------------------------------------------- cuts ----- */

static void cut_everywhere(void) {
    for (size_t cut = 0; cut < original.header_end; cut++) {
        fw_error why = {.text = ""};
        fw_status status =
            fw_mcap_recover(NULL, NULL, file.at, cut, made_file_sink(&fixed), NULL, &why);
        assert_int_equal(status, FW_CORRUPT);
        assert_non_null(strstr(why.text, "nothing to recover"));
    }
    const fw_mcap_writer_options none = {.compression = FW_MCAP_NONE};
    for (size_t cut = original.header_end; cut <= file.memory.size_bytes; cut += STEP) {
        fw_mcap_recovered report = recover(file.at, cut, &none);
        expect_messages(cut, 0);
        assert_int_equal(report.attachments,
                         whole_before(original.attachment_ends, original.attachments, cut));
        assert_int_equal(report.metadata,
                         whole_before(original.metadata_ends, original.metadata, cut));
        assert_true(report.bytes_read <= cut);
        assert_int_equal(report.was_whole, cut == file.memory.size_bytes);
        assert_int_equal(report.channels_lost + report.records_lost, 0);
    }
}

static void test_cut_everywhere(void **state) {
    (void)state;
    for (int compression = FW_MCAP_ZSTD; compression <= FW_MCAP_NONE; compression++) {
        make((fw_mcap_compression)compression, 0, 400, 12);
        assert_true(original.count == 12 && original.attachments == 2 && original.metadata == 1);
        cut_everywhere();
        make((fw_mcap_compression)compression, FW_MCAP_OMIT_CRC | FW_MCAP_OMIT_MESSAGE_INDEX, 400,
             12);
        cut_everywhere();
    }
    make(FW_MCAP_NONE, FW_MCAP_OMIT_CHUNKS, 600, 12);
    cut_everywhere();
}

/* A power cut often leaves zeros, or what lay on the disk before. */
static void test_tails(void **state) {
    (void)state;
    make(FW_MCAP_NONE, FW_MCAP_OMIT_CHUNKS, 600, 24);
    size_t end = (size_t)original.data_end;
    memset(file.at + end, 0, 500);
    (void)recover(file.at, end + 500, NULL);
    expect_messages(end, 0);
    make(FW_MCAP_ZSTD, 0, 600, 24);
    end = (size_t)original.data_end;
    for (size_t i = 0; i < 500; i++) file.at[end + i] = (uint8_t)(i * i + 17 * i + 131);
    (void)recover(file.at, end + 500, NULL);
    expect_messages(end, 0);
}

/* --------------------------------------------------------------------------------- flips ----- */

/* Whatever byte changes, only the unit that holds it may be lost. */
static void flip_everywhere(uint8_t mask) {
    const fw_mcap_writer_options none = {.compression = FW_MCAP_NONE};
    for (size_t at = (size_t)original.header_end; at < file.memory.size_bytes; at += STEP) {
        uint64_t hit = 0;
        for (size_t i = 0; i < original.count; i++) {
            const message *m = &original.messages[i];
            if (m->unit_start <= at && at < m->unit_end) hit = m->unit_start;
        }
        flipped = at;
        file.at[at] ^= mask;
        fw_mcap_recovered report = recover(file.at, file.memory.size_bytes, &none);
        file.at[at] ^= mask;
        if (report.was_whole) fail_msg("byte %zu: not noticed", at);
        expect_messages(UINT64_MAX, hit);
        if (report.channels_lost != 0) fail_msg("byte %zu: lost channels", at);
    }
}

static void test_flip_everywhere(void **state) {
    (void)state;
    for (int compression = FW_MCAP_ZSTD; compression <= FW_MCAP_NONE; compression++) {
        make((fw_mcap_compression)compression, 0, 400, 12);
        flip_everywhere(0xFF);
        flip_everywhere(0x01);
    }
}

/* ------------------------------------------------------------------------- random damage ----- */

typedef struct damage {
    size_t start, end; /* of the original's bytes that are gone or altered */
    size_t inserted;   /* bytes that stand in their place */
} damage;

/* The original with one run of bytes replaced by another, of other length perhaps. */
static size_t apply(fw_random *random, const damage *d) {
    size_t size = d->start;
    memcpy(other.at, file.at, size);
    int kind = (int)fw_random_below(random, 3);
    for (size_t i = 0; i < d->inserted; i++) {
        other.at[size++] = kind == 0 ? 0 : kind == 1 ? 0xFF : (uint8_t)fw_random_u32(random);
    }
    memcpy(other.at + size, file.at + d->end, file.memory.size_bytes - d->end);
    return size + file.memory.size_bytes - d->end;
}

/* Nothing is there that was not before. False: a message that the damage did not touch is missing,
 * which may happen when random bytes look like a record whose length leads to a real one. */
static bool check_damage(const damage *d, uint64_t seed) {
    size_t got = 0;
    bool complete = true;
    for (size_t i = 0; i < original.count; i++) {
        const message *m = &original.messages[i];
        const message *g = got < recovered.count ? &recovered.messages[got] : NULL;
        bool same =
            g != NULL && g->sequence == m->sequence && g->sum == m->sum && g->time_ns == m->time_ns;
        if (same) got++;
        bool touched =
            d->start < m->unit_end && (d->end > m->unit_start || d->start > m->unit_start);
        if (same || touched) continue;
        if (complete) {
            print_message("seed %llu, bytes %zu to %zu became %zu: message %u is missing\n",
                          (unsigned long long)seed, d->start, d->end, d->inserted, m->sequence);
        }
        complete = false;
    }
    if (got != recovered.count) fail_msg("seed %llu: invented", (unsigned long long)seed);
    return complete;
}

static void test_random_damage(void **state) {
    (void)state;
    const char *given = getenv("FLYWHEEL_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    print_message("FLYWHEEL_SEED=%llu\n", (unsigned long long)seed);
    fw_random random = fw_random_named(seed, "mcap/recover");
    const fw_mcap_writer_options none = {.compression = FW_MCAP_NONE};
    int missed = 0;
    for (int round = 0; round < 400; round++) {
        if (round % 40 == 0) {
            make((fw_mcap_compression)(round / 40 % 3), 0, 300 + fw_random_below(&random, 600),
                 20 + fw_random_below(&random, 40));
        }
        size_t from = (size_t)original.header_end, span = file.memory.size_bytes - from;
        damage d = {.start = from + fw_random_below(&random, (uint32_t)span)};
        size_t left = file.memory.size_bytes - d.start, most = round % 4 == 0 ? left : 40;
        d.end = d.start + fw_random_below(&random, (uint32_t)(most < left ? most : left) + 1);
        d.inserted = fw_random_below(&random, 3) == 0
                         ? d.end - d.start
                         : fw_random_below(&random, (uint32_t)most + 1);
        (void)recover(other.at, apply(&random, &d), &none);
        missed += !check_damage(&d, seed);
        assert_true(missed <= 1); /* in 400 */
    }
}

/* ----------------------------------------------------------------------------- odd cases ----- */

/* The only definitions are lost: the messages are kept, on channels that say so. */
static void test_lost_definitions(void **state) {
    (void)state;
    make(FW_MCAP_NONE, 0, 600, 24);
    const message *first = &original.messages[0];
    file.at[first->unit_start + 60] ^= 1;
    fw_mcap_recovered report = recover(file.at, (size_t)original.data_end, NULL);
    assert_true(report.channels_lost > 0);
    assert_int_equal(report.chunks_lost, 1);
    size_t lost = 0;
    while (lost < original.count && original.messages[lost].unit_start == first->unit_start) lost++;
    assert_int_equal(recovered.count, original.count - lost);
    assert_string_equal(recovered.messages[0].topic, "lost/channel_1");
    assert_int_equal(recovered.messages[0].sequence, lost);
}

/* An attachment that is itself a recording, cut in its middle, lends no messages. */
static void test_file_inside_attachment(void **state) {
    (void)state;
    make(FW_MCAP_NONE, 0, 600, 24);
    memcpy(other.at, file.at, file.memory.size_bytes);
    size_t size = file.memory.size_bytes;
    fw_mcap_writer *w = NULL;
    ok(fw_mcap_writer_open(NULL, &w, error));
    ok(fw_mcap_writer_begin(w, made_file_sink(&file), "", "", error));
    ok(fw_mcap_writer_attachment(w, 0, 0, "a.mcap", "application/mcap", other.at, size, error));
    fw_mcap_writer_close(w);
    for (size_t cut = file.memory.size_bytes - size - 40; cut < file.memory.size_bytes; cut++) {
        fw_mcap_recovered report = recover(file.at, cut, NULL);
        assert_int_equal(report.messages, 0);
    }
}

/* The writer's sizes grow to what the input needs: one huge message, many channels. */
static void test_sizes_are_raised(void **state) {
    (void)state;
    static uint8_t data[1 << 20];
    fw_mcap_writer_options o = {
        .message_max_bytes = 1 << 20, .channels_max = 300, .schemas_max = 300};
    fw_mcap_writer *w = NULL;
    ok(fw_mcap_writer_open(&o, &w, error));
    ok(fw_mcap_writer_begin(w, made_file_sink(&file), "", "", error));
    for (unsigned i = 0; i < 300; i++) {
        uint16_t schema, channel;
        ok(fw_mcap_writer_add_schema(w, "S", "", "", 0, &schema, error));
        ok(fw_mcap_writer_add_channel(w, schema, "/t", "", NULL, 0, &channel, error));
        ok(fw_mcap_writer_message(w, channel, i, i, i, data, i == 7 ? sizeof data : 3, error));
    }
    ok(fw_mcap_writer_end(w, error));
    fw_mcap_writer_close(w);
    const fw_mcap_writer_options small = {.message_max_bytes = 100,
                                          .channels_max = 2,
                                          .schemas_max = 2,
                                          .chunks_max = 1,
                                          .chunk_bytes = 100,
                                          .chunk_messages_max = 2,
                                          .text_max_bytes = 50};
    fw_mcap_recovered report = recover(file.at, file.memory.size_bytes - 20, &small);
    assert_int_equal(report.messages, 300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_everywhere),        cmocka_unit_test(test_tails),
        cmocka_unit_test(test_flip_everywhere),       cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_lost_definitions),      cmocka_unit_test(test_sizes_are_raised),
        cmocka_unit_test(test_file_inside_attachment)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
