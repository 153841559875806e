/* chunk.h - private: from a Chunk record to its records in plain bytes, proven by size and CRC. */
#ifndef FW_MCAP_CHUNK_H
#define FW_MCAP_CHUNK_H

#include "mcap/codec.h"
#include "mcap/mcap.h"

typedef struct fw_mcap_buffer {
    uint8_t *bytes;
    size_t capacity;
} fw_mcap_buffer;

/* Grows to at least `size` bytes (content is kept); FW_NO_MEMORY. Freed by free(bytes). */
fw_status fw_mcap_buffer_reserve(fw_mcap_buffer *buffer, size_t size, fw_error *error) FW_MUST;

/* The limits with every 0 replaced by its default; limits may be NULL. */
fw_mcap_limits fw_mcap_limits_complete(const fw_mcap_limits *limits);

/* Unpacks the chunk whose still packed bytes are `data` and checks size and CRC. *out is
 * (uncompressed_size_bytes): `data` itself where nothing is compressed, else `buffer`. `offset` is
 * the chunk's, for messages.
 * FW_TOO_BIG over chunk_max_bytes before anything is unpacked; FW_CORRUPT; FW_UNSUPPORTED. */
fw_status fw_mcap_chunk_unpack(fw_mcap_unpacker *unpacker, fw_mcap_buffer *buffer,
                               uint64_t chunk_max_bytes, const fw_mcap_chunk *chunk,
                               const uint8_t *data, uint64_t offset, const uint8_t **out,
                               fw_error *error) FW_MUST;

#endif
