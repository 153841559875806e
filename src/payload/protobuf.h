/* protobuf.h - private: the message types of a FileDescriptorSet, as the decoder needs them.
 *
 * A message's fields lie together, in the order of their declaration; by_number sorts them for
 * look-up. The fields of one oneof share a group, other fields are a group each.
 */
#ifndef FW_PAYLOAD_PROTOBUF_H
#define FW_PAYLOAD_PROTOBUF_H

#include "payload/decoders.h"

/* descriptor.proto, FieldDescriptorProto.Type */
typedef enum fw_pb_type {
    FW_PB_DOUBLE = 1,
    FW_PB_FLOAT,
    FW_PB_INT64,
    FW_PB_UINT64,
    FW_PB_INT32,
    FW_PB_FIXED64,
    FW_PB_FIXED32,
    FW_PB_BOOL,
    FW_PB_STRING,
    FW_PB_GROUP,
    FW_PB_MESSAGE,
    FW_PB_BYTES,
    FW_PB_UINT32,
    FW_PB_ENUM,
    FW_PB_SFIXED32,
    FW_PB_SFIXED64,
    FW_PB_SINT32,
    FW_PB_SINT64
} fw_pb_type;

typedef struct fw_pb_field {
    uint32_t number, group; /* group: position in its message of the oneof's first field */
    uint32_t target;        /* of MESSAGE, GROUP and ENUM: position in messages or enums */
    uint8_t type;           /* fw_pb_type */
    bool is_repeated, is_map;
    uint32_t key_bytes;
    const char *key; /* "name": as JSON text */
    const char *name;
    const char *type_name; /* as in the descriptor, or NULL */
    int32_t oneof;         /* position among the oneofs; -1: none */
} fw_pb_field;

typedef enum fw_pb_special {
    FW_PB_PLAIN,
    FW_PB_TIMESTAMP,
    FW_PB_DURATION,
    FW_PB_MAP_ENTRY
} fw_pb_special;

typedef struct fw_pb_message {
    const char *name; /* full, without a leading dot */
    const uint8_t *descriptor;
    size_t descriptor_bytes;
    fw_pb_special special;
    uint32_t first_field, field_count;
    uint32_t *by_number; /* (field_count) positions in the message, by number */
} fw_pb_message;

typedef struct fw_pb_value {
    int32_t number;
    uint32_t order; /* of declaration: the first name of a number counts */
    const char *name;
} fw_pb_value;

typedef struct fw_pb_enum {
    const char *name;
    const uint8_t *descriptor;
    size_t descriptor_bytes;
    uint32_t first_value, value_count; /* by number, then order */
    bool is_null;                      /* google.protobuf.NullValue */
} fw_pb_enum;

typedef struct fw_pb_schema {
    fw_payload_arena arena;
    size_t items, items_max; /* messages, fields, enums and values together */
    fw_pb_message *messages;
    fw_pb_field *fields;
    fw_pb_enum *enums;
    fw_pb_value *values;
    size_t message_count, field_count, enum_count, value_count;
    size_t message_room, field_room, enum_room, value_room;
    uint32_t root;
} fw_pb_schema;

fw_status fw_pb_schema_open(fw_pb_schema *schema, const fw_payload_limits *limits,
                            fw_mcap_text root, const uint8_t *set, size_t size_bytes,
                            fw_error *error) FW_MUST;
void fw_pb_schema_close(fw_pb_schema *schema);
/* The field of a number; NULL: unknown. */
const fw_pb_field *fw_pb_field_of(const fw_pb_schema *schema, const fw_pb_message *message,
                                  uint32_t number);
/* The name of an enum's number; NULL: none. */
const char *fw_pb_value_name(const fw_pb_schema *schema, const fw_pb_enum *type, int32_t number);

#endif
