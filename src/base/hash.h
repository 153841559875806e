/* hash.h - names of things: SHA-256, written as 64 lower-case hex digits. */
#ifndef FW_BASE_HASH_H
#define FW_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { FW_HASH_HEX = 64 };

/* A hash as text, terminated. All zero bytes: no hash. */
typedef struct fw_hash {
    char hex[FW_HASH_HEX + 1];
} fw_hash;

/* Streaming SHA-256; owned by the caller, ended by fw_sha256_end (which frees it). */
typedef struct fw_sha256 fw_sha256;
fw_sha256 *fw_sha256_begin(void);
/* The same, NULL without memory: for what the network can make us do. */
fw_sha256 *fw_sha256_try(void);
void fw_sha256_add(fw_sha256 *state, const void *bytes, size_t size_bytes);
fw_hash fw_sha256_end(fw_sha256 *state);

/* Hash of a buffer, of a whole file. */
fw_hash fw_hash_bytes(const void *bytes, size_t size_bytes);
/* The same, FW_NO_MEMORY without memory. */
fw_status fw_hash_bytes_try(const void *bytes, size_t size_bytes, fw_hash *out, fw_error *error) FW_MUST;
fw_status fw_hash_file(const char *path, fw_hash *out, fw_error *error) FW_MUST;

/* True when text is exactly 64 lower-case hex digits. */
bool fw_hash_valid(const char *text);
/* Parses text; FW_INVALID otherwise. */
fw_status fw_hash_parse(const char *text, fw_hash *out, fw_error *error) FW_MUST;
/* 2 * size_bytes hex digits of either case; false when there is anything else. */
bool fw_hex_read(const char *hex, uint8_t *out, size_t size_bytes);
/* Order of two hashes as strcmp. */
int fw_hash_compare(const void *a, const void *b);

#endif
