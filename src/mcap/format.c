#include "mcap/format.h"

const uint8_t fw_mcap_magic[FW_MCAP_MAGIC_BYTES] = {0x89, 'M', 'C', 'A', 'P', '0', '\r', '\n'};

const char *fw_mcap_opcode_name(uint8_t opcode) {
    switch (opcode) {
#define X(name, value, text)                                                                       \
    case value:                                                                                    \
        return text;
        FW_MCAP_OPCODES(X)
#undef X
    default:
        return "unknown";
    }
}

fw_mcap_text fw_mcap_text_of(const char *terminated) {
    const char *bytes = terminated == NULL ? "" : terminated;
    return (fw_mcap_text){.bytes = bytes, .size_bytes = (uint32_t)strlen(bytes)};
}

bool fw_mcap_text_is(fw_mcap_text text, const char *terminated) {
    size_t size = strlen(terminated);
    return size == text.size_bytes && (size == 0 || memcmp(text.bytes, terminated, size) == 0);
}

bool fw_mcap_text_copy(fw_mcap_text text, char *out, size_t out_size) {
    FW_ASSERT(out_size > 0);
    out[0] = '\0';
    if (text.size_bytes >= out_size) return false;
    if (text.size_bytes == 0) return true;
    if (memchr(text.bytes, 0, text.size_bytes) != NULL) return false;
    memcpy(out, text.bytes, text.size_bytes);
    out[text.size_bytes] = '\0';
    return true;
}

bool fw_mcap_get_bytes(fw_mcap_cursor *c, uint64_t size, const uint8_t **out) {
    if (size > c->left) return false;
    *out = c->at;
    c->at += size;
    c->left -= size;
    return true;
}

bool fw_mcap_get_u16(fw_mcap_cursor *c, uint16_t *out) {
    const uint8_t *at;
    if (!fw_mcap_get_bytes(c, 2, &at)) return false;
    *out = fw_mcap_load_u16(at);
    return true;
}

bool fw_mcap_get_u32(fw_mcap_cursor *c, uint32_t *out) {
    const uint8_t *at;
    if (!fw_mcap_get_bytes(c, 4, &at)) return false;
    *out = fw_mcap_load_u32(at);
    return true;
}

bool fw_mcap_get_u64(fw_mcap_cursor *c, uint64_t *out) {
    const uint8_t *at;
    if (!fw_mcap_get_bytes(c, 8, &at)) return false;
    *out = fw_mcap_load_u64(at);
    return true;
}

bool fw_mcap_get_array(fw_mcap_cursor *c, uint32_t unit, const uint8_t **out, uint32_t *count) {
    uint32_t size;
    if (!fw_mcap_get_u32(c, &size) || size % unit != 0) return false;
    *count = size / unit;
    return fw_mcap_get_bytes(c, size, out);
}

bool fw_mcap_get_text(fw_mcap_cursor *c, fw_mcap_text *out) {
    const uint8_t *at;
    uint32_t size;
    if (!fw_mcap_get_array(c, 1, &at, &size)) return false;
    *out = (fw_mcap_text){.bytes = (const char *)at, .size_bytes = size};
    return true;
}

bool fw_mcap_get_map(fw_mcap_cursor *c, fw_mcap_map *out) {
    fw_mcap_map map;
    if (!fw_mcap_get_array(c, 1, &map.bytes, &map.size_bytes)) return false;
    fw_mcap_cursor inner = {.at = map.bytes, .left = map.size_bytes};
    while (inner.left > 0) {
        fw_mcap_text key, value;
        if (!fw_mcap_get_text(&inner, &key) || !fw_mcap_get_text(&inner, &value)) return false;
    }
    *out = map;
    return true;
}

bool fw_mcap_map_next(fw_mcap_map map, uint32_t *position, fw_mcap_text *key, fw_mcap_text *value) {
    if (*position >= map.size_bytes) return false;
    fw_mcap_cursor c = {.at = map.bytes + *position, .left = map.size_bytes - *position};
    if (!fw_mcap_get_text(&c, key) || !fw_mcap_get_text(&c, value)) return false;
    *position = map.size_bytes - (uint32_t)c.left;
    return true;
}

bool fw_mcap_map_find(fw_mcap_map map, const char *key, fw_mcap_text *value) {
    fw_mcap_text found_key, found_value;
    for (uint32_t at = 0; fw_mcap_map_next(map, &at, &found_key, &found_value);) {
        if (!fw_mcap_text_is(found_key, key)) continue;
        *value = found_value;
        return true;
    }
    return false;
}

static const char *const compression_names[] = {
    [FW_MCAP_ZSTD] = "zstd", [FW_MCAP_LZ4] = "lz4", [FW_MCAP_NONE] = ""};

bool fw_mcap_compression_of(fw_mcap_text name, fw_mcap_compression *out) {
    for (unsigned i = 0; i < sizeof compression_names / sizeof compression_names[0]; i++) {
        if (!fw_mcap_text_is(name, compression_names[i])) continue;
        *out = (fw_mcap_compression)i;
        return true;
    }
    return false;
}

const char *fw_mcap_compression_name(fw_mcap_compression compression) {
    return compression_names[compression];
}
