/* indexed.h - private: the parts of a file and the query that runs over them.
 *
 *   part:  a chunk, or a run of messages that stand in the data section outside chunks
 *   slot:  a part that is open: its records in plain bytes, and the message it gives next
 *
 *   parts --chosen by time and topics--> order --opened when time reaches them--> heap of slots
 *
 * A part is opened before the first message that could come after one of its own: in time order
 * when its start is not later than the time at the heap's top, in reverse when its end is not
 * earlier. Opening reads all its records once and proves what was claimed of them: their framing,
 * their times within the part's, their channels among the listed ones. So giving a message out
 * checks next to nothing, and a part whose messages lie in time order is simply walked; only an
 * unordered or a reversed one gets an array of its messages.
 */
#ifndef FW_MCAP_INDEXED_H
#define FW_MCAP_INDEXED_H

#include "mcap/chunk.h"
#include "mcap/format.h"
#include "mcap/known.h"

typedef struct fw_mcap_part {
    uint64_t offset, length; /* of the Chunk record, or of the run */
    uint64_t start_ns, end_ns;
    bool loose;                      /* a run outside chunks */
    bool claimed;                    /* a ChunkIndex says all this; the chunk has not been seen */
    fw_mcap_compression compression; /* from here on as claimed: */
    uint64_t packed, unpacked;       /* sizes */
    uint64_t index_length;           /* of the MessageIndex records behind */
    const uint8_t *index_offsets;    /* (index_offset_count), as in the file */
    uint32_t index_offset_count;
} fw_mcap_part;

typedef struct fw_mcap_entry {
    uint64_t time_ns, offset;
} fw_mcap_entry;

typedef struct fw_mcap_slot {
    size_t part; /* its number: file order */
    const uint8_t *bytes;
    uint64_t size;
    uint64_t at;            /* walked: of the record behind the one to give */
    bool all;               /* the query chooses every message */
    fw_mcap_entry *entries; /* sorted; NULL when walked */
    size_t entry_next, entry_count, entry_capacity;
    fw_mcap_buffer unpacked;
    /* The message to give next: */
    uint64_t time_ns;
    const uint8_t *record;
    struct fw_mcap_slot *next_spare;
} fw_mcap_slot;

typedef struct fw_mcap_offsets {
    uint64_t *at;
    size_t count, capacity;
} fw_mcap_offsets;

struct fw_mcap_indexed {
    fw_mcap_limits limits;
    fw_mcap_file file; /* of open_path */
    const uint8_t *bytes;
    uint64_t size;
    fw_mcap_known known;
    fw_mcap_text profile, library;
    bool whole, has_statistics;
    bool incomplete; /* the summary leaves something out that only a scan finds */
    fw_mcap_statistics statistics;
    fw_mcap_part *parts; /* by rising offset */
    size_t part_count, part_capacity;
    fw_mcap_offsets attachments, metadata;

    fw_mcap_query query;
    uint64_t last_time_ns; /* of the query, inclusive */
    fw_status state;       /* FW_OK while the query runs */
    uint32_t chosen_upto;  /* channels that were compared with the topics */
    uint32_t serial;       /* of the part opened last */
    uint64_t examined;     /* messages of opened parts */
    size_t *order;         /* (order_count) part numbers, in the order they may be needed */
    size_t order_count, order_next;
    fw_mcap_slot **heap;
    size_t heap_count, heap_capacity;
    fw_mcap_slot *spares;
    uint64_t unpacked_bytes, entries_bytes; /* held by slots, spare ones too */
    bool given;                             /* the heap's top was handed out by the last call */
    bool alone;                             /* and no other part concerns the rest of its part */
    fw_mcap_unpacker unpacker;
    uint8_t listed[8192]; /* bit of each channel id that the opened chunk's index lists */
};

/* The record at `offset`, wholly before `end`; parsed when its opcode is known. *chunk_data as for
 * fw_mcap_parse. FW_CORRUPT. */
fw_status fw_mcap_indexed_record_at(const fw_mcap_indexed *ix, uint64_t offset, uint64_t end,
                                    fw_mcap_record *record, const uint8_t **chunk_data,
                                    fw_error *error) FW_MUST;
/* Ends the query and frees what it holds. */
void fw_mcap_indexed_end_query(fw_mcap_indexed *ix);
/* Opens a part into a slot (from ix->spares or new), positioned at its first chosen message; *out
 * is NULL when it has none. */
fw_status fw_mcap_indexed_open_part(fw_mcap_indexed *ix, size_t part, fw_mcap_slot **out,
                                    fw_error *error) FW_MUST;
/* To the next chosen message of the slot; false at its end. */
bool fw_mcap_indexed_advance(const fw_mcap_indexed *ix, fw_mcap_slot *slot);
/* Keeps the slot's buffers for the next part. */
void fw_mcap_indexed_spare(fw_mcap_indexed *ix, fw_mcap_slot *slot);
/* Compares channels that came since the last call with the query's topics. */
void fw_mcap_indexed_choose(fw_mcap_indexed *ix);

static inline uint16_t fw_mcap_record_channel(const uint8_t *record) {
    return fw_mcap_load_u16(record + FW_MCAP_PREFIX_BYTES);
}
static inline uint64_t fw_mcap_record_time(const uint8_t *record) {
    return fw_mcap_load_u64(record + FW_MCAP_PREFIX_BYTES + 6);
}

/* Records of about one size follow each other: asks for the head of one to come. */
static inline void fw_mcap_look_ahead(const uint8_t *record, uint64_t length) {
    __builtin_prefetch((const void *)((uintptr_t)record + 8 * (length + FW_MCAP_PREFIX_BYTES)));
}

static inline bool fw_mcap_indexed_is_chosen(const fw_mcap_indexed *ix,
                                             const fw_mcap_known_channel *channel,
                                             uint64_t time_ns) {
    return channel->chosen && time_ns >= ix->query.start_time_ns && time_ns <= ix->last_time_ns;
}

/* Of a slot that is walked: the record of the next chosen message, or NULL. */
static inline const uint8_t *fw_mcap_indexed_walk(const fw_mcap_indexed *ix, fw_mcap_slot *slot) {
    const uint8_t *bytes = slot->bytes;
    uint64_t at = slot->at, size = slot->size;
    while (at < size) {
        const uint8_t *record = bytes + at;
        uint64_t length = fw_mcap_load_u64(record + 1);
        fw_mcap_look_ahead(record, length);
        at += FW_MCAP_PREFIX_BYTES + length;
        if (record[0] != FW_MCAP_MESSAGE) continue;
        if (!slot->all) {
            const fw_mcap_known_channel *channel =
                fw_mcap_known_find(&ix->known, fw_mcap_record_channel(record));
            if (!fw_mcap_indexed_is_chosen(ix, channel, fw_mcap_record_time(record))) continue;
        }
        slot->at = at;
        return record;
    }
    slot->at = size;
    return NULL;
}

/* Of any slot. */
static inline const uint8_t *fw_mcap_indexed_step(const fw_mcap_indexed *ix, fw_mcap_slot *slot) {
    if (slot->entry_count == 0) return fw_mcap_indexed_walk(ix, slot);
    if (slot->entry_next == slot->entry_count) return NULL;
    size_t next = slot->entry_next++, ahead = next + 8;
    size_t last = slot->entry_count - 1;
    bool back = ix->query.order == FW_MCAP_ORDER_REVERSE;
    if (ahead > last) ahead = last;
    __builtin_prefetch(slot->bytes + slot->entries[back ? last - ahead : ahead].offset);
    return slot->bytes + slot->entries[back ? last - next : next].offset;
}

#endif
