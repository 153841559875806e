/* The full check: the reader proves structure and CRCs; here every claim that one record makes
 * about others is compared with what was really read.
 *
 *   data section:  counts, times, chunks[] and fingerprints pile up
 *   summary:       Statistics, ChunkIndex, ... are compared with them
 *
 * A fingerprint is the sum of a mixed hash over a set of tuples, so that two sets in any order are
 * compared in constant memory. It finds damage and wrong writers; who forges a collision has only
 * made an index that lies, and readers do not trust indexes either.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "mcap/format.h"
#include "mcap/idmap.h"
#include "mcap/reader.h"

typedef struct set {
    uint64_t count, sum;
} set;

typedef struct channel_state {
    fw_mcap_channel_info info;
    uint64_t chunk; /* serial number of the chunk that `messages` and `indexed` speak of */
    set messages;   /* (log time, position) of its messages in that chunk */
    bool indexed;   /* has its message index */
} channel_state;

typedef struct chunk_state {
    uint64_t offset, length, start_ns, end_ns, packed, unpacked, index_length;
    uint64_t claimed_start_ns, claimed_end_ns; /* as its record says */
    set indexes; /* (channel, file offset) of its message index records */
    fw_mcap_compression compression;
    bool indexed; /* a ChunkIndex names it */
} chunk_state;

typedef struct group {
    uint64_t start, end;
    bool offset_given;
} group;

typedef struct check {
    fw_mcap_reader *reader;
    uint64_t chunks_max;
    fw_mcap_info info;
    fw_mcap_idmap channels; /* of channel_state */
    chunk_state *chunks;
    uint64_t chunk_count, chunk_capacity, chunk_index_count;
    bool after_chunk;        /* only its message indexes were read since */
    uint64_t chunk_channels; /* channels with messages in the last chunk */
    uint64_t chunk_messages;
    set attachments, attachment_indexes, metadata, metadata_indexes;
    group groups[FW_MCAP_DATA_END + 1]; /* of the summary, by opcode */
    uint8_t last_opcode;
} check;

static uint64_t mix(uint64_t hash, uint64_t value) { /* SplitMix64's finisher */
    hash = (hash ^ value) + 0x9E3779B97F4A7C15u;
    hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9u;
    hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBu;
    return hash ^ (hash >> 31);
}

static uint64_t mix_text(uint64_t hash, fw_mcap_text text) {
    return mix(mix(hash, text.size_bytes), fw_mcap_crc32(0, text.bytes, text.size_bytes));
}

static void set_add(set *s, uint64_t hash) {
    s->count++;
    s->sum += hash;
}

static bool set_equal(set a, set b) {
    return a.count == b.count && a.sum == b.sum;
}

static fw_status lies(const fw_mcap_record *record, const char *what, fw_error *error) {
    return fw_fail(error, FW_CORRUPT, "mcap: %s record at byte %" PRIu64 ": %s",
                   fw_mcap_opcode_name(record->opcode), record->offset, what);
}

/* Shows text: cut to fit, anything unprintable as '?'. */
static void show(fw_mcap_text text, char *out, size_t out_size) {
    size_t n = text.size_bytes < out_size - 1 ? text.size_bytes : out_size - 1;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text.bytes[i];
        out[i] = c < 32 || c == 127 ? '?' : (char)c;
    }
    while (n < text.size_bytes && n > 0 && ((unsigned char)out[n - 1] & 0xC0) == 0x80) n--;
    if (n < text.size_bytes && n > 0 && ((unsigned char)out[n - 1] & 0x80) != 0) n--;
    out[n] = '\0';
}

static void widen(bool first, uint64_t time_ns, uint64_t *start_ns, uint64_t *end_ns) {
    if (first || time_ns < *start_ns) *start_ns = time_ns;
    if (first || time_ns > *end_ns) *end_ns = time_ns;
}

/* --------------------------------------------------------------------- data section ----- */

static fw_status see_channel(check *k, const fw_mcap_channel *c, fw_error *error) {
    if (fw_mcap_idmap_get(&k->channels, c->id) != NULL) return FW_OK;
    channel_state *s = calloc(1, sizeof *s);
    if (s == NULL || !fw_mcap_idmap_put(&k->channels, c->id, s)) {
        free(s);
        return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for channels");
    }
    s->info.id = c->id;
    show(c->topic, s->info.topic, sizeof s->info.topic);
    show(c->message_encoding, s->info.message_encoding, sizeof s->info.message_encoding);
    const fw_mcap_schema *schema = fw_mcap_reader_schema(k->reader, c->schema_id);
    if (schema != NULL) show(schema->name, s->info.schema_name, sizeof s->info.schema_name);
    k->info.channel_count++;
    return FW_OK;
}

static void see_message(check *k, const fw_mcap_record *record) {
    const fw_mcap_message *m = &record->of.message;
    channel_state *s = fw_mcap_idmap_get(&k->channels, m->channel_id);
    FW_ASSERT(s != NULL);
    widen(k->info.message_count == 0, m->log_time_ns, &k->info.start_time_ns, &k->info.end_time_ns);
    widen(s->info.message_count == 0, m->log_time_ns, &s->info.start_time_ns, &s->info.end_time_ns);
    k->info.message_count++;
    k->info.message_bytes += m->size_bytes;
    s->info.message_count++;
    if (!record->in_chunk) return;
    if (s->chunk != k->chunk_count) {
        s->chunk = k->chunk_count;
        s->messages = (set){0};
        s->indexed = false;
        k->chunk_channels++;
    }
    set_add(&s->messages, mix(m->log_time_ns, fw_mcap_reader_chunk_position(k->reader)));
    chunk_state *chunk = &k->chunks[k->chunk_count - 1];
    widen(k->chunk_messages++ == 0, m->log_time_ns, &chunk->start_ns, &chunk->end_ns);
}

static fw_status see_chunk(check *k, const fw_mcap_record *record, fw_error *error) {
    const fw_mcap_chunk *c = &record->of.chunk;
    if (k->chunk_count == k->chunks_max) {
        return fw_fail(error, FW_TOO_BIG, "mcap: over %" PRIu64 " chunks at byte %" PRIu64,
                       k->chunks_max, record->offset);
    }
    if (k->chunk_count == k->chunk_capacity) {
        uint64_t capacity = k->chunk_capacity * 2 + 16;
        chunk_state *grown = realloc(k->chunks, (size_t)capacity * sizeof *grown);
        if (grown == NULL) return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for chunks");
        k->chunks = grown;
        k->chunk_capacity = capacity;
    }
    chunk_state *s = &k->chunks[k->chunk_count++];
    *s = (chunk_state){.offset = record->offset,
                       .length = record->length_bytes,
                       .packed = c->compressed_size_bytes,
                       .unpacked = c->uncompressed_size_bytes,
                       .claimed_start_ns = c->message_start_time_ns,
                       .claimed_end_ns = c->message_end_time_ns};
    bool known = fw_mcap_compression_of(c->compression, &s->compression);
    FW_ASSERT(known);
    k->info.chunk_count[s->compression]++;
    k->info.chunk_compressed_bytes += s->packed;
    k->info.chunk_uncompressed_bytes += s->unpacked;
    k->after_chunk = true;
    k->chunk_channels = k->chunk_messages = 0;
    return FW_OK;
}

static fw_status see_message_index(check *k, const fw_mcap_record *record, fw_error *error) {
    if (!k->after_chunk) return lies(record, "it does not follow a chunk", error);
    const fw_mcap_message_index *x = &record->of.message_index;
    chunk_state *chunk = &k->chunks[k->chunk_count - 1];
    chunk->index_length += record->length_bytes;
    set_add(&chunk->indexes, mix(x->channel_id, record->offset));
    channel_state *s = fw_mcap_idmap_get(&k->channels, x->channel_id);
    if (s == NULL) return lies(record, "its channel is unknown", error);
    set claimed = {0}, none = {0};
    for (uint32_t i = 0; i < x->entry_count; i++) {
        const uint8_t *at = x->entries + 16 * (size_t)i;
        set_add(&claimed, mix(fw_mcap_load_u64(at), fw_mcap_load_u64(at + 8)));
    }
    bool in_chunk = s->chunk == k->chunk_count;
    if (in_chunk && s->indexed) return lies(record, "the second of its channel", error);
    if (!set_equal(claimed, in_chunk ? s->messages : none)) {
        return lies(record, "it does not list the messages of its channel in the chunk", error);
    }
    if (!in_chunk) return FW_OK;
    s->indexed = true;
    k->chunk_channels--;
    return FW_OK;
}

/* A record that is neither in the chunk nor one of its indexes: the chunk is complete. */
static fw_status close_chunk(check *k, const fw_mcap_record *record, fw_error *error) {
    if (!k->after_chunk) return FW_OK;
    k->after_chunk = false;
    const chunk_state *chunk = &k->chunks[k->chunk_count - 1];
    if (chunk->start_ns != chunk->claimed_start_ns || chunk->end_ns != chunk->claimed_end_ns) {
        return fw_fail(error, FW_CORRUPT,
                       "mcap: the times of the chunk at byte %" PRIu64
                       " are not those of its messages",
                       chunk->offset);
    }
    if (chunk->indexes.count > 0 && k->chunk_channels > 0) {
        return fw_fail(error, FW_CORRUPT,
                       "mcap: the chunk at byte %" PRIu64 " lacks message "
                       "indexes of %" PRIu64 " channels before byte %" PRIu64,
                       chunk->offset, k->chunk_channels, record->offset);
    }
    return FW_OK;
}

/* -------------------------------------------------------------------------- summary ----- */

static fw_status check_chunk_index(check *k, const fw_mcap_record *record, fw_error *error) {
    const fw_mcap_chunk_index *x = &record->of.chunk_index;
    uint64_t low = 0, high = k->chunk_count;
    while (low < high) { /* chunks stand by rising offset */
        uint64_t middle = low + (high - low) / 2;
        if (k->chunks[middle].offset < x->chunk_offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == k->chunk_count || k->chunks[low].offset != x->chunk_offset) {
        return lies(record, "there is no chunk where it says", error);
    }
    chunk_state *c = &k->chunks[low];
    if (c->indexed) return lies(record, "the second of its chunk", error);
    c->indexed = true;
    k->chunk_index_count++;
    set claimed = {0};
    for (uint32_t i = 0; i < x->index_offset_count; i++) {
        const uint8_t *at = x->index_offsets + 10 * (size_t)i;
        set_add(&claimed, mix(fw_mcap_load_u16(at), fw_mcap_load_u64(at + 2)));
    }
    bool fits = x->chunk_length_bytes == c->length && x->message_start_time_ns == c->start_ns &&
                x->message_end_time_ns == c->end_ns &&
                fw_mcap_text_is(x->compression, fw_mcap_compression_name(c->compression)) &&
                x->compressed_size_bytes == c->packed &&
                x->uncompressed_size_bytes == c->unpacked &&
                x->message_index_length_bytes == c->index_length;
    if (!fits) return lies(record, "it does not match its chunk", error);
    if (claimed.count > 0 && !set_equal(claimed, c->indexes)) {
        return lies(record, "it does not match the message indexes of its chunk", error);
    }
    return FW_OK;
}

static fw_status check_channel_counts(check *k, const fw_mcap_record *record, fw_error *error) {
    const fw_mcap_statistics *s = &record->of.statistics;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->channel_count_count; i++) {
        const uint8_t *at = s->channel_counts + 10 * (size_t)i;
        const channel_state *c = fw_mcap_idmap_get(&k->channels, fw_mcap_load_u16(at));
        if (c == NULL || c->info.message_count != fw_mcap_load_u64(at + 2)) {
            return lies(record, "a channel's message count is wrong", error);
        }
        sum += c->info.message_count;
    }
    if (s->channel_count_count > 0 && sum != k->info.message_count) {
        return lies(record, "it leaves out channels with messages", error);
    }
    return FW_OK;
}

static fw_status check_statistics(check *k, const fw_mcap_record *record, fw_error *error) {
    const fw_mcap_statistics *s = &record->of.statistics;
    const fw_mcap_info *info = &k->info;
    if (s->message_count != info->message_count) {
        return fw_fail(error, FW_CORRUPT,
                       "mcap: Statistics record at byte %" PRIu64 " counts %" PRIu64
                       " messages, the file has %" PRIu64,
                       record->offset, s->message_count, info->message_count);
    }
    if (s->schema_count != info->schema_count || s->channel_count != info->channel_count ||
        s->attachment_count != info->attachment_count ||
        s->metadata_count != info->metadata_count || s->chunk_count != k->chunk_count) {
        return lies(record, "its counts are not those of the file", error);
    }
    if (s->message_start_time_ns != info->start_time_ns ||
        s->message_end_time_ns != info->end_time_ns) {
        return lies(record, "its times are not those of the messages", error);
    }
    return check_channel_counts(k, record, error);
}

static fw_status check_summary_offset(check *k, const fw_mcap_record *record, fw_error *error) {
    uint8_t opcode = record->of.summary_offset.group_opcode;
    group none = {0}, *g = opcode <= FW_MCAP_DATA_END ? &k->groups[opcode] : &none;
    if (g->end == 0 || g->offset_given || record->of.summary_offset.group_start != g->start ||
        record->of.summary_offset.group_length_bytes != g->end - g->start) {
        return lies(record, "it does not match a group of the summary", error);
    }
    g->offset_given = true;
    return FW_OK;
}

/* Records of one opcode stand together. */
static fw_status note_group(check *k, const fw_mcap_record *record, fw_error *error) {
    group *g = &k->groups[record->opcode];
    if (g->end != 0 && k->last_opcode != record->opcode) {
        return lies(record, "it does not stand with the others of its kind", error);
    }
    if (g->end == 0) g->start = record->offset;
    g->end = record->offset + record->length_bytes;
    k->last_opcode = record->opcode;
    return FW_OK;
}

static fw_status check_footer(check *k, const fw_mcap_record *record, fw_error *error) {
    if (k->chunk_index_count > 0 && k->chunk_index_count != k->chunk_count) {
        return lies(record, "some chunks have an index and some have none", error);
    }
    if (k->attachment_indexes.count > 0 && !set_equal(k->attachment_indexes, k->attachments)) {
        return lies(record, "the attachment indexes do not match the attachments", error);
    }
    if (k->metadata_indexes.count > 0 && !set_equal(k->metadata_indexes, k->metadata)) {
        return lies(record, "the metadata indexes do not match the metadata", error);
    }
    k->info.has_summary = record->of.footer.summary_start != 0;
    k->info.has_chunk_index = k->chunk_index_count > 0;
    return FW_OK;
}

/* --------------------------------------------------------------------- all records ----- */

static uint64_t attachment_hash(uint64_t offset, uint64_t length, uint64_t log_ns,
                                uint64_t create_ns, uint64_t size, fw_mcap_text name,
                                fw_mcap_text type) {
    uint64_t hash = mix(mix(mix(mix(mix(1, offset), length), log_ns), create_ns), size);
    return mix_text(mix_text(hash, name), type);
}

static uint64_t metadata_hash(uint64_t offset, uint64_t length, fw_mcap_text name) {
    return mix_text(mix(mix(2, offset), length), name);
}

static fw_status see_data(check *k, const fw_mcap_record *r, fw_error *error) {
    switch (r->opcode) {
    case FW_MCAP_HEADER:
        show(r->of.header.profile, k->info.profile, sizeof k->info.profile);
        show(r->of.header.library, k->info.library, sizeof k->info.library);
        return FW_OK;
    case FW_MCAP_CHANNEL:
        return see_channel(k, &r->of.channel, error);
    case FW_MCAP_MESSAGE:
        see_message(k, r);
        return FW_OK;
    case FW_MCAP_CHUNK:
        return see_chunk(k, r, error);
    case FW_MCAP_DATA_END:
        k->info.schema_count = fw_mcap_reader_schema_count(k->reader);
        return FW_OK;
    case FW_MCAP_MESSAGE_INDEX:
        return see_message_index(k, r, error);
    case FW_MCAP_ATTACHMENT: {
        const fw_mcap_attachment *a = &r->of.attachment;
        k->info.attachment_count++;
        set_add(&k->attachments,
                attachment_hash(r->offset, r->length_bytes, a->log_time_ns, a->create_time_ns,
                                a->size_bytes, a->name, a->media_type));
        return FW_OK;
    }
    case FW_MCAP_METADATA:
        k->info.metadata_count++;
        set_add(&k->metadata, metadata_hash(r->offset, r->length_bytes, r->of.metadata.name));
        return FW_OK;
    default:
        return FW_OK;
    }
}

static fw_status see_summary(check *k, const fw_mcap_record *r, fw_error *error) {
    if (r->opcode == FW_MCAP_FOOTER) return check_footer(k, r, error);
    if (r->opcode == FW_MCAP_SUMMARY_OFFSET) return check_summary_offset(k, r, error);
    FW_TRY(note_group(k, r, error));
    switch (r->opcode) {
    case FW_MCAP_CHUNK_INDEX:
        return check_chunk_index(k, r, error);
    case FW_MCAP_STATISTICS:
        return check_statistics(k, r, error);
    case FW_MCAP_ATTACHMENT_INDEX: {
        const fw_mcap_attachment_index *x = &r->of.attachment_index;
        set_add(&k->attachment_indexes,
                attachment_hash(x->offset, x->length_bytes, x->log_time_ns, x->create_time_ns,
                                x->data_size_bytes, x->name, x->media_type));
        return FW_OK;
    }
    case FW_MCAP_METADATA_INDEX: {
        const fw_mcap_metadata_index *x = &r->of.metadata_index;
        set_add(&k->metadata_indexes, metadata_hash(x->offset, x->length_bytes, x->name));
        return FW_OK;
    }
    default:
        return FW_OK;
    }
}

static fw_status check_all(check *k, fw_error *error) {
    fw_mcap_record record;
    for (;;) {
        fw_status status = fw_mcap_reader_next(k->reader, &record, error);
        if (status == FW_END) return FW_OK;
        FW_TRY(status);
        if (!record.in_chunk && record.opcode != FW_MCAP_MESSAGE_INDEX) {
            FW_TRY(close_chunk(k, &record, error));
        }
        FW_TRY(record.in_summary ? see_summary(k, &record, error) : see_data(k, &record, error));
    }
}

/* Hands the counted channels over, by id. */
static fw_status collect_channels(check *k, fw_error *error) {
    fw_mcap_channel_info *channels = calloc((size_t)k->info.channel_count + 1, sizeof *channels);
    if (channels == NULL) return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for channels");
    uint32_t count = 0;
    for (uint32_t id = 0; id < FW_MCAP_IDS; id++) {
        if (k->channels.pages[id >> 8] == NULL) {
            id |= 255; /* none of its page */
            continue;
        }
        const channel_state *s = fw_mcap_idmap_get(&k->channels, (uint16_t)id);
        if (s != NULL) channels[count++] = s->info;
    }
    FW_ASSERT(count == k->info.channel_count);
    k->info.channels = channels;
    return FW_OK;
}

/* Takes the reader over. */
static fw_status validate(fw_mcap_reader *reader, const fw_mcap_limits *limits, fw_mcap_info *info,
                          fw_error *error) {
    check k = {.reader = reader, .chunks_max = 1u << 20};
    if (limits != NULL && limits->chunks_max != 0) k.chunks_max = limits->chunks_max;
    fw_status status = check_all(&k, error);
    k.info.size_bytes = fw_mcap_reader_offset(reader);
    if (status == FW_OK && info != NULL) status = collect_channels(&k, error);
    if (status == FW_OK && info != NULL) *info = k.info;
    fw_mcap_idmap_free(&k.channels);
    free(k.chunks);
    fw_mcap_reader_close(reader);
    return status;
}

fw_status fw_mcap_validate_bytes(const fw_mcap_limits *limits, const void *bytes, size_t size_bytes,
                                 fw_mcap_info *info, fw_error *error) {
    fw_mcap_reader *reader = NULL;
    FW_TRY(fw_mcap_reader_open_bytes(limits, bytes, size_bytes, &reader, error));
    return validate(reader, limits, info, error);
}

fw_status fw_mcap_validate(const fw_mcap_limits *limits, const char *path, fw_mcap_info *info,
                           fw_error *error) {
    fw_mcap_reader *reader = NULL;
    FW_TRY(fw_mcap_reader_open_path(limits, path, &reader, error));
    return validate(reader, limits, info, error);
}

void fw_mcap_info_free(fw_mcap_info *info) {
    free(info->channels);
    *info = (fw_mcap_info){0};
}
