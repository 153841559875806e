/* Recovery: find what is whole, learn what it means, write it anew.
 *
 *   survey:  walks the records; what is good becomes an item (offset, length, kind), schemas and
 *            channels are learnt. Where framing breaks, it searches on for the next record that
 *            proves itself.
 *   write:   a new file with all schemas and channels first, then the items in their order
 *
 * A record proves itself by its CRC. One without a CRC (a message outside chunks, a metadata
 * record, a chunk written without) counts only when something plausible follows it, so that a
 * damaged length does not swallow its neighbours. A chunk or attachment that is cut off by the
 * end of the file, its own figures agreeing, ends the survey: nothing inside it is taken for
 * records of the file. Searching has a budget, so that a hostile file costs linear time.
 *
 * Schemas and channels come first from the summary, if its CRC is right: they may stand only in a
 * chunk that is lost. Channels that nothing explains any more get the topic "lost/channel_<id>".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "mcap/chunk.h"
#include "mcap/format.h"
#include "mcap/known.h"

enum { LARGEST = 1 << 30, INDEX_MAX_BYTES = 1 << 26, CHAIN = 4, LIBRARY_MAX = 1024 };

typedef enum kind { CHUNK, MESSAGES, ATTACHMENT, METADATA, CHANNEL } kind;

typedef struct item {
    uint64_t offset, length;
    kind kind;
} item;

typedef struct needs {
    uint64_t bytes; /* of message records */
    uint64_t record_max, text, metadata_max;
} needs;

typedef struct rescue {
    fw_mcap_limits limits;
    const uint8_t *bytes;
    uint64_t size, budget; /* budget: bytes that searching may still read */
    fw_mcap_text profile;
    fw_mcap_unpacker unpacker;
    fw_mcap_buffer unpacked, strings, pairs;
    fw_mcap_known known;
    item *items;
    size_t item_count, item_capacity;
    needs needs;
    fw_mcap_recovered report;
    bool schema_missing, has_chunks;
    bool data_ended;                 /* DataEnd was passed: only what has a CRC is still believed */
    uint8_t used[FW_MCAP_IDS / 8];   /* channels with messages */
    uint8_t wanted[FW_MCAP_IDS / 8]; /* schemas that channels name */
    uint16_t new_schema[FW_MCAP_IDS], new_channel[FW_MCAP_IDS];
    fw_mcap_writer *writer;
} rescue;

static void set_bit(uint8_t *bits, uint16_t id) {
    bits[id / 8] |= (uint8_t)(1u << (id % 8));
}
static bool has_bit(const uint8_t *bits, uint16_t id) {
    return (bits[id / 8] >> (id % 8) & 1) != 0;
}

static bool fatal(fw_status status) {
    return status != FW_OK && status != FW_CORRUPT;
}

/* ------------------------------------------------------------------------- what is there ----- */

/* A record that lies wholly in the file, its content parsed where the opcode is known. */
typedef struct found {
    fw_mcap_record record;
    const uint8_t *content, *chunk_data;
    uint64_t content_size, next;
} found;

static bool magic_at(const rescue *r, uint64_t at) {
    return r->size - at >= FW_MCAP_MAGIC_BYTES &&
           memcmp(r->bytes + at, fw_mcap_magic, FW_MCAP_MAGIC_BYTES) == 0;
}

static bool fits_at(const rescue *r, uint64_t at, uint64_t *length) {
    if (r->size - at < FW_MCAP_PREFIX_BYTES) return false;
    *length = fw_mcap_load_u64(r->bytes + at + 1);
    return *length <= r->size - at - FW_MCAP_PREFIX_BYTES;
}

/* False: not wholly there, or its content does not hold its fields. */
static bool find_at(const rescue *r, uint64_t at, found *f) {
    if (!fits_at(r, at, &f->content_size)) return false;
    f->record.opcode = r->bytes[at];
    f->record.offset = at;
    f->record.length_bytes = FW_MCAP_PREFIX_BYTES + f->content_size;
    f->content = r->bytes + at + FW_MCAP_PREFIX_BYTES;
    f->next = at + f->record.length_bytes;
    if (f->record.opcode > FW_MCAP_DATA_END) return true;
    return fw_mcap_parse(f->content, f->content_size, &f->record, &f->chunk_data);
}

/* Do several sound records of known kinds follow each other here, or fewer up to the file's end?
 * Private records may stand between them; they prove nothing. In a file with chunks, messages in a
 * row are more likely the inside of one. */
static bool sound_chain(const rescue *r, uint64_t at) {
    for (int known = 0, others = 0; known < CHAIN && others < CHAIN;) {
        found f;
        if (r->size - at < FW_MCAP_PREFIX_BYTES || magic_at(r, at)) return true;
        if (!find_at(r, at, &f) || f.record.opcode == 0) return false;
        if (f.record.opcode == FW_MCAP_MESSAGE && r->has_chunks) return false;
        if (f.record.opcode > FW_MCAP_DATA_END)
            others++;
        else
            known++;
        if (known == CHAIN) return true;
        at = f.next;
    }
    return false;
}

/* A tail of zeros, as a power cut leaves it. */
static bool zeros_to_the_end(rescue *r, uint64_t at) {
    uint64_t from = at;
    while (at < r->size && r->bytes[at] == 0 && at - from < r->budget) at++;
    r->budget -= at - from;
    return at == r->size;
}

/* Could a record, a cut one too, or the end of a file stand here? */
static bool plausible(rescue *r, uint64_t at) {
    uint64_t left = r->size - at;
    if (left == 0 || magic_at(r, at)) return true;
    uint8_t head[FW_MCAP_PREFIX_BYTES] = {0};
    memcpy(head, r->bytes + at, left < sizeof head ? (size_t)left : sizeof head);
    uint64_t length = fw_mcap_load_u64(head + 1);
    if (head[0] == 0) return length == 0 && zeros_to_the_end(r, at);
    if (head[0] > FW_MCAP_DATA_END) return sound_chain(r, at); /* a kind of others */
    return length < (uint64_t)1 << 40;
}

/* Does the record that the file's end cuts off agree with itself? */
static bool cut_but_sound(const rescue *r, uint64_t at) {
    uint64_t left = r->size - at;
    if (left < FW_MCAP_PREFIX_BYTES) return true;
    uint8_t opcode = r->bytes[at];
    uint64_t length = fw_mcap_load_u64(r->bytes + at + 1);
    fw_mcap_cursor c = {.at = r->bytes + at + FW_MCAP_PREFIX_BYTES,
                        .left = left - FW_MCAP_PREFIX_BYTES};
    fw_mcap_text text;
    uint64_t number, fixed;
    const uint8_t *skipped;
    if (opcode == FW_MCAP_CHUNK) {
        if (!fw_mcap_get_bytes(&c, 28, &skipped) || !fw_mcap_get_text(&c, &text) ||
            !fw_mcap_get_u64(&c, &number)) {
            return left < 128;
        }
        fixed = 40 + (uint64_t)text.size_bytes;
        return number <= length && fixed <= length && number == length - fixed;
    }
    if (opcode != FW_MCAP_ATTACHMENT) return false;
    fw_mcap_text type;
    if (!fw_mcap_get_bytes(&c, 16, &skipped) || !fw_mcap_get_text(&c, &text) ||
        !fw_mcap_get_text(&c, &type) || !fw_mcap_get_u64(&c, &number)) {
        return left < 128;
    }
    fixed = 36 + (uint64_t)text.size_bytes + type.size_bytes;
    return number <= length && fixed <= length && number == length - fixed;
}

static bool sound_at(const rescue *r, uint64_t at) {
    found f;
    if (r->size - at < FW_MCAP_PREFIX_BYTES || magic_at(r, at)) return true;
    return find_at(r, at, &f) && f.record.opcode != 0;
}

/* A proven record whose fields, `extent` bytes, do not fill its length: bytes that a later version
 * of the format added, or a damaged length. What follows decides. */
static void settle_length(const rescue *r, found *f, uint64_t extent) {
    uint64_t next = f->record.offset + FW_MCAP_PREFIX_BYTES + extent;
    if (next == f->next || sound_at(r, f->next) || !sound_at(r, next)) return;
    f->next = next;
    f->record.length_bytes = FW_MCAP_PREFIX_BYTES + extent;
}

static bool attachment_proven(const found *f) {
    const fw_mcap_attachment *a = &f->record.of.attachment;
    size_t covered = (size_t)(a->data - f->content) + (size_t)a->size_bytes;
    return a->crc != 0 && fw_mcap_crc32(0, f->content, covered) == a->crc;
}

/* ------------------------------------------------------------------------------- learning ----- */

static fw_status add_item(rescue *r, const found *f, kind what, fw_error *error) {
    item *last = r->item_count == 0 ? NULL : &r->items[r->item_count - 1];
    if (what == MESSAGES && last != NULL && last->kind == MESSAGES &&
        last->offset + last->length == f->record.offset) {
        last->length += f->record.length_bytes;
        return FW_OK;
    }
    if (r->item_count == r->item_capacity) {
        size_t capacity = r->item_capacity * 2 + 64;
        item *grown = realloc(r->items, capacity * sizeof *grown);
        if (grown == NULL) return fw_fail(error, FW_NO_MEMORY, "mcap: no memory to recover");
        r->items = grown;
        r->item_capacity = capacity;
    }
    r->items[r->item_count++] =
        (item){.offset = f->record.offset, .length = f->record.length_bytes, .kind = what};
    return FW_OK;
}

/* FW_CORRUPT: contradicts what is known. A channel whose schema is missing is noted for later. */
static fw_status learn(rescue *r, const fw_mcap_record *record, fw_error *error) {
    if (record->opcode == FW_MCAP_SCHEMA) {
        if (record->of.schema.id == 0) return FW_OK;
        return fw_mcap_known_add_schema(&r->known, &record->of.schema, record->offset, error);
    }
    uint16_t schema = record->of.channel.schema_id;
    if (schema != 0 && fw_mcap_known_schema(&r->known, schema) == NULL) {
        set_bit(r->wanted, schema);
        r->schema_missing = true;
        return FW_OK;
    }
    return fw_mcap_known_add_channel(&r->known, &record->of.channel, record->offset, error);
}

static fw_status note_message(rescue *r, const fw_mcap_message *m, uint64_t offset,
                              fw_error *error) {
    if (m->size_bytes > LARGEST - FW_MCAP_MESSAGE_HEAD_BYTES) return FW_OK;
    if (++r->report.messages > r->limits.messages_max) {
        return fw_fail(error, FW_TOO_BIG, "mcap: over %" PRIu64 " messages at byte %" PRIu64,
                       r->limits.messages_max, offset);
    }
    set_bit(r->used, m->channel_id);
    r->needs.bytes += FW_MCAP_PREFIX_BYTES + FW_MCAP_MESSAGE_HEAD_BYTES + m->size_bytes;
    if (m->size_bytes > r->needs.record_max) r->needs.record_max = m->size_bytes;
    return FW_OK;
}

/* Steps through a chunk's records. *at starts at 0; false at the end, or, *broken set, where
 * framing or a record breaks. */
static bool next_inside(const uint8_t *bytes, uint64_t size, uint64_t *at, fw_mcap_record *record,
                        bool *broken) {
    while (*at < size) {
        uint64_t left = size - *at;
        *broken = true;
        if (left < FW_MCAP_PREFIX_BYTES) return false;
        const uint8_t *head = bytes + *at;
        uint64_t length = fw_mcap_load_u64(head + 1);
        if (length > left - FW_MCAP_PREFIX_BYTES) return false;
        *broken = false;
        *at += FW_MCAP_PREFIX_BYTES + length;
        if (head[0] > FW_MCAP_DATA_END) continue;
        *broken =
            (head[0] != FW_MCAP_SCHEMA && head[0] != FW_MCAP_CHANNEL && head[0] != FW_MCAP_MESSAGE);
        record->opcode = head[0];
        if (!*broken) *broken = !fw_mcap_parse(head + FW_MCAP_PREFIX_BYTES, length, record, NULL);
        return !*broken;
    }
    *broken = false;
    return false;
}

static bool framing_holds(const uint8_t *bytes, uint64_t size) {
    fw_mcap_record record;
    uint64_t at = 0;
    bool broken = false;
    while (next_inside(bytes, size, &at, &record, &broken)) continue;
    return !broken;
}

/* FW_CORRUPT: not good. Other failures are final. */
static fw_status unpack(rescue *r, const found *f, const uint8_t **out, fw_error *error) {
    fw_status status =
        fw_mcap_chunk_unpack(&r->unpacker, &r->unpacked, r->limits.chunk_max_bytes,
                             &f->record.of.chunk, f->chunk_data, f->record.offset, out, error);
    if (status == FW_TOO_BIG || status == FW_UNSUPPORTED) return FW_CORRUPT; /* of no use to us */
    FW_TRY(status);
    return framing_holds(*out, f->record.of.chunk.uncompressed_size_bytes) ? FW_OK : FW_CORRUPT;
}

/* Definitions first: they may contradict, and then nothing of the chunk counts. */
static fw_status learn_chunk(rescue *r, const found *f, const uint8_t *inner, fw_error *error) {
    uint64_t size = f->record.of.chunk.uncompressed_size_bytes, at = 0;
    fw_mcap_record record = {.offset = f->record.offset};
    bool broken = false;
    while (next_inside(inner, size, &at, &record, &broken)) {
        if (record.opcode != FW_MCAP_MESSAGE) FW_TRY(learn(r, &record, error));
    }
    return FW_OK;
}

static fw_status take_chunk(rescue *r, const found *f, const uint8_t *inner, fw_error *error) {
    FW_TRY(learn_chunk(r, f, inner, error));
    uint64_t size = f->record.of.chunk.uncompressed_size_bytes, at = 0;
    fw_mcap_record record;
    bool broken = false;
    while (next_inside(inner, size, &at, &record, &broken)) {
        if (record.opcode != FW_MCAP_MESSAGE) continue;
        FW_TRY(note_message(r, &record.of.message, f->record.offset, error));
    }
    r->report.chunks++;
    r->has_chunks = true;
    return add_item(r, f, CHUNK, error);
}

/* ------------------------------------------------------------------------------ the survey -----
 */

static bool is_known_message(const rescue *r, const found *f) {
    return f->record.opcode == FW_MCAP_MESSAGE &&
           fw_mcap_known_find(&r->known, f->record.of.message.channel_id) != NULL;
}

/* A whole record: taken, or FW_CORRUPT when it is not to be believed. */
static fw_status take(rescue *r, found *f, fw_error *error) {
    bool followed = plausible(r, f->next), free_standing = followed && !r->data_ended;
    const uint8_t *inner;
    switch (f->record.opcode) {
    case FW_MCAP_DATA_END:
        r->data_ended = r->data_ended || (followed && f->content_size == 4);
        return followed ? FW_OK : FW_CORRUPT;
    case FW_MCAP_CHUNK:
        FW_TRY(unpack(r, f, &inner, error));
        if (f->record.of.chunk.uncompressed_crc == 0 && !free_standing) return FW_CORRUPT;
        settle_length(r, f,
                      (uint64_t)(f->chunk_data - f->content) +
                          f->record.of.chunk.compressed_size_bytes);
        return take_chunk(r, f, inner, error);
    case FW_MCAP_ATTACHMENT:
        if (f->record.of.attachment.crc == 0 ? !free_standing : !attachment_proven(f)) break;
        settle_length(r, f,
                      (uint64_t)(f->record.of.attachment.data - f->content) +
                          f->record.of.attachment.size_bytes + 4);
        r->report.attachments++;
        r->needs.text += (uint64_t)f->record.of.attachment.name.size_bytes +
                         f->record.of.attachment.media_type.size_bytes;
        return add_item(r, f, ATTACHMENT, error);
    case FW_MCAP_METADATA:
        if (!free_standing) break;
        r->report.metadata++;
        r->needs.text += f->record.of.metadata.name.size_bytes;
        if (f->content_size > r->needs.metadata_max) r->needs.metadata_max = f->content_size;
        return add_item(r, f, METADATA, error);
    case FW_MCAP_MESSAGE:
        if (!free_standing || !is_known_message(r, f)) break;
        FW_TRY(note_message(r, &f->record.of.message, f->record.offset, error));
        return add_item(r, f, MESSAGES, error);
    case FW_MCAP_SCHEMA:
    case FW_MCAP_CHANNEL:
        if (!followed) break;
        FW_TRY(learn(r, &f->record, error));
        return f->record.opcode == FW_MCAP_CHANNEL ? add_item(r, f, CHANNEL, error) : FW_OK;
    default: /* indexes, ends and private records are made anew or left out */
        return followed && f->record.opcode != 0 ? FW_OK : FW_CORRUPT;
    }
    return FW_CORRUPT;
}

/* A chain of messages on known channels, or of fewer up to the file's end. */
static bool starts_chain(const rescue *r, found *f) {
    if (r->has_chunks) return false; /* what looks like messages lies in a broken chunk */
    for (int i = 0; i < CHAIN; i++) {
        if (!is_known_message(r, f)) return false;
        if (f->next == r->size || magic_at(r, f->next)) return true;
        if (!find_at(r, f->next, f)) return false;
    }
    return true;
}

/* Does a record here prove itself? Only used while searching. */
static fw_status try_at(rescue *r, uint64_t at, bool *proven, fw_error *error) {
    found f;
    uint8_t opcode = r->bytes[at];
    *proven = false;
    if (opcode != FW_MCAP_CHUNK && opcode != FW_MCAP_ATTACHMENT && opcode != FW_MCAP_MESSAGE) {
        return FW_OK;
    }
    if (!find_at(r, at, &f)) return FW_OK;
    if (opcode == FW_MCAP_MESSAGE) {
        *proven = starts_chain(r, &f);
        return FW_OK;
    }
    bool chunk = opcode == FW_MCAP_CHUNK;
    uint64_t cost = f.record.length_bytes;
    if (chunk) cost += f.record.of.chunk.uncompressed_size_bytes;
    uint32_t crc = chunk ? f.record.of.chunk.uncompressed_crc : f.record.of.attachment.crc;
    if (crc == 0 || cost < f.record.length_bytes || cost > r->budget) return FW_OK;
    r->budget -= cost;
    if (!chunk) {
        *proven = attachment_proven(&f);
        return FW_OK;
    }
    const uint8_t *inner;
    fw_status status = unpack(r, &f, &inner, error);
    *proven = status == FW_OK;
    return fatal(status) ? status : FW_OK;
}

/* To the first place from *at that proves itself, or to `end`. */
static fw_status search(rescue *r, uint64_t *at, uint64_t end, fw_error *error) {
    for (; *at < end; ++*at) {
        bool proven;
        FW_TRY(try_at(r, *at, &proven, error));
        if (proven) break;
    }
    return FW_OK;
}

/* Is the length of the record, which could not be taken, to be believed? That of a chunk or an
 * attachment is when sound records stand where it leads, or one that the file's end cuts off. */
static bool length_holds(const rescue *r, uint64_t at) {
    uint64_t length, next_length;
    uint8_t opcode = r->bytes[at];
    if (opcode != FW_MCAP_CHUNK && opcode != FW_MCAP_ATTACHMENT) return false;
    if (!fits_at(r, at, &length)) return false;
    uint64_t next = at + FW_MCAP_PREFIX_BYTES + length;
    return sound_chain(r, next) || (!fits_at(r, next, &next_length) && cut_but_sound(r, next));
}

/* What is at `*at` could not be taken: where to go on. */
static fw_status step_over(rescue *r, uint64_t *at, fw_error *error) {
    uint64_t length = 0;
    if (r->bytes[*at] == FW_MCAP_CHUNK) {
        r->report.chunks_lost++;
        r->has_chunks = true;
    }
    bool fits = fits_at(r, *at, &length);
    if (!fits && cut_but_sound(r, *at)) {
        *at = r->size;
    } else if (length_holds(r, *at)) {
        *at += FW_MCAP_PREFIX_BYTES + length;
    } else {
        ++*at;
        return search(r, at, r->size, error);
    }
    return FW_OK;
}

/* Did a damaged length swallow what proves itself? *inside is its place, else the record's end. Not
 * asked of what has a CRC of its own, nor of messages where they stand outside chunks. */
static fw_status look_inside(rescue *r, const found *f, uint64_t *inside, fw_error *error) {
    uint8_t opcode = f->record.opcode;
    *inside = f->next;
    if (r->report.was_whole || opcode == FW_MCAP_CHUNK || opcode == FW_MCAP_ATTACHMENT ||
        (opcode == FW_MCAP_MESSAGE && !r->has_chunks)) {
        return FW_OK;
    }
    *inside = f->record.offset + 1;
    return search(r, inside, f->next, error);
}

static fw_status survey(rescue *r, uint64_t at, fw_error *error) {
    while (at < r->size) {
        if (magic_at(r, at)) { /* the end, even when other bytes follow */
            r->report.bytes_read += FW_MCAP_MAGIC_BYTES;
            break;
        }
        found f;
        fw_status status = FW_CORRUPT;
        if (find_at(r, at, &f)) {
            uint64_t inside;
            FW_TRY(look_inside(r, &f, &inside, error));
            if (inside < f.next) {
                at = inside;
                continue;
            }
            status = take(r, &f, error);
        }
        if (fatal(status)) return status;
        if (status == FW_OK) {
            r->report.bytes_read += f.record.length_bytes;
            at = f.next;
        } else {
            FW_TRY(step_over(r, &at, error));
        }
    }
    return FW_OK;
}

/* Schemas and channels of a summary whose CRC is right. */
static fw_status learn_summary(rescue *r, uint64_t header_end, fw_error *error) {
    const uint64_t tail = FW_MCAP_PREFIX_BYTES + FW_MCAP_FOOTER_BYTES + FW_MCAP_MAGIC_BYTES;
    found f;
    if (r->size < header_end + tail || !magic_at(r, r->size - FW_MCAP_MAGIC_BYTES) ||
        !find_at(r, r->size - tail, &f) || f.record.opcode != FW_MCAP_FOOTER) {
        return FW_OK;
    }
    uint64_t at = f.record.of.footer.summary_start, end = f.record.offset;
    uint32_t crc = f.record.of.footer.summary_crc;
    if (at < header_end || at > end || crc == 0 ||
        fw_mcap_crc32(0, r->bytes + at, (size_t)(end - at) + FW_MCAP_PREFIX_BYTES + 16) != crc) {
        return FW_OK;
    }
    for (; at < end && find_at(r, at, &f); at = f.next) {
        if (f.record.opcode == FW_MCAP_CHUNK_INDEX) r->has_chunks = true;
        if (f.record.opcode != FW_MCAP_SCHEMA && f.record.opcode != FW_MCAP_CHANNEL) continue;
        fw_status status = learn(r, &f.record, error);
        if (fatal(status)) return status;
    }
    return FW_OK;
}

/* ------------------------------------------------------------------------ what is missing ----- */

/* Channels that waited for a schema are learnt again, now that it stands in for the lost one. */
static fw_status learn_again(rescue *r, fw_error *error) {
    for (size_t i = 0; i < r->item_count; i++) {
        found f;
        if (r->items[i].kind != CHUNK && r->items[i].kind != CHANNEL) continue;
        bool there = find_at(r, r->items[i].offset, &f);
        FW_ASSERT(there);
        fw_status status;
        if (r->items[i].kind == CHANNEL) {
            status = learn(r, &f.record, error);
        } else {
            const uint8_t *inner;
            status = unpack(r, &f, &inner, error);
            if (status == FW_OK) status = learn_chunk(r, &f, inner, error);
        }
        if (fatal(status)) return status;
    }
    return FW_OK;
}

static fw_status explain_schemas(rescue *r, fw_error *error) {
    if (!r->schema_missing) return FW_OK;
    for (uint32_t id = 1; id < FW_MCAP_IDS; id++) {
        if (!has_bit(r->wanted, (uint16_t)id)) continue;
        if (fw_mcap_known_schema(&r->known, (uint16_t)id) != NULL) continue;
        char name[32];
        snprintf(name, sizeof name, "lost/schema_%u", (unsigned)id);
        fw_mcap_schema lost = {.id = (uint16_t)id, .name = fw_mcap_text_of(name)};
        lost.encoding = fw_mcap_text_of("");
        FW_TRY(fw_mcap_known_add_schema(&r->known, &lost, 0, error));
    }
    return learn_again(r, error);
}

static fw_status explain_channels(rescue *r, fw_error *error) {
    for (uint32_t id = 0; id < FW_MCAP_IDS; id++) {
        if (r->used[id / 8] == 0) id |= 7; /* none of these eight */
        if (!has_bit(r->used, (uint16_t)id)) continue;
        if (fw_mcap_known_find(&r->known, (uint16_t)id) != NULL) continue;
        char topic[32];
        snprintf(topic, sizeof topic, "lost/channel_%u", (unsigned)id);
        fw_mcap_channel lost = {.id = (uint16_t)id, .topic = fw_mcap_text_of(topic)};
        lost.message_encoding = fw_mcap_text_of("");
        FW_TRY(fw_mcap_known_add_channel(&r->known, &lost, 0, error));
        r->report.channels_lost++;
    }
    return FW_OK;
}

/* --------------------------------------------------------------------------------- writing -----
 */

/* Terminated copies for the writer; zero bytes inside become '?'. The strings of one call live
 * together: begin, then texts of the announced size. */
static fw_status begin_strings(rescue *r, uint64_t size, uint8_t **at, fw_error *error) {
    FW_TRY(fw_mcap_buffer_reserve(&r->strings, (size_t)size, error));
    *at = r->strings.bytes;
    return FW_OK;
}

static const char *string(uint8_t **at, fw_mcap_text text) {
    char *start = (char *)*at;
    for (uint32_t i = 0; i < text.size_bytes; i++) {
        start[i] = text.bytes[i] == '\0' ? '?' : text.bytes[i];
    }
    start[text.size_bytes] = '\0';
    *at += (size_t)text.size_bytes + 1;
    return start;
}

static fw_status pairs(rescue *r, fw_mcap_map map, uint8_t **at, size_t *count, fw_error *error) {
    fw_mcap_text key, value;
    *count = 0;
    for (uint32_t p = 0; fw_mcap_map_next(map, &p, &key, &value);) ++*count;
    FW_TRY(fw_mcap_buffer_reserve(&r->pairs, *count * sizeof(fw_mcap_pair), error));
    fw_mcap_pair *pair = (fw_mcap_pair *)(void *)r->pairs.bytes;
    for (uint32_t p = 0; fw_mcap_map_next(map, &p, &key, &value); pair++) {
        pair->key = string(at, key);
        pair->value = string(at, value);
    }
    return FW_OK;
}

static fw_status write_schema(rescue *r, const fw_mcap_schema *s, fw_error *error) {
    uint8_t *at;
    FW_TRY(begin_strings(r, (uint64_t)s->name.size_bytes + s->encoding.size_bytes + 2, &at, error));
    const char *name = string(&at, s->name), *encoding = string(&at, s->encoding);
    return fw_mcap_writer_add_schema(r->writer, name, encoding, s->data, s->size_bytes,
                                     &r->new_schema[s->id], error);
}

/* A map of n bytes has at most n / 8 pairs, so n bytes hold its strings with their ends. */
static fw_status write_channel(rescue *r, const fw_mcap_channel *c, fw_error *error) {
    uint8_t *at;
    uint64_t size = (uint64_t)c->topic.size_bytes + c->message_encoding.size_bytes + 2;
    FW_TRY(begin_strings(r, size + c->metadata.size_bytes, &at, error));
    const char *topic = string(&at, c->topic), *encoding = string(&at, c->message_encoding);
    size_t count;
    FW_TRY(pairs(r, c->metadata, &at, &count, error));
    return fw_mcap_writer_add_channel(r->writer, r->new_schema[c->schema_id], topic, encoding,
                                      (const fw_mcap_pair *)(void *)r->pairs.bytes, count,
                                      &r->new_channel[c->id], error);
}

static fw_status write_message(rescue *r, const fw_mcap_message *m, fw_error *error) {
    if (m->size_bytes > LARGEST - FW_MCAP_MESSAGE_HEAD_BYTES) {
        r->report.records_lost++;
        return FW_OK;
    }
    return fw_mcap_writer_message(r->writer, r->new_channel[m->channel_id], m->sequence,
                                  m->log_time_ns, m->publish_time_ns, m->data,
                                  (size_t)m->size_bytes, error);
}

static fw_status write_messages(rescue *r, const uint8_t *bytes, uint64_t size, fw_error *error) {
    fw_mcap_record record;
    uint64_t at = 0;
    bool broken = false;
    while (next_inside(bytes, size, &at, &record, &broken)) {
        if (record.opcode == FW_MCAP_MESSAGE) FW_TRY(write_message(r, &record.of.message, error));
    }
    return FW_OK;
}

static fw_status write_metadata(rescue *r, const fw_mcap_metadata *m, fw_error *error) {
    uint8_t *at;
    FW_TRY(begin_strings(r, (uint64_t)m->name.size_bytes + m->map.size_bytes + 1, &at, error));
    const char *name = string(&at, m->name);
    size_t count;
    FW_TRY(pairs(r, m->map, &at, &count, error));
    return fw_mcap_writer_metadata(r->writer, name, (const fw_mcap_pair *)(void *)r->pairs.bytes,
                                   count, error);
}

static fw_status write_attachment(rescue *r, const fw_mcap_attachment *a, fw_error *error) {
    uint8_t *at;
    FW_TRY(
        begin_strings(r, (uint64_t)a->name.size_bytes + a->media_type.size_bytes + 2, &at, error));
    const char *name = string(&at, a->name), *type = string(&at, a->media_type);
    return fw_mcap_writer_attachment(r->writer, a->log_time_ns, a->create_time_ns, name, type,
                                     a->data, (size_t)a->size_bytes, error);
}

static fw_status write_item(rescue *r, const item *i, fw_error *error) {
    if (i->kind == MESSAGES) return write_messages(r, r->bytes + i->offset, i->length, error);
    found f;
    bool there = find_at(r, i->offset, &f);
    FW_ASSERT(there);
    if (i->kind == CHUNK) {
        const uint8_t *inner;
        FW_TRY(unpack(r, &f, &inner, error));
        return write_messages(r, inner, f.record.of.chunk.uncompressed_size_bytes, error);
    }
    if (i->kind == CHANNEL) return FW_OK;
    fw_status status = i->kind == METADATA ? write_metadata(r, &f.record.of.metadata, error)
                                           : write_attachment(r, &f.record.of.attachment, error);
    if (status != FW_TOO_BIG) return status;
    r->report.records_lost++; /* longer names than the writer takes */
    if (i->kind == METADATA) r->report.metadata--;
    if (i->kind == ATTACHMENT) r->report.attachments--;
    return FW_OK;
}

/* --------------------------------------------------------------------------------- writer ----- */

static uint32_t raised(uint32_t given, uint32_t otherwise, uint64_t need) {
    uint64_t value = given == 0 ? otherwise : given;
    if (value < need) value = need;
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* What the definitions of the new file need, as the writer counts it. */
static void count_definitions(rescue *r) {
    for (uint32_t i = 0; i < r->known.schema_count; i++) {
        const fw_mcap_schema *s = fw_mcap_known_schema(&r->known, r->known.schema_ids[i]);
        uint64_t size = 32 + (uint64_t)s->name.size_bytes + s->encoding.size_bytes + s->size_bytes;
        r->needs.text += size;
        if (size > r->needs.record_max) r->needs.record_max = size;
    }
    for (uint32_t i = 0; i < r->known.channel_count; i++) {
        const fw_mcap_channel *c = &fw_mcap_known_find(&r->known, r->known.channel_ids[i])->channel;
        uint64_t size = 32 + (uint64_t)c->topic.size_bytes + c->message_encoding.size_bytes +
                        c->metadata.size_bytes;
        r->needs.text += size;
        if (size > r->needs.record_max) r->needs.record_max = size;
    }
}

static fw_mcap_writer_options raise(const rescue *r, const fw_mcap_writer_options *options) {
    fw_mcap_writer_options o = {0};
    if (options != NULL) o = *options;
    o.message_max_bytes = raised(o.message_max_bytes, 262144, r->needs.record_max);
    o.chunk_messages_max = raised(o.chunk_messages_max, 8192, 1);
    o.schemas_max = raised(o.schemas_max, 64, r->known.schema_count);
    o.channels_max = raised(o.channels_max, 64, r->known.channel_count);
    o.attachments_max = raised(o.attachments_max, 16, r->report.attachments);
    o.metadata_max = raised(o.metadata_max, 16, r->report.metadata);
    o.metadata_max_bytes = raised(o.metadata_max_bytes, 65536, r->needs.metadata_max);
    o.text_max_bytes = raised(o.text_max_bytes, 262144, r->needs.text);
    uint64_t bytes = r->needs.bytes + r->needs.text;
    uint32_t chunk_bytes = raised(o.chunk_bytes, 262144, 1), chunks_given = o.chunks_max;
    for (;; chunk_bytes *= 2) {
        uint64_t chunks = bytes / chunk_bytes + r->report.messages / o.chunk_messages_max + 4;
        o.chunk_bytes = chunk_bytes;
        o.chunks_max = raised(chunks_given, 16, chunks);
        bool small = (uint64_t)o.chunks_max * o.channels_max * 10 <= INDEX_MAX_BYTES;
        if (small || chunk_bytes > LARGEST / 2) return o;
    }
}

static fw_status write_all(rescue *r, const fw_mcap_writer_options *options, fw_mcap_sink sink,
                           fw_error *error) {
    count_definitions(r);
    fw_mcap_writer_options o = raise(r, options);
    FW_TRY(fw_mcap_writer_open(&o, &r->writer, error));
    char profile[LIBRARY_MAX];
    (void)fw_mcap_text_copy(r->profile, profile, sizeof profile);
    FW_TRY(fw_mcap_writer_begin(r->writer, sink, profile, "flywheel recover", error));
    for (uint32_t i = 0; i < r->known.schema_count; i++) {
        FW_TRY(write_schema(r, fw_mcap_known_schema(&r->known, r->known.schema_ids[i]), error));
    }
    for (uint32_t i = 0; i < r->known.channel_count; i++) {
        FW_TRY(write_channel(r, &fw_mcap_known_find(&r->known, r->known.channel_ids[i])->channel,
                             error));
    }
    for (size_t i = 0; i < r->item_count; i++) FW_TRY(write_item(r, &r->items[i], error));
    return fw_mcap_writer_end(r->writer, error);
}

/* ------------------------------------------------------------------------------------ all ----- */

static fw_status read_header(rescue *r, uint64_t *end, fw_error *error) {
    found f;
    if (!magic_at(r, 0)) {
        return fw_fail(error, FW_CORRUPT, "mcap: nothing to recover: no MCAP magic at byte 0");
    }
    if (!find_at(r, FW_MCAP_MAGIC_BYTES, &f) || f.record.opcode != FW_MCAP_HEADER) {
        return fw_fail(error, FW_CORRUPT, "mcap: nothing to recover: no whole header at byte 8");
    }
    r->profile = f.record.of.header.profile;
    r->report.bytes_read = *end = f.next;
    return FW_OK;
}

static fw_status recover(rescue *r, const fw_mcap_writer_options *options, fw_mcap_sink sink,
                         fw_error *error) {
    uint64_t header_end = 0;
    FW_TRY(read_header(r, &header_end, error));
    fw_status status = fw_mcap_validate_bytes(&r->limits, r->bytes, (size_t)r->size, NULL, error);
    if (status == FW_NO_MEMORY) return status;
    r->report.was_whole = status == FW_OK;
    FW_TRY(learn_summary(r, header_end, error));
    FW_TRY(survey(r, header_end, error));
    FW_TRY(explain_schemas(r, error));
    FW_TRY(explain_channels(r, error));
    return write_all(r, options, sink, error);
}

fw_status fw_mcap_recover(const fw_mcap_limits *limits, const fw_mcap_writer_options *options,
                          const void *bytes, size_t size_bytes, fw_mcap_sink sink,
                          fw_mcap_recovered *report, fw_error *error) {
    rescue *r = calloc(1, sizeof *r);
    if (r == NULL) return fw_fail(error, FW_NO_MEMORY, "mcap: no memory to recover");
    r->limits = fw_mcap_limits_complete(limits);
    r->known.text_max_bytes = r->limits.text_max_bytes;
    r->bytes = bytes == NULL ? (const uint8_t *)"" : bytes;
    r->size = size_bytes;
    r->budget = 16 * (uint64_t)size_bytes + r->limits.chunk_max_bytes;
    fw_status status = recover(r, options, sink, error);
    if (status == FW_OK && report != NULL) *report = r->report;
    fw_mcap_writer_close(r->writer);
    fw_mcap_unpacker_close(&r->unpacker);
    fw_mcap_known_free(&r->known);
    free(r->unpacked.bytes);
    free(r->strings.bytes);
    free(r->pairs.bytes);
    free(r->items);
    free(r);
    return status;
}
