/* The writer's first half: one chunk gathers in memory, is packed, and goes to the sink with its
 * index. writer.h draws the buffers; writer_end.c is the other half. */
#include <stdlib.h>

#include "mcap/writer.h"

/* -------------------------------------------------------------------- open and close ----- */

static void take_default(uint32_t *value, uint32_t otherwise) {
    if (*value == 0) *value = otherwise;
}

static fw_mcap_writer_options complete(const fw_mcap_writer_options *options) {
    fw_mcap_writer_options o = {0};
    if (options != NULL) o = *options;
    if (o.zstd_level == 0) o.zstd_level = 1;
    take_default(&o.chunk_bytes, 262144);
    take_default(&o.message_max_bytes, 262144);
    take_default(&o.chunk_messages_max, 8192);
    take_default(&o.schemas_max, 64);
    take_default(&o.channels_max, 64);
    take_default(&o.chunks_max, 1024);
    take_default(&o.attachments_max, 16);
    take_default(&o.metadata_max, 16);
    take_default(&o.metadata_max_bytes, 65536);
    take_default(&o.text_max_bytes, 262144);
    return o;
}

static fw_status check_options(const fw_mcap_writer_options *o, fw_error *error) {
    const uint32_t most = 1u << 30;
    if (o->chunk_bytes > most || o->message_max_bytes > most || o->text_max_bytes > most ||
        o->metadata_max_bytes > most) {
        return fw_fail(error, FW_INVALID,
                       "mcap: chunk, message, metadata and text sizes are at most 1 GiB");
    }
    if (o->chunk_messages_max > (1u << 26) || o->chunks_max > (1u << 24) ||
        o->schemas_max >= FW_MCAP_IDS || o->channels_max >= FW_MCAP_IDS) {
        return fw_fail(error, FW_INVALID, "mcap: too many messages, chunks, schemas or channels");
    }
    if (o->zstd_level < 1 || o->zstd_level > 19 || (unsigned)o->compression > FW_MCAP_NONE) {
        return fw_fail(error, FW_INVALID, "mcap: compression is none, lz4 or zstd 1..19");
    }
    return FW_OK;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static fw_status allocate(fw_mcap_writer *w, fw_error *error) {
    const fw_mcap_writer_options *o = &w->o;
    w->records_capacity = (size_t)o->chunk_bytes + o->message_max_bytes + 64;
    w->packed_capacity = fw_mcap_packer_bound(&w->packer, w->records_capacity);
    size_t indexes = 16 * (size_t)o->chunk_messages_max + 15 * (size_t)o->channels_max;
    w->scratch_capacity = larger(indexes, (size_t)o->metadata_max_bytes + 64);
    w->buffer = malloc(FW_MCAP_CHUNK_HEAD_ROOM + w->records_capacity);
    w->packed = malloc(FW_MCAP_CHUNK_HEAD_ROOM + w->packed_capacity);
    w->scratch = malloc(w->scratch_capacity);
    w->text = malloc(o->text_max_bytes);
    w->entries = malloc(o->chunk_messages_max * sizeof *w->entries);
    w->schemas = calloc(o->schemas_max, sizeof *w->schemas);
    w->channels = calloc(o->channels_max, sizeof *w->channels);
    w->chunks = calloc(o->chunks_max, sizeof *w->chunks);
    w->index_offsets = calloc(o->chunks_max, 10 * (size_t)o->channels_max);
    w->attachments = calloc(o->attachments_max, sizeof *w->attachments);
    w->metadata = calloc(o->metadata_max, sizeof *w->metadata);
    if (w->buffer == NULL || w->packed == NULL || w->scratch == NULL || w->text == NULL ||
        w->entries == NULL || w->schemas == NULL || w->channels == NULL || w->chunks == NULL ||
        w->index_offsets == NULL || w->attachments == NULL || w->metadata == NULL) {
        return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for the writer's buffers");
    }
    w->records = w->buffer + FW_MCAP_CHUNK_HEAD_ROOM;
    return FW_OK;
}

fw_status fw_mcap_writer_open(const fw_mcap_writer_options *options, fw_mcap_writer **out,
                              fw_error *error) {
    fw_mcap_writer_options o = complete(options);
    FW_TRY(check_options(&o, error));
    fw_mcap_writer *w = calloc(1, sizeof *w);
    if (w == NULL) return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for the writer");
    w->o = o;
    fw_status status = fw_mcap_packer_open(&w->packer, o.compression, o.zstd_level, error);
    if (status == FW_OK) status = allocate(w, error);
    if (status != FW_OK) {
        fw_mcap_writer_close(w);
        return status;
    }
    (void)fw_mcap_crc32(0, "", 0); /* makes its table now */
    *out = w;
    return FW_OK;
}

void fw_mcap_writer_close(fw_mcap_writer *w) {
    if (w == NULL) return;
    fw_mcap_packer_close(&w->packer);
    free(w->buffer);
    free(w->packed);
    free(w->scratch);
    free(w->text);
    free(w->entries);
    free(w->schemas);
    free(w->channels);
    free(w->chunks);
    free(w->index_offsets);
    free(w->attachments);
    free(w->metadata);
    free(w);
}

/* --------------------------------------------------------------------------- output ----- */

static void sum(fw_mcap_writer *w, const void *bytes, size_t size) {
    if (!fw_mcap_omits(w, FW_MCAP_OMIT_CRC)) w->crc = fw_mcap_crc32(w->crc, bytes, size);
}

static void sum_known(fw_mcap_writer *w, const void *bytes, size_t size, uint32_t crc) {
    enum { JOINING_PAYS_BYTES = 8192 };
    if (size < JOINING_PAYS_BYTES)
        sum(w, bytes, size);
    else if (!fw_mcap_omits(w, FW_MCAP_OMIT_CRC))
        w->crc = fw_mcap_crc32_join(w->crc, crc, size);
}

static fw_status give(fw_mcap_writer *w, const void *bytes, size_t size, fw_error *error) {
    FW_ASSERT(w->failed == FW_OK);
    w->failed = w->sink.write(w->sink.self, bytes, size, error);
    if (w->failed == FW_OK)
        w->offset += size;
    else
        w->ready = false;
    return w->failed;
}

fw_status fw_mcap_emit(fw_mcap_writer *w, const void *bytes, size_t size, fw_error *error) {
    if (size == 0) return FW_OK;
    sum(w, bytes, size);
    return give(w, bytes, size, error);
}

fw_status fw_mcap_emit_summed(fw_mcap_writer *w, const void *bytes, size_t size, uint32_t crc,
                              fw_error *error) {
    if (size == 0) return FW_OK;
    sum_known(w, bytes, size, crc);
    return give(w, bytes, size, error);
}

fw_status fw_mcap_check_ready(const fw_mcap_writer *w, fw_error *error) {
    if (w->failed != FW_OK) {
        return fw_fail(error, w->failed, "mcap: the output failed before; the file is lost");
    }
    if (!w->open) return fw_fail(error, FW_INVALID, "mcap: no file begun");
    if (w->in_attachment) {
        return fw_fail(error, FW_INVALID,
                       "mcap: an attachment is open; %llu of its bytes are missing",
                       (unsigned long long)w->attachment_left);
    }
    return FW_OK;
}

size_t fw_mcap_pairs_size(const fw_mcap_pair *pairs, size_t count) {
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += 8 + fw_mcap_text_size(pairs[i].key) + fw_mcap_text_size(pairs[i].value);
    }
    return size;
}

uint8_t *fw_mcap_put_pairs(uint8_t *at, const fw_mcap_pair *pairs, size_t count) {
    at = fw_mcap_put_u32(at, (uint32_t)fw_mcap_pairs_size(pairs, count));
    for (size_t i = 0; i < count; i++) {
        at = fw_mcap_put_text(at, pairs[i].key, fw_mcap_text_size(pairs[i].key));
        at = fw_mcap_put_text(at, pairs[i].value, fw_mcap_text_size(pairs[i].value));
    }
    return at;
}

/* --------------------------------------------------------------------------- chunks ----- */

/* Empties the chunk; what it counted goes to the file's counts. */
static void chunk_clear(fw_mcap_writer *w) {
    for (uint32_t i = 0; i < w->channel_count; i++) {
        w->channels[i].message_count += w->channels[i].count;
        w->channels[i].count = 0;
    }
    w->message_count += w->entry_count;
    if (w->chunk_start_ns < w->start_ns) w->start_ns = w->chunk_start_ns;
    if (w->chunk_end_ns > w->end_ns) w->end_ns = w->chunk_end_ns;
    w->chunk_used = 0;
    w->entry_count = 0;
    w->chunk_start_ns = UINT64_MAX;
    w->chunk_end_ns = 0;
}

static fw_status emit_chunk(fw_mcap_writer *w, fw_mcap_chunk_state *index, fw_error *error) {
    uint8_t *packed = w->packed + FW_MCAP_CHUNK_HEAD_ROOM;
    size_t used = w->chunk_used;
    uint32_t crc = fw_mcap_omits(w, FW_MCAP_OMIT_CRC) ? 0 : fw_mcap_crc32(0, w->records, used);
    size_t size = fw_mcap_pack(&w->packer, w->records, used, packed, w->packed_capacity);
    bool raw = size == 0;
    index->compression = raw ? FW_MCAP_NONE : w->o.compression;
    index->packed = raw ? used : size;
    index->unpacked = used;
    const char *name = fw_mcap_compression_name(index->compression);
    size_t head_size = 49 + strlen(name);
    uint8_t *data = raw ? w->records : packed, *head = data - head_size;
    uint8_t *at = fw_mcap_put_prefix(head, FW_MCAP_CHUNK, 40 + strlen(name) + index->packed);
    at = fw_mcap_put_u64(fw_mcap_put_u64(at, index->start_ns), index->end_ns);
    at = fw_mcap_put_u32(fw_mcap_put_u64(at, index->unpacked), crc);
    at = fw_mcap_put_u64(fw_mcap_put_text(at, name, strlen(name)), index->packed);
    FW_ASSERT(at == data);
    sum(w, head, head_size);
    if (raw)
        sum_known(w, data, used, crc);
    else
        sum(w, data, size);
    return give(w, head, head_size + (size_t)index->packed, error);
}

/* Heads of the channels' indexes, with room for their entries; returns the end. */
static uint8_t *put_index_heads(fw_mcap_writer *w, fw_mcap_chunk_state *index) {
    uint8_t *at = w->scratch;
    uint8_t *offsets = w->index_offsets + (size_t)w->chunk_count * 10 * w->o.channels_max;
    for (uint32_t c = 0; c < w->channel_count; c++) {
        fw_mcap_channel_state *channel = &w->channels[c];
        if (channel->count == 0) continue;
        uint32_t size = 16 * channel->count;
        offsets = fw_mcap_put_u16(offsets, (uint16_t)(c + 1));
        offsets = fw_mcap_put_u64(offsets, w->offset + (uint64_t)(at - w->scratch));
        at = fw_mcap_put_prefix(at, FW_MCAP_MESSAGE_INDEX, 6 + (uint64_t)size);
        at = fw_mcap_put_u32(fw_mcap_put_u16(at, (uint16_t)(c + 1)), size);
        channel->next_entry = at;
        at += size;
        index->channels++;
    }
    return at;
}

static fw_status emit_message_indexes(fw_mcap_writer *w, fw_mcap_chunk_state *index,
                                      fw_error *error) {
    if (fw_mcap_omits(w, FW_MCAP_OMIT_MESSAGE_INDEX)) return FW_OK;
    const uint8_t *end = put_index_heads(w, index);
    FW_ASSERT((size_t)(end - w->scratch) <= w->scratch_capacity);
    for (uint32_t i = 0; i < w->entry_count; i++) {
        const fw_mcap_entry *e = &w->entries[i];
        uint8_t **at = &w->channels[e->channel].next_entry;
        *at = fw_mcap_put_u64(fw_mcap_put_u64(*at, e->time_ns), e->offset);
    }
    index->index_length = (uint64_t)(end - w->scratch);
    return fw_mcap_emit(w, w->scratch, (size_t)(end - w->scratch), error);
}

fw_status fw_mcap_writer_flush(fw_mcap_writer *w, fw_error *error) {
    FW_TRY(fw_mcap_check_ready(w, error));
    if (w->chunk_used == 0) return FW_OK;
    FW_ASSERT(w->chunk_count < w->o.chunks_max);
    fw_mcap_chunk_state *index = &w->chunks[w->chunk_count];
    *index = (fw_mcap_chunk_state){.offset = w->offset, .end_ns = w->chunk_end_ns};
    if (w->entry_count > 0) index->start_ns = w->chunk_start_ns;
    FW_TRY(emit_chunk(w, index, error));
    index->length = w->offset - index->offset;
    FW_TRY(emit_message_indexes(w, index, error));
    w->chunk_count++;
    chunk_clear(w);
    return FW_OK;
}

/* Is there a place for one more record of this content size? */
static inline bool has_room(const fw_mcap_writer *w, size_t content) {
    return content <= (size_t)w->o.message_max_bytes + FW_MCAP_MESSAGE_HEAD_BYTES &&
           (w->chunk_used != 0 || w->chunk_count != w->o.chunks_max ||
            fw_mcap_omits(w, FW_MCAP_OMIT_CHUNKS));
}

static fw_status refuse_room(const fw_mcap_writer *w, const char *what, size_t content,
                             fw_error *error) {
    if (content > (size_t)w->o.message_max_bytes + FW_MCAP_MESSAGE_HEAD_BYTES) {
        return fw_fail(error, FW_TOO_BIG, "mcap: %s of %zu bytes is over the writer's limit of %u",
                       what, content, w->o.message_max_bytes);
    }
    return fw_fail(error, FW_TOO_BIG, "mcap: the file has its %u chunks; end it and begin another",
                   w->o.chunks_max);
}

/* A record was written behind the chunk's others; closes a full chunk, or hands a chunkless
 * record out. */
static inline fw_status chunk_grew(fw_mcap_writer *w, const uint8_t *at, fw_error *error) {
    w->chunk_used = (size_t)(at - w->records);
    FW_ASSERT(w->chunk_used <= w->records_capacity);
    if (w->chunk_used < w->o.chunk_bytes && w->entry_count < w->o.chunk_messages_max &&
        !fw_mcap_omits(w, FW_MCAP_OMIT_CHUNKS)) {
        return FW_OK;
    }
    if (!fw_mcap_omits(w, FW_MCAP_OMIT_CHUNKS)) return fw_mcap_writer_flush(w, error);
    size_t size = w->chunk_used;
    w->chunk_used = 0;
    return fw_mcap_emit(w, w->records, size, error);
}

/* ---------------------------------------------------------------------------- calls ----- */

fw_status fw_mcap_writer_begin(fw_mcap_writer *w, fw_mcap_sink sink, const char *profile,
                               const char *library, fw_error *error) {
    size_t profile_size = fw_mcap_text_size(profile), library_size = fw_mcap_text_size(library);
    if (profile_size > 1024 || library_size > 1024) {
        return fw_fail(error, FW_TOO_BIG, "mcap: profile and library are at most 1024 bytes");
    }
    w->sink = sink;
    w->failed = FW_OK;
    w->ready = w->open = true;
    w->in_attachment = false;
    w->offset = 0;
    w->crc = 0;
    w->schema_count = w->channel_count = w->chunk_count = 0;
    w->attachment_count = w->metadata_count = 0;
    w->text_used = 0;
    w->entry_count = 0;
    chunk_clear(w);
    w->message_count = w->end_ns = 0;
    w->start_ns = UINT64_MAX;
    uint8_t head[FW_MCAP_MAGIC_BYTES + FW_MCAP_PREFIX_BYTES + 8 + 2048];
    uint8_t *at = fw_mcap_put_bytes(head, fw_mcap_magic, FW_MCAP_MAGIC_BYTES);
    at = fw_mcap_put_prefix(at, FW_MCAP_HEADER, 8 + profile_size + library_size);
    at = fw_mcap_put_text(at, profile, profile_size);
    at = fw_mcap_put_text(at, library, library_size);
    return fw_mcap_emit(w, head, (size_t)(at - head), error);
}

/* A schema or channel record stands in text: copies it into the chunk. */
static fw_status add_kept(fw_mcap_writer *w, fw_mcap_piece record, fw_error *error) {
    uint8_t *at =
        fw_mcap_put_bytes(w->records + w->chunk_used, w->text + record.offset, record.size_bytes);
    return chunk_grew(w, at, error);
}

fw_status fw_mcap_writer_add_schema(fw_mcap_writer *w, const char *name, const char *encoding,
                                    const void *data, size_t size_bytes, uint16_t *id,
                                    fw_error *error) {
    FW_TRY(fw_mcap_check_ready(w, error));
    if (w->schema_count == w->o.schemas_max) {
        return fw_fail(error, FW_TOO_BIG, "mcap: more than %u schemas", w->o.schemas_max);
    }
    size_t name_size = fw_mcap_text_size(name), encoding_size = fw_mcap_text_size(encoding);
    size_t content = 14 + name_size + encoding_size;
    content = size_bytes > UINT32_MAX ? size_bytes : content + size_bytes;
    if (!has_room(w, content)) return refuse_room(w, "a schema", content, error);
    if (FW_MCAP_PREFIX_BYTES + content > w->o.text_max_bytes - w->text_used) {
        return fw_fail(error, FW_TOO_BIG, "mcap: schemas and channels are over text_max_bytes");
    }
    fw_mcap_piece *schema = &w->schemas[w->schema_count++];
    *schema = (fw_mcap_piece){.offset = (uint32_t)w->text_used,
                              .size_bytes = (uint32_t)(FW_MCAP_PREFIX_BYTES + content)};
    uint8_t *at = fw_mcap_put_prefix(w->text + w->text_used, FW_MCAP_SCHEMA, content);
    at = fw_mcap_put_u16(at, (uint16_t)w->schema_count);
    at = fw_mcap_put_text(at, name, name_size);
    at = fw_mcap_put_text(at, encoding, encoding_size);
    at = fw_mcap_put_bytes(fw_mcap_put_u32(at, (uint32_t)size_bytes), data, size_bytes);
    w->text_used = (size_t)(at - w->text);
    *id = (uint16_t)w->schema_count;
    return add_kept(w, *schema, error);
}

fw_status fw_mcap_writer_add_channel(fw_mcap_writer *w, uint16_t schema_id, const char *topic,
                                     const char *message_encoding, const fw_mcap_pair *pairs,
                                     size_t pair_count, uint16_t *id, fw_error *error) {
    FW_TRY(fw_mcap_check_ready(w, error));
    if (w->channel_count == w->o.channels_max) {
        return fw_fail(error, FW_TOO_BIG, "mcap: more than %u channels", w->o.channels_max);
    }
    if (schema_id > w->schema_count) {
        return fw_fail(error, FW_INVALID, "mcap: channel with unknown schema %u", schema_id);
    }
    size_t topic_size = fw_mcap_text_size(topic),
           encoding_size = fw_mcap_text_size(message_encoding);
    size_t content = 16 + topic_size + encoding_size + fw_mcap_pairs_size(pairs, pair_count);
    if (!has_room(w, content)) return refuse_room(w, "a channel", content, error);
    if (FW_MCAP_PREFIX_BYTES + content > w->o.text_max_bytes - w->text_used) {
        return fw_fail(error, FW_TOO_BIG, "mcap: schemas and channels are over text_max_bytes");
    }
    fw_mcap_channel_state *c = &w->channels[w->channel_count++];
    *c = (fw_mcap_channel_state){0};
    c->record = (fw_mcap_piece){.offset = (uint32_t)w->text_used,
                                .size_bytes = (uint32_t)(FW_MCAP_PREFIX_BYTES + content)};
    uint8_t *at = fw_mcap_put_prefix(w->text + w->text_used, FW_MCAP_CHANNEL, content);
    at = fw_mcap_put_u16(fw_mcap_put_u16(at, (uint16_t)w->channel_count), schema_id);
    at = fw_mcap_put_text(at, topic, topic_size);
    at = fw_mcap_put_text(at, message_encoding, encoding_size);
    at = fw_mcap_put_pairs(at, pairs, pair_count);
    w->text_used = (size_t)(at - w->text);
    *id = (uint16_t)w->channel_count;
    return add_kept(w, c->record, error);
}

/* Notes the message that starts at the open chunk's end. */
static inline void note_message(fw_mcap_writer *w, uint32_t c, uint64_t time_ns) {
    if (time_ns < w->chunk_start_ns) w->chunk_start_ns = time_ns;
    if (time_ns > w->chunk_end_ns) w->chunk_end_ns = time_ns;
    if (fw_mcap_omits(w, FW_MCAP_OMIT_CHUNKS)) {
        w->message_count++;
        w->channels[c].message_count++;
        w->start_ns = w->chunk_start_ns;
        w->end_ns = w->chunk_end_ns;
        return;
    }
    w->channels[c].count++;
    w->entries[w->entry_count++] =
        (fw_mcap_entry){.time_ns = time_ns, .offset = (uint32_t)w->chunk_used, .channel = c};
}

fw_status fw_mcap_writer_message(fw_mcap_writer *w, uint16_t channel_id, uint32_t sequence,
                                 uint64_t log_time_ns, uint64_t publish_time_ns, const void *data,
                                 size_t size_bytes, fw_error *error) {
    if (!w->ready) return fw_mcap_check_ready(w, error);
    uint32_t c = channel_id - 1u;
    if (c >= w->channel_count) {
        return fw_fail(error, FW_INVALID, "mcap: message on unknown channel %u", channel_id);
    }
    size_t content = size_bytes > UINT32_MAX ? size_bytes : size_bytes + FW_MCAP_MESSAGE_HEAD_BYTES;
    if (!has_room(w, content)) return refuse_room(w, "a message", content, error);
    uint8_t *at = fw_mcap_put_prefix(w->records + w->chunk_used, FW_MCAP_MESSAGE, content);
    note_message(w, c, log_time_ns);
    at = fw_mcap_put_u32(fw_mcap_put_u16(at, channel_id), sequence);
    at = fw_mcap_put_u64(fw_mcap_put_u64(at, log_time_ns), publish_time_ns);
    return chunk_grew(w, fw_mcap_put_bytes(at, data, size_bytes), error);
}

/* -------------------------------------------------------------------------- figures ----- */

uint64_t fw_mcap_writer_size_bytes(const fw_mcap_writer *w) {
    return w->offset;
}

uint64_t fw_mcap_writer_message_count(const fw_mcap_writer *w) {
    return w->message_count + w->entry_count;
}

uint64_t fw_mcap_writer_rest_max_bytes(const fw_mcap_writer *w, size_t next_bytes) {
    const uint64_t chunk_head = 64, index_head = 25, index_entry = 16; /* index_head: 15 and 10 */
    uint64_t chunk = chunk_head + w->chunk_used + FW_MCAP_PREFIX_BYTES +
                     FW_MCAP_MESSAGE_HEAD_BYTES + next_bytes +
                     index_entry * ((uint64_t)w->entry_count + 1) + index_head * w->channel_count;
    uint64_t chunk_indexes = 80 * ((uint64_t)w->chunk_count + 2);
    for (uint32_t i = 0; i < w->chunk_count; i++)
        chunk_indexes += 10 * (uint64_t)w->chunks[i].channels;
    uint64_t named = 64 * ((uint64_t)w->attachment_count + w->metadata_count);
    uint64_t statistics = 64 + 10 * (uint64_t)w->channel_count;
    uint64_t fixed = 13 + 26 * FW_MCAP_SUMMARY_GROUPS + 29 + FW_MCAP_MAGIC_BYTES;
    return chunk + w->text_used + chunk_indexes + named + statistics + fixed;
}

static fw_status memory_write(void *self, const void *bytes, size_t size, fw_error *error) {
    fw_mcap_memory *memory = self;
    if (size > memory->capacity_bytes - memory->size_bytes) {
        return fw_fail(error, FW_NO_SPACE, "mcap: the memory of %zu bytes is full",
                       memory->capacity_bytes);
    }
    memcpy(memory->bytes + memory->size_bytes, bytes, size);
    memory->size_bytes += size;
    return FW_OK;
}

fw_mcap_sink fw_mcap_memory_sink(fw_mcap_memory *memory) {
    return (fw_mcap_sink){.self = memory, .write = memory_write};
}
