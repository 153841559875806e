/* format.h - private: little-endian bytes, read with bounds and written in place.
 *
 * A cursor walks over bytes that are surely there; each get says false instead of passing the end,
 * and then nothing has moved. A put writes and returns the position after it; the caller has sized
 * the buffer.
 */
#ifndef FW_MCAP_FORMAT_H
#define FW_MCAP_FORMAT_H

#include <string.h>

#include "mcap/mcap.h"

enum {
    FW_MCAP_MAGIC_BYTES = 8,
    FW_MCAP_PREFIX_BYTES = 9, /* opcode and length in front of every record */
    FW_MCAP_MESSAGE_HEAD_BYTES = 22,
    FW_MCAP_FOOTER_BYTES = 20,
    FW_MCAP_IDS = 65536,
    FW_MCAP_LITTLE = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
};

extern const uint8_t fw_mcap_magic[FW_MCAP_MAGIC_BYTES];

typedef struct fw_mcap_cursor {
    const uint8_t *at;
    uint64_t left;
} fw_mcap_cursor;

static inline uint16_t fw_mcap_load_u16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return FW_MCAP_LITTLE ? value : __builtin_bswap16(value);
}
static inline uint32_t fw_mcap_load_u32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return FW_MCAP_LITTLE ? value : __builtin_bswap32(value);
}
static inline uint64_t fw_mcap_load_u64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return FW_MCAP_LITTLE ? value : __builtin_bswap64(value);
}

static inline uint8_t *fw_mcap_put_u16(uint8_t *at, uint16_t v) {
    if (!FW_MCAP_LITTLE) v = __builtin_bswap16(v);
    memcpy(at, &v, sizeof v);
    return at + sizeof v;
}
static inline uint8_t *fw_mcap_put_u32(uint8_t *at, uint32_t v) {
    if (!FW_MCAP_LITTLE) v = __builtin_bswap32(v);
    memcpy(at, &v, sizeof v);
    return at + sizeof v;
}
static inline uint8_t *fw_mcap_put_u64(uint8_t *at, uint64_t v) {
    if (!FW_MCAP_LITTLE) v = __builtin_bswap64(v);
    memcpy(at, &v, sizeof v);
    return at + sizeof v;
}
static inline uint8_t *fw_mcap_put_bytes(uint8_t *at, const void *bytes, size_t size) {
    if (size > 0) memcpy(at, bytes, size);
    return at + size;
}
/* A String: u32 length and the bytes of a terminated string (NULL is ""). */
static inline uint8_t *fw_mcap_put_text(uint8_t *at, const char *text, size_t size) {
    return fw_mcap_put_bytes(fw_mcap_put_u32(at, (uint32_t)size), text, size);
}
/* The prefix of a record. */
static inline uint8_t *fw_mcap_put_prefix(uint8_t *at, uint8_t opcode, uint64_t length) {
    at[0] = opcode;
    return fw_mcap_put_u64(at + 1, length);
}

bool fw_mcap_get_u16(fw_mcap_cursor *c, uint16_t *out);
bool fw_mcap_get_u32(fw_mcap_cursor *c, uint32_t *out);
bool fw_mcap_get_u64(fw_mcap_cursor *c, uint64_t *out);
bool fw_mcap_get_bytes(fw_mcap_cursor *c, uint64_t size, const uint8_t **out);
bool fw_mcap_get_text(fw_mcap_cursor *c, fw_mcap_text *out);
/* Bytes with a u32 length in front whose length is a multiple of `unit`; *count in units. */
bool fw_mcap_get_array(fw_mcap_cursor *c, uint32_t unit, const uint8_t **out, uint32_t *count);
/* A Map<string, string> whose inner lengths add up. */
bool fw_mcap_get_map(fw_mcap_cursor *c, fw_mcap_map *out);

/* Reads the content of one record of a known opcode into record->of; record->opcode is set by the
 * caller. False: the content is shorter than its fields. More bytes than fields are fine, as the
 * specification asks. For a chunk, *chunk_data is its still packed bytes. */
bool fw_mcap_parse(const uint8_t *content, uint64_t size_bytes, fw_mcap_record *record,
                   const uint8_t **chunk_data);

/* "" -> NONE, "zstd", "lz4"; false for others. */
bool fw_mcap_compression_of(fw_mcap_text name, fw_mcap_compression *out);
const char *fw_mcap_compression_name(fw_mcap_compression compression);

/* CRC-32 of two runs of bytes, one behind the other, from the CRC of each and the second's size. */
uint32_t fw_mcap_crc32_join(uint32_t first, uint32_t second, uint64_t second_bytes);

#endif
