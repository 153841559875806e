/* The writer: one chunk gathers in memory, is packed, and goes to the sink with its index.
 *
 *   chunk:   records of the open chunk            packed: the same, packed; then index records
 *   entries: (time, offset, next) of its messages, one list per channel
 *   text:    every schema and channel record of the file, as it stands there (for the summary),
 *            and the names of attachments and metadata
 *
 * Everything that can fail for size is checked before the first byte of a call moves.
 */
#include <stdlib.h>

#include "mcap/codec.h"
#include "mcap/format.h"

enum { NONE = UINT32_MAX, METADATA_MAX_BYTES = 65536 };

typedef struct entry {
    uint64_t time_ns;
    uint32_t offset, next; /* in the chunk; next entry of the same channel or NONE */
} entry;

typedef struct piece {
    uint32_t offset, size_bytes; /* in text */
} piece;

typedef struct channel {
    piece record;
    uint64_t message_count;
    uint32_t first, last, count; /* entries of the open chunk */
} channel;

typedef struct chunk_index {
    uint64_t start_ns, end_ns, offset, length, index_length, packed, unpacked;
    fw_mcap_compression compression;
    uint32_t channels;
} chunk_index;

typedef struct attachment_index {
    uint64_t offset, length, log_time_ns, create_time_ns, data_size;
    piece name, media_type;
} attachment_index;

typedef struct metadata_index {
    uint64_t offset, length;
    piece name;
} metadata_index;

struct fw_mcap_writer {
    fw_mcap_writer_options o;
    fw_mcap_packer packer;
    fw_mcap_sink sink;
    bool open;        /* between begin and end */
    fw_status failed; /* of the sink */
    uint64_t offset;  /* bytes given to the sink */
    uint32_t crc;     /* of the data section, then of the summary */

    uint8_t *chunk, *packed, *text;
    size_t chunk_used, chunk_capacity, packed_capacity, text_used;
    uint64_t chunk_start_ns, chunk_end_ns;
    entry *entries;
    uint32_t entry_count;

    piece *schemas;
    channel *channels;
    chunk_index *chunks;
    uint8_t *index_offsets; /* (chunks_max, channels_max) of 10 bytes, as they go to the file */
    attachment_index *attachments;
    metadata_index *metadata;
    uint32_t schema_count, channel_count, chunk_count, attachment_count, metadata_count;
    uint64_t message_count, start_ns, end_ns;
};

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
    take_default(&o.text_max_bytes, 262144);
    return o;
}

static fw_status check_options(const fw_mcap_writer_options *o, fw_error *error) {
    const uint32_t most = 1u << 30;
    if (o->chunk_bytes > most || o->message_max_bytes > most || o->text_max_bytes > most) {
        return fw_fail(error, FW_INVALID, "mcap: chunk, message and text sizes are at most 1 GiB");
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

static fw_status allocate(fw_mcap_writer *w, fw_error *error) {
    const fw_mcap_writer_options *o = &w->o;
    w->chunk_capacity = (size_t)o->chunk_bytes + o->message_max_bytes + 64;
    size_t index_bytes = 64 + 16 * (size_t)o->chunk_messages_max;
    size_t bound = fw_mcap_packer_bound(&w->packer, w->chunk_capacity);
    w->packed_capacity = bound > index_bytes ? bound : index_bytes;
    if (w->packed_capacity < METADATA_MAX_BYTES + 64) w->packed_capacity = METADATA_MAX_BYTES + 64;
    w->chunk = malloc(w->chunk_capacity);
    w->packed = malloc(w->packed_capacity);
    w->text = malloc(o->text_max_bytes);
    w->entries = calloc(o->chunk_messages_max, sizeof *w->entries);
    w->schemas = calloc(o->schemas_max, sizeof *w->schemas);
    w->channels = calloc(o->channels_max, sizeof *w->channels);
    w->chunks = calloc(o->chunks_max, sizeof *w->chunks);
    w->index_offsets = calloc(o->chunks_max, 10 * (size_t)o->channels_max);
    w->attachments = calloc(o->attachments_max, sizeof *w->attachments);
    w->metadata = calloc(o->metadata_max, sizeof *w->metadata);
    if (w->chunk == NULL || w->packed == NULL || w->text == NULL || w->entries == NULL ||
        w->schemas == NULL || w->channels == NULL || w->chunks == NULL ||
        w->index_offsets == NULL || w->attachments == NULL || w->metadata == NULL) {
        return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for the writer's buffers");
    }
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
    free(w->chunk);
    free(w->packed);
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

static bool omits(const fw_mcap_writer *w, uint32_t part) {
    return (w->o.omit & part) != 0;
}

static fw_status emit(fw_mcap_writer *w, const void *bytes, size_t size, fw_error *error) {
    if (w->failed != FW_OK) {
        return fw_fail(error, w->failed, "mcap: the output failed before; the file is lost");
    }
    if (size == 0) return FW_OK;
    if (!omits(w, FW_MCAP_OMIT_CRC)) w->crc = fw_mcap_crc32(w->crc, bytes, size);
    w->failed = w->sink.write(w->sink.self, bytes, size, error);
    if (w->failed == FW_OK) w->offset += size;
    return w->failed;
}

/* Every call that writes starts here. */
static fw_status check_open(const fw_mcap_writer *w, fw_error *error) {
    if (w->failed != FW_OK) {
        return fw_fail(error, w->failed, "mcap: the output failed before; the file is lost");
    }
    if (!w->open) return fw_fail(error, FW_INVALID, "mcap: no file begun");
    return FW_OK;
}

static bool text_room(const fw_mcap_writer *w, size_t size) {
    return size <= w->o.text_max_bytes - w->text_used;
}

static piece keep_text(fw_mcap_writer *w, const void *bytes, size_t size) {
    piece kept = {.offset = (uint32_t)w->text_used, .size_bytes = (uint32_t)size};
    (void)fw_mcap_put_bytes(w->text + w->text_used, bytes, size);
    w->text_used += size;
    return kept;
}

/* Bytes of a string field, NULL being "". */
static size_t text_size(const char *text) {
    return text == NULL ? 0 : strlen(text);
}

static size_t pairs_size(const fw_mcap_pair *pairs, size_t count) {
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += 8 + text_size(pairs[i].key) + text_size(pairs[i].value);
    }
    return size;
}

static uint8_t *put_pairs(uint8_t *at, const fw_mcap_pair *pairs, size_t count) {
    at = fw_mcap_put_u32(at, (uint32_t)pairs_size(pairs, count));
    for (size_t i = 0; i < count; i++) {
        at = fw_mcap_put_text(at, pairs[i].key, text_size(pairs[i].key));
        at = fw_mcap_put_text(at, pairs[i].value, text_size(pairs[i].value));
    }
    return at;
}

/* --------------------------------------------------------------------------- chunks ----- */

static void chunk_clear(fw_mcap_writer *w) {
    w->chunk_used = 0;
    w->entry_count = 0;
    w->chunk_start_ns = 0;
    w->chunk_end_ns = 0;
    for (uint32_t i = 0; i < w->channel_count; i++) {
        w->channels[i].first = w->channels[i].last = NONE;
        w->channels[i].count = 0;
    }
}

static fw_status emit_chunk(fw_mcap_writer *w, chunk_index *index, fw_error *error) {
    size_t packed =
        fw_mcap_pack(&w->packer, w->chunk, w->chunk_used, w->packed, w->packed_capacity);
    bool raw = packed == 0;
    index->compression = raw ? FW_MCAP_NONE : w->o.compression;
    index->packed = raw ? w->chunk_used : packed;
    index->unpacked = w->chunk_used;
    const char *name = fw_mcap_compression_name(index->compression);
    uint8_t head[64];
    uint8_t *at = fw_mcap_put_prefix(head, FW_MCAP_CHUNK, 40 + strlen(name) + index->packed);
    at = fw_mcap_put_u64(at, index->start_ns);
    at = fw_mcap_put_u64(at, index->end_ns);
    at = fw_mcap_put_u64(at, index->unpacked);
    at = fw_mcap_put_u32(
        at, omits(w, FW_MCAP_OMIT_CRC) ? 0 : fw_mcap_crc32(0, w->chunk, w->chunk_used));
    at = fw_mcap_put_text(at, name, strlen(name));
    at = fw_mcap_put_u64(at, index->packed);
    FW_TRY(emit(w, head, (size_t)(at - head), error));
    return emit(w, raw ? w->chunk : w->packed, (size_t)index->packed, error);
}

static fw_status emit_message_index(fw_mcap_writer *w, uint32_t c, fw_error *error) {
    uint32_t size = 16 * w->channels[c].count;
    uint8_t *at = fw_mcap_put_prefix(w->packed, FW_MCAP_MESSAGE_INDEX, 6 + (uint64_t)size);
    at = fw_mcap_put_u32(fw_mcap_put_u16(at, (uint16_t)(c + 1)), size);
    for (uint32_t e = w->channels[c].first; e != NONE; e = w->entries[e].next) {
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, w->entries[e].time_ns), w->entries[e].offset);
    }
    FW_ASSERT((size_t)(at - w->packed) == 15 + (size_t)size);
    return emit(w, w->packed, (size_t)(at - w->packed), error);
}

static fw_status emit_message_indexes(fw_mcap_writer *w, chunk_index *index, fw_error *error) {
    if (omits(w, FW_MCAP_OMIT_MESSAGE_INDEX)) return FW_OK;
    uint64_t start = w->offset;
    uint8_t *offsets = w->index_offsets + (size_t)w->chunk_count * 10 * w->o.channels_max;
    for (uint32_t c = 0; c < w->channel_count; c++) {
        if (w->channels[c].count == 0) continue;
        offsets = fw_mcap_put_u16(offsets, (uint16_t)(c + 1));
        offsets = fw_mcap_put_u64(offsets, w->offset);
        index->channels++;
        FW_TRY(emit_message_index(w, c, error));
    }
    index->index_length = w->offset - start;
    return FW_OK;
}

fw_status fw_mcap_writer_flush(fw_mcap_writer *w, fw_error *error) {
    FW_TRY(check_open(w, error));
    if (w->chunk_used == 0) return FW_OK;
    FW_ASSERT(w->chunk_count < w->o.chunks_max);
    chunk_index *index = &w->chunks[w->chunk_count];
    *index = (chunk_index){
        .offset = w->offset, .start_ns = w->chunk_start_ns, .end_ns = w->chunk_end_ns};
    FW_TRY(emit_chunk(w, index, error));
    index->length = w->offset - index->offset;
    FW_TRY(emit_message_indexes(w, index, error));
    w->chunk_count++;
    chunk_clear(w);
    return FW_OK;
}

/* Is there a place for one more record of this content size? Says so before anything moves. */
static fw_status check_room(const fw_mcap_writer *w, const char *what, size_t content,
                            fw_error *error) {
    if (content > (size_t)w->o.message_max_bytes + FW_MCAP_MESSAGE_HEAD_BYTES) {
        return fw_fail(error, FW_TOO_BIG, "mcap: %s of %zu bytes is over the writer's limit of %u",
                       what, content, w->o.message_max_bytes);
    }
    if (!omits(w, FW_MCAP_OMIT_CHUNKS) && w->chunk_used == 0 && w->chunk_count == w->o.chunks_max) {
        return fw_fail(error, FW_TOO_BIG,
                       "mcap: the file has its %u chunks; end it and begin "
                       "another",
                       w->o.chunks_max);
    }
    return FW_OK;
}

/* Where a record that passed check_room is written: in the open chunk. Always enough. */
static uint8_t *chunk_end(fw_mcap_writer *w) {
    return w->chunk + w->chunk_used;
}

/* A record was written at chunk_end; closes a full chunk, or hands a chunkless record out. */
static fw_status chunk_grew(fw_mcap_writer *w, uint8_t *at, fw_error *error) {
    w->chunk_used = (size_t)(at - w->chunk);
    FW_ASSERT(w->chunk_used <= w->chunk_capacity);
    if (omits(w, FW_MCAP_OMIT_CHUNKS)) {
        size_t size = w->chunk_used;
        w->chunk_used = 0;
        return emit(w, w->chunk, size, error);
    }
    bool full = w->chunk_used >= w->o.chunk_bytes || w->entry_count == w->o.chunk_messages_max;
    return full ? fw_mcap_writer_flush(w, error) : FW_OK;
}

/* ---------------------------------------------------------------------------- calls ----- */

fw_status fw_mcap_writer_begin(fw_mcap_writer *w, fw_mcap_sink sink, const char *profile,
                               const char *library, fw_error *error) {
    size_t profile_size = text_size(profile), library_size = text_size(library);
    if (profile_size > 1024 || library_size > 1024) {
        return fw_fail(error, FW_TOO_BIG, "mcap: profile and library are at most 1024 bytes");
    }
    w->sink = sink;
    w->failed = FW_OK;
    w->offset = 0;
    w->crc = 0;
    w->schema_count = w->channel_count = w->chunk_count = 0;
    w->attachment_count = w->metadata_count = 0;
    w->message_count = w->start_ns = w->end_ns = 0;
    w->text_used = 0;
    chunk_clear(w);
    w->open = true;
    uint8_t head[FW_MCAP_MAGIC_BYTES + FW_MCAP_PREFIX_BYTES + 8 + 2048];
    uint8_t *at = fw_mcap_put_bytes(head, fw_mcap_magic, FW_MCAP_MAGIC_BYTES);
    at = fw_mcap_put_prefix(at, FW_MCAP_HEADER, 8 + profile_size + library_size);
    at = fw_mcap_put_text(at, profile, profile_size);
    at = fw_mcap_put_text(at, library, library_size);
    return emit(w, head, (size_t)(at - head), error);
}

/* A schema or channel record stands in text: copies it into the chunk. */
static fw_status add_kept(fw_mcap_writer *w, piece record, fw_error *error) {
    uint8_t *at = fw_mcap_put_bytes(chunk_end(w), w->text + record.offset, record.size_bytes);
    return chunk_grew(w, at, error);
}

fw_status fw_mcap_writer_add_schema(fw_mcap_writer *w, const char *name, const char *encoding,
                                    const void *data, size_t size_bytes, uint16_t *id,
                                    fw_error *error) {
    FW_TRY(check_open(w, error));
    if (w->schema_count == w->o.schemas_max) {
        return fw_fail(error, FW_TOO_BIG, "mcap: more than %u schemas", w->o.schemas_max);
    }
    size_t name_size = text_size(name), encoding_size = text_size(encoding);
    size_t content = 14 + name_size + encoding_size;
    content = size_bytes > UINT32_MAX ? size_bytes : content + size_bytes;
    FW_TRY(check_room(w, "a schema", content, error));
    if (!text_room(w, FW_MCAP_PREFIX_BYTES + content)) {
        return fw_fail(error, FW_TOO_BIG, "mcap: schemas and channels are over text_max_bytes");
    }
    piece *schema = &w->schemas[w->schema_count++];
    *schema = (piece){.offset = (uint32_t)w->text_used,
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
    FW_TRY(check_open(w, error));
    if (w->channel_count == w->o.channels_max) {
        return fw_fail(error, FW_TOO_BIG, "mcap: more than %u channels", w->o.channels_max);
    }
    if (schema_id > w->schema_count) {
        return fw_fail(error, FW_INVALID, "mcap: channel with unknown schema %u", schema_id);
    }
    size_t topic_size = text_size(topic), encoding_size = text_size(message_encoding);
    size_t content = 16 + topic_size + encoding_size + pairs_size(pairs, pair_count);
    FW_TRY(check_room(w, "a channel", content, error));
    if (!text_room(w, FW_MCAP_PREFIX_BYTES + content)) {
        return fw_fail(error, FW_TOO_BIG, "mcap: schemas and channels are over text_max_bytes");
    }
    channel *c = &w->channels[w->channel_count++];
    *c = (channel){.first = NONE, .last = NONE};
    c->record = (piece){.offset = (uint32_t)w->text_used,
                        .size_bytes = (uint32_t)(FW_MCAP_PREFIX_BYTES + content)};
    uint8_t *at = fw_mcap_put_prefix(w->text + w->text_used, FW_MCAP_CHANNEL, content);
    at = fw_mcap_put_u16(fw_mcap_put_u16(at, (uint16_t)w->channel_count), schema_id);
    at = fw_mcap_put_text(at, topic, topic_size);
    at = fw_mcap_put_text(at, message_encoding, encoding_size);
    at = put_pairs(at, pairs, pair_count);
    w->text_used = (size_t)(at - w->text);
    *id = (uint16_t)w->channel_count;
    return add_kept(w, c->record, error);
}

/* Notes the message that starts at the open chunk's end. */
static void note_message(fw_mcap_writer *w, channel *c, uint64_t time_ns) {
    bool first_in_file = w->message_count == 0, first_in_chunk = w->entry_count == 0;
    if (first_in_file || time_ns < w->start_ns) w->start_ns = time_ns;
    if (first_in_file || time_ns > w->end_ns) w->end_ns = time_ns;
    w->message_count++;
    c->message_count++;
    if (omits(w, FW_MCAP_OMIT_CHUNKS)) return;
    if (first_in_chunk || time_ns < w->chunk_start_ns) w->chunk_start_ns = time_ns;
    if (first_in_chunk || time_ns > w->chunk_end_ns) w->chunk_end_ns = time_ns;
    uint32_t e = w->entry_count++;
    w->entries[e] = (entry){.time_ns = time_ns, .offset = (uint32_t)w->chunk_used, .next = NONE};
    if (c->last == NONE)
        c->first = e;
    else
        w->entries[c->last].next = e;
    c->last = e;
    c->count++;
}

fw_status fw_mcap_writer_message(fw_mcap_writer *w, uint16_t channel_id, uint32_t sequence,
                                 uint64_t log_time_ns, uint64_t publish_time_ns, const void *data,
                                 size_t size_bytes, fw_error *error) {
    FW_TRY(check_open(w, error));
    if (channel_id == 0 || channel_id > w->channel_count) {
        return fw_fail(error, FW_INVALID, "mcap: message on unknown channel %u", channel_id);
    }
    size_t content = size_bytes > UINT32_MAX ? size_bytes : size_bytes + FW_MCAP_MESSAGE_HEAD_BYTES;
    FW_TRY(check_room(w, "a message", content, error));
    note_message(w, &w->channels[channel_id - 1], log_time_ns);
    uint8_t *at = fw_mcap_put_prefix(chunk_end(w), FW_MCAP_MESSAGE, content);
    at = fw_mcap_put_u32(fw_mcap_put_u16(at, channel_id), sequence);
    at = fw_mcap_put_u64(fw_mcap_put_u64(at, log_time_ns), publish_time_ns);
    return chunk_grew(w, fw_mcap_put_bytes(at, data, size_bytes), error);
}

fw_status fw_mcap_writer_metadata(fw_mcap_writer *w, const char *name, const fw_mcap_pair *pairs,
                                  size_t pair_count, fw_error *error) {
    FW_TRY(check_open(w, error));
    size_t name_size = text_size(name);
    size_t content = 8 + name_size + pairs_size(pairs, pair_count);
    if (w->metadata_count == w->o.metadata_max || !text_room(w, name_size) ||
        content > METADATA_MAX_BYTES) {
        return fw_fail(error, FW_TOO_BIG, "mcap: metadata '%.40s' is over the writer's limits",
                       name == NULL ? "" : name);
    }
    metadata_index *index = &w->metadata[w->metadata_count++];
    *index = (metadata_index){.offset = w->offset,
                              .length = FW_MCAP_PREFIX_BYTES + content,
                              .name = keep_text(w, name, name_size)};
    uint8_t *at = fw_mcap_put_prefix(w->packed, FW_MCAP_METADATA, content);
    at = fw_mcap_put_text(at, name, name_size);
    at = put_pairs(at, pairs, pair_count);
    return emit(w, w->packed, (size_t)(at - w->packed), error);
}

fw_status fw_mcap_writer_attachment(fw_mcap_writer *w, uint64_t log_time_ns,
                                    uint64_t create_time_ns, const char *name,
                                    const char *media_type, const void *data, size_t size_bytes,
                                    fw_error *error) {
    FW_TRY(check_open(w, error));
    size_t name_size = text_size(name), type_size = text_size(media_type);
    uint8_t head[FW_MCAP_PREFIX_BYTES + 32 + 1024];
    if (w->attachment_count == w->o.attachments_max || name_size + type_size > 1024 ||
        !text_room(w, name_size + type_size)) {
        return fw_fail(error, FW_TOO_BIG, "mcap: attachment '%.40s' is over the writer's limits",
                       name == NULL ? "" : name);
    }
    uint64_t content = 36 + name_size + type_size + (uint64_t)size_bytes;
    attachment_index *index = &w->attachments[w->attachment_count++];
    *index = (attachment_index){.offset = w->offset,
                                .length = FW_MCAP_PREFIX_BYTES + content,
                                .log_time_ns = log_time_ns,
                                .create_time_ns = create_time_ns,
                                .data_size = size_bytes};
    index->name = keep_text(w, name, name_size);
    index->media_type = keep_text(w, media_type, type_size);
    uint8_t *fields = fw_mcap_put_prefix(head, FW_MCAP_ATTACHMENT, content);
    uint8_t *at = fw_mcap_put_u64(fw_mcap_put_u64(fields, log_time_ns), create_time_ns);
    at = fw_mcap_put_text(at, name, name_size);
    at = fw_mcap_put_text(at, media_type, type_size);
    at = fw_mcap_put_u64(at, size_bytes);
    uint32_t crc = fw_mcap_crc32(0, fields, (size_t)(at - fields));
    crc = size_bytes == 0 ? crc : fw_mcap_crc32(crc, data, size_bytes);
    uint8_t tail[4];
    (void)fw_mcap_put_u32(tail, omits(w, FW_MCAP_OMIT_CRC) ? 0 : crc);
    FW_TRY(emit(w, head, (size_t)(at - head), error));
    FW_TRY(emit(w, data, size_bytes, error));
    return emit(w, tail, sizeof tail, error);
}

/* -------------------------------------------------------------------------- summary ----- */

static fw_status emit_schemas(fw_mcap_writer *w, fw_error *error) {
    for (uint32_t i = 0; i < w->schema_count; i++) {
        FW_TRY(emit(w, w->text + w->schemas[i].offset, w->schemas[i].size_bytes, error));
    }
    return FW_OK;
}

static fw_status emit_channels(fw_mcap_writer *w, fw_error *error) {
    for (uint32_t i = 0; i < w->channel_count; i++) {
        piece record = w->channels[i].record;
        FW_TRY(emit(w, w->text + record.offset, record.size_bytes, error));
    }
    return FW_OK;
}

static uint32_t channels_with_messages(const fw_mcap_writer *w) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->channel_count; i++) count += w->channels[i].message_count > 0;
    return count;
}

static fw_status emit_statistics(fw_mcap_writer *w, fw_error *error) {
    uint32_t counted = channels_with_messages(w);
    uint8_t head[64];
    uint8_t *at = fw_mcap_put_prefix(head, FW_MCAP_STATISTICS, 46 + 10 * (uint64_t)counted);
    at = fw_mcap_put_u64(at, w->message_count);
    at = fw_mcap_put_u16(at, (uint16_t)w->schema_count);
    at = fw_mcap_put_u32(fw_mcap_put_u32(at, w->channel_count), w->attachment_count);
    at = fw_mcap_put_u32(fw_mcap_put_u32(at, w->metadata_count), w->chunk_count);
    at = fw_mcap_put_u64(fw_mcap_put_u64(at, w->start_ns), w->end_ns);
    at = fw_mcap_put_u32(at, 10 * counted);
    FW_TRY(emit(w, head, (size_t)(at - head), error));
    for (uint32_t i = 0; i < w->channel_count; i++) {
        if (w->channels[i].message_count == 0) continue;
        at = fw_mcap_put_u16(head, (uint16_t)(i + 1));
        at = fw_mcap_put_u64(at, w->channels[i].message_count);
        FW_TRY(emit(w, head, (size_t)(at - head), error));
    }
    return FW_OK;
}

static fw_status emit_chunk_indexes(fw_mcap_writer *w, fw_error *error) {
    for (uint32_t i = 0; i < w->chunk_count; i++) {
        const chunk_index *x = &w->chunks[i];
        const char *name = fw_mcap_compression_name(x->compression);
        size_t name_size = strlen(name), map_size = 10 * (size_t)x->channels;
        uint8_t fields[64];
        uint8_t *at = fw_mcap_put_prefix(fields, FW_MCAP_CHUNK_INDEX, 64 + map_size + name_size);
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, x->start_ns), x->end_ns);
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, x->offset), x->length);
        at = fw_mcap_put_u32(at, (uint32_t)map_size);
        FW_TRY(emit(w, fields, (size_t)(at - fields), error));
        FW_TRY(emit(w, w->index_offsets + (size_t)i * 10 * w->o.channels_max, map_size, error));
        at = fw_mcap_put_text(fw_mcap_put_u64(fields, x->index_length), name, name_size);
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, x->packed), x->unpacked);
        FW_TRY(emit(w, fields, (size_t)(at - fields), error));
    }
    return FW_OK;
}

static fw_status emit_kept_text(fw_mcap_writer *w, piece text, fw_error *error) {
    uint8_t size[4];
    (void)fw_mcap_put_u32(size, text.size_bytes);
    FW_TRY(emit(w, size, sizeof size, error));
    return emit(w, w->text + text.offset, text.size_bytes, error);
}

static fw_status emit_attachment_indexes(fw_mcap_writer *w, fw_error *error) {
    for (uint32_t i = 0; i < w->attachment_count; i++) {
        const attachment_index *x = &w->attachments[i];
        uint8_t head[64];
        uint8_t *at =
            fw_mcap_put_prefix(head, FW_MCAP_ATTACHMENT_INDEX,
                               48 + (uint64_t)x->name.size_bytes + x->media_type.size_bytes);
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, x->offset), x->length);
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, x->log_time_ns), x->create_time_ns);
        at = fw_mcap_put_u64(at, x->data_size);
        FW_TRY(emit(w, head, (size_t)(at - head), error));
        FW_TRY(emit_kept_text(w, x->name, error));
        FW_TRY(emit_kept_text(w, x->media_type, error));
    }
    return FW_OK;
}

static fw_status emit_metadata_indexes(fw_mcap_writer *w, fw_error *error) {
    for (uint32_t i = 0; i < w->metadata_count; i++) {
        const metadata_index *x = &w->metadata[i];
        uint8_t head[32];
        uint8_t *at =
            fw_mcap_put_prefix(head, FW_MCAP_METADATA_INDEX, 20 + (uint64_t)x->name.size_bytes);
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, x->offset), x->length);
        FW_TRY(emit(w, head, (size_t)(at - head), error));
        FW_TRY(emit_kept_text(w, x->name, error));
    }
    return FW_OK;
}

typedef struct group {
    uint8_t opcode;
    uint32_t omitted_by;
    fw_status (*emit)(fw_mcap_writer *w, fw_error *error);
} group;

static const group groups[] = {
    {FW_MCAP_SCHEMA, FW_MCAP_OMIT_SUMMARY_SCHEMAS, emit_schemas},
    {FW_MCAP_CHANNEL, FW_MCAP_OMIT_SUMMARY_CHANNELS, emit_channels},
    {FW_MCAP_STATISTICS, FW_MCAP_OMIT_STATISTICS, emit_statistics},
    {FW_MCAP_CHUNK_INDEX, FW_MCAP_OMIT_CHUNK_INDEX, emit_chunk_indexes},
    {FW_MCAP_ATTACHMENT_INDEX, FW_MCAP_OMIT_ATTACHMENT_INDEX, emit_attachment_indexes},
    {FW_MCAP_METADATA_INDEX, FW_MCAP_OMIT_METADATA_INDEX, emit_metadata_indexes},
};
enum { GROUPS = sizeof groups / sizeof groups[0] };

static fw_status emit_summary_offsets(fw_mcap_writer *w, const uint64_t starts[GROUPS + 1],
                                      fw_error *error) {
    if (omits(w, FW_MCAP_OMIT_SUMMARY_OFFSET)) return FW_OK;
    for (int g = 0; g < GROUPS; g++) {
        if (starts[g] == starts[g + 1]) continue;
        uint8_t record[FW_MCAP_PREFIX_BYTES + 17];
        uint8_t *at = fw_mcap_put_prefix(record, FW_MCAP_SUMMARY_OFFSET, 17);
        *at++ = groups[g].opcode;
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, starts[g]), starts[g + 1] - starts[g]);
        FW_TRY(emit(w, record, (size_t)(at - record), error));
    }
    return FW_OK;
}

static fw_status emit_data_end(fw_mcap_writer *w, fw_error *error) {
    uint8_t record[FW_MCAP_PREFIX_BYTES + 4];
    (void)fw_mcap_put_u32(fw_mcap_put_prefix(record, FW_MCAP_DATA_END, 4), w->crc);
    FW_TRY(emit(w, record, sizeof record, error));
    w->crc = 0;
    return FW_OK;
}

static fw_status emit_footer(fw_mcap_writer *w, uint64_t summary_start, uint64_t offset_start,
                             fw_error *error) {
    uint8_t record[FW_MCAP_PREFIX_BYTES + FW_MCAP_FOOTER_BYTES];
    uint8_t *at = fw_mcap_put_prefix(record, FW_MCAP_FOOTER, FW_MCAP_FOOTER_BYTES);
    bool has_summary = summary_start != offset_start, has_offsets = offset_start != w->offset;
    at = fw_mcap_put_u64(at, has_summary ? summary_start : 0);
    at = fw_mcap_put_u64(at, has_offsets ? offset_start : 0);
    FW_TRY(emit(w, record, (size_t)(at - record), error));
    uint8_t tail[4 + FW_MCAP_MAGIC_BYTES];
    at = fw_mcap_put_u32(tail, w->crc);
    (void)fw_mcap_put_bytes(at, fw_mcap_magic, FW_MCAP_MAGIC_BYTES);
    return emit(w, tail, sizeof tail, error);
}

fw_status fw_mcap_writer_end(fw_mcap_writer *w, fw_error *error) {
    FW_TRY(fw_mcap_writer_flush(w, error));
    FW_TRY(emit_data_end(w, error));
    uint64_t starts[GROUPS + 1];
    for (int g = 0; g < GROUPS; g++) {
        starts[g] = w->offset;
        if (!omits(w, groups[g].omitted_by)) FW_TRY(groups[g].emit(w, error));
    }
    starts[GROUPS] = w->offset;
    FW_TRY(emit_summary_offsets(w, starts, error));
    FW_TRY(emit_footer(w, starts[0], starts[GROUPS], error));
    w->open = false;
    return FW_OK;
}

/* -------------------------------------------------------------------------- figures ----- */

uint64_t fw_mcap_writer_size_bytes(const fw_mcap_writer *w) {
    return w->offset;
}

uint64_t fw_mcap_writer_message_count(const fw_mcap_writer *w) {
    return w->message_count;
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
    uint64_t fixed = 13 + 26 * GROUPS + 29 + FW_MCAP_MAGIC_BYTES;
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
