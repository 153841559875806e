/* wire.h - private: protobuf's wire format, read with bounds (protobuf.dev, "Encoding").
 *
 *   item:  tag varint = number << 3 | type, then by type: varint, 8 bytes, length + bytes,
 *          group (items up to the end tag of the same number), 4 bytes
 */
#ifndef FW_PAYLOAD_WIRE_H
#define FW_PAYLOAD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum fw_wire_type {
    FW_WIRE_VARINT = 0,
    FW_WIRE_I64 = 1,
    FW_WIRE_LEN = 2,
    FW_WIRE_GROUP = 3,
    FW_WIRE_GROUP_END = 4,
    FW_WIRE_I32 = 5
} fw_wire_type;

typedef struct fw_wire {
    const uint8_t *at, *end;
} fw_wire;

typedef struct fw_wire_item {
    uint32_t number;
    fw_wire_type type;
    uint64_t value;    /* of VARINT, I64, I32 */
    const uint8_t *at; /* of LEN and GROUP (without its end tag) */
    size_t size_bytes;
} fw_wire_item;

/* False: the bytes end inside, or over 10 bytes. */
bool fw_wire_varint(fw_wire *wire, uint64_t *value);
/* Little-endian, size_bytes 4 or 8. */
bool fw_wire_fixed(fw_wire *wire, unsigned size_bytes, uint64_t *value);
/* The next item; *done at the end. A text says what is wrong, NULL: nothing. */
const char *fw_wire_next(fw_wire *wire, fw_wire_item *item, bool *done);

#endif
