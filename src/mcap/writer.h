/* writer.h - private: the state of a writer, shared by the half that gathers messages (writer.c)
 * and the half that stands between and behind chunks (writer_end.c).
 *
 *   buffer:  | room for the chunk's head | records of the open chunk ->   |
 *   packed:  | room for the chunk's head | the same, packed               |   (not with "none")
 *   scratch: the message indexes of one chunk, or one metadata record
 *   entries: (time, offset, channel) of the open chunk's messages, in the order of the calls
 *   text:    every schema and channel record of the file, as it stands there (for the summary),
 *            and the names of attachments and metadata
 *
 * A chunk leaves as two calls of the sink: head and data in one piece, then its indexes. Bytes
 * are passed over once for the CRC: that of the data section is joined from its parts'.
 * Everything that can fail for size is checked before the first byte of a call moves.
 */
#ifndef FW_MCAP_WRITER_H
#define FW_MCAP_WRITER_H

#include "mcap/codec.h"
#include "mcap/format.h"

enum { FW_MCAP_CHUNK_HEAD_ROOM = 64, FW_MCAP_SUMMARY_GROUPS = 6 };

typedef struct fw_mcap_entry {
    uint64_t time_ns;
    uint32_t offset, channel; /* in the chunk's records; position in channels */
} fw_mcap_entry;

typedef struct fw_mcap_piece {
    uint32_t offset, size_bytes; /* in text */
} fw_mcap_piece;

typedef struct fw_mcap_channel_state {
    fw_mcap_piece record;
    uint32_t count;         /* messages of the open chunk */
    uint64_t message_count; /* of the chunks before */
    uint8_t *next_entry;    /* in scratch, while the chunk's indexes are made */
} fw_mcap_channel_state;

typedef struct fw_mcap_chunk_state {
    uint64_t start_ns, end_ns, offset, length, index_length, packed, unpacked;
    fw_mcap_compression compression;
    uint32_t channels;
} fw_mcap_chunk_state;

typedef struct fw_mcap_attachment_state {
    uint64_t offset, length, log_time_ns, create_time_ns, data_size;
    fw_mcap_piece name, media_type;
} fw_mcap_attachment_state;

typedef struct fw_mcap_metadata_state {
    uint64_t offset, length;
    fw_mcap_piece name;
} fw_mcap_metadata_state;

struct fw_mcap_writer {
    fw_mcap_writer_options o;
    fw_mcap_packer packer;
    fw_mcap_sink sink;
    bool ready;         /* open, not failed, no attachment half written: messages may come */
    bool open;          /* between begin and end */
    bool in_attachment; /* between attachment_begin and attachment_end */
    fw_status failed;   /* of the sink */
    uint64_t offset;    /* bytes given to the sink */
    uint32_t crc;       /* of the data section, then of the summary */

    uint8_t *records; /* in buffer, behind the room for the head */
    size_t chunk_used;
    uint32_t entry_count;
    uint64_t chunk_start_ns, chunk_end_ns; /* UINT64_MAX and 0 without messages */
    fw_mcap_entry *entries;
    fw_mcap_channel_state *channels;
    uint32_t schema_count, channel_count, chunk_count, attachment_count, metadata_count;

    uint8_t *buffer, *packed, *scratch, *text;
    size_t records_capacity, packed_capacity, scratch_capacity, text_used;
    fw_mcap_piece *schemas;
    fw_mcap_chunk_state *chunks;
    uint8_t *index_offsets; /* (chunks_max, channels_max) of 10 bytes, as they go to the file */
    fw_mcap_attachment_state *attachments;
    fw_mcap_metadata_state *metadata;
    uint64_t attachment_left; /* bytes of the attachment that are still to come */
    uint32_t attachment_crc;
    uint64_t message_count, start_ns, end_ns; /* of closed chunks; times as the chunk's */
};

static inline bool fw_mcap_omits(const fw_mcap_writer *w, uint32_t part) {
    return (w->o.omit & part) != 0;
}

/* Bytes of a string field, NULL being "". */
static inline size_t fw_mcap_text_size(const char *text) {
    return text == NULL ? 0 : strlen(text);
}

/* Gives bytes to the sink and counts them into the CRC. */
fw_status fw_mcap_emit(fw_mcap_writer *w, const void *bytes, size_t size, fw_error *error) FW_MUST;
/* The same for bytes whose CRC, from 0, is known when `size` > 0. */
fw_status fw_mcap_emit_summed(fw_mcap_writer *w, const void *bytes, size_t size, uint32_t crc,
                              fw_error *error) FW_MUST;
/* Why a call cannot be served now; every call but begin and attachments' starts with it. */
fw_status fw_mcap_check_ready(const fw_mcap_writer *w, fw_error *error) FW_MUST;

size_t fw_mcap_pairs_size(const fw_mcap_pair *pairs, size_t count);
uint8_t *fw_mcap_put_pairs(uint8_t *at, const fw_mcap_pair *pairs, size_t count);

#endif
