/* Opening a file for random access: the footer, the summary, and every stretch of the data section
 * that the chunk indexes leave uncovered. Where that does not tell all (no summary, chunks without
 * index, channels left out), the file is read once from its start.
 *
 *   magic Header | chunk MessageIndex.. | gap: walked | chunk MessageIndex.. | DataEnd | summary
 *                 '------ a part -----'   attachments,  '------ a part -----'
 *                                         metadata, loose messages
 */
#include "mcap/indexed.h"

#include <inttypes.h>
#include <stdlib.h>

#include "mcap/format.h"
#include "mcap/reader.h"

enum { RUN_BYTES = 1 << 18, FOOTER_RECORD = FW_MCAP_PREFIX_BYTES + FW_MCAP_FOOTER_BYTES };

static fw_status bad_record(const fw_mcap_record *record, const char *what, fw_error *error) {
    return fw_fail(error, FW_CORRUPT, "mcap: %s record at byte %" PRIu64 ": %s",
                   fw_mcap_opcode_name(record->opcode), record->offset, what);
}

fw_status fw_mcap_indexed_record_at(const fw_mcap_indexed *ix, uint64_t offset, uint64_t end,
                                    fw_mcap_record *record, const uint8_t **chunk_data,
                                    fw_error *error) {
    FW_ASSERT(offset <= end && end <= ix->size);
    record->offset = offset;
    record->in_chunk = record->in_summary = false;
    record->opcode = 0;
    if (end - offset < FW_MCAP_PREFIX_BYTES) {
        return bad_record(record, "its section ends inside it", error);
    }
    const uint8_t *at = ix->bytes + offset;
    record->opcode = at[0];
    uint64_t length = fw_mcap_load_u64(at + 1);
    if (length > end - offset - FW_MCAP_PREFIX_BYTES) {
        return bad_record(record, "it claims more bytes than its section has", error);
    }
    record->length_bytes = FW_MCAP_PREFIX_BYTES + length;
    if (record->opcode == 0) return bad_record(record, "this kind does not exist", error);
    if (record->opcode > FW_MCAP_DATA_END) return FW_OK;
    const uint8_t *unused;
    if (fw_mcap_parse(at + FW_MCAP_PREFIX_BYTES, length, record,
                      chunk_data == NULL ? &unused : chunk_data)) {
        return FW_OK;
    }
    return bad_record(record, "its content does not hold its fields", error);
}

/* ------------------------------------------------------------------------ growing lists ----- */

static fw_status add_offset(fw_mcap_offsets *list, uint64_t offset, fw_error *error) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity * 2 + 16;
        uint64_t *grown = realloc(list->at, capacity * sizeof *grown);
        if (grown == NULL) return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for an index");
        list->at = grown;
        list->capacity = capacity;
    }
    list->at[list->count++] = offset;
    return FW_OK;
}

static fw_status add_part(fw_mcap_indexed *ix, const fw_mcap_part *part, fw_error *error) {
    if (ix->part_count >= ix->limits.chunks_max) {
        return fw_fail(error, FW_TOO_BIG, "mcap: over %" PRIu64 " chunks at byte %" PRIu64,
                       ix->limits.chunks_max, part->offset);
    }
    if (ix->part_count == ix->part_capacity) {
        size_t capacity = ix->part_capacity * 2 + 16;
        fw_mcap_part *grown = realloc(ix->parts, capacity * sizeof *grown);
        if (grown == NULL) return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for chunks");
        ix->parts = grown;
        ix->part_capacity = capacity;
    }
    ix->parts[ix->part_count++] = *part;
    return FW_OK;
}

/* A message outside chunks: into the last part, if that is the run it continues. */
static fw_status add_loose(fw_mcap_indexed *ix, const fw_mcap_record *record, fw_error *error) {
    uint64_t time_ns = record->of.message.log_time_ns;
    fw_mcap_part *last = ix->part_count == 0 ? NULL : &ix->parts[ix->part_count - 1];
    if (last != NULL && last->loose && last->offset + last->length == record->offset &&
        last->length < RUN_BYTES) {
        last->length += record->length_bytes;
        if (time_ns < last->start_ns) last->start_ns = time_ns;
        if (time_ns > last->end_ns) last->end_ns = time_ns;
        return FW_OK;
    }
    fw_mcap_part run = {.offset = record->offset,
                        .length = record->length_bytes,
                        .start_ns = time_ns,
                        .end_ns = time_ns,
                        .loose = true};
    return add_part(ix, &run, error);
}

static int by_offset(const void *a, const void *b) {
    uint64_t x = ((const fw_mcap_part *)a)->offset, y = ((const fw_mcap_part *)b)->offset;
    return (x > y) - (x < y);
}

static void sort_parts(fw_mcap_indexed *ix) {
    for (size_t i = 1; i < ix->part_count; i++) {
        if (ix->parts[i - 1].offset <= ix->parts[i].offset) continue;
        qsort(ix->parts, ix->part_count, sizeof *ix->parts, by_offset);
        return;
    }
}

/* ------------------------------------------------------------------------------ summary ----- */

static fw_status see_chunk_index(fw_mcap_indexed *ix, const fw_mcap_record *record,
                                 fw_error *error) {
    const fw_mcap_chunk_index *x = &record->of.chunk_index;
    fw_mcap_part part = {.offset = x->chunk_offset,
                         .length = x->chunk_length_bytes,
                         .start_ns = x->message_start_time_ns,
                         .end_ns = x->message_end_time_ns,
                         .claimed = true,
                         .packed = x->compressed_size_bytes,
                         .unpacked = x->uncompressed_size_bytes,
                         .index_length = x->message_index_length_bytes,
                         .index_offsets = x->index_offsets,
                         .index_offset_count = x->index_offset_count};
    if (part.start_ns > part.end_ns) return bad_record(record, "it ends before it starts", error);
    if (!fw_mcap_compression_of(x->compression, &part.compression)) {
        return fw_fail(error, FW_UNSUPPORTED,
                       "mcap: ChunkIndex record at byte %" PRIu64
                       ": an unknown compression; known are none, zstd, lz4",
                       record->offset);
    }
    return add_part(ix, &part, error);
}

static fw_status see_summary(fw_mcap_indexed *ix, const fw_mcap_record *r, fw_error *error) {
    switch (r->opcode) {
    case FW_MCAP_SCHEMA:
        if (r->of.schema.id == 0) return FW_OK;
        return fw_mcap_known_add_schema(&ix->known, &r->of.schema, r->offset, error);
    case FW_MCAP_CHANNEL:
        if (r->of.channel.schema_id != 0 &&
            fw_mcap_known_schema(&ix->known, r->of.channel.schema_id) == NULL) {
            ix->incomplete = true; /* its schema stands in a chunk */
            return FW_OK;
        }
        return fw_mcap_known_add_channel(&ix->known, &r->of.channel, r->offset, error);
    case FW_MCAP_CHUNK_INDEX:
        return see_chunk_index(ix, r, error);
    case FW_MCAP_STATISTICS:
        ix->statistics = r->of.statistics;
        ix->has_statistics = true;
        return FW_OK;
    case FW_MCAP_ATTACHMENT_INDEX:
    case FW_MCAP_METADATA_INDEX:
    case FW_MCAP_SUMMARY_OFFSET:
        return FW_OK; /* what they would tell is found in the gaps */
    default:
        if (r->opcode > FW_MCAP_DATA_END) return FW_OK;
        return bad_record(r, "this kind may not stand in the summary", error);
    }
}

/* Reads the summary in [start, footer). */
static fw_status read_summary(fw_mcap_indexed *ix, const fw_mcap_record *footer, fw_error *error) {
    uint64_t start = footer->of.footer.summary_start;
    if (start < FW_MCAP_MAGIC_BYTES || start > footer->offset) {
        return bad_record(footer, "it names a summary outside the file", error);
    }
    uint32_t crc = footer->of.footer.summary_crc;
    size_t covered = (size_t)(footer->offset - start) + FW_MCAP_PREFIX_BYTES + 16;
    if (crc != 0 && fw_mcap_crc32(0, ix->bytes + start, covered) != crc) {
        return bad_record(footer, "wrong CRC of the summary", error);
    }
    for (uint64_t at = start; at < footer->offset;) {
        fw_mcap_record record;
        FW_TRY(fw_mcap_indexed_record_at(ix, at, footer->offset, &record, NULL, error));
        FW_TRY(see_summary(ix, &record, error));
        at += record.length_bytes;
    }
    return FW_OK;
}

/* -------------------------------------------------------------------------- data section ----- */

typedef struct walk {
    uint64_t at, end; /* end: where the summary starts */
    bool ended;       /* DataEnd was met */
    bool unindexed;   /* a chunk that no ChunkIndex names */
} walk;

static fw_status see_gap(fw_mcap_indexed *ix, walk *w, const fw_mcap_record *r, fw_error *error) {
    switch (r->opcode) {
    case FW_MCAP_SCHEMA:
    case FW_MCAP_CHANNEL:
        return see_summary(ix, r, error);
    case FW_MCAP_MESSAGE:
        return add_loose(ix, r, error);
    case FW_MCAP_ATTACHMENT:
        return add_offset(&ix->attachments, r->offset, error);
    case FW_MCAP_METADATA:
        return add_offset(&ix->metadata, r->offset, error);
    case FW_MCAP_MESSAGE_INDEX:
        return FW_OK;
    case FW_MCAP_CHUNK:
        w->unindexed = true;
        return FW_OK;
    case FW_MCAP_DATA_END:
        w->ended = true;
        if (w->at + r->length_bytes == w->end) return FW_OK;
        return bad_record(r, "the summary does not follow it", error);
    default:
        if (r->opcode > FW_MCAP_DATA_END) return FW_OK;
        return bad_record(r, "this kind may not stand in the data section", error);
    }
}

static fw_status walk_gap(fw_mcap_indexed *ix, walk *w, uint64_t end, fw_error *error) {
    while (w->at < end && !w->unindexed) {
        fw_mcap_record record;
        FW_TRY(fw_mcap_indexed_record_at(ix, w->at, end, &record, NULL, error));
        FW_TRY(see_gap(ix, w, &record, error));
        w->at += record.length_bytes;
        if (w->ended && w->at != w->end) {
            return bad_record(&record, "records follow it", error);
        }
    }
    return FW_OK;
}

/* Every byte of the data section is the header's, a chunk's with its message indexes, or seen
 * here. Parts that are claimed must not overlap. */
static fw_status walk_gaps(fw_mcap_indexed *ix, walk *w, fw_error *error) {
    sort_parts(ix);
    size_t chunks = ix->part_count;
    for (size_t i = 0; i < chunks && !w->unindexed; i++) {
        fw_mcap_part part = ix->parts[i];
        bool fits = part.offset >= w->at && part.offset <= w->end &&
                    part.length <= w->end - part.offset &&
                    part.index_length <= w->end - part.offset - part.length;
        if (!fits) {
            return fw_fail(error, FW_CORRUPT,
                           "mcap: the summary claims a chunk of %" PRIu64 " bytes at byte %" PRIu64
                           ", which overlaps another or passes the data section's end",
                           part.length, part.offset);
        }
        FW_TRY(walk_gap(ix, w, part.offset, error));
        w->at = part.offset + part.length + part.index_length;
    }
    FW_TRY(walk_gap(ix, w, w->end, error));
    if (!w->ended && !w->unindexed) {
        return fw_fail(error, FW_CORRUPT, "mcap: no DataEnd record before byte %" PRIu64, w->end);
    }
    if (ix->part_count > chunks) sort_parts(ix);
    return FW_OK;
}

/* Does what was found agree with the counts that the file gives? If not, it has to be scanned. */
static bool counts_agree(const fw_mcap_indexed *ix) {
    if (!ix->has_statistics) return ix->known.channel_count > 0 || ix->part_count == 0;
    const fw_mcap_statistics *s = &ix->statistics;
    size_t chunks = 0;
    for (size_t i = 0; i < ix->part_count; i++) chunks += !ix->parts[i].loose;
    return s->channel_count == ix->known.channel_count &&
           s->schema_count == ix->known.schema_count && s->chunk_count == chunks &&
           s->attachment_count == ix->attachments.count && s->metadata_count == ix->metadata.count;
}

static fw_status read_header(fw_mcap_indexed *ix, uint64_t *end, fw_error *error) {
    if (ix->size < FW_MCAP_MAGIC_BYTES ||
        memcmp(ix->bytes, fw_mcap_magic, FW_MCAP_MAGIC_BYTES) != 0) {
        return fw_fail(error, FW_CORRUPT,
                       "mcap: wrong opening magic at byte 0: not an MCAP file, or damaged");
    }
    fw_mcap_record header;
    FW_TRY(fw_mcap_indexed_record_at(ix, FW_MCAP_MAGIC_BYTES, ix->size, &header, NULL, error));
    if (header.opcode != FW_MCAP_HEADER) {
        return bad_record(&header, "a header must come first", error);
    }
    ix->profile = header.of.header.profile;
    ix->library = header.of.header.library;
    *end = header.offset + header.length_bytes;
    return FW_OK;
}

/* The footer, when the file ends as it should. */
static bool find_footer(const fw_mcap_indexed *ix, uint64_t header_end, fw_mcap_record *footer) {
    const uint64_t tail = FOOTER_RECORD + FW_MCAP_MAGIC_BYTES;
    if (ix->size < header_end + tail) return false;
    const uint8_t *magic = ix->bytes + ix->size - FW_MCAP_MAGIC_BYTES;
    if (memcmp(magic, fw_mcap_magic, FW_MCAP_MAGIC_BYTES) != 0) return false;
    return fw_mcap_indexed_record_at(ix, ix->size - tail, ix->size - FW_MCAP_MAGIC_BYTES, footer,
                                     NULL, NULL) == FW_OK &&
           footer->opcode == FW_MCAP_FOOTER;
}

/* *usable false: the summary does not tell all that is needed. */
static fw_status open_by_summary(fw_mcap_indexed *ix, uint64_t header_end, bool *usable,
                                 fw_error *error) {
    *usable = false;
    fw_mcap_record footer;
    if (!find_footer(ix, header_end, &footer)) return FW_OK;
    if (footer.of.footer.summary_start == 0) return FW_OK;
    FW_TRY(read_summary(ix, &footer, error));
    walk w = {.at = header_end, .end = footer.of.footer.summary_start};
    if (w.end < header_end) return bad_record(&footer, "the summary starts in the header", error);
    FW_TRY(walk_gaps(ix, &w, error));
    *usable = !w.unindexed && !ix->incomplete && counts_agree(ix);
    return FW_OK;
}

/* --------------------------------------------------------------------------------- scan ----- */

static fw_status see_scanned(fw_mcap_indexed *ix, const fw_mcap_record *r, uint64_t *messages,
                             fw_error *error) {
    if (r->in_summary) {
        if (r->opcode != FW_MCAP_STATISTICS) return FW_OK;
        ix->statistics = r->of.statistics;
        ix->has_statistics = true;
        return FW_OK;
    }
    if (r->opcode == FW_MCAP_MESSAGE && r->in_chunk) {
        fw_mcap_part *part = &ix->parts[ix->part_count - 1];
        uint64_t time_ns = r->of.message.log_time_ns;
        if (*messages == 0 || time_ns < part->start_ns) part->start_ns = time_ns;
        if (*messages == 0 || time_ns > part->end_ns) part->end_ns = time_ns;
        ++*messages;
        return FW_OK;
    }
    if (r->opcode == FW_MCAP_CHUNK) {
        *messages = 0;
        fw_mcap_part part = {.offset = r->offset, .length = r->length_bytes};
        return add_part(ix, &part, error);
    }
    if (r->opcode == FW_MCAP_MESSAGE) return add_loose(ix, r, error);
    if (r->opcode == FW_MCAP_ATTACHMENT) return add_offset(&ix->attachments, r->offset, error);
    if (r->opcode == FW_MCAP_METADATA) return add_offset(&ix->metadata, r->offset, error);
    return FW_OK;
}

static void forget(fw_mcap_indexed *ix) {
    fw_mcap_known_free(&ix->known);
    ix->has_statistics = false;
    ix->part_count = ix->attachments.count = ix->metadata.count = 0;
}

/* Reads all of the file, or what is whole of it. The header is known to be there. */
static fw_status scan(fw_mcap_indexed *ix, fw_error *error) {
    forget(ix);
    fw_mcap_reader *reader = NULL;
    FW_TRY(fw_mcap_reader_open_bytes(&ix->limits, ix->bytes, (size_t)ix->size, &reader, error));
    fw_mcap_record record;
    uint64_t messages = 0; /* of the chunk being read */
    fw_status status;
    while ((status = fw_mcap_reader_next(reader, &record, error)) == FW_OK) {
        status = see_scanned(ix, &record, &messages, error);
        if (status != FW_OK) break;
    }
    ix->whole = status == FW_END;
    if (status == FW_CORRUPT) {
        if (fw_mcap_reader_failed_in_chunk(reader)) ix->part_count--; /* broken inside */
        ix->has_statistics = false;
    }
    if (status == FW_END || status == FW_CORRUPT) {
        fw_mcap_reader_take_known(reader, &ix->known);
        ix->known.text_max_bytes = ix->limits.text_max_bytes;
        status = FW_OK;
    }
    fw_mcap_reader_close(reader);
    return status;
}

/* ----------------------------------------------------------------------- open and close ----- */

static fw_status open_file(fw_mcap_indexed *ix, fw_error *error) {
    uint64_t header_end = 0;
    FW_TRY(read_header(ix, &header_end, error));
    bool usable = false;
    FW_TRY(open_by_summary(ix, header_end, &usable, error));
    if (!usable) return scan(ix, error);
    ix->whole = true;
    return FW_OK;
}

static fw_status open_mapped(const fw_mcap_limits *limits, fw_mcap_file file, const void *bytes,
                             size_t size_bytes, fw_mcap_indexed **out, fw_error *error) {
    fw_mcap_indexed *ix = calloc(1, sizeof *ix);
    if (ix == NULL) return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for an indexed reader");
    ix->limits = fw_mcap_limits_complete(limits);
    ix->known.text_max_bytes = ix->limits.text_max_bytes;
    ix->bytes = bytes == NULL ? (const uint8_t *)"" : bytes;
    ix->size = size_bytes;
    ix->state = FW_INVALID;
    fw_status status = open_file(ix, error);
    if (status != FW_OK) {
        fw_mcap_indexed_close(ix);
        return status;
    }
    ix->file = file;
    *out = ix;
    return FW_OK;
}

fw_status fw_mcap_indexed_open_bytes(const fw_mcap_limits *limits, const void *bytes,
                                     size_t size_bytes, fw_mcap_indexed **out, fw_error *error) {
    return open_mapped(limits, (fw_mcap_file){0}, bytes, size_bytes, out, error);
}

fw_status fw_mcap_indexed_open_path(const fw_mcap_limits *limits, const char *path,
                                    fw_mcap_indexed **out, fw_error *error) {
    fw_mcap_file file;
    FW_TRY(fw_mcap_file_map(path, &file, error));
    fw_status status = open_mapped(limits, file, file.bytes, file.size_bytes, out, error);
    if (status != FW_OK) fw_mcap_file_unmap(&file);
    return status;
}

void fw_mcap_indexed_close(fw_mcap_indexed *ix) {
    if (ix == NULL) return;
    fw_mcap_indexed_end_query(ix);
    fw_mcap_unpacker_close(&ix->unpacker);
    fw_mcap_known_free(&ix->known);
    free(ix->parts);
    free(ix->attachments.at);
    free(ix->metadata.at);
    fw_mcap_file_unmap(&ix->file);
    free(ix);
}

/* ---------------------------------------------------------------------------- questions ----- */

bool fw_mcap_indexed_is_whole(const fw_mcap_indexed *ix) {
    return ix->whole;
}

void fw_mcap_indexed_header(const fw_mcap_indexed *ix, fw_mcap_text *profile,
                            fw_mcap_text *library) {
    *profile = ix->profile;
    *library = ix->library;
}

fw_status fw_mcap_indexed_statistics(const fw_mcap_indexed *ix, fw_mcap_statistics *out,
                                     fw_error *error) {
    if (!ix->has_statistics) {
        return fw_fail(error, FW_NOT_FOUND, "mcap: the file gives no statistics");
    }
    *out = ix->statistics;
    return FW_OK;
}

bool fw_mcap_indexed_channel(const fw_mcap_indexed *ix, size_t position,
                             const fw_mcap_channel **channel, const fw_mcap_schema **schema) {
    if (position >= ix->known.channel_count) return false;
    const fw_mcap_known_channel *kept =
        fw_mcap_known_find(&ix->known, ix->known.channel_ids[position]);
    *channel = &kept->channel;
    *schema = kept->schema;
    return true;
}

bool fw_mcap_indexed_schema(const fw_mcap_indexed *ix, size_t position,
                            const fw_mcap_schema **schema) {
    if (position >= ix->known.schema_count) return false;
    *schema = fw_mcap_known_schema(&ix->known, ix->known.schema_ids[position]);
    return true;
}

fw_status fw_mcap_indexed_metadata(const fw_mcap_indexed *ix, size_t position,
                                   fw_mcap_metadata *out, fw_error *error) {
    if (position >= ix->metadata.count) return FW_END;
    fw_mcap_record record;
    FW_TRY(
        fw_mcap_indexed_record_at(ix, ix->metadata.at[position], ix->size, &record, NULL, error));
    *out = record.of.metadata;
    return FW_OK;
}

fw_status fw_mcap_indexed_attachment(const fw_mcap_indexed *ix, size_t position,
                                     fw_mcap_attachment *out, fw_error *error) {
    if (position >= ix->attachments.count) return FW_END;
    fw_mcap_record record;
    uint64_t offset = ix->attachments.at[position];
    FW_TRY(fw_mcap_indexed_record_at(ix, offset, ix->size, &record, NULL, error));
    const fw_mcap_attachment *a = &record.of.attachment;
    const uint8_t *content = ix->bytes + offset + FW_MCAP_PREFIX_BYTES;
    size_t covered = (size_t)(a->data - content) + (size_t)a->size_bytes;
    if (a->crc != 0 && fw_mcap_crc32(0, content, covered) != a->crc) {
        return bad_record(&record, "wrong CRC", error);
    }
    *out = *a;
    return FW_OK;
}
