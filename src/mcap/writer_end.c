/* The writer's second half: what stands between chunks (metadata, attachments) and behind the
 * last one (data end, summary, footer). */
#include "mcap/writer.h"

static bool text_room(const fw_mcap_writer *w, size_t size) {
    return size <= w->o.text_max_bytes - w->text_used;
}

static fw_mcap_piece keep_text(fw_mcap_writer *w, const void *bytes, size_t size) {
    fw_mcap_piece kept = {.offset = (uint32_t)w->text_used, .size_bytes = (uint32_t)size};
    (void)fw_mcap_put_bytes(w->text + w->text_used, bytes, size);
    w->text_used += size;
    return kept;
}

fw_status fw_mcap_writer_metadata(fw_mcap_writer *w, const char *name, const fw_mcap_pair *pairs,
                                  size_t pair_count, fw_error *error) {
    FW_TRY(fw_mcap_check_ready(w, error));
    size_t name_size = fw_mcap_text_size(name);
    size_t content = 8 + name_size + fw_mcap_pairs_size(pairs, pair_count);
    if (w->metadata_count == w->o.metadata_max || !text_room(w, name_size) ||
        content > w->o.metadata_max_bytes) {
        return fw_fail(error, FW_TOO_BIG, "mcap: metadata '%.40s' is over the writer's limits",
                       name == NULL ? "" : name);
    }
    fw_mcap_metadata_state *index = &w->metadata[w->metadata_count++];
    *index = (fw_mcap_metadata_state){.offset = w->offset,
                                      .length = FW_MCAP_PREFIX_BYTES + content,
                                      .name = keep_text(w, name, name_size)};
    uint8_t *at = fw_mcap_put_prefix(w->scratch, FW_MCAP_METADATA, content);
    at = fw_mcap_put_text(at, name, name_size);
    at = fw_mcap_put_pairs(at, pairs, pair_count);
    FW_ASSERT((size_t)(at - w->scratch) <= w->scratch_capacity);
    return fw_mcap_emit(w, w->scratch, (size_t)(at - w->scratch), error);
}

/* ---------------------------------------------------------------------- attachments ----- */

fw_status fw_mcap_writer_attachment_begin(fw_mcap_writer *w, uint64_t log_time_ns,
                                          uint64_t create_time_ns, const char *name,
                                          const char *media_type, uint64_t size_bytes,
                                          fw_error *error) {
    FW_TRY(fw_mcap_check_ready(w, error));
    size_t name_size = fw_mcap_text_size(name), type_size = fw_mcap_text_size(media_type);
    uint8_t head[FW_MCAP_PREFIX_BYTES + 32 + 1024];
    if (w->attachment_count == w->o.attachments_max || name_size > 1024 || type_size > 1024 ||
        name_size + type_size > 1024 || !text_room(w, name_size + type_size) ||
        size_bytes > (uint64_t)1 << 62) {
        return fw_fail(error, FW_TOO_BIG, "mcap: attachment '%.40s' is over the writer's limits",
                       name == NULL ? "" : name);
    }
    uint64_t content = 36 + name_size + type_size + size_bytes;
    fw_mcap_attachment_state *index = &w->attachments[w->attachment_count++];
    *index = (fw_mcap_attachment_state){.offset = w->offset,
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
    w->attachment_crc = fw_mcap_crc32(0, fields, (size_t)(at - fields));
    w->attachment_left = size_bytes;
    w->in_attachment = true;
    w->ready = false;
    return fw_mcap_emit(w, head, (size_t)(at - head), error);
}

static fw_status check_attachment(const fw_mcap_writer *w, fw_error *error) {
    if (w->open && w->in_attachment && w->failed == FW_OK) return FW_OK;
    FW_TRY(fw_mcap_check_ready(w, error));
    return fw_fail(error, FW_INVALID, "mcap: no attachment begun");
}

fw_status fw_mcap_writer_attachment_write(fw_mcap_writer *w, const void *data, size_t size_bytes,
                                          fw_error *error) {
    FW_TRY(check_attachment(w, error));
    if (size_bytes > w->attachment_left) {
        return fw_fail(error, FW_TOO_BIG, "mcap: %zu bytes of an attachment with %llu to come",
                       size_bytes, (unsigned long long)w->attachment_left);
    }
    if (size_bytes == 0) return FW_OK;
    w->attachment_left -= size_bytes;
    if (fw_mcap_omits(w, FW_MCAP_OMIT_CRC)) return fw_mcap_emit(w, data, size_bytes, error);
    uint32_t crc = fw_mcap_crc32(0, data, size_bytes);
    w->attachment_crc = fw_mcap_crc32_join(w->attachment_crc, crc, size_bytes);
    return fw_mcap_emit_summed(w, data, size_bytes, crc, error);
}

fw_status fw_mcap_writer_attachment_end(fw_mcap_writer *w, fw_error *error) {
    FW_TRY(check_attachment(w, error));
    if (w->attachment_left > 0) return fw_mcap_check_ready(w, error);
    uint8_t tail[4];
    bool summed = !fw_mcap_omits(w, FW_MCAP_OMIT_CRC);
    (void)fw_mcap_put_u32(tail, summed ? w->attachment_crc : 0);
    w->in_attachment = false;
    w->ready = true;
    return fw_mcap_emit(w, tail, sizeof tail, error);
}

fw_status fw_mcap_writer_attachment(fw_mcap_writer *w, uint64_t log_time_ns,
                                    uint64_t create_time_ns, const char *name,
                                    const char *media_type, const void *data, size_t size_bytes,
                                    fw_error *error) {
    FW_TRY(fw_mcap_writer_attachment_begin(w, log_time_ns, create_time_ns, name, media_type,
                                           size_bytes, error));
    FW_TRY(fw_mcap_writer_attachment_write(w, data, size_bytes, error));
    return fw_mcap_writer_attachment_end(w, error);
}

/* -------------------------------------------------------------------------- summary ----- */

static fw_status emit_schemas(fw_mcap_writer *w, fw_error *error) {
    for (uint32_t i = 0; i < w->schema_count; i++) {
        FW_TRY(fw_mcap_emit(w, w->text + w->schemas[i].offset, w->schemas[i].size_bytes, error));
    }
    return FW_OK;
}

static fw_status emit_channels(fw_mcap_writer *w, fw_error *error) {
    for (uint32_t i = 0; i < w->channel_count; i++) {
        fw_mcap_piece record = w->channels[i].record;
        FW_TRY(fw_mcap_emit(w, w->text + record.offset, record.size_bytes, error));
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
    at = fw_mcap_put_u64(at, w->message_count == 0 ? 0 : w->start_ns);
    at = fw_mcap_put_u64(at, w->end_ns);
    at = fw_mcap_put_u32(at, 10 * counted);
    FW_TRY(fw_mcap_emit(w, head, (size_t)(at - head), error));
    for (uint32_t i = 0; i < w->channel_count; i++) {
        if (w->channels[i].message_count == 0) continue;
        at = fw_mcap_put_u16(head, (uint16_t)(i + 1));
        at = fw_mcap_put_u64(at, w->channels[i].message_count);
        FW_TRY(fw_mcap_emit(w, head, (size_t)(at - head), error));
    }
    return FW_OK;
}

static fw_status emit_chunk_indexes(fw_mcap_writer *w, fw_error *error) {
    for (uint32_t i = 0; i < w->chunk_count; i++) {
        const fw_mcap_chunk_state *x = &w->chunks[i];
        const char *name = fw_mcap_compression_name(x->compression);
        size_t name_size = strlen(name), map_size = 10 * (size_t)x->channels;
        uint8_t fields[64];
        uint8_t *at = fw_mcap_put_prefix(fields, FW_MCAP_CHUNK_INDEX, 64 + map_size + name_size);
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, x->start_ns), x->end_ns);
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, x->offset), x->length);
        at = fw_mcap_put_u32(at, (uint32_t)map_size);
        FW_TRY(fw_mcap_emit(w, fields, (size_t)(at - fields), error));
        FW_TRY(fw_mcap_emit(w, w->index_offsets + (size_t)i * 10 * w->o.channels_max, map_size,
                            error));
        at = fw_mcap_put_text(fw_mcap_put_u64(fields, x->index_length), name, name_size);
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, x->packed), x->unpacked);
        FW_TRY(fw_mcap_emit(w, fields, (size_t)(at - fields), error));
    }
    return FW_OK;
}

static fw_status emit_kept_text(fw_mcap_writer *w, fw_mcap_piece text, fw_error *error) {
    uint8_t size[4];
    (void)fw_mcap_put_u32(size, text.size_bytes);
    FW_TRY(fw_mcap_emit(w, size, sizeof size, error));
    return fw_mcap_emit(w, w->text + text.offset, text.size_bytes, error);
}

static fw_status emit_attachment_indexes(fw_mcap_writer *w, fw_error *error) {
    for (uint32_t i = 0; i < w->attachment_count; i++) {
        const fw_mcap_attachment_state *x = &w->attachments[i];
        uint8_t head[64];
        uint8_t *at =
            fw_mcap_put_prefix(head, FW_MCAP_ATTACHMENT_INDEX,
                               48 + (uint64_t)x->name.size_bytes + x->media_type.size_bytes);
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, x->offset), x->length);
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, x->log_time_ns), x->create_time_ns);
        at = fw_mcap_put_u64(at, x->data_size);
        FW_TRY(fw_mcap_emit(w, head, (size_t)(at - head), error));
        FW_TRY(emit_kept_text(w, x->name, error));
        FW_TRY(emit_kept_text(w, x->media_type, error));
    }
    return FW_OK;
}

static fw_status emit_metadata_indexes(fw_mcap_writer *w, fw_error *error) {
    for (uint32_t i = 0; i < w->metadata_count; i++) {
        const fw_mcap_metadata_state *x = &w->metadata[i];
        uint8_t head[32];
        uint8_t *at =
            fw_mcap_put_prefix(head, FW_MCAP_METADATA_INDEX, 20 + (uint64_t)x->name.size_bytes);
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, x->offset), x->length);
        FW_TRY(fw_mcap_emit(w, head, (size_t)(at - head), error));
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
_Static_assert(sizeof groups / sizeof groups[0] == FW_MCAP_SUMMARY_GROUPS, "groups");

static fw_status emit_summary_offsets(fw_mcap_writer *w,
                                      const uint64_t starts[FW_MCAP_SUMMARY_GROUPS + 1],
                                      fw_error *error) {
    if (fw_mcap_omits(w, FW_MCAP_OMIT_SUMMARY_OFFSET)) return FW_OK;
    for (int g = 0; g < FW_MCAP_SUMMARY_GROUPS; g++) {
        if (starts[g] == starts[g + 1]) continue;
        uint8_t record[FW_MCAP_PREFIX_BYTES + 17];
        uint8_t *at = fw_mcap_put_prefix(record, FW_MCAP_SUMMARY_OFFSET, 17);
        *at++ = groups[g].opcode;
        at = fw_mcap_put_u64(fw_mcap_put_u64(at, starts[g]), starts[g + 1] - starts[g]);
        FW_TRY(fw_mcap_emit(w, record, (size_t)(at - record), error));
    }
    return FW_OK;
}

static fw_status emit_data_end(fw_mcap_writer *w, fw_error *error) {
    uint8_t record[FW_MCAP_PREFIX_BYTES + 4];
    (void)fw_mcap_put_u32(fw_mcap_put_prefix(record, FW_MCAP_DATA_END, 4), w->crc);
    FW_TRY(fw_mcap_emit(w, record, sizeof record, error));
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
    FW_TRY(fw_mcap_emit(w, record, (size_t)(at - record), error));
    uint8_t tail[4 + FW_MCAP_MAGIC_BYTES];
    at = fw_mcap_put_u32(tail, w->crc);
    (void)fw_mcap_put_bytes(at, fw_mcap_magic, FW_MCAP_MAGIC_BYTES);
    return fw_mcap_emit(w, tail, sizeof tail, error);
}

fw_status fw_mcap_writer_end(fw_mcap_writer *w, fw_error *error) {
    FW_TRY(fw_mcap_writer_flush(w, error));
    FW_TRY(emit_data_end(w, error));
    uint64_t starts[FW_MCAP_SUMMARY_GROUPS + 1];
    for (int g = 0; g < FW_MCAP_SUMMARY_GROUPS; g++) {
        starts[g] = w->offset;
        if (!fw_mcap_omits(w, groups[g].omitted_by)) FW_TRY(groups[g].emit(w, error));
    }
    starts[FW_MCAP_SUMMARY_GROUPS] = w->offset;
    FW_TRY(emit_summary_offsets(w, starts, error));
    FW_TRY(emit_footer(w, starts[0], starts[FW_MCAP_SUMMARY_GROUPS], error));
    w->open = w->ready = false;
    return FW_OK;
}
