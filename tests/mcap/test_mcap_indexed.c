/* The indexed reader against the streamed one: on random files, in every order and with every
 * filter, it gives what a plain sort of the streamed messages gives. And on files whose summary
 * lies: a clear error or the right answer, bounded memory, never a crash. */
#include "support.h"

#include <ftw.h>
#include <time.h>

#include "base/random.h"
#include "mcap/format.h"

static made_file file;

/* ---------------------------------------------------------------------------- naive side ----- */

typedef struct plain {
    uint64_t time_ns, publish_ns, place; /* place: in the file */
    uint32_t sequence;
    uint16_t channel_id;
    char topic[16];
    uint64_t size, sum;
} plain;

enum { PLAIN_MAX = 20000 };
static plain streamed[PLAIN_MAX], wanted[PLAIN_MAX];
static size_t streamed_count, wanted_count;

static uint64_t sum_of(const uint8_t *at, uint64_t size) {
    uint64_t sum = 7;
    for (uint64_t i = 0; i < size; i++) sum = sum * 31 + at[i];
    return sum;
}

static plain plain_of(const fw_mcap_message *m, uint64_t place) {
    plain p = {.time_ns = m->log_time_ns,
               .publish_ns = m->publish_time_ns,
               .place = place,
               .sequence = m->sequence,
               .channel_id = m->channel_id,
               .size = m->size_bytes,
               .sum = sum_of(m->data, m->size_bytes)};
    assert_true(fw_mcap_text_copy(m->channel->topic, p.topic, sizeof p.topic));
    return p;
}

static void stream_all(void) {
    fw_mcap_reader *r = NULL;
    ok(fw_mcap_reader_open_bytes(NULL, file.at, file.memory.size_bytes, &r, error));
    fw_mcap_message m;
    fw_error why = {.text = ""};
    fw_status status;
    streamed_count = 0;
    while ((status = fw_mcap_reader_next_message(r, &m, &why)) == FW_OK) {
        assert_true(streamed_count < PLAIN_MAX);
        streamed[streamed_count] = plain_of(&m, streamed_count);
        streamed_count++;
    }
    fw_mcap_reader_close(r);
    if (status != FW_END) fail_msg("%s", why.text);
}

static int by_time(const void *a, const void *b) {
    const plain *x = a, *y = b;
    if (x->time_ns != y->time_ns) return x->time_ns < y->time_ns ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}
static int by_reverse(const void *a, const void *b) {
    return by_time(b, a);
}

static bool wants(const fw_mcap_query *q, const plain *p) {
    if (p->time_ns < q->start_time_ns) return false;
    if (q->end_time_ns != 0 && p->time_ns >= q->end_time_ns) return false;
    for (size_t i = 0; i < q->topic_count; i++) {
        if (strcmp(q->topics[i], p->topic) == 0) return true;
    }
    return q->topic_count == 0;
}

static void expect_query(const fw_mcap_query *q) {
    wanted_count = 0;
    for (size_t i = 0; i < streamed_count; i++) {
        if (wants(q, &streamed[i])) wanted[wanted_count++] = streamed[i];
    }
    if (q->order == FW_MCAP_ORDER_TIME) qsort(wanted, wanted_count, sizeof wanted[0], by_time);
    if (q->order == FW_MCAP_ORDER_REVERSE) {
        qsort(wanted, wanted_count, sizeof wanted[0], by_reverse);
    }
}

static void check_query(fw_mcap_indexed *ix, const fw_mcap_query *q) {
    expect_query(q);
    ok(fw_mcap_indexed_query(ix, q, error));
    fw_mcap_message m;
    fw_error why = {.text = ""};
    for (size_t i = 0; i < wanted_count; i++) {
        fw_status status = fw_mcap_indexed_next(ix, &m, &why);
        if (status != FW_OK) fail_msg("message %zu of %zu: %s", i, wanted_count, why.text);
        plain got = plain_of(&m, wanted[i].place);
        const plain *w = &wanted[i];
        if (got.time_ns != w->time_ns || got.sequence != w->sequence || got.sum != w->sum ||
            got.channel_id != w->channel_id || got.publish_ns != w->publish_ns ||
            got.size != w->size || strcmp(got.topic, w->topic) != 0) {
            fail_msg("order %d, message %zu of %zu: sequence %u at %llu, not %u at %llu",
                     (int)q->order, i, wanted_count, got.sequence, (unsigned long long)got.time_ns,
                     w->sequence, (unsigned long long)w->time_ns);
        }
    }
    assert_int_equal(fw_mcap_indexed_next(ix, &m, &why), FW_END);
    assert_int_equal(fw_mcap_indexed_next(ix, &m, &why), FW_END);
}

/* --------------------------------------------------------------------------- random files ----- */

static const char *const topics[] = {"/a", "/b", "/c", "/a/b", "/none", "/b"};
enum { TOPICS = 6 }; /* two channels share /b */

static uint64_t below(fw_random *random, uint64_t n) {
    return fw_random_below(random, (uint32_t)n);
}

static uint64_t next_time(fw_random *random, int kind, unsigned i) {
    switch (kind) {
    case 0:
        return 1000 + 10 * (uint64_t)i; /* sorted */
    case 1:
        return 1000 + 10 * (uint64_t)i + below(random, 60); /* a little out of order */
    case 2:
        return below(random, 5000); /* anything */
    case 3:
        return 1000 + below(random, 3); /* mostly equal */
    case 4:
        return 1000000 - 10 * (uint64_t)i; /* backwards */
    default:
        return below(random, 40) == 0 ? UINT64_MAX - below(random, 3) : i;
    }
}

typedef struct shape {
    uint32_t omit;
    unsigned attachments, metadata;
} shape;

static void random_file(fw_random *random, shape *s) {
    static const uint32_t parts[] = {FW_MCAP_OMIT_CHUNKS,           FW_MCAP_OMIT_MESSAGE_INDEX,
                                     FW_MCAP_OMIT_STATISTICS,       FW_MCAP_OMIT_SUMMARY_SCHEMAS,
                                     FW_MCAP_OMIT_SUMMARY_CHANNELS, FW_MCAP_OMIT_CHUNK_INDEX,
                                     FW_MCAP_OMIT_SUMMARY_OFFSET,   FW_MCAP_OMIT_CRC};
    *s = (shape){0};
    if (below(random, 2) == 0) {
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            if (below(random, 4) == 0) s->omit |= parts[i];
        }
    }
    fw_mcap_writer_options o = {.compression = (fw_mcap_compression)below(random, 3),
                                .chunk_bytes = 100 + (uint32_t)below(random, 4000),
                                .chunk_messages_max = 1 + (uint32_t)below(random, 60),
                                .omit = s->omit};
    fw_mcap_writer *w = NULL;
    ok(fw_mcap_writer_open(&o, &w, error));
    ok(fw_mcap_writer_begin(w, made_file_sink(&file), "p", "l", error));
    uint16_t schema, ids[TOPICS];
    ok(fw_mcap_writer_add_schema(w, "S", "jsonschema", "{}", 2, &schema, error));
    unsigned messages = (unsigned)below(random, 400), added = 0;
    int kind = (int)below(random, 6);
    for (unsigned i = 0; i < messages; i++) {
        if (added < TOPICS && (added == 0 || below(random, 30) == 0)) {
            ok(fw_mcap_writer_add_channel(w, added % 2 ? schema : 0, topics[added], "json", NULL, 0,
                                          &ids[added], error));
            added++;
        }
        if (below(random, 100) == 0 && s->attachments < 9) {
            ok(fw_mcap_writer_attachment(w, i, i, "n", "t", "data", s->attachments % 5, error));
            s->attachments++;
        }
        if (below(random, 100) == 0 && s->metadata < 9) {
            ok(fw_mcap_writer_metadata(w, "m", NULL, 0, error));
            s->metadata++;
        }
        uint8_t data[300];
        size_t size = sample_message(i, data);
        ok(fw_mcap_writer_message(w, ids[below(random, added)], i, next_time(random, kind, i), i,
                                  data, size, error));
    }
    ok(fw_mcap_writer_end(w, error));
    fw_mcap_writer_close(w);
}

static void random_queries(fw_random *random, fw_mcap_indexed *ix) {
    const char *chosen[TOPICS + 1];
    for (int order = FW_MCAP_ORDER_TIME; order <= FW_MCAP_ORDER_FILE; order++) {
        fw_mcap_query q = {.order = (fw_mcap_order)order};
        check_query(ix, &q);
        for (int i = 0; i < 4; i++) {
            q.topics = chosen;
            q.topic_count = below(random, TOPICS + 2);
            for (size_t t = 0; t < q.topic_count; t++) {
                chosen[t] = t == TOPICS ? "/nowhere" : topics[below(random, TOPICS)];
            }
            q.start_time_ns = q.end_time_ns = 0;
            if (streamed_count > 0 && below(random, 3) > 0) {
                q.start_time_ns = streamed[below(random, streamed_count)].time_ns;
            }
            if (streamed_count > 0 && below(random, 3) > 0) {
                q.end_time_ns = streamed[below(random, streamed_count)].time_ns + below(random, 2);
            }
            check_query(ix, &q);
        }
    }
}

static void check_rest(const fw_mcap_indexed *ix, const shape *s) {
    fw_mcap_text profile, library;
    fw_mcap_indexed_header(ix, &profile, &library);
    assert_true(fw_mcap_text_is(profile, "p") && fw_mcap_text_is(library, "l"));
    assert_true(fw_mcap_indexed_is_whole(ix));
    fw_mcap_attachment a;
    fw_mcap_metadata m;
    for (unsigned i = 0; i < s->attachments; i++) {
        ok(fw_mcap_indexed_attachment(ix, i, &a, error));
        assert_int_equal(a.size_bytes, i % 5);
    }
    for (unsigned i = 0; i < s->metadata; i++) {
        ok(fw_mcap_indexed_metadata(ix, i, &m, error));
        assert_true(fw_mcap_text_is(m.name, "m"));
    }
    assert_int_equal(fw_mcap_indexed_attachment(ix, s->attachments, &a, NULL), FW_END);
    assert_int_equal(fw_mcap_indexed_metadata(ix, s->metadata, &m, NULL), FW_END);
    fw_mcap_statistics statistics;
    fw_status status = fw_mcap_indexed_statistics(ix, &statistics, NULL);
    assert_int_equal(status, s->omit & FW_MCAP_OMIT_STATISTICS ? FW_NOT_FOUND : FW_OK);
    if (status == FW_OK) assert_int_equal(statistics.message_count, streamed_count);
    const fw_mcap_channel *channel;
    const fw_mcap_schema *schema;
    size_t channels = 0;
    for (; fw_mcap_indexed_channel(ix, channels, &channel, &schema); channels++) {
        assert_true((channel->schema_id == 0) == (schema == NULL));
    }
    for (size_t i = 0; i < streamed_count; i++) assert_true(streamed[i].channel_id <= channels);
}

static void test_random_files(void **state) {
    (void)state;
    const char *given = getenv("FLYWHEEL_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    print_message("FLYWHEEL_SEED=%llu\n", (unsigned long long)seed);
    fw_random random = fw_random_named(seed, "mcap/indexed");
    for (int round = 0; round < 150; round++) {
        shape s;
        random_file(&random, &s);
        stream_all();
        uint8_t *exact = malloc(file.memory.size_bytes);
        memcpy(exact, file.at, file.memory.size_bytes);
        fw_mcap_indexed *ix = NULL;
        ok(fw_mcap_indexed_open_bytes(NULL, exact, file.memory.size_bytes, &ix, error));
        check_rest(ix, &s);
        random_queries(&random, ix);
        fw_mcap_indexed_close(ix);
        free(exact);
    }
}

/* ----------------------------------------------------------------------------- few chunks ----- */

/* Ten chunks of four messages: topic /a in the even ones, /b in the odd; times 100 * chunk + i,
 * or all from 0 to 3 when they shall overlap. */
static void make_ten(fw_mcap_compression compression, uint32_t omit, bool overlap) {
    fw_mcap_writer_options o = {.compression = compression, .omit = omit};
    fw_mcap_writer *w = NULL;
    uint16_t ids[2];
    uint8_t data[200] = {0};
    ok(fw_mcap_writer_open(&o, &w, error));
    ok(fw_mcap_writer_begin(w, made_file_sink(&file), "p", "l", error));
    ok(fw_mcap_writer_add_channel(w, 0, "/a", "json", NULL, 0, &ids[0], error));
    ok(fw_mcap_writer_add_channel(w, 0, "/b", "json", NULL, 0, &ids[1], error));
    for (unsigned i = 0; i < 40; i++) {
        uint64_t time_ns = overlap ? i % 4 : 100 * (i / 4) + i % 4;
        ok(fw_mcap_writer_message(w, ids[i / 4 % 2], i, time_ns, 0, data, sizeof data, error));
        if (i % 4 == 3) ok(fw_mcap_writer_flush(w, error));
    }
    ok(fw_mcap_writer_end(w, error));
    fw_mcap_writer_close(w);
    stream_all();
    assert_int_equal(streamed_count, 40);
}

/* The messages of a query, or the failure. */
static fw_status count(fw_mcap_indexed *ix, const fw_mcap_query *q, size_t *messages,
                       fw_error *why) {
    fw_mcap_message m;
    fw_status status = fw_mcap_indexed_query(ix, q, why);
    *messages = 0;
    while (status == FW_OK && (status = fw_mcap_indexed_next(ix, &m, why)) == FW_OK) ++*messages;
    return status;
}

/* A query opens only chunks that overlap it in time and hold a topic of it: all others are broken
 * here, and nobody notices. */
static void test_only_needed_chunks_are_read(void **state) {
    (void)state;
    make_ten(FW_MCAP_NONE, 0, false);
    fw_mcap_indexed *ix = NULL;
    ok(fw_mcap_indexed_open_bytes(NULL, file.at, file.memory.size_bytes, &ix, error));
    const uint8_t *data[10];
    fw_mcap_message m;
    ok(fw_mcap_indexed_query(ix, NULL, error));
    for (size_t i = 0; i < 40; i++) {
        ok(fw_mcap_indexed_next(ix, &m, error));
        if (i % 4 == 0) data[i / 4] = m.data;
        assert_true(m.data > file.at && m.data < file.at + file.memory.size_bytes); /* no copy */
    }
    for (size_t i = 0; i < 10; i++) {
        if (i != 4 && i != 6) file.at[data[i] - file.at] ^= 1;
    }
    const char *const topic = "/a";
    const fw_mcap_query q = {
        .topics = &topic, .topic_count = 1, .start_time_ns = 402, .end_time_ns = 700};
    size_t messages;
    fw_error why;
    assert_int_equal(count(ix, &q, &messages, &why), FW_END);
    assert_int_equal(messages, 6);
    assert_int_equal(count(ix, NULL, &messages, &why), FW_CORRUPT);
    assert_non_null(strstr(why.text, "wrong CRC"));
    fw_mcap_indexed_close(ix);
}

/* Overlapping chunks cost memory together, up to the limit; in file order one at a time. */
static void test_overlap_is_bounded(void **state) {
    (void)state;
    make_ten(FW_MCAP_ZSTD, 0, true);
    const fw_mcap_limits limits = {.chunk_max_bytes = 4000}; /* each has about 1000 */
    fw_mcap_indexed *ix = NULL;
    ok(fw_mcap_indexed_open_bytes(&limits, file.at, file.memory.size_bytes, &ix, error));
    size_t messages;
    fw_error why;
    assert_int_equal(count(ix, NULL, &messages, &why), FW_TOO_BIG);
    assert_non_null(strstr(why.text, "overlap"));
    assert_int_equal(fw_mcap_indexed_next(ix, &(fw_mcap_message){0}, &why), FW_TOO_BIG);
    const fw_mcap_query in_file = {.order = FW_MCAP_ORDER_FILE};
    assert_int_equal(count(ix, &in_file, &messages, &why), FW_END);
    assert_int_equal(messages, 40);
    fw_mcap_indexed_close(ix);
    ok(fw_mcap_indexed_open_bytes(NULL, file.at, file.memory.size_bytes, &ix, error));
    for (int order = FW_MCAP_ORDER_TIME; order <= FW_MCAP_ORDER_FILE; order++) {
        check_query(ix, &(fw_mcap_query){.order = (fw_mcap_order)order});
    }
    fw_mcap_indexed_close(ix);
}

/* ---------------------------------------------------------------------------------- lies ----- */

/* Every order over the file as it stands: an error with a line, or all forty messages. */
static void lie_is_noticed(size_t at) {
    uint8_t *exact = malloc(file.memory.size_bytes);
    memcpy(exact, file.at, file.memory.size_bytes);
    fw_mcap_indexed *ix = NULL;
    fw_error why = {.text = ""};
    fw_status status = fw_mcap_indexed_open_bytes(NULL, exact, file.memory.size_bytes, &ix, &why);
    for (int order = FW_MCAP_ORDER_TIME; status == FW_OK && order <= FW_MCAP_ORDER_FILE; order++) {
        const fw_mcap_query q = {.order = (fw_mcap_order)order};
        size_t messages;
        status = count(ix, &q, &messages, &why);
        if (status != FW_END) break;
        if (messages != 40) fail_msg("byte %zu: %zu messages", at, messages);
        status = FW_OK;
    }
    if (status != FW_OK && (why.text[0] == '\0' || (status != FW_CORRUPT && status != FW_TOO_BIG &&
                                                    status != FW_UNSUPPORTED))) {
        fail_msg("byte %zu: %s '%s'", at, fw_status_text(status), why.text);
    }
    fw_mcap_indexed_close(ix);
    free(exact);
}

/* The summary and the footer, which no CRC protects here: each byte, and each eight as one number,
 * becomes something else. */
static void test_lying_summary(void **state) {
    (void)state;
    for (int compression = FW_MCAP_ZSTD; compression <= FW_MCAP_NONE; compression++) {
        make_ten((fw_mcap_compression)compression, FW_MCAP_OMIT_CRC, compression == FW_MCAP_LZ4);
        size_t size = file.memory.size_bytes;
        size_t start = (size_t)fw_mcap_load_u64(file.at + size - 28);
        const uint64_t numbers[] = {0, 1, 8, size, UINT64_MAX, UINT64_MAX - 8, (uint64_t)1 << 63};
        for (size_t at = start; at < size; at++) {
            uint8_t before[8];
            for (unsigned mask = 1; mask < 256; mask <<= 2) {
                file.at[at] ^= (uint8_t)mask;
                lie_is_noticed(at);
                file.at[at] ^= (uint8_t)mask;
            }
            if (at + 8 > size) continue;
            memcpy(before, file.at + at, 8);
            for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
                (void)fw_mcap_put_u64(file.at + at, numbers[i]);
                lie_is_noticed(at);
            }
            memcpy(file.at + at, before, 8);
        }
    }
}

/* Cut anywhere: what is whole is served, and the reader says that it is not all. */
static void test_cut_everywhere(void **state) {
    (void)state;
    make_ten(FW_MCAP_LZ4, 0, false);
    size_t last = 0;
    for (size_t size = 0; size < file.memory.size_bytes; size++) {
        uint8_t *exact = malloc(size == 0 ? 1 : size);
        memcpy(exact, file.at, size);
        fw_mcap_indexed *ix = NULL;
        fw_error why = {.text = ""};
        fw_status status = fw_mcap_indexed_open_bytes(NULL, exact, size, &ix, &why);
        size_t messages = 0;
        if (size < 27) {
            assert_int_equal(status, FW_CORRUPT);
        } else {
            assert_int_equal(status, FW_OK);
            assert_false(fw_mcap_indexed_is_whole(ix));
            assert_int_equal(count(ix, NULL, &messages, &why), FW_END);
            assert_true(messages >= last && messages % 4 == 0);
        }
        last = messages;
        fw_mcap_indexed_close(ix);
        free(exact);
    }
    assert_int_equal(last, 40);
}

static void test_misuse(void **state) {
    (void)state;
    make_ten(FW_MCAP_NONE, 0, false);
    fw_mcap_indexed *ix = NULL;
    fw_error why;
    fw_mcap_message m;
    ok(fw_mcap_indexed_open_bytes(NULL, file.at, file.memory.size_bytes, &ix, error));
    assert_int_equal(fw_mcap_indexed_next(ix, &m, &why), FW_INVALID);
    const fw_mcap_query bad = {.order = (fw_mcap_order)7};
    assert_int_equal(fw_mcap_indexed_query(ix, &bad, &why), FW_INVALID);
    const fw_mcap_query empty = {.start_time_ns = 5, .end_time_ns = 5};
    size_t messages;
    assert_int_equal(count(ix, &empty, &messages, &why), FW_END);
    assert_int_equal(messages, 0);
    fw_mcap_indexed_close(ix);
    fw_mcap_indexed_close(NULL);
    assert_int_equal(fw_mcap_indexed_open_path(NULL, "not there", &ix, &why), FW_NOT_FOUND);
    const fw_mcap_limits few = {.chunks_max = 9}, short_ = {.messages_max = 39};
    assert_int_equal(fw_mcap_indexed_open_bytes(&few, file.at, file.memory.size_bytes, &ix, &why),
                     FW_TOO_BIG);
    ok(fw_mcap_indexed_open_bytes(&short_, file.at, file.memory.size_bytes, &ix, error));
    assert_int_equal(count(ix, NULL, &messages, &why), FW_TOO_BIG);
    fw_mcap_indexed_close(ix);
}

/* --------------------------------------------------------------------- conformance vectors -----
 */

static int vectors;

static int check_vector(const char *path, const struct stat *st, int type, struct FTW *where) {
    (void)where;
    size_t length = strlen(path);
    if (type != FTW_F || length < 5 || strcmp(path + length - 5, ".mcap") != 0) return 0;
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    file.memory.size_bytes = fread(file.at, 1, sizeof file.at, in);
    fclose(in);
    assert_int_equal(file.memory.size_bytes, st->st_size);
    stream_all();
    fw_mcap_indexed *ix = NULL;
    ok(fw_mcap_indexed_open_path(NULL, path, &ix, error));
    if (!fw_mcap_indexed_is_whole(ix)) fail_msg("%s is whole", path);
    for (int order = FW_MCAP_ORDER_TIME; order <= FW_MCAP_ORDER_FILE; order++) {
        check_query(ix, &(fw_mcap_query){.order = (fw_mcap_order)order});
    }
    fw_mcap_indexed_close(ix);
    vectors++;
    return 0;
}

/* The official vectors, where FLYWHEEL_DATA holds them: whatever parts a file leaves out. */
static void test_conformance(void **state) {
    (void)state;
    const char *data = getenv("FLYWHEEL_DATA");
    char folder[1024];
    snprintf(folder, sizeof folder, "%s/mcap-conformance", data == NULL ? "" : data);
    if (data == NULL || nftw(folder, check_vector, 8, FTW_PHYS) != 0) skip();
    print_message("%d conformance vectors\n", vectors);
    assert_true(vectors >= 400);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_files),
                                       cmocka_unit_test(test_only_needed_chunks_are_read),
                                       cmocka_unit_test(test_overlap_is_bounded),
                                       cmocka_unit_test(test_lying_summary),
                                       cmocka_unit_test(test_cut_everywhere),
                                       cmocka_unit_test(test_misuse),
                                       cmocka_unit_test(test_conformance)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
