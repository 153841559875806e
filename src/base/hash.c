#include "base/hash.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>


fw_sha256 *fw_sha256_try(void) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1)
        return (fw_sha256 *)context;
    EVP_MD_CTX_free(context);
    return NULL;
}

fw_sha256 *fw_sha256_begin(void) {
    fw_sha256 *state = fw_sha256_try();
    FW_ASSERT(state);
    return state;
}

void fw_sha256_add(fw_sha256 *state, const void *bytes, size_t size_bytes) {
    FW_ASSERT(EVP_DigestUpdate((EVP_MD_CTX *)state, bytes, size_bytes) == 1);
}

fw_hash fw_sha256_end(fw_sha256 *state) {
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    FW_ASSERT(EVP_DigestFinal_ex((EVP_MD_CTX *)state, raw, &size) == 1 && size == 32);
    EVP_MD_CTX_free((EVP_MD_CTX *)state);
    fw_hash out = {0};
    for (unsigned i = 0; i < size; i++) {
        out.hex[2 * i] = digits[raw[i] >> 4];
        out.hex[2 * i + 1] = digits[raw[i] & 15];
    }
    return out;
}

fw_hash fw_hash_bytes(const void *bytes, size_t size_bytes) {
    fw_sha256 *state = fw_sha256_begin();
    fw_sha256_add(state, bytes, size_bytes);
    return fw_sha256_end(state);
}

fw_status fw_hash_bytes_try(const void *bytes, size_t size_bytes, fw_hash *out, fw_error *error) {
    fw_sha256 *state = fw_sha256_try();
    if (!state) return fw_fail(error, FW_NO_MEMORY, "no memory for a hash");
    fw_sha256_add(state, bytes, size_bytes);
    *out = fw_sha256_end(state);
    return FW_OK;
}

fw_status fw_hash_file(const char *path, fw_hash *out, fw_error *error) {
    FILE *file = fopen(path, "rb");
    if (!file) return fw_fail_errno(error, "cannot open %s", path);
    fw_sha256 *state = fw_sha256_try();
    if (!state) {
        fclose(file);
        return fw_fail(error, FW_NO_MEMORY, "no memory for the hash of %s", path);
    }
    char buffer[65536];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0) fw_sha256_add(state, buffer, got);
    fw_hash hash = fw_sha256_end(state);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed) return fw_fail(error, FW_IO, "cannot read %s", path);
    *out = hash;
    return FW_OK;
}

bool fw_hash_valid(const char *text) {
    return text && strspn(text, "0123456789abcdef") == FW_HASH_HEX && text[FW_HASH_HEX] == '\0';
}

fw_status fw_hash_parse(const char *text, fw_hash *out, fw_error *error) {
    if (!fw_hash_valid(text))
        return fw_fail(error, FW_INVALID, "not a SHA-256: want 64 lower-case hex digits");
    memcpy(out->hex, text, FW_HASH_HEX + 1);
    return FW_OK;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool fw_hex_read(const char *hex, uint8_t *out, size_t size_bytes) {
    if (strlen(hex) != 2 * size_bytes) return false;
    for (size_t i = 0; i < size_bytes; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

int fw_hash_compare(const void *a, const void *b) {
    return memcmp(((const fw_hash *)a)->hex, ((const fw_hash *)b)->hex, FW_HASH_HEX);
}
