/* fuzz_mcap - the reader, streamed and mapped, and the validator, over any bytes. */
/* links: fw_mcap */
#include <stdlib.h>
#include <string.h>

#include "mcap/mcap.h"

static const fw_mcap_limits limits = {.record_max_bytes = 1 << 20,
                                      .chunk_max_bytes = 1 << 20,
                                      .text_max_bytes = 1 << 18,
                                      .chunks_max = 1000,
                                      .messages_max = 100000};

typedef struct rest {
    const uint8_t *at;
    size_t left;
} rest;

/* Gives odd numbers of bytes at a time. */
static fw_status give(void *self, void *out, size_t size, size_t *got, fw_error *error) {
    (void)error;
    rest *r = self;
    size_t n = r->left < 13 ? r->left : 13;
    if (n > size) n = size;
    if (n > 0) memcpy(out, r->at, n);
    r->at += n;
    r->left -= n;
    *got = n;
    return FW_OK;
}

static unsigned touched; /* so that no read is left out */

static void touch(const void *bytes, uint64_t size) {
    for (uint64_t i = 0; i < size; i++) touched += ((const uint8_t *)bytes)[i];
}

static void touch_record(const fw_mcap_record *r) {
    fw_mcap_text key, value;
    if (r->opcode == FW_MCAP_METADATA) {
        for (uint32_t at = 0; fw_mcap_map_next(r->of.metadata.map, &at, &key, &value);) {
            touch(key.bytes, key.size_bytes);
            touch(value.bytes, value.size_bytes);
        }
    } else if (r->opcode == FW_MCAP_MESSAGE) {
        touch(r->of.message.data, r->of.message.size_bytes);
        touch(r->of.message.channel->topic.bytes, r->of.message.channel->topic.size_bytes);
        if (r->of.message.schema != NULL) {
            touch(r->of.message.schema->data, r->of.message.schema->size_bytes);
        }
    } else if (r->opcode == FW_MCAP_ATTACHMENT) {
        touch(r->of.attachment.data, r->of.attachment.size_bytes);
    }
}

/* Reads to the end or the first error; counts the messages. */
static fw_status read_all(fw_mcap_reader *reader, uint64_t *messages) {
    fw_mcap_record record;
    fw_status status;
    *messages = 0;
    while ((status = fw_mcap_reader_next(reader, &record, NULL)) == FW_OK) {
        *messages += record.opcode == FW_MCAP_MESSAGE;
        touch_record(&record);
    }
    fw_mcap_reader_close(reader);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    fw_mcap_reader *reader;
    fw_mcap_info info;
    uint64_t mapped_messages, streamed_messages;
    if (fw_mcap_reader_open_bytes(&limits, bytes, size_bytes, &reader, NULL) != FW_OK) abort();
    fw_status mapped = read_all(reader, &mapped_messages);
    rest r = {bytes, size_bytes};
    if (fw_mcap_reader_open(&limits, (fw_mcap_source){&r, give}, &reader, NULL) != FW_OK) abort();
    fw_status streamed = read_all(reader, &streamed_messages);
    if ((mapped == FW_END) != (streamed == FW_END) && size_bytes < limits.record_max_bytes) abort();
    if (mapped == FW_END && mapped_messages != streamed_messages) abort();
    if (fw_mcap_validate_bytes(&limits, bytes, size_bytes, &info, NULL) == FW_OK) {
        if (mapped != FW_END || info.message_count != mapped_messages) abort();
        fw_mcap_info_free(&info);
    }
    return 0;
}
