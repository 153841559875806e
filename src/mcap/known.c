#include "mcap/known.h"

#include <inttypes.h>
#include <stdlib.h>

#include "mcap/format.h"

static bool same_bytes(const void *a, uint64_t a_size, const void *b, uint64_t b_size) {
    return a_size == b_size && (a_size == 0 || memcmp(a, b, (size_t)a_size) == 0);
}

static bool same_text(fw_mcap_text a, fw_mcap_text b) {
    return same_bytes(a.bytes, a.size_bytes, b.bytes, b.size_bytes);
}

static uint8_t *keep(uint8_t **at, const void *bytes, size_t size) {
    uint8_t *kept = *at;
    *at = fw_mcap_put_bytes(kept, bytes, size);
    return kept;
}

static fw_mcap_text keep_text(uint8_t **at, fw_mcap_text text) {
    return (fw_mcap_text){.bytes = (const char *)keep(at, text.bytes, text.size_bytes),
                          .size_bytes = text.size_bytes};
}

/* A block of head bytes and text bytes, counted against the limit. */
static fw_status new_block(fw_mcap_known *known, size_t head, uint64_t text, uint64_t offset,
                           void **out, fw_error *error) {
    if (known->text_used > known->text_max_bytes ||
        head + text > known->text_max_bytes - known->text_used) {
        return fw_fail(error, FW_TOO_BIG,
                       "mcap: schemas and channels before byte %" PRIu64 " need over %" PRIu64
                       " bytes",
                       offset, known->text_max_bytes);
    }
    void *block = malloc(head + (size_t)text);
    if (block == NULL) return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for channels");
    known->text_used += head + text;
    *out = block;
    return FW_OK;
}

/* Room for one more id; capacities are the powers of two from 16. */
static bool reserve_id(uint16_t **ids, uint32_t count) {
    if (count != 0 && (count < 16 || (count & (count - 1)) != 0)) return true;
    size_t capacity = count == 0 ? 16 : 2 * (size_t)count;
    uint16_t *grown = realloc(*ids, capacity * sizeof *grown);
    if (grown != NULL) *ids = grown;
    return grown != NULL;
}

static fw_status put_block(fw_mcap_idmap *map, uint16_t id, void *block, uint16_t **ids,
                           uint32_t *count, fw_error *error) {
    if (reserve_id(ids, *count) && fw_mcap_idmap_put(map, id, block)) {
        (*ids)[(*count)++] = id;
        return FW_OK;
    }
    free(block);
    return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for channels");
}

const fw_mcap_schema *fw_mcap_known_schema(const fw_mcap_known *known, uint16_t id) {
    return fw_mcap_idmap_get(&known->schemas, id);
}

fw_status fw_mcap_known_add_schema(fw_mcap_known *known, const fw_mcap_schema *s, uint64_t offset,
                                   fw_error *error) {
    const fw_mcap_schema *before = fw_mcap_known_schema(known, s->id);
    if (before != NULL) {
        if (same_text(before->name, s->name) && same_text(before->encoding, s->encoding) &&
            same_bytes(before->data, before->size_bytes, s->data, s->size_bytes)) {
            return FW_OK;
        }
        return fw_fail(error, FW_CORRUPT,
                       "mcap: schema %u at byte %" PRIu64 " differs from the one before", s->id,
                       offset);
    }
    uint64_t text = (uint64_t)s->name.size_bytes + s->encoding.size_bytes + s->size_bytes;
    void *block;
    FW_TRY(new_block(known, sizeof *s, text, offset, &block, error));
    fw_mcap_schema *kept = block;
    uint8_t *at = (uint8_t *)(kept + 1);
    *kept = *s;
    kept->name = keep_text(&at, s->name);
    kept->encoding = keep_text(&at, s->encoding);
    kept->data = keep(&at, s->data, s->size_bytes);
    return put_block(&known->schemas, s->id, kept, &known->schema_ids, &known->schema_count, error);
}

static bool same_channel(const fw_mcap_channel *a, const fw_mcap_channel *b) {
    return a->schema_id == b->schema_id && same_text(a->topic, b->topic) &&
           same_text(a->message_encoding, b->message_encoding) &&
           same_bytes(a->metadata.bytes, a->metadata.size_bytes, b->metadata.bytes,
                      b->metadata.size_bytes);
}

fw_status fw_mcap_known_add_channel(fw_mcap_known *known, const fw_mcap_channel *c, uint64_t offset,
                                    fw_error *error) {
    const fw_mcap_known_channel *before = fw_mcap_known_find(known, c->id);
    if (before != NULL) {
        if (same_channel(&before->channel, c)) return FW_OK;
        return fw_fail(error, FW_CORRUPT,
                       "mcap: channel %u at byte %" PRIu64 " differs from the one before", c->id,
                       offset);
    }
    const fw_mcap_schema *schema = fw_mcap_known_schema(known, c->schema_id);
    if (c->schema_id != 0 && schema == NULL) {
        return fw_fail(error, FW_CORRUPT,
                       "mcap: channel %u at byte %" PRIu64
                       " names schema %u, which the file has not given",
                       c->id, offset, c->schema_id);
    }
    uint64_t text =
        (uint64_t)c->topic.size_bytes + c->message_encoding.size_bytes + c->metadata.size_bytes;
    void *block;
    FW_TRY(new_block(known, sizeof(fw_mcap_known_channel), text, offset, &block, error));
    fw_mcap_known_channel *kept = block;
    uint8_t *at = (uint8_t *)(kept + 1);
    *kept = (fw_mcap_known_channel){.channel = *c, .schema = schema};
    kept->channel.topic = keep_text(&at, c->topic);
    kept->channel.message_encoding = keep_text(&at, c->message_encoding);
    kept->channel.metadata.bytes = keep(&at, c->metadata.bytes, c->metadata.size_bytes);
    return put_block(&known->channels, c->id, kept, &known->channel_ids, &known->channel_count,
                     error);
}

void fw_mcap_known_free(fw_mcap_known *known) {
    fw_mcap_idmap_free(&known->schemas);
    fw_mcap_idmap_free(&known->channels);
    free(known->schema_ids);
    free(known->channel_ids);
    known->schema_ids = known->channel_ids = NULL;
    known->schema_count = known->channel_count = 0;
    known->text_used = 0;
}
