/* The fields of each record, in the order of the specification. */
#include "mcap/format.h"

static bool parse_schema(fw_mcap_cursor *c, fw_mcap_schema *s) {
    return fw_mcap_get_u16(c, &s->id) && fw_mcap_get_text(c, &s->name) &&
           fw_mcap_get_text(c, &s->encoding) && fw_mcap_get_array(c, 1, &s->data, &s->size_bytes);
}

static bool parse_channel(fw_mcap_cursor *c, fw_mcap_channel *ch) {
    return fw_mcap_get_u16(c, &ch->id) && fw_mcap_get_u16(c, &ch->schema_id) &&
           fw_mcap_get_text(c, &ch->topic) && fw_mcap_get_text(c, &ch->message_encoding) &&
           fw_mcap_get_map(c, &ch->metadata);
}

static bool parse_message(fw_mcap_cursor *c, fw_mcap_message *m) {
    m->channel = NULL;
    m->schema = NULL;
    if (!fw_mcap_get_u16(c, &m->channel_id) || !fw_mcap_get_u32(c, &m->sequence) ||
        !fw_mcap_get_u64(c, &m->log_time_ns) || !fw_mcap_get_u64(c, &m->publish_time_ns)) {
        return false;
    }
    m->size_bytes = c->left;
    return fw_mcap_get_bytes(c, c->left, &m->data);
}

static bool parse_chunk(fw_mcap_cursor *c, fw_mcap_chunk *k, const uint8_t **data) {
    return fw_mcap_get_u64(c, &k->message_start_time_ns) &&
           fw_mcap_get_u64(c, &k->message_end_time_ns) &&
           fw_mcap_get_u64(c, &k->uncompressed_size_bytes) &&
           fw_mcap_get_u32(c, &k->uncompressed_crc) && fw_mcap_get_text(c, &k->compression) &&
           fw_mcap_get_u64(c, &k->compressed_size_bytes) &&
           fw_mcap_get_bytes(c, k->compressed_size_bytes, data);
}

static bool parse_message_index(fw_mcap_cursor *c, fw_mcap_message_index *x) {
    return fw_mcap_get_u16(c, &x->channel_id) &&
           fw_mcap_get_array(c, 16, &x->entries, &x->entry_count);
}

static bool parse_chunk_index(fw_mcap_cursor *c, fw_mcap_chunk_index *x) {
    return fw_mcap_get_u64(c, &x->message_start_time_ns) &&
           fw_mcap_get_u64(c, &x->message_end_time_ns) && fw_mcap_get_u64(c, &x->chunk_offset) &&
           fw_mcap_get_u64(c, &x->chunk_length_bytes) &&
           fw_mcap_get_array(c, 10, &x->index_offsets, &x->index_offset_count) &&
           fw_mcap_get_u64(c, &x->message_index_length_bytes) &&
           fw_mcap_get_text(c, &x->compression) && fw_mcap_get_u64(c, &x->compressed_size_bytes) &&
           fw_mcap_get_u64(c, &x->uncompressed_size_bytes);
}

static bool parse_attachment(fw_mcap_cursor *c, fw_mcap_attachment *a) {
    return fw_mcap_get_u64(c, &a->log_time_ns) && fw_mcap_get_u64(c, &a->create_time_ns) &&
           fw_mcap_get_text(c, &a->name) && fw_mcap_get_text(c, &a->media_type) &&
           fw_mcap_get_u64(c, &a->size_bytes) && fw_mcap_get_bytes(c, a->size_bytes, &a->data) &&
           fw_mcap_get_u32(c, &a->crc);
}

static bool parse_attachment_index(fw_mcap_cursor *c, fw_mcap_attachment_index *x) {
    return fw_mcap_get_u64(c, &x->offset) && fw_mcap_get_u64(c, &x->length_bytes) &&
           fw_mcap_get_u64(c, &x->log_time_ns) && fw_mcap_get_u64(c, &x->create_time_ns) &&
           fw_mcap_get_u64(c, &x->data_size_bytes) && fw_mcap_get_text(c, &x->name) &&
           fw_mcap_get_text(c, &x->media_type);
}

static bool parse_statistics(fw_mcap_cursor *c, fw_mcap_statistics *s) {
    return fw_mcap_get_u64(c, &s->message_count) && fw_mcap_get_u16(c, &s->schema_count) &&
           fw_mcap_get_u32(c, &s->channel_count) && fw_mcap_get_u32(c, &s->attachment_count) &&
           fw_mcap_get_u32(c, &s->metadata_count) && fw_mcap_get_u32(c, &s->chunk_count) &&
           fw_mcap_get_u64(c, &s->message_start_time_ns) &&
           fw_mcap_get_u64(c, &s->message_end_time_ns) &&
           fw_mcap_get_array(c, 10, &s->channel_counts, &s->channel_count_count);
}

static bool parse_footer(fw_mcap_cursor *c, fw_mcap_record *r) {
    return c->left == FW_MCAP_FOOTER_BYTES && fw_mcap_get_u64(c, &r->of.footer.summary_start) &&
           fw_mcap_get_u64(c, &r->of.footer.summary_offset_start) &&
           fw_mcap_get_u32(c, &r->of.footer.summary_crc);
}

static bool parse_summary_offset(fw_mcap_cursor *c, fw_mcap_record *r) {
    const uint8_t *group;
    if (!fw_mcap_get_bytes(c, 1, &group)) return false;
    r->of.summary_offset.group_opcode = *group;
    return fw_mcap_get_u64(c, &r->of.summary_offset.group_start) &&
           fw_mcap_get_u64(c, &r->of.summary_offset.group_length_bytes);
}

bool fw_mcap_parse(const uint8_t *content, uint64_t size_bytes, fw_mcap_record *record,
                   const uint8_t **chunk_data) {
    fw_mcap_cursor c = {.at = content, .left = size_bytes};
    switch ((fw_mcap_opcode)record->opcode) {
    case FW_MCAP_HEADER:
        return fw_mcap_get_text(&c, &record->of.header.profile) &&
               fw_mcap_get_text(&c, &record->of.header.library);
    case FW_MCAP_FOOTER:
        return parse_footer(&c, record);
    case FW_MCAP_SCHEMA:
        return parse_schema(&c, &record->of.schema);
    case FW_MCAP_CHANNEL:
        return parse_channel(&c, &record->of.channel);
    case FW_MCAP_MESSAGE:
        return parse_message(&c, &record->of.message);
    case FW_MCAP_CHUNK:
        return parse_chunk(&c, &record->of.chunk, chunk_data);
    case FW_MCAP_MESSAGE_INDEX:
        return parse_message_index(&c, &record->of.message_index);
    case FW_MCAP_CHUNK_INDEX:
        return parse_chunk_index(&c, &record->of.chunk_index);
    case FW_MCAP_ATTACHMENT:
        return parse_attachment(&c, &record->of.attachment);
    case FW_MCAP_ATTACHMENT_INDEX:
        return parse_attachment_index(&c, &record->of.attachment_index);
    case FW_MCAP_STATISTICS:
        return parse_statistics(&c, &record->of.statistics);
    case FW_MCAP_METADATA:
        return fw_mcap_get_text(&c, &record->of.metadata.name) &&
               fw_mcap_get_map(&c, &record->of.metadata.map);
    case FW_MCAP_METADATA_INDEX:
        return fw_mcap_get_u64(&c, &record->of.metadata_index.offset) &&
               fw_mcap_get_u64(&c, &record->of.metadata_index.length_bytes) &&
               fw_mcap_get_text(&c, &record->of.metadata_index.name);
    case FW_MCAP_SUMMARY_OFFSET:
        return parse_summary_offset(&c, record);
    case FW_MCAP_DATA_END:
        return fw_mcap_get_u32(&c, &record->of.data_end.data_section_crc);
    }
    return false;
}
