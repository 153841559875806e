/* cdr.h - private: the types of one CDR (or ROS 1) message, built by rosmsg.c or idl.c.
 *
 *   builder --names, fields, arrays--> types with references by name --resolve--> types by position
 *
 * The first types are the primitive ones, at the position of their kind. References may come before
 * what they name, as dependencies lie behind the type that needs them.
 */
#ifndef FW_PAYLOAD_CDR_H
#define FW_PAYLOAD_CDR_H

#include "payload/decoders.h"

typedef enum fw_cdr_kind {
    FW_CDR_BOOL,
    FW_CDR_OCTET, /* 8 bits without sign; arrays of it become base64 */
    FW_CDR_I8,
    FW_CDR_I16,
    FW_CDR_U16,
    FW_CDR_I32,
    FW_CDR_U32,
    FW_CDR_I64,
    FW_CDR_U64,
    FW_CDR_F32,
    FW_CDR_F64,
    FW_CDR_PRIMITIVES,
    FW_CDR_STRING = FW_CDR_PRIMITIVES,
    FW_CDR_WSTRING,
    FW_CDR_NAMED_KINDS, /* kinds below have one type each at their own position */
    FW_CDR_ENUM = FW_CDR_NAMED_KINDS,
    FW_CDR_STRUCT,
    FW_CDR_ARRAY,
    FW_CDR_SEQUENCE,
    FW_CDR_NAME /* a reference; after resolve nobody points to one */
} fw_cdr_kind;

typedef struct fw_cdr_type {
    fw_cdr_kind kind;
    uint32_t element;      /* ARRAY, SEQUENCE: type; NAME: what it names, once resolved */
    uint32_t first, count; /* STRUCT: fields; ENUM: values */
    uint32_t bound;        /* ARRAY: items; SEQUENCE: most items */
    uint32_t line;
    const char *name;       /* STRUCT, ENUM: full; NAME: as written */
    const char *scope;      /* NAME, and of bound_name: where it was written */
    const char *bound_name; /* a constant that is the bound, or NULL */
} fw_cdr_type;

typedef struct fw_cdr_field {
    const char *name, *key; /* key: "name": as JSON text */
    uint32_t key_bytes, type;
} fw_cdr_field;

typedef struct fw_cdr_value {
    int64_t number;
    uint32_t order;
    const char *name;
} fw_cdr_value;

/* A name of the schema: a type, or a constant (of IDL). */
typedef struct fw_cdr_symbol {
    const char *name;
    uint32_t type, order; /* type: UINT32_MAX for a constant */
    int64_t value;
} fw_cdr_symbol;

typedef struct fw_cdr_schema {
    fw_payload_language language;
    fw_payload_arena arena;
    size_t items, items_max;
    fw_cdr_type *types;
    fw_cdr_field *fields;
    fw_cdr_value *values;
    fw_cdr_symbol *symbols;
    size_t type_count, field_count, value_count, symbol_count;
    size_t type_room, field_room, value_room, symbol_room;
    uint32_t root;
    fw_error *error; /* while it is built */
} fw_cdr_schema;

/* The builder. All fail with FW_TOO_BIG over the limits. Texts are copied. */
fw_status fw_cdr_add_type(fw_cdr_schema *schema, fw_cdr_type type, uint32_t *position) FW_MUST;
fw_status fw_cdr_add_field(fw_cdr_schema *schema, const char *name, size_t name_bytes,
                           uint32_t type) FW_MUST;
fw_status fw_cdr_add_value(fw_cdr_schema *schema, const char *name, size_t name_bytes,
                           int64_t number, uint32_t order) FW_MUST;
fw_status fw_cdr_add_symbol(fw_cdr_schema *schema, const char *name, uint32_t type,
                            int64_t value) FW_MUST;
fw_status fw_cdr_copy(fw_cdr_schema *schema, const char *text, size_t size_bytes,
                      const char **out) FW_MUST;
/* Sorts an enum's values for look-up. */
void fw_cdr_sort_values(fw_cdr_schema *schema, const fw_cdr_type *type);
/* Replaces references, finds the root by its full name (":: " or "/" between its parts as the
 * language has it). FW_CORRUPT for names that nobody defines and for typedefs in a circle. */
fw_status fw_cdr_resolve(fw_cdr_schema *schema, const char *root) FW_MUST;
fw_status fw_cdr_fail(const fw_cdr_schema *schema, fw_status status, uint32_t line,
                      const char *what, const char *why);

/* The two front ends: text to types, without resolve. *root: the full name of the root type. */
fw_status fw_cdr_read_rosmsg(fw_cdr_schema *schema, fw_mcap_text name, const char *text,
                             size_t size_bytes, const char **root) FW_MUST;
fw_status fw_cdr_read_idl(fw_cdr_schema *schema, fw_mcap_text name, const char *text,
                          size_t size_bytes, const char **root) FW_MUST;

#endif
