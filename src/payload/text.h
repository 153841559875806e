/* text.h - JSON text that grows up to a maximum, and memory that goes all at once:
 * for the decoders, and for who prints lines beside them.
 *
 * Puts never fail one by one: once the text is full, further ones do nothing and
 * fw_payload_text_status says so.
 */
#ifndef FW_PAYLOAD_TEXT_H
#define FW_PAYLOAD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct fw_payload_text {
    char *bytes; /* owned */
    size_t size_bytes, capacity_bytes, max_bytes;
    fw_status failed; /* FW_TOO_BIG or FW_NO_MEMORY, sticky */
} fw_payload_text;

void fw_payload_put(fw_payload_text *text, const void *bytes, size_t size_bytes);
void fw_payload_put_char(fw_payload_text *text, char c);
/* A string in quotes from bytes that should be UTF-8. */
void fw_payload_put_string(fw_payload_text *text, const void *bytes, size_t size_bytes);
/* Characters inside quotes that the caller writes. One code point. */
void fw_payload_put_point(fw_payload_text *text, uint32_t point);
void fw_payload_put_base64(fw_payload_text *text, const void *bytes, size_t size_bytes);
void fw_payload_put_u64(fw_payload_text *text, uint64_t value);
void fw_payload_put_i64(fw_payload_text *text, int64_t value);
void fw_payload_put_double(fw_payload_text *text, double value);
void fw_payload_put_float(fw_payload_text *text, float value);
/* Terminates without counting the zero byte. */
fw_status fw_payload_text_status(fw_payload_text *text);

/* The length in bytes of the valid UTF-8 character at the start, with its code point; 0: none. */
size_t fw_payload_utf8(const uint8_t *at, size_t left, uint32_t *point);

/* Memory of a schema: taken piece by piece, zeroed, freed together. */
typedef struct fw_payload_arena {
    void *blocks;
    size_t left_bytes; /* of the newest block */
    size_t used_bytes, max_bytes;
} fw_payload_arena;

/* NULL: over max_bytes, or out of memory. */
void *fw_payload_arena_take(fw_payload_arena *arena, size_t size_bytes);
/* A terminated copy. */
char *fw_payload_arena_copy(fw_payload_arena *arena, const void *bytes, size_t size_bytes);
void fw_payload_arena_free(fw_payload_arena *arena);

/* Makes room for one more item in a malloc'd array. False: over max items, or out of memory. */
bool fw_payload_grow(void **array, size_t *capacity, size_t count, size_t item_bytes, size_t max);

#endif
