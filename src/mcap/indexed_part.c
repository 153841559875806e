/* Opening one part of an indexed file: unpack, prove, count what is chosen, sort if need be. */
#include <inttypes.h>
#include <stdlib.h>

#include "mcap/format.h"
#include "mcap/indexed.h"

static fw_status lies(const fw_mcap_part *part, const char *what, fw_error *error) {
    return fw_fail(error, FW_CORRUPT, "mcap: chunk at byte %" PRIu64 ": %s", part->offset, what);
}

static fw_status bad_inside(const fw_mcap_part *part, uint64_t at, const char *what,
                            fw_error *error) {
    return fw_fail(error, FW_CORRUPT,
                   "mcap: %s at byte %" PRIu64 ", record at byte %" PRIu64 " of it: %s",
                   part->loose ? "messages" : "chunk", part->offset, at, what);
}

/* ------------------------------------------------------------------------------- memory ----- */

static void free_slot(fw_mcap_indexed *ix, fw_mcap_slot *slot) {
    ix->unpacked_bytes -= slot->unpacked.capacity;
    ix->entries_bytes -= slot->entry_capacity * sizeof *slot->entries;
    free(slot->unpacked.bytes);
    free(slot->entries);
    free(slot);
}

void fw_mcap_indexed_spare(fw_mcap_indexed *ix, fw_mcap_slot *slot) {
    slot->next_spare = ix->spares;
    ix->spares = slot;
}

static void free_spares(fw_mcap_indexed *ix) {
    while (ix->spares != NULL) {
        fw_mcap_slot *slot = ix->spares;
        ix->spares = slot->next_spare;
        free_slot(ix, slot);
    }
}

void fw_mcap_indexed_end_query(fw_mcap_indexed *ix) {
    for (size_t i = 0; i < ix->heap_count; i++) free_slot(ix, ix->heap[i]);
    free_spares(ix);
    free(ix->heap);
    free(ix->order);
    ix->heap = NULL;
    ix->order = NULL;
    ix->heap_count = ix->heap_capacity = ix->order_count = ix->order_next = 0;
    ix->given = ix->alone = false;
    ix->state = FW_INVALID;
}

static fw_mcap_slot *take_slot(fw_mcap_indexed *ix) {
    fw_mcap_slot *slot = ix->spares;
    if (slot == NULL) return calloc(1, sizeof *slot);
    ix->spares = slot->next_spare;
    return slot;
}

/* Makes room for `size` more bytes in a pool of what slots hold, `held` of them given back. */
static fw_status claim(fw_mcap_indexed *ix, uint64_t *pool, uint64_t held, uint64_t size,
                       uint64_t offset, fw_error *error) {
    uint64_t most = ix->limits.chunk_max_bytes;
    if (size > most || *pool - held > most - size) free_spares(ix);
    if (size > most || *pool - held > most - size) {
        return fw_fail(error, FW_TOO_BIG,
                       "mcap: the chunk at byte %" PRIu64
                       ", with those whose times overlap it, needs over %" PRIu64
                       " bytes of memory",
                       offset, most);
    }
    *pool += size - held;
    return FW_OK;
}

/* A buffer of its own for the slot, of at least `size` bytes. */
static fw_status reserve_unpacked(fw_mcap_indexed *ix, fw_mcap_slot *slot, uint64_t size,
                                  uint64_t offset, fw_error *error) {
    if (size == 0) size = 1;
    if (size <= slot->unpacked.capacity) return FW_OK;
    FW_TRY(claim(ix, &ix->unpacked_bytes, slot->unpacked.capacity, size, offset, error));
    free(slot->unpacked.bytes);
    slot->unpacked = (fw_mcap_buffer){0};
    fw_status status = fw_mcap_buffer_reserve(&slot->unpacked, (size_t)size, error);
    if (status != FW_OK) ix->unpacked_bytes -= size;
    return status;
}

static fw_status reserve_entries(fw_mcap_indexed *ix, fw_mcap_slot *slot, size_t count,
                                 uint64_t offset, fw_error *error) {
    if (count <= slot->entry_capacity) return FW_OK;
    size_t size = sizeof *slot->entries;
    FW_TRY(claim(ix, &ix->entries_bytes, slot->entry_capacity * size, count * size, offset, error));
    free(slot->entries);
    slot->entries = malloc(count * size);
    slot->entry_capacity = count;
    if (slot->entries != NULL) return FW_OK;
    slot->entry_capacity = 0;
    ix->entries_bytes -= count * size;
    return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for %zu messages", count);
}

/* ------------------------------------------------------------------------------- claims ----- */

static fw_status check_chunk(const fw_mcap_part *part, const fw_mcap_chunk *k, fw_error *error) {
    fw_mcap_compression compression;
    if (k->message_start_time_ns != part->start_ns || k->message_end_time_ns != part->end_ns ||
        k->uncompressed_size_bytes != part->unpacked || k->compressed_size_bytes != part->packed ||
        !fw_mcap_compression_of(k->compression, &compression) || compression != part->compression) {
        return lies(part, "the chunk index in the summary claims other figures", error);
    }
    return FW_OK;
}

/* Notes the channels that the chunk index lists; each must have its MessageIndex record. */
static fw_status check_listed(fw_mcap_indexed *ix, const fw_mcap_part *part, fw_error *error) {
    memset(ix->listed, 0, sizeof ix->listed);
    uint64_t start = part->offset + part->length, end = start + part->index_length;
    for (uint32_t i = 0; i < part->index_offset_count; i++) {
        const uint8_t *entry = part->index_offsets + 10 * (size_t)i;
        uint16_t id = fw_mcap_load_u16(entry);
        uint64_t at = fw_mcap_load_u64(entry + 2);
        if (at < start || at > end) {
            return lies(part, "its chunk index names a message index outside its place", error);
        }
        fw_mcap_record record;
        FW_TRY(fw_mcap_indexed_record_at(ix, at, end, &record, NULL, error));
        if (record.opcode != FW_MCAP_MESSAGE_INDEX || record.of.message_index.channel_id != id) {
            return lies(part, "its chunk index names a message index that is not there", error);
        }
        ix->listed[id / 8] |= (uint8_t)(1u << (id % 8));
    }
    while (start < end) {
        fw_mcap_record record;
        FW_TRY(fw_mcap_indexed_record_at(ix, start, end, &record, NULL, error));
        if (record.opcode != FW_MCAP_MESSAGE_INDEX && record.opcode <= FW_MCAP_DATA_END) {
            return lies(part, "other records stand between its message indexes", error);
        }
        start += record.length_bytes;
    }
    return FW_OK;
}

static fw_status load_chunk(fw_mcap_indexed *ix, const fw_mcap_part *part, fw_mcap_slot *slot,
                            fw_error *error) {
    fw_mcap_record record;
    const uint8_t *data = NULL;
    FW_TRY(fw_mcap_indexed_record_at(ix, part->offset, ix->size, &record, &data, error));
    if (record.opcode != FW_MCAP_CHUNK || record.length_bytes != part->length) {
        return lies(part, "there is no such chunk, though the summary claims it", error);
    }
    const fw_mcap_chunk *k = &record.of.chunk;
    if (part->claimed) {
        FW_TRY(check_chunk(part, k, error));
        FW_TRY(check_listed(ix, part, error));
    }
    if (k->compression.size_bytes > 0 && k->uncompressed_size_bytes <= ix->limits.chunk_max_bytes) {
        FW_TRY(reserve_unpacked(ix, slot, k->uncompressed_size_bytes, part->offset, error));
    }
    FW_TRY(fw_mcap_chunk_unpack(&ix->unpacker, &slot->unpacked, ix->limits.chunk_max_bytes, k, data,
                                part->offset, &slot->bytes, error));
    slot->size = k->uncompressed_size_bytes;
    return FW_OK;
}

/* ------------------------------------------------------------------------------ examine ----- */

typedef struct findings {
    uint64_t messages;
    uint64_t chosen; /* messages of the query */
    bool sorted;     /* those, by time */
} findings;

static fw_status learn(fw_mcap_indexed *ix, const fw_mcap_part *part, const uint8_t *at,
                       uint64_t length, uint64_t position, fw_error *error) {
    fw_mcap_record record = {.opcode = at[0]};
    bool may = !part->loose && (at[0] == FW_MCAP_SCHEMA || at[0] == FW_MCAP_CHANNEL);
    if (!may) return bad_inside(part, position, "this kind may not stand here", error);
    if (!fw_mcap_parse(at + FW_MCAP_PREFIX_BYTES, length, &record, NULL)) {
        return bad_inside(part, position, "it is shorter than its fields", error);
    }
    if (at[0] == FW_MCAP_CHANNEL) {
        FW_TRY(fw_mcap_known_add_channel(&ix->known, &record.of.channel, part->offset, error));
        fw_mcap_indexed_choose(ix);
        return FW_OK;
    }
    if (record.of.schema.id == 0) return FW_OK;
    return fw_mcap_known_add_schema(&ix->known, &record.of.schema, part->offset, error);
}

/* The first message of a channel in this part: may it be here? */
static fw_status meet_channel(fw_mcap_indexed *ix, const fw_mcap_part *part, uint16_t id,
                              uint64_t position, fw_error *error) {
    fw_mcap_known_channel *channel = fw_mcap_known_find(&ix->known, id);
    if (channel == NULL) {
        return fw_fail(error, FW_CORRUPT,
                       "mcap: message at byte %" PRIu64
                       " is on channel %u, which the file has not given",
                       part->offset, id);
    }
    channel->mark = ix->serial;
    bool listed = (ix->listed[id / 8] >> (id % 8) & 1) != 0;
    if (part->claimed && part->index_offset_count > 0 && !listed) {
        return bad_inside(part, position, "the chunk index leaves its channel out", error);
    }
    return FW_OK;
}

/* Any record but a message, and messages that are not sound. */
static fw_status examine_other(fw_mcap_indexed *ix, const fw_mcap_part *part,
                               const fw_mcap_slot *slot, uint64_t at, fw_error *error) {
    const uint8_t *record = slot->bytes + at;
    uint64_t left = slot->size - at;
    if (left < FW_MCAP_PREFIX_BYTES) return bad_inside(part, at, "it is cut short", error);
    uint64_t length = fw_mcap_load_u64(record + 1);
    if (length > left - FW_MCAP_PREFIX_BYTES) {
        return bad_inside(part, at, "it claims more bytes than there are", error);
    }
    if (record[0] > FW_MCAP_DATA_END) return FW_OK;
    if (record[0] != FW_MCAP_MESSAGE) return learn(ix, part, record, length, at, error);
    return bad_inside(part, at, "it is shorter than its fields", error);
}

static fw_status examine(fw_mcap_indexed *ix, const fw_mcap_part *part, const fw_mcap_slot *slot,
                         findings *found, fw_error *error) {
    const uint8_t *const bytes = slot->bytes;
    const uint64_t size = slot->size, start_ns = part->start_ns, end_ns = part->end_ns;
    const uint64_t first_ns = ix->query.start_time_ns, last_ns = ix->last_time_ns;
    const uint32_t serial = ix->serial;
    uint64_t messages = 0, chosen = 0, before_ns = 0;
    bool sorted = true;
    for (uint64_t at = 0; at < size;) {
        const uint8_t *record = bytes + at;
        uint64_t left = size - at;
        uint64_t length = left < FW_MCAP_PREFIX_BYTES ? left : fw_mcap_load_u64(record + 1);
        if (left < FW_MCAP_PREFIX_BYTES || length > left - FW_MCAP_PREFIX_BYTES ||
            record[0] != FW_MCAP_MESSAGE || length < FW_MCAP_MESSAGE_HEAD_BYTES) {
            FW_TRY(examine_other(ix, part, slot, at, error));
            at += FW_MCAP_PREFIX_BYTES + length;
            continue;
        }
        fw_mcap_look_ahead(record, length);
        uint16_t id = fw_mcap_record_channel(record);
        const fw_mcap_known_channel *channel = fw_mcap_known_find(&ix->known, id);
        if (channel == NULL || channel->mark != serial) {
            FW_TRY(meet_channel(ix, part, id, at, error));
        }
        uint64_t time_ns = fw_mcap_record_time(record);
        if (time_ns < start_ns || time_ns > end_ns) {
            return bad_inside(part, at, "its time is outside what the chunk claims", error);
        }
        at += FW_MCAP_PREFIX_BYTES + length;
        messages++;
        if (!channel->chosen || time_ns < first_ns || time_ns > last_ns) continue;
        chosen++;
        sorted = sorted && time_ns >= before_ns;
        before_ns = time_ns;
    }
    *found = (findings){.messages = messages, .chosen = chosen, .sorted = sorted};
    return FW_OK;
}

/* --------------------------------------------------------------------------------- sort ----- */

static int by_time(const void *a, const void *b) {
    const fw_mcap_entry *x = a, *y = b;
    if (x->time_ns != y->time_ns) return x->time_ns < y->time_ns ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* By time, equal times by offset, which is how they stand before. Messages are nearly in order in
 * most files: insertion until it has moved too many, then a sort for the worst case. */
static void sort_entries(fw_mcap_entry *entries, size_t count) {
    size_t moves_left = 8 * count;
    for (size_t i = 1; i < count; i++) {
        fw_mcap_entry entry = entries[i];
        size_t to = i;
        for (; to > 0 && entries[to - 1].time_ns > entry.time_ns; to--) {
            entries[to] = entries[to - 1];
        }
        entries[to] = entry;
        if (i - to > moves_left) {
            qsort(entries, count, sizeof *entries, by_time);
            return;
        }
        moves_left -= i - to;
    }
}

/* The slot was examined: its framing holds. */
static void collect(const fw_mcap_indexed *ix, fw_mcap_slot *slot, size_t count) {
    size_t found = 0;
    for (uint64_t at = 0; at < slot->size && found < count;) {
        const uint8_t *record = slot->bytes + at;
        if (record[0] == FW_MCAP_MESSAGE) {
            uint64_t time_ns = fw_mcap_record_time(record);
            if (fw_mcap_indexed_is_chosen(
                    ix, fw_mcap_known_find(&ix->known, fw_mcap_record_channel(record)), time_ns)) {
                slot->entries[found++] = (fw_mcap_entry){.time_ns = time_ns, .offset = at};
            }
        }
        at += FW_MCAP_PREFIX_BYTES + fw_mcap_load_u64(record + 1);
    }
    slot->entry_count = found;
}

/* ----------------------------------------------------------------------------- position ----- */

bool fw_mcap_indexed_advance(const fw_mcap_indexed *ix, fw_mcap_slot *slot) {
    const uint8_t *record = fw_mcap_indexed_step(ix, slot);
    if (record == NULL) return false;
    slot->record = record;
    slot->time_ns = fw_mcap_record_time(record);
    return true;
}

static fw_status prepare(fw_mcap_indexed *ix, const fw_mcap_part *part, fw_mcap_slot *slot,
                         bool *empty, fw_error *error) {
    slot->entry_count = slot->entry_next = 0;
    slot->at = 0;
    if (part->loose) {
        slot->bytes = ix->bytes + part->offset;
        slot->size = part->length;
    } else {
        FW_TRY(load_chunk(ix, part, slot, error));
    }
    findings found = {0};
    ix->serial++;
    FW_TRY(examine(ix, part, slot, &found, error));
    ix->examined += found.messages;
    if (ix->examined > ix->limits.messages_max) {
        return fw_fail(error, FW_TOO_BIG, "mcap: over %" PRIu64 " messages at byte %" PRIu64,
                       ix->limits.messages_max, part->offset);
    }
    slot->all = found.chosen == found.messages;
    *empty = found.chosen == 0;
    bool walks = ix->query.order == FW_MCAP_ORDER_FILE ||
                 (ix->query.order == FW_MCAP_ORDER_TIME && found.sorted);
    if (*empty || walks) return FW_OK;
    FW_TRY(reserve_entries(ix, slot, (size_t)found.chosen, part->offset, error));
    collect(ix, slot, (size_t)found.chosen);
    if (!found.sorted) sort_entries(slot->entries, slot->entry_count);
    return FW_OK;
}

fw_status fw_mcap_indexed_open_part(fw_mcap_indexed *ix, size_t part, fw_mcap_slot **out,
                                    fw_error *error) {
    fw_mcap_slot *slot = take_slot(ix);
    if (slot == NULL) return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for a chunk");
    slot->part = part;
    bool empty = true;
    fw_status status = prepare(ix, &ix->parts[part], slot, &empty, error);
    if (status == FW_OK && !empty && fw_mcap_indexed_advance(ix, slot)) {
        *out = slot;
        return FW_OK;
    }
    fw_mcap_indexed_spare(ix, slot);
    *out = NULL;
    return status;
}
