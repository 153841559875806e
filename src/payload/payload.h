/* payload.h - what a message says, as JSON: decoders chosen by a channel's encoding and schema.
 *
 *   channel, schema --open--> [plan] --decode(bytes)--> JSON text, one line
 *
 *   message encoding | schema encoding      | decoded as
 *   json             | any                  | checked, and copied without its white space
 *   protobuf         | protobuf             | by its FileDescriptorSet, in proto3's JSON mapping
 *   cdr              | ros2msg              | by the message's text and those it depends on
 *   cdr              | ros2idl, omgidl      | by OMG IDL: struct, enum, typedef, const, sequence,
 * array ros1             | ros1msg              | as ros2msg, packed, little-endian anything else
 * |                      | {"encoding":"...","base64":"..."}
 *
 * A schema is compiled once into a plan; the plan decodes any number of messages.
 *
 *   bytes of 8 bits: base64, in protobuf and in CDR's arrays of octet, byte, char and uint8
 *   float, double:   the shortest form that reads back as the same number; NaN, Infinity and
 *                    -Infinity as strings
 *   64-bit integers: strings in protobuf (its mapping says so), numbers elsewhere
 *   enums:           the name; the number where the schema has no name for it
 *   strings:         bytes that are not UTF-8 become U+FFFD; control characters are escaped
 *   protobuf:        fields that are not on the wire are left out; Timestamp and Duration are text;
 *                    unknown fields are passed over; a map's key written twice is printed twice;
 *                    Any, Struct and the wrappers are printed as the messages they are
 *   CDR:             XCDR1 (plain CDR), both byte orders; up to 7 bytes of padding at the end;
 *                    wstring as 2-byte characters
 *
 * Invariants:
 *  1. No input makes a decoder read outside its bytes, recurse, or take more memory than limits
 *     says. The time of a message is bounded by its bytes and its output.
 *  2. A schema or data that is not what it claims is FW_CORRUPT with one line that names the field
 *     (of JSON: the byte); what is valid but not handled (unions, PL_CDR) is FW_UNSUPPORTED; over a
 *     limit is FW_TOO_BIG.
 *  3. The text handed out is always one valid JSON value in UTF-8 on one line.
 */
#ifndef FW_PAYLOAD_PAYLOAD_H
#define FW_PAYLOAD_PAYLOAD_H

#include "mcap/mcap.h"

/* 0 takes the default in brackets. */
typedef struct fw_payload_limits {
    size_t output_max_bytes; /* JSON text of one message [134217728] */
    size_t schema_max_bytes; /* memory of one plan's schema [67108864] */
    uint32_t depth_max;      /* nesting of one message, at most 1024 [100] */
    uint32_t fields_max;     /* fields, types and names of one schema [262144] */
    uint32_t values_max;     /* protobuf values open at a time, 32 bytes each [2097152] */
} fw_payload_limits;

typedef struct fw_payload_plan fw_payload_plan;

/* Compiles the schema of a channel; schema NULL: the channel has none. The plan keeps nothing of
 * either. limits may be NULL. FW_CORRUPT, FW_UNSUPPORTED, FW_TOO_BIG as above, FW_NO_MEMORY. The
 * caller ends it with fw_payload_plan_close. */
fw_status fw_payload_plan_open(const fw_payload_limits *limits, const fw_mcap_channel *channel,
                               const fw_mcap_schema *schema, fw_payload_plan **out,
                               fw_error *error) FW_MUST;
/* NULL is fine. */
void fw_payload_plan_close(fw_payload_plan *plan);
/* False when messages come out as base64 because nobody here knows their encoding. */
bool fw_payload_plan_is_known(const fw_payload_plan *plan);
/* Decodes one message. *json is terminated, owned by the plan, valid until its next call. */
fw_status fw_payload_decode(fw_payload_plan *plan, const void *bytes, size_t size_bytes,
                            const char **json, size_t *json_size_bytes, fw_error *error) FW_MUST;

#endif
