#include "mcap/chunk.h"

#include <inttypes.h>
#include <stdlib.h>

#include "mcap/format.h"

static void take_default(uint64_t *value, uint64_t otherwise) {
    if (*value == 0) *value = otherwise;
}

fw_mcap_limits fw_mcap_limits_complete(const fw_mcap_limits *limits) {
    fw_mcap_limits complete = {0};
    if (limits != NULL) complete = *limits;
    take_default(&complete.record_max_bytes, 1u << 26);
    take_default(&complete.chunk_max_bytes, 1u << 26);
    take_default(&complete.text_max_bytes, 1u << 24);
    take_default(&complete.chunks_max, 1u << 20);
    take_default(&complete.messages_max, (uint64_t)1 << 63);
    return complete;
}

fw_status fw_mcap_buffer_reserve(fw_mcap_buffer *buffer, size_t size, fw_error *error) {
    if (size < 1) size = 1;
    if (size <= buffer->capacity) return FW_OK;
    uint8_t *grown = realloc(buffer->bytes, size);
    if (grown == NULL) return fw_fail(error, FW_NO_MEMORY, "mcap: no memory for %zu bytes", size);
    *buffer = (fw_mcap_buffer){.bytes = grown, .capacity = size};
    return FW_OK;
}

static fw_status check_claims(uint64_t chunk_max_bytes, const fw_mcap_chunk *k, uint64_t offset,
                              fw_mcap_compression *compression, fw_error *error) {
    if (k->uncompressed_size_bytes > chunk_max_bytes) {
        return fw_fail(error, FW_TOO_BIG,
                       "mcap: chunk at byte %" PRIu64 " unpacks to %" PRIu64
                       " bytes, over the limit of %" PRIu64,
                       offset, k->uncompressed_size_bytes, chunk_max_bytes);
    }
    if (!fw_mcap_compression_of(k->compression, compression)) {
        return fw_fail(
            error, FW_UNSUPPORTED,
            "mcap: chunk at byte %" PRIu64 " is compressed with '%.*s'; known are none, zstd, lz4",
            offset, (int)(k->compression.size_bytes < 32 ? k->compression.size_bytes : 32),
            k->compression.bytes);
    }
    if (*compression == FW_MCAP_NONE && k->compressed_size_bytes != k->uncompressed_size_bytes) {
        return fw_fail(error, FW_CORRUPT,
                       "mcap: chunk at byte %" PRIu64 " is not compressed but gives two sizes",
                       offset);
    }
    return FW_OK;
}

fw_status fw_mcap_chunk_unpack(fw_mcap_unpacker *unpacker, fw_mcap_buffer *buffer,
                               uint64_t chunk_max_bytes, const fw_mcap_chunk *k,
                               const uint8_t *data, uint64_t offset, const uint8_t **out,
                               fw_error *error) {
    fw_mcap_compression compression;
    FW_TRY(check_claims(chunk_max_bytes, k, offset, &compression, error));
    size_t size = (size_t)k->uncompressed_size_bytes;
    const uint8_t *bytes = data;
    if (compression != FW_MCAP_NONE) {
        FW_TRY(fw_mcap_buffer_reserve(buffer, size, error));
        const char *why = "";
        fw_status status =
            fw_mcap_unpack(unpacker, compression, data, (size_t)k->compressed_size_bytes,
                           buffer->bytes, size, &why);
        if (status != FW_OK) {
            return fw_fail(error, status, "mcap: chunk at byte %" PRIu64 " does not unpack: %s",
                           offset, why);
        }
        bytes = buffer->bytes;
    }
    if (k->uncompressed_crc != 0 && fw_mcap_crc32(0, bytes, size) != k->uncompressed_crc) {
        return fw_fail(error, FW_CORRUPT, "mcap: chunk at byte %" PRIu64 ": wrong CRC", offset);
    }
    *out = bytes;
    return FW_OK;
}
