/* fuzz_mcap_indexed - the indexed reader over any bytes: every order, with and without topics and
 * times. Its messages must be those of the streamed reader when that accepts the whole file. */
/* links: fw_mcap */
#include <stdlib.h>
#include <string.h>

#include "mcap/mcap.h"

static const fw_mcap_limits limits = {.record_max_bytes = 1 << 20,
                                      .chunk_max_bytes = 1 << 18,
                                      .text_max_bytes = 1 << 16,
                                      .chunks_max = 200,
                                      .messages_max = 20000};

static unsigned touched; /* so that no read is left out */

static void touch(const void *bytes, uint64_t size) {
    for (uint64_t i = 0; i < size; i++) touched += ((const uint8_t *)bytes)[i];
}

typedef struct tally {
    uint64_t count, bytes, times, last_ns;
} tally;

static void add(tally *t, const fw_mcap_message *m) {
    t->count++;
    t->bytes += m->size_bytes;
    t->times += m->log_time_ns ^ m->sequence;
    t->last_ns = m->log_time_ns;
    touch(m->data, m->size_bytes);
    touch(m->channel->topic.bytes, m->channel->topic.size_bytes);
    if (m->schema != NULL) touch(m->schema->data, m->schema->size_bytes);
}

/* FW_END, and all messages are in *t; or an error. */
static fw_status query(fw_mcap_indexed *ix, const fw_mcap_query *q, tally *t) {
    *t = (tally){0};
    fw_error error = {.text = ""};
    if (fw_mcap_indexed_query(ix, q, &error) != FW_OK) abort();
    fw_mcap_message m;
    fw_status status;
    while ((status = fw_mcap_indexed_next(ix, &m, &error)) == FW_OK) {
        bool first = t->count == 0;
        uint64_t before = t->last_ns;
        add(t, &m);
        if (!first && q->order == FW_MCAP_ORDER_TIME && m.log_time_ns < before) abort();
        if (!first && q->order == FW_MCAP_ORDER_REVERSE && m.log_time_ns > before) abort();
        if (m.log_time_ns < q->start_time_ns) abort();
        if (q->end_time_ns != 0 && m.log_time_ns >= q->end_time_ns) abort();
    }
    if (status != FW_END && error.text[0] == '\0') abort();
    return status;
}

static void look_around(const fw_mcap_indexed *ix) {
    fw_mcap_attachment a;
    fw_mcap_metadata m;
    fw_mcap_statistics s;
    fw_mcap_text profile, library, key, value;
    fw_mcap_indexed_header(ix, &profile, &library);
    touch(profile.bytes, profile.size_bytes);
    if (fw_mcap_indexed_statistics(ix, &s, NULL) == FW_OK) {
        touch(s.channel_counts, 10 * (uint64_t)s.channel_count_count);
    }
    for (size_t i = 0; i < 50 && fw_mcap_indexed_attachment(ix, i, &a, NULL) == FW_OK; i++) {
        touch(a.data, a.size_bytes);
    }
    for (size_t i = 0; i < 50 && fw_mcap_indexed_metadata(ix, i, &m, NULL) == FW_OK; i++) {
        for (uint32_t at = 0; fw_mcap_map_next(m.map, &at, &key, &value);) {
            touch(key.bytes, key.size_bytes);
        }
    }
    const fw_mcap_channel *channel;
    const fw_mcap_schema *schema;
    for (size_t i = 0; fw_mcap_indexed_channel(ix, i, &channel, &schema); i++) {
        touch(channel->topic.bytes, channel->topic.size_bytes);
    }
    for (size_t i = 0; fw_mcap_indexed_schema(ix, i, &schema); i++) {
        touch(schema->name.bytes, schema->name.size_bytes);
    }
}

/* All of a file that the streamed reader accepts; false otherwise. */
static bool stream(const uint8_t *bytes, size_t size, tally *t) {
    *t = (tally){0};
    fw_mcap_reader *r;
    fw_mcap_message m;
    fw_status status;
    if (fw_mcap_reader_open_bytes(&limits, bytes, size, &r, NULL) != FW_OK) abort();
    while ((status = fw_mcap_reader_next_message(r, &m, NULL)) == FW_OK) add(t, &m);
    fw_mcap_reader_close(r);
    return status == FW_END;
}

static bool same(const tally *a, const tally *b) {
    return a->count == b->count && a->bytes == b->bytes && a->times == b->times;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    fw_mcap_indexed *ix;
    fw_error error = {.text = ""};
    if (fw_mcap_indexed_open_bytes(&limits, bytes, size_bytes, &ix, &error) != FW_OK) {
        if (error.text[0] == '\0') abort();
        return 0;
    }
    look_around(ix);
    tally time_order, other, streamed;
    const char *const topics[] = {"/a", "/b"};
    fw_mcap_query q = {.order = FW_MCAP_ORDER_TIME};
    fw_status status = query(ix, &q, &time_order);
    for (int order = FW_MCAP_ORDER_REVERSE; order <= FW_MCAP_ORDER_FILE; order++) {
        q = (fw_mcap_query){.order = (fw_mcap_order)order};
        fw_status same_status = query(ix, &q, &other);
        if (status == FW_END && same_status == FW_END && !same(&time_order, &other)) abort();
    }
    /* Two halves and two topics: never more than all. */
    uint64_t middle = time_order.last_ns / 2 + 1;
    tally low, high;
    q = (fw_mcap_query){.end_time_ns = middle};
    fw_status low_status = query(ix, &q, &low);
    q = (fw_mcap_query){.start_time_ns = middle, .order = FW_MCAP_ORDER_REVERSE};
    fw_status high_status = query(ix, &q, &high);
    if (status == FW_END && low_status == FW_END && high_status == FW_END &&
        low.count + high.count != time_order.count) {
        abort();
    }
    q = (fw_mcap_query){.topics = topics, .topic_count = 2};
    if (query(ix, &q, &other) == FW_END && status == FW_END && other.count > time_order.count) {
        abort();
    }
    bool whole = fw_mcap_indexed_is_whole(ix);
    fw_mcap_indexed_close(ix);
    if (stream(bytes, size_bytes, &streamed) && status == FW_END && whole &&
        fw_mcap_validate_bytes(&limits, bytes, size_bytes, NULL, NULL) == FW_OK &&
        !same(&time_order, &streamed)) {
        abort();
    }
    return 0;
}
