/* The indexed reader against the streamed one: on random files, in every order and with every
 * filter, it gives what a plain sort of the streamed messages gives. And on files whose summary
 * lies: a clear error or the right answer, bounded memory, never a crash. */
#include "support.h"

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
    static const uint32_t parts[] = {FW_MCAP_OMIT_CHUNKS,          FW_MCAP_OMIT_MESSAGE_INDEX,
                                     FW_MCAP_OMIT_STATISTICS,      FW_MCAP_OMIT_SUMMARY_SCHEMAS,
                                     FW_MCAP_OMIT_SUMMARY_CHANNELS, FW_MCAP_OMIT_CHUNK_INDEX,
                                     FW_MCAP_OMIT_SUMMARY_OFFSET,  FW_MCAP_OMIT_CRC};
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
